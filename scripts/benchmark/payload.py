"""What packets carry: bytes of one pool with their sums, TLS messages, DNS, QUIC and STUN.

Hellos are whole and well-formed; what would be encrypted is cut from the pool.
"""
import struct
from array import array

from headers import words

POOL = 1 << 20
HOSTS = (
    "web.whatsapp.com", "g.whatsapp.net", "mmg.whatsapp.net", "web.telegram.org", "api.telegram.org", "chat.signal.org", "cdn.signal.org",
    "edge-mqtt.facebook.com", "discord.com", "gateway.discord.gg", "matrix.org", "web.viber.com", "web.max.ru", "api.line.me",
    "www.wikipedia.org", "www.google.com", "fonts.gstatic.com", "www.youtube.com", "i.ytimg.com", "github.com", "api.github.com",
    "ya.ru", "mc.yandex.ru", "vk.com", "www.cloudflare.com", "cdn.jsdelivr.net", "outlook.office365.com", "login.microsoftonline.com",
    "www.apple.com", "gateway.icloud.com", "www.bbc.co.uk", "www.nytimes.com",
)


class Payload:
    def __init__(self, rng):
        self.pool = rng.randbytes(POOL)
        self.sums = array("Q", [0])
        total = 0
        for (word,) in struct.iter_unpack(">H", self.pool):
            total += word
            self.sums.append(total)
        self.random = rng.random
        self.hosts = HOSTS + tuple("host%d.example.%s" % (n, ("com", "org", "net")[n % 3]) for n in range(400))
        self.hellos = [[with_sum(client_hello(host, rng, form)) for form in range(4)] for host in self.hosts]
        self.answers = [with_sum(server_hello(rng)) for _ in range(16)]
        self.resume = with_sum(b"\x14\x03\x03\0\x01\x01\x17\x03\x03\0\x35" + rng.randbytes(53))
        self.requests = [with_sum(("GET / HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n\r\n" % host).encode()) for host in self.hosts]

    def host(self):
        """A number of a host: few are asked for often."""
        return int(len(self.hosts) * self.random() ** 3)

    def cut(self, size):
        """Bytes of the pool and their sum."""
        start = int(self.random() * (POOL - 65_536)) & ~1
        return self.pool[start:start + size], self.sum(start, size)

    def sum(self, start, size):
        """Of `size` bytes from an even `start` on."""
        total = self.sums[(start + size) >> 1] - self.sums[start >> 1]
        return total + (self.pool[start + size - 1] << 8) if size & 1 else total

    def record(self, size, whole):
        """The first `size` bytes (six or more) of a TLS record of application data of `whole` bytes."""
        start = int(self.random() * (POOL - 65_536)) & ~1
        header = struct.pack(">BHHB", 0x17, 0x0303, whole - 5, self.pool[start + 5])
        return header + self.pool[start + 6:start + size], words(header) + self.sum(start + 6, size - 6)


def with_sum(data):
    return data, words(data)


def block(data, size=2):
    return len(data).to_bytes(size, "big") + data


def extension(kind, data):
    return kind.to_bytes(2, "big") + block(data)


def client_hello(host, rng, form):
    """TLS 1.3 (RFC 8446 section 4.1.2). Form 0: 1.2 only and short; 1 and 2: padded to 512; 3: a post-quantum key share, two segments."""
    name = host.encode()
    extensions = extension(0, block(b"\0" + block(name)))  # server_name
    extensions += extension(23, b"") + extension(65281, b"\0")  # extended_master_secret, renegotiation_info
    extensions += extension(10, block(bytes.fromhex("001d00170018"))) + extension(11, b"\x01\0")  # groups, point formats
    extensions += extension(16, block(b"\x02h2\x08http/1.1"))  # ALPN
    extensions += extension(13, block(bytes.fromhex("0403080404010503080505010806060102 01".replace(" ", ""))))  # signatures
    if form > 0:
        shares = b"\x00\x1d" + block(rng.randbytes(32))
        if form == 3:
            shares = b"\x11\xec" + block(rng.randbytes(1216)) + shares  # X25519MLKEM768
        extensions += extension(51, block(shares)) + extension(45, b"\x01\x01")
        extensions += extension(43, block(bytes.fromhex("03040303"), 1))
    ciphers = bytes.fromhex("130113021303c02bc02fc02cc030cca9cca8c013c014009c009d002f0035")
    body = b"\x03\x03" + rng.randbytes(32) + block(rng.randbytes(32), 1) + block(ciphers) + b"\x01\0"
    missing = 508 - len(body) - 2 - len(extensions)
    if form in (1, 2) and missing >= 4:
        extensions += extension(21, bytes(missing - 4))  # padding
    message = b"\x01" + block(body + block(extensions), 3)
    return b"\x16\x03\x01" + block(message)


def server_hello(rng):
    """TLS 1.3: ServerHello and ChangeCipherSpec (RFC 8446 sections 4.1.3 and D.4)."""
    extensions = extension(51, b"\x00\x1d" + block(rng.randbytes(32))) + extension(43, b"\x03\x04")
    body = b"\x03\x03" + rng.randbytes(32) + block(rng.randbytes(32), 1) + b"\x13\x01\0" + block(extensions)
    return b"\x16\x03\x03" + block(b"\x02" + block(body, 3)) + b"\x14\x03\x03\0\x01\x01"


def dns(number, host, kind, answered):
    """A question, or the answer to it with one address (RFC 1035 section 4)."""
    name = b"".join(block(label.encode(), 1) for label in host.split(".")) + b"\0"
    message = struct.pack(">HHHHHH", number, 0x8180 if answered else 0x0100, 1, answered, 0, 0) + name + struct.pack(">HH", kind, 1)
    if answered:
        address = bytes((198, 18, number >> 8, number & 255)) if kind == 1 else bytes.fromhex("20010db8") + bytes(10) + number.to_bytes(2, "big")
        message += struct.pack(">HHHI", 0xC00C, kind, 1, 300) + block(address)
    return message


def stun(kind, transaction, attributes=b""):
    """RFC 8489 section 5."""
    return struct.pack(">HHI", kind, len(attributes), 0x2112A442) + transaction + attributes


def quic_initial(destination, source, size, body):
    """The open part of an Initial of QUIC 1 (RFC 9000 section 17.2.2); what follows is no real ciphertext."""
    head = b"\xc3\0\0\0\x01" + block(destination, 1) + block(source, 1) + b"\0"
    return head + (0x4000 | size - len(head) - 2).to_bytes(2, "big") + body[:size - len(head) - 2]
