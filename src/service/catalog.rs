//! The catalog file: read, checked, and turned into tables for look-ups.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use ipnet::IpNet;
use serde::Deserialize;

use crate::model::words::{Role, Word};

use super::Membership;

/// The catalog as the project ships it.
const BUILT_IN: &str = include_str!("catalog.toml");

#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("catalog: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error("catalog: service {service}: role {role} is none of the known ones")]
    Role { service: String, role: String },
    #[error("catalog: service {service}: {prefix} is no address block")]
    Prefix { service: String, prefix: String },
    #[error("catalog: service {service}: source {source_name} is not listed under [sources]")]
    Source { service: String, source_name: String },
}

/// Look-ups by name and by address.
#[derive(Debug, Default)]
pub struct Catalog {
    pub date: String,
    names: HashMap<String, Membership, RandomState>,
    suffixes: HashMap<String, Membership, RandomState>,
    /// By prefix length, the longest first.
    prefixes: BTreeMap<std::cmp::Reverse<u8>, HashMap<IpNet, Membership, RandomState>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    date: String,
    sources: BTreeMap<String, String>,
    #[serde(default)]
    service: Vec<Service>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    id: String,
    #[serde(rename = "name")]
    _name: String,
    #[serde(rename = "operator")]
    _operator: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(default)]
    hosts: Vec<Hosts>,
    #[serde(default)]
    prefixes: Vec<Prefixes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hosts {
    role: String,
    r#match: Vec<String>,
    #[serde(default)]
    shared: bool,
    source: Vec<String>,
    #[serde(rename = "confidence")]
    _confidence: Confidence,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prefixes {
    role: String,
    #[serde(default)]
    v4: Vec<String>,
    #[serde(default)]
    v6: Vec<String>,
    #[serde(default)]
    shared: bool,
    source: Vec<String>,
    #[serde(rename = "confidence")]
    _confidence: Confidence,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Confidence {
    High,
    Medium,
    Low,
}

impl Catalog {
    pub fn built_in() -> Result<Self, CatalogError> {
        let mut catalog = Self::default();
        catalog.add(BUILT_IN)?;
        Ok(catalog)
    }

    /// The built-in catalog with entries of the user's own, which come first.
    pub fn with_own(own: &str) -> Result<Self, CatalogError> {
        let mut catalog = Self::default();
        catalog.add(own)?;
        catalog.add(BUILT_IN)?;
        Ok(catalog)
    }

    pub(super) fn by_host(&self, host: &str) -> Option<Membership> {
        if let Some(membership) = self.names.get(host) {
            return Some(membership.clone());
        }
        let parents = std::iter::successors(Some(host), |name| name.split_once('.').map(|(_, parent)| parent));
        parents.filter_map(|parent| self.suffixes.get(parent)).next().cloned()
    }

    pub(super) fn by_address(&self, address: IpAddr) -> Option<Membership> {
        let blocks = self.prefixes.iter().filter_map(|(length, blocks)| Some((IpNet::new(address, length.0).ok()?.trunc(), blocks)));
        blocks.filter_map(|(block, blocks)| blocks.get(&block)).next().cloned()
    }

    /// Adds a file; what is there already stays.
    fn add(&mut self, text: &str) -> Result<(), CatalogError> {
        let file: File = toml::from_str(text)?;
        if self.date.is_empty() {
            self.date = file.date.clone();
        }
        for service in &file.service {
            self.add_service(service, &file.sources)?;
        }
        Ok(())
    }

    fn add_service(&mut self, service: &Service, sources: &BTreeMap<String, String>) -> Result<(), CatalogError> {
        let id: Arc<str> = service.id.as_str().into();
        for hosts in &service.hosts {
            let membership = membership(service, &id, &hosts.role, &hosts.source, sources)?;
            for pattern in hosts.r#match.iter().filter(|_| !hosts.shared) {
                let (table, name) = match pattern.strip_prefix('.') {
                    Some(suffix) => (&mut self.suffixes, suffix),
                    None => (&mut self.names, pattern.as_str()),
                };
                table.entry(name.to_ascii_lowercase()).or_insert_with(|| membership.clone());
            }
        }
        for prefixes in &service.prefixes {
            let membership = membership(service, &id, &prefixes.role, &prefixes.source, sources)?;
            for prefix in prefixes.v4.iter().chain(&prefixes.v6) {
                let block: IpNet = prefix.parse().map_err(|_| CatalogError::Prefix { service: service.id.clone(), prefix: prefix.clone() })?;
                if !prefixes.shared {
                    let blocks = self.prefixes.entry(std::cmp::Reverse(block.prefix_len())).or_default();
                    blocks.entry(block.trunc()).or_insert_with(|| membership.clone());
                }
            }
        }
        Ok(())
    }
}

/// What an entry makes its hosts, once its role and its sources are known ones.
fn membership(service: &Service, id: &Arc<str>, role: &str, named: &[String], known: &BTreeMap<String, String>) -> Result<Membership, CatalogError> {
    if let Some(name) = named.iter().find(|name| !known.contains_key(name.split(':').next().unwrap_or(name))) {
        return Err(CatalogError::Source { service: service.id.clone(), source_name: name.clone() });
    }
    match Role::from_word(role) {
        Some(role) => Ok(Membership { service: id.clone(), role }),
        None => Err(CatalogError::Role { service: service.id.clone(), role: role.into() }),
    }
}
