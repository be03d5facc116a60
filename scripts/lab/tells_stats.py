"""How well one field alone tells two groups apart, and how well it would by chance.

In: `Sample(value, positive, stratum, cluster)`s. Out: `study(samples)`, a `Study`: the area under the ROC curve over pairs of one
stratum (None for words), the best rule (`<= v`, `> v` or `== v`) by balanced accuracy and by precision at a recall of at least
`RECALL`, and the highest of the same figures when labels are permuted within pools (scenes). Samples of one cluster share what
decides their label (a blocked name), so clusters trade their labels as wholes. The same samples give the same figures.
"""
import bisect
import collections
import itertools
import random

RECALL = 0.2
DRAWS = 200

Sample = collections.namedtuple("Sample", "value positive pool stratum cluster")
Rule = collections.namedtuple("Rule", "text balanced precision recall")
Study = collections.namedtuple("Study", "positives negatives auc auc_chance accurate accurate_chance precise precise_chance")


def study(samples, draws=DRAWS):
    samples = sorted((sample for sample in samples if sample.value is not None), key=lambda sample: order_of(sample.value))
    numeric = not any(isinstance(sample.value, str) for sample in samples)
    labels = [sample.positive for sample in samples]
    positives = sum(labels)
    if not positives or positives == len(samples):
        return None
    ranks, groups = ranks_of(samples), groups_of(samples)
    shuffle = Shuffle(samples)
    auc = area(labels, ranks, samples) if numeric else None
    accurate, precise = best_rules(labels, groups, numeric)
    chance = []
    for _ in range(draws):
        mixed = shuffle.labels()
        found = best_rules(mixed, groups, numeric)
        chance.append((abs((area(mixed, ranks, samples) or 0.5) - 0.5) if numeric else 0.0, found[0].balanced, found[1].precision))
    tops = [max(column) for column in zip(*chance)]
    return Study(positives, len(samples) - positives, auc, 0.5 + tops[0], accurate, tops[1], precise, tops[2])


def order_of(value):
    return (isinstance(value, str), value)


def groups_of(samples):
    """Runs of equal values: [(value, first, behind the last)]."""
    found, at = [], 0
    for value, run in itertools.groupby(samples, key=lambda sample: sample.value):
        size = len(list(run))
        found.append((value, at, at + size))
        at += size
    return found


def ranks_of(samples):
    """The mean rank of each sample among those of its stratum."""
    by_stratum = collections.defaultdict(list)
    for at, sample in enumerate(samples):
        by_stratum[sample.stratum].append(at)
    ranks = [0.0] * len(samples)
    for places in by_stratum.values():
        values = [order_of(samples[at].value) for at in places]
        for at, value in zip(places, values):
            ranks[at] = (bisect.bisect_left(values, value) + bisect.bisect_right(values, value) + 1) / 2
    return ranks


def area(labels, ranks, samples):
    """Share of the pairs of one stratum in which the positive one has the larger value; None without such pairs."""
    sums, counts = collections.defaultdict(float), collections.defaultdict(lambda: [0, 0])
    for label, rank, sample in zip(labels, ranks, samples):
        counts[sample.stratum][label] += 1
        if label:
            sums[sample.stratum] += rank
    won = sum(sums[one] - yes * (yes + 1) / 2 for one, (_, yes) in counts.items())
    pairs = sum(no * yes for no, yes in counts.values())
    return won / pairs if pairs else None


def best_rules(labels, groups, numeric):
    """The best rule by balanced accuracy, and by precision at enough recall."""
    positives = sum(labels)
    negatives = len(labels) - positives
    upto = [0] + list(itertools.accumulate(labels))
    accurate = precise = Rule("none", 0.5, 0.0, 0.0)
    for value, first, behind in groups:
        tried = [("==", upto[behind] - upto[first], behind - first)]
        if numeric:
            tried += [("<=", upto[behind], behind), (">", positives - upto[behind], len(labels) - behind)]
        for word, hits, chosen in tried:
            recall, false = hits / max(1, positives), (chosen - hits) / max(1, negatives)
            balanced, precision = (recall + 1 - false) / 2, hits / chosen if chosen else 0.0
            if balanced > accurate.balanced:
                accurate = Rule("%s %s" % (word, value), balanced, precision, recall)
            if recall >= RECALL and (precision, recall) > (precise.precision, precise.recall):
                precise = Rule("%s %s" % (word, value), balanced, precision, recall)
    return accurate, precise


class Shuffle:
    """Labels that say nothing of the values: within a pool, each cluster takes those of another."""

    def __init__(self, samples):
        self.random = random.Random(len(samples))
        self.size = len(samples)
        pools = collections.defaultdict(lambda: collections.defaultdict(list))
        for at, sample in enumerate(samples):
            pools[sample.pool][sample.cluster].append(at)
        self.pools = [list(clusters.values()) for clusters in pools.values()]
        self.labels_of = [sample.positive for sample in samples]

    def labels(self):
        mixed = [False] * self.size
        for clusters in self.pools:
            others = clusters[:]
            self.random.shuffle(others)
            for mine, other in zip(clusters, others):
                for at in mine:
                    mixed[at] = self.labels_of[self.random.choice(other)]
        return mixed
