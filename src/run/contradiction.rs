//! Two signed heads that contradict each other, turned into a misbehaviour file.
//!
//! A violation is reported only after the misbehaviour file that proves it has been written and
//! verified as a stranger would verify it. The file rests on two signatures and on hashes that must
//! rebuild the larger signed root, so neither a damaged mirror nor a lying server can make one.

use super::context::Context;
use super::fault::Fault;
use super::findings;
use super::statements::Statements;
use crate::audit::finding::Finding;
use crate::audit::subject::Subject;
use crate::core::evidence::{self, EvidenceError, EvidenceKind};
use crate::core::hash::{Hash, sha256};
use crate::core::head::Head;
use crate::core::limits;
use crate::core::proof::{ProveError, consistency_nodes};
use crate::mirror::{Mirror, MirrorError, read_beside, replace};
use std::fs;
use std::ops::Range;
use std::path::PathBuf;

/// Proofs of one kind that are written down. A log that forked signs contradictions for as long as it grows, and can
/// sign any number at once: the first prove all that there is to prove, and more would fill disk and mailboxes.
const MAX_PROOFS: u64 = 20;

/// Reports that `smaller` is no prefix of `larger`, which `nodes` prove; otherwise as [`report`].
///
/// # Errors
/// As [`report`].
pub(super) fn report_inconsistent(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    smaller: &Head,
    larger: &Head,
    nodes: &[Hash],
) -> Result<(), Fault> {
    report(cx, mirror, statements, EvidenceKind::InconsistentHeads, smaller, larger, Some(nodes))
}

/// Makes, verifies and saves a misbehaviour file, and records the finding. If the file does not verify, the fault is
/// ours and nothing is recorded.
///
/// # Errors
/// The mirror or the evidence directory cannot be used, the file does not verify, or two implementations disagree.
pub(super) fn report(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    kind: EvidenceKind,
    a: &Head,
    b: &Head,
    nodes: Option<&[Hash]>,
) -> Result<(), Fault> {
    if is_proved_enough(mirror, statements, kind, a, b)? {
        return Ok(());
    }
    let observer = format!("countersign {}", env!("CARGO_PKG_VERSION"));
    let source = cx.source().map_or_else(|| "heads import".to_owned(), |source| source.location());
    let context = [("observer", observer), ("observedAt", cx.now().to_string()), ("source", source)];
    let (bytes, proved) = match evidence::prove(kind, [a, b], nodes, &context, cx.key()) {
        Ok(proved) => proved,
        Err(EvidenceError::Disagreement(what)) => return Err(Fault::Disagreement(what)),
        Err(error) => {
            let path = mirror.path().to_owned();
            let why =
                format!("it seemed to contradict a signed head, but the proof does not verify: {error}");
            return Err(Fault::Mirror(MirrorError::Damaged(path, why)));
        }
    };
    let path = save(cx, mirror, kind, proved.heads(), &bytes)?;
    let (smaller, larger) = proved.heads();
    let subject = Subject::contradiction(smaller, larger);
    let mut finding = Finding::of_log(kind.code(), subject, proved.to_string());
    finding.evidence = Some(path.display().to_string());
    findings::record(cx, mirror, &finding)
}

/// Whether so many proofs of this kind stand, this one not among them, that it is not written down any more.
fn is_proved_enough(
    mirror: &Mirror,
    statements: &mut Statements,
    kind: EvidenceKind,
    a: &Head,
    b: &Head,
) -> Result<bool, Fault> {
    let code = kind.code();
    let known = Finding::of_log(code, Subject::contradiction(a, b), "");
    if mirror.findings().standing_of(code)? < MAX_PROOFS || mirror.findings().stands(&known)? {
        return Ok(false);
    }
    let note =
        format!("further contradictions of the kind {code} are not written down: {MAX_PROOFS} proofs stand");
    statements.note_once(note);
    Ok(true)
}

/// One file for one contradiction: its name comes from the two statements, and a file that is
/// there already (with an earlier observation in it) is kept, if it still proves the same.
fn save(
    cx: &Context<'_>,
    mirror: &Mirror,
    kind: EvidenceKind,
    heads: (&Head, &Head),
    bytes: &[u8],
) -> Result<PathBuf, Fault> {
    let name = sha256(Subject::contradiction(heads.0, heads.1).to_string().as_bytes()).to_string();
    let short: String = name.chars().take(16).collect();
    let path = cx.options().evidence_dir.join(format!("misbehaviour-{}-{short}.json", kind.as_str()));
    if let Ok(there) = read_beside(&path, limits::MAX_EVIDENCE)
        && evidence::verify(&there, cx.key()).is_ok_and(|proved| proved.kind() == kind)
    {
        return Ok(path);
    }
    let written =
        fs::create_dir_all(&cx.options().evidence_dir).and_then(|()| replace(&path, mirror.path(), bytes));
    written.map_err(|error| {
        let why =
            format!("a misbehaviour file could not be written to {path:?}: {error}; see --evidence-dir");
        Fault::Evidence(why)
    })?;
    Ok(path)
}

/// The nodes that a misbehaviour file needs (specification section 11).
///
/// # Errors
/// `range` fails.
pub(super) fn evidence_nodes<E>(
    smaller: u64,
    larger: u64,
    range: impl FnMut(Range<u64>) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    match consistency_nodes(smaller, larger, range) {
        Ok(nodes) => Ok(nodes),
        Err(ProveError::Source(error)) => Err(error),
        // The sizes are in order wherever this is called; without nodes the file proves nothing.
        Err(ProveError::Impossible(_)) => Ok(Vec::new()),
    }
}
