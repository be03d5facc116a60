"""The scene of the sample `names`.

In: nothing. Out: `draw()`, a scene dict as those of `scenes`, for the programs in this folder (`programs`). Names are told by DNS, in
clear by HTTP and proxies, in hellos of TLS and DTLS, in a certificate, or by nobody. The censor forges one answer of DNS; one page
says that it blocks. Flows have two fields more: `cause`, in words for the truth, and `asks`: the path of a page, or the port behind
a proxy.
"""
import random

CLIENTS = ["192.0.2.10", "192.0.2.23"]
CLIENT6 = "2001:db8:1::10"
SERVERS = WEB, PROXY, MAIL = ["198.51.100.10", "198.51.100.20", "203.0.113.30"]
RESOLVER, RESOLVER6 = "203.0.113.53", "2001:db8:2::53"
CHAT, CHAT6, EDGE, BROKER, MEDIA = "198.51.100.30", "2001:db8:2::30", "198.51.100.40", "198.51.100.50", "203.0.113.60"
NO_HOST = "203.0.113.99"
SERVER_TTL, HOPS_TO_BOX, HOPS_BEHIND = 64, 3, 7
FORGED_TTL = 31  # of the forged answer's IP header where it arrives; the true one's is 54
EDNS_SIZE = 1232  # DNS flag day 2020
CERTIFIED = ["chat.signal.org", "web.telegram.org", "mail.example.org", "smtp.example.org", "rtc.example.net"]
ALSO_CERTIFIED = {"mail.example.org": ["*.mail.example.org", "imap.example.net"]}


def flow(at, kind, name, server, cause, client=0, **more):
    return {"at": at, "kind": kind, "act": "plain", "name": name, "server_ip": server, "cause": cause, "port": 443, "patience": 12.0,
            "client": "client" + ("2" if client else ""), "size": random.Random(name).randint(800, 3000), "tls": "1.3", **more}


def question(at, name, kind, cause="plain, DNS", resolver=RESOLVER, **more):
    return flow(at, "dns", name, resolver, cause, **{"port": 53, "qtype": kind, "edns": EDNS_SIZE, "patience": 6.0, **more})


def questions():
    """All are asked before what is to be named by them begins."""
    return [
        question(0.0, "g.whatsapp.net", "A"),
        question(0.1, "g.whatsapp.net", "AAAA", resolver=RESOLVER6),
        question(0.2, "www.whatsapp.com", "AAAA"),
        question(0.3, "i.instagram.com", "A"),
        question(0.4, "secure.viber.com", "A"),
        question(0.5, "stun.example.org", "A"),
        question(0.6, "chat.signal.org", "HTTPS"),
        question(0.7, "chat.signal.org", "A"),
        question(0.8, "no-such-name.example.org", "A", act="gone"),
        question(0.9, "cdn.signal.org", "A", "plain, DNS, truncated", edns=None),
        question(1.1, "cdn.signal.org", "A", "plain, DNS again over TCP", over="tcp"),
        question(1.2, "proxy.example.net", "A", client=1),
        question(1.3, "www.youtube.com", "A", "a forged answer comes before the true one", right=SERVERS[:2]),
        question(1.4, "t.me", "A", "the resolver does not answer", act="dead"),
    ]


def without_sni():
    """Named by an answer that their client got, if by any."""
    noise = {"port": 5222, "payload": "noise"}
    return [
        flow(2.0, "wa_noise", "g.whatsapp.net", CHAT, "plain, Noise", **noise),
        flow(2.2, "wa_noise", "g.whatsapp.net", CHAT6, "plain, Noise", **noise),
        flow(2.4, "wa_noise", "g.whatsapp.net", CHAT, "plain, Noise, never asked for the name", 1, **noise),
        flow(2.6, "unknown", "i.instagram.com", EDGE, "plain, unknown protocol", payload="random"),
        flow(2.8, "unknown", "secure.viber.com", BROKER, "plain, unknown protocol", payload="random"),
        flow(3.0, "stun", "stun.example.org", MEDIA, "plain, STUN", port=3478, media_s=0),
    ]


def pages():
    return [
        flow(3.2, "http", "news.example.com", WEB, "plain, HTTP", port=80, asks="/"),
        flow(3.4, "http", "web.telegram.org", WEB, "plain, HTTP, redirected", port=80, asks="/moved"),
        flow(3.6, "http", "web.whatsapp.com", WEB, "a block page", port=80, asks="/blocked"),
        flow(3.8, "websocket", "chat.example.net", WEB, "plain, WebSocket", port=80, asks="/socket"),
    ]


def wrapped():
    """By a client that knows the proxy by name: this is not the name that its flows were for."""
    return [
        flow(4.0, "connect", "chat.signal.org", PROXY, "plain, TLS through a proxy", 1, port=3128, asks=443),
        flow(4.2, "connect_noise", "g.whatsapp.net", PROXY, "plain, Noise through a proxy", 1, port=3128, asks=5222, payload="noise"),
        flow(4.4, "connect", "www.youtube.com", PROXY, "refused by a proxy", 1, port=3128, asks=443),
        flow(4.5, "socks", "web.telegram.org", PROXY, "plain, TLS through SOCKS", 1, port=1080, asks=443),
        flow(4.6, "socks_noise", "g.whatsapp.net", PROXY, "plain, Noise through SOCKS", 1, port=1080, asks=5222, payload="noise"),
        flow(4.8, "starttls", "smtp.example.org", MAIL, "plain, mail that becomes TLS", port=587),
    ]


def hellos():
    return [
        flow(5.0, "tls", "mail.example.org", WEB, "plain, certificate in clear", tls="1.2"),
        flow(5.2, "tls", "web.telegram.org", WEB, "plain, hello asked for again", curve="secp384r1"),
        flow(5.4, "dtls", "rtc.example.net", MEDIA, "plain, DTLS", port=4433),
    ]


def client(number, name, address6=None):
    return {"id": name, "ip": CLIENTS[number], "ip6": address6, "behind_box": True, "hops_to_box": HOPS_TO_BOX, "ttl": 64, "nat": None}


def server(address):
    return {"ip": address, "program": "names", "names": CERTIFIED if address in SERVERS else [], "port": 443,
            "path": {"delay_ms": 20.0, "jitter_ms": 0.8, "hops": HOPS_BEHIND}}


def draw():
    flows = questions() + without_sni() + pages() + wrapped() + hellos()
    for number, one in enumerate(flows):
        one["id"] = number
    hosts = [*SERVERS, RESOLVER, RESOLVER6, CHAT, CHAT6, EDGE, BROKER, MEDIA]
    return {
        "scene": "names", "family": "names", "seed": 7, "seconds": 20, "server_ttl": SERVER_TTL, "programs": "names",
        "also_certified": ALSO_CERTIFIED, "short_chains": True, "files": {"client": "pcap"}, "events": [], "flows": flows,
        "clients": [client(0, "client", CLIENT6), client(1, "client2")], "servers": [server(address) for address in hosts],
        "censor": {"name": "names", "action": "dns_forge", "key": "dns_name", "names": ["www.youtube.com"], "match": "exact",
                   "forged_ips": [NO_HOST], "ttl": "fixed:%d" % (FORGED_TTL + HOPS_TO_BOX), "ipid": "random", "delay_ms": 1.0},
    }
