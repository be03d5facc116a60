//! Packets from raw records.
//! In:  one record: its bytes in the round, its link type, time and number.
//! Out: a [`Packet`] with its flow key, or the reason why the record is none.
//! Promises: no state, so that records can be decoded on any core in any order; no payload is copied; whatever the bytes say, no panic.
//! Not here: what belongs together (`flow`), what the payload says (`app`).

mod icmp;
mod ip;
mod link;
mod tcp;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub mod trace;

pub use icmp::IcmpError;
pub use tcp::{Segment, TcpFlags};

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::capture::Record;
use crate::model::{Address, FlowKey, PacketNumber, Protocol, Side, Timestamp};
use ip::{Datagram, Whole};

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
    /// Bytes of the IP packet on the wire, headers included.
    pub ip_bytes: u32,
    /// Bytes of transport payload on the wire; the capture may hold fewer.
    pub payload_bytes: u32,
    pub payload: PayloadRange,
    /// Stands for the bytes of transport header and payload, so that copies of a packet can be told from others.
    pub digest: u32,
    pub body: Body,
}

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

/// What became of a record.
pub enum Decoded {
    Packet(Packet),
    /// An ICMP error, and the note for the flow that it quotes.
    PacketAndQuote(Packet, Packet),
    /// A fragment of an IP datagram; it belongs to no flow by itself.
    Fragment,
    /// Not IP at all, ARP for example.
    NotIp,
    /// Too short, or of a link type that is not read.
    Undecoded,
}

impl PayloadRange {
    /// The captured payload, given the bytes of the round.
    pub fn of(self, round: &[u8]) -> &[u8] {
        round.get(self.start as usize..(self.start as usize).saturating_add(self.captured as usize)).unwrap_or_default()
    }
}

/// Decodes one record of a round.
pub fn decode(record: &Record, round: &[u8]) -> Decoded {
    let frame = PayloadRange { start: record.start, captured: record.captured };
    let bytes = frame.of(round);
    let Some(network) = link::network(record.link_type, bytes) else { return Decoded::Undecoded };
    if !network.is_ip {
        return Decoded::NotIp;
    }
    let header_bytes = (bytes.len() - network.bytes.len()) as u32;
    let on_wire = record.original.max(record.captured).saturating_sub(header_bytes);
    let Some(datagram) = ip::datagram(network.bytes, on_wire) else { return Decoded::Undecoded };
    if datagram.whole == Whole::Fragment {
        return Decoded::Fragment;
    }
    let payload_start = record.start + header_bytes + datagram.header_bytes;
    transport(record, &datagram, network.vlan, payload_start)
}

fn transport(record: &Record, datagram: &Datagram<'_>, vlan: Option<u16>, start: u32) -> Decoded {
    let head = Head { record, datagram, vlan, start };
    let bytes = datagram.payload;
    match Protocol(datagram.protocol) {
        Protocol::TCP => match tcp::segment(bytes) {
            Some((ports, segment, header)) => Decoded::Packet(head.packet(ports, header, Body::Tcp(segment))),
            None => Decoded::Undecoded,
        },
        Protocol::UDP => match etherparse::UdpHeaderSlice::from_slice(bytes) {
            Ok(udp) => Decoded::Packet(head.packet((udp.source_port(), udp.destination_port()), 8, Body::Udp)),
            Err(_) => Decoded::Undecoded,
        },
        Protocol::ICMP | Protocol::ICMP6 => icmp_packet(&head),
        Protocol::SCTP => match bytes.first_chunk::<4>() {
            Some(&[a, b, c, d]) => Decoded::Packet(head.packet((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])), 12, Body::Other)),
            None => Decoded::Undecoded,
        },
        _ => Decoded::Packet(head.packet((0, 0), 0, Body::Other)),
    }
}

fn icmp_packet(head: &Head<'_>) -> Decoded {
    let Some(message) = icmp::message(head.datagram) else { return Decoded::Undecoded };
    let packet = head.packet(message.ports, 8, Body::Icmp);
    match message.quote {
        None => Decoded::Packet(packet),
        Some(quote) => {
            let (key, sender) = FlowKey::new(quote.protocol, quote.ip_version, head.record.interface, quote.source, quote.destination);
            let quoted = Packet { key, sender, hash: hash(&key), body: Body::Quoted(quote.error), ..packet.clone() };
            Decoded::PacketAndQuote(packet, quoted)
        }
    }
}

/// What the layers below the transport say of a packet.
struct Head<'a> {
    record: &'a Record,
    datagram: &'a Datagram<'a>,
    vlan: Option<u16>,
    /// Where the transport header begins in the round.
    start: u32,
}

impl Head<'_> {
    fn packet(&self, ports: (u16, u16), header: u32, body: Body) -> Packet {
        let Self { record, datagram, .. } = *self;
        let protocol = Protocol(datagram.protocol);
        let (key, sender) = FlowKey::new(protocol, datagram.version, record.interface, (datagram.source, ports.0), (datagram.destination, ports.1));
        let captured = (datagram.payload.len() as u32).saturating_sub(header);
        Packet {
            key,
            hash: hash(&key),
            sender,
            time: record.time,
            clock: record.clock,
            number: record.number,
            ttl: datagram.ttl,
            dont_fragment: datagram.dont_fragment,
            ip_id: datagram.id,
            vlan: self.vlan,
            ip_bytes: datagram.total_bytes,
            payload_bytes: datagram.payload_bytes.saturating_sub(header),
            payload: PayloadRange { start: self.start + header, captured },
            digest: digest(protocol, datagram.payload),
            body,
        }
    }
}

/// The same for both directions and in every run.
fn hash(key: &FlowKey) -> u64 {
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
