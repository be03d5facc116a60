"""Tests of the box's parts, without root:  python3 -m unittest tests_box"""
import random
import socket
import ssl
import struct
import unittest

from box import names, packets, path, quic
from box.censor import DROP, PASS, Censor, Delay, Instead
from box.flows import Flow, Side, Stream
from box.main import Client, read_places
from box.nat import Nat
from box.residual import Residual
from box.rule import Rule

CLIENT, SERVER = ("10.0.0.2", 40000), ("192.0.2.9", 443)


def hello(name):
    outgoing = ssl.MemoryBIO()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    try:
        tls.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def in_records(data, cuts):
    message = data[5:]
    places = [0] + cuts + [len(message)]
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", b - a) + message[a:b] for a, b in zip(places, places[1:]))


def query(name, ident=77, kind=1):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


class FakeBox:
    """Takes what a censor does and keeps it."""

    def __init__(self):
        self.random, self.log, self.flows = random.Random(1), self, self
        self.rows, self.injected = [], []

    def seconds(self, now):
        return now

    def wish(self, flow):
        return {}

    def hops_of(self, flow):
        return 9

    def alias(self, flow, address):
        pass

    def row(self, event, flow, now, **more):
        self.rows.append(event)

    def packet(self, event, flow, packet, direction, now, **more):
        self.rows.append(event)

    def inject(self, flow, forged, to, delay, event, words):
        self.injected.append((to, forged))


class Talk:
    """One TCP connection through a censor."""

    def __init__(self, **censor):
        scene = {"censor": dict({"name": "test", "key": "sni", "names": ["blocked.org"], "match": "suffix"}, **censor),
                 "servers": [{"ip": SERVER[0], "names": ["www.blocked.org"]}]}
        self.box = FakeBox()
        self.censor = Censor(scene, self.box)
        self.connect(0.0)

    def connect(self, now):
        self.flow = Flow(Client({"id": "client", "ip": CLIENT[0]}), CLIENT, CLIENT, SERVER, "tcp", now)
        self.flow.stream = Stream(1001)
        self.client_seq, self.server_seq = 1001, 5001
        return self.send("c2s", packets.SYN, seq=1000, now=now), self.send("s2c", packets.SYN | packets.ACK, seq=5000, now=now)

    def send(self, direction, flags=packets.ACK, payload=b"", seq=None, now=1.0):
        source, target = (CLIENT, SERVER) if direction == "c2s" else (SERVER, CLIENT)
        mine, other = (self.client_seq, self.server_seq) if direction == "c2s" else (self.server_seq, self.client_seq)
        packet = packets.build_tcp(*source, *target, mine if seq is None else seq, other, flags, window=500,
                                   payload=payload, ttl=55, ipid=9)
        self.flow.sides[direction].see(packet)
        if direction == "c2s":
            self.client_seq = max(self.client_seq, packet.end)
        else:
            self.server_seq = max(self.server_seq, packet.end)
        return self.censor.judge(self.flow, packet, direction, now)


class Packets(unittest.TestCase):
    def test_built_packets_are_read_back(self):
        for source, target in (("10.0.0.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::2")):
            made = packets.build_tcp(source, 1, target, 2, 3, 4, packets.SYN, options=b"\2\4\5\xb4", payload=b"odd", ttl=60)
            self.assertTrue(made.sums_fit())
            self.assertEqual((made.source, made.dport, made.seq, made.payload, made.ttl), (source, 2, 3, b"odd", 60))
            self.assertEqual(made.end, 7)
            self.assertTrue(packets.build_udp(source, 1, target, 2, b"x").sums_fit())

    def test_changes_keep_sums(self):
        made = packets.build_udp("10.0.0.1", 1, "192.0.2.1", 2, b"hello")
        made.readdress(source="10.9.9.9", sport=99)
        made.set_ttl(5)
        self.assertEqual((made.source, made.sport, made.ttl), ("10.9.9.9", 99, 5))
        self.assertTrue(made.sums_fit())

    def test_a_broken_sum_is_seen(self):
        made = packets.build_tcp("10.0.0.1", 1, "192.0.2.1", 2, 3, 4, packets.ACK, payload=b"abc")
        made.raw[-1] ^= 1
        self.assertFalse(made.sums_fit())

    def test_errors_quote(self):
        for source, target in (("10.0.0.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::2")):
            about = packets.build_udp(source, 1000, target, 53, b"question")
            error = packets.build_unreachable(target, about, 1)
            self.assertTrue(error.sums_fit())
            self.assertEqual(error.quoted(), ("udp", source, 1000, target, 53))
        error = packets.build_unreachable("192.0.2.1", packets.build_udp("10.0.0.1", 1000, "192.0.2.1", 53, b"q"), 1)
        error.readdress_quote(source="10.7.7.7", sport=7)
        self.assertEqual(error.quoted()[1:3], ("10.7.7.7", 7))
        self.assertTrue(error.sums_fit())

    def test_garbage_is_no_packet(self):
        for raw in (b"", b"E", b"\x45" + b"\0" * 10, b"\x10" * 40, b"\x60" + b"\0" * 20):
            self.assertIsNone(packets.parse(raw))

    def test_timestamps_and_sequence_numbers(self):
        self.assertEqual(packets.option_of(packets.timestamp_option(12345, 6), 8), (12345).to_bytes(4, "big") + (6).to_bytes(4, "big"))
        self.assertIsNone(packets.option_of(b"\x08", 8))
        self.assertIsNone(packets.option_of(b"\x01\x01\x00\x03\x03\x07", 3))
        self.assertEqual(packets.after(5, 0xFFFFFFFE), 7)
        self.assertEqual(packets.after(0xFFFFFFFE, 5), -7)
        self.assertEqual(packets.flag_letters(0x12), "SA")
        self.assertEqual(packets.flag_bits("RA"), 0x14)


class Names(unittest.TestCase):
    def test_sni(self):
        data = hello("web.blocked.org")
        self.assertEqual(names.hello_name(data), "web.blocked.org")
        self.assertEqual(names.packet_hello_name(data), "web.blocked.org")

    def test_sni_in_records(self):
        data = in_records(hello("web.blocked.org"), [3, 60, 90])
        self.assertEqual(names.hello_name(data), "web.blocked.org")
        self.assertEqual(names.packet_hello_name(data), "")

    def test_sni_of_every_beginning(self):
        data = in_records(hello("web.blocked.org"), [50])
        for size in range(len(data)):
            self.assertIn(names.hello_name(data[:size]), (names.MORE, "web.blocked.org"))
        self.assertEqual(names.hello_name(b"GET / HTTP/1.1"), "")

    def test_stream_in_any_order(self):
        data = hello("web.blocked.org")
        stream = Stream(100)
        stream.add(130, data[30:])
        self.assertEqual(stream.add(100, data[:40]), data)

    def test_http(self):
        self.assertEqual(names.http_host(b"GET / HTTP/1.1\r\nHost: A.b:80\r\n\r\n"), "a.b")
        self.assertIs(names.http_host(b"GET / HTTP/1.1\r\nHost: A.b"), names.MORE)
        self.assertEqual(names.http_host(b"SSH-2.0"), "")

    def test_dns(self):
        self.assertEqual(names.dns_question(query("Web.Blocked.org")), (77, "web.blocked.org", 1, 33))
        self.assertIsNone(names.dns_question(query("web.blocked.org")[:20]))

    def test_payload_kinds(self):
        for word, payload in (("noise", b"WA\x06\x03abc"), ("mtproto", b"\xee" * 4 + b"abc"), ("ssh", b"SSH-2.0-x"),
                              ("http", b"GET / HTTP/1.1"), ("random", bytes(range(100, 200)))):
            self.assertEqual(names.payload_kind(payload, "tcp"), word)
        self.assertEqual(names.payload_kind(b"\1\0\0\0" + b"x" * 144, "udp"), "wireguard")
        self.assertEqual(names.payload_kind(b"\0\1\0\0\x21\x12\xa4\x42" + b"x" * 12, "udp"), "stun")

    def test_suffix_and_exact(self):
        rule = Rule({"action": "rst", "key": "sni", "names": ["blocked.org"], "match": "suffix"})
        self.assertTrue(rule.fits_name("a.Blocked.org"))
        self.assertFalse(rule.fits_name("notblocked.org"))
        rule = Rule({"action": "rst", "key": "sni", "names": ["blocked.org"], "match": "exact"})
        self.assertFalse(rule.fits_name("a.blocked.org"))
        self.assertRaises(ValueError, Rule, {"action": "shout", "key": "sni"})

    @unittest.skipUnless(quic.AVAILABLE, "needs cryptography")
    def test_quic_initial_of_rfc_9001(self):
        key, iv, mask = quic.client_keys(1, bytes.fromhex("8394c8f03e515708"))
        self.assertEqual(key.hex(), "1f369613dd76d5467730efcbe3b1a22d")
        self.assertEqual(iv.hex(), "fa044b2f42a3fd3b46fb255c")
        self.assertEqual(mask.hex(), "9f50449e04a0e810283a1e9933adedd2")


class Censors(unittest.TestCase):
    HELLO = hello("www.blocked.org")

    def test_other_names_pass(self):
        talk = Talk(action="drop_hello", names=["other.org"])
        self.assertEqual(talk.send("c2s", payload=self.HELLO), PASS)
        self.assertEqual(talk.flow.state, "free")

    def test_resets_to_both_with_guesses(self):
        talk = Talk(action="rst", to="both", flags="R", guess=[0, 1460], ipid="copy", ttl="fixed:99")
        self.assertEqual(talk.send("c2s", payload=self.HELLO), PASS)
        to_client = [p for to, p in talk.box.injected if to == "client"]
        to_server = [p for to, p in talk.box.injected if to == "server"]
        self.assertEqual([p.seq for p in to_client], [5001, 6461])
        self.assertEqual([p.seq for p in to_server], [1001 + len(self.HELLO), 2461 + len(self.HELLO)])
        self.assertEqual({(p.flags, p.ttl, p.ipid, p.ack) for p in to_client}, {(packets.RST, 99, 10, 0)})
        self.assertTrue(all(p.sums_fit() for _, p in talk.box.injected))

    def test_swallowed_trigger(self):
        talk = Talk(action="rst", to="server", swallow=True, ttl="copy")
        self.assertEqual(talk.send("c2s", payload=self.HELLO), DROP)
        self.assertEqual((talk.box.injected[0][1].seq, talk.box.injected[0][1].ttl), (1001, 55))

    def test_split_hello(self):
        for reassemble, fate in ((True, DROP), (False, PASS)):
            talk = Talk(action="drop_hello", reassemble=reassemble)
            self.assertEqual(talk.send("c2s", payload=self.HELLO[:50]), PASS)
            self.assertEqual(talk.send("c2s", payload=self.HELLO[50:]), fate)

    def test_rewritten_answer(self):
        talk = Talk(action="rewrite", flags="RA")
        self.assertEqual(talk.send("c2s", payload=self.HELLO), PASS)
        self.assertEqual(talk.send("s2c"), PASS)
        fate = talk.send("s2c", payload=b"answer")
        self.assertIsInstance(fate, Instead)
        self.assertEqual((fate.packet.seq, fate.packet.ttl, fate.packet.ipid, fate.packet.payload), (5001, 55, 9, b""))
        self.assertEqual(fate.packet.flags, packets.RST | packets.ACK)

    def test_rewritten_for_both(self):
        talk = Talk(action="rewrite", to="both")
        self.assertEqual(talk.send("c2s", payload=self.HELLO), PASS)
        for _ in range(2):
            self.assertIsInstance(talk.send("s2c", payload=b"answer"), Instead)
        self.assertEqual([(to, p.seq) for to, p in talk.box.injected], [("server", 1001 + len(self.HELLO))])
        talk = Talk(action="rewrite", to="server")
        self.assertIsInstance(talk.send("c2s", payload=self.HELLO), Instead)

    def test_drop_after_ack(self):
        talk = Talk(action="drop_after_ack")
        self.assertEqual(talk.send("c2s", payload=self.HELLO), PASS)
        self.assertEqual(talk.send("s2c", payload=b"answer"), DROP)
        self.assertEqual(talk.send("s2c"), PASS)
        self.assertEqual(talk.send("s2c"), DROP)
        self.assertEqual(talk.send("c2s", payload=b"more"), DROP)

    def test_drop_after_packets_one_way(self):
        talk = Talk(action="drop_after_packets", packets=5, way="s2c")
        talk.send("c2s", payload=self.HELLO)
        fates = [talk.send("s2c", payload=b"x") for _ in range(7)]
        self.assertEqual(fates, [PASS] * 5 + [DROP] * 2)
        self.assertEqual(talk.send("c2s"), PASS)

    def test_drop_after_bytes(self):
        talk = Talk(action="drop_after_bytes", bytes=15000)
        talk.send("c2s", payload=self.HELLO)
        fates = [talk.send("s2c", payload=b"x" * 1400) for _ in range(12)]
        self.assertEqual(fates, [PASS] * 10 + [DROP] * 2)

    def test_misses_and_window_of_time(self):
        talk = Talk(action="drop_hello", misses=1.0)
        self.assertEqual(talk.send("c2s", payload=self.HELLO), PASS)
        self.assertEqual(talk.box.rows, ["missed"])
        talk = Talk(action="drop_hello", **{"from": 5.0})
        self.assertEqual(talk.send("c2s", payload=self.HELLO), PASS)
        self.assertEqual(talk.box.rows, [])

    def test_police_and_shape(self):
        talk = Talk(action="police", burst=3000, rate_kbps=80, way="s2c")
        talk.send("c2s", payload=self.HELLO)
        fates = [talk.send("s2c", payload=b"x" * 960) for _ in range(4)]
        self.assertEqual(fates, [PASS, PASS, PASS, DROP])
        self.assertEqual(talk.send("s2c", payload=b"x" * 960, now=2.0), PASS)
        talk = Talk(action="shape", rate_kbps=80)
        talk.send("c2s", payload=self.HELLO)
        waits = [talk.send("s2c", payload=b"x" * 960) for _ in range(2)]
        self.assertIsInstance(waits[0], Delay)
        self.assertAlmostEqual(waits[1].seconds, 0.2)

    def test_syn_reset(self):
        talk = Talk(action="syn_rst", key="server_ip", addresses=[SERVER[0]])
        to, forged = talk.box.injected[0]
        self.assertEqual((to, forged.ack, forged.flags), ("client", 1001, packets.RST | packets.ACK))

    def test_residual_and_recovery(self):
        talk = Talk(action="drop_hello", residual_s=10)
        talk.send("c2s", payload=self.HELLO, now=1.0)
        self.assertEqual(talk.connect(5.0)[0], DROP)
        self.assertEqual(talk.connect(12.0), (PASS, PASS))
        self.assertEqual(talk.send("c2s", payload=hello("free.org"), now=12.1), PASS)

    def test_block_page_plays_the_servers_end(self):
        talk = Talk(action="http_page", key="http_host", to="both")
        request = b"GET / HTTP/1.1\r\nHost: www.blocked.org\r\n\r\n"
        self.assertEqual(talk.send("c2s", payload=request), DROP)
        self.assertEqual([to for to, _ in talk.box.injected], ["client", "server"])
        self.assertTrue(talk.box.injected[0][1].payload.startswith(b"HTTP/1.1 403"))
        talk.send("c2s", packets.FIN | packets.ACK)
        self.assertEqual(talk.box.injected[-1][1].ack, talk.client_seq)


class Dns(unittest.TestCase):
    def ask(self, **censor):
        told = dict({"name": "dns", "key": "dns_name", "names": ["blocked.org"]}, **censor)
        box = FakeBox()
        flow = Flow(Client({"id": "client", "ip": CLIENT[0]}), CLIENT, CLIENT, ("192.0.2.53", 53), "udp", 0.0)
        made = packets.build_udp(*CLIENT, "192.0.2.53", 53, query("www.blocked.org"))
        return Censor({"censor": told, "servers": []}, box).judge(flow, made, "c2s", 1.0), box.injected

    def test_forged(self):
        fate, injected = self.ask(action="dns_forge", forged_ips=["1.2.3.4"], count=2)
        self.assertEqual((fate, len(injected)), (PASS, 2))
        self.assertTrue(injected[0][1].payload.endswith(socket.inet_aton("1.2.3.4")))

    def test_codes(self):
        for action, code in (("dns_nxdomain", 3), ("dns_refuse", 5)):
            fate, injected = self.ask(action=action)
            self.assertEqual((fate, injected[0][1].payload[3] & 15), (DROP, code))

    def test_dropped(self):
        self.assertEqual(self.ask(action="dns_drop"), (DROP, []))


class Ways(unittest.TestCase):
    CLIENT = Client({"id": "client", "ip": CLIENT[0], "hops_to_box": 2})

    def paths(self, **told):
        return path.Paths({"servers": [{"ip": SERVER[0], "path": told}]}, random.Random(3))

    def go(self, ways, half=path.FAR, now=0.0, size=100):
        made = packets.build_tcp(*CLIENT, *SERVER, 1, 1, packets.ACK, payload=b"x" * size)
        due, why = ways.travel(half, "c2s", self.CLIENT, SERVER[0], made, now, now)
        return due, why, made.ttl

    def test_delay_and_hops_and_change(self):
        ways = self.paths(delay_ms=100, hops=8, change={"at": 5.0, "delay_ms": 50, "hops": 6})
        self.assertAlmostEqual(self.go(ways, path.NEAR)[0] + self.go(ways)[0], 0.1)
        self.assertEqual((self.go(ways, path.NEAR)[2], self.go(ways)[2], self.go(ways, now=6.0)[2]), (62, 56, 58))

    def test_order_is_kept(self):
        ways = self.paths(delay_ms=20, jitter_ms=30)
        dues = [self.go(ways, now=i / 1000)[0] for i in range(50)]
        self.assertEqual(dues, sorted(dues))

    def test_some_are_overtaken(self):
        ways = self.paths(delay_ms=20, reorder=0.3)
        dues = [self.go(ways, now=i / 10000)[0] for i in range(50)]
        self.assertNotEqual(dues, sorted(dues))

    def test_loss_hole_and_queue(self):
        ways = self.paths(loss=0.5)
        lost = sum(self.go(ways, half)[1] == "lost" for half in (path.NEAR, path.FAR) for _ in range(500))
        self.assertTrue(180 < lost < 320, lost)
        self.assertEqual(self.go(self.paths(mtu=1300), size=1400)[1], "mtu")
        ways = self.paths(queue_kbps=100, queue_ms=100)
        self.assertIn("queue", [self.go(ways, size=1400)[1] for _ in range(10)])


class Translation(unittest.TestCase):
    def test_ports(self):
        one = Client({"id": "a", "ip": "10.0.0.1", "nat": "198.51.100.1"})
        two = Client({"id": "b", "ip": "10.0.0.2", "nat": {"ip": "198.51.100.1", "ports": "keep"}})
        nat = Nat(random.Random(1), None)
        first = nat.outside(one, "tcp", ("10.0.0.1", 5000))
        second = nat.outside(two, "tcp", ("10.0.0.2", 5000))
        self.assertEqual(first, ("198.51.100.1", 5000))
        self.assertNotEqual(first, second)
        self.assertEqual(nat.inside("tcp", *second), (two, ("10.0.0.2", 5000)))

    def test_places(self):
        self.assertEqual(read_places(["ns1:eth0=client", "server=ns2:eth0"]), {"client": "ns1:eth0", "server": "ns2:eth0"})

    def test_a_copied_window_is_what_later_segments_would_say(self):
        """RFC 7323 section 2.2: the window of a SYN is never scaled."""
        side = Side()
        syn = packets.build_tcp("10.0.0.1", 1, "192.0.2.1", 2, 3, 4, packets.SYN, window=65160, options=b"\x01\x03\x03\x0a")
        side.see(syn)
        self.assertEqual(side.window, 64)
        side.see(packets.build_tcp("10.0.0.1", 1, "192.0.2.1", 2, 4, 4, packets.ACK, window=70))
        self.assertEqual(side.window, 70)

    def test_sides_remember(self):
        side = Side()
        side.see(packets.build_tcp(*CLIENT, *SERVER, 10, 1, packets.ACK, payload=b"abc", ttl=51))
        side.see(packets.build_tcp(*CLIENT, *SERVER, 5, 1, packets.ACK, payload=b"a", ttl=51))
        self.assertEqual((side.next_seq, side.ttl, side.bytes), (13, 51, 4))
        self.assertFalse(Residual(Rule({"action": "rst", "key": "sni"})).seconds)


if __name__ == "__main__":
    unittest.main()
