//! The running clock of a source, on which all timeouts count.
//!
//! Packet times go back: by microseconds where a capture is out of order, by hours where the clock of the machine was set. The first must not matter
//! and the second must not freeze every timeout until the old time comes round again. They leap, too: a probe without a battery starts in 1970 and
//! finds out later. And one damaged record may show any time: a single packet is not believed, two are.

use crate::model::{Span, Timestamp};

/// Packets may be older than the latest one by this much and still belong to the same run of the machine's clock.
const DISORDER: Span = Span::from_secs(60);
/// A packet that is later than the one before by more than this may be damaged; the next one tells. No shorter than the longest timeout.
pub const LEAP: Span = Span::from_secs(3_600);
/// A step back from which on a step is counted: several queues of one interface differ by less (by design).
const STEP_BACK: Span = Span::from_secs(1);

/// Never goes back. Starts at the time of the first packet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TraceClock {
    state: Option<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// The latest packet time since the machine's clock was last set.
    latest: Timestamp,
    clock: Timestamp,
    /// The time of the packet before, where it was out of line and nothing has confirmed it yet.
    doubted: Option<Timestamp>,
    /// Whether times already lie behind a counted step back.
    back: bool,
}

impl TraceClock {
    /// The latest packet time since the machine's clock was last set.
    pub(super) fn latest(&self) -> Option<Timestamp> {
        self.state.map(|state| state.latest)
    }

    /// What the clock shows at a packet of this time; counts the steps of the machine's clock.
    #[inline]
    pub(super) fn at(&mut self, time: Timestamp, steps: &mut u64) -> Timestamp {
        let state = self.state.get_or_insert(State { latest: time, clock: time, doubted: None, back: false });
        let ahead = time - state.latest;
        if ahead.0 >= 0 && ahead <= LEAP {
            state.clock = state.clock + ahead;
            state.latest = time;
            (state.doubted, state.back) = (None, false);
        } else {
            state.out_of_line(time, ahead, steps);
        }
        state.clock
    }
}

impl State {
    #[cold]
    fn out_of_line(&mut self, time: Timestamp, ahead: Span, steps: &mut u64) {
        if (-STEP_BACK.0..0).contains(&ahead.0) {
            return;
        }
        let confirmed = self.doubted.is_some_and(|doubted| is_near(time - doubted));
        self.doubted = Some(time);
        if !confirmed {
            return;
        }
        if ahead > LEAP {
            self.clock = self.clock + ahead;
            self.latest = time;
            *steps += 1;
        } else if !self.back {
            *steps += 1;
            self.back = true;
        }
        if ahead.0 < -DISORDER.0 {
            self.latest = time;
            self.back = false;
        }
    }
}

/// Whether two packets can belong to the same run of a clock.
fn is_near(distance: Span) -> bool {
    (-DISORDER.0..=LEAP.0).contains(&distance.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(times: &[i64]) -> (Vec<i64>, u64) {
        let (mut clock, mut steps) = (TraceClock::default(), 0);
        let shown = times.iter().map(|&second| clock.at(Timestamp(second * 1_000_000_000), &mut steps).0 / 1_000_000_000).collect();
        (shown, steps)
    }

    #[test]
    fn it_follows_the_packets() {
        assert_eq!(shown(&[100, 101, 105]), (vec![100, 101, 105], 0));
    }

    #[test]
    fn a_packet_out_of_order_changes_nothing() {
        assert_eq!(shown(&[100, 130, 70, 131]), (vec![100, 130, 130, 131], 0));
    }

    #[test]
    fn after_a_step_back_it_goes_on_from_where_it_was() {
        assert_eq!(shown(&[7_200, 7_210, 3_600, 3_601, 3_605]), (vec![7_200, 7_210, 7_210, 7_210, 7_214], 1));
    }

    #[test]
    fn a_short_step_back_is_counted_once_and_waited_out() {
        assert_eq!(shown(&[100, 110, 100, 102, 108, 111]), (vec![100, 110, 110, 110, 110, 111], 1));
    }

    #[test]
    fn a_leap_is_believed_when_a_second_packet_shows_it() {
        let born_in_1970 = [5, 6, 1_750_000_000, 1_750_000_001, 1_750_000_003];
        assert_eq!(shown(&born_in_1970), (vec![5, 6, 6, 1_750_000_001, 1_750_000_003], 1));
    }

    #[test]
    fn one_damaged_time_moves_nothing() {
        assert_eq!(shown(&[100, 101, 4_000_000_000, 102, 103]), (vec![100, 101, 101, 102, 103], 0));
        assert_eq!(shown(&[5_000, 5_001, 7, 5_002, 5_003]), (vec![5_000, 5_001, 5_001, 5_002, 5_003], 0));
    }

    #[test]
    fn an_hour_of_silence_is_no_step() {
        assert_eq!(shown(&[100, 3_700, 3_701]), (vec![100, 3_700, 3_701], 0));
    }

    proptest! {
        #[test]
        fn it_never_goes_back(times in proptest::collection::vec(any::<i64>(), 0..50)) {
            let (mut clock, mut steps) = (TraceClock::default(), 0);
            let shown: Vec<Timestamp> = times.iter().map(|&time| clock.at(Timestamp(time), &mut steps)).collect();
            prop_assert!(shown.is_sorted());
        }
    }
}
