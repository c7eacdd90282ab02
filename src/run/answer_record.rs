//! Counts what one answer of the JSON API came to, and records what is wrong with it.

use super::answer::{Answer, Question};
use super::context::Context;
use super::fault::Fault;
use super::mirrored::mirrored_range;
use super::served_proofs::ServedProofs;
use super::statements::Statements;
use super::{findings, lag};
use crate::core::finding::Code;
use crate::core::hash::Hash;
use crate::mirror::Mirror;
use crate::source::LogApi;

/// Asks for one proof between two trees that the mirror has.
///
/// # Errors
/// The mirror cannot be read.
pub(super) fn ask_consistency(
    mirror: &Mirror,
    api: &dyn LogApi,
    first: u64,
    second: u64,
    root: Hash,
) -> Result<Answer, Fault> {
    let old_root = mirrored_range(mirror, 0..first)?;
    Ok(ServedProofs::to_tree(api, second, root).check(first, old_root))
}

/// Counts an answer, and records one that is wrong or missing. A question that could not be asked is not counted.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn record(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    asked: Question,
    answer: &Answer,
) -> Result<(), Fault> {
    let finding = match answer {
        Answer::Unknown(_) => return Ok(()),
        Answer::Good => None,
        Answer::Missing(why) if lag::may_be_behind(cx, mirror, asked)? => {
            statements.count(asked.check(), 0, 0, 1);
            let cause = format!(
                "the log does not answer all requests about its newest trees yet: {why}; run again in some \
                 minutes: a replica of the log may lag behind"
            );
            statements.behind(cause);
            return Ok(());
        }
        Answer::Missing(why) => Some((Code::Gap, format!("the log does not answer: {why}"))),
        Answer::Wrong(why) => Some((Code::ProofInvalid, why.clone())),
    };
    statements.record(asked.check(), finding.is_none());
    match finding {
        Some((code, why)) => findings::record_of_log(cx, mirror, code, asked.subject(), why),
        None => Ok(()),
    }
}
