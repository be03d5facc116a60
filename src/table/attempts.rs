//! Attempts on their way through the spool: numbers only.

use arrow::array::{Int32Array, Int64Array, RecordBatch};

use super::column::{Column, NEVER_NULL, Unit};
use super::fields::Fields;
use crate::infer::Attempt;

macro_rules! attempts {
    ($($name:ident: $kind:ident, $array:ty;)+) => {
        pub const ATTEMPTS: &[Column<Attempt>] = &[$(attempts!(@column $kind $name),)+];

        /// Attempts from the spool; none where a column is missing.
        pub fn attempts(batch: &RecordBatch) -> Option<Vec<Attempt>> {
            let fields = Fields(batch);
            $(let $name: &$array = fields.numbers(stringify!($name))?;)+
            Some((0..batch.num_rows()).map(|row| Attempt { $($name: $name.value(row),)+ }).collect())
        }
    };
    (@column i64 $name:ident) => { Column::i64(stringify!($name), Unit::None, "", NEVER_NULL, |row| Some(row.$name)) };
    (@column i32 $name:ident) => { Column::i32(stringify!($name), "", NEVER_NULL, |row| Some(row.$name)) };
}

attempts! {
    source: i64, Int64Array;
    network: i64, Int64Array;
    client: i64, Int64Array;
    server: i64, Int64Array;
    block: i64, Int64Array;
    endpoint: i64, Int64Array;
    name: i64, Int64Array;
    fingerprint: i64, Int64Array;
    flow_id: i64, Int64Array;
    start: i64, Int64Array;
    asked: i64, Int64Array;
    until: i64, Int64Array;
    accepted: i64, Int64Array;
    attempted: i32, Int32Array;
    marks: i32, Int32Array;
}
