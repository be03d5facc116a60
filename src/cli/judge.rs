//! `judge`: finished runs judged again, then the summary.

use std::path::PathBuf;

use crate::pipeline::{JudgeSettings, judge};

use super::analyze::give;
use super::arguments::Judge;
use super::{CliError, Exit, OwnFile, catalog, weights};

pub fn run(arguments: Judge) -> Result<Exit, CliError> {
    let json = arguments.json;
    let summary = judge(&settings(arguments)?)?;
    summary.warnings.iter().for_each(|line| eprintln!("tamperscope: {line}"));
    give(&summary, json)
}

/// One run is judged in its place unless a folder is given.
fn settings(arguments: Judge) -> Result<JudgeSettings, CliError> {
    let Judge { runs, output, force, catalog: own, weights: own_weights, prior, temp_dir, json: _ } = arguments;
    let own = own.as_deref().map(OwnFile::read).transpose()?;
    let in_place: Option<PathBuf> = if runs.len() == 1 { runs.first().cloned() } else { None };
    let force = force || output.is_none();
    let output = output.or(in_place).ok_or(CliError::NoOutput)?;
    let hash = |file: &OwnFile| blake3::hash(&file.bytes).to_hex()[..16].to_string();
    let catalog = own.as_ref().map(|file| Ok::<_, CliError>((catalog(Some(file))?, hash(file)))).transpose()?;
    Ok(JudgeSettings { runs, output, force, temp_dir, catalog, weights: weights(own_weights.as_deref())?, prior })
}
