"""The flows that pass: who they belong to, what was last seen of either end, and the ordered start of the client's bytes.

Flows are kept by the addresses that are valid between box and server (behind a NAT of the client).
"""
import json
import os

from . import packets

HEAD = 20000  # bytes of a stream that are kept for matching


class Side:
    """What was last seen from one end, as the box sees it."""

    def __init__(self):
        self.ttl, self.ipid, self.df, self.window, self.scale = 64, 0, True, 0, 0
        self.next_seq = self.ack = self.timestamp = None
        self.packets = self.bytes = 0

    def see(self, packet):
        self.ttl, self.df = packet.ttl, packet.df
        self.ipid = packet.ipid if packet.ipid is not None else 0
        self.packets += 1
        self.bytes += len(packet.payload)
        if packet.protocol != "tcp":
            return
        if packet.flags & packets.SYN:
            self.scale = packet.window_scale()
        # As its later segments would say it: the window of a SYN is never scaled (RFC 7323 section 2.2), and Linux rounds up.
        self.window = (packet.window + (1 << self.scale) - 1) >> self.scale if packet.flags & packets.SYN else packet.window
        self.timestamp = packet.timestamp() or self.timestamp
        if self.next_seq is None or packets.after(packet.end, self.next_seq) > 0:
            self.next_seq = packet.end
        if packet.flags & packets.ACK:
            self.ack = packet.ack


class Stream:
    """The start of the client's bytes in order, whatever order the segments come in."""

    def __init__(self, first):
        self.first = first
        self.pieces = {}
        self.data = b""

    def add(self, seq, payload):
        offset = packets.after(seq, self.first)
        if payload and 0 <= offset < HEAD:
            self.pieces[offset] = max(self.pieces.get(offset, b""), payload, key=len)
        for offset in sorted(self.pieces):
            if offset <= len(self.data) < offset + len(self.pieces[offset]):
                self.data += self.pieces[offset][len(self.data) - offset:]
        return self.data


class Flow:
    def __init__(self, client, inside, outside, server, protocol, started):
        self.client, self.inside, self.outside = client, inside, outside
        self.server_ip, self.server_port = server
        self.protocol, self.started = protocol, started
        self.isn = self.stream = self.mitm = self.quic = None
        self.sides = {"c2s": Side(), "s2c": Side()}  # at the box
        self.ends = {"c2s": Side(), "s2c": Side()}  # at the server's door
        self.wish, self.wish_tries = None, 0
        self.closed = None  # "ended" by the ends, "reset" by the load balancer
        # What the censor made of it: None, "free", "missed" or "hit".
        self.state, self.trigger, self.hit_at, self.residual = None, None, 0.0, False
        self.packets_after = self.bytes_after = self.answered = 0
        self.hello_acked = self.cut = False
        self.marks, self.buckets, self.drawn = {}, {}, {}

    def read_wish(self, folder):
        """What the ends agreed on for this flow; the client writes it before it sends."""
        if self.wish is None and folder and self.wish_tries < 12:
            self.wish_tries += 1
            try:
                with open(os.path.join(folder, "%s_%d" % self.inside)) as source:
                    self.wish = json.load(source)
            except (OSError, ValueError):
                pass
        return self.wish or {}


class Flows:
    def __init__(self):
        self.table = {}
        self.aliases = {}  # a redirected connection's answers come from elsewhere

    def of_client(self, client, packet, inside, now):
        outside = (packet.source, packet.sport)
        key = (packet.protocol, outside, (packet.target, packet.dport))
        flow = self.table.get(key)
        if flow is None or (packet.is_syn and flow.isn is not None and flow.isn != packet.seq):
            flow = Flow(client, inside, outside, key[2], packet.protocol, now)
            self.table[key] = flow
        if packet.is_syn:
            flow.isn = packet.seq
            flow.stream = flow.stream or Stream((packet.seq + 1) & packets.NUMBER)
        return flow

    def of_server(self, packet):
        key = (packet.protocol, (packet.target, packet.dport), (packet.source, packet.sport))
        return self.table.get(key) or self.aliases.get(key)

    def of_quote(self, packet):
        """The flow that an ICMP error is about."""
        quote = packet.quoted()
        if not quote:
            return None
        protocol, source, sport, target, dport = quote
        one = (protocol, (source, sport), (target, dport))
        other = (protocol, (target, dport), (source, sport))
        return self.table.get(one) or self.table.get(other) or self.aliases.get(one) or self.aliases.get(other)

    def alias(self, flow, server_ip):
        self.aliases[(flow.protocol, flow.outside, (server_ip, flow.server_port))] = flow

    def to_server(self, server_ip):
        return [flow for flow in self.table.values() if server_ip in (None, flow.server_ip)]
