//! Where ended flows go: collected from all sources, written as sorted runs, and learnt from on the way.

use std::cmp::Ordering;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use rayon::prelude::*;

use crate::infer::{Case, Knowledge, Naming, OpenFlow, QuicFlow, Told};
use crate::model::rows::{DnsRow, FlowRow, ResetRow};
use crate::service::Catalog;
use crate::table::{
    Cases, Column, DNS, DNS_SPOOL, FLOWS, JUDGED_FROM, OpenFlows, Questions, RESETS, SEEN, SPOOL, Spool, TableError, added, spooled, with_told,
};

use super::conclude::Census;
use super::row::Made;
use super::runs::{RUN_ROWS, Runs};

/// The order of `flows`: a query for one service touches few row groups.
pub const FLOWS_KEY: &[&str] = &["service", "host", "start", "flow_id", "capture", "first_packet"];

/// The order of tables whose rows stand for packets.
pub const PACKET_KEY: &[&str] = &["time", "flow_id", "packet", "capture"];

fn dns_in_order(one: &DnsRow, other: &DnsRow) -> Ordering {
    let key = |row: &DnsRow| (row.time.as_micros(), row.flow_id, row.packet);
    key(one).cmp(&key(other)).then_with(|| one.capture.cmp(&other.capture))
}

fn resets_in_order(one: &ResetRow, other: &ResetRow) -> Ordering {
    let key = |row: &ResetRow| (row.time.as_micros(), row.flow_id, row.packet);
    key(one).cmp(&key(other)).then_with(|| one.capture.cmp(&other.capture))
}

/// The order of `flows`, of rows that are not columns yet.
fn in_order(one: &FlowRow, other: &FlowRow) -> Ordering {
    let key = |row: &FlowRow| (row.start.as_micros(), row.flow_id);
    nulls_last(one.service.as_deref(), other.service.as_deref())
        .then_with(|| nulls_last(one.host.as_deref(), other.host.as_deref()))
        .then_with(|| key(one).cmp(&key(other)))
        .then_with(|| (&one.capture, one.first_packet).cmp(&(&other.capture, other.first_packet)))
}

fn nulls_last(one: Option<&str>, other: Option<&str>) -> Ordering {
    one.is_none().cmp(&other.is_none()).then_with(|| one.cmp(&other))
}

/// Takes rows from any thread.
pub struct Sink {
    /// The columns of the spool, list by list.
    lists: Vec<&'static [Column<FlowRow>]>,
    schema: SchemaRef,
    spool: Spool,
    waiting: Mutex<Waiting>,
    dns: Runs<DnsRow>,
    resets: Runs<ResetRow>,
    learnt: Mutex<Learnt>,
}

/// Rows as shards gave them: they are large, so that moving them together would cost more than looking them up.
#[derive(Default)]
struct Waiting {
    groups: Vec<Vec<FlowRow>>,
    rows: usize,
}

/// The runs of every table, and what was learnt so far.
pub struct Ended {
    pub flows: Spool,
    pub dns: Spool,
    pub resets: Spool,
    pub learnt: Learnt,
}

/// What all rows together gave.
#[derive(Default)]
pub struct Learnt {
    pub knowledge: Knowledge,
    pub naming: Naming,
    pub census: Census,
    /// Flows that ended for want of memory.
    pub evicted: u64,
}

impl Sink {
    /// With the columns of `--splt`, or without them.
    pub fn new(folder: &Path, splt: bool) -> Self {
        let lists: Vec<_> = std::iter::once(FLOWS).chain(added(splt)).chain([JUDGED_FROM, SEEN, SPOOL]).collect();
        let fields: Vec<Field> = lists.iter().copied().flatten().map(Column::spooled_field).collect();
        let schema = Arc::new(Schema::new(fields));
        let spool = Spool::new("flows", folder, schema.clone(), FLOWS_KEY);
        Self {
            lists,
            schema,
            spool,
            waiting: Mutex::default(),
            dns: Runs::new("dns", folder, &[DNS, DNS_SPOOL], PACKET_KEY, dns_in_order),
            resets: Runs::new("resets", folder, &[RESETS], PACKET_KEY, resets_in_order),
            learnt: Mutex::default(),
        }
    }

    pub fn add(&self, Made { flows: rows, dns, resets }: Made) -> Result<(), TableError> {
        self.dns.add(dns)?;
        self.resets.add(resets)?;
        if rows.is_empty() {
            return Ok(());
        }
        let full = {
            let mut waiting = locked(&self.waiting);
            waiting.rows += rows.len();
            waiting.groups.push(rows);
            (waiting.rows >= RUN_ROWS).then(|| std::mem::take(&mut *waiting))
        };
        full.map_or(Ok(()), |full| self.write(&full))
    }

    pub fn note_evicted(&self, flows: u64) {
        locked(&self.learnt).evicted += flows;
    }

    /// Writes a run of rows that say all that can be known of them, and one of rows of which others may tell more.
    fn write(&self, waiting: &Waiting) -> Result<(), TableError> {
        let (mut open, mut known): (Vec<&FlowRow>, Vec<&FlowRow>) = waiting.groups.iter().flatten().partition(|row| row.notes.is_open);
        let batch = |rows: &[&FlowRow]| {
            let columns = self.lists.iter().flat_map(|list| spooled(list, rows)).collect();
            let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
            self.note(&batch, rows);
            Ok(batch)
        };
        if !known.is_empty() {
            known.sort_unstable_by(|one, other| in_order(one, other));
            self.spool.append(&known, batch)?;
        }
        if !open.is_empty() {
            open.sort_unstable_by(|one, other| in_order(one, other));
            let questions = open.iter().flat_map(|row| open_flow(row).questions()).collect();
            self.ask(&open);
            self.spool.append_open(&open, questions, batch)?;
        }
        Ok(())
    }

    /// Remembers what flows that go on would have to be told.
    fn ask(&self, open: &[&FlowRow]) {
        let mut learnt = locked(&self.learnt);
        open.iter().for_each(|row| learnt.naming.moves.ask(&open_flow(row).quic));
    }

    fn note(&self, batch: &RecordBatch, rows: &[&FlowRow]) {
        let mut learnt = locked(&self.learnt);
        each_case(batch, |case| learnt.knowledge.note(&case));
        rows.iter().for_each(|row| learnt.census.count(row.flow_id, row.volume.c2s.packets + row.volume.s2c.packets));
    }

    /// Writes what waits.
    pub fn finish(self) -> Result<Ended, TableError> {
        self.write(&std::mem::take(&mut *locked(&self.waiting)))?;
        let learnt = self.learnt.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        Ok(Ended { flows: self.spool, dns: self.dns.finish()?, resets: self.resets.finish()?, learnt })
    }
}

impl Learnt {
    /// Names the flows that do not say by themselves what they were for; answers of DNS are known.
    pub fn name(&mut self, flows: &Spool, catalog: &Catalog) -> Result<(), TableError> {
        let naming = Mutex::new(&mut self.naming);
        if locked(&naming).moves.are_asked() {
            flows.scan(OpenFlows::COLUMNS, |batch| each_open(batch, |flow| locked(&naming).moves.learn(&flow.quic)))?;
        }
        self.naming.moves.settle();
        let naming = &self.naming;
        let told = |batch: &RecordBatch| -> Vec<Told> {
            let Some(flows) = OpenFlows::new(batch) else { return Vec::new() };
            (0..batch.num_rows()).into_par_iter().map(|row| naming.tell(&flows.get(row), catalog)).collect()
        };
        let is_answered = |questions: &Questions| questions.iter().any(|&question| naming.answers(question));
        flows.revise(is_answered, |batch| with_told(batch, &told(batch)))
    }
}

/// What naming reads of a row.
fn open_flow(row: &FlowRow) -> OpenFlow<'_> {
    OpenFlow {
        client_ip: &row.client_ip,
        sni: row.hello.as_ref().and_then(|hello| hello.sni.as_deref()),
        ech_config: row.notes.ech_config.map(i64::from),
        quic: QuicFlow {
            source: &row.source,
            server_ip: &row.server_ip,
            server_port: row.server_port.unwrap_or(0),
            flow_id: row.flow_id,
            start: row.start.as_micros(),
            server_id: row.notes.quic_server_id.as_deref(),
            goes_on_with: row.notes.quic_goes_on_with.as_deref(),
            host: row.host.as_deref(),
        },
    }
}

fn each_open(batch: &RecordBatch, each: impl FnMut(OpenFlow<'_>)) {
    if let Some(flows) = OpenFlows::new(batch) {
        (0..batch.num_rows()).map(|row| flows.get(row)).for_each(each);
    }
}

pub fn each_case(batch: &RecordBatch, each: impl FnMut(Case<'_>)) {
    if let Some(cases) = Cases::new(batch) {
        (0..batch.num_rows()).map(|row| cases.get(row)).for_each(each);
    }
}

/// A thread that panicked has not left half a row behind: rows are moved whole.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
