//! A reset ahead of a stream that never began: an end whose first word is a reset, behind bytes that it never sent.
//!
//! A box that swallows the first request and resets the connection knows where the stream would be; the far end never saw it come that far.
//! Benign first: a first request lost on the way and its sender gone at once; bytes missing from the capture, which the peer then acknowledges.
//! Source: the reverse of RST_SEQ_DATA (Weaver, Sommer, Paxson, NDSS 2009); by design.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::flow::limits::RESET_SLACK;
use crate::model::Direction;
use crate::model::words::Gate;

use super::{first_reset, reset_mechanism};

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let gated = [Gate::Midstream, Gate::Loss, Gate::Oneway, Gate::Reorder].into_iter().any(|gate| view.fails(gate));
    let spoke = view.tcp.sides[view.side(direction)].new_payload_bytes > 0;
    if gated || spoke || !view.tcp.is_established() {
        return None;
    }
    let reset = first_reset(view, direction)?;
    let ahead = reset.seq_offset()?;
    if ahead <= RESET_SLACK {
        return None;
    }
    Some(Evidence {
        id: "rst_ahead",
        mechanism: reset_mechanism(direction),
        packets: vec![reset.packet],
        time: reset.time,
        says: format!(
            "packet {}: reset from the {}'s address right behind the handshake, {ahead} bytes ahead of what that address has sent",
            reset.packet.number(),
            direction.sender()
        ),
        unless: "a first request that was lost, and a sender that gave up at once",
    })
}

#[cfg(test)]
mod tests {
    use super::observe;
    use crate::model::Direction::ClientToServer;
    use crate::packet::trace::Trace;

    #[test]
    fn a_reset_behind_bytes_that_never_came_knows_of_a_swallowed_request() {
        let trace = Trace::at_server().handshake().wait(60).rst_from_client().seq(517);
        assert_eq!(trace.shows(observe, ClientToServer), Some(("rst_ahead", vec![4])));
    }

    #[test]
    fn a_client_that_asks_nothing_resets_where_it_stands() {
        let trace = Trace::at_server().handshake().wait(60).rst_from_client();
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn bytes_that_were_acknowledged_are_missing_from_the_capture_only() {
        let trace = Trace::at_server().handshake().client_data(517).missed().ack_from_server().rst_from_client();
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn behind_a_request_that_came_a_reset_is_not_ahead_of_it() {
        let trace = Trace::at_server().handshake().client_data(517).rst_from_client().seq(517);
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }
}
