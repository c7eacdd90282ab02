//! Files that a person made and named: configs, policies, keys, secrets, receipts, histories of heads.
//!
//! An editor may have put a byte order mark before the text, or have saved it as UTF-16; the first is passed over, and
//! the second is said, because nothing else in the file would make sense of the error that follows. What cannot be read
//! because this machine has run out of something is told apart from what the person named wrongly.

use crate::core::text::{UTF_16, is_utf16, without_bom};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Why a file was not read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadError {
    /// Whether this machine is at fault, and not what was named.
    pub is_local: bool,
    /// What is wrong, without the name of the file.
    pub why: String,
}

impl ReadError {
    fn of_file(why: impl Into<String>) -> ReadError {
        ReadError { is_local: false, why: why.into() }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        ReadError { is_local: is_local(&error), why: error.to_string() }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// Whether this machine has run out of something, or fails, whatever was asked of it: descriptors, threads, memory,
/// room on the disk, the disk itself.
pub fn is_local(error: &io::Error) -> bool {
    use io::ErrorKind::{
        FileTooLarge, OutOfMemory, QuotaExceeded, ReadOnlyFilesystem, StorageFull, WouldBlock,
    };
    let by_kind = matches!(
        error.kind(),
        // `WouldBlock` is EAGAIN, which a thread that cannot be had is.
        FileTooLarge | OutOfMemory | QuotaExceeded | ReadOnlyFilesystem | StorageFull | WouldBlock
    );
    by_kind || has_no_kind(error)
}

#[cfg(unix)]
fn has_no_kind(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::EIO | libc::ENOBUFS))
}

#[cfg(not(unix))]
fn has_no_kind(_: &io::Error) -> bool {
    false
}

/// All of `reader` up to `limit` bytes, without the byte order mark at its start; and bytes beyond it where there are
/// more.
///
/// # Errors
/// Of the system.
pub fn read_start(reader: &mut dyn Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Room for the mark, and a byte that tells that there are more.
    reader.take((limit as u64).saturating_add(4)).read_to_end(&mut bytes)?;
    let marked = bytes.len().saturating_sub(without_bom(&bytes).len());
    bytes.drain(..marked);
    Ok(bytes)
}

/// All of `reader`, of at most `limit` bytes of text, without the byte order mark at its start. Not all text is UTF-8:
/// comments in a file of certificates may be anything.
///
/// # Errors
/// [`ReadError`]; also where it is longer, or UTF-16.
pub fn read_whole(reader: &mut dyn Read, limit: usize) -> Result<Vec<u8>, ReadError> {
    let bytes = read_start(reader, limit)?;
    if is_utf16(&bytes) {
        return Err(ReadError::of_file(UTF_16));
    }
    if bytes.len() > limit {
        return Err(ReadError::of_file(format!("longer than {}", size(limit))));
    }
    Ok(bytes)
}

/// A limit, as it is written in the sources.
fn size(bytes: usize) -> String {
    match (bytes >> 10, bytes >> 20) {
        (_, mib) if mib << 20 == bytes && mib > 0 => format!("{mib} MiB"),
        (kib, _) if kib << 10 == bytes && kib > 0 => format!("{kib} KiB"),
        _ => format!("{bytes} bytes"),
    }
}

/// [`read_whole`] of what must be UTF-8.
///
/// # Errors
/// As there, and where it is not.
pub fn read_text(reader: &mut dyn Read, limit: usize) -> Result<String, ReadError> {
    String::from_utf8(read_whole(reader, limit)?).map_err(|_| ReadError::of_file("it is not UTF-8"))
}

/// [`read_whole`] of the file at `path`.
///
/// # Errors
/// As there, and where it cannot be opened.
pub fn read_file(path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
    read_whole(&mut File::open(path)?, limit)
}

/// Opens a regular file for reading; `None` where something else has its name, such as a directory, a device or a pipe,
/// which is neither read nor waited for.
///
/// # Errors
/// Of the system.
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    // Looked at before opening, because opening a device can already do something, and once more on
    // the open file, because the path may have been changed in between.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let file = open_without_waiting(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Opens for reading; on Unix a FIFO that took the file's place meanwhile opens at once.
fn open_without_waiting(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(mut bytes: &[u8], limit: usize) -> Result<String, String> {
        read_text(&mut bytes, limit).map_err(|error| error.to_string())
    }

    #[test]
    fn one_mark_is_passed_over_and_counts_for_nothing() {
        assert_eq!(text(b"abc", 3), Ok("abc".to_owned()));
        assert_eq!(text(b"\xef\xbb\xbfabc", 3), Ok("abc".to_owned()));
        assert_eq!(text(b"\xef\xbb\xbf\xef\xbb\xbfa", 9), Ok("\u{feff}a".to_owned()));
        assert_eq!(text(b"a\xef\xbb\xbf", 9), Ok("a\u{feff}".to_owned()));
        assert_eq!(text(b"", 0), Ok(String::new()));
        for long in [&b"abcd"[..], b"\xef\xbb\xbfabcd", b"\xef\xbb\xbfabcdefghijk"] {
            assert_eq!(text(long, 3).unwrap_err(), "longer than 3 bytes", "{long:?}");
        }
        assert_eq!(
            [size(4 << 20), size(64 << 10), size(0), size(1025)],
            ["4 MiB", "64 KiB", "0 bytes", "1025 bytes"]
        );
        assert!(text(b"\xff", 3).unwrap_err().contains("not UTF-8"));
    }

    #[test]
    fn utf_16_is_said_with_a_mark_and_without() {
        let little = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let big = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        for bytes in [little("\u{feff}{}"), big("\u{feff}{}"), little("log = 'x'"), big("log = 'x'")] {
            assert!(text(&bytes, 100).unwrap_err().contains("UTF-16"), "{bytes:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_the_place_of_a_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(open_regular(&pipe).unwrap().is_none());
        // The path may turn into a FIFO between the look and the opening.
        assert!(!open_without_waiting(&pipe).unwrap().metadata().unwrap().is_file());
        assert!(open_regular(folder.path()).unwrap().is_none());
        assert!(open_regular(Path::new("/dev/zero")).unwrap().is_none());
        assert!(open_regular(&folder.path().join("none")).is_err());
        std::fs::write(folder.path().join("file"), "text").unwrap();
        assert!(open_regular(&folder.path().join("file")).unwrap().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn what_this_machine_lacks_is_no_slip() {
        for (code, expected) in [
            (libc::EMFILE, true),
            (libc::ENFILE, true),
            (libc::ENOSPC, true),
            (libc::EFBIG, true),
            (libc::EDQUOT, true),
            (libc::EIO, true),
            (libc::ENOMEM, true),
            (libc::EAGAIN, true),
            (libc::ENOENT, false),
            (libc::EACCES, false),
            (libc::EISDIR, false),
            (libc::ENOTDIR, false),
            (libc::ELOOP, false),
            (libc::EADDRINUSE, false),
        ] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(is_local(&error), expected, "{error}");
        }
    }
}
