//! Innocent causes that the packets themselves prove, the strongest first.

use crate::model::words::{Benign, PayloadFate};
use crate::model::{Direction, Span};

use super::features::{Form, TcpView};

/// Load balancers and address translators drop idle connections after 30 s at the earliest (common settings are 60, 300, 350 s and more).
const IDLE: Span = Span::from_secs(30);
/// An answer is not overdue before this.
const PATIENCE: Span = Span::from_secs(10);

pub fn proven(view: &TcpView<'_>) -> Vec<Benign> {
    let mut causes = Vec::new();
    let first = view.resets.first();
    if first.is_some_and(|reset| reset.refuses()) && view.tcp.handshake.syn_ack.is_none() {
        causes.push(Benign::Refused);
    }
    if let Some(request) = &view.request {
        if request.fate == PayloadFate::Alert {
            causes.push(Benign::Alert);
        }
        if request.segments > 1 && request.unmoved_acks > 0 && request.fate == PayloadFate::NeverAcked {
            causes.push(Benign::PathMtu);
        }
    }
    if let Some(reset) = first {
        if reset.closing {
            causes.push(Benign::Closed);
        } else if reset.record.idle >= IDLE {
            causes.push(Benign::IdleReset);
        } else if view.exchange_went_through() && matches!(reset.form, Form::Abort | Form::ReplyToAck | Form::Late) {
            causes.push(Benign::ServerAbort);
        }
    }
    if let Some(silence) = &view.silence {
        if view.tcp.sides[view.side(silence.silent)].zero_window > 0 {
            causes.push(Benign::ReceiverWindow);
        }
        if silence.gave_up.is_some() && silence.watched < PATIENCE && silence.silent == Direction::ServerToClient && silence.repeats.len() < 3 {
            causes.push(Benign::EarlyGiveUp);
        }
    }
    causes
}
