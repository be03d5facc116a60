//! A table of a finished run, taken back: its rows as the spool holds them.
//!
//! Words stand in the table as a dictionary, in the spool as positions in their list; everything else is alike.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch};
use arrow::datatypes::{Int32Type, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::column::{Column, word_positions};
use super::fields::missing;
use super::flows::SEEN;
use super::seen::FinishedFindings;

/// Rows that are read at a time.
const READ_ROWS: usize = 8_192;

/// Positions of the words of each column that has words.
pub type Positions = HashMap<&'static str, HashMap<&'static str, i32>>;

/// A Parquet file whose rows stand in the order of its table.
#[derive(Clone)]
pub struct FinishedTable {
    path: PathBuf,
    positions: Arc<Positions>,
    /// Of `flows`: what was seen of each.
    pub findings: Option<Arc<FinishedFindings>>,
}

impl FinishedTable {
    pub fn new(path: &Path, positions: Arc<Positions>) -> Self {
        Self { path: path.into(), positions, findings: None }
    }

    /// The rows, as far as the schema asks for them, some thousands at a time.
    pub fn read(&self, schema: SchemaRef) -> Result<FinishedRows, ArrowError> {
        self.rows(schema).map_err(|error| in_file(&self.path, &error))
    }

    fn rows(&self, schema: SchemaRef) -> Result<FinishedRows, ArrowError> {
        let stored = schema.fields().iter().map(|field| field.name().as_str()).filter(|name| *name != SEEN[0].name);
        let reader = columns_of(&self.path, stored)?.with_batch_size(READ_ROWS).build()?;
        Ok(FinishedRows { path: self.path.clone(), reader, schema, positions: self.positions.clone(), findings: self.findings.clone() })
    }
}

/// A file of which some columns are read.
pub fn columns_of<'a>(path: &Path, names: impl Iterator<Item = &'a str>) -> Result<ParquetRecordBatchReaderBuilder<File>, ArrowError> {
    let file = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let roots = names.map(|name| file.schema().index_of(name)).collect::<Result<Vec<_>, _>>()?;
    let mask = ProjectionMask::roots(file.parquet_schema(), roots);
    Ok(file.with_projection(mask))
}

/// The error with the file that it was met in.
pub fn in_file(path: &Path, error: &ArrowError) -> ArrowError {
    ArrowError::ParquetError(format!("{}: {error}", path.display()))
}

/// Rows of a finished table, batch by batch.
pub struct FinishedRows {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    positions: Arc<Positions>,
    findings: Option<Arc<FinishedFindings>>,
}

impl FinishedRows {
    fn spooled(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let column = |name: &String| -> Result<ArrayRef, ArrowError> {
            if let Some(findings) = self.findings.as_ref().filter(|_| name == SEEN[0].name) {
                return findings.seen_of(batch);
            }
            let column = batch.column_by_name(name).ok_or_else(|| missing(name))?;
            match self.positions.get(name.as_str()) {
                Some(positions) => by_position(column, positions),
                None => Ok(column.clone()),
            }
        };
        let columns = self.schema.fields().iter().map(|field| column(field.name())).collect::<Result<_, _>>()?;
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

impl Iterator for FinishedRows {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.reader.next()?.and_then(|batch| self.spooled(&batch));
        Some(rows.map_err(|error| in_file(&self.path, &error)))
    }
}

/// Words as positions in their list.
fn by_position(column: &ArrayRef, positions: &HashMap<&str, i32>) -> Result<ArrayRef, ArrowError> {
    let words = column.as_dictionary_opt::<Int32Type>().ok_or_else(|| ArrowError::SchemaError("a column of words is no dictionary".into()))?;
    let values = words.values().as_string_opt::<i32>().ok_or_else(|| ArrowError::SchemaError("words are no texts".into()))?;
    let places: Vec<Option<i32>> = values.iter().map(|word| positions.get(word?).copied()).collect();
    // A value that no row has may be anything.
    let place = |key: i32| {
        let place = usize::try_from(key).ok().and_then(|key| places.get(key).copied().flatten());
        place.ok_or_else(|| ArrowError::SchemaError(format!("{} is no word that is known", values.value(key as usize))))
    };
    Ok(Arc::new(words.keys().iter().map(|key| key.map(place).transpose()).collect::<Result<Int32Array, _>>()?))
}

/// The words of columns, by column.
pub fn positions<R>(columns: &'static [Column<R>]) -> impl Iterator<Item = (&'static str, HashMap<&'static str, i32>)> {
    columns.iter().filter_map(|column| Some((column.name, word_positions(column)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{DictionaryArray, StringArray};

    #[test]
    fn words_become_positions_and_only_words_of_rows_need_to_be_known() {
        let positions = HashMap::from([("tcp", 0), ("udp", 1)]);
        let column = |keys: Vec<Option<i32>>| -> ArrayRef {
            Arc::new(DictionaryArray::new(Int32Array::from(keys), Arc::new(StringArray::from(vec!["udp", "", "tcp"]))))
        };
        let places = by_position(&column(vec![Some(2), None, Some(0)]), &positions).expect("known");
        assert_eq!(places.as_primitive::<Int32Type>(), &Int32Array::from(vec![Some(0), None, Some(1)]));
        assert!(by_position(&column(vec![Some(1)]), &positions).is_err());
    }
}
