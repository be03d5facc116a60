//! Names and verdicts, once all flows are known.
//! In:  answers of DNS and flows that others may name; cases: the few values of each flow that judgement reads, with what its own packets showed.
//! Out: what others tell of a flow ([`Told`]); a [`Judgement`](crate::model::rows::Judgement) and the findings of each flow.
//! Promises: the same cases give the same judgements in any order; benign causes come first; what one vantage cannot see is not claimed.
//! Not here: packets, files, threads, tables.
//!
//! Three passes: [`Knowledge::note`] sees every flow as it ends (where was the capture taken, which flows failed), [`Knowledge::learn`] sees all of them
//! where any failed (how did other names and other times fare on the machines of those), then [`Judge::judge`].

mod answers;
mod judge;
mod moves;
mod names;
mod naming;
#[cfg(test)]
mod tests;
mod vantage;
mod weights;

pub use answers::{Answer, Answers};
pub use judge::Judge;
pub use moves::QuicFlow;
pub use naming::{Naming, OpenFlow, Told};
pub use weights::{Weights, WeightsError};

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

use crate::model::rows::Observed;
use crate::model::words::*;

use names::Names;
use vantage::Vantages;

/// One flow, as judgement sees it.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    pub source: &'a str,
    pub flow_id: i64,
    pub client_ip: &'a str,
    pub server_ip: &'a str,
    pub server_port: i32,
    pub transport: Transport,
    pub sni: Option<&'a str>,
    pub http_host: Option<&'a str>,
    /// Microseconds.
    pub start: i64,
    pub tcp_state: Option<TcpState>,
    pub handshake: bool,
    pub syn_rtt_ms: Option<f64>,
    pub ack_rtt_ms: Option<f64>,
    /// Routers that packets of either direction passed before the capture.
    pub c2s_hops: Option<i32>,
    pub s2c_hops: Option<i32>,
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

impl Case<'_> {
    /// What the client asks for by name, and what a block keyed on it is keyed on.
    fn name(&self) -> Option<(&str, Trigger)> {
        let sni = self.sni.map(|name| (name, Trigger::Sni));
        sni.or_else(|| Some((self.http_host?, Trigger::HttpHost)))
    }

    /// Whether nothing was owed at the end.
    fn is_settled(&self) -> bool {
        matches!(self.outstanding, Some(Outstanding::Nothing) | None)
    }

    fn fails(&self, gate: Gate) -> bool {
        self.gates.contains(&gate)
    }
}

/// What all flows together tell.
#[derive(Debug, Default)]
pub struct Knowledge {
    vantages: Vantages,
    names: Names,
}

impl Knowledge {
    /// Takes one flow in as it ends; the order makes no difference.
    pub fn note(&mut self, case: &Case<'_>) {
        self.vantages.learn(case);
        self.names.ask(case);
    }

    /// Whether there is anything to learn from the flows beside those that failed.
    pub fn asks(&self) -> bool {
        self.names.are_asked()
    }

    /// Takes one flow in, after all have been noted; the order makes no difference.
    pub fn learn(&mut self, case: &Case<'_>) {
        self.names.learn(case);
    }

    /// Called once after the last flow, before judgement.
    pub fn settle(&mut self) {
        self.names.settle();
    }

    pub fn vantage(&self, source: &str) -> Vantage {
        self.vantages.of(source)
    }
}

/// The same in every run.
fn hash(value: impl Hash) -> u64 {
    FixedState::with_seed(0).hash_one(value)
}
