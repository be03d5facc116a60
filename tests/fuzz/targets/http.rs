//! The first bytes of a stream as HTTP/1: whatever arrives later, an answer that was given stays.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use tamperscope::app::Reading;
use tamperscope::app::http::{request, request_so_far, response, response_so_far, title};

fuzz_target!(|stream: &[u8]| {
    let stream = &stream[..stream.len().min(1024)];
    if let Reading::Done(request) = settled(stream, request) {
        assert!(request.head_bytes <= stream.len());
        assert_eq!(request_so_far(stream), Some(request));
    }
    if let Reading::Done(response) = settled(stream, response) {
        assert!(response.head_bytes <= stream.len());
        assert_eq!(response_so_far(stream), Some(response));
    }
    let _no_panic = (request_so_far(stream), response_so_far(stream));
    assert!(title(stream).is_none_or(|title| title.chars().count() <= 256));
});

/// What `read` says in the end; it may say nothing else before but that it needs more.
fn settled<T: Debug + PartialEq>(stream: &[u8], read: impl Fn(&[u8]) -> Reading<T>) -> Reading<T> {
    let mut answer = Reading::More;
    for end in 0..=stream.len() {
        let now = read(&stream[..end]);
        assert!(answer == Reading::More || now == answer, "{answer:?} became {now:?} with byte {end}");
        answer = now;
    }
    answer
}
