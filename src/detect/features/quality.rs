//! Gates of capture quality (limits by design): what a flow fails is not claimed of it.

use crate::flow::PacketRecord;
use crate::model::words::Gate;
use crate::model::{Direction, Span};

use super::TcpView;

/// Steps back of the clock within a flow that are more than jitter between queues.
const REORDER: Span = Span::from_millis(1);

/// Paths that change differ by fewer hops (by design).
const DECOY_HOPS: u8 = 3;

pub fn gates(view: &TcpView<'_>) -> Vec<Gate> {
    let flow = &view.conversation.flow;
    let checks = [
        (Gate::Midstream, view.tcp.handshake.syn.is_none()),
        (Gate::Snaplen, flow.snapped),
        (Gate::Loss, view.conversation.has_gap || Direction::BOTH.iter().any(|&direction| view.tcp.sides[view.side(direction)].unseen_bytes > 0)),
        (Gate::Oneway, is_one_way(view)),
        (Gate::Reorder, flow.back_step > REORDER.0),
        (Gate::Offload, has_oversized_segments(view)),
        (Gate::Tunnel, flow.tunnel().is_some()),
        (Gate::DesyncTool, sends_decoys(view)),
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

/// Decoys are not to reach the server: before its first answer the client sends payload with another TTL than its SYN had, other bytes in the place of its
/// first ones, or a signature (RFC 2385) that its other segments lack. The modes of zapret and its kind.
fn sends_decoys(view: &TcpView<'_>) -> bool {
    let first_answer = view.sent(Direction::ServerToClient).find(|record| record.new_bytes > 0).map(|record| record.time);
    let syn = view.sent(Direction::ClientToServer).find(|record| record.flags.is_opening());
    let early =
        || view.sent(Direction::ClientToServer).filter(|record| record.payload_bytes > 0 && first_answer.is_none_or(|time| record.time < time));
    let other_ttl = syn.is_some_and(|syn| early().any(|record| record.ttl.abs_diff(syn.ttl) >= DECOY_HOPS));
    let other_bytes = view.facts().is_some_and(|facts| facts.beginnings[view.client()].contradicted.is_some());
    let client = &view.tcp.sides[view.client()];
    let signed = client.signed() > 0 && client.signed() < client.new_payload_packets;
    other_ttl || other_bytes || signed
}

fn has_oversized_segments(view: &TcpView<'_>) -> bool {
    Direction::BOTH.iter().any(|&direction| {
        let limit = view.tcp.sides[view.side(direction.opposite())].options.mss.filter(|&mss| mss >= 536);
        limit.is_some_and(|mss| view.conversation.flow.volume[view.side(direction)].payload_max > u32::from(mss))
    })
}
