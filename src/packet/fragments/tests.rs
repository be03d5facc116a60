//! Datagrams torn to pieces: in any order, repeated, overlapping, snapped, too many of them.

use proptest::prelude::*;

use super::super::testing::*;
use super::super::{Decoded, Packet, decode, decode_whole};
use super::*;
use crate::model::{FileId, PacketNumber, Protocol};

/// Some payload of UDP whose bytes tell where they stand.
fn datagram_payload(len: usize) -> Vec<u8> {
    udp(50_000, 53, &(0..len).map(|at| (at % 251) as u8).collect::<Vec<_>>())
}

/// A fragment of IPv4 with so many bytes from an offset on.
fn piece_v4(whole: &[u8], from: usize, to: usize) -> Vec<u8> {
    let mut datagram = ipv4(Protocol::UDP, &whole[from..to]);
    let more = if to < whole.len() { 0x2000 } else { 0 };
    datagram[6..8].copy_from_slice(&(more | (from / 8) as u16).to_be_bytes());
    datagram
}

fn piece_v6(whole: &[u8], from: usize, to: usize) -> Vec<u8> {
    let [high, low] = ((from / 8 * 8) as u16 | u16::from(to < whole.len())).to_be_bytes();
    ipv6(44, &[&[17, 0, high, low, 0, 0, 0, 9][..], &whole[from..to]].concat())
}

/// A source that is read record by record.
#[derive(Default)]
struct Reader {
    fragments: Fragments,
    round: Vec<u8>,
    number: u64,
    packets: Vec<(Packet, Vec<u8>)>,
    waiting: usize,
    others: usize,
}

impl Reader {
    /// Reads the next frame, of which the capture holds `captured` bytes, at a second of the trace.
    fn frame(&mut self, link_type: u16, frame: &[u8], captured: usize, second: i64) {
        let start = self.round.len() as u32;
        self.round.extend(&frame[..captured]);
        self.number += 1;
        let record = Record {
            clock: Timestamp(0) + Span::from_secs(second),
            number: PacketNumber::new(FileId(0), self.number),
            start,
            ..record(link_type, captured, frame.len())
        };
        let mut found = Vec::new();
        decode(&record, &self.round, |decoded| found.push(decoded));
        while let Some(decoded) = found.pop() {
            match decoded {
                Decoded::Packet(packet) => self.packets.push((packet.clone(), packet.payload.of(&self.round).to_vec())),
                Decoded::Fragment(fragment) => match self.fragments.take(&fragment, &mut self.round) {
                    Some(whole) => decode_whole(&whole, &self.round, |decoded| found.push(decoded)),
                    None => self.waiting += 1,
                },
                Decoded::Quote(_) => {}
                Decoded::NotIp | Decoded::Undecoded => self.others += 1,
            }
        }
    }

    fn datagram(&mut self, datagram: &[u8]) {
        self.frame(RAW, datagram, datagram.len(), 0);
    }

    #[track_caller]
    fn only_packet(&self) -> &(Packet, Vec<u8>) {
        assert_eq!((self.packets.len(), self.others), (1, 0), "one packet");
        &self.packets[0]
    }
}

#[test]
fn the_last_fragment_to_arrive_makes_the_packet() {
    let whole = datagram_payload(40);
    for piece in [piece_v4, piece_v6] {
        let mut reader = Reader::default();
        reader.datagram(&piece(&whole, 24, 48));
        reader.datagram(&piece(&whole, 0, 16));
        assert!(reader.packets.is_empty());
        reader.datagram(&piece(&whole, 16, 24));
        let (packet, payload) = reader.only_packet();
        assert_eq!((packet.number.number(), reader.waiting), (3, 2));
        assert_eq!((&payload[..], packet.payload_bytes), (&whole[8..], 40));
        assert_eq!((packet.key.port(packet.sender), packet.key.port(packet.sender.opposite())), (50_000, 53));
        assert!(reader.fragments.waiting.is_empty() && reader.fragments.by_age.is_empty() && reader.fragments.bytes == 0, "nothing is kept");
    }
}

#[test]
fn fields_of_the_header_are_those_of_the_first_fragment() {
    let whole = datagram_payload(24);
    let (mut first, last) = (piece_v4(&whole, 0, 16), piece_v4(&whole, 16, 32));
    first[8] = 99; // TTL
    let mut reader = Reader::default();
    reader.datagram(&last);
    reader.datagram(&first);
    let (packet, _) = reader.only_packet();
    assert_eq!((packet.ttl, packet.ip_id, packet.ip_bytes, packet.dont_fragment), (99, 0x1234, 52, false));
}

#[test]
fn what_came_first_stays_where_fragments_overlap() {
    let whole = datagram_payload(40);
    let forged = vec![0xff; whole.len()];
    let mut reader = Reader::default();
    reader.datagram(&piece_v4(&whole, 0, 24));
    reader.datagram(&piece_v4(&forged, 8, 32)); // only 24 to 32 is new
    reader.datagram(&piece_v4(&whole, 24, 48));
    let (_, payload) = reader.only_packet();
    assert_eq!((&payload[..16], &payload[16..24], &payload[24..]), (&whole[8..24], &[0xff; 8][..], &whole[32..]));
}

#[test]
fn another_end_than_the_first_is_not_believed() {
    let whole = datagram_payload(40);
    let mut reader = Reader::default();
    reader.datagram(&piece_v4(&whole, 24, 48));
    reader.datagram(&piece_v4(&whole[..16], 8, 16)); // says that the datagram ends at 16
    reader.datagram(&piece_v4(&whole, 0, 24));
    assert_eq!(reader.only_packet().1, whole[8..]);
}

#[test]
fn a_snapped_datagram_holds_what_is_there_from_its_start() {
    let whole = datagram_payload(40);
    let (first, second) = (piece_v4(&whole, 0, 24), piece_v4(&whole, 24, 48));
    let mut reader = Reader::default();
    reader.frame(RAW, &second, 20 + 10, 0);
    reader.datagram(&first);
    let (packet, payload) = reader.only_packet();
    assert_eq!((packet.payload_bytes, &payload[..]), (40, &whole[8..34]), "the hole ends it");
}

#[test]
fn a_first_fragment_that_was_snapped_is_read_at_once() {
    let whole = datagram_payload(40);
    let (first, second) = (piece_v4(&whole, 0, 24), piece_v4(&whole, 24, 48));
    let mut reader = Reader::default();
    reader.frame(RAW, &first, 20 + 18, 0);
    reader.datagram(&second);
    let (packet, payload) = reader.only_packet();
    assert_eq!((packet.payload_bytes, &payload[..]), (16, &whole[8..18]), "what the first fragment carries");
    assert_eq!(reader.waiting, 1);
}

#[test]
fn a_first_fragment_shorter_than_it_says_is_read_at_once() {
    let mut cut = piece_v4(&datagram_payload(40), 0, 24);
    cut[3] += 100;
    let mut reader = Reader::default();
    reader.datagram(&cut);
    assert_eq!(reader.only_packet().0.key.port(reader.only_packet().0.sender), 50_000);
    assert!(reader.fragments.waiting.is_empty());
}

#[test]
fn fragments_wait_for_a_minute_of_the_trace() {
    let whole = datagram_payload(24);
    let (first, last) = (piece_v4(&whole, 0, 16), piece_v4(&whole, 16, 32));
    for (second, packets) in [(60, 1), (61, 0)] {
        let mut reader = Reader::default();
        reader.frame(RAW, &first, first.len(), 0);
        reader.frame(RAW, &last, last.len(), second);
        assert_eq!(reader.packets.len(), packets, "after {second} s");
    }
}

#[test]
fn fragments_of_others_do_not_fit() {
    let whole = datagram_payload(24);
    let mut reader = Reader::default();
    reader.datagram(&piece_v4(&whole, 0, 16));
    let mut other = piece_v4(&whole, 16, 32);
    other[5] ^= 1; // IP ID
    reader.datagram(&other);
    let mut other = piece_v4(&whole, 16, 32);
    other[9] = 6; // protocol
    reader.datagram(&other);
    let gre = |key: u8| ipv4_between(ROUTER, HERE, Protocol(47), &[&[0x20, 0, 8, 0, 0, 0, 0, key], &piece_v4(&whole, 16, 32)[..]].concat());
    reader.datagram(&gre(1));
    assert!(reader.packets.is_empty());
    assert_eq!(reader.waiting, 4);
}

#[test]
fn a_datagram_that_came_in_fragments_may_be_a_tunnel_with_fragments() {
    let whole = datagram_payload(40);
    let in_gre = |piece: Vec<u8>| [&[0, 0, 8, 0][..], &piece].concat();
    let mut reader = Reader::default();
    for inner in [piece_v4(&whole, 0, 24), piece_v4(&whole, 24, 48)] {
        let tunnel = in_gre(inner);
        let mut outer = |from, to| {
            let mut datagram = ipv4_between(ROUTER, THERE, Protocol(47), &tunnel[from..to]);
            datagram[6..8].copy_from_slice(&(if to < tunnel.len() { 0x2000 } else { 0 } | (from / 8) as u16).to_be_bytes());
            reader.datagram(&datagram);
        };
        outer(0, 16);
        outer(16, tunnel.len());
    }
    let (packet, payload) = reader.only_packet();
    assert_eq!((&payload[..], packet.tunnel.to_string().as_str(), packet.number.number(), reader.waiting), (&whole[8..], "gre", 4, 3));
}

// Limits.

#[test]
fn no_more_than_the_limit_waits() {
    let whole = datagram_payload(1_400);
    let mut reader = Reader::default();
    for id in 0..DATAGRAMS_MAX as u16 + 10 {
        let mut first = piece_v4(&whole, 0, 1_000);
        first[4..6].copy_from_slice(&id.to_be_bytes());
        reader.datagram(&first);
        assert!(reader.fragments.bytes <= BYTES_MAX && reader.fragments.waiting.len() <= DATAGRAMS_MAX);
        assert_eq!(reader.fragments.waiting.len(), reader.fragments.by_age.len());
    }
    let held: usize = reader.fragments.waiting.values().map(|waiting| waiting.bytes).sum();
    assert_eq!(held, reader.fragments.bytes, "what is counted is what is there");
    let mut finish = |id: u16| {
        let mut last = piece_v4(&whole, 1_000, whole.len());
        last[4..6].copy_from_slice(&id.to_be_bytes());
        reader.datagram(&last);
        reader.packets.len()
    };
    assert_eq!(finish(0), 0, "the oldest went first");
    assert_eq!(finish(DATAGRAMS_MAX as u16 + 9), 1, "the youngest is there");
}

#[test]
fn crumbs_are_given_up() {
    let whole = datagram_payload(20_000);
    let mut reader = Reader::default();
    for at in 0..PIECES_MAX + 1 {
        reader.datagram(&piece_v4(&whole, at * 8, at * 8 + 8));
    }
    assert!(reader.fragments.waiting.is_empty() && reader.fragments.bytes == 0);
}

#[test]
fn no_datagram_is_longer_than_ip_allows() {
    let mut ping_of_death = ipv4(Protocol::ICMP, &[8; 1_400]);
    ping_of_death[6..8].copy_from_slice(&0x1fff_u16.to_be_bytes());
    let mut reader = Reader::default();
    reader.datagram(&ping_of_death);
    assert_eq!((reader.waiting, reader.fragments.waiting.len()), (1, 0));
}

// In any order.

/// A payload, where it is torn, and the order of the pieces, some of them more than once.
fn torn() -> impl Strategy<Value = (Vec<u8>, Vec<(usize, usize)>)> {
    (9usize..600, proptest::collection::btree_set(1usize..75, 1..12), proptest::collection::vec(any::<prop::sample::Index>(), 0..6)).prop_flat_map(
        |(len, cuts, again)| {
            let whole = datagram_payload(len);
            let end = whole.len();
            let inside = cuts.into_iter().map(|cut| cut * 8).filter(|&cut| cut < end);
            let borders: Vec<usize> = std::iter::once(0).chain(inside).chain([end]).collect();
            let mut pieces: Vec<(usize, usize)> = borders.windows(2).map(|ends| (ends[0], ends[1])).collect();
            let repeats: Vec<(usize, usize)> = again.iter().map(|index| pieces[index.index(pieces.len())]).collect();
            pieces.extend(repeats);
            (Just(whole), Just(pieces).prop_shuffle())
        },
    )
}

proptest! {
    #[test]
    fn any_order_and_any_tearing_gives_the_datagram((whole, pieces) in torn(), is_v4 in any::<bool>()) {
        prop_assume!(pieces.iter().all(|&piece| piece != (0, whole.len())));
        let mut reader = Reader::default();
        for &(from, to) in &pieces {
            let piece = if is_v4 { piece_v4(&whole, from, to) } else { piece_v6(&whole, from, to) };
            reader.datagram(&piece);
        }
        // Repeats behind the end may make it whole once more; each time it is the same.
        prop_assert!(!reader.packets.is_empty());
        prop_assert_eq!(reader.packets.len() + reader.waiting, pieces.len());
        for (packet, payload) in &reader.packets {
            prop_assert_eq!(&payload[..], &whole[8..]);
            prop_assert_eq!(packet.payload_bytes as usize, whole.len() - 8);
        }
    }

    #[test]
    fn no_fragments_make_it_panic(carried in prop::sample::select(vec![4u8, 6, 17, 41, 47, 103, 253]),
        steps in proptest::collection::vec((any::<u16>(), proptest::collection::vec(any::<u8>(), 0..80), 0usize..100, 0i64..200, any::<bool>()), 1..60)) {
        let (mut reader, mut clock, mut frames) = (Reader::default(), 0, 0);
        for (flags, content, cut, second, is_v4) in steps {
            let mut datagram = if is_v4 { ipv4(Protocol(carried), &content) } else { ipv6(44, &[&[carried, 0, 0, 0, 0, 0, 0, 1][..], &content].concat()) };
            let at = if is_v4 { 6 } else { 42 };
            datagram[at..at + 2].copy_from_slice(&(flags & 0x20ff).to_be_bytes());
            clock = clock.max(second);
            let captured = datagram.len().min(48 + cut);
            reader.frame(RAW, &datagram, captured, clock);
            frames += 1;
        }
        let held: usize = reader.fragments.waiting.values().map(|waiting| waiting.bytes).sum();
        prop_assert_eq!((held, reader.fragments.waiting.len()), (reader.fragments.bytes, reader.fragments.by_age.len()));
        prop_assert_eq!(reader.packets.len() + reader.waiting + reader.others, frames, "each record is in one account");
    }
}
