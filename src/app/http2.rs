//! HTTP/2 in clear text (RFC 9113): the pseudo-header fields of the first head of either direction.

use super::hpack::Decoder;
use super::{Cursor, ParseError, Reading, Step};

/// What a client sends first (section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What may be sent before the other side allows more (section 4.2); nobody does so early.
const FRAME_BYTES_MAX: u32 = 16_384;
const HEADER_BYTES: usize = 9;
/// A field block over all its frames.
const BLOCK_BYTES_MAX: usize = 32 * 1024;
/// Settings, window updates and pings before the first head are a few.
const FRAMES_MAX: u32 = 64;
const TEXT_BYTES_MAX: usize = 259;

/// The first head of a direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub method: Option<String>,
    pub authority: Option<String>,
    pub status: Option<u16>,
}

/// Goes along the frames of one direction up to its first head. Interim responses are passed over (section 8.1).
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// Still to come before the frames.
    preface: &'static [u8],
    frames: u32,
    /// What has come of a field block, and whether it is that of a head.
    block: Option<(Vec<u8>, bool)>,
    fields: Decoder,
}

/// Types of frames (section 6).
mod frame {
    pub const HEADERS: u8 = 1;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const CONTINUATION: u8 = 9;
}

mod flag {
    pub const ACK: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 0x20;
}

struct Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Cursor<'a>,
}

impl Reader {
    /// For the stream that begins with the client's preface.
    pub fn client() -> Self {
        Self { preface: PREFACE, ..Self::default() }
    }

    /// For the stream that answers it.
    pub fn server() -> Self {
        Self::default()
    }

    /// Takes the bytes behind those used before.
    pub fn step(&mut self, bytes: &[u8]) -> Step<Head> {
        let mut cursor = Cursor::new(bytes);
        let reading = loop {
            match self.next(&mut cursor) {
                Ok(None) => {}
                Ok(Some(head)) => break Reading::Done(head),
                Err(error) => break Err(error).into(),
            }
        };
        Step { used: cursor.offset(), reading }
    }

    /// Takes the preface or one frame. Nothing is changed where it is not whole.
    fn next(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Head>, ParseError> {
        if !self.preface.is_empty() {
            let here = cursor.rest().len().min(self.preface.len());
            require(cursor.rest()[..here] == self.preface[..here], cursor)?;
            cursor.take(self.preface.len(), "http2.preface")?;
            self.preface = &[];
            return Ok(None);
        }
        let frame = Frame::read(cursor, self.frames == 0)?;
        self.frames += 1;
        require(self.frames <= FRAMES_MAX, cursor)?;
        self.take_frame(frame).map_err(ParseError::in_whole)
    }

    fn take_frame(&mut self, mut frame: Frame<'_>) -> Result<Option<Head>, ParseError> {
        // Nothing comes between the frames of a block (section 6.10).
        require((frame.kind == frame::CONTINUATION) == self.block.is_some(), &frame.payload)?;
        if !matches!(frame.kind, frame::HEADERS | frame::PUSH_PROMISE | frame::CONTINUATION) {
            return Ok(None);
        }
        require(frame.stream != 0, &frame.payload)?;
        let fragment = frame.fragment()?;
        let (block, _) = self.block.get_or_insert_with(|| (Vec::new(), frame.kind == frame::HEADERS));
        require(block.len() + fragment.len() <= BLOCK_BYTES_MAX, &frame.payload)?;
        block.extend_from_slice(fragment);
        if frame.flags & flag::END_HEADERS == 0 { Ok(None) } else { self.take_block() }
    }

    fn take_block(&mut self) -> Result<Option<Head>, ParseError> {
        let (block, is_head) = self.block.take().unwrap_or_default();
        let cursor = Cursor::new(&block);
        let mut head = Head::default();
        let mut host = None;
        self.fields.read(&block, |name, value| match name {
            b":method" => head.method = text(value),
            b":authority" => head.authority = text(value),
            b":status" => head.status = text(value).and_then(|status| status.parse().ok()),
            b"host" => host = text(value),
            _ => {}
        })?;
        head.authority = head.authority.or(host);
        require(head.method.is_some() || head.status.is_some(), &cursor)?; // section 8.3
        let is_interim = head.status.is_some_and(|status| (100..200).contains(&status));
        Ok((is_head && !is_interim).then_some(head))
    }
}

impl<'a> Frame<'a> {
    /// Section 4.1. The first one must be settings (section 3.4).
    fn read(cursor: &mut Cursor<'a>, is_first: bool) -> Result<Self, ParseError> {
        let mut header = cursor.clone();
        let length = header.u24("http2.length")?;
        require(length <= FRAME_BYTES_MAX, cursor)?;
        let (kind, flags) = (header.u8("http2.type")?, header.u8("http2.flags")?);
        require(!is_first || kind == frame::SETTINGS && flags & flag::ACK == 0 && length % 6 == 0, cursor)?;
        let stream = header.u32("http2.stream")? & 0x7fff_ffff;
        require(kind != frame::SETTINGS || stream == 0, cursor)?;
        let whole = cursor.take(HEADER_BYTES + length as usize, "http2.frame")?;
        Ok(Self { kind, flags, stream, payload: Cursor::new(&whole[HEADER_BYTES..]) })
    }

    /// The part of a field block, without what stands around it (sections 6.2, 6.6 and 6.10).
    fn fragment(&mut self) -> Result<&'a [u8], ParseError> {
        let is_padded = self.kind != frame::CONTINUATION && self.flags & flag::PADDED != 0;
        let padding = if is_padded { self.payload.u8("http2.padding")?.into() } else { 0 };
        match self.kind {
            frame::HEADERS if self.flags & flag::PRIORITY != 0 => self.payload.take(5, "http2.priority")?,
            frame::PUSH_PROMISE => self.payload.take(4, "http2.promised_stream")?,
            _ => &[],
        };
        let length = self.payload.rest().len().checked_sub(padding);
        self.payload.take(length.unwrap_or(usize::MAX), "http2.fragment")
    }
}

fn require(holds: bool, cursor: &Cursor<'_>) -> Result<(), ParseError> {
    if holds { Ok(()) } else { Err(ParseError::Invalid { field: "http2.frame", offset: cursor.offset() }) }
}

fn text(value: &[u8]) -> Option<String> {
    (!value.is_empty() && value.len() <= TEXT_BYTES_MAX).then(|| String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 7541 appendix C.4.1: GET http://www.example.com/.
    const REQUEST: &[u8] = &[0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
    /// ":status: 404" of the static table.
    const NOT_FOUND: &[u8] = &[0x8d];
    /// ":status: 103", not in it.
    const EARLY_HINTS: &[u8] = b"\x48\x03103";

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    fn settings() -> Vec<u8> {
        frame(frame::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])
    }

    fn client(frames: &[Vec<u8>]) -> Vec<u8> {
        [PREFACE, &settings(), &frame(8, 0, 0, &[0, 1, 0, 0]), &frames.concat()].concat()
    }

    fn requested() -> Reading<Head> {
        Reading::Done(Head { method: Some("GET".into()), authority: Some("www.example.com".into()), status: None })
    }

    #[test]
    fn a_client_names_whom_it_asks() {
        let stream = client(&[frame(frame::HEADERS, flag::END_HEADERS, 1, REQUEST)]);
        assert_eq!(Reader::client().step(&stream), Step { used: stream.len(), reading: requested() });
    }

    #[test]
    fn what_stands_around_a_block_is_taken_off() {
        let padded = [&[2, 0, 0, 0, 0, 15][..], &REQUEST[..4], &[0, 0]].concat();
        let stream = client(&[
            frame(frame::HEADERS, flag::PADDED | flag::PRIORITY, 1, &padded),
            frame(frame::CONTINUATION, 0, 1, &REQUEST[4..9]),
            frame(frame::CONTINUATION, flag::END_HEADERS, 1, &REQUEST[9..]),
        ]);
        assert_eq!(Reader::client().step(&stream).reading, requested());
    }

    #[test]
    fn a_server_answers_behind_hints_and_promises() {
        let stream = [
            settings(),
            frame(frame::HEADERS, flag::END_HEADERS, 1, EARLY_HINTS),
            frame(frame::PUSH_PROMISE, flag::END_HEADERS, 1, &[&[0, 0, 0, 2], REQUEST].concat()),
            frame(frame::HEADERS, flag::END_HEADERS, 1, NOT_FOUND),
        ]
        .concat();
        assert_eq!(Reader::server().step(&stream).reading, Reading::Done(Head { status: Some(404), ..Head::default() }));
    }

    #[test]
    fn a_host_field_stands_in_for_the_authority() {
        let block = b"\x82\x66\x09a.example";
        let stream = client(&[frame(frame::HEADERS, flag::END_HEADERS, 1, block)]);
        let expected = Head { method: Some("GET".into()), authority: Some("a.example".into()), status: None };
        assert_eq!(Reader::client().step(&stream).reading, Reading::Done(expected));
    }

    #[test]
    fn other_streams_are_not_read() {
        let not = |stream: &[u8]| assert_eq!(Reader::client().step(stream).reading, Reading::Not, "{stream:?}");
        not(b"GET / HTTP/1.1\r\n");
        not(&[PREFACE, &frame(frame::HEADERS, flag::END_HEADERS, 1, REQUEST)].concat()); // no settings first
        not(&client(&[frame(frame::CONTINUATION, flag::END_HEADERS, 1, REQUEST)]));
        not(&client(&[frame(frame::HEADERS, 0, 1, REQUEST), frame(6, 0, 0, &[0; 8])])); // a ping inside a block
        not(&client(&[frame(frame::HEADERS, flag::END_HEADERS | flag::PADDED, 1, &[200, 0x82])])); // more padding than payload
        not(&client(&[frame(frame::HEADERS, flag::END_HEADERS, 0, REQUEST)]));
        not(&client(&[vec![1, 0, 0, 0, 0, 0, 0, 0, 0]])); // a frame that is too long
        not(&client(&vec![frame(6, 0, 0, &[0; 8]); 100])); // pings without an end
        assert_eq!(Reader::server().step(b"HTTP/1.1 200 OK\r\n").reading, Reading::Not);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let block = frame(frame::HEADERS, flag::END_HEADERS, 1, &bytes);
            let _read = (Reader::client().step(&client(std::slice::from_ref(&bytes))), Reader::client().step(&client(&[block])), Reader::server().step(&bytes));
        }

        #[test]
        fn segmentation_never_changes_the_answer(cuts in proptest::collection::vec(1_usize..20, 1..30)) {
            let stream = client(&[frame(frame::HEADERS, 0, 1, &REQUEST[..5]), frame(frame::CONTINUATION, flag::END_HEADERS, 1, &REQUEST[5..])]);
            let mut reader = Reader::client();
            let (mut used, mut end) = (0, 0);
            for cut in cuts.into_iter().chain([stream.len()]) {
                prop_assert!(end < stream.len());
                end = (end + cut).min(stream.len());
                let step = reader.step(&stream[used..end]);
                used += step.used;
                if end == stream.len() {
                    prop_assert_eq!(step.reading, requested());
                    break;
                }
                prop_assert_eq!(step.reading, Reading::More);
            }
        }
    }
}
