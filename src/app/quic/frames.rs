//! Frames of Initial packets (RFC 9000 sections 12.4 and 19). Others do not belong there, so that reading ends with the first of them.

use crate::app::{Cursor, ParseError};

/// What an Initial packet tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    Crypto { offset: u64, data: &'a [u8] },
    Close { code: u64 },
}

mod kind {
    pub const PADDING: u64 = 0x00;
    pub const PING: u64 = 0x01;
    pub const ACK: u64 = 0x02;
    pub const ACK_ECN: u64 = 0x03;
    pub const CRYPTO: u64 = 0x06;
    pub const CONNECTION_CLOSE: u64 = 0x1c;
}

/// The frames of a payload one after the other.
pub struct Frames<'a>(Cursor<'a>);

impl<'a> Frames<'a> {
    pub fn new(payload: &'a [u8]) -> Self {
        Self(Cursor::new(payload))
    }

    fn frame(&mut self) -> Result<Frame<'a>, ParseError> {
        let cursor = &mut self.0;
        loop {
            let offset = cursor.offset();
            match cursor.varint("frame.type")? {
                kind::PADDING | kind::PING => {}
                kind::ACK => ack(cursor)?,
                kind::ACK_ECN => {
                    ack(cursor)?;
                    (0..3).try_for_each(|_| cursor.varint("ack.ecn").map(drop))?;
                }
                kind::CRYPTO => return Ok(Frame::Crypto { offset: cursor.varint("crypto.offset")?, data: block(cursor, "crypto.data")? }),
                kind::CONNECTION_CLOSE => {
                    let code = cursor.varint("close.error_code")?;
                    cursor.varint("close.frame_type")?;
                    block(cursor, "close.reason")?;
                    return Ok(Frame::Close { code });
                }
                _ => return Err(ParseError::Invalid { field: "frame.type", offset }),
            }
        }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        self.frame().ok()
    }
}

/// RFC 9000 section 19.3.
fn ack(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    cursor.varint("ack.largest")?;
    cursor.varint("ack.delay")?;
    let ranges = cursor.varint("ack.range_count")?;
    cursor.varint("ack.first_range")?;
    for _ in 0..ranges {
        cursor.varint("ack.gap")?;
        cursor.varint("ack.range")?;
    }
    Ok(())
}

/// Bytes behind their length.
fn block<'a>(cursor: &mut Cursor<'a>, field: &'static str) -> Result<&'a [u8], ParseError> {
    let len = cursor.varint(field)?;
    cursor.take(usize::try_from(len).unwrap_or(usize::MAX), field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_stands_between_two_pieces_is_passed_over() {
        let ack = [&[0x03, 5, 0, 1, 0, 0, 2][..], &[1, 2, 3]].concat();
        let payload = [&[0x06, 0, 2, b'a', b'b', 0, 0, 1][..], &ack, &[0x06, 0x40, 0x80, 1, b'c', 0, 0]].concat();
        let frames: Vec<_> = Frames::new(&payload).collect();
        assert_eq!(frames, [Frame::Crypto { offset: 0, data: b"ab" }, Frame::Crypto { offset: 128, data: b"c" }]);
    }

    #[test]
    fn a_close_gives_its_code() {
        assert_eq!(Frames::new(&[0x1c, 0x41, 0x28, 6, 2, b'n', b'o']).next(), Some(Frame::Close { code: 0x128 }));
    }

    #[test]
    fn a_frame_that_does_not_belong_there_ends_reading() {
        assert_eq!(Frames::new(&[0x08, 0, 0x06, 0, 1, b'a']).next(), None);
    }

    proptest! {
        #[test]
        fn frames_stay_inside_whatever_they_claim(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let held: usize = Frames::new(&payload).map(|frame| if let Frame::Crypto { data, .. } = frame { data.len() } else { 0 }).sum();
            prop_assert!(held <= payload.len());
        }
    }
}
