//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use tamperscope::cli::{self, Arguments};

/// Rounds of short-lived rows and packets from many threads: measured a fifth faster than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run(Arguments::parse()) {
        Ok(exit) => exit.into(),
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            error.lines().iter().for_each(|line| eprintln!("tamperscope: {line}"));
            if error.is_usage() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
