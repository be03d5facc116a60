//! The client's first payload, which is the ClientHello where there is one, and what became of it.

use crate::flow::PacketRecord;
use crate::model::words::{AppProtocol, PayloadFate};
use crate::model::{Direction, PacketNumber, SeqNumber, Span, Timestamp};
use crate::packet::TcpFlags;

use super::TcpView;

/// A reset by the client this long after its request is a client that gave up waiting.
const GAVE_UP: Span = Span::from_secs(3);

/// So does one that had repeated its request this often, however short its patience.
const PATIENT_REPEATS: usize = 3;

/// What a connection opens with: it decides the word for what befalls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A ClientHello that names the host.
    NamedHello,
    /// A request of HTTP in clear text.
    HttpRequest,
    /// Anything else: a hello without a name, Noise, MTProto, SSH, unknown bytes.
    Other,
}

/// The first payload of the client.
#[derive(Clone, Debug)]
pub struct Request {
    pub opening: Opening,
    pub is_hello: bool,
    pub packet: PacketNumber,
    pub time: Timestamp,
    /// Where its bytes begin, and behind the last of them.
    pub start: SeqNumber,
    pub end: SeqNumber,
    /// When its last byte was sent for the first time.
    pub sent: Timestamp,
    pub segments: u32,
    /// Packets that sent bytes of it again.
    pub repeats: Vec<(Timestamp, PacketNumber)>,
    /// The server's first packet that acknowledges all of it.
    pub acked: Option<(Timestamp, PacketNumber)>,
    /// The server's first new payload behind it.
    pub answer: Option<(Timestamp, PacketNumber)>,
    /// The server's packets behind it that acknowledge nothing of it.
    pub unmoved_acks: u32,
    pub fate: PayloadFate,
}

impl Opening {
    fn of(view: &TcpView<'_>) -> Self {
        let asks_http = || view.facts().is_some_and(|facts| facts.protocol == Some(AppProtocol::Http));
        match view.hello() {
            Some(_) if view.has_sni() => Self::NamedHello,
            None if asks_http() => Self::HttpRequest,
            _ => Self::Other,
        }
    }

    /// What its first payload is called.
    pub fn noun(self) -> &'static str {
        match self {
            Self::NamedHello => "ClientHello",
            Self::HttpRequest => "HTTP request",
            Self::Other => "first payload",
        }
    }
}

impl Request {
    /// Whether it was repeated often enough, and neither acknowledged nor answered. A server that closes or resets in the end gives up what it never received.
    pub fn was_unheard(&self) -> bool {
        self.acked.is_none() && self.answer.is_none() && self.repeats.len() >= PATIENT_REPEATS
    }

    /// Whether its smaller segments arrive: the server answers them, and asks for what came before.
    pub fn loses_full_size_only(&self) -> bool {
        self.segments > 1 && self.unmoved_acks > 0
    }

    pub fn find(view: &TcpView<'_>) -> Option<Self> {
        let first = view.sent(Direction::ClientToServer).find(|record| record.new_bytes > 0)?;
        let hello = view.hello();
        let start = view.tcp.stream_start(view.client()).unwrap_or(first.seq);
        let end = hello.map_or(first.payload_end(), |hello| start.plus(hello.fact.stream_bytes));
        let overlaps = |record: &&PacketRecord| {
            record.payload_bytes > 0 && !record.is_reset() && end.is_after(record.seq) && record.payload_end().is_after(start)
        };
        let own: Vec<_> = view.sent(Direction::ClientToServer).filter(overlaps).collect();
        let sent = own.iter().filter(|record| record.new_bytes > 0).map(|record| record.time).max().unwrap_or(first.time);
        let later = || view.sent(Direction::ServerToClient).filter(move |record| record.time >= first.time && !record.is_reset());
        let at = |record: &PacketRecord| (record.time, record.number);
        let mut request = Self {
            opening: Opening::of(view),
            is_hello: hello.is_some(),
            packet: first.number,
            time: first.time,
            start,
            end,
            sent,
            segments: hello.map_or(1, |hello| hello.segments),
            repeats: own.iter().filter(|record| record.new_bytes == 0).map(|record| at(record)).collect(),
            acked: later().find(|record| !end.is_after(record.ack)).map(at),
            answer: later().find(|record| record.new_bytes > 0).map(at),
            unmoved_acks: later().filter(|record| record.time > sent && is_plain_ack(record) && !record.ack.is_after(start)).count() as u32,
            fate: PayloadFate::NeverAcked,
        };
        request.fate = request.judge(view);
        Some(request)
    }

    fn judge(&self, view: &TcpView<'_>) -> PayloadFate {
        let behind = |direction| view.sent(direction).filter(|record| record.time >= self.time);
        let reset_by = |direction| behind(direction).find(|record| record.is_reset()).map(|record| record.time);
        let closed = behind(Direction::ServerToClient).find(|record| record.flags.has(TcpFlags::FIN)).map(|record| record.time);
        let before = |event: Option<Timestamp>| event.is_some_and(|time| self.answer.is_none_or(|(answer, _)| time < answer));
        if before(reset_by(Direction::ServerToClient)) {
            return PayloadFate::Reset;
        }
        if before(reset_by(Direction::ClientToServer).filter(|time| *time - self.sent < GAVE_UP && self.repeats.len() < PATIENT_REPEATS)) {
            return PayloadFate::Reset;
        }
        if self.answer.is_some() {
            let alert = view
                .facts()
                .is_some_and(|facts| facts.alert.as_ref().is_some_and(|(side, _)| *side != view.client()) && facts.server_hello.is_none());
            return if alert { PayloadFate::Alert } else { PayloadFate::Answered };
        }
        match (closed, self.acked) {
            (Some(_), _) => PayloadFate::Closed,
            (None, Some(_)) => PayloadFate::AckedThenSilent,
            (None, None) => PayloadFate::NeverAcked,
        }
    }
}

/// Nothing but an acknowledgement: what a receiver sends for bytes behind a hole.
fn is_plain_ack(record: &PacketRecord) -> bool {
    record.payload_bytes == 0 && !record.flags.is_control()
}
