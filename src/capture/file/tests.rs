//! Scenes of whole, cut, damaged and hostile files.

use std::io::{self, Cursor, Read};

use proptest::prelude::*;

use super::super::order::Order;
use super::super::testing::{PcapBuilder, PcapngBuilder, read_in_rounds, read_whole, reader_of};
use super::*;

const HOSTILE_STARTS: [&[u8]; 5] = [
    b"",
    b"\xd4\xc3\xb2\xa1\x02\0\x04\0",
    b"\xa1\xb2\x3c\x4d\0\x02\0\x04",
    b"\n\r\r\n\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0",
    b"\n\r\r\n\0\0\0\x1c\x1a\x2b\x3c\x4d\0\x01\0\0",
];

/// A file whose packets are (nanoseconds, data), with the bytes at which each of its records is whole.
fn pcap(order: Order, packets: &[(u32, Vec<u8>)]) -> (Vec<u8>, Vec<usize>) {
    let mut file = PcapBuilder::new(order, 1_000_000_000, 1);
    let mut ends = vec![file.clone().bytes().len()];
    for (nanos, data) in packets {
        file = file.packet(u64::from(*nanos), data);
        ends.push(file.clone().bytes().len());
    }
    (file.bytes(), ends)
}

fn pcapng(order: Order, packets: &[(u32, Vec<u8>)]) -> (Vec<u8>, Vec<usize>) {
    let mut file = PcapngBuilder::section(order).interface("eth0", 1, &[]);
    let mut ends = vec![file.clone().bytes().len()];
    for (ticks, data) in packets {
        file = file.packet(0, u64::from(*ticks), data);
        ends.push(file.clone().bytes().len());
    }
    (file.bytes(), ends)
}

/// A disk at its end.
struct Fails;

impl Read for Fails {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("bad sector"))
    }
}

fn packets() -> impl Strategy<Value = Vec<(u32, Vec<u8>)>> {
    // An empty packet at the beginning of all time would be a header of zeros, which is none.
    prop::collection::vec((1_u32.., prop::collection::vec(any::<u8>(), 0..300)), 0..12)
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Little), Just(Order::Big)]
}

#[test]
fn a_report_says_what_was_read() {
    let bytes = PcapBuilder::micros().packet(5_000_000_000, b"late").packet(4_000_000_000, b"early").bytes();
    let (records, report) = read_whole(&bytes);
    assert_eq!(records.iter().map(|record| &record.data[..]).collect::<Vec<_>>(), [&b"late"[..], b"early"]);
    assert_eq!((report.first_time, report.last_time), (Some(Timestamp(4_000_000_000)), Some(Timestamp(5_000_000_000))));
    assert_eq!((report.format, report.bytes, report.packets), (Some("pcap"), bytes.len() as u64, 2));
    assert_eq!(report.content_hash, Some(format!("blake3:{}", blake3::hash(&bytes).to_hex())));
    assert!(report.complete && report.error.is_none());
}

#[test]
fn a_cut_record_is_named_with_its_place() {
    let mut bytes = PcapBuilder::micros().packet(0, b"whole").packet(0, b"not whole").bytes();
    bytes.truncate(bytes.len() - 3);
    let (records, report) = read_whole(&bytes);
    assert_eq!(records.len(), 1);
    assert_eq!(report.error.expect("cut").to_string(), "test: record 2 at byte 45 says 25 bytes, 22 are left");
    assert_eq!(read_whole(&bytes[..10]).1.error.expect("cut").to_string(), "test: record 0 at byte 0 says 24 bytes, 10 are left");
}

#[test]
fn what_follows_damage_is_still_hashed() {
    let mut bytes = PcapBuilder::micros().packet(0, b"whole").packet(0, b"damaged").packet(0, &[9; 5_000]).bytes();
    bytes[45 + 11] = 0xff;
    let (_, report) = read_in_rounds(&bytes, 64);
    assert!(matches!(report.error, Some(CaptureError::Damaged { record: 2, offset: 45, .. })), "{:?}", report.error);
    assert_eq!(report.content_hash, Some(format!("blake3:{}", blake3::hash(&bytes).to_hex())));
    assert_eq!(report.bytes, bytes.len() as u64);
}

#[test]
fn standard_input_may_be_anything() {
    assert_eq!(read_whole(b"").1.error.expect("empty").to_string(), "test: empty file");
    assert_eq!(read_whole(b"GIF89a").1.error.expect("a picture").to_string(), "test: not a capture: first bytes are 47 49 46 38");
}

#[test]
fn what_is_no_capture_is_none_whatever_its_end_is_like() {
    let says = |start: &[u8], round_bytes| {
        let mut reader = reader_of(Cursor::new(start.to_vec()).chain(Fails));
        assert!(!reader.fill(&mut Round::default(), round_bytes, &mut Across::default()));
        reader.finish().error.expect("no capture").to_string()
    };
    for round_bytes in [64, 1 << 20] {
        assert_eq!(says(&[b'G'; 600], round_bytes), "test: not a capture: first bytes are 47 47 47 47");
        assert_eq!(says(b"", round_bytes), "test: bad sector");
        assert_eq!(says(b"\xd4", round_bytes), "test: bad sector", "nobody knows what would have followed");
    }
}

#[test]
fn a_failing_disk_ends_the_file_and_keeps_what_was_read() {
    let bytes = PcapBuilder::micros().packet(0, b"whole").packet(0, b"half").bytes();
    let half = Cursor::new(bytes[..bytes.len() - 2].to_vec());
    let mut reader = reader_of(half.chain(Fails));
    let (mut round, mut across) = (Round::default(), Across::default());
    assert!(reader.fill(&mut round, 4_096, &mut across));
    assert_eq!(round.records.len(), 1);
    assert!(!reader.fill(&mut round, 4_096, &mut across));
    let report = reader.finish();
    assert_eq!((report.content_hash, report.complete), (None, false), "the hash of half a file names nothing");
    assert_eq!(report.error.expect("failed").to_string(), "test: bad sector");
}

#[test]
fn a_lie_of_64_mebibytes_costs_no_memory() {
    let mut bytes = PcapngBuilder::section(Order::Little).bytes();
    bytes.extend([6_u32.to_le_bytes(), (64 * 1024 * 1024_u32).to_le_bytes(), [0; 4]].as_flattened());
    let mut reader = reader_of(Cursor::new(bytes));
    let (mut round, mut across) = (Round::default(), Across::default());
    assert!(!reader.fill(&mut round, 64, &mut across));
    assert!(round.bytes.len() < 1_024);
}

proptest! {
    #[test]
    fn no_bytes_are_too_hostile(start in prop::sample::select(&HOSTILE_STARTS), rest in prop::collection::vec(any::<u8>(), 0..600)) {
        let bytes = [start, &rest].concat();
        let (whole, report) = read_whole(&bytes);
        prop_assert_eq!(report.packets, whole.len() as u64);
        prop_assert_eq!(report.bytes, bytes.len() as u64);
        prop_assert_eq!(whole, read_in_rounds(&bytes, 64).0);
    }

    #[test]
    fn a_flipped_byte_never_changes_what_stands_before_it(order in order(), packets in packets(), at: prop::sample::Index, flip in 1..=255_u8) {
        for (mut bytes, ends) in [pcap(order, &packets), pcapng(order, &packets)] {
            let (sound, _) = read_whole(&bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let (records, _) = read_whole(&bytes);
            let before = if at < ends[0] { 0 } else { ends[1..].iter().filter(|&&end| end <= at).count() };
            prop_assert!(records.len() >= before);
            prop_assert_eq!(&records[..before], &sound[..before]);
        }
    }

    #[test]
    fn a_cut_leaves_exactly_the_whole_records_before_it(order in order(), packets in packets(), at: prop::sample::Index) {
        for (bytes, ends) in [pcap(order, &packets), pcapng(order, &packets)] {
            let cut = at.index(bytes.len() + 1);
            let whole = ends[1..].iter().filter(|&&end| end <= cut).count();
            let (records, report) = read_in_rounds(&bytes[..cut], 256);
            prop_assert_eq!(&records[..], &read_whole(&bytes).0[..whole]);
            // A section header is a whole file, too: it merely has no interface yet.
            prop_assert_eq!(report.complete, ends.contains(&cut) || (cut == 28 && report.format == Some("pcapng")));
            let says_where = match report.error {
                Some(CaptureError::CutOff { offset, left, .. }) => offset + left == cut as u64,
                Some(CaptureError::Empty { .. }) => cut == 0,
                Some(CaptureError::NotACapture { .. }) => cut < 4,
                other => other.is_none(),
            };
            prop_assert!(says_where);
        }
    }

    #[test]
    fn the_size_of_rounds_changes_nothing(order in order(), packets in packets(), round_bytes in 64..2_000_usize) {
        for (bytes, _) in [pcap(order, &packets), pcapng(order, &packets)] {
            let (records, report) = read_in_rounds(&bytes, round_bytes);
            let (expected, whole) = read_whole(&bytes);
            prop_assert_eq!(records, expected);
            prop_assert_eq!(report.content_hash, whole.content_hash);
            prop_assert_eq!(report.packets, packets.len() as u64);
        }
    }
}
