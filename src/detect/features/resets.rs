//! Every reset of a flow with the state of the connection at that point.

use crate::flow::PacketRecord;
use crate::model::{Direction, PacketNumber, SeqNumber, Side, Span, Timestamp};
use crate::packet::TcpFlags;

use super::TcpView;

/// What a conforming stack sends (RFC 9293 sections 3.5.2 and 3.10.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// RST+ACK with sequence number 0, acknowledging a SYN: no such port.
    Refused,
    /// A bare RST with the sequence number that a segment of the peer acknowledged: no such connection.
    ReplyToAck,
    /// At the next sequence number, acknowledging what was received: the application gave up.
    Abort,
    /// The same behind a FIN of the same side.
    Late,
    /// None of these.
    Nonconforming,
    /// The capture is too poor to tell.
    Unknown,
}

/// One RST.
#[derive(Clone, Debug)]
pub struct Reset {
    pub direction: Direction,
    pub packet: PacketNumber,
    pub time: Timestamp,
    pub seq: SeqNumber,
    pub ack: Option<SeqNumber>,
    pub form: Form,
    /// Behind the highest byte that its claimed sender had sent before; none where that was nothing.
    pub sender_next: Option<SeqNumber>,
    /// The highest byte that its peer had acknowledged.
    pub peer_acked: Option<SeqNumber>,
    /// From the last packet of the flow before it.
    pub idle: Span,
    /// Whether a FIN of either side, or a reset of the peer, came before.
    pub closing: bool,
}

/// Sequence numbers may be off by a SYN and a FIN.
const SLACK: i32 = 2;

impl Reset {
    pub fn all(view: &TcpView<'_>) -> Vec<Self> {
        let records: Vec<&PacketRecord> = view.tcp.log.iter().collect();
        let resets = records.iter().enumerate().filter(|(_, record)| record.is_reset());
        resets
            .map(|(at, record)| {
                let told = Self::new(view, record, &records[..at]);
                if shows_both_sides(&records[..at], view.tcp.log.unbroken_before(at)) { told } else { told.behind_gap() }
            })
            .collect()
    }

    /// What may have been sent or acknowledged in packets that the log left out does not count against a reset.
    fn behind_gap(self) -> Self {
        Self { form: Form::Unknown, sender_next: None, peer_acked: None, idle: Span::ZERO, ..self }
    }

    fn new(view: &TcpView<'_>, reset: &PacketRecord, before: &[&PacketRecord]) -> Self {
        let sender = reset.sender;
        let earlier = |own: bool| before.iter().filter(move |record| (record.sender == sender) == own && !record.is_reset());
        let sender_next = earlier(true).map(|record| end_of(record)).reduce(SeqNumber::max);
        let acks = || earlier(false).filter(|record| record.flags.has(TcpFlags::ACK)).map(|record| record.ack);
        Self {
            direction: view.direction(reset),
            packet: reset.number,
            time: reset.time,
            seq: reset.seq,
            ack: reset.flags.has(TcpFlags::ACK).then_some(reset.ack),
            form: form(view, reset, before, sender_next),
            sender_next,
            peer_acked: acks().reduce(SeqNumber::max),
            idle: before.last().map_or(Span::ZERO, |last| reset.time - last.time),
            closing: before.iter().any(|record| record.flags.has(TcpFlags::FIN) || (record.is_reset() && record.sender != sender)),
        }
    }

    /// Whether the peer's SYN was the only thing it answers.
    pub fn refuses(&self) -> bool {
        self.form == Form::Refused
    }
}

/// Whether the last packet of either side before a reset is known: of the records before it, so many have no packet left out between them.
fn shows_both_sides(before: &[&PacketRecord], unbroken: usize) -> bool {
    let known = before[before.len() - unbroken..].iter().filter(|record| !record.is_reset());
    unbroken == before.len() || [Side::Low, Side::High].iter().all(|&side| known.clone().any(|record| record.sender == side))
}

fn end_of(record: &PacketRecord) -> SeqNumber {
    let taken = u32::from(record.flags.has(TcpFlags::SYN)) + u32::from(record.flags.has(TcpFlags::FIN));
    record.payload_end().plus(taken)
}

fn form(view: &TcpView<'_>, reset: &PacketRecord, before: &[&PacketRecord], sender_next: Option<SeqNumber>) -> Form {
    let has_ack = reset.flags.has(TcpFlags::ACK);
    let peer = || before.iter().filter(|record| record.sender != reset.sender && !record.is_reset());
    let own_fin = before.iter().any(|record| record.sender == reset.sender && record.flags.has(TcpFlags::FIN));
    let answers_syn = peer().any(|record| record.flags.has(TcpFlags::SYN) && reset.ack == end_of(record));
    if sender_next.is_none() {
        return if has_ack && reset.seq.0 == 0 && answers_syn {
            Form::Refused
        } else if !has_ack && peer().any(|record| record.flags.has(TcpFlags::ACK) && record.ack == reset.seq) {
            Form::ReplyToAck
        } else {
            Form::Unknown
        };
    }
    if view.conversation.flow.back_step > 0 || view.tcp.sides.0.iter().any(|side| side.unseen_bytes > 0) {
        return Form::Unknown;
    }
    let near = |one: SeqNumber, other: SeqNumber| one.offset_from(other).unsigned_abs() <= SLACK as u32;
    let at_next = sender_next.is_some_and(|next| near(reset.seq, next));
    // What the claimed sender may have received: anything from the peer's first byte to its last so far.
    let first = peer().map(|record| record.seq).reduce(|one, other| if one.is_after(other) { other } else { one });
    let last = peer().map(|record| end_of(record)).reduce(SeqNumber::max);
    let acknowledges_sent = first.zip(last).is_some_and(|(first, last)| reset.ack.offset_from(first) >= 0 && reset.ack.offset_from(last) <= SLACK);
    if at_next && (!has_ack || acknowledges_sent) {
        return if own_fin { Form::Late } else { Form::Abort };
    }
    if peer().any(|record| record.flags.has(TcpFlags::ACK) && near(record.ack, reset.seq)) && (!has_ack || acknowledges_sent) {
        return Form::ReplyToAck;
    }
    // What is lost on the way may have been followed by more that was lost.
    let lost = view.tcp.sides[reset.sender].lacks_bytes() && sender_next.is_some_and(|next| reset.seq.is_after(next));
    if own_fin || lost { Form::Unknown } else { Form::Nonconforming }
}
