//! The gates of the guide, in front of a real tool and with the real program: what was approved runs once,
//! and nothing else runs.
//!
//! The Python part makes a virtual environment below `target` and installs `langchain-core` into it. Where
//! Python, the package index or Node is missing, a part is skipped, which is said on stderr; with
//! `COUNTERSIGN_REQUIRE_INTEGRATIONS=1` that is a failure.
#![cfg(unix)] // The programs in the place of `countersign` are shell scripts.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[path = "../integrations/shell/test_gate.rs"]
mod shell;

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");

/// A line of shell that is the real program.
const REAL: &str = concat!("'", env!("CARGO_BIN_EXE_countersign"), "' \"$@\"");

/// No test needs longer for one command; one that does hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// The page on gates.
const GUIDE: &str = include_str!("../../src/docs/gate.md");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn receipts() -> PathBuf {
    root().join("fixtures/receipts")
}

/// Says that a part was not run, where it is seen: only the print macros are captured by the test harness.
pub(super) fn skip(part: &str, why: &str) {
    let required = std::env::var_os("COUNTERSIGN_REQUIRE_INTEGRATIONS").is_some_and(|value| value == "1");
    assert!(!required, "{part} could not be tested: {why}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {part} was not tested: {why}");
}

/// How a command ended, and its output; `Err` if it could not be run or did not end in time. Files
/// and not pipes, so that what it leaves behind cannot keep us waiting.
fn run(command: &mut Command, input: impl AsRef<[u8]>) -> Result<(Option<i32>, String), String> {
    let (mut given, mut output) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    given.write_all(input.as_ref()).unwrap();
    given.rewind().unwrap();
    let both: [File; 2] = [output.try_clone().unwrap(), output.try_clone().unwrap()];
    let [stdout, stderr] = both.map(Stdio::from);
    let child = command.stdin(given).stdout(stdout).stderr(stderr).spawn();
    let mut child = child.map_err(|error| format!("{command:?}: {error}"))?;
    let started = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if started.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            None => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(format!("{command:?} did not end within {PATIENCE:?}"));
            }
        }
    };
    let mut text = Vec::new();
    output.rewind().unwrap();
    output.read_to_end(&mut text).unwrap();
    Ok((status.code(), String::from_utf8_lossy(&text).into_owned()))
}

/// The same, for what must come out well.
#[track_caller]
fn succeed(command: &mut Command) {
    match run(command, "") {
        Ok((Some(0), _)) => {}
        Ok((code, output)) => panic!("{command:?} ended with {code:?}:\n{output}"),
        Err(why) => panic!("{why}"),
    }
}

/// A Python with langchain-core, or why there is none.
fn python() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("langchain");
    let (python, stamp) = (folder.join("bin/python"), folder.join("installed.txt"));
    let requirements = root().join("tests/integrations/langchain/requirements.txt");
    let wanted = fs::read_to_string(&requirements).unwrap();
    let attempt = |command: &mut Command| match run(command, "")? {
        (Some(0), _) => Ok(()),
        (code, output) => Err(format!("{command:?} ended with {code:?}: {}", output.trim())),
    };
    let alive = || attempt(Command::new(&python).args(["-c", "import langchain_core"]));
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && alive().is_ok() {
        return Ok(python);
    }
    let suits = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))";
    attempt(Command::new("python3").args(["-c", suits])).map_err(|why| format!("no Python 3.9: {why}"))?;
    attempt(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    // Wheels only: to install must not mean to run what a package brings for that.
    let install = ["-m", "pip", "install", "--quiet", "--only-binary=:all:", "-r"];
    attempt(Command::new(&python).args(install).arg(&requirements))?;
    fs::write(stamp, wanted).unwrap();
    Ok(python)
}

#[test]
fn a_langchain_tool_runs_only_approved_actions() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return skip("the LangChain tool", &why),
    };
    let folder = root().join("tests/integrations/langchain");
    let mut test = Command::new(&python);
    test.env("COUNTERSIGN", PROGRAM).env("RECEIPTS", receipts()).env("PYTHONDONTWRITEBYTECODE", "1");
    succeed(test.arg(folder.join("test_gate.py")));

    // The example as a script, as in the guide.
    let scratch = tempfile::tempdir().unwrap();
    let path = path_with(scratch.path(), REAL);
    for (approver, deleted) in [("mallory", false), ("bruna", true)] {
        let mut script = Command::new(&python);
        script.env("PATH", &path).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(&scratch);
        script.arg(folder.join("example.py")).arg(receipts().join("good-payload.json"));
        script.arg(receipts().join("trust.toml")).arg(approver).arg(receipts().join("good-payload.payload"));
        let (code, output) = run(&mut script, "").unwrap();
        assert_eq!(code == Some(0), deleted, "{output}");
        assert_eq!(scratch.path().join("deleted.txt").exists(), deleted, "{output}");
    }
}

#[test]
fn node_runs_only_approved_actions() {
    if let Err(why) = run(Command::new("node").arg("--version"), "") {
        return skip("the gate in Node", &why);
    }
    let scratch = tempfile::tempdir().unwrap();
    let test = root().join("tests/integrations/node/test_gate.mjs");
    succeed(Command::new("node").arg(test).arg(PROGRAM).arg(receipts()).arg(scratch.path()));
}

/// A `PATH` that begins with `folder`, where `countersign` is this script.
fn path_with(folder: &Path, script: &str) -> String {
    // Written by a child: while this process has it open, another thread's child may too, and then it cannot
    // be run.
    let mut write = Command::new("/bin/sh");
    write.args(["-c", "cat >\"$0\" && chmod 700 \"$0\""]).arg(folder.join("countersign"));
    assert_eq!(run(&mut write, format!("#!/bin/sh\n{script}\n")), Ok((Some(0), String::new())));
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

/// The trials of the guide, in a directory like a clone, with the program under test.
fn tried(gate: &str, scratch: &Path) -> Result<(Option<i32>, String), String> {
    let (_, rest) = GUIDE.split_once(&format!("<!-- try: {gate} -->\n```sh\n")).unwrap();
    let (script, _) = rest.split_once("```").unwrap();
    let script = script.strip_prefix("cargo build && ").unwrap();
    fs::create_dir_all(scratch.join("target/debug")).unwrap();
    for (link, to) in [
        ("fixtures", root().join("fixtures")),
        ("tests", root().join("tests")),
        ("target/debug/countersign", PROGRAM.into()),
    ] {
        std::os::unix::fs::symlink(to, scratch.join(link)).unwrap();
    }
    run(Command::new("sh").args(["-c", script]).env("LC_ALL", "C").current_dir(scratch), "")
}

#[test]
fn the_trials_of_the_guide_show_one_run_and_one_refusal() {
    let (shell, node) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (code, output) = tried("shell", shell.path()).unwrap();
    assert_eq!(code, Some(125), "{output}");
    assert!(
        output.starts_with(&fs::read_to_string(receipts().join("good-payload.payload")).unwrap()),
        "{output}"
    );
    assert!(output.matches("table").count() == 1 && output.contains("File exists"), "{output}");

    if let Err(why) = run(Command::new("node").arg("--version"), "") {
        return skip("the guide's trial of the gate in Node", &why);
    }
    let (code, output) = tried("node", node.path()).unwrap();
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("nonce: '9GElQcU6") && output.contains("Error: not approved (1)"), "{output}");
}

/// Every program that is tested here is one that the page leads to, and the page leads to no other.
#[test]
fn the_guide_links_the_tested_files() {
    let mut programs = Vec::new();
    for folder in fs::read_dir(root().join("tests/integrations")).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let is_program = [".sh", ".mjs", ".py"].iter().any(|extension| name.ends_with(extension));
            if is_program && !name.contains("/test_") {
                programs.push(name);
            }
        }
    }
    programs.sort();
    let definitions = GUIDE.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
    let mut linked: Vec<&str> = definitions
        .map(|(label, _)| label)
        .filter(|label| label.starts_with("tests/integrations/"))
        .collect();
    linked.sort_unstable();
    assert_eq!(linked, programs);
    for name in &programs {
        assert!(GUIDE.contains(&format!("][{name}]")), "{name} is defined and not linked");
        assert!(root().join("src/docs").join(format!("../../{name}")).is_file(), "{name}");
    }
}
