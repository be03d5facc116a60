//! Names and verdicts, once all flows are known.
//! In:  answers of DNS and flows that others may name; cases: the few values of each flow that judgement reads, with what its own packets showed.
//! Out: what others tell of a flow ([`Told`]); a [`Judgement`](crate::model::rows::Judgement) and the findings of each flow; matched comparisons, targets.
//! Promises: the same cases give the same judgements in any order; benign causes come first; what one vantage cannot see is not claimed.
//! Not here: packets, files, threads, tables.
//!
//! [`Knowledge::note`] sees every flow (where was the capture taken, who failed). Where any failed, every flow becomes an [`Attempt`], and attempts come back in
//! two orders: all at one server ([`Knowledge::at_server`]), all of one client ([`Knowledge::at_client`]). After [`Knowledge::settle`], [`Judge::judge`].

mod answers;
mod attempts;
mod contrasts;
mod judge;
mod moves;
mod naming;
mod near;
mod stats;
mod targets;
#[cfg(test)]
mod tests;
mod vantage;
mod weights;

pub use answers::{Answer, Answers};
pub use attempts::Attempt;
pub use contrasts::Permutation;
pub use judge::{COMPARED, Judge, Judged};
pub use moves::QuicFlow;
pub use naming::{Naming, OpenFlow, Told};
pub use targets::{JudgedFlow, Place, Targets};
pub use weights::{Weights, WeightsError};

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

use crate::detect::{DETECTORS, Detector};
use crate::model::Direction;
use crate::model::rows::{ContrastRow, FoundNote, Observed};
use crate::model::words::*;

use contrasts::{Contrasts, Finding, Target};
use near::Near;
use vantage::Vantages;

/// One flow, as judgement sees it.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    pub source: &'a str,
    pub flow_id: i64,
    /// Where it is known; the source stands for it otherwise.
    pub client_network: Option<&'a str>,
    pub client_ip: &'a str,
    pub server_ip: &'a str,
    pub server_port: i32,
    pub transport: Transport,
    pub sni: Option<&'a str>,
    pub http_host: Option<&'a str>,
    pub ja4: Option<&'a str>,
    /// Microseconds.
    pub start: i64,
    pub tcp_state: Option<TcpState>,
    pub handshake: bool,
    pub syn_rtt_ms: Option<f64>,
    pub ack_rtt_ms: Option<f64>,
    /// Routers that packets of either direction passed before the capture.
    pub c2s_hops: Option<i32>,
    pub s2c_hops: Option<i32>,
    /// An ICMP error quoted it.
    pub icmp_error: bool,
    pub fate: Option<PayloadFate>,
    pub outstanding: Option<Outstanding>,
    pub s2c_rst: i64,
    /// Packets of both sides that sent payload again.
    pub payload_repeats: i64,
    pub gates: Vec<Gate>,
    /// Whether application data went both ways.
    pub exchanged: bool,
    /// Whether an answer was owed and waited for.
    pub answer_owed: bool,
    /// When the request was sent and until when its answer was waited for, in microseconds: where it was sent again, until the last time.
    pub waited: Option<(i64, i64)>,
    pub observed: Observed,
}

impl<'a> Case<'a> {
    /// What the client asks for by name, and what a block keyed on it is keyed on.
    fn name(&self) -> Option<(&'a str, Trigger)> {
        let sni = self.sni.map(|name| (name, Trigger::Sni));
        sni.or_else(|| Some((self.http_host?, Trigger::HttpHost)))
    }

    fn network(&self) -> &'a str {
        self.client_network.unwrap_or(self.source)
    }

    /// Whether the client sent payload.
    fn asked_for_something(&self) -> bool {
        self.name().is_some() || self.fate.is_some_and(|fate| fate != PayloadFate::NoPayload)
    }

    /// Whether nothing was owed at the end.
    fn is_settled(&self) -> bool {
        matches!(self.outstanding, Some(Outstanding::Nothing) | None)
    }

    fn fails(&self, gate: Gate) -> bool {
        self.gates.contains(&gate)
    }

    /// Both ends in one private network and no router in between: nothing there can interfere.
    fn stays_local(&self) -> bool {
        attempts::is_private(self.client_ip) && attempts::is_private(self.server_ip) && self.c2s_hops == Some(0) && self.s2c_hops == Some(0)
    }
}

/// What all flows together tell.
#[derive(Debug, Default)]
pub struct Knowledge {
    vantages: Vantages,
    asked: Asked,
    near: HashMap<i64, Near>,
    contrasts: Contrasts,
}

/// What failed flows ask about: nothing else is compared, so that captures in which all is well cost nothing.
#[derive(Debug, Default)]
struct Asked {
    servers: HashSet<i64>,
    clients: HashSet<i64>,
}

impl Knowledge {
    /// Takes one flow in as it ends; the order makes no difference.
    pub fn note(&mut self, case: &Case<'_>) {
        self.vantages.learn(case);
        if !case.observed.found.is_empty() {
            self.asked.servers.insert(attempts::server(case));
            self.asked.clients.insert(attempts::key((case.source, case.client_ip)));
        }
    }

    /// Whether any flow failed.
    pub fn asks(&self) -> bool {
        !self.asked.servers.is_empty()
    }

    /// The flow as comparison sees it, after all have been noted.
    pub fn attempt(&mut self, case: &Case<'_>, weights: &Weights) -> Option<Attempt> {
        let attempt = Attempt::of(case, self.vantage(case.source), weights);
        if !self.compares_server(&attempt) && !self.compares_client(&attempt) {
            return None;
        }
        self.contrasts.ask(case, &attempt);
        Some(attempt)
    }

    /// Whether something failed at its server, so that [`Self::at_server`] is to see it.
    pub fn compares_server(&self, attempt: &Attempt) -> bool {
        self.asked.servers.contains(&attempt.server)
    }

    /// Whether something failed for its client, so that [`Self::at_client`] is to see it.
    pub fn compares_client(&self, attempt: &Attempt) -> bool {
        self.asked.clients.contains(&attempt.client)
    }

    /// Takes in all attempts at one server address.
    pub fn at_server(&mut self, attempts: &[Attempt]) {
        attempts.iter().for_each(|attempt| self.contrasts.leave_out(attempt));
        let mut by_source: BTreeMap<i64, Vec<Attempt>> = BTreeMap::new();
        attempts.iter().for_each(|attempt| by_source.entry(attempt.source).or_default().push(*attempt));
        for some in by_source.values() {
            near::at_server(some, |attempt, near| {
                self.near.insert(attempt.flow_id, near);
            });
        }
        near::at_networks(attempts, |attempt, near| {
            self.near.insert(attempt.flow_id, near);
        });
        self.contrasts.at_server(attempts);
    }

    /// Takes in all attempts of one client, after those at all servers.
    pub fn at_client(&mut self, attempts: &[Attempt]) {
        near::at_client(attempts, |attempt, add| add(self.near.entry(attempt.flow_id).or_default()));
        self.contrasts.at_client(attempts);
    }

    /// Called once, before judgement.
    pub fn settle(&mut self) {
        self.contrasts.settle();
    }

    pub fn vantage(&self, source: &str) -> Vantage {
        self.vantages.of(source)
    }

    pub fn contrasts(&self) -> &[ContrastRow] {
        self.contrasts.rows()
    }

    /// Attempts that were not compared, by reason.
    pub fn left_out(&self) -> &BTreeMap<&'static str, u64> {
        &self.contrasts.left_out
    }

    pub fn permutation(&self) -> Permutation {
        self.contrasts.permutation
    }

    fn finding(&self, target: &Target) -> Option<&Finding> {
        self.contrasts.of(target)
    }
}

fn detector_of(found: &FoundNote) -> Option<&'static Detector> {
    DETECTORS.iter().find(|detector| detector.name == found.detector)
}

/// The direction of the packets that the capture's own side sent: nothing can have been done to them yet.
fn own_direction(vantage: Vantage) -> Option<Direction> {
    match vantage {
        Vantage::Client => Some(Direction::ClientToServer),
        Vantage::Server => Some(Direction::ServerToClient),
        Vantage::Transit | Vantage::Unknown => None,
    }
}

/// The same in every run.
fn hash(value: impl Hash) -> u64 {
    FixedState::with_seed(0).hash_one(value)
}
