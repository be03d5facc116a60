//! One end: its capture, read whole, as connections with their packets.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rayon::prelude::*;

use crate::capture::{FileReport, Inventory, Source, SourceReader};
use crate::flow::{Tcp, Timeouts};
use crate::model::rows::FlowRow;
use crate::model::{FileId, FlowKey, PacketNumber, Protocol, Timestamp};
use crate::packet::Fragments;
use crate::pipeline::{Decoded, Rows};
use crate::service::Catalog;
use crate::shard::{Conversation, Over, SHARDS, Shard};

use super::observed::Observed;

/// Everything that one end captured.
#[derive(Default)]
pub struct Side {
    pub connections: Vec<Connection>,
    pub paths: HashMap<FileId, Arc<str>>,
    /// Between the first and the last packet of these captures.
    pub from: Timestamp,
    pub to: Timestamp,
    /// Addresses of servers of which it holds a flow, as text.
    pub servers: HashSet<String>,
    pub clients: HashSet<String>,
    /// Networks of which it is known to hold all traffic.
    pub nets: Vec<IpNet>,
    pub reports: Vec<FileReport>,
    pub packets: u64,
}

impl Side {
    /// Whether it should hold the flows of a server.
    pub fn covers(&self, server: &str) -> bool {
        let in_net = || server.parse::<IpAddr>().is_ok_and(|address| self.nets.iter().any(|net| net.contains(&address)));
        self.servers.contains(server) || in_net()
    }
}

/// A flow and its packets, in capture order.
pub struct Connection {
    pub row: FlowRow,
    pub client: crate::model::Side,
    /// The client's initial sequence number, where its SYN was captured.
    pub isn: Option<u32>,
    /// Of its ClientHello, over TCP or QUIC.
    pub random: Option<[u8; 32]>,
    pub packets: Vec<Observed>,
}

/// Reads all sources of one end.
pub fn read(inventory: &Inventory, catalog: &Catalog, round_bytes: usize, on_round: &(dyn Fn(u64, u64) + Sync)) -> Side {
    let mut side = Side { from: Timestamp(i64::MAX), to: Timestamp(i64::MIN), ..Side::default() };
    for source in &inventory.sources {
        read_source(source, catalog, round_bytes, on_round, &mut side);
    }
    side.connections.sort_by_key(|connection| (connection.row.start.as_micros(), connection.row.flow_id));
    for Connection { row, .. } in &side.connections {
        side.servers.insert(row.server_ip.clone());
        side.clients.insert(row.client_ip.clone());
    }
    side
}

/// The packets of one shard by their key.
type Kept = HashMap<FlowKey, Vec<Observed>>;

fn read_source(source: &Source, catalog: &Catalog, round_bytes: usize, on_round: &(dyn Fn(u64, u64) + Sync), side: &mut Side) {
    let mut reader = SourceReader::new(source, round_bytes);
    let new = || (Shard::new(Timeouts::default(), usize::MAX), Kept::default(), Vec::new());
    let mut shards: Vec<(Shard, Kept, Vec<Over>)> = std::iter::repeat_with(new).take(SHARDS).collect();
    let mut rows = Rows::new(source, catalog, None);
    let (mut decoded, mut fragments) = (Decoded::default(), Fragments::default());
    let (mut clock, mut last) = (Timestamp::default(), Timestamp(i64::MIN));
    while decoded.fill(&mut reader, &mut fragments) {
        rows.know_interfaces(reader.interfaces());
        shards.par_iter_mut().enumerate().for_each(|(index, (shard, kept, over))| {
            for packet in decoded.packets_of(index) {
                shard.update(packet, &decoded.round.bytes);
                if let Some(observed) = Observed::of(packet, &decoded.round.bytes) {
                    kept.entry(packet.key).or_default().push(observed);
                }
            }
            over.push(shard.take_ended());
        });
        let records = &decoded.round.records;
        clock = records.last().map_or(clock, |record| record.clock);
        last = records.iter().map(|record| record.time).fold(last, Timestamp::max);
        side.from = records.iter().map(|record| record.time).fold(side.from, Timestamp::min);
        side.packets += records.len() as u64;
        on_round(decoded.bytes(), records.len() as u64);
    }
    side.to = side.to.max(last);
    rows.know_gaps(reader.gaps());
    for (mut shard, mut kept, mut over) in shards {
        loop {
            let left = shard.finish_some(clock, last);
            if left.conversations.is_empty() {
                break;
            }
            over.push(left);
        }
        let ended = over.into_iter().flat_map(|over| over.conversations).collect();
        side.connections.extend(connections(ended, &rows, &mut kept));
    }
    side.paths.extend(source.files.iter().map(|file| (file.id, file.path.to_string_lossy().into())));
    side.reports.extend(reader.take_reports());
}

/// Gives every flow its packets: flows of one key follow each other.
fn connections(mut ended: Vec<Conversation>, rows: &Rows<'_>, kept: &mut Kept) -> Vec<Connection> {
    ended.retain(|conversation| matches!(conversation.flow.key.protocol, Protocol::TCP | Protocol::UDP));
    retain_beginnings(&mut ended);
    ended.sort_by_key(|conversation| std::cmp::Reverse(conversation.flow.first_packet));
    let marks = ended.iter().map(|conversation| {
        let tcp = conversation.flow.tcp.as_ref();
        let random = conversation.facts().and_then(|facts| facts.client_hello.as_ref()).and_then(|(_, hello)| hello.fact.random);
        (conversation.flow.key, conversation.flow.first_packet, tcp.and_then(|tcp| tcp.handshake.syn.map(|_| ())), random)
    });
    let marks: Vec<_> = marks.collect();
    let over = Over { conversations: ended, ..Over::default() };
    let clients: Vec<_> = over.conversations.iter().map(|conversation| conversation.client).collect();
    let flow_rows = rows.of(over).flows;
    let all = marks.into_iter().zip(flow_rows).zip(clients);
    all.map(|(((key, first, syn, random), row), client)| {
        // The last flow of a key comes first here, and takes what stands from its first packet on.
        let packets = kept.get_mut(&key).map_or_else(Vec::new, |kept| {
            let from = kept.partition_point(|packet| packet.number < first);
            kept.split_off(from)
        });
        let client = if row_is_turned(&row, &key, client) { client.opposite() } else { client };
        let opening = packets.iter().find(|packet| packet.flags.is_opening() && packet.sender == client);
        let isn = syn.and(opening).map(|packet| packet.seq);
        Connection { row, client, isn, random, packets }
    })
    .collect()
}

/// A connection that goes on after a reset, or after a long silence, is still the connection that the other end captured: what has no handshake of its own
/// belongs to the flow of the same ends before it.
fn retain_beginnings(ended: &mut Vec<Conversation>) {
    let mut first: HashMap<FlowKey, PacketNumber> = HashMap::new();
    for flow in ended.iter().map(|conversation| &conversation.flow) {
        first.entry(flow.key).and_modify(|first| *first = flow.first_packet.min(*first)).or_insert(flow.first_packet);
    }
    let begins = |tcp: &Tcp| tcp.handshake.syn.is_some() || tcp.handshake.syn_ack.is_some();
    ended.retain(|Conversation { flow, .. }| flow.tcp.as_deref().is_none_or(begins) || first[&flow.key] == flow.first_packet);
}

/// Whether the row found the client at the other end, by the address of a service.
fn row_is_turned(row: &FlowRow, key: &FlowKey, client: crate::model::Side) -> bool {
    row.client_ip != key.ip(client).to_string() || row.client_port.is_some_and(|port| port != i32::from(key.port(client)))
}
