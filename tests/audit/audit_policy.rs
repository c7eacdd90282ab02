//! `audit --policy`: witnesses that vouch for the newest checkpoint, or do not; and what a policy file pins.

use countersign::core::head::{Head, HeadFormat, LogKey};
use countersign::core::time::UnixMillis;
use countersign::core::tlog_policy::TlogPolicy;
use countersign::mirror::{Mirror, Provenance};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{SystemTime, UNIX_EPOCH};
use support::api::ApiLog;
use support::cli::{Auditor, Outcome, program, run};
use support::lab::{Lab, write_files};
use support::log::{ORIGIN, TestKey, honest_log, rejected_leaves, root_of};
use support::witness::{TestWitness, policy};
use tempfile::TempDir;

const SIZE: usize = 5;

/// A log whose checkpoint a test cosigns as it likes, and an auditor with a policy.
struct Bench {
    key: TestKey,
    witnesses: [TestWitness; 3],
    log: TempDir,
    auditor: Auditor,
    now: u64,
}

impl Bench {
    /// The policy asks for two of three witnesses.
    fn new() -> Bench {
        let key = TestKey::new(1);
        let witnesses = [
            TestWitness::ed25519("w.example/a", 1),
            TestWitness::ml_dsa_44("w.example/b", 2),
            TestWitness::ml_dsa_44("w.example/c", 3),
        ];
        let (log, auditor) = (tempfile::tempdir().unwrap(), Auditor::new(&key.vkey()));
        write_files(log.path(), &honest_log(&key, &rejected_leaves(SIZE)));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut bench = Bench { key, witnesses, log, auditor, now };
        let file = bench.write_policy(&policy(&[], &bench.witnesses.each_ref(), 2));
        bench.auditor.trust.extend(["--policy".to_owned(), file]);
        bench
    }

    fn write_policy(&self, text: &str) -> String {
        let path = self.auditor.directory().join("policy");
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn checkpoint(&self) -> Vec<u8> {
        self.key.checkpoint(SIZE as u64, root_of(&rejected_leaves(SIZE)))
    }

    fn serve(&self, checkpoint: &[u8]) {
        fs::write(self.log.path().join("checkpoint"), checkpoint).unwrap();
    }

    /// Serves the checkpoint with a cosignature of each of these witnesses at these times.
    fn cosign(&self, by: &[(usize, u64)]) -> &Bench {
        let cosigned = by
            .iter()
            .fold(self.checkpoint(), |note, (witness, time)| self.witnesses[*witness].cosign(&note, *time));
        self.serve(&cosigned);
        self
    }

    /// A new mirror, in which the heads that the log serves came long ago.
    fn have_seen_long_ago(&self) {
        for suffix in ["", "-wal", "-shm", ".mark"] {
            let _ = fs::remove_file(self.auditor.beside_db(suffix));
        }
        let key = LogKey::parse(&self.key.vkey()).unwrap();
        let mut mirror = Mirror::create_or_open(&self.auditor.db(), &key).unwrap();
        for (name, format) in [("checkpoint", HeadFormat::Checkpoint), ("sth", HeadFormat::Sth)] {
            let bytes = fs::read(self.log.path().join(name)).unwrap();
            let head = Head::verify_as(format, &bytes, &key).unwrap();
            let long_ago = UnixMillis::parse("2026-01-01T00:00:00.000Z").unwrap();
            mirror
                .transact(|mirror, _| mirror.heads_mut().put(&head, &Provenance::Served, long_ago))
                .unwrap();
        }
        mirror.acknowledge().unwrap();
    }

    /// The text report, which has no place in [`Bench::audit`]: that asks for JSON.
    fn audit_as_text(&self, options: &[&str]) -> Outcome {
        let mut command = program();
        command.arg("audit").arg("--log").arg(self.log.path()).arg("--db").arg(self.auditor.db());
        command.args(&self.auditor.trust).args(options);
        run(command)
    }

    fn sth(&self) -> PathBuf {
        self.log.path().join("sth")
    }

    #[track_caller]
    fn audit(&self, options: &[&str]) -> Outcome {
        self.auditor.audit(self.log.path(), &[options, &["--init"]].concat())
    }
}

fn check(outcome: &Outcome, name: &str) -> String {
    outcome.report()["checks"][name]["result"].as_str().unwrap().to_owned()
}

fn message(outcome: &Outcome) -> String {
    outcome.report()["findings"][0]["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_quorum_of_witnesses_is_clean_and_reported() {
    let bench = Bench::new();
    for by in [vec![(0, bench.now), (1, bench.now)], vec![(2, bench.now), (1, 0)]] {
        let outcome = bench.cosign(&by).audit(&[]);
        outcome.expect(0, &[]);
        assert_eq!(check(&outcome, "witnesses"), "passed");
        assert!(outcome.stdout.contains("cosignatures of 2 of the 3 witnesses"), "{}", outcome.stdout);
        assert!(outcome.stdout.contains("asked for: 2 of 3 in them"), "{}", outcome.stdout);
    }
    // With --quiet a clean run prints nothing, for any cosignatures.
    let outcome = bench.audit_as_text(&["--quiet"]);
    assert_eq!((outcome.exit, outcome.stdout.as_str()), (0, ""));
}

#[test]
fn a_missing_quorum_is_a_finding_until_it_is_met() {
    let bench = Bench::new();
    let stranger = TestWitness::ed25519("w.example/b", 9);
    for note in [
        bench.checkpoint(),
        bench.witnesses[0].cosign(&bench.checkpoint(), bench.now),
        stranger.cosign(&bench.witnesses[0].cosign(&bench.checkpoint(), bench.now), bench.now),
    ] {
        bench.serve(&note);
        let outcome = bench.audit(&[]);
        outcome.expect(1, &["witness-quorum"]);
        assert_eq!(
            (check(&outcome, "witnesses"), check(&outcome, "head-signature")),
            ("failed".into(), "passed".into())
        );
        // The head is audited all the same.
        assert_eq!(outcome.report()["entries"]["total"], SIZE);
    }
    assert!(message(&bench.audit(&[])).contains("1 of the 3 witnesses of the policy (w0 at 20"));
    let outcome = bench.cosign(&[(0, bench.now), (2, bench.now)]).audit(&[]);
    outcome.expect(0, &[]);
    assert_eq!(outcome.report()["ended"][0]["code"], "witness-quorum");
}

#[test]
fn a_forged_line_is_a_finding_that_names_the_witness() {
    let bench = Bench::new();
    bench.cosign(&[(0, bench.now), (1, bench.now)]);
    let good = fs::read(bench.log.path().join("checkpoint")).unwrap();
    for time in [bench.now, u64::MAX] {
        bench.serve(&bench.witnesses[2].forge(&good, time));
        let outcome = bench.audit(&[]);
        outcome.expect(1, &["witness-quorum"]);
        assert!(
            message(&outcome).contains("names witness w2 is not by that witness"),
            "{}",
            message(&outcome)
        );
        assert_eq!(outcome.report()["entries"]["total"], SIZE, "the head is audited all the same");
    }
    bench.serve(&good);
    bench.audit(&[]).expect(0, &[]);
}

#[test]
fn the_age_limit_applies_to_cosignatures() {
    let bench = Bench::new();
    let hours = |ago: u64| bench.now - ago * 3600;
    let fresh_sth = bench.key.sth(SIZE as u64, root_of(&rejected_leaves(SIZE)), bench.now * 1000);
    fs::write(bench.sth(), fresh_sth).unwrap();
    let age = ["--max-head-age", "36h"];
    bench.cosign(&[(0, hours(35)), (1, hours(1))]).audit(&age).expect(0, &[]);
    // Cosigned enough, but not lately; dated ahead; or at no time at all.
    for by in
        [[(0, hours(37)), (1, hours(1))], [(0, bench.now + 7200), (1, hours(1))], [(0, hours(1)), (2, 0)]]
    {
        let outcome = bench.cosign(&by).audit(&age);
        outcome.expect(0, &["head-stale"]);
        assert!(message(&outcome).ends_with("too few are recent enough"), "{}", message(&outcome));
        assert_eq!(
            (check(&outcome, "witnesses"), check(&outcome, "head-age")),
            ("passed".into(), "failed".into())
        );
        bench.audit(&["--max-head-age", "36h", "--deny-warnings"]).expect(1, &["head-stale"]);
    }
    bench.audit(&[]).expect(0, &[]);
    bench.cosign(&[(0, hours(0)), (1, hours(1)), (2, hours(99))]).audit(&age).expect(0, &[]);
    // Too few in any case is what it is, whatever their age.
    bench.cosign(&[(0, hours(1))]).audit(&age).expect(1, &["witness-quorum"]);

    // Without an STH the cosignatures are what dates the head.
    fs::remove_file(bench.sth()).unwrap();
    let outcome = bench.cosign(&[(0, hours(1)), (1, hours(1))]).audit(&age);
    outcome.expect(0, &[]);
    assert_eq!(check(&outcome, "head-age"), "passed");
    bench.cosign(&[(0, hours(1)), (1, hours(40))]).audit(&age).expect(0, &["head-stale"]);
    let outcome = bench.cosign(&[(0, hours(1))]).audit(&age);
    outcome.expect(1, &["head-stale", "witness-quorum"]);
}

#[test]
fn a_policy_without_a_quorum_checks_no_witness() {
    let bench = Bench::new();
    let forged = bench.witnesses[0].forge(&bench.checkpoint(), bench.now);
    bench.write_policy(&format!("witness w {}\nquorum none\n", bench.witnesses[0].vkey()));
    for note in [bench.checkpoint(), forged] {
        bench.serve(&note);
        let outcome = bench.audit(&[]);
        outcome.expect(0, &[]);
        assert_eq!(check(&outcome, "witnesses"), "not-checked");
    }
    let text = bench.audit_as_text(&[]);
    assert!(text.stdout.contains("the policy asks for no cosignatures (quorum none)"), "{}", text.stdout);
    // A finding under an earlier policy is withdrawn.
    bench.write_policy(&policy(&[], &bench.witnesses.each_ref(), 3));
    bench.cosign(&[]).audit(&[]).expect(1, &["witness-quorum"]);
    bench.write_policy("quorum none\n");
    bench.audit(&[]).expect(0, &[]);
}

#[test]
fn a_changed_policy_rechecks_no_entry() {
    let bench = Bench::new();
    bench.cosign(&[(0, bench.now), (1, bench.now)]).audit(&[]).expect(0, &[]);
    bench.write_policy(&policy(&[], &bench.witnesses.each_ref(), 3));
    let outcome = bench.audit(&[]);
    outcome.expect(1, &["witness-quorum"]);
    assert!(!outcome.stdout.contains("checked again"), "{}", outcome.stdout);
}

#[test]
fn an_undecided_check_does_not_pass() {
    let bench = Bench::new();
    bench.cosign(&[(0, bench.now), (1, bench.now)]).audit(&[]).expect(0, &[]);
    let checkpoint = bench.log.path().join("checkpoint");
    // There, and not to be read.
    fs::remove_file(&checkpoint).unwrap();
    fs::create_dir(&checkpoint).unwrap();
    let outcome = bench.audit(&[]);
    outcome.expect(3, &[]);
    assert_eq!(check(&outcome, "witnesses"), "not-checked");
    assert!(outcome.stdout.contains("only a checkpoint carries them"), "{}", outcome.stdout);
    fs::remove_dir(&checkpoint).unwrap();
    bench.audit(&[]).expect(1, &["gap"]);
}

/// A log that shows witnesses an old checkpoint, and everybody else what it likes.
#[test]
fn a_checkpoint_behind_the_sth_does_not_pass() {
    let bench = Bench::new();
    let (old, new) = (rejected_leaves(SIZE), rejected_leaves(SIZE + 3));
    let mut files = honest_log(&bench.key, &new);
    files.insert("checkpoint".to_owned(), bench.key.checkpoint(SIZE as u64, root_of(&old)));
    write_files(bench.log.path(), &files);
    bench.cosign(&[(0, bench.now), (1, bench.now)]);
    let outcome = bench.audit(&[]);
    // It may be a cache.
    outcome.expect(0, &[]);
    assert!(
        outcome.stdout.contains("newer than the checkpoint that witnesses vouch for"),
        "{}",
        outcome.stdout
    );
    bench.have_seen_long_ago();
    let outcome = bench.audit(&[]);
    assert_eq!((outcome.exit, check(&outcome, "witnesses")), (3, "not-checked".to_owned()), "{outcome:?}");
    // When the checkpoint catches up, all is well.
    let cosigned =
        bench.witnesses[1].cosign(&bench.key.checkpoint(SIZE as u64 + 3, root_of(&new)), bench.now);
    bench.serve(&bench.witnesses[0].cosign(&cosigned, bench.now));
    bench.audit(&[]).expect(0, &[]);
}

#[test]
fn a_json_api_without_a_quorum_is_asked_twice_before_a_finding() {
    let (key, witness) = (TestKey::new(1), TestWitness::ml_dsa_44("w.example/a", 1));
    let witnesses = TlogPolicy::parse(policy(&[&key.vkey()], &[&witness], 1).as_bytes()).unwrap();
    let lab = Lab::of_key(&key.vkey()).with_witnesses(witnesses);
    let log = |make: &dyn Fn(&[u8]) -> Vec<u8>| {
        let mut log = ApiLog::new(&key, &rejected_leaves(SIZE), &[SIZE]);
        log.checkpoint = make(&log.checkpoint);
        log
    };
    let good = |checkpoint: &[u8]| witness.cosign(checkpoint, 1);
    let forged = |checkpoint: &[u8]| witness.forge(checkpoint, 1);
    assert!(lab.workspace(0).audit(&log(&good).source()).is_clean());
    for bad in [log(&|checkpoint| checkpoint.to_vec()), log(&forged)] {
        assert_eq!(lab.workspace(0).audit(&bad.source()).codes(), ["witness-quorum"]);
    }
    // A transfer can go wrong: the line is forged in the first answer only.
    let first = log(&forged).answer("head");
    let asked = AtomicUsize::new(0);
    let once = log(&good).change(move |path, answer| match path {
        "head" if asked.fetch_add(1, SeqCst) == 0 => first.clone(),
        _ => answer,
    });
    assert!(lab.workspace(0).audit(&once.source()).is_clean());
}

/// Wrong usage, and its message.
#[track_caller]
fn refused(bench: &Bench, options: &[&str], words: &str) {
    let outcome = bench.audit(options);
    assert_eq!((outcome.exit, outcome.stdout.as_str()), (2, ""), "{outcome:?}");
    assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
}

#[test]
fn a_malformed_policy_is_wrong_usage() {
    let bench = Bench::new();
    for (text, words) in [
        ("", "line 1: there is no quorum line"),
        ("witness a b\nquorum a\n", "line 1: a verifier key has three parts"),
        ("# x\nquorum \u{1b}[2J\n", "line 2: the octet 0x1b"),
        ("quorum \u{202e}\n", "line 1: \\u{202e} is not defined"),
    ] {
        bench.write_policy(text);
        refused(&bench, &[], words);
        refused(&bench, &[], "policy \"");
    }
    fs::remove_file(bench.auditor.directory().join("policy")).unwrap();
    refused(&bench, &[], "--policy: cannot read");
}

#[test]
fn the_log_of_a_policy_is_pinned() {
    let mut bench = Bench::new();
    bench.cosign(&[(0, bench.now), (1, bench.now)]);
    let (ours, other) = (bench.key.vkey(), TestKey::new(2).vkey());
    let write =
        |bench: &Bench, keys: &[&str]| bench.write_policy(&policy(keys, &bench.witnesses.each_ref(), 2));
    // With a key as well, it must be one of the policy's.
    for keys in [vec![&*ours], vec![&*other, &*ours]] {
        write(&bench, &keys);
        bench.audit(&[]).expect(0, &[]);
    }
    write(&bench, &[&other]);
    refused(&bench, &[], "not the key of a log that the policy lists");
    // Without one, a single log of the policy is it.
    bench.auditor.trust.drain(..2);
    write(&bench, &[&ours]);
    bench.audit(&[]).expect(0, &[]);
    let listing = || {
        let mut command = program();
        command.args(["heads", "list", "--db"]).arg(bench.auditor.db()).args(&bench.auditor.trust[4..]);
        run(command).exit
    };
    assert_eq!(listing(), 0);
    write(&bench, &[&ours, &other]);
    assert_eq!(listing(), 2);
    refused(&bench, &[], &format!("select one with --log-key VKEY (\"{ORIGIN}\", \"{ORIGIN}\")"));
    write(&bench, &[]);
    assert_eq!(bench.audit(&[]).exit, 3, "without a key nothing can be judged");
}

#[test]
fn a_config_can_name_a_policy() {
    let mut bench = Bench::new();
    let file = bench.auditor.trust.pop().unwrap();
    bench.auditor.trust.pop();
    let config = bench.auditor.directory().join("config.toml");
    fs::write(&config, format!("policy = {file:?}\n")).unwrap();
    let config = config.to_str().unwrap().to_owned();
    bench.audit(&["--config", &config]).expect(1, &["witness-quorum"]);
    bench.cosign(&[(1, bench.now), (2, bench.now)]).audit(&["--config", &config]).expect(0, &[]);
}
