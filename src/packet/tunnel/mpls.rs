//! MPLS in UDP (RFC 7510): labels, then IP that fills the datagram.

use super::super::ip;
use super::super::link::mpls;
use super::super::view::View;
use super::super::walk::{Layer, Outer};
use super::Inside;
use crate::model::words::TunnelKind;

pub fn inside(view: View<'_>, outer: Outer) -> Inside<'_> {
    let content = mpls::behind_labels(view).filter(|content| ip::fills(*content))?;
    Some((Layer::Ip, content, outer.enter(TunnelKind::MplsInUdp, None)?))
}
