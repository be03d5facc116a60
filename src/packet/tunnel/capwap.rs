//! CAPWAP data (RFC 5415 section 4.3): frames of 802.3, or of 802.11 (RFC 5416), between an access point and its controller.

use super::super::view::View;
use super::super::walk::{Layer, Outer};
use super::Inside;
use crate::model::words::TunnelKind;

/// Version 0 and a clear header; 1 would be DTLS.
const PREAMBLE: u8 = 0;
const NATIVE: u8 = 0x01;
const WLAN: u8 = 1;
/// A fragment, its last one, a keep-alive, reserved bits.
const NO_FRAME: u8 = 0x80 | 0x40 | 0x08 | 0x07;

pub fn inside(view: View<'_>, outer: Outer) -> Inside<'_> {
    let [preamble, length, binding, flags, .., offset_high, offset_low] = view.array::<8>(0)?;
    let header = usize::from(length >> 3) * 4;
    if preamble != PREAMBLE || flags & NO_FRAME != 0 || (offset_high, offset_low) != (0, 0) || header < 8 {
        return None;
    }
    let frame = view.skip(header)?;
    let layer = match (binding & NATIVE, (binding >> 1) & 0x1f) {
        (0, _) => Layer::Ethernet,
        // Some access points send frame control in the wrong order: the first byte then has the direction where the version should be, 0.
        (_, WLAN) => Layer::Wlan { padded: false, swapped: frame.u8(0)? & 0x03 != 0 },
        _ => return None,
    };
    Some((layer, frame, outer.enter(TunnelKind::Capwap, None)?))
}
