//! What others were shown: the heads of peers, kept before the log's own are asked for.
//!
//! A peer proves nothing by its word. A head of it counts if the log's pinned key signed it, and is then held
//! against every other, as if the log had shown it to us: so a log that shows two people two histories is found by
//! the first of them who asks the other, with the log's own two signatures as the proof. Whatever else a peer
//! sends, or does not send, is the peer's fault and said as such; nothing is held against the log for it. And no
//! peer can hide what a log shows *us*: it can only add.
//!
//! What is not shown: heads that a peer leaves out. Whether the heads of a peer are dated in the future is not checked
//! here: the peer that was shown them checks it.

use super::context::Context;
use super::fault::Fault;
use super::kept;
use super::statements::Statements;
use crate::audit::peer::PeerResult;
use crate::core::check::Check;
use crate::core::head::Head;
use crate::core::time::UnixMillis;
use crate::core::{limits, text};
use crate::mirror::{Mirror, PeerProgress, Provenance, read_heads};
use crate::source::{FetchError, Peer};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

// Counts saturate: `MAX_NEW` and `MAX_REFUSED` end the reading long before. A time before 1970 counts as 1970, which
// asks for more.

/// Peers that are asked at once: each answer is held in memory.
const AT_ONCE: usize = 4;

/// Heads that are new and are taken of one peer in one audit; the next audit goes on.
const MAX_NEW: u64 = 10_000;

/// Heads that are verified before they are kept.
const KEPT_AT_ONCE: usize = 1000;

/// Heads of one answer that are not the log's, until the rest of it is not looked at: each costs us a verification,
/// and the peer nothing.
const MAX_REFUSED: u64 = 1000;

/// How far back of what was read last is asked again: a clock that was set back a little must not
/// hide a head.
const OVERLAP: Duration = Duration::from_secs(10 * 60);

/// How often all of a history is read again: its keeper's clock may have gone back further.
const WHOLE: Duration = Duration::from_secs(24 * 60 * 60);

/// What is asked for of a history that is too long to be read whole: a month.
const PART: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a peer answered.
struct Answer {
    bytes: Vec<u8>,
    /// All of its history was asked for.
    whole: bool,
    /// All of it was asked for and could not be had: this is what the peer first saw since then.
    part: Option<UnixMillis>,
}

/// What to ask a peer for.
#[derive(Clone, Copy)]
struct Question {
    /// What is new since then, if anything was read before.
    since: Option<UnixMillis>,
    /// All of its history.
    whole: bool,
    /// What is asked for in place of all where that is too much and nothing was read before.
    part: UnixMillis,
}

/// What was taken of an answer.
#[derive(Default)]
struct Taken {
    read: u64,
    new: u64,
    refused: u64,
    first_refusal: Option<String>,
    /// There are more new ones than are taken at once.
    more: bool,
    /// The rest was not looked at.
    given_up: bool,
    /// The latest time at which the peer says that it first saw one.
    latest: Option<UnixMillis>,
}

/// Asks every peer and keeps what the log signed. Returns what came of each peer; nothing if the run is stopped.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn collect(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
) -> Result<Vec<PeerResult>, Fault> {
    if cx.peers().is_empty() {
        return Ok(Vec::new());
    }
    let mut results = Vec::new();
    for peers in cx.peers().chunks(AT_ONCE) {
        let known =
            peers.iter().map(|peer| mirror.peers().progress(peer.id())).collect::<Result<Vec<_>, _>>()?;
        let answers = ask_all(cx, peers, &known);
        if cx.is_stopped() {
            // Nobody's fault: as if no peer had been asked.
            statements.count(Check::Peers, 0, 0, cx.peers().len() as u64);
            return Ok(Vec::new());
        }
        for ((peer, known), answer) in peers.iter().zip(known).zip(answers) {
            results.push(take_answer(cx, mirror, statements, peer, known, answer)?);
        }
    }
    for result in &results {
        match result.error {
            None => statements.record(Check::Peers, true),
            Some(_) => statements.count(Check::Peers, 0, 0, 1),
        }
    }
    Ok(results)
}

/// Asks these peers at once.
fn ask_all(
    cx: &Context<'_>,
    peers: &[Peer],
    known: &[Option<PeerProgress>],
) -> Vec<Result<Answer, FetchError>> {
    std::thread::scope(|scope| {
        let start = |(peer, known): (_, &Option<PeerProgress>)| {
            let question = question(cx, known.as_ref());
            (std::thread::Builder::new().spawn_scoped(scope, move || ask(peer, question)), peer, question)
        };
        let asked: Vec<_> = peers.iter().zip(known).map(start).collect();
        let not_asked =
            |peer: &Peer| Err(FetchError::unavailable(&peer.location(), "it was not asked: a bug"));
        let answer = |(thread, peer, question): (std::io::Result<ScopedJoinHandle<'_, _>>, &Peer, _)| {
            match thread {
                Ok(thread) => thread.join().unwrap_or_else(|_| not_asked(peer)),
                // Without a thread it takes longer, and comes to the same.
                Err(_) => ask(peer, question),
            }
        };
        asked.into_iter().map(answer).collect()
    })
}

/// What to ask a peer for, by what is known of it.
fn question(cx: &Context<'_>, known: Option<&PeerProgress>) -> Question {
    let now = cx.now();
    let lately = |whole: UnixMillis| now.since(whole).is_some_and(|passed| passed < WHOLE);
    Question {
        since: known.and_then(|known| known.since).map(|since| since.saturating_sub(OVERLAP)),
        whole: cx.options().full || !known.is_some_and(|known| lately(known.whole)),
        part: now.saturating_sub(PART),
    }
}

/// Takes one answer, and keeps how far the peer was read.
fn take_answer(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    peer: &Peer,
    known: Option<PeerProgress>,
    answer: Result<Answer, FetchError>,
) -> Result<PeerResult, Fault> {
    let known = known.unwrap_or_default();
    let mut progress = known;
    let mut result = compare_with(cx, mirror, statements, peer, &mut progress, answer)?;
    progress.failures = match result.error {
        None => 0,
        // Nobody's fault.
        Some(_) if cx.is_stopped() => known.failures,
        Some(_) => known.failures.saturating_add(1),
    };
    result.failures = progress.failures;
    if progress != known {
        // After the heads: a crash in between reads them once more.
        mirror.transact(|mirror, _| mirror.peers_mut().put(peer.id(), &progress))?;
    }
    Ok(result)
}

/// Keeps what a peer answered; `progress` moves only where nothing was wrong with it.
fn compare_with(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    peer: &Peer,
    progress: &mut PeerProgress,
    answer: Result<Answer, FetchError>,
) -> Result<PeerResult, Fault> {
    let mut result =
        PeerResult { name: peer.name().to_owned(), reached: true, heads_new: 0, error: None, failures: 0 };
    let Answer { bytes, whole, part } = match answer {
        Ok(answer) => answer,
        Err(error) => {
            result.reached = !matches!(error, FetchError::Unavailable { .. });
            result.error = Some(error.describe_for_heads());
            return Ok(result);
        }
    };
    let taken = match take_heads(cx, mirror, statements, &bytes)? {
        Ok(taken) => taken,
        Err(why) => {
            result.error = Some(format!("{}: {why}", peer.location()));
            return Ok(result);
        }
    };
    result.heads_new = taken.new;
    result.error = taken.complaint().map(|why| format!("{}: {why}", peer.location()));
    if let Some(from) = part {
        let note = format!(
            "not all of the history of peer {} could be read: only what it first saw since {}",
            text::quoted(peer.name()),
            from
        );
        statements.note(note);
    }
    if result.error.is_none() && peer.has_since() {
        // Also where it is earlier than before: the history began anew.
        progress.since = if whole { taken.latest } else { taken.latest.max(progress.since) };
        if whole || part.is_some() {
            progress.whole = cx.now();
        }
    }
    Ok(result)
}

/// Verifies and keeps. What the log did not sign is the peer's fault; so is a signature that two
/// implementations judge differently, which anybody could make.
fn take_heads(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    bytes: &[u8],
) -> Result<Result<Taken, String>, Fault> {
    let heads = match read_heads(bytes) {
        Ok(heads) => heads,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let key = cx.key();
    // A later time than now is a slip of somebody's clock, and would have us ask for nothing until then.
    let latest = cx.now().saturating_add(limits::CLOCK_SKEW);
    let (mut taken, mut batch) = (Taken::default(), Vec::new());
    for (raw, seen) in heads {
        taken.read = taken.read.saturating_add(1);
        match Head::verify(raw.as_bytes(), key) {
            Ok(head) => {
                batch.push(head.without_cosignatures(key));
                taken.latest = taken.latest.max(seen.filter(|seen| *seen <= latest));
            }
            Err(why) => {
                taken.refused = taken.refused.saturating_add(1);
                taken.first_refusal.get_or_insert_with(|| text::reason(&why.to_string()));
                taken.given_up = taken.refused >= MAX_REFUSED;
            }
        }
        if taken.given_up {
            break;
        }
        if batch.len() >= KEPT_AT_ONCE {
            taken.new =
                taken.new.saturating_add(kept::keep_all(cx, mirror, statements, &batch, &Provenance::Peer)?);
            batch.clear();
            // A stop does not wait for the rest; the next audit reads it again.
            if taken.new >= MAX_NEW || cx.is_stopped() {
                taken.more = true;
                return Ok(Ok(taken));
            }
        }
    }
    taken.new = taken.new.saturating_add(kept::keep_all(cx, mirror, statements, &batch, &Provenance::Peer)?);
    Ok(Ok(taken))
}

impl Taken {
    /// What is wrong with the answer, if anything.
    fn complaint(&self) -> Option<String> {
        if let Some(why) = &self.first_refusal {
            let (refused, read) = (self.refused, self.read);
            let rest = if self.given_up { "; the rest of the answer was not looked at" } else { "" };
            return Some(format!("{refused} of {read} heads are none of this log's, the first: {why}{rest}"));
        }
        if self.more && self.new < MAX_NEW {
            return Some("not all of its heads were read, because the run was stopped".to_owned());
        }
        if self.more {
            return Some(format!("more than {MAX_NEW} heads are new; the next audit goes on"));
        }
        // An empty page compares nothing, and must not pass for ever.
        (self.read == 0).then(|| "there are no heads in it".to_owned())
    }
}

/// Asks a peer for what is new, or for everything.
fn ask(peer: &Peer, question: Question) -> Result<Answer, FetchError> {
    let Question { since, whole, part } = question;
    let all = || peer.fetch(None).map(|bytes| Answer { bytes, whole: true, part: None });
    if !peer.has_since() {
        return all();
    }
    let Some(since) = since else {
        return match all() {
            Err(FetchError::TooLarge { .. }) => {
                let bytes = peer.fetch(Some(part))?;
                Ok(Answer { bytes, whole: true, part: Some(part) })
            }
            answer => answer,
        };
    };
    let bytes = peer.fetch(Some(since))?;
    if bytes.trim_ascii().is_empty() {
        // The head that this time was read from is not there any more: its keeper began anew.
        return all();
    }
    let new = Answer { bytes, whole: false, part: None };
    match whole {
        false => Ok(new),
        // What is new counts most, and a history that has grown too long must not stand in its way.
        true => Ok(all().unwrap_or(Answer { part: Some(since), ..new })),
    }
}
