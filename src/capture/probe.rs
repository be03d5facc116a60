//! The times of a file without reading all of it, to put files in order.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::content;
use super::file::FileReader;
use super::inventory::CaptureFile;
use super::magic::sniff;
use super::reader::{Record, Round};
use super::scan::{Across, Scanner, Sink, Stop, Tally};
use crate::model::{FileId, Timestamp};

/// What is read of the front of a file, for its first packet.
const HEAD_BYTES: u64 = 64 * 1024;
/// What is read of its end, for its last packets: several records of any usual size.
const TAIL_BYTES: u64 = 256 * 1024;
const ROUND_BYTES: usize = 1024 * 1024;

/// When a file begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    /// Of its first packet.
    pub(super) first: Timestamp,
    /// The latest among its last packets.
    pub(super) last: Timestamp,
}

/// None of a file without packets. A file whose end tells nothing (cut, damaged there, or compressed) is read from front to end.
pub(super) fn times(file: &CaptureFile) -> Option<Times> {
    at_the_ends(file).ok().flatten().or_else(|| throughout(file))
}

/// The time of the first packet; most files show it in their first bytes.
pub(super) fn first_time(file: &CaptureFile) -> Option<Timestamp> {
    let in_head = || {
        let mut head = Vec::new();
        content::open_place(&file.path, &file.place).ok()?.take(HEAD_BYTES).read_to_end(&mut head).ok()?;
        let mut scan = Scan::new(&head)?;
        scan.take(&head, false);
        scan.records.first().map(|record| record.time)
    };
    in_head().or_else(|| throughout(file).map(|times| times.first))
}

fn at_the_ends(file: &CaptureFile) -> io::Result<Option<Times>> {
    if file.is_compressed {
        return Ok(None);
    }
    let (mut bytes, start, length) = content::stretch(&file.path, &file.place)?;
    let head = read_at(&mut bytes, start, length.min(HEAD_BYTES))?;
    let Some(mut scan) = Scan::new(&head) else { return Ok(None) };
    let is_all = length <= HEAD_BYTES;
    let exact = scan.take(&head, is_all);
    let Some(first) = scan.records.first().map(|record| record.time) else { return Ok(None) };
    if is_all {
        return Ok(exact.then(|| Times { first, last: scan.latest(first) }));
    }
    let tail = read_at(&mut bytes, start + length.saturating_sub(TAIL_BYTES), length.min(TAIL_BYTES))?;
    let Some(begin) = scan.scanner.align(&tail, first) else { return Ok(None) };
    let exact = scan.take(&tail[begin..], true);
    Ok((exact && !scan.records.is_empty()).then(|| Times { first, last: scan.latest(first) }))
}

fn read_at(file: &mut File, start: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn throughout(file: &CaptureFile) -> Option<Times> {
    let content = content::open_place(&file.path, &file.place).ok()?;
    let mut reader = FileReader::new(file, Some(Box::new(content)));
    let (mut round, mut across) = (Round::default(), Across::default());
    let mut times: Option<Times> = None;
    while reader.fill(&mut round, ROUND_BYTES, &mut across) {
        for time in round.records.iter().map(|record| record.time) {
            let times = times.get_or_insert(Times { first: time, last: time });
            times.last = times.last.max(time);
        }
    }
    times
}

/// Pieces of a file that are looked at.
struct Scan {
    scanner: Scanner,
    across: Across,
    records: Vec<Record>,
}

impl Scan {
    /// None where it is no capture.
    fn new(head: &[u8]) -> Option<Self> {
        let scanner = Scanner::new(sniff(head)?);
        Some(Self { scanner, across: Across::default(), records: Vec::new() })
    }

    /// Whether the bytes are whole records, undamaged, without a rest.
    fn take(&mut self, bytes: &[u8], last: bool) -> bool {
        self.records.clear();
        let mut tally = Tally::new();
        let doubtful = &mut Vec::new();
        let mut sink = Sink { file: FileId::default(), records: &mut self.records, doubtful, tally: &mut tally, across: &mut self.across, base: 0 };
        let (_, stop) = self.scanner.scan(bytes, last, &mut sink);
        stop == Stop::End && tally.damage.is_none()
    }

    fn latest(&self, first: Timestamp) -> Timestamp {
        self.records.iter().map(|record| record.time).fold(first, Timestamp::max)
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::Order;
    use super::super::testing::{PcapBuilder, PcapngBuilder};
    use super::*;
    use std::fs;

    fn probe(bytes: &[u8]) -> (Option<(i64, i64)>, bool) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = CaptureFile::at(FileId(0), &folder.path().join("file"));
        fs::write(&file.path, bytes).expect("a temporary file");
        let at_the_ends = at_the_ends(&file).ok().flatten();
        assert_eq!(first_time(&file), times(&file).map(|times| times.first));
        (times(&file).map(|times| (times.first.0, times.last.0)), at_the_ends.is_some())
    }

    fn long_pcap() -> Vec<u8> {
        (1..1_000).fold(PcapBuilder::micros(), |file, second| file.packet(second * 1_000_000_000, &[0xa5; 1_000])).bytes()
    }

    #[test]
    fn the_ends_of_a_long_file_tell_its_times() {
        assert_eq!(probe(&long_pcap()), (Some((1_000_000_000, 999_000_000_000)), true));
        for order in [Order::Little, Order::Big] {
            let start = PcapngBuilder::section(order).interface("eth0", 1, &[(9, vec![9])]);
            let file = (1..1_000).fold(start, |file, nanos| file.packet(0, nanos, &[0xa5; 1_000])).block(5, &[0; 12]).bytes();
            assert_eq!(probe(&file), (Some((1, 999)), true));
        }
    }

    #[test]
    fn a_cut_file_is_read_through() {
        let mut file = long_pcap();
        file.truncate(file.len() - 1);
        assert_eq!(probe(&file), (Some((1_000_000_000, 998_000_000_000)), false));
    }

    #[test]
    fn packets_inside_packets_mislead_nobody() {
        let inner = (0..40).fold(PcapBuilder::micros(), |file, _| file.packet(77_000_000_000_000_000, &[1; 500])).bytes();
        let file = (1..100).fold(PcapBuilder::micros(), |file, second| file.packet(second * 1_000_000_000, &inner)).bytes();
        assert_eq!(probe(&file), (Some((1_000_000_000, 99_000_000_000)), true));
    }

    #[test]
    fn a_file_without_packets_has_no_times() {
        assert_eq!(probe(&PcapBuilder::micros().bytes()), (None, false));
        assert_eq!(probe(b"no capture"), (None, false));
        assert_eq!(probe(b""), (None, false));
    }
}
