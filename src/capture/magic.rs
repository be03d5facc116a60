//! What a file is, by its first bytes and never by its name: a capture, a packed file, an archive.

use super::compression::Codec;
use super::pcap;

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Pcap,
    Pcapng,
}

/// What stands at the front of a file, as far as it is of use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Capture(Format),
    Compressed(Codec),
    Tar,
}

/// With this many bytes [`kind`] has said its last word: a tar archive shows itself by the checksum of its first header.
pub(super) const SNIFF_BYTES: usize = 512;
/// With this many, [`sniff`] has.
pub(super) const FORMAT_BYTES: usize = 12;

impl Format {
    /// The word of the `captures` table.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pcap => "pcap",
            Self::Pcapng => "pcapng",
        }
    }
}

/// What a file is that starts so. Fewer than [`SNIFF_BYTES`] suffice where the file has no more.
pub(super) fn kind(start: &[u8]) -> Option<Kind> {
    let compressed = || Codec::sniff(start).map(Kind::Compressed);
    sniff(start).map(Kind::Capture).or_else(compressed).or_else(|| is_tar(start).then_some(Kind::Tar))
}

/// The format of a capture that starts so.
pub(super) fn sniff(start: &[u8]) -> Option<Format> {
    match start.first_chunk()? {
        // Only line ends so far: the byte-order magic at byte 8 tells a section header from a text.
        b"\n\r\r\n" => match start.get(8..12) {
            None | Some([0x1a, 0x2b, 0x3c, 0x4d] | [0x4d, 0x3c, 0x2b, 0x1a]) => Some(Format::Pcapng),
            Some(_) => None,
        },
        _ => pcap::has_magic(start).then_some(Format::Pcap),
    }
}

/// A header of a tar archive, by its checksum: the sum of its bytes, the checksum itself taken as spaces (POSIX.1-1988, ustar, and all before and since).
fn is_tar(start: &[u8]) -> bool {
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    let Some(header) = start.first_chunk::<512>() else { return false };
    let stated = std::str::from_utf8(&header[CHECKSUM]).ok().map(|text| text.trim_matches([' ', '\0']));
    let Some(stated) = stated.and_then(|digits| u32::from_str_radix(digits, 8).ok()) else { return false };
    let byte = |(at, &byte): (usize, &u8)| if CHECKSUM.contains(&at) { u32::from(b' ') } else { u32::from(byte) };
    header[0] != 0 && header.iter().enumerate().map(byte).sum::<u32>() == stated
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
    fn every_dialect_of_pcap_is_known_and_nothing_else() {
        for magic in [0xa1b2_c3d4_u32, 0xa1b2_3c4d, 0xa1b2_cd34, 0x1c00_01ac, 0x1c00_01ab] {
            assert_eq!(sniff(&magic.to_le_bytes()), Some(Format::Pcap), "{magic:08x}");
            assert_eq!(sniff(&magic.to_be_bytes()), Some(Format::Pcap), "{magic:08x}");
        }
        assert_eq!(kind(b"PK\x03\x04"), None);
        assert_eq!(kind(b"\xd4\xc3"), None);
    }

    #[test]
    fn an_archive_is_known_by_its_checksum() {
        let mut header = tar::Header::new_old();
        header.set_path("a/trace.pcap").expect("a short name");
        header.set_size(24);
        header.set_cksum();
        assert_eq!(kind(header.as_bytes()), Some(Kind::Tar));
        let mut other = *header.as_bytes();
        other[3] ^= 1;
        assert_eq!(kind(&other), None);
        assert_eq!(kind(&[0; 512]), None, "the end of an archive is none");
    }
}
