//! `compare`: two captures of the same flows, from both ends.

use std::io::{self, Write};

use crate::compare::{Job, Settings, Summary};

use super::arguments::Compare;
use super::progress::Progress;
use super::{CliError, Exit, OwnFile, catalog, print_json};

pub fn run(arguments: Compare) -> Result<Exit, CliError> {
    let Compare { client, server, output, force, server_net, catalog: own, progress: show, json } = arguments;
    let own = own.as_deref().map(OwnFile::read).transpose()?;
    let settings = Settings { client, server, output, force, server_nets: server_net, catalog: catalog(own.as_ref())? };
    let job = Job::prepare(&settings)?;
    let progress = Progress::new(show, &job.ends);
    let result = job.run(&|bytes, packets| progress.round(bytes, packets));
    progress.finish();
    let summary = result?;
    summary.refused.iter().chain(&summary.damaged).for_each(|line| eprintln!("tamperscope: {line}"));
    if summary.joined == 0 {
        eprintln!("tamperscope: no flow is in both captures: nothing can be compared");
    }
    if json {
        print_json(&summary)?
    } else {
        print(&summary, &mut io::stdout().lock())?
    }
    Ok(if summary.is_whole() { Exit::Whole } else { Exit::Damaged })
}

fn print(summary: &Summary, out: &mut impl Write) -> Result<(), CliError> {
    writeln!(out, "{} flows compared, {} of them in both captures; {} packets", summary.flows, summary.joined, summary.packets)?;
    for (what, counts) in [("fates", &summary.fates), ("verdicts", &summary.verdicts)] {
        let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{word} {count}")).collect();
        writeln!(out, "{what}: {}", counts.join(", "))?;
    }
    if let Some((start, end)) = summary.clock_offset_ms {
        writeln!(out, "the server's clock is ahead by {start:.3} ms at the start, {end:.3} ms at the end")?;
    }
    let lost: Vec<String> = summary.lost_by_captures.iter().map(|(end, share)| format!("{end} {:.2} %", share * 100.0)).collect();
    writeln!(out, "packets that the captures failed to record: {}", lost.join(", "))?;
    Ok(writeln!(out, "tables in {}: flows, fates", summary.output)?)
}
