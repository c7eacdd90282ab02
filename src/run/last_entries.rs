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

/// Beyond so many entries the last of them are asked for first, even if `--max-entries` allows more. It allows as many by
/// default. Of fewer, those that are served can be fetched and checked before one is missing.
const MANY: u64 = 100_000_000;

/// What came of asking for the last entries that a head commits to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// They are there.
    There,
    /// They are missing or wrong. That is said.
    Lacking,
    /// Could not tell. The cause is said as incomplete.
    Unknown,
}

/// Whether a head has so many entries that the last ones are to be asked for first.
pub(super) fn has_many(cx: &Context<'_>, head: &Head) -> bool {
    head.size() > cx.options().max_entries.min(MANY)
}

/// Asks for the last entries of a head. If they are missing or wrong, that is held against the log.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn ask(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    source: &dyn LogSource,
    head: &Head,
) -> Result<End, Fault> {
    let n = head.size().saturating_sub(1) / WIDTH;
    let flaw = match fetch_end(source, head.size()) {
        Err(Outcome::NotThere(why)) => Some((Flaw::NotThere, why)),
        Err(Outcome::Missing(why)) => Some((Flaw::Missing, why)),
        Err(Outcome::Wrong(why)) => Some((Flaw::Wrong, why)),
        // The log could not be reached, and is not accused of that.
        Err(Outcome::Unknown(cause)) => {
            statements.incomplete(cause);
            return Ok(End::Unknown);
        }
        Ok(()) | Err(_) => None,
    };
    let Some((flaw, why)) = flaw else { return Ok(End::There) };
    gaps::report(cx, mirror, statements, head, &[BadBundle { n, flaw, why }])?;
    Ok(End::Lacking)
}
