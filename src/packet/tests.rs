//! Scenes of single records: fields, lengths, both versions of IP, ICMP, and everything that can be wrong with them.

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::testing::*;
use super::*;
use crate::model::{Direction, Protocol};

// Fields.

#[test]
fn a_tcp_packet_is_read_field_by_field() {
    let (decoded, round) = read_cut(ETHERNET, &ethernet(IPV4, &ipv4(Protocol::TCP, &tcp(b"hello"))), 14 + 20 + 20 + 5);
    let packet = packet(decoded);
    assert_eq!((packet.key, packet.sender), key((HERE, 50_000), (THERE, 443), Protocol::TCP));
    assert_eq!((packet.time, packet.clock, packet.number.number()), (Timestamp(5), Timestamp(6), 1));
    assert_eq!((packet.ttl, packet.ip_id, packet.dont_fragment, packet.vlan), (57, 0x1234, true, None));
    assert_eq!((packet.ip_bytes, packet.payload_bytes), (45, 5));
    assert_eq!(packet.payload.of(&round), b"hello");
    let Body::Tcp(segment) = packet.body else { panic!("TCP") };
    assert_eq!((segment.seq.0, segment.ack.0, segment.window), (4_096, 8_192, 502));
    assert_eq!((segment.flags.0, segment.has_options, segment.options), (0x18, false, TcpOptions::Nothing));
}

#[test]
fn a_digest_tells_transport_bytes_apart_and_leaves_out_what_routers_change() {
    let digest = |protocol, bytes: &[u8], ttl: u8| {
        let mut datagram = ipv4(protocol, bytes);
        datagram[8] = ttl;
        packet(read(ETHERNET, &ethernet(IPV4, &datagram))).digest
    };
    let summed = |sum: u8| {
        let mut segment = tcp(b"hello");
        segment[17] = sum;
        segment
    };
    assert_eq!(digest(Protocol::TCP, &summed(7), 64), digest(Protocol::TCP, &summed(7), 63));
    assert_ne!(digest(Protocol::TCP, &summed(7), 64), digest(Protocol::TCP, &summed(8), 64));
    let query = |last: u8| [&[0, 53, 0, 53, 0, 20, 0, 0][..], &[b'q'; 11], &[last]].concat();
    assert_eq!(digest(Protocol::UDP, &query(1), 64), digest(Protocol::UDP, &query(1), 57));
    assert_ne!(digest(Protocol::UDP, &query(1), 64), digest(Protocol::UDP, &query(2), 64), "also without a checksum");
}

#[test]
fn the_innermost_vlan_is_named() {
    let datagram = ipv4(Protocol::TCP, &tcp(b"hello"));
    let single = ethernet(0x8100, &tagged(0x6_00a, IPV4, &datagram)); // priority 3
    assert_eq!(packet(read(ETHERNET, &single)).vlan, Some(10));
    let stacked = ethernet(0x88a8, &tagged(100, 0x8100, &tagged(20, IPV4, &datagram)));
    let (decoded, round) = read_cut(ETHERNET, &stacked, stacked.len());
    let inner = packet(decoded);
    assert_eq!((inner.vlan, inner.payload.of(&round)), (Some(20), &b"hello"[..]));
    let cooked = [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x81, 0][..], &tagged(7, IPV4, &datagram)].concat();
    assert_eq!(packet(read(113, &cooked)).vlan, Some(7));
}

#[test]
fn a_vlan_is_no_part_of_the_key() {
    let datagram = ipv4(Protocol::TCP, &tcp(b""));
    let (bare, tagged) = (read(ETHERNET, &ethernet(IPV4, &datagram)), read(ETHERNET, &ethernet(0x8100, &tagged(9, IPV4, &datagram))));
    assert_eq!(packet(bare).key, packet(tagged).key);
}

#[test]
fn what_is_not_ip_is_no_damage() {
    let arp = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 2];
    for (link_type, frame) in [
        (ETHERNET, ethernet(0x0806, &arp)),
        (ETHERNET, ethernet(0x8100, &tagged(5, 0x0806, &arp))),
        (ETHERNET, ethernet(39, &[0x42, 0x42, 3, 0, 0, 0, 0, 0])), // spanning tree
        (0, vec![7, 0, 0, 0, 1, 2, 3, 4]),
        (RAW, vec![0x75; 40]),
    ] {
        assert_eq!(word(&read(link_type, &frame)), "not IP", "link type {link_type}");
    }
}

#[test]
fn a_link_type_that_is_not_read_is_undecoded() {
    assert_eq!(word(&read(65_000, &ethernet(IPV4, &hello()))), "undecoded");
}

#[test]
fn a_record_that_ends_inside_a_header_is_undecoded() {
    let tagged = ethernet(0x8100, &tagged(5, IPV4, &ipv4(Protocol::TCP, &tcp(b"hello"))));
    let extended = ethernet(IPV6, &ipv6(0, &[&[6, 0, 1, 4, 0, 0, 0, 0][..], &tcp(b"hello")].concat()));
    for frame in [tagged, extended] {
        for captured in 0..frame.len() - 5 {
            assert_eq!(word(&read_cut(ETHERNET, &frame, captured).0), "undecoded", "{captured} bytes");
        }
        assert_eq!(word(&read_cut(ETHERNET, &frame, frame.len() - 5).0), "packet");
    }
}

// Lengths.

#[test]
fn a_snapped_packet_counts_by_its_ip_header() {
    let frame = ethernet(IPV4, &ipv4(Protocol::TCP, &tcp(&[b'x'; 1_000])));
    let (decoded, round) = read_cut(ETHERNET, &frame, 14 + 20 + 20 + 10);
    let snapped = packet(decoded);
    assert_eq!((snapped.ip_bytes, snapped.payload_bytes, snapped.payload.captured), (1_040, 1_000, 10));
    assert_eq!(snapped.payload.of(&round), [b'x'; 10]);
}

#[test]
fn padding_of_the_link_layer_is_no_payload() {
    let mut frame = ethernet(IPV4, &ipv4(Protocol::TCP, &tcp(b"")));
    frame.resize(60, 0);
    let padded = packet(read(ETHERNET, &frame));
    assert_eq!((padded.ip_bytes, padded.payload_bytes, padded.payload.captured), (40, 0, 0));
    let mut frame = ethernet(IPV6, &ipv6(6, &tcp(b"a")));
    frame.resize(90, 0);
    let padded = packet(read(ETHERNET, &frame));
    assert_eq!((padded.ip_bytes, padded.payload_bytes, padded.payload.captured), (61, 1, 1));
}

#[test]
fn a_total_length_of_zero_means_what_the_link_layer_carried() {
    let mut datagram = ipv4(Protocol::TCP, &tcp(&[b'x'; 3_000]));
    datagram[2..4].fill(0);
    let offloaded = packet(read(ETHERNET, &ethernet(IPV4, &datagram)));
    assert_eq!((offloaded.ip_bytes, offloaded.payload_bytes, offloaded.payload.captured), (3_040, 3_000, 3_000));
    let mut datagram = ipv6(6, &tcp(&[b'x'; 3_000]));
    datagram[4..6].fill(0);
    let offloaded = packet(read(ETHERNET, &ethernet(IPV6, &datagram)));
    assert_eq!((offloaded.ip_bytes, offloaded.payload_bytes, offloaded.payload.captured), (3_060, 3_000, 3_000));
}

#[test]
fn options_of_a_syn_are_read() {
    let (packets, _) = trace::Trace::at_client().syn().packets();
    let Body::Tcp(segment) = &packets[0].body else { panic!("TCP") };
    let offers = segment.syn_options().expect("a SYN");
    assert_eq!((offers.mss, offers.window_scale, segment.has_options), (Some(1_460), Some(7), true));
    assert_eq!((packets[0].payload_bytes, segment.sequence_length(0)), (0, 1));
}

// IP.

#[test]
fn extension_headers_are_passed_over() {
    let hop_by_hop = [60, 0, 1, 4, 0, 0, 0, 0]; // then destination options
    let destination = [43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]; // 16 bytes, then routing
    let routing = [6, 0, 4, 0, 0, 0, 0, 0];
    let datagram = ipv6(0, &[&hop_by_hop[..], &destination, &routing, &tcp(b"hello")].concat());
    let (decoded, round) = read_cut(RAW, &datagram, datagram.len());
    let packet = packet(decoded);
    let ends = (Address::v6(here_v6()), Address::v6(there_v6()));
    assert_eq!((packet.key, packet.sender), FlowKey::new(Protocol::TCP, 6, 3, (ends.0, 50_000), (ends.1, 443)));
    assert_eq!((packet.ttl, packet.ip_bytes, packet.payload_bytes), (55, 40 + 8 + 16 + 8 + 20 + 5, 5));
    assert_eq!(packet.payload.of(&round), b"hello");
}

#[test]
fn options_of_ipv4_are_passed_over() {
    let mut datagram = ipv4(Protocol::TCP, &[&[1, 1, 1, 0][..], &tcp(b"hello")].concat());
    datagram[0] = 0x46;
    let (decoded, round) = read_cut(RAW, &datagram, datagram.len());
    assert_eq!(packet(decoded).payload.of(&round), b"hello");
}

#[test]
fn an_authentication_header_is_passed_over() {
    let header = [6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];
    let datagram = ipv4(Protocol(51), &[&header[..], &tcp(b"hello")].concat());
    let (packet, payload, _) = found(RAW, &datagram);
    assert_eq!((packet.key, &payload[..], packet.payload_bytes), (key((HERE, 50_000), (THERE, 443), Protocol::TCP).0, &b"hello"[..], 5));
    let cut = read_cut(RAW, &datagram, 20 + 23).0;
    assert_eq!(word(&cut), "undecoded");
}

#[test]
fn fragments_belong_to_no_flow_by_themselves() {
    for (flags, offset) in [(0x20, 0), (0x20, 185), (0, 185)] {
        let mut datagram = ipv4(Protocol::UDP, &[0; 32]);
        (datagram[6], datagram[7]) = (flags, offset);
        assert_eq!(word(&read(RAW, &datagram)), "fragment", "flags {flags:#x}, offset {offset}");
    }
    let first = ipv6(44, &[&[6, 0, 0, 1, 0, 0, 0, 9][..], &tcp(b"hello")].concat());
    assert_eq!(word(&read(RAW, &first)), "fragment");
}

#[test]
fn a_fragment_header_around_a_whole_datagram_changes_nothing() {
    let atomic = ipv6(44, &[&[6, 0, 0, 0, 0, 0, 0, 9][..], &tcp(b"hello")].concat());
    assert_eq!(packet(read(RAW, &atomic)).payload_bytes, 5);
}

#[test]
fn other_transports_have_flows_as_well() {
    let udp = packet(read(RAW, &ipv4(Protocol::UDP, &[0xd5, 0x39, 0, 53, 0, 11, 0, 0, 1, 2, 3])));
    assert_eq!((udp.key, udp.sender), key((HERE, 54_585), (THERE, 53), Protocol::UDP));
    assert_eq!((udp.payload_bytes, udp.body), (3, Body::Udp));
    let sctp = packet(read(RAW, &ipv4(Protocol::SCTP, &[0, 7, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9])));
    assert_eq!((sctp.key, sctp.sender), key((HERE, 7), (THERE, 80), Protocol::SCTP));
    assert_eq!((sctp.payload_bytes, sctp.body), (2, Body::Other));
    let gre = packet(read(RAW, &ipv4(Protocol(47), &[0; 8])));
    assert_eq!((gre.key, gre.payload_bytes), (key((HERE, 0), (THERE, 0), Protocol(47)).0, 8));
}

#[test]
fn both_ways_of_a_flow_share_key_and_hash() {
    let (packets, _) = trace::Trace::at_client().syn().syn_ack().packets();
    assert_eq!((packets[0].key, packets[0].hash), (packets[1].key, packets[1].hash));
    assert_eq!(packets[1].sender, packets[0].sender.opposite());
    assert_eq!(packets[0].key.address(packets[0].sender), trace::endpoint(Direction::ClientToServer).0);
}

// ICMP.

/// The packet of an error, and the note for the flow that it quotes.
#[track_caller]
fn quoted(link_type: u16, frame: &[u8]) -> (Packet, Packet) {
    let (all, _) = read_all(link_type, frame, frame.len());
    match <[Decoded; 2]>::try_from(all) {
        Ok([Decoded::Packet(packet), Decoded::Quote(quote)]) => (packet, quote),
        _ => panic!("no packet with a quote"),
    }
}

#[test]
fn an_icmp_error_is_noted_at_the_flow_that_it_quotes() {
    let sent = ipv4(Protocol::TCP, &tcp(b"hello"));
    let flow = packet(read(RAW, &sent));
    let message = [&[3, 13, 0, 0, 0, 0, 0, 0][..], &sent[..28]].concat(); // RFC 792: the header and eight bytes
    let (icmp, quote) = quoted(RAW, &ipv4_between(ROUTER, HERE, Protocol::ICMP, &message));
    assert_eq!((quote.key, quote.hash, quote.sender), (flow.key, flow.hash, flow.sender));
    assert_eq!(quote.body, Body::Quoted(IcmpError { kind: 3, code: 13, from: Address::v4(ROUTER) }));
    assert_eq!((icmp.key, icmp.sender), key((ROUTER, 3), (HERE, 13), Protocol::ICMP));
    assert_eq!(icmp.body, Body::Icmp);
}

#[test]
fn an_icmp6_error_is_noted_at_the_flow_that_it_quotes() {
    let sent = ipv6(17, &[0xd5, 0x39, 0, 53, 0, 8, 0, 0]);
    let flow = packet(read(RAW, &sent));
    let mut error = ipv6(58, &[&[1, 4, 0, 0, 0, 0, 0, 0][..], &sent].concat());
    error[8..24].copy_from_slice(&there_v6());
    error[24..40].copy_from_slice(&here_v6());
    let (_, quote) = quoted(RAW, &error);
    assert_eq!((quote.key, quote.hash, quote.sender), (flow.key, flow.hash, flow.sender));
    assert_eq!(quote.body, Body::Quoted(IcmpError { kind: 1, code: 4, from: Address::v6(there_v6()) }));
}

#[test]
fn a_quote_too_short_for_ports_leaves_the_error_itself() {
    let sent = ipv4(Protocol::TCP, &tcp(b"hello"));
    let message = [&[3, 13, 0, 0, 0, 0, 0, 0][..], &sent[..23]].concat();
    assert_eq!(word(&read(RAW, &ipv4_between(ROUTER, HERE, Protocol::ICMP, &message))), "packet");
}

#[test]
fn request_and_answer_of_a_ping_are_one_flow() {
    let ping = |kind| [kind, 0, 0, 0, 0x12, 0x34, 0, 1, b'x'];
    let request = packet(read(RAW, &ipv4_between(HERE, THERE, Protocol::ICMP, &ping(8))));
    let answer = packet(read(RAW, &ipv4_between(THERE, HERE, Protocol::ICMP, &ping(0))));
    assert_eq!((request.key, request.sender), (answer.key, answer.sender.opposite()));
    assert_eq!((request.payload_bytes, request.body), (1, Body::Icmp));
}

// Whatever the bytes say.

/// Whatever was read lies inside the record, and a packet is counted once at least.
fn holds(all: &[Decoded], captured: usize) -> bool {
    let inside = |packet: &Packet| {
        let PayloadRange { start, captured: held } = packet.payload;
        held <= packet.payload_bytes && (held == 0 || (start as usize >= BEFORE && (start + held) as usize <= BEFORE + captured))
    };
    let each = |found: &Decoded| match found {
        Decoded::Packet(packet) | Decoded::Quote(packet) => inside(packet),
        _ => true,
    };
    all.iter().all(each) && !matches!(all.first(), None | Some(Decoded::Quote(_)))
}

fn scenes() -> Vec<(u16, Vec<u8>)> {
    let sent = ipv4(Protocol::TCP, &tcp(b"hello"));
    let error = ipv4_between(ROUTER, HERE, Protocol::ICMP, &[&[3, 13, 0, 0, 0, 0, 0, 0][..], &sent].concat());
    let extended = ipv6(0, &[&[44, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 9][..], &tcp(b"hello")].concat());
    let mut syn = Vec::new();
    let options = [0x02, 4, 5, 0xb4, 1, 3, 3, 7, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let header = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(HERE, THERE, 64).tcp(50_000, 443, 1, 502).syn();
    header.options_raw(&options).expect("they fit").write(&mut syn, &[]).expect("a vector takes it");
    vec![
        (ETHERNET, syn),
        (ETHERNET, ethernet(0x88a8, &tagged(1, 0x8100, &tagged(2, IPV4, &error)))),
        (ETHERNET, ethernet(IPV6, &extended)),
        (RAW, ipv6(51, &[&[6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1][..], &[0; 12], &tcp(b"hello")].concat())),
        (RAW, error),
    ]
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(link_type in prop_oneof![0u16..300, any::<u16>()], frame in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(holds(&read_all(link_type, &frame, frame.len()).0, frame.len()));
    }

    #[test]
    fn no_damage_makes_it_panic(scene in any::<prop::sample::Index>(), damage in proptest::collection::vec((0usize..160, any::<u8>()), 0..4), cut in 0usize..200) {
        let mut scenes = [scenes(), link::tests::frames(), tunnel::tests::frames()].concat();
        let (link_type, mut frame) = scenes.swap_remove(scene.index(scenes.len()));
        let len = frame.len();
        damage.iter().for_each(|&(at, value)| frame[at % len] = value);
        let captured = len.min(cut);
        prop_assert!(holds(&read_all(link_type, &frame, captured).0, captured));
        prop_assert!(holds(&read_all(link_type, &frame, len).0, len));
    }
}
