//! What is found of the entries of a log does not depend on how often it was visited, nor on the order in which its heads
//! became known: by visits while it grows, checked again with `--full`, or at once by an auditor to whom the heads were given.

use countersign::audit::policy::Policy;
use countersign::core::check::Check;
use countersign::core::head::Head;
use countersign::core::time::UnixMillis;
use countersign::mirror::{Mirror, Provenance};
use countersign::run::{Options, Run, Silent};
use countersign::source::Stop;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use support::lab::{Files, MemoryLog, on_all_cores, policy, quick_tempdir};
use support::log::{HEAD_TIME, TestKey, leaf, rejected, root_of, tiles_of};
use support::passkey::{BACKUP_ELIGIBLE, PRESENT_AND_VERIFIED, Passkey};
use tempfile::TempDir;

const MINUTE: u64 = 60_000;
const NOW: u64 = HEAD_TIME + 100_000 * MINUTE;

fn key() -> TestKey {
    TestKey::new(1)
}

/// A small generator: one seed, one log and one way to visit it.
struct Random(u64);

impl Random {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

/// When the entry at this place is decided, in an honest log.
fn decided(index: usize) -> u64 {
    HEAD_TIME + index as u64 * MINUTE
}

/// Entries of a few approvers with a few passkeys, some of them not as they should be.
fn entries(random: &mut Random, count: usize) -> Vec<Vec<u8>> {
    let mut made: Vec<Value> = Vec::new();
    for index in 0..count {
        let mut entry = rejected(&format!("entry-{index}"));
        let at = decided(index) + if random.one_in(5) { random.roll(40) * MINUTE } else { 0 };
        entry["requestedAt"] = (at - 1000).into();
        entry["decidedAt"] = at.into();
        entry["expiresAt"] = (at + 1000).into();
        let person = random.roll(3) as usize;
        entry["approver"] = ["alex", "blake", "chris"][if random.one_in(12) { 0 } else { person }].into();
        if random.one_in(15) {
            let copy = made.get(random.roll(index as u64 + 1) as usize);
            for name in ["id", "nonce"] {
                if let (Some(copy), true) = (copy, random.one_in(2)) {
                    entry[name] = copy[name].clone();
                }
            }
        }
        if random.one_in(3) {
            made.push(entry);
            continue;
        }
        let mut passkey = Passkey::new(1 + person as u8 + if random.one_in(10) { 3 } else { 0 });
        passkey.count =
            if person == 0 { 0 } else { ((index as u32 + 3) * 2).saturating_sub(random.roll(5) as u32) };
        if random.one_in(12) {
            passkey.flags = PRESENT_AND_VERIFIED | BACKUP_ELIGIBLE;
        }
        if random.one_in(12) {
            passkey.credential_id = vec![9; 16];
        }
        let mut data = passkey.auth_data();
        if random.one_in(10) {
            data.push(0);
        }
        let mut approved = passkey.approve_over(entry, &data);
        if random.one_in(10) {
            approved["credential"]["publicKey"] =
                countersign::core::encoding::encode_base64url(&passkey.named_cose()).into();
        }
        if random.one_in(15) {
            approved["assertion"]["signature"] = approved["credential"]["id"].clone();
        }
        if random.one_in(10) {
            approved["decision"] = "rejected".into();
        }
        made.push(approved);
    }
    let mut leaves: Vec<Vec<u8>> = made.iter().map(leaf).collect();
    for index in 1..leaves.len() {
        match random.roll(40) {
            0 => leaves[index] = b"no entry".to_vec(),
            1 => leaves[index] = leaves[index - 1].clone(),
            _ => {}
        }
    }
    leaves
}

/// What a log serves at one visit, and heads that come from elsewhere then.
struct Visit {
    files: Files,
    given: Vec<Vec<u8>>,
    heads_only: bool,
}

/// A log that grows, and how it is visited.
fn visits(random: &mut Random, leaves: &[Vec<u8>]) -> Vec<Visit> {
    let sth = |size: usize, at: u64| key().sth(size as u64, root_of(&leaves[..size]), at);
    // STHs over some sizes; most are served or given when they are signed, some late, some never.
    let mut waiting: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut visits = Vec::new();
    let mut size = 0;
    while size < leaves.len() {
        size = leaves.len().min(size + 1 + random.roll(leaves.len() as u64 / 3 + 1) as usize);
        for _ in 0..random.roll(3) {
            let of = 1 + random.roll(size as u64) as usize;
            let at = match random.roll(8) {
                // Signed long before what it covers was decided, or long after.
                0 => decided(of) - random.roll(60) * MINUTE,
                1 => decided(of) + random.roll(60) * MINUTE,
                _ => decided(of) + random.roll(MINUTE),
            };
            waiting.push((of, sth(of, at)));
        }
        let mut files = tiles_of(&leaves[..size]);
        files.insert("checkpoint".to_owned(), key().checkpoint(size as u64, root_of(&leaves[..size])));
        let mut given = Vec::new();
        let mut later = Vec::new();
        for (of, head) in waiting.drain(..) {
            match random.roll(4) {
                0 if !files.contains_key("sth") => drop(files.insert("sth".to_owned(), head)),
                0 | 1 => given.push(head),
                _ => later.push((of, head)),
            }
        }
        waiting = later;
        visits.push(Visit { files, given, heads_only: random.one_in(6) });
        if random.one_in(4) {
            let last = visits.last().unwrap();
            visits.push(Visit { files: last.files.clone(), given: Vec::new(), heads_only: false });
        }
    }
    // The last one has an STH of everything now and then, as most logs do.
    let last = visits.last_mut().unwrap();
    last.heads_only = false;
    if random.one_in(2) {
        last.files.insert("sth".to_owned(), sth(size, decided(size)));
    }
    visits
}

/// What an auditor found about what the log committed to: of each entry in so many words, of the log as a whole by
/// code, because which of many pairs of heads were compared first is chance; and how often each check was made.
#[derive(PartialEq, Eq, Debug)]
struct Found {
    entries: BTreeSet<(u64, &'static str, String)>,
    log: BTreeSet<&'static str>,
    /// What is remembered of passkeys.
    keys: Vec<String>,
    checks: BTreeMap<String, [u64; 3]>,
}

struct Auditor {
    home: TempDir,
    policy: Policy,
    now: u64,
}

impl Auditor {
    fn new() -> Auditor {
        let auditor = Auditor { home: quick_tempdir(), policy: policy(&key().vkey()), now: NOW };
        drop(Mirror::create_or_open(&auditor.db(), &auditor.policy.log_key).unwrap());
        auditor
    }

    fn db(&self) -> PathBuf {
        self.home.path().join("mirror.db")
    }

    fn mirror(&self) -> Mirror {
        Mirror::open(&self.db(), &self.policy.log_key).unwrap()
    }

    fn options(&mut self) -> Options {
        self.now += MINUTE;
        Options {
            full: false,
            heads_only: false,
            workers: 1,
            evidence_dir: self.home.path().to_owned(),
            max_entries: 1_000_000,
            max_findings: 10_000,
            now: UnixMillis::new(self.now),
            stop: Stop::default(),
        }
    }

    fn audit(&mut self, files: &Files, change: impl FnOnce(&mut Options)) {
        let mut options = self.options();
        change(&mut options);
        let (source, mut mirror) = (MemoryLog { files, instead: None }.source(), self.mirror());
        let summary = Run::new(Some(&source), &mut mirror, &self.policy, &options, &Silent).audit();
        assert_eq!(summary.faults, Vec::<String>::new());
    }

    fn import(&mut self, heads: &[Vec<u8>]) {
        let options = self.options();
        let heads: Vec<Head> =
            heads.iter().map(|raw| Head::verify(raw, &self.policy.log_key).unwrap()).collect();
        let mut mirror = self.mirror();
        let mut run = Run::new(None, &mut mirror, &self.policy, &options, &Silent);
        run.keep_all(&heads, &Provenance::Imported).unwrap();
        assert_eq!(run.compare_imported().faults, Vec::<String>::new());
    }

    fn heads(&self) -> Vec<Vec<u8>> {
        let heads = self.mirror().heads().all(&self.policy.log_key).unwrap();
        heads.into_iter().map(|stored| stored.head.raw().as_bytes().to_vec()).collect()
    }

    fn keys(&self) -> Vec<String> {
        let db = rusqlite::Connection::open(self.db()).unwrap();
        let sql = "SELECT hex(key) || first_idx || approver || hex(credential) || backup_eligible
                   || coalesce(last_count, '') || '/' || coalesce(last_count_idx, '') FROM keys
                   UNION ALL SELECT approver || hex(key) FROM approver_keys ORDER BY 1";
        let mut select = db.prepare(sql).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn found(&self) -> Found {
        let mirror = self.mirror();
        let findings = mirror.findings().standing().unwrap().into_iter().map(|stored| stored.finding);
        let findings: Vec<_> = findings.filter(|finding| !finding.code.ends()).collect();
        let of_entries = findings
            .iter()
            .filter_map(|finding| Some((finding.index?, finding.code.as_str(), finding.message.clone())));
        let of_log = findings.iter().filter(|f| f.index.is_none()).map(|finding| finding.code.as_str());
        let checks = mirror.state().tally();
        let checks = checks.iter().filter(|(check, _)| *check != Check::Tiles);
        Found {
            entries: of_entries.collect(),
            log: of_log.collect(),
            keys: self.keys(),
            checks: checks
                .map(|(check, c)| (check.to_string(), [c.passed, c.failed, c.not_checked]))
                .collect(),
        }
    }
}

fn visit_in_every_way(seed: u64, count: usize) -> BTreeSet<&'static str> {
    let mut random = Random(seed * 2 + 1);
    let leaves = entries(&mut random, count);
    let visits = visits(&mut random, &leaves);
    let mut nightly = Auditor::new();
    for visit in &visits {
        nightly.import(&visit.given);
        nightly.audit(&visit.files, |options| options.heads_only = visit.heads_only);
    }
    let found = nightly.found();
    let last = &visits.last().unwrap().files;
    nightly.audit(last, |options| options.full = true);
    assert_eq!(nightly.found(), found, "seed {seed}: with --full");
    // Another auditor is given the heads before or after the first audit.
    let heads = nightly.heads();
    for before in [true, false] {
        let mut fresh = Auditor::new();
        if !before {
            fresh.audit(last, |_| ());
        }
        fresh.import(&heads);
        fresh.audit(last, |_| ());
        assert_eq!(fresh.found(), found, "seed {seed}: given the heads, {before}");
    }
    found.entries.into_iter().map(|(_, code, _)| code).chain(found.log).collect()
}

#[test]
fn findings_do_not_depend_on_the_order_of_runs() {
    let codes = std::sync::Mutex::new(BTreeSet::new());
    on_all_cores(120, |_, seed| {
        let count = [7, 20, 40][seed % 3];
        let found = visit_in_every_way(seed as u64, count);
        codes.lock().unwrap().extend(found);
    });
    // The logs must be of many kinds for this test to be meaningful.
    let codes = codes.into_inner().unwrap();
    for code in [
        "assertion-reused",
        "assertion-unexpected",
        "auth-data-malformed",
        "backup-eligibility-changed",
        "credential-new",
        "credential-relabelled",
        "decided-after-head",
        "id-duplicate",
        "key-encoding-odd",
        "key-shared",
        "leaf-malformed",
        "nonce-reused",
        "sign-count-regression",
        "signature-malformed",
        "sth-time-contradiction",
        "sth-time-disorder",
    ] {
        assert!(codes.contains(code), "{code} is not among {codes:?}");
    }
}

#[test]
fn findings_of_full_bundles_do_not_depend_on_the_order_of_runs() {
    on_all_cores(6, |_, seed| drop(visit_in_every_way(1000 + seed as u64, 530)));
}

/// The case by itself: the STH comes a night later than the entries that it covers.
#[test]
fn a_late_sth_is_compared_with_its_entries() {
    let leaves: Vec<Vec<u8>> = (0..20)
        .map(|index| {
            let mut entry = rejected(&format!("entry-{index}"));
            let at = HEAD_TIME + index * MINUTE;
            (entry["requestedAt"], entry["decidedAt"], entry["expiresAt"]) =
                (at.into(), at.into(), at.into());
            leaf(&entry)
        })
        .collect();
    let files = |size: usize, sth: Option<(usize, u64)>| {
        let mut files = tiles_of(&leaves[..size]);
        files.insert("checkpoint".to_owned(), key().checkpoint(size as u64, root_of(&leaves[..size])));
        if let Some((of, at)) = sth {
            files.insert("sth".to_owned(), key().sth(of as u64, root_of(&leaves[..of]), at));
        }
        files
    };
    let late = |auditor: &Auditor| -> Vec<u64> {
        let found = auditor.found();
        found
            .entries
            .iter()
            .filter(|(_, code, _)| *code == "decided-after-head")
            .map(|(at, ..)| *at)
            .collect()
    };
    let counts = |auditor: &Auditor| auditor.found().checks["decided-before-head"];
    let mut auditor = Auditor::new();
    auditor.audit(&files(15, None), |_| ());
    assert_eq!((late(&auditor), counts(&auditor)), (vec![], [0, 0, 15]));
    // Over fifteen entries, dated as the second was decided: ten minutes later is fine, more is not.
    auditor.audit(&files(20, Some((15, HEAD_TIME + 2 * MINUTE))), |_| ());
    assert_eq!((late(&auditor), counts(&auditor)), (vec![13, 14], [13, 2, 5]));
    // One that is dated earlier covers fewer of them.
    auditor.import(&[key().sth(14, root_of(&leaves[..14]), HEAD_TIME)]);
    assert_eq!(late(&auditor), [13, 14], "an import judges no entries");
    auditor.audit(&files(20, Some((15, HEAD_TIME + 2 * MINUTE))), |_| ());
    assert_eq!((late(&auditor), counts(&auditor)), (vec![11, 12, 13, 14], [11, 4, 5]));
    // A head that contradicts the tree covers nothing.
    auditor.import(&[key().sth(20, root_of(&leaves[..19]), HEAD_TIME)]);
    auditor.audit(&files(20, Some((15, HEAD_TIME + 2 * MINUTE))), |_| ());
    assert_eq!((late(&auditor), counts(&auditor)), (vec![11, 12, 13, 14], [11, 4, 5]));
    auditor.audit(&files(20, Some((20, HEAD_TIME + 20 * MINUTE))), |_| ());
    assert_eq!((late(&auditor), counts(&auditor)), (vec![11, 12, 13, 14], [16, 4, 0]));
}

/// A log full of faults does not fill the disk: checking ends at the bound, and this is reported until the bound is raised.
#[test]
fn checking_ends_at_the_bound_on_findings() {
    let leaves: Vec<Vec<u8>> = (0..300).map(|n| leaf(&rejected(&format!("entry-{n}")))).collect();
    let mut files = tiles_of(&leaves);
    files.insert("checkpoint".to_owned(), key().checkpoint(300, root_of(&leaves)));
    files.insert("sth".to_owned(), key().sth(300, root_of(&leaves), HEAD_TIME - 60 * MINUTE));
    let mut auditor = Auditor::new();
    let count = |auditor: &Auditor| auditor.found().entries.len();
    for _ in 0..2 {
        let mut options = auditor.options();
        options.max_findings = 20;
        let (source, mut mirror) = (MemoryLog { files: &files, instead: None }.source(), auditor.mirror());
        let summary = Run::new(Some(&source), &mut mirror, &auditor.policy, &options, &Silent).audit();
        assert_eq!((summary.faults.len(), summary.incomplete.len()), (0, 1), "{summary:?}");
        drop(mirror);
        assert_eq!(count(&auditor), 21);
    }
    auditor.audit(&files, |_| ());
    assert_eq!((count(&auditor), auditor.found().checks["decided-before-head"]), (300, [0, 300, 0]));
}

/// A stopped run loses nothing: the next run continues.
#[test]
fn checking_continues_after_a_stop() {
    let leaves: Vec<Vec<u8>> = (0..10).map(|n| leaf(&rejected(&format!("entry-{n}")))).collect();
    let mut files = tiles_of(&leaves);
    files.insert("checkpoint".to_owned(), key().checkpoint(10, root_of(&leaves)));
    let mut auditor = Auditor::new();
    auditor.audit(&files, |_| ());
    auditor.import(&[key().sth(10, root_of(&leaves), HEAD_TIME - 60 * MINUTE)]);
    auditor.audit(&files, |options| options.stop.stop());
    assert_eq!(auditor.found().entries.len(), 0);
    auditor.audit(&files, |_| ());
    assert_eq!(auditor.found().entries.len(), 10);
}
