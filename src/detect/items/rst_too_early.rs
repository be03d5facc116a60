//! A reset that comes too early to answer what it follows.
//!
//! At the client: the request is answered by a reset sooner than a round trip to the server takes. At the server: the client resets what it asked for
//! sooner than any answer can have reached it. Benign first: a connection that is closing; a reset after a long idle time that happens to meet a request.
//! Source: limits by design: less than 0.7 of the round trip, and at least 2 ms less, since paths vary. A client may give up at any moment, while a box acts at
//! once: there it is 10 ms, and a quarter of the round trip.

use crate::detect::Evidence;
use crate::detect::features::{TcpView, is_too_early};
use crate::model::{Direction, Span};

use super::{first_reset, reset_mechanism};

const SHARE_AT_SERVER: f64 = 0.25;
const AT_ONCE: Span = Span::from_millis(10);

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let reset = first_reset(view, direction)?;
    let request = view.request.as_ref()?;
    let span = reset.time - request.sent;
    let round_trip = view.round_trip_to(direction)?;
    let early = match direction {
        Direction::ServerToClient => request.answer.is_none_or(|(time, _)| time > reset.time) && reset.too_early == Some(true),
        Direction::ClientToServer => span <= AT_ONCE && is_too_early(span, round_trip, SHARE_AT_SERVER),
    };
    if !early {
        return None;
    }
    Some(Evidence {
        id: if direction == Direction::ServerToClient { "rst_too_early" } else { "rst_before_any_answer" },
        mechanism: reset_mechanism(direction),
        packets: vec![request.packet, reset.packet],
        time: reset.time,
        says: format!(
            "packet {}: reset from the {}'s address {:.1} ms after the {} (packet {}), where a round trip takes {:.1} ms",
            reset.packet.number(),
            direction.sender(),
            span.as_ms(),
            request.opening.noun(),
            request.packet.number(),
            round_trip.as_ms()
        ),
        unless: match direction {
            Direction::ServerToClient => "the server gave the connection up by itself at this very moment",
            Direction::ClientToServer => "the client gave the connection up right after it had asked",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::observe;
    use crate::model::Direction::{ClientToServer, ServerToClient};
    use crate::packet::trace::Trace;

    const NAME: &str = "chat.signal.org";

    #[test]
    fn a_reset_before_the_request_can_have_arrived_is_no_answer() {
        let trace = Trace::at_client().handshake().client_hello(NAME).wait(5).rst_from_server();
        assert_eq!(trace.shows(observe, ServerToClient), Some(("rst_too_early", vec![4, 5])));
    }

    #[test]
    fn a_reset_after_a_round_trip_may_be_the_answer() {
        let trace = Trace::at_client().handshake().client_hello(NAME).wait(40).rst_from_server();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_client_cannot_dislike_an_answer_that_has_not_reached_it() {
        let trace = Trace::at_server().handshake().client_hello(NAME).wait(2).server_hello().wait(5).rst_from_client();
        assert_eq!(trace.shows(observe, ClientToServer), Some(("rst_before_any_answer", vec![4, 6])));
    }

    #[test]
    fn a_client_that_has_read_the_answer_may_leave() {
        let trace = Trace::at_server().handshake().client_hello(NAME).server_hello().wait(60).rst_from_client();
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn a_client_may_cancel_at_its_hello() {
        let trace = Trace::at_server().handshake().client_hello(NAME).wait(20).rst_from_client();
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn at_the_client_its_own_reset_is_never_too_early() {
        let trace = Trace::at_client().handshake().client_hello(NAME).wait(0.1).rst_from_client();
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn a_reset_of_a_connection_that_closes_answers_nothing() {
        let trace = Trace::at_client().handshake().client_hello(NAME).fin_from_client().wait(5).rst_from_server();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_reset_behind_the_answer_does_not_stand_in_its_place() {
        let trace = Trace::at_client().handshake().client_hello(NAME).wait(5).server_hello().wait(5).rst_from_server();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn without_a_round_trip_nothing_is_early() {
        let trace = Trace::at_client().syn().wait(1_000).repeat(1).syn_ack().ack_from_client().client_hello(NAME).wait(5).rst_from_server();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }
}
