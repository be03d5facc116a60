//! A first payload that is never acknowledged although the handshake went through: a ClientHello, an HTTP request, or the first bytes of another protocol.
//!
//! A kernel acknowledges what its program ignores, so that a hung server is no cause. Three repetitions lost in a row happen about once in a million at 1 %
//! loss. Benign first: a server that died after the handshake, a path that failed for everything, a path that loses only full-size packets: the first two
//! are told by other flows, the last by acknowledgements that still come.
//! Source: SNI-IV of Xue et al., IMC 2022; three repetitions by design.

use crate::detect::Evidence;
use crate::detect::features::{Opening, TcpView};
use crate::model::Direction;
use crate::model::words::{Mechanism, PayloadFate};

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let request = view.request.as_ref().filter(|request| request.was_unheard())?;
    if direction != Direction::ServerToClient || !view.tcp.is_established() || request.loses_full_size_only() {
        return None;
    }
    let last = request.repeats.last()?;
    let (id, mechanism) = match request.opening {
        Opening::NamedHello => ("hello_unacked", Mechanism::HelloUnacked),
        Opening::HttpRequest => ("request_unacked", Mechanism::RequestUnacked),
        Opening::Other => ("first_payload_unacked", Mechanism::FirstPayloadUnacked),
    };
    let ended = match request.fate {
        PayloadFate::Closed => "; the server closed without having received it",
        PayloadFate::Reset => "; the server gave up without having received it",
        _ => "",
    };
    Some(Evidence {
        id,
        mechanism,
        packets: std::iter::once(request.packet).chain(request.repeats.iter().map(|repeat| repeat.1)).take(8).collect(),
        time: request.time,
        says: format!(
            "packet {}: {} after a complete handshake, sent again {} times up to packet {} in {:.1} s and never acknowledged{ended}",
            request.packet.number(),
            request.opening.noun(),
            request.repeats.len(),
            last.1.number(),
            (last.0 - request.time).as_secs()
        ),
        unless: "the server or the path died right after the handshake",
    })
}

#[cfg(test)]
mod tests {
    use super::observe;
    use crate::app::tls::build;
    use crate::model::Direction::{ClientToServer, ServerToClient};
    use crate::packet::trace::Trace;

    const NAME: &str = "www.youtube.com";

    fn unheard() -> Trace {
        Trace::at_client().handshake().client_hello(NAME).unheard()
    }

    #[test]
    fn a_hello_that_is_never_acknowledged_names_every_try() {
        let trace = unheard().wait(300).repeat(4).wait(600).repeat(4).wait(1_200).repeat(4).wait(5_000);
        assert_eq!(trace.shows(observe, ServerToClient), Some(("hello_unacked", vec![4, 5, 6, 7])));
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn a_server_that_closes_without_having_received_it_counts_as_well() {
        let trace = unheard().wait(300).repeat(4).wait(600).repeat(4).wait(1_200).repeat(4).wait(5_000).fin_from_server();
        assert_eq!(trace.shows(observe, ServerToClient), Some(("hello_unacked", vec![4, 5, 6, 7])));
    }

    #[test]
    fn two_repetitions_are_too_few() {
        assert_eq!(unheard().wait(300).repeat(4).wait(600).repeat(4).wait(20_000).shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_late_acknowledgement_acquits() {
        let trace = Trace::at_client().handshake().client_hello(NAME).wait(300).repeat(4).wait(600).repeat(4).wait(1_200).repeat(4);
        assert_eq!(trace.ack_from_server().wait(20_000).shows(observe, ServerToClient), None);
    }

    #[test]
    fn acknowledgements_that_still_come_tell_of_a_path_that_loses_full_size_packets() {
        let hello = build::record(22, &build::client_hello_message(NAME, 1_500));
        let (first, second) = hello.split_at(1_460);
        let trace = Trace::at_client().handshake().client_bytes(first).unheard().client_bytes(second);
        let tried = |trace: Trace| trace.wait(300).repeat(4).wait(600).repeat(4).wait(1_200).repeat(4).wait(5_000);
        assert_eq!(tried(trace.clone().ack_from_server()).shows(observe, ServerToClient), None);
        assert_eq!(tried(trace.unheard()).shows(observe, ServerToClient), Some(("hello_unacked", vec![4, 6, 7, 8])));
    }

    #[test]
    fn without_a_handshake_no_hello_was_due() {
        let trace = Trace::at_client().syn().client_hello(NAME).unheard().wait(300).repeat(2).wait(600).repeat(2).wait(1_200).repeat(2);
        assert_eq!(trace.wait(5_000).shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_client_of_little_patience_has_still_asked_often_enough() {
        let hello = Trace::at_client().handshake().client_hello(NAME).unheard();
        let trace = hello.wait(300).repeat(4).wait(600).repeat(4).wait(1_200).repeat(4).wait(500).rst_from_client();
        assert!(trace.shows(observe, ServerToClient).is_some());
    }

    #[test]
    fn a_server_that_gives_up_in_the_end_never_heard_of_it() {
        let trace = unheard().wait(300).repeat(4).wait(600).repeat(4).wait(1_200).repeat(4).wait(60_000).rst_from_server();
        assert_eq!(trace.shows(observe, ServerToClient), Some(("hello_unacked", vec![4, 5, 6, 7])));
    }

    #[test]
    fn other_protocols_have_words_of_their_own() {
        let tried = |bytes: &[u8]| {
            let asked = Trace::at_client().handshake().client_bytes(bytes).unheard();
            asked.wait(300).repeat(4).wait(600).repeat(4).wait(1_200).repeat(4).wait(5_000).shows(observe, ServerToClient)
        };
        assert_eq!(tried(b"WA\x06\x03 and bytes that nobody reads"), Some(("first_payload_unacked", vec![4, 5, 6, 7])));
        assert_eq!(tried(b"GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n"), Some(("request_unacked", vec![4, 5, 6, 7])));
    }
}
