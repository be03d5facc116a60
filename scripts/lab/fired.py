#!/usr/bin/env python3
"""How often each item of evidence fires on interfered and on benign flows, and what simple rules would reach instead.

    scripts/lab/fired.py --exe BINARY [--lab DIR]... [--corpus DIR] [--jobs N] [--list ITEM|strong]...

In: made labs (DIR/truth.jsonl and the captures it names), a folder of captures without known interference. Out: markdown tables on
standard output: items of evidence with likelihood ratios, whole-flow rules for resets, the vantage of each capture; with `--list` the
flows on which an item fired (`strong`: the corpus' flows with an item that weighs 2 or more). Each capture is a run of its own, kept
in the system's temporary folder by the hashes of binary and capture. Exit code 1 if a capture of a lab could not be analysed.
Needs the Python module pyarrow, for the tables.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from check import table  # noqa: E402
from check_flows import INTERFERENCE  # noqa: E402
from lines import read_lines  # noqa: E402

FLOW_COLUMNS = ("flow_id", "first_packet", "start", "protocol", "client_ip", "client_port", "server_ip", "server_port", "handshake",
                "vantage", "verdict", "confidence", "signature_c2s", "signature_s2c", "rst_ttl_delta")
FINDING_COLUMNS = ("flow_id", "verdict", "items", "item_scores", "evidence")
STRONG = 2.0  # natural log of a likelihood ratio
TIMEOUT = 600  # seconds for one capture
FINISHED = (0, 3)  # exit codes of a whole run; 3: some input was damaged
SIGNATURE = {"client": "signature_s2c", "server": "signature_c2s"}  # the far side's packets: what came to this vantage

# truth: row of truth.jsonl, or None where nothing is known of the flow; flow: row of `flows`, or None where the capture has no such
# flow; findings: its rows of `findings`.
Case = collections.namedtuple("Case", "file truth flow findings")
# cases: one for each row of truth; flows: one for each flow of the captures; files: {file: (vantage by truth, rows of `flows`)}
Lab = collections.namedtuple("Lab", "name cases flows files failed")
# name; labels that it is to find; columns that it reads; (truth row, flow row) -> whether it names the flow
Rule = collections.namedtuple("Rule", "name labels columns names")


def arguments():
    parser = argparse.ArgumentParser(description="evidence on interfered and benign flows")
    parser.add_argument("--exe", type=pathlib.Path, required=True)
    parser.add_argument("--lab", type=pathlib.Path, action="append", default=[], help="may be repeated")
    parser.add_argument("--corpus", type=pathlib.Path, help="captures without known interference")
    parser.add_argument("--jobs", type=int, default=2, help="captures at a time")
    parser.add_argument("--list", action="append", default=[], metavar="ITEM",
                        help="flows on which it fired; strong: corpus flows with an item that weighs %g or more" % STRONG)
    told = parser.parse_args()
    if not told.lab and not told.corpus:
        parser.error("neither --lab nor --corpus")
    return told


# ---------------------------------------------------------------- runs of the binary

class Runs:
    """Runs of one binary, kept by hash. The binary is copied first, so that a build meanwhile does not mix two of them."""

    def __init__(self, exe):
        mark = hashlib.sha256(exe.read_bytes()).hexdigest()[:12]
        self.folder = pathlib.Path(tempfile.gettempdir()) / "tamperscope-fired" / mark
        self.folder.mkdir(parents=True, exist_ok=True)
        self.exe = self.folder / "exe"
        if not self.exe.exists():
            part = self.folder / ("exe.%d" % os.getpid())
            shutil.copy2(exe, part)
            os.replace(part, self.exe)
        self.kept = {}

    def all(self, paths, jobs):
        """Analyses captures, each content once; afterwards `tables` answers at once."""
        by_content = {}
        for path in paths:
            if path.is_file():
                self.kept[path] = self.folder / hashlib.sha256(path.read_bytes()).hexdigest()[:20]
                by_content.setdefault(self.kept[path], path)
        with concurrent.futures.ThreadPoolExecutor(max(1, jobs)) as pool:
            list(pool.map(lambda kept: self.run(by_content[kept], kept), by_content))

    def run(self, path, kept):
        if (kept / "done").exists():
            return
        work = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=self.folder))
        try:
            argv = [str(self.exe), "analyze", str(path), "-o", str(work / "o"), "--progress", "never", "--threads", "1"]
            ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=TIMEOUT)
            if ended.returncode >= 0:  # a run that was killed says nothing of the capture
                (work / "done").write_text("%d\n%s" % (ended.returncode, ended.stderr[-2000:]))
                shutil.rmtree(kept, ignore_errors=True)
                os.replace(work, kept)
        except subprocess.TimeoutExpired:
            pass
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def tables(self, path):
        """(rows of `flows`, {flow_id: rows of `findings`}) of a capture, or None where it has no result."""
        kept = self.kept.get(path)
        done = kept and kept / "done"
        if not done or not done.exists() or int(done.read_text().split("\n")[0]) not in FINISHED:
            return None
        findings = collections.defaultdict(list)
        for row in read_table(kept / "o" / "findings.parquet", FINDING_COLUMNS):
            findings[row["flow_id"]].append(row)
        return read_table(kept / "o" / "flows.parquet", FLOW_COLUMNS), findings


def read_table(path, columns):
    """Rows as dicts, with those of the columns that the table has."""
    import pyarrow.parquet
    if not path.exists():
        return []
    there = set(pyarrow.parquet.read_schema(str(path)).names)
    return pyarrow.parquet.read_table(str(path), columns=[name for name in columns if name in there]).to_pylist()


def read_lab(runs, folder, jobs):
    truth = read_lines(folder / "truth.jsonl")
    by_file = collections.defaultdict(list)
    for row in truth:
        by_file[row["file"]].append(row)
    runs.all([folder / name for name in by_file], jobs)
    cases, flows, files, failed = [], [], {}, []
    for name, rows in sorted(by_file.items()):
        tables = runs.tables(folder / name)
        if tables is None:
            failed.append(name)
            continue
        joined = join(rows, tables[0])
        known = {flow["flow_id"]: row for row, flow in joined if flow}
        cases += [Case(name, row, flow, tables[1].get(flow["flow_id"], []) if flow else []) for row, flow in joined]
        flows += [Case(name, known.get(flow["flow_id"]), flow, tables[1].get(flow["flow_id"], [])) for flow in tables[0]]
        files[name] = (vantage_word(rows[0]), tables[0])
    return Lab(folder.resolve().name, cases, flows, files, failed)


def read_corpus(runs, folder, jobs):
    named = [row["file"] for row in read_lines(folder / "truth.jsonl")]
    names = named or [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
    runs.all([folder / name for name in names], jobs)
    flows, failed = [], []
    for name in names:
        tables = runs.tables(folder / name)
        if tables is None:
            failed.append(name)
            continue
        flows += [Case(name, None, flow, tables[1].get(flow["flow_id"], [])) for flow in tables[0]]
    return Lab(folder.resolve().name, [], flows, {}, failed)


# ---------------------------------------------------------------- joining

def pair_of(row):
    return (row["protocol"], *sorted([(row["client_ip"], row["client_port"]), (row["server_ip"], row["server_port"])]))


def join(truth, flows):
    """[(truth row, flow row or None)] of one capture: the flow between the same addresses, of several the one with the nearest start."""
    by_pair = collections.defaultdict(list)
    for flow in flows:
        by_pair[pair_of(flow)].append(flow)
    joined = []
    for row in truth:
        found = by_pair.get(pair_of(row), [])
        if len(found) > 1 and row.get("start"):
            found = [min(found, key=lambda flow: abs(flow["start"].timestamp() - row["start"]))]
        joined.append((row, found[0] if found else None))
    return joined


def vantage_word(row):
    """`client` or `server` of a truth row: client2 is a client."""
    return row["vantage"].rstrip("0123456789")


def interfered(row):
    """Whether a truth row counts as interfered: something of it can be seen from here."""
    return row["label"] in INTERFERENCE and bool(row["observable"])


def benign(row):
    return row["label"] not in INTERFERENCE


# ---------------------------------------------------------------- items of evidence

def fired(case):
    """{(item, verdict of its finding, protocol)} of a flow, each once."""
    if not case.flow:
        return set()
    return {(item, finding["verdict"], case.flow["protocol"]) for finding in case.findings for item in finding["items"]}


def totals(cases):
    """Counts of truth rows by (protocol, label), (protocol, "interfered") and (protocol, "benign")."""
    counts = collections.Counter()
    for case in cases:
        counts.update((case.truth["protocol"], group) for group in groups(case.truth))
    return counts


def groups(row):
    """What a truth row counts as: its label and `interfered`, or `benign`, or nothing where its interference cannot be seen."""
    if benign(row):
        return ["benign"]
    return [row["label"], "interfered"] if interfered(row) else []


def firings(cases):
    """{(item, verdict, protocol): counts by group} over truth rows."""
    counts = collections.defaultdict(collections.Counter)
    for case in cases:
        for key in fired(case):
            counts[key].update(groups(case.truth))
    return counts


def ratio(fired_interfered, all_interfered, fired_benign, all_benign):
    """Likelihood ratio with Jeffreys' half added to the counts; None where one side has no flows."""
    if not all_interfered or not all_benign:
        return None
    return ((fired_interfered + 0.5) / (all_interfered + 1)) / ((fired_benign + 0.5) / (all_benign + 1))


def own_group(verdict):
    """The flows that an item of this verdict is held against: those with that label, or all interfered ones."""
    return verdict if verdict in INTERFERENCE else "interfered"


def item_cells(key, counts, whole):
    """own label, all interfered, benign, likelihood ratio: cells of one item over some truth rows."""
    _, verdict, protocol = key
    own = own_group(verdict)
    shown = [share(counts[group], whole[protocol, group]) for group in (own, "interfered", "benign")]
    return shown + [number(ratio(counts[own], whole[protocol, own], counts["benign"], whole[protocol, "benign"]))]


def item_table(labs, corpus):
    """One row for each (item, verdict, protocol): per lab, of all labs, of the corpus."""
    parts = [(lab.name, firings(lab.cases), totals(lab.cases)) for lab in labs]
    if len(labs) > 1:
        cases = [case for lab in labs for case in lab.cases]
        parts.append(("all labs", firings(cases), totals(cases)))
    apart = collections.Counter(key for case in corpus.flows for key in fired(case)) if corpus else {}
    flows = collections.Counter(case.flow["protocol"] for case in corpus.flows) if corpus else {}
    heads = ["label = verdict", "all interfered", "benign", "LR"]
    head = ["item", "verdict", "protocol"] + ["%s: %s" % (name, word) for name, _, _ in parts for word in heads]
    keys = sorted({key for _, counts, _ in parts for key in counts} | set(apart), key=lambda key: (key[1], key[0], key[2]))
    rows = [list(key) + [cell for _, counts, whole in parts for cell in item_cells(key, counts.get(key, collections.Counter()), whole)]
            + ([share(apart[key], flows[key[2]])] if corpus else []) for key in keys]
    return table(head + (["corpus"] if corpus else []), rows)


# ---------------------------------------------------------------- whole-flow rules

def signature(row, flow):
    return flow[SIGNATURE[vantage_word(row)]] if vantage_word(row) in SIGNATURE else None


def ttl_apart(least):
    return lambda row, flow: flow["rst_ttl_delta"] is not None and abs(flow["rst_ttl_delta"]) >= least


RESET, EITHER = ("rst_injection",), ("rst_injection", "sni_drop")
SIGNATURES = ("signature_c2s", "signature_s2c")
RULES = [
    Rule("verdict rst_injection", RESET, ("verdict",), lambda row, flow: flow["verdict"] in RESET),
    Rule("signature of the far side that names a reset", RESET, SIGNATURES, lambda row, flow: "RST" in (signature(row, flow) or "")),
    Rule("TTL of the reset differs by 2 or more", RESET, ("rst_ttl_delta",), ttl_apart(2)),
    Rule("TTL of the reset differs by 1 or more", RESET, ("rst_ttl_delta",), ttl_apart(1)),
    Rule("verdict rst_injection or sni_drop", EITHER, ("verdict",), lambda row, flow: flow["verdict"] in EITHER),
    Rule("any signature of the far side", EITHER, SIGNATURES, lambda row, flow: signature(row, flow) is not None),
]


def judge_rule(rule, cases):
    """Counts of TCP truth rows: asked (observable, of the labels), hit (asked, named), named, true (named, of the labels), benign, alarm.

    None where the binary has no such column.
    """
    counts = collections.Counter()
    for case in cases:
        row, flow = case.truth, case.flow
        if row["protocol"] != "tcp":
            continue
        if flow and any(column not in flow for column in rule.columns):
            return None
        named, meant = bool(flow and rule.names(row, flow)), row["label"] in rule.labels
        counts["asked"] += meant and bool(row["observable"])
        counts["hit"] += meant and bool(row["observable"]) and named
        counts["named"] += named
        counts["true"] += named and meant
        counts["benign"] += benign(row)
        counts["alarm"] += benign(row) and named
    return counts


def rule_table(labs):
    rows = []
    for rule in RULES:
        for name, cases in [(lab.name, lab.cases) for lab in labs] + (
                [("all labs", [case for lab in labs for case in lab.cases])] if len(labs) > 1 else []):
            counts = judge_rule(rule, cases)
            shown = ["no such column", "", ""] if counts is None else [
                share(counts["hit"], counts["asked"], True), share(counts["true"], counts["named"], True),
                share(counts["alarm"], counts["benign"], True)]
            rows.append([rule.name, " + ".join(rule.labels), name] + shown)
    return table(["rule", "labels", "lab", "recall", "precision", "false alarms"], rows)


# ---------------------------------------------------------------- vantage

def vantage_of(flows):
    """The word that most TCP flows with a handshake have; None where there is no such flow."""
    counts = collections.Counter(flow.get("vantage") for flow in flows if flow["protocol"] == "tcp" and flow["handshake"])
    return max(sorted(counts, key=str), key=counts.get) if counts else None


def judge_vantage(wanted, found):
    if found is None:
        return "no handshake"
    return "right" if found == wanted else "unknown" if found == "unknown" else "wrong"


def vantage_table(labs):
    words, rows, wrong = ["right", "unknown", "wrong", "no handshake"], [], []
    for lab in labs:
        told = {name: (wanted, vantage_of(flows)) for name, (wanted, flows) in lab.files.items()}
        counts = collections.Counter(judge_vantage(*pair) for pair in told.values())
        rows.append([lab.name, len(told)] + [counts[word] for word in words])
        wrong += ["- %s/%s: %s, said %s" % (lab.name, name, *pair) for name, pair in told.items() if judge_vantage(*pair) == "wrong"]
    return "\n".join([table(["lab", "captures"] + words, rows)] + wrong)


# ---------------------------------------------------------------- flows to be read by eye

def matching(case, item, least=None):
    """(evidence, score) of each time that an item fired on a flow; with `least` of every item that weighs so much."""
    for finding in case.findings:
        items, scores, said = finding["items"], finding["item_scores"], finding["evidence"]
        if isinstance(said, str) or said is None or len(said) != len(items):
            said = [said if isinstance(said, str) else "; ".join(said or [])] * len(items)
        for word, score, text in zip(items, scores, said):
            if (score >= least) if least is not None else word == item:
                yield word, score, text


def listed(place, cases, item, least=None):
    """One line for each flow and firing: file, packet, verdict, confidence, label, cause, evidence."""
    for case in cases:
        for word, score, text in matching(case, item, least):
            flow, row = case.flow, case.truth or {}
            yield "- %s/%s packet %s: %s %.2f, label %s%s (%s): %s %.1f: %s" % (
                place, case.file, flow["first_packet"], flow["verdict"], flow["confidence"] or 0, row.get("label", "-"),
                "" if row.get("observable", True) else ", not observable", row.get("cause") or "-", word, score, text)


def lists(words, labs, corpus):
    for word in words:
        print("## %s\n" % ("Corpus flows with strong items" if word == "strong" else "Flows on which %s fired" % word))
        places = [] if word == "strong" else labs
        least = STRONG if word == "strong" else None
        lines = [line for place in places + ([corpus] if corpus else []) for line in listed(place.name, place.flows, word, least)]
        print("\n".join(lines or ["none"]) + "\n")


# ---------------------------------------------------------------- report

def share(part, whole, percent=False):
    text = "%d/%d" % (part, whole)
    return text + " = %.2f %%" % (100 * part / whole) if percent and whole else text


def number(value):
    return "-" if value is None else "%.3g" % value


def main():
    told = arguments()
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        sys.exit("fired: missing: Python module pyarrow (python3 -m pip install pyarrow)")
    if not told.exe.is_file():
        sys.exit("fired: no binary %s" % told.exe)
    for folder in told.lab:
        if not (folder / "truth.jsonl").exists():
            sys.exit("fired: no truth.jsonl in %s (not made to its end?)" % folder)
    if told.corpus and not told.corpus.is_dir():
        sys.exit("fired: no folder %s" % told.corpus)
    runs = Runs(told.exe)
    labs = [read_lab(runs, folder, told.jobs) for folder in told.lab]
    corpus = read_corpus(runs, told.corpus, told.jobs) if told.corpus else None
    print("## Items of evidence\n\n" + item_table(labs, corpus))
    if labs:
        print("## Rules\n\n%s\n## Vantage\n\n%s\n" % (rule_table(labs), vantage_table(labs)))
    lists(told.list, labs, corpus)
    for place in labs + ([corpus] if corpus else []):
        absent = sum(case.flow is None for case in place.cases)
        print("%s: %d rows of truth (%d without a flow), %d flows, %d captures not analysed%s" % (
            place.name, len(place.cases), absent, len(place.flows), len(place.failed),
            ": " + ", ".join(place.failed[:8]) if place.failed else ""))
    sys.exit(1 if any(lab.failed for lab in labs) else 0)


if __name__ == "__main__":
    main()
