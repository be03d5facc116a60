//! GTP user data: version 1 (3GPP TS 29.281 section 5), and version 0 (3GPP TS 29.060 release 98). The tunnel's identifier differs by direction.

use super::super::view::View;
use super::super::walk::{Layer, Outer};
use super::Inside;
use crate::model::words::TunnelKind;

/// Message type G-PDU, T-PDU in version 0.
const USER_DATA: u8 = 255;
/// Version 1, GTP and not GTP', the spare bit 0; three flags follow.
const VERSION_1: u8 = 0x30;
const HAS_EXTENSION: u8 = 0x04;
const HAS_ANY: u8 = 0x07;
/// Version 0, GTP, three spare bits 1; the last bit says that an LLC number is there.
const VERSION_0: u8 = 0x1e;
const VERSION_0_BYTES: usize = 20;
/// Extension headers that are passed over; a handful is defined.
const EXTENSIONS_MAX: usize = 8;

pub fn inside(view: View<'_>, outer: Outer) -> Inside<'_> {
    let [flags, kind] = view.array(0)?;
    if kind != USER_DATA {
        return None;
    }
    let content = if flags & !HAS_ANY == VERSION_1 {
        version_1(flags, view)?
    } else if flags & 0xfe == VERSION_0 {
        of_length(view, VERSION_0_BYTES)?.skip(VERSION_0_BYTES)?
    } else {
        return None;
    };
    Some((Layer::Ip, content, outer.enter(TunnelKind::GtpU, None)?))
}

/// The message, where its length is that of the datagram.
fn of_length(view: View<'_>, header: usize) -> Option<View<'_>> {
    let length = header as u32 + u32::from(view.be16(2)?);
    (length == view.on_wire).then_some(view)
}

/// Any of the three flags brings four bytes: sequence number, N-PDU number, type of the first extension.
fn version_1(flags: u8, view: View<'_>) -> Option<View<'_>> {
    let content = of_length(view, 8)?.skip(8)?;
    if flags & HAS_ANY == 0 {
        return Some(content);
    }
    let next = if flags & HAS_EXTENSION != 0 { content.u8(3)? } else { 0 };
    behind_extensions(next, content.skip(4)?)
}

/// Each states its length in words of four bytes, and ends with the type of the next one.
fn behind_extensions(mut next: u8, mut view: View<'_>) -> Option<View<'_>> {
    for _ in 0..EXTENSIONS_MAX {
        if next == 0 {
            return Some(view);
        }
        let length = usize::from(view.u8(0)?) * 4;
        next = view.u8(length.checked_sub(1)?)?;
        view = view.skip(length)?;
    }
    None
}
