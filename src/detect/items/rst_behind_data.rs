//! A reset behind its own stream: its sequence number lies below data that its sender had sent already.
//!
//! Real data overtook a forged reset. Benign first: a bare reset that answers a segment carries that segment's acknowledgement, which may lie below (RFC 9293
//! section 3.10.7.1); one with ACK does not answer a segment that carried one.
//! Source: RST_SEQ_DATA of Weaver, Sommer, Paxson, NDSS 2009.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::Direction;
use crate::model::words::Gate;

use super::{reset_mechanism, resets};

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    if view.fails(Gate::Loss) || view.fails(Gate::Reorder) {
        return None;
    }
    let (reset, behind) = resets(view, direction).find_map(|reset| Some((reset, reset.behind_data()?)))?;
    Some(Evidence {
        id: "rst_behind_data",
        mechanism: reset_mechanism(direction),
        packets: vec![reset.packet],
        time: reset.time,
        says: format!(
            "packet {}: reset from the {}'s address, {behind} bytes behind what that address had sent already",
            reset.packet.number(),
            direction.sender()
        ),
        unless: "a stack that resets with a stale number",
    })
}

#[cfg(test)]
mod tests {
    use super::observe;
    use crate::model::Direction::ServerToClient;
    use crate::packet::trace::Trace;

    const NAME: &str = "www.instagram.com";

    #[test]
    fn a_reset_behind_its_own_data_was_overtaken() {
        let trace = Trace::at_client().handshake().client_hello(NAME).server_data(1_460).server_data(1_460).rst_from_server().seq(-1_460);
        assert_eq!(trace.shows(observe, ServerToClient), Some(("rst_behind_data", vec![7])));
    }

    #[test]
    fn a_reset_that_answers_a_segment_stands_where_that_one_acknowledged() {
        let trace = Trace::at_client().handshake().client_hello(NAME).server_data(1_460).ack_from_client().server_data(1_460);
        assert_eq!(trace.rst_from_server().bare().seq(-1_460).shows(observe, ServerToClient), None);
    }

    #[test]
    fn with_bytes_missing_nothing_is_said() {
        let trace = Trace::at_client().handshake().client_hello(NAME).server_data(1_460).missed().server_data(1_460).ack_from_client();
        let trace = trace.server_data(1_460).server_data(1_460).rst_from_server().seq(-1_460);
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }
}
