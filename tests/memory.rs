//! A run within its memory: what is evicted, what is said of it, and how a connection that was cut off goes on.

mod common;

use std::collections::HashMap;
use std::fs;

use common::*;
use serde_json::{Value, json};

/// Connections of a scan that nobody answers: each SYN comes twice, a second apart.
fn scan(connections: u32) -> Pcap {
    const FIRST: u64 = 1_700_000_000_000_000;
    let syn = |index: u32| {
        let [_, high, middle, low] = index.to_be_bytes();
        let builder =
            etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4([10, high, middle, low], [198, 51, 100, 10], 64);
        let mut bytes = Vec::new();
        builder.tcp(40_000, 443, index, 64_240).syn().write(&mut bytes, b"").expect("it fits a packet");
        bytes
    };
    let mut times: Vec<(u64, u32)> =
        (0..connections).flat_map(|index| [(u64::from(index) * 10, index), (u64::from(index) * 10 + 1_000_000, index)]).collect();
    times.sort_unstable();
    times.iter().fold(Pcap::new(), |capture, &(after, index)| capture.packet(FIRST + after, &syn(index)))
}

#[test]
fn flows_that_do_not_fit_end_early_and_the_run_says_so() {
    const CONNECTIONS: u32 = 120_000;
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("scan.pcap");
    fs::write(&path, scan(CONNECTIONS).bytes()).expect("a file");
    let tables = |name: &str, options: &[&str]| {
        let out = place.path().join(name);
        let ran = run(analyze(&[&path], &out).args(["--max-memory", "64M"]).args(options)).whole();
        let run: Value = serde_json::from_slice(&fs::read(out.join("run.json")).expect("a run")).expect("JSON");
        (ran.err, run, out)
    };
    let (err, told, out) = tables("one", &["--threads", "1"]);
    let flows = rows_of(&out, "flows", &["start", "flow_id", "end_reason", "c2s_packets", "s2c_packets", "continues"]);
    assert!(flows.is_sorted_by_key(|flow| (number(flow, "start"), number(flow, "flow_id"))), "rows of many runs come in order");
    let evicted = flows.iter().filter(|flow| text(flow, "end_reason") == "evicted").count();
    assert!(evicted > 1_000, "{evicted} flows did not fit");
    assert_eq!(told["flows_evicted"], json!(evicted));
    assert!(err.contains(&format!("{evicted} idle flows were ended early")) && err.contains("--max-memory"), "{err}");
    assert_eq!(flows.iter().map(|flow| number(flow, "c2s_packets") + number(flow, "s2c_packets")).sum::<i64>(), i64::from(CONNECTIONS) * 2);
    assert!(flows.iter().all(|flow| flow["continues"].is_null()), "an attempt is no connection that could go on");

    let (_, _, other) = tables("two", &["--threads", "2", "--round-bytes", "1000000"]);
    let bytes = |folder: &std::path::Path| fs::read(folder.join("flows.parquet")).expect("a table");
    assert!(bytes(&out) == bytes(&other), "what is evicted depends on packets, not on threads and rounds");
}

#[test]
fn what_fits_is_not_evicted() {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("scan.pcap");
    fs::write(&path, scan(5_000).bytes()).expect("a file");
    let tables = Tables::with(&[&path], &["--max-memory", "64M"]);
    let flows = tables.rows("flows");
    assert_eq!(flows.len(), 5_000);
    assert!(flows.iter().all(|flow| text(flow, "end_reason") == "capture_end" && number(flow, "syn_count") == 2));
}

/// A sample whose packets from a number on come two hours later.
fn paused(name: &str, from: usize) -> Pcap {
    const PAUSE: u32 = 7_200;
    let mut capture = Pcap::read(&sample(name));
    for record in &mut capture.records[from..] {
        let seconds = u32::from_le_bytes(record[..4].try_into().expect("four bytes"));
        record[..4].copy_from_slice(&(seconds + PAUSE).to_le_bytes());
    }
    capture
}

#[test]
fn a_connection_that_a_timeout_cut_goes_on_with_what_was_known_of_it() {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("paused.pcap");
    let length = Pcap::read(&sample("allowed.pcap")).records.len();
    let (mut resumed, mut named) = (0, 0);
    for tenth in 1..10 {
        fs::write(&path, paused("allowed.pcap", length * tenth / 10).bytes()).expect("a file");
        let flows = Tables::of(&[&path]).rows("flows");
        let by_id: HashMap<i64, &Row> = flows.iter().map(|flow| (number(flow, "flow_id"), flow)).collect();
        assert_eq!(by_id.len(), flows.len(), "ids are unique");
        for flow in flows.iter().filter(|flow| !flow["continues"].is_null()) {
            let before = by_id.get(&number(flow, "continues")).expect("the forerunner is a flow of the table");
            for column in ["client_ip", "client_port", "server_ip", "server_port", "orientation", "host", "service", "role"] {
                // A name that was asked for behind the pause is this flow's own.
                assert!(flow[column] == before[column] || before["host"].is_null(), "{column}: {} before, then {}", before[column], flow[column]);
            }
            assert_eq!(text(before, "end_reason"), "timeout");
            resumed += 1;
            named += usize::from(!flow["host"].is_null());
        }
        let tuple = |flow: &Row| ["client_ip", "client_port", "server_ip", "server_port"].map(|column| flow[column].to_string());
        let opened = |flow: &&Row| flow["handshake"] == json!(true) && text(flow, "end_reason") == "timeout";
        for cut in flows.iter().filter(opened) {
            let later = flows.iter().filter(|flow| tuple(flow) == tuple(cut) && number(flow, "start") > number(cut, "start"));
            later.for_each(|flow| assert_eq!(flow["continues"], cut["flow_id"], "an open connection goes on"));
        }
    }
    assert!(resumed > 5 && named > 5, "{resumed} flows went on, {named} of them with a name");
}
