//! Every reset of a flow, held against the state of the connection at that point.

use crate::flow::limits::{LIFE_SIGN, RESET_SLACK as SLACK};
use crate::flow::{Before, ResetRecord};
use crate::model::words::Stage;
use crate::model::{Direction, PacketNumber, SeqNumber, Span, Timestamp};
use crate::packet::TcpFlags;

use super::TcpView;

pub use crate::model::words::RstForm as Form;

/// One RST.
#[derive(Clone, Debug)]
pub struct Reset<'a> {
    pub record: &'a ResetRecord,
    pub direction: Direction,
    pub packet: PacketNumber,
    pub time: Timestamp,
    pub seq: SeqNumber,
    /// None without the ACK flag.
    pub ack: Option<SeqNumber>,
    pub form: Form,
    /// Whether a FIN of either side, or a reset of the peer, came before.
    pub closing: bool,
    /// The reset of the same direction before it.
    pub previous: Option<&'a ResetRecord>,
    /// To the median of its claimed sender's packets that are no resets.
    pub ttl_delta: Option<i32>,
    /// It follows an unanswered request of its receiver sooner than a round trip takes; none where that cannot be told.
    pub too_early: Option<bool>,
}

/// What comes sooner than this share of a round trip, and by so much, is no answer (by design: paths vary).
const EARLY_SHARE: f64 = 0.7;
const EARLY_MARGIN: Span = Span::from_millis(2);

impl<'a> Reset<'a> {
    pub fn all(view: &TcpView<'a>) -> Vec<Self> {
        let records = view.tcp.resets();
        if records.is_empty() {
            return Vec::new();
        }
        let previous = |at: usize| records[..at].iter().rev().find(|earlier| earlier.packet.sender == records[at].packet.sender);
        let usual_ttls = Direction::BOTH.map(|direction| (direction, view.usual_ttl(direction)));
        let usual_ttl = |record: &ResetRecord| usual_ttls.into_iter().find(|(direction, _)| *direction == view.direction(&record.packet))?.1;
        records.iter().enumerate().map(|(at, record)| Self::new(view, record, previous(at), usual_ttl(record))).collect()
    }

    fn new(view: &TcpView<'a>, record: &'a ResetRecord, previous: Option<&'a ResetRecord>, usual_ttl: Option<u8>) -> Self {
        let packet = &record.packet;
        let direction = view.direction(packet);
        Self {
            record,
            direction,
            packet: packet.number,
            time: packet.time,
            seq: packet.seq,
            ack: packet.flags.has(TcpFlags::ACK).then_some(packet.ack),
            form: form(record, view.conversation.flow.back_step > 0),
            closing: record.own.closed || record.peer.closed || record.peer.resets > 0,
            previous,
            ttl_delta: usual_ttl.map(|usual| i32::from(packet.ttl) - i32::from(usual)),
            too_early: too_early(view, record, direction),
        }
    }

    /// Whether the peer's SYN was the only thing it answers.
    pub fn refuses(&self) -> bool {
        self.form == Form::Refused
    }

    /// How far the connection had come; none where its start was not captured.
    pub fn stage(&self) -> Option<Stage> {
        let (opened, client) = (self.record.opened, self.side(Direction::ClientToServer));
        opened.syn.then_some(Stage::of(opened.ack, client.payload_packets))
    }

    /// The state of the side that sends in a direction.
    fn side(&self, direction: Direction) -> &Before {
        if direction == self.direction { &self.record.own } else { &self.record.peer }
    }

    /// From the next sequence number of its claimed sender.
    pub fn seq_offset(&self) -> Option<i32> {
        Some(self.seq.offset_from(self.record.own.next?))
    }

    /// From what its claimed sender can have received at the most.
    pub fn ack_offset(&self) -> Option<i32> {
        Some(self.ack?.offset_from(self.record.peer.next?))
    }

    /// From the last byte that its receiver had acknowledged.
    pub fn peer_ack_offset(&self) -> Option<i32> {
        Some(self.seq.offset_from(self.record.peer.acked?))
    }

    /// From the identification of its claimed sender's packet before it, the shorter way around.
    pub fn ip_id_delta(&self) -> Option<i32> {
        self.record.ip_id_from(self.record.own.ip_id?)
    }

    /// From the last timestamp of its claimed sender, in ticks of the sender's clock.
    pub fn timestamp_delta(&self) -> Option<i32> {
        Some(self.record.timestamp?.wrapping_sub(self.record.own.timestamp?) as i32)
    }

    /// Since the last payload of its receiver that had not been seen before.
    pub fn after_request(&self) -> Option<Span> {
        self.record.peer.last_new.map(|asked| self.time - asked)
    }

    /// The reset of the same direction shortly before it.
    pub fn previous_of_burst(&self) -> Option<&'a ResetRecord> {
        self.previous.filter(|previous| self.time - previous.packet.time <= LIFE_SIGN)
    }

    /// The resets of the same direction that came before it, each shortly before the next, the latest first; `earlier`: all of the flow before it.
    pub fn burst<'b>(&self, earlier: &'b [Reset<'a>]) -> impl Iterator<Item = &'a ResetRecord> + use<'a, 'b> {
        let direction = self.direction;
        let mut own = earlier.iter().rev().filter(move |other| other.direction == direction);
        std::iter::successors(self.previous_of_burst(), move |_| own.next()?.previous_of_burst())
    }

    /// So many resets of its burst right before it have its numbers and the ACK flag. A stack that gives up says so once, and answers what still comes by
    /// resets without ACK (RFC 9293 section 3.10.7.1).
    pub fn repeats(&self, earlier: &[Reset<'a>]) -> usize {
        let packet = &self.record.packet;
        let is_same = |record: &&ResetRecord| {
            let other = &record.packet;
            other.seq == packet.seq && other.ack == packet.ack && other.flags.has(TcpFlags::ACK)
        };
        if self.ack.is_some() { self.burst(earlier).take_while(is_same).count() } else { 0 }
    }

    // The tests of Weaver, Sommer, Paxson, "Detecting Forged TCP Reset Packets", NDSS 2009.

    /// RST_SEQ_DATA: so many bytes below what its claimed sender had sent. A bare reset that answers a segment carries that segment's acknowledgement, which
    /// may lie below (RFC 9293 section 3.10.7.1).
    pub fn behind_data(&self) -> Option<i32> {
        let behind = self.record.own.next?.offset_from(self.seq);
        let answers = self.ack.is_none() && self.record.answers_segment;
        (behind > SLACK && !answers && !self.refuses() && self.seq.0 != 0).then_some(behind)
    }

    /// RST_SEQ_CHANGE: so many bytes beyond the reset before it, and beyond all that was sent and acknowledged.
    pub fn seq_change(&self) -> Option<i32> {
        let change = self.seq.offset_from(self.previous_of_burst()?.packet.seq);
        let beyond_sent = self.seq_offset().is_some_and(|offset| offset > SLACK);
        let beyond_acked = self.peer_ack_offset().is_none_or(|offset| offset > SLACK);
        (change > SLACK && beyond_sent && beyond_acked).then_some(change)
    }

    /// RST_ACK_CHANGE: it acknowledges something else than the reset before it, and what its receiver never sent.
    pub fn ack_change(&self) -> Option<i32> {
        let before = self.previous_of_burst().filter(|previous| previous.packet.flags.has(TcpFlags::ACK))?;
        let change = self.ack?.offset_from(before.packet.ack);
        (change != 0 && !self.acks_what_was_sent()).then_some(change)
    }

    /// The ACK flag and the field behind it belong together: a number without the flag, or the flag without a number.
    pub fn ack_is_odd(&self) -> bool {
        self.record.packet.flags.has(TcpFlags::ACK) == (self.record.packet.ack.0 == 0)
    }

    fn acks_what_was_sent(&self) -> bool {
        self.ack.is_none_or(|ack| acknowledges_sent(&self.record.peer, ack))
    }
}

/// What the claimed sender may have received: anything from the peer's first byte to its last so far.
fn acknowledges_sent(peer: &Before, ack: SeqNumber) -> bool {
    peer.first.zip(peer.next).is_some_and(|(first, next)| ack.offset_from(first) >= 0 && ack.offset_from(next) <= SLACK)
}

/// What a conforming stack sends (RFC 9293 sections 3.5.2 and 3.10.7), by the state that the capture shows at this point.
fn form(record: &ResetRecord, out_of_order: bool) -> Form {
    let ResetRecord { packet, own, peer, .. } = record;
    let has_ack = packet.flags.has(TcpFlags::ACK);
    let Some(next) = own.next else {
        return if has_ack && packet.seq.0 == 0 && record.acks_syn {
            Form::Refused
        } else if !has_ack && record.answers_segment {
            Form::ReplyToAck
        } else {
            Form::Unknown
        };
    };
    if out_of_order || own.has_unseen_bytes || peer.has_unseen_bytes || peer.next.is_none() {
        return Form::Unknown;
    }
    let fits = !has_ack || acknowledges_sent(peer, packet.ack);
    let ahead = packet.seq.offset_from(next);
    if ahead.unsigned_abs() <= SLACK as u32 && fits {
        return if own.closed { Form::Late } else { Form::Abort };
    }
    if record.answers_segment && fits {
        return Form::ReplyToAck;
    }
    // What is lost on the way may have been followed by more that was lost.
    let may_be_lost = own.lacks_bytes && ahead > 0;
    if own.closed || may_be_lost { Form::Unknown } else { Form::Nonconforming }
}

/// Only a request that is still unanswered can be what a reset reacts to.
fn too_early(view: &TcpView<'_>, record: &ResetRecord, direction: Direction) -> Option<bool> {
    let (asked, answered) = (record.peer.last_new?, record.own.last_new);
    let trip = view.round_trip_to(direction)?;
    let span = record.packet.time - asked;
    let pending = answered.is_none_or(|answered| answered <= asked);
    (direction == Direction::ServerToClient).then(|| pending && is_too_early(span, trip, EARLY_SHARE))
}

/// Whether something follows what it should answer sooner than this share of a round trip.
pub fn is_too_early(span: Span, round_trip: Span, share: f64) -> bool {
    span >= Span::ZERO && span.as_ms() < share * round_trip.as_ms() && Span(round_trip.0 - span.0) >= EARLY_MARGIN
}
