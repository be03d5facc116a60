"""Small scenes for the folder samples/: each mechanism and each kind of innocent trouble once.

In: a sample's name (`SAMPLES`: name -> drawing function). Out: `draw(name)`, a scene dict as those of `scenes`, the same at every call
but for what real programs do. One client and three servers (sometimes fewer), few and small answers, addresses from the ranges for
documentation, names of real services and example names on the same servers. A censor here never misses. The key `files` says which
captures are kept and how: "client" and "server", or a client's capture only.
"""
import zlib

from acts import OWN_PROGRAMS
from scene_draft import Draft

KNOWN = ["web.whatsapp.com", "g.whatsapp.net", "web.telegram.org", "chat.signal.org", "www.youtube.com", "i.instagram.com"]
OTHER = ["www.example.org", "shop.example.net", "news.example.com"]
CLIENTS = [("192.0.2.10", "2001:db8:1::10"), ("192.0.2.23", "2001:db8:1::23")]
SERVERS = ["198.51.100.10", "198.51.100.20", "203.0.113.30"]
SERVERS6 = ["2001:db8:2::10", "2001:db8:2::20"]
RESOLVERS, RELAYS = ["203.0.113.53", "198.51.100.53"], ["198.51.100.60", "203.0.113.61", "203.0.113.62"]
FOREIGN, QUIET_HOST, NO_HOST = "203.0.113.200", "203.0.113.40", "203.0.113.99"
PROGRAMS = ["nginx", "openssl", "gnutls"]
MIDDLE = (30500, 32000)  # bytes that a slowing or a limit of bytes can touch
PATIENCE = (7.0, 8.0)
AFTER_SILENCE = 9.0  # seconds that other flows go on after those that get no answer

SAMPLES = {}


def sample(name, **more):
    """Registers a drawing function under a name; `more` goes to it."""
    def register(function):
        SAMPLES[name] = lambda draft: function(draft, **more)
        return function
    return register


def draw(name):
    draft = Sample(name)
    SAMPLES[name](draft)
    return dict(draft.scene(), short_chains=True, **draft.more)


class Sample(Draft):
    """A draft with fixed hosts, short ways and small answers."""

    def __init__(self, name):
        super().__init__(name, zlib.crc32(name.encode()))
        self.span, self.after, self.server_ttl, self.more = 9.0, 0.0, 64, {}
        self.names = KNOWN + OTHER

    # Who is there

    def add_clients(self, count=1, v6=False):
        for number, (address, address6) in enumerate(CLIENTS[:count]):
            self.clients.append({"id": "client" + (str(number + 1) if number else ""), "ip": address, "ip6": address6 if v6 else None,
                                 "behind_box": True, "hops_to_box": 2, "ttl": 64, "nat": None, "nat_ports": "keep"})

    def add_servers(self, addresses=tuple(SERVERS), programs=tuple(PROGRAMS)):
        for number, address in enumerate(addresses):
            self.servers.append({"ip": address, "program": programs[number], "names": list(self.names), "port": 443,
                                 "path": self.draw_path()})

    def draw_path(self):
        return {"delay_ms": round(self.random.uniform(16, 24), 1), "jitter_ms": 0.8, "loss": 0, "reorder": 0,
                "hops": self.random.randint(7, 12), "mtu": None, "change": None, "queue_kbps": None}

    def add_resolvers(self, count=2):
        self.resolvers += [{"ip": address, "program": "dns", "names": [], "port": 53, "path": self.draw_path()}
                           for address in RESOLVERS[:count]]

    def add_relays(self, count=3):
        self.relays += [{"ip": address, "program": "relay", "names": [], "port": 3478, "path": self.draw_path()}
                        for address in RELAYS[:count]]

    def add_foreign(self):
        self.foreign.append({"ip": FOREIGN, "program": "openssl", "names": list(self.names), "port": 443, "foreign": True,
                             "path": self.draw_path()})
        return FOREIGN

    def usual(self, clients=1, **servers):
        self.add_clients(clients)
        self.add_servers(**servers)

    # What they do

    def flow(self, client, kind, act="plain", name=None, server_ip=None, **more):
        more = {"size": self.random.randint(200, 900), "patience": round(self.random.uniform(*PATIENCE), 1), "requests": 1, **more}
        return super().flow(client, kind, act, name, server_ip, **more)

    def moments(self, count, seconds=None):
        """Moments spread over the scene, one in each of as many stretches; with seconds over these, and the last at their end."""
        step = ((seconds or self.span) - 0.4) / count
        found = [round(0.3 + step * (number + self.random.random()), 3) for number in range(count)]
        return found[:-1] + [seconds or found[-1]]

    def some(self, count, named, kind="tls", servers=None, act="plain", seconds=None, **more):
        """Flows spread over time, names, servers and clients."""
        servers, shift = servers or [server["ip"] for server in self.servers], self.random.randrange(9)
        for number, at in enumerate(self.moments(count, seconds)):
            client, name = self.clients[number % len(self.clients)], named[(number + shift) % len(named)]
            server = servers[(number // len(named) + number) % len(servers)]
            extra = {"tls": self.random.choice(["1.2", "1.3", "1.3"])} if kind == "tls" else {}
            size = {"size": self.random.randint(*more["size"])} if isinstance(more.get("size"), tuple) else {}
            self.flow(client, kind, act, name, server, at=at, **{**extra, **more, **size})

    def odd(self, *acts, **more):
        """One flow of each act, at a server that can do it, in the first part of the scene."""
        for act in acts:
            at, name = round(self.random.uniform(0.5, 0.6 * self.span), 3), self.random.choice(OTHER)
            own = [server["ip"] for server in self.servers if server["program"] in OWN_PROGRAMS]
            if act == "hung" and own:  # never even shakes hands
                self.flow(self.clients[0], "tls", act, name, own[0], at=at, tls="1.3", **more)
            else:
                self.tls_flow(self.clients[0], act, name, at=at, **more)

    def details(self, act):
        found = super().details(act)
        if "wait_s" in found:
            found["wait_s"] = round(self.random.uniform(1.0, 3.0), 2)
        return found

    def late_flows(self):
        """None: where it matters (`after`), other flows go on to the end."""

    def free(self, blocked):
        return [name for name in self.names if name not in blocked]

    # What is blocked

    def set_censor(self, action, key, **more):
        self.censor = {"name": self.family, "action": action, "key": key, "names": [], "match": "exact", "addresses": [], "ports": [],
                       "reassemble": True, "misses": 0, "residual_s": 0, "from": 0, "until": None, **more}

    def block(self, action, blocked, interfered=5, free=5, key="sni", kind="tls", size=None, servers=None, **more):
        """Blocked names, and others on the same servers before, between and after."""
        sizes = {"size": size} if size else {}
        self.some(interfered, blocked, kind, servers, **sizes)
        self.some(free, self.free(blocked), kind, servers, seconds=self.span + self.after, **sizes)
        self.set_censor(action, key, names=list(blocked), **more)


RESET_NAMES, DROP_NAMES = ["web.whatsapp.com", "web.telegram.org"], ["chat.signal.org", "g.whatsapp.net"]
RESET = {"to": "client", "flags": "RA", "count": 1, "guess": [0], "ttl": "copy", "ipid": "zero", "window": "zero", "options": False,
         "delay_ms": [0.3, 3.0], "swallow": True}


# ---------------------------------------------------------------- without interference

@sample("allowed")
def allowed(draft):
    draft.usual()
    draft.some(11, draft.names)


@sample("allowed-ns")
def allowed_ns(draft):
    """In nanoseconds, as pcapng."""
    draft.usual(addresses=SERVERS[:1])
    draft.span = 4.0
    draft.some(6, draft.names)
    draft.more = {"client_capture": {"nanoseconds": True}, "files": {"client": "pcapng"}}


@sample("aborts")
def aborts(draft):
    draft.usual()
    draft.odd("server_rst", "server_rst", "idle_rst", "rst_close", "rst_close", "alert", "alert", "reset_hello")
    draft.odd("server_unread", post=12000)
    draft.odd("abort", "close_unread", "stop", "cancel", size=18000)
    draft.some(7, draft.names)


@sample("closed-port")
def closed_port(draft):
    draft.usual(addresses=SERVERS[:2])
    client = draft.clients[0]
    draft.more = {"addresses": [QUIET_HOST]}
    for server, port in [(SERVERS[0], 8443), (SERVERS[1], 5223), (QUIET_HOST, 443), (QUIET_HOST, 443)]:
        draft.flow(client, "scan", "closed_port", None, server, port=port)
    for server, port in [(SERVERS[0], 443), (SERVERS[1], 443), (SERVERS[1], 80)]:
        draft.flow(client, "scan", "plain", None, server, port=port)
    draft.flow(client, "tls", "dead", "www.example.org", NO_HOST, at=1.0)
    draft.some(6, draft.names)


@sample("split-hello")
def split_hello(draft):
    draft.usual()
    for how in ("tcp", "records", "first_byte", "large"):
        draft.some(2, draft.names, act="split", split=how)
    for at, act in ((1.0, "rst_close"), (4.5, "plain")):
        draft.flow(draft.clients[0], "tls", act, "www.example.org", SERVERS[1], at=at, tls="1.3", from_port=29151)
    draft.some(4, draft.names)


@sample("waits")
def waits(draft):
    draft.usual()
    draft.odd("slow", "slow", "hung", "long_poll", "long_poll", "idle_push", "trickle")
    draft.odd("poll_give_up", patience=5.0)
    draft.odd("upload", size=9000)
    for at in (1.5, 4.0):
        draft.flow(draft.clients[0], "idle_open", "plain", "shop.example.net", SERVERS[0], at=at, wait_s=3.0)
    draft.some(5, draft.names)


@sample("troubles")
def troubles(draft):
    """Loss, reordering and a path change, and outages of one server and then of all."""
    draft.usual()
    draft.span = 15.0
    one, two, three = (server["path"] for server in draft.servers)
    one["loss"], two["reorder"] = 0.05, 0.08
    three["change"] = {"at": 6.0, "hops": three["hops"] + 2, "delay_ms": round(1.6 * three["delay_ms"], 1)}
    draft.events += [{"kind": "outage", "server_ip": SERVERS[1], "from": 2.5, "to": 8.5},
                     {"kind": "outage", "server_ip": None, "from": 10.0, "to": 14.0}]
    draft.some(18, draft.names, patience=4.5)


@sample("path-mtu")
def path_mtu(draft):
    """On the way to one server large packets vanish without a word."""
    draft.usual()
    draft.servers[1]["path"]["mtu"] = 1300
    draft.some(10, draft.names, size=(1400, 2600))


@sample("gone")
def gone(draft):
    """A server that takes no new connections for a while, another that dies with all it has, and the client out of reach."""
    draft.usual(addresses=SERVERS, programs=["openssl", "gnutls", "nginx"])
    client = draft.clients[0]
    for at, server in ((12.0, SERVERS[1]), (12.4, SERVERS[0])):
        draft.flow(client, "tls", "trickle", "news.example.com", server, at=at, size=4000, tls="1.3")
    draft.flow(client, "tls", "plain", "www.example.org", SERVERS[0], at=14.5, tls="1.3", patience=4.0)
    draft.flow(client, "tls", "plain", "shop.example.net", SERVERS[0], at=20.0, tls="1.3")
    draft.events += [{"kind": "server_full", "server_ip": SERVERS[1], "from": 2.5, "to": 8.0},
                     {"kind": "crash", "server_ip": SERVERS[2], "from": 6.0, "to": None},
                     {"kind": "vanished", "client": client["id"], "from": 13.5, "to": 19.5}]
    for number in range(6):
        draft.flow(client, "tls", "plain", draft.names[number], SERVERS[1], at=round(3.0 + 0.4 * number, 1), tls="1.3", patience=4.5)
    draft.flow(client, "tls", "trickle", "web.telegram.org", SERVERS[2], at=4.0, size=6000, tls="1.3")
    draft.some(8, draft.names, servers=[SERVERS[0], SERVERS[2]])


@sample("balancer")
def balancer(draft):
    """A load balancer resets idle connections, and once all of a server."""
    draft.usual()
    draft.odd("own_reset", "own_reset", "own_reset", "own_reset")
    draft.events.append({"kind": "own_reset", "server_ip": SERVERS[1], "at": 5.5})
    for at, act in ((3.5, "long_poll"), (4.0, "trickle"), (4.5, "slow")):
        draft.flow(draft.clients[0], "tls", act, "shop.example.net", SERVERS[1], at=at, tls="1.3", wait_s=4.0, size=5000)
    draft.some(7, draft.names)


@sample("race")
def race(draft):
    """Happy eyeballs: a second address is tried where the first, far away, takes its time."""
    draft.usual()
    draft.servers[0]["path"]["delay_ms"] = 190.0
    for number, at in enumerate(draft.moments(7)):
        other = SERVERS[1 + number % 2]
        draft.flow(draft.clients[0], "race", "plain", draft.names[number], SERVERS[0], at=at, other_ip=other, tls="1.3")
    draft.some(3, draft.names, servers=SERVERS[1:])


@sample("quic")
def quic(draft):
    draft.usual(addresses=SERVERS[:2], programs=["caddy", "nginx"])
    draft.some(6, draft.names, "quic", SERVERS[:1])
    draft.some(4, draft.names)


@sample("call")
def call(draft):
    calls(draft)


# ---------------------------------------------------------------- resets

@sample("reset", clients=2, interfered=10, free=12)
@sample("any", servers=SERVERS[2:], names=["i.instagram.com"], interfered=4, free=5,
        more={"client_capture": {"interface": "any"}, "files": {"client": "pcap"}})
def reset(draft, clients=1, servers=tuple(SERVERS[:2]), names=tuple(RESET_NAMES), interfered=10, free=12, more=None):
    """The hello is swallowed, and the client reset."""
    draft.usual(clients, addresses=servers)
    draft.block("rst", names, interfered, free, **RESET)
    draft.more = more or {}


@sample("reset-v6")
def reset_v6(draft):
    draft.add_clients(v6=True)
    draft.add_servers(SERVERS6)
    draft.block("rst", RESET_NAMES[1:], 4, 6, **RESET)


@sample("reset-race")
def reset_race(draft):
    """Nothing is swallowed: the true answer comes after the reset."""
    draft.usual(addresses=SERVERS[:2])
    draft.block("rst", RESET_NAMES, 10, 10,
                **dict(RESET, to="both", swallow=False, delay_ms=[10.0, 14.0], ttl="fixed:61", ipid="random"))


@sample("reset-rewritten")
def reset_rewritten(draft):
    draft.usual(addresses=SERVERS[:2])
    draft.block("rewrite", RESET_NAMES, 5, 5, to="client", flags="RA", options=True)
    draft.odd("server_rst", "rst_close")


@sample("reset-guessed")
def reset_guessed(draft):
    """Three resets with guessed numbers: none fits, and the answer comes all the same."""
    draft.usual(addresses=SERVERS[:2])
    draft.block("rst", RESET_NAMES, 5, 5, **dict(RESET, swallow=False, flags="R", guess=[1460, 2920, 4380], count=3, ttl="far",
                                                  ipid="fixed"))


@sample("residual")
def residual(draft):
    """For some seconds after a match all connections between the two hosts are reset; the other client's are not."""
    draft.usual(2, addresses=SERVERS[:2])
    one, two = draft.clients
    for at, client, name, server in [
            (0.5, one, 6, 0), (0.9, one, 7, 1), (1.5, one, 2, 0), (2.1, one, 6, 0), (2.5, two, 6, 0), (2.9, one, 8, 0),
            (3.3, one, 7, 1), (3.6, two, 8, 0), (6.0, one, 6, 0), (6.4, one, 0, 1), (7.0, one, 7, 1), (7.4, two, 7, 1),
            (7.8, one, 8, 1), (8.2, one, 8, 0), (8.8, one, 3, 1), (11.0, one, 6, 1), (11.4, one, 8, 0)]:
        draft.flow(client, "tls", "plain", draft.names[name], SERVERS[server], at=at, tls="1.3")
    draft.set_censor("rst", "sni", **dict(RESET, names=RESET_NAMES, swallow=False, to="both", residual_s=3.5))


@sample("http-reset")
def http_reset(draft):
    draft.usual(addresses=SERVERS[:2])
    draft.block("rst", RESET_NAMES, 6, 8, "http_host", "http", **dict(RESET, to="both", swallow=False, options=True, window="copy"))


# ---------------------------------------------------------------- silent drops

@sample("drop", servers=SERVERS[1:], interfered=8, free=12)
def drop(draft, servers, interfered, free):
    draft.usual(addresses=servers)
    draft.after = AFTER_SILENCE
    draft.block("drop_hello", DROP_NAMES, interfered, free)


@sample("mute")
def mute(draft):
    """The hello is acknowledged; then nothing of the server comes through."""
    draft.usual(addresses=SERVERS[1:])
    draft.after = AFTER_SILENCE
    draft.block("drop_after_ack", ["www.youtube.com"], 5, 7, way="s2c")


@sample("drop-answers")
def drop_answers(draft):
    draft.usual(addresses=SERVERS[:2])
    draft.after = AFTER_SILENCE
    draft.block("drop_s2c", DROP_NAMES, 4, 6)
    draft.odd("hung", "rst_close")


@sample("cut")
def cut(draft):
    draft.usual(addresses=SERVERS[:2])
    draft.after = AFTER_SILENCE
    draft.block("drop_after_packets", DROP_NAMES, 4, 4, size=(6000, 7000), packets=[6, 9], way="both")
    draft.odd("hung", "rst_close")


@sample("freeze")
def freeze(draft):
    draft.usual(addresses=SERVERS[:2])
    draft.after = AFTER_SILENCE
    draft.block("drop_after_bytes", DROP_NAMES, 3, 2, size=(18500, 20500), bytes=[13000, 17000], way="s2c")
    draft.odd("trickle", size=3000)


def first_payloads(draft, each=2):
    draft.usual(addresses=SERVERS[:2])
    for payload in ("noise", "mtproto", "random", "ssh"):
        draft.some(each + (payload in ("noise", "mtproto")), [None], "raw", payload=payload)
    draft.some(5, draft.names, seconds=draft.span + AFTER_SILENCE)


@sample("first-payload")
def first_payload(draft):
    first_payloads(draft)
    draft.set_censor("first_payload_drop", "first_payload", names=["noise", "mtproto"])


@sample("port")
def port(draft):
    first_payloads(draft, each=1)
    draft.set_censor("first_payload_drop", "server_port", ports=[5222])


@sample("http-drop")
def http_drop(draft):
    draft.usual(addresses=SERVERS[:2])
    draft.after = AFTER_SILENCE
    draft.block("http_drop", DROP_NAMES, 6, 8, "http_host", "http")


# ---------------------------------------------------------------- addresses

@sample("syn-drop", action="syn_drop")
@sample("syn-reset", action="syn_rst", **dict(RESET, ttl="fixed:60", ipid="random"))
@sample("icmp", action="icmp", swallow=True, delay_ms=[0.3, 3.0], icmp_source="198.51.100.254")
def address(draft, action, **more):
    """One of three addresses is blocked, whatever name is asked for."""
    draft.usual()
    draft.some(10, draft.names)
    draft.some(3, draft.names, servers=SERVERS[:2], seconds=draft.span + AFTER_SILENCE)
    draft.flow(draft.clients[0], "scan", "closed_port", None, SERVERS[0], port=8443)
    draft.set_censor(action, "server_ip", addresses=[SERVERS[2]], **more)


# ---------------------------------------------------------------- QUIC, pages in clear, DNS, calls, certificates

@sample("quic-drop")
def quic_drop(draft):
    draft.usual(addresses=SERVERS[:2], programs=["caddy", "nginx"])
    draft.some(4, RESET_NAMES, "quic", SERVERS[:1])
    draft.some(4, draft.free(RESET_NAMES), "quic", SERVERS[:1])
    draft.some(4, draft.names, seconds=draft.span + AFTER_SILENCE)
    draft.set_censor("quic_drop", "sni", names=RESET_NAMES)


@sample("http-page", action="http_page")
@sample("http-redirect", action="http_redirect", location="http://blocked.example.net/")
def page(draft, action, **more):
    draft.usual(addresses=SERVERS[:2])
    draft.block(action, RESET_NAMES, 6, 8, "http_host", "http", to="both", swallow=True, delay_ms=[0.3, 3.0], ttl="fixed:60", **more)


@sample("dns-forged", action="dns_forge", swallow=False, forged_ips=[NO_HOST], forged_ip6s=["2001:db8:2::99"])
@sample("dns-nxdomain", action="dns_nxdomain", swallow=True)
@sample("dns-refused", action="dns_refuse", swallow=True)
@sample("dns-silent", action="dns_drop")
def questions(draft, action, **more):
    draft.usual(addresses=SERVERS[:2])
    draft.add_resolvers()
    for named, count in ((RESET_NAMES, 8), (draft.free(RESET_NAMES), 14)):
        draft.some(count, named, "dns", RESOLVERS, qtype="A", patience=6.0)
    for act in ("gone", "dead") if action != "dns_drop" else ("gone", "slow"):
        draft.dns_flow(draft.clients[0], act)
    draft.some(3, draft.names, seconds=draft.span + AFTER_SILENCE)
    draft.set_censor(action, "dns_name", names=RESET_NAMES, delay_ms=[0.3, 2.0], ttl="fixed:60", ipid="random", **more)


def calls(draft, count=3, seconds=0.9, relays=3):
    """Calls over two or three relays, one of them not picked up, and pages beside them."""
    draft.usual(addresses=SERVERS[:1])
    draft.add_relays(relays)
    for number, at in enumerate(draft.moments(count)):
        media = 0 if number == 1 else seconds
        for relay in draft.relays:
            draft.flow(draft.clients[0], "stun", "not_picked_up" if media == 0 else "plain", None, relay["ip"], at=at, call=number,
                       media_s=media, patience=12.0)
    draft.some(3, draft.names, seconds=draft.span + AFTER_SILENCE)


@sample("call-silent")
def call_silent(draft):
    calls(draft)
    draft.set_censor("stun_drop", "server_ip", addresses=RELAYS[:1], way="both")


@sample("call-cut")
def call_cut(draft):
    calls(draft, count=3, seconds=2.8, relays=2)
    draft.set_censor("media_cut", "server_ip", addresses=RELAYS[:1], packets=[30, 50], way="both")


@sample("mitm")
def mitm(draft):
    draft.usual(addresses=SERVERS[:2])
    draft.some(5, RESET_NAMES, tls="1.2")  # in TLS 1.3 certificates are encrypted
    draft.some(6, draft.free(RESET_NAMES))
    draft.set_censor("mitm", "sni", names=RESET_NAMES, mitm_ip=draft.add_foreign())
    draft.odd("alert")


# ---------------------------------------------------------------- slowing

@sample("policed", action="police", rate_kbps=180, burst=14000, way="s2c")
@sample("shaped", action="shape", rate_kbps=140, burst=60000, way="both")
@sample("lossy", action="random_loss", loss=0.15, way="both")
def slowed(draft, action, **more):
    draft.usual(addresses=SERVERS[:2])
    draft.block(action, DROP_NAMES, 2, 2, size=MIDDLE, **more)
    for flow in draft.flows:
        flow["patience"] = 25.0
