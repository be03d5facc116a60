//! One file per item of evidence: claim, why it holds, what else looks so, source, rule, words.

pub mod ack_after_rst;
pub mod cut_after_answer;
pub mod data_after_rst;
pub mod initial_unanswered;
pub mod payload_acked_then_silent;
pub mod payload_unacked;
pub mod rst_ack_change;
pub mod rst_ahead;
pub mod rst_behind_data;
pub mod rst_form;
pub mod rst_instead_of_answer;
pub mod rst_odd_header;
pub mod rst_other_path;
pub mod rst_repeated;
pub mod rst_seq_change;
pub mod rst_timestamp;
pub mod rst_too_early;
pub mod syn_ack_after_rst;
pub mod syn_unanswered;
pub mod transfer_froze;

use crate::model::Direction;
use crate::model::words::Mechanism;

use super::features::{Reset, TcpView};

fn reset_mechanism(direction: Direction) -> Mechanism {
    match direction {
        Direction::ServerToClient => Mechanism::RstFromServerSide,
        Direction::ClientToServer => Mechanism::RstFromClientSide,
    }
}

/// The first reset of a direction, unless the connection was closing already.
fn first_reset<'a, 'b>(view: &'a TcpView<'b>, direction: Direction) -> Option<&'a Reset<'b>> {
    view.resets.iter().find(|reset| reset.direction == direction).filter(|reset| !reset.closing)
}

/// The resets of a direction that came before anything closed the connection.
fn resets<'a, 'b>(view: &'a TcpView<'b>, direction: Direction) -> impl Iterator<Item = &'a Reset<'b>> {
    view.resets.iter().filter(move |reset| reset.direction == direction && !reset.closing)
}
