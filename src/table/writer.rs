//! One Parquet file: row groups of a fixed number of rows, every column of a group encoded on its own core.

use std::fs::File;
use std::path::Path;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;

use super::TableError;

/// Rows of a row group: large enough to compress, small enough that a query for one service skips most.
pub const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Columns that queries ask for by value.
const BLOOM_FILTERED: &[&str] = &["host", "server_ip", "client_ip", "community_id", "flow_id"];

/// Writes one table.
pub struct TableWriter {
    table: &'static str,
    schema: SchemaRef,
    file: SerializedFileWriter<File>,
    groups: ArrowRowGroupWriterFactory,
    written_groups: usize,
    /// The columns of the row group that is being filled, and its rows so far: pages are encoded as rows come.
    open: Vec<ArrowColumnWriter>,
    open_rows: usize,
}

impl TableWriter {
    pub fn create(table: &'static str, path: &Path, schema: SchemaRef) -> Result<Self, TableError> {
        let file = File::create(path).map_err(|source| TableError::Io { path: path.into(), source })?;
        let parquet = |source| TableError::Parquet { table, source };
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties(&schema))).map_err(parquet)?;
        let (file, groups) = writer.into_serialized_writer().map_err(parquet)?;
        Ok(Self { table, schema, file, groups, written_groups: 0, open: Vec::new(), open_rows: 0 })
    }

    /// Appends rows, a column each, in the order of the schema.
    pub fn write_columns(&mut self, columns: Vec<ArrayRef>) -> Result<(), TableError> {
        let table = self.table;
        let rows = RecordBatch::try_new(self.schema.clone(), columns).map_err(|source| TableError::Arrow { table, source })?;
        self.write(rows)
    }

    /// Row groups are cut by number of rows only.
    fn write(&mut self, mut batch: RecordBatch) -> Result<(), TableError> {
        while self.open_rows + batch.num_rows() >= ROW_GROUP_ROWS {
            let room = ROW_GROUP_ROWS - self.open_rows;
            self.encode(&batch.slice(0, room)).map_err(self.error())?;
            self.close_group().map_err(self.error())?;
            batch = batch.slice(room, batch.num_rows() - room);
        }
        self.encode(&batch).map_err(self.error())
    }

    /// Adds rows to the open group, each column on its own core.
    fn encode(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if self.open.is_empty() {
            self.open = self.groups.create_column_writers(self.written_groups)?;
        }
        self.open_rows += batch.num_rows();
        let schema = &self.schema;
        // Every column has one leaf, lists included.
        self.open.par_iter_mut().enumerate().try_for_each(|(index, writer)| {
            let leaves = compute_leaves(schema.field(index), batch.column(index))?;
            leaves.iter().try_for_each(|leaf| writer.write(leaf))
        })
    }

    fn close_group(&mut self) -> Result<(), ParquetError> {
        let columns = std::mem::take(&mut self.open);
        (self.open_rows, self.written_groups) = (0, self.written_groups + 1);
        let chunks: Vec<Result<ArrowColumnChunk, ParquetError>> = columns.into_par_iter().map(ArrowColumnWriter::close).collect();
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk?.append_to_row_group(&mut group)?;
        }
        group.close().map(|_| ())
    }

    /// Writes the last group and closes the file.
    pub fn finish(mut self) -> Result<(), TableError> {
        let error = self.error();
        if self.open_rows > 0 {
            self.close_group().map_err(&error)?;
        }
        self.file.close().map(|_| ()).map_err(error)
    }

    fn error(&self) -> impl Fn(ParquetError) -> TableError + use<> {
        let table = self.table;
        move |source| TableError::Parquet { table, source }
    }
}

fn properties(schema: &Schema) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(format!("tamperscope {}", env!("CARGO_PKG_VERSION")));
    for field in schema.fields() {
        let path = ColumnPath::from(field.name().as_str());
        if BLOOM_FILTERED.contains(&field.name().as_str()) {
            properties = properties.set_column_bloom_filter_enabled(path.clone(), true);
        }
        if matches!(field.data_type(), DataType::Float64 | DataType::Timestamp(..)) || matches!(field.name().as_str(), "flow_id" | "community_id") {
            properties = properties.set_column_dictionary_enabled(path, false); // nearly every value is new
        }
    }
    properties.build()
}
