//! Where ended flows go: collected from all sources, written as sorted runs, and learnt from on the way.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::infer::{Case, Knowledge};
use crate::model::rows::FlowRow;
use crate::table::{Cases, Column, FLOWS, SPOOL, Spool, TableError, added, spooled};

/// Rows of one run: some 30 MB of columns while they wait.
const RUN_ROWS: usize = 32 * 1024;
/// Rows that become columns at a time: few, so that they are still in the cache and their memory is used again.
const BATCH_ROWS: usize = 1_024;

/// The order of `flows`: a query for one service touches few row groups.
const FLOWS_KEY: &[&str] = &["service", "host", "start", "flow_id", "capture", "first_packet"];

/// Takes rows from any thread.
pub struct Sink {
    /// The columns of the spool, list by list.
    lists: Vec<&'static [Column<FlowRow>]>,
    schema: SchemaRef,
    spool: Spool,
    waiting: Mutex<Waiting>,
    learnt: Mutex<Learnt>,
}

/// What has not become a run yet.
#[derive(Default)]
struct Waiting {
    /// As shards gave them: they are large, so that moving them together would cost more than looking them up.
    groups: Vec<Vec<FlowRow>>,
    rows: usize,
    batches: Vec<RecordBatch>,
    batched: usize,
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
        let groups = {
            let mut waiting = locked(&self.waiting);
            waiting.rows += rows.len();
            waiting.groups.push(rows);
            if waiting.rows < BATCH_ROWS {
                return Ok(());
            }
            waiting.rows = 0;
            std::mem::take(&mut waiting.groups)
        };
        self.make_columns(groups)?;
        let run = {
            let mut waiting = locked(&self.waiting);
            if waiting.batched < RUN_ROWS {
                return Ok(());
            }
            waiting.batched = 0;
            std::mem::take(&mut waiting.batches)
        };
        self.spool.append(&run)
    }

    pub fn note_evicted(&self, flows: u64) {
        locked(&self.learnt).evicted += flows;
    }

    fn make_columns(&self, groups: Vec<Vec<FlowRow>>) -> Result<(), TableError> {
        let rows: Vec<&FlowRow> = groups.iter().flatten().collect();
        for rows in rows.chunks(2 * BATCH_ROWS) {
            let columns = self.lists.iter().flat_map(|list| spooled(list, rows)).collect();
            let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(|source| TableError::Arrow { table: "flows", source })?;
            self.note(&batch, rows);
            let mut waiting = locked(&self.waiting);
            waiting.batched += rows.len();
            waiting.batches.push(batch);
        }
        Ok(())
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
        let groups = std::mem::take(&mut locked(&self.waiting).groups);
        self.make_columns(groups)?;
        let run = std::mem::take(&mut locked(&self.waiting).batches);
        if !run.is_empty() {
            self.spool.append(&run)?;
        }
        let mut learnt = self.learnt.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        if learnt.knowledge.asks() {
            self.spool.scan(Cases::COLUMNS, |batch| each_case(batch, |case| learnt.knowledge.learn(&case)))?;
        }
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
