//! Reads forward over bytes that anyone may have written. Never outside, never back, never copies.

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("{field}: {needed} bytes needed at {offset}, {had} are left")]
    Truncated { field: &'static str, offset: usize, needed: usize, had: usize },
    #[error("{field} at {offset} is not what the protocol allows")]
    Invalid { field: &'static str, offset: usize },
}

/// A place in a block of bytes.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub fn offset(&self) -> usize {
        self.offset
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn take(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], ParseError> {
        let Some((taken, rest)) = self.bytes.split_at_checked(len) else {
            return Err(ParseError::Truncated { field, offset: self.offset, needed: len, had: self.bytes.len() });
        };
        *self = Self { bytes: rest, offset: self.offset + len };
        Ok(taken)
    }

    pub fn u8(&mut self, field: &'static str) -> Result<u8, ParseError> {
        Ok(self.take(1, field)?[0])
    }

    pub fn u16(&mut self, field: &'static str) -> Result<u16, ParseError> {
        let bytes = self.take(2, field)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub fn u24(&mut self, field: &'static str) -> Result<u32, ParseError> {
        let bytes = self.take(3, field)?;
        Ok(u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]))
    }

    /// A block behind a one-byte length.
    pub fn block_u8(&mut self, field: &'static str) -> Result<Self, ParseError> {
        let len = self.u8(field)?.into();
        self.block(len, field)
    }

    /// A block behind a two-byte length.
    pub fn block_u16(&mut self, field: &'static str) -> Result<Self, ParseError> {
        let len = self.u16(field)?.into();
        self.block(len, field)
    }

    fn block(&mut self, len: usize, field: &'static str) -> Result<Self, ParseError> {
        let offset = self.offset;
        Ok(Self { bytes: self.take(len, field)?, offset })
    }

    /// A block behind a two-byte length, or as much of it as there is: for bytes that were cut.
    pub fn block_u16_or_rest(&mut self, field: &'static str) -> Result<Self, ParseError> {
        let len = usize::from(self.u16(field)?).min(self.bytes.len());
        self.block(len, field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overrun_names_the_field_and_the_place() {
        let mut cursor = Cursor::new(&[0, 5, 1]);
        assert_eq!(cursor.block_u16("list").unwrap_err(), ParseError::Truncated { field: "list", offset: 2, needed: 5, had: 1 });
    }

    #[test]
    fn a_block_ends_where_its_length_says() {
        let mut cursor = Cursor::new(&[2, 7, 8, 9]);
        assert_eq!(cursor.block_u8("block").map(|block| block.rest().to_vec()), Ok(vec![7, 8]));
        assert_eq!(cursor.u8("next"), Ok(9));
    }
}
