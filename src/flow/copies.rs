//! Copies: packets that the capture holds more than once, as a mirror port, both sides of a router, or the `any` interface of a bridge make them.
//! In:  the packets of one shard, in capture order, each with its flow as it was before.
//! Out: whether the packet is a copy of one that came at most 1 ms before, and how many hops it had come further.
//! Promises: memory is fixed; nothing but the shard's packets decides; what a sender may have sent twice is no copy until the flow shows that it is
//! captured twice.
//! Blind to: copies more than 1 ms apart, and flows without any IP ID or SYN in a shard that has not yet shown that it is captured twice.

use crate::model::{PerSide, Side, Span, Timestamp};
use crate::packet::{Body, Packet, TcpFlags};

use super::Volume;

/// Copies are this close. What a stack sends again is a new datagram, to which those that count give a new IP ID; and it comes later, since timers
/// wait 1 s for a SYN (RFC 6298 section 2.1) and 200 ms for data at the least (the floor of Linux).
const WINDOW: Span = Span::from_millis(1);
/// Routers between the two places of capture (by design: mirrors stand at both sides of one router, seldom of a few).
const HOPS_MAX: u8 = 7;
/// Packets that can prove themselves before a shard vouches for flows that have shown nothing yet (by design).
const TOLD_MIN: u32 = 16;
/// Counts are halved here, so that a shard follows a capture point that changes.
const TOLD_MAX: u32 = 4_096;
/// Interfaces are sources of their own; those beyond share a place.
const SHARES: usize = 16;
/// Room for a thousand packets. An entry is lost where four others of its set come before the copy: with a hundred packets between the two, once in a
/// thousand times.
const SETS: usize = 256;
const WAYS: usize = 4;

/// The packets that one shard has seen lately, and how many of them came again.
#[derive(Default)]
pub struct Copies {
    /// Empty until the first packet: most shards of a small capture have none.
    sets: Vec<Set>,
    shares: [Share; SHARES],
}

/// Packets whose fingerprints share their low bits; the oldest makes room.
#[derive(Clone, Copy, Default)]
struct Set {
    /// The high halves of the fingerprints: nearly every packet is new, which these alone tell.
    tags: [u32; WAYS],
    seen: [Seen; WAYS],
    oldest: u8,
}

/// A packet, and what of its flow was known when it came.
#[derive(Clone, Copy, Default)]
struct Seen {
    time: Timestamp,
    /// Packets of its sender and of the other side that came before, copies left out.
    before: u32,
    before_other: u32,
    ttl: u8,
    /// How often it was sent, and how many copies were found.
    sent: u8,
    copies: u8,
}

/// A packet was a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// How many more than the first it has passed.
    pub hops: u8,
    /// Copies of the first so far, this one included; none where the first was sent several times.
    pub copies_of_one: u8,
}

/// Packets that can prove themselves, and how many copies of them came.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    told: u32,
    copies: u32,
}

impl Copies {
    /// Takes in the next packet of a flow, given what of the flow came before; tells whether it is a copy.
    pub fn find(&mut self, packet: &Packet, flow: &PerSide<Volume>) -> Option<Copied> {
        if self.sets.is_empty() {
            self.sets.resize(SETS, Set::default());
        }
        let print = fingerprint(packet);
        let set = self.sets.get_mut(print as usize % SETS)?;
        let share = &mut self.shares[usize::from(packet.key.interface) % SHARES];
        let tells = proves_itself(packet);
        let tag = (print >> 32) as u32;
        let Some(seen) = set.first_of(tag, packet, flow) else {
            set.put(tag, Seen::new(packet, flow));
            if tells {
                share.add_told();
            }
            return None;
        };
        let hops = seen.ttl - packet.ttl;
        if tells {
            share.copies = share.copies.saturating_add(1);
        } else if !seen.awaits_copy(flow, packet.sender, share) || !is_known_way(flow, packet.sender, hops) {
            (seen.time, seen.sent) = (packet.time, seen.sent.saturating_add(1));
            return None;
        }
        seen.copies = seen.copies.saturating_add(1);
        Some(Copied { hops, copies_of_one: if seen.sent == 1 { seen.copies } else { 0 } })
    }
}

impl Set {
    fn first_of(&mut self, tag: u32, packet: &Packet, flow: &PerSide<Volume>) -> Option<&mut Seen> {
        // A flow that has nothing of this sender has not had the first: what came belongs to the flow before it.
        let is_first = |seen: &Seen| seen.may_be_first_of(packet) && flow[packet.sender].originals() > 0;
        self.tags.iter().zip(&mut self.seen).find(|(known, seen)| **known == tag && is_first(seen)).map(|(_, seen)| seen)
    }

    fn put(&mut self, tag: u32, seen: Seen) {
        let way = usize::from(self.oldest) % WAYS;
        (self.tags[way], self.seen[way]) = (tag, seen);
        self.oldest = self.oldest.wrapping_add(1);
    }
}

impl Seen {
    fn new(packet: &Packet, flow: &PerSide<Volume>) -> Self {
        let before = |side: Side| flow[side].originals().min(u64::from(u32::MAX)) as u32;
        let (before, before_other) = (before(packet.sender), before(packet.sender.opposite()));
        Self { time: packet.time, before, before_other, ttl: packet.ttl, sent: 1, copies: 0 }
    }

    /// Near in time, either way since mirror queues overtake each other, and no hop closer to the sender.
    fn may_be_first_of(&self, packet: &Packet) -> bool {
        let apart = (packet.time - self.time).0.unsigned_abs();
        apart <= WINDOW.0.unsigned_abs() && self.sent > 0 && self.ttl.checked_sub(packet.ttl).is_some_and(|hops| hops <= HOPS_MAX)
    }

    /// Whether fewer copies came than the flow's earlier packets let expect. Only packets before this one are asked: copies come in order, so that
    /// those of later packets may be still to come.
    fn awaits_copy(&self, flow: &PerSide<Volume>, sender: Side, share: &Share) -> bool {
        let [own, other] = [sender, sender.opposite()].map(|side| flow[side].duplicates);
        // A packet may have been sent again since: then copies of later packets are among those that came, so that their number alone says too much.
        let most = flow.0.iter().map(|volume| volume.copies_of_one).max().unwrap_or(0).into();
        let each = match (self.before, self.before_other) {
            (0, 0) => share.copies_each(),
            (0, before) => copies_each(before, other).min(most),
            (before, _) => copies_each(before, own.saturating_sub(self.copies.into())).min(most),
        };
        u32::from(self.copies) < each.saturating_mul(self.sent.into())
    }
}

/// Copies take the same way, so that a constant lies between their hops: one of those that either side has shown, or the first of this side.
fn is_known_way(flow: &PerSide<Volume>, sender: Side, hops: u8) -> bool {
    !flow[sender].has_copies() || flow.0.iter().any(|volume| volume.has_copies_of(hops))
}

impl Share {
    fn add_told(&mut self) {
        self.told += 1;
        if self.told >= TOLD_MAX {
            (self.told, self.copies) = (self.told / 2, self.copies / 2);
        }
    }

    /// What a flow can expect that has shown nothing itself: something only where three of four packets came again.
    fn copies_each(&self) -> u32 {
        let most = u64::from(self.copies) * 4 >= u64::from(self.told) * 3;
        if self.told >= TOLD_MIN && most { copies_each(self.told, self.copies) } else { 0 }
    }
}

/// Copies that a packet has on the average, to the next whole number; none where fewer than half of the packets have one.
fn copies_each(packets: u32, copies: u32) -> u32 {
    let (packets, copies) = (u64::from(packets), u64::from(copies));
    if packets == 0 || copies * 2 < packets {
        return 0;
    }
    ((copies * 2 + packets - 1) / (packets * 2)).clamp(1, u8::MAX.into()) as u32
}

/// Whether a second one within 1 ms can only be a copy. Resets are sent in bursts, by stacks and by injectors, and acknowledgements are repeated on
/// purpose; without an IP ID (IPv6, or 0 as in RFC 6864 section 4.1) a repetition looks like a copy. Only a SYN is never sent twice so soon.
fn proves_itself(packet: &Packet) -> bool {
    match &packet.body {
        Body::Tcp(segment) if segment.flags.has(TcpFlags::RST) => false,
        Body::Tcp(segment) if segment.flags.is_opening() => true,
        Body::Tcp(segment) => packet.ip_id != 0 && (packet.payload_bytes > 0 || segment.flags.is_control()),
        _ => packet.ip_id != 0,
    }
}

/// Stands for all that copies share: flow, sender, and what IP and transport say. TTL, IP checksum and link layer differ between places of capture.
fn fingerprint(packet: &Packet) -> u64 {
    let (numbers, window, flags) = match &packet.body {
        Body::Tcp(segment) => (u64::from(segment.seq.0) << 32 | u64::from(segment.ack.0), segment.window, segment.flags.0),
        _ => (0, 0, 0),
    };
    let bytes = u64::from(packet.digest) << 32 | u64::from(packet.ip_id) << 16 | u64::from(window);
    let form = u64::from(packet.ip_bytes) << 16 | u64::from(flags) << 8 | packet.sender as u64;
    folded(folded(numbers ^ 0x9e37_79b9_7f4a_7c15, bytes ^ packet.hash) ^ form, 0xd6e8_feb8_6659_fd93)
}

/// Both halves of the product: a fast mixing step (the multiplier's halves depend on every bit of both factors).
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests;
