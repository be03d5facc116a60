//! The main job, wired.
//! In:  inputs and settings.
//! Out: tables in a folder, and a [`Summary`].
//! Promises: the same tables for any number of threads and any size of round; a damaged file never ends the run; memory holds rounds, living flows and
//! one run of rows; nothing looks like a result until it is whole.
//! Not here: what a packet, a flow or a verdict is. This is the only room that knows threads and read-ahead.

mod decode;
mod finish;
mod row;
mod sink;
mod source;
mod summary;

pub use summary::{ServiceCount, Summary};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::capture::{self, Inventory, SourceRules};
use crate::flow::Timeouts;
use crate::infer::Weights;
use crate::service::Catalog;
use crate::table::{Output, TableError};

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
    pub round_bytes: usize,
    pub catalog: Catalog,
    pub weights: Weights,
    pub prior: f64,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("nothing could be read")]
    NothingRead { refused: Vec<String> },
    #[error("{}: {source}", .path.display())]
    TempDir { path: PathBuf, source: std::io::Error },
}

/// Told about every round: how many bytes and packets it had.
pub type OnRound<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// What there is to read.
pub fn find(settings: &Settings) -> Inventory {
    capture::find(&settings.inputs, &settings.rules)
}

/// Reads everything, judges it, writes the tables.
pub fn run(settings: &Settings, inventory: Inventory, on_round: OnRound<'_>) -> Result<Summary, RunError> {
    let refused: Vec<String> = inventory.refused.iter().map(ToString::to_string).collect();
    if inventory.sources.is_empty() && !refused.is_empty() {
        return Err(RunError::NothingRead { refused });
    }
    let output = Output::prepare(&settings.output, settings.force)?;
    let spool = spool_folder(settings, output.staging())?;
    let sink = sink::Sink::new(spool.path());
    let captures: Vec<_> = inventory.sources.par_iter().map(|source| source::read(source, settings, &sink, on_round)).collect::<Result<_, _>>()?;
    let captures = captures.into_iter().flatten().collect();
    finish::finish(settings, output, sink, captures, &inventory, refused)
}

/// The folder of sorted runs, removed with all that is in it when the run ends.
struct SpoolFolder(PathBuf);

impl SpoolFolder {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SpoolFolder {
    fn drop(&mut self) {
        let _nothing_to_tell = std::fs::remove_dir_all(&self.0);
    }
}

fn spool_folder(settings: &Settings, staging: &Path) -> Result<SpoolFolder, RunError> {
    let path = match &settings.temp_dir {
        Some(folder) => folder.join(format!("tamperscope-spool-{}", std::process::id())),
        None => staging.join("spool"),
    };
    std::fs::create_dir_all(&path).map_err(|source| RunError::TempDir { path: path.clone(), source })?;
    Ok(SpoolFolder(path))
}

/// A path as the tables show it.
fn shown(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}
