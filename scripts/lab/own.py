#!/usr/bin/env python3
"""Our own servers at one address: TLS (OpenSSL or GnuTLS), HTTP, first payloads, DNS, relay, and the source behind nginx and caddy.

    own.py SCENE SERVER_NUMBER CERTS WISHES SOURCE READY

In: the scene and which of its servers; certificates; the folder of wishes. SOURCE is the path of the Unix socket at which the
answers of nginx and caddy are made. Out: READY is written when all ports are open. How a connection goes and ends is the
client's wish.
"""
import json
import os
import random
import select
import socket
import ssl
import struct
import sys
import threading
import time

import acts
import gnutls
import relay
import resolver
from wire import exactly

RAW_PORT, PATIENCE, BACKLOG = 5222, 90.0, 128
AT_ONCE = struct.pack("ii", 1, 0)


class Plain:
    """A connection in clear; the ones over TLS differ in how they begin and end."""

    def __init__(self, sock):
        self.sock = sock

    def recv(self, size):
        return self.sock.recv(size)

    def sendall(self, data):
        self.sock.sendall(data)

    def bye(self):
        pass


class OpenSsl(Plain):
    def __init__(self, sock, context, refuse_name):
        context = context.refusing if refuse_name else context.choosing
        super().__init__(context.wrap_socket(sock, server_side=True))

    def bye(self):
        """Sends close_notify and waits for none."""
        self.sock.settimeout(0)
        try:
            self.sock.unwrap()
        except OSError:
            pass


class OpenSslContext:
    """`choosing` picks the certificate by name (the first where no name is told), `refusing` answers with an alert."""

    def __init__(self, files):
        self.by_name = {name: self.load(pair) for name, pair in files.items()}
        self.choosing, self.refusing = (self.load(next(iter(files.values()))) for _ in range(2))
        self.choosing.sni_callback = self.choose
        self.refusing.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    @staticmethod
    def load(pair):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def choose(self, tls, name, _context):
        if name in self.by_name:
            tls.context = self.by_name[name]

    def wrap(self, sock, refuse_name):
        return OpenSsl(sock, self, refuse_name)


class GnutlsContext:
    def __init__(self, files):
        self.credentials = gnutls.load(files)

    def wrap(self, sock, refuse_name):
        return gnutls.Session(sock, self.credentials, refuse_name)


def certificate_files(server, certs):
    folder = os.path.join(certs, "foreign") if server.get("foreign") else certs
    return {name: (os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")) for name in server["names"]}


# ---------------------------------------------------------------- requests and answers

class Talk:
    """Requests and answers over one connection, plain or TLS."""

    def __init__(self, sock, peer, wishes, context=None):
        sock.settimeout(PATIENCE)
        self.raw, self.context = sock, context
        self.wish = acts.read_wish(wishes, *peer[:2])
        self.act = self.wish.get("act", "plain")
        self.data = b""

    def serve(self):
        if self.act == "hung":
            return self.leave_waiting()
        if not self.raw.recv(1, socket.MSG_PEEK):
            return None  # opened and never used
        if self.act == "reset_hello":
            return self.refuse()
        if self.context:
            self.channel = self.context.wrap(self.raw, self.act == "alert" and self.wish.get("alert_by") != "client")
        else:
            self.channel = Plain(self.raw)
        while True:
            request = self.read_request()
            if not request:
                return self.channel.bye()
            close = b"connection: close" in request.lower()
            if not self.answer(request, close):
                return None
            if self.end():
                return None
            if close:
                return self.finish()

    def leave_waiting(self):
        """Takes nothing and answers nothing; the kernel still acknowledges."""
        gone_within(self.raw, PATIENCE)
        self.raw.recv(65536)

    def refuse(self):
        """Resets at the first payload, as a proxy does that rejects a connection by what its hello says."""
        time.sleep(random.uniform(0, 0.003))
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)

    def read_request(self):
        """The head, and the body unless the act leaves it unread; b"" where the client ended."""
        while b"\r\n\r\n" not in self.data:
            part = self.channel.recv(16384)
            if not part:
                return b""
            self.data += part
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        if self.act != "server_unread":
            self.skip(length_of(head) - len(self.data))
            self.data = self.data[length_of(head):]
        return head + b"\r\n\r\n"

    def skip(self, left):
        while left > 0:
            part = self.channel.recv(16384)
            if not part:
                raise ConnectionError("the client left")
            left -= len(part)

    def answer(self, request, close):
        """False if the client left before its end."""
        for pause, data in acts.pieces(self.wish, request, close):
            if pause != 0 and gone_within(self.raw_socket(), PATIENCE if pause is None else pause):
                return False
            self.channel.sendall(data)
        return True

    def end(self):
        """The act's own way to end the connection; True if it did."""
        if self.act == "server_unread":
            time.sleep(0.15)  # close() finds bytes of the body: the kernel resets
            return True
        if self.act in ("server_rst", "idle_rst"):
            pause = random.uniform(0.25, 0.6) if self.act == "server_rst" else self.wish.get("wait_s", 3.0)
            if not gone_within(self.raw_socket(), pause):
                self.raw_socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            return True
        return False

    def finish(self):
        """As the first to close: says good bye and waits for the client's end."""
        self.channel.bye()
        sock = self.raw_socket()
        sock.settimeout(5)
        socket.socket.shutdown(sock, socket.SHUT_WR)
        while socket.socket.recv(sock, 65536):
            pass

    def raw_socket(self):
        """The socket that now owns the descriptor (wrapping by OpenSSL takes it over)."""
        return self.channel.sock

    def close(self):
        channel = getattr(self, "channel", None)
        if channel:
            self.raw_socket().close()
        self.raw.close()


def length_of(head):
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == b"content-length":
            return int(value)
    return 0


def gone_within(sock, seconds):
    """Waits; True as soon as the other side has closed or reset."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    return bool(poll.poll(seconds * 1000))


class Source(Talk):
    """Behind nginx or caddy: they tell in a header who asks."""

    def __init__(self, sock, wishes):
        self.raw, self.context, self.wishes = sock, None, wishes
        sock.settimeout(PATIENCE)
        self.wish, self.act, self.data = {}, "plain", b""

    def serve(self):
        self.channel = Plain(self.raw)
        request = self.read_request()
        for line in request.decode("latin-1").split("\r\n"):
            key, _, value = line.partition(":")
            if key.lower() == "x-peer":
                address, _, port = value.strip().rpartition("_")
                self.wish = acts.read_wish(self.wishes, address.strip("[]"), int(port))
        if request:
            self.answer(request, close=True)


# ---------------------------------------------------------------- first payloads

class Raw:
    """Protocols that are not TLS: answers of the like until the client leaves."""

    def __init__(self, sock, peer, wishes):
        sock.settimeout(PATIENCE)
        self.sock, self.wish = sock, acts.read_wish(wishes, *peer[:2])

    def serve(self):
        kind = self.wish.get("payload", "random")
        if self.wish.get("act") == "hung":
            gone_within(self.sock, PATIENCE)
        elif kind == "noise":
            self.noise()
        elif kind == "ssh":
            self.ssh()
        else:
            self.echo()

    def noise(self):
        """Frames with three bytes of length; a prologue of four before the client's first."""
        exactly(self.sock, 4)
        self.frame()
        self.sock.sendall(framed(b"\x1a\x5e\x0a\x20" + os.urandom(random.randint(80, 330))))
        while True:
            self.frame()
            self.sock.sendall(framed(os.urandom(random.randint(40, 900))))

    def frame(self):
        return exactly(self.sock, int.from_bytes(exactly(self.sock, 3), "big"))

    def ssh(self):
        self.sock.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")
        self.echo()

    def echo(self):
        while self.sock.recv(16384):
            self.sock.sendall(os.urandom(random.randint(60, 900)))

    def close(self):
        self.sock.close()


def framed(data):
    return len(data).to_bytes(3, "big") + data


# ---------------------------------------------------------------- listening

def listen(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(BACKLOG)
    return listener


def listen_unix(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o666)
    listener.listen(BACKLOG)
    return listener


def handle(make, sock, peer):
    connection = None
    try:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = make(sock, peer)
        connection.serve()
    except OSError:
        pass  # resets, alerts and clients that leave are part of the scenes
    finally:
        (connection or sock).close()


def accept(listener, make):
    while True:
        sock, peer = listener.accept()
        threading.Thread(target=handle, args=(make, sock, peer), daemon=True).start()


def in_background(function, *told):
    threading.Thread(target=function, args=told, daemon=True).start()


def open_ports(scene, server, certs, wishes, source):
    address, program = server["ip"], server["program"]
    if program == "dns":
        answers = resolver.Resolver(scene, wishes)
        in_background(resolver.serve_datagrams, resolver.bind(address), answers)
        in_background(accept, listen(address, 53), lambda sock, peer: resolver.Connection(sock, peer, answers))
        return
    if program == "relay":
        in_background(relay.serve, relay.bind(address))
        return
    in_background(accept, listen(address, RAW_PORT), lambda sock, peer: Raw(sock, peer, wishes))
    if program in acts.OWN_PROGRAMS:
        make = GnutlsContext if program == "gnutls" else OpenSslContext
        context = make(certificate_files(server, certs))
        in_background(accept, listen(address, server.get("port", 443)), lambda sock, peer: Talk(sock, peer, wishes, context))
        in_background(accept, listen(address, 80), lambda sock, peer: Talk(sock, peer, wishes))
    else:
        in_background(accept, listen_unix(source), lambda sock, _peer: Source(sock, wishes))


def main():
    scene_path, number, certs, wishes, source, ready = sys.argv[1:]
    with open(scene_path) as told:
        scene = json.load(told)
    open_ports(scene, scene["servers"][int(number)], certs, wishes, source)
    open(ready, "w").close()
    threading.Event().wait()


if __name__ == "__main__":
    main()
