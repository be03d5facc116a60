//! `resets`: one row per RST.

use super::column::{Column, NEVER_NULL, Unit, word_index};
use crate::model::rows::{PreviousReset, ResetRow};
use crate::model::words::*;

use Unit::{Bytes, Count, Milliseconds};

const FIRST_WORD: &str = "its sender sent nothing before";
const FIRST: &str = "it is the first of its direction";
const NOT_V4: &str = "not IPv4, or its sender sent nothing before";

pub const RESETS: &[Column<ResetRow>] = &[
    Column::text("source", "The capture point.", NEVER_NULL, |row| Some(&row.source)),
    Column::i64("flow_id", Unit::None, "The flow.", NEVER_NULL, |row| Some(row.flow_id)),
    Column::text("capture", "The file that it is in.", NEVER_NULL, |row| Some(&row.capture)),
    Column::i64("packet", Unit::None, "Its number in that file, from 1.", NEVER_NULL, |row| Some(row.packet)),
    Column::time("time", "When it passed.", NEVER_NULL, |row| Some(row.time)),
    Column::word::<Way>("direction", "By its source address: who really sent it is the question.", NEVER_NULL, |row| Some(word_index(row.direction))),
    Column::word::<Stage>("stage", "How far the connection had come, by the client's packets.", "no SYN was seen", |row| row.stage.map(word_index)),
    Column::text("flags", "Its flags: F S R P A U E C, and N for the nonce bit.", NEVER_NULL, |row| Some(&row.flags)),
    Column::bool("has_ack", "Whether it has the ACK flag.", NEVER_NULL, |row| Some(row.has_ack)),
    Column::i32("window", "Its window, not scaled.", NEVER_NULL, |row| Some(row.window)),
    Column::i32("ttl", "Its TTL or hop limit.", NEVER_NULL, |row| Some(row.ttl)),
    Column::i32("ttl_delta", "Its TTL less the median of its sender's packets that are no resets.", "its sender sent none", |row| row.ttl_delta),
    Column::i32("ipid", "Its IP identification.", "not IPv4", |row| row.ip_id),
    Column::i32("ipid_delta", "The same less that of its sender's packet before it, the shorter way around.", NOT_V4, |row| row.ip_id_delta),
    Column::bool("df", "Whether it must not be fragmented; always true for IPv6.", NEVER_NULL, |row| Some(row.dont_fragment)),
    Column::bool("has_options", "Whether it has TCP options.", NEVER_NULL, |row| Some(row.has_options)),
    Column::i64("payload_len", Bytes, "Its payload.", NEVER_NULL, |row| Some(row.payload_bytes)),
    Column::word::<RstForm>("rfc_form", "Its shape, by the state that the capture shows at this point.", NEVER_NULL, |row| {
        Some(word_index(row.form))
    }),
    Column::i64("seq_offset", Bytes, "Its sequence number less the next one of its sender.", FIRST_WORD, |row| row.seq_offset),
    Column::i64(
        "ack_offset",
        Bytes,
        "What it acknowledges less the next sequence number of its receiver.",
        "no ACK flag, or its receiver sent nothing before",
        |row| row.ack_offset,
    ),
    Column::f64(
        "after_client_hello_ms",
        Milliseconds,
        "Since the last new byte of the ClientHello; negative before it.",
        "no ClientHello was read",
        |row| row.after_client_hello_ms,
    ),
    Column::i64("new_bytes_after", Bytes, "Payload not seen before that its claimed sender sent within 2 s behind it.", NEVER_NULL, |row| {
        Some(row.new_bytes_after)
    }),
    Column::bool(
        "impossible_early",
        "It follows an unanswered request of the client by less than 0.7 of the shortest round trip that the flow showed, and 2 ms less than that.",
        "it goes to the server, there was no request, or no round trip was measured",
        |row| row.impossible_early,
    ),
    Column::i64("index", Count, "Its place among the resets of its direction, from 1.", NEVER_NULL, |row| Some(row.index)),
    Column::bool("closing", "Whether a FIN, or a reset of the other side, had come before.", NEVER_NULL, |row| Some(row.closing)),
    Column::word::<IpIdCourse>(
        "sender_ipid",
        "How its claimed sender numbers its IP packets, resets included.",
        "not IPv4, or fewer than four packets",
        |row| row.sender_ip_ids.map(word_index),
    ),
    Column::i64(
        "timestamp_delta",
        Unit::None,
        "Its TCP timestamp less the last one of its sender, in ticks of the sender.",
        "one of the two has none",
        |row| row.timestamp_delta,
    ),
    Column::i64(
        "peer_ack_offset",
        Bytes,
        "Its sequence number less the last byte that its receiver had acknowledged.",
        "nothing was acknowledged",
        |row| row.peer_ack_offset,
    ),
    Column::f64("after_start_ms", Milliseconds, "Since the start of the flow.", NEVER_NULL, |row| Some(row.after_start_ms)),
    Column::f64("after_request_ms", Milliseconds, "Since the last new payload of its receiver.", "its receiver sent none before", |row| {
        row.after_request_ms
    }),
    Column::f64(
        "after_request_rtts",
        Unit::None,
        "The same in round trips: the shortest from a packet of its receiver to the reaction of its sender, where the capture was taken.",
        "one of the two was not measured",
        |row| row.after_request_round_trips,
    ),
    Column::f64("idle_ms", Milliseconds, "Since the packet of the flow before it.", NEVER_NULL, |row| Some(row.idle_ms)),
    Column::f64("previous_ms", Milliseconds, "Since the reset of the same direction before it.", FIRST, |row| Some(previous(row)?.ms)),
    Column::i64("previous_seq", Bytes, "Its sequence number less that of the same reset.", FIRST, |row| Some(previous(row)?.seq)),
    Column::i64("previous_ack", Bytes, "The field of its acknowledgement less that of the same reset.", FIRST, |row| Some(previous(row)?.ack)),
    Column::i32("previous_ttl", "Its TTL less that of the same reset.", FIRST, |row| Some(previous(row)?.ttl)),
    Column::i32("previous_window", "Its window less that of the same reset.", FIRST, |row| Some(previous(row)?.window)),
    Column::i32(
        "previous_ipid",
        "Its IP identification less that of the same reset, the shorter way around.",
        "not IPv4, or the first of its direction",
        |row| previous(row)?.ip_id,
    ),
    Column::f64(
        "data_after_ms",
        Milliseconds,
        "From it to the first payload of its claimed sender that was not seen before, ends behind it, and comes at least 1 ms later.",
        "none within 2 s",
        |row| row.data_after_ms,
    ),
    Column::f64(
        "syn_ack_after_ms",
        Milliseconds,
        "From it to the first SYN/ACK of its claimed sender behind it, at least 1 ms later.",
        "none within 2 s",
        |row| row.syn_ack_after_ms,
    ),
    Column::f64(
        "ack_after_ms",
        Milliseconds,
        "From it to the first packet of its claimed sender that acknowledges more than ever before, at least 1 ms later.",
        "none within 2 s",
        |row| row.ack_after_ms,
    ),
    Column::bool(
        "challenge_ack_after",
        "Whether its receiver repeated its last acknowledgement within 2 s (RFC 5961 section 3.2).",
        NEVER_NULL,
        |row| Some(row.challenge_ack_after),
    ),
    Column::bool("rst_seq_data", "Test of Weaver, Sommer, Paxson (NDSS 2009): below data that its sender had sent.", NEVER_NULL, |row| {
        Some(row.weaver.rst_seq_data)
    }),
    Column::bool("data_seq_rst", "The same: its sender sends new data behind it, or a SYN/ACK.", NEVER_NULL, |row| Some(row.weaver.data_seq_rst)),
    Column::bool(
        "rst_seq_change",
        "The same: beyond the reset before it within 2 s, and beyond all that was sent and acknowledged.",
        NEVER_NULL,
        |row| Some(row.weaver.rst_seq_change),
    ),
    Column::bool(
        "rst_ack_change",
        "The same: acknowledges something else than the reset before it within 2 s, and what its receiver never sent.",
        NEVER_NULL,
        |row| Some(row.weaver.rst_ack_change),
    ),
    Column::bool("rst_ack_zero", "The same: an acknowledgement without the ACK flag, or the flag with a field of 0.", NEVER_NULL, |row| {
        Some(row.weaver.rst_ack_zero)
    }),
    Column::bool("syn_rst", "The same: it answers a SYN, and a SYN/ACK follows.", NEVER_NULL, |row| Some(row.weaver.syn_rst)),
    Column::word::<ResetPattern>("pattern", "A published pattern that it fits with the resets before it: a hint, never evidence.", "none", |row| {
        row.pattern.map(word_index)
    }),
];

fn previous(row: &ResetRow) -> Option<&PreviousReset> {
    row.previous.as_ref()
}
