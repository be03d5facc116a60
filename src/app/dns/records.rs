//! Resource records (RFC 1035 section 3.2) and the words for their numbers.

use std::fmt::{self, Display, Formatter};
use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name::{self, normal_name};
use super::{Edns, Svcb};
use crate::app::{Cursor, ParseError};

/// Text of a record: enough for any key or policy, and a bound.
const TEXT_BYTES_MAX: usize = 1024;
const ERRORS_MAX: usize = 8;

/// Types of records (IANA, Domain Name System Parameters).
pub(super) mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const DNAME: u16 = 39;
    pub const OPT: u16 = 41;
    pub const RRSIG: u16 = 46;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
}

const KINDS: &[(u16, &str)] = &[
    (kind::A, "A"),
    (kind::NS, "NS"),
    (kind::CNAME, "CNAME"),
    (kind::SOA, "SOA"),
    (10, "NULL"),
    (11, "WKS"),
    (kind::PTR, "PTR"),
    (13, "HINFO"),
    (kind::MX, "MX"),
    (kind::TXT, "TXT"),
    (17, "RP"),
    (18, "AFSDB"),
    (24, "SIG"),
    (25, "KEY"),
    (kind::AAAA, "AAAA"),
    (29, "LOC"),
    (kind::SRV, "SRV"),
    (35, "NAPTR"),
    (36, "KX"),
    (37, "CERT"),
    (38, "A6"),
    (kind::DNAME, "DNAME"),
    (kind::OPT, "OPT"),
    (42, "APL"),
    (43, "DS"),
    (44, "SSHFP"),
    (45, "IPSECKEY"),
    (kind::RRSIG, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (49, "DHCID"),
    (50, "NSEC3"),
    (51, "NSEC3PARAM"),
    (52, "TLSA"),
    (53, "SMIMEA"),
    (55, "HIP"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (61, "OPENPGPKEY"),
    (62, "CSYNC"),
    (63, "ZONEMD"),
    (kind::SVCB, "SVCB"),
    (kind::HTTPS, "HTTPS"),
    (99, "SPF"),
    (108, "EUI48"),
    (109, "EUI64"),
    (249, "TKEY"),
    (250, "TSIG"),
    (251, "IXFR"),
    (252, "AXFR"),
    (255, "ANY"),
    (256, "URI"),
    (257, "CAA"),
];

/// RCODEs (IANA, Domain Name System Parameters).
const RCODES: &[(u16, &str)] = &[
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (11, "DSOTYPENI"),
    (16, "BADVERS"),
    (17, "BADKEY"),
    (18, "BADTIME"),
    (19, "BADMODE"),
    (20, "BADNAME"),
    (21, "BADALG"),
    (22, "BADTRUNC"),
    (23, "BADCOOKIE"),
];

/// "A", "HTTPS", "TYPE123" (RFC 3597 section 5).
pub fn kind_name(kind: u16) -> String {
    word(KINDS, kind).map_or_else(|| format!("TYPE{kind}"), str::to_owned)
}

/// "NOERROR", "NXDOMAIN", "RCODE99".
pub fn rcode_name(rcode: u16) -> String {
    word(RCODES, rcode).map_or_else(|| format!("RCODE{rcode}"), str::to_owned)
}

pub(super) fn is_known_kind(kind: u16) -> bool {
    word(KINDS, kind).is_some()
}

pub(super) fn is_known_rcode(rcode: u16) -> bool {
    word(RCODES, rcode).is_some()
}

fn word(words: &[(u16, &'static str)], number: u16) -> Option<&'static str> {
    words.iter().find(|(known, _)| *known == number).map(|(_, word)| *word)
}

/// One record of the answer section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub name: String,
    pub kind: u16,
    pub class: u16,
    pub ttl: u32,
    pub data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(String),
    Dname(String),
    Ns(String),
    Ptr(String),
    Mx {
        preference: u16,
        exchange: String,
    },
    /// Strings joined, at most 1 KiB.
    Txt(String),
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: String,
    },
    Soa {
        primary: String,
    },
    /// SVCB and HTTPS (RFC 9460).
    Service(Svcb),
    /// Of a kind that is not read, or not of the form of its kind: length and hash of its bytes, to compare.
    Other {
        bytes: u16,
        hash: u64,
    },
}

/// A record before its data are read.
pub(super) struct Header<'a> {
    pub name: String,
    pub kind: u16,
    pub class: u16,
    pub ttl: u32,
    pub data: Cursor<'a>,
}

impl<'a> Header<'a> {
    pub fn read(message: &'a [u8], cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        Ok(Self {
            name: name::read(message, cursor)?,
            kind: cursor.u16("dns.record.type")?,
            class: cursor.u16("dns.record.class")?,
            ttl: cursor.u32("dns.record.ttl")?,
            data: cursor.block_u16("dns.record.data")?,
        })
    }

    pub fn record(self, message: &'a [u8]) -> Record {
        let data = Data::read(self.kind, message, &self.data);
        Record { name: self.name, kind: self.kind, class: self.class, ttl: self.ttl, data }
    }

    /// The OPT record and the upper bits of the rcode (RFC 6891 section 6.1.3). Options that are broken end their list.
    pub fn edns(self) -> (Edns, u16) {
        let [rcode, version, flags, _] = self.ttl.to_be_bytes();
        let mut edns = Edns { udp_size: self.class, version, dnssec_ok: flags & 0x80 != 0, ..Edns::default() };
        let mut options = self.data;
        while let (Ok(code), Ok(mut value)) = (options.u16("dns.option.code"), options.block_u16("dns.option")) {
            match code {
                8 => edns.client_subnet = true,                                                     // RFC 7871 section 6
                15 if edns.errors.len() < ERRORS_MAX => edns.errors.extend(value.u16("dns.error")), // RFC 8914 section 2
                _ => {}
            }
        }
        (edns, u16::from(rcode) << 4)
    }
}

impl Data {
    fn read<'a>(kind: u16, message: &'a [u8], bytes: &Cursor<'a>) -> Self {
        let mut cursor = bytes.clone();
        match Self::of_kind(kind, message, &mut cursor) {
            Ok(Some(data)) if cursor.is_empty() => data,
            _ => Self::other(bytes.rest()),
        }
    }

    fn of_kind<'a>(kind: u16, message: &'a [u8], cursor: &mut Cursor<'a>) -> Result<Option<Self>, ParseError> {
        Ok(Some(match kind {
            kind::A => Self::A(cursor.u32("dns.a")?.into()),
            kind::AAAA => Self::Aaaa(cursor.array::<16>("dns.aaaa")?.into()),
            kind::CNAME => Self::Cname(name::read(message, cursor)?),
            kind::DNAME => Self::Dname(name::read(message, cursor)?),
            kind::NS => Self::Ns(name::read(message, cursor)?),
            kind::PTR => Self::Ptr(name::read(message, cursor)?),
            kind::MX => Self::Mx { preference: cursor.u16("dns.mx.preference")?, exchange: name::read(message, cursor)? },
            kind::TXT => Self::Txt(text(cursor)?),
            kind::SRV => Self::Srv {
                priority: cursor.u16("dns.srv.priority")?,
                weight: cursor.u16("dns.srv.weight")?,
                port: cursor.u16("dns.srv.port")?,
                target: name::read(message, cursor)?,
            },
            kind::SOA => Self::Soa { primary: start_of_authority(message, cursor)? },
            kind::SVCB | kind::HTTPS => Self::Service(Svcb::read(message, cursor)?),
            _ => return Ok(None),
        }))
    }

    fn other(bytes: &[u8]) -> Self {
        let mut hasher = Fnv::default();
        hasher.write(bytes);
        Self::Other { bytes: bytes.len() as u16, hash: hasher.finish() }
    }

    /// With names in the form in which they are compared.
    pub(super) fn normal(&self) -> Self {
        match self {
            Self::Cname(name) => Self::Cname(normal_name(name)),
            Self::Dname(name) => Self::Dname(normal_name(name)),
            Self::Ns(name) => Self::Ns(normal_name(name)),
            Self::Ptr(name) => Self::Ptr(normal_name(name)),
            Self::Mx { preference, exchange } => Self::Mx { preference: *preference, exchange: normal_name(exchange) },
            Self::Srv { priority, weight, port, target } => {
                Self::Srv { priority: *priority, weight: *weight, port: *port, target: normal_name(target) }
            }
            Self::Soa { primary } => Self::Soa { primary: normal_name(primary) },
            Self::Service(service) => Self::Service(service.normal()),
            Self::A(_) | Self::Aaaa(_) | Self::Txt(_) | Self::Other { .. } => self.clone(),
        }
    }

    /// Addresses, hints of a service among them.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        match self {
            Self::A(address) => vec![(*address).into()],
            Self::Aaaa(address) => vec![(*address).into()],
            Self::Service(service) => service.hints().collect(),
            _ => Vec::new(),
        }
    }
}

/// Presentation form (RFC 1035 section 5.1); of data that are not read only the length (RFC 3597 section 5).
impl Display for Data {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => address.fmt(f),
            Self::Aaaa(address) => address.fmt(f),
            Self::Cname(name) | Self::Dname(name) | Self::Ns(name) | Self::Ptr(name) | Self::Txt(name) | Self::Soa { primary: name } => {
                f.write_str(name)
            }
            Self::Mx { preference, exchange } => write!(f, "{preference} {exchange}"),
            Self::Srv { priority, weight, port, target } => write!(f, "{priority} {weight} {port} {target}"),
            Self::Service(service) => service.fmt(f),
            Self::Other { bytes, .. } => write!(f, "\\# {bytes}"),
        }
    }
}

/// Strings joined; what is no text is replaced.
fn text(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    let mut bytes = Vec::new();
    while !cursor.is_empty() {
        bytes.extend_from_slice(cursor.block_u8("dns.txt")?.rest());
    }
    bytes.truncate(TEXT_BYTES_MAX);
    Ok(String::from_utf8_lossy(&bytes).replace(char::is_control, "\u{fffd}"))
}

fn start_of_authority<'a>(message: &'a [u8], cursor: &mut Cursor<'a>) -> Result<String, ParseError> {
    let primary = name::read(message, cursor)?;
    name::read(message, cursor)?;
    cursor.take(20, "dns.soa.numbers")?;
    Ok(primary)
}

/// FNV-1a: the same on every machine, and good enough to tell two answers apart.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
