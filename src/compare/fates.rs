//! What became of each packet of a pair.
//!
//! A packet is looked for at the other end by all that nothing on a path changes, then by ever less; segments that one end merged or split are known by
//! their bytes. What is left was dropped or injected, unless a capture failed to record it: then an end acknowledges what it was never seen to get, or goes
//! on behind what it was never seen to send.

use std::collections::HashMap;
use std::sync::Arc;

use super::clock::Clock;
use super::join::Pair;
use super::observed::{Observed, before, singles};
use super::read::{Connection, Side};
use crate::model::rows::{FateCounts, FateRow};
use crate::model::words::Fate;
use crate::model::{Direction, PacketNumber, PerDirection, Span, Timestamp};
use crate::packet::TcpFlags;

/// Clocks are aligned to about this (by design).
const CLOCK_SLACK: Span = Span::from_millis(2);
/// A packet that takes so much longer than the fastest one of its direction was held back (by design: four times what jitter of real paths adds).
const LATE: Span = Span::from_millis(200);
/// No queue holds a packet for longer (by design): what comes later is another one of the same kind.
const LONGEST: Span = Span::from_secs(10);
/// What replaces a packet without an identification comes when that would have come, give or take this (by design).
const USUAL_WITHIN: Span = Span::from_millis(50);
/// Copies of a packet follow it within this, as in `flow/copies.rs`.
const COPY_WINDOW: Span = Span::from_millis(1);
/// No packet is on its way for longer than this (by design): what was sent so shortly before a capture ended may have arrived after it.
const ON_ITS_WAY: Span = Span::from_secs(1);

/// One packet of one capture, judged; none: nothing can be said.
#[derive(Clone, Copy)]
pub struct Judged {
    pub packet: Observed,
    pub fate: Option<Fate>,
    pub peer: Option<PacketNumber>,
    pub delay: Option<Span>,
    /// Time by the client's clock.
    pub at: Timestamp,
}

/// The packets of one direction: what its sender's capture holds, and what its receiver's does.
#[derive(Default)]
pub struct Way {
    pub sent: Vec<Judged>,
    pub received: Vec<Judged>,
    known: Known,
}

/// What the packets that were found at both ends tell of the others.
#[derive(Default)]
struct Known {
    /// The TTL at which the sender's packets arrive; none where they differ, or none is known.
    ttl: Option<u8>,
    /// The fastest way of this direction through the network.
    base: Option<Span>,
    /// Stretches of the stream that the receiver's capture holds.
    received: Stretches,
    /// What was sent with payload, by sequence number.
    sent: HashMap<u32, Vec<usize>>,
    /// Where the sender's stream begins as far as is known, and how far it got.
    first: Option<u32>,
    highest: Option<u32>,
    /// When the sender last sent anything but a reset.
    last_alive: Option<Timestamp>,
    /// When the last packet was sent that is known to have arrived.
    last_arrived: Option<Timestamp>,
}

pub type Fates = PerDirection<Way>;

/// How many packets each capture should hold, and how many of them it lacks: first the client's, then the server's.
#[derive(Default)]
pub struct Losses([(u64, u64); 2]);

impl Losses {
    /// Counts what ends got or sent without their capture showing it.
    pub fn measure(pairs: &[Pair<'_>], client: &Side, server: &Side, clock: &Clock) -> Self {
        let mut losses = Self::default();
        for pair in pairs.iter().filter(|pair| pair.ends.iter().all(Option::is_some)) {
            for direction in Direction::BOTH {
                let matching = Matching::new(pair, direction, client, server, clock).matched();
                let (sender, receiver) = ends(direction);
                for (end, (of, lacks)) in [sender, receiver].into_iter().zip(matching.lost()) {
                    losses.0[end] = (losses.0[end].0 + of, losses.0[end].1 + lacks);
                }
            }
        }
        losses
    }

    /// The share that the client's and the server's capture lack.
    pub fn shares(&self) -> [f64; 2] {
        self.0.map(|(of, lacks)| lacks as f64 / of.max(1) as f64)
    }

    fn has_holes(&self, end: usize) -> bool {
        self.0[end].1 > 0
    }
}

/// An end captured how the flow began: by its SYN, or by the datagram with which it begins at the other end too.
fn is_opened(pair: &Pair<'_>, end: usize) -> bool {
    let [Some(own), Some(other)] = [end, 1 - end].map(|end| pair.ends[end]) else { return false };
    let firsts = own.packets.first().zip(other.packets.first());
    own.isn.is_some() || firsts.is_some_and(|(own, other)| own.whole != 0 && (own.len, own.whole) == (other.len, other.whole))
}

/// Whose capture holds what is sent, and whose what is received.
fn ends(direction: Direction) -> (usize, usize) {
    match direction {
        Direction::ClientToServer => (0, 1),
        Direction::ServerToClient => (1, 0),
    }
}

/// The sender goes on behind the packet's bytes without having been seen to send them: its capture lacks the packet.
fn was_passed_over(received: &Judged, way: &Way) -> bool {
    let goes_on = way.known.highest.is_some_and(|highest| !before(highest, received.packet.next_seq()));
    (received.packet.len > 0 || way.is_opened_by(&received.packet)) && goes_on && looks_sent(received, way)
}

/// A packet at the receiver that nothing tells from the sender's own: it comes as far, stands where the sender had got to, and the sender never showed other
/// bytes in its place. It does not end the flow, and opens it only with the very number behind which the sender goes on.
fn looks_sent(received: &Judged, way: &Way) -> bool {
    let packet = &received.packet;
    let tcp = packet.flags != TcpFlags::default();
    tcp && (!packet.flags.is_control() || way.is_opened_by(packet))
        && way.known.ttl == Some(packet.ttl)
        && !way.is_ahead(packet)
        && !way.is_contradicted(packet)
}

impl Way {
    /// Takes stock of what was matched.
    fn settle(&mut self) {
        let mut ttls = self.received.iter().filter(|received| received.peer.is_some()).map(|received| received.packet.ttl);
        let first = ttls.next();
        let mut sent: HashMap<u32, Vec<usize>> = HashMap::new();
        for (at, judged) in self.sent.iter().enumerate() {
            sent.entry(judged.packet.seq).or_default().push(at);
        }
        let own = || self.sent.iter().filter(|sent| !sent.packet.is_reset());
        self.known = Known {
            ttl: first.filter(|first| ttls.all(|ttl| ttl == *first)),
            base: self.fastest(),
            received: Stretches::of(&self.received),
            sent,
            first: lowest(own().map(|sent| sent.packet.seq)),
            highest: highest(own().map(|sent| sent.packet.next_seq())),
            last_arrived: self.sent.iter().filter(|sent| sent.peer.is_some()).map(|sent| sent.at).max(),
            last_alive: own().map(|sent| sent.at).max(),
        };
    }

    /// A SYN behind whose number the sender goes on.
    fn is_opened_by(&self, received: &Observed) -> bool {
        received.flags.has(TcpFlags::SYN) && self.known.first == Some(received.next_seq())
    }

    fn fastest(&self) -> Option<Span> {
        self.received.iter().filter_map(|received| received.delay).min()
    }

    /// It stands behind a stretch of the stream that the sender never got to.
    fn is_ahead(&self, received: &Observed) -> bool {
        self.known.highest.is_some_and(|highest| before(highest, received.seq))
    }

    /// The sender showed other bytes in the same place of the stream.
    fn is_contradicted(&self, received: &Observed) -> bool {
        let there = self.known.sent.get(&received.seq).into_iter().flatten().map(|&at| &self.sent[at].packet);
        received.len > 0 && there.into_iter().any(|sent| sent.len > 0 && !sent.may_be(received))
    }

    pub fn counts(&self) -> FateCounts {
        let count = |packets: &[Judged], fate: Option<Fate>| packets.iter().filter(|judged| judged.fate == fate).count() as i64;
        let delayed = count(&self.sent, Some(Fate::Delayed));
        FateCounts {
            sent: self.sent.len() as i64,
            delivered: count(&self.sent, Some(Fate::Delivered)) + delayed,
            dropped: count(&self.sent, Some(Fate::Dropped)),
            injected: count(&self.received, Some(Fate::Injected)),
            rewritten: count(&self.sent, Some(Fate::Rewritten)),
            delayed,
            unjudged: count(&self.sent, None) + count(&self.received, None),
        }
    }
}

/// The highest that the receiver of a direction acknowledged.
struct Answers(Option<u32>);

impl Answers {
    /// The receiver acknowledged its bytes, and its capture holds no packets that brought them.
    fn has_arrived(&self, packet: &Observed, way: &Way) -> bool {
        let end = packet.next_seq();
        end != packet.seq && self.0.is_some_and(|ack| !before(ack, end)) && !way.known.received.cover(packet)
    }
}

/// Stretches of a stream, in order and apart from each other: offsets from its first byte known.
#[derive(Default)]
struct Stretches {
    from: u32,
    parts: Vec<(i32, i32)>,
}

impl Stretches {
    fn of(packets: &[Judged]) -> Self {
        let from = packets.first().map_or(0, |first| first.packet.seq);
        let mut all: Vec<_> = packets.iter().map(|judged| Self::offsets(from, &judged.packet)).collect();
        all.sort_unstable();
        let mut parts: Vec<(i32, i32)> = Vec::new();
        for (start, end) in all {
            match parts.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => parts.push((start, end)),
            }
        }
        Self { from, parts }
    }

    fn offsets(from: u32, packet: &Observed) -> (i32, i32) {
        let start = packet.seq.wrapping_sub(from) as i32;
        (start, start.saturating_add(packet.next_seq().wrapping_sub(packet.seq) as i32))
    }

    fn cover(&self, packet: &Observed) -> bool {
        let (start, end) = Self::offsets(self.from, packet);
        let behind = self.parts.partition_point(|&(first, _)| first <= start);
        behind.checked_sub(1).is_some_and(|at| end <= self.parts[at].1)
    }
}

/// The one that comes last in the order of sequence numbers.
fn highest(seqs: impl Iterator<Item = u32>) -> Option<u32> {
    seqs.reduce(|one, other| if before(one, other) { other } else { one })
}

/// The one that comes first.
fn lowest(seqs: impl Iterator<Item = u32>) -> Option<u32> {
    seqs.reduce(|one, other| if before(other, one) { other } else { one })
}

/// What packets are known again by: sequence and acknowledgement number, flags, length, identification, timestamp.
type Kind = (u32, u32, u8, u32, u16, u32);

/// One direction of a pair on its way from unmatched to judged.
struct Matching<'a> {
    way: Way,
    answers: Answers,
    /// When the receiver's capture and the sender's began and ended, by the client's clock.
    receiver: (Timestamp, Timestamp),
    sender: (Timestamp, Timestamp),
    is_one_sided: bool,
    /// Where the flow began when its sender's end was captured: all that the sender says comes later.
    in_view_from: Option<Timestamp>,
    losses: Option<&'a Losses>,
    direction: Direction,
}

pub fn of(pair: &Pair<'_>, client: &Side, server: &Side, clock: &Clock, losses: &Losses) -> Fates {
    let way = |direction| {
        let mut matching = Matching::new(pair, direction, client, server, clock).matched();
        matching.losses = Some(losses);
        matching.judged()
    };
    PerDirection { c2s: way(Direction::ClientToServer), s2c: way(Direction::ServerToClient) }
}

impl Matching<'_> {
    fn new(pair: &Pair<'_>, direction: Direction, client: &Side, server: &Side, clock: &Clock) -> Self {
        let at_client = |time: Timestamp| time;
        let at_server = |time: Timestamp| clock.to_client(time);
        let packets = |end: Option<&Connection>, of: Direction, at: &dyn Fn(Timestamp) -> Timestamp| -> Vec<Judged> {
            let Some(connection) = end else { return Vec::new() };
            let own = connection.packets.iter().filter(|packet| packet.sender.direction(connection.client) == of);
            own.map(|&packet| Judged { packet, fate: None, peer: None, delay: None, at: at(packet.time) }).collect()
        };
        let spans = [(client.from, client.to), (at_server(server.from), at_server(server.to))];
        let both = |of: Direction| [packets(pair.ends[0], of, &at_client), packets(pair.ends[1], of, &at_server)];
        let ([one, other], back) = (both(direction), both(direction.opposite()));
        let began = [&one, &other, &back[0], &back[1]].into_iter().flatten().map(|judged| judged.at).min();
        let is_opened = is_opened(pair, ends(direction).0);
        let in_view_from = began.filter(|&began| is_opened || began >= spans[ends(direction).0].0);
        // Only those that the receiver's own capture holds: others may be forged.
        let acks = back[ends(direction).1].iter().map(|judged| &judged.packet).filter(|packet| packet.flags.has(TcpFlags::ACK) && !packet.is_reset());
        let highest = highest(acks.map(|packet| packet.ack));
        let (way, sender, receiver) = match direction {
            Direction::ClientToServer => (Way { sent: one, received: other, known: Known::default() }, spans[0], spans[1]),
            Direction::ServerToClient => (Way { sent: other, received: one, known: Known::default() }, spans[1], spans[0]),
        };
        let is_one_sided = pair.ends.iter().any(Option::is_none);
        Self { way, answers: Answers(highest), receiver, sender, is_one_sided, in_view_from, losses: None, direction }
    }

    fn matched(mut self) -> Self {
        let exact = |packet: &Observed| Some((packet.seq, packet.ack, packet.shape(), packet.len, packet.ip_id, packet.timestamp));
        self.by_only(exact);
        self.by(exact);
        self.by(|packet| Some((packet.seq, packet.ack, packet.shape(), packet.len, 0, 0)));
        self.by(|packet| (packet.len > 0).then(|| (packet.seq, 0, u8::from(packet.is_reset()), packet.len, 0, 0)));
        self.merged();
        self.way.settle();
        self
    }

    /// How many packets the sender's and the receiver's capture should hold, and lack.
    fn lost(&self) -> [(u64, u64); 2] {
        let Self { way, answers, .. } = self;
        let passed_over = |received: &&Judged| received.fate.is_none() && was_passed_over(received, way) && self.sender_was_captured(received);
        let arrived = |sent: &&Judged| sent.fate.is_none() && answers.has_arrived(&sent.packet, way) && sent.at >= self.receiver.0;
        let (sender_lacks, receiver_lacks) = (way.received.iter().filter(passed_over).count() as u64, way.sent.iter().filter(arrived).count() as u64);
        [(way.received.len() as u64, sender_lacks), (way.sent.len() as u64, receiver_lacks)]
    }

    /// Whether the sender's capture still went on when a packet was sent: what came as fast as any was sent this long ago.
    fn sender_was_captured(&self, received: &Judged) -> bool {
        received.at.0 - self.way.known.base.unwrap_or(Span::ZERO).0 <= self.sender.1.0
    }

    /// Pairs packets of which either capture holds one of the kind: they tell how long the way takes.
    fn by_only(&mut self, kind: impl Fn(&Observed) -> Option<Kind>) {
        let only = |packets: &[Judged]| singles(packets.iter().enumerate().filter_map(|(at, judged)| Some((kind(&judged.packet)?, at))));
        let Way { sent, received, .. } = &mut self.way;
        let there = only(received);
        for (kind, at) in only(sent) {
            if let Some(peer) = there.get(&kind).copied().filter(|&peer| may_arrive(&sent[at], &received[peer])) {
                pair(&mut sent[at], &mut received[peer]);
            }
        }
    }

    /// Pairs packets of the same kind.
    fn by(&mut self, kind: impl Fn(&Observed) -> Option<Kind>) {
        let mut open: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, sent) in self.way.sent.iter().enumerate().filter(|(_, sent)| sent.peer.is_none()) {
            if let Some(kind) = kind(&sent.packet) {
                open.entry(kind).or_default().push(at);
            }
        }
        let base = self.way.fastest().unwrap_or(Span::ZERO);
        for received in self.way.received.iter_mut().filter(|received| received.peer.is_none()) {
            let Some(candidates) = kind(&received.packet).and_then(|kind| open.get_mut(&kind)) else { continue };
            let Some(place) = likeliest(candidates, &self.way.sent, received, base) else { continue };
            let at = candidates.remove(place);
            pair(&mut self.way.sent[at], received);
        }
    }

    /// Segments that an interface merged on receipt, or that were captured before it split them (GRO, TSO).
    fn merged(&mut self) {
        let Way { sent, received, .. } = &mut self.way;
        whole_from_parts(sent, received, |whole, part| whole.at <= part.at + CLOCK_SLACK);
        whole_from_parts(received, sent, |whole, part| part.at <= whole.at + CLOCK_SLACK);
    }

    /// Gives every packet its fate.
    fn judged(mut self) -> Way {
        self.rewritten();
        self.mark_late();
        let dropped: Vec<bool> = self.way.sent.iter().map(|sent| sent.fate.is_none() && self.was_dropped(sent)).collect();
        let injected: Vec<bool> = self.way.received.iter().map(|received| received.fate.is_none() && self.was_injected(received)).collect();
        let arrived: Vec<bool> = self.way.sent.iter().map(|sent| sent.fate.is_none() && self.answers.has_arrived(&sent.packet, &self.way)).collect();
        for ((sent, dropped), arrived) in self.way.sent.iter_mut().zip(dropped).zip(arrived) {
            sent.fate = sent.fate.or(dropped.then_some(Fate::Dropped)).or(arrived.then_some(Fate::Delivered));
        }
        for (received, injected) in self.way.received.iter_mut().zip(injected) {
            received.fate = received.fate.or(injected.then_some(Fate::Injected));
        }
        copies(&mut self.way.sent);
        copies(&mut self.way.received);
        self.way
    }

    /// The same place in the stream, when the packet would have come, from as far away: but other flags or bytes.
    fn rewritten(&mut self) {
        let Way { sent, received, known } = &mut self.way;
        let base = known.base.unwrap_or(Span::ZERO);
        for received in received.iter_mut().filter(|received| received.fate.is_none()) {
            let same_packet = |sent: &Judged| {
                let is_named = sent.packet.ip_id != 0;
                let id = sent.packet.ip_id == received.packet.ip_id && (is_named || known.ttl == Some(received.packet.ttl));
                let (delay, within) = (received.at - sent.at, if is_named { ON_ITS_WAY } else { USUAL_WITHIN });
                sent.fate.is_none() && id && delay + CLOCK_SLACK >= base && delay <= base + within
            };
            let mut there = known.sent.get(&received.packet.seq).into_iter().flatten();
            if let Some(&at) = there.find(|&&at| same_packet(&sent[at])) {
                pair(&mut sent[at], received);
                (sent[at].fate, received.fate) = (Some(Fate::Rewritten), Some(Fate::Rewritten));
            }
        }
    }

    fn mark_late(&mut self) {
        let Some(base) = self.way.known.base else { return };
        for judged in self.way.sent.iter_mut().chain(&mut self.way.received) {
            if judged.fate == Some(Fate::Delivered) && judged.delay.is_some_and(|delay| delay > base + base + LATE) {
                judged.fate = Some(Fate::Delayed);
            }
        }
    }

    fn was_dropped(&self, sent: &Judged) -> bool {
        // What was sent later has arrived, or would have.
        let is_overtaken = self.way.known.last_arrived.is_some_and(|last| sent.at < last);
        let in_view = sent.at >= self.receiver.0 && (is_overtaken || sent.at + ON_ITS_WAY <= self.receiver.1);
        let lossy = self.losses.is_some_and(|losses| losses.has_holes(ends(self.direction).1));
        // Where the receiver's capture is known to have holes, only what was not acknowledged before it was sent again is known to be lost.
        let is_proven = !lossy || sent.packet.next_seq() != sent.packet.seq;
        in_view && is_proven && !self.answers.has_arrived(&sent.packet, &self.way)
    }

    fn was_injected(&self, received: &Judged) -> bool {
        let from = self.in_view_from.unwrap_or(self.sender.0 + ON_ITS_WAY);
        let in_view = received.at >= from && self.sender_was_captured(received);
        let lossy = self.losses.is_some_and(|losses| losses.has_holes(ends(self.direction).0));
        in_view && !looks_sent(received, &self.way) && (!lossy || self.betrays_itself(received))
    }

    /// What the sender cannot have sent, even if its capture lacks packets: it comes from another distance, speaks against its bytes, or ends a flow with
    /// which the sender goes on.
    fn betrays_itself(&self, received: &Judged) -> bool {
        let far = self.way.known.ttl.is_some_and(|ttl| ttl != received.packet.ttl);
        let other_bytes = self.way.is_contradicted(&received.packet);
        let goes_on = received.packet.is_reset() && self.way.known.last_alive.is_some_and(|last| last > received.at);
        !self.is_one_sided && (far || other_bytes || goes_on)
    }
}

/// Which of several equal packets a received one is: the one that came closest to the usual way.
fn likeliest(candidates: &[usize], sent: &[Judged], received: &Judged, base: Span) -> Option<usize> {
    let apart = |at: usize| ((received.at - sent[at].at).0 - base.0).abs();
    let may = candidates.iter().enumerate().filter(|&(_, &at)| may_arrive(&sent[at], received));
    may.min_by_key(|&(_, &at)| apart(at)).map(|(place, _)| place)
}

/// Whether one may be the other on its arrival.
fn may_arrive(sent: &Judged, received: &Judged) -> bool {
    let delay = received.at - sent.at;
    delay + CLOCK_SLACK >= Span::ZERO && delay <= LONGEST && sent.packet.may_be(&received.packet)
}

fn pair(sent: &mut Judged, received: &mut Judged) {
    let delay = Some(received.at - sent.at);
    (sent.peer, received.peer) = (Some(received.packet.number), Some(sent.packet.number));
    (sent.delay, received.delay) = (delay, delay);
    (sent.fate, received.fate) = (Some(Fate::Delivered), Some(Fate::Delivered));
}

/// Segments of `wholes` whose bytes stand in several of `parts`, one behind the other.
fn whole_from_parts(wholes: &mut [Judged], parts: &mut [Judged], fits: impl Fn(&Judged, &Judged) -> bool) {
    let is_open = |judged: &Judged| judged.peer.is_none() && judged.packet.len > 0 && !judged.packet.is_reset();
    let open = parts.iter().enumerate().filter(|(_, part)| is_open(part));
    let by_seq: HashMap<u32, usize> = open.map(|(at, part)| (part.packet.seq, at)).collect();
    for whole in wholes.iter_mut().filter(|whole| is_open(whole)) {
        let (mut next, end) = (whole.packet.seq, whole.packet.seq.wrapping_add(whole.packet.len));
        let mut found = Vec::new();
        while next != end {
            let fitting = |&at: &usize| is_open(&parts[at]) && parts[at].packet.len <= end.wrapping_sub(next) && fits(whole, &parts[at]);
            let Some(at) = by_seq.get(&next).copied().filter(fitting) else { break };
            next = next.wrapping_add(parts[at].packet.len);
            found.push(at);
        }
        let Some(&first) = found.first().filter(|_| next == end && found.len() > 1) else { continue };
        if parts[first].packet.head == whole.packet.head {
            found.iter().for_each(|&at| (parts[at].peer, parts[at].fate) = (Some(whole.packet.number), Some(Fate::Delivered)));
            (whole.peer, whole.fate) = (Some(parts[first].packet.number), Some(Fate::Delivered));
        }
    }
}

/// A copy of a packet, as a mirror port makes them, shares the fate of the packet.
fn copies(packets: &mut [Judged]) {
    let mut last: HashMap<(u32, u16, u32, u32), usize> = HashMap::new();
    for at in 0..packets.len() {
        let packet = packets[at].packet;
        let before = last.insert((packet.digest, packet.ip_id, packet.seq, packet.len), at);
        let before = before.filter(|&before| packet.time - packets[before].packet.time <= COPY_WINDOW);
        if let Some(before) = before {
            let (one, other) = (packets[before], packets[at]);
            if one.peer.is_some() && other.peer.is_some() {
                continue; // both were received: they are two
            }
            let known = if one.peer.is_some() { one } else { other };
            for place in [before, at] {
                (packets[place].fate, packets[place].peer, packets[place].delay) = (known.fate, known.peer, known.delay);
            }
        }
    }
}

/// The rows of a pair's packets.
pub fn rows(fates: &Fates, flow_id: i64, client: &Side, server: &Side) -> Vec<FateRow> {
    let row = |direction: Direction, judged: &Judged, own: &Side, other: &Side| {
        let path = |side: &Side, number: PacketNumber| side.paths.get(&number.file()).cloned().unwrap_or_else(|| Arc::from(""));
        Some(FateRow {
            flow_id,
            capture: path(own, judged.packet.number),
            packet: judged.packet.number.number() as i64,
            time: judged.packet.time,
            direction,
            fate: judged.fate?,
            peer: judged.peer.map(|peer| (path(other, peer), peer.number() as i64)),
            delay_ms: judged.delay.map(Span::as_ms),
        })
    };
    let Fates { c2s, s2c } = fates;
    let (up, down) = (Direction::ClientToServer, Direction::ServerToClient);
    let rows = c2s.sent.iter().map(|judged| row(up, judged, client, server));
    let rows = rows.chain(c2s.received.iter().map(|judged| row(up, judged, server, client)));
    let rows = rows.chain(s2c.sent.iter().map(|judged| row(down, judged, server, client)));
    rows.chain(s2c.received.iter().map(|judged| row(down, judged, client, server))).flatten().collect()
}
