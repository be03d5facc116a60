//! A connection that got its first answer and was cut before the exchange went through: one side repeats itself, the other is silent altogether.
//!
//! Benign first: a closed receive window, a connection that is closing, an end that vanished or a path that failed: the last two are told by other flows.
//! After a whole exchange nothing is said here: idle connections die of address translators and machines that leave.
//! Source: SNI-II of Xue et al., IMC 2022: five to eight packets pass, then all are dropped; three repetitions without a sign of life by design.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::words::{Mechanism, PayloadFate};
use crate::model::{Direction, Span};
use crate::packet::TcpFlags;

const REPEATS_MIN: usize = 3;
const SILENCE_MIN: Span = Span::from_secs(2);

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let request = view.request.as_ref()?;
    let silence = view.silence.as_ref().filter(|silence| silence.silent == direction)?;
    let cut = match direction {
        Direction::ServerToClient => request.fate == PayloadFate::Answered,
        Direction::ClientToServer => matches!(request.fate, PayloadFate::Answered | PayloadFate::Alert),
    };
    let closed = view.sent(direction).any(|record| record.flags.has(TcpFlags::FIN));
    let full = view.tcp.sides[view.side(direction)].zero_window > 0;
    if !cut || view.exchange_went_through() || closed || full || !view.resets.iter().all(|reset| reset.direction != direction) {
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

#[cfg(test)]
mod tests {
    use super::observe;
    use crate::model::Direction::{ClientToServer, ServerToClient};
    use crate::packet::trace::Trace;

    const NAME: &str = "web.whatsapp.com";

    fn tried(trace: Trace, packet: usize) -> Trace {
        trace.wait(300).repeat(packet).wait(600).repeat(packet).wait(1_200).repeat(packet).wait(5_000)
    }

    fn answered() -> Trace {
        Trace::at_client().handshake().client_hello(NAME).server_hello()
    }

    #[test]
    fn a_server_that_answers_once_and_never_again_was_cut_off() {
        let trace = tried(answered().client_data(80).unheard(), 6);
        assert_eq!(trace.shows(observe, ServerToClient), Some(("cut_after_answer", vec![5, 7, 8, 9])));
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn at_the_server_it_is_the_client_that_falls_silent() {
        let trace = tried(Trace::at_server().handshake().client_hello(NAME).server_hello().unheard(), 5);
        assert_eq!(trace.shows(observe, ClientToServer), Some(("cut_after_answer", vec![4, 6, 7, 8])));
    }

    #[test]
    fn a_closed_window_is_a_reason_to_wait() {
        let trace = Trace::at_client().handshake().client_hello(NAME).server_hello().ack_from_server().window(0).client_data(80).unheard();
        assert_eq!(tried(trace, 7).shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_server_that_has_closed_owes_nothing() {
        assert_eq!(tried(answered().fin_from_server().client_data(80).unheard(), 7).shows(observe, ServerToClient), None);
    }

    #[test]
    fn after_a_whole_exchange_connections_die_of_many_things() {
        let exchanged = answered().client_data(80).server_data(900).client_data(80).unheard();
        assert_eq!(tried(exchanged, 8).shows(observe, ServerToClient), None);
    }

    #[test]
    fn two_repetitions_are_too_few() {
        let trace = answered().client_data(80).unheard().wait(300).repeat(6).wait(3_000).repeat(6).wait(9_000);
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }
}
