//! A reset that no conforming stack sends: neither the next sequence number nor one that a segment acknowledged.
//!
//! Benign first: with bytes missing from the capture, or packets out of order, nothing is said.
//! Source: RFC 9293 sections 3.5.2 and 3.10.7; detection.md, section 1.3.

use crate::detect::Evidence;
use crate::detect::features::{Form, TcpView};
use crate::model::Direction;
use crate::model::words::Gate;

use super::{first_reset, reset_mechanism};

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    if view.fails(Gate::Midstream) || view.fails(Gate::Loss) || view.fails(Gate::Oneway) {
        return None;
    }
    let reset = first_reset(view, direction).filter(|reset| reset.form == Form::Nonconforming)?;
    let sequence = reset.sender_next.map_or(0, |next| reset.seq.offset_from(next));
    Some(Evidence {
        id: "rst_form",
        mechanism: reset_mechanism(direction),
        packets: vec![reset.packet],
        time: reset.time,
        says: format!(
            "packet {}: reset from the {}'s address with numbers that no conforming stack gives it ({sequence} bytes from its next sequence number)",
            reset.packet.number(),
            direction.sender()
        ),
        unless: "a stack or address translator that resets with stale numbers",
    })
}
