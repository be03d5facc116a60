//! IPv4 and IPv6: addresses, lengths on the wire, and whether the datagram is whole.

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice};

use crate::model::Address;

/// An IP datagram and what the capture holds of its payload.
pub(super) struct Datagram<'a> {
    pub version: u8,
    pub source: Address,
    pub destination: Address,
    pub ttl: u8,
    pub id: u16,
    pub dont_fragment: bool,
    pub protocol: u8,
    pub whole: Whole,
    /// Bytes on the wire from the first byte of the IP header on.
    pub total_bytes: u32,
    /// IP header with options or extension headers.
    pub header_bytes: u32,
    /// Payload bytes on the wire.
    pub payload_bytes: u32,
    /// Payload bytes in the capture, link-layer padding left out.
    pub payload: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Datagram,
    Fragment,
}

/// Extension headers that are followed; more are no honest packet.
const EXTENSIONS_MAX: usize = 8;

/// The datagram at the start of `bytes`, of which the link layer carried `on_wire` bytes.
pub(super) fn datagram(bytes: &[u8], on_wire: u32) -> Option<Datagram<'_>> {
    match bytes.first()? >> 4 {
        4 => v4(bytes, on_wire),
        6 => v6(bytes, on_wire),
        _ => None,
    }
}

fn v4(bytes: &[u8], on_wire: u32) -> Option<Datagram<'_>> {
    let header = Ipv4HeaderSlice::from_slice(bytes).ok()?;
    let header_bytes = header.slice().len() as u32;
    let total_bytes = stated_or(on_wire, u32::from(header.total_len()), header_bytes);
    Some(Datagram {
        version: 4,
        source: Address::v4(header.source()),
        destination: Address::v4(header.destination()),
        ttl: header.ttl(),
        id: header.identification(),
        dont_fragment: header.dont_fragment(),
        protocol: header.protocol().0,
        whole: if header.is_fragmenting_payload() { Whole::Fragment } else { Whole::Datagram },
        total_bytes,
        header_bytes,
        payload_bytes: total_bytes - header_bytes,
        payload: captured(bytes, header_bytes, total_bytes),
    })
}

/// The length that the header states. Zero stands in packets captured before the network card segmented them: then the link layer's length holds.
fn stated_or(on_wire: u32, stated: u32, header_bytes: u32) -> u32 {
    if stated <= header_bytes && stated == 0 { on_wire.max(header_bytes) } else { stated.max(header_bytes) }
}

fn captured(bytes: &[u8], from: u32, to: u32) -> &[u8] {
    let end = bytes.len().min(to as usize);
    bytes.get(from as usize..end).unwrap_or_default()
}

fn v6(bytes: &[u8], on_wire: u32) -> Option<Datagram<'_>> {
    let header = Ipv6HeaderSlice::from_slice(bytes).ok()?;
    let fixed = header.slice().len() as u32;
    let total_bytes = match u32::from(header.payload_length()) {
        0 if header.next_header() != IpNumber::IPV6_NO_NEXT_HEADER => on_wire.max(fixed),
        stated => fixed + stated,
    };
    let upper = upper_layer(header.next_header(), captured(bytes, fixed, total_bytes))?;
    let header_bytes = fixed + upper.skipped;
    Some(Datagram {
        version: 6,
        source: Address::v6(header.source()),
        destination: Address::v6(header.destination()),
        ttl: header.hop_limit(),
        id: 0,
        dont_fragment: true,
        protocol: upper.protocol.0,
        whole: upper.whole,
        total_bytes,
        header_bytes,
        payload_bytes: total_bytes.saturating_sub(header_bytes),
        payload: captured(bytes, header_bytes, total_bytes),
    })
}

struct UpperLayer {
    protocol: IpNumber,
    skipped: u32,
    whole: Whole,
}

/// Walks the extension headers (RFC 8200 section 4). None where the capture ends inside one of them.
fn upper_layer(mut protocol: IpNumber, mut bytes: &[u8]) -> Option<UpperLayer> {
    let (all, mut whole) = (bytes.len(), Whole::Datagram);
    for _ in 0..EXTENSIONS_MAX {
        let length = if protocol == IpNumber::IPV6_FRAGMENTATION_HEADER {
            let fragment = Ipv6FragmentHeaderSlice::from_slice(bytes).ok()?;
            protocol = fragment.next_header();
            if fragment.is_fragmenting_payload() {
                whole = Whole::Fragment;
            }
            fragment.slice().len()
        } else if protocol == IpNumber::AUTHENTICATION_HEADER {
            let header = etherparse::IpAuthHeaderSlice::from_slice(bytes).ok()?;
            protocol = header.next_header();
            header.slice().len()
        } else if Ipv6RawExtHeaderSlice::header_type_supported(protocol) {
            let extension = Ipv6RawExtHeaderSlice::from_slice(bytes).ok()?;
            protocol = extension.next_header();
            extension.slice().len()
        } else {
            break;
        };
        bytes = &bytes[length..];
        if whole == Whole::Fragment {
            break;
        }
    }
    Some(UpperLayer { protocol, skipped: (all - bytes.len()) as u32, whole })
}
