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
