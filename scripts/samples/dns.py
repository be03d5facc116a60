"""Messages of DNS (RFC 1035), as far as the scene `names` needs them."""
import os
import socket
import struct

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "AAAA": 28, "OPT": 41, "HTTPS": 65}
RESPONSE, TRUNCATED, RECURSION_DESIRED, RECURSION_AVAILABLE = 0x8000, 0x0200, 0x0100, 0x0080
NXDOMAIN = 3
TTL = 60
PLAIN_SIZE, EDNS_SIZE = 512, 1232


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(name, kind, data):
    """A resource record; data is bytes, an address or a name."""
    if kind in ("A", "AAAA"):
        data = socket.inet_pton(socket.AF_INET6 if ":" in data else socket.AF_INET, data)
    elif kind == "CNAME":
        data = encode_name(data)
    return encode_name(name) + struct.pack("!HHIH", TYPES[kind], 1, TTL, len(data)) + data


def block16(data):
    return struct.pack("!H", len(data)) + data


def https(address, public_name):
    """An HTTPS record with ALPN, address hint and an ECH configuration (RFC 9460, RFC 9849 section 4)."""
    key = struct.pack("!BH", os.urandom(1)[0], 0x20) + block16(os.urandom(32)) + block16(b"\0\1\0\1")
    contents = key + struct.pack("!BB", 0, len(public_name)) + public_name.encode() + block16(b"")
    configs = block16(b"\xfe\x0d" + block16(contents))
    parameters = [(1, b"\x02h2\x08http/1.1"), (4, socket.inet_aton(address)), (5, configs)]
    return b"\0\1\0" + b"".join(struct.pack("!H", key) + block16(value) for key, value in parameters)


def soa(zone):
    return record(zone, "SOA", encode_name("ns." + zone) + encode_name("admin." + zone)
                  + struct.pack("!5I", 1, 7200, 900, 86400, TTL))


def query(ident, name, kind, edns):
    size = struct.pack("!BHHIH", 0, TYPES["OPT"], EDNS_SIZE, 0, 0) if edns else b""
    return (struct.pack("!6H", ident, RECURSION_DESIRED, 1, 0, 0, int(edns))
            + encode_name(name) + struct.pack("!HH", TYPES[kind], 1) + size)


def read_query(message):
    """Name, type, the question's bytes, and how large an answer over UDP may be."""
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    kind, _ = struct.unpack_from("!HH", message, at + 1)
    has_edns = struct.unpack_from("!H", message, 10)[0] > 0
    kinds = {number: word for word, number in TYPES.items()}
    return ".".join(labels), kinds[kind], message[12:at + 5], EDNS_SIZE if has_edns else PLAIN_SIZE


def response(message, answers, authority=(), rcode=0, size=65535):
    """To a query; without its records where it is too large."""
    ident, question = struct.unpack_from("!H", message)[0], read_query(message)[2]
    flags = RESPONSE | RECURSION_DESIRED | RECURSION_AVAILABLE | rcode
    head = struct.pack("!6H", ident, flags, 1, len(answers), len(authority), 0)
    whole = head + question + b"".join([*answers, *authority])
    if len(whole) > size:
        return struct.pack("!6H", ident, flags | TRUNCATED, 1, 0, 0, 0) + question
    return whole
