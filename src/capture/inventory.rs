//! What there is to read: inputs in, sources out.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::content::Opened;
use super::error::CaptureError;
use super::series;
use super::walk::Walk;
use crate::model::FileId;

/// A capture to read: a file, a member of an archive (whose path goes on inside it), or standard input (`-`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureFile {
    pub id: FileId,
    pub path: PathBuf,
    pub(super) place: Place,
    /// What it is packed in before it is opened: the words of its archive, outermost first.
    pub(super) archive: Vec<&'static str>,
    pub(super) is_compressed: bool,
}

/// Where the bytes of a capture are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Under its path.
    File,
    /// In an archive, as they are.
    Member { archive: PathBuf, start: u64, length: u64 },
    /// In an archive that cannot be read at any place, and so taken out of it.
    Unpacked(PathBuf),
    /// In a stream that was opened already: nobody can look into it twice.
    Stream(Stream),
}

/// A stream until somebody reads it.
#[derive(Clone)]
pub(super) struct Stream(Arc<Mutex<Option<Opened>>>);

impl Stream {
    pub(super) fn new(opened: Opened) -> Self {
        Self(Arc::new(Mutex::new(Some(opened))))
    }

    pub(super) fn take(&self) -> Option<Opened> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Stream")
    }
}

/// A stream is only itself.
impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Stream {}

impl CaptureFile {
    /// Of the file system.
    pub fn at(id: FileId, path: &Path) -> Self {
        Self { id, path: path.to_path_buf(), place: Place::File, archive: Vec::new(), is_compressed: false }
    }

    /// Whether reading it takes work that is worth doing ahead.
    pub fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.place, Place::Stream(_))
    }

    /// Bytes to be read, where that is known beforehand.
    pub fn stored_bytes(&self) -> Option<u64> {
        let size = |path: &Path| std::fs::metadata(path).ok().map(|metadata| metadata.len());
        match &self.place {
            Place::File => size(&self.path),
            Place::Unpacked(path) => size(path),
            Place::Member { length, .. } => Some(*length),
            Place::Stream(_) => None,
        }
    }
}

/// One capture point: one file, or one rotated series in time order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub files: Vec<CaptureFile>,
}

/// What the command line says about sources; where it is silent, names and times of files decide.
#[derive(Clone, Debug, Default)]
pub struct SourceRules {
    /// `--source NAME=GLOB`: files whose path fits belong to the source of that name. The first rule that fits holds.
    pub named: Vec<(String, String)>,
    /// `--one-source`: all other files belong to one source called `all`.
    pub one_source: bool,
}

/// Everything that was found, in an order that depends on the inputs alone.
#[derive(Debug, Default)]
pub struct Inventory {
    pub sources: Vec<Source>,
    /// Files met in folders that are no captures.
    pub skipped: usize,
    pub refused: Vec<CaptureError>,
    pub warnings: Vec<String>,
}

/// Finds the captures among the inputs (files, folders, patterns, `-`) and puts them into sources. Members of archives that cannot be read at any
/// place are taken out of them into the folder `unpack_to`, which has to outlive the reading.
pub fn find(inputs: &[PathBuf], rules: &SourceRules, unpack_to: &Path) -> Inventory {
    let mut walk = Walk::new(unpack_to);
    for input in inputs {
        walk.input(input);
    }
    let Walk { found, skipped, refused, mut warnings, .. } = walk;
    let sources = series::sources(found, rules, &mut warnings);
    Inventory { sources, skipped, refused, warnings }
}

#[cfg(test)]
mod tests {
    use super::super::testing::PcapBuilder;
    use super::*;
    use std::fs;
    use std::path::Path;

    /// A folder of files, each with packets at these seconds; without any it is a text.
    fn folder(files: &[(&str, &[u64])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, seconds) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("inside the folder")).expect("a folder");
            let capture = seconds.iter().fold(PcapBuilder::micros(), |file, second| file.packet(second * 1_000_000_000, b"x")).bytes();
            fs::write(path, if seconds.is_empty() { b"a text".to_vec() } else { capture }).expect("a file");
        }
        folder
    }

    /// Names of sources with the paths of their files below the folder.
    fn sources(inventory: &Inventory, folder: &Path) -> Vec<(String, Vec<String>)> {
        let below = |file: &CaptureFile| file.path.strip_prefix(folder).unwrap_or(&file.path).display().to_string();
        inventory.sources.iter().map(|source| (source.name.clone(), source.files.iter().map(below).collect())).collect()
    }

    fn found(folder: &tempfile::TempDir, rules: &SourceRules) -> Vec<(String, Vec<String>)> {
        sources(&find(&[folder.path().to_path_buf()], rules, Path::new("nowhere")), folder.path())
    }

    fn named(list: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        list.iter().map(|(name, files)| (name.to_string(), files.iter().map(|file| file.to_string()).collect())).collect()
    }

    #[test]
    fn a_rotated_series_is_one_source_in_the_order_of_its_times() {
        let folder = folder(&[("trace-01.pcap", &[20, 29]), ("trace-10.pcap", &[30, 31]), ("trace-2.pcap", &[10, 21])]);
        assert_eq!(found(&folder, &SourceRules::default()), named(&[("trace", &["trace-2.pcap", "trace-01.pcap", "trace-10.pcap"])]));
    }

    #[test]
    fn files_that_overlap_are_no_series() {
        let folder = folder(&[("probe1.pcap", &[10, 32]), ("probe2.pcap", &[30, 40]), ("probe3.pcap", &[50])]);
        let each = [("probe1", &["probe1.pcap"][..]), ("probe2", &["probe2.pcap"]), ("probe3", &["probe3.pcap"])];
        assert_eq!(found(&folder, &SourceRules::default()), named(&each));
    }

    #[test]
    fn names_that_differ_in_more_than_digits_are_apart() {
        let folder = folder(&[("client.pcap", &[1]), ("client2.pcap", &[2]), ("a/client2.pcap", &[3])]);
        let each = [("a/client2", &["a/client2.pcap"][..]), ("client", &["client.pcap"]), ("client2", &["client2.pcap"])];
        assert_eq!(found(&folder, &SourceRules::default()), named(&each));
    }

    #[test]
    fn a_file_without_packets_joins_no_series() {
        let folder = folder(&[("t1.pcap", &[1]), ("t2.pcap", &[2])]);
        fs::write(folder.path().join("t3.pcap"), PcapBuilder::micros().bytes()).expect("a file");
        assert_eq!(found(&folder, &SourceRules::default()), named(&[("t", &["t1.pcap", "t2.pcap"]), ("t3", &["t3.pcap"])]));
    }

    #[test]
    fn the_command_line_may_say_what_a_source_is() {
        let folder = folder(&[("a/1.pcap", &[30]), ("a/x.pcap", &[10]), ("b.pcap", &[20]), ("c.pcap", &[5])]);
        let rules = SourceRules { named: vec![("probe".into(), "*/a/*".into()), ("none".into(), "nowhere/*".into())], one_source: false };
        let inventory = find(&[folder.path().to_path_buf()], &rules, Path::new("nowhere"));
        assert_eq!(sources(&inventory, folder.path()), named(&[("probe", &["a/x.pcap", "a/1.pcap"]), ("b", &["b.pcap"]), ("c", &["c.pcap"])]));
        assert_eq!(inventory.warnings, ["--source none=nowhere/*: no file fits"]);
        let one = SourceRules { one_source: true, ..SourceRules::default() };
        assert_eq!(found(&folder, &one), named(&[("all", &["c.pcap", "a/x.pcap", "b.pcap", "a/1.pcap"])]));
    }

    #[test]
    fn what_is_named_is_refused_aloud_and_what_is_met_is_skipped() {
        let folder = folder(&[("notes.txt", &[]), ("x.pcap", &[1])]);
        let path = |name: &str| folder.path().join(name);
        fs::write(path("empty.pcap"), b"").expect("a file");
        let met = find(&[folder.path().to_path_buf()], &SourceRules::default(), Path::new("nowhere"));
        assert_eq!((met.sources.len(), met.skipped, met.refused.len()), (1, 2, 0));
        let named = find(&[path("notes.txt"), path("empty.pcap"), path("gone.pcap")], &SourceRules::default(), Path::new("nowhere"));
        let says: Vec<String> = named.refused.iter().map(|error| error.to_string().replace(&format!("{}/", folder.path().display()), "")).collect();
        assert_eq!(says[..2], ["notes.txt: not a capture: first bytes are 61 20 74 65", "empty.pcap: empty file"]);
        assert!(says[2].starts_with("gone.pcap: ") && matches!(named.refused[2], CaptureError::Io { .. }));
    }

    #[test]
    fn a_file_given_twice_is_read_once_and_said_so() {
        let folder = folder(&[("x.pcap", &[1])]);
        let path = folder.path().join("x.pcap");
        let inventory = find(&[path.clone(), folder.path().to_path_buf()], &SourceRules::default(), Path::new("nowhere"));
        assert_eq!(sources(&inventory, folder.path()), named(&[("x", &["x.pcap"])]));
        assert_eq!(inventory.warnings, [format!("{}: given twice, read once", path.display())]);
    }

    #[cfg(unix)]
    #[test]
    fn links_in_a_circle_end_the_walk_silently() {
        let folder = folder(&[("a/x.pcap", &[1])]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("a/back")).expect("a link");
        let inventory = find(&[folder.path().to_path_buf()], &SourceRules::default(), Path::new("nowhere"));
        assert_eq!(sources(&inventory, folder.path()), named(&[("x", &["a/x.pcap"])]));
        assert!(inventory.warnings.is_empty() && inventory.refused.is_empty());
    }
}
