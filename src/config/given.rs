//! Values from options or from a config, under the same names. Nothing is read, and little is checked.

use super::gate::GivenGate;
use super::values::{Colour, DecisionOption, GivenFormat, LogFormat};
use std::path::PathBuf;

/// Values for one log. An absent value has a default, or its check is not asked for.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Given {
    /// The format of the report or of the receipt.
    pub format: Option<GivenFormat>,
    /// Show no progress, and no text report if the verdict is clean.
    pub quiet: bool,
    /// Say what is being done, and list the checks that hold.
    pub verbose: bool,
    /// Colours in the text report.
    pub color: Option<Colour>,
    /// The log's public key, as a C2SP verifier key.
    pub log_key: Option<String>,
    /// A file with a C2SP tlog-policy.
    pub policy: Option<PathBuf>,
    /// The WebAuthn relying party id.
    pub rp_id: Option<String>,
    /// Web origins that approvals may be signed on.
    pub allow_origin: Vec<String>,
    /// Whether approvals signed inside a frame of another origin are accepted.
    pub allow_cross_origin: bool,
    /// Top-level origins that may frame the approval page.
    pub allow_top_origin: Vec<String>,
    /// The log: a directory, a URL prefix, or the base of a JSON API.
    pub log: Option<String>,
    /// The URL is the base of a JSON API.
    pub api: bool,
    /// The mirror, an SQLite file.
    pub db: Option<PathBuf>,
    /// Create the mirror if it is missing.
    pub init: bool,
    /// The directory for misbehaviour files; by default that of the mirror.
    pub evidence_dir: Option<PathBuf>,
    /// The number of threads that fetch and check.
    pub workers: Option<u16>,
    /// Check all entries again from the mirror, and the mirror itself.
    pub full: bool,
    /// Check only the signed heads, not the entries.
    pub heads_only: bool,
    /// Warn if the newest head is older than this, such as `36h`.
    pub max_head_age: Option<String>,
    /// Warnings make the verdict invalid.
    pub deny_warnings: bool,
    /// Refuse to mirror a log of more entries than this.
    pub max_entries: Option<u64>,
    /// Stop when more findings than this stand.
    pub max_findings: Option<u64>,
    /// The journal of a gate, which is held against the log. Not from a config, where it has a table.
    pub journal: Option<PathBuf>,
    /// Options for HTTP.
    pub net: GivenNet,
    /// What receipts are checked against.
    pub expected: Expected,
    /// Options of a gate.
    pub gate: GivenGate,
}

impl Given {
    /// Merges with `other`, where values of `self` take precedence. Options for HTTP and of a gate are not merged,
    /// because a secret is only for the server that it was given for (`Net`, `GateSettings`).
    #[must_use]
    pub(super) fn or(self, other: Given) -> Given {
        let either = |these: Vec<String>, others| if these.is_empty() { others } else { these };
        Given {
            format: self.format.or(other.format),
            quiet: self.quiet || other.quiet,
            verbose: self.verbose || other.verbose,
            color: self.color.or(other.color),
            log_key: self.log_key.or(other.log_key),
            policy: self.policy.or(other.policy),
            rp_id: self.rp_id.or(other.rp_id),
            allow_origin: either(self.allow_origin, other.allow_origin),
            allow_cross_origin: self.allow_cross_origin || other.allow_cross_origin,
            allow_top_origin: either(self.allow_top_origin, other.allow_top_origin),
            log: self.log.or(other.log),
            api: self.api || other.api,
            db: self.db.or(other.db),
            init: self.init || other.init,
            evidence_dir: self.evidence_dir.or(other.evidence_dir),
            workers: self.workers.or(other.workers),
            full: self.full || other.full,
            heads_only: self.heads_only || other.heads_only,
            max_head_age: self.max_head_age.or(other.max_head_age),
            deny_warnings: self.deny_warnings || other.deny_warnings,
            max_entries: self.max_entries.or(other.max_entries),
            max_findings: self.max_findings.or(other.max_findings),
            journal: self.journal.or(other.journal),
            net: self.net,
            expected: self.expected.or(other.expected),
            gate: self.gate,
        }
    }
}

/// Options for HTTP.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct GivenNet {
    /// An address or URL for the log's operator.
    pub contact: Option<String>,
    /// The most requests a second.
    pub max_rps: Option<f64>,
    /// The most time for one request.
    pub timeout: Option<String>,
    /// The most time for one resource, retries included.
    pub retry_for: Option<String>,
    /// The most time for all requests of a run.
    pub deadline: Option<String>,
    /// A PEM file of certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// A file with a bearer token.
    pub bearer_file: Option<PathBuf>,
    /// The name of a variable with a bearer token.
    pub bearer_env: Option<String>,
    /// A file with secret headers.
    pub header_file: Option<PathBuf>,
    /// The name of a variable with a secret header.
    pub header_env: Option<String>,
}

/// What a receipt is checked against.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Expected {
    /// The caller's own payload, a file.
    pub payload: Option<PathBuf>,
    /// The action text.
    pub action: Option<String>,
    /// The approver's address.
    pub email: Option<String>,
    /// The approver must be one of these. If empty, any approver is accepted.
    pub approver: Vec<String>,
    /// The approval's id.
    pub expect_id: Option<String>,
    /// The greatest age of the decision, such as `10m`.
    pub max_age: Option<String>,
    /// The decision that the receipt must have.
    pub decision: Option<DecisionOption>,
}

impl Expected {
    /// Merges with `other`, where values of `self` take precedence.
    #[must_use]
    pub fn or(self, other: Expected) -> Expected {
        Expected {
            payload: self.payload.or(other.payload),
            action: self.action.or(other.action),
            email: self.email.or(other.email),
            approver: if self.approver.is_empty() { other.approver } else { self.approver },
            expect_id: self.expect_id.or(other.expect_id),
            max_age: self.max_age.or(other.max_age),
            decision: self.decision.or(other.decision),
        }
    }
}

/// Values for all logs that a monitor watches.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct GivenMonitor {
    /// The address on which pages are served.
    pub listen: Option<String>,
    /// The time between two audits of a log.
    pub interval: Option<String>,
    /// How events are written.
    pub log_format: Option<LogFormat>,
}
