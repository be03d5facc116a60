//! One packet of a flow as one capture holds it: as little as is needed to know it again at the other end.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

use crate::model::{PacketNumber, Side, Timestamp};
use crate::packet::{Body, Packet, TcpFlags};

/// Payload bytes by which packets are known again: so few that a snap length of 96 leaves them.
const HEAD_BYTES: usize = 16;

#[derive(Clone, Copy, Debug)]
pub struct Observed {
    pub time: Timestamp,
    pub number: PacketNumber,
    pub sender: Side,
    /// Of a datagram its first four bytes.
    pub seq: u32,
    pub ack: u32,
    pub len: u32,
    /// The sender's clock in the timestamp option (RFC 7323); 0 without one.
    pub timestamp: u32,
    /// Hash of the first payload bytes; 0 where there are none, or the capture lacks them.
    pub head: u64,
    /// Hash of the whole payload; 0 where the capture does not hold all of it.
    pub whole: u64,
    /// Checksum and urgent pointer, or what stands for them: a copy has the same.
    pub digest: u32,
    pub ip_id: u16,
    pub flags: TcpFlags,
    pub ttl: u8,
}

impl Observed {
    /// Of segments and datagrams only.
    pub fn of(packet: &Packet, round: &[u8]) -> Option<Self> {
        let payload = packet.payload.of(round);
        let (seq, ack, flags, timestamp) = match &packet.body {
            Body::Tcp(segment) => {
                let timestamp = segment.timestamps().map_or(0, |timestamps| timestamps.value);
                (segment.seq.0, segment.ack.0, segment.flags, timestamp)
            }
            Body::Udp => (payload.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes)), 0, TcpFlags::default(), 0),
            _ => return None,
        };
        let len = packet.payload_bytes;
        let hash = |count: usize| payload.get(..count).filter(|bytes| !bytes.is_empty()).map_or(0, hash);
        Some(Self {
            time: packet.time,
            number: packet.number,
            sender: packet.sender,
            seq,
            ack,
            len,
            timestamp,
            head: hash(HEAD_BYTES.min(len as usize)),
            whole: hash(len as usize),
            digest: packet.digest,
            ip_id: packet.ip_id,
            flags,
            ttl: packet.ttl,
        })
    }

    pub fn is_reset(&self) -> bool {
        self.flags.has(TcpFlags::RST)
    }

    /// The sequence number behind it.
    pub fn next_seq(&self) -> u32 {
        let control = u32::from(self.flags.has(TcpFlags::SYN)) + u32::from(self.flags.has(TcpFlags::FIN));
        self.seq.wrapping_add(self.len).wrapping_add(control)
    }

    /// Flags but those of congestion (RFC 3168), which any router may set.
    pub fn shape(&self) -> u8 {
        self.flags.0 & 0x3f
    }

    /// Whether both show the same first bytes, as far as both captures hold them.
    pub fn may_be(&self, other: &Self) -> bool {
        let differ = |one: u64, other: u64| one != 0 && other != 0 && one != other;
        !differ(self.head, other.head) && !differ(self.whole, other.whole)
    }
}

/// Of things that are known by a key, those that are the only ones of theirs.
pub fn singles<K: Eq + Hash, V>(all: impl Iterator<Item = (K, V)>) -> HashMap<K, V> {
    let mut found: HashMap<K, Option<V>> = HashMap::new();
    for (key, value) in all {
        found.entry(key).and_modify(|only| *only = None).or_insert(Some(value));
    }
    found.into_iter().filter_map(|(key, only)| Some((key, only?))).collect()
}

fn hash(bytes: &[u8]) -> u64 {
    FixedState::with_seed(1).hash_one(bytes) | 1
}

/// `one` comes before `other` in the order of sequence numbers (RFC 9293 section 3.4).
pub fn before(one: u32, other: u32) -> bool {
    (one.wrapping_sub(other) as i32) < 0
}
