#!/usr/bin/env python3
"""Turns a pcap with nanoseconds into a pcapng with nanoseconds.

    pcapng.py IN OUT
"""
import struct
import sys

NANOSECOND_PCAP = 0xA1B23C4D
SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
OPTION_TIME_RESOLUTION = 9


def padded(data):
    return data + bytes(-len(data) % 4)


def block(kind, body):
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def section():
    return block(SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(link_type, snap_length):
    resolution = struct.pack("<HH", OPTION_TIME_RESOLUTION, 1) + padded(b"\x09")
    end = struct.pack("<HH", 0, 0)
    return block(INTERFACE, struct.pack("<HHI", link_type, 0, snap_length) + resolution + end)


def packet(nanoseconds, captured, original):
    head = struct.pack("<IIIII", 0, nanoseconds >> 32, nanoseconds & 0xFFFFFFFF, len(captured), original)
    return block(PACKET, head + padded(captured))


def convert(data):
    magic, _, _, _, _, snap_length, link_type = struct.unpack_from("<IHHiIII", data)
    if magic != NANOSECOND_PCAP:
        sys.exit("not a little-endian pcap with nanoseconds")
    yield section()
    yield interface(link_type, snap_length)
    at = 24
    while at < len(data):
        seconds, nanoseconds, captured, original = struct.unpack_from("<IIII", data, at)
        at += 16
        yield packet(seconds * 10**9 + nanoseconds, data[at:at + captured], original)
        at += captured


def main():
    with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
        target.writelines(convert(source.read()))


main()
