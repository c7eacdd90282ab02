//! Stops a run from another thread.

use std::sync::Arc;
use tokio::sync::watch;

/// Shared by those who may end a run and everything that waits in it. A stop is permanent: no further request
/// is made, requests in progress end, and what was verified is kept, as after a deadline.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Stop {
        Stop(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// The text in reports of a run that was stopped.
    pub const MESSAGE: &str = "the run was told to stop; what was fetched is kept, run again to go on";

    /// Ends the run.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether the run is to end.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the run is to end.
    pub async fn stopped(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }
}
