//! A connection as datagrams: whatever comes, reading ends, memory stays bounded, and what was learnt stays learnt.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tamperscope::app::Reading;
use tamperscope::app::quic::{Reader, short_header_id, version_name};
use tamperscope::model::Side;

/// Two directions of four attempts of 64 KiB, and what stands around them.
const HELD_MAX: usize = 600 * 1024;

fuzz_target!(|datagrams: Vec<(bool, Vec<u8>)>| {
    let mut reader = Reader::default();
    let (mut has_hello, mut done) = (false, false);
    for (from_low, datagram) in &datagrams {
        let sender = if *from_low { Side::Low } else { Side::High };
        let reading = reader.take(sender, datagram);
        assert!(!done || reading == Reading::Done(()), "done stays done");
        assert!(reading != Reading::Not || reader.facts().version.is_none(), "what was recognised stays so");
        assert!(reader.held() <= HELD_MAX);
        done = reading == Reading::Done(());
        has_hello |= reader.facts().has_hello();
        assert_eq!(reader.facts().has_hello(), has_hello);
        let _no_panic = short_header_id(datagram);
    }
    let facts = reader.into_facts();
    let _no_panic = (facts.version.map(version_name), facts.transport_parameters.to_string());
});
