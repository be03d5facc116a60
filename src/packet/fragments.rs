//! Fragments of IP datagrams, kept until their datagram is whole.
//!
//! They come in the order of the capture and may lie in it in any order. Where two of them overlap, the bytes that came first stay: whoever injects a
//! fragment later cannot change what was already seen, and the same bytes sent again change nothing. What the capture lacks of a later fragment
//! counts as received; the datagram then ends where its bytes in the capture do. A first fragment that was snapped never comes here: it is read at once.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;

use super::PayloadRange;
use super::ip::{Datagram, Part};
use super::view::View;
use super::walk::Outer;
use crate::capture::Record;
use crate::model::{Address, Span, Timestamp};

/// How long a datagram waits for its fragments (RFC 8200 section 4.5; RFC 1122 section 3.3.2 asks for 60 to 120 s).
const PATIENCE: Span = Span::from_secs(60);
/// Bytes that wait over all datagrams of a source, as much as Linux keeps by default (ipfrag_high_thresh).
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// What one piece costs beside its bytes, roughly.
const PIECE_BYTES: usize = 64;
/// Datagrams that wait.
const DATAGRAMS_MAX: usize = 4_096;
/// Pieces of one datagram: 64 KiB over the smallest MTU of IPv4, 68 bytes (RFC 791 section 3.2), make 1,366.
const PIECES_MAX: usize = 1_400;
/// The longest datagram (RFC 791 section 3.1), and the longest payload of IPv6 (RFC 8200 section 3).
const LENGTH_MAX: u32 = 65_535;
/// The buffer of a round grows by so much at a time, so that its other bytes are seldom moved.
const ROUND_GROWS_BY: usize = 4 * 1024 * 1024;

/// One fragment as its record holds it.
pub struct Fragment {
    record: Record,
    key: Key,
    outer: Outer,
    part: Part,
    /// Headers in front of the payload.
    header: PayloadRange,
    payload: PayloadRange,
    /// Payload bytes on the wire.
    on_wire: u32,
}

/// A datagram of which all fragments came, in the bytes of the round.
pub struct Whole {
    pub(super) record: Record,
    pub(super) outer: Outer,
    pub(super) datagram: PayloadRange,
    pub(super) on_wire: u32,
}

/// What fragments of one datagram share (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    source: Address,
    destination: Address,
    id: u32,
    /// Of the tunnels around.
    shared: u32,
    interface: u16,
    version: u8,
    /// 0 for IPv6, where only the first fragment says what it carries.
    protocol: u8,
}

/// The datagrams of one source that wait for fragments.
#[derive(Default)]
pub struct Fragments {
    waiting: HashMap<Key, Waiting, FixedState>,
    /// From the oldest to the youngest.
    by_age: BTreeMap<u64, Key>,
    begun: u64,
    bytes: usize,
}

struct Waiting {
    age: u64,
    since: Timestamp,
    /// What the first fragment says: the headers, and the layers around them.
    first: Option<(Vec<u8>, Outer)>,
    /// Payload bytes of the whole datagram, once its last fragment came.
    total: Option<u32>,
    /// In order, never overlapping.
    pieces: Vec<Piece>,
    bytes: usize,
}

struct Piece {
    start: u32,
    end: u32,
    /// Fewer than from start to end where the capture was snapped.
    captured: Vec<u8>,
}

impl Fragment {
    pub(super) fn new(record: &Record, datagram: &Datagram<'_>, part: Part, view: View<'_>, outer: Outer) -> Self {
        let key = Key {
            source: datagram.source,
            destination: datagram.destination,
            id: part.id,
            shared: outer.shared(),
            interface: record.interface,
            version: datagram.version,
            protocol: if datagram.version == 4 { datagram.protocol } else { 0 },
        };
        let payload = PayloadRange { start: datagram.payload.start, captured: datagram.payload.bytes.len() as u32 };
        let header = PayloadRange { start: view.start, captured: datagram.header_bytes };
        Self { record: *record, key, outer, part, header, payload, on_wire: datagram.payload.on_wire }
    }
}

impl Fragments {
    /// Takes the next fragment of the capture. Where it makes a datagram whole, its bytes are put behind those of the round.
    pub fn take(&mut self, fragment: &Fragment, round: &mut Vec<u8>) -> Option<Whole> {
        self.forget_older_than(fragment.record.clock);
        let end = fragment.part.offset.checked_add(fragment.on_wire).filter(|&end| end <= LENGTH_MAX)?;
        let waiting = self.waiting.entry(fragment.key).or_insert_with(|| {
            self.begun += 1;
            self.by_age.insert(self.begun, fragment.key);
            Waiting { age: self.begun, since: fragment.record.clock, first: None, total: None, pieces: Vec::new(), bytes: 0 }
        });
        let before = waiting.bytes;
        waiting.take(fragment, end, round);
        self.bytes = (self.bytes + waiting.bytes).saturating_sub(before);
        let whole = if waiting.is_whole() {
            self.remove(&fragment.key).and_then(|whole| whole.datagram(fragment.record, round))
        } else if waiting.pieces.len() > PIECES_MAX {
            self.remove(&fragment.key);
            None
        } else {
            None
        };
        while self.bytes > BYTES_MAX || self.waiting.len() > DATAGRAMS_MAX {
            self.remove_oldest();
        }
        whole
    }

    fn forget_older_than(&mut self, clock: Timestamp) {
        while let Some((_, key)) = self.by_age.first_key_value()
            && self.waiting.get(key).is_none_or(|waiting| clock - waiting.since > PATIENCE)
        {
            self.remove_oldest();
        }
    }

    fn remove_oldest(&mut self) {
        if let Some((_, key)) = self.by_age.pop_first()
            && let Some(waiting) = self.waiting.remove(&key)
        {
            self.bytes = self.bytes.saturating_sub(waiting.bytes);
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Waiting> {
        let waiting = self.waiting.remove(key)?;
        self.by_age.remove(&waiting.age);
        self.bytes = self.bytes.saturating_sub(waiting.bytes);
        Some(waiting)
    }
}

impl Waiting {
    fn take(&mut self, fragment: &Fragment, end: u32, round: &[u8]) {
        let part = fragment.part;
        let beyond = self.total.is_some_and(|total| end > total || (!part.more && end != total));
        let reached = self.pieces.last().map_or(0, |piece| piece.end);
        if beyond || (!part.more && end < reached) {
            return; // it contradicts what came first
        }
        if !part.more {
            self.total = Some(end);
        }
        if part.offset == 0 && self.first.is_none() {
            let header = fragment.header.of(round).to_vec();
            self.bytes += header.len();
            self.first = Some((header, fragment.outer));
        }
        self.fill(part.offset, end, fragment.payload.of(round));
    }

    /// Puts what is new of the bytes from `start` to `end` between the pieces that are there.
    fn fill(&mut self, start: u32, end: u32, payload: &[u8]) {
        let mut from = start;
        let mut at = self.pieces.partition_point(|piece| piece.end <= start);
        while from < end {
            let (gap_end, behind) = self.pieces.get(at).map_or((end, end), |next| (next.start.min(end), next.end));
            if from < gap_end {
                let captured = payload.get((from - start) as usize..).unwrap_or_default();
                let captured = captured.get(..(gap_end - from) as usize).unwrap_or(captured).to_vec();
                self.bytes += captured.len() + PIECE_BYTES;
                self.pieces.insert(at, Piece { start: from, end: gap_end, captured });
                at += 1;
            }
            from = behind.max(gap_end);
            at += usize::from(from < end);
        }
    }

    fn is_whole(&self) -> bool {
        let mut reached = 0;
        self.first.is_some()
            && self.total.is_some_and(|total| self.pieces.last().is_some_and(|piece| piece.end == total))
            && self.pieces.iter().all(|piece| std::mem::replace(&mut reached, piece.end) == piece.start)
    }

    /// Header and payload behind the bytes of the round, as one datagram that was never cut.
    fn datagram(self, record: Record, round: &mut Vec<u8>) -> Option<Whole> {
        let ((mut header, outer), total) = (self.first?, self.total?);
        mend(&mut header, total)?;
        let needed = header.len() + total as usize;
        if round.capacity() - round.len() < needed {
            round.reserve_exact(needed.max(ROUND_GROWS_BY));
        }
        let start = u32::try_from(round.len()).ok()?;
        round.extend(&header);
        for Piece { start, end, captured } in &self.pieces {
            round.extend(captured);
            if captured.len() < (end - start) as usize {
                break;
            }
        }
        let captured = (round.len() as u32).checked_sub(start)?;
        Some(Whole { record, outer, datagram: PayloadRange { start, captured }, on_wire: header.len() as u32 + total })
    }
}

/// Makes the header of a first fragment that of the whole: its length, and no sign of fragments. None where the whole would be too long.
fn mend(header: &mut [u8], payload: u32) -> Option<()> {
    let is_v4 = header.first()? >> 4 == 4;
    let uncounted = if is_v4 { 0 } else { 40 }; // IPv6 does not count its fixed header
    let length = (header.len() + payload as usize).checked_sub(uncounted)?;
    let length = u16::try_from(length).ok()?.to_be_bytes();
    if is_v4 {
        header.get_mut(2..4)?.copy_from_slice(&length);
        *header.get_mut(6)? &= 0x40; // DF stays
        *header.get_mut(7)? = 0;
    } else {
        header.get_mut(4..6)?.copy_from_slice(&length);
        // The fragment header comes last; with offset 0 and no more to follow it stands around a whole datagram (RFC 6946).
        let offset = header.len().checked_sub(6)?;
        header.get_mut(offset..offset + 2)?.fill(0);
    }
    Some(())
}

#[cfg(test)]
mod tests;
