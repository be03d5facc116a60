//! What a connection shows, gathered packet by packet.

use super::crypto_stream::CryptoStream;
use super::frames::{Frame, Frames};
use super::google::{self, Packet, Pieces};
use super::header::{self, Body, Long, Protected};
use super::keys::{self, Keys};
use super::version::Version;
use super::{Chlo, ConnectionId, Facts, TransportParameters};
use crate::app::tls::{self, Carrier, ClientHello, ServerHello};
use crate::app::{Cursor, Reading};
use crate::model::{Direction, PerDirection, Side};

/// Datagrams that are looked at: handshakes with Retry, Version Negotiation and lost packets end long before.
pub const DATAGRAMS_MAX: u32 = 64;
/// Packets of one datagram that are looked at.
const PACKETS_MAX: usize = 16;
/// Sets of keys: of the first Initial, after Version Negotiation, after Retry, and of a client that began anew.
const ATTEMPTS_MAX: usize = 4;

#[derive(Debug, Default)]
pub struct Connection {
    pub facts: Facts,
    /// Who the client is, where that is proven.
    pub client: Option<Side>,
    datagrams: u32,
    attempts: Vec<Attempt>,
    /// It is QUIC.
    pub recognised: bool,
    done: bool,
}

/// One set of Initial keys, and what came under it.
#[derive(Debug)]
struct Attempt {
    version: Version,
    /// Of the client's first Initial: gives the keys.
    destination: ConnectionId,
    keys: PerDirection<Keys>,
    streams: PerDirection<CryptoStream>,
    /// How far the server's messages were read.
    server_read: usize,
    hello_datagrams: u32,
    hello_bytes: u32,
    /// The datagram that was counted last: it may hold several packets.
    counted: u32,
    has_hello: bool,
    /// Its hello, while another one is shown.
    spare: Option<Box<Hello>>,
}

/// What a client said under one set of keys.
#[derive(Debug, Default)]
struct Hello {
    client_hello: Option<ClientHello>,
    chlo: Option<Chlo>,
    transport_parameters: TransportParameters,
    datagrams: u32,
    bytes: u32,
}

impl Connection {
    /// Takes the next datagram; more of them may tell more until it is done.
    pub fn take(&mut self, sender: Side, datagram: &[u8]) -> Reading<()> {
        if self.done {
            return Reading::Done(());
        }
        self.datagrams += 1;
        match Packet::read(datagram) {
            Ok(packet) => self.google(sender, packet, datagram),
            Err(_) => self.packets(sender, datagram),
        }
        if self.datagrams == DATAGRAMS_MAX || self.is_complete() {
            self.done = true;
            self.attempts = Vec::new();
        }
        if self.done { Reading::Done(()) } else { Reading::More }
    }

    /// Heap bytes, the facts apart.
    pub fn held(&self) -> usize {
        size_of::<Self>() + self.attempts.iter().map(Attempt::held).sum::<usize>()
    }

    /// A HelloRetryRequest is not the server's last word.
    fn is_complete(&self) -> bool {
        let both = self.facts.client_hello.is_some() && self.facts.server_hello.as_ref().is_some_and(|hello| !hello.is_retry);
        both || self.facts.chlo.is_some() || self.facts.closed.is_some()
    }

    /// Google QUIC in clear.
    fn google(&mut self, sender: Side, packet: Packet<'_>, datagram: &[u8]) {
        self.recognised = true;
        match packet {
            Packet::Negotiation { id, versions } => {
                self.negotiation(sender, versions);
                self.facts.server_cid = Some(id);
            }
            Packet::Client { version, id, frames } => {
                self.client.get_or_insert(sender);
                self.facts.version = Some(version.0);
                self.facts.server_cid = Some(id); // the only one there is
                // One packet holds it, wherever in the stream: a client that was told more says hello again.
                let hello = Pieces::new(version, frames).find_map(|piece| google::client_hello(piece.data).ok());
                if hello.is_some() {
                    (self.facts.chlo, self.facts.hello_datagrams, self.facts.hello_bytes) = (hello, 1, datagram.len() as u32);
                }
            }
        }
    }

    fn negotiation(&mut self, sender: Side, versions: Vec<u32>) {
        self.client.get_or_insert(sender.opposite());
        self.facts.versions_offered = versions;
    }

    /// The packets of a datagram (RFC 9000 section 12.2).
    fn packets(&mut self, sender: Side, datagram: &[u8]) {
        let mut rest = datagram;
        for _ in 0..PACKETS_MAX {
            if !header::is_long(rest) {
                return;
            }
            let Ok((packet, next)) = Long::read(rest) else { return };
            if !self.packet(sender, &packet, datagram) {
                return;
            }
            rest = next;
        }
    }

    /// Says whether it was one.
    fn packet(&mut self, sender: Side, packet: &Long<'_>, datagram: &[u8]) -> bool {
        let opened = match &packet.body {
            Body::Initial(protected) => self.initial(sender, packet, protected, datagram),
            _ => false,
        };
        self.recognised |= opened || packet.is_recognised(datagram);
        if !self.recognised {
            return false;
        }
        match &packet.body {
            Body::Negotiation(versions) => self.negotiation(sender, versions.clone()),
            Body::Retry => {
                self.client.get_or_insert(sender.opposite());
                self.facts.retry = true;
            }
            Body::ZeroRtt => _ = self.client.get_or_insert(sender),
            _ => {}
        }
        self.note_header(sender, packet, opened);
        true
    }

    /// Version and connection ids, as the header says them.
    fn note_header(&mut self, sender: Side, packet: &Long<'_>, opened: bool) {
        if packet.version != Version::NEGOTIATION && (opened || self.attempts.is_empty()) {
            self.facts.version = Some(packet.version.0);
        }
        let source = (!packet.source.is_empty()).then_some(packet.source);
        match self.client {
            Some(client) if client == sender => self.facts.client_cid = source.or(self.facts.client_cid),
            Some(_) => self.facts.server_cid = source.or(self.facts.server_cid),
            None => {}
        }
    }

    /// Opens an Initial with the keys known so far, or with those of its own destination: then its sender is the client.
    fn initial(&mut self, sender: Side, packet: &Long<'_>, protected: &Protected<'_>, datagram: &[u8]) -> bool {
        let opened = self.open_known(sender, packet, protected).or_else(|| self.open_first(sender, packet, protected));
        let Some((position, direction, payload)) = opened else { return false };
        let is_new = self.take_frames(position, direction, &payload);
        match direction {
            Direction::ClientToServer if is_new => self.read_client_hello(position, datagram),
            Direction::ClientToServer => {}
            Direction::ServerToClient => self.read_answer(position, is_new),
        }
        true
    }

    /// Says whether they brought new bytes of the handshake.
    fn take_frames(&mut self, position: usize, direction: Direction, payload: &[u8]) -> bool {
        let version = self.attempts[position].version;
        let mut new = false;
        if version.google().is_some() {
            for piece in Pieces::new(version, Cursor::new(payload)) {
                new |= self.keep(position, direction, piece.offset, piece.data);
            }
            return new;
        }
        for frame in Frames::new(payload) {
            match frame {
                Frame::Crypto { offset, data } => new |= self.keep(position, direction, offset, data),
                Frame::Close { code } => self.facts.closed = Some(code),
            }
        }
        new
    }

    /// Once a hello was read, its bytes are needed no more.
    fn keep(&mut self, position: usize, direction: Direction, offset: u64, data: &[u8]) -> bool {
        let attempt = &mut self.attempts[position];
        let is_wanted = direction == Direction::ServerToClient || !attempt.has_hello;
        is_wanted && attempt.streams[direction].insert(offset, data)
    }

    fn open_known(&mut self, sender: Side, packet: &Long<'_>, protected: &Protected<'_>) -> Option<(usize, Direction, Vec<u8>)> {
        let direction = sender.direction(self.client?);
        let newest_first = (0..self.attempts.len()).rev();
        for position in newest_first {
            let attempt = &mut self.attempts[position];
            if attempt.version == packet.version {
                if let Some(payload) = attempt.keys[direction].open(protected) {
                    return Some((position, direction, payload));
                }
            } else if direction == Direction::ServerToClient
                && let Some(payload) = attempt.open_changed(packet, protected)
            {
                return Some((position, direction, payload));
            }
        }
        None
    }

    fn open_first(&mut self, sender: Side, packet: &Long<'_>, protected: &Protected<'_>) -> Option<(usize, Direction, Vec<u8>)> {
        let known = |attempt: &Attempt| attempt.version == packet.version && attempt.destination == packet.destination;
        if self.attempts.len() == ATTEMPTS_MAX || self.client.is_some_and(|client| client != sender) || self.attempts.iter().any(known) {
            return None;
        }
        let (keys, payload) = packet.version.secrets().iter().find_map(|secrets| {
            let keys = keys::initial_keys(secrets, &packet.destination)?;
            let payload = keys.c2s.open(protected)?;
            Some((keys, payload))
        })?;
        self.client = Some(sender);
        self.attempts.push(Attempt::new(packet.version, packet.destination, keys));
        Some((self.attempts.len() - 1, Direction::ClientToServer, payload))
    }

    fn read_client_hello(&mut self, position: usize, datagram: &[u8]) {
        let attempt = &mut self.attempts[position];
        if attempt.counted != self.datagrams {
            attempt.counted = self.datagrams;
            attempt.hello_datagrams += 1;
            attempt.hello_bytes += datagram.len() as u32;
        }
        let hello = attempt.client_hello();
        if self.facts.has_hello() {
            attempt.spare = hello.map(Box::new);
        } else if let Some(hello) = hello {
            self.facts.show(hello);
        } else {
            (self.facts.hello_datagrams, self.facts.hello_bytes) = (attempt.hello_datagrams, attempt.hello_bytes);
        }
    }

    /// A client may say hello in several versions, and some say a false one first to mislead: what counts is which one the server answers.
    fn read_answer(&mut self, position: usize, is_new: bool) {
        let attempt = &mut self.attempts[position];
        if let Some(hello) = attempt.spare.take() {
            self.facts.show(*hello);
        }
        while is_new && let Some(answer) = attempt.server_hello() {
            self.facts.hello_retried |= answer.is_retry;
            self.facts.server_hello = Some(answer);
        }
    }
}

impl Facts {
    fn show(&mut self, hello: Hello) {
        (self.client_hello, self.chlo) = (hello.client_hello, hello.chlo);
        self.transport_parameters = hello.transport_parameters;
        (self.hello_datagrams, self.hello_bytes) = (hello.datagrams, hello.bytes);
    }
}

impl Attempt {
    fn new(version: Version, destination: ConnectionId, keys: PerDirection<Keys>) -> Self {
        Self {
            version,
            destination,
            keys,
            streams: PerDirection::default(),
            server_read: 0,
            hello_datagrams: 0,
            hello_bytes: 0,
            counted: 0,
            has_hello: false,
            spare: None,
        }
    }

    /// The server may answer in another version that both speak (RFC 9368 section 2.3): the keys are then that version's, from the same destination.
    fn open_changed(&mut self, packet: &Long<'_>, protected: &Protected<'_>) -> Option<Vec<u8>> {
        let keys = keys::initial_keys(packet.version.secrets().first()?, &self.destination)?;
        let payload = keys.s2c.open(protected)?;
        (self.version, self.keys) = (packet.version, keys);
        Some(payload)
    }

    /// The client's hello, when all of it came; then its bytes are given up.
    fn client_hello(&mut self) -> Option<Hello> {
        let stream = &self.streams.c2s;
        let mut hello = Hello { datagrams: self.hello_datagrams, bytes: self.hello_bytes, ..Hello::default() };
        if self.version.google().is_some() {
            hello.chlo = Some(google::client_hello(stream.ready()).ok()?);
        } else {
            let message = stream.message(0)?;
            hello.client_hello = Some(tls::client_hello(message, Carrier::Quic).ok()?);
            hello.transport_parameters = TransportParameters::of_client_hello(message, self.version);
        }
        self.has_hello = true;
        self.streams.c2s = CryptoStream::default();
        Some(hello)
    }

    /// The next whole one.
    fn server_hello(&mut self) -> Option<ServerHello> {
        while let Some(message) = self.streams.s2c.message(self.server_read) {
            self.server_read += message.len();
            if let Ok(hello) = tls::server_hello(message) {
                return Some(hello);
            }
        }
        None
    }

    fn held(&self) -> usize {
        let spare = self.spare.as_ref().map_or(0, |_| size_of::<Hello>());
        size_of::<Self>() + spare + self.streams.c2s.held() + self.streams.s2c.held()
    }
}
