//! How far the server's clock is ahead of the client's, from the packets that both captures hold.
//!
//! A packet to the server takes at least no time, and one to the client neither: the differences of the two captures' times bound the offset from above
//! and from below. The middle of the closest bounds is right where the fastest packets take as long in both directions. Clocks drift, so bounds are taken
//! over a minute at a time, and the offset runs straight from one minute's middle to the next (after Paxson, "On calibrating measurements of packet transit
//! times", SIGMETRICS 1998, section 4). A minute with few or slow packets takes over the bounds of those beside it, as far as clocks drift.

use std::collections::BTreeMap;

use super::join::Pair;
use super::observed::{Observed, singles};
use super::read::Connection;
use crate::model::{Direction, Timestamp};

/// Bounds are taken over so long at a time, in ns.
const WINDOW: i64 = 60_000_000_000;

#[derive(Default)]
pub struct Clock {
    /// Client's time and offset, both in ns, in order.
    knots: Vec<(i64, i64)>,
}

/// Clocks drift apart by this much at the most, in ns per window (by design, 100 ppm: NTP holds clocks within 15 ppm, RFC 5905 section 7.2).
const DRIFT: i64 = WINDOW / 10_000;
/// Windows on either side from which bounds are taken over: an hour.
const NEIGHBOURS: i64 = 60;

/// Bounds of the offset in one window.
#[derive(Clone, Copy)]
struct Bounds {
    low: i64,
    high: i64,
}

impl Clock {
    /// A time of the server's capture by the client's clock.
    pub fn to_client(&self, server: Timestamp) -> Timestamp {
        let first = self.knots.first().map_or(0, |&(_, offset)| offset);
        Timestamp(server.0 - self.offset(server.0 - first)) // it changes slowly: what time it is by the first offset is good enough to look it up
    }

    fn offset(&self, time: i64) -> i64 {
        let after = self.knots.partition_point(|&(at, _)| at <= time);
        match (after.checked_sub(1).and_then(|before| self.knots.get(before)), self.knots.get(after)) {
            (Some(&(from, one)), Some(&(to, other))) => one + ((other - one) as f64 * (time - from) as f64 / (to - from) as f64) as i64,
            (Some(&(_, offset)), None) | (None, Some(&(_, offset))) => offset,
            (None, None) => 0,
        }
    }

    /// At the start and at the end.
    pub fn span_ms(&self) -> Option<(f64, f64)> {
        let ms = |&(_, offset): &(i64, i64)| offset as f64 / 1e6;
        Some((ms(self.knots.first()?), ms(self.knots.last()?)))
    }
}

pub fn align(pairs: &[Pair<'_>]) -> Clock {
    let mut windows: BTreeMap<i64, Bounds> = BTreeMap::new();
    for (direction, client, server) in pairs.iter().flat_map(unique) {
        let (client, server) = (client.time.0, server.time.0);
        let window = windows.entry(client.div_euclid(WINDOW)).or_insert(Bounds { low: i64::MIN, high: i64::MAX });
        match direction {
            Direction::ClientToServer => window.high = window.high.min(server - client),
            Direction::ServerToClient => window.low = window.low.max(server - client),
        }
    }
    let known = windows.keys().filter_map(|&window| Some((window * WINDOW + WINDOW / 2, offset_in(window, &windows)?)));
    Clock { knots: known.collect() }
}

/// The middle of the closest bounds that a window and its neighbours give; its own where a clock was set between them.
fn offset_in(window: i64, windows: &BTreeMap<i64, Bounds>) -> Option<i64> {
    let own = *windows.get(&window)?;
    let near = windows.range(window - NEIGHBOURS..=window + NEIGHBOURS);
    let shared = near.fold(own, |shared, (other, bounds)| {
        let drift = (other - window).abs() * DRIFT;
        Bounds { low: shared.low.max(bounds.low.saturating_sub(drift)), high: shared.high.min(bounds.high.saturating_add(drift)) }
    });
    let bounds = if shared.low <= shared.high { shared } else { own };
    (bounds.low != i64::MIN && bounds.high != i64::MAX).then(|| bounds.low.midpoint(bounds.high))
}

/// What makes a packet the only one of its kind in a flow.
type Kind = (bool, u32, u32, u32, u8, u16, u32);

/// Packets of which either capture holds just one of the kind, as (direction, at the client, at the server).
fn unique<'a>(pair: &Pair<'a>) -> Vec<(Direction, &'a Observed, &'a Observed)> {
    let [Some(client), Some(server)] = pair.ends else { return Vec::new() };
    let kinds = |connection: &'a Connection| {
        let packets = connection.packets.iter().filter(|packet| !packet.is_reset());
        singles(packets.map(|packet| {
            let from_client = packet.sender == connection.client;
            let kind: Kind = (from_client, packet.seq, packet.ack, packet.len, packet.shape(), packet.ip_id, packet.timestamp);
            (kind, packet)
        }))
    };
    let there = kinds(server);
    let here = kinds(client).into_iter();
    here.filter_map(|(kind, packet)| {
        let direction = if kind.0 { Direction::ClientToServer } else { Direction::ServerToClient };
        let peer = *there.get(&kind)?;
        packet.may_be(peer).then_some((direction, packet, peer))
    })
    .collect()
}
