//! Every reset of a connection: the state of both sides at that point, and what its claimed sender did afterwards.
//!
//! The log forgets the middle of a long flow; what a reset has to be held against is taken down when it passes.

use crate::flow::{PacketLog, PacketRecord, limits};
use crate::model::{PacketNumber, PerSide, SeqNumber, Side, Span, Timestamp};
use crate::packet::{Packet, Segment, TcpFlags};

use super::handshake::Handshake;
use super::side::TcpSide;

/// One RST.
#[derive(Clone, Debug)]
pub struct ResetRecord {
    pub packet: PacketRecord,
    pub dont_fragment: bool,
    pub has_options: bool,
    /// The bit that RFC 3540 gave to the ECN nonce.
    pub nonce: bool,
    /// The value of its TCP timestamp.
    pub timestamp: Option<u32>,
    /// Its claimed sender and its receiver, before it.
    pub own: Before,
    pub peer: Before,
    /// Whether the SYN and the ACK of the handshake had passed.
    pub opened: Opened,
    /// A segment of the receiver acknowledged just this sequence number: what a bare reset answers (RFC 9293 section 3.10.7.1).
    pub answers_segment: bool,
    /// It acknowledges the receiver's SYN and nothing more.
    pub acks_syn: bool,
    /// From the last packet of the flow before it.
    pub idle: Span,
    pub after: After,
    /// IPv4, which has identifications.
    pub has_ip_id: bool,
}

/// How far the handshake had come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    pub syn: bool,
    pub ack: bool,
}

/// One side before a reset; earlier resets move nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Before {
    /// The lowest sequence number that it sent, as far as the log holds it.
    pub first: Option<SeqNumber>,
    /// Behind the highest byte that it sent, SYN and FIN counted.
    pub next: Option<SeqNumber>,
    /// The highest byte that it acknowledged.
    pub acked: Option<SeqNumber>,
    pub payload_packets: u32,
    pub closed: bool,
    pub resets: u32,
    /// When its last payload came that had not been seen before.
    pub last_new: Option<Timestamp>,
    /// Bytes that it sent were lost on the way to the capture.
    pub lacks_bytes: bool,
    /// Bytes that it sent were acknowledged and are not in the capture.
    pub has_unseen_bytes: bool,
    /// IP identification and TCP timestamp of its last packet.
    pub ip_id: Option<u16>,
    pub timestamp: Option<u32>,
}

/// Life signs of the claimed sender within [`limits::LIFE_SIGN`].
#[derive(Clone, Copy, Debug, Default)]
pub struct After {
    /// New payload beyond the reset, later than packets change places.
    pub data: Option<(Timestamp, PacketNumber, u32)>,
    /// Payload that had not been seen before.
    pub new_bytes: u64,
    pub syn_ack: Option<(Timestamp, PacketNumber)>,
    /// It acknowledges so many bytes more than ever before.
    pub ack: Option<(Timestamp, PacketNumber, u32)>,
    /// The receiver repeats its last acknowledgement: it doubts the reset (RFC 5961 section 3.2).
    pub challenge: bool,
}

/// The resets of a flow in trace order.
#[derive(Debug, Default)]
pub struct Resets(Vec<ResetRecord>);

impl Resets {
    /// Takes down the state that a reset meets.
    pub(super) fn add(
        &mut self,
        record: PacketRecord,
        packet: &Packet,
        segment: &Segment,
        sides: &PerSide<TcpSide>,
        log: &PacketLog,
        opening: &Handshake,
    ) {
        if self.0.len() == limits::RESETS_MAX {
            return;
        }
        let (own, peer) = (record.sender, record.sender.opposite());
        let before = |side: Side| Before::of(&sides[side], side, log, u32::from(side == own));
        let from_peer = || log.iter().filter(move |earlier| earlier.sender == peer && !earlier.is_reset());
        let near = |ack: SeqNumber| ack.offset_from(record.seq).unsigned_abs() <= limits::RESET_SLACK as u32;
        let syn_end = |earlier: &PacketRecord| earlier.flags.has(TcpFlags::SYN).then(|| earlier.seq.plus(1));
        self.0.push(ResetRecord {
            packet: record,
            dont_fragment: packet.dont_fragment,
            has_options: segment.has_options,
            nonce: segment.nonce,
            timestamp: segment.timestamps().map(|stamps| stamps.value),
            own: before(own),
            peer: before(peer),
            opened: Opened { syn: opening.syn.is_some(), ack: opening.ack.is_some() },
            answers_segment: from_peer().any(|earlier| earlier.flags.has(TcpFlags::ACK) && near(earlier.ack)),
            acks_syn: from_peer().filter_map(syn_end).any(|end| (0..=i32::from(u16::MAX)).contains(&record.ack.offset_from(end))),
            idle: log.iter().next_back().map_or(Span::ZERO, |last| record.time - last.time),
            after: After::default(),
            has_ip_id: packet.key.ip_version == 4,
        });
    }

    /// Notes what a packet that is no reset tells of the resets shortly before it.
    pub(super) fn follow(&mut self, later: &PacketRecord) {
        for reset in self.0.iter_mut().rev().take_while(|reset| later.time - reset.packet.time <= limits::LIFE_SIGN) {
            reset.follow(later);
        }
    }

    pub fn all(&self) -> &[ResetRecord] {
        &self.0
    }

    /// Bytes kept.
    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.0.capacity() * size_of::<ResetRecord>()
    }
}

impl ResetRecord {
    /// How far its IP identification lies from another, the shorter way around; none where there are no identifications.
    pub fn ip_id_from(&self, other: u16) -> Option<i32> {
        self.has_ip_id.then(|| i32::from(self.packet.ip_id.wrapping_sub(other) as i16))
    }

    fn follow(&mut self, later: &PacketRecord) {
        let span = later.time - self.packet.time;
        let at = (later.time, later.number);
        if later.sender != self.packet.sender {
            let repeats = later.payload_bytes == 0 && !later.flags.is_control() && self.peer.acked == Some(later.ack);
            self.after.challenge |= repeats && self.peer.next == Some(later.seq);
            return;
        }
        self.after.new_bytes += u64::from(later.new_bytes);
        if span <= limits::SWAPPED {
            return;
        }
        if later.new_bytes > 0 && later.payload_end().is_after(self.packet.seq) {
            self.after.data.get_or_insert((later.time, later.number, later.new_bytes));
        }
        if later.flags.is_syn_ack() {
            self.after.syn_ack.get_or_insert(at);
        } else if later.flags.has(TcpFlags::ACK) {
            let own_ack = self.packet.flags.has(TcpFlags::ACK).then_some(self.packet.ack);
            let covered = own_ack.into_iter().chain(self.own.acked).reduce(SeqNumber::max);
            let more = covered.map_or(0, |covered| later.ack.offset_from(covered));
            if more > 0 {
                self.after.ack.get_or_insert((later.time, later.number, more as u32));
            }
        }
    }
}

impl Before {
    /// `this_reset`: 1 for the sender of the reset that has been counted already.
    fn of(side: &TcpSide, sender: Side, log: &PacketLog, this_reset: u32) -> Self {
        let sent = || log.iter().filter(move |record| record.sender == sender && !record.is_reset());
        let lower = |one: SeqNumber, other: SeqNumber| if one.is_after(other) { other } else { one };
        Self {
            first: sent().map(|record| record.seq).reduce(lower),
            next: side.next,
            acked: side.acked,
            payload_packets: side.new_payload_packets,
            closed: side.fin > 0,
            resets: side.rst - this_reset,
            last_new: side.last_new(),
            lacks_bytes: side.lacks_bytes(),
            has_unseen_bytes: side.unseen_bytes > 0,
            ip_id: sent().next_back().map(|record| record.ip_id),
            timestamp: side.timestamp(),
        }
    }
}
