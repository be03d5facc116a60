//! What was still owed when the flow fell silent, and how long the silence was watched.

use crate::flow::PacketRecord;
use crate::model::words::Outstanding;
use crate::model::{Direction, PacketNumber, Span, Timestamp};
use crate::packet::TcpFlags;

use super::TcpView;

/// A silence at the end of a flow while something was owed.
#[derive(Clone, Debug)]
pub struct Silence {
    /// The direction from which nothing came any more.
    pub silent: Direction,
    pub owed: Outstanding,
    /// The last packet of the silent side.
    pub last: Option<(Timestamp, PacketNumber)>,
    /// Since when an answer was owed: the first packet that got none.
    pub since: Timestamp,
    /// How long it was watched: up to the end of the capture, or until the waiting side gave up.
    pub watched: Span,
    /// How long the waiting side is seen to have waited: up to its last packet. A recording may stop in the middle of a flow, and then both fall silent.
    pub attended: Span,
    /// Packets of the waiting side that sent the same bytes again.
    pub repeats: Vec<(Timestamp, PacketNumber)>,
    /// Whether the waiting side ended the wait itself, and when.
    pub gave_up: Option<Timestamp>,
    /// Whether the server stopped in the middle of a TLS record.
    pub inside_record: bool,
}

impl Silence {
    pub fn find(view: &TcpView<'_>) -> Option<Self> {
        let owed = outstanding(view);
        let waiting = match owed {
            Outstanding::ClientUnacked | Outstanding::RequestPending | Outstanding::TlsRecord => Direction::ClientToServer,
            Outstanding::ServerUnacked => Direction::ServerToClient,
            Outstanding::Nothing => return None,
        };
        let last = view.sent(waiting.opposite()).filter(|record| !record.is_reset()).max_by_key(|record| record.time);
        let behind = |record: &&PacketRecord| last.is_none_or(|last| record.time >= last.time);
        let waits = || view.sent(waiting).filter(behind);
        let asks = |record: &&PacketRecord| record.payload_bytes > 0 || record.flags.has(TcpFlags::FIN);
        let first_unanswered = waits().find(asks).or_else(|| last_payload(view, waiting)).map(|record| record.time);
        let since = match owed {
            Outstanding::TlsRecord => last?.time,
            _ => pending_since(view, waiting).into_iter().chain(first_unanswered).min()?,
        };
        let gave_up = view.sent(waiting).find(|record| record.time > since && record.flags.ends()).map(|record| record.time);
        let end = gave_up.unwrap_or(view.conversation.watched_until.max(view.conversation.flow.end()));
        let end = if owed == Outstanding::ClientUnacked { end.max(waits().map(|record| record.time).max().unwrap_or(end)) } else { end };
        let inside_record = inside_record(view);
        Some(Self {
            silent: waiting.opposite(),
            owed,
            last: last.map(|record| (record.time, record.number)),
            since,
            watched: end - since,
            attended: attended(view, waiting, owed, last.filter(|_| inside_record).map_or(since, |last| last.time.min(since))),
            repeats: repeats(waits()),
            gave_up,
            inside_record,
        })
    }

    /// When the waiting side last tried the path, or else how long it waited: what the silent side did later, it may have done when an outage was over.
    pub fn tried_until(&self) -> Timestamp {
        self.repeats.last().map_or(self.since + self.watched, |&(time, _)| time)
    }
}

/// From a moment to the last packet of the waiting side, or to its farewell: a farewell that is not acknowledged goes on waiting.
fn attended(view: &TcpView<'_>, waiting: Direction, owed: Outstanding, from: Timestamp) -> Span {
    let behind = || view.sent(waiting).filter(|record| record.time > from);
    let farewell = behind().find(|record| record.flags.ends() && !matches!(owed, Outstanding::ClientUnacked | Outstanding::ServerUnacked));
    let until = farewell.or(behind().last());
    until.map_or(Span::ZERO, |record| record.time - from)
}

/// When the last request was sent, where payload of the other side has not followed it: acknowledged or not, it is not answered.
fn pending_since(view: &TcpView<'_>, waiting: Direction) -> Option<Timestamp> {
    let last_new = |direction| view.tcp.sides[view.side(direction)].last_new();
    last_new(waiting).filter(|asked| last_new(waiting.opposite()).is_none_or(|answered| *asked > answered))
}

/// Packets that send the same payload, or the same FIN, again.
fn repeats<'a>(waits: impl Iterator<Item = &'a PacketRecord>) -> Vec<(Timestamp, PacketNumber)> {
    let mut closing = false;
    let again = |record: &&PacketRecord| {
        let fin = record.flags.has(TcpFlags::FIN);
        let again = (record.payload_bytes > 0 && record.new_bytes == 0) || (fin && closing && record.new_bytes == 0);
        closing |= fin;
        again && !record.is_reset()
    };
    waits.filter(again).map(|record| (record.time, record.number)).collect()
}

/// Whether the server stopped in the middle of a TLS record.
fn inside_record(view: &TcpView<'_>) -> bool {
    view.facts().is_some_and(|facts| facts.records[view.side(Direction::ServerToClient)].is_unfinished() == Some(true))
}

fn last_payload<'a>(view: &TcpView<'a>, direction: Direction) -> Option<&'a PacketRecord> {
    view.sent(direction).filter(|record| record.payload_bytes > 0).last()
}

/// What was owed at the end of the flow. A FIN counts like a byte: its acknowledgement is owed as well.
fn outstanding(view: &TcpView<'_>) -> Outstanding {
    let unacked = |direction: Direction| {
        let (sender, receiver) = (&view.tcp.sides[view.side(direction)], &view.tcp.sides[view.side(direction.opposite())]);
        let end = if sender.fin > 0 { sender.next } else { sender.payload_end() };
        sender.new_payload_bytes > 0 && end.is_some_and(|end| receiver.acked.is_none_or(|acked| end.is_after(acked)))
    };
    if unacked(Direction::ClientToServer) {
        return Outstanding::ClientUnacked;
    }
    if unacked(Direction::ServerToClient) {
        return Outstanding::ServerUnacked;
    }
    let spoke = |direction| view.tcp.sides[view.side(direction)].last_new().is_some();
    if view.tcp.closed_by_both() && spoke(Direction::ClientToServer) && spoke(Direction::ServerToClient) {
        return Outstanding::Nothing; // the last word of the client was a farewell, a TLS close_notify for example
    }
    let closed = view.tcp.sides[view.side(Direction::ServerToClient)].fin > 0 || view.tcp.reset_seen();
    if inside_record(view) && !closed {
        Outstanding::TlsRecord
    } else if pending_since(view, Direction::ClientToServer).is_some() {
        Outstanding::RequestPending
    } else {
        Outstanding::Nothing
    }
}
