"""The censor dict of a scene with its defaults, and the words in which its answers are drawn."""

# These act from a flow's first packet when they are keyed on address or port; all others wait for the first payload.
AT_ONCE = {"syn_drop", "syn_rst", "icmp", "police", "shape", "random_loss", "mitm", "drop_after_bytes", "quic_drop",
           "stun_drop", "media_cut"}
DNS = {"dns_forge", "dns_nxdomain", "dns_refuse", "dns_drop"}
ONLY_TCP = {"syn_drop", "syn_rst", "rst", "rewrite", "drop_after_ack", "http_page", "http_redirect", "http_drop", "mitm"}
ONLY_UDP = {"quic_drop", "stun_drop", "media_cut"}
RESETS = {"rst", "rewrite", "syn_rst"}
SWALLOWED = {"syn_rst", "icmp", "http_page", "http_redirect", "dns_nxdomain", "dns_refuse"}
WAYS = {"drop_hello": "c2s", "first_payload_drop": "c2s", "http_drop": "c2s", "syn_drop": "c2s", "quic_drop": "c2s",
        "drop_s2c": "s2c", "dns_drop": "c2s"}
TRIGGERS = {"first_payload": "protocol"}
PROTOCOLS = {"quic_drop": ["quic"], "stun_drop": ["stun"], "media_cut": ["stun"]}
ACTIONS = AT_ONCE | DNS | ONLY_TCP | set(WAYS) | {"drop_after_packets"}
KEYS = {"sni", "server_ip", "server_port", "first_payload", "http_host", "dns_name", "protocol"}


class Rule:
    def __init__(self, told):
        self.told = dict(told)
        self.name = told.get("name") or told["action"]
        self.action, self.key = told["action"], told["key"]
        if self.action not in ACTIONS or self.key not in KEYS:
            raise ValueError("unknown action or key: %s, %s" % (self.action, self.key))
        if (self.action in DNS) > (self.key == "dns_name"):
            raise ValueError("%s needs the key dns_name" % self.action)
        self.trigger = TRIGGERS.get(self.key, self.key)
        self.names = [name.lower().rstrip(".") for name in told.get("names") or []]
        self.addresses, self.ports = told.get("addresses") or [], told.get("ports") or []
        self.reassemble = told.get("reassemble", True)
        self.misses = told.get("misses") or 0
        self.swallow = told.get("swallow", self.action in SWALLOWED)
        self.way = told.get("way") or WAYS.get(self.action, "both")
        self.to = told.get("to") or "client"
        self.since, self.until = told.get("from") or 0, told.get("until")

    def get(self, word, default=None):
        value = self.told.get(word)
        return default if value is None else value

    def draw(self, flow, word, default, random):
        """A number; of a range [low, high] each flow draws its own."""
        value = self.get(word, default)
        if not isinstance(value, (list, tuple)):
            return value
        if word not in flow.drawn:
            low, high = value
            whole = isinstance(low, int) and isinstance(high, int)
            flow.drawn[word] = random.randint(low, high) if whole else random.uniform(low, high)
        return flow.drawn[word]

    def active(self, seconds):
        return self.since <= seconds and (self.until is None or seconds < self.until)

    def on_way(self, direction):
        return self.way in ("both", direction)

    def goes_to(self, end):
        return self.to in ("both", end)

    def fits_name(self, name):
        """Whether a name is listed: itself, or (suffix) as the end of it at a dot."""
        name = name.lower().rstrip(".")
        if self.get("match", "suffix") == "exact":
            return name in self.names
        return any(name == listed or name.endswith("." + listed) for listed in self.names)

    def payload_kinds(self):
        return self.get("protocols") or self.names or PROTOCOLS.get(self.action, ["noise", "mtproto", "random"])
