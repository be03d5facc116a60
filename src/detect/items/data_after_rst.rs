//! Data after a reset: an address resets the connection and then goes on sending on it.
//!
//! A stack that has reset has no connection left to send on, so two machines speak under one address.
//! Benign first: bytes below the reset's sequence number were on their way already; the same bytes again; packets that changed places.
//! Blind to boxes in the path that swallow the real packets: no evidence is no acquittal.
//! Source: DATA_SEQ_RST of Weaver, Sommer, Paxson, "Detecting Forged TCP Reset Packets", NDSS 2009.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::Direction;

use super::{LIFE_SIGN, SWAPPED, first_reset, reset_mechanism};

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let reset = first_reset(view, direction)?;
    let behind = |span| span > SWAPPED && span <= LIFE_SIGN;
    let later = view
        .sent(direction)
        .find(|record| behind(record.time - reset.time) && !record.is_reset() && record.new_bytes > 0 && record.payload_end().is_after(reset.seq))?;
    Some(Evidence {
        id: "data_after_rst",
        mechanism: reset_mechanism(direction),
        packets: vec![reset.packet, later.number],
        time: reset.time,
        says: format!(
            "packet {}: reset from the {}'s address; packet {}: {} new bytes from that address {:.1} ms later",
            reset.packet.number(),
            direction.sender(),
            later.number.number(),
            later.new_bytes,
            (later.time - reset.time).as_ms()
        ),
        unless: "two machines of one service behind the address, of which one reset the connection",
    })
}
