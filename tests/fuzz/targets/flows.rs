//! Packets of a few connections through a shard: every one comes out in a conversation, once, and how they were batched changes nothing.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tamperscope::capture::Record;
use tamperscope::flow::Timeouts;
use tamperscope::model::{Side, Span, Timestamp};
use tamperscope::packet::{Decoded, Packet, decode};
use tamperscope::shard::{Conversation, Over, Shard};
use tamperscope_fuzz::{RAW, Tcp, datagram, record_of, tcp_packet, udp};

#[derive(Clone, Debug, Arbitrary)]
enum Step {
    /// A segment with some bytes of the stream of its side, which begins with a hello.
    Segment {
        connection: u8,
        back: bool,
        flags: u8,
        at: u16,
        acked: u16,
        length: u8,
        ttl: u8,
        snapped: u8,
    },
    Udp {
        connection: u8,
        back: bool,
        length: u8,
        ttl: u8,
    },
    /// An ICMP error that quotes a segment of a connection.
    Unreachable {
        connection: u8,
        code: u8,
    },
    /// The packet before comes again, with another TTL.
    Again {
        ttl: u8,
    },
    Advance {
        seconds: u16,
        nanos: u32,
    },
    /// Packets come out of order: the time of the next is so much earlier, the clock stays.
    Late {
        nanos: u32,
    },
    /// In the batched run a batch ends here.
    Batch,
}

/// A packet as a record and its bytes.
struct Fed {
    packet: Packet,
    frame: Vec<u8>,
    ends_batch: bool,
}

/// Sequence numbers begin close below the wrap.
const FIRST_SEQ: [u32; 2] = [0xffff_ff80, 0x7fff_fff0];

fuzz_target!(|steps: Vec<Step>| {
    let fed = packets(&steps);
    let packets = fed.iter().filter(|fed| !matches!(fed.packet.body, tamperscope::packet::Body::Quoted(_))).count();
    let (at_once, count) = run(&fed, |_| false);
    assert_eq!(count, packets as u64, "every packet is in one conversation");
    assert_eq!(at_once, run(&fed, |_| true).0, "one packet a batch tells the same");
    assert_eq!(at_once, run(&fed, |fed| fed.ends_batch).0, "any batches tell the same");
});

/// What the steps make, as the decoder sees it.
fn packets(steps: &[Step]) -> Vec<Fed> {
    let (mut fed, mut clock, mut late, mut last) = (Vec::<Fed>::new(), Timestamp(1 << 60), Span::ZERO, None);
    for step in steps {
        let (frame, captured) = match *step {
            Step::Advance { seconds, nanos } => {
                clock = clock + Span::from_secs(seconds.into()) + Span(nanos.into());
                continue;
            }
            Step::Late { nanos } => {
                late = Span(-i64::from(nanos));
                continue;
            }
            Step::Batch => {
                fed.last_mut().into_iter().for_each(|fed| fed.ends_batch = true);
                continue;
            }
            Step::Again { ttl } => {
                let Some((mut frame, captured)): Option<(Vec<u8>, usize)> = last.clone() else { continue };
                frame[8] = ttl;
                (frame, captured)
            }
            Step::Segment { snapped, .. } => {
                let frame = frame(step);
                let captured = frame.len() - usize::from(snapped).min(frame.len() - 40);
                (frame, captured)
            }
            Step::Udp { .. } | Step::Unreachable { .. } => {
                let frame = frame(step);
                let captured = frame.len();
                (frame, captured)
            }
        };
        let record = record_of(RAW, 0, captured, frame.len(), fed.len() as u64 + 1);
        let record = Record { time: clock + late, clock, ..record };
        late = Span::ZERO;
        decode(&record, &frame, |found| match found {
            Decoded::Packet(packet) | Decoded::Quote(packet) => fed.push(Fed { packet, frame: frame.clone(), ends_batch: false }),
            _ => panic!("a packet was written by hand"),
        });
        last = Some((frame, captured));
    }
    fed
}

fn frame(step: &Step) -> Vec<u8> {
    match *step {
        Step::Segment { connection, back, flags, at, acked, length, ttl, .. } => {
            let at = u32::from(at % 2_048);
            let payload: Vec<u8> = (at..at + u32::from(length)).map(|at| stream(back, at)).collect();
            tcp_packet(tcp(connection, back, flags, at, acked.into()), back, ttl, &payload)
        }
        Step::Udp { connection, back, length, ttl } => {
            let ports = ports(connection, back);
            datagram(17, &udp(ports, &vec![7; length.into()]), back, ttl)
        }
        Step::Unreachable { connection, code } => {
            let quoted = tcp_packet(tcp(connection, false, 2, 0, 0), false, 1, &[]);
            datagram(1, &[&[3, code % 16, 0, 0, 0, 0, 0, 0][..], &quoted].concat(), true, 60)
        }
        _ => Vec::new(),
    }
}

fn ports(connection: u8, back: bool) -> (u16, u16) {
    let (client, server) = (50_000 + u16::from(connection % 3), 443);
    if back { (server, client) } else { (client, server) }
}

fn tcp(connection: u8, back: bool, flags: u8, at: u32, acked: u32) -> Tcp {
    let (own, other) = if back { (1, 0) } else { (0, 1) };
    Tcp { ports: ports(connection, back), seq: FIRST_SEQ[own].wrapping_add(at), ack: FIRST_SEQ[other].wrapping_add(acked), flags }
}

/// Byte of a stream: a hello in two records, then application data.
fn stream(back: bool, at: u32) -> u8 {
    const CLIENT: &[u8] = b"\x16\x03\x01\x00\x20\x01\x00\x00\x48\x03\x03\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\
        \x16\x03\x01\x00\x2c\x09\x09\x09\x09\x09\x09\x00\x00\x02\x13\x01\x01\x00\x00\x1d\x00\x00\x00\x0a\x00\x08\x00\x00\x05a.com\x00\x2b\x00\x03\x02\x03\x04\x00\x10\x00\x00\x00\x00";
    const SERVER: &[u8] = b"\x15\x03\x03\x00\x02\x02\x28";
    let hello = if back { SERVER } else { CLIENT };
    // The first byte of the sequence space is the SYN's.
    let byte = (at as usize).checked_sub(1).and_then(|at| hello.get(at));
    byte.copied().unwrap_or_else(|| [23, 3, 3, 0, 20][at as usize % 5])
}

/// The conversations and the transactions of DNS of a run in words, and how many packets they have.
fn run(fed: &[Fed], ends_batch: impl Fn(&Fed) -> bool) -> (Vec<String>, u64) {
    let (mut shard, mut ended, mut asked) = (Shard::new(Timeouts::default(), usize::MAX), Vec::new(), Vec::new());
    let mut take = |over: Over| {
        let any = !over.conversations.is_empty();
        ended.extend(over.conversations);
        asked.extend(over.transactions);
        any
    };
    for fed in fed {
        shard.update(&fed.packet, &fed.frame);
        if ends_batch(fed) {
            take(shard.take_ended());
        }
    }
    let clock = fed.last().map_or(Timestamp(0), |fed| fed.packet.clock);
    let latest = fed.iter().map(|fed| fed.packet.time).max().unwrap_or_default();
    while take(shard.finish_some(clock, latest)) {}
    let count = ended.iter().flat_map(|conversation| &conversation.flow.volume.0).map(|volume| volume.packets).sum();
    (ended.iter().map(words).chain(asked.iter().map(|asked| format!("{asked:?}"))).collect(), count)
}

fn words(conversation: &Conversation) -> String {
    let Conversation { flow, forerunner, client, orientation, end_reason, watched_until, alive_until, has_gap, cut_by_gap, .. } = conversation;
    let facts = conversation.facts();
    assert!(!has_gap && !cut_by_gap, "nobody told of damage");
    let rest = (flow.key, flow.first_packet, flow.start, flow.end(), flow.snapped, flow.back_step, flow.icmp_error());
    assert!(flow.start <= flow.end() && flow.volume[Side::Low].packets + flow.volume[Side::High].packets > 0);
    let features = flow.features();
    format!(
        "{rest:?} {:?} {:?} {features:?} {facts:?} {forerunner:?} {client:?} {orientation:?} {end_reason:?} {watched_until:?} {alive_until:?}",
        flow.volume, flow.tcp
    )
}
