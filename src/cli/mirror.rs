//! `countersign mirror check`: checks a mirror for damage, and rebuilds a damaged one.

use super::output::{self, Answer};
use super::signals::stop_on_signal;
use crate::audit::conclusion::Conclusion;
use crate::config::{Format, Settings};
use crate::core::text::escape;
use crate::mirror::{Checked, Rebuilt};
use crate::service::{Error, MirrorCheck, check_mirror, mirror_of};
use crate::source::Stop;
use serde_json::{Value, json};

/// Checks a mirror. If it is damaged and `again` is true, rebuilds it.
///
/// # Errors
/// Returns [`Error`] on wrong usage.
pub fn check(settings: &Settings, again: bool, answer: &mut Answer) -> Result<u8, Error> {
    mirror_of(settings)?;
    let stop = Stop::default();
    stop_on_signal(&stop)?;
    let verdict = match check_mirror(settings, again, &stop)? {
        MirrorCheck::Stopped => {
            output::error("the check was stopped before it was complete: there is no result");
            Conclusion::Incomplete
        }
        MirrorCheck::Checked(found) => {
            let verdict = if found.is_whole() { Conclusion::Clean } else { Conclusion::LocalFault };
            answer.print(&checked_text(settings, verdict, &found, again));
            verdict
        }
        MirrorCheck::Rebuilt(rebuilt) => {
            // A rebuild that lost heads or findings is not clean: the mirror no longer knows all that it did.
            let verdict = if rebuilt.lost.is_empty() { Conclusion::Clean } else { Conclusion::Incomplete };
            answer.print(&rebuilt_text(settings, verdict, &rebuilt));
            verdict
        }
        MirrorCheck::Fault(error) => {
            output::error(&error.to_string());
            Conclusion::LocalFault
        }
    };
    Ok(verdict.exit_code())
}

fn checked_text(settings: &Settings, verdict: Conclusion, found: &Checked, again: bool) -> String {
    if settings.format == Format::Json {
        let parts = found.parts.iter();
        let parts: Vec<Value> =
            parts.map(|part| json!({"table": part.name, "rows": part.rows, "wrong": part.wrong})).collect();
        return document(verdict, &json!({"parts": parts, "unchecked": found.unchecked}));
    }
    if settings.quiet && verdict == Conclusion::Clean {
        return String::new();
    }
    let mut text = String::new();
    for part in &found.parts {
        let word =
            part.wrong.as_ref().map_or("as written".to_owned(), |why| format!("WRONG: {}", escape(why)));
        text.push_str(&format!("{:<16} {:>12}  {word}\n", part.name, part.rows));
    }
    if found.unchecked > 0 {
        text.push_str(&format!(
            "{} entries are to be checked by the next audit, which fills keys, approver_keys, entry_columns and seen.\n",
            found.unchecked
        ));
    }
    text.push_str(match (verdict, again) {
        (Conclusion::Clean, false) => "The mirror is intact.\n",
        (Conclusion::Clean, true) => "The mirror is intact: there is nothing to rebuild.\n",
        _ => {
            "The mirror is damaged; the log is not accused. Check the disk, then put the newest backup back, or \
             run `countersign mirror check --rebuild`, which rebuilds everything that can be derived from the \
             entries.\n"
        }
    });
    text
}

fn rebuilt_text(settings: &Settings, verdict: Conclusion, rebuilt: &Rebuilt) -> String {
    let kept = rebuilt.kept.display().to_string();
    if settings.format == Format::Json {
        let rebuilt = json!({
            "entries": rebuilt.entries, "entriesBefore": rebuilt.entries_before, "heads": rebuilt.heads,
            "lost": rebuilt.lost, "damagedFile": kept,
        });
        return document(verdict, &json!({"rebuilt": rebuilt}));
    }
    if settings.quiet && verdict == Conclusion::Clean {
        return String::new();
    }
    let mut text = format!(
        "The mirror was rebuilt: {} entries that a signed head commits to, {} heads.\n",
        rebuilt.entries, rebuilt.heads
    );
    if let Some(before) = rebuilt.entries_before.filter(|before| *before > rebuilt.entries) {
        text.push_str(&format!("It had {before} entries: the next audit fetches the others again.\n"));
    }
    for lost in &rebuilt.lost {
        text.push_str(&format!("LOST: {}\n", escape(lost)));
    }
    text.push_str(&format!(
        "The damaged file is kept as {}; delete it when you no longer need it. Run an audit now: it checks all \
         entries again.\n",
        escape(&kept)
    ));
    text
}

fn document(verdict: Conclusion, more: &Value) -> String {
    let mut document = json!({
        "tool": "countersign", "version": env!("CARGO_PKG_VERSION"), "command": "mirror check",
        "verdict": verdict.as_str(), "exitCode": verdict.exit_code(),
    });
    if let (Some(document), Some(more)) = (document.as_object_mut(), more.as_object()) {
        document.extend(more.clone());
    }
    format!("{document}\n")
}
