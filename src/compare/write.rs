//! The command as a whole: two inputs in, tables out.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Serialize;
use serde_json::json;

use super::read::{Side, read};
use super::{Compared, compare};
use crate::capture::{self, Inventory, SourceRules};
use crate::model::words::Word;
use crate::pipeline::{ROUND_BYTES, RunError};
use crate::service::Catalog;
use crate::table::{COMPARED, FATES, Output, RunTables, SCHEMA_VERSION};

pub struct Settings {
    pub client: PathBuf,
    pub server: PathBuf,
    pub output: PathBuf,
    pub force: bool,
    /// Networks of which the server's capture holds all traffic.
    pub server_nets: Vec<IpNet>,
    pub catalog: Catalog,
}

/// What a run came to.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub run_id: String,
    pub output: String,
    pub flows: u64,
    /// Of these, in both captures.
    pub joined: u64,
    pub packets: u64,
    pub fates: BTreeMap<&'static str, u64>,
    pub verdicts: BTreeMap<&'static str, u64>,
    /// The server's clock less the client's, at the start and at the end.
    pub clock_offset_ms: Option<(f64, f64)>,
    /// Share of packets that the capture of an end failed to record.
    pub lost_by_captures: BTreeMap<&'static str, f64>,
    pub refused: Vec<String>,
    pub damaged: Vec<String>,
}

impl Summary {
    pub fn is_whole(&self) -> bool {
        self.refused.is_empty() && self.damaged.is_empty()
    }
}

/// A run that is ready to begin.
pub struct Job<'a> {
    settings: &'a Settings,
    output: Output,
    /// What there is to read, at the client's end and at the server's.
    pub ends: [Inventory; 2],
}

impl<'a> Job<'a> {
    pub fn prepare(settings: &'a Settings) -> Result<Self, RunError> {
        let output = Output::prepare(&settings.output, settings.force)?;
        let end = |input: &PathBuf, name: &str| capture::find(std::slice::from_ref(input), &SourceRules::default(), &output.staging().join(name));
        let ends = [end(&settings.client, "client"), end(&settings.server, "server")];
        Ok(Self { settings, output, ends })
    }

    pub fn run(self, on_round: &(dyn Fn(u64, u64) + Sync)) -> Result<Summary, RunError> {
        let Self { settings, output, ends } = self;
        let refused: Vec<String> = ends.iter().flat_map(|end| &end.refused).map(ToString::to_string).collect();
        if ends.iter().any(|end| end.sources.is_empty()) {
            return Err(RunError::NothingRead { refused });
        }
        let [client, mut server] = ends.each_ref().map(|end| read(end, &settings.catalog, ROUND_BYTES, on_round));
        server.nets.clone_from(&settings.server_nets);
        let damaged = [&client, &server].into_iter().flat_map(damaged).collect();
        if [&client, &server].iter().any(|side| side.packets == 0) {
            return Err(RunError::NothingRead { refused: [refused, damaged].concat() });
        }
        let Compared { mut flows, mut fates, clock_offset_ms, lost_by_captures } = compare(&client, &server);
        flows.sort_by_key(|row| (row.flow.start, row.flow.flow_id));
        fates.sort_by(|one, other| (one.time, one.flow_id, one.packet, &one.capture).cmp(&(other.time, other.flow_id, other.packet, &other.capture)));
        let mut summary = Summary {
            run_id: run_id(&flows.iter().map(|row| row.flow.flow_id).collect::<Vec<_>>(), settings),
            output: settings.output.display().to_string(),
            flows: flows.len() as u64,
            joined: flows.iter().filter(|row| row.client_flow_id.is_some() && row.server_flow_id.is_some()).count() as u64,
            packets: client.packets + server.packets,
            fates: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            clock_offset_ms,
            lost_by_captures: ["client", "server"].into_iter().zip(lost_by_captures).collect(),
            refused,
            damaged,
        };
        fates.iter().for_each(|row| *summary.fates.entry(row.fate.word()).or_default() += 1);
        flows.iter().for_each(|row| *summary.verdicts.entry(row.verdict.word()).or_default() += 1);
        let metadata = HashMap::from([("tamperscope.catalog".to_string(), settings.catalog.date.to_string())]);
        let tables = RunTables::new(&output, summary.run_id.clone(), metadata);
        tables.write("flows", COMPARED, &flows)?;
        tables.write("fates", FATES, &fates)?;
        output.commit(&["flows.parquet".into(), "fates.parquet".into()], &run_json(settings, &summary))?;
        Ok(summary)
    }
}

/// What is wrong with the files of an end.
fn damaged(side: &Side) -> Vec<String> {
    side.reports.iter().filter_map(|report| Some(report.error.as_ref()?.to_string())).collect()
}

fn run_id(flows: &[i64], settings: &Settings) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"compare").update(env!("CARGO_PKG_VERSION").as_bytes()).update(settings.catalog.date.to_string().as_bytes());
    settings.server_nets.iter().for_each(|net| _ = hasher.update(net.to_string().as_bytes()).update(b" "));
    for flow in flows {
        hasher.update(&flow.to_be_bytes());
    }
    hasher.finalize().to_hex()[..16].to_string()
}

fn run_json(settings: &Settings, summary: &Summary) -> String {
    let mut run = json!({
        "tamperscope": env!("CARGO_PKG_VERSION"),
        "schema_version": SCHEMA_VERSION,
        "command": "compare",
        "client": settings.client,
        "server": settings.server,
        "server_nets": settings.server_nets.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "catalog": settings.catalog.date,
        "tables": ["flows", "fates"],
    });
    if let (Some(run), Ok(serde_json::Value::Object(summary))) = (run.as_object_mut(), serde_json::to_value(summary)) {
        run.extend(summary);
    }
    format!("{run:#}\n")
}
