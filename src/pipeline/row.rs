//! From a conversation to its row: every room asked once.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::app::tls;
use crate::capture::{Gap, Interface, Source};
use crate::detect::features::TcpView;
use crate::detect::{self, Evidence, Found};
use crate::flow::{Distribution, Features, Flow, Samples, Spread, Tcp, TcpSide, Volume};
use crate::model::rows::*;
use crate::model::words::*;
use crate::model::{Direction, FileId, FlowKey, PerDirection, Protocol, SeqNumber, Side, Span, Timestamp};
use crate::service::Catalog;
use crate::shard::{Conversation, Facts};

use super::shown;

/// SYNs over less time than this may still be answered (7 s hold the SYNs that Linux sends at 0, 1, 3 and 7 s: RFC 6298 section 2).
const SYN_PATIENCE: Span = Span::from_secs(7);
const SYN_TRIES: u32 = 3;
/// A request is overdue after this (by design).
const REQUEST_PATIENCE: Span = Span::from_secs(10);
/// Datagrams of one side without an answer: fewer are no test (by design: three tries over 3 s).
const DATAGRAM_TRIES: u64 = 3;
const DATAGRAM_PATIENCE: Span = Span::from_secs(3);

/// Makes rows of one source.
pub struct Rows<'a> {
    source: Arc<str>,
    paths: HashMap<FileId, Arc<str>>,
    /// Name of the interface, and of the source that it is: the first interface is the source itself.
    interfaces: Vec<(Option<Arc<str>>, Arc<str>)>,
    gaps: Vec<Gap>,
    catalog: &'a Catalog,
}

impl<'a> Rows<'a> {
    pub fn new(source: &Source, catalog: &'a Catalog) -> Self {
        Self {
            source: source.name.as_str().into(),
            paths: source.files.iter().map(|file| (file.id, shown(&file.path))).collect(),
            interfaces: Vec::new(),
            gaps: Vec::new(),
            catalog,
        }
    }

    pub fn know_interfaces(&mut self, interfaces: &[Interface]) {
        for (index, interface) in interfaces.iter().enumerate().skip(self.interfaces.len()) {
            let name: Option<Arc<str>> = interface.name.as_deref().map(Into::into);
            let source = match (index, &name) {
                (0, _) => self.source.clone(),
                (_, Some(name)) => format!("{}#{index}:{name}", self.source).into(),
                (_, None) => format!("{}#{index}", self.source).into(),
            };
            self.interfaces.push((name, source));
        }
    }

    /// Damage is met before the flows end that it may have taken packets from.
    pub fn know_gaps(&mut self, gaps: &[Gap]) {
        if self.gaps != gaps {
            self.gaps = gaps.to_vec();
        }
    }

    pub fn of(&self, mut ended: Vec<Conversation>) -> Vec<FlowRow> {
        for conversation in &mut ended {
            self.gaps.iter().for_each(|gap| conversation.note_gap(gap));
            if has_ports(conversation.flow.key.protocol) {
                conversation.orient_by(|address| self.catalog.knows(address));
            }
        }
        ended.iter().map(|conversation| self.row(conversation)).collect()
    }

    fn row(&self, conversation: &Conversation) -> FlowRow {
        let Conversation { flow, client, .. } = conversation;
        let (client, server) = (*client, client.opposite());
        let (interface, source) = self.interfaces.get(flow.key.interface as usize).cloned().unwrap_or((None, self.source.clone()));
        let view = detect::view(conversation);
        let facts = conversation.facts.as_deref();
        let features = flow.features();
        let hello = facts.and_then(|facts| facts.client_hello.as_ref()).map(|(_, hello)| hello);
        let server_hello = facts.and_then(|facts| facts.server_hello.as_ref()).map(|(_, hello)| hello);
        let since_start = |time: Timestamp| (time - flow.start).as_ms();
        let named = self.catalog.name(conversation.sni(), flow.key.ip(server));
        let port = |side| has_ports(flow.key.protocol).then(|| i32::from(flow.key.port(side)));
        FlowRow {
            flow_id: flow_id(&source, &flow.key, flow.start, flow.first_seq()),
            continues: conversation.forerunner.as_ref().map(|before| flow_id(&source, &flow.key, before.start, Some(before.first_seq))),
            community_id: community_id(&flow.key, flow.first_sender),
            source,
            capture: self.path(flow.first_packet.file()),
            first_packet: flow.first_packet.number() as i64,
            interface,
            start: flow.start,
            end: flow.end(),
            end_reason: conversation.end_reason,
            ip_version: flow.key.ip_version.into(),
            protocol: transport(flow.key.protocol),
            client_ip: flow.key.ip(client).to_string(),
            client_port: port(client),
            server_ip: flow.key.ip(server).to_string(),
            server_port: port(server),
            orientation: conversation.orientation,
            vlan: flow.vlan().map(i32::from),
            tunnel: flow.tunnel().map(|path| path.to_string()),
            service: named.membership.as_ref().map(|member| member.service.clone()),
            role: named.membership.as_ref().map(|member| member.role),
            host: named.host,
            host_source: named.host_source,
            app_protocol: facts.is_some_and(is_tls).then_some(AppProtocol::Tls),
            hello: hello.map(|hello| HelloRow {
                sni: hello.fact.sni.clone(),
                alpn: (!hello.fact.alpn.is_empty()).then(|| hello.fact.alpn.join(",")),
                bytes: hello.fact.message_bytes.into(),
                segments: hello.segments.into(),
                at_ms: since_start(hello.time),
            }),
            tls_version: server_hello.map(|hello| tls::version_name(hello.fact.version)),
            server_hello_ms: server_hello.map(|hello| since_start(hello.time)),
            tls_alert: facts.and_then(|facts| facts.alert.as_ref()).map(|(_, alert)| alert.fact.description.into()),
            volume: volume(flow, &features, client),
            times: times_row(flow, &features),
            splt: splt_row(flow, client),
            tcp: view.as_ref().map(tcp_row),
            icmp: icmp_row(flow),
            quality: quality(view.as_ref(), conversation),
            notes: self.notes(conversation, view.as_ref()),
        }
    }

    fn path(&self, file: FileId) -> Arc<str> {
        self.paths.get(&file).cloned().unwrap_or_else(|| "".into())
    }

    fn notes(&self, conversation: &Conversation, view: Option<&TcpView<'_>>) -> Notes {
        let Some(view) = view else {
            let volume = &conversation.flow.volume;
            let exchanged = volume.0.iter().all(|volume| volume.packets > 0);
            return Notes { exchanged, answer_owed: owes_datagram(conversation), ..Notes::default() };
        };
        let observed = detect::observe(view);
        let waited = view.request.as_ref().map(|request| match (&view.silence, request.answer) {
            (Some(silence), _) if !observed.found.is_empty() => (silence.since.as_micros(), (silence.since + silence.watched).as_micros()),
            (_, Some((answered, _))) => (request.time.as_micros(), answered.as_micros()),
            _ => (request.time.as_micros(), conversation.flow.end().as_micros()),
        });
        let found = observed.found.iter().map(|found| self.found_note(found)).collect();
        let observed = Observed { found, benign: observed.benign.iter().map(|cause| cause.word().into()).collect() };
        Notes {
            exchanged: view.exchange_went_through(),
            answer_owed: owes_answer(view),
            waited,
            observed: (observed != Observed::default()).then(|| serde_json::to_string(&observed).unwrap_or_default()),
        }
    }

    fn found_note(&self, found: &Found) -> FoundNote {
        FoundNote { detector: found.detector.name.into(), items: found.items.iter().map(|item| self.item_note(item)).collect() }
    }

    fn item_note(&self, item: &Evidence) -> ItemNote {
        ItemNote {
            id: item.id.into(),
            mechanism: item.mechanism.word().into(),
            time: item.time.as_micros(),
            packets: item.packets.iter().map(|packet| (self.path(packet.file()), packet.number() as i64)).collect(),
            says: item.says.clone(),
            unless: item.unless.into(),
        }
    }
}

fn is_tls(facts: &Facts) -> bool {
    facts.tls.0.iter().any(|&tls| tls)
}

fn transport(protocol: Protocol) -> Transport {
    match protocol {
        Protocol::TCP => Transport::Tcp,
        Protocol::UDP => Transport::Udp,
        Protocol::ICMP | Protocol::ICMP6 => Transport::Icmp,
        Protocol::SCTP => Transport::Sctp,
        _ => Transport::Other,
    }
}

fn has_ports(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::TCP | Protocol::UDP | Protocol::SCTP)
}

/// 63 bits over source, key, start and first sequence number.
fn flow_id(source: &str, key: &FlowKey, start: Timestamp, first_seq: Option<SeqNumber>) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(source.as_bytes()).update(&[0]).update(&key.low.0).update(&key.high.0);
    hasher.update(&key.low_port.to_be_bytes()).update(&key.high_port.to_be_bytes()).update(&[key.protocol.0]);
    hasher.update(&start.0.to_be_bytes()).update(&first_seq.map_or(0, |seq| seq.0).to_be_bytes());
    if key.tunnel != 0 {
        hasher.update(&key.tunnel.to_be_bytes());
    }
    let hash = hasher.finalize();
    let bytes = hash.as_bytes().first_chunk().copied().unwrap_or_default();
    i64::from_be_bytes(bytes) & i64::MAX
}

/// Community ID v1 with seed 0 (<https://github.com/corelight/community-id-spec>).
fn community_id(key: &FlowKey, first_sender: Side) -> String {
    let end = |side| (address_bytes(key, side), key.port(side));
    let (one, other) = (end(first_sender), end(first_sender.opposite()));
    // One-way ICMP messages keep their direction, all else is ordered.
    let (one, other) = if one <= other || is_one_way_icmp(key, first_sender) { (one, other) } else { (other, one) };
    let mut hasher = Sha1::new();
    hasher.update([0, 0]);
    hasher.update(&one.0);
    hasher.update(&other.0);
    hasher.update([key.protocol.0, 0]);
    if has_ports(key.protocol) || matches!(key.protocol, Protocol::ICMP | Protocol::ICMP6) {
        hasher.update(one.1.to_be_bytes());
        hasher.update(other.1.to_be_bytes());
    }
    format!("1:{}", STANDARD.encode(hasher.finalize()))
}

fn address_bytes(key: &FlowKey, side: Side) -> Vec<u8> {
    let address = key.address(side);
    if key.ip_version == 4 { address.0[12..].to_vec() } else { address.0.to_vec() }
}

/// Types without a counterpart: then the second "port" is a code.
fn is_one_way_icmp(key: &FlowKey, first_sender: Side) -> bool {
    let kind = key.port(first_sender);
    match key.protocol {
        Protocol::ICMP => !matches!(kind, 0 | 8..=10 | 13..=18),
        Protocol::ICMP6 => !matches!(kind, 128..=131 | 133..=136 | 139 | 140 | 144 | 145),
        _ => false,
    }
}

fn volume(flow: &Flow, features: &Features, client: Side) -> PerDirection<VolumeRow> {
    PerDirection { c2s: volume_row(flow, features, client), s2c: volume_row(flow, features, client.opposite()) }
}

fn volume_row(flow: &Flow, features: &Features, side: Side) -> VolumeRow {
    let volume = &flow.volume[side];
    let new_bytes = flow.tcp.as_ref().map_or(volume.payload_bytes, |tcp| tcp.sides[side].new_payload_bytes);
    let seen = volume.packets > 0;
    let span = volume.last - volume.first;
    VolumeRow {
        packets: volume.packets as i64,
        bytes: volume.bytes as i64,
        payload_bytes: volume.payload_bytes as i64,
        payload_packets: volume.payload_packets.into(),
        payload: features.payloads(flow, side).map(distribution_row),
        iat_ms: features.gaps_ms(side).map(distribution_row),
        first_ms: seen.then(|| (volume.first - flow.start).as_ms()),
        last_ms: seen.then(|| (volume.last - flow.start).as_ms()),
        goodput_kbps: (new_bytes > 0 && span > Span::ZERO).then(|| new_bytes as f64 * 8.0 / 1_000.0 / span.as_secs()),
        duplicates: volume.duplicates.into(),
        flags: flow.tcp.as_ref().map(|_| flag_row(features, side)),
        bursts: burst_row(features, side),
    }
}

fn distribution_row(Distribution { spread, quartiles: [q1, median, q3] }: Distribution) -> DistributionRow {
    let Spread { mean, std, min, max } = spread;
    DistributionRow { mean, std, min, q1, median, q3, max }
}

fn flag_row(features: &Features, side: Side) -> FlagRow {
    let flags = features.flags(side);
    FlagRow { ack: flags.ack.into(), urg: flags.urg.into(), ece: flags.ece.into(), cwr: flags.cwr.into() }
}

fn burst_row(features: &Features, side: Side) -> BurstRow {
    let bursts = features.bursts(side);
    BurstRow { count: bursts.count.into(), packets_max: bursts.packets_max.into(), bytes_max: bursts.bytes_max as i64 }
}

fn times_row(flow: &Flow, features: &Features) -> TimesRow {
    let row = |Spread { mean, std, min, max }: Spread| SpreadRow { mean, std, min, max };
    let [(active_count, active), (idle_count, idle)] = features.periods_ms(flow);
    TimesRow {
        iat_ms: features.all_gaps_ms().map(row),
        active_count: active_count as i64,
        active_ms: active.map(row).unwrap_or_default(),
        idle_count: idle_count as i64,
        idle_ms: idle.map(row),
    }
}

fn splt_row(flow: &Flow, client: Side) -> SpltRow {
    let packets = flow.splt().iter();
    SpltRow {
        payload: packets.clone().map(|packet| i64::from(packet.payload) * if packet.sender == client { 1 } else { -1 }).collect(),
        ms: packets.map(|packet| (packet.time - flow.start).as_ms()).collect(),
    }
}

fn tcp_row(view: &TcpView<'_>) -> TcpRow {
    let (tcp, client) = (view.tcp, view.client());
    let handshake = &tcp.handshake;
    let request = view.request.as_ref();
    let hello = request.filter(|request| request.is_hello);
    let side = |side: Side| side_row(tcp, &view.conversation.flow.volume[side], side);
    let syn_span = handshake.syn.zip(handshake.last_syn).map(|((first, _), last)| (last - first).as_ms());
    TcpRow {
        state: tcp.state(client),
        history: tcp.history(client),
        sides: PerDirection { c2s: side(client), s2c: side(client.opposite()) },
        syn_options: PerDirection { c2s: syn_options(&tcp.sides[client]), s2c: syn_options(&tcp.sides[client.opposite()]) },
        handshake: handshake.syn.is_some() && handshake.syn_ack.is_some() && handshake.ack.is_some(),
        syn_count: handshake.syn_count.into(),
        synack_count: handshake.syn_ack_count.into(),
        syn_span_ms: syn_span,
        syn_rtt_ms: handshake.syn_rtt().map(Span::as_ms),
        ack_rtt_ms: handshake.ack_rtt().map(Span::as_ms),
        mss: tcp.sides.0.iter().filter_map(|side| side.options.mss).min().map(i32::from),
        ttfb_ms: request.and_then(|request| Some((request.answer?.0 - request.time).as_ms())),
        rst_direction: rst_direction(tcp, client),
        first_payload_fate: request.map_or(PayloadFate::NoPayload, |request| request.fate),
        client_hello_retransmits: hello.map(|hello| hello.repeats.len() as i64),
        client_hello_acked: hello.map(|hello| hello.acked.is_some()),
        s2c_bytes_after_client_hello: hello.map(|_| tcp.sides[client.opposite()].new_payload_bytes as i64),
        outstanding: view.silence.as_ref().map_or(Outstanding::Nothing, |silence| silence.owed),
        silence_ms: view.silence.as_ref().map(|silence| silence.watched.as_ms()),
        stage: stage(tcp, client),
    }
}

fn side_row(tcp: &Tcp, volume: &Volume, side: Side) -> TcpSideRow {
    let counters = &tcp.sides[side];
    let ttl = |ttl: u8| (volume.packets > 0).then_some(i32::from(ttl));
    TcpSideRow {
        syn: counters.syn.into(),
        fin: counters.fin.into(),
        rst: counters.rst.into(),
        psh: counters.psh.into(),
        retransmits: counters.retransmits.into(),
        out_of_order: counters.out_of_order.into(),
        zero_window: counters.zero_window.into(),
        ttl_min: ttl(volume.ttl_min),
        ttl_max: ttl(volume.ttl_max),
        ack_of_unseen_bytes: counters.unseen_bytes as i64,
        spurious_retransmits: counters.spurious_retransmits().into(),
        dup_acks: counters.dup_acks.into(),
        keep_alives: counters.keep_alives().into(),
        window_probes: counters.window_probes().into(),
        round_trips: round_trips(&counters.round_trips()),
        ttl_initial: ttl(initial_ttl(volume.ttl_max)),
        hops: ttl(initial_ttl(volume.ttl_max) - volume.ttl_max),
        ip_ids: counters.ip_ids(),
        mss: counters.options.mss.map(i32::from),
        window_scale: counters.options.window_scale.map(i32::from),
    }
}

fn round_trips(samples: &Samples) -> RoundTripsRow {
    let measured = |span: Span| (samples.count > 0).then(|| span.as_ms());
    RoundTripsRow { count: samples.count.into(), min_ms: measured(samples.min), mean_ms: samples.mean_ms(), max_ms: measured(samples.max) }
}

fn syn_options(side: &TcpSide) -> Option<String> {
    (side.syn > 0).then(|| side.options.to_string())
}

/// What stacks begin with (RFC 1700 recommends 64; p0f's table of fingerprints knows these four).
fn initial_ttl(seen: u8) -> u8 {
    [32, 64, 128].into_iter().find(|initial| seen <= *initial).unwrap_or(255)
}

fn rst_direction(tcp: &Tcp, client: Side) -> Option<Way> {
    match (tcp.sides[client].rst > 0, tcp.sides[client.opposite()].rst > 0) {
        (true, true) => Some(Way::Both),
        (true, false) => Some(Way::C2s),
        (false, true) => Some(Way::S2c),
        (false, false) => None,
    }
}

/// By the client's packets, as the paper takes them.
fn stage(tcp: &Tcp, client: Side) -> Option<Stage> {
    tcp.handshake.syn?;
    Some(match tcp.sides[client].new_payload_packets {
        0 if tcp.handshake.ack.is_none() => Stage::PostSyn,
        0 => Stage::PostAck,
        1 => Stage::PostPsh,
        _ => Stage::Later,
    })
}

fn icmp_row(flow: &Flow) -> Option<IcmpRow> {
    if matches!(flow.key.protocol, Protocol::ICMP | Protocol::ICMP6) {
        let (sender, answerer) = (flow.first_sender, flow.first_sender.opposite());
        let code = if is_one_way_icmp(&flow.key, sender) { flow.key.port(answerer) } else { 0 };
        return Some(IcmpRow { kind: flow.key.port(sender).into(), code: code.into(), from: flow.key.ip(sender).to_string() });
    }
    flow.icmp_error().map(|(error, _)| IcmpRow { kind: error.kind.into(), code: error.code.into(), from: error.from.to_string() })
}

/// The gates of the flow, whether the capture ended too soon behind the silence, and whether packets of the flow were captured twice.
fn quality(view: Option<&TcpView<'_>>, conversation: &Conversation) -> Vec<Gate> {
    let mut gates = view.map_or_else(Vec::new, |view| view.gates.clone());
    let ends_early = |view: &TcpView<'_>| is_early_request(view) || is_early_syn(view, conversation);
    let ended_early = matches!(conversation.end_reason, EndReason::CaptureEnd | EndReason::Evicted) || conversation.cut_by_gap;
    if ended_early && view.is_some_and(ends_early) {
        gates.push(Gate::TruncatedEnd);
    }
    if conversation.flow.volume.0.iter().any(|volume| volume.duplicates > 0) {
        gates.push(Gate::Dup);
    }
    gates
}

fn is_early_request(view: &TcpView<'_>) -> bool {
    view.silence.as_ref().is_some_and(|silence| silence.gave_up.is_none() && silence.watched < REQUEST_PATIENCE && silence.repeats.len() < 3)
}

fn is_early_syn(view: &TcpView<'_>, conversation: &Conversation) -> bool {
    let handshake = &view.tcp.handshake;
    handshake.syn_ack.is_none() && handshake.syn.is_some_and(|(first, _)| conversation.watched_until - first < SYN_PATIENCE)
}

/// Whether the client asked in earnest: SYNs over some time, or a request that was waited for.
fn owes_answer(view: &TcpView<'_>) -> bool {
    let handshake = &view.tcp.handshake;
    let refused = view.resets.first().is_some_and(|reset| reset.direction == Direction::ServerToClient);
    match (&view.request, handshake.syn.zip(handshake.last_syn)) {
        (Some(_), _) => view.silence.as_ref().is_none_or(|silence| silence.watched >= REQUEST_PATIENCE || silence.repeats.len() >= 3),
        (None, Some(((first, _), last))) if handshake.syn_ack.is_none() => {
            refused || (handshake.syn_count >= SYN_TRIES && last - first >= Span(SYN_PATIENCE.0 / 3))
        }
        _ => false,
    }
}

/// Whether datagrams to one machine went unanswered often and long enough.
fn owes_datagram(conversation: &Conversation) -> bool {
    let flow = &conversation.flow;
    let (asked, answered) = (&flow.volume[conversation.client], &flow.volume[conversation.client.opposite()]);
    let server = flow.key.ip(conversation.client.opposite());
    let one_machine =
        !server.is_multicast() && !matches!(server, std::net::IpAddr::V4(address) if address.is_broadcast() || address.octets()[3] == 255);
    let in_earnest = asked.originals() >= DATAGRAM_TRIES && asked.last - asked.first >= DATAGRAM_PATIENCE;
    flow.key.protocol == Protocol::UDP && one_machine && answered.packets == 0 && in_earnest && !conversation.has_gap
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Address;

    /// The id of a flow whose first packet went from one end to the other; the ends of ICMP have type and counterpart for ports.
    fn id(protocol: Protocol, source: (&str, u16), destination: (&str, u16)) -> String {
        let address = |text: &str| match text.parse().expect("an address") {
            std::net::IpAddr::V4(address) => (Address::v4(address.octets()), 4),
            std::net::IpAddr::V6(address) => (Address::v6(address.octets()), 6),
        };
        let ((from, version), (to, _)) = (address(source.0), address(destination.0));
        let (key, sender) = FlowKey::new(protocol, version, 0, (from, source.1), (to, destination.1));
        community_id(&key, sender)
    }

    /// The published test vectors (<https://github.com/corelight/community-id-spec>), seed 0.
    #[test]
    fn flows_have_the_community_id_that_other_tools_give_them() {
        let tcp = (("128.232.110.120", 34_855), ("66.35.250.204", 80));
        assert_eq!(id(Protocol::TCP, tcp.0, tcp.1), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        let udp = (("192.168.1.52", 54_585), ("8.8.8.8", 53));
        assert_eq!(id(Protocol::UDP, udp.0, udp.1), "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
        let sctp = (("192.168.170.8", 7), ("192.168.170.56", 80));
        assert_eq!(id(Protocol::SCTP, sctp.0, sctp.1), "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ=");
        let ping = (("192.168.0.89", 8), ("192.168.0.1", 0));
        assert_eq!(id(Protocol::ICMP, ping.0, ping.1), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
        let solicitation = (("fe80::200:86ff:fe05:80da", 135), ("fe80::260:97ff:fe07:69ea", 136));
        assert_eq!(id(Protocol::ICMP6, solicitation.0, solicitation.1), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=");
        for (protocol, (one, other)) in
            [(Protocol::TCP, tcp), (Protocol::UDP, udp), (Protocol::SCTP, sctp), (Protocol::ICMP, ping), (Protocol::ICMP6, solicitation)]
        {
            assert_eq!(id(protocol, one, other), id(protocol, other, one), "either direction names the flow");
        }
    }

    #[test]
    fn messages_without_an_answer_keep_their_direction() {
        let unreachable = (("192.168.0.89", 3), ("192.168.0.1", 1));
        assert_ne!(id(Protocol::ICMP, unreachable.0, unreachable.1), id(Protocol::ICMP, ("192.168.0.1", 3), ("192.168.0.89", 1)));
    }
}
