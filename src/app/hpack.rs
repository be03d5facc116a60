//! Field compression of HTTP/2 (RFC 7541), as much as reading takes.
//! In:  whole field blocks of one direction, in order.
//! Out: names and values, as bytes that anyone may have chosen.
//! Promises: the table is bounded, and a block costs no more than its length.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Cursor, ParseError};

/// What an encoder may use before the other side allows more (RFC 9113 section 6.5.2).
const TABLE_BYTES: usize = 4096;
/// Browsers allow as much.
const TABLE_BYTES_MAX: usize = 64 * 1024;
/// What an entry costs beside its bytes (section 4.1).
const ENTRY_BYTES: usize = 32;
/// Strings and tables are far shorter.
const INTEGER_MAX: usize = 1 << 20;

/// Bytes that the table and a field share.
type Bytes = Arc<[u8]>;

/// The reader of one direction.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// The newest first.
    entries: VecDeque<(Bytes, Bytes)>,
    bytes: usize,
    bytes_max: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { entries: VecDeque::new(), bytes: 0, bytes_max: TABLE_BYTES }
    }
}

impl Decoder {
    /// Reads a block (section 6) and gives each field to `take`.
    pub fn read(&mut self, block: &[u8], mut take: impl FnMut(&[u8], &[u8])) -> Result<(), ParseError> {
        let mut cursor = Cursor::new(block);
        while !cursor.is_empty() {
            let first = cursor.u8("hpack.field")?;
            match first {
                0x80.. => {
                    let (name, value) = self.entry(integer(first, 7, &mut cursor)?, &cursor)?;
                    take(&name, &value);
                }
                0x40.. => {
                    let (name, value) = self.literal(first, 6, &mut cursor)?;
                    take(&name, &value);
                    self.insert(name, value);
                }
                0x20.. => self.resize(integer(first, 5, &mut cursor)?, &cursor)?,
                _ => {
                    let (name, value) = self.literal(first, 4, &mut cursor)?;
                    take(&name, &value);
                }
            }
        }
        Ok(())
    }

    /// A field whose value, and perhaps name, stands in the block.
    fn literal(&self, first: u8, prefix: u32, cursor: &mut Cursor<'_>) -> Result<(Bytes, Bytes), ParseError> {
        let name = match integer(first, prefix, cursor)? {
            0 => string(cursor)?,
            index => self.entry(index, cursor)?.0,
        };
        Ok((name, string(cursor)?))
    }

    /// Section 2.3.3: the static table, then the dynamic one.
    fn entry(&self, index: usize, cursor: &Cursor<'_>) -> Result<(Bytes, Bytes), ParseError> {
        let index = index.checked_sub(1).ok_or(invalid("hpack.index", cursor))?;
        match STATIC_TABLE.get(index) {
            Some((name, value)) => Ok((name.as_bytes().into(), value.as_bytes().into())),
            None => self.entries.get(index - STATIC_TABLE.len()).cloned().ok_or(invalid("hpack.index", cursor)),
        }
    }

    fn insert(&mut self, name: Bytes, value: Bytes) {
        self.bytes += name.len() + value.len() + ENTRY_BYTES;
        self.entries.push_front((name, value));
        self.evict();
    }

    fn resize(&mut self, bytes_max: usize, cursor: &Cursor<'_>) -> Result<(), ParseError> {
        if bytes_max > TABLE_BYTES_MAX {
            return Err(invalid("hpack.table_size", cursor));
        }
        self.bytes_max = bytes_max;
        self.evict();
        Ok(())
    }

    /// Section 4.4: an entry too large for the table empties it.
    fn evict(&mut self) {
        while self.bytes > self.bytes_max {
            let Some((name, value)) = self.entries.pop_back() else { return };
            self.bytes -= name.len() + value.len() + ENTRY_BYTES;
        }
    }
}

/// Section 5.1.
fn integer(first: u8, prefix: u32, cursor: &mut Cursor<'_>) -> Result<usize, ParseError> {
    let mask = (1_usize << prefix) - 1;
    let mut value = usize::from(first) & mask;
    if value < mask {
        return Ok(value);
    }
    let mut shift = 0;
    loop {
        let byte = cursor.u8("hpack.integer")?;
        value += usize::from(byte & 0x7f) << shift;
        shift += 7;
        if value > INTEGER_MAX || shift > 21 {
            return Err(invalid("hpack.integer", cursor));
        }
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
}

/// Section 5.2.
fn string(cursor: &mut Cursor<'_>) -> Result<Bytes, ParseError> {
    let first = cursor.u8("hpack.string")?;
    let length = integer(first, 7, cursor)?;
    let bytes = cursor.take(length, "hpack.string")?;
    if first & 0x80 == 0 { Ok(bytes.into()) } else { huffman(bytes).map(Bytes::from).ok_or(invalid("hpack.huffman", cursor)) }
}

fn invalid(field: &'static str, cursor: &Cursor<'_>) -> ParseError {
    ParseError::Invalid { field, offset: cursor.offset() }
}

/// None where the padding is longer than seven bits or not of ones (section 5.2).
fn huffman(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let (mut code, mut length) = (0_u32, 0_usize);
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |shift| u32::from(byte >> shift & 1))) {
        code = code << 1 | bit;
        length += 1;
        let CodeLength { first, count, symbols } = CODE_LENGTHS.get(length)?;
        let place = code.wrapping_sub(*first);
        if place < *count {
            text.push(SYMBOLS[*symbols + place as usize]);
            (code, length) = (0, 0);
        }
    }
    (length < 8 && code == (1 << length) - 1).then_some(text)
}

/// All codes of one length: they count up from `first` in the order of their symbols, which stand in [`SYMBOLS`] from `symbols` on.
#[derive(Clone, Copy)]
struct CodeLength {
    first: u32,
    count: u32,
    symbols: usize,
}

const CODE_BITS_MAX: usize = 30;
const CODE_LENGTHS: [CodeLength; CODE_BITS_MAX + 1] = code_lengths();
const SYMBOLS: [u8; 256] = symbols();

const fn code_lengths() -> [CodeLength; CODE_BITS_MAX + 1] {
    let mut lengths = [CodeLength { first: 0, count: 0, symbols: 0 }; CODE_BITS_MAX + 1];
    let mut symbol = 0;
    while symbol < CODE_BITS.len() {
        lengths[CODE_BITS[symbol] as usize].count += 1;
        symbol += 1;
    }
    let mut length = 1;
    while length <= CODE_BITS_MAX {
        let shorter = lengths[length - 1];
        lengths[length].first = (shorter.first + shorter.count) << 1;
        lengths[length].symbols = shorter.symbols + shorter.count as usize;
        length += 1;
    }
    lengths
}

const fn symbols() -> [u8; 256] {
    let mut symbols = [0; 256];
    let mut place = 0;
    let mut length = 1;
    while length <= CODE_BITS_MAX {
        let mut symbol = 0;
        while symbol < CODE_BITS.len() {
            if CODE_BITS[symbol] as usize == length {
                symbols[place] = symbol as u8;
                place += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    symbols
}

/// How many bits the code of each byte has (appendix B). The code is canonical, so that this is all of it.
#[rustfmt::skip]
const CODE_BITS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// Appendix A.
const STATIC_TABLE: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn read(decoder: &mut Decoder, block: &str) -> Vec<String> {
        let mut fields = Vec::new();
        decoder
            .read(&bytes(block), |name, value| fields.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))))
            .expect("a block");
        fields
    }

    #[test]
    fn requests_of_appendix_c_are_read() {
        let first = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
        let second = [&first[..], &["cache-control: no-cache"]].concat();
        let third = [":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com", "custom-key: custom-value"];
        let plain = [
            "828684410f7777772e6578616d706c652e636f6d",
            "828684be58086e6f2d6361636865",
            "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        ]; // C.3
        let huffman = ["828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf", "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"]; // C.4
        for blocks in [plain, huffman] {
            let mut decoder = Decoder::default();
            assert_eq!(read(&mut decoder, blocks[0]), first);
            assert_eq!(read(&mut decoder, blocks[1]), second);
            assert_eq!(read(&mut decoder, blocks[2]), third);
        }
    }

    #[test]
    fn responses_of_appendix_c_push_old_entries_out() {
        let mut decoder = Decoder { bytes_max: 256, ..Decoder::default() };
        let rest = ["cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT", "location: https://www.example.com"];
        let first = "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3"; // C.6.1
        assert_eq!(read(&mut decoder, first), [&[":status: 302"], &rest[..]].concat());
        assert_eq!(read(&mut decoder, "4883640effc1c0bf"), [&[":status: 307"], &rest[..]].concat()); // C.6.2
        assert_eq!((decoder.entries.len(), decoder.bytes), (4, 222));
    }

    #[test]
    fn what_encoders_may_not_do_is_refused() {
        for block in ["80", "be", "ff80808080", "3fe1ff7f", "400165", "4081ff00", "4085fffffffffc00", "0001"] {
            assert!(Decoder::default().read(&bytes(block), |_, _| {}).is_err(), "{block}");
        }
    }

    #[test]
    fn the_code_is_complete() {
        let last = CODE_LENGTHS[CODE_BITS_MAX];
        assert_eq!(
            (last.first + last.count, last.symbols + last.count as usize),
            ((1 << CODE_BITS_MAX) - 1, 256),
            "the one that is left ends a string"
        );
    }
}
