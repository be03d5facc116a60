//! What both formats share: where whole records go, what is told of damage, and why a scan stops.

use std::collections::{BTreeMap, HashSet};

use super::clock::TraceClock;
use super::error::Flaw;
use super::interface::Interfaces;
use super::magic::{Format, sniff};
use super::pcap::{self, Pcap};
use super::pcapng::{self, Pcapng};
use super::reader::Record;
use crate::model::{FileId, PacketNumber, Span, Timestamp};

/// No record, no block is larger: libpcap itself never captures more than 256 KiB of a packet but on USB and the like.
pub(super) const RECORD_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// A record is doubted whose time is this far from that of the record before.
pub(super) const TIME_NEAR: Span = Span::from_secs(366 * 24 * 3_600);

/// Why a scan went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The rest is shorter than what stands there, which takes at least so many bytes.
    More(u32),
    /// The file ends inside the record that begins here and claims so many bytes.
    Cut(u32),
    /// All was taken.
    End,
    /// The header of another capture stands where a record should: files that were joined.
    Another(Format),
}

/// What is carried from file to file of a source.
#[derive(Debug, Default)]
pub(super) struct Across {
    pub(super) clock: TraceClock,
    pub(super) interfaces: Interfaces,
    gaps: Vec<Gap>,
    /// Something is lost since the last packet: the next one closes the gap.
    gap_is_open: bool,
}

/// A stretch of trace time of which a damaged place has taken packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Of the last packet before, and of the first one behind.
    pub from: Timestamp,
    pub to: Timestamp,
    /// The source's clock at the packet behind.
    pub clock: Timestamp,
}

/// Gaps of a source that are told apart; all beyond are one that never ends.
const GAPS_MAX: usize = 256;

impl Across {
    pub(super) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Packets are lost here.
    pub(super) fn open_gap(&mut self) {
        self.gap_is_open = true;
    }

    #[cold]
    fn close_gap(&mut self, from: Timestamp, to: Timestamp, clock: Timestamp) {
        self.gap_is_open = false;
        let gap = Gap { from: from.min(to), to: from.max(to), clock };
        let full = self.gaps.len() >= GAPS_MAX;
        match self.gaps.last_mut().filter(|_| full) {
            Some(last) => *last = Gap { from: last.from.min(gap.from), to: Timestamp(i64::MAX), clock: last.clock },
            None => self.gaps.push(gap),
        }
    }
}

/// What is counted over the records of one file.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) packets: u64,
    pub(super) truncated: u64,
    pub(super) clock_steps: u64,
    earliest: Timestamp,
    latest: Timestamp,
    pub(super) link_types: Vec<u16>,
    link_types_seen: HashSet<u16>,
    pub(super) snaplen: Option<u32>,
    /// By interface of the source.
    drops: BTreeMap<u16, Drops>,
    pub(super) damage: Option<Damage>,
}

/// Packets that an interface or the system lost before they could be captured, as the capture says.
#[derive(Clone, Copy, Debug, Default)]
struct Drops {
    /// Of the last statistics of the interface, which count from the beginning.
    stated: u64,
    /// Summed over the packets that tell of drops before them.
    summed: u64,
}

/// The first damaged place, and the sums over all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) record: u64,
    /// Byte of the capture, after what packed it was taken off.
    pub(super) offset: u64,
    pub(super) what: Flaw,
    pub(super) places: u64,
    pub(super) skipped: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            packets: 0,
            truncated: 0,
            clock_steps: 0,
            earliest: Timestamp(i64::MAX),
            latest: Timestamp(i64::MIN),
            link_types: Vec::new(),
            link_types_seen: HashSet::new(),
            snaplen: None,
            drops: BTreeMap::new(),
            damage: None,
        }
    }

    pub(super) fn first_time(&self) -> Option<Timestamp> {
        (self.earliest <= self.latest).then_some(self.earliest)
    }

    pub(super) fn last_time(&self) -> Option<Timestamp> {
        (self.earliest <= self.latest).then_some(self.latest)
    }

    /// An interface is described: its link type, and the snap length it was captured with (0: no limit).
    pub(super) fn interface(&mut self, link_type: u16, snaplen: u32) {
        if self.link_types_seen.insert(link_type) {
            self.link_types.push(link_type);
        }
        if snaplen > 0 {
            self.snaplen = self.snaplen.max(Some(snaplen));
        }
    }

    /// Statistics of an interface.
    pub(super) fn drops_stated(&mut self, interface: u16, count: u64) {
        self.drops.entry(interface).or_default().stated = count;
    }

    /// Drops since the packet before, told beside a packet.
    pub(super) fn drops_before_packet(&mut self, interface: u16, count: u64) {
        let drops = self.drops.entry(interface).or_default();
        drops.summed = drops.summed.saturating_add(count);
    }

    /// None where the capture does not tell.
    pub(super) fn dropped(&self) -> Option<u64> {
        let each = self.drops.values().map(|drops| drops.stated.max(drops.summed));
        (!self.drops.is_empty()).then(|| each.fold(0, u64::saturating_add))
    }
}

/// Takes the records of one file as they are found.
pub(super) struct Sink<'a> {
    pub(super) file: FileId,
    pub(super) records: &'a mut Vec<Record>,
    /// Records that stand beside a damaged place: perhaps not all of their bytes are their own.
    pub(super) doubtful: &'a mut Vec<PacketNumber>,
    pub(super) tally: &'a mut Tally,
    pub(super) across: &'a mut Across,
    /// Where in the capture the bytes begin that are scanned.
    pub(super) base: u64,
}

/// What a record says of its packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw {
    pub(super) time: Timestamp,
    /// Whether the record itself says its time.
    pub(super) is_timed: bool,
    pub(super) link_type: u16,
    pub(super) interface: u16,
    pub(super) start: usize,
    pub(super) captured: u32,
    pub(super) original: u32,
}

impl Sink<'_> {
    #[inline(always)]
    pub(super) fn packet(&mut self, raw: Raw) {
        let Raw { time, is_timed, link_type, interface, start, captured, original } = raw;
        let tally = &mut *self.tally;
        tally.packets += 1;
        tally.truncated += u64::from(captured < original);
        if is_timed {
            tally.earliest = tally.earliest.min(time);
            tally.latest = tally.latest.max(time);
        }
        let number = PacketNumber::new(self.file, tally.packets);
        let before = self.across.clock.latest();
        let clock = self.across.clock.at(time, &mut tally.clock_steps);
        if self.across.gap_is_open {
            self.across.close_gap(before.unwrap_or(time), time, clock);
        }
        let start = start as u32; // rounds are far below 4 GiB (reader::ROUND_BYTES_MAX)
        self.records.push(Record { time, clock, number, link_type, interface, start, captured, original });
    }

    /// The next record is damaged: it begins at byte `at` of the scanned bytes.
    #[cold]
    pub(super) fn damaged(&mut self, at: usize, what: Flaw) {
        let first = Damage { record: self.tally.packets + 1, offset: self.base + at as u64, what, places: 0, skipped: 0 };
        self.tally.damage.get_or_insert(first).places += 1;
        self.across.open_gap();
    }

    /// The record that was given out last stands beside a damaged place.
    #[cold]
    pub(super) fn doubt_last(&mut self) {
        self.doubtful.extend(self.records.last().map(|record| record.number));
        self.across.open_gap(); // it has closed the gap that is behind it
    }

    /// So many bytes belong to no record.
    #[cold]
    pub(super) fn skipped(&mut self, bytes: usize) {
        if let Some(damage) = &mut self.tally.damage {
            damage.skipped += bytes as u64;
        }
    }
}

/// Finds records in the bytes of one file, piece after piece.
pub(super) enum Scanner {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl Scanner {
    pub(super) fn new(format: Format) -> Self {
        match format {
            Format::Pcap => Self::Pcap(Pcap::default()),
            Format::Pcapng => Self::Pcapng(Pcapng::default()),
        }
    }

    /// Takes whole records from the front of `bytes`; says how many bytes they were, and why it stopped. The next piece has to begin with what was
    /// left. `last`: behind these bytes the file ends. What is found depends on the bytes of the file alone, however they were cut into pieces.
    pub(super) fn scan(&mut self, bytes: &[u8], last: bool, sink: &mut Sink<'_>) -> (usize, Stop) {
        let mut at = 0;
        loop {
            let (used, stop) = match self {
                Self::Pcap(pcap) => pcap.scan(bytes, at, last, sink),
                Self::Pcapng(pcapng) => pcapng.scan(bytes, at, last, sink),
            };
            at = used;
            match stop {
                Stop::Another(format) => *self = Self::new(format),
                other => return (at, other),
            }
        }
    }

    /// Where in the last bytes of a file a record begins from which records follow each other exactly to the end.
    pub(super) fn align(&self, tail: &[u8], first_time: Timestamp) -> Option<usize> {
        match self {
            Self::Pcap(pcap) => pcap.align(tail, first_time),
            Self::Pcapng(pcapng) => pcapng.align(tail),
        }
    }
}

/// What stands where a record was expected, or where one is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joint {
    None,
    /// The header of another capture: files that were joined.
    Header(Format),
    /// Its first bytes, perhaps: so many tell.
    Needs(usize),
}

/// The header of a capture, strictly, at the front of `bytes`.
pub(super) fn joint(bytes: &[u8], last: bool) -> Joint {
    match sniff(bytes) {
        None => Joint::None,
        Some(_) if bytes.len() < pcap::FILE_HEADER_BYTES => {
            if last {
                Joint::None
            } else {
                Joint::Needs(pcap::FILE_HEADER_BYTES)
            }
        }
        Some(Format::Pcap) if pcap::is_file_header(bytes) => Joint::Header(Format::Pcap),
        Some(Format::Pcapng) if pcapng::is_section_header(bytes) => Joint::Header(Format::Pcapng),
        Some(_) => Joint::None,
    }
}
