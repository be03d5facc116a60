//! IP over InfiniBand (LINKTYPE_IPOIB): 40 bytes of global route header, then EtherType and two reserved bytes (RFC 4391 section 6).

use super::super::view::View;
use super::super::walk::Next;
use super::ethernet::type_or_length;

pub fn inside(view: View<'_>) -> Next<'_> {
    Some(type_or_length(view.be16(40)?, view.skip(44)?))
}
