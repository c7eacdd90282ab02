//! How a text report is shown: in colour where that is wanted, and what holds in one line or check by check.

use support::case::fixtures;
use support::cli::program;

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
fn colours_are_where_they_are_wanted() {
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
fn checks_that_hold_are_listed_on_request() {
    let (short, long) = (printed(&[], &[], 0), printed(&["-v"], &[], 0));
    let line =
        short.lines().find(|line| line.ends_with(" checks hold, on 800 entries; -v lists them")).unwrap();
    let held: usize = line.split_once(' ').unwrap().0.parse().unwrap();
    let listed = long.split_once("\nChecked, and holds").unwrap().1;
    assert_eq!(listed.lines().skip(1).take_while(|line| !line.is_empty()).count(), held);
    assert!(short.contains("\nNot checked\n") && long.contains("\nNot checked\n"));
}
