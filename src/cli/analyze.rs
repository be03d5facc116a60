//! `analyze`: settings from arguments, then the summary.

use std::io::{self, Write};

use crate::capture::SourceRules;
use crate::flow::Timeouts;
use crate::model::Span;
use crate::model::words::{Verdict, Word};
use crate::pipeline::{Job, ServiceCount, Settings, Summary, TABLES};
use crate::service::Networks;

use super::arguments::Analyze;
use super::progress::Progress;
use super::{CliError, Exit, OwnFile, catalog, print_json, weights};

pub fn run(arguments: Analyze) -> Result<Exit, CliError> {
    if let Some(count) = arguments.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count);
        pool.build_global().map_err(|error| CliError::Threads { count, reason: error.to_string() })?;
    }
    let (show, json) = (arguments.progress, arguments.json);
    let settings = settings(arguments)?;
    let job = Job::prepare(&settings)?;
    let progress = Progress::new(show, std::slice::from_ref(&job.inventory));
    let result = job.run(&|bytes, packets| progress.round(bytes, packets));
    progress.finish();
    let summary = result?;
    summary.warnings.iter().chain(&summary.refused).chain(&summary.damaged).for_each(|line| eprintln!("tamperscope: {line}"));
    give(&summary, json)
}

fn settings(arguments: Analyze) -> Result<Settings, CliError> {
    let own = [&arguments.catalog, &arguments.asn_table].map(|path| path.as_deref().map(OwnFile::read).transpose());
    let [own_catalog, asn_table] = own;
    let (own_catalog, asn_table) = (own_catalog?, asn_table?);
    let catalog = catalog(own_catalog.as_ref())?.label_circumvention(arguments.label_circumvention);
    let networks = asn_table.as_ref().map(networks).transpose()?;
    let given = given([own_catalog.as_ref(), asn_table.as_ref()], arguments.label_circumvention);
    let default = Timeouts::default();
    Ok(Settings {
        inputs: arguments.inputs,
        output: arguments.output,
        force: arguments.force,
        temp_dir: arguments.temp_dir,
        rules: SourceRules { named: arguments.sources, one_source: arguments.one_source },
        timeouts: Timeouts { tcp: Span::from_secs(arguments.tcp_timeout.into()), udp: Span::from_secs(arguments.udp_timeout.into()), ..default },
        round_bytes: arguments.round_bytes,
        max_memory: arguments.max_memory,
        catalog,
        networks,
        given,
        weights: weights(arguments.weights.as_deref())?,
        prior: arguments.prior,
        splt: arguments.splt.unwrap_or(0),
    })
}

/// A hash over what the user gave to name flows by; empty where nothing was given.
fn given(files: [Option<&OwnFile>; 2], label_circumvention: bool) -> String {
    if files.iter().all(Option::is_none) && !label_circumvention {
        return String::new();
    }
    let mut hasher = blake3::Hasher::new();
    for (place, file) in files.into_iter().enumerate() {
        if let Some(file) = file {
            hasher.update(&[place as u8]).update(blake3::hash(&file.bytes).as_bytes());
        }
    }
    hasher.update(&[u8::from(label_circumvention)]);
    hasher.finalize().to_hex()[..16].into()
}

/// Names of networks are not always UTF-8.
fn networks(table: &OwnFile) -> Result<Networks, CliError> {
    Networks::read(&String::from_utf8_lossy(&table.bytes)).map_err(|source| CliError::Networks { path: table.path.clone(), source })
}

/// The summary as the result; how whole it is as the exit code.
pub fn give(summary: &Summary, json: bool) -> Result<Exit, CliError> {
    if json {
        print_json(summary)?
    } else {
        print(summary, &mut io::stdout().lock())?
    }
    Ok(if summary.is_whole() { Exit::Whole } else { Exit::Damaged })
}

/// A table of services and verdicts; columns for the verdicts that occur.
fn print(summary: &Summary, out: &mut impl Write) -> Result<(), CliError> {
    let words: Vec<&str> = Verdict::ALL.iter().map(|verdict| verdict.word()).filter(|word| summary.verdicts.contains_key(word)).collect();
    let name = |count: &ServiceCount| count.service.clone().unwrap_or_else(|| "(no service)".into());
    let width = summary.services.iter().map(|count| name(count).len()).chain(["service".len()]).max().unwrap_or(0);
    let cells = |values: &[String]| {
        values.iter().zip(&words).map(|(value, word)| format!("  {value:>width$}", width = word.len().max(8))).collect::<String>()
    };
    let heads: Vec<String> = words.iter().map(ToString::to_string).collect();
    writeln!(out, "{:<width$}  {:>8}{}", "service", "flows", cells(&heads))?;
    for count in &summary.services {
        let numbers: Vec<String> = words.iter().map(|word| count.verdicts.get(word).map_or("-".into(), u64::to_string)).collect();
        writeln!(out, "{:<width$}  {:>8}{}", name(count), count.flows, cells(&numbers))?;
    }
    writeln!(out)?;
    let damaged = summary.damaged.len() + summary.refused.len();
    writeln!(
        out,
        "{} packets in {} flows from {} files; {} files damaged or refused, {} others skipped",
        summary.packets, summary.flows, summary.files, damaged, summary.skipped
    )?;
    Ok(writeln!(out, "tables in {}: {}", summary.output, TABLES.join(", "))?)
}
