//! The way through a record: layer by layer to the innermost IP header, and from there to the packet.
//!
//! A tunnel whose inside is no IP that can be read is a packet of its outer addresses: nothing is guessed.

use crate::capture::Record;
use crate::model::words::TunnelKind;
use crate::model::{FlowKey, Protocol, TunnelPath};

use super::fragments::Fragment;
use super::ip::{self, Datagram};
use super::view::View;
use super::{Body, Decoded, Packet, PayloadRange, checksum, digest, hash, icmp, link, tcp, tunnel};

/// Layers below one IP header that are followed: link layer, tags, labels, LLC. Honest frames have fewer than ten.
const LAYERS_MAX: usize = 16;

/// What stands at the front of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// By its number in the registry of link types.
    Link(u16),
    Ethernet,
    /// What an EtherType announced.
    EtherType(u16),
    Llc,
    Ppp,
    Mpls,
    Nsh,
    /// An 802.11 frame; `padded`: its header is filled up to four bytes, `swapped`: the bytes of frame and sequence control are in the wrong order.
    Wlan {
        padded: bool,
        swapped: bool,
    },
    /// Several frames in one of 802.11.
    Aggregate,
    Ip,
    NotIp,
    /// Encrypted, compressed or of an unknown kind.
    Undecoded,
}

/// The next layer, or none where the capture ends inside this one.
pub(super) type Next<'a> = Option<(Layer, View<'a>)>;

/// What the layers around a packet say of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outer {
    /// The innermost VLAN.
    pub vlan: Option<u16>,
    pub path: TunnelPath,
    /// Identifiers that both directions share, folded.
    shared: u32,
    /// Whether only the inside can prove that there is a tunnel: then its IP header has to be plausible.
    strict: bool,
}

impl Outer {
    /// Notes a tunnel; none where there are too many.
    pub fn enter(self, kind: TunnelKind, id: Option<u32>) -> Option<Self> {
        let shared = id.map_or(self.shared, |id| fold(self.shared, id));
        Some(Self { path: self.path.inside(kind, id)?, shared, ..self })
    }

    pub fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    pub fn shared(&self) -> u32 {
        self.shared
    }
}

/// Identifiers from the outermost on; one alone never meets another one, and only the largest GRE key meets none at all.
fn fold(shared: u32, id: u32) -> u32 {
    (shared.rotate_left(5) ^ id.wrapping_add(1)).wrapping_mul(0x9e37_79b1) // odd, so that no two values meet (Fibonacci hashing)
}

/// How a way ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// What was found is given.
    Given,
    NotIp,
    Undecoded,
}

/// One record, and who takes what is found in it.
pub(super) struct Walk<'w, F> {
    pub record: &'w Record,
    /// Beside a damaged place: only what a checksum proves is a packet.
    pub doubtful: bool,
    pub give: &'w mut F,
}

impl<F: FnMut(Decoded)> Walk<'_, F> {
    pub fn layers(&mut self, mut layer: Layer, mut view: View<'_>, mut outer: Outer) -> Found {
        for _ in 0..LAYERS_MAX {
            let next = match layer {
                Layer::Ip => return self.ip(view, outer),
                Layer::NotIp => return Found::NotIp,
                Layer::Undecoded => return Found::Undecoded,
                Layer::Aggregate => return self.aggregate(view, outer),
                Layer::Link(link_type) => link::inside(link_type, view),
                Layer::Ethernet => link::ethernet::inside(view),
                Layer::EtherType(ether_type) => link::ether_type::inside(ether_type, view, &mut outer),
                Layer::Llc => link::llc::inside(view),
                Layer::Ppp => link::ppp::inside(view),
                Layer::Mpls => link::mpls::inside(view, &mut outer),
                Layer::Nsh => link::nsh::inside(view, &mut outer),
                Layer::Wlan { padded, swapped } => link::wlan::inside(view, padded, swapped),
            };
            let Some(next) = next else { return Found::Undecoded };
            (layer, view) = next;
        }
        Found::Undecoded
    }

    /// Each MSDU of an A-MSDU is a packet of its own (IEEE 802.11-2020 clause 9.3.2.2). A tunnel that holds one has to hold IP as well.
    fn aggregate(&mut self, mut rest: View<'_>, outer: Outer) -> Found {
        let (mut given, mut not_ip, mut undecoded) = (0, 0, 0);
        while let Some((msdu, behind)) = link::wlan::msdu(rest) {
            match self.layers(Layer::Llc, msdu, outer) {
                Found::Given => given += 1,
                Found::NotIp => not_ip += 1,
                Found::Undecoded => undecoded += 1,
            }
            rest = behind;
        }
        if given + not_ip + undecoded == 0 || (given == 0 && !outer.path.is_empty()) {
            return Found::Undecoded;
        }
        (0..not_ip).for_each(|_| (self.give)(Decoded::NotIp));
        (0..undecoded).for_each(|_| (self.give)(Decoded::Undecoded));
        Found::Given
    }

    pub fn ip(&mut self, view: View<'_>, outer: Outer) -> Found {
        if outer.strict && !ip::is_plausible(view) {
            return Found::NotIp;
        }
        let Some(datagram) = ip::datagram(view) else { return Found::Undecoded };
        // A first fragment of which the capture lacks bytes leaves a hole that no other fragment fills: it is read at once, for what it holds.
        let is_cut = datagram.total_bytes as usize > view.bytes.len();
        if let Some(part) = datagram.part.filter(|part| part.offset > 0 || !is_cut) {
            if self.doubtful {
                return Found::Undecoded;
            }
            (self.give)(Decoded::Fragment(Fragment::new(self.record, &datagram, part, view, outer)));
            return Found::Given;
        }
        if let Some((layer, inside, within)) = tunnel::inside(&datagram, outer)
            && self.layers(layer, inside, within) == Found::Given
        {
            return Found::Given;
        }
        match self.transport(&datagram, outer) {
            Some(()) => Found::Given,
            None => Found::Undecoded,
        }
    }

    /// None where the capture ends inside the transport's header, or the bytes are in doubt.
    fn transport(&mut self, datagram: &Datagram<'_>, outer: Outer) -> Option<()> {
        if self.doubtful && !checksum::proves(datagram) {
            return None;
        }
        let head = Head { record: self.record, datagram, outer };
        let bytes = datagram.payload.bytes;
        let packet = match Protocol(datagram.protocol) {
            Protocol::TCP => {
                let (ports, segment, header) = tcp::segment(bytes)?;
                head.packet(ports, header, Body::Tcp(segment))
            }
            Protocol::UDP => {
                let udp = etherparse::UdpHeaderSlice::from_slice(bytes).ok()?;
                head.packet((udp.source_port(), udp.destination_port()), 8, Body::Udp)
            }
            Protocol::ICMP | Protocol::ICMP6 => return self.icmp(&head),
            Protocol::SCTP => {
                let &[a, b, c, d] = bytes.first_chunk()?;
                head.packet((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])), 12, Body::Other)
            }
            _ => head.packet((0, 0), 0, Body::Other),
        };
        (self.give)(Decoded::Packet(packet));
        Some(())
    }

    fn icmp(&mut self, head: &Head<'_>) -> Option<()> {
        let message = icmp::message(head.datagram)?;
        let packet = head.packet(message.ports, 8, Body::Icmp);
        let quoted = message.quote.map(|quote| {
            let (mut key, sender) = FlowKey::new(quote.protocol, quote.ip_version, head.record.interface, quote.source, quote.destination);
            key.tunnel = head.outer.shared;
            Packet { key, sender, hash: hash(&key), body: Body::Quoted(quote.error), ..packet.clone() }
        });
        (self.give)(Decoded::Packet(packet));
        if let Some(quoted) = quoted {
            (self.give)(Decoded::Quote(quoted));
        }
        Some(())
    }
}

/// What the layers below the transport say of a packet.
struct Head<'a> {
    record: &'a Record,
    datagram: &'a Datagram<'a>,
    outer: Outer,
}

impl Head<'_> {
    #[inline]
    fn packet(&self, ports: (u16, u16), header: u32, body: Body) -> Packet {
        let Self { record, datagram, outer } = *self;
        let protocol = Protocol(datagram.protocol);
        let (source, destination) = ((datagram.source, ports.0), (datagram.destination, ports.1));
        let (mut key, sender) = FlowKey::new(protocol, datagram.version, record.interface, source, destination);
        key.tunnel = outer.shared;
        let captured = (datagram.payload.bytes.len() as u32).saturating_sub(header);
        Packet {
            key,
            hash: hash(&key),
            sender,
            time: record.time,
            clock: record.clock,
            number: record.number,
            ttl: datagram.ttl,
            dont_fragment: datagram.dont_fragment,
            ip_id: datagram.id,
            vlan: outer.vlan,
            tunnel: outer.path,
            ip_bytes: datagram.total_bytes,
            payload_bytes: datagram.payload.on_wire.saturating_sub(header),
            payload: PayloadRange { start: datagram.payload.start.saturating_add(header), captured },
            digest: digest(protocol, datagram.payload.bytes),
            body,
        }
    }
}
