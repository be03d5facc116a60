//! WireGuard (Donenfeld, NDSS 2017, section 5.4), and the dialect of Cloudflare WARP that fills its reserved bytes.
//!
//! A message is told by type, three zero bytes and length; that an answer names the sender of the request is proof.

use super::Cursor;
use super::heads::{Payload, Recognised, View};
use crate::model::Direction::{self, ClientToServer, ServerToClient};
use crate::model::words::AppProtocol::Wireguard;

/// A message of the handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Message {
    kind: u8,
    reserved: [u8; 3],
    sender: u32,
    receiver: u32,
}

const INITIATION: u8 = 1;
const RESPONSE: u8 = 2;
const COOKIE: u8 = 3;
const DATA: u8 = 4;
const INITIATION_BYTES: u32 = 148;
const RESPONSE_BYTES: u32 = 92;
const COOKIE_BYTES: u32 = 64;
/// Header and tag of a packet without content.
const DATA_BYTES_MIN: u32 = 32;

pub(super) fn handshake(view: &View<'_>) -> Option<Recognised> {
    let mut tries = initiations(view).filter(|message| message.reserved == [0; 3]);
    let first = tries.next()?;
    let again = tries.any(|next| next.sender != first.sender); // each try takes an index of its own
    Some(Recognised::certain_if(again || is_answered(view), Wireguard, "wg_initiation"))
}

/// A device's number in the reserved bytes: alone, only the length tells.
pub(super) fn warp(view: &View<'_>) -> Option<Recognised> {
    const OPENING: &[u8] = &[0xc1, 0, 0, 0];
    const OPENING_BYTES: u32 = 194;
    if view.datagrams(ClientToServer).next().is_some_and(|first| first.len == OPENING_BYTES && first.bytes.starts_with(OPENING)) {
        return Some(Recognised::weak(Wireguard, "warp_c1"));
    }
    let with_device = initiations(view).any(|message| message.reserved != [0; 3]);
    with_device.then(|| Recognised::certain_if(is_answered(view), Wireguard, "warp_wg_reserved"))
}

/// A capture that begins in the middle: all packets are data, each direction keeps its index, and its counter rises.
pub(super) fn data(view: &View<'_>) -> Option<Recognised> {
    let (c2s, s2c) = (data_packets(view, ClientToServer)?, data_packets(view, ServerToClient)?);
    let is_proven = c2s + s2c > 2 && c2s > 0 && s2c > 0;
    (c2s + s2c > 0).then(|| Recognised::certain_if(is_proven, Wireguard, "wg_data"))
}

fn initiations<'a>(view: &View<'a>) -> impl Iterator<Item = Message> {
    view.datagrams(ClientToServer).filter(|payload| payload.len == INITIATION_BYTES).filter_map(read).filter(|message| message.kind == INITIATION)
}

/// The server's response, or its cookie, goes to the sender of an initiation.
fn is_answered(view: &View<'_>) -> bool {
    view.datagrams(ServerToClient).filter_map(|payload| read(payload).map(|message| (message, payload.len))).any(|(answer, len)| {
        let receiver = match (answer.kind, len) {
            (RESPONSE, RESPONSE_BYTES) => answer.receiver,
            (COOKIE, COOKIE_BYTES) => answer.sender, // its first index is the receiver's
            _ => return false,
        };
        initiations(view).any(|asked| asked.sender == receiver)
    })
}

fn read(payload: &Payload) -> Option<Message> {
    let mut cursor = Cursor::new(&payload.bytes);
    let kind = cursor.u8("wireguard.type").ok()?;
    let reserved = *cursor.take(3, "wireguard.reserved").ok()?.first_chunk()?;
    let sender = cursor.u32_le("wireguard.sender").ok()?;
    let receiver = cursor.u32_le("wireguard.receiver").ok()?;
    Some(Message { kind, reserved, sender, receiver })
}

/// How many packets a direction has; None where one of them is no data or they disagree.
fn data_packets(view: &View<'_>, direction: Direction) -> Option<usize> {
    let packets: Vec<_> = view.datagrams(direction).map(data_packet).collect::<Option<_>>()?;
    let agree = packets.windows(2).all(|pair| pair[0].0 == pair[1].0 && pair[0].1 < pair[1].1);
    agree.then_some(packets.len())
}

/// Index of the receiver, and counter.
fn data_packet(payload: &Payload) -> Option<(u32, u64)> {
    let mut cursor = Cursor::new(&payload.bytes);
    let is_data = cursor.take(4, "wireguard.type").ok()? == [DATA, 0, 0, 0];
    let index = cursor.u32_le("wireguard.receiver").ok()?;
    let counter = u64::from(cursor.u32_le("wireguard.counter").ok()?) | u64::from(cursor.u32_le("wireguard.counter").ok()?) << 32;
    let is_padded = payload.len >= DATA_BYTES_MIN && payload.len.is_multiple_of(16);
    (is_data && is_padded).then_some((index, counter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::heads::Strength::{Certain, Weak};
    use crate::app::heads::scene::{CLIENT, SERVER, first_of_udp, udp};

    fn message(start: &[u8], len: u32) -> Vec<u8> {
        let mut message = start.to_vec();
        message.resize(len as usize, 0x6b);
        message
    }

    #[test]
    fn an_answer_to_the_right_index_is_proof() {
        let asked = message(&[1, 0, 0, 0, 7, 7, 7, 7], INITIATION_BYTES);
        let answer = message(&[2, 0, 0, 0, 9, 9, 9, 9, 7, 7, 7, 7], RESPONSE_BYTES);
        let cookie = message(&[3, 0, 0, 0, 7, 7, 7, 7], COOKIE_BYTES);
        let to_another = message(&[2, 0, 0, 0, 9, 9, 9, 9, 7, 7, 7, 8], RESPONSE_BYTES);
        for (answer, strength) in [(&answer, Certain), (&cookie, Certain), (&to_another, Weak)] {
            assert_eq!(first_of_udp(&udp(&[(CLIENT, &asked), (SERVER, answer)]), 51_820), Some(("wg_initiation", strength)));
        }
    }

    #[test]
    fn tries_without_answer_are_proof_when_each_has_an_index() {
        let tries = [message(&[1, 0, 0, 0, 7, 7, 7, 7], INITIATION_BYTES), message(&[1, 0, 0, 0, 8, 7, 7, 7], INITIATION_BYTES)];
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &tries[0]), (CLIENT, &tries[1])]), 51_820), Some(("wg_initiation", Certain)));
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &tries[0]), (CLIENT, &tries[0])]), 51_820), Some(("wg_initiation", Weak)));
    }

    #[test]
    fn data_is_told_by_index_and_counter() {
        let data = |index: u8, counter: u8, len| message(&[4, 0, 0, 0, index, 1, 1, 1, counter, 0, 0, 0, 0, 0, 0, 0], len);
        let (first, next, back, stray) = (data(5, 1, 96), data(5, 2, 32), data(6, 1, 128), data(7, 3, 96));
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &first), (SERVER, &back), (CLIENT, &next)]), 4_000), Some(("wg_data", Certain)));
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &first)]), 4_000), Some(("wg_data", Weak)));
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &first), (SERVER, &back), (CLIENT, &stray)]), 4_000), None);
    }

    #[test]
    fn warp_has_a_number_in_the_reserved_bytes() {
        let asked = message(&[1, 3, 4, 5, 7, 7, 7, 7], INITIATION_BYTES);
        let answer = message(&[2, 3, 4, 5, 9, 9, 9, 9, 7, 7, 7, 7], RESPONSE_BYTES);
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &asked), (SERVER, &answer)]), 2_408), Some(("warp_wg_reserved", Certain)));
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &asked)]), 2_408), Some(("warp_wg_reserved", Weak)));
    }
}
