//! Noise as WhatsApp's chat speaks it outside TLS: the first bytes of the client's stream.
//!
//! `WA`, a version and a dictionary, then frames behind a three-byte length; the first holds the client's key. Clients that know their server put routing
//! information in front: `ED`, 0, 1, its length, and it.

use super::heads::{Recognised, View};
use super::{Cursor, ParseError};
use crate::model::Direction::ClientToServer;
use crate::model::words::AppProtocol::WaNoise;

const ROUTING: &[u8] = b"ED\x00\x01";
/// Seen: 2 and 4 bytes.
const ROUTING_BYTES_MAX: u32 = 256;
const PROLOGUE: &[u8] = b"WA";
/// Clients of about 2015.
const LEGACY: &[u8] = b"WA\x01\x05";

pub(super) fn recognise(view: &View<'_>) -> Option<Recognised> {
    let stream = view.stream(ClientToServer);
    if stream.starts_with(LEGACY) {
        return Some(Recognised::certain(WaNoise, "wa_legacy"));
    }
    let (id, hello) = if stream.starts_with(ROUTING) { ("wa_noise_routing", routed(stream)) } else { ("wa_noise_plain", hello(Cursor::new(stream))) };
    match hello {
        Ok(()) => Some(Recognised::certain(WaNoise, id)),
        // So far it fits.
        Err(ParseError::Truncated { .. }) if stream.len() >= ROUTING.len() => Some(Recognised::weak(WaNoise, id)),
        Err(_) => None,
    }
}

fn routed(stream: &[u8]) -> Result<(), ParseError> {
    let mut cursor = Cursor::new(stream);
    cursor.take(ROUTING.len(), "noise.routing")?;
    let offset = cursor.offset();
    let len = cursor.u24("noise.routing_length")?;
    if len > ROUTING_BYTES_MAX {
        return Err(ParseError::Invalid { field: "noise.routing_length", offset });
    }
    cursor.take(len as usize, "noise.routing_info")?;
    hello(cursor)
}

/// Prologue, and a frame that holds a message of protobuf: field 2 with field 1 of 32 bytes in it.
fn hello(mut cursor: Cursor<'_>) -> Result<(), ParseError> {
    let offset = cursor.offset();
    let invalid = |is_right: bool, field| if is_right { Ok(()) } else { Err(ParseError::Invalid { field, offset }) };
    invalid(cursor.take(PROLOGUE.len(), "noise.prologue")? == PROLOGUE, "noise.prologue")?;
    invalid(matches!(cursor.u8("noise.version")?, 5 | 6), "noise.version")?;
    invalid(matches!(cursor.u8("noise.dictionary")?, 2 | 3), "noise.dictionary")?;
    cursor.u24("noise.frame_length")?;
    invalid(cursor.u8("noise.message")? == 0x12, "noise.message")?;
    while cursor.u8("noise.message_length")? & 0x80 != 0 {}
    invalid(cursor.take(2, "noise.key")? == [0x0a, 0x20], "noise.key")
}

#[cfg(test)]
mod tests {
    use crate::app::heads::Strength::{Certain, Weak};
    use crate::app::heads::scene::{first_of_tcp, tcp};

    const HELLO: &[u8] = b"WA\x06\x03\x00\x00\x24\x12\x22\x0a\x20";

    fn hello_with_key() -> Vec<u8> {
        [HELLO, &[7; 32]].concat()
    }

    #[test]
    fn prologue_and_key_are_proof_with_routing_or_without() {
        assert_eq!(first_of_tcp(&tcp(&hello_with_key(), &[])), Some(("wa_noise_plain", Certain)));
        let routed = [b"ED\x00\x01\x00\x00\x04\x08\x09\x08\x02", &hello_with_key()[..]].concat();
        assert_eq!(first_of_tcp(&tcp(&routed, &[])), Some(("wa_noise_routing", Certain)));
        assert_eq!(first_of_tcp(&tcp(b"WA\x01\x05\x00", &[])), Some(("wa_legacy", Certain)));
    }

    #[test]
    fn what_was_cut_early_is_weak() {
        assert_eq!(first_of_tcp(&tcp(b"ED\x00\x01\x00", &[])), Some(("wa_noise_routing", Weak)));
        assert_eq!(first_of_tcp(&tcp(b"WA\x05\x02", &[])), Some(("wa_noise_plain", Weak)));
    }

    #[test]
    fn text_that_begins_alike_is_not_taken_for_it() {
        for text in [&b"WAIT 10\r\n"[..], b"EDIT\r\n", b"WA\x06\x03\x00\x00\x24\x15\x22"] {
            assert_eq!(first_of_tcp(&tcp(text, &[])), None);
        }
    }
}
