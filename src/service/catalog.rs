//! The catalog: what files say, merged, and tables for look-ups.
//! In:  the built-in file, and one of the user's own.
//! Out: who claims a name, a block, an address.
//! Promises: own entries come before built-in ones; everything an entry says is kept for who asks (`tamperscope services`).

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::model::words::{Role, Transport};

use super::Membership;
use super::blocks::{Blocks, Collection};
use super::check::{self, CatalogError};
use super::file::{Basis, Confidence, Date, File, Hint, Id, Kind, Ports, Removed, Resolver, Service, Source};
use super::pattern::PatternTable;

/// The catalog as the project ships it.
const BUILT_IN: &str = include_str!("catalog.toml");

#[derive(Debug)]
pub struct Catalog {
    /// Of the built-in file.
    pub date: Date,
    pub services: Vec<Service>,
    pub sources: BTreeMap<String, Source>,
    pub resolvers: Vec<Resolver>,
    pub removed: Vec<Removed>,
    label_circumvention: bool,
    ids: Vec<Arc<str>>,
    hosts: PatternTable<Claim>,
    blocks: Blocks,
    /// By the numbers that `blocks` gives.
    claims: Vec<Claim>,
    endpoints: HashMap<SocketAddr, Claim, RandomState>,
    encrypted_resolvers: PatternTable<()>,
}

/// What an entry says of a name, a block or an address.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// Place in `services`.
    pub service: usize,
    pub role: Option<Role>,
    pub shared: bool,
    pub also: Vec<usize>,
}

impl Claim {
    /// Whether the service is among those that are known to use it.
    pub fn is_used_by(&self, service: usize) -> bool {
        self.service == service || self.also.contains(&service)
    }
}

impl Service {
    /// What each entry says beside the facts of its kind.
    pub fn entries(&self) -> impl Iterator<Item = Basis<'_>> {
        let Self { hosts, prefixes, endpoints, ports, wire, .. } = self;
        let addresses = prefixes.iter().map(|entry| entry.basis()).chain(endpoints.iter().map(|entry| entry.basis()));
        let others = ports.iter().map(|entry| entry.basis()).chain(wire.iter().map(|entry| entry.basis()));
        hosts.iter().map(|entry| entry.basis()).chain(addresses).chain(others)
    }

    /// Entries of the user's own stand before those that are there.
    fn add(&mut self, own: Self) {
        if own.replace {
            let built_in = std::mem::replace(self, own);
            self.name = self.name.take().or(built_in.name);
            self.operator = self.operator.take().or(built_in.operator);
            self.kind = self.kind.or(built_in.kind);
            return;
        }
        self.name = own.name.or(self.name.take());
        self.operator = own.operator.or(self.operator.take());
        self.kind = own.kind.or(self.kind);
        self.asn.splice(0..0, own.asn);
        self.hosts.splice(0..0, own.hosts);
        self.prefixes.splice(0..0, own.prefixes);
        self.endpoints.splice(0..0, own.endpoints);
        self.ports.splice(0..0, own.ports);
        self.wire.splice(0..0, own.wire);
    }

    fn mark_own(&mut self) {
        self.hosts.iter_mut().for_each(|entry| entry.own = true);
        self.prefixes.iter_mut().for_each(|entry| entry.own = true);
        self.endpoints.iter_mut().for_each(|entry| entry.own = true);
        self.ports.iter_mut().for_each(|entry| entry.own = true);
        self.wire.iter_mut().for_each(|entry| entry.own = true);
    }

    fn is_empty(&self) -> bool {
        self.entries().next().is_none()
    }

    /// Lists that have the port.
    pub(super) fn port_lists(&self, transport: Transport, port: u16) -> impl Iterator<Item = &Ports> {
        self.ports.iter().filter(move |list| list.proto.0 == transport && list.ports.iter().any(|range| range.contains(port)))
    }
}

impl Catalog {
    pub fn built_in() -> Result<Self, CatalogError> {
        Ok(Self::new(check::read(BUILT_IN, None)?))
    }

    /// The built-in catalog with entries of the user's own, which come first.
    pub fn with_own(own: &str) -> Result<Self, CatalogError> {
        let mut file = check::read(BUILT_IN, None)?;
        let own = check::read(own, Some(&file))?;
        for mut service in own.service {
            service.mark_own();
            match file.service.iter_mut().find(|known| known.id.get_ref() == service.id.get_ref()) {
                Some(known) => known.add(service),
                None => file.service.push(service),
            }
        }
        file.service.retain(|service| !(service.replace && service.is_empty()));
        file.sources.extend(own.sources);
        file.dns_resolver.extend(own.dns_resolver);
        file.dns_removed.extend(own.dns_removed);
        Ok(Self::new(file))
    }

    /// With `true`, services of kind `circumvention` and their protocols go by their names.
    pub fn label_circumvention(mut self, label: bool) -> Self {
        self.label_circumvention = label;
        self
    }

    fn new(file: File) -> Self {
        let mut catalog = Self {
            date: file.date.into_inner(),
            ids: file.service.iter().map(|service| service.id.get_ref().as_str().into()).collect(),
            services: file.service,
            sources: file.sources,
            resolvers: file.dns_resolver,
            removed: file.dns_removed,
            label_circumvention: false,
            hosts: PatternTable::default(),
            blocks: Blocks::default(),
            claims: Vec::new(),
            endpoints: HashMap::default(),
            encrypted_resolvers: PatternTable::default(),
        };
        catalog.index();
        catalog
    }

    /// Fills the tables, own entries first.
    fn index(&mut self) {
        let places: HashMap<&Id, usize> = self.services.iter().zip(0..).map(|(service, place)| (service.id.get_ref(), place)).collect();
        let claim = |service: usize, basis: Basis<'_>| {
            let also = basis.also.iter().filter_map(|id| places.get(id.get_ref()).copied()).collect();
            Claim { service, role: basis.role, shared: basis.shared, also }
        };
        let mut blocks = Collection::default();
        for (own, (place, service)) in [true, false].into_iter().flat_map(|own| self.services.iter().enumerate().map(move |each| (own, each))) {
            for entry in service.hosts.iter().filter(|entry| entry.own == own) {
                let claim = claim(place, entry.basis());
                entry.r#match.iter().for_each(|pattern| self.hosts.add(pattern.get_ref(), claim.clone()));
            }
            for entry in service.prefixes.iter().filter(|entry| entry.own == own) {
                let number = self.claims.len() as u32;
                self.claims.push(claim(place, entry.basis()));
                entry.v4.iter().chain(&entry.v6).for_each(|block| blocks.add(block.get_ref().0, number));
            }
            for entry in service.endpoints.iter().filter(|entry| entry.own == own) {
                let claim = claim(place, entry.basis());
                for address in &entry.addresses {
                    self.endpoints.entry(address.get_ref().0).or_insert_with(|| claim.clone());
                }
            }
        }
        self.blocks = blocks.build();
        let encrypted = self.resolvers.iter().filter(|resolver| resolver.encrypted).flat_map(|resolver| &resolver.names);
        encrypted.for_each(|pattern| self.encrypted_resolvers.add(pattern.get_ref(), ()));
    }

    /// Whose a host name is. The name is in lower case, without a dot at its end.
    pub fn by_host(&self, host: &str) -> Option<Membership> {
        self.hosts.longest(host).and_then(|claim| self.membership(claim))
    }

    /// Whether names are resolved at the host, written as for `by_host`, over an encrypted transport.
    pub fn is_resolver(&self, host: &str) -> bool {
        self.encrypted_resolvers.longest(host).is_some()
    }

    /// Whether the address lies in a block of a service, shared or not: whoever has it is a server.
    pub fn knows(&self, address: IpAddr) -> bool {
        self.block_of(address).is_some()
    }

    pub(super) fn block_of(&self, address: IpAddr) -> Option<&Claim> {
        self.claims.get(self.blocks.longest(address)? as usize)
    }

    pub(super) fn endpoint(&self, address: IpAddr, port: u16) -> Option<&Claim> {
        self.endpoints.get(&SocketAddr::new(address.to_canonical(), port))
    }

    /// Nothing where the claim is shared, or the service is not to be named.
    pub(super) fn membership(&self, claim: &Claim) -> Option<Membership> {
        if claim.shared { None } else { self.member(claim.service, claim.role) }
    }

    pub(super) fn member(&self, service: usize, role: Option<Role>) -> Option<Membership> {
        (!self.is_hidden(service)).then(|| Membership { service: self.ids[service].clone(), role })
    }

    /// Services of kind `circumvention` are named on request only.
    pub(super) fn is_hidden(&self, service: usize) -> bool {
        !self.label_circumvention && self.services[service].kind == Some(Kind::Circumvention)
    }

    pub(super) fn labels_circumvention(&self) -> bool {
        self.label_circumvention
    }

    /// All hints with the place of their service, own ones first.
    pub(super) fn hints(&self) -> impl Iterator<Item = (usize, &Hint)> {
        let of = |own: bool| {
            let each = self.services.iter().enumerate().flat_map(|(place, service)| service.wire.iter().map(move |hint| (place, hint)));
            each.filter(move |(_, hint)| hint.own == own)
        };
        of(true).chain(of(false))
    }
}

/// Lists that say more than folklore decide something.
pub(super) fn is_founded(list: &Ports) -> bool {
    !list.shared && list.confidence >= Confidence::Medium
}
