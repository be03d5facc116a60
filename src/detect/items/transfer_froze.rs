//! A transfer that froze: the server fell silent in the middle of a TLS record, and does not even acknowledge the client's farewell.
//!
//! A record header announces how many bytes come; a program hands a record to the kernel whole, so that a live server finishes it.
//! Benign first: a server or path that died is told by other connections; a closed receive window; a client that left early.
//! Source: detection.md 4.5: `tls_record_incomplete` as the cleanest proof, silence of 10 s.

use crate::detect::Evidence;
use crate::detect::features::TcpView;
use crate::model::words::{Mechanism, Outstanding};
use crate::model::{Direction, Span};

const SILENCE_MIN: Span = Span::from_secs(10);
const REPEATS_MIN: usize = 3;
/// From here on it is a transfer (detection.md 4.5: 10 kB to 40 kB), below it the answer itself was cut.
const TRANSFER_BYTES: u64 = 10_000;

pub fn observe(view: &TcpView<'_>, direction: Direction) -> Option<Evidence> {
    let silence = view.silence.as_ref().filter(|silence| silence.silent == direction)?;
    let long = silence.watched >= SILENCE_MIN || silence.repeats.len() >= REPEATS_MIN;
    let full = view.tcp.sides[view.client()].zero_window > 0;
    if direction != Direction::ServerToClient || !view.has_sni() || !silence.inside_record || !long || full {
        return None;
    }
    let (last_time, last) = silence.last?;
    let delivered = view.tcp.sides[view.side(direction)].new_payload_bytes;
    let asked = if silence.owed == Outstanding::TlsRecord { String::new() } else { format!("; {} repetitions got no answer", silence.repeats.len()) };
    Some(Evidence {
        id: "transfer_froze",
        mechanism: if delivered >= TRANSFER_BYTES { Mechanism::VolumeFreeze } else { Mechanism::CutAfterPackets },
        packets: std::iter::once(last).chain(silence.repeats.iter().map(|repeat| repeat.1)).take(8).collect(),
        time: last_time,
        says: format!(
            "packet {}: the server's last packet, in the middle of a TLS record after {delivered} bytes; then silence for {:.1} s{asked}",
            last.number(),
            silence.watched.as_secs()
        ),
        unless: "the server or the path died in mid-transfer",
    })
}
