//! Messengers that speak protocols of their own, by their first payloads. Most come from reverse engineering: what collides easily is weak.

use super::heads::{Payload, Recognised, View};
use super::{Cursor, ParseError};
use crate::model::Direction::{ClientToServer, ServerToClient};
use crate::model::words::AppProtocol::{DiscordVoice, Imo, LineCall, Loco, Mmtls, Oscar, TgReflector, Threema, Viber, Zoom};

/// Discord's voice: a client asks for its own address in 74 bytes and gets it as text; later both keep the way open.
pub(super) fn discord(view: &View<'_>) -> Option<Recognised> {
    const DISCOVERY_BYTES: u32 = 74;
    /// Behind type, length and SSRC.
    const ADDRESS: std::ops::Range<usize> = 8..72;
    let is_request = |payload: &Payload| {
        payload.len == DISCOVERY_BYTES
            && payload.bytes.starts_with(&[0, 1, 0, 70])
            && payload.bytes.get(ADDRESS).is_some_and(|address| *address == [0; 64])
    };
    let is_response = |payload: &Payload| {
        payload.len == DISCOVERY_BYTES && payload.bytes.starts_with(&[0, 2, 0, 70]) && payload.bytes.get(ADDRESS).is_some_and(is_address)
    };
    let is_keepalive = |payload: &Payload| payload.len == 8 && payload.bytes.starts_with(&[0x13, 0x37, 0xca, 0xfe]);
    let (c2s, s2c) = (|| view.datagrams(ClientToServer), || view.datagrams(ServerToClient));
    let id = if c2s().any(is_request) {
        "discord_ip_discovery_request"
    } else if s2c().any(is_response) {
        "discord_ip_discovery_response"
    } else if c2s().chain(s2c()).any(is_keepalive) {
        "discord_keepalive"
    } else {
        return None;
    };
    Some(Recognised::certain(DiscordVoice, id))
}

/// An address as text, filled up with zeros.
fn is_address(field: &[u8]) -> bool {
    let text = field.split(|&byte| byte == 0).next().unwrap_or_default();
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok())
}

const PEER_TAG_BYTES: usize = 16;

/// A ping to a relay of Telegram's calls: the peer's tag, then exactly twelve bytes ff.
pub(super) fn reflector_ping(view: &View<'_>) -> Option<Recognised> {
    const PING: [u8; 12] = [0xff; 12];
    let is_ping = |payload: &Payload| match payload.bytes.split_at_checked(PEER_TAG_BYTES) {
        Some((tag, rest)) => rest.starts_with(&PING) && rest.get(PING.len()) != Some(&0xff) && tag[PEER_TAG_BYTES - 1] != 0xff && !is_uniform(tag),
        None => false,
    };
    let mut datagrams = view.datagrams(ClientToServer).chain(view.datagrams(ServerToClient));
    datagrams.any(is_ping).then(|| Recognised::certain(TgReflector, "tg_reflector_ping"))
}

/// Data through it: the tag, whose first twelve bytes both ends share, the sender's tag, the size, the data, zeros up to a multiple of four.
pub(super) fn reflector_data(view: &View<'_>) -> Option<Recognised> {
    let tag_of = |payload: &Payload| reflector_tag(payload).ok();
    let there: Vec<_> = view.datagrams(ClientToServer).filter_map(tag_of).collect();
    let back: Vec<_> = view.datagrams(ServerToClient).filter_map(tag_of).collect();
    let shared = there.iter().any(|tag| back.contains(tag));
    let repeated = |tags: &[[u8; 12]]| tags.windows(2).any(|pair| pair[0] == pair[1]);
    (shared || repeated(&there) || repeated(&back)).then(|| Recognised::certain_if(shared, TgReflector, "tg_reflector_data"))
}

fn reflector_tag(payload: &Payload) -> Result<[u8; 12], ParseError> {
    const HEADER_BYTES: usize = 24;
    let mut cursor = Cursor::new(&payload.bytes);
    let tag = cursor.take(PEER_TAG_BYTES, "reflector.tag")?;
    cursor.take(4, "reflector.sender")?;
    let (offset, size) = (cursor.offset(), cursor.u32("reflector.size")? as usize);
    let fits = size > 0 && HEADER_BYTES.saturating_add(size).checked_next_multiple_of(4) == Some(payload.len as usize);
    match tag.first_chunk() {
        Some(tag) if fits && !is_uniform(tag) => Ok(*tag),
        _ => Err(ParseError::Invalid { field: "reflector.size", offset }),
    }
}

fn is_uniform(bytes: &[u8]) -> bool {
    bytes.windows(2).all(|pair| pair[0] == pair[1])
}

/// Threema's handshake has messages of fixed size, one after the other.
pub(super) fn threema(view: &View<'_>) -> Option<Recognised> {
    const SIZES: [(crate::model::Direction, u32); 3] = [(ClientToServer, 48), (ServerToClient, 80), (ClientToServer, 191)];
    let is_tcp = !view.stream(ClientToServer).is_empty();
    let sizes = view.payloads().take(SIZES.len()).map(|(direction, payload)| (direction, payload.len));
    (is_tcp && sizes.eq(SIZES)).then(|| Recognised::weak(Threema, "threema_handshake"))
}

/// LOCO, KakaoTalk's protocol: a block of RSA of 256 bytes, behind its size, the kind of its key and the cipher.
pub(super) fn loco(view: &View<'_>) -> Option<Recognised> {
    const HANDSHAKE_BYTES: usize = 12 + 256;
    let mut cursor = Cursor::new(view.stream(ClientToServer));
    let block = cursor.u32_le("loco.block").ok()?;
    let (key, cipher) = (cursor.u32_le("loco.key").ok()?, cursor.u32_le("loco.cipher").ok()?);
    let is_handshake = block == 256 && (1..32).contains(&key) && (1..16).contains(&cipher);
    (is_handshake && view.first_len(ClientToServer) >= HANDSHAKE_BYTES).then(|| Recognised::certain(Loco, "kakao_loco_handshake"))
}

/// MMTLS, WeChat's: records like those of TLS, with a version of their own. Both ends have to speak it.
pub(super) fn mmtls(view: &View<'_>) -> Option<Recognised> {
    let [c2s, s2c] = [ClientToServer, ServerToClient].map(|direction| matches!(view.stream(direction), [0x15..=0x17 | 0x19, 0xf1, 3 | 4, _, _, ..]));
    (c2s || s2c).then(|| Recognised::certain_if(c2s && s2c, Mmtls, "wechat_mmtls"))
}

/// OSCAR, ICQ's: a frame of FLAP that opens a session, with version 1.
pub(super) fn oscar(view: &View<'_>) -> Option<Recognised> {
    let opens = |stream: &[u8]| matches!(stream, [0x2a, 1, _, _, high, low, 0, 0, 0, 1, ..] if u16::from_be_bytes([*high, *low]) >= 4);
    (opens(view.stream(ClientToServer)) || opens(view.stream(ServerToClient))).then(|| Recognised::certain(Oscar, "oscar_flap"))
}

/// Viber over TCP: the payload's length, and one of two patterns.
pub(super) fn viber_tcp(view: &View<'_>) -> Option<Recognised> {
    let [c2s, s2c] = [ClientToServer, ServerToClient].map(|direction| {
        let stream = view.stream(direction);
        let is_pattern = matches!(stream, [_, _, _, _, _, _, 0xfc, 0xff, _, 0x80, _, ..] | [_, _, _, _, 0x03, 0x80, _, _, _, _, 0x0a, ..]);
        let len = stream.first_chunk().map(|len| usize::from(u16::from_le_bytes(*len)));
        is_pattern && len == Some(view.first_len(direction))
    });
    (c2s || s2c).then(|| Recognised::certain_if(c2s && s2c, Viber, "viber_tcp"))
}

/// Viber over UDP.
pub(super) fn viber_udp(view: &View<'_>) -> Option<Recognised> {
    let is_pattern = |payload: &Payload| {
        matches!(
            (payload.bytes.get(2..6), payload.len),
            (Some([3, 0, ..] | [1, 0, 5, 0]), _) | (Some([9, 0, ..]), 20) | (Some([0x19 | 0x1b, 0, ..]), 34)
        )
    };
    let first = [view.datagrams(ClientToServer).next(), view.datagrams(ServerToClient).next()];
    first.into_iter().flatten().any(is_pattern).then(|| Recognised::weak(Viber, "viber_udp"))
}

/// Zoom's relays, on their ports: the opening, or media in Zoom's envelope.
pub(super) fn zoom(view: &View<'_>) -> Option<Recognised> {
    const PORTS: std::ops::RangeInclusive<u16> = 8801..=8810;
    let is_zoom = |payload: &Payload| match *payload.bytes {
        [1 | 2, 0, 2 | 3, ..] => true,
        [5, _, _, _, _, _, _, _, kind, ..] => matches!(kind, 0x0d | 0x0f | 0x10 | 0x1e | 0x21..=0x23),
        _ => false,
    };
    let mut datagrams = view.datagrams(ClientToServer).chain(view.datagrams(ServerToClient));
    (PORTS.contains(&view.server_port()) && datagrams.any(is_zoom)).then(|| Recognised::weak(Zoom, "zoom_sfu"))
}

/// Calls of LINE.
pub(super) fn line(view: &View<'_>) -> Option<Recognised> {
    const MESSAGES: [(u32, [u8; 4]); 4] = [(46, [0xb6, 0x13, 0, 6]), (8, [0xb6, 7, 0, 4]), (16, [0xb6, 9, 0, 12]), (110, [0xb6, 0x18, 0, 106])];
    let is_line = |payload: &Payload| MESSAGES.iter().any(|(len, start)| payload.len == *len && payload.bytes.starts_with(start));
    let mut datagrams = view.datagrams(ClientToServer).chain(view.datagrams(ServerToClient));
    datagrams.any(is_line).then(|| Recognised::weak(LineCall, "line_call"))
}

/// Calls of imo.
pub(super) fn imo(view: &View<'_>) -> Option<Recognised> {
    const MESSAGES: [(u32, &[u8]); 3] = [(10, &[9, 2]), (11, &[0, 9, 3]), (1_099, &[0x88, 0x49, 0x1a, 0])];
    let is_imo = |payload: &Payload| MESSAGES.iter().any(|(len, start)| payload.len == *len && payload.bytes.starts_with(start));
    let mut datagrams = view.datagrams(ClientToServer).chain(view.datagrams(ServerToClient));
    datagrams.any(is_imo).then(|| Recognised::weak(Imo, "imo_udp"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::heads::Strength::{Certain, Weak};
    use crate::app::heads::scene::{CLIENT, SERVER, first_of_tcp, first_of_udp, tcp, udp};

    fn filled(start: &[u8], len: usize, byte: u8) -> Vec<u8> {
        let mut bytes = start.to_vec();
        bytes.resize(len, byte);
        bytes
    }

    #[test]
    fn discord_asks_for_its_address() {
        let request = filled(&[0, 1, 0, 70, 9, 9, 9, 9], 74, 0);
        let response = filled(b"\x00\x02\x00\x46\x09\x09\x09\x09198.51.100.7", 74, 0);
        let keepalive = [0x13, 0x37, 0xca, 0xfe, 1, 0, 0, 0];
        for (sender, datagram, id) in [
            (CLIENT, &request[..], "discord_ip_discovery_request"),
            (SERVER, &response, "discord_ip_discovery_response"),
            (CLIENT, &keepalive, "discord_keepalive"),
        ] {
            assert_eq!(first_of_udp(&udp(&[(sender, datagram)]), 50_001), Some((id, Certain)));
        }
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &filled(&[0, 1, 0, 70], 74, 1))]), 50_001), None);
    }

    const TAG: &[u8] = b"sixteenbytesoftg";

    #[test]
    fn a_relay_of_telegram_is_told_by_ping_or_by_the_tag_of_both_ends() {
        let ping = [TAG, &[0xff; 12], &[0xfe, 0xff, 0xff, 0xff]].concat();
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &ping)]), 533), Some(("tg_reflector_ping", Certain)));
        let too_many = [TAG, &[0xff; 20]].concat();
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &too_many)]), 533), None);

        let data = [TAG, &[1, 2, 3, 4], &[0, 0, 0, 30], &[0x40; 30], &[0, 0]].concat();
        let back = [&TAG[..12], &[9; 8], &[0, 0, 0, 4], &[0x40; 4]].concat();
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &data), (SERVER, &back)]), 533), Some(("tg_reflector_data", Certain)));
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &data), (CLIENT, &data)]), 533), Some(("tg_reflector_data", Weak)));
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &data)]), 533), None);
    }

    #[test]
    fn sizes_alone_are_weak() {
        let mut heads = tcp(&[3; 48], &[4; 80]);
        heads.payloads.push(Payload { sender: CLIENT, len: 191, bytes: Vec::new() });
        assert_eq!(first_of_tcp(&heads), Some(("threema_handshake", Weak)));
        heads.payloads[2].len = 190;
        assert_eq!(first_of_tcp(&heads), None);
    }

    #[test]
    fn streams_with_fixed_starts_are_certain() {
        for (client, server, id) in [
            (filled(&[0, 1, 0, 0, 15, 0, 0, 0, 2, 0, 0, 0], 268, 0x77), vec![], "kakao_loco_handshake"),
            (filled(&[0x16, 0xf1, 3, 0, 40], 45, 0x77), filled(&[0x16, 0xf1, 3, 0, 40], 45, 0x77), "wechat_mmtls"),
            (vec![], vec![0x2a, 1, 0, 0, 0, 4, 0, 0, 0, 1], "oscar_flap"),
            (filled(&[12, 0, 1, 1, 1, 1, 0xfc, 0xff, 1, 0x80], 12, 1), filled(&[14, 0, 1, 1, 3, 0x80, 0, 0, 0, 0, 10], 14, 1), "viber_tcp"),
        ] {
            assert_eq!(first_of_tcp(&tcp(&client, &server)), Some((id, Certain)));
        }
    }

    #[test]
    fn one_side_alone_is_weak() {
        assert_eq!(first_of_tcp(&tcp(&filled(&[0x16, 0xf1, 3, 0, 40], 45, 0x77), &[])), Some(("wechat_mmtls", Weak)));
        assert_eq!(first_of_tcp(&tcp(&filled(&[12, 0, 1, 1, 1, 1, 0xfc, 0xff, 1, 0x80], 12, 1), &[])), Some(("viber_tcp", Weak)));
    }

    #[test]
    fn short_patterns_over_udp_are_weak() {
        for (datagram, port, id) in [
            (vec![7, 7, 3, 0, 1, 1, 1], 7_985, "viber_udp"),
            (filled(&[1, 0, 3], 40, 9), 8_801, "zoom_sfu"),
            (vec![0xb6, 7, 0, 4, 1, 1, 1, 1], 15_000, "line_call"),
            (filled(&[9, 2], 10, 5), 1_443, "imo_udp"),
        ] {
            assert_eq!(first_of_udp(&udp(&[(CLIENT, &datagram)]), port), Some((id, Weak)));
        }
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &filled(&[1, 0, 3], 40, 9))]), 9_000), None);
    }
}
