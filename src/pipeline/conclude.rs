//! The last step of any run, whether its rows were just made or come from finished tables: flows are compared, every flow is judged as the runs are merged,
//! and the tables are written.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Mutex;

use arrow::array::RecordBatch;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::infer::{Attempt, Judge, Judged, JudgedFlow, Knowledge, Targets, Weights};
use crate::model::rows::{FindingRow, FlowRow, Judgement};
use crate::table::{
    ATTEMPTS, CONTRASTS, Cases, Column, FINDINGS, FLOWS, JUDGED_FROM, JUDGED_RESET, JUDGEMENT, Output, Places, RunTables, SCHEMA_VERSION, SortKey,
    Spool, TARGETS, TableError, added, attempts, batch, from_spool, seen,
};

use super::runs::Runs;
use super::sink::locked;
use super::summary::Summary;

/// What a run writes, in the order in which people look at it.
pub const TABLES: [&str; 7] = ["flows", "findings", "resets", "dns", "contrasts", "targets", "captures"];

const FINDINGS_KEY: SortKey = &["time", "flow_id", "detector"];
const BY_SERVER: SortKey = &["server", "start", "flow_id", "source"];
const BY_CLIENT: SortKey = &["client", "start", "flow_id", "source"];
/// Attempts at one server, or of one client, that are compared at once: beyond them comparison begins anew.
const GROUP_ATTEMPTS: usize = 1 << 21;

/// What judgement is asked to do.
pub struct Judging<'a> {
    pub weights: &'a Weights,
    pub prior: f64,
    /// Date of the catalog.
    pub catalog: String,
    /// A hash of what was given to name flows by; empty where nothing was given.
    pub given: String,
    pub splt: u8,
}

/// How many flows there are, and a sum over them that is the same in any order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Census {
    pub flows: u64,
    pub fingerprint: u64,
}

impl Census {
    pub fn count(&mut self, flow_id: i64, packets: i64) {
        self.flows += 1;
        self.fingerprint = self.fingerprint.wrapping_add((flow_id as u64).wrapping_mul(2 * packets as u64 + 1));
    }
}

impl Judging<'_> {
    /// The same for the same flows and settings, whatever files the packets came in.
    pub fn run_id(&self, census: Census) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes()).update(self.weights.fingerprint.as_bytes()).update(self.catalog.as_bytes());
        hasher.update(&self.prior.to_be_bytes()).update(&census.flows.to_be_bytes()).update(&census.fingerprint.to_be_bytes());
        if self.splt > 0 {
            hasher.update(&[self.splt]);
        }
        hasher.update(self.given.as_bytes());
        hasher.finalize().to_hex()[..16].to_string()
    }

    /// Tables that say what they were judged by.
    pub fn tables<'o>(&self, output: &'o Output, run_id: String) -> RunTables<'o> {
        let metadata = HashMap::from([
            ("tamperscope.prior".into(), self.prior.to_string()),
            ("tamperscope.weights".into(), self.weights.version.clone()),
            ("tamperscope.catalog".into(), self.catalog.clone()),
        ]);
        RunTables::new(output, run_id, metadata)
    }

    /// What run.json says of every run: how it was judged, and what it rests on.
    pub fn tell(&self, tell: &mut impl FnMut(&str, Value), summary: &Summary) {
        tell("tamperscope", json!(env!("CARGO_PKG_VERSION")));
        tell("schema_version", json!(SCHEMA_VERSION));
        tell("run_id", json!(summary.run_id));
        tell("prior", json!(self.prior));
        tell("splt", json!(self.splt));
        tell("weights", json!(self.weights.version));
        tell("weights_hash", json!(self.weights.fingerprint));
        tell("catalog", json!(self.catalog));
        tell("given", json!(self.given));
        tell("tables", json!(TABLES));
        tell("packets", json!(summary.packets));
        tell("flows", json!(summary.flows));
        tell("verdicts", json!(summary.verdicts));
        tell("files", json!(summary.files));
        tell("bytes", json!(summary.bytes));
        tell("undecoded", json!(summary.undecoded));
        tell("files_skipped", json!(summary.skipped));
        tell("files_refused", json!(summary.refused));
        tell("files_damaged", json!(summary.damaged));
        tell("warnings", json!(summary.warnings));
        tell("flows_evicted", json!(summary.evicted));
        tell("controls", summary.controls.clone());
    }

    /// Compares and judges flows whose vantages and failures were noted; writes `flows`, `findings`, `contrasts` and `targets`.
    pub fn conclude(&self, flows: Spool, mut knowledge: Knowledge, tables: &RunTables<'_>, summary: &mut Summary) -> Result<(), TableError> {
        let folder = flows.folder().to_path_buf();
        compare(&mut knowledge, self.weights, &flows)?;
        tables.write("contrasts", CONTRASTS, knowledge.contrasts())?;
        let mut last = LastStep {
            tables,
            judge: Judge { knowledge: &knowledge, weights: self.weights, prior: self.prior },
            added: added(self.splt > 0).collect(),
            found: Runs::new("findings", &folder, &[FINDINGS], FINDINGS_KEY, findings_in_order),
            targets: Targets::default(),
            checks: Checks::default(),
        };
        last.flows(flows, summary)?;
        summary.controls = last.checks.told(&knowledge);
        last.finish()
    }
}

/// A table whose rows say all that is known.
pub fn merge<R>(tables: &RunTables<'_>, table: &'static str, columns: &'static [Column<R>], runs: Spool) -> Result<(), TableError> {
    let mut writer = tables.writer(table, columns.iter().map(Column::field))?;
    runs.merge(|rows| writer.write_columns(tables.with_run_id(from_spool(columns, rows.columns()))))?;
    writer.finish()
}

/// Shows knowledge all attempts that a failed flow may be compared with: by server, then by client. Where none failed, none is made.
fn compare(knowledge: &mut Knowledge, weights: &Weights, flows: &Spool) -> Result<(), TableError> {
    if knowledge.asks() {
        let by_server = Runs::new("by-server", flows.folder(), &[ATTEMPTS], BY_SERVER, |one: &Attempt, other| {
            (one.server, one.start, one.flow_id, one.source).cmp(&(other.server, other.start, other.flow_id, other.source))
        });
        let by_client = Runs::new("by-client", flows.folder(), &[ATTEMPTS], BY_CLIENT, |one: &Attempt, other| {
            (one.client, one.start, one.flow_id, one.source).cmp(&(other.client, other.start, other.flow_id, other.source))
        });
        let shared = Mutex::new(&mut *knowledge);
        let wrong = Mutex::new(None);
        flows.scan(Cases::COLUMNS, |rows| {
            let Some(cases) = Cases::new(rows) else { return };
            let cases: Vec<_> = (0..rows.num_rows()).map(|row| cases.get(row)).collect();
            let (servers, clients) = {
                let mut knowledge = locked(&shared);
                let attempts: Vec<Attempt> = cases.iter().filter_map(|case| knowledge.attempt(case, weights)).collect();
                let some = |asked: &dyn Fn(&Attempt) -> bool| attempts.iter().copied().filter(|attempt| asked(attempt)).collect::<Vec<_>>();
                (some(&|attempt| knowledge.compares_server(attempt)), some(&|attempt| knowledge.compares_client(attempt)))
            };
            if let Err(error) = by_server.add(servers).and_then(|()| by_client.add(clients)) {
                *locked(&wrong) = Some(error);
            }
        })?;
        if let Some(error) = wrong.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            return Err(error);
        }
        each_group(by_server.finish()?, |attempt| attempt.server, |attempts| knowledge.at_server(attempts))?;
        each_group(by_client.finish()?, |attempt| attempt.client, |attempts| knowledge.at_client(attempts))?;
    }
    knowledge.settle();
    Ok(())
}

/// Gives attempts that share a key together.
fn each_group(runs: Spool, key: fn(&Attempt) -> i64, mut each: impl FnMut(&[Attempt]) + Send) -> Result<(), TableError> {
    let mut group: Vec<Attempt> = Vec::new();
    runs.merge(|rows| {
        for attempt in attempts(&rows).unwrap_or_default() {
            if group.first().is_some_and(|first| key(first) != key(&attempt)) || group.len() >= GROUP_ATTEMPTS {
                each(&group);
                group.clear();
            }
            group.push(attempt);
        }
        Ok(())
    })?;
    if !group.is_empty() {
        each(&group);
    }
    Ok(())
}

/// Judges flows and writes what came of it.
struct LastStep<'a> {
    tables: &'a RunTables<'a>,
    judge: Judge<'a>,
    /// The columns behind the judgement, list by list.
    added: Vec<&'static [Column<FlowRow>]>,
    found: Runs<FindingRow>,
    targets: Targets,
    checks: Checks,
}

impl LastStep<'_> {
    /// Merges the runs of `flows`, judges each row, and writes the table.
    fn flows(&mut self, runs: Spool, summary: &mut Summary) -> Result<(), TableError> {
        let added = self.added.iter().copied().flatten().map(Column::field);
        let judged = |columns: &'static [Column<Judgement>]| columns.iter().map(Column::field);
        let from = JUDGED_FROM.iter().map(Column::field);
        let fields = FLOWS.iter().map(Column::field).chain(judged(JUDGEMENT)).chain(added).chain(judged(JUDGED_RESET)).chain(from);
        let mut writer = self.tables.writer("flows", fields)?;
        runs.merge(|rows| {
            let judgements = self.judge_all(&rows, summary)?;
            let (first, mut rest) = rows.columns().split_at(FLOWS.len());
            let mut columns = [from_spool(FLOWS, first), batch(JUDGEMENT, &judgements)].concat();
            for list in &self.added {
                columns.extend(from_spool(list, rest));
                rest = &rest[list.len()..];
            }
            columns.extend(batch(JUDGED_RESET, &judgements));
            columns.extend(from_spool(JUDGED_FROM, rest));
            writer.write_columns(self.tables.with_run_id(columns))
        })?;
        writer.finish()
    }

    /// Judges rows; counts them, and keeps what was found.
    fn judge_all(&mut self, rows: &RecordBatch, summary: &mut Summary) -> Result<Vec<Judgement>, TableError> {
        let (Some(cases), Some(places)) = (Cases::new(rows), Places::new(rows)) else { return Ok(Vec::new()) };
        let (judge, seen) = (&self.judge, seen(rows));
        let judged: Vec<(Judged<'_>, Vec<_>)> = (0..rows.num_rows())
            .into_par_iter()
            .map(|row| {
                let mut case = cases.get(row);
                case.observed.see(seen.get(row));
                (judge.judge(&case), case.gates)
            })
            .collect();
        let mut judgements = Vec::with_capacity(judged.len());
        let mut findings = Vec::new();
        for (row, (Judged { judgement, findings: found, target, check }, gates)) in judged.into_iter().enumerate() {
            let place = places.get(row);
            summary.count(place.service, judgement.verdict);
            self.targets.add(&JudgedFlow { place, verdict: judgement.verdict, trigger: judgement.trigger, gates: &gates, finding: target });
            self.checks.own_side.count(check.own_side);
            self.checks.local.count(check.local);
            findings.extend(found);
            judgements.push(judgement);
        }
        self.found.add(findings)?;
        Ok(judgements)
    }

    /// The last tables: nothing is found any more.
    fn finish(self) -> Result<(), TableError> {
        self.tables.write("targets", TARGETS, &self.targets.finish())?;
        merge(self.tables, "findings", FINDINGS, self.found.finish()?)
    }
}

/// How the detectors fared where nobody can have interfered.
#[derive(Default)]
struct Checks {
    own_side: Tally,
    local: Tally,
}

#[derive(Default)]
struct Tally {
    flows: u64,
    accused: u64,
}

impl Tally {
    fn count(&mut self, accused: Option<bool>) {
        self.flows += u64::from(accused.is_some());
        self.accused += u64::from(accused == Some(true));
    }

    fn told(&self) -> Value {
        json!({ "flows": self.flows, "accused": self.accused })
    }
}

impl Checks {
    fn told(&self, knowledge: &Knowledge) -> Value {
        json!({
            "negative_controls": { "own_side_packets": self.own_side.told(), "within_one_network": self.local.told() },
            "permutation_of_names": knowledge.permutation(),
            "not_compared": knowledge.left_out(),
        })
    }
}

fn findings_in_order(one: &FindingRow, other: &FindingRow) -> Ordering {
    let key = |row: &FindingRow| (row.time.as_micros(), row.flow_id);
    key(one).cmp(&key(other)).then_with(|| one.detector.cmp(&other.detector))
}
