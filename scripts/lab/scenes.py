#!/usr/bin/env python3
"""Draws scenes: who is there, what they do, what the censor does.

    scenes.py                    lists the families
    scenes.py FAMILY [SEED]      prints a scene as JSON

In: a family (`FAMILIES`: name -> drawing function) and a seed. Out: `draw(family, seed)`, the scene dict. Every family draws its
innocent part first (clients, servers, paths, behaviours) and its censor last, from a generator that the innocent part never sees.
Families whose name begins with `ok-` or ends with `-ok` have no censor.
"""
import json
import sys

import scene_names as names
from scene_draft import Draft

FAMILIES = {}


def family(*found):
    """Registers a drawing function under one or more names."""
    def register(function):
        for name in found:
            FAMILIES[name] = function
        return function
    return register


def draw(name, seed):
    draft = Draft(name, seed)
    FAMILIES[name](draft)
    return draft.scene()


# ---------------------------------------------------------------- casts

def usual(draft, troubles=True, **servers):
    draft.add_clients()
    draft.add_servers(**servers)
    draft.mix()
    if troubles:
        draft.innocent_events()


def v6(draft):
    draft.add_clients(behind=2, beside=False, v6=True)
    draft.add_servers(count=3, v6=True)
    draft.mix(per_client=12)


def long(draft):
    """Over five minutes, so that buckets of time and networks can be compared."""
    draft.span = draft.random.uniform(290, 310)
    draft.add_clients(behind=2, beside=True)
    draft.add_servers(count=3, known=2, unknown=3)
    draft.mix(per_client=26)
    for _ in range(2):
        draft.add_outage(draft.random.choice(draft.servers)["ip"], draft.random.uniform(8, 20))


def large_answers(draft):
    """Downloads and uploads that a limit of bytes or of speed can touch."""
    usual(draft)
    for client in draft.clients:
        for _ in range(6):
            act = draft.random.choice(["plain", "bulk", "bulk", "upload"])
            low, high = (60000, 200000) if act == "upload" else (40000, 300000)
            draft.tls_flow(client, act, size=draft.random.randint(low, high), patience=20.0)


def web(draft):
    draft.add_clients()
    draft.add_servers()
    draft.mix(per_client=6)
    draft.for_each_client(12, draft.other_flow, "http")
    draft.innocent_events()


def questions(draft):
    draft.add_clients()
    draft.add_servers(count=4)
    draft.add_resolvers()
    draft.mix(per_client=4)
    draft.for_each_client(22, draft.dns_flow)


def calls(draft):
    draft.add_clients()
    draft.add_servers(count=3)
    draft.add_relays(draft.random.randint(4, 5))
    draft.mix(per_client=4)
    draft.for_each_client(5, draft.call_flows)


def raw(draft):
    draft.add_clients()
    draft.add_servers()
    draft.mix(per_client=6)
    draft.for_each_client(9, draft.raw_flow)


def quic(draft):
    draft.add_clients()
    draft.add_servers(quic=True)
    draft.mix(per_client=7)
    draft.for_each_client(12, draft.quic_flow)


def browser(draft):
    draft.add_clients(behind=1, beside=False)
    draft.add_servers(count=4, quic=True)
    draft.mix(per_client=5)
    start = 1.0
    for name in draft.random.sample(draft.names, min(6, len(draft.names))):
        server = draft.some_server(name, "caddy") or draft.some_server(name)
        draft.flow(draft.clients[0], "browser", "plain", name, server["ip"], patience=12.0, at=round(start, 2))
        start += draft.random.uniform(2.5, 5.5)


# ---------------------------------------------------------------- without interference

@family("ok-mix")
def ok_mix(draft):
    usual(draft)


@family("ok-loss")
def ok_loss(draft):
    usual(draft)
    for server in draft.servers:
        server["path"]["loss"] = round(draft.random.uniform(0.01, 0.06), 4)


@family("ok-reorder")
def ok_reorder(draft):
    usual(draft)
    for server in draft.servers:
        server["path"]["reorder"] = round(draft.random.uniform(0.02, 0.12), 4)


@family("ok-outage-server")
def ok_outage_server(draft):
    usual(draft, troubles=False)
    for server in draft.random.sample(draft.servers, 2):
        draft.add_outage(server["ip"], draft.random.uniform(6, 14))


@family("ok-outage-all")
def ok_outage_all(draft):
    usual(draft, troubles=False)
    draft.add_outage(None, draft.random.uniform(6, 12))


@family("ok-slow-link")
def ok_slow_link(draft):
    usual(draft)
    for server in draft.servers:
        server["path"]["queue_kbps"] = draft.random.randint(400, 1200)


@family("ok-pmtu")
def ok_pmtu(draft):
    usual(draft)
    for server in draft.random.sample(draft.servers, 2):
        draft.add_hole(server)


@family("ok-path-change")
def ok_path_change(draft):
    usual(draft)
    for server in draft.servers:
        server["path"]["change"] = draft.draw_change(server["path"])


@family("ok-crash")
def ok_crash(draft):
    usual(draft)
    draft.add_crash()


@family("ok-full")
def ok_full(draft):
    usual(draft)
    draft.add_full()


@family("ok-own-resets")
def ok_own_resets(draft):
    """A load balancer drops all connections of a server at once."""
    usual(draft)
    for server in draft.random.sample(draft.servers, 2):
        draft.events.append({"kind": "own_reset", "server_ip": server["ip"], "at": round(draft.random.uniform(5, draft.span), 1)})


@family("ok-vanished")
def ok_vanished(draft):
    usual(draft)
    draft.add_vanished(9)


FAMILIES.update({"ok-long": long, "ok-v6": v6, "ok-http": web, "ok-dns": questions, "ok-call": calls, "ok-raw": raw, "ok-quic": quic,
                 "ok-large": large_answers, "browser-ok": browser})


# ---------------------------------------------------------------- forged resets

@family("rst-client", "rst-server", "rst-both")
def rst(draft, cast=usual, **more):
    cast(draft)
    to = draft.family.split("-")[1]
    to = to if to in ("client", "server") else "both"
    draft.set_censor("rst", "sni", **dict(draft.reset_words(to), **more))


@family("rst-swallow")
def rst_swallow(draft):
    rst(draft, swallow=True)


@family("rst-guess")
def rst_guess(draft):
    rst(draft, guess=[0, 1460, 4380], count=3)


@family("rst-split")
def rst_split(draft):
    """Split hellos, which some censors put together and others do not."""
    rst(draft, reassemble=draft.chooser.random() < 0.3)
    draft.for_each_client(5, draft.tls_flow, "split")


@family("rst-residual")
def rst_residual(draft):
    rst(draft, residual_s=round(draft.chooser.uniform(4, 9), 1))


@family("rst-long")
def rst_long(draft):
    rst(draft, long)


@family("rst-v6")
def rst_v6(draft):
    rst(draft, v6)


@family("rst-browser")
def rst_browser(draft):
    rst(draft, browser)


@family("rst-http")
def rst_http(draft):
    web(draft)
    draft.set_censor("rst", "http_host", **draft.reset_words("both"))


@family("rst-address")
def rst_address(draft):
    usual(draft)
    draft.set_censor("rst", "server_ip", **draft.reset_words("both"))


@family("rst-port")
def rst_port(draft):
    raw(draft)
    draft.set_censor("rst", "server_port", **dict(draft.reset_words("both"), ports=[5222]))


@family("rst-raw")
def rst_raw(draft):
    raw(draft)
    draft.set_censor("rst", "first_payload", **dict(draft.reset_words("both"), names=[draft.chooser.choice(["noise", "mtproto"])]))


@family("rst-rewrite", "rst-rewrite-both")
def rst_rewrite(draft):
    usual(draft)
    to = "both" if draft.family.endswith("both") else "client"
    draft.set_censor("rewrite", "sni", to=to, flags=draft.chooser.choice(["R", "RA", "RA"]), options=draft.chooser.random() < 0.7)


# ---------------------------------------------------------------- silent drops

@family("drop-hello")
def drop_hello(draft, cast=usual, **more):
    cast(draft)
    draft.set_censor("drop_hello", "sni", **more)


@family("drop-hello-both")
def drop_hello_both(draft):
    drop_hello(draft, way="both")


@family("drop-residual")
def drop_residual(draft):
    drop_hello(draft, residual_s=round(draft.chooser.uniform(4, 8), 1))


@family("drop-long")
def drop_long(draft):
    drop_hello(draft, long)


@family("drop-v6")
def drop_v6(draft):
    drop_hello(draft, v6)


@family("drop-browser")
def drop_browser(draft):
    drop_hello(draft, browser)


@family("drop-address")
def drop_address(draft):
    usual(draft)
    draft.set_censor("drop_hello", "server_ip")


@family("drop-muted")
def drop_muted(draft):
    usual(draft)
    draft.set_censor("drop_after_ack", "sni", way="both")


@family("drop-packets", "drop-packets-c2s", "drop-packets-s2c")
def drop_packets(draft):
    large_answers(draft)
    way = draft.family.split("-")[2:] or ["both"]
    draft.set_censor("drop_after_packets", "sni", packets=[5, 8], way=way[0])


@family("freeze-bytes", "freeze-address")
def freeze(draft):
    large_answers(draft)
    draft.set_censor("drop_after_bytes", "sni" if draft.family == "freeze-bytes" else "server_ip", bytes=[14000, 18000],
                     way=draft.chooser.choice(["both", "s2c"]))


@family("drop-s2c")
def drop_s2c(draft):
    usual(draft)
    draft.set_censor("drop_s2c", "sni", way="s2c")


@family("drop-noise", "drop-mtproto", "drop-unknown")
def drop_raw(draft):
    raw(draft)
    kind = {"unknown": "random"}.get(draft.family.split("-")[1], draft.family.split("-")[1])
    draft.set_censor("first_payload_drop", "first_payload", names=[kind])


@family("drop-port")
def drop_port(draft):
    raw(draft)
    draft.set_censor("first_payload_drop", "server_port", ports=[5222])


# ---------------------------------------------------------------- addresses

@family("ip-syn-drop")
def ip_syn_drop(draft):
    usual(draft)
    draft.set_censor("syn_drop", "server_ip", way=draft.chooser.choice(["c2s", "c2s", "s2c"]))


@family("port-syn-drop")
def port_syn_drop(draft):
    raw(draft)
    draft.set_censor("syn_drop", "server_port", ports=[5222])


@family("ip-syn-rst")
def ip_syn_rst(draft):
    usual(draft)
    draft.set_censor("syn_rst", "server_ip", **dict(draft.reset_words("client"), flags="RA", swallow=True, guess=[0]))


@family("ip-icmp")
def ip_icmp(draft):
    usual(draft)
    draft.set_censor("icmp", "server_ip", swallow=True, delay_ms=[0.3, 6.0])


# ---------------------------------------------------------------- QUIC, HTTP, DNS, calls, certificates

@family("quic-sni")
def quic_sni(draft):
    quic(draft)
    draft.set_censor("quic_drop", "sni", "caddy")


@family("quic-address")
def quic_address(draft):
    quic(draft)
    draft.set_censor("quic_drop", "server_ip", "caddy", ports=[443])


@family("quic-browser")
def quic_browser(draft):
    browser(draft)
    draft.set_censor("quic_drop", "sni", "caddy")


@family("http-page", "http-redirect", "http-drop")
def http(draft):
    web(draft)
    ipid, options = draft.chooser.choice(["copy", "copy", "copy", "random", "zero"]), draft.chooser.random() < 0.6
    looks = dict(draft.reset_words(draft.chooser.choice(["client", "both"])), swallow=True, **draft.page_words())
    looks.update(ipid=ipid, options=options)
    draft.set_censor(draft.family.replace("-", "_"), "http_host", **({} if draft.family == "http-drop" else looks))


@family("dns-forge", "dns-forge-swallow", "dns-nxdomain", "dns-refuse", "dns-drop")
def dns(draft):
    questions(draft)
    action = draft.family.replace("-swallow", "").replace("-", "_")
    more = {"swallow": draft.family != "dns-forge", "delay_ms": [0.3, 2.0], "ttl": draft.reset_words("client")["ttl"],
            "ipid": draft.chooser.choice(["zero", "zero", "copy", "random", "fixed"])}
    if action == "dns_forge":
        more["forged_ips"] = [names.draw_address(draft.chooser, ["10.10.0.0/16", "127.0.0.0/24", "93.46.8.0/24", "59.24.3.0/24"])
                              for _ in range(draft.chooser.randint(1, 3))]
    draft.set_censor(action, "dns_name", **({} if action == "dns_drop" else more))


@family("call-stun")
def call_stun(draft):
    calls(draft)
    draft.set_censor("stun_drop", "server_ip", addresses=relays(draft), way=draft.chooser.choice(["c2s", "both"]))


@family("call-media")
def call_media(draft):
    calls(draft)
    draft.set_censor("media_cut", "server_ip", addresses=relays(draft), packets=[60, 160], way="both")


def relays(draft):
    return [relay["ip"] for relay in draft.chooser.sample(draft.relays, 2)]


@family("tls-mitm")
def tls_mitm(draft):
    usual(draft)
    draft.set_censor("mitm", "sni", mitm_ip=draft.add_foreign())


# ---------------------------------------------------------------- slowing

@family("police", "police-address")
def police(draft):
    large_answers(draft)
    key = "server_ip" if draft.family.endswith("address") else "sni"
    draft.set_censor("police", key, rate_kbps=draft.chooser.randint(100, 220), burst=draft.chooser.randint(8000, 24000),
                     way=draft.chooser.choice(["both", "both", "s2c"]))


@family("shape")
def shape(draft):
    large_answers(draft)
    draft.set_censor("shape", "sni", rate_kbps=draft.chooser.randint(100, 250), burst=draft.chooser.randint(40000, 120000), way="both")


@family("random-loss")
def random_loss(draft):
    large_answers(draft)
    draft.set_censor("random_loss", "sni", loss=round(draft.chooser.uniform(0.12, 0.3), 3),
                     way=draft.chooser.choice(["c2s", "s2c", "both"]))


def main():
    if len(sys.argv) < 2:
        print("\n".join(FAMILIES))
        return
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    print(json.dumps(draw(sys.argv[1], seed), indent=1))


if __name__ == "__main__":
    main()
