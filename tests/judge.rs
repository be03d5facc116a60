//! `judge`: finished runs judged again, from their tables alone.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use common::{Pcap, Ran, Row, Tables, analyze, names_in, number, root, rows, run, sample, tamperscope, text};

/// A service of the user's own, of one host.
const OWN_CATALOG: &str = r#"
date = "2026-01-01"

[sources]
test = { what = "this test", date = "2026" }

[[service]]
id = "own"
name = "Own"
operator = "us"
kind = "messenger"

[[service.hosts]]
role = "web"
match = ["HOST"]
source = ["test"]
confidence = "high"
"#;
const TABLES: [&str; 7] = ["captures", "contrasts", "dns", "findings", "flows", "resets", "targets"];

fn judge(runs: &[&Path], options: &[&str]) -> Ran {
    run(tamperscope().arg("judge").args(runs).args(options))
}

/// A folder that will hold a result.
fn place() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("out");
    (place, folder)
}

/// The runs judged into a folder of their own.
fn judged(runs: &[&Path], options: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let (place, folder) = place();
    judge(runs, &[&["-o", folder.to_str().expect("text")], options].concat()).whole();
    (place, folder)
}

#[track_caller]
fn assert_same_bytes(one: &Path, other: &Path) {
    for table in TABLES {
        let read = |folder: &Path| fs::read(folder.join(format!("{table}.parquet"))).expect("a table");
        assert!(read(one) == read(other), "{table} differs");
    }
}

fn run_json(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("run.json")).expect("a finished run")).expect("JSON")
}

fn interfered(folder: &Path) -> Vec<Row> {
    let harmless = ["ok", "unknown", "unreachable"];
    rows(folder, "flows").into_iter().filter(|row| !harmless.contains(&text(row, "verdict"))).collect()
}

#[test]
fn the_same_settings_give_the_same_tables_byte_for_byte() {
    let first = Tables::of(&[&root().join("samples")]);
    assert!(interfered(&first.folder).len() > 20 && !first.rows("contrasts").is_empty(), "there is something to judge");
    let (_place, again) = judged(&[&first.folder], &[]);
    assert_same_bytes(&first.folder, &again);
    let (one, mut other) = (run_json(&first.folder), run_json(&again));
    let told = other.as_object_mut().expect("an object").remove("judged_again").expect("which runs were judged");
    assert_eq!((told, &other), (serde_json::json!([one["run_id"]]), &one));
}

#[test]
fn runs_judged_together_are_like_one_run_over_all_their_captures() {
    let inputs = [sample("drop.pcap"), sample("reset.pcap")];
    let apart = inputs.each_ref().map(|input| Tables::of(&[input]));
    let together = Tables::of(&[&inputs[0], &inputs[1]]);
    let (_place, joined) = judged(&[&apart[1].folder, &apart[0].folder], &[]);
    assert_same_bytes(&together.folder, &joined);
}

#[test]
fn the_prior_moves_confidence_and_not_score() {
    let first = Tables::of(&[&sample("drop.pcap")]);
    let (_place, again) = judged(&[&first.folder], &["--prior", "0.5"]);
    let numbers = |rows: Vec<Row>, column: &str| rows.iter().map(|row| row[column].as_f64().expect("a number")).collect::<Vec<_>>();
    let (before, after) = (numbers(first.rows("findings"), "confidence"), numbers(rows(&again, "findings"), "confidence"));
    assert_eq!(numbers(first.rows("findings"), "score"), numbers(rows(&again, "findings"), "score"));
    assert!(!before.is_empty() && before.iter().zip(&after).all(|(before, after)| before < after));
    let ids = |folder: &Path| rows(folder, "flows").iter().map(|row| text(row, "run_id").to_string()).collect::<BTreeSet<_>>();
    assert_ne!(ids(&first.folder), ids(&again), "another judgement is another run");
}

#[test]
fn other_weights_are_used() {
    let (place, _) = place();
    let weights = place.path().join("weights.toml");
    let built_in = fs::read_to_string(root().join("src/infer/weights.toml")).expect("weights");
    let against =
        |line: &str| if line.starts_with("weight = ") { "weight = -9.0".into() } else { line.replace("version = \"2\"", "version = \"none\"") };
    fs::write(&weights, built_in.lines().map(against).collect::<Vec<String>>().join("\n")).expect("written");
    let path = weights.to_str().expect("text");
    let first = Tables::of(&[&sample("reset.pcap")]);
    assert!(!interfered(&first.folder).is_empty());
    let (_again, again) = judged(&[&first.folder], &["--weights", path]);
    assert!(interfered(&again).is_empty(), "what speaks against interference accuses nobody");
    let at_once = Tables::with(&[&sample("reset.pcap")], &["--weights", path]);
    assert_same_bytes(&at_once.folder, &again);
    assert_eq!(run_json(&again)["weights"], "none");
}

#[test]
fn another_catalog_names_flows_again() {
    let (place, _) = place();
    let catalog = place.path().join("own.toml");
    let known = Tables::of(&[&root().join("samples")]);
    let service = |row: &Row| row["service"].as_str().map(Into::<String>::into);
    let nobodys = known.rows("flows").into_iter().find(|row| service(row).is_none() && row["sni"].is_string()).expect("a host of nobody");
    let host = text(&nobodys, "host");
    fs::write(&catalog, OWN_CATALOG.replace("HOST", host)).expect("written");
    let path = catalog.to_str().expect("text");
    let (_again, again) = judged(&[&known.folder], &["--catalog", path]);
    let at_once = Tables::with(&[&root().join("samples")], &["--catalog", path]);
    let named = |rows: Vec<Row>| {
        let columns = ["flow_id", "service", "role", "host", "host_source"];
        rows.iter().map(|row| columns.map(|column| row[column].clone())).collect::<Vec<_>>()
    };
    assert_eq!(named(rows(&again, "flows")), named(at_once.rows("flows")), "as if it had been there from the first, in the same order");
    assert!(rows(&again, "flows").iter().any(|row| service(row).as_deref() == Some("own") && text(row, "host") == host));
}

#[test]
fn one_run_is_judged_in_its_place() {
    let (_place, folder) = place();
    run(&mut analyze(&[&sample("drop.pcap")], &folder)).whole();
    let before = names_in(&folder);
    let id = run_json(&folder)["run_id"].clone();
    judge(&[&folder], &["--prior", "0.2"]).whole();
    assert_eq!(names_in(&folder), before);
    assert_eq!((run_json(&folder)["prior"].as_f64(), &run_json(&folder)["judged_again"][0]), (Some(0.2), &id));
}

#[test]
fn what_is_no_finished_run_is_refused() {
    let (place, folder) = place();
    let ran = judge(&[place.path()], &["-o", folder.to_str().expect("text")]);
    assert_eq!((ran.code, folder.exists()), (Some(1), false));
    assert!(ran.err.contains("run.json"), "{}", ran.err);
    fs::write(place.path().join("run.json"), "{\"schema_version\": \"1\"}").expect("written");
    let ran = judge(&[place.path()], &["-o", folder.to_str().expect("text")]);
    assert_eq!((ran.code, folder.exists()), (Some(1), false));
    assert!(ran.err.contains("analyze the captures again"), "{}", ran.err);
}

#[test]
fn a_damaged_table_ends_the_run_and_is_named() {
    let (place, folder) = place();
    run(&mut analyze(&[&sample("drop.pcap")], &folder)).whole();
    for table in ["flows", "findings", "dns"] {
        let path = folder.join(format!("{table}.parquet"));
        let whole = fs::read(&path).expect("a table");
        fs::write(&path, &whole[..whole.len() / 2]).expect("written");
        let again = place.path().join("again");
        let ran = judge(&[&folder], &["-o", again.to_str().expect("text")]);
        assert_eq!((ran.code, again.exists()), (Some(1), false), "{table}");
        assert!(ran.err.contains(path.to_str().expect("text")), "{}", ran.err);
        fs::write(&path, &whole).expect("written");
    }
    judge(&[&folder], &[]).whole();
}

#[test]
fn the_same_flows_are_not_judged_twice_together() {
    let (_place, folder) = place();
    let one = Tables::of(&[&sample("drop.pcap")]);
    let ran = judge(&[&one.folder, &one.folder], &["-o", folder.to_str().expect("text")]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("twice"), "{}", ran.err);
}

#[test]
fn several_runs_need_a_folder_of_their_own() {
    let runs = [sample("drop.pcap"), sample("reset.pcap")].map(|input| Tables::of(&[&input]));
    let ran = judge(&[&runs[0].folder, &runs[1].folder], &[]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("-o"), "{}", ran.err);
}

// What runs tell of themselves.

#[test]
fn a_run_tells_how_its_detectors_fare_where_nobody_can_have_interfered() {
    let tables = Tables::of(&[&root().join("samples")]);
    let controls = &run_json(&tables.folder)["controls"];
    let own = &controls["negative_controls"]["own_side_packets"];
    assert!(own["flows"].as_u64() > Some(500), "flows whose own side is known: {own}");
    assert_eq!(own["accused"].as_u64(), Some(0), "the samples' own sides forge nothing");
    let permuted = &controls["permutation_of_names"];
    assert!(permuted["compared"].as_u64() > Some(20), "{permuted}");
    assert!(permuted["significant_permuted"].as_u64() <= permuted["significant"].as_u64(), "{permuted}");
    assert!(controls["not_compared"]["nothing_owed"].as_u64() > Some(0), "{controls}");
}

#[test]
fn targets_count_every_flow_once() {
    let tables = Tables::of(&[&root().join("samples")]);
    let targets = tables.rows("targets");
    let sum = |column: &str| targets.iter().map(|row| row[column].as_i64().expect("a count")).sum::<i64>();
    let flows = tables.rows("flows");
    assert_eq!(sum("attempts"), flows.len() as i64);
    let with = |words: &[&str]| flows.iter().filter(|row| words.contains(&text(row, "verdict"))).count() as i64;
    assert_eq!((sum("worked"), sum("unreachable"), sum("unknown")), (with(&["ok"]), with(&["unreachable"]), with(&["unknown"])));
    assert_eq!(sum("interfered"), interfered(&tables.folder).len() as i64);
    let shared = targets.iter().filter(|row| row["server_ip"].is_null()).count();
    assert_eq!(shared, 1, "what is nobody's and small shares a row");
}

// Time, of which the samples hold little.

const MINUTE: u64 = 60_000_000;

/// A capture played again each minute, from other ports of the client.
fn every_minute(capture: &Pcap, minutes: u64) -> Pcap {
    let again = |minute: u64| {
        let mut copy = Pcap::merged(std::slice::from_ref(capture));
        copy.records.iter_mut().for_each(|record| later(record, minute));
        copy
    };
    Pcap::merged(&(0..minutes).map(again).collect::<Vec<_>>())
}

/// A record some minutes later, and from another port: Ethernet, IPv4, TCP; all else stays as it is.
fn later(record: &mut [u8], minutes: u64) {
    let micros = Pcap::micros(record) + minutes * MINUTE;
    record[..4].copy_from_slice(&((micros / 1_000_000) as u32).to_le_bytes());
    record[4..8].copy_from_slice(&((micros % 1_000_000) as u32).to_le_bytes());
    let ports = 16 + 14 + usize::from(record[16 + 14] & 15) * 4;
    let is_tcp = record[16 + 12..16 + 14] == [8, 0] && record[16 + 14 + 9] == 6;
    for at in [ports, ports + 2].into_iter().filter(|_| is_tcp) {
        let port = u16::from_be_bytes([record[at], record[at + 1]]);
        if port >= 32_768 {
            record[at..at + 2].copy_from_slice(&(port.wrapping_add(7 * minutes as u16) | 32_768).to_be_bytes());
        }
    }
}

fn played(name: &str, minutes: u64) -> Tables {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("probe.pcap");
    fs::write(&path, every_minute(&Pcap::read(&sample(name)), minutes).bytes()).expect("written");
    Tables::of(&[&path])
}

/// The comparison of a name at a server with others there.
#[track_caller]
fn other_names<'a>(contrasts: &'a [Row], host: &str, server: &str) -> &'a Row {
    let is_it = |row: &&Row| row["host"] == host && row["server_ip"] == server && row["set"] == "A";
    contrasts.iter().find(is_it).expect("a comparison with other names")
}

#[test]
fn a_name_that_fails_for_minutes_beside_others_that_work_is_likely_blocked_by_its_name() {
    let tables = played("drop.pcap", 9);
    let contrasts = tables.rows("contrasts");
    let row = other_names(&contrasts, "g.whatsapp.net", "198.51.100.20");
    assert!(number(row, "buckets") >= 9 && row["failures"] == row["buckets"], "{row:?}");
    assert!(number(row, "control_buckets") >= 9 && number(row, "control_failures") < number(row, "control_buckets"), "{row:?}");
    assert!(row["q_value"].as_f64() < Some(0.01) && row["risk_difference_low"].as_f64() > Some(0.2), "{row:?}");
    let blocked: Vec<Row> = interfered(&tables.folder).into_iter().filter(|row| row["sni"] == "g.whatsapp.net").collect();
    assert!(blocked.len() >= 18 && blocked.iter().all(|row| text(row, "trigger") == "sni"));
    let at_server = blocked.iter().filter(|row| row["server_ip"] == "198.51.100.20");
    assert!(at_server.clone().count() > 9 && at_server.clone().all(|row| text(row, "certainty") == "likely"));
    let target = tables.rows("targets").into_iter().find(|row| row["host"] == "g.whatsapp.net" && row["server_ip"] == "198.51.100.20");
    let target = target.expect("a target");
    assert_eq!((text(&target, "verdict"), text(&target, "trigger"), text(&target, "control")), ("sni_drop", "sni", "A"));
    assert_eq!((number(&target, "worked"), &target["blocked_buckets"]), (0, &target["buckets"]), "ten minutes count once");
    let permuted = &run_json(&tables.folder)["controls"]["permutation_of_names"];
    assert!(permuted["significant"].as_u64() >= Some(2) && permuted["significant_permuted"].as_u64() == Some(0), "{permuted}");
}

#[test]
fn contradictions_that_controls_bear_out_are_confirmed() {
    let tables = played("reset-race.pcap", 9);
    let confirmed: Vec<Row> = interfered(&tables.folder).into_iter().filter(|row| row["certainty"] == "confirmed").collect();
    assert!(confirmed.len() >= 9, "{}", confirmed.len());
    assert!(confirmed.iter().all(|row| text(row, "verdict") == "rst_injection" && text(row, "trigger") == "sni"));
}
