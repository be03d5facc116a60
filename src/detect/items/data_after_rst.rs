//! Data after a reset: an address resets the connection and then goes on sending on it.
//!
//! A stack that has reset has no connection left to send on, so two machines speak under one address.
//! Benign first: bytes below the reset's sequence number were on their way already; the same bytes again; packets that changed places.
//! Blind to boxes in the path that swallow the real packets: no evidence is no acquittal.
//! Source: DATA_SEQ_RST of Weaver, Sommer, Paxson, "Detecting Forged TCP Reset Packets", NDSS 2009.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::Direction;

use super::{reset_mechanism, resets};

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let (reset, (time, later, bytes)) = resets(view, direction).find_map(|reset| Some((reset, reset.record.after.data?)))?;
    Some(Evidence {
        id: "data_after_rst",
        mechanism: reset_mechanism(direction),
        packets: vec![reset.packet, later],
        time: reset.time,
        says: format!(
            "packet {}: reset from the {}'s address; packet {}: {} new bytes from that address {:.1} ms later",
            reset.packet.number(),
            direction.sender(),
            later.number(),
            bytes,
            (time - reset.time).as_ms()
        ),
        unless: "two machines of one service behind the address, of which one reset the connection",
    })
}

#[cfg(test)]
mod tests {
    use super::observe;
    use crate::model::Direction::{ClientToServer, ServerToClient};
    use crate::packet::trace::Trace;

    const NAME: &str = "web.whatsapp.com";

    #[test]
    fn data_after_a_reset_betrays_a_second_sender() {
        let trace = Trace::at_client().handshake().client_hello(NAME).wait(5).rst_from_server().wait(35).server_hello();
        assert_eq!(trace.shows(observe, ServerToClient), Some(("data_after_rst", vec![5, 6])));
        assert_eq!(trace.shows(observe, ClientToServer), None);
    }

    #[test]
    fn a_client_that_goes_on_after_its_own_reset_never_sent_it() {
        let answered = Trace::at_server().handshake().client_hello(NAME).server_hello();
        let trace = answered.wait(3).rst_from_client().wait(20).client_data(80);
        assert_eq!(trace.shows(observe, ClientToServer), Some(("data_after_rst", vec![6, 7])));
    }

    #[test]
    fn old_bytes_after_a_reset_are_only_late() {
        let trace = Trace::at_client().handshake().client_hello(NAME).server_hello().rst_from_server().wait(20).repeat(5);
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn bytes_that_the_reset_follows_were_on_their_way_already() {
        let trace = Trace::at_client().handshake().client_hello(NAME).rst_from_server().seq(1_000).wait(10).server_data(1_000);
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn packets_that_change_places_prove_nothing() {
        let trace = Trace::at_client().handshake().client_hello(NAME).rst_from_server().wait(0.5).server_data(1_000);
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn behind_a_fin_a_reset_is_no_matter() {
        let trace = Trace::at_client().handshake().client_hello(NAME).fin_from_client().rst_from_server().wait(35).server_hello();
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn life_signs_count_for_two_seconds() {
        let reset = Trace::at_client().handshake().client_hello(NAME).wait(5).rst_from_server();
        assert!(reset.clone().wait(1_990).server_hello().shows(observe, ServerToClient).is_some());
        assert_eq!(reset.wait(2_010).server_hello().shows(observe, ServerToClient), None);
    }
}
