//! Whose a host is.
//! In:  host names, addresses; the catalog, which is data.
//! Out: service, role, and which fact told.
//! Promises: the longest match at a label border wins; an entry that several services share names none; a name beats an address.
//! Not here: what happened to the flow. No rule of `detect` or `infer` asks this room.

mod catalog;

pub use catalog::{Catalog, CatalogError};

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::words::{HostSource, Role};

/// A service and what this host is to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub service: Arc<str>,
    pub role: Role,
}

/// The name a flow goes by, and whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub host: Option<String>,
    pub host_source: Option<HostSource>,
    pub membership: Option<Membership>,
}

impl Catalog {
    /// From the SNI where there is one, else from the server's address.
    pub fn name(&self, sni: Option<&str>, server: IpAddr) -> Named {
        if let Some(host) = sni.map(normal).filter(|host| !host.is_empty()) {
            let membership = self.by_host(&host);
            return Named { host: Some(host), host_source: Some(HostSource::TlsSni), membership };
        }
        let membership = self.by_address(server);
        let host_source = membership.as_ref().map(|_| HostSource::IpPrefix);
        Named { host: None, host_source, membership }
    }

    /// Whether the address belongs to a service.
    pub fn knows(&self, address: IpAddr) -> bool {
        self.by_address(address).is_some()
    }
}

/// Names compare in lower case and without the root's dot.
fn normal(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
