#!/usr/bin/env python3
"""Tests of capture files, of the conditions derived from them, and of their rows of truth. No root, no network."""
import json
import pathlib
import random
import struct
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import captured  # noqa: E402
import conditions  # noqa: E402
import pcap  # noqa: E402
from box import packets  # noqa: E402
from box.packets import ACK, FIN, PSH, RST, SYN  # noqa: E402

CLIENT, SERVER, ROUTER = "10.0.0.2", "192.0.2.7", "10.0.0.1"
CLIENT6, SERVER6 = "2001:db8::2", "2001:db8:7::7"
MACS = b"\2\0\0\0\0\1\2\0\0\0\0\2"
START = 1_700_000_000
TIMES = bytes([1, 1, 8, 10]) + struct.pack("!II", 700, 800)  # TCP timestamps


def frame(packet):
    return MACS + (b"\x86\xdd" if packet.version == 6 else b"\x08\0") + bytes(packet.raw)


def record(at, packet):
    """Captured `at` seconds after START."""
    data = frame(packet)
    return pcap.Record(START * 10**9 + round(at * 1e6) * 1000, data, len(data))


def tcp(c2s, flags, seq=0, ack=0, payload=b"", port=40000, **more):
    ends = (CLIENT, port, SERVER, 443) if c2s else (SERVER, 443, CLIENT, port)
    return packets.build_tcp(*ends, seq, ack, flags, payload=payload, window=more.pop("window", 500), **more)


def udp(c2s, payload, port=5000):
    ends = (CLIENT, port, SERVER, 53) if c2s else (SERVER, 53, CLIENT, port)
    return packets.build_udp(*ends, payload)


def row(label="ok", mechanism=None, port=40000, start=0.0, **more):
    """A row of truth; interference has no other right word than its label unless `expect` says so."""
    innocent = label in ("ok", "unreachable")
    found = {"file": "captures/rst-0/client.pcap", "scenario": "rst-0", "vantage": "client", "condition": None, "protocol": "tcp",
             "client_ip": CLIENT, "client_port": port, "server_ip": SERVER, "server_port": 443, "start": START + start, "label": label,
             "expect": ["ok", "unknown", "unreachable"] if innocent else [label], "mechanism": mechanism, "observable": True,
             "trigger": "none" if innocent else "sni", "needs": None, "injected": [], "outcome": "worked" if innocent else "failed",
             "effect_time": None if innocent else START + start + 0.05}
    found.update(more)
    return found


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.out = pathlib.Path(self.folder.name)

    def capture(self, records, rows):
        path = self.out / rows[0]["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        pcap.write_pcap(path, records)
        return conditions.Capture(self.out, rows[0]["file"], rows)

    def made(self, kind, capture):
        return conditions.KINDS[kind](capture, random.Random(1))

    def rows(self, kind, capture, made=None):
        return conditions.Remains(kind, capture, made or self.made(kind, capture)).rows("conditions/x.pcap")

    def cut(self, capture, keeps):
        """The rows after a cut that leaves the packets of certain times."""
        kind = "startcut" if keeps(1e9) else "endcut"
        return self.rows(kind, capture, conditions.only(capture, lambda number: keeps(capture.time(number) - START)))


# ---------------------------------------------------------------- files and packets

class Files(Folder):
    RECORDS = [pcap.Record(START * 10**9 + 123_456_789, b"abcdefghij", 10), pcap.Record(START * 10**9 + 999_999_999, b"xyz", 1500)]

    def test_each_format_gives_back_what_was_written(self):
        path = self.out / "a"
        pcap.write_pcapng(path, self.RECORDS, link=113)
        self.assertEqual(pcap.read(path), (113, self.RECORDS))
        pcap.write_pcap(path, self.RECORDS, link=276, nanoseconds=True)
        self.assertEqual(pcap.read(path), (276, self.RECORDS))
        pcap.write_pcap(path, self.RECORDS)
        self.assertEqual(pcap.read(path), (1, [one._replace(time_ns=one.time_ns // 1000 * 1000) for one in self.RECORDS]))

    def test_a_snap_length_cuts_bytes_and_keeps_the_length(self):
        for write in (pcap.write_pcap, pcap.write_pcapng):
            write(self.out / "a", self.RECORDS, snaplen=4)
            self.assertEqual([(one.data, one.length) for one in pcap.read(self.out / "a")[1]], [(b"abcd", 10), (b"xyz", 1500)])

    def test_big_endian_files_are_read(self):
        path = self.out / "a"
        path.write_bytes(struct.pack(">IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 100, 101) + struct.pack(">IIII", 5, 6, 2, 9) + b"hi")
        self.assertEqual(pcap.read(path), (101, [pcap.Record(5_000_006_000, b"hi", 9)]))
        option = struct.pack(">HH3sxHHB3x", 2, 3, b"eth", 9, 1, 9)  # a name, and that times are in nanoseconds
        blocks = [(0x0A0D0D0A, struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1)), (1, struct.pack(">HHI", 101, 0, 0) + option),
                  (6, struct.pack(">IIIII", 0, *divmod(5_000_006_000, 2**32), 2, 9) + b"hi\0\0")]
        sized = [struct.pack(">II", kind, len(body) + 12) + body + struct.pack(">I", len(body) + 12) for kind, body in blocks]
        path.write_bytes(b"".join(sized))
        self.assertEqual(pcap.read(path), (101, [pcap.Record(5_000_006_000, b"hi", 9)]))

    def test_a_record_that_the_file_cuts_short_is_left_out(self):
        for write in (pcap.write_pcap, pcap.write_pcapng):
            path = self.out / "a"
            write(path, self.RECORDS)
            path.write_bytes(path.read_bytes()[:-1])
            self.assertEqual([one.data for one in pcap.read(path)[1]], [b"abcdefghij"])

    def test_other_files_are_refused(self):
        (self.out / "a").write_bytes(b"no capture at all, but long enough for a header")
        with self.assertRaises(ValueError):
            pcap.read(self.out / "a")

    def test_reached_counts_payload_towards_servers_only(self):
        records = [record(0, tcp(True, ACK, 1, 1, b"abc")), record(1, tcp(False, ACK, 1, 4, b"answer")),
                   record(2, tcp(True, ACK, 4, 7, b"de")), record(3, udp(True, b"query"))]
        pcap.write_pcap(self.out / "a", records, snaplen=56)
        self.assertEqual(captured.reached(self.out / "a", {SERVER}),
                         {("tcp", CLIENT, 40000, SERVER, 443): 5, ("udp", CLIENT, 5000, SERVER, 53): 5})


class Parse(unittest.TestCase):
    def test_all_fields_of_tcp_over_ipv4(self):
        packet = packets.build_tcp(CLIENT, 40000, SERVER, 443, 11, 22, SYN | ACK | PSH, window=77, options=b"\2\4\5\xb4\1\1\4\2",
                                   payload=b"hello", ttl=57, ipid=4321)
        self.assertEqual(pcap.parse(frame(packet) + bytes(6)), pcap.Packet(
            "tcp", CLIENT, 40000, SERVER, 443, 57, 4321, 11, 22, "SPA", 77, [(2, b"\5\xb4"), (4, b"")], 5, b"hello", 48, 14))

    def test_all_fields_of_udp_over_ipv6(self):
        packet = packets.build_udp(CLIENT6, 5000, SERVER6, 53, b"query", ttl=9)
        self.assertEqual(pcap.parse(frame(packet)), pcap.Packet(
            "udp", CLIENT6, 5000, SERVER6, 53, 9, None, None, None, None, None, None, 5, b"query", 48, 14))

    def test_flags_are_in_the_order_of_the_log(self):
        for flags in range(64):
            self.assertEqual(pcap.parse(frame(tcp(True, flags))).flags, packets.flag_letters(flags))

    def test_cut_packets_keep_what_was_sent(self):
        data = frame(tcp(True, PSH | ACK, 5, 6, bytes(900), options=TIMES))
        parsed = pcap.parse(data[:96])
        self.assertEqual((parsed.payload_len, len(parsed.payload), parsed.seq), (900, 96 - 66, 5))
        parsed = pcap.parse(data[:56])
        self.assertEqual((parsed.payload_len, parsed.payload, parsed.options), (900, b"", []))
        self.assertIsNone(pcap.parse(data[:40]))

    def test_every_link_layer_leads_to_the_same_packet(self):
        for packet, kind, family in ((tcp(True, ACK, 1, 1, b"x"), b"\x08\0", 2),
                                     (packets.build_udp(CLIENT6, 1, SERVER6, 2, b"y"), b"\x86\xdd", 30)):
            links = [(1, MACS + kind), (1, MACS + b"\x81\0\0\5" + kind), (1, MACS + b"\x88\xa8\0\5\x81\0\0\6" + kind),
                     (113, b"\0\4\0\1\0\6\2\0\0\0\0\1\0\0" + kind), (276, kind + bytes(18)), (101, b""),
                     (0, struct.pack("<I", family)), (0, struct.pack(">I", family)), (108, struct.pack(">I", family))]
            expected = pcap.parse(frame(packet))
            for link, head in links:
                with self.subTest(link=link, head=head, family=family):
                    data = head + bytes(packet.raw)
                    self.assertEqual(pcap.network(pcap.Record(0, data, len(data)), link), len(head))
                    self.assertEqual(pcap.parse(data, link), expected._replace(ip_offset=len(head)))

    def test_what_is_no_tcp_or_udp_is_none(self):
        arp, query = MACS + b"\x08\6" + bytes(28), udp(True, b"query")
        self.assertIsNone(pcap.parse(frame(packets.build_unreachable(ROUTER, query, 1))))
        self.assertIsNone(pcap.parse(arp))
        self.assertIsNone(pcap.network(pcap.Record(0, arp, len(arp)), 1))
        self.assertIsNotNone(pcap.parse(frame(query)))
        later = bytearray(frame(query))
        later[21] = 8
        self.assertIsNone(pcap.parse(bytes(later)))

    def test_extension_headers_are_passed_over(self):
        packet = packets.build_udp(CLIENT6, 5000, SERVER6, 53, b"query")
        for kind, header in ((0, b"\x11\0\1\4\0\0\0\0"), (44, b"\x11\7\0\1\0\0\0\5"), (51, b"\x11\1" + bytes(10))):
            data = bytearray(frame(packet))
            data[20], data[54:54] = kind, header
            struct.pack_into("!H", data, 18, len(packet.raw) - 40 + len(header))
            parsed = pcap.parse(bytes(data))
            found = parsed.sport, parsed.payload_len, parsed.payload, parsed.header_len
            self.assertEqual(found, (5000, 5, b"query", 48 + len(header)))
        data = frame(packet)
        self.assertIsNone(pcap.parse(data[:20] + b"\x2c" + data[21:54] + b"\x11\0\0\x09\0\0\0\5" + data[54:]))  # a later fragment


# ---------------------------------------------------------------- kinds

def conversation(port=40000, start=0.0, answer=b"answer"):
    """A flow that works: handshake, request, answer, end."""
    return [record(start, tcp(True, SYN, 99, port=port)), record(start + 0.1, tcp(False, SYN | ACK, 499, 100, port=port)),
            record(start + 0.11, tcp(True, ACK, 100, 500, port=port)),
            record(start + 0.12, tcp(True, ACK | PSH, 100, 500, b"request" * 30, port=port)),
            record(start + 0.2, tcp(False, ACK | PSH, 500, 310, answer, port=port)),
            record(start + 0.3, tcp(True, ACK | FIN, 310, 500 + len(answer), port=port))]


class Kinds(Folder):
    def whole(self):
        ping = packets.build_unreachable(ROUTER, tcp(True, SYN, 99), 1)
        return self.capture(conversation() + [record(0.5, ping)], [row()])

    def test_snap96_cuts_bytes_only(self):
        capture = self.whole()
        made = self.made("snap96", capture)
        self.assertEqual([(one.time_ns, one.length, one.data) for one in made.records],
                         [(one.time_ns, one.length, one.data[:96]) for one in capture.records])
        self.assertLess(len(made.records[3].data), made.records[3].length)

    def test_oneway_keeps_one_direction(self):
        capture = self.whole()
        c2s, s2c = (self.made(kind, capture).records for kind in ("oneway-c2s", "oneway-s2c"))
        self.assertEqual({pcap.parse(one.data).src for one in c2s}, {CLIENT})
        self.assertEqual([conditions.pcap.address(one.data[30:34]) for one in s2c], [CLIENT] * 3)
        self.assertEqual(sorted(c2s + s2c), sorted(capture.records))

    def test_twice_holds_every_packet_a_second_time(self):
        capture = self.whole()
        made = self.made("twice", capture).records
        self.assertEqual(len(made), 2 * len(capture.records))
        self.assertEqual([one.time_ns for one in made], sorted(one.time_ns for one in made))
        for one in capture.records:
            copies = [other.time_ns - one.time_ns for other in made if other.data == one.data]
            self.assertEqual((len(copies), copies[0]), (2, 0))
            self.assertTrue(1000 <= copies[1] < 10_000)

    def test_caploss_loses_about_one_in_a_hundred(self):
        records = [record(number / 1e3, udp(True, b"%d" % number)) for number in range(4000)]
        capture = self.capture(records, [row(protocol="udp")])
        made = self.made("caploss", capture)
        self.assertTrue(15 < 4000 - len(made.records) < 75)
        self.assertEqual([capture.records[number] for number in sorted(made.kept)], made.records)

    def test_other_links_hold_the_same_packets(self):
        capture = self.whole()
        for kind, link in (("sll", 113), ("sll2", 276), ("raw", 101), ("null", 0), ("vlan", 1), ("pcapngns", 1)):
            with self.subTest(kind):
                made = self.made(kind, capture)
                path = self.out / ("a.pcapng" if kind == "pcapngns" else "a.pcap")
                conditions.write(path, made)
                found, records = pcap.read(path)
                places = [pcap.network(one, found) for one in records]
                self.assertEqual(found, link)
                self.assertEqual([one.data[at:] for one, at in zip(records, places)], [one.data[14:] for one in capture.records])
                self.assertEqual([one.length - len(one.data) for one in records], [0] * 7)
                self.assertEqual(places, [{"sll": 16, "sll2": 20, "raw": 0, "null": 4, "vlan": 18, "pcapngns": 14}[kind]] * 7)

    def test_cooked_headers_tell_what_the_own_side_sent(self):
        capture = self.whole()
        sent = [4, 0, 4, 4, 0, 4, 0]
        self.assertEqual([one.data[1] for one in self.made("sll", capture).records], sent)
        self.assertEqual([one.data[10] for one in self.made("sll2", capture).records], sent)
        self.assertEqual({one.data[6:12] for one in self.made("sll", capture).records}, {MACS[6:]})
        self.assertEqual({one.data[12:18] for one in self.made("sll2", capture).records}, {MACS[6:]})

    def test_null_headers_tell_the_version(self):
        capture = self.capture([record(0, udp(True, b"x")), record(1, packets.build_udp(CLIENT6, 1, SERVER6, 2, b"y"))], [row()])
        self.assertEqual([one.data[:4] for one in self.made("null", capture).records], [b"\2\0\0\0", b"\x1e\0\0\0"])

    def test_pcapngns_adds_nanoseconds_and_keeps_the_order(self):
        records = [record(number // 50 / 1e6, udp(True, b"%d" % number)) for number in range(400)]
        capture = self.capture(records, [row(protocol="udp")])
        times = [one.time_ns for one in self.made("pcapngns", capture).records]
        self.assertEqual(times, sorted(times))
        self.assertEqual([at // 1000 for at in times], [one.time_ns // 1000 for one in capture.records])
        self.assertTrue(any(at % 1000 for at in times))

    def test_the_capture_says_how_far_it_was_cut(self):
        conditions.write(self.out / "a.pcap", self.made("snap96", self.whole()))
        self.assertEqual(struct.unpack_from("<I", (self.out / "a.pcap").read_bytes(), 16), (96,))


class Merged(Folder):
    def merge(self, segments, gap=0.0001):
        records = [record(number * gap, packet) for number, packet in enumerate(segments)]
        capture = self.capture(records, [row()])
        return [pcap.parse(one.data) for one in self.made("merged", capture).records], self.made("merged", capture).records

    def run_of(self, count, **more):
        return [tcp(False, ACK, 500 + 100 * number, 100 + number, b"%d" % number * 100, ipid=number + 1, window=500 + number,
                    **more) for number in range(count)]

    def test_segments_become_one_with_right_lengths_and_sums(self):
        segments = self.run_of(4, options=TIMES) + [tcp(False, ACK | PSH, 900, 104, b"end", ipid=5, window=9, options=TIMES)]
        (found,), (one,) = self.merge(segments)
        self.assertEqual(found.payload, b"0" * 100 + b"1" * 100 + b"2" * 100 + b"3" * 100 + b"end")
        self.assertEqual((found.seq, found.ack, found.window, found.flags, found.ipid, found.payload_len), (500, 104, 9, "PA", 1, 403))
        self.assertEqual((one.length, one.time_ns), (len(one.data), START * 10**9))
        self.assertTrue(packets.Packet(one.data[14:]).sums_fit())

    def test_ipv6_as_well(self):
        segments = [packets.build_tcp(SERVER6, 443, CLIENT6, 1, 10 * number, 1, ACK, payload=b"x" * 10) for number in range(3)]
        (found,), (one,) = self.merge(segments)
        self.assertEqual((found.payload, found.payload_len), (b"x" * 30, 30))
        self.assertTrue(packets.Packet(one.data[14:]).sums_fit())

    def test_what_differs_stays_apart(self):
        first, second = self.run_of(2)

        def next_one(flags=ACK, seq=600, size=100, ipid=2, **more):
            return tcp(False, flags, seq, 101, bytes(size), ipid=ipid, **more)

        others = {"gap": next_one(seq=601), "again": next_one(seq=500), "ttl": next_one(ttl=63), "ipid": next_one(ipid=9),
                  "fin": next_one(ACK | FIN), "reset": next_one(RST | ACK, size=0), "options": next_one(options=TIMES),
                  "larger": next_one(size=101), "port": next_one(port=2), "empty": next_one(size=0)}
        self.assertEqual(len(self.merge([first, second])[0]), 1)
        for name, other in others.items():
            with self.subTest(name):
                self.assertEqual(len(self.merge([first, other])[0]), 2)
        self.assertEqual(len(self.merge([first, second], gap=0.002)[0]), 2)
        urgent = [tcp(False, ACK | packets.URG, 500 + 100 * number, 1, bytes(100), ipid=number) for number in range(2)]
        self.assertEqual(len(self.merge(urgent)[0]), 2)

    def test_push_and_a_short_segment_end_a_run(self):
        first, second, third = self.run_of(3)
        pushed = tcp(False, ACK | PSH, 600, 101, b"1" * 100, ipid=2)
        short = tcp(False, ACK, 600, 101, b"1" * 99, ipid=2)
        after = tcp(False, ACK, 699, 102, b"2" * 99, ipid=3)
        self.assertEqual([found.payload_len for found in self.merge([first, pushed, third])[0]], [200, 100])
        self.assertEqual([found.payload_len for found in self.merge([first, short, after])[0]], [199, 99])
        self.assertEqual([found.payload_len for found in self.merge([pushed, third])[0]], [100, 100])

    def test_data_the_other_way_ends_a_run_and_an_acknowledgement_does_not(self):
        first, second = self.run_of(2)
        self.assertEqual(len(self.merge([first, tcp(True, ACK, 100, 600, b"x"), second])[0]), 3)
        self.assertEqual(len(self.merge([first, tcp(True, ACK, 100, 600), second])[0]), 2)

    def test_no_packet_grows_beyond_what_ip_can_say(self):
        segments = [tcp(False, ACK, 1400 * number, 1, bytes([number]) * 1400, ipid=number) for number in range(100)]
        found, records = self.merge(segments, gap=0.00001)
        self.assertEqual(b"".join(one.payload for one in found), b"".join(segment.payload for segment in segments))
        self.assertEqual(len(found), 3)
        self.assertLessEqual(max(one.length - 14 for one in records), 65535)

    def test_the_byte_stream_stays_whatever_comes(self):
        draw = random.Random(5)
        segments, seq = [], 0
        for number in range(300):
            size, again = draw.choice([0, 50, 100, 100, 100]), draw.random() < 0.1
            start = max(0, seq - 100) if again else seq
            payload = bytes([number % 256]) * size
            segments.append(tcp(draw.random() < 0.05, draw.choice([ACK, ACK, ACK | PSH]), start, 1, payload, ipid=number))
            seq = max(seq, start + size)
        found, records = self.merge(segments)
        for source in (CLIENT, SERVER):
            self.assertEqual(b"".join(one.payload for one in found if one.src == source),
                             b"".join(one.payload for one in segments if one.source == source))
        self.assertTrue(all(packets.Packet(one.data[14:]).sums_fit() for one in records))
        self.assertLess(len(found), len(segments) - 20)

    def test_cut_segments_stay_as_they_are(self):
        records = [record(number / 1e4, packet) for number, packet in enumerate(self.run_of(3))]
        capture = self.capture([one._replace(data=one.data[:80]) for one in records], [row()])
        self.assertEqual(self.made("merged", capture).records, capture.records)


# ---------------------------------------------------------------- rows

DOUBT, LOST = ["unknown", "unreachable"], ["ok", "unknown", "unreachable"]


def forged(at, to="client", seq=500, flags="R", ttl=60):
    return {"to": to, "flags": flags, "seq": seq, "ttl": ttl, "ipid": 7, "time": START + at}


def reset_flow(port=40000, start=0.0):
    """A hello and a forged reset to the client, which came at start + 0.15."""
    reset = record(start + 0.15, tcp(False, RST, 500, 0, ttl=60, ipid=7, port=port))
    told = {"injected": [forged(start + 0.15)], "effect_time": START + start + 0.14}
    return conversation(port, start)[:4] + [reset], row("rst_injection", "rst_from_server_side", port, start, **told)


def dropped_flow(port=40000, start=0.0, **more):
    """A hello that was dropped from start + 0.13 on, and sent three times more."""
    hello = [record(start + at, tcp(True, ACK | PSH, 100, 500, b"request" * 30, port=port)) for at in (0.12, 0.4, 0.8, 1.6)]
    truth = row("sni_drop", "hello_unacked", port, start, effect_time=START + start + 0.13, **more)
    return conversation(port, start)[:3] + hello, truth


class Rows(Folder):
    def told(self, rows, port=40000):
        """What was added to the right words, and whether it can be seen."""
        (found,) = [one for one in rows if one["client_port"] == port]
        return [word for word in found["expect"] if word != found["label"]], found["observable"]

    def test_innocent_rows_never_change(self):
        for label in ("ok", "unreachable"):
            ports = range(40000, 40005)
            capture = self.capture([one for port in ports for one in conversation(port, port - 40000)],
                                   [row(label, port=port, start=port - 40000) for port in ports])
            for kind in conditions.KINDS:
                with self.subTest(kind=kind, label=label):
                    found = self.rows(kind, capture)
                    self.assertGreater(len(found), 0)
                    for one in found:
                        self.assertEqual((one["expect"], one["observable"], one["label"]), (LOST, True, label))

    def test_rows_name_file_and_condition_and_keep_the_rest(self):
        packets_of, truth = reset_flow()
        capture = self.capture(packets_of, [truth])
        for kind, word in (("oneway-s2c", "oneway"), ("sll", "sll")):
            (found,) = self.rows(kind, capture)
            self.assertEqual((found["file"], found["condition"]), ("conditions/x.pcap", word))
            rest = {name: value for name, value in found.items() if name not in ("file", "condition", "expect")}
            self.assertEqual(rest, {name: capture.rows[0][name] for name in rest})

    def test_kinds_that_lose_nothing_add_nothing(self):
        for packets_of, truth in (reset_flow(), dropped_flow()):
            capture = self.capture(packets_of, [truth])
            for kind in ("twice", "sll", "sll2", "raw", "null", "pcapngns", "vlan", "merged"):
                self.assertEqual(self.told(self.rows(kind, capture)), ([], True), kind)

    def test_startcut_and_endcut_by_what_is_left_of_a_drop(self):
        packets_of, truth = dropped_flow()
        capture = self.capture(packets_of + conversation(40001, 20), [truth, row(port=40001, start=20)])
        for name, keeps, expected in (
                ("before it", lambda at: at >= -1, ([], True)), ("handshake gone", lambda at: at >= 0.12, (DOUBT, True)),
                ("only the last try left", lambda at: at >= 1.5, (DOUBT, True)),
                ("ends after two tries", lambda at: at < 0.5, (DOUBT, True)),
                ("ends before the first repetition", lambda at: at < 0.3, (LOST, False))):
            with self.subTest(name):
                self.assertEqual(self.told(self.cut(capture, keeps)), expected)
        self.assertEqual([one["client_port"] for one in self.cut(capture, lambda at: at >= 1.7)], [40001])

    def test_startcut_and_endcut_by_what_is_left_of_a_forgery(self):
        packets_of, truth = reset_flow()
        more = [record(0.16, tcp(True, RST, 310)), record(9, tcp(True, SYN, port=9))]
        capture = self.capture(packets_of + more, [truth, row(port=9, start=9)])
        for name, keeps, expected in (("handshake gone", lambda at: at >= 0.1, (DOUBT, True)),
                                      ("all there", lambda at: at < 8, ([], True)),
                                      ("ends before the reset", lambda at: at < 0.13, (LOST, False)),
                                      ("begins after the reset", lambda at: at > 0.155, (LOST, False))):
            with self.subTest(name):
                self.assertEqual(self.told(self.cut(capture, keeps)), expected)

    def test_a_hello_without_repetition_is_proof_itself(self):
        packets_of, truth = dropped_flow()
        capture = self.capture(packets_of[:4] + conversation(40001, 20), [truth, row(port=40001, start=20)])
        self.assertEqual(self.told(self.cut(capture, lambda at: at < 0.115)), (LOST, False))
        self.assertEqual(self.told(self.cut(capture, lambda at: at >= 0.115)), (DOUBT, True))

    def test_forged_packets_are_told_from_others_by_end_and_time(self):
        packets_of, truth = reset_flow()
        for change, expected in (({}, {4}), ({"to": "server"}, set()), ({"time": START + 5}, set()), ({"seq": 501}, set()),
                                 ({"flags": "RA"}, set()), ({"flags": None, "seq": None, "ipid": None}, {4})):
            capture = self.capture(packets_of, [dict(truth, injected=[dict(forged(0.15), **change)])])
            ((told, numbers, _),) = capture.flows()
            self.assertEqual(conditions.forged_packets(told, capture, numbers), expected, change)

    def test_a_query_does_not_pass_for_the_forged_answer(self):
        answer = {"to": "client", "mode": "dns_forge", "ttl": 64, "time": START + 0.1}
        truth = row("dns_manipulation", "dns_forged", 5000, protocol="udp", server_port=53, injected=[answer])
        capture = self.capture([record(0, udp(True, b"query")), record(0.1, udp(False, b"lie"))], [truth])
        self.assertEqual(self.told(self.rows("oneway-c2s", capture), 5000), (LOST, False))
        self.assertEqual(self.told(self.rows("oneway-s2c", capture), 5000), (DOUBT, True))

    def test_a_flow_without_an_answer_is_doubtful_where_answers_are_not_captured(self):
        query = [record(at, udp(True, b"query")) for at in (0, 2)]
        truth = row("dns_manipulation", "dns_no_answer", 5000, protocol="udp", server_port=53)
        self.assertEqual(self.told(self.rows("oneway-c2s", self.capture(query, [truth])), 5000), (DOUBT, True))

    def test_silence_must_last_to_count(self):
        query = [record(at, udp(True, b"query")) for at in (0, 2)] + [record(at, udp(True, b"other", 5001)) for at in (4, 30)]
        rows = [row("dns_manipulation", "dns_no_answer", 5000, protocol="udp", server_port=53),
                row(port=5001, start=4, protocol="udp", server_port=53)]
        capture = self.capture(query, rows)
        self.assertEqual(self.told(self.cut(capture, lambda at: at < 5), 5000), (DOUBT, True))
        self.assertEqual(self.told(self.cut(capture, lambda at: at < 31), 5000), ([], True))

    def test_a_comparison_needs_what_is_compared(self):
        packets_of, truth = dropped_flow(start=20, needs="controls")
        capture = self.capture(conversation(40001) + packets_of, [row(port=40001), truth])
        self.assertEqual(self.told(self.cut(capture, lambda at: at >= 10)), (DOUBT, True))
        self.assertEqual(self.told(self.cut(capture, lambda at: at >= -1)), ([], True))
        truth["needs"] = None
        self.assertEqual(self.told(self.cut(capture, lambda at: at >= 10)), ([], True))
        truth["needs"], capture.rows[0]["outcome"] = "controls", "failed"  # nothing to compare with from the start
        self.assertEqual(self.told(self.cut(capture, lambda at: at >= 10)), ([], True))

    def test_caploss_adds_unknown_unless_the_forged_packet_is_missing(self):
        packets_of, truth = reset_flow()
        capture = self.capture(packets_of, [truth])
        for lost, expected in ((None, (["unknown"], True)), (0, (["unknown"], True)), (4, (LOST, False))):
            made = conditions.only(capture, lambda number: number != lost)
            found = self.rows("caploss", capture, made)
            self.assertEqual((sorted(self.told(found)[0]), self.told(found)[1]), (sorted(expected[0]), expected[1]), lost)

    def test_oneway_by_the_direction_that_shows_it(self):
        for found, shows, hides in ((reset_flow(), "oneway-s2c", "oneway-c2s"), (dropped_flow(), "oneway-c2s", "oneway-s2c")):
            capture = self.capture(found[0], [found[1]])
            self.assertEqual(self.told(self.rows(shows, capture)), (DOUBT, True))
            self.assertEqual(self.told(self.rows(hides, capture)), (LOST, False))

    def test_icmp_is_proof_and_no_flow(self):
        syn = tcp(True, SYN, 99)
        capture = self.capture([record(0, syn), record(0.1, packets.build_unreachable(ROUTER, syn, 13))],
                               [row("ip_block", "icmp_unreachable")])
        self.assertEqual(self.told(self.rows("sll", capture)), ([], True))
        self.assertEqual(self.told(self.rows("oneway-c2s", capture)), (LOST, False))
        self.assertEqual(self.rows("oneway-s2c", capture), [])

    def test_snap96_takes_names_and_pages_and_no_headers(self):
        packets_of, truth = reset_flow()
        for change, expected in (({}, ([], True)), ({"needs": "controls"}, (DOUBT, True)),
                                 ({"needs": "controls", "trigger": "server_ip"}, ([], True)), ({"mechanism": "syn_rst"}, ([], True)),
                                 ({"mechanism": "block_page"}, (DOUBT, True)), ({"mechanism": "hello_unacked"}, (DOUBT, True))):
            with self.subTest(change):
                self.assertEqual(self.told(self.rows("snap96", self.capture(packets_of, [dict(truth, **change)]))), expected)

    def test_a_certificate_cannot_be_read_from_96_bytes(self):
        truth = row("tls_mitm", "certificate", expect=["tls_mitm"])
        capture = self.capture(conversation(), [truth])
        self.assertEqual(self.told(self.rows("sll", capture)), ([], True))
        self.assertEqual(self.told(self.rows("snap96", capture)), (LOST, False))

    def test_a_certificate_comes_with_the_first_segments(self):
        data = [record(number, tcp(False, ACK, 506 + 100 * number, 310, bytes(100))) for number in range(1, 9)]
        capture = self.capture(conversation() + data, [row("tls_mitm", "certificate", expect=["tls_mitm"])])
        self.assertEqual(self.told(self.cut(capture, lambda at: at >= 0.2)), (DOUBT, True))
        self.assertEqual(self.told(self.cut(capture, lambda at: at >= 5)), (LOST, False))

    def test_a_count_of_packets_does_not_outlive_joining(self):
        segments = [tcp(False, ACK, 500 + 100 * number, 310, bytes(100), ipid=number) for number in range(5)]
        joined = conversation()[:4] + [record(0.2 + number / 1e4, segment) for number, segment in enumerate(segments)]
        for records, mechanism, expected in ((joined, "cut_after_packets", (DOUBT, True)), (joined, "volume_freeze", ([], True)),
                                             (conversation(), "cut_after_packets", ([], True))):
            capture = self.capture(records, [row("sni_drop", mechanism)])
            self.assertEqual(self.told(self.rows("merged", capture)), expected)

    def test_the_server_sees_its_own_packets_in_vain(self):
        answers = [record(at, tcp(False, ACK | PSH, 500, 310, b"answer")) for at in (0.4, 0.8)]
        truth = row("sni_drop", "cut_after_packets", vantage="server", file="captures/rst-0/server.pcap", effect_time=START + 0.3)
        capture = self.capture(conversation()[:5] + answers, [truth])
        self.assertEqual(self.told(self.rows("oneway-s2c", capture)), (DOUBT, True))
        self.assertEqual(self.told(self.rows("oneway-c2s", capture)), (LOST, False))

    def test_ports_that_come_again_belong_to_the_flow_of_their_time(self):
        rows = [row(), row("rst_injection", "rst_from_server_side", start=20, injected=[forged(20.15)], effect_time=START + 20.14)]
        capture = self.capture(conversation() + reset_flow(start=20)[0], rows)
        self.assertEqual([(one["label"], one["expect"]) for one in self.cut(capture, lambda at: at >= 10)],
                         [("rst_injection", ["rst_injection"])])
        self.assertEqual([one["label"] for one in self.rows("sll", capture)], ["ok", "rst_injection"])


class Lab(Folder):
    """A lab of several scenes, derived as a whole."""

    def make(self, scenes=9):
        rows = []
        for number in range(scenes):
            for name in ("client", "client2", "server"):
                packets_of, truth = reset_flow(start=3.0)
                file = "captures/s-%d/%s.pcap" % (number, name)
                some = [dict(one, file=file, scenario="s-%d" % number, vantage=name.rstrip("2"))
                        for one in (row(port=40001), truth, row(port=40002, start=6.0))]
                self.capture(conversation(40001) + packets_of + conversation(40002, 6.0), some)
                rows += some
        self.write(rows)
        return rows

    def write(self, rows):
        (self.out / "truth.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))

    def read(self):
        return [json.loads(line) for line in (self.out / "truth.jsonl").read_text().splitlines()]

    def files(self):
        return {path.name: path.read_bytes() for path in (self.out / "conditions").iterdir()}

    def test_rows_are_appended_and_files_are_there(self):
        rows = self.make()
        derived = conditions.derive(str(self.out))
        self.assertEqual(self.read(), rows + derived)
        self.assertEqual({one["file"] for one in derived}, {"conditions/" + name for name in self.files()})
        self.assertEqual({one["condition"] for one in rows}, {None})
        for one in derived:
            _, records = pcap.read(self.out / one["file"])
            self.assertGreater(len(records), 0)

    def test_a_second_run_gives_the_same_and_leaves_nothing_behind(self):
        self.make()
        conditions.derive(self.out)
        files, rows = self.files(), self.read()
        (self.out / "conditions" / "sll-gone-0-client.pcap").write_bytes(b"of an earlier lab")
        conditions.derive(self.out)
        self.assertEqual((self.files(), self.read()), (files, rows))
        conditions.derive(self.out, seed=2)
        self.assertNotEqual(set(self.files()), set(files))

    def test_size_and_number_stay_bounded(self):
        self.make()
        conditions.derive(self.out)
        originals = sum(path.stat().st_size for path in (self.out / "captures").rglob("*.pcap"))
        self.assertLess(sum(map(len, self.files().values())), originals / 2)
        for path in (self.out / "captures").rglob("*.pcap"):
            ending = "-%s-%s" % (path.parent.name, path.stem)
            self.assertLessEqual(sum(name.split(".")[0].endswith(ending) for name in self.files()), 2)

    def test_all_kinds_come_equally_often(self):
        files = ["captures/s-%d/%s.pcap" % (number, name) for number in range(28) for name in ("client", "server")]
        drawn = list(conditions.draw(files, random.Random(1)))
        counts = [sum(kind == one for one, _ in drawn) for kind in conditions.KINDS]
        self.assertEqual(len(drawn), 84)
        self.assertTrue(5 <= min(counts) <= max(counts) <= 7, counts)
        self.assertEqual(len({(kind, file.split("/")[1]) for kind, file in drawn}), 84)
        self.assertEqual(len(list(conditions.draw(files[:1], random.Random(1)))), conditions.KINDS_PER_CAPTURE)


if __name__ == "__main__":
    unittest.main()
