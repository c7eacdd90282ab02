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
/// Wrong usage: a sentence for the person.
pub fn run(settings: Settings, answer: &mut Answer) -> Result<u8, Error> {
    let stop = Stop::default();
    // Who is asked to stop still says what came of it.
    stop_on_signal(&stop)?;
    let spec = AuditSpec::new(settings)?;
    let report = service::audit(&spec, &SystemClock::default(), &stop, &bar(spec.settings()))?;
    print(spec.settings(), &report, answer);
    if answer.is_whole() {
        note_untold(service::note_told(&spec, &report));
    }
    Ok(report.verdict().exit_code())
}

/// Progress as the settings ask for it.
pub fn bar(settings: &Settings) -> Bar {
    Bar::new(!settings.quiet && output::stderr_is_terminal(), settings.verbose)
}

/// Prints the report as the settings ask for it.
pub fn print(settings: &Settings, report: &Report, answer: &mut Answer) {
    match settings.format {
        Format::Json => answer.print_encoded(report::json::render(report)),
        Format::Text if settings.quiet && !report.must_be_read() => {}
        Format::Text => answer.print(&report::text::render(report, style::of(settings))),
    }
}

/// Says that it could not be noted that hits were told of.
pub fn note_untold(noted: Result<(), Error>) {
    if let Err(error) = noted {
        output::note(&error.to_string());
    }
}
