//! A column: name, type, unit, meaning, and how its value comes from a row. Everything else about it follows from here.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, DictionaryArray, Int32Array, NullBufferBuilder, PrimitiveArray, StringArray};
use arrow::array::{Float64Builder, Int32Builder, Int64Builder, ListBuilder, StringBuilder};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};

use crate::model::Timestamp;
use crate::model::words::Word;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    None,
    Count,
    Bytes,
    Milliseconds,
    Seconds,
    KilobitsPerSecond,
    Probability,
    LogLikelihood,
}

/// One column of a table whose rows are `R`.
pub struct Column<R: 'static> {
    pub name: &'static str,
    unit: Unit,
    doc: &'static str,
    /// When the value is null; empty: never.
    null: &'static str,
    values: Values<R>,
}

/// How the values come from a row.
enum Values<R: 'static> {
    Int64(fn(&R) -> Option<i64>),
    Int32(fn(&R) -> Option<i32>),
    Float64(fn(&R) -> Option<f64>),
    Bool(fn(&R) -> Option<bool>),
    Time(fn(&R) -> Option<Timestamp>),
    Text(for<'a> fn(&'a R) -> Option<&'a str>),
    Word { words: fn() -> Vec<(&'static str, &'static str)>, index: fn(&R) -> Option<i32> },
    Texts(for<'a> fn(&'a R) -> Vec<&'a str>),
    Int64s(for<'a> fn(&'a R) -> &'a [i64]),
    Int32s(for<'a> fn(&'a R) -> &'a [i32]),
    Float64s(for<'a> fn(&'a R) -> &'a [f64]),
}

/// A column for people.
#[derive(Clone, Debug)]
pub struct Description {
    pub name: &'static str,
    pub kind: String,
    pub unit: Unit,
    pub doc: &'static str,
    pub null: &'static str,
    /// The words of an enumeration and what they mean.
    pub words: Vec<(&'static str, &'static str)>,
    pub field: Field,
}

pub const NEVER_NULL: &str = "";

impl Unit {
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::KilobitsPerSecond => "kbit/s",
            Self::Probability => "probability",
            Self::LogLikelihood => "natural log of a likelihood ratio",
        }
    }
}

impl<R: 'static> Column<R> {
    const fn new(name: &'static str, unit: Unit, doc: &'static str, null: &'static str, values: Values<R>) -> Self {
        Self { name, unit, doc, null, values }
    }

    pub const fn i64(name: &'static str, unit: Unit, doc: &'static str, null: &'static str, value: fn(&R) -> Option<i64>) -> Self {
        Self::new(name, unit, doc, null, Values::Int64(value))
    }

    pub const fn i32(name: &'static str, doc: &'static str, null: &'static str, value: fn(&R) -> Option<i32>) -> Self {
        Self::new(name, Unit::None, doc, null, Values::Int32(value))
    }

    pub const fn f64(name: &'static str, unit: Unit, doc: &'static str, null: &'static str, value: fn(&R) -> Option<f64>) -> Self {
        Self::new(name, unit, doc, null, Values::Float64(value))
    }

    pub const fn bool(name: &'static str, doc: &'static str, null: &'static str, value: fn(&R) -> Option<bool>) -> Self {
        Self::new(name, Unit::None, doc, null, Values::Bool(value))
    }

    pub const fn time(name: &'static str, doc: &'static str, null: &'static str, value: fn(&R) -> Option<Timestamp>) -> Self {
        Self::new(name, Unit::None, doc, null, Values::Time(value))
    }

    pub const fn text(name: &'static str, doc: &'static str, null: &'static str, value: for<'a> fn(&'a R) -> Option<&'a str>) -> Self {
        Self::new(name, Unit::None, doc, null, Values::Text(value))
    }

    pub const fn texts(name: &'static str, doc: &'static str, value: for<'a> fn(&'a R) -> Vec<&'a str>) -> Self {
        Self::new(name, Unit::None, doc, NEVER_NULL, Values::Texts(value))
    }

    pub const fn i64s(name: &'static str, unit: Unit, doc: &'static str, value: for<'a> fn(&'a R) -> &'a [i64]) -> Self {
        Self::new(name, unit, doc, NEVER_NULL, Values::Int64s(value))
    }

    pub const fn i32s(name: &'static str, doc: &'static str, value: for<'a> fn(&'a R) -> &'a [i32]) -> Self {
        Self::new(name, Unit::None, doc, NEVER_NULL, Values::Int32s(value))
    }

    pub const fn f64s(name: &'static str, unit: Unit, doc: &'static str, value: for<'a> fn(&'a R) -> &'a [f64]) -> Self {
        Self::new(name, unit, doc, NEVER_NULL, Values::Float64s(value))
    }

    /// A column of words; `W` is their enumeration.
    pub const fn word<W: Word>(name: &'static str, doc: &'static str, null: &'static str, index: fn(&R) -> Option<i32>) -> Self {
        Self::new(name, Unit::None, doc, null, Values::Word { words: words_of::<W>, index })
    }

    pub fn field(&self) -> Field {
        Field::new(self.name, self.values.data_type(), !self.null.is_empty())
    }

    /// The same column on its way through the spool, where words are positions in their list: merging runs would rebuild their dictionaries.
    pub fn spooled_field(&self) -> Field {
        match self.values {
            Values::Word { .. } => Field::new(self.name, DataType::Int32, true),
            _ => self.field(),
        }
    }

    /// The column as the table holds it, from the spool.
    pub fn from_spool(&self, spooled: &ArrayRef) -> ArrayRef {
        match &self.values {
            Values::Word { words, .. } => word_array(words(), spooled.as_primitive::<Int32Type>().clone()),
            _ => spooled.clone(),
        }
    }

    /// The column of rows, words as positions in their list.
    pub fn spooled(&self, rows: &[&R]) -> ArrayRef {
        match &self.values {
            Values::Int64(value) => Arc::new(numbers::<R, Int64Type>(rows, value)),
            Values::Int32(value) => Arc::new(numbers::<R, Int32Type>(rows, value)),
            Values::Float64(value) => Arc::new(numbers::<R, Float64Type>(rows, value)),
            Values::Bool(value) => Arc::new(rows.iter().map(|row| value(row)).collect::<BooleanArray>()),
            Values::Time(value) => {
                Arc::new(numbers::<R, TimestampMicrosecondType>(rows, |row| value(row).map(Timestamp::as_micros)).with_timezone("UTC"))
            }
            Values::Text(value) => Arc::new(rows.iter().map(|row| value(row)).collect::<StringArray>()),
            Values::Word { index, .. } => Arc::new(numbers::<R, Int32Type>(rows, index)),
            Values::Texts(value) => {
                list(rows, ListBuilder::new(StringBuilder::new()), |builder, row| value(row).iter().for_each(|text| builder.append_value(text)))
            }
            Values::Int64s(value) => list(rows, ListBuilder::new(Int64Builder::new()), |builder, row| builder.append_slice(value(row))),
            Values::Int32s(value) => list(rows, ListBuilder::new(Int32Builder::new()), |builder, row| builder.append_slice(value(row))),
            Values::Float64s(value) => list(rows, ListBuilder::new(Float64Builder::new()), |builder, row| builder.append_slice(value(row))),
        }
    }

    fn description(&self) -> Description {
        let words = match &self.values {
            Values::Word { words, .. } => words(),
            _ => Vec::new(),
        };
        Description { name: self.name, kind: self.values.type_name(), unit: self.unit, doc: self.doc, null: self.null, words, field: self.field() }
    }
}

impl<R> Values<R> {
    fn data_type(&self) -> DataType {
        let list = |item| DataType::List(Arc::new(Field::new("element", item, true)));
        match self {
            Self::Int64(_) => DataType::Int64,
            Self::Int32(_) => DataType::Int32,
            Self::Float64(_) => DataType::Float64,
            Self::Bool(_) => DataType::Boolean,
            Self::Time(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Text(_) => DataType::Utf8,
            Self::Word { .. } => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Self::Texts(_) => list(DataType::Utf8),
            Self::Int64s(_) => list(DataType::Int64),
            Self::Int32s(_) => list(DataType::Int32),
            Self::Float64s(_) => list(DataType::Float64),
        }
    }

    fn type_name(&self) -> String {
        match self {
            Self::Int64(_) => "Int64",
            Self::Int32(_) => "Int32",
            Self::Float64(_) => "Float64",
            Self::Bool(_) => "Boolean",
            Self::Time(_) => "Timestamp(us, UTC)",
            Self::Text(_) => "Utf8",
            Self::Word { .. } => "Dictionary(Int32, Utf8)",
            Self::Texts(_) => "List<Utf8>",
            Self::Int64s(_) => "List<Int64>",
            Self::Int32s(_) => "List<Int32>",
            Self::Float64s(_) => "List<Float64>",
        }
        .into()
    }
}

fn words_of<W: Word>() -> Vec<(&'static str, &'static str)> {
    W::ALL.iter().map(|value| (value.word(), value.meaning())).collect()
}

/// The positions of a column's words; none where it has no words.
pub fn word_positions<R>(column: &Column<R>) -> Option<HashMap<&'static str, i32>> {
    match &column.values {
        Values::Word { words, .. } => Some(words().into_iter().map(|(word, _)| word).zip(0..).collect()),
        _ => None,
    }
}

/// The position of a word in its list, as the dictionary knows it.
pub fn word_index<W: Word>(value: W) -> i32 {
    value.index() as i32
}

/// All declared words in declared order, whichever occur.
fn word_array(words: Vec<(&'static str, &'static str)>, keys: Int32Array) -> ArrayRef {
    let values: StringArray = words.iter().map(|(word, _)| Some(*word)).collect();
    Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(values)))
}

/// Numbers of rows; where none is missing there is no mask of nulls.
fn numbers<R, T: ArrowPrimitiveType>(rows: &[&R], value: impl Fn(&R) -> Option<T::Native>) -> PrimitiveArray<T> {
    let mut nulls = NullBufferBuilder::new(rows.len());
    let values: Vec<T::Native> = rows
        .iter()
        .map(|row| {
            let value = value(row);
            nulls.append(value.is_some());
            value.unwrap_or_default()
        })
        .collect();
    PrimitiveArray::new(values.into(), nulls.finish())
}

fn list<R, B: arrow::array::ArrayBuilder>(rows: &[&R], builder: ListBuilder<B>, mut fill: impl FnMut(&mut B, &R)) -> ArrayRef {
    let field = Field::new("element", builder.values_ref_type(), true);
    let mut builder = builder.with_field(field);
    for row in rows {
        fill(builder.values(), row);
        builder.append(true);
    }
    Arc::new(builder.finish())
}

/// The element type of a fresh list builder.
trait ElementType {
    fn values_ref_type(&self) -> DataType;
}

impl<B: arrow::array::ArrayBuilder> ElementType for ListBuilder<B> {
    fn values_ref_type(&self) -> DataType {
        self.values_ref().finish_cloned().data_type().clone()
    }
}

/// The arrays of rows for the spool.
pub fn spooled<R>(columns: &'static [Column<R>], rows: &[&R]) -> Vec<ArrayRef> {
    columns.iter().map(|column| column.spooled(rows)).collect()
}

/// The arrays of a table from those of the spool.
pub fn from_spool<R>(columns: &'static [Column<R>], spooled: &[ArrayRef]) -> Vec<ArrayRef> {
    columns.iter().zip(spooled).map(|(column, spooled)| column.from_spool(spooled)).collect()
}

/// The arrays of rows for the table.
pub fn batch<R: Sync>(columns: &'static [Column<R>], rows: &[R]) -> Vec<ArrayRef> {
    let rows: Vec<&R> = rows.iter().collect();
    from_spool(columns, &spooled(columns, &rows))
}

pub fn describe<R>(columns: &'static [Column<R>]) -> Vec<Description> {
    columns.iter().map(Column::description).collect()
}

/// The first column of every table: rows of several runs may be appended.
pub fn run_id() -> Description {
    Description {
        name: "run_id",
        kind: "Utf8".into(),
        unit: Unit::None,
        doc: "The run that wrote the row: a hash of the flows it saw and of the settings that change results.",
        null: NEVER_NULL,
        words: Vec::new(),
        field: Field::new("run_id", DataType::Utf8, false),
    }
}
