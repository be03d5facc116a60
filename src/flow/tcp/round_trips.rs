//! Round trips between the capture and one receiver: from payload that passes the capture to the acknowledgement that passes it on its way back.
//!
//! Only an acknowledgement that ends exactly where a segment ended is a sample: one that covers more was held back by the receiver (delayed
//! acknowledgements, RFC 9293 section 3.8.6.3), and the segment that it answers is the last of them. A segment that was sent again is none (Karn's rule,
//! RFC 6298 section 3) unless the echoed timestamp says that its first transmission is answered (RFC 7323 section 4.1).

use crate::model::{SeqNumber, Span, Timestamp};

/// Segments of one side that wait for their acknowledgement at a time: most of a first window (RFC 6928 section 2), and a bit each (by design).
const WAITING_MAX: usize = 8;

/// What was measured, and what may still be. Apart from the bits it lies where only sides with payload have it.
#[derive(Clone, Debug, Default)]
pub(super) struct RoundTrips {
    /// Bits of the places that are taken, and of those whose segment was sent again.
    taken: u8,
    sent_again: u8,
    measured: Option<Box<Measured>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    waiting: [Waiting; WAITING_MAX],
    samples: Samples,
}

/// A segment under way.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    sent: Timestamp,
    end: SeqNumber,
    /// Its timestamp; 0 where it has none.
    stamp: u32,
}

/// Round trips in sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    pub count: u32,
    pub min: Span,
    pub max: Span,
    sum: Span,
}

impl RoundTrips {
    /// Bytes kept in a box.
    pub fn held(&self) -> usize {
        self.measured.as_ref().map_or(0, |measured| size_of_val(&**measured))
    }

    /// New payload up to `end` passes the capture.
    #[inline]
    pub fn send(&mut self, end: SeqNumber, sent: Timestamp, stamp: Option<u32>) {
        let place = self.taken.trailing_ones() as usize;
        if place < WAITING_MAX {
            self.measured.get_or_insert_default().waiting[place] = Waiting { sent, end, stamp: stamp.unwrap_or(0) };
            self.taken |= 1 << place;
            self.sent_again &= !(1 << place);
        }
    }

    /// Payload in `start..end` is sent again.
    pub fn send_again(&mut self, start: SeqNumber, end: SeqNumber) {
        let Some(measured) = &self.measured else { return };
        for place in places(self.taken) {
            let waiting = &measured.waiting[place];
            if waiting.end.is_after(start) && !waiting.end.is_after(end) {
                self.sent_again |= 1 << place;
            }
        }
    }

    /// An acknowledgement that moves on passes the capture.
    #[inline]
    pub fn acknowledge(&mut self, ack: SeqNumber, time: Timestamp, echo: Option<u32>) {
        if self.taken == 0 {
            return;
        }
        let Some(measured) = &mut self.measured else { return };
        for place in places(self.taken) {
            let Waiting { sent, end, stamp } = measured.waiting[place];
            if end.is_after(ack) {
                continue;
            }
            self.taken &= !(1 << place);
            let answers_first = self.sent_again & 1 << place == 0 || (stamp != 0 && echo == Some(stamp));
            if end == ack && answers_first && time >= sent {
                measured.samples.add(time - sent);
            }
        }
    }

    pub fn samples(&self) -> Samples {
        self.measured.as_ref().map_or(Samples::default(), |measured| measured.samples)
    }
}

/// The places whose bits are set.
fn places(mut bits: u8) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (place < WAITING_MAX).then_some(place)
    })
}

impl Samples {
    fn add(&mut self, sample: Span) {
        self.min = if self.count == 0 { sample } else { self.min.min(sample) };
        self.max = self.max.max(sample);
        self.sum = self.sum + sample;
        self.count = self.count.saturating_add(1);
    }

    /// None without a sample.
    pub fn mean_ms(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum.as_ms() / f64::from(self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp(0) + Span::from_millis(millis)
    }

    #[test]
    fn the_last_segment_that_an_acknowledgement_covers_is_the_one_it_answers() {
        let mut trips = RoundTrips::default();
        trips.send(SeqNumber(100), at(0), None);
        trips.send(SeqNumber(200), at(30), None);
        trips.acknowledge(SeqNumber(200), at(70), None);
        assert_eq!((trips.samples().count, trips.samples().mean_ms()), (1, Some(40.0)));
    }

    #[test]
    fn what_was_sent_again_is_no_sample_unless_its_timestamp_returns() {
        for (stamp, echo, count) in [(None, None, 0), (Some(5), Some(9), 0), (Some(5), Some(5), 1)] {
            let mut trips = RoundTrips::default();
            trips.send(SeqNumber(100), at(0), stamp);
            trips.send_again(SeqNumber(0), SeqNumber(100));
            trips.acknowledge(SeqNumber(100), at(50), echo);
            assert_eq!(trips.samples().count, count, "sent at {stamp:?}, answered {echo:?}");
        }
    }

    #[test]
    fn an_acknowledgement_in_the_middle_of_a_segment_answers_nothing() {
        let mut trips = RoundTrips::default();
        trips.send(SeqNumber(100), at(0), None);
        trips.acknowledge(SeqNumber(60), at(10), None);
        assert_eq!(trips.samples(), Samples::default());
        trips.acknowledge(SeqNumber(100), at(40), None);
        assert_eq!(trips.samples().max, Span::from_millis(40));
    }

    #[test]
    fn more_segments_than_places_are_passed_over() {
        let mut trips = RoundTrips::default();
        for segment in 1..=20 {
            trips.send(SeqNumber(segment * 100), at(segment.into()), None);
        }
        for segment in 1..=20 {
            trips.acknowledge(SeqNumber(segment * 100), at(i64::from(segment) + 40), None);
        }
        let samples = trips.samples();
        assert_eq!((samples.count, samples.min, samples.max), (WAITING_MAX as u32, Span::from_millis(40), Span::from_millis(40)));
    }
}
