//! One source from its first record to its last.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::capture::{FileReport, Source, SourceReader};
use crate::model::rows::CaptureRow;
use crate::model::{FileId, Timestamp};
use crate::packet::Fragments;
use crate::shard::{Over, SHARDS, Shard};
use crate::table::TableError;

use super::ahead;
use super::decode::{Accounts, Decoded};
use super::row::Rows;
use super::{Shared, shown};

/// Reads a source, and gives its flows to the sink. What is wrong with a file stands in its row.
pub fn read(index: usize, source: &Source, shared: &Shared<'_>) -> Result<Vec<CaptureRow>, TableError> {
    let Shared { settings, sink, memory, .. } = shared;
    let mut reader = SourceReader::with(source, shared.round_bytes, ahead::opener(source, &shared.places));
    let shard = || Shard::new(settings.timeouts, memory.per_source() / SHARDS).with_splt(settings.splt);
    let mut shards: Vec<Shard> = std::iter::repeat_with(shard).take(SHARDS).collect();
    let mut rows = Rows::new(source, &settings.catalog, settings.networks.as_ref());
    let (mut now, mut next) = (Decoded::default(), Decoded::default());
    let (mut accounts, mut end) = (BTreeMap::<FileId, Accounts>::new(), End::default());

    let mut fragments = Fragments::default();
    let mut more = now.fill(&mut reader, &mut fragments);
    while more {
        rows.know_interfaces(reader.interfaces());
        rows.know_gaps(reader.gaps());
        let read_ahead = || next.fill(&mut reader, &mut fragments); // 1 records found, 2 decoded on all cores, fragments joined
        let add = |over| sink.add(rows.of(over)); // 4 rows on their way to the tables
        let update = || update(&mut shards, &now, add); // 3 no lock: a shard owns its flows
        let (more_to_come, added) = rayon::join(read_ahead, update);
        added?;
        let duplicates = shards.iter_mut().map(Shard::take_duplicates).sum();
        *accounts.entry(now.round.file).or_default() += Accounts { duplicates, ..now.accounts };
        end.note(&now);
        memory.note(index, shards.iter().map(Shard::held).sum());
        (shared.on_round)(now.bytes(), now.round.records.len() as u64);
        std::mem::swap(&mut now, &mut next);
        more = more_to_come;
    }
    sink.note_evicted(shards.iter_mut().map(Shard::take_evicted).sum());
    rows.know_gaps(reader.gaps());
    while empty(&mut shards, &end, |left| sink.add(rows.of(left)))? {}
    Ok(reader.take_reports().into_iter().map(|report| capture_row(source, &accounts, report)).collect())
}

/// The last moment of a source.
#[derive(Default)]
struct End {
    clock: Timestamp,
    time: Timestamp,
}

impl End {
    fn note(&mut self, decoded: &Decoded) {
        let records = &decoded.round.records;
        self.clock = records.last().map_or(self.clock, |record| record.clock);
        self.time = records.iter().map(|record| record.time).fold(self.time, Timestamp::max);
    }
}

/// Gives every shard its packets of a round, and what ended thereby to `each`.
fn update(shards: &mut [Shard], decoded: &Decoded, each: impl Fn(Over) -> Result<(), TableError> + Sync) -> Result<(), TableError> {
    shards.par_iter_mut().enumerate().try_for_each(|(index, shard)| {
        decoded.packets_of(index).for_each(|packet| shard.update(packet, &decoded.round.bytes));
        each(shard.take_ended())
    })
}

/// Ends some thousands of the flows that are left; whether there were any.
fn empty(shards: &mut [Shard], end: &End, each: impl Fn(Over) -> Result<(), TableError> + Sync) -> Result<bool, TableError> {
    let some = |shard: &mut Shard| {
        let left = shard.finish_some(end.clock, end.time);
        let any = !left.conversations.is_empty();
        each(left).map(|()| any)
    };
    shards.par_iter_mut().map(some).try_reduce(|| false, |one, other| Ok(one || other))
}

fn capture_row(source: &Source, accounts: &BTreeMap<FileId, Accounts>, report: FileReport) -> CaptureRow {
    let accounts = accounts.get(&report.file).copied().unwrap_or_default();
    CaptureRow {
        source: source.name.as_str().into(),
        path: shown(&report.path),
        content_hash: report.content_hash,
        format: report.format,
        bytes: report.bytes as i64,
        packets: accounts.packets() as i64,
        decoded: accounts.decoded as i64,
        undecoded: accounts.undecoded as i64,
        not_ip: accounts.not_ip as i64,
        fragments: accounts.fragments as i64,
        first_time: report.first_time,
        last_time: report.last_time,
        link_types: report.link_types.iter().map(|&link_type| link_type.into()).collect(),
        snaplen: report.snaplen.map(i64::from),
        complete: report.complete,
        error: report.error.map(|error| error.to_string()),
        truncated_packets: report.truncated_packets as i64,
        compression: (!report.packing.is_empty()).then(|| report.packing.join("/")),
        dropped_by_capture: report.dropped.map(|count| i64::try_from(count).unwrap_or(i64::MAX)),
        clock_steps: report.clock_steps as i64,
        duplicates: accounts.duplicates as i64,
    }
}
