//! Signals to a command in the foreground.

use crate::audit::conclusion::Conclusion;
use crate::monitor;
use crate::service::Error;
use crate::source::Stop;

/// Stops the run in order on a signal.
///
/// # Errors
/// Returns [`Error`] if signals cannot be caught.
pub fn stop_on_signal(stop: &Stop) -> Result<(), Error> {
    monitor::stop_on_signal(stop.clone(), i32::from(Conclusion::Incomplete.exit_code()))
        .map_err(|error| Error::Local(format!("signals cannot be caught: {error}")))
}
