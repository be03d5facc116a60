//! MPLS labels (RFC 3032 section 2.1) down to the bottom of the stack.
//!
//! Nothing says what stands behind them. A pseudowire may begin with any byte, so that only what is a plausible IP header is taken for IP.

use super::super::ip;
use super::super::view::View;
use super::super::walk::{Layer, Next, Outer};
use crate::model::words::TunnelKind;

/// Labels in a row that are followed; networks stack fewer than ten.
const LABELS_MAX: usize = 16;
const BOTTOM_OF_STACK: u8 = 0x01;

pub fn inside<'a>(view: View<'a>, outer: &mut Outer) -> Next<'a> {
    let content = behind_labels(view)?;
    *outer = outer.enter(TunnelKind::Mpls, None)?;
    Some((if ip::is_plausible(content) { Layer::Ip } else { Layer::NotIp }, content))
}

/// What the label at the bottom carries; none where the stack has no end in sight.
pub fn behind_labels(mut view: View<'_>) -> Option<View<'_>> {
    for _ in 0..LABELS_MAX {
        let [_, _, last, _] = view.array(0)?;
        view = view.skip(4)?;
        if last & BOTTOM_OF_STACK != 0 {
            return Some(view);
        }
    }
    None
}
