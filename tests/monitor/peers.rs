//! Peers in an audit: what others were shown is held against what we were shown, and nothing that a peer does is
//! held against the log. Here against logs and peers made for the test; with two real monitors in `peers_live.rs`.

use countersign::audit::peer::PeerResult;
use countersign::core::check::Check;
use countersign::core::evidence;
use countersign::core::head::LogKey;
use countersign::core::time::UnixMillis;
use countersign::mirror::{HeadLine, HeadReader, Mirror, PeerProgress};
use countersign::run::{Options, Run, Silent, Summary};
use countersign::source::tiled::{FetchedFile, Fetcher, FileRequest, Tiled};
use countersign::source::{FetchError, HttpOptions, LogSource, Peer, PeerLocation, Stop};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use support::lab::{Files, MemoryLog, policy, quick_tempdir};
use support::log::{HEAD_TIME, ORIGIN, TestKey, honest_log, leaf, rejected, rejected_leaves, root_of};
use support::witness::TestWitness;
use support::{Reply, TestServer};
use tempfile::TempDir;

/// A time as it is written.
fn time(ms: u64) -> String {
    UnixMillis::new(ms).to_string()
}

/// A history that was read up to `since`, and whole at `whole`.
fn read_to(since: u64, whole: u64) -> PeerProgress {
    PeerProgress { since: Some(UnixMillis::new(since)), whole: UnixMillis::new(whole), failures: 0 }
}

const NOW: u64 = 1_900_000_000_000;
const MINUTE: u64 = 60_000;

fn key() -> TestKey {
    TestKey::new(1)
}

/// `count` leaves, of which those from `other` on are of another history.
fn history(count: usize, other: usize) -> Vec<Vec<u8>> {
    let mut leaves = rejected_leaves(count);
    for (n, place) in leaves.iter_mut().enumerate().skip(other) {
        *place = leaf(&rejected(&format!("other-{n}")));
    }
    leaves
}

fn checkpoint(count: usize, other: usize) -> Vec<u8> {
    key().checkpoint(count as u64, root_of(&history(count, other)))
}

fn sth(count: usize, other: usize, time: u64) -> Vec<u8> {
    key().sth(count as u64, root_of(&history(count, other)), time)
}

/// A line of a history, first seen at this time.
fn line(head: &[u8], seen: u64) -> String {
    let line = HeadLine {
        format: "checkpoint".to_owned(),
        size: 0,
        root: String::new(),
        time: None,
        status: "unchecked".to_owned(),
        provenance: "served".to_owned(),
        first_seen: time(seen),
        head: String::from_utf8(head.to_vec()).unwrap(),
    };
    line.to_line().unwrap()
}

/// A log that does not answer.
struct Gone;

impl Fetcher for Gone {
    fn location(&self) -> String {
        "gone".to_owned()
    }

    fn parallelism(&self) -> usize {
        1
    }

    fn fetch(&self, _: &FileRequest<'_>) -> Result<FetchedFile, FetchError> {
        Err(FetchError::Unavailable { what: "gone".to_owned(), cause: "no answer".to_owned() })
    }
}

/// An auditor with a mirror, and a file that a peer keeps.
struct Workspace {
    home: TempDir,
    heads_only: bool,
}

impl Workspace {
    fn new() -> Workspace {
        let workspace = Workspace { home: quick_tempdir(), heads_only: false };
        drop(Mirror::create_or_open(&workspace.db(), &workspace.key()).unwrap());
        workspace
    }

    fn key(&self) -> LogKey {
        LogKey::parse(&key().vkey()).unwrap()
    }

    fn db(&self) -> PathBuf {
        self.home.path().join("mirror.db")
    }

    fn mirror(&self) -> Mirror {
        Mirror::open(&self.db(), &self.key()).unwrap()
    }

    /// The peer with a file of this text.
    fn peer(&self, text: impl AsRef<[u8]>) -> Peer {
        let path = self.home.path().join("theirs");
        std::fs::write(&path, text).unwrap();
        self.at(&PeerLocation::File(path))
    }

    fn at(&self, place: &PeerLocation) -> Peer {
        let second = Duration::from_secs(1);
        let options = HttpOptions {
            env_proxy: false,
            resource_timeout: second * 2,
            attempt_timeout: second,
            backoff_base: Duration::from_millis(10),
            ..HttpOptions::default()
        };
        Peer::new("them", place, ORIGIN, &options).map_err(|error| error.to_string()).unwrap()
    }

    fn audit_of(&self, source: &dyn LogSource, peers: &[Peer], now: u64, full: bool) -> Summary {
        let policy = policy(&key().vkey());
        let mut mirror = self.mirror();
        let options = Options {
            full,
            heads_only: self.heads_only,
            workers: 1,
            evidence_dir: self.home.path().to_owned(),
            max_entries: 1_000_000,
            max_findings: 10_000,
            now: UnixMillis::new(now),
            stop: Stop::default(),
        };
        let summary =
            Run::new(Some(source), &mut mirror, &policy, &options, &Silent).with_peers(peers).audit();
        assert_eq!(summary.faults, Vec::<String>::new());
        summary
    }

    fn audit(&self, log: &Files, peers: &[Peer], now: u64) -> Summary {
        self.audit_of(&MemoryLog { files: log, instead: None }.source(), peers, now, false)
    }

    /// Codes of the findings that stand.
    fn codes(&self) -> Vec<&'static str> {
        let found = self.mirror().findings().standing().unwrap();
        found.iter().map(|stored| stored.finding.code.as_str()).collect()
    }

    /// Every kept head as size and how it came.
    fn heads(&self) -> Vec<(u64, String)> {
        let heads = self.mirror().heads().all(&self.key()).unwrap();
        heads.into_iter().map(|stored| (stored.head.size(), stored.provenance)).collect()
    }

    /// Misbehaviour files, each verified with the log's key alone.
    fn proofs(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.home.path()).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.to_string_lossy().contains("misbehaviour-"));
        let mut kinds: Vec<String> = files
            .map(|path| {
                let proof = evidence::verify(&std::fs::read(path).unwrap(), &self.key()).unwrap();
                proof.kind().as_str().to_owned()
            })
            .collect();
        kinds.sort();
        kinds
    }
}

#[track_caller]
fn only(summary: &Summary) -> &PeerResult {
    let [peer] = summary.peers.as_slice() else { panic!("{summary:?}") };
    peer
}

/// Asserts that nothing was found, and everything compared.
#[track_caller]
fn assert_clean(workspace: &Workspace, summary: &Summary) {
    assert_eq!(workspace.codes(), Vec::<&str>::new());
    assert_eq!(summary.incomplete, Vec::<String>::new());
    assert_eq!(only(summary).error, None);
    assert_eq!((summary.tally.get(Check::Peers).passed, summary.tally.get(Check::Peers).not_checked), (1, 0));
}

#[test]
fn heads_of_one_history_are_kept_and_agree() {
    let workspace = Workspace::new();
    let log = honest_log(&key(), &rejected_leaves(700));
    let theirs = [line(&checkpoint(300, 300), NOW), line(&sth(256, 256, HEAD_TIME - 1), NOW)].concat();
    let summary = workspace.audit(&log, &[workspace.peer(theirs)], NOW);
    assert_clean(&workspace, &summary);
    assert_eq!((only(&summary).heads_new, only(&summary).reached), (2, true));
    let expected = [(256, "peer"), (300, "peer"), (700, "served"), (700, "served")];
    assert_eq!(workspace.heads(), expected.map(|(size, how)| (size, how.to_owned())));
    // What is kept once is no news, and what the log serves itself is its own from then on.
    let theirs = [checkpoint(700, 700), checkpoint(300, 300)].map(|head| line(&head, NOW)).concat();
    assert_eq!(only(&workspace.audit(&log, &[workspace.peer(theirs)], NOW + 1)).heads_new, 0);
    assert_eq!(workspace.heads(), expected.map(|(size, how)| (size, how.to_owned())));
}

#[test]
fn a_fork_is_proved_at_any_sizes() {
    for (theirs, kind) in [
        (checkpoint(300, 100), "same-size-fork"),
        (sth(300, 299, HEAD_TIME), "same-size-fork"),
        (checkpoint(200, 100), "inconsistent-heads"),
        (sth(299, 0, HEAD_TIME - 1), "inconsistent-heads"),
        (sth(256, 256, HEAD_TIME + 60_001), "sth-time-contradiction"),
    ] {
        for first in [true, false] {
            let workspace = Workspace::new();
            let log = honest_log(&key(), &rejected_leaves(300));
            if !first {
                assert!(workspace.audit(&log, &[], NOW - MINUTE).incomplete.is_empty());
            }
            let summary = workspace.audit(&log, &[workspace.peer(&theirs)], NOW);
            assert_eq!(only(&summary).error, None, "{kind}: a peer that shows a fork is no bad peer");
            assert!(workspace.codes().contains(&kind), "{kind}, {first}: {:?}", workspace.codes());
            assert!(
                workspace.proofs().contains(&kind.to_owned()),
                "{kind}, {first}: {:?}",
                workspace.proofs()
            );
            let before = workspace.proofs();
            workspace.audit(&log, &[workspace.peer(&theirs)], NOW + MINUTE);
            assert_eq!(workspace.proofs(), before, "found once");
        }
    }
}

#[test]
fn a_larger_branch_is_proved_once_ours_has_grown() {
    let workspace = Workspace::new();
    let theirs = workspace.peer(line(&checkpoint(400, 250), NOW));
    let summary = workspace.audit(&honest_log(&key(), &rejected_leaves(300)), &[theirs], NOW);
    assert_eq!((workspace.codes(), summary.notes.len()), (Vec::<&str>::new(), 1), "{summary:?}");
    assert!(summary.notes[0].contains("compared at a later audit"), "{summary:?}");
    let theirs = workspace.peer(line(&checkpoint(400, 250), NOW));
    workspace.audit(&honest_log(&key(), &rejected_leaves(500)), &[theirs], NOW + MINUTE);
    assert_eq!((workspace.codes(), workspace.proofs().len()), (vec!["inconsistent-heads"], 1));
}

#[test]
fn heads_only_compares_peers() {
    for (theirs, kind) in [
        (checkpoint(200, 200), None),
        (checkpoint(300, 100), Some("same-size-fork")),
        (checkpoint(200, 100), Some("inconsistent-heads")),
    ] {
        let workspace = Workspace { heads_only: true, ..Workspace::new() };
        let log = honest_log(&key(), &rejected_leaves(300));
        for now in [NOW, NOW + MINUTE] {
            let summary = workspace.audit(&log, &[workspace.peer(&theirs)], now);
            assert_eq!(only(&summary).error, None);
            assert!(
                kind.map_or(workspace.codes().is_empty(), |kind| workspace.codes() == [kind]),
                "{:?}",
                workspace.codes()
            );
        }
        assert_eq!(workspace.proofs(), kind.into_iter().collect::<Vec<&str>>());
    }
}

/// A log that forked signs contradictions for as long as it grows. Twenty proofs are enough.
#[test]
fn a_continuing_fork_does_not_fill_the_disk() {
    let workspace = Workspace::new();
    let log = honest_log(&key(), &rejected_leaves(300));
    let theirs: Vec<String> = (100..150).map(|size| line(&checkpoint(size, 50), NOW)).collect();
    workspace.audit(&log, &[workspace.peer(theirs.concat())], NOW);
    assert_eq!(workspace.codes(), ["inconsistent-heads"; 20]);
    let more: Vec<String> = (150..170).map(|size| line(&checkpoint(size, 50), NOW)).collect();
    let summary = workspace.audit(&log, &[workspace.peer(theirs.concat() + &more.concat())], NOW + MINUTE);
    assert!(summary.notes.iter().any(|note| note.contains("20 proofs stand")), "{summary:?}");
    assert_eq!((workspace.codes().len(), workspace.proofs().len()), (20, 20));
    let source = MemoryLog { files: &log, instead: None }.source();
    workspace.audit_of(&source, &[], NOW + 2 * MINUTE, true);
    assert_eq!(
        (workspace.codes().len(), workspace.proofs().len()),
        (20, 20),
        "also where all is compared again"
    );
}

#[test]
fn a_peer_ahead_of_a_cache_is_undecided_for_an_hour() {
    let workspace = Workspace::new();
    let small = honest_log(&key(), &rejected_leaves(300));
    let theirs = || [workspace.peer(line(&checkpoint(600, 600), NOW))];
    for minutes in [0, 5, 59] {
        let summary = workspace.audit(&small, &theirs(), NOW + minutes * MINUTE);
        assert_clean(&workspace, &summary);
        assert_eq!(summary.notes.len(), 1, "what waits is said: {summary:?}");
    }
    let summary = workspace.audit(&small, &theirs(), NOW + 60 * MINUTE);
    assert_eq!((workspace.codes(), summary.follows.len()), (vec!["head-rollback"], 1), "{summary:?}");
    // And over once the log shows us what it shows others.
    let summary = workspace.audit(&honest_log(&key(), &rejected_leaves(700)), &theirs(), NOW + 65 * MINUTE);
    assert_clean(&workspace, &summary);
}

/// A log that shows others ever more, and us the past: there is always a head of theirs that is new here.
#[test]
fn a_frozen_view_is_found() {
    let workspace = Workspace::new();
    let frozen = honest_log(&key(), &rejected_leaves(300));
    let mut seen = Vec::new();
    for step in 0..8_u64 {
        let size = 301 + usize::try_from(step).unwrap();
        let summary = workspace.audit(
            &frozen,
            &[workspace.peer(line(&checkpoint(size, size), NOW + step))],
            NOW + step * 10 * MINUTE,
        );
        seen.push(workspace.codes().len());
        assert_eq!(only(&summary).error, None);
    }
    assert_eq!(seen, [0, 0, 0, 0, 0, 0, 1, 1], "from an hour after the first on");
    assert_eq!(workspace.codes(), ["head-rollback"]);
}

#[test]
fn malformed_heads_are_a_fault_of_the_peer() {
    let log = honest_log(&key(), &rejected_leaves(300));
    let stranger = TestKey::new(2);
    let good = line(&checkpoint(256, 256), NOW);
    let mut tampered = checkpoint(200, 200);
    let at = tampered.len() - 10;
    tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
    for (text, part) in [
        (Vec::new(), "no heads in it"),
        (b" \n\n ".to_vec(), "no heads in it"),
        (b"\xff\xfe".to_vec(), "not UTF-8"),
        (b"<html>a page</html>".to_vec(), "1 of 1 heads"),
        (b"{}\n[]\n{\"head\":1}\n".to_vec(), "3 of 3 heads"),
        (b"{".repeat(100_000), "1 of 1 heads"),
        (b"[".repeat(100_000), "1 of 1 heads"),
        (stranger.checkpoint(300, root_of(&history(300, 7))), "1 of 1 heads"),
        (tampered.clone(), "1 of 1 heads"),
        ([good.as_bytes(), line(&tampered, NOW).as_bytes()].concat(), "1 of 2 heads"),
        ([good.as_bytes(), b"{\"\x1b[2J\xe2\x80\xae\":1}\n"].concat(), "1 of 2 heads"),
    ] {
        let workspace = Workspace::new();
        for now in [NOW, NOW + MINUTE] {
            let summary = workspace.audit(&log, &[workspace.peer(&text)], now);
            assert_eq!(workspace.codes(), Vec::<&str>::new(), "{part}: the log is not accused");
            assert_eq!(summary.incomplete, Vec::<String>::new(), "{part}: nor is it what is unreachable");
            let peer = only(&summary);
            assert!(peer.reached && peer.error.as_ref().is_some_and(|why| why.contains(part)), "{peer:?}");
            support::text::assert_fit_for_a_terminal(peer.error.as_ref().unwrap());
            assert!(peer.error.as_ref().unwrap().len() < 1000, "{peer:?}");
            assert_eq!(summary.tally.get(Check::Peers).not_checked, 1);
            assert!(summary.target_verified, "{part}: the audit went on");
        }
        // What the log did sign is kept all the same, and nothing was passed over.
        let kept = workspace.heads().iter().filter(|(_, how)| how == "peer").count();
        assert_eq!(kept, usize::from(part == "1 of 2 heads"), "{part}");
        let known = workspace.mirror().peers().progress(workspace.peer(&text).id()).unwrap();
        assert_eq!(known, Some(PeerProgress { failures: 2, ..PeerProgress::default() }), "{part}");
    }
}

#[test]
fn heads_of_another_log_are_refused() {
    let workspace = Workspace::new();
    let other = "log.test.example/2\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let note = format!("{other}\n{}", key().signature_line(other));
    let summary = workspace.audit(&honest_log(&key(), &rejected_leaves(3)), &[workspace.peer(note)], NOW);
    let why = only(&summary).error.clone().unwrap();
    assert!(why.contains("log.test.example/2"), "{why}");
    assert_eq!(workspace.codes(), Vec::<&str>::new());
}

#[test]
fn a_malformed_history_is_not_read_further() {
    let workspace = Workspace::new();
    let log = honest_log(&key(), &rejected_leaves(3));
    for (lines, rest) in [(999, false), (100_000, true)] {
        let summary = workspace.audit(&log, &[workspace.peer("{\"a\":1}\n".repeat(lines))], NOW);
        let why = only(&summary).error.clone().unwrap();
        assert!(why.contains(&format!("of {} heads are none of this log's", lines.min(1000))), "{why}");
        assert_eq!(why.contains("the rest of the answer was not looked at"), rest, "{why}");
    }
    assert_eq!(workspace.codes(), Vec::<&str>::new());
}

#[test]
fn other_text_of_a_peer_is_not_stored() {
    let workspace = Workspace::new();
    let witness = TestWitness::ed25519("witness.example", 7);
    let bare = checkpoint(300, 300);
    let mut padded = bare.clone();
    for time in 0..90 {
        padded = witness.cosign(&padded, 1_700_000_000 + time);
    }
    workspace.audit(&honest_log(&key(), &rejected_leaves(700)), &[workspace.peer(padded)], NOW);
    let heads = workspace.mirror().heads().all(&workspace.key()).unwrap();
    assert_eq!(heads[0].head.raw().as_bytes(), bare);
}

#[test]
fn a_fork_is_found_while_the_log_is_unreachable() {
    let workspace = Workspace::new();
    let log = honest_log(&key(), &rejected_leaves(300));
    workspace.audit(&log, &[], NOW);
    for (theirs, code) in [(checkpoint(200, 7), "inconsistent-heads"), (checkpoint(300, 7), "same-size-fork")]
    {
        let summary = workspace.audit_of(&Tiled::new(Gone), &[workspace.peer(theirs)], NOW + MINUTE, false);
        assert!(summary.unreachable && only(&summary).error.is_none(), "{summary:?}");
        assert!(workspace.codes().contains(&code), "{:?}", workspace.codes());
    }
    assert_eq!(workspace.proofs(), ["inconsistent-heads", "same-size-fork"]);
}

#[test]
fn a_missing_or_special_file_is_a_fault_of_the_peer() {
    let workspace = Workspace::new();
    let log = honest_log(&key(), &rejected_leaves(3));
    for (path, reached) in [("nothing", true), ("", true)] {
        let place = PeerLocation::File(workspace.home.path().join(path));
        let summary = workspace.audit(&log, &[workspace.at(&place)], NOW);
        assert!(only(&summary).error.is_some() && only(&summary).reached == reached, "{summary:?}");
        assert_eq!((workspace.codes(), summary.incomplete.len()), (Vec::<&str>::new(), 0));
    }
}

/// Serves a history as a monitor does: those first seen at `since` or later.
fn keeper(heads: Vec<(Vec<u8>, u64)>) -> TestServer {
    TestServer::start(move |request| {
        let since = request.path.split_once("since=").map(|(_, since)| since.to_owned()).unwrap_or_default();
        let asked = heads.iter().filter(|(_, seen)| time(*seen) >= since);
        Reply::ok(asked.map(|(head, seen)| line(head, *seen)).collect::<String>())
    })
}

fn at_heads(server: &TestServer) -> PeerLocation {
    PeerLocation::Heads(format!("{}heads?log=main", server.url()))
}

#[test]
fn new_heads_are_requested_and_sometimes_all() {
    let workspace = Workspace::new();
    let log = honest_log(&key(), &rejected_leaves(700));
    let first = NOW - 50 * MINUTE;
    let last = NOW - 20 * MINUTE;
    // A clock that was a year ahead for a moment must not make us blind for a year.
    let ahead = NOW + 365 * 24 * 60 * MINUTE;
    let server = keeper(vec![
        (checkpoint(200, 200), first),
        (checkpoint(300, 300), last),
        (checkpoint(400, 400), ahead),
    ]);
    let place = at_heads(&server);
    let audit = |now: u64, full: bool| {
        let peers = [workspace.at(&place)];
        let source = MemoryLog { files: &log, instead: None }.source();
        let summary = workspace.audit_of(&source, &peers, now, full);
        assert_clean(&workspace, &summary);
    };
    let whole = "/heads?log=main".to_owned();
    let part = format!("/heads?log=main&since={}", time(last - 10 * MINUTE));
    audit(NOW, false);
    audit(NOW + 5 * MINUTE, false);
    audit(NOW + 10 * MINUTE, true);
    audit(NOW + 15 * MINUTE, false);
    audit(NOW + 25 * 60 * MINUTE, false);
    // What is new first, also where all is read again.
    let twice = [part.clone(), whole.clone()];
    assert_eq!(server.paths(), [&[whole.clone(), part.clone()], &twice[..], &[part], &twice].concat());
    assert_eq!(workspace.heads().iter().filter(|(_, how)| how == "peer").count(), 3);
    // A damaged note of how far it was read passes nothing over.
    let db = rusqlite::Connection::open(workspace.db()).unwrap();
    assert_eq!(db.execute("UPDATE peers SET since = since + 1", []).unwrap(), 1);
    drop(db);
    audit(NOW + 26 * 60 * MINUTE, false);
    assert_eq!(server.paths().last(), Some(&whole));
}

#[test]
fn a_restarted_history_is_read_in_full() {
    let workspace = Workspace::new();
    let log = honest_log(&key(), &rejected_leaves(700));
    let server = keeper(vec![(checkpoint(300, 300), NOW - 60 * MINUTE)]);
    let place = at_heads(&server);
    // As if it had listed a later one before.
    let progress = read_to(NOW - 5 * MINUTE, NOW - 30 * MINUTE);
    workspace
        .mirror()
        .transact(|mirror, _| mirror.peers_mut().put(workspace.at(&place).id(), &progress))
        .unwrap();
    assert_clean(&workspace, &workspace.audit(&log, &[workspace.at(&place)], NOW));
    assert_eq!((server.paths().len(), server.paths()[1].as_str()), (2, "/heads?log=main"));
    let known = workspace.mirror().peers().progress(workspace.at(&place).id()).unwrap().unwrap();
    assert_eq!(known, read_to(NOW - 60 * MINUTE, NOW));
}

#[test]
fn an_overlong_history_is_read_in_part_and_reported() {
    let workspace = Workspace::new();
    let log = honest_log(&key(), &rejected_leaves(700));
    let server = TestServer::start(|request| match request.path.contains("since=") {
        true => Reply::ok(line(&checkpoint(300, 300), NOW)),
        false => Reply::status("200 OK", "", b"\n".repeat(33 * 1024 * 1024)),
    });
    let summary = workspace.audit(&log, &[workspace.at(&at_heads(&server))], NOW);
    assert_clean(&workspace, &summary);
    let is_partial =
        |summary: &Summary| summary.notes.iter().any(|note| note.contains("not all of the history"));
    assert!(is_partial(&summary), "{summary:?}");
    // A day later, new heads count, and the report says that they are not all.
    for (hours, asked, not_all) in [(1, 1, false), (24, 2, true), (25, 1, false)] {
        let before = server.paths().len();
        let summary = workspace.audit(&log, &[workspace.at(&at_heads(&server))], NOW + hours * 60 * MINUTE);
        assert_clean(&workspace, &summary);
        assert_eq!(
            (server.paths().len() - before, is_partial(&summary)),
            (asked, not_all),
            "{hours}: {summary:?}"
        );
    }
}

#[test]
fn many_new_heads_are_taken_in_batches() {
    let workspace = Workspace::new();
    let log = honest_log(&key(), &rejected_leaves(3));
    let (root, key) = (root_of(&history(3, 3)), key());
    let lines: String =
        (0..10_500).map(|n| line(&key.sth(3, root, HEAD_TIME - n), NOW)).collect::<Vec<_>>().concat();
    let summary = workspace.audit(&log, &[workspace.peer(&lines)], NOW);
    assert_eq!((only(&summary).heads_new, only(&summary).error.is_some()), (10_000, true));
    let summary = workspace.audit(&log, &[workspace.peer(&lines)], NOW + 1);
    assert_eq!((only(&summary).heads_new, only(&summary).error.clone()), (500, None));
    assert_eq!(workspace.codes(), Vec::<&str>::new());
}

#[test]
fn an_unreachable_or_wrong_peer_blocks_nothing() {
    let log = honest_log(&key(), &rejected_leaves(3));
    let html = ("200 OK", "Content-Type: text/html\r\n");
    let servers = [
        TestServer::start(|_| Reply::ok("x").after(2 * support::HANG)),
        TestServer::start(|_| Reply::raw("HTTP/1.1 200 OK\r\n\r\n").endless("x".repeat(1000))),
        TestServer::start(|_| {
            Reply::raw("HTTP/1.1 200 OK\r\n\r\n").drip(b'{', Duration::from_millis(100), 10_000)
        }),
        TestServer::start(|_| Reply::status("302 Found", "Location: http://other.example/\r\n", "")),
        TestServer::start(move |_| Reply::status(html.0, html.1, "<html>log in</html>")),
        TestServer::start(|_| Reply::status("404 Not Found", "", "nothing")),
        TestServer::start(|_| Reply::status("503 Busy", "Retry-After: 100\r\n", "")),
        TestServer::start(|_| Reply::status("400 Bad Request", "", "")),
    ];
    let workspace = Workspace::new();
    let mut places: Vec<PeerLocation> = servers.iter().map(at_heads).collect();
    places.push(PeerLocation::Heads("http://127.0.0.1:1/heads".to_owned()));
    let peers: Vec<Peer> = places.iter().map(|place| workspace.at(place)).collect();
    let begun = Instant::now();
    let summary = workspace.audit(&log, &peers, NOW);
    assert!(begun.elapsed() < support::HANG, "{:?}", begun.elapsed());
    assert_eq!(summary.peers.len(), 9);
    for (place, peer) in places.iter().zip(&summary.peers) {
        assert!(peer.error.is_some(), "{place:?}: {peer:?}");
    }
    let reached: Vec<bool> = summary.peers.iter().map(|peer| peer.reached).collect();
    assert_eq!(reached, [false, true, false, true, true, true, false, true, false], "{:#?}", summary.peers);
    assert_eq!((workspace.codes(), summary.incomplete.len()), (Vec::<&str>::new(), 0), "{summary:?}");
    assert!(summary.target_verified && summary.tally.get(Check::Peers).not_checked == 9);
}

#[test]
fn a_witness_is_asked_for_this_log() {
    let workspace = Workspace::new();
    let hash = countersign::core::hash::sha256(ORIGIN.as_bytes());
    let path = format!("/w/{hash}/checkpoint");
    let witness = TestWitness::ed25519("witness.example", 7);
    let asked = path.clone();
    let server = TestServer::start(move |request| match request.path == asked {
        true => Reply::ok(witness.cosign(&checkpoint(300, 100), 1_700_000_000)),
        false => Reply::status("404 Not Found", "", ""),
    });
    let peer = workspace.at(&PeerLocation::Witness(format!("{}w/", server.url())));
    let summary = workspace.audit(&honest_log(&key(), &rejected_leaves(300)), &[peer], NOW);
    assert_eq!((only(&summary).error.clone(), server.paths()), (None, vec![path]));
    assert_eq!(
        (workspace.codes(), workspace.proofs().len()),
        (vec!["same-size-fork"; workspace.codes().len()], workspace.codes().len())
    );
    assert!(!workspace.proofs().is_empty());
}

/// Heads of the mirror as they are read beside it.
#[test]
fn a_history_since_a_time_is_exact() {
    let workspace = Workspace::new();
    for (size, now) in [(100, NOW), (200, NOW + 1), (300, NOW + 2)] {
        workspace.audit(&honest_log(&key(), &rejected_leaves(size)), &[], now);
    }
    let sizes = |since: &str| -> Option<Vec<u64>> {
        let reader = HeadReader::open(&workspace.db(), &workspace.key()).unwrap();
        let mut reader = reader.since(since).unwrap()?;
        Some(reader.next(100).unwrap().iter().map(|stored| stored.head.size()).collect())
    };
    assert_eq!(sizes(&time(NOW)), Some(vec![100, 100, 200, 200, 300, 300]));
    assert_eq!(sizes(&time(NOW + 1)), Some(vec![200, 200, 300, 300]));
    assert_eq!(sizes(&time(NOW + 2)), Some(vec![300, 300]));
    assert_eq!(sizes(&time(NOW + 3)), Some(Vec::new()));
    // Another way to write the same moment.
    assert_eq!(sizes("2030-03-17T17:46:40Z"), Some(vec![100, 100, 200, 200, 300, 300]));
    for none in ["", "now", "2030-13-17T17:46:40Z", "1900000000", "1960-01-01T00:00:00Z", "' OR 1=1 --"] {
        assert_eq!(sizes(none), None, "{none}");
    }
}
