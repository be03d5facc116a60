//! What does a packet cost on its way from the bytes of a record to its flow, and a flow from there to the table?
//!
//! One bench for each step, single-threaded, so that a change shows in the step that it slows. Kept out: reading files, finding records, sorting and
//! merging runs, judgement, the disk. Unit: records, packets or rows per second; the bytes of the sample are the same in every run.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tamperscope::capture::{self, Round, SourceReader, SourceRules};
use tamperscope::flow::Timeouts;
use tamperscope::model::rows::{
    BurstRow, DistributionRow, FlagRow, FlowRow, Notes, ServerRow, SpltRow, SpreadRow, TcpRow, TcpSideRow, TimesRow, VolumeRow,
};
use tamperscope::model::words::*;
use tamperscope::model::{PerDirection, Timestamp};
use tamperscope::packet::{self, Decoded, Packet};
use tamperscope::shard::Shard;
use tamperscope::table::{self, Column, FLOWS, TableWriter};

fn main() {
    divan::main();
}

/// All records of a sample in one round.
fn round(name: &str) -> Round {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples").join(name);
    let inventory = capture::find(&[path], &SourceRules::default(), Path::new("nowhere"));
    let mut round = Round::default();
    assert!(SourceReader::new(&inventory.sources[0], 64 * 1024 * 1024).fill(&mut round), "the sample has packets");
    round
}

fn packets(round: &Round) -> Vec<Packet> {
    let mut packets = Vec::new();
    let mut keep = |found| {
        if let Decoded::Packet(packet) = found {
            packets.push(packet);
        }
    };
    round.records.iter().for_each(|record| packet::decode(record, &round.bytes, &mut keep));
    packets
}

/// From the bytes of a record to a packet with its key and hash. Unit: records/s.
#[divan::bench(args = ["allowed.pcap", "reset-v6.pcap", "any.pcap"])]
fn decode_records(bencher: Bencher<'_, '_>, sample: &str) {
    let round = round(sample);
    let bytes: u64 = round.records.iter().map(|record| u64::from(record.captured)).sum();
    bencher.counter(ItemsCount::new(round.records.len())).counter(BytesCount::new(bytes)).bench_local(|| {
        for record in &round.records {
            packet::decode(black_box(record), &round.bytes, |found| {
                black_box(found);
            });
        }
    });
}

/// From a packet to its updated flow, heads of streams read on the way, flows that end given out. Unit: packets/s, by flows alive at once.
#[divan::bench(args = [1, 64, 4_096])]
fn update_flows(bencher: Bencher<'_, '_>, copies: u16) {
    let round = round("allowed.pcap");
    let packets = packets(&round);
    // Copies of the same flows on interfaces of their own: other keys, the same course.
    let copied: Vec<Packet> = packets.iter().flat_map(|packet| (0..copies).map(|copy| on_interface(packet, copy))).collect();
    bencher.counter(ItemsCount::new(copied.len())).with_inputs(|| Shard::new(Timeouts::default(), usize::MAX)).bench_local_values(|mut shard| {
        copied.iter().for_each(|packet| shard.update(packet, &round.bytes));
        shard
    });
}

fn on_interface(packet: &Packet, interface: u16) -> Packet {
    let mut packet = packet.clone();
    packet.key.interface = interface;
    packet.hash ^= u64::from(interface).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    packet
}

const ROWS: usize = 8_192;

/// From rows to Arrow columns. Unit: rows/s.
#[divan::bench]
fn make_columns(bencher: Bencher<'_, '_>) {
    let rows: Vec<FlowRow> = (0..ROWS).map(row).collect();
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| table::batch(FLOWS, black_box(&rows)));
}

/// From Arrow columns to compressed Parquet, bloom filters and statistics included; it goes to a file in memory where the folder for temporary
/// files is one. Unit: rows/s.
#[divan::bench(sample_count = 20)]
fn write_rows(bencher: Bencher<'_, '_>) {
    let rows: Vec<FlowRow> = (0..ROWS).map(row).collect();
    let schema = Arc::new(arrow::datatypes::Schema::new(FLOWS.iter().map(Column::field).collect::<Vec<_>>()));
    let columns = table::batch(FLOWS, &rows);
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("flows.parquet");
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| {
        let mut writer = TableWriter::create("flows", &path, schema.clone()).expect("a new file");
        writer.write_columns(columns.clone()).expect("written");
        writer.finish().expect("closed");
    });
}

fn distribution(mean: f64, max: f64) -> DistributionRow {
    DistributionRow { mean, std: mean * 0.4, min: 1.0, q1: mean * 0.5, median: mean * 0.9, q3: mean * 1.2, max }
}

/// A flow as many are: TLS to one of some hundred hosts, with numbers that differ from row to row.
fn row(index: usize) -> FlowRow {
    let number = index as i64;
    let spread = index as f64 * 0.37;
    let volume = |scale: i64| VolumeRow {
        packets: 10 + number % 90,
        bytes: scale * (4_000 + number * 7 % 60_000),
        payload_bytes: scale * (3_000 + number * 5 % 50_000),
        payload_packets: 5 + number % 70,
        payload: Some(distribution(512.0 + spread, 1_448.0)),
        iat_ms: Some(distribution(12.5 + spread, 900.0 + spread)),
        first_ms: Some(0.0),
        last_ms: Some(1_000.0 + spread),
        goodput_kbps: Some(800.0 + spread),
        duplicates: 0,
        flags: Some(FlagRow { ack: 9 + number % 90, ..FlagRow::default() }),
        bursts: BurstRow { count: 2 + number % 9, packets_max: 3 + number % 20, bytes_max: 2_000 + number * 3 % 20_000 },
    };
    let times = SpreadRow { mean: 7.5 + spread, std: 30.25 + spread, min: 0.01, max: 800.0 + spread };
    let side = TcpSideRow { syn: 1, fin: 1, psh: 3 + number % 7, ttl_min: Some(52), ttl_max: Some(52), ..TcpSideRow::default() };
    let start = 1_700_000_000_000_000_000 + number * 3_141_592;
    FlowRow {
        source: "probe".into(),
        flow_id: (number + 1).wrapping_mul(0x1e37_79b9_7f4a_7c15) & i64::MAX,
        community_id: format!("1:{:027}=", number * 7_919),
        capture: "captures/probe.pcap".into(),
        first_packet: number * 40 + 1,
        interface: None,
        start: Timestamp(start),
        end: Timestamp(start + 1_000_000_000),
        end_reason: EndReason::Fin,
        continues: None,
        ip_version: 4,
        protocol: Transport::Tcp,
        client_ip: format!("192.0.2.{}", number % 250),
        client_port: Some(32_768 + (number % 28_000) as i32),
        server_ip: format!("198.51.100.{}", number % 100),
        server_port: Some(443),
        orientation: Orientation::Syn,
        vlan: None,
        tunnel: None,
        service: Some("whatsapp".into()),
        role: Some(Role::Chat),
        host: Some(format!("host{}.example.org", number % 300)),
        host_source: Some(HostSource::TlsSni),
        app_protocol: Some(AppProtocol::Tls),
        hello: None,
        tls_version: Some("1.3".into()),
        server_hello_ms: Some(60.0 + spread),
        tls_alert: None,
        client_network: Some("probe".into()),
        server_asn: None,
        server: ServerRow { cipher: Some("0x1301".into()), retried: Some(false), resumed: Some(false), ..ServerRow::default() },
        http: None,
        quic: None,
        stun_realm: None,
        volume: PerDirection { c2s: volume(1), s2c: volume(9) },
        times: TimesRow { iat_ms: Some(times), active_count: 1, active_ms: SpreadRow { std: 0.0, ..times }, idle_count: 0, idle_ms: None },
        splt: SpltRow::default(),
        tcp: Some(TcpRow {
            state: TcpState::Sf,
            history: "ShADadFf".into(),
            sides: PerDirection { c2s: side, s2c: side },
            syn_options: PerDirection { c2s: Some("mss,sok,ts,nop,ws".into()), s2c: Some("mss,nop,nop,sok,nop,ws".into()) },
            handshake: true,
            syn_count: 1,
            synack_count: 1,
            syn_span_ms: Some(0.0),
            syn_rtt_ms: Some(40.0 + spread),
            ack_rtt_ms: Some(0.1),
            mss: Some(1_460),
            ttfb_ms: Some(55.0 + spread),
            rst_direction: None,
            client_hello_retransmits: Some(0),
            client_hello_acked: Some(true),
            s2c_bytes_after_client_hello: Some(4_000),
            outstanding: Outstanding::Nothing,
            silence_ms: None,
            stage: Some(Stage::Later),
            stalled_after: None,
            signatures: PerDirection { c2s: None, s2c: None },
        }),
        first_payload_fate: Some(PayloadFate::Answered),
        icmp: None,
        quality: Vec::new(),
        notes: Notes::default(),
    }
}
