//! Lines between routers: HDLC as Cisco has it, Frame Relay, ATM as SunATM captures it.

use super::super::view::View;
use super::super::walk::{Layer, Next};
use super::{ethernet, llc};

pub const HDLC_UNICAST: u8 = 0x0f;
pub const HDLC_MULTICAST: u8 = 0x8f;
/// Unnumbered information (Q.922).
const UNNUMBERED: u8 = 0x03;
/// The address of Frame Relay ends with a byte that has this bit (Q.922 section 3.3.2).
const LAST_OF_ADDRESS: u8 = 0x01;
const NLPID_SNAP: u8 = 0x80;

/// Address, control, and an EtherType (LINKTYPE_C_HDLC).
pub fn cisco_hdlc(view: View<'_>) -> Next<'_> {
    Some(no_length(view.be16(2)?, view.skip(4)?))
}

/// Encapsulation of RFC 2427 section 3, or that of Cisco: an EtherType behind the address.
pub fn frame_relay(view: View<'_>) -> Next<'_> {
    let [a, b, c, d] = view.array(0)?;
    let ends = |byte: u8| byte & LAST_OF_ADDRESS != 0;
    let address = match (ends(a), ends(b), ends(c), ends(d)) {
        (false, true, ..) => 2,
        (false, false, true, _) => 3,
        (false, false, false, true) => 4,
        _ => return Some((Layer::Undecoded, view)),
    };
    let content = view.skip(address)?;
    if content.u8(0)? != UNNUMBERED {
        return Some(no_length(content.be16(0)?, content.skip(2)?));
    }
    let padding = usize::from(content.u8(1)? == 0);
    let (nlpid, content) = (content.u8(1 + padding)?, content.skip(2 + padding)?);
    if nlpid == NLPID_SNAP { llc::snap(content) } else { Some((by_nlpid(nlpid), content)) }
}

/// ISO/IEC TR 9577.
pub fn by_nlpid(nlpid: u8) -> Layer {
    match nlpid {
        0xcc | 0x8e => Layer::Ip,
        0xcf => Layer::Ppp,
        _ => Layer::NotIp,
    }
}

/// Kind, VPI, VCI, then LLC or a frame of LAN emulation behind its header (LINKTYPE_SUNATM).
pub fn sunatm(view: View<'_>) -> Next<'_> {
    let [flags, ..] = view.array::<4>(0)?;
    let content = view.skip(4)?;
    match flags & 0x0f {
        1 if content.be16(0)? != 0xff00 => Some((Layer::Ethernet, content.skip(2)?)), // ff00 marks control frames
        2 => Some((Layer::Llc, content)),
        _ => Some((Layer::NotIp, content)),
    }
}

/// A field that is an EtherType and never a length.
fn no_length(value: u16, view: View<'_>) -> (Layer, View<'_>) {
    match ethernet::type_or_length(value, view) {
        (Layer::Llc, _) => (Layer::NotIp, view),
        next => next,
    }
}
