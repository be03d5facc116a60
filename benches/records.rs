//! What does it cost to find the records in the bytes of a file?
//!
//! A round after another is filled from a file in the page cache, on one thread: reading, the hash of the content and the checks that a record makes
//! sense are in it; decoding is not. Unit: records and bytes per second. Beside a pcap the same packets as gzip and zstd hold them, since there the
//! decompressor is what counts, and rounds of several sizes, since a round that fits the cache costs least.

mod traffic;

use std::io::Write;
use std::path::Path;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tamperscope::capture::{self, Round, SourceReader, SourceRules};
use tamperscope::pipeline::ROUND_BYTES;
use traffic::{Capture, common_flow};

const FLOWS: u32 = 10_000;

fn main() {
    divan::main();
}

/// A pcap with rounds of so many KiB.
#[divan::bench(args = [256, 1_024, 8_192, 65_536], sample_count = 20)]
fn of_a_pcap_by_kib_of_a_round(bencher: Bencher<'_, '_>, kib: usize) {
    read(bencher, "bench.pcap", kib * 1_024, <[u8]>::to_vec);
}

#[divan::bench(sample_count = 5)]
fn of_a_gzip(bencher: Bencher<'_, '_>) {
    read(bencher, "bench.pcap.gz", ROUND_BYTES, |bytes| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).expect("memory takes it");
        packer.finish().expect("memory takes it")
    });
}

#[divan::bench(sample_count = 5)]
fn of_a_zstd(bencher: Bencher<'_, '_>) {
    read(bencher, "bench.pcap.zst", ROUND_BYTES, |bytes| zstd::encode_all(bytes, 1).expect("memory takes it"));
}

fn read(bencher: Bencher<'_, '_>, name: &str, round_bytes: usize, pack: impl Fn(&[u8]) -> Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = Capture::default().flows(&common_flow(), FLOWS, 1_000);
    let path = folder.path().join(name);
    std::fs::write(&path, pack(&capture.bytes)).expect("the folder takes it");
    let inventory = capture::find(&[path], &SourceRules::default(), Path::new("nowhere"));
    let mut round = Round::default();
    bencher.counter(ItemsCount::new(capture.packets)).counter(BytesCount::new(capture.bytes.len())).bench_local(|| {
        let mut reader = SourceReader::new(&inventory.sources[0], round_bytes);
        let mut records = 0;
        while reader.fill(&mut round) {
            records += round.records.len();
        }
        assert_eq!(records, capture.packets, "all records are found");
    });
}
