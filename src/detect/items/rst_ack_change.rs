//! A reset that acknowledges what was never sent: two in a row whose acknowledgements differ, the second beyond all that its receiver sent.
//!
//! An injector guesses how far the streams will be; a host knows what it received. Benign first: bytes that the capture does not hold.
//! Source: RST_ACK_CHANGE of Weaver, Sommer, Paxson, NDSS 2009.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::Direction;
use crate::model::words::Gate;

use super::{reset_mechanism, resets};

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    if [Gate::Midstream, Gate::Loss, Gate::Oneway].into_iter().any(|gate| view.fails(gate)) {
        return None;
    }
    let (first, second, change) = resets(view, direction).find_map(|reset| Some((reset.previous_of_burst()?, reset, reset.ack_change()?)))?;
    Some(Evidence {
        id: "rst_ack_change",
        mechanism: reset_mechanism(direction),
        packets: vec![first.packet.number, second.packet],
        time: first.packet.time,
        says: format!(
            "packets {} and {}: two resets from the {}'s address that acknowledge bytes {change} apart, the second what was never sent",
            first.packet.number.number(),
            second.packet.number(),
            direction.sender()
        ),
        unless: "packets of the receiver that the capture does not hold",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Direction::{ClientToServer, ServerToClient};
    use crate::packet::trace::Trace;

    #[test]
    fn a_reset_acknowledges_what_nobody_sent() {
        let trace = Trace::at_client().handshake().client_hello("web.whatsapp.com").rst_from_server().wait(1).rst_from_server().ack(1_460);
        assert_eq!(trace.shows(observe, ServerToClient), Some(("rst_ack_change", vec![5, 6])));
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn what_arrived_between_two_resets_was_sent() {
        let begun = Trace::at_client().handshake().client_hello("web.whatsapp.com").rst_from_server();
        let trace = begun.client_data(100).rst_from_server();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }
}
