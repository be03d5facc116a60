//! Size and gap of every packet of a direction: as they are while there are few, as a sketch beyond.

use crate::model::{PerSide, Side};

use super::sketch::{Sketch, bins};
use super::spread::{Distribution, Sums, quartiles};

/// Packets of a direction of which each is kept (by design: beyond that a list would soon need more memory than the sketch, and few flows are longer).
const EXACT_PACKETS: u64 = 256;

/// Bits of a gap in nanoseconds: 4.8 hours, more than any silence that a flow outlives by default, unless the clock of the capture was set.
const GAP_BITS: u32 = 44;
/// Bits of a payload: 512 kB, more than any packet but a jumbogram (RFC 2675). One bit is left, for the side.
const PAYLOAD_BITS: u32 = u64::BITS - GAP_BITS - 1;
/// The first room of a list: two cache lines, enough for most flows.
const ROOM: usize = 16;

/// What was measured of both sides. One list holds both, so that a packet touches one cache line, and a short flow costs one allocation.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// In trace order; the first of a side has no gap.
    each: Vec<Sample>,
    /// Of a side with more packets: none of it is in the list any more.
    many: PerSide<Option<Box<Many>>>,
}

/// Side, payload bytes and the gap in nanoseconds, in eight bytes.
#[derive(Clone, Copy, Debug)]
struct Sample(u64);

/// What is kept of more packets than can be kept each.
#[derive(Clone, Debug, Default)]
struct Many {
    payloads: Sums,
    gaps: Sums,
    payload_sketch: Sketch<{ bins(PAYLOAD_BITS) }>,
    gap_sketch: Sketch<{ bins(GAP_BITS) }>,
}

impl Samples {
    /// Takes in the next packet of a side that sent so many before; only its first has no gap.
    pub(super) fn add(&mut self, side: Side, before: u64, payload: u32, gap: Option<u64>) {
        if let Some(many) = &mut self.many[side] {
            return many.add(payload, gap);
        }
        match Sample::new(side, payload, gap.unwrap_or(0)) {
            Some(sample) if before < EXACT_PACKETS => self.push(sample),
            _ => self.count_from_now_on(side).add(payload, gap),
        }
    }

    /// Bytes kept.
    pub(super) fn held(&self) -> usize {
        self.each.capacity() * size_of::<Sample>() + self.many.0.iter().flatten().count() * size_of::<Many>()
    }

    fn push(&mut self, sample: Sample) {
        if self.each.capacity() == 0 {
            self.each.reserve_exact(ROOM);
        }
        self.each.push(sample);
    }

    /// Moves a side from the list to its sketch.
    fn count_from_now_on(&mut self, side: Side) -> &mut Many {
        let many = Box::new(Many::of(self.of(side)));
        self.each.retain(|sample| sample.side() != side);
        if self.each.is_empty() {
            self.each = Vec::new();
        }
        self.many[side].insert(many)
    }

    fn of(&self, side: Side) -> impl Iterator<Item = Sample> {
        self.each.iter().copied().filter(move |sample| sample.side() == side)
    }

    /// Payload bytes of the packets that carry any.
    pub(super) fn payloads(&self, side: Side) -> Option<Distribution> {
        match &self.many[side] {
            Some(many) => about(&many.payloads, &many.payload_sketch),
            None => Distribution::of(self.of(side).map(Sample::payload).filter(|&payload| payload > 0).collect()),
        }
    }

    /// Nanoseconds between packets.
    pub(super) fn gaps(&self, side: Side) -> Option<Distribution> {
        match &self.many[side] {
            Some(many) => about(&many.gaps, &many.gap_sketch),
            None => Distribution::of(self.of(side).skip(1).map(Sample::gap).collect()),
        }
    }
}

impl Sample {
    /// None where a number is too large.
    fn new(side: Side, payload: u32, gap: u64) -> Option<Self> {
        let fits = gap >> GAP_BITS == 0 && payload >> PAYLOAD_BITS == 0;
        fits.then(|| Self((side as u64) << (GAP_BITS + PAYLOAD_BITS) | u64::from(payload) << GAP_BITS | gap))
    }

    fn side(self) -> Side {
        if self.0 >> (GAP_BITS + PAYLOAD_BITS) == Side::Low as u64 { Side::Low } else { Side::High }
    }

    fn payload(self) -> u64 {
        self.0 >> GAP_BITS & ((1 << PAYLOAD_BITS) - 1)
    }

    fn gap(self) -> u64 {
        self.0 & ((1 << GAP_BITS) - 1)
    }
}

impl Many {
    fn of(each: impl Iterator<Item = Sample>) -> Self {
        let mut many = Self::default();
        for (index, sample) in each.enumerate() {
            many.add(sample.payload() as u32, (index > 0).then(|| sample.gap()));
        }
        many
    }

    fn add(&mut self, payload: u32, gap: Option<u64>) {
        if payload > 0 {
            self.payloads.add(payload.into());
            self.payload_sketch.add(payload.into());
        }
        if let Some(gap) = gap {
            self.gaps.add(gap);
            self.gap_sketch.add(gap);
        }
    }
}

/// Exact but for the quartiles.
fn about<const BINS: usize>(sums: &Sums, sketch: &Sketch<BINS>) -> Option<Distribution> {
    let spread = sums.spread()?;
    Some(Distribution { spread, quartiles: quartiles(sketch.total(), |rank| sketch.at(rank)) })
}

/// The sketch is no larger than a page of memory.
const _: () = assert!(std::mem::size_of::<Many>() <= 4_096);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIDE: Side = Side::High;

    /// Packets of one side, after and before those of the other that are so many.
    fn samples(packets: &[(u32, u64)], others: u64) -> Samples {
        let mut samples = Samples::default();
        (0..others).for_each(|before| samples.add(Side::Low, before, 7, (before > 0).then_some(70)));
        for (before, &(payload, gap)) in (0..).zip(packets) {
            samples.add(SIDE, before, payload, (before > 0).then_some(gap));
        }
        (others..2 * others).for_each(|before| samples.add(Side::Low, before, 7, (before > 0).then_some(70)));
        samples
    }

    #[test]
    fn packets_without_payload_have_gaps_and_no_size() {
        let samples = samples(&[(0, 0), (100, 5), (0, 7), (300, 9)], 3);
        let (payloads, gaps) = (samples.payloads(SIDE).expect("two"), samples.gaps(SIDE).expect("three"));
        assert_eq!((payloads.spread.mean, payloads.quartiles), (200.0, [150.0, 200.0, 250.0]));
        assert_eq!((gaps.spread.mean, gaps.quartiles), (7.0, [6.0, 7.0, 8.0]));
    }

    #[test]
    fn quartiles_are_exact_up_to_256_packets() {
        let packets: Vec<(u32, u64)> = (0..256).map(|at| (1_000 + at, 1_000_003 * u64::from(at))).collect();
        let exact = samples(&packets, 10);
        assert!(exact.many.0.iter().all(Option::is_none));
        assert_eq!(exact.payloads(SIDE).expect("sizes").quartiles, [1_063.75, 1_127.5, 1_191.25]);
        let more = samples(&[packets, vec![(1_256, 256_000_768)]].concat(), 10);
        assert!(more.many[SIDE].is_some() && more.many[SIDE.opposite()].is_none());
        assert_eq!(more.payloads(SIDE.opposite()).expect("others").quartiles, [7.0; 3], "the other side stays exact");
        assert_eq!((more.gaps(SIDE).expect("256").spread.max, more.each.len()), (256_000_768.0, 20));
    }

    #[test]
    fn two_long_directions_free_the_list() {
        let long = samples(&[(100, 5); 300], 200);
        assert_eq!((long.each.capacity(), long.many.0.iter().flatten().count()), (0, 2));
        let spread = |side| long.gaps(side).map(|gaps| (gaps.spread.mean, gaps.quartiles[1]));
        assert_eq!((spread(SIDE), spread(Side::Low)), (Some((5.0, 5.0)), Some((70.0, 69.5))), "70 shares a bin with 68 to 71");
    }

    #[test]
    fn a_number_that_is_too_large_to_pack_is_still_exact_in_all_but_the_quartiles() {
        for (payload, gap) in [(1 << 19, 10), (10, 1 << 44), (u32::MAX, i64::MAX as u64)] {
            let samples = samples(&[(10, 0), (10, 10), (payload, gap)], 5);
            let (payloads, gaps) = (samples.payloads(SIDE).expect("three"), samples.gaps(SIDE).expect("two"));
            assert_eq!((payloads.spread.min, payloads.spread.max), (10.0, f64::from(payload)));
            assert_eq!((gaps.spread.min, gaps.spread.max), (10.0, gap as f64));
        }
    }

    proptest! {
        /// However many packets: mean, standard deviation and extremes are those of the values, the quartiles within 3.2 % of theirs.
        #[test]
        fn a_sketch_tells_what_a_list_tells(packets in prop::collection::vec((0_u32..70_000, 0_u64..1 << 44), 2..700), others in 0_u64..300) {
            let found = samples(&packets, others);
            let payloads: Vec<u64> = packets.iter().map(|packet| packet.0.into()).filter(|&payload| payload > 0).collect();
            let gaps: Vec<u64> = packets[1..].iter().map(|packet| packet.1).collect();
            for (found, values) in [(found.payloads(SIDE), payloads), (found.gaps(SIDE), gaps)] {
                let exact = Distribution::of(values);
                prop_assert_eq!(found.map(|found| found.spread), exact.map(|exact| exact.spread));
                let (found, exact) = (found.map_or([0.0; 3], |found| found.quartiles), exact.map_or([0.0; 3], |exact| exact.quartiles));
                let bound = if packets.len() as u64 <= EXACT_PACKETS { 0.0 } else { 0.032 };
                for (found, exact) in found.into_iter().zip(exact) {
                    prop_assert!((found - exact).abs() <= bound * exact, "{} for {}", found, exact);
                }
            }
        }
    }
}
