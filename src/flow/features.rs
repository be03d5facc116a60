//! What models ask for of a flow beyond the counters of [`Volume`].
//! In:  every packet of the flow but copies, in trace order, each with what came before it.
//! Out: sizes and gaps of either direction, flags, bursts, active and idle times.
//! Promises: nothing is kept of a flow with one packet, some hundred bytes of one with few, 8 kB at the most.

use crate::model::{PerSide, Side, Timestamp};
use crate::packet::{Body, Packet, TcpFlags};

use super::bursts::{BurstCounts, Bursts};
use super::pauses::{IDLE, Pauses, nanos};
use super::samples::Samples;
use super::spread::{Distribution, Spread, Sums};
use super::{Flow, Volume};

/// Made at the second packet of a flow.
#[derive(Clone, Debug, Default)]
pub struct Features {
    /// Empty of a side with one packet: its volume tells the same.
    samples: Samples,
    flags: PerSide<FlagCounts>,
    /// Nanoseconds between the packets of both sides.
    gaps: Sums,
    bursts: Bursts,
    /// Only of flows that had any.
    pauses: Option<Box<Pauses>>,
}

/// Packets with a flag (RFC 9293 section 3.1; ECE and CWR: RFC 3168 section 6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlagCounts {
    pub ack: u32,
    pub urg: u32,
    pub ece: u32,
    pub cwr: u32,
}

/// What features look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glance {
    pub sender: Side,
    pub time: Timestamp,
    pub payload: u32,
    pub flags: TcpFlags,
}

impl Glance {
    pub fn of(packet: &Packet) -> Self {
        Self { sender: packet.sender, time: packet.time, payload: packet.payload_bytes, flags: flags(packet) }
    }
}

/// None of other protocols.
pub(super) fn flags(packet: &Packet) -> TcpFlags {
    match &packet.body {
        Body::Tcp(segment) => segment.flags,
        _ => TcpFlags::default(),
    }
}

impl Features {
    /// Of the first packet of a flow.
    pub(super) fn of_first(first: Glance) -> Self {
        let mut features = Self::default();
        features.count(first);
        features
    }

    /// Takes in a later packet; `end` is the latest time so far.
    pub(super) fn add(&mut self, packet: Glance, before: &PerSide<Volume>, start: Timestamp, end: Timestamp) {
        self.gaps.add(nanos(packet.time - end));
        if packet.time - end > IDLE {
            self.pauses.get_or_insert_with(|| Box::new(Pauses::new(start))).add(end, packet.time);
        }
        let (sender, volume) = (packet.sender, &before[packet.sender]);
        let packets = volume.originals();
        if packets == 1 {
            self.samples.add(sender, 0, volume.only_payload(), None);
        }
        if packets > 0 {
            self.samples.add(sender, packets, packet.payload, Some(nanos(packet.time - volume.last)));
        }
        self.count(packet);
    }

    /// Bytes kept in boxes of its own.
    pub(super) fn held(&self) -> usize {
        let pauses = self.pauses.as_ref().map_or(0, |pauses| size_of_val(&**pauses));
        self.samples.held() + pauses
    }

    fn count(&mut self, packet: Glance) {
        self.flags[packet.sender].add(packet.flags);
        self.bursts.add(packet.sender, packet.time, packet.payload);
    }

    /// Flags of a side's packets.
    pub fn flags(&self, side: Side) -> FlagCounts {
        self.flags[side]
    }

    pub fn bursts(&self, side: Side) -> BurstCounts {
        self.bursts.of(side)
    }

    /// Payload bytes of a side's packets that carry any.
    pub fn payloads(&self, flow: &Flow, side: Side) -> Option<Distribution> {
        let volume = &flow.volume[side];
        if volume.originals() == 1 {
            let mut only = Samples::default();
            only.add(side, 0, volume.only_payload(), None);
            return only.payloads(side);
        }
        self.samples.payloads(side)
    }

    /// Time between a side's packets, in milliseconds.
    pub fn gaps_ms(&self, side: Side) -> Option<Distribution> {
        self.samples.gaps(side).map(|gaps| gaps.per(NANOS_PER_MS))
    }

    /// Time between packets of both sides, in milliseconds.
    pub fn all_gaps_ms(&self) -> Option<Spread> {
        self.gaps.spread().map(in_ms)
    }

    /// Active times, of which there is at least one, and idle ones, both with their number, in milliseconds.
    pub fn periods_ms(&self, flow: &Flow) -> [(u64, Option<Spread>); 2] {
        let (active, idle) = match &self.pauses {
            Some(pauses) => pauses.at_end(flow.end()),
            None => Pauses::new(flow.start).at_end(flow.end()),
        };
        [active, idle].map(|periods| (periods.count(), periods.spread().map(in_ms)))
    }
}

impl FlagCounts {
    fn add(&mut self, flags: TcpFlags) {
        self.ack += u32::from(flags.has(TcpFlags::ACK));
        self.urg += u32::from(flags.has(TcpFlags::URG));
        self.ece += u32::from(flags.has(TcpFlags::ECE));
        self.cwr += u32::from(flags.has(TcpFlags::CWR));
    }
}

/// What every flow with a second packet has, beside eight bytes for each of its packets.
const _: () = assert!(std::mem::size_of::<Features>() <= 192);

const NANOS_PER_MS: f64 = 1e6;

fn in_ms(spread: Spread) -> Spread {
    spread.per(NANOS_PER_MS)
}

#[cfg(test)]
mod tests;
