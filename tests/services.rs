//! `services` as a user meets it: the list, one service, a catalog of one's own, and what is wrong with it.

mod common;

use std::fs;

use common::*;
use tempfile::TempDir;

fn services(arguments: &[&str]) -> Ran {
    run(tamperscope().arg("services").args(arguments))
}

/// A catalog of the user's own in a folder that lives as long as the test.
fn own(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("own.toml");
    fs::write(&path, text).expect("a file");
    let path = path.to_str().expect("UTF-8").to_owned();
    (folder, path)
}

const OWN: &str = r#"
date = "2026-11-26"

[sources]
lab = { what = "our own captures", date = "2026-11" }

[[service]]
id = "relay"
name = "Relay"
operator = "Example"
kind = "messenger"

[[service.hosts]]
role = "chat"
match = [".relay.example"]
source = ["lab:chat.pcap"]
confidence = "high"
"#;

#[test]
fn the_list_has_every_service_with_what_is_known_of_it() {
    let list = services(&[]).whole();
    let line = list.out.lines().find(|line| line.starts_with("telegram ")).expect("a line of Telegram");
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[..3], ["telegram", "Telegram", "messenger"]);
    assert!(words[3..].iter().all(|count| count.parse::<u32>().is_ok_and(|count| count > 0)), "{line}");
    let json = services(&["--json"]).whole().json();
    assert_eq!(json["services"].as_array().map(Vec::len), Some(38));
    assert!(json["dns_removed"][0]["names"].as_array().is_some_and(|names| names.iter().any(|name| name == "youtube.com")));
}

#[test]
fn one_service_is_shown_with_the_sources_of_its_facts_and_their_dates() {
    let signal = services(&["signal"]).whole();
    for said in ["signal: Signal, messenger", "chat.signal.org", "signal_turn_realm", "76.223.66.180/32", "libsignal", "2026-08-14"] {
        assert!(signal.out.contains(said), "{said} is missing in\n{}", signal.out);
    }
    let json = services(&["signal", "--json"]).whole().json();
    assert_eq!((&json["id"], &json["kind"]), (&"signal".into(), &"messenger".into()));
    assert_eq!(json["sources"]["libsignal"]["date"], "2026-08-14");
}

#[test]
fn a_service_that_nobody_knows_is_an_error_that_says_where_to_look() {
    let nobody = services(&["nobody"]);
    assert_eq!((nobody.code, nobody.out.as_str()), (Some(1), ""));
    assert!(nobody.err.contains("no service has the id nobody: `tamperscope services` lists them"), "{}", nobody.err);
}

#[test]
fn a_catalog_of_ones_own_is_part_of_the_catalog_in_use() {
    let (_folder, path) = own(OWN);
    let relay = services(&["relay", "--catalog", &path]).whole();
    assert!(relay.out.contains("hosts: chat, high, own") && relay.out.contains(".relay.example"), "{}", relay.out);
    assert!(services(&["--catalog", &path]).whole().out.lines().any(|line| line.starts_with("relay ")));
}

#[test]
fn an_error_in_it_names_file_line_and_entry() {
    let (_folder, path) = own(&OWN.replace(".relay.example", "Relay.example"));
    for ran in [services(&["--catalog", &path]), run(tamperscope().args(["analyze", "samples", "-o", "never", "--catalog", &path]))] {
        assert_eq!(ran.code, Some(1));
        let said = format!("{path}: line 15 (service relay, hosts): \"Relay.example\": host names are written in lower case");
        assert!(ran.err.contains(&said), "{}", ran.err);
    }
}

#[test]
fn the_example_in_the_docs_is_a_catalog() {
    let page = fs::read_to_string(root().join("docs/services.md")).expect("docs/services.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let (_folder, path) = own(example);
    let list = services(&["--catalog", &path]).whole();
    assert!(list.out.lines().any(|line| line.starts_with("relay ")), "{}", list.out);
    assert!(!list.out.lines().any(|line| line.starts_with("linkedin ")), "the example takes it out");
}

#[test]
fn every_recogniser_that_a_hint_asks_is_there() {
    let files = fs::read_dir(root().join("src/app")).expect("a folder").map(|entry| entry.expect("an entry").path());
    let code: String = files.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).expect("text")).collect();
    let catalog = fs::read_to_string(root().join("src/service/catalog.toml")).expect("text");
    let asked = catalog.lines().filter_map(|line| line.strip_prefix("check = "));
    let missing: Vec<_> = asked.filter(|name| !code.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
