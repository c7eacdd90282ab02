//! What the operating system asks of a command in the foreground.

use crate::audit::conclusion::Conclusion;
use crate::monitor;
use crate::service::Error;
use crate::source::Stop;

/// Ends the run in order when the system asks for it.
///
/// # Errors
/// Signals cannot be caught.
pub fn stop_on_signal(stop: &Stop) -> Result<(), Error> {
    monitor::stop_on_signal(stop.clone(), i32::from(Conclusion::Incomplete.exit_code()))
        .map_err(|error| Error::Local(format!("signals cannot be caught: {error}")))
}
