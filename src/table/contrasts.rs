//! `contrasts`: one row per matched comparison that was made.

use super::column::{Column, NEVER_NULL, Unit, word_index};
use crate::model::rows::ContrastRow;
use crate::model::words::*;

pub const CONTRASTS: &[Column<ContrastRow>] = &[
    Column::text("client_network", "The network from which the target was tried; without --asn-table the source.", NEVER_NULL, |row| {
        Some(&row.client_network)
    }),
    Column::text("server_ip", "The server's address.", NEVER_NULL, |row| Some(&row.server_ip)),
    Column::i32("server_port", "The server's port.", NEVER_NULL, |row| Some(row.server_port)),
    Column::word::<Transport>("transport", "The transport.", NEVER_NULL, |row| Some(word_index(row.transport))),
    Column::text(
        "host",
        "The name that was asked for, in lower case.",
        "flows without a name; and where no connection came about, which is compared without regard to names",
        |row| row.host.as_deref(),
    ),
    Column::word::<ContrastSet>("set", "What target and controls share, and by what they differ.", NEVER_NULL, |row| Some(word_index(row.set))),
    Column::i64(
        "buckets",
        Unit::Count,
        "Buckets of the target: attempts of one client within a minute. Of set E: minutes from changed_at on.",
        NEVER_NULL,
        |row| Some(row.buckets),
    ),
    Column::i64("failures", Unit::Count, "Those of them in which no attempt worked.", NEVER_NULL, |row| Some(row.failures)),
    Column::i64("control_buckets", Unit::Count, "Buckets of the controls. Of set E: minutes before.", NEVER_NULL, |row| Some(row.control_buckets)),
    Column::i64("control_failures", Unit::Count, "Those of them in which no attempt worked.", NEVER_NULL, |row| Some(row.control_failures)),
    Column::f64("risk_difference", Unit::None, "Share of failures of the target less that of the controls.", NEVER_NULL, |row| {
        Some(row.risk_difference)
    }),
    Column::f64("risk_difference_low", Unit::None, "Lower end of its 95 % interval (Newcombe 1998, method 10).", NEVER_NULL, |row| {
        Some(row.risk_difference_low)
    }),
    Column::f64("risk_difference_high", Unit::None, "Upper end of it.", NEVER_NULL, |row| Some(row.risk_difference_high)),
    Column::f64(
        "p_value",
        Unit::Probability,
        "Probability of as many failures of the target or more if it fails as its controls do: exact, stratified by client, server and ten minutes. Of set E: \
    of a change as large, either way.",
        NEVER_NULL,
        |row| Some(row.p_value),
    ),
    Column::f64("q_value", Unit::Probability, "The same, corrected for all comparisons of the run (Benjamini, Hochberg 1995).", NEVER_NULL, |row| {
        Some(row.q_value)
    }),
    Column::i64("clients", Unit::Count, "Clients of the target that were compared.", NEVER_NULL, |row| Some(row.clients)),
    Column::i64("strata", Unit::Count, "Strata in which there were controls.", NEVER_NULL, |row| Some(row.strata)),
    Column::i64(
        "left_out_residual",
        Unit::Count,
        "Flows at this endpoint that started while an earlier failure under another name may have been held against their client: neither counted nor controls.",
        NEVER_NULL,
        |row| Some(row.left_out_residual),
    ),
    Column::i64(
        "left_out_quality",
        Unit::Count,
        "Flows of the target that a gate of capture quality, or a client's decoys, left out.",
        NEVER_NULL,
        |row| Some(row.left_out_quality),
    ),
    Column::time("changed_at", "Of set E: the minute from which on it was otherwise.", "another set", |row| row.changed_at),
];
