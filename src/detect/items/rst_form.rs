//! A reset that no conforming stack sends: neither the next sequence number nor one that a segment acknowledged.
//!
//! Benign first: with bytes missing from the capture, or packets out of order, nothing is said.
//! Source: RFC 9293 sections 3.5.2 and 3.10.7.

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
    let sequence = reset.seq_offset().unwrap_or(0);
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

#[cfg(test)]
mod tests {
    use super::observe;
    use crate::model::Direction::{ClientToServer, ServerToClient};
    use crate::packet::trace::Trace;

    fn answered() -> Trace {
        Trace::at_client().handshake().client_hello("web.whatsapp.com").server_hello().ack_from_client()
    }

    #[test]
    fn no_stack_resets_at_a_number_that_nobody_named() {
        assert_eq!(answered().rst_from_server().seq(5_000).shows(observe, ServerToClient), Some(("rst_form", vec![7])));
    }

    #[test]
    fn an_application_that_gives_up_resets_at_the_next_number() {
        assert_eq!(answered().rst_from_server().shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_machine_that_forgot_the_connection_takes_the_number_from_the_segment() {
        assert_eq!(answered().server_data(900).unheard().client_data(50).rst_from_server().bare().seq(-900).shows(observe, ServerToClient), None);
    }

    #[test]
    fn behind_its_own_fin_a_reset_is_late() {
        assert_eq!(answered().fin_from_server().rst_from_server().shows(observe, ServerToClient), None);
    }

    #[test]
    fn with_bytes_missing_from_the_capture_no_number_is_wrong() {
        let trace = answered().server_data(5_000).missed().ack_from_client().rst_from_server().seq(5_000);
        assert_eq!(trace.shows(observe, ServerToClient), None);
    }

    #[test]
    fn an_abort_in_mid_download_is_one_however_many_resets_answer_what_was_under_way() {
        let many = (0..100).fold(answered(), |trace, _| trace.server_data(1_400).ack_from_client());
        let under_way = (0..20).fold(many, |trace, _| trace.server_data(1_400));
        let aborted = under_way.rst_from_client();
        let answers = (0..80).fold(aborted, |trace, _| trace.server_data(1_400).rst_from_client().bare());
        assert_eq!(answers.shows(observe, ClientToServer), None);
    }

    #[test]
    fn where_the_network_lost_bytes_it_may_have_lost_the_last_ones_too() {
        // As over a path that loses its large packets: small ones come through, and those behind the last of them do not.
        let lossy = answered().server_data(1_400).unheard().missed().server_data(300).unheard().ack_from_client();
        assert_eq!(lossy.rst_from_server().seq(2_800).shows(observe, ServerToClient), None);
    }

    #[test]
    fn a_refusal_has_the_form_that_answers_a_syn() {
        assert_eq!(Trace::at_client().syn().refused().shows(observe, ServerToClient), None);
    }
}
