//! Packets by hand for tests, and what the decoder finds in them.

use std::net::Ipv6Addr;

use super::*;
use crate::model::{FileId, Protocol};

pub const HERE: [u8; 4] = [192, 0, 2, 1];
pub const THERE: [u8; 4] = [198, 51, 100, 1];
pub const ROUTER: [u8; 4] = [203, 0, 113, 9];
pub const IPV4: u16 = 0x0800;
pub const IPV6: u16 = 0x86dd;
pub const ETHERNET: u16 = 1;
pub const RAW: u16 = 101;

// Packets by hand.

/// From port 50000 to 443.
pub fn tcp(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xc3, 0x50, 0x01, 0xbb];
    bytes.extend([0, 0, 0x10, 0, 0, 0, 0x20, 0]); // sequence number 4096, acknowledgement 8192
    bytes.extend([0x50, 0x18, 1, 0xf6, 0, 0, 0, 0]); // 20 bytes of header, PSH and ACK, window 502
    bytes.extend(payload);
    bytes
}

pub fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
}

pub fn ipv4_between(source: [u8; 4], destination: [u8; 4], protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + payload.len() as u16).to_be_bytes();
    let mut bytes = vec![0x45, 0, high, low, 0x12, 0x34, 0x40, 0, 57, protocol.0, 0, 0];
    bytes.extend([source, destination].as_flattened());
    bytes.extend(payload);
    bytes
}

pub fn ipv4(protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    ipv4_between(HERE, THERE, protocol, payload)
}

/// The datagram that most tests carry through layers: TCP, five bytes of payload.
pub fn hello() -> Vec<u8> {
    ipv4(Protocol::TCP, &tcp(b"hello"))
}

pub fn hello_v6() -> Vec<u8> {
    ipv6(6, &tcp(b"hello"))
}

pub fn here_v6() -> [u8; 16] {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets()
}

pub fn there_v6() -> [u8; 16] {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2).octets()
}

pub fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    let mut bytes = vec![0x60, 0, 0, 0, high, low, next_header, 55];
    bytes.extend([here_v6(), there_v6()].as_flattened());
    bytes.extend(payload);
    bytes
}

pub fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &ether_type.to_be_bytes(), payload].concat()
}

/// A VLAN tag and what it holds.
pub fn tagged(vlan: u16, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&vlan.to_be_bytes()[..], &ether_type.to_be_bytes(), payload].concat()
}

pub fn snap(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&[0xaa, 0xaa, 3, 0, 0, 0][..], &ether_type.to_be_bytes(), payload].concat()
}

// What is read.

/// Some bytes stand before the record in its round, so that a wrong offset shows.
pub const BEFORE: usize = 7;

pub fn record(link_type: u16, captured: usize, original: usize) -> Record {
    Record {
        time: Timestamp(5),
        clock: Timestamp(6),
        number: PacketNumber::new(FileId(0), 1),
        link_type,
        interface: 3,
        start: BEFORE as u32,
        captured: captured as u32,
        original: original as u32,
    }
}

/// All that is found in a frame of which the capture holds so many bytes.
pub fn read_all(link_type: u16, frame: &[u8], captured: usize) -> (Vec<Decoded>, Vec<u8>) {
    let round = [&[0xee; BEFORE][..], &frame[..captured], &[0xdd; 5]].concat();
    let mut all = Vec::new();
    decode(&record(link_type, captured, frame.len()), &round, |found| all.push(found));
    (all, round)
}

/// The one thing that is found.
#[track_caller]
pub fn read_cut(link_type: u16, frame: &[u8], captured: usize) -> (Decoded, Vec<u8>) {
    let (mut all, round) = read_all(link_type, frame, captured);
    assert_eq!(all.len(), 1, "one thing is found");
    (all.remove(0), round)
}

#[track_caller]
pub fn read(link_type: u16, frame: &[u8]) -> Decoded {
    read_cut(link_type, frame, frame.len()).0
}

#[track_caller]
pub fn packet(decoded: Decoded) -> Packet {
    match decoded {
        Decoded::Packet(packet) => packet,
        other => panic!("no packet but {}", word(&other)),
    }
}

pub fn word(decoded: &Decoded) -> &'static str {
    match decoded {
        Decoded::Packet(_) => "packet",
        Decoded::Quote(_) => "quote",
        Decoded::Fragment(_) => "fragment",
        Decoded::NotIp => "not IP",
        Decoded::Undecoded => "undecoded",
    }
}

pub fn key(from: ([u8; 4], u16), to: ([u8; 4], u16), protocol: Protocol) -> (FlowKey, Side) {
    FlowKey::new(protocol, 4, 3, (Address::v4(from.0), from.1), (Address::v4(to.0), to.1))
}

/// The packet of a frame, with its payload and the words of its tunnels.
#[track_caller]
pub fn found(link_type: u16, frame: &[u8]) -> (Packet, Vec<u8>, String) {
    let (decoded, round) = read_cut(link_type, frame, frame.len());
    let packet = packet(decoded);
    let payload = packet.payload.of(&round).to_vec();
    let words = packet.tunnel.to_string();
    (packet, payload, words)
}

/// Holds a frame around [`hello`] or [`hello_v6`] against what they say, and gives the packet.
#[track_caller]
pub fn assert_hello(link_type: u16, frame: &[u8], words: &str, what: &str) -> Packet {
    let (packet, payload, found_words) = found(link_type, frame);
    let (v4, v6) = (key((HERE, 50_000), (THERE, 443), Protocol::TCP).0, {
        FlowKey::new(Protocol::TCP, 6, 3, (Address::v6(here_v6()), 50_000), (Address::v6(there_v6()), 443)).0
    });
    let expected = if packet.key.ip_version == 4 { v4 } else { v6 };
    assert_eq!(FlowKey { tunnel: 0, ..packet.key }, expected, "{what}");
    let header = if packet.key.ip_version == 4 { (57, 45) } else { (55, 65) };
    assert_eq!((packet.ttl, packet.ip_bytes), header, "{what}: of the innermost IP header");
    assert_eq!((&payload[..], packet.payload_bytes), (&b"hello"[..], 5), "{what}");
    assert_eq!(found_words, words, "{what}");
    packet
}
