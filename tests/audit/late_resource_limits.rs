//! What a machine runs out of in the middle of a run: descriptors that were there at the start, and threads that are
//! needed later than the first. It is exit code 5 with a sentence, and never a panic, a slip of the user's, a server that
//! cannot be reached, or a word against the log.
#![cfg(target_os = "linux")]

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use support::case::fixtures;
use support::cli::{RP_ID, WEB_ORIGIN, program};
use support::receipt_cli::{DEMO_KEY, demo};
use support::{Reply, TestServer, serve_dir, until};

/// What trusts the demo log.
fn trust() -> String {
    format!("--log-key {DEMO_KEY} --rp-id {RP_ID} --allow-origin {WEB_ORIGIN}")
}

/// A server with whose answers the program loses the right to open anything more, and the connection as well.
struct DescriptorServer {
    server: TestServer,
    pid: Arc<Mutex<Option<Pid>>>,
}

impl DescriptorServer {
    /// Serves the demo log, or answers everything with this status.
    fn start(status: Option<&'static str>) -> DescriptorServer {
        let pid = Arc::new(Mutex::new(None));
        let known = Arc::clone(&pid);
        let server = TestServer::start(move |request| {
            until("the program is known", || known.lock().unwrap().is_some());
            let none = Rlimit { current: Some(3), maximum: Some(3) };
            // It may have ended by now.
            let _ = prlimit(*known.lock().unwrap(), Resource::Nofile, none);
            let body = fs::read(fixtures().join("demo").join(request.path.trim_start_matches('/')));
            let (status, body) = match (status, body) {
                (Some(status), _) => (status, Vec::new()),
                (None, Ok(body)) => ("200 OK", body),
                (None, Err(_)) => ("404 Not Found", Vec::new()),
            };
            let head =
                format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            Reply::raw([head.as_bytes(), &body].concat())
        });
        DescriptorServer { server, pid }
    }

    /// Runs the program; `URL` in its arguments is the server, `DIR` where it runs, `TRUST` all that is trusted.
    fn run(&self, directory: &Path, text: &str) -> Output {
        let whole = text
            .replace("TRUST", &trust())
            .replace("URL", &self.server.url())
            .replace("DIR", directory.to_str().unwrap());
        let mut command = program();
        command.args(whole.split(' ')).current_dir(directory).stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        *self.pid.lock().unwrap() = Pid::from_raw(i32::try_from(child.id()).unwrap());
        child.wait_with_output().unwrap()
    }
}

/// The exit code is 5 and the message names the resource. Returns the message.
#[track_caller]
fn expect_exhaustion(name: &str, output: &Output) -> String {
    let message =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(5), "{name}: {message}");
    for bad in ["panicked", "a bug in countersign"] {
        assert!(!message.contains(bad), "{name}: {message}");
    }
    assert!(message.contains("this machine has run out of something"), "{name}: {message}");
    message
}

#[test]
fn no_descriptors_while_reading_a_log_exits_5() {
    for text in [
        "audit --log URL --db DIR/new.db --init TRUST --retry-for 1s --format json",
        "audit --log URL --db DIR/mirror.db TRUST --retry-for 1s --format json --full",
        "audit --log api+URL --db DIR/new.db --init TRUST --retry-for 1s --format json",
        "audit --log URL --db DIR/heads.db --init TRUST --retry-for 1s --format json --heads-only",
        "monitor --once --log URL --db DIR/new.db --init TRUST --retry-for 1s --format json",
    ] {
        let auditor = demo();
        let message = expect_exhaustion(text, &DescriptorServer::start(None).run(auditor.directory(), text));
        assert!(message.contains("\"verdict\":\"local-fault\""), "{text}: {message}");
        assert!(!message.contains("\"gap\""), "{text}: {message}");
    }
    let auditor = demo();
    for text in [
        "receipt --index 5 --from-log --log URL TRUST --retry-for 1s",
        "receipt --id 2a72431f-a875-40f6-aa04-1e5cbe4fa5d3 --from-log --log api+URL TRUST --retry-for 1s",
    ] {
        let text = text.replace("--id ", "");
        expect_exhaustion(&text, &DescriptorServer::start(None).run(auditor.directory(), &text));
    }
}

#[test]
fn no_descriptors_while_importing_heads_exits_5() {
    let auditor = demo();
    let text = format!("heads import --db DIR/mirror.db --log-key {DEMO_KEY} URLheads --retry-for 1s");
    expect_exhaustion(&text, &DescriptorServer::start(Some("503 Busy")).run(auditor.directory(), &text));
}

/// Peers are asked first: with the answer of one, the others and a log in a directory are out of reach.
#[test]
fn no_descriptors_before_reading_a_directory_exits_5() {
    let auditor = demo();
    let server = DescriptorServer::start(Some("404 Not Found"));
    let config = auditor.directory().join("peers.toml");
    let log = format!("log = {:?}\n", fixtures().join("demo"));
    fs::write(auditor.directory().join("theirs"), "").unwrap();
    let file = format!("[[peer]]\nname = \"b\"\nfile = {:?}\n", auditor.directory().join("theirs"));
    let peer = |n: u8| format!("[[peer]]\nname = \"p{n}\"\nheads = \"{}\"\n", server.server.url());
    // Four are asked at once, so the file comes after them.
    let peers: String = (0..4).map(peer).collect();
    fs::write(&config, format!("{log}{peers}{file}")).unwrap();
    let text = "audit --config DIR/peers.toml --db DIR/mirror.db TRUST --format json --retry-for 1s";
    let message = expect_exhaustion(text, &server.run(auditor.directory(), text));
    assert!(message.contains("\"verdict\":\"local-fault\"") && !message.contains("\"gap\""), "{message}");
}

#[test]
fn no_descriptors_before_sending_an_alert_exits_5() {
    let auditor = demo();
    fs::write(auditor.directory().join("secret"), "s".repeat(32)).unwrap();
    for next in [
        "command = [\"/bin/true\"]".to_owned(),
        "smtp = \"smtp://localhost:9\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]".to_owned(),
        "webhook = \"http://localhost:9/\"\nsecret-file = \"secret\"".to_owned(),
    ] {
        let server = DescriptorServer::start(Some("500 No"));
        let first = format!("[[alert]]\nwebhook = \"{}\"\nsecret-file = \"secret\"\n", server.server.url());
        let config = format!("{first}[[alert]]\nname = \"next\"\n{next}\n");
        fs::write(auditor.directory().join("alert.toml"), config).unwrap();
        let output = server.run(auditor.directory(), "monitor test-alert --config DIR/alert.toml");
        expect_exhaustion(&next, &output);
    }
}

/// A copy of the program that any user may use.
struct Elsewhere {
    folder: tempfile::TempDir,
    user: u32,
}

impl Elsewhere {
    /// `None` where this is not the administrator, who may be somebody else.
    fn new() -> Option<Elsewhere> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::copy(program().get_program(), folder.path().join("countersign")).unwrap();
        for (name, mode) in [("", 0o777), ("countersign", 0o755)] {
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        // The limit covers all threads of a user.
        Some(Elsewhere { folder, user: 200_000 + std::process::id() % 1_000_000 })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs it with so many threads and processes at most.
    fn run(&self, threads: u64, text: &str) -> Output {
        let whole = text.replace("TRUST", &trust()).replace("DIR", self.folder.path().to_str().unwrap());
        let mut command = Command::new("prlimit");
        command.arg(format!("--nproc={threads}:{threads}")).arg(self.path("countersign"));
        command.args(whole.split(' ')).current_dir(self.folder.path()).uid(self.user);
        command.stdin(Stdio::null()).output().unwrap()
    }
}

/// Where the limit allows the first threads and not the next, the look-up of a name for one.
#[test]
fn too_few_threads_exit_5() {
    let Some(place) = Elsewhere::new() else { return };
    let server = serve_dir(fixtures().join("demo"));
    let url = server.url().replace("127.0.0.1", "localhost");
    fs::write(place.path("secret"), "s".repeat(32)).unwrap();
    let channels = "[[alert]]\nname = \"a\"\ncommand = [\"/bin/true\"]\n\
         [[alert]]\nname = \"b\"\nwebhook = \"http://localhost:9/\"\nsecret-file = \"secret\"\n\
         [[alert]]\nname = \"c\"\nsmtp = \"smtp://localhost:9\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\n";
    fs::write(place.path("alert.toml"), channels).unwrap();
    let peers = format!("[[peer]]\nname = \"p\"\nheads = \"{url}checkpoint\"\n");
    fs::write(place.path("peers.toml"), peers).unwrap();
    let first = place.run(64, &format!("audit --log {url} --db DIR/mirror.db --init TRUST"));
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    for (text, usual) in [
        (format!("audit --log {url} --db DIR/new.db --init TRUST --retry-for 1s"), 0),
        (format!("audit --log {url} --db DIR/mirror.db --config DIR/peers.toml TRUST --retry-for 1s"), 0),
        (format!("receipt --index 5 --from-log --log {url} TRUST --retry-for 1s"), 0),
        (format!("heads import --db DIR/mirror.db --log-key {DEMO_KEY} {url}checkpoint --retry-for 1s"), 0),
        ("monitor test-alert --config DIR/alert.toml".to_owned(), 3),
    ] {
        let mut codes = Vec::new();
        for threads in (1..=9).chain([12, 64]) {
            let output = place.run(threads, &text);
            let message = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            let name = format!("{text} with {threads}: {message}");
            assert!(!message.contains("panicked") && !message.contains("a bug in countersign"), "{name}");
            match output.status.code() {
                Some(5) => assert!(!message.is_empty(), "{name}"),
                code => assert_eq!(code, Some(usual), "{name}"),
            }
            codes.push(output.status.code());
            for beside in ["new.db", "new.db.mark", "new.db-wal", "new.db-shm", "new.db.lock"] {
                let _ = fs::remove_file(place.path(beside));
            }
        }
        assert_eq!((codes.first(), codes.last()), (Some(&Some(5)), Some(&Some(usual))), "{text}: {codes:?}");
    }
}
