//! Counters of one direction: packets, bytes, times, copies. Updated by every packet, so kept small.

use crate::model::Timestamp;
use crate::packet::Packet;

use super::Copied;

#[derive(Clone, Copy, Debug, Default)]
pub struct Volume {
    pub packets: u64,
    /// IP bytes, headers included.
    pub bytes: u64,
    pub payload_bytes: u64,
    pub payload_packets: u32,
    pub payload_max: u32,
    pub ttl_min: u8,
    pub ttl_max: u8,
    /// By how many hops copies have come further: bit 0 stands for none.
    copy_hops: u8,
    /// The most copies of one packet.
    pub(super) copies_of_one: u8,
    /// Packets that are copies of others: in `packets` and `bytes`, in nothing else.
    pub duplicates: u32,
    pub first: Timestamp,
    pub last: Timestamp,
}

impl Volume {
    pub(super) fn add(&mut self, packet: &Packet) {
        if self.packets == 0 {
            (self.first, self.last) = (packet.time, packet.time);
            (self.ttl_min, self.ttl_max) = (packet.ttl, packet.ttl);
        } else {
            self.last = self.last.max(packet.time);
            self.ttl_min = self.ttl_min.min(packet.ttl);
            self.ttl_max = self.ttl_max.max(packet.ttl);
        }
        self.packets += 1;
        self.bytes += u64::from(packet.ip_bytes);
        if packet.payload_bytes > 0 {
            self.payload_packets = self.payload_packets.saturating_add(1);
            self.payload_bytes += u64::from(packet.payload_bytes);
            self.payload_max = self.payload_max.max(packet.payload_bytes);
        }
    }

    pub(super) fn add_copy(&mut self, packet: &Packet, copied: Copied) {
        self.packets += 1;
        self.bytes += u64::from(packet.ip_bytes);
        self.duplicates = self.duplicates.saturating_add(1);
        self.copy_hops |= 1_u8.checked_shl(copied.hops.into()).unwrap_or(0);
        self.copies_of_one = self.copies_of_one.max(copied.copies_of_one);
    }

    /// Packets without copies of others.
    pub fn originals(&self) -> u64 {
        self.packets - u64::from(self.duplicates)
    }

    /// Payload bytes of the only packet.
    pub(super) fn only_payload(&self) -> u32 {
        u32::try_from(self.payload_bytes).unwrap_or(u32::MAX)
    }

    pub(super) fn has_copies(&self) -> bool {
        self.copy_hops != 0
    }

    pub(super) fn has_copies_of(&self, hops: u8) -> bool {
        self.copy_hops.checked_shr(hops.into()).unwrap_or(0) & 1 == 1
    }
}
