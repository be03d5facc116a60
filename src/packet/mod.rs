//! Packets from raw records.
//! In:  one record: its bytes in the round, its link type, time and number.
//! Out: a [`Packet`] with the flow key of its innermost addresses, or the reason why the record is none.
//! Promises: no state, so that records can be decoded on any core in any order; no payload is copied; whatever the bytes say, no panic.
//! Fragments are the exception: [`Fragments`] keeps them, in the order of the capture, until their datagram is whole.
//! Not here: what belongs together (`flow`), what the payload says (`app`).

mod checksum;
mod fragments;
mod icmp;
mod ip;
mod link;
mod tcp;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub mod trace;
mod tunnel;
mod view;
mod walk;

pub use fragments::{Fragment, Fragments, Whole};
pub use icmp::IcmpError;
pub use tcp::{SackBlock, Segment, SynOptions, TcpFlags, TcpOptions, Timestamps};

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::capture::Record;
use crate::model::{Address, FlowKey, PacketNumber, Protocol, Side, Timestamp, TunnelPath};
use view::View;
use walk::{Found, Layer, Outer, Walk};

/// One packet, small and without borrows: its payload stays in the round at `payload`.
#[derive(Clone, Debug)]
pub struct Packet {
    pub key: FlowKey,
    /// Hash of the key, computed once, here, where all cores work.
    pub hash: u64,
    pub sender: Side,
    pub time: Timestamp,
    /// The source's trace clock, on which timeouts count.
    pub clock: Timestamp,
    pub number: PacketNumber,
    pub ttl: u8,
    pub dont_fragment: bool,
    pub ip_id: u16,
    pub vlan: Option<u16>,
    /// The tunnels around the packet.
    pub tunnel: TunnelPath,
    /// Bytes of the IP packet on the wire, headers included.
    pub ip_bytes: u32,
    /// Bytes of transport payload on the wire; the capture may hold fewer.
    pub payload_bytes: u32,
    pub payload: PayloadRange,
    /// Stands for the bytes of transport header and payload, so that copies of a packet can be told from others.
    pub digest: u32,
    pub body: Body,
}

/// Packets are moved to their shards: they stay within three cache lines.
const _: () = assert!(std::mem::size_of::<Packet>() <= 168);

/// Where the captured part of the payload stands in the bytes of the round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadRange {
    pub start: u32,
    pub captured: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Tcp(Segment),
    Udp,
    Icmp,
    Other,
    /// Not a packet of this flow: an ICMP error elsewhere quotes one that `sender` sent.
    Quoted(IcmpError),
}

/// What was found in a record.
pub enum Decoded {
    Packet(Packet),
    /// Behind the packet of an ICMP error: the note for the flow that it quotes. It is no packet itself.
    Quote(Packet),
    /// A fragment of an IP datagram; it belongs to no flow by itself.
    Fragment(Fragment),
    /// Not IP at all, ARP for example.
    NotIp,
    /// Too short, encrypted below IP, or of a link type that is not read.
    Undecoded,
}

impl PayloadRange {
    /// The captured payload, given the bytes of the round.
    pub fn of(self, round: &[u8]) -> &[u8] {
        round.get(self.start as usize..(self.start as usize).saturating_add(self.captured as usize)).unwrap_or_default()
    }
}

/// Decodes one record of a round. What is found goes to `give`: one packet as a rule, more only where a frame of 802.11 holds several.
pub fn decode(record: &Record, round: &[u8], give: impl FnMut(Decoded)) {
    decode_record(record, round, false, give);
}

/// Decodes a record that stands beside a damaged place of its file: what no checksum proves is not decoded.
pub fn decode_doubtful(record: &Record, round: &[u8], give: impl FnMut(Decoded)) {
    decode_record(record, round, true, give);
}

#[inline]
fn decode_record(record: &Record, round: &[u8], doubtful: bool, mut give: impl FnMut(Decoded)) {
    let bytes = PayloadRange { start: record.start, captured: record.captured }.of(round);
    let view = View::new(bytes, record.start, record.original);
    match (Walk { record, doubtful, give: &mut give }).layers(Layer::Link(record.link_type), view, Outer::default()) {
        Found::Given => {}
        Found::NotIp => give(Decoded::NotIp),
        Found::Undecoded => give(Decoded::Undecoded),
    }
}

/// Decodes a datagram that was put together from fragments, from its IP header on; it counts as the record that completed it.
pub fn decode_whole(whole: &Whole, round: &[u8], mut give: impl FnMut(Decoded)) {
    let view = View::new(whole.datagram.of(round), whole.datagram.start, whole.on_wire);
    match (Walk { record: &whole.record, doubtful: false, give: &mut give }).ip(view, whole.outer) {
        Found::Given => {}
        Found::NotIp => give(Decoded::NotIp),
        Found::Undecoded => give(Decoded::Undecoded),
    }
}

/// The same for both directions and in every run.
pub fn hash(key: &FlowKey) -> u64 {
    FixedState::with_seed(0).hash_one(key)
}

/// Bytes of a datagram that its digest covers: enough to reach what differs behind the header of any protocol.
const DIGEST_BYTES: usize = 64;

/// Of TCP its checksum, which covers options and payload, and the urgent pointer (RFC 9293 section 3.1); of others their first bytes.
fn digest(protocol: Protocol, bytes: &[u8]) -> u32 {
    match (protocol, bytes.get(16..20)) {
        (Protocol::TCP, Some(&[a, b, c, d])) => u32::from_be_bytes([a, b, c, d]),
        _ => FixedState::with_seed(0).hash_one(bytes.get(..DIGEST_BYTES).unwrap_or(bytes)) as u32,
    }
}

/// An address and a port.
type Endpoint = (Address, u16);
