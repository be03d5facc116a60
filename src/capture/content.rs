//! The bytes of one capture: out of a file, a stretch of an archive, or a stream, with whatever it is compressed by taken off.
//!
//! In:  a [`CaptureFile`].
//! Out: its bytes in order, and at the end what can be said of the file as it is stored.
//! Promises: what a file is, its first bytes say; every stored byte is hashed exactly once; no more is read than the file held when it was opened.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::compression::Codec;
use super::error::CaptureError;
use super::inventory::{CaptureFile, Place};
use super::magic::{Kind, SNIFF_BYTES, kind};

/// A compressed file may be compressed once more, by mistake or by a tool; more layers than this are a trap.
const LAYERS_MAX: usize = 4;
/// Stored bytes that are read at once for a decoder.
const STORED_BUFFER_BYTES: usize = 256 * 1024;

/// The bytes of a capture.
pub trait Content: Send {
    /// Up to as many bytes as fit; 0 at the end.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, ContentError>;

    /// Words for how the bytes are compressed, outermost first.
    fn packing(&self) -> Vec<&'static str>;

    /// Nothing more is asked for: what is left is read for its hash.
    fn finish(self: Box<Self>) -> Ending;
}

/// Why the bytes end before the capture does.
#[derive(Debug)]
pub enum ContentError {
    /// The disk, the pipe.
    Io(io::Error),
    /// Compressed data, at this byte of the stored file.
    Packed { codec: &'static str, offset: u64, source: io::Error },
}

/// What can be said of a stored file once it was read.
#[derive(Debug, Default)]
pub struct Ending {
    /// Stored bytes.
    pub bytes: u64,
    /// `blake3:` and the hash of all stored bytes; none where not all could be read.
    pub content_hash: Option<String>,
    /// Size at the beginning and at the end, where they differ.
    pub changed: Option<(u64, u64)>,
}

/// A capture that was opened: the first bytes of its content are known.
pub struct Opened {
    head: Cursor<Vec<u8>>,
    rest: Box<dyn Read + Send>,
    codecs: Vec<Codec>,
    stored: Stored,
}

/// The stored file below the decoders, which own it: what was read of it so far.
#[derive(Clone, Default)]
struct Stored(Arc<Mutex<StoredState>>);

#[derive(Default)]
struct StoredState {
    hasher: Option<blake3::Hasher>,
    bytes: u64,
    /// Of these the bytes that a decoder has taken.
    decoded: u64,
    error: Option<io::Error>,
    input: Option<Input>,
}

/// Where stored bytes come from.
struct Input {
    reader: Box<dyn Read + Send>,
    /// The file, and its size when it was opened; none of a stream or a member.
    sized: Option<(File, u64)>,
}

/// Opens a capture; its bytes are hashed as they are read.
pub fn open(file: &CaptureFile) -> Result<Opened, CaptureError> {
    if let Place::Stream(stream) = &file.place {
        return stream.take().ok_or_else(|| CaptureError::Empty { path: file.path.clone() });
    }
    let input = input(&file.path, &file.place).map_err(|source| CaptureError::Io { path: file.path.clone(), source })?;
    Ok(Opened::new(input, true))
}

/// The same without the hash, to look into a capture that is not read yet.
pub(super) fn open_place(path: &Path, place: &Place) -> io::Result<Opened> {
    Ok(Opened::new(input(path, place)?, false))
}

/// The bytes of a capture that stand in a file as they are: the file, where they begin, and how many they are.
pub(super) fn stretch(path: &Path, place: &Place) -> io::Result<(File, u64, u64)> {
    Ok(match place {
        Place::File => with_size(File::open(path)?)?,
        Place::Unpacked(path) => with_size(File::open(path)?)?,
        Place::Member { archive, start, length } => (File::open(archive)?, *start, *length),
        Place::Stream(_) => return Err(ErrorKind::Unsupported.into()),
    })
}

fn with_size(file: File) -> io::Result<(File, u64, u64)> {
    let size = file.metadata()?.len();
    Ok((file, 0, size))
}

/// Standard input, a pipe or a device: read once, hashed.
pub(super) fn open_stream(path: &Path) -> io::Result<Opened> {
    let reader: Box<dyn Read + Send> = if is_standard_input(path) { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    Ok(Opened::new(Input { reader, sized: None }, true))
}

/// Standard input is named so.
pub(super) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn input(path: &Path, place: &Place) -> io::Result<Input> {
    let (mut file, start, size) = stretch(path, place)?;
    if matches!(place, Place::Member { .. }) {
        file.seek(SeekFrom::Start(start))?;
        return Ok(Input { reader: Box::new(file.take(size)), sized: None });
    }
    // A file of the kernel says that it holds nothing, and is read to its end. Any other ends where it ended at first: a result must not depend on
    // how fast a file grew.
    if size == 0 {
        return Ok(Input { reader: Box::new(file), sized: None });
    }
    Ok(Input { reader: Box::new(file.try_clone()?.take(size)), sized: Some((file, size)) })
}

impl Opened {
    fn new(input: Input, hashed: bool) -> Self {
        let state = StoredState { hasher: hashed.then(blake3::Hasher::new), input: Some(input), ..StoredState::default() };
        let stored = Stored(Arc::new(Mutex::new(state)));
        let mut opened = Self { head: Cursor::default(), rest: Box::new(stored.clone()), codecs: Vec::new(), stored };
        opened.unpack();
        opened
    }

    /// Of bytes from anywhere.
    pub fn of(reader: impl Read + Send + 'static) -> Self {
        Self::new(Input { reader: Box::new(reader), sized: None }, true)
    }

    /// Takes off one compression after the other. An error is met again by whoever reads.
    fn unpack(&mut self) {
        self.fill_head();
        while let Some(Kind::Compressed(codec)) = self.kind().filter(|_| self.codecs.len() < LAYERS_MAX) {
            let head = std::mem::take(&mut self.head);
            let rest = std::mem::replace(&mut self.rest, Box::new(io::empty()));
            let counted = Taken {
                input: BufReader::with_capacity(STORED_BUFFER_BYTES, head.chain(rest)),
                stored: self.stored.clone(),
                counts: self.codecs.is_empty(),
            };
            self.codecs.push(codec);
            self.rest = match codec.decoder(Box::new(counted)) {
                Ok(decoder) => decoder,
                Err(error) => Box::new(Fails(Some(error))),
            };
            self.fill_head();
        }
    }

    /// What stands at the front tells what the content is.
    fn fill_head(&mut self) {
        let mut head = vec![0; SNIFF_BYTES];
        let mut filled = 0;
        while filled < head.len() {
            match self.rest.read(&mut head[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.rest = Box::new(Fails(Some(error)));
                    break;
                }
            }
        }
        head.truncate(filled);
        self.head = Cursor::new(head);
    }

    /// The first bytes of the content, as far as there are any.
    pub(super) fn head(&self) -> &[u8] {
        self.head.get_ref()
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        kind(self.head())
    }

    /// Whether to read takes more work than to read: it is worth doing ahead.
    pub fn is_compressed(&self) -> bool {
        !self.codecs.is_empty()
    }
}

impl Read for Opened {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.head.read(into)? {
            0 => self.rest.read(into),
            count => Ok(count),
        }
    }
}

impl Content for Opened {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, ContentError> {
        loop {
            return match Read::read(self, into) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => Err(self.explain(source)),
                Ok(count) => Ok(count),
            };
        }
    }

    fn packing(&self) -> Vec<&'static str> {
        self.codecs.iter().map(|codec| codec.word()).collect()
    }

    fn finish(self: Box<Self>) -> Ending {
        let Self { rest, stored, .. } = *self;
        drop(rest);
        stored.finish()
    }
}

impl Opened {
    /// An error below the decoders is the disk's; any other is of what was compressed.
    fn explain(&self, source: io::Error) -> ContentError {
        let mut stored = self.stored.lock();
        match (stored.error.take(), self.codecs.last()) {
            (Some(error), _) => ContentError::Io(error),
            (None, Some(codec)) => ContentError::Packed { codec: codec.word(), offset: stored.decoded, source },
            (None, None) => ContentError::Io(source),
        }
    }
}

impl ContentError {
    pub(super) fn of_file(self, path: &Path) -> CaptureError {
        let path = path.to_path_buf();
        match self {
            Self::Io(source) => CaptureError::Io { path, source },
            Self::Packed { codec, offset, source } => CaptureError::Packed { path, codec, offset, source },
        }
    }
}

impl Stored {
    /// A thread that panicked has left whole numbers behind.
    fn lock(&self) -> MutexGuard<'_, StoredState> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Reads the rest, for nothing but the hash, and closes the file.
    fn finish(mut self) -> Ending {
        let mut piece = vec![0; if self.lock().hasher.is_some() { STORED_BUFFER_BYTES } else { 0 }];
        while !piece.is_empty() && self.read(&mut piece).is_ok_and(|count| count > 0) {}
        let mut state = self.lock();
        let (bytes, sized) = (state.bytes, state.input.take().and_then(|input| input.sized));
        let Some(hasher) = state.hasher.take() else { return Ending { bytes, ..Ending::default() } };
        let sizes = sized.and_then(|(file, before)| Some((before, file.metadata().ok()?.len())));
        let sizes = sizes.map(|(before, now)| (before, if bytes < before { bytes } else { now }));
        Ending { bytes, content_hash: Some(format!("blake3:{}", hasher.finalize().to_hex())), changed: sizes.filter(|(before, now)| before != now) }
    }
}

impl Read for Stored {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.lock();
        let StoredState { hasher, bytes, error, input, .. } = &mut *state;
        let Some(input) = input else { return Ok(0) };
        match input.reader.read(into) {
            Ok(count) => {
                *bytes += count as u64;
                if let Some(hasher) = hasher {
                    hasher.update(&into[..count]);
                }
                Ok(count)
            }
            Err(source) if source.kind() == ErrorKind::Interrupted => Err(source),
            Err(source) => {
                let kind = source.kind();
                *error = Some(source);
                *hasher = None; // the hash of half a file names nothing
                Err(kind.into())
            }
        }
    }
}

/// Counts what a decoder takes, to say where in the file it failed.
struct Taken<R> {
    input: BufReader<R>,
    stored: Stored,
    /// Only the outermost decoder reads stored bytes.
    counts: bool,
}

impl<R: Read> Read for Taken<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Taken<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if self.counts {
            self.stored.lock().decoded += count as u64;
        }
        self.input.consume(count);
    }
}

/// Gives an error that was met earlier, then nothing.
struct Fails(Option<io::Error>);

impl Read for Fails {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::super::compression::tests::compress;
    use super::*;
    use crate::model::FileId;

    fn read_all(content: &mut dyn Content) -> Result<Vec<u8>, ContentError> {
        let (mut all, mut piece) = (Vec::new(), [0; 100]);
        loop {
            match content.read(&mut piece)? {
                0 => return Ok(all),
                count => all.extend(&piece[..count]),
            }
        }
    }

    /// A file of a thousand bytes that is changed after it was opened: what is read of it, and what is said in the end.
    fn changed(change: impl Fn(&File)) -> (usize, Ending) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.pcap");
        fs::write(&path, [7; 1_000]).expect("a file");
        let mut opened = open(&CaptureFile::at(FileId(0), &path)).expect("it is there");
        change(&File::options().append(true).open(&path).expect("it is there"));
        let read = read_all(&mut opened).expect("readable").len();
        (read, Box::new(opened).finish())
    }

    #[test]
    fn a_file_that_grows_ends_where_it_ended_and_is_told() {
        let (read, ending) = changed(|mut file| file.write_all(&[8; 500]).expect("writable"));
        assert_eq!((read, ending.bytes, ending.changed), (1_000, 1_000, Some((1_000, 1_500))));
        assert_eq!(ending.content_hash, Some(format!("blake3:{}", blake3::hash(&[7; 1_000]).to_hex())));
    }

    #[test]
    fn a_file_that_shrinks_is_told() {
        let (read, ending) = changed(|file| file.set_len(600).expect("writable"));
        assert_eq!((read, ending.bytes, ending.changed), (600, 600, Some((1_000, 600))));
    }

    #[test]
    fn a_file_that_stays_is_not() {
        assert_eq!(changed(|_| ()).1.changed, None);
    }

    #[test]
    fn layers_are_taken_off_and_what_nobody_asked_for_is_hashed() {
        let stored = compress(Codec::Gzip, &compress(Codec::Zstd, b"\xd4\xc3\xb2\xa1 and more"));
        let mut opened = Opened::of(Cursor::new(stored.clone()));
        assert_eq!(opened.packing(), ["gzip", "zstd"]);
        assert_eq!(opened.kind(), Some(Kind::Capture(super::super::magic::Format::Pcap)));
        assert_eq!(Content::read(&mut opened, &mut [0; 4]).ok(), Some(4));
        let ending = Box::new(opened).finish();
        assert_eq!(ending.content_hash, Some(format!("blake3:{}", blake3::hash(&stored).to_hex())));
        assert_eq!(ending.bytes, stored.len() as u64);
    }

    #[test]
    fn damage_is_named_with_the_byte_of_the_stored_file() {
        let content: Vec<u8> = (0..100_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut stored = compress(Codec::Gzip, &content);
        let middle = stored.len() / 2;
        stored[middle..middle + 100].fill(0xff);
        let mut opened = Opened::of(Cursor::new(stored));
        let Err(ContentError::Packed { codec, offset, .. }) = read_all(&mut opened) else { panic!("damaged") };
        assert_eq!(codec, "gzip");
        assert!(offset as usize >= middle, "{offset} of {middle}");
    }

    #[test]
    fn a_trap_of_layers_is_left_alone() {
        let trap = (0..10).fold(b"\xd4\xc3\xb2\xa1".to_vec(), |inside, _| compress(Codec::Gzip, &inside));
        let opened = Opened::of(Cursor::new(trap));
        assert_eq!((opened.packing().len(), opened.kind()), (LAYERS_MAX, Some(Kind::Compressed(Codec::Gzip))));
    }
}
