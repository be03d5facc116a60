//! The flows of one shard that are alive: found by key, ended by silence, by a new connection, for want of memory, or by the end of the trace.
//!
//! Whether a flow has ended is decided when its next packet comes, from trace time alone. Sweeping merely frees memory earlier. It goes on a few places
//! with each packet, so that flows end one by one however many are silent at once; which packets of the shard came before decides, never how they were
//! batched.
//!
//! A flow whose first packet carries no payload is kept as an [`Opening`] until the second one comes, in a tenth of the memory.

use hashbrown::HashTable;

use crate::model::{FlowKey, Protocol, Span, Timestamp};
use crate::packet::{Body, Packet, TcpFlags};

use super::opening::Opening;
use super::slab::Slab;
use super::{Flow, limits};

/// What ended a flow's life in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Timeout,
    CaptureEnd,
    Reused,
    /// Memory was needed.
    Evicted,
}

/// Silence after which a flow has ended.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    pub tcp: Span,
    pub tcp_established: Span,
    pub udp: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { tcp: Span::from_secs(300), tcp_established: Span::from_secs(3_600), udp: Span::from_secs(60) }
    }
}

/// A flow and what the shard keeps beside it.
pub struct Slot<X> {
    hash: u64,
    pub flow: Flow,
    pub beside: X,
    /// Bytes that the table counts for it.
    held: u32,
}

/// `X` is what the owner keeps beside each flow.
pub struct FlowTable<X> {
    index: HashTable<Place>,
    flows: Slab<Slot<X>>,
    /// Flows of which one packet has come.
    openings: Slab<Opening>,
    timeouts: Timeouts,
    sweep: Sweep,
    memory: Memory,
}

/// Where a flow stands: a slot, or an opening.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place(u32);

/// A slot of the table, as long as no other flow is looked up.
#[derive(Clone, Copy)]
pub struct At(u32);

struct Sweep {
    next: Timestamp,
    /// The place to look at next; none between two sweeps.
    at: Option<usize>,
}

/// What the flows may take, and take.
struct Memory {
    budget: usize,
    held: usize,
    /// The flows that were idle longest when memory was short, the oldest last.
    idle: Vec<(Timestamp, Place)>,
    evicted: u64,
}

/// How often silent flows are looked for, in trace time.
const SWEEP_EVERY: Span = Span::from_secs(16);
/// Places that a sweep looks at with each packet; at most one flow ends by it.
const SWEEP_STEP: usize = 8;
/// This part of all flows is put in the order of their idleness when memory is short (by design).
const IDLE_SHARE: usize = 8;

impl Place {
    const OPENING: u32 = 1 << 31;

    fn of_opening(at: u32) -> Self {
        Self(at | Self::OPENING)
    }

    fn opening(self) -> Option<u32> {
        (self.0 & Self::OPENING != 0).then_some(self.0 & !Self::OPENING)
    }
}

impl<X: Default> FlowTable<X> {
    /// `budget`: bytes that the flows may take.
    pub fn new(timeouts: Timeouts, budget: usize) -> Self {
        let sweep = Sweep { next: Timestamp(i64::MIN), at: None };
        let memory = Memory { budget, held: 0, idle: Vec::new(), evicted: 0 };
        Self { index: HashTable::new(), flows: Slab::default(), openings: Slab::default(), timeouts, sweep, memory }
    }

    /// The living flow that the packet belongs to. One that the packet finds ended, and what is swept or evicted before it, goes to `ended`.
    pub fn find(&mut self, packet: &Packet, mut ended: impl FnMut(Slot<X>, Ended)) -> Option<At> {
        self.make_room(&mut ended);
        self.sweep(packet.clock, &mut ended);
        let place = self.lookup(&packet.key, packet.hash)?;
        let at = match place.opening() {
            Some(_) => self.grow(place)?,
            None => At(place.0),
        };
        match self.timeouts.ended_by(&self.flows.get(at.0)?.flow, packet) {
            None => Some(at),
            Some(reason) => {
                self.end(Place(at.0), reason, &mut ended);
                None
            }
        }
    }

    /// Begins a flow with its first packet, which has still to be given to it; none where that packet is all that is kept of it for now.
    pub fn begin(&mut self, packet: &Packet, may_wait: bool) -> Option<At> {
        let opening = may_wait.then(|| Opening::of(packet)).flatten();
        let is_small = opening.is_some();
        let place = match opening {
            Some(opening) => {
                self.memory.held += size_of::<Option<Opening>>();
                Place::of_opening(self.openings.insert(opening))
            }
            None => self.insert(Slot::new(packet)),
        };
        let Self { index, flows, openings, .. } = self;
        index.insert_unique(packet.hash, place, |place| hash_at(flows, openings, *place));
        (!is_small).then_some(At(place.0))
    }

    pub fn slot(&mut self, at: At) -> Option<&mut Slot<X>> {
        self.flows.get_mut(at.0)
    }

    /// Counts anew what a flow takes; `beside` stands for what the owner keeps.
    pub fn weigh(&mut self, at: At, beside: usize) {
        if let Some(slot) = self.flows.get_mut(at.0) {
            let held = slot.weight() + beside;
            self.memory.held = self.memory.held + held - slot.held as usize;
            slot.held = held as u32;
        }
    }

    /// Flows that ended for want of memory, since the last call.
    pub fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.memory.evicted)
    }

    /// Bytes that the living flows take.
    pub fn held(&self) -> usize {
        self.memory.held
    }

    /// Ends some of the flows that are left, at the last moment of the trace; false when none are left. No packet may follow.
    pub fn finish_some(&mut self, clock: Timestamp, mut ended: impl FnMut(Slot<X>, Ended)) -> bool {
        self.index = HashTable::new();
        let timeouts = self.timeouts;
        let mut end = |slot: Slot<X>| {
            let reason = if timeouts.is_over(&slot.flow, clock) { Ended::Timeout } else { Ended::CaptureEnd };
            ended(slot, reason);
        };
        if let Some(slots) = self.flows.pop_chunk() {
            slots.for_each(end);
            return true;
        }
        let Some(openings) = self.openings.pop_chunk() else { return false };
        openings.for_each(|opening| end(Slot::opened_by(&opening.packet())));
        true
    }

    fn lookup(&self, key: &FlowKey, hash: u64) -> Option<Place> {
        let Self { index, flows, openings, .. } = self;
        let same = |place: &Place| match place.opening() {
            Some(at) => openings.get(at).is_some_and(|opening| opening.key == *key),
            None => flows.get(place.0).is_some_and(|slot| slot.flow.key == *key),
        };
        index.find(hash, same).copied()
    }

    fn insert(&mut self, slot: Slot<X>) -> Place {
        self.memory.held += slot.held as usize;
        Place(self.flows.insert(slot))
    }

    /// Makes a flow of an opening: its second packet has come.
    fn grow(&mut self, place: Place) -> Option<At> {
        let packet = self.openings.remove(place.opening()?)?.packet();
        self.memory.held -= size_of::<Option<Opening>>();
        let grown = self.insert(Slot::opened_by(&packet));
        *self.index.find_mut(packet.hash, |other| *other == place)? = grown;
        Some(At(grown.0))
    }

    /// Ends what stands at a place.
    fn end(&mut self, place: Place, reason: Ended, ended: &mut impl FnMut(Slot<X>, Ended)) {
        let slot = match place.opening() {
            Some(at) => {
                self.openings.remove(at).map(|opening| Slot { held: size_of::<Option<Opening>>() as u32, ..Slot::opened_by(&opening.packet()) })
            }
            None => self.flows.remove(place.0),
        };
        let Some(slot) = slot else { return };
        self.memory.held -= slot.held as usize;
        if let Ok(entry) = self.index.find_entry(slot.hash, |other| *other == place) {
            entry.remove();
        }
        ended(slot, reason);
    }

    /// Frees memory of silent flows.
    fn sweep(&mut self, clock: Timestamp, ended: &mut impl FnMut(Slot<X>, Ended)) {
        let mut at = match self.sweep.at {
            Some(at) => at,
            None if clock >= self.sweep.next => 0,
            None => return,
        };
        for _ in 0..SWEEP_STEP {
            let (slots, places) = (self.flows.places(), self.flows.places() + self.openings.places());
            if at >= places {
                self.sweep = Sweep { next: clock + SWEEP_EVERY, at: None };
                return;
            }
            let place = if at < slots { Place(at as u32) } else { Place::of_opening((at - slots) as u32) };
            at += 1;
            if self.is_over(place, clock) {
                self.end(place, Ended::Timeout, ended);
                break;
            }
        }
        self.sweep.at = Some(at);
    }

    fn is_over(&self, place: Place, clock: Timestamp) -> bool {
        match place.opening() {
            Some(at) => self.openings.get(at).is_some_and(|opening| clock - opening.last_clock() > self.timeouts.silence_after(opening)),
            None => self.flows.get(place.0).is_some_and(|slot| self.timeouts.is_over(&slot.flow, clock)),
        }
    }

    /// Evicts the flows that have been idle longest, until the others fit.
    fn make_room(&mut self, ended: &mut impl FnMut(Slot<X>, Ended)) {
        while self.memory.held > self.memory.budget {
            let Some((clock, place)) = self.next_idle() else { return };
            if self.last_clock(place) == Some(clock) {
                self.end(place, Ended::Evicted, ended);
                self.memory.evicted += 1;
            }
        }
    }

    fn next_idle(&mut self) -> Option<(Timestamp, Place)> {
        if self.memory.idle.is_empty() {
            let slots = self.flows.iter().map(|(at, slot)| (slot.flow.last_clock(), Place(at)));
            let openings = self.openings.iter().map(|(at, opening)| (opening.last_clock(), Place::of_opening(at)));
            let mut all: Vec<(Timestamp, Place)> = slots.chain(openings).collect();
            let by_age = |&(clock, place): &(Timestamp, Place)| (clock, place.0);
            let most = all.len().div_ceil(IDLE_SHARE);
            if most < all.len() {
                all.select_nth_unstable_by_key(most, by_age);
                all.truncate(most);
            }
            all.sort_unstable_by_key(|idle| std::cmp::Reverse(by_age(idle)));
            self.memory.idle = all;
        }
        self.memory.idle.pop()
    }

    fn last_clock(&self, place: Place) -> Option<Timestamp> {
        match place.opening() {
            Some(at) => self.openings.get(at).map(Opening::last_clock),
            None => self.flows.get(place.0).map(|slot| slot.flow.last_clock()),
        }
    }
}

fn hash_at<X>(flows: &Slab<Slot<X>>, openings: &Slab<Opening>, place: Place) -> u64 {
    match place.opening() {
        Some(at) => openings.get(at).map_or(0, Opening::hash),
        None => flows.get(place.0).map_or(0, |slot| slot.hash),
    }
}

impl<X: Default> Slot<X> {
    fn new(packet: &Packet) -> Self {
        let mut slot = Self { hash: packet.hash, held: 0, flow: Flow::new(packet), beside: X::default() };
        slot.held = slot.weight() as u32;
        slot
    }

    /// The flow of a packet that has no payload to read.
    fn opened_by(packet: &Packet) -> Self {
        let mut slot = Self::new(packet);
        slot.flow.update(packet);
        slot
    }

    /// Bytes of the flow and its place.
    fn weight(&self) -> usize {
        size_of::<Option<Self>>() + self.flow.held()
    }
}

impl Timeouts {
    /// Whether the packet, which has the flow's key, finds the flow ended.
    fn ended_by(&self, flow: &Flow, packet: &Packet) -> Option<Ended> {
        if self.is_over(flow, packet.clock) {
            return Some(Ended::Timeout);
        }
        match (&packet.body, &flow.tcp) {
            (Body::Tcp(segment), Some(tcp)) if segment.flags.is_opening() && tcp.is_reused_by(packet, segment) => Some(Ended::Reused),
            _ => None,
        }
    }

    fn is_over(&self, flow: &Flow, clock: Timestamp) -> bool {
        clock - flow.clock > self.silence(flow)
    }

    /// Silence that ends this flow.
    pub fn silence(&self, flow: &Flow) -> Span {
        match (&flow.tcp, flow.key.protocol) {
            (Some(tcp), _) if tcp.is_over() => limits::LINGER,
            (Some(tcp), _) if tcp.is_established() => self.tcp_established,
            (Some(_), _) => self.tcp,
            (None, Protocol::SCTP) => self.tcp,
            _ => self.udp,
        }
    }

    /// The same of a flow whose only packet this is.
    fn silence_after(&self, opening: &Opening) -> Span {
        if opening.segment().flags.has(TcpFlags::RST) { limits::LINGER } else { self.tcp }
    }
}
