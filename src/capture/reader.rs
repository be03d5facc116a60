//! The records of a source, round after round, one file at a time.

use std::collections::VecDeque;

use super::content::{self, Content};
use super::error::CaptureError;
use super::file::{FileReader, FileReport};
use super::interface::Interface;
use super::inventory::{CaptureFile, Source};
use super::scan::{Across, Gap};
use crate::model::{FileId, PacketNumber, Timestamp};

/// Opens the captures of a source, in their order. Whoever reads may have them decompressed ahead.
pub type Opener<'a> = Box<dyn FnMut(&CaptureFile) -> Result<Box<dyn Content>, CaptureError> + Send + 'a>;

/// Smaller rounds would only move bytes about, larger ones could not be addressed by [`Record::start`].
const ROUND_BYTES_MIN: usize = 64;
const ROUND_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// One packet as the capture holds it. Its bytes are those of the round from `start`, `captured` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub time: Timestamp,
    /// The running clock of the source: it never goes back, and all timeouts count on it.
    pub clock: Timestamp,
    pub number: PacketNumber,
    pub link_type: u16,
    /// Index into [`SourceReader::interfaces`]; 0 in a pcap.
    pub interface: u16,
    pub start: u32,
    pub captured: u32,
    /// Length on the wire.
    pub original: u32,
}

/// Consecutive records of one file and the bytes they lie in. Hand it back to be filled again: both vectors are reused.
#[derive(Debug, Default)]
pub struct Round {
    /// May be longer than what the records cover.
    pub bytes: Vec<u8>,
    pub records: Vec<Record>,
    /// Numbers of records that stand beside a damaged place, in order: perhaps not all of their bytes are their own.
    pub doubtful: Vec<PacketNumber>,
    pub file: FileId,
}

impl Round {
    /// The bytes of one of this round's records.
    #[inline]
    pub fn packet(&self, record: &Record) -> &[u8] {
        let start = record.start as usize;
        self.bytes.get(start..start + record.captured as usize).unwrap_or_default()
    }
}

/// Reads the files of a source one after the other.
pub struct SourceReader<'a> {
    open: Opener<'a>,
    waiting: VecDeque<CaptureFile>,
    current: Option<FileReader>,
    across: Across,
    reports: Vec<FileReport>,
    round_bytes: usize,
}

impl<'a> SourceReader<'a> {
    /// Opens each file when its turn has come.
    pub fn new(source: &Source, round_bytes: usize) -> Self {
        Self::with(source, round_bytes, Box::new(|file| Ok(Box::new(content::open(file)?))))
    }

    pub fn with(source: &Source, round_bytes: usize, open: Opener<'a>) -> Self {
        Self {
            open,
            waiting: source.files.iter().cloned().collect(),
            current: None,
            across: Across::default(),
            reports: Vec::new(),
            round_bytes: round_bytes.clamp(ROUND_BYTES_MIN, ROUND_BYTES_MAX),
        }
    }

    /// The next records of the source, all from one file; false at the end of the source.
    pub fn fill(&mut self, round: &mut Round) -> bool {
        loop {
            let Some(file) = &mut self.current else {
                let Some(next) = self.waiting.pop_front() else { return false };
                self.current = self.open(next);
                continue;
            };
            if file.fill(round, self.round_bytes, &mut self.across) {
                return true;
            }
            if let Some(report) = self.current.take().map(FileReader::finish) {
                if !report.complete {
                    self.across.open_gap();
                }
                self.reports.push(report);
            }
        }
    }

    /// Where packets were lost to damage so far, over all files of the source.
    pub fn gaps(&self) -> &[Gap] {
        self.across.gaps()
    }

    /// All interfaces met so far, over all files of the source.
    pub fn interfaces(&self) -> &[Interface] {
        self.across.interfaces.list()
    }

    /// Files finished since the last call.
    pub fn take_reports(&mut self) -> Vec<FileReport> {
        std::mem::take(&mut self.reports)
    }

    fn open(&mut self, file: CaptureFile) -> Option<FileReader> {
        match (self.open)(&file) {
            Ok(content) => Some(FileReader::new(&file, Some(content))),
            Err(error) => {
                self.across.open_gap();
                self.reports.push(FileReport::unread(file, error));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::Order;
    use super::super::testing::{PcapBuilder, PcapngBuilder};
    use super::*;
    use std::fs;
    use std::path::Path;

    fn source(files: &[(&Path, Vec<u8>)]) -> Source {
        let write = |(id, (path, bytes)): (usize, &(&Path, Vec<u8>))| {
            fs::write(path, bytes).expect("a temporary file");
            CaptureFile::at(FileId(id as u32), path)
        };
        Source { name: "test".into(), files: files.iter().enumerate().map(write).collect() }
    }

    #[test]
    fn a_series_reads_as_one_with_one_clock_and_one_interface() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |ticks: [u64; 2]| {
            PcapngBuilder::section(Order::Little).interface("eth0", 1, &[]).packet(0, ticks[0], b"a").packet(0, ticks[1], b"b").bytes()
        };
        let paths = [folder.path().join("1"), folder.path().join("2")];
        let source = source(&[(&paths[0], file([1_000_000, 200_000_000])), (&paths[1], file([2_000_000, 3_000_000]))]);
        let mut reader = SourceReader::new(&source, 4_096);
        let (mut round, mut seen) = (Round::default(), Vec::new());
        while reader.fill(&mut round) {
            assert!(round.records.iter().all(|record| record.number.file() == round.file));
            seen.extend(
                round.records.iter().map(|record| (record.number.file().0, record.number.number(), record.clock.0 / 1_000_000_000, record.interface)),
            );
        }
        assert_eq!(seen, [(0, 1, 1, 0), (0, 2, 200, 0), (1, 1, 200, 0), (1, 2, 200, 0)], "the second file's clock was set back");
        assert_eq!(reader.interfaces().len(), 1);
        let reports = reader.take_reports();
        assert_eq!(reports.iter().map(|report| (report.packets, report.complete, report.format)).collect::<Vec<_>>(), [(2, true, Some("pcapng")); 2]);
        assert!(reader.take_reports().is_empty(), "a file is reported once");
    }

    #[test]
    fn a_file_that_is_gone_does_not_end_the_source() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = [folder.path().join("gone"), folder.path().join("here")];
        let source = source(&[(&paths[0], Vec::new()), (&paths[1], PcapBuilder::micros().packet(0, b"x").bytes())]);
        fs::remove_file(&paths[0]).expect("it was there");
        let mut reader = SourceReader::new(&source, 4_096);
        let mut round = Round::default();
        assert!(reader.fill(&mut round));
        assert_eq!((round.file, round.packet(&round.records[0])), (FileId(1), &b"x"[..]));
        assert!(!reader.fill(&mut round));
        let complete: Vec<bool> = reader.take_reports().iter().map(|report| report.complete).collect();
        assert_eq!(complete, [false, true]);
    }
}
