#!/usr/bin/env python3
"""The programs of one client in the sample `names`: clients.py SCENE CLIENT_ID CERTS WISHES PLAYED, as the lab's own `clients.py`.

What speaks TLS or a messenger's protocol behind something else (a proxy, mail) does that first and then goes on as the lab's sessions.
"""
import os
import random
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import acts  # noqa: E402
import clients  # noqa: E402
import dns  # noqa: E402
import speaking  # noqa: E402
from session import Session, Stopped, open_socket  # noqa: E402

WEBSOCKET_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3


class Dialogue(Session):
    """Words in clear."""

    def say(self, data):
        self.sock.sendall(data)

    def hear_until(self, is_whole):
        data = b""
        while not is_whole(data):
            part = self.sock.recv(65536)
            if not part:
                raise ConnectionError("the answer was cut short")
            data += part
        self.got += len(data)
        return data

    def hear(self, count):
        return self.hear_until(lambda data: len(data) >= count)

    def finish(self):
        self.complete, self.answered = True, time.time()
        time.sleep(random.uniform(0, 0.05))
        self.close()


class TcpQuestion(Dialogue):
    def talk(self):
        message = dns.query(random.randrange(65536), self.flow["name"], self.flow["qtype"])
        self.say(struct.pack("!H", len(message)) + message)
        self.hear_until(lambda data: len(data) > 2 and len(data) >= 2 + int.from_bytes(data[:2], "big"))
        self.finish()


class Page(Dialogue):
    def talk(self):
        self.say(b"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: sample\r\nAccept: */*\r\n\r\n" % (
            self.flow["asks"].encode(), self.flow["name"].encode()))
        self.read_answer()
        self.finish()


class WebSocket(Dialogue):
    """The handshake of RFC 6455 section 1.2, and two masked frames."""

    def talk(self):
        self.say(("GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                  "Sec-WebSocket-Version: 13\r\n\r\n" % (self.flow["asks"], self.flow["name"], WEBSOCKET_KEY)).encode())
        self.hear_until(lambda data: data.endswith(b"\r\n\r\n"))
        for _ in range(2):
            self.say(b"\x81\x85" + os.urandom(9))
            self.hear(1)
        self.finish()


class Connect(Dialogue):
    """Through a proxy of HTTP."""

    def talk(self):
        target = "%s:%d" % (self.flow["name"], self.flow["asks"])
        self.say(("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, target)).encode())
        if b" 200 " not in self.hear_until(lambda data: b"\r\n\r\n" in data):
            self.finish()
            raise Stopped("the proxy refused")
        super().talk()


class Socks(Dialogue):
    """Through a proxy of SOCKS 5 (RFC 1928): no authentication, a name and a port."""

    def talk(self):
        self.say(b"\5\1\0")
        self.hear(2)
        name = self.flow["name"].encode()
        self.say(b"\5\1\0\3" + bytes([len(name)]) + name + struct.pack("!H", self.flow["asks"]))
        self.hear(10)
        super().talk()


class Noise(speaking.Raw):
    """As the lab's first payloads; what it hears is not a count of bytes."""

    def ask(self, data):
        self.sock.sendall(data)
        speaking.Raw.hear(self)


class ConnectNoise(Connect, Noise):
    pass


class SocksNoise(Socks, Noise):
    pass


class StartTls(Dialogue):
    """Mail that becomes TLS (RFC 3207)."""

    def talk(self):
        self.hear_until(lambda data: data.endswith(b"\r\n"))
        self.say(b"EHLO client.example.org\r\n")
        self.hear_until(lambda data: b"250 " in data)
        self.say(b"STARTTLS\r\n")
        self.hear_until(lambda data: data.endswith(b"\r\n"))
        super().talk()


class Dtls(Session):
    """openssl's own client, on the port of a socket that makes room for it."""

    def run(self):
        flow = self.flow
        self.sock = open_socket(self.address, flow["server_ip"], socket.SOCK_DGRAM)
        self.port, self.start = self.sock.getsockname()[1], time.time()
        self.sock.close()
        acts.tell(self.wishes, flow, self.address, self.port)
        command = ["openssl", "s_client", "-dtls", "-bind", "%s:%d" % (self.address, self.port),
                   "-connect", "%s:%d" % (flow["server_ip"], flow["port"]), "-servername", flow["name"]]
        program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        time.sleep(1)
        said, _ = program.communicate(b"hello\n", flow["patience"])
        self.end = self.answered = time.time()
        self.complete = b"Verify return code" in said
        return [dict(self.row("ok" if self.complete else "no handshake"), protocol="udp")]


KINDS = {
    "tls": Session, "http": Page, "websocket": WebSocket, "wa_noise": speaking.Raw, "unknown": speaking.Raw, "stun": speaking.Call,
    "connect": Connect, "connect_noise": ConnectNoise, "socks": Socks, "socks_noise": SocksNoise, "starttls": StartTls, "dtls": Dtls,
}


class Player(clients.Player):
    def ready(self, flow):
        return dict(flow)

    def attempt(self, flow, address):
        program = (TcpQuestion if flow.get("over") == "tcp" else speaking.Question) if flow["kind"] == "dns" else KINDS[flow["kind"]]
        return program(flow, address, self.wishes).run()


if __name__ == "__main__":
    clients.main(Player)
