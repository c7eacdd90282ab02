//! Whether a served tree continues what was signed and mirrored before.

use super::confirm::Rehashed;
use super::context::Context;
use super::contradiction::evidence_nodes;
use super::fault::Fault;
use super::served_tree::{ServedTree, TreeError};
use super::statements::Statements;
use super::{confirm, contradiction, findings, kept};
use crate::audit::subject::{SignedTree, Subject};
use crate::core::finding::Code;
use crate::core::head::Head;
use crate::mirror::{HeadStatus, Mirror};

/// How a served tree compares with what was signed and mirrored before.
pub(super) enum Continuation {
    /// It continues all of it.
    Consistent,
    /// It does not. That is reported.
    Contradicted,
    /// Could not tell. The cause is said.
    Unreachable,
    /// The served tiles do not vouch for all that was asked of them.
    TreeLost(TreeError),
}

impl Continuation {
    fn of(error: TreeError, statements: &mut Statements) -> Continuation {
        match error {
            TreeError::Fetch(cause) => {
                statements.incomplete(cause);
                Continuation::Unreachable
            }
            error => Continuation::TreeLost(error),
        }
    }
}

/// Compares the served tree of `head` with smaller heads and with the mirrored entries. The tree vouches for itself up
/// to the signed root, so where it differs, its own nodes are the proof.
///
/// # Errors
/// The mirror cannot be read, written or repaired; the evidence cannot be written; or the run is stopped while the
/// mirror is hashed again.
pub(super) fn check(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    rehashed: &mut Rehashed,
    tree: &mut ServedTree<'_>,
    head: &Head,
) -> Result<Continuation, Fault> {
    let mut kept: Vec<Head> =
        mirror.heads().unchecked(cx.key())?.into_iter().map(|stored| stored.head).collect();
    kept.extend(mirror.heads().largest_consistent(head.size(), cx.key())?.map(|stored| stored.head));
    let mut contradicted = false;
    for other in kept.iter().filter(|other| (1..head.size()).contains(&other.size())) {
        let root = match tree.range(0..other.size()) {
            Ok(root) => root,
            Err(error) => return Ok(Continuation::of(error, statements)),
        };
        if root == other.root() {
            continue;
        }
        let nodes = match evidence_nodes(other.size(), head.size(), |range| tree.range(range)) {
            Ok(nodes) => nodes,
            Err(error) => return Ok(Continuation::TreeLost(error)),
        };
        contradiction::report_inconsistent(cx, mirror, statements, other, head, &nodes)?;
        contradicted = true;
    }
    let verified = mirror.state().verified;
    let ours = mirror.state().frontier().map(|frontier| frontier.root());
    match tree.range(0..verified) {
        Ok(root) if verified == 0 || Some(root) == ours => return Ok(Continuation::Consistent),
        Ok(_) => {}
        Err(error) => return Ok(Continuation::of(error, statements)),
    }
    if !contradicted {
        confirm::all(cx, mirror, statements, rehashed)?;
        let message = format!(
            "the head of size {} does not continue the {verified} entries mirrored so far, which an earlier \
             head commits to",
            head.size()
        );
        let subject = Subject::Tree(SignedTree::of(head));
        findings::record_of_log(cx, mirror, Code::RootMismatch, subject, message)?;
    }
    kept::mark(mirror, head, HeadStatus::Contradicted)?;
    Ok(Continuation::Contradicted)
}
