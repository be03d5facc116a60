//! One shard: the flows whose keys hash to it, and the readers of their first bytes.
//! In:  the shard's packets of a round, in capture order.
//! Out: a [`Conversation`] when a flow ends: the flow and the facts read from its streams.
//! Promises: one thread, no I/O, no clock, no lock; the same packets give the same conversations however they were batched.
//! Not here: what the facts prove (`detect`), whose the host is (`service`).

mod datagrams;
mod facts;
mod streams;
mod transactions;

use std::net::IpAddr;

use crate::capture::Gap;
use crate::flow::{At, Copies, Ended, Flow, FlowTable, Forerunner, Forerunners, Slot, Timeouts, limits};
use crate::model::words::{AppProtocol, EndReason, Orientation};
use crate::model::{PerSide, Side, Timestamp};
use crate::packet::{Body, Packet, TcpFlags};
use datagrams::Datagrams;
use streams::{Segment, Streams};
use transactions::{Messages, Transactions};

pub use facts::{Datagram, Facts, Http, ProxyTarget, Seen};
pub use transactions::{FlowOf, Response, Transaction};

/// How many shards a source has: fixed, so that nothing depends on the machine. Enough for 64 cores.
pub const SHARDS: usize = 64;

/// The shard of a key, by bits of its hash that the table inside the shard does not use.
pub fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

/// What has ended.
#[derive(Default)]
pub struct Over {
    pub conversations: Vec<Conversation>,
    /// Of these flows, and of flows that go on.
    pub transactions: Vec<Transaction>,
}

/// A flow that has ended, and what its first bytes said.
pub struct Conversation {
    pub flow: Flow,
    read: Option<Box<Read>>,
    /// The flow that it continues.
    pub forerunner: Option<Box<Forerunner<Known>>>,
    pub client: Side,
    pub orientation: Orientation,
    pub end_reason: EndReason,
    /// Up to when more packets of the flow would have been seen.
    pub watched_until: Timestamp,
    /// Trace clock up to which the flow was alive.
    pub alive_until: Timestamp,
    /// Damage of the capture may have taken packets from among those that were seen.
    pub has_gap: bool,
    /// Damage of the capture ended the watch.
    pub cut_by_gap: bool,
}

/// What a shard keeps beside each flow.
#[derive(Debug, Default)]
struct Beside {
    read: Option<Box<Read>>,
    forerunner: Option<Box<Forerunner<Known>>>,
}

/// What was read of a flow, and its readers.
#[derive(Debug, Default)]
struct Read {
    facts: Facts,
    readers: Readers,
    transactions: Option<Box<Transactions>>,
}

#[derive(Debug)]
enum Readers {
    Streams(Streams),
    Datagrams(Datagrams),
}

impl Default for Readers {
    fn default() -> Self {
        Self::Datagrams(Datagrams::default())
    }
}

/// What a connection that resumes takes over from its forerunner.
#[derive(Clone, Debug)]
pub struct Known {
    pub client: Side,
    pub orientation: Orientation,
    pub sni: Option<String>,
}

/// The flows of one shard.
pub struct Shard {
    flows: FlowTable<Beside>,
    endings: Endings,
    copies: Copies,
    /// Of so many first packets with payload size and time are kept.
    splt: usize,
    /// Copies since the last call that took their number.
    duplicates: u64,
}

/// What becomes of flows that end.
struct Endings {
    timeouts: Timeouts,
    ended: Vec<Conversation>,
    transactions: Vec<Transaction>,
    forerunners: Forerunners<Known>,
    heads: HeadMemory,
}

/// Bytes that the readers of all living flows hold, and may hold.
struct HeadMemory {
    held: usize,
    max: usize,
}

impl Shard {
    /// `memory`: bytes that its living flows may take, an eighth of them for what their readers hold.
    pub fn new(timeouts: Timeouts, memory: usize) -> Self {
        let for_heads = limits::SHARD_HEAD_BYTES_MAX.min(memory / 8);
        let heads = HeadMemory { held: 0, max: for_heads };
        let endings = Endings { timeouts, ended: Vec::new(), transactions: Vec::new(), forerunners: Forerunners::default(), heads };
        Self { flows: FlowTable::new(timeouts, memory - for_heads), endings, copies: Copies::default(), splt: 0, duplicates: 0 }
    }

    /// Keeps size and time of so many first packets with payload of every flow.
    pub fn with_splt(self, splt: u8) -> Self {
        Self { splt: splt.into(), ..self }
    }

    /// Takes in one packet; `round` holds its payload.
    pub fn update(&mut self, packet: &Packet, round: &[u8]) {
        let Self { flows, endings, copies, splt, duplicates } = self;
        let found = flows.find(packet, |slot, reason| endings.end(slot, reason));
        if let Body::Quoted(error) = packet.body {
            if let Some(slot) = found.and_then(|at| flows.slot(at)) {
                slot.flow.quoted(error, packet.sender);
            }
            return;
        }
        let Some(at) = found.or_else(|| begin(flows, packet, &mut endings.forerunners)) else {
            copies.find(packet, &PerSide::default()); // it is the first of its flow
            return;
        };
        let Some(slot) = flows.slot(at) else { return };
        if let Some(copied) = copies.find(packet, &slot.flow.volume) {
            *duplicates += 1;
            return slot.flow.update_copy(packet, copied);
        }
        let progress = slot.flow.update(packet);
        slot.flow.keep_for_splt(packet, *splt);
        if progress.feeds_stream {
            read(slot, packet, packet.payload.of(round), endings);
        }
        if slot.flow.packets().is_power_of_two() {
            let beside = slot.beside.bytes();
            flows.weigh(at, beside); // flows grow ever more slowly
        }
    }

    /// What ended since the last call.
    pub fn take_ended(&mut self) -> Over {
        let Endings { ended, transactions, .. } = &mut self.endings;
        Over { conversations: std::mem::take(ended), transactions: std::mem::take(transactions) }
    }

    /// Copies of packets that came since the last call.
    pub fn take_duplicates(&mut self) -> u64 {
        std::mem::take(&mut self.duplicates)
    }

    /// Flows that were evicted since the last call.
    pub fn take_evicted(&mut self) -> u64 {
        self.flows.take_evicted()
    }

    /// Bytes that the living flows take.
    pub fn held(&self) -> usize {
        self.flows.held() + self.endings.heads.held
    }

    /// Ends some of the flows that are left at the end of the trace; none left where it gives none. No packet may follow.
    pub fn finish_some(&mut self, clock: Timestamp, last_time: Timestamp) -> Over {
        let Self { flows, endings, .. } = self;
        while endings.ended.is_empty() && flows.finish_some(clock, |slot, reason| endings.finish(slot, reason, last_time)) {}
        self.take_ended()
    }
}

/// Begins a flow. A connection that resumes an earlier one takes over what was known of it.
fn begin(flows: &mut FlowTable<Beside>, packet: &Packet, forerunners: &mut Forerunners<Known>) -> Option<At> {
    let forerunner = forerunners.claim(packet);
    let at = flows.begin(packet, forerunner.is_none())?;
    if let (Some(slot), Some(forerunner)) = (flows.slot(at), forerunner) {
        slot.beside.forerunner = Some(Box::new(forerunner));
    }
    Some(at)
}

/// Gives a payload to the readers of its flow.
fn read(slot: &mut Slot<Beside>, packet: &Packet, payload: &[u8], endings: &mut Endings) {
    let flow = &slot.flow;
    let read = slot.beside.read.get_or_insert_with(|| Box::new(Read::of(flow)));
    let Read { facts, readers, transactions } = &mut **read;
    let Endings { heads, transactions: ended, .. } = endings;
    let mut dns = Messages { flow, transactions, ended, client: None };
    match (readers, &packet.body) {
        (Readers::Streams(streams), Body::Tcp(segment)) => {
            let seq = segment.seq.plus(u32::from(segment.flags.has(TcpFlags::SYN)));
            let missing = packet.payload_bytes - packet.payload.captured.min(packet.payload_bytes);
            facts.records[packet.sender].take(seq, payload, missing);
            facts.beginnings[packet.sender].take(seq, payload, packet.number);
            let start = flow.tcp.as_ref().and_then(|tcp| tcp.stream_start(packet.sender));
            let may_be_dns = flow.key.low_port == DNS_PORT || flow.key.high_port == DNS_PORT;
            streams.take(&Segment { packet, seq, payload, start, may_be_dns }, facts, heads, &mut dns);
        }
        (Readers::Datagrams(datagrams), Body::Udp) => {
            datagrams.take(packet, payload, facts, heads, &mut dns);
            if !datagrams.is_dns() {
                facts.note_datagram(Datagram { time: packet.time, packet: packet.number, sender: packet.sender });
            }
        }
        _ => {}
    }
    if let Some(client) = dns.client {
        facts.speaks(AppProtocol::Dns);
        facts.is_client(client);
    }
}

/// The port of DNS (RFC 1035 section 4.2).
const DNS_PORT: u16 = 53;

impl Read {
    fn of(flow: &Flow) -> Self {
        let readers = if flow.tcp.is_some() { Readers::Streams(Streams::default()) } else { Readers::default() };
        Self { readers, ..Self::default() }
    }

    /// Bytes that it takes, what its readers hold apart.
    fn held(&self) -> usize {
        let readers = match &self.readers {
            Readers::Streams(streams) => streams.held(),
            Readers::Datagrams(datagrams) => datagrams.held(),
        };
        size_of::<Self>() + self.facts.held() + readers + self.transactions.as_ref().map_or(0, |open| open.held())
    }

    /// No more payload will come: takes what the readers had begun, and ends the transactions.
    fn end(&mut self, flow: &Flow, heads: &mut HeadMemory, ended: &mut Vec<Transaction>) {
        let Self { facts, readers, transactions } = self;
        let mut dns = Messages { flow, transactions, ended, client: None };
        match readers {
            Readers::Streams(streams) => streams.end(facts, heads, &mut dns),
            Readers::Datagrams(datagrams) => datagrams.end(facts, heads),
        }
        dns.end();
    }
}

impl Conversation {
    /// What its payloads said; none where it had none.
    pub fn facts(&self) -> Option<&Facts> {
        self.read.as_ref().map(|read| &read.facts)
    }

    /// The name in the client's hello: in this flow, or before it was cut off.
    pub fn sni(&self) -> Option<&str> {
        let own = self.facts().and_then(Facts::sni);
        own.or_else(|| self.forerunner.as_ref()?.kept.sni.as_deref())
    }

    /// Where the first packet alone told who the client is, the address of a service tells better.
    pub fn orient_by(&mut self, is_service: impl Fn(IpAddr) -> bool) {
        if self.orientation != Orientation::FirstPacket {
            return;
        }
        let [asks, answers] = [self.client, self.client.opposite()].map(|side| is_service(self.flow.key.ip(side)));
        if asks != answers {
            self.orientation = Orientation::App;
            self.client = if asks { self.client.opposite() } else { self.client };
        }
    }

    fn known(&self) -> Known {
        Known { client: self.client, orientation: self.orientation, sni: self.sni().map(Into::into) }
    }

    /// A damaged place took packets. What came before it may have had its answer there: the flow was watched no longer.
    pub fn note_gap(&mut self, gap: &Gap) {
        if gap.clock > self.alive_until || gap.to < self.flow.start {
            return;
        }
        if gap.from < self.flow.end() {
            self.has_gap = true;
        } else if gap.from < self.watched_until {
            self.watched_until = gap.from;
            self.cut_by_gap = true;
        }
    }
}

impl Beside {
    /// Bytes kept in boxes; those of readers are counted apart.
    fn bytes(&self) -> usize {
        let forerunner = self.forerunner.as_ref().map_or(0, |forerunner| size_of_val(&**forerunner));
        self.read.as_ref().map_or(0, |read| read.held()) + forerunner
    }
}

impl Endings {
    /// A flow ended while others go on.
    fn end(&mut self, slot: Slot<Beside>, ended: Ended) {
        let conversation = self.conversation(slot, ended, None);
        self.forerunners.remember(&conversation.flow, ended, || conversation.known());
        self.ended.push(conversation);
    }

    /// A flow was left at the end of the trace.
    fn finish(&mut self, slot: Slot<Beside>, ended: Ended, last_time: Timestamp) {
        let conversation = self.conversation(slot, ended, Some(last_time));
        self.ended.push(conversation);
    }

    fn conversation(&mut self, slot: Slot<Beside>, ended: Ended, last_time: Option<Timestamp>) -> Conversation {
        let Slot { flow, beside: Beside { mut read, forerunner }, .. } = slot;
        if let Some(read) = &mut read {
            read.end(&flow, &mut self.heads, &mut self.transactions);
        }
        let (client, orientation) = orient(&flow, read.as_ref().map(|read| &read.facts), forerunner.as_deref());
        let watched_until = match (ended, last_time) {
            (Ended::CaptureEnd, Some(last)) => last,
            (Ended::Evicted, _) => flow.end(),
            _ => flow.end() + self.timeouts.silence(&flow),
        };
        let alive_until = flow.last_clock() + self.timeouts.silence(&flow);
        Conversation {
            end_reason: flow.end_reason(ended),
            flow,
            read,
            forerunner,
            client,
            orientation,
            watched_until,
            alive_until,
            has_gap: false,
            cut_by_gap: false,
        }
    }
}

/// Who the client is, and how that is known.
fn orient(flow: &Flow, facts: Option<&Facts>, forerunner: Option<&Forerunner<Known>>) -> (Side, Orientation) {
    let handshake = flow.tcp.as_ref().map(|tcp| &tcp.handshake);
    if let Some((client, handshake)) = handshake.and_then(|handshake| Some((handshake.client?, handshake))) {
        return (client, if handshake.syn.is_some() { Orientation::Syn } else { Orientation::SynAck });
    }
    if let Some(Forerunner { kept, .. }) = forerunner {
        return (kept.client, kept.orientation);
    }
    if let Some(client) = facts.and_then(|facts| facts.client) {
        return (client, Orientation::App);
    }
    match (is_service_port(flow.key.low_port), is_service_port(flow.key.high_port)) {
        (true, false) => (Side::High, Orientation::Port),
        (false, true) => (Side::Low, Orientation::Port),
        _ => (flow.first_sender, Orientation::FirstPacket),
    }
}

/// System ports (RFC 6335 section 6): clients are not given them.
fn is_service_port(port: u16) -> bool {
    (1..1024).contains(&port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tls;
    use crate::packet::trace::Trace;

    #[test]
    fn segments_that_overlap_ahead_of_a_hole_are_held_no_longer() {
        let hello = tls::build::client_hello("web.whatsapp.com");
        let trace = Trace::at_client().handshake();
        let trace = trace.client_bytes(&hello[20..50]).seq(20).client_bytes(&hello[20..60]).seq(-10).client_bytes(&hello[..20]).seq(-70);
        let (packets, round) = trace.packets();
        let mut shard = Shard::new(Timeouts::default(), usize::MAX);
        packets.iter().for_each(|packet| shard.update(packet, &round));
        assert_eq!(
            shard.endings.heads.held, 55,
            "two segments of 30 and 40 bytes and the 20 before them hold 60 bytes, 5 of them a header that was read"
        );
    }

    #[test]
    fn what_readers_hold_is_given_back_when_flows_end() {
        let hello = tls::build::client_hello("web.whatsapp.com");
        let trace = Trace::at_client().handshake().client_bytes(&hello[..60]).server_bytes(&hello[..9]);
        let (packets, round) = trace.packets();
        let mut shard = Shard::new(Timeouts::default(), usize::MAX);
        packets.iter().for_each(|packet| shard.update(packet, &round));
        assert!(shard.endings.heads.held > 0);
        let over = shard.finish_some(trace.end(), trace.end());
        assert_eq!((over.conversations.len(), shard.endings.heads.held), (1, 0));
        assert_eq!(over.conversations[0].sni(), None, "the name came behind the cut");
    }
}
