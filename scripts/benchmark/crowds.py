"""Very many flows of few packets: a SYN flood, and connections that are all open at the same time."""
from headers import ACK, FIN, PSH, RST, SYN, TCP, Half
from payload import Payload
from pcap import RECORD, START, write_all
from tcp import CLIENTS_MAX, client_address

PIECES = 200_000
FLOOD_SERVER = bytes((198, 18, 0, 80))
ANSWER_AFTER = 150  # microseconds


def scattered(number, bits=48):
    """Another number below 2^48 for each: no two flows share a tuple (a product with an odd number and a shift can both be undone)."""
    mask = (1 << bits) - 1
    for factor in (0x9E3779B97F4B, 0xC2B2AE3D27D5):
        number = number * factor & mask
        number ^= number >> 23
    return number


def flood(file, count, answers, rng):
    """`count` SYNs, a million a second. Sources may be any unicast address (1 to 223), not only real ones, as in a forged flood."""
    random, pieces, waiting, answered, number = rng.random, [], [], 0, 0
    for at in range(count):
        tuple_bits = scattered(number)
        number += 1
        while not 1 <= tuple_bits >> 40 <= 223 or tuple_bits >> 40 in (10, 127, 198):
            tuple_bits = scattered(number)
            number += 1
        source, port = (tuple_bits >> 16).to_bytes(4, "big"), tuple_bits & 0xFFFF
        half = Half(source, FLOOD_SERVER, (port, 443), TCP, 40 + port % 24, True, random)
        put(pieces, at, half.tcp(at, SYN, acked=0, options=b"\x02\x04\x05\xb4"))
        if random() < answers:
            waiting.append((at + ANSWER_AFTER, answer(source, port, half.seq, random)))
        while answered < len(waiting) and waiting[answered][0] <= at:
            put(pieces, *waiting[answered])
            answered += 1
        if len(pieces) > PIECES:
            write_all(file, b"".join(pieces))
            pieces.clear()
            del waiting[:answered]
            answered = 0
    for late in waiting[answered:]:
        put(pieces, *late)
    write_all(file, b"".join(pieces))


def answer(source, port, seq, random):
    half = Half(FLOOD_SERVER, source, (443, port), TCP, 64, False, random)
    half.acked = (seq + 1) & 0xFFFFFFFF
    if random() < 0.5:
        half.seq = half.window = 0
        return half.tcp(0, RST | ACK)
    return half.tcp(0, SYN | ACK, options=b"\x02\x04\x05\xb4")


def put(pieces, time, packet):
    seconds, micros = divmod(time, 1_000_000)
    pieces.append(RECORD.pack(START + seconds, micros, len(packet), len(packet)))
    pieces.append(packet)


def alive_together(capture, count, rng):
    """All are opened within a minute, speak in an order of their own, and are closed after the last has spoken."""
    payload = Payload(rng)
    random, hellos, answers = rng.random, payload.hellos, payload.answers
    pace = 60_000_000 / count

    def ends(flow):
        """Both directions of a flow, made anew each time: a million of them need no memory."""
        client, server, port = client_address(flow), bytes((198, 18, flow % 7, flow % 251)), 1_025 + flow // CLIENTS_MAX
        near = Half(client, server, (port, 443), TCP, 61, True, random)
        far = Half(server, client, (443, port), TCP, 50, False, random)
        near.seq, far.seq = flow * 0x9E3779B1 & 0xFFFFFFFF, flow * 0x85EBCA77 & 0xFFFFFFFF
        return near, far

    def step(half, other, time, flags, sent, seen, body=(b"", 0), options=b""):
        packet = half.tcp(time, flags, *body, (half.seq + sent) & 0xFFFFFFFF, (other.seq + seen) & 0xFFFFFFFF if flags & ACK else 0, options)
        capture.add(time, half.place, packet)

    mss = b"\x02\x04\x05\xb4"
    for number in range(count):  # opened
        time = int(number * pace)
        near, far = ends(number)
        step(near, far, time, SYN, 0, 0, options=mss)
        step(far, near, time + 20_000, SYN | ACK, 0, 1, options=mss)
        step(near, far, time + 24_000, ACK, 1, 1)
        capture.write_until(time)
    later = 61_000_000
    for number in range(count):  # hello and answer
        flow, time = shuffled(number, count), later + int(number * pace)
        near, far = ends(flow)
        hello, answer_ = hellos[flow % len(hellos)][flow & 1], answers[flow & 15]
        step(near, far, time, PSH | ACK, 1, 1, hello)
        step(far, near, time + 20_000, PSH | ACK, 1, 1 + len(hello[0]), answer_)
        step(near, far, time + 24_000, ACK, 1 + len(hello[0]), 1 + len(answer_[0]))
        capture.write_until(time)
    later += 61_000_000
    for number in range(count):  # closed
        flow, time = shuffled(number, count), later + int(number * pace / 4)
        near, far = ends(flow)
        sent, seen = 1 + len(hellos[flow % len(hellos)][flow & 1][0]), 1 + len(answers[flow & 15][0])
        step(near, far, time, FIN | ACK, sent, seen)
        step(far, near, time + 20_000, FIN | ACK, seen, sent + 1)
        step(near, far, time + 24_000, ACK, sent + 1, seen + 1)
        capture.write_until(time)
    capture.finish()


def shuffled(number, count):
    """Each number below `count` once, far from its neighbours: 982,451,653 is a prime."""
    return number * 982_451_653 % count
