//! The certificate that a server shows up to TLS 1.2 (RFC 5246 section 7.4.2, RFC 5280).

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

use super::Cursor;

/// Who the server says it is: the first certificate of its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// As `C=US, O=Example, CN=www.example.com`, in the order of the certificate; cut where it is very long.
    pub subject: String,
    pub issuer: String,
    /// Host names and addresses of subjectAltName.
    pub sans: Vec<String>,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    /// Certificates in the message.
    pub chain_length: u32,
}

/// Names of people and firms fit (RFC 5280 appendix A.1 allows 64 letters each to most parts).
const NAME_BYTES_MAX: usize = 512;
/// More names than this are a shared host's.
const SANS_MAX: usize = 64;
/// A host name (RFC 1035 section 2.3.4).
const SAN_BYTES_MAX: usize = 255;

impl Certificate {
    /// Reads the body of a whole message. None where the first certificate is missing or damaged: a server that shows a broken one has still said the rest.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut list = Cursor::new(body).block_u24("certificate.list").ok()?;
        let leaf = list.block_u24("certificate.data").ok()?.rest();
        let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
        let mut chain_length = 1;
        while list.block_u24("certificate.data").is_ok() {
            chain_length += 1;
        }
        Some(Self {
            subject: name(leaf.subject()),
            issuer: name(leaf.issuer()),
            sans: sans(&leaf),
            not_before: leaf.validity().not_before.timestamp(),
            not_after: leaf.validity().not_after.timestamp(),
            chain_length,
        })
    }
}

fn name(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    for attribute in name.iter_attributes() {
        let comma = if text.is_empty() { "" } else { ", " };
        let value = value(attribute.attr_value());
        let _infallible = match oid2abbrev(attribute.attr_type(), oid_registry()) {
            Ok(kind) => write!(text, "{comma}{kind}={value}"),
            Err(_) => write!(text, "{comma}{}={value}", attribute.attr_type()),
        };
        if text.len() > NAME_BYTES_MAX {
            break;
        }
    }
    let end = (0..=NAME_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
    text
}

/// The text of an attribute (RFC 5280 section 4.1.2.4). Old certificates call text of any encoding a T61String: what is no UTF-8 is replaced.
fn value(value: &Any<'_>) -> String {
    if value.tag() == Tag::BmpString {
        let units = value.data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        return char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    }
    String::from_utf8_lossy(value.data).into_owned()
}

fn sans(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    extension.value.general_names.iter().filter_map(san).take(SANS_MAX).collect()
}

fn san(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) if name.len() <= SAN_BYTES_MAX => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    }
}

/// Four or sixteen bytes (RFC 5280 section 4.2.1.6).
fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).to_string());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).to_string())).ok()
}
