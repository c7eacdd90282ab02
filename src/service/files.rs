//! Files that the user names. They are read with a bound, written atomically, and shown escaped and without
//! credentials.

use super::Error;
use crate::core::text;
use crate::source::user_file::{self, ReadError};
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::Path;

/// Formats a path for reports: escaped, and "-" as "stdin".
pub fn name(path: &Path) -> String {
    match path == Path::new("-") {
        true => "stdin".to_owned(),
        // The user may have given a URL, with credentials, in place of a file.
        false => text::escape(&text::without_userinfo(&path.to_string_lossy())),
    }
}

/// Writes a file atomically: to a temporary file in the same directory, which is then renamed. On failure the previous
/// file stays in place, and the temporary file is removed.
///
/// # Errors
/// Returns the error of the file system.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_file_name(format!(".countersign-{}.new", std::process::id()));
    // `create_new` never follows a link or overwrites a file that already has this name.
    let mut file = File::options().write(true).create_new(true).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

/// Reads a file, or stdin for "-", of at most `limit` bytes.
///
/// # Errors
/// Returns [`Error`] if the file cannot be read, is longer than `limit`, or is UTF-16.
pub fn read_file(path: &Path, limit: usize) -> Result<Vec<u8>, Error> {
    read(path, |reader| user_file::read_whole(reader, limit))
}

/// Reads the start of a file, or of stdin for "-". The result is longer than `limit` bytes only if the file is.
///
/// # Errors
/// Returns [`Error`] if the file cannot be read.
pub fn read_start(path: &Path, limit: usize) -> Result<Vec<u8>, Error> {
    read(path, |reader| Ok(user_file::read_start(reader, limit)?))
}

fn read<T>(path: &Path, read: impl FnOnce(&mut dyn Read) -> Result<T, ReadError>) -> Result<T, Error> {
    let read = match path == Path::new("-") {
        true => read(&mut io::stdin().lock()),
        false => File::open(path).map_err(ReadError::from).and_then(|mut file| read(&mut file)),
    };
    read.map_err(|error| Error::new(error.is_local, format!("cannot read {path:?}: {error}")))
}
