//! What does the whole run cost, from a file to tables, and which shape of traffic costs most?
//!
//! `pipeline::Job` as the binary calls it: reading, decoding, flows, judgement, runs on disk, Parquet, on all cores (`RAYON_NUM_THREADS=1` tells what
//! more of them bring). The mix is many flows of a dozen packets. The elephant is one flow with nine of ten packets, which one shard must take alone.
//! The crowd is a million flows open at the same time, which no cache holds. Unit: packets and bytes per second.

mod traffic;

use std::path::PathBuf;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tamperscope::capture::SourceRules;
use tamperscope::flow::Timeouts;
use tamperscope::infer::Weights;
use tamperscope::pipeline::{Job, Settings};
use tamperscope::service::Catalog;
use traffic::{Capture, From, Script, common_flow};

fn main() {
    divan::main();
}

/// 340,000 packets, a thousand flows open at the same time.
#[divan::bench(sample_count = 5)]
fn mix(bencher: Bencher<'_, '_>) {
    run(bencher, &Capture::default().flows(&common_flow(), 20_000, 1_000), 20_000);
}

/// As many packets as in the mix, nine of ten of them in one flow.
#[divan::bench(sample_count = 5)]
fn elephant(bencher: Bencher<'_, '_>) {
    run(bencher, &Capture::default().elephant(&common_flow(), 2_000), 2_001);
}

/// Five packets of each of a million flows, all of them open until the end.
#[divan::bench(sample_count = 1)]
fn crowd(bencher: Bencher<'_, '_>) {
    let script = Script::handshake().data(From::Client, &[0x17; 90]).data(From::Server, &[0x17; 90]);
    run(bencher, &Capture::default().flows(&script, 1_000_000, 1_000_000), 1_000_000);
}

fn run(bencher: Bencher<'_, '_>, capture: &Capture, flows: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(capture.save(folder.path()), folder.path().join("tables"));
    bencher.counter(ItemsCount::new(capture.packets)).counter(BytesCount::new(capture.bytes.len())).bench_local(|| {
        let summary = Job::prepare(&settings).expect("a place").run(&|_, _| {}).expect("a run");
        assert_eq!((summary.packets, summary.flows), (capture.packets as u64, flows), "all is in the tables");
    });
}

fn settings(input: PathBuf, output: PathBuf) -> Settings {
    Settings {
        inputs: vec![input],
        output,
        force: true,
        temp_dir: None,
        rules: SourceRules::default(),
        timeouts: Timeouts::default(),
        round_bytes: None,
        max_memory: 8 << 30,
        catalog: Catalog::built_in().expect("the catalog"),
        networks: None,
        given: String::new(),
        weights: Weights::built_in().expect("the weights"),
        prior: 0.05,
        splt: 0,
    }
}
