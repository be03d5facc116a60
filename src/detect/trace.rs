//! What a [`Trace`] becomes: the conversation that a shard makes of it, and what an item sees in it. The same of datagrams.

use etherparse::PacketBuilder;

use crate::app::tls::build;
use crate::capture::Record;
use crate::flow::Timeouts;
use crate::model::{Direction, FileId, PacketNumber, Timestamp};
use crate::packet::trace::Trace;
use crate::packet::{Decoded, decode};
use crate::shard::{Conversation, Shard};

use super::Item;

impl Trace {
    pub fn client_hello(self, name: &str) -> Self {
        self.client_bytes(&build::client_hello(name))
    }

    pub fn server_hello(self) -> Self {
        self.server_bytes(&build::server_hello())
    }

    /// The only conversation.
    pub fn conversation(&self) -> Conversation {
        let (packets, round) = self.packets();
        let mut shard = Shard::new(Timeouts::default(), usize::MAX);
        packets.iter().for_each(|packet| shard.update(packet, &round));
        let mut ended = shard.take_ended().conversations;
        ended.extend(shard.finish_some(self.end(), self.end()).conversations);
        assert_eq!(ended.len(), 1, "a scene is one conversation");
        ended.remove(0)
    }

    /// Name and packets of what an item sees in one direction.
    pub fn shows(&self, item: Item, direction: Direction) -> Option<(&'static str, Vec<u64>)> {
        let conversation = self.conversation();
        let view = super::view(&conversation).expect("a scene is TCP");
        item(&view, direction).map(|evidence| (evidence.id, evidence.packets.iter().map(|packet| packet.number()).collect()))
    }
}

/// The conversation of datagrams to port 443: milliseconds, direction, payload.
pub fn datagrams(sent: &[(f64, Direction, Vec<u8>)]) -> Conversation {
    const ENDS: [([u8; 4], u16); 2] = [([192, 0, 2, 1], 50_000), ([198, 51, 100, 1], 443)];
    let mut shard = Shard::new(Timeouts::default(), usize::MAX);
    let mut last = Timestamp(0);
    for ((ms, direction, payload), number) in sent.iter().zip(1..) {
        let [from, to] = if *direction == Direction::ClientToServer { ENDS } else { [ENDS[1], ENDS[0]] };
        let mut frame = Vec::new();
        let below = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(from.0, to.0, 64);
        below.udp(from.1, to.1).write(&mut frame, payload).expect("a vector takes it");
        last = Timestamp(1_750_000_000_000_000_000 + (ms * 1e6) as i64);
        let (captured, number) = (frame.len() as u32, PacketNumber::new(FileId(0), number));
        let record = Record { time: last, clock: last, number, link_type: 1, interface: 0, start: 0, captured, original: captured };
        decode(&record, &frame, |found| match found {
            Decoded::Packet(packet) => shard.update(&packet, &frame),
            _ => panic!("a datagram is a packet"),
        });
    }
    let mut ended = shard.finish_some(last, last).conversations;
    assert_eq!(ended.len(), 1, "a scene is one conversation");
    ended.remove(0)
}
