//! Matched sets: how targets that failed fared beside controls that share all but one thing with them (detection.md calls the sets A to F).
//!
//! In:  all attempts at one server, then all of one client, in any order.
//! Out: [`ContrastRow`]s with exact tests stratified by client, server and ten minutes; per target what it fails by.
//! Promises: retries are not counted as independent: attempts of one client at one name within a minute are one bucket, which failed if none of them worked.
//!
//! A target is a name at an endpoint (address, port, transport) as a client network reaches it; where no connection came about, the endpoint alone. The two are
//! never mixed: a name is not judged where no connection came about.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;

use crate::model::Timestamp;
use crate::model::rows::ContrastRow;
use crate::model::words::{ContrastSet, Transport, Trigger, Word};

use super::attempts::{self, Attempt, Attempted, Failure, LeftOut, Marks, NONE};
use super::stats::{self, Stratum};
use super::{Case, hash};

/// Attempts of so many microseconds are one bucket, and are compared with those of the same ten minutes.
const BUCKET: i64 = 60_000_000;
const SPAN: i64 = 600_000_000;
/// A box may hold a trigger against later connections of the same client to the same server for so long (in microseconds): disruption by earlier triggers
/// ends within about 100 s in 99.9 % of cases, and two minutes are waited (VanderSloot et al., "Quack", USENIX Security 2018).
const RESIDUAL: i64 = 120_000_000;
/// Comparison over so many buckets on either side is a matched control (by design).
const BUCKETS_MIN: u32 = 5;
/// The share of false discoveries that is put up with (by design).
pub const Q_MAX: f64 = 0.01;
/// Controls that fail as often as this fail for the same reason.
const SHARED_FAILURE: f64 = 0.5;

/// A name at an endpoint in a client network; or the endpoint, where the name is [`NONE`] and `connects`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    pub network: i64,
    pub endpoint: i64,
    pub name: i64,
    /// Whether connections come about, rather than how they fare.
    pub connects: bool,
}

impl Target {
    /// Where connections are asked after, names make no difference.
    pub fn new(network: i64, endpoint: i64, name: i64, connects: bool) -> Self {
        Self { network, endpoint, name: if connects { NONE } else { name }, connects }
    }
}

/// What the rows say of a target.
#[derive(Clone, Debug)]
struct Label {
    network: Arc<str>,
    server_ip: Arc<str>,
    server_port: i32,
    transport: Transport,
    name: Option<Arc<str>>,
    keyed: Option<Trigger>,
}

/// What is known of one target.
#[derive(Debug)]
struct Record {
    label: Label,
    /// By position of the set in its list; most targets have few.
    sets: [Option<Box<Draft>>; ContrastSet::ALL.len()],
    /// The TLS fingerprint that fails most beside the others that asked for the same name there.
    fingerprint: Option<Fingerprint>,
    /// Flows whose packets contradict each other.
    contradicted: u32,
    left_out: i64,
}

/// One comparison in the making.
#[derive(Debug, Default)]
struct Draft {
    strata: Vec<Stratum>,
    /// Some may stand there several times.
    clients: Vec<i64>,
    residual: i64,
    /// Of before and after: when, and its own probability.
    change: Option<(i64, Stratum, f64)>,
}

/// How one fingerprint fares beside others.
#[derive(Clone, Copy, Debug)]
struct Fingerprint {
    sum: Stratum,
    p_value: f64,
    q_value: f64,
}

/// What comparison says of a target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finding {
    /// What it fails by, where that is known.
    pub trigger: Option<Trigger>,
    /// The set that tells, and its probabilities.
    pub control: Option<ContrastSet>,
    pub p_value: Option<f64>,
    pub q_value: Option<f64>,
    /// Matched controls agree.
    pub holds: bool,
    /// No other client network was compared.
    pub in_one_network: bool,
    /// Other networks fail there as well, so that the server may be down.
    pub is_refuted: bool,
    /// Flows whose packets contradict each other.
    pub contradicted: u32,
    pub changed_at: Option<i64>,
    pub failures: u32,
    pub buckets: u32,
    pub control_failures: u32,
    pub control_buckets: u32,
}

/// Names exchanged at random among the flows of a server: what comparison finds then is chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Permutation {
    pub compared: u64,
    /// With a probability of 1 % at the most, with the names as they are and as exchanged.
    pub significant: u64,
    pub significant_permuted: u64,
}

#[derive(Debug, Default)]
pub struct Contrasts {
    targets: HashMap<Target, Record>,
    /// Each text once: targets share most of theirs.
    texts: HashSet<Arc<str>>,
    findings: HashMap<Target, Finding>,
    rows: Vec<ContrastRow>,
    pub permutation: Permutation,
    /// Attempts that are not compared, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
}

/// One bucket: attempts of one client at one name within a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Bucket {
    network: i64,
    client: i64,
    endpoint: i64,
    block: i64,
    server: i64,
    name: i64,
    minute: i64,
    failed: bool,
}

impl Bucket {
    fn span(&self) -> i64 {
        (self.minute * BUCKET).div_euclid(SPAN)
    }

    fn target(&self, connects: bool) -> Target {
        Target::new(self.network, self.endpoint, self.name, connects)
    }
}

/// Buckets and failures.
type Tally = (u32, u32);

fn add(tally: &mut Tally, failed: bool) {
    tally.0 += 1;
    tally.1 += u32::from(failed);
}

fn less(all: Tally, own: Tally) -> Tally {
    (all.0 - own.0, all.1 - own.1)
}

impl Contrasts {
    /// Remembers a target that failed.
    pub fn ask(&mut self, case: &Case<'_>, attempt: &Attempt) {
        let Some(failure) = attempt.failure() else { return };
        let connects = failure == Failure::Connect;
        let target = Target::new(attempt.network, attempt.endpoint, attempt.name, connects);
        if !self.targets.contains_key(&target) {
            let label = Label {
                network: self.text(case.network()),
                server_ip: self.text(case.server_ip),
                server_port: case.server_port,
                transport: case.transport,
                name: attempts::name(case).filter(|_| !connects).map(|name| self.text(&name)),
                keyed: case.name().map(|(_, trigger)| trigger),
            };
            self.targets.insert(target, Record { label, sets: Default::default(), fingerprint: None, contradicted: 0, left_out: 0 });
        }
        let Some(record) = self.targets.get_mut(&target) else { return };
        record.contradicted += u32::from(attempt.is(Marks::CONTRADICTS));
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.texts.insert(new.clone());
        new
    }

    /// Counts what takes no part in comparison.
    pub fn leave_out(&mut self, attempt: &Attempt) {
        let Attempted::LeftOut(why) = attempt.attempted() else { return };
        *self.left_out.entry(why.word()).or_default() += 1;
        if why != LeftOut::NothingOwed {
            let target = Target::new(attempt.network, attempt.endpoint, attempt.name, false);
            if let Some(record) = self.targets.get_mut(&target) {
                record.left_out += 1;
            }
        }
    }

    /// All attempts at one server address, from all networks: sets A, C, E and F.
    pub fn at_server(&mut self, attempts: &[Attempt]) {
        let residual = residual(attempts);
        let named = buckets(attempts.iter().filter(|attempt| !residual.contains(&attempt.flow_id)), false);
        let connecting = buckets(attempts.iter(), true);
        self.count_residual(attempts, &residual);
        self.other_names(&named);
        self.other_networks(&named, false);
        self.other_networks(&connecting, true);
        self.other_ports(&connecting);
        self.other_fingerprints(attempts.iter().filter(|attempt| !residual.contains(&attempt.flow_id)));
        self.before_and_after(&named, false);
        self.before_and_after(&connecting, true);
    }

    /// All attempts of one client: sets B and D.
    pub fn at_client(&mut self, attempts: &[Attempt]) {
        let named = buckets(attempts.iter(), false);
        let connecting = buckets(attempts.iter(), true);
        self.other_servers(&named);
        self.same_client(&named, false);
        self.same_client(&connecting, true);
    }

    fn count_residual(&mut self, attempts: &[Attempt], residual: &HashSet<i64>) {
        if residual.is_empty() {
            return;
        }
        *self.left_out.entry("residual_window").or_default() += residual.len() as u64;
        let mut endpoints: HashMap<(i64, i64), i64> = HashMap::new();
        let within = attempts.iter().filter(|attempt| residual.contains(&attempt.flow_id));
        within.for_each(|attempt| *endpoints.entry((attempt.network, attempt.endpoint)).or_default() += 1);
        for (target, record) in self.targets.iter_mut().filter(|(target, _)| !target.connects) {
            if let Some(count) = endpoints.get(&(target.network, target.endpoint)) {
                record.draft(ContrastSet::OtherNames).residual += count;
            }
        }
    }

    fn other_names(&mut self, buckets: &[Bucket]) {
        let strata = |bucket: &Bucket| (bucket.network, bucket.endpoint, bucket.client, bucket.span());
        self.contrast(ContrastSet::OtherNames, buckets, false, strata, |bucket| bucket.name);
        self.permute(buckets);
    }

    fn other_networks(&mut self, buckets: &[Bucket], connects: bool) {
        let name = move |bucket: &Bucket| if connects { NONE } else { bucket.name };
        let strata = move |bucket: &Bucket| (bucket.endpoint, name(bucket), bucket.span(), 0);
        self.contrast(ContrastSet::OtherNetworks, buckets, connects, strata, |bucket| bucket.network);
    }

    fn other_ports(&mut self, buckets: &[Bucket]) {
        let strata = |bucket: &Bucket| (bucket.network, bucket.client, bucket.span(), 0);
        self.contrast(ContrastSet::OtherPorts, buckets, true, strata, |bucket| bucket.endpoint);
    }

    fn other_servers(&mut self, buckets: &[Bucket]) {
        let named: Vec<Bucket> = buckets.iter().filter(|bucket| bucket.name != NONE).copied().collect();
        let strata = |bucket: &Bucket| (bucket.client, bucket.name, bucket.span(), 0);
        self.contrast(ContrastSet::OtherServers, &named, false, strata, |bucket| bucket.block);
    }

    /// Controls under another name at another server.
    fn same_client(&mut self, buckets: &[Bucket], connects: bool) {
        let mut all: HashMap<i64, Tally> = HashMap::new();
        let (mut servers, mut names, mut both) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut own: BTreeMap<(Target, i64), (Tally, i64, i64)> = BTreeMap::new();
        for bucket in buckets {
            let (span, failed) = (bucket.span(), bucket.failed);
            add(all.entry(span).or_default(), failed);
            add(servers.entry((bucket.server, span)).or_default(), failed);
            add(names.entry((bucket.name, span)).or_default(), failed);
            add(both.entry((bucket.server, bucket.name, span)).or_default(), failed);
            add(&mut own.entry((bucket.target(connects), span)).or_insert(((0, 0), bucket.server, bucket.name)).0, failed);
        }
        let client = buckets.first().map_or(0, |bucket| bucket.client);
        for ((target, span), (tally, server, name)) in own {
            let get = |tally: Option<&Tally>| tally.copied().unwrap_or_default();
            let same_server = get(servers.get(&(server, span)));
            // Connections that fail show no name: only the server tells them apart.
            let same_name = if connects || name == NONE { (0, 0) } else { less(get(names.get(&(name, span))), get(both.get(&(server, name, span)))) };
            let controls = less(less(get(all.get(&span)), same_server), same_name);
            self.note(target, ContrastSet::SameClient, client, tally, controls);
        }
    }

    /// Compares each target with what shares a stratum with it and differs by `side`.
    fn contrast<K: Ord + std::hash::Hash + Copy>(
        &mut self,
        set: ContrastSet,
        buckets: &[Bucket],
        connects: bool,
        key: impl Fn(&Bucket) -> K,
        side: impl Fn(&Bucket) -> i64,
    ) {
        let mut all: HashMap<K, Tally> = HashMap::new();
        let mut sides: HashMap<(K, i64), Tally> = HashMap::new();
        let mut own: BTreeMap<(Target, K, i64), (Tally, i64)> = BTreeMap::new();
        for bucket in buckets {
            let (key, side) = (key(bucket), side(bucket));
            add(all.entry(key).or_default(), bucket.failed);
            add(sides.entry((key, side)).or_default(), bucket.failed);
            let target = bucket.target(connects);
            if self.targets.contains_key(&target) {
                add(&mut own.entry((target, key, side)).or_insert(((0, 0), bucket.client)).0, bucket.failed);
            }
        }
        for ((target, key, side), (tally, client)) in own {
            let controls = less(all[&key], sides[&(key, side)]);
            self.note(target, set, client, tally, controls);
        }
    }

    fn note(&mut self, target: Target, set: ContrastSet, client: i64, own: Tally, controls: Tally) {
        let Some(record) = self.targets.get_mut(&target) else { return };
        let draft = record.draft(set);
        if controls.0 > 0 {
            draft.strata.push(stratum(own, controls));
            if draft.clients.last() != Some(&client) {
                draft.clients.push(client);
            }
        }
    }

    /// The same name at the same endpoint, asked for by clients of other TLS fingerprints in the same ten minutes.
    fn other_fingerprints<'a>(&mut self, attempts: impl Iterator<Item = &'a Attempt>) {
        let mut targets: BTreeMap<Target, Vec<&Attempt>> = BTreeMap::new();
        for attempt in attempts.filter(|attempt| attempt.fingerprint != NONE) {
            let target = Target::new(attempt.network, attempt.endpoint, attempt.name, false);
            if self.targets.contains_key(&target) {
                targets.entry(target).or_default().push(attempt);
            }
        }
        for (target, some) in targets {
            // A fingerprint in the place of the name: the rest is as with names.
            let as_names: Vec<Attempt> = some.into_iter().map(|attempt| Attempt { name: attempt.fingerprint, ..*attempt }).collect();
            let mut spans: BTreeMap<i64, Vec<Bucket>> = BTreeMap::new();
            buckets(as_names.iter(), false).into_iter().for_each(|bucket| spans.entry(bucket.span()).or_default().push(bucket));
            let mut strata: BTreeMap<i64, Vec<Stratum>> = BTreeMap::new();
            for some in spans.values() {
                beside_others(some, &names_of(some)).into_iter().for_each(|(print, stratum)| strata.entry(print).or_default().push(stratum));
            }
            let tested = strata.values().map(|some| Fingerprint { sum: stats::total(some), p_value: stats::exact_p(some), q_value: 1.0 });
            let compared = tested.filter(|one| one.sum.control_buckets > 0);
            if let Some(record) = self.targets.get_mut(&target) {
                record.fingerprint = compared.min_by(|one, other| one.p_value.total_cmp(&other.p_value));
            }
        }
    }

    /// Since when: the place in the series of ten minutes of a target where it changes most.
    fn before_and_after(&mut self, buckets: &[Bucket], connects: bool) {
        let mut series: BTreeMap<Target, BTreeMap<i64, bool>> = BTreeMap::new();
        for bucket in buckets {
            let target = bucket.target(connects);
            if self.targets.contains_key(&target) {
                *series.entry(target).or_default().entry(bucket.minute).or_insert(true) &= bucket.failed;
            }
        }
        for (target, series) in series {
            let (minutes, failed): (Vec<i64>, Vec<bool>) = series.into_iter().unzip();
            if let (Some((place, split, p)), Some(record)) = (stats::change_point(&failed), self.targets.get_mut(&target)) {
                record.draft(ContrastSet::BeforeAndAfter).change = Some((minutes[place] * BUCKET, split, p));
            }
        }
    }

    /// Set A once more with the names of each stratum exchanged at random.
    fn permute(&mut self, buckets: &[Bucket]) {
        let mut strata: BTreeMap<(i64, i64, i64, i64), Vec<Bucket>> = BTreeMap::new();
        for bucket in buckets {
            strata.entry((bucket.network, bucket.endpoint, bucket.client, bucket.span())).or_default().push(*bucket);
        }
        let mut tables: BTreeMap<Target, [Vec<Stratum>; 2]> = BTreeMap::new();
        for some in strata.values() {
            for (which, names) in [names_of(some), exchanged_names(some)].iter().enumerate() {
                for (name, stratum) in beside_others(some, names) {
                    tables.entry(Bucket { name, ..some[0] }.target(false)).or_default()[which].push(stratum);
                }
            }
        }
        let significant = |strata: &[Stratum]| u64::from(stats::exact_p(strata) <= Q_MAX);
        for [real, permuted] in tables.values().filter(|[real, _]| stats::total(real).control_buckets > 0) {
            self.permutation.compared += 1;
            self.permutation.significant += significant(real);
            self.permutation.significant_permuted += significant(permuted);
        }
    }

    /// Called once, after the last server and the last client.
    pub fn settle(&mut self) {
        let mut rows: Vec<(Target, ContrastRow)> = Vec::new();
        let mut targets: Vec<(&Target, &Record)> = self.targets.iter().collect();
        targets.sort_unstable_by_key(|(target, _)| **target);
        for (target, record) in targets {
            let drafts = ContrastSet::ALL.iter().zip(&record.sets).filter_map(|(set, draft)| Some((*set, draft.as_deref()?)));
            rows.extend(drafts.filter_map(|(set, draft)| Some((*target, record.row(set, draft)?))));
        }
        let mut prints: Vec<(&Target, &mut Fingerprint)> =
            self.targets.iter_mut().filter_map(|(target, record)| Some((target, record.fingerprint.as_mut()?))).collect();
        prints.sort_unstable_by_key(|(target, _)| **target);
        let p_values: Vec<f64> = rows.iter().map(|(_, row)| row.p_value).chain(prints.iter().map(|(_, print)| print.p_value)).collect();
        let q_values = stats::q_values(&p_values);
        rows.iter_mut().zip(&q_values).for_each(|((_, row), q_value)| row.q_value = *q_value);
        prints.iter_mut().zip(&q_values[rows.len()..]).for_each(|((_, print), q_value)| print.q_value = *q_value);
        for some in rows.chunk_by(|(one, _), (other, _)| one == other) {
            let sets: BTreeMap<ContrastSet, &ContrastRow> = some.iter().map(|(_, row)| (row.set, row)).collect();
            let target = some[0].0;
            let record = &self.targets[&target];
            self.findings.insert(target, finding(&target, record, &sets));
        }
        self.rows = rows.into_iter().map(|(_, row)| row).collect();
        let key = |row: &ContrastRow| (row.client_network.clone(), row.server_ip.clone(), row.server_port, row.transport, row.host.clone(), row.set);
        self.rows.sort_by_cached_key(key);
    }

    pub fn rows(&self) -> &[ContrastRow] {
        &self.rows
    }

    pub fn of(&self, target: &Target) -> Option<&Finding> {
        self.findings.get(target)
    }
}

impl Record {
    fn draft(&mut self, set: ContrastSet) -> &mut Draft {
        self.sets[set.index()].get_or_insert_default()
    }

    fn row(&self, set: ContrastSet, draft: &Draft) -> Option<ContrastRow> {
        let strata = &draft.strata;
        let (sum, p_value, changed_at) = match draft.change {
            Some((time, split, p_value)) => (split, p_value, Some(time)),
            None => (stats::total(strata), stats::exact_p(strata), None),
        };
        let (risk_difference, low, high) = stats::risk_difference(sum)?;
        Some(ContrastRow {
            client_network: self.label.network.clone(),
            server_ip: self.label.server_ip.clone(),
            server_port: self.label.server_port,
            transport: self.label.transport,
            host: self.label.name.clone(),
            set,
            buckets: sum.buckets.into(),
            failures: sum.failures.into(),
            control_buckets: sum.control_buckets.into(),
            control_failures: sum.control_failures.into(),
            risk_difference,
            risk_difference_low: low,
            risk_difference_high: high,
            p_value,
            q_value: 1.0,
            clients: draft.clients.iter().collect::<HashSet<_>>().len() as i64,
            strata: strata.len() as i64,
            left_out_residual: draft.residual,
            left_out_quality: self.left_out,
            changed_at: changed_at.map(|time| Timestamp(time.saturating_mul(1_000))),
        })
    }
}

/// What the comparisons of a target say together (detection.md 10.2).
fn finding(target: &Target, record: &Record, sets: &BTreeMap<ContrastSet, &ContrastRow>) -> Finding {
    let row = |set| sets.get(&set).copied();
    let holds = |set| row(set).is_some_and(is_significant);
    let shared = |set| row(set).is_some_and(fails_alike);
    let by_name = holds(ContrastSet::OtherNames);
    let by_place = holds(ContrastSet::OtherNetworks);
    let by_server = holds(ContrastSet::OtherServers);
    let by_port = holds(ContrastSet::OtherPorts);
    let by_print = record.fingerprint.is_some_and(|print| is_beyond_chance(print.sum.buckets, print.sum.control_buckets, print.q_value));
    let keyed = record.label.keyed.unwrap_or(Trigger::Protocol);
    let trigger = if by_print {
        Some(if by_name { Trigger::Combined } else { Trigger::TlsFingerprint })
    } else if target.connects {
        by_place.then_some(if by_port { Trigger::ServerPort } else { Trigger::ServerIp })
    } else if by_name && by_server {
        Some(Trigger::Combined)
    } else if by_name {
        Some(keyed)
    } else if shared(ContrastSet::OtherNames) && (by_place || by_server) {
        Some(if by_port { Trigger::ServerPort } else { Trigger::ServerIp })
    } else {
        None
    };
    let telling = [ContrastSet::OtherNames, ContrastSet::OtherNetworks, ContrastSet::OtherServers];
    let best = telling.into_iter().filter_map(row).min_by(|one, other| one.p_value.total_cmp(&other.p_value));
    let change = row(ContrastSet::BeforeAndAfter).filter(|row| row.p_value <= Q_MAX);
    Finding {
        trigger,
        control: best.map(|row| row.set),
        p_value: best.map(|row| row.p_value),
        q_value: best.map(|row| row.q_value),
        holds: by_place || by_print || (!target.connects && (by_name || (by_server && shared(ContrastSet::OtherNames)))),
        in_one_network: row(ContrastSet::OtherNetworks).is_none(),
        is_refuted: !by_name && !by_place && !by_server && shared(ContrastSet::OtherNetworks),
        contradicted: record.contradicted,
        changed_at: change.and_then(|row| row.changed_at).map(Timestamp::as_micros),
        failures: best.map_or(0, |row| row.failures as u32),
        buckets: best.map_or(0, |row| row.buckets as u32),
        control_failures: best.map_or(0, |row| row.control_failures as u32),
        control_buckets: best.map_or(0, |row| row.control_buckets as u32),
    }
}

/// Enough buckets on both sides, and a difference that chance does not explain.
fn is_significant(row: &ContrastRow) -> bool {
    is_beyond_chance(row.buckets as u32, row.control_buckets as u32, row.q_value)
}

fn is_beyond_chance(buckets: u32, control_buckets: u32, q_value: f64) -> bool {
    buckets >= BUCKETS_MIN && control_buckets >= BUCKETS_MIN && q_value <= Q_MAX
}

/// Enough controls, of which most fail as well.
fn fails_alike(row: &ContrastRow) -> bool {
    row.control_buckets >= i64::from(BUCKETS_MIN) && row.control_failures as f64 >= SHARED_FAILURE * row.control_buckets as f64
}

fn names_of(buckets: &[Bucket]) -> Vec<i64> {
    buckets.iter().map(|bucket| bucket.name).collect()
}

/// The names in another order, which is the same in every run.
fn exchanged_names(buckets: &[Bucket]) -> Vec<i64> {
    let mut order: Vec<&Bucket> = buckets.iter().collect();
    order.sort_unstable_by_key(|bucket| hash((bucket, "exchanged")));
    order.into_iter().map(|bucket| bucket.name).collect()
}

/// Each name beside the others of a stratum; `names` in the place of the buckets' own.
fn beside_others(buckets: &[Bucket], names: &[i64]) -> Vec<(i64, Stratum)> {
    let (mut all, mut own): (Tally, BTreeMap<i64, Tally>) = ((0, 0), BTreeMap::new());
    for (bucket, name) in buckets.iter().zip(names) {
        add(&mut all, bucket.failed);
        add(own.entry(*name).or_default(), bucket.failed);
    }
    own.into_iter().map(|(name, own)| (name, stratum(own, less(all, own)))).collect()
}

fn stratum(own: Tally, controls: Tally) -> Stratum {
    Stratum { buckets: own.0, failures: own.1, control_buckets: controls.0, control_failures: controls.1 }
}

/// Attempts by client, endpoint, name and minute; a bucket failed if none of its attempts worked.
fn buckets<'a>(attempts: impl Iterator<Item = &'a Attempt>, connects: bool) -> Vec<Bucket> {
    let of = |attempt: &Attempt| {
        let failed = match (attempt.attempted(), connects) {
            (Attempted::Failed(Failure::Connect), connects) => connects.then_some(true)?,
            (_, true) => attempt.was_accepted().then_some(false)?,
            (Attempted::Worked, false) => attempt.is(Marks::ASKED).then_some(false)?,
            (Attempted::Failed(_), false) => true,
            (Attempted::LeftOut(_), false) => return None,
        };
        let Attempt { network, client, endpoint, block, server, start, .. } = *attempt;
        let name = if connects { NONE } else { attempt.name };
        Some(Bucket { network, client, endpoint, block, server, name, minute: start.div_euclid(BUCKET), failed })
    };
    let mut buckets: Vec<Bucket> = attempts.filter_map(of).collect();
    buckets.sort_unstable(); // what worked comes first
    buckets.dedup_by(|later, first| Bucket { failed: first.failed, ..*later } == *first);
    buckets
}

/// Flows that started while a box may still have held the name of an earlier one against their client, where that may be what happened: where a name failed
/// within such a window that the same client also got through under, outside of one. Elsewhere nothing is held against anybody, and all are compared.
fn residual(attempts: &[Attempt]) -> HashSet<i64> {
    let mut failures: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
    let failed = |attempt: &Attempt| attempt.failure().is_some_and(|failure| failure != Failure::Connect);
    for attempt in attempts.iter().filter(|attempt| failed(attempt)) {
        failures.entry(attempt.client).or_default().push((attempt.start, attempt.name));
    }
    failures.values_mut().for_each(|some| some.sort_unstable());
    let is_within = |attempt: &Attempt| {
        let Some(some) = failures.get(&attempt.client) else { return false };
        let from = some.partition_point(|(time, _)| *time < attempt.start.saturating_sub(RESIDUAL));
        some[from..].iter().take_while(|(time, _)| *time < attempt.start).any(|(_, name)| *name != attempt.name)
    };
    let (within, outside): (Vec<&Attempt>, Vec<&Attempt>) = attempts.iter().partition(|attempt| is_within(attempt));
    let open: HashSet<(i64, i64)> =
        outside.into_iter().filter(|attempt| attempt.attempted() == Attempted::Worked).map(|attempt| (attempt.client, attempt.name)).collect();
    let is_held = |attempt: &&&Attempt| failed(attempt) && open.contains(&(attempt.client, attempt.name));
    let held: HashSet<i64> = within.iter().filter(is_held).map(|attempt| attempt.client).collect();
    within.into_iter().filter(|attempt| held.contains(&attempt.client)).map(|attempt| attempt.flow_id).collect()
}
