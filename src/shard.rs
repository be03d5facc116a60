//! One shard: the flows whose keys hash to it, and the readers of their first bytes.
//! In:  the shard's packets of a round, in capture order.
//! Out: a [`Conversation`] when a flow ends: the flow and the facts read from its streams.
//! Promises: one thread, no I/O, no clock, no lock; the same packets give the same conversations however they were batched.
//! Not here: what the facts prove (`detect`), whose the host is (`service`).

use crate::app::Reading;
use crate::app::tls::{self, Alert, ClientHello, Message, ServerHello};
use crate::app::tls_records::RecordTracker;
use crate::capture::Gap;
use crate::flow::{Contiguous, Copies, Ended, Flow, FlowTable, Slot, StreamHead, Timeouts, limits};
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

/// The flows of one shard.
pub struct Shard {
    flows: FlowTable<Option<Box<Facts>>>,
    timeouts: Timeouts,
    ended: Vec<Conversation>,
    head_bytes: usize,
    copies: Copies,
    /// Copies since the last call that took their number.
    duplicates: u64,
}

impl Shard {
    pub fn new(timeouts: Timeouts) -> Self {
        Self { flows: FlowTable::new(timeouts), timeouts, ended: Vec::new(), head_bytes: 0, copies: Copies::default(), duplicates: 0 }
    }

    /// Takes in one packet; `round` holds its payload.
    pub fn update(&mut self, packet: &Packet, round: &[u8]) {
        if let Body::Quoted(error) = packet.body {
            if let Some(slot) = self.flows.find(&packet.key, packet.hash, packet.clock) {
                slot.flow.quoted(error, packet.sender);
            }
            return;
        }
        let Self { flows, timeouts, ended, head_bytes, copies, duplicates } = self;
        let slot = flows.find_or_begin(packet, |slot, reason| ended.push(conversation(slot, reason, timeouts, None, head_bytes)));
        if let Some(copied) = copies.find(packet, &slot.flow) {
            *duplicates += 1;
            return slot.flow.update_copy(packet, copied);
        }
        let progress = slot.flow.update(packet);
        if progress.feeds_stream && slot.flow.tcp.is_some() {
            read(slot, packet, packet.payload.of(round), head_bytes);
        }
    }

    /// Conversations that ended since the last call.
    pub fn take_ended(&mut self) -> Vec<Conversation> {
        std::mem::take(&mut self.ended)
    }

    /// Copies of packets that came since the last call.
    pub fn take_duplicates(&mut self) -> u64 {
        std::mem::take(&mut self.duplicates)
    }

    /// Ends all flows at the end of the trace.
    pub fn finish(self, clock: Timestamp, last_time: Timestamp) -> Vec<Conversation> {
        let Self { flows, timeouts, mut ended, mut head_bytes, .. } = self;
        flows.finish(clock, |slot, reason| ended.push(conversation(slot, reason, &timeouts, Some(last_time), &mut head_bytes)));
        ended
    }
}

/// Gives a payload to the readers of its side: the first message, as long as that is wanted, and the records of TLS.
fn read(slot: &mut Slot<Option<Box<Facts>>>, packet: &Packet, payload: &[u8], head_bytes: &mut usize) {
    let (Body::Tcp(segment), Some(tcp)) = (&packet.body, &slot.flow.tcp) else { return };
    let facts = slot.beside.get_or_insert_with(Box::default);
    let seq = segment.seq.plus(u32::from(segment.flags.has(TcpFlags::SYN)));
    let missing = packet.payload_bytes - packet.payload.captured.min(packet.payload_bytes);
    facts.records[packet.sender].take(seq, payload, missing);
    facts.read_head(packet, seq, payload, tcp.stream_start(packet.sender), head_bytes);
}

impl Conversation {
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
    fn read_head(&mut self, packet: &Packet, seq: SeqNumber, payload: &[u8], start: Option<SeqNumber>, head_bytes: &mut usize) {
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
        *head_bytes = (*head_bytes + stream.held()).saturating_sub(held); // less where segments that overlapped were joined
        let snapped = packet.payload.captured < packet.payload_bytes;
        let gives_up = snapped || stream.is_full() || *head_bytes > limits::SHARD_HEAD_BYTES_MAX;
        match reading {
            Reading::More if !gives_up => {}
            Reading::Done(message) => {
                self.close(sender, head_bytes);
                self.learn(sender, message, (packet.time, packet.number, segments));
            }
            Reading::Not | Reading::More => self.give_up(sender, head_bytes),
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
    fn close(&mut self, side: Side, head_bytes: &mut usize) -> Head {
        let head = std::mem::replace(&mut self.heads[side], Head::Done);
        if let Head::Reading { stream, .. } = &head {
            *head_bytes = head_bytes.saturating_sub(stream.held());
        }
        head
    }

    /// No more bytes will come in order: takes what a hello that was cut off shows.
    fn give_up(&mut self, side: Side, head_bytes: &mut usize) {
        if let Head::Reading { stream, segments, last: (time, packet) } = self.close(side, head_bytes)
            && let Some(fact) = tls::client_hello_so_far(stream.bytes())
        {
            self.tls[side] = true;
            self.client_hello.get_or_insert((side, Seen { fact, time, packet, segments }));
        }
    }
}

fn conversation(
    slot: Slot<Option<Box<Facts>>>,
    ended: Ended,
    timeouts: &Timeouts,
    last_time: Option<Timestamp>,
    head_bytes: &mut usize,
) -> Conversation {
    let Slot { flow, beside: mut facts, .. } = slot;
    if let Some(facts) = &mut facts {
        [Side::Low, Side::High].into_iter().for_each(|side| facts.give_up(side, head_bytes));
    }
    let (client, orientation) = orient(&flow, facts.as_deref());
    let watched_until = match (ended, last_time) {
        (Ended::CaptureEnd, Some(last)) => last,
        _ => flow.end() + timeouts.silence(&flow),
    };
    let alive_until = flow.last_clock() + timeouts.silence(&flow);
    Conversation {
        end_reason: flow.end_reason(ended),
        flow,
        facts,
        client,
        orientation,
        watched_until,
        alive_until,
        has_gap: false,
        cut_by_gap: false,
    }
}

/// Who the client is, and how that is known.
fn orient(flow: &Flow, facts: Option<&Facts>) -> (Side, Orientation) {
    let handshake = flow.tcp.as_ref().map(|tcp| &tcp.handshake);
    if let Some((client, handshake)) = handshake.and_then(|handshake| Some((handshake.client?, handshake))) {
        return (client, if handshake.syn.is_some() { Orientation::Syn } else { Orientation::SynAck });
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
        let mut shard = Shard::new(Timeouts::default());
        packets.iter().for_each(|packet| shard.update(packet, &round));
        assert_eq!(shard.head_bytes, 60, "two segments of 30 and 40 bytes and the 20 before them hold the first 60 bytes");
    }
}
