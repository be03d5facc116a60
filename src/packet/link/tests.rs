//! One frame by hand for every link type and EtherType: whatever is around it, the same packet comes out.

use super::super::testing::*;
use super::super::{Decoded, Packet};

/// Bytes in front, a datagram, bytes behind, and the words of the path.
struct Frame {
    what: &'static str,
    link_type: u16,
    bytes: Vec<u8>,
    words: &'static str,
}

fn frame(what: &'static str, link_type: u16, header: &[u8], words: &'static str) -> [Frame; 2] {
    [hello(), hello_v6()].map(|datagram| Frame { what, link_type, bytes: [header, &datagram].concat(), words })
}

/// A header that says which version of IP it carries.
fn by_version(what: &'static str, link_type: u16, header: impl Fn(bool) -> Vec<u8>, words: &'static str) -> [Frame; 2] {
    [(true, hello()), (false, hello_v6())].map(|(is_v4, datagram)| Frame { what, link_type, bytes: [header(is_v4), datagram].concat(), words })
}

fn ether_type(is_v4: bool) -> [u8; 2] {
    if is_v4 { IPV4.to_be_bytes() } else { IPV6.to_be_bytes() }
}

/// Bytes, then the EtherType.
fn typed(what: &'static str, link_type: u16, before: &[u8], words: &'static str) -> [Frame; 2] {
    by_version(what, link_type, |is_v4| [before, &ether_type(is_v4)].concat(), words)
}

/// Bytes, then LLC with SNAP.
fn with_llc(what: &'static str, link_type: u16, before: &[u8]) -> [Frame; 2] {
    by_version(what, link_type, |is_v4| [before, &[0xaa, 0xaa, 3, 0, 0, 0], &ether_type(is_v4)].concat(), "")
}

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Bytes behind the addresses of Ethernet, the last two of them not an EtherType yet.
fn on_ethernet(what: &'static str, behind_macs: &[u8], words: &'static str) -> [Frame; 2] {
    typed(what, ETHERNET, &[&MACS, behind_macs].concat(), words)
}

/// A whole frame in front of which something stands.
fn around_ethernet(what: &'static str, link_type: u16, before: &[u8], words: &'static str) -> [Frame; 2] {
    typed(what, link_type, &[before, &MACS].concat(), words)
}

fn wlan(kind: u8, flags: u8, header_bytes: usize) -> Vec<u8> {
    let mut header = vec![kind, flags];
    header.resize(header_bytes, 0);
    header
}

fn all() -> Vec<Frame> {
    let sll = |hardware: u16| [&[0, 0][..], &hardware.to_be_bytes(), &[0, 6, 2, 0, 0, 0, 0, 1, 0, 0]].concat();
    let sll2 = |is_v4| [&ether_type(is_v4)[..], &[0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]].concat();
    let family = |order: fn(u32) -> [u8; 4]| move |is_v4| order(if is_v4 { 2 } else { 30 }).to_vec();
    let ppp = |is_v4| if is_v4 { [0, 0x21] } else { [0, 0x57] };
    let nflog = |is_v4: bool| {
        [&[if is_v4 { 2 } else { 10 }, 0, 0, 42, 8, 0, 1, 0, 8, 0, 3, 0, 5, 0, 10, 0, 0, 0, 0, 0][..], &nflog_length(is_v4), &[9, 0]].concat()
    };
    let nflog_swapped = |is_v4: bool| {
        let [low, high] = nflog_length(is_v4);
        [&[if is_v4 { 2 } else { 10 }, 0, 0, 42, 0, 5, 0, 10, 0, 0, 0, 0, high, low, 0, 9][..]].concat()
    };
    let pktap = |link_type: u8| [&[108, 0, 0, 0, 1, 0, 0, 0, link_type, 0, 0, 0][..], &[0; 96]].concat();
    let mgc = |extension: &[u8], flags: u8| [b"MGC", &[flags][..], extension].concat();
    let frames = [
        typed("Ethernet", ETHERNET, &MACS, ""),
        on_ethernet("VLAN", &[0x81, 0, 0, 7], ""),
        on_ethernet("provider VLAN", &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8], ""),
        on_ethernet("vendor VLANs", &[0x91, 0, 0, 7, 0x92, 0, 0, 8], ""),
        with_llc("802.3 with SNAP", ETHERNET, &[&MACS[..], &[0, 73]].concat()),
        on_ethernet("SNAP of a bridge", &[0, 73, 0xaa, 0xaa, 3, 0, 0, 0xf8], ""),
        frame("802.3 with the SAP of IP", ETHERNET, &[&MACS[..], &[0, 68, 6, 6, 3]].concat(), ""),
        frame("MPLS", ETHERNET, &[&MACS[..], &[0x88, 0x47, 0, 1, 0, 64, 0, 2, 1, 64]].concat(), "mpls"),
        frame("MPLS multicast", ETHERNET, &[&MACS[..], &[0x88, 0x48, 0, 1, 1, 64]].concat(), "mpls"),
        by_version("PPPoE", ETHERNET, |is_v4| [&MACS[..], &[0x88, 0x64, 0x11, 0, 0, 1, 0, 67], &ppp(is_v4)].concat(), "pppoe"),
        on_ethernet("Cisco metadata", &[0x89, 9, 1, 1, 0, 1, 0, 2], ""),
        around_ethernet("backbone", ETHERNET, &[&MACS[..], &[0x88, 0xe7, 0, 1, 2, 3]].concat(), "pbb"),
        on_ethernet("MACsec with channel", &[0x88, 0xe5, 0x20, 22, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 0, 1], "macsec").map(with_macsec_length),
        on_ethernet("MACsec", &[0x88, 0xe5, 0, 0, 0, 0, 0, 1], "macsec").map(with_trailer),
        frame("NSH", ETHERNET, &[&MACS[..], &[0x89, 0x4f, 0, 6, 1, 1, 0, 0, 9, 7], &[0; 16]].concat(), "nsh"),
        on_ethernet("HSR", &[0x89, 0x2f, 0, 70, 0, 1], ""),
        around_ethernet("FabricPath", ETHERNET, &[&MACS[..], &[0x89, 3, 0x40, 0x20]].concat(), "fabricpath"),
        around_ethernet("TRILL", ETHERNET, &[&MACS[..], &[0x22, 0xf3, 0, 0x42, 0, 1, 0, 2, 9, 9, 9, 9]].concat(), "trill"),
        around_ethernet("transparent Ethernet", ETHERNET, &[&MACS[..], &[0x65, 0x58]].concat(), ""),
        frame("raw IP", RAW, &[], ""),
        frame("raw IP of BSD", 12, &[], ""),
        frame("raw IP of OpenBSD", 14, &[], ""),
        frame("IPv4", 228, &[], ""),
        frame("IPv6", 229, &[], ""),
        by_version("null, little endian", 0, family(u32::to_le_bytes), ""),
        by_version("null, big endian", 0, family(u32::to_be_bytes), ""),
        by_version("loop", 108, family(u32::to_be_bytes), ""),
        by_version("enc", 109, |is_v4| [&family(u32::to_le_bytes)(is_v4)[..], &[0; 8]].concat(), ""),
        by_version("pflog", 117, |is_v4| [&[61, if is_v4 { 2 } else { 24 }][..], &[0; 62]].concat(), ""),
        by_version("ipnet", 226, |is_v4| [&[1, if is_v4 { 2 } else { 26 }][..], &[0; 22]].concat(), ""),
        around_ethernet("pktap", 258, &pktap(1), ""),
        frame("pktap as USER2, raw", 149, &pktap(12), ""),
        by_version("cooked", 113, |is_v4| [&sll(1)[..], &ether_type(is_v4)].concat(), ""),
        with_llc("cooked with LLC", 113, &[&sll(1)[..], &[0, 4]].concat()),
        by_version("cooked 2", 276, sll2, ""),
        by_version("nflog", 239, nflog, ""),
        by_version("nflog, big endian", 239, nflog_swapped, ""),
        by_version("PPP", 9, |is_v4| [&[0xff, 3][..], &ppp(is_v4)].concat(), ""),
        by_version("PPP without address", 9, |is_v4| ppp(is_v4).to_vec(), ""),
        by_version("PPP, one byte of protocol", 9, |is_v4| vec![0xff, 3, ppp(is_v4)[1]], ""),
        by_version("PPP in HDLC", 50, |is_v4| [&[0xff, 3][..], &ppp(is_v4)].concat(), ""),
        typed("Cisco HDLC as PPP in HDLC", 50, &[0x0f, 0], ""),
        by_version("PPPoE as link type", 51, |is_v4| [&[0x11, 0, 0, 1, 0, 67][..], &ppp(is_v4)].concat(), "pppoe"),
        by_version("PPP of pppd", 166, |is_v4| [&[1, 3][..], &ppp(is_v4)].concat(), ""),
        by_version("PPP of pppd, short", 166, |is_v4| [&[0][..], &ppp(is_v4)].concat(), ""),
        by_version("PPP with direction", 204, |is_v4| [&[1, 0xff, 3][..], &ppp(is_v4)].concat(), ""),
        frame("PPP of BSD/OS", 16, &[0; 24], ""),
        by_version("plain PPP of number 16", 16, |is_v4| [&[0xff, 3][..], &ppp(is_v4)].concat(), ""),
        frame("SLIP", 8, &[0; 16], ""),
        frame("SLIP of BSD/OS", 15, &[0; 24], ""),
        typed("Cisco HDLC", 104, &[0x0f, 0], ""),
        typed("Frame Relay of Cisco", 107, &[0x18, 0x41], ""),
        by_version("Frame Relay", 107, |is_v4| vec![0x18, 0x41, 3, if is_v4 { 0xcc } else { 0x8e }], ""),
        typed("Frame Relay with SNAP", 107, &[0x18, 0x40, 0x40, 0x41, 3, 0, 0x80, 0, 0, 0], ""),
        with_llc("ATM", 11, &[]),
        with_llc("ATM by its registered number", 100, &[]),
        around_ethernet("ATM, bridged", 11, &[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7, 0, 0], ""),
        by_version("ATM, NLPID", 11, |is_v4| vec![0xfe, 0xfe, 3, if is_v4 { 0xcc } else { 0x8e }], ""),
        with_llc("SunATM", 123, &[2, 0, 0, 5]),
        around_ethernet("SunATM, LAN emulation", 123, &[1, 0, 0, 5, 0, 9], ""),
        with_llc("FDDI", 10, &[&[0x50][..], &MACS].concat()),
        with_llc("Token Ring", 6, &[&[0x10, 0x40][..], &MACS].concat()),
        with_llc("Token Ring with a route", 6, &[0x10, 0x40, 2, 0, 0, 0, 0, 1, 0x82, 0, 0, 0, 0, 2, 4, 0, 9, 9]),
        with_llc("802.11 from the access point", 105, &wlan(0x08, 0x02, 24)),
        with_llc("802.11, four addresses", 105, &wlan(0x08, 0x03, 30)),
        with_llc("802.11, QoS", 105, &wlan(0x88, 0x01, 26)),
        with_llc("802.11, QoS, four addresses, HT control", 105, &wlan(0x88, 0x83, 36)),
        with_llc("radiotap", 127, &[&[0, 0, 8, 0, 0, 0, 0, 0][..], &wlan(0x08, 0x01, 24)].concat()),
        with_llc("radiotap, clock, padded", 127, &[&[0, 0, 25, 0, 3, 0, 0, 0][..], &[0; 8], &[0x20], &[0; 8], &wlan(0x88, 0x01, 28)].concat()),
        with_llc("radiotap, two words", 127, &[&[0, 0, 13, 0, 2, 0, 0, 0x80, 0, 0, 0, 0, 0x20][..], &wlan(0x88, 0x01, 28)].concat()),
        with_llc("Prism", 119, &[&[0, 0, 0, 0x44][..], &[0; 140], &wlan(0x08, 0x01, 24)].concat()),
        with_llc("AVS as Prism", 119, &[&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64][..], &[0; 56], &wlan(0x08, 0x01, 24)].concat()),
        with_llc("AVS", 163, &[&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64][..], &[0; 56], &wlan(0x08, 0x01, 24)].concat()),
        with_llc("PPI", 192, &[&[0, 0, 8, 0, 105, 0, 0, 0][..], &wlan(0x08, 0x01, 24)].concat()),
        around_ethernet("PPI with Ethernet", 192, &[0, 0, 8, 0, 1, 0, 0, 0], ""),
        around_ethernet("Juniper Ethernet", 178, &mgc(&[0, 3, 1, 1, 6], 0x80), ""),
        frame("Juniper, no link layer", 178, &mgc(&[0, 0, 0, 2], 0x02), ""),
        by_version("Juniper PPP", 179, |is_v4| [&mgc(&[], 0)[..], &ppp(is_v4)].concat(), ""),
        typed("Juniper Frame Relay", 180, &mgc(&[0x18, 0x41], 0), ""),
        typed("Juniper Cisco HDLC", 181, &mgc(&[0x0f, 0], 0), ""),
        by_version("InfiniBand", 242, |is_v4| [&[0; 40][..], &ether_type(is_v4), &[0, 0]].concat(), ""),
        around_ethernet("ERF", 197, &[&[0; 8][..], &[2, 4, 0, 90, 0, 0, 0, 90, 0, 0]].concat(), ""),
        around_ethernet("ERF, extended", 197, &[&[0; 8][..], &[0x82, 4, 0, 90, 0, 0, 0, 90], &[0x83; 8], &[3; 8], &[0, 0]].concat(), ""),
        typed("ERF, HDLC", 197, &[&[0; 8][..], &[1, 4, 0, 90, 0, 0, 0, 90, 0x0f, 0]].concat(), ""),
        frame("ERF, IP", 197, &[&[0; 8][..], &[22, 4, 0, 90, 0, 0, 0, 90]].concat(), ""),
        with_llc("IP over Fibre Channel", 122, &[0; 16]),
        typed("FireWire", 138, &[7; 16], ""),
        around_ethernet("netANALYZER", 240, &[0; 4], ""),
        around_ethernet("netANALYZER, transparent", 241, &[0x55; 12], ""),
        around_ethernet("mPacket", 274, &[0x55; 8], ""),
        typed("DSA, Broadcom", 281, &[&MACS[..], &[0, 0, 0, 3]].concat(), ""),
        around_ethernet("DSA, Broadcom in front", 282, &[0, 0, 0, 3], ""),
        typed("DSA, Marvell", 283, &[&MACS[..], &[0xc0, 0, 0, 0]].concat(), ""),
        typed("DSA, Marvell with EtherType", 284, &[&MACS[..], &[0xda, 0xda, 0, 0, 0xc0, 0, 0, 0]].concat(), ""),
    ];
    frames.into_iter().flatten().collect()
}

/// Four bytes of the attribute, then the datagram.
fn nflog_length(is_v4: bool) -> [u8; 2] {
    (4 + if is_v4 { hello().len() } else { hello_v6().len() } as u16).to_le_bytes()
}

/// Short frames state their length, EtherType included.
fn with_macsec_length(mut frame: Frame) -> Frame {
    let secure = frame.bytes.len() - MACS.len() - 16;
    frame.bytes[MACS.len() + 3] = if secure < 48 { secure as u8 } else { 0 };
    with_trailer(frame)
}

/// The value that proves integrity.
fn with_trailer(mut frame: Frame) -> Frame {
    frame.bytes.extend([0xab; 16]);
    frame
}

/// For properties: every kind of frame that is read.
pub fn frames() -> Vec<(u16, Vec<u8>)> {
    all().into_iter().map(|frame| (frame.link_type, frame.bytes)).collect()
}

#[test]
fn the_link_layer_makes_no_difference() {
    for Frame { what, link_type, bytes, words } in all() {
        let is_v4 = bytes.windows(hello().len()).any(|window| window == hello());
        let packet = assert_hello(link_type, &bytes, words, what);
        assert_eq!(packet.key.ip_version, if is_v4 { 4 } else { 6 }, "{what}");
        assert_eq!(packet.key.tunnel, 0, "{what}: no link layer has an identifier that counts");
    }
}

#[test]
fn a_header_that_is_cut_off_is_undecoded() {
    for Frame { what, link_type, bytes, .. } in all().into_iter().filter(|frame| frame.link_type != 16) {
        let header = bytes.windows(4).position(|window| [[0x45, 0, 0, 45], [0x60, 0, 0, 0]].contains(window.first_chunk().expect("four bytes")));
        for captured in 0..header.unwrap_or(0) {
            let (found, _) = read_cut(link_type, &bytes, captured);
            assert!(matches!(found, Decoded::Undecoded | Decoded::NotIp), "{what}: {captured} bytes are {}", word(&found));
        }
    }
}

#[track_caller]
fn assert_word(link_type: u16, frame: &[u8], expected: &str, what: &str) {
    assert_eq!(word(&read(link_type, frame)), expected, "{what}");
}

#[test]
fn what_is_encrypted_or_compressed_is_undecoded() {
    let after_macs = |bytes: &[u8]| [&MACS[..], bytes, &hello()].concat();
    assert_word(ETHERNET, &after_macs(&[0x88, 0xe5, 0x0c, 0, 0, 0, 0, 1, 8, 0]), "undecoded", "MACsec, encrypted");
    let llc = snap(IPV4, &hello());
    assert_word(105, &[wlan(0x08, 0x41, 24), llc.clone()].concat(), "undecoded", "802.11, protected");
    assert_word(105, &[wlan(0x08, 0x05, 24), llc.clone()].concat(), "undecoded", "802.11, first part of an MSDU");
    let mut later = wlan(0x08, 0x01, 24);
    later[22] = 1;
    assert_word(105, &[later, llc].concat(), "undecoded", "802.11, later part");
    assert_word(9, &[&[0xff, 3, 0, 0x2d][..], &hello()].concat(), "undecoded", "PPP, compressed header");
    assert_word(9, &[&[0xff, 3, 0, 0xfd][..], &hello()].concat(), "undecoded", "PPP, compressed");
    assert_word(8, &[0x80; 60], "undecoded", "SLIP, compressed header");
    assert_word(149, &ethernet(IPV4, &hello()), "undecoded", "USER2 that is no pktap");
    assert_word(178, &ethernet(IPV4, &hello()), "undecoded", "Juniper without its magic");
}

#[test]
fn what_carries_no_ip_is_not_ip() {
    let after_macs = |bytes: &[u8]| [&MACS[..], bytes, &hello()].concat();
    assert_word(ETHERNET, &after_macs(&[0x88, 0x63, 0x11, 9, 0, 0, 0, 45]), "not IP", "PPPoE discovery");
    assert_word(ETHERNET, &after_macs(&[0x88, 0x64, 0x11, 0, 0, 1, 0, 47, 0xc0, 0x21]), "not IP", "LCP");
    assert_word(ETHERNET, &after_macs(&[0x88, 0x47, 0, 1, 1, 64, 0, 0, 0, 0]), "not IP", "a pseudowire");
    assert_word(ETHERNET, &[&MACS[..], &[0x88, 0x47, 0, 1, 1, 64, 0x45, 0, 0xff, 0xff], &[9; 30]].concat(), "not IP", "a frame that begins like IP");
    assert_word(105, &wlan(0x80, 0, 60), "not IP", "a beacon");
    assert_word(105, &wlan(0xd4, 0, 10), "not IP", "an acknowledgement");
    assert_word(105, &wlan(0x48, 1, 24), "not IP", "no data");
    assert_word(113, &[&[0, 0, 3, 0x38][..], &[0; 10], &[8, 0], &hello()].concat(), "not IP", "Netlink");
    assert_word(10, &[&[0x41][..], &MACS, &snap(IPV4, &hello())].concat(), "not IP", "FDDI, station management");
}

#[test]
fn a_checksum_behind_a_frame_is_no_payload() {
    let frame = [&[0, 0, 9, 0, 2, 0, 0, 0, 0x10][..], &wlan(0x08, 0x01, 24), &snap(IPV4, &hello()), &[1, 2, 3, 4]].concat();
    assert_hello(127, &frame, "", "radiotap with a checksum");
}

#[test]
fn tags_in_a_row_have_an_end() {
    let tags = |count: usize| [&MACS[..], &[0x81, 0, 0, 7].repeat(count), &IPV4.to_be_bytes(), &hello()].concat();
    assert_eq!(packet(read(ETHERNET, &tags(8))).vlan, Some(7));
    assert_word(ETHERNET, &tags(40), "undecoded", "40 tags");
}

// Several packets in one frame.

fn msdu(content: &[u8]) -> Vec<u8> {
    let mut bytes = [&MACS[..], &(content.len() as u16).to_be_bytes(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn aggregate(msdus: &[Vec<u8>]) -> Vec<u8> {
    let mut header = wlan(0x88, 0x02, 26);
    header[24] = 0x80;
    [header, msdus.concat()].concat()
}

#[test]
fn each_msdu_of_an_aggregate_is_a_packet() {
    let frame = aggregate(&[msdu(&snap(IPV4, &hello())), msdu(&snap(0x0806, &[0; 28])), msdu(&snap(IPV6, &hello_v6()))]);
    let (all, round) = read_all(105, &frame, frame.len());
    let words: Vec<_> = all.iter().map(word).collect();
    assert_eq!(words, ["packet", "packet", "not IP"]);
    let packets: Vec<Packet> = all.into_iter().take(2).map(packet).collect();
    assert_eq!(packets.iter().map(|packet| packet.key.ip_version).collect::<Vec<_>>(), [4, 6]);
    assert!(packets.iter().all(|packet| packet.payload.of(&round) == b"hello" && packet.number.number() == 1));
}

#[test]
fn an_aggregate_without_ip_counts_each_msdu() {
    let arp = msdu(&snap(0x0806, &[0; 28]));
    let (all, _) = read_all(105, &aggregate(&[arp.clone(), arp]), 26 + 2 * 52);
    assert_eq!(all.iter().map(word).collect::<Vec<_>>(), ["not IP", "not IP"]);
}

#[test]
fn an_msdu_longer_than_its_frame_is_undecoded() {
    let mut frame = aggregate(&[msdu(&snap(IPV4, &hello()))]);
    frame[26 + 12] = 0x20;
    assert_word(105, &frame, "undecoded", "a length that lies");
}
