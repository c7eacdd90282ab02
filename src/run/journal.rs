//! The log against the journal of a gate (gate specification section 4).
//!
//! The journal is read when the log was: a row is durable before anybody is asked, so whatever the mirror has by then, the
//! journal has as well. It is judged only where all entries of the newest head are checked: that something is not in the
//! log is known of the whole log alone.
//!
//! Each run judges every row again. Approvals that the journal may lack are looked at once, and the mirror keeps how far,
//! as it does for watch rules.

use super::context::Context;
use super::fault::Fault;
use super::findings;
use super::statements::{Statements, too_many};
use super::target::Target;
use crate::audit::journal::{
    Ending, JournalRow, JournalRows, Judged, Logged, LoggedApproval, Questions, omission, unlogged_use,
};
use crate::audit::subject::Subject;
use crate::core::check::Check;
use crate::core::encoding::{decode_base64url, encode_base64url};
use crate::core::entry::{Decision, Entry, read_leaf};
use crate::core::finding::Code;
use crate::core::hash::{Hash, sha256};
use crate::core::text::{escape, quoted};
use crate::core::time::UnixMillis;
use crate::mirror::{Looked, Mirror, MirrorError};

/// Entries that are looked at in one transaction.
const BATCH: u64 = 8192;

/// Rows that a note names.
const NAMED: usize = 5;

/// Holds the log against the journal, if there is one.
///
/// # Errors
/// The mirror cannot be read or written. A journal that cannot be read is a fault that does not end the run.
pub(super) fn compare(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    target: &Target,
) -> Result<(), Fault> {
    if !target.is_verified() || mirror.state().checked != mirror.state().verified {
        if cx.journal().is_some() {
            statements
                .follows("the journal was not held against the log: not all entries of the log are known");
        }
        return Ok(());
    }
    end_omissions(cx, mirror)?;
    let Some(journal) = cx.journal() else { return Ok(()) };
    let journal = match journal.read() {
        Ok(journal) => journal,
        Err(why) => {
            statements.fault(why);
            return Ok(());
        }
    };
    let mut lists = Lists::default();
    for row in &journal.rows {
        if cx.is_stopped() {
            statements.stopped();
            return Ok(());
        }
        judge(cx, mirror, statements, row, &mut lists)?;
    }
    lists.note(&journal, statements);
    find_unasked(cx, mirror, statements, &journal)
}

/// Ends what was omitted and has come. This needs no journal.
fn end_omissions(cx: &Context<'_>, mirror: &mut Mirror) -> Result<(), Fault> {
    if mirror.findings().standing_of(Code::ApprovalOmitted)? == 0 {
        return Ok(());
    }
    for stored in mirror.findings().standing()? {
        if let (Code::ApprovalOmitted, Subject::Confirmation { id }) =
            (stored.finding.code, &stored.finding.subject)
            && logged(mirror, id)?.is_some_and(|logged| logged.decision == Decision::Approved)
        {
            findings::end(cx, mirror, &stored.finding)?;
        }
    }
    Ok(())
}

fn judge<'r>(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    row: &'r JournalRow,
    lists: &mut Lists<'r>,
) -> Result<(), Fault> {
    let Some(id) = &row.id else { return Ok(()) };
    let omission = omission(row, logged(mirror, id)?, cx.now());
    let unlogged = match &row.used {
        Some(used) => unlogged_use(row, has_nonce(mirror, &used.nonce)?, mirror.state().verified),
        None => None,
    };
    match (row.approved_at, row.used.as_ref().map(|used| used.ending)) {
        (_, Some(Ending::Failed)) => lists.failed.push(id),
        (_, Some(Ending::Unknown)) => lists.unknown.push(id),
        (Some(_), None) => lists.unused.push(id),
        _ => {}
    }
    for (judged, early) in [(omission, &mut lists.early), (unlogged, &mut lists.ahead)] {
        match judged {
            Some(Judged::Holds) => statements.record(Check::Journal, true),
            Some(Judged::NotYet) => {
                statements.count(Check::Journal, 0, 0, 1);
                early.push(id);
            }
            Some(Judged::Found(finding)) => {
                statements.record(Check::Journal, false);
                findings::record(cx, mirror, &finding)?;
            }
            None => {}
        }
    }
    Ok(())
}

/// The first entry with this id.
fn logged(mirror: &Mirror, id: &str) -> Result<Option<Logged>, Fault> {
    let Some(index) = mirror.memory().first_with_id(id)? else { return Ok(None) };
    match entry(mirror, index)? {
        Some(entry) if entry.id == id => Ok(Some(Logged { index, decision: entry.decision })),
        _ => Err(MirrorError::wrong_memory(mirror.path(), index).into()),
    }
}

fn has_nonce(mirror: &Mirror, nonce: &str) -> Result<bool, Fault> {
    let Some(nonce) = decode_base64url(nonce) else { return Ok(false) };
    let Some(index) = mirror.memory().first_with_nonce(&nonce)? else { return Ok(false) };
    match entry(mirror, index)? {
        Some(entry) if entry.nonce.as_ref() == Some(&nonce) => Ok(true),
        _ => Err(MirrorError::wrong_memory(mirror.path(), index).into()),
    }
}

/// The entry itself: what the mirror keeps of it is compared with it before the log is accused.
fn entry(mirror: &Mirror, index: u64) -> Result<Option<Entry>, MirrorError> {
    let leaves = mirror.leaves().range(index, index.saturating_add(1))?;
    Ok(leaves.first().and_then(|leaf| read_leaf(leaf, &mirror.state().origin).entry))
}

/// Looks at the approvals that no audit with this journal has looked at.
fn find_unasked(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    journal: &JournalRows,
) -> Result<(), Fault> {
    if journal.complete_for.is_empty() {
        return Ok(());
    }
    let Some(since) = journal.since else {
        statements.note("the journal is empty: that it is complete cannot be judged before its first row");
        return Ok(());
    };
    statements.note(format!(
        "that the journal is complete was judged for approvals that were asked for after its first row, of {since}"
    ));
    let questions = Questions::new(journal);
    let cursor = cursor_of(journal);
    let mut next = mirror.watch_rules().get(&cursor)?.unwrap_or_default().next;
    let checked = mirror.state().checked;
    while next < checked {
        if cx.is_stopped() {
            statements.stopped();
            return Ok(());
        }
        let standing = mirror.findings().count()?;
        if standing > cx.options().max_findings {
            statements.incomplete_once(too_many(standing));
            return Ok(());
        }
        let end = next.saturating_add(BATCH).min(checked);
        let mut found = Vec::new();
        let approvals = mirror.entries().approvals_asked_after(&(next..end), since)?;
        for approval in approvals.iter().filter(|approval| questions.are_all_of(&approval.approver)) {
            let finding = questions.unasked(approval, || nonce_of(mirror, approval))?;
            statements.record(Check::Journal, finding.is_none());
            found.extend(finding);
        }
        let (now, looked) = (cx.now(), Looked { next: end, ..Looked::default() });
        mirror.transact(|mirror, _| {
            found.iter().try_for_each(|finding| mirror.findings_mut().put(finding, now))?;
            mirror.watch_rules_mut().put(&cursor, &looked)
        })?;
        next = end;
    }
    Ok(())
}

fn nonce_of(mirror: &Mirror, approval: &LoggedApproval) -> Result<Option<String>, MirrorError> {
    match entry(mirror, approval.index)? {
        Some(entry) if entry.decision == Decision::Approved && entry.approver == approval.approver => {
            Ok(entry.nonce.as_deref().map(encode_base64url))
        }
        _ => Err(MirrorError::wrong_memory(mirror.path(), approval.index)),
    }
}

/// What the mirror keeps how far it looked under: another journal, or other people, begin anew.
fn cursor_of(journal: &JournalRows) -> Hash {
    let people: Vec<String> = journal.complete_for.iter().map(|name| quoted(name)).collect();
    let since = journal.since.map(UnixMillis::get).unwrap_or_default();
    sha256(format!("journal-complete-for\0{since}\0{}", people.join("\0")).as_bytes())
}

/// What is worth knowing of the rows and says nothing against the log, by id.
#[derive(Default)]
struct Lists<'a> {
    unused: Vec<&'a str>,
    failed: Vec<&'a str>,
    unknown: Vec<&'a str>,
    early: Vec<&'a str>,
    ahead: Vec<&'a str>,
}

impl Lists<'_> {
    fn note(&self, journal: &JournalRows, statements: &mut Statements) {
        let lists = [
            (&self.unused, "approvals in the journal that were never used"),
            (&self.failed, "actions in the journal that failed"),
            (&self.unknown, "actions in the journal of which nobody said how they ended"),
            (
                &self.early,
                "not yet judged: the service answered approved less than an hour ago, and the log does not say so yet",
            ),
            (
                &self.ahead,
                "not yet judged: an approval was used that the log does not have here, and the head in its receipt is \
                 larger than the newest one here, or cannot be read",
            ),
        ];
        for (ids, what) in lists.iter().filter(|(ids, _)| !ids.is_empty()) {
            let mut named: Vec<String> = ids.iter().take(NAMED).map(|id| escape(id)).collect();
            if let Some(more) = ids.len().checked_sub(NAMED).filter(|more| *more > 0) {
                named.push(format!("and {more} more"));
            }
            statements.note(format!("{what} ({}): {}", ids.len(), named.join(", ")));
        }
        if journal.of_others > 0 {
            statements.note(format!(
                "rows of the journal that are about other logs, and were not judged: {}",
                journal.of_others
            ));
        }
    }
}
