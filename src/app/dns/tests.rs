//! Messages by hand, the test vectors of RFC 9460, and properties of any bytes.

use std::net::IpAddr;

use proptest::prelude::*;

use super::records::kind::{A, AAAA, CNAME, HTTPS, MX, OPT, RRSIG, TXT};
use super::*;
use crate::app::{Cursor, ParseError, Reading};

const QUERY: u16 = 0x0100;
const RESPONSE: u16 = 0x8180;
const TRUNCATED: u16 = 0x0200;

fn wire_name(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).chain([0]).collect()
}

/// A message as it is put together record by record.
struct Draft {
    flags: u16,
    question: (String, u16),
    records: [Vec<Vec<u8>>; 3],
}

impl Draft {
    fn new(flags: u16, name: &str, kind: u16) -> Self {
        Self { flags, question: (name.to_owned(), kind), records: Default::default() }
    }

    fn record(mut self, section: usize, name: &str, kind: u16, class: u16, ttl: u32, data: &[u8]) -> Self {
        let fixed = [&kind.to_be_bytes()[..], &class.to_be_bytes(), &ttl.to_be_bytes(), &(data.len() as u16).to_be_bytes()].concat();
        self.records[section].push([wire_name(name), fixed, data.to_vec()].concat());
        self
    }

    fn answer(self, name: &str, kind: u16, ttl: u32, data: &[u8]) -> Self {
        self.record(0, name, kind, 1, ttl, data)
    }

    fn a(self, name: &str, ttl: u32, address: [u8; 4]) -> Self {
        self.answer(name, A, ttl, &address)
    }

    fn cname(self, name: &str, ttl: u32, target: &str) -> Self {
        self.answer(name, CNAME, ttl, &wire_name(target))
    }

    fn edns(self, ttl: u32, options: &[u8]) -> Self {
        self.record(2, "", OPT, 1232, ttl, options)
    }

    fn bytes(&self) -> Vec<u8> {
        let counts = self.records.each_ref().map(|section| (section.len() as u16).to_be_bytes());
        let start = [[0x12, 0x34], self.flags.to_be_bytes(), [0, 1], counts[0], counts[1], counts[2]].concat();
        let (name, kind) = &self.question;
        [start, wire_name(name), kind.to_be_bytes().to_vec(), vec![0, 1], self.records.concat().concat()].concat()
    }

    fn message(&self) -> Message {
        Message::read(&self.bytes()).expect("a message")
    }
}

fn chat() -> Draft {
    Draft::new(RESPONSE, "Web.WhatsApp.com", A).cname("web.whatsapp.com", 3600, "mmx-ds.cdn.whatsapp.net").a(
        "mmx-ds.cdn.whatsapp.net",
        60,
        [157, 240, 0, 60],
    )
}

#[test]
fn a_query_says_what_it_asks() {
    let message = Draft::new(QUERY, "Web.WhatsApp.com", AAAA).edns(0x8000, &[0, 8, 0, 4, 0, 1, 24, 0]).message();
    assert_eq!(message.question, Some(Question { name: "Web.WhatsApp.com".into(), kind: AAAA, class: 1 }));
    assert_eq!((message.id, message.is_response, message.recursion_desired, message.whole), (0x1234, false, true, true));
    assert_eq!(message.edns, Some(Edns { udp_size: 1232, version: 0, dnssec_ok: true, errors: vec![], client_subnet: true }));
}

#[test]
fn an_answer_goes_along_its_aliases() {
    let message = chat().message();
    assert_eq!(message.answers_as_text(), ["157.240.0.60"]);
    assert_eq!(message.cnames(), ["mmx-ds.cdn.whatsapp.net"]);
    assert_eq!(message.min_ttl(), Some(60));
    assert_eq!(message.addresses().collect::<Vec<_>>(), [(IpAddr::from([157, 240, 0, 60]), 60)]);
}

#[test]
fn addresses_of_other_names_are_not_those_of_the_asked_one() {
    let message = chat().a("elsewhere.example", 9, [192, 0, 2, 1]).message();
    assert_eq!(message.answers_as_text(), ["157.240.0.60", "192.0.2.1"]);
    assert_eq!(message.addresses().count(), 1);
}

#[test]
fn errors_say_why_a_name_has_no_address() {
    // Filtered, in words; then a blocked one without.
    let options = [&[0, 15, 0, 5, 0, 17][..], b"law", &[0, 15, 0, 2, 0, 15]].concat();
    let message = Draft::new(RESPONSE | 3, "signal.org", A).edns(0, &options).message();
    assert_eq!((rcode_name(message.rcode).as_str(), message.edns.expect("EDNS").errors), ("NXDOMAIN", vec![17, 15]));
    assert_eq!(Draft::new(RESPONSE | 7, "signal.org", A).edns(0x0100_0000, &[]).message().rcode, 23, "the upper bits stand in EDNS");
}

#[test]
fn data_are_shown_as_in_zone_files() {
    let message = Draft::new(RESPONSE, "x.example", 255)
        .answer("x.example", MX, 5, &[&[0, 10][..], &wire_name("mail.example")].concat())
        .answer("x.example", TXT, 5, b"\x02v=\x04spf1")
        .answer("x.example", AAAA, 5, &[0; 15])
        .answer("x.example", 257, 5, b"abc")
        .message();
    assert_eq!(message.answers_as_text(), ["10 mail.example", "v=spf1", "\\# 15", "\\# 3"], "an address of 15 bytes is none");
    assert_eq!([kind_name(257), kind_name(65), kind_name(4711)], ["CAA", "HTTPS", "TYPE4711"]);
}

fn https(data: &[u8]) -> Svcb {
    match Draft::new(RESPONSE, "x.example", HTTPS).answer("x.example", HTTPS, 300, data).message().answers.remove(0).data {
        Data::Service(service) => service,
        other => panic!("{other:?}"),
    }
}

/// RFC 9460 appendix D.2: figures 2, 4, 7 and 9.
#[test]
fn service_bindings_are_read_as_their_vectors_say() {
    let foo = wire_name("foo.example.com");
    assert_eq!(https(&[&[0, 0][..], &foo].concat()).to_string(), "0 foo.example.com");
    assert_eq!(https(&[&[0, 16][..], &foo, &[0, 3, 0, 2, 0, 53]].concat()).to_string(), "16 foo.example.com port=53");
    let hints = [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[1], &[0x20, 1, 0x0d, 0xb8], &[0; 8], &[0, 0x53, 0, 1]].concat();
    let bytes = [&[0, 1][..], &foo, &[0, 6, 0, 32], &hints].concat();
    assert_eq!(https(&bytes).to_string(), "1 foo.example.com ipv6hint=2001:db8::1,2001:db8::53:1");
    let mandatory = [0, 0, 0, 4, 0, 1, 0, 4];
    let rest = [&[0, 1, 0, 9, 2][..], b"h2", &[5], b"h3-19", &[0, 4, 0, 4, 192, 0, 2, 1]].concat();
    assert_eq!(https(&[&[0, 16][..], &foo, &mandatory, &rest].concat()).to_string(), "16 foo.example.com alpn=\"h2,h3-19\" ipv4hint=192.0.2.1");
}

#[test]
fn hints_are_addresses_of_the_name() {
    let data = [&[0, 1, 0][..], &[0, 1, 0, 3, 2], b"h3", &[0, 4, 0, 8, 192, 0, 2, 1, 192, 0, 2, 2]].concat();
    let message = Draft::new(RESPONSE, "x.example", HTTPS).answer("x.example", HTTPS, 300, &data).message();
    assert_eq!(message.answers_as_text(), ["1 . alpn=\"h3\" ipv4hint=192.0.2.1,192.0.2.2"]);
    assert_eq!(message.addresses().map(|(_, ttl)| ttl).collect::<Vec<_>>(), [300, 300]);
}

#[test]
fn configurations_for_ech_are_read_and_unknown_versions_passed_over() {
    let contents = [&[42, 0, 0x20, 0, 4][..], b"key!", &[0, 4, 0, 1, 0, 1, 32, 11], b"ech.example", &[0, 0]].concat();
    let known = [&[0xfe, 0x0d, 0, contents.len() as u8][..], &contents].concat();
    let list = [&[0xfe, 0x0a, 0, 2, 1, 2][..], &known].concat();
    let value = [&[0, list.len() as u8][..], &list].concat();
    let service = https(&[&[0, 1, 0, 0, 5, 0, value.len() as u8][..], &value].concat());
    let config =
        EchConfig { version: 0xfe0d, config_id: 42, kem: 0x20, suites: vec![(1, 1)], maximum_name_length: 32, public_name: "ech.example".into() };
    assert_eq!(service.ech, [config]);
    assert_eq!(service.to_string(), "1 . ech=ech.example");
}

#[test]
fn order_case_and_lifetimes_make_no_other_answer() {
    let one = Draft::new(RESPONSE, "x.example", A).a("x.example", 60, [1, 1, 1, 1]).a("x.example", 60, [2, 2, 2, 2]);
    let same =
        Draft::new(RESPONSE, "X.example", A).a("X.EXAMPLE", 7, [2, 2, 2, 2]).a("x.example", 9, [1, 1, 1, 1]).answer("x.example", RRSIG, 7, b"signed");
    let other = Draft::new(RESPONSE, "x.example", A).a("x.example", 60, [10, 10, 34, 35]);
    let refused = Draft::new(RESPONSE | 3, "x.example", A);
    assert!(one.message().same_answer(&same.message()));
    assert!(!one.message().same_answer(&other.message()), "another address");
    assert!(!one.message().same_answer(&refused.message()), "another rcode");
}

#[test]
fn an_answer_that_was_cut_is_no_other_answer() {
    let one = Draft::new(RESPONSE, "x.example", A).a("x.example", 60, [1, 1, 1, 1]).a("x.example", 60, [2, 2, 2, 2]);
    let first = Draft::new(RESPONSE | TRUNCATED, "x.example", A).a("x.example", 60, [1, 1, 1, 1]);
    let other = Draft::new(RESPONSE | TRUNCATED, "x.example", A).a("x.example", 60, [3, 3, 3, 3]);
    assert!(one.message().same_answer(&first.message()) && first.message().same_answer(&one.message()));
    assert!(!one.message().same_answer(&other.message()));
}

#[test]
fn what_stands_before_a_cut_is_read() {
    let bytes = chat().bytes();
    let message = Message::read(&bytes[..bytes.len() - 1]).expect("header and question are whole");
    assert_eq!((message.cnames(), message.answers_as_text(), message.whole), (vec!["mmx-ds.cdn.whatsapp.net"], vec![], false));
    let message = Message::read(&bytes[..20]).expect("the header is whole");
    assert_eq!((message.id, message.question, message.whole), (0x1234, None, false));
    assert!(matches!(Message::read(&bytes[..11]), Err(ParseError::Truncated { .. })));
}

#[test]
fn counts_that_lie_cost_nothing() {
    let mut bytes = Draft::new(RESPONSE, "x.example", A).a("x.example", 1, [1, 1, 1, 1]).bytes();
    bytes[4..12].copy_from_slice(&[0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let message = Message::read(&bytes).expect("a message");
    assert_eq!((message.answers.len(), message.whole), (1, false));
    let many = (0..=255).chain(0..=255).fold(Draft::new(RESPONSE, "x", A), |draft, last| draft.a("x", 1, [1, 1, 1, last]));
    assert_eq!((many.message().answers.len(), many.message().whole), (256, false));
}

#[test]
fn on_any_port_only_messages_beyond_doubt_are_taken() {
    let query = Draft::new(QUERY, "x.example", A);
    assert!(Message::read_strictly(&query.bytes()).is_some() && Message::read_strictly(&chat().bytes()).is_some());
    assert_eq!(Message::read_strictly(&[query.bytes(), vec![0]].concat()), None, "something behind it");
    assert_eq!(Message::read_strictly(&query.bytes()[..20]), None, "cut");
    assert_eq!(Message::read_strictly(&Draft::new(QUERY, "x.example", 4711).bytes()), None, "a type nobody asks for");
    assert_eq!(Message::read_strictly(&Draft::new(QUERY | 0x40, "x.example", A).bytes()), None, "a bit that is zero");
    assert_eq!(Message::read_strictly(&Draft::new(QUERY, "x.example", A).a("x.example", 1, [1; 4]).bytes()), None, "a query that answers");
    assert_eq!(Message::read_strictly(&Draft::new(QUERY, &format!("CK{}", "A".repeat(30)), 33).bytes()), None, "NetBIOS");
}

#[test]
fn a_stream_holds_messages_behind_their_lengths() {
    let (query, answer) = (Draft::new(QUERY, "x.example", A).bytes(), chat().bytes());
    let frame = |message: &[u8]| [&(message.len() as u16).to_be_bytes()[..], message].concat();
    let stream = [frame(&query), frame(&answer)].concat();
    let step = Message::read_framed(&stream);
    assert_eq!(step.used, 2 + query.len());
    assert_eq!(Message::read_framed(&stream[step.used..]).reading, Reading::Done(chat().message()));
    assert_eq!(Message::read_framed_strictly(&stream[step.used..]).reading, Reading::Done(chat().message()));
    assert_eq!(Message::framed_so_far(&frame(&answer)[..40]).and_then(|message| message.question).map(|question| question.kind), Some(A));
    assert_eq!(Message::read_framed(b"GET / HTTP/1.1\r\n").reading, Reading::Not);
    assert_eq!(Message::read_framed(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0, 0, 0]).reading, Reading::Not, "TLS");
    assert_eq!(Message::read_framed_strictly(&[0x16, 3, 1, 0, 0xa5, 1, 0, 0, 0xa1, 3, 3, 0, 0, 0, 0]).reading, Reading::Not, "TLS again");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(message) = Message::read(&bytes) {
            let _texts = (message.answers_as_text(), message.addresses().count(), message.same_answer(&message));
        }
        let _step = (Message::read_framed(&bytes), Message::read_strictly(&bytes));
    }

    #[test]
    fn a_damaged_message_is_read_without_a_panic(at in 0_usize..80, byte in any::<u8>(), end in 0_usize..120) {
        let mut bytes = chat().edns(0x8000, &[0, 15, 0, 2, 0, 15]).bytes();
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(end.max(at));
        if let Ok(message) = Message::read(&bytes) {
            prop_assert!(message.same_answer(&message));
        }
    }

    #[test]
    fn every_prefix_of_a_frame_asks_for_more(end in 0_usize..100) {
        let message = chat().bytes();
        let frame = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
        prop_assert_eq!(Message::read_framed(&frame[..end.min(frame.len() - 1)]).reading, Reading::More);
    }

    #[test]
    fn names_come_back_as_they_were_written(labels in proptest::collection::vec("[a-zA-Z0-9_-]{1,20}", 1..8)) {
        let name = labels.join(".");
        let bytes = wire_name(&name);
        prop_assert_eq!(super::name::read(&bytes, &mut Cursor::new(&bytes)), Ok(name));
    }
}
