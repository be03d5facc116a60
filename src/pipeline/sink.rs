//! Where ended flows go: collected from all sources, written as sorted runs, and learnt from on the way.

use std::cmp::Ordering;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::infer::{Case, Knowledge};
use crate::model::rows::FlowRow;
use crate::table::{Cases, Column, FLOWS, SPOOL, Spool, TableError, added, spooled};

/// Rows of one run: some 30 MB while they wait.
const RUN_ROWS: usize = 16 * 1024;

/// The order of `flows`: a query for one service touches few row groups.
const FLOWS_KEY: &[&str] = &["service", "host", "start", "flow_id", "capture", "first_packet"];

/// The same order of rows that are not columns yet.
fn in_order(one: &FlowRow, other: &FlowRow) -> Ordering {
    let key = |row: &FlowRow| (row.start.as_micros(), row.flow_id);
    nulls_last(one.service.as_deref(), other.service.as_deref())
        .then_with(|| nulls_last(one.host.as_deref(), other.host.as_deref()))
        .then_with(|| key(one).cmp(&key(other)))
        .then_with(|| (&one.capture, one.first_packet).cmp(&(&other.capture, other.first_packet)))
}

fn nulls_last(one: Option<&str>, other: Option<&str>) -> Ordering {
    one.is_none().cmp(&other.is_none()).then_with(|| one.cmp(&other))
}

/// Takes rows from any thread.
pub struct Sink {
    /// The columns of the spool, list by list.
    lists: Vec<&'static [Column<FlowRow>]>,
    schema: SchemaRef,
    spool: Spool,
    waiting: Mutex<Waiting>,
    learnt: Mutex<Learnt>,
}

/// Rows as shards gave them: they are large, so that moving them together would cost more than looking them up.
#[derive(Default)]
struct Waiting {
    groups: Vec<Vec<FlowRow>>,
    rows: usize,
}

/// What all rows together gave.
#[derive(Default)]
pub struct Learnt {
    pub knowledge: Knowledge,
    pub flows: u64,
    /// A sum over all flows, the same in any order.
    pub fingerprint: u64,
    /// Flows that ended for want of memory.
    pub evicted: u64,
}

impl Sink {
    /// With the columns of `--splt`, or without them.
    pub fn new(folder: &Path, splt: bool) -> Self {
        let lists: Vec<_> = std::iter::once(FLOWS).chain(added(splt)).chain([SPOOL]).collect();
        let fields: Vec<Field> = lists.iter().copied().flatten().map(Column::spooled_field).collect();
        let schema = Arc::new(Schema::new(fields));
        let spool = Spool::new("flows", folder, schema.clone(), FLOWS_KEY);
        Self { lists, schema, spool, waiting: Mutex::default(), learnt: Mutex::default() }
    }

    pub fn add(&self, rows: Vec<FlowRow>) -> Result<(), TableError> {
        if rows.is_empty() {
            return Ok(());
        }
        let full = {
            let mut waiting = locked(&self.waiting);
            waiting.rows += rows.len();
            waiting.groups.push(rows);
            (waiting.rows >= RUN_ROWS).then(|| std::mem::take(&mut *waiting))
        };
        full.map_or(Ok(()), |full| self.write(&full))
    }

    pub fn note_evicted(&self, flows: u64) {
        locked(&self.learnt).evicted += flows;
    }

    fn write(&self, waiting: &Waiting) -> Result<(), TableError> {
        let mut rows: Vec<&FlowRow> = waiting.groups.iter().flatten().collect();
        rows.sort_unstable_by(|one, other| in_order(one, other));
        self.spool.append(&rows, |rows| {
            let columns = self.lists.iter().flat_map(|list| spooled(list, rows)).collect();
            let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
            self.note(&batch, rows);
            Ok(batch)
        })
    }

    fn note(&self, batch: &RecordBatch, rows: &[&FlowRow]) {
        let mut learnt = locked(&self.learnt);
        each_case(batch, |case| learnt.knowledge.note(&case));
        learnt.flows += rows.len() as u64;
        for row in rows {
            let packets = row.volume.c2s.packets + row.volume.s2c.packets;
            learnt.fingerprint = learnt.fingerprint.wrapping_add((row.flow_id as u64).wrapping_mul(2 * packets as u64 + 1));
        }
    }

    /// Writes what waits; gives the runs and what was learnt.
    pub fn finish(self) -> Result<(Spool, Learnt), TableError> {
        let rest = std::mem::take(&mut *locked(&self.waiting));
        if rest.rows > 0 {
            self.write(&rest)?;
        }
        if locked(&self.learnt).knowledge.asks() {
            self.spool.scan(Cases::COLUMNS, |batch| each_case(batch, |case| locked(&self.learnt).knowledge.learn(&case)))?;
        }
        let mut learnt = self.learnt.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        learnt.knowledge.settle();
        Ok((self.spool, learnt))
    }
}

fn each_case(batch: &RecordBatch, each: impl FnMut(Case<'_>)) {
    if let Some(cases) = Cases::new(batch) {
        (0..batch.num_rows()).map(|row| cases.get(row)).for_each(each);
    }
}

/// A thread that panicked has not left half a row behind: rows are moved whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
