//! Nanoseconds from the ticks of a pcapng interface (options if_tsresol and if_tsoffset).

use crate::model::{Span, Timestamp};

const NANOS: u128 = 1_000_000_000;

/// What a tick is worth and from when ticks count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resolution {
    tick: Tick,
    origin: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    /// 10^-9 s and coarser.
    Nanos(u64),
    /// Finer than a nanosecond: so many ticks to one. 0 where not even 2^64 ticks make one.
    PerNano(u128),
    /// 2^-n s.
    Binary(u32),
}

impl Resolution {
    pub(super) fn new(if_tsresol: u8, if_tsoffset: i64) -> Self {
        let exponent = u32::from(if_tsresol & 0x7f);
        let tick = match (if_tsresol & 0x80 != 0, exponent) {
            (true, exponent) => Tick::Binary(exponent),
            (false, 0..=9) => Tick::Nanos(10_u64.pow(9 - exponent)),
            (false, exponent) => Tick::PerNano(10_u128.checked_pow(exponent - 9).unwrap_or(0)),
        };
        Self { tick, origin: Timestamp(0) + Span::from_secs(if_tsoffset) }
    }

    #[inline]
    pub(super) fn time(&self, ticks: u64) -> Timestamp {
        let nanos = match self.tick {
            Tick::Nanos(each) => ticks.saturating_mul(each),
            Tick::PerNano(count) => u128::from(ticks).checked_div(count).and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or(0),
            Tick::Binary(exponent) => u64::try_from((u128::from(ticks) * NANOS) >> exponent).unwrap_or(u64::MAX),
        };
        self.origin + Span(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}

impl Default for Resolution {
    fn default() -> Self {
        Self::new(6, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_second_is_a_second_at_every_resolution() {
        let second = Timestamp(1_000_000_000);
        for (if_tsresol, ticks) in
            [(0, 1), (3, 1_000), (6, 1_000_000), (9, 1_000_000_000), (12, 1_000_000_000_000), (0x80, 1), (0x8a, 1 << 10), (0xa0, 1 << 32)]
        {
            assert_eq!(Resolution::new(if_tsresol, 0).time(ticks), second, "if_tsresol {if_tsresol}");
        }
    }

    #[test]
    fn the_offset_is_in_seconds_and_may_be_negative() {
        assert_eq!(Resolution::new(6, 10).time(1), Timestamp(10_000_001_000));
        assert_eq!(Resolution::new(6, -1).time(0), Timestamp(-1_000_000_000));
    }

    proptest! {
        #[test]
        fn any_option_gives_a_time(if_tsresol: u8, if_tsoffset: i64, ticks: u64) {
            let resolution = Resolution::new(if_tsresol, if_tsoffset);
            prop_assert!(resolution.time(ticks) >= resolution.time(0));
        }
    }
}
