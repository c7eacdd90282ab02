//! No two files need each other, read off the sources.
//!
//! A file imports another where a `use`, or a path in its code, names that file's module or what is in it. A name is
//! followed through the `use` of the module that it is looked for in: who takes from a `mod.rs` what that only passes on
//! imports the file where it is, and not the `mod.rs`. To declare a module (`mod a;`) or to pass something on (`pub use`)
//! is no import. Methods are not seen: a type may have them in several files. Tests do not count.

use crate::imports::{code, first_word, sources, top_level};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A module, or what is in one: `["core", "hash", "Hash"]`.
type Name = Vec<String>;

/// What one file names.
#[derive(Default)]
struct Named {
    /// Names that a `use` brings into it, and what they stand for.
    brought: BTreeMap<String, Name>,
    /// What it imports.
    imported: Vec<Name>,
}

/// The parts of what stands behind `use`: `a::{b, c::d as e}` gives `a::b` and `a::c::d as e`.
fn expanded(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((before, group)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let group = group.rsplit_once('}').map_or(group, |(group, _)| group);
    let parts = top_level(group).into_iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(expanded).map(|part| format!("{before}{part}")).collect()
}

/// The code of a file as its `use` statements, each with whether it passes on, and the rest.
fn taken_apart(text: &str) -> (Vec<(bool, String)>, String) {
    let (mut uses, mut rest, mut open) = (Vec::new(), String::new(), None::<(bool, String)>);
    for line in text.lines() {
        let start = line.trim_start();
        let visible = start.strip_prefix("pub").and_then(|rest| {
            let inside = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
            inside.map_or(rest, |(_, rest)| rest).trim_start().strip_prefix("use ")
        });
        match (
            &mut open,
            start.strip_prefix("use ").map(|tree| (false, tree)).or(visible.map(|tree| (true, tree))),
        ) {
            (Some((_, tree)), _) => tree.push_str(start),
            (None, Some((passes_on, tree))) => open = Some((passes_on, tree.to_owned())),
            (None, None) => rest.push_str(&format!("{line}\n")),
        }
        if open.as_ref().is_some_and(|(_, tree)| tree.trim_end().ends_with(';')) {
            uses.extend(open.take());
        }
    }
    (uses, rest)
}

/// Paths of two parts or more in code.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        let behind = rest[..start].chars().next_back();
        let (mut path, mut at) = (vec![first_word(&rest[start..])], start);
        at += path[0].len();
        while let Some(next) = rest[at..].strip_prefix("::") {
            let word = first_word_at(next);
            if word.is_empty() {
                break;
            }
            at += 2 + word.len();
            path.push(word);
        }
        let inside = behind.is_some_and(|c| c == ':' || c.is_ascii_alphanumeric());
        if path.len() > 1 && !inside {
            found.push(path);
        }
        rest = &rest[at..];
    }
    found
}

fn first_word_at(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// All files below `src`, by their modules.
fn modules() -> BTreeMap<Name, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let inside = sources("").into_iter().map(|path| path.strip_prefix(&root).unwrap().to_owned());
    let ours = inside.filter(|path| !path.starts_with("bin") && path.file_stem().unwrap() != "main");
    ours.map(|path| {
        let name = path.with_extension("");
        let mut parts: Name = name.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if parts.last().is_some_and(|last| ["mod", "lib"].contains(&last.as_str())) {
            parts.pop();
        }
        (parts, path.to_str().unwrap().to_owned())
    })
    .collect()
}

/// A path in the file of `module` from the root of the crate on; `None` where it is nothing of ours.
fn from_root(module: &[String], path: &[String], all: &BTreeMap<Name, String>) -> Option<Name> {
    let (first, rest) = path.split_first()?;
    let mut base = module.to_vec();
    match first.as_str() {
        "crate" => return Some(rest.to_vec()),
        "self" => {}
        "super" => {
            base.pop()?;
            let mut rest = rest;
            while rest.first().is_some_and(|part| part == "super") {
                base.pop()?;
                rest = &rest[1..];
            }
            return Some([base, rest.to_vec()].concat());
        }
        _ => {
            base.push(first.clone());
            if !all.contains_key(&base) {
                return None;
            }
        }
    }
    Some([base, rest.to_vec()].concat())
}

fn names(module: &[String], text: &str, all: &BTreeMap<Name, String>) -> Named {
    let mut named = Named::default();
    let (uses, rest) = taken_apart(text);
    for (passes_on, tree) in uses {
        for part in expanded(tree.trim_end().trim_end_matches(';')) {
            let (path, alias) =
                part.split_once(" as ").map_or((part.as_str(), None), |(path, alias)| (path, Some(alias)));
            let path: Name = path
                .split("::")
                .map(|part| part.trim().to_owned())
                .filter(|part| part != "self" || path.starts_with("self"))
                .collect();
            let Some(name) = from_root(module, &path, all) else { continue };
            let called = alias.map(str::trim).or(name.last().map(String::as_str)).unwrap_or_default();
            named.brought.insert(called.to_owned(), name.clone());
            if !passes_on {
                named.imported.push(name);
            }
        }
    }
    named.imported.extend(paths(&rest).iter().filter_map(|path| from_root(module, path, all)));
    named
}

/// The module of the file in which a name is.
fn home(
    name: &[String],
    all: &BTreeMap<Name, String>,
    named: &BTreeMap<Name, Named>,
    depth: usize,
) -> Option<Name> {
    let length = (0..=name.len()).rev().find(|length| all.contains_key(&name[..*length]))?;
    let module = name[..length].to_vec();
    let Some(item) = name.get(length) else { return Some(module) };
    match named[&module].brought.get(item) {
        Some(brought) if depth > 0 => {
            home(&[brought.clone(), name[length + 1..].to_vec()].concat(), all, named, depth - 1)
        }
        _ => Some(module),
    }
}

/// Which file imports which.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let all = modules();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let text = |file: &String| -> String {
        code(&root.join(file)).into_iter().map(|(_, line)| format!("{line}\n")).collect()
    };
    let named: BTreeMap<Name, Named> =
        all.iter().map(|(module, file)| (module.clone(), names(module, &text(file), &all))).collect();
    let imports = named.iter().map(|(module, file)| {
        let homes = file.imported.iter().filter_map(|name| home(name, &all, &named, 8));
        let others = homes.filter(|home| home != module).map(|home| all[&home].clone());
        (all[module].clone(), others.collect())
    });
    imports.collect()
}

/// What can be reached from a file.
fn reached(from: &str, imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(file) = next.pop() {
        next.extend(imports[&file].iter().filter(|other| seen.insert((*other).clone())).cloned());
    }
    seen
}

/// Groups of files of which each is reached from each.
fn cycles(imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<Vec<String>> {
    let reach: BTreeMap<&String, BTreeSet<String>> =
        imports.keys().map(|file| (file, reached(file, imports))).collect();
    let in_one = reach.iter().filter(|(file, reached)| reached.contains(**file));
    in_one
        .map(|(file, reached)| reached.iter().filter(|other| reach[other].contains(*file)).cloned().collect())
        .collect()
}

#[test]
fn no_two_files_import_each_other() {
    let imports = imports();
    let found = cycles(&imports);
    assert!(found.is_empty(), "these files need each other: {found:#?}");
    let count: usize = imports.values().map(BTreeSet::len).sum();
    assert!(count > 1000, "only {count} imports were seen: does the scan still read them?");
}

#[test]
fn the_scan_of_names_is_complete() {
    assert_eq!(expanded("a::{b, c::{d, self}, e as f}"), ["a::b", "a::c::d", "a::c::self", "a::e as f"]);
    let (uses, rest) = taken_apart("use a::{\n    b,\n    c,\n};\npub(crate) use d::E;\nfn f() { g::h() }\n");
    assert_eq!(uses, [(false, "a::{b,c,};".to_owned()), (true, "d::E;".to_owned())]);
    assert_eq!(paths(&rest), [["g", "h"]]);
    assert_eq!(paths("x.y::<Z>(); <A as B>::c(); crate::d::E::f(super::g::h)").len(), 2);
    let imports = |edges: &[(&str, &[&str])]| -> BTreeMap<String, BTreeSet<String>> {
        edges
            .iter()
            .map(|(from, to)| ((*from).to_owned(), to.iter().map(|to| (*to).to_owned()).collect()))
            .collect()
    };
    assert!(cycles(&imports(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])).is_empty());
    let found = cycles(&imports(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &["d"])]));
    assert_eq!(found, BTreeSet::from([vec!["b".to_owned(), "c".to_owned()], vec!["d".to_owned()]]));
}
