//! What both ends together prove of a flow.
//!
//! Resets that neither end sent, and packets that vanish for this flow while others of the same server pass, are proof; single losses are not.

use std::collections::HashMap;

use super::fates::{Fates, Judged, Way};
use super::join::Pair;
use crate::model::rows::{ComparedRow, FlowRow};
use crate::model::words::{self, AppProtocol, Certainty, Fate, Mechanism, Transport, Verdict};
use crate::model::{Direction, PacketNumber, PerDirection, Span, Timestamp};
use crate::packet::TcpFlags;

/// So many packets in a row, over so much time, are no chance: at a loss of 1 % three in a row are one case in a million.
const CUT_PACKETS: usize = 3;
const CUT_OVER: Span = Span::from_secs(1);
/// Payload of the server after which a cut is one by volume: well below the 16 KB that are reported (net4people/bbs issue 490).
const VOLUME_BYTES: u64 = 10_000;

/// What other flows show at the same time.
pub struct Context {
    /// By server: when packets of which flow got through.
    passed: HashMap<String, PerDirection<Vec<(Timestamp, usize)>>>,
    places: HashMap<i64, usize>,
}

impl Context {
    pub fn new(pairs: &[Pair<'_>], fates: &[Fates]) -> Self {
        let mut passed: HashMap<String, PerDirection<Vec<(Timestamp, usize)>>> = HashMap::new();
        for (place, (pair, fates)) in pairs.iter().zip(fates).enumerate() {
            let Some(connection) = pair.known() else { continue };
            let of = passed.entry(connection.row.server_ip.clone()).or_default();
            for direction in Direction::BOTH {
                let through = fates[direction].sent.iter().filter(|sent| is_through(sent));
                of[direction].extend(through.map(|sent| (sent.at, place)));
            }
        }
        passed.values_mut().for_each(|of| Direction::BOTH.iter().for_each(|&direction| of[direction].sort_unstable()));
        Self { passed, places: pairs.iter().enumerate().map(|(place, pair)| (pair.id(), place)).collect() }
    }

    /// Whether another flow of the server got a packet through in this time.
    fn others_pass(&self, row: &FlowRow, direction: Direction, from: Timestamp, to: Timestamp) -> bool {
        let (Some(of), Some(own)) = (self.passed.get(&row.server_ip), self.places.get(&row.flow_id)) else { return false };
        let first = of[direction].partition_point(|&(at, _)| at < from);
        of[direction][first..].iter().take_while(|&&(at, _)| at <= to).any(|(_, place)| place != own)
    }
}

fn is_through(sent: &Judged) -> bool {
    matches!(sent.fate, Some(Fate::Delivered | Fate::Delayed))
}

/// What is said of a flow.
struct Said {
    verdict: Verdict,
    mechanism: Option<Mechanism>,
    drop_direction: Option<words::Way>,
    evidence: Vec<String>,
}

pub fn row(pair: &Pair<'_>, fates: &Fates, context: &Context) -> Option<ComparedRow> {
    let flow = pair.known()?.row.clone();
    let [client, server] = pair.ends;
    let said = forged(&flow, fates).or_else(|| cut(&flow, fates, context)).unwrap_or_else(|| nothing(fates));
    let translated = client.zip(server).map(|(_, server)| (server.row.client_ip.clone(), server.row.client_port));
    Some(ComparedRow {
        client_flow_id: client.map(|connection| connection.row.flow_id),
        server_flow_id: server.map(|connection| connection.row.flow_id),
        translated: translated.filter(|(ip, port)| (ip, port) != (&flow.client_ip, &flow.client_port)),
        counts: PerDirection { c2s: fates.c2s.counts(), s2c: fates.s2c.counts() },
        verdict: said.verdict,
        mechanism: said.mechanism,
        drop_direction: said.drop_direction,
        certainty: said.verdict.is_interference().then_some(Certainty::Confirmed),
        evidence: said.evidence,
        flow,
    })
}

fn nothing(fates: &Fates) -> Said {
    let answered = fates.s2c.sent.iter().any(|sent| is_through(sent) && sent.packet.len > 0);
    Said { verdict: if answered { Verdict::Ok } else { Verdict::Unknown }, mechanism: None, drop_direction: None, evidence: Vec::new() }
}

/// Packets that their sender never sent, or not so.
fn forged(flow: &FlowRow, fates: &Fates) -> Option<Said> {
    let with = |way: &Way, fate: Fate, is_reset: bool| -> Vec<PacketNumber> {
        let of = way.received.iter().filter(|received| received.fate == Some(fate) && received.packet.is_reset() == is_reset);
        of.map(|received| received.packet.number).collect()
    };
    let replaced = with(&fates.s2c, Fate::Rewritten, true);
    let (to_client, to_server) = (with(&fates.s2c, Fate::Injected, true), with(&fates.c2s, Fate::Injected, true));
    let said = |verdict, mechanism, evidence| Some(Said { verdict, mechanism: Some(mechanism), drop_direction: None, evidence });
    if !replaced.is_empty() {
        return said(Verdict::RstInjection, Mechanism::RstReplacesAnswer, vec![sentence("client", &replaced, "left the server as something else")]);
    }
    if to_client.is_empty()
        && let Some(answer) = forged_answer(flow, fates, &with(&fates.s2c, Fate::Injected, false))
    {
        return Some(answer);
    }
    let resets: Vec<String> = [("client", &to_client), ("server", &to_server)]
        .into_iter()
        .filter(|(_, packets)| !packets.is_empty())
        .map(|(end, packets)| sentence(end, packets, "is a reset that the other end never sent"))
        .collect();
    let mechanism = match (to_client.is_empty(), to_server.is_empty()) {
        (false, _) if !had_answer(fates) && flow.protocol == Transport::Tcp => Mechanism::SynRst,
        (false, false) => Mechanism::RstBothSides,
        (false, true) => Mechanism::RstFromServerSide,
        (true, false) => Mechanism::RstFromClientSide,
        (true, true) => return None,
    };
    said(Verdict::RstInjection, mechanism, resets)
}

/// The client had a SYN/ACK, or had gone on to its request, before the first forged reset.
fn had_answer(fates: &Fates) -> bool {
    let Some(reset) = fates.s2c.received.iter().find(|received| received.fate == Some(Fate::Injected)) else { return false };
    let answer = fates.s2c.received.iter().find(|received| received.packet.flags.is_syn_ack());
    let request = fates.c2s.sent.iter().find(|sent| sent.packet.len > 0);
    [answer, request].into_iter().flatten().any(|before| before.at <= reset.at)
}

/// Response code of a DNS message that denies the name (RFC 1035 section 4.1.1), in the first four bytes of the message.
const NXDOMAIN: u32 = 3;

fn forged_answer(flow: &FlowRow, fates: &Fates, packets: &[PacketNumber]) -> Option<Said> {
    let first = fates.s2c.received.iter().find(|received| received.packet.number == *packets.first().unwrap_or(&PacketNumber::default()))?;
    let evidence = vec![sentence("client", packets, "is an answer that the server never sent")];
    let redirected = flow.http.as_ref().and_then(|http| http.status).is_some_and(|status| (300..400).contains(&status));
    let (verdict, mechanism) = match (flow.app_protocol, flow.protocol) {
        (Some(AppProtocol::Dns), Transport::Udp) if first.packet.seq & 0xf == NXDOMAIN => (Verdict::DnsManipulation, Mechanism::DnsForgedNxdomain),
        (Some(AppProtocol::Dns), _) => (Verdict::DnsManipulation, Mechanism::DnsForged),
        (Some(AppProtocol::Http), _) if redirected => (Verdict::HttpBlock, Mechanism::Redirect),
        (Some(AppProtocol::Http), _) if first.packet.len > 0 => (Verdict::HttpBlock, Mechanism::BlockPage),
        _ => return None,
    };
    Some(Said { verdict, mechanism: Some(mechanism), drop_direction: None, evidence })
}

/// A direction in which nothing came through any more while other flows of the server went on.
fn cut(flow: &FlowRow, fates: &Fates, context: &Context) -> Option<Said> {
    let ends = PerDirection { c2s: last_dropped(&fates.c2s), s2c: last_dropped(&fates.s2c) };
    let is_cut = |direction: Direction| {
        let run = &ends[direction];
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return false };
        run.len() >= CUT_PACKETS && last.at - first.at >= CUT_OVER && context.others_pass(flow, direction, first.at, last.at)
    };
    let direction = match Direction::BOTH.map(is_cut) {
        [true, true] => words::Way::Both,
        [true, false] => words::Way::C2s,
        [false, true] => words::Way::S2c,
        [false, false] => return None,
    };
    let (verdict, mechanism) = name(flow, fates)?;
    let told = Direction::BOTH.iter().filter(|&&direction| is_cut(direction));
    let evidence = told.map(|&direction| {
        let numbers: Vec<PacketNumber> = ends[direction].iter().map(|sent| sent.packet.number).collect();
        sentence(direction.sender(), &numbers, "was sent and never received, while other flows of the server went on")
    });
    Some(Said { verdict, mechanism: Some(mechanism), drop_direction: Some(direction), evidence: evidence.collect() })
}

/// The packets behind the last one that came through that are known to be dropped.
fn last_dropped(way: &Way) -> Vec<&Judged> {
    let after = way.sent.iter().rposition(|sent| sent.peer.is_some() || is_through(sent)).map_or(0, |last| last + 1);
    way.sent[after..].iter().filter(|sent| sent.fate == Some(Fate::Dropped)).collect()
}

/// How far the flow had come.
fn name(flow: &FlowRow, fates: &Fates) -> Option<(Verdict, Mechanism)> {
    let through = |way: &Way, asked: &dyn Fn(&Judged) -> bool| way.sent.iter().any(|sent| is_through(sent) && asked(sent));
    let answered: u64 = fates.s2c.sent.iter().filter(|sent| is_through(sent)).map(|sent| u64::from(sent.packet.len)).sum();
    let has_sni = flow.hello.as_ref().is_some_and(|hello| hello.sni.is_some());
    let block = match flow.app_protocol {
        _ if has_sni => Verdict::SniDrop,
        Some(AppProtocol::Http) => Verdict::HttpBlock,
        _ => Verdict::ProtocolBlock,
    };
    let unacked = match flow.app_protocol {
        _ if has_sni => Mechanism::HelloUnacked,
        Some(AppProtocol::Http) => Mechanism::RequestUnacked,
        _ => Mechanism::FirstPayloadUnacked,
    };
    if flow.protocol == Transport::Udp {
        return match flow.app_protocol {
            Some(AppProtocol::Quic) if answered == 0 => Some((Verdict::QuicDrop, Mechanism::InitialUnanswered)),
            Some(AppProtocol::Quic) => Some((Verdict::QuicDrop, Mechanism::CutAfterPackets)),
            Some(AppProtocol::Dns) => Some((Verdict::DnsManipulation, Mechanism::DnsNoAnswer)),
            Some(AppProtocol::Stun) if answered == 0 => Some((Verdict::CallBlock, Mechanism::StunUnanswered)),
            Some(AppProtocol::Stun) => Some((Verdict::CallBlock, Mechanism::MediaCut)),
            _ if answered == 0 => Some((Verdict::ProtocolBlock, Mechanism::FirstPayloadUnacked)),
            _ => None,
        };
    }
    let request = |sent: &Judged| sent.packet.len > 0;
    let first = fates.c2s.sent.iter().find(|sent| request(sent));
    let acked = |sent: &Judged| first.is_some_and(|first| sent.packet.flags.has(TcpFlags::ACK) && sent.packet.ack == first.packet.next_seq());
    match first {
        None if !through(&fates.s2c, &|sent| sent.packet.flags.is_syn_ack()) => Some((Verdict::IpBlock, Mechanism::SynUnanswered)),
        None => Some((Verdict::IpBlock, Mechanism::SynAckUnacked)),
        Some(_) if answered >= VOLUME_BYTES => Some((block, Mechanism::VolumeFreeze)),
        Some(_) if answered > 0 => Some((block, Mechanism::CutAfterPackets)),
        Some(_) if through(&fates.c2s, &request) && through(&fates.s2c, &acked) => Some((block, Mechanism::HelloAckedThenSilent)),
        Some(_) => Some((block, unacked)),
    }
}

/// "server's capture, packets 4, 5: each is a reset that the other end never sent".
fn sentence(end: &str, packets: &[PacketNumber], what: &str) -> String {
    const NAMED: usize = 8;
    let mut numbers: Vec<String> = packets.iter().take(NAMED).map(|packet| packet.number().to_string()).collect();
    if packets.len() > NAMED {
        numbers.push(format!("and {} more", packets.len() - NAMED));
    }
    match packets.len() {
        1 => format!("{end}'s capture, packet {}: {what}", numbers.join(", ")),
        _ => format!("{end}'s capture, packets {}: each {what}", numbers.join(", ")),
    }
}
