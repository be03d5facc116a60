//! Which flow of the client's capture is which flow of the server's.
//!
//! Where nothing translates addresses both have the same ends; behind a NAT the client's initial sequence number and the random of its hello stay the same,
//! and so does the payload of a first datagram.

use std::collections::HashMap;

use super::read::{Connection, Side};
use crate::model::Direction;

/// A flow at both ends, or at one where the other capture should have seen it.
pub struct Pair<'a> {
    /// In the client's capture, and in the server's.
    pub ends: [Option<&'a Connection>; 2],
}

impl<'a> Pair<'a> {
    /// The flow as the client's capture holds it, or else the server's.
    pub fn known(&self) -> Option<&'a Connection> {
        self.ends.into_iter().flatten().next()
    }

    pub fn id(&self) -> i64 {
        self.known().map_or(0, |connection| connection.row.flow_id)
    }
}

/// Clocks of captures that are compared may differ by this much before flows of the same ends are no longer the same flow (by design).
const CLOCKS_APART_S: f64 = 24.0 * 3600.0;

pub fn pairs<'a>(client: &'a Side, server: &'a Side) -> Vec<Pair<'a>> {
    let mut index = Index::new(&server.connections);
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    for connection in &client.connections {
        let found = index.take(connection);
        if found.is_some() || server.covers(&connection.row.server_ip) {
            pairs.push(Pair { ends: [Some(connection), found] });
        }
    }
    // What comes in the name of a client that was captured, and that the client's capture does not hold.
    let left = index.left().filter(|connection| client.clients.contains(&connection.row.client_ip));
    pairs.extend(left.map(|connection| Pair { ends: [None, Some(connection)] }));
    pairs
}

/// What a flow is known by at both ends, the surest first.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Mark {
    Isn(u32, Option<i32>),
    Random([u8; 32]),
    Ends(String, Option<i32>, String, Option<i32>, crate::model::words::Transport),
    FirstDatagram(u64, Option<i32>),
}

fn marks(connection: &Connection) -> Vec<Mark> {
    let row = &connection.row;
    let first = connection.packets.first().filter(|packet| packet.sender.direction(connection.client) == Direction::ClientToServer);
    let datagram = first.filter(|packet| connection.row.tcp.is_none() && packet.whole != 0 && packet.len >= 8);
    let ends = Mark::Ends(row.client_ip.clone(), row.client_port, row.server_ip.clone(), row.server_port, row.protocol);
    let surest = [connection.isn.map(|isn| Mark::Isn(isn, row.server_port)), connection.random.map(Mark::Random)];
    let last = datagram.map(|packet| Mark::FirstDatagram(packet.whole, row.server_port));
    surest.into_iter().flatten().chain([ends]).chain(last).collect()
}

/// The flows of the server's capture by their marks; each is taken once.
struct Index<'a> {
    connections: &'a [Connection],
    by_mark: HashMap<Mark, Vec<usize>>,
    taken: Vec<bool>,
}

impl<'a> Index<'a> {
    fn new(connections: &'a [Connection]) -> Self {
        let mut by_mark: HashMap<Mark, Vec<usize>> = HashMap::new();
        for (at, connection) in connections.iter().enumerate() {
            marks(connection).into_iter().for_each(|mark| by_mark.entry(mark).or_default().push(at));
        }
        Self { connections, by_mark, taken: vec![false; connections.len()] }
    }

    fn take(&mut self, connection: &Connection) -> Option<&'a Connection> {
        let found = marks(connection).iter().find_map(|mark| self.find(mark, connection))?;
        self.taken[found] = true;
        self.connections.get(found)
    }

    /// The one that began closest in time.
    fn find(&self, mark: &Mark, connection: &Connection) -> Option<usize> {
        let apart = |at: usize| (self.connections[at].row.start.as_micros() - connection.row.start.as_micros()).abs();
        let candidates = self.by_mark.get(mark)?.iter().copied().filter(|&at| !self.taken[at] && agree(&self.connections[at], connection));
        candidates.min_by_key(|&at| apart(at)).filter(|&at| (apart(at) as f64) < CLOCKS_APART_S * 1e6)
    }

    fn left(&self) -> impl Iterator<Item = &'a Connection> {
        let connections = self.connections;
        self.taken.iter().zip(connections).filter(|&(&taken, _)| !taken).map(|(_, connection)| connection)
    }
}

/// Nothing that no NAT changes speaks against it: the initial sequence numbers, and an end, the hello or the SYN itself. On a connection that was led to another
/// server behind a NAT both ends differ.
fn agree(one: &Connection, other: &Connection) -> bool {
    let differ = |one: Option<u32>, other: Option<u32>| one.zip(other).is_some_and(|(one, other)| one != other);
    let same_end = one.row.server_ip == other.row.server_ip || one.row.client_ip == other.row.client_ip;
    let same_random = one.random.is_some() && one.random == other.random;
    let syn = |connection: &Connection| connection.packets.first().filter(|first| Some(first.seq) == connection.isn).map(|syn| (syn.seq, syn.ip_id));
    let same_syn = syn(one).is_some_and(|(_, ip_id)| ip_id != 0) && syn(one) == syn(other);
    one.row.protocol == other.row.protocol && !differ(one.isn, other.isn) && (same_end || same_random || same_syn)
}
