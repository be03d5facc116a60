//! Counters of one direction: packets, bytes, sizes, gaps, copies. Updated by every packet, so kept small.

use crate::model::Timestamp;
use crate::packet::Packet;

use super::Copied;

#[derive(Clone, Copy, Debug, Default)]
pub struct Volume {
    pub packets: u64,
    /// IP bytes, headers included.
    pub bytes: u64,
    pub payload_bytes: u64,
    payload_squares: u64,
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
    gap_squares: f64,
    gap_max: i64,
}

/// Mean, standard deviation (of the population) and maximum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub mean: f64,
    pub std: f64,
    pub max: f64,
}

impl Volume {
    pub(super) fn add(&mut self, packet: &Packet) {
        if self.packets == 0 {
            (self.first, self.last) = (packet.time, packet.time);
            (self.ttl_min, self.ttl_max) = (packet.ttl, packet.ttl);
        } else {
            self.add_gap((packet.time - self.last).0.max(0));
            self.last = self.last.max(packet.time);
            self.ttl_min = self.ttl_min.min(packet.ttl);
            self.ttl_max = self.ttl_max.max(packet.ttl);
        }
        self.packets += 1;
        self.bytes += u64::from(packet.ip_bytes);
        if packet.payload_bytes > 0 {
            let payload = u64::from(packet.payload_bytes);
            self.payload_packets = self.payload_packets.saturating_add(1);
            self.payload_bytes += payload;
            self.payload_squares = self.payload_squares.saturating_add(payload * payload);
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

    pub(super) fn has_copies(&self) -> bool {
        self.copy_hops != 0
    }

    pub(super) fn has_copies_of(&self, hops: u8) -> bool {
        self.copy_hops.checked_shr(hops.into()).unwrap_or(0) & 1 == 1
    }

    fn add_gap(&mut self, gap: i64) {
        self.gap_squares += gap as f64 * gap as f64;
        self.gap_max = self.gap_max.max(gap);
    }

    /// Payload bytes of the packets that carry payload.
    pub fn payload_spread(&self) -> Option<Spread> {
        let n = f64::from(self.payload_packets);
        (self.payload_packets > 0).then(|| spread(n, self.payload_bytes as f64, self.payload_squares as f64, f64::from(self.payload_max)))
    }

    /// Time between packets, in milliseconds.
    pub fn gap_spread_ms(&self) -> Option<Spread> {
        let gaps = self.originals().saturating_sub(1);
        // Gaps count from the latest time so far, so that they add up to the whole.
        (gaps > 0).then(|| spread(gaps as f64, (self.last - self.first).as_ms(), self.gap_squares / 1e12, self.gap_max as f64 / 1e6))
    }
}

fn spread(n: f64, sum: f64, squares: f64, max: f64) -> Spread {
    let mean = sum / n;
    Spread { mean, std: (squares / n - mean * mean).max(0.0).sqrt(), max }
}
