//! The last entries that a head commits to, asked for before all others.
//!
//! A head can be signed over any number of entries. Before many are fetched, or refused because there are too many, the
//! last ones are asked for. If they are not there, that is said, and nothing else is fetched for this head.

use super::commit::{BadBundle, Flaw};
use super::context::Context;
use super::fault::Fault;
use super::gaps;
use super::statements::Statements;
use super::verifier::{Outcome, WIDTH, fetch_end};
use crate::core::head::Head;
use crate::mirror::Mirror;
use crate::source::LogSource;

/// Entries beyond which the last of them are asked for first, whatever `--max-entries` allows: as many as it allows where
/// it is not given. Of fewer, what there is can be fetched and checked before anything is missing.
const MANY: u64 = 100_000_000;

/// What came of asking for the last entries that a head commits to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// They are there.
    There,
    /// They are not, or are wrong: said.
    Lacking,
    /// Could not tell; the cause is in `incomplete`.
    Unknown,
}

/// Whether the last entries of a head are to be asked for first: there are so many of them.
pub(super) fn has_many(cx: &Context<'_>, head: &Head) -> bool {
    head.size() > cx.options().max_entries.min(MANY)
}

/// A head can be signed over any number of entries. Before many are fetched, or refused for being too many, its last
/// ones are asked for: where they are not there, that is said, and nothing else is fetched for this head.
pub(super) fn ask(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    source: &dyn LogSource,
    head: &Head,
) -> Result<End, Fault> {
    let n = head.size().saturating_sub(1) / WIDTH;
    let flaw = match fetch_end(source, head.size()) {
        Err(Outcome::NotThere(why)) => Some((Flaw::NotThere, why)),
        Err(Outcome::Missing(why)) => Some((Flaw::Missing, why)),
        Err(Outcome::Wrong(why)) => Some((Flaw::Wrong, why)),
        // What cannot be reached now is no reason to accuse anybody.
        Err(Outcome::Unknown(cause)) => {
            said.incomplete(cause);
            return Ok(End::Unknown);
        }
        Ok(()) | Err(_) => None,
    };
    let Some((flaw, why)) = flaw else { return Ok(End::There) };
    gaps::report_gaps(cx, mirror, said, head, &[BadBundle { n, flaw, why }])?;
    Ok(End::Lacking)
}
