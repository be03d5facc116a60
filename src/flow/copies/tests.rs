//! Scenes of what is captured twice, and of what was sent twice.

use proptest::prelude::*;

use super::*;
use crate::flow::{Flow, FlowTable, Slot, TcpSide, Timeouts};
use crate::model::{Direction, FlowKey, PerSide, Protocol};
use crate::packet::trace::{Trace, endpoint};

/// IP IDs as stacks give them: each side counts for itself. The builder of traces gives none.
fn counted(trace: &Trace) -> Vec<Packet> {
    let (mut packets, _) = trace.packets();
    let mut ids = PerSide([100_u16, 7_000]);
    for packet in &mut packets {
        packet.ip_id = ids[packet.sender];
        ids[packet.sender] += 1;
    }
    packets
}

/// As Apple's stacks send, and IPv6: without an ID.
fn uncounted(trace: &Trace) -> Vec<Packet> {
    trace.packets().0
}

/// The same packet a second time, some microseconds later and some hops further.
fn copy(packet: &Packet, micros: i64, hops: u8) -> Packet {
    Packet { time: packet.time + Span(micros * 1_000), ttl: packet.ttl - hops, ..packet.clone() }
}

/// A capture that holds each of the packets and a copy of it.
fn doubled(packets: &[Packet], micros: i64, hops: u8) -> Vec<Packet> {
    in_order(packets.iter().flat_map(|packet| [packet.clone(), copy(packet, micros, hops)]).collect())
}

fn in_order(mut packets: Vec<Packet>) -> Vec<Packet> {
    packets.sort_by_key(|packet| packet.time);
    packets
}

/// The flow that the packets make, each of them asked whether it is a copy.
fn flow_of(packets: &[Packet]) -> Flow {
    let mut flows = flows_of(packets, &mut Copies::default());
    assert_eq!(flows.len(), 1, "a scene is one flow");
    flows.remove(0)
}

fn flows_of(packets: &[Packet], copies: &mut Copies) -> Vec<Flow> {
    let mut table: FlowTable<()> = FlowTable::new(Timeouts::default(), usize::MAX);
    let mut ended = Vec::new();
    for packet in packets {
        let end = |slot: Slot<()>, _| ended.push(slot.flow);
        let Some(at) = table.find(packet, end).or_else(|| table.begin(packet, true)) else {
            assert_eq!(copies.find(packet, &PerSide::default()), None, "the first of its flow is no copy");
            continue;
        };
        let flow = &mut table.slot(at).expect("it was just found").flow;
        match copies.find(packet, &flow.volume) {
            Some(copied) => flow.update_copy(packet, copied),
            None => _ = flow.update(packet),
        }
    }
    while table.finish_some(Timestamp(i64::MAX), |slot, _| ended.push(slot.flow)) {}
    ended
}

/// Copies among the packets of client and server.
fn duplicates(packets: &[Packet]) -> (u32, u32) {
    let flow = flow_of(packets);
    (flow.volume[client()].duplicates, flow.volume[client().opposite()].duplicates)
}

fn client() -> Side {
    FlowKey::new(Protocol::TCP, 4, 0, endpoint(Direction::ClientToServer), endpoint(Direction::ServerToClient)).1
}

fn server_side(packets: &[Packet]) -> TcpSide {
    let mut tcp = flow_of(packets).tcp.expect("a scene is TCP");
    std::mem::take(&mut tcp.sides[client().opposite()])
}

/// What is counted of a flow, copies left out.
fn counts(flow: &Flow) -> Vec<u64> {
    let tcp = flow.tcp.as_ref().expect("a scene is TCP");
    let of_side = |side: Side| {
        let (volume, counters) = (&flow.volume[side], &tcp.sides[side]);
        let sizes = [volume.originals(), volume.payload_bytes, volume.payload_packets.into(), volume.payload_max.into(), counters.new_payload_bytes];
        let flags = [counters.syn, counters.fin, counters.rst, counters.psh, counters.retransmits, counters.out_of_order].map(u64::from);
        [&sizes[..], &flags].concat()
    };
    let handshake = [tcp.handshake.syn_count, tcp.handshake.syn_ack_count, tcp.turns(), tcp.log.iter().count() as u32].map(u64::from);
    [of_side(Side::Low), of_side(Side::High), handshake.to_vec()].concat()
}

fn exchange() -> Trace {
    Trace::at_client().handshake().client_data(300).ack_from_server().server_data(1_400).server_data(900).ack_from_client()
}

// What is captured twice.

#[test]
fn each_packet_twice_makes_the_flow_that_each_makes_once() {
    let closed = || exchange().fin_from_client().fin_from_server().ack_from_client();
    for packets in [counted(&closed()), uncounted(&closed())] {
        let once = flow_of(&packets);
        for (micros, hops) in [(0, 0), (40, 0), (40, 1), (350, 2)] {
            let twice = flow_of(&doubled(&packets, micros, hops));
            assert_eq!(counts(&twice), counts(&once), "{micros} us and {hops} hops later");
            let all: u64 = twice.volume.0.iter().map(|volume| volume.packets).sum();
            assert_eq!(all, 2 * packets.len() as u64, "copies count as packets");
            assert_eq!(twice.volume[client()].ttl_min, once.volume[client()].ttl_min, "the first of them is the packet");
        }
    }
}

#[test]
fn three_places_of_capture_give_two_copies_of_each() {
    for packets in [counted(&exchange()), uncounted(&exchange())] {
        let thrice = packets.iter().flat_map(|packet| [packet.clone(), copy(packet, 5, 0), copy(packet, 9, 1)]).collect();
        let flow = flow_of(&in_order(thrice));
        assert_eq!(counts(&flow), counts(&flow_of(&packets)));
    }
}

#[test]
fn one_direction_may_be_captured_twice() {
    let packets = counted(&exchange());
    let from_server = |packet: &&Packet| packet.sender != client();
    let copies: Vec<_> = packets.iter().filter(from_server).map(|packet| copy(packet, 40, 1)).collect();
    assert_eq!(duplicates(&in_order([packets.clone(), copies.clone()].concat())), (0, copies.len() as u32));
}

#[test]
fn a_burst_of_equal_resets_keeps_its_number_in_a_capture_that_holds_each_twice() {
    let burst = exchange().rst_from_server().repeat(9).repeat(9);
    for packets in [counted(&burst), uncounted(&burst)] {
        let equal: Vec<_> =
            packets.iter().map(|packet| if is_reset(packet) { Packet { ip_id: 64, ..packet.clone() } } else { packet.clone() }).collect();
        for packets in [packets, equal] {
            for micros in [30, 250] {
                let twice = doubled(&packets, micros, 0);
                assert_eq!(server_side(&twice).rst, 3, "each {micros} us later");
                assert_eq!(duplicates(&twice).1, 3 + 4, "those of the resets and of four packets before");
            }
        }
    }
}

fn is_reset(packet: &Packet) -> bool {
    matches!(&packet.body, Body::Tcp(segment) if segment.flags.has(TcpFlags::RST))
}

#[test]
fn a_shard_that_is_captured_twice_vouches_for_flows_that_show_nothing() {
    // Datagrams of IPv6 or of other stacks without an ID prove nothing themselves.
    let datagram = |port: u16, micros: i64| {
        let (mut packets, _) = Trace::at_client().client_data(80).packets();
        let mut packet = packets.remove(0);
        (packet.body, packet.key.protocol, packet.key.low_port) = (Body::Udp, Protocol::UDP, port);
        packet.hash ^= u64::from(port).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        copy(&packet, micros, 0)
    };
    let silent = [datagram(9, 0), datagram(9, 20)];
    let found = |packets: &[Packet], copies: &mut Copies| flows_of(packets, copies).iter().map(|flow| flow.volume[client()].duplicates).sum::<u32>();
    let mut copies = Copies::default();
    assert_eq!(found(&silent, &mut copies), 0, "nothing is known yet");
    for port in 100..116 {
        let numbered = [datagram(port, 5_000), datagram(port, 5_020)].map(|packet| Packet { ip_id: 7, ..packet });
        assert_eq!(found(&numbered, &mut copies), 1);
    }
    assert_eq!(found(&[datagram(9, 9_000), datagram(9, 9_020)], &mut copies), 1);
    let elsewhere = [datagram(9, 12_000), datagram(9, 12_020)].map(|mut packet| {
        packet.key.interface = 1;
        packet
    });
    assert_eq!(found(&elsewhere, &mut copies), 0, "another interface is another source");
}

// What was sent twice.

#[test]
fn a_retransmission_is_no_copy_however_soon_it_comes() {
    let again = exchange().wait(0.3).repeat(6);
    for packets in [counted(&again), uncounted(&again)] {
        assert_eq!(duplicates(&packets), (0, 0));
        assert_eq!(server_side(&packets).retransmits, 1);
    }
    let twice = doubled(&counted(&again), 20, 0);
    assert_eq!(server_side(&twice).retransmits, 1, "nor where each packet is captured twice");
}

#[test]
fn a_burst_of_equal_resets_is_no_copy() {
    let burst = exchange().rst_from_server().repeat(9).repeat(9);
    for id in [0, 64, 7_777] {
        let packets: Vec<_> =
            counted(&burst).into_iter().map(|packet| if is_reset(&packet) { Packet { ip_id: id, ..packet } } else { packet }).collect();
        assert_eq!(duplicates(&packets), (0, 0));
        assert_eq!(server_side(&packets).rst, 3);
    }
    let at_once = uncounted(&Trace::at_client().syn().refused().repeat(2).repeat(2));
    assert_eq!((duplicates(&at_once), server_side(&at_once).rst), ((0, 0), 3), "nor where nothing else came from there");
}

#[test]
fn duplicate_acknowledgements_are_no_copies() {
    let lossy = exchange().ack_from_client().repeat(9).repeat(9);
    let unchanging: Vec<_> = uncounted(&lossy).into_iter().map(|packet| Packet { ip_id: 1, ..packet }).collect();
    for packets in [counted(&lossy), uncounted(&lossy), unchanging] {
        assert_eq!(duplicates(&packets), (0, 0));
    }
    let twice = doubled(&counted(&lossy), 20, 0);
    assert_eq!(duplicates(&twice).0, 7, "one of each where all are captured twice");
}

#[test]
fn one_copy_does_not_make_a_flow_of_copies() {
    let burst = exchange().rst_from_server().repeat(9).repeat(9);
    let mut packets = counted(&burst);
    packets.insert(7, copy(&packets[6], 10, 0));
    let equal: Vec<_> = packets.into_iter().map(|packet| if is_reset(&packet) { Packet { ip_id: 64, ..packet } } else { packet }).collect();
    assert_eq!(duplicates(&equal), (0, 1));
    assert_eq!(server_side(&equal).rst, 3);
}

#[test]
fn what_comes_later_or_from_nearer_or_with_other_bytes_is_no_copy() {
    let packets = counted(&exchange());
    let data = &packets[3];
    assert_eq!(data.payload_bytes, 300);
    let with = |other: Packet| duplicates(&in_order([packets.clone(), vec![other]].concat()));
    assert_eq!(with(copy(data, 1_000, 0)), (1, 0));
    assert_eq!(with(copy(data, 1_001, 0)), (0, 0));
    assert_eq!(with(copy(data, 20, HOPS_MAX)), (1, 0));
    assert_eq!(with(copy(data, 20, HOPS_MAX + 1)), (0, 0));
    assert_eq!(with(Packet { ttl: data.ttl + 1, ..copy(data, 20, 0) }), (0, 0));
    assert_eq!(with(Packet { digest: data.digest ^ 1, ..copy(data, 20, 0) }), (0, 0), "a forged segment under the same numbers is evidence");
    assert_eq!(with(Packet { ip_id: data.ip_id + 9, ..copy(data, 20, 0) }), (0, 0));
    assert_eq!(with(Packet { ip_bytes: data.ip_bytes + 1, ..copy(data, 20, 0) }), (0, 0));
}

#[test]
fn copies_take_the_way_that_earlier_copies_took() {
    let packets = uncounted(&exchange());
    let mut twice = doubled(&packets, 20, 1);
    let last = packets.last().expect("it has packets");
    twice.retain(|packet| packet.time != last.time + Span(20_000));
    assert_eq!(duplicates(&[&twice[..], &[copy(last, 20, 1)]].concat()).0, 4);
    assert_eq!(duplicates(&[&twice[..], &[copy(last, 20, 0)]].concat()).0, 3, "the client sent this acknowledgement twice");
}

// Whatever the flow.

/// Something that one of the ends sends next.
fn sends(trace: Trace, step: u8) -> Trace {
    match step {
        0 => trace.client_data(200),
        1 => trace.server_data(1_400),
        2 => trace.ack_from_client(),
        3 => trace.ack_from_server(),
        4 => trace.fin_from_client(),
        5 => trace.rst_from_server(),
        6 => trace.wait(0.2).repeat(4),
        _ => trace.wait(300).repeat(5),
    }
}

proptest! {
    #[test]
    fn doubling_a_capture_never_changes_what_is_counted(
        steps in proptest::collection::vec(0_u8..8, 2..40), micros in 0_i64..400, hops in 0_u8..4, ids in any::<bool>(),
    ) {
        let trace = steps.into_iter().fold(Trace::at_client().handshake().client_data(100).server_data(500), sends);
        let packets = if ids { counted(&trace) } else { uncounted(&trace) };
        let (once, twice) = (flow_of(&packets), flow_of(&doubled(&packets, micros, hops)));
        prop_assert_eq!(once.volume[Side::Low].duplicates + once.volume[Side::High].duplicates, 0);
        prop_assert_eq!(counts(&twice), counts(&once));
    }

    #[test]
    fn every_packet_counts_whether_a_copy_or_not(order in proptest::collection::vec((0_usize..9, 0_i64..3_000, 0_u8..12), 1..60), ids in any::<bool>()) {
        let trace = exchange().rst_from_server();
        let packets = if ids { counted(&trace) } else { uncounted(&trace) };
        let fed: Vec<_> = order.into_iter().map(|(index, micros, hops)| copy(&packets[index], micros, hops)).collect();
        let flows = flows_of(&fed, &mut Copies::default());
        prop_assert_eq!(flows.iter().flat_map(|flow| flow.volume.0).map(|volume| volume.packets).sum::<u64>(), fed.len() as u64);
        prop_assert!(flows.iter().flat_map(|flow| flow.volume.0).all(|volume| volume.originals() > 0 || volume.packets == 0));
    }
}
