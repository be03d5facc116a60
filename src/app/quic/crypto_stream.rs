//! The handshake bytes of one sender, put in order (RFC 9000 section 19.6).

/// All that is kept of a sender's handshake; the largest hellos, with two post-quantum shares and ECH, have some 5,000 bytes.
pub const STREAM_BYTES_MAX: usize = 64 * 1024;
/// Pieces that wait for one before them. Chrome cuts a hello in some ten.
const PIECES_MAX: usize = 64;

/// Type and length (RFC 8446 section 4).
const MESSAGE_HEADER_BYTES: usize = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CryptoStream {
    /// Without a gap from the start.
    ready: Vec<u8>,
    /// What came early, by offset.
    early: Vec<(usize, Vec<u8>)>,
}

impl CryptoStream {
    /// Takes a piece; says whether it brought bytes that were not there. What is there stays: the first copy counts.
    pub fn insert(&mut self, offset: u64, data: &[u8]) -> bool {
        let Some(end) = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(data.len())) else { return false };
        let start = end - data.len();
        if end > STREAM_BYTES_MAX || end <= self.ready.len() {
            return false;
        }
        if start > self.ready.len() {
            return self.keep_early(start, data);
        }
        self.append(start, data);
        while self.early.first().is_some_and(|(start, _)| *start <= self.ready.len()) {
            let (start, data) = self.early.remove(0);
            self.append(start, &data);
        }
        true
    }

    fn append(&mut self, start: usize, data: &[u8]) {
        if let Some(new) = self.ready.len().checked_sub(start).and_then(|known| data.get(known..)) {
            self.ready.extend_from_slice(new);
        }
    }

    fn keep_early(&mut self, start: usize, data: &[u8]) -> bool {
        let known = self.early.iter().any(|(other, held)| *other <= start && start + data.len() <= other + held.len());
        if data.is_empty() || known || self.early.len() == PIECES_MAX || self.held() + data.len() > STREAM_BYTES_MAX {
            return false;
        }
        let place = self.early.partition_point(|(other, _)| *other <= start);
        self.early.insert(place, (start, data.to_vec()));
        true
    }

    /// The bytes from the start to the first gap.
    pub fn ready(&self) -> &[u8] {
        &self.ready
    }

    /// The whole handshake message that begins at an offset, header included.
    pub fn message(&self, at: usize) -> Option<&[u8]> {
        let rest = self.ready.get(at..)?;
        let [_, a, b, c] = *rest.first_chunk::<MESSAGE_HEADER_BYTES>()?;
        rest.get(..MESSAGE_HEADER_BYTES + u32::from_be_bytes([0, a, b, c]) as usize)
    }

    /// Heap bytes.
    pub fn held(&self) -> usize {
        self.ready.len() + self.early.iter().map(|(_, data)| data.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_piece_that_comes_again_brings_nothing() {
        let mut stream = CryptoStream::default();
        assert!(stream.insert(3, b"def"));
        assert!(!stream.insert(3, b"def"));
        assert!(stream.insert(0, b"abcd"));
        assert!(!stream.insert(1, b"XY"));
        assert_eq!(stream.ready(), b"abcdef");
    }

    #[test]
    fn what_never_joins_is_bounded() {
        let mut stream = CryptoStream::default();
        for offset in 0..100_000 {
            stream.insert(offset * 5 + 1, &[0; 3]);
        }
        stream.insert(u64::MAX, b"beyond");
        assert!(stream.held() <= STREAM_BYTES_MAX);
        assert_eq!((stream.early.len(), stream.ready()), (PIECES_MAX, &b""[..]));
    }

    proptest! {
        #[test]
        fn order_and_overlap_never_change_the_stream(
            cuts in proptest::collection::vec((0usize..300, 1usize..90), 0..40),
            shuffle in any::<prop::sample::Index>(),
        ) {
            let whole: Vec<u8> = (0..300).map(|byte| byte as u8).collect();
            let mut pieces: Vec<_> = (0..300).step_by(30).map(|at| (at, 30)).chain(cuts).collect();
            let turn = shuffle.index(pieces.len());
            pieces.rotate_left(turn);
            let mut stream = CryptoStream::default();
            for (at, len) in pieces {
                stream.insert(at as u64, &whole[at..(at + len).min(300)]);
            }
            prop_assert_eq!(stream.ready(), &whole[..]);
            prop_assert_eq!(stream.held(), 300);
        }
    }
}
