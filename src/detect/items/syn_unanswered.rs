//! No connection: SYNs that nobody answers, that a reset refuses, or that an ICMP error refuses.
//!
//! A closed port, a dead host and a full firewall leave the same, so that this says little by itself. It becomes evidence where other networks reach the same
//! address meanwhile (set C) and this client reaches others (set D).
//! Source: Ensafi et al., "Analyzing the Great Firewall of China Over Space and Time", PETS 2015; RFC 6298 section 2 for the patience.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::words::Mechanism;
use crate::model::{Direction, PacketNumber, Span};
use crate::packet::TcpFlags;

/// Fewer tries, or closer together, are no test (SYNs of Linux come at 0, 1 and 3 s).
const TRIES: usize = 3;
const PATIENCE: Span = Span::from_millis(2_300);
/// A sentence names so many packets at the most.
const NAMED: usize = 8;

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let handshake = &view.tcp.handshake;
    let (first, _) = handshake.syn?;
    if direction == Direction::ClientToServer || handshake.syn_ack.is_some() {
        return None;
    }
    let syns: Vec<PacketNumber> =
        view.sent(Direction::ClientToServer).filter(|record| record.flags.has(TcpFlags::SYN)).map(|record| record.number).collect();
    let show = |id, mechanism, packets: Vec<PacketNumber>, says, unless| Some(Evidence { id, mechanism, packets, time: first, says, unless });
    let syn = *syns.first()?;
    if let Some((error, _)) = view.conversation.flow.icmp_error() {
        let says = format!("packet {}: SYN, refused by an ICMP error (type {}, code {}) from {}", syn.number(), error.kind, error.code, error.from);
        return show("syn_icmp_refused", Mechanism::IcmpUnreachable, vec![syn], says, "no route, or an administrator who refuses everybody");
    }
    if let Some(reset) = view.resets.iter().find(|reset| reset.direction == Direction::ServerToClient) {
        let says = format!("packet {}: SYN; packet {}: reset instead of a SYN/ACK", syn.number(), reset.packet.number());
        return show("syn_refused", Mechanism::SynRst, vec![syn, reset.packet], says, "nobody listens at that port");
    }
    let span = handshake.last_syn? - first;
    if syns.len() < TRIES || span < PATIENCE {
        return None;
    }
    let named: Vec<PacketNumber> = syns.iter().take(NAMED).copied().collect();
    let numbers: Vec<String> = named.iter().map(|packet| packet.number().to_string()).collect();
    let says = format!("packets {}: {} SYNs over {:.1} s without any answer", numbers.join(", "), handshake.syn_count, span.as_secs());
    show("syn_unanswered", Mechanism::SynUnanswered, named, says, "the host is down, or a firewall of its own drops what it does not serve")
}

#[cfg(test)]
mod tests {
    use super::observe;
    use crate::model::Direction::{ClientToServer, ServerToClient};
    use crate::packet::trace::Trace;

    #[test]
    fn three_syns_over_seconds_are_a_test() {
        let trace = Trace::at_client().syn().wait(1_000).repeat(1).wait(2_000).repeat(1).wait(4_000);
        assert_eq!(trace.shows(observe, ServerToClient), Some(("syn_unanswered", vec![1, 2, 3])));
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn one_syn_is_none() {
        assert_eq!(Trace::at_client().syn().wait(9_000).shows(observe, ServerToClient), None);
        assert_eq!(Trace::at_client().syn().wait(100).repeat(1).wait(100).repeat(1).shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_refusal_names_the_reset() {
        let trace = Trace::at_client().syn().wait(40).refused();
        assert_eq!(trace.shows(observe, ServerToClient), Some(("syn_refused", vec![1, 2])));
    }

    #[test]
    fn who_accepts_is_there() {
        let trace = Trace::at_client().syn().wait(1_000).repeat(1).wait(2_000).repeat(1).syn_ack();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }
}
