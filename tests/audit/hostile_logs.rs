//! What a hostile log can serve: each time the right answer, in bounded time, with no panic and
//! nothing on the terminal that acts on it (both of which every run of the program is held to).

use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::Instant;
use support::HANG;
use support::cli::{Auditor, Outcome};
use support::lab::{Files, write_files};
use support::log::{HEAD_TIME, TestKey, bundle_of, honest_log, leaf, rejected, rejected_leaves, root_of};
use support::serve_dir;
use tempfile::TempDir;

fn key() -> TestKey {
    TestKey::new(1)
}

fn on_disk(files: &Files) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    write_files(directory.path(), files);
    directory
}

/// Audits from scratch, over a directory and over HTTP, which must come to the same.
#[track_caller]
fn expect(files: &Files, exit: i32, codes: &[&str]) -> Outcome {
    let log = on_disk(files);
    let outcome = Auditor::new(&key().vkey()).init(log.path());
    outcome.expect(exit, codes);
    let server = serve_dir(log.path());
    Auditor::new(&key().vkey()).init(server.url()).expect(exit, codes);
    outcome
}

fn with(files: &Files, name: &str, bytes: impl Into<Vec<u8>>) -> Files {
    let mut files = files.clone();
    files.insert(name.to_owned(), bytes.into());
    files
}

fn without(files: &Files, name: &str) -> Files {
    let mut files = files.clone();
    files.remove(name).unwrap_or_else(|| panic!("there is no {name}"));
    files
}

/// An honest log of 300 entries.
fn log_of_300() -> Files {
    honest_log(&key(), &rejected_leaves(300))
}

#[test]
fn honest_logs_of_every_small_size_are_clean() {
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 513] {
        expect(&honest_log(&key(), &rejected_leaves(size)), 0, &[]);
    }
}

#[test]
fn a_head_may_claim_any_size() {
    let root = root_of(&rejected_leaves(3));
    let sizes = [1 << 20, (1 << 32) + 7, (1 << 53) - 1, 1 << 53, u64::MAX / 2, u64::MAX - 1, u64::MAX];
    for size in sizes {
        let started = Instant::now();
        let files = with(&Files::new(), "checkpoint", key().checkpoint(size, root));
        let log = on_disk(&files);
        let outcome = Auditor::new(&key().vkey()).init(log.path());
        assert!([1, 3].contains(&outcome.exit), "size {size}: {outcome:#?}");
        // The real entries of a smaller tree behind it.
        let mut files = log_of_300();
        files.insert("checkpoint".to_owned(), key().checkpoint(size, root));
        if size < 1 << 53 {
            files.insert("sth".to_owned(), key().sth(size, root, HEAD_TIME));
        } else {
            files.remove("sth");
        }
        let log = on_disk(&files);
        let outcome = Auditor::new(&key().vkey()).init(log.path());
        assert!([1, 3].contains(&outcome.exit), "size {size}: {outcome:#?}");
        let again = Auditor::new(&key().vkey());
        let outcome = again.audit(log.path(), &["--init", "--max-entries", "18446744073709551615"]);
        assert!([1, 3].contains(&outcome.exit), "size {size}, any number allowed: {outcome:#?}");
        assert_eq!(again.audit(log.path(), &[]).exit, outcome.exit, "size {size}, the second time");
        assert!(started.elapsed() < HANG, "size {size} took {:?}", started.elapsed());
    }
}

#[test]
fn a_wrong_root_of_an_empty_log_is_found() {
    let empty = honest_log(&key(), &[]);
    let outcome = expect(&empty, 0, &[]);
    assert_eq!(outcome.report()["entries"]["total"], 0);
    let wrong = root_of(&rejected_leaves(1));
    let files =
        with(&with(&empty, "checkpoint", key().checkpoint(0, wrong)), "sth", key().sth(0, wrong, HEAD_TIME));
    expect(&files, 1, &["root-mismatch"]);
    // The two formats differ, and both are signed.
    let files = with(&empty, "checkpoint", key().checkpoint(0, wrong));
    let outcome = Auditor::new(&key().vkey()).init(on_disk(&files).path());
    assert_eq!(outcome.exit, 4, "{outcome:#?}");
    assert!(outcome.codes().contains(&"same-size-fork".to_owned()));
}

#[test]
fn missing_and_damaged_heads_are_found() {
    let honest = log_of_300();
    expect(&without(&honest, "checkpoint"), 1, &["gap"]);
    expect(&without(&honest, "sth"), 0, &[]);
    // No head was ever seen, and there is none: no log was found. A head that was there, and is not, is a gap.
    let none = without(&without(&honest, "sth"), "checkpoint");
    expect(&none, 3, &[]);
    let auditor = Auditor::new(&key().vkey());
    assert_eq!(auditor.init(on_disk(&honest).path()).exit, 0);
    auditor.audit(on_disk(&none).path(), &[]).expect(1, &["gap"]);
    let foreign = TestKey::new(2);
    let root = root_of(&rejected_leaves(300));
    expect(&with(&honest, "checkpoint", foreign.checkpoint(300, root)), 1, &["head-signature-invalid"]);
    expect(&with(&honest, "sth", foreign.sth(300, root, HEAD_TIME)), 1, &["head-signature-invalid"]);
    let sth = String::from_utf8(honest["sth"].clone()).unwrap();
    let malformed: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        b"\xff\xfe".to_vec(),
        vec![b'['; 16_000],
        vec![b'{'; 60_000],
        sth.replace(":300,", ":\"300\",").into(),
        sth.replace(":300,", ":3e2,").into(),
        sth.replace(":300,", ":300.0,").into(),
        sth.replace(":300,", ":-300,").into(),
        sth.replace(":300,", ":18446744073709551616,").into(),
        sth.replace(":300,", ":9007199254740992,").into(),
        sth.replace(":300,", ":null,").into(),
        sth.replacen('{', "{\"treeSize\":300,", 1).into(),
        sth.replacen('{', "{\"more\":1,", 1).into(),
        sth.replace("\"signature\":\"", "\"signature\":\"=").into(),
        format!("\u{feff}{sth}").into(),
    ];
    for bytes in malformed {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        println!("sth: {shown:?}");
        assert_ne!(bytes, honest["sth"]);
        let outcome = Auditor::new(&key().vkey()).init(on_disk(&with(&honest, "sth", bytes)).path());
        outcome.expect(1, &["head-malformed"]);
    }
}

#[test]
fn a_checkpoint_may_have_any_number_of_lines() {
    let honest = log_of_300();
    let checkpoint = String::from_utf8(honest["checkpoint"].clone()).unwrap();
    let (text, ours) = checkpoint.split_once("\n\n").unwrap();
    let witness = |n: usize| format!("\u{2014} witness-{n}.example {}\n", "AAAA".repeat(19));
    let witnesses = |count: usize| (0..count).map(witness).collect::<String>();
    // As many as a log can reasonably have are no reason to refuse it, before and behind its own.
    expect(&with(&honest, "checkpoint", format!("{text}\n\n{ours}{}", witnesses(15))), 0, &[]);
    expect(&with(&honest, "checkpoint", format!("{text}\n\n{}{ours}", witnesses(15))), 0, &[]);
    for count in [101, 500, 5_000, 20_000] {
        let files = with(&honest, "checkpoint", format!("{text}\n\n{}{ours}", witnesses(count)));
        expect(&files, 1, &["head-malformed"]);
    }
    expect(
        &with(&honest, "checkpoint", format!("{text}\n\n{}", witnesses(3))),
        1,
        &["head-signature-invalid"],
    );
    // Our key's line twice, once of them wrong.
    let wrong = key().signature_line("another text\n");
    let outcome = Auditor::new(&key().vkey())
        .init(on_disk(&with(&honest, "checkpoint", format!("{text}\n\n{ours}{wrong}"))).path());
    assert_eq!(outcome.exit, 1, "{outcome:#?}");
}

#[test]
fn malformed_entry_bundles_are_found() {
    let honest = log_of_300();
    let full = "tile/entries/000";
    let bytes = &honest[full];
    let cut = |length: usize| with(&honest, full, &bytes[..length]);
    for length in [0, 1, 2, 3, bytes.len() / 2, bytes.len() - 1] {
        expect(&cut(length), 1, &["gap"]);
    }
    expect(&with(&honest, full, [&bytes[..], b"\0\0"].concat()), 1, &["root-mismatch"]);
    expect(&with(&honest, full, [&bytes[..], bytes].concat()), 1, &["root-mismatch"]);
    expect(&with(&honest, full, vec![0; 512]), 1, &["root-mismatch"]); // 256 empty leaves
    expect(&with(&honest, full, vec![0xff; 100_000]), 1, &["gap"]);
    let too_long = vec![0; 256 * (2 + 65_535) + 1];
    expect(&with(&honest, full, too_long), 1, &["root-mismatch"]);
    let outcome = expect(&without(&honest, full), 1, &["gap"]);
    let report = outcome.report();
    assert_eq!(report["entries"]["total"], 0);
    for check in ["leaf-form", "signature", "origin", "rp-id", "unique-id", "key-history"] {
        assert_eq!(report["checks"][check]["result"], "not-checked", "{check}: no entry was seen");
    }
    let outcome = expect(&without(&honest, "tile/entries/001.p/44"), 1, &["gap"]);
    assert_eq!(outcome.report()["entries"]["total"], 256, "what was proved before the gap counts");
}

#[test]
fn missing_and_wrong_tiles_are_found() {
    let honest = log_of_300();
    for tile in ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"] {
        let outcome = expect(&without(&honest, tile), 1, &["gap"]);
        assert_eq!(outcome.report()["entries"]["total"], 300, "{tile}: the entries are all there");
        for bytes in
            [vec![], vec![0; 31], vec![0; 32], vec![1; 8192], vec![1; 9000], honest[tile][1..].to_vec()]
        {
            let outcome = expect(&with(&honest, tile, bytes), 1, &["tile-mismatch"]);
            assert_eq!(outcome.report()["entries"]["total"], 300, "{tile}");
        }
    }
}

#[test]
fn malformed_leaves_are_found() {
    let entry = |id: &str| rejected(id);
    let text = |entry: serde_json::Value| leaf(&entry);
    let mut huge = entry("huge");
    huge["requestedAt"] = json!(1e300);
    let mut negative = entry("negative");
    negative["requestedAt"] = json!(-1);
    let mut wide = String::from_utf8(text(entry("wide"))).unwrap();
    wide = wide.replace(&HEAD_TIME.saturating_sub(50_000).to_string(), &"9".repeat(60_000));
    let mut utf8 = text(entry("utf8"));
    utf8[20] = 0xff;
    let mut controls = entry("controls");
    controls["approver"] = "\u{1b}]0;owned\u{7}\u{202e}alex\u{2066}\u{200b}\r\n\u{0}\u{9b}31m".into();
    let mut id = entry("id");
    id["id"] = "\u{1b}[2J\u{202e}/../id".into();
    let mut origin = entry("origin");
    origin["origin"] = "log\u{202e}\u{1b}[31m.example\n".into();
    let mut kind = entry("kind");
    kind["type"] = "\u{1b}[2Jtype".into();
    let mut encoding = entry("encoding");
    encoding["payloadEncoding"] = "\u{202e}\u{7f}".into();
    let mut more = entry("more");
    more["\u{1b}[2J\u{202e}"] = 1.into();
    let leaves = vec![
        text(entry("first")),
        vec![b'['; 60_000],
        [vec![b'['; 30_000], vec![b']'; 30_000]].concat(),
        [b"{\"a\":".repeat(10_000), b"1".to_vec(), b"}".repeat(10_000)].concat(),
        text(huge),
        negative.to_string().into_bytes(),
        wide.into_bytes(),
        utf8,
        text(controls),
        text(id),
        text(origin),
        text(kind),
        text(encoding),
        text(more),
        b"".to_vec(),
        b"\0".repeat(65_535),
        "\u{1b}[2J\u{202e}".repeat(5_000).into_bytes(),
        format!("\"{}\"", "\\ud800".repeat(9_000)).into_bytes(),
        b"{}".to_vec(),
        b"null".to_vec(),
        text(entry("last")),
    ];
    let count = leaves.len() as u64;
    let log = on_disk(&honest_log(&key(), &leaves));
    let auditor = Auditor::new(&key().vkey());
    let outcome = auditor.init(log.path());
    assert_eq!(outcome.exit, 1, "{outcome:#?}");
    let report = outcome.report();
    assert_eq!(
        (report["entries"]["total"].as_u64(), report["faults"].as_array().unwrap().len()),
        (Some(count), 0)
    );
    // All but the first, the last, and the one whose approver is merely odd have a finding.
    let indices: std::collections::BTreeSet<u64> =
        outcome.findings().into_iter().filter_map(|(_, index)| index).collect();
    let expected: std::collections::BTreeSet<u64> = (1..count - 1).filter(|index| *index != 8).collect();
    assert_eq!(indices, expected, "{outcome:#?}");
    // The text report shows the same to people.
    let mut command = support::cli::program();
    command
        .arg("audit")
        .arg("--log")
        .arg(log.path())
        .arg("--db")
        .arg(auditor.db())
        .args(&auditor.trust)
        .arg("-v");
    let outcome = support::cli::run(command);
    assert_eq!(outcome.exit, 1);
    assert!(outcome.stdout.starts_with("INVALID"), "{}", outcome.stdout);
}

#[test]
fn a_bundle_of_the_longest_leaves_is_read() {
    let started = Instant::now();
    let leaves: Vec<Vec<u8>> = (0..=255u8).map(|n| vec![n; 65_535]).collect();
    let log = on_disk(&honest_log(&key(), &leaves));
    let outcome = Auditor::new(&key().vkey()).init(log.path());
    outcome.expect(1, &["leaf-malformed"]);
    assert_eq!(outcome.findings().len(), 256);
    assert_eq!(bundle_of(&leaves).len(), 256 * 65_537);
    assert!(started.elapsed() < HANG);
}

#[test]
fn too_many_findings_stop_the_run() {
    let leaves: Vec<Vec<u8>> = (0..2_000u32).map(|n| n.to_be_bytes().to_vec()).collect();
    let log = on_disk(&honest_log(&key(), &leaves));
    let auditor = Auditor::new(&key().vkey());
    let outcome = auditor.audit(log.path(), &["--init", "--max-findings", "100"]);
    outcome.expect(1, &["leaf-malformed"]);
    assert!(outcome.report()["incomplete"].to_string().contains("--max-findings"), "{outcome:#?}");
    auditor.audit(log.path(), &["--max-findings", "5000"]).expect(1, &["leaf-malformed"]);
    assert_eq!(auditor.audit(log.path(), &[]).findings().len(), 2_000);
}

#[test]
fn a_log_that_is_not_a_directory_is_undecided() {
    let auditor = Auditor::new(&key().vkey());
    let missing = auditor.directory().join("unmounted");
    auditor.init(&missing).expect(3, &[]);
    // A log that was there is not judged by its absence.
    let log = on_disk(&log_of_300());
    let auditor = Auditor::new(&key().vkey());
    assert_eq!(auditor.init(log.path()).exit, 0);
    auditor.audit(&missing, &[]).expect(3, &[]);
    fs::remove_dir_all(log.path()).unwrap();
    auditor.audit(log.path(), &[]).expect(3, &[]);
}

#[cfg(unix)]
#[test]
fn special_files_are_not_waited_for() {
    let fifo = |path: &Path| {
        fs::remove_file(path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    for name in ["checkpoint", "sth", "tile/0/000", "tile/entries/000", "tile/1/000.p/1"] {
        let log = on_disk(&log_of_300());
        fifo(&log.path().join(name));
        Auditor::new(&key().vkey()).init(log.path()).expect(3, &[]);
        fs::remove_file(log.path().join(name)).unwrap();
        fs::create_dir(log.path().join(name)).unwrap();
        Auditor::new(&key().vkey()).init(log.path()).expect(3, &[]);
    }
}
