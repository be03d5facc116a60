#!/usr/bin/env python3
"""First inputs of a target, made of the first records of each sample: seeds.py TARGET FOLDER

Small, so that the engine gets far with each. Inputs that have a shape of their own (packets, steps) begin from nothing.
"""
import bz2
import gzip
import lzma
import struct
import sys
from pathlib import Path

CATALOG = Path(__file__).resolve().parents[2] / "src/service/catalog.toml"
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
FILE_HEADER, RECORD_HEADER, SECTION_HEADER = 24, 16, 28
RECORDS = 8


def pcap_records(data):
    """Bytes of each record, header included."""
    at = FILE_HEADER
    while at + RECORD_HEADER <= len(data):
        (captured,) = struct.unpack_from("<I", data, at + 8)
        end = at + RECORD_HEADER + captured
        yield data[at:end]
        at = end


def blocks(data):
    at = 0
    while at + 12 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        yield data[at : at + length]
        at += length


def hellos(packets):
    """Payloads that begin like a TLS record."""
    for packet in packets:
        for start in (b"\x16\x03\x01", b"\x16\x03\x03", b"\x15\x03\x03"):
            at = packet.find(start, 40)
            if at > 0:
                yield packet[at:]
                break


# What the samples do not hold: a question and two answers; heads; a request of RFC 7541 appendix C.4.1; openings of SOCKS, PROXY, SMTP, LDAP.
NAME = b"\3www\7example\3com\0"
WRITTEN = {
    "dns": [
        b"\x12\x34\1\0\0\1\0\0\0\0\0\1" + NAME + b"\0\x41\0\1" + b"\0\0\x29\4\xd0\0\0\x80\0\0\0",
        b"\x12\x34\x81\x80\0\1\0\2\0\0\0\0" + NAME + b"\0\1\0\1" + b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1a\xc0\x10" + b"\xc0\x2d\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1",
        b"\x12\x34\x81\x80\0\1\0\1\0\0\0\0" + NAME + b"\0\x41\0\1" + b"\xc0\x0c\0\x41\0\1\0\0\0\x3c\0\x12\0\1\0\0\1\0\3\2h3\0\4\0\4\xc0\0\2\1",
    ],
    "http": [
        b"GET http://a.example/b c HTTP/1.1\r\nHost: a.example\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nLocation: http://b.example/\r\nContent-Length: 20\r\n\r\n<title>a&amp;b</title>",
    ],
    "http2": [b"\1\7\0\0\x11\1\4\0\0\0\1" + bytes.fromhex("828684418cf1e3c2e5f23a6ba0ab90f4ff")],
    "wrappers": [
        b"\5\1\0\5\1\0\3\x0bexample.org\1\xbb",
        b"\5\0\5\0\0\1\0\0\0\0\0\0",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 52176 443\r\n",
        b"EHLO a\r\nSTARTTLS\r\n\x16\3\1\2\0\1",
        b"0\x0c\2\1\1x\7\n\1\0\4\0\4\0\x16\3\3\0\x40\2",
    ],
}


def seeds(target):
    yield from WRITTEN.get(target, [])

    for path in sorted(SAMPLES.glob("*.pcap")):
        data = path.read_bytes()
        records = list(pcap_records(data))
        head, few = data[:FILE_HEADER], records[:RECORDS]
        link = struct.unpack_from("<H", data, 20)[0]
        if target == "pcap":
            yield b"\0" + b"".join(few)
        elif target == "packed":
            whole = head + b"".join(few)
            yield b"\0" + gzip.compress(whole)[3:]
            yield b"\5" + lzma.compress(whole)[6:]
            yield b"\6" + bz2.compress(whole)[10:]
            yield from (frame(whole) for frame in (zstd_stored, lz4_stored))
        elif target == "packet":
            for record in few:
                yield struct.pack("<HB", link, 0) + record[RECORD_HEADER:]
        elif target == "client_hello":
            yield from list(hellos(record[RECORD_HEADER:] for record in records))[:RECORDS]
    if target == "dtls":
        yield from dtls_hellos()
    if target == "catalog":
        yield from catalogs()
    if target == "networks":
        yield b"prefix,asn,name\n10.0.0.0/8,AS64512,\"A, Inc.\"\n2001:db8::/32,64513,B\n"
        yield b"# prefixes\n10.0.0.0\t8\t64512_64513\n10.1.0.0/16 AS64514 C D\n"
    if target == "pcapng":
        for path in sorted(SAMPLES.glob("*.pcapng")):
            yield b"\0" + b"".join(list(blocks(path.read_bytes()))[1 : 2 + RECORDS])


def dtls_hellos():
    """A ClientHello of DTLS 1.2 (RFC 6347 section 4.2) in one datagram, and in two of one fragment each; a length in front of each datagram."""
    name = b"\0\0\0\x0f\0\x0d\0\0\x0achat.local"
    body = b"\xfe\xfd" + bytes(32) + b"\0\0" + b"\0\2\xc0\x2b" + b"\1\0" + struct.pack(">H", len(name)) + name

    def datagram(offset, piece):
        u24 = lambda value: struct.pack(">I", value)[1:]
        fragment = b"\1" + u24(len(body)) + b"\0\0" + u24(offset) + u24(len(piece)) + piece
        record = b"\x16\xfe\xfd" + bytes(8) + struct.pack(">H", len(fragment)) + fragment
        return struct.pack(">H", len(record)) + record

    yield datagram(0, body)
    yield datagram(30, body[30:]) + datagram(0, body[:30])


def catalogs():
    """Files with one service each."""
    head, *services = CATALOG.read_bytes().split(b"[[service]]\n")
    for service in services:
        yield head + b"[[service]]\n" + service.split(b"[[dns_resolver]]")[0]


def zstd_stored(whole):
    """One frame with its size, of one raw block (RFC 8878 section 3.1.1)."""
    block = struct.pack("<I", len(whole) << 3 | 1)[:3]
    return b"\1" + b"\xa0" + struct.pack("<I", len(whole)) + block + whole


def lz4_stored(whole):
    """One frame without checksums, of one block that is not compressed; the last byte of its header is its checksum (LZ4 frame format 1.6.4)."""
    return b"\3" + b"\x60\x40\x82" + struct.pack("<I", len(whole) | 1 << 31) + whole + b"\0\0\0\0"


def main():
    target, folder = sys.argv[1], Path(sys.argv[2])
    for number, seed in enumerate(seeds(target)):
        (folder / f"seed-{number:03}").write_bytes(seed)


main()
