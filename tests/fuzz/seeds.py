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


def seeds(target):
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
    if target == "pcapng":
        for path in sorted(SAMPLES.glob("*.pcapng")):
            yield b"\0" + b"".join(list(blocks(path.read_bytes()))[1 : 2 + RECORDS])


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
