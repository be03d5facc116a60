//! Compressed captures, decompressed ahead of their turn: each by a thread of its own, while the one before it is read.
//!
//! A thread stops when what it has made fills its queue, and goes on as it is taken. So memory is bounded: by the file whose turn it is, and by as many
//! further ones as there are [`Places`] in the whole run.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::capture::{self, CaptureError, CaptureFile, Content, ContentError, Ending, Opener, Source};

/// What a thread hands over at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Pieces that wait for each file: 8 MiB.
const PIECES: usize = 32;

/// How many files of a run may be decompressed before their turn has come.
#[derive(Clone)]
pub struct Places(Arc<AtomicUsize>);

impl Places {
    pub fn new(count: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(count)))
    }

    fn take(&self) -> Option<Place> {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(1));
        taken.ok().map(|_| Place(self.clone()))
    }
}

/// Given back when the file's turn has come.
struct Place(Places);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Begun = Result<Box<dyn Content>, CaptureError>;

/// Opens the files of a source; the compressed ones that follow are begun as far as there are places.
pub fn opener<'a>(source: &Source, places: &'a Places) -> Opener<'a> {
    let mut waiting: VecDeque<CaptureFile> = source.files.iter().cloned().collect();
    let mut begun: VecDeque<(Begun, Place)> = VecDeque::new();
    Box::new(move |file| {
        // Files come in the order in which they wait, so that the first begun is the one whose turn it is.
        let content = match begun.pop_front() {
            Some((content, _place)) => content,
            None => {
                waiting.pop_front();
                begin(file)
            }
        };
        while waiting.front().is_some_and(CaptureFile::is_compressed) {
            let Some(place) = places.take() else { break };
            let Some(next) = waiting.pop_front() else { break };
            begun.push_back((begin(&next), place));
        }
        content
    })
}

fn begin(file: &CaptureFile) -> Begun {
    let opened = capture::open(file)?;
    if !opened.is_compressed() {
        return Ok(Box::new(opened));
    }
    let packing = opened.packing();
    let (pieces, taken) = sync_channel(PIECES);
    let (end, ending) = sync_channel(1);
    thread::spawn(move || decompress(Box::new(opened), &pieces, &end));
    Ok(Box::new(Ahead { taken: Some(taken), ending, packing, piece: Vec::new(), given: 0 }))
}

/// Until the content ends, or nobody wants more of it.
fn decompress(mut content: Box<dyn Content>, pieces: &SyncSender<Result<Vec<u8>, ContentError>>, end: &SyncSender<Ending>) {
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let mut filled = 0;
        let outcome = loop {
            match content.read(&mut piece[filled..]) {
                Ok(0) => break Ok(true),
                Ok(count) => filled += count,
                Err(error) => break Err(error),
            }
            if filled == piece.len() {
                break Ok(false);
            }
        };
        piece.truncate(filled);
        let is_over = !matches!(outcome, Ok(false));
        let is_wanted = filled == 0 || pieces.send(Ok(piece)).is_ok();
        if let Err(error) = outcome {
            let _unless_nobody_asks = pieces.send(Err(error));
        }
        if is_over || !is_wanted {
            break;
        }
    }
    let _unless_nobody_asks = end.send(content.finish());
}

/// What a thread decompresses, in order.
struct Ahead {
    taken: Option<Receiver<Result<Vec<u8>, ContentError>>>,
    ending: Receiver<Ending>,
    packing: Vec<&'static str>,
    piece: Vec<u8>,
    given: usize,
}

impl Content for Ahead {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, ContentError> {
        while self.given == self.piece.len() {
            // A closed queue is the end.
            let Some(Ok(next)) = self.taken.as_ref().map(Receiver::recv) else { return Ok(0) };
            (self.piece, self.given) = (next?, 0);
        }
        let rest = &self.piece[self.given..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }

    fn packing(&self) -> Vec<&'static str> {
        self.packing.clone()
    }

    fn finish(mut self: Box<Self>) -> Ending {
        self.taken = None; // whoever still sends is told to stop
        self.ending.recv().unwrap_or_default()
    }
}
