//! Blocks of pcapng files (draft-ietf-opsawg-pcapng): sections, interfaces, packets; all other blocks are skipped.
//!
//! `pcap_parser` reads section headers and interface descriptions. The fixed fields of packet blocks are read here
//! (`packet_fields`): its parser collects the options of every packet into a vector, and does not know the obsolete packet block.

use pcap_parser::pcapng::{parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le, parse_sectionheaderblock};
use pcap_parser::{EPB_MAGIC, IDB_MAGIC, OptionCode, SHB_MAGIC, SPB_MAGIC};

use super::error::Flaw;
use super::order::Order;
use super::resolution::Resolution;
use super::scan::{RECORD_BYTES_MAX, Raw, Sink, Stop};
use crate::model::Timestamp;

/// Packet block, replaced by the enhanced packet block in 2009 (draft appendix A).
const PB_MAGIC: u32 = 0x0000_0002;
/// Type, length, and the length again at the end.
const BLOCK_BYTES_MIN: u32 = 12;
const PACKET_BLOCK_DATA: usize = 28; // from the start of an enhanced or obsolete packet block
const SIMPLE_BLOCK_DATA: usize = 12;

/// A pcapng file in the course of being read.
#[derive(Default)]
pub(super) struct Pcapng {
    order: Order,
    /// Of the section at hand.
    interfaces: Vec<SectionInterface>,
    /// Simple packet blocks carry no time: they take that of the packet before.
    last_time: Timestamp,
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

impl Pcapng {
    pub(super) fn scan(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> (usize, Stop) {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let Some(&[k0, k1, k2, k3, l0, l1, l2, l3, m0, m1, m2, m3]) = rest.first_chunk() else {
                return (at, Stop::More(BLOCK_BYTES_MIN));
            };
            let kind = self.order.u32([k0, k1, k2, k3]);
            if kind == SHB_MAGIC {
                // The only type that reads the same in both orders; the magic behind its length says which it is.
                let Some(order) = Order::of_magic([m0, m1, m2, m3]) else {
                    return (at, Stop::Damaged(Flaw::SectionHeader));
                };
                self.order = order;
            }
            let length = self.order.u32([l0, l1, l2, l3]);
            if !(BLOCK_BYTES_MIN..=RECORD_BYTES_MAX).contains(&length) || !length.is_multiple_of(4) {
                return (at, Stop::Damaged(Flaw::BlockLength { length }));
            }
            let Some(block) = rest.get(..length as usize) else {
                return (at, Stop::More(length));
            };
            if let Err(flaw) = self.block(kind, length, block, at, sink) {
                return (at, Stop::Damaged(flaw));
            }
            at += block.len();
        }
    }

    /// One whole block, which begins at byte `at` of the round.
    #[inline(always)]
    fn block(&mut self, kind: u32, length: u32, block: &[u8], at: usize, sink: &mut Sink<'_>) -> Result<(), Flaw> {
        let trailing = self.order.u32_at(block, block.len() - 4).unwrap_or(0);
        if trailing != length {
            return Err(Flaw::TrailingLength { length, trailing });
        }
        match kind {
            EPB_MAGIC | PB_MAGIC => self.packet(kind, length, block, at, sink),
            SPB_MAGIC => self.simple_packet(length, block, at, sink),
            IDB_MAGIC => self.interface(block, sink),
            SHB_MAGIC => self.section(block),
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
        let Some(fields) = self.packet_fields(kind, block) else {
            return Err(Flaw::PacketOutsideBlock { length });
        };
        let PacketFields { interface, ticks, captured, original } = fields;
        if u64::from(captured) + PACKET_BLOCK_DATA as u64 + 4 > u64::from(length) {
            return Err(Flaw::PacketOutsideBlock { length });
        }
        let SectionInterface { ordinal, link_type, resolution, .. } = self.described(interface)?;
        let time = resolution.time(ticks);
        self.last_time = time;
        sink.packet(Raw { time, link_type, interface: ordinal, start: at + PACKET_BLOCK_DATA, captured, original });
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

    /// Of the section's first interface, with neither time nor captured length: the block holds what the snap length left.
    fn simple_packet(&mut self, length: u32, block: &[u8], at: usize, sink: &mut Sink<'_>) -> Result<(), Flaw> {
        let SectionInterface { ordinal, link_type, snaplen, .. } = self.described(0)?;
        let room = length.checked_sub(SIMPLE_BLOCK_DATA as u32 + 4).ok_or(Flaw::PacketOutsideBlock { length })?;
        let original = self.order.u32_at(block, 8).ok_or(Flaw::PacketOutsideBlock { length })?;
        let captured = original.min(if snaplen == 0 { u32::MAX } else { snaplen }).min(room);
        sink.packet(Raw { time: self.last_time, link_type, interface: ordinal, start: at + SIMPLE_BLOCK_DATA, captured, original });
        Ok(())
    }

    #[inline(always)]
    fn described(&self, interface: u32) -> Result<SectionInterface, Flaw> {
        self.interfaces.get(interface as usize).copied().ok_or(Flaw::UnknownInterface { interface })
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

#[cfg(test)]
mod tests {
    use super::super::testing::{PcapngBuilder, read_whole};
    use super::*;

    fn says(bytes: &[u8]) -> String {
        read_whole(bytes).1.error.expect("damaged").to_string()
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
    fn blocks_that_contradict_themselves_end_the_file() {
        let start = || PcapngBuilder::section(Order::Little).interface("", 1, &[]);
        let at = start().bytes().len();
        assert_eq!(
            says(&start().packet(3, 1, b"x").bytes()),
            format!("test: record 1 at byte {at}: a packet of interface 3, which its section does not describe")
        );

        let mut trailing = start().packet(0, 1, b"x").bytes();
        let last = trailing.len() - 4;
        trailing[last] = 40;
        assert_eq!(says(&trailing), format!("test: record 1 at byte {at}: a block of 36 bytes that ends as one of 40"));

        let mut outside = start().packet(0, 1, b"x").bytes();
        outside[at + 20] = 5;
        assert_eq!(says(&outside), format!("test: record 1 at byte {at}: a packet that does not fit its block of 36 bytes"));

        let mut odd = start().packet(0, 1, b"x").bytes();
        odd[at + 4] = 35;
        assert_eq!(says(&odd), format!("test: record 1 at byte {at}: a block of 35 bytes: not a multiple of 4 from 12 bytes to 64 MiB"));
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
