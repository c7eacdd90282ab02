//! `[journal]`: the journal of a gate, which audits hold against the log.

use super::error::Error;
use super::file_name;
use super::names::OneOrMore;
use crate::core::limits::MAX_APPROVER;
use crate::core::text::quoted;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// `[journal]`, as written.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct JournalTable {
    file: Option<PathBuf>,
    complete_for: OneOrMore,
}

/// The journal of a gate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalSettings {
    /// The journal, an SQLite file.
    pub file: PathBuf,
    /// Whose approvals are all asked for with this journal.
    pub complete_for: BTreeSet<String>,
}

/// Combines the option and the config, where the option takes precedence.
///
/// # Errors
/// Returns [`Error::Usage`] if a value is wrong, or if people are named for another journal than the one that is used.
pub(super) fn resolve(given: Option<PathBuf>, table: JournalTable) -> Result<Option<JournalSettings>, Error> {
    let JournalTable { file, complete_for: OneOrMore(complete_for) } = table;
    // What one journal is complete for, another one is not.
    let elsewhere = given.as_ref().zip(file.as_ref()).is_some_and(|(given, file)| given != file);
    if elsewhere && !complete_for.is_empty() {
        return Err(
            "--journal is not the file in the config, and complete-for in the config is of that one: leave \
                    --journal out, or complete-for"
                .into(),
        );
    }
    let Some(file) = given.or(file) else {
        return match complete_for.is_empty() {
            true => Ok(None),
            false => Err("[journal] complete-for: name the journal as well, with file or --journal".into()),
        };
    };
    file_name::check_database("--journal", "journal", &file)?;
    if let Some(name) = complete_for.iter().find(|name| name.is_empty() || name.len() > MAX_APPROVER) {
        return Err(
            format!("[journal] complete-for {}: a name has 1 to {MAX_APPROVER} bytes", quoted(name)).into()
        );
    }
    Ok(Some(JournalSettings { file, complete_for: complete_for.into_iter().collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(given: Option<&str>, table: &str) -> Result<Option<JournalSettings>, String> {
        resolve(given.map(PathBuf::from), toml::from_str(table).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_option_wins_over_the_config() {
        let file = |settings: Option<JournalSettings>| settings.map(|settings| settings.file);
        assert_eq!(resolved(None, "").unwrap(), None);
        assert_eq!(file(resolved(None, "file = 'a.db'").unwrap()), Some(PathBuf::from("a.db")));
        assert_eq!(file(resolved(Some("b.db"), "file = 'a.db'").unwrap()), Some(PathBuf::from("b.db")));
        for (given, table) in [
            (Some("a.db"), "complete-for = 'alex'"),
            (Some("a.db"), "file = 'a.db'\ncomplete-for = ['alex', 'alex']"),
            (None, "file = 'a.db'\ncomplete-for = ['alex']"),
        ] {
            let settings = resolved(given, table).unwrap().unwrap();
            assert_eq!(settings.complete_for, BTreeSet::from(["alex".to_owned()]));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (given, table, part) in [
            (None, "complete-for = 'alex'", "name the journal"),
            (Some("b.db"), "file = 'a.db'\ncomplete-for = 'alex'", "not the file in the config"),
            (None, "file = 'a.db'\ncomplete-for = ''", "1 to 128"),
            (None, "file = ':memory:'", "--journal"),
            (Some("~/a.db"), "", "--journal"),
        ] {
            assert!(resolved(given, table).unwrap_err().contains(part), "{table}");
        }
        assert!(toml::from_str::<JournalTable>("files = 'a'").is_err());
    }
}
