//! What both formats share: where whole records go, and why a scan stops.

use std::collections::HashSet;

use super::clock::TraceClock;
use super::error::Flaw;
use super::interface::Interfaces;
use super::magic::Format;
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::reader::Record;
use crate::model::{FileId, PacketNumber, Timestamp};

/// No record, no block is larger: libpcap itself never captures more than 256 KiB of a packet but on USB and the like.
pub(super) const RECORD_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// Why a scan went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The rest is shorter than what stands there, which takes at least so many bytes.
    More(u32),
    Damaged(Flaw),
}

/// What is carried from file to file of a source.
#[derive(Debug, Default)]
pub(super) struct Across {
    pub(super) clock: TraceClock,
    pub(super) interfaces: Interfaces,
}

/// What is counted over the records of one file.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) packets: u64,
    pub(super) truncated: u64,
    earliest: Timestamp,
    latest: Timestamp,
    pub(super) link_types: Vec<u16>,
    link_types_seen: HashSet<u16>,
    pub(super) snaplen: Option<u32>,
}

impl Tally {
    pub(super) fn new() -> Self {
        let (earliest, latest) = (Timestamp(i64::MAX), Timestamp(i64::MIN));
        Self { packets: 0, truncated: 0, earliest, latest, link_types: Vec::new(), link_types_seen: HashSet::new(), snaplen: None }
    }

    pub(super) fn first_time(&self) -> Option<Timestamp> {
        (self.packets > 0).then_some(self.earliest)
    }

    pub(super) fn last_time(&self) -> Option<Timestamp> {
        (self.packets > 0).then_some(self.latest)
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
}

/// Takes the records of one file as they are found.
pub(super) struct Sink<'a> {
    pub(super) file: FileId,
    pub(super) records: &'a mut Vec<Record>,
    pub(super) tally: &'a mut Tally,
    pub(super) across: &'a mut Across,
}

/// What a record says of its packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw {
    pub(super) time: Timestamp,
    pub(super) link_type: u16,
    pub(super) interface: u16,
    pub(super) start: usize,
    pub(super) captured: u32,
    pub(super) original: u32,
}

impl Sink<'_> {
    #[inline(always)]
    pub(super) fn packet(&mut self, raw: Raw) {
        let Raw { time, link_type, interface, start, captured, original } = raw;
        let tally = &mut *self.tally;
        tally.packets += 1;
        tally.truncated += u64::from(captured < original);
        tally.earliest = tally.earliest.min(time);
        tally.latest = tally.latest.max(time);
        let number = PacketNumber::new(self.file, tally.packets);
        let clock = self.across.clock.at(time);
        let start = start as u32; // rounds are far below 4 GiB (reader::ROUND_BYTES_MAX)
        self.records.push(Record { time, clock, number, link_type, interface, start, captured, original });
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

    /// Takes whole records from the front of `bytes`; says how many bytes they were, and why it stopped.
    /// The next piece has to begin with what was left.
    pub(super) fn scan(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> (usize, Stop) {
        match self {
            Self::Pcap(pcap) => pcap.scan(bytes, sink),
            Self::Pcapng(pcapng) => pcapng.scan(bytes, sink),
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
