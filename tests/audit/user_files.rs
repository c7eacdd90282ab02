//! Files of the user, as editors and shells leave them: with a byte order mark, as UTF-16, with CRLF. And names that
//! no file should have, and directories with more in them than receipts.

use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use support::case::fixtures;
use support::cli::{Auditor, Outcome, RP_ID, WEB_ORIGIN, program, run};
use support::log::{leaf, rejected};
use support::passkey::Passkey;
use support::receipt_cli::{DEMO_ID, DEMO_KEY, demo, names, own, receipt};
use tempfile::TempDir;

const MARK: &[u8] = b"\xef\xbb\xbf";

/// The same text with a byte order mark.
fn marked(text: &str) -> Vec<u8> {
    [MARK, text.as_bytes()].concat()
}

/// The same text as UTF-16, as PowerShell writes it.
fn utf_16(text: &str) -> Vec<u8> {
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// Runs the program with words split at blanks; `DIR` is the directory, `TRUST` what the demo log is trusted by.
#[track_caller]
fn run_in(directory: &Path, text: &str) -> Outcome {
    let trust = format!("--log-key {DEMO_KEY} --rp-id {RP_ID} --allow-origin {WEB_ORIGIN}");
    let whole = text.replace("TRUST", &trust).replace("DIR", directory.to_str().unwrap());
    let mut command = program();
    command.args(whole.split(' ')).current_dir(directory);
    let outcome = run(command);
    let all = format!("{}{}", outcome.stdout, outcome.stderr);
    if !text.contains("json") {
        assert!(!all.contains("\\\"") && !all.contains("\\\\"), "quoted or escaped twice: {all}");
    }
    outcome
}

/// Reads all files that the config names, without requests.
const OPENS: &str = "config check --config DIR/opens.toml";

/// A way to use a file: its text, the command, and the exit code with the text as it should be.
struct Use {
    name: &'static str,
    text: String,
    command: &'static str,
    /// The exit code where the file is UTF-16.
    utf_16: i32,
    /// The result with CRLF, and whether it is reported.
    crlf: (i32, bool),
}

fn uses(auditor: &Auditor) -> Vec<Use> {
    let of = |arguments: &[&str]| receipt(auditor, &[&["--db", "{db}"], arguments].concat()).stdout;
    let heads = auditor.command(&["heads", "export", "--db", "{db}"]).stdout;
    let first = serde_json::from_str::<Value>(heads.lines().next().unwrap()).unwrap();
    let checkpoint = heads.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut checkpoints = checkpoint.filter(|head| head["format"] == "checkpoint");
    let checkpoint = checkpoints.next().unwrap_or(first)["head"].as_str().unwrap().to_owned();
    let ca = rcgen::generate_simple_self_signed(["log.example".to_owned()]).unwrap().cert.pem();
    let policy = format!("log {DEMO_KEY}\nquorum none\n");
    let use_of = |name, text: String, command, utf_16, crlf| Use { name, text, command, utf_16, crlf };
    let receipts = format!("{}{}", of(&["--index", "5"]), of(&["--index", "6"]));
    vec![
        use_of("receipt", of(&["--index", "5"]), "verify DIR/receipt TRUST", 1, (0, false)),
        use_of("receipts", receipts, "verify DIR/receipts TRUST", 1, (0, false)),
        use_of(
            "tlog-proof",
            of(&["--index", "5", "--format", "tlog-proof"]),
            "verify DIR/tlog-proof TRUST",
            1,
            (1, true),
        ),
        use_of("policy", policy, "verify DIR/whole.json TRUST --policy DIR/policy", 2, (2, true)),
        use_of(
            "config",
            format!("log-key = {DEMO_KEY:?}\nrp-id = {RP_ID:?}\nallow-origin = [{WEB_ORIGIN:?}]\n"),
            "verify DIR/whole.json --config DIR/config",
            2,
            (0, false),
        ),
        use_of("heads", heads, "heads import DIR/heads --db DIR/mirror.db TRUST", 2, (0, false)),
        use_of(
            "checkpoint",
            checkpoint,
            "heads import DIR/checkpoint --db DIR/mirror.db TRUST",
            2,
            (1, true),
        ),
        use_of("ca", ca, OPENS, 2, (0, false)),
        use_of("header", "X-Key: s3cret\n".to_owned(), OPENS, 2, (0, false)),
        use_of("bearer", "s3cret\n".to_owned(), OPENS, 2, (0, false)),
    ]
}

#[test]
fn byte_order_marks_are_skipped_and_utf16_and_crlf_reported() {
    let auditor = demo();
    let folder = auditor.directory();
    let whole = receipt(&auditor, &["--db", "{db}", DEMO_ID]).stdout;
    fs::write(folder.join("whole.json"), whole).unwrap();
    for Use { name, text, command, utf_16: in_utf_16, crlf: (in_crlf, is_said) } in uses(&auditor) {
        let log = "log = \"https://127.0.0.1:1/\"\ndb = \"x.db\"";
        let file = format!("{name}-file = \"{}/{name}\"", folder.display());
        fs::write(folder.join("opens.toml"), format!("{log}\nlog-key = {DEMO_KEY:?}\n{file}\n")).unwrap();
        let with = |bytes: &[u8]| {
            fs::write(folder.join(name), bytes).unwrap();
            run_in(folder, command)
        };
        let usual = with(text.as_bytes());
        assert_eq!(usual.exit, 0, "{name}: {usual:#?}");
        let outcome = with(&marked(&text));
        assert_eq!(
            (outcome.exit, outcome.stdout),
            (0, usual.stdout),
            "{name} with a mark: {}",
            outcome.stderr
        );
        let outcome = with(&utf_16(&text));
        let all = format!("{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(outcome.exit, in_utf_16, "{name} as UTF-16: {all}");
        assert!(all.contains("UTF-16"), "{name} as UTF-16: {all}");
        let outcome = with(&crlf(&text));
        let all = format!("{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(outcome.exit, in_crlf, "{name} with CRLF: {all}");
        assert!(!is_said || all.contains("Unix line ends"), "{name} with CRLF: {all}");
        assert!(!all.contains("s3cret"), "{all}");
    }
}

/// No head is lost to a mark: not the first, and none where files with marks were put behind each other.
#[test]
fn heads_after_byte_order_marks_are_read() {
    let auditor = demo();
    let export = auditor.command(&["heads", "export", "--db", "{db}"]).stdout;
    let all = export.lines().count();
    let (folder, fresh) = (TempDir::new().unwrap(), demo());
    let path = folder.path().join("heads");
    for bytes in [
        marked(&export),
        [marked(&export), marked(&export)].concat(),
        [marked(&export), b"\n".to_vec()].concat(),
    ] {
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        fs::write(&path, &bytes).unwrap();
        let outcome = fresh.command(&["heads", "import", path.to_str().unwrap(), "--db", "{db}"]);
        assert_eq!(outcome.exit, 0, "{outcome:#?}");
        assert!(outcome.stdout.starts_with(&format!("{lines} heads read")), "{outcome:#?}");
        assert!(lines % all == 0);
    }
}

/// A byte order mark is not part of JSON, but part of a raw payload; changes by an editor are reported.
#[test]
fn a_payload_is_read_in_its_encoding() {
    let passkey = Passkey::new(9);
    let approve = |encoding: &str, hash: [u8; 32]| {
        let mut entry = rejected(encoding);
        entry["payloadEncoding"] = encoding.into();
        entry["payloadHash"] = countersign::core::encoding::encode_hex(&hash).into();
        leaf(&passkey.approve(entry))
    };
    let sha256 = |bytes: &[u8]| countersign::core::hash::sha256(bytes).0;
    let (auditor, _log, _) = own(
        &[approve("jcs-payload", sha256(b"{\"a\":1}")), approve("raw-payload", sha256(b"{\"a\": 1}\n"))],
        |_| {},
    );
    let payload_line = |index: &str, payload: &[u8]| {
        let folder = auditor.directory();
        let receipt = receipt(&auditor, &["--db", "{db}", "--index", index]);
        fs::write(folder.join("receipt"), &receipt.stdout).unwrap();
        fs::write(folder.join("payload"), payload).unwrap();
        let mut command = program();
        command.arg("verify").arg(folder.join("receipt")).args(&auditor.trust).args(["--format", "json"]);
        let outcome = run({
            command.arg("--payload").arg(folder.join("payload"));
            command
        });
        if outcome.exit == 2 {
            return outcome.stderr;
        }
        let report = outcome.report();
        let checks = report["checks"].as_array().unwrap();
        let line = checks.iter().find(|line| line["name"] == "payload").unwrap();
        format!("{}: {}", line["result"].as_str().unwrap(), line["message"].as_str().unwrap())
    };
    for good in [&b"{\"a\":1}"[..], b"\xef\xbb\xbf{\"a\": 1}", b"\xef\xbb\xbf{\r\n\"a\": 1}\r\n"] {
        let run_with_stdin = payload_line("0", good);
        assert!(run_with_stdin.starts_with("passed"), "{good:?}: {run_with_stdin}");
    }
    let utf_16 = utf_16("{\"a\":1}");
    assert!(payload_line("0", &utf_16).contains("UTF-16"), "{}", payload_line("0", &utf_16));
    assert!(payload_line("1", b"{\"a\": 1}\n").starts_with("passed"));
    for (edited, part) in [
        (&b"\xef\xbb\xbf{\"a\": 1}\n"[..], "byte order mark"),
        (b"{\"a\": 1}\r\n", "CRLF"),
        (b"\xef\xbb\xbf{\"a\": 1}\r\n", "byte order mark and its lines end in CRLF"),
    ] {
        let run_with_stdin = payload_line("1", edited);
        assert!(
            run_with_stdin.starts_with("failed") && run_with_stdin.contains(part),
            "{edited:?}: {run_with_stdin}"
        );
    }
    let other = payload_line("1", b"\xef\xbb\xbf{\"a\": 2}\n");
    assert!(other.starts_with("failed") && !other.contains("mark"), "{other}");
}

/// What repeats a stranger's text has quotation marks around that text, and around nothing else.
#[test]
fn a_refused_head_is_quoted_once() {
    let auditor = demo();
    let path = auditor.directory().join("heads");
    fs::write(&path, auditor.command(&["heads", "export", "--db", "{db}"]).stdout).unwrap();
    let (other, _log, _) = own(&[leaf(&rejected("1"))], |_| {});
    let outcome = other.command(&["heads", "import", path.to_str().unwrap(), "--db", "{db}"]);
    assert_eq!(outcome.exit, 1, "{outcome:#?}");
    assert!(outcome.stdout.contains(": it is of log \"log.approvals.example/demo\", not of"), "{outcome:#?}");
    // The same where a log serves it.
    let log = fixtures().join("demo");
    let outcome = other.command(&["audit", "--log", log.to_str().unwrap(), "--db", "{db}"]);
    assert!(
        outcome.stdout.contains("served: it is of log \"log.approvals.example/demo\", not of"),
        "{outcome:#?}"
    );
    assert!(!outcome.stdout.contains('\\'), "{outcome:#?}");
}

/// A mirror is a file, and its name is its name: what means something else to a shell, to SQLite or to a browser is a
/// slip, and leaves nothing behind.
#[test]
fn invalid_mirror_names_are_refused() {
    let folder = TempDir::new().unwrap();
    let log = fixtures().join("demo");
    let with = |arguments: &[&str], config: Option<&str>| {
        let mut command = program();
        command.current_dir(folder.path()).args(["audit", "--init", "--log-key", DEMO_KEY]).args(arguments);
        if let Some(text) = config {
            fs::write(folder.path().join("c.toml"), text).unwrap();
            command.args(["--config", "c.toml"]);
        }
        run(command)
    };
    let log = log.to_str().unwrap();
    for (name, part) in [
        ("~/x.db", "home directory"),
        ("~alex/x.db", "home directory"),
        ("file:x.db", "file:"),
        ("FILE:///tmp/x.db?mode=memory", "file:"),
        (":memory:", "in memory"),
        ("https://host.example/x.db", "a file on this machine"),
        ("sqlite://x.db", "a file on this machine"),
        ("", "empty"),
    ] {
        let typed = with(&["--log", log, "--db", name], None);
        let config = format!("log = {log:?}\ndb = {name:?}\n");
        let configured = with(&[], Some(&config));
        // An option stands over the config.
        let both = with(&["--db", name], Some(&format!("log = {log:?}\ndb = 'x.db'\n")));
        for outcome in [&typed, &both] {
            assert_eq!(outcome.exit, 2, "{name}: {outcome:#?}");
            assert!(outcome.stderr.contains("--db") && !outcome.stderr.contains("c.toml"), "{outcome:#?}");
            // That there is none is found before.
            assert!(outcome.stderr.contains(part) || name.is_empty(), "{name}: {outcome:#?}");
        }
        // Where it is written is where it is to be mended.
        let begins = format!("countersign: config \"c.toml\": db {name:?}: ");
        assert_eq!(configured.exit, 2, "{name}: {configured:#?}");
        assert!(configured.stderr.starts_with(&begins), "{name}: {configured:#?}");
        assert!(configured.stderr.contains(part), "{name}: {configured:#?}");
        let mut list = program();
        list.current_dir(folder.path()).args(["heads", "list", "--log-key", DEMO_KEY, "--db", name]);
        assert_eq!(run(list).exit, 2, "{name}");
    }
    let evidence = with(&["--log", log, "--db", "x.db", "--evidence-dir", "~/x"], None);
    assert!(evidence.exit == 2 && evidence.stderr.contains("--evidence-dir"), "{evidence:#?}");
    let log_there = with(&["--log", "~/log", "--db", "x.db"], None);
    assert!(log_there.exit == 2 && log_there.stderr.contains("home directory"), "{log_there:#?}");
    for (config, key) in [
        ("log = '~/log'\ndb = 'x.db'\n".to_owned(), "log"),
        (format!("log = {log:?}\ndb = 'x.db'\nevidence-dir = '~/x'\n"), "evidence-dir"),
        (format!("log = {log:?}\ndb = '~/x.db'\n"), "db"),
    ] {
        let mut outcomes = vec![with(&[], Some(&config))];
        for more in [&["config", "check"][..], &["monitor", "--once"]] {
            let mut command = program();
            command.current_dir(folder.path()).args(more);
            command.args(["--log-key", DEMO_KEY, "--config", "c.toml"]);
            outcomes.push(run(command));
        }
        for outcome in outcomes {
            let begins = format!("countersign: config \"c.toml\": {key} \"~/");
            assert!(outcome.exit == 2 && outcome.stderr.starts_with(&begins), "{key}: {outcome:#?}");
        }
    }
    assert_eq!(names(folder.path()), ["c.toml"], "something was left behind");
    // A name of its own that only looks alike is one.
    for name in ["~x.db", "./~y.db", "x:memory:.db", "files.db"] {
        let outcome = with(&["--log", log, "--db", name], None);
        assert_eq!(outcome.exit, 3, "{name}: {outcome:#?}");
    }
}

#[test]
fn a_log_without_a_scheme_is_wrong_usage() {
    let folder = TempDir::new().unwrap();
    let audit = |log: &str| {
        let mut command = program();
        command.current_dir(folder.path()).args(["audit", "--init", "--db", "x.db", "--log-key", DEMO_KEY]);
        command.args(["--log", log]);
        run(command)
    };
    for log in [
        "log.example/2026",
        "host.example/public/log/",
        "HOST.example",
        "localhost:8080/log",
        "localhost:8080",
        "127.0.0.1:8080/log",
        "127.0.0.1/log",
        "[::1]:8080/log",
        "host.example:443",
        "alex:s3cret@host.example/log",
        "host.example/log?key=s3cret",
        "api+host.example/public/log",
        " https://host.example/log",
        "\thttps://host.example/log",
        " host.example/log",
        "\"https://host.example/log\"",
        "https:/host.example/log",
        "https:host.example",
        "//host.example/log",
    ] {
        let outcome = audit(log);
        assert_eq!(outcome.exit, 2, "{log:?}: {outcome:#?}");
        assert!(outcome.stderr.contains("a URL must begin with https://"), "{log:?}: {outcome:#?}");
        assert!(!outcome.stderr.contains("s3cret"), "{log:?}: {outcome:#?}");
        assert_eq!(names(folder.path()), Vec::<String>::new(), "{log:?}");
    }
    // Where there is such a directory, it is meant; and what may be one that is not mounted is nobody's slip.
    fs::create_dir_all(folder.path().join("log.example/2026")).unwrap();
    for log in [
        "log.example/2026",
        "backup.2026/log",
        "./host.example/log",
        "/srv/host.example",
        "logs/host.example",
    ] {
        assert_ne!(audit(log).exit, 2, "{log}");
    }
}

/// Of a directory's files, those that begin with a dot are not the user's receipts.
#[test]
fn other_files_beside_receipts_are_skipped_and_counted() {
    let auditor = demo();
    let folder = auditor.directory().join("receipts");
    fs::create_dir(&folder).unwrap();
    let good = receipt(&auditor, &["--db", "{db}", DEMO_ID]).stdout;
    let put = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    let verify = |more: &str| run_in(auditor.directory(), &format!("verify DIR/receipts TRUST{more}"));
    // Nothing there at all is no pass, and no slip of usage.
    for more in ["", " --format json", " --quiet"] {
        let empty = verify(more);
        assert_eq!((empty.exit, empty.stdout.as_str()), (3, ""), "{empty:#?}");
        assert!(
            empty.stderr.contains("there is no receipt to check") && empty.stderr.contains("name a receipt")
        );
    }
    // Nothing left.
    put("._a.json", b"\0\x05\x16\x07 of a Mac");
    put(".hidden.tlog-proof", b"");
    put("notes.txt", b"");
    fs::create_dir(folder.join("more")).unwrap();
    for more in ["", " --format json", " --quiet"] {
        let none = verify(more);
        assert_eq!((none.exit, none.stdout.as_str()), (3, ""), "{none:#?}");
        assert!(none.stderr.contains("4 other file(s) or folder(s)"), "{none:#?}");
    }
    put("a.json", good.as_bytes());
    for more in ["", " --format json", " --quiet"] {
        let one = verify(more);
        assert_eq!(one.exit, 0, "{one:#?}");
        assert!(one.stderr.contains("4 other file(s) or folder(s)"), "{one:#?}");
    }
    // Where nothing says that it is not meant, it is a receipt that does not parse.
    for name in ["b.json", "c.tlog-proof", "d.jsonl", "e.NDJSON", "_a.json"] {
        put(name, b"nothing");
        assert_eq!(verify("").exit, 1, "{name}");
        put(name, b"");
        assert_eq!(verify("").exit, 1, "{name}, empty");
        fs::remove_file(folder.join(name)).unwrap();
    }
    // Named by itself it is meant.
    assert_eq!(run_in(auditor.directory(), "verify DIR/receipts/._a.json TRUST").exit, 1);
    // A directory without receipts is reported even beside one with receipts.
    fs::create_dir(auditor.directory().join("none")).unwrap();
    assert_eq!(run_in(auditor.directory(), "verify DIR/none DIR/receipts TRUST").exit, 0);
    assert_eq!(run_in(auditor.directory(), "verify DIR/none DIR/receipts/more TRUST").exit, 3);
    // What was named and is not there is a slip, wherever else there is nothing.
    assert_eq!(run_in(auditor.directory(), "verify DIR/none DIR/not-there TRUST").exit, 2);
}

/// What a name may stand for besides a file, and how it is made.
type Kind<'a> = (&'a str, &'a dyn Fn(&Path));

/// What has the name of a receipt in a directory is said to be one, and fails where it is none: it is neither passed over
/// nor waited for.
#[test]
fn a_special_file_named_like_a_receipt_fails() {
    let auditor = demo();
    let folder = auditor.directory().join("receipts");
    fs::create_dir(&folder).unwrap();
    let good = receipt(&auditor, &["--db", "{db}", DEMO_ID]).stdout;
    fs::write(folder.join("good.json"), &good).unwrap();
    fs::write(auditor.directory().join("linked"), &good).unwrap();
    let link = |to: &str, at: &Path| std::os::unix::fs::symlink(to, at).unwrap();
    let make: [Kind<'_>; 7] = [
        ("a pipe", &|at| assert!(Command::new("mkfifo").arg(at).status().unwrap().success())),
        ("a socket", &|at| drop(std::os::unix::net::UnixListener::bind(at).unwrap())),
        ("a device", &|at| link("/dev/zero", at)),
        ("a terminal", &|at| link("/dev/tty", at)),
        ("a dangling link", &|at| link("nowhere", at)),
        ("a link to itself", &|at| link(at.to_str().unwrap(), at)),
        ("a directory", &|at| fs::create_dir(at).unwrap()),
    ];
    for (what, make) in make {
        for name in ["a.json", "z.tlog-proof", "b.jsonl", "c.NDJSON"] {
            let at = folder.join(name);
            make(&at);
            let run = run_in(auditor.directory(), "verify DIR/receipts TRUST --format json");
            let reports: Vec<serde_json::Value> =
                run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!((run.exit, reports.len()), (1, 2), "{what}, {name}: {run:#?}");
            let failed = reports.iter().find(|report| report["exitCode"] == 1).unwrap();
            assert!(failed["source"].as_str().unwrap().ends_with(name), "{what}, {name}: {failed}");
            assert!(failed["checks"][0]["message"].as_str().unwrap().contains("not a receipt"), "{failed}");
            assert!(run.stderr.contains("2 receipts: 1 clean, 1 invalid"), "{what}, {name}: {run:#?}");
            assert!(!run.stderr.contains("not looked at"), "{what}, {name}: {run:#?}");
            let text = run_in(auditor.directory(), "verify DIR/receipts TRUST --quiet");
            assert!(text.exit == 1 && text.stdout.contains(name), "{what}, {name}: {text:#?}");
            if at.is_dir() { fs::remove_dir(&at).unwrap() } else { fs::remove_file(&at).unwrap() }
        }
        // Without the name, or with a dot before it, it is passed over.
        for name in ["a", ".a.json"] {
            let at = folder.join(name);
            make(&at);
            let run = run_in(auditor.directory(), "verify DIR/receipts TRUST");
            assert_eq!(run.exit, 0, "{what}, {name}: {run:#?}");
            assert!(run.stderr.contains("1 other file(s)"), "{what}, {name}: {run:#?}");
            if at.is_dir() { fs::remove_dir(&at).unwrap() } else { fs::remove_file(&at).unwrap() }
        }
    }
    // A link to a receipt is one.
    link("../linked", &folder.join("linked.json"));
    assert_eq!(run_in(auditor.directory(), "verify DIR/receipts TRUST").exit, 0);
}

#[test]
fn an_empty_stdin_has_nothing_to_check() {
    let auditor = demo();
    let run = |stdin: &[u8], more: &[&str]| {
        let trust = ["--log-key", DEMO_KEY, "--rp-id", RP_ID, "--allow-origin", WEB_ORIGIN];
        let mut child = program()
            .arg("verify")
            .args([&["-"], more, &trust[..]].concat())
            .current_dir(auditor.directory())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It reads no more than a receipt can be long.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        child.wait_with_output().unwrap()
    };
    for stdin in [&b""[..], b"\n", b" \r\n\t\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"] {
        for more in [&[][..], &["--format", "json"], &["--quiet"]] {
            let ran = run(stdin, more);
            let stderr = String::from_utf8_lossy(&ran.stderr);
            assert_eq!(
                (ran.status.code(), ran.stdout.as_slice()),
                (Some(3), &b""[..]),
                "{stdin:?}: {stderr}"
            );
            assert!(stderr.contains("there is no receipt to check"), "{stdin:?}: {stderr}");
        }
    }
    for stdin in ["x", "{}", "\n\nnothing\n", "\0"] {
        assert_eq!(run(stdin.as_bytes(), &[]).status.code(), Some(1), "{stdin:?}");
    }
    // Behind more blanks than a receipt may be long there may stand one.
    assert_eq!(run(&vec![b' '; 5_000_000], &[]).status.code(), Some(1));
}
