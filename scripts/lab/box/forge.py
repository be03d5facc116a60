"""Forged packets: a rule's words for TTL, IPID, window and options become header fields.

`copy` means as the end that is imitated sends: its last TTL, its next IPID, its last window.
"""
import struct

from . import packets
from .packets import ACK, FIN, PSH, RST

FORGED_IP, FORGED_IP6 = ["8.7.198.46", "59.24.3.174", "46.82.174.69", "93.46.8.90"], ["2001::212"]
LIFETIMES = [30, 60, 120, 300]  # seconds
PAGE = "<html><head><title>Access denied</title></head><body>Access to this site is restricted.</body></html>"


class Forger:
    """Imitates the ends of a flow, as they look from where it stands (`sides`: at the box, `ends`: at the servers' door)."""

    def __init__(self, rule, random, hops_of, place="sides"):
        self.rule, self.random, self.hops_of, self.place = rule, random, hops_of, place
        self.far_ttl = random.choice((64, 128, 255)) - random.randint(1, 6)
        self.fixed_ipid = random.randint(1, 65535)

    def side(self, flow, to):
        return getattr(flow, self.place)["s2c" if to == "client" else "c2s"]

    def ttl(self, flow, to):
        word = str(self.rule.get("ttl", "copy"))
        if word.startswith("fixed"):
            return int(word.partition(":")[2] or 64)
        if word == "far":
            return self.far_ttl
        side = self.side(flow, to)
        return side.ttl if side.packets else max(2, 64 - self.hops_of(flow))

    def ipid(self, flow, to):
        word = self.rule.get("ipid", "zero")
        if word == "copy":
            last = self.side(flow, to).ipid
            return (last + 1) & 0xFFFF if last else 0
        return {"zero": 0, "random": self.random.randint(1, 65535), "fixed": self.fixed_ipid}[word]

    def ip(self, flow, to):
        word = self.rule.get("ipid", "zero")
        df = self.side(flow, to).df if word == "copy" else word == "zero"
        return {"ttl": self.ttl(flow, to), "ipid": self.ipid(flow, to), "df": df}

    def window(self, flow, to):
        word = self.rule.get("window", "zero")
        return {"zero": 0, "copy": self.side(flow, to).window, "random": self.random.randint(1, 65535)}[word]

    def options(self, flow, to):
        mine, other = self.side(flow, to), self.side(flow, "server" if to == "client" else "client")
        if not self.rule.get("options") or mine.timestamp is None:
            return b""
        return packets.timestamp_option(mine.timestamp, other.timestamp or 0)

    def segment(self, flow, to, seq, ack, flags, payload=b""):
        address = flow.mitm if self.place == "ends" and flow.mitm else flow.server_ip
        server, client = (address, flow.server_port), flow.outside
        source, target = (server, client) if to == "client" else (client, server)
        window = self.side(flow, to).window if payload else self.window(flow, to)
        return packets.build_tcp(*source, *target, seq, ack if flags & ACK else 0, flags, window=window,
                                 options=self.options(flow, to), payload=payload, **self.ip(flow, to))

    def resets(self, flow, trigger, to):
        """The resets that answer a client's packet. Guessed sequence numbers are offsets to the expected one."""
        flags = packets.flag_bits(self.rule.get("flags", "RA")) | RST
        if to == "client":
            seq, ack = trigger.ack, trigger.end
            flags |= ACK if trigger.is_syn else 0  # without it nothing answers a SYN
        else:
            seq, ack = (trigger.seq if self.rule.swallow and not trigger.is_syn else trigger.end), trigger.ack
        guesses = self.rule.get("guess") or [0]
        count = max(int(self.rule.draw(flow, "count", 1, self.random)), len(guesses))
        return [self.segment(flow, to, seq + guesses[i % len(guesses)], ack, flags) for i in range(count)]

    def answer_page(self, flow, request):
        return self.segment(flow, "client", request.ack, request.end, FIN | PSH | ACK, self.page())

    def page(self):
        if self.rule.action == "http_redirect":
            place = self.rule.get("location", "http://blocked.example.net/")
            head = "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % place
            return head.encode()
        body = self.rule.get("page", PAGE).encode()
        head = "HTTP/1.1 %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        return (head % (self.rule.get("status", "403 Forbidden"), len(body))).encode() + body

    def dns_answer(self, flow, query, question):
        ident, _, kind, end = question
        rcode = {"dns_nxdomain": 3, "dns_refuse": 5}.get(self.rule.action, 0)
        records = self.dns_records(kind) if rcode == 0 else []
        asked_recursion = query.payload[2] & 1
        message = struct.pack("!HHHHHH", ident, 0x8080 | asked_recursion << 8 | rcode, 1, len(records), 0, 0)
        message += query.payload[12:end] + b"".join(records)
        return packets.build_udp(flow.server_ip, flow.server_port, *flow.outside, message, **self.ip(flow, "client"))

    def dns_records(self, kind):
        addresses = {1: self.rule.get("forged_ips", FORGED_IP), 28: self.rule.get("forged_ip6s", FORGED_IP6)}.get(kind)
        if not addresses:
            return []
        found = self.random.sample(addresses, self.random.randint(1, len(addresses)))
        ttl = self.rule.get("dns_ttl", self.random.choice(LIFETIMES))
        return [struct.pack("!HHHIH", 0xC00C, kind, 1, ttl, len(data)) + data for data in map(packets.pack_address, found)]

    def unreachable(self, flow, about):
        source = self.rule.get("icmp_source6" if about.version == 6 else "icmp_source")
        source = source or ("2001:db8:b0::1" if about.version == 6 else "10.%d.0.1" % (self.fixed_ipid % 200 + 10))
        code = self.rule.get("icmp_code", 1 if about.version == 6 else 13)
        return packets.build_unreachable(source, about, code, ttl=64, ipid=self.random.randint(1, 65535))
