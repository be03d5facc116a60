//! Cases by hand: what becomes of evidence once the other flows are known.

use proptest::prelude::*;

use super::*;
use crate::model::rows::{FindingRow, FoundNote, ItemNote, Judgement, SeenItem};

const PRIOR: f64 = 0.05;
const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const NAME: &str = "web.whatsapp.com";

/// A TLS connection that was answered, `start` microseconds after the first, captured at the client.
fn answered(start: i64, name: &'static str) -> Case<'static> {
    Case {
        source: "capture",
        flow_id: start,
        client_network: None,
        client_ip: "192.0.2.1",
        server_ip: "198.51.100.1",
        server_port: 443,
        transport: Transport::Tcp,
        sni: Some(name),
        http_host: None,
        ja4: None,
        c2s_hops: None,
        s2c_hops: None,
        icmp_error: false,
        start,
        tcp_state: Some(TcpState::Sf),
        handshake: true,
        syn_rtt_ms: Some(40.0),
        ack_rtt_ms: Some(0.1),
        fate: Some(PayloadFate::Answered),
        outstanding: Some(Outstanding::Nothing),
        s2c_rst: 0,
        payload_repeats: 0,
        gates: Vec::new(),
        exchanged: true,
        answer_owed: true,
        waited: Some((start + 41_000, start + 81_000)),
        observed: Observed::default(),
    }
}

fn found(detector: &str, items: &[&str]) -> FoundNote {
    let item = |id: &&str| ItemNote {
        id: id.to_string(),
        mechanism: Mechanism::RstFromServerSide.word().into(),
        time: 0,
        unless: format!("what else looks like {id}"),
        packets: 1,
        seen: SeenItem { packets: vec![("capture".into(), 5)], says: format!("packet 5: {id}") },
    };
    FoundNote { detector: detector.into(), items: items.iter().map(item).collect() }
}

/// A connection that was reset, with what its packets show.
fn reset(start: i64, name: &'static str, detector: &str, items: &[&str]) -> Case<'static> {
    Case {
        tcp_state: Some(TcpState::Rstr),
        fate: Some(PayloadFate::Reset),
        s2c_rst: 1,
        exchanged: false,
        observed: Observed { found: vec![found(detector, items)], benign: Vec::new(), first_resets: [None, None], lost: None },
        ..answered(start, name)
    }
}

/// A connection that fell silent for 30 s behind its hello.
fn silent(start: i64, name: &'static str, fate: PayloadFate, item: &str) -> Case<'static> {
    Case {
        tcp_state: Some(TcpState::S1),
        fate: Some(fate),
        outstanding: Some(Outstanding::ClientUnacked),
        payload_repeats: 6,
        exchanged: false,
        waited: Some((start + 41_000, start + 30 * SECOND)),
        observed: Observed { found: vec![found("server_fell_silent", &[item])], benign: Vec::new(), first_resets: [None, None], lost: None },
        ..answered(start, name)
    }
}

fn unacked(start: i64, name: &'static str) -> Case<'static> {
    silent(start, name, PayloadFate::NeverAcked, "hello_unacked")
}

fn unanswered(start: i64, name: &'static str) -> Case<'static> {
    silent(start, name, PayloadFate::AckedThenSilent, "hello_acked_then_silent")
}

fn weights() -> Weights {
    Weights::built_in().expect("the built-in weights are right")
}

fn known(cases: &[Case<'_>]) -> Knowledge {
    let mut knowledge = Knowledge::default();
    cases.iter().for_each(|case| knowledge.note(case));
    let attempts: Vec<Attempt> = cases.iter().filter_map(|case| knowledge.attempt(case, &weights())).collect();
    let groups = |key: fn(&Attempt) -> i64| {
        let mut groups: BTreeMap<i64, Vec<Attempt>> = BTreeMap::new();
        attempts.iter().for_each(|attempt| groups.entry(key(attempt)).or_default().push(*attempt));
        groups.into_values().collect::<Vec<_>>()
    };
    groups(|attempt| attempt.server).iter().for_each(|some| knowledge.at_server(some));
    groups(|attempt| attempt.client).iter().for_each(|some| knowledge.at_client(some));
    knowledge.settle();
    knowledge
}

fn judge_at(prior: f64, cases: &[Case<'_>]) -> (Judgement, Vec<FindingRow>) {
    let Judged { judgement, findings, .. } = Judge { knowledge: &known(cases), weights: &weights(), prior }.judge(&cases[0]);
    (judgement, findings)
}

/// The first case, judged by what all of them told.
fn judge(cases: &[Case<'_>]) -> Judgement {
    judge_at(PRIOR, cases).0
}

/// One flow each minute.
fn every_minute(from: i64, count: i64, case: impl Fn(i64) -> Case<'static>) -> Vec<Case<'static>> {
    (0..count).map(|minute| case(from + minute * MINUTE)).collect()
}

// Where the capture was taken.

#[test]
fn own_resets_are_never_interference() {
    let strong = ["data_after_rst", "rst_seq_change", "rst_too_early"];
    let at_client = reset(0, NAME, "reset_from_client_side", &strong);
    let at_server = Case { syn_rtt_ms: Some(0.1), ack_rtt_ms: Some(40.0), ..reset(0, NAME, "reset_from_server_side", &strong) };
    for (case, vantage) in [(at_client, Vantage::Client), (at_server, Vantage::Server)] {
        let (judgement, findings) = judge_at(PRIOR, &[case]);
        assert_eq!((judgement.vantage, judgement.verdict, judgement.mechanism), (vantage, Verdict::Ok, None));
        assert!(judgement.alternative.expect("a reason").starts_with("own_reset: "));
        assert!(findings.is_empty() && judgement.confidence < PRIOR);
    }
}

#[test]
fn resets_of_the_other_side_are_not_excused_by_it() {
    let judgement = judge(&[reset(0, NAME, "reset_from_server_side", &["data_after_rst"])]);
    assert_eq!((judgement.vantage, judgement.verdict), (Vantage::Client, Verdict::RstInjection));
    assert_eq!(judgement.mechanism, Some(Mechanism::RstFromServerSide));
    assert_eq!(judgement.outcome, Outcome::Failed);
}

#[test]
fn in_transit_either_side_may_be_forged() {
    let mut case = Case { ack_rtt_ms: Some(30.0), ..reset(0, NAME, "reset_from_server_side", &["data_after_rst"]) };
    case.observed.found.push(found("reset_from_client_side", &["rst_seq_change"]));
    let judgement = judge(&[case]);
    assert_eq!((judgement.vantage, judgement.mechanism), (Vantage::Transit, Some(Mechanism::RstBothSides)));
}

#[test]
fn four_of_five_flows_name_the_vantage() {
    let vantage = |client: i64, server: i64| {
        let at_server = |start| Case { syn_rtt_ms: Some(0.1), ack_rtt_ms: Some(40.0), ..answered(start, NAME) };
        known(&[every_minute(0, client, |start| answered(start, NAME)), every_minute(9, server, at_server)].concat()).vantage("capture")
    };
    assert_eq!((vantage(4, 1), vantage(1, 4)), (Vantage::Client, Vantage::Server));
    assert_eq!((vantage(3, 1), vantage(0, 0)), (Vantage::Unknown, Vantage::Unknown));
}

#[test]
fn hops_name_the_vantage_where_no_handshake_does() {
    let passed = |c2s, s2c| {
        let case = Case { syn_rtt_ms: None, ack_rtt_ms: None, c2s_hops: Some(c2s), s2c_hops: Some(s2c), ..answered(0, NAME) };
        known(&[case]).vantage("capture")
    };
    assert_eq!((passed(0, 9), passed(9, 0)), (Vantage::Client, Vantage::Server));
    assert_eq!((passed(0, 0), passed(3, 9)), (Vantage::Unknown, Vantage::Unknown), "one network, or a router of one's own");
    let both = Case { c2s_hops: Some(9), s2c_hops: Some(0), ..answered(0, NAME) };
    assert_eq!(known(&[both]).vantage("capture"), Vantage::Client, "the handshake knows better");
}

// Silences.

#[test]
fn a_hello_unacked_while_the_server_lives_was_dropped() {
    let other = Case { sni: None, fate: None, waited: None, ..answered(10 * SECOND, NAME) }; // it accepts a connection
    let judgement = judge(&[unacked(0, NAME), other]);
    assert_eq!((judgement.verdict, judgement.outcome), (Verdict::SniDrop, Outcome::Failed));
    assert_eq!(judgement.drop_direction, Some(Way::Unknown));
    assert!(judgement.evidence.last().expect("comparison").ends_with("took part in another connection meanwhile"));
}

#[test]
fn a_hello_unacked_without_any_sign_of_life_met_a_dead_server() {
    let judgement = judge(&[unacked(0, NAME)]);
    assert_eq!((judgement.verdict, judgement.outcome), (Verdict::Unreachable, Outcome::Failed));
    assert_eq!((judgement.mechanism, judgement.certainty), (None, Some(Certainty::Suspicion)));
}

#[test]
fn another_machine_that_lives_shows_that_the_client_was_not_cut_off() {
    let elsewhere =
        |start, case: Case<'static>| Case { server_ip: "198.51.100.2", start, waited: Some((start + 41_000, start + 30 * SECOND)), ..case };
    let lived = elsewhere(10 * SECOND, answered(10 * SECOND, "www.example.org"));
    let judgement = judge(&[unacked(0, NAME), lived]);
    assert_eq!((judgement.verdict, judgement.certainty), (Verdict::SniDrop, Some(Certainty::Anomaly)));
    assert!(judgement.confidence < 0.7, "the server may have died");
    let dead = Case { handshake: false, syn_rtt_ms: None, ack_rtt_ms: None, ..unacked(10 * SECOND, "www.example.org") };
    let judgement = judge(&[unacked(0, NAME), elsewhere(10 * SECOND, dead)]);
    assert!(judgement.verdict == Verdict::Unreachable && judgement.confidence < PRIOR, "everything died");
    let another = Case { source: "another capture", ..answered(10 * SECOND, NAME) };
    assert_eq!(judge(&[unacked(0, NAME), another]).verdict, Verdict::Unreachable);
}

#[test]
fn a_name_that_mostly_works_is_not_dropped() {
    let cases = [vec![unacked(0, NAME)], every_minute(SECOND, 3, |start| answered(start, NAME))].concat();
    assert_eq!(judge(&cases).verdict, Verdict::Unreachable);
}

#[test]
fn a_name_that_fails_again_and_again_where_others_are_answered_is_blocked() {
    let own = every_minute(0, 5, |start| unanswered(start, NAME));
    let others = every_minute(5 * SECOND, 5, |start| answered(start, "www.example.org"));
    let judgement = judge(&[own, others].concat());
    assert_eq!((judgement.verdict, judgement.trigger), (Verdict::SniDrop, Some(Trigger::Sni)));
    assert_eq!(judgement.certainty, Some(Certainty::Likely));
    let [_, around, controls] = &judgement.evidence[..] else { panic!("{:?}", judgement.evidence) };
    assert!(around.starts_with("within 5 min on the same server: this name failed 5 of 5 times, other names 0 of 5;"), "{around}");
    assert!(
        controls.starts_with("matched controls (the same server and port, other names): this target failed in 5 of 5 buckets, they in 0 of 5"),
        "{controls}"
    );
}

/// A connection of another protocol, without a name, whose first payload nobody acknowledged.
fn nameless(start: i64) -> Case<'static> {
    let observed = Observed { found: vec![found("server_fell_silent_on_protocol", &["first_payload_unacked"])], ..Observed::default() };
    Case { sni: None, observed, ..unacked(start, NAME) }
}

#[test]
fn a_protocol_without_a_name_is_compared_by_the_life_of_its_server() {
    assert_eq!(judge(&[nameless(0)]).verdict, Verdict::Unreachable);
    let judgement = judge(&[nameless(0), Case { server_port: 5222, ..answered(10 * SECOND, NAME) }]);
    assert_eq!((judgement.verdict, judgement.trigger), (Verdict::ProtocolBlock, Some(Trigger::Undetermined)));
    let named = every_minute(5 * SECOND, 5, |start| answered(start, NAME));
    let judgement = judge(&[every_minute(0, 5, nameless), named].concat());
    assert_eq!((judgement.verdict, judgement.trigger), (Verdict::ProtocolBlock, Some(Trigger::Protocol)));
}

#[test]
fn datagrams_without_an_answer_need_others_that_have_one() {
    let quic = |start, name, items: &[&str]| Case {
        transport: Transport::Udp,
        fate: Some(if items.is_empty() { PayloadFate::Answered } else { PayloadFate::NeverAcked }),
        exchanged: items.is_empty(),
        observed: if items.is_empty() {
            Observed::default()
        } else {
            Observed { found: vec![found("quic_unanswered", items)], ..Observed::default() }
        },
        ..answered(start, name)
    };
    let dropped = every_minute(0, 3, |start| quic(start, NAME, &["initial_unanswered"]));
    let over_tcp = every_minute(5 * SECOND, 5, |start| answered(start, "www.example.org"));
    assert_eq!(judge(&[dropped.clone(), over_tcp].concat()).verdict, Verdict::Unreachable, "the server may not speak QUIC");
    let others = every_minute(5 * SECOND, 5, |start| quic(start, "www.example.org", &[]));
    let judgement = judge(&[dropped, others].concat());
    assert_eq!((judgement.verdict, judgement.trigger), (Verdict::QuicDrop, Some(Trigger::Sni)));
}

#[test]
fn a_server_that_hangs_for_all_names_hangs() {
    let own = every_minute(0, 5, |start| unanswered(start, NAME));
    let others = every_minute(5 * SECOND, 5, |start| unanswered(start, "www.example.org"));
    assert_eq!(judge(&[own, others].concat()).verdict, Verdict::Unreachable);
}

#[test]
fn one_silence_behind_an_acknowledgement_is_a_program_that_hangs() {
    let others = every_minute(5 * SECOND, 5, |start| answered(start, "www.example.org"));
    assert_eq!(judge(&[vec![unanswered(0, NAME)], others].concat()).verdict, Verdict::Unreachable);
}

#[test]
fn names_are_compared_within_five_minutes() {
    let own = every_minute(0, 3, |start| unanswered(start, NAME));
    let much_later = every_minute(60 * MINUTE, 5, |start| answered(start, "www.example.org"));
    assert_eq!(judge(&[own, much_later].concat()).verdict, Verdict::Unreachable);
}

#[test]
fn a_silence_that_its_own_side_caused_is_not_the_networks() {
    let mut case = unacked(0, NAME);
    case.observed.benign = vec![Benign::ReceiverWindow.word().into()];
    let judgement = judge(&[case, answered(10 * SECOND, NAME)]);
    assert_eq!(judgement.verdict, Verdict::Ok);
    assert!(judgement.alternative.expect("a reason").starts_with("receiver_window: "));
}

// Resets.

#[test]
fn an_idle_reset_is_ok() {
    let mut case = Case { exchanged: true, fate: Some(PayloadFate::Answered), ..reset(0, NAME, "reset_from_server_side", &["rst_form"]) };
    let even = 0.5; // even odds, so that the form alone would accuse
    assert_eq!(judge_at(even, &[case.clone()]).0.verdict, Verdict::RstInjection);
    case.observed.benign = vec![Benign::IdleReset.word().into()];
    let (judgement, _) = judge_at(even, &[case]);
    assert_eq!((judgement.verdict, judgement.mechanism), (Verdict::Ok, None));
    assert!(judgement.alternative.expect("a reason").starts_with("idle_reset: "));
}

#[test]
fn an_innocent_form_does_not_excuse_two_senders() {
    let mut case = reset(0, NAME, "reset_from_server_side", &["data_after_rst"]);
    case.observed.benign = vec![Benign::ServerAbort.word().into()];
    assert_eq!(judge(&[case]).verdict, Verdict::RstInjection);
}

#[test]
fn one_weak_sign_is_a_suspicion() {
    let judgement = judge(&[reset(0, NAME, "reset_from_server_side", &["rst_instead_of_answer"])]);
    assert_eq!((judgement.verdict, judgement.certainty), (Verdict::Unreachable, Some(Certainty::Suspicion)));
}

#[test]
fn resets_of_one_name_again_and_again_where_others_are_answered_are_injected() {
    let own = every_minute(0, 3, |start| reset(start, NAME, "reset_from_server_side", &["rst_instead_of_answer"]));
    let others = every_minute(5 * SECOND, 5, |start| answered(start, "www.example.org"));
    let judgement = judge(&[own, others].concat());
    assert_eq!((judgement.verdict, judgement.trigger), (Verdict::RstInjection, Some(Trigger::Sni)));
}

#[test]
fn a_failure_that_may_be_held_against_an_earlier_one_is_told() {
    let blocked = reset(0, NAME, "reset_from_server_side", &["data_after_rst"]);
    let later = |start, client_ip| Case { client_ip, ..reset(start, "www.example.org", "reset_from_server_side", &["data_after_rst"]) };
    let compared = |case: Case<'static>| judge(&[case, blocked.clone()]).evidence.last().expect("comparison").clone();
    let told = "10 s before the same client had failed there in the same way under another name";
    assert!(compared(later(10 * SECOND, "192.0.2.1")).ends_with(told));
    assert!(!compared(later(10 * SECOND, "192.0.2.77")).contains("before the same client"), "another client");
}

#[test]
fn header_fields_count_beside_a_contradiction_or_the_timing_only() {
    let score = |items: &[&str]| judge(&[reset(0, NAME, "reset_from_server_side", items)]).score;
    assert_eq!(score(&["rst_form", "rst_other_hops"]), score(&["rst_form"]));
    assert!((score(&["rst_too_early", "rst_other_hops"]) - score(&["rst_too_early"]) - 1.0).abs() < 1e-9);
}

#[test]
fn decoys_of_a_tool_accuse_nobody() {
    let mut case = reset(0, NAME, "reset_from_client_side", &["data_after_rst"]);
    (case.ack_rtt_ms, case.gates) = (None, vec![Gate::DesyncTool]);
    assert!(!judge(&[case]).verdict.is_interference());
    let silent = Case { gates: vec![Gate::DesyncTool], ..unacked(0, NAME) };
    assert!(!judge(&[silent, answered(10 * SECOND, NAME)]).verdict.is_interference());
}

#[test]
fn a_reset_that_lost_the_race_broke_nothing() {
    let case = Case { exchanged: true, ..reset(0, NAME, "reset_from_server_side", &["data_after_rst"]) };
    let judgement = judge(&[case]);
    assert_eq!((judgement.verdict, judgement.outcome), (Verdict::RstInjection, Outcome::Worked));
}

#[test]
fn in_midstream_only_contradictions_accuse() {
    let gated = |items: &[&str]| Case { gates: vec![Gate::Midstream], ..reset(0, NAME, "reset_from_server_side", items) };
    assert_eq!(judge(&[gated(&["rst_too_early", "rst_form"])]).verdict, Verdict::Unknown);
    assert_eq!(judge(&[gated(&["data_after_rst"])]).verdict, Verdict::RstInjection);
}

// Matched sets.

/// SYNs that nobody answered.
fn unconnected(start: i64) -> Case<'static> {
    let observed = Observed { found: vec![found("no_connection", &["syn_unanswered"])], ..Observed::default() };
    Case {
        sni: None,
        tcp_state: Some(TcpState::S0),
        handshake: false,
        syn_rtt_ms: None,
        ack_rtt_ms: None,
        fate: Some(PayloadFate::NoPayload),
        outstanding: Some(Outstanding::Nothing),
        exchanged: false,
        waited: None,
        observed,
        ..answered(start, NAME)
    }
}

/// The same flow in another client network.
fn in_another_network(case: Case<'static>) -> Case<'static> {
    Case { source: "another capture", flow_id: case.flow_id + 1, ..case }
}

fn over_minutes(case: impl Fn(i64) -> Case<'static>) -> Vec<Case<'static>> {
    every_minute(0, 8, case)
}

#[test]
fn an_address_that_other_networks_reach_is_blocked_here() {
    let here = over_minutes(unconnected);
    let there = over_minutes(|start| in_another_network(answered(start, NAME)));
    assert_eq!(judge(&here).verdict, Verdict::Unreachable, "one network cannot tell a block from a dead host");
    let judgement = judge(&[here.clone(), there.clone()].concat());
    assert_eq!((judgement.verdict, judgement.trigger), (Verdict::IpBlock, Some(Trigger::ServerIp)));
    assert_eq!((judgement.certainty, judgement.outcome), (Some(Certainty::Likely), Outcome::Failed));
    let other_port = over_minutes(|start| Case { server_port: 5222, ..answered(start + SECOND, NAME) });
    assert_eq!(judge(&[here, there, other_port].concat()).trigger, Some(Trigger::ServerPort));
}

#[test]
fn two_tries_that_fail_where_another_network_connects_are_an_anomaly() {
    let there = (0..6).map(|number| in_another_network(answered(number * 10 * SECOND, NAME))).collect::<Vec<_>>();
    let judgement = judge(&[vec![unconnected(0)], there.clone()].concat());
    assert_eq!(judgement.verdict, Verdict::Unreachable, "once is an accident");
    let twice = [vec![unconnected(0), unconnected(20 * SECOND)], there.clone()].concat();
    let judgement = judge(&twice);
    assert_eq!((judgement.verdict, judgement.certainty), (Verdict::IpBlock, Some(Certainty::Anomaly)));
    assert_eq!(judgement.trigger, Some(Trigger::Undetermined), "no other port was tried");
    assert!(judgement.evidence[1].contains("this client network failed 2 of 2 times, other networks 0 of 6"), "{:?}", judgement.evidence);
    let dead = |start| Case { server_ip: "203.0.113.9", ..unconnected(start) };
    let judgement = judge(&[twice, vec![dead(SECOND), dead(2 * SECOND)]].concat());
    assert_eq!(judgement.verdict, Verdict::Unreachable, "this client was cut off from everything");
}

#[test]
fn a_private_address_is_another_machine_in_every_network() {
    let at_home = |case: Case<'static>| Case { server_ip: "192.168.1.10", ..case };
    let here = over_minutes(|start| at_home(unconnected(start)));
    let there = over_minutes(|start| at_home(in_another_network(answered(start, NAME))));
    let cases = [here, there].concat();
    assert_eq!(judge(&cases).verdict, Verdict::Unreachable);
    assert!(known(&cases).contrasts().iter().all(|row| row.set != ContrastSet::OtherNetworks));
}

#[test]
fn a_server_that_no_network_reaches_is_down() {
    let there = over_minutes(|start| in_another_network(unconnected(start)));
    let judgement = judge(&[over_minutes(unconnected), there].concat());
    assert!(judgement.verdict == Verdict::Unreachable && judgement.confidence < PRIOR, "{judgement:?}");
}

#[test]
fn a_name_that_works_elsewhere_and_others_that_work_here_are_two_conditions() {
    let here = over_minutes(|start| unacked(start, NAME));
    let others = over_minutes(|start| answered(start + SECOND, "www.example.org"));
    let at = |case: Case<'static>| Case { server_ip: "203.0.113.9", flow_id: case.flow_id + 7, ..case };
    let elsewhere = over_minutes(|start| at(answered(start + SECOND, NAME)));
    let blocked_there = over_minutes(|start| at(unacked(start + SECOND, NAME)));
    assert_eq!(judge(&[here.clone(), others.clone(), elsewhere].concat()).trigger, Some(Trigger::Combined));
    assert_eq!(judge(&[here, others, blocked_there].concat()).trigger, Some(Trigger::Sni));
}

#[test]
fn where_all_names_fail_and_other_networks_get_through_it_is_the_address() {
    let both = |start| [unacked(start, NAME), unacked(start + SECOND, "www.example.org")];
    let here: Vec<Case<'static>> = (0..8).flat_map(|minute| both(minute * MINUTE)).collect();
    let there: Vec<Case<'static>> =
        (0..8).flat_map(|minute| [NAME, "www.example.org"].map(|name| in_another_network(answered(minute * MINUTE, name)))).collect();
    let judgement = judge(&[here, there].concat());
    assert_eq!((judgement.verdict, judgement.trigger), (Verdict::SniDrop, Some(Trigger::ServerIp)));
}

#[test]
fn a_client_program_that_fails_where_others_get_the_same_name_is_told_by_its_fingerprint() {
    let with = |ja4: &'static str, case: Case<'static>| Case { ja4: Some(ja4), ..case };
    let app = over_minutes(|start| with("t13d1516h2_8daaf6152771_02713d6af862", unacked(start, NAME)));
    let browser =
        |client_ip| over_minutes(|start| with("t13d1517h2_8daaf6152771_b0da82dd1658", Case { client_ip, ..answered(start + SECOND, NAME) }));
    let judgement = judge(&[app.clone(), browser("192.0.2.1"), browser("192.0.2.2")].concat());
    assert_eq!((judgement.verdict, judgement.trigger), (Verdict::SniDrop, Some(Trigger::TlsFingerprint)));
    let alike = over_minutes(|start| with("t13d1516h2_8daaf6152771_02713d6af862", answered(start + SECOND, NAME)));
    assert_ne!(judge(&[app, alike].concat()).trigger, Some(Trigger::TlsFingerprint), "it gets through as well");
}

#[test]
fn contradictions_with_controls_are_confirmed() {
    let forged = |start| reset(start, NAME, "reset_from_server_side", &["data_after_rst"]);
    let others = || over_minutes(|start| answered(start + SECOND, "www.example.org"));
    let judgement = judge(&[over_minutes(forged), others()].concat());
    assert_eq!((judgement.certainty, judgement.trigger), (Some(Certainty::Confirmed), Some(Trigger::Sni)));
    let odd = |start| reset(start, NAME, "reset_from_server_side", &["rst_too_early"]);
    assert_eq!(judge(&[over_minutes(odd), others()].concat()).certainty, Some(Certainty::Likely));
    assert_eq!(judge(&over_minutes(forged)).certainty, Some(Certainty::Anomaly));
    let also_dropped = [vec![unacked(SECOND / 2, NAME)], over_minutes(forged), others()].concat();
    assert_eq!(judge(&also_dropped).certainty, Some(Certainty::Likely), "this flow contradicts nothing");
}

#[test]
fn what_a_box_may_hold_against_a_client_is_no_comparison() {
    // Behind each failure of the blocked name another name fails within a minute; three minutes later it works.
    let round = |minute: i64| {
        let start = minute * MINUTE;
        [unacked(start, NAME), unacked(start + 40 * SECOND, "www.example.org"), answered(start + 4 * MINUTE, "www.example.org")]
    };
    let cases: Vec<Case<'static>> = (0..6).flat_map(|number| round(number * 6)).collect();
    let knowledge = known(&cases);
    let row = knowledge.contrasts().iter().find(|row| row.host.as_deref() == Some(NAME) && row.set == ContrastSet::OtherNames);
    let row = row.expect("a comparison");
    assert_eq!((row.left_out_residual, row.control_failures), (6, 0), "{row:?}");
    assert_eq!(knowledge.left_out().get("residual_window"), Some(&6));
}

#[test]
fn retries_within_a_minute_are_one_bucket() {
    let retried: Vec<Case<'static>> = (0..30).map(|number| unacked(number * SECOND, NAME)).collect();
    let others: Vec<Case<'static>> = (0..30).map(|number| answered(number * SECOND + 1, "www.example.org")).collect();
    let knowledge = known(&[retried, others].concat());
    let row = knowledge.contrasts().iter().find(|row| row.set == ContrastSet::OtherNames).expect("a comparison");
    assert_eq!((row.buckets, row.failures, row.control_buckets, row.control_failures), (1, 1, 1, 0));
    assert!(row.p_value > 0.4);
}

proptest! {
    /// Comparison is the same whatever the order in which flows come.
    #[test]
    fn the_order_of_flows_makes_no_difference(order in Just((0..32usize).collect::<Vec<_>>()).prop_shuffle()) {
        let cases = [over_minutes(|start| unacked(start, NAME)), over_minutes(|start| answered(start + SECOND, "www.example.org")),
            over_minutes(unconnected), over_minutes(|start| in_another_network(answered(start, NAME)))].concat();
        let shuffled: Vec<Case<'static>> = order.into_iter().map(|place| cases[place].clone()).collect();
        let rows = |cases: &[Case<'_>]| format!("{:?}", known(cases).contrasts());
        prop_assert_eq!(rows(&shuffled), rows(&cases));
    }
}

// Scores.

fn logistic(score: f64, prior: f64) -> f64 {
    1.0 / (1.0 + (-score).exp() * (1.0 - prior) / prior)
}

#[test]
fn of_a_family_only_the_strongest_counts_and_families_add_up() {
    let score = |items: &[&str]| judge(&[reset(0, NAME, "reset_from_server_side", items)]).score;
    let near = |one: f64, other: f64| (one - other).abs() < 1e-9;
    let worth = |item: &str| weights().of(item).weight;
    assert!(near(score(&["rst_too_early"]), worth("rst_too_early")));
    assert!(near(score(&["rst_too_early", "rst_instead_of_answer"]), worth("rst_too_early")), "both are of timing");
    assert!(near(score(&["rst_instead_of_answer", "rst_form"]), worth("rst_instead_of_answer") + worth("rst_form")));
    assert!(near(score(&["an_item_without_a_weight"]), 0.0));
}

#[test]
fn one_flow_proves_only_so_much() {
    let confidence = |items: &[&str]| judge(&[reset(0, NAME, "reset_from_server_side", items)]).confidence;
    assert!((confidence(&["rst_too_early", "rst_form"]) - 0.80).abs() < 0.005);
    assert!((confidence(&["data_after_rst", "rst_too_early", "rst_form"]) - 0.95).abs() < 0.005);
}

#[test]
fn what_decides_proves_and_what_proves_weighs() {
    let named =
        |is: fn(&weights::Worth) -> bool| weights().items().filter(|(_, worth)| is(worth)).map(|(item, _)| item.to_string()).collect::<Vec<_>>();
    assert_eq!(named(|worth| worth.decides), ["data_after_rst", "rst_seq_change", "syn_ack_after_rst"]);
    assert_eq!(named(|worth| worth.decides && !worth.proves), [""; 0]);
    assert_eq!(named(|worth| worth.proves && worth.weight < 2.0), [""; 0]);
    assert_eq!(named(|worth| worth.proves && worth.family == Family::Stage), [""; 0], "a silence has no sender");
}

proptest! {
    /// Confidence is the logistic of score and prior, in the judgement as in the findings.
    #[test]
    fn confidence_follows_from_score_and_prior(
        prior in 0.001f64..0.999,
        items in proptest::sample::subsequence(vec!["data_after_rst", "ack_after_rst", "rst_too_early", "rst_form", "rst_instead_of_answer"], 1..=5),
        others in 0i64..6,
    ) {
        let cases = [vec![reset(0, NAME, "reset_from_server_side", &items)], every_minute(SECOND, others, |start| answered(start, "www.example.org"))];
        let (judgement, findings) = judge_at(prior, &cases.concat());
        prop_assert!((judgement.confidence - logistic(judgement.score, prior)).abs() < 1e-9);
        prop_assert!((findings[0].confidence - logistic(findings[0].score, prior)).abs() < 1e-9);
        prop_assert!(judgement.verdict.is_interference() == (judgement.confidence >= 0.5));
    }

    #[test]
    fn the_order_of_flows_changes_nothing(turn in 0usize..10) {
        let own = every_minute(0, 5, |start| unanswered(start, NAME));
        let others = every_minute(5 * SECOND, 5, |start| answered(start, "www.example.org"));
        let cases = [own, others].concat();
        let mut turned = cases.clone();
        turned.rotate_left(turn);
        let weights = Weights::built_in().expect("the built-in weights are right");
        let judged = |cases: &[Case<'_>], case| Judge { knowledge: &known(cases), weights: &weights, prior: PRIOR }.judge(case).judgement;
        let (one, other) = (judged(&cases, &cases[0]), judged(&turned, &cases[0]));
        prop_assert_eq!((one.verdict, one.evidence), (other.verdict, other.evidence));
        prop_assert_eq!(one.score, other.score);
    }
}
