//! Signed heads: fetched, verified, kept, and held against every head kept (specification
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
use crate::mirror::Mirror;
use crate::mirror::Provenance;
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

/// Fetches and keeps the served heads. Gives those to bring the mirror up to: distinct trees,
/// the largest first. Where no head was ever seen and there is none, no log was found, and none is accused.
pub(super) fn collect_heads(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
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
        said.incomplete(format!("no log was found there: {error}"));
        return Ok(FoundHeads::none(true));
    }
    for (format, answer) in [(HeadFormat::Checkpoint, checkpoint.map(Some)), (HeadFormat::Sth, sth)] {
        match served_head(cx, mirror, said, format, answer)? {
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
            said.note(note);
        }
        return Ok(FoundHeads::none(unknown));
    }
    for head in &served {
        kept::keep(cx, mirror, said, head, &Provenance::Served)?;
    }
    said.count(Check::HeadAgainstHeads, served.len() as u64, 0, 0);
    lag::check_rollback(cx, mirror, said, &served)?;
    check_times(cx, mirror, said, &served)?;
    let cosigned = witnesses::check_witnesses(cx, mirror, said, &served)?;
    witnesses::check_age(cx, mirror, said, &served, cosigned)?;
    head_list::collect_listed(cx, mirror, said)?;
    kept::compare_new(cx, mirror, said)?;
    Ok(FoundHeads { candidates: candidates(served), ..FoundHeads::default() })
}

/// The served heads. What does not verify is asked for once more before it is a finding: a transfer
/// can be cut short without a sign of it.
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

fn served_head(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    format: HeadFormat,
    answer: Result<Option<Vec<u8>>, FetchError>,
) -> Result<Served, Fault> {
    match answer {
        Ok(Some(bytes)) => verify_served(cx, mirror, said, &bytes, format),
        Ok(None) => Ok(Served::None),
        Err(error) => head_not_served(cx, mirror, said, format, error),
    }
}

fn head_not_served(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
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
            said.incomplete(format!("the log's {what} could not be read: {error}"));
            Ok(Served::Unknown)
        }
    }
}

fn verify_served(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    bytes: &[u8],
    format: HeadFormat,
) -> Result<Served, Fault> {
    let verified = Head::verify_as(format, bytes, cx.key());
    let (subject, what) = (Subject::Served(format), format.as_str());
    said.record(Check::HeadSignature, verified.is_ok());
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

/// A head of this format verified just now, so earlier findings that it did not are over.
fn end_head_findings(cx: &Context<'_>, mirror: &mut Mirror, format: HeadFormat) -> Result<(), Fault> {
    let codes = [Code::HeadMalformed, Code::HeadSignatureInvalid, Code::Gap];
    for stored in mirror.findings().standing()? {
        if codes.contains(&stored.finding.code) && stored.finding.subject == Subject::Served(format) {
            findings::end(cx, mirror, &stored.finding)?;
        }
    }
    Ok(())
}

fn check_times(
    cx: &Context<'_>,
    mirror: &mut Mirror,
    said: &mut Statements,
    served: &[Head],
) -> Result<(), Fault> {
    let before = said.counted(Check::HeadTime).failed;
    let latest = kept::latest_time(cx);
    let in_time = served.iter().filter_map(Head::timestamp).filter(|time| *time <= latest).count();
    said.count(Check::HeadTime, in_time as u64, 0, 0);
    served.iter().try_for_each(|head| kept::check_time(cx, mirror, said, head))?;
    match said.counted(Check::HeadTime).failed > before {
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
