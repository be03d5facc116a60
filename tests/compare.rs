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
