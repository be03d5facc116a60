//! Mean, standard deviation, extremes and quartiles of whole numbers: sums are exact, so that no order of the values and no size of them changes a figure.

/// Sums over values, from which their spread follows.
#[derive(Clone, Copy, Debug)]
pub struct Sums {
    count: u64,
    sum: u64,
    squares: u128,
    min: u64,
    max: u64,
}

/// How values spread: standard deviation of the population, that is with n below the line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub mean: f64,
    pub std: f64,
    pub min: f64,
    pub max: f64,
}

/// How values are distributed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distribution {
    pub spread: Spread,
    /// First quartile, median, third quartile.
    pub quartiles: [f64; 3],
}

impl Default for Sums {
    fn default() -> Self {
        Self { count: 0, sum: 0, squares: 0, min: u64::MAX, max: 0 }
    }
}

impl Sums {
    pub(super) fn add(&mut self, value: u64) {
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.squares = self.squares.saturating_add(u128::from(value) * u128::from(value));
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// None where there is no value.
    pub fn spread(&self) -> Option<Spread> {
        let (n, mean) = (self.count as f64, self.sum as f64 / self.count as f64);
        (self.count > 0).then(|| Spread { mean, std: self.deviations().sqrt() / n, min: self.min as f64, max: self.max as f64 })
    }

    /// n times the sum of the squared deviations from the mean: in whole numbers, since the difference of large squares loses its digits otherwise.
    fn deviations(&self) -> f64 {
        let (n, sum) = (u128::from(self.count), u128::from(self.sum));
        match self.squares.checked_mul(n) {
            Some(squares) => squares.saturating_sub(sum * sum) as f64,
            None => (self.squares as f64 * n as f64 - sum as f64 * sum as f64).max(0.0),
        }
    }
}

impl FromIterator<u64> for Sums {
    fn from_iter<I: IntoIterator<Item = u64>>(values: I) -> Self {
        values.into_iter().fold(Self::default(), |mut sums, value| {
            sums.add(value);
            sums
        })
    }
}

impl Spread {
    /// The same in a unit that is so many times larger.
    pub fn per(self, unit: f64) -> Self {
        Self { mean: self.mean / unit, std: self.std / unit, min: self.min / unit, max: self.max / unit }
    }
}

impl Distribution {
    /// None where there is no value.
    pub(super) fn of(mut values: Vec<u64>) -> Option<Self> {
        values.sort_unstable();
        let spread = values.iter().copied().collect::<Sums>().spread()?;
        Some(Self { spread, quartiles: quartiles(values.len() as u64, |rank| values[rank as usize] as f64) })
    }

    /// The same in a unit that is so many times larger.
    pub fn per(self, unit: f64) -> Self {
        Self { spread: self.spread.per(unit), quartiles: self.quartiles.map(|value| value / unit) }
    }
}

/// Quartiles of `n` values, at least one; `at` gives the value of a rank from 0. Between two ranks the line is followed: type 7 of Hyndman and Fan,
/// "Sample Quantiles in Statistical Packages", The American Statistician 50 (1996), the default of numpy and R.
pub(super) fn quartiles(n: u64, at: impl Fn(u64) -> f64) -> [f64; 3] {
    [1, 2, 3].map(|quarter| {
        let place = u128::from(n - 1) * quarter;
        let (rank, beyond) = ((place / 4) as u64, (place % 4) as f64 / 4.0);
        let (below, above) = (at(rank), at((rank + 1).min(n - 1)));
        below + (above - below) * beyond
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_a_textbook() {
        // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, standard deviation 2; numpy.percentile(..., [25, 50, 75]) = 4, 4.5, 5.5.
        let values = vec![9, 2, 4, 5, 4, 5, 4, 7];
        let found = Distribution::of(values).expect("there are values");
        assert_eq!(found.spread, Spread { mean: 5.0, std: 2.0, min: 2.0, max: 9.0 });
        assert_eq!(found.quartiles, [4.0, 4.5, 5.5]);
    }

    #[test]
    fn one_value_is_all_of_its_quartiles() {
        let found = Distribution::of(vec![7]).expect("a value");
        assert_eq!((found.quartiles, found.spread.std), ([7.0; 3], 0.0));
        assert_eq!(Distribution::of(Vec::new()), None);
    }

    #[test]
    fn quartiles_lie_between_values() {
        assert_eq!(Distribution::of(vec![1, 2]).expect("values").quartiles, [1.25, 1.5, 1.75]);
        assert_eq!(Distribution::of(vec![30, 10, 20, 40]).expect("values").quartiles, [17.5, 25.0, 32.5]);
    }

    #[test]
    fn large_values_that_are_alike_do_not_seem_to_differ() {
        let hour = 3_600_000_000_000;
        let spread = [hour; 1_000].into_iter().collect::<Sums>().spread().expect("values");
        assert_eq!(spread.std, 0.0);
        let spread = [hour, hour + 2].into_iter().collect::<Sums>().spread().expect("values");
        assert_eq!(spread.std, 1.0, "one nanosecond around an hour");
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        let spread = [u64::MAX; 5].into_iter().collect::<Sums>().spread().expect("values");
        assert!(spread.std.is_finite() && spread.max == u64::MAX as f64);
    }
}
