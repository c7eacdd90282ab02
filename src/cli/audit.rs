//! `countersign audit`: one audit, and its report.

use super::output::{self, Answer};
use super::progress::Bar;
use super::signals::stop_on_signal;
use super::style;
use crate::config::{Format, Settings};
use crate::report::{self, Report};
use crate::service::{self, AuditSpec, Error, SystemClock};
use crate::source::Stop;

/// Runs the audit and prints its report.
///
/// # Errors
/// Returns [`Error`] if the audit could not be begun.
pub fn run(settings: Settings, answer: &mut Answer) -> Result<u8, Error> {
    let stop = Stop::default();
    // An audit that is stopped by a signal still prints its report.
    stop_on_signal(&stop)?;
    let spec = AuditSpec::new(settings)?;
    let report = service::audit(&spec, &SystemClock::default(), &stop, &bar(spec.settings()))?;
    print(spec.settings(), &report, answer);
    if answer.is_whole() {
        note_untold(service::note_told(&spec, &report));
    }
    Ok(report.verdict().exit_code())
}

/// The progress display that the settings ask for.
pub fn bar(settings: &Settings) -> Bar {
    Bar::new(!settings.quiet && output::stderr_is_terminal(), settings.verbose)
}

/// Prints the report in the format that the settings ask for.
pub fn print(settings: &Settings, report: &Report, answer: &mut Answer) {
    match settings.format {
        Format::Json => answer.print_encoded(report::json::render(report)),
        Format::Text if settings.quiet && !report.must_be_read() => {}
        Format::Text => answer.print(&report::text::render(report, style::of(settings))),
    }
}

/// Prints the error if the mirror could not record that hits were reported.
pub fn note_untold(noted: Result<(), Error>) {
    if let Err(error) = noted {
        output::note(&error.to_string());
    }
}
