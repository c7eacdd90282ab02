//! What the auditor says to a lie, as data.

use serde::Serialize;

type Words = &'static [&'static str];

/// The answer of the last of `audits` audits with these options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Expected {
    /// How many audits it takes.
    pub audits: u8,
    /// Options of `countersign audit` besides those of trust.
    pub options: Words,
    pub exit: u8,
    pub verdict: &'static str,
    /// Every finding code above `info`, sorted.
    pub codes: Words,
    /// The kind of every misbehaviour file.
    pub evidence: Words,
}

/// Everything holds.
pub const CLEAN: Expected =
    Expected { audits: 1, options: &[], exit: 0, verdict: "clean", codes: &[], evidence: &[] };

/// It could not be decided.
pub const INCOMPLETE: Expected = Expected { exit: 3, verdict: "incomplete", ..CLEAN };

/// A check failed.
pub const fn invalid(codes: Words) -> Expected {
    Expected { exit: 1, verdict: "invalid", codes, ..CLEAN }
}

/// The log's key contradicted itself.
pub const fn violation(codes: Words, evidence: Words) -> Expected {
    Expected { exit: 4, verdict: "violation", codes, evidence, ..CLEAN }
}

impl Expected {
    /// It shows at the second audit.
    pub const fn second(self) -> Expected {
        Expected { audits: 2, ..self }
    }

    /// It shows with these options.
    pub const fn with(self, options: Words) -> Expected {
        Expected { options, ..self }
    }
}
