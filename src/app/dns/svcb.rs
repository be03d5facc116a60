//! Service bindings: SVCB and HTTPS records (RFC 9460).

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name::{self, normal_name};
use super::{EchConfig, ech_config};
use crate::app::{Cursor, ParseError};

/// Of each list; a client tries fewer.
const ENTRIES_MAX: usize = 16;

/// Where and how a service is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Svcb {
    /// 0 is an alias.
    pub priority: u16,
    /// "." is the owner's own name.
    pub target: String,
    pub alpn: Vec<String>,
    pub port: Option<u16>,
    pub v4_hints: Vec<Ipv4Addr>,
    pub v6_hints: Vec<Ipv6Addr>,
    pub ech: Vec<EchConfig>,
}

/// Keys of parameters (RFC 9460 section 14.3.2, RFC 9848 section 3).
mod key {
    pub const ALPN: u16 = 1;
    pub const PORT: u16 = 3;
    pub const IPV4HINT: u16 = 4;
    pub const ECH: u16 = 5;
    pub const IPV6HINT: u16 = 6;
}

impl Svcb {
    pub(super) fn read<'a>(message: &'a [u8], cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let mut service = Self { priority: cursor.u16("svcb.priority")?, target: name::read(message, cursor)?, ..Self::default() };
        while !cursor.is_empty() {
            let key = cursor.u16("svcb.key")?;
            service.read_value(key, cursor.block_u16("svcb.value")?)?;
        }
        Ok(service)
    }

    fn read_value(&mut self, key: u16, mut value: Cursor<'_>) -> Result<(), ParseError> {
        match key {
            key::ALPN => {
                while !value.is_empty() && self.alpn.len() < ENTRIES_MAX {
                    let mut protocol = String::new();
                    name::escape(value.block_u8("svcb.alpn")?.rest(), b",\"\\", &mut protocol);
                    self.alpn.push(protocol);
                }
            }
            key::PORT => self.port = Some(value.u16("svcb.port")?),
            key::IPV4HINT => {
                while !value.is_empty() && self.v4_hints.len() < ENTRIES_MAX {
                    self.v4_hints.push(value.u32("svcb.ipv4hint")?.into());
                }
            }
            key::IPV6HINT => {
                while !value.is_empty() && self.v6_hints.len() < ENTRIES_MAX {
                    self.v6_hints.push(value.array::<16>("svcb.ipv6hint")?.into());
                }
            }
            key::ECH => self.ech = ech_config::read_list(&mut value)?,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn hints(&self) -> impl Iterator<Item = IpAddr> {
        self.v4_hints.iter().copied().map(IpAddr::from).chain(self.v6_hints.iter().copied().map(IpAddr::from))
    }

    pub(super) fn normal(&self) -> Self {
        Self { target: normal_name(&self.target), ..self.clone() }
    }
}

/// Presentation form (RFC 9460 section 2.1), but of ECH its public names instead of base64.
impl Display for Svcb {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.priority, self.target)?;
        if !self.alpn.is_empty() {
            write!(f, " alpn=\"{}\"", self.alpn.join(","))?;
        }
        if let Some(port) = self.port {
            write!(f, " port={port}")?;
        }
        write_list(f, "ipv4hint", self.v4_hints.iter())?;
        write_list(f, "ech", self.ech.iter().map(|config| &config.public_name))?;
        write_list(f, "ipv6hint", self.v6_hints.iter())
    }
}

fn write_list(f: &mut Formatter<'_>, key: &str, values: impl Iterator<Item = impl Display>) -> fmt::Result {
    for (index, value) in values.enumerate() {
        if index == 0 { write!(f, " {key}={value}")? } else { write!(f, ",{value}")? }
    }
    Ok(())
}
