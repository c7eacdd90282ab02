//! Files that a person names: read with a bound, written as a whole, shown without what must not be.

use super::Error;
use crate::core::text;
use crate::source::user_file::{self, ReadError};
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::Path;

/// A path for reports: escaped, and stdin by its name.
pub fn name(path: &Path) -> String {
    match path == Path::new("-") {
        true => "stdin".to_owned(),
        // Somebody may have given a URL where a file is meant.
        false => text::escape(&text::without_userinfo(&path.to_string_lossy())),
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

/// Reads a file, or stdin for "-", of at most `limit` bytes.
///
/// # Errors
/// It cannot be read; also where it is longer, or UTF-16.
pub fn read_file(path: &Path, limit: usize) -> Result<Vec<u8>, Error> {
    read(path, |reader| user_file::read_whole(reader, limit))
}

/// Reads a file, or stdin for "-": all of it up to `limit` bytes, and bytes beyond where there are more.
///
/// # Errors
/// It cannot be read.
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
