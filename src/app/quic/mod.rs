//! QUIC (RFC 9000, RFC 9369), its drafts, and Google QUIC: what a connection shows before it is encrypted.
//! In:  the datagrams of one flow, both directions, in the order of the capture.
//! Out: version, hellos, transport parameters, connection ids, Retry, Version Negotiation, an early close.
//! Promises: Initial packets count only when their tag is right (RFC 9001 section 5.2); work and memory are bounded whatever comes.
//! Not here: anything behind the handshake keys.

#[cfg(test)]
pub mod build;
mod connection;
mod connection_id;
mod crypto_stream;
mod frames;
mod google;
mod header;
mod keys;
#[cfg(test)]
mod tests;
mod transport_parameters;
mod version;

pub use connection_id::ConnectionId;
pub use transport_parameters::{TransportParameters, Value};
pub use version::version_name;

use super::Reading;
use super::tls::{ClientHello, ServerHello};
use crate::model::Side;
use connection::Connection;
use connection_id::CID_BYTES_MAX;

/// Reads the clear and the Initial part of one connection, datagram by datagram.
#[derive(Debug, Default)]
pub struct Reader {
    connection: Option<Box<Connection>>,
}

/// What a connection has shown so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Of the client's Initial, or the one agreed on after it. A capture that begins later: of the first long header.
    pub version: Option<u32>,
    /// The first one that became whole, until the server answers another one.
    pub client_hello: Option<ClientHello>,
    pub server_hello: Option<ServerHello>,
    /// Google QUIC's own hello; then there is no [`ClientHello`].
    pub chlo: Option<Chlo>,
    /// Datagrams that brought new bytes of the client's hello, up to the one that made it whole.
    pub hello_datagrams: u32,
    /// UDP payload of these datagrams.
    pub hello_bytes: u32,
    /// The server asked for another ClientHello first (RFC 8446 section 4.1.4).
    pub hello_retried: bool,
    pub retry: bool,
    /// By the server in a Version Negotiation packet, reserved ones included.
    pub versions_offered: Vec<u32>,
    /// Of the client.
    pub transport_parameters: TransportParameters,
    /// That the client chose for itself, as its latest long header says.
    pub client_cid: Option<ConnectionId>,
    /// The same of the server; of Google QUIC the only one that a connection has.
    pub server_cid: Option<ConnectionId>,
    /// Error code of a CONNECTION_CLOSE in an Initial packet; 0x100 and up are TLS alerts (RFC 9001 section 4.8).
    pub closed: Option<u64>,
}

static NOTHING: Facts = Facts {
    version: None,
    client_hello: None,
    server_hello: None,
    chlo: None,
    hello_datagrams: 0,
    hello_bytes: 0,
    hello_retried: false,
    retry: false,
    versions_offered: Vec::new(),
    transport_parameters: TransportParameters::NONE,
    client_cid: None,
    server_cid: None,
    closed: None,
};

/// Google QUIC's client hello (draft-tsvwg-quic-protocol-02 and "QUIC Crypto").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chlo {
    pub sni: Option<String>,
    pub user_agent: Option<String>,
    pub alpn: Option<String>,
    /// The version that the client would like best.
    pub version: Option<u32>,
}

impl Facts {
    /// The name asked for, by whichever hello.
    pub fn sni(&self) -> Option<&str> {
        let tls = self.client_hello.as_ref().and_then(|hello| hello.sni.as_deref());
        tls.or_else(|| self.chlo.as_ref()?.sni.as_deref())
    }

    /// Whether a client's hello was read.
    pub fn has_hello(&self) -> bool {
        self.client_hello.is_some() || self.chlo.is_some()
    }
}

impl Reader {
    /// More: the next datagram may tell more. Done: nothing more can be learnt. Not: no QUIC, said only before anything was recognised; then nothing is
    /// kept, and the next datagram may be asked about anew.
    pub fn take(&mut self, sender: Side, datagram: &[u8]) -> Reading<()> {
        if let Some(connection) = &mut self.connection {
            return connection.take(sender, datagram);
        }
        let mut connection = Box::<Connection>::default();
        let reading = connection.take(sender, datagram);
        if !connection.recognised {
            return Reading::Not;
        }
        self.connection = Some(connection);
        reading
    }

    /// Empty before anything was recognised.
    pub fn facts(&self) -> &Facts {
        self.connection.as_ref().map_or(&NOTHING, |connection| &connection.facts)
    }

    pub fn into_facts(self) -> Facts {
        self.connection.map(|connection| connection.facts).unwrap_or_default()
    }

    /// Who the client is, where that is proven.
    pub fn client(&self) -> Option<Side> {
        self.connection.as_ref()?.client
    }

    /// Heap bytes that it keeps for reading on.
    pub fn held(&self) -> usize {
        self.connection.as_ref().map_or(0, |connection| connection.held())
    }
}

/// The bytes in which the connection id of a 1-RTT packet stands, behind its first byte (RFC 9000 section 17.3): how long it is only the receiver knows.
pub fn short_header_id(datagram: &[u8]) -> Option<&[u8]> {
    let (first, rest) = datagram.split_first()?;
    (first & 0xc0 == 0x40).then(|| &rest[..rest.len().min(CID_BYTES_MAX)])
}
