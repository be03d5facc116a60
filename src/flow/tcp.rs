//! TCP of one flow: handshake, sequence space of both sides, counters, history.
//!
//! Numbers that lie further away than the largest window belong to another connection or are forged: they are logged and counted, and move nothing.

use crate::model::words::TcpState;
use crate::model::{PacketNumber, PerSide, SeqNumber, Side, Span, Timestamp};
use crate::packet::{Packet, Segment, TcpFlags};

use super::{PacketLog, PacketRecord, Progress, limits};

#[derive(Debug, Default)]
pub struct Tcp {
    pub handshake: Handshake,
    pub sides: PerSide<TcpSide>,
    pub log: PacketLog,
    /// How often the side that sends new payload changed.
    turns: u32,
    speaker: Option<Side>,
    /// A reset was seen whose number can belong to the connection.
    ended_by_reset: bool,
    history: History,
}

/// The opening packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handshake {
    /// Who opened, by a SYN or by the SYN/ACK that answered it.
    pub client: Option<Side>,
    pub syn: Option<(Timestamp, SeqNumber)>,
    pub syn_count: u32,
    pub last_syn: Option<Timestamp>,
    pub syn_ack: Option<(Timestamp, SeqNumber)>,
    pub syn_ack_count: u32,
    /// The client's first segment that acknowledges the SYN/ACK.
    pub ack: Option<Timestamp>,
}

/// One side's sequence space and counters.
#[derive(Debug, Default)]
pub struct TcpSide {
    /// Behind the highest byte sent, SYN and FIN counted.
    pub next: Option<SeqNumber>,
    /// The highest acknowledgement sent.
    pub acked: Option<SeqNumber>,
    pub mss: Option<u16>,
    pub window_scale: Option<u8>,
    pub syn: u32,
    pub fin: u32,
    pub rst: u32,
    pub psh: u32,
    pub retransmits: u32,
    pub out_of_order: u32,
    pub zero_window: u32,
    /// Payload bytes, each counted once.
    pub new_payload_bytes: u64,
    pub new_payload_packets: u32,
    /// Bytes that the peer acknowledged and the capture never held.
    pub unseen_bytes: u64,
    /// The last packet with payload not seen before.
    pub last_new: Option<(Timestamp, PacketNumber)>,
    newest: Timestamp,
    /// An acknowledgement that reaches too far to be believed at once.
    doubted: Option<SeqNumber>,
    payload_end: Option<SeqNumber>,
    /// Rare, so kept apart.
    holes: Option<Box<Holes>>,
}

/// Kinds of events in the order in which each side first showed them: small letters for the low side of the key, capitals for the high one.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    seen: u64,
    letters: [u8; HISTORY_LETTERS],
    len: u8,
}

/// Eight letters for each side.
const HISTORY_LETTERS: usize = 16;

/// Ranges of sequence space that were skipped and have not come yet.
#[derive(Clone, Copy, Debug, Default)]
struct Holes {
    ranges: [Option<(SeqNumber, SeqNumber)>; limits::HOLES_MAX],
}

/// What a segment is to its side's sequence space.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    New,
    FillsHole,
    Repeats,
    /// Repeats the last byte or none to ask for an answer (RFC 9293 section 3.8.4).
    KeepAlive,
    /// Too far away to belong to this connection.
    Foreign,
}

impl Tcp {
    pub(super) fn update(&mut self, packet: &Packet, segment: &Segment) -> Progress {
        let (sender, flags) = (packet.sender, segment.flags);
        self.note_flags(sender, packet, segment);
        if flags.has(TcpFlags::RST) {
            self.ended_by_reset |= self.sides[sender].next.is_none_or(|next| !is_foreign(segment.seq.offset_from(next)));
            self.log.add(PacketRecord::new(packet, segment, 0));
            return Progress { feeds_stream: false };
        }
        self.handshake.update(packet, segment);
        let round_trip = self.handshake.round_trip();
        let (kind, new_bytes) = self.sides[sender].place(packet, segment, round_trip);
        if kind != Kind::Foreign && flags.has(TcpFlags::ACK) {
            self.acknowledge(sender, segment);
        }
        if kind == Kind::Repeats {
            self.history.note(sender, b't');
        }
        if new_bytes > 0 && self.speaker != Some(sender) {
            self.speaker = Some(sender);
            self.turns = self.turns.saturating_add(1);
        }
        self.log.add(PacketRecord::new(packet, segment, new_bytes));
        Progress { feeds_stream: packet.payload_bytes > 0 && kind != Kind::Foreign }
    }

    fn note_flags(&mut self, sender: Side, packet: &Packet, segment: &Segment) {
        let flags = segment.flags;
        let side = &mut self.sides[sender];
        side.psh += u32::from(flags.has(TcpFlags::PSH));
        side.fin += u32::from(flags.has(TcpFlags::FIN));
        side.syn += u32::from(flags.has(TcpFlags::SYN));
        side.rst += u32::from(flags.has(TcpFlags::RST));
        if segment.window == 0 && !flags.is_control() {
            side.zero_window += 1;
            self.history.note(sender, b'w');
        }
        if flags.has(TcpFlags::SYN) {
            self.history.note(sender, if flags.has(TcpFlags::ACK) { b'h' } else { b's' });
        } else if flags.has(TcpFlags::RST) {
            self.history.note(sender, b'r');
        } else if packet.payload_bytes == 0 && !flags.has(TcpFlags::FIN) && flags.has(TcpFlags::ACK) {
            self.history.note(sender, b'a');
        }
        if packet.payload_bytes > 0 && !flags.has(TcpFlags::RST) {
            self.history.note(sender, b'd');
        }
        if flags.has(TcpFlags::FIN) && !flags.has(TcpFlags::RST) {
            self.history.note(sender, b'f');
        }
    }

    fn acknowledge(&mut self, sender: Side, segment: &Segment) {
        let ack = segment.ack;
        let Some(next) = self.sides[sender.opposite()].next else { return };
        let beyond = ack.offset_from(next);
        if is_foreign(beyond) || (beyond > 0 && !self.sides[sender].believes(segment, beyond)) {
            return;
        }
        let peer = &mut self.sides[sender.opposite()];
        if beyond > 0 {
            peer.unseen_bytes += beyond as u64;
            peer.next = Some(ack);
        }
        peer.unseen_bytes += peer.holes.as_mut().map_or(0, |holes| holes.close_below(ack));
        let side = &mut self.sides[sender];
        side.acked = Some(side.acked.map_or(ack, |highest| highest.max(ack)));
    }

    /// How often payload changed direction, its first packet counted.
    pub fn turns(&self) -> u32 {
        self.turns
    }

    /// The sequence number of a side's first payload byte, where the start of its stream was seen.
    pub fn stream_start(&self, side: Side) -> Option<SeqNumber> {
        let from_client = self.handshake.client? == side;
        let (_, initial) = if from_client { self.handshake.syn? } else { self.handshake.syn_ack? };
        Some(initial.plus(1))
    }

    /// Bytes kept in boxes of its own.
    pub(super) fn held(&self) -> usize {
        self.log.held() + self.sides.0.iter().filter(|side| side.holes.is_some()).count() * size_of::<Holes>()
    }

    pub fn reset_seen(&self) -> bool {
        self.sides.0.iter().any(|side| side.rst > 0)
    }

    pub fn closed_by_both(&self) -> bool {
        self.sides.0.iter().all(|side| side.fin > 0)
    }

    /// Whether the connection was opened and both sides took part.
    pub fn is_established(&self) -> bool {
        self.handshake.syn_ack.is_some() && self.handshake.ack.is_some()
    }

    /// Whether only stragglers are expected.
    pub(super) fn is_over(&self) -> bool {
        self.ended_by_reset || self.closed_by_both()
    }

    /// A SYN with another initial sequence number begins another connection (RFC 9293 section 3.6.1).
    pub(super) fn is_reused_by(&self, packet: &Packet, segment: &Segment) -> bool {
        match (self.handshake.syn, self.handshake.client) {
            (Some((_, initial)), client) => segment.seq != initial || client != Some(packet.sender),
            // A SYN that the capture shows behind its own SYN/ACK is late, not new.
            (None, Some(client)) => client != packet.sender,
            (None, None) => !self.log.head().is_empty(),
        }
    }

    /// Zeek's history string: capitals for the client.
    pub fn history(&self, client: Side) -> String {
        self.history.letters().map(|(side, letter)| if side == client { letter.to_ascii_uppercase() } else { letter } as char).collect()
    }

    /// Zeek's conn_state.
    pub fn state(&self, client: Side) -> TcpState {
        let server = client.opposite();
        let (opened, answered) = (self.handshake.syn.is_some(), self.handshake.syn_ack.is_some());
        let reset_by = |side| self.sides[side].rst > 0;
        let closed_by = |side: Side| self.sides[side].fin > 0;
        match (opened, answered) {
            (true, true) if reset_by(client) && !(reset_by(server) && self.first_reset() == Some(server)) => TcpState::Rsto,
            (true, true) if reset_by(server) => TcpState::Rstr,
            (true, true) => match (closed_by(client), closed_by(server)) {
                (true, true) => TcpState::Sf,
                (true, false) => TcpState::S2,
                (false, true) => TcpState::S3,
                (false, false) => TcpState::S1,
            },
            (true, false) if reset_by(server) => TcpState::Rej,
            (true, false) if reset_by(client) => TcpState::Rstos0,
            (true, false) if closed_by(client) => TcpState::Sh,
            (true, false) => TcpState::S0,
            (false, true) if reset_by(server) => TcpState::Rstrh,
            (false, true) if closed_by(server) => TcpState::Shr,
            _ => TcpState::Oth,
        }
    }

    fn first_reset(&self) -> Option<Side> {
        self.history.letters().find(|(_, letter)| *letter == b'r').map(|(side, _)| side)
    }
}

impl Handshake {
    fn update(&mut self, packet: &Packet, segment: &Segment) {
        let flags = segment.flags;
        if flags.is_opening() {
            self.syn.get_or_insert((packet.time, segment.seq));
            self.client.get_or_insert(packet.sender);
            self.syn_count += 1;
            self.last_syn = Some(packet.time);
        } else if flags.is_syn_ack() {
            self.syn_ack.get_or_insert((packet.time, segment.seq));
            self.client.get_or_insert(packet.sender.opposite());
            self.syn_ack_count += 1;
        } else if self.ack.is_none() && flags.has(TcpFlags::ACK) && self.client == Some(packet.sender) {
            let answers = self.syn_ack.is_some_and(|(_, initial)| segment.ack.offset_from(initial) >= 1);
            self.ack = answers.then_some(packet.time);
        }
    }

    /// SYN to SYN/ACK, none after a repeated SYN (Karn's rule, RFC 6298 section 3).
    pub fn syn_rtt(&self) -> Option<Span> {
        let (syn, syn_ack) = (self.syn?.0, self.syn_ack?.0);
        (self.syn_count == 1 && self.syn_ack_count == 1).then_some(syn_ack - syn)
    }

    /// SYN/ACK to the ACK that completes the handshake.
    pub fn ack_rtt(&self) -> Option<Span> {
        let (syn_ack, ack) = (self.syn_ack?.0, self.ack?);
        (self.syn_count <= 1 && self.syn_ack_count == 1).then_some(ack - syn_ack)
    }

    /// Both halves: the round trip between the ends, wherever the capture was taken.
    pub fn round_trip(&self) -> Option<Span> {
        Some(self.syn_rtt()? + self.ack_rtt()?)
    }
}

impl TcpSide {
    /// Whether this side can have received `beyond` bytes more than the capture holds: no more than its window lets in, or it says so twice.
    fn believes(&mut self, segment: &Segment, beyond: i32) -> bool {
        let window = (u32::from(segment.window) << self.window_scale.unwrap_or(0).min(14)).max(limits::WINDOW_UNSCALED);
        let again = self.doubted.is_some_and(|doubted| (0..=window as i32).contains(&segment.ack.offset_from(doubted)));
        self.doubted = Some(segment.ack);
        beyond as u32 <= window || again
    }

    /// Behind the last byte of payload sent.
    pub fn payload_end(&self) -> Option<SeqNumber> {
        self.payload_end
    }

    /// Places a segment in the sequence space: what it is, and how many bytes of payload are new.
    fn place(&mut self, packet: &Packet, segment: &Segment, round_trip: Option<Span>) -> (Kind, u32) {
        if segment.flags.has(TcpFlags::SYN) {
            self.mss = segment.mss.or(self.mss);
            self.window_scale = segment.window_scale.or(self.window_scale);
        }
        let length = segment.sequence_length(packet.payload_bytes);
        let end = segment.seq.plus(length);
        let Some(next) = self.next else {
            self.next = Some(end);
            return self.advance(packet, segment, packet.payload_bytes);
        };
        let ahead = segment.seq.offset_from(next);
        let (kind, new_bytes) = match end.offset_from(next) {
            _ if is_foreign(ahead) => (Kind::Foreign, 0),
            beyond if beyond > 0 => {
                if ahead > 0 {
                    self.holes.get_or_insert_default().open(next, segment.seq);
                }
                self.next = Some(end);
                return self.advance(packet, segment, packet.payload_bytes.min(beyond as u32));
            }
            _ if length == 0 => (Kind::New, 0),
            _ if length <= 1 && ahead == -1 => (Kind::KeepAlive, 0),
            _ => match self.holes.as_mut().map_or(0, |holes| holes.fill(segment.seq, end)) {
                0 => (Kind::Repeats, 0),
                filled => (Kind::FillsHole, filled.min(packet.payload_bytes)),
            },
        };
        match kind {
            // Bytes that fill a hole soon after it was torn were overtaken; later they are the repetition of lost ones.
            Kind::FillsHole
                if packet.time - self.newest <= round_trip.map_or(limits::REORDER_SPAN, |rtt| Span(rtt.0 / 2).max(limits::REORDER_SPAN)) =>
            {
                self.out_of_order += 1
            }
            Kind::FillsHole | Kind::Repeats => self.retransmits += 1,
            _ => {}
        }
        if new_bytes > 0 {
            self.count_new(packet, new_bytes);
        }
        (kind, new_bytes)
    }

    fn advance(&mut self, packet: &Packet, segment: &Segment, new_bytes: u32) -> (Kind, u32) {
        self.newest = packet.time;
        if new_bytes > 0 {
            self.payload_end = Some(segment.seq.plus(u32::from(segment.flags.has(TcpFlags::SYN)) + packet.payload_bytes));
            self.count_new(packet, new_bytes);
        }
        (Kind::New, new_bytes)
    }

    fn count_new(&mut self, packet: &Packet, new_bytes: u32) {
        self.new_payload_bytes += u64::from(new_bytes);
        self.new_payload_packets += 1;
        self.last_new = Some((packet.time, packet.number));
    }
}

impl History {
    /// A letter per kind of event, once per side.
    fn note(&mut self, side: Side, letter: u8) {
        let bit = 1 << (u32::from(letter.to_ascii_lowercase() - b'a') + 26 * side as u32);
        if self.seen & bit == 0 && usize::from(self.len) < self.letters.len() {
            self.seen |= bit;
            self.letters[usize::from(self.len)] = if side == Side::Low { letter } else { letter.to_ascii_uppercase() };
            self.len += 1;
        }
    }

    fn letters(&self) -> impl Iterator<Item = (Side, u8)> {
        let side = |letter: u8| if letter.is_ascii_lowercase() { Side::Low } else { Side::High };
        self.letters[..usize::from(self.len)].iter().map(move |&letter| (side(letter), letter.to_ascii_lowercase()))
    }
}

/// Further away than any window reaches.
fn is_foreign(distance: i32) -> bool {
    distance.unsigned_abs() > limits::WINDOW_MAX
}

impl Holes {
    fn open(&mut self, from: SeqNumber, to: SeqNumber) {
        if let Some(free) = self.ranges.iter_mut().find(|range| range.is_none()) {
            *free = Some((from, to));
        }
    }

    /// Takes `from..to` out of the holes; the bytes that were missing until now.
    fn fill(&mut self, from: SeqNumber, to: SeqNumber) -> u32 {
        let mut filled = 0;
        for index in 0..self.ranges.len() {
            let Some((start, end)) = self.ranges[index] else { continue };
            let (left, right) = (start.max(from), if to.is_after(end) { end } else { to });
            if !right.is_after(left) {
                continue;
            }
            filled += right.offset_from(left) as u32;
            self.ranges[index] = left.is_after(start).then_some((start, left));
            if end.is_after(right) {
                self.open(right, end);
            }
        }
        filled
    }

    /// Gives up what the peer has acknowledged although it was never seen; the bytes given up.
    fn close_below(&mut self, ack: SeqNumber) -> u64 {
        let mut given_up = 0;
        for range in &mut self.ranges {
            if let Some((start, end)) = *range {
                let seen = if ack.is_after(end) { end } else { ack };
                if seen.is_after(start) {
                    given_up += seen.offset_from(start) as u64;
                    *range = end.is_after(seen).then_some((seen, end));
                }
            }
        }
        given_up
    }
}
