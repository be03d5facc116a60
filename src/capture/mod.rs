//! Raw records from captures.
//! In:  files, directories, patterns, archives, standard input, compressed or not, and the rules by which files form sources.
//! Out: an [`Inventory`] of sources; of each source the [`Round`]s of raw [`Record`]s with time, link type and number,
//!      and one [`FileReport`] for every file that was read.
//! Promises: memory is bounded by the size of a round and by the largest record that a format allows; how many bytes
//! make a round changes no record; behind damage reading goes on at the next record, the place is named with its byte and never ends the
//! run; every stored byte of a file is hashed exactly once.
//! Not here: what the bytes of a packet mean (`packet`), read-ahead (`pipeline`).

mod archive;
mod clock;
mod compression;
mod content;
mod error;
mod file;
mod glob;
mod interface;
mod inventory;
mod magic;
mod names;
mod order;
mod pcap;
mod pcapng;
mod probe;
mod reader;
mod resolution;
mod scan;
mod series;
#[cfg(test)]
mod testing;
mod walk;

pub use clock::LEAP;
pub use content::{Content, ContentError, Ending, Opened, open};
pub use error::{CaptureError, FirstBytes, Flaw};
pub use file::FileReport;
pub use interface::Interface;
pub use inventory::{CaptureFile, Inventory, Source, SourceRules, find};
pub use reader::{Opener, Record, Round, SourceReader};
pub use scan::Gap;
