"""Ethernet, IP and TCP or UDP headers with right checksums, one `Half` for each direction of a flow.

A checksum is a sum modulo 65,535, and a 32-bit number leaves there what its two halves do (65,536 = 1): so the parts that never change are
summed once for each flow, payload is summed by a table, and a header is one call of `pack`.
"""
import struct

TCP, UDP = 6, 17
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CLIENT_MAC, SERVER_MAC = bytes.fromhex("0254530000c1"), bytes.fromhex("025453000051")
TIMESTAMPS = 0x0101080A  # two NOPs, kind 8, length 10 (RFC 7323 section 3.2)

TCP_V4 = struct.Struct(">16sHH4sH12sIIHHHH")
TCP_V4_TIMES = struct.Struct(">16sHH4sH12sIIHHHHIII")
TCP_V6 = struct.Struct(">18sH2s36sIIHHHH")
TCP_V6_TIMES = struct.Struct(">18sH2s36sIIHHHHIII")
UDP_V4 = struct.Struct(">16sHH4sH12sHH")
UDP_V6 = struct.Struct(">18sH2s36sHH")


def words(data):
    """The sum of the 16-bit words of `data`, modulo 65,535."""
    return int.from_bytes(data + b"\0" * (len(data) & 1), "big") % 65_535


class Half:
    """What one end sends: it knows its next sequence number and what it has acknowledged."""

    __slots__ = ("link", "fixed", "tuple", "v6", "ip_sum", "body_sum", "place", "ip_id", "id_step", "seq", "acked", "window", "times", "seen")

    def __init__(self, source, target, ports, protocol, hops, from_client, random):
        self.v6 = len(source) == 16
        macs = SERVER_MAC + CLIENT_MAC if from_client else CLIENT_MAC + SERVER_MAC
        if self.v6:
            self.link = macs + b"\x86\xdd\x60\0\0\0"
            self.fixed = bytes((protocol, hops))
        else:
            self.link = macs + b"\x08\0\x45\0"
            self.fixed = bytes((0x40, 0, hops, protocol))  # don't fragment
        self.tuple = source + target + struct.pack(">HH", *ports)
        self.ip_sum = 0x4500 + words(self.fixed) + words(source + target)
        self.body_sum = words(self.tuple) + protocol
        header = 16 + 14 + (8 if self.v6 else 12)
        self.place = header + len(source) * (1 if from_client else 2) - 1
        self.ip_id = int(random() * 65_536)
        self.id_step = 0 if random() < 0.2 else 1
        if self.id_step == 0:
            self.ip_id = 0
        self.seq = int(random() * 4_294_967_296)
        self.acked = 0
        self.window = 502
        self.times = None  # what is added to milliseconds; none without timestamps
        self.seen = 0  # the last timestamp of the other end

    def tcp(self, time, flags, payload=b"", payload_sum=0, seq=None, acked=None, options=b""):
        """One segment. `options` stand in place of the timestamps, padded to four bytes."""
        if seq is None:
            seq = self.seq
        if acked is None:
            acked = self.acked
        if self.times is None or options:
            size = 20 + len(options) + len(payload)
            flags |= (20 + len(options)) << 10
            total = self.body_sum + size + seq + acked + flags + self.window + payload_sum
            if options:
                total += words(options)
            check = -total % 65_535
            if self.v6:
                return TCP_V6.pack(self.link, size, self.fixed, self.tuple, seq, acked, flags, self.window, check, 0) + options + payload
            number = self._next_id()
            ip_check = -(self.ip_sum + 20 + size + number) % 65_535
            return TCP_V4.pack(self.link, 20 + size, number, self.fixed, ip_check, self.tuple, seq, acked, flags, self.window, check, 0) + options + payload
        size = 32 + len(payload)
        flags |= 0x8000
        value = self.times + time // 1000
        total = self.body_sum + size + seq + acked + flags + self.window + TIMESTAMPS + value + self.seen + payload_sum
        check = -total % 65_535
        if self.v6:
            return TCP_V6_TIMES.pack(self.link, size, self.fixed, self.tuple, seq, acked, flags, self.window, check, 0, TIMESTAMPS, value, self.seen) + payload
        number = self._next_id()
        ip_check = -(self.ip_sum + 20 + size + number) % 65_535
        return TCP_V4_TIMES.pack(self.link, 20 + size, number, self.fixed, ip_check, self.tuple, seq, acked, flags, self.window, check, 0,
                                 TIMESTAMPS, value, self.seen) + payload

    def udp(self, payload, payload_sum):
        size = 8 + len(payload)
        check = -(self.body_sum + 2 * size + payload_sum) % 65_535 or 0xFFFF  # the length stands in the pseudo-header too
        if self.v6:
            return UDP_V6.pack(self.link, size, self.fixed, self.tuple, size, check) + payload
        number = self._next_id()
        ip_check = -(self.ip_sum + 20 + size + number) % 65_535
        return UDP_V4.pack(self.link, 20 + size, number, self.fixed, ip_check, self.tuple, size, check) + payload

    def _next_id(self):
        self.ip_id = (self.ip_id + self.id_step) & 0xFFFF
        return self.ip_id
