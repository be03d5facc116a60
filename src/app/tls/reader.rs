//! Goes along the clear part of one direction of a connection.
//!
//! A message is read when all of it came, where it stands if it lies in one record; what does not matter is passed over without being kept. The end of
//! the clear part is known by what TLS itself says: ChangeCipherSpec, application data, a ServerHello of TLS 1.3.

use super::client_hello::BYTES_MAX;
use super::records::{self, ALERT, CHANGE_CIPHER_SPEC, HANDSHAKE, Pieces};
use super::{Alert, Carrier, ClientHello, Cursor, MESSAGE_HEADER_BYTES, Message, ParseError, client_hello_so_far, handshake, read_body, ssl2};
use crate::app::{Reading, Step};

/// Reads the clear part of one direction of a TLS connection, message by message.
#[derive(Debug, Default)]
pub struct Reader {
    is_tls: bool,
    /// Nothing more is read.
    is_over: bool,
    /// Behind a ChangeCipherSpec nothing is clear but a second hello (RFC 8446 appendix D.4).
    is_changed: bool,
    sender: Sender,
    /// The message read last may be followed by a second hello.
    expects_hello: bool,
    /// Bytes of the stream before those of the next step.
    offset: u32,
    /// Of the record that the next byte belongs to.
    content_type: u8,
    /// What is left of that record.
    left: usize,
    /// What is left of a message of no interest.
    skip: usize,
}

/// Which side a direction is of, as its hello told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sender {
    #[default]
    Unknown,
    Client,
    Server,
}

/// Level and description (RFC 8446 section 6).
const ALERT_BYTES: usize = 2;
/// Chains of thirty certificates fit; a longer message is passed over.
const CERTIFICATE_BYTES_MAX: usize = 65_536;
/// A clear message that says it is longer is none.
const SKIPPED_BYTES_MAX: usize = 1 << 18;

impl Reader {
    /// `bytes`: the stream from where the last step ended, as many as are known without a hole.
    ///
    /// `Done`: one message that matters was read; call again with the bytes behind `used`. `More`: nothing more can be told yet; `used` bytes are done with
    /// all the same. `Not`: at the start, this is no TLS; later, the rest is encrypted, damaged or of no interest.
    pub fn step(&mut self, bytes: &[u8]) -> Step<Message> {
        let mut cursor = Cursor::new(bytes);
        let reading = loop {
            match self.advance(&mut cursor) {
                Ok(None) => {}
                Ok(Some(message)) => break Reading::Done(message),
                Err(ParseError::Truncated { .. }) => break Reading::More,
                Err(ParseError::Invalid { .. }) => {
                    self.is_over = true;
                    break Reading::Not;
                }
            }
        };
        self.offset = self.offset.saturating_add(cursor.offset() as u32);
        Step { used: cursor.offset(), reading }
    }

    /// What a ClientHello that never became whole, or that breaks its own rules, shows up to there. `bytes` as for [`Reader::step`].
    pub fn client_hello_so_far(&self, bytes: &[u8]) -> Option<ClientHello> {
        let mut cursor = Cursor::new(bytes);
        let mut left = self.left;
        if left == 0 {
            let (content_type, length) = records::header(&mut cursor).ok()?;
            left = (content_type == HANDSHAKE).then_some(length)?;
        }
        if self.is_changed || self.skip > 0 || (self.left > 0 && self.content_type != HANDSHAKE) {
            return None;
        }
        let mut pieces = Pieces::new(cursor, left);
        let (_, length) = message_header(&pieces).ok()?;
        let known = pieces.take_so_far(MESSAGE_HEADER_BYTES + length);
        let mut hello = client_hello_so_far(&known, Carrier::Tcp)?;
        hello.stream_bytes = self.offset.saturating_add(pieces.offset() as u32);
        hello.records = pieces.records();
        Some(hello)
    }

    /// Whether a record of TLS was the first thing seen, even one from the middle of a connection.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// One record header, message, or piece of a message of no interest. The cursor moves only where something was read.
    fn advance(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Message>, ParseError> {
        if self.is_over {
            return Err(ParseError::Invalid { field: "stream", offset: cursor.offset() });
        }
        if !self.is_tls && ssl2::may_begin(cursor.rest()) {
            let mut hello = cursor.clone();
            let message = ssl2::client_hello(&mut hello)?;
            *cursor = hello;
            (self.is_tls, self.sender) = (true, Sender::Client);
            return Ok(Some(Message::ClientHello(Box::new(message))));
        }
        if self.left == 0 {
            let mut header = cursor.clone();
            (self.content_type, self.left) = records::header(&mut header)?;
            *cursor = header;
            self.is_tls = true;
            return Ok(None);
        }
        match self.content_type {
            HANDSHAKE => self.handshake(cursor),
            // A longer one is encrypted, whatever its first bytes are.
            ALERT if self.left == ALERT_BYTES => {
                let bytes = self.take(cursor, ALERT_BYTES)?;
                Ok(Some(Message::Alert(Alert { level: bytes[0], description: bytes[1] })))
            }
            CHANGE_CIPHER_SPEC if self.left == 1 && self.expects_hello => {
                self.take(cursor, 1)?;
                self.is_changed = true;
                Ok(None)
            }
            _ => Err(ParseError::Invalid { field: "record.type", offset: cursor.offset() }),
        }
    }

    /// Bytes of the current record.
    fn take<'a>(&mut self, cursor: &mut Cursor<'a>, len: usize) -> Result<&'a [u8], ParseError> {
        let bytes = cursor.take(len, "record.payload")?;
        self.left -= len;
        Ok(bytes)
    }

    fn handshake(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Message>, ParseError> {
        if self.skip > 0 {
            let len = self.skip.min(self.left).min(cursor.rest().len());
            if len == 0 {
                return Err(ParseError::Truncated { field: "handshake.body", offset: cursor.offset(), needed: 1, had: 0 });
            }
            self.take(cursor, len)?;
            self.skip -= len;
            return Ok(None);
        }
        let mut pieces = Pieces::new(cursor.clone(), self.left);
        let (kind, length) = message_header(&pieces)?;
        let reads = self.judge(kind, length, &pieces)?;
        let message = if reads { self.message(kind, &pieces.take(MESSAGE_HEADER_BYTES + length)?, &pieces)? } else { None };
        if !reads {
            pieces.take(MESSAGE_HEADER_BYTES)?;
            self.skip = length;
        }
        self.left = pieces.left();
        *cursor = pieces.into_cursor();
        Ok(message)
    }

    /// Whether a message is read or passed over. An error where it is no clear message.
    fn judge(&self, kind: u8, length: usize, pieces: &Pieces<'_>) -> Result<bool, ParseError> {
        let no_message = Err(ParseError::Invalid { field: "handshake.type", offset: pieces.offset() });
        let is_hello = matches!(kind, handshake::CLIENT_HELLO | handshake::SERVER_HELLO);
        let max = if is_hello { BYTES_MAX as usize } else { SKIPPED_BYTES_MAX };
        if length > max || !handshake::is_clear(kind) || (self.is_changed && !self.is_second_hello(kind, pieces)?) {
            return no_message;
        }
        Ok(is_hello || (kind == handshake::CERTIFICATE && self.sender == Sender::Server && length <= CERTIFICATE_BYTES_MAX))
    }

    /// Whether what stands behind a ChangeCipherSpec is a hello, and not an encrypted message that begins like one.
    fn is_second_hello(&self, kind: u8, pieces: &Pieces<'_>) -> Result<bool, ParseError> {
        let expected = if self.sender == Sender::Client { handshake::CLIENT_HELLO } else { handshake::SERVER_HELLO };
        // legacy_version is that of TLS 1.2 (RFC 8446 section 4.1.2).
        Ok(kind == expected && pieces.clone().take(MESSAGE_HEADER_BYTES + 2)?.ends_with(&[3, 3]))
    }

    /// A whole message; `pieces` ends with it.
    fn message(&mut self, kind: u8, whole: &[u8], pieces: &Pieces<'_>) -> Result<Option<Message>, ParseError> {
        let body = whole.get(MESSAGE_HEADER_BYTES..).unwrap_or_default();
        let mut message = read_body(kind, body, Carrier::Tcp)?;
        match &mut message {
            Some(Message::ClientHello(hello)) => {
                hello.records = pieces.records();
                hello.stream_bytes = self.offset.saturating_add(pieces.offset() as u32);
                self.sender = Sender::Client;
                self.expects_hello = !hello.versions.is_empty();
            }
            Some(Message::ServerHello(hello)) => {
                self.sender = Sender::Server;
                self.expects_hello = hello.is_retry;
                self.is_over = hello.is_encrypted_from_here();
            }
            _ => {}
        }
        Ok(message)
    }
}

/// Type and length of the message that begins here.
fn message_header(pieces: &Pieces<'_>) -> Result<(u8, usize), ParseError> {
    let header = pieces.clone().take(MESSAGE_HEADER_BYTES)?;
    let mut cursor = Cursor::new(&header);
    Ok((cursor.u8("handshake.type")?, cursor.u24("handshake.length")? as usize))
}
