"""Decides which packet of a flow triggers the rule: flows and their client packets in, True for the trigger out."""
from . import names, quic
from .rule import AT_ONCE, ONLY_TCP, ONLY_UDP

LOOKS = 6  # client packets with payload that are looked at when nothing is put together


class Matcher:
    def __init__(self, rule, scene):
        self.rule = rule
        self.blocked_servers = {server["ip"] for server in scene["servers"]
                                if any(rule.fits_name(name) for name in server.get("names") or [])}
        if rule.key == "sni" and rule.action == "quic_drop" and not quic.AVAILABLE:
            raise RuntimeError("reading QUIC Initials needs the Python package cryptography")

    def triggers(self, flow, packet, direction, wish):
        """True for the trigger. A flow that cannot match any more becomes "free"."""
        if direction != "c2s" or not self.in_scope(flow):
            return False
        if self.rule.action == "mitm":
            return packet.is_syn and self.redirects(flow, wish)
        return getattr(self, "by_" + self.rule.key)(flow, packet)

    def in_scope(self, flow):
        rule = self.rule
        fits = not (rule.addresses and flow.server_ip not in rule.addresses)
        fits = fits and not (rule.ports and flow.server_port not in rule.ports)
        fits = fits and not (rule.action in self.other_protocol(flow))
        if not fits:
            flow.state = "free"
        return fits

    def other_protocol(self, flow):
        return ONLY_UDP if flow.protocol == "tcp" else ONLY_TCP

    def redirects(self, flow, wish):
        """The name is not known yet at the SYN: what the client will ask for, else what stands at the address."""
        if self.rule.key != "sni":
            return bool(self.rule.addresses or self.rule.ports)
        if wish.get("name"):
            return self.rule.fits_name(wish["name"])
        return flow.server_ip in self.blocked_servers

    def decide(self, flow, name):
        """For a name that was read: MORE keeps the flow open, any other that does not fit frees it."""
        if name is names.MORE:
            return False
        if name and self.rule.fits_name(name):
            flow.marks["name"] = name
            return True
        flow.state = "free"
        return False

    def by_server_ip(self, flow, packet):
        return bool(self.rule.addresses) and self.soon_enough(packet)

    def by_server_port(self, flow, packet):
        return bool(self.rule.ports) and self.soon_enough(packet)

    def soon_enough(self, packet):
        return self.rule.action in AT_ONCE or bool(packet.payload)

    def by_sni(self, flow, packet):
        if not packet.payload:
            return False
        if flow.protocol == "udp":
            return self.by_quic_sni(flow, packet)
        return self.read_stream(flow, packet, names.hello_name, names.packet_hello_name)

    def by_quic_sni(self, flow, packet):
        if self.rule.action != "quic_drop":
            flow.state = "free"
            return False
        flow.quic = flow.quic or quic.HelloReader(self.rule.reassemble)
        name = quic.datagram_name(flow.quic, packet.payload)
        return self.decide(flow, name) if name or flow.sides["c2s"].packets > LOOKS else False

    def by_http_host(self, flow, packet):
        """Every request of a connection is looked at, not only the first."""
        if not packet.payload or flow.protocol != "tcp":
            return False
        found = self.read_stream(flow, packet, names.http_host, names.packet_http_host)
        if flow.state == "free":
            flow.state = None
            name = names.packet_http_host(packet.payload)
            return bool(name) and self.rule.fits_name(name)
        return found

    def by_dns_name(self, flow, packet):
        """Over TCP; datagrams are judged one by one elsewhere."""
        return self.read_stream(flow, packet, names.stream_dns_name, lambda payload: "") if packet.payload else False

    def read_stream(self, flow, packet, read, read_packet):
        if self.rule.reassemble and flow.stream:
            return self.decide(flow, read(flow.stream.add(packet.seq, packet.payload)))
        name = read_packet(packet.payload)
        flow.marks["looks"] = flow.marks.get("looks", 0) + 1
        return self.decide(flow, name) if name or flow.marks["looks"] > LOOKS else False

    def by_first_payload(self, flow, packet):
        if not packet.payload:
            return False
        kind = names.payload_kind(packet.payload, flow.protocol)
        if kind in self.rule.payload_kinds():
            flow.marks["name"] = kind
            return True
        flow.state = "free"
        return False

    by_protocol = by_first_payload
