//! Back from Arrow: what the id of a run is made of.

use arrow::array::{Int64Array, RecordBatch};

use super::fields::Fields;

/// The rows of a batch as flow and number of packets.
pub struct Counts<'a> {
    flow_id: &'a Int64Array,
    packets: [&'a Int64Array; 2],
}

impl<'a> Counts<'a> {
    /// The columns that are read beside those of cases.
    pub const COLUMNS: &'static [&'static str] = &["c2s_packets", "s2c_packets"];

    /// None where a column is missing or has another type.
    pub fn new(batch: &'a RecordBatch) -> Option<Self> {
        let fields = Fields(batch);
        Some(Self { flow_id: fields.numbers("flow_id")?, packets: [fields.numbers("c2s_packets")?, fields.numbers("s2c_packets")?] })
    }

    pub fn get(&self, row: usize) -> (i64, i64) {
        (self.flow_id.value(row), self.packets.iter().map(|packets| packets.value(row)).sum())
    }
}
