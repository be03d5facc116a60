//! What the targets share: bytes read as a capture, captures and datagrams written by hand.

mod datagrams;
mod files;
mod reading;

pub use datagrams::{RAW, Tcp, datagram, ipv4_fragment, ipv6_fragment, record_of, tcp_packet, udp};
pub use files::{Format, Written, write};
pub use reading::{Reading, Seen, read, read_with};
