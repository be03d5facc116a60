//! Records of classic pcap files: microseconds or nanoseconds, either byte order, all dialects that are known; and how reading goes on behind damage.
//!
//! A record says how long it is, and nothing proves it but the record behind it. So a record is given out only when the header behind it makes sense,
//! or the file ends there. Where it makes none, the place is damaged: reading goes on at the next byte from which several records follow each other.
//! That byte may lie inside the record before, whose length then was the lie.
//!
//! `pcap_parser` reads the header of ordinary files. The bytes before each packet are read here: its frame parsers look at them only when the whole
//! packet is there, but what a damaged record claims must be known before its bytes are waited for.

use pcap_parser::parse_pcap_header;

use super::error::Flaw;
use super::order::Order;
use super::scan::{Joint, RECORD_BYTES_MAX, Raw, Sink, Stop, TIME_NEAR, joint};
use crate::model::{Span, Timestamp};

pub(super) const FILE_HEADER_BYTES: usize = 24;
/// What every dialect has before a packet: seconds, fraction, captured length, original length.
const RECORD_HEADER_BYTES: usize = 16;
/// MAXIMUM_SNAPLEN of libpcap: whatever the header says, tools write packets up to this.
const CAPTURED_USUAL_MAX: u32 = 256 * 1024;
/// Enough to try every offset of the tail of an honest file; what needs more is read from the front.
const ALIGN_STEPS_MAX: usize = 4_000_000;

/// Reading goes on behind damage where so many records follow each other within [`NEAR_LAST`] of the last sound one: of arbitrary bytes one in 2^38
/// looks like one such header (by design).
const RECORDS_NEAR: usize = 3;
const NEAR_LAST: Span = Span::from_secs(24 * 3_600);
/// Or so many within [`TIME_NEAR`]: a capture that was itself sent over the network is there in pieces of a segment, and seldom of the same day.
const RECORDS_FAR: usize = 16;
/// A header that looks odd is one of a record all the same where the next two are possible.
const RECORDS_BEHIND_ODD: usize = 2;

/// A pcap file in the course of being read.
#[derive(Default)]
pub(super) struct Pcap {
    layout: Option<Layout>,
    /// Time of the last record that nothing is odd about.
    trusted: Option<Timestamp>,
    /// How many packets there were when reading last began at a record that leads nowhere.
    unproven: Option<u64>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// At the first record, or behind a place where reading went on.
    #[default]
    Unsure,
    /// At a record whose header was found good already.
    AtRecord,
    /// The place is damaged: where reading can go on is not found yet.
    Lost,
}

/// What the header of the file says about its records.
#[derive(Clone, Copy, Debug)]
struct Layout {
    order: Order,
    /// Units of the sub-second part: 10^6 or 10^9.
    units: u32,
    snaplen: u32,
    captured_max: u32,
    link_type: u16,
    /// Of the file; more than 24 where a dialect adds to it.
    file_header: usize,
    /// Before each packet; more than 16 where a dialect adds to it.
    record_header: usize,
    lengths: Lengths,
}

/// In which order the two lengths of a record stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    OriginalFirst,
    /// The smaller one is what was captured (version 2.3 was written in both orders: libpcap, sf-pcap.c).
    Either,
}

#[derive(Clone, Copy, Debug)]
struct RecordHeader {
    time: Timestamp,
    fraction: u32,
    captured: u32,
    original: u32,
    is_zero: bool,
}

/// Whether records follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chain {
    Holds,
    Breaks,
    /// Not told by these bytes; so many are needed.
    Needs(usize),
}

/// The dialects, by their first four bytes as a little-endian file has them.
const MAGIC_MICROS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOS: u32 = 0xa1b2_3c4d;
/// Alexey Kuznetzov's patch of libpcap (Linux distributions of 1998 to 2001): interface, protocol and packet type behind the lengths.
const MAGIC_MODIFIED: u32 = 0xa1b2_cd34;
/// Ixia's lcap: the size of all records behind the header of the file.
const MAGIC_IXIA_HARDWARE: u32 = 0x1c00_01ac;
const MAGIC_IXIA_SOFTWARE: u32 = 0x1c00_01ab;

/// Patched libraries kept the magic but not the header of a record: Nokia's has 20 bytes, Red Hat 6.1's 24, and under the modified magic SuSE 6.3's 28.
const OTHER_RECORD_HEADERS: &[usize] = &[20, 24];
const OTHER_RECORD_HEADERS_MODIFIED: &[usize] = &[28];

/// Byte order and magic of a file that starts so.
fn magic(bytes: &[u8]) -> Option<(Order, u32)> {
    let first = *bytes.first_chunk()?;
    let known = |magic| matches!(magic, MAGIC_MICROS | MAGIC_NANOS | MAGIC_MODIFIED | MAGIC_IXIA_HARDWARE | MAGIC_IXIA_SOFTWARE);
    [Order::Little, Order::Big].into_iter().map(|order| (order, order.u32(first))).find(|&(_, magic)| known(magic))
}

/// Whether a file that begins so is a pcap.
pub(super) fn has_magic(start: &[u8]) -> bool {
    magic(start).is_some()
}

/// Whether these are the first bytes of a pcap, strictly.
pub(super) fn is_file_header(bytes: &[u8]) -> bool {
    let version = |order: Order| Some((order.u16(*bytes.get(4..)?.first_chunk()?), order.u16(*bytes.get(6..)?.first_chunk()?)));
    magic(bytes).and_then(|(order, _)| version(order)).is_some_and(|version| matches!(version, (2, 0..=4)))
}

impl Layout {
    /// None where the header is cut.
    fn of(bytes: &[u8]) -> Option<Self> {
        let (order, magic) = magic(bytes)?;
        let word = |offset| order.u32_at(bytes, offset);
        let half = |offset: usize| bytes.get(offset..)?.first_chunk().map(|half| order.u16(*half));
        let (major, minor, snaplen, network) = match parse_pcap_header(bytes) {
            Ok((_, header)) => (header.version_major, header.version_minor, header.snaplen, header.network.0 as u32),
            Err(_) => (half(4)?, half(6)?, word(16)?, word(20)?), // a dialect that it does not know
        };
        let is_ixia = matches!(magic, MAGIC_IXIA_HARDWARE | MAGIC_IXIA_SOFTWARE);
        let file_header = FILE_HEADER_BYTES + if is_ixia { 4 } else { 0 };
        Some(Self {
            order,
            units: if matches!(magic, MAGIC_NANOS | MAGIC_IXIA_HARDWARE) { 1_000_000_000 } else { 1_000_000 },
            snaplen,
            captured_max: snaplen.clamp(CAPTURED_USUAL_MAX, RECORD_BYTES_MAX),
            link_type: network as u16, // the upper half holds the length of a frame check sequence
            file_header,
            record_header: if magic == MAGIC_MODIFIED { 24 } else { RECORD_HEADER_BYTES },
            lengths: match (major, minor) {
                (2, 0..=2) | (543, _) => Lengths::OriginalFirst, // before the lengths were swapped, and DG/UX (libpcap, sf-pcap.c)
                (2, 3) => Lengths::Either,
                _ => Lengths::CapturedFirst,
            },
        })
    }

    #[inline(always)]
    fn read(&self, order: Order, bytes: &[u8; RECORD_HEADER_BYTES]) -> RecordHeader {
        let [s0, s1, s2, s3, f0, f1, f2, f3, c0, c1, c2, c3, o0, o1, o2, o3] = *bytes;
        let seconds = order.u32([s0, s1, s2, s3]);
        let fraction = order.u32([f0, f1, f2, f3]);
        let lengths = (order.u32([c0, c1, c2, c3]), order.u32([o0, o1, o2, o3]));
        let (captured, original) = match self.lengths {
            Lengths::CapturedFirst => lengths,
            Lengths::OriginalFirst => (lengths.1, lengths.0),
            Lengths::Either => (lengths.0.min(lengths.1), lengths.0.max(lengths.1)),
        };
        // Some writers leave a whole second and more in the fraction: it counts as what it says.
        let nanos = u64::from(fraction) * u64::from(1_000_000_000 / self.units);
        let time = Timestamp((u64::from(seconds) * 1_000_000_000 + nanos) as i64); // 2^32 s are below 2^63 ns
        RecordHeader { time, fraction, captured, original, is_zero: u128::from_ne_bytes(*bytes) == 0 }
    }

    fn read_at(&self, bytes: &[u8], at: usize) -> Option<RecordHeader> {
        bytes.get(at..)?.first_chunk().map(|header| self.read(self.order, header))
    }

    /// Whether the length can be true at all.
    #[inline(always)]
    fn is_possible(&self, header: &RecordHeader) -> bool {
        header.captured <= self.captured_max && !header.is_zero
    }

    /// Whether nothing is odd about a header that stands behind a record of this time.
    #[inline(always)]
    fn is_sound(&self, header: &RecordHeader, before: Timestamp, near: Span) -> bool {
        self.is_possible(header) && header.fraction < self.units && (header.time - before).0.unsigned_abs() <= near.0.unsigned_abs()
    }

    /// Whether `count` headers that `fits` follow each other from `start`, or the file ends behind fewer, but at least one.
    fn chain(&self, bytes: &[u8], start: usize, last: bool, count: usize, fits: impl Fn(&RecordHeader) -> bool) -> Chain {
        let mut at = start;
        for passed in 0..count {
            if at == bytes.len() && last && passed > 0 {
                return Chain::Holds;
            }
            let Some(header) = self.read_at(bytes, at) else {
                return if last { Chain::Breaks } else { Chain::Needs(at - start + self.record_header) };
            };
            if !fits(&header) {
                return match joint(&bytes[at..], last) {
                    Joint::Header(_) if passed > 0 => Chain::Holds,
                    Joint::Needs(more) if passed > 0 => Chain::Needs(at - start + more),
                    _ => Chain::Breaks,
                };
            }
            at += self.record_header + header.captured as usize;
            if at > bytes.len() {
                return if last { Chain::Breaks } else { Chain::Needs(at - start) };
            }
        }
        Chain::Holds
    }

    /// Whether a header that is odd, or whose predecessor is not known, is one of a record: its length is possible and leads to others.
    fn is_credible(&self, bytes: &[u8], at: usize, last: bool) -> Chain {
        self.chain(bytes, at, last, 1 + RECORDS_BEHIND_ODD, |header| self.is_possible(header))
    }

    /// Whether sound records, two of which these bytes hold, prove a dialect that the magic does not tell. One alone proves none: a damaged length may
    /// lead to the record behind it just as well.
    fn is_certain(&self, bytes: &[u8], at: usize, last: bool) -> Chain {
        let Some(first) = self.read_at(bytes, at) else { return Chain::Breaks };
        let fits = |header: &RecordHeader| header.captured > 0 && self.is_sound(header, first.time, NEAR_LAST);
        match self.chain(bytes, at, false, 2, fits) {
            Chain::Holds => self.chain(bytes, at, last, RECORDS_NEAR, fits),
            decided => decided,
        }
    }

    /// Whether reading can go on here, after damage behind a record of the time `trusted`.
    fn resumes(&self, bytes: &[u8], at: usize, last: bool, trusted: Option<Timestamp>) -> Chain {
        // Most offsets fail at the first look.
        let Some(header) = self.read_at(bytes, at) else { return if last { Chain::Breaks } else { Chain::Needs(self.record_header) } };
        let trusted = trusted.unwrap_or(header.time);
        if !self.is_sound(&header, trusted, TIME_NEAR) {
            return Chain::Breaks;
        }
        let found = match self.chain(bytes, at, last, RECORDS_NEAR, |header| self.is_sound(header, trusted, NEAR_LAST)) {
            Chain::Breaks => self.chain(bytes, at, last, RECORDS_FAR, |header| self.is_sound(header, trusted, TIME_NEAR)),
            decided => decided,
        };
        if found == Chain::Holds { self.is_not_late(bytes, at, &header, last) } else { found }
    }

    /// A header that is read four bytes too late has the fraction for its seconds and the original length for the captured one, and so it leads on to
    /// others that are read too late. Then its original length is odd, made of the first bytes of a packet, and the second header is sound four bytes
    /// sooner, too.
    fn is_not_late(&self, bytes: &[u8], at: usize, header: &RecordHeader, last: bool) -> Chain {
        if self.has_usual_lengths(header) {
            return Chain::Holds;
        }
        let sooner = at + self.record_header + header.captured as usize - 4;
        let Some(first) = self.read_at(bytes, sooner) else { return Chain::Holds };
        match self.chain(bytes, sooner, last, RECORDS_NEAR, |header| self.is_sound(header, first.time, NEAR_LAST)) {
            Chain::Holds => Chain::Breaks,
            Chain::Breaks => Chain::Holds,
            Chain::Needs(more) => Chain::Needs(sooner - at + more),
        }
    }

    /// What the captured length of an undamaged record is: all of the packet, or as much as the snap length left.
    fn has_usual_lengths(&self, header: &RecordHeader) -> bool {
        let is_short = self.snaplen == 0 || header.captured <= self.snaplen;
        let is_packet = header.original <= RECORD_BYTES_MAX;
        is_short && is_packet && (header.captured == header.original || (header.captured < header.original && header.captured == self.snaplen))
    }
}

impl Pcap {
    pub(super) fn scan(&mut self, bytes: &[u8], mut at: usize, last: bool, sink: &mut Sink<'_>) -> (usize, Stop) {
        let layout = match self.layout {
            Some(layout) => layout,
            None => match self.begin(&bytes[at..], last, sink) {
                Ok(layout) => {
                    at += layout.file_header;
                    layout
                }
                Err(stop) => return (at, stop),
            },
        };
        match layout.order {
            Order::Little => self.records(&layout, Order::Little, bytes, at, last, sink),
            Order::Big => self.records(&layout, Order::Big, bytes, at, last, sink),
        }
    }

    /// Reads the header of the file, and finds out by its first records which dialect it is.
    fn begin(&mut self, bytes: &[u8], last: bool, sink: &mut Sink<'_>) -> Result<Layout, Stop> {
        let missing = |needs: usize| if last { Stop::Cut(needs as u32) } else { Stop::More(needs as u32) };
        let Some(mut layout) = Layout::of(bytes).filter(|layout| bytes.len() >= layout.file_header) else {
            return Err(missing(FILE_HEADER_BYTES));
        };
        // Only records that contradict the usual dialect bring up the others: a file that is merely cut does not.
        let start = layout.file_header;
        match layout.is_credible(bytes, start, false) {
            Chain::Needs(more) if !last => return Err(Stop::More((start + more) as u32)),
            Chain::Holds | Chain::Needs(_) => {}
            Chain::Breaks => {
                let others = if layout.record_header == RECORD_HEADER_BYTES { OTHER_RECORD_HEADERS } else { OTHER_RECORD_HEADERS_MODIFIED };
                for &record_header in others {
                    let dialect = Layout { record_header, ..layout };
                    match dialect.is_certain(bytes, start, last) {
                        Chain::Needs(more) if !last => return Err(Stop::More((start + more) as u32)),
                        Chain::Holds => layout = dialect,
                        Chain::Needs(_) | Chain::Breaks => {}
                    }
                }
            }
        }
        sink.tally.interface(layout.link_type, layout.snaplen);
        sink.across.interfaces.only(layout.link_type);
        Ok(*self.layout.insert(layout))
    }

    fn records(&mut self, layout: &Layout, order: Order, bytes: &[u8], mut at: usize, last: bool, sink: &mut Sink<'_>) -> (usize, Stop) {
        loop {
            let (now, stop) = match self.state {
                State::Unsure => self.first(layout, bytes, at, last, sink),
                State::Lost => self.search(layout, bytes, at, last, sink),
                State::AtRecord => self.run(layout, order, bytes, at, last, sink),
            };
            at = now;
            if let Some(stop) = stop {
                return (at, stop);
            }
        }
    }

    /// The hot path: gives out records as long as the header behind each is sound. `order` is a constant at each call, so that the loop holds no branch for it.
    #[inline(always)]
    fn run(&mut self, layout: &Layout, order: Order, bytes: &[u8], mut at: usize, last: bool, sink: &mut Sink<'_>) -> (usize, Option<Stop>) {
        let Some(mut header) = layout.read_at(bytes, at) else { return (at, Some(Stop::More(layout.record_header as u32))) };
        loop {
            let end = at + layout.record_header + header.captured as usize;
            let Some(next) = bytes.get(end..).and_then(|rest| rest.first_chunk()) else {
                return self.at_the_end(layout, bytes, at, last, sink);
            };
            let next = layout.read(order, next);
            if !layout.is_sound(&next, header.time, TIME_NEAR) {
                return self.doubt(layout, bytes, at, last, sink);
            }
            give(layout, at, header, end, sink);
            self.trusted = Some(next.time);
            (at, header) = (end, next);
        }
    }

    /// At a first record, with nothing before it to compare with.
    fn first(&mut self, layout: &Layout, bytes: &[u8], at: usize, last: bool, sink: &mut Sink<'_>) -> (usize, Option<Stop>) {
        if at == bytes.len() && last {
            return (at, Some(Stop::End));
        }
        match joint(&bytes[at..], last) {
            Joint::Header(format) => return (at, Some(Stop::Another(format))),
            Joint::Needs(more) => return (at, Some(Stop::More(more as u32))),
            Joint::None => {}
        }
        let Some(header) = layout.read_at(bytes, at) else {
            let needs = layout.record_header as u32;
            return (at, Some(if last { Stop::Cut(needs) } else { Stop::More(needs) }));
        };
        let (credible, in_time) = match layout.is_credible(bytes, at, last) {
            Chain::Holds => (Chain::Holds, layout.is_not_late(bytes, at, &header, last)),
            other => (other, other),
        };
        self.unproven = (credible != Chain::Holds).then_some(sink.tally.packets);
        match in_time {
            Chain::Needs(more) => return (at, Some(Stop::More(more as u32))),
            Chain::Breaks if credible == Chain::Holds || !layout.is_possible(&header) => return self.lose(layout, at, &header, sink),
            Chain::Breaks | Chain::Holds => {} // what is odd behind it is for `run` to find
        }
        self.trusted = Some(header.time);
        self.state = State::AtRecord;
        (at, None)
    }

    /// Behind the record at `at` there is no other header in these bytes.
    fn at_the_end(&mut self, layout: &Layout, bytes: &[u8], at: usize, last: bool, sink: &mut Sink<'_>) -> (usize, Option<Stop>) {
        let Some(header) = layout.read_at(bytes, at) else { return (at, Some(Stop::End)) };
        let claims = layout.record_header + header.captured as usize;
        if !last {
            return (at, Some(Stop::More((claims + layout.record_header) as u32)));
        }
        if layout.has_usual_lengths(&header) {
            Self::last(layout, bytes, at, header, sink)
        } else {
            self.last_or_damaged(layout, bytes, at, header, sink)
        }
    }

    /// The last record: whole, or cut as the file is.
    fn last(layout: &Layout, bytes: &[u8], at: usize, header: RecordHeader, sink: &mut Sink<'_>) -> (usize, Option<Stop>) {
        let claims = layout.record_header + header.captured as usize;
        let end = at + claims;
        if end > bytes.len() {
            return (at, Some(Stop::Cut(claims as u32)));
        }
        give(layout, at, header, end, sink);
        let stop = if end == bytes.len() { Stop::End } else { Stop::Cut(layout.record_header as u32) };
        (end, Some(stop))
    }

    /// The record reaches to the end of the file or behind it, and its lengths are odd: they may be a lie that hides others.
    #[cold]
    fn last_or_damaged(&mut self, layout: &Layout, bytes: &[u8], at: usize, header: RecordHeader, sink: &mut Sink<'_>) -> (usize, Option<Stop>) {
        let (data, trusted) = (at + layout.record_header, self.trusted(sink));
        let end = bytes.len().min(data + header.captured as usize);
        match (data..end).find(|&start| Self::goes_on(layout, bytes, start, true, trusted) == Chain::Holds) {
            Some(found) => self.said_too_much(layout, at, header, found, sink),
            None => Self::last(layout, bytes, at, header, sink),
        }
    }

    /// The header behind the record at `at` is odd. It may be one all the same; or the header of a capture that was appended; or the place is damaged.
    #[cold]
    fn doubt(&mut self, layout: &Layout, bytes: &[u8], at: usize, last: bool, sink: &mut Sink<'_>) -> (usize, Option<Stop>) {
        let Some(header) = layout.read_at(bytes, at) else { return (at, Some(Stop::End)) };
        let (data, end) = (at + layout.record_header, at + layout.record_header + header.captured as usize);
        match joint(&bytes[end..], last) {
            Joint::Header(format) => {
                give(layout, at, header, end, sink);
                return (end, Some(Stop::Another(format)));
            }
            Joint::Needs(more) => return (at, Some(Stop::More((end - at + more) as u32))),
            Joint::None => {}
        }
        let mut credible = match layout.is_credible(bytes, end, last) {
            Chain::Needs(more) => return (at, Some(Stop::More((end - at + more) as u32))),
            chain => chain == Chain::Holds,
        };
        let Some(next) = layout.read_at(bytes, end) else { return (at, Some(Stop::End)) };
        let claims = layout.record_header + next.captured as usize;
        let trusted = self.trusted(sink);
        let looks_cut = last && !credible && layout.is_possible(&next) && layout.has_usual_lengths(&next) && end + claims > bytes.len();
        if looks_cut && (end + 1..bytes.len()).all(|start| Self::goes_on(layout, bytes, start, last, trusted) != Chain::Holds) {
            give(layout, at, header, end, sink);
            return (end, Some(Stop::Cut(claims as u32)));
        }
        // A length that is wrong by four takes the original length of the header behind it for the captured one, and so from record to record: possible
        // headers prove less than sound ones that begin elsewhere.
        let starts = if credible { [end..end + 1, data..end, end + 1..end + claims] } else { [0..0, data..end, 0..0] };
        for start in starts.into_iter().flatten() {
            // The header of a capture inside a packet proves nothing as long as what follows the packet may be a record.
            let chain = if credible { layout.resumes(bytes, start, last, trusted.0) } else { Self::goes_on(layout, bytes, start, last, trusted) };
            match chain {
                Chain::Breaks => {}
                Chain::Needs(more) => return (at, Some(Stop::More((start - at + more) as u32))),
                Chain::Holds if start == end => break,
                Chain::Holds if start > end => {
                    credible = false;
                    break;
                }
                Chain::Holds => return self.said_too_much(layout, at, header, start, sink),
            }
        }
        give(layout, at, header, end, sink);
        if credible {
            return (end, None);
        }
        sink.doubt_last();
        self.lose(layout, end, &next, sink)
    }

    /// Records begin inside the one at `at`: what stands before them is its own.
    #[cold]
    fn said_too_much(&mut self, layout: &Layout, at: usize, header: RecordHeader, found: usize, sink: &mut Sink<'_>) -> (usize, Option<Stop>) {
        sink.damaged(at, Flaw::NoRecord { captured: header.captured });
        give(layout, at, header, found, sink);
        sink.doubt_last();
        self.state = State::Unsure;
        (found, None)
    }

    #[cold]
    fn lose(&mut self, layout: &Layout, at: usize, header: &RecordHeader, sink: &mut Sink<'_>) -> (usize, Option<Stop>) {
        let (captured, most) = (header.captured, layout.captured_max);
        sink.damaged(at, if captured > most { Flaw::TooLong { captured, most } } else { Flaw::NoRecord { captured } });
        sink.skipped(1); // whatever stands here, no record begins at this byte
        self.state = State::Lost;
        (at + 1, None)
    }

    /// The time that records behind damage have to be near to, and whether it is proven: a few sound records behind one that leads nowhere may be as
    /// wrong as that one.
    fn trusted(&self, sink: &Sink<'_>) -> (Option<Timestamp>, bool) {
        (self.trusted, self.unproven.is_none_or(|packets| sink.tally.packets >= packets + RECORDS_NEAR as u64))
    }

    /// Whether the next record, or another capture, can begin here.
    fn goes_on(layout: &Layout, bytes: &[u8], at: usize, last: bool, (trusted, proven): (Option<Timestamp>, bool)) -> Chain {
        match joint(&bytes[at..], last) {
            Joint::Header(_) => return Chain::Holds,
            Joint::Needs(more) => return Chain::Needs(more),
            Joint::None => {}
        }
        match layout.resumes(bytes, at, last, trusted) {
            // Records of any other time will do, but no fewer than it takes: the end of the file proves nothing.
            Chain::Breaks if !proven => match layout.resumes(bytes, at, false, None) {
                Chain::Needs(_) if last => Chain::Breaks,
                decided => decided,
            },
            decided => decided,
        }
    }

    /// The next byte where reading can go on; all before it is skipped.
    #[cold]
    fn search(&mut self, layout: &Layout, bytes: &[u8], at: usize, last: bool, sink: &mut Sink<'_>) -> (usize, Option<Stop>) {
        let trusted = self.trusted(sink);
        for start in at..bytes.len() {
            match Self::goes_on(layout, bytes, start, last, trusted) {
                Chain::Breaks => {}
                Chain::Needs(more) => {
                    sink.skipped(start - at);
                    return (start, Some(Stop::More(more as u32)));
                }
                Chain::Holds => {
                    sink.skipped(start - at);
                    self.state = State::Unsure;
                    return (start, None);
                }
            }
        }
        sink.skipped(bytes.len() - at);
        (bytes.len(), Some(if last { Stop::End } else { Stop::More(layout.record_header as u32) }))
    }

    /// See [`super::scan::Scanner::align`].
    pub(super) fn align(&self, tail: &[u8], first_time: Timestamp) -> Option<usize> {
        let layout = self.layout?;
        let mut steps = ALIGN_STEPS_MAX;
        (0..tail.len()).find(|&start| layout.reaches_end(&tail[start..], first_time, &mut steps))
    }
}

impl Layout {
    /// Whether records of plausible times follow each other from the first byte exactly to the last.
    fn reaches_end(&self, mut bytes: &[u8], first_time: Timestamp, steps: &mut usize) -> bool {
        while !bytes.is_empty() {
            let Some(left) = steps.checked_sub(1) else { return false };
            *steps = left;
            let Some(header) = self.read_at(bytes, 0).filter(|header| self.is_sound(header, first_time, TIME_NEAR)) else { return false };
            let Some(after) = bytes.get(self.record_header + header.captured as usize..) else { return false };
            bytes = after;
        }
        true
    }
}

/// Gives out the record at `at`, which ends at `end`: behind its data, or sooner where it claims too much.
#[inline(always)]
fn give(layout: &Layout, at: usize, header: RecordHeader, end: usize, sink: &mut Sink<'_>) {
    let start = at + layout.record_header;
    let captured = header.captured.min((end - start) as u32);
    sink.packet(Raw { time: header.time, is_timed: true, link_type: layout.link_type, interface: 0, start, captured, original: header.original });
}

#[cfg(test)]
mod tests {
    use super::super::testing::{PcapBuilder, read_whole};
    use super::*;

    #[test]
    fn both_orders_and_both_units_tell_the_same_time() {
        for (order, units) in [(Order::Little, 1_000_000), (Order::Big, 1_000_000), (Order::Little, 1_000_000_000), (Order::Big, 1_000_000_000)] {
            let (records, report) = read_whole(&PcapBuilder::new(order, units, 101).packet(1_700_000_000_123_456_000, b"hello").bytes());
            let [record] = &records[..] else { panic!("one record, not {records:?}") };
            assert_eq!((record.time, record.link_type), (Timestamp(1_700_000_000_123_456_000), 101), "{order:?} {units}");
            assert_eq!(record.data, b"hello");
            assert!(report.complete);
        }
    }

    #[test]
    fn the_link_type_is_the_lower_half_of_the_network_field() {
        let mut bytes = PcapBuilder::micros().packet(0, b"x").bytes();
        bytes[23] = 0x24; // a frame check sequence of two bytes
        let (records, report) = read_whole(&bytes);
        assert_eq!((records[0].link_type, report.link_types), (1, vec![1]));
    }

    #[test]
    fn a_packet_cut_by_the_snap_length_is_counted() {
        let (records, report) = read_whole(&PcapBuilder::micros().packet(0, b"whole").snapped(1_000, b"part", 1_500).bytes());
        assert_eq!((records[1].captured, records[1].original), (4, 1_500));
        assert_eq!((report.packets, report.truncated_packets, report.snaplen), (2, 1, Some(65_535)));
    }

    #[test]
    fn a_record_that_cannot_be_is_named_with_its_place() {
        let whole = PcapBuilder::micros().packet(0, b"whole");
        let at = whole.clone().bytes().len();
        let mut too_long = whole.clone().packet(0, b"never").bytes();
        too_long[at + 8..at + 12].copy_from_slice(&300_000_u32.to_le_bytes());
        let (records, report) = read_whole(&too_long);
        assert_eq!((records.len(), report.complete), (1, false));
        let says = "test: record 2 at byte 45: claims 300000 captured bytes, the most this file can hold is 262144; 21 bytes skipped";
        assert_eq!(report.error.expect("damaged").to_string(), says);
    }

    #[test]
    fn a_whole_second_in_the_fraction_is_a_second() {
        let mut bytes = PcapBuilder::micros().packet(5_000_000_000, b"x").bytes();
        bytes[28..32].copy_from_slice(&1_000_000_u32.to_le_bytes());
        let (records, report) = read_whole(&bytes);
        assert_eq!((records[0].time, report.complete), (Timestamp(6_000_000_000), true));
    }

    #[test]
    fn a_snap_length_above_the_usual_allows_larger_records() {
        let mut bytes = PcapBuilder::micros().packet(0, &vec![7; 300_000]).bytes();
        bytes[16..20].copy_from_slice(&400_000_u32.to_le_bytes());
        assert_eq!(read_whole(&bytes).0.len(), 1);
    }

    #[test]
    fn the_tail_of_a_file_is_joined_at_a_record() {
        const START: u64 = 1_700_000_000; // seconds: records of zeros are no records of that time
        let file = (START..START + 100).fold(PcapBuilder::micros(), |file, second| file.packet(second * 1_000_000_000, &[0; 60])).bytes();
        let pcap = Pcap { layout: Layout::of(&file), ..Pcap::default() };
        assert_eq!(pcap.align(&file[file.len() - 200..], Timestamp(START as i64 * 1_000_000_000)), Some(200 - 2 * 76));
        assert_eq!(
            pcap.align(&file[file.len() - 200..file.len() - 1], Timestamp(START as i64 * 1_000_000_000)),
            None,
            "a cut file has no such record"
        );
    }

    // Damage.

    const START: u64 = 1_700_000_000_000_000_000;

    /// Ten packets of 40 bytes, a second apart, and where each record begins.
    fn ten() -> (Vec<u8>, Vec<usize>) {
        let mut file = PcapBuilder::micros();
        let mut starts = Vec::new();
        for number in 0..10_u8 {
            starts.push(file.clone().bytes().len());
            file = file.packet(START + u64::from(number) * 1_000_000_000, &[number; 40]);
        }
        (file.bytes(), starts)
    }

    /// The first byte of each packet that is found, which is its number.
    fn found(bytes: &[u8]) -> (Vec<u8>, String) {
        let (records, report) = read_whole(bytes);
        let (in_small_rounds, _) = super::super::testing::read_in_rounds(bytes, 64);
        assert_eq!(records, in_small_rounds, "rounds change nothing");
        let error = report.error.map(|error| error.to_string()).unwrap_or_default();
        (records.iter().map(|record| record.data.first().copied().unwrap_or(99)).collect(), error)
    }

    fn all_but(missing: &[u8]) -> Vec<u8> {
        (0..10).filter(|number| !missing.contains(number)).collect()
    }

    #[test]
    fn behind_a_length_that_cannot_be_reading_goes_on_at_the_next_record() {
        let (mut bytes, starts) = ten();
        bytes[starts[4] + 11] = 0xff;
        let says = format!(
            "test: record 5 at byte {}: claims 4278190120 captured bytes, the most this file can hold is 262144; 56 bytes skipped",
            starts[4]
        );
        assert_eq!(found(&bytes), (all_but(&[4]), says));
    }

    #[test]
    fn a_length_that_says_too_much_hides_no_record() {
        let (mut bytes, starts) = ten();
        bytes[starts[4] + 8] = 200; // reaches into record 7
        let (numbers, error) = found(&bytes);
        assert_eq!(numbers, all_but(&[]));
        assert!(error.starts_with(&format!("test: record 5 at byte {}: claims 200 captured bytes", starts[4])), "{error}");
        assert_eq!(read_whole(&bytes).0[4].data, [4; 40], "what it really held");
        bytes[starts[4] + 9] = 0x80; // and beyond the end of the file
        assert_eq!(found(&bytes).0, all_but(&[]));
    }

    #[test]
    fn a_length_that_leads_close_to_the_end_hides_no_record() {
        let (mut bytes, starts) = ten();
        for end in [bytes.len() - 5, bytes.len()] {
            bytes[starts[4] + 8..starts[4] + 10].copy_from_slice(&((end - starts[4] - 16) as u16).to_le_bytes());
            assert_eq!(found(&bytes).0, all_but(&[]), "as if the file ended in the next header, and as if it ended here");
        }
    }

    #[test]
    fn a_length_that_says_too_little_costs_the_rest_of_its_packet() {
        let (mut bytes, starts) = ten();
        bytes[starts[4] + 8] = 10;
        let (numbers, error) = found(&bytes);
        assert_eq!((numbers, &read_whole(&bytes).0[4].data[..]), (all_but(&[]), &[4; 10][..]));
        assert!(error.ends_with("; 30 bytes skipped"), "{error}");
    }

    /// Packets of 56 bytes, as a real capture has them: the payload says nothing of lengths, and no two times end alike.
    #[test]
    fn a_flipped_bit_of_a_header_costs_no_other_record() {
        let mut file = PcapBuilder::micros();
        let mut starts = Vec::new();
        for number in 0..24_u8 {
            starts.push(file.clone().bytes().len());
            let data: Vec<u8> = std::iter::once(number).chain((0..55_u8).map(|at| at.wrapping_mul(37) ^ number)).collect();
            file = file.packet(START + u64::from(number) * 1_123_457_000, &data);
        }
        let sound = read_whole(&file.clone().bytes()).0;
        for (damaged, bit) in [0, 4].into_iter().flat_map(|damaged| (0..128).map(move |bit| (damaged, bit))) {
            let mut bytes = file.clone().bytes();
            bytes[starts[damaged] + bit / 8] ^= 1 << (bit % 8);
            found(&bytes);
            let records = read_whole(&bytes).0;
            for (number, other) in sound.iter().enumerate().filter(|&(number, _)| number != damaged) {
                let is_found = records.iter().any(|record| (record.time, &record.data) == (other.time, &other.data));
                assert!(is_found, "bit {bit} of record {damaged} hides record {number}");
            }
            assert!(records.len() <= sound.len(), "bit {bit} of record {damaged} makes no record");
        }
    }

    #[test]
    fn a_hole_costs_the_records_around_it() {
        let (mut bytes, starts) = ten();
        bytes.drain(starts[3] + 30..starts[5] + 20);
        let (numbers, error) = found(&bytes);
        assert_eq!(numbers, all_but(&[4, 5]), "record 4 has lost its end");
        assert!(error.contains("record 5 at byte") && error.ends_with("; 10 bytes skipped"), "{error}");
    }

    #[test]
    fn the_time_of_a_damaged_first_record_is_not_believed() {
        let first = PcapBuilder::micros().packet(START, b"");
        let file = (1..10).fold(first, |file, number: u8| file.packet(START + u64::from(number) * 1_000_000_000, &[number; 40]));
        let mut bytes = file.bytes();
        for gone in 1..5 {
            bytes.remove(24); // of the first time, which is one of 1970 then
            let numbers = found(&bytes).0;
            assert!(numbers.ends_with(&[2, 3, 4, 5, 6, 7, 8, 9]), "{gone} bytes: {numbers:?}");
        }
    }

    #[test]
    fn a_byte_too_many_is_no_end_of_the_file() {
        let (mut bytes, starts) = ten();
        bytes.insert(starts[5], 0); // both lengths are 40 << 8 then, as of a record that the file has not all of
        assert_eq!(found(&bytes).0, all_but(&[]));
    }

    #[test]
    fn a_length_four_bytes_too_long_does_not_shift_what_follows() {
        let (mut bytes, starts) = ten();
        bytes[starts[4] + 8] += 4;
        let (numbers, error) = found(&bytes);
        assert_eq!(numbers, all_but(&[]));
        assert!(error.contains("claims 44 captured bytes"), "{error}");
        let (records, _) = read_whole(&bytes);
        assert!(records.iter().zip(0..).all(|(record, number)| record.data == [number; 40]));
    }

    #[test]
    fn the_gap_is_told_and_the_record_beside_it_is_doubted() {
        let (mut bytes, starts) = ten();
        bytes.drain(starts[3] + 30..starts[5] + 20);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        std::fs::write(&path, &bytes).expect("a file");
        let source = crate::capture::Source { name: "x".into(), files: vec![crate::capture::CaptureFile::at(crate::model::FileId(0), &path)] };
        let mut reader = crate::capture::SourceReader::new(&source, 1 << 20);
        let mut round = crate::capture::Round::default();
        assert!(reader.fill(&mut round));
        assert_eq!(round.doubtful.iter().map(|number| number.number()).collect::<Vec<_>>(), [4], "what was left of it, and bytes of others");
        let second = |number: i64| Timestamp(START as i64 + number * 1_000_000_000);
        let gaps: Vec<_> = reader.gaps().iter().map(|gap| (gap.from, gap.to)).collect();
        assert_eq!(gaps, [(second(3), second(6))], "between records 4 and 7");
    }

    #[test]
    fn zeros_are_no_records() {
        let (mut bytes, starts) = ten();
        bytes[starts[2]..starts[6]].fill(0);
        assert_eq!(found(&bytes).0, all_but(&[2, 3, 4, 5]));
        let (mut bytes, starts) = ten();
        bytes[starts[7]..].fill(0);
        assert_eq!(found(&bytes).0, all_but(&[7, 8, 9]));
    }

    #[test]
    fn two_damaged_places_are_both_passed() {
        let (mut bytes, starts) = ten();
        bytes[starts[2] + 11] = 1;
        bytes[starts[6] + 11] = 1;
        let (numbers, error) = found(&bytes);
        assert_eq!(numbers, all_but(&[2, 6]));
        assert!(error.ends_with("; 112 bytes skipped in 2 places"), "{error}");
    }

    #[test]
    fn odd_times_and_lengths_of_a_whole_file_are_no_damage() {
        let years = |years: u64| START + years * 366 * 24 * 3_600_000_000_000;
        let file = PcapBuilder::micros().packet(years(0), &[0; 40]).packet(years(9), &[1; 40]).snapped(years(2), &[2; 40], 7).packet(0, &[3; 40]);
        assert_eq!(found(&file.packet(years(1), &[4; 40]).bytes()), (vec![0, 1, 2, 3, 4], String::new()));
    }

    #[test]
    fn captures_that_were_joined_are_read_to_their_end() {
        let one = PcapBuilder::micros().packet(START, &[0; 40]).packet(START, &[1; 40]).bytes();
        let other = PcapBuilder::new(Order::Big, 1_000_000_000, 101).packet(START, &[2; 40]).bytes();
        let pcapng = super::super::testing::PcapngBuilder::section(Order::Big).interface("", 113, &[]).packet(0, 9, &[3; 40]).bytes();
        let bytes = [&one[..], &other, &pcapng, &one].concat();
        let (records, report) = read_whole(&bytes);
        assert_eq!(found(&bytes), (vec![0, 1, 2, 3, 0, 1], String::new()));
        assert_eq!(records.iter().map(|record| record.link_type).collect::<Vec<_>>(), [1, 1, 101, 113, 1, 1]);
        assert_eq!((report.link_types, report.complete), (vec![1, 101, 113], true));
        let cut = [&one[..one.len() - 5], &other].concat();
        assert_eq!(found(&cut).0, [0, 1, 2], "the joint is found behind a cut record, too");
    }

    #[test]
    fn a_capture_inside_a_cut_packet_is_no_part_of_this_one() {
        let inner = (0..8).fold(PcapBuilder::micros(), |file, second| file.packet(START + second, &[9; 40])).bytes();
        let mut bytes = PcapBuilder::micros().packet(START, &[0; 40]).packet(START, &inner).bytes();
        bytes.truncate(bytes.len() - 10);
        assert_eq!(found(&bytes).0, [0]);
    }

    // Dialects.

    /// A file of another dialect: its magic, what stands behind the header of the file, and behind the lengths of each record.
    fn dialect(magic: u32, version: (u16, u16), behind_file: usize, behind_record: usize, swapped: bool) -> Vec<u8> {
        let mut bytes = magic.to_le_bytes().to_vec();
        bytes.extend([version.0.to_le_bytes(), version.1.to_le_bytes()].as_flattened());
        bytes.extend([0, 0, 65_535, 1].map(u32::to_le_bytes).as_flattened());
        bytes.extend(vec![0; behind_file]);
        for number in 0..3_u8 {
            let lengths = if swapped { [1_500, 40] } else { [40, 1_500] };
            bytes.extend([1_000_000_000 + u32::from(number), 5, lengths[0], lengths[1]].map(u32::to_le_bytes).as_flattened());
            bytes.extend(vec![0xab; behind_record]);
            bytes.extend([number; 40]);
        }
        bytes
    }

    #[test]
    fn every_dialect_reads_alike() {
        let usual = (2, 4);
        let dialects = [
            ("kuznetzov", dialect(MAGIC_MODIFIED, usual, 0, 8, false)),
            ("suse 6.3", dialect(MAGIC_MODIFIED, usual, 0, 12, false)),
            ("red hat 6.1", dialect(MAGIC_MICROS, usual, 0, 8, false)),
            ("nokia", dialect(MAGIC_MICROS, usual, 0, 4, false)),
            ("ixia", dialect(MAGIC_IXIA_SOFTWARE, usual, 4, 0, false)),
            ("version 2.2", dialect(MAGIC_MICROS, (2, 2), 0, 0, true)),
            ("version 2.3", dialect(MAGIC_MICROS, (2, 3), 0, 0, true)),
            ("dg/ux", dialect(MAGIC_MICROS, (543, 0), 0, 0, true)),
        ];
        for (name, bytes) in dialects {
            let (records, report) = read_whole(&bytes);
            assert_eq!(found(&bytes), (vec![0, 1, 2], String::new()), "{name}");
            let [first, ..] = &records[..] else { panic!("{name}") };
            assert_eq!((first.time, first.captured, first.original), (Timestamp(1_000_000_000_000_005_000), 40, 1_500), "{name}");
            assert!(report.complete, "{name}");
        }
        let (records, _) = read_whole(&dialect(MAGIC_IXIA_HARDWARE, usual, 4, 0, false));
        assert_eq!(records[0].time, Timestamp(1_000_000_000_000_000_005), "in nanoseconds");
    }
}
