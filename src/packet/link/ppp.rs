//! PPP: with or without address and control, the protocol in one byte or two (RFC 1661 sections 2 and 6.5, RFC 1662 section 3.1).

use super::super::ip;
use super::super::view::View;
use super::super::walk::{Layer, Next};
use super::wan;

const ADDRESS_AND_CONTROL: [u8; 2] = [0xff, 0x03];

pub fn inside(view: View<'_>) -> Next<'_> {
    let view = if view.array(0) == Some(ADDRESS_AND_CONTROL) { view.skip(2)? } else { view };
    let first = view.u8(0)?;
    // The last byte of a protocol is odd, the byte before it even.
    let (protocol, content) = if first & 1 == 1 { (first.into(), view.skip(1)?) } else { (view.be16(0)?, view.skip(2)?) };
    Some((by_protocol(protocol), content))
}

/// PPP numbers of the IANA.
fn by_protocol(protocol: u16) -> Layer {
    match protocol {
        0x0021 | 0x0057 => Layer::Ip,
        0x0281 | 0x0283 => Layer::Mpls,
        // Compressed headers, parts of a multilink, encryption, compression: IP may be in it and is not read.
        0x002d | 0x002f | 0x003d | 0x0053 | 0x0055 | 0x00fb | 0x00fd => Layer::Undecoded,
        _ => Layer::NotIp,
    }
}

/// A serial line: PPP, or HDLC as Cisco has it.
pub fn framed(view: View<'_>) -> Next<'_> {
    match view.u8(0)? {
        wan::HDLC_UNICAST | wan::HDLC_MULTICAST => wan::cisco_hdlc(view),
        _ => Some((Layer::Ppp, view)),
    }
}

/// The kernel puts the direction where the address was: 0 received, 1 sent.
pub fn from_pppd(view: View<'_>) -> Next<'_> {
    let [_, control] = view.array(0)?;
    Some((Layer::Ppp, view.skip(if control == ADDRESS_AND_CONTROL[1] { 2 } else { 1 })?))
}

/// BSD/OS puts 24 bytes of its own in front; another system may write plain PPP under this number.
pub fn bsdos(view: View<'_>) -> Next<'_> {
    const HEADER_BYTES: usize = 24;
    match view.skip(HEADER_BYTES) {
        Some(content) if ip::is_plausible(content) => Some((Layer::Ip, content)),
        _ if view.array(0)? == ADDRESS_AND_CONTROL => Some((Layer::Ppp, view)),
        _ => Some((Layer::Undecoded, view)),
    }
}
