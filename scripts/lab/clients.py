#!/usr/bin/env python3
"""Plays the programs of one client, in the client's namespace: each flow at its time, in a thread of its own.

    clients.py SCENE CLIENT_ID WISHES PLAYED BEGIN           BEGIN: second 0 of the scene, as epoch seconds
    clients.py SCENE CLIENT_ID CERTS WISHES PLAYED           second 0 is the scene's `start`

In: the scene, the folder of wishes with what the servers put there (`ca.pem`, `keys`). Out: PLAYED, one JSON object per connection:
the flow's fields and client_ip, client_port, server_ip, start, outcome, says. A flow with `retries` that failed is played again
after a pause; each attempt is a row (`attempt`). A race and a browser make several connections: several rows with the same id.
"""
import json
import os
import random
import sys
import threading
import time

import acts
import session
import speaking

TCP_KINDS = {"tls": session.Session, "http": session.Session, "raw": speaking.Raw, "idle_open": speaking.IdleOpen,
             "dns": speaking.Question, "stun": speaking.Call, "race": speaking.Race}
STACK = 1 << 20


def program_of(flow):
    """The class that plays a flow."""
    kind = flow["kind"]
    if kind == "scan":
        return speaking.ClosedPort if flow.get("act") == "closed_port" else speaking.Scan
    if kind == "quic":
        import quic_client
        return quic_client.Session
    if kind == "browser":
        import browser
        return browser.Browser
    return TCP_KINDS[kind]


class Player:
    def __init__(self, scene, client, wishes, start, played):
        self.scene, self.client, self.wishes, self.start = scene, client, wishes, start
        self.played, self.lock = open(played, "a"), threading.Lock()
        self.programs = {server["ip"]: server["program"] for server in scene["servers"]}

    def run(self):
        flows = [flow for flow in self.scene["flows"] if flow["client"] == self.client["id"]]
        threads = [threading.Thread(target=self.play, args=(self.ready(flow),)) for flow in flows]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.played.close()

    def ready(self, flow):
        """The flow with what a program needs to know of its server. An act that the server cannot do becomes a plain one."""
        program = self.programs.get(flow["server_ip"])
        flow = dict(flow, program=program)
        if program and flow["kind"] in ("tls", "http") and not acts.fits(program, flow.get("act", "plain")):
            flow.update(act="plain", act_drawn=flow["act"])
        if flow["kind"] == "dns" and flow.get("act", "plain") == "plain":
            flow["right"] = [server["ip"] for server in self.scene["servers"] if flow["name"] in server["names"]]
        return flow

    def play(self, flow):
        time.sleep(max(0.0, self.start + flow["at"] - time.time()))
        address = self.client["ip6"] if ":" in (flow["server_ip"] or "") else self.client["ip"]
        for attempt in range(1 + flow.get("retries", 0)):
            if attempt:
                time.sleep(random.uniform(0.5, 1.0) * 2 ** (attempt - 1))
            rows = self.attempt(dict(flow, attempt=attempt), address)
            self.write(rows)
            if any(row["outcome"] == "worked" for row in rows):
                break

    def attempt(self, flow, address):
        try:
            return program_of(flow)(flow, address, self.wishes).run()
        except Exception as error:  # a fault of the lab, not of the network: it must not look like an outcome
            print("flow %s: %s" % (flow["id"], session.describe(error)), file=sys.stderr)
            raise

    def write(self, rows):
        with self.lock:
            for row in rows:
                self.played.write(json.dumps(row) + "\n")
            self.played.flush()


def arguments():
    scene_path, name, *rest = sys.argv[1:]
    with open(scene_path) as source:
        scene = json.load(source)
    try:
        start = float(rest[-1])
        wishes, played = rest[:2]
    except ValueError:
        _certs, wishes, played = rest
        start = float(scene["start"])
    return scene, name, os.path.abspath(wishes), played, start


def tell_begin(wishes, start):
    """For the servers, whose events have times of the scene too."""
    path = os.path.join(wishes, "begin")
    if not os.path.exists(path):
        part = "%s.%d" % (path, os.getpid())
        with open(part, "w") as target:
            target.write(repr(start))
        os.replace(part, path)


def main(player=Player):
    scene, name, wishes, played, start = arguments()
    client = next(client for client in scene["clients"] if client["id"] == name)
    threading.stack_size(STACK)
    tell_begin(wishes, start)
    player(scene, client, wishes, start, played).run()


if __name__ == "__main__":
    main()
