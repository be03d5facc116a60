//! IKE (RFC 7296; version 1: RFC 2408) and ESP in UDP (RFC 3948).

use super::heads::{Payload, Recognised, View};
use super::{Cursor, ParseError};
use crate::model::Direction::{self, ClientToServer, ServerToClient};
use crate::model::words::AppProtocol::{Esp, Ikev2};

/// Where ESP and IKE share a port, four zero bytes tell IKE (RFC 3948 section 2.2).
const NAT_PORT: u16 = 4_500;
const NON_ESP_MARKER: [u8; 4] = [0; 4];
/// RFC 3948 section 2.3.
const NAT_KEEPALIVE: [u8; 1] = [0xff];

/// A header that agrees with its datagram.
struct Header {
    is_first: bool,
}

/// An exchange of IKE: the header leaves nothing to chance, so one is proof.
pub(super) fn exchange(view: &View<'_>) -> Option<Recognised> {
    let c2s = view.datagrams(ClientToServer).find_map(|payload| header(payload).ok());
    let header = c2s.or_else(|| view.datagrams(ServerToClient).find_map(|payload| header(payload).ok()))?;
    Some(Recognised::certain(Ikev2, if header.is_first { "ike_sa_init" } else { "ike_v2_any" }))
}

/// RFC 7296 section 3.1, RFC 2408 section 3.1.
fn header(payload: &Payload) -> Result<Header, ParseError> {
    const INITIATOR: u8 = 0x08;
    let mut cursor = Cursor::new(&payload.bytes);
    if payload.bytes.starts_with(&NON_ESP_MARKER) {
        cursor.take(NON_ESP_MARKER.len(), "ike.marker")?;
    }
    let start = cursor.offset();
    let initiator = cursor.take(8, "ike.initiator_spi")?;
    let responder = cursor.take(8, "ike.responder_spi")?;
    let next_payload = cursor.u8("ike.next_payload")?;
    let version = cursor.u8("ike.version")?;
    let exchange = cursor.u8("ike.exchange")?;
    let flags = cursor.u8("ike.flags")?;
    let message = cursor.u32("ike.message_id")?;
    let length = cursor.u32("ike.length")? as usize;

    let is_right = match version {
        0x20 => matches!(next_payload, 0 | 33..=53) && (34..=37).contains(&exchange) && flags & !0x38 == 0,
        0x10 => matches!(next_payload, 0..=13 | 15 | 20 | 21 | 130) && matches!(exchange, 1..=6 | 32..=34) && flags & !0x07 == 0,
        _ => false,
    };
    if !is_right || initiator == [0; 8] || start + length != payload.len as usize {
        return Err(ParseError::Invalid { field: "ike.header", offset: start });
    }
    let is_first = version == 0x20 && exchange == 34 && flags & INITIATOR != 0 && responder == [0; 8] && message == 0;
    Ok(Header { is_first })
}

/// Each direction keeps its SPI, and its number rises.
pub(super) fn esp(view: &View<'_>) -> Option<Recognised> {
    if view.server_port() != NAT_PORT {
        return None;
    }
    let (c2s, s2c) = (esp_packets(view, ClientToServer)?, esp_packets(view, ServerToClient)?);
    (c2s + s2c > 0).then(|| Recognised::certain_if(c2s.max(s2c) > 1, Esp, "esp_in_udp"))
}

/// How many packets a direction has, keep-alives apart; None where one of them is no ESP or they disagree.
fn esp_packets(view: &View<'_>, direction: Direction) -> Option<usize> {
    /// Lost packets leave gaps, and no larger ones.
    const GAP_MAX: u32 = 1_000;
    let packets: Vec<_> = view.datagrams(direction).filter(|payload| payload.bytes != NAT_KEEPALIVE).map(esp_packet).collect::<Option<_>>()?;
    let agree = packets.windows(2).all(|pair| pair[0].0 == pair[1].0 && (1..=GAP_MAX).contains(&pair[1].1.wrapping_sub(pair[0].1)));
    agree.then_some(packets.len())
}

/// SPI and number (RFC 4303 section 2).
fn esp_packet(payload: &Payload) -> Option<(u32, u32)> {
    /// SPI, number, one block of padding, the shortest check value.
    const BYTES_MIN: u32 = 8 + 4 + 8;
    /// SPIs up to 255 are reserved (RFC 4303 section 2.1).
    const RESERVED_SPI: u32 = 255;
    let mut cursor = Cursor::new(&payload.bytes);
    let (spi, number) = (cursor.u32("esp.spi").ok()?, cursor.u32("esp.number").ok()?);
    (payload.len >= BYTES_MIN && spi > RESERVED_SPI).then_some((spi, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::heads::Strength::{Certain, Weak};
    use crate::app::heads::scene::{CLIENT, SERVER, first_of_udp, udp};

    /// A message of `length` bytes with this middle: next payload, version, exchange, flags.
    fn message(responder: [u8; 8], middle: [u8; 4], length: u32) -> Vec<u8> {
        let mut message = [&[5; 8][..], &responder, &middle, &[0; 4], &length.to_be_bytes()].concat();
        message.resize(length as usize, 9);
        message
    }

    #[test]
    fn an_opening_is_told_by_its_header_with_marker_or_without() {
        let opening = message([0; 8], [33, 0x20, 34, 0x08], 200);
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &opening)]), 500), Some(("ike_sa_init", Certain)));
        let marked = [&NON_ESP_MARKER[..], &opening].concat();
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &marked)]), 4_500), Some(("ike_sa_init", Certain)));
    }

    #[test]
    fn later_messages_and_version_1_are_told_too() {
        for message in [message([6; 8], [46, 0x20, 35, 0x20], 120), message([0; 8], [1, 0x10, 2, 0], 100)] {
            assert_eq!(first_of_udp(&udp(&[(SERVER, &message)]), 500), Some(("ike_v2_any", Certain)));
        }
    }

    #[test]
    fn a_length_that_does_not_fit_is_no_ike() {
        let mut opening = message([0; 8], [33, 0x20, 34, 0x08], 200);
        opening.push(0);
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &opening)]), 500), None);
    }

    #[test]
    fn esp_counts() {
        let packet = |number: u8| [&[0x0c, 1, 2, 3, 0, 0, 0, number][..], &[0x77; 60]].concat();
        let (first, second, far) = (packet(1), packet(2), [&[0x0c, 1, 2, 3, 9, 0, 0, 1][..], &[0x77; 60]].concat());
        let heads = udp(&[(CLIENT, &first), (SERVER, &[0xff]), (CLIENT, &second)]);
        assert_eq!(first_of_udp(&heads, 4_500), Some(("esp_in_udp", Certain)));
        assert_eq!(first_of_udp(&heads, 4_501), None);
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &first)]), 4_500), Some(("esp_in_udp", Weak)));
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &first), (CLIENT, &far)]), 4_500), None);
    }
}
