//! Captures written by hand, so that it is known what stands where.
//!
//! No byte of a payload is below 0x80, and no byte of a header from 0x60 to 0x67 but the highest of the seconds: then no other place of the file looks
//! like a record of that time, and what a reader finds beside the true records it has made up. Real captures hold such places, in one byte of some
//! 2^38; a fuzzer would find each of them.

use std::ops::Range;

/// Formats, byte orders, units.
#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
pub struct Format {
    pub pcapng: bool,
    pub big: bool,
    pub nanos: bool,
}

/// A file, and where its records stand in it.
pub struct Written {
    pub bytes: Vec<u8>,
    pub records: Vec<Range<usize>>,
}

/// In October 2023: its highest byte, and those of a year around, stand nowhere else.
const SECONDS: u32 = 0x653f_8080;
/// A packet holds an IP header at the least. Records of next to nothing but their header read alike at several places, as no capture does.
const PAYLOAD_BYTES_MIN: usize = 20;
/// Beyond this, lengths say nothing new.
const PAYLOAD_BYTES_MAX: usize = 600;

/// A file of packets: seconds after the one before, fraction of a second, payload.
pub fn write(format: Format, packets: &[(u8, u16, Vec<u8>)]) -> Written {
    let mut file = File { format, bytes: Vec::new() };
    file.begin();
    let mut records = Vec::new();
    for (at, (later, fraction, payload)) in packets.iter().enumerate() {
        let seconds = SECONDS + (at as u32 % 0x40) * 0x100 + u32::from(later % 0x40);
        let start = file.bytes.len();
        file.packet(seconds, clear(u32::from(*fraction)), &payload_of(payload));
        records.push(start..file.bytes.len());
    }
    Written { bytes: file.bytes, records }
}

/// None of its bytes looks like the highest of the seconds.
fn clear(number: u32) -> u32 {
    u32::from_le_bytes(number.to_le_bytes().map(|byte| if (0x60..0x68).contains(&byte) { byte ^ 0x80 } else { byte }))
}

fn payload_of(bytes: &[u8]) -> Vec<u8> {
    let length = clear(bytes.len().clamp(PAYLOAD_BYTES_MIN, PAYLOAD_BYTES_MAX) as u32) as usize;
    (0..length).map(|at| bytes.get(at).copied().unwrap_or(0) | 0x80).collect()
}

struct File {
    format: Format,
    bytes: Vec<u8>,
}

impl File {
    fn begin(&mut self) {
        if self.format.pcapng {
            self.block(0x0a0d_0d0a, &[0x1a2b_3c4d, if self.format.big { 0x0001_0000 } else { 0x0000_0001 }, u32::MAX, u32::MAX], &[]);
            let resolution = if self.format.nanos { 9 } else { 6 };
            let (link, option) = if self.format.big { (0x0001_0000, 0x0009_0001) } else { (1, 0x0001_0009) };
            self.block(1, &[link, 0, option], &[resolution, 0, 0, 0, 0, 0, 0, 0]);
        } else {
            let version = if self.format.big { 0x0002_0004 } else { 0x0004_0002 };
            self.words(&[if self.format.nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }, version, 0, 0, 65_535, 1]);
        }
    }

    fn packet(&mut self, seconds: u32, fraction: u32, payload: &[u8]) {
        let length = payload.len() as u32;
        if self.format.pcapng {
            let units = if self.format.nanos { 1_000_000_000 } else { 1_000_000 };
            let ticks = u64::from(seconds) * units + u64::from(fraction);
            self.block(6, &[0, (ticks >> 32) as u32, ticks as u32, length, length], payload);
        } else {
            self.words(&[seconds, fraction, length, length]);
            self.bytes.extend(payload);
        }
    }

    fn block(&mut self, kind: u32, fields: &[u32], rest: &[u8]) {
        let length = 12 + fields.len() * 4 + rest.len().next_multiple_of(4);
        self.words(&[kind, length as u32]);
        self.words(fields);
        self.bytes.extend(rest);
        self.bytes.resize(self.bytes.len() + rest.len().next_multiple_of(4) - rest.len(), 0x80);
        self.words(&[length as u32]);
    }

    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.bytes.extend(if self.format.big { word.to_be_bytes() } else { word.to_le_bytes() });
        }
    }
}
