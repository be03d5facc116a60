//! One direction of HTTP/2: where the segments end changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tamperscope::app::Reading;
use tamperscope::app::http2::Reader;

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (is_client, segment, frames) = input;
    let preface: &[u8] = if is_client { b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" } else { b"" };
    // Settings come first.
    let stream = [preface, &[0, 0, 0, 4, 0, 0, 0, 0, 0], frames].concat();
    let reader = || if is_client { Reader::client() } else { Reader::server() };
    let whole = reader().step(&stream);
    assert!(whole.used <= stream.len());

    let (mut torn, mut used) = (reader(), 0);
    for end in (0..stream.len()).step_by(usize::from(segment) + 1).chain([stream.len()]) {
        let step = torn.step(&stream[used..end]);
        used += step.used;
        if step.reading != Reading::More || end == stream.len() {
            assert_eq!((step.reading, used), (whole.reading, whole.used));
            return;
        }
    }
});
