//! Records (RFC 8446 section 5.1, RFC 5246 section 6.2.1), and handshake messages that lie over several of them.

use std::borrow::Cow;

use super::{Cursor, ParseError};

pub const CHANGE_CIPHER_SPEC: u8 = 20;
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const APPLICATION_DATA: u8 = 23;

/// 2^14 and what ciphers may add (RFC 5246 section 6.2.3).
const BYTES_MAX: usize = 16_384 + 2_048;

/// Content type and length. All versions of SSL 3.0 and TLS carry major version 3.
pub fn header(cursor: &mut Cursor<'_>) -> Result<(u8, usize), ParseError> {
    let invalid = |field, offset| Err(ParseError::Invalid { field, offset });
    let offset = cursor.offset();
    let content_type = cursor.u8("record.type")?;
    if !(CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&content_type) {
        return invalid("record.type", offset);
    }
    if cursor.u8("record.version.major")? != 3 || cursor.u8("record.version.minor")? > 4 {
        return invalid("record.version", offset + 1);
    }
    let length = usize::from(cursor.u16("record.length")?);
    if length == 0 || length > BYTES_MAX {
        return invalid("record.length", offset + 3);
    }
    Ok((content_type, length))
}

/// The handshake payload from a place inside a record on, over the borders of records.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    cursor: Cursor<'a>,
    left: usize,
    records: u32,
}

impl<'a> Pieces<'a> {
    /// `left`: what is left of the record that the cursor stands in.
    pub fn new(cursor: Cursor<'a>, left: usize) -> Self {
        Self { cursor, left, records: 1 }
    }

    pub fn offset(&self) -> usize {
        self.cursor.offset()
    }

    /// What is left of the current record.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Records that were gone through.
    pub fn records(&self) -> u32 {
        self.records
    }

    pub fn into_cursor(self) -> Cursor<'a> {
        self.cursor
    }

    /// The next bytes, copied only where they lie over a border and all of them are there.
    pub fn take(&mut self, len: usize) -> Result<Cow<'a, [u8]>, ParseError> {
        let first = self.piece(len)?;
        if first.len() == len {
            return Ok(Cow::Borrowed(first));
        }
        let mut ahead = self.clone();
        let mut missing = len - first.len();
        while missing > 0 {
            missing -= ahead.piece(missing)?.len();
        }
        Ok(Cow::Owned(self.join(first, len)))
    }

    /// The next bytes, or as many of them as there are.
    pub fn take_so_far(&mut self, len: usize) -> Cow<'a, [u8]> {
        match self.piece(len) {
            Ok(first) if first.len() == len => Cow::Borrowed(first),
            Ok(first) => Cow::Owned(self.join(first, len)),
            Err(_) => Cow::Borrowed(&[]),
        }
    }

    fn join(&mut self, first: &[u8], len: usize) -> Vec<u8> {
        let mut joined = first.to_vec();
        while joined.len() < len
            && let Ok(piece) = self.piece(len - joined.len())
        {
            joined.extend_from_slice(piece);
        }
        joined
    }

    /// At most `max` bytes of one record, at least one where `max` is not zero.
    fn piece(&mut self, max: usize) -> Result<&'a [u8], ParseError> {
        if self.left == 0 && max > 0 {
            self.enter_record()?;
        }
        let len = max.min(self.left).min(self.cursor.rest().len());
        if len == 0 && max > 0 {
            return Err(ParseError::Truncated { field: "record.payload", offset: self.offset(), needed: max, had: 0 });
        }
        self.left -= len;
        self.cursor.take(len, "record.payload")
    }

    fn enter_record(&mut self) -> Result<(), ParseError> {
        let mut next = self.cursor.clone();
        let (content_type, length) = header(&mut next)?;
        if content_type != HANDSHAKE {
            return Err(ParseError::Invalid { field: "record.type", offset: self.offset() });
        }
        (self.cursor, self.left, self.records) = (next, length, self.records + 1);
        Ok(())
    }
}
