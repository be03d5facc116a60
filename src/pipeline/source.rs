//! One source from its first record to its last.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::capture::{FileReport, Source, SourceReader};
use crate::model::rows::{CaptureRow, FlowRow};
use crate::model::{FileId, Timestamp};
use crate::packet::Fragments;
use crate::shard::{SHARDS, Shard};
use crate::table::TableError;

use super::ahead::{self, Places};
use super::decode::{Accounts, Decoded};
use super::row::Rows;
use super::sink::Sink;
use super::{OnRound, Settings, shown};

/// Shards that are emptied at a time at the end: their rows are written before the next are made.
const SHARDS_EMPTIED: usize = 8;

/// Reads a source, and gives its flows to the sink. What is wrong with a file stands in its row.
pub fn read(source: &Source, settings: &Settings, sink: &Sink, places: &Places, on_round: OnRound<'_>) -> Result<Vec<CaptureRow>, TableError> {
    let mut reader = SourceReader::with(source, settings.round_bytes, ahead::opener(source, places));
    let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::new(settings.timeouts)).collect();
    let mut rows = Rows::new(source, &settings.catalog);
    let (mut now, mut next) = (Decoded::default(), Decoded::default());
    let (mut accounts, mut end) = (BTreeMap::<FileId, Accounts>::new(), End::default());

    let mut fragments = Fragments::default();
    let mut more = now.fill(&mut reader, &mut fragments);
    while more {
        rows.know_interfaces(reader.interfaces());
        rows.know_gaps(reader.gaps());
        let read_ahead = || next.fill(&mut reader, &mut fragments); // 1 records found, 2 decoded on all cores, fragments joined
        let update = || {
            let ended = update(&mut shards, &now, &rows); // 3 no lock: a shard owns its flows
            sink.add(ended) // 4 rows on their way to the table
        };
        let (more_to_come, added) = rayon::join(read_ahead, update);
        added?;
        let duplicates = shards.iter_mut().map(Shard::take_duplicates).sum();
        *accounts.entry(now.round.file).or_default() += Accounts { duplicates, ..now.accounts };
        end.note(&now);
        on_round(now.bytes(), now.round.records.len() as u64);
        std::mem::swap(&mut now, &mut next);
        more = more_to_come;
    }
    rows.know_gaps(reader.gaps());
    let mut made = Vec::new();
    while !shards.is_empty() || !made.is_empty() {
        let emptied: Vec<Shard> = shards.drain(..SHARDS_EMPTIED.min(shards.len())).collect();
        let rows_of = |shard: Shard| rows.of(shard.finish(end.clock, end.time));
        let (next, added) = rayon::join(|| emptied.into_par_iter().map(rows_of).collect(), || sink.add(std::mem::take(&mut made)));
        added?;
        made = next;
    }
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

fn update(shards: &mut [Shard], decoded: &Decoded, rows: &Rows<'_>) -> Vec<Vec<FlowRow>> {
    let each = |(index, shard): (usize, &mut Shard)| {
        decoded.packets_of(index).for_each(|packet| shard.update(packet, &decoded.round.bytes));
        rows.of(shard.take_ended())
    };
    shards.par_iter_mut().enumerate().map(each).collect()
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
