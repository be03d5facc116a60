//! Captures for benches, built in memory: the same bytes in every run.
//!
//! Flows are TCP over IPv4, numbered: another number is another client. What a flow does is a script of segments; how many flows speak at the same
//! time is said by the bench.

// Each bench is a crate of its own and takes what it needs.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use etherparse::PacketBuilder;
use tamperscope::app::{Reading, tls};
use tamperscope::capture::{self, Round, SourceReader, SourceRules};
use tamperscope::packet::{self, Decoded, Packet};

/// The allocator of the binary, so that what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum From {
    Client,
    Server,
}

/// One segment of a script.
#[derive(Clone)]
pub struct Step {
    pub from: From,
    pub syn: bool,
    pub fin: bool,
    /// Bytes that the sender and the other side have sent before, SYN counted.
    pub sent: u32,
    pub heard: u32,
    pub payload: Vec<u8>,
}

/// Both directions of a connection, step by step.
#[derive(Default)]
pub struct Script {
    steps: Vec<Step>,
    client: u32,
    server: u32,
}

impl Script {
    /// SYN, SYN/ACK, ACK.
    pub fn handshake() -> Self {
        Self::default().segment(From::Client, true, false, &[]).segment(From::Server, true, false, &[]).ack(From::Client)
    }

    pub fn data(self, from: From, payload: &[u8]) -> Self {
        self.segment(from, false, false, payload)
    }

    pub fn ack(self, from: From) -> Self {
        self.segment(from, false, false, &[])
    }

    /// FIN both ways and the last ACK.
    pub fn close(self) -> Self {
        self.segment(From::Client, false, true, &[]).segment(From::Server, false, true, &[]).ack(From::Client)
    }

    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    fn segment(mut self, from: From, syn: bool, fin: bool, payload: &[u8]) -> Self {
        let (sent, heard) = if from == From::Client { (self.client, self.server) } else { (self.server, self.client) };
        self.steps.push(Step { from, syn, fin, sent, heard, payload: payload.to_vec() });
        let grown = payload.len() as u32 + u32::from(syn) + u32::from(fin);
        *(if from == From::Client { &mut self.client } else { &mut self.server }) += grown;
        self
    }
}

/// A hello, three kilobytes of answer, two short requests and answers: as most flows are.
pub fn common_flow() -> Script {
    let hello = client_hello();
    let answer = vec![0x17; 1_448];
    Script::handshake()
        .data(From::Client, &hello)
        .ack(From::Server)
        .data(From::Server, &answer)
        .data(From::Server, &answer)
        .ack(From::Client)
        .data(From::Client, &[0x17; 90])
        .data(From::Server, &[0x17; 700])
        .ack(From::Client)
        .data(From::Client, &[0x17; 60])
        .data(From::Server, &[0x17; 300])
        .ack(From::Client)
        .close()
}

/// A hello as a browser sends it, from the samples.
pub fn client_hello() -> Vec<u8> {
    let round = sample("allowed.pcap");
    let is_hello = |bytes: &&[u8]| matches!(tls::Reader::default().step(bytes).reading, Reading::Done(tls::Message::ClientHello(_)));
    let packets = packets(&round);
    let hello = packets.iter().map(|packet| packet.payload.of(&round.bytes)).find(is_hello);
    hello.expect("the sample has hellos").to_vec()
}

/// A pcap that grows by segments, one each microsecond.
pub struct Capture {
    pub bytes: Vec<u8>,
    pub packets: usize,
}

impl Default for Capture {
    fn default() -> Self {
        let mut bytes = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        Self { bytes, packets: 0 }
    }
}

impl Capture {
    /// `count` flows of one script, `together` of them open at the same time: their steps take turns.
    pub fn flows(mut self, script: &Script, count: u32, together: u32) -> Self {
        for first in (0..count).step_by(together as usize) {
            for step in script.steps() {
                (first..count.min(first + together)).for_each(|flow| self.push(flow, step));
            }
        }
        self
    }

    /// Flow 0 fetches without end while others come and go: it has nine of ten packets.
    pub fn elephant(mut self, script: &Script, others: u32) -> Self {
        let segment = vec![0x17; 1_448];
        Script::handshake().steps().iter().for_each(|step| self.push(0, step));
        let mut sent = 1_u32;
        for other in 1..=others {
            for step in script.steps() {
                self.push(other, step);
                for _ in 0..3 {
                    for payload in [&segment[..], &segment[..]] {
                        let step = Step { from: From::Server, syn: false, fin: false, sent, heard: 1, payload: payload.to_vec() };
                        self.push(0, &step);
                        sent = sent.wrapping_add(payload.len() as u32);
                    }
                    self.push(0, &Step { from: From::Client, syn: false, fin: false, sent: 1, heard: sent, payload: Vec::new() });
                }
            }
        }
        self
    }

    pub fn push(&mut self, flow: u32, step: &Step) {
        let [_, a, b, c] = flow.to_be_bytes();
        let (client, server) = (([10, a, b, c], 40_000), ([198, 18, 0, (flow % 200) as u8], 443));
        let (source, target, ttl) = if step.from == From::Client { (client, server, 61) } else { (server, client, 50) };
        let starts = [flow.wrapping_mul(0x9e37_79b1), flow.wrapping_mul(0x85eb_ca77)];
        let (own, other) = if step.from == From::Client { (starts[0], starts[1]) } else { (starts[1], starts[0]) };
        let mut tcp =
            PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(source.0, target.0, ttl).tcp(source.1, target.1, own.wrapping_add(step.sent), 502);
        if step.syn {
            tcp = tcp.syn();
        }
        if step.fin {
            tcp = tcp.fin();
        }
        if step.heard > 0 {
            tcp = tcp.ack(other.wrapping_add(step.heard));
        }
        self.record(tcp.size(step.payload.len()), |bytes| tcp.write(bytes, &step.payload).expect("memory takes it"));
    }

    fn record(&mut self, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let micros = self.packets as u32;
        for word in [1_700_000_000 + micros / 1_000_000, micros % 1_000_000, len as u32, len as u32] {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        write(&mut self.bytes);
        self.packets += 1;
    }

    /// The capture as a file in a folder.
    pub fn save(&self, folder: &Path) -> PathBuf {
        let path = folder.join("bench.pcap");
        std::fs::write(&path, &self.bytes).expect("the folder takes it");
        path
    }

    /// All records in one round.
    pub fn round(&self) -> Round {
        let folder = tempfile::tempdir().expect("a folder");
        round_of(&self.save(folder.path()))
    }
}

/// All records of a sample in one round.
pub fn sample(name: &str) -> Round {
    round_of(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples").join(name))
}

fn round_of(path: &Path) -> Round {
    let inventory = capture::find(&[path.to_path_buf()], &SourceRules::default(), Path::new("nowhere"));
    let mut round = Round::default();
    assert!(SourceReader::new(&inventory.sources[0], 1 << 30).fill(&mut round), "the capture has packets");
    round
}

pub fn packets(round: &Round) -> Vec<Packet> {
    let mut packets = Vec::with_capacity(round.records.len());
    let mut keep = |found| {
        if let Decoded::Packet(packet) = found {
            packets.push(packet);
        }
    };
    round.records.iter().for_each(|record| packet::decode(record, &round.bytes, &mut keep));
    packets
}
