//! `countersign evidence verify`: checks whether a misbehaviour file proves its claim.

use super::output::Answer;
use crate::audit::conclusion::Conclusion;
use crate::config::{Format, Settings};
use crate::core::evidence::{self, EvidenceError};
use crate::core::{limits, text};
use crate::service::{Error, files};
use serde_json::json;
use std::path::Path;

/// Verifies one file offline, with the log key from the settings.
///
/// # Errors
/// Returns [`Error`] if the file cannot be read.
pub fn verify(settings: &Settings, file: &Path, answer: &mut Answer) -> Result<u8, Error> {
    let bytes = files::read_start(file, limits::MAX_EVIDENCE)?;
    let Some(key) = settings.one_log_key()? else {
        let why =
            "the log's public key was not given: a file cannot vouch for itself. Give it with --log-key";
        answer.print(&render(settings, Conclusion::Incomplete, None, why));
        return Ok(Conclusion::Incomplete.exit_code());
    };
    let (verdict, kind, message) = match evidence::verify(&bytes, key) {
        Ok(proved) => (Conclusion::Clean, Some(proved.kind().as_str()), format!("proved: {proved}")),
        Err(EvidenceError::Disagreement(what)) => (Conclusion::LocalFault, None, what),
        Err(error) => (Conclusion::Invalid, None, error.to_string()),
    };
    answer.print(&render(settings, verdict, kind, &message));
    Ok(verdict.exit_code())
}

fn render(settings: &Settings, verdict: Conclusion, kind: Option<&str>, message: &str) -> String {
    let message = text::escape(message);
    match settings.format {
        Format::Text => format!("{message}\n"),
        Format::Json => {
            let json = json!({
                "tool": "countersign", "version": env!("CARGO_PKG_VERSION"), "command": "evidence verify",
                "verdict": verdict.as_str(), "exitCode": verdict.exit_code(),
                "proved": verdict == Conclusion::Clean, "kind": kind, "message": message,
            });
            format!("{json}\n")
        }
    }
}
