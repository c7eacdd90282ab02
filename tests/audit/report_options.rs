//! How a text report is shown: in colour where that is wanted, and what holds in one line or check by check.

use support::case::fixtures;
use support::cli::program;
use support::log::TestKey;

const ESCAPE: char = '\u{1b}';

/// What an audit of the demo log prints that ends with this exit code.
fn printed(options: &[&str], variables: &[(&str, &str)], exit: i32) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    command.arg("audit").arg("--log").arg(fixtures().join("demo")).arg("--init");
    command
        .arg("--config")
        .arg(fixtures().join("demo/trust.toml"))
        .arg("--db")
        .arg(folder.path().join("m.db"));
    command.args(options).envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(exit), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn colours_follow_the_options() {
    for (options, variables, expected) in [
        (vec![], vec![], false),
        (vec!["--color", "always"], vec![("NO_COLOR", "1")], true),
        (vec!["--color", "never"], vec![], false),
        (vec!["--color", "auto"], vec![("NO_COLOR", "1")], false),
        (vec!["--color", "always", "--format", "json"], vec![], false),
    ] {
        let text = printed(&options, &variables, 0);
        assert_eq!(text.contains(ESCAPE), expected, "{options:?} {variables:?}: {text}");
        assert!(expected || text.starts_with("CLEAN: ") || text.starts_with('{'), "{text}");
    }
    printed(&["--color", "sometimes"], &[], 2);
}

#[test]
fn passed_checks_are_listed_on_request() {
    let (short, long) = (printed(&[], &[], 0), printed(&["-v"], &[], 0));
    let line =
        short.lines().find(|line| line.ends_with(" checks hold, on 800 entries; -v lists them")).unwrap();
    let held: usize = line.split_once(' ').unwrap().0.parse().unwrap();
    let listed = long.split_once("\nChecked, and holds").unwrap().1;
    assert_eq!(listed.lines().skip(1).take_while(|line| !line.is_empty()).count(), held);
    assert!(short.contains("\nNot checked\n") && long.contains("\nNot checked\n"));
}

/// A warning has not ended because its check is no longer requested, and the first line does not claim that everything holds.
#[test]
fn findings_of_checks_no_longer_requested_are_withdrawn() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("m.db");
    let audit = |options: &[&str]| {
        let mut command = program();
        command.arg("audit").arg("--log").arg(fixtures().join("demo")).arg("--db").arg(&db);
        command.arg("--config").arg(fixtures().join("demo/trust.toml")).args(options);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = audit(&["--init", "--max-head-age", "36h"]);
    assert!(
        text.starts_with("CLEAN: everything that was asked for was checked; there are warnings"),
        "{text}"
    );
    assert!(text.contains("warning head-stale (1)"), "{text}");
    let text = audit(&[]);
    let note = "an earlier finding of head-stale is withdrawn, and nobody knows whether it still holds: no age was given";
    assert!(text.contains(note), "{text}");
    assert!(!text.contains("no longer true") && text.contains("  head-age  "), "{text}");
    assert!(!audit(&[]).contains("head-stale"));
}

/// Where no head of the key was ever seen, nothing was committed to.
#[test]
fn an_address_without_a_log_has_no_commitments() {
    let (folder, key) = (tempfile::tempdir().unwrap(), TestKey::new(1).vkey());
    let nothing = folder.path().join("nothing");
    std::fs::create_dir(&nothing).unwrap();
    let of_another_key = "INVALID: what is served there is not a log that this key signed.";
    for (n, (log, exit, first, said)) in [
        (nothing, 3, "INCOMPLETE: ", "no log was found there: "),
        (fixtures().join("demo"), 1, of_another_key, "Check --log and --log-key first"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut command = program();
        command.arg("audit").arg("--log").arg(&log).args(["--init", "--log-key", &key, "--db"]);
        let output = command.arg(folder.path().join(format!("{n}.db"))).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{text}");
        assert!(
            text.starts_with(first) && text.contains(said) && !text.contains("Keep the mirror"),
            "{text}"
        );
    }
}
