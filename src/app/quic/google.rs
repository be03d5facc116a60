//! Google QUIC with its own crypto (Q024 to Q050): the client's hello in clear, or under Initial keys since Q050.
//!
//! From Google's "QUIC Wire Layout Specification" and "QUIC Crypto", and from draft-hamilton-early-deployment-quic-00.

use super::version::Version;
use super::{Chlo, ConnectionId};
use crate::app::{Cursor, ParseError};

/// What stands in front of a packet's frames.
#[derive(Clone, Debug)]
pub enum Packet<'a> {
    /// The client says which version it speaks.
    Client { version: Version, id: ConnectionId, frames: Cursor<'a> },
    /// The server says which ones it speaks instead.
    Negotiation { id: ConnectionId, versions: Vec<u32> },
}

/// Public flags of the header until Q043.
mod flag {
    pub const VERSION: u8 = 0x01;
    pub const RESET: u8 = 0x02;
    pub const CONNECTION_ID: u8 = 0x08;
    pub const PACKET_NUMBER: u8 = 0x30;
    pub const MULTIPATH: u8 = 0x40;
    pub const RESERVED: u8 = 0x80;
}

const ID_BYTES: usize = 8;
/// Stands where later the tag is, while nothing is encrypted.
const HASH_BYTES: usize = 12;
/// Since Q034 there are no private flags behind the hash.
const WITHOUT_PRIVATE_FLAGS: u8 = 34;
/// Since Q039 numbers are big endian.
const BIG_ENDIAN: u8 = 39;
/// The last one with public flags.
const PUBLIC_FLAGS_LAST: u8 = 43;
/// Q046: long form, fixed bit, type Initial; the last two bits are the length of the packet number.
const Q046_INITIAL: u8 = 0xc0;
/// Q046: a connection id of 8 bytes for the server, none for the client.
const Q046_ID_LENGTHS: u8 = 0x50;
const VERSIONS_MAX: usize = 32;
const TAGS_MAX: u16 = 128;
const VALUE_BYTES_MAX: usize = 255;

impl<'a> Packet<'a> {
    /// Reads a datagram that names a version of Google's.
    pub fn read(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(datagram);
        match cursor.u8("quic.first")? {
            first if first & 0xfc == Q046_INITIAL => q046(first, cursor),
            flags => public_header(flags, cursor),
        }
    }
}

fn q046(first: u8, mut cursor: Cursor<'_>) -> Result<Packet<'_>, ParseError> {
    let version = Version(cursor.u32("quic.version")?);
    let lengths = cursor.u8("quic.connection_id_lengths")?;
    if version != Version::Q046 || lengths != Q046_ID_LENGTHS {
        return Err(ParseError::Invalid { field: "quic.version", offset: 1 });
    }
    let id = connection_id(&mut cursor)?;
    cursor.take(usize::from(first & 0x03) + 1, "quic.packet_number")?;
    cursor.take(HASH_BYTES, "quic.hash")?;
    Ok(Packet::Client { version, id, frames: cursor })
}

fn public_header(flags: u8, mut cursor: Cursor<'_>) -> Result<Packet<'_>, ParseError> {
    let wanted = flag::VERSION | flag::CONNECTION_ID;
    if flags & (wanted | flag::RESET | flag::MULTIPATH | flag::RESERVED) != wanted {
        return Err(ParseError::Invalid { field: "quic.public_flags", offset: 0 });
    }
    let id = connection_id(&mut cursor)?;
    if let Some(versions) = versions(cursor.clone()) {
        return Ok(Packet::Negotiation { id, versions });
    }
    let version = Version(cursor.u32("quic.version")?);
    let Some(number) = version.google().filter(|number| *number <= PUBLIC_FLAGS_LAST) else {
        return Err(ParseError::Invalid { field: "quic.version", offset: 9 });
    };
    let packet_number = [1, 2, 4, 6][usize::from((flags & flag::PACKET_NUMBER) >> 4)];
    cursor.take(packet_number + HASH_BYTES, "quic.packet_number")?;
    if number < WITHOUT_PRIVATE_FLAGS {
        const IN_FEC_GROUP: u8 = 0x02;
        if cursor.u8("quic.private_flags")? & IN_FEC_GROUP != 0 {
            cursor.u8("quic.fec_group")?;
        }
    }
    Ok(Packet::Client { version, id, frames: cursor })
}

/// A list of versions up to the end of the datagram, and nothing else.
fn versions(mut cursor: Cursor<'_>) -> Option<Vec<u32>> {
    let mut versions = Vec::new();
    while !cursor.is_empty() {
        let version = cursor.u32("quic.version").ok()?;
        let known = Version(version).is_known() || Version(version).is_reserved();
        if !known || versions.len() == VERSIONS_MAX {
            return None;
        }
        versions.push(version);
    }
    (!versions.is_empty()).then_some(versions)
}

fn connection_id(cursor: &mut Cursor<'_>) -> Result<ConnectionId, ParseError> {
    let offset = cursor.offset();
    ConnectionId::new(cursor.take(ID_BYTES, "quic.connection_id")?).ok_or(ParseError::Invalid { field: "quic.connection_id", offset })
}

/// A piece of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    pub offset: u64,
    pub data: &'a [u8],
}

/// The pieces of the handshake among frames of a version up to Q046 (stream 1), or of Q050 (CRYPTO frames).
pub struct Pieces<'a> {
    cursor: Cursor<'a>,
    version: Version,
}

/// Frame types of Google's.
mod frame {
    pub const STREAM: u8 = 0x80;
    pub const DATA_LENGTH: u8 = 0x20;
    pub const PADDING: u8 = 0x00;
    pub const PING: u8 = 0x07;
    pub const CRYPTO: u8 = 0x08;
}

const HANDSHAKE_STREAM: u64 = 1;

impl<'a> Pieces<'a> {
    pub fn new(version: Version, frames: Cursor<'a>) -> Self {
        Self { cursor: frames, version }
    }

    fn piece(&mut self) -> Result<Piece<'a>, ParseError> {
        loop {
            let offset = self.cursor.offset();
            match self.cursor.u8("frame.type")? {
                frame::PADDING | frame::PING => {}
                frame::CRYPTO => {
                    let offset = self.cursor.varint("crypto.offset")?;
                    let len = self.cursor.varint("crypto.length")?;
                    return Ok(Piece { offset, data: self.cursor.take(usize::try_from(len).unwrap_or(usize::MAX), "crypto.data")? });
                }
                kind if kind & frame::STREAM != 0 => {
                    if let Some(piece) = self.stream(kind)? {
                        return Ok(piece);
                    }
                }
                _ => return Err(ParseError::Invalid { field: "frame.type", offset }),
            }
        }
    }

    /// A STREAM frame, whose type is 1fdoooss: end, length given, bytes of the offset, bytes of the stream's number less one.
    fn stream(&mut self, kind: u8) -> Result<Option<Piece<'a>>, ParseError> {
        let stream = self.number(usize::from(kind & 0x03) + 1)?;
        let offset = match usize::from((kind >> 2) & 0x07) {
            0 => 0,
            len => self.number(len + 1)?,
        };
        let len = if kind & frame::DATA_LENGTH == 0 { self.cursor.rest().len() } else { self.number(2)? as usize };
        let data = self.cursor.take(len, "stream.data")?;
        Ok((stream == HANDSHAKE_STREAM).then_some(Piece { offset, data }))
    }

    fn number(&mut self, len: usize) -> Result<u64, ParseError> {
        let bytes = self.cursor.take(len, "frame.number")?;
        let join = |number, &byte: &u8| number << 8 | u64::from(byte);
        let big_endian = self.version.google().is_some_and(|number| number >= BIG_ENDIAN);
        Ok(if big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        self.piece().ok()
    }
}

/// A client hello at the start of the handshake: its tag, how many values it has, where each of them ends, and the values.
/// Truncated while not all of it is there.
pub fn client_hello(handshake: &[u8]) -> Result<Chlo, ParseError> {
    let mut index = Cursor::new(handshake);
    if index.take(4, "chlo.tag")? != b"CHLO" {
        return Err(ParseError::Invalid { field: "chlo.tag", offset: 0 });
    }
    let count = index.u16_le("chlo.count")?;
    if count > TAGS_MAX {
        return Err(ParseError::Invalid { field: "chlo.count", offset: 4 });
    }
    index.u16_le("chlo.padding")?;
    let mut values = index.clone();
    values.take(usize::from(count) * 8, "chlo.index")?;
    let mut hello = Chlo::default();
    let mut start = 0;
    for _ in 0..count {
        let (tag, offset) = (index.take(4, "chlo.tag")?, index.offset());
        let end = index.u32_le("chlo.end")?;
        let len = end.checked_sub(start).ok_or(ParseError::Invalid { field: "chlo.end", offset })?;
        hello.set(tag, values.take(len as usize, "chlo.value")?);
        start = end;
    }
    Ok(hello)
}

impl Chlo {
    fn set(&mut self, tag: &[u8], value: &[u8]) {
        let text = || (!value.is_empty() && value.len() <= VALUE_BYTES_MAX).then(|| String::from_utf8_lossy(value).into_owned());
        match tag {
            b"SNI\0" => self.sni = text(),
            b"UAID" => self.user_agent = text(),
            b"ALPN" => self.alpn = text(),
            b"VER\0" => self.version = value.first_chunk().map(|version| u32::from_be_bytes(*version)),
            _ => {}
        }
    }
}
