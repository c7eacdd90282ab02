//! Asks, and acts if it is approved.

use super::args::AskOptions;
use super::command::{Prepared, Program, REFUSED};
use super::json;
use super::terminal::Shown;
use crate::cli::output::{self, Answer};
use crate::cli::signals::Handover;
use crate::config::{Format, Settings};
use crate::gate::journal::Journal;
use crate::gate::reason::{Reason, Refusal};
use crate::gate::request::{Request, check_key};
use crate::gate::row::Row;
use crate::gate::{Approval, Gate, Outcome};
use crate::mirror::folder;
use crate::service::gate::{OpenGate, create_journal, journal_path, open, random_name, request};
use crate::service::{Error, files, now};
use crate::source::Stop;
use std::ffi::OsString;
use std::path::Path;

/// Asks as the settings and options say, and runs `command`, or prints the approval.
///
/// # Errors
/// Returns [`Error`] on wrong usage or a local fault, before anybody was asked.
pub fn run(
    settings: Settings,
    options: &AskOptions,
    command: &[OsString],
    answer: &mut Answer,
) -> Result<u8, Error> {
    let path = journal_path(&settings.gate)?;
    if options.init {
        init(&path, settings.quiet)?;
        if !options.asks() && command.is_empty() {
            return Ok(0);
        }
    }
    let request = request(&settings.gate)?;
    let key = match &options.key {
        Some(key) => check_key(key).map(|()| key.clone()).map_err(|error| error.to_string())?,
        None => random_name()?,
    };
    let stop = Stop::default();
    let open = open(&settings, &stop)?;
    let program = match Program::find(command) {
        Ok(program) => program,
        Err(unusable) => {
            output::error(&unusable.why);
            return Ok(unusable.exit);
        }
    };
    let exit = if program.is_some() { REFUSED } else { Reason::Interrupted.exit_code() };
    let signals = Handover::new(&stop, exit)?;
    let prepared = program.map(|program| program.prepare(request.payload())).transpose()?;
    // A misbehaviour file goes where the agent cannot remove it.
    let beside = || folder(&path).to_owned();
    let evidence_dir = Some(settings.evidence_dir.clone().unwrap_or_else(beside));
    let asking = Asking {
        settings: Settings { evidence_dir, ..settings },
        ask_again: options.ask_again,
        key,
        request,
        open,
    };
    asking.run(&path, prepared, &signals, answer)
}

/// Creates the journal if there is none.
fn init(path: &Path, quiet: bool) -> Result<(), Error> {
    let name = files::name(path);
    match create_journal(path)? {
        true if quiet => {}
        true => output::note(&format!("the journal {name} was created")),
        false => output::note(&format!(
            "the journal {name} is there: take --init out, or a journal that gets lost is a fresh start, which forgets what \
             was used, and no fault that you hear of"
        )),
    }
    Ok(())
}

/// What is asked, and with what.
struct Asking {
    settings: Settings,
    ask_again: bool,
    key: String,
    request: Request,
    open: OpenGate,
}

impl Asking {
    fn run(
        self,
        path: &Path,
        prepared: Option<Prepared>,
        signals: &Handover,
        answer: &mut Answer,
    ) -> Result<u8, Error> {
        let mut journal = match Journal::open(path) {
            Ok(journal) => journal,
            Err(error) => {
                let refusal = Refusal::new(Reason::LocalFault, error.to_string());
                return Ok(self.refuse(&refusal, None, prepared.is_some(), answer));
            }
        };
        if let Some(note) = self.open.log.note.filter(|_| !self.settings.quiet) {
            output::note(note);
        }
        let shown = Shown::new(&self.settings, &self.key, prepared.as_ref());
        let gate = Gate {
            service: &self.open.service,
            log: self.open.log.source.as_ref(),
            origin: &self.open.origin,
            trust: &self.open.trust,
            demands: self.open.demands,
            limits: self.open.limits,
            ask_again: self.ask_again,
            now: &now,
            observer: &shown,
        };
        let outcome = gate.run(&mut journal, &self.key, &self.request);
        drop(shown);
        match (outcome, prepared) {
            (Outcome::Refused(refusal, row), prepared) => {
                Ok(self.refuse(&refusal, row.as_deref(), prepared.is_some(), answer))
            }
            (Outcome::Approved(approval), None) => {
                self.say(&approval);
                answer.print_encoded(json::approved(&self.key, &self.request, &approval));
                Ok(0)
            }
            (Outcome::Approved(approval), Some(prepared)) => {
                signals.hand_over();
                self.say(&approval);
                Ok(self.act(&approval, prepared, signals, &mut journal))
            }
        }
    }

    /// Runs the command, and records how it ended. Its exit code is passed on, whatever becomes of the record.
    fn act(&self, approval: &Approval, prepared: Prepared, signals: &Handover, journal: &mut Journal) -> u8 {
        let hidden = self.settings.gate.api_key.variable();
        let (exit, ending) = prepared.run(&approval.checked.nonce, hidden, signals);
        if let crate::gate::row::Ending::Failed(why) = &ending {
            output::note(&format!("the command failed, and its approval is used up: {why}"));
        }
        if let Err(error) = journal.ended(&self.key, &ending, now()) {
            output::error(&format!("how the command ended was not recorded: {error}"));
        }
        exit
    }

    /// Says what even this approval does not show.
    fn say(&self, approval: &Approval) {
        if self.settings.quiet {
            return;
        }
        let who = crate::core::text::quoted(self.request.username());
        if !approval.checked.key_pinned {
            output::note(&format!(
                "the passkey is not pinned: that it is one of {who} is the service's word (pin it under [approvers])"
            ));
        }
        if !approval.checked.action_signed {
            output::note("the passkey signed the arguments alone, and not the action text");
        }
    }

    fn refuse(&self, refusal: &Refusal, row: Option<&Row>, has_command: bool, answer: &mut Answer) -> u8 {
        let exit = if has_command { REFUSED } else { refusal.reason.exit_code() };
        let encoded = json::refused(&self.key, &self.request, refusal, exit, row);
        match (has_command, self.settings.format, encoded) {
            (true, Format::Json, Ok(line)) => output::error_text(&line),
            (has_command, _, encoded) => {
                output::error(&format!("refused ({}): {}", refusal.reason.as_str(), refusal.message));
                if !has_command {
                    answer.print_encoded(encoded);
                }
            }
        }
        exit
    }
}
