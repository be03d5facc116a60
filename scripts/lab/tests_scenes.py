#!/usr/bin/env python3
"""Tests of scenes and truth; they need neither root nor network: python3 scripts/lab/tests_scenes.py"""
import json
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import scene_names as names  # noqa: E402
import scenes  # noqa: E402
import truth  # noqa: E402
from box.rule import Rule  # noqa: E402
from scene_draft import both_kinds, listed  # noqa: E402

SEEDS = range(12)
FIELDS = {"file", "scenario", "family", "vantage", "protocol", "client_ip", "client_port", "server_ip", "server_port", "start", "kind",
          "name", "service", "label", "expect", "mechanism", "expect_mechanism", "cause", "trigger", "observable", "needs",
          "effect_time", "outcome", "client_says", "events", "injected", "condition"}


def all_scenes():
    for family in scenes.FAMILIES:
        for seed in SEEDS:
            yield scenes.draw(family, seed)


def innocent(scene):
    return {"clients": scene["clients"], "flows": scene["flows"], "events": scene["events"]}


class Scenes(unittest.TestCase):
    def test_the_same_seed_draws_the_same_scene(self):
        for scene in all_scenes():
            self.assertEqual(scene, scenes.draw(scene["family"], scene["seed"]))
            self.assertEqual(scene, json.loads(json.dumps(scene)))

    def test_every_censor_is_one_that_the_box_plays(self):
        for scene in all_scenes():
            if scene["censor"]:
                Rule(scene["censor"])

    def test_innocent_families_have_no_censor(self):
        for scene in all_scenes():
            self.assertEqual(scene["censor"] is None, scene["family"].startswith("ok-") or scene["family"].endswith("-ok"))

    def test_blocked_and_free_names_of_both_kinds_stand_on_the_servers(self):
        for scene in all_scenes():
            rule = scene["censor"]
            if not rule or rule["key"] not in ("sni", "http_host", "dns_name"):
                continue
            offered = {name for server in scene["servers"] for name in server["names"]}
            self.assertTrue(both_kinds([name for name in offered if listed(rule, name)]), scene["family"])
            self.assertTrue(both_kinds([name for name in offered if not listed(rule, name)]), scene["family"])

    def test_addresses_are_unique(self):
        for scene in all_scenes():
            hosts = [one["ip"] for one in scene["clients"] + scene["servers"]] + [c["nat"] for c in scene["clients"] if c["nat"]]
            self.assertEqual(len(hosts), len(set(hosts)), scene["family"])

    def test_flows_go_to_servers_that_serve_their_name(self):
        for scene in all_scenes():
            servers = {server["ip"]: server for server in scene["servers"]}
            for flow in scene["flows"]:
                self.assertIn(flow["server_ip"], servers)
                if flow["kind"] in ("tls", "http", "quic", "browser", "race"):
                    self.assertIn(flow["name"], servers[flow["server_ip"]]["names"])

    def test_the_innocent_part_knows_nothing_of_the_censor(self):
        for one, other in (("ok-mix", "rst-both"), ("ok-mix", "drop-hello"), ("ok-dns", "dns-drop"), ("ok-quic", "quic-sni"),
                           ("ok-large", "police"), ("ok-long", "drop-long"), ("ok-v6", "rst-v6"), ("ok-mix", "tls-mitm")):
            for seed in SEEDS:
                self.assertEqual(innocent(scenes.draw(one, seed)), innocent(scenes.draw(other, seed)), other)

    def test_known_and_made_up_names_fare_alike(self):
        blocked = {True: [0, 0], False: [0, 0]}
        for seed in range(200):
            scene = scenes.draw("drop-hello", seed)
            for name in {name for server in scene["servers"] for name in server["names"]}:
                blocked[names.service_of(name) is not None][listed(scene["censor"], name)] += 1
        shares = [there / (there + free) for free, there in blocked.values()]
        self.assertAlmostEqual(shares[0], shares[1], delta=0.07)


CENSOR = {"name": "x", "key": "sni", "names": ["blocked.example"], "match": "exact"}


def told(action, lines, outcome="failed", vantage="client", rule=None, **flow):
    """The row of one flow."""
    flow = dict({"id": 0, "client": "client", "at": 1.0, "kind": "tls", "act": "plain", "name": "blocked.example", "server_ip": "192.0.2.1",
                 "port": 443, "client_ip": "10.0.0.1", "client_port": 5000, "start": 101.0, "outcome": outcome, "says": "?"}, **flow)
    scene = {"scene": "x-0", "family": "x", "clients": [{"id": "client", "behind_box": True}], "servers": [], "flows": [flow],
             "events": [], "censor": dict(CENSOR, action=action, **(rule or {})) if action else None}
    own = {"client_ip": "10.0.0.1", "client_port": 5000, "server_ip": "192.0.2.1", "server_port": 443,
           "protocol": truth.protocol_of(flow)}
    log = [dict(own, time=101.2, **line) for line in lines]
    rows = [row for row in truth.rows(scene, [flow], log) if row["vantage"] == vantage]
    return rows[0], truth.surprises(scene, [flow], log)


def dropped(direction="c2s", count=5):
    return [{"event": "matched", "rule": "x"}] + [{"event": "dropped", "rule": "x", "dir": direction}] * count


def reset(to, event="injected", count=1):
    line = {"event": event, "rule": "x", "to": to, "flags": "RA", "seq": 7, "ttl": 60, "ipid": 1, "dir": "s2c", "arrives": 101.21}
    return [{"event": "matched", "rule": "x"}] + [line] * count


class Truth(unittest.TestCase):
    def test_fields(self):
        self.assertEqual(set(told(None, [], "worked")[0]), FIELDS)

    def test_every_action_has_a_view_and_a_cause(self):
        for scene in all_scenes():
            if scene["censor"]:
                self.assertIn(scene["censor"]["action"], truth.VIEWS)
                self.assertIn(scene["censor"]["action"], truth.CAUSES)

    def test_a_dropped_hello(self):
        row, wrong = told("drop_hello", dropped())
        self.assertEqual((row["label"], row["expect"], row["mechanism"], row["trigger"]), ("sni_drop", ["sni_drop"], "hello_unacked", "sni"))
        self.assertEqual((row["events"], row["needs"], row["effect_time"], wrong), ({"dropped_c2s": 5}, "controls", 101.2, []))
        row, _ = told("drop_hello", dropped(), vantage="server")
        self.assertEqual((row["observable"], row["expect"]), (False, ["sni_drop", "ok", "unknown", "unreachable"]))

    def test_part_of_a_split_hello_reaches_the_server(self):
        for bytes_there, expected in ((300, (True, ["sni_drop", "unreachable"])), (0, (False, ["sni_drop", "ok", "unknown", "unreachable"]))):
            row, _ = told("drop_hello", dropped(), vantage="server", act="split", reached_server=bytes_there)
            self.assertEqual((row["observable"], row["expect"]), expected)

    def test_a_matched_rule_without_effect_is_no_interference(self):
        row, wrong = told("drop_after_bytes", [{"event": "matched", "rule": "x"}], "worked")
        self.assertEqual((row["label"], row["cause"], row["trigger"], wrong), ("ok", "plain", "none", []))

    def test_resets_are_seen_where_they_go(self):
        row, _ = told("rst", reset("client"))
        self.assertEqual((row["mechanism"], row["observable"], row["cause"]), ("rst_from_server_side", True, "reset to the client"))
        self.assertEqual(row["injected"], [{"to": "client", "flags": "RA", "seq": 7, "ttl": 60, "ipid": 1, "time": 101.21}])
        self.assertFalse(told("rst", reset("client"), vantage="server")[0]["observable"])
        self.assertEqual(told("rst", reset("client") + reset("server"))[0]["cause"], "reset to both")

    def test_the_server_sees_outer_addresses(self):
        lines = [{"event": "matched", "rule": "x"}, {"event": "rewritten", "rule": "x", "dir": "c2s", "mitm_ip": "192.0.2.9"}]
        row, _ = told("mitm", lines, vantage="server", nat_ip="198.51.100.1", nat_port=777)
        self.assertEqual((row["client_ip"], row["client_port"], row["server_ip"]), ("198.51.100.1", 777, "192.0.2.9"))
        self.assertEqual((row["injected"], row["observable"]), ([], False))

    def test_an_interfered_flow_that_worked_keeps_its_label(self):
        self.assertEqual(told("rst", reset("server"), "worked")[0]["label"], "rst_injection")

    def test_residual(self):
        line = {"event": "residual", "rule": "x"}
        row, wrong = told("drop_hello", [line] + dropped()[1:], name="free.example")
        self.assertEqual((row["mechanism"], row["trigger"], row["cause"], wrong), ("residual", "server_ip", "residual: hello dropped", []))

    def test_what_a_drop_is_called_depends_on_the_flow(self):
        for kind, label, first in (("http", "http_block", "request_unacked"), ("raw", "protocol_block", "first_payload_unacked")):
            row, _ = told("first_payload_drop", dropped(), kind=kind)
            self.assertEqual((row["label"], row["mechanism"]), (label, first))

    def test_slowing_that_nobody_notices(self):
        row, _ = told("police", dropped("s2c", 2), "worked")
        self.assertEqual((row["label"], row["expect"][-1], row["cause"]), ("ok", "throttling", "plain: touched too little to matter"))
        self.assertEqual(told("police", dropped("s2c", 40), "degraded")[0]["label"], "throttling")

    def test_innocent_failures(self):
        self.assertEqual(told(None, [], act="hung")[0]["label"], "unreachable")
        self.assertEqual(told(None, [], act="alert")[0]["label"], "ok")
        self.assertEqual(told(None, [{"event": "outage", "dir": "c2s", "rule": None}])[0]["cause"], "outage")

    def test_an_unexplained_failure_is_a_surprise(self):
        self.assertEqual(len(told(None, [])[1]), 1)
        self.assertEqual(told(None, [], "worked")[1], [])

    def test_a_rule_that_never_matched_touches_nothing(self):
        row, wrong = told("drop_hello", dropped()[1:])
        self.assertEqual((row["label"], len(wrong)), ("ok", 1))

    def test_ports_that_come_again_are_told_apart_by_time(self):
        flow = {"id": 0, "client": "client", "kind": "tls", "act": "plain", "name": "n", "server_ip": "192.0.2.1", "port": 443,
                "client_ip": "10.0.0.1", "client_port": 5000, "start": 101.0, "outcome": "worked", "says": "ok"}
        own = {"client_ip": "10.0.0.1", "client_port": 5000, "server_ip": "192.0.2.1", "server_port": 443, "protocol": "tcp"}
        log = [dict(own, time=time, event="lost", rule=None, dir="c2s") for time in (101.5, 120.5, 120.6)]
        found = list(truth.stories({"events": []}, [flow, dict(flow, id=1, start=120.0)], log))
        self.assertEqual([len(story.lines) for story in found], [1, 2])


if __name__ == "__main__":
    unittest.main()
