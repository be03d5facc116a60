//! What flows were for: names that packets show, and names that one flow tells of another.

mod common;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use common::*;
use etherparse::PacketBuilder;
use serde_json::{Value, json};

const CLIENT: [u8; 4] = [192, 0, 2, 10];
const OTHER_CLIENT: [u8; 4] = [192, 0, 2, 23];
const SERVER: [u8; 4] = [198, 51, 100, 10];
const RESOLVER: [u8; 4] = [203, 0, 113, 53];
const START: u64 = 1_700_000_000_000_000;

/// Packets one after the other, ten milliseconds apart.
struct Scene {
    pcap: Pcap,
    time: u64,
}

type End = ([u8; 4], u16);

impl Scene {
    fn new() -> Self {
        Self { pcap: Pcap::new(), time: START }
    }

    fn add(mut self, bytes: &[u8]) -> Self {
        self.pcap = self.pcap.packet(self.time, bytes);
        self.time += 10_000;
        self
    }

    fn wait(mut self, seconds: u64) -> Self {
        self.time += seconds * 1_000_000;
        self
    }

    fn udp(self, from: End, to: End, payload: &[u8]) -> Self {
        let mut bytes = Vec::new();
        let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(from.0, to.0, 64).udp(from.1, to.1);
        builder.write(&mut bytes, payload).expect("it fits a packet");
        self.add(&bytes)
    }

    /// A connection on which the two sides speak in turn, the client first: handshake, segments of what is said, both close.
    fn tcp(mut self, client: End, server: End, said: &[&[u8]]) -> Self {
        let mut next = [1_000_u32, 9_000];
        for (flags, from_client) in [("S", true), ("SA", false), ("A", true)] {
            self = self.segment(client, server, from_client, flags, &mut next, b"");
        }
        for (turn, bytes) in said.iter().enumerate() {
            for piece in bytes.chunks(1_400) {
                self = self.segment(client, server, turn % 2 == 0, "PA", &mut next, piece);
            }
        }
        for (flags, from_client) in [("FA", true), ("FA", false), ("A", true)] {
            self = self.segment(client, server, from_client, flags, &mut next, b"");
        }
        self
    }

    fn segment(self, client: End, server: End, from_client: bool, flags: &str, next: &mut [u32; 2], payload: &[u8]) -> Self {
        let (from, to, own, other) = if from_client { (client, server, 0, 1) } else { (server, client, 1, 0) };
        let ip = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(from.0, to.0, 64);
        let mut builder = ip.tcp(from.1, to.1, next[own], 64_240);
        for flag in flags.chars() {
            builder = match flag {
                'S' => builder.syn(),
                'F' => builder.fin(),
                'P' => builder.psh(),
                _ => builder.ack(next[other]),
            };
        }
        next[own] += payload.len() as u32 + u32::from(flags.contains(['S', 'F']));
        let mut bytes = Vec::new();
        builder.write(&mut bytes, payload).expect("it fits a packet");
        self.add(&bytes)
    }

    fn tables(&self) -> Tables {
        self.tables_with(&[])
    }

    fn tables_with(&self, options: &[&str]) -> Tables {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("scene.pcap");
        fs::write(&path, self.pcap.bytes()).expect("written");
        Tables::with(&[&path], options)
    }
}

fn flow_from(tables: &Tables, client_port: u16) -> Row {
    let mut flows = tables.rows("flows");
    flows.retain(|row| row["client_port"] == json!(client_port));
    assert_eq!(flows.len(), 1, "one flow from port {client_port}");
    flows.remove(0)
}

fn address(ip: [u8; 4]) -> String {
    IpAddr::V4(Ipv4Addr::from(ip)).to_string()
}

// Messages, written by hand.

fn block16(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// A name in DNS.
fn labels(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

const A: u16 = 1;
const HTTPS: u16 = 65;

fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    [&id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &labels(name), &kind.to_be_bytes(), &[0, 1]].concat()
}

/// A response with answers of the kind asked for.
fn response(id: u16, name: &str, kind: u16, rcode: u8, answers: &[Vec<u8>]) -> Vec<u8> {
    let head = [&id.to_be_bytes()[..], &[0x81, 0x80 | rcode, 0, 1, 0, answers.len() as u8, 0, 0, 0, 0]].concat();
    let records = answers.iter().flat_map(|data| [&[0xc0, 12][..], &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 60], &block16(data)].concat());
    [head, labels(name), kind.to_be_bytes().to_vec(), vec![0, 1]].concat().into_iter().chain(records).collect()
}

/// An HTTPS record with an ECH configuration (RFC 9460, RFC 9849 section 4).
fn https_with_ech(public_name: &str, config_id: u8) -> Vec<u8> {
    let key = [&[config_id, 0, 0x20][..], &block16(&[7; 32]), &block16(&[0, 1, 0, 1])].concat();
    let contents = [&key[..], &[0, public_name.len() as u8], public_name.as_bytes(), &block16(&[])].concat();
    let config = [&[0xfe, 0x0d][..], &block16(&contents)].concat();
    [&[0, 1, 0][..], &[0, 5], &block16(&block16(&config))].concat()
}

/// A ClientHello of TLS 1.3 in one record, with an ECH extension where an id is given.
fn hello(sni: &str, ech: Option<u8>) -> Vec<u8> {
    let extension = |kind: u16, content: &[u8]| [&kind.to_be_bytes()[..], &block16(content)].concat();
    let name = [&[0], &block16(sni.as_bytes())[..]].concat();
    let outer = |id: u8| [&[0, 0, 1, 0, 1, id][..], &block16(&[3; 32]), &block16(&[4; 144])].concat();
    let extensions = [
        extension(0, &block16(&name)),
        extension(16, &block16(b"\x02h2")),
        extension(43, &[2, 3, 4]),
        ech.map_or_else(Vec::new, |id| extension(0xfe0d, &outer(id))),
    ];
    let body = [&[3, 3][..], &[9; 32], &[0], &block16(&[0x13, 1]), &[1, 0], &block16(&extensions.concat())].concat();
    let message = [&[1], &(body.len() as u32).to_be_bytes()[1..], &body].concat();
    [&[22, 3, 1], &block16(&message)[..]].concat()
}

// DNS.

#[test]
fn an_answer_of_dns_names_what_its_client_does_then() {
    let noise = [b"WA\x06\x03\x00\x00\x24\x12\x22\x0a\x20", &[7; 32][..]].concat();
    let answer = response(7, "g.whatsapp.net", A, 0, &[SERVER.to_vec()]);
    let scene = Scene::new()
        .tcp((CLIENT, 50_001), (SERVER, 443), &[&noise, &[1; 60]])
        .udp((CLIENT, 40_000), (RESOLVER, 53), &query(7, "g.whatsapp.net", A))
        .udp((RESOLVER, 53), (CLIENT, 40_000), &answer)
        .tcp((CLIENT, 50_002), (SERVER, 443), &[&noise, &[1; 60]])
        .tcp((OTHER_CLIENT, 50_003), (SERVER, 443), &[&noise, &[1; 60]]);
    let tables = scene.tables();
    let told = |port: u16| ["host", "host_source", "service", "role", "app_protocol"].map(|column| flow_from(&tables, port)[column].clone());
    assert_eq!(told(50_002), ["g.whatsapp.net", "dns", "whatsapp", "chat", "wa_noise"].map(Value::from));
    for unaware in [50_001, 50_003] {
        assert_eq!(told(unaware), [Value::Null, "wire".into(), "whatsapp".into(), "chat".into(), "wa_noise".into()], "no answer came before it");
    }
}

#[test]
fn every_response_of_a_transaction_is_kept_apart() {
    let name = "www.youtube.com";
    let forged = response(9, name, A, 3, &[]);
    let genuine = response(9, name, A, 0, &[SERVER.to_vec(), [198, 51, 100, 20].to_vec()]);
    let scene = Scene::new()
        .udp((CLIENT, 40_000), (RESOLVER, 53), &query(9, "WWW.YouTube.com", A))
        .udp((RESOLVER, 53), (CLIENT, 40_000), &forged)
        .udp((RESOLVER, 53), (CLIENT, 40_000), &genuine)
        .udp((CLIENT, 40_001), (RESOLVER, 53), &query(10, "t.me", A))
        .wait(1)
        .udp((CLIENT, 40_001), (RESOLVER, 53), &query(10, "t.me", A))
        .udp((RESOLVER, 53), (OTHER_CLIENT, 40_002), &response(11, "viber.com", A, 0, &[SERVER.to_vec()]));
    let tables = scene.tables();
    let rows = tables.rows("dns");
    let [forgery, silence, headless] = &rows[..] else { panic!("three transactions: {rows:?}") };

    assert_eq!((text(forgery, "qname"), text(forgery, "qtype"), text(forgery, "rcode")), (name, "A", "NXDOMAIN"));
    assert_eq!((number(forgery, "response_count"), &forgery["conflicting"]), (2, &json!(true)));
    assert_eq!(forgery["responses"], json!(["NXDOMAIN", "NOERROR 198.51.100.10 198.51.100.20"]));
    assert_eq!((&forgery["packet"], &forgery["response_packets"]), (&json!(1), &json!([2, 3])));
    assert_eq!((&forgery["latency_ms"], &forgery["response_ms"]), (&json!(10.0), &json!([10.0, 20.0])));
    assert_eq!((text(forgery, "client_ip"), text(forgery, "resolver_ip")), (&*address(CLIENT), &*address(RESOLVER)));
    assert_eq!((text(forgery, "service"), text(forgery, "transport"), number(forgery, "id")), ("youtube", "udp", 9));

    assert_eq!((number(silence, "query_count"), number(silence, "response_count"), &silence["rcode"]), (2, 0, &Value::Null));
    assert_eq!((number(headless, "query_count"), &headless["latency_ms"], text(headless, "client_ip")), (0, &Value::Null, &*address(OTHER_CLIENT)));

    let flows = tables.rows("flows");
    assert!(rows.iter().all(|row| flows.iter().any(|flow| flow["flow_id"] == row["flow_id"])), "each leads to its flow");
    assert!(flows.iter().all(|flow| flow["app_protocol"] == json!("dns")));
}

#[test]
fn dns_over_tcp_is_read_as_well() {
    let framed = |message: &[u8]| block16(message);
    let asked = [framed(&query(1, "signal.org", A)), framed(&query(2, "signal.org", HTTPS))].concat();
    let answers = response(1, "signal.org", A, 0, &[SERVER.to_vec()]);
    let answered = [framed(&answers), framed(&response(2, "signal.org", HTTPS, 0, &[]))].concat();
    let tables = Scene::new().tcp((CLIENT, 41_000), (RESOLVER, 53), &[&asked, &answered]).tables();
    let rows = tables.rows("dns");
    let shown = |row: &Row| (text(row, "qtype").to_string(), text(row, "transport").to_string(), row["answers"].clone());
    assert_eq!(
        rows.iter().map(shown).collect::<Vec<_>>(),
        [("A".into(), "tcp".into(), json!([address(SERVER)])), ("HTTPS".into(), "tcp".into(), json!([]))]
    );
}

#[test]
fn dns_by_other_ways_is_recognised_and_makes_no_transaction() {
    let scene = Scene::new()
        .tcp((CLIENT, 50_001), (RESOLVER, 853), &[&hello("dns.example", None)])
        .tcp((CLIENT, 50_002), (RESOLVER, 443), &[&hello("dns.google", None)])
        .udp((CLIENT, 5_353), ([224, 0, 0, 251], 5_353), &query(0, "printer.local", A))
        .udp((CLIENT, 50_004), ([224, 0, 0, 252], 5_355), &query(9, "printer", A));
    let tables = scene.tables();
    let protocol = |port: u16| flow_from(&tables, port)["app_protocol"].clone();
    assert_eq!([50_001, 50_002, 5_353, 50_004].map(protocol), ["dot", "doh", "mdns", "llmnr"].map(Value::from));
    assert!(tables.rows("dns").is_empty());
}

// Encrypted ClientHello.

#[test]
fn ech_is_called_real_only_with_a_configuration_that_the_client_got() {
    let record = https_with_ech("cloudflare-ech.com", 42);
    let scene = Scene::new()
        .udp((CLIENT, 40_000), (RESOLVER, 53), &query(7, "hidden.example", HTTPS))
        .udp((RESOLVER, 53), (CLIENT, 40_000), &response(7, "hidden.example", HTTPS, 0, &[record]))
        .tcp((CLIENT, 50_001), (SERVER, 443), &[&hello("cloudflare-ech.com", Some(42))])
        .tcp((CLIENT, 50_002), (SERVER, 443), &[&hello("cloudflare-ech.com", Some(43))])
        .tcp((CLIENT, 50_003), (SERVER, 443), &[&hello("hidden.example", Some(42))])
        .tcp((OTHER_CLIENT, 50_004), (SERVER, 443), &[&hello("cloudflare-ech.com", Some(42))])
        .tcp((CLIENT, 50_005), (SERVER, 443), &[&hello("cloudflare-ech.com", None)]);
    let tables = scene.tables();
    let ech = |port: u16| flow_from(&tables, port)["ech"].clone();
    assert_eq!(ech(50_001), "real");
    assert_eq!(ech(50_002), "unknown", "another configuration");
    assert_eq!(ech(50_003), "grease", "who has the configuration would hide this name");
    assert_eq!(ech(50_004), "unknown", "this client was not told");
    assert_eq!(ech(50_005), "none");
}

// HTTP and what wraps a stream.

#[test]
fn http_shows_host_status_and_title() {
    let page = "<html><head><title>Access\n restricted</title></head></html>";
    let answer = format!("HTTP/1.1 451 No\r\nServer: box\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}", page.len());
    let redirect = b"HTTP/1.1 302 Found\r\nLocation: http://warning.example/\r\nContent-Length: 0\r\n\r\n";
    let request = b"GET / HTTP/1.1\r\nHost: Web.Telegram.org:80\r\n\r\n";
    let scene =
        Scene::new().tcp((CLIENT, 50_001), (SERVER, 80), &[request, answer.as_bytes()]).tcp((CLIENT, 50_002), (SERVER, 8_123), &[request, redirect]);
    let tables = scene.tables();
    let blocked = flow_from(&tables, 50_001);
    assert_eq!((text(&blocked, "http_host"), number(&blocked, "http_status")), ("Web.Telegram.org:80", 451));
    assert_eq!((text(&blocked, "http_server"), text(&blocked, "http_title")), ("box", "Access restricted"));
    assert_eq!((text(&blocked, "host"), text(&blocked, "host_source")), ("web.telegram.org", "http_host"));
    assert_eq!((text(&blocked, "service"), text(&blocked, "app_protocol")), ("telegram", "http"));
    let led = flow_from(&tables, 50_002);
    assert_eq!((number(&led, "http_status"), text(&led, "http_location")), (302, "http://warning.example/"));
}

#[test]
fn a_proxy_is_seen_through() {
    let inner = hello("chat.signal.org", None);
    let connect = [&b"CONNECT chat.signal.org:443 HTTP/1.1\r\nHost: chat.signal.org:443\r\n\r\n"[..]].concat();
    let socks_name = [&[5, 1, 0, 3, 12][..], b"mtalk.google", &[1, 187]].concat();
    let scene = Scene::new()
        .tcp((CLIENT, 50_001), (SERVER, 3_128), &[&connect, b"HTTP/1.1 200 Connection established\r\n\r\n", &inner])
        .tcp((CLIENT, 50_002), (SERVER, 3_128), &[&connect, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"])
        .tcp((CLIENT, 50_003), (SERVER, 1_080), &[&[5, 1, 0], &[5, 0], &socks_name, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0], &[200; 40]]);
    let tables = scene.tables();
    let named = |port: u16| ["host", "host_source", "sni"].map(|column| flow_from(&tables, port)[column].clone());
    assert_eq!(named(50_001), ["chat.signal.org", "tls_sni", "chat.signal.org"].map(Value::from));
    assert_eq!(named(50_002), ["chat.signal.org".into(), "http_host".into(), Value::Null]);
    assert_eq!(named(50_003), ["mtalk.google".into(), "wire".into(), Value::Null], "what SOCKS was asked for");
}

#[test]
fn a_dialogue_that_becomes_tls_shows_its_name() {
    let inner = hello("mail.example", None);
    let scene = Scene::new().tcp((CLIENT, 50_001), (SERVER, 25), &[b"EHLO me\r\nSTARTTLS\r\n", b"220 go ahead\r\n", &inner]);
    let flow = flow_from(&scene.tables(), 50_001);
    assert_eq!((text(&flow, "sni"), text(&flow, "app_protocol")), ("mail.example", "tls"));
}

// QUIC.

/// The client's and the server's first packet of RFC 9001 appendix A.
fn quic_packets() -> [Vec<u8>; 2] {
    let text = include_str!("data/rfc9001-appendix-a.hex");
    let mut packets = text.split("\n\n").map(|packet| {
        let digits: Vec<u8> = packet.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).expect("digits"), 16).expect("a byte")).collect()
    });
    [packets.next().expect("the client's"), packets.next().expect("the server's")]
}

/// A packet behind the handshake: the server's id, then what is encrypted.
fn short_header(id: &[u8], filler: u8) -> Vec<u8> {
    [&[0x41], id, &[filler; 60]].concat()
}

#[test]
fn quic_shows_its_name_and_a_connection_that_moves_keeps_it() {
    let [initial, answer] = quic_packets();
    let id = [0xf0, 0x67, 0xa5, 0x50, 0x2a, 0x42, 0x62, 0xb5];
    let server = (SERVER, 443);
    let scene = Scene::new()
        .udp((CLIENT, 50_001), server, &initial)
        .udp(server, (CLIENT, 50_001), &answer)
        .udp((CLIENT, 50_001), server, &short_header(&id, 1))
        .udp((CLIENT, 50_002), server, &short_header(&id, 2))
        .udp(server, (CLIENT, 50_002), &[&[0x41], &[9; 50][..]].concat())
        .udp((OTHER_CLIENT, 50_003), server, &short_header(&[1, 2, 3, 4, 5, 6, 7, 8], 3))
        .wait(100)
        .udp((CLIENT, 50_002), server, &short_header(&id, 4));
    let tables = scene.tables();
    let begun = flow_from(&tables, 50_001);
    assert_eq!((text(&begun, "sni"), text(&begun, "host_source"), text(&begun, "app_protocol")), ("example.com", "quic_sni", "quic"));
    assert_eq!((text(&begun, "quic_version"), text(&begun, "alpn"), text(&begun, "tls_version")), ("v1", "alpn", "TLS 1.3"));
    let mut moved = tables.rows("flows");
    moved.retain(|row| row["client_port"] == json!(50_002));
    moved.sort_by_key(|row| number(row, "first_packet"));
    let [first, second] = &moved[..] else { panic!("a timeout made two flows: {moved:?}") };
    assert_eq!((&first["continues"], text(first, "host")), (&begun["flow_id"], "example.com"));
    assert_eq!((&second["continues"], text(second, "host")), (&first["flow_id"], "example.com"));
    let foreign = flow_from(&tables, 50_003);
    assert_eq!((&foreign["continues"], &foreign["host"]), (&Value::Null, &Value::Null));
}

// The sample.

fn of_the_sample() -> Tables {
    Tables::of(&[&sample("names.pcap")])
}

/// What the client of each flow wanted, and the flow.
fn wanted(tables: &Tables) -> Vec<(Value, Row)> {
    const ENDS: [&str; 5] = ["protocol", "client_ip", "client_port", "server_ip", "server_port"];
    let truth = fs::read_to_string(sample("truth.jsonl")).expect("truth");
    let told = truth.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).filter(|told| told["file"] == "names.pcap");
    let flows = tables.rows("flows");
    let flow_of = |told: &Value| flows.iter().find(|flow| ENDS.iter().all(|end| flow[*end] == told[*end])).expect("it is in the capture").clone();
    told.map(|told| (told.clone(), flow_of(&told))).collect()
}

#[track_caller]
fn only(rows: Vec<Row>, has: impl Fn(&Row) -> bool) -> Row {
    let [row] = <[Row; 1]>::try_from(rows.into_iter().filter(has).collect::<Vec<_>>()).expect("one of them");
    row
}

#[test]
fn every_flow_of_the_sample_has_the_name_that_its_client_wanted() {
    let wanted = wanted(&of_the_sample());
    assert!(wanted.len() > 30, "the sample holds many");
    for (told, flow) in wanted.iter().filter(|(told, _)| told["kind"] != "dns") {
        let source = match told["kind"].as_str().expect("a word") {
            "wa_noise" | "unknown" | "stun" => "dns",
            "http" | "websocket" | "connect_noise" => "http_host",
            "connect" if flow["sni"].is_null() => "http_host",
            "socks_noise" => "wire",
            _ => "tls_sni",
        };
        let nobody_said = told["cause"].as_str().is_some_and(|cause| cause.ends_with("never asked for the name"));
        let expected = if nobody_said { (&Value::Null, "wire") } else { (&told["name"], source) };
        assert_eq!((&flow["host"], text(flow, "host_source")), expected, "{}", told["cause"]);
        assert!(nobody_said || flow["service"] == told["service"], "{}: {}", told["name"], flow["service"]);
    }
}

#[test]
fn an_answer_of_the_sample_is_told_whatever_way_it_went() {
    let tables = of_the_sample();
    let asked = |name: &str, kind: &str, transport: &str| {
        only(tables.rows("dns"), |row| (text(row, "qname"), text(row, "qtype"), text(row, "transport")) == (name, kind, transport))
    };
    let alias = asked("i.instagram.com", "A", "udp");
    assert_eq!((&alias["cnames"], &alias["answers"]), (&json!(["instagram.c10r.instagram.com", "edge7.example.net"]), &json!(["198.51.100.40"])));
    assert_eq!(text(&asked("no-such-name.example.org", "A", "udp"), "rcode"), "NXDOMAIN");
    let [cut, whole] = ["udp", "tcp"].map(|transport| asked("cdn.signal.org", "A", transport)["answers"].as_array().expect("a list").len());
    assert_eq!((cut, whole), (0, 40), "what was too large for a datagram came over TCP");
    let silence = asked("t.me", "A", "udp");
    assert_eq!((number(&silence, "query_count"), number(&silence, "response_count"), &silence["rcode"]), (3, 0, &Value::Null));
    let https = asked("chat.signal.org", "HTTPS", "udp");
    assert_eq!(https["answers"], json!(["1 . alpn=\"h2,http/1.1\" ipv4hint=198.51.100.10 ech=ech.example.net"]));
}

#[test]
fn the_forged_answer_of_the_sample_stands_beside_the_true_one_with_its_packet() {
    const IP_TTL: usize = 14 + 8; // behind Ethernet's header (RFC 791 section 3.1)
    let row = only(of_the_sample().rows("dns"), |row| row["conflicting"] == json!(true));
    assert_eq!((text(&row, "qname"), &row["answers"]), ("www.youtube.com", &json!(["203.0.113.99"])), "the first one counts");
    assert_eq!(row["responses"], json!(["NOERROR 203.0.113.99", "NOERROR 198.51.100.10 198.51.100.20"]));
    let capture = Pcap::read(&sample("names.pcap"));
    let packets = row["response_packets"].as_array().expect("a list").iter().map(|packet| packet.as_i64().expect("a number"));
    assert_eq!(packets.map(|packet| capture.frame(packet)[IP_TTL]).collect::<Vec<_>>(), [31, 54], "the forger sent with a TTL of its own");
}

#[test]
fn pages_of_the_sample_are_told_as_they_were_sent() {
    let tables = of_the_sample();
    let page = |status: i64| only(tables.rows("flows"), |flow| (&flow["server_port"], &flow["http_status"]) == (&json!(80), &json!(status)));
    assert_eq!((text(&page(200), "http_server"), text(&page(200), "http_title")), ("sample", "News of the day"));
    assert_eq!(text(&page(302), "http_location"), "https://web.telegram.org/k/");
    assert_eq!((text(&page(403), "http_server"), text(&page(403), "http_title")), ("filter", "Access to this page is restricted"));
    assert_eq!(text(&page(101), "app_protocol"), "websocket");
}

#[test]
fn hellos_and_a_certificate_of_the_sample_are_read() {
    let tables = of_the_sample();
    let to = |name: &str| only(tables.rows("flows"), |flow| flow["sni"] == json!(name));
    let mail = to("mail.example.org");
    assert_eq!((text(&mail, "tls_version"), text(&mail, "cert_subject")), ("TLS 1.2", "CN=mail.example.org"));
    assert_eq!(text(&mail, "cert_issuer"), "O=Lab trust, CN=Lab root");
    assert_eq!(mail["cert_sans"], json!(["mail.example.org", "*.mail.example.org", "imap.example.net"]));
    let media = to("rtc.example.net");
    assert_eq!((text(&media, "app_protocol"), text(&media, "tls_version")), ("dtls", "DTLS 1.2"));
    let retried = only(tables.rows("flows"), |flow| flow["hello_retried"] == json!(true));
    assert_eq!((text(&retried, "sni"), text(&retried, "tls_version"), number(&retried, "server_port")), ("web.telegram.org", "TLS 1.3", 443));
    assert_eq!(text(&to("chat.signal.org"), "http_host"), "chat.signal.org:443", "behind CONNECT");
}

// All of it.

#[test]
fn names_are_the_same_for_any_number_of_threads_and_any_rounds() {
    let mut scene = Scene::new();
    for turn in 0..40_u16 {
        let name = format!("host{}.whatsapp.net", turn % 7);
        let port = 50_000 + turn;
        let (server, id) = ([198, 51, 100, 1 + (turn % 5) as u8], 100 + turn);
        scene = scene
            .udp((CLIENT, 20_000 + turn), (RESOLVER, 53), &query(id, &name, A))
            .udp((RESOLVER, 53), (CLIENT, 20_000 + turn), &response(id, &name, A, 0, &[server.to_vec()]))
            .tcp((CLIENT, port), (server, 5_222), &[&[200; 90], &[1; 60]]);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("scene.pcap");
    fs::write(&path, scene.pcap.bytes()).expect("written");
    let run = |threads: &str, round: &str| Tables::with(&[&path], &["--threads", threads, "--round-bytes", round]).bytes();
    let tables = Tables::of(&[&path]);
    assert!(tables.rows("flows").iter().filter(|row| row["protocol"] == json!("tcp")).all(|row| row["host_source"] == json!("dns")));
    let first = run("1", "33554432");
    for (threads, round) in [("2", "4096"), ("7", "65536")] {
        for (name, bytes) in run(threads, round) {
            assert!(bytes == first[&name], "{name} differs with --threads {threads} --round-bytes {round}");
        }
    }
}

// What hides what it carries.

#[test]
fn a_vpn_is_named_only_where_that_is_asked_for() {
    let initiation = [&[1, 0, 0, 0][..], &[0x11, 0x22, 0x33, 0x44], &[0x5a; 140]].concat();
    let response = [&[2, 0, 0, 0][..], &[0x55, 0x66, 0x77, 0x88], &[0x11, 0x22, 0x33, 0x44], &[0xa5; 80]].concat();
    let scene = Scene::new().udp((CLIENT, 50_001), (SERVER, 4_500), &initiation).udp((SERVER, 4_500), (CLIENT, 50_001), &response);
    let shown = |options: &[&str]| {
        let flow = flow_from(&scene.tables_with(options), 50_001);
        (flow["app_protocol"].clone(), flow["service"].clone())
    };
    assert_eq!(shown(&[]), ("other_encrypted".into(), Value::Null));
    assert_eq!(shown(&["--label-circumvention"]), ("wireguard".into(), "wireguard".into()));
}

// Networks.

#[test]
fn a_table_of_networks_names_both_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = folder.path().join("asn.csv");
    fs::write(&table, "prefix,asn,name\n192.0.2.0/24,AS64500,Example Access\n198.51.100.0/24,64501,Example Hosting\n").expect("written");
    let scene = Scene::new().tcp((CLIENT, 50_001), (SERVER, 443), &[&hello("t.me", None)]);
    let flow = flow_from(&scene.tables_with(&["--asn-table", table.to_str().expect("a path")]), 50_001);
    assert_eq!((text(&flow, "client_network"), number(&flow, "server_asn")), ("AS64500 Example Access", 64_501));
    let piped = folder.path().join("piped");
    let capture = folder.path().join("scene.pcap");
    fs::write(&capture, scene.pcap.bytes()).expect("written");
    run_with_input(analyze(&[&capture], &piped).args(["--asn-table", "/dev/stdin"]), b"192.0.2.0/24 64500 A\n").whole();
    assert_eq!(text(&rows(&piped, "flows")[0], "client_network"), "AS64500 A", "a table may come through a pipe");
    let flow = flow_from(&scene.tables(), 50_001);
    assert_eq!((&flow["client_network"], &flow["server_asn"]), (&flow["source"], &Value::Null));
}
