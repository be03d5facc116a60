//! Connections of QUIC by what they show: the packets of the RFCs, hellos in pieces, Retry, Version Negotiation, Google's dialects, other protocols.

use proptest::prelude::*;

use super::build::{Packet as Sealed, crypto};
use super::connection::DATAGRAMS_MAX;
use super::*;
use crate::app::tls::RETRY_RANDOM;
use crate::app::tls::build::{client_hello_message, extension, server_hello, server_hello_message};

const DESTINATION: &[u8] = b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";
const CLIENT: Side = Side::High;
const SERVER: Side = Side::Low;

/// The ClientHello of RFC 9001 appendix A.2 in its CRYPTO frame.
const HELLO_FRAME: &[u8] =
    b"\x06\x00\x40\xf1\x01\x00\x00\xed\x03\x03\xeb\xf8\xfa\x56\xf1\x29\x39\xb9\x58\x4a\x38\x96\x47\x2e\xc4\x0b\xb8\x63\xcf\xd3\xe8\x68\
    \x04\xfe\x3a\x47\xf0\x6a\x2b\x69\x48\x4c\x00\x00\x04\x13\x01\x13\x02\x01\x00\x00\xc0\x00\x00\x00\x10\x00\x0e\x00\x00\x0b\x65\x78\
    \x61\x6d\x70\x6c\x65\x2e\x63\x6f\x6d\xff\x01\x00\x01\x00\x00\x0a\x00\x08\x00\x06\x00\x1d\x00\x17\x00\x18\x00\x10\x00\x07\x00\x05\
    \x04\x61\x6c\x70\x6e\x00\x05\x00\x05\x01\x00\x00\x00\x00\x00\x33\x00\x26\x00\x24\x00\x1d\x00\x20\x93\x70\xb2\xc9\xca\xa4\x7f\xba\
    \xba\xf4\x55\x9f\xed\xba\x75\x3d\xe1\x71\xfa\x71\xf5\x0f\x1c\xe1\x5d\x43\xe9\x94\xec\x74\xd7\x48\x00\x2b\x00\x03\x02\x03\x04\x00\
    \x0d\x00\x10\x00\x0e\x04\x03\x05\x03\x06\x03\x02\x03\x08\x04\x08\x05\x08\x06\x00\x2d\x00\x02\x01\x01\x00\x1c\x00\x02\x40\x01\x00\
    \x39\x00\x32\x04\x08\xff\xff\xff\xff\xff\xff\xff\xff\x05\x04\x80\x00\xff\xff\x07\x04\x80\x00\xff\xff\x08\x01\x10\x01\x04\x80\x00\
    \x75\x30\x09\x01\x10\x0f\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\x06\x04\x80\x00\xff\xff";

/// The server's Initial of RFC 9001 appendix A.3.
const ANSWER_V1: &[u8] =
    b"\xcf\x00\x00\x00\x01\x00\x08\xf0\x67\xa5\x50\x2a\x42\x62\xb5\x00\x40\x75\xc0\xd9\x5a\x48\x2c\xd0\x99\x1c\xd2\x5b\x0a\xac\x40\x6a\
    \x58\x16\xb6\x39\x41\x00\xf3\x7a\x1c\x69\x79\x75\x54\x78\x0b\xb3\x8c\xc5\xa9\x9f\x5e\xde\x4c\xf7\x3c\x3e\xc2\x49\x3a\x18\x39\xb3\
    \xdb\xcb\xa3\xf6\xea\x46\xc5\xb7\x68\x4d\xf3\x54\x8e\x7d\xde\xb9\xc3\xbf\x9c\x73\xcc\x3f\x3b\xde\xd7\x4b\x56\x2b\xfb\x19\xfb\x84\
    \x02\x2f\x8e\xf4\xcd\xd9\x37\x95\xd7\x7d\x06\xed\xbb\x7a\xaf\x2f\x58\x89\x18\x50\xab\xbd\xca\x3d\x20\x39\x8c\x27\x64\x56\xcb\xc4\
    \x21\x58\x40\x7d\xd0\x74\xee";

/// That of RFC 9369 appendix A.3.
const ANSWER_V2: &[u8] =
    b"\xdc\x6b\x33\x43\xcf\x00\x08\xf0\x67\xa5\x50\x2a\x42\x62\xb5\x00\x40\x75\xd9\x2f\xaa\xf1\x6f\x05\xd8\xa4\x39\x8c\x47\x08\x96\x98\
    \xba\xee\xa2\x6b\x91\xeb\x76\x1d\x9b\x89\x23\x7b\xbf\x87\x26\x30\x17\x91\x53\x58\x23\x00\x35\xf7\xfd\x39\x45\xd8\x89\x65\xcf\x17\
    \xf9\xaf\x6e\x16\x88\x6c\x61\xbf\xc7\x03\x10\x6f\xba\xf3\xcb\x4c\xfa\x52\x38\x2d\xd1\x6a\x39\x3e\x42\x75\x75\x07\x69\x80\x75\xb2\
    \xc9\x84\xc7\x07\xf0\xa0\x81\x2d\x8c\xd5\xa6\x88\x1e\xaf\x21\xce\xda\x98\xf4\xbd\x23\xf6\xfe\x1a\x3e\x2c\x43\xed\xd9\xce\x7c\xa8\
    \x4b\xed\x85\x21\xe2\xe1\x40";

fn rfc_client(version: u32) -> Sealed<'static> {
    Sealed { version, source: &[], ..Sealed::of_client(DESTINATION, 2) }
}

/// A hello in as many datagrams as it takes pieces of 1,000 bytes.
fn hello_datagrams(name: &str, padding: usize) -> Vec<Vec<u8>> {
    let message = client_hello_message(name, padding);
    let pieces = message.chunks(1_000).enumerate();
    pieces.map(|(number, piece)| Sealed::of_client(DESTINATION, number as u32).seal_padded(&crypto(number * 1_000, piece))).collect()
}

fn server_hello_frame() -> Vec<u8> {
    crypto(0, &server_hello()[5..])
}

#[test]
fn packets_are_those_of_the_rfcs() {
    for (version, start, end) in [
        (1, b"\xc0\x00\x00\x00\x01\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\x00\x00\x44\x9e\x7b\x9a", b"\xe2\x21\xaf\x44\x86\x00\x18\xab"),
        (0x6b33_43cf, b"\xd7\x6b\x33\x43\xcf\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\x00\x00\x44\x9e\xa0\xc9", b"\xa1\x8b\x2f\xaa\x74\x5b\x6f\xe1"),
    ] {
        let packet = rfc_client(version).seal_padded(HELLO_FRAME);
        assert_eq!((packet.len(), &packet[..20], &packet[1_184..1_192]), (1_200, &start[..], &end[..]));
    }
}

#[test]
fn both_hellos_of_the_rfcs_are_read() {
    for (version, answer) in [(1, ANSWER_V1), (0x6b33_43cf, ANSWER_V2)] {
        let mut reader = Reader::default();
        assert_eq!(reader.take(CLIENT, &rfc_client(version).seal_padded(HELLO_FRAME)), Reading::More);
        assert_eq!(reader.take(SERVER, answer), Reading::Done(()));
        let facts = reader.facts();
        assert_eq!((facts.version, facts.sni(), reader.client()), (Some(version), Some("example.com"), Some(CLIENT)));
        assert_eq!(facts.server_hello.as_ref().map(|hello| hello.cipher), Some(0x1301));
        assert_eq!(facts.server_cid.as_deref(), Some(&b"\xf0\x67\xa5\x50\x2a\x42\x62\xb5"[..]));
        assert_eq!((facts.hello_datagrams, facts.hello_bytes), (1, 1_200));
        assert!(facts.transport_parameters.to_string().contains("max_idle_timeout=30000,initial_max_streams_uni=16"));
    }
}

#[test]
fn pieces_in_any_order_between_pings_make_a_hello() {
    let message = client_hello_message("web.whatsapp.com", 0);
    let (front, back) = message.split_at(40);
    let (middle, back) = back.split_at(30);
    let frames = [crypto(70, back), vec![0, 1, 0], crypto(0, front), vec![1], crypto(40, middle)].concat();
    let mut reader = Reader::default();
    reader.take(CLIENT, &Sealed::of_client(DESTINATION, 0).seal_padded(&frames));
    assert_eq!(reader.facts().sni(), Some("web.whatsapp.com"));
}

#[test]
fn the_datagram_that_completes_a_hello_shows() {
    let datagrams = hello_datagrams("i.instagram.com", 1_400);
    let mut reader = Reader::default();
    for (datagram, (known, count)) in [&datagrams[1], &datagrams[1], &datagrams[0]].into_iter().zip([(false, 1), (false, 1), (true, 2)]) {
        reader.take(CLIENT, datagram);
        assert_eq!((reader.facts().client_hello.is_some(), reader.facts().hello_datagrams), (known, count));
    }
    assert_eq!(reader.facts().hello_bytes, 2_400);
}

#[test]
fn packets_share_a_datagram() {
    let hello = Sealed::of_server(DESTINATION, b"theirs", 0).seal(&server_hello_frame());
    let handshake = [&[0xe0, 0, 0, 0, 1, 4][..], b"mine\x06theirs", &[0x40, 30], &[9; 30]].concat();
    let mut reader = Reader::default();
    reader.take(CLIENT, &hello_datagrams("chat.signal.org", 0)[0]);
    let ack = Sealed::of_server(DESTINATION, b"theirs", 0).seal(&[2, 0, 0, 0, 0]);
    assert_eq!(reader.take(SERVER, &[ack, handshake, hello].concat()), Reading::Done(()));
    assert!(reader.facts().server_hello.is_some());
}

#[test]
fn a_retry_changes_the_keys() {
    let mut reader = Reader::default();
    let message = client_hello_message("telegram.org", 1_400);
    reader.take(CLIENT, &Sealed::of_client(DESTINATION, 0).seal_padded(&crypto(0, &message[..1_000])));
    reader.take(SERVER, &[&[0xf0, 0, 0, 0, 1, 4][..], b"mine\x08retrying", &[7; 40]].concat());
    for (number, at) in [(1, 0), (2, 1_000)] {
        let packet = Sealed { token: b"token", ..Sealed::of_client(b"retrying", number) };
        let piece = &message[at..message.len().min(at + 1_000)];
        reader.take(CLIENT, &packet.seal_padded(&crypto(at, piece)));
    }
    assert_eq!(reader.take(SERVER, &Sealed::of_server(b"retrying", b"theirs", 0).seal(&server_hello_frame())), Reading::Done(()));
    let facts = reader.into_facts();
    assert!(facts.retry);
    assert_eq!((facts.sni(), facts.hello_datagrams), (Some("telegram.org"), 2));
}

#[test]
fn the_version_agreed_on_is_the_one() {
    let mut reader = Reader::default();
    let reserved = Sealed { version: 0x1a2a_3a4a, ..Sealed::of_client(DESTINATION, 0) };
    let mut greeting = reserved.seal_padded(&[1]);
    greeting[1_190] ^= 1; // under keys that nobody knows
    assert_eq!(reader.take(CLIENT, &greeting), Reading::More);
    assert_eq!(reader.facts().version, Some(0x1a2a_3a4a));
    reader.take(SERVER, &[&[0x80, 0, 0, 0, 0, 4][..], b"mine\x08", DESTINATION, &[0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf]].concat());
    assert_eq!(reader.client(), Some(CLIENT));
    reader.take(CLIENT, &hello_datagrams("www.youtube.com", 0)[0]);
    let facts = reader.facts();
    assert_eq!((facts.version, facts.sni()), (Some(1), Some("www.youtube.com")));
    assert_eq!(facts.versions_offered, [1, 0x6b33_43cf]);
}

#[test]
fn the_hello_that_the_server_answers_is_the_one() {
    let hello = |destination: &'static [u8], name| Sealed::of_client(destination, 0).seal_padded(&crypto(0, &client_hello_message(name, 0)));
    let mut reader = Reader::default();
    reader.take(CLIENT, &hello(b"misleads", "www.google.com"));
    reader.take(CLIENT, &hello(b"seriously", "discord.com"));
    assert_eq!(reader.facts().sni(), Some("www.google.com"));
    assert_eq!(reader.take(SERVER, &Sealed::of_server(b"seriously", b"theirs", 0).seal(&server_hello_frame())), Reading::Done(()));
    assert_eq!(reader.facts().sni(), Some("discord.com"));
}

#[test]
fn a_server_may_answer_in_another_version() {
    let mut reader = Reader::default();
    reader.take(CLIENT, &hello_datagrams("www.youtube.com", 0)[0]);
    let answer = Sealed { version: 0x6b33_43cf, ..Sealed::of_server(DESTINATION, b"theirs", 0) };
    assert_eq!(reader.take(SERVER, &answer.seal(&server_hello_frame())), Reading::Done(()));
    assert_eq!(reader.facts().version, Some(0x6b33_43cf));
}

#[test]
fn a_request_for_another_hello_is_not_the_answer() {
    let request = server_hello_message(RETRY_RANDOM, &[], 0x1301, &[extension(43, &[3, 4]), extension(51, &[0, 23])]);
    let mut reader = Reader::default();
    reader.take(CLIENT, &hello_datagrams("mmg.whatsapp.net", 0)[0]);
    assert_eq!(reader.take(SERVER, &Sealed::of_server(DESTINATION, b"theirs", 0).seal(&crypto(0, &request))), Reading::More);
    let answer = crypto(request.len(), &server_hello()[5..]);
    assert_eq!(reader.take(SERVER, &Sealed::of_server(DESTINATION, b"theirs", 1).seal(&answer)), Reading::Done(()));
    assert!(reader.facts().hello_retried);
}

#[test]
fn an_early_close_gives_its_code() {
    let mut reader = Reader::default();
    reader.take(CLIENT, &hello_datagrams("web.telegram.org", 0)[0]);
    let close = Sealed::of_server(DESTINATION, b"theirs", 0).seal(&[0x1c, 0x41, 0x78, 6, 0]);
    assert_eq!(reader.take(SERVER, &close), Reading::Done(()));
    assert_eq!(reader.facts().closed, Some(0x178), "no_application_protocol (RFC 9001 section 4.8, RFC 7301)");
}

#[test]
fn a_capture_that_begins_in_the_middle_claims_only_the_version() {
    let mut reader = Reader::default();
    assert_eq!(reader.take(SERVER, ANSWER_V1), Reading::More);
    assert_eq!((reader.facts().version, reader.client(), reader.facts().sni()), (Some(1), None, None));
}

#[test]
fn a_fixed_bit_left_out_is_accepted_where_the_packet_opens() {
    let mut datagram = Sealed { has_fixed_bit: false, ..Sealed::of_client(DESTINATION, 0) }.seal_padded(HELLO_FRAME);
    let mut reader = Reader::default();
    reader.take(CLIENT, &datagram);
    assert_eq!(reader.facts().sni(), Some("example.com"));
    datagram[900] ^= 1;
    assert_eq!(Reader::default().take(CLIENT, &datagram), Reading::Not);
}

#[test]
fn what_only_looks_similar_is_refused() {
    let stun = crate::app::stun::build::message(1, &[]);
    let dtls = [&[0x16, 0xfe, 0xfd][..], &[0; 60]].concat();
    let rtp = [&[0x80, 0, 0, 1, 0, 0, 0, 0][..], &[7; 160]].concat();
    let rtp_of_zeros = [&[0x80, 0, 0, 0, 0, 0, 0, 0][..], &[0; 160]].concat();
    let short = [&[0x40][..], &[3; 60]].concat();
    let long_of_nobody = [&[0xc3, 0x12, 0x34, 0x56, 0x78, 8][..], &[3; 1_300]].concat();
    for datagram in [&stun, &dtls, &rtp, &rtp_of_zeros, &short, &long_of_nobody] {
        let mut reader = Reader::default();
        assert_eq!(reader.take(CLIENT, datagram), Reading::Not, "{:02x?}", &datagram[..4]);
        assert_eq!(reader.held(), 0);
    }
}

#[test]
fn a_damaged_initial_names_no_host() {
    let mut datagram = hello_datagrams("chat.signal.org", 0).remove(0);
    datagram[700] ^= 1;
    let mut reader = Reader::default();
    assert_eq!(reader.take(CLIENT, &datagram), Reading::More);
    assert_eq!((reader.facts().version, reader.facts().sni(), reader.client()), (Some(1), None, None));
}

#[test]
fn reading_ends_however_much_comes() {
    let mut reader = Reader::default();
    let first = &hello_datagrams("chat.signal.org", 1_400)[0];
    let readings: Vec<_> = (0..DATAGRAMS_MAX).map(|_| reader.take(CLIENT, first)).collect();
    assert_eq!(readings.iter().filter(|reading| **reading == Reading::More).count() as u32, DATAGRAMS_MAX - 1);
    assert!(reader.held() < 1_000, "what was kept for reading on is gone: {}", reader.held());
}

/// A client hello of Google's in stream 1 of its version's first packet.
fn google_hello(version: &[u8; 4]) -> Vec<u8> {
    let values: [(&[u8; 4], &[u8]); 3] = [(b"SNI\0", b"www.google.com"), (b"VER\0", version), (b"UAID", b"Chrome/63")];
    let mut hello = [&b"CHLO"[..], &[3, 0, 0, 0]].concat();
    let mut end = 0;
    for (tag, value) in values {
        end += value.len() as u32;
        hello.extend([&tag[..], &end.to_le_bytes()].concat());
    }
    values.iter().for_each(|(_, value)| hello.extend(*value));
    let big_endian = version >= b"Q039";
    let len = if big_endian { (hello.len() as u16).to_be_bytes() } else { (hello.len() as u16).to_le_bytes() };
    [&[0xa0, 1][..], &len, &hello, &[0; 40]].concat()
}

#[test]
fn google_s_own_hello_is_read_in_clear() {
    for version in [b"Q035", b"Q039", b"Q043"] {
        let datagram = [&[0x09][..], &[5; 8], version, &[1], &[0xee; 12], &google_hello(version)].concat();
        let mut reader = Reader::default();
        assert_eq!(reader.take(CLIENT, &datagram), Reading::Done(()));
        let facts = reader.facts();
        assert_eq!((facts.sni(), facts.version.map(version_name)), (Some("www.google.com"), Some(String::from_utf8_lossy(version).into_owned())));
        assert_eq!(facts.chlo.as_ref().and_then(|hello| hello.user_agent.as_deref()), Some("Chrome/63"));
    }
}

#[test]
fn google_s_hello_of_q046_and_q050_is_read() {
    let q046 = [&[0xc3][..], b"Q046", &[0x50], &[5; 8], &[0, 0, 0, 1], &[0xee; 12], &google_hello(b"Q046")].concat();
    let hello = google_hello(b"Q050");
    let frames = [&[0x08, 0, 0x40, (hello.len() - 44) as u8][..], &hello[4..]].concat();
    let q050 = Sealed { version: 0x5130_3530, ..Sealed::of_client(DESTINATION, 0) }.seal_padded(&frames);
    for datagram in [q046, q050] {
        let mut reader = Reader::default();
        assert_eq!(reader.take(CLIENT, &datagram), Reading::Done(()));
        assert_eq!(reader.facts().sni(), Some("www.google.com"));
    }
}

#[test]
fn google_s_server_offers_other_versions() {
    let mut reader = Reader::default();
    assert_eq!(reader.take(SERVER, &[&[0x09][..], &[5; 8], b"Q043Q046"].concat()), Reading::More);
    assert_eq!((reader.client(), reader.facts().versions_offered.len()), (Some(CLIENT), 2));
}

#[test]
fn a_short_header_shows_where_the_id_stands() {
    let packet = [&[0x52][..], &[7; 30]].concat();
    assert_eq!(short_header_id(&packet), Some(&[7; 20][..]));
    assert_eq!(short_header_id(&[0xc0, 0, 0, 0, 1]), None);
    assert_eq!(short_header_id(&[]), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(datagrams in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..120)), 0..8)) {
        let mut reader = Reader::default();
        for (from_client, datagram) in datagrams {
            reader.take(if from_client { CLIENT } else { SERVER }, &datagram);
        }
    }

    #[test]
    fn no_frames_make_it_panic(frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 4..80), 1..4), google in any::<bool>()) {
        let mut reader = Reader::default();
        let version = if google { 0x5130_3530 } else { 1 };
        for (number, frames) in frames.iter().enumerate() {
            let packet = if number == 1 { Sealed::of_server(DESTINATION, b"theirs", 1) } else { Sealed::of_client(DESTINATION, number as u32) };
            reader.take(if number == 1 { SERVER } else { CLIENT }, &Sealed { version, ..packet }.seal(frames));
        }
        prop_assert_eq!(reader.client(), Some(CLIENT));
    }

    #[test]
    fn no_hello_of_google_s_makes_it_panic(at in 0usize..200, value in any::<u8>(), cut in 26usize..200) {
        let mut datagram = [&[0x09][..], &[5; 8], b"Q043", &[1], &[0xee; 12], &google_hello(b"Q043")].concat();
        let at = at % datagram.len();
        datagram[at] = value;
        datagram.truncate(cut);
        Reader::default().take(CLIENT, &datagram);
    }

    #[test]
    fn no_damage_invents_a_name(at in 0usize..1_200, value in any::<u8>(), cut in 1usize..1_400) {
        let mut datagram = hello_datagrams("chat.signal.org", 0).remove(0);
        let unharmed = datagram[at] == value && cut >= datagram.len();
        datagram[at] = value;
        datagram.truncate(cut);
        let mut reader = Reader::default();
        reader.take(CLIENT, &datagram);
        prop_assert_eq!(reader.facts().sni().is_some(), unharmed);
    }

    #[test]
    fn neither_order_nor_copies_change_the_name(order in Just((0..4usize).collect::<Vec<_>>()).prop_shuffle(), twice in 0usize..4) {
        let datagrams = hello_datagrams("www.facebook.com", 3_300);
        let mut reader = Reader::default();
        for &index in [twice].iter().chain(&order) {
            reader.take(CLIENT, &datagrams[index]);
        }
        prop_assert_eq!(reader.facts().sni(), Some("www.facebook.com"));
        prop_assert_eq!(reader.facts().hello_datagrams, 4);
    }
}
