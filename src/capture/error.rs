//! What can be wrong with an input, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a file could not be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: empty file", .path.display())]
    Empty { path: PathBuf },
    #[error("{}: not a capture: first bytes are {first_bytes}", .path.display())]
    NotACapture { path: PathBuf, first_bytes: FirstBytes },
    /// The file ends inside a record. Record 0 is the header of the file.
    #[error("{}: record {record} at byte {offset} says {claimed} bytes, {left} are left", .path.display())]
    CutOff { path: PathBuf, record: u64, offset: u64, claimed: u32, left: u64 },
    /// The first damaged place, and what was passed over in all of them; reading went on behind each.
    #[error("{}: record {record} at byte {offset}: {what}; {skipped} bytes skipped{}", .path.display(), in_places(*.places))]
    Damaged { path: PathBuf, record: u64, offset: u64, what: Flaw, skipped: u64, places: u64 },
    /// At this byte of the file as it is stored.
    #[error("{}: {codec} data cannot be read on at byte {offset}: {source}", .path.display())]
    Packed { path: PathBuf, codec: &'static str, offset: u64, source: io::Error },
    #[error("{}: {} while it was read, from {before} to {after} bytes", .path.display(), if .after > .before { "grew" } else { "shrank" })]
    Changed { path: PathBuf, before: u64, after: u64 },
    #[error("{}: the archive cannot be read on: {source}", .path.display())]
    Archive { path: PathBuf, source: io::Error },
    #[error("{}: an archive without a capture", .path.display())]
    NothingInside { path: PathBuf },
    #[error("{}: no file fits", .path.display())]
    NothingFits { path: PathBuf },
    #[error("{}: not read: more than {most} files in one run", .path.display())]
    TooManyFiles { path: PathBuf, most: usize },
}

fn in_places(places: u64) -> String {
    if places > 1 { format!(" in {places} places") } else { String::new() }
}

/// What a damaged record claims that cannot be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("claims {captured} captured bytes, the most this file can hold is {most}")]
    TooLong { captured: u32, most: u32 },
    #[error("claims {captured} captured bytes, behind which no record follows")]
    NoRecord { captured: u32 },
    #[error("a block of {length} bytes: not a multiple of 4 from 12 bytes to 64 MiB")]
    BlockLength { length: u32 },
    #[error("a block of {length} bytes that ends as one of {trailing}")]
    TrailingLength { length: u32, trailing: u32 },
    #[error("a packet that does not fit its block of {length} bytes")]
    PacketOutsideBlock { length: u32 },
    #[error("a packet of interface {interface}, which its section does not describe")]
    UnknownInterface { interface: u32 },
    #[error("a section header of unknown byte order or version")]
    SectionHeader,
    #[error("an interface description that cannot be read")]
    InterfaceDescription,
    #[error("more than 65,535 interfaces in one source")]
    TooManyInterfaces,
}

/// The first bytes of a file that is no capture, up to four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstBytes {
    bytes: [u8; 4],
    known: usize,
}

impl FirstBytes {
    pub fn of(start: &[u8]) -> Self {
        let mut bytes = [0; 4];
        let known = start.len().min(bytes.len());
        bytes[..known].copy_from_slice(&start[..known]);
        Self { bytes, known }
    }
}

impl fmt::Display for FirstBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.bytes[..self.known].iter().enumerate() {
            let space = if position == 0 { "" } else { " " };
            write!(formatter, "{space}{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_file_and_what_stands_there() {
        let zip = CaptureError::NotACapture { path: "captures/x.pcap".into(), first_bytes: FirstBytes::of(b"PK\x03\x04\x14") };
        assert_eq!(zip.to_string(), "captures/x.pcap: not a capture: first bytes are 50 4b 03 04");
        let short = CaptureError::NotACapture { path: "y".into(), first_bytes: FirstBytes::of(b"a") };
        assert_eq!(short.to_string(), "y: not a capture: first bytes are 61");
        assert_eq!(CaptureError::Empty { path: "x.pcap".into() }.to_string(), "x.pcap: empty file");
    }

    #[test]
    fn a_message_names_the_byte() {
        let cut = CaptureError::CutOff { path: "a.pcap".into(), record: 3, offset: 1_540, claimed: 1_516, left: 20 };
        assert_eq!(cut.to_string(), "a.pcap: record 3 at byte 1540 says 1516 bytes, 20 are left");
        let what = Flaw::TrailingLength { length: 32, trailing: 36 };
        let damaged = |places| CaptureError::Damaged { path: "a.pcap".into(), record: 3, offset: 1_540, what, skipped: 32, places };
        assert_eq!(damaged(1).to_string(), "a.pcap: record 3 at byte 1540: a block of 32 bytes that ends as one of 36; 32 bytes skipped");
        assert!(damaged(2).to_string().ends_with("; 32 bytes skipped in 2 places"));
        let grown = CaptureError::Changed { path: "a.pcap".into(), before: 10, after: 12 };
        assert_eq!(grown.to_string(), "a.pcap: grew while it was read, from 10 to 12 bytes");
        let packed = CaptureError::Packed { path: "a.pcap.gz".into(), codec: "gzip", offset: 99, source: io::Error::other("bad block") };
        assert_eq!(packed.to_string(), "a.pcap.gz: gzip data cannot be read on at byte 99: bad block");
    }
}
