//! Where a capture was taken, by the halves of its handshakes.
//!
//! At the client the SYN/ACK is long in coming and its ACK follows at once; at the server it is the other way round; in between both take their time.
//! Flows vote, and a source has the vantage that four of five votes name. TTLs are not asked.

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
    /// Votes for client, server, transit.
    votes: HashMap<String, [u64; 3]>,
}

impl Vantages {
    pub fn learn(&mut self, case: &Case<'_>) {
        let Some(vote) = case.syn_rtt_ms.zip(case.ack_rtt_ms).and_then(|(syn, ack)| vote(syn, ack)) else { return };
        let index = match vote {
            Vantage::Client => 0,
            Vantage::Server => 1,
            Vantage::Transit | Vantage::Unknown => 2,
        };
        match self.votes.get_mut(case.source) {
            Some(votes) => votes[index] += 1,
            None => {
                let mut votes = [0; 3];
                votes[index] = 1;
                self.votes.insert(case.source.into(), votes);
            }
        }
    }

    pub fn of(&self, source: &str) -> Vantage {
        let Some(votes) = self.votes.get(source) else { return Vantage::Unknown };
        let all: u64 = votes.iter().sum();
        let wins = |count: u64| count as f64 >= MAJORITY * all as f64;
        match votes {
            [client, _, _] if wins(*client) => Vantage::Client,
            [_, server, _] if wins(*server) => Vantage::Server,
            [_, _, transit] if wins(*transit) => Vantage::Transit,
            _ => Vantage::Unknown,
        }
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
