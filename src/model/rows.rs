//! The rows of the tables: what is measured of a flow, what is concluded from it, findings, captures.
//!
//! Units stand in the names; `None` means "not observed".

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::words::*;
use super::{Direction, PerDirection, Timestamp};

/// What was measured of one flow, before any comparison with others.
#[derive(Clone, Debug)]
pub struct FlowRow {
    pub source: Arc<str>,
    pub flow_id: i64,
    pub community_id: String,
    pub capture: Arc<str>,
    pub first_packet: i64,
    pub interface: Option<Arc<str>>,
    pub start: Timestamp,
    pub end: Timestamp,
    pub end_reason: EndReason,
    /// The flow that a timeout or want of memory cut off, and that this one goes on with.
    pub continues: Option<i64>,

    pub ip_version: i32,
    pub protocol: Transport,
    pub client_ip: String,
    pub client_port: Option<i32>,
    pub server_ip: String,
    pub server_port: Option<i32>,
    pub orientation: Orientation,
    pub vlan: Option<i32>,
    /// The tunnels around the first packet, outermost first.
    pub tunnel: Option<String>,

    pub service: Option<Arc<str>>,
    pub role: Option<Role>,
    pub host: Option<String>,
    pub host_source: Option<HostSource>,
    pub app_protocol: Option<AppProtocol>,

    pub hello: Option<Box<HelloRow>>,
    pub tls_version: Option<String>,
    pub server_hello_ms: Option<f64>,
    pub tls_alert: Option<i32>,
    pub client_network: Option<Arc<str>>,
    pub server_asn: Option<i64>,
    pub server: ServerRow,
    pub http: Option<Box<HttpRow>>,
    pub quic: Option<Box<QuicRow>>,
    pub stun_realm: Option<String>,

    pub volume: PerDirection<VolumeRow>,
    pub times: TimesRow,
    pub splt: SpltRow,
    pub tcp: Option<TcpRow>,
    /// Of the client's first payload.
    pub first_payload_fate: Option<PayloadFate>,
    pub icmp: Option<IcmpRow>,
    pub quality: Vec<Gate>,
    /// What only the last step needs.
    pub notes: Notes,
}

/// A flow that two captures hold, or that only one of them holds and should not.
#[derive(Clone, Debug)]
pub struct ComparedRow {
    /// As the client's capture has it; as the server's where only that holds it.
    pub flow: FlowRow,
    pub client_flow_id: Option<i64>,
    pub server_flow_id: Option<i64>,
    /// Address and port of the client as the server sees them.
    pub translated: Option<(String, Option<i32>)>,
    pub counts: PerDirection<FateCounts>,
    pub verdict: Verdict,
    pub mechanism: Option<Mechanism>,
    pub drop_direction: Option<Way>,
    pub certainty: Option<Certainty>,
    pub evidence: Vec<String>,
}

/// Packets of one direction by what became of them; what was sent is all but what was injected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FateCounts {
    pub sent: i64,
    pub delivered: i64,
    pub dropped: i64,
    pub injected: i64,
    pub rewritten: i64,
    pub delayed: i64,
    /// Of which nothing can be said.
    pub unjudged: i64,
}

/// What became of one packet, as one of the two captures holds it.
#[derive(Clone, Debug)]
pub struct FateRow {
    pub flow_id: i64,
    pub capture: Arc<str>,
    pub packet: i64,
    pub time: Timestamp,
    pub direction: Direction,
    pub fate: Fate,
    /// The same packet in the other capture.
    pub peer: Option<(Arc<str>, i64)>,
    pub delay_ms: Option<f64>,
}

/// A ClientHello.
#[derive(Clone, Debug)]
pub struct HelloRow {
    pub sni: Option<String>,
    pub alpn: Option<String>,
    pub bytes: i64,
    pub segments: i64,
    pub at_ms: f64,
    /// As far as the hello alone tells.
    pub ech: Ech,
    pub ja3: Option<String>,
    pub ja4: Option<String>,
    /// Versions, groups and key shares offered, by their numbers.
    pub versions: Vec<i32>,
    pub groups: Vec<i32>,
    pub key_shares: Vec<i32>,
}

/// What the server answered to a ClientHello.
#[derive(Clone, Debug, Default)]
pub struct ServerRow {
    pub cipher: Option<String>,
    pub ja3s: Option<String>,
    /// It asked for another hello first.
    pub retried: Option<bool>,
    pub resumed: Option<bool>,
    pub certificate: Option<Box<CertificateRow>>,
}

/// The certificate of a server, in clear up to TLS 1.2.
#[derive(Clone, Debug)]
pub struct CertificateRow {
    pub subject: String,
    pub issuer: String,
    pub sans: Vec<String>,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
}

/// The first request of HTTP in clear text, and its answer.
#[derive(Clone, Debug, Default)]
pub struct HttpRow {
    pub host: Option<String>,
    pub status: Option<i32>,
    pub location: Option<String>,
    pub server: Option<String>,
    pub title: Option<String>,
}

/// What QUIC shows of itself.
#[derive(Clone, Debug, Default)]
pub struct QuicRow {
    pub version: Option<String>,
    /// Versions that the server offered instead.
    pub versions_offered: Vec<String>,
    pub retried: bool,
    pub transport_parameters: Option<String>,
    pub close_code: Option<i64>,
}

/// One RST, held against the state of its connection at that point.
#[derive(Clone, Debug)]
pub struct ResetRow {
    pub source: Arc<str>,
    pub flow_id: i64,
    pub capture: Arc<str>,
    pub packet: i64,
    pub time: Timestamp,
    pub direction: Way,
    /// Among the resets of its direction, from 1.
    pub index: i64,
    pub stage: Option<Stage>,
    /// Letters of the flags, in the order of the header.
    pub flags: String,
    pub has_ack: bool,
    pub window: i32,
    pub ttl: i32,
    pub ttl_delta: Option<i32>,
    pub ip_id: Option<i32>,
    pub ip_id_delta: Option<i32>,
    pub sender_ip_ids: Option<IpIdCourse>,
    pub dont_fragment: bool,
    pub has_options: bool,
    pub timestamp_delta: Option<i64>,
    pub payload_bytes: i64,
    pub form: RstForm,
    pub closing: bool,
    pub seq_offset: Option<i64>,
    pub ack_offset: Option<i64>,
    pub peer_ack_offset: Option<i64>,
    pub after_start_ms: f64,
    pub after_client_hello_ms: Option<f64>,
    pub after_request_ms: Option<f64>,
    pub after_request_round_trips: Option<f64>,
    pub idle_ms: f64,
    pub impossible_early: Option<bool>,
    pub previous: Option<PreviousReset>,
    pub new_bytes_after: i64,
    pub data_after_ms: Option<f64>,
    pub syn_ack_after_ms: Option<f64>,
    pub ack_after_ms: Option<f64>,
    pub challenge_ack_after: bool,
    pub weaver: WeaverTests,
    pub pattern: Option<ResetPattern>,
}

/// The step from the reset of the same direction before it.
#[derive(Clone, Copy, Debug)]
pub struct PreviousReset {
    pub ms: f64,
    pub seq: i64,
    pub ack: i64,
    pub ttl: i32,
    pub window: i32,
    pub ip_id: Option<i32>,
}

/// Weaver, Sommer, Paxson, "Detecting Forged TCP Reset Packets", NDSS 2009.
#[derive(Clone, Copy, Debug)]
pub struct WeaverTests {
    pub rst_seq_data: bool,
    pub data_seq_rst: bool,
    pub rst_seq_change: bool,
    pub rst_ack_change: bool,
    pub rst_ack_zero: bool,
    pub syn_rst: bool,
}

/// The first reset of a direction, as `flows` tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FirstReset {
    /// After the start of the flow.
    pub ms: f64,
    pub ttl: i32,
    pub ttl_delta: Option<i32>,
    pub ip_id_delta: Option<i32>,
    pub seq_offset: Option<i64>,
    pub window: i32,
    pub has_ack: bool,
    pub has_options: bool,
    pub new_bytes_after: i64,
}

/// One DNS transaction: a query with all its answers, or an answer whose query is not in the capture.
#[derive(Clone, Debug)]
pub struct DnsRow {
    pub source: Arc<str>,
    pub flow_id: i64,
    pub capture: Arc<str>,
    pub packet: i64,
    pub time: Timestamp,
    pub client_ip: String,
    pub resolver_ip: String,
    pub transport: DnsTransport,
    pub id: i32,
    pub qname: String,
    pub qtype: String,
    /// Of the first response, as are the next three.
    pub rcode: Option<String>,
    pub answers: Vec<String>,
    pub cnames: Vec<String>,
    pub min_ttl_s: Option<i64>,
    pub latency_ms: Option<f64>,
    /// Of the first response: it was cut (TC), and its extended errors.
    pub truncated: Option<bool>,
    pub extended_errors: Vec<i32>,
    pub query_count: i64,
    pub response_count: i64,
    pub responses: Responses,
    pub conflicting: bool,
    pub service: Option<Arc<str>>,
    /// Names and configurations learnt from all responses.
    pub learnt: DnsLearnt,
}

/// The first 16 responses of a transaction, in their order.
#[derive(Clone, Debug, Default)]
pub struct Responses {
    /// Code and answers.
    pub says: Vec<String>,
    pub captures: Vec<Arc<str>>,
    pub packets: Vec<i64>,
    pub ms: Vec<f64>,
}

/// What the client may act on.
#[derive(Clone, Debug, Default)]
pub struct DnsLearnt {
    pub addresses: Vec<String>,
    /// Public names of ECH configurations and their ids.
    pub ech_names: Vec<String>,
    pub ech_ids: Vec<i32>,
    pub answered_https: bool,
}

/// Sizes and times of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct VolumeRow {
    pub packets: i64,
    pub bytes: i64,
    pub payload_bytes: i64,
    /// Packets with payload, and how it is distributed over them.
    pub payload_packets: i64,
    pub payload: Option<DistributionRow>,
    pub iat_ms: Option<DistributionRow>,
    pub first_ms: Option<f64>,
    pub last_ms: Option<f64>,
    pub goodput_kbps: Option<f64>,
    pub duplicates: i64,
    /// Of TCP only.
    pub flags: Option<FlagRow>,
    pub bursts: BurstRow,
}

impl VolumeRow {
    /// So many over all bursts, per burst.
    pub fn per_burst(&self, sum: i64) -> Option<f64> {
        self.of_bursts(sum).map(|sum| sum as f64 / self.bursts.count as f64)
    }

    /// None where there is no burst.
    pub fn of_bursts(&self, value: i64) -> Option<i64> {
        (self.bursts.count > 0).then_some(value)
    }
}

/// Mean, standard deviation (of the population), extremes and quartiles.
#[derive(Clone, Copy, Debug, Default)]
pub struct DistributionRow {
    pub mean: f64,
    pub std: f64,
    pub min: f64,
    pub q1: f64,
    pub median: f64,
    pub q3: f64,
    pub max: f64,
}

/// Packets with a flag.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlagRow {
    pub ack: i64,
    pub urg: i64,
    pub ece: i64,
    pub cwr: i64,
}

/// Payload packets in a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct BurstRow {
    pub count: i64,
    pub packets_max: i64,
    pub bytes_max: i64,
}

/// Times between the packets of a flow, whoever sent them, and its active and idle times.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimesRow {
    pub iat_ms: Option<SpreadRow>,
    pub active_count: i64,
    pub active_ms: SpreadRow,
    pub idle_count: i64,
    pub idle_ms: Option<SpreadRow>,
}

/// Mean, standard deviation (of the population) and extremes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpreadRow {
    pub mean: f64,
    pub std: f64,
    pub min: f64,
    pub max: f64,
}

/// The first packets with payload: its length, negative from the server, and their times after `start`. Empty unless asked for.
#[derive(Clone, Debug, Default)]
pub struct SpltRow {
    pub payload: Vec<i64>,
    pub ms: Vec<f64>,
}

/// TCP of a flow.
#[derive(Clone, Debug)]
pub struct TcpRow {
    pub state: TcpState,
    pub history: String,
    pub sides: PerDirection<TcpSideRow>,
    /// Names of the options of each end's SYN.
    pub syn_options: PerDirection<Option<String>>,
    pub handshake: bool,
    pub syn_count: i64,
    pub synack_count: i64,
    pub syn_span_ms: Option<f64>,
    pub syn_rtt_ms: Option<f64>,
    pub ack_rtt_ms: Option<f64>,
    pub mss: Option<i32>,
    pub ttfb_ms: Option<f64>,
    pub rst_direction: Option<Way>,
    pub client_hello_retransmits: Option<i64>,
    pub client_hello_acked: Option<bool>,
    pub s2c_bytes_after_client_hello: Option<i64>,
    pub outstanding: Outstanding,
    pub silence_ms: Option<f64>,
    pub stage: Option<Stage>,
    /// Payload that came from the server before it fell silent: bytes and packets.
    pub stalled_after: Option<(i64, i64)>,
    pub signatures: PerDirection<Option<String>>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct TcpSideRow {
    pub syn: i64,
    pub fin: i64,
    pub rst: i64,
    pub psh: i64,
    pub retransmits: i64,
    pub out_of_order: i64,
    pub zero_window: i64,
    pub ttl_min: Option<i32>,
    pub ttl_max: Option<i32>,
    pub ack_of_unseen_bytes: i64,
    pub spurious_retransmits: i64,
    pub dup_acks: i64,
    pub keep_alives: i64,
    pub window_probes: i64,
    pub round_trips: RoundTripsRow,
    pub ttl_initial: Option<i32>,
    pub hops: Option<i32>,
    pub ip_ids: Option<IpIdCourse>,
    pub mss: Option<i32>,
    pub window_scale: Option<i32>,
}

/// Round trips from one end's payload to its acknowledgement.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundTripsRow {
    pub count: i64,
    pub min_ms: Option<f64>,
    pub mean_ms: Option<f64>,
    pub max_ms: Option<f64>,
}

/// The ICMP error that quoted the flow, or the message of an ICMP flow itself.
#[derive(Clone, Debug)]
pub struct IcmpRow {
    pub kind: i32,
    pub code: i32,
    pub from: String,
}

/// What only the last step of judgement needs.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// Whether application data went both ways.
    pub exchanged: bool,
    /// Whether an answer was owed and enough tries and time were given for it.
    pub answer_owed: bool,
    /// When the request was sent and until when its answer was waited for: where it was sent again, until the last time.
    pub waited: Option<(Timestamp, Timestamp)>,
    /// [`Observed`] as JSON, where there is anything in it; and its packets and sentences ([`Seen`]), where there are any.
    pub observed: Option<String>,
    pub seen: Option<String>,
    /// The id in an ECH extension.
    pub ech_config: Option<i32>,
    /// QUIC's connection id that the server chose, hexadecimal.
    pub quic_server_id: Option<String>,
    /// Of a flow of QUIC that begins without a handshake: the bytes where the id stands in the client's first packet, hexadecimal.
    pub quic_goes_on_with: Option<String>,
    /// Whether answers of DNS or other flows may still tell the host, or more than is known of it.
    pub is_open: bool,
}

/// What a flow's own packets say about interference.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    pub found: Vec<FoundNote>,
    /// Words of [`Benign`].
    pub benign: Vec<String>,
    /// The first reset from client to server, and from server to client.
    #[serde(default)]
    pub first_resets: [Option<FirstReset>; 2],
    /// The direction whose packets are proven to be lost, where there is proof.
    #[serde(default)]
    pub lost: Option<String>,
}

/// What a detector found, without what it is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundNote {
    pub detector: String,
    pub items: Vec<ItemNote>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemNote {
    pub id: String,
    pub mechanism: String,
    /// Microseconds.
    pub time: i64,
    pub unless: String,
    /// How many packets show it.
    pub packets: usize,
    /// The packets themselves, and the sentence that names them: they stand apart, since they depend on how a capture was cut into files.
    #[serde(skip)]
    pub seen: SeenItem,
}

/// The packets that show an item, by file (its path) and number, and the sentence that names them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeenItem {
    pub packets: Vec<(Arc<str>, i64)>,
    pub says: String,
}

/// What one detector saw, in the order of its items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub detector: String,
    pub items: Vec<SeenItem>,
}

impl Observed {
    /// The packets and sentences of all items.
    pub fn seen(&self) -> Vec<Seen> {
        let of = |found: &FoundNote| Seen { detector: found.detector.clone(), items: found.items.iter().map(|item| item.seen.clone()).collect() };
        self.found.iter().map(of).collect()
    }

    /// Puts packets and sentences back.
    pub fn see(&mut self, seen: Vec<Seen>) {
        for one in seen {
            if let Some(found) = self.found.iter_mut().find(|found| found.detector == one.detector) {
                found.items.iter_mut().zip(one.items).for_each(|(item, seen)| item.seen = seen);
            }
        }
    }
}

/// What is concluded for one flow.
#[derive(Clone, Debug)]
pub struct Judgement {
    pub vantage: Vantage,
    pub outcome: Outcome,
    pub verdict: Verdict,
    pub mechanism: Option<Mechanism>,
    pub drop_direction: Option<Way>,
    pub trigger: Option<Trigger>,
    pub score: f64,
    pub flow_confidence: f64,
    pub confidence: f64,
    pub certainty: Option<Certainty>,
    pub evidence: Vec<String>,
    pub alternative: Option<String>,
    /// The first reset that the vantage's own side did not send.
    pub reset: Option<FirstReset>,
}

/// One detector that fired on one flow.
#[derive(Clone, Debug)]
pub struct FindingRow {
    pub source: Arc<str>,
    pub flow_id: i64,
    pub detector: String,
    pub verdict: Verdict,
    pub mechanism: Mechanism,
    pub score: f64,
    pub confidence: f64,
    pub certainty: Certainty,
    pub items: Vec<String>,
    pub item_scores: Vec<f64>,
    pub packets: Vec<i64>,
    pub packet_captures: Vec<String>,
    pub time: Timestamp,
    pub evidence: Vec<String>,
}

/// One matched comparison: how often a target failed beside controls that share all but one thing with it.
#[derive(Clone, Debug)]
pub struct ContrastRow {
    pub client_network: Arc<str>,
    pub server_ip: Arc<str>,
    pub server_port: i32,
    pub transport: Transport,
    /// None: the flows have no name, or no connection came about.
    pub host: Option<Arc<str>>,
    pub set: ContrastSet,
    pub buckets: i64,
    pub failures: i64,
    pub control_buckets: i64,
    pub control_failures: i64,
    pub risk_difference: f64,
    pub risk_difference_low: f64,
    pub risk_difference_high: f64,
    pub p_value: f64,
    pub q_value: f64,
    pub clients: i64,
    pub strata: i64,
    pub left_out_residual: i64,
    pub left_out_quality: i64,
    pub changed_at: Option<Timestamp>,
}

/// What became of all flows to one host at one server from one client network.
#[derive(Clone, Debug)]
pub struct TargetRow {
    pub service: Option<String>,
    pub host: Option<String>,
    pub server_ip: Option<String>,
    pub transport: Option<Transport>,
    pub client_network: Option<String>,
    pub attempts: i64,
    pub worked: i64,
    pub interfered: i64,
    pub unreachable: i64,
    pub unknown: i64,
    pub unknown_why: Vec<String>,
    pub buckets: i64,
    pub blocked_buckets: i64,
    pub block_rate: Option<f64>,
    pub block_rate_interval: Option<(f64, f64)>,
    pub verdict: Verdict,
    pub trigger: Option<Trigger>,
    pub control: Option<ContrastSet>,
    pub p_value: Option<f64>,
    pub q_value: Option<f64>,
    /// Starts of the first and the last flow.
    pub seen: Option<(Timestamp, Timestamp)>,
    pub changed_at: Option<Timestamp>,
}

/// One file that was read.
#[derive(Clone, Debug)]
pub struct CaptureRow {
    pub source: Arc<str>,
    pub path: Arc<str>,
    pub content_hash: Option<String>,
    pub format: Option<&'static str>,
    pub bytes: i64,
    pub packets: i64,
    pub decoded: i64,
    pub undecoded: i64,
    pub not_ip: i64,
    pub fragments: i64,
    pub first_time: Option<Timestamp>,
    pub last_time: Option<Timestamp>,
    pub link_types: Vec<i32>,
    pub snaplen: Option<i64>,
    pub complete: bool,
    pub error: Option<String>,
    pub truncated_packets: i64,
    pub compression: Option<String>,
    pub dropped_by_capture: Option<i64>,
    pub clock_steps: i64,
    pub duplicates: i64,
}
