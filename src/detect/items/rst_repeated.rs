//! The same abort twice: two resets with ACK, with equal numbers, one shortly after the other.
//!
//! A stack that gives a connection up has no connection left to give up again: what still comes it answers by resets without ACK, which take their sequence
//! number from what they answer (RFC 9293 section 3.10.7.1). An injector sends several, so that one of them wins the race. Benign first: a refused SYN
//! that came twice; copies of one packet are no packets here.
//! Source: bursts of Clayton, Murdoch, Watson, PET 2006; RST+ACK;RST+ACK of Sundara Raman et al., SIGCOMM 2023.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::Direction;

use super::reset_mechanism;

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let resets = view.resets.iter().enumerate().filter(|(_, reset)| reset.direction == direction && !reset.closing && !reset.refuses());
    let counted = resets.map(|(at, reset)| (reset, reset.repeats(&view.resets[..at])));
    let (last, repeats) = counted.filter(|(_, repeats)| *repeats > 0).max_by_key(|(_, repeats)| *repeats)?;
    let first = last.previous_of_burst()?;
    Some(Evidence {
        id: "rst_repeated",
        mechanism: reset_mechanism(direction),
        packets: vec![first.packet.number, last.packet],
        time: first.packet.time,
        says: format!(
            "packet {}: reset from the {}'s address with ACK; packet {}: the same numbers once more, {} such resets in all",
            first.packet.number.number(),
            direction.sender(),
            last.packet.number(),
            repeats + 1
        ),
        unless: "a device that resets more than once",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Direction::{ClientToServer, ServerToClient};
    use crate::packet::trace::Trace;

    const NAME: &str = "web.whatsapp.com";

    fn asked() -> Trace {
        Trace::at_client().handshake().client_hello(NAME)
    }

    #[test]
    fn nobody_gives_up_twice() {
        let trace = asked().wait(5).rst_from_server().ip_id(1).wait(1).rst_from_server().ip_id(2);
        assert_eq!(trace.shows(observe, ServerToClient), Some(("rst_repeated", vec![5, 6])));
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn what_still_comes_is_answered_without_ack() {
        let trace = asked().rst_from_server().ip_id(1).wait(1).rst_from_server().ip_id(2).bare().wait(1).rst_from_server().ip_id(3).bare();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_syn_that_comes_twice_is_refused_twice() {
        let trace = Trace::at_client().syn().refused().ip_id(1).wait(500).repeat(1).refused().ip_id(2);
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn resets_far_apart_do_not_belong_together() {
        let trace = asked().wait(5).rst_from_server().ip_id(1).wait(2_500).rst_from_server().ip_id(2);
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }
}
