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
    /// Packets of the waiting side that sent the same bytes again.
    pub repeats: Vec<(Timestamp, PacketNumber)>,
    /// Whether the waiting side ended the wait itself, and when.
    pub gave_up: Option<Timestamp>,
}

impl Silence {
    pub fn find(view: &TcpView<'_>) -> Option<Self> {
        let owed = outstanding(view);
        let waiting = match owed {
            Outstanding::ClientUnacked | Outstanding::RequestPending => Direction::ClientToServer,
            Outstanding::ServerUnacked => Direction::ServerToClient,
            Outstanding::TlsRecord | Outstanding::Nothing => return None,
        };
        let last = view.sent(waiting.opposite()).filter(|record| !record.is_reset()).max_by_key(|record| record.time);
        let behind = |record: &&PacketRecord| last.is_none_or(|last| record.time >= last.time);
        let waits = || view.sent(waiting).filter(behind);
        let since = waits().find(|record| record.payload_bytes > 0).or_else(|| last_payload(view, waiting))?.time;
        let gave_up = waits().find(|record| record.flags.0 & (TcpFlags::FIN.0 | TcpFlags::RST.0) != 0).map(|record| record.time);
        let end = gave_up.unwrap_or(view.conversation.watched_until.max(view.conversation.flow.end));
        let repeats = waits()
            .filter(|record| record.payload_bytes > 0 && record.new_bytes == 0 && !record.is_reset())
            .map(|record| (record.time, record.number));
        let last = last.map(|record| (record.time, record.number));
        Some(Self { silent: waiting.opposite(), owed, last, since, watched: end - since, repeats: repeats.collect(), gave_up })
    }
}

fn last_payload<'a>(view: &TcpView<'a>, direction: Direction) -> Option<&'a PacketRecord> {
    view.sent(direction).filter(|record| record.payload_bytes > 0).last()
}

/// What was owed at the end of the flow.
pub fn outstanding(view: &TcpView<'_>) -> Outstanding {
    let unacked = |direction: Direction| {
        let (sender, receiver) = (&view.tcp.sides[view.side(direction)], &view.tcp.sides[view.side(direction.opposite())]);
        let sent_payload = sender.new_payload_bytes > 0;
        let end = sender.payload_end();
        sent_payload && end.is_some_and(|end| receiver.acked.is_none_or(|acked| end.is_after(acked)))
    };
    let last_new = |direction| view.tcp.sides[view.side(direction)].last_new;
    if unacked(Direction::ClientToServer) {
        Outstanding::ClientUnacked
    } else if unacked(Direction::ServerToClient) {
        Outstanding::ServerUnacked
    } else {
        match (last_new(Direction::ClientToServer), last_new(Direction::ServerToClient)) {
            (Some((asked, _)), Some((answered, _))) if asked > answered => Outstanding::RequestPending,
            (Some(_), None) => Outstanding::RequestPending,
            _ => Outstanding::Nothing,
        }
    }
}
