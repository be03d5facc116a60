//! Geneve (RFC 8926 section 3.4): version 0, options in words of four bytes, an EtherType, the network, reserved bits 0.

use super::super::view::View;
use super::super::walk::{Layer, Outer};
use super::Inside;
use crate::model::words::TunnelKind;

/// Of the second byte: the message is for the tunnel's end itself; what follows must be 0 but for the bit between, which marks critical options.
const CONTROL: u8 = 0x80;
const RESERVED: u8 = 0x3f;

pub fn inside(view: View<'_>, outer: Outer) -> Inside<'_> {
    let [version_and_length, flags, .., last] = view.array::<8>(0)?;
    if version_and_length >> 6 != 0 || flags & (CONTROL | RESERVED) != 0 || last != 0 {
        return None;
    }
    let options = usize::from(version_and_length & 0x3f) * 4;
    let content = view.skip(8 + options)?;
    Some((Layer::EtherType(view.be16(2)?), content, outer.enter(TunnelKind::Geneve, view.be24(4))?))
}
