#!/usr/bin/env python3
"""Holds the verdicts of any tool against a lab with known answers, all tools by one rule.

    scripts/lab/score.py LAB VERDICTS.csv... [--json]

In: a made lab (LAB/truth.jsonl) and for each tool a CSV with the columns `file` (as in truth.jsonl), `protocol`, `client_ip`, `client_port`, `server_ip`,
`server_port`, `start` (seconds since 1970, may be empty), `verdict`, and if the tool has them `mechanism`, `trigger`, `outcome`, `confidence`.
The two addresses may stand in either order; of several flows between the same ends the one with the nearest start is taken; a flow that the CSV
lacks is `absent`, which is silence. A tool that knows no kinds writes `interference`. `verdicts.py` makes such files. Standard library only.

Out: Markdown, or JSON, on standard output; of several CSVs one table with the figures side by side. The words of each row of truth:
  must    interference that this vantage proves: no harmless word (`ok`, `unknown`, `unreachable`) is right. Recall is the share of them named right.
  open    visible, but silence is right as well: counted apart, as `named` of `open`.
  benign  no interference. An alarm is a verdict of interference here.
Precision is over all verdicts of interference, also where nothing can be seen (`observable` false): there only a wrong claim counts.
Bounds hold 95 %, by bootstrap over scenes: flows of one scene are not independent.
"""
import argparse
import collections
import csv
import ipaddress
import json
import pathlib
import random
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from check import table  # noqa: E402
from check_flows import INTERFERENCE  # noqa: E402
from fired import benign, interfered, pair_of, vantage_word  # noqa: E402
from lines import read_lines  # noqa: E402

COLUMNS = ("file", "protocol", "client_ip", "client_port", "server_ip", "server_port", "start", "verdict")  # that a CSV must have
ANY = "interference"  # of tools that know no kinds
ANY_RULE = "A verdict `interference` is right wherever any word of interference is: a tool that knows no kinds loses nothing by that."
HARMLESS = {"ok", "unknown", "unreachable"}
DRAWS = 400
EDGES = (0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)  # between the bins of confidence
WORST = 3  # families shown
# What must be alike, and what must differ, in a flow that went through for the trigger to be told from the capture.
CONTROLS = {"sni": ("server_ip", "name"), "http_host": ("server_ip", "name"), "dns_name": ("server_ip", "name"),
            "server_ip": ("protocol", "server_ip"), "server_port": ("server_ip", "server_port"), "protocol": ("protocol", "kind")}


def arguments():
    parser = argparse.ArgumentParser(description="verdicts of any tool against a lab")
    parser.add_argument("lab", type=pathlib.Path)
    parser.add_argument("verdicts", type=pathlib.Path, nargs="+", metavar="VERDICTS.csv")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


# ---------------------------------------------------------------- what was said of which flow

def read_verdicts(lines):
    """{file: rows of the CSV}, with numbers as numbers and None where nothing is said."""
    said, given = collections.defaultdict(list), csv.DictReader(lines)
    missing = [name for name in COLUMNS if name not in (given.fieldnames or [])]
    if missing:
        raise ValueError("no column %s" % ", ".join(missing))
    for row in given:
        row = {name: value or None for name, value in row.items()}
        row.update({name: address(row[name]) for name in ("client_ip", "server_ip")})
        row.update({name: int(row[name] or 0) for name in ("client_port", "server_port")})
        row.update({name: float(row[name]) if row.get(name) else None for name in ("start", "confidence")})
        said[row["file"]].append(row)
    return said


def address(text):
    """As truth.jsonl writes it: tools write IPv6 in many ways."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text or ""


def match(truth, said):
    """[(row of truth, what was said of its flow or None)]"""
    by_pair = collections.defaultdict(list)
    for name, rows in said.items():
        for row in rows:
            by_pair[name, pair_of(row)].append(row)
    return [(row, nearest(by_pair.get((row["file"], pair_of(row)), []), row.get("start"))) for row in truth]


def nearest(rows, start):
    if not rows:
        return None
    dated = [row for row in rows if row["start"] is not None]
    return min(dated, key=lambda row: abs(row["start"] - start)) if start and dated else rows[0]


def verdict_of(said):
    return said["verdict"] if said else "absent"


def accuses(said):
    return verdict_of(said) in INTERFERENCE or verdict_of(said) == ANY


def is_right(truth, said):
    expected = set(truth["expect"])
    return bool(expected & INTERFERENCE) if verdict_of(said) == ANY else verdict_of(said) in expected


def named(truth, said):
    """Interference that can be seen, and is named right."""
    return interfered(truth) and accuses(said) and is_right(truth, said)


# ---------------------------------------------------------------- recall, precision, alarms

def count(truth, said):
    """What one row adds to the counts of its scene."""
    right, counts = is_right(truth, said), collections.Counter()
    if benign(truth):
        counts["benign"] = 1
        counts["alarm"] = int(accuses(said) and not right)
    elif truth["observable"] and not HARMLESS & set(truth["expect"]):
        counts["hit" if right else "miss"] = 1
        counts["hit" if right else "miss", truth["label"] + ("*" if truth.get("needs") == "controls" else "")] = 1
    elif truth["observable"]:
        counts["open"] = 1
        counts["named"] = int(named(truth, said))
    if accuses(said):
        counts["true" if right else "false"] = 1
    return counts


def by_scene(pairs):
    scenes = collections.defaultdict(collections.Counter)
    for truth, said in pairs:
        scenes[truth["scenario"]].update(count(truth, said))
    return scenes


def total(counters):
    whole = collections.Counter()
    for counts in counters:
        whole.update(counts)
    return whole


def share(part, whole):
    return part / max(whole, 1)


RATIOS = {
    "recall": lambda counts: share(counts["hit"], counts["hit"] + counts["miss"]),
    "precision": lambda counts: share(counts["true"], counts["true"] + counts["false"]),
    "alarms": lambda counts: share(counts["alarm"], counts["benign"]),
    "named": lambda counts: share(counts["named"], counts["open"]),
}
PARTS = {"recall": ("hit", ("hit", "miss")), "precision": ("true", ("true", "false")), "alarms": ("alarm", ("benign",)), "named": ("named", ("open",))}


def resampled(scenes, draws=DRAWS):
    """Sums over as many scenes as there are, drawn with return."""
    draw, names = random.Random(1), list(scenes)
    for _ in range(draws):
        yield total(scenes[draw.choice(names)] for _ in names)


def bounds(values):
    """What 95 % of the values lie between; those that could not be had (None) are left out."""
    values = sorted(value for value in values if value is not None)
    return [values[int(0.025 * len(values))], values[int(0.975 * len(values))]] if values else None


def figures(pairs):
    """{name: value, part, whole, bounds} of the ratios; recall by label, `*`: comparison inside the capture is needed."""
    scenes = by_scene(pairs)
    whole, drawn = total(scenes.values()), list(resampled(scenes))
    told = {name: {"value": ratio(whole), "part": whole[PARTS[name][0]], "whole": sum(whole[key] for key in PARTS[name][1]),
                   "bounds": bounds(ratio(counts) for counts in drawn)} for name, ratio in RATIOS.items()}
    labels = sorted({key[1] for key in whole if isinstance(key, tuple)})
    told["scenes"] = len(scenes)
    told["labels"] = {label: [whole["hit", label], whole["hit", label] + whole["miss", label]] for label in labels}
    return told


def families(pairs):
    """{family: its counts}"""
    counts = collections.defaultdict(collections.Counter)
    for truth, said in pairs:
        counts[truth["family"]].update(count(truth, said))
    return counts


def worst(pairs):
    """The families with the lowest recall, and those with the largest share of alarms: [name, part, whole] each."""
    counts = families(pairs).items()
    missed = sorted((RATIOS["recall"](one), name, one["hit"], one["hit"] + one["miss"]) for name, one in counts if one["hit"] + one["miss"])
    alarmed = sorted(((-RATIOS["alarms"](one), name, one["alarm"], one["benign"]) for name, one in counts if one["alarm"]))
    return {"recall": [list(row[1:]) for row in missed[:WORST]], "alarms": [list(row[1:]) for row in alarmed[:WORST]]}


# ---------------------------------------------------------------- words

def matrices(pairs, wanted, told, counts=lambda truth, said: True):
    """{vantage: {word of the truth: {word of the tool: rows}}} over the rows that count."""
    found = {}
    for truth, said in pairs:
        if counts(truth, said):
            cells = found.setdefault(vantage_word(truth), {}).setdefault(wanted(truth), collections.Counter())
            cells[told(said)] += 1
    return found


def label_of(truth):
    return truth["label"] if benign(truth) or truth["observable"] else truth["label"] + ", not visible"


def word_of(column):
    return lambda said: said and said.get(column) or "-"


def is_told(column, pairs):
    return any(said and said.get(column) for _, said in pairs)


def rights(pairs):
    """[right, all] of outcomes over flows that the tool has, of mechanisms over the interference that it names right."""
    known = [(truth, said) for truth, said in pairs if said and truth.get("outcome")]
    claims = [(truth, said) for truth, said in pairs if named(truth, said)]
    return {"outcome": [sum(said.get("outcome") == truth["outcome"] for truth, said in known), len(known)],
            "mechanism": [sum(said.get("mechanism") in truth["expect_mechanism"] for truth, said in claims), len(claims)]}


def provable(rows):
    """A function: whether the trigger of a row can be told from its capture, since a flow that differs in just that went through there."""
    passed = collections.defaultdict(set)
    for row in rows:
        if benign(row) and row["outcome"] == "worked":
            for trigger, (alike, other) in CONTROLS.items():
                passed[row["file"], trigger, row[alike]].add(row[other])

    def answer(row):
        if row["trigger"] not in CONTROLS or not row["observable"]:
            return False
        alike, other = CONTROLS[row["trigger"]]
        return bool(passed[row["file"], row["trigger"], row[alike]] - {row[other]})
    return answer


def triggers(pairs):
    """[part, whole]: right of those told; told of those that can be told; told where only `undetermined` is right, and of these a wrong word."""
    can_be_told = provable([truth for truth, _ in pairs])
    sure = lambda said: said.get("trigger") not in (None, "undetermined")  # noqa: E731
    claims = [(truth, said) for truth, said in pairs if named(truth, said)]
    told = [(truth, said) for truth, said in claims if sure(said)]
    open_, unprovable = [pair for pair in claims if can_be_told(pair[0])], [pair for pair in pairs if accuses(pair[1]) and not can_be_told(pair[0])]
    unproven = [(truth, said) for truth, said in unprovable if sure(said)]
    return {"right_of_told": [sum(said["trigger"] == truth["trigger"] for truth, said in told), len(told)],
            "told_of_provable": [sum(sure(said) for _, said in open_), len(open_)],
            "told_without_proof": [len(unproven), len(unprovable)],
            "wrong_without_proof": [sum(said["trigger"] != truth["trigger"] for truth, said in unproven), len(unprovable)]}


# ---------------------------------------------------------------- reliability

def confidences(pairs):
    """[(scene, confidence, whether interfered)]; without flows whose interference cannot be seen, and those of which the tool says nothing."""
    return [(truth["scenario"], said["confidence"], interfered(truth)) for truth, said in pairs
            if said and said.get("confidence") is not None and (interfered(truth) or benign(truth))]


def bin_of(confidence):
    return sum(confidence >= edge for edge in EDGES)


def bin_words():
    ends = ["0"] + ["%g" % edge for edge in EDGES] + ["1"]
    return ["%s to %s" % pair for pair in zip(ends, ends[1:])]


def calibration(counts, base):
    """Brier score, expected calibration error, and (share of flows, mean confidence, share of interference) of each bin, None where it is empty.

    base: the share of interference to which flows are weighted, None: as they are.
    """
    flows = [sum(counts["flows", place, side] for place in range(len(EDGES) + 1)) for side in (False, True)]
    if base is not None and not all(flows):
        return None
    weights = [1 / sum(flows)] * 2 if base is None else [(1 - base) / flows[0], base / flows[1]]
    weigh = lambda *key: [weights[side] * counts[key + (side,)] for side in (False, True)]  # noqa: E731
    bins, error = [], 0
    for place in range(len(EDGES) + 1):
        innocent, guilty = weigh("flows", place)
        mass, said = innocent + guilty, sum(weigh("said", place))
        bins.append((mass, said / mass, guilty / mass) if mass else None)
        error += abs(said - guilty)
    return {"brier": sum(weigh("squares")), "error": error, "bins": bins}


def reliability(points, base=None):
    """Of [(scene, confidence, whether interfered)]: as `calibration` with bounds, and the flows in each bin; None without points of both kinds."""
    scenes = collections.defaultdict(collections.Counter)
    for scene, confidence, guilty in points:
        place = bin_of(confidence)
        scenes[scene].update({("flows", place, guilty): 1, ("said", place, guilty): confidence, ("squares", guilty): (confidence - guilty) ** 2})
    whole = total(scenes.values())
    if len({guilty for _, _, guilty in points}) < 2:
        return None
    told, drawn = calibration(whole, base), [one for one in (calibration(counts, base) for counts in resampled(scenes)) if one]
    bins = [{"confidence": words, "flows": whole["flows", place, False] + whole["flows", place, True], "interfered": whole["flows", place, True],
             "said": told["bins"][place] and told["bins"][place][1], "observed": told["bins"][place] and told["bins"][place][2],
             "bounds": bounds(one["bins"][place] and one["bins"][place][2] for one in drawn)} for place, words in enumerate(bin_words())]
    return {"base": base, "brier": told["brier"], "brier_bounds": bounds(one["brier"] for one in drawn), "error": told["error"],
            "error_bounds": bounds(one["error"] for one in drawn), "bins": bins}


# ---------------------------------------------------------------- report

def score(pairs):
    """All of it, ready for JSON."""
    told = dict(figures(pairs), worst=worst(pairs), rule=ANY_RULE, rights=rights(pairs),
                absent=sum(said is None for _, said in pairs), rows=len(pairs), verdict=matrices(pairs, label_of, verdict_of))
    if is_told("outcome", pairs):
        told["outcome"] = matrices(pairs, lambda truth: truth["outcome"], word_of("outcome"), lambda truth, said: said and truth["outcome"])
    if is_told("mechanism", pairs):
        told["mechanism"] = matrices(pairs, lambda truth: truth["mechanism"] or "-", word_of("mechanism"), named)
    if is_told("trigger", pairs):
        told["trigger"] = matrices(pairs, lambda truth: truth["trigger"], word_of("trigger"), named)
        told["triggers"] = triggers(pairs)
    told["reliability"] = reliability(confidences(pairs))
    return told


def percent(value):
    return "-" if value is None else "%.4g %%" % (100 * value)


def between(limits):
    return "-" if limits is None else "%s to %s" % tuple(percent(limit) for limit in limits)


def of(part, whole):
    return "%d of %d" % (part, whole)


def figure_table(told):
    return table(["figure", "value", "95 % bounds", "rows"], [
        [name, percent(told[name]["value"]), between(told[name]["bounds"]), of(told[name]["part"], told[name]["whole"])] for name in RATIOS])


def side_by_side(told):
    """told: {name: what `score` gives}, all of the same rows of truth."""
    rows = [[name] + [cell for one in told.values() for cell in (percent(one[name]["value"]), between(one[name]["bounds"]))] for name in RATIOS]
    labels = sorted({label for one in told.values() for label in one["labels"]})
    rows += [["recall of " + label] + [cell for one in told.values() for cell in (of(*one["labels"][label]), "")] for label in labels]
    return table(["figure"] + [cell for name in told for cell in (name, "95 % bounds")], rows)


def resolved(told):
    """What a bootstrap cannot tell: it never draws what never happened."""
    return "%d scenes: what happened in none of them may still happen in up to %s of scenes (rule of three)." % (
        told["scenes"], percent(min(1, 3 / told["scenes"])))


def matrix_tables(title, found):
    parts = []
    for vantage, cells in sorted(found.items()):
        words = sorted({word for row in cells.values() for word in row})
        rows = [[truth] + [row[word] for word in words] for truth, row in sorted(cells.items())]
        parts.append("### %s, %s\n\n%s" % (title, vantage, table(["truth \\ said"] + words, rows)))
    return "\n".join(parts)


def worst_table(told):
    return "### Worst families\n\n" + table(["by", "family", "rows"], [
        [by, name, of(part, whole)] for by, rows in told["worst"].items() for name, part, whole in rows])


def word_tables(told):
    """All matrices, and how often the words are right."""
    for name in ("verdict", "outcome", "mechanism", "trigger"):
        if name in told:
            yield matrix_tables({"verdict": "Label and verdict"}.get(name, name.capitalize()), told[name])
    yield "### Words\n\n" + table(["words", "rows"], [["%s right" % name, of(*pair)] for name, pair in told["rights"].items() if name in told] + [
        ["trigger " + name.replace("_", " "), of(*pair)] for name, pair in told.get("triggers", {}).items()])


def reliability_table(told):
    rows = [[one["confidence"], one["flows"], one["interfered"], percent(one["said"]), percent(one["observed"]), between(one["bounds"])]
            for one in told["bins"] if one["flows"]]
    base = "shares as they are in the lab" if told["base"] is None else "interference in %s of the flows" % percent(told["base"])
    return "%s\nBrier score %.4f (%.4f to %.4f), expected calibration error %.4f (%.4f to %.4f), %s.\n" % (
        table(["confidence", "flows", "interfered", "mean confidence", "observed", "95 % bounds"], rows),
        told["brier"], *told["brier_bounds"], told["error"], *told["error_bounds"], base)


def report(told):
    yield "## Figures\n\n%s\n%s\n\n%s %s rows have no flow (`absent`).\n" % (figure_table(told), resolved(told), ANY_RULE, of(told["absent"], told["rows"]))
    yield "### Recall by label (`*`: needs comparison)\n\n" + table(["label", "recall", "rows"], [
        [label, percent(share(*pair)), of(*pair)] for label, pair in told["labels"].items()])
    yield worst_table(told)
    yield from word_tables(told)
    if told["reliability"]:
        yield "## Reliability\n\n" + reliability_table(told["reliability"])


def verdicts_in(path):
    try:
        with open(path, newline="") as lines:
            return read_verdicts(lines)
    except (OSError, ValueError) as error:
        sys.exit("score: %s: %s" % (path, error))


def main():
    told = arguments()
    truth = read_lines(told.lab / "truth.jsonl")
    if not truth:
        sys.exit("score: no truth.jsonl in %s (not made to its end?)" % told.lab)
    found = {path.stem: score(match(truth, verdicts_in(path))) for path in told.verdicts}
    first = found[told.verdicts[0].stem]
    if told.json:
        print(json.dumps(found if len(found) > 1 else first, indent=1))
    elif len(found) > 1:
        print("## Side by side\n\n%s\n%s %s" % (side_by_side(found), resolved(first), ANY_RULE))
    else:
        print("\n".join(report(first)))


if __name__ == "__main__":
    main()
