//! An IP address of either version in sixteen bytes.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 is held as IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2); the version stands in the flow key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address(pub [u8; 16]);

/// By octets from the first on; as numbers, since every packet asks which of its two is the lower one.
impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Address {
    pub fn v4(octets: [u8; 4]) -> Self {
        Self(Ipv4Addr::from(octets).to_ipv6_mapped().octets())
    }

    pub fn v6(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    pub fn ip(self) -> IpAddr {
        Ipv6Addr::from(self.0).to_canonical()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(formatter)
    }
}
