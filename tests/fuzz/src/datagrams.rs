//! Datagrams and records written by hand.

use std::net::Ipv6Addr;

use tamperscope::capture::Record;
use tamperscope::model::{FileId, PacketNumber, Timestamp};

/// Raw IP (registry of link types).
pub const RAW: u16 = 101;

const IPV4_HERE: [u8; 4] = [192, 0, 2, 1];
const IPV4_THERE: [u8; 4] = [198, 51, 100, 1];
/// Next header of a fragment (RFC 8200 section 4.5).
const FRAGMENT: u8 = 44;
const MORE_FRAGMENTS_V4: u16 = 0x2000;

/// The record of a frame that stands in its round from `start` on.
pub fn record_of(link_type: u16, start: usize, captured: usize, original: usize, number: u64) -> Record {
    Record {
        time: Timestamp(0),
        clock: Timestamp(0),
        number: PacketNumber::new(FileId(0), number),
        link_type,
        interface: 0,
        start: start as u32,
        captured: captured as u32,
        original: original as u32,
    }
}

pub fn udp(ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    [[ports.0, ports.1, length, 0].map(u16::to_be_bytes).as_flattened(), payload].concat()
}

/// A piece of a datagram's payload from byte `from` on; the whole where it starts at 0 and no more follows.
pub fn ipv4_fragment(protocol: u8, piece: &[u8], from: usize, more: bool) -> Vec<u8> {
    let length = (20 + piece.len() as u16).to_be_bytes();
    let place = (if more { MORE_FRAGMENTS_V4 } else { 0 } | (from / 8) as u16).to_be_bytes();
    let mut bytes = vec![0x45, 0, length[0], length[1], 0x12, 0x34, place[0], place[1], 57, protocol, 0, 0];
    bytes.extend([IPV4_HERE, IPV4_THERE].as_flattened());
    bytes.extend(piece);
    bytes
}

/// The same; none of a fragment header where `from` is none.
pub fn ipv6_fragment(protocol: u8, piece: &[u8], from: Option<usize>, more: bool) -> Vec<u8> {
    let header = from.map(|from| {
        let place = ((from / 8 * 8) as u16 | u16::from(more)).to_be_bytes();
        [protocol, 0, place[0], place[1], 0, 0, 0, 9]
    });
    let payload = [header.as_slice().as_flattened(), piece].concat();
    let length = (payload.len() as u16).to_be_bytes();
    let ends = [1, 2].map(|last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).octets());
    let next = if header.is_some() { FRAGMENT } else { protocol };
    [&[0x60, 0, 0, 0, length[0], length[1], next, 55][..], ends.as_flattened(), &payload].concat()
}

/// What a TCP segment says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Tcp {
    pub ports: (u16, u16),
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
}

/// A segment between the two hosts, as raw IP.
pub fn tcp_packet(tcp: Tcp, back: bool, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let (ports, numbers) = ([tcp.ports.0, tcp.ports.1].map(u16::to_be_bytes), [tcp.seq, tcp.ack].map(u32::to_be_bytes));
    let rest = [0x50, tcp.flags, 1, 0xf6, tcp.seq as u8, payload.len() as u8, 0, 0]; // something that stands for a checksum
    let segment = [ports.as_flattened(), numbers.as_flattened(), &rest, payload];
    datagram(6, &segment.concat(), back, ttl)
}

/// A datagram between the two hosts, there or back.
pub fn datagram(protocol: u8, payload: &[u8], back: bool, ttl: u8) -> Vec<u8> {
    let mut bytes = ipv4_fragment(protocol, payload, 0, false);
    bytes[8] = ttl;
    if back {
        bytes[12..20].rotate_left(4);
    }
    bytes
}
