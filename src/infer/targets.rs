//! Targets: what became of all flows to one host at one server from one client network.
//!
//! In:  judged flows, those of one service and host together.
//! Out: [`TargetRow`]s.
//! Promises: rates count buckets of ten minutes, not flows, since a blocked app retries; what could not be judged is counted beside them, with the reason.

use std::collections::BTreeMap;

use crate::model::Timestamp;
use crate::model::rows::TargetRow;
use crate::model::words::*;

use super::contrasts::{Finding, Q_MAX};
use super::stats;

/// Microseconds of a bucket.
const BUCKET: i64 = 600_000_000;
/// Hosts without a service have rows of their own from so many attempts on.
const ATTEMPTS_OWN: i64 = 5;
/// Targets without a service that are held at once: then those that will share a row are put together early.
const HELD: usize = 200_000;

/// Where a flow belongs.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub service: Option<&'a str>,
    pub host: Option<&'a str>,
    pub server_ip: &'a str,
    pub transport: Transport,
    pub client_network: Option<&'a str>,
    /// Microseconds.
    pub start: i64,
}

/// One flow, once it is judged.
#[derive(Clone, Debug)]
pub struct JudgedFlow<'a> {
    pub place: Place<'a>,
    pub verdict: Verdict,
    pub trigger: Option<Trigger>,
    pub gates: &'a [Gate],
    pub finding: Option<&'a Finding>,
}

/// Server, transport, client network.
type Endpoint = (String, Transport, Option<String>);

/// Takes flows in the order of the table.
#[derive(Debug, Default)]
pub struct Targets {
    service: Option<String>,
    host: Option<String>,
    open: BTreeMap<Endpoint, Draft>,
    /// What has no service and is too small for a row of its own.
    small: Draft,
    rows: Vec<TargetRow>,
}

/// What is known of one target so far.
#[derive(Clone, Debug, Default)]
struct Draft {
    attempts: i64,
    worked: i64,
    interfered: i64,
    unreachable: i64,
    unknown: i64,
    why: BTreeMap<&'static str, i64>,
    /// Whether any flow of the bucket worked, and whether any was interfered with.
    buckets: BTreeMap<i64, (bool, bool)>,
    verdicts: BTreeMap<Verdict, i64>,
    triggers: BTreeMap<Trigger, i64>,
    finding: Option<Finding>,
    seen: Option<(i64, i64)>,
}

impl Targets {
    pub fn add(&mut self, flow: &JudgedFlow<'_>) {
        let Place { service, host, server_ip, transport, client_network, .. } = flow.place;
        if self.service.as_deref() != service || self.host.as_deref() != host {
            self.close();
            (self.service, self.host) = (service.map(Into::into), host.map(Into::into));
        }
        self.open.entry((server_ip.to_string(), transport, client_network.map(Into::into))).or_default().add(flow);
        if self.open.len() > HELD && self.service.is_none() {
            self.fold();
        }
    }

    /// Gives the rows; those of no service that are too small share the last one.
    pub fn finish(mut self) -> Vec<TargetRow> {
        self.close();
        if self.small.attempts > 0 {
            self.rows.push(self.small.row(None, None, None, None, None));
        }
        self.rows
    }

    /// Puts small ones together.
    fn fold(&mut self) {
        let (small, large): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.open).into_iter().partition(|(_, draft)| draft.is_small());
        small.into_values().for_each(|draft| self.small.merge(draft));
        self.open = large;
    }

    fn close(&mut self) {
        if self.service.is_none() {
            self.fold();
        }
        for ((server_ip, transport, network), draft) in std::mem::take(&mut self.open) {
            self.rows.push(draft.row(self.service.clone(), self.host.clone(), Some(server_ip), Some(transport), network));
        }
    }
}

impl Draft {
    fn add(&mut self, flow: &JudgedFlow<'_>) {
        self.attempts += 1;
        let bucket = self.buckets.entry(flow.place.start.div_euclid(BUCKET));
        match flow.verdict {
            Verdict::Ok => {
                self.worked += 1;
                bucket.or_default().0 = true;
            }
            Verdict::Unreachable => self.unreachable += 1,
            Verdict::Unknown => {
                self.unknown += 1;
                let reasons = flow.gates.iter().map(|gate| gate.word()).chain(flow.gates.is_empty().then_some("no_answer_owed"));
                reasons.for_each(|why| *self.why.entry(why).or_default() += 1);
            }
            interference => {
                self.interfered += 1;
                bucket.or_default().1 = true;
                *self.verdicts.entry(interference).or_default() += 1;
                *self.triggers.entry(flow.trigger.unwrap_or(Trigger::Undetermined)).or_default() += 1;
            }
        }
        let p_value = |finding: &Finding| finding.p_value.unwrap_or(1.0);
        if let Some(finding) = flow.finding
            && self.finding.as_ref().is_none_or(|best| p_value(finding) < p_value(best))
        {
            self.finding = Some(finding.clone());
        }
        let (first, last) = self.seen.unwrap_or((flow.place.start, flow.place.start));
        self.seen = Some((first.min(flow.place.start), last.max(flow.place.start)));
    }

    fn is_small(&self) -> bool {
        self.interfered == 0 && self.attempts < ATTEMPTS_OWN
    }

    /// Of targets without interference.
    fn merge(&mut self, other: Self) {
        self.attempts += other.attempts;
        self.worked += other.worked;
        self.unreachable += other.unreachable;
        self.unknown += other.unknown;
        other.why.into_iter().for_each(|(why, count)| *self.why.entry(why).or_default() += count);
        other.buckets.into_iter().for_each(|(bucket, (worked, _))| self.buckets.entry(bucket).or_default().0 |= worked);
        self.seen = match (self.seen, other.seen) {
            (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
            (one, other) => one.or(other),
        };
    }

    fn row(
        &self,
        service: Option<String>,
        host: Option<String>,
        server_ip: Option<String>,
        transport: Option<Transport>,
        client_network: Option<String>,
    ) -> TargetRow {
        let blocked: Vec<bool> = self.buckets.values().map(|(worked, interfered)| *interfered && !worked).collect();
        let blocked_buckets = blocked.iter().filter(|blocked| **blocked).count() as u64;
        let buckets = blocked.len() as u64;
        let interval = stats::wilson(blocked_buckets, buckets);
        let finding = self.finding.as_ref();
        let time = |micros: i64| Timestamp(micros.saturating_mul(1_000));
        TargetRow {
            service,
            host,
            server_ip,
            transport,
            client_network,
            attempts: self.attempts,
            worked: self.worked,
            interfered: self.interfered,
            unreachable: self.unreachable,
            unknown: self.unknown,
            unknown_why: self.why.iter().map(|(why, count)| format!("{why}: {count}")).collect(),
            buckets: buckets as i64,
            blocked_buckets: blocked_buckets as i64,
            block_rate: (buckets > 0).then(|| blocked_buckets as f64 / buckets as f64),
            block_rate_interval: interval,
            verdict: most(&self.verdicts).unwrap_or(self.harmless()),
            trigger: most_telling(&self.triggers),
            control: finding.and_then(|finding| finding.control),
            p_value: finding.and_then(|finding| finding.p_value),
            q_value: finding.and_then(|finding| finding.q_value),
            seen: self.seen.map(|(first, last)| (time(first), time(last))),
            changed_at: finding.and_then(|finding| finding.changed_at).or_else(|| self.changed_at(&blocked)).map(time),
        }
    }

    /// Where nothing accuses the network.
    fn harmless(&self) -> Verdict {
        if self.worked > 0 {
            Verdict::Ok
        } else if self.unreachable > 0 {
            Verdict::Unreachable
        } else {
            Verdict::Unknown
        }
    }

    fn changed_at(&self, blocked: &[bool]) -> Option<i64> {
        let (place, _, p_value) = stats::change_point(blocked)?;
        (p_value <= Q_MAX).then(|| self.buckets.keys().nth(place).map(|bucket| bucket * BUCKET)).flatten()
    }
}

/// The word that occurs most; of equals the first in declared order.
fn most<W: Copy + Ord>(words: &BTreeMap<W, i64>) -> Option<W> {
    words.iter().min_by_key(|(word, count)| (-**count, **word)).map(|(word, _)| *word)
}

/// The trigger that most flows name; `undetermined` only where none names one.
fn most_telling(triggers: &BTreeMap<Trigger, i64>) -> Option<Trigger> {
    let named: BTreeMap<Trigger, i64> =
        triggers.iter().filter(|(trigger, _)| **trigger != Trigger::Undetermined).map(|(trigger, count)| (*trigger, *count)).collect();
    most(&named).or_else(|| most(triggers))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn flow(host: &'static str, minute: i64, verdict: Verdict) -> JudgedFlow<'static> {
        let place = Place {
            service: Some("whatsapp"),
            host: Some(host),
            server_ip: "192.0.2.1",
            transport: Transport::Tcp,
            client_network: Some("probe"),
            start: minute * MINUTE,
        };
        JudgedFlow { place, verdict, trigger: verdict.is_interference().then_some(Trigger::Sni), gates: &[], finding: None }
    }

    fn rows(flows: &[JudgedFlow<'_>]) -> Vec<TargetRow> {
        let mut targets = Targets::default();
        flows.iter().for_each(|flow| targets.add(flow));
        targets.finish()
    }

    #[test]
    fn retries_within_ten_minutes_count_once() {
        let flows: Vec<_> = (0..30).map(|minute| flow("a.whatsapp.net", minute, if minute < 20 { Verdict::SniDrop } else { Verdict::Ok })).collect();
        let row = &rows(&flows)[0];
        assert_eq!((row.attempts, row.interfered, row.worked), (30, 20, 10));
        assert_eq!((row.buckets, row.blocked_buckets), (3, 2));
        assert_eq!((row.verdict, row.trigger), (Verdict::SniDrop, Some(Trigger::Sni)));
        let (low, high) = row.block_rate_interval.expect("buckets");
        assert!(low < 2.0 / 3.0 && 2.0 / 3.0 < high);
    }

    #[test]
    fn a_bucket_in_which_anything_worked_is_not_blocked() {
        let row = &rows(&[flow("a.whatsapp.net", 0, Verdict::SniDrop), flow("a.whatsapp.net", 1, Verdict::Ok)])[0];
        assert_eq!((row.buckets, row.blocked_buckets, row.block_rate), (1, 0, Some(0.0)));
    }

    #[test]
    fn what_was_not_judged_is_counted_with_its_reason() {
        let midstream = JudgedFlow { gates: &[Gate::Midstream], ..flow("a.whatsapp.net", 0, Verdict::Unknown) };
        let row = &rows(&[midstream, flow("a.whatsapp.net", 1, Verdict::Unknown)])[0];
        assert_eq!((row.unknown, row.buckets, row.block_rate), (2, 0, None));
        assert_eq!(row.unknown_why, ["midstream: 1", "no_answer_owed: 1"]);
    }

    #[test]
    fn hosts_without_a_service_share_a_row_until_they_matter() {
        let nobody = |host, verdict| {
            let some = flow(host, 0, verdict);
            JudgedFlow { place: Place { service: None, ..some.place }, ..some }
        };
        let flows = [nobody("a", Verdict::Ok), nobody("b", Verdict::RstInjection), nobody("c", Verdict::Ok), nobody("c", Verdict::Ok)];
        let rows = rows(&flows);
        assert_eq!(rows.iter().map(|row| (row.host.as_deref(), row.attempts)).collect::<Vec<_>>(), [(Some("b"), 1), (None, 3)]);
    }

    #[test]
    fn the_beginning_of_a_block_is_dated() {
        let flows: Vec<_> =
            (0..24).map(|bucket| flow("a.whatsapp.net", bucket * 10, if bucket < 12 { Verdict::Ok } else { Verdict::SniDrop })).collect();
        assert_eq!(rows(&flows)[0].changed_at, Some(Timestamp(120 * MINUTE * 1_000)));
    }
}
