//! Which packet of which file: the only way in which evidence names a packet.

/// A file of this run, by the order in which it was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A file and the 1-based number of a packet in it, in eight bytes: 24 bits of file, 40 of number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketNumber(u64);

const NUMBER_BITS: u32 = 40; // 10^12 packets in one file

impl PacketNumber {
    pub fn new(file: FileId, number: u64) -> Self {
        Self((u64::from(file.0) << NUMBER_BITS) | (number & ((1 << NUMBER_BITS) - 1)))
    }

    pub fn file(self) -> FileId {
        FileId((self.0 >> NUMBER_BITS) as u32)
    }

    pub fn number(self) -> u64 {
        self.0 & ((1 << NUMBER_BITS) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_and_number_come_back() {
        let packet = PacketNumber::new(FileId(77), 5_000_000_000);
        assert_eq!((packet.file(), packet.number()), (FileId(77), 5_000_000_000));
    }

    #[test]
    fn later_packets_of_a_file_compare_greater() {
        assert!(PacketNumber::new(FileId(1), 2) > PacketNumber::new(FileId(1), 1));
        assert!(PacketNumber::new(FileId(2), 1) > PacketNumber::new(FileId(1), 9));
    }
}
