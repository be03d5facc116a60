//! The small records of packets that a TCP flow keeps: its first, its last, and every SYN, FIN and RST between.

use std::collections::VecDeque;

use crate::model::{PacketNumber, SeqNumber, Side, Timestamp};
use crate::packet::{Packet, Segment, TcpFlags};

use super::{Kind, limits};

/// What is remembered of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketRecord {
    pub time: Timestamp,
    pub number: PacketNumber,
    pub seq: SeqNumber,
    pub ack: SeqNumber,
    pub payload_bytes: u32,
    /// Payload bytes that no earlier packet of this side had carried.
    pub new_bytes: u32,
    pub window: u16,
    pub ip_id: u16,
    pub flags: TcpFlags,
    pub sender: Side,
    pub kind: Kind,
    pub ttl: u8,
}

/// The log is most of what a flow costs.
const _: () = assert!(std::mem::size_of::<PacketRecord>() <= 40);

impl PacketRecord {
    pub(super) fn new(packet: &Packet, segment: &Segment, new_bytes: u32, kind: Kind) -> Self {
        Self {
            time: packet.time,
            number: packet.number,
            seq: segment.seq,
            ack: segment.ack,
            payload_bytes: packet.payload_bytes,
            new_bytes,
            window: segment.window,
            ip_id: packet.ip_id,
            flags: segment.flags,
            sender: packet.sender,
            kind,
            ttl: packet.ttl,
        }
    }

    pub fn is_reset(&self) -> bool {
        self.flags.has(TcpFlags::RST)
    }

    /// The sequence number behind the last byte of payload.
    pub fn payload_end(&self) -> SeqNumber {
        self.seq.plus(self.payload_bytes)
    }
}

/// Packets in trace order; the gap between head and tail holds the marked ones only.
#[derive(Debug, Default)]
pub struct PacketLog {
    head: Vec<PacketRecord>,
    /// Only of flows longer than the head.
    rest: Option<Box<Rest>>,
}

#[derive(Debug, Default)]
struct Rest {
    marked: Vec<PacketRecord>,
    tail: VecDeque<PacketRecord>,
}

impl PacketLog {
    #[inline]
    pub(super) fn add(&mut self, record: PacketRecord) {
        if self.head.len() < limits::LOG_HEAD_PACKETS {
            if self.head.len() == self.head.capacity() {
                self.grow();
            }
            self.head.push(record);
            return;
        }
        let Rest { marked, tail } = &mut **self.rest.get_or_insert_default();
        if tail.len() == limits::LOG_TAIL_PACKETS
            && let Some(leaving) = tail.pop_front()
            && is_marked(&leaving)
            && marked.len() < limits::LOG_MARKED_PACKETS
        {
            marked.push(leaving);
        }
        tail.push_back(record);
    }

    /// Room for two records at first, since most flows of a scan or a flood have no more; then for 4, 16 and 32.
    fn grow(&mut self) {
        let room = match self.head.len() {
            0 => 2,
            2 => 4,
            4 => 16,
            _ => limits::LOG_HEAD_PACKETS,
        };
        self.head.reserve_exact(room.saturating_sub(self.head.len()).max(1));
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &PacketRecord> + Clone {
        self.head.iter().chain(self.rest.iter().flat_map(|rest| rest.marked.iter().chain(&rest.tail)))
    }

    /// Bytes kept.
    pub(super) fn held(&self) -> usize {
        let rest =
            self.rest.as_ref().map_or(0, |rest| size_of::<Rest>() + (rest.marked.capacity() + rest.tail.capacity()) * size_of::<PacketRecord>());
        self.head.capacity() * size_of::<PacketRecord>() + rest
    }

    /// The first packets, none left out between them.
    pub fn head(&self) -> &[PacketRecord] {
        &self.head
    }
}

fn is_marked(record: &PacketRecord) -> bool {
    record.flags.is_control()
}
