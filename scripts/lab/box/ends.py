"""What happens outside the censor: outages, vanished clients, resets by a load balancer in front of a server.

Scene events that the box plays (others are left to the servers):
  {"kind": "outage", "server_ip": address or null, "from": s, "to": s}
  {"kind": "own_reset", "server_ip": address, "at": s}              all open connections of the server
  {"kind": "vanished", "client": id, "from": s, "to": s or null}    the whole client
Flow acts, read from the wishes:
  own_reset   `reset_after_s`: seconds without payload after the server's last word (default 2)
  vanished    `vanish_after_s`: seconds after the flow's first packet (default 1.5)
"""
from .forge import Forger
from .packets import ACK, FIN, RST


class Events:
    def __init__(self, events):
        self.outages = [event for event in events if event["kind"] == "outage"]
        self.vanished = [event for event in events if event["kind"] == "vanished"]
        self.resets = [event for event in events if event["kind"] == "own_reset"]

    def out(self, server_ip, seconds):
        return any(event.get("server_ip") in (None, server_ip) and during(event, seconds) for event in self.outages)

    def gone(self, client, flow, wish, now, seconds):
        """Whether the client (or only this flow's part of it) has vanished."""
        if any(event.get("client") == client.id and during(event, seconds) for event in self.vanished):
            return True
        return bool(flow) and wish.get("act") == "vanished" and now - flow.started >= number(wish, "vanish_after_s", 1.5)


def during(event, seconds):
    until = event.get("to")
    return (event.get("from") or 0) <= seconds and (until is None or seconds < until)


def number(wish, word, default):
    value = wish.get(word)
    return default if value is None else float(value)


def draw_appliance(random):
    """How a device's own resets look: drawn from the same words as a censor's, so that no single field tells one from the other."""
    return {"ttl": random.choice(("copy", "fixed:128", "fixed:255")), "ipid": random.choice(("zero", "copy", "random", "fixed")),
            "window": random.choice(("zero", "zero", "copy", "copy", "random")), "options": random.random() < 0.3}


class LoadBalancer:
    """Stands at the servers' door, sees both directions there and ends connections by resets of its own."""

    def __init__(self, box):
        self.box = box
        self.forger = Forger(draw_appliance(box.random), box.random, lambda flow: 0, "ends")
        self.last_payload = {}

    def see(self, flow, packet, direction, now):
        """True if the packet goes no further because the connection is over."""
        if flow is None or flow.protocol != "tcp":
            return False
        if flow.closed == "reset":
            self.after_reset(flow, packet, direction, now)
            return True
        flow.ends[direction].see(packet)
        if packet.flags & (FIN | RST):
            flow.closed = "ended"
        if packet.payload:
            self.last_payload[flow] = now
            if direction == "s2c" and self.box.wish(flow).get("act") == "own_reset":
                self.box.later(now + self.idle(flow), self.check_idle, flow)
        return False

    def idle(self, flow):
        return number(self.box.wish(flow), "reset_after_s", 2.0)

    def check_idle(self, flow, now):
        if now - self.last_payload[flow] >= self.idle(flow) - 0.001:
            self.reset(flow, now)

    def reset_all(self, server_ip, now):
        for flow in self.box.flows.to_server(server_ip):
            if flow.protocol == "tcp":
                self.reset(flow, now)

    def reset(self, flow, now):
        server, client = flow.ends["s2c"], flow.ends["c2s"]
        if flow.closed or server.next_seq is None or client.next_seq is None:
            return
        flow.closed = "reset"
        self.send(flow, "client", server.next_seq, client.next_seq, RST | ACK)
        self.send(flow, "server", client.next_seq, server.next_seq, RST | ACK)

    def send(self, flow, to, seq, ack, flags):
        self.box.from_door(flow, self.forger.segment(flow, to, seq, ack, flags), to)

    def after_reset(self, flow, packet, direction, now):
        self.box.log.packet("own_reset", flow, packet, direction, now, reason="swallowed")
        if direction == "c2s" and not packet.flags & RST:
            self.send(flow, "client", packet.ack, 0, RST)
