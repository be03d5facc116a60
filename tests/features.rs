//! Features for models, against figures taken from the packets by plain reading: whole lists, sorted and summed as a textbook does it.

mod common;

use std::collections::{HashMap, HashSet};
use std::fs;

use common::*;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use serde_json::Value;
use tamperscope::table::{self, FEATURES, SPLT, TIMES};

/// Whose address and port a packet has.
type End = (String, u16);

/// What a packet tells of features.
struct Seen {
    /// Milliseconds after the first packet of the flow.
    ms: f64,
    from: End,
    payload: usize,
    /// ACK, URG, ECE, CWR; none of other protocols.
    flags: Option<[bool; 4]>,
}

/// The packets of a capture over Ethernet by the ends of their flows, the smaller first.
fn packets_of(capture: &Pcap) -> HashMap<(End, End), Vec<Seen>> {
    let mut flows: HashMap<(End, End), Vec<Seen>> = HashMap::new();
    let mut starts = HashMap::new();
    for (number, record) in (1..).zip(&capture.records) {
        let packet = SlicedPacket::from_ethernet(capture.frame(number)).expect("a frame");
        let (source, destination) = match packet.net.as_ref() {
            Some(NetSlice::Ipv4(ip)) => (ip.header().source_addr().to_string(), ip.header().destination_addr().to_string()),
            Some(NetSlice::Ipv6(ip)) => (ip.header().source_addr().to_string(), ip.header().destination_addr().to_string()),
            _ => continue,
        };
        let (ports, payload, flags) = match &packet.transport {
            Some(TransportSlice::Tcp(tcp)) => {
                let flags = [tcp.ack(), tcp.urg(), tcp.ece(), tcp.cwr()];
                ((tcp.source_port(), tcp.destination_port()), tcp.payload().len(), Some(flags))
            }
            Some(TransportSlice::Udp(udp)) => ((udp.source_port(), udp.destination_port()), udp.payload().len(), None),
            _ => continue,
        };
        let (from, to) = ((source, ports.0), (destination, ports.1));
        let key = if from < to { (from.clone(), to) } else { (to, from.clone()) };
        let micros = Pcap::micros(record);
        let start = *starts.entry(key.clone()).or_insert(micros);
        flows.entry(key).or_default().push(Seen { ms: (micros - start) as f64 / 1_000.0, from, payload, flags });
    }
    flows
}

/// Mean, standard deviation of the population, smallest, largest.
fn spread(values: &[f64]) -> Option<[f64; 4]> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    let (min, max) = values.iter().fold((f64::MAX, f64::MIN), |(min, max), &value| (min.min(value), max.max(value)));
    (!values.is_empty()).then_some([mean, variance.sqrt(), min, max])
}

/// As numpy.percentile does it by default.
fn quartiles(values: &[f64]) -> Option<[f64; 3]> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some([0.25, 0.5, 0.75].map(|share| {
        let place = share * last as f64;
        let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        below + (above - below) * place.fract()
    }))
}

fn gaps(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Packets and bytes of each burst of a side.
fn bursts(packets: &[Seen], side: &End) -> Vec<(f64, f64)> {
    let mut bursts: Vec<(f64, f64)> = Vec::new();
    let mut before: Option<&Seen> = None;
    for packet in packets.iter().filter(|packet| packet.payload > 0) {
        let goes_on = before.is_some_and(|before| before.from == packet.from && packet.ms - before.ms <= 1_000.0);
        before = Some(packet);
        if packet.from != *side {
            continue;
        }
        match bursts.last_mut().filter(|_| goes_on) {
            Some(burst) => *burst = (burst.0 + 1.0, burst.1 + packet.payload as f64),
            None => bursts.push((1.0, packet.payload as f64)),
        }
    }
    bursts
}

/// Lengths of active and of idle times.
fn periods(times: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (mut active, mut idle, mut since) = (Vec::new(), Vec::new(), times[0]);
    for pair in times.windows(2).filter(|pair| pair[1] - pair[0] > 5_000.0) {
        active.push(pair[0] - since);
        idle.push(pair[1] - pair[0]);
        since = pair[1];
    }
    active.push(times[times.len() - 1] - since);
    (active, idle)
}

/// Columns and what they must hold.
type Expected = Vec<(String, Option<f64>)>;

fn expect(expected: &mut Expected, names: &[String], values: Option<&[f64]>) {
    expected.extend(names.iter().enumerate().map(|(at, name)| (name.clone(), values.map(|values| values[at]))));
}

fn of_direction(prefix: &str, packets: &[Seen], side: &End) -> Expected {
    let mine: Vec<&Seen> = packets.iter().filter(|packet| packet.from == *side).collect();
    let payloads: Vec<f64> = mine.iter().map(|packet| packet.payload as f64).filter(|&payload| payload > 0.0).collect();
    let gaps = gaps(&mine.iter().map(|packet| packet.ms).collect::<Vec<_>>());
    let (burst_packets, burst_bytes): (Vec<f64>, Vec<f64>) = bursts(packets, side).into_iter().unzip();
    let names = |words: &[&str]| words.iter().map(|word| format!("{prefix}_{word}")).collect::<Vec<_>>();
    let mut expected = vec![
        (format!("{prefix}_payload_packets"), Some(payloads.len() as f64)),
        (format!("{prefix}_bursts"), Some(burst_packets.len() as f64)),
        (format!("{prefix}_burst_packets_mean"), spread(&burst_packets).map(|spread| spread[0])),
        (format!("{prefix}_burst_packets_max"), spread(&burst_packets).map(|spread| spread[3])),
        (format!("{prefix}_burst_bytes_mean"), spread(&burst_bytes).map(|spread| spread[0])),
        (format!("{prefix}_burst_bytes_max"), spread(&burst_bytes).map(|spread| spread[3])),
    ];
    for (at, flag) in ["ack", "urg", "ece", "cwr"].into_iter().enumerate() {
        let count = || mine.iter().filter(|packet| packet.flags.is_some_and(|flags| flags[at])).count() as f64;
        expected.push((format!("{prefix}_{flag}"), packets[0].flags.map(|_| count())));
    }
    let of_payload = names(&["payload_mean", "payload_std", "payload_min", "payload_max"]);
    expect(&mut expected, &of_payload, spread(&payloads).as_ref().map(<[f64; 4]>::as_slice));
    let of_gaps = names(&["iat_mean_ms", "iat_std_ms", "iat_min_ms", "iat_max_ms"]);
    expect(&mut expected, &of_gaps, spread(&gaps).as_ref().map(<[f64; 4]>::as_slice));
    let of_payload = names(&["payload_q1", "payload_median", "payload_q3"]);
    expect(&mut expected, &of_payload, quartiles(&payloads).as_ref().map(<[f64; 3]>::as_slice));
    let of_gaps = names(&["iat_q1_ms", "iat_median_ms", "iat_q3_ms"]);
    expect(&mut expected, &of_gaps, quartiles(&gaps).as_ref().map(<[f64; 3]>::as_slice));
    expected
}

fn of_flow(packets: &[Seen]) -> Expected {
    let times: Vec<f64> = packets.iter().map(|packet| packet.ms).collect();
    let (active, idle) = periods(&times);
    let mut expected = vec![("active_count".into(), Some(active.len() as f64)), ("idle_count".into(), Some(idle.len() as f64))];
    for (name, values) in [("iat", gaps(&times)), ("active", active), ("idle", idle)] {
        let names = ["mean_ms", "std_ms", "min_ms", "max_ms"].map(|word| format!("{name}_{word}"));
        expect(&mut expected, &names, spread(&values).as_ref().map(<[f64; 4]>::as_slice));
    }
    expected
}

fn is_near(found: Option<f64>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() <= 1e-6 * expected.abs().max(1.0),
        (found, expected) => found == expected,
    }
}

/// The ends of a flow: client and server.
fn ends(row: &Row) -> (End, End) {
    let end = |of: &str| (text(row, &format!("{of}_ip")).to_string(), number(row, &format!("{of}_port")) as u16);
    (end("client"), end("server"))
}

/// The rows of a capture with their packets, client and server; those that share their ends with another are left out.
fn flows_and_packets(capture: &Pcap, options: &[&str]) -> Vec<(Row, Vec<Seen>, End, End)> {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("capture.pcap");
    fs::write(&path, capture.bytes()).expect("a file");
    let rows = Tables::with(&[&path], options).rows("flows");
    let mut packets = packets_of(capture);
    let mut by_ends: HashMap<(End, End), Vec<Row>> = HashMap::new();
    for row in rows.into_iter().filter(|row| matches!(text(row, "protocol"), "tcp" | "udp")) {
        by_ends.entry(ends(&row)).or_default().push(row);
    }
    let alone = by_ends.into_iter().filter(|(_, rows)| rows.len() == 1).flat_map(|((client, server), rows)| {
        let key = if client < server { (client.clone(), server.clone()) } else { (server.clone(), client.clone()) };
        let packets = packets.remove(&key).expect("the ends have packets");
        rows.into_iter().zip([(packets, client, server)])
    });
    let found: Vec<_> = alone.map(|(row, (packets, client, server))| (row, packets, client, server)).collect();
    assert!(!found.is_empty(), "the capture has flows");
    found
}

#[track_caller]
fn assert_features_hold(capture: &Pcap, name: &str) {
    for (row, packets, client, server) in flows_and_packets(capture, &[]) {
        let of_directions = [("c2s", client), ("s2c", server)].into_iter().flat_map(|(prefix, side)| of_direction(prefix, &packets, &side));
        for (column, expected) in of_directions.chain(of_flow(&packets)) {
            assert!(
                is_near(row[&column].as_f64(), expected),
                "{name}, flow of packet {}: {column}: {} and not {expected:?}",
                row["first_packet"],
                row[&column]
            );
        }
    }
}

#[test]
fn features_of_the_samples_are_those_of_their_packets() {
    for name in ["reset.pcap", "reset-v6.pcap", "drop.pcap", "aborts.pcap", "split-hello.pcap", "closed-port.pcap"] {
        assert_features_hold(&Pcap::read(&sample(name)), name);
    }
}

/// A datagram between two ends, or back.
fn datagram(back: bool, payload: usize) -> Vec<u8> {
    let ends = [([192, 0, 2, 7], 40_000), ([198, 51, 100, 7], 3_478)];
    let ((source, from), (destination, to)) = if back { (ends[1], ends[0]) } else { (ends[0], ends[1]) };
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(source, destination, 64).udp(from, to);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, &vec![b'x'; payload]).expect("it fits a packet");
    bytes
}

/// Datagrams of any size both ways, in bursts and with pauses.
fn call(packets: usize, seed: u64) -> Pcap {
    let (mut chance, mut micros, mut back) = (Chance::seeded(seed), 1_700_000_000_000_000_u64, false);
    (0..packets).fold(Pcap::new(), |capture, _| {
        let capture = capture.packet(micros, &datagram(back, chance.below(1_400)));
        back ^= chance.below(3) == 0;
        micros += match chance.below(40) {
            0 => 5_000_001 + chance.next() % 30_000_000,
            1 => 999_990 + chance.next() % 20,
            _ => chance.next() % 200_000,
        };
        capture
    })
}

#[test]
fn bursts_pauses_and_quartiles_are_those_of_the_packets() {
    for (packets, seed) in [(1, 1), (2, 2), (3, 3), (40, 4), (400, 5), (256, 6)] {
        assert_features_hold(&call(packets, seed), &format!("{packets} datagrams"));
    }
}

#[test]
fn quartiles_of_a_long_flow_are_within_the_bound_and_all_else_is_exact() {
    let capture = call(3_000, 9);
    let (row, packets, client, _) = flows_and_packets(&capture, &[]).remove(0);
    let mut sketched = 0;
    for (column, expected) in of_direction("c2s", &packets, &client) {
        let Some(expected) = expected else {
            assert!(row[&column].is_null(), "{column}: a datagram has no flags");
            continue;
        };
        let found = row[&column].as_f64().expect("a number");
        let is_quartile = ["_q1", "_median", "_q3"].iter().any(|word| column.contains(word));
        let bound = if is_quartile { 0.032 } else { 1e-9 };
        assert!((found - expected).abs() <= bound * expected.max(1.0), "{column}: {found} for {expected}");
        sketched += usize::from(is_quartile && !is_near(Some(found), Some(expected)));
    }
    assert!(sketched > 0, "1,500 packets are not kept each");
}

// The page.

#[test]
fn the_page_of_features_names_columns_that_are_there_and_leaves_none_out() {
    let page = fs::read_to_string(root().join("docs/features.md")).expect("the page");
    let (_, flows) = table::tables().swap_remove(0);
    let declared: HashSet<&str> = flows.iter().map(|column| column.name).collect();
    // The second cell of a row says what it is here; what stands between backticks are names and arithmetic.
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let here = line.split('|').nth(2).expect("a second cell");
        let code = here.split('`').skip(1).step_by(2);
        let words = code.flat_map(|code| code.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'));
        let strange = words.filter(|word| word.starts_with(|letter: char| letter.is_ascii_alphabetic())).find(|word| !declared.contains(word));
        assert_eq!(strange, None, "no column has this name: {line}");
    }
    let features = FEATURES.iter().chain(TIMES).chain(SPLT).map(|column| column.name).filter(|name| !name.starts_with("s2c_"));
    let left_out: Vec<_> = features.filter(|name| !page.contains(&format!("{name}`")) && !page.contains(&format!("`{name} "))).collect();
    assert!(left_out.is_empty(), "not on the page: {left_out:?}");
}

// The first packets.

#[test]
fn the_first_packets_are_listed_where_asked_for() {
    let capture = Pcap::read(&sample("reset.pcap"));
    for most in [1, 4, 255] {
        for (row, packets, client, _) in flows_and_packets(&capture, &["--splt", &most.to_string()]) {
            let first: Vec<_> = packets.iter().filter(|packet| packet.payload > 0).take(most).collect();
            let signed = first.iter().map(|packet| packet.payload as i64 * if packet.from == client { 1 } else { -1 });
            assert_eq!(row["splt_payload"], signed.map(Value::from).collect::<Value>(), "--splt {most}");
            let times: Vec<f64> = row["splt_ms"].as_array().expect("a list").iter().map(|ms| ms.as_f64().expect("a number")).collect();
            assert_eq!(times.len(), first.len());
            assert!(times.iter().zip(&first).all(|(&found, packet)| is_near(Some(found), Some(packet.ms))), "--splt {most}: {times:?}");
        }
    }
}

#[test]
fn the_lists_change_nothing_else_and_have_their_place_in_run_json() {
    let (plain, asked) = (Tables::of(&[&sample("reset.pcap")]), Tables::with(&[&sample("reset.pcap")], &["--splt", "5"]));
    let without_lists = without(asked.rows("flows"), &["splt_payload", "splt_ms", "run_id"]);
    assert_same_rows(&without_lists, &without(plain.rows("flows"), &["run_id"]));
    assert!(asked.rows("flows").iter().any(|row| row["splt_payload"].as_array().is_some_and(|list| list.len() == 5)));
    let says = |tables: &Tables| -> Value { serde_json::from_slice(&fs::read(tables.folder.join("run.json")).expect("run.json")).expect("JSON") };
    assert_eq!((&says(&plain)["splt"], &says(&asked)["splt"]), (&Value::from(0), &Value::from(5)));
    assert_ne!(says(&plain)["run_id"], says(&asked)["run_id"], "settings that change the result change its name");
}

#[test]
fn a_number_that_is_no_number_of_packets_is_refused() {
    for number in ["0", "256", "-1", "many"] {
        let ran = run(analyze(&[&sample("reset.pcap")], std::path::Path::new("nowhere")).args(["--splt", number]));
        assert_eq!(ran.code, Some(2), "--splt {number}: {}", ran.err);
    }
}
