//! A reset that came another way than its sender's other packets: its TTL lies hops away, or its identification off the sender's counter.
//!
//! Never alone: 28 % of the resets of real servers have another TTL than their data (Weaver, Sommer, Paxson, NDSS 2009), and stacks reset with
//! identification 0. `infer` lets it count beside a contradiction or the timing only.
//! Source: the same paper; deltas as in Sundara Raman et al., SIGCOMM 2023.

use crate::detect::Evidence;
use crate::detect::features::{Reset, TcpView};
use crate::model::Direction;
use crate::model::words::IpIdCourse;

use super::{first_reset, reset_mechanism};

/// One hop less or more is a path that changed (by design).
const HOPS_MIN: i32 = 2;
/// A counter of a busy host moves so far between two packets (by design).
const COUNTER_STEP_MAX: i32 = 1_000;

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let reset = first_reset(view, direction)?;
    let other_hops = reset.ttl_delta.filter(|delta| delta.abs() >= HOPS_MIN);
    let off_counter = reset.ip_id_delta().filter(|delta| delta.abs() > COUNTER_STEP_MAX && counts(view, reset));
    let way = match (other_hops, off_counter) {
        (Some(delta), _) => format!("a TTL that differs by {delta} from that address's other packets"),
        (None, Some(delta)) => format!("an IP identification that lies {delta} off that address's counter"),
        (None, None) => return None,
    };
    Some(Evidence {
        id: if other_hops.is_some() { "rst_other_hops" } else { "rst_off_counter" },
        mechanism: reset_mechanism(direction),
        packets: vec![reset.packet],
        time: reset.time,
        says: format!("packet {}: reset from the {}'s address with {way}", reset.packet.number(), direction.sender()),
        unless: "a load balancer or firewall before the sender, or a stack that resets with other fields",
    })
}

/// Whether its claimed sender counts its packets; resets outside a connection have identification 0.
fn counts(view: &TcpView<'_>, reset: &Reset<'_>) -> bool {
    reset.record.packet.ip_id != 0 && view.tcp.sides[reset.record.packet.sender].ip_ids() == Some(IpIdCourse::Incrementing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Direction::ServerToClient;
    use crate::packet::trace::Trace;

    fn answered() -> Trace {
        let trace = Trace::at_client().handshake().client_hello("web.whatsapp.com").server_hello().ip_id(700);
        (1..6).fold(trace, |trace, step| trace.server_data(100).ip_id(700 + step))
    }

    #[test]
    fn another_ttl_is_another_way() {
        assert_eq!(answered().rst_from_server().ttl(61).ip_id(706).shows(observe, ServerToClient), Some(("rst_other_hops", vec![11])));
    }

    #[test]
    fn a_number_off_the_counter_is_another_machine() {
        assert_eq!(answered().rst_from_server().ip_id(40_000).shows(observe, ServerToClient), Some(("rst_off_counter", vec![11])));
    }

    #[test]
    fn the_senders_own_way_says_nothing() {
        assert_eq!(answered().rst_from_server().ip_id(706).shows(observe, ServerToClient), None);
        assert_eq!(answered().rst_from_server().ip_id(0).shows(observe, ServerToClient), None, "a stack may reset without a number");
        assert_eq!(answered().rst_from_server().ttl(63).ip_id(706).shows(observe, ServerToClient), None, "one hop is a path that changed");
    }
}
