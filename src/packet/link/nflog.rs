//! Packets that Netfilter logs (LINKTYPE_NFLOG): family, version 0, group, then attributes, of which one is the packet.

use super::super::view::View;
use super::super::walk::{Layer, Next};

/// NFULA_PAYLOAD of linux/netfilter/nfnetlink_log.h.
const PAYLOAD: u16 = 9;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Attributes that are passed over; the kernel knows some twenty.
const ATTRIBUTES_MAX: usize = 64;
/// Length and type of an attribute.
const HEADER_BYTES: u16 = 4;

pub fn inside(view: View<'_>) -> Next<'_> {
    let [family, version] = view.array(0)?;
    if version != 0 || !matches!(family, AF_INET | AF_INET6) {
        return Some((Layer::NotIp, view));
    }
    let attributes = view.skip(4)?;
    // Attributes are in the byte order of the host that captured. Lengths are small, so that in the wrong order the first is far too large.
    let swapped = attributes.le16(0)? > attributes.be16(0)?;
    payload(attributes, swapped)
}

fn payload(mut rest: View<'_>, swapped: bool) -> Next<'_> {
    let number = |view: &View<'_>, at| if swapped { view.be16(at) } else { view.le16(at) };
    for _ in 0..ATTRIBUTES_MAX {
        let (length, kind) = (number(&rest, 0)?, number(&rest, 2)?);
        if length < HEADER_BYTES {
            break;
        }
        if kind & 0x7fff == PAYLOAD {
            return Some((Layer::Ip, rest.skip(4)?.limit(u32::from(length - HEADER_BYTES))));
        }
        rest = rest.skip(usize::from(length).next_multiple_of(4))?;
    }
    Some((Layer::Undecoded, rest))
}
