//! Writing to the terminal, and reading files with a bound.

use crate::core::text;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

/// An error for the person, on stderr. Line breaks of ours stay; nothing else that moves a cursor.
pub fn error(message: &str) {
    let lines: Vec<String> = message.lines().map(text::escape).collect();
    let _ = writeln!(io::stderr(), "countersign: {}", lines.join("\n"));
}

/// The same for a text that says itself who speaks.
pub fn error_text(message: &str) {
    for line in message.lines() {
        let _ = writeln!(io::stderr(), "{}", text::escape(line));
    }
}

/// Something said besides, on stderr.
pub fn note(message: &str) {
    let _ = writeln!(io::stderr(), "countersign: {}", text::escape(message));
}

/// A path for reports: escaped, and stdin by its name.
pub fn name(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { text::escape(&path.to_string_lossy()) }
}

/// The report, on stdout. A closed pipe (`| head`) is no reason to fail; the exit code stays. Gives whether all of it
/// was written.
pub fn print(report: &str) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(report.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// What somebody asked for, on stdout: all of it, or an error. A closed pipe is none.
///
/// # Errors
/// As of the file or device that stdout is.
pub fn print_whole(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a file as a whole: beside its place, then renamed there. Whatever goes wrong, what was there
/// before stays, and nothing else is left.
///
/// # Errors
/// As of the file system.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_file_name(format!(".countersign-{}.new", std::process::id()));
    // Never through something that stands in the place already.
    let mut file = File::options().write(true).create_new(true).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

/// Whether progress can be drawn.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether the report goes to a terminal.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Reads a file, or stdin for "-", of at most `limit` bytes.
///
/// # Errors
/// A sentence for the person; also where the file is longer.
pub fn read_file(path: &Path, limit: usize) -> Result<Vec<u8>, String> {
    let bytes = read_start(path, limit)?;
    if bytes.len() > limit {
        return Err(format!("cannot read {path:?}: longer than the {limit} bytes that such a file may have"));
    }
    Ok(bytes)
}

/// Reads a file, or stdin for "-": all of it up to `limit` bytes, and one byte more where there are more.
///
/// # Errors
/// A sentence for the person.
pub fn read_start(path: &Path, limit: usize) -> Result<Vec<u8>, String> {
    let fail = |why: String| format!("cannot read {path:?}: {why}");
    let mut bytes = Vec::new();
    let bound = (limit as u64).saturating_add(1);
    let read = if path == Path::new("-") {
        io::stdin().lock().take(bound).read_to_end(&mut bytes)
    } else {
        let file = File::open(path).map_err(|error| fail(error.to_string()))?;
        file.take(bound).read_to_end(&mut bytes)
    };
    read.map_err(|error| fail(error.to_string()))?;
    Ok(bytes)
}
