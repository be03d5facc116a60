//! `flows`: one row per bidirectional flow.

use super::column::{Column, NEVER_NULL, Unit, word_index};
use super::features::{FEATURES, SPLT, TIMES};
use super::names::NAMES;

use crate::model::Timestamp;
use crate::model::rows::{FirstReset, FlowRow, Judgement, TcpRow, TcpSideRow};
use crate::model::words::*;

use Unit::{Bytes, Count, KilobitsPerSecond, LogLikelihood, Milliseconds, Probability};

pub(super) const NOT_TCP: &str = "not TCP";
const NO_HELLO: &str = "no ClientHello was read";
const NO_PACKETS: &str = "no packet in this direction";
pub(super) const NO_PAYLOAD: &str = "no payload in this direction";
const NO_ROUND_TRIP: &str = "not TCP, or none was measured";
const NO_TCP_PACKETS: &str = "not TCP, or no packet in this direction";
const NO_IPID: &str = "not TCP over IPv4, or fewer than four packets";
const NO_SYN_OF_SIDE: &str = "not TCP, or its SYN was not seen";

/// The packets and sentences of what was found, until `findings` is written: in the spool only.
pub const SEEN: &[Column<FlowRow>] =
    &[Column::text("spool.seen", "Packets and sentences of evidence, as JSON.", "none was found", |row| row.notes.seen.as_deref())];

/// What naming by other flows needs beside the columns: in the spool only.
pub const SPOOL: &[Column<FlowRow>] = &[
    Column::i32("spool.ech_config", "The id in an ECH extension.", "no such extension", |row| row.notes.ech_config),
    Column::text("spool.quic_server_id", "QUIC's connection id of the server.", "no handshake of QUIC", |row| row.notes.quic_server_id.as_deref()),
    Column::text("spool.quic_goes_on_with", "Where the id stands in a flow that begins without a handshake.", "no such flow", |row| {
        row.notes.quic_goes_on_with.as_deref()
    }),
];

/// What is known when a flow ends.
pub const FLOWS: &[Column<FlowRow>] = &[
    Column::text("source", "The capture point: one file, one rotated series, or one interface.", NEVER_NULL, |row| Some(&row.source)),
    Column::i64(
        "flow_id",
        Unit::None,
        "63 bits of a hash over source, key, start and first sequence number: the same in every run.",
        NEVER_NULL,
        |row| Some(row.flow_id),
    ),
    Column::text("community_id", "Community ID v1, seed 0.", NEVER_NULL, |row| Some(&row.community_id)),
    Column::text("capture", "The file of the first packet.", NEVER_NULL, |row| Some(&row.capture)),
    Column::i64("first_packet", Unit::None, "The number of the first packet in that file, from 1.", NEVER_NULL, |row| Some(row.first_packet)),
    Column::text("interface", "The name of the interface.", "the capture does not name it", |row| row.interface.as_deref()),
    Column::time("start", "Time of the first packet.", NEVER_NULL, |row| Some(row.start)),
    Column::time("end", "Time of the last packet.", NEVER_NULL, |row| Some(row.end)),
    Column::f64("duration_ms", Milliseconds, "From first to last packet.", NEVER_NULL, |row| Some((row.end - row.start).as_ms())),
    Column::word::<EndReason>("end_reason", "Why the flow ended.", NEVER_NULL, |row| Some(word_index(row.end_reason))),
    Column::i32("ip_version", "4 or 6.", NEVER_NULL, |row| Some(row.ip_version)),
    Column::word::<Transport>("protocol", "The transport.", NEVER_NULL, |row| Some(word_index(row.protocol))),
    Column::text("client_ip", "The client's address.", NEVER_NULL, |row| Some(&row.client_ip)),
    Column::i32("client_port", "The client's port.", "a protocol without ports", |row| row.client_port),
    Column::text("server_ip", "The server's address.", NEVER_NULL, |row| Some(&row.server_ip)),
    Column::i32("server_port", "The server's port.", "a protocol without ports", |row| row.server_port),
    Column::word::<Orientation>("orientation", "How client and server were told apart.", NEVER_NULL, |row| Some(word_index(row.orientation))),
    Column::i32("vlan", "The innermost VLAN of the first packet.", "no VLAN tag", |row| row.vlan),
    Column::text("service", "The service by the catalog.", "no entry of the catalog matches", |row| row.service.as_deref()),
    Column::word::<Role>("role", "What the host is to the service.", "no entry of the catalog matches", |row| row.role.map(word_index)),
    Column::text(
        "host",
        "The host's name, in lower case: what a hello or request asks for, what a proxy was asked for, or the name that a DNS answer led the client here by.",
        "no name is known",
        |row| row.host.as_deref(),
    ),
    Column::word::<HostSource>("host_source", "Which fact gave host or service.", "neither is known", |row| row.host_source.map(word_index)),
    Column::word::<AppProtocol>("app_protocol", "The protocol inside the transport.", "not recognised", |row| row.app_protocol.map(word_index)),
    Column::text("sni", "The name in the ClientHello, as sent.", "no ClientHello was read, or it has none", |row| row.hello.as_ref()?.sni.as_deref()),
    Column::text("alpn", "Protocols that the client offers, joined by commas.", "no ClientHello was read, or it offers none", |row| {
        row.hello.as_ref()?.alpn.as_deref()
    }),
    Column::text("tls_version", "The version that the server chose.", "no ServerHello was read", |row| row.tls_version.as_deref()),
    Column::i64(
        "client_hello_bytes",
        Bytes,
        "Length of the ClientHello message, its four-byte header included; of Google QUIC, payload of the datagrams that carry its hello.",
        NO_HELLO,
        |row| Some(row.hello.as_ref()?.bytes),
    ),
    Column::i64("client_hello_segments", Count, "Segments or datagrams that the ClientHello came in.", NO_HELLO, |row| {
        Some(row.hello.as_ref()?.segments)
    }),
    Column::f64("client_hello_ms", Milliseconds, "When the ClientHello was complete, after start.", NO_HELLO, |row| Some(row.hello.as_ref()?.at_ms)),
    Column::f64("server_hello_ms", Milliseconds, "When the ServerHello was complete, after start.", "no ServerHello was read", |row| {
        row.server_hello_ms
    }),
    Column::i32(
        "tls_alert",
        "Description code of the first alert that an end sent in clear (RFC 8446 section 6); of QUIC, of the alert in an early CONNECTION_CLOSE.",
        "none was seen",
        |row| row.tls_alert,
    ),
    Column::i64("c2s_packets", Count, "Packets from client to server.", NEVER_NULL, |row| Some(row.volume.c2s.packets)),
    Column::i64("s2c_packets", Count, "Packets from server to client.", NEVER_NULL, |row| Some(row.volume.s2c.packets)),
    Column::i64("c2s_bytes", Bytes, "IP bytes from client to server, headers included.", NEVER_NULL, |row| Some(row.volume.c2s.bytes)),
    Column::i64("s2c_bytes", Bytes, "IP bytes from server to client, headers included.", NEVER_NULL, |row| Some(row.volume.s2c.bytes)),
    Column::i64("c2s_payload_bytes", Bytes, "Transport payload from client to server, repetitions included.", NEVER_NULL, |row| {
        Some(row.volume.c2s.payload_bytes)
    }),
    Column::i64("s2c_payload_bytes", Bytes, "Transport payload from server to client, repetitions included.", NEVER_NULL, |row| {
        Some(row.volume.s2c.payload_bytes)
    }),
    Column::f64("c2s_payload_mean", Bytes, "Mean payload of the client's packets that carry any.", NO_PAYLOAD, |row| {
        Some(row.volume.c2s.payload?.mean)
    }),
    Column::f64("s2c_payload_mean", Bytes, "Mean payload of the server's packets that carry any.", NO_PAYLOAD, |row| {
        Some(row.volume.s2c.payload?.mean)
    }),
    Column::f64("c2s_payload_std", Bytes, "Standard deviation of the same (of the population).", NO_PAYLOAD, |row| Some(row.volume.c2s.payload?.std)),
    Column::f64("s2c_payload_std", Bytes, "Standard deviation of the same (of the population).", NO_PAYLOAD, |row| Some(row.volume.s2c.payload?.std)),
    Column::i64("c2s_payload_max", Bytes, "Largest payload of the client's packets.", NO_PAYLOAD, |row| Some(row.volume.c2s.payload?.max as i64)),
    Column::i64("s2c_payload_max", Bytes, "Largest payload of the server's packets.", NO_PAYLOAD, |row| Some(row.volume.s2c.payload?.max as i64)),
    Column::f64("c2s_iat_mean_ms", Milliseconds, "Mean time between the client's packets.", "fewer than two packets", |row| {
        Some(row.volume.c2s.iat_ms?.mean)
    }),
    Column::f64("s2c_iat_mean_ms", Milliseconds, "Mean time between the server's packets.", "fewer than two packets", |row| {
        Some(row.volume.s2c.iat_ms?.mean)
    }),
    Column::f64("c2s_iat_std_ms", Milliseconds, "Standard deviation of the same (of the population).", "fewer than two packets", |row| {
        Some(row.volume.c2s.iat_ms?.std)
    }),
    Column::f64("s2c_iat_std_ms", Milliseconds, "Standard deviation of the same (of the population).", "fewer than two packets", |row| {
        Some(row.volume.s2c.iat_ms?.std)
    }),
    Column::f64("c2s_iat_max_ms", Milliseconds, "Longest time between two of the client's packets.", "fewer than two packets", |row| {
        Some(row.volume.c2s.iat_ms?.max)
    }),
    Column::f64("s2c_iat_max_ms", Milliseconds, "Longest time between two of the server's packets.", "fewer than two packets", |row| {
        Some(row.volume.s2c.iat_ms?.max)
    }),
    Column::f64("c2s_first_ms", Milliseconds, "The client's first packet, after start.", NO_PACKETS, |row| row.volume.c2s.first_ms),
    Column::f64("s2c_first_ms", Milliseconds, "The server's first packet, after start.", NO_PACKETS, |row| row.volume.s2c.first_ms),
    Column::f64("c2s_last_ms", Milliseconds, "The client's last packet, after start.", NO_PACKETS, |row| row.volume.c2s.last_ms),
    Column::f64("s2c_last_ms", Milliseconds, "The server's last packet, after start.", NO_PACKETS, |row| row.volume.s2c.last_ms),
    Column::f64(
        "c2s_goodput_kbps",
        KilobitsPerSecond,
        "Payload of the client, each byte once, over the time from its first to its last packet.",
        "no payload, or all at one instant",
        |row| row.volume.c2s.goodput_kbps,
    ),
    Column::f64(
        "s2c_goodput_kbps",
        KilobitsPerSecond,
        "Payload of the server, each byte once, over the time from its first to its last packet.",
        "no payload, or all at one instant",
        |row| row.volume.s2c.goodput_kbps,
    ),
    Column::word::<TcpState>("tcp_state", "Zeek's conn_state, by the steps of its analyzer.", NOT_TCP, |row| {
        tcp(row).map(|tcp| word_index(tcp.state))
    }),
    Column::text(
        "tcp_history",
        "Zeek's history: letters in the order in which they were first shown, capitals for the client. s SYN, h SYN/ACK, f FIN, r RST (again under another \
    sequence number), a pure ACK, d payload, t payload again, w zero window, g gap of the capture, i FIN and RST in one packet, q SYN and FIN or RST in \
    one packet; ^ in front: the server's packet came first. Zeek writes t, w and g again at the 10th and 100th time, and c for a wrong checksum.",
        NOT_TCP,
        |row| Some(row.tcp.as_ref()?.history.as_str()),
    ),
    Column::i64("c2s_syn", Count, "Packets of the client with SYN.", NOT_TCP, |row| Some(c2s(row)?.syn)),
    Column::i64("s2c_syn", Count, "Packets of the server with SYN.", NOT_TCP, |row| Some(s2c(row)?.syn)),
    Column::i64("c2s_fin", Count, "Packets of the client with FIN.", NOT_TCP, |row| Some(c2s(row)?.fin)),
    Column::i64("s2c_fin", Count, "Packets of the server with FIN.", NOT_TCP, |row| Some(s2c(row)?.fin)),
    Column::i64("c2s_rst", Count, "Packets with the client's address and RST.", NOT_TCP, |row| Some(c2s(row)?.rst)),
    Column::i64("s2c_rst", Count, "Packets with the server's address and RST.", NOT_TCP, |row| Some(s2c(row)?.rst)),
    Column::i64("c2s_psh", Count, "Packets of the client with PSH.", NOT_TCP, |row| Some(c2s(row)?.psh)),
    Column::i64("s2c_psh", Count, "Packets of the server with PSH.", NOT_TCP, |row| Some(s2c(row)?.psh)),
    Column::i64("c2s_retransmits", Count, "Packets of the client that send payload, a SYN or a FIN again.", NOT_TCP, |row| {
        Some(c2s(row)?.retransmits)
    }),
    Column::i64("s2c_retransmits", Count, "Packets of the server that send payload, a SYN or a FIN again.", NOT_TCP, |row| {
        Some(s2c(row)?.retransmits)
    }),
    Column::i64(
        "c2s_out_of_order",
        Count,
        "Packets of the client that were overtaken: they fill a hole within a round trip, 3 ms at the least.",
        NOT_TCP,
        |row| Some(c2s(row)?.out_of_order),
    ),
    Column::i64(
        "s2c_out_of_order",
        Count,
        "Packets of the server that were overtaken: they fill a hole within a round trip, 3 ms at the least.",
        NOT_TCP,
        |row| Some(s2c(row)?.out_of_order),
    ),
    Column::i64("c2s_zero_window", Count, "Packets in which the client closes its window.", NOT_TCP, |row| Some(c2s(row)?.zero_window)),
    Column::i64("s2c_zero_window", Count, "Packets in which the server closes its window.", NOT_TCP, |row| Some(s2c(row)?.zero_window)),
    Column::i32("c2s_ttl_min", "Smallest TTL or hop limit of the client's packets.", "not TCP, or no packet in this direction", |row| {
        c2s(row)?.ttl_min
    }),
    Column::i32("s2c_ttl_min", "Smallest TTL or hop limit of the server's packets.", "not TCP, or no packet in this direction", |row| {
        s2c(row)?.ttl_min
    }),
    Column::i32("c2s_ttl_max", "Largest TTL or hop limit of the client's packets.", "not TCP, or no packet in this direction", |row| {
        c2s(row)?.ttl_max
    }),
    Column::i32("s2c_ttl_max", "Largest TTL or hop limit of the server's packets.", "not TCP, or no packet in this direction", |row| {
        s2c(row)?.ttl_max
    }),
    Column::bool("handshake", "SYN, SYN/ACK and its ACK were seen.", NOT_TCP, |row| Some(tcp(row)?.handshake)),
    Column::i64("syn_count", Count, "SYNs without ACK.", NOT_TCP, |row| Some(tcp(row)?.syn_count)),
    Column::i64("synack_count", Count, "SYN/ACKs.", NOT_TCP, |row| Some(tcp(row)?.synack_count)),
    Column::f64("syn_span_ms", Milliseconds, "From the first to the last SYN.", "no SYN was seen", |row| tcp(row)?.syn_span_ms),
    Column::f64(
        "syn_rtt_ms",
        Milliseconds,
        "From the client's SYN to the server's SYN/ACK, where the capture was taken.",
        "one of the two is not in the capture, or was repeated",
        |row| tcp(row)?.syn_rtt_ms,
    ),
    Column::f64(
        "ack_rtt_ms",
        Milliseconds,
        "From the SYN/ACK to the client's ACK, where the capture was taken.",
        "one of the two is not in the capture, or the handshake was repeated",
        |row| tcp(row)?.ack_rtt_ms,
    ),
    Column::i32("mss", "The smaller of the maximum segment sizes that the ends offered.", "none was offered", |row| tcp(row)?.mss),
    Column::f64(
        "ttfb_ms",
        Milliseconds,
        "From the client's first payload to the server's first payload behind it.",
        "one of the two is missing",
        |row| tcp(row)?.ttfb_ms,
    ),
    Column::i32("icmp_type", "Type of the first ICMP error that quotes the flow; of an ICMP flow its own type.", "there is none", |row| {
        Some(row.icmp.as_ref()?.kind)
    }),
    Column::i32("icmp_code", "Code of the same.", "there is none", |row| Some(row.icmp.as_ref()?.code)),
    Column::text("icmp_from", "Who sent it.", "there is none", |row| Some(row.icmp.as_ref()?.from.as_str())),
    Column::texts("quality", "Gates of capture quality that the flow fails.", |row| row.quality.iter().map(|gate| gate.word()).collect()),
    Column::i64(
        "c2s_ack_of_unseen_bytes",
        Bytes,
        "Bytes of the client that the server acknowledged and the capture does not hold.",
        NOT_TCP,
        |row| Some(c2s(row)?.ack_of_unseen_bytes),
    ),
    Column::i64(
        "s2c_ack_of_unseen_bytes",
        Bytes,
        "Bytes of the server that the client acknowledged and the capture does not hold.",
        NOT_TCP,
        |row| Some(s2c(row)?.ack_of_unseen_bytes),
    ),
    Column::word::<Way>("rst_direction", "The directions that resets went.", "no reset, or not TCP", |row| tcp(row)?.rst_direction.map(word_index)),
    Column::i64("rst_count", Count, "Resets of both directions.", NOT_TCP, |row| Some(c2s(row)?.rst + s2c(row)?.rst)),
    Column::word::<PayloadFate>(
        "first_payload_fate",
        "What became of the client's first payload; of datagrams: answered, or never_acked.",
        "neither TCP nor UDP",
        |row| row.first_payload_fate.map(word_index),
    ),
    Column::i64("client_hello_retransmits", Count, "Packets that sent bytes of the ClientHello again.", NO_HELLO, |row| {
        tcp(row)?.client_hello_retransmits
    }),
    Column::bool("client_hello_acked", "Whether the server acknowledged all of the ClientHello.", NO_HELLO, |row| tcp(row)?.client_hello_acked),
    Column::i64("s2c_bytes_after_client_hello", Bytes, "New payload of the server behind the ClientHello.", NO_HELLO, |row| {
        tcp(row)?.s2c_bytes_after_client_hello
    }),
    Column::word::<Outstanding>("outstanding", "What was still owed when the flow fell silent.", NOT_TCP, |row| {
        tcp(row).map(|tcp| word_index(tcp.outstanding))
    }),
    Column::f64(
        "silence_ms",
        Milliseconds,
        "How long the answer was waited for: to the end of the capture, or until the waiting side gave up.",
        "nothing was outstanding",
        |row| tcp(row)?.silence_ms,
    ),
    Column::word::<Stage>("stage", "How far the connection had come.", "not TCP, or no SYN was seen", |row| tcp(row)?.stage.map(word_index)),
];

/// What is concluded once all flows are known.
pub const JUDGEMENT: &[Column<Judgement>] = &[
    Column::word::<Vantage>("vantage", "Where the capture was taken, by the halves of its handshakes.", NEVER_NULL, |row| {
        Some(word_index(row.vantage))
    }),
    Column::word::<Outcome>("outcome", "What the user got.", NEVER_NULL, |row| Some(word_index(row.outcome))),
    Column::word::<Verdict>("verdict", "What the network did.", NEVER_NULL, |row| Some(word_index(row.verdict))),
    Column::word::<Mechanism>("mechanism", "What this vantage saw of it.", "the verdict is no interference", |row| row.mechanism.map(word_index)),
    Column::word::<Way>("drop_direction", "Which direction was dropped.", "the verdict is no drop", |row| row.drop_direction.map(word_index)),
    Column::word::<Trigger>("trigger", "What the interference was keyed on.", "the verdict is no interference", |row| row.trigger.map(word_index)),
    Column::f64(
        "score",
        LogLikelihood,
        "Sum of the log-likelihood ratios for interference against innocent causes, free of any prior.",
        NEVER_NULL,
        |row| Some(row.score),
    ),
    Column::f64("flow_confidence", Probability, "Probability of interference from the flow's own packets alone.", NEVER_NULL, |row| {
        Some(row.flow_confidence)
    }),
    Column::f64("confidence", Probability, "Probability of interference: logistic(score + logit(prior)).", NEVER_NULL, |row| Some(row.confidence)),
    Column::word::<Certainty>("certainty", "How far the accusation is supported.", "nothing accuses the network", |row| {
        row.certainty.map(word_index)
    }),
    Column::texts("evidence", "What was seen, in plain words, with packet numbers.", |row| row.evidence.iter().map(String::as_str).collect()),
    Column::text("alternative", "The strongest innocent explanation.", "none is at hand", |row| row.alternative.as_deref()),
];

/// The first reset of a flow: which one that is depends on the vantage.
pub const JUDGED_RESET: &[Column<Judgement>] = &[
    Column::f64("rst_ms", Milliseconds, "The first reset that the capture's own side did not send, after start.", NO_RESET, |row| {
        Some(reset(row)?.ms)
    }),
    Column::i32("rst_ttl", "Its TTL or hop limit.", NO_RESET, |row| Some(reset(row)?.ttl)),
    Column::i32("rst_ttl_delta", "Its TTL less the median of its side's other packets.", "no such reset, or its side sent nothing else", |row| {
        reset(row)?.ttl_delta
    }),
    Column::i32(
        "rst_ipid_delta",
        "Its IP identification less that of its side's packet before it, the shorter way around.",
        "no such reset, not IPv4, or its side sent nothing before",
        |row| reset(row)?.ip_id_delta,
    ),
    Column::i64(
        "rst_seq_offset",
        Bytes,
        "Its sequence number less the next one of its side.",
        "no such reset, or its side sent nothing before",
        |row| reset(row)?.seq_offset,
    ),
    Column::i32("rst_window", "Its window, not scaled.", NO_RESET, |row| Some(reset(row)?.window)),
    Column::bool("rst_has_ack", "Whether it has the ACK flag.", NO_RESET, |row| Some(reset(row)?.has_ack)),
    Column::bool("rst_has_options", "Whether it has TCP options.", NO_RESET, |row| Some(reset(row)?.has_options)),
    Column::i64(
        "data_after_rst",
        Bytes,
        "Payload not seen before that its side sent within 2 s behind it (Weaver, Sommer, Paxson, NDSS 2009).",
        NO_RESET,
        |row| Some(reset(row)?.new_bytes_after),
    ),
];

const NO_RESET: &str = "no such reset";

/// What was measured of silences and signatures.
pub const TAMPERING: &[Column<FlowRow>] = &[
    Column::i64("stall_bytes_s2c", Bytes, "Payload of the server that came before the stall, each byte once.", NO_STALL, |row| {
        Some(tcp(row)?.stalled_after?.0)
    }),
    Column::i64("stall_packets_s2c", Count, "Packets that brought it.", NO_STALL, |row| Some(tcp(row)?.stalled_after?.1)),
    Column::text(
        "signature_c2s",
        "Tampering signature of the client's packets, by notation and limits of Sundara Raman et al., \"Global, Passive Detection of Connection Tampering\", \
    SIGCOMM 2023: the first ten packets, 3 s of silence. A known shape, not a verdict: users and servers leave it too.",
        "none matches",
        |row| tcp(row)?.signatures.c2s.as_deref(),
    ),
    Column::text(
        "signature_s2c",
        "The mirror of it for the server's packets: SYN/ACK for SYN, its first acknowledgement for the client's.",
        "none matches",
        |row| tcp(row)?.signatures.s2c.as_deref(),
    ),
];

/// What judgement reads beside the other columns: `judge` takes it up again. The last columns of the table, behind [`JUDGED_RESET`].
pub const JUDGED_FROM: &[Column<FlowRow>] = &[
    Column::bool("exchanged", "Application data went both ways after the first request; of datagrams, packets did.", NEVER_NULL, |row| {
        Some(row.notes.exchanged)
    }),
    Column::bool("answer_owed", "An answer was owed, and asked and waited for in earnest.", NEVER_NULL, |row| Some(row.notes.answer_owed)),
    Column::f64(
        "asked_ms",
        Milliseconds,
        "When the request was sent, after start: where it fell silent, the first that was not answered.",
        NO_REQUEST,
        |row| Some(micros_between(row.start, row.notes.waited?.0) as f64 / 1e3),
    ),
    Column::f64(
        "waited_ms",
        Milliseconds,
        "From then until it was answered; else as long as an answer was waited for: where the request was sent again, until the last time.",
        NO_REQUEST,
        |row| {
            let (asked, until) = row.notes.waited?;
            Some(micros_between(asked, until) as f64 / 1e3)
        },
    ),
    Column::text(
        "observed",
        "What the flow's own packets show, before anything is weighed, as JSON: found (detectors and their items of evidence; which packets show them stands in \
    findings), benign (innocent causes that they prove), first_resets, lost (the direction in which loss is proven).",
        "nothing of that kind",
        |row| row.notes.observed.as_deref(),
    ),
];

const NO_STALL: &str = "nothing was outstanding";

/// What is known when a flow ends and was not measured from the first: published columns never move, so that these stand behind the judgement.
pub const ADDED: &[Column<FlowRow>] = &[
    Column::i64(
        "c2s_duplicates",
        Count,
        "Copies among the client's packets, as a mirror port makes them: in c2s_packets and c2s_bytes, left out everywhere else.",
        NEVER_NULL,
        |row| Some(row.volume.c2s.duplicates),
    ),
    Column::i64(
        "s2c_duplicates",
        Count,
        "Copies among the server's packets, as a mirror port makes them: in s2c_packets and s2c_bytes, left out everywhere else.",
        NEVER_NULL,
        |row| Some(row.volume.s2c.duplicates),
    ),
    Column::text(
        "tunnel",
        "The tunnels around the first packet, outermost first, joined by slashes; behind a colon the network identifier or GRE key. \
    Words: ipip, 6in4, 4in6, 6in6, gre, erspan, pptp, pim, gtp-u, vxlan, vxlan-gpe, geneve, teredo, ayiya, l2tp, capwap, lisp, mpls-in-udp, tzsp, mpls, \
    pppoe, pbb, macsec, nsh, fabricpath, trill.",
        "no tunnel",
        |row| row.tunnel.as_deref(),
    ),
    Column::i64(
        "continues",
        Unit::None,
        "The flow_id of the flow that this one goes on with: a timeout or want of memory had cut the connection. Client, host and service are taken from it.",
        "a flow of its own",
        |row| row.continues,
    ),
    // TCP packet by packet.
    Column::i64(
        "c2s_spurious_retransmits",
        Count,
        "Among c2s_retransmits those whose payload the server had acknowledged before they passed the capture.",
        NOT_TCP,
        |row| Some(c2s(row)?.spurious_retransmits),
    ),
    Column::i64(
        "s2c_spurious_retransmits",
        Count,
        "Among s2c_retransmits those whose payload the client had acknowledged before they passed the capture.",
        NOT_TCP,
        |row| Some(s2c(row)?.spurious_retransmits),
    ),
    Column::i64(
        "c2s_dup_acks",
        Count,
        "Packets without payload in which the client repeats its last acknowledgement and window while bytes of the server are under way, or after one that was sent again.",
        NOT_TCP,
        |row| Some(c2s(row)?.dup_acks),
    ),
    Column::i64(
        "s2c_dup_acks",
        Count,
        "Packets without payload in which the server repeats its last acknowledgement and window while bytes of the client are under way, or after one that was sent again.",
        NOT_TCP,
        |row| Some(s2c(row)?.dup_acks),
    ),
    Column::i64("c2s_keep_alives", Count, "Keep-alives of the client: no or one byte below the next sequence number.", NOT_TCP, |row| {
        Some(c2s(row)?.keep_alives)
    }),
    Column::i64("s2c_keep_alives", Count, "Keep-alives of the server: no or one byte below the next sequence number.", NOT_TCP, |row| {
        Some(s2c(row)?.keep_alives)
    }),
    Column::i64("c2s_window_probes", Count, "Packets in which the client asks whether the closed window of the server has opened.", NOT_TCP, |row| {
        Some(c2s(row)?.window_probes)
    }),
    Column::i64("s2c_window_probes", Count, "Packets in which the server asks whether the closed window of the client has opened.", NOT_TCP, |row| {
        Some(s2c(row)?.window_probes)
    }),
    Column::i64(
        "c2s_rtt_count",
        Count,
        "Round trips measured from payload of the client to the acknowledgement of the server, where the capture was taken.",
        NOT_TCP,
        |row| Some(c2s(row)?.round_trips.count),
    ),
    Column::i64(
        "s2c_rtt_count",
        Count,
        "Round trips measured from payload of the server to the acknowledgement of the client, where the capture was taken.",
        NOT_TCP,
        |row| Some(s2c(row)?.round_trips.count),
    ),
    Column::f64("c2s_rtt_min_ms", Milliseconds, "The shortest of them.", NO_ROUND_TRIP, |row| c2s(row)?.round_trips.min_ms),
    Column::f64("s2c_rtt_min_ms", Milliseconds, "The shortest of them.", NO_ROUND_TRIP, |row| s2c(row)?.round_trips.min_ms),
    Column::f64("c2s_rtt_mean_ms", Milliseconds, "Their mean.", NO_ROUND_TRIP, |row| c2s(row)?.round_trips.mean_ms),
    Column::f64("s2c_rtt_mean_ms", Milliseconds, "Their mean.", NO_ROUND_TRIP, |row| s2c(row)?.round_trips.mean_ms),
    Column::f64("c2s_rtt_max_ms", Milliseconds, "The longest of them.", NO_ROUND_TRIP, |row| c2s(row)?.round_trips.max_ms),
    Column::f64("s2c_rtt_max_ms", Milliseconds, "The longest of them.", NO_ROUND_TRIP, |row| s2c(row)?.round_trips.max_ms),
    Column::i32(
        "c2s_ttl_initial",
        "The TTL or hop limit that the client begins with: the next of 32, 64, 128 and 255 from c2s_ttl_max on.",
        NO_TCP_PACKETS,
        |row| c2s(row)?.ttl_initial,
    ),
    Column::i32(
        "s2c_ttl_initial",
        "The TTL or hop limit that the server begins with: the next of 32, 64, 128 and 255 from s2c_ttl_max on.",
        NO_TCP_PACKETS,
        |row| s2c(row)?.ttl_initial,
    ),
    Column::i32("c2s_hops", "Routers between the client and the capture: c2s_ttl_initial less c2s_ttl_max.", NO_TCP_PACKETS, |row| c2s(row)?.hops),
    Column::i32("s2c_hops", "Routers between the server and the capture: s2c_ttl_initial less s2c_ttl_max.", NO_TCP_PACKETS, |row| s2c(row)?.hops),
    Column::word::<IpIdCourse>("c2s_ipid", "How the client numbers its IP packets, by three of four of them.", NO_IPID, |row| {
        c2s(row)?.ip_ids.map(word_index)
    }),
    Column::word::<IpIdCourse>("s2c_ipid", "How the server numbers its IP packets, by three of four of them.", NO_IPID, |row| {
        s2c(row)?.ip_ids.map(word_index)
    }),
    Column::text(
        "c2s_syn_options",
        "Options of the client's last SYN in their order, joined by commas, as p0f names them: mss, nop, ws (window scale), sok (SACK permitted), ts (timestamps), sack, eol (end of list); of any other kind a question mark and its number.",
        NO_SYN_OF_SIDE,
        |row| tcp(row)?.syn_options.c2s.as_deref(),
    ),
    Column::text(
        "s2c_syn_options",
        "Options of the server's last SYN in their order, joined by commas, as p0f names them: mss, nop, ws (window scale), sok (SACK permitted), ts (timestamps), sack, eol (end of list); of any other kind a question mark and its number.",
        NO_SYN_OF_SIDE,
        |row| tcp(row)?.syn_options.s2c.as_deref(),
    ),
    Column::i32("c2s_mss", "The maximum segment size that the client offered.", "not TCP, or none was offered", |row| c2s(row)?.mss),
    Column::i32("s2c_mss", "The maximum segment size that the server offered.", "not TCP, or none was offered", |row| s2c(row)?.mss),
    Column::i32("c2s_window_scale", "The window scale that the client offered.", "not TCP, or none was offered", |row| c2s(row)?.window_scale),
    Column::i32("s2c_window_scale", "The window scale that the server offered.", "not TCP, or none was offered", |row| s2c(row)?.window_scale),
];

const NO_REQUEST: &str = "no request";

/// Whole microseconds, so that adding them to a time in microseconds gives the other.
fn micros_between(from: Timestamp, until: Timestamp) -> i64 {
    until.as_micros() - from.as_micros()
}

/// The lists behind the judgement, in the order in which they were published: the next one comes last. Those of `--splt` are left out unless asked for.
pub fn added(splt: bool) -> impl Iterator<Item = &'static [Column<FlowRow>]> {
    [ADDED, FEATURES, TIMES].into_iter().chain(splt.then_some(SPLT)).chain([NAMES, TAMPERING])
}

fn reset(row: &Judgement) -> Option<&FirstReset> {
    row.reset.as_ref()
}

fn tcp(row: &FlowRow) -> Option<&TcpRow> {
    row.tcp.as_ref()
}

fn c2s(row: &FlowRow) -> Option<&TcpSideRow> {
    Some(&tcp(row)?.sides.c2s)
}

fn s2c(row: &FlowRow) -> Option<&TcpSideRow> {
    Some(&tcp(row)?.sides.s2c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_of_tunnels_names_every_word() {
        let listed = super::super::column::describe(ADDED)
            .iter()
            .find(|column| column.name == "tunnel")
            .expect("a column")
            .doc
            .split_once("Words: ")
            .expect("a list")
            .1
            .trim_end_matches('.');
        assert_eq!(listed.split(", ").collect::<Vec<_>>(), TunnelKind::ALL.iter().map(|kind| kind.word()).collect::<Vec<_>>());
    }
}
