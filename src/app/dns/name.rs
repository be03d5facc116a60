//! Names (RFC 1035 section 3.1, compression section 4.1.4), odd bytes escaped (RFC 4343 section 2.1).

use crate::app::{Cursor, ParseError};

/// Length bytes and the root's zero included (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 255;
/// A name has at most 127 labels, and no need for more pointers than labels.
const POINTERS_MAX: usize = 127;
const FIELD: &str = "dns.name";

/// The form in which names are compared (RFC 4343 section 3.2).
pub fn normal_name(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Reads a name in presentation form without a dot at its end; the root is ".". The cursor goes along `message`, into which pointers point: each to
/// labels that end before the name that points to them, so that they never go in circles.
pub(super) fn read<'a>(message: &'a [u8], cursor: &mut Cursor<'a>) -> Result<String, ParseError> {
    let mut name = String::new();
    let mut bytes = 1;
    let mut before = cursor.offset();
    let mut elsewhere = None;
    for _ in 0..=POINTERS_MAX {
        let labels = match &mut elsewhere {
            Some(there) => read_labels(there, &mut name, &mut bytes).map_err(ParseError::in_whole)?,
            None => read_labels(cursor, &mut name, &mut bytes)?,
        };
        let Some(target) = labels else {
            return Ok(if name.is_empty() { ".".to_owned() } else { name });
        };
        if target >= before {
            return Err(ParseError::Invalid { field: FIELD, offset: before });
        }
        let mut there = Cursor::new(&message[..before]);
        there.take(target, FIELD)?;
        elsewhere = Some(there);
        before = target;
    }
    Err(ParseError::Invalid { field: FIELD, offset: before })
}

/// Labels up to the name's end, or up to a pointer, which is given back.
fn read_labels(cursor: &mut Cursor<'_>, name: &mut String, bytes: &mut usize) -> Result<Option<usize>, ParseError> {
    loop {
        let offset = cursor.offset();
        let length = cursor.u8(FIELD)?;
        match length {
            0 => return Ok(None),
            0xc0.. => return Ok(Some(usize::from(length & 0x3f) << 8 | usize::from(cursor.u8(FIELD)?))),
            1..=63 => {
                *bytes += 1 + usize::from(length);
                if *bytes > NAME_BYTES_MAX {
                    return Err(ParseError::Invalid { field: FIELD, offset });
                }
                if !name.is_empty() {
                    name.push('.');
                }
                escape(cursor.take(length.into(), FIELD)?, b".\\", name);
            }
            _ => return Err(ParseError::Invalid { field: FIELD, offset }),
        }
    }
}

/// Appends bytes as text: what is not printable as its number, `special` bytes behind a backslash.
pub(super) fn escape(bytes: &[u8], special: &[u8], text: &mut String) {
    for byte in bytes {
        match byte {
            _ if special.contains(byte) => text.extend(['\\', char::from(*byte)]),
            0x21..=0x7e => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\{byte:03}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_at(message: &[u8], offset: usize) -> Result<String, ParseError> {
        let mut cursor = Cursor::new(message);
        cursor.take(offset, "test")?;
        read(message, &mut cursor)
    }

    #[test]
    fn pointers_lead_back_to_names_before() {
        // The example of RFC 1035 section 4.1.4.
        let message = b"\x01F\x03ISI\x04ARPA\0\x03FOO\xc0\x00\xc0\x06\0";
        let names = [0, 12, 18, 20].map(|at| read_at(message, at).expect("a name"));
        assert_eq!(names, ["F.ISI.ARPA", "FOO.F.ISI.ARPA", "ARPA", "."]);
    }

    #[test]
    fn a_reader_stands_behind_the_pointer() {
        let message = b"\x01a\0\xc0\x00\x07";
        let mut cursor = Cursor::new(message);
        cursor.take(3, "test").expect("bytes");
        assert_eq!(read(message, &mut cursor).as_deref(), Ok("a"));
        assert_eq!(cursor.rest(), [7]);
    }

    #[test]
    fn pointers_never_lead_forward_or_round() {
        for message in [&b"\xc0\x00"[..], b"\xc0\x02\x01a\0", b"\x01a\xc0\x00"] {
            assert!(matches!(read_at(message, 0), Err(ParseError::Invalid { .. })), "{message:?}");
        }
        assert!(matches!(read_at(b"\x01a\xc0\x00\xc0\x00", 4), Err(ParseError::Invalid { .. })), "round by the second pointer");
    }

    #[test]
    fn odd_bytes_are_escaped() {
        assert_eq!(read_at(b"\x06a.b\\ \xff\x01C\0", 0).as_deref(), Ok("a\\.b\\\\\\032\\255.C"));
        assert_eq!(normal_name("WhatsApp.NET"), "whatsapp.net");
    }

    #[test]
    fn a_name_has_at_most_255_bytes() {
        let label = [&[63][..], &[b'a'; 63]].concat();
        let longest = [label.repeat(3), [&[61][..], &[b'b'; 61]].concat(), vec![0]].concat();
        assert_eq!(read_at(&longest, 0).map(|name| name.len()), Ok(253));
        assert!(matches!(read_at(&[label.repeat(4), vec![0]].concat(), 0), Err(ParseError::Invalid { .. })));
        assert!(matches!(read_at(&longest[..100], 0), Err(ParseError::Truncated { .. })));
        assert!(matches!(read_at(&[0x40, 0], 0), Err(ParseError::Invalid { .. })), "RFC 6891 section 5 gave up on other label types");
    }
}
