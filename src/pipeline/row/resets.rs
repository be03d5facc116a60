//! The rows of resets.

use std::sync::Arc;

use crate::detect::features::{Reset, TcpView, pattern};
use crate::flow::ResetRecord;
use crate::model::rows::{FirstReset, PreviousReset, ResetRow, WeaverTests};
use crate::model::{Direction, Timestamp};
use crate::packet::TcpFlags;

use super::Rows;

impl Rows<'_> {
    pub fn reset_rows(&self, view: &TcpView<'_>, source: &Arc<str>, flow_id: i64) -> Vec<ResetRow> {
        let mut index = [0; 2];
        let mut row = |(at, reset): (usize, &Reset<'_>)| {
            let index = &mut index[usize::from(reset.direction == Direction::ServerToClient)];
            *index += 1;
            let place = Place { source: source.clone(), flow_id, capture: self.path(reset.packet.file()), index: *index };
            reset_row(view, reset, &view.resets[..at], place)
        };
        view.resets.iter().enumerate().map(&mut row).collect()
    }
}

/// Where a reset stands.
struct Place {
    source: Arc<str>,
    flow_id: i64,
    capture: Arc<str>,
    index: i64,
}

fn reset_row(view: &TcpView<'_>, reset: &Reset<'_>, earlier: &[Reset<'_>], place: Place) -> ResetRow {
    let ResetRecord { packet, after, .. } = reset.record;
    let since = |moment: Timestamp| (moment - reset.time).as_ms();
    let round_trip = view.round_trip_to(reset.direction).map(|trip| trip.as_ms()).filter(|&trip| trip > 0.0);
    let hello = view.request.as_ref().filter(|request| request.is_hello);
    ResetRow {
        source: place.source,
        flow_id: place.flow_id,
        capture: place.capture,
        packet: reset.packet.number() as i64,
        time: reset.time,
        direction: reset.direction.into(),
        index: place.index,
        stage: reset.stage(),
        flags: letters(packet.flags, reset.record.nonce),
        has_ack: packet.flags.has(TcpFlags::ACK),
        window: packet.window.into(),
        ttl: packet.ttl.into(),
        ttl_delta: reset.ttl_delta,
        ip_id: reset.record.has_ip_id.then_some(packet.ip_id.into()),
        ip_id_delta: reset.ip_id_delta(),
        sender_ip_ids: view.tcp.sides[packet.sender].ip_ids(),
        dont_fragment: reset.record.dont_fragment,
        has_options: reset.record.has_options,
        timestamp_delta: reset.timestamp_delta().map(i64::from),
        payload_bytes: packet.payload_bytes.into(),
        form: reset.form,
        closing: reset.closing,
        seq_offset: reset.seq_offset().map(i64::from),
        ack_offset: reset.ack_offset().map(i64::from),
        peer_ack_offset: reset.peer_ack_offset().map(i64::from),
        after_start_ms: (reset.time - view.conversation.flow.start).as_ms(),
        after_client_hello_ms: hello.map(|hello| (reset.time - hello.sent).as_ms()),
        after_request_ms: reset.after_request().map(|span| span.as_ms()),
        after_request_round_trips: reset.after_request().zip(round_trip).map(|(span, trip)| span.as_ms() / trip),
        idle_ms: reset.record.idle.as_ms(),
        impossible_early: reset.too_early,
        previous: reset.previous.map(|previous| step(previous, reset.record)),
        new_bytes_after: after.new_bytes as i64,
        data_after_ms: after.data.map(|(time, ..)| since(time)),
        syn_ack_after_ms: after.syn_ack.map(|(time, _)| since(time)),
        ack_after_ms: after.ack.map(|(time, ..)| since(time)),
        challenge_ack_after: after.challenge,
        weaver: WeaverTests {
            rst_seq_data: !reset.closing && reset.behind_data().is_some(),
            data_seq_rst: after.data.is_some() || after.syn_ack.is_some(),
            rst_seq_change: !reset.closing && reset.seq_change().is_some(),
            rst_ack_change: reset.ack_change().is_some(),
            rst_ack_zero: reset.ack_is_odd(),
            syn_rst: after.syn_ack.is_some(),
        },
        pattern: pattern(reset, earlier),
    }
}

/// What `flows` tells of the first reset of a direction.
pub fn first_reset(view: &TcpView<'_>, direction: Direction) -> Option<FirstReset> {
    let reset = view.resets.iter().find(|reset| reset.direction == direction)?;
    let packet = &reset.record.packet;
    Some(FirstReset {
        ms: (reset.time - view.conversation.flow.start).as_ms(),
        ttl: packet.ttl.into(),
        ttl_delta: reset.ttl_delta,
        ip_id_delta: reset.ip_id_delta(),
        seq_offset: reset.seq_offset().map(i64::from),
        window: packet.window.into(),
        has_ack: packet.flags.has(TcpFlags::ACK),
        has_options: reset.record.has_options,
        new_bytes_after: reset.record.after.new_bytes as i64,
    })
}

fn step(before: &ResetRecord, reset: &ResetRecord) -> PreviousReset {
    let (one, other) = (&before.packet, &reset.packet);
    PreviousReset {
        ms: (other.time - one.time).as_ms(),
        seq: other.seq.offset_from(one.seq).into(),
        ack: other.ack.offset_from(one.ack).into(),
        ttl: i32::from(other.ttl) - i32::from(one.ttl),
        window: i32::from(other.window) - i32::from(one.window),
        ip_id: reset.ip_id_from(one.ip_id),
    }
}

/// Flags as letters, the lowest bit of the header first.
fn letters(flags: TcpFlags, nonce: bool) -> String {
    let set = "FSRPAUEC".chars().enumerate().filter(|(bit, _)| flags.0 >> bit & 1 == 1).map(|(_, letter)| letter);
    set.chain(nonce.then_some('N')).collect()
}
