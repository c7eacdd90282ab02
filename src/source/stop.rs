//! Telling a run from another thread that it is to end.

use std::sync::Arc;
use tokio::sync::watch;

/// Shared by whoever may end a run and all that waits in it. Told once, it stays told: nothing more is
/// asked, whatever is under way ends, and what was proved until then is kept, as after a deadline.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Stop {
        Stop(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// What reports say of a run that was ended.
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
        // The sender cannot go away while we hold it.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }
}
