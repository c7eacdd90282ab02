//! `countersign monitor`, the real program, against a log that grows, lies, and has outages.

#![cfg(target_os = "linux")]

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;
use support::case::fixtures;
use support::cli::{Auditor, program, run};
use support::monitor::{Monitor, config, hasty_log_table, log_table};
use support::served::{Held, Served};

/// A log with few passkeys, which are made quickly.
fn serve(arguments: &[&str]) -> Served {
    Served::start(&[arguments, &["--approvers", "4", "--mix", "es256=1"]].concat())
}

/// The demo log, as a server that can be killed and started again.
fn serve_demo(arguments: &[&str]) -> Served {
    let demo = fixtures().join("demo");
    let log = ["--seed", "countersign demo", "--origin", "log.approvals.example/demo"];
    Served::start(&[&["--dir", demo.to_str().unwrap()], &log[..], arguments].concat())
}

/// A config of one log with the auditor's mirror, which is created.
fn watch(auditor: &Auditor, log: &Served, more: &str) -> std::path::PathBuf {
    let more = format!("init = true\n{more}");
    let table = log_table("main", &log.tiles_url(), &auditor.db(), log.log_key(), &more);
    config(auditor.directory(), &table)
}

fn is(kind: &'static str, log: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["event"] == kind && event["log"] == log
}

#[test]
fn growth_is_followed_and_served() {
    let log = serve(&["--entries", "300", "--grow", "20"]);
    let auditor = Auditor::new(log.log_key());
    let mut monitor = Monitor::start(&watch(&auditor, &log, "max-head-age = \"1h\""));
    monitor.wait_audits(4);
    let sizes: Vec<u64> =
        monitor.of_kind("audited").iter().map(|audit| audit["size"].as_u64().unwrap()).collect();
    assert!(sizes.is_sorted() && sizes.last() > sizes.first(), "{sizes:?}");
    assert!(
        monitor.of_kind("audited").iter().all(|audit| audit["verdict"] == "clean"),
        "{:#?}",
        monitor.events()
    );
    assert_eq!(monitor.page("/healthz"), (200, "ok\n".to_owned()));
    assert!(monitor.metric("countersign_head_size{log=\"main\"}").unwrap() >= 300.0);
    assert!(monitor.metric("countersign_head_age_seconds{log=\"main\"}").unwrap() < 60.0);
    assert_eq!(monitor.metric("countersign_verdict{log=\"main\",verdict=\"clean\"}"), Some(1.0));
    assert!(monitor.metric("countersign_audits_total{log=\"main\",verdict=\"clean\"}").unwrap() >= 4.0);
    let success = monitor.metric("countersign_last_success_timestamp_seconds{log=\"main\"}").unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - success).abs() < 30.0, "{success}");
    monitor.stop();
    // What was served while it ran is what the mirror has.
    assert_eq!(auditor.audit(log.tiles_url(), &[]).exit, 0);
}

/// Each lie is a finding in the metrics, and one line, however often it is seen; after a restart it is said
/// once more.
#[test]
fn lies_are_found_within_an_interval_and_reported_once() {
    for (lie, code, severity, verdict) in [
        ("rollback", "head-rollback", "invalid", "invalid"),
        ("tampered-entry:7", "root-mismatch", "invalid", "invalid"),
        ("rewrite", "inconsistent-heads", "violation", "violation"),
    ] {
        let log = serve(&["--entries", "300", "--lie", lie]);
        let auditor = Auditor::new(log.log_key());
        let path = watch(&auditor, &log, "");
        let mut monitor = Monitor::start(&path);
        let found =
            monitor.wait_after(0, lie, |event| event["event"] == "finding-new" && event["code"] == code);
        assert_eq!((&found["severity"], &found["log"]), (&severity.into(), &"main".into()), "{found}");
        monitor.wait_audits(3);
        let metric = format!("countersign_findings{{log=\"main\",code=\"{code}\",severity=\"{severity}\"}}");
        assert_eq!(monitor.metric(&metric), Some(1.0), "{lie}");
        let metric = format!("countersign_verdict{{log=\"main\",verdict=\"{verdict}\"}}");
        assert_eq!(monitor.metric(&metric), Some(1.0), "{lie}");
        assert_eq!(monitor.page("/healthz").0, 200, "{lie}: what the log does is no fault of ours");
        let reported =
            |monitor: &Monitor| monitor.events().iter().filter(|event| event["code"] == code).count();
        assert_eq!(reported(&monitor), 1, "{lie}: {:#?}", monitor.events());
        if severity == "violation" {
            let proof = found["evidence"].as_str().unwrap();
            assert_eq!(auditor.command(&["evidence", "verify", proof]).exit, 0);
        }
        monitor.stop();
        let monitor = Monitor::start(&path);
        monitor.wait_audits(3);
        assert_eq!(reported(&monitor), 1, "{lie}: {:#?}", monitor.events());
        let again = monitor.wait_after(0, lie, |event| event["code"] == code);
        assert_eq!(again["event"], "finding-stands", "{lie}: {again}");
    }
}

#[test]
fn two_monitors_that_compare_heads_find_a_fork() {
    let log = serve(&["--entries", "300", "--lie", "fork-by-client:mallory"]);
    let [honest, fooled] = [Auditor::new(log.log_key()), Auditor::new(log.log_key())];
    let path = watch(&honest, &log, "");
    let mut ours = Monitor::start(&path);
    let theirs = Monitor::start(&watch(&fooled, &log, "contact = \"mallory\""));
    ours.wait_audits(2);
    theirs.wait_audits(2);
    assert!(
        [&ours, &theirs].iter().all(|one| one.of_kind("finding-new").is_empty()),
        "neither can know alone"
    );
    // Our own history first: it comes back as it was given, and fits.
    let heads = ours.page("/heads?log=main").1;
    let url = ours.url("/heads?log=main");
    ours.wait_audits(1);
    let stranger = Auditor::new(log.log_key());
    assert_eq!(stranger.audit(log.tiles_url(), &["--init"]).exit, 0);
    let imported = stranger.command(&["heads", "import", "--format", "json", "--db", "{db}", &url]);
    let report: Value = serde_json::from_str(&imported.stdout).unwrap();
    assert_eq!(
        (imported.exit, &report["verdict"], &report["refusals"]),
        (0, &"clean".into(), &0.into()),
        "{report}"
    );
    ours.stop();
    let exported = honest.command(&["heads", "export", "--db", "{db}"]).stdout;
    assert_eq!(heads, exported, "as `heads export` writes them");
    // Then theirs.
    let fork = honest.command(&["heads", "import", "--db", "{db}", &theirs.url("/heads")]);
    assert_eq!(fork.exit, 4, "{fork:?}");
    let ours = Monitor::start(&path);
    let stands = ours.wait_after(0, "the fork", |event| event["code"] == "same-size-fork");
    assert_eq!(stands["severity"], "violation");
}

#[test]
fn an_outage_is_not_a_finding_and_ends() {
    let mut log = serve_demo(&[]);
    let address = log.url.trim_start_matches("http://").trim_end_matches("/log").to_owned();
    let auditor = Auditor::new(log.log_key());
    let table = hasty_log_table("main", &log.tiles_url(), &auditor.db(), log.log_key(), "init = true");
    let monitor = Monitor::start(&config(auditor.directory(), &table));
    monitor.wait("audited");
    log.child.kill().unwrap();
    log.child.wait().unwrap();
    let third =
        monitor.wait_after(0, "a third try", |event| event["event"] == "unreachable" && event["times"] == 3);
    // 300 ms four times over, less a tenth.
    assert!(third["nextMs"].as_u64().unwrap() >= 1080, "{third}");
    assert_eq!(monitor.metric("countersign_unreachable{log=\"main\"}").map(|times| times >= 3.0), Some(true));
    assert_eq!(monitor.metric("countersign_verdict{log=\"main\",verdict=\"incomplete\"}"), Some(1.0));
    assert_eq!(
        monitor.metric("countersign_head_size{log=\"main\"}"),
        Some(800.0),
        "what was known stays known"
    );
    assert_eq!(monitor.page("/healthz").0, 200);
    let before = monitor.events().len();
    let _log = serve_demo(&["--listen", &address]);
    monitor.wait_after(before, "recovery", is("reachable", "main"));
    monitor.wait_after(before, "a clean audit", |event| {
        event["event"] == "audited" && event["verdict"] == "clean"
    });
    assert_eq!(monitor.metric("countersign_unreachable{log=\"main\"}"), Some(0.0));
    assert!(monitor.of_kind("finding-new").is_empty(), "{:#?}", monitor.events());
}

#[test]
fn a_stop_during_an_audit_is_quick_and_harmless() {
    let log = serve_demo(&["--page", "40"]);
    let auditor = Auditor::new(log.log_key());
    for (way, signal) in [("", "TERM"), ("api+", "INT")] {
        // The head is answered, and the entries are not.
        let held = Held::at(&log, "entries");
        let url = format!("{way}{}", held.url());
        let table = log_table("main", &url, &auditor.db(), log.log_key(), "init = true");
        let mut monitor = Monitor::start(&config(auditor.directory(), &format!("{table}workers = 1\n")));
        held.wait_asked();
        monitor.signal(signal);
        assert_eq!(monitor.end(support::HANG), 0, "{way}: {:#?}", monitor.events());
        // Not after its patience with what was under way.
        assert_eq!(monitor.wait("stopped")["message"], "stopped", "{way}");
        assert!(
            monitor.of_kind("audited").is_empty(),
            "{way}: it should have been in the middle: {:#?}",
            monitor.events()
        );
        monitor.wait("audit-stopped");
        // The mirror opens without --init, and what is missing is fetched.
        let next = auditor.audit(fixtures().join("demo"), &[]);
        assert_eq!(
            (next.exit, next.report()["entries"]["total"].as_u64()),
            (0, Some(800)),
            "{way}: {next:#?}"
        );
        std::fs::remove_file(auditor.db()).unwrap();
        std::fs::remove_file(auditor.beside_db(".mark")).unwrap();
    }
}

#[test]
fn a_reload_adds_a_log_and_refuses_a_wrong_config() {
    let log = serve(&["--entries", "300"]);
    let [one, two] = [Auditor::new(log.log_key()), Auditor::new(log.log_key())];
    let first = log_table("main", &log.tiles_url(), &one.db(), log.log_key(), "init = true");
    let path = config(one.directory(), &first);
    let mut monitor = Monitor::start(&path);
    monitor.wait("audited");
    for wrong in ["no toml", &first.replace("rp-id", "rp-idd"), &format!("{first}{first}")] {
        let before = monitor.events().len();
        config(one.directory(), wrong);
        monitor.signal("HUP");
        monitor.wait_after(before, "a refusal", |event| event["event"] == "reload-refused");
        monitor.wait_after(monitor.events().len(), "the old config", is("audited", "main"));
    }
    let answered = "countersign_requests_total{log=\"main\",outcome=\"ok\"}";
    let before = monitor.metric(answered).unwrap();
    let second = log_table("second", &log.api_url(), &two.db(), log.log_key(), "init = true");
    config(one.directory(), &format!("{first}{second}"));
    monitor.signal("HUP");
    let audited = monitor.wait_after(0, "the second log", is("audited", "second"));
    assert_eq!(audited["verdict"], "clean", "{audited}");
    assert_eq!(monitor.metric("countersign_head_size{log=\"second\"}"), Some(300.0));
    assert!(before >= 4.0 && monitor.metric(answered).unwrap() >= before, "a reload begins no new count");
    assert_eq!(monitor.page("/heads").0, 404, "which of the two?");
    assert_eq!(monitor.page("/heads?log=second").0, 200);
    monitor.stop();
}

/// A leftover `init` is reported at each start and reload, but not when the mirror is created.
#[test]
fn a_leftover_init_is_reported() {
    let log = serve(&["--entries", "20"]);
    let auditor = Auditor::new(log.log_key());
    let path = watch(&auditor, &log, "");
    let monitor = Monitor::start(&path);
    monitor.wait("audited");
    assert!(monitor.of_kind("init-left").is_empty(), "{:#?}", monitor.events());
    monitor.signal("HUP");
    let event = monitor.wait_after(0, "after a reload", is("init-left", "main"));
    assert_eq!(event["level"], "warn", "{event}");
    drop(monitor);
    Monitor::start(&path).wait("init-left");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("init = true", "")).unwrap();
    let monitor = Monitor::start(&path);
    monitor.wait("audited");
    assert!(monitor.of_kind("init-left").is_empty(), "{:#?}", monitor.events());
}

#[test]
fn a_second_monitor_on_one_mirror_is_reported() {
    let log = serve_demo(&["--page", "40"]);
    let auditor = Auditor::new(log.log_key());
    let held = Held::at(&log, "entries");
    let more = "init = true\nworkers = 1";
    let table = log_table("main", &held.url(), &auditor.db(), log.log_key(), more);
    let path = config(auditor.directory(), &table);
    let first = Monitor::start(&path);
    // It has the mirror before it asks anything.
    held.wait_asked();
    let second = Monitor::start(&path);
    let event = second.wait("in-use");
    assert!(event["message"].as_str().unwrap().contains("in use"), "{event}");
    second.wait_health(503, "in use");
    assert!(first.of_kind("in-use").is_empty());
    // It is tried again, and once the first is gone it gets through.
    drop(first);
    held.go_on();
    let audited = second.wait("audited");
    assert_eq!(audited["verdict"], "clean", "{audited}");
    second.wait_health(200, "ok");
}

/// Runs `monitor --once` with these tables and gives the exit code and the verdicts.
fn once(directory: &Path, tables: &str) -> (i32, Vec<String>) {
    let path = config(directory, tables);
    let mut command = program();
    command.args(["monitor", "--once", "--format", "json", "--config"]).arg(path);
    let outcome = run(command);
    let reports = outcome.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    (outcome.exit, reports.map(|report| report["verdict"].as_str().unwrap().to_owned()).collect())
}

#[test]
fn once_exits_with_the_worst_code() {
    let directory = tempfile::tempdir().unwrap();
    let honest = serve(&["--entries", "20"]);
    let forged = serve(&["--entries", "20", "--lie", "forged-entry:7"]);
    let rewritten = serve(&["--entries", "20", "--lie", "rewrite"]);
    let table = |name: &str, log: &Served, more: &str| {
        log_table(name, &log.tiles_url(), &directory.path().join(name), log.log_key(), more)
    };
    let clean = table("clean", &honest, "init = true");
    let invalid = table("invalid", &forged, "init = true");
    let nobody =
        table("nobody", &honest, "init = true").replace(&honest.tiles_url(), "http://127.0.0.1:1/log");
    let violation = table("violation", &rewritten, "init = true");
    let missing = table("missing", &honest, "");
    let verdicts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    assert_eq!(once(directory.path(), &clean), (0, verdicts(&["clean"])));
    assert_eq!(
        once(directory.path(), &violation),
        (0, verdicts(&["clean"])),
        "a lie needs something to contradict"
    );
    assert_eq!(once(directory.path(), &nobody), (3, verdicts(&["incomplete"])));
    assert_eq!(
        once(directory.path(), &format!("{nobody}{invalid}{clean}")),
        (1, verdicts(&["incomplete", "invalid", "clean"]))
    );
    assert_eq!(
        once(directory.path(), &format!("{violation}{invalid}")),
        (4, verdicts(&["violation", "invalid"]))
    );
    assert_eq!(
        once(directory.path(), &format!("{violation}{missing}{clean}")),
        (5, verdicts(&["violation", "local-fault", "clean"]))
    );
    assert!(!directory.path().join("missing").exists());
    assert_eq!(once(directory.path(), &format!("{clean}{clean}")), (2, Vec::new()));
    assert_eq!(once(directory.path(), &clean.replace("rp-id", "rpid")), (2, Vec::new()));
}

#[test]
fn a_missing_mirror_and_a_missed_interval_are_unhealthy() {
    let log = serve(&["--entries", "300"]);
    let auditor = Auditor::new(log.log_key());
    let table = log_table("main", &log.tiles_url(), &auditor.db(), log.log_key(), "deadline = \"500ms\"");
    let path = config(auditor.directory(), &table);
    let monitor = Monitor::start(&path);
    monitor.wait_health(503, "there is no mirror");
    drop(monitor);
    config(auditor.directory(), &format!("{table}init = true\n"));
    let monitor = Monitor::start(&path);
    monitor.wait("audited");
    monitor.wait_health(200, "ok");
    // Somebody holds the mirror's database, and audits wait for it.
    let db = rusqlite::Connection::open(auditor.db()).unwrap();
    db.busy_timeout(support::HANG).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    monitor.wait_health(503, "an interval was missed");
    db.execute_batch("ROLLBACK").unwrap();
    monitor.wait_health(200, "ok");
    // A mirror that disappears while the monitor runs is a fault, even with `init`.
    for suffix in ["", ".mark", "-wal", "-shm"] {
        let _ = std::fs::remove_file(auditor.beside_db(suffix));
    }
    monitor.wait_health(503, "there is no mirror");
}

#[test]
fn a_killed_monitor_continues() {
    let log = serve(&["--entries", "3000", "--grow", "30"]);
    let auditor = Auditor::new(log.log_key());
    let path = watch(&auditor, &log, "");
    let mut random = fastrand::Rng::with_seed(17);
    for _ in 0..10 {
        let mut monitor = Monitor::start(&path);
        std::thread::sleep(Duration::from_millis(random.u64(50..1200)));
        monitor.child.kill().unwrap();
        monitor.child.wait().unwrap();
        assert!(monitor.of_kind("fault").is_empty(), "{:#?}", monitor.events());
        if auditor.db().exists() {
            let heads = auditor.command(&["heads", "list", "--db", "{db}"]);
            assert_eq!(heads.exit, 0, "{heads:?}");
        }
    }
    let mut monitor = Monitor::start(&path);
    let audited = monitor.wait("audited");
    assert_eq!(audited["verdict"], "clean", "{audited}");
    monitor.stop();
    let full = auditor.audit(log.tiles_url(), &["--full"]);
    assert_eq!((full.exit, full.codes()), (0, Vec::new()), "{full:#?}");
}

#[test]
fn the_service_manager_is_notified_of_ready_alive_and_stopping() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let log = serve(&["--entries", "20"]);
    let auditor = Auditor::new(log.log_key());
    let path = watch(&auditor, &log, "");
    let file = auditor.directory().join("notify");
    let name = format!("countersign-test-{}", std::process::id());
    let abstract_one = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    for (socket, address) in [
        (UnixDatagram::bind(&file).unwrap(), file.to_str().unwrap().to_owned()),
        (abstract_one, format!("@{name}")),
    ] {
        socket.set_read_timeout(Some(support::HANG)).unwrap();
        let hear = || {
            let mut message = [0; 100];
            let length = socket.recv(&mut message).unwrap();
            String::from_utf8(message[..length].to_vec()).unwrap()
        };
        let mut command = program();
        command.arg("monitor").arg("--config").arg(&path);
        command.env("NOTIFY_SOCKET", &address).env("WATCHDOG_USEC", "200000");
        let mut monitor = Monitor::spawn(command);
        assert_eq!(hear(), "READY=1");
        for _ in 0..3 {
            assert_eq!(hear(), "WATCHDOG=1");
        }
        monitor.signal("TERM");
        while hear() != "STOPPING=1" {}
        assert_eq!(monitor.end(support::HANG), 0);
    }
}

/// Sends raw bytes, and gives everything that comes back until the other side closes.
fn raw(monitor: &Monitor, bytes: &[u8]) -> String {
    let address = monitor.wait("started")["listen"].as_str().unwrap().to_owned();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(support::HANG)).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_http_server_is_bounded_and_shows_no_secret() {
    let log = serve(&["--entries", "20"]);
    let auditor = Auditor::new(log.log_key());
    let secret = auditor.directory().join("token");
    std::fs::write(&secret, "a-token-of-the-test").unwrap();
    let monitor = Monitor::start(&watch(&auditor, &log, &format!("bearer-file = {secret:?}")));
    monitor.wait("audited");
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "405"),
        ("DELETE /heads HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("GET /heads?log=other HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("GET /heads?log=%00%ff HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("nonsense\r\n\r\n", "400"),
        (&format!("GET /metrics HTTP/1.1\r\nHost: a\r\nLong: {}\r\n\r\n", "x".repeat(100_000)), "431"),
    ] {
        let answer = raw(&monitor, request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:.60}: {answer:.200}");
    }
    for path in ["/metrics", "/healthz", "/heads"] {
        let head = raw(&monitor, format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{path}: {head}");
        let page = monitor.page(path).1;
        assert!(!page.contains("a-token") && !page.contains(auditor.directory().to_str().unwrap()), "{page}");
    }
    assert!(!format!("{:?}", monitor.events()).contains("a-token"));
    // Many silent clients do not block others for long.
    monitor.assert_answers_beside(40, b"", "/healthz");
}

/// What it costs to wait. Printed; only gross waste fails.
#[test]
fn an_idle_monitor_uses_few_resources() {
    let log = serve(&["--entries", "3000"]);
    let auditor = Auditor::new(log.log_key());
    let path = watch(&auditor, &log, "interval = \"1h\"");
    let monitor = Monitor::start(&path);
    monitor.wait("audited");
    std::thread::sleep(Duration::from_millis(500));
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", monitor.child.id())).unwrap();
    let ticks = || -> u64 {
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_secs(3));
    let used = ticks() - before;
    let status = read("status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim().to_owned();
    println!("idle for 3 s: {used} ticks of 10 ms; resident {resident}");
    assert!(used <= 15, "{used} ticks in 3 s");
}
