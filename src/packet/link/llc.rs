//! Logical link control (IEEE 802.2) and SNAP (RFC 1042); NLPID as ATM has it (RFC 2684 section 5.2).

use super::super::view::View;
use super::super::walk::{Layer, Next};
use super::ethernet::type_or_length;
use super::wan;

/// DSAP and SSAP of SNAP, unnumbered information.
const SNAP: [u8; 3] = [0xaa, 0xaa, 0x03];
const IP: [u8; 3] = [0x06, 0x06, 0x03];
/// ISO: an NLPID follows.
const ISO: [u8; 3] = [0xfe, 0xfe, 0x03];
/// An EtherType follows, without vendor or as a bridge tunnels it (IEEE 802.1H).
const ETHER_TYPES: [[u8; 3]; 2] = [[0, 0, 0], [0, 0, 0xf8]];
/// A whole frame follows (RFC 2684 section 5.3).
const BRIDGED: [u8; 3] = [0x00, 0x80, 0xc2];

pub fn inside(view: View<'_>) -> Next<'_> {
    match view.array(0)? {
        SNAP => snap(view.skip(3)?),
        IP => Some((Layer::Ip, view.skip(3)?)),
        ISO => Some((wan::by_nlpid(view.u8(3)?), view.skip(4)?)),
        _ => Some((Layer::NotIp, view)),
    }
}

/// Organisation, and what that calls the protocol.
pub fn snap(view: View<'_>) -> Next<'_> {
    let (organisation, protocol, content) = (view.array(0)?, view.be16(3)?, view.skip(5)?);
    match (organisation, protocol) {
        (organisation, _) if ETHER_TYPES.contains(&organisation) => Some(match type_or_length(protocol, content) {
            (Layer::Llc, content) => (Layer::NotIp, content), // a SNAP header names a type, never a length
            next => next,
        }),
        (BRIDGED, 0x0001 | 0x0007) => Some((Layer::Ethernet, content.skip(2)?)), // two bytes of padding; with and without checksum
        _ => Some((Layer::NotIp, content)),
    }
}
