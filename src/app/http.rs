//! HTTP/1: the head of the first request or response of a stream (RFC 9112), and the title of a small page.
//!
//! Line ends may be bare line feeds (RFC 9112 section 2.2), fields that are broken are passed over. A head that the capture cut off yields what stands
//! on whole lines ([`request_so_far`], [`response_so_far`]). RTSP and SIP look alike but for the version, and are neither.

use httparse::{Header, ParserConfig, Status};

use super::Reading;

/// A longer head is read no further; servers refuse less (Apache 8 KiB a line, nginx 32 KiB in all).
const HEAD_BYTES_MAX: usize = 32 * 1024;
const FIELDS_MAX: usize = 128;
/// UPDATEREDIRECTREF is the longest that is registered (IANA, HTTP Method Registry).
const METHOD_BYTES_MAX: usize = 24;
/// A name of 253 bytes and ":65535"; what is longer is no host.
const HOST_BYTES_MAX: usize = 259;
const LOCATION_BYTES_MAX: usize = 2048;
const FIELD_BYTES_MAX: usize = 256;
const TITLE_SEARCHED_BYTES: usize = 16 * 1024;
const TITLE_BYTES_MAX: usize = 1024;
const TITLE_CHARS_MAX: usize = 256;

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// The Host field as sent; without one the authority of the target.
    pub host: Option<String>,
    /// The authority of an absolute target, or what CONNECT asks for (RFC 9112 section 3.2).
    pub authority: Option<String>,
    pub is_connect: bool,
    /// The Upgrade field, in lower case: "websocket", "h2c".
    pub upgrade: Option<String>,
    pub head_bytes: usize,
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub location: Option<String>,
    pub server: Option<String>,
    pub content_type: Option<String>,
    pub content_length: Option<u64>,
    pub chunked: bool,
    /// The body is compressed (Content-Encoding).
    pub encoded: bool,
    /// 101: what follows is another protocol (RFC 9110 section 15.2.2).
    pub upgraded: bool,
    pub head_bytes: usize,
}

/// Reads the first request of a stream. Empty lines before it are passed over (RFC 9112 section 2.2).
pub fn request(stream: &[u8]) -> Reading<Request> {
    let skipped = stream.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let stream = &stream[..stream.len().min(HEAD_BYTES_MAX)];
    let head = stream.get(skipped..).unwrap_or_default();
    let may_go_on = stream.len() < HEAD_BYTES_MAX;
    match head.iter().position(|byte| *byte == b'\n') {
        _ if !may_begin_with_method(head) => Reading::Not,
        // A line is judged when it is whole: its target may have spaces.
        None if may_go_on && is_open_line(head) => Reading::More,
        None => Reading::Not,
        Some(end) => {
            let joined = joined_target(head, &head[..end]);
            match read_request(joined.as_deref().unwrap_or(head)) {
                Reading::Done(request) => Reading::Done(Request { head_bytes: skipped + request.head_bytes, ..request }),
                Reading::More if may_go_on => Reading::More,
                _ => Reading::Not,
            }
        }
    }
}

fn read_request(stream: &[u8]) -> Reading<Request> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    match config().parse_request(&mut head, stream) {
        Ok(Status::Complete(head_bytes)) => Reading::Done(Request::of(&head, head_bytes)),
        Ok(Status::Partial) => Reading::More,
        Err(_) => Reading::Not,
    }
}

/// What a request shows whose head never became whole. None where the bytes are no request.
pub fn request_so_far(stream: &[u8]) -> Option<Request> {
    match request(stream) {
        Reading::Done(request) => Some(request),
        _ => match request(&whole_lines(stream)?) {
            Reading::Done(request) => Some(Request { head_bytes: stream.len(), ..request }),
            _ => None,
        },
    }
}

/// Reads the first response of a stream. Interim ones (1xx but 101) are passed over (RFC 9110 section 15.2).
pub fn response(stream: &[u8]) -> Reading<Response> {
    let mut start = 0;
    loop {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut head = httparse::Response::new(&mut fields);
        match config().parse_response(&mut head, &stream[start..]) {
            Ok(Status::Complete(bytes)) if start + bytes <= HEAD_BYTES_MAX => {
                let response = Response::of(&head, start + bytes);
                if response.is_final() {
                    return Reading::Done(response);
                }
                start += bytes;
            }
            Ok(Status::Partial) if stream.len() < HEAD_BYTES_MAX => return Reading::More,
            _ => return Reading::Not,
        }
    }
}

/// What a response shows whose head never became whole. None where the bytes are no response.
pub fn response_so_far(stream: &[u8]) -> Option<Response> {
    match response(stream) {
        Reading::Done(response) => Some(response),
        _ => match response(&whole_lines(stream)?) {
            Reading::Done(response) => Some(Response { head_bytes: stream.len(), ..response }),
            _ => None,
        },
    }
}

/// The title of an HTML page, character references of five usual names and of numbers resolved, white space joined. None where it is not whole.
/// It is taken as UTF-8, or as windows-1251 where the page says so and it is no UTF-8: many a Russian block page.
pub fn title(body: &[u8]) -> Option<String> {
    let body = &body[..body.len().min(TITLE_SEARCHED_BYTES)];
    let tag = &body[find(body, b"<title")? + b"<title".len()..];
    let text = &tag[tag.iter().position(|byte| *byte == b'>')? + 1..];
    let text = &text[..text.len().min(TITLE_BYTES_MAX)];
    let text = &text[..find(text, b"</title")?];
    let is_cyrillic = str::from_utf8(text).is_err() && find(body, b"windows-1251").is_some();
    let text = resolve_references(&if is_cyrillic { of_windows_1251(text) } else { String::from_utf8_lossy(text).into_owned() });
    let joined =
        text.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    (!joined.is_empty()).then(|| joined.chars().take(TITLE_CHARS_MAX).collect())
}

impl Request {
    fn of(head: &httparse::Request<'_, '_>, head_bytes: usize) -> Self {
        let method = head.method.unwrap_or_default();
        let is_connect = method == "CONNECT";
        let target = head.path.unwrap_or_default();
        let authority = if is_connect { host_of(target) } else { authority(target) };
        Self {
            method: method.to_owned(),
            host: field(head.headers, "host").and_then(|value| host_of(&String::from_utf8_lossy(value))).or_else(|| authority.clone()),
            authority,
            is_connect,
            upgrade: text(head.headers, "upgrade", FIELD_BYTES_MAX).map(|value| value.to_ascii_lowercase()),
            head_bytes,
        }
    }
}

impl Response {
    fn of(head: &httparse::Response<'_, '_>, head_bytes: usize) -> Self {
        let status = head.code.unwrap_or_default();
        let is_said = |name, word| field(head.headers, name).is_some_and(|value| find(value, word).is_some());
        Self {
            status,
            location: text(head.headers, "location", LOCATION_BYTES_MAX),
            server: text(head.headers, "server", FIELD_BYTES_MAX),
            content_type: text(head.headers, "content-type", FIELD_BYTES_MAX),
            content_length: text(head.headers, "content-length", FIELD_BYTES_MAX).and_then(|value| value.parse().ok()),
            chunked: is_said("transfer-encoding", b"chunked"),
            encoded: field(head.headers, "content-encoding").is_some() && !is_said("content-encoding", b"identity"),
            upgraded: status == 101,
            head_bytes,
        }
    }

    fn is_final(&self) -> bool {
        self.upgraded || !(100..200).contains(&self.status)
    }
}

/// Real servers and clients send all of these, and others accept them.
fn config() -> ParserConfig {
    let mut config = ParserConfig::default();
    config
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .ignore_invalid_headers_in_requests(true)
        .ignore_invalid_headers_in_responses(true);
    config
}

/// A word of printable letters that is not too long.
fn may_begin_with_method(head: &[u8]) -> bool {
    let length = head.iter().position(|byte| *byte == b' ').unwrap_or(head.len());
    length <= METHOD_BYTES_MAX && head[..length].iter().all(u8::is_ascii_graphic)
}

/// Text whose line end is still to come.
fn is_open_line(head: &[u8]) -> bool {
    !head.strip_suffix(b"\r").unwrap_or(head).iter().any(u8::is_ascii_control)
}

/// A request whose target has spaces in it, which servers forgive: put together with '+', so that nothing moves. None where it has none.
fn joined_target(head: &[u8], line: &[u8]) -> Option<Vec<u8>> {
    let line = line.trim_ascii_end();
    let start = line.iter().position(|byte| *byte == b' ')? + 1;
    let end = line.iter().rposition(|byte| *byte == b' ')?;
    let target = line.get(start..end).filter(|target| target.trim_ascii().contains(&b' '))?;
    line[end..].starts_with(b" HTTP/1.").then(|| {
        let margin = start + target.len() - target.trim_ascii_start().len();
        let mut joined = head.to_vec();
        joined[margin..end].iter_mut().filter(|byte| **byte == b' ').for_each(|byte| *byte = b'+');
        joined
    })
}

/// The lines that are whole, with an empty one behind them.
fn whole_lines(stream: &[u8]) -> Option<Vec<u8>> {
    let stream = &stream[..stream.len().min(HEAD_BYTES_MAX - 2)];
    let end = stream.iter().rposition(|byte| *byte == b'\n')?;
    Some([&stream[..=end], b"\r\n"].concat())
}

/// The value of the first field of that name.
fn field<'a>(fields: &[Header<'a>], name: &str) -> Option<&'a [u8]> {
    fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.trim_ascii())
}

fn text(fields: &[Header<'_>], name: &str, bytes_max: usize) -> Option<String> {
    let value = field(fields, name)?;
    Some(String::from_utf8_lossy(&value[..value.len().min(bytes_max)]).replace(char::is_control, "\u{fffd}"))
}

fn host_of(value: &str) -> Option<String> {
    (!value.is_empty() && value.len() <= HOST_BYTES_MAX).then(|| value.to_owned())
}

/// The authority of a target in absolute form, without user information (RFC 3986 section 3.2).
fn authority(target: &str) -> Option<String> {
    let (_, behind) = target.split_once("://").filter(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
    let authority = behind.split(['/', '?', '#']).next()?;
    host_of(authority.rsplit('@').next()?)
}

/// Letter case apart.
fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window.eq_ignore_ascii_case(word))
}

/// Letters and no-break space; the rest of the upper half is punctuation and other languages.
fn of_windows_1251(bytes: &[u8]) -> String {
    let letter = |byte: &u8| match byte {
        ..0x80 => char::from(*byte),
        0xa0 => ' ',
        0xa8 => '\u{401}',
        0xb8 => '\u{451}',
        0xab | 0xbb => char::from(*byte),
        0xc0.. => char::from_u32(0x410 + u32::from(byte - 0xc0)).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::REPLACEMENT_CHARACTER,
    };
    bytes.iter().map(letter).collect()
}

fn resolve_references(text: &str) -> String {
    let mut resolved = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        resolved.push_str(before);
        let reference = behind.split_once(';').and_then(|(name, behind)| Some((reference(name)?, behind)));
        resolved.push(reference.map_or('&', |(letter, _)| letter));
        rest = reference.map_or(behind, |(_, behind)| behind);
    }
    resolved + rest
}

fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "nbsp" => Some(' '),
        _ => {
            let number = name.strip_prefix('#')?;
            let hexadecimal = number.strip_prefix(['x', 'X']).map(|digits| u32::from_str_radix(digits, 16));
            char::from_u32(hexadecimal.unwrap_or_else(|| number.parse()).ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(stream: &str) -> Request {
        match request(stream.as_bytes()) {
            Reading::Done(request) => request,
            other => panic!("{stream:?}: {other:?}"),
        }
    }

    fn answer(stream: &str) -> Response {
        match response(stream.as_bytes()) {
            Reading::Done(response) => response,
            other => panic!("{stream:?}: {other:?}"),
        }
    }

    #[test]
    fn a_request_names_its_host() {
        let head = "GET /?q=1 HTTP/1.1\r\nAccept: */*\r\nhoSt:  Web.WhatsApp.com:80 \r\n\r\n";
        let request = whole(&format!("{head}body"));
        assert_eq!((request.method.as_str(), request.host.as_deref(), request.head_bytes), ("GET", Some("Web.WhatsApp.com:80"), head.len()));
        assert_eq!(request.authority, None);
        assert_eq!(whole("PROPFIND / HTTP/1.0\nHost:a.example\n\n").host.as_deref(), Some("a.example"), "bare line feeds");
    }

    #[test]
    fn targets_may_name_it_too() {
        let proxied = whole("GET http://user@b.example:8080/x HTTP/1.1\r\nHost: a.example\r\n\r\n");
        assert_eq!((proxied.host.as_deref(), proxied.authority.as_deref()), (Some("a.example"), Some("b.example:8080")));
        let connect = whole("CONNECT t.me:443 HTTP/1.1\r\n\r\n");
        assert_eq!((connect.is_connect, connect.host.as_deref(), connect.authority.as_deref()), (true, Some("t.me:443"), Some("t.me:443")));
        assert_eq!(whole("GET /a?b=http://c.example/ HTTP/1.1\r\n\r\n").host, None, "a parameter is no authority");
    }

    #[test]
    fn spaces_that_servers_forgive_are_forgiven() {
        let head = "GET  /a b  c.html HTTP/1.1\r\nHost: a.example\r\n\r\n";
        assert_eq!((whole(head).host.as_deref(), whole(head).head_bytes), (Some("a.example"), head.len()));
        assert_eq!(whole("\r\n\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n").head_bytes, 38, "empty lines first");
        assert_eq!(whole("GET / HTTP/1.1\r\nbro ken: x\r\nHost: a.example\r\n\r\n").host.as_deref(), Some("a.example"));
    }

    #[test]
    fn a_stream_may_become_another_protocol() {
        assert_eq!(whole("GET /ws HTTP/1.1\r\nUpgrade: WebSocket\r\n\r\n").upgrade.as_deref(), Some("websocket"));
        assert!(answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n").upgraded);
    }

    #[test]
    fn what_looks_alike_is_something_else() {
        for stream in [
            "OPTIONS rtsp://a/ RTSP/1.0\r\n\r\n",
            "OPTIONS sip:a@b SIP/2.0\r\n\r\n",
            "EHLO mail.example\r\n",
            "PRI * HTTP/2.0\r\n\r\n",
            "SSH-2.0-x\r\n",
            "\x16\x03\x01",
        ] {
            assert_eq!(request(stream.as_bytes()), Reading::Not, "{stream:?}");
            assert_eq!(request_so_far(stream.as_bytes()), None, "{stream:?}");
        }
        assert_eq!(response(b"220 ready\r\n"), Reading::Not);
        assert_eq!(request("A".repeat(40).as_bytes()), Reading::Not, "no method is so long");
        assert_eq!(request(format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(8_000)).as_bytes()), Reading::Not, "no head is so long");
    }

    #[test]
    fn whole_lines_before_a_cut_are_read() {
        let cut = request_so_far(b"GET / HTTP/1.1\r\nHost: a.example\r\nCookie: abc").expect("a request");
        assert_eq!((cut.host.as_deref(), cut.head_bytes), (Some("a.example"), 44));
        assert_eq!(request_so_far(b"GET / HTTP/1.1\r\nHost: a.exa").expect("a request").host, None, "half a name is none");
        assert_eq!(request_so_far(b"GET / HT"), None);
        assert_eq!(response_so_far(b"HTTP/1.1 403 Forbidden\r\nServer: x\r\nConte").map(|response| response.status), Some(403));
    }

    #[test]
    fn a_response_tells_where_it_leads_and_what_follows() {
        let head =
            "HTTP/1.1 302 Found\r\nLocation: http://warning.rt.ru/?id=1\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n";
        let expected = Response {
            status: 302,
            location: Some("http://warning.rt.ru/?id=1".into()),
            server: Some("nginx".into()),
            content_type: Some("text/html".into()),
            content_length: Some(12),
            chunked: false,
            encoded: false,
            upgraded: false,
            head_bytes: head.len(),
        };
        assert_eq!(answer(head), expected);
        let packed = answer("HTTP/1.0 200\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Encoding: gzip\r\n\r\n");
        assert!(packed.chunked && packed.encoded && packed.status == 200);
    }

    #[test]
    fn interim_responses_are_passed_over() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\n";
        assert_eq!(response(interim.as_bytes()), Reading::More);
        let both = format!("{interim}HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!((answer(&both).status, answer(&both).head_bytes), (200, both.len()));
    }

    #[test]
    fn a_title_is_read_as_it_is_shown() {
        let page = "<html><head><TITLE lang=ru>\n  \u{414}\u{43e}\u{441}\u{442}\u{443}\u{43f} &laquo;A&amp;B&#39;&#x41;\r\n closed </Title>";
        assert_eq!(title(page.as_bytes()).as_deref(), Some("\u{414}\u{43e}\u{441}\u{442}\u{443}\u{43f} &laquo;A&B'A closed"));
        let page = b"<meta charset=Windows-1251><title>\xc4\xee\xf1\xf2\xf3\xef \xab\xb8\xbb</title>";
        assert_eq!(title(page).as_deref(), Some("\u{414}\u{43e}\u{441}\u{442}\u{443}\u{43f} \u{ab}\u{451}\u{bb}"));
        assert_eq!(title(b"<title>half of it"), None);
        assert_eq!(title(b"<title> </title>"), None);
        assert_eq!(title(format!("<title>{}</title>", "ab ".repeat(300)).as_bytes()).map(|title| title.len()), Some(256));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _read = (request_so_far(&bytes), response_so_far(&bytes), title(&bytes));
        }

        #[test]
        fn a_damaged_head_is_read_without_a_panic(at in 0_usize..70, byte in any::<u8>()) {
            let request = "GET http://a.example/b c HTTP/1.1\r\nHost: a.example\r\nUpgrade: h2c\r\n\r\n";
            let response = "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 302 Found\r\nLocation: http://b.example/\r\n\r\n";
            for head in [request, response] {
                let mut bytes = head.as_bytes().to_vec();
                let length = bytes.len();
                bytes[at % length] = byte;
                let _read = (request_so_far(&bytes), response_so_far(&bytes));
            }
        }

        #[test]
        fn every_prefix_of_a_head_asks_for_more(end in 0_usize..70) {
            let request_head = b"GET /a b HTTP/1.1\r\nHost: a.example\r\nUpgrade: h2c\r\n\r\n";
            let response_head = b"HTTP/1.1 302 Found\r\nLocation: http://b.example/\r\n\r\n";
            prop_assert_eq!(request(&request_head[..end.min(request_head.len() - 1)]), Reading::More);
            prop_assert_eq!(response(&response_head[..end.min(response_head.len() - 1)]), Reading::More);
        }

        #[test]
        fn what_follows_a_head_changes_nothing(behind in proptest::collection::vec(any::<u8>(), 0..60)) {
            let head = b"GET /a b HTTP/1.1\r\nHost: a.example\r\n\r\n";
            prop_assert_eq!(request(&[&head[..], &behind].concat()), request(head));
        }
    }
}
