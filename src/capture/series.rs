//! Which files belong together: by the command line, else by names that differ only in digits and times that do not overlap.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rayon::prelude::*;

use super::glob;
use super::inventory::{Source, SourceRules};
use super::names;
use super::probe::{self, Times};
use super::walk::Found;
use crate::model::{Span, Timestamp};

/// Rotation is not exact: buffers of the old file may be flushed after the new one was begun.
const OVERLAP_MAX: Span = Span::from_secs(1);
const ONE_SOURCE: &str = "all";

/// Files of one source before it has a name.
pub(super) struct Draft {
    pub(super) files: Vec<Found>,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// Named on the command line.
    Named(String),
    Series,
    Single,
}

/// All sources in the order in which their first files were found.
pub(super) fn sources(found: Vec<Found>, rules: &SourceRules, warnings: &mut Vec<String>) -> Vec<Source> {
    let (mut drafts, others) = by_rules(found, rules, warnings);
    drafts.extend(if rules.one_source { one_source(others) } else { by_digits(others) });
    drafts.sort_by_key(|draft| draft.files.iter().map(|found| found.file.id).min());
    let names = names::of(&drafts);
    let source = |(draft, name): (Draft, String)| Source { name, files: draft.files.into_iter().map(|found| found.file).collect() };
    drafts.into_iter().zip(names).map(source).collect()
}

fn by_rules(found: Vec<Found>, rules: &SourceRules, warnings: &mut Vec<String>) -> (Vec<Draft>, Vec<Found>) {
    let mut named: BTreeMap<&str, Vec<Found>> = BTreeMap::new();
    let mut used = vec![false; rules.named.len()];
    let mut others = Vec::new();
    for found in found {
        let path = found.file.path.to_string_lossy();
        let fits = rules.named.iter().enumerate().filter(|(_, (_, pattern))| glob::matches(pattern, &path));
        let fits: Vec<usize> = fits.map(|(position, _)| position).collect();
        fits.iter().for_each(|&position| used[position] = true);
        match fits.first() {
            Some(&position) => named.entry(&rules.named[position].0).or_default().push(found),
            None => others.push(found),
        }
    }
    let idle = rules.named.iter().zip(used).filter(|(_, used)| !used);
    warnings.extend(idle.map(|((name, pattern), _)| format!("--source {name}={pattern}: no file fits")));
    let drafts = named.into_iter().map(|(name, files)| Draft { files: in_time_order(files), kind: Kind::Named(name.to_string()) });
    (drafts.collect(), others)
}

fn one_source(files: Vec<Found>) -> Vec<Draft> {
    let some = (!files.is_empty()).then(|| Draft { files: in_time_order(files), kind: Kind::Named(ONE_SOURCE.to_string()) });
    some.into_iter().collect()
}

/// By first packet; files without one, and streams, which nobody may look into, come last.
fn in_time_order(mut files: Vec<Found>) -> Vec<Found> {
    if files.len() > 1 {
        files.par_sort_by_cached_key(|found| {
            let first = if found.file.is_stream() { None } else { probe::first_time(&found.file) };
            (first.is_none(), first, found.file.id)
        });
    }
    files
}

fn by_digits(files: Vec<Found>) -> Vec<Draft> {
    let mut groups: BTreeMap<(PathBuf, Vec<u8>), Vec<Found>> = BTreeMap::new();
    let mut drafts = Vec::new();
    for found in files {
        match digit_group(&found) {
            Some(group) => groups.entry(group).or_default().push(found),
            None => drafts.push(single(found)),
        }
    }
    drafts.extend(groups.into_values().flat_map(group_drafts));
    drafts
}

/// Folder, and name with a zero byte (which no name holds) for each run of digits; none where there are no digits.
fn digit_group(found: &Found) -> Option<(PathBuf, Vec<u8>)> {
    let path = &found.file.path;
    if found.file.is_stream() {
        return None;
    }
    let mut pattern = path.file_name()?.as_encoded_bytes().to_vec();
    pattern.iter_mut().filter(|byte| byte.is_ascii_digit()).for_each(|byte| *byte = 0);
    pattern.dedup_by(|byte, before| *byte == 0 && *before == 0);
    pattern.contains(&0).then(|| (path.parent().map(PathBuf::from).unwrap_or_default(), pattern))
}

/// One series, or each file for itself.
fn group_drafts(files: Vec<Found>) -> Vec<Draft> {
    if files.len() < 2 {
        return files.into_iter().map(single).collect();
    }
    let (mut timed, mut drafts): (Vec<(Times, Found)>, Vec<Draft>) = (Vec::new(), Vec::new());
    let times: Vec<Option<Times>> = files.par_iter().map(|found| probe::times(&found.file)).collect();
    for (found, times) in files.into_iter().zip(times) {
        match times {
            Some(times) => timed.push((times, found)),
            None => drafts.push(single(found)),
        }
    }
    timed.sort_by_key(|(times, found)| (times.first, found.file.id));
    let overlap = overlaps(timed.iter().map(|(times, _)| *times));
    let files: Vec<Found> = timed.into_iter().map(|(_, found)| found).collect();
    if overlap || files.len() < 2 {
        drafts.extend(files.into_iter().map(single));
    } else {
        drafts.push(Draft { files, kind: Kind::Series });
    }
    drafts
}

fn single(found: Found) -> Draft {
    Draft { files: vec![found], kind: Kind::Single }
}

/// Whether any file, in the order of first packets, begins clearly before an earlier one has ended.
fn overlaps(times: impl Iterator<Item = Times>) -> bool {
    let mut end: Option<Timestamp> = None;
    for Times { first, last } in times {
        // A file that also ends inside the one before is no next one, however short both are.
        if end.is_some_and(|end| end - first > OVERLAP_MAX || (first < end && last <= end)) {
            return true;
        }
        end = end.max(Some(last));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::inventory::CaptureFile;
    use super::*;
    use crate::model::FileId;

    fn found(path: &str) -> Found {
        Found { file: CaptureFile::at(FileId(0), std::path::Path::new(path)), relative: path.into() }
    }

    #[test]
    fn only_digits_may_differ() {
        let group = |path: &str| digit_group(&found(path));
        assert_eq!(group("a/trace_00001_20240101.pcap"), group("a/trace_2_3.pcap"));
        assert_ne!(group("a/trace1.pcap"), group("b/trace1.pcap"), "another folder is another series");
        assert_ne!(group("trace1.pcap"), group("trace1.pcapng"));
        assert_eq!(group("trace.pcap"), None);
    }

    #[test]
    fn a_second_of_overlap_is_the_slack_of_rotation() {
        let seconds = |list: &[(i64, i64)]| {
            overlaps(list.iter().map(|&(first, last)| Times { first: Timestamp(first * 1_000_000_000), last: Timestamp(last * 1_000_000_000) }))
        };
        assert!(!seconds(&[(0, 11), (10, 20), (19, 30)]));
        assert!(seconds(&[(0, 12), (10, 20)]));
        assert!(seconds(&[(0, 50), (50, 51), (40, 41)]), "any pair counts, not only neighbours");
        assert!(seconds(&[(0, 1), (0, 1)]), "two that ran side by side for a second");
        assert!(!seconds(&[(0, 5), (5, 5), (5, 9)]), "one packet at the joint");
    }
}
