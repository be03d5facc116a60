//! TCP headers.

use etherparse::{TcpHeaderSlice, TcpOptionElement};

use crate::model::SeqNumber;

/// What a TCP header says, ports apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub seq: SeqNumber,
    pub ack: SeqNumber,
    pub window: u16,
    pub flags: TcpFlags,
    pub has_options: bool,
    /// Of a SYN: maximum segment size (RFC 9293 section 3.7.1).
    pub mss: Option<u16>,
    /// Of a SYN: window scale (RFC 7323 section 2).
    pub window_scale: Option<u8>,
}

/// The low eight flags of a TCP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    pub const FIN: Self = Self(0x01);
    pub const SYN: Self = Self(0x02);
    pub const RST: Self = Self(0x04);
    pub const PSH: Self = Self(0x08);
    pub const ACK: Self = Self(0x10);
    pub const URG: Self = Self(0x20);
    pub const ECE: Self = Self(0x40);
    pub const CWR: Self = Self(0x80);

    pub fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    /// SYN, FIN or RST: the segment opens, closes or breaks.
    pub fn is_control(self) -> bool {
        self.has(Self::SYN) || self.ends()
    }

    /// FIN or RST.
    pub fn ends(self) -> bool {
        self.has(Self::FIN) || self.has(Self::RST)
    }

    /// A SYN that opens: without ACK.
    pub fn is_opening(self) -> bool {
        self.has(Self::SYN) && !self.has(Self::ACK)
    }

    /// The answer to a SYN.
    pub fn is_syn_ack(self) -> bool {
        self.has(Self::SYN) && self.has(Self::ACK)
    }
}

impl Segment {
    /// Sequence space taken: payload, and one each for SYN and FIN (RFC 9293 section 3.4).
    pub fn sequence_length(&self, payload_bytes: u32) -> u32 {
        payload_bytes.saturating_add(u32::from(self.flags.has(TcpFlags::SYN))).saturating_add(u32::from(self.flags.has(TcpFlags::FIN)))
    }
}

/// Ports, header, and the header's length.
pub(super) fn segment(bytes: &[u8]) -> Option<((u16, u16), Segment, u32)> {
    let header = TcpHeaderSlice::from_slice(bytes).ok()?;
    let flags = TcpFlags(header.slice()[13]);
    let mut segment = Segment {
        seq: SeqNumber(header.sequence_number()),
        ack: SeqNumber(header.acknowledgment_number()),
        window: header.window_size(),
        flags,
        has_options: header.data_offset() > 5,
        mss: None,
        window_scale: None,
    };
    if flags.has(TcpFlags::SYN) {
        read_syn_options(&header, &mut segment);
    }
    Some(((header.source_port(), header.destination_port()), segment, header.slice().len() as u32))
}

fn read_syn_options(header: &TcpHeaderSlice<'_>, segment: &mut Segment) {
    for option in header.options_iterator().map_while(Result::ok) {
        match option {
            TcpOptionElement::MaximumSegmentSize(size) => segment.mss = Some(size),
            TcpOptionElement::WindowScale(scale) => segment.window_scale = Some(scale),
            _ => {}
        }
    }
}
