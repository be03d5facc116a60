//! TCP headers.
//!
//! Options are read as far as the flow engine asks for them: all of a SYN, of every other segment the timestamps and the first block of SACK. An option
//! list that ends too early is read up to there.

use std::fmt;

use etherparse::TcpHeaderSlice;

use crate::model::SeqNumber;

/// What a TCP header says, ports apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub seq: SeqNumber,
    pub ack: SeqNumber,
    pub window: u16,
    pub flags: TcpFlags,
    pub has_options: bool,
    /// The bit that RFC 3540 gave to the ECN nonce; RFC 9768 calls it AE.
    pub nonce: bool,
    pub options: TcpOptions,
}

/// What is kept of the options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TcpOptions {
    /// None that is asked for.
    #[default]
    Nothing,
    Timestamps(Timestamps),
    /// The first block of SACK, and timestamps where there are any.
    Sack(SackBlock, Option<Timestamps>),
    /// A signature (RFC 2385).
    Signature,
    /// Those of a SYN.
    Syn(SynOptions),
}

/// Bytes that have been received, from the left edge up to the right one (RFC 2018 section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlock {
    pub left: SeqNumber,
    pub right: SeqNumber,
}

/// RFC 7323 section 3.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamps {
    /// The sender's clock.
    pub value: u32,
    /// The value of the peer that is answered.
    pub echo: u32,
}

/// What a SYN offers, in the order in which it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SynOptions {
    kinds: [u8; SYN_OPTIONS_MAX],
    count: u8,
    /// Maximum segment size (RFC 9293 section 3.7.1).
    pub mss: Option<u16>,
    /// Window scale (RFC 7323 section 2).
    pub window_scale: Option<u8>,
}

/// Options of one SYN that are named: ten, since 40 bytes hold no more of those that stacks send (RFC 9293 section 3.1).
const SYN_OPTIONS_MAX: usize = 10;

/// Kinds of options (IANA, TCP Option Kind Numbers).
mod kind {
    pub const END: u8 = 0;
    pub const NO_OPERATION: u8 = 1;
    pub const MAXIMUM_SEGMENT_SIZE: u8 = 2;
    pub const WINDOW_SCALE: u8 = 3;
    pub const SACK_PERMITTED: u8 = 4;
    pub const SACK: u8 = 5;
    pub const TIMESTAMPS: u8 = 8;
    pub const SIGNATURE: u8 = 19;
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

    /// Timestamps; not asked for of a SYN.
    pub fn timestamps(&self) -> Option<Timestamps> {
        match self.options {
            TcpOptions::Timestamps(timestamps) => Some(timestamps),
            TcpOptions::Sack(_, timestamps) => timestamps,
            _ => None,
        }
    }

    /// The first block of SACK: what was received last (RFC 2018 section 4), or twice (RFC 2883 section 4).
    pub fn sack(&self) -> Option<SackBlock> {
        match self.options {
            TcpOptions::Sack(block, _) => Some(block),
            _ => None,
        }
    }

    /// Options of a SYN.
    pub fn syn_options(&self) -> Option<&SynOptions> {
        match &self.options {
            TcpOptions::Syn(options) => Some(options),
            _ => None,
        }
    }
}

/// Ports, header, and the header's length.
pub(super) fn segment(bytes: &[u8]) -> Option<((u16, u16), Segment, u32)> {
    let header = TcpHeaderSlice::from_slice(bytes).ok()?;
    let flags = TcpFlags(header.slice()[13]);
    let segment = Segment {
        seq: SeqNumber(header.sequence_number()),
        ack: SeqNumber(header.acknowledgment_number()),
        window: header.window_size(),
        flags,
        has_options: header.data_offset() > 5,
        nonce: header.ns(),
        options: TcpOptions::read(header.options(), flags),
    };
    Some(((header.source_port(), header.destination_port()), segment, header.slice().len() as u32))
}

impl TcpOptions {
    #[inline]
    fn read(bytes: &[u8], flags: TcpFlags) -> Self {
        if flags.has(TcpFlags::SYN) {
            return Self::Syn(SynOptions::read(bytes));
        }
        match *bytes {
            [] => Self::Nothing,
            // Alone, as RFC 7323 appendix A lays them out, and nearly every stack.
            [kind::NO_OPERATION, kind::NO_OPERATION, kind::TIMESTAMPS, 10, a, b, c, d, e, f, g, h] => {
                Self::Timestamps(Timestamps { value: u32::from_be_bytes([a, b, c, d]), echo: u32::from_be_bytes([e, f, g, h]) })
            }
            _ => Self::read_all(bytes),
        }
    }

    #[cold]
    fn read_all(bytes: &[u8]) -> Self {
        let stamps = Walk { rest: bytes }.find_map(timestamps);
        match (Walk { rest: bytes }).find_map(first_block) {
            Some(block) => Self::Sack(block, stamps),
            None if (Walk { rest: bytes }).any(|(kind, _)| kind == kind::SIGNATURE) => Self::Signature,
            None => stamps.map_or(Self::Nothing, Self::Timestamps),
        }
    }
}

fn first_block((kind, data): (u8, &[u8])) -> Option<SackBlock> {
    match (kind, data) {
        (kind::SACK, &[a, b, c, d, e, f, g, h, ..]) => {
            Some(SackBlock { left: SeqNumber(u32::from_be_bytes([a, b, c, d])), right: SeqNumber(u32::from_be_bytes([e, f, g, h])) })
        }
        _ => None,
    }
}

fn timestamps((kind, data): (u8, &[u8])) -> Option<Timestamps> {
    match (kind, data) {
        (kind::TIMESTAMPS, &[a, b, c, d, e, f, g, h]) => {
            Some(Timestamps { value: u32::from_be_bytes([a, b, c, d]), echo: u32::from_be_bytes([e, f, g, h]) })
        }
        _ => None,
    }
}

impl SynOptions {
    fn read(bytes: &[u8]) -> Self {
        let mut options = Self::default();
        for (kind, data) in (Walk { rest: bytes }) {
            if let Some(place) = options.kinds.get_mut(usize::from(options.count)) {
                *place = kind;
                options.count += 1;
            }
            match (kind, data) {
                (kind::MAXIMUM_SEGMENT_SIZE, &[high, low]) => options.mss = Some(u16::from_be_bytes([high, low])),
                (kind::WINDOW_SCALE, &[shift]) => options.window_scale = Some(shift),
                _ => {}
            }
        }
        options
    }

    fn kinds(&self) -> &[u8] {
        self.kinds.get(..usize::from(self.count)).unwrap_or_default()
    }
}

/// The names that p0f has for them, in order, joined by commas; a kind without a name is a question mark and its number.
impl fmt::Display for SynOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, kind) in self.kinds().iter().enumerate() {
            if at > 0 {
                out.write_str(",")?;
            }
            match *kind {
                kind::END => out.write_str("eol")?,
                kind::NO_OPERATION => out.write_str("nop")?,
                kind::MAXIMUM_SEGMENT_SIZE => out.write_str("mss")?,
                kind::WINDOW_SCALE => out.write_str("ws")?,
                kind::SACK_PERMITTED => out.write_str("sok")?,
                kind::SACK => out.write_str("sack")?,
                kind::TIMESTAMPS => out.write_str("ts")?,
                other => write!(out, "?{other}")?,
            }
        }
        Ok(())
    }
}

/// Kind and data of each option up to the end of the list, or to one that claims more bytes than there are.
struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Walk<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        match *self.rest {
            [kind::END, ..] => {
                self.rest = &[];
                Some((kind::END, &[]))
            }
            [kind::NO_OPERATION, ref rest @ ..] => {
                self.rest = rest;
                Some((kind::NO_OPERATION, &[]))
            }
            [kind, length, ..] => {
                let (option, rest) = self.rest.split_at_checked(length.into())?;
                self.rest = rest;
                Some((kind, option.get(2..)?))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn syn(bytes: &[u8]) -> (String, Option<u16>, Option<u8>) {
        let options = SynOptions::read(bytes);
        (options.to_string(), options.mss, options.window_scale)
    }

    #[test]
    fn timestamps_and_the_first_block_are_read_in_any_order() {
        let stamps = [8, 10, 0, 0, 0, 7, 0, 0, 0, 9];
        let blocks = [5, 18, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0];
        let (stamped, block) = (Timestamps { value: 7, echo: 9 }, SackBlock { left: SeqNumber(0x100), right: SeqNumber(0x200) });
        let read = |parts: &[&[u8]]| TcpOptions::read(&parts.concat(), TcpFlags::ACK);
        assert_eq!(read(&[&[1, 1], &stamps]), TcpOptions::Timestamps(stamped));
        assert_eq!(read(&[&[1, 1], &stamps, &[1, 1], &blocks]), TcpOptions::Sack(block, Some(stamped)));
        assert_eq!(read(&[&[1, 1], &blocks, &stamps]), TcpOptions::Sack(block, Some(stamped)));
        assert_eq!(read(&[&[1, 1], &blocks]), TcpOptions::Sack(block, None));
        assert_eq!(read(&[&[1, 1, 5, 8, 0, 0, 1, 0, 0, 0]]), TcpOptions::Nothing, "no whole block");
    }

    #[test]
    fn a_syn_names_its_options_in_order() {
        let linux = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
        assert_eq!(syn(&linux), ("mss,sok,ts,nop,ws".into(), Some(1_460), Some(7)));
        let windows = [2, 4, 5, 180, 1, 3, 3, 8, 1, 1, 4, 2];
        assert_eq!(syn(&windows), ("mss,nop,ws,nop,nop,sok".into(), Some(1_460), Some(8)));
        let ends_early = [1, 0, 2, 4, 5, 180];
        assert_eq!(syn(&ends_early), ("nop,eol".into(), None, None), "nothing stands behind the end of the list");
    }

    #[test]
    fn an_option_without_a_name_hides_none_behind_it() {
        let fast_open = [34, 4, 9, 9, 2, 4, 5, 180];
        assert_eq!(syn(&fast_open), ("?34,mss".into(), Some(1_460), None));
    }

    #[test]
    fn an_option_that_claims_too_much_ends_the_list() {
        assert_eq!(syn(&[4, 2, 2, 9, 5, 180]), ("sok".into(), None, None));
        assert_eq!(syn(&[4, 2, 2, 0, 5, 180]), ("sok".into(), None, None), "no option is shorter than its length");
        assert_eq!(syn(&[2, 3, 5, 4, 2]), ("mss,sok".into(), None, None), "a size has two bytes");
    }

    #[test]
    fn timestamps_are_found_wherever_they_stand() {
        let ack = TcpFlags::ACK;
        let times = TcpOptions::Timestamps(Timestamps { value: 258, echo: 772 });
        assert_eq!(TcpOptions::read(&[1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 3, 4], ack), times);
        assert_eq!(TcpOptions::read(&[1, 1, 5, 2, 8, 10, 0, 0, 1, 2, 0, 0, 3, 4], ack), times);
        assert_eq!(TcpOptions::read(&[8, 10, 0, 0, 1, 2, 0, 0, 3], ack), TcpOptions::Nothing, "the last byte is missing");
    }

    proptest! {
        #[test]
        fn any_bytes_give_options_that_can_be_named(bytes in proptest::collection::vec(any::<u8>(), 0..41)) {
            let named = SynOptions::read(&bytes).to_string();
            prop_assert!(named.split(',').count() <= SYN_OPTIONS_MAX);
        }
    }
}
