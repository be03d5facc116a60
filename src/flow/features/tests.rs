//! Scenes with known times and sizes, and what models are told of them.

use super::*;
use crate::flow::Copied;
use crate::model::Direction::{ClientToServer, ServerToClient};
use crate::model::{Direction, FlowKey, Protocol};
use crate::packet::trace::{Trace, endpoint};

/// The flow of all packets.
fn flow_of(trace: &Trace) -> Flow {
    let (packets, _) = trace.packets();
    packets.iter().fold(Flow::new(&packets[0]), |mut flow, packet| {
        flow.update(packet);
        flow
    })
}

/// The side of the key that sends in a direction.
fn side(direction: Direction) -> Side {
    FlowKey::new(Protocol::TCP, 4, 0, endpoint(direction), endpoint(direction.opposite())).1
}

/// Packets of the client at times after the first, in milliseconds; each carries so many bytes.
fn client_sends(packets: &[(f64, usize)]) -> Trace {
    let mut last = packets[0].0;
    packets.iter().fold(Trace::at_client(), |trace, &(at, payload)| {
        let trace = trace.wait(at - last);
        last = at;
        if payload == 0 { trace.ack_from_client() } else { trace.client_bytes(&vec![0; payload]) }
    })
}

// Sizes and gaps.

#[test]
fn sizes_are_those_of_packets_with_payload() {
    let flow = flow_of(&Trace::at_client().handshake().client_data(100).client_data(300).server_data(900));
    let features = flow.features();
    let client = features.payloads(&flow, side(ClientToServer)).expect("two");
    assert_eq!(client.spread, Spread { mean: 200.0, std: 100.0, min: 100.0, max: 300.0 });
    assert_eq!(client.quartiles, [150.0, 200.0, 250.0]);
    assert_eq!(features.payloads(&flow, side(ServerToClient)).expect("one").quartiles, [900.0; 3]);
}

#[test]
fn gaps_lie_between_all_packets_of_a_direction() {
    let flow = flow_of(&client_sends(&[(0.0, 0), (10.0, 50), (30.0, 0), (60.0, 70), (100.0, 0)]));
    let gaps = flow.features().gaps_ms(side(ClientToServer)).expect("four");
    assert_eq!((gaps.spread.mean, gaps.spread.min, gaps.spread.max), (25.0, 10.0, 40.0));
    assert_eq!(gaps.spread.std, 125_f64.sqrt());
    assert_eq!(gaps.quartiles, [17.5, 25.0, 32.5]);
}

#[test]
fn a_direction_with_one_packet_has_a_size_and_no_gap() {
    let flow = flow_of(&client_sends(&[(0.0, 120)]));
    assert!(flow.features.is_none(), "nothing is kept of it");
    let features = flow.features();
    assert_eq!(features.payloads(&flow, side(ClientToServer)).expect("one").quartiles, [120.0; 3]);
    assert_eq!(features.gaps_ms(side(ClientToServer)), None);
    assert_eq!((features.payloads(&flow, side(ServerToClient)), features.gaps_ms(side(ServerToClient))), (None, None));
    assert_eq!(features.all_gaps_ms(), None);
}

#[test]
fn a_packet_that_came_late_leaves_no_negative_gap() {
    let trace = client_sends(&[(0.0, 10), (50.0, 10), (20.0, 10), (60.0, 10)]);
    let gaps = flow_of(&trace).features().gaps_ms(side(ClientToServer)).expect("three");
    assert_eq!((gaps.spread.min, gaps.spread.max, gaps.spread.mean), (0.0, 50.0, 20.0), "50, 0 and 10 ms, as long together as the flow");
}

#[test]
fn gaps_of_the_flow_are_those_between_any_two_packets() {
    // 0, 40, 40.1, 40.2, 80.2 ms.
    let flow = flow_of(&Trace::at_client().handshake().client_data(100).server_data(900));
    let gaps = flow.features().all_gaps_ms().expect("four");
    assert_eq!((gaps.mean, gaps.min, gaps.max), (20.05, 0.1, 40.0));
    assert!((gaps.std - 19.95).abs() < 1e-9, "{}", gaps.std);
}

#[test]
fn copies_tell_nothing() {
    let trace = Trace::at_client().handshake().client_data(100).server_data(900).wait(7_000).client_data(100);
    let (packets, _) = trace.packets();
    let (mut flow, mut doubled) = (Flow::new(&packets[0]), Flow::new(&packets[0]));
    for packet in &packets {
        flow.update(packet);
        doubled.update(packet);
        doubled.update_copy(packet, Copied { hops: 1, copies_of_one: 1 });
    }
    assert_eq!(format!("{:?}", doubled.features()), format!("{:?}", flow.features()));
    let client = side(ClientToServer);
    assert_eq!(doubled.features().payloads(&doubled, client), flow.features().payloads(&flow, client));
    let one = Trace::at_client().client_bytes(&[0; 50]).packets().0;
    let mut flow = Flow::new(&one[0]);
    flow.update(&one[0]);
    flow.update_copy(&one[0], Copied { hops: 0, copies_of_one: 1 });
    assert_eq!(flow.features().payloads(&flow, client).expect("one").quartiles, [50.0; 3], "the copy of a flow's only packet");
}

#[test]
fn a_long_direction_is_sketched_within_the_bound() {
    // Gaps grow by a millisecond from packet to packet, payloads by a byte.
    let packets: Vec<(f64, usize)> = (0..600).map(|at| (f64::from(at * (at + 1) / 2), 100 + at as usize)).collect();
    let flow = flow_of(&client_sends(&packets));
    let (payloads, gaps) = (flow.features().payloads(&flow, side(ClientToServer)), flow.features().gaps_ms(side(ClientToServer)));
    let (payloads, gaps) = (payloads.expect("600"), gaps.expect("599"));
    assert_eq!((payloads.spread.mean, payloads.spread.min, payloads.spread.max), (399.5, 100.0, 699.0));
    assert_eq!((gaps.spread.mean, gaps.spread.min, gaps.spread.max), (300.0, 1.0, 599.0));
    let exact = [(payloads.quartiles, [249.75, 399.5, 549.25]), (gaps.quartiles, [150.5, 300.0, 449.5])];
    for (found, exact) in exact.into_iter().flat_map(|(found, exact)| found.into_iter().zip(exact)) {
        assert!((found - exact).abs() <= 0.032 * exact, "{found} for {exact}");
    }
}

// Flags.

#[test]
fn flags_are_counted_by_side_from_the_first_packet_on() {
    let trace = Trace::at_client().syn().flagged(TcpFlags::ECE).flagged(TcpFlags::CWR).syn_ack().flagged(TcpFlags::ECE).ack_from_client();
    let trace = trace.client_data(100).flagged(TcpFlags::URG).client_data(100).flagged(TcpFlags::CWR).ack_from_server().flagged(TcpFlags::ECE);
    let flow = flow_of(&trace);
    assert_eq!(flow.features().flags(side(ClientToServer)), FlagCounts { ack: 3, urg: 1, ece: 1, cwr: 2 });
    assert_eq!(flow.features().flags(side(ServerToClient)), FlagCounts { ack: 2, urg: 0, ece: 2, cwr: 0 });
}

#[test]
fn the_flags_of_an_only_packet_count() {
    let flow = flow_of(&Trace::at_client().syn().flagged(TcpFlags::ECE));
    assert_eq!(flow.features().flags(side(ClientToServer)), FlagCounts { ece: 1, ..FlagCounts::default() });
}

// Bursts.

/// Bursts of client and server: how many, most packets, most bytes.
fn bursts(trace: &Trace) -> [(u32, u32, u64); 2] {
    let flow = flow_of(trace);
    [ClientToServer, ServerToClient].map(|direction| {
        let BurstCounts { count, packets_max, bytes_max } = flow.features().bursts(side(direction));
        (count, packets_max, bytes_max)
    })
}

#[test]
fn a_burst_ends_when_the_other_side_speaks() {
    let trace = Trace::at_client().handshake().client_data(100).client_data(200).server_data(900).server_data(900).server_data(50);
    assert_eq!(bursts(&trace), [(1, 2, 300), (1, 3, 1_850)]);
    assert_eq!(bursts(&trace.client_data(700).server_data(10)), [(2, 2, 700), (2, 3, 1_850)]);
}

#[test]
fn acknowledgements_between_end_no_burst() {
    let trace = Trace::at_client().handshake().server_data(900).ack_from_client().server_data(900).ack_from_client().server_data(900);
    assert_eq!(bursts(&trace), [(0, 0, 0), (1, 3, 2_700)]);
}

#[test]
fn silence_of_more_than_a_second_ends_a_burst() {
    let two = |wait: f64| bursts(&Trace::at_client().handshake().client_data(100).wait(wait).client_data(100))[0];
    assert_eq!(two(1_000.0), (1, 2, 200));
    assert_eq!(two(1_000.1), (2, 1, 100));
}

#[test]
fn an_only_packet_with_payload_is_a_burst() {
    assert_eq!(bursts(&client_sends(&[(0.0, 120)])), [(1, 1, 120), (0, 0, 0)]);
    assert_eq!(bursts(&client_sends(&[(0.0, 120), (5.0, 80)])), [(1, 2, 200), (0, 0, 0)], "the first packet is not forgotten");
}

// Active and idle times.

#[test]
fn a_flow_without_pauses_is_active_once_and_never_idle() {
    let flow = flow_of(&Trace::at_client().handshake().client_data(100).wait(5_000.0).client_data(100));
    let [(count, active), idle] = flow.features().periods_ms(&flow);
    assert_eq!((count, active), (1, Some(Spread { mean: 5_040.2, std: 0.0, min: 5_040.2, max: 5_040.2 })));
    assert_eq!(idle, (0, None), "five seconds are not more than five seconds");
}

#[test]
fn active_and_idle_times_take_turns() {
    // 0 to 100 ms, idle for 6 s, a lone packet, idle for 10 s, 200 ms.
    let trace = client_sends(&[(0.0, 10), (100.0, 10), (6_100.0, 10), (16_100.0, 10), (16_300.0, 0)]);
    let flow = flow_of(&trace);
    let [(active_count, active), (idle_count, idle)] = flow.features().periods_ms(&flow);
    let (active, idle) = (active.expect("three"), idle.expect("two"));
    assert_eq!((active_count, active.mean, active.min, active.max), (3, 100.0, 0.0, 200.0));
    assert!((active.std - (20_000.0_f64 / 3.0).sqrt()).abs() < 1e-9, "{}", active.std);
    assert_eq!((idle_count, idle), (2, Spread { mean: 8_000.0, std: 2_000.0, min: 6_000.0, max: 10_000.0 }));
    assert_eq!(active.mean * 3.0 + idle.mean * 2.0, 16_300.0, "together they are the flow");
}

#[test]
fn either_side_keeps_a_flow_active() {
    let trace = Trace::at_client().handshake().client_data(100).wait(4_000.0).server_data(100).wait(4_000.0).client_data(100);
    let flow = flow_of(&trace);
    assert_eq!(flow.features().periods_ms(&flow)[1], (0, None));
}

#[test]
fn an_only_packet_is_active_for_no_time() {
    let flow = flow_of(&client_sends(&[(0.0, 120)]));
    let nothing = Spread { mean: 0.0, std: 0.0, min: 0.0, max: 0.0 };
    assert_eq!(flow.features().periods_ms(&flow), [(1, Some(nothing)), (0, None)]);
}

// The first packets.

#[test]
fn the_first_packets_with_payload_are_kept_as_far_as_asked_for() {
    let (packets, _) = Trace::at_client().handshake().client_data(100).ack_from_server().server_data(900).client_data(200).packets();
    for most in 0..5 {
        let mut flow = Flow::new(&packets[0]);
        for packet in &packets {
            flow.update(packet);
            flow.keep_for_splt(packet, most);
        }
        let kept: Vec<_> = flow.splt().iter().map(|packet| (packet.sender, packet.payload, (packet.time - flow.start).as_ms())).collect();
        let (client, server) = (side(ClientToServer), side(ServerToClient));
        assert_eq!(kept, [(client, 100, 40.2), (server, 900, 80.3), (client, 200, 80.4)][..most.min(3)]);
    }
}
