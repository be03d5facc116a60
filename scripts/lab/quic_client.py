"""A client of HTTP/3 (aioquic): one request over one QUIC connection.

In: a flow, the client's address, the folder of wishes. Out: one row as in `session`.
"""
import asyncio
import os
import socket
import time

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

import acts
from session import LATE, open_socket


class Client(QuicConnectionProtocol):
    """Counts the bytes of the answer, and knows when it is whole."""

    def __init__(self, quic):
        super().__init__(quic)
        self.http = H3Connection(quic)
        self.got, self.status, self.done = 0, None, asyncio.Event()

    def ask(self, name):
        stream = self._quic.get_next_available_stream_id()
        self.http.send_headers(stream, [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", name.encode()),
                                        (b":path", b"/"), (b"user-agent", b"app/4.2")], end_stream=True)
        self.transmit()

    def quic_event_received(self, event):
        for part in self.http.handle_event(event):
            if isinstance(part, HeadersReceived):
                self.status = dict(part.headers).get(b":status")
            elif isinstance(part, DataReceived):
                self.got += len(part.data)
            if getattr(part, "stream_ended", False):
                self.done.set()


class Session:
    def __init__(self, flow, address, wishes):
        self.flow, self.address, self.wishes = flow, address, wishes
        self.client = None

    def run(self):
        self.start = time.time()
        self.sock = open_socket(self.address, self.flow["server_ip"], socket.SOCK_DGRAM)
        port = self.sock.getsockname()[1]
        acts.tell(self.wishes, self.flow, self.address, port)
        says = "ok"
        try:
            asyncio.run(self.talk())
        except (OSError, asyncio.TimeoutError) as error:
            says = "%s: %s" % (type(error).__name__, str(error) or "timed out")
        return [dict(self.flow, client_ip=self.address, client_port=port, start=self.start, protocol="udp",
                     seconds=round(time.time() - self.start, 3), bytes=self.client.got if self.client else 0,
                     outcome=self.outcome(), says=says)]

    def outcome(self):
        whole = self.client and self.client.done.is_set() and self.client.status == b"200"
        if whole and self.answered - self.start < LATE:
            return "worked"
        return "degraded" if self.client and self.client.got else "failed"

    async def talk(self):
        settings = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name=self.flow["name"],
                                     idle_timeout=self.flow["patience"])
        settings.load_verify_locations(os.path.join(self.wishes, "ca.pem"))
        loop = asyncio.get_running_loop()
        transport, self.client = await loop.create_datagram_endpoint(
            lambda: Client(QuicConnection(configuration=settings)), sock=self.sock)
        try:
            await asyncio.wait_for(self.exchange(), self.flow["patience"])
        finally:
            self.client.close()
            await asyncio.sleep(0.1)
            transport.close()

    async def exchange(self):
        self.client.connect(socket.getaddrinfo(self.flow["server_ip"], self.flow["port"])[0][4])
        await self.client.wait_connected()
        self.client.ask(self.flow["name"])
        await self.client.done.wait()
        self.answered = time.time()
