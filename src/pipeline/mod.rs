//! The main job, wired.
//! In:  inputs and settings.
//! Out: tables in a folder, and a [`Summary`].
//! Promises: the same tables for any number of threads and any size of round; a damaged file never ends the run; memory holds rounds, living flows and
//! one run of rows; nothing looks like a result until it is whole.
//! Not here: what a packet, a flow or a verdict is. This is the only room that knows threads and read-ahead.

mod ahead;
mod conclude;
mod decode;
mod finish;
mod judge;
mod memory;
mod row;
mod runs;
mod sink;
mod source;
mod summary;

pub use conclude::TABLES;
pub use decode::Decoded;
pub use judge::{JudgeSettings, judge};
pub use row::{Made, Rows};
pub use summary::{ServiceCount, Summary};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::capture::{self, Inventory, Source, SourceRules};
use crate::flow::Timeouts;
use crate::infer::Weights;
use crate::model::rows::CaptureRow;
use crate::service::{Catalog, Networks};
use crate::table::{Output, TableError};
use memory::Memory;

/// Records of a round come from about this many bytes of a file: enough work for many cores, little enough for their caches.
pub const ROUND_BYTES: usize = 8 * 1024 * 1024;

/// What a run is asked to do.
pub struct Settings {
    pub inputs: Vec<PathBuf>,
    pub output: PathBuf,
    pub force: bool,
    pub temp_dir: Option<PathBuf>,
    pub rules: SourceRules,
    pub timeouts: Timeouts,
    /// Bytes of a round, where they are not to follow from `max_memory`.
    pub round_bytes: Option<usize>,
    /// Bytes that the run may hold.
    pub max_memory: usize,
    pub catalog: Catalog,
    /// Which network an address belongs to.
    pub networks: Option<Networks>,
    /// A hash of what was given to name flows by; empty where nothing was given.
    pub given: String,
    pub weights: Weights,
    pub prior: f64,
    /// Of so many first packets with payload the flows list size and time; 0: they have no such columns.
    pub splt: u8,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("nothing could be read")]
    NothingRead { refused: Vec<String> },
    #[error("{}: {why}", .path.display())]
    NoRun { path: PathBuf, why: String },
    #[error("{}: {source}", .path.display())]
    TempDir { path: PathBuf, source: std::io::Error },
}

/// Told about every round: how many bytes and packets it had.
pub type OnRound<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// A run that is ready to begin: its output has a place, and what there is to read is known.
pub struct Job<'a> {
    settings: &'a Settings,
    pub inventory: Inventory,
    output: Output,
    work: WorkFolder,
}

impl<'a> Job<'a> {
    pub fn prepare(settings: &'a Settings) -> Result<Self, RunError> {
        let output = Output::prepare(&settings.output, settings.force)?;
        let work = work_folder(settings.temp_dir.as_deref(), output.staging())?;
        let inventory = capture::find(&settings.inputs, &settings.rules, &work.path().join("members"));
        Ok(Self { settings, inventory, output, work })
    }

    /// Reads everything, judges it, writes the tables.
    pub fn run(self, on_round: OnRound<'_>) -> Result<Summary, RunError> {
        let Self { settings, inventory, output, work } = self;
        let refused: Vec<String> = inventory.refused.iter().map(ToString::to_string).collect();
        if inventory.sources.is_empty() && !refused.is_empty() {
            return Err(RunError::NothingRead { refused });
        }
        let sink = sink::Sink::new(work.path(), settings.splt > 0);
        let captures = read_sources(&inventory.sources, settings, &sink, on_round)?;
        finish::finish(settings, output, sink, captures, &inventory, refused)
    }
}

/// What the readers of all sources share.
struct Shared<'a> {
    settings: &'a Settings,
    sink: &'a sink::Sink,
    places: ahead::Places,
    memory: Memory,
    round_bytes: usize,
    on_round: OnRound<'a>,
}

/// All sources, as many at a time as there are threads: each has its own flows in memory.
fn read_sources(sources: &[Source], settings: &Settings, sink: &sink::Sink, on_round: OnRound<'_>) -> Result<Vec<CaptureRow>, RunError> {
    let threads = rayon::current_num_threads();
    let readers = threads.min(sources.len());
    let shared = Shared {
        settings,
        sink,
        places: ahead::Places::new(threads),
        memory: Memory::new(settings.max_memory, sources.len()),
        round_bytes: settings.round_bytes.unwrap_or_else(|| memory::round_bytes(settings.max_memory, readers)),
        on_round,
    };
    let next = AtomicUsize::new(0);
    let read_some = || -> Result<Vec<CaptureRow>, TableError> {
        let mut captures = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(source) = sources.get(index) else { break };
            let _until_it_ends = shared.memory.enter(index);
            let read = source::read(index, source, &shared);
            captures.extend(read.inspect_err(|_| next.store(sources.len(), Ordering::Relaxed))?); // nobody begins another one for nothing
        }
        Ok(captures)
    };
    thread::scope(|scope| {
        let readers: Vec<_> = (0..readers).map(|_| scope.spawn(read_some)).collect();
        let mut captures = Vec::new();
        for reader in readers {
            captures.extend(reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(captures)
    })
}

/// The folder of sorted runs and of what was taken out of archives, removed with all that is in it when the run ends.
struct WorkFolder(PathBuf);

impl WorkFolder {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        let _nothing_to_tell = std::fs::remove_dir_all(&self.0);
    }
}

fn work_folder(temp_dir: Option<&Path>, staging: &Path) -> Result<WorkFolder, RunError> {
    let path = match temp_dir {
        Some(folder) => folder.join(format!("tamperscope-work-{}", std::process::id())),
        None => staging.join("work"),
    };
    std::fs::create_dir_all(&path).map_err(|source| RunError::TempDir { path: path.clone(), source })?;
    Ok(WorkFolder(path))
}

/// A path as the tables show it.
fn shown(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}
