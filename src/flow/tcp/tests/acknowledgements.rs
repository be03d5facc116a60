//! Acknowledgements: repeated, of what was never captured, before what they acknowledge; windows; round trips.

use etherparse::TcpOptionElement;

use super::*;
use crate::packet::Body;

fn open() -> Trace {
    Trace::at_client().handshake()
}

/// Payload bytes of the client that were new, and those that only the server saw.
fn client_bytes(trace: &Trace) -> (u64, u64) {
    let side = client_side(trace);
    (side.new_payload_bytes, side.unseen_bytes)
}

#[test]
fn bytes_acknowledged_but_never_seen_are_missing_from_the_capture() {
    let at_the_end = open().client_data(100).missed().ack_from_server();
    assert_eq!(client_bytes(&at_the_end), (0, 100));
    assert_eq!(last_kind(&at_the_end), Kind::AckOfUnseen);
    let between = open().client_data(100).missed().client_data(50).ack_from_server();
    assert_eq!(client_bytes(&between), (50, 100));
    let still_owed = open().client_data(100).missed().client_data(50).unheard();
    assert_eq!(client_bytes(&still_owed), (50, 0), "nobody has acknowledged the hole");
}

/// The last packet, from the server, has a block of SACK from `left` to `right` bytes behind the client's first.
fn sacked(trace: Trace, left: u32, right: u32) -> Trace {
    let initial = trace.packets().0[0].clone();
    let Body::Tcp(syn) = &initial.body else { panic!("a scene is TCP") };
    let edge = |bytes| syn.seq.plus(1 + bytes).0;
    trace.options(&[TcpOptionElement::Noop, TcpOptionElement::Noop, TcpOptionElement::SelectiveAcknowledgement((edge(left), edge(right)), [None; 3])])
}

#[test]
fn what_a_block_of_sack_names_was_received() {
    let lost_before_the_capture = open().client_data(100).missed().client_data(100).missed().ack_from_server().ack(-200);
    assert_eq!(client_bytes(&sacked(lost_before_the_capture.clone(), 100, 200)), (0, 100), "the first hundred are still owed");
    let later = sacked(lost_before_the_capture.clone(), 100, 200).wait(300).client_data(100).seq(-200);
    assert_eq!(client_bytes(&later), (100, 100), "and come");
    let in_a_hole = open().client_data(300).missed().client_data(50).ack_from_server().ack(-350);
    assert_eq!(client_bytes(&sacked(in_a_hole.clone(), 100, 350)), (50, 200));
    let held = open().client_data(100).missed().client_data(100).ack_from_server().ack(-200);
    assert_eq!(client_bytes(&sacked(held, 100, 200)), (100, 0), "the capture holds what the block names");
}

#[test]
fn a_block_that_nobody_can_have_received_moves_nothing() {
    let asked = || open().client_data(100).ack_from_server();
    for (left, right) in [(0x0100_0000, 0x0100_0064), (0x7000_0000, 0x7000_0064), (300, 200), (20, 60)] {
        assert_eq!(client_bytes(&sacked(asked(), left, right)), (100, 0), "{left} to {right}");
    }
}

#[test]
fn bytes_that_come_behind_their_acknowledgement_were_only_late_to_the_capture() {
    let trace = open().client_data(100).ack_from_server().overtakes();
    assert_eq!(client_bytes(&trace), (100, 0));
    assert_eq!((client_side(&trace).retransmits, client_side(&trace).out_of_order), (0, 0));
    let much_later = open().client_data(100).missed().ack_from_server().wait(300).client_data(100).seq(-100);
    assert_eq!(client_bytes(&much_later), (100, 0), "the capture holds them now");
    assert_eq!(last_kind(&much_later), Kind::SpuriousRetransmission);
}

#[test]
fn a_stream_that_is_picked_up_goes_on_where_the_peer_waits() {
    let trace = Trace::at_client().ack_from_client().server_data(100).missed().server_data(100).wait(1).server_data(100).seq(-200);
    assert_eq!(last_kind(&trace), Kind::OutOfOrder);
    let server = server_side(&trace);
    assert_eq!((server.new_payload_bytes, server.retransmits), (200, 0));
}

#[test]
fn the_same_acknowledgement_while_bytes_are_under_way_is_a_duplicate() {
    let trace = open().client_data(100).client_data(100).unheard().ack_from_server().ack_from_server().ack_from_server();
    assert_eq!(kinds(&trace), [(7, Kind::DuplicateAck), (8, Kind::DuplicateAck)]);
    assert_eq!(server_side(&trace).dup_acks, 2);
}

#[test]
fn the_same_acknowledgement_while_nothing_is_under_way_is_none() {
    let trace = open().client_data(100).server_data(900).ack_from_server();
    assert_eq!(kinds(&trace), [], "RFC 5681 section 2 (a)");
}

#[test]
fn what_answers_a_segment_that_was_sent_in_vain_is_a_duplicate() {
    let trace = open().client_data(100).ack_from_server().wait(300).repeat(4).repeat(4).ack_from_client().ack_from_server().ack_from_server();
    let answers: Vec<_> = kinds(&trace).into_iter().filter(|(number, _)| *number > 7).collect();
    assert_eq!(answers, [(9, Kind::DuplicateAck), (10, Kind::DuplicateAck)]);
}

#[test]
fn another_window_updates_and_none_closes() {
    let acked = || open().client_data(100).ack_from_server();
    assert_eq!(last_kind(&acked().ack_from_server().window(600)), Kind::WindowUpdate);
    let closed = acked().ack_from_server().window(0);
    assert_eq!((last_kind(&closed), server_side(&closed).zero_window), (Kind::ZeroWindow, 1));
    assert_eq!(last_kind(&closed.ack_from_server()), Kind::WindowUpdate, "and it opens again");
}

#[test]
fn an_acknowledgement_within_the_scaled_window_is_believed_at_once() {
    // 502 << 7 is 64,256; the unscaled maximum counts where it is more.
    let beyond = |bytes: i32, scaled: bool| {
        let trace = if scaled { open() } else { Trace::at_client().syn().options(&[]).syn_ack().ack_from_client() };
        client_bytes(&trace.client_data(100).ack_from_server().ack_from_server().window(5_000).ack(bytes)).1
    };
    assert_eq!(beyond(600_000, true), 600_000, "5,000 << 7 is 640,000");
    assert_eq!(beyond(600_000, false), 0, "only both ends together scale their windows");
    assert_eq!(beyond(700_000, true), 0);
}

#[test]
fn what_goes_on_from_a_doubted_acknowledgement_proves_it() {
    let lost = open().client_data(100).ack_from_server().ack_from_server().ack(1 << 20);
    assert_eq!(client_bytes(&lost).1, 0);
    assert_eq!(client_bytes(&lost.clone().ack_from_server().ack(1 << 20)).1, 0, "the same number again proves nothing");
    assert_eq!(client_bytes(&lost.ack_from_server().ack((1 << 20) + 1_460)).1, (1 << 20) + 1_460);
}

// Round trips.

fn client_round_trips(trace: &Trace) -> (u32, Option<f64>) {
    let samples = client_side(trace).round_trips();
    (samples.count, samples.mean_ms())
}

#[test]
fn payload_is_timed_until_its_acknowledgement_comes_back() {
    let exchange = |trace: Trace| trace.handshake().client_data(100).ack_from_server().server_data(900).ack_from_client();
    let (at_client, at_server) = (exchange(Trace::at_client()), exchange(Trace::at_server()));
    assert_eq!(client_round_trips(&at_client), (1, Some(40.0)));
    assert_eq!(server_side(&at_client).round_trips().mean_ms(), Some(0.1));
    assert_eq!(client_round_trips(&at_server), (1, Some(0.1)));
    assert_eq!(server_side(&at_server).round_trips().mean_ms(), Some(40.0));
}

#[test]
fn an_answer_acknowledges_as_well() {
    assert_eq!(client_round_trips(&open().client_data(100).server_data(900)), (1, Some(40.0)));
}

#[test]
fn a_segment_that_was_sent_again_is_timed_by_its_timestamp_alone() {
    let sent_twice = || open().client_data(100).stamped(77, 1).wait(300).repeat(4).stamped(377, 1);
    assert_eq!(client_round_trips(&sent_twice().ack_from_server()).0, 0, "which of them was answered?");
    assert_eq!(client_round_trips(&sent_twice().ack_from_server().stamped(5, 377)).0, 0, "the second");
    let answered = sent_twice().wait(10).ack_from_server().stamped(5, 77);
    assert_eq!(client_round_trips(&answered), (1, Some(310.0)), "the first, late");
}

#[test]
fn keep_alives_are_not_timed() {
    let trace = open().client_data(100).ack_from_server().wait(45_000).client_data(1).seq(-1).ack_from_server();
    assert_eq!(client_round_trips(&trace), (1, Some(40.0)));
}
