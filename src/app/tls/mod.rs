//! TLS: what both sides say in clear text, message by message.
//! In:  bytes of one direction of a connection, or one whole handshake message (QUIC, DTLS).
//! Out: hellos, fingerprints, certificates, alerts ([`Message`]).
//! Promises: any segmentation and any fragmentation into records give the same; a list or string is never longer than a named limit.
//! Not here: what is encrypted, and whether an answer belongs to a question.
//!
//! Records are those of RFC 8446 section 5.1 (and RFC 5246 section 6.2.1), handshake messages those of section 4.

#[cfg(test)]
pub mod build;
mod certificate;
mod client_hello;
mod fingerprint;
mod reader;
mod records;
mod server_hello;
mod ssl2;

pub use certificate::Certificate;
pub use client_hello::{ClientHello, EchOffer, client_hello, client_hello_so_far};
pub use reader::Reader;
#[cfg(test)]
pub use server_hello::RETRY_RANDOM;
pub use server_hello::{ServerHello, server_hello};

use super::{Cursor, ParseError};

/// A message in clear text that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    ClientHello(Box<ClientHello>),
    ServerHello(ServerHello),
    /// Of the server, up to TLS 1.2.
    Certificate(Box<Certificate>),
    Alert(Alert),
}

/// What a hello travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    Tcp,
    Quic,
    Dtls,
}

/// An alert in clear text (RFC 8446 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    pub level: u8,
    pub description: u8,
}

/// What names a session (RFC 5246 section 7.4.1.2): 32 bytes at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionId {
    bytes: [u8; SessionId::BYTES_MAX],
    len: u8,
}

impl SessionId {
    const BYTES_MAX: usize = 32;

    fn read(body: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let offset = body.offset();
        Self::copy(body.block_u8("session_id")?.rest(), offset)
    }

    fn copy(bytes: &[u8], offset: usize) -> Result<Self, ParseError> {
        let mut id = Self { len: bytes.len() as u8, ..Self::default() };
        let place = id.bytes.get_mut(..bytes.len()).ok_or(ParseError::Invalid { field: "session_id", offset })?;
        place.copy_from_slice(bytes);
        Ok(id)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Handshake types (IANA, TLS HandshakeType).
pub(super) mod handshake {
    pub const CLIENT_HELLO: u8 = 1;
    pub const SERVER_HELLO: u8 = 2;
    pub const CERTIFICATE: u8 = 11;

    /// Whether messages of this type are read.
    pub fn matters(kind: u8) -> bool {
        matches!(kind, CLIENT_HELLO | SERVER_HELLO | CERTIFICATE)
    }

    /// Whether messages of this type stand in clear anywhere: not EncryptedExtensions, Finished and what follows it.
    pub fn is_clear(kind: u8) -> bool {
        const HELLO_REQUEST: u8 = 0;
        const NEW_SESSION_TICKET: u8 = 4;
        const CLIENT_KEY_EXCHANGE: u8 = 16;
        const CERTIFICATE_URL: u8 = 21;
        const SUPPLEMENTAL_DATA: u8 = 23;
        matches!(kind, HELLO_REQUEST..=SERVER_HELLO | NEW_SESSION_TICKET | CERTIFICATE..=CLIENT_KEY_EXCHANGE | CERTIFICATE_URL..=SUPPLEMENTAL_DATA)
    }
}

/// Type and length of a handshake message (RFC 8446 section 4).
const MESSAGE_HEADER_BYTES: usize = 4;

/// Reads the body of a whole message. None where it says nothing.
pub(super) fn read_body(kind: u8, body: &[u8], carrier: Carrier) -> Result<Option<Message>, ParseError> {
    // The body is whole, so a length that runs over its end is a lie: more bytes would not help.
    let lie = |error| match error {
        ParseError::Truncated { field, offset, .. } | ParseError::Invalid { field, offset } => ParseError::Invalid { field, offset },
    };
    Ok(match kind {
        handshake::CLIENT_HELLO => Some(Message::ClientHello(Box::new(ClientHello::read(body, carrier).map_err(lie)?))),
        handshake::SERVER_HELLO => Some(Message::ServerHello(ServerHello::read(body).map_err(lie)?)),
        handshake::CERTIFICATE => Certificate::read(body).map(|certificate| Message::Certificate(Box::new(certificate))),
        _ => None,
    })
}

/// The body of a message of type `kind`, its four-byte header taken off.
fn body_of(message: &[u8], kind: u8) -> Result<&[u8], ParseError> {
    let mut cursor = Cursor::new(message);
    if cursor.u8("handshake.type")? != kind {
        return Err(ParseError::Invalid { field: "handshake.type", offset: 0 });
    }
    Ok(cursor.block_u24("handshake.body")?.rest())
}

/// Extension types (IANA, TLS ExtensionType Values).
mod extension {
    pub const SERVER_NAME: u16 = 0;
    pub const SUPPORTED_GROUPS: u16 = 10;
    pub const EC_POINT_FORMATS: u16 = 11;
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const SESSION_TICKET: u16 = 35;
    pub const PRE_SHARED_KEY: u16 = 41;
    pub const EARLY_DATA: u16 = 42;
    pub const SUPPORTED_VERSIONS: u16 = 43;
    pub const KEY_SHARE: u16 = 51;
    pub const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
}

/// Whether the server took up an earlier session of this client.
///
/// TLS 1.3: it selected a pre-shared key (RFC 8446 section 4.2.11). Before: it repeats the session id that the client sent (RFC 5246 section 7.4.1.3; a
/// client with a ticket sends an id for this purpose, RFC 5077 section 3.4).
pub fn resumed(client: &ClientHello, server: &ServerHello) -> bool {
    if server.is_encrypted_from_here() {
        return server.resumes_psk;
    }
    !client.session_id.is_empty() && client.session_id == server.session_id
}

/// The name of a version as people write it.
pub fn version_name(version: u16) -> String {
    match version {
        0x0002 => "SSL 2.0".into(),
        0x0300 => "SSL 3.0".into(),
        0x0301 => "TLS 1.0".into(),
        0x0302 => "TLS 1.1".into(),
        0x0303 => "TLS 1.2".into(),
        0x0304 => "TLS 1.3".into(),
        0xfeff => "DTLS 1.0".into(),
        0xfefd => "DTLS 1.2".into(),
        0xfefc => "DTLS 1.3".into(),
        other => format!("0x{other:04x}"),
    }
}

/// RFC 8701: reserved values that say nothing.
fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// The values of a list of two-byte values, GREASE left out; a byte left over at the end is none.
fn values(list: &[u8]) -> impl Iterator<Item = u16> {
    list.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).filter(|value| !is_grease(*value))
}

#[cfg(test)]
mod tests;
