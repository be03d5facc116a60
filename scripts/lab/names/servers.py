#!/usr/bin/env python3
"""All servers of the sample `names`: servers.py SCENE CERTS WISHES READY, as the lab's own `servers.py`.

TLS, a resolver, pages, proxies of HTTP and SOCKS, mail, a messenger, unknown bytes, STUN, DTLS.
"""
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import own  # noqa: E402
import relay  # noqa: E402
import resolver  # noqa: E402
import zone  # noqa: E402
from scene import BROKER, CHAT, CHAT6, EDGE, MAIL, MEDIA, PROXY, RESOLVER, RESOLVER6, SERVERS, WEB  # noqa: E402
from wire import exactly  # noqa: E402

BEHIND_PROXIES = {"chat.signal.org": (SERVERS[0], 443), "web.telegram.org": (SERVERS[1], 443), "g.whatsapp.net": (CHAT, 5222)}


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


class Curved(own.OpenSslContext):
    """Wants a curve for which no client sends a key unasked."""

    @staticmethod
    def load(pair):
        context = own.OpenSslContext.load(pair)
        context.set_ecdh_curve("secp384r1")
        return context


class Tls(own.Talk):
    def __init__(self, sock, peer, wishes, contexts):
        super().__init__(sock, peer, wishes)
        self.context = contexts[bool(self.wish.get("curve"))]


class Pages(own.Talk):
    def serve(self):
        self.channel = own.Plain(self.raw)
        while True:
            request = self.read_request()
            if not request:
                return None
            path = request.split()[1].decode()
            self.raw.sendall(PAGES[path])
            if path == "/socket":
                return self.answer_frames()

    def answer_frames(self):
        """What comes is answered by a text frame of the server, which is not masked (RFC 6455 section 5.3)."""
        while self.raw.recv(16384):
            self.raw.sendall(b"\x81\x05hello")


class Mail(Tls):
    """SMTP that becomes TLS (RFC 3207)."""

    def serve(self):
        self.raw.sendall(b"220 smtp.example.org ESMTP\r\n")
        self.raw.recv(1024)
        self.raw.sendall(b"250-smtp.example.org\r\n250-8BITMIME\r\n250 STARTTLS\r\n")
        self.raw.recv(1024)
        self.raw.sendall(b"220 2.0.0 Ready to start TLS\r\n")
        super().serve()


class Chat(own.Raw):
    """Also for who comes through a proxy, and with no wish."""

    def serve(self):
        self.noise()


class Proxy(own.Raw):
    """Reads where to, answers, and stands aside."""

    def serve(self):
        far = self.open()
        if far:
            join(self.sock, far)
            far.close()


class ConnectProxy(Proxy):
    def open(self):
        head = b""
        while b"\r\n\r\n" not in head:
            head += exactly(self.sock, 1)
        name = head.split()[1].decode().partition(":")[0]
        if name not in BEHIND_PROXIES:
            return self.sock.sendall(page("403 Forbidden", {"Server": "proxy"}, "No way"))
        far = socket.create_connection(BEHIND_PROXIES[name])
        self.sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return far


class SocksProxy(Proxy):
    """SOCKS 5 (RFC 1928): no authentication, a name and a port."""

    def open(self):
        exactly(self.sock, exactly(self.sock, 2)[1])
        self.sock.sendall(b"\5\0")
        name = exactly(self.sock, exactly(self.sock, 5)[4]).decode()
        exactly(self.sock, 2)
        far = socket.create_connection(BEHIND_PROXIES[name])
        self.sock.sendall(b"\5\0\0\1" + bytes(6))
        return far


def join(one, other):
    peers, open_ends = {one: other, other: one}, [one, other]
    while open_ends:
        for sock in select.select(open_ends, [], [])[0]:
            data = sock.recv(65536)
            if data:
                peers[sock].sendall(data)
            else:
                peers[sock].shutdown(socket.SHUT_WR)
                open_ends.remove(sock)


def start_dtls(certs, name="rtc.example.net"):
    """openssl's own server; it runs until its input ends."""
    files = [os.path.join(certs, name + ending) for ending in (".pem", ".key")]
    command = ["openssl", "s_server", "-quiet", "-dtls", "-listen", "-accept", MEDIA + ":4433", "-cert", files[0], "-key", files[1]]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)


def open_ports(scene, certs, wishes):
    files = own.certificate_files(scene["servers"][0], certs)
    contexts = [own.OpenSslContext(files), Curved(files)]
    speakers = [(address, 443, Tls, contexts) for address in SERVERS]
    speakers += [(WEB, 80, Pages), (PROXY, 3128, ConnectProxy), (PROXY, 1080, SocksProxy), (MAIL, 587, Mail, contexts),
                 (CHAT, 5222, Chat), (CHAT6, 5222, Chat), (EDGE, 443, own.Raw), (BROKER, 443, own.Raw)]
    for address, port, speaker, *more in speakers:
        own.in_background(own.accept, own.listen(address, port),
                          lambda sock, peer, speaker=speaker, more=more: speaker(sock, peer, wishes, *more))
    own.in_background(own.accept, own.listen(RESOLVER, 53),
                      lambda sock, peer: resolver.Connection(sock, peer, zone.Zone(wishes, over_udp=False)))
    for address in (RESOLVER, RESOLVER6):
        own.in_background(resolver.serve_datagrams, resolver.bind(address), zone.Zone(wishes, over_udp=True))
    own.in_background(relay.serve, relay.bind(MEDIA))


def main():
    scene_path, certs, wishes, ready = (os.path.abspath(path) for path in sys.argv[1:])
    with open(scene_path) as source:
        scene = json.load(source)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    shutil.copy(os.path.join(certs, "ca.pem"), os.path.join(wishes, "ca.pem"))
    dtls = start_dtls(certs)
    try:
        open_ports(scene, certs, wishes)
        open(ready, "w").close()
        threading.Event().wait()
    finally:
        dtls.kill()


if __name__ == "__main__":
    main()
