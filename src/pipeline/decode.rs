//! A round of records and its packets, decoded on all cores and sorted by shard without a lock; fragments are put together in one ordered step behind.

use std::ops::AddAssign;

use rayon::prelude::*;

use crate::capture::{Record, Round, SourceReader};
use crate::packet::{self, Fragment, Fragments, Packet};
use crate::shard::{SHARDS, shard_of};

/// Records that one core decodes at a time.
const BATCH_RECORDS: usize = 4_096;

/// One round; filled again and again, so that its buffers are reused.
#[derive(Default)]
pub struct Decoded {
    pub round: Round,
    pub accounts: Accounts,
    batches: Vec<Batch>,
    used: usize,
    /// Bytes that the reader gave; behind them stand datagrams that came in fragments.
    read_bytes: usize,
}

/// The packets of some consecutive records, by shard, in capture order.
struct Batch {
    shards: Vec<Vec<Packet>>,
    fragments: Vec<Fragment>,
    accounts: Accounts,
}

/// What became of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    pub decoded: u64,
    pub undecoded: u64,
    pub not_ip: u64,
    pub fragments: u64,
    /// Packets that are copies of others; known once the shards have seen them.
    pub duplicates: u64,
}

impl Decoded {
    /// Reads and decodes the next round; false at the end of the source.
    pub fn fill(&mut self, reader: &mut SourceReader<'_>, fragments: &mut Fragments) -> bool {
        self.round.bytes.truncate(self.read_bytes);
        let more = reader.fill(&mut self.round);
        self.read_bytes = self.round.bytes.len();
        if !more {
            return false;
        }
        let Self { round, accounts, batches, used, .. } = self;
        let chunks: Vec<&[Record]> = round.records.chunks(BATCH_RECORDS).collect();
        *used = chunks.len();
        if batches.len() < *used {
            batches.resize_with(*used, Batch::new);
        }
        batches.par_iter_mut().zip(&chunks).for_each(|(batch, records)| batch.decode(records, round));
        *accounts = Accounts::default();
        for batch in &mut batches[..*used] {
            batch.join(fragments, &mut round.bytes);
            *accounts += batch.accounts;
        }
        true
    }

    /// The packets of one shard, in capture order.
    pub fn packets_of(&self, shard: usize) -> impl Iterator<Item = &Packet> {
        self.batches[..self.used].iter().flat_map(move |batch| &batch.shards[shard])
    }

    /// Bytes of the records' packets and headers, as far as progress is concerned.
    pub fn bytes(&self) -> u64 {
        let header = 16; // of a pcap record
        self.round.records.iter().map(|record| u64::from(record.captured) + header).sum()
    }
}

impl Batch {
    fn new() -> Self {
        Self { shards: vec![Vec::new(); SHARDS], fragments: Vec::new(), accounts: Accounts::default() }
    }

    fn decode(&mut self, records: &[Record], round: &Round) {
        self.accounts = Accounts::default();
        self.shards.iter_mut().for_each(Vec::clear);
        for record in records {
            if !round.doubtful.is_empty() && round.doubtful.binary_search(&record.number).is_ok() {
                packet::decode_doubtful(record, &round.bytes, |found| self.take(found, Vec::push));
            } else {
                packet::decode(record, &round.bytes, |found| self.take(found, Vec::push));
            }
        }
    }

    /// The ordered step: gives the fragments of the batch to those that wait. Datagrams that become whole are decoded like any other, from their IP
    /// header on; what they carry may be a fragment again, of a datagram inside.
    fn join(&mut self, fragments: &mut Fragments, round: &mut Vec<u8>) {
        let mut waiting = std::mem::take(&mut self.fragments);
        for fragment in waiting.drain(..) {
            self.fragments.push(fragment);
            while let Some(fragment) = self.fragments.pop() {
                match fragments.take(&fragment, round) {
                    Some(whole) => packet::decode_whole(&whole, round, |found| self.take(found, insert)),
                    None => self.accounts.fragment(),
                }
            }
        }
        self.fragments = waiting; // empty, and its memory is used again
    }

    fn take(&mut self, found: packet::Decoded, put: impl FnOnce(&mut Vec<Packet>, Packet)) {
        match found {
            packet::Decoded::Packet(packet) => {
                self.accounts.decoded += 1;
                put(&mut self.shards[shard_of(packet.hash)], packet);
            }
            packet::Decoded::Quote(quote) => put(&mut self.shards[shard_of(quote.hash)], quote),
            packet::Decoded::Fragment(fragment) => self.fragments.push(fragment),
            packet::Decoded::NotIp => {
                self.accounts.decoded += 1;
                self.accounts.not_ip += 1;
            }
            packet::Decoded::Undecoded => self.accounts.undecoded += 1,
        }
    }
}

/// Puts a packet among those of its batch, behind all that came before it.
fn insert(packets: &mut Vec<Packet>, packet: Packet) {
    let at = packets.partition_point(|other| other.number <= packet.number);
    packets.insert(at, packet);
}

impl Accounts {
    fn fragment(&mut self) {
        self.decoded += 1;
        self.fragments += 1;
    }

    /// Packets: one for each record, and the further ones of frames that hold several.
    pub fn packets(&self) -> u64 {
        self.decoded + self.undecoded
    }
}

impl AddAssign for Accounts {
    fn add_assign(&mut self, other: Self) {
        self.decoded += other.decoded;
        self.undecoded += other.undecoded;
        self.not_ip += other.not_ip;
        self.fragments += other.fragments;
        self.duplicates += other.duplicates;
    }
}
