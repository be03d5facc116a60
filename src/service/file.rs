//! The catalog file as it is written; `docs/services.md` is its description.
//! In:  a text.
//! Out: entries whose words, patterns, blocks, ports and bytes are well-formed.
//! Not here: what entries mean to each other (`check`), look-ups (`catalog`).

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use toml::Spanned;

use crate::model::words::{AppProtocol, Role, Transport, Word};

use super::pattern::Pattern;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub date: Spanned<Date>,
    #[serde(default)]
    pub sources: BTreeMap<String, Source>,
    #[serde(default)]
    pub service: Vec<Service>,
    #[serde(default)]
    pub dns_resolver: Vec<Resolver>,
    #[serde(default)]
    pub dns_removed: Vec<Removed>,
}

/// Where facts come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub what: String,
    /// When it said so.
    pub date: Date,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub id: Spanned<Id>,
    /// This and the next two may be left out where a service of the built-in catalog is added to.
    pub name: Option<String>,
    pub operator: Option<String>,
    pub kind: Option<Kind>,
    #[serde(default)]
    pub asn: Vec<u32>,
    /// Nothing stays of what the built-in catalog has under this id.
    #[serde(default, skip_serializing)]
    pub replace: bool,
    #[serde(default)]
    pub hosts: Vec<Hosts>,
    #[serde(default)]
    pub prefixes: Vec<Prefixes>,
    #[serde(default)]
    pub endpoints: Vec<Endpoints>,
    #[serde(default)]
    pub ports: Vec<Ports>,
    #[serde(default)]
    pub wire: Vec<Hint>,
}

/// What every entry of a service says, with the fields of its kind.
macro_rules! entries {
    ($($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty,)* })+) => {$(
        $(#[$about])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_about])* pub $field: $type,)*
            pub role: Option<Spanned<Worded<Role>>>,
            /// The entry alone does not prove the service.
            #[serde(default)]
            pub shared: bool,
            /// Other services that are known to use it.
            #[serde(default)]
            pub also: Vec<Spanned<Id>>,
            pub source: Spanned<Vec<String>>,
            pub confidence: Confidence,
            /// From a catalog of the user's own.
            #[serde(skip_deserializing)]
            pub own: bool,
        }

        impl $name {
            pub fn basis(&self) -> Basis<'_> {
                let Self { role, shared, also, source, confidence, own, .. } = self;
                Basis { role: role.as_ref().map(|role| role.get_ref().0), shared: *shared, also, source, confidence: *confidence, own: *own }
            }
        }
    )+};
}

/// What every entry says.
#[derive(Clone, Copy, Debug)]
pub struct Basis<'a> {
    pub role: Option<Role>,
    pub shared: bool,
    pub also: &'a [Spanned<Id>],
    pub source: &'a Spanned<Vec<String>>,
    pub confidence: Confidence,
    pub own: bool,
}

entries! {
    /// Names.
    Hosts {
        r#match: Vec<Spanned<Pattern>>,
    }
    /// Blocks of addresses.
    Prefixes {
        #[serde(default)]
        asn: Vec<u32>,
        #[serde(default)]
        v4: Vec<Spanned<Block>>,
        #[serde(default)]
        v6: Vec<Spanned<Block>>,
    }
    /// Single addresses with ports.
    Endpoints {
        addresses: Vec<Spanned<Endpoint>>,
    }
    /// Ports of servers. They tell nothing alone.
    Ports {
        proto: Worded<Transport>,
        ports: Vec<PortRange>,
    }
    /// What the first payloads look like. Every condition that is given has to hold; of a list, one member.
    Hint {
        id: Spanned<Id>,
        app_protocol: Worded<AppProtocol>,
        proto: Worded<Transport>,
        #[serde(default, skip_serializing_if = "is_default")]
        dir: Dir,
        #[serde(default, skip_serializing_if = "is_default")]
        at: At,
        #[serde(default)]
        r#match: Vec<Bytes>,
        len: Option<u32>,
        len_min: Option<u32>,
        len_max: Option<u32>,
        /// The recogniser that knows what plain patterns cannot say.
        check: Option<Spanned<String>>,
        /// Parts of the REALM of STUN, in lower case.
        #[serde(default)]
        realm: Vec<String>,
        #[serde(default)]
        stun_types: Vec<u16>,
        #[serde(default)]
        stun_attributes: Vec<u16>,
        #[serde(default)]
        alpn: Vec<String>,
        /// What has to support bytes that are weak alone: all of these.
        #[serde(default)]
        needs: Vec<Need>,
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A resolver of names.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolver {
    pub id: Spanned<Id>,
    pub name: String,
    pub names: Vec<Spanned<Pattern>>,
    #[serde(default)]
    pub v4: Vec<Spanned<Block>>,
    #[serde(default)]
    pub v6: Vec<Spanned<Block>>,
    /// It answers over TLS, HTTPS or QUIC.
    #[serde(default)]
    pub encrypted: bool,
    pub source: Spanned<Vec<String>>,
    pub confidence: Confidence,
}

/// Names that resolvers of a country were made to forget.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removed {
    pub country: String,
    /// The id of a resolver.
    pub system: Spanned<Id>,
    pub answer: String,
    pub since: Date,
    pub names: Vec<Spanned<Pattern>>,
    pub source: Spanned<Vec<String>>,
    pub confidence: Confidence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Messenger,
    Social,
    Video,
    Conferencing,
    Push,
    Circumvention,
}

/// How well an entry is founded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    Low,
    Medium,
    High,
}

/// Whose payload a hint is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dir {
    C2s,
    S2c,
    #[default]
    Both,
}

/// Which payload a hint is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// The first bytes of a stream.
    StreamStart,
    /// Any of the first datagrams.
    #[default]
    Datagram,
    FirstDatagram,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// The server's address lies in a block that the service uses, alone or with others.
    Address,
    /// The server's port is one of the service's.
    Port,
}

/// Bytes at a place of a payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    #[serde(default)]
    offset: usize,
    hex: Hex,
}

impl Bytes {
    pub fn fit(&self, payload: &[u8]) -> bool {
        let place = payload.get(self.offset..).and_then(|rest| rest.get(..self.hex.0.len()));
        place.is_some_and(|bytes| bytes.iter().zip(&self.hex.0).all(|(byte, wanted)| wanted.is_none_or(|wanted| wanted == *byte)))
    }

    /// Bytes of the payload that have to be there.
    pub fn end(&self) -> usize {
        self.offset.saturating_add(self.hex.0.len())
    }
}

/// Why a value is none of its kind.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    #[error("{text:?} is none of {words}")]
    Word { text: String, words: String },
    #[error("{0:?} is no id: lower-case letters, digits and _")]
    Id(String),
    #[error("{0:?} is no date: YYYY, YYYY-MM or YYYY-MM-DD")]
    Date(String),
    #[error("{0:?} is no block of addresses")]
    Block(String),
    #[error("{0:?} is no address with a port")]
    Endpoint(String),
    #[error("{block:?} has bits behind its length: is {meant} meant?")]
    HostBits { block: String, meant: ipnet::IpNet },
    #[error("{0:?} is no port and no range of ports")]
    Ports(String),
    #[error("{0:?} are no bytes: pairs of hex digits, or .. for any byte")]
    Hex(String),
}

/// Values that stand in the file as a text.
macro_rules! texts {
    ($($type:ty),+) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )+};
}

texts!(Id, Date, Block, Endpoint, PortRange, Hex, Pattern, Worded<Role>, Worded<AppProtocol>, Worded<Transport>);

/// A word of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worded<W>(pub W);

impl<W: Word> FromStr for Worded<W> {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let words = || W::ALL.iter().map(|word| word.word()).collect::<Vec<_>>().join(", ");
        W::from_word(text).map(Self).ok_or_else(|| ValueError::Word { text: text.into(), words: words() })
    }
}

impl<W: Word> Display for Worded<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.word())
    }
}

/// What a service, a hint or a resolver is called by others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

impl Id {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let is_id = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_';
        if text.is_empty() || !text.bytes().all(is_id) {
            return Err(ValueError::Id(text.into()));
        }
        Ok(Self(text.into()))
    }
}

impl Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A day, a month or a year.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(String);

impl FromStr for Date {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let in_range = |part: &str, most: u8| part.len() == 2 && part.parse::<u8>().is_ok_and(|number| (1..=most).contains(&number));
        let mut parts = text.split('-');
        let year = parts.next().is_some_and(|year| year.len() == 4 && year.bytes().all(|letter| letter.is_ascii_digit()));
        let rest = parts.next().is_none_or(|month| in_range(month, 12)) && parts.next().is_none_or(|day| in_range(day, 31));
        if year && rest && parts.next().is_none() { Ok(Self(text.into())) } else { Err(ValueError::Date(text.into())) }
    }
}

impl Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block(pub ipnet::IpNet);

impl FromStr for Block {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let block: ipnet::IpNet = text.parse().map_err(|_| ValueError::Block(text.into()))?;
        if block.trunc() != block {
            return Err(ValueError::HostBits { block: text.into(), meant: block.trunc() });
        }
        Ok(Self(block))
    }
}

impl Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `192.0.2.1:443` or `[2001:db8::1]:443`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint(pub SocketAddr);

impl FromStr for Endpoint {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse().map(Self).map_err(|_| ValueError::Endpoint(text.into()))
    }
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `443` or `596-599`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl FromStr for PortRange {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(Self { first, last }),
            _ => Err(ValueError::Ports(text.into())),
        }
    }
}

impl Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// `16 03 ..`: None is any byte.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hex(Vec<Option<u8>>);

impl FromStr for Hex {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let byte = |pair: &str| match pair {
            ".." => Some(None),
            _ if pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit()) => u8::from_str_radix(pair, 16).ok().map(Some),
            _ => None,
        };
        let bytes: Option<Vec<_>> = text.split_ascii_whitespace().map(byte).collect();
        match bytes {
            Some(bytes) if bytes.iter().any(Option::is_some) => Ok(Self(bytes)),
            _ => Err(ValueError::Hex(text.into())),
        }
    }
}

impl Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            match byte {
                Some(byte) => write!(f, "{space}{byte:02x}")?,
                None => write!(f, "{space}..")?,
            }
        }
        Ok(())
    }
}
