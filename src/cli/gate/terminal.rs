//! What a person at the terminal sees while somebody is asked. All that comes from the service is escaped.

use super::command::Prepared;
use crate::cli::output;
use crate::cli::progress::TimeLeft;
use crate::cli::verify::save;
use crate::config::Settings;
use crate::core::evidence::EvidenceKind;
use crate::core::text::{escape, quoted};
use crate::gate::Observer;
use crate::gate::judge::Checked;
use crate::gate::request::Request;
use crate::gate::row::Asked;
use humantime::format_duration;
use std::cell::RefCell;
use std::time::Duration;

/// How much of a payload is shown: a screen of it.
const MAX_PAYLOAD: usize = 2000;

/// Shows what happens, and prepares the command.
pub struct Shown<'a> {
    settings: &'a Settings,
    key: &'a str,
    prepared: Option<&'a Prepared>,
    left: RefCell<Option<TimeLeft>>,
}

impl<'a> Shown<'a> {
    /// Shows a run with this key, for this command.
    pub fn new(settings: &'a Settings, key: &'a str, prepared: Option<&'a Prepared>) -> Shown<'a> {
        Shown { settings, key, prepared, left: RefCell::new(None) }
    }
}

impl Observer for Shown<'_> {
    fn waiting(&self, request: &Request, asked: &Asked, left: Duration) {
        if self.settings.quiet {
            return;
        }
        let (who, link, key) = (quoted(request.username()), escape(&asked.url), quoted(self.key));
        // What of the first second has passed already is nobody's concern.
        let time =
            format_duration(Duration::from_secs(left.saturating_add(Duration::from_millis(500)).as_secs()));
        if !output::stderr_is_terminal() {
            let what = quoted(request.action());
            output::note(&format!(
                "{who} is asked to approve {what}, for {time}: {link} (idempotency key {key})"
            ));
            return;
        }
        let payload = request.payload();
        let shown = match payload.char_indices().nth(MAX_PAYLOAD) {
            Some((end, _)) => {
                format!("{}… ({} bytes)", payload.get(..end).unwrap_or_default(), payload.len())
            }
            None => payload.to_owned(),
        };
        output::note(&format!("{who} is asked to approve"));
        output::note(&format!("  action     {}", escape(request.action())));
        output::note(&format!("  arguments  {}", escape(&shown)));
        output::note(&format!("  link       {link}"));
        output::note(&format!("  --key      {key}"));
        *self.left.borrow_mut() = Some(TimeLeft::new(left));
    }

    fn approved(&self) {
        self.left.borrow_mut().take();
        if !self.settings.quiet && (self.settings.verbose || output::stderr_is_terminal()) {
            output::note("the service says approved: looking for that in the log");
        }
    }

    fn ready(&self, checked: &Checked) -> Result<(), String> {
        self.prepared.map_or(Ok(()), |prepared| prepared.write_receipt(&checked.receipt))
    }

    fn save_evidence(&self, evidence: &[u8]) -> Result<String, String> {
        save(self.settings, EvidenceKind::SameSizeFork, evidence).map_err(|error| error.to_string())
    }
}
