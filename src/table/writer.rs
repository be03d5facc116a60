//! One Parquet file: row groups of a fixed number of rows, every column of a group encoded on its own core.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
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
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
}

impl TableWriter {
    pub fn create(table: &'static str, path: &Path, fields: Vec<Field>, metadata: &[(String, String)]) -> Result<Self, TableError> {
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata.iter().cloned().collect::<HashMap<_, _>>()));
        let file = File::create(path).map_err(|source| TableError::Io { path: path.into(), source })?;
        let parquet = |source| TableError::Parquet { table, source };
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties(&schema))).map_err(parquet)?;
        let (file, groups) = writer.into_serialized_writer().map_err(parquet)?;
        Ok(Self { table, schema, file, groups, written_groups: 0, waiting: Vec::new(), waiting_rows: 0 })
    }

    /// Appends rows; row groups are cut by number of rows only.
    pub fn write(&mut self, mut batch: RecordBatch) -> Result<(), TableError> {
        while self.waiting_rows + batch.num_rows() >= ROW_GROUP_ROWS {
            let room = ROW_GROUP_ROWS - self.waiting_rows;
            self.waiting.push(batch.slice(0, room));
            batch = batch.slice(room, batch.num_rows() - room);
            self.flush()?;
        }
        if batch.num_rows() > 0 {
            self.waiting_rows += batch.num_rows();
            self.waiting.push(batch);
        }
        Ok(())
    }

    /// Writes what waits as one row group.
    fn flush(&mut self) -> Result<(), TableError> {
        let batches = std::mem::take(&mut self.waiting);
        self.waiting_rows = 0;
        self.write_group(&batches).map_err(|source| TableError::Parquet { table: self.table, source })
    }

    fn write_group(&mut self, batches: &[RecordBatch]) -> Result<(), ParquetError> {
        let mut writers = self.groups.create_column_writers(self.written_groups)?.into_iter();
        self.written_groups += 1;
        // A list has as many writers as leaves; every column here has one.
        let columns: Vec<(usize, ArrowColumnWriter)> = (0..self.schema.fields().len()).zip(&mut writers).collect();
        let encode = |(index, mut writer): (usize, ArrowColumnWriter)| -> Result<ArrowColumnChunk, ParquetError> {
            for batch in batches {
                for leaf in compute_leaves(self.schema.field(index), batch.column(index))? {
                    writer.write(&leaf)?;
                }
            }
            writer.close()
        };
        let chunks: Vec<Result<ArrowColumnChunk, ParquetError>> = columns.into_par_iter().map(encode).collect();
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk?.append_to_row_group(&mut group)?;
        }
        group.close().map(|_| ())
    }

    /// Writes what waits and closes the file.
    pub fn finish(mut self) -> Result<(), TableError> {
        if self.waiting_rows > 0 {
            self.flush()?;
        }
        self.file.close().map(|_| ()).map_err(|source| TableError::Parquet { table: self.table, source })
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
