//! The last step: every flow is judged as the runs are merged, the tables are written, and the result is put in place.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use arrow::array::RecordBatch;

use rayon::prelude::*;
use serde_json::json;

use crate::capture::Inventory;
use crate::infer::{Answers, Judge};
use crate::model::rows::{CaptureRow, FindingRow, FlowRow, Judgement};
use crate::table::{
    CAPTURES, Cases, Column, DNS, FINDINGS, FLOWS, JUDGED_RESET, JUDGEMENT, Output, RESETS, RunTables, SCHEMA_VERSION, Spool, TableError, added,
    batch, from_spool, learn_answers,
};

use super::runs::Runs;
use super::sink::{Ended, Learnt, Sink};
use super::summary::Summary;
use super::{RunError, Settings};

/// What a run writes, in the order in which people look at it.
pub const TABLES: [&str; 5] = ["flows", "findings", "resets", "dns", "captures"];

const FINDINGS_KEY: &[&str] = &["time", "flow_id", "detector"];

pub fn finish(
    settings: &Settings,
    output: Output,
    sink: Sink,
    mut captures: Vec<CaptureRow>,
    inventory: &Inventory,
    refused: Vec<String>,
) -> Result<Summary, RunError> {
    let Ended { flows, dns, resets, mut learnt } = sink.finish()?;
    captures.sort_by(|one, other| (&one.source, one.first_time, &one.path).cmp(&(&other.source, other.first_time, &other.path)));
    if !captures.is_empty() && captures.iter().all(|capture| capture.packets == 0 && !capture.complete) {
        let damaged = captures.iter().filter_map(|capture| capture.error.clone());
        return Err(RunError::NothingRead { refused: refused.into_iter().chain(damaged).collect() });
    }
    let tables = Tables::new(settings, &output, run_id(settings, &learnt));
    let folder = flows.folder().to_path_buf();
    tables.dns(dns, &mut learnt.naming.answers)?;
    tables.merge("resets", RESETS, resets)?;
    learnt.name(&flows, &settings.catalog)?;
    learnt.compare(&flows)?;
    let mut summary = Summary::new(inventory, refused, &captures, &learnt);
    summary.run_id = tables.0.run_id.clone();
    let mut last = LastStep::new(settings, &tables, &learnt, &folder);
    last.flows(flows, &mut summary)?;
    last.findings()?;
    tables.captures(&captures)?;
    let run = run_json(settings, &summary, &captures, inventory);
    summary.output = settings.output.display().to_string();
    output.commit(&TABLES.map(|table| format!("{table}.parquet")), &run)?;
    Ok(summary)
}

/// Writes tables of one run.
struct Tables<'a>(RunTables<'a>);

impl<'a> Tables<'a> {
    fn new(settings: &Settings, output: &'a Output, run_id: String) -> Self {
        let metadata = HashMap::from([
            ("tamperscope.prior".into(), settings.prior.to_string()),
            ("tamperscope.weights".into(), settings.weights.version.clone()),
            ("tamperscope.catalog".into(), settings.catalog.date.to_string()),
        ]);
        Self(RunTables::new(output, run_id, metadata))
    }

    /// Transactions of DNS, which tell their clients names on the way.
    fn dns(&self, runs: Spool, answers: &mut Answers) -> Result<(), TableError> {
        let mut writer = self.0.writer("dns", DNS.iter().map(Column::field))?;
        runs.merge(|rows| {
            learn_answers(&rows, answers);
            writer.write_columns(self.0.with_run_id(from_spool(DNS, rows.columns())))
        })?;
        writer.finish()
    }

    /// A table whose rows say all that is known.
    fn merge<R>(&self, table: &'static str, columns: &'static [Column<R>], runs: Spool) -> Result<(), TableError> {
        let mut writer = self.0.writer(table, columns.iter().map(Column::field))?;
        runs.merge(|rows| writer.write_columns(self.0.with_run_id(from_spool(columns, rows.columns()))))?;
        writer.finish()
    }

    fn captures(&self, captures: &[CaptureRow]) -> Result<(), TableError> {
        self.0.write("captures", CAPTURES, captures)
    }
}

/// Judges flows and writes what came of it.
struct LastStep<'a> {
    tables: &'a Tables<'a>,
    judge: Judge<'a>,
    /// The columns behind the judgement, list by list.
    added: Vec<&'static [Column<FlowRow>]>,
    found: Runs<FindingRow>,
}

impl<'a> LastStep<'a> {
    fn new(settings: &'a Settings, tables: &'a Tables<'a>, learnt: &'a Learnt, folder: &Path) -> Self {
        Self {
            tables,
            judge: Judge { knowledge: &learnt.knowledge, weights: &settings.weights, prior: settings.prior },
            added: added(settings.splt > 0).collect(),
            found: Runs::new("findings", folder, &[FINDINGS], FINDINGS_KEY, findings_in_order),
        }
    }

    /// Merges the runs of `flows`, judges each row, and writes the table.
    fn flows(&mut self, runs: Spool, summary: &mut Summary) -> Result<(), TableError> {
        let added = self.added.iter().copied().flatten().map(Column::field);
        let judged = |columns: &'static [Column<Judgement>]| columns.iter().map(Column::field);
        let fields = FLOWS.iter().map(Column::field).chain(judged(JUDGEMENT)).chain(added).chain(judged(JUDGED_RESET));
        let mut writer = self.tables.0.writer("flows", fields)?;
        runs.merge(|rows| {
            let judged = self.judge_all(&rows);
            let (judgements, findings): (Vec<Judgement>, Vec<Vec<FindingRow>>) = judged.into_iter().unzip();
            summary.count(&rows, &judgements);
            self.found.add(findings.into_iter().flatten().collect())?;
            let (first, mut rest) = rows.columns().split_at(FLOWS.len());
            let mut columns = [from_spool(FLOWS, first), batch(JUDGEMENT, &judgements)].concat();
            for list in &self.added {
                columns.extend(from_spool(list, rest));
                rest = &rest[list.len()..];
            }
            columns.extend(batch(JUDGED_RESET, &judgements));
            writer.write_columns(self.tables.0.with_run_id(columns))
        })?;
        writer.finish()
    }

    fn judge_all(&self, rows: &RecordBatch) -> Vec<(Judgement, Vec<FindingRow>)> {
        let Some(cases) = Cases::new(rows) else { return Vec::new() };
        (0..rows.num_rows()).into_par_iter().map(|row| self.judge.judge(&cases.get(row))).collect()
    }

    /// The last table: nothing is found any more.
    fn findings(self) -> Result<(), TableError> {
        self.tables.merge("findings", FINDINGS, self.found.finish()?)
    }
}

fn findings_in_order(one: &FindingRow, other: &FindingRow) -> Ordering {
    let key = |row: &FindingRow| (row.time.as_micros(), row.flow_id);
    key(one).cmp(&key(other)).then_with(|| one.detector.cmp(&other.detector))
}

/// The same for the same flows and settings, whatever files the packets came in.
fn run_id(settings: &Settings, learnt: &Learnt) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(env!("CARGO_PKG_VERSION").as_bytes())
        .update(settings.weights.version.as_bytes())
        .update(settings.catalog.date.to_string().as_bytes());
    hasher.update(&settings.prior.to_be_bytes()).update(&learnt.flows.to_be_bytes()).update(&learnt.fingerprint.to_be_bytes());
    if settings.splt > 0 {
        hasher.update(&[settings.splt]);
    }
    hasher.update(settings.given.as_bytes());
    hasher.finalize().to_hex()[..16].to_string()
}

/// The sign of completeness, and what was read under which settings.
fn run_json(settings: &Settings, summary: &Summary, captures: &[CaptureRow], inventory: &Inventory) -> String {
    let sources: HashSet<&str> = captures.iter().map(|capture| &*capture.source).collect();
    let run = json!({
        "tamperscope": env!("CARGO_PKG_VERSION"),
        "schema_version": SCHEMA_VERSION,
        "run_id": summary.run_id,
        "prior": settings.prior,
        "splt": settings.splt,
        "weights": settings.weights.version,
        "catalog": settings.catalog.date,
        "given": settings.given,
        "tables": TABLES,
        "sources": sources.len(),
        "files": captures.len(),
        "files_skipped": inventory.skipped,
        "files_refused": summary.refused,
        "files_damaged": summary.damaged,
        "warnings": summary.warnings,
        "packets": summary.packets,
        "flows": summary.flows,
        "flows_evicted": summary.evicted,
        "max_memory": settings.max_memory,
        "verdicts": summary.verdicts,
    });
    format!("{run:#}\n")
}
