//! Heads that are *linked*: proved to be of one history without their entries.
//!
//! The largest linked head stands for all of them. Each later newest head is proved to extend that one, and so is every
//! head that is still open. So a run in which nothing changed asks for the head alone, and no head is ever forgotten.

use super::answer::MAX_WRONG;
use super::context::Context;
use super::fault::Fault;
use super::kept;
use super::statements::Statements;
use crate::core::head::Head;
use crate::mirror::{HeadStatus, Mirror, StoredHead};

// The count of failures saturates: `MAX_WRONG` ends the loop long before.

/// Links that are made durable at once.
const LINKED_AT_ONCE: usize = 1000;

/// What came of holding one head against the newest one.
pub(super) enum Link {
    /// It is the beginning of it.
    Proved,
    /// It is not, and the file that proves it is kept.
    Contradicted,
    /// What the log serves shows nothing; a finding says so.
    Unproved,
    /// Could not tell: the cause.
    Unknown(String),
}

/// Takes all links back: with the entries, an audit needs no proofs of the log.
pub(super) fn unlink(mirror: &mut Mirror) -> Result<(), Fault> {
    if mirror.heads().has_linked() {
        mirror.transact(|mirror, _| mirror.heads_mut().unlink())?;
    }
    Ok(())
}

/// A head of a tree that is known needs no proof of its own.
pub(super) fn link_known(cx: &Context<'_>, mirror: &mut Mirror) -> Result<(), Fault> {
    let mut known = Vec::new();
    for stored in mirror.heads().unchecked(cx.key())? {
        if mirror.heads().knows_tree(&stored.head, cx.key())? {
            known.push(stored.head);
        }
    }
    link(mirror, &mut known)
}

/// Links these heads and empties the list.
fn link(mirror: &mut Mirror, heads: &mut Vec<Head>) -> Result<(), Fault> {
    if !heads.is_empty() {
        mirror.transact(|mirror, _| heads.iter().try_for_each(|head| mirror.heads_mut().link(head)))?;
        heads.clear();
    }
    Ok(())
}

/// What must be the beginning of `head`, and is not known to be: the largest linked head, which comes first, and
/// every open one.
pub(super) fn unlinked_before(
    cx: &Context<'_>,
    mirror: &Mirror,
    head: &Head,
) -> Result<Vec<StoredHead>, Fault> {
    let key = cx.key();
    let mut before: Vec<StoredHead> = mirror.heads().largest_linked(key)?.into_iter().collect();
    before.extend(mirror.heads().unchecked(key)?);
    // The empty tree is the beginning of every tree.
    before.retain(|stored| (1..head.size()).contains(&stored.head.size()));
    Ok(before)
}

/// Holds each head of `before` against `head` and links those that are proved. `hold` decides about one of them.
///
/// # Errors
/// The mirror cannot be used, or `hold` fails.
pub(super) fn link_each(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    head: &Head,
    before: &[StoredHead],
    mut hold: impl FnMut(&mut Mirror, &mut Statements, &Head) -> Result<Link, Fault>,
) -> Result<(), Fault> {
    // The largest linked head stands for all. Where it could not be held against `head`, because the log went back
    // behind it or does not prove it, nothing larger takes its place.
    let newest = mirror.heads().largest_linked(cx.key())?.map_or(0, |newest| newest.head.size());
    let mut settled = false;
    let mut linked = Vec::new();
    let mut unproved: usize = 0;
    for (place, stored) in before.iter().enumerate() {
        if cx.is_stopped() {
            statements.stopped();
            break;
        }
        let other = &stored.head;
        match hold(mirror, statements, other)? {
            Link::Proved if place == 0 || settled || other.size() < newest => linked.push(other.clone()),
            Link::Proved => {}
            // A head that has the root of the mirrored leaves stays consistent, whatever the log signed later.
            Link::Contradicted if stored.status == HeadStatus::Consistent => {}
            Link::Contradicted => kept::mark(mirror, other, HeadStatus::Contradicted)?,
            Link::Unproved => {
                unproved = unproved.saturating_add(1);
                if unproved >= MAX_WRONG {
                    break;
                }
                continue;
            }
            Link::Unknown(cause) => {
                statements.incomplete(cause);
                break;
            }
        }
        // A rewritten history is reported once, and followed from there on.
        if place == 0 && newest < head.size() {
            settled = true;
            linked.push(head.clone());
        }
        if linked.len() >= LINKED_AT_ONCE {
            link(mirror, &mut linked)?;
        }
        cx.progress().advance(1);
    }
    link(mirror, &mut linked)
}
