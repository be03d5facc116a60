//! Teredo (RFC 4380 section 5.1.1): an authentication, an origin indication, neither or both, then IPv6.

use super::super::view::View;
use super::super::walk::{Layer, Outer};
use super::Inside;
use crate::model::words::TunnelKind;

const AUTHENTICATION: [u8; 2] = [0, 1];
const ORIGIN: [u8; 2] = [0, 0];
/// 2001::/32 (section 2.6); an end that has no address yet uses a link-local one.
const PREFIX: [u8; 4] = [0x20, 0x01, 0, 0];
const LINK_LOCAL: [u8; 2] = [0xfe, 0x80];

pub fn inside(mut view: View<'_>, outer: Outer) -> Inside<'_> {
    if view.array(0)? == AUTHENTICATION {
        let [client, value] = view.array(2)?;
        view = view.skip(13 + usize::from(client) + usize::from(value))?; // nonce and confirmation have 9 bytes
    }
    if view.array(0)? == ORIGIN {
        view = view.skip(8)?;
    }
    let is_teredo = |at| view.array(at) == Some(PREFIX) || view.array(at) == Some(LINK_LOCAL);
    if view.u8(0)? >> 4 != 6 || !(is_teredo(8) || is_teredo(24)) {
        return None;
    }
    Some((Layer::Ip, view, outer.enter(TunnelKind::Teredo, None)?))
}
