//! Back from Arrow: the columns of `flows` that say where a flow belongs among the targets.

use arrow::array::{RecordBatch, StringArray, TimestampMicrosecondArray};

use super::cases::{Words, words};
use super::fields::{Fields, text};
use crate::infer::Place;
use crate::model::words::Transport;

/// The rows of a batch as places.
pub struct Places<'a> {
    service: &'a StringArray,
    host: &'a StringArray,
    server_ip: &'a StringArray,
    transport: Words<'a, Transport>,
    client_network: &'a StringArray,
    start: &'a TimestampMicrosecondArray,
}

impl<'a> Places<'a> {
    /// None where a column is missing or has another type.
    pub fn new(batch: &'a RecordBatch) -> Option<Self> {
        let fields = Fields(batch);
        Some(Self {
            service: fields.texts("service")?,
            host: fields.texts("host")?,
            server_ip: fields.texts("server_ip")?,
            transport: words(fields, "protocol")?,
            client_network: fields.texts("client_network")?,
            start: fields.numbers("start")?,
        })
    }

    pub fn get(&self, row: usize) -> Place<'a> {
        Place {
            service: text(self.service, row),
            host: text(self.host, row),
            server_ip: self.server_ip.value(row),
            transport: self.transport.get(row).unwrap_or(Transport::Other),
            client_network: text(self.client_network, row),
            start: self.start.value(row),
        }
    }
}
