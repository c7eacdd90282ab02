//! The journal: what was asked, what came of it, how an action ended, whose passkey is accepted.

use super::args::{EndingOptions, GateCommand};
use super::json;
use crate::cli::output::{self, Answer};
use crate::config::{Format, Settings};
use crate::core::entry::Decision;
use crate::core::text::{escape, quoted};
use crate::core::time::UnixMillis;
use crate::gate::journal::{Journal, Trusted};
use crate::gate::row::{Ending, Row};
use crate::service::gate::{journal_error, open_journal};
use crate::service::{self, Error};

/// Runs one of the commands that ask nobody.
///
/// # Errors
/// Returns [`Error`] on wrong usage or a local fault.
pub fn run(settings: &Settings, command: &GateCommand, answer: &mut Answer) -> Result<u8, Error> {
    let mut journal = open_journal(&settings.gate)?;
    let is_json = settings.format == Format::Json;
    match command {
        GateCommand::List(_) => list(&mut journal, is_json, answer),
        GateCommand::Export(_) => {
            each(&mut journal, answer, |row, now| json::row(row, state(row, now), true))
        }
        GateCommand::Show { key, .. } => show(&mut journal, key, is_json, answer),
        GateCommand::Done { key, ending, .. } => done(&mut journal, key, ending),
        GateCommand::Trust { username, .. } => trust(&mut journal, settings, username),
    }
}

/// Prints a line for each row.
fn each<E: std::error::Error + Send + Sync + 'static>(
    journal: &mut Journal,
    answer: &mut Answer,
    line: impl Fn(&Row, UnixMillis) -> Result<String, E>,
) -> Result<u8, Error> {
    let now = service::now();
    let visited = journal.each_row(|row| {
        answer.print_encoded(line(&row, now));
        answer.is_whole()
    });
    visited.map_err(journal_error)?;
    Ok(0)
}

fn list(journal: &mut Journal, is_json: bool, answer: &mut Answer) -> Result<u8, Error> {
    if is_json {
        return each(journal, answer, |row, now| json::row(row, state(row, now), false));
    }
    answer.print(&format!(
        "{:<24}  {:<20}  {:<20}  {:<32}  action\n",
        "asked", "state", "username", "idempotency key"
    ));
    each(journal, answer, |row, now| {
        let request = &row.request;
        let (asked, state) = (request.asked_at, state(row, now));
        let (who, key, action) = (escape(&request.username), escape(&request.key), escape(&request.action));
        Ok::<_, serde_json::Error>(format!("{asked:<24}  {state:<20}  {who:<20}  {key:<32}  {action}\n"))
    })
}

fn show(journal: &mut Journal, key: &str, is_json: bool, answer: &mut Answer) -> Result<u8, Error> {
    let row = journal.row(key).map_err(journal_error)?;
    let row = row.ok_or_else(|| {
        format!(
            "the journal has no idempotency key {}; `countersign gate list` shows all of them",
            quoted(key)
        )
    })?;
    let now = service::now();
    match is_json {
        true => answer.print_encoded(json::row(&row, state(&row, now), true)),
        false => answer.print(&shown(&row, now)),
    }
    Ok(0)
}

/// All that is known, a line each.
fn shown(row: &Row, now: UnixMillis) -> String {
    let Row { request, asked, decided, refusal, consumed, ended } = row;
    let mut lines = vec![
        ("idempotency key", escape(&request.key)),
        ("state", state(row, now).to_owned()),
        ("username", escape(&request.username)),
        ("action", escape(&request.action)),
        ("payload hash", request.payload_hash.to_string()),
        ("service", escape(&request.service)),
        ("log", escape(&request.origin)),
        ("asked", request.asked_at.to_string()),
    ];
    if let Some(asked) = asked {
        lines.push(("id", escape(&asked.id)));
        lines.push(("link", escape(&asked.url)));
        lines.push(("encoding", asked.encoding.as_str().to_owned()));
        lines.push(("expires", asked.expires_at.to_string()));
    }
    if let Some(decided) = decided {
        lines.push(("decided", format!("{}, learnt {}", decided.decision.as_str(), decided.at)));
    }
    if let Some(refusal) = refusal {
        lines.push(("refused", format!("{}: {}", refusal.reason.as_str(), escape(&refusal.message))));
    }
    if let Some(consumed) = consumed {
        let pinned = if consumed.key_pinned { "pinned" } else { "not pinned" };
        lines.push(("used", consumed.at.to_string()));
        lines.push(("nonce", escape(&consumed.nonce)));
        lines.push(("passkey", format!("{}, {pinned}", escape(&consumed.credential))));
    }
    if let Some(ended) = ended {
        let how = match &ended.ending {
            Ending::Ok => "ok".to_owned(),
            Ending::Failed(why) => format!("failed: {}", escape(why)),
        };
        lines.push(("ended", format!("{how}, {}", ended.at)));
    }
    lines.iter().map(|(name, value)| format!("{name:<15} {value}\n")).collect()
}

/// What a row says in a few words.
fn state(row: &Row, now: UnixMillis) -> &'static str {
    match (&row.ended, &row.consumed, &row.refusal, row.decided.map(|decided| decided.decision)) {
        (Some(ended), ..) if ended.ending == Ending::Ok => "used, ended ok",
        (Some(_), ..) => "used, failed",
        (None, Some(_), ..) => "used, end unknown",
        (None, None, Some(refusal), _) => refusal.reason.as_str(),
        (None, None, None, Some(Decision::Approved)) => "approved, not used",
        (None, None, None, Some(other)) => other.as_str(),
        (None, None, None, None) if row.asked.is_some() => "waiting",
        (None, None, None, None) if row.may_be_being_asked(now) => "being asked",
        (None, None, None, None) => "asked, or not",
    }
}

fn done(journal: &mut Journal, key: &str, options: &EndingOptions) -> Result<u8, Error> {
    let ending = match &options.failed {
        Some(how) => Ending::Failed(how.clone()),
        None => Ending::Ok,
    };
    journal.ended(key, &ending, service::now()).map_err(journal_error)?;
    Ok(0)
}

fn trust(journal: &mut Journal, settings: &Settings, username: &str) -> Result<u8, Error> {
    let origin = settings.one_log_key()?.map(|key| key.origin());
    let who = quoted(username);
    match journal.trust(origin, username, service::now()).map_err(journal_error)? {
        Trusted::Accepted { now, before } => {
            output::note(&format!(
                "the passkey {} is accepted for {who}, in the place of {}",
                now.key, before.key
            ));
            Ok(0)
        }
        Trusted::NothingOffered => {
            Err(format!("no passkey of {who} was refused, so there is none to accept").into())
        }
        Trusted::Several(origins) => {
            let origins: Vec<String> = origins.iter().map(|origin| quoted(origin)).collect();
            let origins = origins.join(", ");
            Err(format!(
                "passkeys of {who} were refused under several logs: say which with --log-key ({origins})"
            )
            .into())
        }
    }
}
