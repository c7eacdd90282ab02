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

use super::{Fault, Run};
use crate::core::finding::Code;
use crate::core::hash::Hash;
use crate::core::head::{Head, HeadError};
use crate::core::limits::{HEADS_PAGE, SIGNERS_CLOCKS_MS};
use crate::core::text;
use crate::mirror::{Provenance, StoredHead};
use crate::source::{FetchError, LogApi};

/// Heads read in one run. A log can sign and list any number; the next run goes on.
const MAX_LISTED: u64 = 200_000;

/// The same in bytes: a signed head may be padded.
const MAX_BYTES: usize = 128 * 1024 * 1024;

/// Pages asked for in one run: a log can put a single head on each.
const MAX_PAGES: u64 = 4000;

/// Heads that are looked for in the list one by one, the oldest first. Where more are missing, the list
/// is read again.
const LOOKUPS: usize = 64;

/// Whose answer a finding about the whole list is.
const SUBJECT: &str = "heads";

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

impl Run<'_> {
    /// Reads the list on from the last run.
    pub(super) fn collect_listed(&mut self) -> Result<(), Fault> {
        let Some(api) = self.source.and_then(|source| source.api()) else { return Ok(()) };
        let start = self.listing_start()?;
        match self.walk(api, start)? {
            Some(listing) => self.judge_listing(api, &listing, start),
            None => Ok(()),
        }
    }

    /// Reads the list from `after` to its end, or as far as one run goes. `None` where it is not served;
    /// that is said.
    fn walk(&mut self, api: &dyn LogApi, after: u64) -> Result<Option<Listing>, Fault> {
        let mut listing = Listing { sound: true, ..Listing::default() };
        let mut after = after;
        for _ in 0..MAX_PAGES {
            if listing.read >= MAX_LISTED || listing.bytes >= MAX_BYTES {
                break;
            }
            let page = match api.history(after, HEADS_PAGE) {
                Ok(page) => page,
                Err(error) => {
                    self.list_not_served(error)?;
                    return Ok(None);
                }
            };
            self.take_page(&page.heads, &mut listing)?;
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
    fn listing_start(&self) -> Result<u64, Fault> {
        let until = self.mirror.state().listed_until.saturating_sub(SIGNERS_CLOCKS_MS);
        let (unlisted, oldest) = self.mirror.unlisted_until(until)?;
        let many = unlisted > LOOKUPS as u64;
        Ok(if many { until.min(oldest.saturating_sub(1)) } else { until })
    }

    /// Verifies and keeps the heads of one page. The cursor moves only over what verified.
    fn take_page(&mut self, page: &[Vec<u8>], listing: &mut Listing) -> Result<(), Fault> {
        let mut heads = Vec::with_capacity(page.len());
        for raw in page {
            listing.read = listing.read.saturating_add(1);
            listing.bytes = listing.bytes.saturating_add(raw.len());
            let (code, why) = match Head::verify_sth(raw, &self.policy.log_key) {
                Ok(head) => {
                    heads.push(head);
                    continue;
                }
                Err(HeadError::Disagreement(what)) => return Err(Fault::Disagreement(what)),
                Err(HeadError::Malformed(why)) => (Code::HeadMalformed, why),
                Err(HeadError::NotSigned(why)) => (Code::HeadSignatureInvalid, why),
            };
            listing.sound = false;
            self.summary.tally.record("head-list", false);
            let message = format!("a head in the log's own list of heads: {}", text::reason(&why));
            self.find_of_log(code, SUBJECT, message)?;
        }
        heads.iter().try_for_each(|head| self.check_time(head))?;
        // A head dated ahead must not carry the cursor past what is listed before it later.
        let latest = self.latest_time();
        let (sound, now) = (listing.sound, &self.options.now.1);
        let new = self.mirror.transact(|mirror, state| {
            let mut new: u64 = 0;
            for head in &heads {
                new = new.saturating_add(u64::from(mirror.put_head(head, &Provenance::Listed, now)?));
                mirror.set_listed(head)?;
            }
            if let Some(last) = heads.last().and_then(Head::timestamp).filter(|time| sound && *time <= latest)
            {
                state.listed_until = state.listed_until.max(last.saturating_sub(1));
            }
            Ok(new)
        })?;
        // Here, while they are at hand and known to verify, and not once more for each on reading it back.
        self.compare(&heads)?;
        self.summary.heads_new = self.summary.heads_new.saturating_add(new);
        self.summary.tally.add("head-list", heads.len() as u64, 0, 0);
        Ok(())
    }

    fn list_not_served(&mut self, error: FetchError) -> Result<(), Fault> {
        match error {
            FetchError::NotFound { .. } | FetchError::Lacking { .. } => self.find_of_log(
                Code::Gap,
                SUBJECT,
                format!("the log does not list the heads that it signed: {error}"),
            ),
            FetchError::TooLarge { .. } | FetchError::Malformed { .. } | FetchError::Excess { .. } => self
                .find_of_log(Code::HeadMalformed, SUBJECT, format!("the log's own list of heads: {error}")),
            FetchError::Unavailable { .. } | FetchError::Rejected { .. } | FetchError::Refused { .. } => {
                let cause = format!("the log's own list of heads could not be read: {error}");
                self.summary.incomplete.push(cause);
                Ok(())
            }
        }
    }

    fn judge_listing(&mut self, api: &dyn LogApi, listing: &Listing, start: u64) -> Result<(), Fault> {
        if !listing.whole {
            let cause = format!(
                "the log lists more heads than are read in one run ({} so far); run again to go on from there",
                listing.read
            );
            self.summary.incomplete.push(cause);
            self.summary.tally.add("head-list", 0, 0, 1);
            return Ok(());
        }
        if listing.sound {
            self.end_answer_findings(SUBJECT)?;
        }
        let key = self.policy.log_key.clone();
        let mut held = self.mirror.unlisted(LOOKUPS.saturating_add(1), &key)?;
        if held.len() > LOOKUPS {
            // What was not looked for is no pass.
            held.truncate(LOOKUPS);
            self.summary.tally.add("head-list", 0, 0, 1);
            let cause = format!(
                "more than {LOOKUPS} signed heads that are held here were not seen in the log's list"
            );
            self.summary.incomplete.push(cause);
        }
        let mut missing = Vec::new();
        for stored in held {
            match self.is_where_it_should_be(api, &stored.head) {
                Ok(true) => self.set_listed(&stored.head)?,
                Ok(false) => missing.push(stored),
                Err(error) => return self.list_not_served(error),
            }
        }
        // Before anything is held against the log, all of its list, in case its cursor is no time.
        if start > 0 && !missing.is_empty() {
            match self.walk(api, 0)? {
                None => return Ok(()),
                Some(all) if !all.whole => {
                    let cause =
                        "a signed head that is held here was not found in the log's list, which is too long \
                                 to be read again"
                            .to_owned();
                    self.summary.incomplete.push(cause);
                    return Ok(());
                }
                Some(_) => {}
            }
        }
        for stored in missing {
            if !self.mirror.is_listed(&stored.head)? {
                self.report_missing(&stored)?;
            }
        }
        self.end_found_heads()
    }

    fn set_listed(&mut self, head: &Head) -> Result<(), Fault> {
        self.summary.tally.record("head-list", true);
        Ok(self.mirror.transact(|mirror, _| mirror.set_listed(head))?)
    }

    /// Asks for the place in the list where a head should be.
    fn is_where_it_should_be(&self, api: &dyn LogApi, head: &Head) -> Result<bool, FetchError> {
        let time = head.timestamp().unwrap_or(0);
        let page = api.history(time.saturating_sub(1), HEADS_PAGE)?;
        let listed = |raw: &Vec<u8>| {
            Head::verify_sth(raw, &self.policy.log_key)
                .is_ok_and(|other| other.statement() == head.statement())
        };
        Ok(page.heads.iter().any(listed))
    }

    /// A head that is not in the list is held against the log only where the list goes on past it, or had
    /// its time to catch up: a cache may lag behind.
    fn report_missing(&mut self, stored: &StoredHead) -> Result<(), Fault> {
        let head = &stored.head;
        let time = head.timestamp().unwrap_or(0);
        let passed = self.mirror.state().listed_until.saturating_sub(SIGNERS_CLOCKS_MS) >= time;
        if passed || !self.is_recent(stored) {
            self.summary.tally.record("head-list", false);
            let message = format!(
                "the log signed an STH of size {} dated {}, and its own list of heads does not have it",
                head.size(),
                text::time(time)
            );
            return self.find_of_log(Code::Gap, format!("{SUBJECT} {}", head.statement()), message);
        }
        let cause = format!(
            "the log's own list of heads does not have the STH of size {} yet that it signed; run again in some \
             minutes: it may lag behind",
            head.size()
        );
        self.summary.tally.add("head-list", 0, 0, 1);
        self.summary.incomplete.push(cause);
        Ok(())
    }

    /// Heads that were missing and are listed by now.
    fn end_found_heads(&mut self) -> Result<(), Fault> {
        for stored in self.mirror.findings(false)? {
            let finding = stored.finding;
            let statement = finding.subject.strip_prefix("heads ").and_then(Hash::from_hex);
            let Some(statement) = statement.filter(|_| finding.code == Code::Gap) else { continue };
            if let Some(found) = self.mirror.head_of(&statement, &self.policy.log_key)?
                && self.mirror.is_listed(&found.head)?
            {
                self.end_finding(&finding)?;
            }
        }
        Ok(())
    }

    /// Ends the findings about answers to exactly this question.
    pub(super) fn end_answer_findings(&mut self, subject: &str) -> Result<(), Fault> {
        for stored in self.mirror.findings(false)? {
            if stored.finding.subject == subject {
                self.end_finding(&stored.finding)?;
            }
        }
        Ok(())
    }
}
