//! QUIC packets for tests and benches, sealed as RFC 9001 section 5 says.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, KeyInit};

use super::header::FIXED_BIT;
use super::keys::{Keys, initial_keys};
use super::version::Version;
use crate::model::Direction;

/// A packet with a long header, before protection.
pub struct Packet<'a> {
    pub version: u32,
    /// Destination of the client's first Initial: gives the keys.
    pub first_destination: &'a [u8],
    pub sender: Direction,
    pub destination: &'a [u8],
    pub source: &'a [u8],
    pub token: &'a [u8],
    pub number: u32,
    /// 1 to 4.
    pub number_bytes: usize,
    /// RFC 9287 allows to leave it out.
    pub has_fixed_bit: bool,
}

impl<'a> Packet<'a> {
    /// A client's Initial of version 1.
    pub fn of_client(destination: &'a [u8], number: u32) -> Self {
        Self {
            version: 1,
            first_destination: destination,
            sender: Direction::ClientToServer,
            destination,
            source: b"mine",
            token: &[],
            number,
            number_bytes: 4,
            has_fixed_bit: true,
        }
    }

    /// The answer of a server that calls itself `source`.
    pub fn of_server(first_destination: &'a [u8], source: &'a [u8], number: u32) -> Self {
        Self { sender: Direction::ServerToClient, destination: b"mine", source, ..Self::of_client(first_destination, number) }
    }

    /// The Initial that carries these frames.
    pub fn seal(&self, frames: &[u8]) -> Vec<u8> {
        let version = Version(self.version);
        let keys = initial_keys(&version.secrets()[0], self.first_destination).expect("keys");
        let kind = if version == Version::V2 { 0x10 } else { 0x00 };
        let len = (self.number_bytes + frames.len() + 16) as u16 | 0x4000;
        let fixed_bit = if self.has_fixed_bit { FIXED_BIT } else { 0 };
        let mut header = vec![0x80 | fixed_bit | kind | (self.number_bytes - 1) as u8];
        header.extend(self.version.to_be_bytes());
        for id in [self.destination, self.source, self.token] {
            header.push(id.len() as u8);
            header.extend(id);
        }
        header.extend(len.to_be_bytes());
        header.extend(&self.number.to_be_bytes()[4 - self.number_bytes..]);
        protect(&keys[self.sender], self.number, &header, self.number_bytes, frames)
    }

    /// The Initial padded to a datagram of 1,200 bytes.
    pub fn seal_padded(&self, frames: &[u8]) -> Vec<u8> {
        let overhead = self.seal(frames).len() - frames.len();
        let mut padded = frames.to_vec();
        padded.resize(padded.len().max(1_200 - overhead), 0);
        self.seal(&padded)
    }
}

fn protect(keys: &Keys, number: u32, header: &[u8], number_bytes: usize, frames: &[u8]) -> Vec<u8> {
    let mut payload = frames.to_vec();
    let tag = Aes128Gcm::new(&keys.key.into()).encrypt_inout_detached(&keys.nonce(number.into()).into(), header, payload.as_mut_slice().into());
    payload.extend(tag.expect("not too long"));
    let mask = keys.mask(&payload[4 - number_bytes..][..16]);
    let mut packet = [header, &payload].concat();
    packet[0] ^= mask[0] & 0x0f;
    let at = header.len() - number_bytes;
    packet[at..header.len()].iter_mut().zip(&mask[1..]).for_each(|(byte, mask)| *byte ^= mask);
    packet
}

/// A CRYPTO frame.
pub fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    let field = |value: usize| (value as u16 | 0x4000).to_be_bytes();
    [&[0x06][..], &field(offset), &field(data.len()), data].concat()
}

/// A client's Initial that holds a whole ClientHello with this name.
pub fn client_initial(name: &str, number: u32) -> Vec<u8> {
    Packet::of_client(b"destined", number).seal_padded(&crypto(0, &crate::app::tls::build::client_hello_message(name, 300)))
}
