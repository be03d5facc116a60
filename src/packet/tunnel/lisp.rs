//! LISP data (RFC 9300 section 5.3): flags, nonce or versions, instance or locators, then IP that fills the datagram.

use super::super::ip;
use super::super::view::View;
use super::super::walk::{Layer, Outer};
use super::Inside;
use crate::model::words::TunnelKind;

const NONCE: u8 = 0x80;
const ECHO: u8 = 0x20;
const VERSIONS: u8 = 0x10;
/// Reserved, and the key of an encrypted payload.
const NOT_CLEAR: u8 = 0x07;

pub fn inside(view: View<'_>, outer: Outer) -> Inside<'_> {
    let flags = view.u8(0)?;
    let contradicts = flags & (ECHO | NONCE) == ECHO || flags & (VERSIONS | NONCE) == VERSIONS | NONCE;
    let content = view.skip(8)?;
    if contradicts || flags & NOT_CLEAR != 0 || !ip::fills(content) {
        return None;
    }
    Some((Layer::Ip, content, outer.enter(TunnelKind::Lisp, None)?))
}
