//! `countersign config check`: resolves a config with all files that it names, and prints what would be checked, what
//! not, and who is notified.
//!
//! If the config cannot be used, the result is an error (exit code 2). A config that can be used but is probably a
//! mistake gets a note, also with `--quiet`. A note is not an error: for example, the program of an alert may be
//! installed later.

use super::args::Common;
use super::audit_args::AuditOptions;
use super::output::Answer;
use super::settings::given;
use crate::audit::acknowledge::Acknowledgement;
use crate::config::{
    AlertTable, ChannelTable, GivenFormat, JournalSettings, Settings, describe as describe_rule,
};
use crate::core::text::{self, escape, quoted};
use crate::core::time::UnixMillis;
use crate::mirror::{folder, is_there, place_of};
use crate::report::checks::{Foreseen, foreseen};
use crate::service::{self, Error, LogConfig, WatchSpec, files};
use crate::source::Stop;
use std::fs::Metadata;
use std::path::Path;

/// Resolves the config and prints the result.
///
/// # Errors
/// Returns [`Error`] if the config cannot be used.
pub fn run(common: &Common, answer: &mut Answer) -> Result<u8, Error> {
    if common.config.is_none() {
        return Err("missing --config FILE".into());
    }
    if common.format.is_some_and(|format| format != GivenFormat::Text) {
        return Err("config check prints only text: leave out --format".into());
    }
    let watched = service::watched(&WatchSpec {
        config: common.config.as_deref(),
        name: common.name.as_deref(),
        given: given(common.clone(), AuditOptions::default()),
        ..WatchSpec::default()
    })?;
    let (mut text, mut notes) = (String::new(), String::new());
    if let Some(address) = watched.listen {
        text.push_str(&format!("monitor listens on {address}\n"));
    }
    for log in &watched.logs {
        let lines = describe(log)
            .map_err(|failure| failure.within(|why| format!("log {}: {why}", quoted(&log.name))))?;
        for Line { text: line, is_note } in lines {
            text.push_str(&format!("{line}\n"));
            if is_note {
                notes.push_str(&format!("{}: {}\n", log.name, line.trim_start()));
            }
        }
    }
    answer.print(if common.quiet { &notes } else { &text });
    Ok(0)
}

/// A line of the output.
struct Line {
    text: String,
    /// The line reports a probable mistake.
    is_note: bool,
}

fn plain(text: String) -> Line {
    Line { text, is_note: false }
}

fn note(text: String) -> Line {
    Line { text, is_note: true }
}

fn describe(log: &LogConfig) -> Result<Vec<Line>, Error> {
    let settings = &log.settings;
    let db = settings.require_db()?;
    let Some(key) = settings.one_log_key()? else { return Err(service::NO_LOG_KEY.into()) };
    let source = service::open_log(settings, settings.require_log()?)?.source;
    let place = place_of(db);
    let folders =
        [("the mirror", folder(&place)), ("misbehaviour files", &service::evidence_dir(settings, db))];
    for (what, folder) in folders {
        if !folder.is_dir() {
            return Err(format!("the directory for {what}, {folder:?}, does not exist: create it").into());
        }
    }
    let is_there = is_there(db).map_err(|error| error.to_string())?;
    let mut lines = vec![
        plain(format!("{}: every {}", log.name, humantime::format_duration(log.interval))),
        plain(format!("  log     {} from {}", escape(key.origin()), source.location())),
        mirror(settings, db, is_there),
    ];
    for peer in service::open_peers(settings, key, &Stop::default())? {
        lines.push(plain(format!("  compared with     {}, {}", peer.name(), peer.location())));
    }
    let missing = settings.peers.iter().filter_map(|peer| Some((&peer.name, service::missing_file(peer)?)));
    for (name, file) in missing {
        lines.push(note(format!(
            "  NOT THERE         {}, the file of the peer {}",
            files::name(file),
            quoted(name)
        )));
    }
    rules(settings, &mut lines);
    journal(settings, &mut lines)?;
    recipients(settings, &mut lines);
    lines.extend(
        settings.alerting.acknowledgements.iter().map(|rule| acknowledged(settings, rule, service::now())),
    );
    for (what, will_be) in foreseen(service::asked(settings), source.api().is_some()) {
        lines.push(plain(match will_be {
            Foreseen::Made => format!("  checked           {what}"),
            Foreseen::IfThere => format!("  checked if there  {what}"),
            Foreseen::NotMade(why) => format!("  NOT checked       {what}: {why}"),
        }));
    }
    Ok(lines)
}

fn mirror(settings: &Settings, db: &Path, is_there: bool) -> Line {
    let (left, hint) = match (is_there, settings.init) {
        (true, false) => (false, ""),
        (true, true) => (
            true,
            " (remove init = true: with it, a lost mirror is replaced by an empty one, and every head seen \
                    is forgotten)",
        ),
        (false, true) => {
            (false, " (does not exist yet; the first audit creates it, then remove init = true)")
        }
        (false, false) => {
            (false, " (does not exist yet; the first audit needs --init, or init = true in the config)")
        }
    };
    Line { text: format!("  mirror  {}{hint}", files::name(db)), is_note: left }
}

/// Describes the watch rules. With `--heads-only` no entry is checked, so they have no effect.
fn rules(settings: &Settings, lines: &mut Vec<Line>) {
    for watch in &settings.watch {
        let rule = describe_rule(watch);
        lines.push(match settings.heads_only {
            false => plain(format!("  watched for       {rule}")),
            true => note(format!("  NOT watched for   {rule}: heads-only checks no entries")),
        });
    }
}

/// Describes the journal of a gate. It is not opened: that takes its owner, who may be another user.
fn journal(settings: &Settings, lines: &mut Vec<Line>) -> Result<(), Error> {
    let Some(JournalSettings { file, complete_for }) = &settings.journal else { return Ok(()) };
    let people: Vec<String> = complete_for.iter().map(|name| quoted(name)).collect();
    let complete = match people.is_empty() {
        true => String::new(),
        false => format!(", complete for {}", people.join(", ")),
    };
    let name = files::name(file);
    lines.push(match is_there(file).map_err(|error| error.to_string())? {
        _ if settings.heads_only => {
            note(format!("  NOT judged        {name}, the journal of a gate: heads-only checks no entries"))
        }
        true => plain(format!("  held against      {name}, the journal of a gate{complete}")),
        false => note(format!("  NOT THERE         {name}, the journal of a gate{complete}")),
    });
    Ok(())
}

/// Describes the alert channels. No URL is shown, because it is often a secret.
fn recipients(settings: &Settings, lines: &mut Vec<Line>) {
    let alerting = &settings.alerting;
    if alerting.channels.is_empty() {
        lines.push(plain("  nobody is notified: there is no [[alert]]".to_owned()));
        return;
    }
    for ChannelTable { name, least, table, .. } in &alerting.channels {
        let way = way(table);
        lines.push(plain(format!("  notified by {way:<7} {name}, from severity {}", least.as_str())));
        let program = table.command.as_ref().and_then(|command| command.first()).map(Path::new);
        // A program without an absolute path is looked up when it is run, in the environment of that process.
        if let Some(program) = program.filter(|program| program.is_absolute() && !is_executable(program)) {
            lines.push(note(format!(
                "  CANNOT BE RUN     {}, the command of {}: there is no such executable file",
                files::name(program),
                quoted(name),
            )));
        }
    }
    if let Some(reminder) = alerting.reminder {
        lines.push(plain(format!("  reminded          every {} (alert-reminder)", text::duration(reminder))));
    }
}

fn way(table: &AlertTable) -> &'static str {
    match (&table.command, table.is_webhook()) {
        (Some(_), _) => "command",
        (None, true) => "webhook",
        (None, false) => "mail",
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && may_run(&found))
}

#[cfg(unix)]
fn may_run(found: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    found.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn may_run(_: &Metadata) -> bool {
    true
}

/// Describes one `[[acknowledge]]`: the finding, and when the acknowledgement ends or that it has ended. A rule that
/// was removed may still have findings, so an unknown rule name is only a note.
fn acknowledged(settings: &Settings, acknowledgement: &Acknowledgement, now: UnixMillis) -> Line {
    let Acknowledgement { code, index, id, approver, rule, until, until_text, comment } = acknowledgement;
    let quoted_as =
        |what: &str, name: &Option<String>| name.as_deref().map(|name| format!(", {what} {}", quoted(name)));
    let index = index.map(|index| format!(", entry {index}"));
    let parts = [index, quoted_as("id", id), quoted_as("approver", approver), quoted_as("rule", rule)];
    let about: String = parts.into_iter().flatten().collect();
    let comment = escape(comment);
    let is_unknown = |name: &String| settings.watch.iter().all(|watch| watch.rule.name != *name);
    let no_rule = rule.as_ref().is_some_and(is_unknown);
    let unknown = if no_rule { "; no [[watch]] has this name" } else { "" };
    if now >= *until {
        return note(format!("  no longer acknowledged  {code}{about}: ended {until}{unknown} ({comment})"));
    }
    let line =
        format!("  acknowledged      {code}{about}, until {}{unknown} ({comment})", escape(until_text));
    Line { text: line, is_note: no_rule }
}
