//! The end of a run over captures: flows are named, judged and written, and the result is put in place.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::capture::Inventory;
use crate::infer::Answers;
use crate::model::rows::CaptureRow;
use crate::table::{CAPTURES, Column, DNS, Output, RESETS, RunTables, Spool, TableError, from_spool, learn_answers};

use super::conclude::{Judging, TABLES, merge};
use super::sink::{Ended, Sink};
use super::summary::Summary;
use super::{RunError, Settings};

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
    let judging = Judging {
        weights: &settings.weights,
        prior: settings.prior,
        catalog: settings.catalog.date.to_string(),
        given: settings.given.clone(),
        splt: settings.splt,
    };
    let tables = judging.tables(&output, judging.run_id(learnt.census));
    write_dns(&tables, dns, &mut learnt.naming.answers)?;
    merge(&tables, "resets", RESETS, resets)?;
    learnt.name(&flows, &settings.catalog)?;
    let mut summary = Summary::new(inventory, refused, &captures, &learnt);
    summary.run_id = tables.run_id.clone();
    judging.conclude(flows, learnt.knowledge, &tables, &mut summary)?;
    tables.write("captures", CAPTURES, &captures)?;
    let run = run_json(settings, &judging, &summary, &captures);
    summary.output = settings.output.display().to_string();
    output.commit(&TABLES.map(|table| format!("{table}.parquet")), &run)?;
    Ok(summary)
}

/// Transactions of DNS, which tell their clients names on the way.
fn write_dns(tables: &RunTables<'_>, runs: Spool, answers: &mut Answers) -> Result<(), TableError> {
    let mut writer = tables.writer("dns", DNS.iter().map(Column::field))?;
    runs.merge(|rows| {
        learn_answers(&rows, answers);
        writer.write_columns(tables.with_run_id(from_spool(DNS, rows.columns())))
    })?;
    writer.finish()
}

/// The sign of completeness, and what was read under which settings.
fn run_json(settings: &Settings, judging: &Judging<'_>, summary: &Summary, captures: &[CaptureRow]) -> String {
    let sources: HashSet<&str> = captures.iter().map(|capture| &*capture.source).collect();
    let mut told = Map::new();
    let mut tell = |key: &str, value: Value| drop(told.insert(key.into(), value));
    judging.tell(&mut tell, summary);
    tell("sources", json!(sources.len()));
    tell("max_memory", json!(settings.max_memory));
    format!("{:#}\n", Value::Object(told))
}
