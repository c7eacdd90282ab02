//! The signed heads that the log serves: fetched, verified, kept, and held against every head kept (specification
//! sections 3 and 10).

use super::context::Context;
use super::fault::Fault;
use super::statements::Statements;
use super::{findings, head_list, kept, lag, witnesses};
use crate::audit::subject::Subject;
use crate::core::check::Check;
use crate::core::finding::Code;
use crate::core::head::{Head, HeadError, HeadFormat};
use crate::core::text;
use crate::mirror::{Mirror, Provenance};
use crate::source::{FetchError, LogSource, ServedHead};

/// The heads that the log serves.
#[derive(Default)]
pub(super) struct FoundHeads {
    /// Those to bring the mirror up to: distinct trees, the largest first.
    pub candidates: Vec<Head>,
    /// No head verified.
    pub no_head: bool,
    /// No head could be read at all.
    pub unreachable: bool,
}

impl FoundHeads {
    /// No head verified, or none could be read.
    fn none(unreachable: bool) -> FoundHeads {
        FoundHeads { candidates: Vec::new(), no_head: true, unreachable }
    }
}

/// What asking for one kind of head came to.
enum Served {
    Head(Head),
    /// A finding was made.
    Bad,
    /// The log serves none of this kind, which it may.
    None,
    /// Could not tell; said in `incomplete`.
    Unknown,
}

/// Fetches, keeps and compares the served heads. If no head was ever seen and none is served, no log was found, and
/// none is accused.
///
/// # Errors
/// The mirror or the evidence directory cannot be used, or two implementations disagree.
pub(super) fn collect(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
) -> Result<FoundHeads, Fault> {
    let Some(source) = cx.source() else {
        return Ok(FoundHeads::default());
    };
    let mut served = Vec::new();
    let mut unknown = false;
    let ServedHead { checkpoint, sth } = served_heads(cx, source);
    // One answer that holds both formats failed once, and is said once.
    let sth = if sth.is_err() && sth.as_ref().err() == checkpoint.as_ref().err() { Ok(None) } else { sth };
    let failed = checkpoint.is_err() && sth == Ok(None);
    if let Err(error @ FetchError::NotFound { .. }) = &checkpoint
        && failed
        && mirror.heads().count() == 0
    {
        statements.incomplete(format!("no log was found there: {error}"));
        return Ok(FoundHeads::none(true));
    }
    for (format, answer) in [(HeadFormat::Checkpoint, checkpoint.map(Some)), (HeadFormat::Sth, sth)] {
        match served_head(cx, mirror, statements, format, answer)? {
            Served::Head(head) => {
                end_head_findings(cx, mirror, format)?;
                served.push(head);
            }
            Served::None if failed => {}
            Served::None => end_head_findings(cx, mirror, format)?,
            Served::Unknown => unknown = true,
            Served::Bad => {}
        }
    }
    if served.is_empty() {
        // Unreachable is "could not tell"; anything else is a log without a head of its own.
        if !unknown {
            let note = "the log serves no head that verifies: nothing else was judged";
            statements.note(note);
        }
        return Ok(FoundHeads::none(unknown));
    }
    for head in &served {
        kept::keep(cx, mirror, statements, head, &Provenance::Served)?;
    }
    statements.count(Check::HeadAgainstHeads, served.len() as u64, 0, 0);
    lag::check_rollback(cx, mirror, statements, &served)?;
    check_times(cx, mirror, statements, &served)?;
    let cosigned = witnesses::check(cx, mirror, statements, &served)?;
    witnesses::check_age(cx, mirror, statements, &served, cosigned)?;
    head_list::collect(cx, mirror, statements)?;
    kept::compare_new(cx, mirror, statements)?;
    Ok(FoundHeads { candidates: candidates(served), ..FoundHeads::default() })
}

/// Asks for the heads. A head that does not verify is asked for once more before it is a finding: a transfer can be
/// cut short without a sign of it.
fn served_heads(cx: &Context<'_>, source: &dyn LogSource) -> ServedHead {
    let key = cx.key();
    let doubtful = |format, bytes: &[u8]| {
        matches!(Head::verify_as(format, bytes, key), Err(HeadError::Malformed(_) | HeadError::NotSigned(_)))
    };
    let doubts = |served: &ServedHead| {
        let of_checkpoint = |b: &Vec<u8>| doubtful(HeadFormat::Checkpoint, b) || witnesses::is_forged(cx, b);
        let of_sth = |b: &Option<Vec<u8>>| b.as_ref().is_some_and(|b| doubtful(HeadFormat::Sth, b));
        (served.checkpoint.as_ref().is_ok_and(of_checkpoint), served.sth.as_ref().is_ok_and(of_sth))
    };
    let first = source.head();
    if doubts(&first) == (false, false) {
        return first;
    }
    if let Err(error) = source.settle() {
        return ServedHead { checkpoint: Err(error.clone()), sth: Err(error) };
    }
    let again = source.head();
    let (checkpoint, sth) = doubts(&again);
    match if checkpoint || sth { source.confirm() } else { Ok(()) } {
        Ok(()) => again,
        Err(error) => ServedHead {
            checkpoint: if checkpoint { Err(error.clone()) } else { again.checkpoint },
            sth: if sth { Err(error) } else { again.sth },
        },
    }
}

/// What one answer came to.
fn served_head(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    format: HeadFormat,
    answer: Result<Option<Vec<u8>>, FetchError>,
) -> Result<Served, Fault> {
    match answer {
        Ok(Some(bytes)) => verify_served(cx, mirror, statements, &bytes, format),
        Ok(None) => Ok(Served::None),
        Err(error) => head_not_served(cx, mirror, statements, format, error),
    }
}

/// Records what a failed request for a head means.
fn head_not_served(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    format: HeadFormat,
    error: FetchError,
) -> Result<Served, Fault> {
    let (subject, what) = (Subject::Served(format), format.as_str());
    match error {
        FetchError::NotFound { .. } | FetchError::Lacking { .. } => {
            findings::record_of_log(
                cx,
                mirror,
                Code::Gap,
                subject,
                format!("the log serves no {what}: {error}"),
            )?;
            Ok(Served::Bad)
        }
        FetchError::TooLarge { .. } | FetchError::Malformed { .. } | FetchError::Excess { .. } => {
            findings::record_of_log(
                cx,
                mirror,
                Code::HeadMalformed,
                subject,
                format!("the {what} served: {error}"),
            )?;
            Ok(Served::Bad)
        }
        error => {
            statements.incomplete(format!("the log's {what} could not be read: {error}"));
            Ok(Served::Unknown)
        }
    }
}

/// Verifies a served head with the pinned key.
fn verify_served(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    bytes: &[u8],
    format: HeadFormat,
) -> Result<Served, Fault> {
    let verified = Head::verify_as(format, bytes, cx.key());
    let (subject, what) = (Subject::Served(format), format.as_str());
    statements.record(Check::HeadSignature, verified.is_ok());
    match verified {
        Ok(head) => Ok(Served::Head(head)),
        Err(HeadError::Disagreement(what)) => Err(Fault::Disagreement(what)),
        Err(HeadError::Malformed(why)) => {
            let message = format!("the {what} served: {}", text::reason(&why));
            findings::record_of_log(cx, mirror, Code::HeadMalformed, subject, message)?;
            Ok(Served::Bad)
        }
        Err(HeadError::NotSigned(why)) => {
            let message = format!("the {what} served: {}", text::reason(&why));
            findings::record_of_log(cx, mirror, Code::HeadSignatureInvalid, subject, message)?;
            Ok(Served::Bad)
        }
    }
}

/// Ends the findings about served heads of this format: one verified just now.
fn end_head_findings(cx: &Context<'_>, mirror: &mut Mirror, format: HeadFormat) -> Result<(), Fault> {
    let codes = [Code::HeadMalformed, Code::HeadSignatureInvalid, Code::Gap];
    for stored in mirror.findings().standing()? {
        if codes.contains(&stored.finding.code) && stored.finding.subject == Subject::Served(format) {
            findings::end(cx, mirror, &stored.finding)?;
        }
    }
    Ok(())
}

/// Checks that no served head is dated in the future (`head-in-future`).
fn check_times(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    statements: &mut Statements,
    served: &[Head],
) -> Result<(), Fault> {
    let before = statements.counted(Check::HeadTime).failed;
    let latest = cx.latest_time();
    let in_time = served.iter().filter_map(Head::timestamp).filter(|time| *time <= latest).count();
    statements.count(Check::HeadTime, in_time as u64, 0, 0);
    served.iter().try_for_each(|head| kept::check_time(cx, mirror, statements, head))?;
    match statements.counted(Check::HeadTime).failed > before {
        true => Ok(()),
        false => findings::end_of(cx, mirror, Code::HeadInFuture),
    }
}

/// Distinct trees among the served heads, the largest first.
fn candidates(served: Vec<Head>) -> Vec<Head> {
    let mut distinct: Vec<Head> = Vec::new();
    for head in served {
        if !distinct.iter().any(|other| other.size() == head.size() && other.root() == head.root()) {
            distinct.push(head);
        }
    }
    distinct.sort_by_key(|head| std::cmp::Reverse(head.size()));
    distinct
}
