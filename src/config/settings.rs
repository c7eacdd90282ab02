//! What was given and a config become settings: options over config over defaults.

use super::alerting::Alerting;
use super::duration::duration;
use super::error::Error;
use super::file_name;
use super::given::{Expected, Given};
use super::log::LogTable;
use super::net::Net;
use super::outside::Outside;
use super::peer::{self, NamedPeer};
use super::trust;
use super::values::{Colour, Format, GivenFormat};
use super::watch::{self, Watch};
use crate::audit::policy::Policy;
use crate::audit::trust::TrustPolicy;
use crate::core::hash::Hash;
use crate::core::head::LogKey;
use crate::core::limits::MAX_POLICY;
use crate::core::text;
use crate::core::tlog_policy::TlogPolicy;
use crate::core::webauthn::RelyingParty;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Entries of a log that is mirrored, at most, where nobody says.
const MAX_ENTRIES: u64 = 100_000_000;

/// Findings that stand, at most, where nobody says.
const MAX_FINDINGS: u64 = 50_000;

/// Settings of one run, each checked by itself and against the others.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the report is written.
    pub format: Format,
    /// No progress, and no text report where the verdict is clean.
    pub quiet: bool,
    /// Say what is being done, and list the checks that hold.
    pub verbose: bool,
    /// When a text report is in colour.
    pub colour: Colour,
    /// The pinned log key: the one that was given, or the only one of the policy.
    pub log_key: Option<LogKey>,
    /// The same, or all those of the policy where there are several.
    pub log_keys: Vec<LogKey>,
    /// Which witnesses must have cosigned.
    pub witnesses: Option<TlogPolicy>,
    /// What assertions must be made for.
    pub relying_party: RelyingParty,
    /// Keys of approvers that are pinned.
    pub pinned_keys: BTreeMap<String, Vec<Hash>>,
    /// Where the log is.
    pub log: Option<String>,
    /// Where that is said, for messages.
    pub log_said: String,
    /// The log of the config, whether or not another is given.
    pub config_log: Option<String>,
    /// The URL is the base of a JSON API.
    pub api: bool,
    /// The mirror.
    pub db: Option<PathBuf>,
    /// Create the mirror where it is missing.
    pub init: bool,
    /// Where misbehaviour files go, if somewhere else than by default.
    pub evidence_dir: Option<PathBuf>,
    /// Threads that fetch and check.
    pub workers: Option<u16>,
    /// Check all entries again, and the mirror.
    pub full: bool,
    /// Follow the signed heads alone.
    pub heads_only: bool,
    /// Milliseconds.
    pub max_head_age: Option<u64>,
    /// Warnings make the verdict invalid.
    pub deny_warnings: bool,
    /// Refuse to mirror more entries.
    pub max_entries: u64,
    /// Stop when more findings stand.
    pub max_findings: u64,
    /// How things are fetched.
    pub net: Net,
    /// What receipts are to be of.
    pub expected: Expected,
    /// Who is told of what, as the config has it.
    pub alerting: Alerting,
    /// Whose heads are compared with ours, as the config has it.
    pub peers: Vec<NamedPeer>,
    /// Which entries somebody wants to hear of, as the config has it.
    pub watch: Vec<Watch>,
}

impl Settings {
    /// Puts together what was given and what a config says of one log. `config` is where that is: what it names of
    /// policies is beside it.
    ///
    /// # Errors
    /// A sentence for the person.
    pub fn resolve(
        mut given: Given,
        mut file: LogTable,
        config: Option<&Path>,
        outside: &Outside<'_>,
    ) -> Result<Settings, Error> {
        let mut of_config = file.take_given();
        let beside = |path: PathBuf| match config.and_then(Path::parent) {
            Some(folder) => folder.join(path),
            None => path,
        };
        of_config.policy = of_config.policy.map(beside);
        let config_log = of_config.log.clone();
        let (net, config_net) = (std::mem::take(&mut given.net), std::mem::take(&mut of_config.net));
        // What came from the config is at fault there.
        let said = |is_given: bool, key: &str| match config {
            Some(config) if !is_given => format!("config {config:?}: {key}"),
            _ => format!("--{key}"),
        };
        let log_said = said(given.log.is_some(), "log");
        let db_said = said(given.db.is_some(), "db");
        let evidence_said = said(given.evidence_dir.is_some(), "evidence-dir");
        let given = given.or(of_config);

        let log_key = given.log_key.map(|vkey| LogKey::parse(&vkey)).transpose();
        let log_key = log_key.map_err(|why| format!("--log-key: {why}"))?;
        let witnesses = given.policy.map(|path| read_policy(&path, outside)).transpose()?;
        let log_keys = trust::log_keys(log_key, witnesses.as_ref())?;
        let log_key = match log_keys.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        };
        for origin in given.allow_origin.iter().chain(&given.allow_top_origin) {
            trust::check_origin(origin)?;
        }
        if let Some(rp_id) = &given.rp_id {
            trust::check_rp_id(rp_id)?;
        }
        let format = given.format.map(GivenFormat::of_report).transpose()?.unwrap_or_default();
        let alerting = Alerting::resolve(file.alert, file.alert_reminder, file.acknowledge)?;
        if given.workers.is_some_and(|workers| !(1..=256).contains(&workers)) {
            return Err("workers must be 1 to 256".into());
        }
        given.db.as_deref().map_or(Ok(()), |db| file_name::check_mirror(&db_said, db))?;
        given.evidence_dir.as_deref().map_or(Ok(()), |path| file_name::check_home(&evidence_said, path))?;
        if given.full && given.heads_only {
            return Err("full checks all entries again, and heads-only none: ask for one of them".into());
        }
        let pinned_keys = trust::pinned(file.approvers)?;
        let max_head_age = given.max_head_age.map(|age| duration(&age)).transpose();
        let max_head_age = max_head_age.map_err(|why| format!("--max-head-age: {why}"))?;
        Ok(Settings {
            format,
            quiet: given.quiet,
            verbose: given.verbose,
            colour: given.color.unwrap_or_default(),
            log_key,
            log_keys,
            witnesses,
            relying_party: RelyingParty {
                rp_id: given.rp_id,
                allowed_origins: (!given.allow_origin.is_empty()).then_some(given.allow_origin),
                allow_cross_origin: given.allow_cross_origin,
                allowed_top_origins: given.allow_top_origin,
                require_user_verification: true,
            },
            pinned_keys,
            log: given.log,
            log_said,
            config_log,
            api: given.api,
            db: given.db,
            init: given.init,
            evidence_dir: given.evidence_dir,
            workers: given.workers,
            full: given.full,
            heads_only: given.heads_only,
            max_head_age,
            deny_warnings: given.deny_warnings,
            max_entries: given.max_entries.unwrap_or(MAX_ENTRIES),
            max_findings: given.max_findings.unwrap_or(MAX_FINDINGS),
            net: Net::resolve(net, config_net, given.workers)?,
            expected: given.expected,
            peers: peer::resolve(file.peer, outside)?,
            watch: watch::resolve(file.watch, &alerting.channels)?,
            alerting,
        })
    }

    /// The policy under this log key.
    pub fn policy(&self, log_key: LogKey) -> Policy {
        Policy {
            log_key,
            relying_party: self.relying_party.clone(),
            pinned_keys: self.pinned_keys.clone(),
            max_head_age: self.max_head_age,
            witnesses: self.witnesses.clone(),
        }
    }

    /// Whom a receipt is held against.
    pub fn trust(&self) -> TrustPolicy {
        TrustPolicy {
            log_keys: self.log_keys.clone(),
            relying_party: self.relying_party.clone(),
            pinned_keys: self.pinned_keys.clone(),
            witnesses: self.witnesses.clone(),
        }
    }

    /// The log key, where one log is meant.
    ///
    /// # Errors
    /// The policy lists several logs.
    pub fn one_log_key(&self) -> Result<Option<&LogKey>, Error> {
        if self.log_key.is_some() || self.log_keys.is_empty() {
            return Ok(self.log_key.as_ref());
        }
        let names: Vec<String> = self.log_keys.iter().map(|key| text::quoted(key.origin())).collect();
        let names = names.join(", ");
        Err(format!("the policy lists several logs: say which with --log-key VKEY ({names})").into())
    }

    /// Where the log is.
    ///
    /// # Errors
    /// Nobody said.
    pub fn require_log(&self) -> Result<&str, Error> {
        self.log.as_deref().ok_or_else(|| "which log? Give it with --log URL-or-DIR".into())
    }

    /// The mirror's path.
    ///
    /// # Errors
    /// Nobody said.
    pub fn require_db(&self) -> Result<&Path, Error> {
        self.db.as_deref().ok_or_else(|| "which mirror? Give it with --db FILE".into())
    }
}

fn read_policy(path: &Path, outside: &Outside<'_>) -> Result<TlogPolicy, Error> {
    if path == Path::new("-") {
        return Err("--policy: trust is not read from stdin: give a file".into());
    }
    let bytes =
        (outside.read)(path, MAX_POLICY).map_err(|error| error.within(|why| format!("--policy: {why}")))?;
    TlogPolicy::parse(&bytes).map_err(|error| format!("policy {path:?} {error}").into())
}
