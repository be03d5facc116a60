"""The course of a flow: who sends what when, as a capture between client and server sees it.

Times are microseconds. A flow is laid into the capture at once, up to its end; the capture keeps the order.
"""
from headers import ACK, FIN, PSH, RST, SYN, Half
from payload import dns, quic_initial, stun, with_sum

TCP, UDP = 6, 17
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


class Traffic:
    """The mix. Shares and sizes are chosen so that a GiB holds some 3 million packets in some 260,000 TCP and 54,000 UDP flows."""

    def __init__(self, capture, payload, clients, servers):
        self.capture, self.payload, self.random = capture, payload, payload.random
        self.ends = Ends(payload.random, clients, servers)

    def flow(self, time):
        share = self.random()
        if share < 0.174:
            self.udp(time)
        elif share < 0.455:
            self.unanswered(time)
        elif share < 0.555:
            self.refused(time)
        elif share < 0.63:
            self.plain(time)
        else:
            self.tls(time)

    def tcp(self, port):
        random = self.random
        return Tcp(self.capture, self.payload, self.ends, port, 1_000 + int(8_000 * random()), 5_000 + int(120_000 * random() ** 2))

    def size(self, least, most):
        """Heavy-tailed (Pareto, index 1.2: many flows are short, few carry most bytes)."""
        return min(int(least * (1 - self.random()) ** (-1 / 1.2)), most)

    def unanswered(self, time):
        connection = self.tcp(443 if self.random() < 0.7 else 1 + int(self.random() * 10_000))
        for again in (0, 1_000_000, 3_000_000)[:1 + int(self.random() * 2.4)]:
            connection.syn(time + again)

    def refused(self, time):
        connection = self.tcp(1 + int(self.random() * 10_000))
        connection.syn(time)
        connection.server.acked, connection.server.seq = (connection.client.seq + 1) & 0xFFFFFFFF, 0
        connection.server.times, connection.server.window = None, 0
        connection.put(time + connection.far, connection.server, RST | ACK)

    def plain(self, time):
        """One request and its answer in the clear."""
        connection = self.tcp(80)
        time = connection.handshake(time)
        connection.say(time + 200, connection.client, *self.payload.requests[self.payload.host()])
        time += connection.far
        connection.acknowledge(time, connection.server)
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 300\r\n\r\n" + b"<p>" + b"a" * 297
        connection.say(time + 3_000, connection.server, *with_sum(answer))
        time += 3_000 + connection.near
        connection.acknowledge(time, connection.client)
        connection.close(time + 2_000 + int(2_000_000 * self.random()), connection.client)

    def tls(self, time):
        connection, random = self.tcp(443), self.random
        client, server = connection.client, connection.server
        time = connection.handshake(time) + 300
        hello, hello_sum = self.payload.hellos[self.payload.host()][int(random() * 4)]
        if len(hello) > MSS:
            connection.say(time, client, *with_sum(hello[:MSS]), ACK)
            connection.say(time + 20, client, *with_sum(hello[MSS:]))
        else:
            connection.say(time, client, hello, hello_sum)
            if random() < 0.01:
                seq = (client.seq - len(hello)) & 0xFFFFFFFF
                connection.put(time + 250_000, client, PSH | ACK, hello, hello_sum, seq)
        time += connection.far
        if random() < 0.05:
            connection.reset(time, server)
            return
        connection.acknowledge(time, server)
        connection.say(time + 500, server, *self.payload.answers[int(random() * 16)], ACK)
        time = connection.message(time + 520, server, 900 + int(2_200 * random()))
        connection.say(time + 400, client, *self.payload.resume)
        time += 450
        for exchange in range(min(self.size(0.5, 40) + (random() < 0.3), 40)):
            time = connection.message(time, client, 60 + int(400 * random()))
            answer = self.size(380, 3_000_000)
            time += 2_000
            while answer > 0:
                time = connection.message(time, server, max(30, min(answer, 16_401)))
                answer -= 16_401
            time += int(3_000_000 * random() ** 3)
        self.end(connection, time)

    def end(self, connection, time):
        share = self.random()
        if share < 0.03:
            return  # still open when the capture ends
        sender = connection.client if self.random() < 0.6 else connection.server
        if share < 0.13:
            connection.reset(time, sender)
        else:
            connection.close(time, sender)

    def udp(self, time):
        share = self.random()
        if share < 0.72:
            self.dns(time)
        elif share < 0.92:
            self.quic(time)
        else:
            self.stun(time)

    def dns(self, time):
        client, server = self.ends.pair(UDP, 53, server=int(self.random() * 4))
        number, host, kind = int(self.random() * 65_536), self.payload.hosts[self.payload.host()], 1 if self.random() < 0.7 else 28
        for half, answered, wait in ((client, 0, 0), (server, 1, 1_000 + int(30_000 * self.random()))):
            self.capture.add(time + wait, half.place, half.udp(*with_sum(dns(number, host, kind, answered))))

    def quic(self, time):
        client, server = self.ends.pair(UDP, 443)
        far, names = 5_000 + int(100_000 * self.random() ** 2), self.payload.cut(16)[0]
        for half, wait in ((client, 0), (server, far)):
            initial = quic_initial(names[:8], names[8:], 1_232, self.payload.cut(1_232)[0])
            self.capture.add(time + wait, half.place, half.udp(*with_sum(initial)))
        time += far + 2_000
        for _ in range(self.size(2, 2_000)):
            half, size = (client, 28 + int(self.random() * 40)) if self.random() < 0.4 else (server, 1_232)
            body, body_sum = self.payload.cut(size - 2)
            self.capture.add(time, half.place, half.udp(b"\x41\x07" + body, 0x4107 + body_sum))
            time += 200 + int(4_000 * self.random())

    def stun(self, time):
        client, server = self.ends.pair(UDP, 3478)
        for _ in range(1 + int(self.random() * 4)):
            transaction = self.payload.cut(12)[0]
            mapped = b"\0\x20\0\x08\0\x01" + transaction[:6]
            self.capture.add(time, client.place, client.udp(*with_sum(stun(0x0001, transaction))))
            self.capture.add(time + 30_000, server.place, server.udp(*with_sum(stun(0x0101, transaction, mapped))))
            time += 500_000


class Elephant:
    """One connection that never rests: two segments down, one acknowledgement up, now and then a request."""

    def __init__(self, traffic, time):
        self.connection = traffic.tcp(443)
        while self.connection.client.v6:
            self.connection = traffic.tcp(443)
        self.connection.near, self.connection.far = 400, 900
        self.capture = traffic.capture
        before = self.capture.packets
        self.ready = self.connection.handshake(time)
        hello = traffic.payload.hellos[0][1]
        self.connection.say(self.ready + 10, self.connection.client, *hello)
        self.connection.say(self.ready + 900, self.connection.server, *traffic.payload.answers[0])
        self.ready += 1_000
        self.packets = self.capture.packets - before

    def send(self, time, share):
        """Sends records from `time` on until the connection has its share of all packets."""
        connection, time = self.connection, max(time, self.ready)
        while self.packets < share * self.capture.packets:
            before = self.capture.packets
            if connection.random() < 0.02:
                connection.message(time, connection.client, 300)
            done = connection.message(time + 5, connection.server, 16_401, pace=3)
            time = time + 60 if done < time + 60 + connection.near else done  # what was lost is sent again before anything new
            self.packets += self.capture.packets - before
        self.ready = time
