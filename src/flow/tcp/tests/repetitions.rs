//! What is new, what is sent again, what was overtaken, and what only asks for an answer.

use super::*;

/// Retransmitted and reordered segments of the client.
fn disorder(trace: &Trace) -> (u32, u32) {
    let side = client_side(trace);
    (side.retransmits, side.out_of_order)
}

/// Payload bytes of the client that were new, and those that only the server saw.
fn client_bytes(trace: &Trace) -> (u64, u64) {
    let side = client_side(trace);
    (side.new_payload_bytes, side.unseen_bytes)
}

fn open() -> Trace {
    Trace::at_client().handshake()
}

#[test]
fn bytes_that_come_again_are_retransmitted() {
    let trace = open().client_data(100).wait(300).repeat(4);
    assert_eq!((disorder(&trace), client_bytes(&trace)), ((1, 0), (100, 0)));
    assert_eq!(last_kind(&trace), Kind::Retransmission);
}

#[test]
fn bytes_that_were_acknowledged_come_again_in_vain() {
    let trace = open().client_data(100).ack_from_server().wait(300).repeat(4);
    assert_eq!(last_kind(&trace), Kind::SpuriousRetransmission);
    let side = client_side(&trace);
    assert_eq!((side.retransmits, side.spurious_retransmits()), (1, 1));
}

#[test]
fn a_fin_that_comes_again_is_retransmitted() {
    let trace = open().client_data(100).fin_from_client().wait(300).repeat(5);
    assert_eq!(kinds(&trace), [(6, Kind::Retransmission)]);
    assert_eq!(client_bytes(&trace), (100, 0));
}

#[test]
fn bytes_that_were_overtaken_are_out_of_order() {
    let trace = open().client_data(100).client_data(100).overtakes();
    assert_eq!((disorder(&trace), client_bytes(&trace)), ((0, 1), (200, 0)));
    assert_eq!(kinds(&trace), [(5, Kind::OutOfOrder)]);
}

#[test]
fn a_hole_that_is_filled_sooner_than_its_sender_can_know_of_it_was_torn_on_the_way() {
    let filled_after = |millis: i32| open().client_data(100).missed().client_data(100).wait(millis).client_data(100).seq(-200);
    assert_eq!(last_kind(&filled_after(35)), Kind::OutOfOrder, "within the round trip of 40 ms");
    assert_eq!(last_kind(&filled_after(45)), Kind::Retransmission);
    assert_eq!(client_bytes(&filled_after(45)), (200, 0));
}

#[test]
fn later_segments_do_not_make_a_retransmission_look_prompt() {
    let trace = open().client_data(100).missed().client_data(100).wait(300).client_data(100).client_data(100).seq(-300);
    assert_eq!(last_kind(&trace), Kind::Retransmission, "the hole is as old as the first segment behind it");
}

#[test]
fn without_a_handshake_three_milliseconds_count() {
    let filled_after = |millis: i32| {
        let trace = Trace::at_client().client_data(100).ack_from_server();
        trace.client_data(100).missed().client_data(100).wait(millis).client_data(100).seq(-200)
    };
    assert_eq!(last_kind(&filled_after(2)), Kind::OutOfOrder);
    assert_eq!(last_kind(&filled_after(4)), Kind::Retransmission);
}

#[test]
fn a_round_trip_that_payload_shows_counts_where_the_handshake_was_slow() {
    let slow = Trace::at_client().syn().wait(2_000).syn_ack().ack_from_client();
    let lost = |trace: Trace| trace.client_data(100).missed().client_data(100).wait(300).client_data(100).seq(-200);
    assert_eq!(last_kind(&lost(slow.clone())), Kind::OutOfOrder, "as far as one can tell");
    assert_eq!(last_kind(&lost(slow.client_data(100).server_data(900).ack_from_client())), Kind::Retransmission, "40 ms, by then");
}

#[test]
fn a_segment_that_duplicate_acknowledgements_ask_for_is_retransmitted_fast() {
    let asked_for = |times: usize| {
        let lost = open().client_data(100).missed().client_data(100).unheard().wait(40).ack_from_server().ack(-100);
        (0..times).fold(lost, |trace, _| trace.wait(0.1).ack_from_server().ack(-100)).wait(1).client_data(100).seq(-200)
    };
    // The first of them repeats what the SYN/ACK acknowledged.
    assert_eq!(last_kind(&asked_for(1)), Kind::FastRetransmission);
    assert_eq!(last_kind(&asked_for(0)), Kind::Retransmission);
    assert_eq!(client_side(&asked_for(1)).retransmits, 1);
}

#[test]
fn beside_the_receiver_what_was_asked_for_comes_a_round_trip_later() {
    let lost = open().server_data(100).unheard().missed().server_data(100).ack_from_client().wait(10).server_data(100).ack_from_client();
    let answered_after = |millis: i32| last_kind(&lost.clone().wait(0.1).ack_from_client().wait(millis).server_data(100).seq(-300));
    assert_eq!(answered_after(38), Kind::FastRetransmission);
    assert_eq!(answered_after(200), Kind::Retransmission, "by the clock of its sender");
}

#[test]
fn a_repetition_that_goes_further_brings_what_lies_beyond() {
    let trace = open().client_data(100).wait(300).client_data(150).seq(-100);
    assert_eq!((disorder(&trace), client_bytes(&trace)), ((1, 0), (150, 0)));
}

#[test]
fn a_repetition_that_goes_further_fills_the_hole_before() {
    let trace = open().client_data(100).missed().client_data(50).wait(300).client_data(200).seq(-150);
    assert_eq!(client_bytes(&trace), (200, 0));
}

#[test]
fn a_repetition_with_the_fin_brings_the_fin_alone() {
    let trace = open().client_data(100).wait(300).client_bytes(&[0; 100]).flags(TcpFlags::ACK.0 | TcpFlags::FIN.0).seq(-100);
    assert_eq!((disorder(&trace), client_bytes(&trace)), ((1, 0), (100, 0)));
}

#[test]
fn a_keep_alive_repeats_nothing() {
    let idle = || open().client_data(100).ack_from_server().wait(45_000);
    for trace in [idle().ack_from_client().seq(-1), idle().client_data(1).seq(-1)] {
        assert_eq!((disorder(&trace), client_bytes(&trace)), ((0, 0), (100, 0)));
        assert_eq!((last_kind(&trace), client_side(&trace).keep_alives()), (Kind::KeepAlive, 1));
    }
    let answered = idle().ack_from_client().seq(-1).ack_from_server();
    assert_eq!(last_kind(&answered), Kind::KeepAliveAck);
}

#[test]
fn a_keep_alive_at_the_start_of_a_capture_hides_no_byte() {
    let trace = Trace::at_client().ack_from_client().seq(-1).ack_from_server();
    assert_eq!(client_bytes(&trace), (0, 1), "it may have been a byte");
    assert_eq!(client_bytes(&trace.wait(45_000).repeat(1)), (0, 0), "it was none");
}

#[test]
fn an_old_acknowledgement_behind_the_own_fin_keeps_nothing_alive() {
    let trace = open().client_data(100).fin_from_client().ack_from_client().seq(-1);
    assert_eq!(client_side(&trace).keep_alives(), 0);
}

#[test]
fn a_closed_window_is_probed() {
    let closed = || open().client_data(100).ack_from_server().window(0);
    let probed = closed().wait(200).client_data(1);
    assert_eq!((last_kind(&probed), client_side(&probed).window_probes()), (Kind::WindowProbe, 1));
    let again = probed.clone().unheard().wait(400).repeat(6);
    assert_eq!((last_kind(&again), client_bytes(&again)), (Kind::WindowProbe, (101, 0)), "the byte is new once");
    let empty = closed().wait(200).ack_from_client().seq(-1);
    assert_eq!(last_kind(&empty), Kind::WindowProbe, "as Linux probes: nothing, one byte back");
    let answered = closed().wait(200).client_data(1).unheard().ack_from_server().window(0);
    assert_eq!(last_kind(&answered), Kind::WindowProbeAck);
}

#[test]
fn the_byte_of_a_probe_and_those_behind_it_are_no_repetition() {
    let trace = open().client_data(100).ack_from_server().window(0).client_data(1).unheard();
    let trace = trace.ack_from_server().client_data(100).seq(-1);
    assert_eq!((disorder(&trace), client_bytes(&trace)), ((0, 0), (200, 0)));
}

#[test]
fn a_receiver_may_go_on_sending_after_the_peer_has_closed() {
    let trace = open().client_data(100).fin_from_client().server_data(900).server_data(900).ack_from_client();
    let server = server_side(&trace);
    assert_eq!((server.new_payload_bytes, server.unseen_bytes, server.retransmits), (1_800, 0, 0));
    assert_eq!(kinds(&trace), []);
}

#[test]
fn payload_behind_the_own_fin_is_counted() {
    let trace = open().client_data(100).fin_from_client().client_data(50);
    assert_eq!(client_bytes(&trace), (150, 0));
}
