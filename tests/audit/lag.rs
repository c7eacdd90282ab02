//! Caches and replicas of a log may lag for an hour: until then the log is neither accused nor passed.
//!
//! In the test's own process, where the test holds the clock; and by the real program over HTTP.

use countersign::core::api::{self, VerificationBundle};
use countersign::core::proof::ConsistencyProof;
use countersign::core::time::UnixMillis;
use countersign::run::Silent;
use countersign::source::tiled::{FetchedFile, Fetcher, FileRequest, Tiled};
use countersign::source::{FetchError, Lag, LogSource};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use support::api::ApiLog;
use support::api_lab::{clean, key, lab, requests};
use support::cli::Auditor;
use support::lab::{Answer, Files, MemoryLog, Workspace};
use support::log::{HEAD_TIME, honest_log, rejected_leaves, root_of};
use support::{Reply, TestServer};

/// Long after every head here is dated.
const NOW: u64 = 1_900_000_000_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// An audit at this time, with the mirror that is there.
fn audit_at(workspace: &Workspace<'_>, source: &dyn LogSource, now: u64) -> Answer {
    workspace.run_with(source, &Silent, |options| options.now = UnixMillis::new(now))
}

/// The log of these leaves and heads, whose entries are those of a replica that has `behind` of them.
fn lagging(leaves: &[Vec<u8>], sizes: &[usize], behind: usize) -> ApiLog {
    let replica = ApiLog::new(&key(), &leaves[..behind], &[]);
    ApiLog::new(&key(), leaves, sizes).change(move |asked, answer| match asked.starts_with("entries?") {
        true => replica.answer(asked),
        false => answer,
    })
}

/// Undecided, with these words and without findings.
#[track_caller]
fn undecided(answer: &Answer, words: &[&str]) {
    assert!(answer.findings.is_empty() && answer.faults.is_empty(), "{answer:?}");
    for word in words {
        assert!(answer.incomplete.iter().any(|cause| cause.contains(word)), "{word}: {answer:?}");
    }
}

#[test]
fn a_replica_without_its_last_entries_gets_an_hour() {
    let (lab, leaves) = (lab(), rejected_leaves(300));
    for mirrored in [0, 200, 293] {
        let workspace = lab.workspace(0);
        workspace.begin();
        if mirrored > 0 {
            let before = ApiLog::new(&key(), &leaves[..mirrored], &[mirrored]);
            clean(&audit_at(&workspace, &before.source(), NOW - 5 * HOUR), mirrored as u64);
        }
        let sizes: &[usize] = if mirrored == 0 { &[300] } else { &[mirrored, 300] };
        let behind = || lagging(&leaves, sizes, 293).source();
        // Looked at often or seldom, the hour is the same one.
        for after in [0, 1, MINUTE, 30 * MINUTE, HOUR - 1] {
            let answer = audit_at(&workspace, &behind(), NOW + after);
            undecided(&answer, &["may lag behind", "head of size 300"]);
        }
        assert_eq!(audit_at(&workspace, &behind(), NOW + HOUR).codes(), ["gap"], "{mirrored}");
        assert_eq!(audit_at(&workspace, &behind(), NOW + 9 * HOUR).codes(), ["gap"], "{mirrored}");
        let whole = ApiLog::new(&key(), &leaves, sizes);
        clean(&audit_at(&workspace, &whole.source(), NOW + 9 * HOUR + 1), 300);
        // The next time is another hour, whatever was mirrored by then.
        let more = rejected_leaves(310);
        let sizes: Vec<usize> = sizes.iter().copied().chain([310]).collect();
        for has in [305, 299] {
            let answer = audit_at(&workspace, &lagging(&more, &sizes, has).source(), NOW + 20 * HOUR);
            undecided(&answer, &["may lag behind"]);
        }
        let answer = audit_at(&workspace, &lagging(&more, &sizes, 305).source(), NOW + 21 * HOUR);
        assert_eq!(answer.codes(), ["gap"], "{answer:?}");
    }
}

/// Replicas answer in several ways that they have no more entries.
#[test]
fn every_form_of_a_lagging_answer_gets_an_hour() {
    let leaves = rejected_leaves(300);
    let asked_for = |asked: &str| {
        let query = asked.strip_prefix("entries?start=")?.split_once("&count=")?;
        Some((query.0.parse::<u64>().unwrap(), query.1.parse::<u64>().unwrap()))
    };
    let strict = ApiLog::new(&key(), &leaves, &[300]).change(move |asked, answer| match asked_for(asked) {
        Some((start, count)) if start + count > 293 => None,
        _ => answer,
    });
    let replica = ApiLog::new(&key(), &leaves[..293], &[]);
    let empty = ApiLog::new(&key(), &leaves, &[300]).change(move |asked, answer| match asked_for(asked) {
        Some((start, _)) => {
            replica.answer(asked).or_else(|| api::write_entries(start, std::iter::empty()).ok())
        }
        None => answer,
    });
    let with_gap = ApiLog::new(&key(), &leaves, &[300]).change(move |asked, answer| match asked_for(asked) {
        Some((start, count)) if (start..start + count).contains(&100) => None,
        _ => answer,
    });
    for (what, log) in [("strict", strict), ("empty pages", empty), ("several replicas", with_gap)] {
        let lab = lab();
        let workspace = lab.workspace(0);
        workspace.begin();
        let source = log.source();
        undecided(&audit_at(&workspace, &source, NOW), &["may lag behind"]);
        assert_eq!(audit_at(&workspace, &source, NOW + HOUR).codes(), ["gap"], "{what}");
    }
}

/// Always a little behind, and what was missing always comes: no hour is ever full.
#[test]
fn a_replica_that_follows_is_never_a_finding() {
    let (lab, leaves) = (lab(), rejected_leaves(900));
    let workspace = lab.workspace(0);
    workspace.begin();
    let mut sizes = Vec::new();
    for step in 0..20 {
        let size = 300 + step * 20;
        sizes.push(size);
        let answer = audit_at(
            &workspace,
            &lagging(&leaves[..size], &sizes, size - 7).source(),
            NOW + step as u64 * 20 * MINUTE,
        );
        undecided(&answer, &["may lag behind"]);
    }
    // One that stands still while the head moves on has its hour and no more.
    let mut found = Vec::new();
    for step in 20..26 {
        let size = 300 + step * 20;
        sizes.push(size);
        let now = NOW + step as u64 * 20 * MINUTE;
        found.push(audit_at(&workspace, &lagging(&leaves[..size], &sizes, 690).source(), now).findings.len());
    }
    assert_eq!(found, [0, 0, 0, 1, 1, 1]);
}

#[test]
fn a_gap_beyond_any_lag_is_reported_at_once() {
    let leaves = rejected_leaves(300);
    // A place that never had an entry.
    let nothing = ApiLog::new(&key(), &leaves, &[300])
        .change(|asked, answer| answer.filter(|_| !asked.starts_with("entries?")));
    let lab = lab();
    assert_eq!(lab.workspace(0).audit(&nothing.source()).codes(), ["gap"]);
    // One proof of the newest tree, out of others that are answered.
    for refused in ["consistency?first=250&second=300", "inclusion?index=299&treeSize=300"] {
        let log = ApiLog::new(&key(), &leaves, &[100, 250, 300])
            .change(move |asked, answer| answer.filter(|_| asked != refused));
        assert_eq!(lab.workspace(0).audit(&log.source()).codes(), ["gap"], "{refused}");
    }
    // Static files, behind caches or not.
    let mut files = honest_log(&key(), &leaves);
    files.remove("tile/entries/001.p/44");
    for lag in [Lag::None, Lag::Caches] {
        assert_eq!(lab.workspace(0).audit(&through(&files, lag)).codes(), ["gap"], "{lag:?}");
    }
}

/// Replicas behind one name: some have the newest tree, and the others do not yet. Whoever is asked is chosen by chance.
#[test]
fn some_replicas_may_lag() {
    let (lab, leaves) = (lab(), rejected_leaves(300));
    for kind in ["inclusion?index=", "consistency?first="] {
        let workspace = lab.workspace(0);
        workspace.begin();
        let log = ApiLog::new(&key(), &leaves, &[100, 250, 300]).change(move |asked, answer| {
            let of_newest = asked.ends_with("&second=300") || asked.ends_with("&treeSize=300");
            let number: Option<u64> =
                asked.strip_prefix(kind).and_then(|rest| rest.split('&').next()?.parse().ok());
            answer.filter(|_| !(of_newest && number.is_some_and(|number| number % 3 != 2)))
        });
        let source = log.source();
        let audit = |now: u64| {
            workspace.run_with(&source, &Silent, |options| {
                (options.now, options.full) = (UnixMillis::new(now), true);
            })
        };
        let now = HEAD_TIME + MINUTE;
        for after in [0, HOUR / 2] {
            undecided(&audit(now + after), &["may lag behind"]);
        }
        assert_eq!(audit(now + 2 * HOUR).codes(), ["gap"], "{kind}");
    }
}

/// The log of 300 entries and heads over 250 and 300, of which a replica has the entries and no proofs beyond 250 yet.
fn without_proofs(leaves: &[Vec<u8>]) -> ApiLog {
    ApiLog::new(&key(), leaves, &[250, 300]).change(|asked, answer| {
        let of_newest = asked.ends_with("&second=300") || asked.ends_with("&treeSize=300");
        let bundle = asked.ends_with("/verification");
        answer.filter(|bytes| !(of_newest || bundle && VerificationBundle::read(bytes).unwrap().index >= 250))
    })
}

#[test]
fn a_replica_without_its_last_proofs_gets_an_hour() {
    let (lab, leaves) = (lab(), rejected_leaves(300));
    for full in [false, true] {
        let workspace = lab.workspace(0);
        workspace.begin();
        let audit = |now: u64| {
            workspace.run_with(&without_proofs(&leaves).source(), &Silent, |options| {
                options.now = UnixMillis::new(now);
                options.full = full;
            })
        };
        for after in [0, HOUR - 1] {
            let answer = audit(NOW + after);
            undecided(&answer, &["may lag behind"]);
            assert_eq!((answer.checked, answer.incomplete.len()), (300, 1), "{answer:?}");
        }
        assert_eq!(audit(NOW + HOUR).codes(), ["gap"]);
        let whole = ApiLog::new(&key(), &leaves, &[250, 300]).source();
        clean(&audit_at(&workspace, &whole, NOW + HOUR + 1), 300);
    }
    let workspace = lab.workspace(1);
    workspace.begin();
    let follow = |log: ApiLog, now: u64| {
        workspace.run_with(&log.source(), &Silent, |options| {
            options.now = UnixMillis::new(now);
            options.heads_only = true;
        })
    };
    clean(&follow(ApiLog::new(&key(), &leaves[..250], &[250]), NOW - HOUR), 0);
    undecided(&follow(without_proofs(&leaves), NOW), &["may lag behind"]);
    assert_eq!(follow(without_proofs(&leaves), NOW + HOUR).codes(), ["gap"]);
}

/// A replica that lacks the last entries does not explain a wrong proof of the first ones.
#[test]
fn lag_does_not_hide_a_wrong_proof() {
    let leaves = rejected_leaves(600);
    let replica = ApiLog::new(&key(), &leaves[..590], &[]);
    let log = ApiLog::new(&key(), &leaves, &[600]).change(move |asked, answer| {
        let Some(query) = asked.strip_prefix("consistency?first=") else {
            return if asked.starts_with("entries?") { replica.answer(asked) } else { answer };
        };
        let (first, second) = query.split_once("&second=").unwrap();
        let (first, second) = (first.parse().unwrap(), second.parse().unwrap());
        api::write_consistency(first, second, &ConsistencyProof(vec![root_of(&[])])).ok()
    });
    let lab = lab();
    let answer = lab.workspace(0).audit(&log.source());
    assert_eq!(answer.codes(), ["proof-invalid"], "{answer:?}");
    assert!(answer.incomplete.iter().any(|cause| cause.contains("may lag behind")), "{answer:?}");
}

/// Files in memory, with something in front of them.
struct Fronted<'a>(MemoryLog<'a>, Lag);

impl Fetcher for Fronted<'_> {
    fn location(&self) -> String {
        self.0.location()
    }

    fn parallelism(&self) -> usize {
        self.0.parallelism()
    }

    fn lag(&self) -> Lag {
        self.1
    }

    fn fetch(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
        self.0.fetch(wanted)
    }
}

fn through(files: &Files, lag: Lag) -> Tiled<Fronted<'_>> {
    Tiled::new(Fronted(MemoryLog { files, instead: None }, lag))
}

/// A tiled log of so many entries with an STH of this time; 0: with none.
fn files_of(size: usize, time: u64) -> Files {
    let leaves = rejected_leaves(size);
    let mut files = honest_log(&key(), &leaves);
    match time {
        0 => files.remove("sth"),
        time => files.insert("sth".to_owned(), key().sth(size as u64, root_of(&leaves), time)),
    };
    files
}

const STALE: [&str; 2] = ["may lag behind", "of size 250, and one of size 300 was first seen here at"];

#[test]
fn the_hour_of_a_stale_cache_starts_with_the_larger_head() {
    // Dated lately, or not at all.
    for dated in [true, false] {
        let time = |size: usize| if dated { NOW - HOUR + size as u64 * MINUTE / 10 } else { 0 };
        let (old, new) = (files_of(250, time(250)), files_of(300, time(300)));
        let lab = lab();
        let workspace = lab.workspace(0);
        workspace.begin();
        clean(&audit_at(&workspace, &through(&new, Lag::Caches), NOW), 300);
        for minutes in [1, 2, 20, 29] {
            undecided(&audit_at(&workspace, &through(&old, Lag::Caches), NOW + minutes * MINUTE), &STALE);
        }
        // Undated, the hour is that of the first sight of the larger one; dated, its own as well.
        let end = if dated { 30 } else { 60 };
        let last = audit_at(&workspace, &through(&old, Lag::Caches), NOW + end * MINUTE - 1);
        undecided(&last, &STALE);
        let over = audit_at(&workspace, &through(&old, Lag::Caches), NOW + end * MINUTE);
        assert_eq!(over.codes(), ["head-rollback"], "{dated}: {over:?}");
        clean(&audit_at(&workspace, &through(&new, Lag::Caches), NOW + 2 * HOUR), 300);
        // The same head again: it was superseded for longer than an hour.
        let again = audit_at(&workspace, &through(&old, Lag::Caches), NOW + 2 * HOUR + 1);
        assert_eq!(again.codes(), ["head-rollback"], "{dated}: {again:?}");
    }
}

/// What a cache holds was served before: a head that came here first is that, however old the other is.
#[test]
fn a_cache_may_serve_an_earlier_head() {
    let (old, new) = (files_of(250, HEAD_TIME), files_of(300, HEAD_TIME + MINUTE));
    let audits = |order: &[(&Files, Lag)]| {
        let lab = lab();
        let workspace = lab.workspace(0);
        workspace.begin();
        let mut last = None;
        for (number, (files, lag)) in order.iter().enumerate() {
            last = Some(audit_at(&workspace, &through(files, *lag), NOW + number as u64 * MINUTE));
        }
        last.unwrap()
    };
    let cached = Lag::Caches;
    undecided(&audits(&[(&old, cached), (&new, cached), (&old, cached)]), &STALE);
    // Both came in one run, from two files of the log: their order is unknown.
    let mut apart = new.clone();
    apart.insert("checkpoint".to_owned(), old["checkpoint"].clone());
    undecided(&audits(&[(&apart, cached), (&old, cached)]), &STALE);
    // Never seen, and the larger head is months old: no cache has that. Nor is there one before a directory.
    assert_eq!(audits(&[(&new, cached), (&old, cached)]).codes(), ["head-rollback"]);
    let own = Lag::None;
    assert_eq!(audits(&[(&old, own), (&new, own), (&old, own)]).codes(), ["head-rollback"]);
    // The same answer each time: the finding stands.
    assert_eq!(audits(&[(&new, cached), (&old, cached), (&old, cached)]).codes(), ["head-rollback"]);
}

#[test]
fn a_replica_may_serve_any_older_head_for_an_hour() {
    let leaves = rejected_leaves(300);
    let new = || ApiLog::new(&key(), &leaves, &[250, 300]);
    let old = || {
        let old = ApiLog::new(&key(), &leaves[..250], &[250]).answer("head").unwrap();
        new().change(move |asked, answer| if asked == "head" { Some(old.clone()) } else { answer })
    };
    let lab = lab();
    let workspace = lab.workspace(0);
    workspace.begin();
    clean(&audit_at(&workspace, &new().source(), NOW), 300);
    undecided(&audit_at(&workspace, &old().source(), NOW + 1), &STALE);
    undecided(&audit_at(&workspace, &old().source(), NOW + HOUR - 1), &STALE);
    assert_eq!(audit_at(&workspace, &old().source(), NOW + HOUR).codes(), ["head-rollback"]);
    clean(&audit_at(&workspace, &new().source(), NOW + HOUR + 1), 300);

    // The larger one came in the log's own list. In the same run that is a log that grows; later it is lag.
    let workspace = lab.workspace(1);
    workspace.begin();
    clean(&audit_at(&workspace, &old().source(), NOW), 250);
    undecided(&audit_at(&workspace, &old().source(), NOW + MINUTE), &STALE);
    assert_eq!(audit_at(&workspace, &old().source(), NOW + HOUR).codes(), ["head-rollback"]);
}

/// Whoever shows ever older heads does not get an hour for each, nor one who was shown more lately.
#[test]
fn the_hour_is_not_restarted() {
    let leaves = rejected_leaves(300);
    let sizes: Vec<usize> = (200..=300).collect();
    let serve = |size: usize| {
        let until = sizes.iter().position(|there| *there == size).unwrap();
        ApiLog::new(&key(), &leaves[..size], &sizes[..=until]).source()
    };
    let lab = lab();
    let workspace = lab.workspace(0);
    workspace.begin();
    for (minutes, size, found) in [
        (0, 270, &[][..]),
        (30, 290, &[]),
        (59, 300, &[]),
        // Behind 300 and 290, which are new here.
        (60, 270, &[]),
        (89, 270, &[]),
        // 290 is an hour old.
        (90, 270, &["head-rollback"]),
        (91, 300, &[]),
        (92, 260, &["head-rollback"]),
    ] {
        let answer = audit_at(&workspace, &serve(size), NOW + minutes * MINUTE);
        assert_eq!(answer.codes(), found, "{minutes}: {answer:?}");
        let lags = [60, 89].contains(&minutes);
        assert_eq!(!answer.incomplete.is_empty(), lags, "{minutes}: {answer:?}");
    }
}

/// One of the two formats is behind what that format showed before.
#[test]
fn one_format_may_lag_alone() {
    for stale in ["checkpoint", "sth"] {
        let (old, new) = (files_of(250, NOW - 2 * MINUTE), files_of(300, NOW - MINUTE));
        let mut mixed = new.clone();
        mixed.insert(stale.to_owned(), old[stale].clone());
        let lab = lab();
        let workspace = lab.workspace(0);
        workspace.begin();
        clean(&audit_at(&workspace, &through(&new, Lag::Caches), NOW), 300);
        let answer = audit_at(&workspace, &through(&mixed, Lag::Caches), NOW + 1);
        undecided(&answer, &["may lag behind", stale]);
        let answer = audit_at(&workspace, &through(&mixed, Lag::Caches), NOW + HOUR);
        assert_eq!(answer.codes(), ["head-rollback"], "{answer:?}");
        assert_eq!(audit_at(&workspace, &through(&new, Lag::None), NOW + HOUR + 1).codes(), [""; 0]);
        let answer = audit_at(&workspace, &through(&mixed, Lag::None), NOW + HOUR + 2);
        assert_eq!(answer.codes(), ["head-rollback"], "a directory: {answer:?}");
    }
}

/// A smaller head that is dated later than a larger one is no older head. A little later, clocks may differ.
#[test]
fn a_smaller_newer_head_is_not_lag() {
    for (later, found) in [(HOUR / 2, true), (MINUTE, false)] {
        let leaves = rejected_leaves(300);
        let mut behind = ApiLog::new(&key(), &leaves[..250], &[250]);
        behind.sths[0] = (HEAD_TIME + later, key().sth(250, root_of(&leaves[..250]), HEAD_TIME + later));
        let lab = lab();
        let workspace = lab.workspace(0);
        workspace.begin();
        clean(&audit_at(&workspace, &ApiLog::new(&key(), &leaves, &[300]).source(), NOW), 300);
        let answer = audit_at(&workspace, &behind.source(), NOW + 1);
        assert_eq!(answer.codes().contains(&"head-rollback"), found, "{answer:?}");
    }
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A server of what `shown` holds.
fn serve(shown: &Arc<Mutex<Files>>) -> TestServer {
    let shown = shown.clone();
    TestServer::start(move |request| match shown.lock().unwrap().get(request.path.trim_start_matches('/')) {
        Some(bytes) => Reply::ok(bytes),
        None => Reply::status("404 Not Found", "", ""),
    })
}

/// The real program: a stale cache before static files.
#[test]
fn a_stale_cache_is_undecided_with_the_reason() {
    let (old, new) = (files_of(250, now() - 2 * MINUTE), files_of(300, now() - MINUTE));
    let shown = Arc::new(Mutex::new(new));
    let server = serve(&shown);
    let auditor = Auditor::new(&key().vkey());
    auditor.init(server.url()).expect(0, &[]);
    *shown.lock().unwrap() = old;
    for options in [&[][..], &["--full"], &["--heads-only"]] {
        let outcome = auditor.audit(server.url(), options);
        outcome.expect(3, &[]);
        let report = outcome.report();
        assert_eq!((report["verdict"].as_str(), report["exitCode"].as_u64()), (Some("incomplete"), Some(3)));
        let causes = report["incomplete"].to_string();
        STALE.iter().for_each(|word| assert!(causes.contains(word), "{word}: {causes}"));
        assert_eq!(report["checks"]["head-rollback"]["result"], "not-checked", "{report:#}");
    }
}

/// The real program: a replica of the JSON API that is behind its head.
#[test]
fn a_replica_behind_its_head_is_undecided_with_the_reason() {
    let leaves = rejected_leaves(30);
    let log = lagging(&leaves, &[30], 23);
    let server = TestServer::start(move |request| {
        let path = request.path.trim_start_matches('/');
        match (log.change)(path, log.answer(path)) {
            Ok(Some(body)) => Reply::ok(body),
            _ => Reply::status("404 Not Found", "", "{\"error\":\"not here\"}"),
        }
    });
    let auditor = Auditor::new(&key().vkey());
    let url = format!("api+{}", server.url());
    for options in [&["--init"][..], &[]] {
        let outcome = auditor.audit(&url, options);
        outcome.expect(3, &[]);
        let report = outcome.report();
        let causes = report["incomplete"].to_string();
        assert!(causes.contains("may lag behind") && causes.contains("head of size 30"), "{causes}");
        assert_eq!(report["checks"]["root"]["result"], "not-checked", "{report:#}");
    }
}

/// Sizes that no log has, up to the largest that a checkpoint can name.
const ABSURD: [u64; 6] = [1 << 40, (1 << 53) - 1, (1 << 62) + 7, 1 << 62, u64::MAX - 1, u64::MAX];

/// A head over more entries than there are in the world is a gap, and nothing else is asked for it.
#[test]
fn a_head_of_absurd_size_is_a_gap_after_one_request() {
    for (size, most) in ABSURD.into_iter().flat_map(|size| [(size, 1_000_000), (size, u64::MAX)]) {
        let mut files = files_of(300, 0);
        files.insert("checkpoint".to_owned(), key().checkpoint(size, root_of(&rejected_leaves(3))));
        let asked = Mutex::new(BTreeSet::new());
        let log = Tiled::new(Watched { files: &files, asked: &asked });
        let lab = lab();
        let workspace = lab.workspace(0);
        workspace.begin();
        for _ in 0..2 {
            let answer = workspace.run_with(&log, &Silent, |options| options.max_entries = most);
            assert_eq!(answer.codes(), ["gap"], "{size} {most}: {answer:?}");
            assert_eq!((answer.checked, answer.faults.len()), (0, 0), "{size} {most}: {answer:?}");
        }
        let asked = asked.into_inner().unwrap();
        let tiles: Vec<&String> = asked.iter().filter(|path| path.starts_with("tile/")).collect();
        let last = (size - 1) / 256;
        let path = |width| countersign::core::tile::TilePath::Entries { index: last, width }.to_path();
        let width = u16::try_from((size - 1) % 256 + 1).unwrap();
        let mut expected = vec![path(256), path(width)];
        expected.dedup();
        assert_eq!(tiles, expected.iter().collect::<Vec<_>>(), "{size} {most}");
    }
}

/// Remembers what is asked for.
struct Watched<'a> {
    files: &'a Files,
    asked: &'a Mutex<BTreeSet<String>>,
}

impl Fetcher for Watched<'_> {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn parallelism(&self) -> usize {
        1
    }

    fn fetch(&self, wanted: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
        self.asked.lock().unwrap().extend(wanted.paths.iter().cloned());
        MemoryLog { files: self.files, instead: None }.fetch(wanted)
    }
}

/// The other head, of the tree that there is, is followed all the same.
#[test]
fn a_head_of_absurd_size_does_not_block_the_other() {
    let mut files = honest_log(&key(), &rejected_leaves(300));
    files.insert("checkpoint".to_owned(), key().checkpoint(1 << 62, root_of(&rejected_leaves(3))));
    let lab = lab();
    let answer = lab.workspace(0).audit(&through(&files, Lag::None));
    assert_eq!((answer.codes(), answer.checked), (vec!["gap"], 300), "{answer:?}");
}

/// A log that serves its end and is only too large for this auditor is not accused.
#[test]
fn a_log_beyond_local_limits_is_undecided() {
    let leaves = rejected_leaves(900);
    let files = honest_log(&key(), &leaves);
    let api = ApiLog::new(&key(), &leaves, &[900]).source();
    let tiles = through(&files, Lag::Caches);
    for source in [&tiles as &dyn LogSource, &api] {
        let lab = lab();
        let workspace = lab.workspace(0);
        workspace.begin();
        let answer = workspace.run_with(source, &Silent, |options| options.max_entries = 800);
        undecided(&answer, &["--max-entries 800"]);
    }
    // Nor is one whose end cannot be had now.
    let failing = ApiLog::new(&key(), &leaves, &[900]).fail(|asked, answer| match asked {
        "entries?start=899&count=1" => {
            Err(FetchError::Unavailable { what: asked.to_owned(), cause: "HTTP 503".to_owned() })
        }
        _ => Ok(answer),
    });
    let lab = lab();
    let workspace = lab.workspace(0);
    workspace.begin();
    let answer = workspace.run_with(&failing.source(), &Silent, |options| options.max_entries = 800);
    undecided(&answer, &["--max-entries 800", "HTTP 503"]);
}

/// Behind the JSON API a replica may lag, but for entries that it has no numbers for.
#[test]
fn a_head_of_absurd_size_of_a_json_api_is_a_gap() {
    for size in ABSURD {
        let leaves = rejected_leaves(300);
        let sth = key().sth(size.min((1 << 53) - 1), root_of(&leaves[..3]), HEAD_TIME);
        let mut log = ApiLog::new(&key(), &leaves, &[300]);
        log.checkpoint = key().checkpoint(size, root_of(&leaves[..3]));
        log.sths = vec![(HEAD_TIME, sth)];
        let asked = requests(&log);
        let source = log.source();
        let lab = lab();
        let workspace = lab.workspace(0);
        workspace.begin();
        let first = audit_at(&workspace, &source, NOW);
        match size < 1 << 53 {
            true => undecided(&first, &["may lag behind"]),
            false => assert_eq!(first.codes(), ["gap"], "{size}: {first:?}"),
        }
        let later = audit_at(&workspace, &source, NOW + HOUR);
        assert_eq!((later.codes(), later.checked), (vec!["gap"], 0), "{size}: {later:?}");
        let asked = asked.lock().unwrap();
        assert!(asked.iter().filter(|path| path.starts_with("entries?")).count() <= 16, "{asked:?}");
        assert!(asked.iter().all(|path| !path.starts_with("consistency")), "{asked:?}");
    }
}

const REJECTIONS: [&str; 3] =
    ["HTTP 400 Bad Request", "HTTP 416 Range Not Satisfiable", "HTTP 422 Unprocessable"];

fn rejected(asked: &str, cause: &str) -> FetchError {
    FetchError::Rejected { what: asked.to_owned(), cause: cause.to_owned() }
}

/// Start and count of what is asked for, if it is entries.
fn entries_of(asked: &str) -> Option<(u64, u64)> {
    let (start, count) = asked.strip_prefix("entries?start=")?.split_once("&count=")?;
    Some((start.parse().unwrap(), count.parse().unwrap()))
}

/// The same log, whose API calls every question a wrong one that goes beyond its first `has` entries.
fn strict(leaves: &[Vec<u8>], has: u64, cause: &'static str) -> ApiLog {
    ApiLog::new(&key(), leaves, &[leaves.len()]).fail(move |asked, answer| match entries_of(asked) {
        Some((start, count)) if start + count > has => Err(rejected(asked, cause)),
        _ => Ok(answer),
    })
}

/// If a valid request is answered with 400 and similar ones are not, the log has no answer to it.
#[test]
fn a_single_rejected_request_is_a_gap_after_an_hour() {
    let leaves = rejected_leaves(300);
    for cause in REJECTIONS {
        for has in [1, 200, 256, 293, 299] {
            let lab = lab();
            let workspace = lab.workspace(0);
            workspace.begin();
            let source = strict(&leaves, has, cause).source();
            undecided(
                &audit_at(&workspace, &source, NOW),
                &["may lag behind", cause, "similar requests are answered"],
            );
            undecided(&audit_at(&workspace, &source, NOW + HOUR - 1), &["may lag behind"]);
            assert_eq!(audit_at(&workspace, &source, NOW + HOUR).codes(), ["gap"], "{cause} {has}");
            let whole = ApiLog::new(&key(), &leaves, &[300]);
            clean(&audit_at(&workspace, &whole.source(), NOW + HOUR + 1), 300);
        }
    }
    // One in the middle, and the first one.
    for refused in [0, 100, 299] {
        let log = ApiLog::new(&key(), &leaves, &[300]).fail(move |asked, answer| match entries_of(asked) {
            Some((start, count)) if (start..start + count).contains(&refused) => {
                Err(rejected(asked, REJECTIONS[0]))
            }
            _ => Ok(answer),
        });
        let lab = lab();
        let workspace = lab.workspace(0);
        workspace.begin();
        let source = log.source();
        match refused {
            // Lag does not explain a missing first entry.
            0 => assert_eq!(audit_at(&workspace, &source, NOW).codes(), ["gap"]),
            _ => undecided(&audit_at(&workspace, &source, NOW), &["may lag behind"]),
        }
        assert_eq!(audit_at(&workspace, &source, NOW + HOUR).codes(), ["gap"], "{refused}");
    }
}

/// Who rejects all questions may not understand us, and is not accused.
#[test]
fn rejecting_every_request_is_undecided() {
    let leaves = rejected_leaves(300);
    for size in [300, 1 << 62] {
        let mut log = strict(&leaves, 0, REJECTIONS[0]);
        log.checkpoint = key().checkpoint(size, root_of(&leaves));
        let lab = lab();
        let workspace = lab.workspace(0);
        workspace.begin();
        let source = log.source();
        for after in [0, HOUR, 9 * HOUR] {
            let answer = audit_at(&workspace, &source, NOW + after);
            // That the API has no number for it needs no answer of the log's.
            if size == 300 {
                undecided(&answer, &["HTTP 400"]);
            }
        }
    }
    // Nor is one that wants to be asked for fewer entries at once.
    for most in [1, 2, 10, 31, 32, 100] {
        let log = ApiLog::new(&key(), &leaves, &[300]).fail(move |asked, answer| match entries_of(asked) {
            Some((_, count)) if count > most => Err(rejected(asked, REJECTIONS[0])),
            _ => Ok(answer),
        });
        let lab = lab();
        let workspace = lab.workspace(0);
        workspace.begin();
        clean(&audit_at(&workspace, &log.source(), NOW), 300);
    }
    // Nor for an answer that is rejected once.
    let first = Mutex::new(true);
    let log = ApiLog::new(&key(), &leaves, &[300]).fail(move |asked, answer| match entries_of(asked) {
        Some((299, 1)) if std::mem::replace(&mut *first.lock().unwrap(), false) => {
            Err(rejected(asked, REJECTIONS[0]))
        }
        Some((start, count)) if start + count > 299 && count > 1 => Err(rejected(asked, REJECTIONS[0])),
        _ => Ok(answer),
    });
    let lab = lab();
    let workspace = lab.workspace(0);
    workspace.begin();
    clean(&audit_at(&workspace, &log.source(), NOW), 300);
}

/// Proofs as well: of all that are asked for, those of the newest tree are rejected.
#[test]
fn a_single_rejected_proof_is_missing() {
    let leaves = rejected_leaves(300);
    for refused in ["consistency?first=250&second=300", "inclusion?index=299&treeSize=300"] {
        let reject = move |asked: &str, answer| match asked == refused {
            true => Err(rejected(asked, REJECTIONS[0])),
            false => Ok(answer),
        };
        let log = ApiLog::new(&key(), &leaves, &[100, 250, 300]).fail(reject);
        assert_eq!(lab().workspace(0).audit(&log.source()).codes(), ["gap"], "{refused}");
        let kind = refused.split('?').next().unwrap();
        let all = ApiLog::new(&key(), &leaves, &[100, 250, 300]).fail(move |asked, answer| {
            if asked.starts_with(kind) { Err(rejected(asked, REJECTIONS[0])) } else { Ok(answer) }
        });
        undecided(&lab().workspace(0).audit(&all.source()), &["HTTP 400"]);
    }
}

#[test]
fn a_head_of_absurd_size_with_a_rejected_end_is_a_gap() {
    for (size, cause) in ABSURD.into_iter().zip(REJECTIONS.into_iter().cycle()) {
        for heads_only in [false, true] {
            let leaves = rejected_leaves(300);
            let mut log = strict(&leaves, 300, cause);
            log.checkpoint = key().checkpoint(size, root_of(&leaves[..3]));
            log.sths =
                vec![(HEAD_TIME, key().sth(size.min((1 << 53) - 1), root_of(&leaves[..3]), HEAD_TIME))];
            let asked = requests(&log);
            let source = log.source();
            let lab = lab();
            let workspace = lab.workspace(0);
            workspace.begin();
            let audit = |now: u64| {
                workspace.run_with(&source, &Silent, |options| {
                    options.now = UnixMillis::new(now);
                    options.heads_only = heads_only;
                })
            };
            let first = audit(NOW);
            match size < 1 << 53 {
                true => undecided(&first, &["may lag behind", cause]),
                false => assert_eq!(first.codes(), ["gap"], "{size}: {first:?}"),
            }
            assert_eq!(audit(NOW + HOUR).codes(), ["gap"], "{size} {heads_only}");
            let asked = asked.lock().unwrap();
            assert!(asked.iter().filter(|path| path.starts_with("entries?")).count() <= 32, "{asked:?}");
            assert!(asked.iter().all(|path| !path.starts_with("consistency")), "{asked:?}");
        }
    }
}

/// Entries are not fetched with `--heads-only`, except the last entry of a head of absurd size.
#[test]
fn heads_only_requests_the_end_of_a_head_of_absurd_size() {
    let follow = |workspace: &Workspace<'_>, source: &dyn LogSource, most: u64| {
        workspace.run_with(source, &Silent, |options| {
            options.heads_only = true;
            options.max_entries = most;
        })
    };
    for (size, most) in ABSURD.into_iter().flat_map(|size| [(size, 1_000_000), (size, u64::MAX)]) {
        let mut files = files_of(300, 0);
        let lab = lab();
        let workspace = lab.workspace(0);
        workspace.begin();
        clean(&follow(&workspace, &through(&files, Lag::Caches), most), 0);
        files.insert("checkpoint".to_owned(), key().checkpoint(size, root_of(&rejected_leaves(3))));
        let asked = Mutex::new(BTreeSet::new());
        for _ in 0..2 {
            let answer = follow(&workspace, &Tiled::new(Watched { files: &files, asked: &asked }), most);
            assert_eq!(answer.codes(), ["gap"], "{size} {most}: {answer:?}");
        }
        let asked = asked.into_inner().unwrap();
        let tiles: Vec<&String> = asked.iter().filter(|path| path.starts_with("tile/")).collect();
        assert!(tiles.len() <= 2 && tiles.iter().all(|path| path.starts_with("tile/entries/")), "{tiles:?}");
    }
    // One that is only larger than this auditor would mirror is followed, and its end is there.
    let (old, new) = (files_of(900, 0), files_of(1000, 0));
    let lab = lab();
    let workspace = lab.workspace(0);
    workspace.begin();
    clean(&follow(&workspace, &through(&old, Lag::Caches), 800), 0);
    let mut without = new.clone();
    without.remove("tile/entries/003.p/232");
    assert_eq!(follow(&workspace, &through(&without, Lag::Caches), 800).codes(), ["gap"]);
    clean(&follow(&workspace, &through(&new, Lag::Caches), 800), 0);
    // Whose end cannot be had now is not accused, and followed all the same.
    let failing = ApiLog::new(&key(), &rejected_leaves(900), &[900]).fail(|asked, answer| match asked {
        "entries?start=899&count=1" => {
            Err(FetchError::Unavailable { what: asked.to_owned(), cause: "HTTP 503".to_owned() })
        }
        _ => Ok(answer),
    });
    let workspace = lab.workspace(1);
    workspace.begin();
    undecided(&follow(&workspace, &failing.source(), 800), &["HTTP 503"]);
}

/// The real program: an API that answers 400, 416 or 422 for missing data.
#[test]
fn rejecting_statuses_are_distinguished_over_http() {
    for (status, has, words) in [
        ("400 Bad Request", 23, &["may lag behind", "HTTP 400 Bad Request, though"][..]),
        ("416 Range Not Satisfiable", 23, &["may lag behind", "HTTP 416"]),
        ("422 Unprocessable Content", 23, &["may lag behind", "HTTP 422"]),
        ("400 Bad Request", 0, &["not served: HTTP 400 Bad Request"]),
        ("405 Method Not Allowed", 23, &["not served: HTTP 405"]),
    ] {
        let log = ApiLog::new(&key(), &rejected_leaves(30), &[30]);
        let server = TestServer::start(move |request| {
            let path = request.path.trim_start_matches('/');
            match entries_of(path) {
                Some((start, count)) if start + count > has => {
                    Reply::status(status, "", "{\"error\":\"range\"}")
                }
                _ => log.answer(path).map_or_else(|| Reply::status("404 Not Found", "", ""), Reply::ok),
            }
        });
        let auditor = Auditor::new(&key().vkey());
        let outcome = auditor.init(format!("api+{}", server.url()));
        outcome.expect(3, &[]);
        let causes = outcome.report()["incomplete"].to_string();
        words.iter().for_each(|word| assert!(causes.contains(word), "{word}: {causes}"));
        assert!(words[0].starts_with("may") == causes.contains("may lag"), "{causes}");
    }
}
