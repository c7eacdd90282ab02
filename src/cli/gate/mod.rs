//! `countersign gate`: asks a person, verifies the answer, and runs a command once; and the journal of it.

pub mod args;
mod ask;
mod command;
mod journal;
mod json;
mod terminal;

use super::args::Common;
use super::audit_args::AuditOptions;
use super::output::{self, Answer};
use super::settings::given;
use crate::config::{Given, GivenGate, GivenNet, Settings};
use crate::service::{self, Error};
use args::{AskOptions, GateOptions};
use command::REFUSED;

/// Runs the command.
///
/// # Errors
/// Returns [`Error`] on wrong usage or a local fault.
pub fn run(common: Common, options: GateOptions, answer: &mut Answer) -> Result<u8, Error> {
    let GateOptions { command, ask, run } = options;
    let Some(command) = command else {
        let is_for_command = !run.is_empty();
        let ended = settings(common, &ask).and_then(|settings| ask::run(settings, &ask, &run, answer));
        return match ended {
            // Any other exit code would be the command's.
            Err(error) if is_for_command => {
                output::error(&error.to_string());
                Ok(REFUSED)
            }
            ended => ended,
        };
    };
    let journal = command.journal().or(ask.journal.clone());
    if !run.is_empty() || *ask != (AskOptions { journal: ask.journal.clone(), ..AskOptions::default() }) {
        return Err(
            "gate list, show, export, done and trust ask nobody: of the options of gate, they take --journal and --config"
                .into(),
        );
    }
    let settings = settings(common, &AskOptions { journal, ..AskOptions::default() })?;
    journal::run(&settings, &command, answer)
}

fn settings(common: Common, options: &AskOptions) -> Result<Settings, Error> {
    let (config, name) = (common.config.clone(), common.name.clone());
    let shared = AuditOptions {
        log: options.log.clone(),
        api: options.api,
        evidence_dir: options.evidence_dir.clone(),
        ..AuditOptions::default()
    };
    let (net, gate): (GivenNet, GivenGate) = (options.access.clone().into(), options.given());
    service::settings(config.as_deref(), name.as_deref(), Given { net, gate, ..given(common, shared) })
}
