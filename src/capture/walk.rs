//! Inputs to captures: folders walked, patterns filled, archives opened, each real file once, anything else counted or refused.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::archive::{self, Member, TakenOut};
use super::content::{self, Content, Opened, is_standard_input};
use super::error::{CaptureError, FirstBytes};
use super::glob;
use super::inventory::{CaptureFile, Place, Stream};
use super::magic::Kind;
use crate::model::FileId;

/// A packet number has 24 bits for its file.
const FILES_MAX: usize = 1 << 24;
/// An archive may hold archives; deeper than this is a trap.
const ARCHIVES_DEEP_MAX: usize = 3;

/// A capture that was found.
pub(super) struct Found {
    pub(super) file: CaptureFile,
    /// Its path from the input folder it was met in; its name where it was named itself.
    pub(super) relative: PathBuf,
}

/// Goes through inputs in the order given, through folders in the order of names, through archives in the order of their members.
pub(super) struct Walk<'a> {
    pub(super) found: Vec<Found>,
    pub(super) skipped: usize,
    pub(super) refused: Vec<CaptureError>,
    pub(super) warnings: Vec<String>,
    /// Files and folders by their real paths.
    seen: HashSet<PathBuf>,
    /// Where members of archives are taken out to; nothing in it is met.
    unpack_to: &'a Path,
    /// What the path of a file has to fit.
    pattern: Option<String>,
}

/// What a file holds.
enum Holds {
    Capture { is_compressed: bool },
    Archive(Opened),
    Nothing,
    Other(FirstBytes),
}

/// A file to be looked into.
struct Candidate<'a> {
    path: &'a Path,
    relative: PathBuf,
    place: Place,
    /// The words of the archives around it.
    archive: Vec<&'static str>,
    /// Named on the command line: it is refused aloud where it is no capture.
    named: bool,
    deep: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(unpack_to: &'a Path) -> Self {
        let (found, refused, warnings) = (Vec::new(), Vec::new(), Vec::new());
        Self { found, skipped: 0, refused, warnings, seen: HashSet::new(), unpack_to, pattern: None }
    }

    /// A path of the command line.
    pub(super) fn input(&mut self, path: &Path) {
        let name = path.file_name().map_or_else(|| path.to_path_buf(), PathBuf::from);
        if is_standard_input(path) {
            return self.stream(path, name);
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.folder(path, path, false),
            Ok(metadata) if metadata.is_file() => self.file(path, name, true, false),
            Ok(_) => self.stream(path, name),
            Err(_) if glob::is_pattern(&path.to_string_lossy()) => self.pattern(path),
            Err(source) => self.refuse_io(path, source),
        }
    }

    /// All files whose path fits, wherever they are below the folder that the pattern begins with.
    fn pattern(&mut self, pattern: &Path) {
        let text = pattern.to_string_lossy().into_owned();
        let folder: PathBuf = pattern.components().take_while(|part| !glob::is_pattern(&part.as_os_str().to_string_lossy())).collect();
        let before = self.found.len() + self.refused.len();
        self.pattern = Some(text.strip_prefix("./").unwrap_or(&text).to_string());
        let top = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        if top.is_dir() {
            self.folder(top, top, true);
        }
        self.pattern = None;
        if self.found.len() + self.refused.len() == before {
            self.refused.push(CaptureError::NothingFits { path: pattern.to_path_buf() });
        }
    }

    /// Opened at once, since nobody can look into it twice.
    fn stream(&mut self, path: &Path, relative: PathBuf) {
        if !self.is_new(path, false) {
            return;
        }
        match content::open_stream(path) {
            Ok(opened) if opened.kind() == Some(Kind::Tar) => {
                let candidate = Candidate { path, relative, place: Place::File, archive: Vec::new(), named: true, deep: 0 };
                self.take_out(&candidate, opened);
            }
            Ok(opened) => {
                let is_compressed = opened.is_compressed();
                self.add(path, relative, Place::Stream(Stream::new(opened)), Vec::new(), is_compressed);
            }
            Err(source) => self.refuse_io(path, source),
        }
    }

    /// A folder and all below it. `top` is the input it belongs to.
    fn folder(&mut self, path: &Path, top: &Path, by_link: bool) {
        let is_ours = fs::canonicalize(self.unpack_to).is_ok_and(|ours| fs::canonicalize(path).is_ok_and(|path| path == ours));
        if is_ours || !self.is_new_folder(path, by_link) {
            return;
        }
        match entries(path) {
            Ok(entries) => entries.iter().for_each(|entry| self.met(entry, top)),
            Err(source) => self.refuse_io(path, source),
        }
    }

    /// Something in a folder. What cannot be opened might be a capture, so it is not passed over.
    fn met(&mut self, path: &Path, top: &Path) {
        let by_link = path.is_symlink();
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.folder(path, top, by_link),
            Ok(_) if !self.fits(path) => {}
            Ok(metadata) if metadata.is_file() => self.file(path, path.strip_prefix(top).unwrap_or(path).to_path_buf(), false, by_link),
            Ok(_) => self.skipped += 1, // a pipe or device: opening it might wait for ever
            Err(source) => self.refuse_io(path, source),
        }
    }

    fn fits(&self, path: &Path) -> bool {
        let path = path.strip_prefix(".").unwrap_or(path).to_string_lossy();
        self.pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, &path))
    }

    fn file(&mut self, path: &Path, relative: PathBuf, named: bool, by_link: bool) {
        let candidate = Candidate { path, relative, place: Place::File, archive: Vec::new(), named, deep: 0 };
        match content::open_place(path, &Place::File).and_then(holds) {
            // A file that holds nothing of use may be met as often as it likes.
            Ok(Holds::Capture { .. } | Holds::Archive(_)) if !self.is_new(path, by_link) => {}
            Ok(held) => self.sort_in(candidate, held),
            Err(source) => self.refuse_io(path, source),
        }
    }

    /// By what it holds: among the captures, opened further, counted or refused.
    fn sort_in(&mut self, candidate: Candidate<'_>, held: Holds) {
        let Candidate { path, named, .. } = candidate;
        match held {
            Holds::Capture { is_compressed } => self.add(path, candidate.relative, candidate.place, candidate.archive, is_compressed),
            Holds::Archive(opened) if candidate.deep < ARCHIVES_DEEP_MAX => self.archive(&candidate, opened),
            Holds::Nothing if named => self.refused.push(CaptureError::Empty { path: path.to_path_buf() }),
            Holds::Other(first_bytes) if named => self.refused.push(CaptureError::NotACapture { path: path.to_path_buf(), first_bytes }),
            Holds::Nothing | Holds::Other(_) | Holds::Archive(_) => self.skipped += 1,
        }
    }

    /// Members stay where they are in a plain archive on disk; out of any other they are taken.
    fn archive(&mut self, candidate: &Candidate<'_>, opened: Opened) {
        let on_disk = match &candidate.place {
            Place::File => Some(candidate.path),
            Place::Unpacked(path) => Some(&**path),
            Place::Member { .. } | Place::Stream(_) => None,
        };
        match on_disk.filter(|_| !opened.is_compressed()) {
            Some(path) => {
                let (members, result) = archive::list(path);
                self.members(candidate, &["tar"], members, result, 0);
            }
            None => self.take_out(candidate, opened),
        }
    }

    fn take_out(&mut self, candidate: &Candidate<'_>, opened: Opened) {
        let words: Vec<&'static str> = opened.packing().into_iter().chain(["tar"]).collect();
        let mut taken = TakenOut::default();
        let result = taken.fill(opened, self.unpack_to);
        self.members(candidate, &words, taken.kept, result, taken.passed);
    }

    fn members(&mut self, around: &Candidate<'_>, words: &[&'static str], members: Vec<Member>, result: io::Result<()>, passed: usize) {
        let before = self.found.len();
        self.skipped += passed;
        for Member { path, place } in members {
            let archive = around.archive.iter().chain(words).copied().collect();
            let (path, relative) = (around.path.join(&path), around.relative.join(&path));
            let held = content::open_place(&path, &place).and_then(holds);
            let candidate = Candidate { path: &path, relative, place, archive, named: false, deep: around.deep + 1 };
            match held {
                Ok(held) => self.sort_in(candidate, held),
                Err(source) => self.refuse_io(&path, source),
            }
        }
        let path = || around.path.to_path_buf();
        match result {
            Err(source) => self.refused.push(CaptureError::Archive { path: path(), source }),
            Ok(()) if around.named && self.found.len() == before => self.refused.push(CaptureError::NothingInside { path: path() }),
            Ok(()) => {}
        }
    }

    fn add(&mut self, path: &Path, relative: PathBuf, place: Place, archive: Vec<&'static str>, is_compressed: bool) {
        let path = path.to_path_buf();
        match u32::try_from(self.found.len()) {
            Ok(id) if self.found.len() < FILES_MAX => {
                self.found.push(Found { file: CaptureFile { id: FileId(id), path, place, archive, is_compressed }, relative });
            }
            _ => self.refused.push(CaptureError::TooManyFiles { path, most: FILES_MAX }),
        }
    }

    /// A pattern may lead through folders that were walked before, though never in a circle of links.
    fn is_new_folder(&mut self, path: &Path, by_link: bool) -> bool {
        (self.pattern.is_some() && !path.is_symlink()) || self.is_new(path, by_link)
    }

    /// Whether this real file or folder comes for the first time. A link that leads back is nobody's mistake.
    fn is_new(&mut self, path: &Path, by_link: bool) -> bool {
        // Standard input keeps its relative path, so that it is never taken for a file called `-`.
        let real = if is_standard_input(path) { None } else { fs::canonicalize(path).ok() }.unwrap_or_else(|| path.to_path_buf());
        let new = self.seen.insert(real);
        if !new && !by_link {
            self.warnings.push(format!("{}: given twice, read once", path.display()));
        }
        new
    }

    fn refuse_io(&mut self, path: &Path, source: io::Error) {
        self.refused.push(CaptureError::Io { path: path.to_path_buf(), source });
    }
}

/// By the first bytes of the content. Compressed bytes that cannot be read from the first one on may be those of a capture: whoever reads it tells.
fn holds(mut opened: Opened) -> io::Result<Holds> {
    Ok(match opened.kind() {
        Some(Kind::Capture(_)) => Holds::Capture { is_compressed: opened.is_compressed() },
        Some(Kind::Tar) => Holds::Archive(opened),
        Some(Kind::Compressed(_)) | None if !opened.head().is_empty() => Holds::Other(FirstBytes::of(opened.head())),
        _ => match io::Read::read(&mut opened, &mut [0]) {
            Err(_) if opened.is_compressed() => Holds::Capture { is_compressed: true },
            Err(error) => return Err(error),
            Ok(_) => Holds::Nothing,
        },
    })
}

/// Sorted bytewise, as the file system's order means nothing.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}
