//! One file per item of evidence: claim, why it holds, what else looks so, source, rule, words.

pub mod ack_after_rst;
pub mod cut_after_answer;
pub mod data_after_rst;
pub mod hello_acked_then_silent;
pub mod hello_unacked;
pub mod rst_ahead;
pub mod rst_behind_data;
pub mod rst_form;
pub mod rst_instead_of_answer;
pub mod rst_seq_change;
pub mod rst_too_early;
pub mod syn_ack_after_rst;
pub mod transfer_froze;

use crate::model::words::Mechanism;
use crate::model::{Direction, Span};

use super::features::{Reset, TcpView};

/// Life signs count within this time after a reset (Weaver, Sommer, Paxson, NDSS 2009).
const LIFE_SIGN: Span = Span::from_secs(2);
/// Packets closer than this may have changed places between the queues of a network card.
const SWAPPED: Span = Span::from_millis(1);

fn reset_mechanism(direction: Direction) -> Mechanism {
    match direction {
        Direction::ServerToClient => Mechanism::RstFromServerSide,
        Direction::ClientToServer => Mechanism::RstFromClientSide,
    }
}

/// The first reset of a direction, unless the connection was closing already.
fn first_reset<'a>(view: &'a TcpView<'_>, direction: Direction) -> Option<&'a Reset> {
    view.resets.iter().find(|reset| reset.direction == direction).filter(|reset| !reset.closing)
}
