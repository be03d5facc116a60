//! The first bytes of one direction in order, whatever way the segments came.
//!
//! Segments may be late, early, repeated or overlap. Where two disagree the bytes that came first stay.

use crate::model::SeqNumber;

use super::limits;

/// The start of a stream as far as it is known without a hole.
#[derive(Debug)]
pub struct StreamHead {
    /// Sequence number of the first byte.
    start: SeqNumber,
    bytes: Vec<u8>,
    /// Segments behind a hole, by distance from the start.
    ahead: Vec<(usize, Vec<u8>)>,
}

/// What is known of a stream without a hole after a segment came.
pub enum Contiguous<'a> {
    /// This segment is the start and nothing had to be kept: the bytes are the packet's own.
    Direct(&'a [u8]),
    /// The kept bytes grew.
    Grown(&'a [u8]),
    /// Nothing new in order.
    Unchanged,
}

impl StreamHead {
    pub fn new(start: SeqNumber) -> Self {
        Self { start, bytes: Vec::new(), ahead: Vec::new() }
    }

    pub fn start(&self) -> SeqNumber {
        self.start
    }

    /// Bytes held in memory.
    pub fn held(&self) -> usize {
        self.bytes.len() + self.ahead.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }

    /// Takes a segment in. Where it is the very start of the stream nothing is copied: the caller says with [`Self::keep`] if it wants more.
    pub fn take<'a>(&'a mut self, seq: SeqNumber, payload: &'a [u8]) -> Contiguous<'a> {
        let offset = seq.offset_from(self.start);
        if offset == 0 && self.bytes.is_empty() && self.ahead.is_empty() {
            return Contiguous::Direct(payload);
        }
        let before = self.bytes.len();
        self.insert(offset, payload);
        if self.bytes.len() > before { Contiguous::Grown(&self.bytes) } else { Contiguous::Unchanged }
    }

    /// Keeps bytes that were given out directly, since more must follow before they make sense.
    pub fn keep(&mut self, payload: &[u8]) {
        self.insert(0, payload);
    }

    /// Drops bytes at the front that are done with; those of a segment that was given out directly need not have been kept.
    pub fn skip(&mut self, used: usize) {
        self.start = self.start.plus(used as u32);
        self.bytes.drain(..used.min(self.bytes.len()));
        for (from, _) in &mut self.ahead {
            *from = from.saturating_sub(used);
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() >= limits::HEAD_BYTES_MAX
    }

    fn insert(&mut self, offset: i32, payload: &[u8]) {
        let skipped = offset.min(0).unsigned_abs() as usize;
        let (from, payload) = (offset.max(0) as usize, payload.get(skipped..).unwrap_or_default());
        let room = limits::HEAD_BYTES_MAX.saturating_sub(from);
        let payload = &payload[..payload.len().min(room)];
        if payload.is_empty() || from + payload.len() <= self.bytes.len() {
            return;
        }
        if from <= self.bytes.len() {
            self.bytes.extend_from_slice(&payload[self.bytes.len() - from..]);
            self.join_ahead();
        } else if self.ahead.len() < limits::HEAD_SEGMENTS_AHEAD_MAX
            && !self.ahead.iter().any(|(at, bytes)| *at == from && bytes.len() >= payload.len())
        {
            self.ahead.push((from, payload.to_vec()));
        }
    }

    /// Appends what had waited for the hole to be filled, in the order of arrival where two would fit.
    fn join_ahead(&mut self) {
        while let Some(next) = self.ahead.iter().position(|(from, _)| *from <= self.bytes.len()) {
            let (from, payload) = self.ahead.remove(next);
            if let Some(new) = payload.get(self.bytes.len() - from..) {
                self.bytes.extend_from_slice(new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(segments: &[(u32, &[u8])]) -> Vec<u8> {
        let mut head = StreamHead::new(SeqNumber(u32::MAX - 1));
        for (offset, payload) in segments {
            if let Contiguous::Direct(bytes) = head.take(SeqNumber(u32::MAX - 1).plus(*offset), payload) {
                let bytes = bytes.to_vec();
                head.keep(&bytes);
            }
        }
        head.bytes
    }

    #[test]
    fn late_and_overlapping_segments_give_one_stream() {
        assert_eq!(read(&[(3, b"lo w"), (0, b"hell"), (5, b" wor"), (8, b"rld")]), b"hello world");
    }

    #[test]
    fn bytes_that_came_first_stay() {
        assert_eq!(read(&[(0, b"true"), (2, b"XXbut more")]), b"truebut more");
    }

    #[test]
    fn a_hole_hides_what_comes_behind_it() {
        assert_eq!(read(&[(0, b"he"), (4, b"o")]), b"he");
    }

    #[test]
    fn no_stream_grows_beyond_its_limit() {
        let long = vec![7; 3 * limits::HEAD_BYTES_MAX];
        assert_eq!(read(&[(0, &long)]).len(), limits::HEAD_BYTES_MAX);
    }

    proptest! {
        /// Cut, repeat and shuffle as you like: the stream reads the same.
        #[test]
        fn segmentation_never_changes_the_stream(
            text in proptest::collection::vec(any::<u8>(), 1..400),
            cuts in proptest::collection::vec((0usize..400, 1usize..120), 0..24),
            order in any::<u64>(),
        ) {
            let mut segments: Vec<(u32, Vec<u8>)> = cuts.iter()
                .map(|&(from, len)| (from.min(text.len()), (from + len).min(text.len())))
                .map(|(from, to)| (from as u32, text[from..to].to_vec())).collect();
            segments.extend(text.chunks(37).enumerate().map(|(index, chunk)| (index as u32 * 37, chunk.to_vec())));
            let len = segments.len();
            (0..len).for_each(|index| segments.swap(index, (order.rotate_left(index as u32) % len as u64) as usize));
            let borrowed: Vec<(u32, &[u8])> = segments.iter().map(|(at, bytes)| (*at, bytes.as_slice())).collect();
            let head = read(&borrowed);
            prop_assert!(text.starts_with(&head));
            if len <= limits::HEAD_SEGMENTS_AHEAD_MAX { prop_assert_eq!(head, text); }
        }
    }
}
