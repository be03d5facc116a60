//! Reads forward over bytes that anyone may have written. Never outside, never back, never copies.

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("{field}: {needed} bytes needed at {offset}, {had} are left")]
    Truncated { field: &'static str, offset: usize, needed: usize, had: usize },
    #[error("{field} at {offset} is not what the protocol allows")]
    Invalid { field: &'static str, offset: usize },
}

impl ParseError {
    /// The same where all bytes are there: an overrun is a lie.
    pub fn in_whole(self) -> Self {
        match self {
            Self::Truncated { field, offset, .. } | Self::Invalid { field, offset } => Self::Invalid { field, offset },
        }
    }
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

    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ParseError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, field)?);
        Ok(array)
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

    pub fn u32(&mut self, field: &'static str) -> Result<u32, ParseError> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    pub fn u16_le(&mut self, field: &'static str) -> Result<u16, ParseError> {
        self.u16(field).map(u16::swap_bytes)
    }

    pub fn u32_le(&mut self, field: &'static str) -> Result<u32, ParseError> {
        self.u32(field).map(u32::swap_bytes)
    }

    /// An integer whose first two bits say how long it is (RFC 9000 section 16).
    pub fn varint(&mut self, field: &'static str) -> Result<u64, ParseError> {
        let first = self.bytes.first().copied().unwrap_or_default();
        let bytes = self.take(1 << (first >> 6), field)?;
        Ok(bytes[1..].iter().fold(u64::from(first & 0x3f), |value, &byte| value << 8 | u64::from(byte)))
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

    /// A block behind a three-byte length.
    pub fn block_u24(&mut self, field: &'static str) -> Result<Self, ParseError> {
        let len = self.u24(field)? as usize;
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
    fn an_integer_of_variable_length_is_as_long_as_it_says() {
        let examples: [(&[u8], u64); 4] = [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
        ];
        for (bytes, value) in examples {
            assert_eq!(Cursor::new(bytes).varint("integer"), Ok(value), "RFC 9000 appendix A.1");
            assert!(matches!(Cursor::new(&bytes[..bytes.len() - 1]).varint("integer"), Err(ParseError::Truncated { .. })));
        }
    }

    #[test]
    fn a_block_ends_where_its_length_says() {
        let mut cursor = Cursor::new(&[2, 7, 8, 9]);
        assert_eq!(cursor.block_u8("block").map(|block| block.rest().to_vec()), Ok(vec![7, 8]));
        assert_eq!(cursor.u8("next"), Ok(9));
    }
}
