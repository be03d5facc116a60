//! Two captures of the same flows.
//! In:  what was captured at the client, and what was captured at the server.
//! Out: the flows that both hold, and of each of their packets whether it was delivered, dropped, injected, rewritten or delayed in between.
//! Promises: the addresses of clients may be translated and the clocks may differ; what a capture failed to record is not blamed on the network; the same
//! result whatever the machine. Memory grows with the packets of both captures, some 80 bytes for each.
//! Not here: what one capture alone makes likely (`detect`, `infer`). Whoever stands between the two capture points may have done it: a load balancer
//! before the server as well as a censor.

mod clock;
mod fates;
mod join;
mod observed;
mod read;
mod verdict;
mod write;

pub use write::{Job, Settings, Summary};

use crate::model::rows::{ComparedRow, FateRow};
use fates::{Fates, Losses};
use read::Side;

/// All flows of two captures, compared.
pub struct Compared {
    pub flows: Vec<ComparedRow>,
    pub fates: Vec<FateRow>,
    /// By which the server's clock was ahead of the client's, in ms: at the start and at the end.
    pub clock_offset_ms: Option<(f64, f64)>,
    /// Shares of their packets that the client's and the server's capture failed to record, as far as the other tells.
    pub lost_by_captures: [f64; 2],
}

/// Compares what was read at both ends.
fn compare(client: &Side, server: &Side) -> Compared {
    let mut pairs = join::pairs(client, server);
    // Without a flow that both hold nothing shows that they belong together, or what their clocks have to do with each other.
    if !pairs.iter().any(|pair| pair.ends.iter().all(Option::is_some)) {
        pairs.clear();
    }
    let clock = clock::align(&pairs);
    let losses = Losses::measure(&pairs, client, server, &clock);
    let judged: Vec<Fates> = pairs.iter().map(|pair| fates::of(pair, client, server, &clock, &losses)).collect();
    let context = verdict::Context::new(&pairs, &judged);
    let flows = pairs.iter().zip(&judged).filter_map(|(pair, of)| verdict::row(pair, of, &context)).collect();
    let rows = pairs.iter().zip(&judged).flat_map(|(pair, of)| fates::rows(of, pair.id(), client, server)).collect();
    Compared { flows, fates: rows, clock_offset_ms: clock.span_ms(), lost_by_captures: losses.shares() }
}
