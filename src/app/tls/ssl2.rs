//! A ClientHello in the form of SSL 2.0, as old clients begin a connection of any version (RFC 5246 appendix E.2).

use super::{ClientHello, Cursor, ParseError, SessionId, handshake};

/// The highest bit says that the length has two bytes and no padding follows.
const SHORT_HEADER: u8 = 0x80;

/// Whether a stream that begins so may be one.
pub fn may_begin(stream: &[u8]) -> bool {
    stream.first().is_some_and(|first| first & SHORT_HEADER != 0)
}

/// Reads the whole message. What it says of its lengths must fit together: nothing else tells it from other protocols.
pub fn client_hello(cursor: &mut Cursor<'_>) -> Result<ClientHello, ParseError> {
    let invalid = |field| Err(ParseError::Invalid { field, offset: 0 });
    let length = cursor.u16("ssl2.length")? & !(u16::from(SHORT_HEADER) << 8);
    if cursor.u8("ssl2.type")? != handshake::CLIENT_HELLO {
        return invalid("ssl2.type");
    }
    let version = cursor.u16("ssl2.version")?;
    if !matches!(version, 0x0002 | 0x0300..=0x0304) {
        return invalid("ssl2.version");
    }
    let ciphers = cursor.u16("ssl2.cipher_spec_length")?;
    let session_id = cursor.u16("ssl2.session_id_length")?;
    let challenge = cursor.u16("ssl2.challenge_length")?;
    if ciphers == 0 || ciphers % 3 != 0 || !matches!(session_id, 0 | 16) || !(16..=32).contains(&challenge) {
        return invalid("ssl2.lengths");
    }
    if u32::from(length) != FIXED_BYTES + u32::from(ciphers) + u32::from(session_id) + u32::from(challenge) {
        return invalid("ssl2.length");
    }
    cursor.take(ciphers.into(), "ssl2.cipher_specs")?;
    let session_id = SessionId::copy(cursor.take(session_id.into(), "ssl2.session_id")?, 0)?;
    cursor.take(challenge.into(), "ssl2.challenge")?;
    let message_bytes = u32::from(length);
    Ok(ClientHello {
        legacy_version: version,
        version,
        resumes: !session_id.is_empty(),
        session_id,
        message_bytes,
        stream_bytes: message_bytes + 2,
        records: 1,
        ..ClientHello::default()
    })
}

/// Type, version, and three lengths.
const FIXED_BYTES: u32 = 9;
