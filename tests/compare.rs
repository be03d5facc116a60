//! `compare`: what two captures of the same flows prove, on the samples that were recorded at both ends.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use common::*;
use serde_json::Value;

/// The tables of one comparison, in a folder that goes away.
struct Compared {
    place: tempfile::TempDir,
    summary: Value,
}

impl Compared {
    #[track_caller]
    fn of(client: &Path, server: &Path) -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let mut command = tamperscope();
        let ran = run(command.arg("compare").args([client, server]).arg("-o").arg(place.path().join("out")).arg("--json"));
        Self { summary: ran.whole().json(), place }
    }

    fn folder(&self) -> PathBuf {
        self.place.path().join("out")
    }

    /// Flows by the client's port.
    fn flows(&self) -> BTreeMap<i64, Row> {
        rows(&self.folder(), "flows").into_iter().map(|flow| (number(&flow, "client_port"), flow)).collect()
    }

    fn fates(&self) -> Vec<Row> {
        rows(&self.folder(), "fates")
    }
}

fn pair(scene: &str) -> Compared {
    Compared::of(&sample(&format!("{scene}.pcap")), &sample(&format!("{scene}-server.pcap")))
}

/// What those who recorded a sample know of its flows, by the client's port.
fn truth(file: &str) -> BTreeMap<i64, Value> {
    let lines = fs::read_to_string(sample("truth.jsonl")).expect("truth");
    let all = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    all.filter(|row| row["file"] == file).map(|row| (row["client_port"].as_i64().expect("a port"), row)).collect()
}

/// Ends that the injector says it sent a reset to.
fn reset_ends(truth: &Value) -> BTreeSet<&str> {
    truth["injected"].as_array().into_iter().flatten().map(|reset| reset["to"].as_str().expect("an end")).collect()
}

#[test]
fn every_injected_reset_is_found_at_the_end_that_got_it_and_nothing_else_is_accused() {
    let compared = pair("reset-race");
    let (flows, fates) = (compared.flows(), compared.fates());
    for (port, truth) in truth("reset-race.pcap") {
        let flow = &flows[&port];
        let injected = fates.iter().filter(|fate| fate["flow_id"] == flow["flow_id"] && text(fate, "fate") == "injected");
        let ends: BTreeSet<&str> = injected.map(|fate| if text(fate, "direction") == "s2c" { "client" } else { "server" }).collect();
        assert_eq!(ends, reset_ends(&truth), "port {port}: {}", truth["cause"]);
        let expected = match (ends.contains("client"), ends.contains("server")) {
            (true, true) => ("rst_injection", "rst_both_sides", "confirmed"),
            (true, false) => ("rst_injection", "rst_from_server_side", "confirmed"),
            _ => ("ok", "", ""),
        };
        assert_eq!((text(flow, "verdict"), text(flow, "mechanism"), text(flow, "certainty")), expected, "port {port}");
    }
}

#[test]
fn a_reset_in_place_of_the_hello_shows_as_a_dropped_hello_and_an_injected_reset() {
    let compared = pair("reset");
    let flows = compared.flows();
    for (port, truth) in truth("reset.pcap").into_iter().filter(|(_, truth)| truth["label"] == "rst_injection") {
        let flow = &flows[&port];
        assert_eq!(text(flow, "mechanism"), "rst_from_server_side", "port {port}: {}", truth["cause"]);
        // Of what was sent just before a capture ended nothing is said.
        let lost = number(flow, "c2s_dropped") + number(flow, "c2s_unjudged");
        assert!(lost > 0 && number(flow, "s2c_injected") > 0, "port {port}: {flow:?}");
    }
}

#[test]
fn a_dropped_hello_is_proven_by_the_other_flows_of_its_server() {
    let compared = pair("drop");
    let flows = compared.flows();
    for (port, truth) in truth("drop.pcap") {
        let flow = &flows[&port];
        let expected = if truth["label"] == "sni_drop" { ("sni_drop", "hello_unacked", "c2s") } else { ("ok", "", "") };
        assert_eq!((text(flow, "verdict"), text(flow, "mechanism"), text(flow, "drop_direction")), expected, "port {port}: {}", truth["cause"]);
    }
}

#[test]
fn a_delivered_packet_is_named_at_both_ends_with_the_time_between() {
    let compared = pair("reset-race");
    let fates = compared.fates();
    let place = |row: &Row, capture: &str, packet: &str| (text(row, capture).to_string(), row[packet].as_i64());
    let known: BTreeSet<_> = fates.iter().map(|fate| place(fate, "capture", "packet")).collect();
    let delivered: Vec<&Row> = fates.iter().filter(|fate| text(fate, "fate") == "delivered").collect();
    assert!(delivered.len() > 100, "most packets of the sample come through: {}", delivered.len());
    for fate in delivered {
        assert!(known.contains(&place(fate, "peer_capture", "peer_packet")), "the peer of {fate:?} has a row of its own");
        let delay = fate["delay_ms"].as_f64().expect("known of a delivered packet");
        assert!((5.0..80.0).contains(&delay), "the samples' path takes 15 to 25 ms: {fate:?}");
    }
}

/// The client's address and port, and the server's.
type Ends = (([u8; 4], u16), ([u8; 4], u16));

/// Where a segment was seen, by ms after the first.
struct Seen {
    segment: Segment,
    client: Option<u64>,
    server: Option<u64>,
}

/// A segment of a connection from 192.0.2.10 to 198.51.100.10, or from and to where it was translated to.
#[derive(Clone, Copy)]
struct Segment {
    from_client: bool,
    seq: u32,
    ack: u32,
    flags: &'static str,
    ip_id: u16,
    payload: usize,
}

fn c2s(seq: u32, ack: u32, flags: &'static str, payload: usize) -> Segment {
    Segment { from_client: true, seq, ack, flags, ip_id: 0, payload }
}

fn s2c(seq: u32, ack: u32, flags: &'static str, payload: usize) -> Segment {
    Segment { from_client: false, ..c2s(seq, ack, flags, payload) }
}

impl Segment {
    fn id(self, ip_id: u16) -> Self {
        Self { ip_id, ..self }
    }

    fn at(self, client: impl Into<Option<u64>>, server: impl Into<Option<u64>>) -> Seen {
        Seen { segment: self, client: client.into(), server: server.into() }
    }

    fn bytes(self, client: ([u8; 4], u16), server: ([u8; 4], u16)) -> Vec<u8> {
        let (from, to) = if self.from_client { (client, server) } else { (server, client) };
        let mut ip = etherparse::Ipv4Header::new(0, 60, etherparse::IpNumber::TCP, from.0, to.0).expect("it fits a packet");
        ip.identification = self.ip_id;
        let builder =
            etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ip(etherparse::IpHeaders::Ipv4(ip, Default::default()));
        let builder = self.flags.chars().fold(builder.tcp(from.1, to.1, self.seq, 64_000), |builder, flag| match flag {
            'S' => builder.syn(),
            'F' => builder.fin(),
            'R' => builder.rst(),
            _ => builder.ack(self.ack),
        });
        let mut bytes = Vec::new();
        builder.write(&mut bytes, &vec![self.seq as u8; self.payload]).expect("it fits a packet");
        bytes
    }
}

/// Compares what both ends saw; the server's capture shows other addresses where a NAT stands between.
fn compared(seen: &[Seen], translated: Option<Ends>) -> Compared {
    const ENDS: Ends = (([192, 0, 2, 10], 50_001), ([198, 51, 100, 10], 443));
    const FIRST_US: u64 = 1_700_000_000_000_000;
    let capture = |time: &dyn Fn(&Seen) -> Option<u64>, ends: Ends| {
        let mut packets: Vec<_> = seen.iter().filter_map(|seen| Some((time(seen)?, seen.segment.bytes(ends.0, ends.1)))).collect();
        packets.sort_by_key(|(time, _)| *time);
        packets.iter().fold(Pcap::new(), |capture, (time, bytes)| capture.packet(FIRST_US + time * 1_000, bytes))
    };
    let place = tempfile::tempdir().expect("a folder");
    let paths = ["client.pcap", "server.pcap"].map(|name| place.path().join(name));
    fs::write(&paths[0], capture(&|seen| seen.client, ENDS).bytes()).expect("written");
    fs::write(&paths[1], capture(&|seen| seen.server, translated.unwrap_or(ENDS)).bytes()).expect("written");
    Compared::of(&paths[0], &paths[1])
}

fn opening() -> Vec<Seen> {
    vec![c2s(1_000, 0, "S", 0).at(0, 20), s2c(9_000, 1_001, "SA", 0).at(40, 20), c2s(1_001, 9_001, "A", 0).at(41, 61)]
}

/// Packets with a fate other than `delivered`, as capture, number and fate.
fn others(compared: &Compared) -> Vec<(String, i64, String)> {
    let rows = compared.fates().into_iter().filter(|fate| text(fate, "fate") != "delivered");
    let name = |row: &Row| Path::new(text(row, "capture")).file_stem().expect("a name").to_string_lossy().into_owned();
    rows.map(|row| (name(&row), number(&row, "packet"), text(&row, "fate").to_string())).collect()
}

fn is(capture: &str, packet: i64, fate: &str) -> (String, i64, String) {
    (capture.into(), packet, fate.into())
}

#[test]
fn a_connection_that_goes_on_long_after_a_forged_reset_is_one_connection() {
    let seen = [c2s(1_001, 9_001, "A", 200).at(50, 70), s2c(9_001, 1_201, "A", 900).at(120, 100), c2s(1_201, 0, "R", 0).at(None, 101)];
    let later = [c2s(1_201, 9_901, "A", 50).at(20_000, 20_020), s2c(9_901, 1_251, "A", 0).at(20_040, 20_020)];
    let compared = compared(&opening().into_iter().chain(seen).chain(later).collect::<Vec<_>>(), None);
    assert_eq!(compared.summary["joined"], 1);
    assert_eq!(others(&compared), [is("server", 6, "injected")]);
}

#[test]
fn equal_resets_that_follow_each_other_closely_are_told_apart_by_their_way() {
    // Segments that reach a closed port are each answered by the same reset.
    let resets = (0..8).map(|at| c2s(1_201, 0, "R", 0).at(100 + at, 120 + at));
    let compared = compared(&opening().into_iter().chain([c2s(1_001, 9_001, "A", 200).at(50, 70)]).chain(resets).collect::<Vec<_>>(), None);
    let fates = compared.fates();
    let resets: Vec<&Row> = fates.iter().filter(|fate| number(fate, "packet") > 4).collect();
    assert_eq!(resets.len(), 16);
    for fate in resets {
        assert_eq!((text(fate, "fate"), number(fate, "peer_packet")), ("delivered", number(fate, "packet")), "{fate:?}");
    }
}

#[test]
fn a_repeated_packet_is_the_one_that_came_the_usual_way() {
    // The first answer to the SYN is lost; the third takes 3 ms less than the second, which was the fastest until then.
    let syns = [c2s(1_000, 0, "S", 0).at(0, 50), c2s(1_000, 0, "S", 0).at(1_000, 1_048)];
    let answers = [s2c(9_000, 1_001, "SA", 0).at(None, 51), s2c(9_000, 1_001, "SA", 0).at(1_102, 1_050), s2c(9_000, 1_001, "SA", 0).at(1_106, 1_057)];
    let rest = [c2s(1_001, 9_001, "A", 0).at(1_103, 1_153), c2s(1_001, 9_001, "A", 90).at(1_110, 1_160), s2c(9_001, 1_091, "A", 0).at(1_212, 1_161)];
    let compared = compared(&syns.into_iter().chain(answers).chain(rest).collect::<Vec<_>>(), None);
    assert_eq!(others(&compared), [is("server", 2, "dropped")]);
}

#[test]
fn a_lost_fin_that_comes_again_with_data_is_no_hole_of_the_capture() {
    let cut = [
        c2s(1_001, 9_001, "A", 200).at(50, None),
        c2s(1_201, 9_001, "FA", 0).at(51, None),
        c2s(1_001, 9_001, "FA", 200).at(300, 320),
        s2c(9_001, 1_202, "A", 0).at(340, 320),
        c2s(1_202, 9_001, "A", 0).at(350, None),
        c2s(1_202, 9_001, "A", 0).at(900, 920),
    ];
    let compared = compared(&opening().into_iter().chain(cut).collect::<Vec<_>>(), None);
    assert_eq!(others(&compared), [is("client", 4, "dropped"), is("client", 5, "dropped"), is("client", 8, "dropped")]);
    assert_eq!(compared.summary["lost_by_captures"], serde_json::json!({"client": 0.0, "server": 0.0}));
}

#[test]
fn an_address_of_which_nothing_arrives_is_judged_where_its_network_is_known_to_be_captured() {
    let place = tempfile::tempdir().expect("a folder");
    let capture = |server: [u8; 4], at_client: bool| {
        let ends = (([192, 0, 2, 10], 50_001), (server, 443));
        let seen = if server[3] == 10 { opening() } else { vec![c2s(1_000, 0, "S", 0).at(100, None), s2c(0, 1_001, "RA", 0).at(105, None)] };
        let late = c2s(1_001, 9_001, "A", 0).at(3_000, 3_020);
        let seen = seen.into_iter().chain((server[3] == 10).then_some(late));
        let packets = seen.filter_map(|seen| Some((if at_client { seen.client } else { seen.server }?, seen.segment.bytes(ends.0, ends.1))));
        packets.fold(Pcap::new(), |capture, (ms, bytes)| capture.packet(1_700_000_000_000_000 + ms * 1_000, &bytes))
    };
    let both = |at_client: bool| Pcap::merged(&[capture([198, 51, 100, 10], at_client), capture([198, 51, 100, 77], at_client)]);
    let paths = ["client.pcap", "server.pcap"].map(|name| place.path().join(name));
    fs::write(&paths[0], both(true).bytes()).expect("written");
    fs::write(&paths[1], both(false).bytes()).expect("written");
    let verdicts = |options: &[&str]| {
        let out = place.path().join(options.len().to_string());
        run(tamperscope().arg("compare").args(&paths).arg("-o").arg(&out).args(options)).whole();
        rows(&out, "flows").iter().map(|flow| (text(flow, "server_ip").to_string(), text(flow, "mechanism").to_string())).collect::<BTreeSet<_>>()
    };
    let flow = |server: &str, mechanism: &str| (server.to_string(), mechanism.to_string());
    assert_eq!(verdicts(&[]), BTreeSet::from([flow("198.51.100.10", "")]));
    assert_eq!(verdicts(&["--server-net", "198.51.100.0/24"]), BTreeSet::from([flow("198.51.100.10", ""), flow("198.51.100.77", "syn_rst")]));
    let refused = run(tamperscope().arg("compare").args(&paths).arg("-o").arg(place.path().join("x")).args(["--server-net", "example.org"]));
    assert_eq!(refused.code, Some(2), "{}", refused.err);
}

#[test]
fn an_answer_to_the_syn_that_the_servers_capture_lacks_is_a_hole_of_that_capture() {
    let lacking = [c2s(1_000, 0, "S", 0).at(0, 20), s2c(9_000, 1_001, "SA", 0).at(40, None), c2s(1_001, 9_001, "A", 90).at(41, 61)];
    let rest = [s2c(9_001, 1_091, "A", 300).at(100, 80), c2s(1_091, 9_301, "A", 0).at(101, 121)];
    let compared = compared(&lacking.into_iter().chain(rest).collect::<Vec<_>>(), None);
    assert_eq!(others(&compared), []);
    assert!(compared.summary["lost_by_captures"]["server"].as_f64().is_some_and(|share| share > 0.0), "{}", compared.summary);
}

#[test]
fn a_minute_with_slow_packets_does_not_turn_the_clock() {
    let exchange = |at: u64, base: u32, back: u64| {
        [
            c2s(base, 0, "S", 0).at(at, at + 20),
            s2c(base + 9_000, base + 1, "SA", 0).at(at + 20 + back, at + 20),
            c2s(base + 1, base + 9_001, "A", 90).at(at + 21 + back, at + 41 + back),
            s2c(base + 9_001, base + 91, "A", 300).at(at + 41 + 2 * back, at + 41 + back),
        ]
    };
    let start = 1_700_000_000_000 % 60_000; // ms into the first minute
    let seen: Vec<Seen> =
        [exchange(0, 1_000, 20), exchange(55_000 - start, 50_000, 20), exchange(61_000 - start, 90_000, 300)].into_iter().flatten().collect();
    let compared = compared(&seen, None);
    assert_eq!(others(&compared), []);
    let offset = compared.summary["clock_offset_ms"].as_array().expect("known at both ends").iter().map(|ms| ms.as_f64().expect("a number"));
    assert!(offset.clone().all(|ms| ms.abs() < 10.0), "{:?}", offset.collect::<Vec<_>>());
}

#[test]
fn an_equal_packet_half_a_minute_later_is_another_one() {
    // The client's reset is lost; a load balancer ends the forgotten connection with the same numbers.
    let ended = [c2s(1_001, 9_001, "A", 90).at(100, 120), s2c(9_001, 1_091, "A", 0).at(140, 120), c2s(1_091, 0, "R", 0).id(7).at(200, None)];
    let late = [s2c(9_001, 1_091, "A", 0).at(28_020, 28_000), c2s(1_091, 0, "R", 0).id(99).at(None, 28_030)];
    let compared = compared(&opening().into_iter().chain(ended).chain(late).collect::<Vec<_>>(), None);
    assert_eq!(others(&compared), [is("client", 6, "dropped"), is("server", 7, "injected")]);
}

#[test]
fn what_was_sent_after_a_capture_ended_is_no_hole_of_it() {
    let muted = [c2s(1_001, 9_001, "A", 200).at(50, 70), s2c(9_001, 1_201, "A", 0).at(None, 70), c2s(1_001, 9_001, "A", 200).at(300, 320)];
    let late = [s2c(9_001, 1_201, "A", 0).at(None, 320), c2s(1_001, 9_001, "A", 200).at(None, 8_020), s2c(9_001, 1_201, "A", 0).at(None, 8_021)];
    let other = [s2c(9_001, 1_201, "A", 0).at(2_000, 1_980)];
    let compared = compared(&opening().into_iter().chain(muted).chain(late).chain(other).collect::<Vec<_>>(), None);
    assert_eq!(compared.summary["lost_by_captures"], serde_json::json!({"client": 0.0, "server": 0.0}));
}

#[test]
fn what_came_after_the_other_capture_ended_may_have_been_sent_after_its_end() {
    let refused = [c2s(1_001, 9_001, "A", 90).at(500, None), s2c(9_001, 0, "R", 0).at(600, None)];
    let compared = compared(&opening().into_iter().chain(refused).collect::<Vec<_>>(), None);
    assert_eq!(others(&compared), []);
}

#[test]
fn an_answer_rewritten_where_the_path_became_slower_is_still_one_packet() {
    let answer =
        [c2s(1_001, 9_001, "A", 200).at(50, 70), s2c(9_001, 1_201, "A", 900).id(700).at(None, 400), s2c(9_001, 1_201, "RA", 0).id(700).at(560, None)];
    let compared =
        compared(&opening().into_iter().chain(answer).chain([s2c(9_001, 1_201, "A", 900).id(701).at(None, 700)]).collect::<Vec<_>>(), None);
    assert_eq!(others(&compared)[..2], [is("server", 5, "rewritten"), is("client", 5, "rewritten")]);
}

#[test]
fn a_connection_led_to_another_server_behind_a_nat_is_joined_by_its_syn() {
    let led = [c2s(1_000, 0, "S", 0).id(77).at(0, 20), s2c(9_000, 1_001, "SA", 0).at(40, 20), c2s(1_001, 9_001, "A", 0).id(78).at(41, 61)];
    let compared = compared(&led, Some((([203, 0, 113, 5], 61_000), ([203, 0, 113, 99], 443))));
    assert_eq!((&compared.summary["joined"], others(&compared)), (&Value::from(1), vec![]));
}

#[test]
fn one_capture_compared_with_itself_shows_no_interference() {
    let file = sample("allowed.pcap");
    let compared = Compared::of(&file, &file);
    let words: BTreeSet<String> = compared.fates().iter().map(|fate| text(fate, "fate").to_string()).collect();
    assert_eq!(words, BTreeSet::from(["delivered".to_string()]));
    assert_eq!(compared.summary["flows"], compared.summary["joined"]);
    assert_eq!(compared.summary["clock_offset_ms"], serde_json::json!([0.0, 0.0]));
}

#[test]
fn records_that_a_capture_lacks_are_not_blamed_on_the_network() {
    let place = tempfile::tempdir().expect("a folder");
    let whole = fs::read(sample("allowed.pcap")).expect("a sample");
    let records = pcap_records(&whole);
    let lacking = |every: usize| {
        [&whole[..24], &records.iter().enumerate().filter(|(at, _)| at % every != every / 2).map(|(_, record)| *record).collect::<Vec<_>>().concat()]
            .concat()
    };
    let (client, server) = (place.path().join("client.pcap"), place.path().join("server.pcap"));
    fs::write(&client, lacking(61)).expect("written");
    fs::write(&server, lacking(73)).expect("written");
    let compared = Compared::of(&client, &server);
    let accused: Vec<Row> = compared.flows().into_values().filter(|flow| !flow["mechanism"].is_null()).collect();
    assert!(accused.is_empty(), "{accused:?}");
    let injected: Vec<Row> = compared.fates().into_iter().filter(|fate| matches!(text(fate, "fate"), "injected" | "rewritten")).collect();
    assert!(injected.is_empty(), "{injected:?}");
}

#[test]
fn captures_without_a_flow_in_common_prove_nothing() {
    let place = tempfile::tempdir().expect("a folder");
    let out = place.path().join("out");
    let ran = run(tamperscope().arg("compare").args([&sample("drop.pcap"), &sample("reset-v6-server.pcap")]).arg("-o").arg(&out)).whole();
    assert!(ran.err.contains("no flow is in both captures"), "{}", ran.err);
    assert!(rows(&out, "flows").is_empty() && rows(&out, "fates").is_empty());
}

#[test]
fn damage_is_named_once() {
    let place = tempfile::tempdir().expect("a folder");
    let cut = place.path().join("cut.pcap");
    let whole = fs::read(sample("reset-race.pcap")).expect("a sample");
    fs::write(&cut, &whole[..30_000]).expect("written");
    let ran = run(tamperscope().arg("compare").args([&cut, &sample("reset-race-server.pcap")]).arg("-o").arg(place.path().join("out")));
    assert_eq!((ran.code, ran.err.matches("cut.pcap").count()), (Some(3), 1), "{}", ran.err);
}

#[test]
fn what_cannot_be_read_ends_without_tables() {
    let place = tempfile::tempdir().expect("a folder");
    let empty = place.path().join("empty.pcap");
    fs::write(&empty, "").expect("written");
    let out = place.path().join("out");
    let ran = run(tamperscope().arg("compare").args([&sample("allowed.pcap"), &empty]).arg("-o").arg(&out));
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(!out.exists() || names_in(&out).is_empty());
}

/// The records of a little-endian pcap, with their headers.
fn pcap_records(file: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut records) = (&file[24..], Vec::new());
    while rest.len() >= 16 {
        let captured = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        let (record, behind) = rest.split_at(16 + captured);
        records.push(record);
        rest = behind;
    }
    records
}
