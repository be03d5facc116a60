//! What a run may hold in memory, and who waits when it is too much.
//!
//! All but [`FOR_THE_REST`], half of it at the least, is for living flows; rounds, rows on their way and what comparison learns have the rest. A source
//! alone may use all that flows may; of several each may use half of it, and one goes on beyond the other half only if it is the first of those being
//! read. So the limit holds however many are read at once, and what a source gives depends on its packets only.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard};

use super::ROUND_BYTES;

/// Rounds, rows and runs of a large capture take less than this (measured: docs/performance.md).
const FOR_THE_REST: usize = 768 << 20;
/// Rounds are no smaller than this.
const ROUND_BYTES_MIN: usize = 512 * 1024;
/// A round with its decoded packets, twice, since the next is filled meanwhile, takes so many times its bytes at the most.
const ROUND_WEIGHT: usize = 8;

pub struct Memory {
    /// Of the flows of one source.
    per_source: usize,
    /// Beyond so many bytes of flows all sources but the first wait.
    others_wait_at: usize,
    held: Mutex<BTreeMap<usize, usize>>,
    changed: Condvar,
}

impl Memory {
    pub fn new(max: usize, sources: usize) -> Self {
        let flows = (max / 2).max(max.saturating_sub(FOR_THE_REST));
        let per_source = if sources > 1 { flows / 2 } else { flows };
        Self { per_source, others_wait_at: flows / 2, held: Mutex::default(), changed: Condvar::new() }
    }

    pub fn per_source(&self) -> usize {
        self.per_source
    }

    /// A source is being read, until what is given back goes away.
    pub fn enter(&self, source: usize) -> Reading<'_> {
        Reading { memory: self, source }
    }

    /// Takes note of what the flows of a source hold; waits while all together hold too much, unless the source is the first.
    pub fn note(&self, source: usize, bytes: usize) {
        let mut held = self.held();
        held.insert(source, bytes);
        self.changed.notify_all();
        while held.keys().next() != Some(&source) && held.values().sum::<usize>() > self.others_wait_at {
            held = self.changed.wait(held).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<usize, usize>> {
        self.held.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// However the reading ends, others need not wait for it.
pub struct Reading<'a> {
    memory: &'a Memory,
    source: usize,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.memory.held().remove(&self.source);
        self.memory.changed.notify_all();
    }
}

/// Bytes of a round, where so many sources are read at once: a quarter of the memory holds all of them. Results do not depend on it.
pub fn round_bytes(max: usize, readers: usize) -> usize {
    (max / 4 / ROUND_WEIGHT / readers.max(1)).clamp(ROUND_BYTES_MIN, ROUND_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    #[test]
    fn the_first_source_never_waits_and_the_others_do() {
        let memory = Memory::new(2_000, 2);
        assert_eq!((memory.per_source(), memory.others_wait_at), (500, 500));
        let first = memory.enter(3);
        memory.note(3, 450);
        let waited = AtomicBool::new(true);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                memory.note(7, 100);
                assert!(!waited.load(Ordering::SeqCst), "550 bytes are too many");
            });
            std::thread::sleep(Duration::from_millis(30));
            memory.note(3, 499); // goes on
            waited.store(false, Ordering::SeqCst);
            drop(first);
            other.join().expect("it was let go");
        });
    }

    #[test]
    fn rounds_shrink_where_many_are_read_at_once() {
        const GIB: usize = 1 << 30;
        assert_eq!([1, 2, 64].map(|readers| round_bytes(2 * GIB, readers)), [ROUND_BYTES, ROUND_BYTES, GIB / 1_024]);
        assert_eq!(round_bytes(64 << 20, 64), ROUND_BYTES_MIN);
    }
}
