//! What comparison keeps of a flow: who tried what, when, and whether it worked.
//!
//! Flows go through comparison by the million, so that only hashes and times are kept: two names whose hashes are alike (once in 10^19 pairs) would be taken for
//! one.

use std::net::IpAddr;

use crate::model::Direction;
use crate::model::words::{Gate, PayloadFate, TcpState, Transport, Vantage, Word as _};

use super::{Case, Weights, detector_of, hash, own_direction};

/// SYNs that nobody answers are sent for about so long, in microseconds (RFC 6298 section 2: at 0, 1, 3 and 7 s).
const SYN_PATIENCE: i64 = 7_000_000;

/// No moment, and no name.
pub const NONE: i64 = i64::MIN;

/// One flow, as comparison sees it. Times are microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    /// Hashes of the source, and of the client's network.
    pub source: i64,
    pub network: i64,
    /// Of source and address.
    pub client: i64,
    /// Of the server's address, of the block that it lies in, and of address, port and transport.
    pub server: i64,
    pub block: i64,
    pub endpoint: i64,
    /// Of the name that was asked for; the smallest number where there is none.
    pub name: i64,
    /// Of the client's TLS fingerprint (JA4); the smallest number where there is none.
    pub fingerprint: i64,
    pub flow_id: i64,
    pub start: i64,
    /// When the request was sent, and until when an answer was waited for.
    pub asked: i64,
    pub until: i64,
    /// When the server accepted the connection.
    pub accepted: i64,
    /// How it went, by position in the list.
    pub attempted: i32,
    /// What is true of it, one bit each.
    pub marks: i32,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempted {
    Worked,
    Failed(Failure),
    /// It says nothing about target or controls.
    LeftOut(LeftOut),
}

/// The kinds of failure, so that like is compared with like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    Reset,
    /// Acknowledged and not answered.
    Unanswered,
    /// Not even acknowledged.
    Dead,
    /// Datagrams without an answer: networks and servers without QUIC do the same to every name.
    Datagrams,
    /// No connection came about.
    Connect,
}

/// Why a flow is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// A gate of capture quality stops it.
    Quality,
    /// The client sends decoys: what it says is not what the server hears.
    Decoys,
    /// It ended before anything was owed, or innocently.
    NothingOwed,
}

const ALL: &[Attempted] = &[
    Attempted::Worked,
    Attempted::Failed(Failure::Reset),
    Attempted::Failed(Failure::Unanswered),
    Attempted::Failed(Failure::Dead),
    Attempted::Failed(Failure::Datagrams),
    Attempted::Failed(Failure::Connect),
    Attempted::LeftOut(LeftOut::Quality),
    Attempted::LeftOut(LeftOut::Decoys),
    Attempted::LeftOut(LeftOut::NothingOwed),
];

/// Things that are true of a flow, one bit each.
pub struct Marks;

impl Marks {
    /// The client's packets are missing or doubted, not the server's.
    pub const CLIENT_ACCUSED: i32 = 1;
    /// Packets that cannot come from one machine.
    pub const CONTRADICTS: i32 = 2;
    /// The client sent payload.
    pub const ASKED: i32 = 4;
    /// Something accuses the network.
    pub const ACCUSED: i32 = 8;
}

impl Attempt {
    pub fn of(case: &Case<'_>, vantage: Vantage, weights: &Weights) -> Self {
        let accusing = accusing(case, vantage);
        let attempted = attempted(case, accusing.first().map(|(_, failure, _)| *failure));
        let waited =
            if attempted == Attempted::Failed(Failure::Connect) { Some((case.start, case.start.saturating_add(SYN_PATIENCE))) } else { case.waited };
        let (asked, until) = waited.unwrap_or((NONE, NONE));
        let accepted = case.syn_rtt_ms.filter(|_| case.handshake).map_or(NONE, |round_trip| case.start.saturating_add((round_trip * 1e3) as i64));
        let mut marks = 0;
        let mut mark = |holds: bool, bit: i32| marks |= if holds { bit } else { 0 };
        mark(accusing.first().is_some_and(|(accused, ..)| *accused == Direction::ClientToServer), Marks::CLIENT_ACCUSED);
        mark(accusing.iter().flat_map(|(.., items)| items).any(|item| weights.of(item).decides), Marks::CONTRADICTS);
        mark(case.asked_for_something(), Marks::ASKED);
        mark(!accusing.is_empty(), Marks::ACCUSED);
        Self {
            source: key(case.source),
            network: key(case.network()),
            client: key((case.source, case.client_ip)),
            server: server(case),
            block: key(block(case.server_ip)),
            endpoint: endpoint(case),
            name: name_key(case),
            fingerprint: case.ja4.map_or(NONE, key),
            flow_id: case.flow_id,
            start: case.start,
            asked,
            until,
            accepted,
            attempted: ALL.iter().position(|one| *one == attempted).unwrap_or_default() as i32,
            marks,
        }
    }

    pub fn attempted(&self) -> Attempted {
        ALL.get(self.attempted as usize).copied().unwrap_or(Attempted::LeftOut(LeftOut::NothingOwed))
    }

    pub fn failure(&self) -> Option<Failure> {
        if let Attempted::Failed(failure) = self.attempted() { Some(failure) } else { None }
    }

    pub fn is(&self, mark: i32) -> bool {
        self.marks & mark != 0
    }

    /// When the request was sent, or else the flow began.
    pub fn moment(&self) -> i64 {
        if self.asked == NONE { self.start } else { self.asked }
    }

    /// Whether the connection came about.
    pub fn was_accepted(&self) -> bool {
        self.accepted != NONE || self.attempted() == Attempted::Worked
    }
}

impl LeftOut {
    pub fn word(self) -> &'static str {
        match self {
            Self::Quality => "capture_quality",
            Self::Decoys => "decoys",
            Self::NothingOwed => "nothing_owed",
        }
    }
}

/// A hash as a column holds it.
pub fn key(value: impl std::hash::Hash) -> i64 {
    hash(value) as i64
}

pub fn endpoint(case: &Case<'_>) -> i64 {
    key((scope(case), case.server_ip, case.server_port, case.transport.word()))
}

pub fn server(case: &Case<'_>) -> i64 {
    key((scope(case), case.server_ip))
}

/// Private addresses repeat between networks: there the same address is another machine.
fn scope<'a>(case: &Case<'a>) -> Option<&'a str> {
    is_private(case.server_ip).then_some(case.source)
}

/// Addresses that mean another machine in every network (RFC 1918, 4193, 3927, 6598).
pub fn is_private(address: &str) -> bool {
    match address.parse() {
        Ok(IpAddr::V4(address)) => {
            let carrier = address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
            address.is_private() || address.is_loopback() || address.is_link_local() || carrier
        }
        Ok(IpAddr::V6(address)) => address.is_unique_local() || address.is_loopback() || address.is_unicast_link_local(),
        Err(_) => false,
    }
}

/// Names compare in lower case.
pub fn name(case: &Case<'_>) -> Option<String> {
    case.name().map(|(name, _)| name.to_ascii_lowercase())
}

/// A hash of the name; [`NONE`] where there is none.
pub fn name_key(case: &Case<'_>) -> i64 {
    name(case).map_or(NONE, |name| key(&*name))
}

/// Servers of one block fail together: 24 bits of an IPv4 address, 48 of an IPv6 address.
fn block(address: &str) -> u128 {
    match address.parse() {
        Ok(IpAddr::V4(address)) => u128::from(address.to_bits() >> 8),
        Ok(IpAddr::V6(address)) => address.to_bits() >> 80 | 1 << 127,
        Err(_) => hash(address).into(),
    }
}

/// What the flow's packets say against the network: the direction that is doubted or missing, the kind of failure, the items. The side at which the capture
/// was taken is left out: nothing can have been done to its packets yet.
fn accusing<'c>(case: &'c Case<'_>, vantage: Vantage) -> Vec<(Direction, Failure, Vec<&'c str>)> {
    let found = case.observed.found.iter().filter_map(|found| Some((detector_of(found)?, found)));
    found
        .filter(|(detector, _)| Some(detector.accused) != own_direction(vantage))
        .map(|(detector, found)| {
            let items: Vec<&str> = found.items.iter().map(|item| item.id.as_str()).collect();
            (detector.accused, failure_by(detector.name, items.iter().copied()), items)
        })
        .collect()
}

/// How the flow went, with what its own packets say.
fn attempted(case: &Case<'_>, failure: Option<Failure>) -> Attempted {
    if case.fails(Gate::DesyncTool) {
        return Attempted::LeftOut(LeftOut::Decoys);
    }
    if let Some(failure) = failure {
        return Attempted::Failed(failure);
    }
    match (case.transport, case.fate) {
        (Transport::Udp, Some(PayloadFate::Answered)) | (Transport::Tcp, Some(PayloadFate::Answered | PayloadFate::Alert)) => Attempted::Worked,
        _ if was_not_connected(case) => Attempted::Failed(Failure::Connect),
        _ if [Gate::Midstream, Gate::Oneway, Gate::TruncatedEnd, Gate::Loss].iter().any(|gate| case.fails(*gate)) => {
            Attempted::LeftOut(LeftOut::Quality)
        }
        _ => Attempted::LeftOut(LeftOut::NothingOwed),
    }
}

/// SYNs in earnest without an answer, or refused.
fn was_not_connected(case: &Case<'_>) -> bool {
    matches!(case.tcp_state, Some(TcpState::S0 | TcpState::Rej)) && (case.answer_owed || case.icmp_error)
}

/// The kind of failure that a detector found.
pub fn failure_by<'a>(detector: &str, mut items: impl Iterator<Item = &'a str>) -> Failure {
    if detector.starts_with("reset") {
        Failure::Reset
    } else if detector.starts_with("quic") {
        Failure::Datagrams
    } else if detector.starts_with("no_connection") {
        Failure::Connect
    } else if items.any(|item| item.ends_with("_acked_then_silent")) {
        Failure::Unanswered
    } else {
        Failure::Dead
    }
}
