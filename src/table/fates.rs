//! `fates` of `compare`: one row per packet of a compared flow and capture.

use super::column::{Column, NEVER_NULL, Unit, word_index};
use crate::model::rows::FateRow;
use crate::model::words::{Fate, Way};

const NO_PEER: &str = "the other capture does not hold the packet as one of its own";

pub const FATES: &[Column<FateRow>] = &[
    Column::i64("flow_id", Unit::None, "The flow, as in flows of the same run.", NEVER_NULL, |row| Some(row.flow_id)),
    Column::text("capture", "The file that holds the packet.", NEVER_NULL, |row| Some(&row.capture)),
    Column::i64("packet", Unit::None, "Its 1-based number in that file.", NEVER_NULL, |row| Some(row.packet)),
    Column::time("time", "Its time, by the clock of that capture.", NEVER_NULL, |row| Some(row.time)),
    Column::word::<Way>("direction", "The direction that its addresses claim.", NEVER_NULL, |row| Some(word_index(Way::from(row.direction)))),
    Column::word::<Fate>("fate", "What became of it between the two captures.", NEVER_NULL, |row| Some(word_index(row.fate))),
    Column::text("peer_capture", "The file of the other end that holds the packet too.", NO_PEER, |row| {
        row.peer.as_ref().map(|(capture, _)| &**capture)
    }),
    Column::i64("peer_packet", Unit::None, "Its number there.", NO_PEER, |row| row.peer.as_ref().map(|&(_, packet)| packet)),
    Column::f64("delay_ms", Unit::Milliseconds, "From sender to receiver, clocks aligned.", NO_PEER, |row| row.delay_ms),
];
