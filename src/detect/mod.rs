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

use features::{DatagramView, Opening, TcpView};

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

/// The same of datagrams, which have no resets: only answers can be missing.
type DatagramItem = fn(&DatagramView<'_>) -> Option<Evidence>;

/// A group of items that accuse the same thing.
pub struct Detector {
    pub name: &'static str,
    pub verdict: Verdict,
    /// The direction whose packets are doubted (resets) or missing (drops).
    pub accused: Direction,
    /// Only of connections that open so.
    opening: Option<Opening>,
    items: &'static [Item],
    /// Looked at only where one of these fired.
    beside: &'static [Item],
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
    items::rst_repeated::observe,
    items::rst_ack_change::observe,
    items::rst_odd_header::observe,
    items::rst_timestamp::observe,
];

/// Header fields of resets say nothing by themselves.
const BESIDE_RESET_ITEMS: &[Item] = &[items::rst_other_path::observe];

const DROP_ITEMS: &[Item] =
    &[items::payload_unacked::observe, items::payload_acked_then_silent::observe, items::cut_after_answer::observe, items::transfer_froze::observe];

/// A detector of resets: the word is the same whatever they followed.
const fn resets(name: &'static str, accused: Direction) -> Detector {
    Detector { name, verdict: Verdict::RstInjection, accused, opening: None, items: RESET_ITEMS, beside: BESIDE_RESET_ITEMS }
}

/// A detector of drops: the word depends on what the connection opened with.
const fn drops(name: &'static str, verdict: Verdict, accused: Direction, opening: Opening) -> Detector {
    Detector { name, verdict, accused, opening: Some(opening), items: DROP_ITEMS, beside: &[] }
}

/// No connection came about.
const NO_CONNECTION: Detector = Detector {
    name: "no_connection",
    verdict: Verdict::IpBlock,
    accused: Direction::ServerToClient,
    opening: None,
    items: &[items::syn_unanswered::observe],
    beside: &[],
};

const QUIC_SILENCE: Detector =
    Detector { name: "quic_unanswered", verdict: Verdict::QuicDrop, accused: Direction::ServerToClient, opening: None, items: &[], beside: &[] };

const QUIC_ITEMS: &[DatagramItem] = &[items::initial_unanswered::observe];

/// Every detector: the order of rows, nothing else.
pub const DETECTORS: &[Detector] = &[
    resets("reset_from_server_side", Direction::ServerToClient),
    resets("reset_from_client_side", Direction::ClientToServer),
    drops("server_fell_silent", Verdict::SniDrop, Direction::ServerToClient, Opening::NamedHello),
    drops("client_fell_silent", Verdict::SniDrop, Direction::ClientToServer, Opening::NamedHello),
    drops("server_fell_silent_on_request", Verdict::HttpBlock, Direction::ServerToClient, Opening::HttpRequest),
    drops("client_fell_silent_on_request", Verdict::HttpBlock, Direction::ClientToServer, Opening::HttpRequest),
    drops("server_fell_silent_on_protocol", Verdict::ProtocolBlock, Direction::ServerToClient, Opening::Other),
    drops("client_fell_silent_on_protocol", Verdict::ProtocolBlock, Direction::ClientToServer, Opening::Other),
    NO_CONNECTION,
    QUIC_SILENCE,
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
    let opening = view.request.as_ref().map(|request| request.opening);
    let run = |detector: &'static Detector| {
        if detector.opening.is_some() && detector.opening != opening {
            return None;
        }
        let mut items: Vec<Evidence> = detector.items.iter().filter_map(|item| item(view, detector.accused)).collect();
        if !items.is_empty() {
            items.extend(detector.beside.iter().filter_map(|item| item(view, detector.accused)));
        }
        (!items.is_empty()).then_some(Found { detector, items })
    };
    Observations { found: DETECTORS.iter().filter_map(run).collect(), benign: benign::proven(view) }
}

/// Runs the detectors of datagrams over a UDP conversation.
pub fn observe_datagrams(view: &DatagramView<'_>) -> Observations {
    let items: Vec<Evidence> = QUIC_ITEMS.iter().filter_map(|item| item(view)).collect();
    let found = if items.is_empty() { Vec::new() } else { vec![Found { detector: &QUIC_SILENCE, items }] };
    Observations { found, benign: Vec::new() }
}

/// The conversation as items see it; none where it is not TCP.
pub fn view(conversation: &Conversation) -> Option<TcpView<'_>> {
    TcpView::new(conversation)
}
