//! Headers that Juniper routers put in front of a frame: magic, flags, and an extension where a flag says so.

use super::super::ip;
use super::super::view::View;
use super::super::walk::{Layer, Next};
use super::{JUNIPER_CISCO_HDLC, JUNIPER_FRAME_RELAY, JUNIPER_PPP, wan};

const MAGIC: [u8; 3] = *b"MGC";
const HAS_EXTENSION: u8 = 0x80;
/// No link layer: four bytes name the protocol instead.
const NO_LINK_LAYER: u8 = 0x02;

pub fn inside(link_type: u16, view: View<'_>) -> Next<'_> {
    let [a, b, c, flags] = view.array(0)?;
    if [a, b, c] != MAGIC {
        return Some((Layer::Undecoded, view));
    }
    let extension = if flags & HAS_EXTENSION != 0 { 2 + usize::from(view.be16(4)?) } else { 0 };
    let frame = view.skip(4 + extension)?;
    if flags & NO_LINK_LAYER != 0 {
        let content = frame.skip(4)?;
        return Some((if ip::is_plausible(content) { Layer::Ip } else { Layer::Undecoded }, content));
    }
    match link_type {
        JUNIPER_PPP => Some((Layer::Ppp, frame)),
        JUNIPER_FRAME_RELAY => wan::frame_relay(frame),
        JUNIPER_CISCO_HDLC => wan::cisco_hdlc(frame),
        _ => Some((Layer::Ethernet, frame)),
    }
}
