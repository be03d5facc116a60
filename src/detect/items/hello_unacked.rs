//! A ClientHello that is never acknowledged although the handshake went through.
//!
//! Three repetitions lost in a row happen about once in a million at 1 % loss. Benign first: a server that died after the handshake, a path that failed
//! for everything, a path that loses only full-size packets: the first two are told by other flows, the last by acknowledgements that still come.
//! Source: detection.md 4.2 (SNI-IV) and 13.2: at least three repetitions.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::Direction;
use crate::model::words::{Mechanism, PayloadFate};

const REPEATS_MIN: usize = 3;

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let request = view.request.as_ref().filter(|request| request.is_hello && request.fate == PayloadFate::NeverAcked)?;
    let silence = view.silence.as_ref().filter(|silence| silence.silent == direction)?;
    let loses_full_size_only = request.segments > 1 && request.unmoved_acks > 0;
    if direction != Direction::ServerToClient
        || !view.has_sni()
        || !view.tcp.is_established()
        || loses_full_size_only
        || request.repeats.len() < REPEATS_MIN
    {
        return None;
    }
    let last = request.repeats.last()?;
    Some(Evidence {
        id: "hello_unacked",
        mechanism: Mechanism::HelloUnacked,
        packets: std::iter::once(request.packet).chain(request.repeats.iter().map(|repeat| repeat.1)).take(8).collect(),
        time: request.time,
        says: format!(
            "packet {}: ClientHello, sent again {} times up to packet {} and never acknowledged in {:.1} s, after a complete handshake",
            request.packet.number(),
            request.repeats.len(),
            last.1.number(),
            silence.watched.as_secs()
        ),
        unless: "the server or the path died right after the handshake",
    })
}
