//! Connections that a timeout or want of memory cut off, so that what resumes them later is known for what it is.
//!
//! A connection resumes its forerunner where its key is the same and its first packet, which is no SYN, goes on with the numbers of both sides.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::FixedState;

use crate::model::{FlowKey, PerSide, SeqNumber, Side, Timestamp};
use crate::packet::{Body, Packet, Segment, TcpFlags};

use super::{Ended, Flow, limits};

/// What is remembered of a connection that was cut off; `X` is what its owner wants to know again.
#[derive(Clone, Debug)]
pub struct Forerunner<X> {
    pub start: Timestamp,
    pub first_seq: SeqNumber,
    pub kept: X,
    /// Behind the last byte that each side sent.
    next: PerSide<SeqNumber>,
}

/// The connections of one shard that were cut off last.
pub struct Forerunners<X> {
    known: HashMap<FlowKey, (u64, Forerunner<X>), FixedState>,
    /// In the order in which they were cut off, with a number for each.
    order: VecDeque<(u64, FlowKey)>,
    count: u64,
}

impl<X> Default for Forerunners<X> {
    fn default() -> Self {
        Self { known: HashMap::default(), order: VecDeque::new(), count: 0 }
    }
}

impl<X> Forerunners<X> {
    /// Remembers a flow that ended, if it may resume.
    pub fn remember(&mut self, flow: &Flow, ended: Ended, kept: impl FnOnce() -> X) {
        let Some((first_seq, next)) = resumable(flow, ended) else { return };
        self.count += 1;
        self.known.insert(flow.key, (self.count, Forerunner { start: flow.start, first_seq, kept: kept(), next }));
        self.order.push_back((self.count, flow.key));
        while self.order.len() > limits::FORERUNNERS_MAX {
            let Some((number, key)) = self.order.pop_front() else { return };
            if self.known.get(&key).is_some_and(|(known, _)| *known == number) {
                self.known.remove(&key);
            }
        }
    }

    /// The forerunner of a flow that begins with this packet; it has no second successor.
    pub fn claim(&mut self, packet: &Packet) -> Option<Forerunner<X>> {
        let Body::Tcp(segment) = &packet.body else { return None };
        if self.known.is_empty() || segment.flags.has(TcpFlags::SYN) {
            return None;
        }
        let (_, forerunner) = self.known.get(&packet.key)?;
        let fits = forerunner.is_resumed_by(packet.sender, segment);
        fits.then(|| self.known.remove(&packet.key))?.map(|(_, forerunner)| forerunner)
    }
}

impl<X> Forerunner<X> {
    fn is_resumed_by(&self, sender: Side, segment: &Segment) -> bool {
        let near = |number: SeqNumber, next: SeqNumber| number.offset_from(next).unsigned_abs() <= limits::RESUMED_WITHIN;
        near(segment.seq, self.next[sender]) && (!segment.flags.has(TcpFlags::ACK) || near(segment.ack, self.next[sender.opposite()]))
    }
}

/// Its first number, and what both sides would send next; none of a flow that was closed, or of which only one side was heard.
fn resumable(flow: &Flow, ended: Ended) -> Option<(SeqNumber, PerSide<SeqNumber>)> {
    let was_cut = matches!(ended, Ended::Timeout | Ended::Evicted);
    let tcp = flow.tcp.as_ref().filter(|tcp| was_cut && !tcp.reset_seen() && !tcp.closed_by_both())?;
    let [low, high] = [Side::Low, Side::High].map(|side| tcp.sides[side].next);
    Some((flow.first_seq()?, PerSide([low?, high?])))
}
