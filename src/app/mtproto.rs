//! MTProto, Telegram's transport (core.telegram.org/mtproto/mtproto-transports): the first bytes of the client's stream.
//!
//! Obfuscated MTProto carries the key of its start block in clear, so a 32-bit check decides; behind a proxy with a secret nothing does.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use super::heads::{Recognised, View};
use super::{Cursor, ParseError};
use crate::model::Direction::ClientToServer;
use crate::model::words::AppProtocol::Mtproto;

const ABRIDGED: u8 = 0xef;
const INTERMEDIATE: [u8; 4] = [0xee; 4];
const PADDED: [u8; 4] = [0xdd; 4];

/// Bytes of the start block of obfuscated MTProto, and what lies in it.
const START_BYTES: usize = 64;
const START_KEY: std::ops::Range<usize> = 8..40;
const START_IV: std::ops::Range<usize> = 40..56;
const START_TAG: std::ops::Range<usize> = 56..60;

/// auth_key_id, message_id and length of a message without encryption; the first is zero.
const PLAIN_HEADER_BYTES: usize = 20;

pub(super) fn obfuscated(view: &View<'_>) -> Option<Recognised> {
    let start = view.stream(ClientToServer).first_chunk::<START_BYTES>()?;
    let tag = start_tag(start)?;
    [[ABRIDGED; 4], INTERMEDIATE, PADDED].contains(&tag).then(|| Recognised::certain(Mtproto, "mtproto_obfuscated"))
}

/// The tag of the transport within, by AES-256-CTR. It lies in the fourth block of the key stream.
fn start_tag(start: &[u8; START_BYTES]) -> Option<[u8; 4]> {
    let key = <[u8; 32]>::try_from(&start[START_KEY]).ok()?;
    let counter = u128::from_be_bytes(start[START_IV].try_into().ok()?).wrapping_add(3);
    let mut block = counter.to_be_bytes().into();
    Aes256::new(&key.into()).encrypt_block(&mut block);
    let tag = <[u8; 4]>::try_from(&start[START_TAG]).ok()?;
    Some([tag[0] ^ block[8], tag[1] ^ block[9], tag[2] ^ block[10], tag[3] ^ block[11]])
}

/// The transports that are not obfuscated.
pub(super) fn clear(view: &View<'_>) -> Option<Recognised> {
    let (stream, first_len) = (view.stream(ClientToServer), view.first_len(ClientToServer));
    abridged(stream, first_len).or_else(|| intermediate(stream, first_len)).or_else(|| full(stream))
}

/// One byte, then the length in words: 7f and three bytes where one is not enough. Length alone is weak.
fn abridged(stream: &[u8], first_len: usize) -> Option<Recognised> {
    let mut cursor = Cursor::new(stream);
    if cursor.u8("mtproto.tag").ok()? != ABRIDGED {
        return None;
    }
    let words = match cursor.u8("mtproto.length").ok()? {
        short @ 1..0x7f => u32::from(short),
        0x7f => {
            let bytes = cursor.take(3, "mtproto.length").ok()?;
            u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])
        }
        _ => return None,
    };
    let len = words as usize * 4;
    let fits = cursor.offset() + len == first_len;
    let plain = is_plain_message(cursor, len, 0).unwrap_or(false);
    (fits || plain).then(|| Recognised::certain_if(plain, Mtproto, "mtproto_abridged"))
}

/// Four bytes of tag, then the length in bytes; up to 15 bytes of padding count with it.
fn intermediate(stream: &[u8], first_len: usize) -> Option<Recognised> {
    let mut cursor = Cursor::new(stream);
    let (id, padding) = match *cursor.take(4, "mtproto.tag").ok()?.first_chunk()? {
        INTERMEDIATE => ("mtproto_intermediate", 0),
        PADDED => ("mtproto_padded", 15),
        _ => return None,
    };
    let len = cursor.u32_le("mtproto.length").ok()? as usize;
    let fits = cursor.offset() + len == first_len || is_plain_message(cursor, len, padding).unwrap_or(false);
    fits.then(|| Recognised::certain(Mtproto, id))
}

/// A first request is not encrypted: no key, a message id, and a length that agrees with the one outside.
fn is_plain_message(mut cursor: Cursor<'_>, len: usize, padding: usize) -> Result<bool, ParseError> {
    let has_key = cursor.take(8, "mtproto.auth_key_id")? != [0; 8];
    cursor.take(8, "mtproto.message_id")?;
    let inner = cursor.u32_le("mtproto.message_length")? as usize;
    let rest = len.checked_sub(PLAIN_HEADER_BYTES).and_then(|rest| rest.checked_sub(inner));
    Ok(!has_key && inner > 0 && rest.is_some_and(|rest| rest <= padding))
}

/// Length of all, number 0, payload, CRC-32 of what stands before.
fn full(stream: &[u8]) -> Option<Recognised> {
    const AROUND_BYTES: usize = 12;
    let mut cursor = Cursor::new(stream);
    let len = cursor.u32_le("mtproto.length").ok()? as usize;
    let number = cursor.u32_le("mtproto.number").ok()?;
    if number != 0 || len <= AROUND_BYTES || !len.is_multiple_of(4) {
        return None;
    }
    let (covered, sum) = stream.get(..len)?.split_last_chunk::<4>()?;
    (crc32(covered) == u32::from_le_bytes(*sum)).then(|| Recognised::certain(Mtproto, "mtproto_full"))
}

/// CRC-32 as in zip (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::heads::Strength::{Certain, Weak};
    use crate::app::heads::scene::{first_of_tcp, tcp};

    /// A first request without encryption, of 40 bytes.
    fn request() -> Vec<u8> {
        [&[0; 8][..], &[1, 2, 3, 4, 5, 6, 7, 8], &[20, 0, 0, 0], &[0xbe; 20]].concat()
    }

    #[test]
    fn the_start_block_of_an_obfuscated_stream_is_opened_by_its_own_key() {
        let mut start: [u8; START_BYTES] = std::array::from_fn(|at| (at as u8).wrapping_mul(151) ^ 0x3c);
        let mask = start_tag(&start).expect("a tag");
        (0..4).for_each(|at| start[START_TAG.start + at] ^= mask[at] ^ ABRIDGED);
        assert_eq!(first_of_tcp(&tcp(&start, &[])), Some(("mtproto_obfuscated", Certain)));
        start[56] ^= 1;
        assert_ne!(first_of_tcp(&tcp(&start, &[])), Some(("mtproto_obfuscated", Certain)));
    }

    #[test]
    fn key_and_counter_are_those_of_nist() {
        let mut start = [0; START_BYTES];
        let key = b"\x60\x3d\xeb\x10\x15\xca\x71\xbe\x2b\x73\xae\xf0\x85\x7d\x77\x81\x1f\x35\x2c\x07\x3b\x61\x08\xd7\x2d\x98\x10\xa3\x09\x14\xdf\xf4";
        start[START_KEY].copy_from_slice(key);
        start[START_IV].copy_from_slice(b"\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff");
        start[START_TAG].copy_from_slice(b"\x13\xc2\xdd\x08"); // of the ciphertext of SP 800-38A F.5.5, block 4
        assert_eq!(start_tag(&start), Some(*b"\xad\x2b\x41\x7b"), "the plaintext there");
    }

    #[test]
    fn a_plain_request_proves_each_transport() {
        let request = request();
        let full_start = [&52u32.to_le_bytes()[..], &[0; 4], &request].concat();
        let full = [&full_start[..], &crc32(&full_start).to_le_bytes()].concat();
        for (stream, id) in [
            ([&[ABRIDGED, 10][..], &request].concat(), "mtproto_abridged"),
            ([&[ABRIDGED, 0x7f, 10, 0, 0][..], &request].concat(), "mtproto_abridged"),
            ([&INTERMEDIATE[..], &[40, 0, 0, 0], &request].concat(), "mtproto_intermediate"),
            ([&PADDED[..], &[47, 0, 0, 0], &request, &[9; 7]].concat(), "mtproto_padded"),
            (full, "mtproto_full"),
        ] {
            assert_eq!(first_of_tcp(&tcp(&stream, &[])), Some((id, Certain)));
        }
    }

    #[test]
    fn one_byte_and_a_length_are_weak() {
        let stream = [&[ABRIDGED, 10][..], &[0x51; 40]].concat();
        assert_eq!(first_of_tcp(&tcp(&stream, &[])), Some(("mtproto_abridged", Weak)));
        assert_eq!(abridged(&stream[..30], 30), None);
    }

    #[test]
    fn the_checksum_is_that_of_zip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
