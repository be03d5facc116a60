//! The first packet of a flow of TCP that has no payload, in as little memory as tells all of it: of a scan or a flood of SYNs nothing else is ever known.

use crate::model::{FlowKey, PacketNumber, Side, Timestamp, TunnelPath};
use crate::packet::{self, Body, Packet, PayloadRange, Segment};

use super::clock_at;

#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub key: FlowKey,
    time: Timestamp,
    clock: Timestamp,
    number: PacketNumber,
    segment: Segment,
    ip_bytes: u32,
    digest: u32,
    vlan: Option<u16>,
    ip_id: u16,
    ttl: u8,
    dont_fragment: bool,
    sender: Side,
}

/// Ten million of them fit a gigabyte and a third.
const _: () = assert!(std::mem::size_of::<Option<Opening>>() <= 136);

impl Opening {
    /// None of a packet that has more to tell: payload, or a tunnel around it.
    pub fn of(packet: &Packet) -> Option<Self> {
        let Body::Tcp(segment) = &packet.body else { return None };
        let tells_all = packet.payload_bytes == 0 && packet.tunnel.is_empty();
        tells_all.then(|| Self {
            key: packet.key,
            time: packet.time,
            clock: packet.clock,
            number: packet.number,
            segment: segment.clone(),
            ip_bytes: packet.ip_bytes,
            digest: packet.digest,
            vlan: packet.vlan,
            ip_id: packet.ip_id,
            ttl: packet.ttl,
            dont_fragment: packet.dont_fragment,
            sender: packet.sender,
        })
    }

    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Trace clock of the packet, as its flow takes it.
    pub fn last_clock(&self) -> Timestamp {
        clock_at(self.time, self.clock)
    }

    pub fn hash(&self) -> u64 {
        packet::hash(&self.key)
    }

    /// The packet as it was.
    pub fn packet(&self) -> Packet {
        Packet {
            key: self.key,
            hash: self.hash(),
            sender: self.sender,
            time: self.time,
            clock: self.clock,
            number: self.number,
            ttl: self.ttl,
            dont_fragment: self.dont_fragment,
            ip_id: self.ip_id,
            vlan: self.vlan,
            tunnel: TunnelPath::default(),
            ip_bytes: self.ip_bytes,
            payload_bytes: 0,
            payload: PayloadRange::default(),
            digest: self.digest,
            body: Body::Tcp(self.segment.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::trace::Trace;

    #[test]
    fn a_packet_comes_back_as_it_was() {
        let scenes = [Trace::at_client().syn(), Trace::at_client().handshake(), Trace::at_client().syn().refused()];
        for packet in scenes.iter().flat_map(|trace| trace.packets().0) {
            let back = Opening::of(&packet).expect("it has no payload").packet();
            assert_eq!(format!("{back:?}"), format!("{:?}", Packet { payload: PayloadRange::default(), ..packet }));
        }
    }

    #[test]
    fn a_packet_that_has_more_to_tell_is_kept_whole() {
        let (packets, _) = Trace::at_client().handshake().client_data(100).packets();
        assert!(Opening::of(&packets[3]).is_none());
    }
}
