//! What makes two packets belong to the same flow.

use std::net::IpAddr;

use super::{Address, Side};

/// The transport of a flow by its IP protocol number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    pub const ICMP: Self = Self(1);
    pub const TCP: Self = Self(6);
    pub const UDP: Self = Self(17);
    pub const ICMP6: Self = Self(58);
    pub const SCTP: Self = Self(132);
}

/// Both ends of a flow in a fixed order, so that either direction gives the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    pub low: Address,
    pub high: Address,
    pub low_port: u16,
    pub high_port: u16,
    pub protocol: Protocol,
    /// 4 or 6.
    pub ip_version: u8,
    /// Interfaces of one file are sources of their own: their flows never meet.
    pub interface: u16,
    /// What both directions share of the tunnels around the packet: 0 without network identifier or key, else a hash of them.
    pub tunnel: u32,
}

impl FlowKey {
    /// The key and the side that sent, of a packet from `source` to `destination` outside any tunnel.
    pub fn new(protocol: Protocol, ip_version: u8, interface: u16, source: (Address, u16), destination: (Address, u16)) -> (Self, Side) {
        let (low, high, sender) = if source <= destination { (source, destination, Side::Low) } else { (destination, source, Side::High) };
        (Self { low: low.0, high: high.0, low_port: low.1, high_port: high.1, protocol, ip_version, interface, tunnel: 0 }, sender)
    }

    pub fn address(&self, side: Side) -> Address {
        match side {
            Side::Low => self.low,
            Side::High => self.high,
        }
    }

    /// The address as people write it; an IPv4-mapped address of IPv6 stays one.
    pub fn ip(&self, side: Side) -> IpAddr {
        match self.ip_version {
            6 => IpAddr::V6(self.address(side).0.into()),
            _ => self.address(side).ip(),
        }
    }

    pub fn port(&self, side: Side) -> u16 {
        match side {
            Side::Low => self.low_port,
            Side::High => self.high_port,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_of_ipv6_is_not_taken_for_ipv4() {
        let ends = ((Address::v4([192, 0, 2, 7]), 1), (Address::v4([198, 51, 100, 1]), 2));
        let (mapped, _) = FlowKey::new(Protocol::UDP, 6, 0, ends.0, ends.1);
        assert_eq!(mapped.ip(Side::Low).to_string(), "::ffff:192.0.2.7");
    }

    #[test]
    fn both_directions_share_a_key() {
        let (client, server) = ((Address::v4([192, 0, 2, 7]), 51_000), (Address::v4([198, 51, 100, 1]), 443));
        let (there, sender) = FlowKey::new(Protocol::TCP, 4, 0, client, server);
        let (back, answerer) = FlowKey::new(Protocol::TCP, 4, 0, server, client);
        assert_eq!(there, back);
        assert_eq!(answerer, sender.opposite());
        assert_eq!((there.address(sender), there.port(sender)), client);
    }
}
