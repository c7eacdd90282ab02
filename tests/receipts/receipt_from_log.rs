//! `countersign receipt --from-log`, the real program: from tiles and from the JSON API, honest or not.

use countersign::core::hash::sha256;
use std::fs;
use std::path::PathBuf;
use support::case::fixtures;
use support::cli::Auditor;
use support::lab::on_threads;
use support::log::{HEAD_TIME, leaf, rejected, rejected_leaves, root_of};
use support::receipt_cli::{DEMO_ID, DEMO_KEY, IMPATIENT, demo, key, names, nothing, own, receipt, verify};
use support::served::Served;
use support::witness::{TestWitness, policy};

#[test]
fn receipts_come_from_the_log_in_three_ways() {
    let auditor = demo();
    let directory = fixtures().join("demo").display().to_string();
    let server = Served::start(&[
        "--dir",
        &directory,
        "--seed",
        "countersign demo",
        "--origin",
        "log.approvals.example/demo",
    ]);
    let nobody = Auditor::new(DEMO_KEY);
    for format in ["json", "tlog-proof"] {
        let mirrored = receipt(&auditor, &["--db", "{db}", DEMO_ID, "--format", format]);
        for log in [&directory, &server.tiles_url(), &server.api_url()] {
            let options = ["--from-log", "--log", log, "--format", format];
            let served = receipt(&nobody, &[&["--index", "5"], &options[..]].concat());
            assert_eq!((served.exit, &served.stdout), (0, &mirrored.stdout), "{log}: {}", served.stderr);
            let served = receipt(&auditor, &[&["--db", "{db}", DEMO_ID], &options[..]].concat());
            assert_eq!((served.exit, &served.stdout), (0, &mirrored.stdout), "{log}: {}", served.stderr);
            nothing(&receipt(&nobody, &[&["--index", "800"], &options[..]].concat()), 3, &["800 entries"]);
        }
        let api = server.api_url();
        let options = ["--from-log", "--log", &api, "--format", format];
        assert_eq!(receipt(&nobody, &[&[DEMO_ID], &options[..]].concat()).stdout, mirrored.stdout);
        nothing(&receipt(&nobody, &[&["nobody"], &options[..]].concat()), 3, &["knows no approval"]);
    }
    let (tiles, api) = (server.tiles_url(), server.api_url());
    drop(server);
    for log in [tiles, api] {
        let down = [&["--index", "5", "--from-log", "--log", &log], &IMPATIENT[..]].concat();
        nothing(&receipt(&nobody, &down), 3, &["no receipt was written"]);
        let outcome = receipt(&auditor, &["--db", "{db}", DEMO_ID, "--log", &log]);
        assert_eq!((outcome.exit, outcome.stderr.as_str()), (0, ""));
    }
    let outcome = receipt(&nobody, &["--index", "5", "--from-log", "--log", "{dir}/unmounted"]);
    nothing(&outcome, 3, &["check --log"]);
}

#[test]
fn no_lie_over_http_becomes_a_receipt() {
    // Lie, whether over the API, exit code.
    let lies = [
        ("bundle-other", true, 1),
        ("head-disagree", true, 4),
        ("head-disagree", false, 4),
        ("wrong-key", true, 1),
        ("wrong-key", false, 1),
        ("no-head:404", false, 1),
        ("no-head:malformed", false, 1),
        ("tampered-proof", false, 1),
        ("no-proof:404", false, 1),
        ("no-entries:404", false, 1),
        ("no-entries:500", false, 3),
        ("html", true, 3),
    ];
    // They mostly wait.
    on_threads(6, lies.len(), |number| {
        let (lie, api, exit) = lies[number];
        let server = Served::start(&["--entries", "600", "--lie", lie]);
        let auditor = Auditor::new(server.log_key());
        let log = if api { server.api_url() } else { server.tiles_url() };
        let mut worst = 0;
        // A lie may be about one entry alone.
        for index in ["0", "255", "300", "599"] {
            let options = ["--index", index, "--from-log", "--log", &log, "--evidence-dir", "{dir}/evidence"];
            let ask = |form: &str| {
                let outcome =
                    receipt(&auditor, &[&options[..], &["--format", form], &IMPATIENT[..]].concat());
                assert!(outcome.exit == 0 || outcome.stdout.is_empty(), "{lie}: {outcome:#?}");
                outcome.exit
            };
            let exit = ask("json");
            // A tlog-proof has no STH to show it, and all the same.
            assert_eq!(ask("tlog-proof"), exit, "{lie} at {index}");
            worst = worst.max(exit);
        }
        assert_eq!(worst, exit, "{lie}, api: {api}");
        let proofs = auditor.directory().join("evidence");
        let proofs: Vec<PathBuf> = match proofs.exists() {
            true => names(&proofs).iter().map(|name| proofs.join(name)).collect(),
            false => Vec::new(),
        };
        assert_eq!(proofs.is_empty(), exit != 4, "{lie}: {proofs:?}");
        for proof in proofs {
            assert_eq!(auditor.command(&["evidence", "verify", proof.to_str().unwrap()]).exit, 0);
        }
    });
}

/// A second history that is shown only to who asks for a receipt shows against the mirror.
#[test]
fn a_receipt_of_another_history_proves_the_fork() {
    let server = Served::start(&["--entries", "600", "--lie", "bundle-fork"]);
    let auditor = Auditor::new(server.log_key());
    assert_eq!(auditor.init(server.tiles_url()).exit, 0);
    let asked = ["--index", "7", "--from-log", "--log", &server.api_url()];
    // A stranger who asks by index is shown both histories in one run.
    let stranger = Auditor::new(server.log_key());
    let outcome = receipt(&stranger, &[&asked[..], &["--evidence-dir", "{dir}/proof"]].concat());
    nothing(&outcome, 4, &["no receipt was written", "the proof is in"]);
    let outcome =
        receipt(&auditor, &[&asked[..], &["--db", "{db}", "--evidence-dir", "{dir}/proof"]].concat());
    nothing(&outcome, 4, &["no receipt was written", "the proof is in"]);
    let proofs = names(&auditor.directory().join("proof"));
    assert_eq!(proofs.len(), 1, "{proofs:?}");
    let proof = auditor.directory().join("proof").join(&proofs[0]).display().to_string();
    assert_eq!(auditor.command(&["evidence", "verify", &proof]).exit, 0);
    // What cannot be compared is reported.
    let path = auditor.directory().join("nowhere.db").display().to_string();
    let tiles = ["--index", "7", "--from-log", "--log", &server.tiles_url(), "--db", &path];
    let outcome = receipt(&auditor, &tiles);
    assert!(outcome.exit == 0 && outcome.stderr.contains("not compared with the mirror"), "{outcome:#?}");
}

/// What an entry commits to and the log keeps beside it.
#[test]
fn a_reveal_comes_from_the_log_alone() {
    let text =
        r#"{"action":"Deploy","blind":"AA","email":null,"payload":{"a":1},"type":"approval-log-reveal/v1"}"#;
    let mut entry = rejected("told");
    entry["revealCommitment"] =
        sha256(&[b"approval-log-reveal/v1\0".as_slice(), text.as_bytes()].concat()).to_string().into();
    entry["payloadHash"] = sha256(br#"{"a":1}"#).to_string().into();
    let leaves = vec![leaf(&rejected("plain")), leaf(&entry)];
    let with = |reveal: Option<&str>| {
        own(&leaves, |files| {
            files.extend(reveal.map(|text| ("reveal/told".to_owned(), text.as_bytes().to_vec())));
        })
    };
    let (auditor, log, _) = with(Some(text));
    let place = log.path().display().to_string();
    let mirrored = receipt(&auditor, &["--db", "{db}", "told"]);
    assert_eq!(mirrored.exit, 0);
    assert!(mirrored.stderr.contains("get it with --from-log"), "{}", mirrored.stderr);
    assert!(mirrored.stdout.contains("\"reveal\":null"));
    let alone = receipt(&auditor, &["--index", "1", "--from-log", "--log", &place]);
    assert!(alone.exit == 0 && alone.stderr.contains("not compared with a mirror"), "{alone:#?}");
    let served = receipt(&auditor, &["--index", "1", "--from-log", "--log", &place, "--db", "{db}"]);
    assert_eq!((served.exit, served.stderr.as_str()), (0, ""));
    assert!(served.stdout.contains(&format!("\"reveal\":{text}")));
    let report = verify(&auditor, &served.stdout, &["--decision", "rejected"]);
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "reveal").unwrap();
    assert_eq!((&report["verdict"], &check["result"]), (&"clean".into(), &"passed".into()), "{report:#}");
    let plain = receipt(&auditor, &["--index", "0", "--from-log", "--log", &place, "--db", "{db}"]);
    assert_eq!((plain.exit, plain.stderr.as_str()), (0, ""));
    // Not served, another one, or no JSON at all.
    for none in [None, Some("null"), Some(" null\n")] {
        let (auditor, log, _) = with(none);
        let place = log.path().display().to_string();
        let served = receipt(&auditor, &["--index", "1", "--from-log", "--log", &place]);
        assert!(served.exit == 0 && served.stderr.contains("the log does not serve it"), "{served:#?}");
    }
    let (auditor, log, _) = with(None);
    let place = log.path().display().to_string();
    for other in [text.replace("Deploy", "Delete"), "junk".to_owned(), String::new()] {
        fs::create_dir_all(log.path().join("reveal")).unwrap();
        fs::write(log.path().join("reveal/told"), other).unwrap();
        nothing(&receipt(&auditor, &["--index", "1", "--from-log", "--log", &place]), 1, &["no receipt"]);
    }
}

/// Witnesses cosign after the log has signed: a mirror that was there before does not know, and the log is
/// not blamed for that.
#[test]
fn later_cosignatures_are_fetched_from_the_log() {
    let leaves = rejected_leaves(3);
    let (mut auditor, log, _) = own(&leaves, |_| {});
    let witness = TestWitness::ed25519("w.example/a", 1);
    let path = auditor.directory().join("policy");
    fs::write(&path, policy(&[&key().vkey()], &[&witness], 1)).unwrap();
    auditor.trust.extend(["--policy".to_owned(), path.display().to_string()]);
    let place = log.path().display().to_string();
    let from_log = ["entry-1", "--db", "{db}", "--from-log", "--log", &place];
    let (checkpoint, time) = (key().checkpoint(3, root_of(&leaves)), HEAD_TIME / 1000);
    nothing(
        &receipt(&auditor, &["entry-1", "--db", "{db}"]),
        3,
        &["witnesses: ", "not a quorum", "--from-log"],
    );
    nothing(&receipt(&auditor, &from_log), 1, &["witnesses: ", "not a quorum"]);
    fs::write(log.path().join("checkpoint"), witness.forge(&checkpoint, time)).unwrap();
    nothing(&receipt(&auditor, &from_log), 1, &["witnesses: "]);
    fs::write(log.path().join("checkpoint"), witness.cosign(&checkpoint, time)).unwrap();
    for format in ["json", "tlog-proof"] {
        let cosigned = receipt(&auditor, &[&from_log[..], &["--format", format]].concat());
        assert!(cosigned.exit == 0 && cosigned.stdout.contains("w.example/a"), "{cosigned:#?}");
        assert_eq!(verify(&auditor, &cosigned.stdout, &["--decision", "rejected"])["verdict"], "clean");
    }
}
