//! `findings`: one row per flow and detector that fired.

use super::column::{Column, NEVER_NULL, Unit, word_index};
use crate::model::rows::FindingRow;
use crate::model::words::*;

pub const FINDINGS: &[Column<FindingRow>] = &[
    Column::text("source", "The capture point.", NEVER_NULL, |row| Some(&row.source)),
    Column::i64("flow_id", Unit::None, "The flow.", NEVER_NULL, |row| Some(row.flow_id)),
    Column::text("detector", "Which detector fired.", NEVER_NULL, |row| Some(&row.detector)),
    Column::word::<Verdict>("verdict", "What it would say.", NEVER_NULL, |row| Some(word_index(row.verdict))),
    Column::word::<Mechanism>("mechanism", "What was seen.", NEVER_NULL, |row| Some(word_index(row.mechanism))),
    Column::f64("score", Unit::LogLikelihood, "Sum over the families of evidence.", NEVER_NULL, |row| Some(row.score)),
    Column::f64("confidence", Unit::Probability, "logistic(score + logit(prior)).", NEVER_NULL, |row| Some(row.confidence)),
    Column::word::<Certainty>("certainty", "How far it is supported.", NEVER_NULL, |row| Some(word_index(row.certainty))),
    Column::texts("items", "Items of evidence, by id.", |row| row.items.iter().map(String::as_str).collect()),
    Column::f64s("item_scores", Unit::LogLikelihood, "What each item weighs.", |row| &row.item_scores),
    Column::i64s("packets", Unit::None, "Packets that show it, by number in their file.", |row| &row.packets),
    Column::texts("packet_captures", "The files of these packets, in the same order.", |row| {
        row.packet_captures.iter().map(String::as_str).collect()
    }),
    Column::time("time", "When the first of them passed.", NEVER_NULL, |row| Some(row.time)),
    Column::texts("evidence", "What was seen, one sentence per item.", |row| row.evidence.iter().map(String::as_str).collect()),
];
