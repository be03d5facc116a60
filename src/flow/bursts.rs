//! Bursts: payload packets that one side sends in a row.
//!
//! A burst ends when the other side sends payload or after [`GAP`] without any. CICFlowMeter's bulks (`BasicFlow.updateForwardBulk`,
//! <https://github.com/ahlashkari/CICFlowMeter>) hold the same gap and begin with the fourth packet; a burst begins with the first.

use crate::model::{PerSide, Side, Span, Timestamp};

/// Silence that ends a burst (CICFlowMeter: "Too much idle time?" above 1.0 s).
const GAP: Span = Span::from_secs(1);

#[derive(Clone, Debug, Default)]
pub struct Bursts {
    sides: PerSide<BurstCounts>,
    /// The burst that goes on: who sends it, its last packet, and what it has.
    speaker: Option<Side>,
    last: Timestamp,
    packets: u32,
    bytes: u64,
}

/// The bursts of one side. All their packets and bytes are those with payload of the side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BurstCounts {
    pub count: u32,
    pub packets_max: u32,
    pub bytes_max: u64,
}

impl Bursts {
    pub(super) fn add(&mut self, sender: Side, time: Timestamp, payload: u32) {
        if payload == 0 {
            return;
        }
        let side = &mut self.sides[sender];
        if self.speaker == Some(sender) && time - self.last <= GAP {
            self.last = self.last.max(time);
        } else {
            side.count = side.count.saturating_add(1);
            (self.speaker, self.last, self.packets, self.bytes) = (Some(sender), time, 0, 0);
        }
        self.packets = self.packets.saturating_add(1);
        self.bytes += u64::from(payload);
        side.packets_max = side.packets_max.max(self.packets);
        side.bytes_max = side.bytes_max.max(self.bytes);
    }

    pub fn of(&self, side: Side) -> BurstCounts {
        self.sides[side]
    }
}
