//! `services`: the catalog in use.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use crate::service::file::Service;
use crate::service::{Catalog, source_id};

use super::arguments::Services;
use super::{CliError, Exit, OwnFile, catalog};

pub fn run(arguments: Services) -> Result<Exit, CliError> {
    let own = arguments.catalog.as_deref().map(OwnFile::read).transpose()?;
    let catalog = catalog(own.as_ref())?;
    let mut out = io::stdout().lock();
    let Some(id) = arguments.id else {
        if arguments.json {
            print_json(&list_json(&catalog)?, &mut out)?
        } else {
            print_list(&catalog, &mut out)?
        }
        return Ok(Exit::Whole);
    };
    let service = catalog.services.iter().find(|service| service.id.get_ref().as_str() == id).ok_or(CliError::NoService { id })?;
    if arguments.json {
        print_json(&service_json(&catalog, service)?, &mut out)?
    } else {
        print_service(&catalog, service, &mut out)?
    }
    Ok(Exit::Whole)
}

/// How many facts of each kind there are of a service.
struct Counts {
    hosts: usize,
    prefixes: usize,
    wire: usize,
}

fn counts(service: &Service) -> Counts {
    Counts {
        hosts: service.hosts.iter().map(|entry| entry.r#match.len()).sum(),
        prefixes: service.prefixes.iter().map(|entry| entry.v4.len() + entry.v6.len()).sum(),
        wire: service.wire.len(),
    }
}

fn print_list(catalog: &Catalog, out: &mut impl Write) -> Result<(), CliError> {
    let name = |service: &Service| service.name.clone().unwrap_or_default();
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let id_width = widest(&mut catalog.services.iter().map(|service| service.id.get_ref().as_str().chars().count()));
    let name_width = widest(&mut catalog.services.iter().map(|service| name(service).chars().count()));
    writeln!(out, "{:<id_width$}  {:<name_width$}  {:<13}  {:>5}  {:>8}  {:>4}", "service", "name", "kind", "hosts", "prefixes", "wire")?;
    for service in &catalog.services {
        let (Counts { hosts, prefixes, wire }, kind) = (counts(service), word(&service.kind)?);
        writeln!(out, "{:<id_width$}  {:<name_width$}  {kind:<13}  {hosts:>5}  {prefixes:>8}  {wire:>4}", service.id.get_ref(), name(service))?;
    }
    writeln!(out)?;
    let encrypted = catalog.resolvers.iter().filter(|resolver| resolver.encrypted).count();
    Ok(writeln!(out, "{} services, {encrypted} resolvers over encrypted transports; catalog of {}", catalog.services.len(), catalog.date)?)
}

fn list_json(catalog: &Catalog) -> Result<Value, CliError> {
    let summary = |service: &Service| {
        let Counts { hosts, prefixes, wire } = counts(service);
        json!({
            "id": service.id, "name": service.name, "operator": service.operator, "kind": service.kind,
            "hosts": hosts, "prefixes": prefixes, "wire": wire,
        })
    };
    let services: Vec<Value> = catalog.services.iter().map(summary).collect();
    let (resolvers, removed) = (value(&catalog.resolvers)?, value(&catalog.removed)?);
    Ok(json!({ "date": catalog.date, "services": services, "dns_resolver": without_nothing(resolvers), "dns_removed": without_nothing(removed) }))
}

/// The service as its file has it, and the sources that its entries name.
fn service_json(catalog: &Catalog, service: &Service) -> Result<Value, CliError> {
    let mut json = without_nothing(value(service)?);
    let sources = sources(catalog, service).into_iter().map(|(id, source)| Ok((id.to_owned(), value(source)?)));
    json["sources"] = Value::Object(sources.collect::<Result<_, CliError>>()?);
    Ok(json)
}

fn sources<'a>(catalog: &'a Catalog, service: &'a Service) -> Vec<(&'a str, &'a crate::service::file::Source)> {
    let mut ids: Vec<&str> = service.entries().flat_map(|basis| basis.source.get_ref()).map(|name| source_id(name)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().filter_map(|id| Some((id, catalog.sources.get(id)?))).collect()
}

fn print_service(catalog: &Catalog, service: &Service, out: &mut impl Write) -> Result<(), CliError> {
    let (name, operator) = (service.name.as_deref().unwrap_or_default(), service.operator.as_deref().unwrap_or_default());
    writeln!(out, "{}: {name}, {}, of {operator}", service.id.get_ref(), word(&service.kind)?)?;
    let service_value = without_nothing(value(service)?);
    if let Some(asn) = service_value.get("asn") {
        writeln!(out, "networks: AS{}", text(asn).replace(", ", ", AS"))?;
    }
    for section in ["hosts", "prefixes", "endpoints", "ports", "wire"] {
        let entries = service_value.get(section).and_then(Value::as_array).into_iter().flatten();
        entries.into_iter().try_for_each(|entry| print_entry(section, entry, out))?;
    }
    writeln!(out, "\nsources")?;
    let sources = sources(catalog, service);
    let width = sources.iter().map(|(id, _)| id.len()).max().unwrap_or(0);
    sources.iter().try_for_each(|(id, source)| writeln!(out, "  {id:<width$}  {:<10}  {}", source.date, source.what))?;
    Ok(())
}

/// Whose role it is and how well it is founded stand first, then what the entry says.
fn print_entry(section: &str, entry: &Value, out: &mut impl Write) -> Result<(), CliError> {
    let field = |name: &str| entry.get(name).map(text);
    let marks = [field("role"), field("confidence"), field("shared").map(|_| "shared".into()), field("own").map(|_| "own".into())];
    let marks: Vec<String> = marks.into_iter().flatten().collect();
    writeln!(out, "\n{section}: {}", marks.join(", "))?;
    let said = entry.as_object().into_iter().flatten().filter(|(name, _)| !matches!(name.as_str(), "role" | "confidence" | "shared" | "own"));
    for (name, value) in said {
        let shown = if name.starts_with("stun_") { hex(value) } else { text(value) };
        lines(&shown).iter().enumerate().try_for_each(|(place, line)| match place {
            0 => writeln!(out, "  {name:<15} {line}"),
            _ => writeln!(out, "  {:<15} {line}", ""),
        })?;
    }
    Ok(())
}

/// Lists go on in the next line.
const LINE_CHARS: usize = 100;

fn lines(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < LINE_CHARS => *line += &format!(" {word}"),
            _ => lines.push(word.into()),
        }
    }
    lines
}

/// As people read it: lists with commas, tables as their fields.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields.iter().map(|(name, value)| format!("{name} {}", text(value))).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// Types of STUN go by their hexadecimal numbers.
fn hex(values: &Value) -> String {
    let numbers = values.as_array().into_iter().flatten().filter_map(Value::as_u64);
    numbers.map(|number| format!("{number:#06x}")).collect::<Vec<_>>().join(", ")
}

/// Leaves out what a file leaves out: fields that say nothing.
fn without_nothing(value: Value) -> Value {
    let says_something = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(values) => !values.is_empty(),
        _ => true,
    };
    match value {
        Value::Array(values) => values.into_iter().map(without_nothing).collect(),
        Value::Object(fields) => {
            fields.into_iter().filter(|(_, value)| says_something(value)).map(|(name, value)| (name, without_nothing(value))).collect()
        }
        other => other,
    }
}

fn word(value: &impl Serialize) -> Result<String, CliError> {
    Ok(text(&self::value(value)?))
}

fn value(value: &impl Serialize) -> Result<Value, CliError> {
    Ok(serde_json::to_value(value).map_err(io::Error::other)?)
}

fn print_json(value: &Value, out: &mut impl Write) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    Ok(writeln!(out, "{text}")?)
}
