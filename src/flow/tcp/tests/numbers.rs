//! Sequence numbers that wrap, and numbers that belong to no honest segment.

use proptest::prelude::*;

use super::*;

/// Payload bytes of the client that were new, and those that only the server saw.
fn client_bytes(trace: &Trace) -> (u64, u64) {
    let side = client_side(trace);
    (side.new_payload_bytes, side.unseen_bytes)
}

fn asked() -> Trace {
    Trace::at_client().handshake().client_data(100).ack_from_server()
}

#[test]
fn numbers_may_wrap_anywhere() {
    for before_wrap in [0, 1, 50, 101, 150] {
        let trace = Trace::at_client().numbered(u32::MAX - before_wrap, u32::MAX - 7).handshake().client_data(100).client_data(100);
        let trace = trace.server_data(900).client_data(100).ack_from_server().wait(300).repeat(5);
        assert_eq!((client_side(&trace).retransmits, client_bytes(&trace)), (1, (300, 0)), "{before_wrap} bytes before the wrap");
    }
}

#[test]
fn a_lone_number_far_away_moves_nothing() {
    for offset in [0x5000_0000, i32::MAX, i32::MIN, -0x5000_0000, 1 << 24, -(1 << 24)] {
        let trace = asked().client_data(100).seq(offset).client_data(100).seq(-100).ack_from_server().ack(-100);
        assert_eq!(client_bytes(&trace), (200, 0), "data off by {offset}");
        assert_eq!(kinds(&trace)[0], (6, Kind::Foreign), "data off by {offset}");
        let trace = asked().ack_from_server().ack(offset).client_data(100).ack_from_server();
        assert_eq!(client_bytes(&trace), (200, 0), "acknowledgement off by {offset}");
        let trace = asked().ack_from_client().seq(offset).client_data(100).ack_from_server();
        assert_eq!(client_bytes(&trace), (200, 0), "sequence number off by {offset}");
    }
}

#[test]
fn segments_that_go_on_from_a_far_number_are_believed() {
    let trace = asked().client_data(100).seq(1 << 24).client_data(100).seq(1 << 24).client_data(100).seq(1 << 24);
    let found: Vec<_> = kinds(&trace).iter().map(|(number, _)| *number).collect();
    assert_eq!((found, client_bytes(&trace).0), (vec![6], 300), "the capture has missed what lies between");
}

#[test]
fn a_number_within_the_window_heals_when_the_stream_comes() {
    let trace = asked().ack_from_server().ack(300);
    assert_eq!(client_bytes(&trace), (100, 300));
    let trace = trace.client_data(100).client_data(100).client_data(100).ack_from_server();
    assert_eq!(client_bytes(&trace), (400, 0));
}

#[test]
fn a_lone_odd_acknowledgement_moves_nothing() {
    let trace = asked().ack_from_server().ack(1 << 20).client_data(100).ack_from_server();
    let client = client_side(&trace);
    assert_eq!((client.unseen_bytes, client.new_payload_bytes, client.retransmits), (0, 200, 0));
}

#[test]
fn a_reset_moves_nothing() {
    for offset in [0, 1_460, -1_460, 1 << 29, i32::MIN] {
        let trace = asked().rst_from_client().seq(offset).client_data(100).ack_from_server();
        assert_eq!(client_bytes(&trace), (200, 0), "reset off by {offset}");
    }
}

#[test]
fn a_reset_with_a_foreign_number_does_not_end_the_flow() {
    assert!(!tcp_of(&asked().rst_from_server().seq(0x6000_0000)).is_over());
    assert!(tcp_of(&asked().rst_from_server()).is_over());
}

/// A packet that an odd number is written into.
#[derive(Clone, Copy, Debug)]
enum Odd {
    ClientData,
    ClientAck,
    ServerData,
    ServerAck,
    ClientReset,
    ServerReset,
}

fn odd() -> impl Strategy<Value = (Odd, i32, i32)> {
    use Odd::*;
    (
        prop_oneof![Just(ClientData), Just(ClientAck), Just(ServerData), Just(ServerAck), Just(ClientReset), Just(ServerReset)],
        any::<i32>(),
        any::<i32>(),
    )
}

/// The connection goes on where it was, whatever the numbers.
fn with_odd(trace: Trace, (odd, seq, ack): (Odd, i32, i32)) -> Trace {
    let trace = match odd {
        Odd::ClientData => trace.client_data(100).unheard().seq(seq).ack(ack),
        Odd::ClientAck => trace.ack_from_client().seq(seq).ack(ack),
        Odd::ServerData => trace.server_data(100).unheard().seq(seq).ack(ack),
        Odd::ServerAck => trace.ack_from_server().seq(seq).ack(ack),
        Odd::ClientReset => trace.rst_from_client().seq(seq).ack(ack),
        Odd::ServerReset => trace.rst_from_server().seq(seq).ack(ack),
    };
    trace.client_data(100).server_data(100)
}

proptest! {
    /// Whatever number stands in one packet: no more is new than was sent, and nothing is missing that nobody acknowledged.
    #[test]
    fn no_lone_number_makes_absurd_counts(offset in any::<i32>()) {
        let trace = Trace::at_client().handshake().client_data(100).client_data(100).seq(offset).ack_from_server().ack(-100);
        let (new, unseen) = client_bytes(&trace);
        prop_assert!(new <= 200, "{} new bytes", new);
        prop_assert_eq!(unseen, 0);
    }

    /// Whatever numbers stand in several packets: no more is new than was sent, no more is missing than windows of them let in, and round trips are none
    /// that are longer than the trace.
    #[test]
    fn no_numbers_make_absurd_counts(odds in proptest::collection::vec(odd(), 1..6)) {
        let trace = odds.iter().fold(asked(), |trace, odd| with_odd(trace, *odd));
        let sent: u64 = trace.packets().0.iter().map(|packet| u64::from(packet.payload_bytes)).sum();
        let whole = trace.end() - trace.packets().0[0].time;
        for side in &tcp_of(&trace).sides.0 {
            prop_assert!(side.new_payload_bytes <= sent, "{} new of {} bytes", side.new_payload_bytes, sent);
            prop_assert!(side.unseen_bytes <= odds.len() as u64 * 2 * 65_535, "{} bytes unseen", side.unseen_bytes);
            prop_assert!(side.round_trips().max <= whole);
        }
    }

    /// The same numbers moved by any distance tell the same.
    #[test]
    fn where_numbers_begin_changes_nothing(client in any::<u32>(), server in any::<u32>(), odds in proptest::collection::vec(odd(), 0..3)) {
        let told = |trace: Trace| {
            let trace = trace.handshake().client_data(100).ack_from_server();
            let trace = odds.iter().fold(trace, |trace, odd| with_odd(trace, *odd)).wait(300).client_data(100).seq(-100);
            let tcp = tcp_of(&trace);
            let counts = tcp.sides.0.iter().map(|side| (side.new_payload_bytes, side.unseen_bytes, side.retransmits, side.out_of_order)).collect::<Vec<_>>();
            (counts, kinds(&trace), tcp.history(super::client()))
        };
        prop_assert_eq!(told(Trace::at_client().numbered(client, server)), told(Trace::at_client()));
    }
}
