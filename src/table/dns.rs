//! `dns`: one row per transaction.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};

use super::column::{Column, NEVER_NULL, Unit, word_index};
use super::fields::{Fields, number};
use crate::infer::{Answer, Answers};
use crate::model::rows::DnsRow;
use crate::model::words::DnsTransport;

use Unit::{Count, Milliseconds, Seconds};

const NO_RESPONSE: &str = "no response was seen";

/// Columns of the table.
pub const DNS: &[Column<DnsRow>] = &[
    Column::text("source", "The capture point.", NEVER_NULL, |row| Some(&row.source)),
    Column::i64("flow_id", Unit::None, "The flow that carries it.", NEVER_NULL, |row| Some(row.flow_id)),
    Column::text("capture", "The file of its first packet.", NEVER_NULL, |row| Some(&row.capture)),
    Column::i64(
        "packet",
        Unit::None,
        "The number of that packet in its file: the query's, or the response's where the query was not captured.",
        NEVER_NULL,
        |row| Some(row.packet),
    ),
    Column::time("time", "When it passed.", NEVER_NULL, |row| Some(row.time)),
    Column::text("client_ip", "Who asked.", NEVER_NULL, |row| Some(&row.client_ip)),
    Column::text("resolver_ip", "Who was asked.", NEVER_NULL, |row| Some(&row.resolver_ip)),
    Column::word::<DnsTransport>("transport", "What carries it.", NEVER_NULL, |row| Some(word_index(row.transport))),
    Column::i32("id", "The transaction's id.", NEVER_NULL, |row| Some(row.id)),
    Column::text("qname", "The name asked for, in lower case, without the root's dot.", NEVER_NULL, |row| Some(&row.qname)),
    Column::text("qtype", "The type asked for: A, AAAA, HTTPS, or TYPE and its number.", NEVER_NULL, |row| Some(&row.qtype)),
    Column::text("rcode", "The first response's code: NOERROR, NXDOMAIN, or RCODE and its number.", NO_RESPONSE, |row| row.rcode.as_deref()),
    Column::texts("answers", "The first response's answers of the type asked for, in their order, as zone files write them.", |row| {
        texts(&row.answers)
    }),
    Column::texts("cnames", "Names that the first response leads over, in their order.", |row| texts(&row.cnames)),
    Column::i64(
        "min_ttl_s",
        Seconds,
        "The smallest time to live among the first response's answers.",
        "no response, or one without answers",
        |row| row.min_ttl_s,
    ),
    Column::f64("latency_ms", Milliseconds, "From the first query to the first response.", "no response was seen, or no query", |row| row.latency_ms),
    Column::i64("response_count", Count, "Responses to this query.", NEVER_NULL, |row| Some(row.response_count)),
    Column::bool("conflicting", "Whether two responses differ in their code or in the set of their answers.", NEVER_NULL, |row| {
        Some(row.conflicting)
    }),
    Column::text("service", "The service that the name belongs to, by the catalog.", "no entry of the catalog matches", |row| row.service.as_deref()),
    Column::i64("query_count", Count, "Times that the query was sent; 0: it was not captured.", NEVER_NULL, |row| Some(row.query_count)),
    Column::bool("truncated", "Whether the first response was cut to fit a datagram: its client asks again over TCP.", NO_RESPONSE, |row| {
        row.truncated
    }),
    Column::i32s(
        "extended_errors",
        "Codes of extended errors in the first response (RFC 8914): 15 blocked, 16 censored, 17 filtered, 18 prohibited.",
        |row| &row.extended_errors,
    ),
    Column::texts("responses", "The first 16 responses in their order: code, then answers.", |row| texts(&row.responses.says)),
    Column::i64s("response_packets", Unit::None, "The packets of the responses, by number in their file.", |row| &row.responses.packets),
    Column::texts("response_captures", "The files of these packets.", |row| row.responses.captures.iter().map(|path| &**path).collect()),
    Column::f64s(
        "response_ms",
        Milliseconds,
        "When each response came, after the first query, or after the first response where no query was captured.",
        |row| &row.responses.ms,
    ),
];

/// What names of other flows are learnt from: in the spool only.
pub const DNS_SPOOL: &[Column<DnsRow>] = &[
    Column::texts("spool.addresses", "Addresses in all responses.", |row| texts(&row.learnt.addresses)),
    Column::texts("spool.ech_names", "Public names of ECH configurations in all responses.", |row| texts(&row.learnt.ech_names)),
    Column::i32s("spool.ech_ids", "The ids of these configurations.", |row| &row.learnt.ech_ids),
    Column::bool("spool.answered_https", "HTTPS records were asked for and answered.", NEVER_NULL, |row| Some(row.learnt.answered_https)),
];

fn texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// Gives what the rows of a batch of the spool told their clients to `answers`; batches come in the order of time.
pub fn learn_answers(batch: &RecordBatch, answers: &mut Answers) -> Option<()> {
    let fields = Fields(batch);
    let (source, client_ip, qname) = (fields.texts("source")?, fields.texts("client_ip")?, fields.texts("qname")?);
    let (time, ttl) = (fields.numbers::<TimestampMicrosecondType>("time")?, fields.numbers::<Int64Type>("min_ttl_s")?);
    let (addresses, ech_names, ech_ids) = (fields.lists("spool.addresses")?, fields.lists("spool.ech_names")?, fields.lists("spool.ech_ids")?);
    let answered_https = fields.bools("spool.answered_https")?;
    for row in 0..batch.num_rows() {
        let answer = Answer {
            source: source.value(row),
            client_ip: client_ip.value(row),
            name: qname.value(row),
            time: time.value(row),
            ttl_s: number(ttl, row).unwrap_or(0),
        };
        addresses.value(row).as_string::<i32>().iter().flatten().for_each(|address| answers.learn_address(&answer, address));
        let (names, ids) = (ech_names.value(row), ech_ids.value(row));
        for (name, id) in names.as_string::<i32>().iter().zip(ids.as_primitive::<Int32Type>()) {
            if let (Some(name), Some(id)) = (name, id) {
                answers.learn_config(&answer, name, id.into());
            }
        }
        if answered_https.value(row) {
            answers.learn_https(&answer);
        }
    }
    Some(())
}
