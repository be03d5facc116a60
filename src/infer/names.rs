//! Which names fared how on which server: the comparison that tells a name-keyed block from a server's or a path's trouble (detection.md, set A of 10.2).
//!
//! Compared are flows of one source to one server address and port that asked for different names. An innocent cause (a server that hangs, a path that
//! fails) strikes names alike; a block keyed on the name strikes one of them. While the flow in question waited in vain the server must have answered
//! another name, else an outage explains all.

use std::collections::HashMap;

use crate::model::words::PayloadFate;

use super::Case;

/// Flows within this time of each other are compared, in microseconds: one outage or one load is shared by them.
const WINDOW: i64 = 300_000_000;
/// How often a blocked name fails: boxes miss a few percent and block pages are slow to update (D).
const BLOCKED_FAILS: f64 = 0.9;
/// The most that comparison adds (detection.md 13.2, family F6), and the most that it takes away.
const WEIGHT_MAX: f64 = 3.0;
const WEIGHT_MIN: f64 = -4.0;
/// Comparison over so many buckets of a minute on either side is a matched control (DESIGN: certainty).
pub const BUCKETS_MIN: usize = 5;
const BUCKET: i64 = 60_000_000;

/// The kinds of failure, so that a reset is compared with resets and a silence with silences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Reset,
    Silence,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    name: u32,
    start: i64,
    until: i64,
    /// None: it was answered.
    failure: Option<Failure>,
}

#[derive(Debug, Default)]
pub struct Names {
    ids: HashMap<String, u32>,
    servers: HashMap<(String, String, i32), Vec<Attempt>>,
}

/// What comparison with other names on the same server gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub weight: f64,
    pub failed: usize,
    pub tried: usize,
    pub others_failed: usize,
    pub others_tried: usize,
    /// Buckets of a minute in which this name failed, and in which others were answered.
    pub failed_buckets: usize,
    pub answered_buckets: usize,
}

impl Names {
    pub fn learn(&mut self, case: &Case<'_>) {
        let (Some(name), Some(fate)) = (case.sni, case.fate) else { return };
        let failure = failure_of(case);
        if failure.is_none() && !matches!(fate, PayloadFate::Answered | PayloadFate::Alert) {
            return;
        }
        let Some((start, until)) = case.waited else { return };
        let next = self.ids.len() as u32;
        let name = *self.ids.entry(name.to_ascii_lowercase()).or_insert(next);
        let server = (case.source.to_string(), case.server_ip.to_string(), case.server_port);
        self.servers.entry(server).or_default().push(Attempt { name, start, until, failure });
    }

    /// Orders the attempts, so that windows can be looked up.
    pub fn settle(&mut self) {
        for attempts in self.servers.values_mut() {
            attempts.sort_unstable_by_key(|attempt| (attempt.start, attempt.until, attempt.name));
        }
    }

    /// Compares a failed flow with other names on its server; none where there is nothing to compare with.
    pub fn compare(&self, case: &Case<'_>, failure: Failure) -> Option<Comparison> {
        let name = *self.ids.get(&case.sni?.to_ascii_lowercase())?;
        let server = (case.source.to_string(), case.server_ip.to_string(), case.server_port);
        let (start, until) = case.waited?;
        let attempts = self.servers.get(&server)?;
        let from = attempts.partition_point(|attempt| attempt.start < start - WINDOW);
        let near: Vec<&Attempt> = attempts[from..].iter().take_while(|attempt| attempt.start <= until + WINDOW).collect();
        let fails = |attempt: &&&Attempt| attempt.failure == Some(failure);
        let own: Vec<_> = near.iter().filter(|attempt| attempt.name == name).collect();
        let others: Vec<_> = near.iter().filter(|attempt| attempt.name != name && !always_fails(&near, attempt.name)).collect();
        let failed = own.iter().filter(|attempt| fails(attempt)).count();
        let others_failed = others.iter().filter(|attempt| fails(attempt)).count();
        let alive = others.iter().any(|attempt| attempt.failure.is_none() && attempt.start <= until && attempt.until >= start);
        let answered_before_and_after = |after: bool| others.iter().any(|attempt| attempt.failure.is_none() && (attempt.start > start) == after);
        let server_lives = alive || (failure == Failure::Reset && answered_before_and_after(false) && answered_before_and_after(true));
        if others.is_empty() || failed == 0 {
            return None;
        }
        let weight = if server_lives { weight(failed, own.len(), others_failed, others.len()) } else { WEIGHT_MIN.max(-1.0 * others_failed as f64) };
        let buckets = |attempts: &[&&Attempt], failing: bool| {
            let mut minutes: Vec<i64> =
                attempts.iter().filter(|attempt| fails(attempt) == failing).map(|attempt| attempt.start.div_euclid(BUCKET)).collect();
            minutes.sort_unstable();
            minutes.dedup();
            minutes.len()
        };
        Some(Comparison {
            weight,
            failed,
            tried: own.len(),
            others_failed,
            others_tried: others.len(),
            failed_buckets: buckets(&own, true),
            answered_buckets: buckets(&others, false),
        })
    }
}

/// Likelihood of this name's record if it is blocked, against its likelihood if it fails as often as the others do (Laplace's rule of succession).
fn weight(failed: usize, tried: usize, others_failed: usize, others_tried: usize) -> f64 {
    let innocent = (others_failed as f64 + 1.0) / (others_tried as f64 + 2.0);
    let (failed, answered) = (failed as f64, (tried - failed) as f64);
    let ratio = failed * (BLOCKED_FAILS / innocent).ln() + answered * ((1.0 - BLOCKED_FAILS) / (1.0 - innocent)).ln();
    ratio.clamp(WEIGHT_MIN, WEIGHT_MAX)
}

/// A name that fails time and again is under suspicion itself and no control.
fn always_fails(near: &[&Attempt], name: u32) -> bool {
    let own = || near.iter().filter(|attempt| attempt.name == name);
    own().count() >= 2 && own().all(|attempt| attempt.failure.is_some())
}

/// How the flow failed, by what its own packets showed.
fn failure_of(case: &Case<'_>) -> Option<Failure> {
    let fell = |part: &str| case.observed.found.iter().any(|found| found.detector.contains(part));
    if fell("reset") {
        Some(Failure::Reset)
    } else if fell("silent") {
        Some(Failure::Silence)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_weighs_more_the_more_others_were_answered() {
        assert!(weight(1, 1, 0, 20) > weight(1, 1, 0, 5));
        assert!(weight(3, 3, 0, 20) <= WEIGHT_MAX);
    }

    #[test]
    fn a_server_that_fails_for_all_accuses_nobody() {
        assert!(weight(2, 2, 9, 10) < weight(2, 2, 0, 10) / 10.0);
    }

    #[test]
    fn a_name_that_mostly_works_is_not_blocked() {
        assert!(weight(1, 8, 0, 10) < 0.0);
    }
}
