//! L2TP version 2, data messages (RFC 2661 section 3.1): optional length, sequence numbers and offset, then PPP.

use super::super::view::View;
use super::super::walk::{Layer, Outer};
use super::Inside;
use crate::model::words::TunnelKind;

/// Control bit, reserved bits and version: all must be as in a data message of version 2.
const FIXED: u16 = 0x8000 | 0x3000 | 0x0400 | 0x00f0 | 0x000f;
const VERSION: u16 = 2;
const HAS_LENGTH: u16 = 0x4000;
const HAS_SEQUENCE: u16 = 0x0800;
const HAS_OFFSET: u16 = 0x0200;

pub fn inside(view: View<'_>, outer: Outer) -> Inside<'_> {
    let flags = view.be16(0)?;
    if flags & FIXED != VERSION {
        return None;
    }
    let mut header = 2;
    if flags & HAS_LENGTH != 0 {
        (u32::from(view.be16(header)?) == view.on_wire).then_some(())?;
        header += 2;
    }
    header += 4; // tunnel and session
    if flags & HAS_SEQUENCE != 0 {
        header += 4;
    }
    if flags & HAS_OFFSET != 0 {
        header += 2 + usize::from(view.be16(header)?);
    }
    Some((Layer::Ppp, view.skip(header)?, outer.enter(TunnelKind::L2tp, None)?))
}
