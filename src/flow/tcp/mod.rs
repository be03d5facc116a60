//! TCP of one flow, as both ends see it: the handshake, the sequence space of each side, what each segment is, round trips, Zeek's state and history.
//!
//! Numbers that lie further away than a window reaches belong to another connection or are forged: they are logged and counted, and move nothing.

mod handshake;
mod history;
mod holes;
mod ip_id;
mod kind;
mod resets;
mod round_trips;
mod side;
mod state;

pub use handshake::Handshake;
pub use kind::Kind;
pub use resets::{After, Before, ResetRecord};
pub use round_trips::Samples;
pub use side::TcpSide;

use crate::model::words::TcpState;
use crate::model::{PerSide, SeqNumber, Side};
use crate::packet::{Packet, Segment, TcpFlags};

use super::{PacketLog, PacketRecord, Progress, limits};
use history::{History, Numbered};
use resets::Resets;
use side::Placed;
use state::Ends;

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
    /// Only where there are any.
    resets: Option<Box<Resets>>,
    ends: Ends,
    history: History,
}

/// With the hot part of its flow and a log of a few packets, a connection costs less than a kilobyte.
const _: () = assert!(std::mem::size_of::<Tcp>() <= 576);

impl Tcp {
    pub(super) fn update(&mut self, packet: &Packet, segment: &Segment) -> Progress {
        let (sender, flags) = (packet.sender, segment.flags);
        self.sides[sender].count(packet, segment);
        if flags.has(TcpFlags::RST) {
            return self.reset(packet, segment);
        }
        self.handshake.update(packet, segment);
        self.ends.update(sender, self.handshake.client, flags, packet.payload_bytes > 0);
        let placed = Placed::new(packet, segment);
        let handshake = &self.handshake;
        let (own, peer) = self.sides.split_mut(sender);
        let in_place = own.next == Some(segment.seq);
        let (mut kind, new_bytes) = own.place(&placed, peer, || handshake.round_trip());
        let mut reveals_gap = false;
        if kind != Kind::Foreign && flags.has(TcpFlags::ACK) {
            let acknowledged = own.acknowledge(&placed, peer, in_place);
            kind = if kind == Kind::Original { acknowledged.kind } else { kind };
            reveals_gap = acknowledged.reveals_gap && !flags.has(TcpFlags::FIN);
        }
        own.note(kind, &placed);
        self.note_history(packet, segment, kind, reveals_gap);
        if new_bytes > 0 && self.speaker != Some(sender) {
            self.speaker = Some(sender);
            self.turns = self.turns.saturating_add(1);
        }
        let record = PacketRecord::new(packet, segment, new_bytes, kind);
        if let Some(resets) = &mut self.resets {
            resets.follow(&record);
        }
        self.log.add(record);
        Progress { feeds_stream: packet.payload_bytes > 0 && kind != Kind::Foreign }
    }

    /// A reset moves nothing; it ends the connection where its number can belong to it.
    fn reset(&mut self, packet: &Packet, segment: &Segment) -> Progress {
        let sender = packet.sender;
        let is_foreign = self.sides[sender].next.is_some_and(|next| segment.seq.offset_from(next).unsigned_abs() > limits::WINDOW_MAX);
        self.ended_by_reset |= !is_foreign;
        self.ends.update(sender, self.handshake.client, segment.flags, packet.payload_bytes > 0);
        let kind = if is_foreign { Kind::Foreign } else { Kind::Original };
        self.note_history(packet, segment, kind, false);
        let record = PacketRecord::new(packet, segment, 0, kind);
        let resets = self.resets.get_or_insert_default();
        resets.add(record, packet, segment, &self.sides, &self.log, &self.handshake);
        self.log.add(record);
        Progress { feeds_stream: false }
    }

    #[inline]
    fn note_history(&mut self, packet: &Packet, segment: &Segment, kind: Kind, reveals_gap: bool) {
        let (sender, flags) = (packet.sender, segment.flags);
        if flags.is_control() {
            self.note_control(packet, segment);
        } else if packet.payload_bytes > 0 {
            self.history.note(sender, b'd');
        } else if flags.has(TcpFlags::ACK) {
            self.history.note(sender, b'a');
        }
        if kind.is_retransmission() && packet.payload_bytes > 0 {
            self.history.note(sender, b't');
        }
        // A window that closes matters while the peer may still send.
        let peer = &self.sides[sender.opposite()];
        if segment.window == 0 && !flags.has(TcpFlags::RST) && peer.fin == 0 && self.sides[sender].rst == 0 {
            self.history.note(sender, b'w');
        }
        if reveals_gap {
            self.history.note(sender.opposite(), b'g');
        } else if self.sides[sender].unseen_bytes == 0 {
            self.history.take_back(sender, b'g');
        }
    }

    fn note_control(&mut self, packet: &Packet, segment: &Segment) {
        let (sender, flags) = (packet.sender, segment.flags);
        let (syn, fin, rst) = (flags.has(TcpFlags::SYN), flags.has(TcpFlags::FIN), flags.has(TcpFlags::RST));
        match (syn, fin, rst) {
            (_, true, true) => self.history.note(sender, b'i'),
            (true, true, _) | (true, _, true) => self.history.note(sender, b'q'),
            (true, ..) => self.history.note_numbered(sender, if flags.has(TcpFlags::ACK) { b'h' } else { b's' }, Numbered::Syn, segment.seq),
            // The number of a FIN is that behind the payload before it.
            (_, true, _) => self.history.note_numbered(sender, b'f', Numbered::Fin, segment.seq.plus(packet.payload_bytes)),
            _ => self.history.note_numbered(sender, b'r', Numbered::Rst, segment.seq),
        }
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

    /// Every reset with the state that it met.
    pub fn resets(&self) -> &[ResetRecord] {
        self.resets.as_ref().map_or(&[], |resets| resets.all())
    }

    /// Bytes kept in boxes of its own.
    pub(super) fn held(&self) -> usize {
        self.log.held() + self.resets.as_ref().map_or(0, |resets| resets.held()) + self.sides.0.iter().map(TcpSide::held).sum::<usize>()
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

    /// Whether only stragglers are expected: a reset was seen, or both FINs and what acknowledges them. A FIN without an acknowledgement will be repeated.
    pub(super) fn is_over(&self) -> bool {
        let [low, high] = &self.sides.0;
        self.ended_by_reset || (self.closed_by_both() && low.is_closed_for(high) && high.is_closed_for(low))
    }

    /// Whether a SYN without ACK begins another connection.
    pub(super) fn is_reused_by(&self, packet: &Packet, segment: &Segment) -> bool {
        let crosses = !self.ended_by_reset || self.handshake.client.is_none_or(|client| client == packet.sender);
        !crosses || self.handshake.is_reused_by(packet, segment)
    }

    /// Zeek's history string: capitals for the client, `^` in front where the first packet came from the server.
    pub fn history(&self, client: Side) -> String {
        let flipped = self.log.head().first().is_some_and(|first| first.sender != client);
        let letter = |(side, letter): (Side, u8)| if side == client { letter.to_ascii_uppercase() } else { letter } as char;
        flipped.then_some('^').into_iter().chain(self.history.letters().map(letter)).collect()
    }

    /// Zeek's conn_state.
    pub fn state(&self, client: Side) -> TcpState {
        let silent = self.sides.0.iter().all(|side| side.new_payload_bytes == 0);
        self.ends.state(client, &self.history, silent)
    }
}

#[cfg(test)]
mod tests;
