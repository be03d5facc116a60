//! QUIC Initials that nobody answers: not by a handshake, not by Version Negotiation, Retry or ICMP.
//!
//! Silence of datagrams has many innocent causes: networks that drop UDP, servers without HTTP/3, a client that took TCP and let go. So it weighs little until
//! other names are compared on the same server and port.
//! Source: Zohaib et al., USENIX Security 2025; three datagrams over 3 s by design: the repetitions after 1 and 3 s of RFC 9002 section 6.2.2 are waited for.

use crate::detect::Evidence;
use crate::detect::features::DatagramView;
use crate::model::Span;
use crate::model::words::{Mechanism, PayloadFate};

const DATAGRAMS_MIN: usize = 3;
const ASKED_FOR_MIN: Span = Span::from_secs(3);

pub fn observe(view: &DatagramView<'_>) -> Option<Evidence> {
    let unanswered = view.fate == PayloadFate::NeverAcked && view.conversation.flow.icmp_error().is_none();
    let asked: Vec<_> = view.asked().collect();
    if !unanswered || !view.has_quic_hello() || asked.len() < DATAGRAMS_MIN || view.asked_for() < ASKED_FOR_MIN {
        return None;
    }
    Some(Evidence {
        id: "initial_unanswered",
        mechanism: Mechanism::InitialUnanswered,
        packets: asked.iter().map(|datagram| datagram.packet).collect(),
        time: asked[0].time,
        says: format!(
            "packet {}: QUIC Initial with a ClientHello; {} datagrams in {:.1} s, and no answer of any kind",
            asked[0].packet.number(),
            view.conversation.flow.volume[view.client()].packets,
            view.asked_for().as_secs()
        ),
        unless: "a network that drops UDP, or a server without QUIC",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::quic::build;
    use crate::detect::trace::datagrams;
    use crate::model::Direction::{ClientToServer, ServerToClient};

    fn shows(sent: &[(f64, crate::model::Direction, Vec<u8>)]) -> Option<Vec<u64>> {
        let conversation = datagrams(sent);
        let evidence = observe(&DatagramView::new(&conversation)?)?;
        Some(evidence.packets.iter().map(|packet| packet.number()).collect())
    }

    fn tried(at: &[f64]) -> Vec<(f64, crate::model::Direction, Vec<u8>)> {
        at.iter().zip(0..).map(|(&ms, number)| (ms, ClientToServer, build::client_initial("www.example.org", number))).collect()
    }

    #[test]
    fn initials_that_nobody_answers_are_named() {
        assert_eq!(shows(&tried(&[0.0, 300.0, 1_000.0, 3_100.0])), Some(vec![1, 2, 3, 4]));
    }

    #[test]
    fn any_answer_acquits() {
        let mut answered = tried(&[0.0, 300.0, 1_000.0, 3_100.0]);
        answered.push((3_200.0, ServerToClient, vec![0x40; 40]));
        assert_eq!(shows(&answered), None);
    }

    #[test]
    fn two_tries_or_two_seconds_are_too_few() {
        assert_eq!(shows(&tried(&[0.0, 4_000.0])), None);
        assert_eq!(shows(&tried(&[0.0, 300.0, 1_000.0, 2_000.0])), None);
    }
}
