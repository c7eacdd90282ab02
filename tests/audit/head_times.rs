//! STHs out of order: up to a minute the clocks of a log's signers may differ (a warning); beyond, it is proof.

use support::receiver;

use countersign::audit::finding::Finding;
use countersign::audit::heads::disorder;
use countersign::audit::subject::Subject;
use countersign::core::evidence::{self, EvidenceKind};
use countersign::core::finding::{Code, Severity};
use countersign::core::hash::Hash;
use countersign::core::head::{Head, LogKey};
use countersign::core::time::{UnixMillis, whole_millis};
use countersign::mirror::{Mirror, Provenance};
use countersign::run::{Options, Run, Silent};
use countersign::source::Stop;
use receiver::{Fake, Home, NOW, dispatcher, find, pair, well};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use support::api::ApiLog;
use support::api_lab;
use support::cli::{Auditor, Outcome};
use support::lab::{policy, quick_tempdir, write_files};
use support::log::{HEAD_TIME, TestKey, honest_log, rejected_leaves, root_of};

/// What clocks may differ by.
const BOUND: u64 = 60_000;

fn key() -> TestKey {
    TestKey::new(1)
}

fn log_key() -> LogKey {
    LogKey::parse(&key().vkey()).unwrap()
}

/// An STH over the first `size` entries that [`rejected_leaves`] makes.
fn sth(size: usize, time: u64) -> Vec<u8> {
    key().sth(size as u64, root_of(&rejected_leaves(size)), time)
}

/// An auditor of a log of 300 entries, whose STH is dated [`HEAD_TIME`].
fn auditor() -> (Auditor, tempfile::TempDir) {
    let log = tempfile::tempdir().unwrap();
    write_files(log.path(), &honest_log(&key(), &rejected_leaves(300)));
    let auditor = Auditor::new(&key().vkey());
    assert_eq!(auditor.init(log.path()).exit, 0);
    (auditor, log)
}

fn import(auditor: &Auditor, head: &[u8]) -> Outcome {
    let path = auditor.directory().join("to-import");
    fs::write(&path, head).unwrap();
    auditor.command(&["heads", "import", "--db", "{db}", "--format", "json", path.to_str().unwrap()])
}

fn proofs(directory: &Path) -> usize {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("misbehaviour-")).count()
}

#[test]
fn a_minute_is_a_warning_and_a_millisecond_more_a_proof() {
    for by in [1, 500, BOUND - 1, BOUND] {
        let (auditor, log) = auditor();
        assert_eq!(import(&auditor, &sth(200, HEAD_TIME + by)).exit, 0, "{by}");
        assert_eq!(proofs(auditor.directory()), 0);
        for options in [&[][..], &["--full"], &[]] {
            auditor.audit(log.path(), options).expect(0, &["sth-time-disorder"]);
        }
        auditor.audit(log.path(), &["--deny-warnings"]).expect(1, &["sth-time-disorder"]);
    }
    let (auditor, log) = auditor();
    assert_eq!(import(&auditor, &sth(200, HEAD_TIME + BOUND + 1)).exit, 4);
    assert_eq!(proofs(auditor.directory()), 1);
    auditor.audit(log.path(), &[]).expect(4, &["sth-time-contradiction"]);
    // In order, or of one size, is neither.
    let (auditor, log) = self::auditor();
    for head in [sth(200, HEAD_TIME - 7), sth(300, HEAD_TIME + 7), sth(300, HEAD_TIME - 7)] {
        assert_eq!(import(&auditor, &head).exit, 0);
    }
    auditor.audit(log.path(), &[]).expect(0, &[]);
}

#[test]
fn a_file_within_a_minute_proves_nothing() {
    let stranger = Auditor::new(&key().vkey());
    let head = |size, time| Head::verify(&sth(size, time), &log_key()).unwrap();
    for (by, exit) in [(1, 1), (BOUND, 1), (BOUND + 1, 0)] {
        let heads = [&head(200, HEAD_TIME + by), &head(300, HEAD_TIME)];
        let path = stranger.directory().join("file.json");
        fs::write(&path, evidence::make(EvidenceKind::SthTimeContradiction, heads, None, &[]).unwrap())
            .unwrap();
        let outcome = stranger.command(&["evidence", "verify", path.to_str().unwrap()]);
        assert_eq!(outcome.exit, exit, "{by}: {outcome:?}");
        assert_eq!(outcome.stdout.contains("the clocks of a log's signers may differ"), exit == 1);
    }
}

/// Each head is dated a little before the one that it follows, so no neighbours contradict each other.
#[test]
fn small_backward_steps_add_up() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (auditor, log) = auditor();
        let steps =
            [sth(100, HEAD_TIME - 5_000), sth(200, HEAD_TIME - 55_000), sth(250, HEAD_TIME - 105_000)];
        for step in order {
            import(&auditor, &steps[step]);
        }
        auditor.audit(log.path(), &[]).expect(4, &["sth-time-contradiction", "sth-time-disorder"]);
    }
}

#[test]
fn the_list_of_heads_has_the_same_bound() {
    let (lab, leaves) = (api_lab::lab(), rejected_leaves(300));
    for (by, code) in
        [(1, "sth-time-disorder"), (BOUND, "sth-time-disorder"), (BOUND + 1, "sth-time-contradiction")]
    {
        let dispatcher = lab.workspace(0);
        let log = || {
            let mut log = ApiLog::new(&key(), &leaves, &[100, 200, 300]);
            let time = log.sths[2].0 + by;
            log.sths[1] = (time, sth(200, time));
            log
        };
        assert_eq!(dispatcher.audit(&log().source()).codes(), [code], "{by}");
        assert_eq!(dispatcher.audit_again(&log().source()).codes(), [code], "{by}");
        assert_eq!(dispatcher.audit_full(&log().source()).codes(), [code], "{by}");
    }
}

/// A head that another signer dated before the last one of the list is read, however often the list was read.
#[test]
fn the_list_is_continued_a_minute_before_its_end() {
    let leaves = rejected_leaves(400);
    let mut log = ApiLog::new(&key(), &leaves[..200], &[100, 200]);
    let first = log.sths.clone();
    let lab = api_lab::lab();
    let dispatcher = lab.workspace(0);
    api_lab::clean(&dispatcher.audit(&log.source()), 200);
    // A second signer, half a minute behind, signed 300; the first one signed 400 later.
    log = ApiLog::new(&key(), &leaves, &[400]);
    let (behind, ahead) = (first[1].0 - 30_000, first[1].0 + 90_000);
    log.sths = [first, vec![(behind, sth(300, behind)), (ahead, sth(400, ahead))]].concat();
    let answer = dispatcher.audit_again(&log.source());
    assert_eq!((answer.codes(), answer.checked), (vec!["sth-time-disorder"], 400), "{answer:?}");
}

/// A mirror to which heads come in any order, and what is then found of their times.
struct Heads {
    home: tempfile::TempDir,
    key: LogKey,
}

impl Heads {
    fn new() -> Heads {
        let heads = Heads { home: quick_tempdir(), key: log_key() };
        drop(Mirror::create_or_open(&heads.home.path().join("db"), &heads.key).unwrap());
        heads
    }

    fn mirror(&self) -> Mirror {
        Mirror::open(&self.home.path().join("db"), &self.key).unwrap()
    }

    fn come(&self, heads: &[Head]) {
        let options = Options {
            full: false,
            heads_only: false,
            workers: 1,
            evidence_dir: self.home.path().to_owned(),
            max_entries: 1,
            max_findings: 100,
            now: UnixMillis::new(NOW),
            stop: Stop::default(),
        };
        let (mut mirror, policy) = (self.mirror(), policy(&key().vkey()));
        let mut run = Run::new(None, &mut mirror, &policy, &options, &Silent);
        run.keep_all(heads, &Provenance::Imported).unwrap();
        assert_eq!(run.compare_imported().faults, Vec::<String>::new());
    }

    fn codes(&self) -> BTreeSet<Code> {
        self.mirror().findings().standing().unwrap().iter().map(|stored| stored.finding.code).collect()
    }
}

/// The result of comparing all pairs.
fn by_pairs(heads: &[Head]) -> BTreeSet<Code> {
    let mut codes = BTreeSet::new();
    for (n, a) in heads.iter().enumerate() {
        for b in &heads[..n] {
            match whole_millis(disorder(a, b)) {
                0 => {}
                1..=BOUND => drop(codes.insert(Code::SthTimeDisorder)),
                _ => drop(codes.insert(Code::SthTimeContradiction)),
            }
        }
    }
    codes
}

/// One tree for one size, without any entries.
fn bare(size: u64, seconds: u64) -> Head {
    let root = Hash([u8::try_from(size).unwrap(); 32]);
    Head::verify(&key().sth(size, root, HEAD_TIME + seconds * 1000), &log_key()).unwrap()
}

#[test]
fn every_order_of_heads_agrees_with_all_pairs() {
    let times = [0, 30, 60, 61, 121];
    support::lab::on_all_cores(125, |_, number| {
        let times = [number % 5, number / 5 % 5, number / 25].map(|n| times[n]);
        let of_size = |size: usize| bare(size as u64 + 1, times[size]);
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let heads = order.map(of_size);
            for pieces in [1, 2, 3] {
                let auditor = Heads::new();
                heads.chunks(pieces).for_each(|piece| auditor.come(piece));
                assert_eq!(auditor.codes(), by_pairs(&heads), "{times:?} {order:?} {pieces}");
            }
        }
    });
}

/// Longer histories than can be exhausted, several heads of one size among them.
#[test]
fn many_heads_in_any_batches_agree_with_all_pairs() {
    support::lab::on_all_cores(400, |_, seed| {
        let mut state = seed as u64 * 2 + 1;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        // Times grow with the size, with clock errors up to a bound that depends on the seed.
        let off = 1 + [0, 20, 50, 70, 200][seed % 5];
        let mut heads: Vec<Head> = Vec::new();
        for _ in 0..2 + random(12) {
            let size = 1 + random(9);
            let head = bare(size, size * 10 + random(off));
            if !heads.contains(&head) {
                heads.push(head);
            }
        }
        let auditor = Heads::new();
        let mut rest = heads.as_slice();
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(1 + random(4) as usize));
            auditor.come(piece);
            rest = more;
        }
        assert_eq!(auditor.codes(), by_pairs(&heads), "seed {seed}");
    });
}

/// What an earlier version wrote about two heads: a contradiction, whatever lies between them.
fn old_contradiction(mirror: &mut Mirror, directory: &Path, [smaller, larger]: [&Head; 2]) -> Finding {
    let mut trees = [smaller, larger].map(|head| format!("{} {}", head.size(), head.root()));
    trees.sort();
    let mut finding = Finding::of_log(
        Code::SthTimeContradiction,
        Subject::decode(&trees.join(" / ")),
        "as it was said then",
    );
    let path = directory.join(format!("misbehaviour-sth-time-contradiction-{}.json", smaller.size()));
    fs::write(
        &path,
        evidence::make(EvidenceKind::SthTimeContradiction, [smaller, larger], None, &[]).unwrap(),
    )
    .unwrap();
    finding.evidence = Some(path.display().to_string());
    let put = mirror.transact(|mirror, state| {
        for head in [smaller, larger] {
            mirror.heads_mut().put(head, &Provenance::Imported, UnixMillis::new(NOW))?;
            mirror.heads_mut().set_compared(state, head)?;
        }
        state.sths_until = None;
        mirror.findings_mut().put(&finding, UnixMillis::new(NOW))
    });
    put.unwrap();
    finding
}

#[test]
fn a_contradiction_within_a_minute_becomes_a_disorder() {
    for by in [1, BOUND, BOUND + 1] {
        let (auditor, log) = auditor();
        let heads =
            [sth(200, HEAD_TIME + by), sth(300, HEAD_TIME)].map(|h| Head::verify(&h, &log_key()).unwrap());
        let mut mirror = Mirror::open(&auditor.db(), &log_key()).unwrap();
        old_contradiction(&mut mirror, auditor.directory(), [&heads[0], &heads[1]]);
        drop(mirror);
        if by > BOUND {
            auditor.audit(log.path(), &[]).expect(4, &["sth-time-contradiction"]);
            continue;
        }
        let outcome = auditor.audit(log.path(), &[]);
        outcome.expect(0, &["sth-time-disorder"]);
        assert_eq!(outcome.report()["ended"][0]["code"], "sth-time-contradiction", "{outcome:?}");
        auditor.audit(log.path(), &["--full"]).expect(0, &["sth-time-disorder"]);
    }
}

/// Also where the log does not answer, with `--heads-only`, and when heads are imported.
#[test]
fn a_contradiction_within_a_minute_ends_in_any_run() {
    let head = |size, time| Head::verify(&sth(size, time), &log_key()).unwrap();
    for run in ["unreachable", "heads-only", "import"] {
        let (auditor, log) = auditor();
        let mut mirror = Mirror::open(&auditor.db(), &log_key()).unwrap();
        let heads = [&head(200, HEAD_TIME + 1), &head(300, HEAD_TIME)];
        old_contradiction(&mut mirror, auditor.directory(), heads);
        drop(mirror);
        match run {
            "unreachable" => {
                auditor.audit("http://127.0.0.1:9/", &["--retry-for", "1s"]).expect(3, &["sth-time-disorder"])
            }
            "heads-only" => auditor.audit(log.path(), &["--heads-only"]).expect(0, &["sth-time-disorder"]),
            _ => &import(&auditor, &sth(100, HEAD_TIME - 1)),
        };
        let found = Mirror::open(&auditor.db(), &log_key()).unwrap().findings().standing().unwrap();
        let codes: Vec<Code> = found.iter().map(|stored| stored.finding.code).collect();
        assert_eq!(codes, [Code::SthTimeDisorder], "{run}");
    }
}

/// Earlier versions compared neighbours: they reported each of a chain of small steps, but not the sum.
#[test]
fn the_sum_of_ended_small_contradictions_is_found() {
    let (auditor, log) = auditor();
    let head = |size, time| Head::verify(&sth(size, time), &log_key()).unwrap();
    let chain = [head(100, HEAD_TIME), head(200, HEAD_TIME - 50_000), head(250, HEAD_TIME - 100_000)];
    let mut mirror = Mirror::open(&auditor.db(), &log_key()).unwrap();
    for pair in chain.windows(2) {
        old_contradiction(&mut mirror, auditor.directory(), [&pair[0], &pair[1]]);
    }
    drop(mirror);
    let outcome = auditor.audit(log.path(), &[]);
    outcome.expect(4, &["sth-time-contradiction", "sth-time-disorder"]);
    assert_eq!(outcome.report()["ended"].as_array().unwrap().len(), 2);
    let report = outcome.report();
    let found = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["code"] == "sth-time-contradiction")
        .unwrap();
    let proof = fs::read(found["evidence"].as_str().unwrap()).unwrap();
    let proved = evidence::verify(&proof, &log_key()).unwrap();
    assert_eq!([proved.heads().0.size(), proved.heads().1.size()], [100, 250]);
}

/// Twenty proofs of a kind are written down, and those that end make room for one that is real.
#[test]
fn ended_small_contradictions_do_not_hide_a_real_one() {
    let (auditor, log) = auditor();
    let mut mirror = Mirror::open(&auditor.db(), &log_key()).unwrap();
    let head = |size: usize, time| Head::verify(&sth(size, time), &log_key()).unwrap();
    for size in 100..125 {
        let pair = [
            head(size, HEAD_TIME - (size as u64) * 3_000),
            head(size + 1, HEAD_TIME - (size as u64 + 1) * 3_000),
        ];
        old_contradiction(&mut mirror, auditor.directory(), [&pair[0], &pair[1]]);
    }
    drop(mirror);
    auditor.audit(log.path(), &[]).expect(4, &["sth-time-contradiction", "sth-time-disorder"]);
}

#[test]
fn alerts_report_the_end_of_a_contradiction() {
    let home = Home::new();
    let fake = Fake::default();
    let dispatcher = dispatcher(vec![fake.channel("all", Severity::Info)]);
    let mut mirror = home.open();
    let finding = Finding::of_log(Code::SthTimeContradiction, Subject::decode("s"), "m");
    find(&mut mirror, &finding, NOW);
    dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW)).unwrap();
    mirror.transact(|mirror, _| mirror.findings_mut().end(&finding, UnixMillis::new(NOW + 1))).unwrap();
    find(&mut mirror, &Finding::of_log(Code::SthTimeDisorder, Subject::Whole, "m"), NOW + 1);
    dispatcher.note(&mut mirror, "log", &well(), UnixMillis::new(NOW + 2)).unwrap();
    dispatcher.deliver(&mut mirror, UnixMillis::new(NOW + 2)).unwrap();
    assert_eq!(
        fake.kinds(),
        [
            pair("new", "sth-time-contradiction"),
            pair("new", "sth-time-disorder"),
            pair("ended", "sth-time-contradiction")
        ]
    );
}
