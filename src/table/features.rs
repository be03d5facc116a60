//! Columns of `flows` for models. `docs/features.md` says what other tools call them.

use super::column::{Column, NEVER_NULL, Unit};
use super::flows::{NO_PAYLOAD, NOT_TCP};

use crate::model::rows::FlowRow;

use Unit::{Bytes, Count, Milliseconds};

const ONE_PACKET: &str = "fewer than two packets";
const NEVER_IDLE: &str = "never idle";

/// Columns of a direction are written once: `who` is the client in `c2s_` and the server in `s2c_`, and the value is taken from its direction.
macro_rules! both_directions {
    ($($kind:ident $name:literal $unit:ident $null:ident ($before:literal who $after:literal) |$volume:ident| $value:expr;)*) => {
        &[$(
            Column::$kind(concat!("c2s_", $name), $unit, concat!($before, "client", $after), $null, |row| {
                let $volume = &row.volume.c2s;
                $value
            }),
            Column::$kind(concat!("s2c_", $name), $unit, concat!($before, "server", $after), $null, |row| {
                let $volume = &row.volume.s2c;
                $value
            }),
        )*]
    };
}

/// Of either direction.
pub const FEATURES: &[Column<FlowRow>] = both_directions! {
    i64 "ack" Count NOT_TCP ("Packets of the " who " with ACK.") |volume| Some(volume.flags?.ack);
    i64 "urg" Count NOT_TCP ("Packets of the " who " with URG.") |volume| Some(volume.flags?.urg);
    i64 "ece" Count NOT_TCP ("Packets of the " who " with ECE (RFC 3168 section 6.1).") |volume| Some(volume.flags?.ece);
    i64 "cwr" Count NOT_TCP ("Packets of the " who " with CWR (RFC 3168 section 6.1).") |volume| Some(volume.flags?.cwr);
    i64 "payload_packets" Count NEVER_NULL ("Packets of the " who " that carry payload, repetitions included.") |volume| Some(volume.payload_packets);
    i64 "payload_min" Bytes NO_PAYLOAD ("Smallest payload of the " who "'s packets that carry any.") |volume| Some(volume.payload?.min as i64);
    f64 "payload_q1" Bytes NO_PAYLOAD ("First quartile of the payload of the " who "'s packets that carry any: exact up to 256 packets of the direction, \
        within 3.2 % beyond.") |volume| Some(volume.payload?.q1);
    f64 "payload_median" Bytes NO_PAYLOAD ("Median payload of the " who "'s packets that carry any, as exact as its quartiles.") |volume| Some(volume.payload?.median);
    f64 "payload_q3" Bytes NO_PAYLOAD ("Third quartile of the payload of the " who "'s packets that carry any, as exact as the first.") |volume| Some(volume.payload?.q3);
    f64 "iat_min_ms" Milliseconds ONE_PACKET ("Shortest time between two of the " who "'s packets.") |volume| Some(volume.iat_ms?.min);
    f64 "iat_q1_ms" Milliseconds ONE_PACKET ("First quartile of the time between the " who "'s packets: exact up to 256 packets, within 3.2 % beyond.") |volume|
        Some(volume.iat_ms?.q1);
    f64 "iat_median_ms" Milliseconds ONE_PACKET ("Median time between the " who "'s packets, as exact as its quartiles.") |volume| Some(volume.iat_ms?.median);
    f64 "iat_q3_ms" Milliseconds ONE_PACKET ("Third quartile of the time between the " who "'s packets, as exact as the first.") |volume| Some(volume.iat_ms?.q3);
    i64 "bursts" Count NEVER_NULL ("Bursts of the " who ": payload packets in a row, without payload of the other side and without a gap above 1 s.") |volume|
        Some(volume.bursts.count);
    f64 "burst_packets_mean" Count NO_PAYLOAD ("Mean number of packets in a burst of the " who ".") |volume| volume.per_burst(volume.payload_packets);
    i64 "burst_packets_max" Count NO_PAYLOAD ("Most packets in a burst of the " who ".") |volume| volume.of_bursts(volume.bursts.packets_max);
    f64 "burst_bytes_mean" Bytes NO_PAYLOAD ("Mean payload of a burst of the " who ".") |volume| volume.per_burst(volume.payload_bytes);
    i64 "burst_bytes_max" Bytes NO_PAYLOAD ("Largest payload of a burst of the " who ".") |volume| volume.of_bursts(volume.bursts.bytes_max);
};

/// Of the whole flow.
pub const TIMES: &[Column<FlowRow>] = &[
    Column::f64("iat_mean_ms", Milliseconds, "Mean time between packets, whoever sent them.", ONE_PACKET, |row| Some(row.times.iat_ms?.mean)),
    Column::f64("iat_std_ms", Milliseconds, "Standard deviation of the same (of the population).", ONE_PACKET, |row| Some(row.times.iat_ms?.std)),
    Column::f64("iat_min_ms", Milliseconds, "Shortest time between two packets, whoever sent them.", ONE_PACKET, |row| Some(row.times.iat_ms?.min)),
    Column::f64("iat_max_ms", Milliseconds, "Longest time between two packets, whoever sent them.", ONE_PACKET, |row| Some(row.times.iat_ms?.max)),
    Column::i64("active_count", Count, "Active times: between two of them neither side sends for more than 5 s.", NEVER_NULL, |row| {
        Some(row.times.active_count)
    }),
    Column::f64("active_mean_ms", Milliseconds, "Mean length of an active time, from its first to its last packet.", NEVER_NULL, |row| {
        Some(row.times.active_ms.mean)
    }),
    Column::f64("active_std_ms", Milliseconds, "Standard deviation of the same (of the population).", NEVER_NULL, |row| {
        Some(row.times.active_ms.std)
    }),
    Column::f64("active_min_ms", Milliseconds, "Shortest active time.", NEVER_NULL, |row| Some(row.times.active_ms.min)),
    Column::f64("active_max_ms", Milliseconds, "Longest active time.", NEVER_NULL, |row| Some(row.times.active_ms.max)),
    Column::i64("idle_count", Count, "Idle times: more than 5 s between two packets, whoever sent them.", NEVER_NULL, |row| {
        Some(row.times.idle_count)
    }),
    Column::f64("idle_mean_ms", Milliseconds, "Mean idle time.", NEVER_IDLE, |row| Some(row.times.idle_ms?.mean)),
    Column::f64("idle_std_ms", Milliseconds, "Standard deviation of the same (of the population).", NEVER_IDLE, |row| Some(row.times.idle_ms?.std)),
    Column::f64("idle_min_ms", Milliseconds, "Shortest idle time.", NEVER_IDLE, |row| Some(row.times.idle_ms?.min)),
    Column::f64("idle_max_ms", Milliseconds, "Longest idle time.", NEVER_IDLE, |row| Some(row.times.idle_ms?.max)),
];

/// There only where `--splt` asks for them.
pub const SPLT: &[Column<FlowRow>] = &[
    Column::i64s(
        "splt_payload",
        Bytes,
        "Payload of the first N packets that carry any: positive from the client, negative from the server. Only with --splt N.",
        |row| &row.splt.payload,
    ),
    Column::f64s("splt_ms", Milliseconds, "Times of the same packets, after start. Only with --splt N.", |row| &row.splt.ms),
];
