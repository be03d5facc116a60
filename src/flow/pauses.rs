//! Active and idle times of a flow: it is idle while neither side sends for longer than [`IDLE`], and active between.

use crate::model::{Span, Timestamp};

use super::spread::Sums;

/// Silence that counts as idle: the default of CICFlowMeter (`activityTimeout` in its `Cmd.java`, <https://github.com/ahlashkari/CICFlowMeter>).
pub(super) const IDLE: Span = Span::from_secs(5);

/// The pauses of a flow that had any, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Pauses {
    /// When the flow became active for the last time.
    since: Timestamp,
    /// Active times before that.
    active: Sums,
    idle: Sums,
}

impl Pauses {
    /// Of a flow that has been active since it began.
    pub(super) fn new(start: Timestamp) -> Self {
        Self { since: start, active: Sums::default(), idle: Sums::default() }
    }

    /// The flow was idle between two packets.
    pub(super) fn add(&mut self, from: Timestamp, to: Timestamp) {
        self.active.add(nanos(from - self.since));
        self.idle.add(nanos(to - from));
        self.since = to;
    }

    /// All active times of a flow that has ended, and all idle ones.
    pub(super) fn at_end(&self, end: Timestamp) -> (Sums, Sums) {
        let mut active = self.active;
        active.add(nanos(end - self.since));
        (active, self.idle)
    }
}

/// Nothing lasts less than no time, though packets may be out of order.
pub(super) fn nanos(span: Span) -> u64 {
    u64::try_from(span.0).unwrap_or(0)
}
