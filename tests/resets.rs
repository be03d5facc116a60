//! The table of resets against the packets themselves, read plainly.

mod common;

use std::collections::HashMap;
use std::fs;

use common::*;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};

/// The link type of a capture over Ethernet, in the first of its bytes (draft-ietf-opsawg-pcap, section 4).
const ETHERNET: u8 = 1;

/// What a reset says of itself.
#[derive(Debug, PartialEq)]
struct Plain {
    ttl: i64,
    window: i64,
    has_ack: bool,
    has_options: bool,
    payload: i64,
}

/// Every reset of a capture over Ethernet, by its number.
fn resets_of(capture: &Pcap) -> HashMap<i64, Plain> {
    let mut resets = HashMap::new();
    for number in 1..=capture.records.len() as i64 {
        let packet = SlicedPacket::from_ethernet(capture.frame(number)).expect("a frame");
        let ttl = match packet.net.as_ref() {
            Some(NetSlice::Ipv4(ip)) => ip.header().ttl(),
            Some(NetSlice::Ipv6(ip)) => ip.header().hop_limit(),
            _ => continue,
        };
        let Some(TransportSlice::Tcp(tcp)) = &packet.transport else { continue };
        if tcp.rst() {
            let plain = Plain {
                ttl: ttl.into(),
                window: tcp.window_size().into(),
                has_ack: tcp.ack(),
                has_options: !tcp.options().is_empty(),
                payload: tcp.payload().len() as i64,
            };
            resets.insert(number, plain);
        }
    }
    resets
}

#[test]
fn every_reset_of_the_samples_has_its_row() {
    let mut checked = 0;
    for entry in fs::read_dir(sample("")).expect("samples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "pcap") || fs::read(&path).expect("a sample")[20] != ETHERNET {
            continue;
        }
        let plain = resets_of(&Pcap::read(&path));
        let rows = Tables::of(&[&path]).rows("resets");
        let has: HashMap<i64, Plain> = rows.iter().map(|row| (number(row, "packet"), of_row(row))).collect();
        assert_eq!(has, plain, "{}", path.display());
        checked += plain.len();
    }
    assert!(checked > 400, "{checked} resets are a poor test");
}

fn of_row(row: &Row) -> Plain {
    Plain {
        ttl: number(row, "ttl"),
        window: number(row, "window"),
        has_ack: row["has_ack"] == true,
        has_options: row["has_options"] == true,
        payload: number(row, "payload_len"),
    }
}

#[test]
fn flows_tell_the_first_reset_that_came_from_the_far_side() {
    let tables = Tables::of(&[&sample("reset-race.pcap")]);
    let resets = tables.rows("resets");
    let mut told = 0;
    for flow in tables.rows("flows").iter().filter(|flow| !flow["rst_ms"].is_null()) {
        let first = resets.iter().find(|reset| reset["flow_id"] == flow["flow_id"] && reset["direction"] == "s2c").expect("a reset of the server's");
        for (of_flow, of_reset) in [("rst_ms", "after_start_ms"), ("rst_ttl", "ttl"), ("rst_window", "window"), ("rst_seq_offset", "seq_offset")] {
            assert_eq!(flow[of_flow], first[of_reset], "{of_flow}");
        }
        assert_eq!(flow["data_after_rst"], first["new_bytes_after"]);
        told += 1;
    }
    assert!(told > 0, "the sample holds resets");
}

#[test]
fn findings_of_contradictions_name_packets_of_both_senders() {
    let tables = Tables::of(&[&sample("reset-race.pcap")]);
    let resets = tables.rows("resets");
    let found = tables.rows("findings");
    let contradicted: Vec<_> =
        found.iter().filter(|row| row["items"].as_array().expect("a list").iter().any(|item| item == "data_after_rst")).collect();
    assert!(!contradicted.is_empty(), "the server's data loses the race");
    for finding in contradicted {
        let reset = resets.iter().find(|reset| reset["flow_id"] == finding["flow_id"] && !reset["data_after_ms"].is_null()).expect("its reset");
        let packets: Vec<i64> = finding["packets"].as_array().expect("a list").iter().map(|packet| packet.as_i64().expect("a number")).collect();
        let at = packets.iter().position(|packet| *packet == number(reset, "packet")).expect("the reset is named");
        assert!(packets[at + 1..].iter().any(|packet| *packet > packets[at]), "and what followed it: {packets:?}");
        assert_eq!(reset["data_seq_rst"], true);
    }
}
