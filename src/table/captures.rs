//! `captures`: one row per file that was read.

use super::column::{Column, NEVER_NULL, Unit};
use crate::model::rows::CaptureRow;

use Unit::{Bytes, Count};

pub const CAPTURES: &[Column<CaptureRow>] = &[
    Column::text("source", "The capture point that the file belongs to.", NEVER_NULL, |row| Some(&row.source)),
    Column::text("path", "The file, as it was given or found; of a member of an archive, the path of the archive and its own.", NEVER_NULL, |row| {
        Some(&row.path)
    }),
    Column::text("content_hash", "Hash of all bytes of the file as it is stored.", "the file could not be read", |row| row.content_hash.as_deref()),
    Column::text("format", "pcap or pcapng.", "not even the header could be read", |row| row.format),
    Column::i64("bytes", Bytes, "Bytes of the file as it is stored.", NEVER_NULL, |row| Some(row.bytes)),
    Column::i64("packets", Count, "Records; a frame of 802.11 that holds several packets counts for each of them.", NEVER_NULL, |row| {
        Some(row.packets)
    }),
    Column::i64("decoded", Count, "Packets that were decoded down to their network layer: in flows, fragments, or not IP.", NEVER_NULL, |row| {
        Some(row.decoded)
    }),
    Column::i64(
        "undecoded",
        Count,
        "Packets that are too short, encrypted or compressed below IP, or of a link type that is not read.",
        NEVER_NULL,
        |row| Some(row.undecoded),
    ),
    Column::i64("not_ip", Count, "Decoded packets that are not IP.", NEVER_NULL, |row| Some(row.not_ip)),
    Column::i64(
        "fragments",
        Count,
        "Fragments of IP datagrams but the one that made its datagram whole: that counts as the packet.",
        NEVER_NULL,
        |row| Some(row.fragments),
    ),
    Column::time("first_time", "The earliest time of a record.", "no record says its time", |row| row.first_time),
    Column::time("last_time", "The latest time of a record.", "no record says its time", |row| row.last_time),
    Column::i32s("link_types", "Link types of the records, in order of appearance.", |row| &row.link_types),
    Column::i64("snaplen", Bytes, "The snap length that the file states.", "the file states none", |row| row.snaplen),
    Column::text("error", "What was wrong with the file, and at which byte.", "nothing was", |row| row.error.as_deref()),
    Column::bool("complete", "Whether the file was read to its end, and no byte passed over.", NEVER_NULL, |row| Some(row.complete)),
    Column::i64("truncated_packets", Count, "Records cut by the snap length.", NEVER_NULL, |row| Some(row.truncated_packets)),
    Column::text(
        "compression",
        "What the capture is packed in, outermost first, joined by /: gzip, zstd, lz4, xz, bzip2, tar.",
        "it is not packed",
        |row| row.compression.as_deref(),
    ),
    Column::i64(
        "dropped_by_capture",
        Count,
        "Packets that interface or system lost before they could be captured, as the capture says.",
        "the capture does not say",
        |row| row.dropped_by_capture,
    ),
    Column::i64(
        "clock_steps",
        Count,
        "How often the clock of the machine was set: time went back by more than a second, or leapt by more than an hour, and the next packet agrees.",
        NEVER_NULL,
        |row| Some(row.clock_steps),
    ),
    Column::i64("duplicates", Count, "Packets in flows that are copies of others, as a mirror port makes them.", NEVER_NULL, |row| {
        Some(row.duplicates)
    }),
];
