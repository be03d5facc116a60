//! Inputs to capture files: folders walked, each real file once, anything else counted or refused.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::{CaptureError, FirstBytes};
use super::inventory::CaptureFile;
use super::magic::{SNIFF_BYTES, sniff};
use super::reader::is_standard_input;
use crate::model::FileId;

/// A packet number has 24 bits for its file.
const FILES_MAX: usize = 1 << 24;

/// A capture that was found.
pub(super) struct Found {
    pub(super) file: CaptureFile,
    /// Its path from the input folder it was met in; its name where it was named itself.
    pub(super) relative: PathBuf,
    /// Standard input or a pipe: it can be read once, so nothing looks at it before.
    pub(super) stream: bool,
}

/// Goes through inputs in the order given, through folders in the order of names.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) found: Vec<Found>,
    pub(super) skipped: usize,
    pub(super) refused: Vec<CaptureError>,
    pub(super) warnings: Vec<String>,
    /// Files and folders by their real paths.
    seen: HashSet<PathBuf>,
}

/// What the first bytes of a file say.
enum Start {
    Capture,
    Empty,
    Other(FirstBytes),
}

impl Walk {
    /// A path of the command line.
    pub(super) fn input(&mut self, path: &Path) {
        let name = path.file_name().map_or_else(|| path.to_path_buf(), PathBuf::from);
        if is_standard_input(path) {
            return self.stream(path, name);
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.folder(path, path, false),
            Ok(metadata) if metadata.is_file() => self.named_file(path, name),
            Ok(_) => self.stream(path, name),
            Err(source) => self.refuse_io(path, source),
        }
    }

    fn stream(&mut self, path: &Path, relative: PathBuf) {
        if self.is_new(path, false) {
            self.add(path, relative, true);
        }
    }

    fn named_file(&mut self, path: &Path, relative: PathBuf) {
        if !self.is_new(path, false) {
            return;
        }
        match start(path) {
            Ok(Start::Capture) => self.add(path, relative, false),
            Ok(Start::Empty) => self.refused.push(CaptureError::Empty { path: path.to_path_buf() }),
            Ok(Start::Other(first_bytes)) => self.refused.push(CaptureError::NotACapture { path: path.to_path_buf(), first_bytes }),
            Err(source) => self.refuse_io(path, source),
        }
    }

    /// A folder and all below it. `top` is the input it belongs to.
    fn folder(&mut self, path: &Path, top: &Path, by_link: bool) {
        if !self.is_new(path, by_link) {
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
            Ok(metadata) if metadata.is_file() => self.met_file(path, top, by_link),
            Ok(_) => self.skipped += 1, // a pipe or device: opening it might wait for ever
            Err(source) => self.refuse_io(path, source),
        }
    }

    fn met_file(&mut self, path: &Path, top: &Path, by_link: bool) {
        match start(path) {
            Ok(Start::Capture) => {
                if self.is_new(path, by_link) {
                    self.add(path, path.strip_prefix(top).unwrap_or(path).to_path_buf(), false);
                }
            }
            Ok(Start::Empty | Start::Other(_)) => self.skipped += 1,
            Err(source) => self.refuse_io(path, source),
        }
    }

    fn add(&mut self, path: &Path, relative: PathBuf, stream: bool) {
        let path = path.to_path_buf();
        match u32::try_from(self.found.len()) {
            Ok(id) if self.found.len() < FILES_MAX => self.found.push(Found { file: CaptureFile { id: FileId(id), path }, relative, stream }),
            _ => self.refused.push(CaptureError::TooManyFiles { path, most: FILES_MAX }),
        }
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

/// Sorted bytewise, as the file system's order means nothing.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

fn start(path: &Path) -> io::Result<Start> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SNIFF_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(match sniff(&bytes) {
        Some(_) => Start::Capture,
        None if bytes.is_empty() => Start::Empty,
        None => Start::Other(FirstBytes::of(&bytes)),
    })
}
