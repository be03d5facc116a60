//! What a run says of itself at its end.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::capture::Inventory;
use crate::model::rows::CaptureRow;
use crate::model::words::{Verdict, Word};

use super::sink::Learnt;

/// Numbers for people and for `--json`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    pub run_id: String,
    pub output: String,
    pub files: u64,
    pub packets: u64,
    pub bytes: u64,
    pub undecoded: u64,
    pub flows: u64,
    /// Flows that ended for want of memory.
    pub evicted: u64,
    pub skipped: u64,
    /// Files named on the command line that are no captures or could not be read.
    pub refused: Vec<String>,
    /// Captures that are damaged or cut, with what is wrong.
    pub damaged: Vec<String>,
    pub warnings: Vec<String>,
    /// Flows by verdict.
    pub verdicts: BTreeMap<&'static str, u64>,
    pub services: Vec<ServiceCount>,
    /// How the detectors fared where nobody can have interfered, what chance gives, and what was not compared.
    pub controls: Value,
}

/// Flows of one service by verdict; flows of no service stand under none.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceCount {
    pub service: Option<String>,
    pub flows: u64,
    pub verdicts: BTreeMap<&'static str, u64>,
}

impl Summary {
    pub fn new(inventory: &Inventory, refused: Vec<String>, captures: &[CaptureRow], learnt: &Learnt) -> Self {
        let sum = |value: fn(&CaptureRow) -> i64| captures.iter().map(value).sum::<i64>() as u64;
        Self {
            files: captures.len() as u64,
            packets: sum(|capture| capture.packets),
            bytes: sum(|capture| capture.bytes),
            undecoded: sum(|capture| capture.undecoded),
            flows: learnt.census.flows,
            evicted: learnt.evicted,
            skipped: inventory.skipped as u64,
            refused,
            damaged: captures.iter().filter_map(|capture| capture.error.clone()).collect(),
            warnings: inventory
                .warnings
                .iter()
                .cloned()
                .chain(eviction(learnt.evicted))
                .chain(forgetting(learnt.naming.answers.forgotten()))
                .collect(),
            ..Self::default()
        }
    }

    /// Whether everything was read whole.
    pub fn is_whole(&self) -> bool {
        self.refused.is_empty() && self.damaged.is_empty()
    }

    /// Counts a flow; those of one service come together.
    pub fn count(&mut self, service: Option<&str>, verdict: Verdict) {
        if self.services.last().is_none_or(|last| last.service.as_deref() != service) {
            self.services.push(ServiceCount { service: service.map(Into::into), flows: 0, verdicts: BTreeMap::new() });
        }
        *self.verdicts.entry(verdict.word()).or_default() += 1;
        if let Some(last) = self.services.last_mut() {
            last.flows += 1;
            *last.verdicts.entry(verdict.word()).or_default() += 1;
        }
    }
}

/// Says that some flows may lack a name.
fn forgetting(answers: u64) -> Option<String> {
    (answers > 0).then(|| format!("{answers} answers of DNS came after as many as are remembered: flows that they named stay without a host"))
}

/// Says that flows were cut off, and how to avoid it.
fn eviction(evicted: u64) -> Option<String> {
    (evicted > 0).then(|| format!("{evicted} idle flows were ended early, since living flows filled the memory; --max-memory allows more"))
}
