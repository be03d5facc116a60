//! ICMP and ICMPv6: the pair of numbers that stands for ports, and the flow that an error quotes.

use crate::model::{Address, Protocol};

use super::Endpoint;
use super::ip::{self, Datagram};
use super::view::View;

/// An ICMP error, as the flow that it quotes remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    pub kind: u8,
    pub code: u8,
    /// Who sent the error: the server's host, or a router in between.
    pub from: Address,
}

pub(super) struct Message {
    /// Type and counterpart type, or code where the type has none: what community_id takes for ports.
    pub ports: (u16, u16),
    pub quote: Option<Quote>,
}

pub(super) struct Quote {
    pub protocol: Protocol,
    pub ip_version: u8,
    pub source: Endpoint,
    pub destination: Endpoint,
    pub error: IcmpError,
}

pub(super) fn message(datagram: &Datagram<'_>) -> Option<Message> {
    let &[kind, code, ..] = datagram.payload.bytes.first_chunk::<4>()?;
    let (counterpart, is_error) =
        if datagram.version == 4 { (counterpart_v4(kind), is_error_v4(kind)) } else { (counterpart_v6(kind), is_error_v6(kind)) };
    let ports = (u16::from(kind), u16::from(counterpart.unwrap_or(code)));
    let error = IcmpError { kind, code, from: datagram.source };
    let quote = if is_error { datagram.payload.bytes.get(8..).and_then(|inner| quote(inner, error)) } else { None };
    Some(Message { ports, quote })
}

/// The first bytes of the packet that caused the error: at least eight beyond its IP header (RFC 792), which hold the ports.
fn quote(inner: &[u8], error: IcmpError) -> Option<Quote> {
    let datagram = ip::datagram(View::new(inner, 0, 0))?;
    let protocol = Protocol(datagram.protocol);
    let ports = match (protocol, datagram.payload.bytes.first_chunk::<4>()) {
        (Protocol::TCP | Protocol::UDP | Protocol::SCTP, Some(&[a, b, c, d])) => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        _ => return None,
    };
    Some(Quote { protocol, ip_version: datagram.version, source: (datagram.source, ports.0), destination: (datagram.destination, ports.1), error })
}

/// RFC 792: destination unreachable, source quench, redirect, time exceeded, parameter problem.
fn is_error_v4(kind: u8) -> bool {
    matches!(kind, 3 | 4 | 5 | 11 | 12)
}

/// RFC 4443 section 2.1: types below 128 are errors.
fn is_error_v6(kind: u8) -> bool {
    kind < 128
}

/// Request and answer of one exchange, as the community_id specification pairs them.
fn counterpart_v4(kind: u8) -> Option<u8> {
    Some(match kind {
        0 => 8,
        8 => 0,
        9 => 10,
        10 => 9,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => return None,
    })
}

fn counterpart_v6(kind: u8) -> Option<u8> {
    Some(match kind {
        128 => 129,
        129 => 128,
        130 => 131,
        131 => 130,
        133 => 134,
        134 => 133,
        135 => 136,
        136 => 135,
        139 => 140,
        140 => 139,
        144 => 145,
        145 => 144,
        _ => return None,
    })
}
