//! What this machine lacked, and what a mirror that was made again lost: no run with either passes.

use super::context::Context;
use super::statements::Statements;
use crate::mirror::Mirror;
use crate::source::{LogSource, Peer};

/// Says what could not be asked for because this machine ran out of something.
pub(super) fn note_lacks(cx: &Context<'_>, statements: &mut Statements) {
    let lacks = cx.source().and_then(LogSource::resource_exhaustion).into_iter();
    for what in lacks.chain(cx.peers().iter().filter_map(Peer::resource_exhaustion)) {
        let fault = format!("not everything could be asked for: {what}");
        statements.fault_once(fault);
    }
}

/// Says what a mirror that was made again does not know any more. No head can be held against it, so no run passes.
pub(super) fn note_lost(mirror: &Mirror, statements: &mut Statements) {
    for lost in &mirror.state().lost {
        statements.incomplete(format!(
            "the mirror was made again, and this was lost: {lost}. Import heads that others keep of this log \
             (countersign heads import); where nobody has any, begin a new mirror under another name"
        ));
    }
}
