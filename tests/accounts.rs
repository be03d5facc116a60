//! Nothing is lost: every record of every capture is in one account, however damaged the capture is.

mod common;

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

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
    for flow in rows_of(folder, "flows", &["source", "c2s_packets", "s2c_packets"]) {
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

// Damage: mutants of the samples, many to a run. More of them, and others:
//
//   TAMPERSCOPE_MUTANTS=10 TAMPERSCOPE_SEED=7 cargo test --test accounts mutants

/// Mutants of each kind.
const MUTANTS: usize = 500;
/// Mutants that are read by one run.
const FOLDER: usize = 50;
/// What a folder of them may take. Most take a second on two cores, and one mutant that hangs takes for ever.
const PATIENCE: Duration = Duration::from_secs(90);
/// Of the whole test process: rounds and row groups of eight runs side by side, and what the largest claim of a header may take.
const MEMORY_MAX_KIB: u64 = 1_536 * 1024;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// What a mutant of some kind is made of, and how.
type Make = fn(&mut Chance) -> (String, Vec<u8>);

/// Makes mutants and reads them: nothing panics, nothing hangs, and every packet is in one account. Gives the share of them that are still captures.
#[track_caller]
fn mutants_hold(kind: u64, make: Make) -> f64 {
    let count = MUTANTS * from_environment("TAMPERSCOPE_MUTANTS").unwrap_or(1) as usize;
    let mut chance = Chance::seeded(from_environment("TAMPERSCOPE_SEED").unwrap_or(0x5eed_0000) << 8 | kind);
    let mut captures = 0;
    for _ in 0..count.div_ceil(FOLDER) {
        let mutants: Vec<_> = (0..FOLDER).map(|_| make(&mut chance)).collect();
        captures += folder_holds(&mutants).unwrap_or_else(|| panic!("{}", culprit(mutants)));
    }
    assert_memory_is_bounded();
    captures as f64 / count as f64
}

/// The number of captures among the mutants; none where reading them failed.
fn folder_holds(mutants: &[(String, Vec<u8>)]) -> Option<usize> {
    let place = tempfile::tempdir().expect("a folder");
    let input = place.path().join("mutants");
    fs::create_dir(&input).expect("a folder");
    for (number, (_, bytes)) in mutants.iter().enumerate() {
        // Letters: files whose names differ in digits only may be one series.
        let letters = [number / 26, number % 26].map(|at| char::from(b'a' + at as u8));
        fs::write(input.join(format!("{}{}.pcap", letters[0], letters[1])), bytes).expect("a file");
    }
    let output = place.path().join("out");
    let (done, waits) = mpsc::channel();
    let settings = settings(&input, &output);
    let reader = thread::spawn(move || {
        let ran = Job::prepare(&settings).and_then(|job| job.run(&|_, _| {}));
        done.send(()).expect("somebody waits");
        ran
    });
    if waits.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        return None;
    }
    match reader.join().ok()? {
        Ok(_) => {}
        Err(RunError::NothingRead { .. }) => return Some(0),
        Err(other) => panic!("{other}"),
    }
    assert_accounts_hold(&output, "mutants");
    Some(rows_of(&output, "captures", &["path"]).len())
}

/// Reads mutants that failed together one by one, and keeps the first that fails alone.
fn culprit(mutants: Vec<(String, Vec<u8>)>) -> String {
    for mutant in mutants {
        if folder_holds(std::slice::from_ref(&mutant)).is_none() {
            let kept = std::env::temp_dir().join("tamperscope-mutant");
            fs::write(&kept, &mutant.1).expect("a file");
            return format!("{} panics or hangs; kept as {}", mutant.0, kept.display());
        }
    }
    "a folder of mutants panics or hangs; none of them does alone".into()
}

fn assert_memory_is_bounded() {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return skipped("the memory of mutants: /proc/self/status is not here");
    };
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|rest| rest.trim().strip_suffix(" kB"));
    let peak: u64 = peak.expect("Linux says so").trim().parse().expect("a number");
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB of memory at the most");
}

fn settings(input: &Path, output: &Path) -> Settings {
    Settings {
        inputs: vec![input.into()],
        output: output.into(),
        force: false,
        temp_dir: None,
        rules: SourceRules::default(),
        timeouts: Timeouts::default(),
        round_bytes: Some(16 * 1024), // several rounds of most mutants
        max_memory: 1 << 30,
        catalog: Catalog::built_in().expect("it is part of the program"),
        networks: None,
        given: String::new(),
        weights: Weights::built_in().expect("they are part of the program"),
        prior: 0.05,
        splt: 3,
    }
}

/// A sample, or a part of one: its name, and its bytes.
fn any_sample(chance: &mut Chance) -> (String, Vec<u8>) {
    let samples = samples();
    let path = &samples[chance.below(samples.len())];
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    if path.extension().is_some_and(|end| end == "pcapng") || chance.below(8) == 0 {
        return (name, fs::read(path).expect("a sample"));
    }
    let capture = any_records(path, chance);
    (name, capture.bytes())
}

/// Up to some hundred consecutive records of a sample.
fn any_records(path: &Path, chance: &mut Chance) -> Pcap {
    let mut capture = Pcap::read(path);
    let start = chance.below(capture.records.len());
    let end = (start + 1 + chance.below(200)).min(capture.records.len());
    capture.records = capture.records.drain(start..end).collect();
    capture
}

fn any_stretch(length: usize, most: usize, chance: &mut Chance) -> Range<usize> {
    let start = chance.below(length);
    start..(start + 1 + chance.below(most)).min(length)
}

fn flip_any(chance: &mut Chance) -> (String, Vec<u8>) {
    let (name, mut bytes) = any_sample(chance);
    for _ in 0..1 + chance.below(64) {
        let at = chance.below(bytes.len());
        bytes[at] ^= 1 << chance.below(8);
    }
    (format!("{name} with bytes flipped"), bytes)
}

/// In the link, network and transport headers, where a flip has a meaning; the header of the record stays.
fn flip_in_packets(chance: &mut Chance) -> (String, Vec<u8>) {
    let pcaps: Vec<_> = samples().into_iter().filter(|path| path.extension().is_some_and(|end| end == "pcap")).collect();
    let path = &pcaps[chance.below(pcaps.len())];
    let mut capture = any_records(path, chance);
    for record in &mut capture.records {
        if chance.below(3) == 0 && record.len() > 16 {
            let at = 16 + chance.below((record.len() - 16).min(80));
            record[at] ^= 1 << chance.below(8);
        }
    }
    (format!("{} with headers flipped", path.display()), capture.bytes())
}

fn cut(chance: &mut Chance) -> (String, Vec<u8>) {
    let (name, mut bytes) = any_sample(chance);
    bytes.truncate(chance.below(bytes.len()));
    (format!("{name} cut at {}", bytes.len()), bytes)
}

fn with_hole(chance: &mut Chance) -> (String, Vec<u8>) {
    let (name, mut bytes) = any_sample(chance);
    let hole = any_stretch(bytes.len(), 4_096, chance);
    bytes.drain(hole.clone());
    (format!("{name} without {hole:?}"), bytes)
}

fn with_repeat(chance: &mut Chance) -> (String, Vec<u8>) {
    let (name, mut bytes) = any_sample(chance);
    let stretch = any_stretch(bytes.len(), 4_096, chance);
    let (again, at) = (bytes[stretch.clone()].to_vec(), chance.below(bytes.len()));
    bytes.splice(at..at, again);
    (format!("{name} with {stretch:?} again at {at}"), bytes)
}

fn overwritten(chance: &mut Chance) -> (String, Vec<u8>) {
    let (name, mut bytes) = any_sample(chance);
    let stretch = any_stretch(bytes.len(), 2_048, chance);
    let zeros = chance.below(2) == 0;
    bytes[stretch.clone()].fill_with(|| if zeros { 0 } else { chance.next() as u8 });
    (format!("{name} overwritten at {stretch:?}"), bytes)
}

/// Two captures one behind the other, the first of them perhaps cut.
fn joined(chance: &mut Chance) -> (String, Vec<u8>) {
    let ((name, mut bytes), (other, behind)) = (any_sample(chance), any_sample(chance));
    if chance.below(2) == 0 {
        bytes.truncate(24 + chance.below(bytes.len() - 24)); // its header stays
    }
    bytes.extend(behind);
    (format!("{name} and {other}"), bytes)
}

/// A sound or damaged capture, compressed or in an archive, which may be damaged itself.
fn packed(chance: &mut Chance) -> (String, Vec<u8>) {
    let (name, bytes) = match chance.below(3) {
        0 => any_sample(chance),
        1 => flip_any(chance),
        _ => with_hole(chance),
    };
    let codec = chance.below(6);
    let mut packed = pack(codec, &bytes);
    match chance.below(4) {
        0 => packed.truncate(chance.below(packed.len())),
        1 => (0..1 + chance.below(4)).for_each(|_| {
            let at = chance.below(packed.len());
            packed[at] ^= 1 << chance.below(8);
        }),
        2 => packed = pack(chance.below(6), &packed), // once more
        _ => {}
    }
    (format!("{name} packed by {codec}"), packed)
}

fn pack(codec: usize, bytes: &[u8]) -> Vec<u8> {
    const IN_MEMORY: &str = "memory takes it";
    match codec {
        0 => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(bytes).expect(IN_MEMORY);
            gzip.finish().expect(IN_MEMORY)
        }
        1 => zstd::encode_all(bytes, 1).expect(IN_MEMORY),
        2 => {
            let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
            lz4.write_all(bytes).expect(IN_MEMORY);
            lz4.finish().expect(IN_MEMORY)
        }
        3 => {
            let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
            xz.write_all(bytes).expect(IN_MEMORY);
            xz.finish().expect(IN_MEMORY)
        }
        4 => {
            let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            bzip2.write_all(bytes).expect(IN_MEMORY);
            bzip2.finish().expect(IN_MEMORY)
        }
        _ => {
            let mut archive = tar::Builder::new(Vec::new());
            for member in ["probe/a.pcap", "probe/b.pcap"] {
                let mut header = tar::Header::new_gnu();
                header.set_size(bytes.len() as u64);
                archive.append_data(&mut header, member, bytes).expect(IN_MEMORY);
            }
            archive.into_inner().expect(IN_MEMORY)
        }
    }
}

#[test]
fn mutants_with_flipped_bytes_lose_no_packet() {
    assert!(mutants_hold(1, flip_any) > 0.9, "nearly all are still captures");
}

#[test]
fn mutants_with_bytes_flipped_inside_packets_lose_no_packet() {
    assert_eq!(mutants_hold(2, flip_in_packets), 1.0, "their records are whole");
}

#[test]
fn mutants_that_were_cut_lose_no_packet_before_the_cut() {
    assert!(mutants_hold(3, cut) > 0.9, "nearly all are still captures");
}

#[test]
fn mutants_with_a_hole_lose_no_packet_that_is_read() {
    assert!(mutants_hold(4, with_hole) > 0.9, "nearly all are still captures");
}

#[test]
fn mutants_with_a_stretch_again_lose_no_packet() {
    assert!(mutants_hold(5, with_repeat) > 0.9, "nearly all are still captures");
}

#[test]
fn mutants_that_were_overwritten_lose_no_packet_that_is_read() {
    assert!(mutants_hold(6, overwritten) > 0.9, "nearly all are still captures");
}

#[test]
fn mutants_joined_of_two_lose_no_packet() {
    assert_eq!(mutants_hold(7, joined), 1.0, "they begin as captures do");
}

#[test]
fn mutants_that_were_packed_lose_no_packet_that_is_read() {
    assert!(mutants_hold(8, packed) > 0.6, "most are still captures");
}
