#!/usr/bin/env python3
"""Holds `tamperscope compare CLIENT SERVER` against the box's own log, on every pair of captures of a made lab.

    scripts/lab/check.py OUT [--exe BINARY] [--only SCENE,...] [--list]

In: OUT as `make` leaves it. Out: markdown tables on standard output; with `--list` every disagreement, with what is known of it.
Exit code 1 if a disagreement is left that nothing excuses (check_fates.FAULTS). Needs the Python module pyarrow, for the tables.
"""
import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import check_fates  # noqa: E402
import check_flows  # noqa: E402
from check_fates import FAULTS  # noqa: E402
from lines import read_lines  # noqa: E402

EXE = HERE.parents[1] / "target" / "release" / "tamperscope"
Pair = collections.namedtuple("Pair", "scene client findings flows")


def arguments():
    parser = argparse.ArgumentParser(description="compare against the box's log")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--exe", type=pathlib.Path, default=EXE)
    parser.add_argument("--only", default="", help="scenes or families, separated by commas")
    parser.add_argument("--list", action="store_true", help="print each disagreement")
    return parser.parse_args()


# ---------------------------------------------------------------- one pair of captures

def compare(exe, client, server, addresses):
    """The tables `flows` and `fates` of a pair, as lists of dicts, and the captures that are said to have holes.

    The server's capture holds everything of the scene's servers (`addresses`), and `compare` is told so.
    """
    import pyarrow.parquet
    with tempfile.TemporaryDirectory(prefix="lab-check-") as folder:
        out = pathlib.Path(folder) / "out"
        argv = [str(exe), "compare", str(client), str(server), "-o", str(out), "--progress", "never"]
        argv += [word for address in sorted(addresses) for word in ("--server-net", address)]
        ended = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if ended.returncode:
            raise RuntimeError("%s: %s" % (" ".join(argv[1:4]), ended.stderr.strip()[-300:]))
        lossy = {end for end, share in json.loads((out / "run.json").read_text())["lost_by_captures"].items() if share}
        return [pyarrow.parquet.read_table(str(out / (name + ".parquet"))).to_pylist() for name in ("flows", "fates")] + [lossy]


def fates_of(table, client):
    """{(end, packet number): (fate, number at the other end)}."""
    return {("client" if row["capture"] == str(client) else "server", row["packet"]): (row["fate"], row["peer_packet"])
            for row in table}


def check_pair(out, name, client_id, exe):
    logs, captures = out / "logs", out / "captures" / name
    scene = json.loads((logs / (name + ".scene.json")).read_text())
    log, played = read_lines(logs / (name + ".jsonl")), read_lines(logs / (name + ".played.jsonl"))
    truth = [row for row in read_lines(logs / (name + ".truth.jsonl")) if row["file"].endswith("/%s.pcap" % client_id)]
    client, server = captures / (client_id + ".pcap"), captures / "server.pcap"
    servers, inner = {one["ip"] for one in scene["servers"]}, check_fates.inner_keys(played, log)
    flows, fates, lossy = compare(exe, client, server, servers)
    packets = [packet for path, end in ((client, "client"), (server, "server"))
               for packet in check_fates.seen_packets(path, end, servers, inner)]
    findings = check_fates.judge(scene, log, played, packets, fates_of(fates, client), client_id, lossy)
    return Pair(name, client_id, findings, check_flows.judge(truth, flows, findings, log))


def pairs(out, only):
    """(scene, client) of every capture of a client in a scene that was played to its end."""
    for folder in sorted((out / "captures").iterdir()):
        name = folder.name
        wanted = not only or name in only or name.rsplit("-", 1)[0] in only
        if wanted and (out / "logs" / (name + ".truth.jsonl")).exists():
            for capture in sorted(folder.glob("client*.pcap")):
                yield name, capture.stem


# ---------------------------------------------------------------- report

def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def pair_table(done):
    rows = [pair_row("%s %s" % (pair.scene, pair.client), [pair]) for pair in done]
    head = ["pair", "events", "agree", "explained", "faults", "accusations", "forged flows proven", "untouched flows accused",
            "false verdicts"]
    return table(head, rows + [pair_row("**all**", done)])


def pair_row(name, some):
    findings = [finding for pair in some for finding in pair.findings]
    asked = [finding for finding in findings if finding.row]
    flows = [flow for pair in some for flow in pair.flows]
    forged, untouched = [flow for flow in flows if flow.forged], [flow for flow in flows if flow.untouched]
    return [name, len(asked), sum(not f.why for f in asked), sum(bool(f.why) and f.why not in FAULTS for f in asked),
            sum(f.why in FAULTS for f in asked), len(findings) - len(asked),
            "%d of %d" % (sum(flow.proven for flow in forged), len(forged)),
            "%d of %d" % (sum(flow.accused for flow in untouched), len(untouched)), sum(flow.false_verdict for flow in flows)]


def event_table(done):
    counts = collections.Counter((f.event, f.end, f.wanted, f.found, f.why or "agrees") for pair in done for f in pair.findings)
    rows = [(*key, count) for key, count in sorted(counts.items())]
    return table(["event", "capture", "the log asks for", "compare says", "why", "packets"], rows)


def verdict_table(done):
    counts = collections.Counter((flow.label, flow.verdict) for pair in done for flow in pair.flows)
    labels, verdicts = sorted({key[0] for key in counts}), sorted({key[1] for key in counts})
    rows = [[label] + [counts[label, verdict] or "" for verdict in verdicts] for label in labels]
    return table(["label \\ verdict"] + verdicts, rows)


def why_table(done):
    counts = collections.Counter((flow.label, flow.verdict, flow.why) for pair in done for flow in pair.flows if flow.why)
    return table(["label", "verdict", "why", "flows"], [(*key, count) for key, count in sorted(counts.items())])


def listed(done):
    """One line for each packet and flow on which log and `compare` differ."""
    for pair in done:
        for f in pair.findings:
            if f.why:
                packet = "packet %d of %s at %.6f" % (f.packet.number, f.end, f.packet.time) if f.packet else "no packet of %s" % f.end
                detail = f.row or f.packet
                fields = (detail["dir"], detail["flags"], detail["seq"], detail["len"], detail["ipid"]) if f.row else (
                    f.packet.dir, f.packet.flags, f.packet.seq, f.packet.len, f.packet.ipid)
                yield "%s %s %s:%s -> %s: %s %s: log %s (%s), compare %s: %s" % (
                    pair.scene, pair.client, f.key[1], f.key[2], f.key[3], packet,
                    "%s %s seq %s len %s ipid %s" % fields, f.event, f.wanted, f.found, f.why)
        for flow in pair.flows:
            if flow.why:
                yield "%s %s %s:%s -> %s: flow %s (%s), compare %s %s: %s" % (
                    pair.scene, pair.client, flow.key[1], flow.key[2], flow.key[3], flow.label, flow.cause, flow.verdict,
                    flow.mechanism or "", flow.why)


def faults(done):
    return sum(one.why in FAULTS for pair in done for one in pair.findings + pair.flows)


def main():
    told = arguments()
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        sys.exit("check: missing: Python module pyarrow (python3 -m pip install pyarrow)")
    if not told.exe.exists():
        sys.exit("check: no binary %s (cargo build --release, or --exe)" % told.exe)
    only = {word for word in told.only.split(",") if word}
    done = [check_pair(told.out, name, client, told.exe) for name, client in pairs(told.out, only)]
    if not done:
        sys.exit("check: no scene with captures and logs in %s" % told.out)
    print("## Pairs\n\n%s\n## Events\n\n%s\n## Verdicts\n\n%s\n## Flows told otherwise\n\n%s" % (
        pair_table(done), event_table(done), verdict_table(done), why_table(done)))
    if told.list:
        print("## Each disagreement\n\n" + "\n".join("- " + line for line in listed(done)))
    left = faults(done)
    print("%d pairs, %d disagreements that nothing excuses" % (len(done), left))
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()
