//! Every bound of the flow engine, with its reason.

use crate::model::Span;

/// Packets logged from the start of a flow: the handshake, a ClientHello over several segments, its answer, and the retries of both.
pub const LOG_HEAD_PACKETS: usize = 32;
/// Packets logged from the end: a silence is told by what came before it and what was repeated in it.
pub const LOG_TAIL_PACKETS: usize = 32;
/// SYN, FIN and RST packets logged from between the two.
pub const LOG_MARKED_PACKETS: usize = 32;
/// Bytes kept of the start of a stream: two whole TLS records with their headers (RFC 8446 section 5.1), since large hellos are split over records.
pub const HEAD_BYTES_MAX: usize = 2 * (16 * 1024 + 5);
/// Segments kept ahead of a hole at the start of a stream.
pub const HEAD_SEGMENTS_AHEAD_MAX: usize = 32;
/// Bytes of stream heads kept by one shard; beyond it new heads are not kept. 64 shards hold 1 GiB at most.
pub const SHARD_HEAD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Holes remembered in a direction: bytes that were skipped and may still come.
pub const HOLES_MAX: usize = 8;
/// The largest window that TCP knows (RFC 7323 section 2.3): a number further away belongs to another connection or is forged.
pub const WINDOW_MAX: u32 = 1 << 30;
/// What a window holds at the least: without the scale of a SYN that was not seen (RFC 9293 section 3.1).
pub const WINDOW_UNSCALED: u32 = 65_535;
/// The largest shift of a window (RFC 7323 section 2.3).
pub const WINDOW_SCALE_MAX: u8 = 14;
/// Bytes that arrive this soon behind later ones were reordered, not repeated (as tshark holds it, where no round trip is known).
pub const REORDER_SPAN: Span = Span::from_millis(3);
/// Duplicate acknowledgements that ask for a segment: two, since one of the three of RFC 5681 section 3.2 may have been lost (as tshark holds it).
pub const DUPLICATE_ACKS: u32 = 2;
/// A fast retransmission follows the acknowledgement that asks for it this soon (as tshark holds it), or within a round trip.
pub const FAST_RETRANSMISSION: Span = Span::from_millis(20);
/// A SYN that comes this soon behind one of the other side may have crossed it on the way (by design: the first repetitions of a SYN, RFC 6298
/// section 2, fall within it).
pub const CROSSING_SYN: Span = Span::from_secs(10);
/// How long a flow stays open after a reset or after both FINs, for stragglers.
pub const LINGER: Span = Span::from_secs(10);
/// Payload packets per direction in which the snap length matters to what is read from them.
pub const SNAP_CHECKED_PACKETS: u32 = 10;
/// Connections that were cut off and may resume, remembered by one shard; the oldest make room.
pub const FORERUNNERS_MAX: usize = 1_024;
/// How far the numbers of what resumes a connection may lie from where it stopped: repeated bytes behind, lost ones ahead (by design: two in 10^7 pairs
/// of random numbers lie so close).
pub const RESUMED_WITHIN: u32 = 1 << 20;
/// Resets of one flow that are remembered with the state around them: a host sends one, or one for each segment that still comes; floods send more, and
/// those behind are counted only.
pub const RESETS_MAX: usize = 1_024;
/// By so much the sequence numbers of a reset may be off: a SYN and a FIN.
pub const RESET_SLACK: i32 = 2;
/// What the claimed sender of a reset does within this time shows that it lives (Weaver, Sommer, Paxson, "Detecting Forged TCP Reset Packets", NDSS 2009).
pub const LIFE_SIGN: Span = Span::from_secs(2);
/// Packets closer than this may have changed places between the queues of a network card (by design).
pub const SWAPPED: Span = Span::from_millis(1);
