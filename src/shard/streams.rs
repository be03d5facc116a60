//! The readers of the two streams of a TCP flow.
//!
//! A reader gets the bytes of its side in order, from the first one. Bytes that a packet brings are read where they stand in the round; only what a reader
//! has not finished with is kept.

use crate::app::heads::HEAD_BYTES;
use crate::app::stream::{Fact, Reader};
use crate::app::{Reading, tls};
use crate::flow::{Contiguous, StreamHead};
use crate::model::{PacketNumber, PerSide, SeqNumber, Side, Timestamp};
use crate::packet::Packet;

use super::HeadMemory;
use super::facts::{Facts, Place};
use super::transactions::Messages;

/// Readers of both sides.
#[derive(Debug, Default)]
pub struct Streams(PerSide<Head>);

/// The reader of one side.
#[derive(Debug, Default)]
enum Head {
    /// No payload yet.
    #[default]
    Waiting,
    Open(Box<Open>),
    Done,
}

#[derive(Debug)]
struct Open {
    stream: StreamHead,
    reader: Reader,
    /// Where the stream began.
    start: SeqNumber,
    segments: u32,
    last: (Timestamp, PacketNumber),
}

/// A payload of one side.
pub struct Segment<'a> {
    pub packet: &'a Packet,
    pub seq: SeqNumber,
    pub payload: &'a [u8],
    /// Where the side's stream begins, if that is known.
    pub start: Option<SeqNumber>,
    pub may_be_dns: bool,
}

impl Streams {
    /// Reads a segment; messages of DNS go to `dns`, everything else to `facts`.
    pub fn take(&mut self, segment: &Segment<'_>, facts: &mut Facts, heads: &mut HeadMemory, dns: &mut Messages<'_>) {
        let sender = segment.packet.sender;
        if matches!(self.0[sender], Head::Waiting) {
            self.0[sender] = Head::Open(Box::new(Open::new(segment)));
        }
        let Head::Open(open) = &mut self.0[sender] else { return };
        let held = open.stream.held();
        let is_over = open.take(segment, facts, dns);
        heads.held = (heads.held + open.stream.held()).saturating_sub(held); // less where segments that overlapped were joined
        let snapped = segment.payload.len() < segment.packet.payload_bytes as usize;
        if is_over || snapped || open.stream.is_full() || heads.held > heads.max {
            self.close(sender, facts, heads, dns);
        }
    }

    /// No more bytes will come: takes what messages that were cut off show.
    pub fn end(&mut self, facts: &mut Facts, heads: &mut HeadMemory, dns: &mut Messages<'_>) {
        [Side::Low, Side::High].into_iter().for_each(|side| self.close(side, facts, heads, dns));
    }

    /// Bytes of its readers; those of the streams are counted in the memory of heads.
    pub fn held(&self) -> usize {
        self.0.0.iter().filter(|head| matches!(head, Head::Open(_))).count() * size_of::<Open>()
    }

    fn close(&mut self, side: Side, facts: &mut Facts, heads: &mut HeadMemory, dns: &mut Messages<'_>) {
        let Head::Open(open) = std::mem::replace(&mut self.0[side], Head::Done) else { return };
        heads.held = heads.held.saturating_sub(open.stream.held());
        if let Some(fact) = open.reader.so_far(open.stream.bytes()) {
            open.tell(side, fact, open.stream.start().plus(open.stream.bytes().len() as u32), facts, dns);
        } else if open.reader.is_foreign() {
            let bytes = open.stream.bytes();
            facts.heads.get_or_insert_default().streams[side] = bytes[..bytes.len().min(HEAD_BYTES)].to_vec();
        }
    }
}

impl Open {
    fn new(segment: &Segment<'_>) -> Self {
        let start = segment.start.unwrap_or(segment.seq);
        let last = (segment.packet.time, segment.packet.number);
        Self { stream: StreamHead::new(start), reader: Reader::new(segment.may_be_dns), start, segments: 0, last }
    }

    /// Reads a segment; whether nothing more can be told.
    fn take(&mut self, segment: &Segment<'_>, facts: &mut Facts, dns: &mut Messages<'_>) -> bool {
        let Segment { packet, seq, payload, .. } = *segment;
        self.segments += 1;
        self.last = (packet.time, packet.number);
        let before = self.stream.start();
        let (bytes, is_direct) = match self.stream.take(seq, payload) {
            Contiguous::Direct(bytes) => (bytes, true),
            Contiguous::Grown(bytes) => (bytes, false),
            Contiguous::Unchanged => return false,
        };
        let (mut used, mut found) = (0, Vec::new());
        let is_over = loop {
            let step = self.reader.step(&bytes[used..]);
            used += step.used;
            match step.reading {
                Reading::Done(fact) => found.push((fact, before.plus(used as u32))),
                Reading::More => break false,
                Reading::Not => break true,
            }
        };
        let is_foreign = is_over && self.reader.is_foreign(); // only its first bytes are still wanted
        let wants_more = !is_over || (is_foreign && bytes.len() - used < HEAD_BYTES);
        self.stream.skip(used);
        if is_direct && is_foreign {
            self.stream.keep(&payload[used..payload.len().min(used + HEAD_BYTES)]);
        } else if is_direct && wants_more {
            self.stream.keep(&payload[used..]);
        }
        found.into_iter().for_each(|(fact, end)| self.tell(packet.sender, fact, end, facts, dns));
        !wants_more
    }

    /// Hands on a fact whose bytes end at a place of the stream.
    fn tell(&self, sender: Side, fact: Fact, end: SeqNumber, facts: &mut Facts, dns: &mut Messages<'_>) {
        let end = end.offset_from(self.start).max(0) as u32;
        let bytes = if let Fact::Tls(tls::Message::ClientHello(hello)) = &fact { hello.stream_bytes } else { end };
        let place = Place { time: self.last.0, packet: self.last.1, segments: self.segments, offset: end.saturating_sub(bytes) };
        match fact {
            Fact::Dns(message) => dns.take(sender, *message, self.last),
            other => facts.learn(sender, other, place),
        }
    }
}
