//! What is generated from the arguments and the guide: completions that a shell takes, and manual pages that have every
//! command, option and page.

use countersign::docs::PAGES;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use support::cli::{program, run};

fn output(arguments: &[&str]) -> String {
    let mut command = program();
    command.args(arguments);
    let outcome = run(command);
    assert_eq!((outcome.exit, outcome.stderr.as_str()), (0, ""), "{arguments:?}: {outcome:?}");
    outcome.stdout
}

fn is_installed(program: &str) -> bool {
    let found = Command::new("which").arg(program).output().is_ok_and(|found| found.status.success());
    if !found {
        println!("SKIPPED: {program} is not installed");
    }
    found
}

/// Runs a program with this text on its stdin; whether it succeeded, and its stderr.
fn feed(command: &mut Command, text: &str) -> (bool, String) {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    (ended.status.success(), String::from_utf8_lossy(&ended.stderr).into_owned())
}

#[test]
fn every_shell_accepts_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = output(&["completions", shell]);
        for word in ["test-alert", "--max-head-age", "tlog-proof"] {
            assert!(script.contains(word.trim_start_matches("--")), "{shell}: {word}");
        }
        if ["bash", "zsh", "fish"].contains(&shell) && is_installed(shell) {
            let checked = feed(Command::new(shell).arg("-n"), &script);
            assert_eq!(checked, (true, String::new()), "{shell}");
        }
    }
    // Not only does it parse: it completes.
    if is_installed("bash") {
        let script = output(&["completions", "bash"]);
        let ask = "COMP_WORDS=(countersign moni); COMP_CWORD=1; _countersign countersign moni; \
                   [ \"${COMPREPLY[*]}\" = monitor ] || { echo \"${COMPREPLY[*]}\" >&2; exit 1; }";
        assert_eq!(feed(&mut Command::new("bash"), &format!("{script}\n{ask}\n")), (true, String::new()));
    }
    let mut command = program();
    command.args(["completions", "cmd"]);
    assert_eq!(run(command).exit, 2);
}

/// Every command with its subcommands, and its options, as `--help` has them.
fn helps() -> Vec<(String, BTreeSet<String>)> {
    let (mut waiting, mut all) = (vec![Vec::<String>::new()], Vec::new());
    while let Some(path) = waiting.pop() {
        let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = output(&words);
        let name =
            ["countersign"].into_iter().chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join("-");
        let is_option = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let options = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
        let options = options.filter_map(|line| line.split_once("--"));
        let options = options.map(|(_, rest)| rest.split(|c| !is_option(c)).next().unwrap().to_owned());
        all.push((name, options.collect()));
        let commands = help.split("Commands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap();
        let below = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        for command in below.filter_map(|line| line.split_whitespace().next()) {
            waiting.push([path.clone(), vec![command.to_owned()]].concat());
        }
    }
    all
}

#[test]
fn every_command_has_a_manual_page_with_every_option() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(output(&["man", directory.path().to_str().unwrap()]), "");
    let helps = helps();
    assert!(helps.len() >= 17, "{helps:?}");
    for (name, options) in &helps {
        let page = std::fs::read_to_string(directory.path().join(format!("{name}.1"))).unwrap();
        for option in options {
            let shown = format!("\\-\\-{}", option.replace('-', "\\-"));
            assert!(page.contains(&shown), "{name}: no {shown} in\n{page}");
        }
        check(name, &page);
    }
    for page in PAGES {
        let name = format!("countersign-{}.7", page.name);
        let text = std::fs::read_to_string(directory.path().join(&name)).unwrap();
        assert!(text.contains(&page.summary.replace('-', "\\-").replace('\'', "\\(aq")), "{name}: {text}");
        check(&name, &text);
    }
    let written = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(written, helps.len() + PAGES.len(), "a page for each, and nothing else");
    let main = std::fs::read_to_string(directory.path().join("countersign.1")).unwrap();
    assert_eq!(output(&["man"]), main);
    let mut command = program();
    command.arg("man").arg(Path::new("/no/such/directory"));
    let outcome = run(command);
    assert!(outcome.exit == 2 && outcome.stderr.contains("cannot write"), "{outcome:?}");
}

/// The formatters accept the page without messages.
fn check(name: &str, page: &str) {
    if is_installed("groff") {
        let output = feed(Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]), page);
        assert_eq!(output, (true, String::new()), "{name}");
    }
    if is_installed("mandoc") {
        let (_, output) = feed(Command::new("mandoc").args(["-T", "lint", "-W", "error"]), page);
        assert!(!output.contains("ERROR"), "{name}: {output}");
    }
}
