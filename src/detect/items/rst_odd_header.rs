//! A reset with a header that no stack writes: the nonce bit, or the ACK flag with an acknowledgement of 0.
//!
//! Benign first: nothing is asked of a reset behind a FIN. Payload is no sign: hosts may put the reason there (RFC 1122 section 4.2.2.12), and some do.
//! Source: the "RAE" injector (RST+ACK with the ECN nonce bit) and header sanity of Weaver, Sommer, Paxson, NDSS 2009.

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
    fn what_stacks_send_is_not_odd() {
        assert_eq!(asked().rst_from_server().shows(observe, ServerToClient), None);
        assert_eq!(asked().rst_from_server().bare().shows(observe, ServerToClient), None);
        let with_reason = asked().server_bytes(b"policy").flags(TcpFlags::RST.0 | TcpFlags::ACK.0);
        assert_eq!(with_reason.shows(observe, ServerToClient), None);
        assert_eq!(Trace::at_client().syn().refused().shows(observe, ServerToClient), None);
    }
}
