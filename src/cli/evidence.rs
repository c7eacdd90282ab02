//! `countersign evidence verify`: does a misbehaviour file prove what it says?

use super::args::Format;
use super::config::Settings;
use super::output;
use crate::audit::conclusion::Conclusion;
use crate::core::evidence::{self, EvidenceError};
use crate::core::{limits, text};
use serde_json::json;
use std::path::Path;

/// Verifies one file offline, with the key that the caller brings.
///
/// # Errors
/// Wrong usage: the file cannot be read.
pub fn verify(settings: &Settings, file: &Path) -> Result<u8, String> {
    let bytes = output::read_start(file, limits::MAX_EVIDENCE)?;
    let Some(key) = settings.one_log_key()? else {
        say(
            settings,
            Conclusion::Incomplete,
            None,
            "the log's public key was not given: a file cannot vouch for itself. Give it with --log-key",
        );
        return Ok(Conclusion::Incomplete.exit_code());
    };
    let (verdict, kind, message) = match evidence::verify(&bytes, key) {
        Ok(proved) => (Conclusion::Clean, Some(proved.kind().as_str()), format!("proved: {proved}")),
        Err(EvidenceError::Disagreement(what)) => (Conclusion::LocalFault, None, what),
        Err(error) => (Conclusion::Invalid, None, error.to_string()),
    };
    say(settings, verdict, kind, &message);
    Ok(verdict.exit_code())
}

fn say(settings: &Settings, verdict: Conclusion, kind: Option<&str>, message: &str) {
    let message = text::escape(message);
    let text = match settings.format {
        Format::Text => format!("{message}\n"),
        Format::Json => {
            let json = json!({
                "tool": "countersign", "version": env!("CARGO_PKG_VERSION"), "command": "evidence verify",
                "verdict": verdict.as_str(), "exitCode": verdict.exit_code(),
                "proved": verdict == Conclusion::Clean, "kind": kind, "message": message,
            });
            format!("{json}\n")
        }
    };
    output::print(&text);
}
