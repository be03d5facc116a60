//! DTLS 1.0, 1.2 and 1.3: what both sides say in clear text.
//! In:  the datagrams of one direction of a flow, in the order they came; other protocols may stand between them (RFC 7983).
//! Out: the same [`Message`]s as TLS, each once.
//! Promises: fragments in any order, repeated or overlapping, give the same message; what waits for its other fragments is bounded.
//! Not here: which hello answers which HelloVerifyRequest.

use super::tls::{Alert, Carrier, Message, handshake, read_body};
use super::{Cursor, ParseError, Reading};

/// Reads the clear part of one direction of a DTLS association.
#[derive(Debug, Default)]
pub struct Reader {
    is_dtls: bool,
    /// The server's certificate is told from the client's by the hello before it.
    is_server: bool,
    /// Numbers of messages that were read, one bit each.
    read: u64,
    pending: Vec<Pending>,
}

/// A message of which not all fragments came, or a certificate that came before the hello.
#[derive(Debug)]
struct Pending {
    number: u16,
    kind: u8,
    length: usize,
    /// By the place of their first byte.
    fragments: Vec<(usize, Vec<u8>)>,
}

/// A record in clear.
struct Record<'a> {
    content_type: u8,
    payload: Cursor<'a>,
}

/// One fragment of a handshake message (RFC 6347 section 4.2.2).
struct Fragment<'a> {
    kind: u8,
    length: usize,
    number: u16,
    offset: usize,
    bytes: &'a [u8],
}

/// Handshakes have fewer messages before they are encrypted.
const MESSAGES_MAX: u16 = 64;
/// Messages that wait: a flight has no more that matter.
const PENDING_MAX: usize = 4;
/// A certificate chain of 16 KiB in pieces for the smallest paths fits.
const FRAGMENTS_MAX: usize = 128;
/// Of one reader: a long chain of certificates.
const HELD_BYTES_MAX: usize = 32_768;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
/// Level and description (RFC 8446 section 6).
const ALERT_BYTES: usize = 2;
/// 1.0, 1.2 (RFC 6347 section 4.1; 1.3 writes 1.2, RFC 9147 section 4), and what OpenSSL 0.9.8 called DTLS.
const VERSIONS: [u16; 3] = [0xfeff, 0xfefd, 0x0100];

impl Reader {
    /// `Done`: the messages that became whole with this datagram, at least one. `More`: none did. `Not`: nothing of this datagram is DTLS in clear text; a
    /// later one may be.
    pub fn take(&mut self, datagram: &[u8]) -> Reading<Vec<Message>> {
        let mut cursor = Cursor::new(datagram);
        let mut messages = Vec::new();
        let mut records = 0;
        while !cursor.is_empty()
            && let Ok(record) = record(&mut cursor)
            && self.take_record(record, &mut messages).is_ok()
        {
            records += 1;
        }
        self.is_dtls |= records > 0;
        match (records, messages.is_empty()) {
            (0, _) => Reading::Not,
            (_, true) => Reading::More,
            (_, false) => Reading::Done(messages),
        }
    }

    /// Whether there was a record of DTLS in clear text.
    pub fn is_dtls(&self) -> bool {
        self.is_dtls
    }

    /// Bytes held in memory: at most 32 KiB.
    pub fn held(&self) -> usize {
        self.pending.iter().flat_map(|message| &message.fragments).map(|(_, bytes)| bytes.len()).sum()
    }

    fn take_record(&mut self, Record { content_type, mut payload }: Record<'_>, messages: &mut Vec<Message>) -> Result<(), ParseError> {
        match content_type {
            HANDSHAKE => {
                while !payload.is_empty() {
                    self.take_fragment(fragment(&mut payload)?, messages);
                }
            }
            ALERT => messages.push(Message::Alert(Alert { level: payload.u8("alert.level")?, description: payload.u8("alert.description")? })),
            _ => {}
        }
        Ok(())
    }

    fn take_fragment(&mut self, fragment: Fragment<'_>, messages: &mut Vec<Message>) {
        let is_read = fragment.number >= MESSAGES_MAX || self.read & 1 << fragment.number != 0;
        if is_read || !handshake::matters(fragment.kind) || fragment.length > HELD_BYTES_MAX {
            return;
        }
        if fragment.bytes.len() == fragment.length && self.may_read(fragment.kind) {
            self.finish(fragment.number, fragment.kind, fragment.bytes, 1, messages);
        } else {
            self.keep(fragment);
        }
        self.read_pending(messages);
    }

    fn may_read(&self, kind: u8) -> bool {
        self.is_server || kind != handshake::CERTIFICATE
    }

    fn keep(&mut self, Fragment { kind, length, number, offset, bytes }: Fragment<'_>) {
        if self.held() + bytes.len() > HELD_BYTES_MAX {
            return;
        }
        if let Some(message) = self.pending.iter_mut().find(|message| message.is(number, kind, length)) {
            message.keep(offset, bytes);
        } else if self.pending.len() < PENDING_MAX {
            self.pending.push(Pending { number, kind, length, fragments: vec![(offset, bytes.to_vec())] });
        }
    }

    /// Reads those that wait and are whole now.
    fn read_pending(&mut self, messages: &mut Vec<Message>) {
        while let Some(place) = self.pending.iter().position(|message| self.may_read(message.kind) && message.is_whole()) {
            let message = self.pending.swap_remove(place);
            self.finish(message.number, message.kind, &message.join(), message.fragments.len() as u32, messages);
        }
    }

    /// Reads the body of a whole message.
    fn finish(&mut self, number: u16, kind: u8, body: &[u8], fragments: u32, messages: &mut Vec<Message>) {
        self.read |= 1 << number;
        self.pending.retain(|message| message.number != number);
        let Ok(Some(mut message)) = read_body(kind, body, Carrier::Dtls) else { return };
        match &mut message {
            Message::ClientHello(hello) => hello.records = fragments,
            Message::ServerHello(_) => self.is_server = true,
            _ => {}
        }
        messages.push(message);
    }
}

impl Pending {
    fn is(&self, number: u16, kind: u8, length: usize) -> bool {
        (self.number, self.kind, self.length) == (number, kind, length)
    }

    fn keep(&mut self, offset: usize, bytes: &[u8]) {
        let is_known = self.fragments.iter().any(|(at, known)| *at == offset && known.len() >= bytes.len());
        if !is_known && self.fragments.len() < FRAGMENTS_MAX {
            let place = self.fragments.partition_point(|(at, _)| *at <= offset);
            self.fragments.insert(place, (offset, bytes.to_vec()));
        }
    }

    fn is_whole(&self) -> bool {
        let covered = self.fragments.iter().fold(0, |covered, (at, bytes)| if *at <= covered { covered.max(at + bytes.len()) } else { covered });
        covered == self.length
    }

    fn join(&self) -> Vec<u8> {
        let mut joined = Vec::with_capacity(self.length);
        for (at, bytes) in &self.fragments {
            joined.extend_from_slice(bytes.get(joined.len() - at..).unwrap_or_default());
        }
        joined
    }
}

/// A record of the first epoch: later ones are encrypted (RFC 6347 section 4.1, RFC 9147 section 6.1).
fn record<'a>(cursor: &mut Cursor<'a>) -> Result<Record<'a>, ParseError> {
    let invalid = |field| Err(ParseError::Invalid { field, offset: 0 });
    let content_type = cursor.u8("record.type")?;
    if !(CHANGE_CIPHER_SPEC..=HANDSHAKE).contains(&content_type) {
        return invalid("record.type");
    }
    if !VERSIONS.contains(&cursor.u16("record.version")?) {
        return invalid("record.version");
    }
    if cursor.u16("record.epoch")? != 0 {
        return invalid("record.epoch");
    }
    cursor.take(6, "record.sequence_number")?;
    let payload = cursor.block_u16("record.payload")?;
    let is_short_alert = payload.rest().len() == ALERT_BYTES;
    if payload.is_empty() || (content_type == ALERT && !is_short_alert) {
        return invalid("record.length");
    }
    Ok(Record { content_type, payload })
}

fn fragment<'a>(payload: &mut Cursor<'a>) -> Result<Fragment<'a>, ParseError> {
    let place = payload.offset();
    let kind = payload.u8("handshake.type")?;
    let length = payload.u24("handshake.length")? as usize;
    let number = payload.u16("handshake.message_seq")?;
    let offset = payload.u24("handshake.fragment_offset")? as usize;
    let bytes = payload.block_u24("handshake.fragment")?.rest();
    if offset + bytes.len() > length {
        return Err(ParseError::Invalid { field: "handshake.fragment", offset: place });
    }
    Ok(Fragment { kind, length, number, offset, bytes })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tls::build;
    use super::*;

    /// A fragment of a message.
    fn fragment(kind: u8, number: u16, length: usize, offset: usize, bytes: &[u8]) -> Vec<u8> {
        let place = |value: usize| (value as u32).to_be_bytes()[1..].to_vec();
        [&[kind], &place(length)[..], &number.to_be_bytes(), &place(offset), &build::block24(bytes)].concat()
    }

    fn record(content_type: u8, epoch: u16, payload: &[u8]) -> Vec<u8> {
        [&[content_type, 0xfe, 0xfd][..], &epoch.to_be_bytes(), &[0; 6], &build::block16(payload)].concat()
    }

    fn whole(kind: u8, number: u16, body: &[u8]) -> Vec<u8> {
        fragment(kind, number, body.len(), 0, body)
    }

    /// The body of a ClientHello for a host, with a cookie.
    fn client_hello(host: &str, cookie: &[u8]) -> Vec<u8> {
        let rest = build::client_hello_body(0xfefd, &[], &[0xc02b, 0xc02f], &[build::server_name(host)]);
        let (head, ciphers) = rest.split_at(2 + 32 + 1);
        [head, &build::block8(cookie), ciphers].concat()
    }

    fn server_hello() -> Vec<u8> {
        build::server_hello_message([7; 32], &[], 0xc02b, &[])[4..].to_vec()
    }

    fn certificate() -> Vec<u8> {
        build::certificate_message(&[build::certificate("turn.example", &[192, 0, 2, 9])])[4..].to_vec()
    }

    /// A message as datagrams of one fragment of `piece` bytes each.
    fn datagrams(kind: u8, number: u16, body: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let fragment = |(index, bytes): (usize, &[u8])| record(22, 0, &fragment(kind, number, body.len(), index * piece, bytes));
        body.chunks(piece).enumerate().map(fragment).collect()
    }

    fn read(datagrams: &[Vec<u8>]) -> Vec<Message> {
        let mut reader = Reader::default();
        let messages = |datagram: &Vec<u8>| if let Reading::Done(messages) = reader.take(datagram) { messages } else { Vec::new() };
        datagrams.iter().flat_map(messages).collect()
    }

    #[test]
    fn both_hellos_of_a_client_are_read_each_once() {
        let (first, second) = (client_hello("turn.example", &[]), client_hello("turn.example", &[3; 20]));
        let (first, second) = (record(22, 0, &whole(1, 0, &first)), record(22, 0, &whole(1, 1, &second)));
        let read = read(&[first.clone(), first, second.clone(), second]);
        let [Message::ClientHello(first), Message::ClientHello(second)] = &read[..] else { panic!("{read:?}") };
        assert_eq!((first.sni.as_deref(), first.version, first.records), (Some("turn.example"), 0xfefd, 1));
        assert_eq!((first.ja3, &first.ja4), (second.ja3, &second.ja4), "a cookie changes no fingerprint");
        assert_eq!(first.ja4.as_deref().map(|ja4| &ja4[..10]), Some("dd2d020100"));
        assert_eq!(second.message_bytes, first.message_bytes + 20);
    }

    #[test]
    fn a_datagram_may_hold_a_whole_flight() {
        let flight = [whole(2, 1, &server_hello()), whole(11, 2, &certificate())].concat();
        let datagram = [record(22, 0, &flight), record(22, 0, &whole(14, 3, &[])), record(21, 0, &[2, 40])].concat();
        let read = read(&[datagram]);
        let [Message::ServerHello(hello), Message::Certificate(certificate), Message::Alert(_)] = &read[..] else { panic!("{read:?}") };
        assert_eq!((hello.version, &certificate.sans[0][..]), (0x0303, "turn.example"));
    }

    #[test]
    fn a_certificate_that_overtakes_the_hello_waits_for_it() {
        let (hello, certificate) = (record(22, 0, &whole(2, 1, &server_hello())), record(22, 0, &whole(11, 2, &certificate())));
        assert!(matches!(&read(&[certificate.clone(), hello])[..], [Message::ServerHello(_), Message::Certificate(_)]));
        let client = record(22, 0, &whole(1, 0, &client_hello("turn.example", &[])));
        assert!(matches!(&read(&[client, certificate])[..], [Message::ClientHello(_)]), "of the client, which is not asked for");
    }

    #[test]
    fn other_protocols_and_encrypted_records_are_no_clear_dtls() {
        let mut reader = Reader::default();
        for datagram in [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[0x80; 40], &record(22, 1, &[1; 48]), &record(21, 0, &[1; 20]), &[0x2f; 30], &[]]
        {
            assert_eq!(reader.take(datagram), Reading::Not);
        }
        assert!(!reader.is_dtls());
        assert_eq!(reader.take(&record(20, 0, &[1])), Reading::More);
        assert!(reader.is_dtls());
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut reader = Reader::default();
        for number in 0..60 {
            for offset in 0..200 {
                reader.take(&record(22, 0, &fragment(1, number, 30_000, 100 * offset, &[1; 90])));
            }
        }
        assert!(reader.held() <= HELD_BYTES_MAX);
        let hello = record(22, 0, &whole(1, 61, &client_hello("turn.example", &[])));
        assert!(matches!(reader.take(&hello), Reading::Done(_)), "a whole one needs no room");
    }

    proptest! {
        #[test]
        fn order_and_repetition_of_fragments_change_nothing(piece in 1usize..200, order in any::<u64>(), repeats in 1usize..3) {
            let once = datagrams(1, 0, &client_hello("turn.example", &[1; 32]), piece.max(3));
            let mut all: Vec<_> = std::iter::repeat_n(once, repeats).flatten().collect();
            let len = all.len();
            (0..len).for_each(|index| all.swap(index, (order.rotate_left(index as u32) % len as u64) as usize));
            let read = read(&all);
            prop_assert!(matches!(&read[..], [Message::ClientHello(hello)] if hello.sni.as_deref() == Some("turn.example")), "{:?}", read);
        }

        #[test]
        fn fragments_that_overlap_give_one_message(first in 1usize..60, second in 0usize..60) {
            let body = client_hello("turn.example", &[1; 32]);
            let ends = (first.max(second), first.min(second));
            let pieces = [(0, &body[..ends.0]), (ends.1, &body[ends.1..])];
            let read = read(&pieces.map(|(at, bytes)| record(22, 0, &fragment(1, 0, body.len(), at, bytes))));
            prop_assert!(matches!(&read[..], [Message::ClientHello(_)]));
        }

        #[test]
        fn no_bytes_make_it_panic(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..6)) {
            let _ = read(&datagrams);
        }

        #[test]
        fn no_damage_makes_it_panic(piece in 20usize..200, at in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), value in any::<u8>()) {
            let mut all = [datagrams(2, 0, &server_hello(), piece), datagrams(11, 1, &certificate(), piece)].concat();
            let damaged = at.index(all.len());
            let place = place.index(all[damaged].len());
            all[damaged][place] = value;
            let _ = read(&all);
        }
    }
}
