"""A resolver that knows a few names, gives one of them two answers, and never answers for another."""
import socket
import struct
import threading

import dns
from scenes import BROKER, CHAT, CHAT6, EDGE, MEDIA, NO_HOST, PROXY, SERVERS, SERVERS6
from server import Connection

ZONE = {
    ("g.whatsapp.net", "A"): [CHAT],
    ("g.whatsapp.net", "AAAA"): [CHAT6],
    ("www.whatsapp.com", "CNAME"): ["mmx-ds.cdn.whatsapp.net"],
    ("mmx-ds.cdn.whatsapp.net", "AAAA"): SERVERS6,
    ("i.instagram.com", "CNAME"): ["instagram.c10r.instagram.com"],
    ("instagram.c10r.instagram.com", "CNAME"): ["edge7.example.net"],
    ("edge7.example.net", "A"): [EDGE],
    ("secure.viber.com", "A"): [BROKER],
    ("stun.example.org", "A"): [MEDIA],
    ("chat.signal.org", "A"): SERVERS[:1],
    ("chat.signal.org", "HTTPS"): [dns.https(SERVERS[0], "ech.example.net")],
    ("cdn.signal.org", "A"): ["203.0.113.%d" % host for host in range(100, 140)],
    ("proxy.example.net", "A"): [PROXY],
    ("www.youtube.com", "A"): SERVERS[:2],
}
FORGED = {"www.youtube.com": NO_HOST}
FORGED_TTL = 41  # IP's: the forger stands elsewhere
FORGED_LEAD = 0.03  # seconds that the true answer comes later
SILENT = {"t.me"}


def lookup(name, kind):
    """Records of an answer, aliases first."""
    alias = ZONE.get((name, "CNAME"))
    if alias:
        return [dns.record(name, "CNAME", alias[0])] + lookup(alias[0], kind)
    return [dns.record(name, kind, data) for data in ZONE.get((name, kind), [])]


def answer(message, size=65535):
    name, kind, _, _ = dns.read_query(message)
    if any(name == known for known, _ in ZONE):
        return dns.response(message, lookup(name, kind), size=size)
    zone = ".".join(name.split(".")[-2:])
    return dns.response(message, [], [dns.soa(zone)], dns.NXDOMAIN)


def serve_datagrams(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((address, 53))
    while True:
        message, peer = sock.recvfrom(4096)
        name, _, _, size = dns.read_query(message)
        if name in FORGED:
            forge(sock, message, FORGED[name], peer)
            threading.Timer(FORGED_LEAD, sock.sendto, (answer(message, size), peer)).start()
        elif name not in SILENT:
            sock.sendto(answer(message, size), peer)


def forge(sock, message, address, peer):
    name = dns.read_query(message)[0]
    ttl = (socket.IPPROTO_IP, socket.IP_TTL, struct.pack("i", FORGED_TTL))
    sock.sendmsg([dns.response(message, [dns.record(name, "A", address)])], [ttl], 0, peer)


class Resolver(Connection):
    """Over TCP."""

    def serve(self):
        while True:
            message = self.exactly(struct.unpack("!H", self.exactly(2))[0])
            self.sock.sendall(dns.block16(answer(message)))
