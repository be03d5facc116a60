//! First payloads of a flow: whatever they are, each recogniser answers at most once, the surest first.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tamperscope::app::heads::{HEAD_BYTES, Heads, PAYLOADS_PER_SIDE, Payload, recognise};
use tamperscope::model::{PerSide, Protocol, Side};

/// Whether the low side sent it, its length on the wire, its first bytes.
type Said = (bool, u16, Vec<u8>);

fuzz_target!(|input: (bool, bool, u16, u16, Vec<Said>)| {
    let (is_tcp, client_is_low, low_port, high_port, payloads) = input;
    let side = |low| if low { Side::Low } else { Side::High };
    let protocol = if is_tcp { Protocol::TCP } else { Protocol::UDP };
    let mut heads = Heads::default();
    for (low, len, mut bytes) in payloads.into_iter().take(2 * PAYLOADS_PER_SIDE) {
        bytes.truncate(HEAD_BYTES);
        let stream = &mut heads.streams[side(low)];
        stream.extend(bytes.iter().take(HEAD_BYTES - stream.len()));
        heads.payloads.push(Payload { sender: side(low), len: len.into(), bytes });
    }
    let found = recognise(&heads, side(client_is_low), protocol, PerSide([low_port, high_port]));
    assert!(found.is_sorted_by_key(|recognised| recognised.strength));
    for (position, recognised) in found.iter().enumerate() {
        assert!(found[..position].iter().all(|other| other.id != recognised.id), "{} twice", recognised.id);
    }
});
