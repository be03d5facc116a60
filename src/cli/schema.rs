//! `schema`: the columns as they are declared.

use std::io::{self, Write};

use crate::table::{self, Description};

use super::{CliError, Exit};

pub fn run(table: Option<&str>) -> Result<Exit, CliError> {
    let tables: Vec<_> = table::tables().into_iter().filter(|(name, _)| table.is_none_or(|wanted| wanted == *name)).collect();
    write!(io::stdout().lock(), "{}", page(&tables))?;
    Ok(Exit::Whole)
}

/// The same text as the page in the documentation.
pub fn page(tables: &[(&'static str, Vec<Description>)]) -> String {
    let mut page = String::new();
    for (name, columns) in tables {
        page += &format!("## {name}\n\n| column | type | unit | meaning |\n| --- | --- | --- | --- |\n");
        columns.iter().for_each(|column| page += &line(column));
        page += "\n";
    }
    page
}

fn line(column: &Description) -> String {
    let null = if column.null.is_empty() { String::new() } else { format!(" Null: {}.", column.null) };
    let words: Vec<String> = column.words.iter().map(|(word, meaning)| format!("`{word}` {meaning}")).collect();
    let words = if words.is_empty() { String::new() } else { format!(" Words: {}.", words.join("; ")) };
    format!("| `{}` | {} | {} | {}{null}{words} |\n", column.name, column.kind, column.unit.word(), column.doc)
}
