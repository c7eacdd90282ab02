//! `[gate]`: who is asked and where, and what a gate demands.

use super::duration::duration;
use super::error::Error;
use super::file_name;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// The default variable with the API key.
pub const API_KEY_VARIABLE: &str = "COSIGNET_API_KEY";

/// How long a person is waited for by default: the usual life of a confirmation.
const TIMEOUT: Duration = Duration::from_secs(300);

/// How long the log is waited for by default.
const LOG_WAIT: Duration = Duration::from_secs(60);

/// The least time for a person. A shorter one ends before anybody could be asked.
const LEAST_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest time for either. A longer one is a mistake.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Values of a gate, from options or from `[gate]` in a config.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct GivenGate {
    /// The base URL of the approval service.
    pub service: Option<String>,
    /// Who is asked.
    pub username: Option<String>,
    /// What they are told that it does.
    pub action: Option<String>,
    /// The payload, a file.
    pub payload: Option<PathBuf>,
    /// How long the person is waited for, such as `300s`.
    pub timeout: Option<String>,
    /// How long the log is waited for, such as `60s`.
    pub log_wait: Option<String>,
    /// The journal, an SQLite file.
    pub journal: Option<PathBuf>,
    /// A file with the API key.
    pub api_key_file: Option<PathBuf>,
    /// The name of a variable with the API key.
    pub api_key_env: Option<String>,
    /// Refuse an approval by a key that is not pinned.
    pub require_pinned_key: bool,
    /// Refuse an approval in which the passkey did not sign the action text.
    pub require_signed_action: bool,
}

/// Where the API key is read from. It is read only when somebody is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ApiKeyPlace {
    /// A file.
    File(PathBuf),
    /// A variable that was named.
    Variable(String),
    /// [`API_KEY_VARIABLE`], as none was named.
    Default,
}

impl ApiKeyPlace {
    /// The variable that holds the key, or would.
    pub fn variable(&self) -> &str {
        match self {
            ApiKeyPlace::Variable(name) => name,
            ApiKeyPlace::File(_) | ApiKeyPlace::Default => API_KEY_VARIABLE,
        }
    }
}

/// The checked settings of a gate.
#[derive(Clone, Debug)]
pub struct GateSettings {
    /// The base URL of the approval service.
    pub service: Option<String>,
    /// Who is asked.
    pub username: Option<String>,
    /// What they are told that it does.
    pub action: Option<String>,
    /// The payload, a file.
    pub payload: Option<PathBuf>,
    /// How long the person is waited for.
    pub timeout: Duration,
    /// How long the log is waited for.
    pub log_wait: Duration,
    /// The journal, if not the default one.
    pub journal: Option<PathBuf>,
    /// Where the API key is.
    pub api_key: ApiKeyPlace,
    /// Refuse an approval by a key that is not pinned.
    pub require_pinned_key: bool,
    /// Refuse an approval in which the passkey did not sign the action text.
    pub require_signed_action: bool,
}

impl GateSettings {
    /// Combines options and config, where options take precedence.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] if a value is wrong, or if an API key would go to another service than its own.
    pub(super) fn resolve(given: GivenGate, file: GivenGate) -> Result<GateSettings, Error> {
        // The key of the config is for the service of the config, and may be a secret of somebody else.
        let elsewhere =
            given.service.as_ref().zip(file.service.as_ref()).is_some_and(|(one, other)| one != other);
        let api_key = match place(given.api_key_file, given.api_key_env)? {
            Some(place) => place,
            None => match place(file.api_key_file, file.api_key_env)? {
                Some(_) if elsewhere => {
                    return Err("--service is not the one in the config, and the API key in the config is for that: give \
                                --api-key-file or --api-key-env as well"
                        .into());
                }
                place => place.unwrap_or(ApiKeyPlace::Default),
            },
        };
        let journal = given.journal.or(file.journal);
        journal
            .as_deref()
            .map_or(Ok(()), |journal| file_name::check_database("--journal", "journal", journal))?;
        Ok(GateSettings {
            service: given.service.or(file.service),
            username: given.username.or(file.username),
            action: given.action.or(file.action),
            payload: given.payload.or(file.payload),
            timeout: time("timeout", given.timeout.or(file.timeout), TIMEOUT, LEAST_TIMEOUT)?,
            log_wait: time("log-wait", given.log_wait.or(file.log_wait), LOG_WAIT, Duration::ZERO)?,
            journal,
            api_key,
            require_pinned_key: given.require_pinned_key || file.require_pinned_key,
            require_signed_action: given.require_signed_action || file.require_signed_action,
        })
    }
}

fn place(file: Option<PathBuf>, variable: Option<String>) -> Result<Option<ApiKeyPlace>, Error> {
    match (file, variable) {
        (Some(_), Some(_)) => Err("api-key-file and api-key-env: give one of them, there is one key".into()),
        (Some(file), None) => Ok(Some(ApiKeyPlace::File(file))),
        (None, variable) => Ok(variable.map(ApiKeyPlace::Variable)),
    }
}

fn time(name: &str, text: Option<String>, default: Duration, least: Duration) -> Result<Duration, Error> {
    let Some(text) = text else { return Ok(default) };
    let time = duration(&text).map_err(|error| error.within(|why| format!("--{name}: {why}")))?;
    match (least..=LONGEST).contains(&time) {
        true => Ok(time),
        false if time < least => {
            Err(format!("--{name}: it is too short, nobody could answer: at least 1s").into())
        }
        false => Err(format!("--{name}: it is longer than a year").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> GivenGate {
        toml::from_str(text).unwrap()
    }

    fn resolve(given: &str, file: &str) -> Result<GateSettings, String> {
        GateSettings::resolve(table(given), table(file)).map_err(|error| error.to_string())
    }

    #[test]
    fn options_win_and_the_rest_has_defaults() {
        let file =
            "service = 'https://a.example'\nusername = 'alex'\ntimeout = '10m'\nrequire-pinned-key = true";
        let gate = resolve("username = 'bruna'\nlog-wait = '0s'", file).unwrap();
        assert_eq!(gate.username.as_deref(), Some("bruna"));
        assert_eq!(gate.service.as_deref(), Some("https://a.example"));
        assert_eq!((gate.timeout, gate.log_wait), (Duration::from_secs(600), Duration::ZERO));
        assert!(gate.require_pinned_key && !gate.require_signed_action);
        assert_eq!((gate.api_key.variable(), &gate.api_key), (API_KEY_VARIABLE, &ApiKeyPlace::Default));
        let gate = resolve("", "").unwrap();
        assert_eq!((gate.timeout, gate.log_wait), (TIMEOUT, LOG_WAIT));
    }

    #[test]
    fn a_key_of_the_config_is_for_its_service() {
        let file = "service = 'https://a.example'\napi-key-file = 'key'";
        let other = "service = 'https://b.example'";
        assert!(resolve(other, file).unwrap_err().contains("--api-key-file"));
        assert!(resolve("service = 'https://a.example'", file).is_ok());
        let own = resolve(&format!("{other}\napi-key-env = 'B_KEY'"), file).unwrap();
        assert_eq!(own.api_key, ApiKeyPlace::Variable("B_KEY".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("timeout = '0s'", "--timeout"),
            ("timeout = '2years'", "--timeout"),
            ("log-wait = 'soon'", "--log-wait"),
            ("api-key-file = 'a'\napi-key-env = 'A'", "one of them"),
            ("journal = ':memory:'", "--journal"),
            ("journal = '~/gate.db'", "--journal"),
        ] {
            assert!(resolve("", text).unwrap_err().contains(part), "{text}");
            assert!(resolve(text, "").unwrap_err().contains(part), "{text}");
        }
        assert!(toml::from_str::<GivenGate>("api-key = 's3cret'").is_err());
    }
}
