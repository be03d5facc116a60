//! A first payload that is acknowledged and then never answered.
//!
//! Benign first: a server program that hangs looks the same from one flow, and a protocol may owe no answer; a client that left early saw nothing yet.
//! Source: SNI-II of Xue et al., IMC 2022; 10 s of silence by design, since retransmissions of one segment reach 9.7 s.

use crate::detect::Evidence;
use crate::detect::features::{Opening, TcpView};
use crate::model::words::{Mechanism, PayloadFate};
use crate::model::{Direction, Span};

const SILENCE_MIN: Span = Span::from_secs(10);

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let request = view.request.as_ref().filter(|request| request.fate == PayloadFate::AckedThenSilent)?;
    let silence = view.silence.as_ref().filter(|silence| silence.silent == direction && silence.attended >= SILENCE_MIN)?;
    let (_, acked) = request.acked?;
    if direction != Direction::ServerToClient || !view.tcp.is_established() {
        return None;
    }
    let (id, mechanism) = match request.opening {
        Opening::NamedHello => ("hello_acked_then_silent", Mechanism::HelloAckedThenSilent),
        Opening::HttpRequest => ("request_acked_then_silent", Mechanism::CutAfterPackets),
        Opening::Other => ("first_payload_acked_then_silent", Mechanism::CutAfterPackets),
    };
    Some(Evidence {
        id,
        mechanism,
        packets: vec![request.packet, acked],
        time: request.time,
        says: format!(
            "packet {}: {}; packet {}: acknowledged; then no payload from the server in {:.1} s",
            request.packet.number(),
            request.opening.noun(),
            acked.number(),
            silence.attended.as_secs()
        ),
        unless: "a server program that hangs",
    })
}

#[cfg(test)]
mod tests {
    use super::observe;
    use crate::model::Direction::{ClientToServer, ServerToClient};
    use crate::packet::trace::Trace;

    fn acknowledged() -> Trace {
        Trace::at_client().handshake().client_hello("web.telegram.org").ack_from_server()
    }

    #[test]
    fn a_hello_taken_and_not_answered_is_named_with_its_acknowledgement() {
        let trace = acknowledged().wait(20_000).fin_from_client();
        assert_eq!(trace.shows(observe, ServerToClient), Some(("hello_acked_then_silent", vec![4, 5])));
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn a_client_that_left_early_saw_nothing_yet() {
        assert_eq!(acknowledged().wait(2_000).fin_from_client().wait(20_000).shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_capture_that_ends_early_saw_nothing_yet() {
        assert_eq!(acknowledged().wait(20_000).shows(observe, ServerToClient), None, "perhaps the client went on as well");
        assert_eq!(acknowledged().wait(9_000).fin_from_client().shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_slow_answer_is_an_answer() {
        assert_eq!(acknowledged().wait(15_000).server_hello().wait(20_000).shows(observe, ServerToClient), None);
    }
}
