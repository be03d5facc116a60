#!/usr/bin/env python3
"""What a tool says of every flow of a lab, in the CSV that `score.py` reads.

    scripts/lab/verdicts.py tamperscope LAB --exe BINARY > tamperscope.csv
    scripts/lab/verdicts.py signatures|ttl LAB --exe BINARY > rule.csv
    scripts/lab/verdicts.py expert LAB > rule.csv

In: a made lab (LAB/truth.jsonl and the captures it names). Out: one line for each flow of which the tool says anything.
  tamperscope  verdict, mechanism, trigger, outcome and confidence of the table `flows`.
  signatures   the signatures of Sundara Raman et al., SIGCOMM 2023, alone, of the side that the capture is not at (of both where that is not
               known): one that ends in a reset is `rst_injection`, one that ends in silence `interference`.
  ttl          TTL alone: a reset whose TTL lies 2 or more off its sender's other packets is `rst_injection`.
  expert       tshark's own flags alone: a connection with a reset that its expert marks (tcp.connection.rst), or in which one end repeats
               itself three times or more (tcp.analysis.retransmission) and hears nothing from the other after the first time, is `interference`.
The rules read the tables of BINARY, but no verdict of it. Captures are analysed two at a time, each as a run of its own, and kept as by fired.py.
Exit code 1 if a capture could not be read. Needs the Python module pyarrow; `expert` needs tshark instead.
"""
import argparse
import collections
import concurrent.futures
import csv
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from fired import FINISHED, SIGNATURE, Runs, read_table  # noqa: E402
from lines import read_lines  # noqa: E402

ENDS = ("protocol", "client_ip", "client_port", "server_ip", "server_port")
WORDS = ("verdict", "mechanism", "trigger", "outcome", "confidence")
SIGNATURES = ("signature_c2s", "signature_s2c")
HOPS = 2  # that a TTL lies off
REPEATS = 3
JOBS = 2  # captures at a time
FIELDS = ("tcp.stream", "frame.time_epoch", "ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport",
          "tcp.connection.rst", "tcp.analysis.retransmission")

# A TCP packet as tshark sees it; ends: (address, port) of its sender and of its receiver.
Seen = collections.namedtuple("Seen", "stream time ends reset repeated")


def arguments():
    parser = argparse.ArgumentParser(description="what a tool says of every flow of a lab")
    parser.add_argument("tool", choices=sorted(TOOLS) + ["expert"])
    parser.add_argument("lab", type=pathlib.Path)
    parser.add_argument("--exe", type=pathlib.Path)
    told = parser.parse_args()
    if told.tool != "expert" and (told.exe is None or not told.exe.is_file()):
        parser.error("%s needs --exe BINARY" % told.tool)
    return told


# ---------------------------------------------------------------- from the tables of tamperscope

def analyzed(runs, lab, names):
    """{file: folder with its tables, or None where it could not be analysed}"""
    runs.all([lab / name for name in names], JOBS)
    return {name: tables_of(runs.kept.get(lab / name)) for name in names}


def tables_of(kept):
    done = kept and kept / "done"
    finished = done and done.exists() and int(done.read_text().split("\n")[0]) in FINISHED
    return kept / "o" if finished else None


def line(flow, **words):
    return dict({name: flow[name] for name in ENDS}, start=flow["start"].timestamp(), **words)


def own_words(folder):
    """What tamperscope says itself."""
    for flow in read_table(folder / "flows.parquet", ENDS + WORDS + ("start",)):
        yield line(flow, **{name: flow.get(name) for name in WORDS})


def by_signature(folder):
    for flow in read_table(folder / "flows.parquet", ENDS + SIGNATURES + ("start", "vantage")):
        verdict = signature_verdict(flow)
        if verdict:
            yield line(flow, verdict=verdict)


def signature_verdict(flow):
    asked = (SIGNATURE[flow["vantage"]],) if flow["vantage"] in SIGNATURE else SIGNATURES
    found = [flow[name] for name in asked if flow[name]]
    return "rst_injection" if any("RST" in one for one in found) else "interference" if found else None


def by_ttl(folder):
    resets = read_table(folder / "resets.parquet", ("flow_id", "ttl_delta"))
    accused = {reset["flow_id"] for reset in resets if abs(reset["ttl_delta"] or 0) >= HOPS}
    for flow in read_table(folder / "flows.parquet", ENDS + ("start", "flow_id")):
        if flow["flow_id"] in accused:
            yield line(flow, verdict="rst_injection")


TOOLS = {"tamperscope": own_words, "signatures": by_signature, "ttl": by_ttl}


# ---------------------------------------------------------------- from tshark

def by_expert(path):
    """Lines of one capture, or None where tshark cannot read it."""
    argv = ["tshark", "-n", "-r", str(path), "-Y", "tcp", "-T", "fields", "-E", "occurrence=l"] + [word for field in FIELDS for word in ("-e", field)]
    ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if ended.returncode and not ended.stdout:
        return None
    streams = collections.defaultdict(list)
    for text in ended.stdout.splitlines():
        packet = seen(text.split("\t"))
        streams[packet.stream].append(packet)
    return [expert_line(packets) for packets in streams.values() if expert_accuses(packets)]


def seen(fields):
    stream, time, ip4, ip6, port, ip4_to, ip6_to, port_to, reset, repeated = fields
    return Seen(stream, float(time), ((ip4 or ip6, int(port)), (ip4_to or ip6_to, int(port_to))), bool(reset), bool(repeated))


def expert_accuses(packets):
    return any(packet.reset for packet in packets) or any(unheard(packets, end) for end in packets[0].ends)


def unheard(packets, end):
    """Whether this end repeats itself again and again, and nothing of the other comes after the first time."""
    repeats = [place for place, packet in enumerate(packets) if packet.repeated and packet.ends[0] == end]
    return len(repeats) >= REPEATS and all(packet.ends[0] == end for packet in packets[repeats[0]:])


def expert_line(packets):
    (client_ip, client_port), (server_ip, server_port) = packets[0].ends
    return {"protocol": "tcp", "client_ip": client_ip, "client_port": client_port, "server_ip": server_ip, "server_port": server_port,
            "start": packets[0].time, "verdict": "interference"}


# ---------------------------------------------------------------- all captures

def verdicts(tool, lab, names, exe):
    """{file: lines of the CSV, or None where it could not be read}"""
    if tool == "expert":
        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            return dict(zip(names, pool.map(by_expert, [lab / name for name in names])))
    folders = analyzed(Runs(exe), lab, names)
    return {name: folder and list(TOOLS[tool](folder)) for name, folder in folders.items()}


def main():
    told = arguments()
    names = sorted({row["file"] for row in read_lines(told.lab / "truth.jsonl")})
    if not names:
        sys.exit("verdicts: no truth.jsonl in %s (not made to its end?)" % told.lab)
    said = verdicts(told.tool, told.lab, names, told.exe)
    target = csv.DictWriter(sys.stdout, ("file",) + ENDS + ("start",) + WORDS, lineterminator="\n")
    target.writeheader()
    for name, lines in said.items():
        target.writerows(dict(one, file=name) for one in lines or [])
    failed = [name for name, lines in said.items() if lines is None]
    if failed:
        sys.exit("verdicts: %d captures could not be read: %s" % (len(failed), ", ".join(failed[:8])))


if __name__ == "__main__":
    main()
