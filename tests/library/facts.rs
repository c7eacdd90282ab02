//! Facts travel as types: a check, a finding code and what a finding is about are spelled in one table each, and nothing
//! else in the sources spells them or parses them.

use countersign::core::check::Check;
use countersign::core::finding::Code;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The tables.
const TABLES: [&str; 2] = ["core/check.rs", "core/finding.rs"];

/// Words that are the name of a check or a code, and mean something else there: file, literals, what they are.
const OTHER_MEANINGS: [(&str, &[&str], &str); 19] = [
    ("alerts/smtp.rs", &["id", "origin"], "lines of a mail"),
    ("audit/subject.rs", &["inclusion"], "what the log was asked for"),
    ("audit/watch_list.rs", &["key"], "a word in a sentence"),
    ("cli/config_check.rs", &["approver", "id"], "keys of the config"),
    ("cli/gate/args.rs", &["key"], "an option"),
    ("cli/gate/journal.rs", &["action", "id"], "names of what a row has"),
    ("config/gate.rs", &["journal"], "what is in a file"),
    ("config/journal.rs", &["journal"], "what is in a file"),
    ("config/watch.rs", &["approver", "decision", "id", "key", "rp-id"], "keys of the config"),
    ("core/api.rs", &["checkpoint", "reveal"], "members of an answer"),
    ("core/head.rs", &["checkpoint", "sth"], "the formats of a head"),
    ("core/webauthn/assertion.rs", &["signature"], "a part of an assertion"),
    ("core/webauthn/client_data.rs", &["challenge", "origin"], "members of the client data"),
    ("docs/mod.rs", &["peers"], "a page of the guide"),
    ("gate/wire.rs", &["id"], "a member of an answer"),
    ("mirror/heads/find.rs", &["root"], "a column"),
    ("mirror/seal/table.rs", &["key", "peers", "sth"], "a column, a table, a format in it"),
    ("source/changes.rs", &["checkpoint", "reveal", "sth"], "names of files"),
    ("source/tiled.rs", &["checkpoint", "sth"], "names of files"),
];

/// How text is taken apart that was put together from facts.
const PARSES: [&str; 6] = [
    "subject.split",
    "subject.rsplit",
    "subject.strip_",
    "subject.starts_with",
    "subject.as_str",
    "source.starts_with",
];

fn files(extension: &str) -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() && !path.ends_with("countersign-testlog") {
                folders.push(path);
            } else if path.extension().is_some_and(|of| of == extension) {
                files.push(path);
            }
        }
    }
    files
}

/// The sources without their tests, by their path under `src`.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let named = files("rs").into_iter().map(|path| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    let code = named.filter(|(name, _)| !name.ends_with("tests.rs"));
    code.map(|(name, text)| {
        let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        (name, text[..end].to_owned())
    })
    .collect()
}

/// The string literals of a source, as they are written between their quotation marks.
fn literals(source: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), source);
    while let Some(first) = rest.chars().next() {
        let end_of = |end: &str| rest.find(end).map_or(rest.len(), |at| at + end.len());
        let raw = ["r##\"", "r#\"", "r\"", "br\"", "br#\""].into_iter().find(|open| rest.starts_with(open));
        let skip = match first {
            '/' if rest.starts_with("//") => end_of("\n"),
            // A character that is a quotation mark or an escape.
            '\'' if rest.starts_with("'\"'") => 3,
            '\'' if rest.starts_with("'\\") => 3,
            '"' => {
                let mut escaped = false;
                let end = rest[1..].find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                let end = end.expect("a literal ends") + 1;
                found.push(rest[1..end].to_owned());
                end + 1
            }
            _ if raw.is_some() => {
                let open = raw.unwrap();
                let close = format!("\"{}", "#".repeat(open.matches('#').count()));
                let length = rest[open.len()..].find(&close).expect("a raw literal ends");
                found.push(rest[open.len()..open.len() + length].to_owned());
                open.len() + length + close.len()
            }
            // All of a word at once, so that its last letter opens no raw literal.
            _ if first.is_alphanumeric() => rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len()),
            other => other.len_utf8(),
        };
        rest = &rest[skip..];
    }
    found
}

fn names() -> BTreeSet<&'static str> {
    let checks = Check::ALL.iter().map(|check| check.as_str());
    checks.chain(Code::ALL.iter().map(|code| code.as_str())).collect()
}

#[test]
fn checks_and_codes_are_spelled_only_in_their_tables() {
    let names = names();
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for (file, source) in sources() {
        for literal in literals(&source).into_iter().filter(|literal| names.contains(literal.as_str())) {
            let means_else =
                |(of, words, _): &(&str, &[&str], &str)| *of == file && words.contains(&literal.as_str());
            if !TABLES.contains(&file.as_str()) && !OTHER_MEANINGS.iter().any(means_else) {
                wrong.push(format!("{file}: {literal:?}"));
            }
            seen.insert((file.clone(), literal));
        }
    }
    assert!(wrong.is_empty(), "use Check or Code, or say what else it means:\n{}", wrong.join("\n"));
    assert!(
        seen.len() >= names.len(),
        "{} names were seen: does the scan still read the tables?",
        seen.len()
    );
    for (file, words, _) in OTHER_MEANINGS {
        let is_seen = |word: &&str| seen.contains(&(file.to_owned(), (*word).to_owned()));
        assert!(words.iter().all(is_seen), "{file}: not all of {words:?} are there any more");
    }
}

#[test]
fn no_sql_spells_a_code() {
    let mut texts = Vec::new();
    for (file, source) in sources() {
        texts.extend(literals(&source).into_iter().map(|literal| (file.clone(), literal)));
    }
    texts.extend(files("sql").into_iter().map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path.display().to_string(), text)
    }));
    let is_sql = |text: &str| {
        ["SELECT ", "UPDATE ", "DELETE ", "INSERT ", "WHERE ", "CREATE ", " IN ("]
            .iter()
            .any(|word| text.contains(word))
    };
    assert!(texts.iter().filter(|(_, text)| is_sql(text)).count() > 50, "is the SQL still seen?");
    for (file, text) in texts.iter().filter(|(_, text)| is_sql(text)) {
        let spelled = Code::ALL.iter().find(|code| text.contains(&format!("'{code}'")));
        assert!(spelled.is_none(), "{file}: {spelled:?} in SQL: {text}");
    }
}

#[test]
fn formatted_text_is_not_parsed() {
    for (file, source) in sources() {
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let parsed = PARSES.iter().find(|parse| line.contains(**parse));
            assert!(parsed.is_none(), "{file}: {line}");
        }
    }
}

#[test]
fn the_scan_is_complete() {
    let source = "let a = \"gap\"; // \"root\"\nlet b = '\"'; f(\"a\\\"b\", r#\"x\"y\"#, '\\'', \"\"); for x in \"c\" {}";
    assert_eq!(literals(source), ["gap", "a\\\"b", "x\"y", "", "c"]);
}
