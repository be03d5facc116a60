//! Which format a file has, by its first bytes and never by its name.

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Pcap,
    Pcapng,
}

/// With this many bytes [`sniff`] has said its last word.
pub(super) const SNIFF_BYTES: usize = 12;

impl Format {
    /// The word of the `captures` table.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pcap => "pcap",
            Self::Pcapng => "pcapng",
        }
    }
}

/// The format of a file that starts so. Fewer than [`SNIFF_BYTES`] suffice where the file has no more.
pub(super) fn sniff(start: &[u8]) -> Option<Format> {
    match start.first_chunk()? {
        // Microseconds and nanoseconds, in both byte orders.
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xd4, 0xc3, 0xb2, 0xa1] | [0xa1, 0xb2, 0x3c, 0x4d] | [0x4d, 0x3c, 0xb2, 0xa1] => Some(Format::Pcap),
        // Only line ends so far: the byte-order magic at byte 8 tells a section header from a text.
        b"\n\r\r\n" => match start.get(8..SNIFF_BYTES) {
            None | Some([0x1a, 0x2b, 0x3c, 0x4d] | [0x4d, 0x3c, 0x2b, 0x1a]) => Some(Format::Pcapng),
            Some(_) => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_alone_make_no_pcapng() {
        assert_eq!(sniff(b"\n\r\r\n\0\0\0\x1c\x1a\x2b\x3c\x4d"), Some(Format::Pcapng));
        assert_eq!(sniff(b"\n\r\r\nDear Sir or Madam"), None);
    }

    #[test]
    fn modified_pcap_and_anything_else_is_none() {
        assert_eq!(sniff(&[0x34, 0xcd, 0xb2, 0xa1, 2, 0, 4, 0]), None);
        assert_eq!(sniff(b"PK\x03\x04"), None);
        assert_eq!(sniff(b"\xd4\xc3"), None);
    }
}
