//! Reads receipts from files, directories and stdin, which hold one receipt or one on each line. They are read in
//! batches, so that a million of them need no more memory than a few.

use super::{Error, files};
use crate::core::limits::MAX_RECEIPT;
use crate::core::text;
use crate::source::user_file;
use serde::de::IgnoredAny;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// One candidate for a receipt.
pub struct Named {
    /// Where it was found: a path, or a line in a file. Escaped.
    pub source: String,
    /// The bytes, cut off if longer than any receipt. An error says why something with the name of a receipt has no
    /// bytes.
    pub text: Result<Vec<u8>, &'static str>,
}

impl Named {
    /// The number of bytes.
    fn len(&self) -> usize {
        self.text.as_ref().map_or(0, Vec::len)
    }
}

/// The place of one receipt or of many.
enum Place {
    /// A path that the user gave. It may be a pipe.
    Given(PathBuf),
    /// A file found in a directory by its name. The files there may come from others than the user.
    Listed(PathBuf),
}

/// The receipts to be checked, in order.
pub struct Receipts {
    places: std::vec::IntoIter<Place>,
    lines: Option<Lines>,
    /// Whether there may be more than one, which decides how they are reported.
    pub many: bool,
    /// The number of directory entries that are not named like a receipt, or that begin with a dot.
    pub passed_over: usize,
    /// An error for each file that could not be read. The others are still checked.
    pub unread: Vec<Error>,
}

struct Lines {
    name: String,
    number: u64,
    reader: Box<dyn BufRead>,
}

/// The extensions of receipt files in a directory.
const EXTENSIONS: [&str; 4] = ["json", "tlog-proof", "jsonl", "ndjson"];

/// The message if there was no receipt.
pub const NONE: &str = "there is no receipt to check, so nothing was checked: name a receipt, a directory of them or, for \
                        stdin, - and give one on each line; in a directory, files that end in .json, .tlog-proof, \
                        .jsonl or .ndjson are looked for, and not those that begin with a dot";

/// Messages for the name of a receipt that does not lead to a regular file.
const NOT_THERE: &str = "there is no such file";
const NOT_A_FILE: &str = "it is a directory, a device, a pipe or a socket, which was not read";

/// The most bytes of all names in one directory. They are held in memory to be sorted.
const MAX_NAMES: usize = 16 * 1024 * 1024;

impl Receipts {
    /// Lists the named files and directories. It opens only directories.
    ///
    /// # Errors
    /// Returns [`Error`] if a directory cannot be read or has too many receipts.
    pub fn open(named: &[PathBuf]) -> Result<Receipts, Error> {
        let (mut places, mut passed_over, mut folders) = (Vec::new(), 0_usize, false);
        for path in named {
            if path != Path::new("-") && path.is_dir() {
                folders = true;
                list(path, &mut places, &mut passed_over)?;
            } else {
                places.push(Place::Given(path.clone()));
            }
        }
        let many = folders || places.len() > 1;
        Ok(Receipts { places: places.into_iter(), lines: None, many, passed_over, unread: Vec::new() })
    }

    /// Reads the next receipts, at most `most` of them and not much more than `bytes` together. Empty at the end.
    pub fn next(&mut self, most: usize, bytes: usize) -> Vec<Named> {
        let (mut found, mut length) = (Vec::new(), 0_usize);
        while found.len() < most && length < bytes {
            let next = match (&mut self.lines, self.places.as_slice()) {
                (Some(lines), _) => lines.next().inspect(|line| {
                    if line.is_none() {
                        self.lines = None;
                    }
                }),
                (None, []) => break,
                (None, _) => self.places.next().map_or(Ok(None), |place| self.begin(&place)),
            };
            match next {
                Ok(None) => {}
                Ok(Some(named)) => {
                    // A saturated length is beyond the bound of a batch, and ends it.
                    length = length.saturating_add(named.len());
                    found.push(named);
                }
                Err(why) => {
                    self.lines = None;
                    self.unread.push(why);
                }
            }
        }
        found
    }

    /// Whether nothing is left to read.
    pub fn is_done(&self) -> bool {
        self.lines.is_none() && self.places.as_slice().is_empty()
    }

    /// Opens a file or stdin. Returns the one receipt in it, or continues with its lines.
    fn begin(&mut self, place: &Place) -> Result<Option<Named>, Error> {
        let (Place::Given(path) | Place::Listed(path)) = place;
        let source = match place {
            Place::Given(path) => files::name(path),
            Place::Listed(path) => text::escape(&path.to_string_lossy()),
        };
        let fail = |error: io::Error| unread(format_args!("{path:?}"), &error);
        let stdin = matches!(place, Place::Given(path) if path == Path::new("-"));
        let mut reader: Box<dyn Read> = match place {
            Place::Given(_) if stdin => Box::new(io::stdin()),
            Place::Given(path) => Box::new(File::open(path).map_err(fail)?),
            Place::Listed(path) => match user_file::open_regular(path) {
                Ok(Some(file)) => Box::new(file),
                Ok(None) => return Ok(Some(Named { source, text: Err(NOT_A_FILE) })),
                Err(error) if leads_nowhere(&error) => {
                    return Ok(Some(Named { source, text: Err(NOT_THERE) }));
                }
                Err(error) => return Err(fail(error)),
            },
        };
        let start = user_file::read_start(&mut reader, MAX_RECEIPT).map_err(fail)?;
        if stdin && start.len() <= MAX_RECEIPT && start.trim_ascii().is_empty() {
            // Blank input on stdin is an empty list.
            return Ok(None);
        }
        if !is_lines(&start) {
            return Ok(Some(Named { source, text: Ok(start) }));
        }
        self.many = true;
        let reader = Box::new(BufReader::new(io::Cursor::new(start).chain(reader)));
        self.lines = Some(Lines { name: source, number: 0, reader });
        Ok(None)
    }
}

impl Lines {
    /// The next line that is not blank.
    fn next(&mut self) -> Result<Option<Named>, Error> {
        loop {
            let mut bytes = Vec::new();
            // A constant of two million. Room for the line end, and a byte that shows that there is more.
            let bound = (MAX_RECEIPT as u64).saturating_add(2);
            let read = self.reader.by_ref().take(bound).read_until(b'\n', &mut bytes);
            if read.map_err(|error| unread(&self.name, &error))? == 0 {
                return Ok(None);
            }
            // No input has so many lines.
            self.number = self.number.saturating_add(1);
            let cut = bytes.len() > MAX_RECEIPT && bytes.last() != Some(&b'\n');
            if cut {
                // The check refuses the receipt by its length. The rest of the line is skipped.
                let skipped = self.reader.skip_until(b'\n');
                skipped.map_err(|error| unread(&self.name, &error))?;
            }
            // A byte order mark stands within the input if files were concatenated.
            // What has no mark is never the shorter one.
            let marked = bytes.len().saturating_sub(text::without_bom(&bytes).len());
            bytes.drain(..marked);
            // A line that was cut is never taken for blank: a receipt may follow the blanks.
            if cut || !bytes.iter().all(u8::is_ascii_whitespace) {
                let source = format!("{} line {}", self.name, self.number);
                return Ok(Some(Named { source, text: Ok(bytes) }));
            }
        }
    }
}

/// Whether a name found in a directory leads to no file: it is a dangling or circular link, or was removed meanwhile.
fn leads_nowhere(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::ELOOP) {
        return true;
    }
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn unread(name: impl fmt::Display, error: &io::Error) -> Error {
    Error::new(user_file::is_local(error), format!("cannot read {name}: {error}"))
}

/// Adds the receipts of a directory, sorted by name. Subdirectories are not entered.
fn list(folder: &Path, places: &mut Vec<Place>, passed_over: &mut usize) -> Result<(), Error> {
    let fail = |error: io::Error| unread(format_args!("{folder:?}"), &error);
    let (mut found, mut length) = (Vec::new(), 0_usize);
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        // Files that begin with a dot come from a system or an editor, such as the `._a.json` of a Mac.
        let named = !hidden && EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known));
        // Everything with such a name counts as a receipt. What is not one fails its check later.
        if named {
            // A saturated length is beyond the bound on all names.
            length = length.saturating_add(path.as_os_str().len());
            if length > MAX_NAMES {
                return Err(format!(
                    "{folder:?} has too many receipts: give them on stdin, one on each line"
                )
                .into());
            }
            found.push(path);
        } else {
            // No directory has so many files.
            *passed_over = passed_over.saturating_add(1);
        }
    }
    found.sort();
    places.extend(found.into_iter().map(Place::Listed));
    Ok(())
}

/// Whether a text holds a receipt on each line, rather than one receipt over several lines. It does if the first line
/// is a complete object, or if the first two lines each begin with a brace: in JSON over several lines, the name of a
/// member follows the first brace.
fn is_lines(start: &[u8]) -> bool {
    let mut lines = start.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else { return false };
    let object = first.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(first).is_ok();
    object || (first.starts_with(b"{") && second.starts_with(b"{"))
}

#[cfg(test)]
mod tests {
    use super::is_lines;

    #[test]
    fn one_receipt_over_lines_is_not_many() {
        for one in [
            "",
            "{}",
            "{}\n",
            "\n{}\n\n",
            "{\n\"a\":{}\n}",
            "{\n  \"a\": 1\n}\n",
            "c2sp.org/tlog-proof@v1\nindex 0\n",
            "<html>\n<p>",
        ] {
            assert!(!is_lines(one.as_bytes()), "{one:?}");
        }
        for many in ["{}\n{}", "{}\r\n{}\r\n", "{\"a\":1}\n\n{\"b\":1}\n", "{\"a\":\n{\"b\":1}\n", "{}\nx"] {
            assert!(is_lines(many.as_bytes()), "{many:?}");
        }
    }
}
