//! One datagram by hand for every tunnel, and for every UDP tunnel its twin: the same port, other bytes, an ordinary packet.

use super::super::testing::*;
use super::super::{Body, Decoded};
use crate::model::Protocol;

/// Addresses of the tunnel's ends.
const FROM: [u8; 4] = [203, 0, 113, 1];
const TO: [u8; 4] = [203, 0, 113, 2];

fn outer(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_between(FROM, TO, Protocol(protocol), payload)
}

fn outer_udp(port: u16, payload: &[u8]) -> Vec<u8> {
    outer(17, &udp(40_000, port, payload))
}

/// A tunnel around a datagram.
struct Case {
    what: &'static str,
    datagram: Vec<u8>,
    words: &'static str,
    /// The identifier that both directions share.
    id: Option<u32>,
}

fn case(what: &'static str, protocol: u8, header: &[u8], content: &[u8], words: &'static str) -> Case {
    Case { what, datagram: outer(protocol, &[header, content].concat()), words, id: None }
}

fn udp_case(what: &'static str, port: u16, header: &[u8], content: &[u8], words: &'static str) -> Case {
    Case { what, datagram: outer_udp(port, &[header, content].concat()), words, id: None }
}

impl Case {
    fn with_id(self, id: u32) -> Self {
        Self { id: Some(id), ..self }
    }
}

fn in_ip() -> Vec<Case> {
    let (v4, v6, frame) = (hello(), hello_v6(), ethernet(IPV4, &hello()));
    let wlan = [&[0x08, 0x02][..], &[0; 22], &snap(IPV4, &v4)].concat();
    vec![
        case("IPv4 in IPv4", 4, &[], &v4, "ipip"),
        case("IPv6 in IPv4", 41, &[], &v6, "6in4"),
        Case { what: "IPv4 in IPv6", datagram: ipv6(4, &v4), words: "4in6", id: None },
        Case { what: "IPv6 in IPv6", datagram: ipv6(41, &v6), words: "6in6", id: None },
        case("GRE", 47, &[0, 0, 8, 0], &v4, "gre"),
        case("GRE, IPv6", 47, &[0, 0, 0x86, 0xdd], &v6, "gre"),
        case("GRE, checksum, key, sequence", 47, &[0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 42, 0, 0, 0, 7], &v4, "gre:42").with_id(42),
        case("GRE, route", 47, &[0x40, 0, 8, 0, 0, 0, 0, 0, 8, 0, 0, 4, 9, 9, 9, 9, 0, 0, 0, 0], &v4, "gre"),
        case("GRE, Ethernet", 47, &[0, 0, 0x65, 0x58], &frame, "gre"),
        case("GRE, Ethernet with key", 47, &[0x20, 0, 0x65, 0x58, 0, 0, 0, 42], &frame, "gre:42").with_id(42),
        case("NVGRE", 47, &[0x20, 0, 0x65, 0x58, 0, 0x20, 1, 99], &frame, "gre:8193").with_id(8_193),
        case("GRE, MPLS", 47, &[0, 0, 0x88, 0x47, 0, 1, 1, 64], &v4, "gre/mpls"),
        case("GRE, Cisco metadata", 47, &[0, 0, 0x89, 9, 1, 1, 0, 1, 0, 2, 8, 0], &v4, "gre"),
        case("ERSPAN I", 47, &[0, 0, 0x88, 0xbe], &frame, "erspan"),
        case("ERSPAN II", 47, &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 1, 0, 0, 0, 0], &frame, "erspan"),
        case("ERSPAN III", 47, &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], &frame, "erspan"),
        case(
            "ERSPAN III, long",
            47,
            &[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1][..], &[0; 8]].concat(),
            &frame,
            "erspan",
        ),
        case("WCCP", 47, &[0, 0, 0x88, 0x3e], &v4, "gre"),
        case("WCCP with a header", 47, &[0, 0, 0x88, 0x3e, 0, 0, 0, 0], &v4, "gre"),
        case("GRE, 802.11", 47, &[0, 0, 0x82, 0x40], &wlan, "gre"),
        case("PPTP", 47, &[0x30, 0x81, 0x88, 0x0b, 0, 49, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 3, 0, 0x21], &v4, "pptp"),
        case("PIM register", 103, &[0x21, 0, 0, 0, 0, 0, 0, 0], &v4, "pim"),
    ]
}

/// UDP tunnels: their port first, so that the twin can be made.
fn in_udp() -> Vec<(u16, Case)> {
    let (v4, v6, frame) = (hello(), hello_v6(), ethernet(IPV4, &hello()));
    let swapped = [&[0x02, 0x08][..], &[0; 20], &[0x01, 0x10], &snap(IPV4, &v4)].concat();
    let teredo = teredo_v6();
    let ayiya = [&[0x41, 0x52, 0x11, 41, 0, 0, 0, 0][..], &[7; 36]].concat();
    let cases = [
        (2_152, "GTP-U", vec![0x30, 255, 0, 45, 0, 0, 0, 9], &v4, "gtp-u", None),
        (2_152, "GTP-U, sequence", vec![0x32, 255, 0, 49, 0, 0, 0, 9, 0, 1, 0, 0], &v4, "gtp-u", None),
        (2_152, "GTP-U, extension", vec![0x34, 255, 0, 53, 0, 0, 0, 9, 0, 0, 0, 0x85, 1, 0, 9, 0], &v4, "gtp-u", None),
        (3_386, "GTP version 0", [&[0x1e, 255, 0, 45][..], &[0; 16]].concat(), &v4, "gtp-u", None),
        (4_789, "VXLAN", vec![8, 0, 0, 0, 0, 0, 42, 0], &frame, "vxlan:42", Some(42)),
        (8_472, "VXLAN of Linux", vec![8, 0, 0, 0, 0, 1, 0, 0], &frame, "vxlan:256", Some(256)),
        (4_789, "VXLAN, policy", vec![0x88, 8, 0, 5, 0, 0, 42, 0], &frame, "vxlan:42", Some(42)),
        (4_790, "VXLAN-GPE", vec![0x0c, 0, 0, 1, 0, 0, 42, 0], &v4, "vxlan-gpe:42", Some(42)),
        (4_790, "VXLAN-GPE, Ethernet", vec![0x0c, 0, 0, 3, 0, 0, 42, 0], &frame, "vxlan-gpe:42", Some(42)),
        (6_081, "Geneve", vec![1, 0, 0x65, 0x58, 0, 0, 42, 0, 0, 0, 0, 0], &frame, "geneve:42", Some(42)),
        (6_081, "Geneve, IP", vec![0, 0, 8, 0, 0, 0, 42, 0], &v4, "geneve:42", Some(42)),
        (3_544, "Teredo", vec![], &teredo, "teredo", None),
        (3_544, "Teredo, authentication, origin", [&[0, 1, 0, 2][..], &[9; 11], &[0, 0, 1, 2, 3, 4, 5, 6]].concat(), &teredo, "teredo", None),
        (5_072, "AYIYA", ayiya, &v6, "ayiya", None),
        (1_701, "L2TP", vec![0, 2, 0, 1, 0, 2, 0xff, 3, 0, 0x21], &v4, "l2tp", None),
        (1_701, "L2TP, all fields", vec![0x4a, 2, 0, 63, 0, 1, 0, 2, 0, 3, 0, 4, 0, 2, 9, 9, 0, 0x21], &v4, "l2tp", None),
        (5_247, "CAPWAP", vec![0, 0x10, 0x42, 0, 0, 0, 0, 0], &frame, "capwap", None),
        (5_247, "CAPWAP, 802.11, swapped", vec![0, 0x10, 0x43, 0, 0, 0, 0, 0], &swapped, "capwap", None),
        (4_341, "LISP", vec![0xc0, 1, 2, 3, 0, 0, 0, 1], &v4, "lisp", None),
        (6_635, "MPLS in UDP", vec![0, 1, 1, 64], &v4, "mpls-in-udp", None),
        (37_008, "TZSP", vec![1, 0, 0, 1, 0, 10, 1, 9, 1], &frame, "tzsp", None),
    ];
    let case = |(port, what, header, content, words, id): (u16, &'static str, Vec<u8>, &Vec<u8>, &'static str, Option<u32>)| {
        (port, Case { id, ..udp_case(what, port, &header, content, words) })
    };
    cases.into_iter().map(case).collect()
}

/// The ends of Teredo are in its prefix or link-local.
fn teredo_v6() -> Vec<u8> {
    let mut datagram = hello_v6();
    datagram[8..12].copy_from_slice(&[0x20, 1, 0, 0]);
    datagram
}

/// For properties: every tunnel that is read.
pub fn frames() -> Vec<(u16, Vec<u8>)> {
    in_ip().into_iter().chain(in_udp().into_iter().map(|(_, case)| case)).map(|case| (RAW, case.datagram)).collect()
}

#[track_caller]
fn assert_inside(case: &Case) {
    let (packet, payload, words) = found(RAW, &case.datagram);
    if case.words == "teredo" {
        assert_eq!((&payload[..], &words[..], packet.ttl), (&b"hello"[..], "teredo", 55), "{}", case.what);
        return;
    }
    let packet = assert_hello(RAW, &case.datagram, case.words, case.what);
    assert_eq!(packet.key.tunnel != 0, case.id.is_some(), "{}: identifiers are in the key", case.what);
}

#[test]
fn tunnels_in_ip_give_the_inner_packet() {
    in_ip().iter().for_each(assert_inside);
}

#[test]
fn tunnels_in_udp_give_the_inner_packet() {
    in_udp().iter().for_each(|(_, case)| assert_inside(case));
}

#[test]
fn the_answer_comes_from_the_port_of_the_tunnel() {
    for (port, case) in in_udp() {
        let payload = &case.datagram[28..];
        let answer = outer(17, &udp(port, 40_000, payload));
        assert_eq!(found(RAW, &answer).2, case.words, "{}", case.what);
    }
}

/// An ordinary packet between the ends of what might have been a tunnel.
#[track_caller]
fn assert_outer(datagram: &[u8], protocol: Protocol, ports: (u16, u16), what: &str) {
    let (packet, _, words) = found(RAW, datagram);
    assert_eq!(packet.key, key((FROM, ports.0), (TO, ports.1), protocol).0, "{what}");
    assert_eq!((words.as_str(), packet.ip_bytes as usize), ("", datagram.len()), "{what}");
    assert_eq!(packet.body == Body::Udp, protocol == Protocol::UDP, "{what}");
}

#[test]
fn the_port_of_a_tunnel_proves_nothing() {
    let query = [&[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3][..], b"www", &[7], b"example", &[3], b"org", &[0, 0, 1, 0, 1]].concat();
    let quic = [&[0xc3, 0, 0, 0, 1, 8][..], &[0x45; 60]].concat();
    for (port, _) in in_udp() {
        for content in [&query[..], &quic, &[], &[0; 80], &[0x45; 80], &hello()] {
            assert_outer(&outer_udp(port, content), Protocol::UDP, (40_000, port), &format!("port {port}"));
        }
    }
}

#[test]
fn a_header_of_a_tunnel_without_plausible_ip_is_an_ordinary_packet() {
    for (port, case) in in_udp() {
        let begins = |window: &[u8]| matches!(window, [0x45, 0, 0, 45] | [0x60, 0, 0, 0]);
        let content = 28 + case.datagram[28..].windows(4).position(begins).expect("an inner header");
        for (what, at, value) in [("version", content, 0x75), ("length", content + 3, 0xff), ("length", content + 5, 0xff)] {
            let mut datagram = case.datagram.clone();
            datagram[at] = value;
            let is_v4 = case.datagram[content] == 0x45;
            if (at == content + 3 && !is_v4) || (at == content + 5 && is_v4) {
                continue; // bytes that are no length there
            }
            assert_outer(&datagram, Protocol::UDP, (40_000, port), &format!("{}: {what}", case.what));
        }
    }
}

#[test]
fn every_fixed_field_has_to_be_right() {
    let (v4, frame) = (hello(), ethernet(IPV4, &hello()));
    let twins: &[(u16, &str, &[u8], &[u8])] = &[
        (2_152, "an echo of GTP", &[0x30, 1, 0, 45, 0, 0, 0, 9], &v4),
        (2_152, "another length of GTP", &[0x30, 255, 0, 44, 0, 0, 0, 9], &v4),
        (2_152, "GTP'", &[0x20, 255, 0, 45, 0, 0, 0, 9], &v4),
        (2_152, "GTP, spare bit", &[0x38, 255, 0, 49, 0, 0, 0, 9, 0, 0, 0, 0], &v4),
        (2_152, "GTP, extension of length 0", &[0x34, 255, 0, 53, 0, 0, 0, 9, 0, 0, 0, 0x85, 0, 0, 9, 0], &v4),
        (4_789, "VXLAN without network", &[0, 0, 0, 0, 0, 0, 42, 0], &frame),
        (4_789, "VXLAN, reserved byte", &[8, 0, 0, 0, 0, 0, 42, 1], &frame),
        (4_789, "VXLAN, reserved bytes", &[8, 0, 1, 0, 0, 0, 42, 0], &frame),
        (4_790, "VXLAN-GPE, another version", &[0x1c, 0, 0, 1, 0, 0, 42, 0], &v4),
        (4_790, "VXLAN-GPE, unknown protocol", &[0x0c, 0, 0, 99, 0, 0, 42, 0], &v4),
        (6_081, "Geneve, version 1", &[0x40, 0, 8, 0, 0, 0, 42, 0], &v4),
        (6_081, "Geneve, control", &[0, 0x80, 8, 0, 0, 0, 42, 0], &v4),
        (6_081, "Geneve, reserved byte", &[0, 0, 8, 0, 0, 0, 42, 1], &v4),
        (5_072, "AYIYA, heartbeat", &[&[0x41, 0x52, 0x10, 41, 0, 0, 0, 0][..], &[7; 36]].concat(), &hello_v6()),
        (1_701, "L2TP, control", &[0x80, 2, 0, 1, 0, 2, 0, 0x21], &v4),
        (1_701, "L2TP, version 3", &[0, 3, 0, 1, 0, 2, 0, 0x21], &v4),
        (1_701, "L2TP, another length", &[0x40, 2, 0, 60, 0, 1, 0, 2, 0, 0x21], &v4),
        (5_247, "CAPWAP, keep-alive", &[0, 0x10, 0x42, 8, 0, 0, 0, 0], &frame),
        (5_247, "CAPWAP, fragment", &[0, 0x10, 0x42, 0x80, 0, 1, 0, 0], &frame),
        (5_247, "CAPWAP, encrypted", &[1, 0x10, 0x42, 0, 0, 0, 0, 0], &frame),
        (4_341, "LISP, encrypted", &[0xc1, 1, 2, 3, 0, 0, 0, 1], &v4),
        (4_341, "LISP, bytes behind", &[0xc0, 1, 2, 3, 0, 0, 0, 1], &[&v4[..], &[0]].concat()),
        (3_544, "IPv6 of others", &[], &hello_v6()),
        (37_008, "TZSP, version 2", &[2, 0, 0, 1, 1], &frame),
        (37_008, "TZSP, no end of tags", &[1, 0, 0, 1, 10, 1, 9], &frame),
    ];
    for (port, what, header, content) in twins {
        assert_outer(&outer_udp(*port, &[*header, *content].concat()), Protocol::UDP, (40_000, *port), what);
    }
}

#[test]
fn a_tunnel_without_ip_inside_is_a_packet_of_its_ends() {
    let arp = ethernet(0x0806, &[0; 28]);
    assert_outer(&outer_udp(6_081, &[&[0, 0, 0x65, 0x58, 0, 0, 42, 0], &arp[..]].concat()), Protocol::UDP, (40_000, 6_081), "ARP in Geneve");
    let others: &[(u8, &str, &[u8])] = &[
        (47, "a keep-alive of GRE", &[0x20, 0, 0, 0, 0, 0, 0, 40]),
        (47, "NHRP", &[&[0, 0, 0x20, 1][..], &[1; 60]].concat()),
        (47, "an acknowledgement of PPTP", &[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 7, 0, 0, 0, 1]),
        (47, "GRE version 5", &[&[0, 5, 8, 0][..], &hello()].concat()),
        (103, "a hello of PIM", &[0x20, 0, 0, 0, 0, 1, 0, 2]),
        (103, "a null register", &[&[0x21, 0, 0, 0, 0x40, 0, 0, 0][..], &hello()].concat()),
        (4, "IPv6 where IPv4 should be", &hello_v6()),
        (41, "IPv4 where IPv6 should be", &hello()),
        (4, "nothing", &[]),
        (50, "ESP", &hello()),
    ];
    for (protocol, what, payload) in others {
        assert_outer(&outer(*protocol, payload), Protocol(*protocol), (0, 0), what);
    }
}

// Keys.

#[test]
fn networks_with_the_same_addresses_stay_apart() {
    let vxlan = |network: u8| packet(read(RAW, &outer_udp(4_789, &[&[8, 0, 0, 0, 0, 0, network, 0], &ethernet(IPV4, &hello())[..]].concat())));
    let bare = packet(read(RAW, &hello()));
    assert_eq!(vxlan(1).key, vxlan(1).key);
    assert!(vxlan(0).key != vxlan(1).key && vxlan(0).key != bare.key && vxlan(1).hash != vxlan(0).hash);
}

#[test]
fn what_differs_by_direction_is_no_part_of_the_key() {
    let gtp = |id: u8| packet(read(RAW, &outer_udp(2_152, &[&[0x30, 255, 0, 45, 0, 0, 0, id], &hello()[..]].concat())));
    assert_eq!(gtp(1).key, gtp(2).key);
    assert_eq!(gtp(1).key, packet(read(RAW, &hello())).key);
    let nvgre = |flow: u8| packet(read(RAW, &outer(47, &[&[0x20, 0, 0x65, 0x58, 0, 0x20, 1, flow], &ethernet(IPV4, &hello())[..]].concat())));
    assert_eq!(nvgre(1).key, nvgre(2).key);
}

// Tunnels in tunnels.

#[test]
fn tunnels_in_tunnels_are_named_from_the_outside_in() {
    let vxlan = outer_udp(4_789, &[&[8, 0, 0, 0, 0, 0, 42, 0], &ethernet(IPV4, &hello())[..]].concat());
    let gre = outer(47, &[&[0, 0, 8, 0], &vxlan[..]].concat());
    let frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 9, 0x88, 0x47, 0, 1, 1, 64][..], &gre].concat();
    let packet = assert_hello(ETHERNET, &frame, "mpls/gre/vxlan:42", "three tunnels");
    assert_eq!(packet.vlan, Some(9));
}

#[test]
fn more_tunnels_than_anyone_builds_are_not_followed() {
    let nested = |count: usize| (0..count).fold(hello(), |inner, _| outer(4, &inner));
    assert_hello(RAW, &nested(8), &["ipip"; 8].join("/"), "eight");
    let (ninth, _, words) = found(RAW, &nested(9));
    assert_eq!((words, ninth.key.protocol), (["ipip"; 8].join("/"), Protocol(4)), "the innermost that was reached");
}

#[test]
fn an_icmp_error_in_a_tunnel_is_noted_at_the_flow_in_the_same_tunnel() {
    let header = [8, 0, 0, 0, 0, 0, 42, 0];
    let inside = |datagram: &[u8]| outer_udp(4_789, &[&header[..], &ethernet(IPV4, datagram)].concat());
    let error = ipv4_between(ROUTER, HERE, Protocol::ICMP, &[&[3, 1, 0, 0, 0, 0, 0, 0][..], &hello()].concat());
    let frame = inside(&error);
    let (all, _) = read_all(RAW, &frame, frame.len());
    assert_eq!(all.iter().map(word).collect::<Vec<_>>(), ["packet", "quote"]);
    let flow = packet(read(RAW, &inside(&hello())));
    let [_, Decoded::Quote(quote)] = &all[..] else { panic!("a quote") };
    assert_eq!((quote.key, quote.hash), (flow.key, flow.hash));
}

#[test]
fn a_snapped_tunnel_still_gives_its_packet() {
    let datagram = outer_udp(2_152, &[&[0x30, 255, 0, 45, 0, 0, 0, 9], &hello()[..]].concat());
    let (decoded, round) = read_cut(RAW, &datagram, datagram.len() - 3);
    let snapped = packet(decoded);
    assert_eq!((snapped.payload.of(&round), snapped.payload_bytes), (&b"he"[..], 5));
}
