//! What a flow was for, from what its payloads said.

use std::fmt::Write;

use crate::app::heads::{Heads, PAYLOADS_PER_SIDE, Payload, Recognised, Strength, recognise};
use crate::app::quic;
use crate::app::tls::{self, ClientHello, EchOffer};
use crate::model::rows::*;
use crate::model::words::*;
use crate::model::{PerSide, Protocol, Timestamp};
use crate::service::{Catalog, Clues, Named};
use crate::shard::{Conversation, Facts, ProxyTarget, Seen};

use super::{has_ports, transport};

/// DNS over TLS and over QUIC (RFC 7858 section 3.1, RFC 9250 section 4.1.1).
const ENCRYPTED_DNS_PORT: u16 = 853;

/// The names of one conversation.
pub struct Names<'a> {
    conversation: &'a Conversation,
    facts: Option<&'a Facts>,
    catalog: &'a Catalog,
    pub named: Named,
}

impl<'a> Names<'a> {
    pub fn of(conversation: &'a Conversation, catalog: &'a Catalog) -> Self {
        let facts = conversation.facts();
        let mut names = Self { conversation, facts, catalog, named: Named::default() };
        if has_ports(conversation.flow.key.protocol) {
            let heads = names.heads();
            let recognised = heads.as_ref().map_or_else(Vec::new, |heads| names.recognised(heads));
            names.named = catalog.name(&names.clues(heads.as_ref(), &recognised));
        }
        names
    }

    fn clues<'c>(&self, heads: Option<&'c Heads>, recognised: &'c [Recognised]) -> Clues<'c>
    where
        'a: 'c,
    {
        let Conversation { flow, client, .. } = self.conversation;
        let server = client.opposite();
        let target = self.facts.and_then(|facts| facts.target.as_deref());
        Clues {
            name: self.name(),
            server: if let Some(ProxyTarget::Address(address)) = target { *address } else { flow.key.ip(server) },
            server_port: flow.key.port(server),
            client: *client,
            transport: transport(flow.key.protocol),
            alpn: self.client_hello().map_or(&[], |hello| &hello.fact.alpn),
            recognised,
            heads,
            stun: self.facts.and_then(|facts| facts.stun.as_deref()),
        }
    }

    /// The name that the client itself asked for: in its hello, in its request, or of a proxy.
    fn name(&self) -> Option<(&'a str, HostSource)> {
        if let Some(sni) = self.conversation.sni() {
            let source = if self.is(AppProtocol::Quic) { HostSource::QuicSni } else { HostSource::TlsSni };
            return Some((sni, source));
        }
        let facts = self.facts?;
        let http = facts.http.as_deref();
        if let Some(host) = http.filter(|http| !http.is_connect).and_then(|http| http.host.as_deref()) {
            return Some((host, HostSource::HttpHost));
        }
        let source = if http.is_some_and(|http| http.is_connect) { HostSource::HttpHost } else { HostSource::Wire };
        match facts.target.as_deref()? {
            ProxyTarget::Name(name) => Some((name, source)),
            ProxyTarget::Address(_) => None,
        }
    }

    /// The first payloads, where no reader knew what they were, or found STUN; those of TCP with their sizes.
    fn heads(&self) -> Option<Heads> {
        let facts = self.facts.filter(|facts| !facts.is_known() || facts.stun.is_some() || facts.target.is_some())?;
        let mut heads = facts.heads.as_deref()?.clone();
        if let Some(tcp) = self.conversation.flow.tcp.as_deref().filter(|_| facts.target.is_none()) {
            let new = tcp.log.head().iter().filter(|record| record.new_bytes > 0);
            heads.payloads =
                new.map(|record| Payload { sender: record.sender, len: record.new_bytes, bytes: Vec::new() }).take(2 * PAYLOADS_PER_SIDE).collect();
        }
        Some(heads)
    }

    fn recognised(&self, heads: &Heads) -> Vec<Recognised> {
        if self.facts.is_some_and(|facts| facts.is_known() && facts.target.is_none()) {
            return Vec::new();
        }
        let key = &self.conversation.flow.key;
        let mut recognised = recognise(heads, self.conversation.client, key.protocol, PerSide([key.low_port, key.high_port]));
        if self.is_midstream() {
            recognised.retain(|recognised| recognised.strength == Strength::Certain); // these are not its first bytes
        }
        recognised
    }

    /// Whether the streams began before the capture.
    fn is_midstream(&self) -> bool {
        self.conversation.flow.tcp.as_ref().is_some_and(|tcp| tcp.handshake.syn.is_none() && tcp.handshake.syn_ack.is_none())
    }

    fn is(&self, protocol: AppProtocol) -> bool {
        self.facts.is_some_and(|facts| facts.protocol == Some(protocol))
    }

    fn client_hello(&self) -> Option<&'a Seen<ClientHello>> {
        self.facts?.client_hello.as_ref().map(|(_, hello)| &**hello)
    }

    pub fn protocol(&self) -> Option<AppProtocol> {
        let flow = &self.conversation.flow;
        let offers = |protocol: &str| self.client_hello().is_some_and(|hello| hello.fact.alpn.iter().any(|name| name.starts_with(protocol)));
        let at_port = flow.key.port(self.conversation.client.opposite()) == ENCRYPTED_DNS_PORT;
        let to_resolver = || self.named.host.as_deref().is_some_and(|host| self.catalog.is_resolver(host));
        match self.facts.and_then(|facts| facts.protocol) {
            Some(AppProtocol::Tls) if flow.key.protocol == Protocol::UDP => Some(AppProtocol::Dtls),
            Some(AppProtocol::Tls) if at_port || offers("dot") => Some(AppProtocol::Dot),
            Some(AppProtocol::Quic) if at_port || offers("doq") => Some(AppProtocol::Doq),
            Some(AppProtocol::Tls | AppProtocol::Quic) if to_resolver() => Some(AppProtocol::Doh),
            Some(AppProtocol::Http) if self.is_websocket() => Some(AppProtocol::Websocket),
            Some(AppProtocol::Http) => self.named.app_protocol.or(Some(AppProtocol::Http)), // what a CONNECT leads to
            Some(protocol) => Some(protocol),
            None => self.named.app_protocol,
        }
    }

    fn is_websocket(&self) -> bool {
        let http = self.facts.and_then(|facts| facts.http.as_deref());
        http.is_some_and(|http| http.status == Some(101) && http.upgrade.as_deref() == Some("websocket"))
    }

    fn since_start(&self, time: Timestamp) -> f64 {
        (time - self.conversation.flow.start).as_ms()
    }

    /// The ClientHello; of Google QUIC its own hello.
    pub fn hello(&self) -> Option<Box<HelloRow>> {
        let Some(hello) = self.client_hello() else { return self.google_hello() };
        let fact = &hello.fact;
        Some(Box::new(HelloRow {
            sni: fact.sni.clone(),
            alpn: (!fact.alpn.is_empty()).then(|| fact.alpn.join(",")),
            bytes: fact.message_bytes.into(),
            segments: hello.segments.into(),
            at_ms: self.since_start(hello.time),
            ech: if fact.ech.is_some() { Ech::Unknown } else { Ech::Absent },
            ja3: fact.ja3.map(|hash| hex(&hash)),
            ja4: fact.ja4.clone(),
            versions: numbers(&fact.versions),
            groups: numbers(&fact.groups),
            key_shares: numbers(&fact.key_shares),
        }))
    }

    fn google_hello(&self) -> Option<Box<HelloRow>> {
        let facts = self.facts?.quic.as_deref()?;
        let chlo = facts.chlo.as_ref()?;
        Some(Box::new(HelloRow {
            sni: chlo.sni.clone(),
            alpn: chlo.alpn.clone(),
            bytes: facts.hello_bytes.into(),
            segments: facts.hello_datagrams.into(),
            at_ms: self.facts?.google_hello_at.map_or(0.0, |time| self.since_start(time)),
            ech: Ech::Absent,
            ja3: None,
            ja4: None,
            versions: Vec::new(),
            groups: Vec::new(),
            key_shares: Vec::new(),
        }))
    }

    pub fn tls_version(&self) -> Option<String> {
        self.facts?.server_hello.as_ref().map(|(_, hello)| tls::version_name(hello.fact.version))
    }

    pub fn server_hello_ms(&self) -> Option<f64> {
        self.facts?.server_hello.as_ref().map(|(_, hello)| self.since_start(hello.time))
    }

    pub fn alert(&self) -> Option<i32> {
        let facts = self.facts?;
        let in_quic = || facts.quic.as_ref()?.closed?.checked_sub(QUIC_CRYPTO_ERROR).and_then(|code| u8::try_from(code).ok());
        facts.alert.as_ref().map(|(_, alert)| alert.fact.description).or_else(in_quic).map(i32::from)
    }

    pub fn server(&self) -> ServerRow {
        let Some(facts) = self.facts else { return ServerRow::default() };
        let hello = facts.server_hello.as_ref().map(|(_, hello)| &hello.fact);
        ServerRow {
            cipher: hello.map(|hello| format!("0x{:04x}", hello.cipher)),
            ja3s: hello.map(|hello| hex(&hello.ja3s)),
            retried: hello.map(|_| facts.hello_retried),
            resumed: hello.zip(self.client_hello()).map(|(hello, client)| tls::resumed(&client.fact, hello)),
            certificate: facts.certificate.as_deref().map(|certificate| {
                Box::new(CertificateRow {
                    subject: certificate.subject.clone(),
                    issuer: certificate.issuer.clone(),
                    sans: certificate.sans.clone(),
                    not_before: at_second(certificate.not_before),
                    not_after: at_second(certificate.not_after),
                })
            }),
        }
    }

    pub fn http(&self) -> Option<Box<HttpRow>> {
        let http = self.facts?.http.as_deref()?;
        Some(Box::new(HttpRow {
            host: http.host.clone(),
            status: http.status.map(i32::from),
            location: http.location.clone(),
            server: http.server.clone(),
            title: http.title.clone(),
        }))
    }

    pub fn quic(&self) -> Option<Box<QuicRow>> {
        let facts = self.facts?.quic.as_deref()?;
        Some(Box::new(QuicRow {
            version: facts.version.map(quic::version_name),
            versions_offered: facts.versions_offered.iter().map(|&version| quic::version_name(version)).collect(),
            retried: facts.retry,
            transport_parameters: Some(facts.transport_parameters.to_string()).filter(|text| !text.is_empty()),
            close_code: facts.closed.and_then(|code| i64::try_from(code).ok()),
        }))
    }

    pub fn stun_realm(&self) -> Option<String> {
        self.facts?.stun.as_ref()?.realm.clone()
    }

    pub fn ech_config(&self) -> Option<i32> {
        match self.client_hello()?.fact.ech? {
            EchOffer::Outer { config_id, .. } => Some(config_id.into()),
            EchOffer::Inner => None,
        }
    }

    pub fn quic_server_id(&self) -> Option<String> {
        let id = self.facts?.quic.as_ref()?.server_cid.as_ref()?;
        (!id.is_empty()).then(|| hex(id))
    }

    /// Of a flow that no reader knew: where the connection id stands if it is QUIC that goes on.
    pub fn quic_goes_on_with(&self) -> Option<String> {
        let heads = self.facts.filter(|facts| !facts.is_known())?.heads.as_deref()?;
        let first = heads.payloads.iter().find(|payload| payload.sender == self.conversation.client)?;
        quic::short_header_id(&first.bytes).map(hex)
    }

    /// Whether others may tell more.
    pub fn is_open(&self) -> bool {
        let names_itself = matches!(self.facts.and_then(|facts| facts.protocol), Some(AppProtocol::Dns | AppProtocol::Mdns | AppProtocol::Llmnr));
        let nameless = self.named.host.is_none() && has_ports(self.conversation.flow.key.protocol) && !names_itself;
        nameless || self.ech_config().is_some()
    }
}

/// CONNECTION_CLOSE codes of TLS alerts begin here (RFC 9001 section 4.8).
const QUIC_CRYPTO_ERROR: u64 = 0x100;

fn at_second(seconds: i64) -> Option<Timestamp> {
    seconds.checked_mul(1_000_000_000).map(Timestamp)
}

pub fn numbers(values: &[u16]) -> Vec<i32> {
    values.iter().map(|&value| value.into()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _never_fails = write!(text, "{byte:02x}");
        text
    })
}
