//! The network service header (RFC 8300 section 2.2): version 0, length in words of four bytes, next protocol.

use super::super::view::View;
use super::super::walk::{Layer, Next, Outer};
use crate::model::words::TunnelKind;

pub fn inside<'a>(view: View<'a>, outer: &mut Outer) -> Next<'a> {
    let [first, length, _, next] = view.array(0)?;
    let bytes = usize::from(length & 0x3f) * 4;
    if first >> 6 != 0 || bytes < 8 {
        return Some((Layer::NotIp, view));
    }
    *outer = outer.enter(TunnelKind::Nsh, None)?;
    Some((by_next_protocol(next), view.skip(bytes)?))
}

/// The registry that NSH shares with VXLAN-GPE (RFC 8300 section 9.1.6).
pub fn by_next_protocol(next: u8) -> Layer {
    match next {
        1 | 2 => Layer::Ip,
        3 => Layer::Ethernet,
        4 => Layer::Nsh,
        5 => Layer::Mpls,
        _ => Layer::NotIp,
    }
}
