//! Exact tests, intervals and corrections over small counts.

use statrs::distribution::{ContinuousCDF, Discrete, Hypergeometric, Normal};

/// The quantile of the normal distribution for a two-sided 95 % interval.
const Z: f64 = 1.959_963_984_540_054;
/// Beyond so many strata that tell something the exact distribution costs more than it adds: the normal approximation of Cochran, Mantel and Haenszel is
/// taken.
const STRATA_EXACT: usize = 1_000;

/// Successes and failures of a target beside those of its controls, under the same conditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stratum {
    pub buckets: u32,
    pub failures: u32,
    pub control_buckets: u32,
    pub control_failures: u32,
}

impl Stratum {
    /// Whether both sides were seen, and did not all fare alike.
    fn tells(&self) -> bool {
        let failures = self.failures + self.control_failures;
        self.buckets > 0 && self.control_buckets > 0 && failures > 0 && failures < self.buckets + self.control_buckets
    }

    /// The logarithm of the likelihood of both sides at their own rates.
    fn likelihood(&self) -> f64 {
        let at_own_rate = |failures: u32, buckets: u32| {
            let part = |count: u32| if count == 0 { 0.0 } else { f64::from(count) * (f64::from(count) / f64::from(buckets)).ln() };
            part(failures) + part(buckets - failures)
        };
        at_own_rate(self.failures, self.buckets) + at_own_rate(self.control_failures, self.control_buckets)
    }

    fn hypergeometric(&self) -> Option<Hypergeometric> {
        let all = u64::from(self.buckets + self.control_buckets);
        Hypergeometric::new(all, u64::from(self.failures + self.control_failures), u64::from(self.buckets)).ok()
    }

    /// How likely each number of failures of the target is if it fails as its controls do, from the smallest possible on.
    fn distribution(&self) -> (usize, Vec<f64>) {
        let Some(distribution) = self.hypergeometric() else { return (0, vec![1.0]) };
        let failures = self.failures + self.control_failures;
        let low = failures.saturating_sub(self.control_buckets);
        let high = failures.min(self.buckets);
        (low as usize, (low..=high).map(|count| distribution.pmf(u64::from(count))).collect())
    }
}

pub fn total(strata: &[Stratum]) -> Stratum {
    strata.iter().fold(Stratum::default(), |sum, one| Stratum {
        buckets: sum.buckets + one.buckets,
        failures: sum.failures + one.failures,
        control_buckets: sum.control_buckets + one.control_buckets,
        control_failures: sum.control_failures + one.control_failures,
    })
}

/// Probability of as many failures of the target or more, if it fails as its controls do: Fisher's exact test, one-sided, conditional on the margins of every
/// stratum (Mehta, Patel, Gray, JASA 1985).
pub fn exact_p(strata: &[Stratum]) -> f64 {
    let telling: Vec<&Stratum> = strata.iter().filter(|stratum| stratum.tells()).collect();
    if telling.len() > STRATA_EXACT {
        return normal_p(&telling);
    }
    let observed: usize = telling.iter().map(|stratum| stratum.failures as usize).sum();
    let (mut low, mut all) = (0, vec![1.0]);
    for stratum in telling {
        let (lowest, one) = stratum.distribution();
        low += lowest;
        all = convolved(&all, &one);
    }
    all.iter().skip(observed - low).sum::<f64>().min(1.0)
}

fn convolved(one: &[f64], other: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; one.len() + other.len() - 1];
    for (place, probability) in one.iter().enumerate() {
        other.iter().enumerate().for_each(|(further, also)| sums[place + further] += probability * also);
    }
    sums
}

/// Cochran, Mantel and Haenszel, with continuity correction.
fn normal_p(strata: &[&Stratum]) -> f64 {
    let (mut excess, mut variance) = (0.0, 0.0);
    for stratum in strata {
        let (own, control) = (f64::from(stratum.buckets), f64::from(stratum.control_buckets));
        let (all, failures) = (own + control, f64::from(stratum.failures + stratum.control_failures));
        excess += f64::from(stratum.failures) - own * failures / all;
        variance += own * control * failures * (all - failures) / (all * all * (all - 1.0));
    }
    Normal::standard().sf((excess - 0.5) / variance.sqrt())
}

/// The 95 % interval of a share (Wilson 1927).
pub fn wilson(successes: u64, tries: u64) -> Option<(f64, f64)> {
    if tries == 0 {
        return None;
    }
    let (tries, share) = (tries as f64, successes as f64 / tries as f64);
    let scale = 1.0 + Z * Z / tries;
    let middle = share + Z * Z / (2.0 * tries);
    let half = Z * (share * (1.0 - share) / tries + Z * Z / (4.0 * tries * tries)).sqrt();
    Some((((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0)))
}

/// The difference of two shares with its 95 % interval (Newcombe 1998, method 10).
pub fn risk_difference(sum: Stratum) -> Option<(f64, f64, f64)> {
    let (low, high) = wilson(sum.failures.into(), sum.buckets.into())?;
    let (control_low, control_high) = wilson(sum.control_failures.into(), sum.control_buckets.into())?;
    let (share, control) = (f64::from(sum.failures) / f64::from(sum.buckets), f64::from(sum.control_failures) / f64::from(sum.control_buckets));
    let difference = share - control;
    let below = ((share - low).powi(2) + (control_high - control).powi(2)).sqrt();
    let above = ((high - share).powi(2) + (control - control_low).powi(2)).sqrt();
    Some((difference, difference - below, difference + above))
}

/// The q-value of each p-value: the share of false discoveries if all that are as small are believed (Benjamini, Hochberg 1995).
pub fn q_values(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&one, &other| p_values[one].total_cmp(&p_values[other]));
    let mut q_values = vec![1.0; p_values.len()];
    let mut smallest: f64 = 1.0;
    for (rank, &place) in order.iter().enumerate().rev() {
        smallest = smallest.min(p_values[place] * p_values.len() as f64 / (rank + 1) as f64);
        q_values[place] = smallest;
    }
    q_values
}

/// Where a series of buckets changes most, and how likely a change as large is by chance: Fisher's exact test where the likelihood is
/// largest, either way, times the number of places (Bonferroni). The place is that of the first bucket behind the change.
pub fn change_point(failed: &[bool]) -> Option<(usize, Stratum, f64)> {
    let all = failed.len();
    let failures = failed.iter().filter(|failed| **failed).count();
    let mut before = 0;
    let split = |place: usize, before: usize| Stratum {
        buckets: (all - place) as u32,
        failures: (failures - before) as u32,
        control_buckets: place as u32,
        control_failures: before as u32,
    };
    let splits = (1..all).map(|place| {
        before += usize::from(failed[place - 1]);
        (place, split(place, before))
    });
    let (place, best) = splits.max_by(|(_, one), (_, other)| one.likelihood().total_cmp(&other.likelihood()))?;
    let rises = u64::from(best.failures) * u64::from(best.control_buckets) >= u64::from(best.control_failures) * u64::from(best.buckets);
    let p = exact_p(&[if rises { best } else { mirrored(best) }]);
    Some((place, best, (2.0 * p * (all - 1) as f64).min(1.0)))
}

/// The same table with the sides changed.
fn mirrored(Stratum { buckets, failures, control_buckets, control_failures }: Stratum) -> Stratum {
    Stratum { buckets: control_buckets, failures: control_failures, control_buckets: buckets, control_failures: failures }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stratum(failures: u32, buckets: u32, control_failures: u32, control_buckets: u32) -> Stratum {
        Stratum { buckets, failures, control_buckets, control_failures }
    }

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-4
    }

    #[test]
    fn one_stratum_is_fishers_test() {
        // Fisher's tea: three of four cups, one of four.
        assert!(close(exact_p(&[stratum(3, 4, 1, 4)]), 17.0 / 70.0));
        assert!(close(exact_p(&[stratum(5, 5, 0, 5)]), 1.0 / 252.0));
    }

    #[test]
    fn strata_are_convolved_and_those_without_contrast_say_nothing() {
        let two = [stratum(2, 2, 0, 2), stratum(1, 1, 0, 2)];
        assert!(close(exact_p(&two), 1.0 / 6.0 / 3.0));
        let idle = [stratum(0, 9, 0, 9), stratum(4, 4, 9, 9), stratum(3, 3, 0, 0)];
        assert!(close(exact_p(&[two.as_slice(), &idle].concat()), exact_p(&two)));
        assert!(close(exact_p(&idle), 1.0));
    }

    #[test]
    fn a_difference_between_strata_is_no_difference_between_names() {
        // In the second stratum everything fails (an outage), and only there the target was tried often: pooled it would look blocked.
        let strata = [stratum(0, 1, 0, 20), stratum(9, 10, 2, 2)];
        assert!(exact_p(&[total(&strata)]) < 1e-3 && exact_p(&strata) > 0.5);
    }

    #[test]
    fn many_strata_are_approximated_closely() {
        let some: Vec<Stratum> = (0..STRATA_EXACT as u32).map(|place| stratum(u32::from(place % 3 == 0), 1, u32::from(place % 4 == 0), 1)).collect();
        let telling: Vec<&Stratum> = some.iter().filter(|stratum| stratum.tells()).collect();
        assert!((exact_p(&some) - normal_p(&telling)).abs() < 0.001);
    }

    #[test]
    fn intervals_are_those_of_the_papers() {
        // Newcombe 1998 (Statistics in Medicine 17, pages 857 and 873): 81 of 263; 56 of 70 against 48 of 80.
        let (low, high) = wilson(81, 263).expect("tries");
        assert!(close(low, 0.2553) && close(high, 0.3662), "{low} {high}");
        let (difference, low, high) = risk_difference(stratum(56, 70, 48, 80)).expect("tries");
        assert!(close(difference, 0.2) && close(low, 0.0524) && close(high, 0.3339), "{low} {high}");
        assert_eq!((wilson(0, 0), risk_difference(stratum(1, 1, 0, 0))), (None, None));
    }

    #[test]
    fn q_values_are_those_of_benjamini_and_hochberg() {
        let q = q_values(&[0.005, 0.5, 0.01, 0.04]);
        assert!(close(q[0], 0.02) && close(q[2], 0.02) && close(q[3], 0.04 * 4.0 / 3.0) && close(q[1], 0.5), "{q:?}");
        assert!(q_values(&[]).is_empty());
    }

    #[test]
    fn a_change_is_found_where_it_is() {
        let series: Vec<bool> = (0..24).map(|place| place >= 9).collect();
        let (place, split, p) = change_point(&series).expect("a series");
        assert_eq!((place, split.failures, split.control_failures), (9, 15, 0));
        assert!(p < 1e-4);
        let (place, _, p) = change_point(&series.iter().map(|failed| !failed).collect::<Vec<_>>()).expect("a series");
        assert!(place == 9 && p < 1e-4, "an end of a block is a change as well");
        let steady: Vec<bool> = (0..24).map(|place| place % 3 == 0).collect();
        assert!(change_point(&steady).expect("a series").2 > 0.5);
        assert_eq!(change_point(&[true]), None);
    }

    proptest! {
        #[test]
        fn probabilities_stay_probabilities(counts in proptest::collection::vec((0u32..6, 0u32..6, 0u32..6, 0u32..6), 0..8)) {
            let strata: Vec<Stratum> = counts.into_iter().map(|(a, b, c, d)| stratum(a, a + b, c, c + d)).collect();
            let p = exact_p(&strata);
            prop_assert!((0.0..=1.0).contains(&p));
            let sum = total(&strata);
            if let Some((difference, low, high)) = risk_difference(sum) {
                prop_assert!(low <= difference && difference <= high);
            }
        }

        #[test]
        fn more_failures_are_less_likely(failures in 0u32..9, control in 0u32..9) {
            prop_assert!(exact_p(&[stratum(failures, 9, control, 9)]) >= exact_p(&[stratum(failures + 1, 9, control, 9)]) - 1e-12);
        }
    }
}
