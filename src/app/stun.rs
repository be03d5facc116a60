//! STUN and TURN (RFC 8489, RFC 8656), with the dialects of WhatsApp and Microsoft.
//! In:  one datagram, or the start of a stream.
//! Out: the message: what it asks or answers, and the marks by which a service can be told.
//! Promises: a message is claimed by its cookie and its length, so old STUN (RFC 3489) is not.
//! Not here: whose relay it is.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Cursor, ParseError};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The first two bytes.
    pub kind: u16,
    pub class: Class,
    pub method: Method,
    pub transaction: [u8; 12],
    pub realm: Option<String>,
    pub software: Option<String>,
    pub has_username: bool,
    /// Types in the order of the message, the first [`ATTRIBUTES_MAX`].
    pub attributes: Vec<u16>,
    pub mapped: Option<SocketAddr>,
    pub relayed: Option<SocketAddr>,
    pub peer: Option<SocketAddr>,
    /// ERROR-CODE: 300 to 699.
    pub error: Option<u16>,
    pub wrapping: Wrapping,
}

/// What stands before a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    Plain,
    /// A two-byte length (RFC 4571).
    Framed,
    /// Microsoft's multiplexed TURN: twelve bytes that begin ff 10.
    Microsoft,
}

/// RFC 8489 section 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Request,
    Indication,
    Success,
    Error,
}

/// IANA, STUN Methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method(pub u16);

impl Method {
    pub const BINDING: Self = Self(1);
    pub const ALLOCATE: Self = Self(3);
    pub const REFRESH: Self = Self(4);
    pub const SEND: Self = Self(6);
    pub const DATA: Self = Self(7);
    pub const CREATE_PERMISSION: Self = Self(8);
    pub const CHANNEL_BIND: Self = Self(9);
}

/// Data of a TURN channel (RFC 8656 section 12.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelData<'a> {
    pub channel: u16,
    pub data: &'a [u8],
}

const COOKIE: u32 = 0x2112_a442;
/// Types that are kept of one message.
pub const ATTRIBUTES_MAX: usize = 32;
/// REALM and SOFTWARE have fewer than 128 characters (RFC 8489 sections 14.9 and 14.14).
const TEXT_BYTES_MAX: usize = 127;
/// Microsoft's prefix: ff 10, the length of what follows those two and its own field, and eight bytes.
const MICROSOFT: u16 = 0xff10;

/// IANA, STUN Attributes.
mod attribute {
    pub const MAPPED_ADDRESS: u16 = 0x0001;
    pub const USERNAME: u16 = 0x0006;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub const REALM: u16 = 0x0014;
    pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const SOFTWARE: u16 = 0x8022;
}

impl Message {
    /// Reads a datagram that is one message and nothing else.
    pub fn read(datagram: &[u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(datagram);
        let wrapping = if datagram.starts_with(&MICROSOFT.to_be_bytes()) { microsoft(&mut cursor)? } else { Wrapping::Plain };
        let message = message(&mut cursor, wrapping)?;
        if cursor.is_empty() { Ok(message) } else { Err(ParseError::Invalid { field: "stun.length", offset: cursor.offset() }) }
    }

    /// Reads the message at the start of a stream, plain as TURN sends it or framed, and says how many bytes it takes there.
    pub fn read_stream(stream: &[u8]) -> Result<(Self, usize), ParseError> {
        let plain = sized(Cursor::new(stream), |cursor| message(cursor, Wrapping::Plain));
        let framed = sized(Cursor::new(stream), framed);
        match (plain, framed) {
            (Ok(read), _) | (_, Ok(read)) => Ok(read),
            (Err(error @ ParseError::Truncated { .. }), _) | (_, Err(error)) => Err(error),
        }
    }

    /// One of WhatsApp's types 0x0800 to 0x0802, or its attributes 0x4000 to 0x4004 and 0x4007.
    pub fn is_whatsapp(&self) -> bool {
        matches!(self.kind, 0x0800..=0x0802) || self.attributes.iter().any(|kind| matches!(kind, 0x4000..=0x4004 | 0x4007))
    }

    /// Takes what is of use from an attribute. The first of a kind counts (RFC 8489 section 14).
    fn note(&mut self, kind: u16, value: &[u8]) {
        if self.attributes.len() < ATTRIBUTES_MAX {
            self.attributes.push(kind);
        }
        let xor = Some(self.transaction);
        match kind {
            attribute::USERNAME => self.has_username = true,
            attribute::REALM => fill(&mut self.realm, || text(value)),
            attribute::SOFTWARE => fill(&mut self.software, || text(value)),
            attribute::ERROR_CODE => fill(&mut self.error, || error_code(value)),
            attribute::XOR_MAPPED_ADDRESS => self.mapped = address(value, xor).or(self.mapped),
            attribute::MAPPED_ADDRESS => fill(&mut self.mapped, || address(value, None)),
            attribute::XOR_RELAYED_ADDRESS => fill(&mut self.relayed, || address(value, xor)),
            attribute::XOR_PEER_ADDRESS => fill(&mut self.peer, || address(value, xor)),
            _ => {}
        }
    }
}

fn fill<T>(place: &mut Option<T>, value: impl FnOnce() -> Option<T>) {
    if place.is_none() {
        *place = value();
    }
}

fn sized<'a>(mut cursor: Cursor<'a>, read: impl FnOnce(&mut Cursor<'a>) -> Result<Message, ParseError>) -> Result<(Message, usize), ParseError> {
    let message = read(&mut cursor)?;
    Ok((message, cursor.offset()))
}

/// RFC 4571 section 2: a length, and the message fills it.
fn framed(cursor: &mut Cursor<'_>) -> Result<Message, ParseError> {
    let len = usize::from(cursor.u16("stun.frame")?);
    let (start, message) = (cursor.offset(), message(cursor, Wrapping::Framed)?);
    if cursor.offset() == start + len { Ok(message) } else { Err(ParseError::Invalid { field: "stun.frame", offset: 0 }) }
}

fn microsoft(cursor: &mut Cursor<'_>) -> Result<Wrapping, ParseError> {
    cursor.u16("stun.microsoft")?;
    let (offset, len) = (cursor.offset(), usize::from(cursor.u16("stun.microsoft.length")?));
    if len != cursor.rest().len() {
        return Err(ParseError::Invalid { field: "stun.microsoft.length", offset });
    }
    cursor.take(8, "stun.microsoft.rest")?;
    Ok(Wrapping::Microsoft)
}

/// RFC 8489 section 5. A message without cookie is refused as soon as that shows.
fn message(cursor: &mut Cursor<'_>, wrapping: Wrapping) -> Result<Message, ParseError> {
    let offset = cursor.offset();
    let invalid = |field| ParseError::Invalid { field, offset };
    let kind = cursor.u16("stun.type")?;
    if kind & 0xc000 != 0 {
        return Err(invalid("stun.type"));
    }
    let length = cursor.u16("stun.length")?;
    if !length.is_multiple_of(4) {
        return Err(invalid("stun.length"));
    }
    if cursor.u32("stun.cookie")? != COOKIE {
        return Err(invalid("stun.cookie"));
    }
    let mut transaction = [0; 12];
    transaction.copy_from_slice(cursor.take(12, "stun.transaction")?);
    let body = cursor.take(length.into(), "stun.attributes")?;
    let mut message = Message {
        kind,
        class: class(kind),
        method: method(kind),
        transaction,
        realm: None,
        software: None,
        has_username: false,
        attributes: Vec::new(),
        mapped: None,
        relayed: None,
        peer: None,
        error: None,
        wrapping,
    };
    // Cookie and length are proof enough: a dialect whose attributes end badly still yields those before.
    let _cut = attributes(Cursor::new(body), &mut message);
    Ok(message)
}

fn class(kind: u16) -> Class {
    match kind & 0x0110 {
        0x0000 => Class::Request,
        0x0010 => Class::Indication,
        0x0100 => Class::Success,
        _ => Class::Error,
    }
}

fn method(kind: u16) -> Method {
    Method(kind & 0x000f | (kind & 0x00e0) >> 1 | (kind & 0x3e00) >> 2)
}

/// RFC 8489 section 14: each is padded to four bytes.
fn attributes(mut cursor: Cursor<'_>, message: &mut Message) -> Result<(), ParseError> {
    while !cursor.is_empty() {
        let kind = cursor.u16("stun.attribute.type")?;
        let value = cursor.block_u16("stun.attribute.value")?.rest();
        cursor.take(value.len().next_multiple_of(4) - value.len(), "stun.attribute.padding")?;
        message.note(kind, value);
    }
    Ok(())
}

fn text(value: &[u8]) -> Option<String> {
    let value = &value[..value.len().min(TEXT_BYTES_MAX)];
    let text = String::from_utf8_lossy(value).trim_end_matches('\0').to_owned();
    (!text.is_empty()).then_some(text)
}

/// RFC 8489 section 14.8.
fn error_code(value: &[u8]) -> Option<u16> {
    let [_, _, class, number, ..] = value else { return None };
    let code = u16::from(class & 0x07) * 100 + u16::from(*number);
    (300..700).contains(&code).then_some(code)
}

/// RFC 8489 sections 14.1 and 14.2: with a transaction, the address is XORed with cookie and transaction.
fn address(value: &[u8], transaction: Option<[u8; 12]>) -> Option<SocketAddr> {
    const IPV4: u8 = 1;
    const IPV6: u8 = 2;
    let mut mask = [0; 16];
    if let Some(transaction) = transaction {
        mask[..4].copy_from_slice(&COOKIE.to_be_bytes());
        mask[4..].copy_from_slice(&transaction);
    }
    let mut cursor = Cursor::new(value);
    cursor.u8("stun.address.reserved").ok()?;
    let family = cursor.u8("stun.address.family").ok()?;
    let port = cursor.u16("stun.address.port").ok()? ^ u16::from_be_bytes([mask[0], mask[1]]);
    match (family, cursor.rest().len()) {
        (IPV4, 4) => Some((Ipv4Addr::from(unmask::<4>(cursor.rest(), &mask)), port).into()),
        (IPV6, 16) => Some((Ipv6Addr::from(unmask::<16>(cursor.rest(), &mask)), port).into()),
        _ => None,
    }
}

fn unmask<const N: usize>(bytes: &[u8], mask: &[u8]) -> [u8; N] {
    let mut plain = [0; N];
    plain.iter_mut().zip(bytes.iter().zip(mask)).for_each(|(plain, (byte, mask))| *plain = byte ^ mask);
    plain
}

impl<'a> ChannelData<'a> {
    /// Reads a datagram; up to three bytes of padding may follow the data. Any protocol may look like this: it counts only between ends that spoke STUN.
    pub fn read(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(datagram);
        let channel = cursor.u16("channel.number")?;
        if !(0x4000..0x5000).contains(&channel) {
            return Err(ParseError::Invalid { field: "channel.number", offset: 0 });
        }
        let data = cursor.block_u16("channel.data")?.rest();
        if cursor.rest().len() > 3 {
            return Err(ParseError::Invalid { field: "channel.length", offset: 2 });
        }
        Ok(Self { channel, data })
    }
}

#[cfg(test)]
pub mod build {
    //! Messages for tests.

    /// A message of a type with attributes.
    pub fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend([&kind.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat());
            body.resize(body.len().next_multiple_of(4), 0);
        }
        [&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), &super::COOKIE.to_be_bytes(), &[7; 12], &body].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 5769 section 2.2: an answer whose mapped address is 192.0.2.1:32853.
    const ANSWER: &[u8] = b"\x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
        \x80\x22\x00\x0btest vector\x20\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43\
        \x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\xe7\xd7\
        \x80\x28\x00\x04\xc0\x7d\x4c\x96";

    #[test]
    fn an_answer_tells_the_mapped_address() {
        let message = Message::read(ANSWER).expect("a message");
        assert_eq!((message.class, message.method), (Class::Success, Method::BINDING));
        assert_eq!(message.mapped, Some(([192, 0, 2, 1], 32_853).into()));
        assert_eq!(message.software.as_deref(), Some("test vector"));
        assert_eq!(message.attributes, [0x8022, 0x0020, 0x0008, 0x8028]);
    }

    #[test]
    fn an_address_of_ipv6_is_masked_with_the_transaction() {
        let mut mask = COOKIE.to_be_bytes().to_vec();
        mask.extend([7; 12]);
        let mut value = vec![0, 2, 0x21, 0x12 ^ 53];
        value.extend(std::net::Ipv6Addr::LOCALHOST.octets().iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        let message = Message::read(&build::message(0x0103, &[(0x0016, &value)])).expect("a message");
        assert_eq!(message.relayed, Some((std::net::Ipv6Addr::LOCALHOST, 53).into()));
    }

    #[test]
    fn a_refusal_has_realm_and_code() {
        let message = Message::read(&build::message(0x0113, &[(0x0009, &[0, 0, 4, 1, b'n', b'o']), (0x0014, b"signal.org")])).expect("a message");
        assert_eq!((message.class, message.method, message.error), (Class::Error, Method::ALLOCATE, Some(401)));
        assert_eq!(message.realm.as_deref(), Some("signal.org"));
    }

    #[test]
    fn whatsapp_has_types_and_attributes_of_its_own() {
        assert!(Message::read(&build::message(0x0800, &[])).is_ok_and(|message| message.is_whatsapp()));
        assert!(Message::read(&build::message(0x0003, &[(0x4002, &[1])])).is_ok_and(|message| message.is_whatsapp()));
        assert!(!Message::read(ANSWER).is_ok_and(|message| message.is_whatsapp()));
    }

    #[test]
    fn microsoft_wraps_its_messages() {
        let inner = build::message(0x0003, &[]);
        let wrapped = [&[0xff, 0x10][..], &(inner.len() as u16 + 8).to_be_bytes(), &[0; 8], &inner].concat();
        assert_eq!(Message::read(&wrapped).map(|message| message.wrapping), Ok(Wrapping::Microsoft));
        assert!(Message::read(&wrapped[..wrapped.len() - 1]).is_err());
    }

    #[test]
    fn old_stun_other_lengths_and_other_protocols_are_not_claimed() {
        let mut without_cookie = build::message(1, &[]);
        without_cookie[4] = 0;
        assert!(Message::read(&without_cookie).is_err());
        assert!(Message::read(&[ANSWER, &[0]].concat()).is_err());
        assert!(Message::read(&[0x16, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn a_stream_holds_messages_with_or_without_frame() {
        let framed = [&(ANSWER.len() as u16).to_be_bytes(), ANSWER, b"more"].concat();
        assert_eq!(Message::read_stream(&framed).map(|(message, used)| (message.wrapping, used)), Ok((Wrapping::Framed, ANSWER.len() + 2)));
        let plain = [ANSWER, b"more"].concat();
        assert_eq!(Message::read_stream(&plain).map(|(message, used)| (message.wrapping, used)), Ok((Wrapping::Plain, ANSWER.len())));
    }

    #[test]
    fn channel_data_fits_its_length() {
        assert_eq!(ChannelData::read(&[0x40, 1, 0, 2, 8, 9, 0, 0]), Ok(ChannelData { channel: 0x4001, data: &[8, 9] }));
        assert!(ChannelData::read(&[0x40, 1, 0, 2, 8, 9, 0, 0, 0, 0]).is_err());
        assert!(ChannelData::read(&[0x50, 1, 0, 2, 8, 9]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Message::read(&bytes), Message::read_stream(&bytes), ChannelData::read(&bytes));
        }

        #[test]
        fn no_damage_makes_it_panic(at in 20..ANSWER.len(), value in any::<u8>()) {
            let mut bytes = ANSWER.to_vec();
            bytes[at] = value;
            prop_assert!(Message::read(&bytes).is_ok(), "attributes do not decide");
        }

        #[test]
        fn every_shorter_prefix_asks_for_more(cut in 0..ANSWER.len(), is_framed in any::<bool>()) {
            let frame = (ANSWER.len() as u16).to_be_bytes();
            let stream = if is_framed { [&frame, ANSWER].concat() } else { ANSWER.to_vec() };
            let asks = matches!(Message::read_stream(&stream[..cut]), Err(ParseError::Truncated { .. }));
            prop_assert!(asks);
        }
    }
}
