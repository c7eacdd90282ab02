//! Do witnesses vouch for the newest checkpoint (C2SP tlog-policy), and is the newest head recent
//! (specification section 10, `head-stale`)?
//!
//! The witnesses' word is about the checkpoint that is served now: that the log shows them the same tree.
//! Heads that were kept earlier are not judged by it, and no entry is.

use super::context::Context;
use super::fault::Fault;
use super::findings;
use super::statements::Statements;
use crate::audit::subject::Subject;
use crate::core::check::Check;
use crate::core::finding::Code;
use crate::core::head::{Head, HeadFormat};
use crate::core::tlog_policy::{CosignError, FreshnessWindow, QuorumResult, TlogPolicy};
use crate::core::{limits, text};
use crate::mirror::Mirror;

// Times saturate: a head dated in the future has age 0 here, and is the finding `head-in-future` elsewhere.

/// Whether a line of this checkpoint says that it is by a witness, and is not.
pub(super) fn is_forged(cx: &Context<'_>, checkpoint: &[u8]) -> bool {
    let judged = cx.policy().quorum().map(|policy| policy.check_cosignatures(checkpoint, None));
    matches!(judged, Some(Err(CosignError::BadCosignature { .. })))
}

/// Holds the served checkpoint against the witness policy. Returns whether the cosignatures are fresh, if that was
/// asked for and the quorum holds.
///
/// # Errors
/// The mirror cannot be read or written, or two implementations disagree.
pub(super) fn check(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    served: &[Head],
) -> Result<Option<bool>, Fault> {
    let Some(policy) = cx.policy().quorum() else {
        statements.count(Check::Witnesses, 0, 0, 1);
        findings::withdraw_unjudged(
            mirror,
            statements,
            Code::WitnessQuorum,
            None,
            "no witness policy was given (--policy)",
        )?;
        findings::withdraw_unjudged(
            mirror,
            statements,
            Code::HeadStale,
            Some(&Subject::Cosignatures),
            "no witness policy was given (--policy)",
        )?;
        return Ok(None);
    };
    let Some(checkpoint) = served.iter().find(|head| head.format() == HeadFormat::Checkpoint) else {
        witnesses_undecided(statements,
            "the policy asks for witness cosignatures, but no checkpoint of the log could be judged, and only a \
             checkpoint carries them"
                .to_owned(),
        );
        return Ok(None);
    };
    let cosigned = match policy.check_cosignatures(checkpoint.raw().as_bytes(), fresh(cx)) {
        Ok(cosigned) => cosigned,
        Err(CosignError::Disagreement(what)) => return Err(Fault::Disagreement(what)),
        // The same bytes were a checkpoint a moment ago.
        Err(CosignError::Malformed(why)) => {
            witnesses_undecided(
                statements,
                format!("the checkpoint's cosignatures could not be judged: {why}"),
            );
            return Ok(None);
        }
        Err(forged @ CosignError::BadCosignature { .. }) => {
            let message = format!("the checkpoint of size {}: {forged}", checkpoint.size());
            return quorum_fails(cx, mirror, statements, message).map(|()| None);
        }
    };
    let cosignatures = describe(policy, checkpoint, &cosigned);
    if !cosigned.quorum {
        return quorum_fails(cx, mirror, statements, cosignatures).map(|()| None);
    }
    findings::end_of(cx, mirror, Code::WitnessQuorum)?;
    let cosigned_text = checkpoint.clone();
    mirror.transact(|mirror, _| mirror.heads_mut().keep_cosigned(&cosigned_text))?;
    if checkpoint_lags(cx, mirror, statements, checkpoint)? {
        return Ok(None);
    }
    statements.record(Check::Witnesses, true);
    if cosigned.fresh_quorum == Some(false) {
        findings::record_of_log(
            cx,
            mirror,
            Code::HeadStale,
            Subject::Cosignatures,
            format!("{cosignatures}; of those, too few are recent enough"),
        )?;
    } else {
        findings::end_about(cx, mirror, Code::HeadStale, &Subject::Cosignatures)?;
    }
    statements.note(cosignatures);
    if let Some(sth) = served.iter().find(|head| head.size() > checkpoint.size()) {
        let note = format!(
            "the STH of size {} is newer than the checkpoint that witnesses vouch for: a later audit will see \
             whether they saw it too",
            sth.size()
        );
        statements.note(note);
    }
    Ok(cosigned.fresh_quorum)
}

/// Records that the quorum does not hold.
fn quorum_fails(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    message: String,
) -> Result<(), Fault> {
    statements.record(Check::Witnesses, false);
    findings::record_of_log(cx, mirror, Code::WitnessQuorum, Subject::Whole, message)
}

/// Says why the cosignatures could not be judged.
fn witnesses_undecided(statements: &mut Statements, cause: String) {
    statements.count(Check::Witnesses, 0, 0, 1);
    statements.incomplete(cause);
}

/// Whether the log has long signed a larger tree than the one that the witnesses saw. A log that shows
/// witnesses an old checkpoint for ever, and everybody else its STHs, must not pass; one whose
/// checkpoint is a little behind its STH must not be accused.
fn checkpoint_lags(
    cx: &Context<'_>,
    mirror: &Mirror,
    statements: &mut Statements,
    checkpoint: &Head,
) -> Result<bool, Fault> {
    let before = cx.now().saturating_sub(limits::LAG);
    let known = mirror.heads().largest_seen_before(before, cx.key())?;
    let Some(larger) = known.filter(|known| known.head.size() > checkpoint.size()) else {
        return Ok(false);
    };
    witnesses_undecided(
        statements,
        format!(
            "the witnesses vouch for the checkpoint of size {}, but the log has signed a tree of size {}, seen here \
         {}: whether they saw that one is not known",
            checkpoint.size(),
            larger.head.size(),
            larger.first_seen
        ),
    );
    Ok(true)
}

/// The times that are fresh under `--max-head-age`, by a clock that may be a little wrong.
fn fresh(cx: &Context<'_>) -> Option<FreshnessWindow> {
    let limit = cx.policy().max_head_age?;
    Some(FreshnessWindow {
        not_before: cx.now().saturating_sub(limit).next_second(),
        not_after: cx.latest_time().second(),
    })
}

/// Checks the age of the newest head. An STH has a time, and so have cosignatures (`cosigned`: whether they are fresh).
/// If an age limit is asked for and there is neither, that is said.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn check_age(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    served: &[Head],
    cosigned: Option<bool>,
) -> Result<(), Fault> {
    let Some(limit) = cx.policy().max_head_age else {
        statements.count(Check::HeadAge, 0, 0, 1);
        return findings::withdraw_unjudged(
            mirror,
            statements,
            Code::HeadStale,
            None,
            "no age was given (--max-head-age)",
        );
    };
    if let Some(fresh) = cosigned {
        statements.record(Check::HeadAge, fresh);
    }
    let Some(time) = served.iter().filter_map(Head::timestamp).max() else {
        if cosigned.is_none() {
            statements.count(Check::HeadAge, 0, 0, 1);
            let cause =
                "--max-head-age was asked for, but the log serves no STH, and a checkpoint has no time";
            statements.incomplete(cause);
        }
        return Ok(());
    };
    let age = cx.now().since(time).unwrap_or_default();
    statements.record(Check::HeadAge, age <= limit);
    if age > limit {
        let message = format!(
            "the newest STH is dated {}, {} ago; the limit is {}",
            time,
            text::duration(age),
            text::duration(limit)
        );
        return findings::record_of_log(cx, mirror, Code::HeadStale, Subject::Whole, message);
    }
    findings::end_about(cx, mirror, Code::HeadStale, &Subject::Whole)
}

/// Who cosigned, when, and what was asked for.
fn describe(policy: &TlogPolicy, checkpoint: &Head, cosigned: &QuorumResult) -> String {
    let by = cosigned.by.iter().map(|by| match by.time {
        Some(time) => format!("{} at {}", by.witness, time),
        None => format!("{} at no stated time", by.witness),
    });
    let by: Vec<String> = by.collect();
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    format!(
        "the checkpoint of size {} has cosignatures of {} of the {} witnesses of the policy{by}; asked for: {}",
        checkpoint.size(),
        cosigned.by.len(),
        cosigned.of,
        policy.quorum_text()
    )
}
