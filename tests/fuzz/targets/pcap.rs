//! Bytes behind the header of a pcap file: the size of rounds changes nothing, and what holds of every reading (`reading.rs`) holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tamperscope_fuzz::read;

/// Microseconds, nanoseconds, Kuznetzov's, Ixia's two.
const MAGICS: [u32; 5] = [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34, 0x1c00_01ac, 0x1c00_01ab];
/// The usual one, and those that order lengths otherwise.
const VERSIONS: [(u16, u16); 4] = [(2, 4), (2, 2), (2, 3), (543, 0)];

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, records)) = bytes.split_first() else { return };
    let file = [&header(kind)[..], records].concat();
    let (small, large) = (read(&file, 64), read(&file, 1 << 20));
    assert_eq!(small.records, large.records, "rounds change no record");
    assert_eq!(small.says(), large.says(), "rounds change no report");
});

/// The header of a file: byte order, dialect and version by the bits of one byte; 0 is what is written today.
fn header(kind: u8) -> Vec<u8> {
    let kind = usize::from(kind);
    let (is_big, magic, (major, minor)) = (kind & 1 == 1, MAGICS[kind / 2 % 5], VERSIONS[kind / 10 % 4]);
    let word = |word: u32| if is_big { word.to_be_bytes() } else { word.to_le_bytes() };
    let half = |half: u16| if is_big { half.to_be_bytes() } else { half.to_le_bytes() };
    let (version, rest) = ([half(major), half(minor)], [0, 0, 65_535, 1].map(word));
    [&word(magic)[..], version.as_flattened(), rest.as_flattened()].concat()
}
