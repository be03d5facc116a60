//! Gates of capture quality (limits by design): what a flow fails is not claimed of it.

use crate::flow::PacketRecord;
use crate::model::words::Gate;
use crate::model::{Direction, Span};

use super::TcpView;

/// Steps back of the clock within a flow that are more than jitter between queues.
const REORDER: Span = Span::from_millis(1);

pub fn gates(view: &TcpView<'_>) -> Vec<Gate> {
    let flow = &view.conversation.flow;
    let checks = [
        (Gate::Midstream, view.tcp.handshake.syn.is_none()),
        (Gate::Snaplen, flow.snapped),
        (Gate::Loss, view.conversation.has_gap || Direction::BOTH.iter().any(|&direction| view.tcp.sides[view.side(direction)].unseen_bytes > 0)),
        (Gate::Oneway, is_one_way(view)),
        (Gate::Reorder, flow.back_step > REORDER.0),
        (Gate::Offload, has_oversized_segments(view)),
    ];
    checks.into_iter().filter_map(|(gate, fails)| fails.then_some(gate)).collect()
}

/// One direction has no packet although the other acknowledges data.
fn is_one_way(view: &TcpView<'_>) -> bool {
    let volume = &view.conversation.flow.volume;
    Direction::BOTH.iter().any(|&direction| {
        let (silent, speaking) = (view.side(direction), view.side(direction.opposite()));
        volume[silent].packets == 0 && acknowledgements_move(view.sent(direction.opposite())) && volume[speaking].originals() > 1
    })
}

fn acknowledgements_move<'a>(records: impl Iterator<Item = &'a PacketRecord>) -> bool {
    let mut acks = records.filter(|record| !record.is_reset() && record.ack.0 != 0).map(|record| record.ack);
    acks.next().is_some_and(|first| acks.any(|ack| ack.is_after(first)))
}

fn has_oversized_segments(view: &TcpView<'_>) -> bool {
    Direction::BOTH.iter().any(|&direction| {
        let limit = view.tcp.sides[view.side(direction.opposite())].options.mss.filter(|&mss| mss >= 536);
        limit.is_some_and(|mss| view.conversation.flow.volume[view.side(direction)].payload_max > u32::from(mss))
    })
}
