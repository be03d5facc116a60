"""The client's parts of the scene `names` that are not, or not at first, TLS."""
import os
import random
import socket
import struct
import subprocess
import time

import dns
from client import Session, answer_is_whole

PROLOGUE = b"WA\x06\x03"


class Speaking(Session):
    """A dialogue over a plain socket."""

    def read_until(self, is_whole):
        data = b""
        while not is_whole(data):
            part = self.sock.recv(65536)
            if not part:
                raise ConnectionError("the answer was cut short")
            data += part
        return data

    def end(self):
        self.complete = True
        time.sleep(random.uniform(0, 0.05))
        self.sock.shutdown(socket.SHUT_WR)
        while self.sock.recv(65536):
            pass


class Question(Speaking):
    """A question of DNS, over UDP or TCP."""

    TRIES, INTERVAL = 3, 1.0

    def talk(self):
        message = dns.query(random.randrange(65536), self.flow.name, self.flow.asks, self.flow.edns)
        if self.flow.protocol == "tcp":
            self.sock.sendall(dns.block16(message))
            self.read_until(lambda data: len(data) > 2 and len(data) >= 2 + int.from_bytes(data[:2], "big"))
            return self.end()
        self.sock.settimeout(self.INTERVAL)
        for left in reversed(range(self.TRIES)):
            self.sock.send(message)
            try:
                self.complete = bool(self.sock.recv(4096))
                break
            except socket.timeout:
                if not left:
                    raise
        time.sleep(0.3)  # a late answer finds the socket still open


class Page(Speaking):
    def talk(self):
        self.sock.sendall(b"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: sample\r\nAccept: */*\r\n\r\n" % (
            self.flow.asks.encode(), self.flow.name.encode()))
        self.read_until(answer_is_whole)
        self.end()


class WebSocket(Speaking):
    """The handshake of RFC 6455 section 1.2, with its key, and two masked frames."""

    def talk(self):
        self.sock.sendall(b"GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % (
                              self.flow.asks.encode(), self.flow.name.encode()))
        self.read_until(lambda data: data.endswith(b"\r\n\r\n"))
        for _ in range(2):
            self.sock.sendall(b"\x81\x85" + os.urandom(9))
            self.sock.recv(4096)
        self.end()


class Noise(Speaking):
    """WhatsApp's chat: prologue and handshake, then frames."""

    def talk(self):
        self.sock.sendall(PROLOGUE + b"\0\0\x24\x12\x22\x0a\x20" + os.urandom(32))
        for size in (90, 60):
            self.sock.recv(4096)
            self.sock.sendall(size.to_bytes(3, "big") + os.urandom(size))
        self.sock.recv(4096)
        self.end()


class Unknown(Speaking):
    def talk(self):
        for _ in range(3):
            self.sock.sendall(os.urandom(150))
            self.sock.recv(4096)
        self.end()


class Connect(Speaking):
    """Through a proxy of HTTP."""

    inside = Session

    def talk(self):
        self.sock.sendall(b"CONNECT %b:%d HTTP/1.1\r\nHost: %b:%d\r\n\r\n" % ((self.flow.name.encode(), self.flow.asks) * 2))
        answer = self.read_until(lambda data: b"\r\n\r\n" in data)
        if b" 200 " not in answer:
            self.end()
            raise ConnectionRefusedError("the proxy refused")
        self.inside.talk(self)


class ConnectNoise(Connect):
    inside = Noise


class Socks(Speaking):
    """Through a proxy of SOCKS 5 (RFC 1928)."""

    inside = Session

    def talk(self):
        self.sock.sendall(b"\5\1\0")
        self.read_until(lambda data: len(data) >= 2)
        name = self.flow.name.encode()
        self.sock.sendall(b"\5\1\0\3" + bytes([len(name)]) + name + struct.pack("!H", self.flow.asks))
        self.read_until(lambda data: len(data) >= 10)
        self.inside.talk(self)


class SocksNoise(Socks):
    inside = Noise


class StartTls(Speaking):
    """Mail that becomes TLS (RFC 3207)."""

    def talk(self):
        self.read_until(lambda data: data.endswith(b"\r\n"))
        self.sock.sendall(b"EHLO client.example.org\r\n")
        self.read_until(lambda data: b"250 " in data)
        self.sock.sendall(b"STARTTLS\r\n")
        self.read_until(lambda data: data.endswith(b"\r\n"))
        Session.talk(self)


class Stun(Speaking):
    def talk(self):
        for _ in range(2):
            self.sock.send(struct.pack("!HHI", 1, 0, 0x2112A442) + os.urandom(12))
            self.complete = bool(self.sock.recv(2048))


class Dtls(Speaking):
    """openssl's own client, on the port of a socket that makes room for it."""

    def talk(self):
        flow = self.flow
        self.sock.close()
        command = ["openssl", "s_client", "-dtls", "-bind", "%s:%d" % (flow.client, self.port),
                   "-connect", "%s:%d" % (flow.server, flow.port), "-servername", flow.name]
        program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        time.sleep(1)
        said, _ = program.communicate(b"hello\n", flow.patience)
        self.complete = b"Verify return code" in said


KINDS = {
    "tls": Session, "dns": Question, "http": Page, "websocket": WebSocket, "wa_noise": Noise, "unknown": Unknown,
    "connect": Connect, "connect_noise": ConnectNoise, "socks": Socks, "socks_noise": SocksNoise,
    "starttls": StartTls, "stun": Stun, "dtls": Dtls,
}
