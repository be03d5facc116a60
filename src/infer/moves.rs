//! QUIC connections whose packets go on from another address, or after a silence: by the connection id that the server chose and the client goes on using.
//!
//! A change of address that the client makes itself takes a new id, which nobody else can join (RFC 9000 section 9.5); a NAT that gives it another port,
//! and a timeout of ours, leave the id as it was.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

use super::hash;

/// Ids shorter than this may be alike by chance (by design: with four bytes one in 2^32 pairs).
const ID_BYTES_MIN: usize = 4;
/// A connection id has 20 bytes at the most (RFC 9000 section 17.2).
const ID_BYTES_MAX: usize = 20;

/// A flow of QUIC, as far as joining needs it.
#[derive(Clone, Copy, Debug)]
pub struct QuicFlow<'a> {
    pub source: &'a str,
    pub server_ip: &'a str,
    pub server_port: i32,
    pub flow_id: i64,
    /// Microseconds.
    pub start: i64,
    /// The id that the server chose, where its handshake was seen (hexadecimal).
    pub server_id: Option<&'a str>,
    /// The bytes where an id stands in the client's first packet, where the flow begins without a handshake (hexadecimal).
    pub goes_on_with: Option<&'a str>,
    pub host: Option<&'a str>,
}

/// Connections by server and id.
#[derive(Debug, Default)]
pub struct Moves {
    /// Servers of flows that begin without a handshake: nothing else is learnt.
    asked: HashSet<u64, FixedState>,
    begun: HashMap<(u64, Box<str>), Vec<Part>, FixedState>,
    going_on: Vec<(u64, Box<str>, Part)>,
    forerunners: HashMap<i64, Part, FixedState>,
}

/// One flow of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub start: i64,
    pub flow_id: i64,
    pub host: Option<Box<str>>,
}

impl Moves {
    /// Remembers which server a flow without a handshake speaks to; the order makes no difference.
    pub fn ask(&mut self, flow: &QuicFlow<'_>) {
        if flow.goes_on_with.is_some() {
            self.asked.insert(server(flow));
        }
    }

    pub fn are_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Takes one flow in, after all have been asked; the order makes no difference.
    pub fn learn(&mut self, flow: &QuicFlow<'_>) {
        let server = server(flow);
        if !self.asked.contains(&server) {
            return;
        }
        let part = Part { start: flow.start, flow_id: flow.flow_id, host: flow.host.map(Into::into) };
        if let Some(id) = flow.server_id.filter(|id| id.len() >= 2 * ID_BYTES_MIN) {
            self.begun.entry((server, id.into())).or_default().push(part);
        } else if let Some(bytes) = flow.goes_on_with {
            self.going_on.push((server, bytes.into(), part));
        }
    }

    /// Joins what was learnt: every flow goes on with the one of its connection that began last before it.
    pub fn settle(&mut self) {
        let mut connections: HashMap<(u64, Box<str>), Vec<Part>> = HashMap::new();
        for (server, bytes, part) in std::mem::take(&mut self.going_on) {
            let ids = (ID_BYTES_MIN..=ID_BYTES_MAX).rev().filter_map(|length| bytes.get(..2 * length));
            let known = ids.map(|id| (server, Box::from(id))).find(|key| self.begun.contains_key(key));
            if let Some(key) = known {
                connections.entry(key).or_default().push(part);
            }
        }
        for (key, mut parts) in connections {
            parts.extend(self.begun.remove(&key).unwrap_or_default());
            parts.sort_unstable_by_key(|part| (part.start, part.flow_id));
            let host = parts.iter().find_map(|part| part.host.clone());
            for pair in parts.windows(2) {
                self.forerunners.insert(pair[1].flow_id, Part { host: host.clone(), ..pair[0].clone() });
            }
        }
        self.begun.clear();
    }

    /// The flow that this one goes on with, and the name that its connection asked for.
    pub fn forerunner(&self, flow_id: i64) -> Option<&Part> {
        self.forerunners.get(&flow_id)
    }
}

fn server(flow: &QuicFlow<'_>) -> u64 {
    hash((flow.source, flow.server_ip, flow.server_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0102030405060708";

    fn flow(flow_id: i64, start: i64) -> QuicFlow<'static> {
        QuicFlow { source: "probe", server_ip: "192.0.2.1", server_port: 443, flow_id, start, server_id: None, goes_on_with: None, host: None }
    }

    fn joined(flows: &[QuicFlow<'_>]) -> Moves {
        let mut moves = Moves::default();
        flows.iter().for_each(|flow| moves.ask(flow));
        flows.iter().rev().for_each(|flow| moves.learn(flow));
        moves.settle();
        moves
    }

    #[test]
    fn a_connection_goes_on_from_another_port_and_again_from_a_third() {
        let begun = QuicFlow { server_id: Some(ID), host: Some("www.youtube.com"), ..flow(1, 10) };
        let bytes = format!("{ID}ffffffffffffffffffffffff");
        let moved = QuicFlow { goes_on_with: Some(&bytes), ..flow(2, 20) };
        let again = QuicFlow { goes_on_with: Some(&bytes), ..flow(3, 30) };
        let moves = joined(&[begun, moved, again]);
        assert_eq!(moves.forerunner(2).map(|part| (part.flow_id, part.host.as_deref())), Some((1, Some("www.youtube.com"))));
        assert_eq!(moves.forerunner(3).map(|part| (part.flow_id, part.host.as_deref())), Some((2, Some("www.youtube.com"))));
        assert_eq!(moves.forerunner(1), None);
    }

    #[test]
    fn another_server_or_another_id_is_another_connection() {
        let begun = QuicFlow { server_id: Some(ID), ..flow(1, 10) };
        let elsewhere = QuicFlow { goes_on_with: Some(ID), server_ip: "192.0.2.2", ..flow(2, 20) };
        let other = QuicFlow { goes_on_with: Some("0102030405060709ffff"), ..flow(3, 20) };
        let moves = joined(&[begun, elsewhere, other]);
        assert_eq!((moves.forerunner(2), moves.forerunner(3)), (None, None));
    }

    #[test]
    fn an_id_of_few_bytes_joins_nothing() {
        let moves = joined(&[QuicFlow { server_id: Some("0102"), ..flow(1, 10) }, QuicFlow { goes_on_with: Some("0102aabbccddee"), ..flow(2, 20) }]);
        assert_eq!(moves.forerunner(2), None);
    }
}
