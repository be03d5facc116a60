//! Evidence from one conversation.
//! In:  a [`Conversation`] that has ended.
//! Out: [`Observations`]: what the packets show, item by item, with the packets that show it; and the innocent causes that they prove.
//! Promises: an item states what is in the capture and no more; the same packets give the same items at every vantage and on every network; no address,
//! port, TTL, IPID or service is asked.
//! Not here: what an item is worth, and the verdict (`infer`).
//!
//! To add an item: a file under `items/` with its claim, its benign twin and its source; one word in [`DETECTORS`]; a weight in `infer/weights.toml`.

mod benign;
pub mod features;
mod items;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trace;

use features::TcpView;

use crate::model::words::{Benign, Mechanism, Verdict};
use crate::model::{Direction, PacketNumber, Timestamp};
use crate::shard::Conversation;

/// One thing that the packets show.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Under this name its weight stands in the weights file.
    pub id: &'static str,
    pub mechanism: Mechanism,
    pub packets: Vec<PacketNumber>,
    /// When the first of them passed.
    pub time: Timestamp,
    pub says: String,
    /// The innocent reading.
    pub unless: &'static str,
}

/// An item looks at a flow for what one direction may have suffered: resets that claim to come from there, or silence from there.
type Item = fn(&TcpView<'_>, Direction) -> Option<Evidence>;

/// A group of items that accuse the same thing.
pub struct Detector {
    pub name: &'static str,
    pub verdict: Verdict,
    /// The direction whose packets are doubted (resets) or missing (drops).
    pub accused: Direction,
    items: &'static [Item],
}

const RESET_ITEMS: &[Item] = &[
    items::data_after_rst::observe,
    items::syn_ack_after_rst::observe,
    items::ack_after_rst::observe,
    items::rst_seq_change::observe,
    items::rst_behind_data::observe,
    items::rst_ahead::observe,
    items::rst_too_early::observe,
    items::rst_form::observe,
    items::rst_instead_of_answer::observe,
];

const DROP_ITEMS: &[Item] =
    &[items::hello_unacked::observe, items::hello_acked_then_silent::observe, items::cut_after_answer::observe, items::transfer_froze::observe];

/// Every detector: the order of rows, nothing else.
pub const DETECTORS: &[Detector] = &[
    Detector { name: "reset_from_server_side", verdict: Verdict::RstInjection, accused: Direction::ServerToClient, items: RESET_ITEMS },
    Detector { name: "reset_from_client_side", verdict: Verdict::RstInjection, accused: Direction::ClientToServer, items: RESET_ITEMS },
    Detector { name: "server_fell_silent", verdict: Verdict::SniDrop, accused: Direction::ServerToClient, items: DROP_ITEMS },
    Detector { name: "client_fell_silent", verdict: Verdict::SniDrop, accused: Direction::ClientToServer, items: DROP_ITEMS },
];

/// What one detector found in one flow.
pub struct Found {
    pub detector: &'static Detector,
    pub items: Vec<Evidence>,
}

/// Everything that was observed in one flow.
#[derive(Default)]
pub struct Observations {
    pub found: Vec<Found>,
    /// Innocent causes that the packets prove, the strongest first.
    pub benign: Vec<Benign>,
}

/// Runs every detector over a TCP conversation.
pub fn observe(view: &TcpView<'_>) -> Observations {
    let run = |detector: &'static Detector| {
        let items: Vec<Evidence> = detector.items.iter().filter_map(|item| item(view, detector.accused)).collect();
        (!items.is_empty()).then_some(Found { detector, items })
    };
    Observations { found: DETECTORS.iter().filter_map(run).collect(), benign: benign::proven(view) }
}

/// The conversation as items see it; none where it is not TCP.
pub fn view(conversation: &Conversation) -> Option<TcpView<'_>> {
    TcpView::new(conversation)
}
