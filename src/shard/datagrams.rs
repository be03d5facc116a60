//! The readers of the datagrams of a UDP flow.
//!
//! The first datagrams decide what the flow is. STUN, DTLS and media share one flow and are told apart by their first byte (RFC 7983, RFC 9443).

use crate::app::heads::{HEAD_BYTES, PAYLOADS_PER_SIDE, Payload};
use crate::app::{Reading, dns, dtls, quic, stun};
use crate::model::words::AppProtocol;
use crate::model::{FlowKey, PerSide};
use crate::packet::Packet;

use super::facts::{Facts, Place};
use super::transactions::Messages;
use super::{DNS_PORT, HeadMemory};

const MDNS: u16 = 5353;
const LLMNR: u16 = 5355;
/// Datagrams of a flow that decide what it is (by design: as many as recognisers look at).
const UNDECIDED_MAX: u8 = 2 * PAYLOADS_PER_SIDE as u8;
/// Datagrams of a flow of STUN that are read for its marks and for DTLS beside it (by design: the checks of ICE and the start of DTLS).
const REALTIME_MAX: u8 = 64;
/// Marks of STUN that are remembered.
const MARKS_MAX: usize = 32;

/// What reads the datagrams of a flow.
#[derive(Debug)]
pub enum Datagrams {
    Undecided(u8),
    Dns,
    Quic(Box<Quic>),
    Realtime(Box<Realtime>),
    Done,
}

impl Default for Datagrams {
    fn default() -> Self {
        Self::Undecided(0)
    }
}

#[derive(Debug, Default)]
pub struct Quic {
    reader: quic::Reader,
    held: usize,
    hello: Option<Place>,
    answer: Option<Place>,
}

/// STUN and DTLS in one flow.
#[derive(Debug, Default)]
pub struct Realtime {
    dtls: PerSide<dtls::Reader>,
    seen: u8,
    held: usize,
}

impl Datagrams {
    /// Reads a datagram; messages of DNS go to `dns`, everything else to `facts`.
    pub fn take(&mut self, packet: &Packet, payload: &[u8], facts: &mut Facts, heads: &mut HeadMemory, dns: &mut Messages<'_>) {
        match self {
            Self::Undecided(seen) => {
                *seen += 1;
                let is_last = *seen >= UNDECIDED_MAX;
                self.decide(packet, payload, facts, heads, dns);
                match self {
                    Self::Undecided(_) if is_last => *self = Self::Done,
                    Self::Undecided(_) | Self::Done | Self::Realtime(_) => {}
                    _ => facts.heads = None,
                }
            }
            Self::Dns => {
                if let Ok(message) = dns::Message::read(payload) {
                    dns.take(packet.sender, message, (packet.time, packet.number));
                }
            }
            Self::Quic(quic) => {
                if quic.take(packet, payload, heads) != Reading::More || heads.held > heads.max {
                    self.end(facts, heads);
                }
            }
            Self::Realtime(realtime) => {
                realtime.take(packet, payload, facts, heads);
                keep_head(packet, payload, facts);
                if realtime.seen >= REALTIME_MAX || heads.held > heads.max {
                    self.end(facts, heads);
                }
            }
            Self::Done => {}
        }
    }

    pub fn is_dns(&self) -> bool {
        matches!(self, Self::Dns)
    }

    /// Bytes of its readers; what these keep is counted in the memory of heads.
    pub fn held(&self) -> usize {
        match self {
            Self::Quic(quic) => size_of_val(&**quic),
            Self::Realtime(realtime) => size_of_val(&**realtime),
            Self::Undecided(_) | Self::Dns | Self::Done => 0,
        }
    }

    /// No more datagrams will come.
    pub fn end(&mut self, facts: &mut Facts, heads: &mut HeadMemory) {
        match std::mem::replace(self, Self::Done) {
            Self::Quic(quic) => {
                heads.held = heads.held.saturating_sub(quic.held);
                let Quic { reader, hello, answer, .. } = *quic;
                let client = reader.client();
                facts.learn_quic(reader.into_facts(), client, hello, answer);
            }
            Self::Realtime(realtime) => heads.held = heads.held.saturating_sub(realtime.held),
            _ => {}
        }
    }

    fn decide(&mut self, packet: &Packet, payload: &[u8], facts: &mut Facts, heads: &mut HeadMemory, dns: &mut Messages<'_>) {
        if let Some(known) = dns_of(&packet.key, payload) {
            facts.speaks(known.0);
            *self = Self::Done;
            if known.0 == AppProtocol::Dns {
                *self = Self::Dns;
                dns.take(packet.sender, known.1, (packet.time, packet.number));
            }
            return;
        }
        let mut quic = Quic::default();
        let reading = quic.take(packet, payload, heads);
        if reading != Reading::Not {
            *self = Self::Quic(Box::new(quic));
            if reading == Reading::Done(()) {
                self.end(facts, heads);
            }
            return;
        }
        let mut realtime = Realtime::default();
        if realtime.take(packet, payload, facts, heads) {
            *self = Self::Realtime(Box::new(realtime));
        }
        keep_head(packet, payload, facts);
    }
}

/// A message of DNS, by a port and its form, or by a form that can hardly be anything else.
fn dns_of(key: &FlowKey, payload: &[u8]) -> Option<(AppProtocol, dns::Message)> {
    let at = |port: u16| key.low_port == port || key.high_port == port;
    let protocols = [(DNS_PORT, AppProtocol::Dns), (MDNS, AppProtocol::Mdns), (LLMNR, AppProtocol::Llmnr)];
    match protocols.into_iter().find(|(port, _)| at(*port)) {
        Some((_, protocol)) => Some((protocol, dns::Message::read(payload).ok()?)),
        None => Some((AppProtocol::Dns, dns::Message::read_strictly(payload)?)),
    }
}

/// Keeps the first bytes of a payload that its protocol does not name.
fn keep_head(packet: &Packet, payload: &[u8], facts: &mut Facts) {
    let heads = facts.heads.get_or_insert_default();
    if heads.payloads.iter().filter(|payload| payload.sender == packet.sender).count() < PAYLOADS_PER_SIDE {
        let bytes = payload[..payload.len().min(HEAD_BYTES)].to_vec();
        heads.payloads.push(Payload { sender: packet.sender, len: packet.payload_bytes, bytes });
    }
}

impl Quic {
    /// Reads a datagram.
    fn take(&mut self, packet: &Packet, payload: &[u8], heads: &mut HeadMemory) -> Reading<()> {
        let reading = self.reader.take(packet.sender, payload);
        self.note(packet, heads);
        reading
    }

    /// Notes what the datagram completed, and what the reader holds now.
    fn note(&mut self, packet: &Packet, heads: &mut HeadMemory) {
        let facts = self.reader.facts();
        let place = |segments| Place { time: packet.time, packet: packet.number, segments, offset: 0 };
        if facts.has_hello() {
            self.hello.get_or_insert(place(facts.hello_datagrams));
        }
        if facts.server_hello.is_some() {
            self.answer.get_or_insert(place(1));
        }
        let held = self.reader.held();
        heads.held = (heads.held + held).saturating_sub(self.held);
        self.held = held;
    }
}

impl Realtime {
    /// Reads a datagram; whether it was STUN or DTLS.
    fn take(&mut self, packet: &Packet, payload: &[u8], facts: &mut Facts, heads: &mut HeadMemory) -> bool {
        self.seen += 1;
        if let Ok(message) = stun::Message::read(payload) {
            facts.speaks(AppProtocol::Stun);
            facts.mark(&message);
            return true;
        }
        let reader = &mut self.dtls[packet.sender];
        let held = reader.held();
        let reading = reader.take(payload);
        let change = reader.held();
        heads.held = (heads.held + change).saturating_sub(held);
        self.held = (self.held + change).saturating_sub(held);
        match reading {
            Reading::Done(messages) => {
                let at = Place { time: packet.time, packet: packet.number, segments: 1, offset: 0 };
                messages.into_iter().for_each(|message| facts.learn_tls(packet.sender, message, at));
                true
            }
            Reading::More | Reading::Not => reader.is_dtls(),
        }
    }
}

impl Facts {
    /// Remembers by what a message of STUN can be told.
    fn mark(&mut self, message: &stun::Message) {
        let marks = self.stun.get_or_insert_default();
        if marks.realm.is_none() {
            marks.realm.clone_from(&message.realm);
        }
        let note = |known: &mut Vec<u16>, value: u16| {
            if known.len() < MARKS_MAX && !known.contains(&value) {
                known.push(value);
            }
        };
        note(&mut marks.types, message.kind);
        message.attributes.iter().for_each(|&attribute| note(&mut marks.attributes, attribute));
    }
}
