//! Columns of `flows` that say what a flow was for: networks, hellos, certificates, HTTP, QUIC.

use super::column::{Column, Unit, word_index};

use crate::model::rows::{CertificateRow, FlowRow, HelloRow, HttpRow, QuicRow};
use crate::model::words::Ech;

const NO_HELLO: &str = "no ClientHello was read";
const NO_FINGERPRINT: &str = "no whole ClientHello of TLS was read";
const NO_SERVER_HELLO: &str = "no ServerHello was read";
const NO_CERTIFICATE: &str = "no certificate was seen in clear: from TLS 1.3 on it is encrypted";
const NO_HTTP: &str = "no HTTP in clear text, or it does not say";
const NOT_QUIC: &str = "not QUIC";

/// What a flow was for.
pub const NAMES: &[Column<FlowRow>] = &[
    Column::text(
        "client_network",
        "The network of the client: number and name by --asn-table; without the table the source, which is taken for a network of its own.",
        "the table does not hold the client's address",
        |row| row.client_network.as_deref(),
    ),
    Column::i64(
        "server_asn",
        Unit::None,
        "The number of the server's network, by --asn-table.",
        "no table, or it does not hold the address",
        |row| row.server_asn,
    ),
    Column::word::<Ech>("ech", "Whether the ClientHello hides another one.", NO_HELLO, |row| Some(word_index(hello(row)?.ech))),
    Column::text("ja3", "JA3 of the ClientHello: an MD5 over what it offers.", NO_FINGERPRINT, |row| hello(row)?.ja3.as_deref()),
    Column::text("ja4", "JA4 of the ClientHello.", NO_FINGERPRINT, |row| hello(row)?.ja4.as_deref()),
    Column::i32s("tls_versions", "Versions that the client offers, in its order.", |row| hello(row).map_or(&[], |hello| &hello.versions)),
    Column::i32s("tls_groups", "Groups for the key exchange that the client offers, in its order.", |row| {
        hello(row).map_or(&[], |hello| &hello.groups)
    }),
    Column::i32s("tls_key_shares", "Groups that the client sends a key share for, in its order.", |row| {
        hello(row).map_or(&[], |hello| &hello.key_shares)
    }),
    Column::text("tls_cipher", "The cipher suite that the server chose, as IANA numbers it.", NO_SERVER_HELLO, |row| row.server.cipher.as_deref()),
    Column::text("ja3s", "JA3S of the ServerHello.", NO_SERVER_HELLO, |row| row.server.ja3s.as_deref()),
    Column::bool("hello_retried", "Whether the server asked for another ClientHello first (HelloRetryRequest).", NO_SERVER_HELLO, |row| {
        row.server.retried
    }),
    Column::bool("tls_resumed", "Whether the server went on with an earlier session.", NO_SERVER_HELLO, |row| row.server.resumed),
    Column::text("cert_subject", "Subject of the server's certificate.", NO_CERTIFICATE, |row| Some(&certificate(row)?.subject)),
    Column::text("cert_issuer", "Issuer of the server's certificate.", NO_CERTIFICATE, |row| Some(&certificate(row)?.issuer)),
    Column::texts("cert_sans", "Names and addresses that the server's certificate is for.", |row| {
        certificate(row).map_or_else(Vec::new, |certificate| certificate.sans.iter().map(String::as_str).collect())
    }),
    Column::time("cert_not_before", "The server's certificate is valid from then.", NO_CERTIFICATE, |row| certificate(row)?.not_before),
    Column::time("cert_not_after", "The server's certificate is valid until then.", NO_CERTIFICATE, |row| certificate(row)?.not_after),
    Column::text("http_host", "The Host of the first request, as sent.", NO_HTTP, |row| http(row)?.host.as_deref()),
    Column::i32("http_status", "Status of the first response.", NO_HTTP, |row| http(row)?.status),
    Column::text("http_location", "Where the first response leads to.", NO_HTTP, |row| http(row)?.location.as_deref()),
    Column::text("http_server", "The Server that the first response names.", NO_HTTP, |row| http(row)?.server.as_deref()),
    Column::text("http_title", "The title of the page in the first response, where it is small and not compressed.", NO_HTTP, |row| {
        http(row)?.title.as_deref()
    }),
    Column::text("quic_version", "The version that the client speaks.", NOT_QUIC, |row| quic(row)?.version.as_deref()),
    Column::texts("quic_versions_offered", "Versions that the server offered instead (Version Negotiation).", |row| {
        quic(row).map_or_else(Vec::new, |quic| quic.versions_offered.iter().map(String::as_str).collect())
    }),
    Column::bool("quic_retried", "Whether the server sent a Retry.", NOT_QUIC, |row| Some(quic(row)?.retried)),
    Column::text(
        "quic_transport_parameters",
        "Transport parameters of the client in its order, name=value, joined by commas (RFC 9000 section 18).",
        "not QUIC, or its ClientHello was not read",
        |row| quic(row)?.transport_parameters.as_deref(),
    ),
    Column::i64("quic_close_code", Unit::None, "Code of a CONNECTION_CLOSE in an Initial (RFC 9000 section 20.1).", "none was seen", |row| {
        quic(row)?.close_code
    }),
    Column::text("stun_realm", "The realm that a STUN or TURN server states.", "no STUN, or none was stated", |row| row.stun_realm.as_deref()),
];

fn hello(row: &FlowRow) -> Option<&HelloRow> {
    row.hello.as_deref()
}

fn certificate(row: &FlowRow) -> Option<&CertificateRow> {
    row.server.certificate.as_deref()
}

fn http(row: &FlowRow) -> Option<&HttpRow> {
    row.http.as_deref()
}

fn quic(row: &FlowRow) -> Option<&QuicRow> {
    row.quic.as_deref()
}
