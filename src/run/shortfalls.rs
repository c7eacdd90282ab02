//! What this machine lacked, and what a mirror that was made again lost: no run with either passes.

use super::context::Context;
use super::statements::Statements;
use crate::mirror::Mirror;
use crate::source::{LogSource, Peer};

/// What could not be asked for because this machine had run out of something was not asked of anybody.
pub(super) fn note_lacks(cx: &Context<'_>, said: &mut Statements) {
    let lacks = cx.source().and_then(LogSource::resource_exhaustion).into_iter();
    for what in lacks.chain(cx.peers().iter().filter_map(Peer::resource_exhaustion)) {
        let fault = format!("not everything could be asked for: {what}");
        said.fault_once(fault);
    }
}

/// What a mirror that was made again does not know any more: nothing can be held against it, so that no run passes.
pub(super) fn note_lost(mirror: &Mirror, said: &mut Statements) {
    for lost in &mirror.state().lost {
        said.incomplete(format!(
            "the mirror was made again, and this was lost: {lost}. Import heads that others keep of this log \
             (countersign heads import); where nobody has any, begin a new mirror under another name"
        ));
    }
}
