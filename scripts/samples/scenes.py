#!/usr/bin/env python3
"""What happens in each scene, and the program that plays the clients' part.

    scenes.py certificates | list | describe SCENE | play SCENE WISHES OUT

describe prints: method of the middlebox, whether the server's side is captured
too, how long servers wait for a client (seconds), blocked names.
"""
import dataclasses
import json
import random
import sys
import threading
import time

import client
import speaking

SERVICES = {
    "web.whatsapp.com": "whatsapp",
    "g.whatsapp.net": "whatsapp",
    "web.telegram.org": "telegram",
    "chat.signal.org": "signal",
    "www.youtube.com": "youtube",
    "i.instagram.com": "instagram",
    "www.example.org": None,
    "shop.example.net": None,
    "news.example.com": None,
}
NAMES = list(SERVICES)
SERVICES.update({
    "www.whatsapp.com": "whatsapp",
    "cdn.signal.org": "signal",
    "secure.viber.com": "viber",
    "t.me": "telegram",
})
# Certificates with other names beside their own.
ALSO_CERTIFIED = {
    "mail.example.org": ["*.mail.example.org", "imap.example.net"],
    "smtp.example.org": [],
    "rtc.example.net": [],
}
CLIENTS = ["192.0.2.10", "192.0.2.23"]
SERVERS = ["198.51.100.10", "198.51.100.20", "203.0.113.30"]
CLIENT6, SERVERS6 = "2001:db8:1::10", ["2001:db8:2::10", "2001:db8:2::20"]
QUIET_HOST, NO_HOST = "203.0.113.40", "203.0.113.99"
# Of the scene `names`.
RESOLVER, RESOLVER6 = "203.0.113.53", "2001:db8:2::53"
CHAT, CHAT6, EDGE, BROKER = "198.51.100.30", "2001:db8:2::30", "198.51.100.40", "198.51.100.50"
MEDIA = "203.0.113.60"
WEB, PROXY, MAIL = SERVERS


@dataclasses.dataclass
class Flow:
    at: float  # seconds after the start of the scene
    name: str
    server: str
    client: str = ""
    port: int = 443
    tls: str = ""
    size: int = 0
    fate: str = "plain"  # see truth.py
    cause: str = "plain"
    client_act: str = ""
    server_act: str = "answer"
    hello: str = "plain"
    patience: float = 0.0
    port_reuse: bool = False
    kind: str = "tls"  # see speaking.py
    asks: object = ""  # type of a record, path of a page, port behind a proxy
    protocol: str = "tcp"
    edns: bool = True
    curve: str = ""

    def __post_init__(self):
        if not self.client:
            self.client = CLIENT6 if ":" in self.server else random.choice(CLIENTS)
        self.tls = self.tls or random.choice(["1.2", "1.3", "1.3"])
        self.size = self.size or random.randrange(800, 3000)
        self.patience = self.patience or random.uniform(12, 15)
        # Whoever does not close first waits for the other side to do it.
        self.client_act = self.client_act or ("normal" if self.server_act == "answer" else "wait")


def working(servers, names, count, begin, end):
    """Sessions without interference, spread over a stretch of time."""
    flows = []
    for server in servers:
        for i in range(count):
            at = begin + (end - begin) * (i + random.random()) / count
            act = random.choice(["answer", "answer", "close"])
            flows.append(Flow(at, names[(i + len(flows)) % len(names)], server, server_act=act))
    return flows


def blocked(servers, names, count, begin, end, fate, cause):
    return [Flow(random.uniform(begin, end), name, server, fate=fate, cause=cause)
            for server in servers for name in names for _ in range(count)]


def unblocked(names):
    return [name for name in NAMES if name not in names]


def interfered(names, servers, fate, cause, count, begin, end, controls, until):
    """Blocked names, and others on the same servers before, between and after."""
    return (blocked(servers, names, count, begin, end, fate, cause)
            + working(servers, unblocked(names), controls, 0, until))


def allowed():
    return working(SERVERS, NAMES, 9, 0, 9)


def allowed_short():
    return working(SERVERS[:1], NAMES, 6, 0, 3)


def aborts():
    flows = working(SERVERS[:2], NAMES, 9, 0, 20)
    endings = [
        ("the server closes with unread data", dict(server_act="reset_unread")),
        ("the server aborts after the answer", dict(server_act="abort")),
        ("the client aborts in mid-download", dict(client_act="abort", size=24000)),
        ("the client closes with unread data", dict(client_act="close_unread", size=4000)),
        ("alert: unrecognized name", dict(server_act="unknown_name")),
        ("alert: handshake failure", dict(server_act="no_cipher")),
        ("the server resets an idle connection", dict(server_act="idle_abort", size=1500)),
        ("hung server", dict(server_act="hung", fate="hung")),
    ]
    names = NAMES[:6]
    for i, (cause, settings) in enumerate(endings):
        for j in range(2):
            at = random.uniform(0.5, 6)
            flows.append(Flow(at, names[(i + 3 * j) % 6], SERVERS[j], cause=cause, **settings))
    return flows


def closed_port():
    flows = working(SERVERS[:1], NAMES, 8, 0, 8)
    for server, port in [(SERVERS[0], 8443), (SERVERS[0], 5222), (QUIET_HOST, 443), (QUIET_HOST, 443)]:
        flows.append(Flow(random.uniform(0, 8), "", server, port=port, fate="closed", cause="closed port"))
    flows.append(Flow(1.0, "", NO_HOST, fate="dead", cause="host does not answer", patience=8))
    return flows


def split_hello():
    flows = working(SERVERS[:1], NAMES, 2, 0, 6)
    styles = [style for style in client.HELLO_STYLES if style != "plain"]
    for i, style in enumerate(styles * 2):
        cause = "plain, hello " + style.replace("_", " ")
        flows.append(Flow(random.uniform(0, 6), NAMES[i % len(NAMES)], SERVERS[i % 2], hello=style,
                          cause=cause, size=1200))
    flows.append(Flow(1.0, NAMES[0], SERVERS[0], cause="plain, port used twice", server_act="close",
                      port_reuse=True))
    return flows


def question(at, name, kind, **settings):
    settings = {"client": CLIENTS[0], "protocol": "udp", "cause": "plain, DNS", **settings}
    resolver = RESOLVER6 if ":" in settings["client"] else RESOLVER
    return Flow(at, name, resolver, port=53, kind="dns", asks=kind, **settings)


def questions():
    """All are asked before what is to be named by them begins."""
    return [
        question(0.0, "g.whatsapp.net", "A"),
        question(0.1, "g.whatsapp.net", "AAAA", client=CLIENT6),
        question(0.2, "www.whatsapp.com", "AAAA"),
        question(0.3, "i.instagram.com", "A"),
        question(0.4, "secure.viber.com", "A"),
        question(0.5, "stun.example.org", "A"),
        question(0.6, "chat.signal.org", "HTTPS"),
        question(0.7, "chat.signal.org", "A"),
        question(0.8, "no-such-name.example.org", "A"),
        question(0.9, "cdn.signal.org", "A", edns=False, cause="plain, DNS, truncated"),
        question(1.1, "cdn.signal.org", "A", protocol="tcp", cause="plain, DNS again over TCP"),
        question(1.2, "proxy.example.net", "A", client=CLIENTS[1]),
        question(1.3, "www.youtube.com", "A", fate="forged", cause="a forged answer comes before the true one"),
        question(1.4, "t.me", "A", fate="silent", cause="the resolver does not answer"),
    ]


def without_sni():
    """Named by an answer that their client got, if by any."""
    chat = {"port": 5222, "kind": "wa_noise"}
    return [
        Flow(2.0, "g.whatsapp.net", CHAT, CLIENTS[0], cause="plain, Noise", **chat),
        Flow(2.2, "g.whatsapp.net", CHAT6, cause="plain, Noise", **chat),
        Flow(2.4, "g.whatsapp.net", CHAT, CLIENTS[1], cause="plain, Noise, never asked for the name", **chat),
        Flow(2.6, "i.instagram.com", EDGE, CLIENTS[0], kind="unknown", cause="plain, unknown protocol"),
        Flow(2.8, "secure.viber.com", BROKER, CLIENTS[0], kind="unknown", cause="plain, unknown protocol"),
        Flow(3.0, "stun.example.org", MEDIA, CLIENTS[0], 3478, kind="stun", protocol="udp", cause="plain, STUN"),
    ]


def pages():
    web = {"port": 80, "kind": "http"}
    return [
        Flow(3.2, "news.example.com", WEB, asks="/", cause="plain, HTTP", **web),
        Flow(3.4, "web.telegram.org", WEB, asks="/moved", cause="plain, HTTP, redirected", **web),
        Flow(3.6, "web.whatsapp.com", WEB, asks="/blocked", fate="block_page", cause="a block page", **web),
        Flow(3.8, "chat.example.net", WEB, port=80, kind="websocket", asks="/socket", cause="plain, WebSocket"),
    ]


def wrapped():
    """By a client that knows the proxy by name: this is not the name that its flows were for."""
    proxy, socks = {"client": CLIENTS[1], "port": 3128}, {"client": CLIENTS[1], "port": 1080}
    https, chat = {"asks": 443}, {"asks": 5222}
    return [
        Flow(4.0, "chat.signal.org", PROXY, kind="connect", cause="plain, TLS through a proxy", **proxy, **https),
        Flow(4.2, "g.whatsapp.net", PROXY, kind="connect_noise", cause="plain, Noise through a proxy", **proxy, **chat),
        Flow(4.4, "www.youtube.com", PROXY, kind="connect", cause="refused by a proxy", **proxy, **https),
        Flow(4.5, "web.telegram.org", PROXY, kind="socks", cause="plain, TLS through SOCKS", **socks, **https),
        Flow(4.6, "g.whatsapp.net", PROXY, kind="socks_noise", cause="plain, Noise through SOCKS", **socks, **chat),
        Flow(4.8, "smtp.example.org", MAIL, port=587, kind="starttls", cause="plain, mail that becomes TLS"),
    ]


def hellos():
    return [
        Flow(5.0, "mail.example.org", SERVERS[0], tls="1.2", cause="plain, certificate in clear"),
        Flow(5.2, "web.telegram.org", SERVERS[0], tls="1.3", curve="secp384r1", cause="plain, hello asked for again"),
        Flow(5.4, "rtc.example.net", MEDIA, port=4433, kind="dtls", protocol="udp", cause="plain, DTLS"),
    ]


def names():
    return questions() + without_sni() + pages() + wrapped() + hellos()


@dataclasses.dataclass
class Scene:
    plan: object
    family: str
    method: str = "none"
    names: tuple = ()
    server_too: bool = False
    server_patience: float = 30.0


RESET_CAUSE = "hello dropped and answered with a reset to the client"
RESET_NAMES = ("web.whatsapp.com", "web.telegram.org")
DROP_NAMES = ("chat.signal.org", "g.whatsapp.net")

SCENES = {
    "allowed": Scene(allowed, "allowed"),
    "allowed-ns": Scene(allowed_short, "allowed"),
    "reset": Scene(
        lambda: interfered(RESET_NAMES, SERVERS[:2], "reset", RESET_CAUSE, 3, 2, 10, 9, 13),
        "reset", "reset", RESET_NAMES, True, server_patience=8),
    "reset-v6": Scene(
        lambda: interfered(RESET_NAMES[1:], SERVERS6[:1], "reset", RESET_CAUSE, 3, 1, 5, 8, 7),
        "reset", "reset", RESET_NAMES[1:]),
    "reset-race": Scene(
        lambda: interfered(RESET_NAMES, SERVERS[:2], "race", "", 3, 2, 8, 9, 10),
        "reset-race", "race", RESET_NAMES, True),
    "drop": Scene(
        lambda: interfered(DROP_NAMES, SERVERS[1:], "drop", "hello dropped", 2, 4, 9, 9, 27),
        "drop", "drop", DROP_NAMES, True, server_patience=60),
    "mute": Scene(
        lambda: interfered(("www.youtube.com",), SERVERS[1:], "mute",
                           "all of the server dropped after the acknowledgement of the hello", 3, 4, 9, 9, 27),
        "mute", "mute", ("www.youtube.com",), server_patience=60),
    "aborts": Scene(aborts, "aborts"),
    "closed-port": Scene(closed_port, "closed-port"),
    "split-hello": Scene(split_hello, "split-hello"),
    "any": Scene(
        lambda: interfered(("i.instagram.com",), SERVERS[2:], "reset", RESET_CAUSE, 3, 1, 5, 8, 7),
        "reset", "reset", ("i.instagram.com",)),
    "names": Scene(names, "names"),
}


def describe(scene):
    both = "yes" if scene.server_too else "no"
    print(scene.method, both, scene.server_patience, *scene.names)


def play_flow(flow, begin, wishes, rows, lock):
    time.sleep(max(0, begin + flow.at - time.time()))
    port = 0
    for _ in range(2 if flow.port_reuse else 1):
        session = speaking.KINDS[flow.kind](flow, port)
        start, complete, says = session.run(wishes)
        with lock:
            rows.append({**dataclasses.asdict(flow), "client_port": session.port, "start": start,
                         "outcome": "worked" if complete else "failed", "says": says})
        port = session.port
        time.sleep(1.5 if flow.port_reuse else 0)


def play(scene, wishes, out):
    rows, lock = [], threading.Lock()
    flows = scene.plan()
    random.shuffle(flows)
    begin = time.time() + 0.3
    threads = [threading.Thread(target=play_flow, args=(flow, begin, wishes, rows, lock)) for flow in flows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open(out, "w") as target:
        for row in sorted(rows, key=lambda row: row["start"]):
            target.write(json.dumps(row) + "\n")


def main():
    task, *rest = sys.argv[1:]
    if task == "certificates":
        for name in NAMES + list(ALSO_CERTIFIED):
            print(name, *ALSO_CERTIFIED.get(name, []))
    elif task == "list":
        print(*SCENES)
    elif task == "describe":
        describe(SCENES[rest[0]])
    elif task == "play":
        play(SCENES[rest[0]], *rest[1:])


if __name__ == "__main__":
    main()
