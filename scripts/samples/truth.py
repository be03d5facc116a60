#!/usr/bin/env python3
"""Writes the truth about the flows of one scene: one JSON object per flow and capture.

    truth.py SCENE PLAYED INJECTED

Ends with an error if a flow did not fare as its scene plans.
"""
import json
import sys

from scenes import SCENES, SERVICES

INNOCENT = ["ok", "unknown", "unreachable"]
AT_SERVER_SILENT = ["hello_unacked", "hello_acked_then_silent", "cut_after_packets"]


def fate(label, expect, mechanism=None, others=(), observable=True, needs=None, trigger="sni"):
    mechanisms = [mechanism, *others] if mechanism else []
    return {"label": label, "expect": expect, "mechanism": mechanism,
            "expect_mechanism": mechanisms, "observable": observable, "needs": needs, "trigger": trigger}


FINE = fate("ok", INNOCENT, trigger="none")
UNREACHABLE = fate("unreachable", INNOCENT, trigger="none")
FORGED = fate("dns_manipulation", ["dns_manipulation"], "dns_forged", trigger="dns_name")
BLOCK_PAGE = fate("http_block", ["http_block"], "block_page", needs="controls", trigger="http_host")

# What became of a flow, as the client's and as the server's capture can tell it.
FATES = {
    "plain": (FINE, FINE),
    "hung": (UNREACHABLE, UNREACHABLE),
    "closed": (UNREACHABLE, UNREACHABLE),
    "dead": (UNREACHABLE, UNREACHABLE),
    "silent": (UNREACHABLE, UNREACHABLE),
    # Both give the client an answer.
    "forged": (FORGED, FORGED),
    "block_page": (BLOCK_PAGE, BLOCK_PAGE),
    # The server sees a handshake and then nothing.
    "reset": (
        fate("rst_injection", ["rst_injection"], "rst_from_server_side", needs="controls"),
        fate("rst_injection", ["rst_injection", *INNOCENT], "rst_from_client_side",
             observable=False, needs="controls")),
    "race": (
        fate("rst_injection", ["rst_injection"], "rst_from_server_side"),
        fate("rst_injection", ["rst_injection"], "rst_from_client_side")),
    # The server sees its answer refused by the client's own kernel.
    "race_client_only": (
        fate("rst_injection", ["rst_injection"], "rst_from_server_side"),
        fate("rst_injection", ["rst_injection", *INNOCENT], "rst_from_client_side",
             observable=False, needs="controls")),
    "drop": (
        fate("sni_drop", ["sni_drop"], "hello_unacked", needs="controls"),
        fate("sni_drop", ["sni_drop", *INNOCENT], AT_SERVER_SILENT[0], AT_SERVER_SILENT[1:],
             observable=False, needs="controls")),
    "mute": (
        fate("sni_drop", ["sni_drop"], "hello_acked_then_silent", ["cut_after_packets"], needs="controls"),
        fate("sni_drop", ["sni_drop", "unreachable"], "cut_after_packets",
             ["hello_acked_then_silent", "hello_unacked"], needs="controls")),
}
ANSWERED_FALSELY = {"forged", "block_page"}
MUST_FAIL = set(FATES) - {"plain"} - ANSWERED_FALSELY


def read_rows(path):
    with open(path) as source:
        return [json.loads(line) for line in source]


def injected_into(flow, log):
    return [{"to": row["to"], "flags": row["flags"], "seq": row["seq"], "time": row["time"]}
            for row in log
            if (row["client_ip"], row["client_port"]) == (flow["client"], flow["client_port"])]


def settle_race(flow, injected):
    """The injector decides, flow by flow, whether the server gets a reset too."""
    if flow["fate"] != "race":
        return
    if any(row["to"] == "server" for row in injected):
        flow["cause"] = "reset to both"
    else:
        flow["cause"], flow["fate"] = "reset to the client", "race_client_only"


def describe(scene_name, file, vantage, flow, injected):
    told = FATES[flow["fate"]][vantage == "server"]
    return {
        "file": file, "scenario": scene_name, "family": SCENES[scene_name].family, "vantage": vantage,
        "protocol": flow["protocol"], "client_ip": flow["client"], "client_port": flow["client_port"],
        "server_ip": flow["server"], "server_port": flow["port"], "start": flow["start"],
        "kind": flow["kind"] if flow["name"] else "raw", "name": flow["name"] or None,
        "service": SERVICES.get(flow["name"]),
        **told,
        "cause": flow["cause"], "outcome": flow["outcome"], "client_says": flow["says"],
        "injected": injected, "condition": None,
    }


def surprise(flow, injected):
    """What is wrong with a flow that did not fare as planned, or None."""
    if flow["cause"].startswith("plain") and flow["outcome"] != "worked":
        return "should have worked"
    if flow["fate"] in ANSWERED_FALSELY and flow["outcome"] != "worked":
        return "should have got an answer"
    if flow["cause"].startswith("alert") and "SSLError" not in flow["says"]:
        return "should have got an alert"
    if flow["fate"] in MUST_FAIL and flow["outcome"] != "failed":
        return "should have failed"
    if flow["fate"] in ("reset", "race", "race_client_only") and "ConnectionReset" not in flow["says"]:
        return "should have been reset"
    if flow["fate"] in ("drop", "mute", "hung", "dead", "silent") and "timed out" not in flow["says"]:
        return "should have timed out"
    if flow["fate"].startswith("race") and not injected:
        return "should have been noted by the injector"
    return None


def files_of(scene_name):
    ending = ".pcapng" if scene_name == "allowed-ns" else ".pcap"
    yield scene_name + ending, "client"
    if SCENES[scene_name].server_too:
        yield scene_name + "-server.pcap", "server"


def main():
    scene_name, played, log = sys.argv[1:4]
    flows, log, wrong = read_rows(played), read_rows(log), []
    injected = [injected_into(flow, log) for flow in flows]
    for flow, resets in zip(flows, injected):
        settle_race(flow, resets)
        problem = surprise(flow, resets)
        if problem:
            wrong.append("%s: %s %s, but: %s" % (scene_name, flow["name"], problem, flow["says"]))
    for file, vantage in files_of(scene_name):
        for flow, resets in zip(flows, injected):
            print(json.dumps(describe(scene_name, file, vantage, flow, resets)))
    if wrong:
        sys.exit("\n".join(wrong))


main()
