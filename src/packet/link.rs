//! Link layers: from the first byte of a record to the first byte of the network layer.
//! Link types are those of the pcap registry (<https://www.tcpdump.org/linktypes.html>).

use etherparse::{EtherType, Ethernet2HeaderSlice, SingleVlanHeaderSlice};

/// The network layer of a frame.
pub(super) struct Network<'a> {
    pub is_ip: bool,
    pub bytes: &'a [u8],
    /// The innermost VLAN.
    pub vlan: Option<u16>,
}

const NULL: u16 = 0;
const ETHERNET: u16 = 1;
const RAW_BSD: u16 = 12;
const RAW_OPENBSD: u16 = 14;
const RAW: u16 = 101;
const LOOP: u16 = 108;
const LINUX_SLL: u16 = 113;
const IPV4: u16 = 228;
const IPV6: u16 = 229;
const LINUX_SLL2: u16 = 276;

/// Tags in a row that are followed: QinQ has two, some providers stack three.
const VLAN_TAGS_MAX: usize = 4;
/// An EtherType below this is an IEEE 802.3 length (IEEE 802.3 clause 3.2.6).
const ETHER_TYPE_MIN: u16 = 0x0600;
/// LLC with SNAP and no vendor: an EtherType follows (RFC 1042).
const SNAP: [u8; 6] = [0xaa, 0xaa, 0x03, 0, 0, 0];

/// The network layer, or none where the frame is too short or its link type is not read.
pub(super) fn network(link_type: u16, frame: &[u8]) -> Option<Network<'_>> {
    match link_type {
        ETHERNET => {
            let header = Ethernet2HeaderSlice::from_slice(frame).ok()?;
            behind_ether_type(header.ether_type(), &frame[header.slice().len()..])
        }
        RAW | RAW_BSD | RAW_OPENBSD | IPV4 | IPV6 => by_ip_version(frame),
        // The address family is in the byte order of the capturing host (NULL) or of the network (LOOP).
        NULL | LOOP => address_family(frame.first_chunk()?, frame.get(4..)?),
        LINUX_SLL => behind_ether_type(ether_type_at(frame, 14)?, frame.get(16..)?),
        LINUX_SLL2 => behind_ether_type(ether_type_at(frame, 0)?, frame.get(20..)?),
        _ => None,
    }
}

fn ether_type_at(frame: &[u8], offset: usize) -> Option<EtherType> {
    let bytes = frame.get(offset..)?.first_chunk()?;
    Some(EtherType(u16::from_be_bytes(*bytes)))
}

fn behind_ether_type(mut ether_type: EtherType, mut bytes: &[u8]) -> Option<Network<'_>> {
    let mut vlan = None;
    for _ in 0..VLAN_TAGS_MAX {
        if !is_vlan_tag(ether_type) {
            break;
        }
        let tag = SingleVlanHeaderSlice::from_slice(bytes).ok()?;
        vlan = Some(tag.vlan_identifier().value());
        ether_type = tag.ether_type();
        bytes = &bytes[tag.slice().len()..];
    }
    if ether_type.0 < ETHER_TYPE_MIN && bytes.starts_with(&SNAP) {
        ether_type = ether_type_at(bytes, SNAP.len())?;
        bytes = &bytes[SNAP.len() + 2..];
    }
    Some(Network { is_ip: matches!(ether_type, EtherType::IPV4 | EtherType::IPV6), bytes, vlan })
}

fn is_vlan_tag(ether_type: EtherType) -> bool {
    matches!(ether_type, EtherType::VLAN_TAGGED_FRAME | EtherType::PROVIDER_BRIDGING | EtherType::VLAN_DOUBLE_TAGGED_FRAME)
}

fn by_ip_version(bytes: &[u8]) -> Option<Network<'_>> {
    let version = bytes.first()? >> 4;
    Some(Network { is_ip: matches!(version, 4 | 6), bytes, vlan: None })
}

/// AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 24, 28 and 30 on the BSDs and macOS.
fn address_family<'a>(family: &[u8; 4], bytes: &'a [u8]) -> Option<Network<'a>> {
    let (little, big) = (u32::from_le_bytes(*family), u32::from_be_bytes(*family));
    let is_ip = matches!(little.min(big), 2 | 10 | 24 | 28 | 30);
    Some(Network { is_ip, bytes, vlan: None })
}
