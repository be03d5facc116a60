//! Ethernet, and the frames of IEEE 802.3 that have a length where others have an EtherType.

use super::super::view::View;
use super::super::walk::{Layer, Next};

/// A type field below this is a length (IEEE 802.3 clause 3.2.6).
const ETHER_TYPE_MIN: u16 = 0x0600;
/// Two addresses and the type field.
const HEADER_BYTES: usize = 14;

#[inline]
pub fn inside(view: View<'_>) -> Next<'_> {
    Some(type_or_length(view.be16(HEADER_BYTES - 2)?, view.skip(HEADER_BYTES)?))
}

/// What a type field announces. Padding behind a length is cut off.
#[inline]
pub fn type_or_length(value: u16, view: View<'_>) -> (Layer, View<'_>) {
    match value {
        0x0800 | 0x86dd => (Layer::Ip, view),
        ETHER_TYPE_MIN.. => (Layer::EtherType(value), view),
        length => (Layer::Llc, view.limit(length.into())),
    }
}
