//! What does it cost to read a DNS message, or the head of an HTTP request?
//!
//! Bytes that a client or a resolver would send, from memory, on one thread; what is read is dropped again. Unit: messages per second. A response costs by its
//! answers: each has a name of its own.

use divan::Bencher;
use divan::counter::ItemsCount;
use tamperscope::app::dns::Message;
use tamperscope::app::{Reading, http};

const NAME: &[u8] = b"\x03web\x08whatsapp\x03com\0";
const TYPE_A_AND_CLASS: [u8; 4] = [0, 1, 0, 1];
const REQUEST: &str = "GET /api/v1/updates?since=1700000000 HTTP/1.1\r\nHost: web.whatsapp.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef\r\nUpgrade-Insecure-Requests: 1\r\n\r\n";

fn main() {
    divan::main();
}

#[divan::bench]
fn of_a_dns_query(bencher: Bencher<'_, '_>) {
    let query = message(0x0100, 0);
    bencher.counter(ItemsCount::new(1_u32)).bench(|| Message::read(&query).expect("a query"));
}

#[divan::bench(args = [1, 10])]
fn of_a_dns_response_by_answers(bencher: Bencher<'_, '_>, answers: u8) {
    let response = message(0x8180, answers);
    bencher.counter(ItemsCount::new(1_u32)).bench(|| {
        let message = Message::read(&response).expect("a response");
        assert_eq!(message.answers.len(), usize::from(answers), "all answers are read");
    });
}

#[divan::bench]
fn of_an_http_request(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(1_u32)).bench(|| assert!(matches!(http::request(REQUEST.as_bytes()), Reading::Done(_)), "a request is read"));
}

/// A question, and addresses that point to its name.
fn message(flags: u16, answers: u8) -> Vec<u8> {
    let start = [0x1234, flags, 1, answers.into(), 0, 0].map(u16::to_be_bytes);
    let answer = |last| [&[0xc0, 12][..], &TYPE_A_AND_CLASS, &[0, 0, 0, 60, 0, 4, 157, 240, 0, last]].concat();
    [start.as_flattened(), NAME, &TYPE_A_AND_CLASS, &(0..answers).flat_map(answer).collect::<Vec<_>>()].concat()
}
