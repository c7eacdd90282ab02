//! `countersign monitor` among signals at the wrong time and callers who never come to the point.

#![cfg(target_os = "linux")]

use rustix::fs::inotify;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::cli::{Auditor, program, run};
use support::monitor::{Monitor, config, log_table};
use support::served::Served;

fn serve() -> Served {
    Served::start(&["--entries", "20", "--approvers", "4", "--mix", "es256=1"])
}

/// A config of one log with the auditor's mirror; `above` stands above it.
fn watch(auditor: &Auditor, log: &Served, interval: &str, above: &str) -> PathBuf {
    let table = log_table("main", &log.tiles_url(), &auditor.db(), log.log_key(), "init = true");
    let path = config(auditor.directory(), "");
    let text = format!("listen = \"0\"\ninterval = {interval:?}\nlog-format = \"json\"\n{above}{table}");
    std::fs::write(&path, text).unwrap();
    path
}

/// An alert that keeps the first audit under way, as the log lies, until the test lets it [`go_on`].
fn slow(auditor: &Auditor) -> String {
    let [begun, go] = ["begun", "go"].map(|name| auditor.directory().join(name));
    let (begun, go) = (begun.display(), go.display());
    let does = format!("echo > '{begun}'; while [ ! -e '{go}' ]; do /bin/sleep 0.05; done");
    format!("[[alert]]\nname = \"slow\"\ncommand = [\"/bin/sh\", \"-c\", {does:?}]\n")
}

/// Waits until that is under way.
fn wait_slow(auditor: &Auditor) {
    let begun = auditor.directory().join("begun");
    support::until("an alert", || begun.exists());
}

/// Tells when somebody has read a file to its end, which a reload does before it waits for the audits.
struct Reads(std::fs::File);

impl Reads {
    fn of(path: &Path) -> Reads {
        let queue = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&queue, path, inotify::WatchFlags::CLOSE_NOWRITE).unwrap();
        Reads(queue.into())
    }

    fn wait(&mut self) {
        support::until("read", || self.0.read(&mut [0; 1024]).is_ok_and(|bytes| bytes > 0));
    }
}

fn go_on(auditor: &Auditor) {
    std::fs::write(auditor.directory().join("go"), "").unwrap();
}

fn lying() -> Served {
    Served::start(&["--entries", "20", "--approvers", "4", "--mix", "es256=1", "--lie", "tampered-entry:7"])
}

#[test]
fn a_reload_during_a_reload_is_queued() {
    let log = lying();
    let auditor = Auditor::new(log.log_key());
    let path = watch(&auditor, &log, "1h", &slow(&auditor));
    let monitor = Monitor::start(&path);
    wait_slow(&auditor);
    watch(&auditor, &log, "2h", &slow(&auditor));
    let mut reads = Reads::of(&path);
    monitor.signal("HUP");
    reads.wait();
    assert!(monitor.of_kind("reloaded").is_empty(), "nothing was waited for: {:#?}", monitor.events());
    watch(&auditor, &log, "3h", &slow(&auditor));
    monitor.signal("HUP");
    go_on(&auditor);
    support::until("reloaded again", || {
        monitor.metric("countersign_interval_seconds{log=\"main\"}") == Some(10800.0)
    });
}

#[test]
fn a_stop_during_a_reload_comes_first() {
    let log = lying();
    let auditor = Auditor::new(log.log_key());
    let path = watch(&auditor, &log, "1h", &slow(&auditor));
    let mut monitor = Monitor::start(&path);
    wait_slow(&auditor);
    let mut reads = Reads::of(&path);
    monitor.signal("HUP");
    reads.wait();
    monitor.signal("TERM");
    monitor.wait("stopping");
    go_on(&auditor);
    assert_eq!(monitor.end(support::HANG), 0);
    assert_eq!(monitor.wait("stopped")["message"], "stopped", "{:#?}", monitor.events());
}

#[test]
fn a_pipe_in_place_of_a_secret_blocks_nothing() {
    let log = serve();
    let auditor = Auditor::new(log.log_key());
    let mut monitor = Monitor::start(&watch(&auditor, &log, "300ms", ""));
    monitor.wait_audits(1);
    let pipe = auditor.directory().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let above =
        format!("[[alert]]\nname = \"h\"\nwebhook = \"https://h.example/\"\nsecret-file = {pipe:?}\n");
    watch(&auditor, &log, "300ms", &above);
    monitor.signal("HUP");
    let refused = monitor.wait("reload-refused");
    assert!(refused["message"].as_str().unwrap().contains("it is not a file"), "{refused}");
    assert_eq!(monitor.page("/healthz").0, 200);
    monitor.wait_audits(1);
    monitor.stop();
}

#[test]
fn slow_http_clients_block_nobody() {
    let log = serve();
    let auditor = Auditor::new(log.log_key());
    let mut monitor = Monitor::start(&watch(&auditor, &log, "300ms", ""));
    monitor.wait_audits(1);
    let request = b"GET /healthz HTTP/1.1\r\nHost:";
    // More than it has connections.
    monitor.assert_answers_beside(800, request, "/healthz");
    for page in ["/healthz", "/metrics", "/heads"] {
        monitor.assert_answers_beside(300, request, page);
    }
    monitor.stop();
}

#[test]
fn a_mirror_belongs_to_one_log_under_any_path() {
    let log = serve();
    let auditor = Auditor::new(log.log_key());
    std::fs::create_dir(auditor.directory().join("sub")).unwrap();
    let again = auditor.db().parent().unwrap().join("sub/..").join(auditor.db().file_name().unwrap());
    let one = log_table("one", &log.tiles_url(), &auditor.db(), log.log_key(), "");
    let two = log_table("two", &log.tiles_url(), &again, log.log_key(), "");
    let path = config(auditor.directory(), &(one + &two));
    let mut command = program();
    command.args(["config", "check", "--config"]).arg(&path);
    let outcome = run(command);
    assert_eq!(outcome.exit, 2, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("has the same mirror as another"), "{}", outcome.stderr);
}
