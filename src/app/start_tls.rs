//! Where a dialogue in clear text becomes TLS.
//! In:  the bytes of one direction from its start, client's or server's.
//! Out: where its first TLS record begins.
//! Promises: TLS is looked for only where one of these protocols lets it begin, never inside anything else: at a line's start behind nothing but lines
//! of text (SMTP RFC 3207, IMAP, ACAP and POP3 RFC 2595, FTP RFC 4217, NNTP RFC 4642, ManageSieve RFC 5804, IRC), behind a tag of XML (XMPP RFC 6120
//! section 5), or behind the exact request or answer of LDAP, PostgreSQL, MySQL, RDP and TDS.

use super::{Cursor, ParseError, Reading};

/// Dialogues are short: greeting, capabilities, request.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// 2^14 and what ciphers may add (RFC 5246 section 6.2.3).
const RECORD_BYTES_MAX: u16 = 16_384 + 2_048;

/// The offset at which TLS begins in one direction of a stream. [`Reading::Not`] where it never will.
pub fn inner_start(stream: &[u8]) -> Reading<usize> {
    let mut result = Reading::Not;
    for opening in [text, postgres, mysql, ldap, rdp, tds] {
        match opening(stream) {
            Reading::Done(start) => return Reading::Done(start),
            Reading::More => result = Reading::More,
            Reading::Not => {}
        }
    }
    result
}

/// Whether a handshake record that begins with a hello stands at `start`: gives it back.
fn record_at(stream: &[u8], start: usize) -> Reading<usize> {
    let Some(record) = stream.get(start..) else { return Reading::More };
    let [kind, major, minor, high, low, message, ..] = *record else {
        let is_prefix = record.iter().zip([0x16, 3]).all(|(byte, expected)| *byte == expected);
        return if is_prefix { Reading::More } else { Reading::Not };
    };
    let length = u16::from_be_bytes([high, low]);
    // ClientHello or ServerHello (RFC 8446 section 4).
    let is_hello = kind == 0x16 && major == 3 && minor <= 4 && (4..=RECORD_BYTES_MAX).contains(&length) && matches!(message, 1 | 2);
    if is_hello { Reading::Done(start) } else { Reading::Not }
}

/// Lines of text; of XML also behind each tag.
fn text(stream: &[u8]) -> Reading<usize> {
    let is_xml = stream.trim_ascii_start().first() == Some(&b'<');
    let mut may_begin = false;
    for (at, byte) in stream.iter().take(TEXT_BYTES_MAX).enumerate() {
        match byte {
            0x16 if may_begin => return record_at(stream, at),
            b'\t' | b'\r' | b'\n' | 0x20..=0x7e | 0x80.. => {}
            _ => return Reading::Not,
        }
        may_begin = *byte == b'\n' || (is_xml && *byte == b'>');
    }
    if stream.len() < TEXT_BYTES_MAX { Reading::More } else { Reading::Not }
}

/// An opening of known form and TLS behind it.
fn behind(stream: &[u8], opening: impl FnOnce(&mut Cursor<'_>) -> Result<(), ParseError>) -> Reading<usize> {
    let mut cursor = Cursor::new(stream);
    match opening(&mut cursor).into() {
        Reading::Done(()) => record_at(stream, cursor.offset()),
        Reading::More => Reading::More,
        Reading::Not => Reading::Not,
    }
}

/// Bytes that are always the same; as many of them as there are yet.
fn fixed(cursor: &mut Cursor<'_>, bytes: &[u8], field: &'static str) -> Result<(), ParseError> {
    let rest = cursor.rest();
    let here = rest.len().min(bytes.len());
    require(rest[..here] == bytes[..here], cursor, field)?;
    cursor.take(bytes.len(), field)?;
    Ok(())
}

fn require(holds: bool, cursor: &Cursor<'_>, field: &'static str) -> Result<(), ParseError> {
    if holds { Ok(()) } else { Err(ParseError::Invalid { field, offset: cursor.offset() }) }
}

/// SSLRequest and its answer, perhaps behind a GSSENCRequest that was refused (PostgreSQL, Frontend/Backend Protocol, "SSL Session Encryption").
fn postgres(stream: &[u8]) -> Reading<usize> {
    const OPENINGS: [&[u8]; 4] =
        [&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f], &[0, 0, 0, 8, 4, 0xd2, 0x16, 0x30, 0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f], b"S", b"NS"];
    match OPENINGS.iter().find(|opening| stream.starts_with(opening)) {
        Some(opening) => record_at(stream, opening.len()),
        None if OPENINGS.iter().any(|opening| opening.starts_with(stream)) => Reading::More,
        None => Reading::Not,
    }
}

/// The server's greeting, or the client's SSL request (MySQL, Connection Phase Packets).
fn mysql(stream: &[u8]) -> Reading<usize> {
    const SSL_REQUEST: &[u8] = &[32, 0, 0, 1];
    const CLIENT_SSL: u8 = 0x08;
    const PROTOCOL: u8 = 10;
    if SSL_REQUEST.starts_with(&stream[..stream.len().min(SSL_REQUEST.len())]) {
        return behind(stream, |cursor| {
            fixed(cursor, SSL_REQUEST, "mysql.header")?;
            let [_, capabilities, ..] = cursor.array::<4>("mysql.capabilities")?;
            require(capabilities & CLIENT_SSL != 0, cursor, "mysql.capabilities")?;
            cursor.take(5, "mysql.max_packet_and_charset")?;
            fixed(cursor, &[0; 19], "mysql.filler")?;
            cursor.take(4, "mysql.filler")?; // capabilities of MariaDB
            Ok(())
        });
    }
    behind(stream, |cursor| {
        let [low, middle, high] = cursor.array::<3>("mysql.length")?;
        fixed(cursor, &[0, PROTOCOL], "mysql.greeting")?;
        require(high == 0 && middle < 4, cursor, "mysql.length")?;
        cursor.take(usize::from(u16::from_le_bytes([low, middle])).saturating_sub(1), "mysql.greeting")?;
        Ok(())
    })
}

/// The extended operation StartTLS, or its response (RFC 4511 section 4.14).
fn ldap(stream: &[u8]) -> Reading<usize> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 2;
    const EXTENDED_REQUEST: u8 = 0x77;
    const EXTENDED_RESPONSE: u8 = 0x78;
    const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
    behind(stream, |cursor| {
        fixed(cursor, &[SEQUENCE], "ldap.message")?;
        let mut message = ber_block(cursor)?;
        let mut operation = || {
            fixed(&mut message, &[INTEGER], "ldap.id")?;
            message.block_u8("ldap.id")?;
            Ok((message.u8("ldap.operation")?, ber_block(&mut message)?.rest()))
        };
        let (operation, body) = operation().map_err(ParseError::in_whole)?;
        let names_it = body.windows(START_TLS.len()).any(|window| window == START_TLS);
        // resultCode: an enumerated zero, success (section 4.1.9).
        let grants = body.starts_with(&[0x0a, 1, 0]);
        require(operation == EXTENDED_REQUEST && names_it || operation == EXTENDED_RESPONSE && grants, cursor, "ldap.operation")
    })
}

/// A block behind a BER length of at most two bytes (X.690 section 8.1.3), and of no more than such messages have.
fn ber_block<'a>(cursor: &mut Cursor<'a>) -> Result<Cursor<'a>, ParseError> {
    const SHORT_MAX: u8 = 0x7f;
    let length: usize = match cursor.u8("ldap.length")? {
        length @ ..=SHORT_MAX => length.into(),
        0x81 => cursor.u8("ldap.length")?.into(),
        0x82 => cursor.u16("ldap.length")?.into(),
        0x84 => cursor.u32("ldap.length")? as usize,
        _ => usize::MAX,
    };
    require(length <= 1024, cursor, "ldap.length")?;
    Ok(Cursor::new(cursor.take(length, "ldap.body")?))
}

/// The connection request or confirm with its negotiation (MS-RDPBCGR sections 2.2.1.1 and 2.2.1.2).
fn rdp(stream: &[u8]) -> Reading<usize> {
    const TPKT: u8 = 3;
    const REQUEST: u8 = 0xe0;
    const CONFIRM: u8 = 0xd0;
    const NEGOTIATION_BYTES: usize = 8;
    behind(stream, |cursor| {
        fixed(cursor, &[TPKT, 0], "rdp.tpkt")?;
        let length: usize = cursor.u16("rdp.length")?.into();
        let indicator: usize = cursor.u8("rdp.x224_length")?.into();
        require(indicator + 5 == length && indicator >= 6 + NEGOTIATION_BYTES, cursor, "rdp.x224_length")?;
        let kind = cursor.u8("rdp.x224_type")?;
        require(matches!(kind, REQUEST | CONFIRM), cursor, "rdp.x224_type")?;
        let body = cursor.take(indicator - 1, "rdp.x224")?;
        // Type, flags and a length of eight, little-endian; four bytes of protocols.
        let negotiates = matches!(body[body.len() - NEGOTIATION_BYTES..], [1 | 2, _, 8, 0, ..]);
        require(negotiates, cursor, "rdp.negotiation")
    })
}

/// TLS inside pre-login packets (MS-TDS sections 2.2.3.1 and 2.2.6.5): behind the pre-login message, or its answer, and the header of the next packet.
fn tds(stream: &[u8]) -> Reading<usize> {
    const PRELOGIN: u8 = 0x12;
    const TABULAR: u8 = 4;
    const HEADER_BYTES: usize = 8;
    const END_OF_MESSAGE: u8 = 1;
    let packet = |cursor: &mut Cursor<'_>| {
        let kind = cursor.u8("tds.type")?;
        require(matches!(kind, PRELOGIN | TABULAR), cursor, "tds.type")?;
        let status = cursor.u8("tds.status")?;
        require(status <= END_OF_MESSAGE, cursor, "tds.status")?;
        let length: usize = cursor.u16("tds.length")?.into();
        require((HEADER_BYTES..=4096).contains(&length), cursor, "tds.length")?;
        let [_, _, _, window] = cursor.array::<4>("tds.header")?;
        require(window == 0, cursor, "tds.window")?;
        Ok(length - HEADER_BYTES)
    };
    behind(stream, |cursor| {
        let length = packet(cursor)?;
        // The first option is the version, with offset and length (section 2.2.6.5).
        require(cursor.rest().first().is_none_or(|option| *option == 0), cursor, "tds.option")?;
        cursor.take(length, "tds.prelogin")?;
        packet(cursor)?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc];

    /// Openings of clients and of servers.
    fn openings() -> Vec<(&'static str, Vec<u8>)> {
        let text = |text: &str| text.as_bytes().to_vec();
        let mysql_request = [&[32, 0, 0, 1, 0x85, 0xae, 0xff, 0x19, 0, 0, 0, 1, 0x21][..], &[0; 23]].concat();
        let mysql_greeting = [&[15, 0, 0, 0, 10][..], b"8.0.36\0", &[1; 7]].concat();
        let ldap_request = [&[0x30, 0x1d, 2, 1, 1, 0x77, 0x18, 0x80, 0x16][..], b"1.3.6.1.4.1.1466.20037"].concat();
        let rdp = |kind, negotiation: u8| [&[3, 0, 0, 19, 14, kind, 0, 0, 0, 0, 0, negotiation, 0, 8, 0, 3, 0, 0, 0][..]].concat();
        let tds = |kind| [&[kind, 1, 0, 15, 0, 0, 1, 0, 0, 0, 6, 0, 6, 0xff, 9][..], &[0x12, 1, 0, 200, 0, 0, 0, 0]].concat();
        vec![
            ("SMTP, client", text("EHLO a.example\r\nSTARTTLS\r\n")),
            ("SMTP, server", text("220 mx ESMTP\r\n250-mx\r\n250 STARTTLS\r\n220 go ahead\r\n")),
            ("IMAP, client", text("a1 CAPABILITY\r\na2 STARTTLS\r\n")),
            ("FTP, client", text("AUTH TLS\n")),
            ("XMPP, client", text("<?xml version='1.0'?><stream:stream to='a'><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")),
            ("PostgreSQL, client", vec![0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]),
            ("PostgreSQL, client, GSS first", vec![0, 0, 0, 8, 4, 0xd2, 0x16, 0x30, 0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]),
            ("PostgreSQL, server", text("S")),
            ("PostgreSQL, server, GSS first", text("NS")),
            ("MySQL, client", mysql_request),
            ("MySQL, server", mysql_greeting),
            ("LDAP, client", ldap_request),
            ("LDAP, server", vec![0x30, 0x0c, 2, 1, 1, 0x78, 7, 0x0a, 1, 0, 4, 0, 4, 0]),
            ("RDP, client", rdp(0xe0, 1)),
            ("RDP, server", rdp(0xd0, 2)),
            ("TDS, client", tds(0x12)),
            ("TDS, server", tds(4)),
        ]
    }

    #[test]
    fn tls_begins_behind_each_opening() {
        for (who, opening) in openings() {
            assert_eq!(inner_start(&[&opening[..], HELLO].concat()), Reading::Done(opening.len()), "{who}");
        }
    }

    #[test]
    fn what_follows_must_be_a_hello() {
        for (who, opening) in openings() {
            for other in
                [&[0x17, 3, 3, 0, 30, 1][..], &[0x16, 3, 1, 0, 0, 1], &[0x16, 3, 1, 0xff, 0, 1], &[0x16, 3, 1, 2, 0, 11], &[0x16, 9, 0, 0, 0, 0]]
            {
                assert_eq!(inner_start(&[&opening[..], other].concat()), Reading::Not, "{who}: {other:?}");
            }
        }
    }

    #[test]
    fn tls_is_not_looked_for_elsewhere() {
        let not = |start: &[u8]| assert_eq!(inner_start(&[start, HELLO].concat()), Reading::Not, "{start:?}");
        not(b"STARTTLS"); // no line end
        not(b"a\r\n\0\r\n");
        not(b"a > b"); // no XML
        not(b"Q");
        not(&[0x30, 0x0c, 2, 1, 1, 0x78, 7, 0x0a, 1, 2, 4, 0, 4, 0]); // LDAP refuses
        not(&[0x30, 3, 2, 1, 1]); // a message that ends before its operation
        not(&[3, 0, 0, 11, 6, 0xe0, 0, 0, 0, 0, 0]); // RDP without negotiation
        not(&[32, 0, 0, 1, 0x85, 0xa6, 0xff, 0x19, 0, 0, 0, 1, 0x21]); // MySQL without TLS
        assert_eq!(inner_start(HELLO), Reading::Not, "TLS from the start");
        assert_eq!(inner_start(&b"line\r\n".repeat(3_000)), Reading::Not, "no dialogue is so long");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), opening in 0_usize..17, kept in 0_usize..40) {
            let opening = &openings()[opening].1;
            let _read = inner_start(&[&opening[..kept.min(opening.len())], &bytes].concat());
        }

        #[test]
        fn every_prefix_asks_for_more(opening in 0_usize..17, end in 0_usize..200) {
            let opening = &openings()[opening].1;
            let stream = [opening, &HELLO[..6]].concat();
            prop_assert_eq!(inner_start(&stream[..end.min(stream.len() - 1)]), Reading::More);
        }
    }
}
