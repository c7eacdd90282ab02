//! The expected result of an audit and of a gate under a lie, as data.

use serde::Serialize;

type Names = &'static [&'static str];

/// The result of the last of `audits` audits with these options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Expected {
    /// The number of audits.
    pub audits: u8,
    /// Options of `countersign audit` in addition to the trusted keys and names.
    pub options: Names,
    pub exit: u8,
    pub verdict: &'static str,
    /// Every finding code above `info`, sorted.
    pub codes: Names,
    /// The kind of every misbehaviour file.
    pub evidence: Names,
}

/// All checks passed.
pub const CLEAN: Expected =
    Expected { audits: 1, options: &[], exit: 0, verdict: "clean", codes: &[], evidence: &[] };

/// The result is undecided.
pub const INCOMPLETE: Expected = Expected { exit: 3, verdict: "incomplete", ..CLEAN };

/// A check failed.
pub const fn invalid(codes: Names) -> Expected {
    Expected { exit: 1, verdict: "invalid", codes, ..CLEAN }
}

/// The log's key contradicted itself.
pub const fn violation(codes: Names, evidence: Names) -> Expected {
    Expected { exit: 4, verdict: "violation", codes, evidence, ..CLEAN }
}

impl Expected {
    /// Detected by the second audit.
    pub const fn second(self) -> Expected {
        Expected { audits: 2, ..self }
    }

    /// Detected with these options.
    pub const fn with(self, options: Names) -> Expected {
        Expected { options, ..self }
    }
}

/// The result of the last of `runs` gates that ask for the same with keys of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct GateExpected {
    /// The reason for its refusal; `None` if the action runs.
    pub reason: Option<&'static str>,
    /// The number of gates.
    pub runs: u8,
    /// Whether it takes the approver's pinned key. A gate without believes the first key that it sees.
    pub pinned: bool,
}

/// The first gate refuses, for this reason.
pub const fn refused(reason: &'static str) -> GateExpected {
    GateExpected { reason: Some(reason), runs: 1, pinned: false }
}

/// The action runs: the lie shows in the log.
pub const RUNS: GateExpected = GateExpected { reason: None, runs: 1, pinned: false };
