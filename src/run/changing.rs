//! A directory that changes while it is read is not held against the log, for an hour.
//!
//! What is missing or wrong in it may be being copied: the run is incomplete, says so, and never passes; what it could
//! not see whole it does not keep, so that the next run looks again ([`LogSource::confirm`]). From an hour after the
//! first such run on, it is the finding that it would have been at once (`gap`, `tile-mismatch`, …): no log escapes by
//! writing to its files for ever. The hour is kept in the mirror and ends with a run in which all was there. An audit has
//! one and `--heads-only` another, as the latter does not see whether what the former missed has come.

use super::context::Context;
use super::fault::Fault;
use super::statements::Statements;
use crate::core::finding::Code;
use crate::core::limits;
use crate::core::time::UnixMillis;
use crate::mirror::Mirror;
use crate::mirror::state::State;
use crate::source::LogSource;

// A time before 1970 counts as 1970.

/// What a directory that is being copied could be accused of.
const OF_SERVING: [Code; 5] =
    [Code::Gap, Code::RootMismatch, Code::TileMismatch, Code::HeadMalformed, Code::HeadSignatureInvalid];

/// Tells the source whether changes are still forgiven.
pub(super) fn begin(cx: &Context<'_>, mirror: &Mirror) {
    let since = changing_since(cx, mirror);
    let forgiving = since == UnixMillis::EPOCH || cx.now().since(since) < Some(limits::LAG);
    if let Some(source) = cx.source() {
        source.start_run(forgiving);
    }
}

/// Begins the hour if something was not held against the log, and ends it if all was there. `was_read`: the run saw all
/// that it should see.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn end(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    was_read: bool,
) -> Result<(), Fault> {
    let (since, now) = (changing_since(cx, mirror), cx.now());
    let heads_only = cx.options().heads_only;
    if cx.source().is_some_and(LogSource::tolerated_change) {
        if since == UnixMillis::EPOCH {
            mirror.transact(|_, state| {
                *since_of(state, heads_only) = now;
                Ok(())
            })?;
        }
        let since = if since == UnixMillis::EPOCH { now } else { since };
        statements.note(format!(
            "the log's directory has been changing since {}: from {} on, missing or wrong files in it count \
             against the log, even while it changes",
            since,
            since.saturating_add(limits::LAG)
        ));
    } else if since > UnixMillis::EPOCH
        && was_read
        && !statements.is_incomplete()
        && nothing_was_found(cx, mirror)?
    {
        mirror.transact(|_, state| {
            *since_of(state, heads_only) = UnixMillis::EPOCH;
            Ok(())
        })?;
    }
    Ok(())
}

/// When the hour began, or the beginning of 1970 if there is none. A time in the future comes of a wrong clock, and would
/// put off the end of the hour.
fn changing_since(cx: &Context<'_>, mirror: &Mirror) -> UnixMillis {
    let since = *since_of(&mut mirror.state().clone(), cx.options().heads_only);
    if since > cx.now() { UnixMillis::EPOCH } else { since }
}

/// Whether this run found nothing that a directory that is being copied could explain.
fn nothing_was_found(cx: &Context<'_>, mirror: &Mirror) -> Result<bool, Fault> {
    let now = cx.now();
    let findings = mirror.findings().standing()?;
    Ok(!findings.iter().any(|stored| stored.last_seen == now && OF_SERVING.contains(&stored.finding.code)))
}

/// When the hour of this kind of run began.
fn since_of(state: &mut State, heads_only: bool) -> &mut UnixMillis {
    match heads_only {
        true => &mut state.changing_since_heads_only,
        false => &mut state.changing_since,
    }
}
