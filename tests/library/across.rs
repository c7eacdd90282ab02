//! What shows only against the entries before, the heads, or what the auditor pinned: within one
//! run and across runs. Passkeys and logs are made here.

use countersign::core::encoding::encode_base64url;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use support::cli::{Auditor, Outcome};
use support::lab::write_files;
use support::log::{HEAD_TIME, TestKey, honest_log, leaf, rejected, root_of};
use support::passkey::{BACKUP_ELIGIBLE, PRESENT_AND_VERIFIED, Passkey};
use tempfile::TempDir;

/// A log that grows, and the one who audits it.
struct Bench {
    key: TestKey,
    leaves: Vec<Vec<u8>>,
    log: TempDir,
    auditor: Auditor,
    begun: bool,
    head_time: u64,
}

impl Bench {
    fn new() -> Bench {
        let key = TestKey::new(1);
        let auditor = Auditor::new(&key.vkey());
        Bench {
            key,
            leaves: Vec::new(),
            log: tempfile::tempdir().unwrap(),
            auditor,
            begun: false,
            head_time: HEAD_TIME,
        }
    }

    /// The log appends entries and signs.
    fn append(&mut self, entries: &[Value]) -> &mut Bench {
        self.leaves.extend(entries.iter().map(leaf));
        let mut files = honest_log(&self.key, &self.leaves);
        let (size, root) = (self.leaves.len() as u64, root_of(&self.leaves));
        files.insert("sth".to_owned(), self.key.sth(size, root, self.head_time));
        write_files(self.log.path(), &files);
        self.head_time += 1000;
        self
    }

    #[track_caller]
    fn audit(&mut self, options: &[&str]) -> Outcome {
        let mut options = options.to_vec();
        if !std::mem::replace(&mut self.begun, true) {
            options.push("--init");
        }
        self.auditor.audit(self.log.path(), &options)
    }
}

/// Findings as code and index, and nothing else, whether the entries come in one run or in two.
#[track_caller]
fn expect(exit: i32, before: &[Value], after: &[Value], expected: &[(&str, u64)]) {
    let mut expected: Vec<(String, Option<u64>)> =
        expected.iter().map(|(code, index)| ((*code).to_owned(), Some(*index))).collect();
    expected.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    let mut at_once = Bench::new();
    let outcome = at_once.append(&[before, after].concat()).audit(&[]);
    assert_eq!((outcome.exit, outcome.findings()), (exit, expected.clone()), "in one run: {outcome:#?}");
    let mut in_two = Bench::new();
    assert_eq!(in_two.append(before).audit(&[]).exit, 0);
    let outcome = in_two.append(after).audit(&[]);
    assert_eq!((outcome.exit, outcome.findings()), (exit, expected.clone()), "in two runs: {outcome:#?}");
    // Checked again from the mirror, and once more, it stays what it was.
    for options in [&["--full"][..], &[]] {
        assert_eq!(in_two.audit(options).findings(), expected, "{options:?}");
    }
}

fn of(approver: &str, id: &str) -> Value {
    let mut entry = rejected(id);
    entry["approver"] = approver.into();
    entry
}

#[test]
fn ids_and_nonces_are_unique() {
    let first = rejected("a");
    let mut same_id = rejected("b");
    same_id["id"] = "a".into();
    let mut same_nonce = rejected("c");
    same_nonce["nonce"] = first["nonce"].clone();
    expect(1, &[first.clone(), rejected("x")], &[same_id], &[("id-duplicate", 2)]);
    expect(1, &[first.clone(), rejected("x")], &[same_nonce], &[("nonce-reused", 2)]);
    expect(
        1,
        std::slice::from_ref(&first),
        &[first.clone(), first.clone()],
        &[("id-duplicate", 1), ("nonce-reused", 1), ("id-duplicate", 2), ("nonce-reused", 2)],
    );
}

/// A disk that loses a write leaves a page as it was an audit earlier. Whatever row of what was seen that happens to,
/// a replay is found, or it is said that this mirror cannot tell; and `--full` finds it.
#[test]
fn lost_rows_do_not_hide_a_replay() {
    let mut replayed = rejected("z");
    let victim = rejected("p");
    replayed["nonce"] = victim["nonce"].clone();
    let nights: [Vec<Value>; 4] = [
        (0..40).map(|n| rejected(&format!("a{n}"))).collect(),
        vec![victim],
        (0..40).map(|n| rejected(&format!("b{n}"))).collect(),
        vec![replayed],
    ];
    let mut bench = Bench::new();
    let mut rows: Vec<Vec<(i64, Vec<u8>)>> = Vec::new();
    for night in &nights[..3] {
        assert_eq!(bench.append(night).audit(&[]).exit, 0);
        let db = rusqlite::Connection::open(bench.auditor.db()).unwrap();
        let mut select = db.prepare("SELECT id, data FROM seen_rows ORDER BY id").unwrap();
        let all = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.push(all.map(Result::unwrap).collect());
        drop(select);
        db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    }
    bench.append(&nights[3]);
    let (whole, mark) =
        (fs::read(bench.auditor.db()).unwrap(), fs::read(bench.auditor.beside_db(".mark")).unwrap());
    let (last, earlier) = rows.split_last().unwrap();
    let mut ways: Vec<String> = vec!["DELETE FROM seen_rows".to_owned(), "SELECT 1".to_owned()];
    let hex = |data: &[u8]| -> String { data.iter().map(|byte| format!("{byte:02x}")).collect() };
    for then in earlier {
        // The whole table as it was, with the state of today.
        let values: Vec<String> = then.iter().map(|(id, data)| format!("({id}, x'{}')", hex(data))).collect();
        ways.push(format!("DELETE FROM seen_rows; INSERT INTO seen_rows VALUES {}", values.join(", ")));
    }
    for (id, _) in last {
        ways.push(format!("DELETE FROM seen_rows WHERE id = {id}"));
        ways.push(format!("UPDATE seen_rows SET data = zeroblob(length(data)) WHERE id = {id}"));
        for (_, data) in earlier.iter().flatten().filter(|(was, _)| was != id).step_by(3) {
            ways.push(format!("UPDATE seen_rows SET data = x'{}' WHERE id = {id}", hex(data)));
        }
    }
    let mut answers = std::collections::BTreeMap::<i32, usize>::new();
    for way in &ways {
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(bench.auditor.beside_db(suffix));
        }
        fs::write(bench.auditor.db(), &whole).unwrap();
        fs::write(bench.auditor.beside_db(".mark"), &mark).unwrap();
        bench.auditor.sql(way);
        let way = way.get(..60).unwrap_or(way);
        let outcome = bench.audit(&[]);
        *answers.entry(outcome.exit).or_default() += 1;
        match outcome.exit {
            1 => {
                assert_eq!(outcome.findings(), [("nonce-reused".to_owned(), Some(81))], "{way}: {outcome:#?}")
            }
            5 => drop(outcome.expect_fault(&["remembers", "seen_rows", "--full"])),
            _ => panic!("{way}: {outcome:#?}"),
        }
        let full = bench.audit(&["--full"]);
        assert_eq!((full.exit, full.codes()), (1, vec!["nonce-reused".to_owned()]), "{way}: {full:#?}");
    }
    assert!(answers[&1] >= 1 && answers[&5] >= 8, "{answers:?}");
}

#[test]
fn assertions_are_unique() {
    let approved = Passkey::new(1).approve(rejected("a"));
    let mut replayed = approved.clone();
    replayed["id"] = "b".into();
    expect(1, &[approved], &[replayed], &[("nonce-reused", 1), ("assertion-reused", 1)]);
}

#[test]
fn a_passkey_belongs_to_one_approver() {
    let key = Passkey::new(1);
    expect(1, &[key.approve(of("alex", "a"))], &[key.approve(of("blake", "b"))], &[("key-shared", 1)]);
}

#[test]
fn a_passkey_has_one_credential_id() {
    let key = Passkey::new(1);
    let relabelled = Passkey { credential_id: vec![9; 16], ..key.clone() };
    let (a, b) = (key.approve(rejected("a")), relabelled.approve(rejected("b")));
    expect(0, &[a], &[b], &[("credential-relabelled", 1)]);
}

#[test]
fn a_further_passkey_is_reported() {
    let (a, b) = (Passkey::new(1).approve(rejected("a")), Passkey::new(2).approve(rejected("b")));
    expect(0, &[a], &[b], &[("credential-new", 1)]);
    // The first passkey of another approver is none.
    expect(0, &[Passkey::new(1).approve(rejected("a"))], &[Passkey::new(2).approve(of("blake", "b"))], &[]);
}

#[test]
fn backup_eligibility_does_not_change() {
    let key = Passkey::new(1);
    let changed = Passkey { flags: PRESENT_AND_VERIFIED | BACKUP_ELIGIBLE, ..key.clone() };
    let (a, b) = (key.approve(rejected("a")), changed.approve(rejected("b")));
    expect(0, &[a], &[b], &[("backup-eligibility-changed", 1)]);
}

#[test]
fn counters_increase() {
    let key = Passkey::new(1);
    let count = |count: u32, id: &str| key.counting(count).approve(rejected(id));
    expect(0, &[count(1, "a")], &[count(2, "b"), count(4_000_000_000, "c")], &[]);
    expect(0, &[count(5, "a")], &[count(5, "b")], &[("sign-count-regression", 1)]);
    expect(0, &[count(5, "a")], &[count(4, "b"), count(5, "c")], &[("sign-count-regression", 1)]);
    // 0: the authenticator keeps none.
    expect(0, &[count(0, "a")], &[count(0, "b"), count(3, "c"), count(0, "d"), count(4, "e")], &[]);
}

/// An approval whose log publishes the key as some authenticators write it.
fn named(key: &Passkey, entry: Value) -> Value {
    let mut approved = key.approve(entry);
    approved["credential"]["publicKey"] = encode_base64url(&key.named_cose()).into();
    approved
}

#[test]
fn a_key_in_another_encoding_is_the_same_key() {
    let key = Passkey::new(1);
    let (plain, odd) = (key.approve(of("alex", "a")), named(&key, of("alex", "b")));
    expect(0, std::slice::from_ref(&plain), &[odd], &[("key-encoding-odd", 1)]);
    let shared = named(&key, of("blake", "b"));
    expect(1, &[plain], &[shared], &[("key-encoding-odd", 1), ("key-shared", 1)]);
    // Any other text is malformed.
    let mut wrong = key.approve(of("alex", "b"));
    let mut cose = key.named_cose();
    cose[5] = b'3';
    wrong["credential"]["publicKey"] = encode_base64url(&cose).into();
    expect(1, &[rejected("a")], &[wrong], &[("key-malformed", 1)]);
}

#[test]
fn keys_are_pinned_and_watched_in_any_encoding() {
    let (own, other) = (Passkey::new(1), Passkey::new(2));
    let entries =
        [named(&own, of("alex", "a")), named(&other, of("alex", "b")), own.approve(of("alex", "c"))];
    for cose in [own.cose(), own.named_cose()] {
        let mut bench = Bench::new();
        bench.append(&entries);
        let cose = encode_base64url(&cose);
        let text = format!(
            "[approvers]\nalex = [\"{cose}\"]\n[[watch]]\nname = \"w\"\nkey = \"{cose}\"\nseverity = \"info\"\n"
        );
        let config = config(&bench, &text);
        let outcome = bench.audit(&["--config", &config]);
        let found = outcome.findings();
        let of_code = |code: &str| -> Vec<Option<u64>> {
            found.iter().filter(|(found, _)| found == code).map(|(_, index)| *index).collect()
        };
        assert_eq!(of_code("key-not-pinned"), [Some(1)], "{outcome:#?}");
        assert_eq!(of_code("watch-list"), [Some(0), Some(2)], "{outcome:#?}");
        assert_eq!(of_code("key-encoding-odd"), [Some(0), Some(1)], "{outcome:#?}");
    }
}

/// Authenticator data that is malformed in some way, and what each is found to be.
fn malformed(key: &Passkey) -> Vec<(Vec<u8>, &'static str)> {
    let good = key.auth_data();
    let flags = |flag: u8, tail: &[u8]| {
        let mut data = [&good[..], tail].concat();
        data[32] |= flag;
        data
    };
    let attested = |cose: &[u8]| flags(0x40, &[&[0; 16][..], &[0, 1, 7], cose].concat());
    vec![
        ([&good[..], &[0]].concat(), "auth-data-malformed"),
        (flags(0x40, &[]), "auth-data-malformed"),
        (flags(0x80, &[]), "auth-data-malformed"),
        (flags(0x80, &[0xa0, 0xa0]), "auth-data-malformed"),
        (attested(&Passkey::new(9).cose()), "auth-data-malformed"),
        (attested(&[0x01]), "auth-data-malformed"),
        (good[..36].to_vec(), "encoding-invalid"),
        (Vec::new(), "encoding-invalid"),
        ([&good[..], &[0; 4096]].concat(), "encoding-invalid"),
    ]
}

#[test]
fn malformed_authenticator_data_counts_as_key_use() {
    let key = Passkey::new(1).counting(90);
    for (data, code) in malformed(&key) {
        let bad = key.approve_over(of("mallory", "a"), &data);
        let later = key.counting(1).approve(of("alex", "b"));
        let mut bench = Bench::new();
        let outcome = bench.append(&[bad.clone(), later.clone()]).audit(&[]);
        let expected = [(code.to_owned(), Some(0)), ("key-shared".to_owned(), Some(1))];
        assert_eq!(outcome.findings(), expected, "{data:?}: {outcome:#?}");
        // The other way round, in two runs, and again from the mirror.
        let mut bench = Bench::new();
        bench.append(&[later]).audit(&[]).expect(0, &[]);
        let outcome = bench.append(&[bad]).audit(&[]);
        let mut expected = vec![(code.to_owned(), Some(1)), ("key-shared".to_owned(), Some(1))];
        expected.sort();
        assert_eq!(outcome.findings(), expected, "{data:?}: {outcome:#?}");
        assert_eq!(bench.audit(&["--full"]).findings(), expected);
        // Where the signature does not hold over the bytes as they are, nothing is remembered.
        let mut forged = key.approve_over(of("mallory", "a"), &data);
        forged["assertion"]["authenticatorData"] = encode_base64url(&[&data[..], &[1]].concat()).into();
        let outcome = Bench::new().append(&[forged, key.approve(of("alex", "b"))]).audit(&[]);
        assert!(!outcome.codes().contains(&"key-shared".to_owned()), "{outcome:#?}");
    }
}

/// Malformed authenticator data only shows that the key signed it.
#[test]
fn malformed_authenticator_data_has_no_counter_and_no_backup_flags() {
    let key = Passkey { flags: PRESENT_AND_VERIFIED | BACKUP_ELIGIBLE, ..Passkey::new(1) };
    for (data, code) in malformed(&key.counting(90)) {
        let entries = [
            key.approve_over(of("alex", "a"), &data),
            Passkey::new(1).counting(5).approve(of("alex", "b")),
            key.approve_over(of("alex", "c"), &data),
            Passkey::new(1).counting(6).approve(of("alex", "d")),
        ];
        let mut bench = Bench::new();
        let outcome = bench.append(&entries).audit(&[]);
        let expected = [(code.to_owned(), Some(0)), (code.to_owned(), Some(2))];
        assert_eq!(outcome.findings(), expected, "{data:?}: {outcome:#?}");
        // Unknown values are NULL in the mirror.
        let db = rusqlite::Connection::open(bench.auditor.db()).unwrap();
        let eligible: Option<i64> =
            db.query_row("SELECT backup_eligible FROM passkeys", [], |row| row.get(0)).unwrap();
        assert_eq!(eligible, Some(0));
        let mut bench = Bench::new();
        bench.append(&entries[..1]).audit(&[]);
        let db = rusqlite::Connection::open(bench.auditor.db()).unwrap();
        let eligible: Option<i64> =
            db.query_row("SELECT backup_eligible FROM passkeys", [], |row| row.get(0)).unwrap();
        assert_eq!(eligible, None);
    }
}

/// An entry that carries an assertion and is no approval.
fn stray(mut entry: Value, decision: &str) -> Value {
    entry["decision"] = decision.into();
    if decision == "expired" {
        entry["decidedAt"] = entry["expiresAt"].clone();
    }
    entry
}

/// What signed an assertion in an entry that is no approval was used, whatever is wrong with it; and that entry itself is
/// judged as it was.
#[test]
fn key_use_outside_approvals_counts() {
    let key = Passkey::new(1).counting(90);
    let changed = |member: &str, to: String| {
        let mut entry = key.approve(of("mallory", "a"));
        entry[member] = to.into();
        entry
    };
    let mut carriers = vec![
        key.approve(of("mallory", "a")),
        changed("payloadHash", "0".repeat(64)),
        changed("payloadHash", "none".to_owned()),
        changed("nonce", encode_base64url(&[7; 32])),
        changed("rpId", "elsewhere.example".to_owned()),
        Passkey { origin: "https://elsewhere.example".to_owned(), ..key.clone() }.approve(of("mallory", "a")),
        Passkey { flags: 0, ..key.clone() }.approve(of("mallory", "a")),
        named(&key, of("mallory", "a")),
    ];
    carriers.extend(malformed(&key).iter().map(|(data, _)| key.approve_over(of("mallory", "a"), data)));
    for entry in &carriers {
        for decision in ["rejected", "expired"] {
            let carrier = stray(entry.clone(), decision);
            let later = Passkey::new(1).counting(1).approve(of("alex", "b"));
            let mut bench = Bench::new();
            let alone = bench.append(std::slice::from_ref(&carrier)).audit(&[]);
            assert!(alone.codes().contains(&"assertion-unexpected".to_owned()), "{alone:#?}");
            let outcome = bench.append(std::slice::from_ref(&later)).audit(&[]);
            let mut expected = alone.findings();
            expected.push(("key-shared".to_owned(), Some(1)));
            assert_eq!(outcome.findings(), expected, "{carrier}: {outcome:#?}");
            assert_eq!(bench.audit(&["--full"]).findings(), expected, "{carrier}");
            // The other way round it stays what it is by itself.
            let mut bench = Bench::new();
            bench.append(&[later]).audit(&[]).expect(0, &[]);
            let outcome = bench.append(std::slice::from_ref(&carrier)).audit(&[]);
            let expected: Vec<_> = alone.findings().into_iter().map(|(code, _)| (code, Some(1))).collect();
            assert_eq!(outcome.findings(), expected, "{carrier}: {outcome:#?}");
            let checks = &outcome.report()["checks"];
            assert_eq!(checks["key-ownership"]["count"], 1, "{checks}");
            assert_eq!(checks["signature"]["count"], 1, "{checks}");
            // Without a signature that holds over the bytes as they are, nothing is remembered.
            let mut forged = carrier;
            forged["assertion"]["clientDataJSON"] = encode_base64url(b"{}").into();
            let outcome = Bench::new().append(&[forged, key.approve(of("alex", "b"))]).audit(&[]);
            assert!(!outcome.codes().contains(&"key-shared".to_owned()), "{outcome:#?}");
        }
    }
}

/// For such a use the approver and the credential are stored, and no authenticator data.
#[test]
fn key_use_outside_approvals_stores_approver_and_credential() {
    let other = Passkey { flags: PRESENT_AND_VERIFIED | BACKUP_ELIGIBLE, ..Passkey::new(2).counting(90) };
    let carrier = || stray(other.approve(of("alex", "b")), "rejected");
    let unexpected = ("assertion-unexpected", 1);
    let check = |before: &Value, after: &[Value], expected: &[(&str, u64)]| {
        let mut bench = Bench::new();
        let mut of_now = Vec::new();
        for entry in [&[before.clone(), carrier()], after].concat() {
            of_now = bench.append(&[entry]).audit(&[]).findings();
        }
        let mut expected: Vec<_> =
            expected.iter().map(|(code, index)| ((*code).to_owned(), Some(*index))).collect();
        expected.sort_by_key(|(_, index)| *index);
        assert_eq!(of_now, expected);
        assert_eq!(bench.audit(&["--full"]).findings(), expected);
        let mut at_once = Bench::new();
        let outcome = at_once.append(&[&[before.clone(), carrier()], after].concat()).audit(&[]);
        assert_eq!(outcome.findings(), expected);
    };
    let first = Passkey::new(1).approve(of("alex", "a"));
    let plain = Passkey::new(2);
    // A further passkey is reported once, with the first approval that it signs.
    let (c, d) = (plain.counting(1).approve(of("alex", "c")), plain.counting(2).approve(of("alex", "d")));
    check(&first, &[c.clone(), d], &[unexpected, ("credential-new", 2)]);
    let malformed = plain.approve_over(of("alex", "c"), &[&plain.auth_data()[..], &[0]].concat());
    let d = plain.counting(2).approve(of("alex", "d"));
    check(&first, &[malformed, d], &[unexpected, ("auth-data-malformed", 2), ("credential-new", 2)]);
    check(&rejected("a"), &[c], &[unexpected]);
    let relabelled = Passkey { credential_id: vec![9; 16], ..plain }.approve(of("alex", "c"));
    check(&rejected("a"), &[relabelled], &[unexpected, ("credential-relabelled", 2)]);
}

/// The relying party of an unsigned entry is only the log's claim, and no check uses it.
#[test]
fn rp_ids_are_checked_for_approvals_only() {
    let elsewhere = |id: &str| {
        let mut entry = rejected(id);
        entry["rpId"] = "elsewhere.example".into();
        entry
    };
    expect(0, &[elsewhere("a")], &[rejected("b")], &[]);
    let approved = Passkey::new(1).approve(elsewhere("b"));
    expect(1, &[elsewhere("a")], &[approved], &[("rp-id-mismatch", 1)]);
    let mut bench = Bench::new();
    bench.append(&[elsewhere("a")]).audit(&[]);
    let mut command = support::cli::program();
    command.arg("audit").arg("--log").arg(bench.log.path()).arg("--db").arg(bench.auditor.db());
    let text = support::cli::run({
        command.args(&bench.auditor.trust);
        command
    });
    assert!(text.stdout.contains("the rpId of other entries is not judged"), "{text:?}");
}

/// An entry that only names somebody's key, with a signature that does not verify, cannot make its
/// owner look like an impostor.
#[test]
fn unproved_key_use_is_not_stored() {
    let key = Passkey::new(1);
    let mut forged = key.counting(900).approve(of("mallory", "a"));
    forged["assertion"]["signature"] =
        Passkey::new(2).approve(of("mallory", "a"))["assertion"]["signature"].clone();
    let mut bench = Bench::new();
    let outcome = bench.append(&[forged, key.counting(1).approve(of("alex", "b"))]).audit(&[]);
    outcome.expect(1, &["signature-invalid"]);
    assert_eq!(outcome.findings(), [("signature-invalid".to_owned(), Some(0))]);
}

fn config(bench: &Bench, text: &str) -> String {
    let path: PathBuf = bench.auditor.directory().join("config.toml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn unpinned_keys_are_findings() {
    let (own, other) = (Passkey::new(1), Passkey::new(2));
    let mut bench = Bench::new();
    bench.append(&[
        own.approve(of("alex", "a")),
        other.approve(of("alex", "b")),
        other.approve(of("blake", "c")),
    ]);
    let cose = encode_base64url(&own.cose());
    let pins = config(&bench, &format!("[approvers]\nalex = [\"{cose}\"]\n"));
    let outcome = bench.audit(&["--config", &pins]);
    let codes: Vec<_> = outcome.findings().into_iter().filter(|(code, _)| code == "key-not-pinned").collect();
    assert_eq!((outcome.exit, codes), (1, vec![("key-not-pinned".to_owned(), Some(1))]), "{outcome:#?}");
    // A pin that is no key is wrong usage.
    let pins = config(&bench, "[approvers]\nalex = [\"AAAA\"]\n");
    assert_eq!(bench.audit(&["--config", &pins]).exit, 2);
}

#[test]
fn decisions_precede_the_covering_head() {
    let minutes = |n: u64| HEAD_TIME + n * 60_000;
    let decided = |id: &str, at: u64| {
        let mut entry = rejected(id);
        entry["decidedAt"] = at.into();
        entry["expiresAt"] = (at + 1).into();
        entry
    };
    let mut bench = Bench::new();
    let outcome = bench.append(&[decided("a", minutes(10)), decided("b", minutes(10) + 1)]).audit(&[]);
    assert_eq!(
        (outcome.exit, outcome.findings()),
        (0, vec![("decided-after-head".to_owned(), Some(1))]),
        "{outcome:#?}"
    );
    assert_eq!(bench.audit(&["--deny-warnings"]).exit, 1);
}

#[test]
fn entries_are_compared_with_head_times() {
    let now = || u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let mut bench = Bench::new();
    bench.head_time = now() + 3_600_000;
    let outcome = bench.append(&[rejected("a")]).audit(&[]);
    outcome.expect(0, &["head-in-future"]);
    bench.audit(&["--deny-warnings"]).expect(1, &["head-in-future"]);

    let mut bench = Bench::new();
    bench.head_time = now() - 7_200_000;
    bench.append(&[rejected("a")]).audit(&[]).expect(0, &[]);
    bench.audit(&["--max-head-age", "1h"]).expect(0, &["head-stale"]);
    bench.audit(&["--max-head-age", "1h", "--deny-warnings"]).expect(1, &["head-stale"]);
    bench.audit(&["--max-head-age", "3h"]).expect(0, &[]);
    assert_eq!(bench.audit(&["--max-head-age", "soon"]).exit, 2);
    // Without an STH there is no time: the check was requested and is undecided.
    fs::remove_file(bench.log.path().join("sth")).unwrap();
    bench.audit(&["--max-head-age", "3h"]).expect(3, &[]);
}

#[test]
fn checks_without_their_options_are_not_made() {
    let mut bench = Bench::new();
    bench.append(&[Passkey::new(1).approve(rejected("a"))]);
    let trust = bench.auditor.trust.clone();
    bench.auditor.trust.truncate(2);
    let outcome = bench.audit(&[]);
    outcome.expect(3, &[]);
    for check in ["rp-id", "origin"] {
        assert_eq!(outcome.report()["checks"][check]["result"], "not-checked", "{check}");
    }
    assert_eq!(outcome.report()["checks"]["signature"]["result"], "passed");
    bench.auditor.trust.extend(["--rp-id".to_owned(), support::cli::RP_ID.to_owned()]);
    let outcome = bench.audit(&[]);
    outcome.expect(3, &[]);
    assert_eq!(outcome.report()["checks"]["rp-id"]["result"], "passed");
    bench.auditor.trust = trust;
    bench.audit(&[]).expect(0, &[]);
    // No log key: no head means anything.
    bench.auditor.trust = vec!["--rp-id".to_owned(), support::cli::RP_ID.to_owned()];
    let outcome = bench.audit(&[]);
    outcome.expect(3, &[]);
    for (name, check) in outcome.report()["checks"].as_object().unwrap() {
        assert_eq!(check["result"], "not-checked", "{name}");
    }
}

#[test]
fn a_changed_trust_policy_rechecks_all_entries() {
    let elsewhere = Passkey { origin: "https://other.example".to_owned(), ..Passkey::new(1) };
    let mut bench = Bench::new();
    bench.append(&[elsewhere.approve(rejected("a")), Passkey::new(1).approve(rejected("b")), rejected("c")]);
    let first = bench.audit(&[]);
    first.expect(1, &["origin-not-allowed"]);
    let trust = bench.auditor.trust.clone();
    bench.auditor.trust.extend(["--allow-origin".to_owned(), "https://other.example".to_owned()]);
    let wider = bench.audit(&[]);
    wider.expect(0, &[]);
    assert_eq!(wider.report()["entries"]["total"], 3);
    assert_eq!(wider.report()["checks"]["signature"], first.report()["checks"]["signature"]);
    bench.auditor.trust = trust;
    let again = bench.audit(&[]);
    again.expect(1, &["origin-not-allowed"]);
    assert_eq!(again.findings(), first.findings());
    bench.auditor.trust[3] = "another.example".to_owned();
    bench.audit(&[]).expect(1, &["origin-not-allowed", "rp-id-mismatch"]);
}
