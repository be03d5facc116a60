//! Rows of `flows` or `dns` as another catalog names them.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::error::ArrowError;

use super::cases::{Words, words};
use super::column::word_index;
use super::fields::{Fields, missing, number, text};
use crate::model::Side;
use crate::model::words::{HostSource, Transport};
use crate::service::{Catalog, Clues, Membership};

/// The batch with services and roles by the catalog. What only payload told (host_source `wire`) stays as it was: tables hold no payload.
pub fn with_services(batch: &RecordBatch, catalog: &Catalog) -> Result<RecordBatch, ArrowError> {
    if batch.column_by_name("qname").is_some() { with_services_of_names(batch, catalog) } else { with_services_of_flows(batch, catalog) }
}

fn with_services_of_names(batch: &RecordBatch, catalog: &Catalog) -> Result<RecordBatch, ArrowError> {
    let names = Fields(batch).texts("qname").ok_or_else(|| missing("qname"))?;
    let service = |row| Some(catalog.by_host(text(names, row)?.trim_end_matches('.'))?.service.to_string());
    let services: StringArray = (0..batch.num_rows()).map(service).collect();
    replaced(batch, vec![("service", Arc::new(services))])
}

fn with_services_of_flows(batch: &RecordBatch, catalog: &Catalog) -> Result<RecordBatch, ArrowError> {
    let flows = Flows::new(batch).ok_or_else(|| missing("service"))?;
    let named: Vec<Named> = (0..batch.num_rows()).map(|row| flows.named(row, catalog)).collect();
    let services: StringArray = named.iter().map(|named| named.service.as_deref()).collect();
    let roles: Int32Array = named.iter().map(|named| named.role).collect();
    let sources: Int32Array = named.iter().map(|named| named.source.map(word_index)).collect();
    replaced(batch, vec![("service", Arc::new(services)), ("role", Arc::new(roles)), ("host_source", Arc::new(sources))])
}

/// What a row says of its service.
struct Named {
    service: Option<String>,
    /// By position.
    role: Option<i32>,
    source: Option<HostSource>,
}

impl Named {
    fn new(member: Option<Membership>, source: Option<HostSource>) -> Self {
        let role = member.as_ref().and_then(|member| member.role).map(word_index);
        Self { service: member.map(|member| member.service.to_string()), role, source }
    }
}

/// The columns of `flows` that tell what a flow is for.
struct Flows<'a> {
    host: &'a StringArray,
    host_source: Words<'a, HostSource>,
    protocol: Words<'a, Transport>,
    server_ip: &'a StringArray,
    server_port: &'a Int32Array,
    service: &'a StringArray,
    role: &'a Int32Array,
}

impl<'a> Flows<'a> {
    fn new(batch: &'a RecordBatch) -> Option<Self> {
        let fields = Fields(batch);
        Some(Self {
            host: fields.texts("host")?,
            host_source: words(fields, "host_source")?,
            protocol: words(fields, "protocol")?,
            server_ip: fields.texts("server_ip")?,
            server_port: fields.numbers("server_port")?,
            service: fields.texts("service")?,
            role: fields.numbers("role")?,
        })
    }

    /// By the catalog, where a name or an address tells; else as it was where payload told.
    fn named(&self, row: usize, catalog: &Catalog) -> Named {
        let source = self.host_source.get(row);
        let by_name = text(self.host, row).map(|host| catalog.by_host(host));
        match (by_name, source) {
            (Some(Some(member)), _) => Named::new(Some(member), source),
            (_, Some(HostSource::Wire)) => Named { service: text(self.service, row).map(Into::into), role: number(self.role, row), source },
            (Some(None), _) => Named::new(None, source),
            (None, _) => {
                let named = self.clues(row).map(|clues| catalog.name(&clues)).unwrap_or_default();
                Named::new(named.membership, named.host_source)
            }
        }
    }

    fn clues(&self, row: usize) -> Option<Clues<'static>> {
        let server: IpAddr = self.server_ip.value(row).parse().ok()?;
        let server_port = u16::try_from(number(self.server_port, row)?).ok()?;
        let transport = self.protocol.get(row)?;
        Some(Clues { name: None, server, server_port, client: Side::Low, transport, alpn: &[], recognised: &[], heads: None, stun: None })
    }
}

/// The batch with some of its columns changed.
fn replaced(batch: &RecordBatch, new: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    let mut columns = batch.columns().to_vec();
    for (name, column) in new {
        columns[batch.schema().index_of(name)?] = column;
    }
    RecordBatch::try_new(batch.schema(), columns)
}
