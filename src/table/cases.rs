//! Back from Arrow: the few columns of `flows` that the last step of judgement reads.

use arrow::array::{Array, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use super::fields::{Fields, number, text};
use crate::infer::Case;
use crate::model::words::*;

/// The rows of a batch as cases.
pub struct Cases<'a> {
    source: &'a StringArray,
    flow_id: &'a Int64Array,
    client_network: &'a StringArray,
    client_ip: &'a StringArray,
    server_ip: &'a StringArray,
    server_port: &'a Int32Array,
    protocol: Words<'a, Transport>,
    sni: &'a StringArray,
    http_host: &'a StringArray,
    ja4: &'a StringArray,
    start: &'a TimestampMicrosecondArray,
    tcp_state: Words<'a, TcpState>,
    handshake: &'a BooleanArray,
    syn_rtt_ms: &'a Float64Array,
    ack_rtt_ms: &'a Float64Array,
    hops: [&'a Int32Array; 2],
    icmp_type: &'a Int32Array,
    fate: Words<'a, PayloadFate>,
    outstanding: Words<'a, Outstanding>,
    s2c_rst: &'a Int64Array,
    repeats: [Repeats<'a>; 2],
    quality: &'a arrow::array::ListArray,
    exchanged: &'a BooleanArray,
    answer_owed: &'a BooleanArray,
    asked_ms: &'a Float64Array,
    waited_ms: &'a Float64Array,
    observed: &'a StringArray,
}

/// What one side sent again.
struct Repeats<'a> {
    all: &'a Int64Array,
    syn: &'a Int64Array,
    fin: &'a Int64Array,
}

impl Repeats<'_> {
    /// Packets that sent payload again: a SYN or FIN that comes again is none.
    fn of_payload(&self, row: usize) -> i64 {
        let again = |column: &Int64Array| count(column, row).saturating_sub(1).max(0);
        (count(self.all, row) - again(self.syn) - again(self.fin)).max(0)
    }
}

/// A column of words, as the spool holds it.
pub(super) struct Words<'a, W> {
    positions: &'a Int32Array,
    _words: std::marker::PhantomData<W>,
}

impl<'a, W: Word> Words<'a, W> {
    pub(super) fn get(&self, row: usize) -> Option<W> {
        W::ALL.get(number(self.positions, row)? as usize).copied()
    }
}

impl<'a> Cases<'a> {
    /// The columns that are read.
    pub const COLUMNS: &'static [&'static str] = &[
        "source",
        "flow_id",
        "client_network",
        "client_ip",
        "server_ip",
        "server_port",
        "protocol",
        "sni",
        "http_host",
        "ja4",
        "start",
        "tcp_state",
        "handshake",
        "syn_rtt_ms",
        "ack_rtt_ms",
        "c2s_hops",
        "s2c_hops",
        "icmp_type",
        "first_payload_fate",
        "outstanding",
        "s2c_rst",
        "c2s_retransmits",
        "c2s_syn",
        "c2s_fin",
        "s2c_retransmits",
        "s2c_syn",
        "s2c_fin",
        "quality",
        "exchanged",
        "answer_owed",
        "asked_ms",
        "waited_ms",
        "observed",
    ];

    /// None where a column is missing or has another type: the batch is no `flows` of ours.
    pub fn new(batch: &'a RecordBatch) -> Option<Self> {
        let fields = Fields(batch);
        let (texts, counts, times) = (|name| fields.texts(name), |name| fields.numbers(name), |name| fields.numbers(name));
        Some(Self {
            source: texts("source")?,
            flow_id: counts("flow_id")?,
            client_network: texts("client_network")?,
            client_ip: texts("client_ip")?,
            server_ip: texts("server_ip")?,
            server_port: fields.numbers("server_port")?,
            protocol: words(fields, "protocol")?,
            sni: texts("sni")?,
            http_host: texts("http_host")?,
            ja4: texts("ja4")?,
            start: fields.numbers("start")?,
            tcp_state: words(fields, "tcp_state")?,
            handshake: fields.bools("handshake")?,
            syn_rtt_ms: times("syn_rtt_ms")?,
            ack_rtt_ms: times("ack_rtt_ms")?,
            hops: [fields.numbers("c2s_hops")?, fields.numbers("s2c_hops")?],
            icmp_type: fields.numbers("icmp_type")?,
            fate: words(fields, "first_payload_fate")?,
            outstanding: words(fields, "outstanding")?,
            s2c_rst: counts("s2c_rst")?,
            repeats: [
                Repeats { all: counts("c2s_retransmits")?, syn: counts("c2s_syn")?, fin: counts("c2s_fin")? },
                Repeats { all: counts("s2c_retransmits")?, syn: counts("s2c_syn")?, fin: counts("s2c_fin")? },
            ],
            quality: fields.lists("quality")?,
            exchanged: fields.bools("exchanged")?,
            answer_owed: fields.bools("answer_owed")?,
            asked_ms: times("asked_ms")?,
            waited_ms: times("waited_ms")?,
            observed: texts("observed")?,
        })
    }

    pub fn get(&self, row: usize) -> Case<'a> {
        Case {
            source: self.source.value(row),
            flow_id: self.flow_id.value(row),
            client_network: text(self.client_network, row),
            client_ip: self.client_ip.value(row),
            server_ip: self.server_ip.value(row),
            server_port: number(self.server_port, row).unwrap_or(0),
            transport: self.protocol.get(row).unwrap_or(Transport::Other),
            sni: text(self.sni, row),
            http_host: text(self.http_host, row),
            ja4: text(self.ja4, row),
            start: self.start.value(row),
            tcp_state: self.tcp_state.get(row),
            handshake: !self.handshake.is_null(row) && self.handshake.value(row),
            syn_rtt_ms: number(self.syn_rtt_ms, row),
            ack_rtt_ms: number(self.ack_rtt_ms, row),
            c2s_hops: number(self.hops[0], row),
            s2c_hops: number(self.hops[1], row),
            icmp_error: self.icmp_type.is_valid(row),
            fate: self.fate.get(row),
            outstanding: self.outstanding.get(row),
            s2c_rst: count(self.s2c_rst, row),
            payload_repeats: self.repeats.iter().map(|repeats| repeats.of_payload(row)).sum(),
            gates: self.gates(row),
            exchanged: self.exchanged.value(row),
            answer_owed: self.answer_owed.value(row),
            waited: number(self.asked_ms, row).map(|asked| self.waited(row, asked)),
            observed: text(self.observed, row).and_then(|observed| serde_json::from_str(observed).ok()).unwrap_or_default(),
        }
    }

    /// The columns hold whole microseconds.
    fn waited(&self, row: usize, asked_ms: f64) -> (i64, i64) {
        let micros = |ms: f64| (ms * 1e3).round() as i64;
        let asked = self.start.value(row).saturating_add(micros(asked_ms));
        (asked, asked.saturating_add(micros(self.waited_ms.value(row))))
    }

    fn gates(&self, row: usize) -> Vec<Gate> {
        let list = self.quality.value(row);
        let texts = list.as_string_opt::<i32>();
        texts.into_iter().flat_map(|texts| texts.iter().flatten().filter_map(Gate::from_word).collect::<Vec<_>>()).collect()
    }
}

fn count(column: &Int64Array, row: usize) -> i64 {
    number(column, row).unwrap_or(0)
}

pub(super) fn words<'a, W: Word>(fields: Fields<'a>, name: &str) -> Option<Words<'a, W>> {
    Some(Words { positions: fields.numbers(name)?, _words: std::marker::PhantomData })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::datatypes::Schema;

    use crate::table::{ADDED, FLOWS, JUDGED_FROM, NAMES, spooled};

    #[test]
    fn the_columns_that_are_read_are_all_that_cases_need() {
        let fields: Vec<_> = FLOWS.iter().chain(ADDED).chain(NAMES).chain(JUDGED_FROM).map(|column| column.spooled_field()).collect();
        let columns = [spooled(FLOWS, &[]), spooled(ADDED, &[]), spooled(NAMES, &[]), spooled(JUDGED_FROM, &[])].concat();
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of their types");
        let positions = |names: &[&str]| names.iter().map(|name| rows.schema().index_of(name).expect("a column")).collect::<Vec<_>>();
        assert!(Cases::new(&rows.project(&positions(Cases::COLUMNS)).expect("a part")).is_some());
        for missing in 0..Cases::COLUMNS.len() {
            let others = [&Cases::COLUMNS[..missing], &Cases::COLUMNS[missing + 1..]].concat();
            assert!(Cases::new(&rows.project(&positions(&others)).expect("a part")).is_none(), "{} is read for nothing", Cases::COLUMNS[missing]);
        }
    }
}
