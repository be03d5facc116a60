//! Back from Arrow: the packets that show evidence, and the sentences that name them.
//!
//! On the way to the tables they stand in the spool beside their flow; of a finished run they stand in `findings`.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::fields::{Fields, text};
use super::flows::SEEN;
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

/// The rows of `findings` of a finished run, in memory: their number is that of the flows that failed.
pub struct FinishedFindings {
    batches: Vec<RecordBatch>,
    /// Batch and row of each flow and detector.
    places: HashMap<(i64, String), (usize, usize)>,
}

impl FinishedFindings {
    const COLUMNS: [&'static str; 5] = ["flow_id", "detector", "packets", "packet_captures", "evidence"];

    pub fn read(path: &Path) -> Result<Self, ArrowError> {
        let file = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
        let roots = Self::COLUMNS.iter().map(|name| file.schema().index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let mask = ProjectionMask::roots(file.parquet_schema(), roots);
        let batches = file.with_projection(mask).build()?.collect::<Result<Vec<_>, _>>()?;
        let mut places = HashMap::new();
        for (number, batch) in batches.iter().enumerate() {
            let fields = Fields(batch);
            let (Some(flow_id), Some(detector)) = (fields.numbers::<Int64Type>("flow_id"), fields.texts("detector")) else { continue };
            places.extend((0..batch.num_rows()).map(|row| ((flow_id.value(row), detector.value(row).into()), (number, row))));
        }
        Ok(Self { batches, places })
    }

    /// What was seen of the rows of a batch of `flows`, as the spool holds it.
    pub fn seen_of(&self, flows: &RecordBatch) -> Result<ArrayRef, ArrowError> {
        let fields = Fields(flows);
        let (flow_id, observed) = fields.numbers::<Int64Type>("flow_id").zip(fields.texts("observed")).ok_or_else(|| missing("observed"))?;
        let seen = |row: usize| {
            let observed: Observed = serde_json::from_str(text(observed, row)?).ok()?;
            let seen: Vec<Seen> = observed.found.iter().filter_map(|found| self.seen(flow_id, row, found)).collect();
            (!seen.is_empty()).then(|| serde_json::to_string(&seen).unwrap_or_default())
        };
        Ok(Arc::new((0..flows.num_rows()).map(seen).collect::<StringArray>()))
    }

    /// None where the detector accuses the capture's own side, of which `findings` says nothing.
    fn seen(&self, flow_id: &Int64Array, row: usize, found: &FoundNote) -> Option<Seen> {
        let (batch, place) = *self.places.get(&(flow_id.value(row), found.detector.clone()))?;
        let fields = Fields(&self.batches[batch]);
        let (numbers, captures) = (fields.lists("packets")?.value(place), fields.lists("packet_captures")?.value(place));
        let (numbers, captures) = (numbers.as_primitive_opt::<Int64Type>()?, captures.as_string_opt::<i32>()?);
        let sentences = fields.lists("evidence")?.value(place);
        let sentences = sentences.as_string_opt::<i32>()?;
        let mut packets = captures.iter().zip(numbers.values()).filter_map(|(capture, number)| Some((capture?.into(), *number)));
        let items = found.items.iter().zip(sentences.iter());
        let items =
            items.map(|(item, says)| SeenItem { packets: packets.by_ref().take(item.packets).collect(), says: says.unwrap_or_default().into() });
        Some(Seen { detector: found.detector.clone(), items: items.collect() })
    }
}

fn missing(column: &str) -> ArrowError {
    ArrowError::SchemaError(format!("no column {column}"))
}
