//! What earlier versions said of the times of STHs, judged again.
//!
//! They took any STH that is later than one of a larger size for a contradiction. Two signers whose clocks differ sign
//! that honestly, so up to [`limits::SIGNERS_CLOCKS_MS`] it is `sth-time-disorder` (specification section 10), and what
//! was a contradiction by less ends. They also compared neighbours alone, which finds that something is out of order,
//! but not by how much: so wherever they found something, all heads are held against each other again.

use super::{Fault, Run};
use crate::audit::finding::Finding;
use crate::audit::heads::disorder;
use crate::audit::subject::{SignedTree, Subject};
use crate::core::evidence::{self, Kind};
use crate::core::finding::Code;
use crate::core::limits;
use std::fs;
use std::path::Path;

impl Run<'_> {
    /// Ends what is a contradiction no longer, and holds against each other what was compared under another bound.
    pub(super) fn judge_times(&mut self) -> Result<(), Fault> {
        let standing: Vec<Finding> = self.mirror.findings(false)?.into_iter().map(|s| s.finding).collect();
        let standing: Vec<Finding> =
            standing.into_iter().filter(|finding| finding.code == Code::SthTimeContradiction).collect();
        if self.mirror.state().sths_until.is_none() {
            self.mirror.transact(|mirror, state| match standing.as_slice() {
                [] => mirror.adopt_compared(state),
                _ => mirror.forget_compared(state),
            })?;
        }
        if standing.is_empty() {
            return Ok(());
        }
        for finding in &standing {
            self.judge_contradiction(finding)?;
        }
        // After those that ended: only so many proofs are written down.
        self.compare_kept()
    }

    fn judge_contradiction(&mut self, finding: &Finding) -> Result<(), Fault> {
        let Subject::Trees(mut trees) = finding.subject else { return Ok(()) };
        trees.sort_by_key(|tree| tree.size);
        let [SignedTree { size, root }, SignedTree { size: than, root: than_root }] = trees;
        let key = self.policy.log_key.clone();
        let widest = self.mirror.widest_apart((size, &root), (than, &than_root), &key)?;
        // Without the heads there is nothing to judge: what was found stands.
        let Some((smaller, larger)) = widest.map(|(smaller, larger)| (smaller.head, larger.head)) else {
            return Ok(());
        };
        match disorder(&smaller, &larger) {
            // One of its heads is no longer kept, as in a mirror that was made again: what was proved stands.
            0 => Ok(()),
            by if by <= limits::SIGNERS_CLOCKS_MS => {
                self.report_disorder(&smaller, &larger)?;
                self.end_finding(finding)
            }
            _ if self.is_disproved(finding) => {
                self.report_contradiction(Kind::SthTimeContradiction, &smaller, &larger, None)
            }
            _ => Ok(()),
        }
    }

    /// Whether the file of a finding is there and proves nothing: it is of two heads of these trees that are not far
    /// enough apart.
    fn is_disproved(&self, finding: &Finding) -> bool {
        let file = finding.evidence.as_deref().and_then(|path| fs::read(Path::new(path)).ok());
        file.is_some_and(|bytes| evidence::verify(&bytes, &self.policy.log_key).is_err())
    }
}
