//! One file from its first byte to its last: pieces read and hashed, whole records taken, the rest carried over.

use std::path::PathBuf;

use super::content::{Content, Ending};
use super::error::{CaptureError, FirstBytes};
use super::inventory::CaptureFile;
use super::magic::{FORMAT_BYTES, Format, SNIFF_BYTES, sniff};
use super::reader::Round;
use super::scan::{Across, Damage, Scanner, Sink, Stop, Tally};
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
    /// What it is packed in, outermost first.
    pub packing: Vec<&'static str>,
    /// As they are stored.
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
    /// Packets that were lost before they could be captured; none where the capture does not tell.
    pub dropped: Option<u64>,
    /// How often the clock of the machine was set.
    pub clock_steps: u64,
    /// `blake3:` and the hash of all bytes of the file; none where not all could be read.
    pub content_hash: Option<String>,
}

impl FileReport {
    /// Of a file that could not even be opened.
    pub(super) fn unread(file: CaptureFile, error: CaptureError) -> Self {
        let reader = FileReader { error: Some(error), ..FileReader::new(&file, None) };
        reader.finish()
    }
}

/// A file in the course of being read.
pub(super) struct FileReader {
    file: FileId,
    path: PathBuf,
    /// None where it could not be opened.
    content: Option<Box<dyn Content>>,
    packing: Vec<&'static str>,
    format: Option<Format>,
    scanner: Option<Scanner>,
    tally: Tally,
    /// The unfinished record at the end of the last round, and how long it says it is.
    carry: Vec<u8>,
    wanted: usize,
    /// Bytes of the content that were whole records or passed over.
    taken: u64,
    ended: bool,
    done: bool,
    error: Option<CaptureError>,
}

impl FileReader {
    pub(super) fn new(file: &CaptureFile, content: Option<Box<dyn Content>>) -> Self {
        let opened = content.iter().flat_map(|content| content.packing());
        Self {
            file: file.id,
            path: file.path.clone(),
            packing: file.archive.iter().copied().chain(opened).collect(),
            content,
            format: None,
            scanner: None,
            tally: Tally::new(),
            carry: Vec::new(),
            wanted: SNIFF_BYTES,
            taken: 0,
            ended: false,
            done: false,
            error: None,
        }
    }

    /// The next records; false once the file has no more.
    pub(super) fn fill(&mut self, round: &mut Round, round_bytes: usize, across: &mut Across) -> bool {
        round.records.clear();
        round.doubtful.clear();
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
        let target = round_bytes.max(self.wanted.min(carried.saturating_mul(2))).max(carried + 1);
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
        match self.content.as_mut().map_or(Ok(0), |content| content.read(piece)) {
            Ok(count) => {
                self.ended = count == 0;
                count
            }
            Err(error) => {
                self.fail(error.of_file(&self.path));
                self.ended = true;
                0
            }
        }
    }

    /// Takes the whole records of the round and decides how the file goes on.
    fn scan_round(&mut self, round: &mut Round, filled: usize, across: &mut Across) {
        let bytes = &round.bytes[..filled];
        if self.scanner.is_none() && !self.recognise(bytes) {
            return;
        }
        let Some(scanner) = &mut self.scanner else { return };
        let mut sink =
            Sink { file: self.file, records: &mut round.records, doubtful: &mut round.doubtful, tally: &mut self.tally, across, base: self.taken };
        let (used, stop) = scanner.scan(bytes, self.ended, &mut sink);
        self.taken += used as u64;
        let rest = &bytes[used..];
        match stop {
            Stop::More(claimed) => {
                self.wanted = claimed as usize;
                self.carry.clear();
                self.carry.extend_from_slice(rest);
            }
            Stop::Cut(claimed) => {
                let (path, left) = (self.path.clone(), rest.len() as u64);
                self.fail(CaptureError::CutOff { path, record: self.record(), offset: self.taken, claimed, left });
                self.done = true;
            }
            Stop::End | Stop::Another(_) => self.done = true,
        }
    }

    /// Finds the format in the first round, which is never shorter than what it takes unless the file is.
    fn recognise(&mut self, bytes: &[u8]) -> bool {
        self.format = sniff(bytes);
        self.scanner = self.format.map(Scanner::new);
        if self.scanner.is_none() {
            let path = self.path.clone();
            self.done = true;
            let error = match bytes {
                [] => CaptureError::Empty { path },
                _ => CaptureError::NotACapture { path, first_bytes: FirstBytes::of(bytes) },
            };
            // Whatever went wrong farther on, the first bytes had told; how far a round reached by then must not matter.
            if bytes.len() >= FORMAT_BYTES {
                self.error = None;
            }
            self.fail(error);
        }
        self.scanner.is_some()
    }

    /// The number of the record that is next; 0 for the header of the file.
    fn record(&self) -> u64 {
        if self.taken == 0 { 0 } else { self.tally.packets + 1 }
    }

    /// The first error stands.
    fn fail(&mut self, error: CaptureError) {
        self.error.get_or_insert(error);
    }

    pub(super) fn finish(mut self) -> FileReport {
        let Ending { bytes, content_hash, changed } = self.content.take().map(|content| content.finish()).unwrap_or_default();
        let error = self.damage().or(self.error).or(changed.map(|(before, after)| CaptureError::Changed { path: self.path.clone(), before, after }));
        FileReport {
            file: self.file,
            path: self.path,
            format: self.format.map(Format::word),
            packing: self.packing,
            bytes,
            packets: self.tally.packets,
            first_time: self.tally.first_time(),
            last_time: self.tally.last_time(),
            complete: error.is_none(),
            error,
            truncated_packets: self.tally.truncated,
            dropped: self.tally.dropped(),
            clock_steps: self.tally.clock_steps,
            link_types: self.tally.link_types,
            snaplen: self.tally.snaplen,
            content_hash,
        }
    }

    /// What was damaged comes before what ended the file: it was met first.
    fn damage(&self) -> Option<CaptureError> {
        let Damage { record, offset, what, places, skipped } = self.tally.damage?;
        Some(CaptureError::Damaged { path: self.path.clone(), record, offset, what, skipped, places })
    }
}

#[cfg(test)]
mod tests;
