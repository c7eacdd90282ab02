//! `countersign receipt`: writes verified receipts to files or to stdout.

mod usage;

use super::args::{Common, ReceiptOptions};
use super::output::{self, Answer};
use super::progress::Bar;
use super::settings::settings_of;
use super::verify::save;
use crate::audit::conclusion::Conclusion;
use crate::config::Settings;
use crate::run::Progress as _;
use crate::run::receipts::NoReceipt;
use crate::service::receipts::{ReceiptFormat, ReceiptIssuer, ReceiptSelection, Verified};
use crate::service::{Error, NO_LOG_KEY, files, now};
use std::collections::BTreeMap;
use std::path::Path;

/// Writes the receipts that the options ask for.
///
/// # Errors
/// Returns [`Error`] on wrong usage or a local fault.
pub fn run(common: Common, options: &ReceiptOptions, answer: &mut Answer) -> Result<u8, Error> {
    let form = usage::form(common.format)?;
    let settings = settings_of(Common { format: None, ..common }, options.shared())?;
    usage::check(options)?;
    let Some(key) = settings.one_log_key()? else {
        output::error(NO_LOG_KEY);
        return Ok(Conclusion::Incomplete.exit_code());
    };
    let issuer = ReceiptIssuer::new(&settings, key, form, options.from_log, now());
    let mut issuing = Issuing { settings: &settings, form, issuer };
    let conclusion = match (&options.which.all_of, &options.out) {
        (Some(approver), Some(folder)) => issuing.all_of(approver, folder)?,
        _ => issuing.one(options, answer)?,
    };
    Ok(conclusion.exit_code())
}

/// The issuer of the receipts, and where they are written.
struct Issuing<'a> {
    settings: &'a Settings,
    form: ReceiptFormat,
    issuer: ReceiptIssuer<'a>,
}

impl Issuing<'_> {
    /// Writes one receipt to a file or to stdout.
    fn one(&mut self, options: &ReceiptOptions, answer: &mut Answer) -> Result<Conclusion, Error> {
        let which = match (&options.which.id, options.which.index) {
            (Some(id), _) => ReceiptSelection::Id(id),
            (None, index) => ReceiptSelection::Index(index.unwrap_or_default()),
        };
        let issued = match options.from_log {
            true => {
                let log = self.issuer.open_log()?;
                warn(&log.note.map(str::to_owned).into_iter().collect::<Vec<_>>());
                self.issuer.served(&log, which)?
            }
            false => self.issuer.mirrored(which)?,
        };
        let verified = match issued {
            Ok(verified) => verified,
            Err(none) => {
                output::error(&format!("no receipt was written: {none}"));
                let saved = none.evidence.as_ref().map(|(kind, file)| save(self.settings, *kind, file));
                return Ok(match saved {
                    None => none.conclusion,
                    Some(Ok(path)) => {
                        output::note(&format!("the proof is in {path}"));
                        none.conclusion
                    }
                    Some(Err(_)) => Conclusion::LocalFault,
                });
            }
        };
        warn(&verified.said);
        match &options.out {
            Some(path) => files::replace_file(path, verified.text.as_bytes())
                .map_err(|error| Error::not_written(files::name(path), &error))?,
            None => answer.print(&verified.text),
        }
        Ok(verified.conclusion)
    }

    /// Writes a receipt for every approval by one approver, each to its own file.
    fn all_of(&mut self, approver: &str, folder: &Path) -> Result<Conclusion, Error> {
        let mirror = match self.issuer.open_mirror()? {
            Ok(mirror) => mirror,
            Err(none) => return Ok(say(&none)),
        };
        let mut approvals = match self.issuer.approved_by(&mirror, approver) {
            Ok(approvals) => approvals,
            Err(none) => return Ok(say(&none)),
        };
        let indices = approvals.indices();
        std::fs::create_dir_all(folder).map_err(|error| Error::not_written(files::name(folder), &error))?;
        let bar = Bar::new(!self.settings.quiet && output::stderr_is_terminal(), self.settings.verbose);
        bar.begin("writing receipts", indices.len() as u64);
        let (mut written, mut worst): (u64, Conclusion) = (0, Conclusion::Clean);
        let mut warnings = Warnings::default();
        for index in &indices {
            let conclusion = match self.issuer.one_of(&mut approvals, *index) {
                Ok(verified) => {
                    warnings.add(*index, &verified.said);
                    self.write_into(folder, *index, &verified)
                }
                Err(none) => {
                    output::error(&format!("entry {index}, not written: {none}"));
                    none.conclusion
                }
            };
            // At most one for each index in the list.
            written = written.saturating_add(u64::from(conclusion <= Conclusion::Incomplete));
            worst = worst.max(conclusion);
            bar.advance(1);
            // A fault of the disk or of the mirror, or a log that contradicts itself, would fail all that follow, too.
            if conclusion >= Conclusion::Violation {
                break;
            }
        }
        bar.end();
        warn(&warnings.lines());
        if !(self.settings.quiet && worst == Conclusion::Clean) {
            // No more are written than are asked for.
            let missing = (indices.len() as u64).saturating_sub(written);
            output::note(&format!(
                "{written} receipts written to {}, {missing} not written",
                files::name(folder)
            ));
        }
        Ok(worst)
    }

    fn write_into(&self, folder: &Path, index: u64, verified: &Verified) -> Conclusion {
        let path = folder.join(format!("{index}-{}.{}", verified.name, self.form.extension()));
        match files::replace_file(&path, verified.text.as_bytes()) {
            Ok(()) => verified.conclusion,
            Err(error) => not_written(&path, &error),
        }
    }
}

/// Messages about many receipts. Each is printed once, with the number of receipts that it applies to.
#[derive(Default)]
struct Warnings(BTreeMap<String, (u64, u64)>);

impl Warnings {
    fn add(&mut self, index: u64, warnings: &[String]) {
        for line in warnings {
            let (_, count) = self.0.entry(line.clone()).or_insert((index, 0));
            // At most one for each receipt.
            *count = count.saturating_add(1);
        }
    }

    fn lines(&self) -> Vec<String> {
        // Every line that is here was said at least once.
        let line = |(warning, (first, count)): (&String, &(u64, u64))| match count.saturating_sub(1) {
            0 => format!("entry {first}: {warning}"),
            more => format!("entry {first} and {more} more: {warning}"),
        };
        self.0.iter().map(line).collect()
    }
}

fn warn(warnings: &[String]) {
    for line in warnings {
        output::note(&format!("warning: {line}"));
    }
}

fn say(none: &NoReceipt) -> Conclusion {
    output::error(&none.to_string());
    none.conclusion
}

fn not_written(path: &Path, error: &std::io::Error) -> Conclusion {
    output::error(&Error::not_written(files::name(path), error).to_string());
    Conclusion::LocalFault
}
