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
    #[error("{}: record {record} at byte {offset}: {what}", .path.display())]
    Damaged { path: PathBuf, record: u64, offset: u64, what: Flaw },
    #[error("{}: not read: more than {most} files in one run", .path.display())]
    TooManyFiles { path: PathBuf, most: usize },
}

/// What a damaged record claims that cannot be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("claims {captured} captured bytes, the most this file can hold is {most}")]
    TooLong { captured: u32, most: u32 },
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
        let damaged = CaptureError::Damaged { path: "a.pcap".into(), record: 3, offset: 1_540, what };
        assert_eq!(damaged.to_string(), "a.pcap: record 3 at byte 1540: a block of 32 bytes that ends as one of 36");
    }
}
