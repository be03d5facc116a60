//! What does it cost to read what both sides of a TLS connection say in clear text, fingerprints included?
//!
//! The whole path of a reader over the first bytes of a stream: records, message, lists, JA3 and JA4; of a server its hello and the certificate of its
//! chain. In one segment, as most come, and in segments of 1,460 bytes, when every step but the last finds nothing. Kept out: putting segments in order,
//! packets, flows. Unit: streams per second and their bytes.

use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tamperscope::app::Reading;
use tamperscope::app::tls::{Message, Reader};

fn main() {
    divan::main();
}

/// A segment as most paths carry it.
const SEGMENT: usize = 1_460;

fn block(len_bytes: usize, content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes()[4 - len_bytes..], content].concat()
}

fn values(values: &[u16]) -> Vec<u8> {
    block(2, &values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<_>>())
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &block(2, &[&[kind], &block(3, body)[..]].concat())].concat()
}

/// A ClientHello with the lists of a browser, of `len` bytes: 517 as they were for years, 1,700 with a key share of X25519MLKEM768.
fn client_hello(len: usize) -> Vec<u8> {
    let groups = [0x2a2a, 0x11ec, 29, 23, 24];
    let algorithms = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
    let share = if len > 1_500 { 1_216 } else { 32 };
    let key_shares = block(2, &[&[0x2a, 0x2a, 0, 1, 0][..], &29_u16.to_be_bytes(), &block(2, &vec![7; share])].concat());
    let name = block(2, &[&[0], &block(2, b"web.whatsapp.com")[..]].concat());
    let mut extensions: Vec<u8> = [
        (0x1a1a, Vec::new()),
        (0, name),
        (23, Vec::new()),
        (0xff01, vec![0]),
        (10, values(&groups)),
        (11, vec![1, 0]),
        (35, Vec::new()),
        (16, block(2, b"\x02h2\x08http/1.1")),
        (5, vec![1, 0, 0, 0, 0]),
        (13, values(&algorithms)),
        (18, Vec::new()),
        (51, key_shares),
        (45, vec![1, 1]),
        (43, vec![6, 0x3a, 0x3a, 3, 4, 3, 3]),
        (27, vec![2, 0, 2]),
    ]
    .iter()
    .flat_map(|(kind, content): &(u16, Vec<u8>)| [&kind.to_be_bytes()[..], &block(2, content)].concat())
    .collect();
    let ciphers = [0x4a4a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035];
    let head = [&[3, 3][..], &[9; 32], &block(1, &[5; 32]), &values(&ciphers), &[1, 0]].concat();
    let padding = len - 9 - head.len() - 2 - extensions.len() - 4;
    extensions.extend_from_slice(&[&[0, 21][..], &block(2, &vec![0; padding])].concat());
    record(1, &[head, block(2, &extensions)].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, 0x82][..], &block(2, content)].concat()
}

/// A certificate for 30 hosts with a key and a signature of RSA's size.
fn certificate() -> Vec<u8> {
    let attribute = |kind: u8, text: &str| der(0x31, &der(0x30, &[der(6, &[0x55, 4, kind]), der(12, text.as_bytes())].concat()));
    let name = der(0x30, &[attribute(6, "US"), attribute(10, "Example Messengers, Inc."), attribute(3, "*.messenger.example")].concat());
    let algorithm = der(0x30, &der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]));
    let key = der(0x30, &[algorithm.clone(), der(3, &[0; 271])].concat());
    let validity = der(0x30, &[der(23, b"240101000000Z"), der(23, b"250101000000Z")].concat());
    let sans: Vec<u8> = (0..30).flat_map(|host| der(0x82, format!("edge-{host}.messenger.example").as_bytes())).collect();
    let extensions = der(0xa3, &der(0x30, &der(0x30, &[der(6, &[0x55, 0x1d, 17]), der(4, &der(0x30, &sans))].concat())));
    let parts = [der(0xa0, &der(2, &[2])), der(2, &[1; 16]), algorithm.clone(), name.clone(), validity, name, key, extensions];
    der(0x30, &[der(0x30, &parts.concat()), algorithm, der(3, &[0; 257])].concat())
}

/// A server of TLS 1.2 up to the end of its chain of three.
fn server() -> Vec<u8> {
    let hello = [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2f, 0], &block(2, &[0xff, 1, 0, 1, 0, 0, 11, 0, 2, 1, 0])].concat();
    let chain = block(3, &block(3, &certificate()).repeat(3));
    [record(2, &hello), record(11, &chain)].concat()
}

/// Reads a stream of which more and more is known.
fn read(stream: &[u8], segment: usize) -> usize {
    let mut reader = Reader::default();
    let (mut used, mut messages) = (0, 0);
    let mut known = stream.len().min(segment);
    loop {
        let step = reader.step(&stream[used..known]);
        used += step.used;
        match step.reading {
            Reading::Done(message) => {
                black_box::<Message>(message);
                messages += 1;
            }
            Reading::More if known < stream.len() => known = stream.len().min(known + segment),
            _ => return messages,
        }
    }
}

fn bench(bencher: Bencher<'_, '_>, stream: &[u8], segment: usize, messages: usize) {
    assert_eq!(read(stream, segment), messages);
    bencher.counter(ItemsCount::new(1_usize)).counter(BytesCount::new(stream.len())).bench_local(|| read(black_box(stream), segment));
}

/// A client's hello in one segment, by its bytes.
#[divan::bench(args = [517, 1_700])]
fn read_client_hello(bencher: Bencher<'_, '_>, len: usize) {
    bench(bencher, &client_hello(len), usize::MAX, 1);
}

/// The same in two.
#[divan::bench]
fn read_client_hello_in_two_segments(bencher: Bencher<'_, '_>) {
    bench(bencher, &client_hello(1_700), SEGMENT, 1);
}

/// A server's hello and its chain of certificates, in one piece and in segments.
#[divan::bench(args = [16_384, SEGMENT])]
fn read_server_hello_and_certificates(bencher: Bencher<'_, '_>, segment: usize) {
    bench(bencher, &server(), segment, 2);
}

/// Most first payloads are no TLS: how soon is that known?
#[divan::bench]
fn dismiss_what_is_no_hello(bencher: Bencher<'_, '_>) {
    bench(bencher, b"GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nAccept: */*\r\n\r\n", usize::MAX, 0);
}
