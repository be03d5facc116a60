//! Blocks behind a section header of pcapng: the size of rounds changes nothing, and what holds of every reading (`reading.rs`) holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tamperscope_fuzz::read;

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, blocks)) = bytes.split_first() else { return };
    let file = [&section_header(kind & 1 == 1)[..], blocks].concat();
    let (small, large) = (read(&file, 64), read(&file, 1 << 20));
    assert_eq!(small.records, large.records, "rounds change no record");
    assert_eq!(small.says(), large.says(), "rounds change no report");
});

/// Type, length, byte-order magic, version 1.0, unknown length of the section, length.
fn section_header(is_big: bool) -> Vec<u8> {
    let version = if is_big { 0x0001_0000 } else { 0x0000_0001 };
    let words = [0x0a0d_0d0a, 28, 0x1a2b_3c4d, version, u32::MAX, u32::MAX, 28];
    words.map(|word: u32| if is_big { word.to_be_bytes() } else { word.to_le_bytes() }).concat()
}
