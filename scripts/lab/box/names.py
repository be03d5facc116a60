"""What a middlebox reads in payloads: SNI, HTTP host, DNS question, and the kind of a first payload.

Stream readers return a name, "" (there is none) or MORE (not all bytes are there yet).
"""
import struct

try:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
except ImportError:
    Cipher = None

MORE = object()
METHODS = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"DELETE ", b"CONNECT ")
MTPROTO_TAGS = (b"\xef" * 4, b"\xee" * 4, b"\xdd" * 4)


def hello_name(stream):
    """SNI of a ClientHello at the head of a TCP stream, put together over TLS records."""
    message = b""
    at = 0
    while True:
        if len(stream) < at + 5:
            wrong = bool(stream[at:at + 1]) and stream[at] != 22
            return "" if wrong else MORE
        kind, size = stream[at], struct.unpack_from("!H", stream, at + 3)[0]
        if kind != 22 or size == 0:
            return ""
        message += stream[at + 5:at + 5 + size]
        name = handshake_name(message)
        if name is not MORE or len(stream) < at + 5 + size:
            return name
        at += 5 + size


def packet_hello_name(payload):
    """SNI as a middlebox without reassembly finds it: in the first record of this one packet."""
    if len(payload) < 6 or payload[0] != 22:
        return ""
    size = struct.unpack_from("!H", payload, 3)[0]
    name = handshake_name(payload[5:5 + size])
    return "" if name is MORE else name


def handshake_name(message):
    """SNI of a ClientHello message, which may be cut behind the name."""
    if message[:1] not in (b"", b"\x01"):
        return ""
    if len(message) < 4:
        return MORE
    whole = len(message) >= 4 + int.from_bytes(message[1:4], "big")
    try:
        name = walk_hello(message)
    except (IndexError, struct.error):
        name = MORE
    return "" if name is MORE and whole else name


def walk_hello(message):
    at = 38
    at += 1 + message[at]
    at += 2 + struct.unpack_from("!H", message, at)[0]
    at += 1 + message[at]
    end = at + 2 + struct.unpack_from("!H", message, at)[0]
    at += 2
    while at < end:
        kind, size = struct.unpack_from("!HH", message, at)
        if kind == 0:
            length = struct.unpack_from("!H", message, at + 7)[0]
            name = message[at + 9:at + 9 + length]
            return name.decode("ascii", "replace").lower() if len(name) == length else MORE
        at += 4 + size
    return ""


def http_host(stream):
    """Host of a request at the head of a stream."""
    if not any(method.startswith(stream[:len(method)]) for method in METHODS):
        return ""
    head, ended, _ = stream.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    for line in lines[1:] if ended else lines[1:-1]:
        key, _, value = line.partition(b":")
        if key.lower() == b"host":
            return value.strip().split(b":")[0].decode("ascii", "replace").lower()
    return "" if ended else MORE


def packet_http_host(payload):
    host = http_host(payload)
    return "" if host is MORE else host


def dns_question(message):
    """(id, name, type, end of the question) of a DNS message, or None."""
    try:
        ident, _, count = struct.unpack_from("!HHH", message)
        labels, at = [], 12
        while message[at]:
            if message[at] > 63 or at + 1 + message[at] > len(message):
                return None
            labels.append(message[at + 1:at + 1 + message[at]].decode("ascii", "replace"))
            at += 1 + message[at]
        kind = struct.unpack_from("!H", message, at + 1)[0]
    except (IndexError, struct.error):
        return None
    return (ident, ".".join(labels).lower(), kind, at + 5) if count == 1 else None


def stream_dns_name(stream):
    """Name asked for over TCP."""
    if len(stream) < 2 or len(stream) < 2 + struct.unpack_from("!H", stream)[0]:
        return MORE
    question = dns_question(stream[2:])
    return question[1] if question else ""


def is_stun(payload):
    return len(payload) >= 20 and payload[0] < 64 and payload[4:8] == b"\x21\x12\xa4\x42"


def is_quic(payload):
    return len(payload) >= 1200 and payload[0] & 0xC0 == 0xC0 and payload[1:5] != b"\0\0\0\0"


def payload_kind(payload, protocol):
    """The kind of a flow by its first payload, in one word."""
    if protocol == "udp":
        return datagram_kind(payload)
    if payload[:2] == b"\x16\x03":
        return "tls"
    if payload.startswith(METHODS):
        return "http"
    if payload.startswith(b"SSH-"):
        return "ssh"
    if payload.startswith((b"WA", b"ED\0\1")):
        return "noise"
    return "mtproto" if is_mtproto(payload) else "random"


def datagram_kind(payload):
    if is_stun(payload):
        return "stun"
    if payload[:4] == b"\1\0\0\0" and len(payload) == 148:
        return "wireguard"
    if payload[:1] == b"\x38" and 14 <= len(payload) < 100:
        return "openvpn"
    if is_quic(payload):
        return "quic"
    return "random"


def is_mtproto(payload):
    if payload[:1] == b"\xef" or payload[:4] in MTPROTO_TAGS:
        return True
    if Cipher is None or len(payload) < 64:
        return False
    keys = Cipher(algorithms.AES(payload[8:40]), modes.CTR(payload[40:56])).decryptor()
    return keys.update(payload[:64])[56:60] in MTPROTO_TAGS
