//! Watch rules with the real program: each entry is looked at once, whatever happens in between, and a hit says
//! nothing against the log.

use std::collections::BTreeSet;
use support::cli::{Auditor, Outcome};
use support::log::HEAD_TIME;
use support::passkey::Passkey;
use support::served::Served;
use support::watching::{ALEX, Bench, by, hits, mixed, of};

#[test]
fn a_rule_reads_each_entry_once() {
    let mut bench = Bench::new();
    bench.add(mixed(0..6));
    // A fresh mirror: the whole log is new.
    let first = bench.audit(ALEX, &["--deny-warnings"]);
    assert_eq!((first.exit, hits(&first)), (0, of("alex", [0, 3])), "{first:?}");
    // A rule that is new to an old mirror looks from here on; one that says so, at everything.
    let rules = format!(
        "{ALEX}[[watch]]\nname = \"sam\"\napprover = \"sam\"\nseverity = \"info\"\n
         [[watch]]\nname = \"old\"\nid = \"entry-?\"\npast = true\ndecision = [\"rejected\", \"expired\"]\n"
    );
    bench.add(mixed(6..9));
    let second = bench.audit(&rules, &[]);
    let mut expected = [of("alex", [0, 3, 6]), of("sam", [7, 8]), of("old", 0..9)].concat();
    let sorted = |mut hits: Vec<(String, Option<u64>)>| {
        hits.sort();
        hits
    };
    expected.sort();
    assert_eq!((second.exit, sorted(hits(&second))), (0, expected.clone()));
    // Neither --full nor other trust options make it look again, nor withdraw what it found.
    let since = bench.sql::<String>("SELECT first_seen FROM standing_findings ORDER BY \"index\", message");
    for options in [&["--full"][..], &["--allow-origin", "https://other.example"], &[]] {
        let again = bench.audit(&rules, options);
        assert_eq!((again.exit, sorted(hits(&again))), (0, expected.clone()), "{options:?}");
        assert!(!again.stdout.contains("do not hold under these"), "{again:?}");
    }
    assert_eq!(
        bench.sql::<String>("SELECT first_seen FROM standing_findings ORDER BY \"index\", message"),
        since
    );
}

/// With another severity, removed for a while and restored: the rule continues where it was.
#[test]
fn a_restored_rule_continues() {
    let mut bench = Bench::new();
    bench.add(mixed(0..6));
    bench.audit(ALEX, &[]);
    bench.add(mixed(6..12));
    let without = bench.audit("", &[]);
    assert_eq!(hits(&without), of("alex", [0, 3]), "what was found stays in the report");
    bench.add(mixed(12..15));
    let other = ALEX.replace("\"\na", "\"\nseverity = \"info\"\na");
    let back = bench.audit(&other, &[]);
    assert_eq!(hits(&back), of("alex", [0, 3, 6, 9, 12]));
    // Another name makes another rule of it, which begins here.
    let renamed = other.replace("\"alex\"\ns", "\"mine\"\ns");
    assert_eq!(hits(&bench.audit(&renamed, &[])), hits(&back));
    // Another condition makes another rule of it, which begins here.
    let other = bench.audit(&renamed.replace("approver", "decision = \"rejected\"\napprover"), &[]);
    assert_eq!(hits(&other), hits(&back));
}

#[test]
fn a_hit_changes_no_verdict_and_is_reported_once() {
    let mut bench = Bench::new();
    bench.add(mixed(0..4));
    let report = |config: &str, options: &[&str]| {
        bench.text(config, &[&["--quiet", "--deny-warnings"], options].concat())
    };
    let first = report(ALEX, &[]);
    assert_eq!(first.exit, 0);
    for words in
        ["CLEAN", "warning watch-list (2)", "watch rule \"alex\": \"alex\" rejected at ", "watch rules found"]
    {
        assert!(first.stdout.contains(words), "{words}: {}", first.stdout);
    }
    // Known by now; and shown again where somebody asks for the report.
    assert_eq!(report(ALEX, &[]).stdout, "");
    assert!(report(ALEX, &["--full"]).stdout.is_empty());
    assert_eq!(hits(&bench.audit(ALEX, &[])).len(), 2);
    // What is of severity info is news as well.
    let info = format!("{ALEX}[[watch]]\nname = \"any\"\nany = true\npast = true\nseverity = \"info\"\n");
    let third = report(&info, &[]);
    assert!(third.stdout.contains("info watch-list (4)"), "{}", third.stdout);
    assert_eq!(report(&info, &[]).stdout, "");
}

#[test]
fn acknowledged_hits_stay_in_every_report_with_their_reason() {
    let mut bench = Bench::new();
    bench.add(mixed(0..6));
    let known = |more: &str| {
        format!(
            "{ALEX}[[watch]]\nname = \"sam\"\napprover = \"sam\"\n[[acknowledge]]\ncode = \"watch-list\"\n{more}\n
             until = 2999-12-31\ncomment = \"my own\"\n"
        )
    };
    for (more, expected) in [
        ("rule = \"alex\"", vec![0, 3]),
        ("rule = \"alex\"\nindex = 3", vec![3]),
        ("rule = \"alex\"\nid = \"entry-0\"", vec![0]),
        ("rule = \"alex\"\napprover = \"sam\"", vec![]),
        ("approver = \"sam\"", vec![1, 2, 4, 5]),
        ("rule = \"nobody\"", vec![]),
        ("", vec![0, 1, 2, 3, 4, 5]),
    ] {
        let report = bench.audit(&known(more), &[]).report();
        let found = report["findings"].as_array().unwrap();
        let known: Vec<u64> = found
            .iter()
            .filter(|found| found["acknowledged"] == "until 2999-12-31: my own")
            .map(|found| found["index"].as_u64().unwrap())
            .collect();
        assert_eq!((known, found.len()), (expected, 6), "{more}");
    }
    let wrong = bench
        .audit("[[acknowledge]]\ncode = \"gap\"\nrule = \"a\"\nuntil = 2999-12-31\ncomment = \"x\"", &[]);
    assert_eq!(wrong.exit, 2, "{wrong:?}");
}

/// Names that a terminal, or a pattern of ours, could take for something else; and leaves that are no entries.
#[test]
fn hostile_entries_are_shown_as_claims() {
    let mut bench = Bench::new();
    let names =
        ["al\u{202e}ex\u{1b}[2J", "alex\n", "alex ", "rule alex", "\u{430}lex", "alex\" approved", "alex"];
    let mut forged = Passkey::new(7).approve(by("alex", 90));
    forged["payloadHash"] = "11".repeat(32).into();
    bench.add(names.iter().enumerate().map(|(n, name)| by(name, n)));
    bench.add([forged]);
    bench.leaves.push(b"{\"approver\":\"alex\"}".to_vec());
    bench.write();
    let rules = format!("{ALEX}[[watch]]\nname = \"heads, consistency \"\nany = true\n");
    let outcome = bench.audit(&rules, &[]);
    // Outcome itself sees to it that nothing unfit is printed. A forged entry is a hit by what it claims.
    let mut expected = [of("alex", [6, 7]), of("heads, consistency ", 0..8)].concat();
    let mut found = hits(&outcome);
    expected.sort();
    found.sort();
    assert_eq!((outcome.exit, found), (1, expected), "{outcome:?}");
    // A rule named like what other findings are about is about none of their checks.
    let report = outcome.report();
    assert_eq!(report["checks"]["head-list"]["result"], "not-checked");
    let text = bench.text(&rules, &[]);
    assert!(text.stdout.contains("watch rule \"alex\": \"alex\" approved at"), "{}", text.stdout);
}

#[test]
fn a_key_is_new_at_its_first_signature() {
    let mut bench = Bench::new();
    let (one, two) = (Passkey::new(7), Passkey::new(8));
    let mut forged = Passkey::new(9).approve(by("alex", 0));
    forged["assertion"]["signature"] = one.approve(by("alex", 0))["assertion"]["signature"].take();
    bench.add([
        forged,
        one.counting(1).approve(by("alex", 1)),
        one.counting(2).approve(by("alex", 2)),
        two.counting(1).approve(by("alex", 3)),
        Passkey::new(10).approve(by("sam", 4)),
    ]);
    let rule = "[[watch]]\nname = \"new\"\napprover = \"alex\"\nnew-key = true\n";
    // The key of a signature that does not verify does not count.
    assert_eq!(hits(&bench.audit(rule, &[])), of("new", [1, 3]));
    bench.audit(rule, &["--full"]);
    bench.add([one.counting(3).approve(by("alex", 5)), Passkey::new(11).approve(by("alex", 6))]);
    assert_eq!(hits(&bench.audit(rule, &[])), of("new", [1, 3, 6]));
    let key = bench.sql::<String>("SELECT key FROM entries WHERE \"index\" = 1").remove(0);
    let by_key = format!("[[watch]]\nname = \"key\"\nkey = [\"{key}\"]\npast = true\n");
    let found = hits(&bench.audit(&by_key, &[]));
    assert_eq!(found.into_iter().filter(|(rule, _)| rule == "key").collect::<Vec<_>>(), of("key", [1, 2, 5]));
}

/// A rule that is too wide fills neither the report nor the bound on findings.
#[test]
fn many_hits_are_counted() {
    let mut bench = Bench::new();
    bench.add(mixed(0..1300));
    let rule = "[[watch]]\nname = \"any\"\nany = true\n";
    let outcome = bench.audit(rule, &["--max-findings", "10"]);
    let found = hits(&outcome);
    assert_eq!((outcome.exit, found.len()), (0, 1001), "{outcome:?}");
    let report = outcome.report();
    let many = report["findings"].as_array().unwrap().iter().find(|found| found["index"].is_null()).unwrap();
    let message = many["message"].as_str().unwrap();
    assert!(message.contains("300 more entries, from 1000 to 1299"), "{message}");
    let text = bench.text(rule, &[]).stdout;
    assert!(text.contains("and 951 more: ") && text.contains("300 more entries"), "{text}");
    bench.add(mixed(1300..1301));
    assert_eq!(hits(&bench.audit(rule, &[])).len(), 1002);
}

/// Whether a key is new is told by the keys that are known: where the disk lost some, that is a fault, and no key passes for
/// an old one.
#[test]
fn lost_rows_do_not_affect_rules_for_new_keys() {
    let mut bench = Bench::new();
    let key = Passkey::new(7);
    bench.add([key.counting(1).approve(by("alex", 0)), key.counting(2).approve(by("alex", 1))]);
    assert_eq!(bench.audit("", &[]).exit, 0);
    bench.auditor.sql("DELETE FROM keys");
    let rule = "[[watch]]\nname = \"new\"\napprover = \"alex\"\nnew-key = true\npast = true\n";
    bench.audit(rule, &[]).expect_fault(&["keys"]);
    let mended = bench.audit(rule, &["--full"]);
    assert_eq!((mended.exit, hits(&mended)), (0, of("new", [0])), "{mended:?}");
}

/// If the progress of a rule is lost, this is reported, and with --full the rule reads all entries.
#[test]
fn a_damaged_row_is_a_fault_and_skips_no_entry() {
    let mut bench = Bench::new();
    bench.add(mixed(0..6));
    bench.audit(ALEX, &[]);
    for damage in [
        "UPDATE watch_rules SET next = 5000 WHERE rule <> 'told'",
        "UPDATE watch_rules SET window = '{}' WHERE rule <> 'told'",
        "UPDATE watch_rules SET next = 0",
    ] {
        bench.auditor.sql(damage);
        bench.audit(ALEX, &[]).expect_fault(&["watch rule", "--full"]);
        let mended = bench.audit(ALEX, &["--full"]);
        assert_eq!((mended.exit, hits(&mended)), (0, of("alex", [0, 3])), "{damage}: {mended:?}");
        assert_eq!(bench.audit(ALEX, &[]).exit, 0);
    }
    let gone = "DELETE FROM entry_columns WHERE idx = 7";
    bench.auditor.sql(gone);
    bench.add(mixed(6..9));
    bench.audit(ALEX, &[]);
    assert_eq!(bench.hit(), [0, 3, 6]);
}

/// A log that grows while it is audited: in the end, exactly the entries that SQL says.
#[test]
fn a_growing_log_is_watched_entry_by_entry() {
    let log = Served::start(&["--entries", "300", "--approvers", "5", "--mix", "es256=1", "--grow", "60"]);
    let auditor = Auditor::new(log.log_key());
    let config = auditor.directory().join("config.toml");
    let first = auditor.audit(log.tiles_url(), &["--init"]);
    assert_eq!(first.exit, 0, "{first:?}");
    let total = |outcome: &Outcome| outcome.report()["entries"]["total"].as_u64().unwrap();
    let begin = total(&first);
    let db = || rusqlite::Connection::open(auditor.db()).unwrap();
    let name: String = db().query_row("SELECT min(approver) FROM entries", [], |row| row.get(0)).unwrap();
    let rules = format!(
        "[[watch]]\nname = \"one\"\napprover = {name:?}\ndecision = \"approved\"\n
         [[watch]]\nname = \"past\"\napprover = {name:?}\ndecision = [\"rejected\", \"expired\"]\npast = true\n"
    );
    std::fs::write(&config, rules).unwrap();
    let mut last = None;
    for round in 0..8 {
        let mut options = vec!["--config", config.to_str().unwrap()];
        options.extend((round == 4).then_some("--full"));
        let outcome = auditor.audit(log.tiles_url(), &options);
        assert_eq!(outcome.exit, 0, "{outcome:?}");
        last = Some(outcome);
    }
    let last = last.unwrap();
    assert!(total(&last) > begin + 10, "the log did not grow");
    let rows = |sql: &str| -> BTreeSet<u64> {
        let db = db();
        let mut select = db.prepare(sql).unwrap();
        select.query_map([&name], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let found = |rule: &str| -> Vec<u64> {
        hits(&last).into_iter().filter(|(name, _)| name == rule).filter_map(|(_, index)| index).collect()
    };
    let one = found("one");
    let since = format!(
        "SELECT \"index\" FROM entries WHERE approver = ?1 AND decision = 'approved' AND \"index\" >= {begin}"
    );
    assert_eq!((one.len(), one.into_iter().collect::<BTreeSet<_>>()), {
        let expected = rows(&since);
        (expected.len(), expected)
    });
    let past = rows("SELECT \"index\" FROM entries WHERE approver = ?1 AND decision <> 'approved'");
    assert_eq!(found("past").into_iter().collect::<BTreeSet<_>>(), past);
}

/// Killed at random moments, again and again: the hits of bursts and of single entries are those of an audit that
/// nobody disturbed, and the first that gets through tells of all of them.
#[test]
fn a_killed_audit_loses_and_repeats_no_hit() {
    let entries = |range: std::ops::Range<usize>| {
        range.map(|n| {
            let mut entry = by(if n % 40 == 0 { "alex" } else { "sam" }, n);
            // Of alex four in some seconds, then a pause, and not quite in order.
            let (group, place) = (n as u64 / 160, n as u64 / 40 % 4);
            let decided = HEAD_TIME - 40_000_000 + group * 100_000 + place * 1000 + n as u64 * 7919 % 1500;
            entry["requestedAt"] = decided.into();
            entry["decidedAt"] = decided.into();
            entry
        })
    };
    let rules = format!(
        "{ALEX}[[watch]]\nname = \"burst\"\napprover = \"alex\"\nmore-than = {{ count = 2, within = \"13s\" }}\n\
         [[watch]]\nname = \"id\"\nid = \"entry-*77\"\nseverity = \"info\"\n"
    );
    let rules = rules.replace("[[watch]]\n", "[[watch]]\npast = true\n");
    let mut undisturbed = Bench::new();
    undisturbed.add(entries(0..20_000));
    let expected = hits(&undisturbed.audit(&rules, &[]));
    let of_rule = |rule: &str| expected.iter().filter(|(name, _)| name == rule).count();
    assert_eq!((of_rule("alex"), of_rule("id"), of_rule("burst")), (500, 200, 125));
    let mut random = fastrand::Rng::with_seed(23);
    // On a new mirror; and on one that has the whole log, where the rules are most of the work.
    for begin in ["", "[[watch]]\nname = \"other\"\napprover = \"nobody\"\n"] {
        let (mut killed, mut midway) = (0, 0);
        let begun = Bench::new();
        if !begin.is_empty() {
            let path = begun.config(begin);
            let options = ["--init", "--config", path.to_str().unwrap()];
            let first = begun.auditor.audit_command(undisturbed.log.path(), &options);
            assert_eq!(support::cli::run(first).exit, 0);
        }
        // On a slow machine it takes more kills until one falls between two batches.
        while killed < 20 || (!begin.is_empty() && midway == 0 && killed < 400) {
            let bench = Bench::new();
            if !begin.is_empty() {
                std::fs::copy(begun.auditor.db(), bench.auditor.db()).unwrap();
                std::fs::copy(begun.auditor.beside_db(".mark"), bench.auditor.beside_db(".mark")).unwrap();
            }
            let audit = |config: &str| {
                let path = bench.config(config);
                let options = ["--init", "--config", path.to_str().unwrap()];
                bench.auditor.audit_command(undisturbed.log.path(), &options)
            };
            // As long as a run takes now, whatever else the machine does.
            let span = if begin.is_empty() { 900_000 } else { 250_000 };
            loop {
                let mut child = audit(&rules).stdout(std::process::Stdio::null()).spawn().unwrap();
                std::thread::sleep(std::time::Duration::from_micros(random.u64(0..span)));
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                child.kill().unwrap();
                child.wait().unwrap();
                killed += 1;
                let there = if bench.auditor.db().exists() { bench.hit().len() } else { 0 };
                midway += usize::from(there > 0 && there < expected.len());
            }
            let last = support::cli::run(audit(&rules));
            assert_eq!(hits(&last), expected, "after {killed} kills");
        }
        println!("{killed} kills, {midway} of them between two batches of hits");
        assert!(begin.is_empty() || midway > 0, "no kill came at an interesting moment");
    }
}
