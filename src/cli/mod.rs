//! The command line.
//! In:  arguments.
//! Out: a result on standard output, progress and diagnostics on standard error, an exit code.
//! Promises: standard output carries only the result; no control sequences where there is no terminal.
//! Not here: any work on captures or tables.

mod analyze;
mod arguments;
mod progress;
mod schema;
mod services;

pub use arguments::Arguments;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
    Weights(#[from] crate::infer::WeightsError),
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
        Command::Schema { table } => schema::run(table.as_deref()),
        Command::Services(services) => services::run(services),
    }
}

/// The catalog in use: the built-in one, with the user's own entries where there are some.
fn catalog(own: Option<&Path>) -> Result<Catalog, CliError> {
    match own {
        Some(path) => Catalog::with_own(&text_of(path)?).map_err(|source| CliError::Catalog { path: path.into(), source }),
        None => Catalog::built_in().map_err(CliError::BuiltInCatalog),
    }
}

fn text_of(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|source| CliError::Read { path: path.into(), source })
}
