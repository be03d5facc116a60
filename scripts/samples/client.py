"""One session of a client program, over a real kernel socket. This one speaks TLS; others stand in `speaking.py`.

TLS runs through memory buffers, so that the hello can be cut as wanted.
"""
import json
import os
import random
import socket
import ssl
import struct
import time


class Session:
    def __init__(self, flow, port=0):
        self.flow = flow
        family = socket.AF_INET6 if ":" in flow.server else socket.AF_INET
        over_udp = flow.protocol == "udp"
        self.sock = socket.socket(family, socket.SOCK_DGRAM if over_udp else socket.SOCK_STREAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((flow.client, port))
        if not over_udp:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(flow.patience)
        self.port = self.sock.getsockname()[1]
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.hello_sent = False
        self.complete = False

    def run(self, wishes):
        """Returns when it began, whether the answer came whole, and the last word."""
        tell_server(wishes, self.flow, self.port)
        start = time.time()
        says = "ok"
        try:
            self.sock.connect((self.flow.server, self.flow.port))
            self.talk()
        except OSError as error:
            says = "%s: %s" % (type(error).__name__, error)
        self.sock.close()
        return start, self.complete, says

    def talk(self):
        self.tls = make_context(self.flow).wrap_bio(
            self.incoming, self.outgoing, server_hostname=self.flow.name)
        self.pump(self.tls.do_handshake)
        self.request()
        act = self.flow.client_act
        if act == "close_unread":
            # The answer waits in the kernel's buffer: close() sends a RST.
            time.sleep(0.2)
            raise ConnectionAbortedError("closed without reading the answer")
        self.read_answer(first_bytes_only=act == "abort")
        if act == "abort":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ConnectionAbortedError("aborted in mid-download")
        self.close(first=act == "normal")

    def request(self):
        head = "GET / HTTP/1.1\r\nHost: %s\r\n\r\n"
        body = b""
        if self.flow.server_act == "reset_unread":
            body = os.urandom(1500).hex().encode()
            head = "POST / HTTP/1.1\r\nHost: %%s\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.pump(lambda: self.tls.write((head % self.flow.name).encode()))
        if body:
            self.pump(lambda: self.tls.write(body))

    def read_answer(self, first_bytes_only):
        data = b""
        while not self.complete:
            part = self.pump(lambda: self.tls.read(16384))
            if not part:
                raise ConnectionError("the answer was cut short")
            data += part
            if first_bytes_only:
                return
            self.complete = answer_is_whole(data)

    def close(self, first):
        """Closes cleanly, as first or (after the server) as second side."""
        if first:
            time.sleep(random.uniform(0, 0.05))
        else:
            self.wait_for_end()
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass  # our alert is out; the peer's may come later or never
        self.flush()
        self.sock.shutdown(socket.SHUT_WR)
        while self.sock.recv(65536):
            pass

    def wait_for_end(self):
        try:
            while self.pump(lambda: self.tls.read(16384)):
                pass
        except ssl.SSLError:
            pass

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

    def fill(self):
        data = self.sock.recv(65536)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    def flush(self):
        data = self.outgoing.read()
        if not data:
            return
        if self.hello_sent:
            self.sock.sendall(data)
        else:
            self.hello_sent = True
            self.send_hello(data)

    def send_hello(self, hello):
        for piece in HELLO_STYLES[self.flow.hello](hello, self.flow.name.encode()):
            self.sock.sendall(piece)
            time.sleep(random.uniform(0.004, 0.02) if self.flow.hello != "plain" else 0)


def tell_server(wishes, flow, port):
    path = os.path.join(wishes, "%s_%d" % (flow.client, port))
    with open(path, "w") as wish:
        json.dump({"server_act": flow.server_act, "size": flow.size, "curve": flow.curve}, wish)


def make_context(flow):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the authority is made anew for each recording
    if flow.tls == "1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    protocols = ["http/1.1"]
    if flow.hello.startswith("big"):
        protocols += ["x-sample-%04d" % n for n in range(170)]
    context.set_alpn_protocols(protocols)
    return context


def answer_is_whole(data):
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return False
    return len(body) >= int(head.rpartition(b"Content-Length: ")[2])


def cut(data, places):
    places = [0] + sorted(places) + [len(data)]
    return [data[a:b] for a, b in zip(places, places[1:])]


def random_pieces(data, count):
    return cut(data, random.sample(range(1, len(data)), count - 1))


def records(hello, count):
    """The same hello in several TLS records."""
    kind_and_version, message = hello[:3], hello[5:]
    return [kind_and_version + struct.pack("!H", len(part)) + part
            for part in random_pieces(message, count)]


HELLO_STYLES = {
    "plain": lambda hello, name: [hello],
    "big": lambda hello, name: [hello],
    "big_pieces": lambda hello, name: random_pieces(hello, 5),
    "pieces": lambda hello, name: random_pieces(hello, random.randint(2, 5)),
    "first_byte": lambda hello, name: cut(hello, [1]),
    "in_name": lambda hello, name: cut(hello, [hello.index(name) + len(name) // 2]),
    "records": lambda hello, name: [b"".join(records(hello, random.randint(2, 4)))],
    "records_pieces": lambda hello, name: records(hello, random.randint(2, 4)),
}
