//! Headers of capture hardware and of rarer media: Endace ERF, netANALYZER, frame preemption, Fibre Channel, FireWire.

use super::super::view::View;
use super::super::walk::{Layer, Next};
use super::{ethernet, wan};

/// Endace ERF (LINKTYPE_ERF): time, kind of record, length on the wire; extensions of eight bytes each while the first bit says so.
pub fn erf(view: View<'_>) -> Next<'_> {
    const HEADER_BYTES: usize = 16;
    const EXTENSION_BYTES: usize = 8;
    const EXTENSIONS_MAX: usize = 8; // by design: cards write four at most
    const MORE: u8 = 0x80;
    let mut kind = view.u8(8)?;
    let record = kind & !MORE;
    let wire = view.be16(14)?;
    let mut content = view.skip(HEADER_BYTES)?;
    for _ in 0..EXTENSIONS_MAX {
        if kind & MORE == 0 {
            break;
        }
        kind = content.u8(0)?;
        content = content.skip(EXTENSION_BYTES)?;
    }
    match record {
        1 => wan::cisco_hdlc(content),
        2 | 11 | 16 => Some((Layer::Ethernet, content.skip(2)?.limit(wire.into()))), // two bytes of padding and offset
        22 | 23 => Some((Layer::Ip, content)),
        _ => Some((Layer::Undecoded, content)),
    }
}

/// RFC 4338 section 4: two addresses of eight bytes, then LLC (LINKTYPE_IP_OVER_FC).
pub fn fibre_channel(view: View<'_>) -> Next<'_> {
    Some((Layer::Llc, view.skip(16)?))
}

/// Two addresses of eight bytes, then the EtherType (LINKTYPE_APPLE_IP_OVER_IEEE1394).
pub fn firewire(view: View<'_>) -> Next<'_> {
    Some(ethernet::type_or_length(view.be16(16)?, view.skip(18)?))
}
