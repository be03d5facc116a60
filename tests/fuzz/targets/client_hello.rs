//! The first bytes of a stream as TLS: whatever arrives later, an answer that was given stays.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tamperscope::app::Reading;
use tamperscope::app::tls::{Message, client_hello_so_far, first_message};

fuzz_target!(|stream: &[u8]| {
    let mut answer = Reading::More;
    for end in 0..=stream.len() {
        let now = first_message(&stream[..end]);
        assert!(answer == Reading::More || now == answer, "{answer:?} became {now:?} with byte {end}");
        if let (Reading::Done(Message::ClientHello(hello)), Reading::More) = (&now, &answer) {
            assert_eq!(hello.stream_bytes as usize, end, "a hello is read with its last byte");
        }
        let _no_panic = client_hello_so_far(&stream[..end]);
        answer = now;
    }
});
