//! The verdict on one receipt, as text and as JSON (the page `evidence` of the guide), both rendered
//! from one value.

use super::style::{Style, Tone};
use super::text::sentence;
use crate::audit::conclusion::Conclusion;
use crate::audit::verdict::{CheckLine, CheckResult, Verdict};
use crate::core::check::Check;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write as _;

/// A verdict, with what the command line adds.
pub struct ReceiptReport<'a> {
    /// The verdict.
    pub verdict: &'a Verdict,
    /// The conclusion; stricter than the verdict's own if warnings are denied.
    pub conclusion: Conclusion,
    /// The source of the receipt: a path, or a line of stdin. Escaped.
    pub source: &'a str,
    /// The path of the misbehaviour file, if there is one. Escaped.
    pub evidence: Option<&'a str>,
}

impl ReceiptReport<'_> {
    /// The conclusion, taking into account whether warnings are denied.
    pub fn conclude(verdict: &Verdict, deny_warnings: bool) -> Conclusion {
        let warned = verdict.checks.iter().any(|line| line.result == CheckResult::Warning);
        match verdict.conclusion() {
            Conclusion::Clean | Conclusion::Incomplete if warned && deny_warnings => Conclusion::Invalid,
            conclusion => conclusion,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    tool: &'static str,
    version: &'static str,
    command: &'static str,
    verdict: &'static str,
    exit_code: u8,
    source: &'a str,
    id: Option<&'a str>,
    index: Option<u64>,
    decision: Option<&'a str>,
    approver: Option<&'a str>,
    nonce: Option<&'a str>,
    checks: Vec<JsonCheck<'a>>,
    not_proven: &'a [Cow<'static, str>],
    faults: &'a [String],
    evidence: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonCheck<'a> {
    name: &'a str,
    result: &'static str,
    code: Option<&'static str>,
    message: &'a str,
}

/// One line of JSON, including its newline.
///
/// # Errors
/// [`serde_json::Error`] if the report cannot be encoded.
pub fn json(report: &ReceiptReport<'_>) -> Result<String, serde_json::Error> {
    let verdict = report.verdict;
    let checks = verdict.checks.iter().map(|line| JsonCheck {
        name: line.check.as_str(),
        result: line.result.as_str(),
        code: line.code.map(|code| code.as_str()),
        message: &line.message,
    });
    let json = Json {
        tool: "countersign",
        version: env!("CARGO_PKG_VERSION"),
        command: "verify",
        verdict: report.conclusion.as_str(),
        exit_code: report.conclusion.exit_code(),
        source: report.source,
        id: verdict.id.as_deref(),
        index: verdict.index,
        decision: verdict.decision,
        approver: verdict.approver.as_deref(),
        nonce: verdict.nonce.as_deref(),
        checks: checks.collect(),
        not_proven: &verdict.not_proven,
        faults: &verdict.faults,
        evidence: report.evidence,
    };
    let mut text = serde_json::to_string(&json)?;
    text.push('\n');
    Ok(text)
}

/// Writing to a `String` cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => { let _ = writeln!($out, $($arg)*); };
}

/// The report of one receipt, as text.
pub fn text(report: &ReceiptReport<'_>, style: Style) -> String {
    let (verdict, mut out) = (report.verdict, String::new());
    let word = report.conclusion.as_str().to_uppercase();
    line!(out, "{}: {}", style.paint(report.conclusion, &word), sentence_of(report));
    line!(out, "");
    line!(out, "receipt  {}", report.source);
    if let (Some(id), Some(index)) = (&verdict.id, verdict.index) {
        let (decision, approver) = (verdict.decision.unwrap_or_default(), verdict.approver.as_deref());
        line!(out, "entry    {index} ({id}): {decision}, by {}", approver.unwrap_or("?"));
    }
    checks(&mut out, verdict, style);
    for fault in &verdict.faults {
        line!(out, "\n{}\n  - {fault}", style.paint(Tone::Heading, "Fault on this side"));
    }
    if verdict.index.is_some() {
        line!(out, "\n{}", style.paint(Tone::Heading, "Not proved, whatever the result above"));
        for not_proven in &verdict.not_proven {
            line!(out, "  - {not_proven}");
        }
    }
    line!(out, "\n{}\n  {}", style.paint(Tone::Heading, "What to do"), advice(report));
    out
}

/// The passed checks in one line, or one line each with `-v`; every other check on a line of its own.
fn checks(out: &mut String, verdict: &Verdict, style: Style) {
    line!(out, "");
    // For input that is not a receipt at all, there is only one thing to say.
    let unread = verdict.index.is_none();
    let shown = |check: &&CheckLine| match check.result {
        CheckResult::Failed => true,
        CheckResult::Passed => style.verbose && !unread,
        CheckResult::Warning | CheckResult::NotChecked => !unread,
    };
    for check in verdict.checks.iter().filter(shown) {
        let word =
            if check.result == CheckResult::NotChecked { "not checked" } else { check.result.as_str() };
        let code = check.code.map_or(String::new(), |code| format!(" [{code}]"));
        let padded = format!("{word:<11}");
        line!(out, "{}  {:<18}  {}{code}", style.paint(check.result, &padded), check.check, check.message);
    }
    if unread {
        line!(out, "not checked  everything else");
        return;
    }
    let passed = verdict.checks.iter().filter(|check| check.result == CheckResult::Passed).count();
    if passed > 0 && !style.verbose {
        let (checks, hold) = if passed == 1 { ("check", "holds") } else { ("checks", "hold") };
        line!(
            out,
            "{}       {passed} {checks} {hold}; -v lists them",
            style.paint(CheckResult::Passed, "passed")
        );
    }
}

/// What none of the reported receipts shows, printed once for all of them.
pub fn not_proven<'a>(sentences: impl IntoIterator<Item = &'a String>) -> String {
    let mut out = String::from("\nNot proved, whatever the result above (for some or all of them)\n");
    for sentence in sentences {
        line!(out, "  - {sentence}");
    }
    out
}

/// One receipt of many: one line, and one for each check that keeps it from being clean.
pub fn brief(report: &ReceiptReport<'_>, style: Style) -> String {
    let (verdict, mut out) = (report.verdict, String::new());
    let word = format!("{:<11}", report.conclusion.as_str());
    let of = match (&verdict.id, verdict.decision, &verdict.approver) {
        (Some(id), Some(decision), Some(approver)) => format!("  {id} {decision}, by {approver}"),
        _ => String::new(),
    };
    line!(out, "{}  {}{of}", style.paint(report.conclusion, &word), report.source);
    let clean = report.conclusion == Conclusion::Clean;
    let warned = verdict.checks.iter().any(|check| check.result == CheckResult::Warning);
    if !clean || warned {
        for check in verdict.checks.iter().filter(|check| matters(check)) {
            let code = check.code.map_or(String::new(), |code| format!(" [{code}]"));
            line!(out, "             {} {}: {}{code}", check.result.as_str(), check.check, check.message);
        }
        for fault in &verdict.faults {
            line!(out, "             fault on this side: {fault}");
        }
        if let Some(path) = report.evidence {
            line!(out, "             the proof is in {path}");
        }
    }
    out
}

fn matters(check: &CheckLine) -> bool {
    match check.result {
        CheckResult::Failed | CheckResult::Warning => true,
        CheckResult::NotChecked => check.required,
        CheckResult::Passed => false,
    }
}

/// Whether a clean receipt is an approval of a payload that was given: an action may run only on that.
fn shows(report: &ReceiptReport<'_>) -> Shows {
    let passed =
        |check: Check| report.verdict.check(check).is_some_and(|line| line.result == CheckResult::Passed);
    match report.verdict.decision {
        Some("approved") if passed(Check::Payload) => Shows::ApprovalOfPayload,
        Some("approved") => Shows::ApprovalOfSomething,
        _ => Shows::NoApproval,
    }
}

enum Shows {
    ApprovalOfPayload,
    ApprovalOfSomething,
    NoApproval,
}

fn sentence_of(report: &ReceiptReport<'_>) -> &'static str {
    match report.conclusion {
        Conclusion::Invalid => "a check failed. Do not act on this receipt.",
        Conclusion::Clean => match shows(report) {
            Shows::ApprovalOfPayload => {
                "approved, with this payload; everything that was asked for was checked, and holds."
            }
            Shows::ApprovalOfSomething => {
                "approved, for an unknown payload; everything that was asked for was checked, and holds."
            }
            Shows::NoApproval => {
                "not approved, as expected; everything that was asked for was checked, and holds."
            }
        },
        other => sentence(other),
    }
}

fn advice(report: &ReceiptReport<'_>) -> String {
    let missing = report.verdict.checks.iter();
    let missing = missing.filter(|line| line.required && line.result == CheckResult::NotChecked);
    let missing: Vec<String> = missing.map(|line| format!("{}: {}", line.check, line.message)).collect();
    let fixed = match (report.conclusion, report.evidence) {
        (Conclusion::Clean, _) => match shows(report) {
            Shows::ApprovalOfPayload => "Act on it once, with exactly the payload that was checked.",
            Shows::ApprovalOfSomething => {
                "This shows that something was approved, not what. Before you act, verify it again with --payload."
            }
            Shows::NoApproval => "Do not run the action: this receipt shows that it was not approved.",
        },
        (Conclusion::Invalid, _) if report.verdict.index.is_none() => {
            "Do not act. Is this the right file? A receipt is written by `countersign receipt`, or returned by the \
             service as the verification of an approval."
        }
        (Conclusion::Invalid, _) => {
            "Do not act. Ask for a new approval; if you expected this one to pass, check your own options first."
        }
        (Conclusion::Incomplete, _) => {
            return format!(
                "Do not act yet. Verify it again when this is fixed:\n  - {}",
                missing.join("\n  - ")
            );
        }
        (Conclusion::Violation, Some(path)) => {
            return format!(
                "Do not act, and stop relying on this log. Keep the receipt and the proof: {path}"
            );
        }
        (Conclusion::Violation, None) => {
            "Do not act, and stop relying on this log. Keep the receipt: it holds both heads."
        }
        (Conclusion::LocalFault, _) => "Do not act. Report the fault above; it says nothing about the log.",
    };
    fixed.to_owned()
}
