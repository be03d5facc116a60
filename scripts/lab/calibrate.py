#!/usr/bin/env python3
"""Fits the weights of evidence to labs with known answers, and shows how verdicts fare in families of scenes that the fit has not seen.

    scripts/lab/calibrate.py LAB... --exe BINARY [--weights FILE] [--prior P] --out DIR

In: made labs, the binary, the starting weights (src/infer/weights.toml). Out: Markdown on standard output; in DIR `weights.toml` (fitted to all),
`families/FAMILY.toml` (fitted to all but one), `start.toml` (the weights before any fit), `calibration.json`. Needs the Python module pyarrow.

Fit. A weight is the natural log of how much likelier an item is in an interfered flow (of any kind that detectors know) than in an innocent flow
that did not work, or on which any item fired; both of the transport of the flows on which it fired.
  - An item counts in a flow where it is the strongest of its family there, by the starting weights: only the strongest counts in judgement too.
  - Flows of one scene are not independent: n of them count as n / (1 + (n - 1) SAMENESS).
  - N innocent flows (counted so) cannot show a share below 3 / N (rule of three): no share of innocent flows is taken to be less.
  - The starting weight counts as START_SCENES scenes that agree with it; an item that counts in fewer than SCENES_MIN keeps it.
  - Where no innocent flow fired, the ratio is a lower bound: a starting weight above it is not refuted, and stays.
  - Items of the family `header` keep theirs: judgement asks them beside other proof only, and innocent flows hardly ever have that.
Left out. For each family of scenes the weights are fitted to all other families, and its captures are judged with those.
A capture that could not be analysed or judged is named on standard error and left out of all figures; then the exit code is 1.
"""
import argparse
import collections
import concurrent.futures
import datetime
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import score  # noqa: E402
from check import table  # noqa: E402
from fired import FINISHED, Runs, benign, interfered, join, read_table  # noqa: E402
from lines import read_lines  # noqa: E402
from verdicts import ENDS, WORDS, analyzed  # noqa: E402

WEIGHTS = HERE.parents[1] / "src" / "infer" / "weights.toml"
SAMENESS = 0.5  # correlation of flows within a scene (by design: a scene never counts as more than two flows)
START_SCENES = 3
SCENES_MIN = 5
RESOLVED = 3  # innocent events that may have been missed, at 95 %
ALONE_NEVER = {"header"}  # families
JUDGED = {"rst_injection", "sni_drop", "protocol_block", "quic_drop", "http_block", "ip_block"}  # labels that detectors know
BASES = (0.5, 0.05, 0.005)
JOBS = 2
FLOW_COLUMNS = ENDS + WORDS + ("flow_id", "start", "score", "observed")
FINDING_COLUMNS = ("flow_id", "detector", "items")
FIT = "; fit: "

# One capture: its lab and file, its family of scenes, its rows of truth, the folder with its tables.
Capture = collections.namedtuple("Capture", "name family truth folder")
# One flow as the fit sees it; found: the items of each detector.
Case = collections.namedtuple("Case", "truth found")
# weight: fitted; ratio: of the counts alone, None where there are too few; interfered, innocent: their shares.
Fitted = collections.namedtuple("Fitted", "start weight ratio interfered innocent")
# fired of flows, fired_scenes of scenes; part of whole: the same in flows that count as independent.
Share = collections.namedtuple("Share", "fired flows fired_scenes scenes part whole")


def arguments():
    parser = argparse.ArgumentParser(description="fits the weights of evidence, and tests them on families left out")
    parser.add_argument("labs", type=pathlib.Path, nargs="+", metavar="LAB")
    parser.add_argument("--exe", type=pathlib.Path, required=True)
    parser.add_argument("--weights", type=pathlib.Path, default=WEIGHTS, help="to start from")
    parser.add_argument("--prior", type=float, default=0.05, help="share of interference among flows that did not work, for verdicts")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    return parser.parse_args()


# ---------------------------------------------------------------- weights files

def read_weights(text):
    """{"version", "date", "item": {id: {"family", "weight", "source"}}} of a file in the form of src/infer/weights.toml."""
    told, entry = {"item": {}}, None
    for line in text.splitlines():
        head = re.fullmatch(r"\[item\.([\w-]+)\]", line.strip())
        if head:
            entry = told["item"].setdefault(head[1], {})
        elif line.strip() and not line.startswith("#"):
            name, value = line.split(" = ", 1)
            (told if entry is None else entry)[name] = json.loads(value)  # strings, numbers and booleans are written as in JSON
    return told


def starting(weights):
    """The weights before they were fitted, as their sources tell."""
    def start(entry):
        source, fit, told = entry["source"].partition(FIT)
        return dict(entry, weight=float(told.rsplit("start ", 1)[1]), source=source) if fit else entry
    return dict(weights, item={item: start(entry) for item, entry in weights["item"].items()})


def write_weights(weights):
    lines = ["%s = %s" % (name, json.dumps(weights[name])) for name in ("version", "date")]
    for item, entry in weights["item"].items():
        lines += ["", "[item.%s]" % item] + ["%s = %s" % (name, json.dumps(value, ensure_ascii=False)) for name, value in entry.items()]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- what fired where

def captures_of(labs, runs):
    """Captures of all labs, and the names of those that could not be analysed. Scenes and files of two labs get names of their own."""
    captures, failed = [], []
    for lab in labs:
        by_file = collections.defaultdict(list)
        for row in read_lines(lab / "truth.jsonl"):
            place = "%s/" % lab.resolve()
            by_file[row["file"]].append(dict(row, scenario=place + row["scenario"], file=place + row["file"]))
        for name, folder in analyzed(runs, lab, sorted(by_file)).items():
            told = str(lab / name)
            if folder is None:
                failed.append(told)
            else:
                captures.append(Capture(told, by_file[name][0]["family"], by_file[name], folder))
    return captures, failed


def cases_of(capture):
    findings = collections.defaultdict(list)
    for row in read_table(capture.folder / "findings.parquet", FINDING_COLUMNS):
        findings[row["flow_id"]].append(row)
    flows = read_table(capture.folder / "flows.parquet", FLOW_COLUMNS)
    return [Case(truth, found_of(flow, findings[flow["flow_id"]]) if flow else []) for truth, flow in join(capture.truth, flows)]


def found_of(flow, findings):
    """Items by detector: of what was observed only that of detectors with a finding; the others accuse the capture's own side."""
    if not flow.get("observed"):
        return [finding["items"] for finding in findings]
    asked = {finding["detector"] for finding in findings}
    return [[item["id"] for item in found["items"]] for found in json.loads(flow["observed"])["found"] if found["detector"] in asked]


# ---------------------------------------------------------------- fit

def strongest(found, items):
    """Of each detector and family the strongest item, of equals the first by name."""
    told = set()
    for ids in found:
        best = {}
        for item in sorted(set(ids) & set(items), key=lambda item: (-items[item]["weight"], item)):
            best.setdefault(items[item]["family"], item)
        told.update(best.values())
    return told


def innocent(case):
    """Innocent flows about which judgement has anything to ask."""
    return benign(case.truth) and (case.truth["outcome"] != "worked" or bool(case.found))


def accused(case):
    """Interference that can be seen, of a kind that detectors know."""
    return interfered(case.truth) and case.truth["label"] in JUDGED


def share_of(asked):
    """Of [(case, whether it fired)]: in how many flows, whole and as far as flows of a scene count."""
    scenes = collections.defaultdict(list)
    for case, fired in asked:
        scenes[case.truth["scenario"]].append(fired)
    part = whole = 0.0
    for fired in scenes.values():
        counts_as = len(fired) / (1 + (len(fired) - 1) * SAMENESS)
        part, whole = part + counts_as * sum(fired) / len(fired), whole + counts_as
    fired = [sum(one) for one in scenes.values()]
    return Share(sum(fired), sum(map(len, scenes.values())), sum(map(bool, fired)), len(scenes), part, whole)


def ratio_of(guilty, clean):
    """Natural log of the likelihood ratio, with Jeffreys' half, and no more than the innocent flows can show."""
    least = RESOLVED / max(clean.whole, RESOLVED)
    return math.log((guilty.part + 0.5) / (guilty.whole + 1) / max((clean.part + 0.5) / (clean.whole + 1), least))


def fit_item(item, entry, cases, counted):
    """counted: for each case the items that count in it."""
    where = [case for case, told in zip(cases, counted) if item in told]
    transports = {case.truth["protocol"] for case in where}
    asked = [(case, item in told) for case, told in zip(cases, counted) if case.truth["protocol"] in transports]
    guilty = share_of([(case, fired) for case, fired in asked if accused(case)])
    clean = share_of([(case, fired) for case, fired in asked if innocent(case)])
    start, scenes = entry["weight"], len({case.truth["scenario"] for case in where})
    if scenes < SCENES_MIN or entry["family"] in ALONE_NEVER or not guilty.flows or not clean.flows:
        return Fitted(start, start, None, guilty, clean)
    ratio = ratio_of(guilty, clean)
    if not clean.fired and ratio < start:
        return Fitted(start, start, None, guilty, clean)
    return Fitted(start, (START_SCENES * start + scenes * ratio) / (START_SCENES + scenes), ratio, guilty, clean)


def fit(cases, weights):
    """{item: Fitted}"""
    items, cases = weights["item"], [case for case in cases if accused(case) or innocent(case)]
    counted = [strongest(case.found, items) for case in cases]
    return {item: fit_item(item, entry, cases, counted) for item, entry in items.items()}


def fitted_weights(weights, fitted):
    """The weights file after a fit; what was not fitted stays as it was."""
    items = {}
    for item, entry in weights["item"].items():
        one = fitted[item]
        items[item] = entry if one.ratio is None else dict(entry, weight=round(one.weight, 2), source=entry["source"].split(FIT)[0] + FIT + says(one))
    return dict(weights, date=datetime.date.today().isoformat(), item=items)


def says(one):
    return "%s, %s; ratio alone %.2f, start %.2f" % (share_says(one.interfered, "interfered"), share_says(one.innocent, "innocent"), one.ratio, one.start)


def share_says(share, kind):
    return "%d of %d flows %s (%d of %d scenes)" % (share.fired, share.flows, kind, share.fired_scenes, share.scenes)


# ---------------------------------------------------------------- judged again

def judged(exe, capture, weights, prior):
    """[(row of truth, row of `flows` or None)] of a capture, judged by a weights file; None where that failed."""
    with tempfile.TemporaryDirectory(prefix="lab-calibrate-") as folder:
        out = pathlib.Path(folder) / "out"
        argv = [str(exe), "judge", str(capture.folder), "-o", str(out), "--weights", str(weights), "--prior", str(prior)]
        ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        if ended.returncode not in FINISHED:
            print("calibrate: %s: judge ended with %d: %s" % (capture.name, ended.returncode, ended.stderr.strip()[-300:]), file=sys.stderr)
            return None
        return join(capture.truth, read_table(out / "flows.parquet", FLOW_COLUMNS))


def judged_all(exe, captures, weights_of, prior):
    """{name of capture: as `judged`}; weights_of: the weights file of a capture."""
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        said = pool.map(lambda capture: judged(exe, capture, weights_of(capture), prior), captures)
        return {capture.name: pairs for capture, pairs in zip(captures, said)}


def left_out_weights(cases, weights, out):
    """{family: weights file that was fitted to all other families}"""
    out.mkdir(parents=True, exist_ok=True)
    paths = {family: out / (family + ".toml") for family in {case.truth["family"] for case in cases}}
    for family, path in paths.items():
        others = fit([case for case in cases if case.truth["family"] != family], weights)
        path.write_text(write_weights(fitted_weights(weights, others)))
    return paths


def kept(captures, *runs):
    """Captures that every run judged, and the names of the others."""
    whole = [capture for capture in captures if all(run[capture.name] is not None for run in runs)]
    return whole, [capture.name for capture in captures if capture not in whole]


def pairs_of(captures, run):
    return [pair for capture in captures for pair in run[capture.name]]


def at_base(pairs, base):
    """Reliability of flows that did not work, if interfered ones were this share of them, and the prior said so."""
    points = [(truth["scenario"], confidence(flow["score"], base), interfered(truth)) for truth, flow in pairs
              if flow and truth["outcome"] != "worked" and (interfered(truth) or benign(truth))]
    return score.reliability(points, base)


def confidence(value, prior):
    return 1 / (1 + math.exp(-(value + math.log(prior / (1 - prior)))))


def evaluated(pairs):
    return dict(score.score(pairs), bases=[at_base(pairs, base) for base in BASES])


# ---------------------------------------------------------------- report

def weight_table(weights, fitted):
    rows = []
    for item, one in fitted.items():
        shown = ["%.2f" % one.ratio, "%.2f" % one.weight] if one.ratio is not None else ["-", "%.2f, kept" % one.weight]
        cells = ["%d/%d (%d/%d)" % (share.fired, share.flows, share.fired_scenes, share.scenes) for share in (one.interfered, one.innocent)]
        rows.append(["`%s`" % item, weights["item"][item]["family"]] + cells + ["%.2f" % one.start] + shown)
    return table(["item", "family", "interfered: flows (scenes)", "innocent: flows (scenes)", "start", "ratio alone", "fitted"], rows)


def base_rows(told):
    for place, base in enumerate(BASES):
        for name in ("brier", "error"):
            cells = [(one["bases"][place], name) for one in told.values()]
            yield ["%s: %s" % (score.percent(base), {"brier": "Brier score", "error": "expected calibration error"}[name])] + [
                cell for one, name in cells for cell in (("%.4f" % one[name], "%.4f to %.4f" % tuple(one[name + "_bounds"])) if one else ("-", "-"))]


def report(weights, fitted, told):
    """told: {weights used: evaluated}; the last are the fitted ones."""
    last, head = list(told.values())[-1], [cell for name in told for cell in (name, "95 % bounds")]
    yield "## Weights\n\nA flow counts for an item where it is the strongest of its family.\n\n" + weight_table(weights, fitted)
    yield "## Families left out\n\n%s\n%s\n" % (score.side_by_side(told), "`*`: needs comparison. " + score.resolved(last))
    yield score.worst_table(last)
    yield from score.word_tables(last)
    yield "## Reliability\n\nFlows that did not work, weighted so that the interfered ones are the share named, which is the prior as well.\n"
    yield table(["share of interference"] + head, base_rows(told))
    for one in filter(None, last["bases"]):
        yield "### %s of the flows interfered\n\n%s" % (score.percent(one["base"]), score.reliability_table(one))


def main():
    told = arguments()
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        sys.exit("calibrate: missing: Python module pyarrow (python3 -m pip install pyarrow)")
    told.out.mkdir(parents=True, exist_ok=True)
    weights, runs = starting(read_weights(told.weights.read_text())), Runs(told.exe)
    start_path = told.out / "start.toml"
    start_path.write_text(write_weights(weights))
    captures, failed = captures_of(told.labs, runs)
    if not captures:
        sys.exit("calibrate: no captures with truth (labs not made to their end?)")
    cases = [case for capture in captures for case in cases_of(capture)]
    fitted = fit(cases, weights)
    (told.out / "weights.toml").write_text(write_weights(fitted_weights(weights, fitted)))
    start = judged_all(runs.exe, captures, lambda capture: start_path, told.prior)
    paths = left_out_weights(cases, weights, told.out / "families")
    others = judged_all(runs.exe, captures, lambda capture: paths[capture.family], told.prior)
    captures, unjudged = kept(captures, start, others)
    failed += unjudged
    if not captures:
        sys.exit("calibrate: no capture could be judged")
    found = {"starting weights": evaluated(pairs_of(captures, start)), "fitted to other families": evaluated(pairs_of(captures, others))}
    items = {item: dict(one._asdict(), interfered=one.interfered._asdict(), innocent=one.innocent._asdict()) for item, one in fitted.items()}
    result = {"prior": told.prior, "labs": [lab.name for lab in told.labs], "failed": failed, "weights": items, "figures": found,
              "families": {family: score.figures(pairs_of([one for one in captures if one.family == family], others))
                           for family in sorted({one.family for one in captures})}}
    (told.out / "calibration.json").write_text(json.dumps(result, indent=1))
    print("\n".join(report(weights, fitted, found)))
    if failed:
        sys.exit("calibrate: %d captures could not be analysed or judged: %s" % (len(failed), ", ".join(failed[:8])))


if __name__ == "__main__":
    main()
