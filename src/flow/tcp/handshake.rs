//! The opening packets: the usual three, a SYN of each side (simultaneous and split handshakes), and what is repeated of them.

use crate::flow::limits;
use crate::model::{SeqNumber, Side, Span, Timestamp};
use crate::packet::{Packet, Segment, TcpFlags};

#[derive(Clone, Copy, Debug, Default)]
pub struct Handshake {
    /// Who opened, by a SYN or by the SYN/ACK that answered it.
    pub client: Option<Side>,
    pub syn: Option<(Timestamp, SeqNumber)>,
    pub syn_count: u32,
    pub last_syn: Option<Timestamp>,
    /// The server's first SYN: with ACK, as a rule.
    pub syn_ack: Option<(Timestamp, SeqNumber)>,
    pub syn_ack_count: u32,
    /// The client's first segment that acknowledges it.
    pub ack: Option<Timestamp>,
    /// The server's first SYN came without ACK: both opened at once (RFC 9293 section 3.5), or the server took the handshake apart (Beardsley and Qian,
    /// "The TCP Split Handshake", 2010).
    pub crossed: bool,
}

impl Handshake {
    #[inline]
    pub(super) fn update(&mut self, packet: &Packet, segment: &Segment) {
        if segment.flags.has(TcpFlags::SYN) {
            self.take_syn(packet, segment);
        }
        if self.ack.is_none() && segment.flags.has(TcpFlags::ACK) && self.client == Some(packet.sender) {
            let answers = self.syn_ack.is_some_and(|(_, initial)| segment.ack.offset_from(initial) >= 1);
            self.ack = answers.then_some(packet.time);
        }
    }

    fn take_syn(&mut self, packet: &Packet, segment: &Segment) {
        let has_ack = segment.flags.has(TcpFlags::ACK);
        let opener = if has_ack { packet.sender.opposite() } else { packet.sender };
        let client = *self.client.get_or_insert(opener);
        self.syn_count += u32::from(!has_ack);
        self.syn_ack_count += u32::from(has_ack);
        let first = (packet.time, segment.seq);
        if client != packet.sender {
            self.crossed |= !has_ack && self.syn_ack.is_none();
            self.syn_ack.get_or_insert(first);
        } else if !has_ack {
            self.syn.get_or_insert(first);
            self.last_syn = Some(packet.time);
        }
    }

    /// Whether a SYN without ACK begins another connection: it has another initial sequence number (RFC 9293 section 3.6.1). One of the other side may
    /// have crossed the client's own on its way.
    pub(super) fn is_reused_by(&self, packet: &Packet, segment: &Segment) -> bool {
        match (self.client, self.syn, self.syn_ack) {
            (Some(client), Some((_, initial)), _) if client == packet.sender => segment.seq != initial,
            // A SYN that the capture shows behind its own SYN/ACK is late, not new.
            (Some(client), None, _) if client == packet.sender => false,
            (Some(_), _, Some((_, initial))) => segment.seq != initial,
            (Some(_), _, None) => self.last_syn.is_none_or(|last| packet.time - last > limits::CROSSING_SYN),
            (None, ..) => true,
        }
    }

    /// SYN to SYN/ACK, none after a repeated SYN (Karn's rule, RFC 6298 section 3).
    pub fn syn_rtt(&self) -> Option<Span> {
        let (syn, syn_ack) = (self.syn?.0, self.syn_ack?.0);
        (self.syn_count == 1 && self.syn_ack_count == 1 && !self.crossed).then_some(syn_ack - syn)
    }

    /// SYN/ACK to the ACK that completes the handshake.
    pub fn ack_rtt(&self) -> Option<Span> {
        let (syn_ack, ack) = (self.syn_ack?.0, self.ack?);
        (self.syn_count <= 1 && self.syn_ack_count == 1 && !self.crossed).then_some(ack - syn_ack)
    }

    /// Both halves: the round trip between the ends, wherever the capture was taken.
    pub fn round_trip(&self) -> Option<Span> {
        Some(self.syn_rtt()? + self.ack_rtt()?)
    }
}
