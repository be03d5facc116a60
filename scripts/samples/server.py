#!/usr/bin/env python3
"""The TLS servers of the scenes.

    server.py CERTS WISHES READY PATIENCE ADDRESS...

How a connection is to end is the client's wish. It comes as a file named
after the client's address and port, so that nothing of it is on the wire.
"""
import json
import os
import select
import socket
import ssl
import struct
import sys
import threading
import time

HTTPS = 443


class Connection:
    def __init__(self, sock, wish, contexts, patience):
        self.sock, self.wish, self.contexts = sock, wish, contexts
        self.sock.settimeout(patience)

    def serve(self):
        act = self.wish.get("server_act", "answer")
        if act == "hung":
            return self.hang()
        self.wrap(act)
        self.read_request(whole=act != "reset_unread")
        self.sock.sendall(response(self.wish.get("size", 2000)))
        getattr(self, "end_" + act)()

    def hang(self):
        """Accepts and never answers; the kernel still acknowledges."""
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        poll.poll(60000)
        self.sock.recv(65536)

    def wrap(self, act):
        context = make_context(self.contexts, refuse_name=act == "unknown_name", curve=self.wish.get("curve"))
        if act == "no_cipher":
            context.sni_callback = None  # without a certificate no cipher suite fits
        self.sock = context.wrap_socket(self.sock, server_side=True)

    def read_request(self, whole):
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.more()
        head, _, body = data.partition(b"\r\n\r\n")
        expected = int(head.rpartition(b"Content-Length: ")[2] or 0) if b"Content-Length" in head else 0
        left = expected - len(body)
        while whole and left > 0:
            left -= len(self.more())
        return head

    def more(self):
        return self.sock.recv(16384) or self.gone()

    def gone(self):
        raise ConnectionError("the client left")

    def exactly(self, count):
        data = b""
        while len(data) < count:
            data += self.sock.recv(count - len(data)) or self.gone()
        return data

    def end_answer(self):
        """The client closes first."""
        while self.sock.recv(16384):
            pass
        self.sock.unwrap()

    def end_close(self):
        """The server closes first."""
        self.sock.unwrap()

    def end_reset_unread(self):
        """Body bytes are still unread: the kernel sends a RST."""
        time.sleep(0.15)

    def end_abort(self):
        time.sleep(0.15)
        self.abort()

    def end_idle_abort(self):
        time.sleep(self.wish.get("idle", 5))
        self.abort()

    def abort(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def response(size):
    body = os.urandom(size // 2).hex()
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
    return (head + body).encode()


def load_contexts(folder):
    contexts = {}
    for entry in sorted(os.listdir(folder)):
        if entry.endswith(".pem") and entry != "ca.pem":
            contexts[entry[:-4]] = load_context(folder, entry)
    return contexts


def load_context(folder, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, certificate), os.path.join(folder, "leaf.key"))
    context.num_tickets = 1
    return context


def make_context(contexts, refuse_name, curve):
    def choose(tls, name, _context):
        if refuse_name:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        tls.context = contexts[name]
        return None

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = choose
    context.num_tickets = 1
    if curve:
        context.set_ecdh_curve(curve)  # one for which no client sends a key unasked
    return context


def read_wish(folder, peer):
    try:
        with open(os.path.join(folder, "%s_%d" % peer[:2])) as wish:
            return json.load(wish)
    except FileNotFoundError:
        return {}


def handle(sock, peer, speak, wishes, contexts, patience):
    connection = speak(sock, read_wish(wishes, peer), contexts, patience)
    try:
        connection.serve()
    except OSError:
        pass  # resets, alerts and clients that leave are the point of the scenes
    connection.sock.close()


def accept(listener, *settings):
    while True:
        sock, peer = listener.accept()
        threading.Thread(target=handle, args=(sock, peer, *settings), daemon=True).start()


def listen(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(64)
    return listener


def main():
    certs, wishes, ready, patience = sys.argv[1:5]
    settings = (Connection, wishes, load_contexts(certs), float(patience))
    for address in sys.argv[5:]:
        threading.Thread(target=accept, args=(listen(address, HTTPS), *settings)).start()
    open(ready, "w").close()


if __name__ == "__main__":
    main()
