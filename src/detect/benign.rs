//! Innocent causes that the packets themselves prove, in the order in which they are asked: what the client did, what the path does to everyone, what the
//! server did.
//!
//! Those of the capture (gates) come before, those that need other flows (an outage, a server that fails for all) come after, in `infer`.

use crate::flow::PacketRecord;
use crate::flow::limits::RESET_SLACK;
use crate::model::words::{Benign, PayloadFate};
use crate::model::{Direction, Span};

use super::features::{Form, TcpView};

/// Load balancers and address translators drop idle connections after 30 s at the earliest (common settings are 60, 300, 350 s and more).
const IDLE: Span = Span::from_secs(30);
/// An answer is not overdue before this.
const PATIENCE: Span = Span::from_secs(10);

/// Whether an innocent cause is proven.
type Proof = fn(&TcpView<'_>) -> bool;

const CAUSES: &[(Benign, Proof)] = &[
    (Benign::Scan, answers_syn_ack_by_reset),
    (Benign::Unused, was_never_used),
    (Benign::EarlyGiveUp, gave_up_early),
    (Benign::PathMtu, loses_full_size_packets),
    (Benign::IdlePath, died_idle),
    (Benign::ReceiverWindow, window_was_closed),
    (Benign::Refused, was_refused),
    (Benign::Alert, |view| view.request.as_ref().is_some_and(|request| request.fate == PayloadFate::Alert)),
    (Benign::Closed, |view| view.resets.first().is_some_and(|reset| reset.closing)),
    (Benign::IdleReset, |view| view.resets.first().is_some_and(|reset| !reset.closing && reset.record.idle >= IDLE)),
    (Benign::ServerAbort, was_aborted_behind_an_exchange),
];

pub fn proven(view: &TcpView<'_>) -> Vec<Benign> {
    CAUSES.iter().filter(|(_, proof)| proof(view)).map(|(cause, _)| *cause).collect()
}

/// A scanner's kernel knows of no connection: it resets what answers its SYN (RFC 9293 section 3.10.7.1).
fn answers_syn_ack_by_reset(view: &TcpView<'_>) -> bool {
    let first = view.resets.first();
    let by_client = first.is_some_and(|reset| reset.direction == Direction::ClientToServer && reset.ack.is_none());
    by_client && view.tcp.handshake.syn_ack.is_some() && view.tcp.handshake.ack.is_none()
}

/// Opened in advance, or in a race with another address (RFC 8305), and given up by the client without a byte of payload.
fn was_never_used(view: &TcpView<'_>) -> bool {
    let silent = Direction::BOTH.iter().all(|&direction| view.tcp.sides[view.side(direction)].new_payload_bytes == 0);
    let ends = |record: &&PacketRecord| record.flags.ends();
    let first_end = view.tcp.log.iter().find(ends);
    let by_client = first_end.is_some_and(|end| view.direction(end) == Direction::ClientToServer);
    let in_order = view
        .resets
        .iter()
        .all(|reset| reset.seq_offset().is_none_or(|offset| offset.unsigned_abs() <= RESET_SLACK as u32) && reset.form != Form::Nonconforming);
    silent && by_client && in_order && view.tcp.is_established()
}

fn gave_up_early(view: &TcpView<'_>) -> bool {
    view.silence.as_ref().is_some_and(|silence| {
        let early = silence.watched < PATIENCE && silence.repeats.len() < 3;
        let server_closed = view.tcp.sides[view.side(Direction::ServerToClient)].fin > 0;
        silence.gave_up.is_some() && early && silence.silent == Direction::ServerToClient && !server_closed
    })
}

fn loses_full_size_packets(view: &TcpView<'_>) -> bool {
    view.request.as_ref().is_some_and(|request| request.loses_full_size_only() && request.fate == PayloadFate::NeverAcked)
}

/// Address translators forget idle connections: what comes after a long pause goes nowhere.
fn died_idle(view: &TcpView<'_>) -> bool {
    view.silence.as_ref().is_some_and(|silence| silence.last.is_some_and(|(last, _)| silence.since - last >= IDLE))
}

fn window_was_closed(view: &TcpView<'_>) -> bool {
    view.silence.as_ref().is_some_and(|silence| view.tcp.sides[view.side(silence.silent)].zero_window > 0)
}

fn was_refused(view: &TcpView<'_>) -> bool {
    view.resets.first().is_some_and(|reset| reset.refuses()) && view.tcp.handshake.syn_ack.is_none()
}

fn was_aborted_behind_an_exchange(view: &TcpView<'_>) -> bool {
    let conforms = |form| matches!(form, Form::Abort | Form::ReplyToAck | Form::Late);
    view.exchange_went_through() && view.resets.first().is_some_and(|reset| !reset.closing && reset.record.idle < IDLE && conforms(reset.form))
}
