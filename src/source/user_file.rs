//! Reads files that a user made and named: configs, policies, keys, secrets, receipts, histories of heads.
//!
//! An editor may have added a byte order mark, or saved the text as UTF-16. The mark is skipped. UTF-16 is
//! reported, because any other error about the file would be confusing. A file that cannot be read because this
//! machine ran out of a resource is distinguished from a file that the user named wrongly.

use crate::core::text::{UTF_16, is_utf16, without_bom};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Why a file was not read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadError {
    /// Whether this machine is at fault, and not the user.
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

/// Whether this machine failed or ran out of a resource, whatever was requested: descriptors, threads, memory,
/// disk space, the disk itself.
pub fn is_local(error: &io::Error) -> bool {
    use io::ErrorKind::{
        FileTooLarge, OutOfMemory, QuotaExceeded, ReadOnlyFilesystem, StorageFull, WouldBlock,
    };
    let by_kind = matches!(
        error.kind(),
        // `WouldBlock` is EAGAIN, the error if no thread can be created.
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

/// Reads `reader` up to `limit` bytes, without the byte order mark at its start, and a few bytes more if it is
/// longer.
///
/// # Errors
/// The system refuses.
pub fn read_start(reader: &mut dyn Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Room for the mark, and a byte that shows that there is more. A saturated limit is no limit.
    reader.take((limit as u64).saturating_add(4)).read_to_end(&mut bytes)?;
    let marked = bytes.len().saturating_sub(without_bom(&bytes).len());
    bytes.drain(..marked);
    Ok(bytes)
}

/// Reads all of `reader`, at most `limit` bytes of text, without the byte order mark at its start. The text
/// need not be UTF-8: comments in a file of certificates may be anything.
///
/// # Errors
/// [`ReadError`]: the file cannot be read, is longer, or is UTF-16.
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

/// A limit in readable units.
fn size(bytes: usize) -> String {
    match (bytes >> 10, bytes >> 20) {
        (_, mib) if mib << 20 == bytes && mib > 0 => format!("{mib} MiB"),
        (kib, _) if kib << 10 == bytes && kib > 0 => format!("{kib} KiB"),
        _ => format!("{bytes} bytes"),
    }
}

/// [`read_whole`] for a file that must be UTF-8.
///
/// # Errors
/// As there, and if it is not UTF-8.
pub fn read_text(reader: &mut dyn Read, limit: usize) -> Result<String, ReadError> {
    String::from_utf8(read_whole(reader, limit)?).map_err(|_| ReadError::of_file("it is not UTF-8"))
}

/// [`read_whole`] for the file at `path`.
///
/// # Errors
/// As there, and if it cannot be opened.
pub fn read_file(path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
    read_whole(&mut File::open(path)?, limit)
}

/// Opens a regular file for reading. `None` if the path is something else, such as a directory, a device or a
/// pipe, which is neither read nor waited for.
///
/// # Errors
/// The system refuses.
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    // Checked before opening, because opening a device can have effects, and once more on the open file,
    // because the path may have changed in between.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let file = open_without_waiting(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Opens for reading. On Unix, a FIFO that replaced the file meanwhile opens without waiting.
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
    fn one_byte_order_mark_is_skipped() {
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
    fn utf_16_is_reported_with_and_without_a_mark() {
        let little = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let big = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        for bytes in [little("\u{feff}{}"), big("\u{feff}{}"), little("log = 'x'"), big("log = 'x'")] {
            assert!(text(&bytes, 100).unwrap_err().contains("UTF-16"), "{bytes:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
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
    fn exhausted_resources_are_local() {
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
