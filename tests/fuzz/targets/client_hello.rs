//! A stream as TLS: what the clear part says does not depend on the segments it came in, and a cut shows no more than the whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tamperscope::app::Reading;
use tamperscope::app::tls::{Message, Reader};

/// The messages of a stream that grows by `segment` bytes, and whether the reader is done with it.
fn read(stream: &[u8], segment: usize) -> (Vec<Message>, bool) {
    let mut reader = Reader::default();
    let mut messages = Vec::new();
    let (mut used, mut known) = (0, 0);
    loop {
        let _no_panic = reader.client_hello_so_far(&stream[used..known]);
        let step = reader.step(&stream[used..known]);
        assert!(step.used <= known - used, "only bytes that came are used");
        used += step.used;
        match step.reading {
            Reading::Done(message) => {
                if let Message::ClientHello(hello) = &message {
                    assert_eq!(hello.stream_bytes as usize, used, "a hello ends with its last byte");
                }
                messages.push(message);
            }
            Reading::More if known < stream.len() => known = stream.len().min(known + segment),
            reading => return (messages, reading == Reading::Not),
        }
    }
}

fuzz_target!(|stream: &[u8]| {
    let whole = read(stream, usize::MAX);
    for segment in [1, 7, 100] {
        assert_eq!(read(stream, segment), whole, "segments of {segment} bytes");
    }
});
