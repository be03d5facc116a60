//! Scenes of connections: what their clear part says, whatever way it came.

use proptest::prelude::*;

use super::build::{self, block8, block16, extension, record, records, server_name, values16};
use super::*;
use crate::app::Reading;

const CHANGE_CIPHER_SPEC: [u8; 6] = [20, 3, 3, 0, 1, 1];
/// What a reader made of a stream.
#[derive(Debug, PartialEq)]
struct Read {
    messages: Vec<Message>,
    /// The reader said that nothing more is to come.
    is_over: bool,
    is_tls: bool,
    so_far: Option<ClientHello>,
}

/// Reads a stream that comes in segments of `segment` bytes.
fn read(stream: &[u8], segment: usize) -> Read {
    let mut reader = Reader::default();
    let mut messages = Vec::new();
    let (mut used, mut known) = (0, 0);
    loop {
        let step = reader.step(&stream[used..known]);
        used += step.used;
        let is_over = step.reading == Reading::Not;
        match step.reading {
            Reading::Done(message) => messages.push(message),
            Reading::More if known < stream.len() => known = stream.len().min(known + segment),
            _ => return Read { messages, is_over, is_tls: reader.is_tls(), so_far: reader.client_hello_so_far(&stream[used..known]) },
        }
    }
}

fn messages(stream: &[u8]) -> Vec<Message> {
    read(stream, usize::MAX).messages
}

fn client_hellos(stream: &[u8]) -> Vec<ClientHello> {
    let hello = |message| if let Message::ClientHello(hello) = message { Some(*hello) } else { None };
    messages(stream).into_iter().filter_map(hello).collect()
}

#[track_caller]
fn hello_of(stream: &[u8]) -> ClientHello {
    client_hellos(stream).into_iter().next().expect("a ClientHello")
}

/// A ClientHello of TLS 1.2.
fn old_hello(session_id: &[u8], extensions: &[Vec<u8>]) -> ClientHello {
    let message = build::message(1, &build::client_hello_body(0x0303, session_id, &[0xc02f], extensions));
    client_hello(&message, Carrier::Tcp).expect("a hello")
}

/// A server of TLS 1.2 up to its last clear message.
fn server_of_1_2(session_id: &[u8]) -> Vec<u8> {
    let chain = [build::certificate("chat.example", &[192, 0, 2, 7]), build::certificate("ca.example", &[192, 0, 2, 8])];
    let hello = build::server_hello_message([7; 32], session_id, 0xc02f, &[extension(16, &block16(b"\x02h2"))]);
    [hello, build::certificate_message(&chain), build::message(22, &[1; 500]), build::message(12, &[2; 300]), build::message(14, &[])].concat()
}

/// A client that was asked for a second hello.
fn client_asked_again() -> Vec<u8> {
    let hello = build::client_hello("web.whatsapp.com");
    [&hello[..], &CHANGE_CIPHER_SPEC, &hello, &record(23, &[9; 60])].concat()
}

#[test]
fn a_hello_in_one_record_names_host_protocols_and_version() {
    let stream = build::client_hello("web.whatsapp.com");
    let hello = hello_of(&stream);
    assert_eq!(hello.sni.as_deref(), Some("web.whatsapp.com"));
    assert_eq!(hello.alpn, ["h2", "http/1.1"]);
    assert_eq!((hello.legacy_version, hello.version, &hello.versions[..]), (0x0303, 0x0304, &[0x0304, 0x0303][..]));
    assert_eq!((hello.stream_bytes as usize, hello.message_bytes as usize, hello.records), (stream.len(), stream.len() - 5, 1));
    assert_eq!(hello.random, Some([9; 32]));
}

#[test]
fn a_hello_tells_groups_key_shares_early_data_and_ech() {
    let shares = block16(&[&[0x2a, 0x2a, 0, 1, 0, 0x11, 0xec][..], &block16(&[1; 1_216]), &[0, 29], &block16(&[1; 32])].concat());
    let ech = [&[0, 0, 1, 0, 1, 77][..], &block16(&[5; 32]), &block16(&[6; 144])].concat();
    let extensions = [extension(10, &values16(&[0x2a2a, 0x11ec, 29, 23])), extension(51, &shares), extension(42, &[]), extension(0xfe0d, &ech)];
    let hello = old_hello(&[], &extensions);
    assert_eq!((hello.groups, hello.key_shares), (vec![0x11ec, 29, 23], vec![0x11ec, 29]));
    assert!(hello.early_data);
    assert_eq!(hello.ech, Some(EchOffer::Outer { config_id: 77, kdf: 1, aead: 1, enc_bytes: 32, payload_bytes: 144 }));
}

#[test]
fn a_client_resumes_with_a_key_a_ticket_or_an_id_that_means_something() {
    let versions = extension(43, &block8(&[3, 4]));
    assert!(!old_hello(&[], &[extension(35, &[])]).resumes, "an empty ticket asks for one");
    assert!(old_hello(&[], &[extension(35, &[1; 100])]).resumes);
    assert!(old_hello(&[5; 32], &[]).resumes);
    assert!(!old_hello(&[5; 32], std::slice::from_ref(&versions)).resumes, "the id is there for boxes in the path");
    assert!(old_hello(&[5; 32], &[versions, extension(41, &[0; 40])]).resumes);
}

#[test]
fn an_extension_that_breaks_its_rules_hides_nothing_else() {
    let hello = old_hello(&[], &[extension(16, &[0, 99, 1]), server_name("i.instagram.com")]);
    assert_eq!((hello.alpn.len(), hello.sni.as_deref()), (0, Some("i.instagram.com")));
}

#[test]
fn lists_are_bounded() {
    let groups: Vec<u16> = (1..9_000).collect();
    let names = b"\x01a".repeat(4_000);
    let hello = old_hello(&[], &[extension(10, &values16(&groups)), extension(16, &block16(&names))]);
    assert_eq!((hello.groups.len(), hello.alpn.len()), (64, 32));
}

#[test]
fn records_may_cut_a_hello_anywhere() {
    let message = build::client_hello_message("web.telegram.org", 1_500);
    for piece in [1, 3, 100, 1_000] {
        let stream = records(&message, piece);
        let hello = hello_of(&stream);
        assert_eq!(hello.sni.as_deref(), Some("web.telegram.org"));
        assert_eq!((hello.message_bytes as usize, hello.stream_bytes as usize), (message.len(), stream.len()));
        assert_eq!(hello.records as usize, message.len().div_ceil(piece));
    }
}

#[test]
fn a_cut_hello_still_shows_the_name_before_the_cut_but_no_fingerprint() {
    let stream = build::client_hello("chat.signal.org");
    let read = read(&stream[..stream.len() - 12], 50);
    let hello = read.so_far.expect("the start of a hello");
    assert!(read.messages.is_empty() && !read.is_over);
    assert_eq!((hello.sni.as_deref(), hello.message_bytes as usize), (Some("chat.signal.org"), stream.len() - 5));
    assert_eq!((hello.ja3, hello.ja4, hello.stream_bytes as usize), (None, None, stream.len() - 12));
}

#[test]
fn a_hello_that_breaks_off_inside_shows_what_stands_before() {
    let mut body = build::client_hello_body(0x0303, &[], &[0x1301], &[server_name("chat.signal.org"), extension(16, &[1, 2, 3])]);
    let length = body.len() - 5;
    body[length..length + 2].copy_from_slice(&[0xff, 0xff]); // the last extension says it is longer than the message
    let read = read(&record(22, &build::message(1, &body)), 1_000);
    assert!(read.messages.is_empty() && read.is_over);
    assert_eq!(read.so_far.and_then(|hello| hello.sni).as_deref(), Some("chat.signal.org"));
}

#[test]
fn a_server_of_1_3_says_hello_and_no_more_in_clear() {
    let share = [&[0, 29][..], &block16(&[1; 32])].concat();
    let hello = build::server_hello_message([7; 32], &[4; 32], 0x1302, &[extension(51, &share), extension(43, &[3, 4]), extension(41, &[0, 0])]);
    let stream = [record(22, &hello), CHANGE_CIPHER_SPEC.to_vec(), record(22, &build::message(2, &[3; 50]))].concat();
    let read = read(&stream, 1_000);
    let [Message::ServerHello(hello)] = &read.messages[..] else { panic!("{read:?}") };
    assert_eq!((hello.version, hello.legacy_version, hello.cipher), (0x0304, 0x0303, 0x1302));
    assert_eq!((hello.group, hello.is_retry, hello.resumes_psk, hello.session_id.as_bytes()), (Some(29), false, true, &[4; 32][..]));
    assert!(read.is_over);
}

#[test]
fn a_server_of_1_2_shows_protocol_and_certificate() {
    let read = read(&[records(&server_of_1_2(&[]), 700), CHANGE_CIPHER_SPEC.to_vec(), record(22, &[1; 40])].concat(), 100);
    let [Message::ServerHello(hello), Message::Certificate(certificate)] = &read.messages[..] else { panic!("{read:?}") };
    assert_eq!((hello.version, hello.cipher, hello.alpn.as_deref()), (0x0303, 0xc02f, Some("h2")));
    assert_eq!((&certificate.subject[..], &certificate.issuer[..]), ("CN=chat.example", "CN=Test CA"));
    assert_eq!(certificate.sans, ["chat.example", "192.0.2.7"]);
    assert_eq!((certificate.not_before, certificate.not_after, certificate.chain_length), (1_704_067_200, 1_735_689_600, 2));
    assert!(read.is_over, "the rest is encrypted");
}

#[test]
fn names_in_certificates_are_text_of_any_kind_and_never_long() {
    let issuer = |tag, text: &[u8]| {
        let certificate = build::certificate_by(tag, text, "chat.example", &[0; 4]);
        Certificate::read(&build::certificate_message(&[certificate])[4..]).expect("a certificate").issuer
    };
    assert_eq!(issuer(30, &[0, b'C', 0, b'A', 4, 0x16]), "CN=CA\u{416}");
    assert_eq!(issuer(20, b"M\xfcller"), "CN=M\u{fffd}ller");
    assert_eq!(issuer(12, "\u{416}".repeat(4_000).as_bytes()).len(), 511, "cut between two letters");
}

#[test]
fn a_damaged_certificate_hides_nothing_else() {
    let hello = build::server_hello_message([7; 32], &[], 0xc02f, &[]);
    let chain = build::certificate_message(&[vec![0x30, 0x82, 1, 1, 7]]);
    let stream = [record(22, &[hello, chain].concat()), record(21, &[2, 40])].concat();
    assert!(matches!(&messages(&stream)[..], [Message::ServerHello(_), Message::Alert(Alert { level: 2, description: 40 })]));
}

#[test]
fn the_certificate_of_a_client_is_not_the_servers() {
    let hello = build::message(1, &build::client_hello_body(0x0303, &[], &[0xc02f], &[]));
    let stream = [record(22, &hello), record(22, &build::certificate_message(&[build::certificate("me.example", &[0; 4])]))].concat();
    assert!(matches!(&messages(&stream)[..], [Message::ClientHello(_)]));
}

#[test]
fn a_session_is_resumed_where_the_server_repeats_the_id_or_takes_the_key() {
    let server = |id: &[u8], extensions: &[Vec<u8>]| server_hello(&build::server_hello_message([7; 32], id, 0xc02f, extensions)).expect("a hello");
    assert!(resumed(&old_hello(&[5; 32], &[]), &server(&[5; 32], &[])));
    assert!(!resumed(&old_hello(&[5; 32], &[]), &server(&[6; 32], &[])));
    assert!(!resumed(&old_hello(&[], &[]), &server(&[], &[])));
    let selected = extension(43, &[3, 4]);
    assert!(!resumed(&old_hello(&[5; 32], &[]), &server(&[5; 32], std::slice::from_ref(&selected))), "TLS 1.3 repeats it always");
    assert!(resumed(&old_hello(&[5; 32], &[]), &server(&[5; 32], &[selected, extension(41, &[0, 0])])));
}

#[test]
fn a_client_that_is_asked_again_says_two_hellos() {
    let stream = client_asked_again();
    let hellos = client_hellos(&stream);
    assert_eq!(hellos.len(), 2);
    assert_eq!(hellos[1].stream_bytes as usize, stream.len() - 65);
}

#[test]
fn a_server_that_asks_again_says_two_hellos() {
    let retry = record(22, &build::server_hello_message(RETRY_RANDOM, &[], 0x1301, &[extension(43, &[3, 4]), extension(51, &[0, 23])]));
    let read = messages(&[&retry[..], &CHANGE_CIPHER_SPEC, &build::server_hello()].concat());
    let [Message::ServerHello(retry), Message::ServerHello(hello)] = &read[..] else { panic!("{read:?}") };
    assert_eq!((retry.is_retry, retry.group, retry.version, hello.is_retry), (true, Some(23), 0x0304, false));
}

#[test]
fn an_encrypted_message_is_not_taken_for_a_second_hello() {
    let hello = build::client_hello("web.whatsapp.com");
    for encrypted in [vec![1; 40], [&[1, 0, 0, 36][..], &[3; 36]].concat(), vec![0; 40], vec![1, 0, 0, 36, 3, 1]] {
        let read = read(&[&hello[..], &CHANGE_CIPHER_SPEC, &record(22, &encrypted)].concat(), 1_000);
        assert_eq!((read.messages.len(), read.is_over, read.so_far), (1, true, None), "{encrypted:?}");
    }
}

#[test]
fn an_alert_is_read_when_all_of_it_came_and_only_in_clear() {
    let (clear, encrypted) = (record(21, &[2, 40]), record(21, &[2; 26]));
    assert_eq!(messages(&clear), [Message::Alert(Alert { level: 2, description: 40 })]);
    assert!(!read(&clear[..6], 1).is_over);
    for came in [6, 7, 20, encrypted.len()] {
        let read = read(&encrypted[..came], 1);
        assert_eq!((read.messages.len(), read.is_over, read.is_tls), (0, true, true), "{came} bytes of an encrypted alert");
    }
}

#[test]
fn an_alert_behind_a_hello_is_read() {
    let stream = [build::client_hello("web.whatsapp.com"), record(21, &[2, 48])].concat();
    assert!(matches!(&messages(&stream)[..], [Message::ClientHello(_), Message::Alert(Alert { description: 48, .. })]));
}

#[test]
fn the_middle_of_a_connection_is_known_for_tls() {
    let finished = record(22, &[20, 0, 0, 12, 7, 7, 7, 7]);
    for stream in [&finished[..], &record(23, &[9; 30]), &CHANGE_CIPHER_SPEC] {
        let read = read(stream, 1);
        assert_eq!((read.messages.len(), read.is_over, read.is_tls), (0, true, true));
    }
}

#[test]
fn other_protocols_are_refused_at_once() {
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"SSH-2.0-OpenSSH", &[0x16, 2, 0, 0, 9], &[0x16, 3, 1, 0xff, 0xff], &[0x80, 0x2c, 2], &[0xff; 8]] {
        let read = read(bytes, 1);
        assert!(read.is_over && !read.is_tls && read.so_far.is_none(), "{bytes:?}");
    }
}

#[test]
fn a_hello_of_sslv2_style_tells_version_and_length() {
    let message = [&[1, 3, 1, 0, 6, 0, 16, 0, 16][..], &[0, 0, 0x2f, 7, 0, 0xc0], &[4; 16], &[5; 16]].concat();
    let stream = [&[0x80, message.len() as u8][..], &message, &record(21, &[1, 0])].concat();
    let read = messages(&stream);
    let [Message::ClientHello(hello), Message::Alert(_)] = &read[..] else { panic!("{read:?}") };
    assert_eq!((hello.version, hello.stream_bytes as usize, hello.resumes), (0x0301, message.len() + 2, true));
    assert_eq!((hello.ja3, &hello.ja4, hello.random), (None, &None, None));
}

#[test]
fn a_whole_message_is_read_without_records() {
    let message = build::client_hello_message("www.youtube.com", 0);
    let hello = client_hello(&message, Carrier::Quic).expect("a hello");
    assert_eq!((hello.sni.as_deref(), hello.stream_bytes as usize, hello.records), (Some("www.youtube.com"), message.len(), 0));
    assert!(hello.ja4.is_some_and(|ja4| ja4.starts_with("q13d0204h2_")));
    assert!(matches!(client_hello(&message[..60], Carrier::Quic), Err(ParseError::Truncated { .. })), "more bytes may come");
    assert!(server_hello(&message).is_err());
}

/// Streams of both sides whose every message is known.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let client = (0usize..3_000, 1usize..2_000).prop_map(|(padding, piece)| records(&build::client_hello_message("www.youtube.com", padding), piece));
    let server = (1usize..2_000).prop_map(|piece| [records(&server_of_1_2(&[]), piece), record(21, &[1, 0])].concat());
    prop_oneof![client, server, Just(client_asked_again()), Just([build::server_hello(), record(23, &[1; 99])].concat())]
}

proptest! {
    #[test]
    fn segmentation_never_changes_the_answer(stream in stream(), segment in 1usize..1_500) {
        let (whole, torn) = (read(&stream, usize::MAX), read(&stream, segment));
        prop_assert!(!whole.messages.is_empty());
        prop_assert_eq!((whole.messages, whole.is_over, whole.is_tls), (torn.messages, torn.is_over, torn.is_tls));
    }

    #[test]
    fn what_a_prefix_tells_stays(stream in stream(), cut in any::<prop::sample::Index>()) {
        let (whole, cut) = (messages(&stream), messages(&stream[..cut.index(stream.len())]));
        prop_assert_eq!(&whole[..cut.len()], &cut[..]);
    }

    #[test]
    fn every_shorter_prefix_asks_for_more(cut in 0usize..200, padding in 0usize..3_000) {
        let stream = record(22, &build::client_hello_message("www.youtube.com", padding));
        let read = read(&stream[..cut.min(stream.len() - 1)], usize::MAX);
        prop_assert!(read.messages.is_empty() && !read.is_over);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), segment in 1usize..200) {
        let _ = (read(&bytes, segment), client_hello(&bytes, Carrier::Quic), server_hello(&bytes));
    }

    #[test]
    fn no_damage_makes_it_panic(stream in stream(), at in any::<prop::sample::Index>(), value in any::<u8>(), segment in 1usize..1_500) {
        let mut stream = stream;
        let at = at.index(stream.len());
        stream[at] = value;
        let read = read(&stream, segment);
        prop_assert!(read.messages.len() < 8);
    }

    #[test]
    fn no_damaged_certificate_makes_it_panic(at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut certificate = build::certificate("chat.example", &[192, 0, 2, 7]);
        let at = at.index(certificate.len());
        certificate[at] = value;
        certificate.truncate(cut.index(certificate.len()) + 1);
        let _ = Certificate::read(&build::certificate_message(&[certificate])[4..]);
    }
}
