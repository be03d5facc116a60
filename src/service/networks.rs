//! Whose network an address is in, by a table that the user gives.
//! In:  a text, one block of addresses on each line with the number and the name of its network.
//! Out: the network of an address.
//! Promises: the longest block wins; a line that cannot be read is named by its number; each network is held once.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use ipnet::IpNet;

use super::blocks::{Blocks, Collection};

/// An autonomous system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    pub asn: u32,
    pub name: Option<String>,
}

/// As the tables show it: `AS12389 ROSTELECOM`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "AS{} {name}", self.asn),
            None => write!(f, "AS{}", self.asn),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct NetworksError {
    pub line: usize,
    pub problem: LineProblem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    #[error("{0:?} is no block of addresses")]
    Block(String),
    #[error("{0:?} is no AS number")]
    Asn(String),
}

/// The table of networks.
#[derive(Debug, Default)]
pub struct Networks {
    blocks: Blocks,
    networks: Vec<Network>,
}

/// Longer names are cut: a name is for people to read.
const NAME_CHARS_MAX: usize = 100;

impl Networks {
    /// `10.0.0.0/8,64512,NAME` with commas, tabs or white space between; `AS64512`, no name, a line of headings, comments behind `#`
    /// at the start of a line, and CAIDA's lines of prefix, length and AS are all right.
    pub fn read(text: &str) -> Result<Self, NetworksError> {
        let mut table = Builder::default();
        let mut is_first = true;
        for (line, content) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let content = content.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            match read_line(content) {
                Ok(Some(row)) => table.add(row),
                Ok(None) => {}
                Err(_) if is_first && !content.contains('/') && !content.starts_with(|letter: char| letter.is_ascii_digit()) => {} // headings
                Err(problem) => return Err(NetworksError { line, problem }),
            }
            is_first = false;
        }
        Ok(Self { blocks: table.blocks.build(), networks: table.networks })
    }

    pub fn of(&self, address: IpAddr) -> Option<&Network> {
        self.networks.get(self.blocks.longest(address)? as usize)
    }
}

struct Row<'a> {
    block: IpNet,
    asn: u32,
    name: &'a str,
}

/// Networks by number and name, each once: tables have ten times as many blocks.
#[derive(Default)]
struct Builder<'a> {
    blocks: Collection,
    networks: Vec<Network>,
    numbers: HashMap<(u32, &'a str), u32, RandomState>,
}

impl<'a> Builder<'a> {
    fn add(&mut self, row: Row<'a>) {
        let next = self.networks.len() as u32;
        let number = *self.numbers.entry((row.asn, row.name)).or_insert(next);
        if number == next {
            let name = (!row.name.is_empty()).then(|| row.name.chars().take(NAME_CHARS_MAX).collect());
            self.networks.push(Network { asn: row.asn, name });
        }
        self.blocks.add(row.block, number);
    }
}

/// A row; none where the line says that nobody announces the block (AS 0, RFC 7607).
fn read_line(line: &str) -> Result<Option<Row<'_>>, LineProblem> {
    let (first, rest, separator) = first_field(line);
    let (block, rest) = match first.parse::<IpNet>() {
        Ok(block) => (block, rest),
        Err(_) => caida_block(first, rest, separator).ok_or_else(|| LineProblem::Block(first.into()))?,
    };
    let (asn_text, name) = next_field(rest, separator);
    let asn = as_number(asn_text).ok_or_else(|| LineProblem::Asn(asn_text.into()))?;
    // Behind white space everything is the name, else the next field.
    let name = if separator == Separator::Space { name } else { next_field(name, separator).0 };
    Ok((asn != 0).then_some(Row { block: block.trunc(), asn, name: unquoted(name) }))
}

/// CAIDA's pfx2as has the length of the prefix in a field of its own.
fn caida_block<'a>(address: &str, rest: &'a str, separator: Separator) -> Option<(IpNet, &'a str)> {
    let (length, rest) = next_field(rest, separator);
    Some((IpNet::new(address.parse().ok()?, length.parse().ok()?).ok()?, rest))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    Comma,
    Tab,
    Space,
}

/// What follows the block tells how fields are kept apart: names have commas and spaces in them, blocks have none.
fn first_field(line: &str) -> (&str, &str, Separator) {
    let separator = match line.find([',', '\t', ' ']).and_then(|at| line.as_bytes().get(at)) {
        Some(b',') => Separator::Comma,
        Some(b'\t') => Separator::Tab,
        _ => Separator::Space,
    };
    let (field, rest) = next_field(line, separator);
    (field, rest, separator)
}

/// The first field without its quotation marks, and what is behind it. A quoted field may hold commas.
fn next_field(text: &str, separator: Separator) -> (&str, &str) {
    let text = text.trim_start_matches(' ');
    let border = match separator {
        Separator::Comma => ',',
        Separator::Tab => '\t',
        Separator::Space => ' ',
    };
    let quoted = text.strip_prefix('"').and_then(|text| text.split_once('"'));
    let (field, rest) = match quoted {
        Some((field, rest)) => (field, rest.split_once(border).map_or("", |(_, rest)| rest)),
        None => text.split_once(border).unwrap_or((text, "")),
    };
    (field.trim(), rest.trim_start_matches(' '))
}

fn unquoted(name: &str) -> &str {
    name.trim().trim_matches('"')
}

/// `64512`, `AS64512`; the first of several that announce a block (`1_2`) or stand for it as a set (`1,2`).
fn as_number(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
    digits.split(['_', ',']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn shown(table: &str, address: &str) -> Option<String> {
        let networks = Networks::read(table).expect("a table");
        networks.of(address.parse().expect("an address")).map(ToString::to_string)
    }

    #[test]
    fn commas_tabs_and_white_space_keep_fields_apart() {
        for table in [
            "198.51.100.0/24,64496,EXAMPLE Net",
            "network,asn,name\n\"198.51.100.0/24\",\"64496\",\"EXAMPLE Net\"\n",
            "# prefixes\nprefix\tasn\tname\n198.51.100.0/24\tAS64496\tEXAMPLE Net\r\n",
            "198.51.100.0/24   AS64496  EXAMPLE Net",
            "198.51.100.0/24, 64496, \"EXAMPLE Net\"",
        ] {
            assert_eq!(shown(table, "198.51.100.7").as_deref(), Some("AS64496 EXAMPLE Net"), "{table}");
        }
    }

    #[test]
    fn a_name_may_hold_what_keeps_fields_apart_elsewhere() {
        assert_eq!(shown("198.51.100.0/24 64496 EXAMPLE, Inc. # 1", "198.51.100.7").as_deref(), Some("AS64496 EXAMPLE, Inc. # 1"));
        assert_eq!(shown("198.51.100.0/24\t64496\tEXAMPLE, Inc.", "198.51.100.7").as_deref(), Some("AS64496 EXAMPLE, Inc."));
        assert_eq!(shown("198.51.100.0/24,64496,\"EXAMPLE, Inc.\"", "198.51.100.7").as_deref(), Some("AS64496 EXAMPLE, Inc."));
    }

    #[test]
    fn caida_gives_the_length_apart_and_several_numbers_for_a_block() {
        let table = "198.51.100.0\t24\t64496_64497\n2001:db8::\t32\t64498,64499\n";
        assert_eq!(shown(table, "198.51.100.7").as_deref(), Some("AS64496"));
        assert_eq!(shown(table, "2001:db8::7").as_deref(), Some("AS64498"));
        assert_eq!(shown(table, "2001:db9::7"), None);
    }

    #[test]
    fn the_longest_block_wins_wherever_it_stands() {
        let table = "198.51.100.128/25,64497\n198.51.0.0/16,64496\n198.51.100.0/24,0\n";
        assert_eq!(shown(table, "198.51.100.129").as_deref(), Some("AS64497"));
        assert_eq!(shown(table, "198.51.100.1").as_deref(), Some("AS64496"), "AS 0 is no network");
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        let error = |table: &str| Networks::read(table).expect_err("a wrong line").to_string();
        assert_eq!(error("198.51.100.0/24,64496\n\n198.51.100.0/33,1"), "line 3: \"198.51.100.0/33\" is no block of addresses");
        assert_eq!(error("198.51.100.0/24,EXAMPLE"), "line 1: \"EXAMPLE\" is no AS number");
        assert_eq!(error("198.51.100.0 64496"), "line 1: \"198.51.100.0\" is no block of addresses", "a length is missing");
        assert_eq!(error("block,asn\nblock,asn"), "line 2: \"block\" is no block of addresses", "one line of headings is enough");
    }

    proptest! {
        #[test]
        fn any_text_is_a_table_or_an_error(text in any::<String>()) {
            let _no_panic = Networks::read(&text);
        }

        #[test]
        fn any_row_is_read_or_refused(fields in prop::collection::vec("[0-9./:a-fAS\",\t _-]{0,12}", 0..6)) {
            let _no_panic = Networks::read(&fields.join("\n"));
        }
    }
}
