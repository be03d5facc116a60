//! A ClientHello that is never acknowledged although the handshake went through.
//!
//! Three repetitions lost in a row happen about once in a million at 1 % loss. Benign first: a server that died after the handshake, a path that failed
//! for everything, a path that loses only full-size packets: the first two are told by other flows, the last by acknowledgements that still come.
//! Source: detection.md 4.2 (SNI-IV) and 13.2: at least three repetitions.

use crate::detect::Evidence;
use crate::detect::features::{Request, TcpView};
use crate::model::Direction;
use crate::model::words::{Mechanism, PayloadFate};

const REPEATS_MIN: usize = 3;

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let unanswered = |request: &&Request| request.is_hello && matches!(request.fate, PayloadFate::NeverAcked | PayloadFate::Closed);
    let request = view.request.as_ref().filter(unanswered)?;
    let loses_full_size_only = request.segments > 1 && request.unmoved_acks > 0;
    let enough = request.acked.is_none() && request.repeats.len() >= REPEATS_MIN;
    if direction != Direction::ServerToClient || !view.has_sni() || !view.tcp.is_established() || loses_full_size_only || !enough {
        return None;
    }
    let last = request.repeats.last()?;
    let closed = if request.fate == PayloadFate::Closed { "; the server closed without having received it" } else { "" };
    Some(Evidence {
        id: "hello_unacked",
        mechanism: Mechanism::HelloUnacked,
        packets: std::iter::once(request.packet).chain(request.repeats.iter().map(|repeat| repeat.1)).take(8).collect(),
        time: request.time,
        says: format!(
            "packet {}: ClientHello after a complete handshake, sent again {} times up to packet {} in {:.1} s and never acknowledged{closed}",
            request.packet.number(),
            request.repeats.len(),
            last.1.number(),
            (last.0 - request.time).as_secs()
        ),
        unless: "the server or the path died right after the handshake",
    })
}
