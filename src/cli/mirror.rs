//! `countersign mirror check`: is the mirror what was written, and what can be made again of one that is not?

use super::args::Format;
use super::config::Settings;
use super::failure::Failure;
use super::output::{self, Answer};
use crate::audit::conclusion::Conclusion;
use crate::core::text::escape;
use crate::mirror::{Mirror, MirrorError, Part, Rebuilt, rebuild};
use crate::source::Stop;
use serde_json::json;

/// Checks a mirror, or makes it again.
///
/// # Errors
/// Wrong usage: a sentence for the person.
pub fn check(settings: &Settings, again: bool, answer: &mut Answer) -> Result<u8, Failure> {
    let db = settings.require_db()?;
    let Some(key) = settings.one_log_key()? else {
        return Err("which log? Give its public key with --log-key".into());
    };
    if again {
        return match rebuild(db, key) {
            Ok(rebuilt) => {
                answer.print(&rebuilt_text(settings, &rebuilt));
                Ok(Conclusion::Clean.exit_code())
            }
            Err(error) => fault(&error),
        };
    }
    let stop = Stop::default();
    let parts =
        Mirror::open_to_check(db, key).and_then(|mirror| mirror.check_parts(key, &|| stop.is_stopped()));
    match parts {
        Ok(parts) => {
            let parts = parts.unwrap_or_default();
            let is_whole = parts.iter().all(|part| part.wrong.is_none());
            let verdict = if is_whole { Conclusion::Clean } else { Conclusion::LocalFault };
            answer.print(&parts_text(settings, verdict, &parts));
            Ok(verdict.exit_code())
        }
        Err(error) => fault(&error),
    }
}

fn fault(error: &MirrorError) -> Result<u8, Failure> {
    if error.is_usage() {
        return Err(error.to_string().into());
    }
    output::error(&error.to_string());
    if matches!(error, MirrorError::Damaged(..)) {
        output::note("`countersign mirror check --rebuild` makes again what follows from the entries");
    }
    Ok(Conclusion::LocalFault.exit_code())
}

fn parts_text(settings: &Settings, verdict: Conclusion, parts: &[Part]) -> String {
    match settings.format {
        Format::Json => {
            let parts: Vec<_> = parts
                .iter()
                .map(|part| json!({"table": part.name, "rows": part.rows, "wrong": part.wrong}))
                .collect();
            format!("{}\n", document(verdict, &json!({"parts": parts})))
        }
        Format::Text => {
            let mut text = String::new();
            for part in parts {
                let word = part
                    .wrong
                    .as_ref()
                    .map_or("as written".to_owned(), |why| format!("WRONG: {}", escape(why)));
                text.push_str(&format!("{:<16} {:>12}  {word}\n", part.name, part.rows));
            }
            text.push_str(match verdict == Conclusion::Clean {
                true => "The mirror is what was written.\n",
                false => {
                    "The mirror is damaged; the log is not accused. Check the disk, then put the newest backup back, or \
                     run `countersign mirror check --rebuild`, which makes again what follows from the entries.\n"
                }
            });
            text
        }
    }
}

fn rebuilt_text(settings: &Settings, rebuilt: &Rebuilt) -> String {
    let kept = rebuilt.kept.display().to_string();
    match settings.format {
        Format::Json => {
            let rebuilt = json!({
                "entries": rebuilt.entries, "entriesBefore": rebuilt.entries_before, "heads": rebuilt.heads,
                "lost": rebuilt.lost, "damagedFile": kept,
            });
            format!("{}\n", document(Conclusion::Clean, &json!({"rebuilt": rebuilt})))
        }
        Format::Text => {
            let mut text = format!(
                "The mirror was made again: {} entries that a signed head commits to, {} heads.\n",
                rebuilt.entries, rebuilt.heads
            );
            if let Some(before) = rebuilt.entries_before.filter(|before| *before > rebuilt.entries) {
                text.push_str(&format!(
                    "It had {before} entries: the next audit fetches the others again.\n"
                ));
            }
            for lost in &rebuilt.lost {
                text.push_str(&format!("LOST: {}\n", escape(lost)));
            }
            text.push_str(&format!(
                "The damaged file is kept as {}. Run an audit now: it checks all entries again.\n",
                escape(&kept)
            ));
            text
        }
    }
}

fn document(verdict: Conclusion, more: &serde_json::Value) -> serde_json::Value {
    let mut document = json!({
        "tool": "countersign", "version": env!("CARGO_PKG_VERSION"), "command": "mirror check",
        "verdict": verdict.as_str(), "exitCode": verdict.exit_code(),
    });
    if let (Some(document), Some(more)) = (document.as_object_mut(), more.as_object()) {
        document.extend(more.clone());
    }
    document
}
