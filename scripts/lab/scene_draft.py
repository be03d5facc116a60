"""A scene while it is being drawn: clients, servers with their paths, names, flows, events and the censor.

In: a family's name and a seed. Out (`Draft.scene`): the scene dict. Everything comes from one random.Random(seed). What is blocked
is drawn last and from a generator of its own, so that addresses, paths, names and behaviours know nothing of it.
"""
import random as randoms

import acts
import scene_names as names

PROGRAMS = ["nginx", "caddy", "openssl", "gnutls"]
QUIC_PROGRAMS = ["caddy"]
TTLS = [64, 64, 64, 128, 255]
PORTS = {"tls": 443, "idle_open": 443, "race": 443, "quic": 443, "browser": 443, "http": 80, "dns": 53, "stun": 3478, "raw": 5222}
RAW = {"noise": 4, "mtproto": 4, "random": 2, "ssh": 1}
PAGE = "<html><head><title>%s</title></head><body><p>%s</p></body></html>"
PAGE_TITLES = ["Access denied", "Access restricted", "Доступ ограничен", "Erişim engellendi", "Notice"]
PAGE_SENTENCES = [
    "Access to this site is restricted.", "This page has been blocked by order of the regulator.",
    "Доступ к ресурсу ограничен по решению суда.",
    "The resource is listed in the unified register of prohibited information.",
    "Bu siteye erişim mahkeme kararı ile engellenmiştir.",
    "If you believe that this is an error, contact your provider and quote the number of this notice.",
]
CLOSED = [8443, 8444, 5223, 4433, 993]

# How often a client does what. Nothing of this depends on the name or on the censor.
ACTS = {
    "plain": 24, "abort": 4, "cancel": 1, "close_unread": 3, "rst_close": 3, "server_rst": 3, "server_unread": 2, "idle_rst": 2,
    "own_reset": 2, "reset_hello": 1,
    "alert": 2, "hung": 2, "slow": 3, "long_poll": 3, "poll_give_up": 3, "idle_push": 2, "upload": 3, "trickle": 3, "bulk": 3,
    "stop": 3, "split": 5, "no_sni": 2, "vanished": 1,
}
OTHERS = {"http": 5, "raw": 4, "idle_open": 3, "scan": 2, "closed_port": 2, "race": 2}
TINY, SMALL, MIDDLE, LARGE = (60, 900), (900, 9000), (18000, 60000), (120000, 360000)
SIZES = {"abort": (200000, 500000), "close_unread": (200000, 500000), "stop": (200000, 500000), "bulk": LARGE, "upload": MIDDLE,
         "trickle": (2000, 8000), "idle_push": (500, 3000), "slow": SMALL, "vanished": LARGE}


def weighted(random, table):
    return random.choices(list(table), list(table.values()))[0]


class Draft:
    def __init__(self, family, seed):
        self.family, self.seed = family, seed
        self.random = randoms.Random(seed)
        self.chooser = randoms.Random("%d blocked" % seed)
        self.clients, self.servers, self.flows, self.events = [], [], [], []
        self.resolvers, self.relays, self.foreign = [], [], []  # servers of other kinds
        self.names, self.censor = [], None
        self.span = self.random.uniform(26, 38)
        self.server_ttl = self.random.choice(TTLS)

    # Who is there

    def taken(self):
        used = [client["ip"] for client in self.clients] + [client["nat"] for client in self.clients]
        return used + [server["ip"] for server in self.servers + self.resolvers + self.relays]

    def add_clients(self, behind=2, beside=None, v6=False):
        """Two behind the box; in many scenes a third beside it."""
        beside = self.random.random() < 0.6 if beside is None else beside
        for number in range(behind + bool(beside)):
            self.clients.append(self.draw_client(number, number < behind, v6))

    def draw_client(self, number, behind_box, v6):
        address = names.draw_address(self.random, names.CLIENT_NETS, self.taken())
        nat = names.is_private(address) and self.random.random() < 0.6
        client = {
            "id": "client" + (str(number + 1) if number else ""), "ip": address,
            "ip6": names.draw_address(self.random, names.CLIENT_NETS6) if v6 else None,
            "behind_box": behind_box, "hops_to_box": self.random.randint(1, 6), "ttl": self.random.choice([64, 64, 128]),
            "nat": names.draw_address(self.random, names.NAT_NETS, self.taken()) if nat else None,
        }
        client["nat_ports"] = self.random.choice(["keep", "shift"])
        return client

    def add_servers(self, count=None, quic=False, v6=False, known=None, unknown=None):
        """Servers with overlapping sets of names: each name on two or three of them."""
        count = count or self.random.randint(4, 5)
        self.names = names.draw_names(self.random, known or self.random.randint(3, 4), unknown or self.random.randint(4, 5))
        for number in range(count):
            self.servers.append(self.draw_server(number, quic, v6))
        for name in self.names:
            for server in self.random.sample(self.servers, min(count, self.random.randint(2, 3))):
                server["names"].append(name)
        for server in self.servers:
            if not server["names"]:
                server["names"] = self.random.sample(self.names, 3)

    def draw_server(self, number, quic, v6):
        program = self.random.choice(QUIC_PROGRAMS if quic and number % 2 == 0 else PROGRAMS)
        address = names.draw_server(self.random, self.taken())
        address = names.draw_address(self.random, names.NETS6, self.taken()) if v6 else address
        return {"ip": address, "program": program, "names": [], "port": 443, "path": self.draw_path()}

    def draw_path(self, random=None):
        random = random or self.random
        delay = round(random.choice([random.uniform(4, 25), random.uniform(20, 60), random.uniform(50, 110)]), 1)
        path = {"delay_ms": delay, "jitter_ms": round(delay * random.uniform(0.01, 0.15), 2),
                "loss": round(random.choice([0, 0, random.uniform(0.0005, 0.004)]), 5),
                "reorder": round(random.choice([0, 0, random.uniform(0.0005, 0.003)]), 5),
                "hops": random.randint(4, 18), "mtu": None, "change": None, "queue_kbps": None}
        if random.random() < 0.25:
            path["change"] = self.draw_change(path, random)
        if random.random() < 0.15:
            path["queue_kbps"] = random.randint(4000, 20000)
        return path

    def draw_change(self, path, random=None):
        random = random or self.random
        return {"at": round(random.uniform(0.3, 0.8) * self.span, 1), "hops": max(2, path["hops"] + random.choice([-2, -1, 1, 2, 3])),
                "delay_ms": round(path["delay_ms"] * random.uniform(0.8, 1.9), 1)}

    def add_resolvers(self, count=3):
        for address in self.random.sample(names.RESOLVERS, count):
            self.resolvers.append({"ip": address, "program": "dns", "names": [], "port": 53, "path": self.draw_path()})

    def add_relays(self, count=4):
        for _ in range(count):
            address = names.draw_server(self.random, self.taken())
            self.relays.append({"ip": address, "program": "relay", "names": [], "port": 3478, "path": self.draw_path()})

    def add_foreign(self):
        """A server whose certificates come from another authority; it answers for all names."""
        address = names.draw_address(self.chooser, names.OTHER_NETS, self.taken())
        self.foreign.append({"ip": address, "program": "openssl", "names": list(self.names), "port": 443, "foreign": True,
                             "path": dict(self.draw_path(self.chooser), loss=0, reorder=0, change=None, delay_ms=2.0, hops=2)})
        return address

    # What they do

    def some_server(self, name=None, program=None, act=None):
        found = [server for server in self.servers if name in (None, *server["names"]) and program in (None, server["program"])]
        found = [server for server in found if act is None or acts.fits(server["program"], act)]
        return self.random.choice(found) if found else None

    def flow(self, client, kind, act="plain", name=None, server_ip=None, **more):
        """One flow at a random moment; `more` may set any field."""
        flow = {"client": client["id"], "at": round(self.random.uniform(0.3, self.span), 3), "kind": kind, "act": act, "name": name,
                "server_ip": server_ip, "port": PORTS.get(kind, 443), "patience": round(self.random.uniform(9, 15), 1),
                "size": self.random.randint(*SIZES.get(act, self.random.choice([SMALL, SMALL, MIDDLE]))), "tls": None}
        flow.update(more)
        self.flows.append(flow)
        return flow

    def tls_flow(self, client, act=None, name=None, **more):
        act = act or weighted(self.random, ACTS)
        name = name or self.random.choice(self.names)
        server = self.some_server(name, act=act)
        if server is None:  # no program at hand that does its part
            act, server = "plain", self.some_server(name)
        more = dict(self.details(act), tls=self.random.choice(["1.2", "1.3", "1.3"]), **more)
        return self.flow(client, "tls", act, name, server["ip"], **more)

    def details(self, act):
        random = self.random
        if act == "split":
            return {"split": random.choice(["tcp", "records"])}
        if act == "own_reset":
            return {"reset_after_s": round(random.uniform(1.0, 3.0), 2)}
        if act == "vanished":
            return {"vanish_after_s": round(random.uniform(0.3, 1.5), 2)}
        if act in ("slow", "long_poll", "idle_push", "idle_rst", "stop", "abort", "close_unread"):
            return {"wait_s": round(random.uniform(1.0, 5.0), 2)}
        if act == "poll_give_up":
            return {"patience": round(random.uniform(4.0, 9.0), 1)}
        return {}

    def other_flow(self, client, kind=None):
        kind = kind or weighted(self.random, OTHERS)
        name = self.random.choice(self.names)
        server = self.some_server(name)
        if kind == "raw":
            return self.raw_flow(client)
        if kind == "scan":
            return self.flow(client, "scan", "plain", None, server["ip"], port=self.random.choice([443, 80]))
        if kind == "closed_port":
            return self.flow(client, "scan", "closed_port", None, server["ip"], port=self.random.choice(CLOSED))
        if kind == "race":
            other = self.random.choice([one for one in self.servers if name in one["names"] and one is not server])
            return self.flow(client, "race", "plain", name, server["ip"], other_ip=other["ip"], tls="1.3")
        if kind == "idle_open":
            return self.flow(client, "idle_open", "plain", name, server["ip"], wait_s=round(self.random.uniform(2, 9), 1))
        size = self.random.randint(*self.random.choice([TINY, SMALL, MIDDLE]))
        return self.flow(client, kind, "plain", name, server["ip"], size=size)

    def raw_flow(self, client, payload=None):
        payload = payload or weighted(self.random, RAW)
        server = self.random.choice(self.servers)
        return self.flow(client, "raw", "plain", None, server["ip"], payload=payload)

    def quic_flow(self, client, name=None):
        server = self.some_server(program="caddy")
        name = name or self.random.choice(server["names"])
        server = self.some_server(name, "caddy") or server
        return self.flow(client, "quic", "plain", name, server["ip"], size=self.random.randint(2000, 60000))

    def page_words(self):
        """A block page: its status, text and place."""
        choose = self.chooser
        sentences = choose.sample(PAGE_SENTENCES, choose.randint(1, len(PAGE_SENTENCES)))
        page = PAGE % (choose.choice(PAGE_TITLES), "</p><p>".join(sentences))
        host = names.made_up(choose)
        path = choose.choice(["", "blocked", "stop.html", "?id=%d" % choose.randint(1, 99999)])
        status = choose.choice(["403 Forbidden", "200 OK", "451 Unavailable For Legal Reasons"])
        return {"page": page, "location": "http://%s/%s" % (host, path), "status": status}

    def dns_flow(self, client, act=None, name=None):
        act = act or weighted(self.random, {"plain": 20, "gone": 1, "slow": 1, "dead": 1})
        name = (name or self.random.choice(self.names)) if act == "plain" else "%s-%d.example.%s" % (
            act, self.random.randint(1, 999), self.random.choice(["com", "net", "org"]))
        return self.flow(client, "dns", act, name, self.random.choice(self.resolvers)["ip"], patience=6.0,
                         qtype=self.random.choice(["A", "A", "AAAA"]))

    def call_flows(self, client):
        """One call: the client asks two or three relays, and media runs over them."""
        act = weighted(self.random, {"plain": 5, "short": 1, "not_picked_up": 1})
        seconds = {"plain": self.random.uniform(5, 9), "short": self.random.uniform(0.6, 1.5), "not_picked_up": 0}[act]
        first = None
        for relay in self.random.sample(self.relays, min(len(self.relays), self.random.randint(2, 3))):
            flow = self.flow(client, "stun", act, None, relay["ip"], media_s=round(seconds, 2), patience=12.0, call=len(self.flows))
            first = first or flow
            flow["at"], flow["call"] = first["at"], first["call"]

    def for_each_client(self, count, flow, *how):
        for client in self.clients:
            for _ in range(count):
                flow(client, *how)

    def mix(self, per_client=None, tls=0.72):
        """The innocent behaviours of all clients, on all names and servers."""
        for client in self.clients:
            for _ in range(per_client or self.random.randint(13, 17)):
                if self.random.random() < tls:
                    self.tls_flow(client)
                else:
                    self.other_flow(client)

    def add_outage(self, server_ip=None, seconds=None):
        since = self.random.uniform(0.15, 0.7) * self.span
        self.events.append({"kind": "outage", "server_ip": server_ip, "from": round(since, 1),
                            "to": round(since + (seconds or self.random.uniform(4, 9)), 1)})

    def innocent_events(self):
        """Troubles that have nothing to do with the censor: any scene may have some of them."""
        random = self.random
        if random.random() < 0.35:
            self.add_outage(random.choice(self.servers)["ip"])
        if random.random() < 0.12:
            self.add_outage(None, random.uniform(2, 5))
        if random.random() < 0.1:
            self.add_crash()
        if random.random() < 0.1:
            self.add_full()
        if random.random() < 0.1:
            self.add_vanished(random.uniform(3, 6))
        if random.random() < 0.1:
            self.add_hole(random.choice(self.servers))
        if random.random() < 0.1:
            self.events.append({"kind": "own_reset", "server_ip": random.choice(self.servers)["ip"],
                                "at": round(random.uniform(5, self.span), 1)})

    def add_crash(self):
        """A server program dies with all its connections; later ones are refused."""
        since = self.random.uniform(0.7, 0.9) * self.span
        self.events.append({"kind": "crash", "server_ip": self.random.choice(self.servers)["ip"], "from": round(since, 1), "to": None})

    def add_full(self):
        """A server takes no new connections for a while: its backlog is full."""
        since = self.random.uniform(0.2, 0.5) * self.span
        self.events.append({"kind": "server_full", "server_ip": self.random.choice(self.servers)["ip"], "from": round(since, 1),
                            "to": round(since + 8, 1)})

    def add_vanished(self, seconds):
        """A client goes away in mid-scene and comes back later."""
        since = self.random.uniform(0.3, 0.6) * self.span
        self.events.append({"kind": "vanished", "client": self.random.choice(self.clients)["id"], "from": round(since, 1),
                            "to": round(since + seconds, 1)})

    def add_hole(self, server):
        """On the way to a server large packets vanish without a word."""
        server["path"]["mtu"] = self.random.randint(1280, 1420)

    # What is blocked

    def names_on(self, program):
        return sorted({name for server in self.servers if server["program"] == program for name in server["names"]})

    def choose_names(self, match="exact", among=()):
        """About half of the names: at least one known and one other on either side, and of some names at least a third on either."""
        for _ in range(200):
            chosen = [name for name in self.names if self.chooser.random() < 0.5]
            rule = {"names": [names.parent(name) if match == "suffix" else name for name in chosen], "match": match}
            blocked = [name for name in self.names if listed(rule, name)]
            shared = len(set(blocked) & set(among))
            fair = 3 * shared >= len(among) and 3 * (len(among) - shared) >= len(among)
            if fair and both_kinds(blocked) and both_kinds([name for name in self.names if name not in blocked]):
                return rule
        raise ValueError("no fair choice of names")

    def choose_addresses(self, program=None):
        """Half of the servers (of a program)."""
        found = [server for server in self.servers if program in (None, server["program"])]
        return [server["ip"] for server in self.chooser.sample(found, max(1, len(found) // 2))]

    def blocked_names(self):
        return [name for name in self.names if self.censor and listed(self.censor, name)]

    def set_censor(self, action, key, program=None, **more):
        """A censor with the settings that all kinds share; `more` adds and overrides.

        With a program, a fair part of what is blocked stands on its servers.
        """
        choose = self.chooser
        censor = {"name": self.family, "action": action, "key": key, "names": [], "match": "exact", "addresses": [], "ports": [],
                  "reassemble": choose.random() < 0.75, "misses": round(choose.uniform(0.02, 0.12), 3), "way": None, "residual_s": 0,
                  "from": 0, "until": None}
        if choose.random() < 0.2:
            censor["from"] = round(choose.uniform(0.15, 0.35) * self.span, 1)
        elif choose.random() < 0.15:
            censor["until"] = round(choose.uniform(0.6, 0.8) * self.span, 1)
        if key in ("sni", "http_host", "dns_name"):
            censor.update(self.choose_names(choose.choice(["exact", "suffix"]), self.names_on(program)))
        elif key == "server_ip":
            censor["addresses"] = self.choose_addresses(program)
        censor.update(more)
        self.censor = {word: value for word, value in censor.items() if value is not None or word == "until"}

    def reset_words(self, to):
        """How forged resets look, drawn independently of each other."""
        choose = self.chooser
        return {"to": to, "flags": choose.choice(["R", "RA"]), "count": choose.choice([1, 1, 2, 3, 4]), "guess": [0],
                "ttl": choose.choice(["copy", "copy", "far", "fixed:%d" % choose.randint(64, 255)]),
                "ipid": choose.choice(["zero", "zero", "zero", "zero", "copy", "random", "fixed"]),
                "window": choose.choice(["zero", "zero", "zero", "copy", "copy", "random"]),
                "options": choose.random() < 0.2, "delay_ms": [0.3, round(choose.uniform(1, 8), 1)], "swallow": False}

    # The whole

    def late_flows(self):
        """A word with every server after all others have ended: until then both ends are seen to be there."""
        last = max(flow["at"] + flow["patience"] for flow in self.flows)
        for server in self.servers:
            at = round(last + self.random.uniform(0.2, 1.5), 3)
            client = self.random.choice(self.clients)
            self.flow(client, "scan", "closed_port", None, server["ip"], port=self.random.choice(CLOSED), at=at, patience=2.0)

    def scene(self):
        self.late_flows()
        self.flows.sort(key=lambda flow: flow["at"])
        for number, flow in enumerate(self.flows):
            flow["id"] = number
        last = max(flow["at"] + flow["patience"] for flow in self.flows)
        return {"scene": self.family, "family": self.family, "seed": self.seed, "seconds": round(last + 2),
                "server_ttl": self.server_ttl, "clients": self.clients,
                "servers": self.servers + self.resolvers + self.relays + self.foreign, "flows": self.flows,
                "censor": self.censor, "events": self.events}


def listed(rule, name):
    """Whether a rule lists a name."""
    if rule.get("match") == "suffix":
        return any(name == one or name.endswith("." + one) for one in rule["names"])
    return name in rule["names"]


def both_kinds(some):
    kinds = {names.service_of(name) is not None for name in some}
    return kinds == {True, False}
