//! What packets tell of the machine that sends them.

use etherparse::TcpOptionElement::{MaximumSegmentSize, Noop, SelectiveAcknowledgementPermitted, WindowScale};

use super::*;
use crate::model::words::IpIdCourse;

#[test]
fn both_ends_offer_options() {
    let offered = [MaximumSegmentSize(1_400), Noop, WindowScale(8), Noop, Noop, SelectiveAcknowledgementPermitted];
    let trace = Trace::at_client().syn().options(&offered).syn_ack().ack_from_client();
    let (client, server) = (client_side(&trace).options, server_side(&trace).options);
    assert_eq!((client.to_string(), client.mss, client.window_scale), ("mss,nop,ws,nop,nop,sok".into(), Some(1_400), Some(8)));
    assert_eq!(server.mss, Some(1_460));
    assert_eq!(server_side(&trace).syn, 1);
}

#[test]
fn a_side_has_a_way_to_number_its_packets() {
    let numbered = |ids: [u16; 4]| ids.iter().fold(Trace::at_client().handshake(), |trace, id| trace.client_data(10).ip_id(*id));
    assert_eq!(client_side(&numbered([100, 101, 103, 104])).ip_ids(), Some(IpIdCourse::Incrementing));
    assert_eq!(client_side(&numbered([0; 4])).ip_ids(), Some(IpIdCourse::Zero));
    assert_eq!(server_side(&numbered([0; 4])).ip_ids(), None, "a SYN/ACK alone says nothing");
}
