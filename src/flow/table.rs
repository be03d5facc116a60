//! The flows of one shard that are alive: found by key, ended by silence, by a new connection, or by the end of the trace.
//!
//! Whether a flow has ended is decided when its next packet comes, from trace time alone. Sweeping merely frees memory earlier, so that its rhythm changes nothing.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::model::{FlowKey, Protocol, Span, Timestamp};
use crate::packet::{Body, Packet};

use super::{Flow, limits};

/// What ended a flow's life in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Timeout,
    CaptureEnd,
    Reused,
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
}

/// `X` is what the owner keeps beside each flow.
pub struct FlowTable<X> {
    index: HashTable<u32>,
    slots: Vec<Option<Slot<X>>>,
    free: Vec<u32>,
    timeouts: Timeouts,
    next_sweep: Timestamp,
}

/// How often silent flows are looked for, in trace time.
const SWEEP_EVERY: Span = Span::from_secs(16);

impl<X: Default> FlowTable<X> {
    pub fn new(timeouts: Timeouts) -> Self {
        Self { index: HashTable::new(), slots: Vec::new(), free: Vec::new(), timeouts, next_sweep: Timestamp(i64::MIN) }
    }

    /// The flow that the packet belongs to, made anew where there is none; flows that end hereby go to `ended`.
    pub fn find_or_begin(&mut self, packet: &Packet, mut ended: impl FnMut(Slot<X>, Ended)) -> &mut Slot<X> {
        if packet.clock >= self.next_sweep {
            self.sweep(packet.clock, &mut ended);
        }
        let Self { index, slots, free, timeouts, .. } = self;
        let same = |&at: &u32| slots[at as usize].as_ref().is_some_and(|slot| slot.flow.key == packet.key);
        let at = match index.entry(packet.hash, same, |&at| slots[at as usize].as_ref().map_or(0, |slot| slot.hash)) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let at = free.pop().unwrap_or(slots.len() as u32);
                entry.insert(at);
                if at as usize == slots.len() {
                    slots.push(None);
                }
                at
            }
        };
        let place = &mut slots[at as usize];
        let over = place.as_ref().and_then(|slot| timeouts.ended_by(&slot.flow, packet));
        if let (Some(reason), Some(old)) = (over, place.take_if(|_| over.is_some())) {
            ended(old, reason);
        }
        place.get_or_insert_with(|| Slot { hash: packet.hash, flow: Flow::new(packet), beside: X::default() })
    }

    /// The living flow of a key.
    pub fn find(&mut self, key: &FlowKey, hash: u64, clock: Timestamp) -> Option<&mut Slot<X>> {
        let Self { index, slots, timeouts, .. } = self;
        let at = *index.find(hash, |&at| slots[at as usize].as_ref().is_some_and(|slot| slot.flow.key == *key))?;
        slots[at as usize].as_mut().filter(|slot| !timeouts.is_over(&slot.flow, clock))
    }

    fn sweep(&mut self, clock: Timestamp, ended: &mut impl FnMut(Slot<X>, Ended)) {
        self.next_sweep = clock + SWEEP_EVERY;
        for at in 0..self.slots.len() {
            if self.slots[at].as_ref().is_some_and(|slot| self.timeouts.is_over(&slot.flow, clock)) {
                self.remove(at, |slot| ended(slot, Ended::Timeout));
            }
        }
    }

    fn remove(&mut self, at: usize, ended: impl FnOnce(Slot<X>)) {
        if let Some(slot) = self.slots[at].take() {
            if let Ok(entry) = self.index.find_entry(slot.hash, |&other| other as usize == at) {
                entry.remove();
            }
            self.free.push(at as u32);
            ended(slot);
        }
    }

    /// Ends every flow that is left, at the last moment of the trace.
    pub fn finish(self, clock: Timestamp, mut ended: impl FnMut(Slot<X>, Ended)) {
        for slot in self.slots.into_iter().flatten() {
            let reason = if self.timeouts.is_over(&slot.flow, clock) { Ended::Timeout } else { Ended::CaptureEnd };
            ended(slot, reason);
        }
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
}
