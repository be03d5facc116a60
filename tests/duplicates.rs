//! Captures that hold each packet twice say the same as those that hold it once; what was sent twice is counted twice.

mod common;

use std::fs;
use std::path::Path;

use common::*;
use serde_json::Value;

/// Samples over Ethernet or Linux cooked, IPv4 or IPv6: resets in bursts, drops, retries, refused ports.
const SAMPLES: [&str; 8] =
    ["allowed.pcap", "reset.pcap", "reset-race.pcap", "reset-v6.pcap", "aborts.pcap", "closed-port.pcap", "drop.pcap", "any.pcap"];
/// Counts of packets, places in files, and how the flow came to be known: these differ, or are looked at apart.
const APART: &[&str] = &[
    "run_id",
    "source",
    "flow_id",
    "capture",
    "first_packet",
    "c2s_packets",
    "s2c_packets",
    "c2s_bytes",
    "s2c_bytes",
    "c2s_duplicates",
    "s2c_duplicates",
    "quality",
    "evidence",
];
/// Where the IP header of an Ethernet frame has its fields, behind the header of the record.
const IP: usize = 16 + 14;

/// A copy of a record, some microseconds later.
fn later(record: &[u8], micros: u64) -> Vec<u8> {
    let time = Pcap::micros(record) + micros;
    let words = [(time / 1_000_000) as u32, (time % 1_000_000) as u32].map(u32::to_le_bytes);
    [&words.concat(), &record[8..]].concat()
}

/// As the other side of a router sees it: a smaller TTL, and a checksum that fits it (RFC 1624).
fn behind_a_router(mut record: Vec<u8>) -> Vec<u8> {
    record[IP + 8] -= 1;
    let sum = u16::from_be_bytes([record[IP + 10], record[IP + 11]]);
    let [high, low] = sum.checked_add(0x100).unwrap_or(sum.wrapping_add(0x101)).to_be_bytes();
    (record[IP + 10], record[IP + 11]) = (high, low);
    record
}

fn with_copies(capture: &Pcap, copy: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Pcap {
    let mut copies = capture.clone();
    copies.records = capture.records.iter().filter_map(|record| copy(record)).collect();
    Pcap::merged(&[capture.clone(), copies])
}

/// Flows of a capture by their beginning.
fn flows(folder: &Path, capture: &Pcap) -> Vec<Row> {
    fs::write(folder.join("capture.pcap"), capture.bytes()).expect("a file");
    let tables = Tables::of(&[&folder.join("capture.pcap")]);
    let mut flows = tables.rows("flows");
    flows.sort_by_key(|row| (number(row, "start"), row["client_port"].as_i64()));
    let duplicates = |row: &Row| number(row, "c2s_duplicates") + number(row, "s2c_duplicates");
    assert_eq!(number(&tables.rows("captures")[0], "duplicates"), flows.iter().map(duplicates).sum::<i64>(), "as many in the file as in its flows");
    flows
}

/// Times may differ by what lies between a packet and its copy: the end of the capture is a copy, and of equal packets any may be the first.
#[track_caller]
fn assert_same_but_copies(once: &[Row], twice: &[Row], micros: u64, what: &str) {
    assert_eq!(once.len(), twice.len(), "{what}: as many flows");
    for (one, other) in once.iter().zip(twice) {
        for (column, value) in one.iter().filter(|(column, _)| !APART.contains(&column.as_str())) {
            let same = match (value.as_f64(), other[column].as_f64()) {
                (Some(one), Some(other)) if column.ends_with("_ms") => (one - other).abs() <= (micros + 1) as f64 / 1_000.0,
                (Some(one), Some(other)) if column.ends_with("_kbps") => (one - other).abs() <= one * 0.02,
                (Some(one), Some(other)) if column == "end" => (one - other).abs() <= micros as f64,
                // A letter stands once for each number in turn: which of two equal resets is the first decides what stands between them.
                _ if column == "tcp_history" => letters(value) == letters(&other[column]),
                _ => *value == other[column],
            };
            assert!(same, "{what}: packet {}: {column}: {value} / {}", one["first_packet"], other[column]);
        }
        let without_dup =
            |row: &Row| row["quality"].as_array().expect("a list").iter().filter(|gate| *gate != "dup").cloned().collect::<Vec<Value>>();
        assert_eq!(without_dup(one), without_dup(other), "{what}: quality");
    }
}

/// A history without repeated letters.
fn letters(history: &Value) -> Option<String> {
    let mut letters: Vec<char> = history.as_str()?.chars().collect();
    letters.dedup();
    Some(letters.into_iter().collect())
}

fn is_doubled(row: &Row) -> bool {
    ["c2s", "s2c"].iter().all(|way| number(row, &format!("{way}_packets")) == 2 * number(row, &format!("{way}_duplicates")))
}

#[test]
fn a_capture_that_holds_each_packet_twice_gives_the_same_rows() {
    let place = tempfile::tempdir().expect("a folder");
    for name in SAMPLES {
        let capture = Pcap::read(&sample(name));
        let once = flows(place.path(), &capture);
        for micros in [3, 70] {
            let twice = flows(place.path(), &with_copies(&capture, |record| Some(later(record, micros))));
            assert_same_but_copies(&once, &twice, micros, &format!("{name}, {micros} us later"));
            for row in &twice {
                assert!(is_doubled(row), "{name}: packet {}: all are there twice", row["first_packet"]);
                assert!(row["quality"].as_array().expect("a list").contains(&"dup".into()));
            }
        }
    }
}

#[test]
fn a_capture_at_both_sides_of_a_router_gives_the_same_rows() {
    let place = tempfile::tempdir().expect("a folder");
    for name in ["reset.pcap", "reset-race.pcap", "aborts.pcap"] {
        let capture = Pcap::read(&sample(name));
        let twice = flows(place.path(), &with_copies(&capture, |record| Some(behind_a_router(later(record, 25)))));
        assert_same_but_copies(&flows(place.path(), &capture), &twice, 25, name);
        assert!(twice.iter().all(is_doubled), "{name}");
    }
}

#[test]
fn flows_that_are_captured_once_beside_others_are_left_as_they_are() {
    let place = tempfile::tempdir().expect("a folder");
    for name in ["reset.pcap", "aborts.pcap"] {
        let capture = Pcap::read(&sample(name));
        // By a bit of both ports, so that both directions are chosen; Linux gives clients even ports only.
        let is_chosen = |record: &[u8]| (record[IP + 21] ^ record[IP + 23]) & 2 == 0;
        let twice = flows(place.path(), &with_copies(&capture, |record| is_chosen(record).then(|| later(record, 40))));
        assert_same_but_copies(&flows(place.path(), &capture), &twice, 40, name);
        let (doubled, others): (Vec<_>, Vec<_>) = twice.iter().partition(|row| (number(row, "client_port") ^ number(row, "server_port")) & 2 == 0);
        assert!(doubled.len() > 3 && doubled.into_iter().all(is_doubled), "{name}");
        let untouched = |row: &&Row| number(row, "c2s_duplicates") + number(row, "s2c_duplicates") == 0;
        assert!(others.len() > 3, "{name}: {} others", others.len());
        assert!(others.iter().all(untouched), "{name}");
    }
}

#[test]
fn copies_are_the_same_for_any_round_and_thread() {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("twice.pcap");
    fs::write(&path, with_copies(&Pcap::read(&sample("aborts.pcap")), |record| Some(later(record, 40))).bytes()).expect("a file");
    let run = |threads: &str, round: &str| Tables::with(&[&path], &["--threads", threads, "--round-bytes", round]).bytes();
    let first = run("1", "33554432");
    for (threads, round) in [("1", "4096"), ("3", "4096"), ("3", "33554432")] {
        assert!(run(threads, round) == first, "--threads {threads} --round-bytes {round}");
    }
}

/// Ethernet frames of a connection in which the ends themselves repeat: bytes, acknowledgements, resets.
fn repetitions() -> Pcap {
    let mut capture = exchange(50_000);
    for (id, record) in (1..).zip(&mut capture.records) {
        record[IP + 5] = id;
    }
    let [answer, acknowledgement, close] = [6, 7, 9].map(|number: usize| capture.records[number - 1].clone());
    let with_id = |mut record: Vec<u8>, id: u8| {
        record[IP + 5] = id;
        record
    };
    let mut reset = with_id(close, 77);
    reset[IP + 20 + 13] = 0x04; // RST alone
    capture.records.push(with_id(later(&answer, 400), 70));
    capture.records.extend([100, 200, 300].map(|micros| with_id(later(&acknowledgement, micros), 0)));
    capture.records.extend([50_000, 50_010, 50_025].map(|micros| later(&reset, micros)));
    Pcap::merged(&[capture])
}

#[test]
fn what_the_ends_sent_twice_is_no_copy() {
    let place = tempfile::tempdir().expect("a folder");
    let capture = repetitions();
    let once = flows(place.path(), &capture);
    let count = |column| number(&once[0], column);
    assert_eq!(once.len(), 1);
    assert_eq!((count("c2s_duplicates"), count("s2c_duplicates")), (0, 0));
    assert_eq!((count("s2c_retransmits"), count("rst_count"), count("c2s_packets") + count("s2c_packets")), (1, 3, 17));
    let twice = flows(place.path(), &with_copies(&capture, |record| Some(later(record, 5))));
    assert_same_but_copies(&once, &twice, 5, "repetitions");
    assert!(is_doubled(&twice[0]), "{:?}", twice[0]);
}

#[test]
fn nothing_in_the_samples_is_a_copy_though_resets_come_in_bursts() {
    let tables = Tables::of(&[&root().join("samples")]);
    let flows = tables.rows("flows");
    assert!(flows.iter().any(|row| row["rst_count"].as_i64().is_some_and(|count| count >= 3)), "bursts are there");
    let copies: Vec<_> = flows.iter().filter(|row| number(row, "c2s_duplicates") + number(row, "s2c_duplicates") > 0).collect();
    assert!(copies.is_empty(), "{copies:?}");
}
