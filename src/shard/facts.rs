//! What the payloads of a flow said.

use std::net::IpAddr;

use crate::app::heads::Heads;
use crate::app::http::{Request, Response};
use crate::app::quic;
use crate::app::socks::Target;
use crate::app::stream::Fact;
use crate::app::stun_marks::StunMarks;
use crate::app::tls::{self, Alert, Certificate, ClientHello, ServerHello};
use crate::app::tls_records::RecordTracker;
use crate::model::words::AppProtocol;
use crate::model::{PacketNumber, PerSide, SeqNumber, Side, Timestamp};

/// A fact, and the packet that completed it.
#[derive(Clone, Debug)]
pub struct Seen<T> {
    pub fact: T,
    pub time: Timestamp,
    pub packet: PacketNumber,
    /// Segments or datagrams that its bytes came in.
    pub segments: u32,
    /// Of a ClientHello: where it begins in the stream, behind 0 where something wraps it.
    pub offset: u32,
}

/// Where a fact was completed.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub time: Timestamp,
    pub packet: PacketNumber,
    pub segments: u32,
    pub offset: u32,
}

/// What was read, by the side that sent it.
#[derive(Debug, Default)]
pub struct Facts {
    /// The first one.
    pub client_hello: Option<(Side, Box<Seen<ClientHello>>)>,
    /// The one that is no request for another hello, where both came.
    pub server_hello: Option<(Side, Seen<ServerHello>)>,
    /// A HelloRetryRequest was seen.
    pub hello_retried: bool,
    /// The first one in clear.
    pub alert: Option<(Side, Seen<Alert>)>,
    pub certificate: Option<Box<Certificate>>,
    pub http: Option<Box<Http>>,
    /// What a proxy was asked for.
    pub target: Option<Box<ProxyTarget>>,
    pub quic: Option<Box<quic::Facts>>,
    /// When the hello of Google QUIC was complete.
    pub google_hello_at: Option<Timestamp>,
    pub stun: Option<Box<StunMarks>>,
    /// What the flow speaks, by its outermost protocol that was recognised.
    pub protocol: Option<AppProtocol>,
    /// Who the client is by what was said.
    pub client: Option<Side>,
    /// Where the records of each side end.
    pub records: PerSide<RecordTracker>,
    /// The first datagrams of a flow that is no DNS.
    pub datagrams: Vec<Datagram>,
    /// How the stream of each side begins.
    pub beginnings: PerSide<Beginning>,
    /// The first payloads of a flow whose protocol was not recognised.
    pub heads: Option<Box<Heads>>,
}

/// A datagram with payload.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    pub time: Timestamp,
    pub packet: PacketNumber,
    pub sender: Side,
}

/// Datagrams of a flow that are remembered: a handshake and the tries of one that is not answered.
const DATAGRAMS_MAX: usize = 8;

/// The first bytes of a stream, and a packet that says something else in their place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beginning {
    first: Option<(SeqNumber, [u8; BEGINNING_BYTES])>,
    pub contradicted: Option<PacketNumber>,
}

/// Enough to hold a random number of a ClientHello apart from another (RFC 8446 section 4.1.2), or one line of status from another.
const BEGINNING_BYTES: usize = 16;

impl Beginning {
    /// Holds a payload against the first one of its side, where both stand at the same place.
    pub fn take(&mut self, seq: SeqNumber, payload: &[u8], packet: PacketNumber) {
        let Some(bytes) = payload.first_chunk::<BEGINNING_BYTES>() else { return };
        match &self.first {
            None => self.first = Some((seq, *bytes)),
            Some((first, known)) if *first == seq && known != bytes => {
                self.contradicted.get_or_insert(packet);
            }
            Some(_) => {}
        }
    }
}

/// HTTP in clear text: the first request and its response.
#[derive(Debug, Default)]
pub struct Http {
    pub host: Option<String>,
    pub is_connect: bool,
    pub upgrade: Option<String>,
    pub status: Option<u16>,
    pub location: Option<String>,
    pub server: Option<String>,
    pub title: Option<String>,
}

/// Whom a proxy was asked to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyTarget {
    Name(String),
    Address(IpAddr),
}

impl Facts {
    /// Takes in what a side of a stream said.
    pub fn learn(&mut self, sender: Side, fact: Fact, at: Place) {
        match fact {
            Fact::Tls(message) => self.learn_tls(sender, message, at),
            Fact::TlsGoesOn => self.speaks(AppProtocol::Tls),
            Fact::Request(request) => self.learn_request(sender, *request),
            Fact::Response(response) => self.learn_response(sender, *response),
            Fact::Title(title) => self.http.get_or_insert_default().title = Some(title),
            Fact::Http2(head) => {
                self.is_client(if head.status.is_some() { sender.opposite() } else { sender });
                self.speaks(AppProtocol::Http);
                let http = self.http.get_or_insert_default();
                http.host = http.host.take().or(head.authority);
                http.status = http.status.or(head.status);
            }
            Fact::Asked(request) => {
                self.is_client(sender);
                self.target.get_or_insert_with(|| Box::new(request.target.into()));
            }
            Fact::Passed(header) => {
                self.is_client(sender);
                if let Some((_, server)) = header.addresses {
                    self.target.get_or_insert_with(|| Box::new(ProxyTarget::Address(server.ip())));
                }
            }
            Fact::Replied(_) | Fact::Dns(_) => {}
        }
    }

    /// Takes in a message of TLS or DTLS.
    pub fn learn_tls(&mut self, sender: Side, message: tls::Message, at: Place) {
        self.speaks(AppProtocol::Tls);
        match message {
            tls::Message::ClientHello(fact) => {
                self.is_client(sender);
                self.client_hello.get_or_insert_with(|| (sender, Box::new(at.seen(*fact))));
            }
            tls::Message::ServerHello(fact) => {
                self.is_client(sender.opposite());
                self.hello_retried |= fact.is_retry;
                if self.server_hello.as_ref().is_none_or(|(_, hello)| hello.fact.is_retry) {
                    self.server_hello = Some((sender, at.seen(fact)));
                }
            }
            tls::Message::Certificate(certificate) => {
                self.certificate.get_or_insert(certificate);
            }
            tls::Message::Alert(fact) => {
                self.alert.get_or_insert((sender, at.seen(fact)));
            }
        }
    }

    /// Takes in what a QUIC connection showed; its hello was completed at a place.
    pub fn learn_quic(&mut self, mut facts: quic::Facts, client: Option<Side>, hello: Option<Place>, answer: Option<Place>) {
        self.speaks(AppProtocol::Quic);
        if let Some(client) = client {
            self.is_client(client);
            if let (Some(fact), Some(at)) = (facts.client_hello.take(), hello) {
                self.client_hello = Some((client, Box::new(at.seen(fact))));
            }
            if let (Some(fact), Some(at)) = (facts.server_hello.take(), answer) {
                self.server_hello = Some((client.opposite(), at.seen(fact)));
            }
        }
        self.hello_retried |= facts.hello_retried;
        self.google_hello_at = hello.filter(|_| facts.chlo.is_some()).map(|at| at.time);
        self.quic = Some(Box::new(facts));
    }

    fn learn_request(&mut self, sender: Side, request: Request) {
        self.is_client(sender);
        self.speaks(AppProtocol::Http);
        let http = self.http.get_or_insert_default();
        if request.is_connect && self.target.is_none() {
            self.target = request.authority.as_deref().map(|authority| Box::new(ProxyTarget::of_authority(authority)));
        }
        if http.host.is_none() {
            (http.host, http.is_connect, http.upgrade) = (request.host.or(request.authority), request.is_connect, request.upgrade);
        }
    }

    fn learn_response(&mut self, sender: Side, response: Response) {
        self.is_client(sender.opposite());
        self.speaks(AppProtocol::Http);
        let http = self.http.get_or_insert_default();
        if http.status.is_none() {
            (http.status, http.location, http.server) = (Some(response.status), response.location, response.server);
        }
    }

    /// Remembers that a datagram with payload passed.
    pub fn note_datagram(&mut self, datagram: Datagram) {
        if self.datagrams.len() < DATAGRAMS_MAX {
            self.datagrams.push(datagram);
        }
    }

    /// The first protocol that is recognised stays, but for what wraps TLS.
    pub fn speaks(&mut self, protocol: AppProtocol) {
        match (self.protocol, protocol) {
            (None | Some(AppProtocol::Http), AppProtocol::Tls) | (None, _) => self.protocol = Some(protocol),
            _ => {}
        }
    }

    /// Whether any protocol was recognised.
    pub fn is_known(&self) -> bool {
        self.protocol.is_some()
    }

    pub fn is_client(&mut self, side: Side) {
        self.client.get_or_insert(side);
    }

    /// Bytes that it keeps in boxes, but for what few flows have.
    pub fn held(&self) -> usize {
        let texts = |texts: &[String]| texts.iter().map(|text| size_of_val(text) + text.len()).sum::<usize>();
        let hello = self.client_hello.as_ref().map_or(0, |(_, hello)| {
            let ClientHello { sni, alpn, versions, groups, key_shares, ja4, .. } = &hello.fact;
            let names = [sni, ja4].into_iter().flatten().map(String::len).sum::<usize>();
            size_of_val(&**hello) + names + texts(alpn) + 2 * (versions.len() + groups.len() + key_shares.len())
        });
        let heads = self.heads.as_ref().map_or(0, |heads| {
            let payloads = heads.payloads.iter().map(|payload| size_of_val(payload) + payload.bytes.len()).sum::<usize>();
            size_of_val(&**heads) + payloads + heads.streams.0.iter().map(Vec::len).sum::<usize>()
        });
        let certificate = self.certificate.as_ref().map_or(0, |certificate| size_of_val(&**certificate) + texts(&certificate.sans));
        let rest = self.http.as_ref().map_or(0, |http| size_of_val(&**http)) + self.quic.as_ref().map_or(0, |quic| size_of_val(&**quic));
        hello + heads + certificate + rest + self.datagrams.capacity() * size_of::<Datagram>()
    }

    /// The ClientHello that begins the client's stream, with nothing around it.
    pub fn first_hello(&self) -> Option<(Side, &Seen<ClientHello>)> {
        self.client_hello.as_ref().filter(|(_, hello)| hello.offset == 0).map(|(side, hello)| (*side, &**hello))
    }

    /// The name in the client's hello: of TLS, of QUIC, or of Google QUIC.
    pub fn sni(&self) -> Option<&str> {
        let hello = self.client_hello.as_ref().and_then(|(_, hello)| hello.fact.sni.as_deref());
        hello.or_else(|| self.quic.as_ref()?.sni())
    }
}

impl Place {
    pub fn seen<T>(self, fact: T) -> Seen<T> {
        let Self { time, packet, segments, offset } = self;
        Seen { fact, time, packet, segments, offset }
    }
}

impl ProxyTarget {
    /// Of `host:port`, or of `[address]:port`.
    fn of_authority(authority: &str) -> Self {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse().map_or_else(|_| Self::Name(host.into()), Self::Address)
    }
}

impl From<Target> for ProxyTarget {
    fn from(target: Target) -> Self {
        match target {
            Target::Name(name) => name.parse().map_or(Self::Name(name), Self::Address),
            Target::Address(address) => Self::Address(address),
        }
    }
}
