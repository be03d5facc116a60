"""A resolver over UDP and TCP: it knows the scene's names, and answers as the client's wish says.

In: the scene (names of its servers, and a `zone` of name -> addresses where there is one) and the folder of wishes. Acts: plain;
slow (an answer after more than a client's first timeout); dead (none). Unknown names do not exist.
"""
import random
import socket
import struct
import threading
import time
import zlib

import acts
import dns
from wire import exactly

SLOW = (2.2, 3.4)
LIFETIMES = [30, 60, 120, 300]  # seconds
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2  # <linux/in.h>: with it the kernel sends datagrams with IPID 0


class Resolver:
    def __init__(self, scene, wishes):
        self.wishes = wishes
        self.zone = {}
        for server in scene["servers"]:
            for name in server["names"] if not server.get("foreign") else []:
                self.zone.setdefault(name, []).append(server["ip"])
        self.zone.update(scene.get("zone") or {})

    def answer(self, message, peer):
        """(pause, bytes); bytes are None where no answer comes."""
        name, kind, _ = dns.read_query(message)
        act = acts.read_wish(self.wishes, *peer[:2]).get("act", "plain")
        if act == "dead":
            return 0, None
        pause = random.uniform(*SLOW) if act == "slow" else random.uniform(0, 0.003)
        if act == "broken":
            return pause, dns.response(message, rcode=dns.SERVFAIL)
        if act == "slow" and name not in self.zone:
            return pause, dns.response(message, [dns.record("A", "203.0.113.%d" % random.randint(1, 254))] if kind == "A" else [])
        if name not in self.zone:
            return pause, dns.response(message, authority=[dns.soa(zone_of(name))], rcode=dns.NXDOMAIN)
        found = [address for address in self.zone[name] if (":" in address) == (kind == "AAAA") and kind in ("A", "AAAA")]
        found = random.sample(found, random.randint(1, len(found))) if found else []
        ttl = random.Random(name).choice(LIFETIMES)
        authority = [] if found else [dns.soa(zone_of(name))]
        return pause, dns.response(message, [dns.record(kind, address, ttl=ttl) for address in found], authority)


def zone_of(name):
    return ".".join(name.split(".")[-2:])


def bind(address):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    if ":" not in address and zlib.crc32(address.encode()) & 1:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
    sock.bind((address, 53))
    return sock


def serve_datagrams(sock, resolver):
    while True:
        try:
            message, peer = sock.recvfrom(4096)
            pause, answer = resolver.answer(message, peer)
        except (OSError, IndexError, struct.error):
            continue
        if answer:
            threading.Timer(pause, send, (sock, answer, peer)).start()


def send(sock, answer, peer):
    try:
        sock.sendto(answer, peer)
    except OSError:
        pass


class Connection:
    """Over TCP, where each message has its length before it."""

    def __init__(self, sock, peer, resolver):
        sock.settimeout(10)
        self.sock, self.peer, self.resolver = sock, peer, resolver

    def serve(self):
        while True:
            size = exactly(self.sock, 2)
            message = exactly(self.sock, struct.unpack("!H", size)[0])
            pause, answer = self.resolver.answer(message, self.peer)
            time.sleep(pause)
            if answer:
                self.sock.sendall(struct.pack("!H", len(answer)) + answer)

    def close(self):
        self.sock.close()
