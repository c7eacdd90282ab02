//! Findings, recorded in the mirror and ended there, each in a transaction of its own.

use super::context::Context;
use super::fault::Fault;
use super::statements::Statements;
use crate::audit::finding::Finding;
use crate::audit::subject::Subject;
use crate::core::finding::Code;
use crate::mirror::{Mirror, StoredFinding};

/// Records a finding.
///
/// # Errors
/// The mirror cannot be written.
pub(super) fn record(cx: &Context<'_>, mirror: &mut Mirror, finding: &Finding) -> Result<(), Fault> {
    let now = cx.now();
    Ok(mirror.transact(|mirror, _| mirror.findings_mut().put(finding, now))?)
}

/// Records a finding about the log as a whole or about how it serves.
///
/// # Errors
/// The mirror cannot be written.
pub(super) fn record_of_log(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    code: Code,
    subject: Subject,
    message: impl Into<String>,
) -> Result<(), Fault> {
    record(cx, mirror, &Finding::of_log(code, subject, message))
}

/// Ends a finding about how the log serves.
///
/// # Errors
/// The mirror cannot be written.
pub(super) fn end(cx: &Context<'_>, mirror: &mut Mirror, finding: &Finding) -> Result<(), Fault> {
    let now = cx.now();
    Ok(mirror.transact(|mirror, _| mirror.findings_mut().end(finding, now))?)
}

/// Ends the findings of one code.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn end_of(cx: &Context<'_>, mirror: &mut Mirror, code: Code) -> Result<(), Fault> {
    for stored in mirror.findings().standing()? {
        if stored.finding.code == code {
            end(cx, mirror, &stored.finding)?;
        }
    }
    Ok(())
}

/// Ends the findings of one code about one subject.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn end_about(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    code: Code,
    subject: &Subject,
) -> Result<(), Fault> {
    for stored in mirror.findings().standing()? {
        if stored.finding.code == code && stored.finding.subject == *subject {
            end(cx, mirror, &stored.finding)?;
        }
    }
    Ok(())
}

/// Ends the findings about exactly this subject.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn end_of_subject(cx: &Context<'_>, mirror: &mut Mirror, subject: &Subject) -> Result<(), Fault> {
    for stored in mirror.findings().standing()? {
        if stored.finding.subject == *subject {
            end(cx, mirror, &stored.finding)?;
        }
    }
    Ok(())
}

/// Withdraws findings that this run does not judge, because the options do not ask for it any more, and says so. They
/// are not ended: what they found may still hold.
///
/// # Errors
/// The mirror cannot be read or written.
pub(super) fn withdraw_unjudged(
    mirror: &mut Mirror,
    statements: &mut Statements,
    code: Code,
    subject: Option<&Subject>,
    why: &str,
) -> Result<(), Fault> {
    let stands = |stored: &StoredFinding| {
        stored.finding.code == code && subject.is_none_or(|subject| stored.finding.subject == *subject)
    };
    if !mirror.findings().standing()?.iter().any(stands) {
        return Ok(());
    }
    mirror.transact(|mirror, _| mirror.findings_mut().withdraw_unjudged(code, subject))?;
    statements.note(format!(
        "an earlier finding of {code} is withdrawn, and nobody knows whether it still holds: {why}"
    ));
    Ok(())
}
