//! Captures for tests: builders that write what the formats say, and a way to read bytes as a file.

use std::io::{Cursor, Read};
use std::path::Path;

use super::content::Opened;
use super::file::{FileReader, FileReport};
use super::inventory::CaptureFile;
use super::order::Order;
use super::reader::{Record, Round};
use super::scan::Across;
use crate::model::{FileId, Timestamp};

impl Order {
    pub(super) fn bytes32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn bytes16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

/// A pcap file, packet after packet.
#[derive(Clone)]
pub(super) struct PcapBuilder {
    order: Order,
    units: u32,
    bytes: Vec<u8>,
}

impl PcapBuilder {
    pub(super) fn micros() -> Self {
        Self::new(Order::Little, 1_000_000, 1)
    }

    pub(super) fn new(order: Order, units: u32, link_type: u32) -> Self {
        let magic = if units == 1_000_000 { 0xa1b2_c3d4 } else { 0xa1b2_3c4d };
        let mut bytes = order.bytes32(magic).to_vec();
        bytes.extend(order.bytes16(2));
        bytes.extend(order.bytes16(4));
        bytes.extend([0, 0, 65_535, link_type].map(|word| order.bytes32(word)).as_flattened());
        Self { order, units, bytes }
    }

    pub(super) fn packet(self, nanos: u64, data: &[u8]) -> Self {
        self.snapped(nanos, data, data.len() as u32)
    }

    pub(super) fn snapped(mut self, nanos: u64, data: &[u8], original: u32) -> Self {
        let fraction = (nanos % 1_000_000_000) / (1_000_000_000 / u64::from(self.units));
        let words = [(nanos / 1_000_000_000) as u32, fraction as u32, data.len() as u32, original];
        self.bytes.extend(words.map(|word| self.order.bytes32(word)).as_flattened());
        self.bytes.extend(data);
        self
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A section of a pcapng file, block after block.
#[derive(Clone)]
pub(super) struct PcapngBuilder {
    order: Order,
    bytes: Vec<u8>,
}

impl PcapngBuilder {
    pub(super) fn section(order: Order) -> Self {
        let version = [order.bytes16(1), order.bytes16(0)];
        let body = [&order.bytes32(0x1a2b_3c4d)[..], version.as_flattened(), &[0xff; 8]].concat();
        Self { order, bytes: Vec::new() }.block(0x0a0d_0d0a, &body)
    }

    pub(super) fn block(mut self, kind: u32, body: &[u8]) -> Self {
        let padding = body.len().next_multiple_of(4) - body.len();
        let length = self.order.bytes32((body.len() + padding + 12) as u32);
        self.bytes.extend([&self.order.bytes32(kind)[..], &length, body, &[0; 3][..padding], &length].concat());
        self
    }

    /// An empty name is none. Options are (code, value).
    pub(super) fn interface(self, name: &str, link_type: u16, options: &[(u16, Vec<u8>)]) -> Self {
        let order = self.order;
        let mut body = [&order.bytes16(link_type)[..], &[0; 6]].concat();
        let named = (!name.is_empty()).then(|| (2, name.as_bytes().to_vec()));
        for (code, value) in named.iter().chain(options) {
            body.extend([order.bytes16(*code), order.bytes16(value.len() as u16)].as_flattened());
            body.extend(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(1, &body)
    }

    pub(super) fn packet(self, interface: u32, ticks: u64, data: &[u8]) -> Self {
        self.packet_block(6, interface, ticks, data)
    }

    pub(super) fn obsolete(self, interface: u16, drops: u16, ticks: u64, data: &[u8]) -> Self {
        let word = match self.order {
            Order::Little => u32::from(interface) | (u32::from(drops) << 16),
            Order::Big => (u32::from(interface) << 16) | u32::from(drops),
        };
        self.packet_block(2, word, ticks, data)
    }

    pub(super) fn simple(self, data: &[u8]) -> Self {
        let length = self.order.bytes32(data.len() as u32);
        self.block(3, &[&length[..], data].concat())
    }

    fn packet_block(self, kind: u32, interface: u32, ticks: u64, data: &[u8]) -> Self {
        let words = [interface, (ticks >> 32) as u32, ticks as u32, data.len() as u32, data.len() as u32];
        let fields = words.map(|word| self.order.bytes32(word));
        self.block(kind, &[fields.as_flattened(), data].concat())
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A record with its bytes, wherever in a round they lay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) time: Timestamp,
    pub(super) clock: Timestamp,
    pub(super) number: u64,
    pub(super) link_type: u16,
    pub(super) interface: u16,
    pub(super) captured: u32,
    pub(super) original: u32,
    pub(super) data: Vec<u8>,
}

impl Seen {
    fn new(record: &Record, round: &Round) -> Self {
        let Record { time, clock, number, link_type, interface, captured, original, .. } = *record;
        let data = round.packet(record).to_vec();
        assert_eq!(data.len(), captured as usize, "a record lies inside its round");
        Self { time, clock, number: number.number(), link_type, interface, captured, original, data }
    }
}

/// Reads a file named `test` in rounds that hold all of it.
pub(super) fn read_whole(bytes: &[u8]) -> (Vec<Seen>, FileReport) {
    read_in_rounds(bytes, 1 << 20)
}

/// Of a file named `test`.
pub(super) fn reader_of(bytes: impl Read + Send + 'static) -> FileReader {
    FileReader::new(&CaptureFile::at(FileId(0), Path::new("test")), Some(Box::new(Opened::of(bytes))))
}

pub(super) fn read_in_rounds(bytes: &[u8], round_bytes: usize) -> (Vec<Seen>, FileReport) {
    let mut reader = reader_of(Cursor::new(bytes.to_vec()));
    let (mut round, mut across, mut seen) = (Round::default(), Across::default(), Vec::new());
    while reader.fill(&mut round, round_bytes, &mut across) {
        seen.extend(round.records.iter().map(|record| Seen::new(record, &round)));
    }
    (seen, reader.finish())
}
