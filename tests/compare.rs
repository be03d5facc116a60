//! `compare`: what two captures of the same flows prove, on the samples that were recorded at both ends.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use common::*;
use serde_json::Value;

/// The tables of one comparison, in a folder that goes away.
struct Compared {
    place: tempfile::TempDir,
    summary: Value,
}

impl Compared {
    #[track_caller]
    fn of(client: &Path, server: &Path) -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let mut command = tamperscope();
        let ran = run(command.arg("compare").args([client, server]).arg("-o").arg(place.path().join("out")).arg("--json"));
        Self { summary: ran.whole().json(), place }
    }

    fn folder(&self) -> PathBuf {
        self.place.path().join("out")
    }

    /// Flows by the client's port.
    fn flows(&self) -> BTreeMap<i64, Row> {
        rows(&self.folder(), "flows").into_iter().map(|flow| (number(&flow, "client_port"), flow)).collect()
    }

    fn fates(&self) -> Vec<Row> {
        rows(&self.folder(), "fates")
    }
}

fn pair(scene: &str) -> Compared {
    Compared::of(&sample(&format!("{scene}.pcap")), &sample(&format!("{scene}-server.pcap")))
}

/// What those who recorded a sample know of its flows, by the client's port.
fn truth(file: &str) -> BTreeMap<i64, Value> {
    let lines = fs::read_to_string(sample("truth.jsonl")).expect("truth");
    let all = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    all.filter(|row| row["file"] == file).map(|row| (row["client_port"].as_i64().expect("a port"), row)).collect()
}

/// Ends that the injector says it sent a reset to.
fn reset_ends(truth: &Value) -> BTreeSet<&str> {
    truth["injected"].as_array().into_iter().flatten().map(|reset| reset["to"].as_str().expect("an end")).collect()
}

#[test]
fn every_injected_reset_is_found_at_the_end_that_got_it_and_nothing_else_is_accused() {
    let compared = pair("reset-race");
    let (flows, fates) = (compared.flows(), compared.fates());
    for (port, truth) in truth("reset-race.pcap") {
        let flow = &flows[&port];
        let injected = fates.iter().filter(|fate| fate["flow_id"] == flow["flow_id"] && text(fate, "fate") == "injected");
        let ends: BTreeSet<&str> = injected.map(|fate| if text(fate, "direction") == "s2c" { "client" } else { "server" }).collect();
        assert_eq!(ends, reset_ends(&truth), "port {port}: {}", truth["cause"]);
        let expected = match (ends.contains("client"), ends.contains("server")) {
            (true, true) => ("rst_injection", "rst_both_sides", "confirmed"),
            (true, false) => ("rst_injection", "rst_from_server_side", "confirmed"),
            _ => ("ok", "", ""),
        };
        assert_eq!((text(flow, "verdict"), text(flow, "mechanism"), text(flow, "certainty")), expected, "port {port}");
    }
}

#[test]
fn a_reset_in_place_of_the_hello_shows_as_a_dropped_hello_and_an_injected_reset() {
    let compared = pair("reset");
    let flows = compared.flows();
    for (port, truth) in truth("reset.pcap").into_iter().filter(|(_, truth)| truth["label"] == "rst_injection") {
        let flow = &flows[&port];
        assert_eq!(text(flow, "mechanism"), "rst_from_server_side", "port {port}: {}", truth["cause"]);
        assert!(number(flow, "c2s_dropped") > 0 && number(flow, "s2c_injected") > 0, "port {port}: {flow:?}");
    }
}

#[test]
fn a_dropped_hello_is_proven_by_the_other_flows_of_its_server() {
    let compared = pair("drop");
    let flows = compared.flows();
    for (port, truth) in truth("drop.pcap") {
        let flow = &flows[&port];
        let expected = if truth["label"] == "sni_drop" { ("sni_drop", "hello_unacked", "c2s") } else { ("ok", "", "") };
        assert_eq!((text(flow, "verdict"), text(flow, "mechanism"), text(flow, "drop_direction")), expected, "port {port}: {}", truth["cause"]);
    }
}

#[test]
fn a_delivered_packet_is_named_at_both_ends_with_the_time_between() {
    let compared = pair("reset-race");
    let fates = compared.fates();
    let place = |row: &Row, capture: &str, packet: &str| (text(row, capture).to_string(), row[packet].as_i64());
    let known: BTreeSet<_> = fates.iter().map(|fate| place(fate, "capture", "packet")).collect();
    let delivered: Vec<&Row> = fates.iter().filter(|fate| text(fate, "fate") == "delivered").collect();
    assert!(delivered.len() > 100, "most packets of the sample come through: {}", delivered.len());
    for fate in delivered {
        assert!(known.contains(&place(fate, "peer_capture", "peer_packet")), "the peer of {fate:?} has a row of its own");
        let delay = fate["delay_ms"].as_f64().expect("known of a delivered packet");
        assert!((5.0..80.0).contains(&delay), "the samples' path takes 15 to 25 ms: {fate:?}");
    }
}

#[test]
fn a_connection_that_goes_on_long_after_a_forged_reset_is_one_connection() {
    const WAY: u64 = 20_000;
    let whole = exchange(50_001);
    let pause = |number: i64| if number > 6 { 20_000_000 } else { 0 };
    let time = |number: i64| Pcap::micros(&whole.records[number as usize - 1]) + pause(number);
    let from_client = |number: i64| !matches!(number, 2 | 5 | 6 | 9);
    let mut reset = Vec::new();
    let forged = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4([192, 0, 2, 10], [198, 51, 100, 10], 51);
    forged.tcp(50_001, 443, 1_201, 0).rst().write(&mut reset, b"").expect("it fits a packet");
    let (mut client, mut server) = (Pcap::new(), Pcap::new());
    for number in 1..=10 {
        let at_server = if from_client(number) { time(number) + WAY } else { time(number) - WAY };
        client = client.packet(time(number), whole.frame(number));
        server = server.packet(at_server, whole.frame(number));
        if number == 6 {
            server = server.packet(at_server + 1_000, &reset);
        }
    }
    let place = tempfile::tempdir().expect("a folder");
    let paths = ["client.pcap", "server.pcap"].map(|name| place.path().join(name));
    fs::write(&paths[0], client.bytes()).expect("written");
    fs::write(&paths[1], server.bytes()).expect("written");
    let compared = Compared::of(&paths[0], &paths[1]);
    assert_eq!(compared.summary["joined"], 1);
    let (injected, others): (Vec<Row>, Vec<Row>) = compared.fates().into_iter().partition(|fate| text(fate, "fate") == "injected");
    assert_eq!(injected.iter().map(|fate| (text(fate, "direction"), number(fate, "packet"))).collect::<Vec<_>>(), [("c2s", 7)]);
    assert!(others.len() == 20 && others.iter().all(|fate| text(fate, "fate") == "delivered"), "{others:?}");
}

#[test]
fn equal_resets_that_follow_each_other_closely_are_told_apart_by_their_way() {
    // Segments that reach a closed port are each answered by the same reset.
    let place = tempfile::tempdir().expect("a folder");
    let whole = exchange(50_002);
    let mut reset = Vec::new();
    let answer = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4([192, 0, 2, 10], [198, 51, 100, 10], 64);
    answer.tcp(50_002, 443, 1_201, 0).rst().write(&mut reset, b"").expect("it fits a packet");
    let end = |way: i64| {
        let shifted =
            |number: i64| (Pcap::micros(&whole.records[number as usize - 1]) as i64 + if matches!(number, 2 | 5 | 6) { -way } else { way }) as u64;
        let opened = (1..=7).fold(Pcap::new(), |capture, number| capture.packet(shifted(number), whole.frame(number)));
        (0..8).fold(opened, |capture, at| capture.packet(shifted(7) + 300 * at + 300, &reset))
    };
    let paths = ["client.pcap", "server.pcap"].map(|name| place.path().join(name));
    fs::write(&paths[0], end(0).bytes()).expect("written");
    fs::write(&paths[1], end(20_000).bytes()).expect("written");
    let fates = Compared::of(&paths[0], &paths[1]).fates();
    let resets: Vec<&Row> = fates.iter().filter(|fate| number(fate, "packet") > 7).collect();
    assert_eq!(resets.len(), 16);
    for fate in resets {
        assert_eq!((text(fate, "fate"), number(fate, "peer_packet")), ("delivered", number(fate, "packet")), "{fate:?}");
    }
}

#[test]
fn one_capture_compared_with_itself_shows_no_interference() {
    let file = sample("allowed.pcap");
    let compared = Compared::of(&file, &file);
    let words: BTreeSet<String> = compared.fates().iter().map(|fate| text(fate, "fate").to_string()).collect();
    assert_eq!(words, BTreeSet::from(["delivered".to_string()]));
    assert_eq!(compared.summary["flows"], compared.summary["joined"]);
    assert_eq!(compared.summary["clock_offset_ms"], serde_json::json!([0.0, 0.0]));
}

#[test]
fn records_that_a_capture_lacks_are_not_blamed_on_the_network() {
    let place = tempfile::tempdir().expect("a folder");
    let whole = fs::read(sample("allowed.pcap")).expect("a sample");
    let records = pcap_records(&whole);
    let lacking = |every: usize| {
        [&whole[..24], &records.iter().enumerate().filter(|(at, _)| at % every != every / 2).map(|(_, record)| *record).collect::<Vec<_>>().concat()]
            .concat()
    };
    let (client, server) = (place.path().join("client.pcap"), place.path().join("server.pcap"));
    fs::write(&client, lacking(61)).expect("written");
    fs::write(&server, lacking(73)).expect("written");
    let compared = Compared::of(&client, &server);
    let accused: Vec<Row> = compared.flows().into_values().filter(|flow| !flow["mechanism"].is_null()).collect();
    assert!(accused.is_empty(), "{accused:?}");
    let injected: Vec<Row> = compared.fates().into_iter().filter(|fate| matches!(text(fate, "fate"), "injected" | "rewritten")).collect();
    assert!(injected.is_empty(), "{injected:?}");
}

#[test]
fn what_cannot_be_read_ends_without_tables() {
    let place = tempfile::tempdir().expect("a folder");
    let empty = place.path().join("empty.pcap");
    fs::write(&empty, "").expect("written");
    let out = place.path().join("out");
    let ran = run(tamperscope().arg("compare").args([&sample("allowed.pcap"), &empty]).arg("-o").arg(&out));
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(!out.exists() || names_in(&out).is_empty());
}

/// The records of a little-endian pcap, with their headers.
fn pcap_records(file: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut records) = (&file[24..], Vec::new());
    while rest.len() >= 16 {
        let captured = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        let (record, behind) = rest.split_at(16 + captured);
        records.push(record);
        rest = behind;
    }
    records
}
