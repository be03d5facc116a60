//! A file of frames that stand for themselves and say how long they are: several are decoded at once, on all cores.
//!
//! Where the next frame does not say so, is too long to be held, or is not whole, the rest of the file is read as a stream.

use std::collections::VecDeque;
use std::io::{self, BufRead, Chain, Cursor, ErrorKind, Read};
use std::marker::PhantomData;

use rayon::prelude::*;

use super::pieces::Pieces;

/// Stored bytes that are read for one batch of frames, and the longest frame that is held.
const STORED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What the frames of one batch may hold together: the memory that this takes.
pub(super) const CONTENT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long a frame is, as far as its front tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// Bytes in the file, and at most so many in what it holds.
    Known {
        stored: usize,
        content: usize,
    },
    /// At least so many bytes are needed to tell.
    Needs(usize),
    Unknown,
}

/// A format made of frames.
pub(super) trait Framing {
    fn length(front: &[u8]) -> Length;
    /// What one whole frame holds, which is at most `content` bytes.
    fn decode(frame: &[u8], content: usize) -> io::Result<Vec<u8>>;
    /// What a file holds from a frame on, as a stream.
    fn stream(input: Box<dyn BufRead + Send>) -> io::Result<Box<dyn Read + Send>>;
}

pub(super) struct Frames<F> {
    state: State,
    framing: PhantomData<F>,
}

enum State {
    Batches(Batches),
    Stream(Pieces<Box<dyn Read + Send>>),
    Failed,
}

struct Batches {
    input: Box<dyn BufRead + Send>,
    /// Read, not yet decoded.
    stored: Vec<u8>,
    /// Decoded, not yet given out, and how much of the first piece is.
    ready: VecDeque<Vec<u8>>,
    given: usize,
    /// Of the first frame behind what is ready.
    error: Option<io::Error>,
    ended: bool,
}

impl<F: Framing> Frames<F> {
    pub(super) fn new(input: Box<dyn BufRead + Send>) -> Self {
        let batches = Batches { input, stored: Vec::new(), ready: VecDeque::new(), given: 0, error: None, ended: false };
        Self { state: State::Batches(batches), framing: PhantomData }
    }
}

impl<F: Framing> Read for Frames<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let batches = match &mut self.state {
                State::Stream(stream) => return stream.read(into),
                State::Failed => return Ok(0),
                State::Batches(batches) => batches,
            };
            let count = batches.give(into);
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            if let Some(error) = batches.error.take() {
                self.state = State::Failed;
                return Err(error);
            }
            let ends = batches.next_batch::<F>()?;
            match std::mem::replace(&mut self.state, State::Failed) {
                State::Batches(batches) if ends.is_empty() && batches.is_over() => return Ok(0),
                State::Batches(batches) if ends.is_empty() => self.state = State::Stream(Pieces::new(F::stream(Box::new(batches.rest()))?)),
                State::Batches(mut batches) => {
                    batches.decode::<F>(&ends);
                    self.state = State::Batches(batches);
                }
                other => self.state = other,
            }
        }
    }
}

/// All that a decoder gives, as long as it keeps to what its frame says.
pub(super) fn read_at_most(decoder: impl Read, content: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(content);
    decoder.take(content as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > content {
        return Err(io::Error::new(ErrorKind::InvalidData, "a frame that holds more than it says"));
    }
    Ok(bytes)
}

impl Batches {
    fn give(&mut self, into: &mut [u8]) -> usize {
        while let Some(piece) = self.ready.front() {
            let rest = &piece[self.given..];
            if !rest.is_empty() {
                let count = rest.len().min(into.len());
                into[..count].copy_from_slice(&rest[..count]);
                self.given += count;
                return count;
            }
            self.ready.pop_front();
            self.given = 0;
        }
        0
    }

    /// Reads stored bytes until a batch is full; where its frames end in them and how much each holds. None where the next frame is not one to be held.
    fn next_batch<F: Framing>(&mut self) -> io::Result<Vec<(usize, usize)>> {
        let (mut ends, mut start, mut content) = (Vec::new(), 0, 0);
        while content < CONTENT_BYTES_MAX {
            let length = F::length(&self.stored[start..]);
            let needed = match length {
                Length::Known { stored, content: holds } if stored <= STORED_BYTES_MAX && holds <= CONTENT_BYTES_MAX => {
                    content += holds;
                    start.saturating_add(stored)
                }
                Length::Needs(needed) if needed <= STORED_BYTES_MAX => start + needed,
                _ => break,
            };
            if needed > STORED_BYTES_MAX && !ends.is_empty() || !self.read_up_to(needed)? {
                break;
            }
            if let Length::Known { content, .. } = length {
                ends.push((needed, content));
                start = needed;
            }
        }
        Ok(ends)
    }

    /// Whether there are so many bytes.
    fn read_up_to(&mut self, count: usize) -> io::Result<bool> {
        while self.stored.len() < count && !self.ended {
            let buffered = match self.input.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                buffered => buffered?,
            };
            self.ended = buffered.is_empty();
            self.stored.extend_from_slice(buffered);
            let taken = buffered.len();
            self.input.consume(taken);
        }
        Ok(self.stored.len() >= count)
    }

    fn decode<F: Framing>(&mut self, ends: &[(usize, usize)]) {
        let starts = std::iter::once(0).chain(ends.iter().map(|&(end, _)| end));
        let frames: Vec<(&[u8], usize)> = starts.zip(ends).map(|(start, &(end, content))| (&self.stored[start..end], content)).collect();
        let decoded: Vec<io::Result<Vec<u8>>> = frames.into_par_iter().map(|(frame, content)| F::decode(frame, content)).collect();
        for content in decoded {
            match content {
                Ok(content) => self.ready.push_back(content),
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            }
        }
        self.stored.drain(..ends.last().map_or(0, |&(end, _)| end));
    }

    fn is_over(&self) -> bool {
        self.ended && self.stored.is_empty()
    }

    fn rest(self) -> Chain<Cursor<Vec<u8>>, Box<dyn BufRead + Send>> {
        Cursor::new(self.stored).chain(self.input)
    }
}
