//! Rows of a small table on their way: they wait until there are enough for a sorted run.

use std::cmp::Ordering;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use crate::table::{Column, SortKey, Spool, TableError, spooled};

/// Rows of one run: of `flows`, the widest table, some 30 MB while they wait.
pub const RUN_ROWS: usize = 16 * 1024;

/// Takes rows from any thread, in any order.
pub struct Runs<R: 'static> {
    /// The columns of the spool, list by list.
    lists: &'static [&'static [Column<R>]],
    /// The order of `key`, of rows that are not columns yet.
    order: fn(&R, &R) -> Ordering,
    spool: Spool,
    waiting: Mutex<Vec<R>>,
}

impl<R: Sync> Runs<R> {
    pub fn new(table: &'static str, folder: &Path, lists: &'static [&'static [Column<R>]], key: SortKey, order: fn(&R, &R) -> Ordering) -> Self {
        let fields: Vec<_> = lists.iter().copied().flatten().map(Column::spooled_field).collect();
        Self { lists, order, spool: Spool::new(table, folder, Arc::new(Schema::new(fields)), key), waiting: Mutex::default() }
    }

    pub fn add(&self, mut rows: Vec<R>) -> Result<(), TableError> {
        if rows.is_empty() {
            return Ok(());
        }
        let full = {
            let mut waiting = self.waiting();
            waiting.append(&mut rows);
            (waiting.len() >= RUN_ROWS).then(|| std::mem::take(&mut *waiting))
        };
        full.map_or(Ok(()), |full| self.write(full))
    }

    /// Writes what waits; gives the runs.
    pub fn finish(self) -> Result<Spool, TableError> {
        let rest = std::mem::take(&mut *self.waiting());
        if !rest.is_empty() {
            self.write(rest)?;
        }
        Ok(self.spool)
    }

    fn write(&self, mut rows: Vec<R>) -> Result<(), TableError> {
        rows.sort_by(self.order);
        let schema = self.spool.schema();
        self.spool.append(&rows.iter().collect::<Vec<_>>(), |rows| {
            RecordBatch::try_new(schema.clone(), self.lists.iter().flat_map(|list| spooled(list, rows)).collect())
        })
    }

    /// A thread that panicked has not left half a row behind: rows are moved whole.
    fn waiting(&self) -> MutexGuard<'_, Vec<R>> {
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
