//! Columns of a batch by name and type: none where the name is missing or has another type.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::ArrowPrimitiveType;
use arrow::error::ArrowError;

#[derive(Clone, Copy)]
pub struct Fields<'a>(pub &'a RecordBatch);

impl<'a> Fields<'a> {
    pub fn texts(self, name: &str) -> Option<&'a StringArray> {
        self.column(name)?.as_string_opt()
    }

    pub fn numbers<T: ArrowPrimitiveType>(self, name: &str) -> Option<&'a PrimitiveArray<T>> {
        self.column(name)?.as_primitive_opt()
    }

    pub fn bools(self, name: &str) -> Option<&'a BooleanArray> {
        self.column(name)?.as_boolean_opt()
    }

    pub fn lists(self, name: &str) -> Option<&'a ListArray> {
        self.column(name)?.as_list_opt()
    }

    fn column(self, name: &str) -> Option<&'a ArrayRef> {
        self.0.column_by_name(name)
    }
}

/// The error of a column that is not there, or has another type.
pub fn missing(column: &str) -> ArrowError {
    ArrowError::SchemaError(format!("no column {column}"))
}

/// The text of a row, where it has one.
pub fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// The number of a row, where it has one.
pub fn number<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, row: usize) -> Option<T::Native> {
    column.is_valid(row).then(|| column.value(row))
}
