//! What is shipped for operators: the example config can be used, and systemd takes the units.

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
fn the_example_config_is_accepted_and_lists_its_checks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("monitor.toml");
    std::fs::write(&path, example(directory.path())).unwrap();
    let outcome = check(&path);
    assert_eq!(outcome.exit, 0, "{outcome:#?}");
    for text in [
        "approvals: every 5m",
        "approvals-eu: every 15m",
        "monitor listens on 127.0.0.1:9464",
        "the first audit needs --init",
        "NOT checked       the newest checkpoint has the cosignatures",
        "NOT checked       approvers sign with their pinned keys only",
        "checked if there  the newest head is fresh enough",
        "NOT checked       the newest head is fresh enough", // of the second log
    ] {
        assert!(outcome.stdout.contains(text), "{text}: {}", outcome.stdout);
    }
}

/// What the trial of the monitor's page needs is there, with the key that the log of that trial has.
#[test]
fn the_trial_config_is_accepted() {
    let text = std::fs::read_to_string(ops("try.toml")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("try.toml");
    std::fs::write(&path, text.replace("target/try", directory.path().to_str().unwrap())).unwrap();
    let outcome = check(&path);
    assert!(outcome.exit == 0 && outcome.stdout.contains("trial: every 5s"), "{outcome:#?}");
    let log = Served::start(&["--entries", "1", "--approvers", "1", "--mix", "es256=1"]);
    assert!(text.contains(log.log_key()), "{}", log.log_key());
}

/// Every finding code is in the table of the page on alerts.
#[test]
fn the_guide_explains_each_alert() {
    let page = include_str!("../../src/docs/alerts.md");
    let section = page.split("## What each alert means, and what to do").nth(1).unwrap();
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
fn commented_out_keys_of_the_example_are_accepted() {
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
    assert!(outcome.stdout.contains("then remove init = true"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("compared with     other-org, https://watch.other.example/heads\n"));
    assert!(outcome.stdout.contains("checked if there") && !outcome.stdout.contains("secret"));
}

/// Rules above the first log apply to all logs, those of a log only to it; each is listed in a line.
#[test]
fn watch_rules_apply_to_all_logs_or_to_one() {
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
fn an_invalid_config_exits_2_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("monitor.toml");
    let good = example(directory.path());
    for (from, to, why) in [
        ("rp-id", "rpid", "unknown field"),
        ("9978b3d0", "9978b3d1", "log-key"),
        ("interval = \"15m\"", "interval = \"1ms\"", "between 100ms and a year"),
        ("name = \"approvals-eu\"", "name = \"approvals\"", "two logs have the name"),
        ("approvals-eu.db", "approvals.db", "same mirror as another"),
        ("name = \"approvals-eu\"\n", "", "give it a name"),
        ("# policy", "policy", "--policy"),
        ("# bearer-file", "bearer-file", "--bearer-file"),
        ("db = \"", "db = \"/no/such/directory", "does not exist: create it"),
        ("listen = \"9464\"", "listen = \"somewhere\"", "--listen"),
        ("name = \"approvals\"", "name = \"approvals\"\nlisten = \"1\"", "above the first [[log]]"),
        ("max-head-age = \"36h\"", "max-head-age = \"soon\"", "not a duration"),
        ("log = \"https://host", "log = \"gopher://host", "--log"),
        ("\nrp-id", "\n[rp-id", "config"),
        (&good, "log = []", "no [[log]]"),
        (&good, "", "missing --log"),
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
        assert!(outcome.stderr.contains("--name NAME"), "{arguments:?}: {outcome:#?}");
    }
}

/// A config of two logs that are both the demo log; the lines above the first are `above`.
fn two_logs(directory: &Path, above: &str) -> PathBuf {
    let trust = std::fs::read_to_string(fixtures().join("demo/trust.toml")).unwrap();
    let keys: Vec<&str> = trust.lines().take_while(|line| !line.starts_with('[')).collect();
    let table = |name: &str| {
        let (log, db) = (fixtures().join("demo"), directory.join(name).with_extension("db"));
        format!("[[log]]\nname = {name:?}\nlog = {log:?}\ndb = {db:?}\n{}\n", keys.join("\n"))
    };
    let path = directory.join("two.toml");
    std::fs::write(&path, format!("{above}\n{}{}", table("one"), table("two"))).unwrap();
    path
}

fn with(config: &Path, arguments: &[&str]) -> Outcome {
    let mut command = program();
    command.args(arguments).arg("--config").arg(config);
    run(command)
}

#[test]
fn every_command_uses_the_named_log() {
    let directory = tempfile::tempdir().unwrap();
    let config = two_logs(directory.path(), "interval = \"7m\"\n[[watch]]\nname = \"all\"\nany = true");
    let wrong = |arguments: &[&str], part: &str| {
        let outcome = with(&config, arguments);
        assert!(outcome.exit == 2 && outcome.stderr.contains(part), "{arguments:?}, {part}: {outcome:#?}");
    };
    for command in [&["audit"][..], &["heads", "list"], &["receipt", "--index", "0"]] {
        wrong(command, "--name NAME (\"one\", \"two\")");
    }
    let commands = [
        &["audit"][..],
        &["heads", "list"],
        &["monitor", "--once"],
        &["monitor", "test-alert"],
        &["config", "check"],
    ];
    for command in commands {
        wrong(&[command, &["--name", "three"]].concat(), "there is \"one\", \"two\"");
    }
    // Options of one log, of the one that is named; nothing of the other is touched.
    let first = with(&config, &["monitor", "--once", "--init", "--name", "one"]);
    assert_eq!(first.exit, 0, "{first:#?}");
    assert!(directory.path().join("one.db").exists() && !directory.path().join("two.db").exists());
    for command in [&["audit"][..], &["audit", "--full"], &["heads", "list"], &["receipt", "--index", "0"]] {
        let outcome = with(&config, &[command, &["--name", "one"]].concat());
        assert_eq!(outcome.exit, 0, "{command:?}: {outcome:#?}");
    }
    assert_eq!(with(&config, &["audit", "--name", "two"]).exit, 5, "it has no mirror");
    // What stands above the logs is of it as well.
    let check = with(&config, &["config", "check", "--name", "two"]);
    assert!(check.exit == 0 && check.stdout.starts_with("two: every 7m\n"), "{check:#?}");
    assert!(check.stdout.contains("watched for       all") && !check.stdout.contains("one.db"), "{check:#?}");
    // A lone [[log]] is the one that is meant.
    let text = std::fs::read_to_string(&config).unwrap();
    let (lone, _) = text.rsplit_once("[[log]]").unwrap();
    std::fs::write(&config, lone).unwrap();
    assert_eq!(with(&config, &["audit"]).exit, 0);
    assert_eq!(with(&config, &["monitor", "--once", "--max-head-age", "100years"]).exit, 0);
    wrong(&["audit", "--name", "two"], "there is \"one\"");
    // So is that of a config of one log, whose name must be right.
    let flat = lone.split_once("[[log]]").unwrap().1.replace("name = \"one\"", "");
    std::fs::write(&config, &flat).unwrap();
    wrong(&["audit", "--name", "one"], "has no name");
    std::fs::write(&config, format!("name = \"one\"\n{flat}")).unwrap();
    wrong(&["monitor", "--once", "--name", "two"], "the config has only one log, \"one\"");
    assert_eq!(with(&config, &["audit", "--name", "one"]).exit, 0);
    let mut command = program();
    command.args(["audit", "--name", "one"]);
    let outcome = run(command);
    assert!(outcome.exit == 2 && outcome.stderr.contains("--config FILE"), "{outcome:#?}");
}

#[test]
fn config_check_lists_recipients_and_likely_mistakes() {
    let directory = tempfile::tempdir().unwrap();
    let config = two_logs(directory.path(), "");
    let check = with(&config, &["config", "check"]);
    assert!(check.stdout.contains("  nobody is notified: there is no [[alert]]\n"), "{check:#?}");
    let quiet = with(&config, &["config", "check", "--quiet"]);
    assert_eq!((quiet.exit, quiet.stdout, quiet.stderr), (0, String::new(), String::new()));
    let json = with(&config, &["config", "check", "--format", "json"]);
    assert!(json.exit == 2 && json.stderr.contains("prints only text"), "{json:#?}");

    let secret = directory.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef-s3cret").unwrap();
    let above = format!(
        "alert-reminder = \"7days\"\n[[alert]]\nname = \"pager\"\ncommand = [\"/no/such/page\"]\n\
         severity = \"violation\"\n[[alert]]\nname = \"shell\"\ncommand = [\"/bin/sh\"]\n\
         [[alert]]\nname = \"chat\"\nwebhook = \"https://hooks.example/s3cret\"\nsecret-file = {secret:?}\n\
         [[alert]]\nname = \"post\"\nsmtp = \"smtp://mail.example:587\"\nfrom = \"a@b.example\"\n\
         to = [\"c@d.example\"]\nseverity = \"info\"\n\
         [[acknowledge]]\ncode = \"gap\"\nindex = 7\nuntil = 2100-12-31\ncomment = \"known\"\n\
         [[acknowledge]]\ncode = \"gap\"\nuntil = 2020-12-31\ncomment = \"old\"\n\
         [[acknowledge]]\ncode = \"watch-list\"\nrule = \"nope\"\nuntil = 2100-12-31\ncomment = \"mine\"\n\
         [[watch]]\nname = \"all\"\nany = true\n"
    );
    let config = two_logs(directory.path(), &above);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}heads-only = true\n[[log.peer]]\nfile = \"/no/such/heads\"\n"))
        .unwrap();
    let check = with(&config, &["config", "check", "--name", "two"]);
    let notes = [
        "CANNOT BE RUN     /no/such/page, the command of \"pager\": there is no such executable file",
        "no longer acknowledged  gap: ended 2021-01-01T00:00:00.000Z (old)",
        "acknowledged      watch-list, rule \"nope\", until 2100-12-31; no [[watch]] has this name (mine)",
        "NOT THERE         /no/such/heads, the file of the peer \"heads\"",
        "NOT watched for   all: any entry; warning: heads-only checks no entries",
    ];
    let plain = [
        "notified by command pager, from severity violation",
        "notified by command shell, from severity warning",
        "notified by webhook chat, from severity warning",
        "notified by mail    post, from severity info",
        "reminded          every 7days (alert-reminder)",
        "acknowledged      gap, entry 7, until 2100-12-31 (known)",
    ];
    for text in notes.iter().chain(&plain) {
        assert!(check.exit == 0 && check.stdout.contains(&format!("  {text}\n")), "{text}: {check:#?}");
    }
    assert!(!check.stdout.contains("s3cret") && !check.stdout.contains("nobody"), "{check:#?}");
    assert!(!check.stdout.contains("  watched for"), "{check:#?}");
    let quiet = with(&config, &["config", "check", "--name", "two", "--quiet"]);
    let mut lines: Vec<&str> = quiet.stdout.lines().map(|line| line.strip_prefix("two: ").unwrap()).collect();
    lines.sort_unstable();
    let mut notes = notes;
    notes.sort_unstable();
    assert_eq!((quiet.exit, lines.as_slice()), (0, notes.as_slice()));
}

/// One file for `audit` and for `monitor`.
#[test]
fn audit_and_monitor_accept_one_config() {
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
    let outcome = once(&["monitor", "--once", "--init"]);
    assert!(outcome.exit == 0 && outcome.stdout.starts_with("CLEAN"), "{outcome:#?}");
    assert!(!outcome.stderr.contains("remove init"), "{outcome:#?}");
    let left = once(&["monitor", "--once", "--quiet", "--init"]);
    assert!(
        left.exit == 0 && left.stderr.contains("demo: the mirror exists: remove init = true"),
        "{left:#?}"
    );
    assert_eq!(once(&["audit"]).exit, 0);
    assert_eq!(once(&["config", "check"]).exit, 0);
    let quiet = once(&["monitor", "--once", "--quiet"]);
    assert_eq!((quiet.exit, quiet.stdout, quiet.stderr), (0, String::new(), String::new()));
}

#[test]
fn systemd_accepts_the_units() {
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
        let text = String::from_utf8_lossy(&verified.stderr);
        // It also speaks of other units of this machine.
        assert!(verified.status.success() && !text.contains("countersign"), "{name}: {text}");
    }
}

/// The cron line and the units name options that there are.
#[test]
fn commands_in_the_files_exist() {
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
