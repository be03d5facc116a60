//! Where a capture was taken, by the halves of its handshakes.
//!
//! At the client the SYN/ACK is long in coming and its ACK follows at once; at the server it is the other way round; in between both take their time.
//! Flows vote, and a source has the vantage that four of five votes name. Where no handshake tells, the hops that packets have passed do; segments larger
//! than the maximum do not, since network cards join those that arrive as well as those that leave.

use std::collections::HashMap;

use crate::model::words::Vantage;

use super::Case;

/// A half of the handshake below this belongs to the end at which the capture was taken.
const NEAR_MS: f64 = 2.0;
/// The other half is to be this many times longer.
const RATIO: f64 = 5.0;
const MAJORITY: f64 = 0.8;

#[derive(Debug, Default)]
pub struct Vantages {
    sources: HashMap<String, Votes>,
}

/// Votes for client, server, transit.
#[derive(Debug, Default)]
struct Votes {
    by_halves: [u64; 3],
    by_hops: [u64; 3],
}

impl Vantages {
    pub fn learn(&mut self, case: &Case<'_>) {
        let by_halves = case.syn_rtt_ms.zip(case.ack_rtt_ms).and_then(|(syn, ack)| vote(syn, ack));
        let by_hops = by_hops(case);
        if by_halves.is_none() && by_hops.is_none() {
            return;
        }
        if !self.sources.contains_key(case.source) {
            self.sources.insert(case.source.into(), Votes::default());
        }
        let Some(votes) = self.sources.get_mut(case.source) else { return };
        [(by_halves, &mut votes.by_halves), (by_hops, &mut votes.by_hops)].into_iter().for_each(|(vote, votes)| count(vote, votes));
    }

    /// By the halves of handshakes; where none tells, by hops.
    pub fn of(&self, source: &str) -> Vantage {
        let Some(votes) = self.sources.get(source) else { return Vantage::Unknown };
        winner(if votes.by_halves == [0; 3] { votes.by_hops } else { votes.by_halves })
    }
}

fn count(vote: Option<Vantage>, votes: &mut [u64; 3]) {
    match vote {
        Some(Vantage::Client) => votes[0] += 1,
        Some(Vantage::Server) => votes[1] += 1,
        Some(Vantage::Transit) => votes[2] += 1,
        Some(Vantage::Unknown) | None => {}
    }
}

fn winner(votes: [u64; 3]) -> Vantage {
    let all: u64 = votes.iter().sum();
    let wins = |count: u64| count > 0 && count as f64 >= MAJORITY * all as f64;
    match votes {
        [client, _, _] if wins(client) => Vantage::Client,
        [_, server, _] if wins(server) => Vantage::Server,
        [_, _, transit] if wins(transit) => Vantage::Transit,
        _ => Vantage::Unknown,
    }
}

/// Packets that have passed no router come from the machine at which the capture was taken, if those of the other end have passed some. Where both have, the
/// machine may stand behind a router of its own, so that nothing is said.
fn by_hops(case: &Case<'_>) -> Option<Vantage> {
    match (case.c2s_hops?, case.s2c_hops?) {
        (0, 1..) => Some(Vantage::Client),
        (1.., 0) => Some(Vantage::Server),
        _ => None,
    }
}

fn vote(syn_rtt_ms: f64, ack_rtt_ms: f64) -> Option<Vantage> {
    let near = |half: f64, other: f64| half < NEAR_MS && other > NEAR_MS && other >= RATIO * half;
    if near(ack_rtt_ms, syn_rtt_ms) {
        Some(Vantage::Client)
    } else if near(syn_rtt_ms, ack_rtt_ms) {
        Some(Vantage::Server)
    } else if syn_rtt_ms > NEAR_MS && ack_rtt_ms > NEAR_MS {
        Some(Vantage::Transit)
    } else {
        None
    }
}
