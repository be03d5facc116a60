//! A reset where the server's answer to a ClientHello with a name, or to an HTTP request, should be.
//!
//! A box that rewrites the server's packets, or one that swallows them, leaves nothing else. Benign first: a server that refuses the name by a reset,
//! or is out of order: this item weighs little until other names on the same server are compared.
//! Source: SNI-I of Xue et al., "TSPU: Russia's Decentralized Censorship System", IMC 2022: answers rewritten to resets.

use crate::detect::Evidence;
use crate::detect::features::{Opening, TcpView};
use crate::model::Direction;
use crate::model::words::{Mechanism, PayloadFate};

use super::{first_reset, reset_mechanism};

/// The answer is due after one round trip; what comes this near to it stands in its place (by design).
const DUE: std::ops::Range<f64> = 0.9..1.3;

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let reset = first_reset(view, direction)?;
    let request = view.request.as_ref().filter(|request| request.fate == PayloadFate::Reset && !request.was_unheard())?;
    if request.opening == Opening::Other || reset.time < request.sent || request.answer.is_some_and(|(time, _)| time < reset.time) {
        return None;
    }
    let span = reset.time - request.sent;
    let due = view.server_round_trip().is_some_and(|trip| DUE.contains(&(span.as_ms() / trip.as_ms().max(0.001))));
    let replaces = due && direction == Direction::ServerToClient && request.answer.is_none();
    Some(Evidence {
        id: "rst_instead_of_answer",
        mechanism: if replaces { Mechanism::RstReplacesAnswer } else { reset_mechanism(direction) },
        packets: vec![request.packet, reset.packet],
        time: reset.time,
        says: format!(
            "packet {}: reset from the {}'s address {:.1} ms after the {} (packet {}), before any answer",
            reset.packet.number(),
            direction.sender(),
            span.as_ms(),
            request.opening.noun(),
            request.packet.number()
        ),
        unless: "an end that resets what it does not want to serve or to wait for",
    })
}

#[cfg(test)]
mod tests {
    use super::observe;
    use crate::detect;
    use crate::model::Direction::{ClientToServer, ServerToClient};
    use crate::model::words::Mechanism;
    use crate::packet::trace::Trace;

    const NAME: &str = "web.whatsapp.com";

    fn mechanism(trace: &Trace) -> Option<Mechanism> {
        let conversation = trace.conversation();
        let view = detect::view(&conversation).expect("a scene is TCP");
        observe(&view, ServerToClient).map(|evidence| evidence.mechanism)
    }

    #[test]
    fn a_reset_when_the_answer_is_due_takes_its_place() {
        let trace = Trace::at_client().handshake().client_hello(NAME).rst_from_server();
        assert_eq!(trace.shows(observe, ServerToClient), Some(("rst_instead_of_answer", vec![4, 5])));
        assert_eq!(mechanism(&trace), Some(Mechanism::RstReplacesAnswer));
    }

    #[test]
    fn a_reset_at_another_time_replaces_nothing() {
        let trace = Trace::at_client().handshake().client_hello(NAME).wait(5).rst_from_server();
        assert_eq!(mechanism(&trace), Some(Mechanism::RstFromServerSide));
    }

    #[test]
    fn a_client_reset_before_any_answer_is_named_too() {
        let trace = Trace::at_server().handshake().client_hello(NAME).ack_from_server().rst_from_client();
        assert_eq!(trace.shows(observe, ClientToServer), Some(("rst_instead_of_answer", vec![4, 6])));
    }

    #[test]
    fn behind_an_answer_a_reset_stands_in_nobodys_place() {
        let trace = Trace::at_client().handshake().client_hello(NAME).server_hello().rst_from_server();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_request_of_http_is_one_too_and_bytes_of_another_protocol_are_not() {
        let reset_after = |bytes: &[u8]| Trace::at_client().handshake().client_bytes(bytes).rst_from_server().shows(observe, ServerToClient);
        assert_eq!(reset_after(b"GET / HTTP/1.1\r\n\r\n"), Some(("rst_instead_of_answer", vec![4, 5])));
        assert_eq!(reset_after(b"HELO example.org\r\n"), None);
    }
}
