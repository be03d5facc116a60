//! LZ4 frames one after the other (LZ4 frame format 1.6.4), skippable ones passed over.
//!
//! `lz4_flex` decodes a frame, but takes the end of the file between two blocks for the end of the frame. So a file cut there is told from a whole one
//! here: in a whole frame nobody asks for bytes that are not there.

use std::io::{self, BufRead, ErrorKind, Read};

use lz4_flex::frame::FrameDecoder;

use super::is_skippable;

/// Frames of the first version of the format: they have no end mark, so that a cut between two blocks cannot be told.
const LEGACY_MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];

pub(super) struct Lz4Frames<R: BufRead> {
    decoder: FrameDecoder<Frame<R>>,
    inside: bool,
}

/// The file from the beginning of a frame on: its magic, which was looked at already, and what comes behind.
struct Frame<R> {
    magic: [u8; 4],
    magic_left: usize,
    input: R,
    /// Asked for bytes behind the end of the file.
    in_vain: bool,
}

impl<R: BufRead> Lz4Frames<R> {
    pub(super) fn new(input: R) -> Self {
        Self { decoder: FrameDecoder::new(Frame { magic: [0; 4], magic_left: 0, input, in_vain: false }), inside: false }
    }
}

impl<R: BufRead> Frame<R> {
    /// Goes to the next frame, past skippable ones; false at the end of the file.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.input.fill_buf()?.is_empty() {
            self.input.read_exact(&mut self.magic)?;
            if !is_skippable(self.magic) {
                self.magic_left = self.magic.len();
                return Ok(true);
            }
            let mut length = [0; 4];
            self.input.read_exact(&mut length)?;
            let length = u64::from(u32::from_le_bytes(length));
            if io::copy(&mut (&mut self.input).take(length), &mut io::sink())? < length {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Frame<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.magic_left > 0 {
            let mut magic = &self.magic[self.magic.len() - self.magic_left..];
            let count = magic.read(into)?;
            self.magic_left -= count;
            return Ok(count);
        }
        let count = self.input.read(into)?;
        self.in_vain |= count == 0 && !into.is_empty();
        Ok(count)
    }
}

impl<R: BufRead> Read for Lz4Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.inside && !self.decoder.get_mut().begin()? {
                return Ok(0);
            }
            self.inside = true;
            let count = self.decoder.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            let frame = self.decoder.get_ref();
            if frame.in_vain && frame.magic != LEGACY_MAGIC {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.inside = false;
        }
    }
}
