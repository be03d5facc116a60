//! Blocks of pcapng files (draft-ietf-opsawg-pcapng): sections, interfaces, packets, statistics; all other blocks are passed over.
//!
//! A block says its length at both ends. Where the two differ, the place is damaged: reading goes on at the next byte at which a block of a known
//! type stands whole. A block that is whole but says what cannot be is left out alone.
//!
//! `pcap_parser` reads section headers and interface descriptions. The fixed fields of packet blocks are read here (`packet_fields`): its parser
//! collects the options of every packet into a vector, and does not know the obsolete packet block.

use pcap_parser::pcapng::{parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le, parse_sectionheaderblock};
use pcap_parser::{EPB_MAGIC, IDB_MAGIC, ISB_MAGIC, NRB_MAGIC, OptionCode, SHB_MAGIC, SPB_MAGIC};

use super::error::Flaw;
use super::magic::Format;
use super::order::Order;
use super::resolution::Resolution;
use super::scan::{Joint, RECORD_BYTES_MAX, Raw, Sink, Stop, joint};
use crate::model::Timestamp;

/// Packet block, replaced by the enhanced packet block in 2009 (draft appendix A).
const PB_MAGIC: u32 = 0x0000_0002;
/// Decryption secrets block.
const DSB_MAGIC: u32 = 0x0000_000a;
/// Systemd journal export block.
const SJE_MAGIC: u32 = 0x0000_0009;
/// Custom blocks, to be copied and not to be copied.
const CB_MAGIC: u32 = 0x0000_0bad;
const CB_NO_COPY_MAGIC: u32 = 0x4000_0bad;
/// Type, length, and the length again at the end.
const BLOCK_BYTES_MIN: u32 = 12;
/// With magic, version, and the length of the section.
const SECTION_HEADER_BYTES_MIN: u32 = 28;
const PACKET_BLOCK_DATA: usize = 28; // from the start of an enhanced or obsolete packet block
const SIMPLE_BLOCK_DATA: usize = 12;
const STATISTICS_OPTIONS: usize = 20; // from the start of an interface statistics block

/// Options of packets and statistics, by their codes (draft sections 4.3 and 4.6).
const EPB_DROPCOUNT: u16 = 4;
const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;
/// The obsolete packet block has sixteen bits for its drops, all set where they are not known.
const DROPS_UNKNOWN: u16 = 0xffff;

/// A pcapng file in the course of being read.
#[derive(Default)]
pub(super) struct Pcapng {
    order: Order,
    /// Of the section at hand.
    interfaces: Vec<SectionInterface>,
    /// Simple packet blocks carry no time: they take that of the packet before.
    last_time: Timestamp,
    /// The place is damaged, and the next whole block not found yet.
    lost: bool,
}

#[derive(Clone, Copy)]
struct SectionInterface {
    ordinal: u16,
    link_type: u16,
    snaplen: u32,
    resolution: Resolution,
}

/// The fields that the enhanced and the obsolete packet block share.
struct PacketFields {
    interface: u32,
    ticks: u64,
    captured: u32,
    original: u32,
}

/// What stands at a byte of the file.
enum Block {
    Whole {
        kind: u32,
        length: u32,
    },
    /// These bytes do not hold all of it; it takes so many.
    Partial(u32),
    Flawed(Flaw),
}

/// Whether these are the first bytes of a section, strictly: byte-order magic, a possible length, version 1.
pub(super) fn is_section_header(bytes: &[u8]) -> bool {
    let Some(&[k0, k1, k2, k3, l0, l1, l2, l3, m0, m1, m2, m3, v0, v1]) = bytes.first_chunk() else { return false };
    Order::of_magic([m0, m1, m2, m3]).is_some_and(|order| {
        let length = order.u32([l0, l1, l2, l3]);
        order.u32([k0, k1, k2, k3]) == SHB_MAGIC && length >= SECTION_HEADER_BYTES_MIN && length.is_multiple_of(4) && order.u16([v0, v1]) == 1
    })
}

impl Pcapng {
    pub(super) fn scan(&mut self, bytes: &[u8], mut at: usize, last: bool, sink: &mut Sink<'_>) -> (usize, Stop) {
        loop {
            if self.lost {
                let (found, stop) = self.search(bytes, at, last, sink);
                at = found;
                if let Some(stop) = stop {
                    return (at, stop);
                }
            }
            let block = self.whole_block(&bytes[at..]);
            if !matches!(block, Block::Whole { .. }) {
                match joint(&bytes[at..], last) {
                    Joint::Header(Format::Pcap) => return (at, Stop::Another(Format::Pcap)),
                    Joint::Needs(more) if bytes.len() - at >= BLOCK_BYTES_MIN as usize => return (at, Stop::More(more as u32)),
                    _ => {}
                }
            }
            match block {
                Block::Whole { kind, length } => {
                    if let Err(flaw) = self.block(kind, length, &bytes[at..at + length as usize], at, sink) {
                        sink.damaged(at, flaw);
                        sink.skipped(length as usize);
                    }
                    at += length as usize;
                }
                Block::Partial(_) if at == bytes.len() && last => return (at, Stop::End),
                Block::Partial(length) if !last => return (at, Stop::More(length)),
                Block::Partial(length) if self.is_cut(&bytes[at..], length) && !self.hides_others(&bytes[at..]) => return (at, Stop::Cut(length)),
                Block::Partial(length) => self.lose(at, Flaw::BlockLength { length }, sink),
                Block::Flawed(flaw) => self.lose(at, flaw, sink),
            }
        }
    }

    /// What stands at the front of `bytes`, by its type and its two lengths.
    #[inline(always)]
    fn whole_block(&mut self, bytes: &[u8]) -> Block {
        let Some(&[k0, k1, k2, k3, l0, l1, l2, l3, m0, m1, m2, m3]) = bytes.first_chunk() else {
            return Block::Partial(BLOCK_BYTES_MIN);
        };
        let kind = self.order.u32([k0, k1, k2, k3]);
        let mut order = self.order;
        if kind == SHB_MAGIC {
            // The only type that reads the same in both orders; the magic behind its length says which it is.
            match Order::of_magic([m0, m1, m2, m3]) {
                Some(of_section) => order = of_section,
                None => return Block::Flawed(Flaw::SectionHeader),
            }
        }
        let length = order.u32([l0, l1, l2, l3]);
        if !(BLOCK_BYTES_MIN..=RECORD_BYTES_MAX).contains(&length) || !length.is_multiple_of(4) {
            return Block::Flawed(Flaw::BlockLength { length });
        }
        match order.u32_at(bytes, length as usize - 4) {
            None => Block::Partial(length),
            Some(trailing) if trailing != length => Block::Flawed(Flaw::TrailingLength { length, trailing }),
            Some(_) => {
                self.order = order;
                Block::Whole { kind, length }
            }
        }
    }

    /// One whole block, which begins at byte `at` of the round.
    #[inline(always)]
    fn block(&mut self, kind: u32, length: u32, block: &[u8], at: usize, sink: &mut Sink<'_>) -> Result<(), Flaw> {
        match kind {
            EPB_MAGIC | PB_MAGIC => self.packet(kind, length, block, at, sink),
            SPB_MAGIC => self.simple_packet(length, block, at, sink),
            IDB_MAGIC => self.interface(block, sink),
            SHB_MAGIC => self.section(block),
            ISB_MAGIC => {
                self.statistics(block, sink);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn section(&mut self, block: &[u8]) -> Result<(), Flaw> {
        match parse_sectionheaderblock(block) {
            Ok((_, header)) if header.major_version == 1 => {
                self.interfaces.clear();
                Ok(())
            }
            _ => Err(Flaw::SectionHeader),
        }
    }

    fn interface(&mut self, block: &[u8], sink: &mut Sink<'_>) -> Result<(), Flaw> {
        let parsed = match self.order {
            Order::Little => parse_interfacedescriptionblock_le(block),
            Order::Big => parse_interfacedescriptionblock_be(block),
        };
        let Ok((_, description)) = parsed else {
            return Err(Flaw::InterfaceDescription);
        };
        let if_tsoffset = match self.order {
            Order::Little => description.if_tsoffset,
            Order::Big => description.if_tsoffset.swap_bytes(), // the parser reads it as little-endian in every section
        };
        let name = description.options.iter().find(|option| option.code == OptionCode::IfName).and_then(|option| option.as_bytes().ok());
        let link_type = description.linktype.0 as u16; // sixteen bits in the block
        let position = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        let ordinal = sink.across.interfaces.described(name, link_type, position).ok_or(Flaw::TooManyInterfaces)?;
        sink.tally.interface(link_type, description.snaplen);
        let resolution = Resolution::new(description.if_tsresol, if_tsoffset);
        self.interfaces.push(SectionInterface { ordinal, link_type, snaplen: description.snaplen, resolution });
        Ok(())
    }

    #[inline(always)]
    fn packet(&mut self, kind: u32, length: u32, block: &[u8], at: usize, sink: &mut Sink<'_>) -> Result<(), Flaw> {
        let Some(fields) = self.packet_fields(kind, block).filter(|fields| fields.fit(length)) else {
            return Err(Flaw::PacketOutsideBlock { length });
        };
        let PacketFields { interface, ticks, captured, original } = fields;
        let SectionInterface { ordinal, link_type, resolution, .. } = self.described(interface)?;
        let time = resolution.time(ticks);
        self.last_time = time;
        let options = PACKET_BLOCK_DATA + captured.next_multiple_of(4) as usize;
        if kind == PB_MAGIC || options + 4 < block.len() {
            self.drops_before(kind, block, options, ordinal, sink);
        }
        sink.packet(Raw { time, is_timed: true, link_type, interface: ordinal, start: at + PACKET_BLOCK_DATA, captured, original });
        Ok(())
    }

    #[inline(always)]
    fn packet_fields(&self, kind: u32, block: &[u8]) -> Option<PacketFields> {
        let &[i0, i1, i2, i3, h0, h1, h2, h3, l0, l1, l2, l3, c0, c1, c2, c3, o0, o1, o2, o3] = block.get(8..)?.first_chunk()?;
        let order = self.order;
        // The obsolete block has a count of drops in the other half of the word.
        let interface = if kind == PB_MAGIC { u32::from(order.u16([i0, i1])) } else { order.u32([i0, i1, i2, i3]) };
        let ticks = (u64::from(order.u32([h0, h1, h2, h3])) << 32) | u64::from(order.u32([l0, l1, l2, l3]));
        Some(PacketFields { interface, ticks, captured: order.u32([c0, c1, c2, c3]), original: order.u32([o0, o1, o2, o3]) })
    }

    /// Packets that were lost before this one, where the block tells.
    #[cold]
    fn drops_before(&self, kind: u32, block: &[u8], options: usize, interface: u16, sink: &mut Sink<'_>) {
        if kind == PB_MAGIC {
            let drops = block.get(10..).and_then(|half| half.first_chunk()).map(|half| self.order.u16(*half));
            if let Some(drops) = drops.filter(|&drops| drops != DROPS_UNKNOWN) {
                sink.tally.drops_before_packet(interface, drops.into());
            }
        } else if let Some(drops) = self.option_u64(block.get(options..).unwrap_or_default(), EPB_DROPCOUNT) {
            sink.tally.drops_before_packet(interface, drops);
        }
    }

    /// Counts of what an interface and the system dropped since the capture began.
    fn statistics(&self, block: &[u8], sink: &mut Sink<'_>) {
        let interface = self.order.u32_at(block, 8).and_then(|interface| self.described(interface).ok());
        let options = block.get(STATISTICS_OPTIONS..).unwrap_or_default();
        let counts = [ISB_IFDROP, ISB_OSDROP].map(|code| self.option_u64(options, code));
        if let Some(SectionInterface { ordinal, .. }) = interface.filter(|_| counts.iter().any(Option::is_some)) {
            sink.tally.drops_stated(ordinal, counts.into_iter().flatten().fold(0, u64::saturating_add));
        }
    }

    /// The value of the first option of this code that is eight bytes long.
    fn option_u64(&self, mut options: &[u8], wanted: u16) -> Option<u64> {
        loop {
            let (&[c0, c1, l0, l1], rest) = options.split_first_chunk()?;
            let (code, length) = (self.order.u16([c0, c1]), usize::from(self.order.u16([l0, l1])));
            if code == 0 {
                return None; // opt_endofopt
            }
            if code == wanted && length == 8 {
                return rest.first_chunk().map(|value| self.order.u64(*value));
            }
            options = rest.get(length.next_multiple_of(4)..)?;
        }
    }

    /// Of the section's first interface, with neither time nor captured length: the block holds what the snap length left.
    fn simple_packet(&mut self, length: u32, block: &[u8], at: usize, sink: &mut Sink<'_>) -> Result<(), Flaw> {
        let SectionInterface { ordinal, link_type, snaplen, .. } = self.described(0)?;
        let room = length.checked_sub(SIMPLE_BLOCK_DATA as u32 + 4).ok_or(Flaw::PacketOutsideBlock { length })?;
        let original = self.order.u32_at(block, 8).ok_or(Flaw::PacketOutsideBlock { length })?;
        let captured = original.min(if snaplen == 0 { u32::MAX } else { snaplen }).min(room);
        sink.packet(Raw { time: self.last_time, is_timed: false, link_type, interface: ordinal, start: at + SIMPLE_BLOCK_DATA, captured, original });
        Ok(())
    }

    #[inline(always)]
    fn described(&self, interface: u32) -> Result<SectionInterface, Flaw> {
        self.interfaces.get(interface as usize).copied().ok_or(Flaw::UnknownInterface { interface })
    }

    // Damage.

    /// Whether the file ends inside an honest block: one that holds a packet holds it all, and little else.
    fn is_cut(&self, bytes: &[u8], length: u32) -> bool {
        const OPTIONS_USUAL_MAX: u32 = 4_096;
        let Some(kind) = self.order.u32_at(bytes, 0) else { return true };
        match kind {
            EPB_MAGIC | PB_MAGIC => self.packet_fields(kind, bytes).is_none_or(|fields| {
                let packet = (PACKET_BLOCK_DATA as u32 + 4).saturating_add(fields.captured.checked_next_multiple_of(4).unwrap_or(u32::MAX));
                (packet..=packet.saturating_add(OPTIONS_USUAL_MAX)).contains(&length)
            }),
            _ => is_known(kind),
        }
    }

    /// Whether whole blocks stand in a block that reaches behind the end of the file, behind the packet that it holds: then its length is a lie.
    #[cold]
    fn hides_others(&mut self, bytes: &[u8]) -> bool {
        let order = self.order;
        let holds_packet = matches!(order.u32_at(bytes, 0), Some(EPB_MAGIC | PB_MAGIC));
        let data =
            self.packet_fields(EPB_MAGIC, bytes).filter(|_| holds_packet).map(|fields| PACKET_BLOCK_DATA.saturating_add(fields.captured as usize));
        (data.unwrap_or(BLOCK_BYTES_MIN as usize)..bytes.len()).any(|start| {
            let Some(rest) = bytes.get(start..).filter(|rest| order.u32_at(rest, 0).is_some_and(is_known)) else { return false };
            let found = match self.whole_block(rest) {
                Block::Whole { kind, length } => self.makes_sense(kind, length, &rest[..length as usize]),
                Block::Partial(_) | Block::Flawed(_) => false,
            };
            self.order = order;
            found
        })
    }

    #[cold]
    fn lose(&mut self, at: usize, flaw: Flaw, sink: &mut Sink<'_>) {
        sink.damaged(at, flaw);
        self.lost = true;
    }

    /// Goes on at the next whole block of a known type; what stands before it is skipped. The damaged block itself is tried again: it is not whole.
    #[cold]
    fn search(&mut self, bytes: &[u8], at: usize, last: bool, sink: &mut Sink<'_>) -> (usize, Option<Stop>) {
        for start in at..bytes.len() {
            let Some(kind) = self.order.u32_at(bytes, start) else {
                break;
            };
            let stop = match joint(&bytes[start..], last) {
                Joint::Header(Format::Pcap) => Some(Stop::Another(Format::Pcap)),
                Joint::Needs(more) => Some(Stop::More(more as u32)),
                _ => None,
            };
            if stop.is_some() {
                sink.skipped(start - at);
                return (start, stop);
            }
            if !is_known(kind) {
                continue;
            }
            let order = self.order;
            let found = match self.whole_block(&bytes[start..]) {
                Block::Whole { kind, length } => self.makes_sense(kind, length, &bytes[start..start + length as usize]),
                Block::Partial(length) if !last && self.is_awaited(&bytes[start..], length) => {
                    sink.skipped(start - at);
                    return (start, Some(Stop::More(length)));
                }
                Block::Partial(_) | Block::Flawed(_) => false,
            };
            if found {
                sink.skipped(start - at);
                self.lost = false;
                return (start, None);
            }
            self.order = order;
        }
        // A type that is not whole yet may begin in the last three bytes.
        let kept = if last { 0 } else { (bytes.len() - at).min(3) };
        sink.skipped(bytes.len() - at - kept);
        (bytes.len() - kept, Some(if last { Stop::End } else { Stop::More(BLOCK_BYTES_MIN) }))
    }

    /// Whether a block found by search is more than bytes that look like one.
    fn makes_sense(&self, kind: u32, length: u32, block: &[u8]) -> bool {
        let is_consistent = self.is_awaited(block, length);
        match kind {
            EPB_MAGIC | PB_MAGIC => is_consistent && self.packet_fields(kind, block).is_some_and(|fields| self.described(fields.interface).is_ok()),
            SHB_MAGIC => is_consistent && is_section_header(block),
            _ => is_consistent,
        }
    }

    /// The same of a block of which perhaps only the front is there: it is waited for only with reason.
    fn is_awaited(&self, front: &[u8], length: u32) -> bool {
        length <= RESUME_BYTES_MAX && (front.len() < PACKET_BLOCK_DATA || self.is_cut(front, length))
    }

    /// See [`super::scan::Scanner::align`]. Each block ends with its length, so the way leads back from the end.
    /// Takes the tail for a part of the section at hand: the byte order proves itself, the interfaces do not.
    pub(super) fn align(&self, tail: &[u8]) -> Option<usize> {
        let mut start = tail.len();
        while let Some(length) = start.checked_sub(4).and_then(|end| self.order.u32_at(tail, end)) {
            let Some(before) = start.checked_sub(length as usize) else { break };
            if length < BLOCK_BYTES_MIN || self.order.u32_at(tail, before + 4) != Some(length) {
                return None;
            }
            start = before;
        }
        (start < tail.len()).then_some(start)
    }
}

/// A block that is found behind damage is waited for up to this length (by design: the largest packet that is usual, with options).
const RESUME_BYTES_MAX: u32 = 512 * 1024;

/// Types of the draft, section 4, and of its registry.
fn is_known(kind: u32) -> bool {
    matches!(
        kind,
        SHB_MAGIC | IDB_MAGIC | PB_MAGIC | SPB_MAGIC | NRB_MAGIC | ISB_MAGIC | EPB_MAGIC | SJE_MAGIC | DSB_MAGIC | CB_MAGIC | CB_NO_COPY_MAGIC
    )
}

impl PacketFields {
    /// Whether the packet lies inside its block.
    fn fit(&self, length: u32) -> bool {
        u64::from(self.captured) + PACKET_BLOCK_DATA as u64 + 4 <= u64::from(length)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{PcapngBuilder, read_whole};
    use super::*;

    #[test]
    fn a_length_that_leads_behind_the_end_hides_no_packet() {
        let head = PcapngBuilder::section(Order::Little).interface("eth0", 1, &[]);
        let at = head.clone().bytes().len();
        let mut bytes = (0..4_u8).fold(head, |file, number| file.packet(0, number.into(), &[number; 40])).bytes();
        bytes[at + 5] = 1; // 256 bytes more, as of a packet with options that the file has not all of
        let (records, report) = read_whole(&bytes);
        assert_eq!(records.iter().map(|record| record.data[0]).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(report.error.expect("damage").to_string().contains("a block of 328 bytes"));
        bytes.truncate(at + 70); // with nothing behind it
        assert!(read_whole(&bytes).1.error.expect("cut").to_string().ends_with("says 328 bytes, 70 are left"));
    }

    #[test]
    fn sections_of_either_order_follow_each_other() {
        let bytes = [Order::Big, Order::Little]
            .map(|order| PcapngBuilder::section(order).interface("eth0", 1, &[(9, vec![9])]).packet(0, 5_000_000_001, b"hello").bytes())
            .concat();
        let (records, report) = read_whole(&bytes);
        assert!(report.complete);
        for record in &records {
            assert_eq!((record.time, record.interface, &record.data[..]), (Timestamp(5_000_000_001), 0, &b"hello"[..]));
        }
        assert_eq!((records.len(), records[1].number), (2, 2), "the same interface, numbers go on");
    }

    #[test]
    fn each_interface_has_its_own_link_type_and_time() {
        let file = PcapngBuilder::section(Order::Big)
            .interface("eth0", 1, &[])
            .interface("tun0", 101, &[(9, vec![3]), (14, 100_i64.to_be_bytes().to_vec())])
            .packet(1, 7, b"a")
            .packet(0, 7, b"b");
        let (records, report) = read_whole(&file.bytes());
        let facts: Vec<_> = records.iter().map(|record| (record.interface, record.link_type, record.time.0)).collect();
        assert_eq!(facts, [(1, 101, 100_007_000_000), (0, 1, 7_000)]);
        assert_eq!(report.link_types, [1, 101]);
    }

    #[test]
    fn a_packet_without_time_takes_the_last_one_seen() {
        let file = PcapngBuilder::section(Order::Little).interface("", 1, &[]).simple(b"first").packet(0, 9, b"then").simple(b"after");
        let report = read_whole(&file.clone().bytes()).1;
        assert_eq!((report.first_time, report.last_time), (Some(Timestamp(9_000)), Some(Timestamp(9_000))), "only what was said");
        let times: Vec<_> = read_whole(&file.bytes()).0.iter().map(|record| (record.time.0, record.data.clone())).collect();
        assert_eq!(times, [(0, b"first".to_vec()), (9_000, b"then".to_vec()), (9_000, b"after".to_vec())]);
    }

    #[test]
    fn the_obsolete_packet_block_counts_drops_beside_its_interface() {
        let file = PcapngBuilder::section(Order::Big).interface("", 1, &[]).obsolete(0, 0xffff, 9, b"old");
        let (records, _) = read_whole(&file.bytes());
        assert_eq!((records[0].time.0, &records[0].data[..]), (9_000, &b"old"[..]));
    }

    #[test]
    fn other_blocks_are_skipped_however_odd() {
        let file = PcapngBuilder::section(Order::Little).block(0x0bad_cafe, &[1; 40]).interface("", 1, &[]).block(5, &[]).packet(0, 1, b"x");
        let (records, report) = read_whole(&file.bytes());
        assert_eq!((records.len(), report.complete), (1, true));
    }

    #[test]
    fn a_block_that_contradicts_itself_is_left_out_alone() {
        // A good packet before, the damaged one, a good one behind.
        let start = || PcapngBuilder::section(Order::Little).interface("", 1, &[]).packet(0, 1, b"before");
        let at = start().bytes().len();
        let check = |damage: &dyn Fn(&mut Vec<u8>), expected: &str| {
            let mut bytes = start().packet(0, 2, b"x").bytes();
            damage(&mut bytes);
            let end = bytes.len();
            bytes.extend(&PcapngBuilder::section(Order::Little).packet(0, 3, b"behind").bytes()[28..]);
            let (records, report) = read_whole(&bytes);
            let data: Vec<&[u8]> = records.iter().map(|record| &record.data[..]).collect();
            assert_eq!(data, [&b"before"[..], b"behind"], "{expected}");
            let expected = format!("test: record 2 at byte {at}: {expected}; {} bytes skipped", end - at);
            assert_eq!((report.error.expect("damaged").to_string(), report.complete), (expected, false));
        };
        check(&|bytes| bytes[at + 8] = 3, "a packet of interface 3, which its section does not describe");
        check(&|bytes| bytes[at + 20] = 5, "a packet that does not fit its block of 36 bytes");
        check(&|bytes| *bytes.last_mut().expect("a byte") = 1, "a block of 36 bytes that ends as one of 16777252");
        check(&|bytes| bytes[at + 4] = 35, "a block of 35 bytes: not a multiple of 4 from 12 bytes to 64 MiB");
        check(&|bytes| drop(bytes.drain(at + 8..at + 16)), "a block of 36 bytes that ends as one of 40");
    }

    #[test]
    fn what_was_dropped_is_summed_over_interfaces() {
        let option = |code: u16, value: u64| [&code.to_be_bytes()[..], &8_u16.to_be_bytes(), &value.to_be_bytes()].concat();
        let statistics = |interface: u32, options: &[Vec<u8>]| [&interface.to_be_bytes()[..], &[0; 8], &options.concat()].concat();
        let file = PcapngBuilder::section(Order::Big)
            .interface("eth0", 1, &[])
            .interface("eth1", 1, &[])
            .block(5, &statistics(0, &[option(4, 1_000), option(5, 3)]))
            .obsolete(1, 7, 1, b"seven before me")
            .obsolete(1, 0xffff, 1, b"nobody knows")
            .block(5, &statistics(0, &[option(4, 2_000), option(5, 10), option(7, 2)]));
        assert_eq!(read_whole(&file.bytes()).1.dropped, Some(10 + 2 + 7), "the last statistics of an interface hold for all of it");
        let silent = PcapngBuilder::section(Order::Big).interface("eth0", 1, &[]).packet(0, 1, b"x");
        assert_eq!(read_whole(&silent.bytes()).1.dropped, None);
    }

    #[test]
    fn a_packet_tells_of_drops_in_its_options() {
        let packet = |drops: u64| {
            let words = [0, 0, 9, 4, 4].map(u32::to_le_bytes);
            let options = [&4_u16.to_le_bytes()[..], &8_u16.to_le_bytes(), &drops.to_le_bytes(), &[0; 4]].concat();
            [words.as_flattened(), b"data", &options].concat()
        };
        let file = PcapngBuilder::section(Order::Little).interface("", 1, &[]).block(6, &packet(2)).block(6, &packet(3));
        let (records, report) = read_whole(&file.bytes());
        assert_eq!((records.len(), report.dropped), (2, Some(5)));
    }

    #[test]
    fn a_damaged_block_inside_a_section_of_the_other_order_is_passed_over() {
        let mut bytes = PcapngBuilder::section(Order::Big).interface("", 1, &[]).packet(0, 1, b"one").bytes();
        bytes.extend([0xff; 50]);
        bytes.extend(PcapngBuilder::section(Order::Little).interface("", 1, &[]).packet(0, 2, b"two").bytes());
        let (records, report) = read_whole(&bytes);
        assert_eq!(records.len(), 2);
        assert!(report.error.expect("damaged").to_string().ends_with("; 50 bytes skipped"));
    }

    #[test]
    fn the_tail_is_joined_at_the_first_whole_block() {
        let file = (0..10).fold(PcapngBuilder::section(Order::Big).interface("", 1, &[]), |file, time| file.packet(0, time, &[0; 60])).bytes();
        let pcapng = Pcapng { order: Order::Big, ..Pcapng::default() };
        let tail = &file[file.len() - 250..];
        assert_eq!(pcapng.align(tail), Some(250 - 2 * 92));
        assert_eq!(pcapng.align(&tail[..249]), None, "a cut file does not end with a length");
    }
}
