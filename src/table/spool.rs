//! Rows on their way to a table: sorted runs on disk, merged at the end, so that memory holds a few runs and the order never depends on how rows arrived.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, interleave, take};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use arrow_ipc::CompressionType;
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use rayon::prelude::*;

use super::TableError;

/// The columns that order a table; nulls come last.
pub type SortKey = &'static [&'static str];

/// Rows of a run that are read back at a time.
const READ_ROWS: usize = 8_192;

/// Sorted runs of one table.
pub struct Spool {
    table: &'static str,
    folder: PathBuf,
    schema: SchemaRef,
    key: SortKey,
    runs: Mutex<Vec<PathBuf>>,
    named: AtomicUsize,
}

impl Spool {
    pub fn new(table: &'static str, folder: &Path, schema: SchemaRef, key: SortKey) -> Self {
        Self { table, folder: folder.into(), schema, key, runs: Mutex::default(), named: AtomicUsize::new(0) }
    }

    /// Where the runs are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Sorts rows and writes them as a run. From any thread.
    pub fn append(&self, rows: RecordBatch) -> Result<(), TableError> {
        let run = self.named.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{}-{run}.run", self.table));
        self.write_run(&path, &rows).map_err(|source| self.error(source))?;
        self.runs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(path);
        Ok(())
    }

    fn write_run(&self, path: &Path, rows: &RecordBatch) -> Result<(), ArrowError> {
        let sorted = self.sorted(rows)?;
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
        let mut writer = FileWriter::try_new_with_options(BufWriter::new(File::create(path)?), &self.schema, options)?;
        for start in (0..sorted.num_rows()).step_by(READ_ROWS) {
            writer.write(&sorted.slice(start, READ_ROWS.min(sorted.num_rows() - start)))?;
        }
        writer.finish()
    }

    fn sorted(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let keys = Keys::new(&self.schema, self.key)?;
        let encoded = keys.encode(rows)?;
        let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
        order.sort_unstable_by(|&one, &other| encoded.row(one as usize).cmp(&encoded.row(other as usize)));
        let order = UInt32Array::from(order);
        let columns = rows.columns().par_iter().map(|column| take(column, &order, None)).collect::<Result<_, _>>()?;
        RecordBatch::try_new(self.schema.clone(), columns)
    }

    /// Gives all rows in order, some thousands at a time, and removes the runs.
    pub fn merge(self, mut each: impl FnMut(RecordBatch) -> Result<(), TableError> + Send) -> Result<(), TableError> {
        let paths = std::mem::take(&mut *self.runs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        let mut merge = Merge::open(&self, &paths).map_err(|source| self.error(source))?;
        let mut next = merge.next_batch();
        while let Some(batch) = next.map_err(|source| self.error(source))? {
            let used;
            (next, used) = rayon::join(|| merge.next_batch(), || each(batch)); // the next rows are merged meanwhile
            used?;
        }
        paths.iter().try_for_each(|path| std::fs::remove_file(path).map_err(|source| TableError::Io { path: path.clone(), source }))
    }

    fn error(&self, source: ArrowError) -> TableError {
        TableError::Arrow { table: self.table, source }
    }
}

/// Turns the key columns of a batch into bytes that compare like rows.
struct Keys {
    converter: RowConverter,
    columns: Vec<usize>,
}

impl Keys {
    fn new(schema: &SchemaRef, key: SortKey) -> Result<Self, ArrowError> {
        let columns = key.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let options = SortOptions { descending: false, nulls_first: false };
        let fields = columns.iter().map(|&column| SortField::new_with_options(schema.field(column).data_type().clone(), options)).collect();
        Ok(Self { converter: RowConverter::new(fields)?, columns })
    }

    fn encode(&self, batch: &RecordBatch) -> Result<Rows, ArrowError> {
        let columns: Vec<_> = self.columns.iter().map(|&column| batch.column(column).clone()).collect();
        self.converter.convert_columns(&columns)
    }
}

/// The runs being merged, each at its next row.
struct Merge {
    keys: Keys,
    schema: SchemaRef,
    runs: Vec<Run>,
    /// The runs by their next row; equal rows in the order of the runs.
    heap: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
}

struct Run {
    reader: FileReader<BufReader<File>>,
    batch: RecordBatch,
    rows: Rows,
    at: usize,
    /// Where the batch stands among those of the output in the making.
    slot: Option<usize>,
}

impl Merge {
    fn open(spool: &Spool, paths: &[PathBuf]) -> Result<Self, ArrowError> {
        let keys = Keys::new(&spool.schema, spool.key)?;
        let mut merge = Self { runs: Vec::new(), heap: BinaryHeap::new(), keys, schema: spool.schema.clone() };
        for path in paths {
            let mut reader = FileReader::try_new(BufReader::new(File::open(path)?), None)?;
            if let Some(batch) = reader.next() {
                let batch = batch?;
                let rows = merge.keys.encode(&batch)?;
                merge.runs.push(Run { reader, batch, rows, at: 0, slot: None });
                merge.wait(merge.runs.len() - 1);
            }
        }
        Ok(merge)
    }

    /// Puts a run back into the heap by its next row.
    fn wait(&mut self, run: usize) {
        let Run { rows, at, .. } = &self.runs[run];
        self.heap.push(Reverse((rows.row(*at).as_ref().to_vec(), run)));
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let (mut batches, mut picks) = (Vec::new(), Vec::with_capacity(READ_ROWS));
        self.runs.iter_mut().for_each(|run| run.slot = None);
        while picks.len() < READ_ROWS {
            let Some(Reverse((_, index))) = self.heap.pop() else { break };
            let run = &mut self.runs[index];
            let slot = *run.slot.get_or_insert_with(|| {
                batches.push(run.batch.clone());
                batches.len() - 1
            });
            picks.push((slot, run.at));
            run.at += 1;
            if run.at == run.batch.num_rows() && !self.advance(index)? {
                continue;
            }
            self.wait(index);
        }
        if picks.is_empty() {
            return Ok(None);
        }
        let column = |index: usize| {
            let parts: Vec<&dyn Array> = batches.iter().map(|batch: &RecordBatch| batch.column(index).as_ref()).collect();
            interleave(&parts, &picks)
        };
        let columns = (0..self.schema.fields().len()).into_par_iter().map(column).collect::<Result<_, _>>()?;
        RecordBatch::try_new(self.schema.clone(), columns).map(Some)
    }

    /// Reads a run's next batch; false at its end.
    fn advance(&mut self, index: usize) -> Result<bool, ArrowError> {
        let run = &mut self.runs[index];
        let Some(batch) = run.reader.next() else { return Ok(false) };
        run.batch = batch?;
        run.rows = self.keys.encode(&run.batch)?;
        (run.at, run.slot) = (0, None);
        Ok(true)
    }
}
