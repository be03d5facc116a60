//! tamperscope reads packet captures after the fact and answers one question for every connection: did the network let it through, and if not, how was
//! it cut and what triggered the cut?
//!
//! Data travels one way, down this list; a room imports only rooms above it (`tests/house.rs` holds that).

#![forbid(unsafe_code)]

pub mod app;
pub mod capture;
pub mod cli;
pub mod compare;
pub mod detect;
pub mod flow;
pub mod infer;
pub mod model;
pub mod packet;
pub mod pipeline;
pub mod service;
pub mod shard;
pub mod table;
