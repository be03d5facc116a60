//! gzip: members one after the other (RFC 1952 section 2.2). Those of bgzip say how long they are, and are inflated side by side.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::GzDecoder;

use super::frames::{Frames, Framing, Length, read_at_most};

/// A block of bgzip holds no more (SAM specification section 4.1).
const BGZIP_BLOCK_BYTES_MAX: usize = 64 * 1024;
/// Header of a gzip member with one extra field of the bgzip kind, up to the block's length.
const BGZIP_HEADER: usize = 18;

pub(super) fn reader(input: Box<dyn BufRead + Send>) -> Frames<Bgzip> {
    Frames::new(input)
}

/// Blocks of bgzip (SAM specification section 4.1).
pub(super) struct Bgzip;

impl Framing for Bgzip {
    fn length(front: &[u8]) -> Length {
        match *front {
            [0x1f, 0x8b, 8, 4, _, _, _, _, _, _, 6, 0, b'B', b'C', 2, 0, low, high, ..] => {
                Length::Known { stored: usize::from(u16::from_le_bytes([low, high])) + 1, content: BGZIP_BLOCK_BYTES_MAX }
            }
            _ if front.len() < BGZIP_HEADER => Length::Needs(BGZIP_HEADER),
            _ => Length::Unknown,
        }
    }

    fn decode(block: &[u8], content: usize) -> io::Result<Vec<u8>> {
        read_at_most(GzDecoder::new(block), content)
    }

    fn stream(input: Box<dyn BufRead + Send>) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Members { decoder: Some(GzDecoder::new(input)) }))
    }
}

/// Members of any length. Zero bytes behind the last one are padding, as `gzip` has it; anything else is damage.
struct Members {
    decoder: Option<GzDecoder<Box<dyn BufRead + Send>>>,
}

impl Read for Members {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let count = decoder.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            let input = self.decoder.take().map(GzDecoder::into_inner);
            self.decoder = input.map(next_member).transpose()?.flatten();
        }
        Ok(0)
    }
}

fn next_member(mut input: Box<dyn BufRead + Send>) -> io::Result<Option<GzDecoder<Box<dyn BufRead + Send>>>> {
    let mut padded = false;
    loop {
        let buffered = input.fill_buf()?;
        let zeros = buffered.iter().take_while(|&&byte| byte == 0).count();
        match buffered.get(zeros) {
            Some(0x1f) if !padded && zeros == 0 => return Ok(Some(GzDecoder::new(input))),
            Some(_) => return Err(io::Error::new(ErrorKind::InvalidData, "bytes behind the last member that are no gzip")),
            None if zeros == 0 => return Ok(None),
            None => padded = true,
        }
        input.consume(zeros);
    }
}
