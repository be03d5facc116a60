//! The name a flow goes by, and whose it is.
//! In:  the clues of one flow.
//! Out: host, service, role, protocol, and which fact told.
//! Promises: the order of facts is name, own address, wire, shared address with port. What the order leaves open stays open.

use std::net::IpAddr;
use std::sync::Arc;

use crate::app::heads::{Heads, Recognised, Strength};
use crate::app::stun_marks::StunMarks;
use crate::model::Side;
use crate::model::words::{AppProtocol, HostSource, Role, Transport};

use super::Catalog;
use super::catalog::{Claim, is_founded};
use super::file::{Hint, Need};

/// A service and what this host is to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub service: Arc<str>,
    /// None: tunnel traffic of a service of kind `circumvention`.
    pub role: Option<Role>,
}

/// What is known of a flow that may tell whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Clues<'a> {
    /// The SNI or the HTTP Host, as the client sent it.
    pub name: Option<(&'a str, HostSource)>,
    pub server: IpAddr,
    pub server_port: u16,
    pub client: Side,
    pub transport: Transport,
    pub alpn: &'a [String],
    /// What the first payloads fit where no parser of a named protocol took the flow.
    pub recognised: &'a [Recognised],
    /// The first payloads themselves, for plain patterns of the catalog.
    pub heads: Option<&'a Heads>,
    pub stun: Option<&'a StunMarks>,
}

/// The name a flow goes by, and whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub host: Option<String>,
    pub host_source: Option<HostSource>,
    pub membership: Option<Membership>,
    /// From the first payloads, where they tell.
    pub app_protocol: Option<AppProtocol>,
}

/// Every kind of service is served there: these ports tell no two apart.
const WEB_PORTS: [u16; 2] = [80, 443];

impl Catalog {
    /// Names a flow.
    pub fn name(&self, clues: &Clues<'_>) -> Named {
        let wire = self.wire(clues);
        let app_protocol = self.protocol(clues, wire);
        let own_wire = wire.filter(|(_, hint)| !hint.shared);
        let written = clues.name.map(|(name, source)| (normal(name), source));
        match written.filter(|(name, _)| !name.is_empty() && !is_address(name)) {
            Some((host, source)) => {
                let membership = self.by_host(&host).or_else(|| self.by_wire(own_wire));
                Named { host: Some(host), host_source: Some(source), membership, app_protocol }
            }
            None => {
                let (membership, host_source) = self.without_name(clues, own_wire);
                Named { host: None, host_source, membership, app_protocol }
            }
        }
    }

    fn without_name(&self, clues: &Clues<'_>, wire: Option<(usize, &Hint)>) -> (Option<Membership>, Option<HostSource>) {
        let claim = self.endpoint(clues.server, clues.server_port).or_else(|| self.block_of(clues.server));
        let (membership, told) = match (claim, wire) {
            (Some(claim), _) if !claim.shared => (self.member(claim.service, self.role_at(claim, clues, wire)), HostSource::IpPrefix),
            (_, Some(_)) => (self.by_wire(wire), HostSource::Wire),
            (Some(claim), None) => (self.by_port(claim, clues), HostSource::IpPrefix),
            (None, None) => return (None, None),
        };
        let told = membership.is_some().then_some(told);
        (membership, told)
    }

    fn by_wire(&self, wire: Option<(usize, &Hint)>) -> Option<Membership> {
        wire.and_then(|(service, hint)| self.member(service, hint.basis().role))
    }

    /// A block may serve several ends: what the service speaks or listens for there is nearer than what the block is for.
    fn role_at(&self, claim: &Claim, clues: &Clues<'_>, wire: Option<(usize, &Hint)>) -> Option<Role> {
        let spoken = wire.filter(|(service, _)| *service == claim.service).map(|(_, hint)| hint.basis().role);
        spoken.or_else(|| self.port_role(claim.service, clues)).unwrap_or(claim.role)
    }

    /// A shared block where only one of its services listens on the port.
    fn by_port(&self, claim: &Claim, clues: &Clues<'_>) -> Option<Membership> {
        let users = std::iter::once(claim.service).chain(claim.also.iter().copied());
        let is_telling = !WEB_PORTS.contains(&clues.server_port);
        let mut listening = users.filter(|_| is_telling).filter_map(|service| Some((service, self.port_role(service, clues)?)));
        match (listening.next(), listening.next()) {
            (Some((service, role)), None) => self.member(service, role),
            _ => None,
        }
    }

    /// What the service uses the port for.
    fn port_role(&self, service: usize, clues: &Clues<'_>) -> Option<Option<Role>> {
        let mut lists = self.services[service].port_lists(clues.transport, clues.server_port);
        lists.find(|list| is_founded(list)).map(|list| list.basis().role)
    }

    /// The hint that the first payloads fit best: a certain one, else a weak one that something supports.
    fn wire(&self, clues: &Clues<'_>) -> Option<(usize, &Hint)> {
        if clues.recognised.is_empty() && clues.heads.is_none() && clues.stun.is_none() && clues.alpn.is_empty() {
            return None;
        }
        let fitting = self.hints().filter_map(|(service, hint)| Some((hint.strength(clues)?, service, hint)));
        let proven = fitting.filter(|(strength, service, hint)| self.is_proven(*strength, *service, hint, clues));
        proven.min_by_key(|(strength, _, hint)| (*strength, hint.shared)).map(|(_, service, hint)| (service, hint))
    }

    /// Weak bytes are proven by what supports them. What names no service needs no proof.
    fn is_proven(&self, strength: Strength, service: usize, hint: &Hint, clues: &Clues<'_>) -> bool {
        let is_supported = || !hint.needs.is_empty() && hint.needs.iter().all(|need| self.supports(*need, service, clues));
        strength == Strength::Certain || hint.shared || is_supported()
    }

    fn supports(&self, need: Need, service: usize, clues: &Clues<'_>) -> bool {
        match need {
            Need::Address => {
                let claims = [self.endpoint(clues.server, clues.server_port), self.block_of(clues.server)];
                claims.into_iter().flatten().any(|claim| claim.is_used_by(service))
            }
            Need::Port => self.services[service].port_lists(clues.transport, clues.server_port).next().is_some(),
        }
    }

    /// What a service speaks, what a recogniser is sure of, what the bytes merely look like.
    fn protocol(&self, clues: &Clues<'_>, wire: Option<(usize, &Hint)>) -> Option<AppProtocol> {
        let certain = clues.recognised.iter().find(|recognised| recognised.strength == Strength::Certain);
        match (wire, certain) {
            (Some((service, hint)), _) if !hint.shared && self.is_hidden(service) => Some(AppProtocol::OtherEncrypted),
            (Some((_, hint)), _) if !hint.shared => Some(self.shown(hint.app_protocol.0)),
            (_, Some(recognised)) => Some(self.shown(recognised.protocol)),
            (Some((_, hint)), None) => Some(self.shown(hint.app_protocol.0)),
            (None, None) => clues.stun.map(|_| AppProtocol::Stun),
        }
    }

    /// Protocols of VPNs and tunnels go by one name unless they are to be told apart.
    fn shown(&self, protocol: AppProtocol) -> AppProtocol {
        use AppProtocol::{Esp, FullyEncrypted, Ikev2, Openvpn, OtherEncrypted, Wireguard};
        let hides = matches!(protocol, Wireguard | Openvpn | Ikev2 | Esp | FullyEncrypted);
        if hides && !self.labels_circumvention() { OtherEncrypted } else { protocol }
    }
}

/// Names compare in lower case, without the root's dot, and without the port that a Host may carry (RFC 9110 section 7.2).
fn normal(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    let without_port = match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) => host,
        _ => &name,
    };
    without_port.trim_end_matches('.').to_owned()
}

/// An address where a name is expected says no more than the address of the server.
fn is_address(host: &str) -> bool {
    host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
}
