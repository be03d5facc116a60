//! Finished runs judged again, from their tables alone: by other weights, another prior, another catalog, or several runs together.
//!
//! The tables of a run are sorted runs already: they are merged where they stand. A source that several runs name alike is one capture point.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use serde_json::{Map, Value, json};

use crate::infer::{Knowledge, Weights};
use crate::model::rows::{CaptureRow, DnsRow, FlowRow, ResetRow};
use crate::service::Catalog;
use crate::table::{
    CAPTURES, Cases, Column, Counts, DNS, FLOWS, FinishedFindings, FinishedTable, JUDGED_FROM, Output, Positions, RESETS, SCHEMA_VERSION, SEEN,
    SortKey, Spool, TableError, added, positions, with_services,
};

use super::conclude::{Census, Judging, merge};
use super::sink::{FLOWS_KEY, PACKET_KEY, each_case, locked};
use super::summary::Summary;
use super::{RunError, TABLES, work_folder};

const CAPTURES_KEY: SortKey = &["source", "first_time", "path"];
/// Rows that are put in order at once where another catalog changes their services.
const ORDERED_ROWS: usize = 64 * 1024;

/// What `judge` is asked to do.
pub struct JudgeSettings {
    /// Folders of finished runs.
    pub runs: Vec<PathBuf>,
    pub output: PathBuf,
    pub force: bool,
    pub temp_dir: Option<PathBuf>,
    /// In the place of the one that named the flows, and a hash of what the user added to it.
    pub catalog: Option<(Catalog, String)>,
    pub weights: Weights,
    pub prior: f64,
}

/// A finished run.
struct Run {
    folder: PathBuf,
    told: Map<String, Value>,
}

/// Judges the runs and writes what came of it.
pub fn judge(settings: &JudgeSettings) -> Result<Summary, RunError> {
    let runs = settings.runs.iter().map(|folder| Run::open(folder)).collect::<Result<Vec<_>, _>>()?;
    refuse_twice(&runs)?;
    let output = Output::prepare(&settings.output, settings.force)?;
    let work = work_folder(settings.temp_dir.as_deref(), output.staging())?;
    let splt = if runs.iter().all(|run| run.number("splt") > 0) { runs.iter().map(|run| run.number("splt")).max().unwrap_or(0) as u8 } else { 0 };
    let catalog = settings.catalog.as_ref().map(|(catalog, _)| catalog);
    let judging = Judging {
        weights: &settings.weights,
        prior: settings.prior,
        catalog: catalog.map_or_else(|| joined(&runs, "catalog"), |catalog| catalog.date.to_string()),
        given: settings.catalog.as_ref().map_or_else(|| joined(&runs, "given"), |(_, given)| given.clone()),
        splt,
    };
    let lists: Vec<&'static [Column<FlowRow>]> = std::iter::once(FLOWS).chain(added(splt > 0)).chain([JUDGED_FROM, SEEN]).collect();
    let flows = Tables::new(&runs, "flows", &lists, FLOWS_KEY).with_findings(&runs)?.spool(work.path(), catalog)?;
    let dns = Tables::new::<DnsRow>(&runs, "dns", &[DNS], PACKET_KEY).spool(work.path(), catalog)?;
    let resets = Tables::new::<ResetRow>(&runs, "resets", &[RESETS], PACKET_KEY).spool(work.path(), None)?;
    let captures = Tables::new::<CaptureRow>(&runs, "captures", &[CAPTURES], CAPTURES_KEY).spool(work.path(), None)?;
    let (knowledge, census) = noted(&flows)?;
    let tables = judging.tables(&output, judging.run_id(census));
    merge(&tables, "dns", DNS, dns)?;
    merge(&tables, "resets", RESETS, resets)?;
    merge(&tables, "captures", CAPTURES, captures)?;
    let mut summary = summary(&runs, &tables.run_id, census);
    judging.conclude(flows, knowledge, &tables, &mut summary)?;
    let run = run_json(&runs, &judging, &summary);
    summary.output = settings.output.display().to_string();
    output.commit(&TABLES.map(|table| format!("{table}.parquet")), &run)?;
    Ok(summary)
}

impl Run {
    fn open(folder: &Path) -> Result<Self, RunError> {
        let not_a_run = |why: String| RunError::NoRun { path: folder.into(), why };
        let text = std::fs::read_to_string(folder.join("run.json")).map_err(|error| not_a_run(format!("no whole result: run.json: {error}")))?;
        let Ok(Value::Object(told)) = serde_json::from_str(&text) else { return Err(not_a_run("run.json is no object of JSON".into())) };
        let version = told.get("schema_version").and_then(Value::as_str).unwrap_or("none");
        if version != SCHEMA_VERSION {
            return Err(not_a_run(format!("its tables have version {version}, not {SCHEMA_VERSION}: analyze the captures again")));
        }
        Ok(Self { folder: folder.into(), told })
    }

    fn number(&self, key: &str) -> u64 {
        self.told.get(key).and_then(Value::as_u64).unwrap_or(0)
    }

    fn text(&self, key: &str) -> &str {
        self.told.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn texts(&self, key: &str) -> impl Iterator<Item = String> {
        self.told.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(|text| text.as_str().map(Into::into))
    }
}

/// Flows that are counted twice would be their own controls.
fn refuse_twice(runs: &[Run]) -> Result<(), RunError> {
    let mut known = HashSet::new();
    let again = runs.iter().filter(|run| run.number("flows") > 0).find(|run| !known.insert(run.text("run_id")));
    again.map_or(Ok(()), |run| Err(RunError::NoRun { path: run.folder.clone(), why: "the same flows are given twice".into() }))
}

/// One table of all runs.
struct Tables {
    table: &'static str,
    finished: Vec<FinishedTable>,
    schema: SchemaRef,
    key: SortKey,
}

impl Tables {
    fn new<R>(runs: &[Run], table: &'static str, lists: &[&'static [Column<R>]], key: SortKey) -> Self {
        let words: Arc<Positions> = Arc::new(lists.iter().copied().flat_map(positions).collect());
        let finished = runs.iter().map(|run| FinishedTable::new(&run.folder.join(format!("{table}.parquet")), words.clone())).collect();
        let fields: Vec<_> = lists.iter().copied().flatten().map(Column::spooled_field).collect();
        Self { table, finished, schema: Arc::new(Schema::new(fields)), key }
    }

    /// The flows again with what was seen of each.
    fn with_findings(mut self, runs: &[Run]) -> Result<Self, TableError> {
        for (table, run) in self.finished.iter_mut().zip(runs) {
            let findings = FinishedFindings::read(&run.folder.join("findings.parquet"));
            table.findings = Some(Arc::new(findings.map_err(|source| TableError::Arrow { table: "findings", source })?));
        }
        Ok(self)
    }

    /// The rows of all runs as they are; where a catalog is given, with the services that it names.
    fn spool(self, folder: &Path, catalog: Option<&Catalog>) -> Result<Spool, TableError> {
        let spool = Spool::new(self.table, folder, self.schema.clone(), self.key);
        let wrong = |source| TableError::Arrow { table: self.table, source };
        let Some(catalog) = catalog else {
            self.finished.into_iter().for_each(|table| spool.adopt(table));
            return Ok(spool);
        };
        for table in &self.finished {
            let (mut waiting, mut rows) = (Vec::new(), 0);
            for batch in table.read(self.schema.clone()).map_err(wrong)? {
                let batch = with_services(&batch.map_err(wrong)?, catalog).map_err(wrong)?;
                rows += batch.num_rows();
                waiting.push(batch);
                if rows >= ORDERED_ROWS {
                    self.append(&spool, &mut waiting)?;
                    rows = 0;
                }
            }
            self.append(&spool, &mut waiting)?;
        }
        Ok(spool)
    }

    fn append(&self, spool: &Spool, waiting: &mut Vec<RecordBatch>) -> Result<(), TableError> {
        let rows = concat_batches(&self.schema, &*waiting).map_err(|source| TableError::Arrow { table: self.table, source })?;
        waiting.clear();
        if rows.num_rows() == 0 { Ok(()) } else { spool.append_unordered(&rows) }
    }
}

/// What is learnt of every flow before flows are compared.
fn noted(flows: &Spool) -> Result<(Knowledge, Census), TableError> {
    let noted = Mutex::new((Knowledge::default(), Census::default()));
    let columns: Vec<&str> = Cases::COLUMNS.iter().chain(Counts::COLUMNS).copied().collect();
    flows.scan(&columns, |batch| {
        let (knowledge, census) = &mut *locked(&noted);
        each_case(batch, |case| knowledge.note(&case));
        if let Some(counts) = Counts::new(batch) {
            (0..batch.num_rows()).map(|row| counts.get(row)).for_each(|(flow_id, packets)| census.count(flow_id, packets));
        }
    })?;
    Ok(noted.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

fn summary(runs: &[Run], run_id: &str, census: Census) -> Summary {
    let sum = |key: &str| runs.iter().map(|run| run.number(key)).sum();
    let all = |key: &str| runs.iter().flat_map(|run| run.texts(key)).collect();
    Summary {
        run_id: run_id.into(),
        files: sum("files"),
        packets: sum("packets"),
        bytes: sum("bytes"),
        undecoded: sum("undecoded"),
        flows: census.flows,
        evicted: sum("flows_evicted"),
        skipped: sum("files_skipped"),
        refused: all("files_refused"),
        damaged: all("files_damaged"),
        warnings: all("warnings"),
        ..Summary::default()
    }
}

/// A text that all runs have in common; otherwise each, in order.
fn joined(runs: &[Run], key: &str) -> String {
    let mut texts: Vec<&str> = runs.iter().map(|run| run.text(key)).collect();
    texts.sort_unstable();
    texts.dedup();
    texts.join("+")
}

/// What `analyze` says of a run; of several, their sums; and which runs were judged.
fn run_json(runs: &[Run], judging: &Judging<'_>, summary: &Summary) -> String {
    let mut told = runs.first().map(|run| run.told.clone()).unwrap_or_default();
    let mut tell = |key: &str, value: Value| drop(told.insert(key.into(), value));
    judging.tell(&mut tell, summary);
    tell("sources", json!(runs.iter().map(|run| run.number("sources")).sum::<u64>()));
    tell("judged_again", json!(runs.iter().map(|run| run.text("run_id")).collect::<Vec<_>>()));
    format!("{:#}\n", Value::Object(told))
}
