//! What the tests share: the built binary, the samples, tables as rows, captures made and cut, chance from a seed.

#![allow(dead_code, reason = "no test uses all of it")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use arrow::array::{Array, AsArray, RecordBatch, RecordBatchReader};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn sample(name: &str) -> PathBuf {
    root().join("samples").join(name)
}

/// The captures among the samples, by name.
pub fn samples() -> Vec<PathBuf> {
    captures_in(&root().join("samples"))
}

/// Files of a folder that end like captures, by name.
pub fn captures_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let is_capture = |path: &PathBuf| path.extension().and_then(OsStr::to_str).is_some_and(|end| matches!(end, "pcap" | "pcapng" | "cap" | "dmp"));
    let mut files: Vec<_> = entries.filter(is_capture).collect();
    files.sort();
    files
}

/// Says past the test harness, which shows nothing of a test that passed, what was not tested.
pub fn skipped(what: &str) {
    writeln!(std::io::stderr(), "\nskipped: {what}").expect("standard error is open");
}

// The binary.

/// What a finished command left behind.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The same run, once it is known to have read everything.
    #[track_caller]
    pub fn whole(self) -> Self {
        assert_eq!(self.code, Some(0), "stderr: {}", self.err);
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).expect("standard output is JSON")
    }
}

/// The built binary in the root of the checkout, so that samples are named as a user would name them.
pub fn tamperscope() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamperscope"));
    command.current_dir(root()).stdin(Stdio::null());
    command
}

pub fn analyze(inputs: &[&Path], output: &Path) -> Command {
    let mut command = tamperscope();
    command.arg("analyze").args(inputs).arg("-o").arg(output);
    command
}

pub fn run(command: &mut Command) -> Ran {
    ran(command.output().expect("the binary starts"))
}

pub fn run_with_input(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    child.stdin.take().expect("piped").write_all(input).expect("the binary reads all of it");
    ran(child.wait_with_output().expect("it ends"))
}

fn ran(output: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The tables of one run, in a folder that goes away.
pub struct Tables {
    _place: tempfile::TempDir,
    pub folder: PathBuf,
}

impl Tables {
    /// Of a run that read everything.
    #[track_caller]
    pub fn of(inputs: &[&Path]) -> Self {
        Self::with(inputs, &[])
    }

    #[track_caller]
    pub fn with(inputs: &[&Path], options: &[&str]) -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("out");
        run(analyze(inputs, &folder).args(options)).whole();
        Self { _place: place, folder }
    }

    pub fn rows(&self, table: &str) -> Vec<Row> {
        rows(&self.folder, table)
    }

    /// The Parquet files by name, byte for byte.
    pub fn bytes(&self) -> BTreeMap<String, Vec<u8>> {
        let names = names_in(&self.folder).into_iter().filter(|name| name.ends_with(".parquet"));
        names.map(|name| (name.clone(), fs::read(self.folder.join(name)).expect("readable"))).collect()
    }
}

/// Names in a folder, sorted; hidden ones too.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

// Tables as rows.

/// One row: values by column. Times are microseconds.
pub type Row = BTreeMap<String, Value>;

pub fn rows(folder: &Path, table: &str) -> Vec<Row> {
    let (schema, batches) = batches(folder, table);
    into_rows(&schema, &batches)
}

/// Rows of some columns only, where a table is large.
pub fn rows_of(folder: &Path, table: &str, columns: &[&str]) -> Vec<Row> {
    let builder = parquet_file(folder, table);
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let reader = builder.with_projection(mask).build().expect("a reader");
    let schema = reader.schema();
    into_rows(&schema, &reader.map(|batch| batch.expect("rows")).collect::<Vec<_>>())
}

fn into_rows(schema: &SchemaRef, batches: &[RecordBatch]) -> Vec<Row> {
    let row = |batch: &RecordBatch, at: usize| {
        let cells = schema.fields().iter().zip(batch.columns());
        cells.map(|(field, column)| (field.name().clone(), value(column, at))).collect()
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|at| row(batch, at)).collect::<Vec<Row>>()).collect()
}

pub fn batches(folder: &Path, table: &str) -> (SchemaRef, Vec<RecordBatch>) {
    let builder = parquet_file(folder, table);
    let schema = builder.schema().clone();
    let batches = builder.build().expect("a reader").map(|batch| batch.expect("rows")).collect();
    (schema, batches)
}

pub fn parquet_file(folder: &Path, table: &str) -> ParquetRecordBatchReaderBuilder<File> {
    let file = File::open(folder.join(format!("{table}.parquet"))).expect("the table is there");
    ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file")
}

fn value(column: &dyn Array, at: usize) -> Value {
    if column.is_null(at) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Int64 => column.as_primitive::<Int64Type>().value(at).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(at).into(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(at).into(),
        DataType::Boolean => column.as_boolean().value(at).into(),
        DataType::Timestamp(..) => column.as_primitive::<TimestampMicrosecondType>().value(at).into(),
        DataType::Utf8 => column.as_string::<i32>().value(at).into(),
        DataType::Dictionary(..) => {
            let words = column.as_dictionary::<Int32Type>();
            words.values().as_string::<i32>().value(words.keys().value(at) as usize).into()
        }
        DataType::List(_) => {
            let list = column.as_list::<i32>().value(at);
            (0..list.len()).map(|at| value(&list, at)).collect::<Vec<_>>().into()
        }
        other => panic!("the contract has no type {other}"),
    }
}

pub fn text<'a>(row: &'a Row, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_default()
}

#[track_caller]
pub fn number(row: &Row, column: &str) -> i64 {
    row[column].as_i64().unwrap_or_else(|| panic!("{column} is no number: {}", row[column]))
}

/// The rows without some of their columns.
pub fn without(rows: Vec<Row>, columns: &[&str]) -> Vec<Row> {
    rows.into_iter().map(|row| row.into_iter().filter(|(name, _)| !columns.contains(&name.as_str())).collect()).collect()
}

/// Rows that must be the same, compared one by one so that a failure shows the column.
#[track_caller]
pub fn assert_same_rows(one: &[Row], other: &[Row]) {
    for (position, (one, other)) in one.iter().zip(other).enumerate() {
        let differs = one.iter().filter(|(name, value)| other.get(*name) != Some(value));
        let differs: Vec<_> = differs.map(|(name, value)| format!("{name}: {value} / {}", other.get(name).unwrap_or(&Value::Null))).collect();
        assert!(differs.is_empty() && one.len() == other.len(), "row {position} differs: {differs:#?}");
    }
    assert_eq!(one.len(), other.len(), "as many rows");
}

// Captures.

/// A little-endian pcap as its header and its records.
#[derive(Clone)]
pub struct Pcap {
    header: Vec<u8>,
    pub records: Vec<Vec<u8>>,
}

const FILE_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;

impl Pcap {
    /// Ethernet, microseconds.
    pub fn new() -> Self {
        let words = [0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 65_535, 1_u32];
        Self { header: words.map(u32::to_le_bytes).concat(), records: Vec::new() }
    }

    pub fn read(path: &Path) -> Self {
        let bytes = fs::read(path).expect("a capture");
        let (header, mut rest) = bytes.split_at(FILE_HEADER_BYTES);
        assert_eq!(header[..4], [0xd4, 0xc3, 0xb2, 0xa1], "{}: a pcap of microseconds, little-endian", path.display());
        let mut records = Vec::new();
        while !rest.is_empty() {
            let length = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
            let (record, after) = rest.split_at(RECORD_HEADER_BYTES + length);
            records.push(record.to_vec());
            rest = after;
        }
        Self { header: header.to_vec(), records }
    }

    pub fn packet(mut self, micros: u64, bytes: &[u8]) -> Self {
        let words = [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, bytes.len() as u32, bytes.len() as u32];
        self.records.push([&words.map(u32::to_le_bytes).concat(), bytes].concat());
        self
    }

    /// The packet of a 1-based number, from its link layer on.
    pub fn frame(&self, number: i64) -> &[u8] {
        &self.records[number as usize - 1][RECORD_HEADER_BYTES..]
    }

    pub fn micros(record: &[u8]) -> u64 {
        let word = |at: usize| u64::from(u32::from_le_bytes(record[at..at + 4].try_into().expect("four bytes")));
        word(0) * 1_000_000 + word(4)
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.part(0..self.records.len())
    }

    /// A file with some of the records.
    pub fn part(&self, records: Range<usize>) -> Vec<u8> {
        [self.header.clone(), self.records[records].concat()].concat()
    }

    /// The packets of several captures in the order of their times.
    pub fn merged(captures: &[Self]) -> Self {
        let mut records: Vec<_> = captures.iter().flat_map(|capture| capture.records.clone()).collect();
        records.sort_by_key(|record| Self::micros(record));
        Self { header: captures[0].header.clone(), records }
    }
}

/// An exchange of a client with a server: handshake, a request and its answer, both close. Ten packets over 300 ms.
pub fn exchange(client_port: u16) -> Pcap {
    const CLIENT: [u8; 4] = [192, 0, 2, 10];
    const SERVER: [u8; 4] = [198, 51, 100, 10];
    const FIRST: u64 = 1_700_000_000_000_000;
    let packet = |from_client: bool, seq: u32, flags: &str, ack: u32, payload: &[u8]| {
        let (source, destination) = if from_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let (from, to) = if from_client { (client_port, 443) } else { (443, client_port) };
        let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(source, destination, 64);
        let mut builder = builder.tcp(from, to, seq, 64_240);
        for flag in flags.chars() {
            builder = match flag {
                'S' => builder.syn(),
                'F' => builder.fin(),
                'P' => builder.psh(),
                _ => builder.ack(ack),
            };
        }
        let mut bytes = Vec::new();
        builder.write(&mut bytes, payload).expect("it fits a packet");
        bytes
    };
    let (request, answer) = (&[b'q'; 200][..], &[b'a'; 900][..]);
    let packets = [
        packet(true, 1_000, "S", 0, b""),
        packet(false, 9_000, "SA", 1_001, b""),
        packet(true, 1_001, "A", 9_001, b""),
        packet(true, 1_001, "PA", 9_001, request),
        packet(false, 9_001, "A", 1_201, b""),
        packet(false, 9_001, "PA", 1_201, answer),
        packet(true, 1_201, "A", 9_901, b""),
        packet(true, 1_201, "FA", 9_901, b""),
        packet(false, 9_901, "FA", 1_202, b""),
        packet(true, 1_202, "A", 9_902, b""),
    ];
    packets.iter().zip(0..).fold(Pcap::new(), |capture, (bytes, at)| capture.packet(FIRST + at * 33_000, bytes))
}

// Chance.

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the same numbers on every machine.
pub struct Chance(u64);

impl Chance {
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

// Snapshots.

/// Compares with a file under `tests/snapshots`, or writes it where `UPDATE_SNAPSHOTS` is set.
#[track_caller]
pub fn assert_snapshot(name: &str, now: &str) {
    let path = root().join("tests/snapshots").join(name);
    if updates_snapshots() {
        return fs::write(&path, now).expect("the snapshot can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let differs: Vec<_> = diff(&kept, now);
    assert!(kept == now, "{name} is not what it was (UPDATE_SNAPSHOTS=1 takes over the new one):\n{}", differs.join("\n"));
}

pub fn updates_snapshots() -> bool {
    std::env::var_os("UPDATE_SNAPSHOTS").is_some_and(|value| value == "1")
}

/// Lines of one text only, `-` before those that are gone and `+` before new ones.
fn diff(kept: &str, now: &str) -> Vec<String> {
    let only = |one: &str, other: &str, sign: char| {
        one.lines().filter(|line| !other.lines().any(|there| there == *line)).map(|line| format!("{sign} {line}")).collect::<Vec<_>>()
    };
    [only(kept, now, '-'), only(now, kept, '+')].concat()
}
