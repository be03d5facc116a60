//! What does the table of flows cost when it outgrows the caches, and what does it cost to put a stream in order?
//!
//! Table: flows begun, found and updated by the number of flows alive, packets in an order in which neighbours are of different flows; one thread, one
//! table, no readers of streams. 64 flows fit the first cache, 4,096 the last one, a million none. Reassembly: the first 16 KiB of a stream from
//! segments in order, overtaken, and overlapping. Kept out: reading, decoding, rows. Unit: packets or bytes per second.

mod traffic;

use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tamperscope::flow::{Contiguous, FlowTable, StreamHead, Timeouts};
use tamperscope::model::SeqNumber;
use tamperscope::packet::Packet;
use traffic::{Capture, From, Script, packets};

fn main() {
    divan::main();
}

/// Packets of one pass over the table.
const PASS: usize = 65_536;
/// Flows alive.
const ALIVE: [u32; 4] = [1, 64, 4_096, 1_000_000];

/// A flow as the table of a shard keeps it, with as little beside it as can be.
type Table = FlowTable<()>;

/// The first packets of `alive` flows, and the packets of a pass over them: each flow's ACK, far from its neighbour's.
fn traffic(alive: u32) -> (Vec<Packet>, Vec<Packet>) {
    let script = Script::handshake();
    let capture = Capture::default().flows(&script, alive, alive);
    let mut all = packets(&capture.round());
    let acks = all.split_off(2 * alive as usize);
    // A step that shares no factor with the number of flows meets each of them before one comes again.
    let pass = (0..PASS).map(|index| acks[index.wrapping_mul(982_451_653) % acks.len()].clone()).collect();
    all.truncate(alive as usize);
    (all, pass)
}

fn table_of(first: &[Packet]) -> Table {
    let mut table = Table::new(Timeouts::default(), usize::MAX);
    first.iter().for_each(|packet| give(&mut table, packet));
    table
}

fn give(table: &mut Table, packet: &Packet) {
    if let Some(at) = table.find(packet, |_, _| {}).or_else(|| table.begin(packet, true))
        && let Some(slot) = table.slot(at)
    {
        black_box(slot.flow.update(packet));
    }
}

/// The look-up alone. Unit: packets/s, by flows alive.
#[divan::bench(args = ALIVE, sample_count = 20)]
fn find(bencher: Bencher<'_, '_>, alive: u32) {
    let (first, pass) = traffic(alive);
    let mut table = table_of(&first);
    bencher.counter(ItemsCount::new(PASS)).bench_local(|| {
        for packet in &pass {
            black_box(table.find(packet, |_, _| {}).is_some());
        }
    });
}

/// Look-up and everything that a flow keeps of a packet. Unit: packets/s, by flows alive.
#[divan::bench(args = ALIVE, sample_count = 20)]
fn update(bencher: Bencher<'_, '_>, alive: u32) {
    let (first, pass) = traffic(alive);
    let mut table = table_of(&first);
    bencher.counter(ItemsCount::new(PASS)).bench_local(|| {
        for packet in &pass {
            give(&mut table, packet);
        }
    });
}

/// Flows begun by a SYN each, as a flood does it, and the table grown with them. Unit: flows/s, by flows.
#[divan::bench(args = [4_096, 1_000_000], sample_count = 5)]
fn begin(bencher: Bencher<'_, '_>, flows: u32) {
    let (first, _) = traffic(flows);
    bencher.counter(ItemsCount::new(flows as usize)).bench_local(|| table_of(&first));
}

/// Bytes of a stream that are wanted (as many as the head keeps), and of a segment.
const STREAM: usize = 16 * 1_024;
const SEGMENT: usize = 1_448;

/// How the segments of a stream come: one after the other, or not.
#[derive(Clone, Copy, Debug)]
enum Order {
    Straight,
    /// Each second one before the first.
    Overtaken,
    /// Each one begins in the middle of the one before.
    Overlapping,
    /// The first one last: all others wait.
    FirstLost,
}

/// From segments to the first bytes of a stream. Unit: bytes/s of the stream.
#[divan::bench(args = [Order::Straight, Order::Overtaken, Order::Overlapping, Order::FirstLost])]
fn reassemble(bencher: Bencher<'_, '_>, order: Order) {
    let bytes: Vec<u8> = (0..STREAM).map(|index| index as u8).collect();
    let step = if matches!(order, Order::Overlapping) { SEGMENT / 2 } else { SEGMENT };
    let mut starts: Vec<usize> = (0..STREAM).step_by(step).collect();
    match order {
        Order::Overtaken => starts.chunks_mut(2).for_each(<[usize]>::reverse),
        Order::FirstLost => starts.rotate_left(1),
        Order::Straight | Order::Overlapping => {}
    }
    let segments: Vec<(SeqNumber, &[u8])> = starts.iter().map(|&at| (SeqNumber(1).plus(at as u32), &bytes[at..STREAM.min(at + SEGMENT)])).collect();
    bencher.counter(BytesCount::new(STREAM)).bench_local(|| {
        let mut head = StreamHead::new(SeqNumber(1));
        for (seq, payload) in &segments {
            if matches!(head.take(*seq, payload), Contiguous::Direct(_)) {
                head.keep(payload);
            }
        }
        assert_eq!(head.bytes().len(), STREAM, "the stream is whole");
        head
    });
}

/// Flows of eight packets from SYN to FIN, as most are, a thousand open at the same time. Unit: packets/s.
#[divan::bench(sample_count = 20)]
fn whole_short_flows(bencher: Bencher<'_, '_>) {
    let script = Script::handshake().data(From::Client, &[0x17; 90]).data(From::Server, &[0x17; 700]).close();
    let packets = packets(&Capture::default().flows(&script, 8_192, 1_024).round());
    bencher.counter(ItemsCount::new(packets.len())).bench_local(|| table_of(&packets));
}
