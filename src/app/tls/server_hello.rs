//! ServerHello and HelloRetryRequest (RFC 8446 sections 4.1.3 and 4.1.4, RFC 5246 section 7.4.1.3).

use super::fingerprint::ja3s;
use super::{Cursor, ParseError, SessionId, body_of, extension, handshake};

/// What the server chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerHello {
    /// Selected: of supported_versions where it is there.
    pub version: u16,
    pub legacy_version: u16,
    pub cipher: u16,
    /// A HelloRetryRequest: a second ClientHello is to follow.
    pub is_retry: bool,
    /// Of key_share.
    pub group: Option<u16>,
    /// TLS 1.3 tells it encrypted.
    pub alpn: Option<String>,
    /// Repeats the client's where a session of TLS 1.2 is resumed, and always in TLS 1.3.
    pub session_id: SessionId,
    /// Selects a pre-shared key (TLS 1.3).
    pub resumes_psk: bool,
    pub ja3s: [u8; 16],
}

/// SHA-256 of "HelloRetryRequest", in place of a random (RFC 8446 section 4.1.3).
pub const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e,
    0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];
/// Longer protocol names than any registered one say nothing more (IANA, TLS ALPN Protocol IDs).
const ALPN_BYTES_MAX: usize = 64;

/// Reads a whole ServerHello message, its four-byte header included.
pub fn server_hello(message: &[u8]) -> Result<ServerHello, ParseError> {
    ServerHello::read(body_of(message, handshake::SERVER_HELLO)?)
}

impl ServerHello {
    /// Whether what the server sends behind this message is encrypted (RFC 8446 section 2).
    pub fn is_encrypted_from_here(&self) -> bool {
        (self.version != self.legacy_version || is_draft(self.version)) && !self.is_retry
    }

    /// Reads the body of a whole message.
    pub(super) fn read(body: &[u8]) -> Result<Self, ParseError> {
        let mut body = Cursor::new(body);
        let legacy_version = body.u16("server_hello.version")?;
        let is_retry = body.take(32, "server_hello.random")? == RETRY_RANDOM;
        let is_short = is_draft(legacy_version);
        let session_id = if is_short { SessionId::default() } else { SessionId::read(&mut body)? };
        let cipher = body.u16("server_hello.cipher_suite")?;
        if !is_short {
            body.u8("server_hello.compression_method")?;
        }
        let mut hello = Self { version: legacy_version, legacy_version, cipher, is_retry, session_id, ..Self::default() };
        let kinds = hello.read_extensions(&mut body)?;
        hello.ja3s = ja3s(legacy_version, cipher, &kinds);
        Ok(hello)
    }

    /// The types of all extensions.
    fn read_extensions(&mut self, body: &mut Cursor<'_>) -> Result<Vec<u16>, ParseError> {
        let mut kinds = Vec::new();
        if body.is_empty() {
            return Ok(kinds);
        }
        let mut extensions = body.block_u16("server_hello.extensions")?;
        while !extensions.is_empty() {
            let kind = extensions.u16("extension.type")?;
            let mut content = extensions.block_u16("extension.content")?;
            let _tells_nothing = self.read_extension(kind, &mut content);
            kinds.push(kind);
        }
        Ok(kinds)
    }

    fn read_extension(&mut self, kind: u16, content: &mut Cursor<'_>) -> Result<(), ParseError> {
        match kind {
            extension::SUPPORTED_VERSIONS => self.version = content.u16("supported_versions.selected")?,
            extension::KEY_SHARE => self.group = Some(content.u16("key_share.group")?),
            extension::PRE_SHARED_KEY => self.resumes_psk = true,
            extension::ALPN => {
                let name = content.block_u16("alpn.list")?.block_u8("alpn.name")?.rest();
                self.alpn = (name.len() <= ALPN_BYTES_MAX).then(|| String::from_utf8_lossy(name).into_owned());
            }
            _ => {}
        }
        Ok(())
    }
}

/// A draft of TLS 1.3. Before the 22nd it stood in legacy_version, and session id and compression method were left out (draft-ietf-tls-tls13-21 section 4.1.3).
fn is_draft(version: u16) -> bool {
    version >> 8 == 0x7f
}
