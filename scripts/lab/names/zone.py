"""The resolver of the sample `names`: aliases, an ECH configuration, an answer too large for UDP, a name never answered.

In: a question, over UDP or TCP. Out: as `resolver.Resolver.answer`. Names that the zone lacks do not exist.
"""
import os
import socket
import struct

import acts
import dns
from scene import BROKER, CHAT, CHAT6, EDGE, EDNS_SIZE, MEDIA, PROXY, SERVERS

PLAIN_SIZE = 512  # bytes of an answer over UDP without EDNS (RFC 1035 section 2.3.4)
ECH_VERSION = b"\xfe\x0d"  # RFC 9849 section 4


def block16(data):
    return struct.pack("!H", len(data)) + data


def https(address, public_name):
    """The data of an HTTPS record with ALPN, address hint and an ECH configuration (RFC 9460 section 2.2)."""
    key = struct.pack("!BH", os.urandom(1)[0], 0x20) + block16(os.urandom(32)) + block16(b"\0\1\0\1")
    contents = key + struct.pack("!BB", 0, len(public_name)) + public_name.encode() + block16(b"")
    configs = block16(ECH_VERSION + block16(contents))
    parameters = [(1, b"\x02h2\x08http/1.1"), (4, socket.inet_aton(address)), (5, configs)]
    return b"\0\1\0" + b"".join(struct.pack("!H", word) + block16(value) for word, value in parameters)


ALIASES = {
    "www.whatsapp.com": "mmx-ds.cdn.whatsapp.net",
    "i.instagram.com": "instagram.c10r.instagram.com",
    "instagram.c10r.instagram.com": "edge7.example.net",
}
RECORDS = {
    ("g.whatsapp.net", "A"): [CHAT],
    ("g.whatsapp.net", "AAAA"): [CHAT6],
    ("mmx-ds.cdn.whatsapp.net", "AAAA"): ["2001:db8:2::10", "2001:db8:2::20"],
    ("edge7.example.net", "A"): [EDGE],
    ("secure.viber.com", "A"): [BROKER],
    ("stun.example.org", "A"): [MEDIA],
    ("chat.signal.org", "A"): SERVERS[:1],
    ("chat.signal.org", "HTTPS"): [https(SERVERS[0], "ech.example.net")],
    ("cdn.signal.org", "A"): ["203.0.113.%d" % host for host in range(100, 140)],
    ("proxy.example.net", "A"): [PROXY],
    ("www.youtube.com", "A"): SERVERS[:2],
}
KNOWN = set(ALIASES) | {name for name, _ in RECORDS}


def lookup(name, kind):
    """Records of an answer, aliases first."""
    owner = dns.encode_name(name)
    if name in ALIASES:
        return [dns.record("CNAME", dns.encode_name(ALIASES[name]), owner)] + lookup(ALIASES[name], kind)
    return [dns.record(kind, data, owner) for data in RECORDS.get((name, kind), [])]


def size_of(message):
    """How large an answer over UDP may be: a question has additional records only if it speaks EDNS."""
    return EDNS_SIZE if struct.unpack_from("!H", message, 10)[0] else PLAIN_SIZE


class Zone:
    def __init__(self, wishes, over_udp):
        self.wishes, self.over_udp = wishes, over_udp

    def answer(self, message, peer):
        if acts.read_wish(self.wishes, *peer[:2]).get("act") == "dead":
            return 0, None
        name, kind, _ = dns.read_query(message)
        if name not in KNOWN:
            return 0, dns.response(message, authority=[dns.soa(".".join(name.split(".")[-2:]))], rcode=dns.NXDOMAIN)
        whole = dns.response(message, lookup(name, kind))
        return 0, dns.truncated(message) if self.over_udp and len(whole) > size_of(message) else whole
