"""The mix: which flows there are, how long and how big they are.

A flow is laid into the capture at once, up to its end.
"""
from headers import ACK, PSH, RST, UDP
from payload import dns, quic_initial, stun, with_sum
from tcp import MSS, Ends, Tcp


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
