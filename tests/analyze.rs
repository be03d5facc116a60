//! `analyze` and `schema` as a user meets them: exit codes, what is said where, what is left behind.

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use common::*;
use serde_json::Value;
use tempfile::TempDir;

const RESULT: [&str; 8] =
    ["captures.parquet", "contrasts.parquet", "dns.parquet", "findings.parquet", "flows.parquet", "resets.parquet", "run.json", "targets.parquet"];

/// A folder with some files, and a place for the result that does not exist yet.
struct Place(TempDir);

impl Place {
    fn with(files: &[(&str, Vec<u8>)]) -> Self {
        let place = tempfile::tempdir().expect("a folder");
        for (name, bytes) in files {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().expect("inside the folder")).expect("a folder");
            fs::write(path, bytes).expect("a file");
        }
        Self(place)
    }

    fn empty() -> Self {
        Self::with(&[])
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn out(&self) -> PathBuf {
        self.at("out")
    }

    /// Runs on files of this place.
    fn analyze(&self, names: &[&str]) -> Ran {
        let paths: Vec<_> = names.iter().map(|name| self.at(name)).collect();
        run(&mut analyze(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>(), &self.out()))
    }

    fn has_result(&self) -> bool {
        self.out().join("run.json").exists()
    }

    fn run_json(&self) -> Value {
        serde_json::from_slice(&fs::read(self.out().join("run.json")).expect("run.json")).expect("JSON")
    }
}

fn zip() -> Vec<u8> {
    b"PK\x03\x04 an archive".to_vec()
}

fn healthy() -> Vec<u8> {
    exchange(51_000).bytes()
}

/// A capture whose last record lacks its last ten bytes.
fn cut() -> Vec<u8> {
    let bytes = healthy();
    bytes[..bytes.len() - 10].to_vec()
}

/// A capture whose sixth record says that it is longer than any record may be.
fn damaged() -> Vec<u8> {
    let mut capture = exchange(51_000);
    capture.records[5][8..12].copy_from_slice(&[0xff; 4]);
    capture.bytes()
}

// What is read whole.

#[test]
fn a_whole_run_ends_with_0_and_says_only_the_result() {
    let place = Place::with(&[("a.pcap", healthy())]);
    let ran = place.analyze(&["a.pcap"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.contains("10 packets in 1 flows from 1 files"), "{}", ran.out);
    assert_eq!(names_in(&place.out()), RESULT);
    assert_eq!(names_in(place.0.path()), ["a.pcap", "out"], "nothing is left beside the result");
}

#[test]
fn an_exchange_that_works_is_one_flow_that_is_ok() {
    let place = Place::with(&[("a.pcap", healthy())]);
    place.analyze(&["a.pcap"]).whole();
    let flows = rows(&place.out(), "flows");
    let [flow] = &flows[..] else { panic!("{} flows", flows.len()) };
    assert_eq!((text(flow, "verdict"), text(flow, "outcome"), text(flow, "end_reason")), ("ok", "worked", "fin"));
    assert_eq!((text(flow, "client_ip"), number(flow, "client_port")), ("192.0.2.10", 51_000));
    assert_eq!((number(flow, "c2s_payload_bytes"), number(flow, "s2c_payload_bytes")), (200, 900));
    assert_eq!((text(flow, "source"), number(flow, "first_packet")), ("a", 1));
    assert!(rows(&place.out(), "findings").is_empty(), "nothing accuses the network");
}

/// One datagram from a port to a port, neither of them a system port.
fn datagram(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(source, destination, 64);
    let mut bytes = Vec::new();
    builder.udp(40_000, 50_000).write(&mut bytes, b"late").expect("it fits a packet");
    bytes
}

#[test]
fn a_flow_that_begins_with_the_answer_has_the_service_for_its_server() {
    const TELEGRAM: [u8; 4] = [149, 154, 167, 51];
    const PHONE: [u8; 4] = [192, 168, 1, 7];
    const NOBODY: [u8; 4] = [203, 0, 113, 9];
    let told = |first: Vec<u8>| {
        let place = Place::with(&[("late.pcap", Pcap::new().packet(1_700_000_000_000_000, &first).bytes())]);
        place.analyze(&["late.pcap"]).whole();
        let flow = rows(&place.out(), "flows").remove(0);
        ["server_ip", "orientation", "c2s_packets"].map(|column| flow[column].to_string())
    };
    assert_eq!(told(datagram(TELEGRAM, PHONE)), ["\"149.154.167.51\"", "\"app\"", "0"]);
    assert_eq!(told(datagram(PHONE, TELEGRAM)), ["\"149.154.167.51\"", "\"app\"", "1"]);
    assert_eq!(told(datagram(NOBODY, PHONE)), ["\"192.168.1.7\"", "\"first_packet\"", "1"], "nothing tells better than the first packet");
}

#[test]
fn the_summary_is_json_on_request() {
    let place = Place::empty();
    let ran = run(analyze(&[&sample("reset.pcap")], &place.out()).arg("--json")).whole();
    let summary = ran.json();
    let flows = rows(&place.out(), "flows");
    assert_eq!(summary["flows"], flows.len());
    let found = flows.iter().filter(|flow| text(flow, "verdict") == "rst_injection").count();
    assert_eq!(summary["verdicts"]["rst_injection"].as_u64().unwrap_or(0), found as u64);
    assert_eq!(summary["run_id"], flows[0]["run_id"]);
    assert_eq!(place.run_json()["run_id"], flows[0]["run_id"]);
}

#[test]
fn progress_never_reaches_standard_output() {
    let place = Place::empty();
    let ran = run(analyze(&[&sample("reset.pcap")], &place.out()).args(["--json", "--progress", "always"])).whole();
    assert!(ran.json().is_object());
}

#[test]
fn pipes_get_no_control_sequences() {
    let place = Place::with(&[("x.zip", zip())]);
    let read = run(&mut analyze(&[&sample("reset.pcap"), &place.at("x.zip")], &place.out()));
    let (help, wrong) = (run(tamperscope().arg("--help")), run(tamperscope().arg("analyse")));
    for ran in [read, help, wrong] {
        assert!(!ran.out.contains('\x1b') && !ran.err.contains('\x1b'), "{}{}", ran.out, ran.err);
    }
}

#[test]
fn standard_input_gives_the_flows_of_the_file() {
    let place = Place::empty();
    let bytes = fs::read(sample("reset.pcap")).expect("a sample");
    run_with_input(&mut analyze(&[Path::new("-")], &place.out()), &bytes).whole();
    let own = ["run_id", "source", "client_network", "flow_id", "capture"];
    let order = |rows: Vec<Row>| {
        let mut rows = rows;
        rows.sort_by_key(|row| number(row, "first_packet")); // flow_id has a part in the order of the table
        without(rows, &own)
    };
    let file = Tables::of(&[&sample("reset.pcap")]);
    assert_same_rows(&order(rows(&place.out(), "flows")), &order(file.rows("flows")));
    let captures = rows(&place.out(), "captures");
    assert_eq!(text(&captures[0], "content_hash"), text(&file.rows("captures")[0], "content_hash"));
}

#[test]
fn a_folder_is_walked_and_what_is_no_capture_is_skipped_silently() {
    let files = [("in/deep/a.pcap", healthy()), ("in/notes.txt", b"a text".to_vec()), ("in/x.zip", zip()), ("in/empty.pcap", Vec::new())];
    let place = Place::with(&files);
    let ran = place.analyze(&["in"]).whole();
    assert_eq!(ran.err, "");
    assert_eq!(place.run_json()["files_skipped"], 3);
    assert_eq!(rows(&place.out(), "captures").len(), 1);
}

#[test]
fn an_empty_folder_gives_empty_tables() {
    let place = Place::empty();
    fs::create_dir(place.at("in")).expect("a folder");
    place.analyze(&["in"]).whole();
    assert_eq!(names_in(&place.out()), RESULT);
    for table in ["flows", "findings", "captures"] {
        let (schema, batches) = batches(&place.out(), table);
        assert_eq!(schema.field(0).name(), "run_id", "the columns are there");
        assert!(batches.iter().all(|batch| batch.num_rows() == 0));
    }
}

#[test]
fn a_capture_without_packets_is_read_whole() {
    let place = Place::with(&[("a.pcap", Pcap::new().bytes())]);
    place.analyze(&["a.pcap"]).whole();
    let captures = rows(&place.out(), "captures");
    assert_eq!((number(&captures[0], "packets"), &captures[0]["complete"], &captures[0]["first_time"]), (0, &Value::Bool(true), &Value::Null));
}

// Which capture point.

#[test]
fn the_command_line_may_say_which_files_belong_to_one_capture_point() {
    let place = Place::with(&[("in/a.pcap", healthy()), ("in/b.pcap", exchange(51_001).bytes()), ("in/c.pcap", exchange(51_002).bytes())]);
    let sources = |options: &[&str]| {
        let out = tempfile::tempdir().expect("a folder");
        run(analyze(&[&place.at("in")], out.path()).args(options)).whole();
        let mut sources: Vec<_> = rows(out.path(), "flows").iter().map(|flow| text(flow, "source").to_string()).collect();
        sources.sort();
        sources
    };
    assert_eq!(sources(&[]), ["a", "b", "c"], "files whose names differ in letters are capture points of their own");
    assert_eq!(sources(&["--source", "lab=*/[ab].pcap"]), ["c", "lab", "lab"]);
    assert_eq!(sources(&["--one-source"]), ["all", "all", "all"]);
}

// What is not.

#[test]
fn a_named_file_that_is_no_capture_is_refused_aloud_and_the_others_are_read() {
    let place = Place::with(&[("a.pcap", healthy()), ("x.zip", zip())]);
    let ran = place.analyze(&["x.zip", "a.pcap"]);
    assert_eq!(ran.code, Some(3));
    assert_eq!(ran.err, format!("tamperscope: {}: not a capture: first bytes are 50 4b 03 04\n", place.at("x.zip").display()));
    assert_eq!(rows(&place.out(), "flows").len(), 1);
    assert_eq!(place.run_json()["files_refused"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_named_file_that_is_absent_or_empty_does_not_stop_the_others() {
    let place = Place::with(&[("a.pcap", healthy()), ("empty.pcap", Vec::new())]);
    let ran = place.analyze(&["gone.pcap", "empty.pcap", "a.pcap"]);
    assert_eq!(ran.code, Some(3));
    let lines: Vec<_> = ran.err.lines().collect();
    assert!(lines[0].starts_with(&format!("tamperscope: {}: ", place.at("gone.pcap").display())), "{}", lines[0]);
    assert_eq!(lines[1..], [format!("tamperscope: {}: empty file", place.at("empty.pcap").display())]);
    assert!(place.has_result());
}

#[test]
fn a_cut_capture_gives_what_it_has_and_says_where_it_ends() {
    let place = Place::with(&[("a.pcap", cut()), ("b.pcap", healthy())]);
    let ran = place.analyze(&["a.pcap", "b.pcap"]);
    assert_eq!(ran.code, Some(3));
    // 24 bytes of header; nine records with 16 bytes before each, two of them with payload.
    let at = exchange(51_000).part(0..9).len();
    assert!(ran.err.starts_with(&format!("tamperscope: {}: record 10 at byte {at} says ", place.at("a.pcap").display())), "{}", ran.err);
    let captures = rows(&place.out(), "captures");
    let cut = captures.iter().find(|row| text(row, "path").ends_with("a.pcap")).expect("a row of its own");
    assert_eq!((number(cut, "packets"), &cut["complete"]), (9, &Value::Bool(false)));
    assert_eq!(format!("tamperscope: {}\n", text(cut, "error")), ran.err, "the table says what standard error says");
    assert_eq!(place.run_json()["files_damaged"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_damaged_capture_gives_what_stands_before_the_damage_and_behind_it() {
    let place = Place::with(&[("a.pcap", damaged())]);
    let ran = place.analyze(&["a.pcap"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("record 6 at byte "), "{}", ran.err);
    let flow = &rows(&place.out(), "flows")[0];
    let whole = exchange(51_000).records.len() as i64;
    assert_eq!(number(flow, "c2s_packets") + number(flow, "s2c_packets"), whole - 1, "one record is lost");
    let capture = &rows(&place.out(), "captures")[0];
    assert_eq!((number(capture, "packets"), &capture["complete"]), (whole - 1, &Value::Bool(false)));
}

#[test]
fn where_nothing_can_be_read_the_run_fails_and_leaves_nothing() {
    let scenes = [
        ("x.zip", zip(), "not a capture: first bytes are 50 4b 03 04"),
        ("short.pcap", b"\xd4\xc3\xb2\xa1\x02\x00".to_vec(), "record 0 at byte 0"),
        ("empty.pcap", Vec::new(), "empty file"),
    ];
    for (name, bytes, says) in scenes {
        let place = Place::with(&[(name, bytes)]);
        let ran = place.analyze(&[name]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{name}");
        assert!(ran.err.starts_with("tamperscope: ") && ran.err.contains(says) && ran.err.ends_with("nothing could be read\n"), "{}", ran.err);
        assert_eq!(names_in(place.0.path()), [name], "no folder, no run.json");
    }
}

// Where the result goes.

#[test]
fn a_folder_that_is_not_empty_is_refused_and_left_alone() {
    let place = Place::with(&[("a.pcap", healthy()), ("out/notes.txt", b"mine".to_vec())]);
    let ran = place.analyze(&["a.pcap"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert_eq!(ran.err, format!("tamperscope: {}: not empty; --force replaces what is in it\n", place.out().display()));
    assert_eq!(names_in(&place.out()), ["notes.txt"]);
}

#[test]
fn force_replaces_tables_and_nothing_else() {
    let place = Place::with(&[("a.pcap", healthy()), ("out/notes.txt", b"mine".to_vec()), ("out/run.json", b"{}".to_vec())]);
    run(analyze(&[&place.at("a.pcap")], &place.out()).arg("--force")).whole();
    assert_eq!(
        names_in(&place.out()),
        [
            "captures.parquet",
            "contrasts.parquet",
            "dns.parquet",
            "findings.parquet",
            "flows.parquet",
            "notes.txt",
            "resets.parquet",
            "run.json",
            "targets.parquet"
        ]
    );
    assert_eq!(place.run_json()["flows"], 1);
}

#[test]
fn a_failed_run_leaves_the_earlier_result_as_it_was() {
    let place = Place::with(&[("a.pcap", healthy()), ("short.pcap", b"\xd4\xc3\xb2\xa1\x02\x00".to_vec())]);
    place.analyze(&["a.pcap"]).whole();
    let before: Vec<_> = RESULT.iter().map(|name| fs::read(place.out().join(name)).expect("readable")).collect();
    assert_eq!(run(analyze(&[&place.at("short.pcap")], &place.out()).arg("--force")).code, Some(1));
    assert_eq!(names_in(&place.out()), RESULT);
    let after: Vec<_> = RESULT.iter().map(|name| fs::read(place.out().join(name)).expect("readable")).collect();
    assert!(before == after);
}

#[test]
fn a_killed_run_leaves_no_run_json() {
    let place = Place::empty();
    let mut child = analyze(&[Path::new("-")], &place.out()).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(&healthy()).expect("it reads"); // and waits for more, since the pipe stays open
    while names_in(place.0.path()).is_empty() {
        std::thread::sleep(Duration::from_millis(5)); // until it has begun to write
    }
    child.kill().expect("it was still running");
    child.wait().expect("it ends");
    assert!(!place.has_result() && !place.out().exists(), "{:?}", names_in(place.0.path()));
}

#[test]
fn a_folder_that_exists_and_is_empty_takes_the_result() {
    let place = Place::with(&[("a.pcap", healthy())]);
    fs::create_dir(place.out()).expect("a folder");
    place.analyze(&["a.pcap"]).whole();
    assert_eq!(names_in(&place.out()), RESULT);
}

#[test]
fn an_output_that_is_a_file_ends_the_run_with_1() {
    let place = Place::with(&[("a.pcap", healthy()), ("out", b"a file".to_vec())]);
    let ran = place.analyze(&["a.pcap"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.starts_with(&format!("tamperscope: {}: ", place.out().display())), "{}", ran.err);
}

#[test]
fn the_folder_for_waiting_rows_is_left_empty() {
    let place = Place::with(&[("a.pcap", healthy())]);
    fs::create_dir(place.at("temp")).expect("a folder");
    run(analyze(&[&place.at("a.pcap")], &place.out()).arg("--temp-dir").arg(place.at("temp"))).whole();
    assert!(names_in(&place.at("temp")).is_empty());
}

// Usage.

#[test]
fn wrong_usage_ends_with_2_and_a_word_on_standard_error() {
    let usages: [&[&str]; 8] = [
        &[],
        &["analyze"],
        &["analyze", "samples/allowed.pcap"],
        &["analyze", "-o", "never-written"],
        &["analyze", "samples/allowed.pcap", "-o", "never-written", "--prior", "1"],
        &["analyze", "samples/allowed.pcap", "-o", "never-written", "--source", "no-pattern"],
        &["analyze", "samples/allowed.pcap", "-o", "never-written", "--progress", "often"],
        &["analyse", "samples/allowed.pcap"],
    ];
    for usage in usages {
        let ran = run(tamperscope().args(usage));
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{usage:?}: {}", ran.err);
        assert!(!ran.err.is_empty(), "{usage:?}");
    }
    assert!(!root().join("never-written").exists());
}

#[test]
fn help_is_a_result() {
    let ran = run(tamperscope().args(["analyze", "--help"])).whole();
    assert!(ran.out.contains("--force") && !ran.out.contains("--round-bytes"), "{}", ran.out);
}

#[test]
fn schema_lists_all_tables_or_the_one_asked_for() {
    let (all, flows) = (run(tamperscope().arg("schema")).whole().out, run(tamperscope().args(["schema", "flows"])).whole().out);
    let heads = |text: &str| text.lines().filter_map(|line| line.strip_prefix("## ").map(String::from)).collect::<Vec<_>>();
    assert_eq!(heads(&flows), ["flows"]);
    assert!(all.starts_with(&flows) && heads(&all).contains(&"captures".to_string()));
    assert!(flows.contains("| `verdict` | Dictionary(Int32, Utf8) |"), "types as Arrow says them");
}

#[test]
fn a_table_that_does_not_exist_is_wrong_usage() {
    let ran = run(tamperscope().args(["schema", "nonsense"]));
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(["nonsense", "flows", "findings", "captures"].iter().all(|word| ran.err.contains(word)), "it says what there is: {}", ran.err);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = tamperscope().arg("schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
}
