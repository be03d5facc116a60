//! VXLAN (RFC 7348 section 5), with the group policy of draft-smith-vxlan-group-policy, and with a next protocol (draft-ietf-nvo3-vxlan-gpe).

use super::super::link::nsh;
use super::super::view::View;
use super::super::walk::{Layer, Outer};
use super::Inside;
use crate::model::words::TunnelKind;

const HAS_NETWORK: u8 = 0x08;
const HAS_POLICY: u8 = 0x80;
const HAS_NEXT_PROTOCOL: u8 = 0x04;
/// Of the second byte, with a policy: do not learn, policy applied.
const POLICY_FLAGS: u8 = 0x48;

pub fn inside(view: View<'_>, outer: Outer) -> Inside<'_> {
    let [flags, policy_flags, a, b, .., last] = view.array::<8>(0)?;
    let reserved = match flags {
        HAS_NETWORK => [policy_flags, a, b] != [0, 0, 0],
        _ if flags == HAS_NETWORK | HAS_POLICY => policy_flags & !POLICY_FLAGS != 0,
        _ => return None,
    };
    if reserved || last != 0 {
        return None;
    }
    Some((Layer::Ethernet, view.skip(8)?, outer.enter(TunnelKind::Vxlan, view.be24(4))?))
}

pub fn with_next_protocol(view: View<'_>, outer: Outer) -> Inside<'_> {
    let [flags, a, b, next, .., last] = view.array::<8>(0)?;
    if flags != HAS_NETWORK | HAS_NEXT_PROTOCOL || [a, b, last] != [0, 0, 0] {
        return None;
    }
    Some((nsh::by_next_protocol(next), view.skip(8)?, outer.enter(TunnelKind::VxlanGpe, view.be24(4))?))
}
