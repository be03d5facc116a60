//! SYN/ACK after a reset: an address refuses a connection and accepts it a moment later.
//!
//! A host answers a SYN by one of the two. Benign first: a SYN/ACK before the reset says nothing, a client may think again.
//! Source: SYN_RST of Weaver, Sommer, Paxson, NDSS 2009.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::Direction;
use crate::model::words::Mechanism;

use super::resets;

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    if direction == Direction::ClientToServer {
        return None;
    }
    let (reset, (time, accept)) = resets(view, direction).find_map(|reset| Some((reset, reset.record.after.syn_ack?)))?;
    if view.tcp.handshake.syn_count > 1 {
        return None; // a repeated SYN may have met a server that had just begun to listen
    }
    Some(Evidence {
        id: "syn_ack_after_rst",
        mechanism: Mechanism::SynRst,
        packets: vec![reset.packet, accept],
        time: reset.time,
        says: format!(
            "packet {}: reset from the server's address to the SYN; packet {}: that address accepts the same SYN {:.1} ms later",
            reset.packet.number(),
            accept.number(),
            (time - reset.time).as_ms()
        ),
        unless: "two machines of one service behind the address, of which one refused",
    })
}

#[cfg(test)]
mod tests {
    use super::observe;
    use crate::model::Direction::{ClientToServer, ServerToClient};
    use crate::packet::trace::Trace;

    #[test]
    fn a_server_does_not_refuse_and_accept_one_syn() {
        let trace = Trace::at_client().syn().wait(5).refused().wait(35).syn_ack();
        assert_eq!(trace.shows(observe, ServerToClient), Some(("syn_ack_after_rst", vec![2, 3])));
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn a_reset_behind_the_syn_ack_may_be_a_change_of_mind() {
        let trace = Trace::at_client().syn().syn_ack().wait(5).rst_from_server();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_repeated_syn_may_meet_a_server_that_listens_by_now() {
        let trace = Trace::at_client().syn().refused().wait(500).repeat(1).syn_ack();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }
}
