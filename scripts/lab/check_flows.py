"""The verdicts of `tamperscope compare` against the labels of the lab, flow by flow.

In: `judge(truth, flows, findings, log)`: rows of truth of one client's capture, the table `flows` of `compare`, the findings of
check_fates.py and the box's log. Out: one `Flow` for each row of truth; `why` is "" where verdict and label agree.
"""
import collections

from check_fates import FAULTS, REDIRECTED, UNEXPLAINED, key_of

INTERFERENCE = {"rst_injection", "sni_drop", "quic_drop", "ip_block", "throttling", "dns_manipulation", "call_block", "http_block",
                "tls_mitm", "protocol_block"}
SAYS_NOTHING_OF = {"throttling", "tls_mitm"}  # docs/compare.md: no verdict for slowing, nor for a foreign certificate
# docs/compare.md: a drop is called one where three packets in a row vanished over a second or more.
DROPS_IN_A_ROW, DROPS_SPAN_S = 3, 1.0

Flow = collections.namedtuple("Flow", "key label cause verdict mechanism why forged proven untouched accused false_verdict")


def judge(truth, flows, findings, log):
    by_key = collections.defaultdict(list)
    for row in flows:
        by_key[key_of(row)].append(row)
    found_of, log_of = collections.defaultdict(list), collections.defaultdict(list)
    for finding in findings:
        found_of[finding.key].append(finding)
    for row in log:
        if row.get("client_port") is not None:
            log_of[key_of(row)].append(row)
    return [judge_flow(row, by_key[key_of(row)], found_of[key_of(row)], log_of[key_of(row)]) for row in truth]


def judge_flow(truth, rows, findings, log):
    row = min(rows, key=lambda row: abs(row["start"].timestamp() - truth["start"])) if rows else None
    verdict = row["verdict"] if row else "absent"
    accuses = verdict in INTERFERENCE
    fits = verdict in truth["expect"] or verdict == truth["label"]
    forged_found = [f for f in findings if f.found in ("injected", "rewritten")]
    why = "" if fits else why_false(truth, log, findings) if accuses else why_missed(truth, verdict, findings)
    return Flow(key_of(truth), truth["label"], truth["cause"], verdict, row["mechanism"] if row else None, why,
                forged=bool(truth["injected"]), proven=any(f.row and not f.why for f in forged_found),
                untouched=not truth["events"], accused=any(f.row is None for f in forged_found), false_verdict=accuses and not fits)


def why_false(truth, log, findings):
    """What an accusation that the label does not bear out may have come from."""
    if any(finding.row is None and finding.why in FAULTS for finding in findings):
        return UNEXPLAINED
    if any(row["event"] == "own_reset" for row in log):
        return "load balancer between the capture points"
    if any(row.get("mitm_ip") for row in log):
        return REDIRECTED
    if truth["label"] in INTERFERENCE:
        return "another word for an interference"
    if any(row.get("rule") and row["event"] in ("dropped", "delayed", "injected", "rewritten", "icmp") for row in log):
        return "touched too little to matter for the user, and yet seen"
    events = {row["event"] for row in log}
    if "vanished" in events:
        return "client vanished: the box drops what it still sends"
    return "outage" if "outage" in events else "packets lost on the way" if events & {"lost", "mtu"} else UNEXPLAINED


def why_missed(truth, verdict, findings):
    """Why an interference is not named (only those flows come here whose label accepts no harmless word)."""
    if truth["label"] not in INTERFERENCE:
        return "no flow in compare's table" if verdict == "absent" else UNEXPLAINED
    if truth["label"] in SAYS_NOTHING_OF:
        return "compare has no such verdict"
    if any(f.event == "icmp" for f in findings) or "icmp" in truth["events"]:
        return "compare has no verdict of ICMP errors"
    explained = {f.why for f in findings if f.why and f.why not in FAULTS}
    if explained:
        return "packets: " + sorted(explained)[0]
    dropped = sorted(f.packet.time for f in findings if f.wanted == "dropped" and f.packet)
    if not truth["injected"] and (len(dropped) < DROPS_IN_A_ROW or dropped[-1] - dropped[0] < DROPS_SPAN_S):
        return "fewer than three packets dropped, or within a second"
    if not truth["injected"]:
        return "drops are seen, but no other flow of the server passed at the time, or not in a row"
    return UNEXPLAINED
