#!/usr/bin/env python3
"""The truth about the flows of a scene: what was done to each, what became of it, and what each end can see of that.

In: `rows(scene, played, log)`: the scene dict, what the clients played (one dict per flow) and the box's log (one dict per touched
packet). Out: one row per flow and vantage, in the format of truth.jsonl; `surprises(...)` names flows that fared otherwise than
scene and log explain. A label of interference is given only where a rule matched AND the log shows its effect.
"""
import collections

from scene_names import service_of

INNOCENT = ["ok", "unknown", "unreachable"]
SILENT_AT_SERVER = ["cut_after_packets", "volume_freeze", "hello_acked_then_silent", "hello_unacked"]
EFFECTS = {"dropped", "injected", "rewritten", "delayed", "icmp"}
COUNTED = EFFECTS | {"residual", "lost", "outage", "own_reset", "vanished", "mtu"}
SLOWING = {"police": "policing", "shape": "shaping", "random_loss": "random_loss"}
TOO_LITTLE = {"police": 4, "shape": 6, "random_loss": 4}  # touched packets that a user who got all would hardly notice

# The middlebox's own words for what it did.
CAUSES = {
    "rst": "reset to the %s", "rewrite": "answers rewritten to resets", "drop_hello": "hello dropped",
    "drop_after_ack": "all dropped after the acknowledgement of the hello", "drop_s2c": "answers dropped",
    "drop_after_packets": "all dropped some packets after the hello", "drop_after_bytes": "all dropped after so many bytes",
    "syn_drop": "SYN dropped", "syn_rst": "SYN answered by a forged reset", "icmp": "SYN answered by ICMP unreachable",
    "quic_drop": "QUIC Initial dropped", "first_payload_drop": "first payload dropped", "http_page": "block page",
    "http_redirect": "redirect to a block page", "http_drop": "request dropped", "police": "policer", "shape": "shaper",
    "random_loss": "packets lost at random", "dns_forge": "forged answer", "dns_nxdomain": "forged NXDOMAIN",
    "dns_refuse": "forged REFUSED", "dns_drop": "query dropped", "stun_drop": "relay traffic dropped",
    "media_cut": "media cut after so many packets", "mitm": "certificate of another authority",
}
# Innocent behaviours after which the user was served nothing, or only in part, by the server's or the network's own fault.
UNSERVED = {"reset_hello", "hung", "closed_port", "dead", "server_full", "crash", "outage", "pmtu"}
# Innocent behaviours that may well end otherwise than in "worked".
MAY_FAIL = UNSERVED | {"cancel", "alert", "poll_give_up", "vanished", "stop", "abort", "close_unread", "server_rst", "server_unread",
                       "idle_rst", "own_reset", "rst_close", "gone", "broken", "not_picked_up", "long_poll", "idle_push", "slow", "trickle"}


def seen(label, expect, mechanism, others=(), observable=True, needs="controls"):
    """What one vantage sees of an interference."""
    words = [mechanism] + [word for word in others if word != mechanism]
    return {"label": label, "expect": list(expect), "mechanism": mechanism, "expect_mechanism": words,
            "observable": observable, "needs": needs}


def hidden(label, mechanism, others=(), also=(), needs="controls"):
    """An interference of which this vantage sees nothing: the other end's doing, or the silence of a client that went away."""
    return seen(label, [label, *also, *INNOCENT], mechanism, others, observable=False, needs=needs)


# ---------------------------------------------------------------- one flow and its log

class Story:
    """One flow as it was played, with the log lines of its packets."""

    def __init__(self, scene, flow, lines):
        self.scene, self.flow, self.lines = scene, flow, lines
        self.rule = scene.get("censor") or {}
        self.action = self.rule.get("action")
        self.ruled = [line for line in lines if line.get("rule") and line["event"] in EFFECTS]
        self.residual = any(line["event"] == "residual" for line in lines)
        self.matched = any(line["event"] == "matched" for line in lines)

    def count(self, event, direction=None):
        return sum(line["event"] == event and direction in (None, line.get("dir")) for line in self.lines)

    def had_effect(self):
        return bool(self.ruled) and (self.matched or self.residual)

    def too_little(self):
        """Slowed in a way that nobody would notice."""
        touched = sum(line["event"] in ("dropped", "delayed") for line in self.ruled)
        return self.action in SLOWING and (touched < TOO_LITTLE[self.action] or (self.action == "shape" and self.longest_wait() < 200))

    def longest_wait(self):
        return max([line.get("delay_ms") or 0 for line in self.ruled], default=0)

    def forged_to(self, end):
        """Whether a reset that the box made (or made of a segment) went to an end."""
        return any(line["event"] in ("injected", "rewritten") and line.get("to") == end for line in self.ruled)

    def carries(self):
        """What the flow's first payload was: tls (with a name), http, quic, dns, stun or raw."""
        kind, name = self.flow["kind"], self.flow.get("name")
        if self.flow.get("protocol") == "udp" and kind in ("browser", "race", "tls"):
            return "quic"
        if kind in ("http", "quic", "dns", "stun", "raw"):
            return kind
        return "tls" if name and self.flow.get("act") != "no_sni" else "raw"

    def part_passed(self):
        """Whether the first part of a hello reached the server before the rest told its name."""
        return self.flow.get("reached_server", 0) > 0


# ---------------------------------------------------------------- what an end sees, for each action

def drop_label(story):
    return {"tls": "sni_drop", "http": "http_block", "quic": "quic_drop"}.get(story.carries(), "protocol_block")


def see_resets(story, vantage):
    if not story.forged_to(vantage):
        mechanism = "rst_from_server_side" if vantage == "client" else "rst_from_client_side"
        return hidden("rst_injection", mechanism)
    if vantage == "client":
        # Without the server's packets no contradiction shows: they end with the hello if it was swallowed.
        return seen("rst_injection", ["rst_injection"], "rst_from_server_side", needs=None)
    return seen("rst_injection", ["rst_injection"], "rst_from_client_side", needs=None if story.rule.get("swallow") else "controls")


def see_rewrite(story, vantage):
    words = ("rst_replaces_answer", ["rst_from_server_side" if vantage == "client" else "rst_from_client_side"])
    if not story.forged_to(vantage):
        return hidden("rst_injection", *words)
    needs = None if story.count("rewritten") > 2 else "controls"
    return seen("rst_injection", ["rst_injection"], *words, needs=needs)


def see_residual(story, vantage):
    how = story.rule.get("residual_action", "rst" if story.action in ("rst", "rewrite", "syn_rst") else "drop")
    if how == "rst":
        if not story.forged_to(vantage):
            return hidden("rst_injection", "residual", ["syn_rst"], ["ip_block"])
        mechanisms = ["syn_rst", "rst_from_server_side" if vantage == "client" else "rst_from_client_side"]
        return seen("rst_injection", ["rst_injection", "ip_block", "unreachable"], "residual", mechanisms)
    label = drop_label(story)
    if vantage == "server":
        return hidden(label, "residual", ["synack_unacked"], ["ip_block"])
    return seen(label, [label, "ip_block", "unreachable"], "residual", ["syn_unanswered"])


def see_drop_of_hello(story, vantage):
    label = drop_label(story)
    first = {"sni_drop": "hello_unacked", "http_block": "request_unacked"}.get(label, "first_payload_unacked")
    if vantage == "client":
        expect = [label, "unreachable"] if story.flow.get("protocol") == "udp" else [label]
        return seen(label, expect, first, [] if first == "hello_unacked" else ["hello_unacked"])
    if story.part_passed():
        return seen(label, [label, "unreachable"], SILENT_AT_SERVER[0], SILENT_AT_SERVER)
    return hidden(label, SILENT_AT_SERVER[0], SILENT_AT_SERVER)


def see_drop_after_ack(story, vantage):
    label = drop_label(story)
    if vantage == "server":
        return seen(label, [label, "unreachable"], SILENT_AT_SERVER[0], SILENT_AT_SERVER)
    return seen(label, [label], "hello_acked_then_silent", ["cut_after_packets", "hello_unacked"])


def see_cut(story, vantage):
    """Everything dropped after some packets or bytes."""
    label = drop_label(story)
    if vantage == "server":
        return seen(label, [label, "unreachable"], SILENT_AT_SERVER[0], SILENT_AT_SERVER)
    if story.action == "drop_after_bytes":
        return seen(label, [label], "volume_freeze", ["cut_after_packets"])
    return seen(label, [label], "cut_after_packets", ["volume_freeze", "hello_acked_then_silent"])


def see_drop_of_answers(story, vantage):
    label = drop_label(story)
    if vantage == "server":
        return seen(label, [label, "unreachable"], SILENT_AT_SERVER[0], SILENT_AT_SERVER)
    return seen(label, [label], "hello_unacked")


def see_first_payload(story, vantage):
    label = drop_label(story)
    if vantage == "server":
        return hidden(label, SILENT_AT_SERVER[0], SILENT_AT_SERVER)
    expect = [label, "unreachable"] if story.flow.get("protocol") == "udp" else [label]
    first = {"sni_drop": "hello_unacked", "http_block": "request_unacked"}.get(label, "first_payload_unacked")
    return seen(label, expect, first, ["hello_unacked"])


def see_syn_drop(story, vantage):
    if vantage == "client":
        return seen("ip_block", ["ip_block", "unreachable"], "syn_unanswered")
    if story.rule.get("way") in ("s2c", "both") and not story.count("dropped", "c2s"):
        return seen("ip_block", ["ip_block", "unreachable", "unknown"], "synack_unacked")
    return hidden("ip_block", "synack_unacked")


def see_syn_rst(story, vantage):
    if vantage == "client":
        return seen("ip_block", ["ip_block", "rst_injection", "unreachable"], "syn_rst")
    return hidden("ip_block", "syn_rst", also=["rst_injection"])


def see_icmp(story, vantage):
    if vantage == "client":
        return seen("ip_block", ["ip_block", "unreachable"], "icmp_unreachable")
    return hidden("ip_block", "icmp_unreachable")


def see_quic(story, vantage):
    if vantage == "client":
        return seen("quic_drop", ["quic_drop", "unreachable"], "initial_unanswered")
    return hidden("quic_drop", SILENT_AT_SERVER[0], SILENT_AT_SERVER)


def see_page(story, vantage):
    mechanism = "redirect" if story.action == "http_redirect" else "block_page"
    if vantage == "client":
        return seen("http_block", ["http_block"], mechanism, ["block_page", "redirect"], needs=None)
    if story.forged_to("server"):
        return seen("http_block", ["http_block", "rst_injection", *INNOCENT], "rst_from_client_side", [mechanism])
    return hidden("http_block", mechanism, needs=None)


def see_dns(story, vantage):
    mechanism = {"dns_forge": "dns_forged", "dns_nxdomain": "dns_forged_nxdomain", "dns_refuse": "dns_refused",
                 "dns_drop": "dns_no_answer"}[story.action]
    beside = not story.rule.get("swallow") and story.action != "dns_drop"  # the real answer comes too
    needs = None if beside or story.action == "dns_forge" else "controls"
    if vantage == "server":
        return hidden("dns_manipulation", mechanism, needs=needs)
    if story.action == "dns_drop":
        return seen("dns_manipulation", ["dns_manipulation", "unreachable"], mechanism)
    others = ["dns_removed"] if story.action == "dns_nxdomain" and needs else []
    return seen("dns_manipulation", ["dns_manipulation"], mechanism, others, needs=needs)


def see_call(story, vantage):
    mechanism = "stun_unanswered" if story.action == "stun_drop" else "media_cut"
    also = ["ip_block"] if story.action == "stun_drop" else []
    if vantage == "client":
        return seen("call_block", ["call_block", *also, "unreachable"], mechanism)
    return hidden("call_block", mechanism, also=also)


def see_slowing(story, vantage):
    return seen("throttling", ["throttling"], SLOWING[story.action])


def see_mitm(story, vantage):
    if vantage == "client" and "CERT" in (story.flow.get("says") or "").upper():  # the client saw one and did not trust it
        return seen("tls_mitm", ["tls_mitm"], "certificate")
    return hidden("tls_mitm", "certificate")


VIEWS = {
    "rst": see_resets, "rewrite": see_rewrite, "drop_hello": see_drop_of_hello, "drop_after_ack": see_drop_after_ack,
    "drop_after_packets": see_cut, "drop_after_bytes": see_cut, "drop_s2c": see_drop_of_answers, "syn_drop": see_syn_drop,
    "syn_rst": see_syn_rst, "icmp": see_icmp, "quic_drop": see_quic, "first_payload_drop": see_first_payload,
    "http_page": see_page, "http_redirect": see_page, "http_drop": see_drop_of_hello, "police": see_slowing, "shape": see_slowing,
    "random_loss": see_slowing, "dns_forge": see_dns, "dns_nxdomain": see_dns, "dns_refuse": see_dns, "dns_drop": see_dns,
    "stun_drop": see_call, "media_cut": see_call, "mitm": see_mitm,
}


# ---------------------------------------------------------------- innocent flows

def innocent(story):
    label = "unreachable" if story.flow["outcome"] != "worked" and innocent_cause(story) in UNSERVED else "ok"
    expect = list(INNOCENT) + (["throttling"] if story.ruled and story.action in SLOWING else [])
    return {"label": label, "expect": expect, "mechanism": None, "expect_mechanism": [], "observable": True, "needs": None}


def innocent_cause(story):
    """What the ends, or the network's own troubles, did."""
    flow = story.flow
    act = flow.get("payload") or flow.get("act", "plain")
    act = flow["kind"] if act == "plain" and flow["kind"] in ("http", "browser", "race") else act
    if flow["kind"] == "idle_open":
        act = "preconnect"
    if flow["outcome"] == "worked":
        return act
    if story.count("outage"):
        return "outage"
    if story.count("mtu"):
        return "pmtu"
    if act not in MAY_FAIL:
        return event_at(story) or act
    return act


def event_at(story):
    """The scene's event at this flow's server, during it, that explains a failure."""
    flow, start = story.flow, story.scene.get("start")
    for event in story.scene["events"]:
        mine = event.get("server_ip") in (None, flow["server_ip"]) and event.get("client") in (None, flow["client"])
        if not mine or event["kind"] == "outage":
            continue
        if start is None or event.get("to") is None or flow["start"] - start < event["to"]:
            return event["kind"]
    return None


# ---------------------------------------------------------------- rows

def key_of(row):
    return (row.get("protocol") or protocol_of(row), row["client_ip"], row["client_port"], row["server_ip"],
            row["server_port"] if "server_port" in row else row.get("port"))


def protocol_of(flow):
    return flow.get("protocol") or ("udp" if flow["kind"] in ("quic", "dns", "stun") else "tcp")


def stories(scene, played, log):
    """One story per flow; log lines belong to a flow by its addresses and ports, and by time where ports come again."""
    by_key = collections.defaultdict(list)
    for line in log:
        if line.get("client_port") is not None:
            by_key[key_of(line)].append(line)
    same = collections.defaultdict(list)
    for flow in played:
        if flow.get("client_port"):
            same[key_of(flow)].append(flow)
    for key, flows in same.items():
        flows.sort(key=lambda flow: flow["start"])
        ends = [flow["start"] - 0.05 for flow in flows[1:]] + [float("inf")]
        begins = [float("-inf")] + ends[:-1]
        for flow, since, until in zip(flows, begins, ends):
            yield Story(scene, flow, [line for line in by_key[key] if since <= line["time"] < until])


def counts(story):
    found = collections.Counter()
    for line in story.lines:
        event = line["event"]
        if event == "dropped":
            event += "_" + line["dir"]
        if line["event"] in COUNTED:
            found[event] += 1
    return dict(found)


def forged(story):
    """The packets that the box made or rewrote: as they arrive."""
    packets = []
    for line in story.lines:
        if line["event"] not in ("injected", "rewritten") or line.get("mitm_ip"):
            continue
        packet = {"to": line.get("to")}
        packet.update({"flags": line["flags"], "seq": line["seq"]} if line.get("flags") else {"mode": story.action})
        packet.update(ttl=line.get("ttl"), ipid=line.get("ipid"), time=line.get("arrives") or line["time"])
        packets.append(packet)
    return packets


def cause_of(story):
    cause = CAUSES[story.action]
    if story.action == "rst":
        ends = [end for end in ("client", "server") if story.forged_to(end)]
        cause = cause % ("both" if len(ends) == 2 else ends[0] if ends else "client")
        cause = cause.replace("the both", "both")
        cause = "hello swallowed, " + cause if story.rule.get("swallow") else cause
    return "residual: " + cause if story.residual and not story.matched else cause


def trigger_of(story):
    if story.residual and not story.matched:
        return "server_ip"
    return {"first_payload": "protocol"}.get(story.rule["key"], story.rule["key"])


def describe(story, vantage):
    flow = story.flow
    interfered = story.had_effect() and not (story.too_little() and flow["outcome"] != "degraded")
    if interfered:
        view = see_residual if story.residual and not story.matched else VIEWS[story.action]
        told = dict(view(story, vantage), cause=cause_of(story), trigger=trigger_of(story))
        if flow.get("act") == "cancel" and not story.forged_to(vantage):  # gone before anything could be missed
            told.update(observable=False, expect=[told["label"], *INNOCENT])
    else:
        told = dict(innocent(story), cause=innocent_cause(story), trigger="none")
        if story.ruled:
            told["cause"] += ": touched too little to matter"
    capture = flow["client"] if vantage == "client" else "server"
    return {
        "file": "captures/%s/%s.pcap" % (story.scene["scene"], capture), "scenario": story.scene["scene"],
        "family": story.scene["family"], "vantage": vantage, "protocol": protocol_of(flow), "client_ip": flow["client_ip"],
        "client_port": flow["client_port"], "server_ip": flow["server_ip"], "server_port": flow.get("server_port", flow["port"]),
        "start": round(flow["start"], 6), "kind": "call" if flow["kind"] == "stun" else flow["kind"],
        "name": None if flow.get("act") == "no_sni" and flow["kind"] == "tls" else flow.get("name"),
        "service": service_of(flow.get("name")),
        "label": told["label"], "expect": told["expect"], "mechanism": told["mechanism"], "expect_mechanism": told["expect_mechanism"],
        "cause": told["cause"], "trigger": told["trigger"], "observable": told["observable"], "needs": told["needs"],
        "effect_time": min(line["time"] for line in story.ruled) if interfered else None,
        "outcome": flow["outcome"], "client_says": flow.get("says"), "events": counts(story), "injected": forged(story),
        "condition": None,
    }


def as_captured(row, story):
    """The server's capture shows the address behind a NAT, and the server that a redirected connection went to."""
    flow = story.flow
    redirected = next((line["mitm_ip"] for line in story.lines if line.get("mitm_ip")), None)
    return dict(row, client_ip=flow.get("nat_ip") or row["client_ip"], client_port=flow.get("nat_port") or row["client_port"],
                server_ip=redirected or row["server_ip"])


def rows(scene, played, log):
    found = []
    for story in stories(scene, played, log):
        found.append(describe(story, "client"))
        found.append(as_captured(describe(story, "server"), story))
    return found


# ---------------------------------------------------------------- what does not fit

def surprise(story, cut_short=()):
    """What is wrong with a flow, or None.

    `cut_short` are flows of which another connection was touched: a browser gives up all of a page.
    """
    flow, what = story.flow, "%s %s %s" % (story.flow["kind"], story.flow.get("act"), story.flow.get("name"))
    if flow["outcome"] not in ("worked", "degraded", "failed"):
        return "%s: outcome %r" % (what, flow["outcome"])
    beside = next((c for c in story.scene["clients"] if c["id"] == flow["client"] and not c["behind_box"]), None)
    if beside and (story.ruled or story.matched):
        return "%s: beside the box, and yet touched" % what
    if story.ruled and not story.had_effect():
        return "%s: touched by a rule that never matched" % what
    innocent_failure = not story.ruled and flow["outcome"] == "failed" and innocent_cause(story) not in MAY_FAIL
    if innocent_failure and story.count("lost") < 4 and event_at(story) is None and flow.get("id") not in cut_short:
        return "%s: failed (%s), and nothing explains it" % (what, flow.get("says"))
    return None


def surprises(scene, played, log):
    """Flows that fared otherwise than planned, in plain words; what was planned and not played is among them."""
    every = list(stories(scene, played, log))
    cut_short = {story.flow.get("id") for story in every if story.ruled and story.flow["kind"] == "browser"}
    found = ["flow %s: %s" % (story.flow.get("id"), told) for story in every for told in [surprise(story, cut_short)] if told]
    missing = {flow["id"] for flow in scene["flows"]} - {flow.get("id") for flow in played}
    if missing:
        found.append("flows that were never played: %s" % sorted(missing))
    return found
