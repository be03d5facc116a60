//! Headers that BSD kernels, macOS and Solaris put in front: loopback, packet filter log, IPsec interface, process tap.

use super::super::view::View;
use super::super::walk::{Layer, Next};
use super::by_ip_version;

/// AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 24, 28 and 30 on the BSDs and macOS, 26 on Solaris.
fn by_family(family: u32) -> Layer {
    if matches!(family, 2 | 10 | 24 | 26 | 28 | 30) { Layer::Ip } else { Layer::NotIp }
}

/// The address family, in the byte order of the capturing host (LINKTYPE_NULL) or of the network (LINKTYPE_LOOP).
pub fn loopback(view: View<'_>) -> Next<'_> {
    let family = view.le32(0)?.min(view.be32(0)?);
    Some((by_family(family), view.skip(4)?))
}

/// Family in the host's byte order, SPI, flags (LINKTYPE_ENC).
pub fn enc(view: View<'_>) -> Next<'_> {
    let family = view.le32(0)?.min(view.be32(0)?);
    Some((by_family(family), view.skip(12)?))
}

/// Length of the header, family, and what rule matched (LINKTYPE_PFLOG); the header is filled up to four bytes.
pub fn pflog(view: View<'_>) -> Next<'_> {
    let [length, family] = view.array(0)?;
    let content = view.skip(usize::from(length).next_multiple_of(4))?;
    match by_family(family.into()) {
        Layer::Ip => Some((by_ip_version(content)?, content)),
        other => Some((other, content)),
    }
}

/// Version 1 of Solaris: family, hook, length, interfaces and zones (LINKTYPE_IPNET).
pub fn ipnet(view: View<'_>) -> Next<'_> {
    let [version, family] = view.array(0)?;
    let layer = if version == 1 { by_family(family.into()) } else { Layer::Undecoded };
    Some((layer, view.skip(24)?))
}

/// Header length, kind of record, link type, then names and processes (LINKTYPE_PKTAP). It also goes by a number free for anyone (USER2).
pub fn pktap(view: View<'_>) -> Next<'_> {
    const HEADER_BYTES_MIN: u32 = 108;
    const HEADER_BYTES_MAX: u32 = 1_024; // by design: the second version has some 200
    const HAS_PACKET: u32 = 1;
    let (length, kind, link_type) = (view.le32(0)?, view.le32(4)?, view.le32(8)?);
    let content = view.skip(length as usize);
    match (content, u16::try_from(link_type)) {
        (Some(content), Ok(link_type)) if (HEADER_BYTES_MIN..=HEADER_BYTES_MAX).contains(&length) && kind == HAS_PACKET => {
            Some((Layer::Link(link_type), content))
        }
        _ => Some((Layer::Undecoded, view)),
    }
}
