//! Rows on their way to a table: sorted runs on disk, merged at the end, so that memory holds a few runs and the order never depends on how rows arrived.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array, make_array};
use arrow::compute::{SortOptions, concat_batches, interleave, take};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use rayon::prelude::*;

use super::TableError;
use super::finished::FinishedTable;

/// The columns that order a table; nulls come last.
pub type SortKey = &'static [&'static str];

/// Hashes of what the rows of a run would have to be told to change: who has no answer to any of them changes none.
pub type Questions = Vec<u64>;

/// Rows of a run that are read back at a time: so many of each run are in memory when runs are merged.
const READ_ROWS: usize = 512;
/// Pieces of so many rows that are made before they are written.
const PIECES_MADE: usize = 32;
/// Rows that a merge gives at a time.
const MERGED_ROWS: usize = 8_192;
/// Runs that are merged at once. Where there are more, some become one first.
const RUNS_MERGED: usize = 128;

/// Sorted runs of one table.
pub struct Spool {
    table: &'static str,
    folder: PathBuf,
    schema: SchemaRef,
    key: SortKey,
    runs: Mutex<Vec<RunFile>>,
    /// Runs of rows that may change before they are merged, each with what its rows ask.
    open: Mutex<Vec<(PathBuf, Questions)>>,
    named: AtomicUsize,
}

/// Where the rows of a run are.
#[derive(Clone)]
enum RunFile {
    /// Written here, and removed once it is merged.
    Own(PathBuf),
    /// The table of a finished run, which is in order.
    Finished(FinishedTable),
}

impl Spool {
    pub fn new(table: &'static str, folder: &Path, schema: SchemaRef, key: SortKey) -> Self {
        Self { table, folder: folder.into(), schema, key, runs: Mutex::default(), open: Mutex::default(), named: AtomicUsize::new(0) }
    }

    /// Where the runs are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Writes rows that are in order as a run, piece by piece; pieces are made on all cores. From any thread.
    pub fn append<R: Sync>(&self, rows: &[&R], batch: impl Fn(&[&R]) -> Result<RecordBatch, ArrowError> + Sync) -> Result<(), TableError> {
        let path = self.written(rows, batch)?;
        locked(&self.runs).push(RunFile::Own(path));
        Ok(())
    }

    /// Takes the table of a finished run for a run.
    pub fn adopt(&self, table: FinishedTable) {
        locked(&self.runs).push(RunFile::Finished(table));
    }

    /// Writes columns of rows in any order as a run.
    pub fn append_unordered(&self, rows: &RecordBatch) -> Result<(), TableError> {
        let path = self.new_path();
        self.write_ordered(&path, rows).map_err(|source| self.error(source))?;
        locked(&self.runs).push(RunFile::Own(path));
        Ok(())
    }

    /// The same for rows that [`Self::revise`] may change.
    pub fn append_open<R: Sync>(
        &self,
        rows: &[&R],
        questions: Questions,
        batch: impl Fn(&[&R]) -> Result<RecordBatch, ArrowError> + Sync,
    ) -> Result<(), TableError> {
        let path = self.written(rows, batch)?;
        locked(&self.open).push((path, questions));
        Ok(())
    }

    fn written<R: Sync>(&self, rows: &[&R], batch: impl Fn(&[&R]) -> Result<RecordBatch, ArrowError> + Sync) -> Result<PathBuf, TableError> {
        let path = self.new_path();
        let write = || -> Result<(), ArrowError> {
            let mut writer = self.run_writer(&path)?;
            for some in rows.chunks(READ_ROWS * PIECES_MADE) {
                let pieces = some.par_chunks(READ_ROWS).map(&batch).collect::<Result<Vec<_>, _>>()?;
                pieces.iter().try_for_each(|piece| writer.write(piece))?;
            }
            finished(writer)
        };
        write().map_err(|source| self.error(source))?;
        Ok(path)
    }

    /// Changes the runs of open rows of which `is_answered` says so by their questions; what `change` gives is put in order again. None is open any more.
    pub fn revise(
        &self,
        is_answered: impl Fn(&Questions) -> bool,
        change: impl Fn(&RecordBatch) -> Result<RecordBatch, ArrowError>,
    ) -> Result<(), TableError> {
        for (path, questions) in std::mem::take(&mut *locked(&self.open)) {
            if is_answered(&questions) {
                self.revise_run(&path, &change).map_err(|source| self.error(source))?;
            }
            locked(&self.runs).push(RunFile::Own(path));
        }
        Ok(())
    }

    fn revise_run(&self, path: &Path, change: &impl Fn(&RecordBatch) -> Result<RecordBatch, ArrowError>) -> Result<(), ArrowError> {
        let pieces = own_reader(path, None)?.collect::<Result<Vec<_>, _>>()?;
        self.write_ordered(path, &change(&concat_batches(&self.schema, &pieces)?)?)
    }

    fn write_ordered(&self, path: &Path, rows: &RecordBatch) -> Result<(), ArrowError> {
        let keys = Keys::new(&self.schema, self.key)?.encode(rows)?;
        let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
        order.sort_by(|&one, &other| keys.row(one as usize).cmp(&keys.row(other as usize)));
        let order = UInt32Array::from(order);
        let columns = rows.columns().par_iter().map(|column| take(column, &order, None)).collect::<Result<_, _>>()?;
        let mut writer = self.run_writer(path)?;
        write_in_pieces(&mut writer, &RecordBatch::try_new(self.schema.clone(), columns)?)?;
        finished(writer)
    }

    fn new_path(&self) -> PathBuf {
        let run = self.named.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("{}-{run}.run", self.table))
    }

    /// The run is compressed as one stream: a frame for each of its thousands of buffers would cost more than it saves.
    fn run_writer(&self, path: &Path) -> Result<RunWriter, ArrowError> {
        StreamWriter::try_new(FrameEncoder::new(BufWriter::new(File::create(path)?)), &self.schema)
    }

    /// Gives some columns of all rows, in no order, each run on its own core.
    pub fn scan(&self, columns: &[&str], each: impl Fn(&RecordBatch) + Sync) -> Result<(), TableError> {
        let (runs, open) = (locked(&self.runs), locked(&self.open));
        let files: Vec<RunFile> = runs.iter().cloned().chain(open.iter().map(|(path, _)| RunFile::Own(path.clone()))).collect();
        files.par_iter().try_for_each(|file| self.scan_run(file, columns, &each)).map_err(|source| self.error(source))
    }

    fn scan_run(&self, file: &RunFile, columns: &[&str], each: &impl Fn(&RecordBatch)) -> Result<(), ArrowError> {
        let projection = columns.iter().map(|name| self.schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        self.reader(file, Some(projection))?.try_for_each(|batch| {
            each(&batch?);
            Ok(())
        })
    }

    /// Gives all rows in order, some thousands at a time, and removes the runs.
    pub fn merge(self, each: impl FnMut(RecordBatch) -> Result<(), TableError> + Send) -> Result<(), TableError> {
        let mut files = std::mem::take(&mut *locked(&self.runs));
        while files.len() > RUNS_MERGED {
            let some: Vec<RunFile> = files.drain(..RUNS_MERGED.min(files.len() - RUNS_MERGED + 1)).collect();
            files.push(RunFile::Own(self.joined(&some)?));
        }
        self.merge_runs(&files, each)
    }

    /// One run of several.
    fn joined(&self, files: &[RunFile]) -> Result<PathBuf, TableError> {
        let path = self.new_path();
        let mut writer = self.run_writer(&path).map_err(|source| self.error(source))?;
        self.merge_runs(files, |rows| write_in_pieces(&mut writer, &rows).map_err(|source| self.error(source)))?;
        finished(writer).map_err(|source| self.error(source))?;
        Ok(path)
    }

    fn merge_runs(&self, files: &[RunFile], mut each: impl FnMut(RecordBatch) -> Result<(), TableError> + Send) -> Result<(), TableError> {
        let mut merge = Merge::open(self, files).map_err(|source| self.error(source))?;
        let mut next = merge.next_batch();
        while let Some(batch) = next.map_err(|source| self.error(source))? {
            let used;
            (next, used) = rayon::join(|| merge.next_batch(), || each(batch)); // the next rows are merged meanwhile
            used?;
        }
        let own = files.iter().filter_map(|file| if let RunFile::Own(path) = file { Some(path) } else { None });
        own.into_iter().try_for_each(|path| std::fs::remove_file(path).map_err(|source| TableError::Io { path: path.clone(), source }))
    }

    /// Some columns of a run, by their places in the schema; none: all of them.
    fn reader(&self, file: &RunFile, projection: Option<Vec<usize>>) -> Result<RunReader, ArrowError> {
        Ok(match file {
            RunFile::Own(path) => Box::new(own_reader(path, projection)?),
            RunFile::Finished(table) => {
                let schema = projection.map_or_else(|| Ok(self.schema.clone()), |places| self.schema.project(&places).map(Arc::new))?;
                Box::new(table.read(schema)?)
            }
        })
    }

    fn error(&self, source: ArrowError) -> TableError {
        TableError::Arrow { table: self.table, source }
    }
}

/// Rows of several batches, by batch and row, as one; each column on its own core.
fn picked(schema: &SchemaRef, batches: &[RecordBatch], picks: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
    let column = |index: usize| {
        let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(index).as_ref()).collect();
        interleave(&parts, picks).and_then(without_idle_validity)
    };
    let columns = (0..schema.fields().len()).into_par_iter().map(column).collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema.clone(), columns)
}

/// The column without a mask of nulls where none is null: whether there is one depends on the runs that rows came from, and changes how Parquet encodes
/// their levels.
fn without_idle_validity(column: ArrayRef) -> Result<ArrayRef, ArrowError> {
    if column.nulls().is_none_or(|nulls| nulls.null_count() > 0) {
        return Ok(column);
    }
    Ok(make_array(column.to_data().into_builder().nulls(None).build()?))
}

/// A thread that panicked has not left half a path behind.
fn locked<T>(runs: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    runs.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

type RunWriter = StreamWriter<FrameEncoder<BufWriter<File>>>;
type RunReader = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

fn own_reader(path: &Path, projection: Option<Vec<usize>>) -> Result<StreamReader<FrameDecoder<BufReader<File>>>, ArrowError> {
    StreamReader::try_new(FrameDecoder::new(BufReader::new(File::open(path)?)), projection)
}

/// Ends the stream, its frame, and what the file has not been given yet.
fn finished(writer: RunWriter) -> Result<(), ArrowError> {
    let mut file = writer.into_inner()?.finish().map_err(|error| ArrowError::IoError(error.to_string(), error.into()))?;
    Ok(file.flush()?)
}

fn write_in_pieces(writer: &mut RunWriter, rows: &RecordBatch) -> Result<(), ArrowError> {
    (0..rows.num_rows()).step_by(READ_ROWS).try_for_each(|start| writer.write(&rows.slice(start, READ_ROWS.min(rows.num_rows() - start))))
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
    reader: RunReader,
    batch: RecordBatch,
    rows: Rows,
    at: usize,
    /// Where the batch stands among those of the output in the making.
    slot: Option<usize>,
}

impl Merge {
    fn open(spool: &Spool, files: &[RunFile]) -> Result<Self, ArrowError> {
        let keys = Keys::new(&spool.schema, spool.key)?;
        let mut merge = Self { runs: Vec::new(), heap: BinaryHeap::new(), keys, schema: spool.schema.clone() };
        for file in files {
            let mut reader = spool.reader(file, None)?;
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
        let (mut batches, mut picks) = (Vec::new(), Vec::with_capacity(MERGED_ROWS));
        self.runs.iter_mut().for_each(|run| run.slot = None);
        while picks.len() < MERGED_ROWS {
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
        picked(&self.schema, &batches, &picks).map(Some)
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

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};

    /// Runs of some rows each, whose keys lie scattered over all runs.
    fn spool(folder: &Path, runs: i64, rows: i64) -> Spool {
        let schema = Arc::new(Schema::new(vec![Field::new("key", DataType::Int64, false), Field::new("text", DataType::Utf8, true)]));
        let spool = Spool::new("flows", folder, schema.clone(), &["key"]);
        for run in 0..runs {
            let mut keys: Vec<i64> = (0..rows).map(|row| (row * runs + run) * 7_919 % (runs * rows)).collect();
            keys.sort_unstable();
            let batch = |keys: &[&i64]| {
                let texts: StringArray = keys.iter().map(|&&key| (key % 3 > 0).then(|| key.to_string())).collect();
                let keys: Int64Array = keys.iter().map(|&&key| Some(key)).collect();
                RecordBatch::try_new(schema.clone(), vec![Arc::new(keys), Arc::new(texts)])
            };
            spool.append(&keys.iter().collect::<Vec<_>>(), batch).expect("written");
        }
        spool
    }

    /// Keys of all rows in the order of a merge.
    fn merged(spool: Spool) -> Vec<i64> {
        let mut keys = Vec::new();
        let all = spool.merge(|batch| {
            keys.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
            Ok(())
        });
        all.expect("merged");
        keys
    }

    #[test]
    fn open_rows_that_change_their_key_find_their_new_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = spool(folder.path(), 2, 10);
        let schema = spool.schema();
        let rows = |keys: Vec<i64>| {
            RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from(keys)), Arc::new(StringArray::from(vec![Some("open"); 3]))])
        };
        for (first, question) in [(100, 1), (200, 2)] {
            let keys = [&first, &(first + 1), &(first + 2)];
            spool.append_open(&keys, vec![question], |keys: &[&i64]| rows(keys.iter().map(|&&key| key).collect())).expect("written");
        }
        let change = |batch: &RecordBatch| {
            assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 100, "only what is answered is read");
            rows(vec![7, 300, -1])
        };
        spool.revise(|questions| questions.contains(&1), change).expect("revised");
        spool.revise(|_| panic!("none is open any more"), |batch| Ok(batch.clone())).expect("nothing to do");
        let expected: Vec<i64> = [-1].into_iter().chain(0..8).chain([7]).chain(8..20).chain([200, 201, 202, 300]).collect();
        assert_eq!(merged(spool), expected);
    }

    #[test]
    fn rows_come_in_order_however_many_runs_there_are() {
        for (runs, rows) in [(1, 2_000), (5, 1_000), (RUNS_MERGED as i64, 20), (3 * RUNS_MERGED as i64, 10)] {
            let folder = tempfile::tempdir().expect("a folder");
            let mut keys = Vec::new();
            let merged = spool(folder.path(), runs, rows).merge(|batch| {
                let texts = batch.column(1).as_string::<i32>();
                for (row, &key) in batch.column(0).as_primitive::<Int64Type>().values().iter().enumerate() {
                    assert_eq!(texts.is_valid(row).then(|| texts.value(row).to_string()), (key % 3 > 0).then(|| key.to_string()), "rows stay whole");
                    keys.push(key);
                }
                Ok(())
            });
            merged.expect("merged");
            assert_eq!(keys, (0..runs * rows).collect::<Vec<_>>(), "{runs} runs");
            assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "no run is left behind");
        }
    }
}
