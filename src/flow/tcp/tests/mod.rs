//! Scenes of TCP connections, told by what both ends and a capture between them see.

mod acknowledgements;
mod handshakes;
mod histories;
mod numbers;
mod repetitions;
mod sides;
mod states;

use super::*;
use crate::flow::Flow;
use crate::model::{Direction, FlowKey, Protocol};
use crate::packet::trace::{Trace, endpoint};

fn flow_of(trace: &Trace) -> Flow {
    let (packets, _) = trace.packets();
    let mut flow = Flow::new(&packets[0]);
    for packet in &packets {
        flow.update(packet);
    }
    flow
}

fn tcp_of(trace: &Trace) -> Box<Tcp> {
    flow_of(trace).tcp.expect("a scene is TCP")
}

/// The side of the key that the client has.
fn client() -> Side {
    let (client, server) = (endpoint(Direction::ClientToServer), endpoint(Direction::ServerToClient));
    FlowKey::new(Protocol::TCP, 4, 0, client, server).1
}

/// What the client's side was found to do.
fn client_side(trace: &Trace) -> TcpSide {
    let [low, high] = tcp_of(trace).sides.0;
    if client() == Side::Low { low } else { high }
}

fn server_side(trace: &Trace) -> TcpSide {
    let [low, high] = tcp_of(trace).sides.0;
    if client() == Side::Low { high } else { low }
}

/// What the last packet is.
fn last_kind(trace: &Trace) -> Kind {
    tcp_of(trace).log.iter().last().expect("a scene has packets").kind
}

/// Numbers and kinds of the packets that are something else than original.
fn kinds(trace: &Trace) -> Vec<(u64, Kind)> {
    tcp_of(trace).log.iter().filter(|record| record.kind != Kind::Original).map(|record| (record.number.number(), record.kind)).collect()
}
