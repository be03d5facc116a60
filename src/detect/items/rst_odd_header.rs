//! A reset with a header that no stack writes: the nonce bit, payload, or an acknowledgement that its flag does not fit.
//!
//! Benign first: nothing is asked of a reset behind a FIN. RFC 9293 section 3.5.3 leaves payload in a reset open, so that this weighs as the form does.
//! Source: the "RAE" injector (RST+ACK with the ECN nonce bit) of Weaver, Sommer, Paxson, NDSS 2009; payload: Wu et al., "A Wall Behind A Wall", 2025.

use crate::detect::Evidence;
use crate::detect::features::{Reset, TcpView};
use crate::model::Direction;
use crate::packet::TcpFlags;

use super::{reset_mechanism, resets};

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let (reset, odd) = resets(view, direction).find_map(|reset| Some((reset, odd(reset)?)))?;
    Some(Evidence {
        id: "rst_odd_header",
        mechanism: reset_mechanism(direction),
        packets: vec![reset.packet],
        time: reset.time,
        says: format!("packet {}: reset from the {}'s address with {odd}", reset.packet.number(), direction.sender()),
        unless: "an unusual stack, or a device before the sender",
    })
}

fn odd(reset: &Reset<'_>) -> Option<&'static str> {
    let packet = &reset.record.packet;
    let has_ack = packet.flags.has(TcpFlags::ACK);
    if reset.record.nonce {
        Some("the bit of the ECN nonce (RFC 3540)")
    } else if packet.payload_bytes > 0 {
        Some("payload")
    } else if has_ack && packet.ack.0 == 0 {
        Some("the ACK flag and an acknowledgement of 0")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Direction::{ClientToServer, ServerToClient};
    use crate::packet::trace::Trace;

    fn asked() -> Trace {
        Trace::at_client().handshake().client_hello("web.whatsapp.com")
    }

    #[test]
    fn a_reset_that_acknowledges_nothing_has_no_ack_flag() {
        let trace = asked().rst_from_server().bare().flagged(TcpFlags::ACK);
        assert_eq!(trace.shows(observe, ServerToClient), Some(("rst_odd_header", vec![5])));
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn payload_in_a_reset_is_odd() {
        let trace = asked().server_bytes(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 0]).flags(TcpFlags::RST.0 | TcpFlags::ACK.0);
        assert_eq!(trace.shows(observe, ServerToClient), Some(("rst_odd_header", vec![5])));
    }

    #[test]
    fn what_stacks_send_is_not_odd() {
        assert_eq!(asked().rst_from_server().shows(observe, ServerToClient), None);
        assert_eq!(asked().rst_from_server().bare().shows(observe, ServerToClient), None);
        assert_eq!(Trace::at_client().syn().refused().shows(observe, ServerToClient), None);
    }
}
