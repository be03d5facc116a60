//! What does it cost to learn from a QUIC connection whom it is for?
//!
//! A reader takes the client's first flight and gives the name; keys, decryption and the hello are in it. Unit: connections per second. A hello with
//! post-quantum key shares needs two datagrams. Beside them a datagram that is no QUIC, since most of UDP is none.

use aes::Aes128;
use aes::cipher::BlockCipherEncrypt;
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, KeyInit};
use divan::Bencher;
use divan::counter::ItemsCount;
use hkdf::Hkdf;
use sha2::Sha256;
use tamperscope::app::Reading;
use tamperscope::app::quic::Reader;
use tamperscope::model::Side;

const NAME: &str = "web.whatsapp.com";
const DESTINATION: &[u8; 8] = b"ofserver";
const DATAGRAM_BYTES: usize = 1_200;
/// Of the hello, in one datagram.
const PIECE_BYTES: usize = 1_000;

fn main() {
    divan::main();
}

/// A hello in so many datagrams.
#[divan::bench(args = [1, 2])]
fn of_a_first_flight_by_datagrams(bencher: Bencher<'_, '_>, datagrams: usize) {
    let hello = client_hello(PIECE_BYTES * datagrams - 100);
    let flight: Vec<_> = hello.chunks(PIECE_BYTES).enumerate().map(|(number, piece)| initial(number, piece)).collect();
    assert_eq!(flight.len(), datagrams);
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| {
        let mut reader = Reader::default();
        for datagram in &flight {
            assert_eq!(reader.take(Side::Low, datagram), Reading::More);
        }
        assert_eq!(reader.facts().sni(), Some(NAME));
        reader
    });
}

/// A packet of RTP.
#[divan::bench]
fn of_something_else(bencher: Bencher<'_, '_>) {
    let datagram = [&[0x80, 0x60, 1, 2, 0, 0, 3, 4][..], &[0x55; 160]].concat();
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| assert_eq!(Reader::default().take(Side::Low, &datagram), Reading::Not));
}

fn block(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// A ClientHello of so many bytes (RFC 8446 section 4.1.2).
fn client_hello(len: usize) -> Vec<u8> {
    let name = block(&[&[0][..], &block(NAME.as_bytes())].concat());
    let name = [&[0, 0][..], &block(&name)].concat();
    let front = [&[3, 3][..], &[9; 32], &[0], &block(&[0x13, 1, 0x13, 2]), &[1, 0]].concat();
    let padding = [&[0, 21][..], &block(&vec![0; len - 4 - front.len() - 2 - name.len() - 4])].concat();
    let body = [&front[..], &block(&[name, padding].concat())].concat();
    [&[1][..], &(body.len() as u32).to_be_bytes()[1..], &body].concat()
}

/// HKDF-Expand-Label without context (RFC 8446 section 7.1).
fn expand<const N: usize>(secret: &[u8], label: &str) -> [u8; N] {
    let info = [&(N as u16).to_be_bytes()[..], &[label.len() as u8 + 6], b"tls13 ", label.as_bytes(), &[0]].concat();
    let mut output = [0; N];
    Hkdf::<Sha256>::from_prk(secret).expect("a secret").expand(&info, &mut output).expect("a short key");
    output
}

/// A padded Initial of a client that carries a piece of its hello (RFC 9001 section 5).
fn initial(number: usize, piece: &[u8]) -> Vec<u8> {
    const SALT: &[u8] = b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a";
    const TAG_BYTES: usize = 16;
    let (secret, _) = Hkdf::<Sha256>::extract(Some(SALT), DESTINATION);
    let secret: [u8; 32] = expand(&secret, "client in");
    let (key, mut nonce, hp): ([u8; 16], [u8; 12], [u8; 16]) = (expand(&secret, "quic key"), expand(&secret, "quic iv"), expand(&secret, "quic hp"));
    nonce[11] ^= number as u8;

    let field = |value: usize| (value as u16 | 0x4000).to_be_bytes();
    let front = [&[0xc0, 0, 0, 0, 1, 8][..], DESTINATION, &[0, 0]].concat();
    let header = [&front[..], &field(DATAGRAM_BYTES - front.len() - 2), &[number as u8]].concat();
    let mut payload = [&[0x06][..], &field(number * PIECE_BYTES), &field(piece.len()), piece].concat();
    payload.resize(DATAGRAM_BYTES - TAG_BYTES - header.len(), 0);
    let tag = Aes128Gcm::new(&key.into()).encrypt_inout_detached(&nonce.into(), &header, payload.as_mut_slice().into());
    payload.extend(tag.expect("a short packet"));

    let mut mask = <[u8; 16]>::try_from(&payload[3..19]).expect("a sample").into();
    Aes128::new(&hp.into()).encrypt_block(&mut mask);
    let mut packet = [header, payload].concat();
    packet[0] ^= mask[0] & 0x0f;
    packet[front.len() + 2] ^= mask[1];
    packet
}
