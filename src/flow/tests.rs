//! Scenes of flows: when a flow begins and when it has ended.

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;
use crate::capture::Record;
use crate::model::{FileId, Span};
use crate::packet::trace::Trace;
use crate::packet::{Decoded, decode};

/// Every flow of a trace in the order in which they ended, with what ended it.
fn flows(packets: &[Packet], end: Timestamp) -> Vec<(Flow, Ended)> {
    flows_within(usize::MAX, packets, end)
}

/// The same with a limit to the memory of living flows.
fn flows_within(budget: usize, packets: &[Packet], end: Timestamp) -> Vec<(Flow, Ended)> {
    let mut table: FlowTable<()> = FlowTable::new(Timeouts::default(), budget);
    let mut ended = Vec::new();
    for packet in packets {
        let end = |slot: Slot<()>, reason| ended.push((slot.flow, reason));
        if let Some(at) = table.find(packet, end).or_else(|| table.begin(packet, true)) {
            table.slot(at).expect("it was just found").flow.update(packet);
            table.weigh(at, 0);
        }
    }
    while table.finish_some(end, |slot, reason| ended.push((slot.flow, reason))) {}
    ended
}

fn flows_of(trace: &Trace) -> Vec<(Flow, Ended)> {
    flows(&trace.packets().0, trace.end())
}

#[track_caller]
fn flow_of(trace: &Trace) -> Flow {
    let mut flows = flows_of(trace);
    assert_eq!(flows.len(), 1, "a scene is one flow");
    flows.remove(0).0
}

#[test]
fn why_a_flow_ended_is_read_from_its_packets_first() {
    let reason = |trace: Trace| {
        let (flow, ended) = flows_of(&trace).remove(0);
        flow.end_reason(ended)
    };
    let asked = || Trace::at_client().handshake().client_data(100);
    assert_eq!(reason(asked().fin_from_client().fin_from_server().wait(60_000)), EndReason::Fin);
    assert_eq!(reason(asked().rst_from_server().wait(60_000)), EndReason::Rst);
    assert_eq!(reason(asked().wait(60_000)), EndReason::CaptureEnd);
    assert_eq!(reason(asked().wait(3_601_000)), EndReason::Timeout);
    assert_eq!(reason(asked().numbered(9_000, 8_000).syn()), EndReason::Reused);
}

// When a flow has ended.

#[test]
fn a_blocked_attempt_is_one_flow_however_often_it_is_repeated() {
    let opening = Trace::at_client().syn().wait(1_000).repeat(1).wait(2_000).repeat(1).wait(64_000).repeat(1);
    assert_eq!(flow_of(&opening).packets(), 4);
    let closing = Trace::at_client().handshake().client_data(100).fin_from_client().wait(20_000).repeat(5).wait(40_000).repeat(5);
    assert_eq!(flow_of(&closing).packets(), 7);
}

#[test]
fn a_farewell_that_is_not_acknowledged_will_be_repeated() {
    let parted = || Trace::at_client().handshake().client_data(100).fin_from_client().fin_from_server();
    assert_eq!(flows_of(&parted().wait(19_200).repeat(6)).len(), 1, "the client has not acknowledged the server's FIN");
    assert_eq!(flows_of(&parted().ack_from_client().wait(19_200).repeat(6)).len(), 2);
}

#[test]
fn a_syn_of_the_other_side_belongs_to_the_attempt_that_it_crosses() {
    let crossed = Trace::at_client().syn().syn_ack().bare();
    assert_eq!(flow_of(&crossed).packets(), 2);
    assert_eq!(flow_of(&crossed.wait(1_000).repeat(2)).packets(), 3, "and so do its repetitions");
    let later = Trace::at_client().syn().wait(11_000).syn_ack().bare();
    assert_eq!(flows_of(&later).len(), 2, "ten seconds later it opens a connection of its own");
    let refused = Trace::at_client().syn().refused().syn_ack().bare();
    assert_eq!(flows_of(&refused).len(), 2, "as it does behind a reset");
}

#[test]
fn a_new_syn_on_the_same_ports_begins_another_flow() {
    let closed = Trace::at_client().handshake().client_data(100).fin_from_client().fin_from_server().ack_from_client();
    let flows = flows_of(&closed.wait(1_000).numbered(900_000, 400_000).handshake());
    let packets: Vec<_> = flows.iter().map(|(flow, ended)| (flow.first_packet.number(), flow.packets(), *ended)).collect();
    assert_eq!(packets, [(1, 7, Ended::Reused), (8, 3, Ended::CaptureEnd)]);
}

#[test]
fn stragglers_stay_with_a_flow_for_ten_seconds() {
    let reset = || Trace::at_client().handshake().client_data(100).rst_from_server();
    assert_eq!(flows_of(&reset().wait(9_900).server_data(900)).len(), 1);
    let late = flows_of(&reset().wait(10_100).server_data(900));
    let packets: Vec<_> = late.iter().map(|(flow, ended)| (flow.first_packet.number(), *ended)).collect();
    assert_eq!(packets, [(1, Ended::Timeout), (6, Ended::CaptureEnd)]);
}

#[test]
fn a_handshake_that_never_came_about_is_waited_for_five_minutes() {
    for (wait, count) in [(299_000, 1), (301_000, 2)] {
        assert_eq!(flows_of(&Trace::at_client().syn().wait(wait).repeat(1)).len(), count, "after {wait} ms");
    }
}

#[test]
fn an_established_connection_may_be_silent_for_an_hour() {
    for (wait, count) in [(3_599_000, 1), (3_601_000, 2)] {
        assert_eq!(flows_of(&Trace::at_client().handshake().client_data(100).wait(wait).server_data(900)).len(), count, "after {wait} ms");
    }
}

/// A datagram at a time and a trace clock, both in seconds.
fn datagram(time: i64, clock: i64) -> Packet {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 64).udp(50_000, 53).write(&mut bytes, b"query").expect("a vector takes it");
    let at = |seconds| Timestamp(0) + Span::from_secs(seconds);
    let len = bytes.len() as u32;
    let number = PacketNumber::new(FileId(0), 1);
    let record = Record { time: at(time), clock: at(clock), number, link_type: 101, interface: 0, start: 0, captured: len, original: len };
    let mut packet = None;
    decode(&record, &bytes, |found| match found {
        Decoded::Packet(found) => packet = Some(found),
        _ => panic!("a datagram is a packet"),
    });
    packet.expect("a datagram is a packet")
}

#[test]
fn datagrams_are_one_flow_while_no_silence_is_longer_than_a_minute() {
    let count = |times: &[i64]| {
        let packets: Vec<Packet> = times.iter().map(|&seconds| datagram(seconds, seconds)).collect();
        flows(&packets, packets[packets.len() - 1].clock).len()
    };
    assert_eq!(count(&[0, 59, 118]), 1);
    assert_eq!(count(&[0, 61]), 2);
}

#[test]
fn silence_is_measured_on_the_clock_of_the_trace() {
    let end = datagram(0, 70).clock;
    assert_eq!(flows(&[datagram(100, 100), datagram(30, 100)], end).len(), 1, "a packet stamped too early");
    assert_eq!(flows(&[datagram(0, 0), datagram(1, 70)], end).len(), 2, "other flows have gone on meanwhile");
}

#[test]
fn what_the_clock_leapt_with_belongs_to_what_comes_behind() {
    const DAY: i64 = 86_400;
    // The clock believes a leap when a second packet shows it.
    let leapt = [datagram(0, 0), datagram(DAY, 0), datagram(DAY + 1, DAY + 1)];
    let counts: Vec<u64> = flows(&leapt[1..], leapt[2].clock).iter().map(|(flow, _)| flow.packets()).collect();
    assert_eq!(counts, [2]);
    let mut syns = flood(1..2);
    let (opening, mut again) = (&mut syns[0], flood(1..2).remove(0));
    opening.clock = opening.time + Span::from_secs(-DAY);
    (again.time, again.clock) = (again.time + Span::from_secs(1), again.time + Span::from_secs(1));
    let end = again.clock;
    let counts: Vec<u64> = flows(&[syns.remove(0), again], end).iter().map(|(flow, _)| flow.packets()).collect();
    assert_eq!(counts, [2]);
}

#[test]
fn sweeping_changes_no_flow() {
    let swept = [datagram(0, 0), datagram(61, 61)];
    let (flow, reason) = flows(&swept, swept[1].clock).remove(0);
    assert_eq!((flow.packets(), reason), (1, Ended::Timeout));
}

#[test]
fn a_reset_with_a_foreign_number_does_not_end_the_flow() {
    let trace = Trace::at_client().handshake().client_data(100).ack_from_server().rst_from_server().seq(0x6000_0000);
    let flow = flow_of(&trace.wait(15_000).client_data(100).server_data(900));
    assert_eq!(flow.packets(), 8, "what comes 15 s later belongs to it");
}

// Want of memory.

/// The first packet of connections from so many ports, one each millisecond.
fn flood(ports: std::ops::Range<u16>) -> Vec<Packet> {
    let syn = &Trace::at_client().syn().packets().0[0];
    let from = |port: u16| {
        let mut packet = syn.clone();
        let after = Span::from_millis(i64::from(port - ports.start));
        packet.key.low_port = port;
        packet.hash = crate::packet::hash(&packet.key);
        (packet.time, packet.clock) = (packet.time + after, packet.clock + after);
        packet
    };
    ports.clone().map(from).collect()
}

#[test]
fn a_flow_of_one_packet_is_what_it_would_have_been_beside_others() {
    let packets = flood(1..4);
    let end = packets[2].clock + Span::from_secs(1);
    let kept = flows(&packets, end);
    assert_eq!(kept.len(), 3);
    for (flow, ended) in &kept {
        let tcp = flow.tcp.as_deref().expect("a scene is TCP");
        assert_eq!((flow.packets(), tcp.handshake.syn_count, *ended), (1, 1, Ended::CaptureEnd));
    }
    let again: Vec<Packet> = packets
        .iter()
        .cloned()
        .chain([{
            let mut second = packets[0].clone();
            second.clock = end;
            second
        }])
        .collect();
    assert_eq!(flows(&again, end).iter().map(|(flow, _)| flow.packets()).max(), Some(2), "the second packet finds the first");
}

#[test]
fn a_flow_of_one_packet_ends_like_any_other() {
    let packets = flood(1..3);
    let late: Vec<Packet> = packets
        .iter()
        .cloned()
        .chain([{
            let mut late = packets[0].clone();
            late.clock = packets[0].clock + Span::from_secs(301);
            late
        }])
        .collect();
    let ended: Vec<(u64, Ended)> = flows(&late, late[2].clock).into_iter().map(|(flow, ended)| (flow.packets(), ended)).collect();
    assert_eq!(ended.iter().filter(|ended| **ended == (1, Ended::Timeout)).count(), 2);
    assert_eq!(ended.iter().filter(|ended| **ended == (1, Ended::CaptureEnd)).count(), 1);
}

#[test]
fn those_that_were_idle_longest_make_room() {
    let packets = flood(1..1_001);
    let budget = 100 * size_of::<Option<opening::Opening>>();
    let ended = flows_within(budget, &packets, packets[999].clock);
    let port = |flow: &Flow| flow.key.low_port;
    let evicted: Vec<u16> = ended.iter().filter(|(_, ended)| *ended == Ended::Evicted).map(|(flow, _)| port(flow)).collect();
    assert_eq!(evicted, (1..=evicted.len() as u16).collect::<Vec<_>>(), "the oldest go first");
    let left = 1_000 - evicted.len();
    assert!((100..=101).contains(&left), "{left} flows fit");
}

proptest! {
    /// Whatever is evicted: each packet counts once, and a flow in use is never among them.
    #[test]
    fn eviction_loses_no_packet(room in 1_usize..40, order in proptest::collection::vec(1_u16..60, 1..300)) {
        let syns = flood(1..61);
        let packets: Vec<Packet> = order.iter().enumerate().map(|(index, &port)| {
            let mut packet = syns[usize::from(port) - 1].clone();
            packet.clock = syns[0].clock + Span::from_millis(index as i64);
            packet.time = packet.clock;
            packet
        }).collect();
        let ended = flows_within(room * 2_000, &packets, packets[packets.len() - 1].clock);
        prop_assert_eq!(ended.iter().map(|(flow, _)| flow.packets()).sum::<u64>(), packets.len() as u64);
        prop_assert!(ended.iter().all(|(_, ended)| matches!(ended, Ended::Evicted | Ended::CaptureEnd)));
    }
}

// What goes on with a connection that was cut off.

fn cut_off(trace: &Trace, ended: Ended) -> Forerunners<&'static str> {
    let mut forerunners = Forerunners::default();
    forerunners.remember(&flow_of(trace), ended, || "kept");
    forerunners
}

/// The last packet of a trace.
fn last(trace: &Trace) -> Packet {
    trace.packets().0.pop().expect("it has packets")
}

#[test]
fn a_connection_resumes_where_its_numbers_go_on() {
    let before = || Trace::at_client().handshake().client_data(100).server_data(900);
    for next in [before().client_data(50), before().ack_from_server(), before().ack_from_client().seq(-1), before().fin_from_server()] {
        let forerunner = cut_off(&before(), Ended::Timeout).claim(&last(&next)).expect("it resumes");
        assert_eq!((forerunner.kept, forerunner.start), ("kept", flow_of(&before()).start));
    }
    assert!(cut_off(&before(), Ended::Evicted).claim(&last(&before().client_data(50))).is_some());
}

#[test]
fn another_connection_resumes_nothing() {
    let before = || Trace::at_client().handshake().client_data(100).server_data(900);
    let other = before().numbered(0x4000_0000, 0x7000_0000);
    for next in
        [other.clone().syn(), other.clone().client_data(50), before().client_data(50).seq(0x0200_0000), before().client_data(50).ack(0x0200_0000)]
    {
        assert!(cut_off(&before(), Ended::Timeout).claim(&last(&next)).is_none());
    }
    assert!(cut_off(&before(), Ended::Reused).claim(&last(&before().client_data(50))).is_none(), "it was not cut off");
    let closed = before().fin_from_client().fin_from_server();
    assert!(cut_off(&closed, Ended::Timeout).claim(&last(&before().client_data(50))).is_none(), "it was closed");
}

#[test]
fn a_connection_has_one_successor() {
    let before = Trace::at_client().handshake().client_data(100).server_data(900);
    let mut forerunners = cut_off(&before, Ended::Timeout);
    let next = last(&before.clone().client_data(50));
    assert!(forerunners.claim(&next).is_some());
    assert!(forerunners.claim(&next).is_none());
}
