"""Messages of DNS (RFC 1035): questions and answers as bytes, and back."""
import socket
import struct

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "AAAA": 28, "OPT": 41, "HTTPS": 65}
RESPONSE, TRUNCATED, DESIRED, AVAILABLE = 0x8000, 0x0200, 0x0100, 0x0080
SERVFAIL, NXDOMAIN = 2, 3
TTL = 60


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(kind, data, name=b"\xc0\x0c", ttl=TTL):
    if kind in ("A", "AAAA"):
        data = socket.inet_pton(socket.AF_INET6 if ":" in data else socket.AF_INET, data)
    return name + struct.pack("!HHIH", TYPES[kind], 1, ttl, len(data)) + data


def soa(zone):
    numbers = struct.pack("!5I", 2024010101, 7200, 900, 86400, TTL)
    return record("SOA", encode_name("ns1." + zone) + encode_name("admin." + zone) + numbers, encode_name(zone))


def query(ident, name, kind, size=None):
    """With a size, EDNS tells that an answer over UDP may be that large (RFC 6891 section 6.1.2)."""
    option = struct.pack("!BHHIH", 0, TYPES["OPT"], size, 0, 0) if size else b""
    head = struct.pack("!6H", ident, DESIRED, 1, 0, 0, int(bool(size)))
    return head + encode_name(name) + struct.pack("!HH", TYPES[kind], 1) + option


def read_name(message, at):
    """A name, and where the rest begins."""
    labels = []
    while message[at] and message[at] < 64:
        labels.append(message[at + 1:at + 1 + message[at]].decode("ascii", "replace"))
        at += 1 + message[at]
    return ".".join(labels), at + (2 if message[at] else 1)


def read_query(message):
    """(name, type as a word or number, the question's bytes)."""
    name, at = read_name(message, 12)
    number = struct.unpack_from("!H", message, at)[0]
    words = {value: word for word, value in TYPES.items()}
    return name.lower(), words.get(number, number), message[12:at + 4]


def response(message, answers=(), authority=(), rcode=0):
    flags = RESPONSE | DESIRED | AVAILABLE | rcode
    return (struct.pack("!2s5H", message[:2], flags, 1, len(answers), len(authority), 0) + read_query(message)[2]
            + b"".join([*answers, *authority]))


def truncated(message):
    """The answer to a query whose records do not fit into a datagram."""
    flags = RESPONSE | TRUNCATED | DESIRED | AVAILABLE
    return struct.pack("!2s5H", message[:2], flags, 1, 0, 0, 0) + read_query(message)[2]


def read_response(message):
    """(id, rcode, truncated, addresses)."""
    ident, flags, questions, count = struct.unpack_from("!4H", message)
    at, addresses = 12, []
    for _ in range(questions):
        at = read_name(message, at)[1] + 4
    for _ in range(count):
        at = read_name(message, at)[1]
        kind, _, _, size = struct.unpack_from("!HHIH", message, at)
        data = message[at + 10:at + 10 + size]
        if kind in (TYPES["A"], TYPES["AAAA"]):
            addresses.append(socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, data))
        at += 10 + size
    return ident, flags & 15, bool(flags & TRUNCATED), addresses
