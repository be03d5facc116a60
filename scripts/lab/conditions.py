#!/usr/bin/env python3
"""Derives captures as field captures look from those of a made lab, and their rows of truth.

    conditions.py OUT [--seed N]

In: OUT/captures and OUT/truth.jsonl. Out: OUT/conditions/KIND-SCENE-CLIENT.pcap (.pcapng), and in truth.jsonl a row for every flow of
which a derived capture still holds a packet. What an earlier run derived is replaced. The same captures and seed give the same files.

Promises about rows: rows without interference keep what they expect. No condition makes another word of interference right. Where
proof may be lost, `expect` also holds `unknown` and `unreachable`; where no packet that shows the interference is left, `observable`
is false and `ok` is right as well. Together the derived captures hold at most BUDGET of the bytes of the originals.
"""
import argparse
import bisect
import collections
import os
import pathlib
import random as randoms
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import pcap  # noqa: E402
from box.packets import Packet as Whole  # noqa: E402
from lines import read_lines, write_lines  # noqa: E402

BUDGET = 0.45  # of the bytes of all captures
PASSES = 3  # kinds for each scene, as far as the budget goes
KINDS_PER_CAPTURE = 2
CLIENT_WEIGHT, SERVER_WEIGHT = 3, 1  # how likely a capture is drawn
SNAPLEN = 96
LOSS = 0.01
FORGED_WITHIN_S = 0.25  # of the time that the log gives a forged packet
FLIGHT = 4  # segments of a server's first flight, which holds the certificate
QUIET_S = 6.0  # of silence that must follow the last packet of an unanswered flow
MERGE_GAP_NS, MERGE_MOST = 1_000_000, 65535  # time between joined segments; bytes of an IP packet
INNOCENT = {"ok", "unreachable"}
ADDED = {"same": [], "unsure": ["unknown"], "doubtful": ["unknown", "unreachable"], "lost": ["ok", "unknown", "unreachable"]}


# ---------------------------------------------------------------- a capture and its flows

class Capture:
    """An original capture with its rows; flows are lists of packet numbers, ICMP errors about a flow apart from its own packets."""

    def __init__(self, out, file, rows):
        self.file, self.rows = file, rows
        self.vantage = rows[0]["vantage"]
        self.scene, self.client = pathlib.Path(file).parts[-2], pathlib.Path(file).stem
        self.link, self.records = pcap.read(os.path.join(out, file))
        self.packets = [pcap.parse(record.data, self.link) for record in self.records]
        self.clients = {row["client_ip"] for row in rows}
        self.servers = {row["server_ip"] for row in rows}
        self.own = self.clients if self.vantage == "client" else self.servers
        self.by_key = self.index()

    def time(self, number):
        return self.records[number].time_ns / 1e9

    def index(self):
        """(protocol, both ends) -> ([packets], [ICMP errors])."""
        found = collections.defaultdict(lambda: ([], []))
        for number, packet in enumerate(self.packets):
            if packet:
                found[key(packet.protocol, (packet.src, packet.sport), (packet.dst, packet.dport))][0].append(number)
            else:
                quote = quoted(self.records[number].data, pcap.network(self.records[number], self.link))
                if quote:
                    found[key(*quote)][1].append(number)
        return found

    def flows(self):
        """(row, its packets, ICMP errors about it); where the same ends meet again, by time."""
        same = collections.defaultdict(list)
        for row in self.rows:
            same[key_of(row)].append(row)
        for ends, rows in same.items():
            rows.sort(key=lambda row: row["start"])
            begins = [row["start"] - 0.05 for row in rows[1:]]
            parts = [([], []) for _ in rows]
            for kind in (0, 1):
                for number in self.by_key.get(ends, ([], []))[kind]:
                    parts[bisect.bisect(begins, self.time(number))][kind].append(number)
            for row, (packets, errors) in zip(rows, parts):
                yield row, packets, errors

    def to_client(self, number):
        """Whether a packet runs from server to client."""
        packet = self.packets[number]
        return (packet.dst if packet else self.addresses(number)[1]) in self.clients

    def from_own(self, number):
        """Whether this vantage's own side sent a packet."""
        packet = self.packets[number]
        return (packet.src if packet else self.addresses(number)[0]) in self.own

    def addresses(self, number):
        """Source and destination of any IP packet."""
        record = self.records[number]
        at = pcap.network(record, self.link)
        if at is None:
            return None, None
        begin, size = (12, 4) if record.data[at] >> 4 == 4 else (8, 16)
        begin += at
        return pcap.address(record.data[begin:begin + size]), pcap.address(record.data[begin + size:begin + 2 * size])


def key(protocol, one, other):
    return protocol, frozenset([one, other])


def key_of(row):
    return key(row["protocol"], (row["client_ip"], row["client_port"]), (row["server_ip"], row["server_port"]))


def quoted(data, at):
    """(protocol, one end, other end) of the packet that an ICMP "unreachable" at `at` is about, or None."""
    if at is None or len(data) < at + 56:
        return None
    version = data[at] >> 4
    body = at + ((data[at] & 15) * 4 if version == 4 else 40)
    number = data[at + (9 if version == 4 else 6)]
    inner = body + 8
    if (version, number, data[body:body + 1]) not in ((4, 1, b"\3"), (6, 58, b"\1")) or len(data) < inner + 20:
        return None
    place, size, ports = (12, 4, (data[inner] & 15) * 4) if version == 4 else (8, 16, 40)
    protocol = {6: "tcp", 17: "udp"}.get(data[inner + (9 if version == 4 else 6)])
    if protocol is None or len(data) < inner + ports + 4:
        return None
    source, target = (pcap.address(data[inner + place + step:inner + place + step + size]) for step in (0, size))
    sport, dport = struct.unpack_from("!HH", data, inner + ports)
    return protocol, (source, sport), (target, dport)


# ---------------------------------------------------------------- kinds: records out of records

# What a kind makes: records, their link type, the numbers of the original packets that are still there, those that were joined.
Derived = collections.namedtuple("Derived", "records link kept joined")


def derived(capture, records, link=None, kept=None, joined=()):
    kept = set(range(len(capture.records))) if kept is None else set(kept)
    return Derived(records, capture.link if link is None else link, kept, set(joined))


def only(capture, keeps):
    """The capture with those packets only whose number `keeps` lets through."""
    kept = [number for number in range(len(capture.records)) if keeps(number)]
    return derived(capture, [capture.records[number] for number in kept], kept=kept)


def snap96(capture, random):
    return derived(capture, [record._replace(data=record.data[:SNAPLEN]) for record in capture.records])


def moment(capture, random, low, high):
    """A time between two shares of the flows' starts, so that flows are left and some are under way."""
    starts = sorted(row["start"] for row in capture.rows)
    low, high = (starts[int(share * (len(starts) - 1))] for share in (low, high))
    return random.uniform(low, high)


def startcut(capture, random):
    since = moment(capture, random, 0.2, 0.55)
    return only(capture, lambda number: capture.time(number) >= since)


def endcut(capture, random):
    until = moment(capture, random, 0.45, 0.8)
    return only(capture, lambda number: capture.time(number) < until)


def caploss(capture, random):
    return only(capture, lambda number: random.random() >= LOSS)


def oneway_c2s(capture, random):
    return only(capture, lambda number: not capture.to_client(number))


def oneway_s2c(capture, random):
    return only(capture, capture.to_client)


def twice(capture, random):
    copies = [record._replace(time_ns=record.time_ns + 1000 * random.randint(2, 9)) for record in capture.records]
    return derived(capture, sorted(capture.records + copies, key=lambda record: record.time_ns))


def pcapngns(capture, random):
    """Times get digits below the microsecond, in the order of the packets."""
    records, last = [], 0
    for record in capture.records:
        time_ns = record.time_ns + random.randrange(1000)
        if last // 1000 == record.time_ns // 1000:
            time_ns = max(time_ns, last)
        records.append(record._replace(time_ns=time_ns))
        last = time_ns
    return derived(capture, records)


def vlan(capture, random):
    tag = struct.pack("!HH", 0x8100, random.randint(2, 4094))
    return derived(capture, [reframe(record, 12, record.data[:12] + tag) for record in capture.records])


def reframe(record, at, head):
    """The record with `head` in place of its first `at` bytes."""
    return record._replace(data=head + record.data[at:], length=record.length - at + len(head))


def reframed(capture, link, head_of):
    """Another link header before every IP packet; what is no IP packet has none there and goes."""
    places = {number: pcap.network(record, capture.link) for number, record in enumerate(capture.records)}
    kept = [number for number, at in places.items() if at is not None]
    records = []
    for number in kept:
        record = capture.records[number]
        records.append(reframe(record, places[number], head_of(number, record.data)))
    return derived(capture, records, link, kept)


def sll(capture, random):
    def head(number, data):
        return struct.pack("!HHH", 4 if capture.from_own(number) else 0, 1, 6) + data[6:12] + b"\0\0" + data[12:14]
    return reframed(capture, pcap.SLL, head)


def sll2(capture, random):
    def head(number, data):
        return data[12:14] + struct.pack("!HIHBB", 0, 2, 1, 4 if capture.from_own(number) else 0, 6) + data[6:12] + b"\0\0"
    return reframed(capture, pcap.SLL2, head)


def raw(capture, random):
    return reframed(capture, pcap.RAW, lambda number, data: b"")


def null(capture, random):
    return reframed(capture, pcap.NULL, lambda number, data: struct.pack("<I", 30 if data[12:14] == b"\x86\xdd" else 2))


def merged(capture, random):
    """Segments joined as GRO and TSO join them: Linux, net/ipv4/tcp_offload.c, tcp_gro_receive."""
    out, under_way = [], {}
    for number, (record, packet) in enumerate(zip(capture.records, capture.packets)):
        group = Group(number, record, packet)
        if packet and packet.protocol == "tcp":
            ends = (packet.src, packet.sport), (packet.dst, packet.dport)
            if packet.payload_len or set(packet.flags) - {"A"}:
                under_way.pop(ends[::-1], None)  # else it would be acknowledged before it comes
            before = under_way.get(ends)
            if before and before.takes(group):
                before.take(group)
                group = None
            else:
                under_way[ends] = group
        if group:
            out.append(group)
    joined = [number for group in out if len(group.numbers) > 1 for number in group.numbers]
    return derived(capture, [group.record() for group in out], joined=joined)


class Group:
    """One packet and the segments joined to it."""

    def __init__(self, number, record, packet):
        self.numbers, self.first, self.packet, self.last = [number], record, packet, packet
        self.last_ns, self.parts, self.mergeable = record.time_ns, [packet.payload if packet else b""], False
        if packet and packet.protocol == "tcp":
            self.fixed = self.fixed_fields()
            whole = len(record.data) == record.length and len(packet.payload) == packet.payload_len > 0
            self.mergeable = self.fixed is not None and whole and set(packet.flags) - {"P"} == {"A"}
            self.size = packet.header_len + packet.payload_len
        self.ended = not self.mergeable or "P" in packet.flags

    def fixed_fields(self):
        """What must be equal: addresses, class or flow label, fragment bits, TTL, flags but PSH, options; None with IP options."""
        data, at = self.first.data, self.packet.ip_offset
        end = at + self.packet.header_len
        if data[at] == 0x45:
            return data[:at + 2], data[at + 6:at + 10], data[at + 12:at + 20], data[at + 33] & ~8, data[at + 40:end]
        if data[at] >> 4 == 6 and data[at + 6] == pcap.TCP:
            return data[:at + 4], data[at + 6:at + 40], data[at + 53] & ~8, data[at + 60:end]
        return None

    def takes(self, other):
        if self.ended or not other.mergeable or self.fixed != other.fixed:
            return False
        follows = other.packet.seq == (self.packet.seq + sum(map(len, self.parts))) & 0xFFFFFFFF
        in_step = self.last.ipid is None or (other.packet.ipid - self.last.ipid) & 0xFFFF in (0, 1)
        close = 0 <= other.first.time_ns - self.last_ns <= MERGE_GAP_NS
        fits = self.size + len(other.parts[0]) <= MERGE_MOST and len(other.parts[0]) <= len(self.parts[0])
        return follows and in_step and close and fits

    def take(self, other):
        self.numbers += other.numbers
        self.parts += other.parts
        self.size += len(other.parts[0])
        self.last, self.last_ns = other.packet, other.last_ns
        self.ended = "P" in other.packet.flags or len(other.parts[0]) < len(self.parts[0])

    def record(self):
        """The joined packet: acknowledgement and window of the last, PSH if any had it, lengths and checksums anew."""
        if len(self.numbers) == 1:
            return self.first
        at, data = self.packet.ip_offset, bytearray(self.first.data[:self.packet.ip_offset + self.packet.header_len])
        version = data[at] >> 4
        struct.pack_into("!H", data, at + (2 if version == 4 else 4), self.size - (0 if version == 4 else 40))
        tcp = at + ((data[at] & 15) * 4 if version == 4 else 40)
        struct.pack_into("!I", data, tcp + 8, self.last.ack)
        data[tcp + 13] |= 8 if "P" in self.last.flags else 0  # a segment with PSH ends a group
        struct.pack_into("!H", data, tcp + 14, self.last.window)
        whole = Whole(bytes(data[at:]) + b"".join(self.parts))
        whole.sum_all()
        data = bytes(data[:at]) + bytes(whole.raw)
        return pcap.Record(self.first.time_ns, data, len(data))


KINDS = {"snap96": snap96, "startcut": startcut, "endcut": endcut, "caploss": caploss, "twice": twice, "oneway-c2s": oneway_c2s,
         "oneway-s2c": oneway_s2c, "merged": merged, "sll": sll, "sll2": sll2, "raw": raw, "null": null, "pcapngns": pcapngns,
         "vlan": vlan}


# ---------------------------------------------------------------- what a derived capture still shows

# Mechanisms whose proof is that something did not come.
ABSENCES = {"hello_unacked", "hello_acked_then_silent", "cut_after_packets", "volume_freeze", "first_payload_unacked",
            "request_unacked", "syn_unanswered", "synack_unacked", "initial_unanswered", "dns_no_answer", "stun_unanswered",
            "media_cut"}
SLOWING = {"policing", "shaping", "random_loss"}
NAMED = {"sni", "http_host", "dns_name", "protocol", "tls_fingerprint"}  # triggers that 96 bytes do not show

# What 96 bytes of a packet leave of a mechanism; where nothing is said, all of it: addresses, flags, numbers, lengths and times.
SNAPPED = {
    "hello_unacked": "doubtful", "hello_acked_then_silent": "doubtful", "cut_after_packets": "doubtful", "volume_freeze": "doubtful",
    "first_payload_unacked": "doubtful", "request_unacked": "doubtful", "initial_unanswered": "doubtful",  # the name, the protocol
    "dns_forged": "doubtful", "dns_forged_nxdomain": "doubtful", "dns_removed": "doubtful", "dns_refused": "doubtful",
    "dns_no_answer": "doubtful",  # the end of the question, the answers
    "block_page": "doubtful", "redirect": "doubtful",  # all but the status line
    "certificate": "lost",
}


class Remains:
    """What a derived capture still shows of the flows of its original."""

    def __init__(self, kind, capture, made):
        self.kind, self.capture, self.made = kind, capture, made
        self.flows = list(capture.flows())
        self.controls = self.servers_of_controls(lambda packets: True)
        self.controls_left = self.servers_of_controls(made.kept.issuperset)

    def servers_of_controls(self, whole):
        """Servers that a flow without interference worked with, of which `whole` says that all packets are there."""
        return {(row["protocol"], row["server_ip"]) for row, packets, _ in self.flows
                if row["label"] == "ok" and row["outcome"] == "worked" and whole(packets)}

    def effect(self, row, packets, errors):
        """What is left of an interference: same, unsure, doubtful or lost."""
        shown = evidence(row, self.capture, packets, errors)
        if shown and not self.made.kept & shown:
            return "lost"
        if self.kind == "caploss":
            return "unsure"  # whatever is missing may have been the proof
        if self.kind.startswith("oneway") or not self.made.kept.issuperset(packets + errors):
            return "doubtful"
        rule = {"snap96": self.when_snapped, "startcut": self.when_cut, "endcut": self.when_cut, "merged": self.when_merged}
        return rule[self.kind](row, packets) if self.kind in rule else "same"

    def when_snapped(self, row, packets):
        found = SNAPPED.get(row["mechanism"], "same")
        compared = row["needs"] == "controls" and row["trigger"] in NAMED
        return "doubtful" if found == "same" and compared else found

    def when_cut(self, row, packets):
        """The flow is whole; what may be missing is the silence after its last packet, and what to compare it with."""
        silence = self.made.records[-1].time_ns / 1e9 - self.capture.time(packets[-1])
        short = self.kind == "endcut" and row["mechanism"] in ABSENCES and silence < QUIET_S
        server = row["protocol"], row["server_ip"]
        alone = row["needs"] == "controls" and server in self.controls and server not in self.controls_left
        return "doubtful" if short or alone else "same"

    def when_merged(self, row, packets):
        """Joining changes how many packets there are, and no byte."""
        counted = row["mechanism"] == "cut_after_packets" and self.made.joined.intersection(packets)
        return "doubtful" if counted else "same"

    def rows(self, file):
        """One row for each flow of which a packet is left."""
        found = []
        for row, packets, errors in self.flows:
            if self.made.kept.intersection(packets):
                left = "same" if row["label"] in INNOCENT else self.effect(row, packets, errors)
                expect = row["expect"] + [word for word in ADDED[left] if word not in row["expect"]]
                found.append(dict(row, file=file, condition=self.kind.split("-")[0], expect=expect,
                                  observable=row["observable"] and left != "lost"))
        return sorted(found, key=lambda row: row["start"])


def evidence(row, capture, packets, errors):
    """The numbers of the packets that show the interference at this vantage; empty where none can be told."""
    mechanism, effect_time = row["mechanism"], row["effect_time"]
    if mechanism == "icmp_unreachable":
        return set(errors)
    if mechanism == "certificate":
        return set([number for number in packets if capture.to_client(number) and capture.packets[number].payload_len][:FLIGHT])
    if mechanism == "dns_removed":
        return {number for number in packets if capture.to_client(number)}
    forged = forged_packets(row, capture, packets)
    if forged:
        return forged
    if mechanism in SLOWING:
        return {number for number in packets if capture.time(number) >= effect_time}
    return unanswered(row, capture, packets)


def unanswered(row, capture, packets):
    """What the own side still sent in vain; where it sent nothing more, its last packet before."""
    own = [number for number in packets if capture.from_own(number)]
    after = [number for number in own if capture.time(number) > row["effect_time"]]
    return set(after or own[-1:])


def forged_packets(row, capture, packets):
    """Packets that the box made or rewrote and that came to this vantage."""
    found = set()
    for forged in row["injected"]:
        if forged["to"] == row["vantage"]:
            found |= {number for number in packets if not capture.from_own(number) and looks_like(forged, capture, number)}
    return found


def looks_like(forged, capture, number):
    packet = capture.packets[number]
    fields = all(forged.get(name) in (None, getattr(packet, name)) for name in ("ttl", "ipid", "seq", "flags"))
    return fields and abs(capture.time(number) - forged["time"]) < FORGED_WITHIN_S


# ---------------------------------------------------------------- the whole lab

def draw(files, random):
    """Yields (kind, file): every scene a kind in each pass, no kind twice in a scene, all kinds about equally often."""
    by_scene = collections.defaultdict(list)
    for file in sorted(files):
        by_scene[pathlib.Path(file).parts[-2]].append(file)
    used, deck = collections.defaultdict(set), []
    for _ in range(PASSES):
        for scene in random.sample(sorted(by_scene), len(by_scene)):
            deck = deck if len(deck) >= len(KINDS) else deck + random.sample(sorted(KINDS), len(KINDS))
            taken = {kind for file in by_scene[scene] for kind in used[file]}
            free = [file for file in by_scene[scene] if len(used[file]) < KINDS_PER_CAPTURE]
            kind = next((kind for kind in deck if kind not in taken), None)
            if kind and free:
                file = random.choices(free, [SERVER_WEIGHT if file.endswith("/server.pcap") else CLIENT_WEIGHT for file in free])[0]
                deck.remove(kind)
                used[file].add(kind)
                yield kind, file


def write(path, made):
    """pcapng by the file's name, else pcap with microseconds; the snap length that the records show."""
    cut = [len(record.data) for record in made.records if len(record.data) < record.length]
    snaplen = max(cut) if cut else 262144
    (pcap.write_pcapng if path.suffix == ".pcapng" else pcap.write_pcap)(path, made.records, made.link, snaplen)


def derive(out, seed=1):
    """Makes OUT/conditions and its rows anew; the rows."""
    out = pathlib.Path(out)
    originals, by_file = [row for row in read_lines(out / "truth.jsonl") if row["condition"] is None], collections.defaultdict(list)
    for row in originals:
        by_file[row["file"]].append(row)
    clear(out / "conditions")
    budget = BUDGET * sum((out / file).stat().st_size for file in by_file)
    rows = []
    for kind, file in draw(by_file, randoms.Random(seed)):
        capture = Capture(out, file, by_file[file])
        made = KINDS[kind](capture, randoms.Random("%d %s %s" % (seed, kind, file)))
        size = sum(len(record.data) + 32 for record in made.records)
        name = "conditions/%s-%s-%s.%s" % (kind, capture.scene, capture.client, "pcapng" if kind == "pcapngns" else "pcap")
        found = Remains(kind, capture, made).rows(name)
        if found and size <= budget:
            write(out / name, made)
            rows += found
            budget -= size
    write_lines(out / "truth.jsonl", originals + rows)
    return rows


def clear(folder):
    """Takes away what an earlier run derived."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name.startswith(tuple(kind + "-" for kind in KINDS)):
            path.unlink()


def main():
    parser = argparse.ArgumentParser(description="captures as field captures look")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    rows = derive(told.out, told.seed)
    print("%d captures, %d rows" % (len({row["file"] for row in rows}), len(rows)))


if __name__ == "__main__":
    main()
