#!/usr/bin/env python3
"""Tests of check.py and tells.py on made-up labs; they need neither root nor tamperscope: python3 scripts/lab/tests_check.py"""
import contextlib
import io
import json
import os
import pathlib
import random
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import check  # noqa: E402
import check_fates  # noqa: E402
import check_flows  # noqa: E402
import pcap  # noqa: E402
import tells  # noqa: E402
import tells_fields  # noqa: E402
import tells_stats  # noqa: E402
from box import packets as wire  # noqa: E402
from check_fates import Seen  # noqa: E402

CLIENT, NAT, SERVER = "10.0.0.2", "85.140.0.9", "151.101.0.7"
KEY = ("tcp", CLIENT, 40000, SERVER)
PLAYED = [{"client": "client", "protocol": "tcp", "client_ip": CLIENT, "client_port": 40000, "server_ip": SERVER, "kind": "tls",
           "nat_ip": NAT, "nat_port": 50000}]
ENDS = {"protocol": "tcp", "client_ip": CLIENT, "client_port": 40000, "server_ip": SERVER, "server_port": 443}


def seen(end, number, time, direction, seq, flags, length, ipid, key=KEY):
    return Seen(end, number, time, key, direction, seq, flags, length, ipid)


def logged(event, time, direction, seq, flags, length, ipid, **more):
    return dict(ENDS, event=event, time=time, dir=direction, seq=seq, flags=flags, len=length, ipid=ipid, **more)


# A hello that reaches the server, its answer, and time enough behind it; no packet is touched.
QUIET = [seen("client", 80, 5.0, "c2s", 99, "S", 0, 6), seen("server", 80, 5.02, "c2s", 99, "S", 0, 6),
         seen("client", 1, 10.0, "c2s", 100, "PA", 517, 7), seen("server", 1, 10.02, "c2s", 100, "PA", 517, 7),
         seen("server", 2, 10.03, "s2c", 900, "PA", 1200, 70), seen("client", 2, 10.05, "s2c", 900, "PA", 1200, 70),
         seen("client", 90, 30.0, "c2s", 617, "A", 0, 8), seen("server", 90, 30.02, "c2s", 617, "A", 0, 8)]
DELIVERED = {("client", 1): ("delivered", 1), ("server", 1): ("delivered", 1), ("server", 2): ("delivered", 2),
             ("client", 2): ("delivered", 2)}
FORGED = seen("client", 3, 10.021, "s2c", 900, "RA", 0, 0)
FORGED_ROW = logged("injected", 10.015, "s2c", 900, "RA", 0, 0, to="client", arrives=10.0208, rule="rst")
LOST = seen("client", 4, 11.0, "c2s", 617, "PA", 50, 9)
LOST_ROW = logged("dropped", 11.01, "c2s", 617, "PA", 50, 9, rule="drop_hello")


def judge(log, more=(), fates=None, **scene):
    return check_fates.judge(scene, log, PLAYED, QUIET + list(more), {**DELIVERED, **(fates or {})}, "client")


class Fates(unittest.TestCase):
    def test_right_fates_agree(self):
        found = judge([FORGED_ROW, LOST_ROW], [FORGED, LOST], {("client", 3): ("injected", None), ("client", 4): ("dropped", None)})
        self.assertEqual([(one.event, one.why) for one in found], [("injected", ""), ("dropped", "")])

    def test_wrong_and_missing_fates_are_found(self):
        for fate in ({("client", 3): ("delivered", 2)}, {}):
            self.assertEqual([one.why for one in judge([FORGED_ROW], [FORGED], fate)], ["unexplained"])
        self.assertEqual(judge([LOST_ROW], [LOST], {("client", 4): ("delivered", 9)})[0].why, "unexplained")

    def test_a_packet_that_no_capture_holds_is_found(self):
        self.assertEqual(judge([FORGED_ROW])[0].why, "unexplained")
        self.assertEqual(judge([dict(FORGED_ROW, time=40.0, arrives=40.1)])[0].why, "after the end of the captures")

    def test_an_accusation_that_the_log_does_not_bear_out(self):
        other = seen("client", 5, 12.0, "s2c", 2100, "RA", 0, 0)
        found = judge([], [other], {("client", 5): ("injected", None)})
        self.assertEqual([(one.event, one.found, one.why) for one in found], [("accusation", "injected", "unexplained")])
        found = judge([], fates={("client", 2): ("injected", None)})
        self.assertEqual([one.why for one in found], ["both captures hold the packet"])

    def test_every_copy_of_a_forged_reset_is_asked_for(self):
        rows = [dict(FORGED_ROW), dict(FORGED_ROW, arrives=10.0211)]
        both = [FORGED, FORGED._replace(number=4, time=10.0212)]
        fates = {("client", 3): ("injected", None), ("client", 4): ("injected", None)}
        self.assertEqual([one.why for one in judge(rows, both, fates)], ["", ""])
        self.assertEqual([one.event for one in judge(rows[:1], both, fates)], ["injected", "accusation"])

    def test_what_compare_says_nothing_of(self):
        late = LOST._replace(time=29.5)
        self.assertEqual(judge([dict(LOST_ROW, time=29.51)], [late])[0].why, "after the last packet")
        key = ("tcp", CLIENT, 40001, SERVER)
        row = dict(LOST_ROW, client_port=40001)
        played = PLAYED + [dict(PLAYED[0], client_port=40001)]
        found = check_fates.judge({}, [row], played, QUIET + [LOST._replace(key=key)], DELIVERED, "client")
        self.assertEqual(found[0].why, "the other capture lacks the flow")

    def test_faults_have_names(self):
        found = check_fates.judge({}, [LOST_ROW], PLAYED, QUIET + [LOST], DELIVERED, "client", {"server"})
        self.assertEqual(found[0].why, check_fates.HOLES)
        fins = [seen("client", 6, 11.0, "c2s", 640, "FA", 0, 9), seen("server", 6, 13.0, "c2s", 617, "FPA", 23, 11)]
        row = logged("lost", 11.01, "c2s", 640, "FA", 0, 9)
        self.assertEqual(judge([row], fins, {("client", 6): ("delivered", None)})[0].why, check_fates.LATER_FIN)
        row = logged("lost", 11.01, "s2c", 500, "SA", 0, 0)
        for stamps, why in (((b"1", b"2"), check_fates.MIXED), ((b"1", b"1"), "a copy with the same IPID arrived")):
            copies = [seen("server", number, time, "s2c", 500, "SA", 0, 0)._replace(stamp=stamp)
                      for number, time, stamp in zip((7, 8), (11.0, 12.0), stamps)]
            arrived = seen("client", 7, 12.03, "s2c", 500, "SA", 0, 0)._replace(stamp=stamps[1])
            self.assertEqual(judge([row], copies + [arrived], {("server", 7): ("delivered", 7)})[0].why, why)

    def test_a_redirected_flow_that_is_not_joined_is_no_accusation(self):
        row = logged("rewritten", 10.01, "c2s", 100, "PA", 517, 7, mitm_ip="5.9.0.1")
        found = judge([row], fates={("client", 1): ("dropped", None)})
        self.assertEqual([(one.event, one.why) for one in found], [("accusation", check_fates.REDIRECTED)])

    def test_rewriting_marks_both_ends(self):
        row = logged("rewritten", 10.04, "s2c", 2100, "RA", 0, 71, to="client", arrives=10.06, was_len=1400, was_flags="PA")
        both = [seen("server", 3, 10.031, "s2c", 2100, "PA", 1400, 71), seen("client", 3, 10.0601, "s2c", 2100, "RA", 0, 71)]
        fates = {("server", 3): ("rewritten", 3), ("client", 3): ("rewritten", 3)}
        self.assertEqual([one.why for one in judge([row], both, fates)], ["", ""])
        fates = {("server", 3): ("dropped", None), ("client", 3): ("injected", None)}
        self.assertEqual({one.why for one in judge([row], both, fates)}, {"rewriting, told as a drop and an injection"})

    def test_rows_without_a_packet_ask_for_nothing(self):
        rows = [dict(ENDS, event=word, time=10.0, rule="rst") for word in ("matched", "missed", "residual")]
        self.assertEqual(judge(rows + [dict(LOST_ROW, event="lost", to="client", reason="lost")]), [])
        with self.assertRaises(ValueError):
            judge([dict(LOST_ROW, event="eaten")])

    def test_addresses_behind_a_nat_become_the_clients_own(self):
        inner = check_fates.inner_keys(PLAYED, [])
        with tempfile.TemporaryDirectory() as folder:
            frame = b"\0" * 12 + b"\x08\0" + bytes(wire.build_tcp(NAT, 50000, SERVER, 443, 100, 0, wire.SYN, ipid=7).raw)
            path = os.path.join(folder, "server.pcap")
            pcap.write_pcap(path, [pcap.Record(10**10, frame, len(frame))])
            found = check_fates.seen_packets(path, "server", {SERVER}, inner)
        self.assertEqual(found, [seen("server", 1, 10.0, "c2s", 100, "S", 0, 7)])


def truth_row(label="ok", **more):
    row = dict(ENDS, start=10.0, label=label, expect=[label], cause="plain", events={}, injected=[])
    return dict(row, **more)


class Moment:
    def __init__(self, seconds):
        self.seconds = seconds

    def timestamp(self):
        return self.seconds


def flow_row(verdict):
    return dict(ENDS, start=Moment(10.0), verdict=verdict, mechanism=None)


class Flows(unittest.TestCase):
    def judged(self, truth, verdict, findings=(), log=()):
        return check_flows.judge([truth], [flow_row(verdict)], findings, log)[0]

    def test_verdicts_that_fit_say_nothing(self):
        self.assertEqual(self.judged(truth_row(), "ok").why, "")
        self.assertEqual(self.judged(truth_row("sni_drop", expect=["sni_drop", "unknown"]), "unknown").why, "")

    def test_a_false_accusation_is_unexplained_unless_the_log_has_a_cause(self):
        flow = self.judged(truth_row(), "sni_drop")
        self.assertEqual((flow.why, flow.false_verdict), ("unexplained", True))
        flow = self.judged(truth_row(), "rst_injection", log=[logged("own_reset", 10.0, "s2c", 1, "RA", 0, 0, to="client")])
        self.assertEqual(flow.why, "load balancer between the capture points")

    def test_a_missed_injection_is_unexplained(self):
        self.assertEqual(self.judged(truth_row("rst_injection", injected=[{}], events={"injected": 1}), "ok").why, "unexplained")
        self.assertEqual(self.judged(truth_row("throttling"), "ok").why, "compare has no such verdict")

    def test_forged_flows_are_proven_by_the_fate_of_their_packets(self):
        truth = truth_row("rst_injection", injected=[{}], events={"injected": 1})
        found = judge([FORGED_ROW], [FORGED], {("client", 3): ("injected", None)})
        flow = self.judged(truth, "rst_injection", found)
        self.assertTrue(flow.forged and flow.proven and not flow.accused)

    def test_report_counts_and_lists(self):
        found = judge([FORGED_ROW], [FORGED], {("client", 3): ("delivered", 2)})
        done = [check.Pair("rst-0", "client", found, [self.judged(truth_row(), "sni_drop")])]
        self.assertEqual(check.faults(done), 2)
        self.assertEqual(check.pair_row("rst-0", done)[1:6], [1, 0, 0, 1, 0])
        self.assertEqual(len(list(check.listed(done))), 2)
        self.assertIn("| ok | 1 |", check.verdict_table(done))


# ---------------------------------------------------------------- made-up labs for tells

def samples(draw, scenes=6, flows=30):
    """Samples whose value `draw(generator, positive)` gives."""
    generator = random.Random(3)
    for scene in range(scenes):
        for flow in range(flows):
            positive = generator.random() < 0.4
            yield tells_stats.Sample(draw(generator, positive), positive, scene, scene, (scene, flow))


class Statistics(unittest.TestCase):
    def test_a_field_that_says_nothing_stays_within_chance(self):
        found = tells_stats.study(list(samples(lambda generator, positive: generator.randrange(1000))), 100)
        self.assertLess(abs(found.auc - 0.5), 0.12)
        self.assertLess(found.accurate.balanced, found.accurate_chance + 0.03)

    def test_a_threshold_and_a_value_are_found(self):
        found = tells_stats.study(list(samples(lambda generator, positive: generator.randrange(10) + 10 * positive)), 50)
        self.assertEqual((found.auc, found.accurate.text, found.accurate.balanced), (1.0, "> 9", 1.0))
        self.assertLess(found.accurate_chance, 0.8)
        found = tells_stats.study(list(samples(lambda generator, positive: "x" if positive else generator.choice("ab"))), 50)
        self.assertEqual((found.auc, found.precise.text, found.precise.precision), (None, "== x", 1.0))

    def test_area_counts_pairs_of_one_stratum_only(self):
        sample = tells_stats.Sample
        apart = [sample(1, False, 0, 0, 1), sample(2, True, 0, 0, 2), sample(11, False, 1, 1, 3), sample(12, True, 1, 1, 4),
                 sample(0, True, 2, 2, 5)]
        self.assertEqual(tells_stats.study(apart, 5).auc, 1.0)

    def test_clusters_trade_labels_as_wholes(self):
        """Two names of ten flows each: half of all permutations separate them as well as the truth does."""
        flows = [tells_stats.Sample(name, bool(name), 0, 0, name) for name in (0, 1) for _ in range(10)]
        self.assertEqual(tells_stats.study(flows, 50).accurate_chance, 1.0)

    def test_the_same_samples_give_the_same_figures(self):
        some = list(samples(lambda generator, positive: generator.random()))
        self.assertEqual(tells_stats.study(some, 20), tells_stats.study(some, 20))

    def test_without_both_kinds_there_is_nothing_to_study(self):
        self.assertIsNone(tells_stats.study([tells_stats.Sample(1, True, 0, 0, 0)] * 9, 5))


class Lab:
    """A lab of flows with handshake, hello and reset; `forge(generator)` gives header fields of the forged resets."""

    def __init__(self, forge, port=None):
        self.random, self.forge, self.port = random.Random(5), forge, port
        self.truth, self.serial = [], 0

    def write(self, folder, scenes=6, flows=32):
        for number in range(scenes):
            scene, records = "rst-%d" % number, []
            blocked = self.random.sample(["a%d.example" % name for name in range(8)], 4)
            for flow in range(flows):
                records += self.flow(scene, 1000.0 + flow, "a%d.example" % (flow % 8), blocked)
            path = pathlib.Path(folder, "captures", scene)
            path.mkdir(parents=True)
            pcap.write_pcap(path / "client.pcap", records)
        pathlib.Path(folder, "truth.jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.truth))

    def flow(self, scene, start, name, blocked):
        forged = name in blocked and self.random.random() < 0.9
        self.serial += 1
        port = self.port(self.random, forged) if self.port else 30000 + self.random.randrange(30000)
        row = dict(ENDS, client_port=port + self.serial % 7, file="captures/%s/client.pcap" % scene, scenario=scene, family="rst",
                   vantage="client", condition=None, start=start, kind="tls", name=name, service=None,
                   label="rst_injection" if forged else "ok", trigger="sni" if forged else "none", cause="x", injected=[], events={})
        row["server_ip"] = "151.101.%d.7" % (self.serial % 200)  # so that no two flows of a scene share their addresses
        up, down = (CLIENT, row["client_port"], row["server_ip"], 443), (row["server_ip"], 443, CLIENT, row["client_port"])
        reset = dict(window=self.random.choice([0, 63]), ipid=self.random.randrange(1, 60000), flags=wire.RST | wire.ACK, ttl=51)
        reset.update(self.forge(self.random) if forged else {})
        flags = reset.pop("flags")
        hello = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(506)
        made = [(0, up, 100, 0, wire.SYN, {}), (0.04, down, 500, 101, wire.SYN | wire.ACK, {"ttl": 51}),
                (0.041, up, 101, 501, wire.ACK, {}), (0.042, up, 101, 501, wire.ACK | wire.PSH, {"payload": hello}),
                (0.08, down, 501, 618, flags, reset)]
        if forged:
            row["injected"] = [{"to": "client", "flags": wire.flag_letters(flags), "seq": 501, "ipid": reset["ipid"],
                                "time": start + 0.08}]
        self.truth.append(row)
        return [self.record(start + after, wire.build_tcp(*ends, seq, ack, bits, **more))
                for after, ends, seq, ack, bits, more in made]

    @staticmethod
    def record(time, packet):
        frame = b"\0" * 12 + b"\x08\0" + bytes(packet.raw)
        return pcap.Record(int(time * 1e9), frame, len(frame))


class Tells(unittest.TestCase):
    def fields(self, forge=lambda generator: {}, scenes=6, **more):
        with tempfile.TemporaryDirectory() as folder:
            Lab(forge, **more).write(folder, scenes)
            flows = tells_fields.read_lab(folder)
        fields = list(tells.judge({**tells.flow_samples(flows), **tells.packet_samples(flows)}, 60))
        self.assertGreater(len(fields), 15)
        return {(one.what, one.field): one for one in fields}

    def told(self, *forge, **more):
        return {key: one for key, one in self.fields(*forge, **more).items() if one.tells}

    def test_a_fair_lab_has_none(self):
        self.assertEqual(self.told(), {})

    def test_a_planted_window_is_found(self):
        self.assertIn(("reset to the client", "window"), self.told(lambda generator: {"window": generator.randrange(1, 65536)}))

    def test_a_planted_port_is_found(self):
        found = self.told(port=lambda generator, forged: 30000 + generator.randrange(9000) + (20000 if forged else 0))
        self.assertEqual({what for what in found}, {("flow, client", "client port")})

    def test_few_scenes_make_a_suspect_and_no_tell(self):
        window = self.fields(lambda generator: {"window": 4000}, scenes=2)["reset to the client", "window"]
        self.assertEqual((window.tells, "precision" in window.suspect), ([], True))
        self.assertTrue(tells.verdict(window).startswith("suspect"))

    def test_what_science_knows_of_is_allowed(self):
        found = self.told(lambda generator: {"ttl": 60})
        self.assertIn("Clayton", found["reset to the client", "TTL less the sender's"].allowed)

    def test_exit_code_and_table(self):
        for forge, code in ((lambda generator: {}, 0), (lambda generator: {"window": 4000}, 1)):
            with tempfile.TemporaryDirectory() as folder:
                Lab(forge).write(folder)
                argv, sys.argv, out = sys.argv, ["tells.py", folder, "--draws", "40", "--list"], io.StringIO()
                try:
                    with contextlib.redirect_stdout(out), self.assertRaises(SystemExit) as ended:
                        tells.main()
                finally:
                    sys.argv = argv
            self.assertEqual(ended.exception.code, code, out.getvalue())
            self.assertEqual("**tell**" in out.getvalue(), bool(code))

    def test_names_that_are_always_blocked(self):
        names = ["n%d" % number for number in range(8)]
        blocked = {(scene, name): name in names[:4] for scene in range(12) for name in names}
        often, sided, chance = tells.names_study(blocked, 50)
        self.assertEqual((len(often), len(sided)), (8, 8))
        self.assertLess(chance, 8)

    def test_dns_answers(self):
        message = b"\0\1\x81\x80\0\1\0\1\0\0\0\0" + b"\1a\0\0\1\0\1" + b"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\1\2\3\4"
        found = tells_fields.of_dns(message)
        self.assertEqual((found["lifetime of the first record"], found["answers"], found["DNS flags"]), (300, 1, 0x8180))
        self.assertNotIn("answers", tells_fields.of_dns(message[:3] + b"\x83\0\1\0\0\0\0\0\0" + message[12:19]))
        self.assertEqual(tells_fields.of_dns(b"\0"), {})


if __name__ == "__main__":
    unittest.main()
