#!/usr/bin/env python3
"""Tests of the scenes of the samples; they need neither root nor network: python3 scripts/lab/tests_samples.py"""
import ipaddress
import json
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import names.scene  # noqa: E402
import sample_scenes as samples  # noqa: E402
from box.rule import Rule  # noqa: E402
from scene_draft import listed  # noqa: E402

RANGES = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")  # RFC 5737 section 3, RFC 3849


def all_scenes():
    return [samples.draw(name) for name in samples.SAMPLES] + [names.scene.draw()]


def addresses(scene):
    found = [client.get(word) for client in scene["clients"] for word in ("ip", "ip6")] + [server["ip"] for server in scene["servers"]]
    found += [flow.get(word) for flow in scene["flows"] for word in ("server_ip", "other_ip")] + scene.get("addresses", [])
    return [ipaddress.ip_address(address) for address in found if address]


class Samples(unittest.TestCase):
    def test_a_scene_is_the_same_at_every_call(self):
        for scene in all_scenes():
            again = names.scene.draw() if scene["scene"] == "names" else samples.draw(scene["scene"])
            self.assertEqual(scene, again)
            self.assertEqual(scene, json.loads(json.dumps(scene)))

    def test_addresses_are_for_documentation(self):
        for scene in all_scenes():
            for address in addresses(scene):
                self.assertTrue(any(address in ipaddress.ip_network(net) for net in RANGES), "%s: %s" % (scene["scene"], address))

    def test_every_censor_is_one_that_the_box_plays_and_never_misses(self):
        for scene in all_scenes():
            if scene["censor"]:
                self.assertEqual(Rule(scene["censor"]).misses, 0, scene["scene"])

    def test_blocked_and_free_names_are_asked_for_at_the_same_servers(self):
        for scene in all_scenes():
            rule = scene["censor"]
            if not rule or rule["key"] not in ("sni", "http_host"):
                continue
            of = {True: set(), False: set()}
            for flow in scene["flows"]:
                of[bool(flow["name"]) and listed(rule, flow["name"])].add(flow["server_ip"])
            self.assertLessEqual(of[True], of[False], scene["scene"])

    def test_a_scene_is_short(self):
        for scene in all_scenes():
            self.assertLess(len(scene["flows"]), 40, scene["scene"])
            self.assertLess(max(flow["at"] for flow in scene["flows"]), 25, scene["scene"])


if __name__ == "__main__":
    unittest.main()
