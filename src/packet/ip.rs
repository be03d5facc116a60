//! IPv4 and IPv6: addresses, lengths on the wire, and whether the datagram is whole.

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice};

use crate::model::Address;

use super::view::View;

/// An IP datagram and what the capture holds of its payload.
pub(super) struct Datagram<'a> {
    pub version: u8,
    pub source: Address,
    pub destination: Address,
    pub ttl: u8,
    pub id: u16,
    pub dont_fragment: bool,
    pub protocol: u8,
    /// Set where this is a fragment only.
    pub part: Option<Part>,
    /// Bytes on the wire from the first byte of the IP header on.
    pub total_bytes: u32,
    /// IP header with options or extension headers.
    pub header_bytes: u32,
    /// Link-layer padding left out.
    pub payload: View<'a>,
}

/// Which part of a datagram a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub id: u32,
    /// Where its payload stands in that of the datagram.
    pub offset: u32,
    /// Whether more fragments follow behind it.
    pub more: bool,
}

/// Extension headers that are followed; more are no honest packet.
const EXTENSIONS_MAX: usize = 8;

/// The longest datagram whose length its header can state (RFC 791 section 3.1); longer ones state 0.
const STATED_MAX: u32 = 65_535;

/// The datagram at the start of the bytes.
#[inline]
pub(super) fn datagram(view: View<'_>) -> Option<Datagram<'_>> {
    match view.bytes.first()? >> 4 {
        4 => v4(view),
        6 => v6(view),
        _ => None,
    }
}

/// Whether the bytes begin with an IP header that fits them: version, header length, and a total length that is there.
pub(super) fn is_plausible(view: View<'_>) -> bool {
    stated(&view).is_some_and(|(header, total)| if total == 0 { view.on_wire > STATED_MAX } else { (header..=view.on_wire).contains(&total) })
}

/// The same, and nothing stands behind the datagram.
pub(super) fn fills(view: View<'_>) -> bool {
    is_plausible(view) && stated(&view).is_some_and(|(_, total)| total == view.on_wire)
}

/// Bytes of the header, which the capture holds, and of all the datagram as the header states it; 0 where it states none.
fn stated(view: &View<'_>) -> Option<(u32, u32)> {
    let first = view.u8(0)?;
    let (header, total) = match (first >> 4, view.be16(2)?, view.be16(4)?) {
        (4, total, _) => (u32::from(first & 0x0f) * 4, total.into()),
        (6, _, 0) if view.u8(6)? != IpNumber::IPV6_NO_NEXT_HEADER.0 => (40, 0),
        (6, _, payload) => (40, 40 + u32::from(payload)),
        _ => return None,
    };
    (header >= 20 && view.bytes.len() >= header as usize).then_some((header, total))
}

fn v4(view: View<'_>) -> Option<Datagram<'_>> {
    let header = Ipv4HeaderSlice::from_slice(view.bytes).ok()?;
    let header_bytes = header.slice().len() as u32;
    let total_bytes = stated_or(view.on_wire, u32::from(header.total_len()), header_bytes);
    let part = header.is_fragmenting_payload().then(|| Part {
        id: header.identification().into(),
        offset: u32::from(header.fragments_offset().value()) * 8,
        more: header.more_fragments(),
    });
    let (mut protocol, mut payload) = (header.protocol(), view.skip(header_bytes as usize)?.claim(total_bytes - header_bytes));
    if protocol == IpNumber::AUTHENTICATION_HEADER && part.is_none() {
        let upper = upper_layer(protocol, payload.bytes)?; // it proves who sent the rest, which stands behind it in clear (RFC 4302)
        (protocol, payload) = (upper.protocol, payload.skip(upper.skipped as usize)?);
    }
    Some(Datagram {
        version: 4,
        source: Address::v4(header.source()),
        destination: Address::v4(header.destination()),
        ttl: header.ttl(),
        id: header.identification(),
        dont_fragment: header.dont_fragment(),
        protocol: protocol.0,
        part,
        total_bytes,
        header_bytes,
        payload,
    })
}

/// The length that the header states. Zero stands in packets captured before the network card segmented them: then the link layer's length holds.
fn stated_or(on_wire: u32, stated: u32, header_bytes: u32) -> u32 {
    if stated == 0 { on_wire.max(header_bytes) } else { stated.max(header_bytes) }
}

fn v6(view: View<'_>) -> Option<Datagram<'_>> {
    let header = Ipv6HeaderSlice::from_slice(view.bytes).ok()?;
    let fixed = header.slice().len() as u32;
    let total_bytes = match u32::from(header.payload_length()) {
        0 if header.next_header() != IpNumber::IPV6_NO_NEXT_HEADER => view.on_wire.max(fixed),
        stated => fixed + stated,
    };
    let inside = view.skip(fixed as usize)?.claim(total_bytes - fixed);
    let upper = upper_layer(header.next_header(), inside.bytes)?;
    let header_bytes = fixed + upper.skipped;
    Some(Datagram {
        version: 6,
        source: Address::v6(header.source()),
        destination: Address::v6(header.destination()),
        ttl: header.hop_limit(),
        id: 0,
        dont_fragment: true,
        protocol: upper.protocol.0,
        part: upper.part,
        total_bytes,
        header_bytes,
        payload: inside.skip(upper.skipped as usize)?,
    })
}

struct UpperLayer {
    protocol: IpNumber,
    skipped: u32,
    part: Option<Part>,
}

/// Walks the extension headers (RFC 8200 section 4). None where the capture ends inside one of them.
fn upper_layer(mut protocol: IpNumber, mut bytes: &[u8]) -> Option<UpperLayer> {
    let (all, mut part) = (bytes.len(), None);
    for _ in 0..EXTENSIONS_MAX {
        let length = if protocol == IpNumber::IPV6_FRAGMENTATION_HEADER {
            let fragment = Ipv6FragmentHeaderSlice::from_slice(bytes).ok()?;
            protocol = fragment.next_header();
            if fragment.is_fragmenting_payload() {
                let offset = u32::from(fragment.fragment_offset().value()) * 8;
                part = Some(Part { id: fragment.identification(), offset, more: fragment.more_fragments() });
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
        bytes = bytes.get(length..)?;
        if part.is_some() {
            break;
        }
    }
    Some(UpperLayer { protocol, skipped: (all - bytes.len()) as u32, part })
}
