//! One side of a connection: its sequence space, what it acknowledges, its counters.

use crate::flow::limits;
use crate::model::words::IpIdCourse;
use crate::model::{SeqNumber, Span, Timestamp};
use crate::packet::{Packet, SackBlock, Segment, SynOptions, TcpFlags, TcpOptions};

use super::holes::{Filled, Holes};
use super::ip_id::IpIds;
use super::kind::Kind;
use super::round_trips::{RoundTrips, Samples};

#[derive(Debug, Default)]
pub struct TcpSide {
    /// Behind the highest byte sent, SYN and FIN counted.
    pub next: Option<SeqNumber>,
    /// The highest acknowledgement sent.
    pub acked: Option<SeqNumber>,
    /// Of its last SYN.
    pub options: SynOptions,
    pub syn: u32,
    pub fin: u32,
    pub rst: u32,
    pub psh: u32,
    pub retransmits: u32,
    pub out_of_order: u32,
    pub dup_acks: u32,
    pub zero_window: u32,
    /// Payload bytes, each counted once.
    pub new_payload_bytes: u64,
    pub new_payload_packets: u32,
    /// Bytes that the peer acknowledged and the capture never held.
    pub unseen_bytes: u64,
    /// Behind the last byte of payload, and when the last that was new came; where there was any.
    payload_end: SeqNumber,
    last_new: Timestamp,
    /// Behind the FIN.
    fin_end: Option<SeqNumber>,
    /// The last acknowledgement sent, whatever it was, and when.
    last_ack: Option<SeqNumber>,
    last_ack_time: Timestamp,
    /// How often the last acknowledgement was repeated.
    repeated_acks: u32,
    /// Segments sent again that the peer has not answered by repeating an acknowledgement.
    unanswered_repeats: u16,
    /// As the last packet states it, and the largest behind the SYN; not scaled.
    window: u16,
    window_max: u16,
    /// The value of its last TCP timestamp; where it sends any.
    timestamp: u32,
    is_stamped: bool,
    /// Of the last packet.
    last_kind: Kind,
    ip_ids: IpIds,
    round_trips: RoundTrips,
    rare: Option<Box<Rare>>,
}

/// What few sides show.
#[derive(Debug, Default)]
struct Rare {
    holes: Holes,
    /// A segment that lies too far ahead to be believed at once: behind its last byte.
    doubted: Option<SeqNumber>,
    /// An acknowledgement that reaches too far to be believed at once.
    doubted_ack: Option<SeqNumber>,
    spurious_retransmits: u32,
    keep_alives: u32,
    window_probes: u32,
    signed: u32,
}

/// A segment and where it ends in the sequence space.
pub(super) struct Placed<'a> {
    pub packet: &'a Packet,
    pub segment: &'a Segment,
    end: SeqNumber,
    /// Sequence space taken.
    length: u32,
}

/// What an acknowledgement showed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Acknowledged {
    pub kind: Kind,
    /// It revealed bytes that the capture does not hold.
    pub reveals_gap: bool,
}

impl<'a> Placed<'a> {
    pub fn new(packet: &'a Packet, segment: &'a Segment) -> Self {
        let length = segment.sequence_length(packet.payload_bytes);
        Self { packet, segment, end: segment.seq.plus(length), length }
    }

    /// Neither payload nor SYN, FIN or RST.
    fn is_pure_ack(&self) -> bool {
        self.length == 0
    }

    fn payload(&self) -> u32 {
        self.packet.payload_bytes
    }

    fn has(&self, flag: TcpFlags) -> bool {
        self.segment.flags.has(flag)
    }
}

impl TcpSide {
    /// Flags and options, whatever the segment is.
    #[inline]
    pub(super) fn count(&mut self, packet: &Packet, segment: &Segment) {
        let flags = segment.flags;
        self.psh += u32::from(flags.has(TcpFlags::PSH));
        if flags.is_control() {
            self.fin += u32::from(flags.has(TcpFlags::FIN));
            self.syn += u32::from(flags.has(TcpFlags::SYN));
            self.rst += u32::from(flags.has(TcpFlags::RST));
            self.options = segment.syn_options().copied().unwrap_or(self.options);
        } else if segment.window == 0 {
            self.zero_window += 1;
        }
        if segment.options == TcpOptions::Signature && packet.payload_bytes > 0 {
            self.rare().signed += 1;
        }
        if let Some(stamps) = segment.timestamps().filter(|_| !flags.has(TcpFlags::RST)) {
            (self.timestamp, self.is_stamped) = (stamps.value, true);
        }
        if packet.key.ip_version == 4 {
            self.ip_ids.add(packet.ip_id);
        }
    }

    /// Bytes kept in boxes.
    pub(super) fn held(&self) -> usize {
        self.round_trips.held() + self.rare.as_ref().map_or(0, |rare| size_of_val(&**rare))
    }

    /// The value of its last timestamp, resets and SYNs left out (RFC 7323 section 3.2).
    pub fn timestamp(&self) -> Option<u32> {
        self.is_stamped.then_some(self.timestamp)
    }

    /// Behind the last byte of payload sent.
    pub fn payload_end(&self) -> Option<SeqNumber> {
        (self.new_payload_packets > 0).then_some(self.payload_end)
    }

    /// When the last payload came that had not been seen before.
    pub fn last_new(&self) -> Option<Timestamp> {
        (self.new_payload_packets > 0).then_some(self.last_new)
    }

    pub fn spurious_retransmits(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.spurious_retransmits)
    }

    /// Whether bytes that it sent were lost on the way and did not come again.
    pub fn lacks_bytes(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.holes.is_waiting())
    }

    pub fn keep_alives(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.keep_alives)
    }

    /// Segments with payload and a signature (RFC 2385).
    pub fn signed(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.signed)
    }

    pub fn window_probes(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.window_probes)
    }

    /// Round trips from this side's payload to the acknowledgement of its peer.
    pub fn round_trips(&self) -> Samples {
        self.round_trips.samples()
    }

    pub fn ip_ids(&self) -> Option<IpIdCourse> {
        self.ip_ids.course()
    }

    /// Whether all up to its FIN has been acknowledged by `peer`.
    pub(super) fn is_closed_for(&self, peer: &Self) -> bool {
        self.fin_end.is_some_and(|end| peer.acked.is_some_and(|acked| !end.is_after(acked)))
    }

    /// By how much the window that this side states has to be shifted: 0 unless both offered a scale (RFC 7323 section 2.2), none where a SYN was not seen.
    fn scale(&self, peer: &Self) -> Option<u8> {
        let both_seen = self.syn > 0 && peer.syn > 0;
        both_seen.then(|| peer.options.window_scale.and(self.options.window_scale).unwrap_or(0).min(limits::WINDOW_SCALE_MAX))
    }

    /// The most that this side has let its peer send ahead.
    fn reach(&self, peer: &Self) -> u32 {
        self.scale(peer).map_or(limits::WINDOW_MAX, |scale| (u32::from(self.window_max) << scale).max(limits::WINDOW_UNSCALED))
    }

    // What it sends.

    /// Places a segment in the sequence space: what it is, and how many bytes of payload are new.
    #[inline]
    pub(super) fn place(&mut self, placed: &Placed<'_>, peer: &Self, round_trip: impl FnOnce() -> Option<Span>) -> (Kind, u32) {
        let Some(next) = self.next.or_else(|| self.expected_by(peer, placed)) else {
            return (Kind::Original, self.advance(placed, placed.payload()));
        };
        let ahead = placed.segment.seq.offset_from(next);
        if ahead == 0 {
            let is_probe = placed.payload() == 1 && placed.length == 1 && peer.has_closed_window();
            let new_bytes = self.advance(placed, placed.payload());
            return (if is_probe { Kind::WindowProbe } else { Kind::Original }, new_bytes);
        }
        if !self.may_lie(ahead, placed, peer) {
            return (Kind::Foreign, 0);
        }
        let round_trip = [round_trip(), self.round_trip(peer)].into_iter().flatten().min();
        self.place_elsewhere(placed, peer, next, round_trip)
    }

    /// The shortest round trip between the ends that payload was timed by: both halves of it.
    fn round_trip(&self, peer: &Self) -> Option<Span> {
        let (own, other) = (self.round_trips(), peer.round_trips());
        (own.count > 0 && other.count > 0).then(|| own.min + other.min)
    }

    /// Where a stream goes on that was not captured from its start, if the peer has told it: at the byte that it waits for, a window before the first
    /// segment at the most.
    fn expected_by(&self, peer: &Self, placed: &Placed<'_>) -> Option<SeqNumber> {
        peer.last_ack.filter(|expected| (0..=limits::WINDOW_UNSCALED as i32).contains(&placed.segment.seq.offset_from(*expected)))
    }

    /// A segment that does not begin at the next byte.
    fn place_elsewhere(&mut self, placed: &Placed<'_>, peer: &Self, next: SeqNumber, round_trip: Option<Span>) -> (Kind, u32) {
        let ahead = placed.segment.seq.offset_from(next);
        let beyond = placed.end.offset_from(next);
        if ahead > 0 {
            self.rare().holes.open(next, placed.segment.seq, placed.packet.time);
            return (Kind::Original, self.advance(placed, placed.payload()));
        }
        if ahead == -1 && placed.length <= 1 && placed.payload() == placed.length && !self.has_sent_fin() {
            self.fill(placed.segment.seq, next); // the byte that it claims to have sent was none
            return (if peer.has_closed_window() { Kind::WindowProbe } else { Kind::KeepAlive }, 0);
        }
        if placed.is_pure_ack() {
            return (Kind::Original, 0);
        }
        let filled = self.fill(placed.segment.seq, placed.end);
        // The byte of a probe is sent once more with those behind it: nothing was lost.
        let kind = if ahead == -1 && beyond > 0 { Kind::Original } else { self.again(placed, peer, filled, round_trip) };
        let fin = u32::from(placed.has(TcpFlags::FIN));
        if fin > 0 {
            self.fin_end = Some(placed.end);
        }
        let new_bytes = filled.bytes.saturating_add((beyond.max(0) as u32).saturating_sub(fin)).min(placed.payload());
        if beyond > 0 {
            self.advance(placed, new_bytes);
        } else if new_bytes > 0 {
            self.count_new(placed, new_bytes);
        }
        (kind, new_bytes)
    }

    fn fill(&mut self, from: SeqNumber, to: SeqNumber) -> Filled {
        let filled = self.rare.as_mut().map_or(Filled::default(), |rare| rare.holes.fill(from, to));
        self.unseen_bytes = self.unseen_bytes.saturating_sub(filled.acknowledged.into());
        filled
    }

    /// What a segment is that sends sequence space below the next byte; `filled` is what of it was missing.
    fn again(&mut self, placed: &Placed<'_>, peer: &Self, filled: Filled, round_trip: Option<Span>) -> Kind {
        let time = placed.packet.time;
        let is_soon = |since: Timestamp| time - since <= round_trip.map_or(limits::REORDER_SPAN, |trip| trip.max(limits::REORDER_SPAN));
        let is_acked = |end: SeqNumber| peer.acked.is_some_and(|acked| !end.is_after(acked));
        let is_wanted = peer.repeated_acks >= limits::DUPLICATE_ACKS && peer.last_ack == Some(placed.segment.seq);
        let asked_for_within = |span: Span| is_wanted && time - peer.last_ack_time <= span;
        if placed.payload() > 0 && is_acked(placed.end) {
            // The acknowledgement came by a faster way to the capture: the bytes were never sent before.
            return if filled.acknowledged > 0 && is_soon(filled.since) { Kind::Original } else { Kind::SpuriousRetransmission };
        }
        if asked_for_within(limits::FAST_RETRANSMISSION) {
            return Kind::FastRetransmission;
        }
        let is_late_syn = placed.has(TcpFlags::SYN) && self.syn == 1;
        match round_trip {
            _ if is_late_syn || (filled.bytes > 0 && is_soon(filled.since)) => Kind::OutOfOrder,
            // Beside the receiver, what was asked for comes a round trip later.
            Some(trip) if asked_for_within(trip) => Kind::FastRetransmission,
            _ => Kind::Retransmission,
        }
    }

    /// Whether a segment off the next byte can belong to the connection: what lies further ahead than the peer's window lets in comes twice in a row
    /// before it is believed, and what lies further behind was acknowledged long ago.
    fn may_lie(&mut self, ahead: i32, placed: &Placed<'_>, peer: &Self) -> bool {
        let distance = ahead.unsigned_abs();
        if distance <= limits::WINDOW_UNSCALED && self.rare.is_none() {
            return true;
        }
        let reach = peer.reach(self);
        let doubted = self.rare.as_ref().and_then(|rare| rare.doubted);
        let goes_on = |doubted: SeqNumber| placed.end.is_after(doubted) && (0..=reach as i32).contains(&placed.segment.seq.offset_from(doubted));
        let believed = match ahead {
            _ if distance > limits::WINDOW_MAX => return false,
            1.. => distance <= reach || doubted.is_some_and(goes_on),
            _ => distance <= reach.saturating_mul(2),
        };
        self.rare().doubted = (!believed).then_some(placed.end);
        believed
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn has_closed_window(&self) -> bool {
        self.window == 0 && self.last_ack.is_some()
    }

    fn has_sent_fin(&self) -> bool {
        self.fin_end.is_some() && self.fin_end == self.next
    }

    /// The segment ends behind all before it.
    #[inline]
    fn advance(&mut self, placed: &Placed<'_>, new_bytes: u32) -> u32 {
        self.next = Some(placed.end);
        if placed.has(TcpFlags::FIN) {
            self.fin_end = Some(placed.end);
        }
        if new_bytes > 0 {
            self.count_new(placed, new_bytes);
            let stamp = placed.segment.timestamps().map(|stamps| stamps.value);
            self.round_trips.send(placed.end, placed.packet.time, stamp);
        }
        new_bytes
    }

    fn count_new(&mut self, placed: &Placed<'_>, new_bytes: u32) {
        let end = placed.segment.seq.plus(u32::from(placed.has(TcpFlags::SYN)).saturating_add(placed.payload()));
        self.payload_end = if self.new_payload_packets == 0 { end } else { self.payload_end.max(end) };
        self.new_payload_bytes += u64::from(new_bytes);
        self.new_payload_packets += 1;
        self.last_new = placed.packet.time;
    }

    /// Counts what a segment was found to be.
    #[inline]
    pub(super) fn note(&mut self, kind: Kind, placed: &Placed<'_>) {
        self.last_kind = kind;
        match kind {
            Kind::Original => {}
            Kind::Retransmission | Kind::FastRetransmission | Kind::SpuriousRetransmission => {
                self.retransmits += 1;
                self.unanswered_repeats = self.unanswered_repeats.saturating_add(1);
                if kind == Kind::SpuriousRetransmission {
                    self.rare().spurious_retransmits += 1;
                }
                self.round_trips.send_again(placed.segment.seq, placed.end);
            }
            Kind::OutOfOrder => self.out_of_order += 1,
            Kind::DuplicateAck => self.dup_acks += 1,
            Kind::KeepAlive => self.rare().keep_alives += 1,
            Kind::WindowProbe => self.rare().window_probes += 1,
            _ => {}
        }
    }

    // What it acknowledges.

    /// Takes in the acknowledgement of a segment that this side sends, and what it says of the bytes of `peer`.
    #[inline]
    pub(super) fn acknowledge(&mut self, placed: &Placed<'_>, peer: &mut Self, in_place: bool) -> Acknowledged {
        let Placed { packet, segment, .. } = placed;
        let kind = if in_place && placed.is_pure_ack() { self.ack_kind(segment, peer) } else { Kind::Original };
        match kind {
            Kind::DuplicateAck => {
                self.repeated_acks = self.repeated_acks.saturating_add(1);
                peer.unanswered_repeats = peer.unanswered_repeats.saturating_sub(1);
            }
            _ if self.last_ack == Some(segment.ack) => {}
            _ => self.repeated_acks = 0,
        }
        (self.last_ack, self.last_ack_time) = (Some(segment.ack), packet.time);
        let reveals_gap = self.moves_on(placed, peer) | segment.sack().is_some_and(|block| self.has_block(block, placed, peer));
        self.window = segment.window;
        if !segment.flags.has(TcpFlags::SYN) {
            self.window_max = self.window_max.max(segment.window);
        }
        Acknowledged { kind: if reveals_gap && kind == Kind::Original { Kind::AckOfUnseen } else { kind }, reveals_gap }
    }

    /// What an acknowledgement without payload is, by the one before it.
    fn ack_kind(&self, segment: &Segment, peer: &Self) -> Kind {
        let Some(last) = self.last_ack else { return Kind::Original };
        let (repeats, same_window) = (segment.ack == last, segment.window == self.window);
        let is_under_way = || peer.next.is_none_or(|next| next.is_after(segment.ack));
        match segment.window {
            0 if same_window && peer.last_kind == Kind::WindowProbe && (repeats || segment.ack == last.plus(1)) => Kind::WindowProbeAck,
            0 => Kind::ZeroWindow,
            _ if !repeats => Kind::Original,
            _ if !same_window => Kind::WindowUpdate,
            _ if peer.last_kind == Kind::KeepAlive => Kind::KeepAliveAck,
            _ if is_under_way() || peer.unanswered_repeats > 0 => Kind::DuplicateAck,
            _ => Kind::Original,
        }
    }

    /// Moves the highest acknowledgement on; whether bytes showed by it that the capture does not hold.
    fn moves_on(&mut self, placed: &Placed<'_>, peer: &mut Self) -> bool {
        let (ack, time) = (placed.segment.ack, placed.packet.time);
        let Some(next) = peer.next else { return false };
        let beyond = ack.offset_from(next);
        if beyond.unsigned_abs() > limits::WINDOW_MAX || (beyond > 0 && !self.believes(placed.segment, beyond, peer)) {
            return false;
        }
        if self.acked.is_some_and(|acked| !ack.is_after(acked)) {
            return false;
        }
        self.acked = Some(ack);
        peer.round_trips.acknowledge(ack, time, placed.segment.timestamps().map(|stamps| stamps.echo));
        if beyond <= 0 && peer.rare.is_none() {
            return false;
        }
        let rare = peer.rare();
        let mut unseen = rare.holes.acknowledge(ack, time);
        if beyond > 0 {
            rare.holes.open_acknowledged(next, ack, time);
            unseen += beyond as u64;
            peer.next = Some(ack);
        }
        peer.unseen_bytes += unseen;
        unseen > 0
    }

    /// Takes in a block of SACK; whether bytes showed by it that the capture does not hold.
    fn has_block(&self, block: SackBlock, placed: &Placed<'_>, peer: &mut Self) -> bool {
        let SackBlock { left, right } = block;
        let Some(next) = peer.next else { return false };
        let (beyond, window) = (right.offset_from(next), self.reach(peer).min(limits::WINDOW_MAX));
        // One below the acknowledgement tells what came twice (RFC 2883 section 4); one that no window lets in is not believed.
        let is_plausible =
            left.is_after(placed.segment.ack) && right.is_after(left) && beyond <= window as i32 && left.offset_from(next).unsigned_abs() <= window;
        if !is_plausible || (beyond <= 0 && peer.rare.is_none()) {
            return false;
        }
        let time = placed.packet.time;
        let rare = peer.rare();
        let mut unseen = rare.holes.acknowledge_block(left, right, time);
        if beyond > 0 {
            let from = left.max(next);
            if from.is_after(next) {
                rare.holes.open(next, from, time);
            }
            rare.holes.open_acknowledged(from, right, time);
            unseen += right.offset_from(from) as u64;
            peer.next = Some(right);
        }
        peer.unseen_bytes += unseen;
        unseen > 0
    }

    /// Whether this side can have received `beyond` bytes more than the capture holds: no more than its window lets in, or it goes on from there.
    fn believes(&mut self, segment: &Segment, beyond: i32, peer: &Self) -> bool {
        let window = (u32::from(segment.window) << self.scale(peer).unwrap_or(0)).max(limits::WINDOW_UNSCALED);
        let doubted = self.rare.as_ref().and_then(|rare| rare.doubted_ack);
        let goes_on = doubted.is_some_and(|doubted| (1..=window as i32).contains(&segment.ack.offset_from(doubted)));
        let believed = beyond as u32 <= window || goes_on;
        if !believed || doubted.is_some() {
            self.rare().doubted_ack = (!believed).then_some(segment.ack);
        }
        believed
    }
}
