//! Arguments and config file become settings.

use super::alert_tables::Alerting;
use super::args::{AuditOptions, Colour, Common, ExpectedOptions, Format, TypedFormat};
use super::config_file::{self, ConfigFile};
use super::failure::Failure;
use super::file_name;
use super::net::Net;
use super::output;
use super::peer_tables::{self, NamedPeer};
use super::watch_tables::{self, Watch};
use crate::audit::policy::Policy;
use crate::audit::trust::{TrustPolicy, key_identity};
use crate::core::hash::Hash;
use crate::core::head::LogKey;
use crate::core::tlog_policy::TlogPolicy;
use crate::core::webauthn::RelyingParty;
use crate::core::{limits, text};
use crate::mirror::{folder, place_of};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Settings of one run: options over config over defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    pub format: Format,
    pub quiet: bool,
    pub verbose: bool,
    pub colour: Colour,
    /// The pinned log key: the one that was given, or the only one of the policy.
    pub log_key: Option<LogKey>,
    /// The same, or all those of the policy where there are several.
    pub log_keys: Vec<LogKey>,
    pub witnesses: Option<TlogPolicy>,
    pub relying_party: RelyingParty,
    pub pinned_keys: BTreeMap<String, Vec<Hash>>,
    pub log: Option<String>,
    /// Where that is said, for messages.
    pub log_said: String,
    /// The log of the config, whether or not another is given.
    pub config_log: Option<String>,
    pub api: bool,
    pub db: Option<PathBuf>,
    pub init: bool,
    pub evidence_dir: Option<PathBuf>,
    pub workers: Option<u16>,
    pub full: bool,
    pub heads_only: bool,
    pub max_head_age: Option<u64>,
    pub deny_warnings: bool,
    pub max_entries: u64,
    pub max_findings: u64,
    pub net: Net,
    /// What receipts are to be of, as the config has it.
    pub expected: ExpectedOptions,
    /// Who is told of what, as the config has it.
    pub alerting: Alerting,
    /// Whose heads are compared with ours, as the config has it.
    pub peers: Vec<NamedPeer>,
    /// Which entries somebody wants to hear of, as the config has it.
    pub watch: Vec<Watch>,
}

impl Settings {
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
    /// A sentence for the person: the policy lists several logs.
    pub fn one_log_key(&self) -> Result<Option<&LogKey>, String> {
        if self.log_key.is_some() || self.log_keys.is_empty() {
            return Ok(self.log_key.as_ref());
        }
        let names: Vec<String> = self.log_keys.iter().map(|key| text::quoted(key.origin())).collect();
        Err(format!("the policy lists several logs: say which with --log-key VKEY ({})", names.join(", ")))
    }

    /// Where misbehaviour files go: beside the mirror itself, whatever links lead to it, unless told otherwise.
    pub fn evidence_dir_for(&self, db: &Path) -> PathBuf {
        self.evidence_dir.clone().unwrap_or_else(|| folder(&place_of(db)).to_owned())
    }

    /// Where the log is.
    pub fn require_log(&self) -> Result<&str, String> {
        self.log.as_deref().ok_or_else(|| "which log? Give it with --log URL-or-DIR".to_owned())
    }

    /// The mirror's path.
    pub fn require_db(&self) -> Result<&Path, String> {
        self.db.as_deref().ok_or_else(|| "which mirror? Give it with --db FILE".to_owned())
    }
}

/// A name without a config.
pub const NAME_OF_WHAT: &str =
    "--name says which [[log]] of a config is meant: give the config with --config FILE";

/// Puts options and config together.
///
/// # Errors
/// A sentence for the person: wrong usage.
pub fn resolve(common: Common, options: AuditOptions) -> Result<Settings, Failure> {
    let file = match (common.config.as_deref(), common.name.as_deref()) {
        (Some(path), name) => config_file::of_one_log(path, name)?,
        (None, None) => ConfigFile::default(),
        (None, Some(_)) => return Err(NAME_OF_WHAT.into()),
    };
    settle(common, options, file)
}

/// Puts options and what a config says of one log together.
///
/// # Errors
/// A sentence for the person: wrong usage.
pub fn settle(common: Common, options: AuditOptions, mut file: ConfigFile) -> Result<Settings, Failure> {
    let (file_net, expected) = (file.net(), file.expected());
    let log_key = common.log_key.or(file.log_key);
    let log_key =
        log_key.map(|vkey| LogKey::parse(&vkey)).transpose().map_err(|why| format!("--log-key: {why}"))?;
    let beside = |path: PathBuf| match common.config.as_deref().and_then(Path::parent) {
        Some(folder) => folder.join(path),
        None => path,
    };
    let witnesses = common.policy.clone().or(file.policy.map(beside));
    let witnesses = witnesses.map(|path| read_policy(&path)).transpose()?;
    let log_keys = log_keys(log_key, witnesses.as_ref())?;
    let log_key = match log_keys.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    };
    let origins = if common.allow_origin.is_empty() { file.allow_origin } else { common.allow_origin };
    let top =
        if common.allow_top_origin.is_empty() { file.allow_top_origin } else { common.allow_top_origin };
    for origin in origins.iter().chain(&top) {
        check_origin(origin)?;
    }
    let rp_id = common.rp_id.or(file.rp_id);
    if let Some(rp_id) = &rp_id {
        check_rp_id(rp_id)?;
    }
    let format = common.format.map(TypedFormat::of_report).transpose()?;
    let age = options.max_head_age.or(file.max_head_age);
    let workers = options.workers.or(file.workers);
    let alerting = Alerting::resolve(file.alert, file.alert_reminder, file.acknowledge)?;
    if workers.is_some_and(|workers| !(1..=256).contains(&workers)) {
        return Err("workers must be 1 to 256".into());
    }
    // What came from the config is at fault there.
    let said = |is_typed: bool, key: &str| match common.config.as_deref() {
        Some(config) if !is_typed => format!("config {config:?}: {key}"),
        _ => format!("--{key}"),
    };
    let log_said = said(options.log.is_some(), "log");
    let db_said = said(options.db.is_some(), "db");
    let evidence_said = said(options.evidence_dir.is_some(), "evidence-dir");
    let (db, evidence_dir) = (options.db.or(file.db), options.evidence_dir.or(file.evidence_dir));
    db.as_deref().map_or(Ok(()), |db| file_name::check_mirror(&db_said, db))?;
    evidence_dir.as_deref().map_or(Ok(()), |path| file_name::check_home(&evidence_said, path))?;
    let full = options.full || file.full;
    let heads_only = options.heads_only || file.heads_only;
    if full && heads_only {
        return Err("full checks all entries again, and heads-only none: ask for one of them".into());
    }
    Ok(Settings {
        format: format.or(file.format).unwrap_or_default(),
        quiet: common.quiet || file.quiet,
        verbose: common.verbose || file.verbose,
        colour: common.color.or(file.color).unwrap_or_default(),
        log_key,
        log_keys,
        witnesses,
        relying_party: RelyingParty {
            rp_id,
            allowed_origins: (!origins.is_empty()).then_some(origins),
            allow_cross_origin: common.allow_cross_origin || file.allow_cross_origin,
            allowed_top_origins: top,
            require_user_verification: true,
        },
        pinned_keys: pinned(file.approvers)?,
        config_log: file.log.clone(),
        log: options.log.or(file.log),
        log_said,
        api: options.api || file.api,
        db,
        init: options.init || file.init,
        evidence_dir,
        workers,
        full,
        heads_only,
        max_head_age: age
            .map(|age| duration(&age))
            .transpose()
            .map_err(|why| format!("--max-head-age: {why}"))?,
        deny_warnings: options.deny_warnings || file.deny_warnings,
        max_entries: options.max_entries.or(file.max_entries).unwrap_or(100_000_000),
        max_findings: options.max_findings.or(file.max_findings).unwrap_or(50_000),
        net: Net::resolve(*options.net, file_net, workers)?,
        expected,
        peers: peer_tables::resolve(file.peer)?,
        watch: watch_tables::resolve(file.watch, &alerting.channels)?,
        alerting,
    })
}

fn read_policy(path: &Path) -> Result<TlogPolicy, Failure> {
    if path == Path::new("-") {
        return Err("--policy: trust is not read from stdin: give a file".into());
    }
    let bytes = output::read_file(path, limits::MAX_POLICY)
        .map_err(|failure| failure.within(|why| format!("--policy: {why}")))?;
    TlogPolicy::parse(&bytes).map_err(|error| format!("policy {path:?} {error}").into())
}

/// The key that was given, or else those of the policy. A policy that lists logs is about no other log: with a
/// key that is none of them, one of the two is a slip.
fn log_keys(given: Option<LogKey>, policy: Option<&TlogPolicy>) -> Result<Vec<LogKey>, String> {
    let listed = policy.map(TlogPolicy::logs).unwrap_or_default();
    let Some(given) = given else { return Ok(listed.to_vec()) };
    let is_given = |key: &LogKey| key.verifier().to_string() == given.verifier().to_string();
    if listed.is_empty() || listed.iter().any(is_given) {
        return Ok(vec![given]);
    }
    Err("--log-key is none of the logs that the policy lists: take the key or the policy that is meant"
        .to_owned())
}

/// A relying party id is a domain name. Anything else is a slip (an empty variable, a URL), and would
/// make every entry of an honest log look wrong.
fn check_rp_id(rp_id: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    let well =
        !rp_id.is_empty() && rp_id.chars().all(allowed) && !rp_id.starts_with('.') && !rp_id.ends_with('.');
    if well {
        return Ok(());
    }
    Err(format!("--rp-id {}: write the domain name alone, such as approvals.example", text::quoted(rp_id)))
}

/// Origins are compared byte for byte, so one that no browser sends would reject everything.
fn check_origin(origin: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("origin {}: {why}", text::quoted(origin)));
    if origin == "null" || origin.starts_with("android:apk-key-hash:") || origin.starts_with("ios:bundle-id:")
    {
        return Ok(());
    }
    let Some((scheme, host)) = origin.split_once("://") else {
        return wrong("write it as a browser sends it, such as https://approvals.example");
    };
    if scheme.is_empty()
        || host.is_empty()
        || host.contains(['/', '?', '#', '@', '*'])
        || host.contains(char::is_whitespace)
    {
        return wrong("an origin is scheme, host and port only, with no path, slash or wildcard");
    }
    if origin.chars().any(|c| c.is_ascii_uppercase() || !c.is_ascii_graphic()) {
        return wrong("browsers send origins in lower case, and other scripts as xn--...");
    }
    if (scheme == "https" && host.ends_with(":443")) || (scheme == "http" && host.ends_with(":80")) {
        return wrong("browsers leave the usual port out");
    }
    Ok(())
}

/// A span of time in milliseconds.
///
/// # Errors
/// A sentence for the person.
pub fn duration(text: &str) -> Result<u64, String> {
    // Elsewhere M is a month; who writes 10M means minutes, and would be content with any age.
    if text.contains('M') {
        return Err(format!("{}: write m for minutes, and days for longer spans", text::quoted(text)));
    }
    let parsed = humantime::parse_duration(text).map_err(|error| {
        format!("{} is no duration ({error}); write it as 90s, 30m, 36h or 7days", text::quoted(text))
    })?;
    u64::try_from(parsed.as_millis()).map_err(|_| format!("{} is too long", text::quoted(text)))
}

fn pinned(approvers: BTreeMap<String, Vec<String>>) -> Result<BTreeMap<String, Vec<Hash>>, String> {
    let mut pinned = BTreeMap::new();
    for (approver, keys) in approvers {
        let identities = keys.iter().map(|key| key_identity(key).map_err(|why| (key, why)));
        let identities = identities.collect::<Result<Vec<Hash>, _>>().map_err(|(key, why)| {
            format!("[approvers] {}: key {}: {why}", text::quoted(&approver), text::quoted(key))
        })?;
        pinned.insert(approver, identities);
    }
    Ok(pinned)
}
