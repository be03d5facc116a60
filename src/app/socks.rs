//! SOCKS 4, 4a and 5 (RFC 1928, RFC 1929): the target asked for, and where the inner stream begins.
//!
//! Only CONNECT has an inner stream. GSSAPI (RFC 1961) wraps what follows and is not read.

use std::net::IpAddr;

use super::{Cursor, ParseError, Reading};

/// What the client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub version: u8,
    pub target: Target,
    pub port: u16,
    /// Where the inner stream begins.
    pub used: usize,
}

/// Whom the client wants to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Name(String),
    Address(IpAddr),
}

/// What the server says to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    pub granted: bool,
    /// Where the inner stream begins.
    pub used: usize,
}

const CONNECT: u8 = 1;

/// Authentication methods (RFC 1928 section 3).
mod method {
    pub const NONE: u8 = 0;
    pub const PASSWORD: u8 = 2;
    pub const NONE_ACCEPTABLE: u8 = 0xff;

    /// IANA, SOCKS Methods; from 0x80 on private ones.
    pub fn is_assigned(method: u8) -> bool {
        matches!(method, 0..=9 | 0x80..=0xfe)
    }
}

/// Types of addresses (RFC 1928 section 5).
mod address {
    pub const IPV4: u8 = 1;
    pub const NAME: u8 = 3;
    pub const IPV6: u8 = 4;
}

/// The server's code for "request granted" of version 4.
const V4_GRANTED: u8 = 90;
const V4_CODES: std::ops::RangeInclusive<u8> = V4_GRANTED..=93;
/// Of a user or host name of version 4, which has no length.
const V4_STRING_BYTES_MAX: usize = 255;

/// Reads what the client sends up to its request.
pub fn request(stream: &[u8]) -> Reading<Request> {
    read_request(&mut Cursor::new(stream)).into()
}

/// Reads what the server sends up to its reply.
pub fn reply(stream: &[u8]) -> Reading<Reply> {
    read_reply(&mut Cursor::new(stream)).into()
}

fn read_request(cursor: &mut Cursor<'_>) -> Result<Request, ParseError> {
    let version = cursor.u8("socks.version")?;
    let (target, port) = match version {
        4 => v4_target(cursor)?,
        5 => v5_target(cursor)?,
        _ => return invalid(cursor, "socks.version"),
    };
    Ok(Request { version, target, port, used: cursor.offset() })
}

fn v4_target(cursor: &mut Cursor<'_>) -> Result<(Target, u16), ParseError> {
    if cursor.u8("socks.command")? != CONNECT {
        return invalid(cursor, "socks.command");
    }
    let port = cursor.u16("socks.port")?;
    let address = cursor.u32("socks.address")?;
    v4_string(cursor)?; // the user
    // 4a: an address 0.0.0.x announces a name.
    let target =
        if (1..=255).contains(&address) { Target::Name(name(v4_string(cursor)?, cursor)?) } else { Target::Address(address.to_be_bytes().into()) };
    Ok((target, port))
}

/// Printable bytes up to a zero.
fn v4_string<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], ParseError> {
    let rest = cursor.rest();
    let length = rest.iter().position(|byte| !byte.is_ascii_graphic()).unwrap_or(rest.len());
    if length > V4_STRING_BYTES_MAX {
        return invalid(cursor, "socks.string");
    }
    let string = cursor.take(length, "socks.string")?;
    if cursor.u8("socks.string")? != 0 {
        return invalid(cursor, "socks.string");
    }
    Ok(string)
}

fn v5_target(cursor: &mut Cursor<'_>) -> Result<(Target, u16), ParseError> {
    let count: usize = cursor.u8("socks.methods")?.into();
    let rest = cursor.rest();
    if count == 0 || !rest[..rest.len().min(count)].iter().all(|method| method::is_assigned(*method)) {
        return invalid(cursor, "socks.methods");
    }
    let methods = cursor.take(count, "socks.methods")?;
    let mut next = cursor.u8("socks.version")?;
    if next == 1 && methods.contains(&method::PASSWORD) {
        cursor.block_u8("socks.user")?;
        cursor.block_u8("socks.password")?;
        next = cursor.u8("socks.version")?;
    }
    if next != 5 {
        return invalid(cursor, "socks.version");
    }
    if cursor.u8("socks.command")? != CONNECT {
        return invalid(cursor, "socks.command");
    }
    let target = v5_address(cursor)?;
    Ok((target, cursor.u16("socks.port")?))
}

/// From the reserved byte on.
fn v5_address(cursor: &mut Cursor<'_>) -> Result<Target, ParseError> {
    if cursor.u8("socks.reserved")? != 0 {
        return invalid(cursor, "socks.reserved");
    }
    match cursor.u8("socks.address_type")? {
        address::IPV4 => Ok(Target::Address(cursor.array::<4>("socks.address")?.into())),
        address::NAME => Ok(Target::Name(name(cursor.block_u8("socks.name")?.rest(), cursor)?)),
        address::IPV6 => Ok(Target::Address(cursor.array::<16>("socks.address")?.into())),
        _ => invalid(cursor, "socks.address_type"),
    }
}

fn name(bytes: &[u8], cursor: &Cursor<'_>) -> Result<String, ParseError> {
    match str::from_utf8(bytes) {
        Ok(name) if !name.is_empty() && !name.contains(char::is_control) => Ok(name.to_owned()),
        _ => invalid(cursor, "socks.name"),
    }
}

fn read_reply(cursor: &mut Cursor<'_>) -> Result<Reply, ParseError> {
    let granted = match cursor.u8("socks.version")? {
        0 => v4_grants(cursor)?,
        5 => v5_grants(cursor)?,
        _ => return invalid(cursor, "socks.version"),
    };
    Ok(Reply { granted, used: cursor.offset() })
}

fn v4_grants(cursor: &mut Cursor<'_>) -> Result<bool, ParseError> {
    let code = cursor.u8("socks.code")?;
    if !V4_CODES.contains(&code) {
        return invalid(cursor, "socks.code");
    }
    cursor.take(6, "socks.address")?;
    Ok(code == V4_GRANTED)
}

fn v5_grants(cursor: &mut Cursor<'_>) -> Result<bool, ParseError> {
    match cursor.u8("socks.method")? {
        method::NONE => {}
        method::PASSWORD => {
            if cursor.u8("socks.password_version")? != 1 {
                return invalid(cursor, "socks.password_version");
            }
            if cursor.u8("socks.password_status")? != 0 {
                return Ok(false);
            }
        }
        method::NONE_ACCEPTABLE => return Ok(false),
        _ => return invalid(cursor, "socks.method"),
    }
    if cursor.u8("socks.version")? != 5 {
        return invalid(cursor, "socks.version");
    }
    let granted = cursor.u8("socks.code")? == 0;
    v5_bound_address(cursor)?;
    Ok(granted)
}

/// The address that the server uses is of no interest, and may be empty.
fn v5_bound_address(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    cursor.u8("socks.reserved")?;
    match cursor.u8("socks.address_type")? {
        address::IPV4 => cursor.take(4, "socks.address")?,
        address::NAME => cursor.block_u8("socks.name")?.rest(),
        address::IPV6 => cursor.take(16, "socks.address")?,
        _ => return invalid(cursor, "socks.address_type"),
    };
    cursor.u16("socks.port")?;
    Ok(())
}

fn invalid<T>(cursor: &Cursor<'_>, field: &'static str) -> Result<T, ParseError> {
    Err(ParseError::Invalid { field, offset: cursor.offset() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V5_NAME: &[u8] = b"\x05\x01\x00\x05\x01\x00\x03\x0bexample.org\x01\xbbTLS";
    const V5_PASSWORD: &[u8] = b"\x05\x02\x00\x02\x01\x01u\x01p\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50";
    const V4A: &[u8] = b"\x04\x01\x01\xbb\x00\x00\x00\x01me\x00example.org\x00";

    fn name(name: &str) -> Target {
        Target::Name(name.to_owned())
    }

    #[test]
    fn each_version_names_its_target() {
        let read = |stream| match request(stream) {
            Reading::Done(request) => (request.version, request.target, request.port, request.used),
            other => panic!("{other:?}"),
        };
        assert_eq!(read(V5_NAME), (5, name("example.org"), 443, V5_NAME.len() - 3));
        assert_eq!(read(V5_PASSWORD), (5, Target::Address([192, 0, 2, 1].into()), 80, V5_PASSWORD.len()));
        assert_eq!(read(V4A), (4, name("example.org"), 443, V4A.len()));
        assert_eq!(read(b"\x04\x01\x00\x50\xc0\x00\x02\x01\x00"), (4, Target::Address([192, 0, 2, 1].into()), 80, 9));
        let v6 = [&b"\x05\x01\x00\x05\x01\x00\x04\x20\x01\x0d\xb8"[..], &[0; 12], &[0, 80]].concat();
        assert_eq!(read(&v6).1, Target::Address("2001:db8::".parse().expect("an address")));
    }

    #[test]
    fn what_has_no_inner_stream_is_not_read() {
        assert_eq!(request(b"\x05\x01\x00\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"), Reading::Not, "UDP ASSOCIATE");
        assert_eq!(request(b"\x05\x01\x01\x01\x01\x00\x02ab"), Reading::Not, "GSSAPI");
        assert_eq!(request(b"\x04\x02\x00\x50\xc0\x00\x02\x01\x00"), Reading::Not, "BIND");
        assert_eq!(request(b"\x16\x03\x01"), Reading::Not, "TLS");
        assert_eq!(request(b"\x05\x64\x08\xc4"), Reading::More, "two methods of a hundred");
        assert_eq!(request(b"\x05\x64\x08\xc4\x1f"), Reading::Not, "no method has that number");
        assert_eq!(request(&[&V4A[..8], &[b'x'; 300]].concat()), Reading::Not, "a user without an end");
    }

    #[test]
    fn replies_grant_or_do_not() {
        let granted = |stream| match reply(stream) {
            Reading::Done(reply) => (reply.granted, reply.used),
            other => panic!("{other:?}"),
        };
        assert_eq!(granted(b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x048inner"), (true, 12));
        assert_eq!(granted(b"\x05\x02\x01\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"), (false, 14));
        assert_eq!(granted(b"\x05\x02\x01\x01"), (false, 4), "a wrong password");
        assert_eq!(granted(b"\x05\xff"), (false, 2));
        assert_eq!(granted(b"\x00\x5a\x00\x00\x00\x00\x00\x00"), (true, 8));
        assert_eq!(granted(b"\x00\x5b\x00\x00\x00\x00\x00\x00"), (false, 8));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), version in 0_u8..6) {
            let stream = [&[version][..], &bytes].concat();
            let _read = (request(&stream), reply(&stream));
        }

        #[test]
        fn every_prefix_asks_for_more(end in 0_usize..40) {
            for stream in [&V5_NAME[..V5_NAME.len() - 3], V5_PASSWORD, V4A] {
                prop_assert_eq!(request(&stream[..end.min(stream.len() - 1)]), Reading::More);
            }
        }
    }
}
