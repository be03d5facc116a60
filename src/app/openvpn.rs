//! OpenVPN (doc/doxygen/doc_protocol_overview.h of its sources): the resets that open a session.
//!
//! The client's reset alone is weak, however much it looks like one. That the server quotes the client's session id, or that both ids come again, is proof.

use super::heads::{Payload, Recognised, View};
use super::{Cursor, ParseError};
use crate::model::Direction::{self, ClientToServer, ServerToClient};
use crate::model::words::AppProtocol::Openvpn;

/// First bytes: opcode in the upper five bits, key 0.
const CLIENT_RESET_V2: u8 = 7 << 3;
const SERVER_RESET_V2: u8 = 8 << 3;
const CLIENT_RESET_V3: u8 = 10 << 3;
/// What may follow: control, acknowledgement, control with the wrapped key.
const LATER: [u8; 3] = [4 << 3, 5 << 3, 11 << 3];

const ID_BYTES: usize = 8;
/// First byte, session id, no acknowledgement, packet number.
const RESET_BYTES_MIN: usize = 14;
/// A reset has no more than keys around it.
const RESET_BYTES_MAX: usize = 1_199;

/// The front of a control packet.
#[derive(Clone, Copy)]
struct Packet<'a> {
    first: u8,
    session: &'a [u8],
    /// Behind the session id.
    rest: &'a [u8],
}

impl<'a> Packet<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(bytes);
        let first = cursor.u8("openvpn.opcode")?;
        let session = cursor.take(ID_BYTES, "openvpn.session")?;
        if session == [0; ID_BYTES] {
            return Err(ParseError::Invalid { field: "openvpn.session", offset: 1 });
        }
        Ok(Self { first, session, rest: cursor.rest() })
    }

    fn is_client_reset(&self) -> bool {
        matches!(self.first, CLIENT_RESET_V2 | CLIENT_RESET_V3)
    }

    /// Nothing but a reset, of `len` bytes with its first: it acknowledges nothing and is packet 0, which five zeros at the end say, plain or behind any
    /// HMAC that fits in here; behind one of SHA-512 its number among protected packets is small. Under tls-crypt number and time come first.
    fn is_opening(&self, len: usize) -> bool {
        const NOTHING: [u8; 5] = [0; 5];
        const HMAC_BYTES: [usize; 6] = [0, 8 + 16, 8 + 20, 8 + 28, 8 + 32, 8 + 48];
        const SHA_512: usize = 64;
        const TLS_CRYPT_BYTES: usize = RESET_BYTES_MIN + 8 + 32;
        let plain =
            HMAC_BYTES.iter().any(|hmac| len == RESET_BYTES_MIN + hmac && self.rest.get(*hmac..).is_some_and(|end| end.starts_with(&NOTHING)));
        let sha_512 = len == RESET_BYTES_MIN + 8 + SHA_512 && self.rest.get(SHA_512..).is_some_and(|number| number.starts_with(&[0, 0, 0]));
        let tls_crypt = match self.first {
            CLIENT_RESET_V3 => len > TLS_CRYPT_BYTES,
            _ => len == TLS_CRYPT_BYTES,
        };
        plain || sha_512 || tls_crypt && self.has_time()
    }

    /// The number of a protected packet, marked by those who offer the second version of tls-crypt, is followed by the time of day in seconds.
    fn has_time(&self) -> bool {
        const MARKS: [u8; 3] = [0, 0x0a, 0x0f];
        const YEARS_2010_TO_2040: std::ops::Range<u32> = 1_262_304_000..2_208_988_800;
        let time = self.rest.get(4..).and_then(|rest| rest.first_chunk());
        self.rest.first().is_some_and(|mark| MARKS.contains(mark)) && time.is_some_and(|time| YEARS_2010_TO_2040.contains(&u32::from_be_bytes(*time)))
    }

    /// A reset of the server that acknowledges this one.
    fn is_quoted_by(&self, answer: &Packet<'_>) -> bool {
        answer.first == SERVER_RESET_V2 && answer.rest.windows(ID_BYTES).any(|window| window == self.session)
    }

    /// A later packet of the same session.
    fn goes_on_in(&self, later: &Packet<'_>) -> bool {
        LATER.contains(&later.first) && later.session == self.session
    }
}

pub(super) fn over_udp(view: &View<'_>) -> Option<Recognised> {
    let first = view.datagrams(ClientToServer).next()?;
    let reset = Packet::read(&first.bytes).ok().filter(Packet::is_client_reset)?;
    if !(RESET_BYTES_MIN..=RESET_BYTES_MAX).contains(&(first.len as usize)) {
        return None;
    }
    let answers: Vec<_> = packets(view, ServerToClient).collect();
    let quoted = answers.iter().any(|answer| reset.is_quoted_by(answer));
    let answered = answers.first().is_some_and(|answer| answer.first == SERVER_RESET_V2);
    let goes_on = answered && packets(view, ClientToServer).any(|later| reset.goes_on_in(&later));
    let id = if reset.first == CLIENT_RESET_V3 { "ovpn_udp_client_reset_v3" } else { "ovpn_udp_client_reset" };
    let is_proven = quoted || goes_on;
    (is_proven || reset.is_opening(first.len as usize)).then(|| Recognised::certain_if(is_proven, Openvpn, id))
}

fn packets<'a>(view: &View<'a>, direction: Direction) -> impl Iterator<Item = Packet<'a>> {
    view.datagrams(direction).filter_map(|payload: &Payload| Packet::read(&payload.bytes).ok())
}

/// Over TCP each packet stands behind its length.
pub(super) fn over_tcp(view: &View<'_>) -> Option<Recognised> {
    let mut stream = Cursor::new(view.stream(ClientToServer));
    let len = usize::from(stream.u16("openvpn.length").ok()?);
    let reset = Packet::read(stream.rest()).ok().filter(Packet::is_client_reset)?;
    if !(RESET_BYTES_MIN..=RESET_BYTES_MAX).contains(&len) || view.first_len(ClientToServer) < len + 2 {
        return None;
    }
    let mut answers = Cursor::new(view.stream(ServerToClient));
    let answer = answers.u16("openvpn.length").and_then(|_| Packet::read(answers.rest())).ok();
    let quoted = answer.is_some_and(|answer| reset.is_quoted_by(&answer));
    let answered = answer.is_some_and(|answer| answer.first == SERVER_RESET_V2);
    let goes_on = answered && next(stream, len).is_ok_and(|later| reset.goes_on_in(&later));
    let is_proven = quoted || goes_on;
    (is_proven || reset.is_opening(len)).then(|| Recognised::certain_if(is_proven, Openvpn, "ovpn_tcp_client_reset"))
}

/// The packet behind one of `len` bytes.
fn next(mut stream: Cursor<'_>, len: usize) -> Result<Packet<'_>, ParseError> {
    stream.take(len, "openvpn.packet")?;
    stream.u16("openvpn.length")?;
    Packet::read(stream.rest())
}

#[cfg(test)]
mod tests {
    use crate::app::heads::Strength::{Certain, Weak};
    use crate::app::heads::scene::{CLIENT, SERVER, first_of_tcp, first_of_udp, tcp, udp};

    const RESET: &[u8] = b"\x38clientid\x00\x00\x00\x00\x00";
    const ANSWER: &[u8] = b"\x40serverid\x01\x00\x00\x00\x00clientid\x00\x00\x00\x00";
    /// Under tls-crypt nothing behind the session id can be read.
    const HIDDEN_ANSWER: &[u8] = b"\x40serverid\x9c\x11\xe4\x57\x2d\x80\x77\x3a\x6f\x91\x0b\xc4";
    const ACKNOWLEDGEMENT: &[u8] = b"\x28clientid\x77\xab\x13\x62\xf0\x5d";

    #[test]
    fn a_quoted_session_is_proof() {
        assert_eq!(first_of_udp(&udp(&[(CLIENT, RESET)]), 1_194), Some(("ovpn_udp_client_reset", Weak)));
        assert_eq!(first_of_udp(&udp(&[(CLIENT, RESET), (SERVER, ANSWER)]), 1_194), Some(("ovpn_udp_client_reset", Certain)));
    }

    #[test]
    fn sessions_that_go_on_are_proof_where_all_else_is_hidden() {
        let reset = [&RESET[..9], &[0x9c; 45]].concat();
        let answered = [(CLIENT, &reset[..]), (SERVER, HIDDEN_ANSWER)];
        assert_eq!(first_of_udp(&udp(&answered), 443), None, "number and time would stand behind the id");
        let later = [&answered[..], &[(CLIENT, ACKNOWLEDGEMENT)]].concat();
        assert_eq!(first_of_udp(&udp(&later), 443), Some(("ovpn_udp_client_reset", Certain)));
    }

    #[test]
    fn protected_resets_look_like_openings() {
        let time = 1_700_000_000_u32.to_be_bytes();
        let sha1 = [&RESET[..9], &[0x5c; 20], &[0, 0, 0, 1], &time, &[0; 5]].concat();
        let sha512 = [&RESET[..9], &[0x5c; 64], &[0, 0, 0, 1], &time, &[0; 5]].concat();
        let tls_crypt = [&RESET[..9], &[0, 0, 0, 1], &time, &[0x5c; 37]].concat();
        let tls_crypt_v2 = [b"\x50clientid\x0a\x00\x00\x01", &time[..], &[0x5c; 300]].concat();
        for (reset, id) in [
            (sha1, "ovpn_udp_client_reset"),
            (sha512, "ovpn_udp_client_reset"),
            (tls_crypt, "ovpn_udp_client_reset"),
            (tls_crypt_v2, "ovpn_udp_client_reset_v3"),
        ] {
            assert_eq!(first_of_udp(&udp(&[(CLIENT, &reset)]), 1_194), Some((id, Weak)));
        }
        let call = [&b"8\x1f\x2a\x00\x00\x00\x00\x00\x00\x00\x00\x02"[..], &[0; 60]].concat();
        assert_eq!(first_of_udp(&udp(&[(CLIENT, &call)]), 111), None, "a first byte is not enough");
    }

    #[test]
    fn a_stream_has_lengths_before_its_packets() {
        let framed = |packet: &[u8]| [&(packet.len() as u16).to_be_bytes(), packet].concat();
        assert_eq!(first_of_tcp(&tcp(&framed(RESET), &framed(ANSWER))), Some(("ovpn_tcp_client_reset", Certain)));
        let client = [framed(RESET), framed(ACKNOWLEDGEMENT)].concat();
        assert_eq!(first_of_tcp(&tcp(&client, &framed(HIDDEN_ANSWER))), Some(("ovpn_tcp_client_reset", Certain)));
        assert_eq!(first_of_tcp(&tcp(&framed(RESET), &[])), Some(("ovpn_tcp_client_reset", Weak)));
    }
}
