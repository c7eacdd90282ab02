//! Who may import whom, read off the sources: the core stays pure, and nothing depends on the
//! command line.

use std::fs;
use std::path::{Path, PathBuf};

/// Module, and the modules of ours that it may name.
const RULES: [(&str, &[&str]); 13] = [
    ("docs", &["docs"]),
    ("core", &["core"]),
    ("audit", &["audit", "core"]),
    ("config", &["config", "audit", "core"]),
    ("source", &["source", "core"]),
    ("mirror", &["mirror", "audit", "core"]),
    ("gate", &["gate", "audit", "core", "mirror", "source"]),
    ("report", &["report", "audit", "core"]),
    ("run", &["run", "audit", "core", "mirror", "source"]),
    ("alerts", &["alerts", "audit", "core", "mirror", "report", "source"]),
    (
        "service",
        &["service", "alerts", "audit", "config", "core", "gate", "mirror", "report", "run", "source"],
    ),
    ("monitor", &["monitor", "audit", "core", "mirror", "report", "service", "source"]),
    (
        "cli",
        &[
            "cli", "audit", "config", "core", "docs", "gate", "mirror", "monitor", "report", "run",
            "service", "source",
        ],
    ),
];

/// What pure code has no use for: files, sockets, clocks, threads that outlive it, printing, SQL.
const IMPURE: [&str; 14] = [
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::thread",
    "fs::File",
    "SystemTime",
    "Instant",
    "println!",
    "eprintln!",
    "dbg!",
    "rusqlite",
    "reqwest",
    "fastrand",
];

pub fn sources(below: &str) -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(below)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
                _ => {}
            }
        }
    }
    // A module may also be one file beside its folder.
    let single = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/{below}.rs"));
    files.extend(single.is_file().then_some(single));
    files
}

/// The lines of code of a file with their numbers: without comments, and without its tests.
pub fn code(path: &Path) -> Vec<(usize, String)> {
    if path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests")) {
        return Vec::new();
    }
    let text = fs::read_to_string(path).unwrap();
    // Not where tests in a file of their own are declared.
    let tests = text
        .match_indices("#[cfg(test)]\nmod ")
        .find(|(at, _)| text[*at..].lines().nth(1).is_some_and(|declared| declared.ends_with('{')));
    let end = tests.map_or(text.len(), |(at, _)| at);
    let lines = text[..end].lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(n, line)| (n + 1, line.to_owned()))
        .collect()
}

/// Modules named after `crate::` or `countersign::`, also inside `crate::{a, b::c}`.
fn named(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for root in ["crate::", "countersign::"] {
        for (at, _) in line.match_indices(root) {
            let rest = &line[at + root.len()..];
            let names: Vec<&str> = match rest.strip_prefix('{') {
                Some(group) => top_level(group.split_once("};").map_or(group, |(group, _)| group)),
                None => vec![rest],
            };
            found.extend(names.iter().map(|name| first_word(name)).filter(|name| !name.is_empty()));
        }
    }
    found
}

pub fn first_word(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// The parts of a use group at its own level: `a, b::{c, d}` has two.
pub fn top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0i32, 0, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    parts
}

#[test]
fn modules_import_only_lower_layers() {
    let ours: Vec<&str> = RULES.iter().map(|(module, _)| *module).collect();
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for (module, allowed) in RULES {
        for path in sources(module) {
            for (number, line) in code(&path) {
                for name in named(&line).into_iter().filter(|name| ours.contains(&name.as_str())) {
                    checked += 1;
                    if !allowed.contains(&name.as_str()) {
                        wrong.push(format!("{}:{number}: {module} imports {name}", path.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 100, "only {checked} imports were seen: does the scan still read them?");
}

/// Paths that climb with `super::super` out of a module would hide what they name.
#[test]
fn no_path_leaves_its_module() {
    for (module, _) in RULES {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module);
        for path in sources(module) {
            let depth = path.strip_prefix(&root).map_or(0, |inside| inside.components().count());
            for (number, line) in code(&path) {
                let climbs = line.matches("super::super::").count() + usize::from(line.contains("super::"));
                assert!(climbs <= depth, "{}:{number}: {line}", path.display());
            }
        }
    }
}

#[test]
fn the_core_is_pure() {
    pure("core", &[]);
}

/// They are given what files say. An address to listen on is a value.
#[test]
fn settings_are_pure() {
    pure("config", &["std::net"]);
}

fn pure(module: &str, but: &[&str]) {
    for path in sources(module) {
        for (number, line) in code(&path) {
            for impure in IMPURE.iter().filter(|word| !but.contains(word)) {
                assert!(!line.contains(*impure), "{}:{number}: {impure} in: {line}", path.display());
            }
        }
    }
}

/// The gate's journal is the other database; the rest of the gate has no SQL.
#[test]
fn all_sql_is_in_the_mirror_and_all_http_in_the_source() {
    let journal = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gate/journal");
    assert!(journal.is_dir());
    for (module, word) in
        RULES.iter().flat_map(|(module, _)| [(*module, "rusqlite::"), (*module, "reqwest::")])
    {
        if [("mirror", "rusqlite::"), ("source", "reqwest::")].contains(&(module, word)) {
            continue;
        }
        for path in sources(module) {
            if word == "rusqlite::" && path.starts_with(&journal) {
                continue;
            }
            let hit = code(&path).into_iter().find(|(_, line)| line.contains(word));
            assert!(hit.is_none(), "{}: {hit:?}", path.display());
        }
    }
}

/// What the gate decides by is pure.
#[test]
fn decisions_of_the_gate_are_pure() {
    for file in ["judge", "reason", "request", "row", "step", "wire"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/gate/{file}.rs"));
        for (number, line) in code(&path) {
            let found = IMPURE.iter().find(|impure| line.contains(*impure));
            assert!(found.is_none(), "{file}.rs:{number}: {line}");
        }
    }
}

/// Settings and services are for programs that have no arguments, or others.
#[test]
fn only_the_command_line_parses_arguments() {
    for (module, _) in RULES.iter().filter(|(module, _)| *module != "cli") {
        for path in sources(module) {
            let hit = code(&path).into_iter().find(|(_, line)| line.contains("clap"));
            assert!(hit.is_none(), "{}: {hit:?}", path.display());
        }
    }
}

#[test]
fn only_main_imports_the_command_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs");
    assert!(fs::read_to_string(root).unwrap().contains("cli::main"));
    for (module, _) in RULES.iter().filter(|(module, _)| *module != "cli") {
        for path in sources(module) {
            let hit = code(&path).into_iter().find(|(_, line)| line.contains("cli::"));
            assert!(hit.is_none(), "{}: {hit:?}", path.display());
        }
    }
}

#[test]
fn the_scan_is_complete() {
    assert_eq!(named("use crate::core::hash::Hash;"), ["core"]);
    assert_eq!(named("use crate::{audit::tally, cli::{a, b}, core};"), ["audit", "cli", "core"]);
    assert_eq!(named("let x = crate::run::go(crate::mirror::Mirror);"), ["run", "mirror"]);
}
