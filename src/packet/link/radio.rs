//! What drivers put in front of frames of 802.11: radiotap, Prism, AVS, PPI.

use super::super::view::View;
use super::super::walk::{Layer, Next};

/// A frame of 802.11 as the standard has it.
pub const PLAIN_WLAN: Layer = Layer::Wlan { padded: false, swapped: false };
/// Frames of 802.11 end with a checksum of four bytes where the header says so.
const CHECKSUM_BYTES: u32 = 4;

/// Radiotap (<https://www.radiotap.org>): version 0, length, words of presence bits, then the fields.
pub fn radiotap(view: View<'_>) -> Next<'_> {
    const HAS_CHECKSUM: u8 = 0x10;
    const IS_PADDED: u8 = 0x20;
    let (version, length) = (view.u8(0)?, view.le16(2)?);
    if version != 0 || length < 8 {
        return Some((Layer::Undecoded, view));
    }
    let header = view.limit(length.into());
    let flags = radiotap_flags(&header).unwrap_or(0);
    let frame = view.skip(length.into())?;
    let checksum = if flags & HAS_CHECKSUM != 0 { CHECKSUM_BYTES } else { 0 };
    Some((Layer::Wlan { padded: flags & IS_PADDED != 0, swapped: false }, frame.limit(frame.on_wire.saturating_sub(checksum))))
}

/// The second field, behind an optional clock of eight bytes that is aligned to eight.
fn radiotap_flags(header: &View<'_>) -> Option<u8> {
    const MORE_WORDS: u32 = 1 << 31;
    const HAS_CLOCK: u32 = 1;
    const HAS_FLAGS: u32 = 2;
    let present = header.le32(4)?;
    let mut at = 8;
    let mut word = present;
    while word & MORE_WORDS != 0 {
        word = header.le32(at)?;
        at += 4;
    }
    if present & HAS_CLOCK != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    if present & HAS_FLAGS != 0 { header.u8(at) } else { None }
}

/// Prism II (LINKTYPE_IEEE802_11_PRISM): 144 bytes; some drivers write AVS under this number.
pub fn prism(view: View<'_>) -> Next<'_> {
    const HEADER_BYTES: usize = 144;
    if view.be32(0)? >> 8 == AVS_MAGIC >> 8 { avs(view) } else { Some((PLAIN_WLAN, view.skip(HEADER_BYTES)?)) }
}

/// The magic of AVS; its last digits are the version.
const AVS_MAGIC: u32 = 0x8021_1000;

/// AVS (LINKTYPE_IEEE802_11_AVS): magic with version, then the header's length.
pub fn avs(view: View<'_>) -> Next<'_> {
    let (magic, length) = (view.be32(0)?, view.be32(4)?);
    if magic >> 8 != AVS_MAGIC >> 8 || length < 8 {
        return Some((Layer::Undecoded, view));
    }
    Some((PLAIN_WLAN, view.skip(length as usize)?))
}

/// PPI (LINKTYPE_PPI): version 0, length, link type, then fields, of which the first of 802.11 has the flags.
pub fn ppi(view: View<'_>) -> Next<'_> {
    const COMMON_802_11: u16 = 2;
    const HAS_CHECKSUM: u16 = 1;
    let (version, length, link_type) = (view.u8(0)?, view.le16(2)?, view.le32(4)?);
    let Ok(link_type) = u16::try_from(link_type) else { return Some((Layer::Undecoded, view)) };
    if version != 0 || length < 8 {
        return Some((Layer::Undecoded, view));
    }
    let frame = view.skip(length.into())?;
    let header = view.limit(length.into());
    let has_checksum = header.le16(8) == Some(COMMON_802_11) && header.le16(20).is_some_and(|flags| flags & HAS_CHECKSUM != 0);
    let checksum = if has_checksum { CHECKSUM_BYTES } else { 0 };
    Some((Layer::Link(link_type), frame.limit(frame.on_wire.saturating_sub(checksum))))
}
