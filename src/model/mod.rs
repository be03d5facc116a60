//! The vocabulary that every room shares.
//! In:  nothing; this room imports no other.
//! Out: time, direction, sequence and packet numbers, flow keys, tunnel paths, the closed word lists, the rows of the tables.
//! Promises: each quantity has one type and one place; a word of the tables exists once, with its meaning.
//! Not here: how anything is measured, read, judged or written.

mod address;
mod direction;
mod key;
mod packet_number;
pub mod rows;
mod seq;
mod time;
mod tunnel;
pub mod words;

pub use address::Address;
pub use direction::{Direction, PerDirection, PerSide, Side};
pub use key::{FlowKey, Protocol};
pub use packet_number::{FileId, PacketNumber};
pub use seq::SeqNumber;
pub use time::{Span, Timestamp};
pub use tunnel::TunnelPath;
