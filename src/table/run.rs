//! The tables of one run: each begins with the run's id, and says in its metadata what wrote it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::column::{Column, batch};
use super::{Output, SCHEMA_VERSION, TableError, TableWriter};

/// Writes tables into the temporary folder of an output.
pub struct RunTables<'a> {
    output: &'a Output,
    pub run_id: String,
    metadata: HashMap<String, String>,
}

impl<'a> RunTables<'a> {
    /// `settings`: what else the metadata of every table is to say.
    pub fn new(output: &'a Output, run_id: String, settings: HashMap<String, String>) -> Self {
        let mut metadata = settings;
        metadata.insert("tamperscope.version".into(), env!("CARGO_PKG_VERSION").into());
        metadata.insert("tamperscope.schema_version".into(), SCHEMA_VERSION.into());
        Self { output, run_id, metadata }
    }

    /// Puts the run before the columns of a row; there is at least one.
    pub fn with_run_id(&self, columns: impl IntoIterator<Item = ArrayRef>) -> Vec<ArrayRef> {
        let mut columns: Vec<ArrayRef> = columns.into_iter().collect();
        let rows = columns.first().map_or(0, |column| column.len());
        columns.insert(0, Arc::new(std::iter::repeat_n(Some(&self.run_id), rows).collect::<StringArray>()));
        columns
    }

    /// A writer of `table`.parquet.
    pub fn writer(&self, table: &'static str, fields: impl Iterator<Item = Field>) -> Result<TableWriter, TableError> {
        let fields: Vec<Field> = std::iter::once(Field::new("run_id", DataType::Utf8, false)).chain(fields).collect();
        let schema = Schema::new_with_metadata(fields, self.metadata.clone());
        TableWriter::create(table, &self.output.staging().join(format!("{table}.parquet")), Arc::new(schema))
    }

    /// Writes a whole table whose rows are in memory.
    pub fn write<R: Sync>(&self, table: &'static str, columns: &'static [Column<R>], rows: &[R]) -> Result<(), TableError> {
        let mut writer = self.writer(table, columns.iter().map(Column::field))?;
        for rows in rows.chunks(super::ROW_GROUP_ROWS) {
            writer.write_columns(self.with_run_id(batch(columns, rows)))?;
        }
        writer.finish()
    }
}
