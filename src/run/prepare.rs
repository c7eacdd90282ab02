//! Whether the mirrored entries are to be checked again.

use super::confirm::{self, Rehashed};
use super::context::Context;
use super::fault::Fault;
use super::statements::Statements;
use crate::core::time::UnixMillis;
use crate::mirror::Mirror;

/// Marks every entry as unchecked if the policy or the checks of this program changed, or with `--full`.
///
/// # Errors
/// The mirror cannot be read, written or repaired, or the run is stopped.
pub(super) fn begin(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    rehashed: &mut Rehashed,
) -> Result<(), Fault> {
    let policy = cx.policy().entry_fingerprint().to_string();
    let state = mirror.state();
    let stop = cx.stop();
    if cx.options().full && !mirror.check_integrity(&|| stop.is_stopped())? {
        return Err(Fault::Stopped);
    }
    let changed = state.entry_policy != policy;
    if !(changed || cx.options().full) {
        return Ok(());
    }
    if changed && state.entry_policy.is_empty() && state.verified > 0 {
        let note = "the mirror was written by an earlier version: its entries are hashed and checked again";
        statements.note(note);
        confirm::all(cx, mirror, statements, rehashed)?;
    } else if changed && state.checked > 0 {
        let note = "the trust options or the checks of this program changed since the last run: all entries are checked \
                    again";
        statements.note(note);
    }
    mirror.transact(|mirror, state| {
        state.entry_policy = policy;
        mirror.forget_checks(state)
    })?;
    if cx.options().full {
        mirror.check_tables()?;
    }
    Ok(())
}

/// With `--full`: every head is to be compared again, and the log's list of heads is to be read again.
///
/// # Errors
/// The mirror cannot be written.
pub(super) fn forget_compared(mirror: &mut Mirror) -> Result<(), Fault> {
    Ok(mirror.transact(|mirror, state| {
        state.listed_until = UnixMillis::EPOCH;
        mirror.heads_mut().forget_listed()?;
        mirror.heads_mut().forget_compared(state)
    })?)
}
