//! The PROXY protocol, versions 1 and 2 (HAProxy, doc/proxy-protocol.txt): the addresses of a connection that a proxy passes on.

use std::net::{IpAddr, SocketAddr};

use super::{Cursor, ParseError, Reading};

/// The header before the inner stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Client and server as the proxy saw them; None where it does not tell.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// Where the inner stream begins.
    pub used: usize,
}

/// Section 2.1: the longest line, its end included.
const V1_BYTES_MAX: usize = 107;
const V1_START: &[u8] = b"PROXY ";
/// Section 2.2.
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_LOCAL: u8 = 0x20;
const V2_PROXY: u8 = 0x21;
const V2_TCP4: u8 = 0x11;
const V2_TCP6: u8 = 0x21;

/// Reads the header at the start of the client's stream.
pub fn header(stream: &[u8]) -> Reading<Header> {
    match stream.first() {
        Some(b'P') => line(stream),
        Some(_) => binary(&mut Cursor::new(stream)).into(),
        None => Reading::More,
    }
}

fn line(stream: &[u8]) -> Reading<Header> {
    let head = &stream[..stream.len().min(V1_BYTES_MAX)];
    if !head.starts_with(V1_START) && !V1_START.starts_with(head) {
        return Reading::Not;
    }
    match head.windows(2).position(|window| window == b"\r\n") {
        Some(end) => v1_words(&head[V1_START.len()..end]).map_or(Reading::Not, |addresses| Reading::Done(Header { addresses, used: end + 2 })),
        None if head.len() < V1_BYTES_MAX => Reading::More,
        None => Reading::Not,
    }
}

fn v1_words(line: &[u8]) -> Option<Option<(SocketAddr, SocketAddr)>> {
    let mut words = str::from_utf8(line).ok()?.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let mut address = || words.next()?.parse::<IpAddr>().ok().filter(|address| family == if address.is_ipv4() { "TCP4" } else { "TCP6" });
    let (client, server) = (address()?, address()?);
    let mut port = || words.next()?.parse::<u16>().ok();
    let addresses = ((client, port()?).into(), (server, port()?).into());
    words.next().is_none().then_some(Some(addresses))
}

fn binary(cursor: &mut Cursor<'_>) -> Result<Header, ParseError> {
    let start = cursor.rest();
    let here = start.len().min(V2_START.len());
    if start[..here] != V2_START[..here] {
        return Err(ParseError::Invalid { field: "proxy.start", offset: 0 });
    }
    cursor.take(V2_START.len(), "proxy.start")?;
    let command = cursor.u8("proxy.command")?;
    if !matches!(command, V2_LOCAL | V2_PROXY) {
        return Err(ParseError::Invalid { field: "proxy.command", offset: V2_START.len() });
    }
    let family = cursor.u8("proxy.family")?;
    let mut body = cursor.block_u16("proxy.body")?;
    // A body that is too short for its family tells nothing.
    let addresses = if command == V2_PROXY { v2_addresses(family, &mut body).ok().flatten() } else { None };
    Ok(Header { addresses, used: cursor.offset() })
}

fn v2_addresses(family: u8, body: &mut Cursor<'_>) -> Result<Option<(SocketAddr, SocketAddr)>, ParseError> {
    let (client, server): (IpAddr, IpAddr) = match family {
        V2_TCP4 => (body.array::<4>("proxy.client")?.into(), body.array::<4>("proxy.server")?.into()),
        V2_TCP6 => (body.array::<16>("proxy.client")?.into(), body.array::<16>("proxy.server")?.into()),
        _ => return Ok(None),
    };
    Ok(Some(((client, body.u16("proxy.client_port")?).into(), (server, body.u16("proxy.server_port")?).into())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V1: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 52176 443\r\n";

    fn addresses(client: &str, server: &str) -> Option<(SocketAddr, SocketAddr)> {
        Some((client.parse().expect("an address"), server.parse().expect("an address")))
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        [V2_START, &[command, family, 0, body.len() as u8], body].concat()
    }

    #[test]
    fn a_line_tells_both_addresses() {
        let expected = Header { addresses: addresses("192.0.2.1:52176", "192.0.2.2:443"), used: V1.len() };
        assert_eq!(header(&[V1, b"\x16\x03\x01"].concat()), Reading::Done(expected));
        assert_eq!(header(b"PROXY UNKNOWN whatever\r\n"), Reading::Done(Header { addresses: None, used: 24 }));
        assert_eq!(header(b"PROXY TCP6 ::1 ::2 1 2\r\n"), Reading::Done(Header { addresses: addresses("[::1]:1", "[::2]:2"), used: 24 }));
    }

    #[test]
    fn lines_that_are_no_header() {
        for line in
            ["POST / HTTP/1.1\r\n", "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", "PROXY TCP4 a b 1 2\r\n"]
        {
            assert_eq!(header(line.as_bytes()), Reading::Not, "{line}");
        }
        assert_eq!(header(&[&V1[..20], &[b' '; 100]].concat()), Reading::Not, "too long");
    }

    #[test]
    fn the_binary_form_tells_the_same() {
        let stream = v2(V2_PROXY, V2_TCP4, &[192, 0, 2, 1, 192, 0, 2, 2, 0, 80, 1, 187, 4, 0, 1, 0]);
        let expected = Header { addresses: addresses("192.0.2.1:80", "192.0.2.2:443"), used: stream.len() };
        assert_eq!(header(&[&stream[..], b"inner"].concat()), Reading::Done(expected), "what is added behind the addresses is passed over");
        assert_eq!(header(&v2(V2_LOCAL, 0, &[])), Reading::Done(Header { addresses: None, used: 16 }));
        assert_eq!(header(&v2(V2_PROXY, V2_TCP4, &[1, 2])), Reading::Done(Header { addresses: None, used: 18 }));
        assert_eq!(header(&v2(0x31, V2_TCP4, &[])), Reading::Not);
        assert_eq!(header(b"\r\n\r\nGET"), Reading::Not);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120), start in 0_usize..3) {
            let _read = header(&[[V1_START, V2_START, &[]][start], &bytes].concat());
        }

        #[test]
        fn every_prefix_asks_for_more(end in 0_usize..40) {
            for stream in [V1, &v2(V2_PROXY, V2_TCP4, &[1; 12])] {
                prop_assert_eq!(header(&stream[..end.min(stream.len() - 1)]), Reading::More);
            }
        }
    }
}
