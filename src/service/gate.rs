//! What a gate needs, from settings: the service with its API key, the log behind its JSON API, the journal.
//!
//! What could never end in an approval is wrong usage, before anybody is asked: a log without its key, a relying party or
//! a web origin that nobody named, a log that cannot be asked by id.

use super::log::{NO_LOG_KEY, OpenLog, open_log_with};
use super::{Error, files, http, secrets};
use crate::audit::trust::TrustPolicy;
use crate::config::{API_KEY_VARIABLE, ApiKeyPlace, GateSettings, Settings};
use crate::core::encoding::encode_hex;
use crate::core::limits::MAX_JSON_PAYLOAD;
use crate::gate::Limits;
use crate::gate::journal::{Journal, JournalError};
use crate::gate::judge::Demands;
use crate::gate::request::Request;
use crate::gate::service::Service;
use crate::gate::wire::API_KEY_HEADER;
use crate::mirror::{folder, is_there};
use crate::source::{HttpOptions, OpenError, RequestCounters, SecretHeaders, ServiceClient, Stop};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The least time for one answer of the log.
const LEAST_LOG_ANSWER: Duration = Duration::from_secs(5);

/// A gate that is ready to ask.
pub struct OpenGate {
    /// The approval service.
    pub service: Service,
    /// The log, behind its JSON API.
    pub log: OpenLog,
    /// The origin of the log.
    pub origin: String,
    /// What the caller trusts.
    pub trust: TrustPolicy,
    /// What the caller demands beyond a clean receipt.
    pub demands: Demands,
    /// How long is waited.
    pub limits: Limits,
}

/// Fixes what is asked. The payload is read here, once.
///
/// # Errors
/// Returns [`Error`] if something is missing, if the payload cannot be read, or if nobody can be asked this.
pub fn request(settings: &Settings) -> Result<Request, Error> {
    check_given(settings)?;
    let settings = &settings.gate;
    let username = settings.username.as_deref().ok_or("missing --username NAME: who is asked")?;
    let action = settings.action.as_deref().ok_or("missing --action TEXT: what they are asked to approve")?;
    let payload =
        settings.payload.as_deref().ok_or("missing --payload FILE: the arguments of the action, as JSON")?;
    let bytes = files::read_start(payload, MAX_JSON_PAYLOAD);
    let bytes = bytes.map_err(|error| error.within(|why| format!("--payload: {why}")))?;
    Request::new(username, action, &bytes).map_err(|error| error.to_string().into())
}

/// Names all options at once where several are missing. Of a single one, whatever needs it says what it is.
fn check_given(settings: &Settings) -> Result<(), Error> {
    let (gate, relying_party) = (&settings.gate, &settings.relying_party);
    let missing: Vec<&str> = [
        ("--service URL", gate.service.is_none()),
        ("--log URL", settings.log.is_none()),
        ("--log-key VKEY", settings.one_log_key()?.is_none()),
        ("--rp-id ID", relying_party.rp_id.is_none()),
        ("--allow-origin ORIGIN", relying_party.allowed_origins.is_none()),
        ("--username NAME", gate.username.is_none()),
        ("--action TEXT", gate.action.is_none()),
        ("--payload FILE", gate.payload.is_none()),
    ]
    .into_iter()
    .filter_map(|(option, is_missing)| is_missing.then_some(option))
    .collect();
    match missing.len() {
        0 | 1 => Ok(()),
        _ => Err(format!("missing {}; a file for --config can have them too", missing.join(", ")).into()),
    }
}

/// Opens the service and the log. Nothing is sent yet; `stop` ends all that is sent later.
///
/// # Errors
/// Returns [`Error`] on wrong usage, or if this machine cannot do it.
pub fn open(settings: &Settings, stop: &Stop) -> Result<OpenGate, Error> {
    let gate = &settings.gate;
    let key = settings.one_log_key()?.ok_or(NO_LOG_KEY)?;
    if settings.relying_party.rp_id.is_none() {
        return Err("missing --rp-id ID: the site for which a passkey must have signed".into());
    }
    if settings.relying_party.allowed_origins.is_none() {
        return Err("missing --allow-origin ORIGIN: the origin of the page on which people approve".into());
    }
    let service = service(settings, stop)?;
    let location = settings.require_log()?;
    let patience = gate.log_wait.max(LEAST_LOG_ANSWER);
    let log = open_log_with(settings, location, &RequestCounters::default(), |options| HttpOptions {
        stop: stop.clone(),
        attempt_timeout: options.attempt_timeout.min(patience),
        retry_after_cap: options.retry_after_cap.min(gate.log_wait),
        // A gate looks again by itself, sooner and for as long as --log-wait says.
        retries: 0,
        later_retries: 0,
        missing_retries: 0,
        ..options
    })?;
    if log.source.api().is_none() {
        return Err("a gate asks the log for one approval by its id, which a tiled log does not answer: give its JSON API, as \
                    --log api+https://host/public/log"
            .into());
    }
    Ok(OpenGate {
        service,
        log,
        origin: key.origin().to_owned(),
        trust: TrustPolicy { log_keys: vec![key.clone()], ..settings.trust() },
        demands: Demands { pinned_key: gate.require_pinned_key, signed_action: gate.require_signed_action },
        limits: Limits { timeout: gate.timeout, log_wait: gate.log_wait },
    })
}

fn service(settings: &Settings, stop: &Stop) -> Result<Service, Error> {
    let url = settings.gate.service.as_deref();
    let url = url.ok_or("missing --service URL: the approval service")?;
    let mut headers = SecretHeaders::default();
    let (name, secret) = match &settings.gate.api_key {
        ApiKeyPlace::File(path) => ("--api-key-file", secrets::read(path)),
        ApiKeyPlace::Variable(variable) => ("--api-key-env", secrets::environment(variable)),
        ApiKeyPlace::Default => (API_KEY_VARIABLE, secrets::environment(API_KEY_VARIABLE).map_err(|_| {
            "missing API key: set this variable, or name another with --api-key-env, or a file with --api-key-file".into()
        })),
    };
    let added = secret.and_then(|secret| {
        headers.add_token(API_KEY_HEADER, &secret).map_err(|error| Error::Usage(error.to_string()))
    });
    added.map_err(|error| error.within(|why| format!("{name}: {why}")))?;
    let options = HttpOptions { headers, stop: stop.clone(), ..http::plain(&settings.net) };
    let client = ServiceClient::new(url, &options).map_err(|error| {
        http::opening(&error, |error| match error {
            OpenError::Url { url, cause } => format!("--service: {url}: {cause}"),
            error => format!("--service: {error}"),
        })
    })?;
    Ok(Service::new(client))
}

/// The path of the journal: the one that was named, or that of this user.
///
/// # Errors
/// Returns [`Error`] if none was named, and nothing says where a user's files go.
pub fn journal_path(settings: &GateSettings) -> Result<PathBuf, Error> {
    if let Some(path) = &settings.journal {
        return Ok(path.clone());
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // What is not absolute counts as unset (XDG Base Directory Specification).
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    let state = state.ok_or("missing --journal FILE: neither HOME nor XDG_STATE_HOME is an absolute path")?;
    Ok(state.join("countersign/gate.db"))
}

/// Opens the journal.
///
/// # Errors
/// Returns [`Error`] for a [`JournalError`].
pub fn open_journal(settings: &GateSettings) -> Result<Journal, Error> {
    open_journal_at(&journal_path(settings)?).map_err(journal_error)
}

/// Opens the journal at a path.
///
/// # Errors
/// [`JournalError`].
pub fn open_journal_at(path: &Path) -> Result<Journal, JournalError> {
    match folder(path).try_exists() {
        // Without its directory it is missing as well, and the message for that says what to do.
        Ok(false) => Err(JournalError::Missing(path.to_owned())),
        _ => Journal::open(path),
    }
}

/// Creates the journal, and its directory for this user alone. `false` if there is one already, which is left as it is.
///
/// # Errors
/// Returns [`Error`] if it cannot be created.
pub fn create_journal(path: &Path) -> Result<bool, Error> {
    create_folder(folder(path)).map_err(|error| Error::not_written(files::name(folder(path)), &error))?;
    match is_there(path).map_err(|error| Error::Local(error.to_string()))? {
        true => Ok(false),
        false => Journal::create(path).map(|_| true).map_err(journal_error),
    }
}

/// Creates a directory with those above it. What is there already keeps its mode.
fn create_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// What was asked of the journal does not fit it, or it cannot be used.
pub fn journal_error(error: JournalError) -> Error {
    match error {
        JournalError::NoRow(..) | JournalError::OutOfOrder(..) | JournalError::TooLarge(..) => {
            Error::Usage(error.to_string())
        }
        error => Error::Local(error.to_string()),
    }
}

/// 128 random bits as hex: an idempotency key that nobody else has, or a name that nobody can guess.
///
/// # Errors
/// Returns [`Error::Local`] if the system gives no random bytes.
pub fn random_name() -> Result<String, Error> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::Local("the system gives no random bytes".to_owned()))?;
    Ok(encode_hex(&bytes))
}
