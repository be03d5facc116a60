//! Time of the trace. No clock is asked anywhere below `pipeline`.

use std::ops::{Add, Sub};

/// Nanoseconds since 1970 UTC, as the capture says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A length of trace time in nanoseconds; negative where packets are out of order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub i64);

impl Timestamp {
    /// Whole microseconds, the unit of the tables.
    pub fn as_micros(self) -> i64 {
        self.0.div_euclid(1_000)
    }
}

impl Span {
    pub const ZERO: Self = Self(0);

    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    pub fn as_ms(self) -> f64 {
        self.0 as f64 / 1e6
    }

    pub fn as_secs(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl Sub for Timestamp {
    type Output = Span;
    fn sub(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_before_1970_round_down_like_all_others() {
        assert_eq!(Timestamp(-1).as_micros(), -1);
        assert_eq!(Timestamp(1_999).as_micros(), 1);
    }

    #[test]
    fn the_widest_times_never_overflow() {
        assert_eq!(Timestamp(i64::MAX) - Timestamp(i64::MIN), Span(i64::MAX));
        assert_eq!(Timestamp(i64::MAX) + Span::from_secs(1), Timestamp(i64::MAX));
    }
}
