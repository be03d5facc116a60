//! What EtherTypes announce (IEEE 802 numbers of the IANA): tags in a row, tunnels of the second layer, IP in the end.

use super::super::view::View;
use super::super::walk::{Layer, Next, Outer};
use super::ethernet::type_or_length;
use crate::model::words::TunnelKind;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const PROVIDER_VLAN: u16 = 0x88a8;
/// VLAN tags of vendors from before IEEE 802.1ad.
const VENDOR_VLANS: [u16; 2] = [0x9100, 0x9200];
const TRANSPARENT_ETHERNET: u16 = 0x6558;
const MPLS: u16 = 0x8847;
const MPLS_MULTICAST: u16 = 0x8848;
pub const PPPOE_SESSION: u16 = 0x8864;
const CISCO_METADATA: u16 = 0x8909;
const BACKBONE: u16 = 0x88e7;
const MACSEC: u16 = 0x88e5;
const NSH: u16 = 0x894f;
const HSR: u16 = 0x892f;
const FABRIC_PATH: u16 = 0x8903;
const TRILL: u16 = 0x22f3;

pub fn inside<'a>(ether_type: u16, view: View<'a>, outer: &mut Outer) -> Next<'a> {
    match ether_type {
        IPV4 | IPV6 => Some((Layer::Ip, view)),
        VLAN | PROVIDER_VLAN => vlan(view, outer),
        _ if VENDOR_VLANS.contains(&ether_type) => vlan(view, outer),
        TRANSPARENT_ETHERNET => Some((Layer::Ethernet, view)),
        MPLS | MPLS_MULTICAST => Some((Layer::Mpls, view)),
        PPPOE_SESSION => pppoe(view, outer),
        CISCO_METADATA => cisco_metadata(view),
        BACKBONE => backbone(view, outer),
        MACSEC => macsec(view, outer),
        NSH => Some((Layer::Nsh, view)),
        HSR => Some(type_or_length(view.be16(4)?, view.skip(6)?)), // path and size, sequence number (IEC 62439-3 clause 5.7)
        FABRIC_PATH => fabric_path(view, outer),
        TRILL => trill(view, outer),
        _ => Some((Layer::NotIp, view)),
    }
}

/// IEEE 802.1Q clause 9.6: priority and VLAN, then the next type field.
fn vlan<'a>(view: View<'a>, outer: &mut Outer) -> Next<'a> {
    outer.vlan = Some(view.be16(0)? & 0x0fff);
    Some(type_or_length(view.be16(2)?, view.skip(4)?))
}

/// RFC 2516 section 4: version and type 1, code 0 in a session, session, length, then PPP.
fn pppoe<'a>(view: View<'a>, outer: &mut Outer) -> Next<'a> {
    let [version_and_type, code] = view.array(0)?;
    if (version_and_type, code) != (0x11, 0) {
        return Some((Layer::NotIp, view));
    }
    let length = view.be16(4)?;
    *outer = outer.enter(TunnelKind::Pppoe, None)?;
    Some((Layer::Ppp, view.skip(6)?.limit(length.into())))
}

/// Version 1, a number of options of four bytes each, then the next type field (as Cisco TrustSec devices send it).
fn cisco_metadata(view: View<'_>) -> Next<'_> {
    let [version, options] = view.array(0)?;
    if version != 1 {
        return Some((Layer::NotIp, view));
    }
    let type_at = 2 + usize::from(options) * 4;
    Some(type_or_length(view.be16(type_at)?, view.skip(type_at + 2)?))
}

/// IEEE 802.1Q clause 9.7: flags and service identifier, then the customer's frame.
fn backbone<'a>(view: View<'a>, outer: &mut Outer) -> Next<'a> {
    *outer = outer.enter(TunnelKind::Pbb, None)?;
    Some((Layer::Ethernet, view.skip(4)?))
}

/// IEEE 802.1AE clause 9: bit E says that the content is encrypted, bit C that it was changed.
fn macsec<'a>(view: View<'a>, outer: &mut Outer) -> Next<'a> {
    const CHANGED: u8 = 0x0c;
    const HAS_CHANNEL: u8 = 0x20;
    const INTEGRITY_BYTES: u32 = 16; // of the default cipher suites (clause 14.5)
    let [control, short_length] = view.array(0)?;
    if control & CHANGED != 0 {
        return Some((Layer::Undecoded, view));
    }
    let header = if control & HAS_CHANNEL != 0 { 14 } else { 6 };
    let content = view.skip(header)?;
    let length = match short_length & 0x3f {
        0 => content.on_wire.saturating_sub(INTEGRITY_BYTES),
        short => short.into(),
    };
    *outer = outer.enter(TunnelKind::Macsec, None)?;
    let content = content.limit(length);
    Some(type_or_length(content.be16(0)?, content.skip(2)?))
}

/// A tag with tree and TTL, then the frame (as Cisco switches send it).
fn fabric_path<'a>(view: View<'a>, outer: &mut Outer) -> Next<'a> {
    *outer = outer.enter(TunnelKind::FabricPath, None)?;
    Some((Layer::Ethernet, view.skip(2)?))
}

/// RFC 6325 section 3: version 0, options in words of four bytes, two nicknames, then the frame.
fn trill<'a>(view: View<'a>, outer: &mut Outer) -> Next<'a> {
    let flags = view.be16(0)?;
    if flags >> 14 != 0 {
        return Some((Layer::NotIp, view));
    }
    let options = usize::from((flags >> 6) & 0x1f) * 4;
    *outer = outer.enter(TunnelKind::Trill, None)?;
    Some((Layer::Ethernet, view.skip(6 + options)?))
}
