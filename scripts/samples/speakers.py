#!/usr/bin/env python3
"""The servers of the scene `names`, beside that for TLS: a resolver, pages, proxies, mail, chats, STUN.

    speakers.py CERTS WISHES READY
"""
import os
import select
import socket
import struct
import sys
import threading

import resolver
from scenes import BROKER, CHAT, CHAT6, EDGE, MAIL, MEDIA, PROXY, RESOLVER, RESOLVER6, SERVERS, WEB
from server import HTTPS, Connection, accept, listen, load_contexts

PATIENCE = 30.0
BEHIND_PROXIES = {
    "chat.signal.org": (SERVERS[0], HTTPS),
    "web.telegram.org": (SERVERS[1], HTTPS),
    "g.whatsapp.net": (CHAT, 5222),
}
STUN_COOKIE = 0x2112A442  # RFC 8489 section 5


def page(status, fields, title):
    body = "<html><head><title>%s</title></head><body>made up</body></html>" % title
    fields = "".join("%s: %s\r\n" % field for field in fields.items())
    head = "HTTP/1.1 %s\r\n%sContent-Type: text/html\r\nContent-Length: %d\r\n\r\n"
    return (head % (status, fields, len(body)) + body).encode()


PAGES = {
    "/": page("200 OK", {"Server": "sample"}, "News of the day"),
    "/moved": page("302 Found", {"Location": "https://web.telegram.org/k/"}, "Found"),
    "/blocked": page("403 Forbidden", {"Server": "filter"}, "Access to this page is restricted"),
    "/socket": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
}


class Pages(Connection):
    def serve(self):
        while True:
            path = self.read_request(whole=True).split()[1].decode()
            self.sock.sendall(PAGES[path])
            if path == "/socket":
                return self.answer_frames()

    def answer_frames(self):
        """What comes is echoed as a text frame of the server, which is not masked (RFC 6455 section 5.3)."""
        while self.more():
            self.sock.sendall(b"\x81\x05hello")


class Proxy(Connection):
    """Reads where to, answers, and stands aside."""

    def serve(self):
        far = self.open()
        if far:
            relay(self.sock, far)


class ConnectProxy(Proxy):
    def open(self):
        name = self.read_request(whole=False).split()[1].decode().partition(":")[0]
        if name not in BEHIND_PROXIES:
            return self.sock.sendall(page("403 Forbidden", {"Server": "proxy"}, "No way"))
        far = socket.create_connection(BEHIND_PROXIES[name])
        self.sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return far


class SocksProxy(Proxy):
    """SOCKS 5 (RFC 1928): no authentication, a name and a port."""

    def open(self):
        self.exactly(self.exactly(2)[1])
        self.sock.sendall(b"\5\0")
        name = self.exactly(self.exactly(5)[4]).decode()
        self.exactly(2)
        far = socket.create_connection(BEHIND_PROXIES[name])
        self.sock.sendall(b"\5\0\0\1" + bytes(6))
        return far


def relay(one, other):
    peers, open_ends = {one: other, other: one}, [one, other]
    while open_ends:
        for sock in select.select(open_ends, [], [])[0]:
            data = sock.recv(65536)
            if data:
                peers[sock].sendall(data)
            else:
                peers[sock].shutdown(socket.SHUT_WR)
                open_ends.remove(sock)


class Mail(Connection):
    """SMTP that becomes TLS (RFC 3207)."""

    def serve(self):
        self.sock.sendall(b"220 smtp.example.org ESMTP\r\n")
        self.more()
        self.sock.sendall(b"250-smtp.example.org\r\n250-8BITMIME\r\n250 STARTTLS\r\n")
        self.more()
        self.sock.sendall(b"220 2.0.0 Ready to start TLS\r\n")
        super().serve()


class Chat(Connection):
    """WhatsApp's Noise as far as it is in clear: frames with three bytes of length, a prologue before the client's first."""

    def serve(self):
        self.exactly(4)
        self.read_frame()
        self.sock.sendall(frame(b"\x1a\x5e\x0a\x20" + os.urandom(92)))
        while True:
            self.read_frame()
            self.sock.sendall(frame(os.urandom(70)))

    def read_frame(self):
        return self.exactly(int.from_bytes(self.exactly(3), "big"))


def frame(data):
    return len(data).to_bytes(3, "big") + data


class Unknown(Connection):
    """Bytes that nobody knows, answered with the like."""

    def serve(self):
        while self.more():
            self.sock.sendall(os.urandom(120))


def serve_stun(address):
    """Binding requests are told where they came from (RFC 8489 section 14.2)."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 3478))
    while True:
        message, (host, port) = sock.recvfrom(2048)
        mapped = int.from_bytes(socket.inet_aton(host), "big") ^ STUN_COOKIE
        attribute = struct.pack("!HHBBHI", 0x20, 8, 0, 1, port ^ STUN_COOKIE >> 16, mapped)
        sock.sendto(struct.pack("!HH", 0x101, len(attribute)) + message[4:20] + attribute, (host, port))


LISTENERS = [
    (RESOLVER, 53, resolver.Resolver),
    (WEB, 80, Pages),
    (PROXY, 3128, ConnectProxy),
    (PROXY, 1080, SocksProxy),
    (MAIL, 587, Mail),
    (CHAT, 5222, Chat),
    (CHAT6, 5222, Chat),
    (EDGE, 443, Unknown),
    (BROKER, 443, Unknown),
]
DATAGRAMS = [(resolver.serve_datagrams, RESOLVER), (resolver.serve_datagrams, RESOLVER6), (serve_stun, MEDIA)]


def main():
    certs, wishes, ready = sys.argv[1:]
    settings = (wishes, load_contexts(certs), PATIENCE)
    for address, port, speak in LISTENERS:
        threading.Thread(target=accept, args=(listen(address, port), speak, *settings)).start()
    for serve, address in DATAGRAMS:
        threading.Thread(target=serve, args=(address,)).start()
    open(ready, "w").close()


main()
