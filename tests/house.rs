//! The house rules: order of the rooms, docs that are there and current, nothing left lying about.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{root, run, tamperscope};

/// The rooms in the order in which data travels: a room imports only rooms before it.
const ROOMS: &[&str] =
    &["model", "capture", "packet", "app", "flow", "shard", "service", "detect", "infer", "table", "proof", "pipeline", "compare", "cli"];

/// What may stand at the top of the repository, beside names that begin with a dot.
const TOP: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "benches",
    "docs",
    "samples",
    "scripts",
    "src",
    "tests",
];
/// Made by builds and runs.
const TOP_IGNORED: &[&str] = &["target", "out"];

/// A source file and its path from `src`.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The first part of the path: `shard` for `shard.rs`, `flow` for `flow/table.rs`.
    fn room(&self) -> String {
        let first = self.path.components().next().expect("a path has a part");
        Path::new(first.as_os_str()).with_extension("").display().to_string()
    }

    /// Lines with their numbers, comments left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line.split("//").next().unwrap_or(line)))
    }
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    let src = root().join("src");
    let mut paths = Vec::new();
    walk(&src, &mut paths);
    paths.sort();
    let source = |path: PathBuf| Source {
        text: fs::read_to_string(&path).expect("text"),
        path: path.strip_prefix(&src).expect("it was found there").to_path_buf(),
    };
    paths.into_iter().map(source).collect()
}

#[track_caller]
fn assert_none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

// The order of the rooms.

/// The first words of every path that begins with `crate::`, with the byte at which each stands; `crate::{a::X, b}` names `a` and `b`.
fn named_from_crate(code: &str) -> Vec<(usize, String)> {
    let word = |text: &str| text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect::<String>();
    let mut named = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        let after = start + "crate::".len();
        let Some(group) = code[after..].strip_prefix('{') else {
            named.push((start, word(&code[after..])));
            continue;
        };
        let mut depth = 0;
        let mut expects_name = true;
        for (at, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => expects_name = true,
                _ if expects_name && !letter.is_whitespace() => {
                    named.push((start, word(&group[at..])));
                    expects_name = false;
                }
                _ => {}
            }
        }
    }
    named
}

/// Paths that climb out of a room: two or more `super::`, then the name of a room that is no module of this one.
fn named_by_climbing(source: &Source, line: &str) -> Vec<String> {
    let climbs = |room: &&&str| {
        let own_module = root().join("src").join(source.room()).join(room);
        line.contains(&format!("super::super::{room}::")) && !own_module.is_dir() && !own_module.with_extension("rs").is_file()
    };
    ROOMS.iter().filter(climbs).map(|room| room.to_string()).collect()
}

fn may_import(room: &str, other: &str) -> bool {
    let place = |name: &str| ROOMS.iter().position(|room| *room == name);
    match room {
        _ if room == other => true,
        "app" => other == "model",
        _ => place(other).is_some_and(|other| place(room).is_some_and(|room| other < room)),
    }
}

#[test]
fn a_room_imports_only_rooms_above_it() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| !matches!(source.room().as_str(), "lib" | "main")) {
        let code: String = source.code().map(|(_, line)| format!("{line}\n")).collect();
        let line_of = |at: usize| code[..at].matches('\n').count() + 1;
        let named = named_from_crate(&code).into_iter().map(|(at, room)| (line_of(at), room));
        let climbed = source.code().flat_map(|(number, line)| named_by_climbing(source, line).into_iter().map(move |room| (number, room)));
        for (number, room) in named.chain(climbed).filter(|(_, room)| !may_import(&source.room(), room)) {
            broken.push(format!("src/{}:{number}: {} may not know {room}", source.path.display(), source.room()));
        }
    }
    assert_none(&broken, "data travels one way, and so do imports");
}

#[test]
fn the_reader_of_imports_sees_groups_and_inline_paths() {
    let code = "use crate::{app::tls::{self, Alert}, model::Side};\nlet x = crate::flow::limits::LINGER; pub(crate) fn f() {}";
    let names: Vec<_> = named_from_crate(code).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["app", "model", "flow"]);
    assert!(may_import("shard", "app") && !may_import("app", "shard"));
    assert!(may_import("app", "model") && !may_import("app", "packet"), "app knows bytes, not packets");
}

#[test]
fn every_module_of_the_library_is_a_room() {
    let broken: Vec<_> =
        sources().iter().map(Source::room).filter(|room| !matches!(room.as_str(), "lib" | "main") && !ROOMS.contains(&&**room)).collect();
    assert_none(&broken, "src has no other doors");
}

// Module docs.

#[test]
fn every_file_begins_with_what_it_is_for() {
    let bare = sources().into_iter().filter(|source| !source.text.starts_with("//! "));
    assert_none(&bare.map(|source| format!("src/{}", source.path.display())).collect::<Vec<_>>(), "a file begins with its module doc");
}

#[test]
fn every_room_says_what_comes_in_what_goes_out_what_it_promises_and_what_is_not_here() {
    let mut broken = Vec::new();
    let is_door = |path: &Path| path.ends_with("mod.rs") && path.components().count() == 2 || path.components().count() == 1;
    for source in sources().iter().filter(|source| ROOMS.contains(&&*source.room()) && is_door(&source.path)) {
        let doc: Vec<&str> = source.text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
        for part in ["In:", "Out:", "Promises:", "Not here:"] {
            let said = doc.iter().filter_map(|line| line.strip_prefix(part)).any(|rest| !rest.trim().is_empty());
            if !said {
                broken.push(format!("src/{}: no line {part}", source.path.display()));
            }
        }
    }
    assert_none(&broken, "a room's doc says what comes in, what goes out, what it promises, what is not here");
}

// Nothing left lying about.

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(is_part) && !line[at + word.len()..].starts_with(is_part))
}

#[test]
fn nothing_is_left_for_later() {
    let mut broken = Vec::new();
    for source in &sources() {
        for (index, line) in source.text.lines().enumerate() {
            let words = ["TODO", "FIXME", "XXX", "todo!", "unimplemented!"]
                .into_iter()
                .filter(|word| if word.ends_with('!') { line.contains(word) } else { has_word(line, word) });
            broken.extend(words.map(|word| format!("src/{}:{}: {word}", source.path.display(), index + 1)));
        }
    }
    assert_none(&broken, "what is not done is not in the code");
}

#[test]
fn no_code_is_unsafe() {
    let sources = sources();
    let lines = sources.iter().flat_map(|source| source.code().map(move |(number, line)| (source, number, line)));
    let broken = lines.filter(|(_, _, line)| has_word(line, "unsafe")).map(|(source, number, _)| format!("src/{}:{number}", source.path.display()));
    assert_none(&broken.collect::<Vec<_>>(), "safe Rust only");
    assert!(fs::read_to_string(root().join("src/lib.rs")).expect("text").contains("#![forbid(unsafe_code)]"));
}

#[test]
fn only_the_command_line_speaks() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| !matches!(source.room().as_str(), "cli" | "main")) {
        let speaks = source.code().filter(|(_, line)| ["println!", "eprintln!", "print!", "eprint!", "dbg!"].iter().any(|name| has_word(line, name)));
        broken.extend(speaks.map(|(number, line)| format!("src/{}:{number}: {}", source.path.display(), line.trim())));
    }
    assert_none(&broken, "standard output and standard error belong to cli");
}

// The repository.

/// Names at the top that the repository holds; where git is absent, those in the folder.
fn top_level() -> Vec<String> {
    let listed = Command::new("git").arg("-C").arg(root()).args(["ls-files", "-z"]).output();
    let listed = listed.ok().filter(|output| output.status.success() && !output.stdout.is_empty());
    let mut names: Vec<String> = match listed {
        Some(output) => {
            let paths = String::from_utf8_lossy(&output.stdout).into_owned();
            paths.split('\0').filter_map(|path| path.split('/').next()).filter(|name| !name.is_empty()).map(String::from).collect()
        }
        None => common::names_in(root()).into_iter().filter(|name| !TOP_IGNORED.contains(&&**name)).collect(),
    };
    names.sort();
    names.dedup();
    names
}

#[test]
fn the_top_level_holds_nothing_else() {
    let others = top_level().into_iter().filter(|name| !name.starts_with('.') && !TOP.contains(&&**name));
    assert_none(&others.collect::<Vec<_>>(), "a new thing has a place below, not at the top");
}

#[test]
fn the_top_level_is_complete() {
    let missing = TOP.iter().chain(&[".ci"]).filter(|name| !root().join(name).exists());
    assert_none(&missing.map(|name| name.to_string()).collect::<Vec<_>>(), "these belong at the top");
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("text");
    assert!(!manifest.contains("[dependencies."), "a dependency is one line with its reason");
    let section = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1).take_while(|line| !line.starts_with('['));
    let lines = section.filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let silent = lines.filter(|line| line.split_once(" # ").is_none_or(|(_, why)| why.trim().is_empty()));
    assert_none(&silent.map(String::from).collect::<Vec<_>>(), "the line of a dependency ends with its reason");
}

/// `tamperscope schema` gives the page from its first table on.
#[test]
fn the_page_of_tables_is_what_the_binary_says() {
    let page = fs::read_to_string(root().join("docs/tables.md")).expect("docs/tables.md is there");
    let start = page.find("\n## ").expect("a table") + 1;
    assert!(page.starts_with("# ") && page[..start].lines().count() > 2, "the page begins with a title and says what it is");
    let says = run(tamperscope().arg("schema")).whole().out;
    if let Some((kept, now)) = page[start..].lines().zip(says.lines()).find(|(kept, now)| kept != now) {
        panic!("docs/tables.md is out of date; `tamperscope schema` says\n{now}\nwhere the page has\n{kept}");
    }
    assert_eq!(
        page[start..].lines().count(),
        says.lines().count(),
        "docs/tables.md is out of date: `tamperscope schema` has another number of lines"
    );
}
