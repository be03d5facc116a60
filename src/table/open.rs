//! Rows of `flows` in the spool that others may tell more about.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::error::ArrowError;

use crate::infer::{OpenFlow, QuicFlow, Told};
use crate::model::words::{AppProtocol, Word};

use super::column::word_index;
use super::fields::{Fields, number, text};

/// The rows of a batch, as far as naming reads them.
pub struct OpenFlows<'a> {
    source: &'a StringArray,
    flow_id: &'a Int64Array,
    client_ip: &'a StringArray,
    server_ip: &'a StringArray,
    server_port: &'a Int32Array,
    start: &'a TimestampMicrosecondArray,
    host: &'a StringArray,
    sni: &'a StringArray,
    ech_config: &'a Int32Array,
    server_id: &'a StringArray,
    goes_on_with: &'a StringArray,
}

impl<'a> OpenFlows<'a> {
    /// The columns that are read.
    pub const COLUMNS: &'static [&'static str] = &[
        "source",
        "flow_id",
        "client_ip",
        "server_ip",
        "server_port",
        "start",
        "host",
        "sni",
        "spool.ech_config",
        "spool.quic_server_id",
        "spool.quic_goes_on_with",
    ];

    /// None where a column is missing or has another type.
    pub fn new(batch: &'a RecordBatch) -> Option<Self> {
        let fields = Fields(batch);
        Some(Self {
            source: fields.texts("source")?,
            flow_id: fields.numbers("flow_id")?,
            client_ip: fields.texts("client_ip")?,
            server_ip: fields.texts("server_ip")?,
            server_port: fields.numbers("server_port")?,
            start: fields.numbers("start")?,
            host: fields.texts("host")?,
            sni: fields.texts("sni")?,
            ech_config: fields.numbers("spool.ech_config")?,
            server_id: fields.texts("spool.quic_server_id")?,
            goes_on_with: fields.texts("spool.quic_goes_on_with")?,
        })
    }

    pub fn get(&self, row: usize) -> OpenFlow<'a> {
        OpenFlow {
            client_ip: self.client_ip.value(row),
            sni: text(self.sni, row),
            ech_config: number(self.ech_config, row).map(i64::from),
            quic: QuicFlow {
                source: self.source.value(row),
                server_ip: self.server_ip.value(row),
                server_port: number(self.server_port, row).unwrap_or(0),
                flow_id: self.flow_id.value(row),
                start: self.start.value(row),
                server_id: text(self.server_id, row),
                goes_on_with: text(self.goes_on_with, row),
                host: text(self.host, row),
            },
        }
    }
}

/// The batch with what was told of each row.
pub fn with_told(batch: &RecordBatch, told: &[Told]) -> Result<RecordBatch, ArrowError> {
    let mut columns = batch.columns().to_vec();
    let mut replace = |name: &str, column: &dyn Fn(&ArrayRef) -> ArrayRef| -> Result<(), ArrowError> {
        let index = batch.schema().index_of(name)?;
        columns[index] = column(&columns[index]);
        Ok(())
    };
    replace("host", &|old| texts(old, told, |told| Some(told.host.as_ref()?.0.as_str())))?;
    replace("host_source", &|old| words(old, told, |told| Some(told.host.as_ref()?.1)))?;
    replace("service", &|old| texts(old, told, |told| Some(&*told.membership.as_ref()?.service)))?;
    replace("role", &|old| words(old, told, |told| told.membership.as_ref()?.role))?;
    replace("ech", &|old| words(old, told, |told| told.ech))?;
    replace("app_protocol", &|old| words(old, told, |told| told.continues.map(|_| AppProtocol::Quic)))?;
    replace("continues", &|old| {
        let old = old.as_primitive::<Int64Type>();
        Arc::new(told.iter().enumerate().map(|(row, told)| told.continues.or(number(old, row))).collect::<Int64Array>())
    })?;
    RecordBatch::try_new(batch.schema(), columns)
}

fn texts<'a>(old: &'a ArrayRef, told: &'a [Told], new: impl Fn(&'a Told) -> Option<&'a str>) -> ArrayRef {
    let old = old.as_string::<i32>();
    let value = |(row, told)| new(told).or_else(|| text(old, row));
    Arc::new(told.iter().enumerate().map(value).collect::<StringArray>())
}

/// Words are positions in their list, in the spool.
fn words<W: Word>(old: &ArrayRef, told: &[Told], new: impl Fn(&Told) -> Option<W>) -> ArrayRef {
    let old = old.as_primitive::<Int32Type>();
    let value = |(row, told): (usize, &Told)| new(told).map(word_index).or_else(|| number(old, row));
    Arc::new(told.iter().enumerate().map(value).collect::<Int32Array>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Schema;

    use crate::model::words::{Ech, HostSource, Role};
    use crate::service::Membership;
    use crate::table::{FLOWS, JUDGED_FROM, SEEN, SPOOL, added, spooled};

    /// One row of nulls and empty texts, as the spool holds it.
    fn row() -> RecordBatch {
        let lists: Vec<_> = std::iter::once(FLOWS).chain(added(false)).chain([JUDGED_FROM, SEEN, SPOOL]).collect();
        let fields: Vec<_> = lists.iter().copied().flatten().map(|column| column.spooled_field().with_nullable(true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let columns = schema.fields().iter().map(|field| arrow::array::new_null_array(field.data_type(), 1)).collect();
        assert!(lists.iter().all(|list| spooled(list, &[]).len() == list.len()));
        RecordBatch::try_new(schema, columns).expect("columns of their types")
    }

    #[test]
    fn the_columns_that_are_read_are_there() {
        let batch = row();
        assert!(OpenFlows::COLUMNS.iter().all(|name| batch.column_by_name(name).is_some()));
        assert!(OpenFlows::new(&batch).is_some());
    }

    #[test]
    fn what_was_told_stands_in_the_row_and_nothing_else_changes() {
        let batch = row();
        assert_eq!(with_told(&batch, &[Told::default()]).expect("fits"), batch);
        let told = Told {
            host: Some(("g.whatsapp.net".into(), HostSource::Dns)),
            membership: Some(Membership { service: "whatsapp".into(), role: Some(Role::Chat) }),
            ech: Some(Ech::Real),
            continues: Some(7),
        };
        let new = with_told(&batch, &[told]).expect("fits");
        let text = |name: &str| new.column_by_name(name).expect("a column").as_string::<i32>().value(0).to_string();
        assert_eq!((text("host"), text("service")), ("g.whatsapp.net".into(), "whatsapp".into()));
        let word = |name: &str| new.column_by_name(name).expect("a column").as_primitive::<Int32Type>().value(0);
        assert_eq!((word("host_source"), word("role"), word("ech")), (word_index(HostSource::Dns), word_index(Role::Chat), word_index(Ech::Real)));
        let changed = ["host", "service", "host_source", "role", "ech", "app_protocol", "continues"];
        let schema = batch.schema();
        let same = schema.fields().iter().filter(|field| !changed.contains(&field.name().as_str()));
        same.for_each(|field| assert_eq!(batch.column_by_name(field.name()), new.column_by_name(field.name()), "{}", field.name()));
    }
}
