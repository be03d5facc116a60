//! Captures inside tar archives.
//!
//! In:  an archive: a file that can be read at any place, or a stream of its bytes.
//! Out: its members that may be captures: where they are stored in the file, or taken out of the stream into a folder.
//! Promises: a name inside an archive is shown but never used as a path on disk; memory does not grow with the archive; what is no capture stays inside.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Write};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Entry, EntryType};

use super::content::Opened;
use super::inventory::Place;

/// What is read of a member to see what it is, still compressed: bzip2 gives nothing before the end of its first block, which is 900,000 bytes at most.
const HEAD_BYTES: u64 = 1024 * 1024;

/// A member that may be a capture.
pub(super) struct Member {
    /// Its path inside the archive.
    pub(super) path: PathBuf,
    pub(super) place: Place,
}

/// The members of an archive that can be read at any place. The error is that of the first place that cannot be read.
pub(super) fn list(archive: &Path) -> (Vec<Member>, io::Result<()>) {
    let mut members = Vec::new();
    let result = File::open(archive).and_then(|file| {
        for entry in Archive::new(file).entries_with_seek()? {
            let entry = entry?;
            if is_stored_whole(&entry) {
                let place = Place::Member { archive: archive.to_path_buf(), start: entry.raw_file_position(), length: entry.size() };
                members.push(Member { path: shown_path(&entry), place });
            }
        }
        Ok(())
    });
    (members, result)
}

/// Takes the captures out of a stream of archive bytes; `kept` are their files in `folder`, `passed` counts the members that are none.
#[derive(Default)]
pub(super) struct TakenOut {
    pub(super) kept: Vec<Member>,
    pub(super) passed: usize,
}

impl TakenOut {
    /// The error is that of the first place that cannot be read; what came before it is kept.
    pub(super) fn fill(&mut self, archive: Opened, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for entry in Archive::new(archive).entries()? {
            let mut entry = entry?;
            if !entry.header().entry_type().is_dir() {
                self.member(&mut entry, folder)?;
            }
        }
        Ok(())
    }

    fn member(&mut self, entry: &mut Entry<'_, Opened>, folder: &Path) -> io::Result<()> {
        let mut head = Vec::new();
        let read = entry.take(HEAD_BYTES).read_to_end(&mut head);
        if Opened::of(Cursor::new(head.clone())).kind().is_none() {
            self.passed += 1;
            return read.map(drop);
        }
        let path = free_name(folder);
        let mut file = File::create(&path)?;
        file.write_all(&head)?;
        self.kept.push(Member { path: shown_path(entry), place: Place::Unpacked(path) });
        read?;
        io::copy(entry, &mut file).map(drop)
    }
}

/// Files that stand in the archive byte for byte: no sparse ones.
fn is_stored_whole<R: Read>(entry: &Entry<'_, R>) -> bool {
    matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous)
}

/// The path of a member without anything that leads out of the archive.
fn shown_path<R: Read>(entry: &Entry<'_, R>) -> PathBuf {
    let lossy = || PathBuf::from(String::from_utf8_lossy(&entry.path_bytes()).into_owned());
    let path = entry.path().map_or_else(|_| lossy(), |path| path.into_owned());
    path.components().filter(|component| matches!(component, Component::Normal(_))).collect()
}

/// Members are numbered in the order in which they are taken out.
fn free_name(folder: &Path) -> PathBuf {
    let mut names = (0_u32..).map(|number| folder.join(number.to_string()));
    names.find(|path| !path.exists()).unwrap_or_else(|| folder.join("0"))
}
