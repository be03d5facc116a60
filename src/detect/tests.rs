//! Scenes of whole conversations: what a healthy one shows, which gates it fails, which innocent causes it proves.

use proptest::prelude::*;

use super::*;
use crate::app::tls::build;
use crate::model::words::{EndReason, Gate, Orientation, Outstanding, PayloadFate};
use crate::packet::trace::Trace;

const NAME: &str = "web.whatsapp.com";

/// Detectors and items that fire.
fn fires(trace: &Trace) -> Vec<(&'static str, Vec<&'static str>)> {
    let conversation = trace.conversation();
    let observed = observe(&view(&conversation).expect("a scene is TCP"));
    observed.found.iter().map(|found| (found.detector.name, found.items.iter().map(|item| item.id).collect())).collect()
}

fn benign(trace: &Trace) -> Vec<Benign> {
    let conversation = trace.conversation();
    observe(&view(&conversation).expect("a scene is TCP")).benign
}

fn gates(trace: &Trace) -> Vec<Gate> {
    let conversation = trace.conversation();
    view(&conversation).expect("a scene is TCP").gates
}

fn owed(trace: &Trace) -> Option<Outstanding> {
    let conversation = trace.conversation();
    view(&conversation).expect("a scene is TCP").silence.map(|silence| silence.owed)
}

fn fate(trace: &Trace) -> PayloadFate {
    let conversation = trace.conversation();
    view(&conversation).expect("a scene is TCP").request.expect("a request").fate
}

/// Up to the server's answer to the first request.
fn exchanged(from: Trace) -> Trace {
    from.handshake().client_hello(NAME).server_hello().client_data(80).server_data(900).ack_from_client()
}

fn asked() -> Trace {
    Trace::at_client().handshake().client_hello(NAME)
}

// What a healthy connection shows.

#[test]
fn a_healthy_connection_shows_nothing() {
    for from in [Trace::at_client(), Trace::at_server()] {
        let trace = exchanged(from).fin_from_client().fin_from_server().ack_from_client().wait(30_000);
        assert_eq!((fires(&trace), benign(&trace), gates(&trace), owed(&trace)), (vec![], vec![], vec![], None));
        assert_eq!(fate(&trace), PayloadFate::Answered);
    }
}

#[test]
fn a_conversation_knows_its_client_its_hello_and_its_end() {
    let conversation = exchanged(Trace::at_client()).fin_from_client().fin_from_server().wait(5_000).conversation();
    let facts = conversation.facts().expect("it was read");
    let (side, hello) = facts.client_hello.as_ref().expect("a hello");
    assert_eq!((*side, hello.fact.sni.as_deref(), hello.packet.number(), hello.segments), (conversation.client, Some(NAME), 4, 1));
    assert_eq!((conversation.orientation, conversation.end_reason), (Orientation::Syn, EndReason::Fin));
    assert_eq!(facts.server_hello.as_ref().expect("an answer").1.packet.number(), 5);
}

proptest! {
    /// Cut the hello anywhere: its name, its end and what became of it stay the same.
    #[test]
    fn segmentation_never_changes_what_is_seen(cuts in proptest::collection::btree_set(1usize..1_000, 0..6), answered in any::<bool>()) {
        let hello = build::record(22, &build::client_hello_message(NAME, 1_000));
        let ends = cuts.iter().copied().chain([hello.len()]);
        let (trace, _) = ends.fold((Trace::at_client().handshake(), 0), |(trace, from), end| (trace.client_bytes(&hello[from..end]), end));
        let trace = if answered { trace.server_hello() } else { trace.rst_from_server() };
        let conversation = trace.conversation();
        let view = view(&conversation).expect("a scene is TCP");
        let request = view.request.as_ref().expect("a request");
        prop_assert!(view.has_sni());
        prop_assert_eq!(request.end.offset_from(request.start) as usize, hello.len());
        prop_assert_eq!(request.segments as usize, cuts.len() + 1);
        prop_assert_eq!(request.fate, if answered { PayloadFate::Answered } else { PayloadFate::Reset });
        let expected = if answered { vec![] } else { vec![("reset_from_server_side", vec!["rst_instead_of_answer"])] };
        prop_assert_eq!(fires(&trace), expected);
    }
}

// What became of the request.

#[test]
fn the_fate_of_a_request_is_one_word() {
    let alert = build::record(21, &[2, 40]);
    assert_eq!(fate(&asked().server_hello()), PayloadFate::Answered);
    assert_eq!(fate(&asked().ack_from_server()), PayloadFate::AckedThenSilent);
    assert_eq!(fate(&asked().unheard().wait(300).repeat(4)), PayloadFate::NeverAcked);
    assert_eq!(fate(&asked().rst_from_server()), PayloadFate::Reset);
    assert_eq!(fate(&asked().fin_from_server()), PayloadFate::Closed);
    assert_eq!(fate(&asked().server_bytes(&alert)), PayloadFate::Alert);
    assert_eq!(fate(&asked().wait(20).rst_from_client()), PayloadFate::Reset, "somebody reset it before an answer was due");
    assert_eq!(fate(&asked().ack_from_server().wait(9_000).rst_from_client()), PayloadFate::AckedThenSilent, "the client gave up");
}

#[test]
fn what_is_owed_at_the_end_is_one_word() {
    assert_eq!(owed(&asked().unheard()), Some(Outstanding::ClientUnacked));
    assert_eq!(owed(&asked().ack_from_server()), Some(Outstanding::RequestPending));
    assert_eq!(owed(&asked().server_hello().unheard()), Some(Outstanding::ServerUnacked));
    let begun = [&[23, 3, 3, 0x40, 0][..], &[0; 1_000]].concat();
    assert_eq!(owed(&asked().server_hello().server_bytes(&begun).ack_from_client()), Some(Outstanding::TlsRecord));
    assert_eq!(owed(&asked().server_hello().ack_from_client()), None);
}

// Innocent causes.

#[test]
fn innocent_causes_are_proven_by_packets() {
    assert_eq!(benign(&Trace::at_client().syn().refused()), [Benign::Refused]);
    assert_eq!(benign(&asked().server_bytes(&build::record(21, &[2, 40])).ack_from_client()), [Benign::Alert]);
    assert_eq!(benign(&exchanged(Trace::at_client()).fin_from_client().ack_from_server().rst_from_server()), [Benign::Closed]);
    assert_eq!(benign(&exchanged(Trace::at_client()).wait(60_000).rst_from_server()), [Benign::IdleReset]);
    assert_eq!(benign(&exchanged(Trace::at_client()).wait(100).rst_from_server()), [Benign::ServerAbort]);
    assert_eq!(benign(&asked().ack_from_server().window(0).wait(20_000)), [Benign::ReceiverWindow]);
    assert_eq!(benign(&asked().ack_from_server().wait(2_000).fin_from_client().unheard()), [Benign::EarlyGiveUp]);
}

#[test]
fn a_connection_that_nobody_used_is_told() {
    let opened = Trace::at_client().handshake();
    assert_eq!(benign(&opened.clone().wait(300).fin_from_client().fin_from_server().ack_from_client()), [Benign::Unused]);
    assert_eq!(benign(&opened.clone().wait(300).rst_from_client()), [Benign::Unused], "a race that another address won");
    assert_eq!(benign(&opened.wait(300).rst_from_server()), [], "the client did not give it up");
    assert_eq!(benign(&Trace::at_client().syn().syn_ack().rst_from_client().bare()), [Benign::Scan]);
}

#[test]
fn idle_connections_are_forgotten_on_the_way() {
    let forgotten = exchanged(Trace::at_client()).wait(90_000).client_data(80).unheard();
    let tried = |trace: Trace| trace.wait(300).repeat(9).wait(600).repeat(9).wait(1_200).repeat(9).wait(5_000);
    assert_eq!(benign(&tried(forgotten)), [Benign::IdlePath]);
    assert_eq!(benign(&tried(exchanged(Trace::at_client()).wait(900).client_data(80).unheard())), []);
}

#[test]
fn decoys_of_a_circumvention_tool_are_told() {
    let hello = build::client_hello(NAME);
    let opened = || Trace::at_client().handshake();
    let decoy = build::client_hello("www.example.org");
    assert_eq!(gates(&opened().client_bytes(&decoy).ttl(4).seq(0).unheard().client_bytes(&hello)), [Gate::DesyncTool]);
    let in_its_place = opened().client_bytes(&decoy).unheard().client_bytes(&hello).seq(-(decoy.len() as i32));
    assert_eq!(gates(&in_its_place), [Gate::DesyncTool], "other bytes in the same place");
    assert_eq!(gates(&opened().client_bytes(&hello).unheard().wait(300).repeat(4)), [], "the same bytes again");
}

#[test]
fn only_full_size_packets_are_lost_on_a_narrow_path() {
    let hello = build::record(22, &build::client_hello_message(NAME, 1_500));
    let (first, second) = hello.split_at(1_460);
    let trace = Trace::at_client().handshake().client_bytes(first).unheard().client_bytes(second).ack_from_server();
    assert_eq!(benign(&trace.wait(300).repeat(4).wait(600).repeat(4).wait(20_000)), [Benign::PathMtu]);
}

#[test]
fn a_reset_before_the_exchange_went_through_is_no_proven_abort() {
    assert_eq!(benign(&asked().rst_from_server()), []);
}

// Gates.

#[test]
fn gates_say_what_the_capture_lacks() {
    let missed = asked().server_hello().client_data(80).missed().server_data(900);
    assert_eq!(gates(&missed), [Gate::Loss]);
    assert_eq!(gates(&Trace::at_client().client_data(80).server_data(900)), [Gate::Midstream]);
    assert_eq!(gates(&asked().snapped(40).server_hello()), [Gate::Snaplen]);
    assert_eq!(gates(&asked().server_hello().wait(-5).ack_from_client()), [Gate::Reorder]);
    assert_eq!(gates(&asked().server_hello().client_data(80).server_data(2_900)), [Gate::Offload]);
}

#[test]
fn half_a_connection_is_told_by_its_acknowledgements() {
    let half = Trace::at_client().syn().syn_ack().missed().ack_from_client().client_data(80);
    assert_eq!(gates(&half.server_data(900).missed().ack_from_client()), [Gate::Oneway]);
    assert_eq!(gates(&Trace::at_client().syn().wait(1_000).repeat(1)), [], "nobody answered");
}

#[test]
fn a_silence_is_tried_until_the_last_repetition() {
    // What the silent machine does later it may do because an outage is over.
    let trace = Trace::at_client().handshake().client_hello(NAME).wait(200).repeat(4).wait(400).repeat(4).wait(800).repeat(4);
    let (last, left) = (trace.end(), trace.wait(60_000).fin_from_client());
    let conversation = left.conversation();
    let silence = view(&conversation).expect("a scene is TCP").silence.expect("the server owes an acknowledgement");
    assert_eq!((silence.repeats.len(), silence.tried_until()), (3, last));
}
