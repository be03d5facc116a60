//! A TCP connection for tests, packet by packet as bytes that go through the real decoder.
//!
//! [`Trace`] is a healthy one: 40 ms of round trip, usual options, numbers that fit. A test writes only what differs.

use etherparse::{IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, PacketBuilder, TcpHeader, TcpOptionElement};

use super::{Decoded, Packet, TcpFlags, decode};
use crate::capture::Record;
use crate::model::{Address, Direction, FileId, PacketNumber, PerDirection, Span, Timestamp};

/// Address and port of the ends.
const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 50_000);
const SERVER: ([u8; 4], u16) = ([198, 51, 100, 1], 443);
const START: Timestamp = Timestamp(1_750_000_000_000_000_000);
/// Between the ends; all of it lies on the side of the capture that is far.
const ROUND_TRIP: Span = Span::from_millis(40);
/// The next packet of the same end, or the reaction of the end at which the capture was taken.
const AT_ONCE: Span = Span(100_000);

/// Packets in the order in which the capture holds them; numbered from 1.
#[derive(Clone)]
pub struct Trace {
    /// The end at which the capture was taken, by the direction that it sends in.
    near: Direction,
    packets: Vec<Sent>,
    ends: PerDirection<End>,
    /// Before the next packet, where a test says so.
    gap: Option<Span>,
}

#[derive(Clone)]
struct Sent {
    time: Timestamp,
    direction: Direction,
    seq: u32,
    ack: u32,
    flags: u8,
    window: u16,
    payload: Vec<u8>,
    /// Payload bytes that the capture holds.
    captured: usize,
    ip_id: u16,
    ttl: u8,
    /// Where they are not the usual ones.
    options: Option<Vec<TcpOptionElement>>,
}

/// An end of the connection, by the direction that it sends in.
#[derive(Clone, Copy)]
struct End {
    next: u32,
    /// Behind the last byte that reached it.
    heard: u32,
}

impl Trace {
    /// Captured at the client: the far half of the round trip is the server's.
    pub fn at_client() -> Self {
        Self { near: Direction::ClientToServer, packets: Vec::new(), ends: ends(1_000, 700_000), gap: None }
    }

    pub fn at_server() -> Self {
        Self { near: Direction::ServerToClient, ..Self::at_client() }
    }

    /// Initial sequence numbers; in the middle of a trace another connection of the same ends.
    pub fn numbered(mut self, client: u32, server: u32) -> Self {
        self.ends = ends(client, server);
        self
    }

    // Packets.

    pub fn syn(self) -> Self {
        self.send(Direction::ClientToServer, TcpFlags::SYN.0, Vec::new())
    }

    /// A SYN that brings payload (RFC 7413).
    pub fn syn_with(self, bytes: &[u8]) -> Self {
        self.send(Direction::ClientToServer, TcpFlags::SYN.0, bytes.to_vec())
    }

    pub fn syn_ack(self) -> Self {
        self.send(Direction::ServerToClient, TcpFlags::SYN.0 | TcpFlags::ACK.0, Vec::new())
    }

    pub fn handshake(self) -> Self {
        self.syn().syn_ack().ack_from_client()
    }

    pub fn ack_from_client(self) -> Self {
        self.send(Direction::ClientToServer, TcpFlags::ACK.0, Vec::new())
    }

    pub fn ack_from_server(self) -> Self {
        self.send(Direction::ServerToClient, TcpFlags::ACK.0, Vec::new())
    }

    pub fn client_bytes(self, bytes: &[u8]) -> Self {
        self.send(Direction::ClientToServer, TcpFlags::PSH.0 | TcpFlags::ACK.0, bytes.to_vec())
    }

    pub fn server_bytes(self, bytes: &[u8]) -> Self {
        self.send(Direction::ServerToClient, TcpFlags::PSH.0 | TcpFlags::ACK.0, bytes.to_vec())
    }

    /// One whole TLS record of application data, `len` bytes with its header.
    pub fn client_data(self, len: u16) -> Self {
        self.client_bytes(&tls_record(len))
    }

    pub fn server_data(self, len: u16) -> Self {
        self.server_bytes(&tls_record(len))
    }

    pub fn fin_from_client(self) -> Self {
        self.send(Direction::ClientToServer, TcpFlags::FIN.0 | TcpFlags::ACK.0, Vec::new())
    }

    pub fn fin_from_server(self) -> Self {
        self.send(Direction::ServerToClient, TcpFlags::FIN.0 | TcpFlags::ACK.0, Vec::new())
    }

    /// A reset as an application causes it that gives up: at the next sequence number, all that came is acknowledged.
    pub fn rst_from_client(self) -> Self {
        self.send(Direction::ClientToServer, TcpFlags::RST.0 | TcpFlags::ACK.0, Vec::new())
    }

    pub fn rst_from_server(self) -> Self {
        self.send(Direction::ServerToClient, TcpFlags::RST.0 | TcpFlags::ACK.0, Vec::new())
    }

    /// The server's answer where nobody listens: RST+ACK with sequence number 0.
    pub fn refused(self) -> Self {
        self.rst_from_server().change(|rst| rst.seq = 0)
    }

    /// Packet `number` once more.
    pub fn repeat(mut self, number: usize) -> Self {
        let again = self.packets[number - 1].clone();
        let time = self.next_time(again.direction);
        self.packets.push(Sent { time, ..again });
        self
    }

    // What differs.

    /// Milliseconds from the last packet to the next one, or to the end of the capture.
    pub fn wait(mut self, millis: impl Into<f64>) -> Self {
        self.gap = Some(Span((millis.into() * 1e6) as i64));
        self
    }

    /// Moves the sequence number of the last packet; its sender goes on where it was.
    pub fn seq(self, offset: i32) -> Self {
        self.change(|last| last.seq = last.seq.wrapping_add_signed(offset))
    }

    pub fn ack(self, offset: i32) -> Self {
        self.change(|last| last.ack = last.ack.wrapping_add_signed(offset))
    }

    /// The last packet acknowledges nothing.
    pub fn bare(self) -> Self {
        self.change(|last| (last.flags, last.ack) = (last.flags & !TcpFlags::ACK.0, 0))
    }

    /// The last packet has these flags too.
    pub fn flagged(self, flags: TcpFlags) -> Self {
        self.change(|last| last.flags |= flags.0)
    }

    /// The last packet has these flags and no others; what it takes of the sequence space stays.
    pub fn flags(self, flags: u8) -> Self {
        self.change(|last| last.flags = flags)
    }

    /// The last packet has these options and no others.
    pub fn options(self, options: &[TcpOptionElement]) -> Self {
        self.change(|last| last.options = Some(options.to_vec()))
    }

    /// The last packet has timestamps (RFC 7323 section 3.2).
    pub fn stamped(self, value: u32, echo: u32) -> Self {
        self.options(&[TcpOptionElement::Noop, TcpOptionElement::Noop, TcpOptionElement::Timestamp(value, echo)])
    }

    pub fn ip_id(self, id: u16) -> Self {
        self.change(|last| last.ip_id = id)
    }

    pub fn ttl(self, ttl: u8) -> Self {
        self.change(|last| last.ttl = ttl)
    }

    pub fn window(self, window: u16) -> Self {
        self.change(|last| last.window = window)
    }

    /// The capture holds only so many bytes of the last packet's payload.
    pub fn snapped(self, captured: usize) -> Self {
        self.change(|last| last.captured = captured)
    }

    /// The last packet never reaches the other end.
    pub fn unheard(mut self) -> Self {
        let Sent { direction, seq, .. } = *self.last();
        self.ends[direction.opposite()].heard = seq;
        self
    }

    /// The last packet reaches the other end but not the capture.
    pub fn missed(mut self) -> Self {
        self.packets.pop();
        self
    }

    /// The last packet overtakes the one before.
    pub fn overtakes(mut self) -> Self {
        let [.., one, other] = &mut self.packets[..] else { panic!("two packets are needed") };
        std::mem::swap(one, other);
        std::mem::swap(&mut one.time, &mut other.time);
        self
    }

    fn change(mut self, change: impl FnOnce(&mut Sent)) -> Self {
        change(self.packets.last_mut().expect("a packet to change"));
        self
    }

    fn last(&self) -> &Sent {
        self.packets.last().expect("a packet was sent")
    }

    fn send(mut self, direction: Direction, flags: u8, payload: Vec<u8>) -> Self {
        let time = self.next_time(direction);
        let End { next: seq, heard } = self.ends[direction];
        let opens = flags & TcpFlags::SYN.0 != 0;
        let end = seq.wrapping_add(payload.len() as u32 + u32::from(opens) + u32::from(flags & TcpFlags::FIN.0 != 0));
        self.ends[direction].next = end;
        let peer = &mut self.ends[direction.opposite()];
        if opens || peer.heard == seq {
            peer.heard = end;
        }
        let ack = if flags & TcpFlags::ACK.0 == 0 { 0 } else { heard };
        let captured = payload.len();
        self.packets.push(Sent { time, direction, seq, ack, flags, window: 502, payload, captured, ip_id: 0, ttl: 64, options: None });
        self
    }

    fn next_time(&mut self, direction: Direction) -> Timestamp {
        let Some(last) = self.packets.last() else { return START };
        let usual = if last.direction == direction || direction == self.near { AT_ONCE } else { ROUND_TRIP };
        last.time + self.gap.take().unwrap_or(usual)
    }

    // What the capture gives.

    /// The last moment of the capture.
    pub fn end(&self) -> Timestamp {
        self.packets.iter().map(|sent| sent.time).max().unwrap_or(START) + self.gap.unwrap_or(Span::ZERO)
    }

    /// The decoded packets, and the bytes of their round.
    pub fn packets(&self) -> (Vec<Packet>, Vec<u8>) {
        let (mut packets, mut round, mut clock) = (Vec::new(), Vec::new(), START);
        for (index, sent) in self.packets.iter().enumerate() {
            let frame = sent.frame();
            clock = clock.max(sent.time);
            let captured = frame.len() - (sent.payload.len() - sent.captured);
            let record = Record {
                time: sent.time,
                clock,
                number: PacketNumber::new(FileId(0), index as u64 + 1),
                link_type: 1,
                interface: 0,
                start: round.len() as u32,
                captured: captured as u32,
                original: frame.len() as u32,
            };
            round.extend(&frame[..captured]);
            decode(&record, &round, |found| match found {
                Decoded::Packet(packet) => packets.push(packet),
                _ => panic!("packet {} is no packet", index + 1),
            });
        }
        (packets, round)
    }
}

impl Sent {
    fn frame(&self) -> Vec<u8> {
        let (from, to) = if self.direction == Direction::ClientToServer { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let mut header = TcpHeader::new(from.1, to.1, self.seq, self.window);
        let flags = TcpFlags(self.flags);
        header.acknowledgment_number = self.ack;
        (header.syn, header.fin, header.rst) = (flags.has(TcpFlags::SYN), flags.has(TcpFlags::FIN), flags.has(TcpFlags::RST));
        (header.psh, header.ack, header.urg) = (flags.has(TcpFlags::PSH), flags.has(TcpFlags::ACK), flags.has(TcpFlags::URG));
        (header.ece, header.cwr) = (flags.has(TcpFlags::ECE), flags.has(TcpFlags::CWR));
        if let Some(options) = &self.options {
            header.set_options(options).expect("they fit");
        } else if header.syn {
            let options =
                [TcpOptionElement::MaximumSegmentSize(1_460), TcpOptionElement::SelectiveAcknowledgementPermitted, TcpOptionElement::WindowScale(7)];
            header.set_options(&options).expect("they fit");
        }
        let mut frame = Vec::new();
        let ip =
            Ipv4Header { identification: self.ip_id, ..Ipv4Header::new(0, self.ttl, IpNumber::TCP, from.0, to.0).expect("an empty datagram fits") };
        let below = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ip(IpHeaders::Ipv4(ip, Ipv4Extensions::default()));
        below.tcp_header(header).write(&mut frame, &self.payload).expect("a vector takes it");
        frame
    }
}

/// Who sends in a direction, as flow keys name them.
pub fn endpoint(direction: Direction) -> (Address, u16) {
    let (address, port) = if direction == Direction::ClientToServer { CLIENT } else { SERVER };
    (Address::v4(address), port)
}

fn ends(client: u32, server: u32) -> PerDirection<End> {
    PerDirection { c2s: End { next: client, heard: server }, s2c: End { next: server, heard: client } }
}

fn tls_record(len: u16) -> Vec<u8> {
    let [high, low] = len.saturating_sub(5).to_be_bytes();
    let mut record = vec![23, 3, 3, high, low];
    record.resize(len.into(), 0);
    record
}
