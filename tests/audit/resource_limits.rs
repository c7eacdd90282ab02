//! What could not be written does not count as written, and a machine that has run out of something says so: for every
//! command, the exit code is 5 and there is a sentence; never a pass, a slip of the user's, a panic or a death.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::case::{fixtures, named};
use support::cli::{Auditor, RP_ID, WEB_ORIGIN, program};
use support::receipt_cli::{DEMO_ID, DEMO_KEY, demo};
use support::serve_dir;

/// A stack that no machine has room for, so that no thread can be had.
const NO_THREADS: (&str, &str) = ("RUST_MIN_STACK", "300000000000000");

/// A command and what it ends with where nothing is scarce.
struct Case {
    name: String,
    arguments: Vec<String>,
    exit: i32,
}

/// An auditor of the demo log, and every command there is, with something to print.
struct Bench {
    auditor: Auditor,
    cases: Vec<Case>,
}

impl Bench {
    fn new() -> Bench {
        let mut bench = Bench { auditor: demo(), cases: Vec::new() };
        bench.write_files();
        for alone in ["--help", "--version", "help", "help audit", "audit --help", "man", "completions bash"]
        {
            bench.case(alone, 0);
        }
        bench.case("help peers", 0);
        bench.case("help evidence", 0);
        let log = format!("--log {} --db DIR/mirror.db TRUST", fixtures().join("demo").display());
        for format in ["text", "json"] {
            bench.case(&format!("audit {log} --format {format}"), 0);
            bench.case(&format!("audit {log} --format {format} --full"), 0);
            bench.case(&format!("audit {log} --format {format} --heads-only --db DIR/other.db --init"), 0);
            bench.case(&format!("monitor --once {log} --format {format}"), 0);
            bench.case(&format!("monitor --once --config DIR/several.toml --format {format}"), 0);
            bench.case(&format!("monitor test-alert --config DIR/alert.toml --format {format}"), 3);
            bench.case(&format!("heads list --db DIR/mirror.db KEY --format {format}"), 0);
            bench.case(&format!("heads import --db DIR/mirror.db KEY DIR/heads --format {format}"), 0);
            bench.case(&format!("evidence verify DIR/proof KEY --format {format}"), 1);
            bench.case(&format!("verify DIR/receipts/1.json TRUST --format {format}"), 0);
            bench.case(&format!("verify DIR/receipts TRUST --workers 2 --format {format}"), 0);
        }
        bench.case("heads export --db DIR/mirror.db KEY", 0);
        bench.case("mirror check --db DIR/mirror.db KEY", 0);
        bench.case("mirror check --db DIR/mirror.db KEY --rebuild --format json", 0);
        bench.case("config check --config DIR/several.toml", 0);
        for format in ["json", "tlog-proof"] {
            bench.case(&format!("receipt {DEMO_ID} --db DIR/mirror.db TRUST --format {format}"), 0);
            bench.case(&format!("receipt --index 5 --from-log {log} --format {format}"), 0);
        }
        bench
    }

    /// `KEY` is the log key, `TRUST` all that is trusted, `DIR` the directory.
    fn case(&mut self, text: &str, exit: i32) {
        let key = format!("--log-key {DEMO_KEY}");
        let trust = format!("{key} --rp-id {RP_ID} --allow-origin {WEB_ORIGIN}");
        let whole = text
            .replace("TRUST", &trust)
            .replace("KEY", &key)
            .replace("DIR", self.auditor.directory().to_str().unwrap());
        // The option that comes last is the one that counts.
        let mut words: Vec<String> = whole.split(' ').map(str::to_owned).collect();
        while words.iter().filter(|word| *word == "--db").count() > 1 {
            let first = words.iter().position(|word| word == "--db").unwrap();
            words.drain(first..first + 2);
        }
        self.cases.push(Case { name: text.to_owned(), arguments: words, exit });
    }

    fn write_files(&self) {
        let folder = self.auditor.directory();
        let export = self.auditor.command(&["heads", "export", "--db", "{db}"]);
        fs::write(folder.join("heads"), export.stdout).unwrap();
        fs::write(folder.join("proof"), "{}").unwrap();
        fs::create_dir(folder.join("receipts")).unwrap();
        for index in 1..9 {
            let out = folder.join(format!("receipts/{index}.json"));
            let index = index.to_string();
            let db = ["receipt", "--index", &index, "--db", "{db}", "--out", out.to_str().unwrap()];
            let trust = ["--rp-id", RP_ID, "--allow-origin", WEB_ORIGIN];
            assert_eq!(self.auditor.command(&[&db[..], &trust[..]].concat()).exit, 0);
        }
        let log = |name: &str, db: &str| {
            let table =
                format!("name = {name:?}\nlog = {:?}\ndb = {:?}\n", fixtures().join("demo"), folder.join(db));
            let trust =
                format!("log-key = {DEMO_KEY:?}\nrp-id = {RP_ID:?}\nallow-origin = [{WEB_ORIGIN:?}]\n");
            format!("[[log]]\n{table}{trust}init = true\n")
        };
        let several = log("one", "one.db") + &log("two", "two.db");
        fs::write(folder.join("several.toml"), several).unwrap();
        fs::write(folder.join("alert.toml"), "[[alert]]\ncommand = [\"/bin/false\"]\n").unwrap();
    }

    fn command(&self, case: &Case) -> Command {
        let mut command = program();
        command.args(&case.arguments).current_dir(self.auditor.directory()).stderr(Stdio::piped());
        command
    }

    /// The same behind shell commands, such as `ulimit`.
    fn limited(&self, limit: &str, case: &Case) -> Command {
        let inner = self.command(case);
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("{limit}; exec \"$0\" \"$@\"")).arg(inner.get_program());
        command.args(inner.get_args()).current_dir(self.auditor.directory()).stderr(Stdio::piped());
        command.stdin(Stdio::null());
        command
    }
}

/// The exit code; a signal or a panic fails the test.
#[track_caller]
fn exit(name: &str, output: &Output) -> i32 {
    let message = String::from_utf8_lossy(&output.stderr);
    for bad in ["panicked", "a bug in countersign"] {
        assert!(!message.contains(bad), "{name}: {message}");
    }
    output.status.code().unwrap_or_else(|| panic!("{name}: {}: {message}", output.status))
}

/// The message names the resource, and the exit code is that of a local fault.
#[track_caller]
fn expect_fault(name: &str, output: &Output, word: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(exit(name, output), 5, "{name}: {message}");
    assert!(message.contains(word), "{name}: {word:?} is not said: {message}");
}

#[test]
fn an_unwritable_stdout_exits_5() {
    let bench = Bench::new();
    for case in &bench.cases {
        let Case { name, .. } = case;
        let usual = bench.command(case).stdout(Stdio::piped()).output().unwrap();
        assert_eq!(exit(name, &usual), case.exit, "{name}: {}", String::from_utf8_lossy(&usual.stderr));
        assert!(!usual.stdout.is_empty(), "{name} prints nothing");
        let full = File::options().write(true).open("/dev/full").unwrap();
        let full = bench.command(case).stdout(full).output().unwrap();
        expect_fault(name, &full, "cannot write stdout: No space left on device");
        // Nor can what was opened for reading be written to.
        let unwritable = bench.command(case).stdout(File::open("/dev/null").unwrap()).output().unwrap();
        expect_fault(name, &unwritable, "cannot write stdout: Bad file descriptor");
    }
}

/// A reader may close the pipe: no message is printed, and the exit code is the usual one.
#[test]
fn a_closed_pipe_is_quiet() {
    let bench = Bench::new();
    for case in &bench.cases {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let closed = bench.command(case).stdout(writer).output().unwrap();
        let message = String::from_utf8_lossy(&closed.stderr);
        assert_eq!(exit(&case.name, &closed), case.exit, "{}: {message}", case.name);
        assert!(!message.contains("pipe") && !message.contains("write"), "{}: {message}", case.name);
    }
}

/// Also where nothing is wrong with the report, and where much is.
#[test]
fn no_verdict_hides_an_unwritable_stdout() {
    let fork = named("history-same-size-fork");
    let (auditor, steps) = (fork.auditor(), fork.steps());
    for (number, step) in steps.iter().enumerate() {
        auditor.audit(step, if number == 0 { &["--init"] } else { &[] });
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = auditor.audit_command(fork.last_step(), &[]);
    assert_eq!(command.output().unwrap().status.code(), Some(4));
    let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
    expect_fault("fork", &output, "cannot write stdout");
}

/// What is written into files: each way there is, with a file in the way, or a directory where no file can be made.
#[test]
fn unwritable_files_exit_5() {
    let bench = Bench::new();
    let folder = bench.auditor.directory();
    // Not even the administrator can make files there.
    let nowhere = Path::new("/proc/self");
    let out = |text: &str| Case {
        name: text.to_owned(),
        arguments: text.split(' ').map(str::to_owned).collect(),
        exit: 5,
    };
    let trust = format!("--log-key {DEMO_KEY} --rp-id {RP_ID} --allow-origin {WEB_ORIGIN}");
    let db = folder.join("mirror.db");
    let (db, nowhere) = (db.display(), nowhere.display());
    for case in [
        out(&format!("man {nowhere}")),
        out(&format!("receipt {DEMO_ID} --db {db} {trust} --out {nowhere}/receipt")),
        out(&format!("receipt --all-of alex --db {db} {trust} --out {nowhere}/receipts")),
        out(&format!("receipt --all-of alex --db {db} {trust} --out {nowhere}")),
    ] {
        let output = bench.command(&case).output().unwrap();
        expect_fault(&case.name, &output, "cannot write /proc/self");
    }
}

#[test]
fn too_few_open_files_exit_5() {
    let bench = Bench::new();
    let server = serve_dir(fixtures().join("demo"));
    let http = format!("--log {} --db DIR/http.db TRUST", server.url());
    let mut more = Bench { auditor: bench.auditor, cases: Vec::new() };
    more.case(&format!("audit {http} --init"), 0);
    more.case(&format!("receipt --index 5 --from-log {http}"), 0);
    more.case(
        &format!("audit {} --init", http.replace("127.0.0.1", "localhost").replace("http.db", "named.db")),
        0,
    );
    // Nobody is there, and authorities are read all the same.
    more.case("audit --log https://localhost:9/ --db DIR/https.db TRUST --init --retry-for 300ms", 3);
    more.case(&format!("heads import --db DIR/mirror.db KEY {}checkpoint", server.url()), 0);
    let mut cases = bench.cases;
    cases.append(&mut more.cases);
    for case in cases.iter().filter(|case| !case.name.contains("--full") && !case.name.contains("test-alert"))
    {
        let mut enough = None;
        // With fewer than four the system does not even load the program.
        for limit in (4..=40).chain([64]) {
            let output = more.limited(&format!("ulimit -n {limit}"), case).output().unwrap();
            let (name, code) = (format!("{} with {limit}", case.name), exit(&case.name, &output));
            if code == 127 && limit < 8 {
                continue;
            }
            if code == 5 {
                expect_fault(&name, &output, "");
                assert!(!output.stderr.is_empty() || !output.stdout.is_empty(), "{name}: nothing is said");
            } else {
                assert_eq!(code, case.exit, "{name}: {}", String::from_utf8_lossy(&output.stderr));
                enough = enough.or(Some(limit));
            }
        }
        assert!(enough.is_some(), "{}: never enough", case.name);
    }
}

/// Missing threads are a fault where they are needed, and not where they only save time.
#[test]
fn missing_threads_exit_5_or_only_slow_down() {
    let bench = Bench::new();
    let server = serve_dir(fixtures().join("demo"));
    let mut more = Bench { auditor: bench.auditor, cases: Vec::new() };
    more.case(&format!("heads import --db DIR/mirror.db KEY {}checkpoint", server.url()), 0);
    more.case("monitor --config DIR/several.toml", 0);
    for case in bench.cases.iter().chain(&more.cases) {
        let mut command = more.command(case);
        let output = command.env(NO_THREADS.0, NO_THREADS.1).output().unwrap();
        let code = exit(&case.name, &output);
        let needs = ["audit --log", "monitor --", "http://", "mirror check"]
            .iter()
            .any(|word| case.name.contains(word));
        if needs {
            expect_fault(&case.name, &output, "os error 11");
        } else {
            assert_eq!(code, case.exit, "{}: {}", case.name, String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// The signal of the limit would end the process without a message.
#[test]
fn a_file_size_limit_exits_5() {
    let bench = Bench::new();
    let out = bench.auditor.directory().join("out");
    for case in &bench.cases {
        let limited =
            bench.limited("ulimit -f 0", case).stdout(File::create(&out).unwrap()).output().unwrap();
        expect_fault(&case.name, &limited, "");
        assert!(!limited.stderr.is_empty(), "{}: nothing is said", case.name);
    }
    // A mirror that can no longer grow: half of it is there, and the report says what happened.
    let case = Case {
        name: "audit".to_owned(),
        arguments: bench.auditor.audit_command(fixtures().join("demo"), &["--init"]).get_args().fold(
            Vec::new(),
            |mut arguments, argument| {
                arguments.push(argument.to_str().unwrap().replace("mirror.db", "new.db"));
                arguments
            },
        ),
        exit: 0,
    };
    for blocks in [1, 8, 64, 200, 400, 800] {
        let limited = bench.limited(&format!("ulimit -f {blocks}"), &case).output().unwrap();
        let name = format!("{blocks} blocks");
        if exit(&name, &limited) != 0 {
            expect_fault(&name, &limited, "");
            let report: serde_json::Value = serde_json::from_slice(&limited.stdout).unwrap();
            assert_eq!(
                (&report["verdict"], &report["exitCode"]),
                (&"local-fault".into(), &5.into()),
                "{name}"
            );
        }
        for beside in ["new.db", "new.db.mark", "new.db-wal", "new.db-shm", "new.db.lock"] {
            let _ = fs::remove_file(bench.auditor.directory().join(beside));
        }
    }
}

/// Nobody prints past the type that the exit code comes out of.
#[test]
fn only_one_module_prints() {
    const WORDS: [&str; 7] =
        ["println!", "print!(", "eprint!(", "dbg!(", "stdout()", "stderr()", "ExitCode::"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    // The monitor's events go to stderr, which is not its output.
    let may = |path: &Path, word: &str| match path.strip_prefix(&root).unwrap().to_str().unwrap() {
        "cli/output.rs" | "bin/countersign-testlog/output.rs" => true,
        "monitor/log.rs" => word == "stderr()",
        // The exit codes of a slip in the arguments, and of a program for tests.
        "cli/mod.rs" | "bin/countersign-testlog/main.rs" => word == "ExitCode::",
        _ => false,
    };
    let (mut folders, mut files) = (vec![root.clone()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            if entry.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = fs::read_to_string(&entry).unwrap();
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
            files += 1;
            for (number, line) in (1..).zip(code.lines()) {
                let line = line.split("//").next().unwrap().replace("use_stderr()", "");
                for word in WORDS.iter().filter(|word| line.contains(**word)) {
                    assert!(may(&entry, word), "{}:{number}: {word} in {line}", entry.display());
                }
            }
        }
    }
    assert!(files > 150, "only {files} files were read");
}

/// Threads are started by functions that return errors. These functions panic, or start threads that may panic.
#[test]
fn no_code_starts_threads_that_may_panic() {
    const WORDS: [&str; 7] = [
        "spawn_blocking",
        "thread::spawn(",
        "scope.spawn(",
        "enable_steady_tick",
        "lookup_host",
        "new_multi_thread",
        "tokio::fs",
    ];
    let (mut folders, mut files) = (vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            // A program for tests may.
            if entry.is_dir() && !entry.ends_with("src/bin") {
                folders.push(entry);
                continue;
            }
            let name = entry.to_str().unwrap();
            if !name.ends_with(".rs") || name.ends_with("tests.rs") {
                continue;
            }
            let text = fs::read_to_string(&entry).unwrap();
            files += 1;
            for (number, line) in (1..).zip(text.split("#[cfg(test)]\nmod ").next().unwrap().lines()) {
                let code = line.split("//").next().unwrap();
                let word = WORDS.iter().find(|word| code.contains(**word));
                assert!(word.is_none(), "{name}:{number}: {word:?}: take thread::Builder or start::blocking");
            }
        }
    }
    assert!(files > 150, "only {files} files were read");
}
