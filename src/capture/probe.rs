//! The times of a file without reading all of it, to put files in order.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::file::FileReader;
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

/// None of a file without packets. A file whose end tells nothing (cut, or damaged there) is read from front to end.
pub(super) fn times(path: &Path) -> Option<Times> {
    at_the_ends(path).ok().flatten().or_else(|| throughout(path))
}

/// The time of the first packet; most files show it in their first bytes.
pub(super) fn first_time(path: &Path) -> Option<Timestamp> {
    let in_head = Ends::open(path).ok().flatten().and_then(|mut ends| ends.scan_head()).map(|(first, _)| first);
    in_head.or_else(|| throughout(path).map(|times| times.first))
}

fn at_the_ends(path: &Path) -> io::Result<Option<Times>> {
    let Some(mut ends) = Ends::open(path)? else { return Ok(None) };
    let Some((first, exact)) = ends.scan_head() else { return Ok(None) };
    if ends.length <= HEAD_BYTES {
        return Ok(exact.then(|| Times { first, last: ends.latest(first) }));
    }
    Ok(ends.scan_tail(first)?.map(|last| Times { first, last }))
}

fn throughout(path: &Path) -> Option<Times> {
    let mut file = FileReader::open(FileId::default(), path).ok()?.unhashed();
    let (mut round, mut across) = (Round::default(), Across::default());
    let mut times: Option<Times> = None;
    while file.fill(&mut round, ROUND_BYTES, &mut across) {
        for time in round.records.iter().map(|record| record.time) {
            let times = times.get_or_insert(Times { first: time, last: time });
            times.last = times.last.max(time);
        }
    }
    times
}

/// A file of which only the ends are looked at.
struct Ends {
    file: File,
    length: u64,
    head: Vec<u8>,
    scanner: Scanner,
    across: Across,
    records: Vec<Record>,
}

impl Ends {
    /// None where it is no capture.
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut head = Vec::new();
        (&mut file).take(HEAD_BYTES).read_to_end(&mut head)?;
        let scanner = sniff(&head).map(Scanner::new);
        Ok(scanner.map(|scanner| Self { file, length, head, scanner, across: Across::default(), records: Vec::new() }))
    }

    /// The first packet's time, and whether the head holds nothing but whole records.
    fn scan_head(&mut self) -> Option<(Timestamp, bool)> {
        let head = std::mem::take(&mut self.head);
        let exact = self.scan(&head);
        self.records.first().map(|record| (record.time, exact))
    }

    fn scan_tail(&mut self, first: Timestamp) -> io::Result<Option<Timestamp>> {
        let mut tail = Vec::new();
        self.file.seek(SeekFrom::Start(self.length.saturating_sub(TAIL_BYTES)))?;
        (&mut self.file).take(TAIL_BYTES).read_to_end(&mut tail)?;
        let Some(start) = self.scanner.align(&tail, first) else { return Ok(None) };
        let exact = self.scan(&tail[start..]);
        Ok((exact && !self.records.is_empty()).then(|| self.latest(first)))
    }

    /// Whether the bytes are whole records without a rest.
    fn scan(&mut self, bytes: &[u8]) -> bool {
        self.records.clear();
        let mut sink = Sink { file: FileId::default(), records: &mut self.records, tally: &mut Tally::new(), across: &mut self.across };
        let (used, stop) = self.scanner.scan(bytes, &mut sink);
        used == bytes.len() && matches!(stop, Stop::More(_))
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
        let path = folder.path().join("file");
        fs::write(&path, bytes).expect("a temporary file");
        let at_the_ends = at_the_ends(&path).ok().flatten();
        assert_eq!(first_time(&path), times(&path).map(|times| times.first));
        (times(&path).map(|times| (times.first.0, times.last.0)), at_the_ends.is_some())
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
