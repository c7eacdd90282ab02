//! The README and the guide: every command in them runs, every config, query and example can be used, and every link
//! leads somewhere.
#![cfg(unix)] // The commands are for a shell.

mod folder;
mod page;

use countersign::core::finding::Code;
use countersign::docs::PAGES;
use folder::Folder;
use page::{Block, Document, root, target};
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use support::cli::{Outcome, program, run};

/// Programs that a machine may lack.
const OPTIONAL: [&str; 4] = ["sqlite3", "curl", "node", "python3"];

/// What a comment above a block can be. `ci` is read by `.ci/run`, `try` by `tests/receipts/integrations.rs`.
const MARKERS: [&str; 7] = ["exit", "background", "not run", "file", "no rows", "ci", "try"];

fn is_installed(program: &str) -> bool {
    Command::new("which").arg(program).output().is_ok_and(|found| found.status.success())
}

/// The programs that a block needs and that are not there.
fn missing(block: &Block) -> Vec<&'static str> {
    let has = |program: &str| {
        block.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == program)
    };
    OPTIONAL.into_iter().filter(|program| has(program) && !is_installed(program)).collect()
}

/// Runs the blocks of a document in their order, in a folder of their own.
fn run_commands(name: &str) {
    let document = Document::read(name);
    let mut folder = Folder::new(&document.text);
    for block in document.blocks() {
        if let Some(file) = block.marker("file") {
            folder.write(file, &block.text);
        }
        if block.language != "sh" || block.marker("not run").is_some() {
            continue;
        }
        let missing = missing(&block);
        if !missing.is_empty() {
            println!("SKIPPED: {} and what follows it: {missing:?} not installed", block.place);
            return;
        }
        if block.marker("background").is_some() {
            folder.run_in_background(&block);
            continue;
        }
        let ended = folder.run(&block);
        assert_eq!(ended.exit, Some(block.exit()), "{}:\n{}\n{}", block.place, block.text, ended.output);
        assert!(!ended.output.contains("panicked"), "{}: {}", block.place, ended.output);
    }
}

macro_rules! documents {
    ($($test:ident $name:literal,)*) => {
        const TESTED: &[&str] = &[$($name),*];
        $(#[test] fn $test() { run_commands($name); })*
    };
}

documents! {
    commands_of_the_readme_run "README.md",
    commands_of_gate_run "src/docs/gate.md",
    commands_of_audit_run "src/docs/audit.md",
    commands_of_trust_run "src/docs/trust.md",
    commands_of_http_run "src/docs/http.md",
    commands_of_monitor_run "src/docs/monitor.md",
    commands_of_alerts_run "src/docs/alerts.md",
    commands_of_watch_rules_run "src/docs/watch-rules.md",
    commands_of_peers_run "src/docs/peers.md",
    commands_of_evidence_run "src/docs/evidence.md",
    commands_of_metrics_run "src/docs/metrics.md",
    commands_of_sql_run "src/docs/sql.md",
    commands_of_performance_run "src/docs/performance.md",
    commands_of_testing_run "src/docs/testing.md",
    commands_of_library_run "src/docs/library.md",
    commands_of_glossary_run "src/docs/glossary.md",
    commands_of_contributing_run "src/docs/contributing.md",
    commands_of_security_run "src/docs/security.md",
}

/// Nothing can be left out quietly: every document is run, every block is of a kind that is looked at.
#[test]
fn every_document_and_block_is_tested() {
    let documents = Document::all();
    let names: Vec<&str> = documents.iter().map(|document| document.name.as_str()).collect();
    assert_eq!(names, TESTED);
    let on_disk: BTreeSet<String> = fs::read_dir(root().join("src/docs"))
        .unwrap()
        .map(|entry| format!("src/docs/{}", entry.unwrap().file_name().to_string_lossy()))
        .filter(|name| name.ends_with(".md") && name != "src/docs/rustdoc-links.md")
        .collect();
    assert_eq!(on_disk, names.iter().skip(1).map(|name| (*name).to_owned()).collect());
    let (mut run, mut not_run) = (0, 0);
    for block in documents.iter().flat_map(Document::blocks) {
        let known = ["sh", "toml", "sql", "json", "rust", "python", "js", "nginx", "cron", "text"];
        assert!(known.contains(&block.language.as_str()), "{}: {:?}", block.place, block.language);
        for marker in block.marker_names() {
            assert!(MARKERS.contains(&marker), "{}: no comment is called {marker:?}", block.place);
        }
        if block.language == "sh" {
            let reason = block.marker("not run");
            assert!(reason.is_none_or(|reason| reason.len() >= 10), "{}: why is it not run?", block.place);
            *(if reason.is_some() { &mut not_run } else { &mut run }) += 1;
        }
    }
    assert!(run >= 37 && not_run <= 15, "{run} are run, {not_run} are not");
}

/// Asks for help with the options of a command, which shows that each of them is there.
fn parses(place: &str, typed: &str) -> bool {
    // What follows the command: a comment, another one, where the output goes.
    let end = ["#", "&&", "||", "|", ">", "<"];
    let mut words = typed.split_whitespace().take_while(|word| !end.contains(word));
    let mut command = match words.next() {
        Some("countersign") => program(),
        Some("countersign-testlog") => Command::new(env!("CARGO_BIN_EXE_countersign-testlog")),
        _ => return false,
    };
    command.args(words.map(|word| word.trim_matches(['\'', '"']))).arg("--help");
    let Outcome { exit, stderr, .. } = run(command);
    assert_eq!(exit, 0, "{place}: {typed}: {stderr}");
    true
}

/// Whether there is such a test program, and in it a module where one is named, as in `--test audit lag::`.
fn is_test(program: &str, filter: Option<&str>) -> bool {
    let folder = root().join("tests").join(program);
    let module = filter.and_then(|filter| filter.strip_suffix("::"));
    folder.join("main.rs").is_file()
        && module.is_none_or(|module| folder.join(format!("{module}.rs")).is_file())
}

/// What cannot be run here names commands, files, tests and benches that there are.
#[test]
fn unrun_commands_name_existing_targets() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (mut commands, mut files, mut cargo) = (0, 0, 0);
    for block in Document::all().iter().flat_map(Document::blocks) {
        if block.marker("not run").is_none() {
            continue;
        }
        for line in block.text.lines() {
            let line = line.strip_prefix("sudo ").unwrap_or(line);
            let line = line.strip_prefix("-u countersign ").unwrap_or(line);
            commands += usize::from(parses(&block.place, line));
            let words: Vec<&str> = line.split_whitespace().collect();
            for word in &words {
                if ["fixtures/", "tests/", "src/"].iter().any(|folder| word.starts_with(folder)) {
                    assert!(root().join(word).exists(), "{}: {word}", block.place);
                    files += 1;
                }
            }
            for (place, pair) in words.windows(2).enumerate() {
                let is_there = match *pair {
                    ["--test", name] => is_test(name, words.get(place + 2).copied()),
                    ["--bench", name] => manifest.contains(&format!("[[bench]]\nname = \"{name}\"")),
                    _ => continue,
                };
                assert!(is_there, "{}: {pair:?}", block.place);
                cargo += 1;
            }
        }
    }
    assert!(
        commands >= 3 && files >= 3 && cargo >= 6,
        "{commands} commands, {files} files, {cargo} of cargo"
    );
}

/// Commands and options in prose exist.
#[test]
fn commands_in_prose_have_their_options() {
    let mut seen = 0;
    for document in Document::all() {
        for span in document.spans() {
            seen += usize::from(parses(&document.name, &span));
            if let Some(named) = span.strip_prefix("cargo test --test ") {
                let mut words = named.split_whitespace();
                let is_there = words.next().is_some_and(|name| is_test(name, words.next()));
                assert!(is_there, "{}: {span}", document.name);
            }
        }
    }
    assert!(seen >= 12, "{seen}");
}

/// An option that is named alone is one of some command's.
#[test]
fn options_in_prose_exist() {
    let folder = tempfile::tempdir().unwrap();
    let mut man = program();
    man.arg("man").arg(folder.path());
    assert_eq!(run(man).exit, 0);
    let mut helps = String::new();
    for page in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if page.extension().is_some_and(|extension| extension == "1") {
            helps.push_str(&fs::read_to_string(page).unwrap().replace("\\-", "-"));
        }
    }
    for command in ["build", "serve", "lies"] {
        let mut testlog = Command::new(env!("CARGO_BIN_EXE_countersign-testlog"));
        helps.push_str(&run_with_help(testlog.arg(command)));
    }
    let is_of_a_name = |c: char| c.is_ascii_lowercase() || c == '-';
    let known: BTreeSet<&str> =
        helps.split(|c| !is_of_a_name(c)).filter(|word| word.starts_with("--")).collect();
    let mut seen = 0;
    for document in Document::all() {
        for span in document.spans().iter().filter(|span| span.starts_with("--")) {
            let option = span.split(|c| !is_of_a_name(c)).next().unwrap();
            assert!(known.contains(option), "{}: {span}", document.name);
            seen += 1;
        }
    }
    assert!(seen >= 80, "{seen}");
}

fn run_with_help(command: &mut Command) -> String {
    let output = command.arg("--help").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every config is taken by the program, with a log around it where it is only a part of one.
#[test]
fn configs_are_accepted() {
    let mut seen = 0;
    for document in Document::all() {
        let folder = Folder::new(&document.text);
        for block in document.blocks().iter().filter(|block| block.language == "toml") {
            let text = folder.with_stand_ins(&block.text);
            let given: toml::Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", block.place));
            let mut whole = String::new();
            if !given.contains_key("log") || !given["log"].is_array() {
                let demo = root().join("fixtures/demo");
                let trust = fs::read_to_string(demo.join("trust.toml")).unwrap();
                let around: toml::Table =
                    format!("log = {demo:?}\ndb = {:?}\n{trust}", folder.path().join("a.db"))
                        .parse()
                        .unwrap();
                for (key, value) in around.iter().filter(|(key, _)| !given.contains_key(*key)) {
                    whole.push_str(&format!("{key} = {value}\n"));
                }
            }
            whole.push_str(&text);
            let path = folder.path().join("checked.toml");
            fs::write(&path, &whole).unwrap();
            let mut command = program();
            command.args(["config", "check", "--config"]).arg(&path);
            let outcome = run(command);
            assert_eq!(outcome.exit, 0, "{}: {outcome:#?}\n{whole}", block.place);
            seen += 1;
        }
    }
    assert!(seen >= 7, "{seen}");
}

/// Every query answers something over a mirror of the demo log.
#[test]
fn queries_return_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (demo, db) = (root().join("fixtures/demo"), folder.path().join("approvals.db"));
    let mut command = program();
    command.args(["audit", "--init", "--log"]).arg(&demo).arg("--db").arg(&db);
    assert_eq!(run_with(command, &demo.join("trust.toml")).exit, 0);
    let mirror = Connection::open_with_flags(&db, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut seen = 0;
    for block in Document::all().iter().flat_map(Document::blocks).filter(|block| block.language == "sql") {
        let mut query =
            mirror.prepare(&block.text).unwrap_or_else(|error| panic!("{}: {error}", block.place));
        let mut rows = query.query([]).unwrap();
        let has_rows = rows.next().unwrap_or_else(|error| panic!("{}: {error}", block.place)).is_some();
        assert_eq!(has_rows, block.marker("no rows").is_none(), "{}", block.place);
        seen += 1;
    }
    assert!(seen >= 7, "{seen}");
}

fn run_with(mut command: Command, config: &std::path::Path) -> Outcome {
    command.arg("--config").arg(config);
    run(command)
}

/// JSON is JSON, Python is Python, JavaScript is JavaScript. Rust blocks are doc tests.
#[test]
fn examples_in_other_languages_parse() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for block in Document::all().iter().flat_map(Document::blocks) {
        match block.language.as_str() {
            "json" => drop(serde_json::from_str::<serde_json::Value>(&block.text).unwrap()),
            "cron" => {
                let (_, line) = block.text.split_once("/countersign ").unwrap();
                assert!(parses(&block.place, &format!("countersign {line}")));
            }
            "python" if is_installed("python3") => {
                let read = "import ast, sys; ast.parse(sys.argv[1])";
                let parsed = Command::new("python3").args(["-c", read, &block.text]).output().unwrap();
                assert!(parsed.status.success(), "{}: {parsed:?}", block.place);
            }
            "js" if is_installed("node") => {
                let module = folder.path().join("example.mjs");
                fs::write(&module, &block.text).unwrap();
                let parsed = Command::new("node").arg("--check").arg(&module).output().unwrap();
                assert!(parsed.status.success(), "{}: {parsed:?}", block.place);
            }
            _ => continue,
        }
        seen += 1;
    }
    assert!(seen >= 1, "{seen}");
}

/// What a label is in a page's own definitions, and in those for rustdoc.
fn definitions_of(label: &str) -> (String, String) {
    let (name, anchor) =
        label.split_once('#').map_or((label, String::new()), |(name, anchor)| (name, format!("#{anchor}")));
    if PAGES.iter().any(|page| page.name == name) {
        return (format!("{name}.md{anchor}"), format!("crate::docs::{}{anchor}", name.replace('-', "_")));
    }
    // A page is at target/doc/countersign/docs/PAGE/index.html.
    let from_page = match name.strip_prefix("src/") {
        Some(below) => format!("../{below}"),
        None => format!("../../{name}"),
    };
    (from_page, format!("../../../../../{name}"))
}

/// Pages link by labels, and each label is defined for the web and for rustdoc, to the same place.
#[test]
fn every_link_resolves() {
    let documents = Document::all();
    let rustdoc = Document::read("src/docs/rustdoc-links.md").definitions();
    let (mut used, mut followed) = (BTreeSet::new(), 0);
    for document in &documents {
        let mut links = document.inline_links();
        if document.name == "README.md" {
            assert!(document.labels().is_empty(), "README.md links inline");
        } else {
            assert!(links.is_empty(), "{}: write [text][label]: {links:?}", document.name);
            let definitions = document.definitions();
            assert_eq!(document.labels(), definitions.keys().cloned().collect(), "{}", document.name);
            for (label, target) in definitions {
                let (of_page, of_rustdoc) = definitions_of(&label);
                assert_eq!(target, of_page, "{}: {label}", document.name);
                assert_eq!(rustdoc.get(&label), Some(&of_rustdoc), "{label} in rustdoc-links.md");
                used.insert(label);
                links.push(target);
            }
        }
        for link in links {
            if link.starts_with("https://") {
                continue;
            }
            let (path, anchor) = target(&document.name, &link);
            assert!(root().join(&path).exists(), "{}: {link}", document.name);
            if let Some(anchor) = anchor {
                let anchors = Document::read(path.to_str().unwrap()).anchors();
                assert!(anchors.contains(&anchor), "{}: {link}: {anchors:?}", document.name);
            }
            followed += 1;
        }
        let words = document.words();
        for bare in ["http://", "www."] {
            assert!(!words.contains(bare), "{}: a link without https", document.name);
        }
        let bare = words.replace("<https://", "").replace("](https://", "");
        assert!(!bare.contains("https://"), "{}: a link that cannot be followed", document.name);
    }
    assert_eq!(used, rustdoc.keys().cloned().collect(), "rustdoc-links.md has what no page uses");
    assert!(followed >= 80, "{followed}");
}

/// For somebody who has two minutes.
#[test]
fn the_readme_is_short_and_links_every_page() {
    let readme = Document::read("README.md");
    let lines = readme.text.lines().count();
    assert!(lines <= 180, "{lines} lines");
    let (_, next) = readme.text.split_once("## Where to go next").unwrap();
    for page in PAGES {
        assert!(next.contains(&format!("[{}](src/docs/{}.md)", page.name, page.name)), "{}", page.name);
    }
}

/// What is proved, and what is not, says the README in the same words as the page.
#[test]
fn the_lists_of_what_is_proved_agree() {
    let claims = |name: &str| {
        let text = Document::read(name).text;
        let (_, section) = text.split_once("## What it proves, and what it does not\n").unwrap();
        let section = section.split("\n## ").next().unwrap();
        // Without where links lead: one goes by path and the other by label.
        let mut plain = String::new();
        let mut rest = section;
        while let Some((before, link)) = rest.split_once('[') {
            let (text, after) = link.split_once(']').unwrap();
            plain.push_str(before);
            plain.push_str(text);
            rest = after.split_once([')', ']']).unwrap().1;
        }
        plain.push_str(rest);
        plain.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(claims("README.md"), claims("src/docs/audit.md"));
    assert!(claims("README.md").len() > 150);
}

/// The exit codes of the README are those of the page, code by code, and then those of a gate.
#[test]
fn the_lists_of_exit_codes_agree() {
    let rows = |name: &str| -> Vec<String> {
        let text = Document::read(name).text;
        let (_, section) = text.split_once("## Exit codes\n").unwrap();
        let rows = section.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| "));
        rows.map(|row| row.split(" | ").take(2).collect::<Vec<_>>().join(" | ")).collect()
    };
    let expected = ["| code | verdict", "| 0 | `clean`", "| 1 | `invalid`", "| 2 | –", "| 3 | `incomplete`"];
    let expected = [&expected[..], &["| 4 | `violation`", "| 5 | `local-fault`"]].concat();
    assert_eq!(rows("README.md"), [&expected[..], &["| 125, 126, 127 | –"]].concat());
    assert_eq!(rows("src/docs/audit.md"), expected);
}

/// Whoever reads a code in a report finds it in the specification, and in the table of what to do.
#[test]
fn every_finding_code_is_explained() {
    let (format, alerts) =
        (Document::read("src/approval-log-v1.md").text, Document::read("src/docs/alerts.md").text);
    for code in Code::ALL {
        for text in [&format, &alerts] {
            assert!(text.contains(&format!("`{code}`")), "{code}");
        }
    }
}

/// Entries are in alphabetical order.
#[test]
fn the_glossary_is_alphabetical() {
    let glossary = Document::read("src/docs/glossary.md").text;
    let rows = glossary.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let words: Vec<String> = rows.skip(1).map(str::to_lowercase).collect();
    let mut sorted = words.clone();
    sorted.sort();
    assert_eq!(words, sorted);
    assert!(words.len() >= 40);
}

/// `countersign help`: commands, topics, both, neither.
#[test]
fn help_shows_commands_and_topics() {
    let help = |words: &[&str]| {
        let mut command = program();
        command.arg("help").args(words);
        run(command)
    };
    let all = help(&[]);
    assert_eq!((all.exit, all.stderr.as_str()), (0, ""));
    assert!(all.stdout.contains("Commands:\n") && all.stdout.contains("Topics"), "{}", all.stdout);
    for page in PAGES {
        assert!(
            all.stdout.contains(&format!("  {}  ", page.name))
                || all.stdout.contains(&format!("  {} ", page.name))
        );
        let shown = help(&[page.name]);
        assert_eq!((shown.exit, shown.stderr.as_str()), (0, ""), "{}", page.name);
        let title = page.text.lines().next().unwrap().trim_start_matches("# ").to_uppercase();
        assert!(shown.stdout.contains(&format!("{title}\n")), "{}: {}", page.name, shown.stdout);
        let is_command = all.stdout.lines().any(|line| {
            line.split_whitespace().next() == Some(page.name)
                && all.stdout.find(line) < all.stdout.find("Topics")
        });
        assert_eq!(shown.stdout.contains("Usage: countersign"), is_command, "{}", page.name);
    }
    let both = help(&["audit"]).stdout;
    assert!(both.find("Usage: countersign audit").unwrap() < both.find("AUDIT A LOG\n").unwrap());
    let nested = help(&["mirror", "check"]);
    assert!(nested.exit == 0 && nested.stdout.contains("Usage: countersign mirror check"), "{nested:#?}");
    for words in [&["nope"][..], &["mirror", "nope"], &["peers", "nope"], &[""], &["au\u{1b}dit"]] {
        let wrong = help(words);
        assert_eq!((wrong.exit, wrong.stdout.as_str()), (2, ""), "{words:?}");
        assert!(wrong.stderr.contains("topics are gate, audit, "), "{words:?}: {}", wrong.stderr);
    }
    let mut command = program();
    command.arg("--help");
    assert_eq!(run(command).stdout, all.stdout);
}
