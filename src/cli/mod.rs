//! The command line.
//! In:  arguments.
//! Out: a result on standard output, progress and diagnostics on standard error, an exit code.
//! Promises: standard output carries only the result; no control sequences where there is no terminal.
//! Not here: any work on captures or tables.

mod analyze;
mod arguments;
mod compare;
mod judge;
mod progress;
mod schema;
mod services;

pub use arguments::Arguments;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::infer::Weights;
use crate::service::{Catalog, CatalogError};

use arguments::Command;

/// 0 all read whole, 1 could not finish, 2 usage (clap), 3 finished, but some input was damaged or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Whole,
    Damaged,
}

#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error(transparent)]
    Run(#[from] crate::pipeline::RunError),
    #[error("{}: {source}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the built-in catalog: {0}")]
    BuiltInCatalog(CatalogError),
    #[error("{}: {source}", .path.display())]
    Catalog { path: PathBuf, source: CatalogError },
    #[error("{}: {source}", .path.display())]
    Networks { path: PathBuf, source: crate::service::NetworksError },
    #[error("no service has the id {id}: `tamperscope services` lists them")]
    NoService { id: String },
    #[error(transparent)]
    BuiltInWeights(#[from] crate::infer::WeightsError),
    #[error("{}: {source}", .path.display())]
    Weights { path: PathBuf, source: crate::infer::WeightsError },
    #[error("several runs are judged together into a folder of their own: give it with -o")]
    NoOutput,
    #[error("--threads {count}: {reason}")]
    Threads { count: usize, reason: String },
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// A reader that has seen enough, as `| head`.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Arguments that do not go together.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NoOutput)
    }

    /// Everything that is wrong, one line each.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Run(crate::pipeline::RunError::NothingRead { refused }) => refused.iter().cloned().chain([self.to_string()]).collect(),
            _ => vec![self.to_string()],
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Whole => ExitCode::SUCCESS,
            Exit::Damaged => ExitCode::from(3),
        }
    }
}

/// Runs a command.
pub fn run(arguments: Arguments) -> Result<Exit, CliError> {
    match arguments.command {
        Command::Analyze(analyze) => analyze::run(analyze),
        Command::Judge(judge) => judge::run(judge),
        Command::Compare(compare) => compare::run(compare),
        Command::Schema { table } => schema::run(table.as_deref()),
        Command::Services(services) => services::run(services),
    }
}

/// The catalog in use: the built-in one, with the user's own entries where there are some.
fn catalog(own: Option<&OwnFile>) -> Result<Catalog, CliError> {
    match own {
        Some(file) => Catalog::with_own(file.text()?).map_err(|source| CliError::Catalog { path: file.path.clone(), source }),
        None => Catalog::built_in().map_err(CliError::BuiltInCatalog),
    }
}

/// The weights in use: the user's own, or the built-in ones.
fn weights(own: Option<&Path>) -> Result<Weights, CliError> {
    let Some(path) = own else { return Ok(Weights::built_in()?) };
    let file = OwnFile::read(path)?;
    Weights::parse(file.text()?).map_err(|source| CliError::Weights { path: path.into(), source })
}

fn print_json(summary: &impl serde::Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(summary).map_err(io::Error::other)?;
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// A file of the user's, read once: it may be a pipe.
struct OwnFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl OwnFile {
    fn read(path: &Path) -> Result<Self, CliError> {
        let bytes = std::fs::read(path).map_err(|source| CliError::Read { path: path.into(), source })?;
        Ok(Self { path: path.into(), bytes })
    }

    fn text(&self) -> Result<&str, CliError> {
        let no_text = |error| CliError::Read { path: self.path.clone(), source: io::Error::new(io::ErrorKind::InvalidData, error) };
        str::from_utf8(&self.bytes).map_err(no_text)
    }
}
