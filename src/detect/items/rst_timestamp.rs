//! A reset whose TCP timestamp is not its sender's: behind the last one, or further ahead than any clock runs.
//!
//! A sender's timestamps never go back, and its clock ticks once a millisecond at the most (RFC 7323 sections 5.4 and 5.5). Benign first: a reset needs no
//! timestamp, so that one without says nothing; packets that changed places lie a little behind; a clock in microseconds, which some hosts use among
//! themselves, is told by its other packets.
//! Source: RFC 7323; injected resets with such timestamps: net4people/bbs issue 442.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::{Direction, Span};

use super::{reset_mechanism, resets};

/// Ticks that are no matter: one second of the fastest clock.
const SLACK: i64 = 1_000;

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let (reset, jump) = resets(view, direction).find_map(|reset| Some((reset, i64::from(reset.timestamp_delta()?))))?;
    let since = view.sent(direction).filter(|record| record.time <= reset.time && !record.is_reset()).last()?.time;
    let elapsed = (reset.time - since).max(Span::ZERO).0 / 1_000_000;
    if (-SLACK..=elapsed + elapsed / 10 + SLACK).contains(&jump) {
        return None;
    }
    Some(Evidence {
        id: "rst_timestamp",
        mechanism: reset_mechanism(direction),
        packets: vec![reset.packet],
        time: reset.time,
        says: format!(
            "packet {}: reset from the {}'s address whose TCP timestamp lies {jump} ticks from that address's last one, {elapsed} ms before",
            reset.packet.number(),
            direction.sender()
        ),
        unless: "a device before the sender, with a clock of its own",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Direction::ServerToClient;
    use crate::packet::trace::Trace;

    fn answered() -> Trace {
        Trace::at_client().handshake().client_hello("web.whatsapp.com").server_hello().stamped(5_000_000, 1)
    }

    #[test]
    fn a_foreign_clock_is_told() {
        assert_eq!(answered().wait(30).rst_from_server().stamped(1, 1).shows(observe, ServerToClient), Some(("rst_timestamp", vec![6])));
        assert_eq!(answered().wait(30).rst_from_server().stamped(900_000_000, 1).shows(observe, ServerToClient), Some(("rst_timestamp", vec![6])));
    }

    #[test]
    fn a_clock_that_went_on_is_the_senders() {
        assert_eq!(answered().wait(60_000).rst_from_server().stamped(5_060_000, 1).shows(observe, ServerToClient), None);
        assert_eq!(answered().wait(30).rst_from_server().shows(observe, ServerToClient), None, "a reset needs none");
    }
}
