//! Link layers: from the first byte of a record towards the network layer, one file per family.
//! Link types are those of the pcap registry (<https://www.tcpdump.org/linktypes.html>) and, up to 16, numbers that BSD kernels write into files.

mod bsd;
mod cooked;
mod dsa;
pub(super) mod ether_type;
pub(super) mod ethernet;
mod infiniband;
mod juniper;
pub(super) mod llc;
pub(super) mod mpls;
mod nflog;
pub(super) mod nsh;
pub(super) mod ppp;
mod radio;
mod ring;
mod slip;
mod tap;
mod wan;
pub(super) mod wlan;

use super::view::View;
use super::walk::{Layer, Next};

const NULL: u16 = 0;
const ETHERNET: u16 = 1;
const TOKEN_RING: u16 = 6;
const SLIP: u16 = 8;
const PPP: u16 = 9;
const FDDI: u16 = 10;
const RFC1483: u16 = 11;
const RAW_BSD: u16 = 12;
const RAW_OPENBSD: u16 = 14;
const SLIP_BSDOS: u16 = 15;
const PPP_BSDOS: u16 = 16;
const PPP_HDLC: u16 = 50;
const PPPOE: u16 = 51;
const RFC1483_REGISTERED: u16 = 100;
const RAW: u16 = 101;
const CISCO_HDLC: u16 = 104;
const WLAN: u16 = 105;
const FRAME_RELAY: u16 = 107;
const LOOP: u16 = 108;
const ENC: u16 = 109;
const LINUX_SLL: u16 = 113;
const PFLOG: u16 = 117;
const PRISM: u16 = 119;
const FIBRE_CHANNEL: u16 = 122;
const SUNATM: u16 = 123;
const RADIOTAP: u16 = 127;
const FIREWIRE: u16 = 138;
const PKTAP_USER2: u16 = 149;
const AVS: u16 = 163;
const PPP_PPPD: u16 = 166;
const JUNIPER_ETHERNET: u16 = 178;
const JUNIPER_PPP: u16 = 179;
const JUNIPER_FRAME_RELAY: u16 = 180;
const JUNIPER_CISCO_HDLC: u16 = 181;
const PPI: u16 = 192;
const ERF: u16 = 197;
const PPP_WITH_DIRECTION: u16 = 204;
const IPNET: u16 = 226;
const IPV4: u16 = 228;
const IPV6: u16 = 229;
const NFLOG: u16 = 239;
const NETANALYZER: u16 = 240;
const NETANALYZER_TRANSPARENT: u16 = 241;
const IPOIB: u16 = 242;
const PKTAP: u16 = 258;
const ETHERNET_MPACKET: u16 = 274;
const LINUX_SLL2: u16 = 276;
const DSA_BROADCOM: u16 = 281;
const DSA_BROADCOM_PREPENDED: u16 = 282;
const DSA_MARVELL: u16 = 283;
const DSA_MARVELL_ETHERTYPE: u16 = 284;

/// What stands behind the header of a link type; none where the record is too short.
#[inline]
pub(super) fn inside(link_type: u16, view: View<'_>) -> Next<'_> {
    match link_type {
        ETHERNET => ethernet::inside(view),
        RAW | RAW_BSD | RAW_OPENBSD | IPV4 | IPV6 => Some((by_ip_version(view)?, view)),
        NULL | LOOP => bsd::loopback(view),
        ENC => bsd::enc(view),
        PFLOG => bsd::pflog(view),
        IPNET => bsd::ipnet(view),
        PKTAP | PKTAP_USER2 => bsd::pktap(view),
        LINUX_SLL => cooked::version_1(view),
        LINUX_SLL2 => cooked::version_2(view),
        NFLOG => nflog::inside(view),
        PPP | PPP_HDLC => ppp::framed(view),
        PPP_PPPD => ppp::from_pppd(view),
        PPP_WITH_DIRECTION => Some((Layer::Ppp, view.skip(1)?)),
        PPP_BSDOS => ppp::bsdos(view),
        PPPOE => Some((Layer::EtherType(ether_type::PPPOE_SESSION), view)),
        SLIP => slip::inside(view),
        SLIP_BSDOS => slip::bsdos(view),
        CISCO_HDLC => wan::cisco_hdlc(view),
        FRAME_RELAY => wan::frame_relay(view),
        RFC1483 | RFC1483_REGISTERED => Some((Layer::Llc, view)),
        SUNATM => wan::sunatm(view),
        FDDI => ring::fddi(view),
        TOKEN_RING => ring::token_ring(view),
        WLAN => Some((radio::PLAIN_WLAN, view)),
        RADIOTAP => radio::radiotap(view),
        PRISM => radio::prism(view),
        AVS => radio::avs(view),
        PPI => radio::ppi(view),
        JUNIPER_ETHERNET | JUNIPER_PPP | JUNIPER_FRAME_RELAY | JUNIPER_CISCO_HDLC => juniper::inside(link_type, view),
        IPOIB => infiniband::inside(view),
        ERF => tap::erf(view),
        FIBRE_CHANNEL => tap::fibre_channel(view),
        FIREWIRE => tap::firewire(view),
        NETANALYZER => Some((Layer::Ethernet, view.skip(4)?)),
        NETANALYZER_TRANSPARENT => Some((Layer::Ethernet, view.skip(12)?)), // preamble and start of frame as well
        ETHERNET_MPACKET => Some((Layer::Ethernet, view.skip(8)?)),         // preamble (IEEE 802.3br)
        DSA_BROADCOM => dsa::broadcom(view),
        DSA_BROADCOM_PREPENDED => Some((Layer::Ethernet, view.skip(dsa::BROADCOM_BYTES)?)),
        DSA_MARVELL => dsa::marvell(view, dsa::ADDRESSES_BYTES),
        DSA_MARVELL_ETHERTYPE => dsa::marvell(view, dsa::ADDRESSES_BYTES + 4),
        _ => Some((Layer::Undecoded, view)),
    }
}

/// For layers that say nothing of what they carry but that it is IP.
fn by_ip_version(view: View<'_>) -> Option<Layer> {
    Some(if matches!(view.u8(0)? >> 4, 4 | 6) { Layer::Ip } else { Layer::NotIp })
}

#[cfg(test)]
pub(super) mod tests;
