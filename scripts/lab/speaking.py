"""Client programs that do not speak TLS: first payloads of messengers, DNS, calls, scans, unused connections, happy eyeballs.

In: a flow, the client's address, the folder of wishes. Out: rows as in `session`; a race gives one for each of its connections.
"""
import os
import random
import select
import socket
import struct
import time

import acts
import dns
import stun
from session import AT_ONCE, Session, Stopped, describe, open_socket

NOISE_PROLOGUE = b"WA\x06\x03"
DNS_TIMEOUT, DNS_TRIES = 2.0, 3
STUN_FIRST, STUN_TRIES = 0.5, 6
MEDIA_INTERVAL, STEADY = 0.03, 0.85
RACE_DELAY = 0.25


class Raw(Session):
    """A dialogue after a first payload that is not TLS."""

    def talk(self):
        kind = self.flow.get("payload", "random")
        getattr(self, "say_" + kind, self.say_random)()
        self.complete, self.answered = True, time.time()
        time.sleep(random.uniform(0, 0.2))
        self.close()

    def ask(self, data):
        self.sock.sendall(data)
        self.hear()

    def hear(self):
        part = self.sock.recv(16384)
        if not part:
            raise ConnectionError("the answer was cut short")
        self.got += len(part)

    def say_noise(self):
        self.ask(NOISE_PROLOGUE + framed(b"\x12\x22\x0a\x20" + os.urandom(32)))
        for _ in range(random.randint(2, 5)):
            self.ask(framed(os.urandom(random.randint(40, 300))))

    def say_mtproto(self):
        """The transports whose first bytes are in clear; the obfuscated one looks like `random`."""
        first = random.choice([b"\xef", b"\xee" * 4, b"\xdd" * 4])
        body = bytes(8) + os.urandom(32)
        size = bytes([len(body) // 4]) if first == b"\xef" else struct.pack("<I", len(body))
        self.ask(first + size + body)
        for _ in range(random.randint(2, 5)):
            self.ask(os.urandom(random.randint(60, 400)))

    def say_ssh(self):
        self.ask(b"SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13.5\r\n")
        for _ in range(random.randint(2, 4)):
            self.ask(os.urandom(random.randint(60, 1200)))

    def say_random(self):
        for _ in range(random.randint(2, 5)):
            self.ask(os.urandom(random.randint(80, 500)))

    def was_slow(self):
        return False


def framed(data):
    return len(data).to_bytes(3, "big") + data


class IdleOpen(Session):
    """A connection opened in advance and never used."""

    def talk(self):
        self.wanted_to_stop = True
        readable = select.select([self.sock], [], [], self.flow.get("wait_s", 3.0))[0]
        if readable:
            self.sock.recv(1)  # whoever ends an unused connection raises here, or has closed it
        raise Stopped("preconnect")


class ClosedPort(Session):
    """An application that tries a port where nobody listens."""

    def talk(self):
        self.complete, self.answered = True, time.time()


# ---------------------------------------------------------------- over UDP

class Datagrams:
    """What the programs over UDP share: a connected socket, a row."""

    def __init__(self, flow, address, wishes):
        self.flow, self.address, self.wishes = flow, address, wishes
        self.outcome, self.says, self.more = "failed", "timed out", {}

    def run(self):
        self.start = time.time()
        self.sock = open_socket(self.address, self.flow["server_ip"], socket.SOCK_DGRAM)
        self.port = self.sock.getsockname()[1]
        acts.tell(self.wishes, self.flow, self.address, self.port)
        self.sock.connect((self.flow["server_ip"], self.flow["port"]))
        self.until = self.start + self.flow["patience"]
        try:
            self.talk()
        except OSError as error:
            self.says = describe(error)
        self.sock.close()
        return [dict(self.flow, client_ip=self.address, client_port=self.port, start=self.start, protocol="udp",
                     seconds=round(time.time() - self.start, 3), outcome=self.outcome, says=self.says, **self.more)]

    def receive(self, seconds):
        """A datagram, or None; errors that ICMP brought count as no answer."""
        try:
            if seconds <= 0 or not select.select([self.sock], [], [], seconds)[0]:
                return None
            return self.sock.recv(4096)
        except ConnectionError as error:
            self.says = describe(error)
            return None


class Question(Datagrams):
    """A stub resolver: the first answer with the right number counts; the socket stays open for late ones."""

    def talk(self):
        ident, kind = random.randrange(65536), self.flow.get("qtype", "A")
        message = dns.query(ident, self.flow["name"], kind, self.flow.get("edns"))
        for _ in range(DNS_TRIES):
            if time.time() >= self.until:
                break
            self.sock.send(message)
            if self.heard(ident):
                break
        self.more = {"answers": getattr(self, "answers", None)}

    def heard(self, ident):
        end = min(self.until, time.time() + DNS_TIMEOUT)
        while time.time() < end:
            answer = self.receive(end - time.time())
            if answer and answer[:2] == struct.pack("!H", ident):
                self.judge(*dns.read_response(answer))
                self.receive(0.4)
                return True
        return False

    def judge(self, _ident, rcode, _truncated, addresses):
        """A name that does not exist is an answer as well; one that was to exist and does not is a failure."""
        self.answers = addresses
        self.says = "rcode %d %s" % (rcode, " ".join(addresses))
        expected = dns.NXDOMAIN if self.flow.get("act") == "gone" else 0
        wrong = addresses and self.flow.get("right") is not None and not set(addresses) & set(self.flow["right"])
        self.outcome = "worked" if rcode == expected and not wrong else "failed"


class Call(Datagrams):
    """One relay of a call: asked by STUN with growing pauses, then media both ways."""

    def talk(self):
        if not self.answered():
            self.says = "answered 0 media 0"
            return
        seconds = self.flow.get("media_s") or 0
        sent, got = self.media(seconds) if seconds and self.flow.get("act") != "not_picked_up" else (0, 0)
        self.says = "answered 1 media %d of %d" % (got, sent)
        self.more = {"media_sent": sent, "media_got": got}
        self.outcome = "worked" if got >= STEADY * sent else "degraded" if got > 0.5 * sent else "failed"

    def answered(self):
        pause = STUN_FIRST
        message = stun.request()
        for _ in range(STUN_TRIES):
            if time.time() >= self.until:
                return False
            self.sock.send(message)
            end = min(self.until, time.time() + pause)
            while time.time() < end:
                answer = self.receive(end - time.time())
                if answer and stun.is_stun(answer):
                    return True
            pause = min(2 * pause, 4.0)
        return False

    def media(self, seconds):
        """Packets sent and packets got."""
        mine, sent, got = stun.Media(), 0, 0
        end, due = time.time() + seconds, time.time()
        while time.time() < end:
            try:
                self.sock.send(mine.packet())
            except OSError:
                pass  # an ICMP error for an earlier one
            sent, due = sent + 1, due + MEDIA_INTERVAL * random.uniform(0.8, 1.2)
            while time.time() < due:
                data = self.receive(due - time.time())
                if data and not stun.is_stun(data):
                    got += 1
        while self.receive(0.4):
            got += 1
        return sent, got


# ---------------------------------------------------------------- scans and races

class Scan:
    """A half-open scan: a SYN of our own; the kernel answers the SYN/ACK, of which it knows nothing, with a RST."""

    def __init__(self, flow, address, wishes):
        self.flow, self.address = flow, address

    def run(self):
        start = time.time()
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        place = open_socket(self.address, self.flow["server_ip"])  # keeps the port from others
        port = place.getsockname()[1]
        raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
        raw.bind((self.address, 0))
        says = self.probe(raw, port)
        raw.close()
        place.close()
        return [dict(self.flow, client_ip=self.address, client_port=port, start=start, protocol="tcp",
                     seconds=round(time.time() - start, 3), outcome="failed" if says == "no answer" else "worked", says=says)]

    def probe(self, raw, port):
        number = random.getrandbits(32)
        for _ in range(2):
            raw.sendto(self.syn(port, number), (self.flow["server_ip"], 0))
            end = time.time() + min(2.5, self.flow["patience"] / 2)
            while time.time() < end:
                if not select.select([raw], [], [], max(0.0, end - time.time()))[0]:
                    break
                flags = self.answer(raw.recv(2048), port, number)
                if flags is not None:
                    return "closed" if flags & 4 else "open"
        return "no answer"

    def syn(self, port, number):
        head = struct.pack("!HHIIBBHHH", port, self.flow["port"], number, 0, 6 << 4, 2, 1024, 0, 0) + b"\2\4\5\xb4"
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        ends = socket.inet_pton(family, self.address) + socket.inet_pton(family, self.flow["server_ip"])
        pseudo = ends + (struct.pack("!II", len(head), 6) if len(ends) == 32 else struct.pack("!HH", 6, len(head)))
        return head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]

    def answer(self, data, port, number):
        """Flags of the segment that answers this SYN (IPv4 gives its header too), or None."""
        segment = data if ":" in self.address else data[(data[0] & 15) * 4:]
        if len(segment) < 20:
            return None
        source, target, _, ack, _, flags = struct.unpack_from("!HHIIBB", segment)
        fits = source == self.flow["port"] and target == port and ack == (number + 1) & 0xFFFFFFFF and flags & 16
        return flags if fits else None


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


class Race:
    """Happy eyeballs: a second address is tried when the first has not answered at once; the first to answer is used."""

    def __init__(self, flow, address, wishes):
        self.flow, self.address, self.wishes = flow, address, wishes

    def run(self):
        flows = [dict(self.flow), dict(self.flow, server_ip=self.flow.get("other_ip") or self.flow["server_ip"])]
        tries, winner = [], None
        for number, flow in enumerate(flows):
            tries.append(Try(flow, self.address, self.wishes))
            tries[-1].begin()
            winner = first_open(tries, RACE_DELAY if number == 0 else self.flow["patience"])
            if winner and random.random() < 0.3:
                break  # some programs try the second only where it is needed
        return [one.finish(one is winner) for one in tries]


class Try(Session):
    """One connection of a race."""

    def begin(self):
        self.start = time.time()
        self.sock = open_socket(self.address, self.flow["server_ip"])
        self.port = self.sock.getsockname()[1]
        self.prepare()
        acts.tell(self.wishes, self.flow, self.address, self.port)
        self.sock.setblocking(False)
        self.sock.connect_ex((self.flow["server_ip"], self.flow["port"]))
        self.error = None

    def finish(self, won):
        says = "lost the race"
        try:
            if self.error:
                raise self.error
            if won:
                says = "ok"
                self.sock.settimeout(self.flow["patience"])
                self.talk()
            else:
                self.wanted_to_stop = True
                if random.random() < 0.5:
                    self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        except OSError as error:
            says = describe(error)
        self.end = time.time()
        self.sock.close()
        return dict(self.row(says), won=won)


def first_open(tries, seconds):
    """The first of some connections that opens within a time, or None."""
    end = time.time() + seconds
    while True:
        waiting = [one for one in tries if one.error is None]
        if not waiting:
            return None
        ready = select.select([], [one.sock for one in waiting], [], max(0.0, end - time.time()))[1]
        for one in waiting:
            if one.sock in ready:
                number = one.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number == 0:
                    return one
                one.error = OSError("connect: %s" % os.strerror(number))
        if not ready:
            return None
