//! Logs that are made here, always the same: entries with every kind of fault, logs that change under the auditor,
//! heads that contradict each other, checkpoints with cosignatures.

use super::{PARTY, audit};
use serde_json::{Value, json};
use std::path::PathBuf;
use support::case::fixtures;
use support::lab::{Files, write_files};
use support::log::{
    HEAD_TIME, TestKey, bundle_of, honest_log, leaf, rejected, rejected_leaves, root_of, tiles_of,
};
use support::passkey::{BACKUP_ELIGIBLE, Passkey};
use support::recorded::{Record, Session};
use support::witness::{TestWitness, policy};

/// Each its own auditor.
pub const SESSIONS: &[fn() -> Vec<Record>] = &[
    captured,
    good_captures,
    named_key_types,
    faulty_entries,
    faulty_entries_without_trust,
    pinned_keys,
    contradicting_heads,
    heads_of_every_kind,
    cosigned,
];

pub fn key() -> TestKey {
    TestKey::new(1)
}

/// An auditor, and a log in a directory beside the mirror.
fn session(name: &str) -> Session {
    let mut session = Session::new(name);
    session.place("log", session.directory().join("log").display().to_string());
    session.place("key", key().vkey());
    session
}

fn log_of(session: &Session) -> PathBuf {
    session.directory().join("log")
}

/// Serves these files and no others.
fn serve(session: &Session, files: &Files) {
    let _ = std::fs::remove_dir_all(log_of(session));
    std::fs::create_dir(log_of(session)).unwrap();
    write_files(&log_of(session), files);
}

fn trusting(session: &mut Session, step: &str, options: &[&str]) {
    audit(session, step, &[&["--init", "--log-key", "{key}"], &PARTY[..], options].concat());
}

/// Runs the test log's maker; the log's key is `{key}` from now on.
fn made(session: &mut Session, args: &[&str]) {
    let directory = log_of(session);
    let mut command = std::process::Command::new(support::built("countersign-testlog"));
    let output = command.arg(args[0]).arg(directory).args(&args[1..]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    session.place("key", summary["logKey"].as_str().unwrap());
}

fn of_captures(name: &str, file: &str) -> Session {
    let mut session = session(name);
    let captures = fixtures().join("captures").join(file).display().to_string();
    made(&mut session, &["demo", "--captures", &captures]);
    session
}

fn captured() -> Vec<Record> {
    let mut session = of_captures("captured assertions, bad", "passkeys-bad.json");
    trusting(&mut session, "first", &[]);
    trusting(&mut session, "cross origin", &["--allow-cross-origin"]);
    trusting(&mut session, "another origin", &["--allow-origin", "https://login.approvals.example"]);
    trusting(&mut session, "too many findings", &["--full", "--max-findings", "3"]);
    trusting(&mut session, "again", &["--deny-warnings"]);
    session.run("check", &["mirror", "check", "--db", "{db}", "--log-key", "{key}", "--format", "json"]);
    session.into_records()
}

fn good_captures() -> Vec<Record> {
    let mut session = of_captures("captured assertions, good", "passkeys.json");
    trusting(&mut session, "first", &["--deny-warnings"]);
    session.into_records()
}

fn named_key_types() -> Vec<Record> {
    let mut session = session("named key types");
    made(&mut session, &["build", "--entries", "60", "--named-kty"]);
    trusting(&mut session, "first", &[]);
    trusting(&mut session, "warnings denied", &["--deny-warnings"]);
    made(&mut session, &["grow", "--entries", "70", "--named-kty"]);
    trusting(&mut session, "grown", &[]);
    session.into_records()
}

/// Entry `n`, that waits for a passkey.
fn request(n: usize, approver: &str) -> Value {
    let mut entry = rejected(&format!("entry-{n}"));
    entry["approver"] = approver.into();
    entry
}

fn with(mut entry: Value, name: &str, value: Value) -> Value {
    entry[name] = value;
    entry
}

/// One of each fault among honest ones.
pub fn faulty_leaves() -> Vec<Vec<u8>> {
    let (alex, sam) = (Passkey::new(7), Passkey::new(8));
    let mut at = 0;
    let mut next = |approver: &str| {
        at += 1;
        request(at, approver)
    };
    let good = alex.approve(next("alex"));
    let mut entries = vec![
        good.clone(),
        sam.approve(next("sam")),
        // Across entries: twice the same, one's key for another, counters that go back.
        good.clone(),
        with(good.clone(), "id", "another-id".into()),
        with(next("sam"), "nonce", good["nonce"].clone()),
        alex.approve(next("sam")),
        sam.counting(9).approve(next("sam")),
        sam.counting(4).approve(next("sam")),
        Passkey::new(9).approve(next("alex")),
        // Who, where, for whom.
        with(next("alex"), "origin", "log.other.example".into()),
        with(alex.approve(next("alex")), "rpId", "other.example".into()),
        Passkey { origin: "https://other.example".to_owned(), ..alex.clone() }.approve(next("alex")),
        Passkey { flags: 0x01, ..alex.clone() }.approve(next("alex")),
        Passkey { flags: 0x04, ..alex.clone() }.approve(next("alex")),
        Passkey { flags: 0x05 | BACKUP_ELIGIBLE, ..alex.clone() }.approve(next("alex")),
        Passkey { flags: 0x15, ..alex.clone() }.approve(next("alex")),
        alex.approve_over(next("alex"), &[0; 37]),
        alex.approve_over(next("alex"), &[0; 3]),
        with(alex.approve(next("alex")), "payloadHash", "11".repeat(32).into()),
        with(alex.approve(next("alex")), "nonce", good["nonce"].clone()),
        with(alex.approve(next("alex")), "decision", "rejected".into()),
        with(next("alex"), "decision", "approved".into()),
        with(next("alex"), "decision", "perhaps".into()),
        with(next("alex"), "decision", "expired".into()),
        // When.
        with(next("alex"), "decidedAt", (HEAD_TIME + 1).into()),
        with(next("alex"), "decidedAt", (HEAD_TIME - 60_000).into()),
        with(next("alex"), "expiresAt", (HEAD_TIME - 45_000).into()),
        with(next("alex"), "requestedAt", 0.into()),
        with(next("alex"), "requestedAt", json!(1.5)),
        // What an entry is.
        with(next("alex"), "type", "approval-log-entry/v2".into()),
        with(next("alex"), "payloadEncoding", "other".into()),
        with(next("alex"), "payloadHash", "AB".into()),
        with(next("alex"), "nonce", "AA".into()),
        with(next("alex"), "approver", "".into()),
        with(next("alex"), "approver", "al\u{202e}ex\u{1b}[2J".into()),
        with(next("alex"), "id", "x".repeat(3000).into()),
        with(next("alex"), "extra", 1.into()),
        with(next("alex"), "revealCommitment", "00".into()),
    ];
    let mut bad_signature = alex.approve(next("alex"));
    bad_signature["assertion"]["signature"] = good["assertion"]["signature"].clone();
    let mut no_key = alex.approve(next("alex"));
    no_key["credential"]["publicKey"] = "AAAA".into();
    let mut named = alex.approve(next("alex"));
    let cose = countersign::core::encoding::encode_base64url(&alex.named_cose());
    named["credential"]["publicKey"] = cose.into();
    let mut client_data = alex.approve(next("alex"));
    client_data["assertion"]["clientDataJSON"] = "e30".into();
    entries.extend([bad_signature, no_key, named, client_data]);
    let mut leaves: Vec<Vec<u8>> = entries.iter().map(leaf).collect();
    let spaced = String::from_utf8(leaf(&next("alex"))).unwrap().replacen(':', ": ", 1).into_bytes();
    leaves.extend([spaced, Vec::new(), b"{}".to_vec(), b"[1]".to_vec(), b"no JSON".to_vec(), vec![0xff; 40]]);
    leaves.push(b"{\"a\":1,\"a\":2}".to_vec());
    leaves.push(vec![b'['; 5000]);
    leaves
}

fn faulty_entries() -> Vec<Record> {
    let mut session = session("faulty entries");
    let leaves = faulty_leaves();
    serve(&session, &honest_log(&key(), &leaves[..20]));
    trusting(&mut session, "twenty", &[]);
    serve(&session, &honest_log(&key(), &leaves));
    trusting(&mut session, "all", &[]);
    trusting(&mut session, "again", &[]);
    trusting(&mut session, "in full", &["--full", "--workers", "3"]);
    trusting(&mut session, "warnings denied", &["--deny-warnings"]);
    trusting(
        &mut session,
        "more allowed",
        &["--allow-origin", "https://other.example", "--allow-cross-origin"],
    );
    session.write(
        "config.toml",
        "[[watch]]\nname = \"alex\"\napprover = \"alex\"\npast = true\n
         [[acknowledge]]\ncode = \"watch-list\"\nrule = \"alex\"\nindex = 0\nuntil = 2999-12-31\ncomment = \"mine\"\n
         [[acknowledge]]\ncode = \"signature-invalid\"\nuntil = 2999-12-31\ncomment = \"known\"\n",
    );
    trusting(&mut session, "watched", &["--config", "{dir}/config.toml"]);
    session.into_records()
}

fn faulty_entries_without_trust() -> Vec<Record> {
    let mut session = session("faulty entries, no party");
    serve(&session, &honest_log(&key(), &faulty_leaves()));
    audit(&mut session, "first", &["--init", "--log-key", "{key}"]);
    audit(&mut session, "a party", &["--log-key", "{key}", "--rp-id", "approvals.example"]);
    audit(&mut session, "an origin", &["--log-key", "{key}", "--allow-origin", "https://approvals.example"]);
    trusting(&mut session, "both", &[]);
    session.into_records()
}

fn pinned_keys() -> Vec<Record> {
    let mut session = session("pinned keys");
    let (alex, sam) = (Passkey::new(7), Passkey::new(8));
    let entries = [alex.approve(request(0, "alex")), sam.approve(request(1, "sam")), request(2, "alex")];
    let leaves: Vec<Vec<u8>> = entries.iter().map(leaf).collect();
    serve(&session, &honest_log(&key(), &leaves));
    let pin = |approver: &str, passkey: &Passkey| {
        let cose = countersign::core::encoding::encode_base64url(&passkey.cose());
        format!("[approvers]\n{approver} = [\"{cose}\"]\n")
    };
    let configs = [("right", pin("alex", &alex)), ("wrong", pin("alex", &sam)), ("none", String::new())];
    for (step, config) in configs {
        session.write("config.toml", config);
        trusting(&mut session, step, &["--config", "{dir}/config.toml"]);
    }
    session.into_records()
}

/// A log of so many entries of which those from `other` on are of another history.
pub fn history(count: usize, other: usize) -> Vec<Vec<u8>> {
    let mut leaves = rejected_leaves(count);
    for (n, place) in leaves.iter_mut().enumerate().skip(other) {
        *place = leaf(&rejected(&format!("other-{n}")));
    }
    leaves
}

/// What a log may do between two audits, each thing alone, and then what was there before.
fn changes() -> Vec<(&'static str, Files)> {
    let leaves = rejected_leaves(600);
    let log = || honest_log(&key(), &leaves);
    let without = |name: &str| {
        let mut files = log();
        assert!(files.remove(name).is_some(), "{name}");
        files
    };
    let changed = |name: &str, bytes: Vec<u8>| {
        let mut files = log();
        files.insert(name.to_owned(), bytes);
        files
    };
    let checkpoint = |size: usize, leaves: &[Vec<u8>]| key().checkpoint(size as u64, root_of(leaves));
    let mut swapped = leaves[256..512].to_vec();
    swapped.swap(3, 4);
    let ahead = key().checkpoint(700, root_of(&rejected_leaves(700)));
    let later = key().sth(600, root_of(&leaves), HEAD_TIME + 86_400_000);
    let future = key().sth(600, root_of(&leaves), 4_000_000_000_000);
    let earlier = key().sth(600, root_of(&leaves), HEAD_TIME - 1);
    vec![
        ("no checkpoint", without("checkpoint")),
        ("no STH", without("sth")),
        ("no bundle", without("tile/entries/001")),
        ("no tile", without("tile/0/001")),
        ("no last bundle", without("tile/entries/002.p/88")),
        ("a bundle of other entries", changed("tile/entries/001", bundle_of(&swapped))),
        (
            "a bundle that is cut",
            changed("tile/entries/002.p/88", bundle_of(&leaves[512..600])[..2000].to_vec()),
        ),
        ("a tile of zeros", changed("tile/0/001", vec![0; 8192])),
        ("a checkpoint of other bytes", changed("checkpoint", b"no checkpoint".to_vec())),
        ("an STH of other bytes", changed("sth", b"{}".to_vec())),
        (
            "a checkpoint of another key",
            changed("checkpoint", TestKey::new(2).checkpoint(600, root_of(&leaves))),
        ),
        ("a checkpoint of fewer", changed("checkpoint", checkpoint(300, &leaves[..300]))),
        ("a checkpoint of more", changed("checkpoint", ahead)),
        ("a later STH", changed("sth", later)),
        ("an earlier STH", changed("sth", earlier)),
        ("an STH of the future", changed("sth", future)),
        ("a smaller log", honest_log(&key(), &leaves[..300])),
        ("a larger log", honest_log(&key(), &rejected_leaves(700))),
        ("another history", honest_log(&key(), &history(700, 650))),
        ("another history from early on", honest_log(&key(), &history(700, 100))),
        ("an empty log", honest_log(&key(), &[])),
    ]
}

/// How many [`changes`] there are.
pub fn changes_count() -> usize {
    changes().len()
}

/// The reports on one log: at first contact, after an honest audit, and with `--heads-only`.
pub fn changed(number: usize) -> Vec<Record> {
    let (change, files) = changes().swap_remove(number);
    let [before, later] = [500, 600].map(|count| honest_log(&key(), &rejected_leaves(count)));
    let mut fresh = session(&format!("{change}, at first contact"));
    serve(&fresh, &files);
    trusting(&mut fresh, "first", &[]);
    let mut whole = session(change);
    serve(&whole, &before);
    trusting(&mut whole, "before", &[]);
    serve(&whole, &files);
    trusting(&mut whole, "then", &[]);
    trusting(&mut whole, "then again", &["--full"]);
    serve(&whole, &later);
    trusting(&mut whole, "later", &[]);
    whole.verify_evidence("{key}");
    let mut heads = session(&format!("{change}, heads alone"));
    for (step, files) in [("before", &before), ("then", &files), ("later", &later)] {
        serve(&heads, files);
        trusting(&mut heads, step, &["--heads-only"]);
    }
    [fresh, whole, heads].map(Session::into_records).concat()
}

fn contradicting_heads() -> Vec<Record> {
    let mut session = session("a checkpoint and an STH of two histories");
    let mut files = tiles_of(&rejected_leaves(300));
    files.insert("checkpoint".to_owned(), key().checkpoint(300, root_of(&rejected_leaves(300))));
    files.insert("sth".to_owned(), key().sth(300, root_of(&history(300, 200)), HEAD_TIME));
    serve(&session, &files);
    trusting(&mut session, "first", &[]);
    trusting(&mut session, "again", &[]);
    files.insert("sth".to_owned(), key().sth(200, root_of(&history(200, 100)), HEAD_TIME + 1));
    serve(&session, &files);
    trusting(&mut session, "a smaller one", &[]);
    trusting(&mut session, "in full", &["--full"]);
    session.verify_evidence("{key}");
    session.into_records()
}

/// Heads that come from elsewhere, of every kind that an import can meet.
fn heads_of_every_kind() -> Vec<Record> {
    let mut session = session("heads of every kind");
    serve(&session, &honest_log(&key(), &rejected_leaves(300)));
    trusting(&mut session, "first", &[]);
    let heads = [
        ("smaller", key().checkpoint(100, root_of(&rejected_leaves(100)))),
        ("empty", key().checkpoint(0, root_of(&[]))),
        ("empty, with a root", key().checkpoint(0, root_of(&rejected_leaves(1)))),
        ("larger", key().sth(400, root_of(&rejected_leaves(400)), HEAD_TIME + 5)),
        ("another's", TestKey::new(2).checkpoint(100, root_of(&rejected_leaves(100)))),
        ("larger, of another history", key().checkpoint(500, root_of(&history(500, 200)))),
        ("smaller, of another history", key().checkpoint(200, root_of(&history(200, 100)))),
        ("same size, of another history", key().sth(300, root_of(&history(300, 299)), HEAD_TIME)),
    ];
    for (kind, head) in heads {
        session.write("head", head);
        let import =
            ["heads", "import", "{dir}/head", "--db", "{db}", "--log-key", "{key}", "--format", "json"];
        session.run(kind, &import);
        trusting(&mut session, &format!("{kind}, then an audit"), &[]);
    }
    serve(&session, &honest_log(&key(), &rejected_leaves(600)));
    trusting(&mut session, "grown", &[]);
    session.run("export", &["heads", "export", "--db", "{db}", "--log-key", "{key}"]);
    session.verify_evidence("{key}");
    session.into_records()
}

fn cosigned() -> Vec<Record> {
    const TIME: u64 = HEAD_TIME / 1000 + 60;
    let mut session = session("cosigned");
    let witnesses = [
        TestWitness::ed25519("w.example/a", 1),
        TestWitness::ml_dsa_44("w.example/b", 2),
        TestWitness::ml_dsa_44("w.example/c", 3),
    ];
    let mut files = honest_log(&key(), &rejected_leaves(5));
    let checkpoint = files["checkpoint"].clone();
    session.write("policy", policy(&[], &witnesses.each_ref(), 2));
    let [a, b, c] = &witnesses;
    let notes = [
        ("by none", checkpoint.clone()),
        ("by one", a.cosign(&checkpoint, TIME)),
        ("by two", b.cosign(&a.cosign(&checkpoint, TIME), TIME)),
        ("by one and a forgery", c.forge(&a.cosign(&checkpoint, TIME), TIME)),
        ("by one without a time", b.cosign(&a.cosign(&checkpoint, TIME), 0)),
        ("of the future", c.cosign(&b.cosign(&checkpoint, 4_000_000_000), 4_000_000_000)),
        ("by three", c.cosign(&b.cosign(&a.cosign(&checkpoint, TIME), TIME), TIME)),
    ];
    for (step, note) in notes {
        files.insert("checkpoint".to_owned(), note);
        serve(&session, &files);
        trusting(&mut session, step, &["--policy", "{dir}/policy"]);
    }
    trusting(&mut session, "heads alone", &["--policy", "{dir}/policy", "--heads-only"]);
    trusting(&mut session, "no policy", &[]);
    session.write("policy", "quorum none\n");
    trusting(&mut session, "no quorum", &["--policy", "{dir}/policy"]);
    session.into_records()
}
