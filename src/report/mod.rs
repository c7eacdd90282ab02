//! The report: one value, rendered as text and as JSON, so that the two cannot disagree.
//!
//! It says what was checked, what was not, what was found, what that means and what to do. All text that comes from a
//! log is escaped.

mod check_line;
pub mod checks;
mod heads_only;
mod input;
pub mod json;
pub mod receipt;
mod style;
pub mod text;

#[cfg(test)]
mod tests;

use crate::audit::conclusion::Conclusion;
use crate::audit::verdict::CheckResult;
use crate::core::finding::Severity;
use crate::core::text::quoted;
use checks::ReportLine;
pub use input::{Asked, EntryCounts, Input, LogPart, MirrorUse, ReportedFinding};
pub use style::Style;

/// A finished report. [`Report::new`] decides the verdict; nothing else does.
#[derive(Clone, Debug)]
pub struct Report {
    input: Input,
    checks: Vec<ReportLine>,
    verdict: Conclusion,
    /// How many of the causes came from the run itself.
    undecided: usize,
}

impl Report {
    /// Decides every check's result and the verdict.
    pub fn new(mut input: Input) -> Report {
        let checks = checks::lines(&input);
        let undecided = input.incomplete.len();
        input.incomplete.append(&mut input.follows);
        let of_peers = input.peers.iter().filter_map(|peer| {
            let why = peer.error.as_ref()?;
            Some(format!(
                "peer {}: not everything that it holds could be compared: {why}",
                quoted(&peer.name)
            ))
        });
        input.incomplete.extend(of_peers);
        for line in &checks {
            if line.result == CheckResult::NotChecked
                && let Some(cause) = line.missing
                && !input.nothing_judged
            {
                input.incomplete.push(format!("check {:?} was not made: {cause}", line.check.as_str()));
            }
        }
        if verdict(&input) == Conclusion::Clean {
            // As a last line of defence, a required check that was not made is never a pass, whatever the reason.
            let unmade = checks.iter().filter(|line| line.required && line.result == CheckResult::NotChecked);
            let causes: Vec<String> =
                unmade.map(|line| format!("check {:?} was not made", line.check.as_str())).collect();
            input.incomplete.extend(causes);
        }
        let verdict = verdict(&input);
        Report { input, checks, verdict, undecided }
    }

    /// The verdict.
    pub fn verdict(&self) -> Conclusion {
        self.verdict
    }

    /// Whether a person should read it: it is not clean, there are warnings, or a note requires it.
    pub fn must_be_read(&self) -> bool {
        let warning = self.input.findings.iter().any(ReportedFinding::is_against_log);
        self.verdict != Conclusion::Clean || warning || self.input.must_be_read
    }

    /// What the run itself could not decide about the log. Left out are checks that lacked an option, failures of
    /// peers, and what only follows from something else: a gap is a finding, and does not mean that the log cannot be
    /// reached.
    pub fn undecided(&self) -> &[String] {
        self.input.incomplete.get(..self.undecided).unwrap_or_default()
    }

    /// Everything that the report was made from.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Every check, including those that were not made.
    pub fn checks(&self) -> &[ReportLine] {
        &self.checks
    }
}

fn verdict(input: &Input) -> Conclusion {
    let against = || input.findings.iter().filter(|found| found.is_against_log());
    let standing = |severity: Severity| against().any(|found| found.finding.severity == severity);
    let denied = input.asked.deny_warnings && standing(Severity::Warning);
    let nothing = input.nothing_judged && input.findings.is_empty();
    [
        (!input.faults.is_empty(), Conclusion::LocalFault),
        (standing(Severity::Violation), Conclusion::Violation),
        (standing(Severity::Invalid) || denied, Conclusion::Invalid),
        (!input.incomplete.is_empty() || nothing, Conclusion::Incomplete),
    ]
    .into_iter()
    .find_map(|(holds, verdict)| holds.then_some(verdict))
    .unwrap_or(Conclusion::Clean)
}
