//! A reset where the server's answer to the ClientHello should be.
//!
//! A box that rewrites the server's packets, or one that swallows them, leaves nothing else. Benign first: a server that refuses the name by a reset,
//! or is out of order: this item weighs little until other names on the same server are compared.
//! Source: detection.md 4.2, SNI-I (practitioners' reports of rewritten answers).

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::Direction;
use crate::model::words::{Mechanism, PayloadFate};

use super::{first_reset, reset_mechanism};

/// The answer is due after one round trip; what comes this near to it stands in its place (detection.md 13.2).
const DUE: std::ops::Range<f64> = 0.9..1.3;

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let reset = first_reset(view, direction)?;
    let request = view.request.as_ref().filter(|request| request.is_hello && request.fate == PayloadFate::Reset)?;
    if !view.has_sni() || reset.time < request.sent || request.answer.is_some_and(|(time, _)| time < reset.time) {
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
            "packet {}: reset from the {}'s address {:.1} ms after the ClientHello (packet {}), before any answer",
            reset.packet.number(),
            direction.sender(),
            span.as_ms(),
            request.packet.number()
        ),
        unless: "an end that resets what it does not want to serve or to wait for",
    })
}
