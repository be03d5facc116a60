#!/usr/bin/env python3
"""Searches a made lab for tells: fields that give the label away although science knows of no such sign.

    scripts/lab/tells.py OUT [--draws N] [--all] [--list]

In: OUT/truth.jsonl and the captures. Out: a markdown table on standard output, one line for each field that stands above chance
(`--all`: of every field): how well it alone tells interfered flows from others, or forged packets from genuine ones, the best rule,
what chance reaches, and the judgement: `weak` below the limits, `suspect` in too few scenes, else `tell`, or `allowed` where science
knows of such a sign (`ALLOWED`, with the reason). `--list` prints where a rule holds. Exit code 1 if there is a tell.
"""
import argparse
import collections
import random
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, __file__.rpartition("/")[0] or ".")

import tells_fields  # noqa: E402
from tells_stats import DRAWS, RECALL, Sample, study  # noqa: E402

# A field tells where a figure is above these limits (AUC: distance from one half), above what any permuted labels reach by a margin
# (another set of permutations may reach a little more), and in several scenes: a scene's forger draws its TTL, IPID and window once.
LIMITS = {"AUC": 0.2, "accuracy": 0.7, "precision": 0.9}
WEAK = {"AUC": 0.1, "accuracy": 0.6, "precision": 0.75}
MARGIN = 0.03
FEWEST, FEWEST_SCENES = 8, 4  # samples of either kind; scenes in which a rule takes interfered flows or forged packets
MOST_OF_SCENE = 6  # forged packets of a scene that count, so that no scene stands for all
FLOW, RESET, ANSWER = "flow", "reset", "answer"

# What may tell, and why. Sources as in the literature on injected packets:
#   Clayton, Murdoch, Watson, "Ignoring the Great Firewall of China", PET 2006
#   Weaver, Sommer, Paxson, "Detecting Forged TCP Reset Packets", NDSS 2009
#   Xue et al., "TSPU: Russia's Decentralized Censorship System", IMC 2022
#   Sundara Raman et al., "Global, Passive Detection of Connection Tampering", SIGCOMM 2023
#   Jones, Lee, Feamster, Gill, "Automated Detection and Fingerprinting of Censorship Block Pages", IMC 2014
#   Duan et al., "Hold-On: Protecting Against On-Path DNS Poisoning", SATIN 2012
ALLOWED = {
    (FLOW, "act"): "a hello in parts escapes a censor that does not reassemble (Xue 2022)",
    (FLOW, "hello packets"): "a hello in parts escapes a censor that does not reassemble (Xue 2022)",
    (FLOW, "hello record length"): "a hello in parts escapes a censor that does not reassemble (Xue 2022)",
    (FLOW, "client"): "the client beside the box is never touched: it is the control from another network",
    (FLOW, "server port"): "a rule on names acts where names are sent",
    (FLOW, "kind"): "a rule on names acts where names are sent",
    (RESET, "ms after the first payload"): "an injector answers the trigger at once (Clayton 2006; Weaver 2009)",
    (RESET, "ms after the last payload"): "an injector answers the trigger at once (Clayton 2006; Weaver 2009)",
    (RESET, "place in flow"): "the stage: forged resets follow the trigger (Sundara Raman 2023)",
    (RESET, "TTL less the sender's"): "an injector stands elsewhere (Clayton 2006), with 28 % of genuine ones as such (Weaver 2009)",
    (RESET, "IPID step"): "an injector does not know the sender's counter (Sundara Raman 2023)",
    (RESET, "sequence number past the expected"): "guessed sequence numbers (Weaver 2009: RST_SEQ_CHANGE, RST_SEQ_DATA)",
    (RESET, "resets in flow"): "bursts: Clayton 2006 saw three at a time; Sundara Raman 2023: RST=RST",
    (ANSWER, "ms after the first payload"): "the forged answer wins the race (Duan 2012)",
    (ANSWER, "TTL less the sender's"): "an injector stands elsewhere (Clayton 2006)",
    (ANSWER, "flags"): "a forged page comes with PSH and FIN (the answers of 1.1.1.1:80 in October 2023: PSH+ACK+FIN)",
    (ANSWER, "IPID step"): "an injector does not know the sender's counter (Sundara Raman 2023)",
    # Before the server's first data there is only its SYN/ACK to copy from, which Linux sends with IPID 0.
    (ANSWER, "IPID"): "an injector does not know the sender's counter (Sundara Raman 2023)",
    (ANSWER, "IPID is zero"): "an injector does not know the sender's counter (Sundara Raman 2023)",
    (ANSWER, "length"): "block pages are known by their length (Jones 2014)",
}
# Fields that are the key of a rule, or follow from it: not asked in scenes with such a censor.
KEYS = {"server_port": {"server port", "kind", "first payload length"}, "protocol": {"kind", "act", "first payload length"},
        "http_host": {"kind", "server port"}, "dns_name": {"kind", "server port"}}

# Figures that follow from an allowed sign: an injector that stands elsewhere has another TTL on arrival. A value that only forged
# packets have (precision) does not follow from it.
FOLLOWS = {(RESET, "TTL"): {"AUC", "accuracy"}, (ANSWER, "TTL"): {"AUC", "accuracy"}}

Told = collections.namedtuple("Told", "what field study tells suspect weak allowed")


def arguments():
    parser = argparse.ArgumentParser(description="fields that give the label away")
    parser.add_argument("out")
    parser.add_argument("--draws", type=int, default=DRAWS, help="permutations of the labels")
    parser.add_argument("--all", action="store_true", help="every field, not only those that tell")
    parser.add_argument("--list", action="store_true", help="where the best rules hold")
    return parser.parse_args()


# ---------------------------------------------------------------- samples

def flow_samples(flows):
    """{(what, field): [Sample]} of the flows that a censor could have touched: its own kinds of flow, clients and names."""
    censored = {(flow.row["vantage"], flow.scene, flow.kind) for flow in flows if flow.interfered}
    behind = {(flow.scene, flow.row["client_ip"]) for flow in flows if flow.interfered}
    triggers = tells_fields.triggers_of(flow.row for flow in flows)
    found = collections.defaultdict(list)
    for flow in flows:
        vantage, trigger = flow.row["vantage"], triggers.get(flow.scene)
        if trigger is None or flow.cluster is None:
            continue
        for field, value in flow.fields.items():
            if field in KEYS.get(trigger, ()) or (field != "kind" and (vantage, flow.scene, flow.kind) not in censored):
                continue
            if field != "client" and (flow.scene, flow.row["client_ip"]) not in behind:
                continue
            stratum = (flow.scene, flow.row["client_ip"], flow.kind) if field not in ("client", "kind") else flow.scene
            found["flow, %s" % vantage, field].append(Sample(plain(value), flow.interfered, flow.scene, stratum, flow.cluster))
    return found


def packet_samples(flows):
    """{(what, field): [Sample]} of resets and answers, forged or genuine, of all scenes."""
    found, forged = collections.defaultdict(list), collections.Counter()
    for flow in flows:
        for packet in flow.packets:
            forged[packet.what, flow.scene] += packet.forged
            if packet.forged and forged[packet.what, flow.scene] > MOST_OF_SCENE:
                continue
            for field, value in packet.fields.items():
                found[packet.what, field].append(Sample(plain(value), packet.forged, flow.scene, flow.scene, id(packet)))
    return found


def plain(value):
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def name_samples(flows):
    """{name: [(scene, blocked)]} of the scenes whose censor goes by names."""
    triggers = tells_fields.triggers_of(flow.row for flow in flows)
    blocked = collections.defaultdict(bool)
    for flow in flows:
        if triggers.get(flow.scene) in tells_fields.NAMED and flow.row["vantage"] == "client" and flow.row["name"]:
            blocked[flow.scene, flow.row["name"]] |= flow.interfered
    return blocked


def names_study(blocked, draws):
    """(names in four scenes or more, those blocked in all or none of these, the most that chance leaves so)."""
    scenes = collections.defaultdict(list)
    for scene, name in blocked:
        scenes[scene].append(name)
    generator, most = random.Random(len(blocked)), 0
    for _ in range(draws):
        mixed = {}
        for scene, names in scenes.items():
            flags = [blocked[scene, name] for name in names]
            generator.shuffle(flags)
            mixed.update(zip([(scene, name) for name in names], flags))
        most = max(most, len(one_sided(mixed)[1]))
    return (*one_sided(blocked), most)


def one_sided(blocked):
    by_name = collections.defaultdict(list)
    for (_, name), flag in blocked.items():
        by_name[name].append(flag)
    often = sorted(name for name, flags in by_name.items() if len(flags) >= 4)
    return often, [name for name in often if len(set(by_name[name])) == 1]


# ---------------------------------------------------------------- judgement

def word_of(what):
    return next(word for word in (FLOW, RESET, ANSWER) if word in what)


def judge(samples, draws):
    """A `Told` for each field with enough samples of both kinds."""
    for (what, field), some in sorted(samples.items()):
        some = [sample for sample in some if sample.value is not None]
        positives = sum(sample.positive for sample in some)
        if min(positives, len(some) - positives) < FEWEST:
            continue
        found = study(some, draws)
        key = (word_of(what), field)
        strong = {word: rule for word, rule in above(found, LIMITS).items() if word not in FOLLOWS.get(key, ())}
        tells = [word for word, rule in strong.items() if scenes_of(some, rule) >= FEWEST_SCENES]
        whole = scenes_of(some)
        suspect = [word for word, rule in strong.items() if 1 < whole < FEWEST_SCENES and scenes_of(some, rule) == whole]
        yield Told(what, field, found, tells, suspect, list(above(found, WEAK)), ALLOWED.get(key))


def above(found, limits):
    """{figure above both chance and limit: its rule (none for the AUC)}"""
    words = {}
    if found.auc is not None and abs(found.auc - 0.5) > max(limits["AUC"], found.auc_chance - 0.5 + MARGIN):
        words["AUC"] = None
    if found.accurate.balanced > max(limits["accuracy"], found.accurate_chance + MARGIN):
        words["accuracy"] = found.accurate
    if found.precise.precision > max(limits["precision"], found.precise_chance + MARGIN):
        words["precision"] = found.precise
    return words


def scenes_of(samples, rule=None):
    """In how many scenes a rule (none: any) takes interfered flows or forged packets."""
    return len({sample.pool for sample in samples if sample.positive and (rule is None or holds(rule, sample.value))})


def holds(rule, value):
    word, _, text = rule.text.partition(" ")
    if word == "==":
        return str(value) == text
    return value <= float(text) if word == "<=" else value > float(text)


def line(told):
    found = told.study
    rules = ["%s (balanced accuracy %.2f)" % (found.accurate.text, found.accurate.balanced),
             "%s (precision %.2f, recall %.2f)" % (found.precise.text, found.precise.precision, found.precise.recall)]
    chance = "%.2f / %.2f / %.2f" % (found.auc_chance, found.accurate_chance, found.precise_chance)
    auc = "-" if found.auc is None else "%.2f" % found.auc
    counts = "%d / %d" % (found.positives, found.negatives)
    return "| %s |" % " | ".join([told.field, told.what, counts, auc, *rules, chance, verdict(told)])


def verdict(told):
    if told.allowed and (told.tells or told.suspect or told.weak):
        return "allowed: " + told.allowed
    if told.tells:
        return "**tell** (%s)" % ", ".join(told.tells)
    if told.suspect:
        return "suspect (%s), in all of its fewer than %d scenes" % (", ".join(told.suspect), FEWEST_SCENES)
    return "weak (%s)" % ", ".join(told.weak) if told.weak else ""


def where(told, samples):
    """Per scene, how many samples the rule of highest precision takes: interfered or forged, and others."""
    counts = collections.defaultdict(lambda: [0, 0])
    for sample in samples[told.what, told.field]:
        if sample.value is not None and holds(told.study.precise, sample.value):
            counts[sample.pool][sample.positive] += 1
    return ", ".join("%s %d+%d" % (scene, yes, no) for scene, (no, yes) in sorted(counts.items()))


def main():
    told = arguments()
    flows = tells_fields.read_lab(told.out)
    if not flows:
        sys.exit("tells: no captures with truth in %s" % told.out)
    samples = {**flow_samples(flows), **packet_samples(flows)}
    fields = list(judge(samples, told.draws))
    print("%d rows of truth, %d fields with enough samples. Chance: the highest of %d permutations.\n" % (
        len(flows), len(fields), told.draws))
    print("| field | what | interfered or forged / others | AUC | best rule | most precise rule at recall >= %.0f %% "
          "| chance (AUC / accuracy / precision) | |\n|%s" % (100 * RECALL, " --- |" * 8))
    for one in fields:
        if told.all or one.tells or one.suspect or one.weak:
            print(line(one))
    often, sided, chance = names_study(name_samples(flows), told.draws)
    fair = len(sided) <= chance
    print("\nNames in four scenes or more: %d; blocked in all or in none of them: %d (chance: up to %d)%s" % (
        len(often), len(sided), chance, "" if fair else " **tell**: " + ", ".join(sided)))
    tells = [one for one in fields if one.tells and not one.allowed]
    if told.list:
        print("\n" + "\n".join("- %s, %s: %s (interfered or forged + others): %s" % (
            one.field, one.what, one.study.precise.text, where(one, samples)) for one in fields
            if (one.tells or one.suspect) and not one.allowed))
    print("\n%d tells" % (len(tells) + (not fair)))
    sys.exit(1 if tells or not fair else 0)


if __name__ == "__main__":
    main()
