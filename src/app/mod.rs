//! Facts from the first bytes of a stream.
//! In:  contiguous bytes from the start of one direction, as many as there are yet.
//! Out: a fact, or "more bytes may tell", or "this will never be one".
//! Promises: pure functions over bytes that anyone may have written: no panic, no unbounded work, nothing kept. One file per protocol.
//! Not here: whose bytes they are, when they came, what they prove.

mod cursor;
pub mod dns;
pub mod dtls;
mod fully_encrypted;
pub mod heads;
mod hpack;
pub mod http;
pub mod http2;
mod ike;
mod messengers;
mod mtproto;
mod openvpn;
pub mod proxy_header;
pub mod quic;
pub mod socks;
mod ssh;
pub mod start_tls;
pub mod stream;
pub mod stun;
pub mod stun_marks;
pub mod tls;
pub mod tls_records;
mod wa_noise;
mod wireguard;

pub use cursor::{Cursor, ParseError};

/// What the bytes known so far give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<T> {
    Done(T),
    /// Not enough yet.
    More,
    /// These bytes are something else.
    Not,
}

/// For readers of streams: bytes that end too soon may go on.
impl<T> From<Result<T, ParseError>> for Reading<T> {
    fn from(result: Result<T, ParseError>) -> Self {
        match result {
            Ok(fact) => Self::Done(fact),
            Err(ParseError::Truncated { .. }) => Self::More,
            Err(ParseError::Invalid { .. }) => Self::Not,
        }
    }
}

impl<T> Reading<T> {
    pub fn map<U>(self, to: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Done(value) => Reading::Done(to(value)),
            Self::More => Reading::More,
            Self::Not => Reading::Not,
        }
    }
}

/// One step of a reader that goes along a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<T> {
    /// Bytes at the front that the reader needs no more: the next call begins behind them.
    pub used: usize,
    pub reading: Reading<T>,
}

impl<T> Step<T> {
    pub fn map<U>(self, to: impl FnOnce(T) -> U) -> Step<U> {
        Step { used: self.used, reading: self.reading.map(to) }
    }
}
