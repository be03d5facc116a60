//! One direction of a TCP stream, from its first byte through whatever wraps its protocol.
//! In:  the bytes from where the last step ended, as many as are known without a hole.
//! Out: one fact at a time, and how many bytes are done with.
//! Promises: no protocol is claimed by its port; wrappers are seen through up to a fixed depth; what was decided once stays, however the bytes come.

use super::dns;
use super::http::{self, Request, Response};
use super::http2;
use super::proxy_header::{self, Header};
use super::socks;
use super::tls::{self, ClientHello};
use super::{Reading, Step, start_tls};

/// What one direction says.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    Tls(tls::Message),
    /// A record of TLS from the middle of a connection.
    TlsGoesOn,
    Request(Box<Request>),
    Response(Box<Response>),
    /// The title of the page behind the response.
    Title(String),
    Http2(http2::Head),
    /// What a SOCKS proxy is asked for; the inner stream follows.
    Asked(socks::Request),
    /// What it says to that.
    Replied(socks::Reply),
    /// The addresses that a proxy passes on; the inner stream follows.
    Passed(Header),
    Dns(Box<dns::Message>),
}

/// Wrappers inside one another that are seen through.
const DEPTH_MAX: u8 = 4;
/// Bytes of a page in which its title is looked for (by design: block pages are small, and titles stand at the top).
const PAGE_BYTES_MAX: usize = 16 * 1024;

/// Reads one direction, fact by fact.
#[derive(Debug)]
pub struct Reader {
    state: State,
    depth: u8,
    /// Port 53 is at one end: what stands there need not prove that it is DNS.
    may_be_dns: bool,
}

#[derive(Debug)]
enum State {
    Unknown,
    Tls(tls::Reader),
    Http2(Box<http2::Reader>),
    /// Behind the head of a response.
    Body {
        is_page: bool,
        left: usize,
    },
    Dns,
    /// None of the protocols that are read.
    Foreign,
    /// Nothing more is wanted.
    Over,
}

impl Reader {
    pub fn new(may_be_dns: bool) -> Self {
        Self { state: State::Unknown, depth: 0, may_be_dns }
    }

    /// `Done`: call again with the bytes behind `used`. `More`: the bytes behind `used` and those that follow may tell more. `Not`: nothing more can be told.
    pub fn step(&mut self, bytes: &[u8]) -> Step<Fact> {
        match &mut self.state {
            State::Unknown => self.begin(bytes),
            State::Tls(reader) => reader.step(bytes).map(Fact::Tls),
            State::Http2(reader) => {
                let step = reader.step(bytes).map(Fact::Http2);
                if matches!(step.reading, Reading::Done(_)) {
                    self.state = State::Over;
                }
                step
            }
            State::Body { is_page, left } => {
                let (is_page, left) = (*is_page, *left);
                self.body(bytes, is_page, left)
            }
            State::Dns => framed(bytes),
            State::Foreign | State::Over => NOTHING,
        }
    }

    /// What a direction that broke off still shows, given the bytes that the last step left.
    pub fn so_far(&self, bytes: &[u8]) -> Option<Fact> {
        match &self.state {
            State::Unknown => {
                let hello = || tls::Reader::default().client_hello_so_far(bytes).map(hello_fact);
                let request = || http::request_so_far(bytes).map(|request| Fact::Request(Box::new(request)));
                let response = || http::response_so_far(bytes).map(|response| Fact::Response(Box::new(response)));
                hello().or_else(request).or_else(response)
            }
            State::Tls(reader) => reader.client_hello_so_far(bytes).map(hello_fact),
            State::Body { is_page: true, .. } => http::title(bytes).map(Fact::Title),
            State::Dns => dns::Message::framed_so_far(bytes).map(|message| Fact::Dns(Box::new(message))),
            _ => None,
        }
    }

    /// Whether the stream, or the one inside its wrappers, is none of the protocols that are read, or has not shown yet which it is.
    pub fn is_foreign(&self) -> bool {
        matches!(self.state, State::Foreign | State::Unknown)
    }

    fn begin(&mut self, bytes: &[u8]) -> Step<Fact> {
        if bytes.is_empty() {
            return MORE;
        }
        let mut more = false;
        type Try = fn(&mut Reader, &[u8]) -> Step<Fact>;
        let tries: [Try; 6] =
            [Self::begin_tls, Self::begin_http, Self::begin_http2, Self::begin_inside_proxy, Self::begin_dns, Self::begin_start_tls];
        for begin in tries {
            let step = begin(self, bytes);
            match step.reading {
                Reading::Done(_) => return step,
                Reading::More if !matches!(self.state, State::Unknown) => return step,
                Reading::More => more = true,
                Reading::Not => {}
            }
        }
        if more {
            return MORE;
        }
        self.state = State::Foreign;
        NOTHING
    }

    fn begin_tls(&mut self, bytes: &[u8]) -> Step<Fact> {
        let mut reader = tls::Reader::default();
        let step = reader.step(bytes).map(Fact::Tls);
        match step.reading {
            Reading::Not if reader.is_tls() => {
                // A hello whose lengths lie still shows what stands before the lie.
                let hello = reader.client_hello_so_far(bytes.get(step.used..).unwrap_or_default());
                self.over(Step { used: 0, reading: Reading::Done(hello.map_or(Fact::TlsGoesOn, hello_fact)) })
            }
            Reading::Not => step,
            // The reader is kept from where it has moved on, or has proven itself.
            Reading::More if step.used == 0 => step,
            _ => {
                self.state = State::Tls(reader);
                step
            }
        }
    }

    fn begin_http(&mut self, bytes: &[u8]) -> Step<Fact> {
        match http::request(bytes) {
            Reading::Done(request) => {
                let used = request.head_bytes;
                if request.is_connect {
                    self.deeper();
                } else {
                    self.state = State::Over;
                }
                return Step { used, reading: Reading::Done(Fact::Request(Box::new(request))) };
            }
            Reading::More => return MORE,
            Reading::Not => {}
        }
        match http::response(bytes) {
            Reading::Done(response) => {
                let is_page = !response.encoded && response.content_type.as_deref().is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
                let stated = response.content_length.map_or(PAGE_BYTES_MAX, |length| usize::try_from(length).unwrap_or(usize::MAX));
                self.state = if response.upgraded { State::Over } else { State::Body { is_page, left: stated.min(PAGE_BYTES_MAX) } };
                Step { used: response.head_bytes, reading: Reading::Done(Fact::Response(Box::new(response))) }
            }
            Reading::More => MORE,
            Reading::Not => NOTHING,
        }
    }

    fn begin_http2(&mut self, bytes: &[u8]) -> Step<Fact> {
        for mut reader in [http2::Reader::client(), http2::Reader::server()] {
            let step = reader.step(bytes).map(Fact::Http2);
            match step.reading {
                Reading::Done(_) => return self.over(step),
                Reading::More if step.used > 0 => {
                    self.state = State::Http2(Box::new(reader));
                    return step;
                }
                Reading::More => return step,
                Reading::Not => {}
            }
        }
        NOTHING
    }

    fn begin_inside_proxy(&mut self, bytes: &[u8]) -> Step<Fact> {
        let header = proxy_header::header(bytes);
        if let Reading::Done(header) = header {
            self.deeper();
            return Step { used: header.used, reading: Reading::Done(Fact::Passed(header)) };
        }
        let request = socks::request(bytes);
        if let Reading::Done(request) = request {
            self.deeper();
            return Step { used: request.used, reading: Reading::Done(Fact::Asked(request)) };
        }
        let reply = socks::reply(bytes);
        if let Reading::Done(reply) = reply {
            self.deeper();
            return Step { used: reply.used, reading: Reading::Done(Fact::Replied(reply)) };
        }
        let more = header == Reading::More || request == Reading::More || reply == Reading::More;
        if more { MORE } else { NOTHING }
    }

    fn begin_dns(&mut self, bytes: &[u8]) -> Step<Fact> {
        let step = if self.may_be_dns { framed(bytes) } else { dns_fact(dns::Message::read_framed_strictly(bytes)) };
        if matches!(step.reading, Reading::Done(_)) {
            self.state = State::Dns;
        }
        step
    }

    fn begin_start_tls(&mut self, bytes: &[u8]) -> Step<Fact> {
        match start_tls::inner_start(bytes) {
            Reading::Done(used) => {
                let mut reader = tls::Reader::default();
                let step = reader.step(bytes.get(used..).unwrap_or_default()).map(Fact::Tls);
                self.state = State::Tls(reader);
                Step { used: used + step.used, ..step }
            }
            Reading::More => MORE,
            Reading::Not => NOTHING,
        }
    }

    /// Behind the head of a response stands a page, or the stream that a CONNECT asked for.
    fn body(&mut self, bytes: &[u8], is_page: bool, left: usize) -> Step<Fact> {
        const HANDSHAKE: [u8; 2] = [22, 3];
        if bytes.starts_with(&HANDSHAKE) {
            self.deeper();
            return self.begin(bytes);
        }
        if !is_page && bytes.len() < HANDSHAKE.len() && left > 0 {
            return MORE;
        }
        let page = &bytes[..bytes.len().min(left)];
        match http::title(page) {
            Some(title) if is_page => self.over(Step { used: 0, reading: Reading::Done(Fact::Title(title)) }),
            _ if is_page && page.len() < left => MORE,
            _ => self.over(NOTHING),
        }
    }

    /// What follows is another stream, or too deep to be looked at.
    fn deeper(&mut self) {
        self.depth += 1;
        self.state = if self.depth < DEPTH_MAX { State::Unknown } else { State::Over };
    }

    fn over(&mut self, step: Step<Fact>) -> Step<Fact> {
        self.state = State::Over;
        step
    }
}

const MORE: Step<Fact> = Step { used: 0, reading: Reading::More };
const NOTHING: Step<Fact> = Step { used: 0, reading: Reading::Not };

fn hello_fact(hello: ClientHello) -> Fact {
    Fact::Tls(tls::Message::ClientHello(Box::new(hello)))
}

fn framed(bytes: &[u8]) -> Step<Fact> {
    dns_fact(dns::Message::read_framed(bytes))
}

fn dns_fact(step: Step<dns::Message>) -> Step<Fact> {
    step.map(|message| Fact::Dns(Box::new(message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tls::build;
    use proptest::prelude::*;

    /// What a stream says that comes in pieces of so many bytes, and what it still shows at its end.
    fn read(stream: &[u8], piece: usize, may_be_dns: bool) -> (Vec<Fact>, Option<Fact>) {
        let (mut reader, mut facts, mut held) = (Reader::new(may_be_dns), Vec::new(), Vec::new());
        for bytes in stream.chunks(piece) {
            held.extend_from_slice(bytes);
            loop {
                let step = reader.step(&held);
                held.drain(..step.used);
                match step.reading {
                    Reading::Done(fact) => facts.push(fact),
                    Reading::More => break,
                    Reading::Not => return (facts, reader.so_far(&held)),
                }
            }
        }
        let rest = reader.so_far(&held);
        (facts, rest)
    }

    fn facts(stream: &[u8]) -> Vec<Fact> {
        read(stream, usize::MAX, false).0
    }

    fn sni(fact: &Fact) -> Option<&str> {
        match fact {
            Fact::Tls(tls::Message::ClientHello(hello)) => hello.sni.as_deref(),
            _ => None,
        }
    }

    const CONNECT: &[u8] = b"CONNECT chat.signal.org:443 HTTP/1.1\r\nHost: chat.signal.org:443\r\n\r\n";
    const SOCKS: &[u8] = b"\x05\x01\x00\x05\x01\x00\x03\x0fchat.signal.org\x01\xbb";
    const PROXY: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 50000 443\r\n";

    fn hello_behind(wrapper: &[u8]) -> Vec<u8> {
        [wrapper, &build::client_hello("web.whatsapp.com")].concat()
    }

    #[test]
    fn a_hello_is_found_behind_whatever_wraps_it() {
        for wrapper in [&b""[..], CONNECT, SOCKS, PROXY, b"EHLO me\r\nSTARTTLS\r\n", &[PROXY, SOCKS, CONNECT].concat()] {
            let found = facts(&hello_behind(wrapper));
            assert_eq!(found.last().and_then(sni), Some("web.whatsapp.com"), "behind {}", wrapper.escape_ascii());
        }
    }

    #[test]
    fn wrappers_are_followed_to_a_depth_and_no_further() {
        assert!(facts(&hello_behind(&PROXY.repeat(3))).last().and_then(sni).is_some());
        assert_eq!(facts(&hello_behind(&PROXY.repeat(4))).last().and_then(sni), None);
    }

    #[test]
    fn what_a_proxy_is_asked_for_stands_before_what_is_said_through_it() {
        let found = facts(&hello_behind(SOCKS));
        assert!(matches!(&found[0], Fact::Asked(request) if request.target == socks::Target::Name("chat.signal.org".into())));
        let found = facts(&hello_behind(CONNECT));
        assert!(matches!(&found[0], Fact::Request(request) if request.is_connect));
    }

    #[test]
    fn a_page_gives_its_title_and_a_granted_connect_its_stream() {
        let page = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 40\r\n\r\n<html><title>Blocked here</title></html>";
        let found = facts(page);
        assert!(matches!(&found[..], [Fact::Response(response), Fact::Title(title)] if response.status == 403 && title == "Blocked here"));
        let granted = [&b"HTTP/1.1 200 Connection established\r\n\r\n"[..], &build::server_hello()].concat();
        assert!(matches!(&facts(&granted)[..], [Fact::Response(_), Fact::Tls(tls::Message::ServerHello(_))]));
    }

    #[test]
    fn a_title_that_never_comes_is_not_waited_for_beyond_the_page() {
        let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 10\r\n\r\n0123456789";
        let mut reader = Reader::new(false);
        let used = reader.step(page).used;
        assert_eq!(reader.step(&page[used..]).reading, Reading::Not);
    }

    #[test]
    fn a_cut_hello_a_cut_head_and_a_cut_page_show_what_they_have() {
        let hello = build::client_hello("web.whatsapp.com");
        assert_eq!(read(&hello[..hello.len() - 3], 40, false).1.as_ref().and_then(sni), Some("web.whatsapp.com"));
        let head = b"GET / HTTP/1.1\r\nHost: t.me\r\nAccept: */";
        assert!(matches!(read(head, 7, false).1, Some(Fact::Request(request)) if request.host.as_deref() == Some("t.me")));
    }

    #[test]
    fn a_connection_from_its_middle_is_tls_and_no_more() {
        assert_eq!(facts(&build::record(23, &[7; 40])), [Fact::TlsGoesOn]);
    }

    #[test]
    fn what_is_none_of_them_is_foreign() {
        let mut reader = Reader::new(false);
        assert_eq!(reader.step(&[0xee, 0, 3].repeat(30)).reading, Reading::Not);
        assert!(reader.is_foreign());
    }

    proptest! {
        #[test]
        fn segmentation_never_changes_what_is_said(piece in 1usize..300, which in 0usize..8, noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 31\r\n\r\n<html><title>Hi</title></html>\n";
            let query = [&[0, 22][..], b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01t\x02me\x00\x00\x01\x00\x01"].concat();
            let stream = match which {
                0 => hello_behind(b""),
                1 => hello_behind(CONNECT),
                2 => hello_behind(SOCKS),
                3 => hello_behind(b"a1 STARTTLS\r\n"),
                4 => [page, &noise[..]].concat(),
                5 => [&query[..], &query].concat(),
                6 => [&build::server_hello()[..], &build::record(23, &[1; 30])].concat(),
                _ => noise.clone(),
            };
            let once = read(&stream, usize::MAX, which == 5);
            prop_assert_eq!(read(&stream, piece, which == 5).0, once.0);
        }

        #[test]
        fn no_bytes_make_it_panic_or_use_more_than_there_is(bytes in proptest::collection::vec(any::<u8>(), 0..400), may_be_dns in any::<bool>()) {
            let mut reader = Reader::new(may_be_dns);
            let mut rest = &bytes[..];
            loop {
                let step = reader.step(rest);
                prop_assert!(step.used <= rest.len());
                rest = &rest[step.used..];
                if !matches!(step.reading, Reading::Done(_)) { break }
            }
            let _ = reader.so_far(rest);
        }
    }
}
