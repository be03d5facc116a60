//! Tables from rows, and rows from tables.
//! In:  rows in any order.
//! Out: Parquet files in the order of the contract; the columns that the last step of judgement reads, taken back from Arrow.
//! Promises: a column is declared once (name, type, unit, meaning); rows stay in memory only up to one run; a folder without `run.json` is not a result.
//! Not here: what the values mean to anyone.

mod attempts;
mod captures;
mod cases;
mod column;
mod compared;
mod contrasts;
mod counts;
mod dns;
mod fates;
mod features;
mod fields;
mod findings;
mod finished;
mod flows;
mod names;
mod open;
mod output;
mod places;
mod resets;
mod run;
mod seen;
mod services;
mod spool;
mod targets;
mod writer;

pub use attempts::{ATTEMPTS, attempts};
pub use captures::CAPTURES;
pub use cases::Cases;
pub use column::{Column, Description, Unit, batch, describe, from_spool, spooled};
pub use compared::COMPARED;
pub use contrasts::CONTRASTS;
pub use counts::Counts;
pub use dns::{DNS, DNS_SPOOL, learn_answers};
pub use fates::FATES;
pub use features::{FEATURES, SPLT, TIMES};
pub use findings::FINDINGS;
pub use finished::{FinishedTable, Positions, positions};
pub use flows::{ADDED, FLOWS, JUDGED_FROM, JUDGED_RESET, JUDGEMENT, SEEN, SPOOL, TAMPERING, added};
pub use names::NAMES;
pub use open::{OpenFlows, with_told};
pub use output::Output;
pub use places::Places;
pub use resets::RESETS;
pub use run::RunTables;
pub use seen::{FinishedFindings, seen};
pub use services::with_services;
pub use spool::{Questions, SortKey, Spool};
pub use targets::TARGETS;
pub use writer::{ROW_GROUP_ROWS, TableWriter};

/// Grows with every change of the columns.
pub const SCHEMA_VERSION: &str = "6";

#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("{}: {source}", .path.display())]
    Io { path: std::path::PathBuf, source: std::io::Error },
    #[error("{}: not empty; --force replaces what is in it", .0.display())]
    NotEmpty(std::path::PathBuf),
    #[error("table {table}: {source}")]
    Arrow { table: &'static str, source: arrow::error::ArrowError },
    #[error("table {table}: {source}")]
    Parquet { table: &'static str, source: parquet::errors::ParquetError },
}

/// Every table with its columns, in the order of `schema`.
pub fn tables() -> Vec<(&'static str, Vec<Description>)> {
    vec![
        (
            "flows",
            [
                vec![column::run_id()],
                describe(FLOWS),
                describe(JUDGEMENT),
                added(true).flat_map(describe).collect(),
                describe(JUDGED_RESET),
                describe(JUDGED_FROM),
            ]
            .concat(),
        ),
        ("findings", [vec![column::run_id()], describe(FINDINGS)].concat()),
        ("resets", [vec![column::run_id()], describe(RESETS)].concat()),
        ("dns", [vec![column::run_id()], describe(DNS)].concat()),
        ("contrasts", [vec![column::run_id()], describe(CONTRASTS)].concat()),
        ("targets", [vec![column::run_id()], describe(TARGETS)].concat()),
        ("captures", [vec![column::run_id()], describe(CAPTURES)].concat()),
        ("compare-flows", [vec![column::run_id()], describe(COMPARED)].concat()),
        ("fates", [vec![column::run_id()], describe(FATES)].concat()),
    ]
}
