//! Numbers of a flow: sizes, times, TCP, ICMP.

use crate::detect::features::{TcpView, signature};
use crate::flow::{Distribution, Features, Flow, Samples, Spread, Tcp, TcpSide, Volume};
use crate::model::rows::*;
use crate::model::words::*;
use crate::model::{Direction, PerDirection, Protocol, Side, Span};

use super::ids::is_one_way_icmp;

pub fn volume(flow: &Flow, features: &Features, client: Side) -> PerDirection<VolumeRow> {
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

pub fn times_row(flow: &Flow, features: &Features) -> TimesRow {
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

pub fn splt_row(flow: &Flow, client: Side) -> SpltRow {
    let packets = flow.splt().iter();
    SpltRow {
        payload: packets.clone().map(|packet| i64::from(packet.payload) * if packet.sender == client { 1 } else { -1 }).collect(),
        ms: packets.map(|packet| (packet.time - flow.start).as_ms()).collect(),
    }
}

pub fn tcp_row(view: &TcpView<'_>) -> TcpRow {
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
        client_hello_retransmits: hello.map(|hello| hello.repeats.len() as i64),
        client_hello_acked: hello.map(|hello| hello.acked.is_some()),
        s2c_bytes_after_client_hello: hello.map(|_| tcp.sides[client.opposite()].new_payload_bytes as i64),
        outstanding: view.silence.as_ref().map_or(Outstanding::Nothing, |silence| silence.owed),
        silence_ms: view.silence.as_ref().map(|silence| silence.watched.as_ms()),
        stage: stage(tcp, client),
        stalled_after: view.silence.as_ref().map(|_| {
            let server = &tcp.sides[client.opposite()];
            (server.new_payload_bytes as i64, server.new_payload_packets.into())
        }),
        signatures: PerDirection { c2s: signed(view, Direction::ClientToServer), s2c: signed(view, Direction::ServerToClient) },
    }
}

fn signed(view: &TcpView<'_>, direction: Direction) -> Option<String> {
    signature(view, direction).map(Into::into)
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
    Some(Stage::of(tcp.handshake.ack.is_some(), tcp.sides[client].new_payload_packets))
}

pub fn icmp_row(flow: &Flow) -> Option<IcmpRow> {
    if matches!(flow.key.protocol, Protocol::ICMP | Protocol::ICMP6) {
        let (sender, answerer) = (flow.first_sender, flow.first_sender.opposite());
        let code = if is_one_way_icmp(&flow.key, sender) { flow.key.port(answerer) } else { 0 };
        return Some(IcmpRow { kind: flow.key.port(sender).into(), code: code.into(), from: flow.key.ip(sender).to_string() });
    }
    flow.icmp_error().map(|(error, _)| IcmpRow { kind: error.kind.into(), code: error.code.into(), from: error.from.to_string() })
}
