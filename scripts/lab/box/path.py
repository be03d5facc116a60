"""The ways between client, box and server: delay, jitter, loss, reordering, hops, path changes, MTU holes, bottlenecks.

A path belongs to a server address (`path` of the scene's servers). `delay_ms` is the time from client to server, one way; the
part between client and box is as large as its share of the hops, or the client's `box_delay_ms`. Jitter comes on top, and
keeps the order; `reorder` is the share of packets that are overtaken. A packet's loss falls on either half by the same share.
"""
DEFAULT = {"delay_ms": 20.0, "hops": 8}
QUEUE_MS = 250.0  # longest wait in a bottleneck unless the path says `queue_ms`
NEAR, FAR = "near", "far"


class Path:
    def __init__(self, settings):
        self.settings = dict(DEFAULT, **{k: v for k, v in settings.items() if v is not None})
        self.busy_until = {}

    def at(self, seconds, word):
        """A value at a moment of the scene: a path change replaces some."""
        change = self.settings.get("change")
        if change and seconds >= change["at"] and change.get(word) is not None:
            return change[word]
        return self.settings.get(word, 0)

    def delay(self, seconds):
        return self.at(seconds, "delay_ms") / 1000

    def hops(self, seconds):
        return int(self.at(seconds, "hops"))

    def too_large(self, packet):
        mtu = self.settings.get("mtu")
        return mtu is not None and len(packet.raw) > mtu

    def wait_in_queue(self, direction, size, now):
        """Seconds in the bottleneck, or None if its queue is full."""
        rate = self.settings.get("queue_kbps")
        if not rate:
            return 0.0
        start = max(now, self.busy_until.get(direction, 0.0))
        if start - now > self.settings.get("queue_ms", QUEUE_MS) / 1000:
            return None
        self.busy_until[direction] = start + size * 8 / (rate * 1000)
        return self.busy_until[direction] - now


class Paths:
    """Says when a packet that enters a half of the way comes out of it."""

    def __init__(self, scene, random):
        self.paths = {server["ip"]: Path(server.get("path") or {}) for server in scene["servers"]}
        self.other = Path({})
        self.random = random
        self.last_due = {}

    def of(self, server_ip):
        return self.paths.get(server_ip, self.other)

    def near_share(self, client, path, seconds):
        if client.box_delay is not None:
            return min(0.95, client.box_delay / max(path.delay(seconds), 1e-6))
        return client.hops / max(1, client.hops + path.hops(seconds))

    def travel(self, half, direction, client, server_ip, packet, now, seconds):
        """(due, None), or (None, what became of the packet: "lost", "mtu", "queue" or "ttl")."""
        path = self.of(server_ip)
        share = self.near_share(client, path, seconds)
        share = share if half == NEAR else 1 - share
        hops = client.hops if half == NEAR else path.hops(seconds)
        if half == FAR and path.too_large(packet):
            return None, "mtu"
        if packet.ttl <= hops:
            return None, "ttl"
        if self.random.random() < path.at(seconds, "loss") * share:
            return None, "lost"
        waited = path.wait_in_queue(direction, len(packet.raw), now) if half == FAR else 0.0
        if waited is None:
            return None, "queue"
        packet.set_ttl(packet.ttl - hops)
        jitter = self.random.uniform(0, path.at(seconds, "jitter_ms") / 1000) * share
        due = now + waited + path.delay(seconds) * share + jitter
        return self.in_order((half, direction, client.id, server_ip), due, path, seconds, half), None

    def in_order(self, way, due, path, seconds, half):
        """Not before the packet ahead, but for those that take a longer way round and are overtaken."""
        due = max(due, self.last_due.get(way, 0.0))
        if half == FAR and self.random.random() < path.at(seconds, "reorder"):
            return due + self.random.uniform(0.001, 0.008)
        self.last_due[way] = due
        return due
