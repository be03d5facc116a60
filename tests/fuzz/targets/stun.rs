//! STUN in datagrams and streams: a message that a datagram holds is the same at the start of a stream, and every shorter stream asks for more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tamperscope::app::ParseError;
use tamperscope::app::stun::{ATTRIBUTES_MAX, ChannelData, Message, Wrapping};

fuzz_target!(|bytes: &[u8]| {
    let _no_panic = (ChannelData::read(bytes), Message::read_stream(bytes));
    let Ok(message) = Message::read(bytes) else { return };
    assert!(message.attributes.len() <= ATTRIBUTES_MAX);
    if message.wrapping == Wrapping::Plain {
        assert_eq!(Message::read_stream(bytes), Ok((message, bytes.len())));
        for end in 0..bytes.len() {
            assert!(matches!(Message::read_stream(&bytes[..end]), Err(ParseError::Truncated { .. })), "{end} bytes");
        }
    }
});
