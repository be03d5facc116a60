//! What stands before an inner stream: whatever arrives later, an answer that was given stays, and the inner stream begins inside what has come.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use tamperscope::app::{Reading, proxy_header, socks, start_tls};

fuzz_target!(|stream: &[u8]| {
    let stream = &stream[..stream.len().min(512)];
    settled(stream, socks::request, |request| request.used);
    settled(stream, socks::reply, |reply| reply.used);
    settled(stream, proxy_header::header, |header| header.used);
    settled(stream, start_tls::inner_start, |start| *start);
});

fn settled<T: Debug + PartialEq>(stream: &[u8], read: impl Fn(&[u8]) -> Reading<T>, used: impl Fn(&T) -> usize) {
    let mut answer = Reading::More;
    for end in 0..=stream.len() {
        let now = read(&stream[..end]);
        assert!(answer == Reading::More || now == answer, "{answer:?} became {now:?} with byte {end}");
        if let Reading::Done(fact) = &now {
            assert!(used(fact) <= end);
        }
        answer = now;
    }
}
