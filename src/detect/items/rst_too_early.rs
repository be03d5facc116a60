//! A reset that comes too early to answer what it follows.
//!
//! At the client: the request is answered by a reset sooner than a round trip to the server takes. At the server: the client resets what it asked for
//! sooner than any answer can have reached it. Benign first: a connection that is closing; a reset after a long idle time that happens to meet a request.
//! Source: detection.md 12.4, `impossible_early` (D): less than 0.7 of the round trip, and at least 2 ms less.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::{Direction, Span};

use super::{first_reset, reset_mechanism};

const SHARE: f64 = 0.7;
const MARGIN: Span = Span::from_millis(2);

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let reset = first_reset(view, direction)?;
    let request = view.request.as_ref()?;
    let span = reset.time - request.sent;
    let round_trip = match direction {
        Direction::ServerToClient => view.server_round_trip().filter(|_| request.answer.is_none_or(|(time, _)| time > reset.time))?,
        Direction::ClientToServer => view.client_round_trip()?,
    };
    if span < Span::ZERO {
        return None;
    }
    if span.as_ms() >= SHARE * round_trip.as_ms() || Span(round_trip.0 - span.0) < MARGIN {
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
            if request.is_hello { "ClientHello" } else { "first payload" },
            request.packet.number(),
            round_trip.as_ms()
        ),
        unless: match direction {
            Direction::ServerToClient => "the server gave the connection up by itself at this very moment",
            Direction::ClientToServer => "the client gave the connection up right after it had asked",
        },
    })
}
