//! TCP sequence numbers: wrapping comparison and distance in one place (RFC 9293 section 3.4).

/// A sequence or acknowledgement number as it stands on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    pub fn plus(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// How far `self` lies ahead of `origin`; negative where it lies behind.
    pub fn offset_from(self, origin: Self) -> i32 {
        self.0.wrapping_sub(origin.0) as i32
    }

    pub fn is_after(self, other: Self) -> bool {
        self.offset_from(other) > 0
    }

    pub fn max(self, other: Self) -> Self {
        if other.is_after(self) { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_survives_the_wrap() {
        let (before, after) = (SeqNumber(u32::MAX), SeqNumber(3));
        assert!(after.is_after(before));
        assert_eq!(after.offset_from(before), 4);
        assert_eq!(before.max(after), after);
        assert_eq!(before.plus(4), after);
    }
}
