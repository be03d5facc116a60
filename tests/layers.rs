//! What is around a packet never changes what is said of its flow: fragments in any order, tunnels, labels.

mod common;

use std::fs;

use common::*;

const SCENES: &[&str] = &["reset", "reset-race", "drop", "aborts", "split-hello"];
const ETHERNET_BYTES: usize = 14;
const IPV4_BYTES: usize = 20;
/// What says which record a packet stands in.
const OF_RECORDS: &[&str] = &["run_id", "source", "flow_id", "capture", "first_packet", "evidence"];
const OF_RECORDS_IN_FINDINGS: &[&str] = &["run_id", "source", "flow_id", "packets", "packet_captures", "evidence"];

/// The capture with other frames: for each of its frames some, at the same time.
fn changed(capture: &Pcap, mut change: impl FnMut(&[u8]) -> Vec<Vec<u8>>) -> Pcap {
    let mut result = Pcap::new();
    for (record, number) in capture.records.iter().zip(1..) {
        let micros = Pcap::micros(record);
        result = change(capture.frame(number)).iter().fold(result, |capture, frame| capture.packet(micros, frame));
    }
    result
}

/// A frame whose datagram is torn to pieces, in any order; some pieces come again before the last one.
fn torn(frame: &[u8], chance: &mut Chance) -> Vec<Vec<u8>> {
    let (ethernet, datagram) = frame.split_at(ETHERNET_BYTES);
    let total = u16::from_be_bytes([datagram[2], datagram[3]]) as usize;
    let (header, payload) = datagram[..total].split_at(IPV4_BYTES);
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < payload.len() {
        let end = (start + 8 * (1 + chance.below(40))).min(payload.len());
        let mut piece = header.to_vec();
        let more = if end < payload.len() { 0x2000 } else { 0 };
        let flags = u16::from_be_bytes([header[6], header[7]]) & 0x4000 | more | (start / 8) as u16;
        piece[2..4].copy_from_slice(&((IPV4_BYTES + end - start) as u16).to_be_bytes());
        piece[6..8].copy_from_slice(&flags.to_be_bytes());
        pieces.push([ethernet, &piece, &payload[start..end]].concat());
        start = end;
    }
    for last in (1..pieces.len()).rev() {
        pieces.swap(last, chance.below(last + 1));
    }
    if pieces.len() > 1 && chance.below(4) == 0 {
        pieces.insert(1, pieces[0].clone());
    }
    pieces
}

/// Holds the tables of both against each other, but for columns that speak of records and for `others`.
#[track_caller]
fn assert_same_tables(name: &str, plain: &Pcap, changed: &Pcap, others: &[&str]) -> (Tables, Tables) {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join(format!("{name}.pcap"));
    let tables = |capture: &Pcap| {
        fs::write(&path, capture.bytes()).expect("a file");
        Tables::of(&[&path])
    };
    let (plain, changed) = (tables(plain), tables(changed));
    let rows = |tables: &Tables, table: &str, left_out: &[&str]| without(tables.rows(table), &[left_out, others].concat());
    assert_same_rows(&rows(&plain, "flows", OF_RECORDS), &rows(&changed, "flows", OF_RECORDS));
    let mut found = [&plain, &changed].map(|tables| rows(tables, "findings", OF_RECORDS_IN_FINDINGS));
    // They stand in order of time and then of the flow's number, which is left out.
    found.iter_mut().for_each(|rows| rows.sort_by_key(|row| format!("{row:?}")));
    assert_same_rows(&found[0], &found[1]);
    (plain, changed)
}

#[test]
fn torn_packets_give_the_same_flows() {
    let mut chance = Chance::seeded(0x5eed_0010);
    for name in SCENES {
        let plain = Pcap::read(&sample(&format!("{name}.pcap")));
        let pieces = changed(&plain, |frame| torn(frame, &mut chance));
        let (_, tables) = assert_same_tables(name, &plain, &pieces, &[]);
        let capture = &tables.rows("captures")[0];
        assert_eq!(number(capture, "packets"), pieces.records.len() as i64);
        assert_eq!(number(capture, "packets") - number(capture, "fragments"), plain.records.len() as i64, "{name}: each packet counts once");
    }
}

#[test]
fn threads_and_rounds_put_fragments_together_alike() {
    let mut chance = Chance::seeded(0x5eed_0011);
    let scenes = SCENES.iter().map(|name| Pcap::read(&sample(&format!("{name}.pcap")))).collect::<Vec<_>>();
    let pieces = changed(&Pcap::merged(&scenes), |frame| torn(frame, &mut chance));
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("torn.pcap");
    fs::write(&path, pieces.bytes()).expect("a file");
    let run = |threads: &str, round_bytes: &str| Tables::with(&[&path], &["--threads", threads, "--round-bytes", round_bytes]).bytes();
    let first = run("1", "33554432");
    for (threads, round_bytes) in [("1", "4096"), ("2", "1024"), ("2", "65536"), ("5", "33554432")] {
        for (name, bytes) in run(threads, round_bytes) {
            assert!(bytes == first[&name], "{name} differs with --threads {threads} --round-bytes {round_bytes}");
        }
    }
}

/// A frame inside a UDP datagram between two other hosts.
fn in_udp(port: u16, header: &[u8], content: &[u8]) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([4, 0, 0, 0, 0, 1], [4, 0, 0, 0, 0, 2]).ipv4([203, 0, 113, 1], [203, 0, 113, 2], 64);
    let mut frame = Vec::new();
    builder.udp(40_000, port).write(&mut frame, &[header, content].concat()).expect("it fits a packet");
    frame
}

/// The name and content of every distinct path in a table.
fn tunnels(tables: &Tables) -> Vec<String> {
    let mut words: Vec<String> = tables.rows("flows").iter().map(|row| text(row, "tunnel").into()).collect();
    words.sort();
    words.dedup();
    words
}

#[test]
fn packets_in_tunnels_give_the_same_flows() {
    for name in SCENES {
        let plain = Pcap::read(&sample(&format!("{name}.pcap")));
        let vxlan = changed(&plain, |frame| vec![in_udp(4_789, &[8, 0, 0, 0, 0, 0, 42, 0], frame)]);
        let (_, tables) = assert_same_tables(name, &plain, &vxlan, &["tunnel", "quality"]);
        assert_eq!(tunnels(&tables), ["vxlan:42"]);
        // Each direction and each connection has an identifier of its own, which makes no difference.
        let mut id = 0;
        let gtp = changed(&plain, |frame| {
            let total = u16::from_be_bytes([frame[16], frame[17]]);
            id += 1;
            vec![in_udp(2_152, &[&[0x30, 255][..], &total.to_be_bytes(), &[0, 0, 0, id as u8]].concat(), &frame[14..14 + total as usize])]
        });
        let (plain, tables) = assert_same_tables(name, &plain, &gtp, &["tunnel", "quality"]);
        assert_eq!(tunnels(&tables), ["gtp-u"]);
        let numbers = |tables: &Tables| tables.rows("flows").iter().map(|row| number(row, "flow_id")).collect::<Vec<_>>();
        assert_eq!(numbers(&plain), numbers(&tables), "without an identifier in its key a flow keeps its number");
    }
}

#[test]
fn a_torn_tunnel_gives_the_same_flows() {
    let mut chance = Chance::seeded(0x5eed_0012);
    let plain = Pcap::read(&sample("reset.pcap"));
    let pieces = changed(&plain, |frame| torn(&in_udp(4_789, &[8, 0, 0, 0, 0, 0, 42, 0], frame), &mut chance));
    assert_same_tables("reset", &plain, &pieces, &["tunnel", "quality"]);
}
