//! Flows from packets.
//! In:  the packets of one shard, in trace order.
//! Out: a [`Flow`] when it ends: by FIN, RST, silence, a new connection, want of memory, or the end of the trace.
//! Promises: time comes with the packet, never from a clock; how packets were batched changes nothing; memory per flow is bounded by named limits.
//! Not here: what the bytes say (`app`), whose they are (`service`), what they prove (`detect`).

mod bursts;
mod copies;
mod features;
mod forerunners;
pub mod limits;
mod log;
mod opening;
mod pauses;
mod samples;
mod sketch;
mod slab;
mod splt;
mod spread;
mod stream;
mod table;
mod tcp;
mod volume;

pub use bursts::BurstCounts;
pub use copies::{Copied, Copies};
pub use features::{Features, FlagCounts};
pub use forerunners::{Forerunner, Forerunners};
pub use log::{PacketLog, PacketRecord};
pub use splt::{Splt, SpltPacket};
pub use spread::{Distribution, Spread};
pub use stream::{Contiguous, StreamHead};
pub use table::{At, Ended, FlowTable, Slot, Timeouts};
pub use tcp::{After, Before, Handshake, Kind, ResetRecord, Samples, Tcp, TcpSide};
pub use volume::Volume;

use std::borrow::Cow;

use crate::capture::LEAP;
use crate::model::words::EndReason;
use crate::model::{FlowKey, PacketNumber, PerSide, Protocol, SeqNumber, Side, Timestamp, TunnelPath};
use crate::packet::{Body, IcmpError, Packet, TcpFlags};
use features::Glance;

/// One bidirectional flow as far as it has been seen. The hot part: what is cold is boxed.
pub struct Flow {
    pub key: FlowKey,
    pub first_packet: PacketNumber,
    pub first_sender: Side,
    pub start: Timestamp,
    /// Trace clock of the last packet.
    clock: Timestamp,
    pub volume: PerSide<Volume>,
    pub tcp: Option<Box<Tcp>>,
    /// From the second packet on.
    features: Option<Box<Features>>,
    /// Only where it is asked for.
    splt: Option<Box<Splt>>,
    /// What only the row asks for, and few flows have.
    aside: Option<Box<Aside>>,
    /// The largest step back of timestamps, in nanoseconds.
    pub back_step: i64,
    /// Whether one of the first payload packets was cut by the snap length.
    pub snapped: bool,
    /// TCP flags of the first packet.
    first_flags: TcpFlags,
}

/// What is rarely there and never asked for while packets come.
#[derive(Clone, Copy, Debug, Default)]
struct Aside {
    vlan: Option<u16>,
    tunnel: TunnelPath,
    icmp_error: Option<(IcmpError, Side)>,
}

/// What a packet brought to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether the payload goes to the reader of the stream: it may hold bytes not seen before.
    pub feeds_stream: bool,
}

impl Flow {
    pub fn new(packet: &Packet) -> Self {
        Self {
            key: packet.key,
            first_packet: packet.number,
            first_sender: packet.sender,
            start: packet.time,
            clock: clock_at(packet.time, packet.clock),
            volume: PerSide::default(),
            tcp: (packet.key.protocol == Protocol::TCP).then(Box::default),
            features: None,
            splt: None,
            aside: Aside::of(packet),
            back_step: 0,
            snapped: false,
            first_flags: features::flags(packet),
        }
    }

    /// Takes in the next packet of the flow.
    pub fn update(&mut self, packet: &Packet) -> Progress {
        let end = self.end();
        self.back_step = self.back_step.max((end - packet.time).0);
        if self.volume[self.first_sender].packets > 0 {
            self.clock = packet.clock;
            let first = self.first();
            let features = self.features.get_or_insert_with(|| Box::new(Features::of_first(first)));
            features.add(Glance::of(packet), &self.volume, self.start, end);
        }
        self.start = self.start.min(packet.time);
        let volume = &mut self.volume[packet.sender];
        if packet.payload.captured < packet.payload_bytes && volume.payload_packets < limits::SNAP_CHECKED_PACKETS {
            self.snapped = true;
        }
        volume.add(packet);
        match (&packet.body, &mut self.tcp) {
            (Body::Tcp(segment), Some(tcp)) => tcp.update(packet, segment),
            _ => Progress { feeds_stream: packet.payload_bytes > 0 },
        }
    }

    /// Takes in a copy of an earlier packet: it is counted, and tells nothing else.
    pub fn update_copy(&mut self, packet: &Packet, copied: Copied) {
        self.volume[packet.sender].add_copy(packet, copied);
    }

    /// Keeps the packet, if it has payload, for the sequence of the first ones.
    pub fn keep_for_splt(&mut self, packet: &Packet, most: usize) {
        if packet.payload_bytes > 0 && most > 0 {
            self.splt.get_or_insert_default().add(packet, most);
        }
    }

    /// The first packets with payload, as far as they were kept.
    pub fn splt(&self) -> &[SpltPacket] {
        self.splt.as_ref().map_or(&[], |splt| splt.packets())
    }

    /// Sizes, gaps, flags, bursts and pauses.
    pub fn features(&self) -> Cow<'_, Features> {
        self.features.as_deref().map_or_else(|| Cow::Owned(Features::of_first(self.first())), Cow::Borrowed)
    }

    /// The first packet, as long as it is the only one.
    fn first(&self) -> Glance {
        let payload = self.volume[self.first_sender].only_payload();
        Glance { sender: self.first_sender, time: self.start, payload, flags: self.first_flags }
    }

    /// Trace clock of the last packet.
    pub fn last_clock(&self) -> Timestamp {
        self.clock
    }

    /// The latest packet so far.
    pub fn end(&self) -> Timestamp {
        let seen = self.volume.0.iter().filter(|volume| volume.packets > 0);
        seen.map(|volume| volume.last).fold(self.start, Timestamp::max)
    }

    /// Remembers an ICMP error that quotes a packet which `sender` had sent; the first one stays.
    pub fn quoted(&mut self, error: IcmpError, sender: Side) {
        self.aside.get_or_insert_default().icmp_error.get_or_insert((error, sender));
    }

    /// The innermost VLAN of the first packet.
    pub fn vlan(&self) -> Option<u16> {
        self.aside.as_ref()?.vlan
    }

    /// The tunnels around the first packet.
    pub fn tunnel(&self) -> Option<TunnelPath> {
        self.aside.as_ref().map(|aside| aside.tunnel).filter(|path| !path.is_empty())
    }

    /// The first ICMP error that quoted a packet of this flow, and the side that had sent it.
    pub fn icmp_error(&self) -> Option<(IcmpError, Side)> {
        self.aside.as_ref()?.icmp_error
    }

    /// Why the flow ended, given what ended its life in the table.
    pub fn end_reason(&self, ended: Ended) -> EndReason {
        match &self.tcp {
            Some(tcp) if tcp.reset_seen() => EndReason::Rst,
            Some(tcp) if tcp.closed_by_both() => EndReason::Fin,
            _ => match ended {
                Ended::Timeout => EndReason::Timeout,
                Ended::CaptureEnd => EndReason::CaptureEnd,
                Ended::Reused => EndReason::Reused,
                Ended::Evicted => EndReason::Evicted,
            },
        }
    }

    /// Packets of both directions, copies included.
    pub fn packets(&self) -> u64 {
        self.volume.0.iter().map(|volume| volume.packets).sum()
    }

    /// The sequence number of the first packet; none of other transports.
    pub fn first_seq(&self) -> Option<SeqNumber> {
        self.tcp.as_ref()?.log.head().first().map(|record| record.seq)
    }

    /// Bytes kept in boxes beside the hot part.
    fn held(&self) -> usize {
        let tcp = self.tcp.as_ref().map_or(0, |tcp| size_of_val(&**tcp) + tcp.held());
        let features = self.features.as_ref().map_or(0, |features| size_of_val(&**features) + features.held());
        let splt = self.splt.as_ref().map_or(0, |splt| size_of_val(&**splt) + splt.held());
        tcp + features + splt + self.aside.as_ref().map_or(0, |aside| size_of_val(&**aside))
    }
}

/// The trace clock at the first packet of a flow. It follows a leap with the packet behind, since a lone one may be damaged: what came first shows where it
/// leapt to, and its flow is not older than that.
fn clock_at(time: Timestamp, clock: Timestamp) -> Timestamp {
    if time - clock > LEAP { time } else { clock }
}

impl Aside {
    fn of(packet: &Packet) -> Option<Box<Self>> {
        let (vlan, tunnel) = (packet.vlan, packet.tunnel);
        (vlan.is_some() || !tunnel.is_empty()).then(|| Box::new(Self { vlan, tunnel, icmp_error: None }))
    }
}

/// The hot part of a flow fits four cache lines.
const _: () = assert!(std::mem::size_of::<Flow>() <= 256);

#[cfg(test)]
mod tests;
