"""IPv4 and IPv6 packets with TCP, UDP or ICMP: bytes in, fields out, and the reverse.

A `Packet` keeps its bytes; the methods that change it keep bytes, fields and checksums in agreement.
"""
import socket
import struct

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
LETTERS = ((FIN, "F"), (SYN, "S"), (RST, "R"), (PSH, "P"), (ACK, "A"), (URG, "U"))
NAMES = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMP6: "icmp"}
NUMBER = 0xFFFFFFFF


def flag_letters(flags):
    return "".join(letter for bit, letter in LETTERS if flags & bit)


def flag_bits(letters):
    return sum(bit for bit, letter in LETTERS if letter in letters)


def after(a, b):
    """How far sequence number a lies behind b (negative: before it)."""
    return ((a - b + 0x80000000) & NUMBER) - 0x80000000


def pack_address(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def unpack_address(data):
    return socket.inet_ntop(socket.AF_INET6 if len(data) == 16 else socket.AF_INET, bytes(data))


def checksum(data):
    if len(data) % 2:
        data = bytes(data) + b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


class Packet:
    """One IP packet. `body` is where TCP, UDP or ICMP begins, `payload` what follows its header."""

    def __init__(self, raw):
        self.raw = bytearray(raw)
        self.parse()

    def parse(self):
        self.version = self.raw[0] >> 4
        if self.version == 4:
            self.parse_ip4()
        elif self.version == 6:
            self.parse_ip6()
        else:
            raise ValueError("not IP")
        self.protocol = NAMES.get(self.number, "other")
        self.sport = self.dport = self.seq = self.ack = self.window = None
        self.flags, self.options, self.payload, self.icmp = 0, b"", b"", None
        if self.fragment:
            self.protocol = "other"
        elif self.number == TCP:
            self.parse_tcp()
        elif self.number == UDP:
            self.sport, self.dport = struct.unpack_from("!HH", self.raw, self.body)
            self.payload = bytes(self.raw[self.body + 8:])
        elif self.protocol == "icmp":
            self.icmp = tuple(self.raw[self.body:self.body + 2])
            self.payload = bytes(self.raw[self.body + 8:])

    def parse_ip4(self):
        length, self.ipid, place = struct.unpack_from("!HHH", self.raw, 2)
        del self.raw[length:]  # padding of the link
        self.body = (self.raw[0] & 15) * 4
        self.df, self.fragment = bool(place & 0x4000), bool(place & 0x3FFF)
        self.ttl, self.number = self.raw[8], self.raw[9]
        self.source, self.target = unpack_address(self.raw[12:16]), unpack_address(self.raw[16:20])

    def parse_ip6(self):
        length, self.number, self.ttl = struct.unpack_from("!HBB", self.raw, 4)
        del self.raw[40 + length:]
        self.body, self.ipid, self.df, self.fragment = 40, None, True, False
        self.source, self.target = unpack_address(self.raw[8:24]), unpack_address(self.raw[24:40])

    def parse_tcp(self):
        at = self.body
        self.sport, self.dport, self.seq, self.ack, head, self.flags, self.window = struct.unpack_from(
            "!HHIIBBH", self.raw, at)
        size = (head >> 4) * 4
        self.options = bytes(self.raw[at + 20:at + size])
        self.payload = bytes(self.raw[at + size:])

    @property
    def end(self):
        """The sequence number after this segment."""
        return (self.seq + len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)) & NUMBER

    @property
    def is_syn(self):
        return self.protocol == "tcp" and self.flags & (SYN | ACK) == SYN

    def timestamp(self):
        """The sender's TCP timestamp, or None."""
        body = option_of(self.options, 8)
        return struct.unpack_from("!I", body)[0] if body and len(body) == 8 else None

    def window_scale(self):
        """The shift that a SYN offers for the windows of later segments (RFC 7323 section 2.2)."""
        body = option_of(self.options, 3)
        return min(body[0], 14) if body else 0

    def set_ttl(self, ttl):
        self.ttl = ttl
        if self.version == 6:
            self.raw[7] = ttl
        else:
            self.raw[8] = ttl
            self.sum_ip4()

    def readdress(self, source=None, target=None, sport=None, dport=None):
        """Other addresses or ports, as a NAT writes them."""
        at, size = (12, 4) if self.version == 4 else (8, 16)
        if source:
            self.raw[at:at + size] = pack_address(source)
        if target:
            self.raw[at + size:at + 2 * size] = pack_address(target)
        if sport and self.sport is not None:
            struct.pack_into("!H", self.raw, self.body, sport)
        if dport and self.dport is not None:
            struct.pack_into("!H", self.raw, self.body + 2, dport)
        self.sum_all()
        self.parse()

    def sum_ip4(self):
        self.raw[10:12] = b"\0\0"
        struct.pack_into("!H", self.raw, 10, checksum(self.raw[:(self.raw[0] & 15) * 4]))

    def sum_all(self):
        if self.version == 4:
            self.sum_ip4()
        place = {TCP: 16, UDP: 6, ICMP: 2, ICMP6: 2}.get(self.number)
        if place is None or self.fragment:
            return
        place += self.body
        self.raw[place:place + 2] = b"\0\0"
        struct.pack_into("!H", self.raw, place, self.body_sum())

    def body_sum(self):
        body = bytes(self.raw[self.body:])
        if self.number == ICMP:
            return checksum(body)
        at, size = (12, 8) if self.version == 4 else (8, 32)
        pseudo = bytes(self.raw[at:at + size]) + struct.pack("!II", len(body), self.number)
        return checksum(pseudo + body) or (0xFFFF if self.number == UDP else 0)

    def sums_fit(self):
        """Whether all checksums are right."""
        copy = Packet(self.raw)
        copy.sum_all()
        return copy.raw == self.raw

    def quoted(self):
        """Of an ICMP error: (protocol, source, source port, target, target port) of the packet it is about, or None."""
        errors = {(4, 3), (4, 11), (4, 12), (6, 1), (6, 2), (6, 3), (6, 4)}
        if not self.icmp or (self.version, self.icmp[0]) not in errors:
            return None
        inner = self.payload
        at = (inner[0] & 15) * 4 if self.version == 4 else 40
        if len(inner) < at + 4:
            return None
        number, place, size = (inner[9], 12, 4) if self.version == 4 else (inner[6], 8, 16)
        ports = struct.unpack_from("!HH", inner, at)
        return (NAMES.get(number, "other"), unpack_address(inner[place:place + size]), ports[0],
                unpack_address(inner[place + size:place + 2 * size]), ports[1])

    def readdress_quote(self, source=None, sport=None, target=None, dport=None):
        """The same change of addresses inside an ICMP error."""
        inner = self.body + 8
        at, size = (12, 4) if self.version == 4 else (8, 16)
        ports = inner + ((self.raw[inner] & 15) * 4 if self.version == 4 else 40)
        for value, place in ((source, inner + at), (target, inner + at + size)):
            if value:
                self.raw[place:place + size] = pack_address(value)
        for value, place in ((sport, ports), (dport, ports + 2)):
            if value:
                struct.pack_into("!H", self.raw, place, value)
        if self.version == 4:
            self.raw[inner + 10:inner + 12] = b"\0\0"
            struct.pack_into("!H", self.raw, inner + 10, checksum(self.raw[inner:ports]))
        self.sum_all()
        self.parse()


def parse(raw):
    """The packet, or None for what is no IP packet or cut."""
    try:
        return Packet(raw)
    except (ValueError, IndexError, struct.error):
        return None


def option_of(options, wanted):
    """The body of a TCP option, or None."""
    at = 0
    while at < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
            continue
        if at + 1 >= len(options) or options[at + 1] < 2:
            return None
        if options[at] == wanted:
            return options[at + 2:at + options[at + 1]]
        at += options[at + 1]
    return None


def timestamp_option(value, echo):
    return struct.pack("!BBBBII", 1, 1, 8, 10, value & NUMBER, echo & NUMBER)


def build_ip(source, target, number, body, ttl=64, ipid=0, df=True):
    if ":" in source:
        head = struct.pack("!IHBB", 6 << 28, len(body), number, ttl) + pack_address(source) + pack_address(target)
    else:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), ipid or 0, 0x4000 if df else 0, ttl, number, 0)
        head += pack_address(source) + pack_address(target)
    packet = Packet(head + body)
    packet.sum_all()
    return packet


def build_tcp(source, sport, target, dport, seq, ack, flags, window=0, options=b"", payload=b"", **ip):
    options += b"\0" * (-len(options) % 4)
    head = struct.pack("!HHIIBBHHH", sport, dport, seq & NUMBER, ack & NUMBER, (20 + len(options)) << 2, flags, window, 0, 0)
    return build_ip(source, target, TCP, head + options + payload, **ip)


def build_udp(source, sport, target, dport, payload, **ip):
    head = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
    return build_ip(source, target, UDP, head + payload, **ip)


def build_unreachable(source, about, code, ttl=64, ipid=0):
    """ICMP "destination unreachable" to the sender of a packet."""
    if about.version == 4:
        body = struct.pack("!BBHI", 3, code, 0, 0) + bytes(about.raw[:about.body + 8])
        return build_ip(source, about.source, ICMP, body, df=False, ttl=ttl, ipid=ipid)
    body = struct.pack("!BBHI", 1, code, 0, 0) + bytes(about.raw[:1232])
    return build_ip(source, about.source, ICMP6, body, ttl=ttl)


def to_reset(packet, flags, keep_options, window):
    """A segment turned into a reset: the payload goes, sequence number, IPID and TTL stay."""
    options = packet.options if keep_options else b""
    ack = packet.ack if flags & ACK else 0
    return build_tcp(packet.source, packet.sport, packet.target, packet.dport, packet.seq, ack, flags,
                     window=packet.window if window is None else window, options=options,
                     ttl=packet.ttl, ipid=packet.ipid, df=packet.df)
