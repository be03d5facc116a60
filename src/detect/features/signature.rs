//! Tampering signatures of Sundara Raman et al., "Global, Passive Detection of Connection Tampering", SIGCOMM 2023.
//!
//! The paper looks at what a server receives: the first ten packets of a connection, and whether it ends by resets or by 3 s of silence. The same is told here of
//! either direction; for the server's packets a SYN/ACK stands for the SYN, and its first acknowledgement for that of the handshake.

use crate::flow::PacketRecord;
use crate::flow::limits::LIFE_SIGN;
use crate::model::{Direction, Span};
use crate::packet::TcpFlags;

use super::TcpView;

/// Packets of a direction that the paper samples.
const SAMPLED: usize = 10;
/// Its limit of inactivity.
const INACTIVE: Span = Span::from_secs(3);

/// How far the packets of a direction had come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Syn,
    Ack,
    FirstData,
    MoreData,
}

/// The signature of a direction; none where no one matches.
pub fn signature(view: &TcpView<'_>, direction: Direction) -> Option<&'static str> {
    let sample: Vec<&PacketRecord> = view.sent(direction).take(SAMPLED).collect();
    // A server may refuse the SYN by its first word.
    let begun = (direction == Direction::ServerToClient && view.tcp.handshake.syn.is_some()).then_some(Reached::Syn);
    let (reached, resets, acks_behind_data) = progress(&sample, begun)?;
    if resets.is_empty() {
        let silent_from = sample.last()?.time;
        let all = view.sent(direction).count() == sample.len();
        let silent = all && view.conversation.watched_until.max(view.conversation.flow.end()) - silent_from >= INACTIVE;
        return if silent { silence(reached, acks_behind_data) } else { None };
    }
    let first = resets[0].time;
    let burst: Vec<&PacketRecord> = resets.into_iter().filter(|reset| reset.time - first <= LIFE_SIGN).collect();
    Some(match reached {
        Reached::Syn => post_syn(&burst),
        Reached::Ack => post_ack(&burst)?,
        Reached::FirstData => post_psh(&burst)?,
        Reached::MoreData => later(&burst)?,
    })
}

/// How far the direction came before its first reset, its resets, and whether anything but repetitions followed its first data; none where it began without
/// a SYN, or closed before a reset.
fn progress<'a>(sample: &[&'a PacketRecord], begun: Option<Reached>) -> Option<(Reached, Vec<&'a PacketRecord>, bool)> {
    let (mut reached, mut resets, mut acks_behind_data): (Option<Reached>, Vec<&PacketRecord>, bool) = (begun, Vec::new(), false);
    for packet in sample {
        if packet.is_reset() {
            resets.push(*packet);
            continue;
        }
        if !resets.is_empty() {
            continue; // life signs are no matter of the paper
        }
        if packet.flags.has(TcpFlags::FIN) {
            return None;
        }
        reached = Some(match reached {
            None if packet.flags.has(TcpFlags::SYN) => Reached::Syn,
            None => return None,
            Some(stage) if packet.new_bytes > 0 && !packet.flags.has(TcpFlags::SYN) => {
                if stage < Reached::FirstData {
                    Reached::FirstData
                } else {
                    Reached::MoreData
                }
            }
            Some(Reached::Syn) if !packet.flags.has(TcpFlags::SYN) && packet.payload_bytes == 0 => Reached::Ack,
            Some(stage) => {
                acks_behind_data |= stage >= Reached::FirstData && packet.payload_bytes == 0;
                stage
            }
        });
    }
    Some((reached?, resets, acks_behind_data))
}

fn silence(reached: Reached, acks_behind_data: bool) -> Option<&'static str> {
    match reached {
        Reached::Syn => Some("⟨SYN → ∅⟩"),
        Reached::Ack => Some("⟨SYN;ACK → ∅⟩"),
        Reached::FirstData if !acks_behind_data => Some("⟨PSH+ACK → ∅⟩"),
        _ => None,
    }
}

/// Resets without and with the ACK flag.
fn kinds(burst: &[&PacketRecord]) -> (usize, usize) {
    let with_ack = burst.iter().filter(|reset| reset.flags.has(TcpFlags::ACK)).count();
    (burst.len() - with_ack, with_ack)
}

fn post_syn(burst: &[&PacketRecord]) -> &'static str {
    match kinds(burst) {
        (_, 0) => "⟨SYN → RST⟩",
        (0, _) => "⟨SYN → RST+ACK⟩",
        _ => "⟨SYN → RST;RST+ACK⟩",
    }
}

fn post_ack(burst: &[&PacketRecord]) -> Option<&'static str> {
    match kinds(burst) {
        (1, 0) => Some("⟨SYN;ACK → RST⟩"),
        (_, 0) => Some("⟨SYN;ACK → RST;RST⟩"),
        (0, 1) => Some("⟨SYN;ACK → RST+ACK⟩"),
        (0, _) => Some("⟨SYN;ACK → RST+ACK;RST+ACK⟩"),
        _ => None,
    }
}

fn post_psh(burst: &[&PacketRecord]) -> Option<&'static str> {
    match kinds(burst) {
        (1, 0) => Some("⟨PSH+ACK → RST⟩"),
        (0, 1) => Some("⟨PSH+ACK → RST+ACK⟩"),
        (0, _) => Some("⟨PSH+ACK → RST+ACK;RST+ACK⟩"),
        (_, 0) => {
            let acks = || burst.iter().map(|reset| reset.ack.0);
            let (zeros, all_equal) = (acks().filter(|&ack| ack == 0).count(), acks().all(|ack| ack == burst[0].ack.0));
            Some(match (zeros, all_equal) {
                (_, true) => "⟨PSH+ACK → RST=RST⟩",
                (1, _) => "⟨PSH+ACK → RST;RST₀⟩",
                _ => "⟨PSH+ACK → RST≠RST⟩",
            })
        }
        _ => Some("⟨PSH+ACK → RST;RST+ACK⟩"),
    }
}

fn later(burst: &[&PacketRecord]) -> Option<&'static str> {
    match kinds(burst) {
        (_, 0) => Some("⟨PSH+ACK;Data → RST⟩"),
        (0, _) => Some("⟨PSH+ACK;Data → RST+ACK⟩"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect;
    use crate::model::Direction::{ClientToServer, ServerToClient};
    use crate::packet::trace::Trace;

    fn of(trace: &Trace, direction: Direction) -> Option<&'static str> {
        let conversation = trace.conversation();
        signature(&detect::view(&conversation).expect("a scene is TCP"), direction)
    }

    fn opened() -> Trace {
        Trace::at_server().handshake()
    }

    fn asked() -> Trace {
        opened().client_hello("web.whatsapp.com")
    }

    #[test]
    fn silence_is_named_by_what_came_before() {
        assert_eq!(of(&Trace::at_server().syn().syn_ack().wait(4_000), ClientToServer), Some("⟨SYN → ∅⟩"));
        assert_eq!(of(&opened().wait(4_000), ClientToServer), Some("⟨SYN;ACK → ∅⟩"));
        assert_eq!(of(&asked().wait(300).repeat(4).server_hello().wait(4_000), ClientToServer), Some("⟨PSH+ACK → ∅⟩"));
        assert_eq!(of(&asked().wait(2_000), ClientToServer), None, "3 s are waited for");
        assert_eq!(of(&asked().server_hello().ack_from_client().wait(4_000), ClientToServer), None, "it acknowledged the answer");
    }

    #[test]
    fn resets_are_named_by_their_kinds_and_numbers() {
        let reset = |trace: Trace| trace.rst_from_client();
        assert_eq!(of(&reset(opened()), ClientToServer), Some("⟨SYN;ACK → RST+ACK⟩"));
        assert_eq!(of(&reset(reset(opened())), ClientToServer), Some("⟨SYN;ACK → RST+ACK;RST+ACK⟩"));
        assert_eq!(of(&reset(asked()), ClientToServer), Some("⟨PSH+ACK → RST+ACK⟩"));
        assert_eq!(of(&reset(asked()).rst_from_client().bare(), ClientToServer), Some("⟨PSH+ACK → RST;RST+ACK⟩"));
        let bare = |ack: i32| asked().rst_from_client().bare().rst_from_client().bare().ack(ack);
        assert_eq!(of(&bare(0), ClientToServer), Some("⟨PSH+ACK → RST=RST⟩"));
        assert_eq!(of(&bare(700), ClientToServer), Some("⟨PSH+ACK → RST;RST₀⟩"));
        assert_eq!(of(&reset(asked().server_hello().client_data(80)), ClientToServer), Some("⟨PSH+ACK;Data → RST+ACK⟩"));
    }

    #[test]
    fn the_mirror_is_told_of_the_servers_packets() {
        assert_eq!(of(&Trace::at_client().syn().refused(), ServerToClient), Some("⟨SYN → RST+ACK⟩"));
        assert_eq!(of(&asked().ack_from_server().rst_from_server(), ServerToClient), Some("⟨SYN;ACK → RST+ACK⟩"));
    }

    #[test]
    fn a_close_in_good_order_and_the_eleventh_packet_have_no_signature() {
        assert_eq!(of(&asked().fin_from_client().rst_from_client(), ClientToServer), None);
        let long = (0..9).fold(asked(), |trace, _| trace.client_data(80));
        assert_eq!(of(&long.rst_from_client(), ClientToServer), None);
        assert_eq!(of(&Trace::at_server().client_data(80).rst_from_client(), ClientToServer), None, "its start was not captured");
    }
}
