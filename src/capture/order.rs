//! The byte order in which a file, or a section of one, was written.

use pcap_parser::BOM_MAGIC;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    Little,
    Big,
}

impl Order {
    /// By the four bytes of a byte-order magic (pcapng draft section 4.1).
    pub(super) fn of_magic(magic: [u8; 4]) -> Option<Self> {
        if u32::from_le_bytes(magic) == BOM_MAGIC {
            Some(Self::Little)
        } else if u32::from_be_bytes(magic) == BOM_MAGIC {
            Some(Self::Big)
        } else {
            None
        }
    }

    #[inline(always)]
    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    #[inline(always)]
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline(always)]
    pub(super) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }

    /// The word at `offset`, if it is there.
    #[inline(always)]
    pub(super) fn u32_at(self, bytes: &[u8], offset: usize) -> Option<u32> {
        bytes.get(offset..)?.first_chunk().map(|word| self.u32(*word))
    }
}
