"""The SNI in QUIC Initial packets: datagrams of a client in, the name out.

Initial packets are encrypted with keys that follow from the first connection id (RFC 9001, RFC 9369), so any middlebox
can read them. Needs the package `cryptography`.
"""
import hashlib
import hmac
import struct

from .names import MORE, handshake_name

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    AVAILABLE = True
except ImportError:
    AVAILABLE = False

SALTS = {1: "38762cf7f55934b34d179ae6a4c80cadccbb7f0a", 0x6B3343CF: "0dede3def700a6db819381be6e269dcbf9bd2ed9"}
INITIAL_TYPES = {1: 0, 0x6B3343CF: 1}
PREFIXES = {1: "quic", 0x6B3343CF: "quicv2"}


def expand(secret, label, length):
    label = b"tls13 " + label.encode()
    info = struct.pack("!HB", length, len(label)) + label + b"\0"
    return hmac.new(secret, info + b"\1", hashlib.sha256).digest()[:length]


def client_keys(version, connection_id):
    initial = hmac.new(bytes.fromhex(SALTS[version]), connection_id, hashlib.sha256).digest()
    secret = expand(initial, "client in", 32)
    prefix = PREFIXES[version]
    return expand(secret, prefix + " key", 16), expand(secret, prefix + " iv", 12), expand(secret, prefix + " hp", 16)


def read_number(data, at):
    """A variable-length integer and where it ends."""
    size = 1 << (data[at] >> 6)
    if len(data) < at + size:
        raise IndexError("cut number")
    return int.from_bytes(data[at:at + size], "big") & ((1 << (8 * size - 2)) - 1), at + size


def initials(datagram):
    """(version, connection id, packet bytes, place of the packet number) of each Initial in a datagram."""
    at = 0
    while at + 7 < len(datagram) and datagram[at] & 0xC0 == 0xC0:
        start = at
        version, size = struct.unpack_from("!IB", datagram, at + 1)
        if version not in SALTS:
            return
        ident = datagram[at + 6:at + 6 + size]
        at += 6 + size
        at += 1 + datagram[at]
        kind = datagram[start] >> 4 & 3
        if kind == INITIAL_TYPES[version]:
            token, at = read_number(datagram, at)
            at += token
        length, at = read_number(datagram, at)
        if kind == INITIAL_TYPES[version]:
            yield version, ident, datagram[start:at + length], at - start
        at += length


def decrypt(version, ident, packet, number_at):
    """The frames of an Initial, or None if the keys do not fit."""
    key, iv, mask_key = client_keys(version, ident)
    sample = packet[number_at + 4:number_at + 20]
    if len(sample) < 16:
        return None
    mask = Cipher(algorithms.AES(mask_key), modes.ECB()).encryptor().update(sample)
    head = bytearray(packet[:number_at + 4])
    head[0] ^= mask[0] & 15
    size = (head[0] & 3) + 1
    for i in range(size):
        head[number_at + i] ^= mask[1 + i]
    head = bytes(head[:number_at + size])
    number = int.from_bytes(head[number_at:], "big")
    nonce = (int.from_bytes(iv, "big") ^ number).to_bytes(12, "big")
    try:
        return AESGCM(key).decrypt(nonce, packet[number_at + size:], head)
    except InvalidTag:
        return None


def crypto_pieces(frames):
    """(offset, bytes) of the CRYPTO frames; other frames of an Initial are skipped."""
    at = 0
    while at < len(frames):
        kind = frames[at]
        at += 1
        if kind in (0, 1):  # PADDING, PING
            continue
        if kind in (2, 3):  # ACK
            at = skip_ack(frames, at, kind)
            continue
        if kind != 6:
            return
        offset, at = read_number(frames, at)
        length, at = read_number(frames, at)
        yield offset, frames[at:at + length]
        at += length


def skip_ack(frames, at, kind):
    _, at = read_number(frames, at)
    _, at = read_number(frames, at)
    ranges, at = read_number(frames, at)
    for _ in range(1 + 2 * ranges + (3 if kind == 3 else 0)):
        _, at = read_number(frames, at)
    return at


class HelloReader:
    """Puts the hello of one flow together. Without reassembly each datagram stands alone."""

    def __init__(self, reassemble):
        self.reassemble = reassemble
        self.first_id = None
        self.pieces = {}

    def feed(self, datagram):
        """The name, "" or MORE."""
        if not self.reassemble:
            self.pieces = {}
        try:
            self.collect(datagram)
        except (IndexError, struct.error):
            pass
        return handshake_name(self.prefix())

    def collect(self, datagram):
        for version, ident, packet, number_at in initials(datagram):
            self.first_id = self.first_id or ident
            frames = decrypt(version, ident, packet, number_at)
            if frames is None:  # after the server's answer the client uses another id with the old keys
                frames = decrypt(version, self.first_id, packet, number_at)
            self.pieces.update(crypto_pieces(frames or b""))

    def prefix(self):
        data = b""
        for offset in sorted(self.pieces):
            if offset > len(data):
                break
            data = data[:offset] + self.pieces[offset]
        return data


def datagram_name(reader, datagram):
    name = reader.feed(datagram)
    return "" if name is MORE and not reader.reassemble else name
