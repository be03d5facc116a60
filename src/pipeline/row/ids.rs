//! What a flow is known by, here and in other tools.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::model::{FlowKey, Protocol, SeqNumber, Side, Timestamp};

use super::has_ports;

/// 63 bits over source, key, start and first sequence number.
pub fn flow_id(source: &str, key: &FlowKey, start: Timestamp, first_seq: Option<SeqNumber>) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(source.as_bytes()).update(&[0]).update(&key.low.0).update(&key.high.0);
    hasher.update(&key.low_port.to_be_bytes()).update(&key.high_port.to_be_bytes()).update(&[key.protocol.0]);
    hasher.update(&start.0.to_be_bytes()).update(&first_seq.map_or(0, |seq| seq.0).to_be_bytes());
    if key.tunnel != 0 {
        hasher.update(&key.tunnel.to_be_bytes());
    }
    let hash = hasher.finalize();
    let bytes = hash.as_bytes().first_chunk().copied().unwrap_or_default();
    i64::from_be_bytes(bytes) & i64::MAX
}

/// Community ID v1 with seed 0 (<https://github.com/corelight/community-id-spec>).
pub fn community_id(key: &FlowKey, first_sender: Side) -> String {
    let end = |side| (address_bytes(key, side), key.port(side));
    let (one, other) = (end(first_sender), end(first_sender.opposite()));
    // One-way ICMP messages keep their direction, all else is ordered.
    let (one, other) = if one <= other || is_one_way_icmp(key, first_sender) { (one, other) } else { (other, one) };
    let mut hasher = Sha1::new();
    hasher.update([0, 0]);
    hasher.update(&one.0);
    hasher.update(&other.0);
    hasher.update([key.protocol.0, 0]);
    if has_ports(key.protocol) || matches!(key.protocol, Protocol::ICMP | Protocol::ICMP6) {
        hasher.update(one.1.to_be_bytes());
        hasher.update(other.1.to_be_bytes());
    }
    format!("1:{}", STANDARD.encode(hasher.finalize()))
}

fn address_bytes(key: &FlowKey, side: Side) -> Vec<u8> {
    let address = key.address(side);
    if key.ip_version == 4 { address.0[12..].to_vec() } else { address.0.to_vec() }
}

/// Types without a counterpart: then the second "port" is a code.
pub fn is_one_way_icmp(key: &FlowKey, first_sender: Side) -> bool {
    let kind = key.port(first_sender);
    match key.protocol {
        Protocol::ICMP => !matches!(kind, 0 | 8..=10 | 13..=18),
        Protocol::ICMP6 => !matches!(kind, 128..=131 | 133..=136 | 139 | 140 | 144 | 145),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Address;

    /// The id of a flow whose first packet went from one end to the other; the ends of ICMP have type and counterpart for ports.
    fn id(protocol: Protocol, source: (&str, u16), destination: (&str, u16)) -> String {
        let address = |text: &str| match text.parse().expect("an address") {
            std::net::IpAddr::V4(address) => (Address::v4(address.octets()), 4),
            std::net::IpAddr::V6(address) => (Address::v6(address.octets()), 6),
        };
        let ((from, version), (to, _)) = (address(source.0), address(destination.0));
        let (key, sender) = FlowKey::new(protocol, version, 0, (from, source.1), (to, destination.1));
        community_id(&key, sender)
    }

    /// The published test vectors (<https://github.com/corelight/community-id-spec>), seed 0.
    #[test]
    fn flows_have_the_community_id_that_other_tools_give_them() {
        let tcp = (("128.232.110.120", 34_855), ("66.35.250.204", 80));
        assert_eq!(id(Protocol::TCP, tcp.0, tcp.1), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        let udp = (("192.168.1.52", 54_585), ("8.8.8.8", 53));
        assert_eq!(id(Protocol::UDP, udp.0, udp.1), "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
        let sctp = (("192.168.170.8", 7), ("192.168.170.56", 80));
        assert_eq!(id(Protocol::SCTP, sctp.0, sctp.1), "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ=");
        let ping = (("192.168.0.89", 8), ("192.168.0.1", 0));
        assert_eq!(id(Protocol::ICMP, ping.0, ping.1), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
        let solicitation = (("fe80::200:86ff:fe05:80da", 135), ("fe80::260:97ff:fe07:69ea", 136));
        assert_eq!(id(Protocol::ICMP6, solicitation.0, solicitation.1), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=");
        for (protocol, (one, other)) in
            [(Protocol::TCP, tcp), (Protocol::UDP, udp), (Protocol::SCTP, sctp), (Protocol::ICMP, ping), (Protocol::ICMP6, solicitation)]
        {
            assert_eq!(id(protocol, one, other), id(protocol, other, one), "either direction names the flow");
        }
    }

    #[test]
    fn messages_without_an_answer_keep_their_direction() {
        let unreachable = (("192.168.0.89", 3), ("192.168.0.1", 1));
        assert_ne!(id(Protocol::ICMP, unreachable.0, unreachable.1), id(Protocol::ICMP, ("192.168.0.1", 3), ("192.168.0.89", 1)));
    }
}
