//! Comparison of one failed flow with what happened around it: did the other end live while it was silent here, how did other names fare on the same server,
//! and did the client get through elsewhere?
//!
//! A silence without even an acknowledgement is no matter of a program that hangs: its innocent causes are a machine or a path that died, and these are
//! refuted by one other connection of that machine in the same moments. A program that hangs, or resets, is refuted by names only: an innocent cause
//! strikes names alike, a block keyed on the name strikes one of them again and again.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use statrs::function::beta::ln_beta;

use super::attempts::{Attempt, Attempted, Failure, Marks, NONE};

/// Flows within this time of each other are compared, in microseconds: one outage or one load is shared by them.
const WINDOW: i64 = 300_000_000;
/// How often a blocked name fails, since boxes miss a few percent; how often any other fails; and how often everything fails at a dead server (by design).
const BLOCKED_FAILS: f64 = 0.9;
const OPEN_FAILS: f64 = 0.05;
const DEAD_FAILS: f64 = 0.98;
/// Names, or networks, that one is compared with.
const GROUPS_MAX: usize = 256;
/// The most that signs of life or matched controls add (by design), that names add, and that comparison takes away.
pub const WEIGHT_MAX: f64 = 3.0;
const NAMES_WEIGHT_MAX: f64 = 4.0;
pub const WEIGHT_MIN: f64 = -4.0;
/// A program hangs or resets now and then; a name whose flows hang or are reset at least this often is another matter (by design).
const REPEATED: u32 = 2;
/// Other servers answer the client meanwhile, so that neither it nor its access died: the server may have (by design).
const ELSEWHERE: f64 = 1.0;
/// The server lived shortly before and after (by design).
const AROUND: f64 = 0.75;
/// Signs of life this close before and after a silence leave less room for an outage, in microseconds (by design). Little is made of them: what is under way
/// when an outage begins is what fails.
const NEAR: i64 = 60_000_000;

/// Whether the silent machine lived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alive {
    /// It accepted, answered or began another connection during the silence.
    Meanwhile,
    /// It did so shortly before and shortly after.
    BeforeAndAfter,
    #[default]
    NotSeen,
}

/// What the flows around a failed one tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Near {
    /// Of the same name on the same server, and of the others there, within five minutes. Where no connection came about: of this client network, and of others.
    pub failed: u32,
    pub tried: u32,
    pub others_failed: u32,
    pub others_tried: u32,
    /// The silent machine.
    pub alive: Alive,
    /// The name failed again, and between its first and its last failure the silent machine lived: no single outage did it.
    pub lived_between: bool,
    /// How long before the same client had failed in the same way under another name, in microseconds, where a box may still have held that against it. It
    /// explains a failure that the name does not; it proves none, since several names may be blocked.
    pub follows: Option<i64>,
    /// Other servers that this client tried during the failure: how many answered, how many did not.
    pub elsewhere_lived: u32,
    pub elsewhere_failed: u32,
    /// How much likelier the records of the names (where no connection came about: of client networks) are if this one is blocked, than if the server fails
    /// for all alike: natural logarithm.
    pub by_names: f64,
}

impl Near {
    /// Whether there is anything to tell.
    pub fn tells(&self) -> bool {
        self.alive != Alive::NotSeen || self.others_tried > 0 || self.elsewhere_lived > 0 || self.elsewhere_failed > 0
    }

    /// The client got through nowhere, though it tried.
    pub fn is_cut_off(&self) -> bool {
        self.elsewhere_lived == 0 && self.elsewhere_failed > 0 && self.alive == Alive::NotSeen
    }

    pub fn weight(&self, failure: Failure) -> f64 {
        let by_names = self.by_names;
        match failure {
            Failure::Dead | Failure::Unanswered | Failure::Connect if self.is_cut_off() => WEIGHT_MIN,
            Failure::Dead if self.alive == Alive::Meanwhile && 2 * self.failed >= self.tried => WEIGHT_MAX,
            Failure::Dead if by_names < 0.0 || 2 * self.failed <= self.tried => by_names.min(0.0),
            Failure::Dead => self.against_outages(),
            Failure::Unanswered if self.failed < REPEATED || self.alive == Alive::NotSeen => by_names.min(0.0),
            Failure::Datagrams if self.others_tried == 0 => 0.0,
            // Programs cancel, and servers refuse, now and then.
            Failure::Reset | Failure::Connect if self.failed < REPEATED => by_names.min(0.0),
            Failure::Unanswered | Failure::Reset | Failure::Datagrams | Failure::Connect => by_names,
        }
    }

    /// What speaks against an outage of the client's access, against a long one of the server, against one that struck this name alone.
    fn against_outages(&self) -> f64 {
        let elsewhere = if self.elsewhere_lived > 0 { ELSEWHERE } else { 0.0 };
        let around = if self.alive == Alive::BeforeAndAfter { AROUND } else { 0.0 };
        let between = if self.lived_between { self.by_names } else { 0.0 };
        (elsewhere + around + between).min(NAMES_WEIGHT_MAX)
    }
}

/// Failures and tries of one name.
type Tally = (u32, u32);

/// Likelihood of the records if this name is blocked and any other may be, against their likelihood if all fail alike: at any rate, or because the server is
/// dead. Failures that keep to some names speak for a block, failures that are spread over all of them do not.
fn likelihood_ratio(own: Tally, others: &[Tally]) -> f64 {
    if others.is_empty() {
        return 0.0;
    }
    let is_open = |(failed, tried): &Tally| 2 * failed < *tried;
    let at_rate = |rate: f64, (failed, tried): Tally| f64::from(failed) * rate.ln() + f64::from(tried - failed) * (1.0 - rate).ln();
    let either = |tally: &Tally| half(at_rate(BLOCKED_FAILS, *tally), at_rate(OPEN_FAILS, *tally));
    let all = others.iter().fold(own, |all, tally| (all.0 + tally.0, all.1 + tally.1));
    let at_any_rate = ln_beta(f64::from(all.0) + 1.0, f64::from(all.1 - all.0) + 1.0);
    let blocked = at_rate(BLOCKED_FAILS, own) + others.iter().map(either).sum::<f64>();
    let most = if others.iter().any(is_open) { NAMES_WEIGHT_MAX } else { 0.0 };
    (blocked - half(at_any_rate, at_rate(DEAD_FAILS, all))).clamp(WEIGHT_MIN, most)
}

/// The logarithm of the mean of two likelihoods, of which the logarithms are given.
fn half(one: f64, other: f64) -> f64 {
    let larger = one.max(other);
    larger + (((one - larger).exp() + (other - larger).exp()) / 2.0).ln()
}

/// Compares the failed flows among all attempts at one server address of one source.
pub fn at_server(attempts: &[Attempt], mut each: impl FnMut(&Attempt, Near)) {
    let lives = Moments::new(attempts.iter().flat_map(|attempt| {
        let answered = (attempt.attempted() == Attempted::Worked && attempt.accepted != NONE).then_some(attempt.until);
        [Some(attempt.accepted).filter(|time| *time != NONE), answered].into_iter().flatten()
    }));
    for (_, at_endpoint) in grouped(attempts.iter().filter(|attempt| takes_part(attempt)), |attempt| attempt.endpoint) {
        let names = records(&at_endpoint, |attempt| attempt.name);
        let follows = followers(&at_endpoint);
        for (attempt, follows) in at_endpoint.iter().zip(follows) {
            let Some(failure) = attempt.failure().filter(|_| attempt.is(Marks::ACCUSED)) else { continue };
            let beside = Beside::new(&names, attempt.name, attempt, failure);
            let alive = if attempt.is(Marks::CLIENT_ACCUSED) { Alive::NotSeen } else { lives.around(attempt) };
            let span = names.get(&attempt.name).and_then(|record| record.failing(attempt, failure));
            let lived_between =
                beside.own.0 >= REPEATED && !attempt.is(Marks::CLIENT_ACCUSED) && span.is_some_and(|(first, last)| lives.any_within(first, last));
            let near = beside.near();
            let by_names = if attempt.is(Marks::ASKED) { near.by_names } else { near.by_names.min(0.0) }; // what showed no payload is not without a name
            each(attempt, Near { alive, lived_between, follows, by_names, ..near });
        }
    }
}

/// Compares the flows that came to no connection with those of other client networks at the same endpoint: networks are to them what names are to others.
pub fn at_networks(attempts: &[Attempt], mut each: impl FnMut(&Attempt, Near)) {
    let is_unconnected = |attempt: &Attempt| attempt.failure() == Some(Failure::Connect);
    let connecting = attempts.iter().filter(|attempt| attempt.was_accepted() || is_unconnected(attempt));
    for (_, at_endpoint) in grouped(connecting, |attempt| attempt.endpoint) {
        let networks = records(&at_endpoint, |attempt| attempt.network);
        for attempt in at_endpoint.iter().filter(|attempt| is_unconnected(attempt) && attempt.is(Marks::ACCUSED)) {
            each(attempt, Beside::new(&networks, attempt.network, attempt, Failure::Connect).near());
        }
    }
}

/// One group of attempts, a name or a network, beside the others around a failed attempt.
struct Beside {
    own: Tally,
    others: Vec<Tally>,
}

impl Beside {
    fn new(records: &BTreeMap<i64, Record>, own: i64, attempt: &Attempt, failure: Failure) -> Self {
        let of = |record: &Record| record.around(attempt, failure);
        let others = records.iter().filter(|(group, _)| **group != own).take(GROUPS_MAX).map(|(_, record)| of(record)).filter(|tally| tally.1 > 0);
        Self { own: records.get(&own).map_or((0, 0), of), others: others.collect() }
    }

    fn near(&self) -> Near {
        let (failed, tried) = self.own;
        let (others_failed, others_tried) = self.others.iter().fold((0, 0), |sum, tally| (sum.0 + tally.0, sum.1 + tally.1));
        Near { failed, tried, others_failed, others_tried, by_names: likelihood_ratio(self.own, &self.others), ..Near::default() }
    }
}

fn records(attempts: &[&Attempt], group: fn(&Attempt) -> i64) -> BTreeMap<i64, Record> {
    grouped(attempts.iter().copied(), group).into_iter().map(|(group, some)| (group, Record::new(&some))).collect()
}

/// Adds to the comparison of the failed flows of one client what its other flows tell.
pub fn at_client(attempts: &[Attempt], mut each: impl FnMut(&Attempt, &dyn Fn(&mut Near))) {
    let lives = Moments::new(attempts.iter().filter(|attempt| attempt.accepted != NONE).map(|attempt| attempt.start));
    let by_server: HashMap<i64, Ends> =
        grouped(attempts.iter(), |attempt| attempt.server).into_iter().map(|(server, some)| (server, Ends::new(&some))).collect();
    let all = Ends::new(&attempts.iter().collect::<Vec<_>>());
    for attempt in attempts.iter().filter(|attempt| attempt.is(Marks::ACCUSED) && attempt.asked != NONE) {
        let (every, own) = (all.within(attempt), by_server.get(&attempt.server).map_or((0, 0), |ends| ends.within(attempt)));
        each(attempt, &|near: &mut Near| {
            if attempt.is(Marks::CLIENT_ACCUSED) {
                near.alive = lives.around(attempt);
            }
            (near.elsewhere_lived, near.elsewhere_failed) = (every.0 - own.0, every.1 - own.1);
        });
    }
}

/// Whether an attempt tells how its name fares.
fn takes_part(attempt: &Attempt) -> bool {
    !matches!(attempt.attempted(), Attempted::LeftOut(_) | Attempted::Failed(Failure::Connect)) && attempt.asked != NONE
}

/// In the order of their keys; those of one key in the order in which they came.
fn grouped<'a>(attempts: impl Iterator<Item = &'a Attempt>, key: impl Fn(&Attempt) -> i64) -> Vec<(i64, Vec<&'a Attempt>)> {
    let mut groups: HashMap<i64, Vec<&Attempt>> = HashMap::new();
    attempts.for_each(|attempt| groups.entry(key(attempt)).or_default().push(attempt));
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_unstable_by_key(|(key, _)| *key);
    groups
}

/// Attempts in order of time, with sums up to each: how many were made and how many failed in which way between two moments is a difference.
struct Record {
    moments: Vec<i64>,
    failures: Vec<Option<Failure>>,
    sums: Vec<[u32; 5]>,
}

impl Record {
    fn new(attempts: &[&Attempt]) -> Self {
        let mut by_time: Vec<(i64, Option<Failure>)> = attempts.iter().map(|attempt| (attempt.moment(), attempt.failure())).collect();
        by_time.sort_unstable_by_key(|(moment, _)| *moment);
        let mut sums = vec![[0; 5]];
        let mut sum = [0; 5];
        for (_, failure) in &by_time {
            failure.iter().for_each(|failure| sum[*failure as usize] += 1);
            sums.push(sum);
        }
        let (moments, failures) = by_time.into_iter().unzip();
        Self { moments, failures, sums }
    }

    /// The places of those that were made around an attempt.
    fn window(&self, attempt: &Attempt) -> Range<usize> {
        let (from, until) = (attempt.moment().saturating_sub(WINDOW), attempt.until.saturating_add(WINDOW));
        self.moments.partition_point(|time| *time < from)..self.moments.partition_point(|time| *time <= until)
    }

    /// When the first and the last of those around an attempt began that failed so.
    fn failing(&self, attempt: &Attempt, failure: Failure) -> Option<(i64, i64)> {
        let mut failing = self.window(attempt).filter(|place| self.failures[*place] == Some(failure));
        let earliest = failing.next()?;
        Some((self.moments[earliest], self.moments[failing.next_back().unwrap_or(earliest)]))
    }

    /// How many of those that were made around an attempt failed so, and how many were made.
    fn around(&self, attempt: &Attempt, failure: Failure) -> Tally {
        let Range { start, end } = self.window(attempt);
        (self.sums[end][failure as usize] - self.sums[start][failure as usize], (end - start) as u32)
    }
}

/// A name, and when it was asked for.
type Named = (i64, i64);

/// Of attempts in order of time: how long before each the same client last failed in the same way under another name, within the window.
fn followers(attempts: &[&Attempt]) -> Vec<Option<i64>> {
    let mut order: Vec<usize> = (0..attempts.len()).collect();
    order.sort_by_key(|&place| (attempts[place].asked, attempts[place].until));
    // The last failure of each kind, and the last one under another name than that.
    let mut last: HashMap<(i64, Failure), [Option<Named>; 2]> = HashMap::new();
    let mut follows = vec![None; attempts.len()];
    for place in order {
        let attempt = attempts[place];
        let Some(failure) = attempt.failure() else { continue };
        let before = last.entry((attempt.client, failure)).or_default();
        let other = before.iter().flatten().filter(|(name, time)| *name != attempt.name && *time < attempt.asked).map(|(_, time)| *time).max();
        follows[place] = other.map(|time| attempt.asked.saturating_sub(time)).filter(|since| *since <= WINDOW);
        if before[0].is_some_and(|(name, _)| name != attempt.name) {
            before[1] = before[0];
        }
        before[0] = Some((attempt.name, attempt.asked));
    }
    follows
}

/// Moments in order.
struct Moments(Vec<i64>);

impl Moments {
    fn new(moments: impl Iterator<Item = i64>) -> Self {
        let mut moments: Vec<i64> = moments.collect();
        moments.sort_unstable();
        Self(moments)
    }

    fn any_within(&self, from: i64, until: i64) -> bool {
        self.0.partition_point(|&time| time <= from) < self.0.partition_point(|&time| time < until)
    }

    /// Whether any lies within the silence of an attempt, or close to both of its ends.
    fn around(&self, attempt: &Attempt) -> Alive {
        let (from, until) = (attempt.asked, attempt.until);
        let (behind, after) = (self.0.partition_point(|&time| time <= from), self.0.partition_point(|&time| time < until));
        let near = |sign: Option<&i64>, moment: i64| sign.is_some_and(|time| time.abs_diff(moment) <= NEAR as u64);
        // The last sign before the silence may be the handshake of this very flow.
        if behind < after {
            Alive::Meanwhile
        } else if near(self.0.get(after), until) && near(behind.checked_sub(2).and_then(|index| self.0.get(index)), from) {
            Alive::BeforeAndAfter
        } else {
            Alive::NotSeen
        }
    }
}

/// When servers accepted or answered one client, and when they did neither.
struct Ends {
    lived: Moments,
    failed: Moments,
}

impl Ends {
    fn new(attempts: &[&Attempt]) -> Self {
        let lived = attempts.iter().flat_map(|attempt| {
            let answered = (attempt.attempted() == Attempted::Worked).then_some(attempt.until);
            [Some(attempt.accepted), answered].into_iter().flatten().filter(|time| *time != NONE)
        });
        let failed = attempts.iter().filter(|attempt| attempt.failure().is_some()).map(|attempt| attempt.moment());
        Self { lived: Moments::new(lived), failed: Moments::new(failed) }
    }

    /// During the silence of an attempt.
    fn within(&self, attempt: &Attempt) -> (u32, u32) {
        let count = |moments: &Moments| {
            let (from, until) = (moments.0.partition_point(|&time| time < attempt.asked), moments.0.partition_point(|&time| time <= attempt.until));
            until.saturating_sub(from) as u32
        };
        (count(&self.lived), count(&self.failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_weighs_more_the_more_others_were_answered() {
        assert!(likelihood_ratio((1, 1), &[(0, 3)]) > likelihood_ratio((1, 1), &[(0, 1)]));
        assert_eq!(likelihood_ratio((3, 3), &[(0, 20)]), NAMES_WEIGHT_MAX);
        assert_eq!(likelihood_ratio((3, 3), &[]), 0.0);
    }

    #[test]
    fn a_server_that_fails_for_all_accuses_nobody() {
        assert!(likelihood_ratio((2, 2), &[(9, 10)]) <= 0.0);
        assert!(likelihood_ratio((2, 4), &[(2, 4), (1, 3), (2, 5)]) < 0.0);
    }

    #[test]
    fn failures_that_keep_to_some_names_are_a_block_of_several() {
        assert!(likelihood_ratio((2, 2), &[(3, 3), (0, 4), (0, 3)]) > 2.0);
    }

    #[test]
    fn a_name_that_mostly_works_is_not_blocked() {
        assert!(likelihood_ratio((1, 8), &[(0, 10)]) < 0.0);
    }

    #[test]
    fn a_client_that_gets_through_nowhere_accuses_nobody() {
        let alone = Near { failed: 1, tried: 1, ..Near::default() };
        assert_eq!(alone.weight(Failure::Dead), 0.0);
        assert_eq!(Near { elsewhere_failed: 2, ..alone }.weight(Failure::Dead), WEIGHT_MIN);
        assert_eq!(Near { elsewhere_failed: 2, elsewhere_lived: 1, ..alone }.weight(Failure::Dead), ELSEWHERE);
        assert_eq!(Near { elsewhere_lived: 1, tried: 2, ..alone }.weight(Failure::Dead), 0.0, "the same name worked as well");
        assert_eq!(Near { elsewhere_failed: 2, alive: Alive::Meanwhile, ..alone }.weight(Failure::Dead), WEIGHT_MAX);
    }
}
