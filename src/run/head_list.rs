//! The log's own list of every head that it signed (specification section 5, `GET heads`).
//!
//! Each head in it is verified, kept and compared like one that was served; and each STH that we
//! hold, from wherever it came, must be in the list. So a head that was shown to one client only has
//! to be listed to everybody, or is missed by the one who holds it.
//!
//! A head that was seen in the list once is not looked for again, but with `--full`: then the whole list
//! is read anew. Otherwise it is read from where the last run stopped. Its cursor is taken to be
//! a time, as the specification's ordering suggests; the last minute is always read again, so that neither heads of
//! one millisecond nor those of a signer whose clock is behind are lost between two runs.

use super::context::Context;
use super::fault::Fault;
use super::statements::Statements;
use super::{findings, kept};
use crate::audit::subject::Subject;
use crate::core::check::Check;
use crate::core::finding::Code;
use crate::core::head::{Head, HeadError};
use crate::core::limits::{HEADS_PAGE, MAX_SIGNER_SKEW};
use crate::core::text;
use crate::core::time::{TICK, UnixMillis};
use crate::mirror::{Mirror, Provenance, StoredHead};
use crate::source::{FetchError, LogApi};

// Counts of heads and bytes saturate: `MAX_LISTED` and `MAX_BYTES` end the reading long before. A time before 1970
// counts as 1970.

/// Heads read in one run. A log can sign and list any number; the next run goes on.
const MAX_LISTED: u64 = 200_000;

/// The same in bytes: a signed head may be padded.
const MAX_BYTES: usize = 128 * 1024 * 1024;

/// Pages asked for in one run: a log can put a single head on each.
const MAX_PAGES: u64 = 4000;

/// Heads that are looked for in the list one by one, the oldest first. Where more are missing, the list
/// is read again.
const LOOKUPS: usize = 64;

/// How reading the list went.
#[derive(Default)]
struct Listing {
    /// Heads read.
    read: u64,
    /// Their bytes.
    bytes: usize,
    /// Everything that was read verified.
    sound: bool,
    /// It was read to its end.
    whole: bool,
}

/// Reads the list on from where the last run stopped.
///
/// # Errors
/// The mirror or the evidence directory cannot be used, or two implementations disagree.
pub(super) fn collect(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
) -> Result<(), Fault> {
    let Some(api) = cx.source().and_then(|source| source.api()) else { return Ok(()) };
    let start = listing_start(mirror)?;
    match walk(cx, mirror, statements, api, start)? {
        Some(listing) => judge_listing(cx, mirror, statements, api, &listing, start),
        None => Ok(()),
    }
}

/// Reads the list from `after` to its end, or as far as one run goes. `None` where it is not served;
/// that is said.
fn walk(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    api: &dyn LogApi,
    after: UnixMillis,
) -> Result<Option<Listing>, Fault> {
    let mut listing = Listing { sound: true, ..Listing::default() };
    // The cursor of this API is a time; a page says where the next one begins, whatever the log means by it.
    let mut after = after.get();
    for _ in 0..MAX_PAGES {
        if listing.read >= MAX_LISTED || listing.bytes >= MAX_BYTES {
            break;
        }
        let page = match api.history(after, HEADS_PAGE) {
            Ok(page) => page,
            Err(error) => {
                list_not_served(cx, mirror, statements, error)?;
                return Ok(None);
            }
        };
        take_page(cx, mirror, statements, &page.heads, &mut listing)?;
        match page.next {
            Some(next) => after = next,
            None => {
                listing.whole = true;
                break;
            }
        }
    }
    Ok(Some(listing))
}

/// Where to begin: where the last run stopped, but for what another signer may have dated earlier since; or before
/// the oldest of many that were never seen.
fn listing_start(mirror: &Mirror) -> Result<UnixMillis, Fault> {
    let until = mirror.state().listed_until.saturating_sub(MAX_SIGNER_SKEW);
    let (unlisted, oldest) = mirror.heads().unlisted_until(until)?;
    let many = unlisted > LOOKUPS as u64;
    Ok(if many { until.min(oldest.saturating_sub(TICK)) } else { until })
}

/// Verifies and keeps the heads of one page. The cursor moves only over what verified.
fn take_page(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    page: &[Vec<u8>],
    listing: &mut Listing,
) -> Result<(), Fault> {
    let mut heads = Vec::with_capacity(page.len());
    for raw in page {
        listing.read = listing.read.saturating_add(1);
        listing.bytes = listing.bytes.saturating_add(raw.len());
        let (code, why) = match Head::verify_sth(raw, cx.key()) {
            Ok(head) => {
                heads.push(head);
                continue;
            }
            Err(HeadError::Disagreement(what)) => return Err(Fault::Disagreement(what)),
            Err(HeadError::Malformed(why)) => (Code::HeadMalformed, why),
            Err(HeadError::NotSigned(why)) => (Code::HeadSignatureInvalid, why),
        };
        listing.sound = false;
        statements.record(Check::HeadList, false);
        let message = format!("a head in the log's own list of heads: {}", text::reason(&why));
        findings::record_of_log(cx, mirror, code, Subject::HeadList, message)?;
    }
    heads.iter().try_for_each(|head| kept::check_time(cx, mirror, statements, head))?;
    // A head dated ahead must not carry the cursor past what is listed before it later.
    let latest = cx.latest_time();
    let (sound, now) = (listing.sound, cx.now());
    let new = mirror.transact(|mirror, state| {
        let mut new: u64 = 0;
        for head in &heads {
            new = new.saturating_add(u64::from(mirror.heads_mut().put(head, &Provenance::Listed, now)?));
            mirror.heads_mut().set_listed(head)?;
        }
        if let Some(last) = heads.last().and_then(Head::timestamp).filter(|time| sound && *time <= latest) {
            state.listed_until = state.listed_until.max(last.saturating_sub(TICK));
        }
        Ok(new)
    })?;
    // Here, while they are at hand and known to verify, and not once more for each on reading it back.
    kept::compare(cx, mirror, statements, &heads)?;
    statements.count_new_heads(new);
    statements.count(Check::HeadList, heads.len() as u64, 0, 0);
    Ok(())
}

/// Records what a failed request for the list means.
fn list_not_served(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    error: FetchError,
) -> Result<(), Fault> {
    match error {
        FetchError::NotFound { .. } | FetchError::Lacking { .. } => findings::record_of_log(
            cx,
            mirror,
            Code::Gap,
            Subject::HeadList,
            format!("the log does not list the heads that it signed: {error}"),
        ),
        FetchError::TooLarge { .. } | FetchError::Malformed { .. } | FetchError::Excess { .. } => {
            findings::record_of_log(
                cx,
                mirror,
                Code::HeadMalformed,
                Subject::HeadList,
                format!("the log's own list of heads: {error}"),
            )
        }
        FetchError::Unavailable { .. } | FetchError::Rejected { .. } | FetchError::Refused { .. } => {
            let cause = format!("the log's own list of heads could not be read: {error}");
            statements.incomplete(cause);
            Ok(())
        }
    }
}

/// Judges what was read, and looks for the heads that are held here.
fn judge_listing(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    api: &dyn LogApi,
    listing: &Listing,
    start: UnixMillis,
) -> Result<(), Fault> {
    if !listing.whole {
        let cause = format!(
            "the log lists more heads than are read in one run ({} so far); run again to go on from there",
            listing.read
        );
        statements.incomplete(cause);
        statements.count(Check::HeadList, 0, 0, 1);
        return Ok(());
    }
    if listing.sound {
        findings::end_of_subject(cx, mirror, &Subject::HeadList)?;
    }
    let key = cx.key();
    let mut held = mirror.heads().unlisted(LOOKUPS.saturating_add(1), key)?;
    if held.len() > LOOKUPS {
        // A head that was not looked for does not pass.
        held.truncate(LOOKUPS);
        statements.count(Check::HeadList, 0, 0, 1);
        let cause =
            format!("more than {LOOKUPS} signed heads that are stored here were not seen in the log's list");
        statements.incomplete(cause);
    }
    let mut missing = Vec::new();
    for stored in held {
        match is_where_it_should_be(cx, api, &stored.head) {
            Ok(true) => set_listed(mirror, statements, &stored.head)?,
            Ok(false) => missing.push(stored),
            Err(error) => return list_not_served(cx, mirror, statements, error),
        }
    }
    // Before anything is held against the log, all of its list is read, in case its cursor is not a time.
    if start > UnixMillis::EPOCH && !missing.is_empty() {
        match walk(cx, mirror, statements, api, UnixMillis::EPOCH)? {
            None => return Ok(()),
            Some(all) if !all.whole => {
                let cause =
                    "a signed head that is stored here was not found in the log's list, which is too long to be \
                     read again"
                        .to_owned();
                statements.incomplete(cause);
                return Ok(());
            }
            Some(_) => {}
        }
    }
    for stored in missing {
        if !mirror.heads().is_listed(&stored.head)? {
            report_missing(cx, mirror, statements, &stored)?;
        }
    }
    end_found_heads(cx, mirror)
}

/// Notes that a head is in the list.
fn set_listed(mirror: &mut Mirror, statements: &mut Statements, head: &Head) -> Result<(), Fault> {
    statements.record(Check::HeadList, true);
    Ok(mirror.transact(|mirror, _| mirror.heads_mut().set_listed(head))?)
}

/// Asks for the place in the list where a head should be.
fn is_where_it_should_be(cx: &Context<'_>, api: &dyn LogApi, head: &Head) -> Result<bool, FetchError> {
    let before = head.timestamp().unwrap_or_default().saturating_sub(TICK);
    let page = api.history(before.get(), HEADS_PAGE)?;
    let listed = |raw: &Vec<u8>| {
        Head::verify_sth(raw, cx.key()).is_ok_and(|other| other.statement() == head.statement())
    };
    Ok(page.heads.iter().any(listed))
}

/// A head that is not in the list is held against the log only where the list goes on past it, or had
/// its time to catch up: a cache may lag behind.
fn report_missing(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    stored: &StoredHead,
) -> Result<(), Fault> {
    let head = &stored.head;
    let time = head.timestamp().unwrap_or_default();
    let passed = mirror.state().listed_until.saturating_sub(MAX_SIGNER_SKEW) >= time;
    if passed || !kept::is_recent(cx, stored) {
        statements.record(Check::HeadList, false);
        let message = format!(
            "the log signed an STH of size {} dated {}, and its own list of heads does not have it",
            head.size(),
            time
        );
        return findings::record_of_log(
            cx,
            mirror,
            Code::Gap,
            Subject::Unlisted { statement: head.statement() },
            message,
        );
    }
    let cause = format!(
        "the log's own list of heads does not have the STH of size {} yet that it signed; run again in some \
         minutes: it may lag behind",
        head.size()
    );
    statements.count(Check::HeadList, 0, 0, 1);
    statements.incomplete(cause);
    Ok(())
}

/// Ends the findings about heads that were missing and are listed by now.
fn end_found_heads(cx: &Context<'_>, mirror: &mut Mirror) -> Result<(), Fault> {
    for stored in mirror.findings().standing()? {
        let finding = stored.finding;
        let Subject::Unlisted { statement } = finding.subject else { continue };
        if finding.code != Code::Gap {
            continue;
        }
        if let Some(found) = mirror.heads().of_statement(&statement, cx.key())?
            && mirror.heads().is_listed(&found.head)?
        {
            findings::end(cx, mirror, &finding)?;
        }
    }
    Ok(())
}
