//! Ranges of one side's sequence space that the capture has passed over.

use crate::model::{SeqNumber, Timestamp};

use crate::flow::limits;

/// The newest holes of a side: bytes that were skipped and may still come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holes {
    ranges: [Option<Hole>; limits::HOLES_MAX],
}

/// Bytes that have not come.
#[derive(Clone, Copy, Debug)]
struct Hole {
    start: SeqNumber,
    end: SeqNumber,
    /// When later bytes came first, or were acknowledged first.
    since: Timestamp,
    /// The peer has acknowledged them: it has them, the capture does not.
    acknowledged: bool,
}

/// What a segment brought of what was missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    pub bytes: u32,
    /// Of these, those that the peer had acknowledged already.
    pub acknowledged: u32,
    /// Since when the first of them was missing.
    pub since: Timestamp,
}

impl Holes {
    pub fn open(&mut self, start: SeqNumber, end: SeqNumber, since: Timestamp) {
        self.keep(Hole { start, end, since, acknowledged: false });
    }

    /// Bytes that the peer acknowledged although nothing behind them was seen either.
    pub fn open_acknowledged(&mut self, start: SeqNumber, end: SeqNumber, since: Timestamp) {
        self.keep(Hole { start, end, since, acknowledged: true });
    }

    /// What is acknowledged will hardly come any more: it makes room first, then the oldest.
    fn keep(&mut self, hole: Hole) {
        let place = self.ranges.iter_mut().min_by_key(|range| range.map(|range| (!range.acknowledged, range.since)));
        if let Some(place) = place {
            *place = Some(hole);
        }
    }

    /// Whether bytes are missing that the peer lacks as well, as far as is known.
    pub fn is_waiting(&self) -> bool {
        self.ranges.iter().flatten().any(|hole| !hole.acknowledged)
    }

    /// Takes `from..to` out of the holes.
    pub fn fill(&mut self, from: SeqNumber, to: SeqNumber) -> Filled {
        let mut filled = Filled::default();
        for index in 0..self.ranges.len() {
            let Some(hole) = self.ranges[index] else { continue };
            let (left, right) = (hole.start.max(from), if to.is_after(hole.end) { hole.end } else { to });
            if !right.is_after(left) {
                continue;
            }
            let bytes = right.offset_from(left) as u32;
            filled.since = if filled.bytes == 0 { hole.since } else { filled.since.min(hole.since) };
            filled.bytes += bytes;
            filled.acknowledged += if hole.acknowledged { bytes } else { 0 };
            self.ranges[index] = left.is_after(hole.start).then_some(Hole { end: left, ..hole });
            if hole.end.is_after(right) {
                self.keep(Hole { start: right, ..hole });
            }
        }
        filled
    }

    /// Marks what an acknowledgement covers although it was never seen; the bytes that are newly so.
    pub fn acknowledge(&mut self, ack: SeqNumber, time: Timestamp) -> u64 {
        self.mark(|hole| hole.start, ack, time)
    }

    /// The same for a block of SACK.
    pub fn acknowledge_block(&mut self, left: SeqNumber, right: SeqNumber, time: Timestamp) -> u64 {
        self.mark(|hole| hole.start.max(left), right, time)
    }

    fn mark(&mut self, from: impl Fn(&Hole) -> SeqNumber, to: SeqNumber, time: Timestamp) -> u64 {
        let mut unseen = 0;
        for index in 0..self.ranges.len() {
            let Some(hole) = self.ranges[index].filter(|hole| !hole.acknowledged) else { continue };
            let (left, right) = (from(&hole), if to.is_after(hole.end) { hole.end } else { to });
            if !right.is_after(left) {
                continue;
            }
            unseen += right.offset_from(left) as u64;
            self.ranges[index] = Some(Hole { start: left, end: right, since: time, acknowledged: true });
            if left.is_after(hole.start) {
                self.keep(Hole { end: left, ..hole });
            }
            if hole.end.is_after(right) {
                self.keep(Hole { start: right, ..hole });
            }
        }
        unseen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seq(number: u32) -> SeqNumber {
        SeqNumber(number)
    }

    #[test]
    fn a_block_marks_the_middle_of_a_hole_once() {
        let mut holes = Holes::default();
        holes.open(seq(100), seq(200), Timestamp(7));
        assert_eq!(holes.acknowledge_block(seq(120), seq(150), Timestamp(8)), 30);
        assert_eq!(holes.acknowledge_block(seq(120), seq(160), Timestamp(9)), 10, "the rest is known");
        assert_eq!(holes.acknowledge(seq(200), Timestamp(9)), 60, "what lay before and behind it");
        assert_eq!(holes.fill(seq(100), seq(200)), Filled { bytes: 100, acknowledged: 100, since: Timestamp(8) });
    }

    #[test]
    fn a_hole_is_filled_from_any_side_and_in_the_middle() {
        let mut holes = Holes::default();
        holes.open(seq(100), seq(200), Timestamp(7));
        assert_eq!(holes.fill(seq(140), seq(150)), Filled { bytes: 10, acknowledged: 0, since: Timestamp(7) });
        assert_eq!(holes.fill(seq(90), seq(110)).bytes, 10);
        assert_eq!(holes.fill(seq(100), seq(300)).bytes, 80, "what is left of it");
        assert_eq!(holes.fill(seq(100), seq(300)), Filled::default());
    }

    #[test]
    fn an_acknowledgement_splits_what_is_owed_from_what_is_lost_to_the_capture() {
        let mut holes = Holes::default();
        holes.open(seq(u32::MAX - 9), seq(10), Timestamp(1));
        assert_eq!(holes.acknowledge(seq(0), Timestamp(5)), 10);
        assert_eq!(holes.acknowledge(seq(0), Timestamp(6)), 0, "once only");
        assert_eq!(holes.fill(seq(u32::MAX - 9), seq(10)), Filled { bytes: 20, acknowledged: 10, since: Timestamp(1) });
    }

    #[test]
    fn what_is_acknowledged_makes_room_first() {
        let mut holes = Holes::default();
        for index in 0..limits::HOLES_MAX as u32 {
            holes.open(seq(index * 100), seq(index * 100 + 50), Timestamp(i64::from(index)));
        }
        holes.acknowledge(seq(350), Timestamp(100));
        holes.open(seq(5_000), seq(5_050), Timestamp(101));
        assert_eq!(holes.fill(seq(400), seq(450)).bytes, 50, "still owed, so still known");
        assert_eq!(holes.fill(seq(5_000), seq(5_050)).bytes, 50);
    }
}
