//! Back from Arrow: the packets that show evidence, and the sentences that name them.
//!
//! On the way to the tables they stand in the spool beside their flow; of a finished run they stand in `findings`.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use foldhash::fast::FixedState;

use super::fields::{Fields, missing, text};
use super::finished::{columns_of, in_file};
use super::flows::SEEN;
use crate::infer::COMPARED;
use crate::model::rows::{FoundNote, Observed, Seen, SeenItem};

/// What was seen of the rows of a batch of the spool.
pub struct SeenRows<'a>(Option<&'a StringArray>);

pub fn seen(batch: &RecordBatch) -> SeenRows<'_> {
    SeenRows(Fields(batch).texts(SEEN[0].name))
}

impl SeenRows<'_> {
    pub fn get(&self, row: usize) -> Vec<Seen> {
        let seen = self.0.and_then(|column| text(column, row));
        seen.and_then(|seen| serde_json::from_str(seen).ok()).unwrap_or_default()
    }
}

/// What the rows of `findings` of a finished run name, in memory: their number is that of the flows that failed.
#[derive(Default)]
pub struct FinishedFindings {
    /// Row of each flow and detector, by a hash of both.
    places: HashMap<u64, u32>,
    /// Where the packets and the sentences of each row begin.
    first_packets: Vec<u32>,
    first_sentences: Vec<u32>,
    packets: Vec<(u32, i64)>,
    captures: Vec<Arc<str>>,
    /// Sentences end to end, and where each begins.
    text: String,
    sentences: Vec<usize>,
}

impl FinishedFindings {
    const COLUMNS: [&'static str; 6] = ["flow_id", "detector", "items", "packets", "packet_captures", "evidence"];

    pub fn read(path: &Path) -> Result<Self, ArrowError> {
        Self::rows(path).map_err(|error| in_file(path, &error))
    }

    fn rows(path: &Path) -> Result<Self, ArrowError> {
        let (mut findings, mut captures) = (Self::default(), HashMap::new());
        for batch in columns_of(path, Self::COLUMNS.into_iter())?.build()? {
            findings.take(&batch?, &mut captures).ok_or_else(|| missing("findings"))?;
        }
        Ok(findings)
    }

    fn take(&mut self, batch: &RecordBatch, known: &mut HashMap<String, u32>) -> Option<()> {
        let fields = Fields(batch);
        let (flow_id, detector) = (fields.numbers::<Int64Type>("flow_id")?, fields.texts("detector")?);
        let (packets, captures) = (fields.lists("packets")?, fields.lists("packet_captures")?);
        let (items, evidence) = (fields.lists("items")?, fields.lists("evidence")?);
        for row in 0..batch.num_rows() {
            self.places.insert(place(flow_id.value(row), detector.value(row)), self.first_packets.len() as u32);
            self.first_packets.push(self.packets.len() as u32);
            self.first_sentences.push(self.sentences.len() as u32);
            let (numbers, paths, sentences) = (packets.value(row), captures.value(row), evidence.value(row));
            for (path, number) in paths.as_string_opt::<i32>()?.iter().zip(numbers.as_primitive_opt::<Int64Type>()?.values()) {
                let capture = self.capture(path?, known);
                self.packets.push((capture, *number));
            }
            let items = items.value(row);
            let own = items.as_string_opt::<i32>()?.iter().flatten().filter(|item| !COMPARED.contains(item)).count();
            for sentence in sentences.as_string_opt::<i32>()?.iter().flatten().take(own) {
                self.sentences.push(self.text.len());
                self.text.push_str(sentence);
            }
        }
        Some(())
    }

    fn capture(&mut self, path: &str, known: &mut HashMap<String, u32>) -> u32 {
        *known.entry(path.into()).or_insert_with(|| {
            self.captures.push(path.into());
            self.captures.len() as u32 - 1
        })
    }

    /// What was seen of the rows of a batch of `flows`, as the spool holds it.
    pub fn seen_of(&self, flows: &RecordBatch) -> Result<ArrayRef, ArrowError> {
        let fields = Fields(flows);
        let (flow_id, observed) = fields.numbers::<Int64Type>("flow_id").zip(fields.texts("observed")).ok_or_else(|| missing("observed"))?;
        let seen = |row: usize| {
            let observed: Observed = serde_json::from_str(text(observed, row)?).ok()?;
            let seen: Vec<Seen> = observed.found.iter().filter_map(|found| self.seen(flow_id.value(row), found)).collect();
            (!seen.is_empty()).then(|| serde_json::to_string(&seen).unwrap_or_default())
        };
        Ok(Arc::new((0..flows.num_rows()).map(seen).collect::<StringArray>()))
    }

    /// None where the detector accuses the capture's own side, of which `findings` says nothing.
    fn seen(&self, flow_id: i64, found: &FoundNote) -> Option<Seen> {
        let row = *self.places.get(&place(flow_id, &found.detector))? as usize;
        let mut packets = self.packets.get(self.first_packets[row] as usize..)?.iter();
        let first = self.first_sentences[row] as usize;
        let items = found.items.iter().zip(first..).map(|(item, sentence)| SeenItem {
            packets: packets.by_ref().take(item.packets).map(|(capture, number)| (self.captures[*capture as usize].clone(), *number)).collect(),
            says: self.sentence(sentence).into(),
        });
        Some(Seen { detector: found.detector.clone(), items: items.collect() })
    }

    fn sentence(&self, place: usize) -> &str {
        let end = self.sentences.get(place + 1).copied().unwrap_or(self.text.len());
        self.sentences.get(place).and_then(|start| self.text.get(*start..end)).unwrap_or_default()
    }
}

fn place(flow_id: i64, detector: &str) -> u64 {
    FixedState::with_seed(0).hash_one((flow_id, detector))
}
