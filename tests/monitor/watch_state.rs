//! What watch rules and reports remember, where runs are killed or stopped, rows are damaged, and configs take turns.

use serde_json::Value;
use std::process::{Command, Stdio};
use support::cli::{self, Auditor, Outcome};
use support::served::Served;
use support::watching::{ALEX, Bench, by, hits, mixed, of};

/// If a report was not printed, its new hits are new in the next report, and only there.
#[test]
#[cfg(target_os = "linux")]
fn a_hit_stays_new_until_a_report_is_printed() {
    let mut bench = Bench::new();
    bench.add(mixed(0..4));
    let path = bench.config(ALEX);
    let options = ["--init", "--quiet", "--config", path.to_str().unwrap(), "--format", "text"];
    let arguments: Vec<String> = {
        let command = bench.auditor.audit_command(bench.log.path(), &[]);
        command.get_args().map(|argument| argument.to_str().unwrap().to_owned()).collect()
    };
    let shorter = arguments.iter().take(arguments.len() - 2);
    let mut lost = cli::program();
    lost.args(shorter).args(options).stdout(std::fs::File::create("/dev/full").unwrap());
    assert_eq!(lost.status().unwrap().code(), Some(5), "what was asked for could not be written");
    let quiet = || bench.text(ALEX, &["--quiet"]).stdout;
    assert!(quiet().contains("watch-list (2)"));
    assert_eq!(quiet(), "");
}

/// A stopped audit reports its results so far.
#[test]
#[cfg(unix)]
fn a_stopped_audit_still_reports() {
    let log = Served::start(&["--entries", "600", "--disturb", "slow:2000"]);
    let auditor = Auditor::new(log.log_key());
    for (asked, signal) in [(1, "-TERM"), (2, "-INT")] {
        let before = log.stats()["requests"].as_u64().unwrap();
        let mut command = auditor.audit_command(log.tiles_url(), &["--init"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It catches signals before it asks anything.
        log.wait_asked(before + asked);
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), report["verdict"].as_str()), (Some(3), Some("incomplete")));
        let causes = report["incomplete"].to_string();
        assert!(causes.contains("stop"), "{causes}");
    }
}

/// Audits with --full while the log cannot be reached: all entries are to be checked again, and are not.
fn begin_again(bench: &Bench, config: &str) -> Outcome {
    let away = bench.log.path().with_extension("away");
    std::fs::rename(bench.log.path(), &away).unwrap();
    let outcome = bench.audit(config, &["--full"]);
    std::fs::rename(away, bench.log.path()).unwrap();
    assert_eq!(
        (outcome.exit, bench.sql::<u64>("SELECT count(*) FROM entry_columns")),
        (3, vec![0]),
        "{outcome:?}"
    );
    outcome
}

/// Entries that are to be checked again are not new for that.
#[test]
fn rechecked_entries_are_not_new() {
    let mut bench = Bench::new();
    bench.add(mixed(0..6));
    bench.audit("", &[]);
    begin_again(&bench, "");
    bench.add(mixed(6..12));
    let outcome = bench.audit(ALEX, &[]);
    assert_eq!((outcome.exit, hits(&outcome)), (0, of("alex", [6, 9])), "{outcome:?}");
}

/// A row with values of any kind is a fault that --full mends, also under a config that does not know its rule.
#[test]
fn damaged_rows_are_repaired_for_restored_rules() {
    let damages = [
        "next = -1",
        "window = CAST(x'ff' AS TEXT)",
        "digest = x''",
        "rule = CAST(x'ff' AS TEXT)",
        "rule = 'x'",
        "window = ''",
    ];
    for damage in damages {
        let mut bench = Bench::new();
        bench.add(mixed(0..6));
        assert_eq!(hits(&bench.audit(ALEX, &[])), of("alex", [0, 3]));
        bench.add(mixed(6..12));
        assert_eq!(bench.audit("", &[]).exit, 0);
        bench.auditor.sql(&format!("UPDATE watch_rules SET {damage} WHERE rule <> 'told'"));
        if !damage.starts_with("rule") {
            bench.audit(ALEX, &[]).expect_fault(&["watch rule", "--full"]);
        }
        let other = bench.audit("", &["--full"]);
        assert!(other.exit == 0 && other.stdout.contains("check all entries again"), "{damage}: {other:?}");
        let back = bench.audit(ALEX, &[]);
        assert_eq!((back.exit, hits(&back)), (0, of("alex", [0, 3, 6, 9])), "{damage}: {back:?}");
        assert!(!bench.audit("", &["--full"]).stdout.contains("check all entries again"), "{damage}");
    }
}

/// Hits that are listed are not counted again by a rule that now looks at the past too.
#[test]
fn listed_hits_are_not_counted_again() {
    let mut bench = Bench::new();
    bench.add((0..700).map(|n| by("alex", n)));
    bench.audit(ALEX, &[]);
    bench.add((700..1400).map(|n| by("alex", n)));
    assert_eq!(hits(&bench.audit(ALEX, &[])).len(), 1400);
    let past = format!("{ALEX}past = true\n");
    assert_eq!(hits(&bench.audit(&past, &[])).len(), 1400, "and no count of more");
}

/// Two configs with one mirror: each rule's hits are under its own name.
#[test]
fn rules_of_two_names_are_separate() {
    let mut bench = Bench::new();
    let mine = ALEX.replace("name = \"alex\"", "name = \"mine\"");
    bench.add(mixed(0..3));
    for config in [ALEX, &mine] {
        bench.audit(config, &[]);
    }
    bench.add(mixed(3..6));
    bench.audit(ALEX, &[]);
    let mut both = hits(&bench.audit(&mine, &[]));
    both.sort();
    assert_eq!(both, [of("alex", [0, 3]), of("mine", [3])].concat());
}

/// An acknowledgement for an approver holds also while the entries are being checked again.
#[test]
fn an_acknowledgement_lasts_through_a_recheck() {
    let mut bench = Bench::new();
    bench.add(mixed(0..4));
    let config = format!(
        "{ALEX}[[acknowledge]]\ncode = \"watch-list\"\napprover = \"alex\"\nuntil = \"2099-01-01\"\ncomment = \"known\"\n"
    );
    let known = |outcome: &Outcome| {
        let report = outcome.report();
        let found =
            report["findings"].as_array().unwrap().iter().filter(|found| found["code"] == "watch-list");
        found.map(|found| !found["acknowledged"].is_null()).collect::<Vec<_>>()
    };
    assert_eq!(known(&bench.audit(&config, &[])), [true, true]);
    assert_eq!(known(&begin_again(&bench, &config)), [true, true]);
}
