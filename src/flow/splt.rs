//! Sequence of packet lengths and times: the first packets of a flow that carry payload.

use crate::model::{Side, Timestamp};
use crate::packet::Packet;

/// In trace order, whoever sent them.
#[derive(Debug, Default)]
pub struct Splt(Vec<SpltPacket>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpltPacket {
    pub time: Timestamp,
    pub sender: Side,
    pub payload: u32,
}

impl Splt {
    /// Takes in a packet where fewer than so many are there.
    pub(super) fn add(&mut self, packet: &Packet, most: usize) {
        if self.0.len() < most {
            self.0.push(SpltPacket { time: packet.time, sender: packet.sender, payload: packet.payload_bytes });
        }
    }

    /// Bytes kept.
    pub(super) fn held(&self) -> usize {
        self.0.capacity() * size_of::<SpltPacket>()
    }

    pub fn packets(&self) -> &[SpltPacket] {
        &self.0
    }
}
