//! Linux cooked captures, as of the interface "any" (LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2).

use super::super::view::View;
use super::super::walk::{Layer, Next};
use super::ethernet::type_or_length;

/// Netlink messages: their protocol field is a family of Netlink (ARPHRD_NETLINK).
const NETLINK: u16 = 824;
/// Protocols that are no EtherTypes (ETH_P_802_2).
const LLC: u16 = 4;

pub fn version_1(view: View<'_>) -> Next<'_> {
    by_protocol(view.be16(2)?, view.be16(14)?, view.skip(16)?)
}

pub fn version_2(view: View<'_>) -> Next<'_> {
    by_protocol(view.be16(8)?, view.be16(0)?, view.skip(20)?)
}

fn by_protocol(hardware: u16, protocol: u16, content: View<'_>) -> Next<'_> {
    Some(match (hardware, type_or_length(protocol, content)) {
        (NETLINK, _) => (Layer::NotIp, content),
        (_, (Layer::Llc, _)) if protocol == LLC => (Layer::Llc, content),
        (_, (Layer::Llc, _)) => (Layer::NotIp, content),
        (_, next) => next,
    })
}
