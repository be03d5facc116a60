//! A ClientHello that is acknowledged and then never answered.
//!
//! Benign first: a server program that hangs looks the same from one flow, a client that left early saw nothing yet.
//! Source: detection.md 4.2 (SNI-II) and 1.5: at least 10 s of silence.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::words::{Mechanism, PayloadFate};
use crate::model::{Direction, Span};

const SILENCE_MIN: Span = Span::from_secs(10);

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let request = view.request.as_ref().filter(|request| request.is_hello && request.fate == PayloadFate::AckedThenSilent)?;
    let silence = view.silence.as_ref().filter(|silence| silence.silent == direction && silence.watched >= SILENCE_MIN)?;
    let (_, acked) = request.acked?;
    if direction != Direction::ServerToClient || !view.has_sni() || !view.tcp.is_established() {
        return None;
    }
    Some(Evidence {
        id: "hello_acked_then_silent",
        mechanism: Mechanism::HelloAckedThenSilent,
        packets: vec![request.packet, acked],
        time: request.time,
        says: format!(
            "packet {}: ClientHello; packet {}: acknowledged; then no payload from the server in {:.1} s",
            request.packet.number(),
            acked.number(),
            silence.watched.as_secs()
        ),
        unless: "a server program that hangs",
    })
}
