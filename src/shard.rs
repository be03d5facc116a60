//! One shard: the flows whose keys hash to it, and the readers of their first bytes.
//! In:  the shard's packets of a round, in capture order.
//! Out: a [`Conversation`] when a flow ends: the flow and the facts read from its streams.
//! Promises: one thread, no I/O, no clock, no lock; the same packets give the same conversations however they were batched.
//! Not here: what the facts prove (`detect`), whose the host is (`service`).

use std::net::IpAddr;

use crate::app::Reading;
use crate::app::tls::{self, Alert, ClientHello, Message, ServerHello};
use crate::app::tls_records::RecordTracker;
use crate::capture::Gap;
use crate::flow::{At, Contiguous, Copies, Ended, Flow, FlowTable, Forerunner, Forerunners, Slot, StreamHead, Timeouts, limits};
use crate::model::words::{EndReason, Orientation};
use crate::model::{PacketNumber, PerSide, SeqNumber, Side, Timestamp};
use crate::packet::{Body, Packet, TcpFlags};

/// How many shards a source has: fixed, so that nothing depends on the machine. Enough for 64 cores.
pub const SHARDS: usize = 64;

/// The shard of a key, by bits of its hash that the table inside the shard does not use.
pub fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

/// A flow that has ended, and what its first bytes said.
pub struct Conversation {
    pub flow: Flow,
    pub facts: Option<Box<Facts>>,
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

/// What was read, by the side that sent it.
#[derive(Debug, Default)]
pub struct Facts {
    pub client_hello: Option<(Side, Seen<ClientHello>)>,
    pub server_hello: Option<(Side, Seen<ServerHello>)>,
    pub alert: Option<(Side, Seen<Alert>)>,
    /// A TLS record was the first thing this side sent.
    pub tls: PerSide<bool>,
    /// Where the records of each side end.
    pub records: PerSide<RecordTracker>,
    heads: PerSide<Head>,
}

/// A fact, and the packet that completed it.
#[derive(Clone, Debug)]
pub struct Seen<T> {
    pub fact: T,
    pub time: Timestamp,
    pub packet: PacketNumber,
    /// Segments that its bytes came in.
    pub segments: u32,
}

/// The reader of one side's first bytes.
#[derive(Debug, Default)]
enum Head {
    /// No payload yet.
    #[default]
    Waiting,
    Reading {
        stream: Box<StreamHead>,
        segments: u32,
        last: (Timestamp, PacketNumber),
    },
    Done,
}

/// What a shard keeps beside each flow.
#[derive(Debug, Default)]
struct Beside {
    facts: Option<Box<Facts>>,
    forerunner: Option<Box<Forerunner<Known>>>,
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
    forerunners: Forerunners<Known>,
    heads: HeadMemory,
}

/// Bytes that the stream heads of all living flows hold, and may hold.
struct HeadMemory {
    held: usize,
    max: usize,
}

impl Shard {
    /// `memory`: bytes that its living flows may take.
    pub fn new(timeouts: Timeouts, memory: usize) -> Self {
        let heads = HeadMemory { held: 0, max: limits::SHARD_HEAD_BYTES_MAX.min(memory / 4) };
        let endings = Endings { timeouts, ended: Vec::new(), forerunners: Forerunners::default(), heads };
        Self { flows: FlowTable::new(timeouts, memory), endings, copies: Copies::default(), splt: 0, duplicates: 0 }
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
        if progress.feeds_stream && slot.flow.tcp.is_some() {
            read(slot, packet, packet.payload.of(round), &mut endings.heads);
        }
        if slot.flow.packets().is_power_of_two() {
            let beside = slot.beside.bytes();
            flows.weigh(at, beside); // flows grow ever more slowly
        }
    }

    /// Conversations that ended since the last call.
    pub fn take_ended(&mut self) -> Vec<Conversation> {
        std::mem::take(&mut self.endings.ended)
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
    pub fn finish_some(&mut self, clock: Timestamp, last_time: Timestamp) -> Vec<Conversation> {
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

/// Gives a payload to the readers of its side: the first message, as long as that is wanted, and the records of TLS.
fn read(slot: &mut Slot<Beside>, packet: &Packet, payload: &[u8], heads: &mut HeadMemory) {
    let (Body::Tcp(segment), Some(tcp)) = (&packet.body, &slot.flow.tcp) else { return };
    let facts = slot.beside.facts.get_or_insert_default();
    let seq = segment.seq.plus(u32::from(segment.flags.has(TcpFlags::SYN)));
    let missing = packet.payload_bytes - packet.payload.captured.min(packet.payload_bytes);
    facts.records[packet.sender].take(seq, payload, missing);
    facts.read_head(packet, seq, payload, tcp.stream_start(packet.sender), heads);
}

impl Conversation {
    /// The name that the client asked for: in this flow, or before it was cut off.
    pub fn sni(&self) -> Option<&str> {
        let own = self.facts.as_ref().and_then(|facts| facts.client_hello.as_ref()).and_then(|(_, hello)| hello.fact.sni.as_deref());
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

impl Facts {
    fn read_head(&mut self, packet: &Packet, seq: SeqNumber, payload: &[u8], start: Option<SeqNumber>, heads: &mut HeadMemory) {
        let sender = packet.sender;
        if matches!(self.heads[sender], Head::Waiting) {
            let stream = Box::new(StreamHead::new(start.unwrap_or(seq)));
            self.heads[sender] = Head::Reading { stream, segments: 0, last: (packet.time, packet.number) };
        }
        let Head::Reading { stream, segments, last } = &mut self.heads[sender] else { return };
        (*segments, *last) = (*segments + 1, (packet.time, packet.number));
        let (segments, held) = (*segments, stream.held());
        let (reading, direct) = match stream.take(seq, payload) {
            Contiguous::Direct(bytes) => (tls::first_message(bytes), true),
            Contiguous::Grown(bytes) => (tls::first_message(bytes), false),
            Contiguous::Unchanged => (Reading::More, false),
        };
        if direct && matches!(reading, Reading::More) {
            stream.keep(payload);
        }
        heads.held = (heads.held + stream.held()).saturating_sub(held); // less where segments that overlapped were joined
        let snapped = packet.payload.captured < packet.payload_bytes;
        let gives_up = snapped || stream.is_full() || heads.held > heads.max;
        match reading {
            Reading::More if !gives_up => {}
            Reading::Done(message) => {
                self.close(sender, heads);
                self.learn(sender, message, (packet.time, packet.number, segments));
            }
            Reading::Not | Reading::More => self.give_up(sender, heads),
        }
    }

    fn learn(&mut self, sender: Side, message: Message, (time, packet, segments): (Timestamp, PacketNumber, u32)) {
        self.tls[sender] = true;
        match message {
            Message::ClientHello(fact) => self.client_hello = Some((sender, Seen { fact, time, packet, segments })),
            Message::ServerHello(fact) => self.server_hello = Some((sender, Seen { fact, time, packet, segments })),
            Message::Alert(fact) => self.alert = Some((sender, Seen { fact, time, packet, segments })),
            Message::Later => {}
        }
    }

    /// Frees the reader of a side; returns what it had.
    fn close(&mut self, side: Side, heads: &mut HeadMemory) -> Head {
        let head = std::mem::replace(&mut self.heads[side], Head::Done);
        if let Head::Reading { stream, .. } = &head {
            heads.held = heads.held.saturating_sub(stream.held());
        }
        head
    }

    /// No more bytes will come in order: takes what a hello that was cut off shows.
    fn give_up(&mut self, side: Side, heads: &mut HeadMemory) {
        if let Head::Reading { stream, segments, last: (time, packet) } = self.close(side, heads)
            && let Some(fact) = tls::client_hello_so_far(stream.bytes())
        {
            self.tls[side] = true;
            self.client_hello.get_or_insert((side, Seen { fact, time, packet, segments }));
        }
    }
}

impl Beside {
    /// Bytes kept in boxes; stream heads are counted apart.
    fn bytes(&self) -> usize {
        let forerunner = self.forerunner.as_ref().map_or(0, |forerunner| size_of_val(&**forerunner));
        self.facts.as_ref().map_or(0, |facts| size_of_val(&**facts)) + forerunner
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
        let Slot { flow, beside: Beside { mut facts, forerunner }, .. } = slot;
        if let Some(facts) = &mut facts {
            [Side::Low, Side::High].into_iter().for_each(|side| facts.give_up(side, &mut self.heads));
        }
        let (client, orientation) = orient(&flow, facts.as_deref(), forerunner.as_deref());
        let watched_until = match (ended, last_time) {
            (Ended::CaptureEnd, Some(last)) => last,
            (Ended::Evicted, _) => flow.end(),
            _ => flow.end() + self.timeouts.silence(&flow),
        };
        let alive_until = flow.last_clock() + self.timeouts.silence(&flow);
        Conversation {
            end_reason: flow.end_reason(ended),
            flow,
            facts,
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
    let by_hello = facts.and_then(|facts| {
        let hello = facts.client_hello.as_ref().map(|(side, _)| *side);
        hello.or(facts.server_hello.as_ref().map(|(side, _)| side.opposite()))
    });
    if let Some(client) = by_hello {
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
    use crate::packet::trace::Trace;

    #[test]
    fn segments_that_overlap_ahead_of_a_hole_are_held_no_longer() {
        let hello = tls::build::client_hello("web.whatsapp.com");
        let trace = Trace::at_client().handshake();
        let trace = trace.client_bytes(&hello[20..50]).seq(20).client_bytes(&hello[20..60]).seq(-10).client_bytes(&hello[..20]).seq(-70);
        let (packets, round) = trace.packets();
        let mut shard = Shard::new(Timeouts::default(), usize::MAX);
        packets.iter().for_each(|packet| shard.update(packet, &round));
        assert_eq!(shard.endings.heads.held, 60, "two segments of 30 and 40 bytes and the 20 before them hold the first 60 bytes");
    }
}
