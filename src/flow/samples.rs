//! Size and gap of every packet of one direction: as they are while there are few, as a sketch beyond.

use super::sketch::{Sketch, bins};
use super::spread::{Distribution, Sums, quartiles};

/// Packets of which each is kept (by design: beyond that a list would need more memory than the sketch, and few flows are longer).
pub const EXACT_PACKETS: usize = 256;

/// Bits of a gap in nanoseconds: 4.8 hours, more than any silence that a flow outlives by default.
const GAP_BITS: u32 = 44;
/// Bits of a payload: any but that of a jumbogram (RFC 2675).
const PAYLOAD_BITS: u32 = u64::BITS - GAP_BITS;

/// What was measured of one direction.
#[derive(Clone, Debug)]
pub enum Samples {
    /// In the order of the packets: the first has no gap.
    Each(Vec<Sample>),
    Many(Box<Many>),
}

/// Payload bytes and the gap in nanoseconds, in eight bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sample(u64);

/// What is kept of more packets than can be kept each.
#[derive(Clone, Debug, Default)]
pub struct Many {
    payloads: Sums,
    gaps: Sums,
    payload_sketch: Sketch<{ bins(PAYLOAD_BITS) }>,
    gap_sketch: Sketch<{ bins(GAP_BITS) }>,
}

impl Default for Samples {
    fn default() -> Self {
        Self::Each(Vec::new())
    }
}

impl Samples {
    /// Takes in the next packet; only the first has no gap.
    pub(super) fn add(&mut self, payload: u32, gap: Option<u64>) {
        if let Self::Each(each) = self {
            match Sample::new(payload, gap.unwrap_or(0)) {
                Some(sample) if each.len() < EXACT_PACKETS => return each.push(sample),
                _ => *self = Self::Many(Box::new(Many::of(each))),
            }
        }
        if let Self::Many(many) = self {
            many.add(payload, gap);
        }
    }

    /// Bytes kept.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Each(each) => each.capacity() * size_of::<Sample>(),
            Self::Many(_) => size_of::<Many>(),
        }
    }

    /// Payload bytes of the packets that carry any.
    pub(super) fn payloads(&self) -> Option<Distribution> {
        match self {
            Self::Each(each) => Distribution::of(each.iter().map(|sample| sample.payload()).filter(|&payload| payload > 0).collect()),
            Self::Many(many) => about(&many.payloads, &many.payload_sketch),
        }
    }

    /// Nanoseconds between packets.
    pub(super) fn gaps(&self) -> Option<Distribution> {
        match self {
            Self::Each(each) => Distribution::of(each.iter().skip(1).map(|sample| sample.gap()).collect()),
            Self::Many(many) => about(&many.gaps, &many.gap_sketch),
        }
    }
}

impl Sample {
    /// None where a number is too large.
    fn new(payload: u32, gap: u64) -> Option<Self> {
        let fits = gap >> GAP_BITS == 0 && u64::from(payload) >> PAYLOAD_BITS == 0;
        fits.then(|| Self(u64::from(payload) << GAP_BITS | gap))
    }

    fn payload(self) -> u64 {
        self.0 >> GAP_BITS
    }

    fn gap(self) -> u64 {
        self.0 & ((1 << GAP_BITS) - 1)
    }
}

impl Many {
    fn of(each: &[Sample]) -> Self {
        let mut many = Self::default();
        for (index, sample) in each.iter().enumerate() {
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

    fn samples(packets: &[(u32, u64)]) -> Samples {
        let mut samples = Samples::default();
        for (index, &(payload, gap)) in packets.iter().enumerate() {
            samples.add(payload, (index > 0).then_some(gap));
        }
        samples
    }

    #[test]
    fn packets_without_payload_have_gaps_and_no_size() {
        let samples = samples(&[(0, 0), (100, 5), (0, 7), (300, 9)]);
        let (payloads, gaps) = (samples.payloads().expect("two"), samples.gaps().expect("three"));
        assert_eq!((payloads.spread.mean, payloads.quartiles), (200.0, [150.0, 200.0, 250.0]));
        assert_eq!((gaps.spread.mean, gaps.quartiles), (7.0, [6.0, 7.0, 8.0]));
    }

    #[test]
    fn quartiles_are_exact_up_to_256_packets() {
        let packets: Vec<(u32, u64)> = (0..256).map(|at| (1_000 + at, 1_000_003 * u64::from(at))).collect();
        let exact = samples(&packets);
        assert!(matches!(exact, Samples::Each(_)));
        assert_eq!(exact.payloads().expect("sizes").quartiles, [1_063.75, 1_127.5, 1_191.25]);
        let more = samples(&[packets, vec![(1_256, 256_000_768)]].concat());
        assert!(matches!(more, Samples::Many(_)));
    }

    #[test]
    fn a_number_that_is_too_large_to_pack_is_still_exact_in_all_but_the_quartiles() {
        for (payload, gap) in [(1 << 20, 10), (10, 1 << 50), (u32::MAX, i64::MAX as u64)] {
            let samples = samples(&[(10, 0), (10, 10), (payload, gap)]);
            let (payloads, gaps) = (samples.payloads().expect("three"), samples.gaps().expect("two"));
            assert_eq!((payloads.spread.min, payloads.spread.max), (10.0, f64::from(payload)));
            assert_eq!((gaps.spread.min, gaps.spread.max), (10.0, gap as f64));
        }
    }

    proptest! {
        /// However many packets: mean, standard deviation and extremes are those of the values, the quartiles within 3.2 % of theirs.
        #[test]
        fn a_sketch_tells_what_a_list_tells(packets in prop::collection::vec((0_u32..70_000, 0_u64..1 << 44), 2..700)) {
            let found = samples(&packets);
            let payloads: Vec<u64> = packets.iter().map(|packet| packet.0.into()).filter(|&payload| payload > 0).collect();
            let gaps: Vec<u64> = packets[1..].iter().map(|packet| packet.1).collect();
            for (found, values) in [(found.payloads(), payloads), (found.gaps(), gaps)] {
                let exact = Distribution::of(values);
                prop_assert_eq!(found.map(|found| found.spread), exact.map(|exact| exact.spread));
                let (found, exact) = (found.map_or([0.0; 3], |found| found.quartiles), exact.map_or([0.0; 3], |exact| exact.quartiles));
                let bound = if packets.len() <= EXACT_PACKETS { 0.0 } else { 0.032 };
                for (found, exact) in found.into_iter().zip(exact) {
                    prop_assert!((found - exact).abs() <= bound * exact, "{} for {}", found, exact);
                }
            }
        }
    }
}
