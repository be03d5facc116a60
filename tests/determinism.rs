//! What never changes a result: threads, rounds, the borders of files, the number of times a run is made.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::*;

#[test]
fn threads_and_rounds_change_no_byte() {
    let samples = root().join("samples");
    let run = |threads: &str, round_bytes: &str| Tables::with(&[&samples], &["--threads", threads, "--round-bytes", round_bytes]).bytes();
    let first = run("1", "33554432");
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        ["captures.parquet", "contrasts.parquet", "dns.parquet", "findings.parquet", "flows.parquet", "resets.parquet", "targets.parquet"]
    );
    for threads in ["1", "2", "7"] {
        for round_bytes in ["4096", "65536", "33554432"] {
            for (name, bytes) in run(threads, round_bytes) {
                assert!(bytes == first[&name], "{name} differs with --threads {threads} --round-bytes {round_bytes}");
            }
        }
    }
}

#[test]
fn the_same_files_give_the_same_bytes_again() {
    let samples = samples();
    let paths: Vec<&Path> = samples.iter().map(|path| path.as_path()).collect();
    assert!(Tables::of(&paths).bytes() == Tables::of(&paths).bytes());
}

#[test]
fn a_file_given_twice_counts_once() {
    let path = sample("reset.pcap");
    let ran = |inputs: &[&Path]| {
        let place = tempfile::tempdir().expect("a folder");
        let ran = run(&mut analyze(inputs, &place.path().join("out"))).whole();
        (ran.err, rows(&place.path().join("out"), "flows"))
    };
    let (once, twice) = (ran(&[&path]), ran(&[&path, &path]));
    assert_same_rows(&once.1, &twice.1);
    assert_eq!(twice.0, format!("tamperscope: {}: given twice, read once\n", path.display()));
}

/// What says in which file a packet stands.
const OF_FILES: &[&str] = &["capture", "first_packet", "evidence"];
const OF_FILES_IN_FINDINGS: &[&str] = &["packets", "packet_captures", "evidence"];

/// Nine cuts into ten files, none of them empty.
fn cut_into_ten(capture: &Pcap, folder: &Path, name: &str, seed: u64) {
    let mut chance = Chance::seeded(seed);
    let mut cuts = BTreeSet::new();
    while cuts.len() < 9 {
        cuts.insert(1 + chance.below(capture.records.len() - 1));
    }
    let ends = cuts.iter().copied().chain([capture.records.len()]);
    let mut start = 0;
    for (part, end) in (1..).zip(ends) {
        fs::write(folder.join(format!("{name}-{part:02}.pcap")), capture.part(start..end)).expect("a file");
        start = end;
    }
}

#[track_caller]
fn assert_cuts_change_nothing(capture: &Pcap, name: &str, seed: u64) {
    let place = tempfile::tempdir().expect("a folder");
    let (whole, parts) = (place.path().join("whole"), place.path().join("parts"));
    [&whole, &parts].iter().for_each(|folder| fs::create_dir(folder).expect("a folder"));
    fs::write(whole.join(format!("{name}.pcap")), capture.bytes()).expect("a file");
    cut_into_ten(capture, &parts, name, seed);
    let (whole, parts) = (Tables::of(&[&whole]), Tables::of(&[&parts]));
    assert_eq!(parts.rows("captures").len(), 10);
    assert!(!whole.rows("findings").is_empty(), "findings are compared too");
    assert_same_rows(&without(whole.rows("flows"), OF_FILES), &without(parts.rows("flows"), OF_FILES));
    assert_same_rows(&without(whole.rows("findings"), OF_FILES_IN_FINDINGS), &without(parts.rows("findings"), OF_FILES_IN_FINDINGS));
}

#[test]
fn a_capture_cut_into_ten_files_gives_the_same_flows() {
    for (name, seed) in [("reset-race", 1), ("drop", 2), ("reset", 3)] {
        assert_cuts_change_nothing(&Pcap::read(&sample(&format!("{name}.pcap"))), name, seed);
    }
}

#[test]
fn a_longer_capture_cut_into_ten_files_gives_the_same_flows() {
    // Recorded one after the other at the same client.
    let scenes = ["allowed", "reset", "reset-race", "drop", "mute", "aborts", "closed-port", "split-hello"];
    let long = Pcap::merged(&scenes.map(|name| Pcap::read(&sample(&format!("{name}.pcap")))));
    for seed in 4..9 {
        assert_cuts_change_nothing(&long, "probe", seed);
    }
}
