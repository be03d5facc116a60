//! A capture written by hand and damaged in one place: what stands before the damage is read unchanged, and reading goes on behind it.
//!
//! What the formats allow to promise (`src/capture/pcap.rs`, `src/capture/pcapng.rs`): a cut costs the record it goes through and nothing else. One
//! flipped byte or one hole costs the records that it touches and at most the first one behind them, where at least four follow whose times are near.
//! It never makes up a record.
//!
//! Nothing is promised behind damage that looks like something else: a hole that leaves a header which claims more than the file holds, as the last one of
//! a cut file does (the report says so then); in a pcap a length that leads exactly to a later record, or a hole in the first record, whose time has
//! nothing before it to prove it; in a pcapng a hole that moves blocks off their four bytes, since lengths read a byte late agree by chance too often.
#![no_main]

use std::ops::Range;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tamperscope::capture::CaptureError;
use tamperscope_fuzz::{Format, Reading, Seen, Written, read, write};

#[derive(Debug, Arbitrary)]
struct Input {
    format: Format,
    packets: Vec<(u8, u16, Vec<u8>)>,
    damage: Damage,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Damage {
    Cut(u16),
    Flip { at: u16, mask: u8 },
    Hole { at: u16, length: u16 },
}

/// Records behind damage that are always found: reading goes on where several follow each other.
const RECORDS_BEHIND: usize = 4;
/// What a header of pcap begins with.
const SECONDS_BYTES: usize = 4;

fuzz_target!(|input: Input| {
    let Written { bytes, records } = write(input.format, &input.packets);
    let sound = read(&bytes, 1 << 20);
    assert_eq!((sound.records.len(), sound.report.complete), (records.len(), true), "what was written is read");
    let Some(first) = records.first().map(|record| record.start) else { return };
    let Some((damaged, gone)) = damage(&bytes, first, input.damage) else { return };
    let Reading { records: found, report } = read(&damaged, 64);

    // Where the first bytes of a header are gone, the last ones of the packet before stand in for them, and nobody can tell.
    let spared = if matches!(input.damage, Damage::Hole { .. }) { SECONDS_BYTES } else { 0 };
    let before = records.iter().filter(|record| record.end + spared <= gone.start).count();
    assert!(found.len() >= before && found[..before] == sound.records[..before], "damage changes nothing before it");
    assert!(found.len() <= records.len(), "damage makes no records");
    if matches!(input.damage, Damage::Cut(_)) {
        assert_eq!(found.len(), before, "behind a cut there is nothing");
        return;
    }
    if matches!((input.damage, &report.error), (Damage::Hole { .. }, Some(CaptureError::CutOff { .. }))) {
        return;
    }
    if input.format.pcapng && !(bytes.len() - damaged.len()).is_multiple_of(4) {
        return;
    }
    if !input.format.pcapng && matches!(input.damage, Damage::Hole { .. }) && before == 0 {
        return;
    }
    if !input.format.pcapng && leads_to_another(&damaged, &records, input.format.big, gone.start, bytes.len() - damaged.len()) {
        return;
    }
    let behind = records.iter().position(|record| record.start >= gone.end).unwrap_or(records.len());
    if records.len() - behind >= RECORDS_BEHIND {
        assert_found(&found[before..], &sound.records[behind + 1..]);
    }
});

/// Whether the record that byte `at` belongs to claims to end where a later one begins, which a hole has moved to the front by `moved` bytes.
fn leads_to_another(damaged: &[u8], records: &[Range<usize>], big: bool, at: usize, moved: usize) -> bool {
    let Some(record) = records.iter().find(|record| record.contains(&at)) else { return false };
    let Some(&length) = damaged.get(record.start + 8..).and_then(|rest| rest.first_chunk()) else { return false };
    let length = if big { u32::from_be_bytes(length) } else { u32::from_le_bytes(length) };
    records.iter().any(|other| other.start > record.end && other.start == record.start + 16 + length as usize + moved)
}

/// The damaged file, and which bytes of the sound one are not in it as they were. The header of the file is left alone.
fn damage(bytes: &[u8], first: usize, damage: Damage) -> Option<(Vec<u8>, Range<usize>)> {
    let place = |at: u16| Some(first + usize::from(at).checked_rem(bytes.len() - first)?);
    Some(match damage {
        Damage::Cut(at) => (bytes[..place(at)?].to_vec(), place(at)?..bytes.len()),
        Damage::Flip { at, mask } => {
            let (at, mut bytes) = (place(at)?, bytes.to_vec());
            bytes[at] ^= mask.max(1);
            (bytes, at..at + 1)
        }
        Damage::Hole { at, length } => {
            let start = place(at)?;
            let end = start.saturating_add(usize::from(length)).min(bytes.len());
            ([&bytes[..start], &bytes[end..]].concat(), start..end)
        }
    })
}

/// Whether all of `wanted` are among what was found, in their order.
fn assert_found(found: &[Seen], wanted: &[Seen]) {
    let mut found = found.iter();
    for record in wanted {
        let same = |other: &Seen| (other.time, other.original, &other.data) == (record.time, record.original, &record.data);
        assert!(found.any(same), "record {} was not touched", record.number);
    }
}
