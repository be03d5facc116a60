//! Connection ids: names by which packets find their connection whatever address they come from.

use std::fmt;
use std::ops::Deref;

/// Longest connection id (RFC 9000 section 17.2).
pub const CID_BYTES_MAX: usize = 20;

/// A connection id (RFC 9000 section 5.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    len: u8,
    bytes: [u8; CID_BYTES_MAX],
}

impl ConnectionId {
    /// None where there are more bytes than a connection id may have.
    pub fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; CID_BYTES_MAX];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { len: id.len() as u8, bytes })
    }
}

impl Deref for ConnectionId {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
