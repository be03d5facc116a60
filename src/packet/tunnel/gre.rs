//! GRE: version 0 (RFC 2784, RFC 2890, RFC 1701), and version 1 as PPTP has it (RFC 2637 section 4.1).

use super::super::view::View;
use super::super::walk::{Layer, Outer};
use super::Inside;
use crate::model::words::TunnelKind;

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
/// Of version 1.
const ACKNOWLEDGEMENT: u16 = 0x0080;

const TRANSPARENT_ETHERNET: u16 = 0x6558;
const WCCP: u16 = 0x883e;
const PPP: u16 = 0x880b;
const ERSPAN: u16 = 0x88be;
const ERSPAN_3: u16 = 0x22eb;
/// Entries of a source route that are passed over (RFC 1701 section 3); nobody sends even one today.
const ROUTES_MAX: usize = 8;

pub fn inside(view: View<'_>, outer: Outer) -> Inside<'_> {
    let (flags, protocol) = (view.be16(0)?, view.be16(2)?);
    match flags & 0x0007 {
        0 => version_0(flags, protocol, view, outer),
        1 if protocol == PPP => pptp(flags, view, outer),
        _ => None,
    }
}

fn version_0(flags: u16, protocol: u16, view: View<'_>, outer: Outer) -> Inside<'_> {
    let mut header = if flags & (CHECKSUM | ROUTING) != 0 { 8 } else { 4 };
    let mut key = None;
    if flags & KEY != 0 {
        key = Some(view.be32(header)?);
        header += 4;
    }
    if flags & SEQUENCE != 0 {
        header += 4;
    }
    let mut content = view.skip(header)?;
    if flags & ROUTING != 0 {
        content = behind_routes(content)?;
    }
    if matches!(protocol, ERSPAN | ERSPAN_3) {
        return erspan(protocol, flags, content, outer);
    }
    let outer = outer.enter(TunnelKind::Gre, key.map(|key| network(protocol, key)))?;
    match protocol {
        WCCP => wccp(content, outer),
        _ if is_aruba(protocol) => Some((Layer::Wlan { padded: false, swapped: false }, content, outer.strict())),
        ether_type => Some((Layer::EtherType(ether_type), content, outer)),
    }
}

/// The part of a key that both directions share: NVGRE has a network of 24 bits and a number of the flow (RFC 7637 section 3.2).
/// Networks below 0x1000 are reserved, so that smaller keys are no NVGRE.
fn network(protocol: u16, key: u32) -> u32 {
    const NVGRE_MIN: u32 = 0x1000 << 8;
    if protocol == TRANSPARENT_ETHERNET && key >= NVGRE_MIN { key >> 8 } else { key }
}

/// Family, offset, length and so many bytes each; family and length 0 end the list.
fn behind_routes(mut view: View<'_>) -> Option<View<'_>> {
    for _ in 0..ROUTES_MAX {
        let (family, length) = (view.be16(0)?, view.u8(3)?);
        view = view.skip(4 + usize::from(length))?;
        if (family, length) == (0, 0) {
            return Some(view);
        }
    }
    None
}

/// Frames that a switch mirrors (draft-foschiano-erspan): type I has no header of its own, II has 8 bytes, III 12 and 8 more where a bit says so.
fn erspan(protocol: u16, flags: u16, view: View<'_>, outer: Outer) -> Inside<'_> {
    const HAS_PLATFORM: u8 = 0x01;
    let header = match protocol {
        ERSPAN_3 if view.u8(11)? & HAS_PLATFORM != 0 => 20,
        ERSPAN_3 => 12,
        _ if flags & SEQUENCE != 0 => 8,
        _ => 0,
    };
    Some((Layer::Ethernet, view.skip(header)?, outer.enter(TunnelKind::Erspan, None)?))
}

/// Requests that a router redirects to a cache: with or without a header of four bytes (draft-wilson-wrec-wccp-v2, section 4.12).
fn wccp(view: View<'_>, outer: Outer) -> Inside<'_> {
    let content = if view.u8(0)? >> 4 == 4 { view } else { view.skip(4)? };
    Some((Layer::Ip, content, outer.strict()))
}

/// Aruba access points send frames of 802.11 under protocol numbers of their own, one for each queue.
fn is_aruba(protocol: u16) -> bool {
    matches!(protocol, 0x8200..=0x83f0 if protocol & 0x000f == 0) || protocol == 0x9000
}

/// The key is length and call: the call has another number in each direction, so that it is no part of the flow.
fn pptp(flags: u16, view: View<'_>, outer: Outer) -> Inside<'_> {
    if flags & (CHECKSUM | ROUTING) != 0 || flags & KEY == 0 {
        return None;
    }
    let length = view.be16(4)?;
    let optional = if flags & SEQUENCE != 0 { 4 } else { 0 } + if flags & ACKNOWLEDGEMENT != 0 { 4 } else { 0 };
    let content = view.skip(8 + optional)?.limit(length.into());
    Some((Layer::Ppp, content, outer.enter(TunnelKind::Pptp, None)?.strict()))
}
