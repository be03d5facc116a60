//! A second reset further on: two resets in a row, the second beyond everything that its sender sent and its peer acknowledged.
//!
//! An injector that cannot know how far the stream will be aims at several places; a host knows where it is.
//! Benign first: resets that answer late segments take their sequence numbers from the peer's acknowledgements.
//! Source: RST_SEQ_CHANGE of Weaver, Sommer, Paxson, NDSS 2009, with the limits of S. Khattak's InjectedResetDetector (2 bytes, 2 s).

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::Direction;

use super::{reset_mechanism, resets};

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let (first, second, change) = resets(view, direction).find_map(|reset| Some((reset.previous_of_burst()?, reset, reset.seq_change()?)))?;
    Some(Evidence {
        id: "rst_seq_change",
        mechanism: reset_mechanism(direction),
        packets: vec![first.packet.number, second.packet],
        time: first.packet.time,
        says: format!(
            "packets {} and {}: two resets from the {}'s address, the second {} bytes beyond the first and beyond all that was sent",
            first.packet.number.number(),
            second.packet.number(),
            direction.sender(),
            change
        ),
        unless: "packets of the sender that the capture does not hold",
    })
}

#[cfg(test)]
mod tests {
    use super::observe;
    use crate::model::Direction::ServerToClient;
    use crate::packet::trace::Trace;

    const NAME: &str = "signal.org";

    #[test]
    fn a_second_reset_further_on_is_aimed_in_the_dark() {
        let trace = Trace::at_client().handshake().client_hello(NAME).wait(5).rst_from_server().rst_from_server().seq(1_460);
        assert_eq!(trace.shows(observe, ServerToClient), Some(("rst_seq_change", vec![5, 6])));
    }

    #[test]
    fn resets_that_answer_late_segments_follow_their_acknowledgements() {
        let trace = Trace::at_client().handshake().client_hello(NAME).server_data(1_000);
        let trace = trace.rst_from_server().bare().seq(-1_000).ack_from_client().rst_from_server().bare();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn what_the_peer_acknowledged_was_sent_whether_captured_or_not() {
        let trace = Trace::at_client().handshake().client_hello(NAME).rst_from_server();
        let trace = trace.server_data(1_000).missed().ack_from_client().rst_from_server();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn the_same_reset_twice_is_aimed_at_one_place() {
        let trace = Trace::at_client().handshake().client_hello(NAME).rst_from_server().repeat(5);
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }
}
