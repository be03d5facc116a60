//! Whose a flow is.
//! In:  names, addresses, ports, first payloads; the catalog, which is data.
//! Out: service, role, and which fact told; the network of an address.
//! Promises: the longest match at a label border wins; what several services share names none; a name beats an address; a port alone names nothing.
//! Not here: what happened to the flow. No rule of `detect` and no verdict asks this room.

mod blocks;
mod catalog;
mod check;
pub mod file;
mod naming;
mod networks;
mod pattern;
mod wire;

pub use catalog::Catalog;
pub use check::{CatalogError, Place, Problem, source_id};
pub use naming::{Clues, Membership, Named};
pub use networks::{Network, Networks, NetworksError};

#[cfg(test)]
mod tests;
