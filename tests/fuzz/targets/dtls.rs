//! Datagrams as DTLS: each begins with a two-byte length. Every datagram comes twice; a message is given out once, and what waits is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tamperscope::app::Reading;
use tamperscope::app::dtls::Reader;
use tamperscope::app::tls::Message;

fn datagrams(mut input: &[u8]) -> Vec<&[u8]> {
    let mut datagrams = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk::<2>() {
        let (datagram, behind) = rest.split_at(rest.len().min(u16::from_be_bytes(*length).into()));
        datagrams.push(datagram);
        input = behind;
    }
    datagrams
}

fuzz_target!(|input: &[u8]| {
    let mut reader = Reader::default();
    let mut hellos = 0;
    for datagram in datagrams(input) {
        for _again in 0..2 {
            if let Reading::Done(messages) = reader.take(datagram) {
                assert!(!messages.is_empty());
                hellos += messages.iter().filter(|message| !matches!(message, Message::Alert(_))).count();
            }
            assert!(reader.held() <= 32_768);
        }
    }
    assert!(hellos <= 64, "one for each number that a message can have");
});
