//! Leaves that are stored and not proved.

use super::fault::Fault;
use crate::mirror::Mirror;

/// Deletes leaves that were stored but never proved: a run ended before their root was known.
///
/// # Errors
/// The mirror cannot be written.
pub(super) fn forget(mirror: &mut Mirror) -> Result<(), Fault> {
    let state = mirror.state();
    if state.downloaded == state.verified {
        return Ok(());
    }
    Ok(mirror.transact(|mirror, state| {
        state.downloaded = state.verified;
        mirror.leaves_mut().forget_from(state.verified)
    })?)
}
