//! `targets`: what became of all flows to one host at one server from one client network.

use super::column::{Column, NEVER_NULL, Unit, word_index};
use crate::model::rows::TargetRow;
use crate::model::words::*;

const SHARED: &str = "the row that small targets without a service share";

pub const TARGETS: &[Column<TargetRow>] = &[
    Column::text("service", "The service by the catalog.", "no entry of the catalog matches", |row| row.service.as_deref()),
    Column::text("host", "The host's name.", "no name is known; or the row that small targets without a service share", |row| row.host.as_deref()),
    Column::text("server_ip", "The server's address.", SHARED, |row| row.server_ip.as_deref()),
    Column::word::<Transport>("transport", "The transport.", SHARED, |row| row.transport.map(word_index)),
    Column::text("client_network", "The network of the clients.", "it is not known; or the row that small targets share", |row| {
        row.client_network.as_deref()
    }),
    Column::i64("attempts", Unit::Count, "All flows.", NEVER_NULL, |row| Some(row.attempts)),
    Column::i64("worked", Unit::Count, "Flows with the verdict ok.", NEVER_NULL, |row| Some(row.worked)),
    Column::i64("interfered", Unit::Count, "Flows with a verdict of interference.", NEVER_NULL, |row| Some(row.interfered)),
    Column::i64("unreachable", Unit::Count, "Flows with the verdict unreachable.", NEVER_NULL, |row| Some(row.unreachable)),
    Column::i64("unknown", Unit::Count, "Flows of which nothing can be said.", NEVER_NULL, |row| Some(row.unknown)),
    Column::texts(
        "unknown_why",
        "Why nothing can be said of them, each reason with its number of flows: gates of capture quality, or that no answer was owed.",
        |row| row.unknown_why.iter().map(String::as_str).collect(),
    ),
    Column::i64("buckets", Unit::Count, "Ten minutes in which any flow worked or was interfered with.", NEVER_NULL, |row| Some(row.buckets)),
    Column::i64(
        "blocked_buckets",
        Unit::Count,
        "Those of them in which flows were interfered with and none worked: a blocked app retries, so that flows are no independent counts.",
        NEVER_NULL,
        |row| Some(row.blocked_buckets),
    ),
    Column::f64("block_rate", Unit::None, "Share of blocked buckets.", "no bucket", |row| row.block_rate),
    Column::f64("block_rate_low", Unit::None, "Lower end of its 95 % interval (Wilson 1927).", "no bucket", |row| Some(row.block_rate_interval?.0)),
    Column::f64("block_rate_high", Unit::None, "Upper end of it.", "no bucket", |row| Some(row.block_rate_interval?.1)),
    Column::word::<Verdict>(
        "verdict",
        "The word of interference that most of its flows have; without any: ok where a flow worked, unreachable, unknown.",
        NEVER_NULL,
        |row| Some(word_index(row.verdict)),
    ),
    Column::word::<Trigger>("trigger", "What the interference was keyed on, by most flows that tell.", "no flow was interfered with", |row| {
        row.trigger.map(word_index)
    }),
    Column::word::<ContrastSet>("control", "The matched set that tells most.", "nothing failed, or nothing could be compared", |row| {
        row.control.map(word_index)
    }),
    Column::f64("p_value", Unit::Probability, "Its exact probability, as in contrasts.", "nothing was compared", |row| row.p_value),
    Column::f64("q_value", Unit::Probability, "The same, corrected for all comparisons of the run.", "nothing was compared", |row| row.q_value),
    Column::time("first_seen", "When the first flow started.", NEVER_NULL, |row| Some(row.seen?.0)),
    Column::time("last_seen", "When the last flow started.", NEVER_NULL, |row| Some(row.seen?.1)),
    Column::time(
        "changed_at",
        "When a block began or ended: where the series changes most, if chance explains it in one of a hundred cases at the most.",
        "no such change",
        |row| row.changed_at,
    ),
];
