//! Where TLS records end in a stream: tells whether a sender fell silent in the middle of one.
//!
//! Only record headers are looked at (RFC 8446 section 5.1), so that nothing is kept but where the next one stands. With a hole in the stream the place is
//! lost, and nothing is said any more.

use crate::model::SeqNumber;

const HEADER_BYTES: usize = 5;

/// Follows the records of one direction from its first byte.
#[derive(Clone, Copy, Debug, Default)]
pub enum RecordTracker {
    /// Nothing came yet.
    #[default]
    Start,
    Inside {
        /// The next byte of the stream.
        next: SeqNumber,
        /// Bytes of the current record still to come.
        left: u32,
        /// The part of a header that has come.
        header: [u8; HEADER_BYTES],
        known: u8,
    },
    /// The place is lost, or this is no TLS.
    Lost,
}

impl RecordTracker {
    /// Takes a segment of the stream; `missing` bytes of its end are not in the capture.
    pub fn take(&mut self, seq: SeqNumber, payload: &[u8], missing: u32) {
        if let Self::Start = self {
            *self = Self::Inside { next: seq, left: 0, header: [0; HEADER_BYTES], known: 0 };
        }
        let Self::Inside { next, .. } = self else { return };
        let seen = next.offset_from(seq);
        if seen < 0 {
            *self = Self::Lost;
            return;
        }
        let Some(new) = payload.get(seen as usize..) else { return };
        if !self.advance(new) || (missing > 0 && !self.skip(missing)) {
            *self = Self::Lost;
        }
    }

    /// Whether the stream stopped inside a record. None where that is not known.
    pub fn is_unfinished(&self) -> Option<bool> {
        match self {
            Self::Inside { left, known, .. } => Some(*left > 0 || *known > 0),
            Self::Start | Self::Lost => None,
        }
    }

    fn advance(&mut self, mut bytes: &[u8]) -> bool {
        let Self::Inside { next, left, header, known } = self else { return false };
        *next = next.plus(bytes.len() as u32);
        while !bytes.is_empty() {
            let skipped = bytes.len().min(*left as usize);
            *left -= skipped as u32;
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(HEADER_BYTES - usize::from(*known));
            if *left > 0 || taken == 0 {
                continue;
            }
            header[usize::from(*known)..][..taken].copy_from_slice(&bytes[..taken]);
            *known += taken as u8;
            bytes = &bytes[taken..];
            if usize::from(*known) == HEADER_BYTES {
                if !(20..=24).contains(&header[0]) || header[1] != 3 {
                    return false;
                }
                *left = u32::from(u16::from_be_bytes([header[3], header[4]]));
                *known = 0;
            }
        }
        true
    }

    /// Passes over bytes that were not captured: possible only inside a record.
    fn skip(&mut self, missing: u32) -> bool {
        let Self::Inside { next, left, .. } = self else { return false };
        *next = next.plus(missing);
        *left >= missing && {
            *left -= missing;
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(len: usize) -> Vec<u8> {
        [&[23, 3, 3][..], &(len as u16).to_be_bytes(), &vec![0xaa; len]].concat()
    }

    fn follow(segments: &[(u32, &[u8])]) -> Option<bool> {
        let mut tracker = RecordTracker::default();
        segments.iter().for_each(|(seq, payload)| tracker.take(SeqNumber(*seq), payload, 0));
        tracker.is_unfinished()
    }

    #[test]
    fn a_stream_that_stops_between_records_is_finished() {
        let stream = [record(100), record(7)].concat();
        assert_eq!(follow(&[(0, &stream)]), Some(false));
    }

    #[test]
    fn a_stream_that_stops_inside_a_record_or_its_header_is_not() {
        let stream = [record(100), record(7)].concat();
        assert_eq!(follow(&[(0, &stream[..60])]), Some(true));
        assert_eq!(follow(&[(0, &stream[..107])]), Some(true));
    }

    #[test]
    fn repeated_bytes_change_nothing_and_a_hole_hides_all() {
        let stream = record(100);
        assert_eq!(follow(&[(0, &stream[..50]), (20, &stream[20..60]), (60, &stream[60..])]), Some(false));
        assert_eq!(follow(&[(0, &stream[..50]), (60, &stream[60..])]), None);
    }

    proptest! {
        #[test]
        fn segmentation_never_changes_the_answer(lengths in proptest::collection::vec(1usize..300, 1..6), piece in 1usize..90, cut in any::<prop::sample::Index>()) {
            let stream: Vec<u8> = lengths.iter().flat_map(|&len| record(len)).collect();
            let stream = &stream[..1 + cut.index(stream.len())];
            let mut tracker = RecordTracker::default();
            stream.chunks(piece).enumerate().for_each(|(index, bytes)| tracker.take(SeqNumber((index * piece) as u32), bytes, 0));
            prop_assert_eq!(tracker.is_unfinished(), follow(&[(0, stream)]));
        }

        #[test]
        fn no_bytes_make_it_panic(segments in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 0..40), any::<u32>()), 0..20)) {
            let mut tracker = RecordTracker::default();
            segments.iter().for_each(|(seq, payload, missing)| tracker.take(SeqNumber(*seq), payload, *missing));
        }
    }
}
