//! What a catalog file may not say.
//! In:  the text of a file, and the built-in catalog where the file is added to it.
//! Out: its entries, or the first thing that is wrong with its line and entry.
//! Promises: every source, service and recogniser that an entry names exists; a name, a block or an address belongs to one entry of a file.

use std::collections::{HashMap, HashSet};
use std::fmt;

use toml::Spanned;

use crate::app::heads::HEAD_BYTES;

use super::file::{Basis, File, Hint, Id, Kind, Need, Service};

#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct CatalogError {
    pub place: Place,
    pub problem: Problem,
}

#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("{}", .0.message().replace('\n', ", "))]
    Value(Box<toml::de::Error>),
    #[error("source {0} is not listed under [sources]")]
    Source(String),
    #[error("no service has the id {0}")]
    Service(Id),
    #[error("no dns_resolver has the id {0}")]
    Resolver(Id),
    #[error("no recogniser is called {0}")]
    Check(String),
    #[error("{what} stands on line {line} already; where several services use it, it stands once, with `shared = true` and `also`")]
    Twice { what: String, line: usize },
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("`replace` is for services of the built-in catalog: none has the id {0}")]
    NothingToReplace(Id),
    #[error("no condition: a hint needs one of match, len, len_min, len_max, check, realm, stun_types, stun_attributes, alpn")]
    NoCondition,
    #[error("only the first {HEAD_BYTES} bytes of a payload are compared")]
    Far,
    #[error("the hint needs {0}, and the service has none")]
    NoSupport(&'static str),
}

/// Where in a file something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    /// As in `service whatsapp, hosts`.
    pub entry: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.entry {
            Some(entry) => write!(f, "line {} ({entry})", self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}

impl Place {
    fn of(text: &str, offset: usize) -> Self {
        let line = line_of(text, offset);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        Self { line, entry: entry_of(&lines, line) }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The table that a line stands in, and the id of its service or resolver.
fn entry_of(lines: &[&str], line: usize) -> Option<String> {
    let header = |line: &str| line.strip_prefix("[[").and_then(|line| line.split_once("]]")).map(|(header, _)| header.trim().to_owned());
    let before = lines.get(..line)?;
    let last = before.iter().rev().find_map(|line| header(line))?;
    let (outer, inner) = last.split_once('.').map_or((last.as_str(), None), |(outer, inner)| (outer, Some(inner)));
    let begin = before.iter().rposition(|line| header(line).as_deref() == Some(outer))?;
    let own_lines = lines[begin + 1..].iter().take_while(|line| !line.starts_with('['));
    let id = own_lines.filter_map(|line| line.strip_prefix("id")?.trim_start().strip_prefix('=')).next().unwrap_or("without id");
    let id = id.split('"').nth(1).unwrap_or(id.trim());
    Some(inner.map_or_else(|| format!("{outer} {id}"), |inner| format!("{outer} {id}, {inner}")))
}

/// A file that stands alone, or is added to `base`.
pub fn read(text: &str, base: Option<&File>) -> Result<File, CatalogError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let place = Place::of(text, offset_of(text, &error));
        CatalogError { place, problem: Problem::Value(Box::new(error)) }
    })?;
    Checker { text, file: &file, base }.check()?;
    Ok(file)
}

/// An error in a list comes with the place of the list: what it quotes tells the line.
fn offset_of(text: &str, error: &toml::de::Error) -> usize {
    let span = error.span().unwrap_or(0..0);
    let quoted = error.message().strip_prefix('"').and_then(|message| message.split_once('"')).map(|(quoted, _)| format!("\"{quoted}\""));
    let within = quoted.zip(text.get(span.clone())).and_then(|(quoted, value)| value.find(&quoted));
    span.start + within.unwrap_or(0)
}

struct Checker<'a> {
    text: &'a str,
    file: &'a File,
    base: Option<&'a File>,
}

/// What was said already, and where.
type Said = HashMap<String, usize>;

impl Checker<'_> {
    fn check(&self) -> Result<(), CatalogError> {
        let mut said = Said::new();
        for service in &self.file.service {
            self.once(&mut said, format!("service {}", service.id.get_ref()), &service.id)?;
            self.service(service)?;
            self.claims(service, &mut said)?;
        }
        for resolver in &self.file.dns_resolver {
            self.once(&mut said, format!("resolver {}", resolver.id.get_ref()), &resolver.id)?;
            self.sources(&resolver.source)?;
        }
        for removed in &self.file.dns_removed {
            self.sources(&removed.source)?;
            let mut resolvers = self.files().flat_map(|file| &file.dns_resolver);
            if !resolvers.any(|resolver| resolver.id.get_ref() == removed.system.get_ref()) {
                return Err(self.error(&removed.system, Problem::Resolver(removed.system.get_ref().clone())));
            }
        }
        Ok(())
    }

    fn service(&self, service: &Service) -> Result<(), CatalogError> {
        let built_in = self.built_in(&service.id);
        let missing = [("name", service.name.is_none()), ("operator", service.operator.is_none()), ("kind", service.kind.is_none())];
        match missing.iter().find(|(_, missing)| *missing && built_in.is_none()) {
            Some((field, _)) => return Err(self.error(&service.id, Problem::Missing(field))),
            None if service.replace && built_in.is_none() => {
                return Err(self.error(&service.id, Problem::NothingToReplace(service.id.get_ref().clone())));
            }
            None => {}
        }
        let kind = service.kind.or_else(|| built_in?.kind);
        service.entries().try_for_each(|basis| self.basis(basis, kind))?;
        service.wire.iter().try_for_each(|hint| self.hint(hint, service, built_in))
    }

    fn basis(&self, basis: Basis<'_>, kind: Option<Kind>) -> Result<(), CatalogError> {
        self.sources(basis.source)?;
        let mut services = basis.also.iter();
        if let Some(unknown) = services.find(|id| self.files().flat_map(|file| &file.service).all(|service| service.id.get_ref() != id.get_ref())) {
            return Err(self.error(unknown, Problem::Service(unknown.get_ref().clone())));
        }
        if basis.role.is_none() && kind != Some(Kind::Circumvention) {
            return Err(self.error(basis.source, Problem::Missing("role")));
        }
        Ok(())
    }

    fn hint(&self, hint: &Hint, service: &Service, built_in: Option<&Service>) -> Result<(), CatalogError> {
        if !hint.has_condition() {
            return Err(self.error(&hint.id, Problem::NoCondition));
        }
        if hint.r#match.iter().any(|bytes| bytes.end() > HEAD_BYTES) {
            return Err(self.error(&hint.id, Problem::Far));
        }
        if let (Some(check), Some(base)) = (&hint.check, self.base) {
            let known: HashSet<&str> = base.service.iter().flat_map(|service| &service.wire).filter_map(Hint::check_name).collect();
            if !known.contains(check.get_ref().as_str()) {
                return Err(self.error(check, Problem::Check(check.get_ref().clone())));
            }
        }
        let both = || std::iter::once(service).chain(built_in.filter(|_| !service.replace));
        let has_addresses = both().any(|service| !service.prefixes.is_empty() || !service.endpoints.is_empty());
        for need in &hint.needs {
            match need {
                Need::Address if !has_addresses => return Err(self.error(&hint.id, Problem::NoSupport("an address"))),
                Need::Port if both().all(|service| service.ports.is_empty()) => return Err(self.error(&hint.id, Problem::NoSupport("a port"))),
                _ => {}
            }
        }
        Ok(())
    }

    /// A name, a block or an address is claimed once.
    fn claims(&self, service: &Service, said: &mut Said) -> Result<(), CatalogError> {
        let hosts = service.hosts.iter().flat_map(|hosts| &hosts.r#match);
        hosts.into_iter().try_for_each(|pattern| self.once(said, pattern.get_ref().to_string(), pattern))?;
        let blocks = service.prefixes.iter().flat_map(|prefixes| prefixes.v4.iter().chain(&prefixes.v6));
        blocks.into_iter().try_for_each(|block| self.once(said, block.get_ref().to_string(), block))?;
        let endpoints = service.endpoints.iter().flat_map(|endpoints| &endpoints.addresses);
        endpoints.into_iter().try_for_each(|address| self.once(said, address.get_ref().to_string(), address))?;
        service.wire.iter().try_for_each(|hint| self.once(said, format!("hint {}", hint.id.get_ref()), &hint.id))
    }

    fn once<T>(&self, said: &mut Said, what: String, at: &Spanned<T>) -> Result<(), CatalogError> {
        let offset = at.span().start;
        match said.get(&what) {
            Some(first) => Err(self.error(at, Problem::Twice { line: line_of(self.text, *first), what })),
            None => {
                said.insert(what, offset);
                Ok(())
            }
        }
    }

    /// `ndpi:protocols/viber.c` is a place in the source `ndpi`.
    fn sources(&self, named: &Spanned<Vec<String>>) -> Result<(), CatalogError> {
        if named.get_ref().is_empty() {
            return Err(self.error(named, Problem::Missing("a source")));
        }
        let is_listed = |name: &&String| self.files().any(|file| file.sources.contains_key(source_id(name)));
        match named.get_ref().iter().find(|name| !is_listed(name)) {
            Some(unknown) => Err(self.error(named, Problem::Source(source_id(unknown).into()))),
            None => Ok(()),
        }
    }

    fn built_in(&self, id: &Spanned<Id>) -> Option<&Service> {
        self.base?.service.iter().find(|service| service.id.get_ref() == id.get_ref())
    }

    fn files(&self) -> impl Iterator<Item = &File> {
        std::iter::once(self.file).chain(self.base)
    }

    fn error<T>(&self, at: &Spanned<T>, problem: Problem) -> CatalogError {
        CatalogError { place: Place::of(self.text, at.span().start), problem }
    }
}

/// What stands before the place in the source.
pub fn source_id(name: &str) -> &str {
    name.split_once(':').map_or(name, |(id, _)| id)
}
