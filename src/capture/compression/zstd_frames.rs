//! Zstandard frames one after the other (RFC 8878 section 3.1), skippable ones passed over. Where a file has several (`pzstd`, the seekable format,
//! files that were joined), they are decoded side by side.

use std::io::{self, BufRead, Read};

use super::frames::{CONTENT_BYTES_MAX, Frames, Framing, Length, read_at_most};
use super::is_skippable;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Magic and the longest header of a frame (RFC 8878 section 3.1.1.1).
const HEADER_BYTES_MAX: usize = 18;
const BLOCK_HEADER_BYTES: usize = 3;
/// Type of a block that is one byte, repeated (section 3.1.1.2.2).
const RLE_BLOCK: u32 = 1;
const RESERVED_BLOCK: u32 = 3;

pub(super) fn reader(input: Box<dyn BufRead + Send>) -> Frames<Zstd> {
    Frames::new(input)
}

pub(super) struct Zstd;

impl Framing for Zstd {
    fn length(front: &[u8]) -> Length {
        match *front {
            [a, b, c, d, e, f, g, h, ..] if is_skippable([a, b, c, d]) => match usize::try_from(u32::from_le_bytes([e, f, g, h])) {
                Ok(length) => Length::Known { stored: length.saturating_add(8), content: 0 },
                Err(_) => Length::Unknown,
            },
            _ if front.len() < HEADER_BYTES_MAX => Length::Needs(HEADER_BYTES_MAX),
            _ if front.starts_with(&MAGIC) => frame(front).unwrap_or(Length::Unknown),
            _ => Length::Unknown,
        }
    }

    fn decode(frame: &[u8], content: usize) -> io::Result<Vec<u8>> {
        if !frame.starts_with(&MAGIC) {
            return Ok(Vec::new());
        }
        read_at_most(zstd::stream::read::Decoder::with_buffer(frame)?, content)
    }

    fn stream(input: Box<dyn BufRead + Send>) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(zstd::stream::read::Decoder::with_buffer(input)?))
    }
}

/// The length of the frame, by its header and the headers of its blocks; none where the frame does not say how much it holds.
fn frame(bytes: &[u8]) -> Option<Length> {
    let descriptor = *bytes.get(4)?;
    let single_segment = descriptor & 0x20 != 0;
    let window = usize::from(!single_segment);
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size_bytes = match descriptor >> 6 {
        0 if single_segment => 1,
        0 => return None,
        flag => 1 << flag,
    };
    let size_at = 5 + window + dictionary;
    let mut size = [0; 8];
    size[..size_bytes].copy_from_slice(bytes.get(size_at..size_at + size_bytes)?);
    // Two bytes count from 256 on (section 3.1.1.1.4).
    let content = u64::from_le_bytes(size).checked_add(if size_bytes == 2 { 256 } else { 0 })?;
    let content = usize::try_from(content).ok().filter(|&content| content <= CONTENT_BYTES_MAX)?;
    let mut at = size_at + size_bytes;
    loop {
        let Some(&[a, b, c]) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else {
            return Some(Length::Needs(at + BLOCK_HEADER_BYTES));
        };
        let header = u32::from_le_bytes([a, b, c, 0]);
        let (is_last, kind, size) = (header & 1 != 0, header >> 1 & 3, header >> 3);
        if kind == RESERVED_BLOCK {
            return None;
        }
        at += BLOCK_HEADER_BYTES + if kind == RLE_BLOCK { 1 } else { size as usize };
        if is_last {
            let checksum = if descriptor & 4 != 0 { 4 } else { 0 };
            return Some(Length::Known { stored: at + checksum, content });
        }
    }
}
