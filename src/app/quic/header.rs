//! Long headers (RFC 9000 section 17.2, RFC 8999 section 5.1; types of version 2: RFC 9369 section 3.2).

use super::ConnectionId;
use super::keys::{SAMPLE_BYTES, TAG_BYTES};
use super::version::Version;
use crate::app::{Cursor, ParseError};

const LONG_FORM: u8 = 0x80;
pub const FIXED_BIT: u8 = 0x40;
/// Versions of a Version Negotiation packet that are kept.
const VERSIONS_MAX: usize = 32;
/// A client pads datagrams with an Initial to this size (RFC 9000 section 14.1).
const INITIAL_DATAGRAM_BYTES: usize = 1_200;
/// A client's first destination has at least this length (RFC 9000 section 7.2).
const FIRST_DESTINATION_BYTES: usize = 8;

/// A packet with a long header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Long<'a> {
    pub first: u8,
    pub version: Version,
    pub destination: ConnectionId,
    pub source: ConnectionId,
    pub body: Body<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    Initial(Protected<'a>),
    /// Nothing in it can be opened, as in the next.
    ZeroRtt,
    Handshake,
    Retry,
    Negotiation(Vec<u32>),
    /// Of a version whose layout is not known, or cut off.
    Opaque,
}

/// A packet under protection: all of its bytes, and where its packet number begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protected<'a> {
    pub bytes: &'a [u8],
    pub number_at: usize,
}

/// Whether a datagram may begin with a long header.
pub fn is_long(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first & LONG_FORM != 0)
}

impl<'a> Long<'a> {
    /// Reads the packet at the front of a datagram and says where the next one begins (RFC 9000 section 12.2).
    pub fn read(datagram: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let mut cursor = Cursor::new(datagram);
        let first = cursor.u8("quic.first")?;
        if first & LONG_FORM == 0 {
            return Err(ParseError::Invalid { field: "quic.form", offset: 0 });
        }
        let version = Version(cursor.u32("quic.version")?);
        let destination = connection_id(&mut cursor)?;
        let source = connection_id(&mut cursor)?;
        let (body, rest) = body(first, version, datagram, cursor)?;
        Ok((Self { first, version, destination, source, body }, rest))
    }

    /// Nothing but QUIC looks like this: the version is known and the rest agrees. A packet of version 1 or 2 may leave out the fixed bit (RFC 9287);
    /// then only opening it proves what it is.
    pub fn is_recognised(&self, datagram: &[u8]) -> bool {
        let fixed = self.first & FIXED_BIT != 0;
        match &self.body {
            Body::Negotiation(versions) => versions.iter().any(|&version| Version(version).is_known()),
            _ if self.version.is_known() => fixed,
            _ => fixed && self.is_padded_initial(datagram),
        }
    }

    /// A first datagram of a version that nobody knows yet, or of none (RFC 9000 section 15): laid out as in version 1 to its last byte.
    fn is_padded_initial(&self, datagram: &[u8]) -> bool {
        if datagram.len() < INITIAL_DATAGRAM_BYTES || self.destination.len() < FIRST_DESTINATION_BYTES {
            return false;
        }
        let mut cursor = Cursor::new(datagram);
        let header = 7 + self.destination.len() + self.source.len();
        let fits = cursor.take(header, "quic.header").and_then(|_| protected(datagram, cursor, true));
        fits.is_ok_and(|(_, rest)| rest.iter().all(|&byte| byte == 0) || Long::read(rest).is_ok_and(|(next, _)| next.version == self.version))
    }
}

fn connection_id(cursor: &mut Cursor<'_>) -> Result<ConnectionId, ParseError> {
    let offset = cursor.offset();
    let id = cursor.block_u8("quic.connection_id")?;
    ConnectionId::new(id.rest()).ok_or(ParseError::Invalid { field: "quic.connection_id", offset })
}

fn body<'a>(first: u8, version: Version, datagram: &'a [u8], mut cursor: Cursor<'a>) -> Result<(Body<'a>, &'a [u8]), ParseError> {
    if version == Version::NEGOTIATION {
        return Ok((Body::Negotiation(versions(&mut cursor)?), &[]));
    }
    if version.secrets().is_empty() {
        return Ok((Body::Opaque, &[]));
    }
    let kind = match (first >> 4) & 0x03 {
        kind if version == Version::V2 => (kind + 3) % 4,
        kind => kind,
    };
    if kind == 3 {
        return Ok((Body::Retry, &[]));
    }
    match protected(datagram, cursor, kind == 0) {
        Ok((packet, rest)) if kind == 0 => Ok((Body::Initial(packet), rest)),
        Ok((_, rest)) => Ok((if kind == 1 { Body::ZeroRtt } else { Body::Handshake }, rest)),
        // What the capture cut off is still a packet of this version.
        Err(ParseError::Truncated { .. }) => Ok((Body::Opaque, &[])),
        Err(error) => Err(error),
    }
}

/// Behind the connection ids: the token of an Initial, the length, and as many bytes, which hold packet number, sample and tag.
fn protected<'a>(datagram: &'a [u8], mut cursor: Cursor<'a>, has_token: bool) -> Result<(Protected<'a>, &'a [u8]), ParseError> {
    if has_token {
        let token = cursor.varint("quic.token_length")?;
        cursor.take(usize::try_from(token).unwrap_or(usize::MAX), "quic.token")?;
    }
    let offset = cursor.offset();
    let len = usize::try_from(cursor.varint("quic.length")?).unwrap_or(usize::MAX);
    if len < SAMPLE_BYTES.max(TAG_BYTES) + 4 {
        return Err(ParseError::Invalid { field: "quic.length", offset });
    }
    let number_at = cursor.offset();
    cursor.take(len, "quic.payload")?;
    let (bytes, rest) = datagram.split_at(number_at + len);
    Ok((Protected { bytes, number_at }, rest))
}

/// RFC 9000 section 17.2.1.
fn versions(cursor: &mut Cursor<'_>) -> Result<Vec<u32>, ParseError> {
    if !cursor.rest().len().is_multiple_of(4) {
        return Err(ParseError::Invalid { field: "quic.versions", offset: cursor.offset() });
    }
    let mut versions = Vec::new();
    while !cursor.is_empty() && versions.len() < VERSIONS_MAX {
        versions.push(cursor.u32("quic.version")?);
    }
    Ok(versions)
}
