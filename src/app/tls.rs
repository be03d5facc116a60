//! TLS: the first message of either direction, over any number of records.
//!
//! Records are those of RFC 8446 section 5.1 (and RFC 5246 section 6.2.1), handshake messages those of section 4. A ClientHello that the capture cut
//! off still yields what stands before the cut ([`client_hello_so_far`]).

use std::borrow::Cow;

use super::{Cursor, ParseError, Reading};

/// The first TLS message of a direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    ClientHello(ClientHello),
    ServerHello(ServerHello),
    Alert(Alert),
    /// A record of TLS that is none of these: the capture began later.
    Later,
}

/// What a client offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// As sent, in bytes that anyone may have chosen; what is no UTF-8 is replaced.
    pub sni: Option<String>,
    pub alpn: Vec<String>,
    pub legacy_version: u16,
    /// The highest version offered.
    pub version: u16,
    /// Length of the handshake message, its four-byte header included.
    pub message_bytes: u32,
    /// Bytes of the stream up to the end of the message: records headers included.
    pub stream_bytes: u32,
    pub records: u32,
}

/// What a hello travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    Tcp,
    Quic,
    Dtls,
}

/// What the server chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHello {
    pub version: u16,
    pub cipher: u16,
}

/// An alert in clear text (RFC 8446 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    pub level: u8,
    pub description: u8,
}

/// Record types (RFC 8446 section 5.1).
mod record {
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const APPLICATION_DATA: u8 = 23;
    pub const HEADER_BYTES: usize = 5;
    /// 2^14 and what ciphers may add (RFC 5246 section 6.2.3).
    pub const BYTES_MAX: usize = 16_384 + 2_048;
}

/// Handshake types (RFC 8446 section 4).
mod handshake {
    pub const CLIENT_HELLO: u8 = 1;
    pub const SERVER_HELLO: u8 = 2;
}

/// Extension types (IANA, TLS ExtensionType Values).
mod extension {
    pub const SERVER_NAME: u16 = 0;
    pub const ALPN: u16 = 16;
    pub const SUPPORTED_VERSIONS: u16 = 43;
}

/// Names longer than a host name may be are no names (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 255;
const ALPN_ENTRIES_MAX: usize = 32;
/// Level and description (RFC 8446 section 6).
const ALERT_BYTES: usize = 2;

/// Reads the first message of a stream.
pub fn first_message(stream: &[u8]) -> Reading<Message> {
    match message(stream) {
        Ok(Some(message)) => Reading::Done(message),
        Ok(None) | Err(ParseError::Invalid { .. }) => Reading::Not,
        Err(ParseError::Truncated { .. }) => Reading::More,
    }
}

/// Reads a whole ClientHello message, its four-byte header included.
pub fn client_hello(message: &[u8], _carrier: Carrier) -> Result<ClientHello, ParseError> {
    let mut cursor = Cursor::new(message);
    cursor.u8("handshake.type")?;
    let length = cursor.u24("handshake.length")?;
    let mut hello = ClientHello { message_bytes: length + 4, ..ClientHello::default() };
    read_client_hello(&mut cursor, &mut hello)?;
    Ok(hello)
}

/// Reads a whole ServerHello message, its four-byte header included.
pub fn server_hello(message: &[u8]) -> Result<ServerHello, ParseError> {
    let mut cursor = Cursor::new(message);
    cursor.u8("handshake.type")?;
    cursor.u24("handshake.length")?;
    read_server_hello(&mut cursor)
}

/// What a hello that never became whole shows up to its cut. None where the bytes are no ClientHello.
pub fn client_hello_so_far(stream: &[u8]) -> Option<ClientHello> {
    let records = Records::gather(stream).ok()?;
    let mut cursor = Cursor::new(&records.payload);
    if records.content_type != record::HANDSHAKE || cursor.u8("handshake.type").ok()? != handshake::CLIENT_HELLO {
        return None;
    }
    let stated = cursor.u24("handshake.length").ok()?;
    let mut hello = ClientHello { message_bytes: stated + 4, stream_bytes: stream.len() as u32, records: records.count, ..ClientHello::default() };
    let _cut = read_client_hello(&mut cursor, &mut hello);
    Some(hello)
}

fn message(stream: &[u8]) -> Result<Option<Message>, ParseError> {
    let records = Records::gather(stream)?;
    let mut cursor = Cursor::new(&records.payload);
    match records.content_type {
        // A longer one is encrypted, whatever its first bytes are.
        record::ALERT if records.length == ALERT_BYTES => {
            Ok(Some(Message::Alert(Alert { level: cursor.u8("alert.level")?, description: cursor.u8("alert.description")? })))
        }
        record::ALERT | record::CHANGE_CIPHER_SPEC | record::APPLICATION_DATA => Ok(Some(Message::Later)),
        _ => handshake_message(&records, &mut cursor),
    }
}

fn handshake_message(records: &Records<'_>, cursor: &mut Cursor<'_>) -> Result<Option<Message>, ParseError> {
    let kind = cursor.u8("handshake.type")?;
    let length = cursor.u24("handshake.length")?;
    if !matches!(kind, handshake::CLIENT_HELLO | handshake::SERVER_HELLO) {
        return Ok(Some(Message::Later));
    }
    let mut body = Cursor::new(cursor.take(length as usize, "handshake.body")?);
    let result = if kind == handshake::CLIENT_HELLO {
        let message_bytes = length + 4;
        let mut hello =
            ClientHello { message_bytes, stream_bytes: records.stream_bytes(message_bytes), records: records.count, ..ClientHello::default() };
        read_client_hello(&mut body, &mut hello).map(|()| Message::ClientHello(hello))
    } else {
        read_server_hello(&mut body).map(Message::ServerHello)
    };
    match result {
        Ok(message) => Ok(Some(message)),
        // The message is whole, so a length that runs over its end is a lie.
        Err(ParseError::Truncated { field, offset, .. } | ParseError::Invalid { field, offset }) => Err(ParseError::Invalid { field, offset }),
    }
}

/// The payload of the records at the start of a stream that carry one content type, joined.
struct Records<'a> {
    content_type: u8,
    /// Of the first record, as it states it.
    length: usize,
    payload: Cow<'a, [u8]>,
    count: u32,
    /// Where each record's payload ends in the joined payload.
    ends: Vec<usize>,
}

impl<'a> Records<'a> {
    fn gather(stream: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(stream);
        let (content_type, length) = record_header(&mut cursor)?;
        let payload = cursor.rest();
        if let Some(whole) = payload.get(..length) {
            let mut records = Self { content_type, length, payload: Cow::Borrowed(whole), count: 1, ends: vec![length] };
            if content_type == record::HANDSHAKE && records.wanted() > length {
                records.join(&payload[length..])?;
            }
            return Ok(records);
        }
        Ok(Self { content_type, length, payload: Cow::Borrowed(payload), count: 1, ends: vec![payload.len()] })
    }

    /// Bytes of the first handshake message that are read: all of a hello, of any other its header.
    fn wanted(&self) -> usize {
        match *self.payload {
            [handshake::CLIENT_HELLO | handshake::SERVER_HELLO, a, b, c, ..] => 4 + u32::from_be_bytes([0, a, b, c]) as usize,
            _ => 4,
        }
    }

    fn join(&mut self, rest: &[u8]) -> Result<(), ParseError> {
        let mut cursor = Cursor::new(rest);
        while self.payload.len() < self.wanted() && !cursor.is_empty() {
            let Ok((content_type, length)) = record_header(&mut cursor) else { break };
            if content_type != self.content_type {
                return Err(ParseError::Invalid { field: "record.type", offset: cursor.offset() });
            }
            let available = length.min(cursor.rest().len());
            self.payload.to_mut().extend_from_slice(cursor.take(available, "record.payload")?);
            self.count += 1;
            self.ends.push(self.payload.len());
        }
        Ok(())
    }

    /// Bytes of the stream that hold the first `message_bytes` of payload, with the headers of their records.
    fn stream_bytes(&self, message_bytes: u32) -> u32 {
        let headers = 1 + self.ends.iter().filter(|&&end| end < message_bytes as usize).count();
        message_bytes + (headers * record::HEADER_BYTES) as u32
    }
}

/// Content type and length. All versions of SSL 3.0 and TLS carry major version 3.
fn record_header(cursor: &mut Cursor<'_>) -> Result<(u8, usize), ParseError> {
    let content_type = cursor.u8("record.type")?;
    if !(record::CHANGE_CIPHER_SPEC..=record::APPLICATION_DATA).contains(&content_type) {
        return Err(ParseError::Invalid { field: "record.type", offset: 0 });
    }
    let version = cursor.u16("record.version")?;
    if version >> 8 != 3 || version & 0xff > 4 {
        return Err(ParseError::Invalid { field: "record.version", offset: 1 });
    }
    let length = usize::from(cursor.u16("record.length")?);
    if length == 0 || length > record::BYTES_MAX {
        return Err(ParseError::Invalid { field: "record.length", offset: 3 });
    }
    Ok((content_type, length))
}

/// RFC 8446 section 4.1.2. Fills `hello` as far as the bytes go.
fn read_client_hello(body: &mut Cursor<'_>, hello: &mut ClientHello) -> Result<(), ParseError> {
    hello.legacy_version = body.u16("client_hello.version")?;
    hello.version = hello.legacy_version;
    body.take(32, "client_hello.random")?;
    body.block_u8("client_hello.session_id")?;
    body.block_u16("client_hello.cipher_suites")?;
    body.block_u8("client_hello.compression_methods")?;
    if body.is_empty() {
        return Ok(()); // extensions are optional before TLS 1.3
    }
    let mut extensions = body.block_u16_or_rest("client_hello.extensions")?;
    while !extensions.is_empty() {
        let kind = extensions.u16("extension.type")?;
        let mut content = extensions.block_u16("extension.content")?;
        match kind {
            extension::SERVER_NAME => hello.sni = server_name(&mut content)?,
            extension::ALPN => hello.alpn = protocol_names(&mut content)?,
            extension::SUPPORTED_VERSIONS => hello.version = highest_version(&mut content)?.unwrap_or(hello.version),
            _ => {}
        }
    }
    Ok(())
}

/// The first host name of a server_name extension (RFC 6066 section 3).
fn server_name(extension: &mut Cursor<'_>) -> Result<Option<String>, ParseError> {
    const HOST_NAME: u8 = 0;
    if extension.is_empty() {
        return Ok(None);
    }
    let mut names = extension.block_u16("server_name.list")?;
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
fn protocol_names(extension: &mut Cursor<'_>) -> Result<Vec<String>, ParseError> {
    let mut list = extension.block_u16("alpn.list")?;
    let mut names = Vec::new();
    while !list.is_empty() && names.len() < ALPN_ENTRIES_MAX {
        let name = list.block_u8("alpn.name")?.rest();
        if !is_grease_name(name) {
            names.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    Ok(names)
}

/// RFC 8701: reserved values that say nothing.
fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn is_grease_name(name: &[u8]) -> bool {
    matches!(name, [high, low] if is_grease(u16::from_be_bytes([*high, *low])))
}

/// RFC 8446 section 4.2.1: the client's list.
fn highest_version(extension: &mut Cursor<'_>) -> Result<Option<u16>, ParseError> {
    let mut list = extension.block_u8("supported_versions.list")?;
    let mut highest = None;
    while !list.is_empty() {
        let version = list.u16("supported_versions.version")?;
        if !is_grease(version) {
            highest = highest.max(Some(version));
        }
    }
    Ok(highest)
}

/// RFC 8446 section 4.1.3.
fn read_server_hello(body: &mut Cursor<'_>) -> Result<ServerHello, ParseError> {
    let mut version = body.u16("server_hello.version")?;
    body.take(32, "server_hello.random")?;
    body.block_u8("server_hello.session_id")?;
    let cipher = body.u16("server_hello.cipher_suite")?;
    body.u8("server_hello.compression_method")?;
    if !body.is_empty() {
        let mut extensions = body.block_u16("server_hello.extensions")?;
        while !extensions.is_empty() {
            let kind = extensions.u16("extension.type")?;
            let mut content = extensions.block_u16("extension.content")?;
            if kind == extension::SUPPORTED_VERSIONS {
                version = content.u16("supported_versions.selected")?;
            }
        }
    }
    Ok(ServerHello { version, cipher })
}

/// The name of a version as people write it.
pub fn version_name(version: u16) -> String {
    match version {
        0x0300 => "SSL 3.0".into(),
        0x0301 => "TLS 1.0".into(),
        0x0302 => "TLS 1.1".into(),
        0x0303 => "TLS 1.2".into(),
        0x0304 => "TLS 1.3".into(),
        other => format!("0x{other:04x}"),
    }
}

#[cfg(test)]
pub mod build {
    //! Hellos for tests, written by hand from RFC 8446.

    fn block16(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &block16(content)].concat()
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind], &(body.len() as u32).to_be_bytes()[1..], body].concat()
    }

    /// One TLS record.
    pub fn record(content_type: u8, payload: &[u8]) -> Vec<u8> {
        [&[content_type, 3, 3], &block16(payload)[..]].concat()
    }

    /// A ClientHello message that offers TLS 1.3, padded by `padding` bytes.
    pub fn client_hello_message(sni: &str, padding: usize) -> Vec<u8> {
        let name = [&[0], &block16(sni.as_bytes())[..]].concat();
        let extensions = [
            extension(0x5a5a, &[]), // GREASE
            extension(21, &vec![0; padding]),
            extension(0, &block16(&name)),
            extension(16, &block16(b"\x02h2\x08http/1.1")),
            extension(43, &[6, 0x1a, 0x1a, 3, 4, 3, 3]),
        ];
        let body = [&[3, 3][..], &[9; 32], &[0], &block16(&[0x13, 1, 0x13, 2]), &[1, 0], &block16(&extensions.concat())].concat();
        message(1, &body)
    }

    /// The same as the first bytes of a stream.
    pub fn client_hello(sni: &str) -> Vec<u8> {
        record(22, &client_hello_message(sni, 0))
    }

    /// A ServerHello that selects TLS 1.3.
    pub fn server_hello() -> Vec<u8> {
        let body = [&[3, 3][..], &[7; 32], &[0, 0x13, 1, 0], &block16(&extension(43, &[3, 4]))].concat();
        record(22, &message(2, &body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello_of(stream: &[u8]) -> ClientHello {
        match first_message(stream) {
            Reading::Done(Message::ClientHello(hello)) => hello,
            other => panic!("no ClientHello: {other:?}"),
        }
    }

    #[test]
    fn a_hello_in_one_record_names_host_protocols_and_version() {
        let stream = build::client_hello("web.whatsapp.com");
        let hello = hello_of(&stream);
        assert_eq!(hello.sni.as_deref(), Some("web.whatsapp.com"));
        assert_eq!(hello.alpn, ["h2", "http/1.1"]);
        assert_eq!((hello.legacy_version, hello.version), (0x0303, 0x0304));
        assert_eq!((hello.stream_bytes as usize, hello.records), (stream.len(), 1));
    }

    #[test]
    fn records_may_cut_a_hello_anywhere() {
        let message = build::client_hello_message("web.telegram.org", 1_500);
        let stream: Vec<u8> = message.chunks(100).flat_map(|piece| build::record(22, piece)).collect();
        let hello = hello_of(&stream);
        assert_eq!(hello.sni.as_deref(), Some("web.telegram.org"));
        assert_eq!(hello.message_bytes as usize, message.len());
        assert_eq!(hello.stream_bytes as usize, stream.len());
    }

    #[test]
    fn a_cut_hello_still_shows_the_name_before_the_cut() {
        let stream = build::client_hello("chat.signal.org");
        let cut = &stream[..stream.len() - 12];
        assert_eq!(first_message(cut), Reading::More);
        assert_eq!(client_hello_so_far(cut).and_then(|hello| hello.sni).as_deref(), Some("chat.signal.org"));
    }

    #[test]
    fn the_server_answers_with_hello_or_alert() {
        assert_eq!(first_message(&build::server_hello()), Reading::Done(Message::ServerHello(ServerHello { version: 0x0304, cipher: 0x1301 })));
        assert_eq!(first_message(&build::record(21, &[2, 40])), Reading::Done(Message::Alert(Alert { level: 2, description: 40 })));
    }

    #[test]
    fn an_alert_is_read_when_all_of_it_came_and_only_in_clear() {
        let (clear, encrypted) = (build::record(21, &[2, 40]), build::record(21, &[2; 26]));
        assert_eq!(first_message(&clear[..6]), Reading::More);
        for came in [6, 7, 20, encrypted.len()] {
            assert_eq!(first_message(&encrypted[..came]), Reading::Done(Message::Later), "{came} bytes of an encrypted alert");
        }
    }

    #[test]
    fn what_is_no_hello_is_not_looked_into() {
        let finished = build::record(22, &[20, 0, 0, 12, 7, 7, 7, 7]);
        let stream = [finished, build::record(23, &[9; 30])].concat();
        for came in [9, 13, 18, stream.len()] {
            assert_eq!(first_message(&stream[..came]), Reading::Done(Message::Later), "{came} bytes");
        }
    }

    #[test]
    fn other_protocols_are_refused_at_once() {
        for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"SSH-2.0-OpenSSH", &[0x16, 2, 0, 0, 9], &[0x16, 3, 1, 0xff, 0xff]] {
            assert_eq!(first_message(bytes), Reading::Not);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = (first_message(&bytes), client_hello_so_far(&bytes));
        }

        #[test]
        fn no_damage_makes_it_panic(at in 0usize..300, value in any::<u8>(), cut in 0usize..400) {
            let mut stream = build::client_hello("i.instagram.com");
            let at = at % stream.len();
            stream[at] = value;
            stream.truncate(cut.max(1));
            let _ = (first_message(&stream), client_hello_so_far(&stream));
        }

        #[test]
        fn every_shorter_prefix_asks_for_more(cut in 0usize..200, padding in 0usize..3_000) {
            let stream = build::record(22, &build::client_hello_message("www.youtube.com", padding));
            prop_assert_eq!(first_message(&stream[..cut.min(stream.len() - 1)]), Reading::More);
        }
    }
}
