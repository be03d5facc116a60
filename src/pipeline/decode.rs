//! A round of records and its packets, decoded on all cores and sorted by shard without a lock.

use std::ops::AddAssign;

use rayon::prelude::*;

use crate::capture::{Record, Round, SourceReader};
use crate::packet::{self, Packet};
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
}

/// The packets of some consecutive records, by shard, in capture order.
struct Batch {
    shards: Vec<Vec<Packet>>,
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
    pub fn fill(&mut self, reader: &mut SourceReader<'_>) -> bool {
        if !reader.fill(&mut self.round) {
            return false;
        }
        let Self { round, accounts, batches, used } = self;
        let chunks: Vec<&[Record]> = round.records.chunks(BATCH_RECORDS).collect();
        *used = chunks.len();
        if batches.len() < *used {
            batches.resize_with(*used, Batch::new);
        }
        batches.par_iter_mut().zip(&chunks).for_each(|(batch, records)| batch.decode(records, &round.bytes));
        *accounts = Accounts::default();
        batches[..*used].iter().for_each(|batch| *accounts += batch.accounts);
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
        Self { shards: vec![Vec::new(); SHARDS], accounts: Accounts::default() }
    }

    fn decode(&mut self, records: &[Record], round: &[u8]) {
        self.accounts = Accounts::default();
        self.shards.iter_mut().for_each(Vec::clear);
        for record in records {
            let outcome = packet::decode(record, round);
            self.accounts.count(&outcome);
            match outcome {
                packet::Decoded::Packet(packet) => self.push(packet),
                packet::Decoded::PacketAndQuote(packet, quote) => {
                    self.push(packet);
                    self.push(quote);
                }
                packet::Decoded::Fragment | packet::Decoded::NotIp | packet::Decoded::Undecoded => {}
            }
        }
    }

    fn push(&mut self, packet: Packet) {
        self.shards[shard_of(packet.hash)].push(packet);
    }
}

impl Accounts {
    fn count(&mut self, outcome: &packet::Decoded) {
        match outcome {
            packet::Decoded::Packet(_) | packet::Decoded::PacketAndQuote(..) => {}
            packet::Decoded::Fragment => self.fragments += 1,
            packet::Decoded::NotIp => self.not_ip += 1,
            packet::Decoded::Undecoded => {
                self.undecoded += 1;
                return;
            }
        }
        self.decoded += 1;
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
