//! Bytes read as the one file of a source.

use std::io::Cursor;
use std::path::Path;

use tamperscope::capture::{CaptureFile, FileReport, Opened, Record, Round, Source, SourceReader};
use tamperscope::model::{FileId, Timestamp};

/// A record with its bytes, wherever in a round they lay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub time: Timestamp,
    pub clock: Timestamp,
    pub number: u64,
    pub link_type: u16,
    pub interface: u16,
    pub captured: u32,
    pub original: u32,
    pub data: Vec<u8>,
}

/// All that was read of a file.
#[derive(Debug)]
pub struct Reading {
    pub records: Vec<Seen>,
    pub report: FileReport,
}

impl Reading {
    /// What is said of the file, with its error in words.
    pub fn says(&self) -> String {
        format!("{:?}", self.report)
    }
}

/// Reads bytes in rounds of about this size and holds what is true of any bytes: each record lies inside its round, records are numbered from 1, and
/// the report counts them.
pub fn read(bytes: &[u8], round_bytes: usize) -> Reading {
    let mut records = Vec::new();
    let report = read_with(bytes, round_bytes, |record, data| {
        let Record { time, clock, number, link_type, interface, captured, original, .. } = *record;
        records.push(Seen { time, clock, number: number.number(), link_type, interface, captured, original, data: data.to_vec() });
        true
    });
    Reading { records, report: report.expect("all of it was read") }
}

/// The same, with each record given away instead of kept; none once `give` has had enough.
pub fn read_with(bytes: &[u8], round_bytes: usize, mut give: impl FnMut(&Record, &[u8]) -> bool) -> Option<FileReport> {
    let source = Source { name: "fuzz".into(), files: vec![CaptureFile::at(FileId(0), Path::new("fuzz"))] };
    let content = bytes.to_vec();
    let mut reader = SourceReader::with(&source, round_bytes, Box::new(move |_| Ok(Box::new(Opened::of(Cursor::new(content.clone()))))));
    let (mut round, mut count) = (Round::default(), 0);
    while reader.fill(&mut round) {
        assert!(!round.records.is_empty(), "a round without records ends the source");
        for record in &round.records {
            count += 1;
            let data = round.packet(record);
            assert_eq!(data.len(), record.captured as usize, "a record lies inside its round");
            assert_eq!(record.number.number(), count, "records are numbered in their order");
            if !give(record, data) {
                return None;
            }
        }
    }
    assert!(!reader.fill(&mut round), "a source that has ended stays so");
    let mut reports = reader.take_reports();
    assert_eq!(reports.len(), 1, "one report for each file");
    let report = reports.remove(0);
    assert_eq!(report.packets, count, "the report counts the records");
    assert_eq!(report.complete, report.error.is_none(), "what is not complete has an error");
    assert_eq!(report.bytes, bytes.len() as u64, "every stored byte is read");
    Some(report)
}
