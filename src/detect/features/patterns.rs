//! Published patterns of injected resets, recognised in a reset and those of its burst.
//!
//! Hints: they name no sender and weigh nothing. Sources stand at the words (`ResetPattern`).

use crate::flow::ResetRecord;
use crate::model::Direction;
use crate::model::words::{ResetPattern, Word};
use crate::packet::TcpFlags;

use super::Reset;

const WINDOW_STEPS_MIN: usize = 3;

/// The first pattern that a reset fits; `earlier`: the resets of the flow before it.
pub fn pattern<'a>(reset: &Reset<'a>, earlier: &[Reset<'a>]) -> Option<ResetPattern> {
    let burst: Vec<&ResetRecord> = reset.burst(earlier).collect();
    let packet = &reset.record.packet;
    let has_ack = packet.flags.has(TcpFlags::ACK);
    let step = |record: &ResetRecord| packet.seq.offset_from(record.packet.seq);
    let steps = |distances: &[i32]| burst.iter().any(|record| distances.contains(&step(record)));
    let fits = |pattern: &ResetPattern| match pattern {
        ResetPattern::Seq1460 => steps(&[1_460, 4_380]),
        ResetPattern::Seq12503 => steps(&[12_503]),
        ResetPattern::Seq30 => steps(&[30]),
        ResetPattern::IpId64 => reset.record.has_ip_id && packet.ip_id == 64 && !follows_counter(reset),
        ResetPattern::IpIdMinus26 => reset.ip_id_delta() == Some(-26),
        ResetPattern::IpId13330 => reset.record.has_ip_id && packet.ip_id == 13_330 && !follows_counter(reset),
        ResetPattern::Nonce => has_ack && reset.record.nonce,
        ResetPattern::WindowSteps => rises(reset, &burst),
        ResetPattern::Payload10 => has_ack && packet.payload_bytes == 10 && reset.record.has_ip_id && packet.ip_id == 1,
        ResetPattern::Mixed => {
            let behind_request = reset.direction == Direction::ClientToServer || reset.record.peer.payload_packets > 0;
            behind_request && !reset.closing && burst.iter().any(|record| record.packet.flags.has(TcpFlags::ACK) != has_ack)
        }
    };
    ResetPattern::ALL.iter().copied().find(|pattern| fits(pattern))
}

/// A counter may come by any number.
fn follows_counter(reset: &Reset<'_>) -> bool {
    reset.ip_id_delta().is_some_and(|delta| (0..=16).contains(&delta))
}

/// RST+ACK at one sequence number, the window of each one more than that before it.
fn rises(reset: &Reset<'_>, burst: &[&ResetRecord]) -> bool {
    let all: Vec<&ResetRecord> = std::iter::once(reset.record).chain(burst.iter().copied()).take(WINDOW_STEPS_MIN).collect();
    let rising = |pair: &[&ResetRecord]| {
        let [later, before] = [&pair[0].packet, &pair[1].packet];
        later.seq == before.seq && later.window == before.window.wrapping_add(1) && later.flags.has(TcpFlags::ACK) && before.flags.has(TcpFlags::ACK)
    };
    all.len() == WINDOW_STEPS_MIN && all.windows(2).all(rising)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect;
    use crate::packet::trace::Trace;

    /// The pattern of the last reset.
    fn of(trace: &Trace) -> Option<ResetPattern> {
        let conversation = trace.conversation();
        let view = detect::view(&conversation).expect("a scene is TCP");
        let (last, earlier) = view.resets.split_last().expect("a reset");
        pattern(last, earlier)
    }

    fn asked() -> Trace {
        Trace::at_client().handshake().client_hello("www.example.org")
    }

    #[test]
    fn bursts_that_aim_ahead_are_known() {
        let burst = |step: i32| of(&asked().rst_from_server().wait(1).rst_from_server().seq(step));
        assert_eq!(burst(1_460), Some(ResetPattern::Seq1460));
        assert_eq!(burst(4_380), Some(ResetPattern::Seq1460));
        assert_eq!(burst(12_503), Some(ResetPattern::Seq12503));
        assert_eq!(burst(30), Some(ResetPattern::Seq30));
        assert_eq!(burst(0), None);
        assert_eq!(of(&asked().rst_from_server().wait(3_000).rst_from_server().seq(1_460)), None, "not of one burst");
    }

    #[test]
    fn numbers_of_packets_and_windows_are_known() {
        assert_eq!(of(&asked().ack_from_server().ip_id(900).rst_from_server().ip_id(64)), Some(ResetPattern::IpId64));
        assert_eq!(of(&asked().ack_from_server().ip_id(63).rst_from_server().ip_id(64)), None, "its sender counts");
        assert_eq!(of(&asked().ack_from_server().ip_id(90).rst_from_server().ip_id(64)), Some(ResetPattern::IpId64));
        assert_eq!(of(&asked().ack_from_server().ip_id(900).rst_from_server().ip_id(874)), Some(ResetPattern::IpIdMinus26));
        let steps = asked().rst_from_server().window(1_980).rst_from_server().window(1_981).rst_from_server().window(1_982);
        assert_eq!(of(&steps), Some(ResetPattern::WindowSteps));
    }

    #[test]
    fn both_kinds_in_one_burst_are_known() {
        assert_eq!(of(&asked().rst_from_server().wait(1).rst_from_server().bare()), Some(ResetPattern::Mixed));
        assert_eq!(of(&asked().rst_from_server()), None);
    }
}
