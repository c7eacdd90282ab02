//! The report as text, for a user who reads one for the first time.

use super::checks::ReportLine;
use super::heads_only;
use super::style::{Style, Tone};
use super::{Conclusion, Input, Report, ReportedFinding};
use crate::audit::verdict::CheckResult;
use crate::core::finding::{Code, Scope, Severity};
use crate::core::text;
use crate::core::time::whole_millis;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How many findings of one code are shown one by one; the JSON report has all of them.
const SHOWN: usize = 10;

/// How many hits of watch rules are shown one by one.
const SHOWN_HITS: usize = 50;

/// Renders the report: the verdict, what is known about the log, findings, what was not checked, and what to do.
pub fn render(report: &Report, style: Style) -> String {
    let input = report.input();
    let mut out = String::new();
    head(&mut out, report, style);
    section(&mut out, style, "Faults on this side", &input.faults);
    section(&mut out, style, "Could not be decided", &input.incomplete);
    findings(&mut out, style, &input.findings);
    ended(&mut out, style, &input.ended);
    checks(&mut out, style, report);
    section(&mut out, style, "Notes", &input.notes);
    what_now(&mut out, style, report);
    out
}

/// Writing to a `String` cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => { let _ = writeln!($out, $($arg)*); };
}

fn heading(out: &mut String, style: Style, title: &str) {
    line!(out, "\n{}", style.paint(Tone::Heading, title));
}

fn head(out: &mut String, report: &Report, style: Style) {
    let input = report.input();
    let verdict = report.verdict();
    let word = verdict.as_str().to_uppercase();
    line!(out, "{}: {}", style.paint(verdict, &word), answer(report));
    line!(out, "");
    line!(out, "log      {}", text::escape(&input.log.origin));
    line!(out, "source   {}", input.log.source);
    if let (Some(size), Some(root)) = (input.log.tree_size, &input.log.root_hash) {
        let time = input.log.head_time.map_or(String::new(), |time| format!(", dated {time}"));
        line!(out, "head     {size} entries, root {root}{time}");
    }
    if input.nothing_judged && !input.faults.is_empty() {
        line!(out, "time     {} ({} ms)", input.finished_at, whole_millis(input.took));
        return;
    }
    entries(out, input);
    line!(out, "heads    {} signed heads kept ({} new)", input.heads.0, input.heads.1);
    line!(out, "time     {} ({} ms)", input.finished_at, whole_millis(input.took));
}

fn entries(out: &mut String, input: &Input) {
    let e = &input.entries;
    if input.asked.heads_only {
        line!(out, "entries  not checked (--heads-only); {} were in earlier audits", e.total);
        return;
    }
    line!(
        out,
        "entries  {} checked ({} new): {} approved, {} rejected, {} expired; {} invalid",
        e.total,
        e.new,
        e.approved,
        e.rejected,
        e.expired,
        e.invalid
    );
}

/// The first line of an audit's report. If no head signed with this key was ever seen, the log has committed to
/// nothing. If there are warnings, not everything holds although the verdict is clean.
fn answer(report: &Report) -> &'static str {
    let warned = report.checks().iter().any(|line| line.result == CheckResult::Failed);
    match report.verdict() {
        Conclusion::Clean if warned => {
            "everything that was asked for was checked; there are warnings, see below."
        }
        Conclusion::Invalid if report.input().heads.0 == 0 => {
            "what is served there is not a log that this key signed."
        }
        verdict => sentence(verdict),
    }
}

pub(super) fn sentence(verdict: Conclusion) -> &'static str {
    match verdict {
        Conclusion::Clean => "everything that was asked for was checked, and holds.",
        Conclusion::Incomplete => "not everything could be decided. This is not a pass.",
        Conclusion::Invalid => "a check failed: the log committed to, or serves, what must not be there.",
        Conclusion::Violation => "the log key signed statements that contradict each other. There is proof.",
        Conclusion::LocalFault => "something on this side is at fault. The log is not accused.",
    }
}

fn section(out: &mut String, style: Style, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    heading(out, style, title);
    for item in items {
        line!(out, "  - {item}");
    }
}

fn findings(out: &mut String, style: Style, findings: &[ReportedFinding]) {
    if findings.is_empty() {
        return;
    }
    heading(out, style, "Findings");
    let mut by_code: BTreeMap<(std::cmp::Reverse<Severity>, Code), Vec<&ReportedFinding>> = BTreeMap::new();
    for found in findings {
        by_code
            .entry((std::cmp::Reverse(found.finding.severity), found.finding.code))
            .or_default()
            .push(found);
    }
    for ((severity, code), found) in by_code {
        let word = style.paint(severity.0, severity.0.as_str());
        line!(out, "  {word} {code} ({}): {}", found.len(), code.meaning());
        if code == Code::WatchList {
            hits(out, found);
            continue;
        }
        for reported in found.iter().take(SHOWN) {
            line!(out, "    {}", one(reported));
        }
        if found.len() > SHOWN {
            // There are more than are shown.
            line!(out, "    and {} more: --format json lists them all", found.len().saturating_sub(SHOWN));
        }
    }
}

/// Shows the newest hits, which matter most to the reader.
fn hits(out: &mut String, mut hits: Vec<&ReportedFinding>) {
    // A hit that stands for many comes after the others of its audit.
    let at = |hit: &ReportedFinding| (hit.first_seen, hit.finding.index.unwrap_or(u64::MAX));
    hits.sort_by_cached_key(|hit| at(hit));
    // If there are fewer, none is left out.
    let earlier = hits.len().saturating_sub(SHOWN_HITS);
    if earlier > 0 {
        line!(out, "    the newest {SHOWN_HITS}, and {earlier} more: --format json lists them all");
    }
    for reported in hits.iter().skip(earlier) {
        line!(out, "    {}", one(reported));
    }
}

fn one(reported: &ReportedFinding) -> String {
    let finding = &reported.finding;
    let place = match (finding.index, &finding.id) {
        (Some(index), Some(id)) => format!("entry {index} ({id}): "),
        (Some(index), None) => format!("entry {index}: "),
        _ => String::new(),
    };
    let evidence = match &finding.evidence {
        Some(path) => format!(". Proof: {}", text::escape(path)),
        None => String::new(),
    };
    let known = match &reported.acknowledged {
        Some(why) => format!(" [acknowledged {why}]"),
        None => String::new(),
    };
    format!("{place}{}{evidence} [first seen {}]{known}", finding.message, reported.first_seen)
}

fn ended(out: &mut String, style: Style, ended: &[ReportedFinding]) {
    if ended.is_empty() {
        return;
    }
    heading(out, style, "Found earlier, and no longer true (these do not count for the verdict)");
    for reported in ended {
        let until = reported.ended.map(|ended| ended.to_string()).unwrap_or_default();
        line!(out, "  {} {} [until {until}]", reported.finding.code, one(reported));
    }
}

fn checks(out: &mut String, style: Style, report: &Report) {
    if report.input().nothing_judged {
        heading(out, style, "Not checked");
        line!(out, "  everything: the audit did not get that far");
        return;
    }
    let of = |result: CheckResult| -> Vec<&ReportLine> {
        report.checks().iter().filter(|line| line.result == result).collect()
    };
    let failed = of(CheckResult::Failed);
    if !failed.is_empty() {
        // A warning leaves the verdict as it is, and must not look as if it changed it.
        let clean = report.verdict() == Conclusion::Clean;
        heading(out, style, if clean { "Warned about (see the findings)" } else { "Failed" });
    }
    for line in failed {
        line!(out, "  {:<20} does not hold: {}", line.check, line.what);
    }
    passed(out, style, report.input(), &of(CheckResult::Passed));
    not_checked(out, style, of(CheckResult::NotChecked));
    let entries = &report.input().entries;
    // Only whether there are any matters.
    if entries.rejected.saturating_add(entries.expired) > 0 {
        line!(out, "  {:<20} the rpId of other entries is not judged", "rp-id, no approval");
    }
    line!(out, "  {:<20} no audit can check this: see countersign help audit", "what people saw");
}

/// One line, or the list with `-v`.
fn passed(out: &mut String, style: Style, input: &Input, passed: &[&ReportLine]) {
    if passed.is_empty() {
        return;
    }
    if style.verbose {
        heading(out, style, "Checked, and holds (how often it was applied)");
        for line in passed {
            line!(out, "  {:<20} {:>9}  {}", line.check, line.count, line.what);
        }
        return;
    }
    let counted =
        |count: u64, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let of = match input.asked.heads_only || input.entries.total == 0 {
        true => counted(input.heads.0, "signed head", "signed heads"),
        false => counted(input.entries.total, "entry", "entries"),
    };
    let checks = counted(passed.len() as u64, "check holds", "checks hold");
    line!(out, "\n{checks}, on {of}; -v lists them");
}

fn not_checked(out: &mut String, style: Style, lines: Vec<&ReportLine>) {
    heading(out, style, "Not checked");
    // Most checks are about entries; the few others are listed separately so that they are not overlooked.
    let (of_entries, others): (Vec<&ReportLine>, Vec<&ReportLine>) =
        lines.into_iter().partition(|line| line.hint == Some(heads_only::WHY));
    if !of_entries.is_empty() {
        line!(out, "  {:<20} {}: {} checks", "entries", heads_only::WHY, of_entries.len());
    }
    for line in others {
        let why = line.missing.or(line.hint).unwrap_or("the audit did not get that far");
        line!(out, "  {:<20} {why}", line.check);
    }
}

fn what_now(out: &mut String, style: Style, report: &Report) {
    heading(out, style, "What to do");
    for text in advice(report) {
        line!(out, "  {text}");
    }
}

fn advice(report: &Report) -> Vec<&'static str> {
    let input = report.input();
    let warned = input.findings.iter().any(ReportedFinding::is_against_log);
    let hit = input.findings.iter().any(|f| f.finding.code == Code::WatchList && f.acknowledged.is_none());
    match report.verdict() {
        Conclusion::Clean if warned => {
            vec!["Look at the warnings above. With --deny-warnings they make the verdict invalid."]
        }
        Conclusion::Clean if hit => {
            vec!["Look at what your watch rules found: did you expect it? It says nothing against the log."]
        }
        Conclusion::Clean if input.asked.heads_only => {
            vec![
                "Nothing. Compare heads with others (countersign heads), and audit the entries from time to time.",
            ]
        }
        Conclusion::Clean => vec!["Nothing. Run it again tomorrow: only new entries are fetched."],
        Conclusion::Incomplete => {
            vec![
                "See \"Could not be decided\": each line says what was missing. Run it again when that is fixed.",
            ]
        }
        Conclusion::Invalid => invalid_advice(input),
        Conclusion::Violation => vec![
            "Keep the proof file and the mirror, and stop relying on this log.",
            "Anybody can check the proof: countersign evidence verify FILE --log-key VKEY",
        ],
        Conclusion::LocalFault => vec!["Fix what is listed under \"Faults on this side\", and run it again."],
    }
}

fn invalid_advice(input: &Input) -> Vec<&'static str> {
    let mut advice = Vec::new();
    let invalid = |f: &&ReportedFinding| f.finding.severity == Severity::Invalid;
    if input.entries.invalid > 0 && input.entries.invalid >= input.entries.approved / 2 {
        advice.push(
            "So many entries fail that a slip is likely: check your own --rp-id and --allow-origin first.",
        );
    }
    if input.findings.iter().filter(invalid).any(|f| f.finding.index.is_some()) {
        advice.push("Do not act on the entries named above, and ask the log's operator about each.");
    }
    let (witnesses, of_log): (Vec<_>, Vec<_>) = input
        .findings
        .iter()
        .filter(invalid)
        .filter(|f| f.finding.index.is_none() && f.finding.code.scope() != Scope::Journal)
        .partition(|f| f.finding.code == Code::WitnessQuorum);
    if !witnesses.is_empty() {
        advice.push(
            "Witnesses do not vouch for what the log shows you: check --policy, try again later, and if it",
        );
        advice.push(
            "stays, ask the operator and the witnesses, and compare heads with others (countersign heads).",
        );
    }
    if input.findings.iter().filter(invalid).any(|f| f.finding.code.scope() == Scope::Journal) {
        advice.push(
            "Keep the gate's journal, look at the rows named above (countersign gate show KEY), and ask the",
        );
        advice.push(
            "log's operator where the approvals are. The receipts in the journal are what others can check.",
        );
    }
    if input.heads.0 == 0 {
        advice.push("Check --log and --log-key first: no head that this key signed was ever seen there.");
        return advice;
    }
    if !of_log.is_empty() {
        advice.push(
            "The log does not serve what it signed: check --log and --log-key, try again later, and if it",
        );
        advice.push("stays, send the operator this report. Compare heads with others (countersign heads).");
    }
    advice.push("Keep the mirror: it is your record.");
    advice
}
