"""Names and addresses from which scenes are drawn.

In: a random.Random. Out: names (with the service they belong to, as the catalog of the tool knows it), server addresses and
client addresses. What is blocked is drawn elsewhere and independently.
"""
import ipaddress

SERVICES = {
    "whatsapp": ["web.whatsapp.com", "g.whatsapp.net", "e3.whatsapp.net", "e9.whatsapp.net", "mmg.whatsapp.net",
                 "mmg-fallback.whatsapp.net", "static.whatsapp.net", "www.whatsapp.com"],
    "telegram": ["web.telegram.org", "zws2.web.telegram.org", "api.telegram.org", "telegram.org", "t.me", "telegra.ph"],
    "signal": ["chat.signal.org", "cdn.signal.org", "cdn2.signal.org", "storage.signal.org", "cdsi.signal.org",
               "updates.signal.org"],
    "viber": ["aloha.viber.com", "secure.viber.com", "share.viber.com", "media.cdn.viber.com", "account.viber.com"],
    "facebook": ["edge-mqtt.facebook.com", "edge-chat.facebook.com", "graph.facebook.com", "static.xx.fbcdn.net"],
    "instagram": ["i.instagram.com", "graph.instagram.com", "www.instagram.com", "edge-chat.instagram.com"],
    "max": ["api.oneme.ru", "ws-api.oneme.ru", "i.oneme.ru", "botapi.max.ru"],
    "youtube": ["m.youtube.com", "yt3.ggpht.com", "youtubei.googleapis.com", "www.youtube.com"],
    "snapchat": ["app.snapchat.com", "accounts.snapchat.com", "us-east.sc-cdn.net"],
    "discord": ["discord.com", "cdn.discordapp.com", "media.discordapp.net"],
    "line": ["legy-jp.line-apps.com", "obs-jp.line-apps.com", "www.line.me"],
    "wire": ["prod-nginz-https.wire.com", "prod-assets.wire.com", "app.wire.com"],
    "matrix": ["matrix-client.matrix.org", "call.element.io"],
    "tiktok": ["www.tiktok.com", "m.tiktok.com"],
    "vk": ["api.vk.com", "im.vk.com", "login.vk.com"],
}
UNKNOWN = [
    "www.example.org", "en.wikipedia.org", "pypi.org", "static.rust-lang.org", "gitlab.com", "stackoverflow.com",
    "www.avito.ru", "dzen.ru", "www.lenta.ru", "meduza.io", "news.delfi.lv", "www.dw.com", "www.hepsiburada.com",
    "img.alibaba.com", "api.tram-karte.ch", "cdn.lumiere-cine.fr", "portal.bjork-data.se", "repo.tischler-kern.at",
    "shop.hafen-laden.de", "mail.ostrov-kniga.ru", "files.kestrel-lab.uk", "auth.nordlicht-apps.de", "img.velo-praha.cz",
    "api.maris-pay.lv", "chat.blue-otter.app", "push.zvezda-game.ru", "static.kiosk-media.kz", "v2.wetterhahn.net",
]
# Made-up words, so that no list of names can be learnt.
FIRST = ["www", "api", "cdn", "img", "app", "edge", "m", "static", "chat", "push", "files", "login"]
SECOND = ["amber", "birch", "cobalt", "delta", "ember", "fjord", "granit", "hazel", "indigo", "juniper", "kelp", "linden",
          "mistral", "nimbus", "opal", "poplar", "quarz", "raven", "sable", "tundra", "umbra", "vesper", "willow", "zephyr"]
THIRD = ["-data", "-mail", "-shop", "-radio", "-post", "-works", "-cloud", "-media", "-play", "-labs"]
ENDINGS = ["com", "net", "org", "de", "ru", "fr", "io", "lv", "kz", "info"]

# Networks of the services, and networks of hosters where anything may stand.
SERVICE_NETS = ["157.240.0.0/17", "163.70.128.0/17", "31.13.64.0/18", "149.154.160.0/20", "91.108.56.0/22",
                "13.248.212.0/24", "76.223.92.0/24", "54.64.191.240/28", "52.0.252.0/22", "142.250.0.0/15",
                "155.212.204.0/24", "87.240.128.0/18", "66.22.192.0/18", "147.92.128.0/17"]
OTHER_NETS = ["172.64.0.0/13", "104.16.0.0/13", "199.232.0.0/16", "151.101.0.0/16", "140.82.112.0/20", "35.190.0.0/17",
              "213.180.192.0/19", "77.88.0.0/18", "178.248.232.0/21", "51.15.0.0/16", "139.162.0.0/16", "185.15.56.0/22",
              "23.192.0.0/11", "65.8.0.0/16", "95.216.0.0/16", "5.9.0.0/16"]
NETS6 = ["2a03:2880:f000::/36", "2606:4700:20::/44", "2a00:1450:4000::/37", "2a02:6b8::/32", "2001:67c:4e8::/48"]
CLIENT_NETS = ["100.64.0.0/10", "10.0.0.0/8", "192.168.0.0/16", "178.176.64.0/19", "172.16.0.0/12", "94.25.160.0/19"]
CLIENT_NETS6 = ["2a00:1fa0:4000::/36", "2a02:2698:8000::/36"]
PRIVATE = [ipaddress.ip_network(net) for net in ("10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12", "100.64.0.0/10")]
NAT_NETS = ["178.176.64.0/19", "94.25.160.0/19", "85.140.0.0/18", "217.118.64.0/19"]
RESOLVERS = ["8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "77.88.8.8", "77.88.8.1", "208.67.222.222"]

BY_NAME = {name: service for service, names in SERVICES.items() for name in names}


def service_of(name):
    """The service that a name belongs to, or None."""
    return BY_NAME.get(name)


def made_up(random):
    return "%s.%s%s.%s" % (random.choice(FIRST), random.choice(SECOND), random.choice(THIRD), random.choice(ENDINGS))


def draw_names(random, known, unknown):
    """Some names of services and as many of others, all different."""
    names = [random.choice(SERVICES[service]) for service in random.sample(sorted(SERVICES), known)]
    names += random.sample(UNKNOWN, unknown // 2)
    while len(names) < known + unknown:
        name = made_up(random)
        if name not in names:
            names.append(name)
    random.shuffle(names)
    return names


def parent(name):
    """The domain that a suffix rule lists: the last two labels."""
    return ".".join(name.split(".")[-2:])


def draw_address(random, nets, taken=()):
    """An address from one of some networks that is not in use yet."""
    while True:
        net = ipaddress.ip_network(random.choice(nets))
        address = str(net[random.randrange(1, min(net.num_addresses - 1, 2 ** 64))])
        last = address.rsplit(".", 1)[-1]
        if address not in taken and last not in ("0", "255"):
            return address


def draw_server(random, taken=()):
    """Half of the servers stand in networks of services, whatever names they serve."""
    return draw_address(random, SERVICE_NETS if random.random() < 0.5 else OTHER_NETS, taken)


def is_private(address):
    return any(ipaddress.ip_address(address) in net for net in PRIVATE)
