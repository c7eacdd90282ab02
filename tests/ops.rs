//! What is shipped for operators: the example config can be used, and systemd takes the units.

mod support;

use countersign::core::finding::Code;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::case::fixtures;
use support::cli::{Outcome, program, run};
use support::served::Served;

fn ops(name: &str) -> PathBuf {
    fixtures().join("ops").join(name)
}

fn check(config: &Path) -> Outcome {
    let mut command = program();
    command.args(["config", "check", "--config"]).arg(config);
    run(command)
}

/// The example with its directories in the place of a test's.
fn example(directory: &Path) -> String {
    let text = std::fs::read_to_string(ops("monitor.toml")).unwrap();
    text.replace("/var/lib/countersign", directory.to_str().unwrap())
}

#[test]
fn the_example_config_can_be_used_and_says_what_it_checks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("monitor.toml");
    std::fs::write(&path, example(directory.path())).unwrap();
    let outcome = check(&path);
    assert_eq!(outcome.exit, 0, "{outcome:#?}");
    for said in [
        "approvals: every 5m",
        "approvals-eu: every 15m",
        "monitor listens on 127.0.0.1:9464",
        "the first audit needs --init",
        "NOT checked       the newest checkpoint has the cosignatures",
        "NOT checked       approvers sign with their pinned keys only",
        "checked if there  the newest head is fresh enough",
        "NOT checked       the newest head is fresh enough", // of the second log
    ] {
        assert!(outcome.stdout.contains(said), "{said}: {}", outcome.stdout);
    }
}

/// What the trial of the README needs is there, with the key that the log of that trial has.
#[test]
fn the_config_of_the_trial_can_be_used() {
    let text = std::fs::read_to_string(ops("try.toml")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("try.toml");
    std::fs::write(&path, text.replace("target/try", directory.path().to_str().unwrap())).unwrap();
    let outcome = check(&path);
    assert!(outcome.exit == 0 && outcome.stdout.contains("trial: every 5s"), "{outcome:#?}");
    let log = Served::start(&["--entries", "1", "--approvers", "1", "--mix", "es256=1"]);
    assert!(text.contains(log.log_key()), "{}", log.log_key());
}

/// Whoever is told of a finding finds it in the table of the README.
#[test]
fn the_readme_says_what_each_alert_means() {
    let readme = include_str!("../README.md");
    let section = readme.split("### What each alert means, and what to do").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let conditions = ["unreachable", "local-fault", "channel-failing"];
    for code in Code::ALL.iter().map(|code| code.as_str()).chain(conditions) {
        let rows = section.lines().filter(|line| {
            line.starts_with('|') && line.split(" | ").next().unwrap().contains(&format!("`{code}`"))
        });
        assert_eq!(rows.count(), 1, "{code}");
    }
}

/// Every commented-out key of the example is one that there is.
#[test]
fn what_the_example_leaves_out_could_be_put_in() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key = "log.approvals.example/2026+9978b3d0+AaRzICHzMeGTiBChYq8/zJub2Q6ZCWwzLfgLcAHvPG2u";
    let policy = file("witnesses", &format!("log {key}\nquorum none\n"));
    let token = file("token", "secret");
    let identity = "ab".repeat(32);
    let text = example(directory.path())
        .replace("# init", "init")
        .replace("# [[alert]]", "[[alert]]")
        .replace("# name = \"pager\"", "name = \"pager\"")
        .replace("# command = [", "command = [")
        .replace("# severity = ", "severity = ")
        .replace("# [[log.peer]]\n# name", "[[log.peer]]\nname")
        .replace("# heads", "heads")
        .replace("# policy = \"/etc/countersign/witnesses.policy\"", &format!("policy = {policy:?}"))
        .replace(
            "# bearer-file = \"/run/credentials/countersign.service/token\"",
            &format!("bearer-file = {token:?}"),
        )
        .replace(
            "# \"alex@corp.example\" = [\"2f6c…\"]",
            &format!("\"alex@corp.example\" = [\"{identity}\"]"),
        );
    let path = directory.path().join("monitor.toml");
    std::fs::write(&path, text).unwrap();
    let outcome = check(&path);
    assert_eq!(outcome.exit, 0, "{outcome:#?}");
    assert!(outcome.stdout.contains("then take init = true out"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("compared with     other-org, https://watch.other.example/heads\n"));
    assert!(outcome.stdout.contains("checked if there") && !outcome.stdout.contains("secret"));
}

/// Rules above the first log are for all, those of a log for it alone; each is said in a line.
#[test]
fn watch_rules_are_of_all_logs_or_of_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("monitor.toml");
    let own = "[[log.watch]]\nname = \"only here\"\nany = true\nchannels = [\"nobody\"]\n[log.approvers]";
    let text = example(directory.path())
        .replace("# [[watch]]\n# name", "[[watch]]\nname")
        .replace("# approver = ", "approver = ")
        .replace("# decision = ", "decision = ")
        .replace("[log.approvers]", own);
    std::fs::write(&path, &text).unwrap();
    let outcome = check(&path);
    assert!(
        outcome.exit == 2 && outcome.stderr.contains("no [[alert]] with name = \"nobody\""),
        "{outcome:#?}"
    );
    std::fs::write(&path, text.replace("channels = [\"nobody\"]\n", "")).unwrap();
    let outcome = check(&path);
    assert_eq!(outcome.exit, 0, "{outcome:#?}");
    let (first, second) = outcome.stdout.split_once("approvals-eu: every").unwrap();
    let all =
        "watched for       approved as alex: decision approved, approver \"alex@corp.example\"; warning\n";
    let one = "watched for       only here: any entry; warning\n";
    assert!(
        first.contains(all) && first.contains(one) && second.contains(all) && !second.contains(one),
        "{outcome:#?}"
    );
}

#[test]
fn a_config_that_cannot_be_used_is_2_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("monitor.toml");
    let good = example(directory.path());
    for (from, to, why) in [
        ("rp-id", "rpid", "unknown field"),
        ("9978b3d0", "9978b3d1", "log-key"),
        ("interval = \"15m\"", "interval = \"1ms\"", "between 100ms and a year"),
        ("name = \"approvals-eu\"", "name = \"approvals\"", "two logs have the name"),
        ("approvals-eu.db", "approvals.db", "mirror of another"),
        ("name = \"approvals-eu\"\n", "", "give it a name"),
        ("# policy", "policy", "--policy"),
        ("# bearer-file", "bearer-file", "--bearer-file"),
        ("db = \"", "db = \"/no/such/directory", "is not there: create it"),
        ("listen = \"9464\"", "listen = \"somewhere\"", "--listen"),
        ("name = \"approvals\"", "name = \"approvals\"\nlisten = \"1\"", "above the first [[log]]"),
        ("max-head-age = \"36h\"", "max-head-age = \"soon\"", "no duration"),
        ("log = \"https://host", "log = \"gopher://host", "--log"),
        ("\nrp-id", "\n[rp-id", "config"),
        (&good, "log = []", "no [[log]]"),
        (&good, "", "which log?"),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let outcome = check(&path);
        assert!(outcome.exit == 2 && outcome.stderr.contains(why), "{from} to {to}, {why}: {outcome:#?}");
        assert!(outcome.stdout.is_empty(), "{from} to {to}: {}", outcome.stdout);
    }
    std::fs::write(&path, &good).unwrap();
    // Options of one log, and commands of one log, are not for a config of several.
    for arguments in
        [&["monitor", "--once", "--init"][..], &["monitor", "--db", "x"], &["audit"], &["heads", "list"]]
    {
        let mut command = program();
        command.args(arguments).arg("--config").arg(&path);
        let outcome = run(command);
        assert!(outcome.exit == 2 && outcome.stderr.contains("several logs"), "{arguments:?}: {outcome:#?}");
    }
}

/// One file for `audit` and for `monitor`.
#[test]
fn the_config_of_an_audit_is_one_of_the_monitor() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.toml");
    let trust = std::fs::read_to_string(fixtures().join("demo/trust.toml")).unwrap();
    let (log, db) = (fixtures().join("demo"), directory.path().join("demo.db"));
    let text =
        format!("log = {log:?}\ndb = {db:?}\nname = \"demo\"\ninterval = \"1h\"\nlisten = \"9464\"\n{trust}");
    std::fs::write(&path, text).unwrap();
    let once = |arguments: &[&str]| {
        let mut command = program();
        command.args(arguments).arg("--config").arg(&path);
        run(command)
    };
    let said = once(&["monitor", "--once", "--init"]);
    assert!(said.exit == 0 && said.stdout.starts_with("CLEAN"), "{said:#?}");
    assert_eq!(once(&["audit"]).exit, 0);
    assert_eq!(once(&["config", "check"]).exit, 0);
    let quiet = once(&["monitor", "--once", "--quiet"]);
    assert_eq!((quiet.exit, quiet.stdout, quiet.stderr), (0, String::new(), String::new()));
}

#[test]
fn systemd_takes_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        println!("SKIPPED: systemd-analyze is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for name in ["countersign.service", "countersign-once.service", "countersign-once.timer"] {
        // The program as it is here: systemd looks whether it is there.
        let text = std::fs::read_to_string(ops(name)).unwrap();
        let text = text.replace("/usr/local/bin/countersign", env!("CARGO_BIN_EXE_countersign"));
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    for name in ["countersign.service", "countersign-once.service", "countersign-once.timer"] {
        let path = directory.path().join(name);
        let verified = Command::new("systemd-analyze").arg("verify").arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&verified.stderr);
        // It also speaks of other units of this machine.
        assert!(verified.status.success() && !said.contains("countersign"), "{name}: {said}");
    }
}

/// The cron line and the units name options that there are.
#[test]
fn commands_in_the_files_are_commands_that_there_are() {
    let mut seen = 0;
    for name in ["countersign.service", "countersign-once.service", "countersign.cron"] {
        let text = std::fs::read_to_string(ops(name)).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((_, command)) = line.split_once("/usr/local/bin/countersign ") else { continue };
            let arguments = command.split(" && ").next().unwrap().split(' ').map(|argument| match argument {
                "/etc/countersign/monitor.toml" => "/no/such/config.toml",
                other => other,
            });
            let mut program = program();
            program.args(arguments);
            let outcome = run(program);
            assert!(
                outcome.exit == 2 && outcome.stderr.contains("config \"/no/such"),
                "{name}: {outcome:#?}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}
