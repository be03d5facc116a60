//! Protocols without names, by the first payloads of a flow.
//! In:  the first bytes and sizes of either direction, who the client is, the ports.
//! Out: every protocol that they fit, the surest first, each with the id of its wire entry in the catalog.
//! Promises: one line per recogniser in `RECOGNISERS`; no recogniser looks at addresses.
//! Not here: what an address or a name adds to a weak sign (`service`).

use crate::model::words::AppProtocol;
use crate::model::{Direction, PerSide, Protocol, Side};

use super::{fully_encrypted, ike, messengers, mtproto, openvpn, ssh, wa_noise, wireguard};

/// As much of a first payload as any recogniser needs: the start block of obfuscated MTProto has 64 bytes.
pub const HEAD_BYTES: usize = 80;

/// First payload packets that are kept of each side.
pub const PAYLOADS_PER_SIDE: usize = 4;

/// The first payloads of a flow: what recognisers of protocols without names look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// TCP: up to [`HEAD_BYTES`] first bytes of each direction, in order. Of a connection whose start was not captured, weak answers mean nothing.
    pub streams: PerSide<Vec<u8>>,
    /// The first packets with payload in the order of the capture, at most [`PAYLOADS_PER_SIDE`] of each side.
    pub payloads: Vec<Payload>,
}

/// A packet with payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    pub sender: Side,
    /// Bytes on the wire.
    pub len: u32,
    /// UDP: up to [`HEAD_BYTES`] of them. TCP: none.
    pub bytes: Vec<u8>,
}

/// What the bytes prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Nothing else begins like this.
    Certain,
    /// An address, a port or a name has to support it.
    Weak,
}

/// A protocol that the first payloads fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recognised {
    pub protocol: AppProtocol,
    /// The wire entry of the catalog.
    pub id: &'static str,
    pub strength: Strength,
}

impl Recognised {
    pub(super) fn certain(protocol: AppProtocol, id: &'static str) -> Self {
        Self { protocol, id, strength: Strength::Certain }
    }

    pub(super) fn weak(protocol: AppProtocol, id: &'static str) -> Self {
        Self { protocol, id, strength: Strength::Weak }
    }

    /// Certain if, else weak.
    pub(super) fn certain_if(proven: bool, protocol: AppProtocol, id: &'static str) -> Self {
        if proven { Self::certain(protocol, id) } else { Self::weak(protocol, id) }
    }
}

/// The first payloads as seen by a recogniser: by direction, with the ports.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    heads: &'a Heads,
    client: Side,
    protocol: Protocol,
    ports: PerSide<u16>,
}

impl<'a> View<'a> {
    /// First bytes of a direction of TCP; none of other transports.
    pub(super) fn stream(&self, direction: Direction) -> &'a [u8] {
        if self.protocol == Protocol::TCP { &self.heads.streams[self.sender(direction)] } else { &[] }
    }

    /// Bytes of the first packet with payload of a direction of TCP.
    pub(super) fn first_len(&self, direction: Direction) -> usize {
        self.payloads().find(|(other, _)| *other == direction).map_or(0, |(_, payload)| payload.len as usize)
    }

    /// The first packets with payload in the order of the capture.
    pub(super) fn payloads(&self) -> impl Iterator<Item = (Direction, &'a Payload)> {
        let client = self.client;
        self.heads.payloads.iter().map(move |payload| (payload.sender.direction(client), payload))
    }

    /// First datagrams of a direction of UDP; none of other transports.
    pub(super) fn datagrams(&self, direction: Direction) -> impl Iterator<Item = &'a Payload> {
        let is_udp = self.protocol == Protocol::UDP;
        self.payloads().filter(move |(other, _)| is_udp && *other == direction).map(|(_, payload)| payload)
    }

    pub(super) fn server_port(&self) -> u16 {
        self.ports[self.client.opposite()]
    }

    fn sender(&self, direction: Direction) -> Side {
        match direction {
            Direction::ClientToServer => self.client,
            Direction::ServerToClient => self.client.opposite(),
        }
    }
}

type Recogniser = fn(&View<'_>) -> Option<Recognised>;

/// The order decides between equally sure ones.
const RECOGNISERS: &[Recogniser] = &[
    mtproto::obfuscated,
    mtproto::clear,
    wa_noise::recognise,
    wireguard::handshake,
    wireguard::data,
    wireguard::warp,
    openvpn::over_udp,
    openvpn::over_tcp,
    ike::exchange,
    ike::esp,
    ssh::recognise,
    messengers::discord,
    messengers::reflector_ping,
    messengers::reflector_data,
    messengers::threema,
    messengers::loco,
    messengers::mmtls,
    messengers::oscar,
    messengers::viber_tcp,
    messengers::zoom,
    messengers::line,
    messengers::imo,
    messengers::viber_udp,
    fully_encrypted::recognise, // last: what others are sure of may look random too
];

/// Every protocol that the first payloads fit, the surest first.
pub fn recognise(heads: &Heads, client: Side, protocol: Protocol, ports: PerSide<u16>) -> Vec<Recognised> {
    let view = View { heads, client, protocol, ports };
    let mut found: Vec<_> = RECOGNISERS.iter().filter_map(|recogniser| recogniser(&view)).collect();
    found.sort_by_key(|recognised| recognised.strength);
    found
}

#[cfg(test)]
pub mod scene {
    //! First payloads for tests.

    use super::*;

    pub const CLIENT: Side = Side::High;
    pub const SERVER: Side = Side::Low;

    /// What a client and a server said first over TCP, each in one packet.
    pub fn tcp(client: &[u8], server: &[u8]) -> Heads {
        let head = |bytes: &[u8]| bytes[..bytes.len().min(HEAD_BYTES)].to_vec();
        let spoken = [(CLIENT, client), (SERVER, server)].into_iter().filter(|(_, bytes)| !bytes.is_empty());
        Heads {
            streams: PerSide([head(server), head(client)]),
            payloads: spoken.map(|(sender, bytes)| Payload { sender, len: bytes.len() as u32, bytes: Vec::new() }).collect(),
        }
    }

    /// Datagrams in their order.
    pub fn udp(datagrams: &[(Side, &[u8])]) -> Heads {
        let payload = |(sender, bytes): &(Side, &[u8])| Payload {
            sender: *sender,
            len: bytes.len() as u32,
            bytes: bytes[..bytes.len().min(HEAD_BYTES)].to_vec(),
        };
        Heads { streams: PerSide::default(), payloads: datagrams.iter().map(payload).collect() }
    }

    /// The strongest answer over TCP.
    pub fn first_of_tcp(heads: &Heads) -> Option<(&'static str, Strength)> {
        recognise(heads, CLIENT, Protocol::TCP, PerSide([443, 50_000])).first().map(|found| (found.id, found.strength))
    }

    /// The strongest answer over UDP with a port of the server.
    pub fn first_of_udp(heads: &Heads, port: u16) -> Option<(&'static str, Strength)> {
        recognise(heads, CLIENT, Protocol::UDP, PerSide([port, 50_000])).first().map(|found| (found.id, found.strength))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_said_is_nothing_recognised() {
        for protocol in [Protocol::TCP, Protocol::UDP] {
            assert_eq!(recognise(&Heads::default(), Side::Low, protocol, PerSide([4500, 4500])), []);
        }
    }

    #[test]
    fn well_known_protocols_are_not_taken_for_others() {
        let tls = crate::app::tls::build::client_hello("web.whatsapp.com");
        let http = b"GET /index.html HTTP/1.1\r\nHost: example.org\r\n\r\n";
        for stream in [&tls[..], http, b"EHLO mail.example.org\r\n"] {
            assert_eq!(scene::first_of_tcp(&scene::tcp(stream, &[])), None);
        }
        let stun = crate::app::stun::build::message(1, &[]);
        let dns = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03org\x00\x00\x01\x00\x01";
        let rtp = [&[0x80, 0x60, 1, 2, 0, 0, 3, 4, 9, 9, 9, 9][..], &[0x55; 160]].concat();
        for datagram in [&stun[..], dns, &rtp] {
            assert_eq!(scene::first_of_udp(&scene::udp(&[(scene::CLIENT, datagram)]), 3_478), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            payloads in proptest::collection::vec((any::<bool>(), 0u32..1_500, proptest::collection::vec(any::<u8>(), 0..HEAD_BYTES)), 0..8),
            client in any::<bool>(),
            port in any::<u16>(),
        ) {
            let side = |low| if low { Side::Low } else { Side::High };
            let mut heads = Heads::default();
            for (low, len, bytes) in payloads {
                heads.streams[side(low)].extend(&bytes);
                heads.payloads.push(Payload { sender: side(low), len, bytes });
            }
            for protocol in [Protocol::TCP, Protocol::UDP, Protocol::SCTP] {
                let found = recognise(&heads, side(client), protocol, PerSide([port, 4500]));
                prop_assert!(found.is_sorted_by_key(|recognised| recognised.strength));
            }
        }
    }
}
