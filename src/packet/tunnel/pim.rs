//! PIM registers (RFC 7761 section 4.9.3): version 2, type 1, flags, then the multicast datagram.

use super::super::view::View;
use super::super::walk::{Layer, Outer};
use super::Inside;
use crate::model::words::TunnelKind;

const REGISTER: u8 = 0x21;
/// A header without data: nobody sent that datagram.
const NULL_REGISTER: u32 = 0x4000_0000;

pub fn inside(view: View<'_>, outer: Outer) -> Inside<'_> {
    if view.u8(0)? != REGISTER || view.be32(4)? & NULL_REGISTER != 0 {
        return None;
    }
    Some((Layer::Ip, view.skip(8)?, outer.enter(TunnelKind::Pim, None)?.strict()))
}
