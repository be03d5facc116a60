"""Capture files and the packets in them: bytes of a file in, records and fields out, and the reverse.

    read(PATH) -> (link type, [Record])      pcap of either byte order with micro- or nanoseconds, and pcapng
    write_pcap(PATH, RECORDS), write_pcapng(PATH, RECORDS)
    network(RECORD, LINK) -> where the IP header begins, or None
    parse(DATA, LINK) -> Packet, or None for what is no TCP or UDP over IP

`read` gives back what was written, time to the nanosecond (pcap without nanoseconds: to the microsecond, rounded down). A record that
the end of the file cuts short is left out. `parse` takes packets that a snap length cut, as long as the header is there up to the
flags; `payload` is what was captured, `payload_len` what was sent.
"""
import collections
import ipaddress
import struct

ETHERNET, NULL, LOOP, RAW, SLL, SLL2 = 1, 0, 108, 101, 113, 276
RAWS = {RAW, 12, 14, 228, 229}
ETHERTYPES = {0x0800, 0x86DD}
VLANS = {0x8100, 0x88A8, 0x9100}
FAMILIES = {2, 10, 24, 28, 30}  # of the null header: AF_INET, and AF_INET6 as Linux, the BSDs and macOS number it
EXTENSIONS = {0, 43, 44, 51, 60}  # IPv6: hop-by-hop, routing, fragment, authentication, destination options
TCP, UDP = 6, 17
LETTERS = ((1, "F"), (2, "S"), (4, "R"), (8, "P"), (16, "A"), (32, "U"))  # the order of the box's log
SECTION, INTERFACE, ENHANCED, BYTE_ORDER = 0x0A0D0D0A, 1, 6, 0x1A2B3C4D
TSRESOL = 9  # option of an interface: the unit of its times
MAGICS = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}  # of a pcap file: nanoseconds in a unit of its times

Record = collections.namedtuple("Record", "time_ns data length")
# header_len: IP and transport header together, so that the payload begins at ip_offset + header_len.
Packet = collections.namedtuple("Packet", "protocol src sport dst dport ttl ipid seq ack flags window options payload_len payload "
                                          "header_len ip_offset")


# ---------------------------------------------------------------- files

def read(path):
    """Link type and records of a capture; ValueError for what is neither pcap nor pcapng."""
    with open(path, "rb") as source:
        data = source.read()
    if data[:4] == struct.pack(">I", SECTION):
        return read_pcapng(data)
    for order in "<>":
        if len(data) >= 24 and struct.unpack_from(order + "I", data)[0] in MAGICS:
            return read_pcap(data, order)
    raise ValueError("%s: neither pcap nor pcapng" % path)


def read_pcap(data, order):
    unit = MAGICS[struct.unpack_from(order + "I", data)[0]]
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF  # above it: length of a frame check sequence
    head, records, at = struct.Struct(order + "IIII"), [], 24
    while at + 16 <= len(data):
        seconds, fraction, size, length = head.unpack_from(data, at)
        at += 16 + size
        if at > len(data):
            break
        records.append(Record(seconds * 10**9 + fraction * unit, data[at - size:at], length))
    return link, records


def read_pcapng(data):
    """Records of all interfaces; ValueError where these differ in link type."""
    interfaces, links, records, at, order = [], [], [], 0, "<"
    while at + 12 <= len(data):
        if data[at:at + 4] == struct.pack(">I", SECTION):
            order, interfaces = "<" if data[at + 8:at + 12] == struct.pack("<I", BYTE_ORDER) else ">", []
        kind, size = struct.unpack_from(order + "II", data, at)
        if size < 12 or at + size > len(data):
            break
        body = data[at + 8:at + size - 4]
        if kind == INTERFACE:
            links.append(struct.unpack_from(order + "H", body)[0])
            interfaces.append(units_per_second(body, order))
        elif kind == ENHANCED:
            records.append(enhanced(body, order, interfaces))
        at += size
    if len(set(links)) > 1:
        raise ValueError("interfaces of different link types: %s" % sorted(set(links)))
    return links[0] if links else ETHERNET, records


def units_per_second(body, order):
    """What the interface's option says of its times; microseconds where it says nothing."""
    at = 8
    while at + 4 <= len(body):
        code, size = struct.unpack_from(order + "HH", body, at)
        if code == TSRESOL:
            value = body[at + 4]
            return 2 ** (value & 127) if value & 128 else 10 ** value
        at += 4 + size + -size % 4
    return 10**6


def enhanced(body, order, interfaces):
    interface, high, low, size, length = struct.unpack_from(order + "IIIII", body)
    return Record((high << 32 | low) * 10**9 // interfaces[interface], body[20:20 + size], length)


def write_pcap(path, records, link=ETHERNET, snaplen=262144, nanoseconds=False):
    """A little-endian pcap file; bytes beyond `snaplen` are cut off."""
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    with open(path, "wb") as target:
        target.write(struct.pack("<IHHiIII", magic, 2, 4, 0, 0, snaplen, link))
        for time_ns, data, length in records:
            data = data[:snaplen]
            target.write(struct.pack("<IIII", time_ns // 10**9, time_ns % 10**9 // unit, len(data), length) + data)


def write_pcapng(path, records, link=ETHERNET, snaplen=262144):
    """A little-endian pcapng file of one interface with times in nanoseconds."""
    with open(path, "wb") as target:
        target.write(block(SECTION, struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1)))
        option = struct.pack("<HHB3xHH", TSRESOL, 1, 9, 0, 0)
        target.write(block(INTERFACE, struct.pack("<HHI", link, 0, snaplen) + option))
        for time_ns, data, length in records:
            data = data[:snaplen]
            target.write(block(ENHANCED, struct.pack("<IIIII", 0, time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), length) + data))


def block(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


# ---------------------------------------------------------------- packets

def network(record, link):
    """Where the IP header begins in a record's bytes, or None where there is none."""
    return ip_at(record.data, link)


def ip_at(data, link):
    if link in RAWS:
        at = 0
    elif link in (NULL, LOOP):
        at = 4 if len(data) > 4 and FAMILIES & {int.from_bytes(data[:4], "little"), int.from_bytes(data[:4], "big")} else None
    else:
        at = after_ethertype(data, {ETHERNET: 12, SLL: 14, SLL2: 0}.get(link), 18 if link == SLL2 else 0)
    if at is None or len(data) <= at or data[at] >> 4 not in (4, 6):
        return None
    return at


def after_ethertype(data, at, between):
    """Where IP begins if the type field at `at` names it, VLAN tags passed over; `between`: bytes from that field to what it names."""
    if at is None or len(data) < at + 2:
        return None
    kind, at = struct.unpack_from("!H", data, at)[0], at + 2 + between
    while kind in VLANS and len(data) >= at + 4:
        kind, at = struct.unpack_from("!H", data, at + 2)[0], at + 4
    return at if kind in ETHERTYPES else None


def parse(data, link=ETHERNET):
    """Fields of a TCP or UDP packet over IPv4 or IPv6, or None; later fragments have no such fields."""
    at = ip_at(data, link)
    head = None if at is None else (ip4 if data[at] >> 4 == 4 else ip6)(data, at)
    if head is None:
        return None
    number, ttl, ipid, source, target, body, end = head
    if number == TCP and len(data) >= body + 14:
        return tcp_packet(data, at, body, end, ttl, ipid, source, target)
    if number == UDP and len(data) >= body + 8:
        sport, dport = struct.unpack_from("!HH", data, body)
        return Packet("udp", address(source), sport, address(target), dport, ttl, ipid, None, None, None, None, None,
                      max(0, end - body - 8), data[body + 8:end], body + 8 - at, at)
    return None


def tcp_packet(data, at, body, end, ttl, ipid, source, target):
    sport, dport, seq, ack, size, bits = struct.unpack_from("!HHIIBB", data, body)
    window = struct.unpack_from("!H", data, body + 14)[0] if len(data) >= body + 16 else None
    payload = body + max(20, (size >> 4) * 4)
    return Packet("tcp", address(source), sport, address(target), dport, ttl, ipid, seq, ack, letters(bits), window,
                  options_of(data[body + 20:payload]), max(0, end - payload), data[payload:end], payload - at, at)


def ip4(data, at):
    """(protocol, TTL, IPID, source, target, where the body begins, where the packet ends on the wire) or None."""
    if len(data) < at + 20:
        return None
    total, ipid, place = struct.unpack_from("!HHH", data, at + 2)
    if place & 0x1FFF:
        return None
    end = at + total if total else len(data)  # 0: a segment that the network card was to cut
    return data[at + 9], data[at + 8], ipid, data[at + 12:at + 16], data[at + 16:at + 20], at + (data[at] & 15) * 4, end


def ip6(data, at):
    if len(data) < at + 40:
        return None
    length, number, ttl = struct.unpack_from("!HBB", data, at + 4)
    body, end = at + 40, at + 40 + length if length else len(data)
    while number in EXTENSIONS and len(data) >= body + 8:
        if number == 44 and struct.unpack_from("!H", data, body + 2)[0] & 0xFFF8:
            return None
        size = {44: 8, 51: (data[body + 1] + 2) * 4}.get(number, (data[body + 1] + 1) * 8)
        number, body = data[body], body + size
    return number, ttl, None, data[at + 8:at + 24], data[at + 24:at + 40], body, end


def address(data):
    return str(ipaddress.ip_address(data))


def letters(bits):
    return "".join(letter for bit, letter in LETTERS if bits & bit)


def options_of(data):
    """[(kind, bytes)] without end and padding; an option that is cut short ends the list."""
    found, at = [], 0
    while at < len(data) and data[at] != 0:
        if data[at] == 1:
            at += 1
            continue
        size = data[at + 1] if at + 1 < len(data) else 0
        if size < 2 or at + size > len(data):
            break
        found.append((data[at], data[at + 2:at + size]))
        at += size
    return found
