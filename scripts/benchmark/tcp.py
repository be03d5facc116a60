"""A TCP connection, segment by segment, as a capture between client and server sees it.

Times are microseconds. A message is laid into the capture at once, with its acknowledgements; the capture keeps the order.
"""
from headers import ACK, FIN, PSH, RST, SYN, TCP, Half

MSS = 1_448
SYN_OPTIONS = bytes.fromhex("020405b40402080a")  # MSS 1,460, SACK permitted, timestamps; the rest is filled in
SYN_PLAIN = bytes.fromhex("020405b40103030704020000")  # MSS 1,460, window scale 7, SACK permitted


CLIENTS_MAX = 3 * 256 * 192


def client_address(number):
    """The second byte is a multiple of 64 and the last at least 64: `Capture.repeat` moves both, and no two repetitions share an address."""
    return bytes((10, number // 49_152 % 3 * 64, number // 192 % 256, 64 + number % 192))


class Ends:
    """Addresses and ports: no two flows share a tuple, since a client never takes a port twice."""

    def __init__(self, random, clients, servers):
        self.random, self.clients, self.servers = random, clients, servers
        self.ports = [int(random() * 28_000) for _ in range(clients)]

    def pair(self, protocol, port, server=None):
        random = self.random
        client = int(self.clients * random() ** 1.5)
        self.ports[client] = (self.ports[client] + 1) % 28_232
        ports = (32_768 + self.ports[client], port)
        if server is None:
            server = int(self.servers * random() ** 3)
        low = client_address(client)
        high = bytes((198, 18 + (server >> 16), server >> 8 & 255, server & 255))
        if client % 8 == 7:
            low, high = bytes.fromhex("20010db8000100000000000a") + low, bytes.fromhex("20010db8000200000000000b") + high
        near, far = (61, 125)[client & 1], 48 + server % 10
        return Half(low, high, ports, protocol, near, True, random), Half(high, low, ports[::-1], protocol, far, False, random)


class Tcp:
    """One connection. `near` and `far` are the ways to the client and back, and to the server and back."""

    def __init__(self, capture, payload, ends, port, near, far):
        self.capture, self.payload, self.random = capture, payload, payload.random
        self.client, self.server = ends.pair(TCP, port)
        self.near, self.far = near, far
        if self.random() < 0.7:
            self.client.times, self.server.times = (int(self.random() * 2_000_000_000) for _ in range(2))

    def put(self, time, half, flags, payload=b"", payload_sum=0, seq=None, acked=None, options=b""):
        self.capture.add(time, half.place, half.tcp(time, flags, payload, payload_sum, seq, acked, options))

    def syn_options(self, half, time):
        if half.times is None:
            return SYN_PLAIN
        return SYN_OPTIONS + (half.times + time // 1000).to_bytes(4, "big") + half.seen.to_bytes(4, "big") + b"\x01\x03\x03\x07"

    def syn(self, time):
        self.put(time, self.client, SYN, acked=0, options=self.syn_options(self.client, time))

    def handshake(self, time):
        """Says when the client's ACK passes."""
        client, server = self.client, self.server
        self.syn(time)
        client.seq = (client.seq + 1) & 0xFFFFFFFF
        server.acked = client.seq
        self.see(time, client, server)
        time += self.far
        self.put(time, server, SYN | ACK, options=self.syn_options(server, time))
        server.seq = (server.seq + 1) & 0xFFFFFFFF
        client.acked = server.seq
        self.see(time, server, client)
        time += self.near
        self.put(time, client, ACK)
        return time

    @staticmethod
    def see(time, sender, receiver):
        if sender.times is not None:
            receiver.seen = sender.times + time // 1000

    def say(self, time, sender, payload, payload_sum, flags=PSH | ACK):
        """One segment that is not acknowledged by itself."""
        receiver = self.server if sender is self.client else self.client
        self.put(time, sender, flags, payload, payload_sum)
        sender.seq = (sender.seq + len(payload)) & 0xFFFFFFFF
        receiver.acked = sender.seq
        self.see(time, sender, receiver)

    def acknowledge(self, time, receiver):
        self.put(time, receiver, ACK)

    def message(self, time, sender, size, pace=40):
        """A TLS record of `size` bytes in segments, acknowledged by every other one; some are lost, late or sent twice. Says when all is acknowledged."""
        receiver, back = (self.client, self.near) if sender is self.server else (self.server, self.far)
        forth = self.far if sender is self.server else self.near
        sent, count, late, last_ack = 0, 0, None, 0
        while sent < size:
            length = min(MSS, size - sent)
            payload, payload_sum = self.payload.record(length, size) if sent == 0 and length > 5 else self.payload.cut(length)
            seq, ends = sender.seq, sent + length >= size
            flags = PSH | ACK if ends else ACK
            trouble = self.random()
            if late is None and trouble < 0.015 and not ends:
                # Lost before (a third) or behind this place: what follows is acknowledged as before, then the segment comes again.
                late = (seq, payload, payload_sum, trouble < 0.005)
                if not late[3]:
                    self.put(time, sender, ACK, payload, payload_sum, seq)
            elif trouble > 0.985 and not ends:
                self.put(time + 2 * pace + 1, sender, flags, payload, payload_sum, seq)  # overtaken by the next two
            else:
                self.put(time, sender, flags, payload, payload_sum, seq)
                if trouble > 0.994:
                    self.put(time + 200_000, sender, flags, payload, payload_sum, seq)  # sent again without need
            sender.seq = (seq + length) & 0xFFFFFFFF
            sent, count = sent + length, count + 1
            if late is not None and late[0] != seq:
                self.put(time + back, receiver, ACK, acked=late[0])  # a duplicate acknowledgement
                if ends or count & 3 == 0:
                    time += forth + back
                    self.put(time, sender, ACK, late[1], late[2], late[0])
                    late = None
                    self._acknowledged(time, sender, receiver, back)
            elif late is None and (ends or count & 1 == 0):
                self._acknowledged(time, sender, receiver, back)
            last_ack = time + back
            time += pace
        return last_ack

    def _acknowledged(self, time, sender, receiver, back):
        receiver.acked = sender.seq
        self.see(time, sender, receiver)
        self.put(time + back, receiver, ACK)

    def close(self, time, first):
        """FIN, FIN and ACK, ACK."""
        second, way = (self.server, self.far) if first is self.client else (self.client, self.near)
        for sender, receiver in ((first, second), (second, first)):
            self.put(time, sender, FIN | ACK)
            sender.seq = (sender.seq + 1) & 0xFFFFFFFF
            receiver.acked = sender.seq
            self.see(time, sender, receiver)
            time += way
        self.put(time, first, ACK)

    def reset(self, time, sender):
        times, sender.times, window, sender.window = sender.times, None, sender.window, 0
        if self.random() < 0.5:
            self.put(time, sender, RST, acked=0)
        else:
            self.put(time, sender, RST | ACK)
        sender.times, sender.window = times, window
