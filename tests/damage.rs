//! Damage accuses nobody: whatever was cut out of a capture, put in or changed, no flow is judged guilty that the whole capture does not accuse.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use common::*;

const SAMPLES: &[&str] = &["allowed", "aborts", "reset", "reset-race", "drop", "mute", "closed-port", "split-hello"];
const MUTANTS: usize = 60; // of each sample

/// Flows that are accused, by source and ends.
fn accused(folder: &Path) -> BTreeMap<String, BTreeSet<(String, i64, String)>> {
    let mut accused: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
    for flow in rows(folder, "flows") {
        if matches!(text(&flow, "verdict"), "rst_injection" | "sni_drop") {
            let ends = (text(&flow, "client_ip").to_string(), number(&flow, "client_port"), text(&flow, "server_ip").to_string());
            accused.entry(text(&flow, "source").to_string()).or_default().insert(ends);
        }
    }
    accused
}

/// A stretch of a capture removed, zeroed, filled with chance, or doubled, or a byte of a record's header changed.
fn damaged(bytes: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let start = 24 + chance.below(bytes.len() - 4_000);
    let end = start + 1 + chance.below(3_000);
    match chance.below(5) {
        0 => drop(bytes.drain(start..end)),
        1 => bytes[start..end].fill(0),
        2 => bytes[start..end].iter_mut().for_each(|byte| *byte = chance.next() as u8),
        3 => {
            let noise: Vec<u8> = (start..end).map(|_| chance.next() as u8).collect();
            bytes.splice(start..start, noise);
        }
        _ => {
            let headers: Vec<usize> = starts(&bytes).collect();
            let header = headers[chance.below(headers.len())];
            bytes[header + 8 + chance.below(4)] ^= 1 << chance.below(8);
        }
    }
    bytes
}

/// Where records begin in a little-endian pcap.
fn starts(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let length = |at: usize| u32::from_le_bytes(bytes[at + 8..at + 12].try_into().expect("four bytes")) as usize;
    std::iter::successors(Some(24), move |&at| Some(at + 16 + length(at)).filter(|&next| next + 16 <= bytes.len()))
}

#[test]
fn no_flow_of_a_damaged_capture_is_accused_that_the_whole_one_does_not_accuse() {
    let place = tempfile::tempdir().expect("a folder");
    let mut chance = Chance::seeded(0x5eed_da3a);
    for name in SAMPLES {
        let bytes = fs::read(sample(&format!("{name}.pcap"))).expect("a sample");
        fs::create_dir(place.path().join(name)).expect("a folder");
        fs::write(place.path().join(name).join("whole.pcap"), &bytes).expect("a file");
        for mutant in 0..MUTANTS {
            // Letters, since files that differ in digits would be one rotated series.
            let letters: String = [mutant / 26, mutant % 26].iter().map(|&at| char::from(b'a' + at as u8)).collect();
            fs::write(place.path().join(name).join(format!("m{letters}.pcap")), damaged(&bytes, &mut chance)).expect("a file");
        }
        let out = place.path().join(format!("out-{name}"));
        let ran = run(&mut analyze(&[&place.path().join(name)], &out));
        assert_eq!(ran.code, Some(3), "{}", ran.err);
        assert_eq!(rows(&out, "captures").len(), MUTANTS + 1);
        let accused = accused(&out);
        let whole = accused.get("whole").cloned().unwrap_or_default();
        for (mutant, flows) in accused {
            let new: Vec<_> = flows.difference(&whole).collect();
            assert!(new.is_empty(), "{name}, {mutant}: {new:?}");
        }
    }
}
