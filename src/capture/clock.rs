//! The running clock of a source, on which all timeouts count.
//!
//! Packet times go back: by microseconds where a capture is out of order, by hours where the clock of the machine was
//! set. The first must not matter and the second must not freeze every timeout until the old time comes round again.

use crate::model::{Span, Timestamp};

/// Packets may be older than the latest one by this much and still belong to the same run of the machine's clock.
const DISORDER: Span = Span::from_secs(60);

/// Never goes back. Starts at the time of the first packet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TraceClock {
    state: Option<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// The latest packet time since the machine's clock was last set back.
    latest: Timestamp,
    clock: Timestamp,
}

impl TraceClock {
    /// What the clock shows at a packet of this time.
    #[inline]
    pub(super) fn at(&mut self, time: Timestamp) -> Timestamp {
        let state = self.state.get_or_insert(State { latest: time, clock: time });
        if time > state.latest {
            state.clock = state.clock + (time - state.latest);
            state.latest = time;
        } else if state.latest - time > DISORDER {
            state.latest = time;
        }
        state.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds_shown(times: &[i64]) -> Vec<i64> {
        let mut clock = TraceClock::default();
        times.iter().map(|&second| clock.at(Timestamp(second * 1_000_000_000)).0 / 1_000_000_000).collect()
    }

    #[test]
    fn it_follows_the_packets() {
        assert_eq!(seconds_shown(&[100, 101, 105]), [100, 101, 105]);
    }

    #[test]
    fn a_packet_out_of_order_changes_nothing() {
        assert_eq!(seconds_shown(&[100, 130, 70, 131]), [100, 130, 130, 131]);
    }

    #[test]
    fn after_a_step_back_it_goes_on_from_where_it_was() {
        assert_eq!(seconds_shown(&[7_200, 7_210, 3_600, 3_601, 3_605]), [7_200, 7_210, 7_210, 7_211, 7_215]);
    }

    proptest! {
        #[test]
        fn it_never_goes_back(times in proptest::collection::vec(any::<i64>(), 0..50)) {
            let mut clock = TraceClock::default();
            let shown: Vec<Timestamp> = times.iter().map(|&time| clock.at(Timestamp(time))).collect();
            prop_assert!(shown.is_sorted());
        }
    }
}
