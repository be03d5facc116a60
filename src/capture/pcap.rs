//! Records of classic pcap files, in microseconds or nanoseconds and either byte order.
//!
//! `pcap_parser` reads the header of the file. The sixteen bytes before each packet are read here: its frame parsers look
//! at them only when the whole packet is there, but what a damaged record claims must be known before its bytes are waited for.

use pcap_parser::{PcapHeader, parse_pcap_header};

use super::error::Flaw;
use super::order::Order;
use super::scan::{RECORD_BYTES_MAX, Raw, Sink, Stop};
use crate::model::{Span, Timestamp};

const FILE_HEADER_BYTES: u32 = 24;
const RECORD_HEADER_BYTES: usize = 16;
/// MAXIMUM_SNAPLEN of libpcap: whatever the header says, tools write packets up to this.
const CAPTURED_USUAL_MAX: u32 = 256 * 1024;
/// A record found without its predecessors is believed only this close to the first packet of its file.
const PLAUSIBLE: Span = Span::from_secs(366 * 24 * 3_600);
/// Enough to try every offset of the tail of an honest file; what needs more is read from the front.
const ALIGN_STEPS_MAX: usize = 4_000_000;

/// A pcap file in the course of being read.
#[derive(Default)]
pub(super) struct Pcap {
    layout: Option<Layout>,
}

/// What the header of the file says about its records.
#[derive(Clone, Copy)]
struct Layout {
    order: Order,
    /// Units of the sub-second part: 10^6 or 10^9.
    units: u32,
    captured_max: u32,
    link_type: u16,
}

#[derive(Clone, Copy)]
struct RecordHeader {
    time: Timestamp,
    captured: u32,
    original: u32,
}

impl Layout {
    fn new(header: &PcapHeader) -> Self {
        Self {
            order: if header.is_bigendian() { Order::Big } else { Order::Little },
            units: if header.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 },
            captured_max: header.snaplen.clamp(CAPTURED_USUAL_MAX, RECORD_BYTES_MAX),
            link_type: header.network.0 as u16, // the upper half holds the length of a frame check sequence
        }
    }

    #[inline(always)]
    fn record(&self, order: Order, bytes: &[u8; RECORD_HEADER_BYTES]) -> Result<RecordHeader, Flaw> {
        let [s0, s1, s2, s3, f0, f1, f2, f3, c0, c1, c2, c3, o0, o1, o2, o3] = *bytes;
        let fraction = order.u32([f0, f1, f2, f3]);
        let captured = order.u32([c0, c1, c2, c3]);
        if captured > self.captured_max {
            return Err(Flaw::TooLong { captured, most: self.captured_max });
        }
        let seconds = order.u32([s0, s1, s2, s3]);
        // Some writers leave a whole second and more in the fraction: it counts as what it says.
        let nanos = u64::from(fraction) * u64::from(1_000_000_000 / self.units);
        let time = Timestamp((u64::from(seconds) * 1_000_000_000 + nanos) as i64); // 2^32 s are below 2^63 ns
        Ok(RecordHeader { time, captured, original: order.u32([o0, o1, o2, o3]) })
    }

    /// The hot path. `order` is a constant at each call, so that the loop holds no branch for it.
    #[inline(always)]
    fn scan(&self, order: Order, bytes: &[u8], mut at: usize, sink: &mut Sink<'_>) -> (usize, Stop) {
        let (link_type, interface) = (self.link_type, 0);
        loop {
            let Some(header) = bytes[at..].first_chunk() else {
                return (at, Stop::More(RECORD_HEADER_BYTES as u32));
            };
            let RecordHeader { time, captured, original } = match self.record(order, header) {
                Ok(header) => header,
                Err(flaw) => return (at, Stop::Damaged(flaw)),
            };
            let start = at + RECORD_HEADER_BYTES;
            let end = start + captured as usize;
            if end > bytes.len() {
                return (at, Stop::More(RECORD_HEADER_BYTES as u32 + captured));
            }
            sink.packet(Raw { time, link_type, interface, start, captured, original });
            at = end;
        }
    }
}

impl Pcap {
    pub(super) fn scan(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> (usize, Stop) {
        let (layout, at) = match self.layout {
            Some(layout) => (layout, 0),
            None => {
                let Ok((_, header)) = parse_pcap_header(bytes) else {
                    return (0, Stop::More(FILE_HEADER_BYTES));
                }; // sniffed, so only cut
                let layout = Layout::new(&header);
                sink.tally.interface(layout.link_type, header.snaplen);
                sink.across.interfaces.only(layout.link_type);
                (*self.layout.insert(layout), FILE_HEADER_BYTES as usize)
            }
        };
        match layout.order {
            Order::Little => layout.scan(Order::Little, bytes, at, sink),
            Order::Big => layout.scan(Order::Big, bytes, at, sink),
        }
    }

    /// See [`super::scan::Scanner::align`].
    pub(super) fn align(&self, tail: &[u8], first_time: Timestamp) -> Option<usize> {
        let layout = self.layout?;
        let mut steps = ALIGN_STEPS_MAX;
        (0..tail.len()).find(|&start| layout.chains(&tail[start..], first_time, &mut steps))
    }
}

impl Layout {
    /// Whether records of plausible times follow each other from the first byte exactly to the last.
    fn chains(&self, mut bytes: &[u8], first_time: Timestamp, steps: &mut usize) -> bool {
        while !bytes.is_empty() {
            let Some(left) = steps.checked_sub(1) else { return false };
            *steps = left;
            let Some(Ok(header)) = bytes.first_chunk().map(|header| self.record(self.order, header)) else {
                return false;
            };
            let fraction = self.order.u32([bytes[4], bytes[5], bytes[6], bytes[7]]);
            let distance = (header.time - first_time).0.unsigned_abs();
            let Some(after) = bytes.get(RECORD_HEADER_BYTES + header.captured as usize..) else {
                return false;
            };
            if fraction >= self.units || distance > PLAUSIBLE.0.unsigned_abs() {
                return false;
            }
            bytes = after;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{PcapBuilder, read_whole};
    use super::*;

    #[test]
    fn both_orders_and_both_units_tell_the_same_time() {
        for (order, units) in [(Order::Little, 1_000_000), (Order::Big, 1_000_000), (Order::Little, 1_000_000_000), (Order::Big, 1_000_000_000)] {
            let (records, report) = read_whole(&PcapBuilder::new(order, units, 101).packet(1_700_000_000_123_456_000, b"hello").bytes());
            let [record] = &records[..] else { panic!("one record, not {records:?}") };
            assert_eq!((record.time, record.link_type), (Timestamp(1_700_000_000_123_456_000), 101), "{order:?} {units}");
            assert_eq!(record.data, b"hello");
            assert!(report.complete);
        }
    }

    #[test]
    fn the_link_type_is_the_lower_half_of_the_network_field() {
        let mut bytes = PcapBuilder::micros().packet(0, b"x").bytes();
        bytes[23] = 0x24; // a frame check sequence of two bytes
        let (records, report) = read_whole(&bytes);
        assert_eq!((records[0].link_type, report.link_types), (1, vec![1]));
    }

    #[test]
    fn a_packet_cut_by_the_snap_length_is_counted() {
        let (records, report) = read_whole(&PcapBuilder::micros().packet(0, b"whole").snapped(1_000, b"part", 1_500).bytes());
        assert_eq!((records[1].captured, records[1].original), (4, 1_500));
        assert_eq!((report.packets, report.truncated_packets, report.snaplen), (2, 1, Some(65_535)));
    }

    #[test]
    fn a_record_that_cannot_be_ends_the_file_where_it_stands() {
        let whole = PcapBuilder::micros().packet(0, b"whole");
        let at = whole.clone().bytes().len();
        let mut too_long = whole.clone().packet(0, b"never").bytes();
        too_long[at + 8..at + 12].copy_from_slice(&300_000_u32.to_le_bytes());
        let (records, report) = read_whole(&too_long);
        assert_eq!((records.len(), report.complete), (1, false));
        let says = "test: record 2 at byte 45: claims 300000 captured bytes, the most this file can hold is 262144";
        assert_eq!(report.error.expect("damaged").to_string(), says);
    }

    #[test]
    fn a_whole_second_in_the_fraction_is_a_second() {
        let mut bytes = PcapBuilder::micros().packet(5_000_000_000, b"x").bytes();
        bytes[28..32].copy_from_slice(&1_000_000_u32.to_le_bytes());
        let (records, report) = read_whole(&bytes);
        assert_eq!((records[0].time, report.complete), (Timestamp(6_000_000_000), true));
    }

    #[test]
    fn a_snap_length_above_the_usual_allows_larger_records() {
        let mut bytes = PcapBuilder::micros().packet(0, &vec![7; 300_000]).bytes();
        bytes[16..20].copy_from_slice(&400_000_u32.to_le_bytes());
        assert_eq!(read_whole(&bytes).0.len(), 1);
    }

    #[test]
    fn the_tail_of_a_file_is_joined_at_a_record() {
        const START: u64 = 1_700_000_000; // seconds: records of zeros are no records of that time
        let file = (START..START + 100).fold(PcapBuilder::micros(), |file, second| file.packet(second * 1_000_000_000, &[0; 60])).bytes();
        let pcap = Pcap { layout: parse_pcap_header(&file).ok().map(|(_, header)| Layout::new(&header)) };
        assert_eq!(pcap.align(&file[file.len() - 200..], Timestamp(START as i64 * 1_000_000_000)), Some(200 - 2 * 76));
        assert_eq!(
            pcap.align(&file[file.len() - 200..file.len() - 1], Timestamp(START as i64 * 1_000_000_000)),
            None,
            "a cut file has no such record"
        );
    }
}
