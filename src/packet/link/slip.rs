//! SLIP as BSD kernels capture it: a header of their own, then IP.

use super::super::ip;
use super::super::view::View;
use super::super::walk::{Layer, Next};

/// Direction, then the compressed header as it was on the line (LINKTYPE_SLIP).
const HEADER_BYTES: usize = 16;
const BSDOS_HEADER_BYTES: usize = 24;

/// The kernel has unpacked the header of TCP; where it has not, there is no IP header.
pub fn inside(view: View<'_>) -> Next<'_> {
    plausible(view.skip(HEADER_BYTES)?)
}

pub fn bsdos(view: View<'_>) -> Next<'_> {
    plausible(view.skip(BSDOS_HEADER_BYTES)?)
}

fn plausible(content: View<'_>) -> Next<'_> {
    Some((if ip::is_plausible(content) { Layer::Ip } else { Layer::Undecoded }, content))
}
