//! How many values fell into which bin: quartiles of any number of values in fixed memory.
//!
//! Bins are as wide as one sixteenth of the power of two that they lie in, as in HdrHistogram (<https://hdrhistogram.github.io/HdrHistogram/>): below 32
//! every number has its own, above that the middle of a bin is at most 1/32, 3.125 %, away from any number in it. The bins are fixed, so that neither
//! the order of the values nor what came between them changes the result.

/// Parts of a power of two.
const PARTS: u32 = 16;
const PARTS_BITS: u32 = PARTS.ilog2();

/// Counts by bin; with [`bins`] of a number of bits, numbers that need more bits count as the largest.
#[derive(Clone, Debug)]
pub struct Sketch<const BINS: usize> {
    counts: [u32; BINS],
    total: u64,
}

/// Bins for numbers of so many bits.
pub const fn bins(bits: u32) -> usize {
    ((bits - PARTS_BITS + 1) * PARTS) as usize
}

impl<const BINS: usize> Default for Sketch<BINS> {
    fn default() -> Self {
        Self { counts: [0; BINS], total: 0 }
    }
}

impl<const BINS: usize> Sketch<BINS> {
    pub(super) fn add(&mut self, value: u64) {
        if let Some(count) = self.counts.get_mut(bin_of(value).min(BINS - 1)) {
            *count = count.saturating_add(1);
            self.total += 1;
        }
    }

    /// Values that were added.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// About the value of a rank from 0: the middle of its bin.
    pub(super) fn at(&self, rank: u64) -> f64 {
        let mut passed = 0;
        let bin = self.counts.iter().position(|&count| {
            passed += u64::from(count);
            passed > rank
        });
        middle_of(bin.unwrap_or(BINS - 1))
    }
}

/// Sixteen bins for each power of two; those below 16 are the numbers themselves.
fn bin_of(value: u64) -> usize {
    let shift = (value | u64::from(PARTS)).ilog2() - PARTS_BITS;
    (shift * PARTS) as usize + (value >> shift) as usize
}

fn middle_of(bin: usize) -> f64 {
    let shift = (bin / PARTS as usize).saturating_sub(1);
    let first = ((bin - shift * PARTS as usize) as u64) << shift;
    let last = first + ((1 << shift) - 1);
    (first + last) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::spread::quartiles;
    use super::*;

    const BITS: u32 = 44;
    type Wide = Sketch<{ bins(BITS) }>;

    fn sketch_of(values: &[u64]) -> Wide {
        let mut sketch = Wide::default();
        values.iter().for_each(|&value| sketch.add(value));
        sketch
    }

    #[test]
    fn small_numbers_keep_their_value() {
        for value in 0..32 {
            assert_eq!(sketch_of(&[value]).at(0), value as f64);
        }
    }

    #[test]
    fn bins_stand_in_the_order_of_their_numbers_and_leave_none_out() {
        let mut last = 0;
        for value in 1..100_000 {
            let bin = bin_of(value);
            assert!(bin == last || bin == last + 1, "{value} falls into bin {bin} behind {last}");
            last = bin;
        }
        assert_eq!(bin_of((1 << BITS) - 1), bins(BITS) - 1, "the largest number has the last bin");
    }

    #[test]
    fn what_does_not_fit_counts_as_the_largest() {
        let sketch = sketch_of(&[1, u64::MAX]);
        assert_eq!(sketch.at(0), 1.0);
        assert!(sketch.at(1) > 0.96 * f64::from(BITS).exp2(), "{}", sketch.at(1));
    }

    /// Numbers of any size, each size as often as another.
    fn any_size() -> impl Strategy<Value = u64> {
        (0..BITS, any::<u64>()).prop_map(|(bits, value)| value % (1 << (bits + 1)).min((1_u64 << BITS) - 1))
    }

    proptest! {
        /// Whatever the values: each quartile is within 3.2 % of the exact one.
        #[test]
        fn quartiles_are_within_the_bound(values in prop::collection::vec(any_size(), 1..2_000)) {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let sketch = sketch_of(&values);
            let about = quartiles(sketch.total(), |rank| sketch.at(rank));
            let exact = quartiles(sorted.len() as u64, |rank| sorted[rank as usize] as f64);
            for (about, exact) in about.into_iter().zip(exact) {
                prop_assert!((about - exact).abs() <= 0.032 * exact, "{} for {}", about, exact);
            }
        }

        #[test]
        fn the_order_of_values_changes_nothing(values in prop::collection::vec(any_size(), 1..200), at in any::<prop::sample::Index>()) {
            let mut turned = values.clone();
            turned.rotate_left(at.index(values.len()));
            prop_assert_eq!(sketch_of(&values).counts, sketch_of(&turned).counts);
        }
    }
}
