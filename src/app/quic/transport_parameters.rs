//! Transport parameters (RFC 9000 section 18), in the order in which the client sent them.

use std::fmt;

use super::version::Version;
use crate::app::{Cursor, ParseError};

/// What a client declares, reserved parameters (RFC 9000 section 18.1) left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransportParameters(Vec<(u64, Value)>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Integer(u64),
    Text(String),
    /// Any other, cut where it is long.
    Bytes(Vec<u8>),
}

/// TLS extensions that carry them (RFC 9001 section 8.2; drafts until -32).
const EXTENSIONS: [u16; 2] = [0x0039, 0xffa5];
const PARAMETERS_MAX: usize = 64;
const VALUE_BYTES_MAX: usize = 128;

/// Parameters with a name: RFC 9000 section 18.2, RFC 9221, RFC 9287, RFC 9368.
const NAMES: &[(u64, &str)] = &[
    (0x00, "original_destination_connection_id"),
    (0x01, "max_idle_timeout"),
    (0x02, "stateless_reset_token"),
    (0x03, "max_udp_payload_size"),
    (0x04, "initial_max_data"),
    (0x05, "initial_max_stream_data_bidi_local"),
    (0x06, "initial_max_stream_data_bidi_remote"),
    (0x07, "initial_max_stream_data_uni"),
    (0x08, "initial_max_streams_bidi"),
    (0x09, "initial_max_streams_uni"),
    (0x0a, "ack_delay_exponent"),
    (0x0b, "max_ack_delay"),
    (0x0c, "disable_active_migration"),
    (0x0d, "preferred_address"),
    (0x0e, "active_connection_id_limit"),
    (0x0f, "initial_source_connection_id"),
    (0x10, "retry_source_connection_id"),
    (0x11, "version_information"),
    (0x20, "max_datagram_frame_size"),
    (0x2ab2, "grease_quic_bit"),
];
/// Google's, from quiche: the initial round trip.
const GOOGLE_INITIAL_RTT: u64 = 0x3127;
/// Google's, from quiche: the program that speaks.
const GOOGLE_USER_AGENT: u64 = 0x3129;

impl TransportParameters {
    pub const NONE: Self = Self(Vec::new());

    /// Of a whole ClientHello message; as many as can be read.
    pub fn of_client_hello(message: &[u8], version: Version) -> Self {
        let mut parameters = Self::NONE;
        if let Ok(Some(mut extension)) = extension(message) {
            let _cut = if version.has_old_parameters() { parameters.read_old(&mut extension) } else { parameters.read(&mut extension) };
        }
        parameters
    }

    fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
        while !cursor.is_empty() && self.0.len() < PARAMETERS_MAX {
            let id = cursor.varint("transport_parameter.id")?;
            let len = cursor.varint("transport_parameter.length")?;
            let value = cursor.take(usize::try_from(len).unwrap_or(usize::MAX), "transport_parameter.value")?;
            self.push(id, value);
        }
        Ok(())
    }

    /// draft-ietf-quic-transport-26 section 18.
    fn read_old(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
        let mut list = cursor.block_u16("transport_parameters")?;
        while !list.is_empty() && self.0.len() < PARAMETERS_MAX {
            let id = list.u16("transport_parameter.id")?;
            let value = list.block_u16("transport_parameter.value")?;
            self.push(id.into(), value.rest());
        }
        Ok(())
    }

    fn push(&mut self, id: u64, value: &[u8]) {
        if id % 31 != 27 {
            let value = &value[..value.len().min(VALUE_BYTES_MAX)];
            self.0.push((id, Value::of(id, value)));
        }
    }

    pub fn get(&self, id: u64) -> Option<&Value> {
        self.0.iter().find(|(other, _)| *other == id).map(|(_, value)| value)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &(u64, Value)> {
        self.0.iter()
    }
}

impl Value {
    fn of(id: u64, value: &[u8]) -> Self {
        match (id, integer(value)) {
            (0x01 | 0x03..=0x0b | 0x0e | 0x20 | GOOGLE_INITIAL_RTT, Some(integer)) => Self::Integer(integer),
            (GOOGLE_USER_AGENT, _) => Self::Text(String::from_utf8_lossy(value).into_owned()),
            _ => Self::Bytes(value.to_vec()),
        }
    }
}

/// A value that is one integer and nothing else.
fn integer(value: &[u8]) -> Option<u64> {
    let mut cursor = Cursor::new(value);
    cursor.varint("transport_parameter.value").ok().filter(|_| cursor.is_empty())
}

/// The extension of a ClientHello (RFC 8446 section 4.1.2) that carries the parameters.
fn extension(message: &[u8]) -> Result<Option<Cursor<'_>>, ParseError> {
    let mut hello = Cursor::new(message);
    hello.take(4, "handshake.header")?;
    hello.take(2 + 32, "client_hello.random")?;
    hello.block_u8("client_hello.session_id")?;
    hello.block_u16("client_hello.cipher_suites")?;
    hello.block_u8("client_hello.compression_methods")?;
    let mut extensions = hello.block_u16("client_hello.extensions")?;
    while !extensions.is_empty() {
        let kind = extensions.u16("extension.type")?;
        let content = extensions.block_u16("extension.content")?;
        if EXTENSIONS.contains(&kind) {
            return Ok(Some(content));
        }
    }
    Ok(None)
}

/// `max_idle_timeout=30000,initial_max_data=15728640,0x3129=...`: names of RFCs, any other id in hex; values of bytes are not shown.
impl fmt::Display for TransportParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (id, value)) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            match NAMES.iter().find(|(named, _)| named == id) {
                Some((_, name)) => f.write_str(name)?,
                None => write!(f, "{id:#x}")?,
            }
            match value {
                Value::Integer(integer) => write!(f, "={integer}")?,
                Value::Text(text) => write!(f, "={}", text.escape_default())?,
                Value::Bytes(_) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello_with(kind: u16, content: &[u8]) -> Vec<u8> {
        let extension = [&kind.to_be_bytes()[..], &(content.len() as u16).to_be_bytes(), content].concat();
        let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &(extension.len() as u16).to_be_bytes(), &extension].concat();
        [&[1, 0], &(body.len() as u16).to_be_bytes()[..], &body].concat()
    }

    #[test]
    fn integers_and_google_s_user_agent_are_read_and_reserved_ones_left_out() {
        let content = [&[0x01, 4, 0x80, 0, 0x75, 0x30, 27, 2, 9, 9, 0x0c, 0, 0x71, 0x29, 6][..], b"Chrome", &[0x04, 1, 7, 0x0f, 2, 1, 2]].concat();
        let parameters = TransportParameters::of_client_hello(&hello_with(0x39, &content), Version::V1);
        assert_eq!(
            parameters.to_string(),
            "max_idle_timeout=30000,disable_active_migration,0x3129=Chrome,initial_max_data=7,initial_source_connection_id"
        );
        assert_eq!(parameters.get(0x0f), Some(&Value::Bytes(vec![1, 2])));
    }

    #[test]
    fn drafts_until_26_wrote_them_as_a_struct_of_tls() {
        let content = [0, 8, 0, 4, 0, 4, 0x80, 0x10, 0, 0];
        let parameters = TransportParameters::of_client_hello(&hello_with(0xffa5, &content), Version(0xff00_0018));
        assert_eq!(parameters.to_string(), "initial_max_data=1048576");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(content in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..260) {
            for version in [Version::V1, Version(0xff00_0018)] {
                let hello = hello_with(0x39, &content);
                let _ = TransportParameters::of_client_hello(&hello[..cut.min(hello.len())], version).to_string();
            }
        }
    }
}
