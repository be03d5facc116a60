//! What sources are called: as short as they stay apart.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::series::{Draft, Kind};

/// Endings that say what kind of file it is; digits after them are left by rotation (`trace.pcap7`).
const EXTENSIONS: &[&str] = &["pcap", "pcapng", "cap", "dmp", "dump", "trc", "gz", "zst", "lz4", "xz", "bz2"];
const SEPARATORS: &[char] = &['-', '_', '.', ' '];

/// How much of the path a name takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Stem,
    /// From the input folder, without extension.
    Relative,
    /// Of the first file, as given.
    Path,
}

/// One name for each, all different. A name from the command line stays as it is.
pub(super) fn of(drafts: &[Draft]) -> Vec<String> {
    let mut lengths = vec![Length::Stem; drafts.len()];
    loop {
        let names: Vec<String> = drafts.iter().zip(&lengths).map(|(draft, length)| name(draft, *length)).collect();
        let mut uses: HashMap<&str, usize> = HashMap::new();
        names.iter().for_each(|name| *uses.entry(name).or_default() += 1);
        let mut longer = false;
        for ((draft, length), name) in drafts.iter().zip(&mut lengths).zip(&names) {
            if uses[name.as_str()] > 1 && *length != Length::Path && !draft.is_named() {
                *length = if *length == Length::Stem { Length::Relative } else { Length::Path };
                longer = true;
            }
        }
        if !longer {
            return numbered(drafts, names);
        }
    }
}

impl Draft {
    fn is_named(&self) -> bool {
        matches!(self.kind, Kind::Named(_))
    }
}

fn name(draft: &Draft, length: Length) -> String {
    let (kind, Some(first)) = (&draft.kind, draft.files.first()) else {
        return String::new();
    };
    let own = |path: &Path| path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy()).into_owned();
    match (kind, length) {
        (Kind::Named(name), _) => name.clone(),
        (_, Length::Path) => first.file.path.to_string_lossy().into_owned(),
        (Kind::Single, Length::Stem) => without_extensions(&own(&first.relative)).to_string(),
        (Kind::Series, Length::Stem) => series_name(without_extensions(&own(&first.relative))),
        (_, Length::Relative) => {
            let folder = first.relative.parent().map(|folder| folder.to_string_lossy()).unwrap_or_default();
            let name = name(draft, Length::Stem);
            if folder.is_empty() { name } else { format!("{folder}/{name}") }
        }
    }
}

/// Paths that read the same, or a path that somebody gave as a name: the later one gets a number.
fn numbered(drafts: &[Draft], names: Vec<String>) -> Vec<String> {
    let named = drafts.iter().zip(&names).filter(|(draft, _)| draft.is_named());
    let mut used: HashSet<String> = named.map(|(_, name)| name.clone()).collect();
    let unique = |(draft, name): (&Draft, &String)| {
        if draft.is_named() || used.insert(name.clone()) {
            return name.clone();
        }
        let mut candidates = (2_u64..).map(|count| format!("{name}#{count}"));
        candidates.find(|candidate| used.insert(candidate.clone())).unwrap_or_default()
    };
    drafts.iter().zip(&names).map(unique).collect()
}

/// `trace.pcap.gz`, `trace.pcap3` and `trace.pcap.3` are `trace`; `10.0.0.1.pcap` is `10.0.0.1`. Of an ending nobody knows, the last is taken.
fn without_extensions(name: &str) -> &str {
    let rotated = name.rsplit_once('.').filter(|(head, tail)| is_digits(tail) && without_known(head) != *head);
    let rest = without_known(rotated.map_or(name, |(head, _)| head));
    if rest != name {
        return rest;
    }
    name.rsplit_once('.').filter(|(head, tail)| !head.is_empty() && !is_digits(tail)).map_or(name, |(head, _)| head)
}

fn without_known(name: &str) -> &str {
    let mut rest = name;
    while let Some((head, extension)) = rest.rsplit_once('.').filter(|(head, _)| !head.is_empty()) {
        let kind = extension.to_ascii_lowercase();
        if !EXTENSIONS.contains(&kind.as_str()) && !EXTENSIONS.contains(&kind.trim_end_matches(|c: char| c.is_ascii_digit())) {
            break;
        }
        rest = head;
    }
    rest
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Without what counts or dates the files: digits and the separators around them. Where nothing else is left, the stem.
fn series_name(stem: &str) -> String {
    let counts = |c: char| c.is_ascii_digit() || SEPARATORS.contains(&c);
    let mut name = String::new();
    let mut rest = stem;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(counts).unwrap_or(rest.len()));
        let (between, after) = after.split_at(after.find(|c| !counts(c)).unwrap_or(after.len()));
        name.push_str(word);
        if !between.contains(|c: char| c.is_ascii_digit()) {
            name.push_str(between);
        } else if !name.is_empty() && !after.is_empty() {
            name.extend(between.chars().find(|c| SEPARATORS.contains(c)));
        }
        rest = after;
    }
    if name.is_empty() { stem.to_string() } else { name }
}

#[cfg(test)]
mod tests {
    use super::super::inventory::CaptureFile;
    use super::super::walk::Found;
    use super::*;
    use crate::model::FileId;

    fn draft(path: &str, relative: &str, kind: Kind) -> Draft {
        let file = CaptureFile::at(FileId(0), Path::new(path));
        Draft { files: vec![Found { file, relative: relative.into() }], kind }
    }

    #[test]
    fn a_series_is_called_by_what_its_files_share() {
        for (stem, name) in [
            ("trace-01", "trace"),
            ("trace_00001_20240101120000", "trace"),
            ("2024-01-01_probe", "probe"),
            ("wlan0-cap-7", "wlan-cap"),
            ("my phone (3)", "my phone ()"),
            ("cap-01-eth", "cap-eth"),
            ("00001", "00001"),
        ] {
            assert_eq!(series_name(stem), name, "{stem}");
        }
    }

    #[test]
    fn endings_that_say_the_kind_of_file_are_left_out() {
        for (name, stem) in [
            ("trace.pcap", "trace"),
            ("trace.PCAPNG.gz", "trace"),
            ("trace.pcap12", "trace"),
            ("trace.pcap.3", "trace"),
            ("10.0.0.1.pcap", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.1"),
            ("trace.bin", "trace"),
            (".pcap", ".pcap"),
            ("-", "-"),
        ] {
            assert_eq!(without_extensions(name), stem, "{name}");
        }
    }

    #[test]
    fn names_that_collide_grow_until_they_differ() {
        let drafts = [
            draft("in/a/t.pcap", "a/t.pcap", Kind::Single),
            draft("in/b/t-1.pcap", "b/t-1.pcap", Kind::Series),
            draft("in/c/u.pcap", "c/u.pcap", Kind::Single),
            draft("x/v.pcap", "v.pcap", Kind::Single),
            draft("y/v.pcap", "v.pcap", Kind::Single),
        ];
        assert_eq!(of(&drafts), ["a/t", "b/t", "u", "x/v.pcap", "y/v.pcap"]);
    }

    #[test]
    fn a_name_that_was_asked_for_stays() {
        let drafts = [
            draft("t.pcap", "t.pcap", Kind::Single),
            draft("u.pcap", "u.pcap", Kind::Named("t".into())),
            draft("v", "v", Kind::Named("t.pcap".into())),
        ];
        assert_eq!(of(&drafts), ["t.pcap#2", "t", "t.pcap"]);
    }
}
