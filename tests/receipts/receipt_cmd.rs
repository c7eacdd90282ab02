//! `countersign receipt`, the real program: what is written, what is not, and with which exit code.

use countersign::core::hash::Hash;
use std::fs;
use std::path::Path;
use support::api::ApiLog;
use support::case::{fixtures, named};
use support::cli::{Auditor, program, run};
use support::lab::Lab;
use support::log::{HEAD_TIME, leaf, rejected, rejected_leaves, root_of};
use support::passkey::Passkey;
use support::receipt_cli::{DEMO_ID, DEMO_KEY, demo, key, names, nothing, own, receipt, verify};

#[test]
fn receipts_are_found_by_id_and_index_in_both_forms() {
    let auditor = demo();
    let by_index = receipt(&auditor, &["--db", "{db}", "--index", "5"]);
    let by_id = receipt(&auditor, &["--db", "{db}", DEMO_ID, "--format", "json"]);
    assert_eq!((by_index.exit, by_id.exit, by_index.stderr.as_str()), (0, 0, ""));
    assert_eq!(by_index.stdout, by_id.stdout);
    assert!(by_id.stdout.ends_with("]}\n") && by_id.stdout.lines().count() == 1);
    let proof = receipt(&auditor, &["--db", "{db}", DEMO_ID, "--format", "tlog-proof"]);
    assert_eq!(proof.exit, 0);
    assert!(proof.stdout.starts_with("c2sp.org/tlog-proof@v1\nextra "));
    for text in [&by_id.stdout, &proof.stdout] {
        let report = verify(&auditor, text, &["--approver", "alex", "--expect-id", DEMO_ID]);
        assert_eq!((&report["verdict"], &report["index"]), (&"clean".into(), &5.into()), "{report:#}");
    }
    // Over what is there already, and nothing beside it.
    for (format, expected) in [("json", &by_id.stdout), ("tlog-proof", &proof.stdout)] {
        let out = auditor.directory().join("out");
        let outcome = receipt(&auditor, &["--db", "{db}", DEMO_ID, "--out", "{dir}/out", "--format", format]);
        assert_eq!((outcome.exit, outcome.stdout.as_str()), (0, ""));
        assert_eq!(&fs::read_to_string(&out).unwrap(), expected);
    }
    assert!(names(auditor.directory()).iter().all(|name| !name.ends_with(".new")));
}

#[test]
fn wrong_usage_exits_2_and_writes_nothing() {
    let auditor = demo();
    fs::write(auditor.directory().join("file"), "mine").unwrap();
    let cases: [(&[&str], &str); 15] = [
        (&["--db", "{db}"], "--index"),
        (&["--db", "{db}", DEMO_ID, "--index", "5"], "cannot be used with"),
        (&["--db", "{db}", "--all-of", "alex", "--index", "5"], "cannot be used with"),
        (&["--db", "{db}", "--index", "-1"], "index"),
        (&["--db", "{db}", "a/b"], "is not an id"),
        (&["--db", "{db}", ""], "is not an id"),
        (&["--db", "{db}", "--index", "5", "--format", "text"], "json or tlog-proof"),
        (&["--db", "{db}", "--index", "5", "--out", "{dir}"], "not a regular file"),
        (&["--db", "{db}", "--index", "5", "--out", "/dev/null"], "not a regular file"),
        (&["--db", "{db}", "--all-of", "alex"], "--out DIR"),
        (&["--db", "{db}", "--all-of", "alex", "--out", "{dir}/file"], "not a directory"),
        (&["--db", "{db}", "--all-of", "alex", "--out", "{dir}/x", "--from-log"], "leave out --from-log"),
        (&["--index", "5"], "--db"),
        (&["--index", "5", "--from-log"], "--log"),
        (&[DEMO_ID, "--from-log", "--log", "{dir}"], "--index, or the mirror with --db"),
    ];
    for (arguments, word) in cases {
        nothing(&receipt(&auditor, arguments), 2, &[word]);
    }
    assert_eq!(fs::read_to_string(auditor.directory().join("file")).unwrap(), "mine");
    // A receipt's format is no report's.
    for command in [&["heads", "list", "--db", "{db}"][..], &["audit", "--log", "x", "--db", "{db}"]] {
        let outcome = auditor.command(&[command, &["--format", "tlog-proof"]].concat());
        nothing(&outcome, 2, &["tlog-proof is for"]);
    }
    // That of a config is a report's, and does not get into the way.
    let config = auditor.directory().join("config.toml");
    fs::write(&config, format!("format = \"text\"\ndb = {:?}\nlog = \"nowhere\"\n", auditor.db())).unwrap();
    assert_eq!(receipt(&auditor, &["--config", "{dir}/config.toml", "--index", "5"]).exit, 0);
}

#[test]
fn an_undecided_receipt_exits_3() {
    let mut auditor = demo();
    nothing(&receipt(&auditor, &["--db", "{db}", "--index", "800"]), 3, &["800 entries", "audit first"]);
    nothing(&receipt(&auditor, &["--db", "{db}", "--index", "18446744073709551615"]), 3, &["audit first"]);
    for id in ["nobody", "5", ".."] {
        nothing(&receipt(&auditor, &["--db", "{db}", id]), 3, &[id, "800 entries", "audit first"]);
    }
    let outcome = receipt(&auditor, &["--db", "{db}", "--all-of", "Alex", "--out", "{dir}/none"]);
    nothing(&outcome, 3, &["\"Alex\" approved nothing"]);
    assert!(!auditor.directory().join("none").exists());
    // Without the relying party it is written, and the unmade checks are listed.
    let trust = auditor.trust.clone();
    auditor.trust.truncate(2);
    let outcome = receipt(&auditor, &["--db", "{db}", DEMO_ID]);
    assert_eq!(outcome.exit, 3);
    assert!(outcome.stderr.contains("not checked: origin") && outcome.stderr.contains("not checked: rp-id"));
    auditor.trust = trust;
    assert_eq!(outcome.stdout, receipt(&auditor, &["--db", "{db}", DEMO_ID]).stdout);
    // Without a key nothing is.
    auditor.trust.drain(..2);
    nothing(&receipt(&auditor, &["--db", "{db}", DEMO_ID]), 3, &["--log-key"]);
    nothing(
        &receipt(&auditor, &[DEMO_ID, "--from-log", "--log", "api+http://127.0.0.1:1/"]),
        3,
        &["--log-key"],
    );
}

#[test]
fn an_unusable_mirror_exits_5_and_none_is_created() {
    let auditor = Auditor::new(DEMO_KEY);
    nothing(&receipt(&auditor, &["--db", "{db}", DEMO_ID]), 5, &["no mirror"]);
    assert_eq!(names(auditor.directory()), Vec::<String>::new());
    fs::write(auditor.db(), "not a mirror").unwrap();
    nothing(&receipt(&auditor, &["--db", "{db}", DEMO_ID]), 5, &["damaged"]);
    let auditor = demo();
    let lock = fs::File::options().write(true).open(auditor.beside_db(".lock")).unwrap();
    lock.try_lock().unwrap();
    nothing(&receipt(&auditor, &["--db", "{db}", DEMO_ID]), 5, &["in use"]);
    drop(lock);
    // The log is not accused of what the disk did: not a leaf, nor a node, nor what is remembered.
    let copy = fs::read(auditor.db()).unwrap();
    for sql in [
        "UPDATE leaves SET leaf = (SELECT leaf FROM leaves WHERE idx = 6) WHERE idx = 5",
        "UPDATE leaves SET leaf = x'00' WHERE idx = 4",
        "DELETE FROM leaves WHERE idx = 5",
        "UPDATE nodes SET hash = zeroblob(32) WHERE level = 1 AND n = 1",
        "DELETE FROM nodes",
        "UPDATE heads SET raw = replace(raw, '800', '801')",
        "UPDATE heads SET size = 801",
    ] {
        fs::write(auditor.db(), &copy).unwrap();
        auditor.sql(sql);
        for which in [&["--index", "5"][..], &[DEMO_ID]] {
            let outcome = receipt(&auditor, &[&["--db", "{db}"], which].concat());
            let covered = sql.contains("size = 801");
            assert!(outcome.exit == 5 || (covered && outcome.exit == 3), "{sql}: {outcome:#?}");
            assert_eq!(outcome.stdout, "", "{sql}");
        }
    }
    fs::write(auditor.db(), &copy).unwrap();
    for damage in ["UPDATE seen_rows SET data = zeroblob(length(data))", "DELETE FROM seen_rows"] {
        auditor.sql(damage);
        nothing(&receipt(&auditor, &["--db", "{db}", DEMO_ID]), 5, &["remembers", "seen_rows", "--full"]);
    }
    let other = Auditor::new(&key().vkey());
    let db = auditor.db().display().to_string();
    nothing(&receipt(&other, &["--db", &db, DEMO_ID]), 2, &["not of this log"]);
}

/// A receipt changes nothing in the mirror: an audit afterwards finds what it left.
#[test]
fn the_mirror_is_unchanged() {
    let auditor = demo();
    let dump = || {
        let db = rusqlite::Connection::open(auditor.db()).unwrap();
        let count = |table: &str| -> i64 {
            db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        let state: String = db.query_row("SELECT json FROM state", [], |row| row.get(0)).unwrap();
        (["leaves", "nodes", "heads", "findings", "seen_rows", "keys"].map(count), state)
    };
    let before = dump();
    assert_eq!(receipt(&auditor, &["--db", "{db}", "--all-of", "alex", "--out", "{dir}/all"]).exit, 0);
    assert_eq!(dump(), before);
    assert_eq!(auditor.audit(fixtures().join("demo"), &[]).exit, 0);
}

#[test]
fn a_failed_write_changes_nothing() {
    let auditor = demo();
    let missing = auditor.directory().join("missing/receipt.json").display().to_string();
    nothing(&receipt(&auditor, &["--db", "{db}", DEMO_ID, "--out", &missing]), 5, &["cannot write"]);
    assert!(!auditor.directory().join("missing").exists());
    // What fails touches nothing that is there.
    let out = auditor.directory().join("kept.json");
    fs::write(&out, "kept").unwrap();
    nothing(&receipt(&auditor, &["--db", "{db}", "nobody", "--out", "{dir}/kept.json"]), 3, &["nobody"]);
    let wrong = ["--rp-id", "other.example", "--allow-origin", "https://other.example"];
    let mut other = Auditor::new(DEMO_KEY);
    other.trust.truncate(2);
    other.trust.extend(wrong.map(str::to_owned));
    let (db, path) = (auditor.db().display().to_string(), out.display().to_string());
    let outcome = receipt(&other, &["--db", &db, DEMO_ID, "--out", &path]);
    nothing(&outcome, 1, &["no receipt was written", "rp-id", "origin-not-allowed"]);
    assert_eq!(fs::read_to_string(&out).unwrap(), "kept");
    let folder = auditor.directory().join("all").display().to_string();
    let outcome = receipt(&other, &["--db", &db, "--all-of", "alex", "--out", &folder]);
    nothing(&outcome, 1, &["entry 5, not written", "0 receipts written", "139 not"]);
    assert_eq!(names(Path::new(&folder)), Vec::<String>::new());
}

#[test]
fn all_receipts_of_an_approver_are_made() {
    let auditor = demo();
    let folder = auditor.directory().join("all");
    for (format, extension) in [("json", "json"), ("tlog-proof", "tlog-proof"), ("json", "json")] {
        let outcome = receipt(
            &auditor,
            &["--db", "{db}", "--all-of", "alex", "--out", "{dir}/all", "--format", format],
        );
        assert_eq!((outcome.exit, outcome.stdout.as_str()), (0, ""));
        assert!(outcome.stderr.contains("139 receipts written") && outcome.stderr.contains("0 not"));
        let name = format!("5-{DEMO_ID}.{extension}");
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let single = receipt(&auditor, &["--db", "{db}", DEMO_ID, "--format", format]);
        assert_eq!(text, single.stdout);
    }
    assert_eq!(names(&folder).len(), 2 * 139);
    let quiet = receipt(&auditor, &["--db", "{db}", "--all-of", "alex", "--out", "{dir}/all", "--quiet"]);
    assert_eq!((quiet.exit, quiet.stderr.as_str()), (0, ""));
    let mut command = program();
    command.arg("verify").arg(&folder).args(&auditor.trust);
    assert_eq!(run(command).exit, 0);
}

/// One line for a warning that applies to all of them.
#[test]
fn common_warnings_are_printed_once() {
    let mut auditor = demo();
    auditor.trust.truncate(2);
    let outcome = receipt(&auditor, &["--db", "{db}", "--all-of", "alex", "--out", "{dir}/all"]);
    nothing(&outcome, 3, &["entry 5 and 138 more: not checked: origin", "139 receipts written"]);
    assert_eq!(outcome.stderr.lines().count(), 3, "{outcome:#?}");
    assert_eq!(names(&auditor.directory().join("all")).len(), 139);
}

/// A full disk is a fault on this side, and no receipt.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_exits_5() {
    let auditor = demo();
    let mut command = program();
    command.args(["receipt", DEMO_ID, "--db"]).arg(auditor.db()).args(&auditor.trust);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write stdout"));
}

/// What a log calls an id may be a path, or stand twice; it still names a file in the folder.
#[test]
fn hostile_and_repeated_ids_name_files_in_the_folder() {
    let passkey = Passkey::new(9);
    let ids = ["..", ".", "-x", "twice", "other", "twice", "../up", "a/b", &"long".repeat(30)];
    let entry = |(n, id): (usize, &&str)| {
        // Nonces of their own, so that only the ids are to blame.
        let mut entry = rejected(&format!("{n}"));
        entry["id"] = (*id).into();
        leaf(&passkey.approve(entry))
    };
    let leaves: Vec<Vec<u8>> = ids.iter().enumerate().map(entry).collect();
    let (auditor, log, outcome) = own(&leaves, |_| {});
    outcome.expect(1, &["id-duplicate", "leaf-malformed"]);
    let folder = auditor.directory().join("deep/all");
    let outcome = receipt(&auditor, &["--db", "{db}", "--all-of", "alex", "--out", "{dir}/deep/all"]);
    nothing(
        &outcome,
        1,
        &["entry 5, not written", "id-duplicate", "entry 6, not written", "5 receipts", "4 not"],
    );
    assert!(outcome.stderr.contains("entry 3: the id \"twice\" occurs again in the log, at entry 5"));
    assert_eq!(names(&folder), ["0-...json", "1-..json", "2--x.json", "3-twice.json", "4-other.json"]);
    assert_eq!(names(&auditor.directory().join("deep")), ["all"]);
    let first = receipt(&auditor, &["--db", "{db}", "twice"]);
    assert!(first.exit == 0 && first.stderr.contains("again in the log, at entry 5"), "{first:#?}");
    assert_eq!(verify(&auditor, &first.stdout, &[])["index"], 3);
    nothing(&receipt(&auditor, &["--db", "{db}", "--index", "5"]), 1, &["id-duplicate"]);
    for (id, index) in [("..", 0), (".", 1)] {
        let outcome = receipt(&auditor, &["--db", "{db}", id]);
        assert_eq!(verify(&auditor, &outcome.stdout, &[])["index"], index);
        let log = log.path().display().to_string();
        let served = receipt(&auditor, &["--db", "{db}", id, "--from-log", "--log", &log]);
        assert_eq!(served.stdout, outcome.stdout);
    }
    assert_eq!(receipt(&auditor, &["--db", "{db}", "--", "-x"]).exit, 0);
}

/// What only the whole log shows: a replay, and a second history.
#[test]
fn the_mirror_knows_faults_that_no_receipt_shows() {
    let audited = |name: &str| {
        let case = named(name);
        let auditor = case.auditor();
        for (number, step) in case.steps().iter().enumerate() {
            auditor.audit(step, if number == 0 { &["--init"] } else { &[] });
        }
        auditor
    };
    let auditor = audited("across-replay-between-runs");
    nothing(&receipt(&auditor, &["--db", "{db}", "--index", "290"]), 1, &["entry 290", "-reused"]);
    assert_eq!(receipt(&auditor, &["--db", "{db}", "--index", "289"]).exit, 0);
    for name in ["history-same-size-fork", "history-rewritten"] {
        let auditor = audited(name);
        nothing(
            &receipt(&auditor, &["--db", "{db}", "--index", "0"]),
            4,
            &["contradictory", "misbehaviour-"],
        );
        let all = receipt(&auditor, &["--db", "{db}", "--all-of", "alex", "--out", "{dir}/all"]);
        assert!(all.exit == 4 && all.stderr.matches("contradictory").count() == 1, "{all:#?}");
    }
    for (name, index) in [("assertion-signature-flipped", "5"), ("browser-cross-origin-frame", "7")] {
        let auditor = audited(name);
        nothing(&receipt(&auditor, &["--db", "{db}", "--index", index]), 1, &["no receipt was written"]);
        assert_eq!(receipt(&auditor, &["--db", "{db}", "--index", "0"]).exit, 0);
    }
    for form in ["json", "tlog-proof"] {
        let auditor = audited("leaf-whitespace");
        let report = auditor.audit(named("leaf-whitespace").last_step(), &[]).report();
        let index = report["findings"][0]["index"].to_string();
        let outcome = receipt(&auditor, &["--db", "{db}", "--index", &index, "--format", form]);
        nothing(&outcome, 1, &["no receipt was written"]);
    }
}

/// Other heads than the usual two of one size.
#[test]
fn the_newest_checked_checkpoint_and_its_newest_sth_are_used() {
    let leaves = rejected_leaves(300);
    let root = |size: usize| root_of(&leaves[..size]);
    // A head of another size beside the checkpoint is no STH of it.
    let (auditor, log, _) = own(&leaves, |files| {
        files.insert("sth".to_owned(), key().sth(299, root(299), HEAD_TIME));
    });
    let place = log.path().display().to_string();
    let mirrored = receipt(&auditor, &["--db", "{db}", "entry-7"]);
    let served = receipt(&auditor, &["--index", "7", "--from-log", "--log", &place]);
    assert!(mirrored.stdout.contains("\"sth\":null") && mirrored.exit == 0, "{mirrored:#?}");
    assert_eq!(mirrored.stdout, served.stdout);
    assert!(served.stderr.contains("the receipt has no STH"));
    // A head that is larger than what was checked is not used, an older one is; of two times the newer.
    for (size, time) in [(100, -2), (200, -1), (300, 5), (300, 3), (301, 6)] {
        let root = if size == 301 { Hash([7; 32]) } else { root(size) };
        for head in [
            key().checkpoint(size as u64, root),
            key().sth(size as u64, root, HEAD_TIME.saturating_add_signed(time)),
        ] {
            let path = auditor.directory().join("head");
            fs::write(&path, [head, b"\n".to_vec()].concat().trim_ascii_end()).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, if text.starts_with('{') { text } else { text + "\n" }).unwrap();
            auditor.command(&["heads", "import", "--db", "{db}", path.to_str().unwrap()]);
        }
    }
    let newer = receipt(&auditor, &["--db", "{db}", "entry-7"]);
    assert!(newer.stdout.contains(&format!("\"timestamp\":{}", HEAD_TIME + 5)), "{newer:#?}");
    assert!(newer.stdout.contains("\\n300\\n") && newer.exit == 0);
}

/// A JSON API whose checkpoint does not verify leaves STHs alone, which are no receipt.
#[test]
fn a_mirror_without_a_checkpoint_makes_no_receipt() {
    let lab = Lab::of_key(&key().vkey());
    let log = ApiLog::new(&key(), &rejected_leaves(300), &[300]).change(|path, answer| match path {
        "head" => Some(
            String::from_utf8(answer?).unwrap().replace("\\n\\n\u{2014} ", "\\n\\n\u{2014} x").into_bytes(),
        ),
        _ if path.ends_with("verification") => None,
        _ => answer,
    });
    let answer = lab.workspace(0).audit(&log.source());
    assert_eq!(answer.checked, 300, "{answer:?}");
    let auditor = Auditor::new(&key().vkey());
    let db = lab.db(0).display().to_string();
    // A test beside this one may be starting a program, which has our files open until it runs.
    let ask = || receipt(&auditor, &["--db", &db, "entry-7"]);
    let free = (0..100).map(|_| ask()).find(|outcome| !outcome.stderr.contains("in use by another process"));
    nothing(&free.unwrap(), 3, &["no checkpoint", "audit again"]);
}
