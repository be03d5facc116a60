//! TZSP, frames that a sniffer sends on: version 1, received or to be sent, what the frame is, tags up to an end tag.

use super::super::view::View;
use super::super::walk::{Layer, Outer};
use super::Inside;
use crate::model::words::TunnelKind;

const VERSION: u8 = 1;
const RECEIVED: u8 = 0;
const TO_SEND: u8 = 1;
const ETHERNET: u16 = 1;
const WLAN: u16 = 18;
const PADDING: u8 = 0;
const END: u8 = 1;
/// Tags that are passed over; some ten are known.
const TAGS_MAX: usize = 32;

pub fn inside(view: View<'_>, outer: Outer) -> Inside<'_> {
    let [version, kind] = view.array(0)?;
    if version != VERSION || !matches!(kind, RECEIVED | TO_SEND) {
        return None;
    }
    let layer = match view.be16(2)? {
        ETHERNET => Layer::Ethernet,
        WLAN => Layer::Wlan { padded: false, swapped: false },
        _ => return None,
    };
    Some((layer, behind_tags(view.skip(4)?)?, outer.enter(TunnelKind::Tzsp, None)?))
}

/// Kind, length and so many bytes each; padding and end are one byte.
fn behind_tags(mut view: View<'_>) -> Option<View<'_>> {
    for _ in 0..TAGS_MAX {
        match view.u8(0)? {
            END => return view.skip(1),
            PADDING => view = view.skip(1)?,
            _ => view = view.skip(2 + usize::from(view.u8(1)?))?,
        }
    }
    None
}
