//! Tags that switch chips put between addresses and type field (Linux DSA).

use super::super::view::View;
use super::super::walk::Next;
use super::ethernet::type_or_length;

/// Destination and source address.
pub const ADDRESSES_BYTES: usize = 12;
pub const BROADCOM_BYTES: usize = 4;

/// Four bytes behind the addresses (LINKTYPE_DSA_TAG_BRCM).
pub fn broadcom(view: View<'_>) -> Next<'_> {
    let type_at = ADDRESSES_BYTES + BROADCOM_BYTES;
    Some(type_or_length(view.be16(type_at)?, view.skip(type_at + 2)?))
}

/// Four bytes (LINKTYPE_DSA_TAG_DSA), behind an EtherType of their own and two bytes (LINKTYPE_DSA_TAG_EDSA). The tag stands where a VLAN tag stood.
pub fn marvell(view: View<'_>, tag_at: usize) -> Next<'_> {
    let type_at = tag_at + 4;
    Some(type_or_length(view.be16(type_at)?, view.skip(type_at + 2)?))
}
