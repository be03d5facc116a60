//! A connection that got its first answer and was cut before the exchange went through: one side repeats itself, the other is silent altogether.
//!
//! Benign first: a closed receive window, a connection that is closing, an end that vanished or a path that failed: the last two are told by other flows.
//! After a whole exchange nothing is said here: idle connections die of address translators and machines that leave.
//! Source: detection.md 4.2 (SNI-II), 4.5: silence of 10 s, or three repetitions without a sign of life.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::words::{Mechanism, PayloadFate};
use crate::model::{Direction, Span};

const REPEATS_MIN: usize = 3;
const SILENCE_MIN: Span = Span::from_secs(2);
pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let request = view.request.as_ref().filter(|request| request.is_hello)?;
    let silence = view.silence.as_ref().filter(|silence| silence.silent == direction)?;
    let cut = match direction {
        Direction::ServerToClient => request.fate == PayloadFate::Answered,
        Direction::ClientToServer => matches!(request.fate, PayloadFate::Answered | PayloadFate::Alert),
    };
    let closed = view.sent(direction).any(|record| record.flags.has(crate::packet::TcpFlags::FIN));
    let full = view.tcp.sides[view.side(direction)].zero_window > 0;
    if !cut || view.exchange_went_through() || !view.has_sni() || closed || full || !view.resets.iter().all(|reset| reset.direction != direction) {
        return None;
    }
    if silence.repeats.len() < REPEATS_MIN || silence.watched < SILENCE_MIN {
        return None;
    }
    let (last_time, last) = silence.last?;
    Some(Evidence {
        id: "cut_after_answer",
        mechanism: Mechanism::CutAfterPackets,
        packets: std::iter::once(last).chain(silence.repeats.iter().map(|repeat| repeat.1)).take(8).collect(),
        time: last_time,
        says: format!(
            "packet {}: the last packet from the {}'s address; the other side sent the same bytes again {} times in {:.1} s without any sign of life",
            last.number(),
            direction.sender(),
            silence.repeats.len(),
            silence.watched.as_secs()
        ),
        unless: "an end that vanished, or a path that failed",
    })
}
