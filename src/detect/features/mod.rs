//! Numbers that rules read: what happened to the first request, what resets came, what was still owed at the end, and how good the capture is.

mod datagrams;
mod patterns;
mod quality;
mod request;
mod resets;
mod signature;
mod silence;

pub use datagrams::DatagramView;
pub use patterns::pattern;
pub use quality::gates;
pub use request::{Opening, Request};
pub use resets::{Form, Reset, is_too_early};
pub use signature::signature;
pub use silence::Silence;

use crate::app::tls::ClientHello;
use crate::flow::{PacketRecord, Tcp};
use crate::model::words::{Gate, PayloadFate, Way};
use crate::model::{Direction, Side, Span};
use crate::shard::{Conversation, Facts, Seen};

/// A TCP conversation with its features, as the items see it.
pub struct TcpView<'a> {
    pub conversation: &'a Conversation,
    pub tcp: &'a Tcp,
    pub request: Option<Request>,
    pub resets: Vec<Reset<'a>>,
    pub silence: Option<Silence>,
    pub gates: Vec<Gate>,
}

impl<'a> TcpView<'a> {
    /// None for flows of other transports.
    pub fn new(conversation: &'a Conversation) -> Option<Self> {
        let tcp = conversation.flow.tcp.as_deref()?;
        let mut view = Self { conversation, tcp, request: None, resets: Vec::new(), silence: None, gates: Vec::new() };
        view.gates = gates(&view);
        view.request = Request::find(&view);
        view.silence = Silence::find(&view);
        view.resets = Reset::all(&view);
        Some(view)
    }

    pub fn client(&self) -> Side {
        self.conversation.client
    }

    pub fn side(&self, direction: Direction) -> Side {
        match direction {
            Direction::ClientToServer => self.client(),
            Direction::ServerToClient => self.client().opposite(),
        }
    }

    pub fn direction(&self, record: &PacketRecord) -> Direction {
        record.sender.direction(self.client())
    }

    /// Logged packets of one direction, in trace order.
    pub fn sent(&self, direction: Direction) -> impl Iterator<Item = &'a PacketRecord> + Clone + use<'a> {
        let side = self.side(direction);
        self.tcp.log.iter().filter(move |record| record.sender == side)
    }

    pub fn facts(&self) -> Option<&'a Facts> {
        self.conversation.facts()
    }

    pub fn fails(&self, gate: Gate) -> bool {
        self.gates.contains(&gate)
    }

    /// The shortest round trip from a packet that meets those of this direction to its answer among them.
    pub fn round_trip_to(&self, direction: Direction) -> Option<Span> {
        let handshake = match direction {
            Direction::ServerToClient => self.server_round_trip(),
            Direction::ClientToServer => self.client_round_trip(),
        };
        let timed = self.tcp.sides[self.side(direction.opposite())].round_trips();
        handshake.into_iter().chain((timed.count > 0).then_some(timed.min)).min()
    }

    /// The median TTL or hop limit of the packets of a direction that are no resets, as far as the log holds them.
    pub fn usual_ttl(&self, direction: Direction) -> Option<u8> {
        let mut ttls: Vec<u8> = self.sent(direction).filter(|record| !record.is_reset()).map(|record| record.ttl).collect();
        ttls.sort_unstable();
        ttls.get(ttls.len() / 2).copied()
    }

    /// From a packet of the client's passing the capture to the server's reaction passing it, at the least.
    pub fn server_round_trip(&self) -> Option<Span> {
        self.tcp.handshake.syn_rtt()
    }

    /// The same from a packet of the server's to the client's reaction.
    pub fn client_round_trip(&self) -> Option<Span> {
        self.tcp.handshake.ack_rtt()
    }

    pub fn has_sni(&self) -> bool {
        self.hello().is_some_and(|hello| hello.fact.sni.is_some())
    }

    /// The ClientHello with which the client begins.
    pub fn hello(&self) -> Option<&'a Seen<ClientHello>> {
        self.facts()?.first_hello().filter(|(side, _)| *side == self.client()).map(|(_, hello)| hello)
    }

    /// Changes of the speaking side, payload counted, after which an exchange over this protocol has gone through: for TLS hello, hello, request, answer
    /// (RFC 8446 figure 1; the full handshake of earlier versions, RFC 5246 figure 1, takes two more, which are not waited for).
    pub fn turns_of_an_exchange(&self) -> u32 {
        if self.facts().is_some_and(|facts| facts.first_hello().is_some()) { 4 } else { 2 }
    }

    /// The direction whose packets are proven to be lost: the other one still brings packets that show what did not arrive.
    pub fn proven_loss(&self) -> Option<Way> {
        const TRIES: u32 = 3;
        let request = self.request.as_ref()?;
        let (client, server) = (&self.tcp.sides[self.client()], &self.tcp.sides[self.client().opposite()]);
        let speaks = || {
            self.sent(Direction::ServerToClient)
                .any(|record| request.repeats.first().is_some_and(|first| record.time > first.0) && !record.is_reset())
        };
        if request.was_unheard() && speaks() {
            Some(Way::C2s)
        } else if client.spurious_retransmits() >= TRIES && server.retransmits >= TRIES && self.silence.is_some() {
            Some(Way::S2c) // what was acknowledged comes again: the acknowledgement did not arrive
        } else {
            None
        }
    }

    /// Whether application data went both ways.
    pub fn exchange_went_through(&self) -> bool {
        // Behind a reset an answer is too late, unless the client goes on.
        let late = self.request.as_ref().is_some_and(|request| request.fate == PayloadFate::Reset && !request.is_hello);
        self.tcp.turns() >= self.turns_of_an_exchange() + u32::from(late)
    }
}
