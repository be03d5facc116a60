//! `judge`: finished runs judged again, from their tables alone.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use common::{Ran, Row, Tables, analyze, names_in, root, rows, run, sample, tamperscope, text};

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
