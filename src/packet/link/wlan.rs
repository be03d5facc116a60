//! Frames of 802.11 (IEEE 802.11-2020 clause 9.2 and 9.3.2): data frames carry LLC, or several MSDUs at once.

use super::super::view::View;
use super::super::walk::{Layer, Next};

/// Type and version of a data frame, in the low four bits of the first byte.
const DATA: u8 = 0x08;
/// Of the subtype: no data in it; with quality of service.
const NO_DATA: u8 = 0x40;
const QOS: u8 = 0x80;
/// Of the second byte.
const TO_DS: u8 = 0x01;
const FROM_DS: u8 = 0x02;
const MORE_FRAGMENTS: u8 = 0x04;
const PROTECTED: u8 = 0x40;
const HT_CONTROL: u8 = 0x80;
/// Of the QoS field: an A-MSDU.
const AGGREGATE: u8 = 0x80;
const HEADER_BYTES: usize = 24;

pub fn inside(view: View<'_>, padded: bool, swapped: bool) -> Next<'_> {
    let [first, second] = view.array(0)?;
    let (kind, flags) = if swapped { (second, first) } else { (first, second) };
    let fragment_number = view.u8(if swapped { 23 } else { 22 }); // whoever swaps frame control swaps sequence control as well
    if kind & 0x0f != DATA || kind & NO_DATA != 0 {
        return Some((Layer::NotIp, view)); // management, control, or nothing inside
    }
    if flags & (PROTECTED | MORE_FRAGMENTS) != 0 || fragment_number? & 0x0f != 0 {
        return Some((Layer::Undecoded, view)); // encrypted, or a part of an MSDU
    }
    let mut header = HEADER_BYTES;
    if flags & (TO_DS | FROM_DS) == TO_DS | FROM_DS {
        header += 6; // the fourth address
    }
    let mut layer = Layer::Llc;
    if kind & QOS != 0 {
        if view.u8(header)? & AGGREGATE != 0 {
            layer = Layer::Aggregate;
        }
        header += if flags & HT_CONTROL != 0 { 6 } else { 2 };
    }
    if padded {
        header = header.next_multiple_of(4);
    }
    Some((layer, view.skip(header)?))
}

/// The next MSDU of an A-MSDU, and what stands behind it: two addresses, length, LLC, filled up to four bytes (clause 9.3.2.2.2).
pub fn msdu(view: View<'_>) -> Option<(View<'_>, View<'_>)> {
    const HEADER_BYTES: usize = 14;
    let length = view.be16(HEADER_BYTES - 2)?;
    let content = view.skip(HEADER_BYTES)?;
    if length == 0 || u32::from(length) > content.on_wire {
        return None;
    }
    let end = (HEADER_BYTES + usize::from(length)).next_multiple_of(4);
    let nothing = View { bytes: &[], on_wire: 0, ..view };
    Some((content.limit(length.into()), view.skip(end).unwrap_or(nothing)))
}
