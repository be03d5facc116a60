//! `flows` of `compare`: one row per flow that the two captures hold together.

use super::column::{Column, NEVER_NULL, Unit, word_index};
use crate::model::rows::ComparedRow;
use crate::model::words::{AppProtocol, Certainty, HostSource, Mechanism, Transport, Trigger, Verdict, Way};

use Unit::Count;

/// One count of one direction.
macro_rules! count {
    ($name:literal, $direction:ident, $count:ident, $doc:literal) => {
        Column::i64($name, Count, $doc, NEVER_NULL, |row| Some(row.counts.$direction.$count))
    };
}

pub const COMPARED: &[Column<ComparedRow>] = &[
    Column::i64("flow_id", Unit::None, "The flow; as analyze of the client's capture numbers it, where that holds it.", NEVER_NULL, |row| {
        Some(row.flow.flow_id)
    }),
    Column::i64("client_flow_id", Unit::None, "Its number in the client's capture.", "that capture lacks it", |row| row.client_flow_id),
    Column::i64("server_flow_id", Unit::None, "Its number in the server's capture.", "that capture lacks it", |row| row.server_flow_id),
    Column::time("start", "Time of its first packet, by the clock of the capture that numbers it.", NEVER_NULL, |row| Some(row.flow.start)),
    Column::time("end", "Time of its last packet, by the same clock.", NEVER_NULL, |row| Some(row.flow.end)),
    Column::word::<Transport>("protocol", "The transport.", NEVER_NULL, |row| Some(word_index(row.flow.protocol))),
    Column::text("client_ip", "The client's address at its own end.", NEVER_NULL, |row| Some(&row.flow.client_ip)),
    Column::i32("client_port", "The client's port at its own end.", "the transport has no ports", |row| row.flow.client_port),
    Column::text("server_ip", "The server's address at the client's end.", NEVER_NULL, |row| Some(&row.flow.server_ip)),
    Column::i32("server_port", "The server's port at the client's end.", "the transport has no ports", |row| row.flow.server_port),
    Column::text("translated_ip", "The client's address as the server sees it.", "it is the same, or the server's capture lacks the flow", |row| {
        row.translated.as_ref().map(|(ip, _)| ip.as_str())
    }),
    Column::i32("translated_port", "The client's port as the server sees it.", "address and port are the same", |row| {
        row.translated.as_ref().and_then(|&(_, port)| port)
    }),
    Column::text("service", "The service by the catalog.", "no entry of the catalog matches", |row| row.flow.service.as_deref()),
    Column::text("host", "The name that the flow was for.", "none was seen in the flow", |row| row.flow.host.as_deref()),
    Column::word::<HostSource>("host_source", "Which fact gave the host.", "there is no host", |row| row.flow.host_source.map(word_index)),
    Column::word::<AppProtocol>("app_protocol", "The protocol inside the transport.", "it was not recognised", |row| {
        row.flow.app_protocol.map(word_index)
    }),
    Column::text("sni", "The name in the ClientHello.", "no hello with a name was seen", |row| row.flow.hello.as_ref()?.sni.as_deref()),
    count!("c2s_sent", c2s, sent, "Packets that the client's capture holds as sent."),
    count!("c2s_delivered", c2s, delivered, "Of these, received unchanged, delayed ones included."),
    count!("c2s_dropped", c2s, dropped, "Of these, not received."),
    count!("c2s_injected", c2s, injected, "Packets that the server received in the client's name, and that the client never sent."),
    count!("c2s_rewritten", c2s, rewritten, "Packets of the client that the server received changed."),
    count!("c2s_delayed", c2s, delayed, "Packets of the client that were received late."),
    count!("c2s_unjudged", c2s, unjudged, "Packets in the client's name, at either end, of which nothing can be said."),
    count!("s2c_sent", s2c, sent, "Packets that the server's capture holds as sent."),
    count!("s2c_delivered", s2c, delivered, "Of these, received unchanged, delayed ones included."),
    count!("s2c_dropped", s2c, dropped, "Of these, not received."),
    count!("s2c_injected", s2c, injected, "Packets that the client received in the server's name, and that the server never sent."),
    count!("s2c_rewritten", s2c, rewritten, "Packets of the server that the client received changed."),
    count!("s2c_delayed", s2c, delayed, "Packets of the server that were received late."),
    count!("s2c_unjudged", s2c, unjudged, "Packets in the server's name, at either end, of which nothing can be said."),
    Column::word::<Verdict>("verdict", "What was done to the flow between the two captures.", NEVER_NULL, |row| Some(word_index(row.verdict))),
    Column::word::<Mechanism>("mechanism", "How, as both ends together show it.", "the verdict is no interference", |row| {
        row.mechanism.map(word_index)
    }),
    Column::word::<Way>("drop_direction", "Which direction was dropped.", "the verdict is no drop", |row| row.drop_direction.map(word_index)),
    Column::word::<Trigger>("trigger", "What it was keyed on: not known from one flow.", "the verdict is no interference", |row| {
        row.verdict.is_interference().then(|| word_index(Trigger::Undetermined))
    }),
    Column::word::<Certainty>("certainty", "How far the accusation is supported.", "nothing accuses the network", |row| {
        row.certainty.map(word_index)
    }),
    Column::texts("evidence", "What the two captures show, in plain words, with packet numbers.", |row| {
        row.evidence.iter().map(String::as_str).collect()
    }),
];
