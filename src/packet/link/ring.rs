//! Rings: FDDI and Token Ring, both with LLC inside.

use super::super::view::View;
use super::super::walk::{Layer, Next};

/// Frame control and two addresses; asynchronous LLC frames begin with 5 (ISO 9314-2 clause 7.3.3).
pub fn fddi(view: View<'_>) -> Next<'_> {
    let layer = if view.u8(0)? >> 4 == 5 { Layer::Llc } else { Layer::NotIp };
    Some((layer, view.skip(13)?))
}

/// Access and frame control, two addresses, and a route where the first bit of the source says so (IEEE 802.5 clause 3).
pub fn token_ring(view: View<'_>) -> Next<'_> {
    let (control, source, content) = (view.u8(1)?, view.u8(8)?, view.skip(14)?);
    let route = if source & 0x80 != 0 { usize::from(content.u8(0)? & 0x1f) } else { 0 };
    let layer = if control >> 6 == 1 { Layer::Llc } else { Layer::NotIp };
    Some((layer, content.skip(route)?))
}
