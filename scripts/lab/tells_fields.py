"""What a passive reader can measure of a flow before anything was done to it, and of the resets and answers in it.

In: a made lab (truth.jsonl and captures). Out: `read_lab(OUT)`: a list of `FlowSeen`, one for each row of truth, with the fields
`fields` of the flow and a list of `PacketSeen` (the first reset, the first HTTP or DNS answer; `forged`: the box made it).
None of the fields of a flow knows anything of what became of it: they are read from truth's addresses and name, the handshake and
the client's hello, and from packets before the first effect.
"""
import collections
import ipaddress
import json
import pathlib

import pcap
from box.packets import after
from lines import read_lines

FlowSeen = collections.namedtuple("FlowSeen", "row scene kind cluster interfered fields packets")
PacketSeen = collections.namedtuple("PacketSeen", "what forged fields")

NAMED = {"sni", "http_host", "dns_name"}  # triggers that are names
HARMLESS = {"ok", "unreachable"}
MATCH_S = 0.5  # a forged packet is in the capture within this of the time in truth: a busy machine writes late


def read_truth(out):
    """Rows of whole captures; of the scenes that are there, while the lab is still being made."""
    whole = out / "truth.jsonl"
    files = [whole] if whole.exists() else sorted((out / "logs").glob("*.truth.jsonl"))
    rows = [row for path in files for row in read_lines(path)]
    return [row for row in rows if not row.get("condition") and row["file"].startswith("captures/")]


def read_lab(out):
    out = pathlib.Path(out)
    by_file = collections.defaultdict(list)
    for row in read_truth(out):
        by_file[row["file"]].append(row)
    triggers = triggers_of(row for rows in by_file.values() for row in rows)
    acts = acts_of(out)
    found = []
    for path, rows in sorted(by_file.items()):
        if (out / path).exists():
            found += read_capture(out / path, rows, triggers, acts)
    return found


def triggers_of(rows):
    """{scene: the trigger of its censor}; residual blocks, keyed on an address, come after a trigger of their own."""
    counts = collections.defaultdict(collections.Counter)
    for row in rows:
        if row["label"] not in HARMLESS:
            counts[row["scenario"]][row["trigger"], not row["cause"].startswith("residual")] += 1
    return {scene: max(found, key=lambda key: (key[1], found[key]))[0] for scene, found in counts.items()}


def acts_of(out):
    """{(scene, protocol, client port, server): act}, where the lab has kept what was played."""
    acts = {}
    for path in (out / "logs").glob("*.played.jsonl"):
        for line in path.read_text().splitlines():
            flow = json.loads(line)
            acts[path.name[:-len(".played.jsonl")], flow.get("client_port"), flow["server_ip"]] = flow.get("act")
    return acts


def read_capture(path, rows, triggers, acts):
    link, records = pcap.read(str(path))
    packets = collections.defaultdict(list)
    for number, record in enumerate(records, 1):
        packet = pcap.parse(record.data, link)
        if packet:
            ends = frozenset([(packet.src, packet.sport), (packet.dst, packet.dport)])
            packets[packet.protocol, ends].append((number, record.time_ns / 1e9, packet))
    begun = min((row["start"] for row in rows), default=0.0)
    rows = sorted(rows, key=lambda row: row["start"])
    found = [flow_seen(row, order, begun, len(records), packets, triggers, acts) for order, row in enumerate(rows)]
    add_jitter(found)
    return found


def add_jitter(flows):
    """How much longer a handshake took than the fastest one between the same two ends."""
    fastest = {}
    for flow in flows:
        ends, took = (flow.row["client_ip"], flow.row["server_ip"]), flow.fields.get("round trip")
        if took is not None:
            fastest[ends] = min(took, fastest.get(ends, took))
    for flow in flows:
        if flow.fields.get("round trip") is not None:
            flow.fields["jitter"] = round(flow.fields["round trip"] - fastest[flow.row["client_ip"], flow.row["server_ip"]], 1)


def flow_seen(row, order, begun, total, packets, triggers, acts):
    client, server = (row["client_ip"], row["client_port"]), (row["server_ip"], row["server_port"])
    mine = packets.get((row["protocol"], frozenset([client, server])), [])
    mine = [(number, time, packet, (packet.src, packet.sport) == client) for number, time, packet in mine]
    trigger = triggers.get(row["scenario"])
    cluster = row["name"] if trigger in NAMED else row["server_ip"] if trigger == "server_ip" else (row["file"], order)
    fields = dict(of_truth(row, order, begun), **of_packets(mine, total))
    fields["act"] = acts.get((row["scenario"], row["client_port"], row["server_ip"]))
    return FlowSeen(row, row["scenario"], (row["protocol"], row["kind"]), cluster, row["label"] not in HARMLESS, fields,
                    list(packets_seen(row, mine)))


# ---------------------------------------------------------------- fields of a flow

def of_truth(row, order, begun):
    name = row.get("name")
    return {
        "client port": row["client_port"], "server port": row["server_port"], "server address": row["server_ip"],
        "server network": network_of(row["server_ip"]), "client": row["file"].rpartition("/")[2], "kind": row["kind"],
        "name length": name and len(name), "labels of name": name and name.count(".") + 1,
        "known service": row.get("service") is not None, "top-level domain": name and name.rpartition(".")[2],
        "start in scene": round(row["start"] - begun, 3), "order in scene": order,
    }


def network_of(address):
    return str(ipaddress.ip_network("%s/%d" % (address, 32 if ":" in address else 16), strict=False))


def of_packets(mine, total):
    """From the handshake and the hello; a field that is not there is None."""
    found = {"place in capture": mine[0][0] / total if mine else None}
    syn = next((one for one in mine if one[3] and one[2].flags == "S"), None)
    answer = next((one for one in mine if not one[3] and one[2].flags == "SA"), None)
    payloads = [one[2] for one in mine if one[3] and one[2].payload_len]
    if syn:
        found.update(of_first("SYN", syn[2]))
    if answer:
        found.update(of_first("SYN/ACK", answer[2]))
    acked = answer and next((one for one in mine if one[3] and one[0] > answer[0] and "S" not in (one[2].flags or "")), None)
    if syn and answer and acked:
        found["round trip"] = round(max(answer[1] - syn[1], acked[1] - answer[1]) * 1000, 1)
    if payloads:
        found["IPID of first payload"], found["window of first payload"] = payloads[0].ipid, payloads[0].window
        found.update(of_hello(payloads))
    if not syn and mine and mine[0][2].protocol == "udp":
        found.update({"datagram TTL": mine[0][2].ttl, "datagram IPID": mine[0][2].ipid, "datagram length": mine[0][2].payload_len})
    return found


def of_first(word, packet):
    options = dict(packet.options)
    return {word + " TTL": packet.ttl, word + " IPID": packet.ipid, word + " window": packet.window,
            word + " options": ",".join(str(kind) for kind, _ in packet.options),
            word + " MSS": int.from_bytes(options.get(2, b""), "big") or None,
            word + " window scale": options[3][0] if options.get(3) else None}


def of_hello(payloads):
    """Length, parts and versions of a ClientHello that begins the flow; the length of any other first payload."""
    data, parts, wanted = b"", 0, None
    for packet in payloads[:8]:
        data, parts = data + packet.payload, parts + 1
        if data[:1] != b"\x16" or len(data) < 9:
            return {"first payload length": payloads[0].payload_len}
        wanted = int.from_bytes(data[6:9], "big") + 9
        if sum(one.payload_len for one in payloads[:parts]) >= wanted:
            break
    return {"hello length": wanted, "hello packets": parts, "hello record length": int.from_bytes(data[3:5], "big"),
            "hello offers TLS 1.3": b"\x00\x2b\x00" in data[:wanted]}


# ---------------------------------------------------------------- resets and answers

def packets_seen(row, mine):
    """The first reset towards this vantage, and the first answer with payload, each with its fields."""
    inbound = [one for one in mine if one[3] != (row["vantage"] == "client")]
    forged = [made for made in row["injected"] if made["to"] == row["vantage"]]
    resets = [one for one in inbound if "R" in (one[2].flags or "")]
    if resets:
        yield PacketSeen("reset to the " + row["vantage"], is_forged(resets[0], forged), of_reset(resets[0], mine, resets))
    answers = [one for one in inbound if one[2].payload_len and "R" not in (one[2].flags or "")]
    made = next((one for one in answers if is_forged(one, forged)), None)
    if answers and row["vantage"] == "client" and row["kind"] in ("http", "dns"):
        first = made or answers[0]
        yield PacketSeen("%s answer to the client" % row["kind"], made is not None, of_answer(first, mine))


def is_forged(one, forged):
    number, time, packet, _ = one
    return any(abs(made["time"] - time) < MATCH_S and made.get("seq", packet.seq) == packet.seq and
               made.get("flags", packet.flags) == packet.flags and made.get("ipid") in (None, packet.ipid) for made in forged)


def of_reset(one, mine, resets):
    number, time, packet, from_client = one
    before = [other for other in mine if other[0] < number]
    same = [other for other in before if other[3] == from_client and "R" not in other[2].flags]
    sent = [other for other in before if other[3] != from_client and other[2].payload_len]
    found = dict(of_header(packet, same), flags=packet.flags, window=packet.window)
    found["options"] = ",".join(str(kind) for kind, _ in packet.options)
    found["acknowledges nothing"] = packet.ack == 0
    found["place in flow"] = len(before)
    found["resets in flow"] = len(resets)
    if same:
        last = max(((other[2].seq + other[2].payload_len + sum(letter in other[2].flags for letter in "SF")) & 0xFFFFFFFF
                    for other in same), key=lambda seq: after(seq, same[0][2].seq))
        found["sequence number past the expected"] = after(packet.seq, last)
        found["window less the last"] = (packet.window or 0) - scaled_window(same[-1][2])
    if sent:
        found["ms after the first payload"] = round((time - sent[0][1]) * 1000, 1)
        found["ms after the last payload"] = round((time - sent[-1][1]) * 1000, 1)
    return found


def scaled_window(packet):
    """As later segments would say it: the window of a SYN is not scaled (RFC 7323 section 2.2)."""
    shift = dict(packet.options).get(3) if "S" in packet.flags else None
    return ((packet.window or 0) + (1 << shift[0]) - 1) >> shift[0] if shift else packet.window or 0


def of_answer(one, mine):
    number, time, packet, from_client = one
    before = [other for other in mine if other[0] < number]
    asked = [other for other in before if other[3] != from_client and other[2].payload_len]
    found = of_header(packet, [other for other in before if other[3] == from_client])
    if packet.protocol == "tcp":
        found.update(flags=packet.flags, window=packet.window, options=",".join(str(kind) for kind, _ in packet.options))
        found["length"] = packet.payload_len
    else:
        found.update(of_dns(packet.payload))
    if asked:
        found["ms after the first payload"] = round((time - asked[0][1]) * 1000, 1)
    return found


def of_dns(message):
    """Header bits of an answer but its code, which is what was done; of one with records also counts, length and first lifetime."""
    if len(message) < 12:
        return {}
    found = {"DNS flags": (message[2] << 8 | message[3]) & 0xFFF0, "additional records": int.from_bytes(message[10:12], "big")}
    answers, at = int.from_bytes(message[6:8], "big"), message.find(b"\xc0\x0c", 12)
    if answers:
        found.update({"answers": answers, "length": len(message)})
    if answers and at > 0 and len(message) >= at + 10:
        found["lifetime of the first record"] = int.from_bytes(message[at + 6:at + 10], "big")
    return found


def of_header(packet, same):
    """TTL and IPID, and how they differ from the last packet that claims the same sender."""
    found = {"TTL": packet.ttl, "IPID": packet.ipid, "IPID is zero": None if packet.ipid is None else packet.ipid == 0}
    if same:
        found["TTL less the sender's"] = packet.ttl - same[-1][2].ttl
        if packet.ipid is not None:
            found["IPID step"] = after16(packet.ipid, same[-1][2].ipid)
    return found


def after16(a, b):
    return ((a - b + 0x8000) & 0xFFFF) - 0x8000
