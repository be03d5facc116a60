//! What may be said on the command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

/// Reads packet captures and says of every connection whether the network let it through, and if not, how it was cut.
#[derive(Debug, Parser)]
#[command(name = "tamperscope", version, max_term_width = 120)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Analyse captures and write the tables.
    Analyze(Analyze),
    /// Judge finished runs again from their tables alone: by other weights, another prior or catalog, or several runs together.
    Judge(Judge),
    /// Compare captures of the same flows from both ends: what was dropped, injected or rewritten in between.
    Compare(Compare),
    /// Print the columns of the tables with type, unit and meaning.
    Schema {
        /// One table only.
        #[arg(value_parser = PossibleValuesParser::new(crate::table::tables().into_iter().map(|(name, _)| name)))]
        table: Option<String>,
    },
    /// List the services of the catalog, or show all that is known of one.
    Services(Services),
}

#[derive(Debug, clap::Args)]
pub struct Services {
    /// The id of one service.
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// Services to add to the built-in catalog; its entries come first.
    #[arg(long, value_name = "FILE")]
    pub catalog: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Judge {
    /// Folders that `analyze` or `judge` wrote.
    #[arg(required = true, value_name = "DIR")]
    pub runs: Vec<PathBuf>,
    /// The folder for the tables; without it one run is judged in its place.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Write into a folder that is not empty; tables of an earlier run are replaced.
    #[arg(long)]
    pub force: bool,
    /// Services to add to the built-in catalog, by which flows are named again; its entries come first.
    #[arg(long, value_name = "FILE")]
    pub catalog: Option<PathBuf>,
    /// What items of evidence are worth, in the place of the built-in weights.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Share of interference among flows that did not work.
    #[arg(long, value_name = "P", default_value_t = 0.05, value_parser = probability)]
    pub prior: f64,
    /// Where rows wait until the end; inside the output folder where it is not given.
    #[arg(long, value_name = "DIR")]
    pub temp_dir: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Compare {
    /// What was captured at the client: a capture, or a folder of them.
    pub client: PathBuf,
    /// What was captured at the server.
    pub server: PathBuf,
    /// The folder for the tables.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Write into a folder that is not empty; tables of an earlier run are replaced.
    #[arg(long)]
    pub force: bool,
    /// Networks whose traffic the server's capture holds, even where it has no flow with an address of theirs: what never arrived there was dropped. May be
    /// given several times.
    #[arg(long, value_name = "NET", value_parser = network)]
    pub server_net: Vec<IpNet>,
    /// Services to add to the built-in catalog; its entries come first.
    #[arg(long, value_name = "FILE")]
    pub catalog: Option<PathBuf>,
    /// When to show progress.
    #[arg(long, value_enum, default_value_t = ShowProgress::Auto)]
    pub progress: ShowProgress,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// An address, or a network of them.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| format!("`{text}` is neither an address nor a network such as 192.0.2.0/24"))
}

#[derive(Debug, clap::Args)]
pub struct Analyze {
    /// Captures, folders of captures, or - for standard input.
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
    /// The folder for the tables.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Write into a folder that is not empty; tables of an earlier run are replaced.
    #[arg(long)]
    pub force: bool,
    /// Files that belong to one capture point, by a pattern for their paths (may be repeated).
    #[arg(long = "source", value_name = "NAME=GLOB", value_parser = named_source)]
    pub sources: Vec<(String, String)>,
    /// All files belong to one capture point.
    #[arg(long)]
    pub one_source: bool,
    /// Services to add to the built-in catalog; its entries come first.
    #[arg(long, value_name = "FILE")]
    pub catalog: Option<PathBuf>,
    /// Whose network an address is in: address block, AS number and name on each line, with commas, tabs or white space between.
    #[arg(long, value_name = "FILE")]
    pub asn_table: Option<PathBuf>,
    /// Call VPNs and other ways around a block by their names instead of other_encrypted.
    #[arg(long)]
    pub label_circumvention: bool,
    /// What items of evidence are worth, in the place of the built-in weights.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Share of interference among flows that did not work.
    #[arg(long, value_name = "P", default_value_t = 0.05, value_parser = probability)]
    pub prior: f64,
    /// Threads; all cores where it is not given.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Memory that the run may hold, for example 512M or 8G; living flows that do not fit end early, those first that were idle longest.
    #[arg(long, value_name = "SIZE", default_value = "4G", value_parser = size)]
    pub max_memory: usize,
    /// Where rows wait until the end; inside the output folder where it is not given.
    #[arg(long, value_name = "DIR")]
    pub temp_dir: Option<PathBuf>,
    /// Silence that ends a TCP flow, in seconds (an established connection: 3600).
    #[arg(long, value_name = "S", default_value_t = 300)]
    pub tcp_timeout: u32,
    /// Silence that ends a flow of UDP or another protocol, in seconds.
    #[arg(long, value_name = "S", default_value_t = 60)]
    pub udp_timeout: u32,
    /// List payload bytes and times of the first N packets with payload of every flow (1 to 255): two more columns.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub splt: Option<u8>,
    /// When to show progress.
    #[arg(long, value_enum, default_value_t = ShowProgress::Auto)]
    pub progress: ShowProgress,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
    /// Bytes of a round of reading; results do not depend on it.
    #[arg(long, hide = true)]
    pub round_bytes: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShowProgress {
    /// On a terminal.
    Auto,
    Always,
    Never,
}

fn named_source(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, glob)) if !name.is_empty() && !glob.is_empty() => Ok((name.into(), glob.into())),
        _ => Err("NAME=GLOB is expected".into()),
    }
}

/// Bytes, or a number of KiB, MiB, GiB or TiB: `512M`, `8GiB`.
fn size(text: &str) -> Result<usize, String> {
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => Some(0),
        "k" => Some(10),
        "m" => Some(20),
        "g" => Some(30),
        "t" => Some(40),
        _ => None,
    };
    let bytes = number.parse::<usize>().ok().zip(shift).and_then(|(number, shift)| number.checked_mul(1 << shift));
    match bytes {
        Some(bytes) if bytes >= MEMORY_MIN => Ok(bytes),
        Some(_) => Err("at least 64M are needed".into()),
        None => Err("a number with K, M, G or T behind it is expected".into()),
    }
}

/// A round of packets and a few thousand rows take this much.
const MEMORY_MIN: usize = 64 << 20;

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value < 1.0 => Ok(value),
        _ => Err("a number between 0 and 1 is expected".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two() {
        assert_eq!([size("512M"), size("2GiB"), size("1t"), size("134217728")], [Ok(512 << 20), Ok(2 << 30), Ok(1 << 40), Ok(128 << 20)]);
        for wrong in ["", "G", "2X", "-1G", "1.5G", "12", "99999999999999T"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
