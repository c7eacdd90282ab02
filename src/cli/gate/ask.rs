//! Asks, and acts if it is approved.

use super::args::AskOptions;
use super::command::{Prepared, Program, REFUSED};
use super::json;
use super::terminal::Shown;
use crate::cli::output::{self, Answer};
use crate::cli::signals::Handover;
use crate::config::{Format, Settings};
use crate::core::text::quoted;
use crate::gate::journal::Journal;
use crate::gate::reason::{Reason, Refusal};
use crate::gate::request::{Request, check_key};
use crate::gate::row::{Ending, Row};
use crate::gate::{Approval, Gate, Outcome};
use crate::mirror::folder;
use crate::service::gate::{
    OpenGate, create_journal, journal_path, open, open_journal_at, random_name, request,
};
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
    let request = request(&settings)?;
    let key = match &options.key {
        Some(key) => check_key(key).map(|()| key.clone()).map_err(|error| error.to_string())?,
        None => random_name()?,
    };
    // A misbehaviour file goes where the agent cannot remove it.
    let beside = || folder(&path).to_owned();
    let evidence_dir = Some(settings.evidence_dir.clone().unwrap_or_else(beside));
    let settings = Settings { evidence_dir, ..settings };
    let asking =
        Asking { settings, ask_again: options.ask_again, key, request, has_command: !command.is_empty() };
    match asking.run(&path, command, answer) {
        // Whoever reads the answer is told of a fault of this machine as of any other refusal.
        Err(Error::Local(why)) => Ok(asking.refuse(&Refusal::new(Reason::LocalFault, why), None, answer)),
        ended => ended,
    }
}

/// Creates the journal if there is none.
fn init(path: &Path, quiet: bool) -> Result<(), Error> {
    let name = files::name(path);
    match create_journal(path)? {
        true if quiet => {}
        true => output::note(&format!("the journal {name} was created")),
        false => output::note(&format!(
            "the journal {name} exists already: leave --init out. With it, a journal that is lost is created anew without \
             an error, and does not know which approvals were used"
        )),
    }
    Ok(())
}

/// What is asked, and how.
struct Asking {
    settings: Settings,
    ask_again: bool,
    key: String,
    request: Request,
    has_command: bool,
}

impl Asking {
    fn run(&self, path: &Path, command: &[OsString], answer: &mut Answer) -> Result<u8, Error> {
        let stop = Stop::default();
        let open = open(&self.settings, &stop)?;
        let program = match Program::find(command) {
            Ok(program) => program,
            Err(unusable) => {
                output::error(&format!("{}, so nobody was asked", unusable.why));
                return Ok(unusable.exit);
            }
        };
        let exit = if self.has_command { REFUSED } else { Reason::Interrupted.exit_code() };
        let signals = Handover::new(&stop, exit)?;
        let prepared = program.map(|program| program.prepare(self.request.payload())).transpose()?;
        let mut journal = open_journal_at(path).map_err(|error| Error::Local(error.to_string()))?;
        if let Some(note) = open.log.note.filter(|_| !self.settings.quiet) {
            output::note(note);
        }
        match (self.ask(&open, &mut journal, prepared.as_ref()), prepared) {
            (Outcome::Refused(refusal, row), _) => Ok(self.refuse(&refusal, row.as_deref(), answer)),
            // A signal came while the approval was being used.
            (Outcome::Approved(_), _) if !signals.hand_over() => Ok(self.spent(&mut journal, answer)),
            (Outcome::Approved(approval), None) => {
                self.say(&approval);
                answer.print_encoded(json::approved(&self.key, &self.request, &approval));
                Ok(0)
            }
            (Outcome::Approved(approval), Some(prepared)) => {
                self.say(&approval);
                Ok(self.act(&approval, prepared, &signals, &mut journal))
            }
        }
    }

    fn ask(&self, open: &OpenGate, journal: &mut Journal, prepared: Option<&Prepared>) -> Outcome {
        let gate = Gate {
            service: &open.service,
            log: open.log.source.as_ref(),
            origin: &open.origin,
            trust: &open.trust,
            demands: open.demands,
            limits: open.limits,
            ask_again: self.ask_again,
            now: &now,
            observer: &Shown::new(&self.settings, &self.key, prepared),
        };
        gate.run(journal, &self.key, &self.request)
    }

    /// Runs the command, and records how it ended. Its exit code is passed on, whatever becomes of the record.
    fn act(&self, approval: &Approval, prepared: Prepared, signals: &Handover, journal: &mut Journal) -> u8 {
        let hidden = self.settings.gate.api_key.variable();
        let (exit, ending) = prepared.run(&approval.checked.nonce, hidden, signals);
        if let Ending::Failed(why) = &ending {
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
        let who = quoted(self.request.username());
        if !approval.checked.key_pinned {
            output::note(&format!(
                "no passkey of {who} is pinned, so only the service says that this one is theirs: pin theirs under [approvers] in \
                 the config"
            ));
        }
        if !approval.checked.action_signed {
            output::note("the passkey signed the arguments alone, and not the action text");
        }
    }

    /// Refuses an approval that is used up, because the run was told to stop before anything was started.
    fn spent(&self, journal: &mut Journal, answer: &mut Answer) -> u8 {
        let why = "the run was told to stop while the approval was being used: nothing runs, and the approval is used up";
        if let Err(error) =
            journal.ended(&self.key, &Ending::Failed("stopped before it began".to_owned()), now())
        {
            output::error(&format!("that nothing ran was not recorded: {error}"));
        }
        let row = journal.row(&self.key).ok().flatten();
        self.refuse(&Refusal::new(Reason::Interrupted, why), row.as_ref(), answer)
    }

    fn refuse(&self, refusal: &Refusal, row: Option<&Row>, answer: &mut Answer) -> u8 {
        let exit = if self.has_command { REFUSED } else { refusal.reason.exit_code() };
        let encoded = json::refused(&self.key, &self.request, refusal, exit, row);
        match (self.has_command, self.settings.format, encoded) {
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
