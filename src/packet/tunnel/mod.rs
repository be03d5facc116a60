//! Tunnels in IP: what a datagram carries, one file per protocol.
//!
//! An IP protocol number says what is inside. A UDP port proves nothing: there every fixed field of the tunnel's own header has to be right and the IP
//! header inside plausible, otherwise the datagram is what it seems, a packet of its own flow.

mod ayiya;
mod capwap;
mod geneve;
mod gre;
mod gtp;
mod l2tp;
mod lisp;
mod mpls;
mod pim;
mod teredo;
mod tzsp;
mod vxlan;

use super::ip::Datagram;
use super::view::View;
use super::walk::{Layer, Outer};
use crate::model::Protocol;
use crate::model::words::TunnelKind;

/// IP protocol numbers of the IANA.
const IPV4: u8 = 4;
const IPV6: u8 = 41;
const GRE: u8 = 47;
const PIM: u8 = 103;
const UDP: u8 = Protocol::UDP.0;

const UDP_HEADER_BYTES: usize = 8;

/// The layer inside a tunnel, its bytes, and the path to it; none where there is no tunnel.
type Inside<'a> = Option<(Layer, View<'a>, Outer)>;

#[inline]
pub(super) fn inside<'a>(datagram: &Datagram<'a>, outer: Outer) -> Inside<'a> {
    match datagram.protocol {
        UDP => in_udp(datagram.payload, outer),
        IPV4 => in_ip(datagram, 4, outer),
        IPV6 => in_ip(datagram, 6, outer),
        GRE => gre::inside(datagram.payload, outer),
        PIM => pim::inside(datagram.payload, outer),
        _ => None,
    }
}

fn in_ip<'a>(datagram: &Datagram<'a>, version: u8, outer: Outer) -> Inside<'a> {
    let kind = match (version, datagram.version) {
        (4, 4) => TunnelKind::Ipip,
        (6, 4) => TunnelKind::SixInFour,
        (4, _) => TunnelKind::FourInSix,
        _ => TunnelKind::SixInSix,
    };
    (datagram.payload.u8(0)? >> 4 == version).then_some(())?;
    Some((Layer::Ip, datagram.payload, outer.enter(kind, None)?))
}

#[inline]
fn in_udp(payload: View<'_>, outer: Outer) -> Inside<'_> {
    let (source, destination) = (payload.be16(0)?, payload.be16(2)?);
    let read = |port| by_port(port, payload, outer);
    read(destination).or_else(|| read(source))
}

/// Ports of the IANA registry; 8472 is what Linux took for VXLAN before there was one, 37008 that of TZSP by use.
#[inline]
fn by_port(port: u16, payload: View<'_>, outer: Outer) -> Inside<'_> {
    let inside = match port {
        1701 => l2tp::inside,
        2152 | 3386 => gtp::inside,
        3544 => teredo::inside,
        4341 => lisp::inside,
        4789 | 8472 => vxlan::inside,
        4790 => vxlan::with_next_protocol,
        5072 => ayiya::inside,
        5247 => capwap::inside,
        6081 => geneve::inside,
        6635 => mpls::inside,
        37_008 => tzsp::inside,
        _ => return None,
    };
    inside(payload.skip(UDP_HEADER_BYTES)?, outer.strict())
}

#[cfg(test)]
pub(super) mod tests;
