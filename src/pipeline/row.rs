//! From a conversation to its row: every room asked once.

mod dns;
mod ids;
mod measures;
mod names;
mod resets;

use std::collections::HashMap;
use std::sync::Arc;

use crate::capture::{Gap, Interface, Source};
use crate::detect::features::{DatagramView, TcpView};
use crate::detect::{self, Evidence, Found, Observations};
use crate::model::rows::*;
use crate::model::words::*;
use crate::model::{Direction, FileId, Protocol, Span};
use crate::service::{Catalog, Networks};
use crate::shard::{Conversation, Over};

use super::shown;
use ids::{community_id, flow_id};
use measures::{icmp_row, splt_row, tcp_row, times_row, volume};
use names::Names;

/// SYNs over less time than this may still be answered (7 s hold the SYNs that Linux sends at 0, 1, 3 and 7 s: RFC 6298 section 2).
const SYN_PATIENCE: Span = Span::from_secs(7);
const SYN_TRIES: u32 = 3;
/// A request is overdue after this (by design).
const REQUEST_PATIENCE: Span = Span::from_secs(10);
/// Datagrams of one side without an answer: fewer are no test (by design: three tries over 3 s).
const DATAGRAM_TRIES: u64 = 3;
const DATAGRAM_PATIENCE: Span = Span::from_secs(3);

/// The rows of what has ended.
#[derive(Default)]
pub struct Made {
    pub flows: Vec<FlowRow>,
    pub dns: Vec<DnsRow>,
    pub resets: Vec<ResetRow>,
}

/// Makes rows of one source.
pub struct Rows<'a> {
    source: Arc<str>,
    paths: HashMap<FileId, Arc<str>>,
    /// Name of the interface, and of the source that it is: the first interface is the source itself.
    interfaces: Vec<(Option<Arc<str>>, Arc<str>)>,
    gaps: Vec<Gap>,
    catalog: &'a Catalog,
    networks: Option<&'a Networks>,
}

impl<'a> Rows<'a> {
    pub fn new(source: &Source, catalog: &'a Catalog, networks: Option<&'a Networks>) -> Self {
        Self {
            source: source.name.as_str().into(),
            paths: source.files.iter().map(|file| (file.id, shown(&file.path))).collect(),
            interfaces: Vec::new(),
            gaps: Vec::new(),
            catalog,
            networks,
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

    pub fn of(&self, over: Over) -> Made {
        let Over { mut conversations, transactions } = over;
        for conversation in &mut conversations {
            self.gaps.iter().for_each(|gap| conversation.note_gap(gap));
            if has_ports(conversation.flow.key.protocol) {
                conversation.orient_by(|address| self.catalog.knows(address));
            }
        }
        let mut made = Made { dns: transactions.into_iter().map(|transaction| self.dns_row(transaction)).collect(), ..Made::default() };
        for conversation in &conversations {
            let view = detect::view(conversation);
            let row = self.row(conversation, view.as_ref());
            if let Some(view) = &view {
                made.resets.extend(self.reset_rows(view, &row.source, row.flow_id));
            }
            made.flows.push(row);
        }
        made
    }

    fn row(&self, conversation: &Conversation, view: Option<&TcpView<'_>>) -> FlowRow {
        let Conversation { flow, client, .. } = conversation;
        let (client, server) = (*client, client.opposite());
        let (interface, source) = self.interface(flow.key.interface);
        let datagrams = DatagramView::new(conversation);
        let features = flow.features();
        let names = Names::of(conversation, self.catalog);
        let network = |side| self.networks.and_then(|networks| networks.of(flow.key.ip(side)));
        let port = |side| has_ports(flow.key.protocol).then(|| i32::from(flow.key.port(side)));
        FlowRow {
            flow_id: flow_id(&source, &flow.key, flow.start, flow.first_seq()),
            continues: conversation.forerunner.as_ref().map(|before| flow_id(&source, &flow.key, before.start, Some(before.first_seq))),
            community_id: community_id(&flow.key, flow.first_sender),
            source: source.clone(),
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
            service: names.named.membership.as_ref().map(|member| member.service.clone()),
            role: names.named.membership.as_ref().and_then(|member| member.role),
            app_protocol: names.protocol(),
            hello: names.hello(),
            tls_version: names.tls_version(),
            server_hello_ms: names.server_hello_ms(),
            tls_alert: names.alert(),
            server: names.server(),
            http: names.http(),
            quic: names.quic(),
            stun_realm: names.stun_realm(),
            client_network: if self.networks.is_some() { network(client).map(|network| network.to_string().into()) } else { Some(source.clone()) },
            server_asn: network(server).map(|network| network.asn.into()),
            notes: self.notes(&names, self.observed(conversation, view, datagrams.as_ref())),
            host: names.named.host,
            host_source: names.named.host_source,
            volume: volume(flow, &features, client),
            times: times_row(flow, &features),
            splt: splt_row(flow, client),
            tcp: view.map(tcp_row),
            first_payload_fate: view.map(first_payload_fate).or_else(|| Some(datagrams?.fate)),
            icmp: icmp_row(flow),
            quality: quality(view, conversation),
        }
    }

    /// Name of an interface, and of the source that it is.
    fn interface(&self, index: u16) -> (Option<Arc<str>>, Arc<str>) {
        self.interfaces.get(usize::from(index)).cloned().unwrap_or((None, self.source.clone()))
    }

    fn path(&self, file: FileId) -> Arc<str> {
        self.paths.get(&file).cloned().unwrap_or_else(|| "".into())
    }

    fn notes(&self, names: &Names<'_>, observed: Notes) -> Notes {
        Notes {
            ech_config: names.ech_config(),
            quic_server_id: names.quic_server_id(),
            quic_goes_on_with: names.quic_goes_on_with(),
            is_open: names.is_open(),
            ..observed
        }
    }

    fn observed(&self, conversation: &Conversation, view: Option<&TcpView<'_>>, datagrams: Option<&DatagramView<'_>>) -> Notes {
        let Some(view) = view else {
            let volume = &conversation.flow.volume;
            let exchanged = volume.0.iter().all(|volume| volume.packets > 0);
            let quic = datagrams.filter(|view| view.has_quic_hello());
            let (observed, seen) = quic.map(|view| self.noted(&detect::observe_datagrams(view), [None, None], None)).unwrap_or_default();
            return Notes {
                exchanged,
                answer_owed: owes_datagram(conversation),
                waited: quic.and_then(DatagramView::waited),
                observed,
                seen,
                ..Notes::default()
            };
        };
        let observed = detect::observe(view);
        let waited = view.request.as_ref().map(|request| match (&view.silence, request.answer) {
            (Some(silence), _) if !observed.found.is_empty() => (silence.since, silence.tried_until()),
            (_, Some((answered, _))) => (request.time, answered),
            _ => (request.time, conversation.flow.end()),
        });
        let first_resets = Direction::BOTH.map(|direction| resets::first_reset(view, direction));
        let (observed, seen) = self.noted(&observed, first_resets, view.proven_loss());
        Notes { exchanged: view.exchange_went_through(), answer_owed: owes_answer(view), waited, observed, seen, ..Notes::default() }
    }

    /// What was observed and what was seen, as JSON; none where that is nothing.
    fn noted(&self, observed: &Observations, first_resets: [Option<FirstReset>; 2], lost: Option<Way>) -> (Option<String>, Option<String>) {
        let found = observed.found.iter().map(|found| self.found_note(found)).collect();
        let benign = observed.benign.iter().map(|cause| cause.word().into()).collect();
        let observed = Observed { found, benign, first_resets, lost: lost.map(|way| way.word().into()) };
        let seen = (!observed.found.is_empty()).then(|| serde_json::to_string(&observed.seen()).unwrap_or_default());
        ((observed != Observed::default()).then(|| serde_json::to_string(&observed).unwrap_or_default()), seen)
    }

    fn found_note(&self, found: &Found) -> FoundNote {
        FoundNote { detector: found.detector.name.into(), items: found.items.iter().map(|item| self.item_note(item)).collect() }
    }

    fn item_note(&self, item: &Evidence) -> ItemNote {
        ItemNote {
            id: item.id.into(),
            mechanism: item.mechanism.word().into(),
            time: item.time.as_micros(),
            unless: item.unless.into(),
            packets: item.packets.len(),
            seen: SeenItem {
                packets: item.packets.iter().map(|packet| (self.path(packet.file()), packet.number() as i64)).collect(),
                says: item.says.clone(),
            },
        }
    }
}

/// What became of the client's first payload.
fn first_payload_fate(view: &TcpView<'_>) -> PayloadFate {
    view.request.as_ref().map_or(PayloadFate::NoPayload, |request| request.fate)
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
