//! Zeek's history: letters for kinds of events in the order in which each side first showed them.

use crate::model::{PerSide, SeqNumber, Side};

/// Letters of both sides: two of each kind, and some repetitions of SYN, FIN and RST under other numbers. More are not written.
const LETTERS_MAX: usize = 26;

/// Small letters stand for the low side of the key, capitals for the high one, until client and server are known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct History {
    /// A bit per kind and side.
    seen: u64,
    letters: [u8; LETTERS_MAX],
    len: u8,
    /// The number of the last SYN, FIN and RST.
    numbers: PerSide<[SeqNumber; 3]>,
}

/// Events that are noted again when they come under another sequence number.
#[derive(Clone, Copy)]
pub(super) enum Numbered {
    Syn,
    Fin,
    Rst,
}

impl History {
    /// Once per side.
    #[inline]
    pub fn note(&mut self, side: Side, letter: u8) {
        if self.seen & bit(side, letter) == 0 {
            self.write(side, letter);
        }
    }

    /// Once per side and sequence number.
    pub fn note_numbered(&mut self, side: Side, letter: u8, event: Numbered, number: SeqNumber) {
        let last = &mut self.numbers[side][event as usize];
        let again = self.seen & bit(side, letter) != 0 && *last == number;
        *last = number;
        if !again {
            self.write(side, letter);
        }
    }

    fn write(&mut self, side: Side, letter: u8) {
        if let Some(place) = self.letters.get_mut(usize::from(self.len)) {
            *place = if side == Side::Low { letter } else { letter.to_ascii_uppercase() };
            self.seen |= bit(side, letter);
            self.len += 1;
        }
    }

    /// What was noted turned out not to be so.
    #[inline]
    pub fn take_back(&mut self, side: Side, letter: u8) {
        if self.seen & bit(side, letter) != 0 {
            self.strike_out(side, letter);
        }
    }

    fn strike_out(&mut self, side: Side, letter: u8) {
        let written = if side == Side::Low { letter } else { letter.to_ascii_uppercase() };
        if let Some(at) = self.letters.iter().position(|&other| other == written) {
            self.letters[at..].rotate_left(1);
            self.len -= 1;
            self.seen &= !bit(side, letter);
        }
    }

    pub fn letters(&self) -> impl Iterator<Item = (Side, u8)> {
        let side = |letter: u8| if letter.is_ascii_lowercase() { Side::Low } else { Side::High };
        self.letters.iter().take(self.len.into()).map(move |&letter| (side(letter), letter.to_ascii_lowercase()))
    }
}

fn bit(side: Side, letter: u8) -> u64 {
    1 << (u32::from(letter.wrapping_sub(b'a') & 31) + 32 * side as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(history: &History) -> String {
        history.letters().map(|(side, letter)| if side == Side::High { letter.to_ascii_uppercase() } else { letter } as char).collect()
    }

    #[test]
    fn a_letter_is_written_once_for_each_side_and_number() {
        let mut history = History::default();
        for (side, number) in [(Side::Low, 1), (Side::Low, 1), (Side::Low, 2), (Side::High, 2), (Side::Low, 1)] {
            history.note(side, b'd');
            history.note_numbered(side, b'r', Numbered::Rst, SeqNumber(number));
        }
        assert_eq!(written(&history), "drrDRr");
    }

    #[test]
    fn what_is_taken_back_may_be_noted_again() {
        let mut history = History::default();
        [b'a', b'g', b'd'].iter().for_each(|&letter| history.note(Side::High, letter));
        history.take_back(Side::High, b'g');
        assert_eq!(written(&history), "AD");
        history.note(Side::High, b'g');
        assert_eq!(written(&history), "ADG");
        history.take_back(Side::Low, b'g');
        assert_eq!(written(&history), "ADG");
    }

    #[test]
    fn a_storm_of_resets_ends_somewhere() {
        let mut history = History::default();
        (0..1_000).for_each(|number| history.note_numbered(Side::Low, b'r', Numbered::Rst, SeqNumber(number)));
        assert_eq!(written(&history).len(), LETTERS_MAX);
    }
}
