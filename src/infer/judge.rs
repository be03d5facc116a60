//! From evidence to a verdict: scores, then the rule that chooses the word.

use crate::detect::Detector;
use crate::model::Direction;
use crate::model::Timestamp;
use crate::model::rows::{FindingRow, FirstReset, FoundNote, ItemNote, Judgement};
use crate::model::words::*;

use super::attempts::{self, Failure, failure_by};
use super::contrasts::{Finding, Target};
use super::near::{Alive, Near, WEIGHT_MAX, WEIGHT_MIN};
use super::weights::Worth;
use super::{Case, Knowledge, Weights, detector_of, own_direction};

/// Without comparison one flow proves at most this much (by design: 0.80, and 0.95 with a contradiction, at a prior of 5 %).
const SCORE_MAX_ALONE: f64 = 4.33;
const SCORE_MAX_CONTRADICTION: f64 = 5.89;
/// What an innocent cause that the packets prove takes away (by design).
const BENIGN_WEIGHT: f64 = -4.0;
/// Items of findings that are no packets' but other flows'.
pub const COMPARED: [&str; 2] = ["other_names", "matched_controls"];
/// A claim stands from here on.
const CLAIM: f64 = 0.5;
/// Comparison that names the trigger: the records of the names are seven times likelier if this one is blocked.
const TRIGGER_WEIGHT: f64 = 2.0;
/// Flows of one target whose packets contradict each other, so that with controls it is confirmed (detection.md 13.1).
const CONFIRMING: u32 = 3;

/// Judges cases by what all of them told.
pub struct Judge<'a> {
    pub knowledge: &'a Knowledge,
    pub weights: &'a Weights,
    pub prior: f64,
}

/// A flow, judged.
#[derive(Debug)]
pub struct Judged<'a> {
    pub judgement: Judgement,
    pub findings: Vec<FindingRow>,
    /// What comparison says of its target.
    pub target: Option<&'a Finding>,
    pub check: Check,
}

/// Flows with which nobody can have interfered show how often the detectors are wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Of TCP, where the capture's own side is known: whether its own packets would have been called interference.
    pub own_side: Option<bool>,
    /// Both ends are in one network; and the flow was called interference.
    pub local: Option<bool>,
}

/// What comparison with other flows says.
struct Control<'a> {
    near: Option<&'a Near>,
    by_near: f64,
    target: Option<&'a Finding>,
    by_target: f64,
    weight: f64,
}

/// One detector's finding, weighed.
struct Weighed<'c, 'k> {
    detector: &'static Detector,
    items: Vec<(&'c ItemNote, f64)>,
    control: Control<'k>,
    /// Its packets contradict each other.
    contradiction: bool,
    own_score: f64,
    score: f64,
    confidence: f64,
}

impl<'a> Judge<'a> {
    pub fn judge(&self, case: &Case<'_>) -> Judged<'a> {
        let vantage = self.knowledge.vantage(case.source);
        let own = own_direction(vantage);
        let found = || case.observed.found.iter().filter_map(|found| Some((detector_of(found)?, found)));
        let weighed: Vec<Weighed<'_, 'a>> =
            found().filter(|(detector, _)| Some(detector.accused) != own).map(|(detector, found)| self.weigh(case, detector, found)).collect();
        let wrong = found().filter(|(detector, _)| Some(detector.accused) == own).any(|(detector, found)| self.weigh(case, detector, found).claims());
        let best = weighed.iter().reduce(|best, other| if other.score > best.score { other } else { best });
        let benign = self.benign(case, vantage);
        let (verdict, score) = match best {
            Some(best) if best.claims() => (best.detector.verdict, best.score),
            _ => (self.harmless(case, benign), best.map_or_else(|| self.rest_score(case, benign), |best| best.score)),
        };
        let claim = best.filter(|_| verdict.is_interference());
        let own_score = weighed.iter().map(|finding| finding.own_score).reduce(f64::max).unwrap_or(score);
        let judgement = Judgement {
            vantage,
            outcome: outcome(case, claim, verdict == Verdict::Unreachable),
            verdict,
            mechanism: claim.map(|best| mechanism(best, &weighed)),
            drop_direction: claim.filter(|best| !is_reset(best.detector)).map(|_| drop_direction(case)),
            trigger: claim.map(|best| trigger(case, best)),
            score,
            flow_confidence: self.confidence(own_score),
            confidence: self.confidence(score),
            certainty: best.map(Weighed::certainty),
            evidence: weighed.iter().flat_map(|finding| finding.sentences(case)).collect(),
            alternative: alternative(claim, benign),
            reset: foreign_reset(case, vantage),
        };
        let is_tcp = case.transport == Transport::Tcp;
        let check = Check { own_side: own.filter(|_| is_tcp).map(|_| wrong), local: case.stays_local().then_some(verdict.is_interference()) };
        let target = weighed.iter().find_map(|finding| finding.control.target).or_else(|| self.target(case, false));
        Judged { judgement, findings: weighed.iter().map(|finding| finding.row(case)).collect(), target, check }
    }

    /// The strongest item of each family, comparison, and innocent causes against them.
    fn weigh<'c>(&self, case: &Case<'_>, detector: &'static Detector, found: &'c FoundNote) -> Weighed<'c, 'a> {
        let mut families: Vec<(Family, f64)> = Vec::new();
        let mut items: Vec<(&ItemNote, f64)> = Vec::new();
        for item in &found.items {
            let worth = self.weights.of(&item.id);
            items.push((item, worth.weight));
            match families.iter_mut().find(|(known, _)| *known == worth.family) {
                Some((_, strongest)) => *strongest = strongest.max(worth.weight),
                None => families.push((worth.family, worth.weight)),
            }
        }
        let any = |is: fn(&Worth) -> bool| found.items.iter().any(|item| is(&self.weights.of(&item.id)));
        let (proven_here, contradiction) = (any(|worth| worth.proves), any(|worth| worth.decides));
        if !proven_here {
            families.retain(|(family, _)| *family != Family::Header); // real senders differ in these as well
            items.iter_mut().filter(|(item, _)| self.weights.of(&item.id).family == Family::Header).for_each(|(_, weight)| *weight = 0.0);
        }
        let failure = failure_by(detector.name, found.items.iter().map(|item| item.id.as_str()));
        let control = self.control(case, failure, proven_here);
        let innocent = case.observed.benign.iter().any(|word| excuses(word, detector)) && !proven_here;
        let own_score = families.iter().map(|(_, weight)| weight).sum::<f64>() + if innocent { BENIGN_WEIGHT } else { 0.0 };
        let alone = if contradiction { SCORE_MAX_CONTRADICTION } else { SCORE_MAX_ALONE };
        let ceiling = if control.weight > 0.0 { f64::INFINITY } else { alone };
        let decoys = case.fails(Gate::DesyncTool) && (!is_reset(detector) || detector.accused == Direction::ClientToServer);
        let gated = decoys || (!contradiction && (case.fails(Gate::Midstream) || case.fails(Gate::Oneway)));
        let ceiling = if gated { ceiling.min(-logit(self.prior) - f64::EPSILON.sqrt()) } else { ceiling };
        let score = (own_score + control.weight).min(ceiling);
        Weighed { detector, items, control, contradiction, own_score: own_score.min(alone), score, confidence: self.confidence(score) }
    }

    /// What other flows say: those around this one, and matched controls of its target.
    fn control(&self, case: &Case<'_>, failure: Failure, proven_here: bool) -> Control<'a> {
        let near = self.knowledge.near.get(&case.flow_id).filter(|near| near.tells());
        let by_near = near.map_or(0.0, |near| near.weight(failure));
        let target = self.target(case, failure == Failure::Connect);
        let by_target = match target {
            Some(finding) if finding.holds => WEIGHT_MAX,
            Some(finding) if finding.is_refuted && near.is_none_or(|near| near.alive == Alive::NotSeen) => WEIGHT_MIN,
            _ => 0.0,
        };
        let weight = match by_target {
            0.0 => by_near,
            against if against < 0.0 => by_near.min(against),
            for_it => by_near.max(for_it),
        };
        let weight = if proven_here { weight.max(0.0) } else { weight }; // controls may be blocked as well
        Control { near, by_near, target, by_target, weight }
    }

    /// What comparison says of the flow's target.
    fn target(&self, case: &Case<'_>, connects: bool) -> Option<&'a Finding> {
        let network = attempts::key(case.network());
        self.knowledge.finding(&Target::new(network, attempts::endpoint(case), attempts::name_key(case), connects))
    }

    fn confidence(&self, score: f64) -> f64 {
        1.0 / (1.0 + (-(score + logit(self.prior))).exp())
    }

    /// The strongest innocent cause, the capture's own side included.
    fn benign(&self, case: &Case<'_>, vantage: Vantage) -> Option<Benign> {
        let own = own_direction(vantage)
            .is_some_and(|own| case.observed.found.iter().filter_map(detector_of).any(|detector| is_reset(detector) && detector.accused == own));
        let causes = || case.observed.benign.iter().filter_map(|word| Benign::from_word(word));
        if own { Some(Benign::OwnReset) } else { causes().find(|cause| explains_the_end(*cause)).or_else(|| causes().next()) }
    }

    /// The word for a flow that nothing accuses.
    fn harmless(&self, case: &Case<'_>, benign: Option<Benign>) -> Verdict {
        let proven = benign.is_some_and(explains_the_end);
        let parted = case.tcp_state == Some(TcpState::Sf); // whatever is owed then is an acknowledgement of the end
        if (case.exchanged && (case.is_settled() || parted)) || proven {
            return Verdict::Ok;
        }
        let gated = case.fails(Gate::Midstream) || case.fails(Gate::Oneway) || case.fails(Gate::TruncatedEnd);
        if gated || !case.answer_owed { Verdict::Unknown } else { Verdict::Unreachable }
    }

    /// Where no item fired: nothing speaks for interference, and what worked speaks against it.
    fn rest_score(&self, case: &Case<'_>, benign: Option<Benign>) -> f64 {
        if case.exchanged || benign.is_some() { BENIGN_WEIGHT } else { 0.0 }
    }
}

impl Weighed<'_, '_> {
    /// Whether it would be a verdict.
    fn claims(&self) -> bool {
        self.confidence >= CLAIM
    }

    fn certainty(&self) -> Certainty {
        match self.control.target.filter(|finding| finding.holds) {
            _ if !self.claims() => Certainty::Suspicion,
            Some(finding) if self.contradiction && finding.contradicted >= CONFIRMING => Certainty::Confirmed,
            Some(_) => Certainty::Likely,
            None => Certainty::Anomaly,
        }
    }

    fn sentences(&self, case: &Case<'_>) -> Vec<String> {
        let items = self.items.iter().map(|(item, _)| item.seen.says.clone());
        let connects = self.detector.verdict == Verdict::IpBlock;
        items.chain(self.control.near.map(|near| around(case, near, connects))).chain(self.control.target.and_then(controls)).collect()
    }

    /// Ids and weights of what comparison gives.
    fn compared(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let [by_near, by_target] = COMPARED;
        let near = self.control.near.map(|_| (by_near, self.control.by_near));
        near.into_iter().chain((self.control.by_target != 0.0).then_some((by_target, self.control.by_target)))
    }

    fn row(&self, case: &Case<'_>) -> FindingRow {
        let packets = || self.items.iter().flat_map(|(item, _)| &item.seen.packets);
        FindingRow {
            source: case.source.into(),
            flow_id: case.flow_id,
            detector: self.detector.name.into(),
            verdict: self.detector.verdict,
            mechanism: own_mechanism(self),
            score: self.score,
            confidence: self.confidence,
            certainty: self.certainty(),
            items: self.items.iter().map(|(item, _)| item.id.clone()).chain(self.compared().map(|(id, _)| id.into())).collect(),
            item_scores: self.items.iter().map(|(_, weight)| *weight).chain(self.compared().map(|(_, weight)| weight)).collect(),
            packets: packets().map(|(_, number)| *number).collect(),
            packet_captures: packets().map(|(capture, _)| capture.to_string()).collect(),
            time: Timestamp(self.items.iter().map(|(item, _)| item.time).min().unwrap_or(case.start).saturating_mul(1_000)),
            evidence: self.sentences(case),
        }
    }
}

fn logit(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

fn is_reset(detector: &Detector) -> bool {
    detector.verdict == Verdict::RstInjection
}

/// What the flows around it tell, in words.
fn around(case: &Case<'_>, near: &Near, connects: bool) -> String {
    let alive = match near.alive {
        Alive::Meanwhile => "; the silent machine took part in another connection meanwhile",
        Alive::BeforeAndAfter => "; the silent machine took part in other connections shortly before and after",
        Alive::NotSeen => "",
    };
    let (own, others) = match case.name() {
        _ if connects => ("this client network", "other networks"),
        Some(_) => ("this name", "other names"),
        None => ("connections without a name", "those with one"),
    };
    let follows = near.follows.map_or(String::new(), |since| {
        format!("; {:.0} s before the same client had failed there in the same way under another name", since as f64 / 1e6)
    });
    let elsewhere = match near {
        near if near.is_cut_off() => "; meanwhile this client got through nowhere else either",
        Near { elsewhere_lived: 1.., .. } => "; meanwhile other servers answered this client",
        _ => "",
    };
    let Near { failed, tried, others_failed, others_tried, .. } = near;
    if *tried == 0 {
        return elsewhere.trim_start_matches("; ").into();
    }
    format!(
        "within 5 min on the same server: {own} failed {failed} of {tried} times, {others} {others_failed} of {others_tried}{alive}{follows}{elsewhere}"
    )
}

/// What matched controls tell, in words; none where they do not tell.
fn controls(finding: &Finding) -> Option<String> {
    let (set, q_value) = (finding.control?, finding.q_value?);
    let Finding { failures, buckets, control_failures, control_buckets, .. } = finding;
    let shared = set.meaning().split(':').next().unwrap_or_default();
    let networks = if finding.holds && finding.in_one_network { "; seen from one client network only" } else { "" };
    (finding.holds || finding.is_refuted).then(|| {
        format!(
            "matched controls ({shared}): this target failed in {failures} of {buckets} buckets, they in {control_failures} of {control_buckets} (q = {q_value:.1e}){networks}"
        )
    })
}

/// The first reset that the capture's own side did not send.
fn foreign_reset(case: &Case<'_>, vantage: Vantage) -> Option<FirstReset> {
    let [c2s, s2c] = &case.observed.first_resets;
    let foreign = |own: Direction, reset: &Option<FirstReset>| reset.clone().filter(|_| own_direction(vantage) != Some(own));
    let both = [foreign(Direction::ClientToServer, c2s), foreign(Direction::ServerToClient, s2c)];
    both.into_iter().flatten().min_by(|one, other| one.ms.total_cmp(&other.ms))
}

/// Whether a proven cause explains how the flow ended, so that nothing is left to ask.
fn explains_the_end(cause: Benign) -> bool {
    match cause {
        Benign::OwnReset | Benign::Alert | Benign::Closed | Benign::IdleReset | Benign::ServerAbort | Benign::ReceiverWindow => true,
        Benign::Scan | Benign::Unused => true,
        Benign::Refused | Benign::PathMtu | Benign::EarlyGiveUp | Benign::IdlePath => false,
    }
}

/// Whether an innocent cause speaks against what the detector found.
fn excuses(word: &str, detector: &Detector) -> bool {
    match Benign::from_word(word) {
        Some(Benign::ReceiverWindow | Benign::PathMtu | Benign::EarlyGiveUp | Benign::IdlePath) => !is_reset(detector),
        Some(Benign::Alert | Benign::Closed | Benign::IdleReset | Benign::ServerAbort | Benign::Refused | Benign::Scan | Benign::Unused) => {
            is_reset(detector)
        }
        _ => false,
    }
}

/// The mechanism of the strongest item.
fn own_mechanism(finding: &Weighed<'_, '_>) -> Mechanism {
    let strongest = finding.items.iter().reduce(|best, other| if other.1 > best.1 { other } else { best });
    strongest.and_then(|(item, _)| Mechanism::from_word(&item.mechanism)).unwrap_or(Mechanism::RstFromServerSide)
}

fn mechanism(best: &Weighed<'_, '_>, all: &[Weighed<'_, '_>]) -> Mechanism {
    let resets = all.iter().filter(|finding| is_reset(finding.detector) && finding.claims()).count();
    if is_reset(best.detector) && resets > 1 { Mechanism::RstBothSides } else { own_mechanism(best) }
}

/// A server that closes without having acknowledged a request that was repeated to it: its own packets come through.
fn drop_direction(case: &Case<'_>) -> Way {
    let proven = case.observed.lost.as_deref().and_then(Way::from_word);
    proven.unwrap_or(if case.fate == Some(PayloadFate::Closed) { Way::C2s } else { Way::Unknown })
}

/// Others on the same server fared otherwise: the name did it, or its being without one.
fn trigger(case: &Case<'_>, claim: &Weighed<'_, '_>) -> Trigger {
    let nameless = if claim.detector.verdict == Verdict::ProtocolBlock { Trigger::Protocol } else { Trigger::Undetermined };
    let by_controls = claim.control.target.and_then(|finding| finding.trigger);
    by_controls.unwrap_or(match claim.control.near {
        _ if claim.detector.verdict == Verdict::IpBlock => Trigger::Undetermined, // the address, or its port
        Some(near) if near.by_names >= TRIGGER_WEIGHT && near.others_tried > 0 => case.name().map_or(nameless, |(_, trigger)| trigger),
        _ => Trigger::Undetermined,
    })
}

/// The innocent reading of the strongest item, or the innocent cause that was proven.
fn alternative(claim: Option<&Weighed<'_, '_>>, benign: Option<Benign>) -> Option<String> {
    match claim {
        Some(claim) => claim.items.first().map(|(item, _)| item.unless.clone()),
        None => benign.map(|cause| format!("{}: {}", cause.word(), cause.meaning())),
    }
}

/// What the user got.
fn outcome(case: &Case<'_>, claim: Option<&Weighed<'_, '_>>, is_unreachable: bool) -> Outcome {
    let broken = claim.is_some() || is_unreachable;
    if case.transport != Transport::Tcp {
        return match (case.exchanged, case.answer_owed) {
            (true, _) => Outcome::Worked,
            (false, true) => Outcome::Failed,
            (false, false) => Outcome::Unknown,
        };
    }
    let proven = |causes: &[Benign]| causes.iter().any(|cause| case.observed.benign.iter().any(|word| word == cause.word()));
    let reset = case.s2c_rst > 0 && !proven(&[Benign::Closed, Benign::IdleReset]);
    let unheard = claim.is_some_and(|claim| claim.items.iter().any(|(item, _)| item.id == "rst_before_any_answer"));
    let stuck = matches!(case.outstanding, Some(Outstanding::ClientUnacked | Outstanding::ServerUnacked)) && case.payload_repeats >= 3;
    match case.fate {
        Some(PayloadFate::NoPayload) | None => match case.tcp_state {
            _ if proven(&[Benign::Scan, Benign::Unused]) => Outcome::Worked, // more was not wanted
            // Nothing was asked, and both ends parted in good order.
            Some(TcpState::Sf | TcpState::S2 | TcpState::S3) => Outcome::Worked,
            Some(TcpState::S0 | TcpState::Rej | TcpState::Rstos0) => Outcome::Failed,
            _ => Outcome::Unknown,
        },
        _ if unheard => Outcome::Failed,
        // The reset lost the race.
        Some(PayloadFate::Reset) if case.exchanged && case.is_settled() => Outcome::Worked,
        _ if case.exchanged && (reset || stuck || broken) => Outcome::Degraded,
        _ if case.exchanged => Outcome::Worked,
        _ if case.fails(Gate::Midstream) || case.fails(Gate::Oneway) => Outcome::Unknown,
        _ => Outcome::Failed,
    }
}
