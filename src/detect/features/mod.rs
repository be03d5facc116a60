//! Numbers that rules read: what happened to the first request, what resets came, what was still owed at the end, and how good the capture is.

mod quality;
mod request;
mod resets;
mod silence;

pub use quality::gates;
pub use request::Request;
pub use resets::{Form, Reset};
pub use silence::Silence;

use crate::app::tls::ClientHello;
use crate::flow::{PacketRecord, Tcp};
use crate::model::words::Gate;
use crate::model::{Direction, Side, Span};
use crate::shard::{Conversation, Facts, Seen};

/// A TCP conversation with its features, as the items see it.
pub struct TcpView<'a> {
    pub conversation: &'a Conversation,
    pub tcp: &'a Tcp,
    pub request: Option<Request>,
    pub resets: Vec<Reset>,
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

    /// Whether application data went both ways.
    pub fn exchange_went_through(&self) -> bool {
        self.tcp.turns() >= self.turns_of_an_exchange()
    }
}
