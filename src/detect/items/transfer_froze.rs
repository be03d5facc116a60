//! A transfer that froze: the server fell silent in the middle of a TLS record, and does not even acknowledge the client's farewell.
//!
//! A record header announces how many bytes come; a program hands a record to the kernel whole, so that a live server finishes it.
//! Benign first: a server or path that died is told by other connections; a closed receive window; a client that left early; a recording that keeps only the
//! first packets of each flow, in which both fall silent.
//! Source: net4people/bbs issue 490 (2025): transfers that stop after 15 to 20 kB; 10 s of silence by design.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::words::{Mechanism, Outstanding};
use crate::model::{Direction, Span};

const SILENCE_MIN: Span = Span::from_secs(10);
const REPEATS_MIN: usize = 3;
/// From here on it is a transfer (observed spread 14 kB to 34 kB, net4people/bbs issue 490), below it the answer itself was cut.
const TRANSFER_BYTES: u64 = 10_000;

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let silence = view.silence.as_ref().filter(|silence| silence.silent == direction)?;
    let long = silence.attended >= SILENCE_MIN || silence.repeats.len() >= REPEATS_MIN;
    let full = view.tcp.sides[view.client()].zero_window > 0;
    if direction != Direction::ServerToClient || !silence.inside_record || !long || full {
        return None;
    }
    let (last_time, last) = silence.last?;
    let delivered = view.tcp.sides[view.side(direction)].new_payload_bytes;
    let asked = if silence.owed == Outstanding::TlsRecord { String::new() } else { format!("; {} repetitions got no answer", silence.repeats.len()) };
    Some(Evidence {
        id: "transfer_froze",
        mechanism: if delivered >= TRANSFER_BYTES { Mechanism::VolumeFreeze } else { Mechanism::CutAfterPackets },
        packets: std::iter::once(last).chain(silence.repeats.iter().map(|repeat| repeat.1)).take(8).collect(),
        time: last_time,
        says: format!(
            "packet {}: the server's last packet, in the middle of a TLS record after {delivered} bytes; then silence for {:.1} s{asked}",
            last.number(),
            silence.attended.as_secs()
        ),
        unless: "the server or the path died in mid-transfer",
    })
}

#[cfg(test)]
mod tests {
    use super::observe;
    use crate::detect;
    use crate::model::Direction::{ClientToServer, ServerToClient};
    use crate::model::words::Mechanism;
    use crate::packet::trace::Trace;

    /// The header of a record of 16 KiB, and the first 1455 bytes of it.
    fn begun() -> Vec<u8> {
        [&[23, 3, 3, 0x40, 0][..], &[0; 1_455]].concat()
    }

    fn transfer() -> Trace {
        Trace::at_client().handshake().client_hello("www.youtube.com").server_hello().client_data(80).server_bytes(&begun())
    }

    #[test]
    fn a_server_does_not_stop_in_the_middle_of_a_record() {
        let trace = transfer().ack_from_client().wait(20_000).fin_from_client().unheard();
        assert_eq!(trace.shows(observe, ServerToClient), Some(("transfer_froze", vec![7])));
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn a_farewell_that_gets_no_answer_is_named_by_its_repetitions() {
        let trace = transfer().ack_from_client().fin_from_client().unheard().wait(300).repeat(9).wait(600).repeat(9).wait(1_200).repeat(9);
        assert_eq!(trace.shows(observe, ServerToClient), Some(("transfer_froze", vec![7, 10, 11, 12])));
    }

    #[test]
    fn ten_kilobytes_make_it_a_transfer() {
        let mechanism = |trace: Trace| {
            let conversation = trace.ack_from_client().wait(20_000).fin_from_client().unheard().conversation();
            let view = detect::view(&conversation).expect("a scene is TCP");
            observe(&view, ServerToClient).expect("it froze").mechanism
        };
        assert_eq!(mechanism(transfer()), Mechanism::CutAfterPackets);
        let more = (0..6).fold(transfer(), |trace, _| trace.server_bytes(&[0; 1_460]));
        assert_eq!(mechanism(more), Mechanism::VolumeFreeze);
    }

    #[test]
    fn a_record_that_is_whole_is_the_end_of_an_answer() {
        let rest = vec![0; 16_384 - 1_455];
        assert_eq!(transfer().server_bytes(&rest).ack_from_client().wait(20_000).fin_from_client().unheard().shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_client_that_closes_its_window_stops_the_server_itself() {
        assert_eq!(transfer().ack_from_client().window(0).wait(20_000).fin_from_client().unheard().shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_pause_of_some_seconds_is_none() {
        assert_eq!(transfer().ack_from_client().wait(9_000).fin_from_client().unheard().shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_client_that_leaves_early_waited_for_nothing() {
        assert_eq!(transfer().wait(2_000).fin_from_client().unheard().wait(20_000).shows(observe, ServerToClient), None);
    }

    #[test]
    fn where_both_fall_silent_it_may_be_the_recording_that_stopped() {
        assert_eq!(transfer().ack_from_client().wait(20_000).shows(observe, ServerToClient), None);
    }

    #[test]
    fn with_a_hole_the_place_in_the_record_is_lost() {
        let trace =
            transfer().server_bytes(&[0; 1_460]).missed().server_bytes(&[0; 1_460]).ack_from_client().wait(20_000).fin_from_client().unheard();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }
}
