//! Every kept head against the rebuilt tree, and contradictions turned into evidence.
//!
//! A violation is reported only after the misbehaviour file that proves it has been written and
//! verified as a stranger would verify it. The file rests on two signatures and on hashes that must
//! rebuild the larger signed root, so neither a damaged mirror nor a lying server can make one.

use super::heads::code_of;
use super::served_tree::fold_range;
use super::verifier::WIDTH;
use super::{Fault, Run};
use crate::audit::finding::Finding;
use crate::core::evidence::{self, EvidenceError, Kind};
use crate::core::finding::Code;
use crate::core::hash::{Hash, empty_root, leaf_hash, sha256};
use crate::core::head::Head;
use crate::core::limits;
use crate::core::proof::{ProveError, consistency_nodes};
use crate::mirror::{HeadStatus, Mirror, MirrorError, Provenance, StoredHead, read_beside, replace};
use std::fs;
use std::ops::Range;
use std::path::PathBuf;

/// The hash of leaves `[range)`, a range of RFC 6962, from mirrored nodes and re-hashed leaves.
pub(crate) fn mirrored_range(mirror: &Mirror, range: Range<u64>) -> Result<Hash, MirrorError> {
    let damaged = |what: String| MirrorError::Damaged(mirror.path().to_owned(), what);
    let end = range.end;
    // Leaves stand at both ends of a range at most; those of a bundle are read at once.
    let mut bundle: (u64, Vec<Vec<u8>>) = (0, Vec::new());
    fold_range(range, |level, n| {
        if level == 0 {
            let place = n.checked_sub(bundle.0).and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX);
            if place >= bundle.1.len() {
                let next = n.saturating_add(WIDTH.saturating_sub(n % WIDTH)).min(end);
                bundle = (n, mirror.leaves(n, next)?);
            }
            let place = usize::try_from(n.saturating_sub(bundle.0)).unwrap_or(usize::MAX);
            let leaf = bundle.1.get(place).ok_or_else(|| damaged(format!("leaf {n} is missing")))?;
            return Ok(leaf_hash(leaf).0);
        }
        mirror.node(level, n)?.ok_or_else(|| damaged(format!("node {n} of level {level} is missing")))
    })
}

/// Proofs of one kind that are written down. A log that forked signs contradictions for as long as it grows, and can
/// sign any number at once: the first prove all that there is to prove, and more would fill disk and mailboxes.
const MAX_PROOFS: u64 = 20;

impl Run<'_> {
    /// Holds every head that is not known to be consistent against the rebuilt tree.
    pub(crate) fn check_history(&mut self) -> Result<(), Fault> {
        let larger = self.check_mirrored()?;
        let verified = self.mirror.state().verified;
        let than =
            format!("the {verified} entries that could be rebuilt, and were not compared with the tree");
        self.say_larger(&larger, &than);
        Ok(())
    }

    /// Holds the heads of up to as many entries as are mirrored against those; gives the larger ones.
    pub(super) fn check_mirrored(&mut self) -> Result<Vec<StoredHead>, Fault> {
        let verified = self.mirror.state().verified;
        let open = self.mirror.open_heads(&self.policy.log_key)?;
        let (within, larger): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|stored| stored.head.size() <= verified);
        let mut consistent = Vec::new();
        for StoredHead { head, .. } in within {
            if self.options.stop.is_stopped() {
                self.say_stopped();
                break;
            }
            if self.root_for(&head)? == head.root() {
                consistent.push(head);
            } else {
                self.report_against_tree(&head)?;
            }
        }
        if !consistent.is_empty() {
            let key = &self.policy.log_key;
            self.mirror.transact(|mirror, state| {
                consistent.iter().try_for_each(|head| mirror.bear_out(state, head, key))
            })?;
        }
        Ok(larger)
    }

    /// Says that heads could not be compared, because they are larger than what there is to compare them with.
    pub(super) fn say_larger(&mut self, larger: &[StoredHead], than: &str) {
        // What the log shows elsewhere may be ahead of the head that it serves.
        let elsewhere = [Provenance::Listed.as_str(), Provenance::Peer.as_str()];
        let is_late =
            |stored: &&StoredHead| elsewhere.contains(&stored.provenance.as_str()) && self.is_recent(stored);
        let late = larger.iter().filter(is_late).count();
        let beyond = larger.len().saturating_sub(late);
        if late > 0 {
            let note = format!(
                "{late} tree(s) that the log shows elsewhere are newer than the head that it serves: they are compared at a \
                 later audit"
            );
            self.summary.notes.push(note);
        }
        if beyond > 0 {
            self.summary.follows.push(format!("{beyond} signed head(s) are larger than {than}"));
        }
    }

    /// The mirror's root at a head's size. Where it is not the head's, the mirror is mended first and
    /// asked again: what this disk did is not held against the log.
    pub(super) fn root_for(&mut self, head: &Head) -> Result<Hash, Fault> {
        let read = |mirror: &Mirror| match head.size() {
            0 => Ok(empty_root()),
            size => mirrored_range(mirror, 0..size),
        };
        match read(self.mirror) {
            Ok(root) if root == head.root() => return Ok(root),
            Ok(_) | Err(MirrorError::Damaged(..)) => self.confirm_mirror()?,
            Err(error) => return Err(error.into()),
        }
        Ok(read(self.mirror)?)
    }

    /// A head whose root the tree does not have.
    fn report_against_tree(&mut self, head: &Head) -> Result<(), Fault> {
        let root = self.root_for(head)?;
        let key = &self.policy.log_key;
        let larger = self.mirror.largest_consistent(u64::MAX, key)?.filter(|l| l.head.size() > head.size());
        match larger {
            Some(StoredHead { head: larger, .. }) if head.size() > 0 => {
                let nodes =
                    evidence_nodes(head.size(), larger.size(), |range| mirrored_range(self.mirror, range))?;
                self.report_contradiction(Kind::InconsistentHeads, head, &larger, Some(&nodes))?;
            }
            // Two signed trees of one size were reported as what they are.
            _ if self.is_forked(head, &root)? => {}
            _ => {
                let subject = tree_subject(head);
                let message = format!(
                    "the {} of size {} has root {}, but the entries have root {root}",
                    head.format().as_str(),
                    head.size(),
                    head.root()
                );
                self.find_of_log(Code::RootMismatch, subject, message)?;
            }
        }
        self.mark_head(head, HeadStatus::Contradicted)
    }

    fn is_forked(&self, head: &Head, root: &Hash) -> Result<bool, Fault> {
        Ok(self.mirror.newest_of_tree(head.size(), root, &self.policy.log_key)?.is_some())
    }

    /// Makes, verifies and saves a misbehaviour file, and reports it. Where the file does not
    /// verify, nothing is reported: then the fault is ours.
    pub(crate) fn report_contradiction(
        &mut self,
        kind: Kind,
        a: &Head,
        b: &Head,
        nodes: Option<&[Hash]>,
    ) -> Result<(), Fault> {
        if self.is_proved_enough(kind, a, b)? {
            return Ok(());
        }
        let observer = format!("countersign {}", env!("CARGO_PKG_VERSION"));
        let source = self.source.map_or_else(|| "heads import".to_owned(), |source| source.location());
        let context =
            [("observer", observer), ("observedAt", self.options.now.1.clone()), ("source", source)];
        let bytes = evidence::make(kind, [a, b], nodes, &context);
        let proved = match evidence::verify(&bytes, &self.policy.log_key) {
            Ok(proved) => proved,
            Err(EvidenceError::Disagreement(what)) => return Err(Fault::Disagreement(what)),
            Err(error) => {
                let path = self.mirror.path().to_owned();
                let why =
                    format!("it seemed to contradict a signed head, but the proof does not hold: {error}");
                return Err(Fault::Mirror(MirrorError::Damaged(path, why)));
            }
        };
        let path = self.save_evidence(kind, proved.heads(), &bytes)?;
        let mut finding =
            Finding::of_log(code_of(kind), contradiction_subject(proved.heads()), proved.to_string());
        finding.evidence = Some(path.display().to_string());
        self.find(&finding)
    }

    /// Whether so many proofs of this kind stand, this one not among them, that it is not written down any more.
    fn is_proved_enough(&mut self, kind: Kind, a: &Head, b: &Head) -> Result<bool, Fault> {
        let code = code_of(kind);
        let known = Finding::of_log(code, contradiction_subject((a, b)), "");
        if self.mirror.standing_of(code)? < MAX_PROOFS || self.mirror.stands(&known)? {
            return Ok(false);
        }
        let note = format!(
            "further contradictions of the kind {code} are not written down: {MAX_PROOFS} proofs stand"
        );
        if !self.summary.notes.contains(&note) {
            self.summary.notes.push(note);
        }
        Ok(true)
    }

    /// One file for one contradiction: its name comes from the two statements, and a file that is
    /// there already (with an earlier observation in it) is kept, if it still proves the same.
    fn save_evidence(&self, kind: Kind, heads: (&Head, &Head), bytes: &[u8]) -> Result<PathBuf, Fault> {
        let name = sha256(contradiction_subject(heads).as_bytes()).to_string();
        let short: String = name.chars().take(16).collect();
        let path = self.options.evidence_dir.join(format!("misbehaviour-{}-{short}.json", kind.as_str()));
        if let Ok(there) = read_beside(&path, limits::MAX_EVIDENCE)
            && evidence::verify(&there, &self.policy.log_key).is_ok_and(|proved| proved.kind() == kind)
        {
            return Ok(path);
        }
        let written = fs::create_dir_all(&self.options.evidence_dir)
            .and_then(|()| replace(&path, self.mirror.path(), bytes));
        written.map_err(|error| {
            let why =
                format!("a misbehaviour file could not be written to {path:?}: {error}; see --evidence-dir");
            Fault::Evidence(why)
        })?;
        Ok(path)
    }
}

/// The nodes that a misbehaviour file needs (specification section 11).
pub(crate) fn evidence_nodes<E>(
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

/// One subject for one tree, in whichever format it was signed.
pub(crate) fn tree_subject(head: &Head) -> String {
    format!("{} {}", head.size(), head.root())
}

fn contradiction_subject((smaller, larger): (&Head, &Head)) -> String {
    // Two orders of the two heads of a fork are one contradiction.
    let mut trees = [tree_subject(smaller), tree_subject(larger)];
    trees.sort();
    trees.join(" / ")
}
