//! `countersign heads`: the history of signed heads, and heads that others have seen.

use super::args::HeadsCommand;
use super::output::Answer;
use crate::config::{Format, Settings};
use crate::mirror::HeadLine;
use crate::service::heads::{self, Imported};
use crate::service::{Error, SystemClock};
use serde_json::json;

/// Runs one of the commands.
///
/// # Errors
/// Returns [`Error`] on wrong usage or a local fault.
pub fn run(settings: &Settings, command: &HeadsCommand, answer: &mut Answer) -> Result<u8, Error> {
    match command {
        HeadsCommand::Import { file, .. } => {
            let imported = heads::import(settings, file, &SystemClock::default())?;
            return Ok(say(&imported, settings, answer));
        }
        HeadsCommand::List { .. } if settings.format != Format::Json => {
            answer.print(&list(&heads::kept(settings)?));
        }
        HeadsCommand::List { .. } | HeadsCommand::Export { .. } => {
            let kept = heads::kept(settings)?;
            let lines: Result<String, _> = kept.iter().map(HeadLine::to_line).collect();
            let lines = lines.map_err(|error| Error::Local(format!("a head cannot be written: {error}")))?;
            answer.print(&lines);
        }
    }
    Ok(0)
}

fn list(lines: &[HeadLine]) -> String {
    let mut text =
        format!("{:>12}  {:<10} {:<24} {:<12} {:<8} root\n", "size", "format", "dated", "status", "from");
    for line in lines {
        let time = line.time.map_or("-".to_owned(), |time| time.to_string());
        text.push_str(&format!(
            "{:>12}  {:<10} {time:<24} {:<12} {:<8} {}\n",
            line.size, line.format, line.status, line.provenance, line.root
        ));
    }
    text
}

fn say(imported: &Imported, settings: &Settings, answer: &mut Answer) -> u8 {
    let Imported { read, new, refusals, refused, contradictions, invalid, incomplete } = imported;
    let verdict = imported.verdict();
    if settings.format == Format::Json {
        let json = json!({
            "tool": "countersign", "version": env!("CARGO_PKG_VERSION"), "command": "heads import",
            "verdict": verdict.as_str(), "exitCode": verdict.exit_code(), "read": read, "new": new,
            "refusals": refusals, "refused": refused, "contradictions": contradictions, "invalid": invalid, "incomplete": incomplete,
        });
        answer.print(&format!("{json}\n"));
        return verdict.exit_code();
    }
    let mut text = format!(
        "{read} heads read, {new} new, {refusals} refused, {} contradictions\n",
        contradictions.len()
    );
    // Only some of the refusals are listed, and none besides.
    let more = refusals.saturating_sub(refused.len() as u64);
    let refused = refused.iter().map(|why| format!("refused {why}"));
    let refused = refused.chain((more > 0).then(|| format!("and {more} more refused")));
    for line in refused.chain([contradictions, invalid, incomplete].into_iter().flatten().cloned()) {
        text.push_str(&format!("  {line}\n"));
    }
    answer.print(&text);
    verdict.exit_code()
}
