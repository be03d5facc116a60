"""The box's log against the fates that `tamperscope compare` gives to packets.

In: `judge(scene, log, played, packets, fates, client_id, lossy)`: the scene, the rows of the box's log, what was played, the packets
of the two captures (`seen_packets`), {(end, packet number): (fate, number at the other end)}, the client whose capture it is, and the
captures that `compare` takes for ones with holes. Out: a list of `Finding`: one for each packet that a
logged event should have marked, and one for each packet that `compare` accuses and the log does not name. `why` is "" where both
agree, a word of `FAULTS` where nothing excuses the difference, else what explains it.
"""
import collections

import pcap

Seen = collections.namedtuple("Seen", "end number time key dir seq flags len ipid stamp", defaults=[None])  # stamp: its TCP timestamp
Finding = collections.namedtuple("Finding", "event end wanted found why packet row key")

UNEXPLAINED, IN_BOTH = "unexplained", "both captures hold the packet"
HOLES = "compare takes the other capture for one with holes"  # `make` sees to it that captures of the lab have none
LATER_FIN, MIXED = "its FIN arrived with a later segment", "copies that their timestamps tell apart are mixed up"
FAULTS = {UNEXPLAINED, IN_BOTH, HOLES, LATER_FIN, MIXED}  # what should not be
REDIRECTED = "a flow redirected to another server, not joined"
TIMESTAMPS = 8  # the TCP option
ACCUSING = {"injected", "dropped", "rewritten"}
SWALLOWED = {"dropped", "lost", "outage", "vanished", "mtu"}
NOTES = {"matched", "missed", "residual"}  # rows about a flow, not about a packet
OTHER = {"client": "server", "server": "client"}
SLACK_S = 0.05  # the box works a little late
LONGEST_WAY_S = 3.0  # from an end to where the box logs, queues and shaping included
ON_ITS_WAY_S = 1.0  # docs/compare.md: what was sent later than this before the other capture's end may have arrived after it
LATE_MS = 200.0  # docs/compare.md: `delayed` is later than twice the fastest time and this
SLOWEST_FASTEST_MS = 250.0  # no path of the lab has a fastest time above this


def inner_keys(played, log):
    """From what the servers see of a flow to the client's own: {(protocol, ip, port, server): key}."""
    inner = {}
    for row in list(played) + [row for row in log if row.get("client_port") is not None]:
        key = key_of(row)
        outer = (row.get("nat_ip") or key[1], row.get("nat_port") or key[2])
        for server in filter(None, (key[3], row.get("mitm_ip"))):
            inner[(key[0], *outer, server)] = key
    return inner


def key_of(row):
    protocol = row.get("protocol") or ("udp" if row.get("kind") in ("quic", "dns", "stun") else "tcp")
    return protocol, row["client_ip"], row.get("client_port"), row["server_ip"]


def seen_packets(path, end, servers, inner):
    """The TCP and UDP packets of a capture, each with its number and the client's own key of its flow."""
    link, records = pcap.read(str(path))
    found = []
    for number, record in enumerate(records, 1):
        packet = pcap.parse(record.data, link)
        if packet is None:
            continue
        c2s = packet.dst in servers
        client, server = ((packet.src, packet.sport), packet.dst) if c2s else ((packet.dst, packet.dport), packet.src)
        key = (packet.protocol, *client, server)
        stamp = next((value[:4] for kind, value in packet.options or () if kind == TIMESTAMPS), None)
        found.append(Seen(end, number, record.time_ns / 1e9, inner.get(key, key), "c2s" if c2s else "s2c", packet.seq, packet.flags,
                          packet.payload_len, packet.ipid, stamp))
    return found


# ---------------------------------------------------------------- what a row of the log asks for

def wishes(row):
    """What should be found for a row: list of (end, fate, fields of the packet, moment, sent rather than received)."""
    event, to = row["event"], row.get("to")
    if event in NOTES or event == "icmp" or row.get("mitm_ip") or row.get("client_port") is None:
        return []
    sender = "client" if row["dir"] == "c2s" else "server"
    mine = dict(seq=row.get("seq"), flags=row.get("flags"), len=row["len"], ipid=row.get("ipid"))
    was = dict(mine, flags=row["was_flags"], len=row["was_len"]) if row.get("was_flags") else mine
    if event == "injected" or (event == "own_reset" and to):
        return [(to, "injected", mine, row.get("arrives") or row["time"], False)]
    if event == "rewritten":
        return [(to, "rewritten", mine, row["arrives"], False), (OTHER[to], "rewritten", was, row["time"], True)]
    if event == "delayed":
        long = row["delay_ms"] > LATE_MS + SLOWEST_FASTEST_MS
        return [(sender, "delayed", mine, row["time"], True)] if long else []
    if event in SWALLOWED or event == "own_reset":
        forged = event == "lost" and to and not row.get("was_flags")  # a forged packet that never arrived: no capture holds it
        return [] if forged else [(sender, "dropped", was, row["time"], True)]
    raise ValueError("unknown event %r" % event)


class Ends:
    """The packets of both captures, found by what the log says of them."""

    def __init__(self, packets, fates, lossy=()):
        self.fates, self.taken, self.lossy = fates, set(), set(lossy)
        self.by_fields, self.flows, self.servers, self.span = collections.defaultdict(list), set(), set(), {}
        self.fins = set()
        for packet in packets:
            self.by_fields[packet.end, packet.key, packet.dir, packet.seq, packet.flags, packet.len, packet.ipid].append(packet)
            if "F" in (packet.flags or ""):
                self.fins.add((packet.end, packet.key, packet.dir, packet.seq + packet.len))
            self.flows.add((packet.end, packet.key))
            self.servers.add((packet.end, packet.key[3]))
            first, last = self.span.get(packet.end, (packet.time, packet.time))
            self.span[packet.end] = min(first, packet.time), max(last, packet.time)

    def fate(self, packet):
        return self.fates.get((packet.end, packet.number), (None, None))[0]

    def candidates(self, row, end, fields, moment, sent):
        found = self.by_fields.get((end, key_of(row), row["dir"], fields["seq"], fields["flags"], fields["len"], fields["ipid"]), [])
        since, until = (-LONGEST_WAY_S, SLACK_S) if sent else (-SLACK_S, LONGEST_WAY_S)
        return [packet for packet in found if since <= packet.time - moment <= until]

    def copies(self, packet, end):
        """The packets of a capture from which sequence number, flags, length and IPID do not tell this one."""
        return self.by_fields.get((end, packet.key, packet.dir, packet.seq, packet.flags, packet.len, packet.ipid), [])

    def take(self, row, wish, same_fate):
        """The free packet next in time that fits, or None; `same_fate`: only one with the fate that is asked for."""
        end, fate, fields, moment, sent = wish
        free = [packet for packet in self.candidates(row, end, fields, moment, sent)
                if (fate == "delayed" or (end, packet.number) not in self.taken) and (not same_fate or self.fate(packet) == fate)]
        if not free:
            return None
        packet = min(free, key=lambda packet: abs(packet.time - moment))
        if fate != "delayed":  # a delayed packet may be lost after that, and is then named by two rows
            self.taken.add((end, packet.number))
        return packet


# ---------------------------------------------------------------- both ways

def judge(scene, log, played, packets, fates, client_id, lossy=()):
    ends = Ends(packets, fates, lossy)
    mine = {key_of(row) for row in played if row["client"] == client_id and row.get("client_port")}
    asked = [(row, wish) for row in log if key_of(row) in mine for wish in wishes(row)]
    found = [(row, wish, ends.take(row, wish, True)) for row, wish in asked]
    late = scene.get("captured_until") or float("inf")
    findings = []
    for row, wish, packet in found:
        packet = packet or ends.take(row, wish, False)
        fate = ends.fate(packet) if packet else None
        why = "" if packet and fate == wish[1] else explain(ends, row, wish, packet, fate, late)
        findings.append(Finding(row["event"], wish[0], wish[1], fate or "none", why, packet, row, key_of(row)))
    redirected = {key_of(row) for row in log if row.get("mitm_ip")}
    return settle_pairs(findings + accusations(ends, packets, mine, redirected), ends)


def explain(ends, row, wish, packet, fate, late):
    """Why a packet has not the fate that the log asks for."""
    end, wanted = wish[:2]
    if packet is None:
        if max(row["time"], row.get("arrives") or 0) > min(late, ends.span.get(end, (0.0, 0.0))[1]):
            return "after the end of the captures"
        if wanted == "dropped" and "R" in (row.get("flags") or ""):
            return "a reset made on the way, lost again"
        if row["event"] == "own_reset":
            return "a reset of the load balancer that was lost on the way"
        return UNEXPLAINED
    if fate is None:
        return explain_silence(ends, wish, packet)
    if wanted == "delayed" and fate in ("dropped", "delivered"):
        return "delayed, then lost" if fate == "dropped" else UNEXPLAINED
    return fault(ends, packet)


def fault(ends, packet):
    """What is wrong with a fate: an excuse where nothing in the headers tells a packet from its copies."""
    mine, others = ends.copies(packet, packet.end), ends.copies(packet, OTHER[packet.end])
    if len(mine) > 1 and others:
        return MIXED if len({copy.stamp for copy in mine}) > 1 else "a copy with the same IPID arrived"
    if others and packet.ipid:
        return IN_BOTH
    later = (OTHER[packet.end], packet.key, packet.dir, (packet.seq or 0) + packet.len)
    return LATER_FIN if "F" in (packet.flags or "") and later in ends.fins else UNEXPLAINED


def explain_silence(ends, wish, packet):
    """Why `compare` says nothing of a packet."""
    other = OTHER[packet.end]
    first, last = ends.span.get(other, (float("inf"), 0.0))
    if (other, packet.key) not in ends.flows:
        if (other, packet.key[3]) not in ends.servers:
            return "server's address not in the other capture"
        return "the other capture lacks the flow"
    if wish[1] == "dropped" and packet.time > last - ON_ITS_WAY_S:
        return "after the last packet"
    if wish[1] == "injected" and packet.time < first + ON_ITS_WAY_S:
        return "before the first packet"
    return HOLES if other in ends.lossy else UNEXPLAINED


def accusations(ends, packets, mine, redirected):
    """Packets that `compare` accuses and no row names."""
    found = []
    for packet in packets:
        fate = ends.fate(packet)
        if fate in ACCUSING and (packet.end, packet.number) not in ends.taken:
            why = REDIRECTED if packet.key in redirected else fault(ends, packet)
            why = why if packet.key in mine else "a flow of no client of this pair"
            found.append(Finding("accusation", packet.end, "no accusation", fate, why, packet, None, packet.key))
    return found


def settle_pairs(findings, ends):
    """A forged packet beside a dropped one may look like one rewritten, and the reverse: same packets, other word."""
    events = {(f.packet.end, f.packet.number): f for f in findings if f.packet and f.row}
    settled = []
    for finding in findings:
        if finding.why in FAULTS and finding.packet and finding.row:
            peer = ends.fates.get((finding.packet.end, finding.packet.number), (None, None))[1]
            partner = events.get((OTHER[finding.end], peer))
            if finding.found == "rewritten" and partner and partner.found == "rewritten":
                finding = finding._replace(why="a drop and an injection, told as rewriting")
            elif finding.wanted == "rewritten" and finding.found in ("injected", "dropped"):
                finding = finding._replace(why="rewriting, told as a drop and an injection")
        settled.append(finding)
    return settled
