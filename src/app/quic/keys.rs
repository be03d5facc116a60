//! Protection of Initial packets (RFC 9001 section 5, RFC 9369 section 3.3): anyone who saw the client's first packet can take it off.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Tag};
use hkdf::Hkdf;
use sha2::Sha256;

use super::header::Protected;
use super::version::{Labels, Secrets};
use crate::app::{Cursor, ParseError};
use crate::model::PerDirection;

/// Of AES-128-GCM (RFC 9001 section 5.3).
pub const TAG_BYTES: usize = 16;
/// The sample begins this far behind the start of the packet number (RFC 9001 section 5.4.2).
const SAMPLE_OFFSET: usize = 4;
pub const SAMPLE_BYTES: usize = 16;

/// Keys of one sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub(super) key: [u8; 16],
    iv: [u8; 12],
    hp: [u8; 16],
}

/// Both senders' keys, from the destination of the client's first Initial (RFC 9001 section 5.2).
pub fn initial_keys(secrets: &Secrets, destination: &[u8]) -> Option<PerDirection<Keys>> {
    let initial = Hkdf::<Sha256>::new(Some(&secrets.salt), destination);
    let keys_of = |sender| {
        let secret: [u8; 32] = expand(&initial, sender)?;
        Keys::derive(&secret, secrets.labels)
    };
    Some(PerDirection { c2s: keys_of("client in")?, s2c: keys_of("server in")? })
}

impl Keys {
    fn derive(secret: &[u8], labels: Labels) -> Option<Self> {
        let secret = Hkdf::<Sha256>::from_prk(secret).ok()?;
        Some(Self { key: expand(&secret, labels.key)?, iv: expand(&secret, labels.iv)?, hp: expand(&secret, labels.hp)? })
    }

    /// Opens a packet; None where its tag is wrong, that is, where these are not its keys.
    pub fn open(&self, packet: &Protected<'_>) -> Option<Vec<u8>> {
        let (header, number) = self.unprotect(packet).ok()?;
        let sealed = packet.bytes.get(header.len()..)?;
        let (sealed, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG_BYTES)?)?;
        let tag = Tag::try_from(tag).ok()?;
        let mut payload = sealed.to_vec();
        let cipher = Aes128Gcm::new(&self.key.into());
        cipher.decrypt_inout_detached(&self.nonce(number).into(), &header, payload.as_mut_slice().into(), &tag).ok()?;
        Some(payload)
    }

    /// The header as it was before protection, and the packet number (RFC 9001 section 5.4.1). It is small enough to be whole: an Initial of the first
    /// flights counts from 0 (RFC 9000 section 17.1).
    fn unprotect(&self, packet: &Protected<'_>) -> Result<(Vec<u8>, u64), ParseError> {
        let mut cursor = Cursor::new(packet.bytes);
        let before = cursor.take(packet.number_at, "quic.header")?;
        let mut rest = cursor.clone();
        rest.take(SAMPLE_OFFSET, "quic.packet_number")?;
        let sample = rest.take(SAMPLE_BYTES, "quic.sample")?;
        let mask = self.mask(sample);

        let mut header = before.to_vec();
        header[0] ^= mask[0] & 0x0f; // four bits of a long header are protected
        let number_len = usize::from(header[0] & 0x03) + 1;
        let mut number = 0;
        for (byte, mask) in cursor.take(number_len, "quic.packet_number")?.iter().zip(&mask[1..]) {
            header.push(byte ^ mask);
            number = number << 8 | u64::from(byte ^ mask);
        }
        Ok((header, number))
    }

    /// RFC 9001 section 5.3.
    pub(super) fn nonce(&self, number: u64) -> [u8; 12] {
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(number.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
        nonce
    }

    /// RFC 9001 section 5.4.3.
    pub(super) fn mask(&self, sample: &[u8]) -> [u8; 16] {
        let mut block = [0; SAMPLE_BYTES];
        block.copy_from_slice(sample);
        let mut block = block.into();
        Aes128::new(&self.hp.into()).encrypt_block(&mut block);
        block.into()
    }
}

/// HKDF-Expand-Label without context (RFC 8446 section 7.1).
fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &str) -> Option<[u8; N]> {
    const PREFIX: &[u8] = b"tls13 ";
    let (output_len, label_len) = ((N as u16).to_be_bytes(), [(PREFIX.len() + label.len()) as u8]);
    let mut output = [0; N];
    secret.expand_multi_info(&[&output_len, &label_len, PREFIX, label.as_bytes(), &[0]], &mut output).ok()?;
    Some(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::quic::version::Version;

    const DESTINATION: &[u8] = b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";

    #[test]
    fn keys_of_version_1_are_those_of_rfc_9001_appendix_a() {
        let keys = initial_keys(&Version::V1.secrets()[0], DESTINATION).expect("keys");
        assert_eq!(keys.c2s.key, *b"\x1f\x36\x96\x13\xdd\x76\xd5\x46\x77\x30\xef\xcb\xe3\xb1\xa2\x2d");
        assert_eq!(keys.c2s.iv, *b"\xfa\x04\x4b\x2f\x42\xa3\xfd\x3b\x46\xfb\x25\x5c");
        assert_eq!(keys.c2s.hp, *b"\x9f\x50\x44\x9e\x04\xa0\xe8\x10\x28\x3a\x1e\x99\x33\xad\xed\xd2");
        assert_eq!(keys.s2c.key, *b"\xcf\x3a\x53\x31\x65\x3c\x36\x4c\x88\xf0\xf3\x79\xb6\x06\x7e\x37");
        assert_eq!(keys.s2c.hp, *b"\xc2\x06\xb8\xd9\xb9\xf0\xf3\x76\x44\x43\x0b\x49\x0e\xea\xa3\x14");
    }

    #[test]
    fn keys_of_version_2_are_those_of_rfc_9369_appendix_a() {
        let keys = initial_keys(&Version::V2.secrets()[0], DESTINATION).expect("keys");
        assert_eq!(keys.c2s.key, *b"\x8b\x1a\x0b\xc1\x21\x28\x42\x90\xa2\x9e\x09\x71\xb5\xcd\x04\x5d");
        assert_eq!(keys.c2s.iv, *b"\x91\xf7\x3e\x23\x51\xd8\xfa\x91\x66\x0e\x90\x9f");
        assert_eq!(keys.s2c.key, *b"\x82\xdb\x63\x78\x61\xd5\x5e\x1d\x01\x1f\x19\xea\x71\xd5\xd2\xa7");
        assert_eq!(keys.s2c.hp, *b"\xed\xf6\xd0\x5c\x83\x12\x12\x01\xb4\x36\xe1\x68\x77\x59\x3c\x3a");
    }
}
