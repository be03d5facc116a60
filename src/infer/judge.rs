//! From evidence to a verdict: scores, then the rule that chooses the word.

use crate::detect::{DETECTORS, Detector};
use crate::model::Direction;
use crate::model::Timestamp;
use crate::model::rows::{FindingRow, FirstReset, FoundNote, ItemNote, Judgement};
use crate::model::words::*;

use super::names::{Alive, BUCKETS_MIN, Comparison, failure_by};
use super::{Case, Knowledge, Weights};

/// Without comparison one flow proves at most this much (by design: 0.80, and 0.95 with a contradiction, at a prior of 5 %).
const SCORE_MAX_ALONE: f64 = 4.33;
const SCORE_MAX_CONTRADICTION: f64 = 5.89;
/// What an innocent cause that the packets prove takes away (by design).
const BENIGN_WEIGHT: f64 = -4.0;
/// From here on an item proves by itself that the packet is not the claimed sender's.
const PROOF: f64 = 2.0;
/// A claim stands from here on.
const CLAIM: f64 = 0.5;
/// Comparison that names the trigger: others were answered six times as often.
const TRIGGER_WEIGHT: f64 = 1.5;

/// Judges cases by what all of them told.
pub struct Judge<'a> {
    pub knowledge: &'a Knowledge,
    pub weights: &'a Weights,
    pub prior: f64,
}

/// One detector's finding, weighed.
struct Weighed<'a> {
    detector: &'static Detector,
    items: Vec<(&'a ItemNote, f64)>,
    comparison: Option<Comparison>,
    own_score: f64,
    score: f64,
    confidence: f64,
}

impl Judge<'_> {
    pub fn judge(&self, case: &Case<'_>) -> (Judgement, Vec<FindingRow>) {
        let vantage = self.knowledge.vantage(case.source);
        let accusable = case.observed.found.iter().filter_map(|found| Some((detector_of(found)?, found)));
        let weighed: Vec<Weighed<'_>> = accusable
            .filter(|(detector, _)| Some(detector.accused) != own_direction(vantage))
            .map(|(detector, found)| self.weigh(case, detector, found))
            .collect();
        let best = weighed.iter().reduce(|best, other| if other.score > best.score { other } else { best });
        let benign = self.benign(case, vantage);
        let (verdict, score) = match best {
            Some(best) if best.confidence >= CLAIM => (best.detector.verdict, best.score),
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
        (judgement, weighed.iter().map(|finding| finding.row(case)).collect())
    }

    /// The strongest item of each family, comparison, and innocent causes against them.
    fn weigh<'c>(&self, case: &Case<'_>, detector: &'static Detector, found: &'c FoundNote) -> Weighed<'c> {
        let mut families: Vec<(Family, f64)> = Vec::new();
        let mut items: Vec<(&ItemNote, f64)> = Vec::new();
        for item in &found.items {
            let (family, weight) = self.weights.of(&item.id);
            items.push((item, weight));
            match families.iter_mut().find(|(known, _)| *known == family) {
                Some((_, strongest)) => *strongest = strongest.max(weight),
                None => families.push((family, weight)),
            }
        }
        let proven_here = families.iter().any(|(family, weight)| matches!(family, Family::Contradiction | Family::Timing) && *weight >= PROOF);
        if !proven_here {
            families.retain(|(family, _)| *family != Family::Header); // real senders differ in these as well
            items.iter_mut().filter(|(item, _)| self.weights.of(&item.id).0 == Family::Header).for_each(|(_, weight)| *weight = 0.0);
        }
        let contradiction = families.iter().any(|(family, weight)| *family == Family::Contradiction && *weight >= 4.0);
        let failure = failure_by(detector.name, found.items.iter().map(|item| item.id.as_str()));
        let mut comparison = self.knowledge.names.compare(case, failure, detector.accused);
        if let Some(comparison) = comparison.as_mut().filter(|_| proven_here) {
            comparison.weight = comparison.weight.max(0.0); // other names may be blocked as well
        }
        let innocent = case.observed.benign.iter().any(|word| excuses(word, detector)) && !proven_here;
        let own_score = families.iter().map(|(_, weight)| weight).sum::<f64>() + if innocent { BENIGN_WEIGHT } else { 0.0 };
        let ceiling = match (&comparison, contradiction) {
            (Some(comparison), _) if comparison.weight > 0.0 => f64::INFINITY,
            (_, true) => SCORE_MAX_CONTRADICTION,
            _ => SCORE_MAX_ALONE,
        };
        let decoys = case.fails(Gate::DesyncTool) && (!is_reset(detector) || detector.accused == Direction::ClientToServer);
        let gated = decoys || (!contradiction && (case.fails(Gate::Midstream) || case.fails(Gate::Oneway)));
        let ceiling = if gated { ceiling.min(-logit(self.prior) - f64::EPSILON.sqrt()) } else { ceiling };
        let score = (own_score + comparison.as_ref().map_or(0.0, |comparison| comparison.weight)).min(ceiling);
        let own_score = own_score.min(if contradiction { SCORE_MAX_CONTRADICTION } else { SCORE_MAX_ALONE });
        Weighed { detector, items, comparison, own_score, score, confidence: self.confidence(score) }
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
        if (case.exchanged && case.is_settled()) || proven {
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

impl Weighed<'_> {
    fn certainty(&self) -> Certainty {
        if self.confidence < CLAIM {
            return Certainty::Suspicion;
        }
        let controlled = |comparison: &Comparison| {
            comparison.weight > 0.0 && comparison.failed_buckets >= BUCKETS_MIN && comparison.answered_buckets >= BUCKETS_MIN
        };
        if self.comparison.as_ref().is_some_and(controlled) { Certainty::Likely } else { Certainty::Anomaly }
    }

    fn sentences(&self, case: &Case<'_>) -> Vec<String> {
        let compared = self.comparison.as_ref().map(|comparison| {
            let alive = match comparison.alive {
                Alive::Meanwhile => "; the silent machine took part in another connection meanwhile",
                Alive::BeforeAndAfter => "; the silent machine took part in other connections shortly before and after",
                Alive::NotSeen => "",
            };
            let (own, others) = if case.name().is_some() { ("this name", "other names") } else { ("connections without a name", "those with one") };
            let follows = comparison.follows.map_or(String::new(), |since| {
                format!("; {:.0} s before the same client had failed there in the same way under another name", since as f64 / 1e6)
            });
            format!(
                "within 5 min on the same server: {own} failed {} of {} times, {others} {} of {}{alive}{follows}",
                comparison.failed, comparison.tried, comparison.others_failed, comparison.others_tried
            )
        });
        self.items.iter().map(|(item, _)| item.says.clone()).chain(compared).collect()
    }

    fn row(&self, case: &Case<'_>) -> FindingRow {
        let packets = || self.items.iter().flat_map(|(item, _)| &item.packets);
        let compared = self.comparison.as_ref().map(|comparison| comparison.weight);
        FindingRow {
            source: case.source.into(),
            flow_id: case.flow_id,
            detector: self.detector.name.into(),
            verdict: self.detector.verdict,
            mechanism: own_mechanism(self),
            score: self.score,
            confidence: self.confidence,
            certainty: self.certainty(),
            items: self.items.iter().map(|(item, _)| item.id.clone()).chain(compared.map(|_| "other_names".into())).collect(),
            item_scores: self.items.iter().map(|(_, weight)| *weight).chain(compared).collect(),
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

fn detector_of(found: &FoundNote) -> Option<&'static Detector> {
    DETECTORS.iter().find(|detector| detector.name == found.detector)
}

fn is_reset(detector: &Detector) -> bool {
    detector.verdict == Verdict::RstInjection
}

/// The direction of the packets that the capture's own side sent: nothing can have been done to them yet.
fn own_direction(vantage: Vantage) -> Option<Direction> {
    match vantage {
        Vantage::Client => Some(Direction::ClientToServer),
        Vantage::Server => Some(Direction::ServerToClient),
        Vantage::Transit | Vantage::Unknown => None,
    }
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
fn own_mechanism(finding: &Weighed<'_>) -> Mechanism {
    let strongest = finding.items.iter().reduce(|best, other| if other.1 > best.1 { other } else { best });
    strongest.and_then(|(item, _)| Mechanism::from_word(&item.mechanism)).unwrap_or(Mechanism::RstFromServerSide)
}

fn mechanism(best: &Weighed<'_>, all: &[Weighed<'_>]) -> Mechanism {
    let resets = all.iter().filter(|finding| is_reset(finding.detector) && finding.confidence >= CLAIM).count();
    if is_reset(best.detector) && resets > 1 { Mechanism::RstBothSides } else { own_mechanism(best) }
}

/// A server that closes without having acknowledged a request that was repeated to it: its own packets come through.
fn drop_direction(case: &Case<'_>) -> Way {
    let proven = case.observed.lost.as_deref().and_then(Way::from_word);
    proven.unwrap_or(if case.fate == Some(PayloadFate::Closed) { Way::C2s } else { Way::Unknown })
}

/// Others on the same server fared otherwise: the name did it, or its being without one.
fn trigger(case: &Case<'_>, claim: &Weighed<'_>) -> Trigger {
    let nameless = if claim.detector.verdict == Verdict::ProtocolBlock { Trigger::Protocol } else { Trigger::Undetermined };
    match &claim.comparison {
        Some(comparison) if comparison.by_names >= TRIGGER_WEIGHT && comparison.others_tried > 0 => {
            case.name().map_or(nameless, |(_, trigger)| trigger)
        }
        _ => Trigger::Undetermined,
    }
}

/// The innocent reading of the strongest item, or the innocent cause that was proven.
fn alternative(claim: Option<&Weighed<'_>>, benign: Option<Benign>) -> Option<String> {
    match claim {
        Some(claim) => claim.items.first().map(|(item, _)| item.unless.clone()),
        None => benign.map(|cause| format!("{}: {}", cause.word(), cause.meaning())),
    }
}

/// What the user got.
fn outcome(case: &Case<'_>, claim: Option<&Weighed<'_>>, is_unreachable: bool) -> Outcome {
    let broken = claim.is_some() || is_unreachable;
    if case.transport != Transport::Tcp {
        return match (case.exchanged, case.answer_owed) {
            (true, _) => Outcome::Worked,
            (false, true) => Outcome::Failed,
            (false, false) => Outcome::Unknown,
        };
    }
    let harmless = |word: &String| [Benign::Closed, Benign::IdleReset].iter().any(|cause| cause.word() == word);
    let reset = case.s2c_rst > 0 && !case.observed.benign.iter().any(harmless);
    let unheard = claim.is_some_and(|claim| claim.items.iter().any(|(item, _)| item.id == "rst_before_any_answer"));
    let stuck = matches!(case.outstanding, Some(Outstanding::ClientUnacked | Outstanding::ServerUnacked)) && case.payload_repeats >= 3;
    match case.fate {
        Some(PayloadFate::NoPayload) | None => match case.tcp_state {
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
        _ if case.fails(Gate::Midstream) => Outcome::Unknown,
        _ => Outcome::Failed,
    }
}
