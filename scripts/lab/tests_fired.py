#!/usr/bin/env python3
"""Tests of fired.py on hand-made rows; they need neither pyarrow nor tamperscope: python3 scripts/lab/tests_fired.py"""
import collections
import datetime
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import fired  # noqa: E402
from fired import Case, Lab  # noqa: E402

RESET_RULE, SIGNATURE_RULE, TTL_2, TTL_1, _, ANY_SIGNATURE = fired.RULES


def truth(label="ok", observable=True, **more):
    return dict({"protocol": "tcp", "client_ip": "10.0.0.2", "client_port": 40000, "server_ip": "151.101.0.7", "server_port": 443,
                 "start": 100.0, "vantage": "client", "label": label, "observable": observable, "cause": None}, **more)


def flow(verdict="ok", start=100.0, **more):
    return dict({"flow_id": 1, "first_packet": 1, "start": datetime.datetime.fromtimestamp(start, datetime.timezone.utc),
                 "protocol": "tcp", "client_ip": "10.0.0.2", "client_port": 40000, "server_ip": "151.101.0.7", "server_port": 443,
                 "handshake": True, "vantage": "client", "verdict": verdict, "confidence": 0.5, "signature_c2s": None,
                 "signature_s2c": None, "rst_ttl_delta": None}, **more)


def finding(*items, verdict="rst_injection", scores=None):
    return {"flow_id": 1, "verdict": verdict, "items": list(items), "item_scores": scores or [1.0] * len(items),
            "evidence": ["what %s saw" % item for item in items]}


def case(row, seen=None, *findings):
    return Case("a.pcap", row, seen, list(findings))


class Joining(unittest.TestCase):
    def test_a_flow_seen_the_other_way_round_is_the_same(self):
        turned = flow(client_ip="151.101.0.7", client_port=443, server_ip="10.0.0.2", server_port=40000)
        self.assertEqual(fired.join([truth()], [turned])[0][1], turned)

    def test_of_two_flows_the_nearest_start_is_taken(self):
        early, late = flow(start=10.0), flow(start=101.0)
        self.assertIs(fired.join([truth()], [early, late])[0][1], late)

    def test_a_row_without_a_flow_stays(self):
        self.assertEqual(fired.join([truth(protocol="udp")], [flow()]), [(truth(protocol="udp"), None)])


class Counting(unittest.TestCase):
    def test_interference_that_cannot_be_seen_counts_on_neither_side(self):
        self.assertEqual(fired.groups(truth("sni_drop", observable=False)), [])
        self.assertEqual(fired.groups(truth("sni_drop")), ["sni_drop", "interfered"])
        self.assertEqual(fired.groups(truth("unreachable")), ["benign"])

    def test_an_item_in_two_findings_of_one_verdict_fires_once(self):
        twice = case(truth("rst_injection"), flow(), finding("ttl"), finding("ttl", "ipid"))
        self.assertEqual(fired.firings([twice])["ttl", "rst_injection", "tcp"]["rst_injection"], 1)

    def test_the_verdict_is_of_the_finding_and_the_label_of_the_truth(self):
        counts = fired.firings([case(truth("sni_drop"), flow(), finding("ttl"))])["ttl", "rst_injection", "tcp"]
        self.assertEqual((counts["rst_injection"], counts["sni_drop"], counts["interfered"]), (0, 1, 1))

    def test_rows_without_a_flow_are_in_the_denominator(self):
        cases = [case(truth("sni_drop")), case(truth("sni_drop"), flow()), case(truth(protocol="udp"))]
        self.assertEqual(fired.totals(cases), {("tcp", "sni_drop"): 2, ("tcp", "interfered"): 2, ("udp", "benign"): 1})

    def test_protocols_stay_apart(self):
        cases = [case(truth("rst_injection"), flow(), finding("ttl")), case(truth()), case(truth(protocol="udp"))]
        cells = fired.item_cells(("ttl", "rst_injection", "tcp"), fired.firings(cases)["ttl", "rst_injection", "tcp"], fired.totals(cases))
        self.assertEqual(cells, ["1/1", "1/1", "0/1", "3"])

    def test_a_verdict_without_a_label_is_held_against_all_interfered_flows(self):
        self.assertEqual((fired.own_group("unreachable"), fired.own_group("sni_drop")), ("interfered", "sni_drop"))


class Ratio(unittest.TestCase):
    def test_half_a_flow_is_added(self):
        self.assertAlmostEqual(fired.ratio(9, 9, 0, 99), (9.5 / 10) / (0.5 / 100))

    def test_an_item_that_fires_alike_weighs_nothing(self):
        self.assertAlmostEqual(fired.ratio(5, 20, 5, 20), 1)

    def test_no_flows_no_ratio(self):
        self.assertIsNone(fired.ratio(0, 0, 3, 10))
        self.assertIsNone(fired.ratio(3, 10, 0, 0))
        self.assertEqual(fired.number(None), "-")


class Rules(unittest.TestCase):
    def counts(self, rule, *cases):
        return {key: count for key, count in fired.judge_rule(rule, cases).items() if count}

    def test_the_verdict(self):
        cases = [case(truth("rst_injection"), flow("rst_injection")), case(truth("rst_injection")),
                 case(truth("rst_injection", observable=False), flow("rst_injection")), case(truth(), flow("rst_injection")),
                 case(truth("sni_drop"), flow("rst_injection")), case(truth(protocol="udp"), flow("rst_injection"))]
        self.assertEqual(self.counts(RESET_RULE, *cases), {"asked": 2, "hit": 1, "named": 4, "true": 2, "benign": 1, "alarm": 1})

    def test_a_signature_counts_for_the_far_side_only(self):
        seen = flow(signature_c2s="<SYN -> RST>")
        self.assertEqual(self.counts(SIGNATURE_RULE, case(truth("rst_injection"), seen)), {"asked": 1})
        self.assertEqual(self.counts(SIGNATURE_RULE, case(truth("rst_injection", vantage="server"), seen))["hit"], 1)
        mirrored = flow(signature_s2c="<PSH+ACK -> RST+ACK>")
        self.assertEqual(self.counts(SIGNATURE_RULE, case(truth("rst_injection", vantage="client2"), mirrored))["hit"], 1)

    def test_a_signature_of_silence_names_no_reset(self):
        silent = case(truth("sni_drop"), flow(signature_s2c="<PSH+ACK -> none>"))
        self.assertEqual(self.counts(SIGNATURE_RULE, silent), {})
        self.assertEqual(self.counts(ANY_SIGNATURE, silent), {"asked": 1, "hit": 1, "named": 1, "true": 1})

    def test_ttl_apart_either_way(self):
        for delta, wide, narrow in ((None, 0, 0), (0, 0, 0), (1, 0, 1), (-1, 0, 1), (-2, 1, 1), (7, 1, 1)):
            one = case(truth("rst_injection"), flow(rst_ttl_delta=delta))
            self.assertEqual([self.counts(rule, one).get("hit", 0) for rule in (TTL_2, TTL_1)], [wide, narrow], delta)

    def test_a_column_that_the_binary_lacks(self):
        old = flow()
        del old["rst_ttl_delta"], old["signature_c2s"], old["signature_s2c"]
        cases = [case(truth("rst_injection"), old)]
        self.assertIsNone(fired.judge_rule(TTL_2, cases))
        self.assertIsNone(fired.judge_rule(SIGNATURE_RULE, cases))
        self.assertEqual(self.counts(RESET_RULE, *cases), {"asked": 1})
        self.assertIn("no such column", fired.rule_table([Lab("lab", cases, [], {}, [])]))


class Vantage(unittest.TestCase):
    def test_most_tcp_flows_with_a_handshake_decide(self):
        flows = [flow(), flow(), flow(vantage="server")] + 3 * [flow(vantage="server", handshake=False)]
        self.assertEqual(fired.vantage_of(flows), "client")
        self.assertIsNone(fired.vantage_of([flow(handshake=False), flow(protocol="udp", handshake=None)]))

    def test_judgement(self):
        pairs = [("client", "client"), ("client", "unknown"), ("client", "server"), ("client", "transit"), ("client", None)]
        self.assertEqual([fired.judge_vantage(*pair) for pair in pairs], ["right", "unknown", "wrong", "wrong", "no handshake"])

    def test_client2_is_a_client(self):
        self.assertEqual(fired.vantage_word(truth(vantage="client2")), "client")

    def test_wrong_captures_are_listed(self):
        lab = Lab("lab", [], [], {"a.pcap": ("server", [flow()]), "b.pcap": ("client", [flow()])}, [])
        self.assertIn("- lab/a.pcap: server, said client", fired.vantage_table([lab]))
        self.assertNotIn("b.pcap", fired.vantage_table([lab]))


class Listing(unittest.TestCase):
    def test_each_firing_with_its_own_sentence(self):
        lines = list(fired.listed("lab", [case(truth("sni_drop", cause="dropped"), flow(), finding("ttl", "ipid"))], "ipid"))
        self.assertEqual(lines, ["- lab/a.pcap packet 1: ok 0.50, label sni_drop (dropped): ipid 1.0: what ipid saw"])

    def test_strong_items_by_score(self):
        one = Case("a.pcap", None, flow(), [finding("ttl", "ipid", scores=[1.9, 2.0])])
        self.assertEqual([word for word, _, _ in fired.matching(one, "strong", 2.0)], ["ipid"])

    def test_corpus_items_stand_in_the_table_though_no_lab_has_them(self):
        corpus = Lab("corpus", [], [Case("a.pcap", None, flow(), [finding("ttl")]), Case("a.pcap", None, flow(), [])], {}, [])
        lab = Lab("lab", [case(truth("rst_injection"), flow()), case(truth(), flow())], [], {}, [])
        self.assertIn("| ttl | rst_injection | tcp | 0/1 | 0/1 | 0/1 | 1 | 1/2 |", fired.item_table([lab], corpus))

    def test_no_items_no_rows(self):
        self.assertEqual(fired.firings([]), collections.defaultdict(collections.Counter))


if __name__ == "__main__":
    unittest.main()
