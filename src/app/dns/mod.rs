//! DNS: one message, as a datagram or behind its length in a stream.
//! In:  the bytes of one message, by whomever.
//! Out: a [`Message`]: header, first question, answers, EDNS. What was cut off is missing, and said to be ([`Message::whole`]).
//! Promises: names and lists are bounded; compression never goes in circles; what was sent is kept as sent, letter case too.
//! mDNS and LLMNR have the same form (RFC 6762 section 18, RFC 4795 section 2.1) and are read by the same reader.

mod ech_config;
mod message;
mod name;
mod records;
mod svcb;

pub use ech_config::EchConfig;
pub use message::{Edns, Message, Question};
pub use name::normal_name;
pub use records::{Data, Record, kind_name, rcode_name};
pub use svcb::Svcb;

#[cfg(test)]
mod tests;
