"""Packets in the order of their times, into a pcap file.

In: packets with their times, in any order within the few seconds that a flow looks ahead. Out: a classic pcap, Ethernet, microseconds.
"""
import struct
from operator import itemgetter

START = 1_700_000_000  # seconds; the first packet of every capture
FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
RECORD = struct.Struct("<IIII")
SECONDS_AND_LENGTH = struct.Struct("<I4xI")
SECONDS = struct.Struct("<I")
SLICE = 16  # bits of microseconds: packets are sorted in slices of 65 ms
CHUNK = 16 << 20


class Capture:
    """Takes packets for a later time and writes them once no earlier one can come."""

    def __init__(self, path):
        self.file = open(path, "w+b", buffering=0)
        self.file.write(FILE_HEADER)
        self.slices = {}
        self.done = 0
        self.places = bytearray()  # per packet: where in its record the client's address ends
        self.packets = 0
        self.last = 0

    def add(self, time, place, packet):
        self.packets += 1
        number = time >> SLICE
        if number in self.slices:
            self.slices[number].append((time, place, packet))
        else:
            self.slices[number] = [(time, place, packet)]

    def write_until(self, time):
        """Nothing before `time`, in microseconds, is added any more."""
        while self.done < time >> SLICE:
            self._write(self.slices.pop(self.done, ()))
            self.done += 1

    def finish(self):
        for number in sorted(self.slices):
            self._write(self.slices[number])
        self.slices = {}

    def _write(self, packets):
        if not packets:
            return
        packets.sort(key=itemgetter(0))  # stable: what was added first goes first at one time
        pieces = []
        for time, place, packet in packets:
            seconds, micros = divmod(time, 1_000_000)
            pieces.append(RECORD.pack(START + seconds, micros, len(packet), len(packet)))
            pieces.append(packet)
            self.places.append(place)
        self.last = packets[-1][0]
        write_all(self.file, b"".join(pieces))

    def repeat(self, times, pause):
        """Appends what was written `times - 1` times: later, and with other addresses of clients, so that no flow goes on.

        The second byte of the last four of an address grows by what the fourth loses: no checksum changes.
        """
        end = self.file.tell()
        every = self.last // 1_000_000 + 1 + pause
        for copy in range(1, times):
            at, rest, done = len(FILE_HEADER), b"", 0
            while at < end:
                self.file.seek(at)
                chunk = self.file.read(min(CHUNK, end - at))
                at += len(chunk)
                data = bytearray(rest + chunk)
                used, done = self._shift(data, done, copy * every, copy)
                rest = bytes(data[used:])
                self.file.seek(0, 2)
                write_all(self.file, memoryview(data)[:used])

    def _shift(self, data, done, seconds, copy):
        """Changes the whole records of `data`; says where the first unfinished one begins and how many packets are done."""
        at, size = 0, len(data)
        for place in memoryview(self.places)[done:]:
            if at + 16 > size:
                break
            time, length = SECONDS_AND_LENGTH.unpack_from(data, at)
            if at + 16 + length > size:
                break
            SECONDS.pack_into(data, at, time + seconds)
            last = at + place
            data[last - 2] += copy
            data[last] -= copy
            at += 16 + length
            done += 1
        return at, done


def write_all(file, data):
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest):]
