//! One file from its first byte to its last: pieces read and hashed, whole records taken, the rest carried over.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::error::{CaptureError, FirstBytes};
use super::magic::{Format, SNIFF_BYTES, sniff};
use super::reader::{Round, is_standard_input};
use super::scan::{Across, Scanner, Sink, Stop, Tally};
use crate::model::{FileId, Timestamp};

/// Asked of the system at once: calls cost nothing beside it, and what is hashed right after is still in the cache.
const READ_BYTES: usize = 1024 * 1024;

/// What became of a file: one row of the `captures` table.
#[derive(Debug)]
pub struct FileReport {
    pub file: FileId,
    pub path: PathBuf,
    /// `pcap` or `pcapng`.
    pub format: Option<&'static str>,
    pub bytes: u64,
    pub packets: u64,
    /// The earliest time of any packet.
    pub first_time: Option<Timestamp>,
    /// The latest time of any packet.
    pub last_time: Option<Timestamp>,
    /// In order of appearance.
    pub link_types: Vec<u16>,
    /// The largest of any interface.
    pub snaplen: Option<u32>,
    /// Whether every byte was read and understood.
    pub complete: bool,
    pub error: Option<CaptureError>,
    /// Packets of which less was captured than was on the wire.
    pub truncated_packets: u64,
    /// `blake3:` and the hash of all bytes of the file; none where not all could be read.
    pub content_hash: Option<String>,
}

impl FileReport {
    /// Of a file that could not even be opened.
    pub(super) fn unread(file: FileId, path: PathBuf, error: CaptureError) -> Self {
        Self {
            file,
            path,
            format: None,
            bytes: 0,
            packets: 0,
            first_time: None,
            last_time: None,
            link_types: Vec::new(),
            snaplen: None,
            complete: false,
            error: Some(error),
            truncated_packets: 0,
            content_hash: None,
        }
    }
}

/// A file in the course of being read.
pub(super) struct FileReader {
    file: FileId,
    path: PathBuf,
    input: Box<dyn Read + Send>,
    hasher: Option<blake3::Hasher>,
    format: Option<Format>,
    scanner: Option<Scanner>,
    tally: Tally,
    /// The unfinished record at the end of the last round, and how long it says it is.
    carry: Vec<u8>,
    wanted: usize,
    /// Bytes read, and those of them that were whole records.
    read: u64,
    taken: u64,
    ended: bool,
    done: bool,
    error: Option<CaptureError>,
}

impl FileReader {
    pub(super) fn open(file: FileId, path: &Path) -> Result<Self, CaptureError> {
        let input: Box<dyn Read + Send> = if is_standard_input(path) {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(|source| CaptureError::Io { path: path.to_path_buf(), source })?)
        };
        Ok(Self::new(file, path, input))
    }

    pub(super) fn new(file: FileId, path: &Path, input: Box<dyn Read + Send>) -> Self {
        Self {
            file,
            path: path.to_path_buf(),
            input,
            hasher: Some(blake3::Hasher::new()),
            format: None,
            scanner: None,
            tally: Tally::new(),
            carry: Vec::new(),
            wanted: SNIFF_BYTES,
            read: 0,
            taken: 0,
            ended: false,
            done: false,
            error: None,
        }
    }

    /// Spares the hash where only times are asked for.
    pub(super) fn unhashed(self) -> Self {
        Self { hasher: None, ..self }
    }

    /// The next records; false once the file has no more.
    pub(super) fn fill(&mut self, round: &mut Round, round_bytes: usize, across: &mut Across) -> bool {
        round.records.clear();
        round.file = self.file;
        while !self.done && round.records.is_empty() {
            let filled = self.read_round(&mut round.bytes, round_bytes);
            self.scan_round(round, filled, across);
        }
        !round.records.is_empty()
    }

    /// Fills the buffer behind what was carried over; gives the number of bytes it holds.
    fn read_round(&mut self, bytes: &mut Vec<u8>, round_bytes: usize) -> usize {
        let carried = self.carry.len();
        // What a record claims is believed only as fast as bytes arrive: a lie of 64 MiB in a small file costs nothing.
        let target = round_bytes.max(self.wanted.min(carried.saturating_mul(2)));
        if bytes.len() < target {
            *bytes = vec![0; target]; // fresh pages are zero already: nothing is written that a read does not overwrite
        }
        bytes[..carried].copy_from_slice(&self.carry);
        let mut filled = carried;
        while filled < target && !self.ended {
            let piece = &mut bytes[filled..target.min(filled + READ_BYTES)];
            filled += self.read_piece(piece);
        }
        filled
    }

    fn read_piece(&mut self, piece: &mut [u8]) -> usize {
        match self.input.read(piece) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.read += count as u64;
                if let Some(hasher) = &mut self.hasher {
                    hasher.update(&piece[..count]);
                }
                return count;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => {
                self.error = Some(CaptureError::Io { path: self.path.clone(), source });
                self.hasher = None;
                self.ended = true;
            }
        }
        0
    }

    /// Takes the whole records of the round and decides how the file goes on.
    fn scan_round(&mut self, round: &mut Round, filled: usize, across: &mut Across) {
        let bytes = &round.bytes[..filled];
        if self.scanner.is_none() && !self.recognise(bytes) {
            return;
        }
        let Some(scanner) = &mut self.scanner else { return };
        let mut sink = Sink { file: self.file, records: &mut round.records, tally: &mut self.tally, across };
        let (used, stop) = scanner.scan(bytes, &mut sink);
        self.taken += used as u64;
        let rest = &bytes[used..];
        match stop {
            Stop::More(_) if self.ended && (rest.is_empty() || self.error.is_some()) => self.done = true,
            Stop::More(claimed) if self.ended => {
                let (path, left) = (self.path.clone(), rest.len() as u64);
                self.fail(CaptureError::CutOff { path, record: self.record(), offset: self.taken, claimed, left });
            }
            Stop::More(claimed) => {
                self.wanted = claimed as usize;
                self.carry.clear();
                self.carry.extend_from_slice(rest);
            }
            Stop::Damaged(what) => {
                self.fail(CaptureError::Damaged { path: self.path.clone(), record: self.record(), offset: self.taken, what });
            }
        }
    }

    /// Finds the format in the first round, which is never shorter than what it takes unless the file is.
    fn recognise(&mut self, bytes: &[u8]) -> bool {
        self.format = sniff(bytes);
        self.scanner = self.format.map(Scanner::new);
        if self.scanner.is_none() {
            let path = self.path.clone();
            self.fail(if bytes.is_empty() {
                CaptureError::Empty { path }
            } else {
                CaptureError::NotACapture { path, first_bytes: FirstBytes::of(bytes) }
            });
        }
        self.scanner.is_some()
    }

    /// The number of the record that is next; 0 for the header of the file.
    fn record(&self) -> u64 {
        if self.taken == 0 { 0 } else { self.tally.packets + 1 }
    }

    /// Ends the file here. The rest is read for the hash alone. The first error stands.
    fn fail(&mut self, error: CaptureError) {
        self.done = true;
        self.error.get_or_insert(error);
        let mut piece = vec![0; if self.ended || self.hasher.is_none() { 0 } else { READ_BYTES }];
        while !self.ended && !piece.is_empty() {
            self.read_piece(&mut piece);
        }
    }

    pub(super) fn finish(self) -> FileReport {
        FileReport {
            file: self.file,
            path: self.path,
            format: self.format.map(Format::word),
            bytes: self.read,
            packets: self.tally.packets,
            first_time: self.tally.first_time(),
            last_time: self.tally.last_time(),
            link_types: self.tally.link_types,
            snaplen: self.tally.snaplen,
            complete: self.error.is_none(),
            error: self.error,
            truncated_packets: self.tally.truncated,
            content_hash: self.hasher.map(|hasher| format!("blake3:{}", hasher.finalize().to_hex())),
        }
    }
}

#[cfg(test)]
mod tests;
