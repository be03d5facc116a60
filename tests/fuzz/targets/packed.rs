//! Any bytes as a compressed file: reading ends, the size of rounds changes nothing, memory stays below the limit that scripts/fuzz gives the engine.
#![no_main]

use std::hash::{DefaultHasher, Hash, Hasher};

use libfuzzer_sys::fuzz_target;
use tamperscope_fuzz::read_with;

/// gzip, Zstandard, a skippable frame, LZ4, its legacy frame, xz, bzip2 and its empty stream.
const MAGICS: [&[u8]; 8] = [
    &[0x1f, 0x8b, 8],
    &[0x28, 0xb5, 0x2f, 0xfd],
    &[0x50, 0x2a, 0x4d, 0x18],
    &[0x04, 0x22, 0x4d, 0x18],
    &[0x02, 0x21, 0x4c, 0x18],
    b"\xfd7zXZ\0",
    b"BZh91AY&SY",
    b"BZh9\x17\x72\x45\x38\x50\x90",
];
/// Packets after which a file is a bomb: what more it holds is read no other way.
const BYTES_MAX: usize = 16 * 1024 * 1024;

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, rest)) = bytes.split_first() else { return };
    let magic = MAGICS.get(usize::from(kind)).copied().unwrap_or_default();
    let file = [magic, rest].concat();
    let (small, large) = (told(&file, 64), told(&file, 1 << 20));
    assert_eq!(small, large, "rounds change nothing");
});

/// What was read, in one number: a packed file may hold more than is wise to keep. None of a bomb.
fn told(file: &[u8], round_bytes: usize) -> Option<(u64, String)> {
    let (mut hasher, mut left) = (DefaultHasher::new(), BYTES_MAX);
    let report = read_with(file, round_bytes, |record, data| {
        (record.time, record.clock, record.link_type, record.interface, record.original, data).hash(&mut hasher);
        left = left.saturating_sub(data.len() + 16);
        left > 0
    })?;
    Some((hasher.finish(), format!("{report:?}")))
}
