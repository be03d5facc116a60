"""Messages of STUN (RFC 8489) and media packets like RTP: bytes in and out."""
import os
import random
import socket
import struct

COOKIE = 0x2112A442
REQUEST, SUCCESS, XOR_MAPPED = 0x0001, 0x0101, 0x0020


def request():
    """A Binding request with a user name, as calls send it."""
    name = os.urandom(6).hex().encode()
    attribute = struct.pack("!HH", 0x0006, len(name)) + name
    return struct.pack("!HHI", REQUEST, len(attribute), COOKIE) + os.urandom(12) + attribute


def is_stun(message):
    return len(message) >= 20 and message[0] < 64 and message[4:8] == struct.pack("!I", COOKIE)


def success(message, peer):
    """Tells the asker where its request came from."""
    if ":" in peer[0]:
        mask = struct.pack("!I", COOKIE) + message[8:20]
        address, family = bytes(a ^ b for a, b in zip(socket.inet_pton(socket.AF_INET6, peer[0]), mask)), 2
    else:
        address, family = bytes(a ^ b for a, b in zip(socket.inet_aton(peer[0]), struct.pack("!I", COOKIE))), 1
    value = struct.pack("!BBH", 0, family, peer[1] ^ (COOKIE >> 16)) + address
    return struct.pack("!HH", SUCCESS, 4 + len(value)) + message[4:20] + struct.pack("!HH", XOR_MAPPED, len(value)) + value


class Media:
    """One direction of a call."""

    def __init__(self):
        self.source = random.getrandbits(32)
        self.number, self.time = random.getrandbits(15), random.getrandbits(31)

    def packet(self):
        self.number, self.time = (self.number + 1) & 0xFFFF, (self.time + 1440) & 0xFFFFFFFF
        return struct.pack("!BBHII", 0x80, 120, self.number, self.time, self.source) + os.urandom(random.randint(50, 150))
