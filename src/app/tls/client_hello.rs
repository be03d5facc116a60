//! ClientHello (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2).
//!
//! An extension whose content breaks its own rules tells nothing and hides nothing else. A hello that was cut off still yields what stands before the cut.

use super::fingerprint::Offer;
use super::{Carrier, Cursor, MESSAGE_HEADER_BYTES, ParseError, SessionId, body_of, extension, handshake, is_grease, values};

/// What a client offers. Lists are in the order sent, GREASE left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// As sent, in bytes that anyone may have chosen; what is no UTF-8 is replaced.
    pub sni: Option<String>,
    pub alpn: Vec<String>,
    pub legacy_version: u16,
    /// The newest version offered.
    pub version: u16,
    /// Of supported_versions; empty before TLS 1.3.
    pub versions: Vec<u16>,
    pub groups: Vec<u16>,
    /// Groups of key_share.
    pub key_shares: Vec<u16>,
    pub ech: Option<EchOffer>,
    pub session_id: SessionId,
    /// Asks for an earlier session: a pre-shared key, a ticket, or a session id where TLS 1.3 is not offered (there it means nothing: RFC 8446 appendix D.4).
    pub resumes: bool,
    pub early_data: bool,
    /// None of a hello that was cut off before it, or of a hello of SSLv2 style (RFC 5246 appendix E.2), which has no random of 32 bytes.
    pub random: Option<[u8; 32]>,
    /// None of a hello that was cut off, or of SSLv2 style: it is not defined there.
    pub ja3: Option<[u8; 16]>,
    /// As `ja3`.
    pub ja4: Option<String>,
    /// Length of the handshake message, its four-byte header included.
    pub message_bytes: u32,
    /// Bytes of the stream up to the end of the message, record headers included. Of QUIC and DTLS: of the message.
    pub stream_bytes: u32,
    /// Records, or fragments of DTLS, that the message stands in; 0 of QUIC.
    pub records: u32,
}

/// encrypted_client_hello (RFC 9849 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchOffer {
    Outer {
        config_id: u8,
        kdf: u16,
        aead: u16,
        enc_bytes: u16,
        payload_bytes: u16,
    },
    /// The marker of a hello that was decrypted: never on the wire in earnest.
    Inner,
}

/// The longest list of ciphers and the longest list of extensions fit (RFC 8446 section 4.1.2).
pub(super) const BYTES_MAX: u32 = 2 * 65_536 + 512;
/// Names longer than a host name may be are no names (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 255;
const ALPN_ENTRIES_MAX: usize = 32;
/// Of versions, groups, key shares: more than any client knows.
const VALUES_MAX: usize = 64;

/// Reads a whole ClientHello message, its four-byte header included (DTLS: without the fields of its fragments).
pub fn client_hello(message: &[u8], carrier: Carrier) -> Result<ClientHello, ParseError> {
    ClientHello::read(body_of(message, handshake::CLIENT_HELLO)?, carrier)
}

/// What a ClientHello that was cut off, or that breaks its own rules, shows up to there. None where the bytes are no ClientHello.
pub fn client_hello_so_far(message: &[u8], carrier: Carrier) -> Option<ClientHello> {
    let (header, body) = message.split_at_checked(MESSAGE_HEADER_BYTES)?;
    let message_bytes = MESSAGE_HEADER_BYTES as u32 + u32::from_be_bytes([0, header[1], header[2], header[3]]);
    if header[0] != handshake::CLIENT_HELLO || message_bytes > BYTES_MAX {
        return None;
    }
    let mut hello = ClientHello { message_bytes, stream_bytes: message.len() as u32, ..ClientHello::default() };
    let _cut = hello.read_so_far(&mut Cursor::new(body), carrier);
    Some(hello)
}

impl ClientHello {
    /// Reads the body of a whole message.
    pub(super) fn read(body: &[u8], carrier: Carrier) -> Result<Self, ParseError> {
        let message_bytes = (MESSAGE_HEADER_BYTES + body.len()) as u32;
        let mut hello = Self { message_bytes, stream_bytes: message_bytes, ..Self::default() };
        let offer = hello.read_so_far(&mut Cursor::new(body), carrier)?;
        hello.ja3 = Some(offer.ja3());
        hello.ja4 = Some(offer.ja4(carrier));
        Ok(hello)
    }

    /// Reads the body of a message as far as it goes.
    fn read_so_far<'a>(&mut self, body: &mut Cursor<'a>, carrier: Carrier) -> Result<Offer<'a>, ParseError> {
        self.legacy_version = body.u16("client_hello.version")?;
        self.version = self.legacy_version;
        self.random = body.take(32, "client_hello.random")?.try_into().ok();
        self.session_id = SessionId::read(body)?;
        if carrier == Carrier::Dtls {
            body.block_u8("client_hello.cookie")?; // RFC 6347 section 4.2.1
        }
        let ciphers = body.block_u16("client_hello.cipher_suites")?.rest();
        body.block_u8("client_hello.compression_methods")?;
        let mut offer = Offer { legacy_version: self.legacy_version, ciphers, ..Offer::default() };
        if !body.is_empty() {
            self.read_extensions(body, &mut offer)?; // optional before TLS 1.3
        }
        self.resumes |= !self.session_id.is_empty() && self.versions.is_empty();
        Ok(offer)
    }

    fn read_extensions<'a>(&mut self, body: &mut Cursor<'a>, offer: &mut Offer<'a>) -> Result<(), ParseError> {
        let mut extensions = body.block_u16_or_rest("client_hello.extensions")?;
        offer.extensions = extensions.rest();
        while !extensions.is_empty() {
            let kind = extensions.u16("extension.type")?;
            let mut content = extensions.block_u16("extension.content")?;
            let _tells_nothing = self.read_extension(kind, &mut content, offer);
        }
        Ok(())
    }

    fn read_extension<'a>(&mut self, kind: u16, content: &mut Cursor<'a>, offer: &mut Offer<'a>) -> Result<(), ParseError> {
        match kind {
            extension::SERVER_NAME if self.sni.is_none() => self.sni = server_name(content)?,
            extension::SUPPORTED_GROUPS => {
                offer.groups = content.block_u16("supported_groups.list")?.rest();
                self.groups = values(offer.groups).take(VALUES_MAX).collect();
            }
            extension::EC_POINT_FORMATS => offer.point_formats = content.block_u8("ec_point_formats.list")?.rest(),
            extension::SIGNATURE_ALGORITHMS => offer.signature_algorithms = content.block_u16("signature_algorithms.list")?.rest(),
            extension::ALPN => {
                let list = content.block_u16("alpn.list")?;
                offer.protocol = list.clone().block_u8("alpn.name")?.rest();
                self.alpn = protocol_names(list)?;
            }
            extension::SESSION_TICKET => self.resumes |= !content.is_empty(),
            extension::PRE_SHARED_KEY => self.resumes = true,
            extension::EARLY_DATA => self.early_data = true,
            extension::SUPPORTED_VERSIONS => {
                offer.versions = content.block_u8("supported_versions.list")?.rest();
                self.versions = values(offer.versions).take(VALUES_MAX).collect();
                self.version = values(offer.versions).max_by_key(age).unwrap_or(self.version);
            }
            extension::KEY_SHARE => self.key_shares = key_shares(content)?,
            extension::ENCRYPTED_CLIENT_HELLO => self.ech = Some(ech_offer(content)?),
            _ => {}
        }
        Ok(())
    }
}

/// The newest version has the highest: TLS counts upwards, DTLS downwards (RFC 9147 section 5.3).
fn age(version: &u16) -> u16 {
    if version >> 8 == 0xfe { !version } else { *version }
}

/// The first host name of a server_name extension (RFC 6066 section 3).
fn server_name(content: &mut Cursor<'_>) -> Result<Option<String>, ParseError> {
    const HOST_NAME: u8 = 0;
    let mut names = content.block_u16("server_name.list")?;
    while !names.is_empty() {
        let kind = names.u8("server_name.type")?;
        let name = names.block_u16("server_name.name")?.rest();
        if kind == HOST_NAME && !name.is_empty() && name.len() <= NAME_BYTES_MAX {
            return Ok(Some(String::from_utf8_lossy(name).into_owned()));
        }
    }
    Ok(None)
}

/// RFC 7301 section 3.1.
fn protocol_names(mut list: Cursor<'_>) -> Result<Vec<String>, ParseError> {
    let mut names = Vec::new();
    while !list.is_empty() && names.len() < ALPN_ENTRIES_MAX {
        let name = list.block_u8("alpn.name")?.rest();
        if !is_grease_name(name) {
            names.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    Ok(names)
}

fn is_grease_name(name: &[u8]) -> bool {
    matches!(name, [high, low] if is_grease(u16::from_be_bytes([*high, *low])))
}

/// RFC 8446 section 4.2.8: the client's list.
fn key_shares(content: &mut Cursor<'_>) -> Result<Vec<u16>, ParseError> {
    let mut list = content.block_u16("key_share.list")?;
    let mut groups = Vec::new();
    while !list.is_empty() && groups.len() < VALUES_MAX {
        let group = list.u16("key_share.group")?;
        list.block_u16("key_share.key")?;
        if !is_grease(group) {
            groups.push(group);
        }
    }
    Ok(groups)
}

fn ech_offer(content: &mut Cursor<'_>) -> Result<EchOffer, ParseError> {
    const OUTER: u8 = 0;
    const INNER: u8 = 1;
    let offset = content.offset();
    match content.u8("ech.type")? {
        OUTER => Ok(EchOffer::Outer {
            kdf: content.u16("ech.kdf")?,
            aead: content.u16("ech.aead")?,
            config_id: content.u8("ech.config_id")?,
            enc_bytes: content.block_u16("ech.enc")?.rest().len() as u16,
            payload_bytes: content.block_u16("ech.payload")?.rest().len() as u16,
        }),
        INNER => Ok(EchOffer::Inner),
        _ => Err(ParseError::Invalid { field: "ech.type", offset }),
    }
}
