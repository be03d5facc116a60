//! Acknowledgement after a reset: an address resets the connection and then acknowledges more of it than ever before.
//!
//! Benign first: an acknowledgement overtaken by the reset covers no more than the reset or an earlier packet did.
//! Source: the life signs of Weaver, Sommer, Paxson, NDSS 2009, for packets without payload (D: weaker, since many causes of order are near).

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::Direction;

use super::{reset_mechanism, resets};

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let (reset, (time, later, more)) = resets(view, direction).find_map(|reset| Some((reset, reset.record.after.ack?)))?;
    Some(Evidence {
        id: "ack_after_rst",
        mechanism: reset_mechanism(direction),
        packets: vec![reset.packet, later],
        time: reset.time,
        says: format!(
            "packet {}: reset from the {}'s address; packet {}: that address acknowledges {} bytes more {:.1} ms later",
            reset.packet.number(),
            direction.sender(),
            later.number(),
            more,
            (time - reset.time).as_ms()
        ),
        unless: "two machines of one service behind the address, of which one reset the connection",
    })
}

#[cfg(test)]
mod tests {
    use super::observe;
    use crate::model::Direction::ServerToClient;
    use crate::packet::trace::Trace;

    const NAME: &str = "web.telegram.org";

    #[test]
    fn a_machine_that_has_reset_acknowledges_no_more() {
        let trace = Trace::at_client().handshake().client_hello(NAME).wait(5).rst_from_server().bare().wait(35).ack_from_server();
        assert_eq!(trace.shows(observe, ServerToClient), Some(("ack_after_rst", vec![5, 6])));
    }

    #[test]
    fn an_acknowledgement_that_the_reset_overtook_covers_no_more_than_it() {
        let trace = Trace::at_client().handshake().client_hello(NAME).wait(5).rst_from_server().wait(35).ack_from_server();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn an_acknowledgement_seen_before_the_reset_may_come_again() {
        let acked = Trace::at_client().handshake().client_hello(NAME).ack_from_server();
        assert_eq!(acked.rst_from_server().bare().wait(20).repeat(5).shows(observe, ServerToClient), None);
    }
}
