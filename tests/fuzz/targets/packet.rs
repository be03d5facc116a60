//! Bytes as a frame of any link type: what is found lies inside the frame, every record is in one account, and what stands around it plays no part.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tamperscope::packet::{Decoded, Fragments, Packet, PayloadRange, decode, decode_whole};
use tamperscope_fuzz::record_of;

/// A frame of 802.11 may hold several packets; each takes a header of its own (IEEE 802.11-2020 clause 9.3.2.2).
const MSDU_HEADER_BYTES: usize = 14;

fuzz_target!(|bytes: &[u8]| {
    let Some((&[low, high, missing], frame)) = bytes.split_first_chunk() else { return };
    let link_type = u16::from_le_bytes([low, high]);
    let original = frame.len() + usize::from(missing);
    let alone = found(link_type, frame, original, 0, 0);
    let outcomes = alone.iter().filter(|found| **found != "quote").count();
    assert!((1..=1 + frame.len() / MSDU_HEADER_BYTES).contains(&outcomes), "every record is in one account, and none in more than it has packets");
    assert_eq!(alone, found(link_type, frame, original, 7, 0xdd), "what stands around a frame plays no part");
});

/// What is found in a frame with `around` other bytes on both sides, in words that do not tell where it stood.
fn found(link_type: u16, frame: &[u8], original: usize, around: usize, filling: u8) -> Vec<String> {
    let mut round = [&vec![filling; around][..], frame, &vec![filling; around][..]].concat();
    let place = around..around + frame.len();
    let mut waiting = Vec::new();
    decode(&record_of(link_type, around, frame.len(), original, 1), &round, |found| waiting.push(found));
    let (mut fragments, mut words) = (Fragments::default(), Vec::new());
    for found in waiting {
        let Decoded::Fragment(fragment) = found else {
            words.push(word(&found, &round, place.start, place.end));
            continue;
        };
        let end = round.len();
        match fragments.take(&fragment, &mut round) {
            Some(whole) => decode_whole(&whole, &round, |found| words.push(word(&found, &round, end, round.len()))),
            None => words.push("waits".into()),
        }
    }
    words
}

fn word(found: &Decoded, round: &[u8], start: usize, end: usize) -> String {
    match found {
        Decoded::Packet(packet) => of_packet(packet, round, start, end),
        Decoded::Quote(_) => "quote".into(),
        Decoded::Fragment(_) => "fragment".into(),
        Decoded::NotIp => "not IP".into(),
        Decoded::Undecoded => "undecoded".into(),
    }
}

fn of_packet(packet: &Packet, round: &[u8], start: usize, end: usize) -> String {
    let PayloadRange { start: from, captured } = packet.payload;
    let range = from as usize..from as usize + captured as usize;
    if captured > 0 {
        assert!(start <= range.start && range.end <= end, "a payload lies inside its frame: {range:?} of {start}..{end}");
    }
    assert!(captured <= packet.payload_bytes, "no more is captured than was on the wire");
    let payload = packet.payload.of(round);
    assert_eq!(payload.len(), captured as usize);
    format!("{:?} {payload:?}", Packet { payload: PayloadRange::default(), ..packet.clone() })
}
