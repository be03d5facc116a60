//! How one side numbers its IP packets.
//!
//! What a host does with the identification field (RFC 6864) tells stacks apart, and packets of another machine under the same address from its own.

use crate::model::words::IpIdCourse;

/// Packets below which nothing is said (by design: three steps).
const PACKETS_MIN: u8 = 4;
const STEPS_MIN: u8 = 3;
/// A counter that all connections of a host share moves on by this much between two packets of one of them at the most (by design: a random number falls
/// there once in 16 times, three out of four times hardly ever).
const STEP_MAX: u16 = 4_096;

/// The identification fields of one side, in sum. The first 255 packets count: a stack does not change its way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IpIds {
    last: u16,
    packets: u8,
    zeros: u8,
    /// Steps between two packets in a row that have a number.
    steps: u8,
    same: u8,
    up: u8,
    /// Up if the two bytes change places: counters that are kept in the order of the machine.
    up_swapped: u8,
}

impl IpIds {
    #[inline]
    pub fn add(&mut self, id: u16) {
        if self.packets == u8::MAX {
            return;
        }
        if id == 0 {
            self.zeros += 1;
        } else if self.last != 0 {
            self.steps += 1;
            self.same += u8::from(id == self.last);
            self.up += u8::from(is_up(self.last, id));
            self.up_swapped += u8::from(is_up(self.last.swap_bytes(), id.swap_bytes()));
        }
        (self.last, self.packets) = (id, self.packets + 1);
    }

    /// What three of four packets or steps show; none where there are too few.
    pub fn course(&self) -> Option<IpIdCourse> {
        let most = |count: u8, all: u8| u32::from(count) * 4 >= u32::from(all) * 3;
        if self.packets < PACKETS_MIN {
            return None;
        }
        if most(self.zeros, self.packets) {
            return Some(IpIdCourse::Zero);
        }
        if self.steps < STEPS_MIN {
            return None;
        }
        Some(match self {
            _ if most(self.same, self.steps) => IpIdCourse::Constant,
            _ if most(self.up, self.steps) || most(self.up_swapped, self.steps) => IpIdCourse::Incrementing,
            _ => IpIdCourse::Random,
        })
    }
}

fn is_up(from: u16, to: u16) -> bool {
    (1..=STEP_MAX).contains(&to.wrapping_sub(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(ids: &[u16]) -> Option<IpIdCourse> {
        let mut all = IpIds::default();
        ids.iter().for_each(|&id| all.add(id));
        all.course()
    }

    #[test]
    fn a_side_is_named_by_what_three_of_four_packets_show() {
        assert_eq!(course(&[0, 0, 0, 0]), Some(IpIdCourse::Zero));
        assert_eq!(course(&[54_321, 54_321, 54_321, 54_321]), Some(IpIdCourse::Constant));
        assert_eq!(course(&[100, 101, 140, 141]), Some(IpIdCourse::Incrementing));
        assert_eq!(course(&[9_000, 41_000, 17, 60_123, 30_000]), Some(IpIdCourse::Random));
        assert_eq!(course(&[100, 101, 40_000, 40_001, 40_002]), Some(IpIdCourse::Incrementing), "one of four steps may be odd");
    }

    #[test]
    fn a_counter_may_wrap_and_may_be_kept_in_the_order_of_the_machine() {
        assert_eq!(course(&[65_534, 65_535, 1, 2]), Some(IpIdCourse::Incrementing));
        assert_eq!(course(&[0xfe00, 0xff00, 0x0001, 0x0101]), Some(IpIdCourse::Incrementing));
    }

    #[test]
    fn a_syn_ack_without_a_number_says_nothing_of_the_counter_behind_it() {
        assert_eq!(course(&[0, 7_001, 7_002, 7_003, 7_004]), Some(IpIdCourse::Incrementing));
    }

    #[test]
    fn three_packets_are_too_few() {
        assert_eq!(course(&[1, 2, 3]), None);
        assert_eq!(course(&[0, 0, 5, 6]), None, "two with a number");
    }

    #[test]
    fn counting_stops_before_it_overflows() {
        assert_eq!(course(&vec![7; 200_000]), Some(IpIdCourse::Constant));
    }
}
