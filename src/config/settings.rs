//! Resolves settings. Options take precedence over the config, and the config over defaults.

use super::alerting::Alerting;
use super::duration::duration;
use super::error::Error;
use super::file_name;
use super::gate::GateSettings;
use super::given::{Expected, Given};
use super::journal::{self, JournalSettings};
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
use std::time::Duration;

/// The default for the most entries of a mirrored log.
const MAX_ENTRIES: u64 = 100_000_000;

/// The default for the most standing findings.
const MAX_FINDINGS: u64 = 50_000;

/// The settings of one run. Each is checked by itself and against the others.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The format of the report.
    pub format: Format,
    /// Show no progress, and no text report if the verdict is clean.
    pub quiet: bool,
    /// Say what is being done, and list the checks that hold.
    pub verbose: bool,
    /// Whether a text report is in colour.
    pub colour: Colour,
    /// The pinned log key: the given one, or the only one in the policy.
    pub log_key: Option<LogKey>,
    /// The same key, or all keys of the policy if it has several.
    pub log_keys: Vec<LogKey>,
    /// The policy that says which witnesses must have cosigned.
    pub witnesses: Option<TlogPolicy>,
    /// The relying party and the origins that assertions must be made for.
    pub relying_party: RelyingParty,
    /// Approvers and the identities of their pinned keys.
    pub pinned_keys: BTreeMap<String, Vec<Hash>>,
    /// The location of the log.
    pub log: Option<String>,
    /// The option or the config key that names the log, for messages.
    pub log_said: String,
    /// The log that the config names, even if an option names another.
    pub config_log: Option<String>,
    /// The URL is the base of a JSON API.
    pub api: bool,
    /// The path of the mirror.
    pub db: Option<PathBuf>,
    /// Create the mirror if it is missing.
    pub init: bool,
    /// The directory for misbehaviour files, if not the default.
    pub evidence_dir: Option<PathBuf>,
    /// The number of threads that fetch and check.
    pub workers: Option<u16>,
    /// Check all entries again, and the mirror.
    pub full: bool,
    /// Check only the signed heads, not the entries.
    pub heads_only: bool,
    /// The age of the newest head above which a warning is given.
    pub max_head_age: Option<Duration>,
    /// Warnings make the verdict invalid.
    pub deny_warnings: bool,
    /// Refuse to mirror a log of more entries than this.
    pub max_entries: u64,
    /// Stop when more findings than this stand.
    pub max_findings: u64,
    /// Settings for HTTP.
    pub net: Net,
    /// What receipts are checked against.
    pub expected: Expected,
    /// The alerts of the config.
    pub alerting: Alerting,
    /// The peers of the config, whose heads are compared with ours.
    pub peers: Vec<NamedPeer>,
    /// The watch rules of the config.
    pub watch: Vec<Watch>,
    /// The journal of a gate, which audits hold against the log.
    pub journal: Option<JournalSettings>,
    /// Settings of a gate.
    pub gate: GateSettings,
}

impl Settings {
    /// Resolves settings from the given values and from the table of one log. `config` is the path of the config; a
    /// policy that the config names is relative to it.
    ///
    /// # Errors
    /// Returns [`Error`] if a value is wrong, if values contradict each other, or if a policy cannot be read.
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
        let gate =
            GateSettings::resolve(std::mem::take(&mut given.gate), std::mem::take(&mut of_config.gate))?;
        // Messages name the place that a value came from.
        let label = |is_given: bool, key: &str| match config {
            Some(config) if !is_given => format!("config {config:?}: {key}"),
            _ => format!("--{key}"),
        };
        let log_said = label(given.log.is_some(), "log");
        let db_said = label(given.db.is_some(), "db");
        let evidence_said = label(given.evidence_dir.is_some(), "evidence-dir");
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
        given.db.as_deref().map_or(Ok(()), |db| file_name::check_database(&db_said, "mirror", db))?;
        given.evidence_dir.as_deref().map_or(Ok(()), |path| file_name::check_home(&evidence_said, path))?;
        if given.full && given.heads_only {
            return Err(
                "full checks all entries again, and heads-only checks none: give only one of them".into()
            );
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
            journal: journal::resolve(given.journal, file.journal.unwrap_or_default())?,
            gate,
        })
    }

    /// The policy of an audit with this log key.
    pub fn policy(&self, log_key: LogKey) -> Policy {
        Policy {
            log_key,
            relying_party: self.relying_party.clone(),
            pinned_keys: self.pinned_keys.clone(),
            max_head_age: self.max_head_age,
            witnesses: self.witnesses.clone(),
        }
    }

    /// The trust policy that receipts are verified with.
    pub fn trust(&self) -> TrustPolicy {
        TrustPolicy {
            log_keys: self.log_keys.clone(),
            relying_party: self.relying_party.clone(),
            pinned_keys: self.pinned_keys.clone(),
            witnesses: self.witnesses.clone(),
        }
    }

    /// The log key, if there is one.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if the policy lists several logs and no key selects one.
    pub fn one_log_key(&self) -> Result<Option<&LogKey>, Error> {
        if self.log_key.is_some() || self.log_keys.is_empty() {
            return Ok(self.log_key.as_ref());
        }
        let names: Vec<String> = self.log_keys.iter().map(|key| text::quoted(key.origin())).collect();
        let names = names.join(", ");
        Err(format!("the policy lists several logs: select one with --log-key VKEY ({names})").into())
    }

    /// The location of the log.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if it was not given.
    pub fn require_log(&self) -> Result<&str, Error> {
        self.log.as_deref().ok_or_else(|| "missing --log URL-or-DIR".into())
    }

    /// The path of the mirror.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if it was not given.
    pub fn require_db(&self) -> Result<&Path, Error> {
        self.db.as_deref().ok_or_else(|| "missing --db FILE".into())
    }
}

fn read_policy(path: &Path, outside: &Outside<'_>) -> Result<TlogPolicy, Error> {
    if path == Path::new("-") {
        return Err("--policy cannot be read from stdin: give a file".into());
    }
    let bytes =
        (outside.read)(path, MAX_POLICY).map_err(|error| error.within(|why| format!("--policy: {why}")))?;
    TlogPolicy::parse(&bytes).map_err(|error| format!("policy {path:?} {error}").into())
}
