//! Verdicts on the samples beside the truth of those who recorded them.
//!
//! The snapshot is for reviewers: a change of verdicts shows as a change of lines. What must hold whatever the lines say stands in the other tests.

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use common::*;
use serde_json::Value;
use tamperscope::model::words::{Verdict, Word};

/// One line of truth and the flow that it speaks of.
struct Judged {
    truth: Value,
    flow: Row,
}

type Tuple = (String, String, i64, String, i64);

impl Judged {
    fn file(&self) -> &str {
        self.truth["file"].as_str().expect("a name")
    }

    fn says(&self, word: &str) -> &str {
        self.truth[word].as_str().unwrap_or("")
    }

    fn accuses(&self) -> bool {
        Verdict::from_word(text(&self.flow, "verdict")).expect("a declared word").is_interference()
    }

    /// Something was done to it at the other end only: here its silence may look like another interference than it was.
    fn is_cut_elsewhere(&self) -> bool {
        let touched = !matches!(self.says("label"), "ok" | "unreachable");
        touched && self.truth["observable"] == false && self.says("outcome") == "failed"
    }

    /// For messages.
    fn name(&self) -> String {
        format!("{} packet {} ({})", self.file(), self.flow["first_packet"], self.says("cause"))
    }
}

fn judged(tables: &Tables) -> Vec<Judged> {
    let mut flows: HashMap<Tuple, Vec<Row>> = HashMap::new();
    let has_ports = |flow: &Row| !flow["client_port"].is_null(); // an ICMP error is no flow that a client began
    for flow in tables.rows("flows").into_iter().filter(has_ports) {
        let file = Path::new(text(&flow, "capture")).file_name().expect("a name").to_string_lossy().into_owned();
        let tuple =
            (file, text(&flow, "client_ip").into(), number(&flow, "client_port"), text(&flow, "server_ip").into(), number(&flow, "server_port"));
        flows.entry(tuple).or_default().push(flow);
    }
    let truth = fs::read_to_string(sample("truth.jsonl")).expect("truth");
    let mut judged: Vec<_> = truth.lines().map(|line| serde_json::from_str(line).expect("JSON")).map(|truth| join(truth, &mut flows)).collect();
    assert!(flows.values().all(Vec::is_empty), "flows that nobody made: {flows:?}");
    judged.sort_by_key(|judged| (judged.file().to_string(), number(&judged.flow, "first_packet")));
    judged
}

/// Takes the flow of these ends that began closest to what the truth says: a port may be used twice.
fn join(truth: Value, flows: &mut HashMap<Tuple, Vec<Row>>) -> Judged {
    let word = |key: &str| truth[key].as_str().expect("a word").to_string();
    let port = |key: &str| truth[key].as_i64().expect("a port");
    let tuple = (word("file"), word("client_ip"), port("client_port"), word("server_ip"), port("server_port"));
    let start = (truth["start"].as_f64().expect("a time") * 1e6) as i64;
    let candidates = flows.get_mut(&tuple).unwrap_or_else(|| panic!("no flow for {tuple:?}"));
    let closest = (0..candidates.len()).min_by_key(|&at| (number(&candidates[at], "start") - start).abs());
    let flow = candidates.remove(closest.unwrap_or_else(|| panic!("too few flows for {tuple:?}")));
    // Where the first SYNs were lost, the server sees the fourth 7 s later (RFC 6298 section 2: 1 s, doubled each time).
    let late = if word("vantage") == "server" { 8_000_000 } else { 1_000_000 };
    assert!((number(&flow, "start") - start).abs() < late, "{tuple:?} began at another time");
    Judged { truth, flow }
}

fn of_samples() -> (Tables, Vec<Judged>) {
    let tables = Tables::of(&[Path::new("samples")]);
    let judged = judged(&tables);
    (tables, judged)
}

// For reviewers.

/// Room for every word that may come, so that one changed verdict changes one line.
const WIDTHS: [usize; 9] = [22, 6, 16, 22, 16, 23, 8, 4, 0];

#[test]
fn the_golden_table() {
    let head = ["file", "packet", "host", "truth", "verdict", "mechanism", "outcome", "conf", "evidence"].map(String::from);
    let lines = of_samples().1.iter().map(line).collect::<Vec<_>>();
    let lines: Vec<_> = [head].into_iter().chain(lines).collect();
    let width = |(column, least): (usize, usize)| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0).max(least);
    let widths: Vec<usize> = WIDTHS.into_iter().enumerate().map(width).collect();
    let mut page = String::new();
    for line in &lines {
        let cells = line.iter().enumerate().map(|(column, cell)| match column {
            1 => format!("{cell:>width$}", width = widths[column]),
            8 => cell.clone(),
            _ => format!("{cell:<width$}", width = widths[column]),
        });
        page += cells.collect::<Vec<_>>().join("  ").trim_end();
        page.push('\n');
    }
    assert_snapshot("verdicts.txt", &page);
}

fn line(judged: &Judged) -> [String; 9] {
    let Judged { truth, flow } = judged;
    let label = judged.says("label");
    let hidden = if truth["observable"] == false { " (hidden)" } else { "" };
    let confidence = flow["confidence"].as_f64().expect("never null");
    let evidence = flow["evidence"].as_array().and_then(|list| list.first()).and_then(Value::as_str).unwrap_or("");
    [
        judged.file().into(),
        flow["first_packet"].to_string(),
        text(flow, "host").into(),
        format!("{label}{hidden}"),
        text(flow, "verdict").into(),
        text(flow, "mechanism").into(),
        text(flow, "outcome").into(),
        format!("{confidence:.2}"),
        evidence.into(),
    ]
}

// For everybody.

#[test]
fn nobody_is_accused_of_what_did_not_happen() {
    for judged in of_samples().1.iter().filter(|judged| judged.accuses() && !judged.is_cut_elsewhere()) {
        let verdict = text(&judged.flow, "verdict");
        let expected = judged.truth["expect"].as_array().expect("a list");
        assert!(expected.iter().any(|word| word == verdict), "{}: {verdict} is none of {expected:?}", judged.name());
    }
}

#[test]
fn flows_that_nobody_touched_are_not_accused() {
    let judged = of_samples().1;
    let untouched: Vec<_> = judged.iter().filter(|judged| matches!(judged.says("label"), "ok" | "unreachable")).collect();
    assert!(untouched.len() > 100, "the samples hold many of them");
    for judged in untouched {
        assert!(!judged.accuses(), "{}: {}", judged.name(), judged.flow["evidence"]);
    }
}

#[test]
fn flows_that_went_through_are_ok() {
    let of_samples = of_samples().1;
    let went_through: Vec<_> = of_samples.iter().filter(|judged| judged.says("label") == "ok" && judged.says("client_says") == "ok").collect();
    assert!(went_through.len() > 100, "the samples hold many of them");
    let other = went_through.iter().filter(|judged| text(&judged.flow, "verdict") != "ok");
    let other: Vec<_> = other.map(|judged| format!("{}: {} {}", judged.name(), text(&judged.flow, "verdict"), judged.flow["outstanding"])).collect();
    assert!(other.is_empty(), "{} of {} are not:\n{}", other.len(), went_through.len(), other.join("\n"));
}

#[test]
fn a_mechanism_is_named_as_the_lab_set_it() {
    for judged in of_samples().1.iter().filter(|judged| judged.accuses() && !judged.is_cut_elsewhere()) {
        let mechanism = text(&judged.flow, "mechanism");
        let expected = judged.truth["expect_mechanism"].as_array().expect("a list");
        assert!(expected.iter().any(|word| word == mechanism), "{}: {mechanism} is none of {expected:?}", judged.name());
    }
}

/// What the lab can do to a flow, and what the ends do themselves.
#[test]
fn the_samples_hold_every_mechanism_and_every_innocent_kind_of_the_lab() {
    let told = of_samples().1;
    let shown = |vantage: &str| -> BTreeSet<String> {
        let rows = told.iter().filter(|judged| judged.says("vantage") == vantage && judged.truth["observable"] == true);
        rows.map(|judged| judged.says("mechanism").to_string()).filter(|word| !word.is_empty()).collect()
    };
    let at_client = "block_page certificate cut_after_packets dns_forged dns_forged_nxdomain dns_no_answer dns_refused first_payload_unacked \
                     hello_acked_then_silent hello_unacked icmp_unreachable initial_unanswered media_cut policing random_loss redirect request_unacked \
                     residual rst_from_server_side rst_replaces_answer shaping stun_unanswered syn_rst syn_unanswered volume_freeze";
    let missing: Vec<_> = at_client.split_whitespace().filter(|word| !shown("client").contains(*word)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(shown("server").contains("rst_from_client_side"));
    let innocent = told.iter().filter(|judged| matches!(judged.says("label"), "ok" | "unreachable"));
    let causes: BTreeSet<&str> = innocent.map(|judged| judged.says("cause")).collect();
    let benign = "abort alert close_unread closed_port crash dead gone hung idle_push idle_rst long_poll not_picked_up outage own_reset plain pmtu \
                  poll_give_up preconnect race reset_hello rst_close server_full server_rst server_unread slow split stop trickle upload vanished";
    let missing: Vec<_> = benign.split_whitespace().filter(|cause| !causes.contains(cause)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_judgement_of_a_flow_agrees_with_itself() {
    for judged in of_samples().1 {
        let flow = &judged.flow;
        let confidence = flow["confidence"].as_f64().expect("never null");
        assert!((0.0..=1.0).contains(&confidence));
        assert_eq!(judged.accuses(), confidence >= 0.5, "{}: {confidence}", judged.name());
        assert_eq!(judged.accuses(), !flow["mechanism"].is_null(), "{}", judged.name());
        let unreachable = text(flow, "verdict") == "unreachable";
        assert!(!unreachable || text(flow, "outcome") != "worked", "{}: it worked and the server was not reached", judged.name());
        assert!(!judged.accuses() || flow["evidence"].as_array().is_some_and(|list| !list.is_empty()), "{}: no word of evidence", judged.name());
    }
}

#[test]
fn what_the_user_got_is_what_the_client_says() {
    // At the server a flow may look well that failed at the client. A false answer of DNS is an answer, and a call that breaks off had one.
    // Session tickets look like one as well (RFC 8446 section 4.6.1): over TLS 1.3 nobody sees that the client went on waiting.
    let waited = |judged: &Judged| matches!(judged.says("cause"), "poll_give_up" | "pmtu");
    let shows = |judged: &&Judged| judged.says("vantage") == "client" && judged.says("protocol") == "tcp" && !waited(judged);
    for judged in of_samples().1.iter().filter(shows) {
        let (seen, said) = (text(&judged.flow, "outcome"), judged.says("outcome"));
        let contradicts = matches!((seen, said), ("worked", "failed") | ("failed", "worked"));
        assert!(!contradicts, "{}: {seen}, but the client says {said}: {}", judged.name(), judged.says("client_says"));
    }
}

#[test]
fn a_forged_reset_that_raced_the_answer_is_found_and_named() {
    let (tables, judged) = of_samples();
    let capture = Pcap::read(&sample("reset-race.pcap"));
    let mut findings: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
    tables.rows("findings").into_iter().for_each(|row| findings.entry(number(&row, "flow_id")).or_default().push(row));
    let is_scene =
        |judged: &&Judged| judged.file() == "reset-race.pcap" && judged.says("label") == "rst_injection" && judged.truth["observable"] == true;
    let scenes: Vec<_> = judged.iter().filter(is_scene).collect();
    assert!(scenes.len() > 5, "the sample holds some");
    for judged in scenes {
        assert_eq!(text(&judged.flow, "verdict"), "rst_injection", "{}", judged.name());
        let findings = &findings[&number(&judged.flow, "flow_id")];
        let resets: Vec<u32> = findings.iter().flat_map(|finding| reset_numbers(finding, &capture)).collect();
        let forged = judged.truth["injected"].as_array().expect("a list").iter().filter(|packet| packet["to"] == "client");
        for packet in forged {
            let seq = packet["seq"].as_u64().expect("a number") as u32;
            assert!(resets.contains(&seq), "{}: the forged reset (seq {seq}) is not among {resets:?}", judged.name());
        }
    }
}

/// Sequence numbers of the resets among the packets that a finding names.
fn reset_numbers(finding: &Row, capture: &Pcap) -> Vec<u32> {
    let numbers = finding["packets"].as_array().expect("a list").iter().filter_map(Value::as_i64);
    let named = numbers.filter_map(|number| etherparse::SlicedPacket::from_ethernet(capture.frame(number)).ok());
    let segments = named.filter_map(|packet| match packet.transport {
        Some(etherparse::TransportSlice::Tcp(segment)) => Some((segment.rst(), segment.sequence_number())),
        _ => None,
    });
    segments.filter(|(is_reset, _)| *is_reset).map(|(_, seq)| seq).collect()
}
