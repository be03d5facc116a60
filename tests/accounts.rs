//! Nothing is lost: every record of every capture is in one account, however damaged the capture is.

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use common::*;
use tamperscope::capture::SourceRules;
use tamperscope::flow::Timeouts;
use tamperscope::infer::Weights;
use tamperscope::pipeline::{Job, RunError, Settings};
use tamperscope::service::Catalog;

/// Accounts by source, for a flow may have packets in several files. Interfaces of one file are sources of their own (`name#1`) and count with it.
#[track_caller]
fn assert_accounts_hold(folder: &Path, what: &str) {
    let mut in_flows: HashMap<String, i64> = HashMap::new();
    for flow in rows(folder, "flows") {
        let source = text(&flow, "source");
        let file = source.split_once('#').map_or(source, |(file, _)| file);
        *in_flows.entry(file.into()).or_default() += number(&flow, "c2s_packets") + number(&flow, "s2c_packets");
    }
    let mut accounted: HashMap<String, i64> = HashMap::new();
    for capture in rows(folder, "captures") {
        let count = |column| number(&capture, column);
        let path = text(&capture, "path");
        assert_eq!(count("packets"), count("decoded") + count("undecoded"), "{what}: {path}: packets = decoded + undecoded");
        *accounted.entry(text(&capture, "source").into()).or_default() += count("decoded") - count("fragments") - count("not_ip");
    }
    for (source, count) in accounted {
        assert_eq!(count, in_flows.remove(&source).unwrap_or(0), "{what}: {source}: decoded = in flows + fragments + not_ip");
    }
    assert!(in_flows.is_empty(), "{what}: flows of sources that no file has: {in_flows:?}");
}

/// Of every capture in a folder.
#[track_caller]
fn assert_accounts_of_all_hold(folder: &Path) {
    let place = tempfile::tempdir().expect("a folder");
    let out = place.path().join("out");
    let ran = run(&mut analyze(&[folder], &out));
    assert!(matches!(ran.code, Some(0 | 3)), "{}", ran.err);
    assert!(!rows(&out, "captures").is_empty(), "the folder holds captures");
    assert_accounts_hold(&out, &folder.display().to_string());
}

#[test]
fn every_packet_of_the_samples_is_in_one_account() {
    assert_accounts_of_all_hold(&root().join("samples"));
}

#[test]
fn every_record_of_the_samples_is_a_packet() {
    let tables = Tables::of(&[&root().join("samples")]);
    for capture in rows(&tables.folder, "captures").iter().filter(|row| text(row, "format") == "pcap") {
        let records = Pcap::read(&root().join(text(capture, "path"))).records.len();
        assert_eq!(number(capture, "packets"), records as i64, "{}", text(capture, "path"));
        assert_eq!(number(capture, "undecoded"), 0, "{}", text(capture, "path"));
    }
}

#[test]
fn every_packet_of_the_corpus_is_in_one_account() {
    let corpus = root().join("../shared/corpus");
    if !corpus.is_dir() {
        return skipped("every_packet_of_the_corpus_is_in_one_account: ../shared/corpus is not here");
    }
    assert_accounts_of_all_hold(&corpus);
}

// Damage.

fn settings(input: &Path, output: &Path) -> Settings {
    Settings {
        inputs: vec![input.into()],
        output: output.into(),
        force: false,
        temp_dir: None,
        rules: SourceRules::default(),
        timeouts: Timeouts::default(),
        round_bytes: 16 * 1024, // several rounds of every sample
        catalog: Catalog::built_in().expect("it is part of the program"),
        weights: Weights::built_in().expect("they are part of the program"),
        prior: 0.05,
    }
}

/// A run in this process; false where nothing could be read.
#[track_caller]
fn accounts_hold_of(bytes: &[u8], what: &str) -> bool {
    let place = tempfile::tempdir().expect("a folder");
    let (input, output) = (place.path().join("mutant.pcap"), place.path().join("out"));
    fs::write(&input, bytes).expect("a file");
    let settings = settings(&input, &output);
    match Job::prepare(&settings).and_then(|job| job.run(&|_, _| {})) {
        Ok(_) => assert_accounts_hold(&output, what),
        Err(RunError::NothingRead { .. }) => return false,
        Err(other) => panic!("{what}: {other}"),
    }
    true
}

/// The name of a sample and its bytes.
fn any_sample(chance: &mut Chance) -> (String, Vec<u8>) {
    let samples = samples();
    let path = &samples[chance.below(samples.len())];
    (path.file_name().expect("a name").to_string_lossy().into(), fs::read(path).expect("a sample"))
}

#[test]
fn flipped_bytes_lose_no_packet() {
    let mut chance = Chance::seeded(0x5eed_0001);
    let mut read = 0;
    for mutant in 0..200 {
        let (name, mut bytes) = any_sample(&mut chance);
        for _ in 0..1 + chance.below(64) {
            let at = chance.below(bytes.len());
            bytes[at] ^= 1 << chance.below(8);
        }
        read += usize::from(accounts_hold_of(&bytes, &format!("mutant {mutant} of {name}")));
    }
    assert!(read > 150, "most mutants are still captures: {read}");
}

#[test]
fn bytes_flipped_inside_packets_lose_no_packet() {
    let mut chance = Chance::seeded(0x5eed_0002);
    for mutant in 0..150 {
        let pcaps: Vec<_> = samples().into_iter().filter(|path| path.extension().is_some_and(|end| end == "pcap")).collect();
        let path = &pcaps[chance.below(pcaps.len())];
        let mut capture = Pcap::read(path);
        for record in &mut capture.records {
            // The link, network and transport headers, where a flip has a meaning; the header of the record stays.
            if chance.below(3) == 0 && record.len() > 16 {
                let at = 16 + chance.below((record.len() - 16).min(80));
                record[at] ^= 1 << chance.below(8);
            }
        }
        assert!(accounts_hold_of(&capture.bytes(), &format!("mutant {mutant} of {}", path.display())), "its records are whole");
    }
}

#[test]
fn captures_cut_anywhere_lose_no_packet_before_the_cut() {
    let mut chance = Chance::seeded(0x5eed_0003);
    for mutant in 0..100 {
        let (name, bytes) = any_sample(&mut chance);
        let end = chance.below(bytes.len());
        accounts_hold_of(&bytes[..end], &format!("mutant {mutant}: {name} cut at {end}"));
    }
}

#[test]
fn captures_with_a_hole_lose_no_packet_that_is_read() {
    let mut chance = Chance::seeded(0x5eed_0004);
    for mutant in 0..100 {
        let (name, mut bytes) = any_sample(&mut chance);
        let start = 24 + chance.below(bytes.len() - 24);
        let end = (start + 1 + chance.below(4_096)).min(bytes.len());
        bytes.drain(start..end);
        accounts_hold_of(&bytes, &format!("mutant {mutant}: {name} without bytes {start} to {end}"));
    }
}
