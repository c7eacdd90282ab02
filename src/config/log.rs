//! The table of one log in a config file.

use super::acknowledge::AcknowledgeTable;
use super::alert::AlertTable;
use super::gate::GivenGate;
use super::given::{Expected, Given, GivenNet};
use super::journal::JournalTable;
use super::names::OneOrMore;
use super::peer::PeerTable;
use super::values::{Colour, DecisionOption, Format, GivenFormat, LogFormat};
use super::watch::WatchTable;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The table of one log in a config. Keys have the names of the options.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LogTable {
    pub(super) format: Option<Format>,
    pub(super) quiet: bool,
    pub(super) verbose: bool,
    pub(super) color: Option<Colour>,
    pub(super) log_key: Option<String>,
    pub(super) policy: Option<PathBuf>,
    pub(super) rp_id: Option<String>,
    pub(super) allow_origin: Vec<String>,
    pub(super) allow_cross_origin: bool,
    pub(super) allow_top_origin: Vec<String>,
    pub(super) log: Option<String>,
    pub(super) api: bool,
    pub(super) db: Option<PathBuf>,
    pub(super) init: bool,
    pub(super) evidence_dir: Option<PathBuf>,
    pub(super) workers: Option<u16>,
    pub(super) full: bool,
    pub(super) heads_only: bool,
    pub(super) max_head_age: Option<String>,
    pub(super) deny_warnings: bool,
    pub(super) max_entries: Option<u64>,
    pub(super) max_findings: Option<u64>,
    pub(super) contact: Option<String>,
    pub(super) max_rps: Option<f64>,
    pub(super) timeout: Option<String>,
    pub(super) retry_for: Option<String>,
    pub(super) deadline: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) bearer_file: Option<PathBuf>,
    pub(super) bearer_env: Option<String>,
    pub(super) header_file: Option<PathBuf>,
    pub(super) header_env: Option<String>,
    pub(super) payload: Option<PathBuf>,
    pub(super) action: Option<String>,
    pub(super) email: Option<String>,
    pub(super) approver: OneOrMore,
    pub(super) expect_id: Option<String>,
    pub(super) max_age: Option<String>,
    pub(super) decision: Option<DecisionOption>,
    /// The name of the log, for `--name` and in the output of `monitor`.
    pub(super) name: Option<String>,
    /// The time between two audits by `monitor`.
    pub(super) interval: Option<String>,
    /// The address that `monitor` listens on.
    pub(super) listen: Option<String>,
    /// How `monitor` writes events.
    pub(super) log_format: Option<LogFormat>,
    /// Approver → keys: COSE_Key as base64url, or the key's identity as the mirror shows it.
    pub(super) approvers: BTreeMap<String, Vec<String>>,
    pub(super) alert: Vec<AlertTable>,
    pub(super) alert_reminder: Option<String>,
    pub(super) acknowledge: Vec<AcknowledgeTable>,
    pub(super) peer: Vec<PeerTable>,
    pub(super) watch: Vec<WatchTable>,
    /// The journal of a gate, for audits.
    pub(super) journal: Option<JournalTable>,
    /// What `gate` asks, and where.
    pub(super) gate: GivenGate,
}

impl LogTable {
    /// The name of the log.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The time between two audits of the log.
    pub fn interval(&self) -> Option<&str> {
        self.interval.as_deref()
    }

    /// Whether the table sets values that belong to the whole monitor.
    pub fn is_of_monitor(&self) -> bool {
        self.listen.is_some() || self.log_format.is_some()
    }

    /// Takes out the values that can also be given as options.
    pub(super) fn take_given(&mut self) -> Given {
        Given {
            format: self.format.map(GivenFormat::from),
            quiet: self.quiet,
            verbose: self.verbose,
            color: self.color,
            log_key: self.log_key.take(),
            policy: self.policy.take(),
            rp_id: self.rp_id.take(),
            allow_origin: std::mem::take(&mut self.allow_origin),
            allow_cross_origin: self.allow_cross_origin,
            allow_top_origin: std::mem::take(&mut self.allow_top_origin),
            log: self.log.take(),
            api: self.api,
            db: self.db.take(),
            init: self.init,
            evidence_dir: self.evidence_dir.take(),
            workers: self.workers,
            full: self.full,
            heads_only: self.heads_only,
            max_head_age: self.max_head_age.take(),
            deny_warnings: self.deny_warnings,
            max_entries: self.max_entries,
            max_findings: self.max_findings,
            journal: None,
            net: self.take_net(),
            expected: self.take_expected(),
            gate: std::mem::take(&mut self.gate),
        }
    }

    fn take_expected(&mut self) -> Expected {
        Expected {
            payload: self.payload.take(),
            action: self.action.take(),
            email: self.email.take(),
            approver: std::mem::take(&mut self.approver).0,
            expect_id: self.expect_id.take(),
            max_age: self.max_age.take(),
            decision: self.decision,
        }
    }

    fn take_net(&mut self) -> GivenNet {
        GivenNet {
            contact: self.contact.take(),
            max_rps: self.max_rps,
            timeout: self.timeout.take(),
            retry_for: self.retry_for.take(),
            deadline: self.deadline.take(),
            ca_file: self.ca_file.take(),
            bearer_file: self.bearer_file.take(),
            bearer_env: self.bearer_env.take(),
            header_file: self.header_file.take(),
            header_env: self.header_env.take(),
        }
    }
}
