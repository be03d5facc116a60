//! Openings of every kind.

use super::*;
use crate::model::Span;

/// The opening as a capture sees it: both halves of the round trip in milliseconds.
fn halves(trace: &Trace) -> (Option<f64>, Option<f64>) {
    let handshake = tcp_of(trace).handshake;
    (handshake.syn_rtt().map(Span::as_ms), handshake.ack_rtt().map(Span::as_ms))
}

/// Who opened, and whether both sides took part.
fn opened(trace: &Trace) -> (bool, bool) {
    let tcp = tcp_of(trace);
    (tcp.handshake.client == Some(client()), tcp.is_established())
}

#[test]
fn round_trips_are_taken_where_the_capture_stands() {
    assert_eq!(halves(&Trace::at_client().handshake()), (Some(40.0), Some(0.1)));
    assert_eq!(halves(&Trace::at_server().handshake()), (Some(0.1), Some(40.0)));
    assert_eq!(halves(&Trace::at_client().syn().wait(1_000).repeat(1).syn_ack().ack_from_client()).0, None, "which SYN was answered?");
}

#[test]
fn both_may_open_at_once() {
    // RFC 9293 figure 8: SYN, SYN, and each side acknowledges by a SYN/ACK.
    let trace = Trace::at_client().syn().syn_ack().bare();
    let trace = trace.repeat(1).flags(TcpFlags::SYN.0 | TcpFlags::ACK.0).ack(700_001).repeat(2).flags(TcpFlags::SYN.0 | TcpFlags::ACK.0).ack(1_001);
    assert_eq!(opened(&trace), (true, true));
    assert_eq!(halves(&trace), (None, None), "nothing was answered");
    let asked = trace.client_data(100).server_data(900);
    assert_eq!((client_side(&asked).new_payload_bytes, server_side(&asked).new_payload_bytes), (100, 900));
    assert_eq!(tcp_of(&asked).stream_start(client().opposite()), Some(SeqNumber(700_001)));
}

#[test]
fn a_server_may_take_the_handshake_apart() {
    // An ACK, then a SYN of its own, which the client acknowledges as if it were the server.
    let trace = Trace::at_client().syn().ack_from_server().syn_ack().bare();
    let trace = trace.repeat(1).flags(TcpFlags::SYN.0 | TcpFlags::ACK.0).ack(700_001).ack_from_server();
    assert_eq!(opened(&trace), (true, true));
    let asked = trace.client_data(100).server_data(900);
    assert_eq!((client_side(&asked).new_payload_bytes, server_side(&asked).new_payload_bytes), (100, 900));
}

#[test]
fn a_syn_may_bring_payload() {
    let trace = Trace::at_client().syn_with(b"hello").syn_ack().ack_from_client().client_data(100);
    let side = client_side(&trace);
    assert_eq!((side.new_payload_bytes, side.retransmits, side.unseen_bytes), (105, 0, 0));
    assert_eq!(tcp_of(&trace).stream_start(client()), Some(SeqNumber(1_001)));
}

#[test]
fn payload_of_a_syn_that_was_not_taken_is_sent_again() {
    let trace = Trace::at_client().syn_with(b"hello").syn_ack().ack(-5).ack_from_client().client_bytes(b"hello").seq(-5).ack_from_server();
    let side = client_side(&trace);
    assert_eq!((side.new_payload_bytes, side.retransmits, side.spurious_retransmits()), (5, 1, 0));
}

#[test]
fn a_repeated_syn_sends_its_number_again() {
    let trace = Trace::at_client().syn().wait(1_000).repeat(1).wait(2_000).repeat(1);
    assert_eq!((tcp_of(&trace).handshake.syn_count, client_side(&trace).retransmits), (3, 2));
    assert_eq!(kinds(&trace), [(2, Kind::Retransmission), (3, Kind::Retransmission)]);
}

#[test]
fn a_syn_that_was_overtaken_was_sent_once() {
    let trace = Trace::at_client().syn().ack_from_client().overtakes();
    assert_eq!(kinds(&trace), [(2, Kind::OutOfOrder)]);
}

#[test]
fn another_syn_ack_than_the_first_moves_nothing() {
    // Seen behind a middlebox: the SYN/ACK came again with another number.
    let trace = Trace::at_client().syn().syn_ack().ack_from_client().syn_ack().seq(99_310_614).server_data(900).seq(-1).ack_from_client().ack(-1);
    let side = server_side(&trace);
    assert_eq!((side.new_payload_bytes, side.retransmits, side.unseen_bytes), (900, 0, 0));
    assert_eq!(kinds(&trace)[0], (4, Kind::Foreign));
}
