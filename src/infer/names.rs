//! Comparison inside a source: did the other end live while it was silent here, and how did other names fare on the same server?
//!
//! A silence without even an acknowledgement is no matter of a program that hangs: its innocent causes are a machine or a path that died, and these are
//! refuted by one other connection of that machine in the same moments. A program that hangs, or resets, is refuted by names only: an innocent cause
//! strikes names alike, a block keyed on the name strikes one of them again and again.

use std::collections::{HashMap, HashSet};

use crate::model::Direction;
use crate::model::words::{Gate, PayloadFate, Transport};

use super::{Case, hash};

/// Flows within this time of each other are compared, in microseconds: one outage or one load is shared by them.
const WINDOW: i64 = 300_000_000;
/// How often a blocked name fails: boxes miss a few percent (by design).
const BLOCKED_FAILS: f64 = 0.9;
/// The most that comparison adds (by design), and the most that it takes away.
const WEIGHT_MAX: f64 = 3.0;
const WEIGHT_MIN: f64 = -4.0;
/// A program hangs or resets now and then; a name whose flows hang or are reset at least this often is another matter (by design).
const REPEATED: usize = 2;
/// Comparison over so many buckets of a minute on either side is a matched control.
pub const BUCKETS_MIN: usize = 5;
const BUCKET: i64 = 60_000_000;
/// Signs of life this close before and after a silence leave less room for an outage, in microseconds (by design). Little is made of them: what is under way
/// when an outage begins is what fails.
const NEAR: i64 = 60_000_000;

/// The kinds of failure, so that like is compared with like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Reset,
    /// Acknowledged and not answered.
    Unanswered,
    /// Not even acknowledged.
    Dead,
    /// Datagrams without an answer: networks and servers without QUIC do the same to every name.
    Datagrams,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    name: u32,
    /// A hash of its address.
    client: u64,
    start: i64,
    until: i64,
    /// None: it was answered.
    failure: Option<Failure>,
}

/// Source, address, port, transport.
type Server = (String, String, i32, Transport);

fn server_key<'a>(case: &Case<'a>) -> (&'a str, &'a str, i32, Transport) {
    (case.source, case.server_ip, case.server_port, case.transport)
}

fn server_of(case: &Case<'_>) -> Server {
    (case.source.into(), case.server_ip.into(), case.server_port, case.transport)
}

/// Connections without a name are compared with those that have one.
fn name_of(case: &Case<'_>) -> String {
    case.name().map(|(name, _)| name.to_ascii_lowercase()).unwrap_or_default()
}

/// Moments at which a machine accepted a connection, answered, or began one.
type LifeSigns = HashMap<(String, String), Vec<i64>>;

#[derive(Debug, Default)]
pub struct Names {
    asked: Asked,
    ids: HashMap<String, u32>,
    servers: HashMap<Server, Vec<Attempt>>,
    server_lives: LifeSigns,
    client_lives: LifeSigns,
}

/// What failed flows ask about: nothing else is learnt, so that captures in which all is well cost no memory. Hashes, of which two may be alike: then
/// more is learnt than is asked for.
#[derive(Debug, Default)]
struct Asked {
    servers: HashSet<u64>,
    machines: HashSet<u64>,
}

/// Whether the silent machine lived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alive {
    /// It accepted, answered or began another connection during the silence.
    Meanwhile,
    /// It did so shortly before and shortly after.
    BeforeAndAfter,
    NotSeen,
}

/// What comparison gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub weight: f64,
    /// The part of it that rests on names: how much likelier this name's record is if it is blocked.
    pub by_names: f64,
    pub alive: Alive,
    pub failed: usize,
    pub tried: usize,
    pub others_failed: usize,
    pub others_tried: usize,
    /// How long before the same client had failed in the same way under another name, in microseconds, where a box may still have held that against it. It
    /// explains a failure that the name does not; it proves none, since several names may be blocked.
    pub follows: Option<i64>,
    /// Buckets of a minute in which this name failed, and in which others were answered.
    pub failed_buckets: usize,
    pub answered_buckets: usize,
}

impl Names {
    /// Remembers what a failed flow will be compared with.
    pub fn ask(&mut self, case: &Case<'_>) {
        if !case.observed.found.is_empty() {
            self.asked.servers.insert(hash(server_key(case)));
            self.asked.machines.extend([hash((case.source, case.server_ip)), hash((case.source, case.client_ip))]);
        }
    }

    /// Whether any flow failed.
    pub fn are_asked(&self) -> bool {
        !self.asked.servers.is_empty()
    }

    /// Learns from a flow what others asked, once all have been asked.
    pub fn learn(&mut self, case: &Case<'_>) {
        let asked = &self.asked.machines;
        let sign = |signs: &mut LifeSigns, machine: &str, time: i64| {
            if asked.contains(&hash((case.source, machine))) {
                signs.entry((case.source.into(), machine.into())).or_default().push(time);
            }
        };
        if let Some(round_trip) = case.syn_rtt_ms.filter(|_| case.handshake) {
            sign(&mut self.server_lives, case.server_ip, case.start + (round_trip * 1e3) as i64);
            sign(&mut self.client_lives, case.client_ip, case.start);
        }
        if case.fails(Gate::DesyncTool) {
            return; // what it says is not what the server hears
        }
        let (Some(fate), Some((start, until))) = (case.fate, case.waited) else { return };
        let failure = failure_of(case);
        match failure {
            // Datagrams may take another way, and reach another program.
            None if case.transport == Transport::Udp && fate == PayloadFate::Answered => {}
            None if matches!(fate, PayloadFate::Answered | PayloadFate::Alert) => sign(&mut self.server_lives, case.server_ip, until),
            None => return,
            Some(_) => {}
        }
        if !self.asked.servers.contains(&hash(server_key(case))) {
            return;
        }
        let next = self.ids.len() as u32;
        let name = *self.ids.entry(name_of(case)).or_insert(next);
        self.servers.entry(server_of(case)).or_default().push(Attempt { name, client: hash(case.client_ip), start, until, failure });
    }

    /// Orders what was learnt, so that windows can be looked up.
    pub fn settle(&mut self) {
        for attempts in self.servers.values_mut() {
            attempts.sort_unstable_by_key(|attempt| (attempt.start, attempt.until, attempt.name));
        }
        for signs in self.server_lives.values_mut().chain(self.client_lives.values_mut()) {
            signs.sort_unstable();
        }
    }

    /// Compares a failed flow; none where there is nothing to compare with.
    pub fn compare(&self, case: &Case<'_>, failure: Failure, silent: Direction) -> Option<Comparison> {
        let name = *self.ids.get(&name_of(case))?;
        let (start, until) = case.waited?;
        let attempts = self.servers.get(&server_of(case))?;
        let from = attempts.partition_point(|attempt| attempt.start < start - WINDOW);
        let near: Vec<&Attempt> = attempts[from..].iter().take_while(|attempt| attempt.start <= until + WINDOW).collect();
        let client = hash(case.client_ip);
        let held_against = |attempt: &&&Attempt| attempt.client == client && attempt.name != name && attempt.failure == Some(failure);
        let since = |attempt: &&Attempt| start - attempt.start;
        let follows = near.iter().filter(held_against).map(since).filter(|since| *since > 0).min();
        let (own, others): (Vec<&Attempt>, Vec<&Attempt>) = near.into_iter().partition(|attempt| attempt.name == name);
        let failed = |attempts: &[&Attempt]| attempts.iter().filter(|attempt| attempt.failure == Some(failure)).count();
        let minutes = |attempts: &[&Attempt], failure: Option<Failure>| {
            let mut minutes: Vec<i64> =
                attempts.iter().filter(|attempt| attempt.failure == failure).map(|attempt| attempt.start.div_euclid(BUCKET)).collect();
            minutes.sort_unstable();
            minutes.dedup();
            minutes.len()
        };
        let mut comparison = Comparison {
            weight: 0.0,
            by_names: 0.0,
            follows,
            alive: self.lives(case, silent, start, until),
            failed: failed(&own),
            tried: own.len(),
            others_failed: failed(&others),
            others_tried: others.len(),
            failed_buckets: minutes(&own, Some(failure)),
            answered_buckets: minutes(&others, None),
        };
        let asked = case.name().is_some() || case.fate.is_some_and(|fate| fate != PayloadFate::NoPayload);
        let ratio = likelihood_ratio(comparison.failed, comparison.tried, comparison.others_failed, comparison.others_tried);
        comparison.by_names = if asked { ratio } else { ratio.min(0.0) }; // what showed no payload is not without a name
        comparison.weight = comparison.weigh(failure);
        (comparison.alive != Alive::NotSeen || comparison.others_tried > 0).then_some(comparison)
    }

    /// Whether the silent machine asked or answered elsewhere between two moments, or close to both.
    fn lives(&self, case: &Case<'_>, silent: Direction, from: i64, until: i64) -> Alive {
        let (signs, machine) = match silent {
            Direction::ServerToClient => (&self.server_lives, case.server_ip),
            Direction::ClientToServer => (&self.client_lives, case.client_ip),
        };
        let Some(signs) = signs.get(&(case.source.to_string(), machine.to_string())) else { return Alive::NotSeen };
        let (behind, after) = (signs.partition_point(|&time| time <= from), signs.partition_point(|&time| time < until));
        let near = |sign: Option<&i64>, moment: i64| sign.is_some_and(|time| (time - moment).abs() <= NEAR);
        // The last sign before the silence may be the handshake of this very flow.
        if behind < after {
            Alive::Meanwhile
        } else if near(signs.get(after), until) && near(behind.checked_sub(2).and_then(|index| signs.get(index)), from) {
            Alive::BeforeAndAfter
        } else {
            Alive::NotSeen
        }
    }
}

impl Comparison {
    fn weigh(&self, failure: Failure) -> f64 {
        let by_names = self.by_names;
        match failure {
            Failure::Dead if self.alive == Alive::NotSeen => by_names.min(0.0),
            Failure::Dead if 2 * self.failed < self.tried => by_names.min(0.0),
            Failure::Dead if self.alive == Alive::BeforeAndAfter => WEIGHT_MAX / 4.0,
            Failure::Dead => WEIGHT_MAX,
            Failure::Unanswered if self.failed < REPEATED || self.alive == Alive::NotSeen => by_names.min(0.0),
            Failure::Datagrams if self.others_tried == 0 => 0.0,
            // Programs cancel, and servers refuse, now and then.
            Failure::Reset if self.failed < REPEATED => by_names.min(0.0),
            Failure::Unanswered | Failure::Reset | Failure::Datagrams => by_names,
        }
    }
}

/// Likelihood of this name's record if it is blocked, against its likelihood if it fails as often as the others do (Laplace's rule of succession).
fn likelihood_ratio(failed: usize, tried: usize, others_failed: usize, others_tried: usize) -> f64 {
    let innocent = (others_failed as f64 + 1.0) / (others_tried as f64 + 2.0);
    let (failed, answered) = (failed as f64, (tried - failed) as f64);
    let ratio = failed * (BLOCKED_FAILS / innocent).ln() + answered * ((1.0 - BLOCKED_FAILS) / (1.0 - innocent)).ln();
    ratio.clamp(WEIGHT_MIN, WEIGHT_MAX)
}

/// How the flow failed, by what its own packets showed.
fn failure_of(case: &Case<'_>) -> Option<Failure> {
    case.observed.found.iter().map(|found| failure_by(&found.detector, found.items.iter().map(|item| item.id.as_str()))).next()
}

/// The kind of failure that a detector found.
pub fn failure_by<'a>(detector: &str, mut items: impl Iterator<Item = &'a str>) -> Failure {
    if detector.starts_with("reset") {
        Failure::Reset
    } else if detector.starts_with("quic") {
        Failure::Datagrams
    } else if items.any(|item| item.ends_with("_acked_then_silent")) {
        Failure::Unanswered
    } else {
        Failure::Dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_weighs_more_the_more_others_were_answered() {
        assert!(likelihood_ratio(1, 1, 0, 20) > likelihood_ratio(1, 1, 0, 5));
        assert!(likelihood_ratio(3, 3, 0, 20) <= WEIGHT_MAX);
    }

    #[test]
    fn a_server_that_fails_for_all_accuses_nobody() {
        assert!(likelihood_ratio(2, 2, 9, 10) < likelihood_ratio(2, 2, 0, 10) / 10.0);
    }

    #[test]
    fn a_name_that_mostly_works_is_not_blocked() {
        assert!(likelihood_ratio(1, 8, 0, 10) < 0.0);
    }
}
