"""One connection of a client program over TCP: TLS (OpenSSL over memory buffers, so that the hello can be cut) or HTTP in clear.

In: a flow, the client's address, the folder of wishes. Out: `Session.run` gives a list of rows (one), each with client_ip,
client_port, start, outcome and says. What counts is what the program got: the whole answer (worked; degraded where that took
long), a part (degraded) or nothing (failed). Who stops by its own will, after some of the answer, has got what it wanted.
"""
import os
import random
import socket
import ssl
import struct
import time

import acts

AT_ONCE = struct.pack("ii", 1, 0)
# Seconds beyond what the act itself takes, and kbit/s, from which a user calls it slow.
LATE, SLOW_KBPS = 6.0, 250
KEEPS_OPEN = {"idle_rst", "own_reset", "server_rst", "server_unread"}
POSTS = {"upload": None, "server_unread": 90000}  # bytes; None: the flow's size
MANY_PROTOCOLS = ["x-app-%04d" % number for number in range(170)]  # make a hello larger than a packet


class Stopped(Exception):
    """The program ended by its own will."""


class Session:
    def __init__(self, flow, address, wishes):
        self.flow, self.address, self.wishes = flow, address, wishes
        self.act = flow.get("act", "plain")
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls, self.hello_sent = None, False
        self.got, self.complete, self.wanted_to_stop = 0, False, False
        self.start = self.end = None

    # One run

    def run(self):
        self.start = time.time()
        says = "ok"
        try:
            self.open()
            self.talk()
        except Stopped as word:
            says = str(word)
        except OSError as error:
            says = describe(error)
        self.end = time.time()
        self.sock.close()
        return [self.row(says)]

    def row(self, says):
        return dict(self.flow, client_ip=self.address, client_port=self.port, start=self.start, protocol="tcp",
                    seconds=round(self.end - self.start, 3), bytes=self.got, outcome=self.outcome(), says=says)

    def outcome(self):
        if self.wanted_to_stop or (self.complete and not self.was_slow()):
            return "worked"
        return "degraded" if self.got else "failed"

    def was_slow(self):
        took = self.answered - self.start
        usual = {"slow": 1, "long_poll": 1, "idle_push": 1}.get(self.act, 0) * self.flow.get("wait_s", 0)
        usual += {"trickle": 7.0, "vanished": 7.0, "idle_push": 3.0}.get(self.act, 0)
        size = self.flow.get("size", 0)
        return took - usual > LATE or (size > 30000 and not usual and size * 8 / 1000 / took < SLOW_KBPS and took > 3)

    def open(self):
        self.sock = open_socket(self.address, self.flow["server_ip"], port=self.flow.get("from_port", 0))
        self.port = self.sock.getsockname()[1]
        self.prepare()
        acts.tell(self.wishes, self.flow, self.address, self.port)
        self.sock.settimeout(self.flow["patience"])
        try:
            self.sock.connect((self.flow["server_ip"], self.flow["port"]))
        except OSError as error:
            raise OSError("connect: " + describe(error)) from error

    def prepare(self):
        """Drawn here because the server has to know: who closes, who refuses."""
        self.flow = dict(self.flow)
        self.server_closes = self.act == "plain" and random.random() < 0.3
        if self.act == "alert":
            own = self.flow.get("program", "openssl") in acts.OWN_PROGRAMS
            self.flow["alert_by"] = random.choice(["server", "server", "client"]) if own else "client"

    def talk(self):
        if self.flow["kind"] != "http":
            self.shake()
        for last in self.turns():
            self.request(close=last and self.server_closes)
            if self.act == "close_unread":
                self.leave_unread()
            self.read_answer()
        self.after_answer()

    def turns(self):
        """Some connections carry more than one request; True for the last."""
        many = self.act == "plain" and self.flow.get("size", 0) < 20000 and self.flow.get("program") is not None
        count = self.flow.get("requests") or (random.choice([1, 1, 1, 2, 3]) if many else 1)
        return [number == count - 1 for number in range(count)]

    # TLS

    def shake(self):
        name = None if self.act == "no_sni" else self.flow["name"]
        self.tls = make_context(self.flow, self.wishes).wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.pump(self.tls.do_handshake)

    def pump(self, step):
        """Runs a TLS step, moving bytes between TLS and the socket as it asks."""
        while True:
            try:
                result = step()
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                self.fill()
            except ssl.SSLError:
                self.flush()  # an alert of our own
                raise

    def fill(self):
        data = self.sock.recv(65536)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    def flush(self):
        data = self.outgoing.read()
        if data and not self.hello_sent:
            self.hello_sent = True
            self.send_hello(data)
        elif data:
            self.sock.sendall(data)

    def send_hello(self, hello):
        if self.act == "cancel":
            return self.cancel(hello)
        if self.act != "split":
            return self.sock.sendall(hello)
        for piece in split(hello, self.flow["name"].encode(), self.flow.get("split", "tcp")):
            self.sock.sendall(piece)
            time.sleep(random.uniform(0.004, 0.02))
        return None

    def cancel(self, hello):
        """As a tab closed before its page began: reset right behind the hello."""
        self.sock.sendall(hello)
        time.sleep(random.uniform(0, 0.06))
        self.linger_none()
        raise Stopped("client cancelled at its hello")

    def write(self, data):
        if self.tls:
            for at in range(0, len(data), 16384):
                self.pump(lambda: self.tls.write(data[at:at + 16384]))
        else:
            self.sock.sendall(data)

    def read(self):
        if not self.tls:
            return self.sock.recv(16384)
        try:
            return self.pump(lambda: self.tls.read(16384))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    # HTTP

    def request(self, close):
        size = self.flow.get("post", POSTS.get(self.act, 0))
        body = os.urandom(self.flow["size"] if size is None else size) if size != 0 else b""
        path = "/limited" if self.act == "server_unread" else "/"
        lines = ["%s %s HTTP/1.1" % ("POST" if body else "GET", path), "Host: " + self.flow["name"], "User-Agent: app/4.2",
                 "Accept: */*", "Connection: " + ("close" if close else "keep-alive")]
        lines += ["Content-Length: %d" % len(body)] if body else []
        try:
            self.write("\r\n".join(lines + ["", ""]).encode() + body)
        except ConnectionError:
            if self.act != "server_unread":
                raise  # there the answer may be waiting all the same

    def read_answer(self):
        """Until it is whole, or until the act leaves it."""
        data, length, stop_at = b"", None, self.stop_at()
        while length is None or len(data) < length:
            part = self.read()
            if not part:
                raise ConnectionError("the answer was cut short")
            data += part
            self.got += len(part)
            length = whole_length(data) if length is None else length
            if stop_at and len(data) >= stop_at:
                self.leave()
        self.complete, self.answered = True, time.time()

    def stop_at(self):
        if self.act not in ("abort", "stop"):
            return None
        return max(1000, int(self.flow["size"] * random.uniform(0.1, 0.5)))

    def leave(self):
        """In mid-download: reset at once, or as a closed tab does, by a good bye to a server that still sends."""
        self.wanted_to_stop = True
        if self.act == "abort":
            self.linger_none()
            raise Stopped("client aborted")
        self.say_goodbye()
        raise Stopped("client stopped")

    def leave_unread(self):
        """The answer waits in the kernel's buffer: close() makes it reset."""
        self.got += len(self.read())
        time.sleep(min(1.0, self.flow.get("wait_s", 0.5)))
        self.wanted_to_stop = True
        raise Stopped("client closed with the answer unread")

    def after_answer(self):
        if self.act == "rst_close":
            time.sleep(random.uniform(0, 0.1))
            self.say_goodbye()
            self.linger_none()
        elif self.act == "server_rst" and self.flow.get("program") == "nginx":
            self.write(("GET /aborted HTTP/1.1\r\nHost: %s\r\n\r\n" % self.flow["name"]).encode())
            self.wait_for_end()
        elif self.act in KEEPS_OPEN or self.server_closes:
            self.wait_for_end()
            self.close()
        else:
            time.sleep(random.uniform(0, 0.2))
            self.close()

    def wait_for_end(self):
        """The answer is there; what comes now is the server's end (or nothing)."""
        while self.read():
            pass

    def say_goodbye(self):
        if self.tls:
            try:
                self.tls.unwrap()
            except ssl.SSLError:
                pass  # our close_notify is out; the server's may come later or never
            self.flush()

    def close(self):
        """The answer is there: whatever the server still does about the end is no failure."""
        self.sock.settimeout(3)
        try:
            self.say_goodbye()
            self.sock.shutdown(socket.SHUT_WR)
            while self.sock.recv(65536):
                pass
        except OSError:
            pass

    def linger_none(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)


def describe(error):
    if isinstance(error, OSError) and str(error).startswith("connect: "):
        return str(error)
    return "%s: %s" % (type(error).__name__, error)


def open_socket(address, server, kind=socket.SOCK_STREAM, port=0):
    sock = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, kind)
    if port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    if kind == socket.SOCK_STREAM:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def make_context(flow, wishes):
    """Trusts the scene's authority; a client that is to refuse trusts nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = flow.get("act") != "no_sni"
    if flow.get("alert_by") != "client":
        context.load_verify_locations(os.path.join(wishes, "ca.pem"))
    if flow.get("tls") == "1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"] + (MANY_PROTOCOLS if flow.get("split") == "large" else []))
    return context


def whole_length(data):
    """Length of head and body as the head tells it, or None while the head is not whole."""
    head, ended, _ = data.partition(b"\r\n\r\n")
    if not ended:
        return None
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == b"content-length":
            return len(head) + 4 + int(value)
    return len(head) + 4


def cut(data, places):
    places = [0] + sorted(set(places)) + [len(data)]
    return [data[a:b] for a, b in zip(places, places[1:])]


def split(hello, name, how):
    """The hello in TCP pieces (cut in the name, after the first byte, anywhere), as several TLS records, or larger than a packet."""
    if how == "large":
        return [hello]
    if how == "first_byte":
        return cut(hello, [1])
    if how == "records":
        message = hello[5:]
        parts = cut(message, random.sample(range(1, len(message)), random.randint(1, 3)))
        records = [hello[:3] + struct.pack("!H", len(part)) + part for part in parts]
        return [b"".join(records)] if random.random() < 0.5 else records
    places = random.sample(range(1, len(hello)), random.randint(1, 3))
    if random.random() < 0.6 and name in hello:
        places.append(hello.index(name) + len(name) // 2)
    return cut(hello, places)
